//! Writes the type table: for each entry a type, and the shape that checks it.

use heck::ToLowerCamelCase;
use schematic_define::Type;

use super::messages::recognition;
use super::writer::{Writer, key, list, literal, member, quoted};
use crate::ir::{EnumValue, Field, Item, TypeDecl, TypeKind, UnionVariant};

/// A type and its shape.
pub(super) fn declare(out: &mut Writer, decl: &TypeDecl) {
    out.blank();
    match &decl.kind {
        TypeKind::Record(fields) => record(out, decl, fields),
        TypeKind::Enum { open, values } => enumeration(out, decl, *open, values),
        TypeKind::Union(variants) => union(out, decl, variants),
        TypeKind::Tuple { items, rest } => tuple(out, decl, items, rest.as_ref()),
        TypeKind::Alias(ty) => {
            out.doc(&decl.description);
            out.line(format!("export type {} = {};", decl.name, type_of(ty)));
            out.blank();
            out.line(format!("{} = {};", shape_head(decl), shape(ty)));
        }
    }
}

/// A type as it is written.
pub(super) fn type_of(ty: &Type) -> String {
    match ty {
        Type::String | Type::Timestamp => "string".into(),
        Type::Integer | Type::Unsigned | Type::Float => "number".into(),
        Type::Boolean => "boolean".into(),
        Type::Bytes => "Uint8Array".into(),
        Type::Json => "unknown".into(),
        Type::Named(name) => name.clone(),
        Type::Array(item) => format!("{}[]", type_of(item)),
        Type::Map(item) => format!("Record<string, {}>", type_of(item)),
    }
}

/// The shape that checks a type.
pub(super) fn shape(ty: &Type) -> String {
    match ty {
        Type::String => "shape.string".into(),
        Type::Timestamp => "shape.timestamp".into(),
        Type::Integer => "shape.integer".into(),
        Type::Unsigned => "shape.unsigned".into(),
        Type::Float => "shape.float".into(),
        Type::Boolean => "shape.boolean".into(),
        Type::Bytes => "shape.bytes".into(),
        Type::Json => "shape.json".into(),
        // Types may refer to later ones and to themselves.
        Type::Named(name) => format!("shape.ref(() => {})", shape_name(name)),
        Type::Array(item) => format!("shape.array({})", shape(item)),
        Type::Map(item) => format!("shape.map({})", shape(item)),
    }
}

/// Name of the shape of a named type.
pub(super) fn shape_name(name: &str) -> String {
    format!("{}Shape", name.to_lower_camel_case())
}

fn shape_head(decl: &TypeDecl) -> String {
    format!("export const {}: runtime.Shape<{}>", shape_name(&decl.name), decl.name)
}

fn record(out: &mut Writer, decl: &TypeDecl, fields: &[Field]) {
    let typed: Vec<&Field> = fields.iter().filter(|field| field.constant.is_none()).collect();
    out.doc(&decl.description);
    if typed.is_empty() {
        out.line(format!("export type {} = Record<string, never>;", decl.name));
    } else {
        out.block(format!("export interface {} {{", decl.name), "}", |out| {
            typed.iter().for_each(|f| interface_member(out, f))
        });
    }
    out.blank();
    if fields.is_empty() {
        return out.line(format!("{} = shape.record({{}});", shape_head(decl)));
    }
    out.block(format!("{} = shape.record({{", shape_head(decl)), "});", |out| {
        for field in fields {
            out.line(format!("{}: {},", key(&field.wire), field_shape(field)));
        }
    });
}

fn interface_member(out: &mut Writer, field: &Field) {
    out.doc(&about(field));
    let mark = if field.optional { "?" } else { "" };
    let or_null = if field.nullable && !field.optional { " | null" } else { "" };
    out.line(format!("{}{mark}: {}{or_null};", member(&field.wire), type_of(&field.ty)));
}

/// What is said about a member, with its default.
fn about(field: &Field) -> String {
    match &field.default {
        Some(default) => {
            format!("{}. Default: {}", field.description.trim_end_matches('.'), literal(default))
        }
        None => field.description.clone(),
    }
}

fn field_shape(field: &Field) -> String {
    let mut text = shape(&field.ty);
    if let Some(value) = &field.constant {
        text = format!("shape.constant({}, {text})", literal(value));
    }
    if !field.aliases.is_empty() {
        text = format!("shape.alias({text}, {})", list(field.aliases.iter().map(|name| quoted(name))));
    }
    // Of an optional member `null` means absent, so that being nullable adds nothing.
    match (field.optional, field.nullable) {
        (true, _) => format!("shape.optional({text})"),
        (false, true) => format!("shape.nullable({text})"),
        (false, false) => text,
    }
}

fn enumeration(out: &mut Writer, decl: &TypeDecl, open: bool, values: &[EnumValue]) {
    let strings: Vec<String> = values.iter().map(|value| quoted(&value.wire)).collect();
    out.doc(&decl.description);
    // The last alternative keeps the known strings in an editor's proposals.
    let others = if open { " | (string & {})" } else { "" };
    out.line(format!("export type {} = {}{others};", decl.name, strings.join(" | ")));
    out.blank();
    if open {
        out.line(format!("{} = shape.openEnum();", shape_head(decl)));
    } else {
        out.line(format!("{} = shape.closedEnum({});", shape_head(decl), strings.join(", ")));
    }
}

fn union(out: &mut Writer, decl: &TypeDecl, variants: &[UnionVariant]) {
    out.doc(&decl.description);
    out.block(format!("export type {} =", decl.name), "", |out| {
        for variant in variants {
            out.doc(&variant.description);
            out.line(format!(
                "| {{ readonly name: {}; readonly body: {} }}",
                quoted(&variant.name),
                type_of(&variant.ty)
            ));
        }
        out.doc("None of these, as it came");
        out.line("| { readonly name: \"Unknown\"; readonly body: unknown };");
    });
    out.block(format!("{} = runtime.union(", shape_head(decl)), ");", |out| {
        for variant in variants {
            let recognition = recognition(&variant.tests, &variant.writes);
            out.line(format!(
                "{{ name: {}, shape: {}, {recognition} }},",
                quoted(&variant.name),
                shape(&variant.ty)
            ));
        }
    });
}

fn tuple(out: &mut Writer, decl: &TypeDecl, items: &[Item], rest: Option<&Type>) {
    let mut places: Vec<String> = items
        .iter()
        .map(|item| format!("{}{}: {}", item.name, if item.optional { "?" } else { "" }, type_of(&item.ty)))
        .collect();
    places.extend(rest.map(|ty| format!("...rest: {}[]", type_of(ty))));
    out.doc(&decl.description);
    out.line(format!("export type {} = [{}];", decl.name, places.join(", ")));
    out.blank();
    let shapes = items.iter().map(|item| {
        let optional = if item.optional { ", true" } else { "" };
        format!("[{}, {}{optional}]", quoted(&item.name), shape(&item.ty))
    });
    let rest = rest.map_or(String::new(), |ty| format!(", {}", shape(ty)));
    out.line(format!("{} = shape.tuple([{}]{rest});", shape_head(decl), list(shapes)));
}
