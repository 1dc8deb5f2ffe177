//! Text with indentation, and the few rules of TypeScript's spelling.

use serde_json::Value;

/// Collects lines at the indentation of the block that is open.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    /// One line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !line.is_empty() {
            self.text.push_str(&"  ".repeat(self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    /// An empty line.
    pub(super) fn blank(&mut self) {
        self.line("");
    }

    /// Lines between two others, one step further in.
    pub(super) fn block(&mut self, open: impl AsRef<str>, close: &str, body: impl FnOnce(&mut Self)) {
        self.line(open);
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line(close);
    }

    /// Lines one step further in.
    pub(super) fn indented(&mut self, body: impl FnOnce(&mut Self)) {
        self.depth += 1;
        body(self);
        self.depth -= 1;
    }

    /// A documentation comment; nothing if there is nothing to say.
    pub(super) fn doc(&mut self, text: &str) {
        // A description may hold anything, also the end of a comment.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "*\\/");
        if !text.is_empty() {
            self.line(format!("/** {text} */"));
        }
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A value as a literal.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", list(items.iter().map(literal))),
        Value::Object(members) if members.is_empty() => "{}".into(),
        Value::Object(members) => {
            format!(
                "{{ {} }}",
                list(members.iter().map(|(name, value)| format!("{}: {}", key(name), literal(value))))
            )
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// Text as a literal.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A list of names as a literal.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    format!("[{}]", list(names.into_iter().map(|name| quoted(name))))
}

/// The name of a member of an interface.
pub(super) fn member(name: &str) -> String {
    if is_identifier(name) { name.into() } else { quoted(name) }
}

/// The name of a member of an object literal.
pub(super) fn key(name: &str) -> String {
    // Without the brackets it would set the prototype.
    if name == "__proto__" { format!("[{}]", quoted(name)) } else { member(name) }
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// Parts with commas between them.
pub(super) fn list(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        let spelled = ["run_id", "$top", "2fa", "user-id", "", "__proto__"].map(key);
        assert_eq!(spelled, ["run_id", "$top", "\"2fa\"", "\"user-id\"", "\"\"", "[\"__proto__\"]"]);
    }

    #[test]
    fn literals_are_those_of_the_language() {
        let value = json!({"a": [1, "x\n", null], "b-c": {}});
        assert_eq!(literal(&value), r#"{ a: [1, "x\n", null], "b-c": {} }"#);
    }

    #[test]
    fn a_description_cannot_end_its_comment() {
        let mut writer = Writer::default();
        writer.doc("a */ b\n  c");
        assert_eq!(writer.finish(), "/** a *\\/ b c */\n");
    }
}
