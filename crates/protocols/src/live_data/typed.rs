//! Records as clients read them: with typed values or plain.
//!
//! With typed values, each member but `id` and `ttl` is `{"type", "value"}`; what lies within a value is plain. The
//! types are those that JSON shows, and `DateTime` for RFC 3339 text with an offset.

use serde_json::Value;
use tidewire_engine::Timestamp;
use tidewire_engine::query::{Body, Record};

/// How members are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Values {
    /// As `{"type", "value"}`.
    Typed,
    /// As they are.
    Plain,
}

/// Writes a record behind what is there.
pub fn put_record(out: &mut Vec<u8>, record: &Record, values: Values) {
    put(out, &record.id.0, &record.body, record.expires_at, values);
}

/// The same from its parts.
pub fn put(out: &mut Vec<u8>, id: &str, body: &Body, expires_at: Option<Timestamp>, values: Values) {
    out.extend_from_slice(b"{\"id\":");
    put_json(out, id);
    for (name, value) in body.iter().filter(|(name, _)| is_own(name, expires_at)) {
        out.push(b',');
        put_json(out, name);
        out.push(b':');
        put_value(out, value, values);
    }
    if let Some(at) = expires_at {
        out.extend_from_slice(b",\"ttl\":");
        put_json(out, &at.to_rfc3339());
    }
    out.push(b'}');
}

/// Whether a member is the record's own and not written beside its members.
fn is_own(name: &str, expires_at: Option<Timestamp>) -> bool {
    name != "id" && (name != "ttl" || expires_at.is_none())
}

/// Writes a member's value behind what is there.
pub fn put_value(out: &mut Vec<u8>, value: &Value, values: Values) {
    match values {
        Values::Plain => put_json(out, value),
        Values::Typed => {
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(type_of(value).as_bytes());
            out.extend_from_slice(b"\",\"value\":");
            put_json(out, value);
            out.push(b'}');
        }
    }
}

/// The name of a value's type.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(text) if is_moment(text) => "DateTime",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    }
}

/// Whether a text is a moment with an offset. Most texts are told apart by a look at three characters.
fn is_moment(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't')
        && Timestamp::from_rfc3339(text).is_some()
}

/// Writes JSON behind what is there.
pub(super) fn put_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("values have string keys, and a Vec takes every byte");
}

/// Takes typed wrappers off: `{"type": "String", "value": "x"}` is `"x"`. Other objects stay as they are.
pub fn unwrapped(value: Value) -> Value {
    match value {
        Value::Object(mut members) if is_wrapper(&members) => members.remove("value").unwrap_or_default(),
        other => other,
    }
}

fn is_wrapper(members: &Body) -> bool {
    members.len() == 2
        && members.contains_key("value")
        && members.get("type").and_then(Value::as_str).is_some_and(|name| TYPES.contains(&name))
}

/// Every type that a wrapper may name.
const TYPES: [&str; 16] = [
    "String", "Integer", "Float", "Number", "Boolean", "Object", "Array", "Set", "Vector", "DateTime",
    "UUID", "Decimal", "Duration", "Binary", "Bytes", "Null",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(body: Value, expires_at: Option<Timestamp>, values: Values) -> Value {
        let Value::Object(body) = body else { panic!("{body}") };
        let mut out = Vec::new();
        put(&mut out, "r1", &body, expires_at, values);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn members_are_typed_and_what_is_within_them_plain() {
        let body = json!({
            "s": "x", "i": 1, "u": u64::MAX, "f": 1.0, "b": true, "n": null, "a": [1, "2"], "o": {"x": 1},
            "at": "2026-01-02T03:04:05+02:00", "naive": "2026-01-02T03:04:05", "day": "2026-01-02",
        });
        let typed = |name: &str, value: Value| json!({"type": name, "value": value});
        let expected = json!({
            "id": "r1", "s": typed("String", json!("x")), "i": typed("Integer", json!(1)),
            "u": typed("Integer", json!(u64::MAX)), "f": typed("Float", json!(1.0)),
            "b": typed("Boolean", json!(true)), "n": typed("Null", json!(null)),
            "a": typed("Array", json!([1, "2"])), "o": typed("Object", json!({"x": 1})),
            "at": typed("DateTime", json!("2026-01-02T03:04:05+02:00")),
            "naive": typed("String", json!("2026-01-02T03:04:05")), "day": typed("String", json!("2026-01-02")),
        });
        assert_eq!(written(body, None, Values::Typed), expected);
    }

    #[test]
    fn id_and_ttl_are_plain_and_written_once() {
        let body = json!({"id": "other", "ttl": "1h", "a": 1});
        let written_typed = written(body.clone(), Some(Timestamp(0)), Values::Typed);
        let ttl = "1970-01-01T00:00:00.000000Z";
        assert_eq!(written_typed, json!({"id": "r1", "a": {"type": "Integer", "value": 1}, "ttl": ttl}));
        assert_eq!(written(body, None, Values::Plain), json!({"id": "r1", "ttl": "1h", "a": 1}));
    }

    #[test]
    fn only_real_wrappers_are_taken_off() {
        assert_eq!(unwrapped(json!({"type": "Vector", "value": [1.0]})), json!([1.0]));
        for kept in [
            json!({"type": "Car", "value": 1}),
            json!({"value": 1}),
            json!({"type": "String", "value": 1, "x": 2}),
        ] {
            assert_eq!(unwrapped(kept.clone()), kept);
        }
    }
}
