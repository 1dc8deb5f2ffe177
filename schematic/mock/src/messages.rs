//! Frames as the definition sees them: which messages a frame could be, and values at paths.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schematic_define::{
    BodyKind, Breach, Definition, Field, FrameKind, MessageFacts, MessageSchema, Shape, WebSocketEndpoint,
};
use serde_json::{Map, Value};

/// What came from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A text frame
    Text(String),
    /// A binary frame
    Binary(Vec<u8>),
}

impl Incoming {
    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// What the server says: a frame as an example of the definition shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// Id of the message
    pub(crate) message: String,
    /// The frame
    pub(crate) frame: Value,
}

/// What the client did wrong, and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) breach: Breach,
    pub(crate) reason: String,
}

impl Wrong {
    pub(crate) fn new(breach: Breach, reason: impl Into<String>) -> Self {
        Self { breach, reason: reason.into() }
    }
}

/// The frame as an example would show it, and every client message that it could be, in the order in which they are
/// tried.
pub(crate) fn candidates<'a>(
    definition: &'a Definition,
    endpoint: &'a WebSocketEndpoint,
    incoming: &Incoming,
) -> Result<(Value, Vec<&'a MessageSchema>), Wrong> {
    let json = match incoming {
        Incoming::Text(text) => serde_json::from_str::<Value>(text),
        Incoming::Binary(bytes) => serde_json::from_slice(bytes),
    };
    let raw = match incoming {
        Incoming::Text(text) => Value::from(text.as_str()),
        Incoming::Binary(bytes) => BASE64.encode(bytes).into(),
    };
    let known = in_order(definition, endpoint);
    let carried = known.into_iter().filter(|(_, facts)| carries(facts.frame, incoming));
    let could_be = carried.filter(|(_, facts)| match (facts.body, &json) {
        (BodyKind::Raw, _) => true,
        (BodyKind::Json, Ok(value)) => facts.recognition.tests().iter().all(|test| test.holds(value)),
        (BodyKind::Json, Err(_)) => false,
    });
    let found: Vec<(&MessageSchema, &MessageFacts)> = could_be.collect();
    match (found.first(), json) {
        (Some((_, facts)), Ok(value)) if facts.body == BodyKind::Json => Ok((value, schemas(found))),
        (Some(_), _) => Ok((raw, schemas(found))),
        (None, Err(why)) => Err(Wrong::new(Breach::Unreadable, format!("the frame is not JSON: {why}"))),
        (None, Ok(_)) => Err(Wrong::new(Breach::Unknown, "the frame is none of the client's messages")),
    }
}

fn schemas<'a>(found: Vec<(&'a MessageSchema, &'a MessageFacts)>) -> Vec<&'a MessageSchema> {
    found.into_iter().map(|(schema, _)| schema).collect()
}

/// The client's messages with their facts. What `precedence` does not list overlaps with nothing.
fn in_order<'a>(
    definition: &'a Definition,
    endpoint: &'a WebSocketEndpoint,
) -> Vec<(&'a MessageSchema, &'a MessageFacts)> {
    let precedence = definition.find_policy(&endpoint.id).map_or(&[][..], |policy| &policy.precedence);
    let schemas = endpoint.lifecycle.from_client();
    let mut known: Vec<_> = schemas.filter_map(|s| Some((s, definition.find_message(&s.id)?))).collect();
    known.sort_by_key(|(schema, _)| precedence.iter().position(|id| *id == schema.id).map_or(0, |at| at + 1));
    known
}

fn carries(kind: FrameKind, incoming: &Incoming) -> bool {
    match kind {
        FrameKind::Text => matches!(incoming, Incoming::Text(_)),
        FrameKind::Binary => matches!(incoming, Incoming::Binary(_)),
        FrameKind::Either => true,
    }
}

/// The members of a message's record; none if its body is no record.
pub(crate) fn fields<'a>(definition: &'a Definition, schema: &MessageSchema) -> &'a [Field] {
    match definition.find_type(&schema.schema.type_name).map(|entry| &entry.shape) {
        Some(Shape::Record(record)) => &record.fields,
        Some(Shape::Enum { .. } | Shape::Union(_) | Shape::Tuple(_) | Shape::Alias(_)) | None => &[],
    }
}

/// Whether the frame has a member that the first message lists and the second does not.
pub(crate) fn only_of_first(
    definition: &Definition,
    first: &MessageSchema,
    second: &MessageSchema,
    frame: &Value,
) -> bool {
    let seconds: Vec<&str> = fields(definition, second).iter().flat_map(names).collect();
    let mut firsts = fields(definition, first).iter().flat_map(names);
    firsts.any(|name| frame.get(name).is_some() && !seconds.contains(&name))
}

/// All names of a member.
fn names(field: &Field) -> impl Iterator<Item = &str> {
    std::iter::once(field.name.as_str()).chain(field.aliases.iter().map(String::as_str))
}

/// The value at a path.
pub(crate) fn at<'a>(frame: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(frame, |value, name| value.get(name))
}

/// The value at a path in a message; its first member may be there under another name.
pub(crate) fn member<'a>(
    definition: &Definition,
    schema: &MessageSchema,
    frame: &'a Value,
    path: &[String],
) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let field = fields(definition, schema).iter().find(|field| field.name == *first);
    let found = match field {
        Some(field) => names(field).find_map(|name| frame.get(name)),
        None => frame.get(first),
    };
    at(found?, rest)
}

/// Puts a value at a path; objects on the way are made.
pub(crate) fn put(frame: &mut Value, path: &[String], value: Value) {
    let mut place = frame;
    for name in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(members) = place else { return };
        place = members.entry(name.clone()).or_insert(Value::Null);
    }
    *place = value;
}
