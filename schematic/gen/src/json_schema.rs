//! JSON Schema of types: what the AsyncAPI and the OpenAPI output have in common.
//!
//! Every named type becomes an entry of `components.schemas`, to which references lead from the document's root. The
//! two outputs differ in the draft that they speak, which matters for tuples alone.

use schematic_define::{ParamType, Type};
use serde_json::{Map, Value, json};

use crate::ir::{Api, Field, Item, TypeDecl, TypeKind, UnionVariant, Writes};

/// A draft of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draft {
    /// Draft-07, which AsyncAPI speaks
    Seven,
    /// 2020-12, which OpenAPI 3.1 speaks
    Of2020,
}

/// An object of these members, in their order.
pub(crate) fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(members.into_iter().collect())
}

/// Leaves out members that are `null` because there is nothing to say, except inside examples, constants and defaults.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => object(
            members
                .into_iter()
                .filter(|(name, member)| !member.is_null() || matches!(name.as_str(), "const" | "default"))
                .map(|(name, member)| {
                    let kept = matches!(name.as_str(), "examples" | "const" | "default" | "enum");
                    let member = if kept { member } else { without_nulls(member) };
                    (name, member)
                }),
        ),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

/// A description, or nothing if there is none.
pub(crate) fn text(description: &str) -> Option<&str> {
    (!description.trim().is_empty()).then_some(description)
}

/// A reference from the document's root; slashes and tildes in names are escaped.
pub(crate) fn reference(path: &[&str]) -> Value {
    let path: Vec<String> = path.iter().map(|part| part.replace('~', "~0").replace('/', "~1")).collect();
    json!({ "$ref": format!("#/{}", path.join("/")) })
}

/// The schema of a named type.
pub(crate) fn named(api: &Api, draft: Draft, decl: &TypeDecl) -> Value {
    let mut schema = match &decl.kind {
        TypeKind::Record(fields) => record(fields, &[]),
        TypeKind::Enum { open, values } => {
            let values: Vec<&str> = values.iter().map(|v| v.wire.as_str()).collect();
            match open {
                true => json!({ "anyOf": [{ "type": "string", "enum": values }, { "type": "string" }] }),
                false => json!({ "type": "string", "enum": values }),
            }
        }
        TypeKind::Union(variants) => {
            json!({ "anyOf": variants.iter().map(|v| variant(api, draft, v)).collect::<Vec<_>>() })
        }
        TypeKind::Tuple { items, rest } => tuple(draft, &[], items, rest.as_ref()),
        TypeKind::Alias(of) => json!({ "allOf": [self::of(of)] }),
    };
    describe(&mut schema, &decl.description);
    schema
}

fn describe(schema: &mut Value, description: &str) {
    if let (Some(members), Some(text)) = (schema.as_object_mut(), text(description)) {
        members.insert("description".into(), text.into());
    }
}

/// The schema of what stands at a place.
pub(crate) fn of(ty: &Type) -> Value {
    match ty {
        Type::String => json!({ "type": "string" }),
        Type::Integer => json!({ "type": "integer", "format": "int64" }),
        Type::Unsigned => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        Type::Float => json!({ "type": "number" }),
        Type::Boolean => json!({ "type": "boolean" }),
        Type::Timestamp => json!({ "type": "string", "format": "date-time" }),
        Type::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Type::Json => json!({}),
        Type::Named(name) => reference(&["components", "schemas", name]),
        Type::Array(item) => json!({ "type": "array", "items": of(item) }),
        Type::Map(value) => json!({ "type": "object", "additionalProperties": of(value) }),
    }
}

/// The schema of a parameter, which is always a scalar.
pub(crate) fn scalar(ty: ParamType, default: Option<&str>) -> Value {
    let parsed = || default.and_then(|text| serde_json::from_str(text).ok());
    let (name, default) = match ty {
        ParamType::String => ("string", default.map(Value::from)),
        ParamType::Integer => ("integer", parsed()),
        ParamType::Boolean => ("boolean", parsed()),
        ParamType::Float => ("number", parsed()),
    };
    match default {
        Some(default) => json!({ "type": name, "default": default }),
        None => json!({ "type": name }),
    }
}

/// A record, with members in front that recognition adds.
pub(crate) fn record(fields: &[Field], added: &[(String, Value)]) -> Value {
    let constants = added.iter().map(|(name, value)| (name.clone(), json!({ "const": value })));
    let members =
        fields.iter().flat_map(|f| f.aliases.iter().chain([&f.wire]).map(|name| (name.clone(), field(f))));
    let properties: Map<String, Value> = constants.chain(members).collect();
    let needed = || fields.iter().filter(|f| !f.optional);
    let required: Vec<&str> = added
        .iter()
        .map(|(name, _)| name.as_str())
        .chain(needed().filter(|f| f.aliases.is_empty()).map(|f| f.wire.as_str()))
        .collect();
    // A required member may come under any of its names.
    let any_name: Vec<Value> = needed().filter(|f| !f.aliases.is_empty()).map(any_name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !any_name.is_empty() {
        schema["allOf"] = json!(any_name);
    }
    schema
}

fn any_name(field: &Field) -> Value {
    let names = std::iter::once(&field.wire).chain(&field.aliases);
    json!({ "anyOf": names.map(|name| json!({ "required": [name] })).collect::<Vec<_>>() })
}

fn field(field: &Field) -> Value {
    let plain = of(&field.ty);
    let mut schema = match (&field.constant, field.nullable) {
        (Some(constant), _) => json!({ "const": constant }),
        (None, true) => json!({ "anyOf": [plain, { "type": "null" }] }),
        // Beside a reference everything else is ignored, so it goes one level down.
        (None, false) if plain.get("$ref").is_some() => json!({ "allOf": [plain] }),
        (None, false) => plain,
    };
    describe(&mut schema, &field.description);
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    if !field.aliases.is_empty() || field.secret {
        schema["x-schematic"] = json!({ "aliases": field.aliases, "secret": field.secret });
    }
    schema
}

fn tuple(draft: Draft, head: &[&Value], items: &[Item], rest: Option<&Type>) -> Value {
    let heads = head.iter().map(|value| json!({ "const": value }));
    let places: Vec<Value> = heads.chain(items.iter().map(|item| of(&item.ty))).collect();
    let least = head.len() + items.iter().filter(|i| !i.optional).count();
    let more = rest.map_or(json!({}), of);
    if places.is_empty() {
        return json!({ "type": "array", "items": more });
    }
    match draft {
        Draft::Seven => {
            json!({ "type": "array", "items": places, "additionalItems": more, "minItems": least })
        }
        Draft::Of2020 => json!({ "type": "array", "prefixItems": places, "items": more, "minItems": least }),
    }
}

fn variant(api: &Api, draft: Draft, variant: &UnionVariant) -> Value {
    body(api, draft, &variant.ty, &variant.writes)
}

/// A body together with what recognition adds to it.
pub(crate) fn body(api: &Api, draft: Draft, ty: &Type, writes: &Writes) -> Value {
    match (writes, resolved(api, ty)) {
        (Writes::Members(added), _) if added.is_empty() => json!({ "allOf": [of(ty)] }),
        (Writes::Members(added), Some(TypeKind::Record(fields))) => record(fields, added),
        (Writes::Members(added), _) => json!({ "allOf": [of(ty), record(&[], added)] }),
        (Writes::Head(head), Some(TypeKind::Tuple { items, rest })) => {
            tuple(draft, &[head], items, rest.as_ref())
        }
        (Writes::Head(head), _) => tuple(draft, &[head], &[], Some(&Type::Json)),
    }
}

/// What a type is when aliases are followed.
fn resolved<'a>(api: &'a Api, ty: &Type) -> Option<&'a TypeKind> {
    let Type::Named(name) = ty else { return None };
    match &api.find(name)?.kind {
        TypeKind::Alias(of) => resolved(api, of),
        kind => Some(kind),
    }
}
