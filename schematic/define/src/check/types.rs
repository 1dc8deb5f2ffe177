//! The type table: names, members, values, and that every type has a value at all.

use std::collections::HashSet;

use super::{Problems, fits, recognition};
use crate::{Definition, EnumValue, Field, Record, Shape, Tuple, Type, TypeDef, Union};

pub(super) fn check(problems: &mut Problems, definition: &Definition) {
    problems.unique("types", "the type", definition.types.iter().map(|t| &t.name));
    for entry in &definition.types {
        let place = format!("types.{}", entry.name);
        problems.require(!entry.name.trim().is_empty(), &place, "the type has no name; give it one");
        match &entry.shape {
            Shape::Record(record) => self::record(problems, definition, &place, record),
            Shape::Enum { values, .. } => values_of_enum(problems, &place, values),
            Shape::Union(union) => self::union(problems, definition, &place, union),
            Shape::Tuple(tuple) => self::tuple(problems, definition, &place, tuple),
            Shape::Alias(of) => require_named(problems, definition, &place, of),
        }
        finite(problems, definition, &place, entry);
    }
}

/// Notes a name that the type table lacks.
pub(super) fn require_type(problems: &mut Problems, definition: &Definition, place: &str, name: &str) {
    problems.require(
        definition.find_type(name).is_some(),
        place,
        format!("no type is named `{name}`; add it to `types` or correct the name"),
    );
}

/// Notes every name in a type that the type table lacks.
fn require_named(problems: &mut Problems, definition: &Definition, place: &str, of: &Type) {
    match of {
        Type::Named(name) => require_type(problems, definition, place, name),
        Type::Array(item) | Type::Map(item) => require_named(problems, definition, place, item),
        Type::String
        | Type::Integer
        | Type::Unsigned
        | Type::Float
        | Type::Boolean
        | Type::Timestamp
        | Type::Bytes
        | Type::Json => {}
    }
}

fn record(problems: &mut Problems, definition: &Definition, place: &str, record: &Record) {
    let names = record.fields.iter().flat_map(|f| std::iter::once(&f.name).chain(&f.aliases));
    problems.unique(place, "the member", names);
    for field in &record.fields {
        let place = format!("{place}.{}", field.name);
        require_named(problems, definition, &place, &field.field_type);
        constant(problems, &place, field);
        for (what, value) in [("constant", &field.constant), ("default", &field.default)] {
            let Some(value) = value else { continue };
            if what == "default" && value.is_null() {
                continue;
            }
            if let Err(why) = fits::fits(definition, value, &field.field_type) {
                problems.add(&place, format!("the {what} does not fit the type: {why}; correct one of them"));
            }
        }
    }
}

fn constant(problems: &mut Problems, place: &str, field: &Field) {
    let Some(constant) = &field.constant else { return };
    problems.require(
        constant.is_string() || constant.is_boolean() || constant.is_i64() || constant.is_u64(),
        place,
        "a constant is a string, a whole number or a boolean; choose one",
    );
    problems.require(field.default.is_none(), place, "it has a constant and a default; remove the default");
}

fn values_of_enum(problems: &mut Problems, place: &str, values: &[EnumValue]) {
    problems.require(!values.is_empty(), place, "the list has no values; add one");
    problems.unique(place, "the value", values.iter().map(|v| &v.value));
}

fn union(problems: &mut Problems, definition: &Definition, place: &str, union: &Union) {
    problems.require(!union.variants.is_empty(), place, "the union has no alternatives; add one");
    problems.unique(place, "the alternative", union.variants.iter().map(|v| &v.name));
    for variant in &union.variants {
        let place = format!("{place}.{}", variant.name);
        problems.require(
            !variant.name.eq_ignore_ascii_case("unknown"),
            &place,
            "the name is reserved for what is none of the alternatives; choose another",
        );
        require_named(problems, definition, &place, &variant.variant_type);
        recognition::well_formed(problems, definition, &place, &variant.recognition, &variant.variant_type);
        problems.require(
            variant.recognition != crate::Recognition::Frame,
            &place,
            "a value inside a message has no frame; recognise it in another way",
        );
    }
    for (at, variant) in union.variants.iter().enumerate() {
        for later in &union.variants[at + 1..] {
            let apart = recognition::apart(&variant.recognition, &later.recognition);
            problems.require(
                apart || variant.first,
                place,
                format!(
                    "`{}` and `{}` cannot be told apart; recognise one differently, or mark the earlier one `first`",
                    variant.name, later.name
                ),
            );
            if !apart && variant.first {
                let pair = [
                    (variant.name.as_str(), &variant.recognition),
                    (later.name.as_str(), &later.recognition),
                ];
                recognition::require_reachable(problems, place, pair);
            }
        }
    }
}

fn tuple(problems: &mut Problems, definition: &Definition, place: &str, tuple: &Tuple) {
    problems.unique(place, "the place", tuple.items.iter().map(|i| &i.name));
    let mut optional = false;
    for item in &tuple.items {
        let place = format!("{place}.{}", item.name);
        require_named(problems, definition, &place, &item.item_type);
        problems.require(
            item.optional || !optional,
            &place,
            "a place before it may be absent; make it optional too",
        );
        optional |= item.optional;
    }
    if let Some(rest) = &tuple.rest {
        require_named(problems, definition, place, rest);
    }
}

/// Notes a type of which no value could ever be written, because each holds another.
fn finite(problems: &mut Problems, definition: &Definition, place: &str, entry: &TypeDef) {
    let mut seen = HashSet::new();
    problems.require(
        !must_hold(definition, &entry.shape, &entry.name, &mut seen),
        place,
        "every value of it holds another one of it, without end; make a member optional or a list",
    );
}

fn must_hold<'a>(
    definition: &'a Definition,
    shape: &'a Shape,
    name: &str,
    seen: &mut HashSet<&'a str>,
) -> bool {
    match shape {
        Shape::Record(record) => record
            .fields
            .iter()
            .filter(|f| !f.optional && !f.nullable)
            .any(|f| type_must_hold(definition, &f.field_type, name, seen)),
        Shape::Tuple(tuple) => tuple
            .items
            .iter()
            .filter(|i| !i.optional)
            .any(|i| type_must_hold(definition, &i.item_type, name, seen)),
        Shape::Alias(of) => {
            alias_leads_back(definition, of, name, 0) || type_must_hold(definition, of, name, seen)
        }
        Shape::Union(union) => {
            !union.variants.is_empty()
                && union
                    .variants
                    .iter()
                    .all(|v| type_must_hold(definition, &v.variant_type, name, &mut seen.clone()))
        }
        Shape::Enum { .. } => false,
    }
}

/// An alias is only another name, so it must not lead back to itself, not even through lists.
fn alias_leads_back(definition: &Definition, of: &Type, name: &str, steps: usize) -> bool {
    match of {
        Type::Array(item) | Type::Map(item) => alias_leads_back(definition, item, name, steps),
        Type::Named(here) if here == name => true,
        Type::Named(here) => match definition.find_type(here).map(|entry| &entry.shape) {
            Some(Shape::Alias(next)) if steps < definition.types.len() => {
                alias_leads_back(definition, next, name, steps + 1)
            }
            _ => false,
        },
        _ => false,
    }
}

fn type_must_hold<'a>(
    definition: &'a Definition,
    ty: &'a Type,
    name: &str,
    seen: &mut HashSet<&'a str>,
) -> bool {
    let Type::Named(here) = ty else { return false };
    if here == name {
        return true;
    }
    if !seen.insert(here) {
        return false;
    }
    definition.find_type(here).is_some_and(|entry| must_hold(definition, &entry.shape, name, seen))
}
