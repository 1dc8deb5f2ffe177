//! Bodies straight from JSONB, the form in which SQLite keeps them (<https://sqlite.org/jsonb.html>).
//!
//! SQLite would write a body as text, which is then parsed: for a passage with its vectors that is most of what reading
//! it costs. Here members that nobody asks for are stepped over.

use serde_json::{Number, Value};

use crate::error::{Error, Result};
use crate::query::{Body, Projection};

/// Values lie in each other at most so deep, as in JSON that is parsed.
const MAX_DEPTH: usize = 128;
/// A number of so many digits, and ten to the power of as many, are exact as floats.
const EXACT: usize = 15;

/// An object with the members that the projection gives.
///
/// # Errors
/// Internal, if it is no JSONB of an object as SQLite makes it of JSON.
pub(super) fn body(bytes: &[u8], projection: &Projection) -> Result<Body> {
    let read = || {
        let (element, rest) = Element::read(bytes)?;
        (element.kind == OBJECT && rest.is_empty()).then_some(element.payload)
    };
    let mut members = read().ok_or_else(damaged)?;
    let mut body = Body::new();
    while !members.is_empty() {
        let (name, value, rest) = member(members).ok_or_else(damaged)?;
        members = rest;
        if is_given(projection, &name) {
            body.insert(name, value.value(MAX_DEPTH).ok_or_else(damaged)?);
        }
    }
    projection.apply(&mut body);
    Ok(body)
}

/// Whether a projection gives anything of a member.
fn is_given(projection: &Projection, name: &str) -> bool {
    let leads_to = |wanted: &String| {
        wanted.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match projection {
        Projection::All => true,
        Projection::Only(names) => names.iter().any(leads_to),
        // A name with dots may mean a nested one, too; the projection itself knows which.
        Projection::Without(names) => name.contains('.') || !names.iter().any(|without| without == name),
    }
}

fn damaged() -> Error {
    Error::internal(std::io::Error::other("a body is no JSONB of an object"))
}

const INT: u8 = 3;
const FLOAT: u8 = 5;
const TEXT: u8 = 7;
const ESCAPED: u8 = 8;
const RAW: u8 = 10;
const ARRAY: u8 = 11;
const OBJECT: u8 = 12;

/// A value as it lies there.
struct Element<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// The first member of an object, and the others.
fn member(bytes: &[u8]) -> Option<(String, Element<'_>, &[u8])> {
    let (name, rest) = Element::read(bytes)?;
    let (value, rest) = Element::read(rest)?;
    Some((name.text()?, value, rest))
}

impl<'a> Element<'a> {
    /// The first element, and what follows it. Its first byte says its kind and, in the upper half, its length, or in how
    /// many bytes that follow the length stands.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (first, rest) = bytes.split_first()?;
        let (length, rest) = match first >> 4 {
            long @ 12.. => {
                let (length, rest) = rest.split_at_checked(1 << (long - 12))?;
                (
                    length
                        .iter()
                        .try_fold(0_usize, |sum, byte| Some(sum.checked_mul(256)? + usize::from(*byte)))?,
                    rest,
                )
            }
            short => (usize::from(short), rest),
        };
        let (payload, rest) = rest.split_at_checked(length)?;
        Some((Self { kind: first & 0xf, payload }, rest))
    }

    fn value(&self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        Some(match self.kind {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Bool(false),
            INT | FLOAT => Value::Number(number(self.payload)?),
            ARRAY => Value::Array(self.list(depth)?),
            OBJECT => Value::Object(self.object(depth)?),
            _ => Value::String(self.text()?),
        })
    }

    fn list(&self, depth: usize) -> Option<Vec<Value>> {
        let (mut list, mut left) = (Vec::new(), self.payload);
        while !left.is_empty() {
            let (element, rest) = Self::read(left)?;
            list.push(element.value(depth)?);
            left = rest;
        }
        Some(list)
    }

    fn object(&self, depth: usize) -> Option<Body> {
        let (mut body, mut left) = (Body::new(), self.payload);
        while !left.is_empty() {
            let (name, value, rest) = member(left)?;
            body.insert(name, value.value(depth)?);
            left = rest;
        }
        Some(body)
    }

    fn text(&self) -> Option<String> {
        let text = std::str::from_utf8(self.payload).ok()?;
        match self.kind {
            TEXT | RAW => Some(text.to_owned()),
            ESCAPED => serde_json::from_str(&format!("\"{text}\"")).ok(),
            _ => None,
        }
    }
}

/// A number that is written as in JSON.
fn number(written: &[u8]) -> Option<Number> {
    let (is_negative, digits) = match written {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let plain = if digits.len() <= EXACT { plain(digits) } else { None };
    match plain {
        Some((whole, 0)) if !is_negative => Some(whole.into()),
        // Both are exact, so the quotient is the nearest float.
        Some((whole, places)) if places > 0 => {
            let number = whole as f64 / 10_f64.powi(places);
            Number::from_f64(if is_negative { -number } else { number })
        }
        _ => serde_json::from_slice(written).ok(),
    }
}

/// Digits with at most one point among them: their number without the point, and how many are behind it.
fn plain(digits: &[u8]) -> Option<(u64, i32)> {
    let (mut number, mut behind) = (0, None);
    for digit in digits {
        match digit {
            b'0'..=b'9' => number = number * 10 + u64::from(digit - b'0'),
            b'.' if behind.is_none() => {
                behind = Some(0);
                continue;
            }
            _ => return None,
        }
        behind = behind.map(|places| places + 1);
    }
    Some((number, behind.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;
    use serde_json::json;

    use super::*;

    fn jsonb(text: &str) -> Vec<u8> {
        let memory = Connection::open_in_memory().unwrap();
        memory.query_row("SELECT jsonb(?)", [text], |row| row.get(0)).unwrap()
    }

    fn read(text: &str) -> Body {
        body(&jsonb(text), &Projection::All).unwrap()
    }

    fn number_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| n.to_string()),
            any::<f64>()
                .prop_filter("JSON has no other", |n| n.is_finite())
                .prop_map(|n| json!(n).to_string()),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        ]
    }

    fn json_text() -> impl Strategy<Value = String> {
        let text = any::<String>().prop_map(|text| json!(text).to_string());
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("false".to_owned()),
            number_text(),
            text
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            let member = (any::<String>(), inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..8).prop_map(|list| format!("[{}]", list.join(","))),
                prop::collection::vec(member, 0..8).prop_map(|members| object(&members)),
            ]
        })
    }

    fn object(members: &[(String, String)]) -> String {
        let members = members.iter().map(|(name, value)| format!("{}:{value}", json!(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    proptest! {
        #[test]
        fn what_sqlite_made_is_read_as_its_text_would_be(
            members in prop::collection::vec((any::<String>(), json_text()), 0..8)
        ) {
            let text = object(&members);
            let expected: Body = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(serde_json::to_string(&read(&text)).unwrap(), serde_json::to_string(&expected).unwrap());
        }

        #[test]
        fn a_projection_gives_what_it_gives_of_the_whole(
            names in prop::collection::vec("(a|b|c)(\\.(a|b))?", 0..3), without: bool,
        ) {
            let text = r#"{"a":{"a":1,"b":2},"b":[1],"c":{"b":{"a":1}},"a.b":3,"ab":4}"#;
            let projection = if without { Projection::Without(names) } else { Projection::Only(names) };
            let mut expected = read(text);
            projection.apply(&mut expected);
            prop_assert_eq!(body(&jsonb(text), &projection).unwrap(), expected);
        }

        #[test]
        fn bytes_of_any_kind_panic_nothing(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(read) = body(&bytes, &Projection::All) {
                prop_assert!(serde_json::to_string(&read).is_ok());
            }
        }
    }

    #[test]
    fn long_and_deep_values_are_read() {
        let long = format!(r#"{{"short":"{}","long":"{}"}}"#, "x".repeat(300), "y".repeat(70_000));
        assert_eq!(read(&long)["long"].as_str().map(str::len), Some(70_000));
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&nested(126)).len(), 1);
        assert!(body(&jsonb(&nested(500)), &Projection::All).is_err());
        assert!(body(&jsonb("[1]"), &Projection::All).is_err());
        assert!(body(&jsonb("{\"a\":0x1f}"), &Projection::All).is_err(), "nothing of ours is written so");
    }
}
