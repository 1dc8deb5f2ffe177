//! JSON Schema draft-07 of types and frames.

use schematic_define::{BodyKind, FrameKind, Layout, ParamType, Type};
use serde_json::{Map, Value, json};

use super::{reference, text};
use crate::ir::{Api, Field, Item, Message, Param, Test, TypeDecl, TypeKind, UnionVariant, Writes};

/// The schema of a named type.
pub(super) fn named(api: &Api, decl: &TypeDecl) -> Value {
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
            json!({ "anyOf": variants.iter().map(|v| variant(api, v)).collect::<Vec<_>>() })
        }
        TypeKind::Tuple { items, rest } => tuple(&[], items, rest.as_ref()),
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
fn of(ty: &Type) -> Value {
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

/// The schema of a query parameter.
pub(super) fn param(param: &Param) -> Value {
    let (name, default) = match param.ty {
        ParamType::String => ("string", param.default.clone().map(Value::from)),
        ParamType::Integer => ("integer", parsed(param)),
        ParamType::Boolean => ("boolean", parsed(param)),
        ParamType::Float => ("number", parsed(param)),
    };
    match default {
        Some(default) => json!({ "type": name, "default": default }),
        None => json!({ "type": name }),
    }
}

fn parsed(param: &Param) -> Option<Value> {
    param.default.as_ref().and_then(|text| serde_json::from_str(text).ok())
}

/// A record, with members in front that recognition adds.
fn record(fields: &[Field], added: &[(String, Value)]) -> Value {
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

fn tuple(head: &[&Value], items: &[Item], rest: Option<&Type>) -> Value {
    let heads = head.iter().map(|value| json!({ "const": value }));
    let places: Vec<Value> = heads.chain(items.iter().map(|item| of(&item.ty))).collect();
    let least = head.len() + items.iter().filter(|i| !i.optional).count();
    let more = rest.map_or(json!({}), of);
    if places.is_empty() {
        return json!({ "type": "array", "items": more });
    }
    json!({ "type": "array", "items": places, "additionalItems": more, "minItems": least })
}

fn variant(api: &Api, variant: &UnionVariant) -> Value {
    body(api, &variant.ty, &variant.writes)
}

/// The schema of a whole frame.
pub(super) fn payload(api: &Api, message: &Message) -> Value {
    if message.encoding == BodyKind::Raw {
        return match message.frame {
            FrameKind::Text => json!({ "type": "string" }),
            FrameKind::Binary | FrameKind::Either => json!({ "type": "string", "format": "binary" }),
        };
    }
    let Some(envelope) = &api.envelope else { return recognised_body(api, message) };
    let layouts = message.layouts.iter().map(|layout| {
        let inner = match layout {
            Layout::Flat => body(api, &message.body, &message.writes),
            Layout::Under(member) => {
                let added = match &message.writes {
                    Writes::Members(members) => members.as_slice(),
                    Writes::Head(_) => &[],
                };
                let mut schema = record(&[], added);
                schema["properties"][member] = of(&message.body);
                schema
            }
        };
        match &envelope.id {
            Some(id) => with_member(inner, &id.field),
            None => inner,
        }
    });
    let mut layouts: Vec<Value> = layouts.collect();
    if layouts.len() == 1 { layouts.remove(0) } else { json!({ "anyOf": layouts }) }
}

/// The body with what recognition adds; several ways of recognition are several schemas.
fn recognised_body(api: &Api, message: &Message) -> Value {
    let [Test::AnyOf(ways)] = message.tests.as_slice() else {
        return body(api, &message.body, &message.writes);
    };
    let ways = ways.iter().map(|tests| {
        let members = tests.iter().filter_map(|test| match test {
            Test::Equals { path, value } if path.len() == 1 => Some((path[0].clone(), value.clone())),
            Test::Equals { .. }
            | Test::Present { .. }
            | Test::ArrayHead(_)
            | Test::Kind(_)
            | Test::AnyOf(_) => None,
        });
        body(api, &message.body, &Writes::Members(members.collect()))
    });
    json!({ "anyOf": ways.collect::<Vec<_>>() })
}

fn with_member(mut schema: Value, name: &str) -> Value {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(name.into(), json!({}));
    }
    schema
}

/// A body together with what recognition adds to it.
fn body(api: &Api, ty: &Type, writes: &Writes) -> Value {
    match (writes, resolved(api, ty)) {
        (Writes::Members(added), _) if added.is_empty() => json!({ "allOf": [of(ty)] }),
        (Writes::Members(added), Some(TypeKind::Record(fields))) => record(fields, added),
        (Writes::Members(added), _) => json!({ "allOf": [of(ty), record(&[], added)] }),
        (Writes::Head(head), Some(TypeKind::Tuple { items, rest })) => tuple(&[head], items, rest.as_ref()),
        (Writes::Head(head), _) => tuple(&[head], &[], Some(&Type::Json)),
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
