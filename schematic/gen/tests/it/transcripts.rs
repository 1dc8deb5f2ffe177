//! The written transcripts: every message and every alias occurs, every line is the message that it names, and generated
//! Rust writes it again as the JSON that is committed, against which the TypeScript runtime's tests hold their own.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schematic_define::{BodyKind, Definition, FrameKind, Type};
use schematic_definitions::transcripts::{self, Frame, Line};
use schematic_gen::ir::{self, Api, Direction, Message, TypeKind};
use serde_json::{Value, json};

use crate::written::{deepgram, discord, elevenlabs, graphql_transport_ws, home_assistant, openai_realtime};

/// A definition with its transcript.
struct Written {
    name: &'static str,
    api: Api,
    lines: Vec<Line<'static>>,
}

fn all() -> Vec<Written> {
    let definitions: BTreeMap<&str, Definition> = schematic_definitions::all().into_iter().collect();
    let written = transcripts::all().into_iter().map(|(name, text)| Written {
        name,
        api: ir::lower(&definitions[name]).unwrap(),
        lines: transcripts::parse(text).unwrap_or_else(|e| panic!("{name}: {e}")),
    });
    written.collect()
}

impl Written {
    fn direction(&self, line: &Line) -> &Direction {
        let endpoint = self.api.endpoints.iter().find(|e| e.wire == line.endpoint);
        let endpoint = endpoint.unwrap_or_else(|| panic!("{} has no endpoint {}", self.name, line.endpoint));
        if line.from_client { &endpoint.client } else { &endpoint.server }
    }

    fn place(&self, line: &Line) -> String {
        format!("transcripts/{}.txt:{}", self.name, line.number)
    }
}

fn value(frame: &Frame) -> Option<Value> {
    match frame {
        Frame::Text(text) => Some(serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))),
        Frame::Binary(_) => None,
    }
}

/// The message that a frame is by the definition alone: the first whose kind of frame and whose tests fit.
fn recognise<'a>(direction: &'a Direction, frame: &Frame) -> Option<&'a Message> {
    let value = value(frame);
    direction.messages.iter().find(|message| match (&value, message.frame) {
        (Some(value), FrameKind::Text | FrameKind::Either) => message.tests.iter().all(|t| t.holds(value)),
        (None, FrameKind::Binary | FrameKind::Either) => true,
        (Some(_), FrameKind::Binary) | (None, FrameKind::Text) => false,
    })
}

#[test]
fn every_line_is_the_message_that_it_names() {
    for written in all() {
        for line in &written.lines {
            let found = recognise(written.direction(line), &line.frame).map(|m| m.wire.as_str());
            assert_eq!(found, Some(line.message), "{}", written.place(line));
        }
    }
}

#[test]
fn every_message_occurs_on_each_side_that_says_it() {
    for written in all() {
        let said: BTreeSet<_> =
            written.lines.iter().map(|line| (line.endpoint, line.from_client, line.message)).collect();
        let missing: Vec<String> = written
            .api
            .endpoints
            .iter()
            .flat_map(|e| {
                e.client
                    .messages
                    .iter()
                    .map(move |m| (e, true, m))
                    .chain(e.server.messages.iter().map(move |m| (e, false, m)))
            })
            .filter(|(e, from_client, m)| !said.contains(&(e.wire.as_str(), *from_client, m.wire.as_str())))
            .map(|(e, from_client, m)| {
                format!("{} {} {}", e.wire, if from_client { ">" } else { "<" }, m.wire)
            })
            .collect();
        assert_eq!(missing, Vec::<String>::new(), "transcripts/{}.txt lacks messages", written.name);
    }
}

#[test]
fn every_alias_occurs() {
    let mut counts = Vec::new();
    for written in all() {
        let mut met = BTreeSet::new();
        for line in &written.lines {
            let message = recognise(written.direction(line), &line.frame).unwrap();
            if let Some(value) = value(&line.frame) {
                walk(&written.api, &message.body, &value, &mut met);
                other_ways(message, &value, &mut met);
            }
        }
        let wanted = aliases(&written.api);
        let missing: Vec<_> = wanted.difference(&met).collect();
        assert!(missing.is_empty(), "transcripts/{}.txt lacks the aliases {missing:?}", written.name);
        counts.push((written.name, wanted.len()));
    }
    let with_aliases: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    // 19 other names of members, and both ways to recognise each of two messages.
    assert_eq!(with_aliases, [("elevenlabs", 23)]);
}

/// Every other name of a member, as `Type.name`, and every way of recognition of a message that has several.
fn aliases(api: &Api) -> BTreeSet<String> {
    let members = api.types.iter().flat_map(|decl| match &decl.kind {
        TypeKind::Record(fields) => {
            let names = fields.iter().flat_map(|f| &f.aliases);
            names.map(|alias| format!("{}.{alias}", decl.name)).collect::<Vec<_>>()
        }
        TypeKind::Enum { .. } | TypeKind::Union(_) | TypeKind::Tuple { .. } | TypeKind::Alias(_) => vec![],
    });
    let messages = api.endpoints.iter().flat_map(|e| e.client.messages.iter().chain(&e.server.messages));
    members.chain(messages.flat_map(ways)).collect()
}

/// Names of the ways of recognition, if there are several.
fn ways(message: &Message) -> Vec<String> {
    let [ir::Test::AnyOf(ways)] = message.tests.as_slice() else { return vec![] };
    (1..=ways.len()).map(|way| format!("{} way {way}", message.wire)).collect()
}

fn other_ways(message: &Message, value: &Value, met: &mut BTreeSet<String>) {
    let [ir::Test::AnyOf(ways)] = message.tests.as_slice() else { return };
    let holding = ways.iter().enumerate().filter(|(_, tests)| tests.iter().all(|t| t.holds(value)));
    met.extend(holding.map(|(at, _)| format!("{} way {}", message.wire, at + 1)));
}

/// Notes the aliases in a value of a type.
fn walk(api: &Api, ty: &Type, value: &Value, met: &mut BTreeSet<String>) {
    match ty {
        Type::Array(item) => {
            value.as_array().into_iter().flatten().for_each(|value| walk(api, item, value, met));
        }
        Type::Map(item) => {
            value.as_object().into_iter().flatten().for_each(|(_, value)| walk(api, item, value, met));
        }
        Type::Named(name) => walk_named(api, &api.find(name).unwrap().name, value, met),
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

fn walk_named(api: &Api, name: &str, value: &Value, met: &mut BTreeSet<String>) {
    match &api.find(name).unwrap().kind {
        TypeKind::Record(fields) => {
            for field in fields {
                met.extend(
                    field.aliases.iter().filter(|a| value.get(a).is_some()).map(|a| format!("{name}.{a}")),
                );
                let names = std::iter::once(&field.wire).chain(&field.aliases);
                names.filter_map(|n| value.get(n)).for_each(|value| walk(api, &field.ty, value, met));
            }
        }
        TypeKind::Union(variants) => {
            let fits = variants.iter().find(|v| v.tests.iter().all(|t| t.holds(value)));
            fits.into_iter().for_each(|variant| walk(api, &variant.ty, value, met));
        }
        TypeKind::Tuple { items, rest } => {
            let types = items.iter().map(|item| &item.ty).chain(rest.iter().cycle());
            let values = value.as_array().into_iter().flatten();
            types.zip(values).for_each(|(ty, value)| walk(api, ty, value, met));
        }
        TypeKind::Alias(of) => walk(api, of, value, met),
        TypeKind::Enum { .. } => {}
    }
}

#[test]
fn every_line_fits_its_types() {
    for written in all() {
        let document = crate::asyncapi::export(&written.api.definition);
        for line in &written.lines {
            let message = recognise(written.direction(line), &line.frame).unwrap();
            if message.encoding == BodyKind::Json {
                let verdict = crate::asyncapi::validator(&document, line.message);
                let value = value(&line.frame).unwrap();
                assert!(verdict.is_valid(&value), "{}: {:?}", written.place(line), verdict.validate(&value));
            }
        }
    }
}

/// A frame as generated Rust has read and written it: the message's variant, and the frame's content.
type Again = fn(&Frame) -> (String, Vec<u8>);

macro_rules! again {
    ($messages:ty) => {
        (|frame| {
            let Frame::Text(text) = frame else { panic!("there are no binary frames in this direction") };
            let message = <$messages>::decode(text).unwrap();
            let mut out = Vec::new();
            message.encode_into(&mut out);
            (format!("{message:?}"), out)
        }) as Again
    };
}

fn audio_or_text(frame: &Frame) -> (String, Vec<u8>) {
    let message = match frame {
        Frame::Text(text) => deepgram::ClientMessage::decode(text).unwrap(),
        Frame::Binary(base64) => {
            deepgram::ClientMessage::decode_binary(&STANDARD.decode(base64).unwrap()).unwrap()
        }
    };
    assert_eq!(message.is_binary(), matches!(frame, Frame::Binary(_)));
    (format!("{message:?}"), message.encode())
}

/// The generated code of each direction, by definition and name of the direction.
fn generated() -> BTreeMap<(&'static str, &'static str), Again> {
    BTreeMap::from([
        (("deepgram", "ClientMessage"), audio_or_text as Again),
        (("deepgram", "ServerMessage"), again!(deepgram::ServerMessage)),
        (("discord", "ClientMessage"), again!(discord::ClientMessage)),
        (("discord", "ServerMessage"), again!(discord::ServerMessage)),
        (
            ("elevenlabs", "StreamTextToSpeechClientMessage"),
            again!(elevenlabs::StreamTextToSpeechClientMessage),
        ),
        (
            ("elevenlabs", "StreamTextToSpeechServerMessage"),
            again!(elevenlabs::StreamTextToSpeechServerMessage),
        ),
        (
            ("elevenlabs", "MultiContextTextToSpeechClientMessage"),
            again!(elevenlabs::MultiContextTextToSpeechClientMessage),
        ),
        (
            ("elevenlabs", "MultiContextTextToSpeechServerMessage"),
            again!(elevenlabs::MultiContextTextToSpeechServerMessage),
        ),
        (("graphql_transport_ws", "ClientMessage"), again!(graphql_transport_ws::ClientMessage)),
        (("graphql_transport_ws", "ServerMessage"), again!(graphql_transport_ws::ServerMessage)),
        (("home_assistant", "ClientMessage"), again!(home_assistant::ClientMessage)),
        (("home_assistant", "ServerMessage"), again!(home_assistant::ServerMessage)),
        (("openai_realtime", "ClientMessage"), again!(openai_realtime::ClientMessage)),
        (("openai_realtime", "ServerMessage"), again!(openai_realtime::ServerMessage)),
    ])
}

/// JSON that is the same for the same meaning: members in the order of their names, whole numbers without a fraction.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> =
                members.into_iter().map(|(name, member)| (name, canonical(member))).collect();
            sorted.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Number(number) => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => json!(float as i64),
            Some(_) | None => Value::Number(number),
        },
        scalar @ (Value::Null | Value::Bool(_) | Value::String(_)) => scalar,
    }
}

/// A line as both languages must write it: JSON in its canonical form, or base64.
fn again(written: &Written, line: &Line, generated: &BTreeMap<(&str, &str), Again>) -> Value {
    let direction = written.direction(line);
    let again = generated[&(written.name, direction.name.as_str())];
    let (debug, out) = again(&line.frame);
    assert!(debug.starts_with(&format!("{}(", line.message)), "{}: {debug}", written.place(line));
    let (kind, given, expected) = match line.frame {
        Frame::Binary(base64) => ("binary", base64, STANDARD.encode(&out)),
        Frame::Text(text) => {
            let out = String::from_utf8(out).unwrap();
            let (_, twice) = again(&Frame::Text(&out));
            assert_eq!(String::from_utf8(twice).unwrap(), out, "{}", written.place(line));
            ("text", text, canonical(serde_json::from_str(&out).unwrap()).to_string())
        }
    };
    json!({ "table": direction.name, "message": line.message, "kind": kind, "frame": given, "written": expected })
}

#[test]
fn generated_rust_writes_every_line_again_as_what_is_committed() {
    let generated = generated();
    for written in all() {
        let lines: Vec<String> =
            written.lines.iter().map(|line| again(&written, line, &generated).to_string()).collect();
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        crate::golden::require_committed(written.name, "transcript.json", &text);
    }
}

#[test]
fn what_is_written_means_what_was_read() {
    let generated = generated();
    for written in all() {
        for line in &written.lines {
            let Some(given) = value(&line.frame) else { continue };
            let again = again(&written, line, &generated);
            let after: Value = serde_json::from_str(again["written"].as_str().unwrap()).unwrap();
            assert_eq!(scalars(&canonical(given)), scalars(&after), "{}", written.place(line));
        }
    }
}

/// The scalars of a value without the names above them, which aliases change, and without `null`, which may be left out.
fn scalars(value: &Value) -> Vec<String> {
    let mut all: Vec<String> = match value {
        Value::Null => vec![],
        Value::Object(members) => members.values().flat_map(scalars).collect(),
        Value::Array(items) => items.iter().flat_map(scalars).collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![value.to_string()],
    };
    all.sort();
    all
}
