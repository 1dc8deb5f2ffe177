//! JSON Schemas as servers write them: whether one is well-formed, and whether a value is what it says.
//!
//! Known are the words that descriptions of tools use: `type`, `enum`, `const`, `properties`, `required`,
//! `additionalProperties`, `items`, `prefixItems`, `anyOf`, `oneOf`, `allOf`, `not`, and `$ref` within the schema. Of
//! other words nothing is asked. A validator of the whole standard is not worth its weight here: it would also turn on
//! `serde_json`'s slow reading of numbers for the whole program.

use std::cell::Cell;

use serde_json::{Map, Value};

/// So deep a schema may be, and so often it may name itself on the way to a value.
const DEPTH_MAX: usize = 64;

/// So many steps a value's check may take: alternatives of alternatives multiply.
const STEPS_MAX: u32 = 1_000_000;

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

/// Fails with what is wrong with a schema, and where.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    Check { root: schema }.schema(schema, "", 0)
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn schema(&self, schema: &Value, path: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(wrong(path, "is nested too deeply"));
        }
        let members = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(members) => members,
            _ => return Err(wrong(path, "must be an object or a boolean")),
        };
        for (word, value) in members {
            self.word(word, value, &format!("{path}/{word}"), depth + 1)?;
        }
        Ok(())
    }

    fn word(&self, word: &str, value: &Value, path: &str, depth: usize) -> Result<(), String> {
        match word {
            "type" => types(value, path),
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                let named = value.as_object().ok_or_else(|| wrong(path, "must be an object"))?;
                named
                    .iter()
                    .try_for_each(|(name, schema)| self.schema(schema, &format!("{path}/{name}"), depth))
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => self.list(value, path, depth),
            "items" if value.is_array() => self.list(value, path, depth),
            "items"
            | "additionalProperties"
            | "not"
            | "contains"
            | "propertyNames"
            | "if"
            | "then"
            | "else" => self.schema(value, path, depth),
            "required" => names(value, path),
            "enum" if !value.is_array() => Err(wrong(path, "must be a list")),
            "$ref" => self.reference(value, path),
            "description" | "title" | "pattern" | "format" if !value.is_string() => {
                Err(wrong(path, "must be a text"))
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
                if !value.is_number() && !value.is_boolean() =>
            {
                Err(wrong(path, "must be a number"))
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
                if value.as_f64().is_none_or(|number| number < 0.0 || number.fract() != 0.0) =>
            {
                Err(wrong(path, "must be a whole number"))
            }
            _ => Ok(()),
        }
    }

    fn list(&self, value: &Value, path: &str, depth: usize) -> Result<(), String> {
        let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
        let schemas = schemas.ok_or_else(|| wrong(path, "must be a list of schemas"))?;
        let mut numbered = schemas.iter().enumerate();
        numbered.try_for_each(|(number, schema)| self.schema(schema, &format!("{path}/{number}"), depth))
    }

    /// Nothing is fetched for a schema.
    fn reference(&self, value: &Value, path: &str) -> Result<(), String> {
        let target = value.as_str().ok_or_else(|| wrong(path, "must be a text"))?;
        let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        found.map(|_| ()).ok_or_else(|| wrong(path, &format!("names {target:?}, which is not in the schema")))
    }
}

fn types(value: &Value, path: &str) -> Result<(), String> {
    let known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
    let fits = match value {
        Value::Array(names) => !names.is_empty() && names.iter().all(known),
        name => known(name),
    };
    if fits { Ok(()) } else { Err(wrong(path, &format!("is {value}, which is no type"))) }
}

fn names(value: &Value, path: &str) -> Result<(), String> {
    let fits = value.as_array().is_some_and(|names| names.iter().all(Value::is_string));
    if fits { Ok(()) } else { Err(wrong(path, "must be a list of names")) }
}

fn wrong(path: &str, what: &str) -> String {
    let path: String = path.chars().take(100).collect();
    if path.is_empty() { format!("the schema {what}") } else { format!("{path} {what}") }
}

/// Fails with where a value is not what a well-formed schema says.
pub(super) fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    Fit { root: schema, steps: Cell::new(STEPS_MAX) }.value(schema, value, "", 0)
}

struct Fit<'a> {
    root: &'a Value,
    /// Those that are left.
    steps: Cell<u32>,
}

impl Fit<'_> {
    fn value(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Result<(), String> {
        let Some(left) = self.steps.get().checked_sub(1) else {
            return Err(misses(path, "takes too long to check"));
        };
        self.steps.set(left);
        let words = match schema {
            Value::Object(words) if depth <= DEPTH_MAX => words,
            Value::Bool(false) => return Err(misses(path, "must not be there")),
            _ => return Ok(()),
        };
        kind(words, value, path)?;
        choice(words, value, path)?;
        self.combined(words, value, path, depth + 1)?;
        match value {
            Value::Object(members) => self.members(words, members, path, depth + 1),
            Value::Array(items) => self.items(words, items, path, depth + 1),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn combined(
        &self,
        words: &Map<String, Value>,
        value: &Value,
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        let target = words.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(schema) = target.and_then(|pointer| self.root.pointer(pointer)) {
            self.value(schema, value, path, depth)?;
        }
        let schemas = |word: &str| words.get(word).and_then(Value::as_array).map(Vec::as_slice);
        let fitting = |schemas: &[Value]| {
            schemas.iter().filter(|schema| self.value(schema, value, path, depth).is_ok()).count()
        };
        for schema in schemas("allOf").unwrap_or_default() {
            self.value(schema, value, path, depth)?;
        }
        if schemas("anyOf").is_some_and(|any| fitting(any) == 0) {
            return Err(misses(path, "is none of what it may be"));
        }
        if schemas("oneOf").is_some_and(|one| fitting(one) != 1) {
            return Err(misses(path, "is not exactly one of what it may be"));
        }
        match words.get("not") {
            Some(not) if self.value(not, value, path, depth).is_ok() => {
                Err(misses(path, "is what it must not be"))
            }
            _ => Ok(()),
        }
    }

    fn members(
        &self,
        words: &Map<String, Value>,
        members: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        let required = words.get("required").and_then(Value::as_array).into_iter().flatten();
        if let Some(missing) = required.filter_map(Value::as_str).find(|name| !members.contains_key(*name)) {
            return Err(misses(&format!("{path}/{missing}"), "is missing"));
        }
        let known = words.get("properties").and_then(Value::as_object);
        let others = words.get("additionalProperties").filter(|_| !words.contains_key("patternProperties"));
        for (name, value) in members {
            if let Some(schema) = known.and_then(|known| known.get(name)).or(others) {
                self.value(schema, value, &format!("{path}/{name}"), depth)?;
            }
        }
        Ok(())
    }

    fn items(
        &self,
        words: &Map<String, Value>,
        items: &[Value],
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        // The older spelling of `prefixItems` is a list in `items`, and says nothing of the rest.
        let first = words.get("prefixItems").or(words.get("items")).and_then(Value::as_array);
        let rest = words.get("items").filter(|items| !items.is_array());
        for (number, item) in items.iter().enumerate() {
            if let Some(schema) = first.and_then(|first| first.get(number)).or(rest) {
                self.value(schema, item, &format!("{path}/{number}"), depth)?;
            }
        }
        Ok(())
    }
}

fn kind(words: &Map<String, Value>, value: &Value, path: &str) -> Result<(), String> {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("string") => value.is_string(),
        _ => true,
    };
    match words.get("type") {
        Some(Value::Array(names)) if !names.iter().any(is) => Err(misses(path, "is of another type")),
        Some(name @ Value::String(kind)) if !is(name) => Err(misses(path, &format!("is no {kind}"))),
        _ => Ok(()),
    }
}

fn choice(words: &Map<String, Value>, value: &Value, path: &str) -> Result<(), String> {
    let listed = words.get("enum").and_then(Value::as_array).is_none_or(|choices| choices.contains(value));
    if listed && words.get("const").is_none_or(|only| only == value) {
        return Ok(());
    }
    Err(misses(path, "is none of the values that it may have"))
}

fn misses(path: &str, what: &str) -> String {
    if path.is_empty() { format!("it {what}") } else { wrong(path, what) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn is_wrong(schema: Value, expected: &str) {
        assert_eq!(check(&schema).unwrap_err(), expected);
    }

    #[test]
    fn a_schema_that_is_none_is_told_where() {
        let good = json!({
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
            "properties": {"a": {"type": ["string", "null"], "minLength": 1}, "b": true, "c": {"enum": [1]}},
            "required": ["a"], "additionalProperties": false, "x-own": {"type": 5}, "items": [{}],
            "anyOf": [{"$ref": "#/$defs/Node"}, {"type": "integer", "minimum": 1.5}],
        });
        assert_eq!(check(&good), Ok(()));
        is_wrong(json!("object"), "the schema must be an object or a boolean");
        is_wrong(json!({"type": "strnig"}), "/type is \"strnig\", which is no type");
        is_wrong(json!({"type": []}), "/type is [], which is no type");
        is_wrong(json!({"properties": []}), "/properties must be an object");
        is_wrong(json!({"properties": {"a": {"type": 7}}}), "/properties/a/type is 7, which is no type");
        is_wrong(json!({"required": "a"}), "/required must be a list of names");
        is_wrong(json!({"anyOf": {}}), "/anyOf must be a list of schemas");
        is_wrong(json!({"items": 5}), "/items must be an object or a boolean");
        is_wrong(json!({"enum": "a"}), "/enum must be a list");
        is_wrong(json!({"maxLength": -1}), "/maxLength must be a whole number");
        is_wrong(json!({"minimum": "1"}), "/minimum must be a number");
        is_wrong(json!({"description": 1}), "/description must be a text");
        let away = "/$ref names \"http://10.0.0.1/x\", which is not in the schema";
        is_wrong(json!({"$ref": "http://10.0.0.1/x"}), away);
        let deep = (0..200).fold(json!({}), |inner, _| json!({"items": inner}));
        assert!(check(&deep).unwrap_err().ends_with("is nested too deeply"));
    }

    #[track_caller]
    fn misfit(schema: &Value, value: Value, expected: &str) {
        assert_eq!(check(schema), Ok(()));
        assert_eq!(fits(schema, &value).unwrap_err(), expected);
    }

    #[test]
    fn a_value_that_is_not_what_was_promised_is_told_where() {
        let schema = json!({
            "$defs": {"Time": {"type": "object", "required": ["zone"], "properties": {"zone": {"type": "string"}}}},
            "type": "object",
            "required": ["at"],
            "properties": {
                "at": {"$ref": "#/$defs/Time"},
                "kind": {"enum": ["a", "b"]},
                "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "number"}},
            },
            "additionalProperties": false,
        });
        let good = json!({"at": {"zone": "UTC"}, "kind": "a", "size": null, "pair": ["x", 1, 2.5]});
        assert_eq!(fits(&schema, &good), Ok(()));
        misfit(&schema, json!([]), "it is no object");
        misfit(&schema, json!({}), "/at is missing");
        misfit(&schema, json!({"at": {"zone": 1}}), "/at/zone is no string");
        let at = json!({"zone": "UTC"});
        misfit(&schema, json!({"at": at, "kind": "c"}), "/kind is none of the values that it may have");
        misfit(&schema, json!({"at": at, "size": "1"}), "/size is none of what it may be");
        misfit(&schema, json!({"at": at, "pair": ["x", "y"]}), "/pair/1 is no number");
        misfit(&schema, json!({"at": at, "more": 1}), "/more must not be there");
        misfit(
            &json!({"oneOf": [{"type": "number"}, {"type": "integer"}]}),
            json!(1),
            "it is not exactly one of what it may be",
        );
        misfit(&json!({"not": {"const": 1}}), json!(1), "it is what it must not be");
    }

    #[test]
    fn a_schema_that_is_only_itself_comes_to_an_end() {
        let endless = json!({"$ref": "#"});
        assert_eq!((check(&endless), fits(&endless, &json!(1))), (Ok(()), Ok(())));
        let many = json!({"not": {}, "anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]});
        assert!(fits(&many, &json!(1)).is_err());
    }
}
