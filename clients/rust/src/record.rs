//! Records as they are read: typed wrappers taken off, and members as the caller's own types.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A record: its members by name. `id` is its key, `ttl` the moment when it expires, if it does.
pub type Record = Map<String, Value>;

/// Every type that a wrapper may name.
const TYPES: [&str; 16] = [
    "String", "Integer", "Float", "Number", "Boolean", "Object", "Array", "Set", "Vector", "DateTime",
    "UUID", "Decimal", "Duration", "Binary", "Bytes", "Null",
];

/// Takes the wrappers `{"type", "value"}` off. A server writes them around all members or around none, so a record
/// that has members of its own which look like one keeps them.
pub(crate) fn plain(value: Value) -> Value {
    match value {
        Value::Object(record) if record.iter().all(|(name, value)| is_plain(name) || is_wrapper(value)) => {
            record.into_iter().map(|(name, value)| (name.clone(), unwrapped(&name, value))).collect()
        }
        other => other,
    }
}

fn is_plain(name: &str) -> bool {
    matches!(name, "id" | "ttl")
}

fn is_wrapper(value: &Value) -> bool {
    value.as_object().is_some_and(|members| {
        members.len() == 2
            && members.contains_key("value")
            && members.get("type").and_then(Value::as_str).is_some_and(|name| TYPES.contains(&name))
    })
}

fn unwrapped(name: &str, mut value: Value) -> Value {
    if is_plain(name) { value } else { value["value"].take() }
}

/// A record as the caller's type. One that does not fit is an error that names it.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    let value = plain(value);
    let id = value["id"].as_str().unwrap_or("without an id").to_owned();
    serde_json::from_value(value).map_err(|error| {
        Error::shape(format!("the record {id} does not have the shape that was asked for: {error}"))
    })
}

/// An array of records.
pub(crate) fn read_all<T: DeserializeOwned>(data: Value) -> Result<Vec<T>> {
    match data {
        Value::Array(records) => records.into_iter().map(read).collect(),
        other => Err(Error::shape(format!("the server answered {} where records belong", kind(&other)))),
    }
}

/// Anything that is no record, as the caller's type.
pub(crate) fn read_plain<T: DeserializeOwned>(data: Value) -> Result<T> {
    serde_json::from_value(data)
        .map_err(|error| Error::shape(format!("the server's answer does not fit: {error}")))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrappers_are_taken_off_where_all_members_have_them() {
        let typed = json!({"id": "a", "n": {"type": "Integer", "value": 1}, "o": {"type": "Object", "value": {"value": 2}}});
        assert_eq!(plain(typed), json!({"id": "a", "n": 1, "o": {"value": 2}}));
        let own = json!({"id": "a", "price": {"value": 1, "currency": "USD"}, "n": {"type": "Integer", "value": 1}});
        assert_eq!(plain(own.clone()), own);
    }

    #[test]
    fn what_does_not_fit_is_named_and_never_left_out() {
        let records = json!([{"id": "a", "n": 1}, {"id": "b", "n": "x"}]);
        #[derive(Debug, serde::Deserialize)]
        struct Row {
            n: u32,
        }
        let error = read_all::<Row>(records.clone()).unwrap_err();
        assert!(error.to_string().contains("the record b"), "{error}");
        let rows: Vec<Row> = read_all(json!([{"id": "a", "n": 1}])).unwrap();
        assert_eq!(rows[0].n, 1);
        assert!(matches!(read_all::<Row>(json!({})), Err(Error::Shape { .. })));
    }
}
