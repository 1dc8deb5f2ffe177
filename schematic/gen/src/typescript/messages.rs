//! Writes the messages of a direction: their union, and the table by which they are told apart.

use heck::ToLowerCamelCase;
use schematic_define::{BodyKind, Envelope, FrameKind, JsonKind, Layout};

use super::types::{shape, type_of};
use super::writer::{Writer, key, list, literal, names, quoted};
use crate::ir::{Direction, Message, Test, Writes};

/// Name of the table of a direction.
pub(super) fn table_name(direction: &Direction) -> String {
    format!("{}s", direction.name.to_lower_camel_case())
}

/// The union of the messages, its table, and the functions that read and write frames.
pub(super) fn declare(out: &mut Writer, direction: &Direction, envelope: Option<&Envelope>, speaker: &str) {
    let name = &direction.name;
    let id = envelope.and_then(|envelope| envelope.id.as_ref());
    let id_member = if id.is_some() { "; readonly id?: unknown" } else { "" };
    out.blank();
    out.doc(&format!("Everything that the {speaker} says"));
    out.block(format!("export type {name} ="), "", |out| {
        for message in &direction.messages {
            out.doc(&message.description);
            let body = body_type(message);
            out.line(format!(
                "| {{ readonly name: {}; readonly body: {body}{id_member} }}",
                quoted(&message.name)
            ));
        }
        out.doc("None of these, as it came");
        out.line("| runtime.Unknown;");
    });
    let tag = direction.tag.as_ref().map_or("undefined".into(), names);
    let id = id.map_or(String::new(), |id| {
        let also = list(id.also.iter().map(names));
        format!(", {{ field: {}, also: [{also}] }}", quoted(&id.field))
    });
    let close = if tag == "undefined" && id.is_empty() { "]);".into() } else { format!("], {tag}{id});") };
    out.doc(&format!("Reads and writes what the {speaker} says"));
    out.block(
        format!("export const {} = new runtime.Messages<{name}>([", table_name(direction)),
        &close,
        |out| {
            for message in &direction.messages {
                out.line(format!("{{ {} }},", table_entry(message)));
            }
        },
    );
    functions(out, direction);
}

fn functions(out: &mut Writer, direction: &Direction) {
    let (name, table) = (&direction.name, table_name(direction));
    out.blank();
    out.doc("Reads a frame; an error of kind `shape` if it is not JSON, or the body of a known message does not fit");
    out.block(format!("export function decode{name}(frame: runtime.Frame): {name} {{"), "}", |out| {
        out.line(format!("return {table}.decode(frame);"));
    });
    out.blank();
    out.doc("Writes a message; an error of kind `shape` if its body does not fit");
    out.block(format!("export function encode{name}(message: {name}): runtime.Frame {{"), "}", |out| {
        out.line(format!("return {table}.encode(message);"));
    });
}

/// The type of a message's body; that of a raw one is the content of the frame.
pub(super) fn body_type(message: &Message) -> String {
    match (message.encoding, message.frame) {
        (BodyKind::Json, _) => type_of(&message.body),
        (BodyKind::Raw, FrameKind::Text) => "string".into(),
        (BodyKind::Raw, FrameKind::Binary) => "Uint8Array".into(),
        (BodyKind::Raw, FrameKind::Either) => "runtime.Frame".into(),
    }
}

fn table_entry(message: &Message) -> String {
    let mut parts = vec![
        format!("name: {}", quoted(&message.name)),
        format!("body: {}", shape(&message.body)),
        recognition(&message.tests, &message.writes),
    ];
    match message.frame {
        FrameKind::Text => {}
        FrameKind::Binary => parts.push("frame: \"binary\"".into()),
        FrameKind::Either => parts.push("frame: \"either\"".into()),
    }
    if message.encoding == BodyKind::Raw {
        parts.push("raw: true".into());
    }
    if !message.layouts.is_empty() {
        parts.push(format!("layouts: [{}]", list(message.layouts.iter().map(layout))));
    }
    parts.join(", ")
}

fn layout(layout: &Layout) -> String {
    match layout {
        Layout::Flat => "\"flat\"".into(),
        Layout::Under(member) => format!("{{ under: {} }}", quoted(member)),
    }
}

/// How something is recognised, and what recognition adds when it is written.
pub(super) fn recognition(tests: &[Test], writes: &Writes) -> String {
    let tests = format!("tests: [{}]", list(tests.iter().map(test)));
    match writes {
        Writes::Members(members) if members.is_empty() => tests,
        Writes::Members(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", key(name), literal(value)));
            format!("{tests}, writes: {{ {} }}", list(members))
        }
        Writes::Head(value) => format!("{tests}, head: {}", literal(value)),
    }
}

fn test(test: &Test) -> String {
    match test {
        Test::Equals { path, value } => format!("{{ path: {}, value: {} }}", names(path), literal(value)),
        Test::Present { field } => format!("{{ has: {} }}", quoted(field)),
        Test::ArrayHead(value) => format!("{{ head: {} }}", literal(value)),
        Test::Kind(kind) => format!("{{ kind: {} }}", quoted(kind_name(*kind))),
        Test::AnyOf(ways) => {
            let ways = ways.iter().map(|tests| format!("[{}]", list(tests.iter().map(self::test))));
            format!("{{ anyOf: [{}] }}", list(ways))
        }
    }
}

fn kind_name(kind: JsonKind) -> &'static str {
    match kind {
        JsonKind::Object => "object",
        JsonKind::Array => "array",
        JsonKind::String => "string",
        JsonKind::Number => "number",
        JsonKind::Boolean => "boolean",
        JsonKind::Null => "null",
    }
}
