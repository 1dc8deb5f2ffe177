//! Whether a call's arguments are what its tool's schema asks for.
//!
//! A model reads the sentence and tries again, so it names the argument and says what is wanted. The part of JSON
//! Schema that tool definitions use is checked: `type`, `enum`, `properties`, `required`, `additionalProperties: false`,
//! `items`, `minimum`, `maximum`, `minLength`, `maxLength`, `maxItems`. Other keywords are left to the tool.

use serde_json::{Map, Value};

use crate::error::{Detail, Error, Result};

/// Checks arguments, and drops members that are `null` where the schema does not ask for them: many models spell "not
/// given" so.
pub(super) fn check(schema: &Value, mut arguments: Value) -> Result<Value> {
    if let Value::Object(members) = &mut arguments {
        members.retain(|name, value| !value.is_null() || is_required(schema, name));
    }
    check_value(schema, &arguments, "")?;
    Ok(arguments)
}

fn is_required(schema: &Value, name: &str) -> bool {
    required(schema).any(|required| required == name)
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn check_value(schema: &Value, value: &Value, path: &str) -> Result<()> {
    check_type(schema, value, path)?;
    check_enum(schema, value, path)?;
    match value {
        Value::Object(members) => check_members(schema, members, path),
        Value::Array(items) => check_items(schema, items, path),
        Value::String(text) => {
            check_bounds(schema, path, "Length", text.chars().count() as f64, " characters")
        }
        Value::Number(number) => check_bounds(schema, path, "imum", number.as_f64().unwrap_or_default(), ""),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

fn check_type(schema: &Value, value: &Value, path: &str) -> Result<()> {
    let types = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if types.iter().any(|name| is_a(value, name)) {
        return Ok(());
    }
    wrong(
        path,
        format!(
            "must be {}, not {}",
            types.iter().map(|name| article(name)).collect::<Vec<_>>().join(" or "),
            kind(value)
        ),
    )
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true, // a type that JSON Schema does not have asks for nothing
    }
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

fn article(name: &str) -> String {
    match name {
        "null" => String::from("null"),
        "integer" | "array" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

fn check_enum(schema: &Value, value: &Value, path: &str) -> Result<()> {
    let Some(choices) = schema.get("enum").and_then(Value::as_array) else { return Ok(()) };
    if choices.contains(value) {
        return Ok(());
    }
    wrong(path, format!("must be one of {}", Value::from(choices.clone())))
}

fn check_members(schema: &Value, members: &Map<String, Value>, path: &str) -> Result<()> {
    if let Some(missing) = required(schema).find(|name| !members.contains_key(*name)) {
        return wrong(&join(path, missing), String::from("is missing"));
    }
    let known = schema.get("properties").and_then(Value::as_object);
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in members {
        match known.and_then(|known| known.get(name)) {
            Some(schema) => check_value(schema, value, &join(path, name))?,
            None if closed => return wrong(&join(path, name), unknown(known)),
            None => {}
        }
    }
    Ok(())
}

fn unknown(known: Option<&Map<String, Value>>) -> String {
    let names: Vec<_> = known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
    match names.as_slice() {
        [] => String::from("is unknown; there are no arguments"),
        names => format!("is unknown; there are {}", names.join(", ")),
    }
}

fn check_items(schema: &Value, items: &[Value], path: &str) -> Result<()> {
    check_bounds(schema, path, "Items", items.len() as f64, " items")?;
    let Some(of) = schema.get("items") else { return Ok(()) };
    items
        .iter()
        .enumerate()
        .try_for_each(|(index, item)| check_value(of, item, &join(path, &index.to_string())))
}

/// `minLength` and `maxLength`, `minItems` and `maxItems`, `minimum` and `maximum`.
fn check_bounds(schema: &Value, path: &str, suffix: &str, size: f64, unit: &str) -> Result<()> {
    let bound = |prefix: &str| schema.get(format!("{prefix}{suffix}")).and_then(Value::as_f64);
    if let Some(least) = bound("min").filter(|least| size < *least) {
        return wrong(path, format!("must be at least {least}{unit}"));
    }
    if let Some(most) = bound("max").filter(|most| size > *most) {
        return wrong(path, format!("must be at most {most}{unit}"));
    }
    Ok(())
}

fn join(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

fn wrong(path: &str, what: String) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid(format!("the arguments: {what}")).with(Detail::Field("arguments".into())));
    }
    Err(Error::invalid(format!("the argument {path:?} {what}")).with(Detail::Field(path.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 5},
                "limit": {"type": "integer", "minimum": 1, "maximum": 10},
                "order": {"enum": ["up", "down"]},
                "sort": {"type": ["array", "string"], "items": {"type": "string"}, "maxItems": 2},
            },
            "required": ["name"],
            "additionalProperties": false,
        })
    }

    #[track_caller]
    fn fails(arguments: Value, expected: &str) {
        assert_eq!(check(&schema(), arguments).unwrap_err().message, expected);
    }

    #[test]
    fn what_the_schema_asks_for_passes() {
        let full = json!({"name": "ünïcö", "limit": 10.0, "order": "up", "sort": ["a", "b"]});
        assert_eq!(check(&schema(), full.clone()).unwrap(), full);
        let sparse = check(&schema(), json!({"name": "a", "limit": null, "other": null})).unwrap();
        assert_eq!(sparse, json!({"name": "a"}));
        assert!(check(&json!({}), json!({"anything": 1})).is_ok());
    }

    #[test]
    fn each_fault_names_its_argument() {
        fails(json!({}), r#"the argument "name" is missing"#);
        fails(json!([]), "the arguments: must be an object, not an array");
        fails(json!({"name": null}), r#"the argument "name" must be a string, not null"#);
        fails(json!({"name": ""}), r#"the argument "name" must be at least 1 characters"#);
        fails(json!({"name": "abcdef"}), r#"the argument "name" must be at most 5 characters"#);
        fails(json!({"name": "a", "limit": 0}), r#"the argument "limit" must be at least 1"#);
        fails(json!({"name": "a", "limit": 1.5}), r#"the argument "limit" must be an integer, not a number"#);
        fails(json!({"name": "a", "order": "left"}), r#"the argument "order" must be one of ["up","down"]"#);
        fails(
            json!({"name": "a", "sort": 1}),
            r#"the argument "sort" must be an array or a string, not a number"#,
        );
        fails(
            json!({"name": "a", "sort": ["x", 2]}),
            r#"the argument "sort.1" must be a string, not a number"#,
        );
        fails(
            json!({"name": "a", "sort": ["x", "y", "z"]}),
            r#"the argument "sort" must be at most 2 items"#,
        );
        let known = r#"the argument "nmae" is unknown; there are name, limit, order, sort"#;
        fails(json!({"name": "a", "nmae": "b"}), known);
    }
}
