//! Written conversations: how they are read, and how a real frame is compared with a written one.
//!
//! A dialect's `transcripts/` hold conversations as text (the folder's README says how). The same files are played
//! against the wire types, the real server, and the clients in every language; who plays them brings the sockets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The member that says that an object may have further ones.
const FURTHER: &str = "…";

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// From here on this connection speaks and listens.
    Tab(String),
    /// The client sends this.
    Send(String),
    /// The server sends this.
    Expect(Value),
    /// The server sends any number of partials, which are passed over.
    Partials,
}

/// A written frame with its names filled, or nothing if only a part of it is written.
#[cfg(test)]
pub(crate) fn filled(frame: Value) -> Option<Value> {
    match frame {
        Value::String(name) if name.starts_with("$#") => Some(7.into()),
        Value::Object(members) if members.contains_key("…") => None,
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| Some((name, filled(value)?))).collect()
        }
        Value::Array(items) => items.into_iter().map(filled).collect(),
        other => Some(other),
    }
}

/// Reads a conversation. The error names the line.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| parse_line(line).map_err(|error| format!("line {}: {error}", number + 1)))
        .collect()
}

fn parse_line(line: &str) -> Result<Line, String> {
    let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
    match sign {
        "@" => Ok(Line::Tab(rest.split_whitespace().next().unwrap_or_default().to_owned())),
        ">" => Ok(Line::Send(rest.to_owned())),
        "<" => serde_json::from_str(rest).map(Line::Expect).map_err(|error| error.to_string()),
        "<*" => Ok(Line::Partials),
        other => Err(format!("a line begins with @, >, < or <*, not {other:?}")),
    }
}

/// What the names of a conversation stand for so far.
#[derive(Debug, Clone, Default)]
pub struct Bindings(BTreeMap<String, Value>);

impl Bindings {
    /// Compares a real frame with a written one; names that are new are bound. The error says where they differ.
    pub fn compare(&mut self, written: &Value, real: &Value) -> Result<(), String> {
        self.at("", written, real)
    }

    fn at(&mut self, place: &str, written: &Value, real: &Value) -> Result<(), String> {
        match (written, real) {
            (Value::String(text), _) if text.starts_with('$') => self.bind(place, text, real),
            (Value::Object(written), Value::Object(real)) => self.members(place, written, real),
            _ if written == real => Ok(()),
            _ => Err(format!("{place}: {written} was written, {real} came")),
        }
    }

    fn bind(&mut self, place: &str, name: &str, real: &Value) -> Result<(), String> {
        let fits = match name {
            "$*" => return Ok(()),
            number if number.starts_with("$#") => real.is_number(),
            _ => real.is_string(),
        };
        if !fits {
            return Err(format!("{place}: {name} does not stand for {real}"));
        }
        let bound = self.0.entry(name.to_owned()).or_insert_with(|| real.clone());
        if bound == real { Ok(()) } else { Err(format!("{place}: {name} was {bound}, {real} came")) }
    }

    fn members(
        &mut self,
        place: &str,
        written: &Map<String, Value>,
        real: &Map<String, Value>,
    ) -> Result<(), String> {
        for (name, value) in written.iter().filter(|(name, _)| *name != FURTHER) {
            let member = real.get(name).ok_or_else(|| format!("{place}.{name} is missing"))?;
            self.at(&format!("{place}.{name}"), value, member)?;
        }
        match real.keys().find(|name| !written.contains_key(*name)) {
            Some(extra) if !written.contains_key(FURTHER) => Err(format!("{place}.{extra} was not written")),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_told_apart_and_mistakes_named() {
        let lines = parse("# c\n@ tab2\n\n> not json\n< {\"a\":1}\n<* partials\n").unwrap();
        let expected = [
            Line::Tab("tab2".into()),
            Line::Send("not json".into()),
            Line::Expect(json!({"a": 1})),
            Line::Partials,
        ];
        assert_eq!(lines, expected);
        assert!(parse("< {\n").unwrap_err().starts_with("line 1"));
        assert!(parse("ok? {}").is_err());
    }

    #[test]
    fn names_keep_their_meaning() {
        let mut names = Bindings::default();
        assert!(names.compare(&json!({"a": "$x", "n": "$#n"}), &json!({"a": "r1", "n": 4})).is_ok());
        assert!(names.compare(&json!({"b": "$x"}), &json!({"b": "r1"})).is_ok());
        assert!(names.compare(&json!({"b": "$x"}), &json!({"b": "r2"})).is_err());
        assert!(names.compare(&json!("$#n"), &json!("4")).is_err());
    }

    #[test]
    fn members_are_neither_missing_nor_too_many() {
        let mut names = Bindings::default();
        assert!(names.compare(&json!({"a": 1}), &json!({})).is_err());
        assert!(names.compare(&json!({"a": 1}), &json!({"a": 1, "b": 2})).is_err());
        assert!(names.compare(&json!({"a": 1, "…": 1}), &json!({"a": 1, "b": 2})).is_ok());
        assert!(names.compare(&json!({"a": {"b": 1}}), &json!({"a": {"b": 2}})).is_err());
    }
}
