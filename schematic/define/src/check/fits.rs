//! Whether a JSON value is a value of a type. Used for constants, defaults and examples.

use serde_json::Value;

use crate::{Definition, Field, Openness, Record, Shape, Tuple, Type};

/// Deepest nesting that is looked into; what lies deeper is taken to fit.
const DEPTH: usize = 64;

/// `Ok` if the value fits, else where it does not and why.
pub(super) fn fits(definition: &Definition, value: &Value, ty: &Type) -> Result<(), String> {
    at_depth(definition, value, ty, 0)
}

fn at_depth(definition: &Definition, value: &Value, ty: &Type, depth: usize) -> Result<(), String> {
    if depth > DEPTH {
        return Ok(());
    }
    let scalar = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{value} is no {what}")) };
    match ty {
        Type::Json => Ok(()),
        Type::String | Type::Timestamp => scalar(value.is_string(), "string"),
        Type::Bytes => scalar(value.as_str().is_some_and(is_base64), "base64 text"),
        Type::Integer => scalar(value.is_i64(), "whole number"),
        Type::Unsigned => scalar(value.is_u64(), "whole number without sign"),
        Type::Float => scalar(value.is_number(), "number"),
        Type::Boolean => scalar(value.is_boolean(), "boolean"),
        Type::Array(item) => {
            let items = value.as_array().ok_or_else(|| format!("{value} is no array"))?;
            items.iter().enumerate().try_for_each(|(at, item_value)| {
                inside(&at.to_string(), at_depth(definition, item_value, item, depth + 1))
            })
        }
        Type::Map(of) => {
            let members = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
            members
                .iter()
                .try_for_each(|(name, member)| inside(name, at_depth(definition, member, of, depth + 1)))
        }
        Type::Named(name) => match definition.find_type(name) {
            Some(entry) => shape(definition, value, &entry.shape, depth + 1),
            None => Ok(()),
        },
    }
}

fn inside(name: &str, result: Result<(), String>) -> Result<(), String> {
    result.map_err(|why| format!("in `{name}`: {why}"))
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    text.len().is_multiple_of(4)
        && padding <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

fn shape(definition: &Definition, value: &Value, shape: &Shape, depth: usize) -> Result<(), String> {
    match shape {
        Shape::Record(of) => record(definition, value, of, depth),
        Shape::Enum { openness, values } => {
            let text = value.as_str().ok_or_else(|| format!("{value} is no string"))?;
            let known = *openness == Openness::Open || values.iter().any(|v| v.value == text);
            if known { Ok(()) } else { Err(format!("{value} is not in the list")) }
        }
        Shape::Union(union) => {
            let variant =
                union.variants.iter().find(|v| v.recognition.tests().iter().all(|t| t.holds(value)));
            let variant = variant.ok_or_else(|| format!("{value} is none of the alternatives"))?;
            inside(&variant.name, at_depth(definition, value, &variant.variant_type, depth))
        }
        Shape::Tuple(of) => tuple(definition, value, of, depth),
        Shape::Alias(of) => at_depth(definition, value, of, depth),
    }
}

fn record(definition: &Definition, value: &Value, record: &Record, depth: usize) -> Result<(), String> {
    let members = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    for field in &record.fields {
        let names = std::iter::once(&field.name).chain(&field.aliases);
        let mut found = names.filter_map(|name| members.get(name));
        let member = found.next();
        if found.next().is_some() {
            return Err(format!("`{}` is there under two names", field.name));
        }
        inside(&field.name, self::member(definition, member, field, depth))?;
    }
    Ok(())
}

fn member(definition: &Definition, value: Option<&Value>, field: &Field, depth: usize) -> Result<(), String> {
    match (value, &field.constant) {
        (None, _) if field.optional || field.nullable => Ok(()),
        (None, _) => Err("it is missing".into()),
        (Some(Value::Null), _) if field.nullable || field.optional => Ok(()),
        (Some(value), Some(constant)) if value != constant => Err(format!("{value} is not {constant}")),
        (Some(value), _) => at_depth(definition, value, &field.field_type, depth),
    }
}

fn tuple(definition: &Definition, value: &Value, tuple: &Tuple, depth: usize) -> Result<(), String> {
    let values = value.as_array().ok_or_else(|| format!("{value} is no array"))?;
    let mut values = values.iter();
    for item in &tuple.items {
        match values.next() {
            Some(value) => inside(&item.name, at_depth(definition, value, &item.item_type, depth))?,
            None if item.optional => {}
            None => return Err(format!("the list ends before `{}`", item.name)),
        }
    }
    match &tuple.rest {
        Some(rest) => values.try_for_each(|value| at_depth(definition, value, rest, depth)),
        None => Ok(()),
    }
}
