//! Records as clients read them: with typed values or plain.
//!
//! With typed values, each member but `id` and `ttl` is `{"type", "value"}`; what lies within a value is plain. The
//! type is what the collection's schema says. Where it says nothing, it is what JSON shows, and `DateTime` for RFC 3339
//! text with an offset.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use tidewire_engine::Timestamp;
use tidewire_engine::query::{Body, Record, RecordText};
use tidewire_engine::schema::{FieldKind, Kinds};

/// How members are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Values {
    /// As `{"type", "value"}`.
    Typed,
    /// As they are.
    Plain,
}

/// How members are written, and what the schema says of them.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    values: Values,
    kinds: Option<&'a Kinds>,
}

impl<'a> Manner<'a> {
    /// With the kinds of the collection that the members are of.
    pub fn new(values: Values, kinds: Option<&'a Kinds>) -> Self {
        Self { values, kinds }
    }

    /// What a member means.
    fn kind(self, name: &str) -> FieldKind {
        self.kinds.map_or(FieldKind::Any, |kinds| kinds.get(name))
    }

    /// The same for a name as JSON text.
    fn kind_of_raw(self, name: &str) -> FieldKind {
        match self.kinds {
            Some(_) if name.contains('\\') => {
                serde_json::from_str::<String>(name).map_or(FieldKind::Any, |name| self.kind(&name))
            }
            Some(_) => self.kind(name.trim_matches('"')),
            None => FieldKind::Any,
        }
    }
}

impl From<Values> for Manner<'static> {
    fn from(values: Values) -> Self {
        Self { values, kinds: None }
    }
}

/// Writes a record behind what is there.
pub fn put_record<'a>(out: &mut Vec<u8>, record: &Record, manner: impl Into<Manner<'a>>) {
    put(out, &record.id.0, &record.body, record.expires_at, manner);
}

/// The same from its parts.
pub fn put<'a>(
    out: &mut Vec<u8>,
    id: &str,
    body: &Body,
    expires_at: Option<Timestamp>,
    manner: impl Into<Manner<'a>>,
) {
    let manner = manner.into();
    out.extend_from_slice(b"{\"id\":");
    put_json(out, id);
    for (name, value) in body.iter().filter(|(name, _)| is_own(name, expires_at)) {
        out.push(b',');
        put_json(out, name);
        out.push(b':');
        put_member(out, value, manner.values, manner.kind(name));
    }
    put_end(out, expires_at);
}

fn put_end(out: &mut Vec<u8>, expires_at: Option<Timestamp>) {
    if let Some(at) = expires_at {
        out.extend_from_slice(b",\"ttl\":");
        put_json(out, &at.to_rfc3339());
    }
    out.push(b'}');
}

/// Writes a record whose members are text, as [`put`] would. The text is only looked into where something of it changes.
pub fn put_text<'a>(out: &mut Vec<u8>, record: RecordText<'_>, manner: impl Into<Manner<'a>>) {
    let manner = manner.into();
    out.extend_from_slice(b"{\"id\":");
    put_json(out, record.id);
    if manner.values == Values::Plain && !has_taken_name(record.members) {
        put_inside(out, record.members);
    } else {
        let members = Members { out: &mut *out, expires_at: record.expires_at, manner };
        let mut text = serde_json::Deserializer::from_str(record.members);
        members.deserialize(&mut text).expect("the store has objects only");
    }
    put_end(out, record.expires_at);
}

/// Whether a member may be named as what is written beside the members.
fn has_taken_name(members: &str) -> bool {
    members.contains("\"ttl\":") || members.contains("\"id\":")
}

/// Writes an object's members behind others.
fn put_inside(out: &mut Vec<u8>, object: &str) {
    let inside = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    if !inside.is_empty() {
        out.push(b',');
        out.extend_from_slice(inside.as_bytes());
    }
}

/// Writes members while they are read.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    expires_at: Option<Timestamp>,
    manner: Manner<'o>,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry::<&RawValue, &RawValue>()? {
            let (name, value) = (name.get(), value.get());
            if is_own(name.trim_matches('"'), self.expires_at) {
                self.out.push(b',');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b':');
                put_raw(self.out, value, self.manner.values, self.manner.kind_of_raw(name));
            }
        }
        Ok(())
    }
}

/// Writes a value, JSON as `serde_json` writes it, as [`put_value`] would.
fn put_raw(out: &mut Vec<u8>, value: &str, values: Values, kind: FieldKind) {
    match values {
        Values::Plain => out.extend_from_slice(value.as_bytes()),
        Values::Typed => {
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(meant(kind, type_of_raw(value)).as_bytes());
            out.extend_from_slice(b"\",\"value\":");
            out.extend_from_slice(value.as_bytes());
            out.push(b'}');
        }
    }
}

/// The same as [`type_of`].
fn type_of_raw(value: &str) -> &'static str {
    match value.as_bytes() {
        [b'n', ..] => "Null",
        [b't' | b'f', ..] => "Boolean",
        // A moment has nothing that is escaped.
        [b'"', ..] if is_moment(value.trim_matches('"')) => "DateTime",
        [b'"', ..] => "String",
        [b'[', ..] => "Array",
        [b'{', ..] => "Object",
        _ if value.contains(['.', 'e', 'E']) => "Float",
        _ => "Integer",
    }
}

/// Whether a member is the record's own and not written beside its members.
fn is_own(name: &str, expires_at: Option<Timestamp>) -> bool {
    name != "id" && (name != "ttl" || expires_at.is_none())
}

/// Writes a member's value behind what is there.
pub fn put_value(out: &mut Vec<u8>, value: &Value, values: Values) {
    put_member(out, value, values, FieldKind::Any);
}

fn put_member(out: &mut Vec<u8>, value: &Value, values: Values, kind: FieldKind) {
    match values {
        Values::Plain => put_json(out, value),
        Values::Typed => {
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(meant(kind, type_of(value)).as_bytes());
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

/// The name of the type that is meant, where JSON shows `shown`. A value that its schema would not take today, because
/// it was there before, is what it looks like.
fn meant(kind: FieldKind, shown: &'static str) -> &'static str {
    let is_text = matches!(shown, "String" | "DateTime");
    let is_number = matches!(shown, "Integer" | "Float");
    let fits = match kind {
        FieldKind::Any => false,
        FieldKind::String | FieldKind::DateTime | FieldKind::Uuid => is_text,
        FieldKind::Decimal => is_text || is_number,
        FieldKind::Integer | FieldKind::Float | FieldKind::Number => is_number,
        FieldKind::Boolean | FieldKind::Object | FieldKind::Array => false, // as it is shown
        FieldKind::Set | FieldKind::Vector => shown == "Array",
        FieldKind::Duration => is_text || matches!(shown, "Object" | "Array"),
        FieldKind::Binary | FieldKind::Bytes => is_text || shown == "Array",
    };
    if fits { kind.name() } else { shown }
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
    use proptest::prelude::*;
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
    fn a_schema_says_what_is_meant_where_the_value_fits() {
        let kinds =
            Kinds::from([("v", FieldKind::Vector), ("t", FieldKind::String), ("d\"", FieldKind::Decimal)]);
        let body = json!({"v": [1.0], "t": "2026-01-02T03:04:05Z", "d\"": "1.5", "x": [1.0]});
        let mut out = Vec::new();
        put(&mut out, "r1", body.as_object().unwrap(), None, Manner::new(Values::Typed, Some(&kinds)));
        let written: Value = serde_json::from_slice(&out).unwrap();
        let types = ["v", "t", "d\"", "x"].map(|name| written[name]["type"].as_str().unwrap());
        assert_eq!(types, ["Vector", "String", "Decimal", "Array"]);
        for (kind, shown) in
            [(FieldKind::Vector, "String"), (FieldKind::Uuid, "Null"), (FieldKind::Set, "Object")]
        {
            assert_eq!(meant(kind, shown), shown);
        }
    }

    proptest! {
        #[test]
        fn text_is_written_as_members_are(
            body in body(),
            expires in any::<bool>(),
            typed in any::<bool>(),
            meant in prop::sample::select(FieldKind::ALL.to_vec()),
        ) {
            let expires_at = expires.then_some(Timestamp(1_234_567));
            let values = if typed { Values::Typed } else { Values::Plain };
            let name = body.keys().next().cloned().unwrap_or_default();
            let kinds = Kinds::from([(name.as_str(), meant.0)]);
            let values = Manner::new(values, Some(&kinds));
            let (mut by_members, mut by_text) = (Vec::new(), Vec::new());
            put(&mut by_members, "r\"1", &body, expires_at, values);
            let members = serde_json::to_string(&body).unwrap();
            put_text(&mut by_text, RecordText { id: "r\"1", members: &members, expires_at }, values);
            prop_assert_eq!(String::from_utf8(by_text), String::from_utf8(by_members));
        }
    }

    /// Members of all types, also under names and with texts that are easily mistaken.
    fn body() -> impl Strategy<Value = Body> {
        let text = prop_oneof![
            any::<String>(),
            Just(String::from("2026-01-02T03:04:05+02:00")),
            Just(String::from("\"2026-01-02T03:04:05Z\"")),
            Just(String::from("{\"ttl\":1,\"id\":2}")),
        ];
        let name = prop_oneof![
            4 => any::<String>(),
            1 => prop_oneof![Just("id"), Just("ttl"), Just("\"id\"")].prop_map(String::from),
        ];
        let one = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>()
                .prop_map(|number| serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)),
            text.prop_map(Value::from),
        ];
        let value = one.prop_recursive(2, 8, 3, |inner| {
            let members = prop::collection::vec((any::<String>(), inner.clone()), 0..3);
            prop_oneof![
                prop::collection::vec(inner, 0..3).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop::collection::vec((name, value), 0..5).prop_map(|members| members.into_iter().collect())
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
