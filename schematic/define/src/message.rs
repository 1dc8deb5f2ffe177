//! What is known of a message beyond its name and type: how it is told apart, where its body lies, what answers
//! it, and what it looks like in an example.
//!
//! [`MessageFacts`] are kept by message id in [`crate::Definition::messages`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::is_default;

/// Everything about one message that [`crate::MessageSchema`] does not carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageFacts {
    /// Id of the message that the facts are about
    pub id: String,
    /// How it is told apart from the other messages that the same side sends
    pub recognition: Recognition,
    /// Which kind of frame carries it
    #[serde(default, skip_serializing_if = "is_default")]
    pub frame: FrameKind,
    /// How the body is written in the frame
    #[serde(default, skip_serializing_if = "is_default")]
    pub body: BodyKind,
    /// Where the body lies under the definition's envelope. Empty means as the envelope says; the first layout is
    /// the one that is written, all are read
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layouts: Vec<Layout>,
    /// What answers it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// Whether sending it twice does no harm, so that it may be sent again after a reconnect
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
    /// What it looks like
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

impl MessageFacts {
    /// The facts about a message: text frame, JSON body, no reply, no examples.
    pub fn new(id: impl Into<String>, recognition: Recognition) -> Self {
        Self {
            id: id.into(),
            recognition,
            frame: FrameKind::default(),
            body: BodyKind::default(),
            layouts: Vec::new(),
            reply: None,
            idempotent: false,
            examples: Vec::new(),
        }
    }

    /// Recognised by the value of the tag member.
    pub fn tag(id: impl Into<String>, field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(id, Recognition::Tag { field: field.into(), value: value.into() })
    }

    /// Recognised by a member that is there and not `null`.
    pub fn presence(id: impl Into<String>, field: impl Into<String>) -> Self {
        Self::new(id, Recognition::Presence { field: field.into() })
    }

    /// Recognised by a member with one particular value.
    pub fn literal(id: impl Into<String>, field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(id, Recognition::Literal { field: field.into(), value: value.into() })
    }

    /// Raw bytes in a binary frame, told apart by the kind of the frame alone.
    pub fn binary(id: impl Into<String>) -> Self {
        let mut facts = Self::new(id, Recognition::Frame);
        facts.frame = FrameKind::Binary;
        facts.body = BodyKind::Raw;
        facts
    }

    /// Says what answers it.
    pub fn reply(mut self, reply: Reply) -> Self {
        self.reply = Some(reply);
        self
    }

    /// Sending it twice does no harm.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Where the body lies; the first is written, all are read.
    pub fn layouts(mut self, layouts: Vec<Layout>) -> Self {
        self.layouts = layouts;
        self
    }

    /// What it looks like: the whole frame, as JSON.
    pub fn example(mut self, name: impl Into<String>, value: Value) -> Self {
        self.examples.push(Example { name: name.into(), value });
        self
    }
}

/// How a message (or an alternative of a union) is told apart from its neighbours.
///
/// Two messages are told apart when no frame can match both. Where frames could, the definition has to say
/// which one wins ([`crate::EndpointPolicy::precedence`]); it is never guessed. A frame that matches none is kept
/// as unknown, with its tag and its raw text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Recognition {
    /// The member that all tagged neighbours share has this value. The record does not list the member
    Tag {
        /// Name of the member
        field: String,
        /// Its value: a string, an integer or a boolean
        value: Value,
    },
    /// A member inside another has this value. The records on the path list it, with the value as its `constant`
    NestedTag {
        /// Names from the outermost member to the one with the value
        path: Vec<String>,
        /// Its value
        value: Value,
    },
    /// Several members have these values, all of them. Parts one name deep are not listed in the record
    CompositeTag {
        /// Members and values
        parts: Vec<TagPart>,
    },
    /// A member, which neighbours may have with other values, has this value. The record does not list the member
    Literal {
        /// Name of the member
        field: String,
        /// Its value
        value: Value,
    },
    /// A member is there and not `null`. The record lists it
    Presence {
        /// Name of the member
        field: String,
    },
    /// The message is an array, and this is its first element. The tuple does not list it
    ArrayHead {
        /// The first element
        value: Value,
    },
    /// The message is a JSON value of this kind
    Kind(JsonKind),
    /// The kind of its frame is enough
    Frame,
    /// Any of several ways, when a server is not consistent about names; the first is the one that is written
    AnyOf(Vec<Recognition>),
}

/// One thing that must hold for a JSON value to be a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The member at the path has the value
    Equals {
        /// Names from the outside in
        path: Vec<String>,
        /// Never `null`
        value: Value,
    },
    /// The member is there and not `null`
    Present {
        /// Its name
        field: String,
    },
    /// The value is an array with this first element
    ArrayHead(Value),
    /// The value is of this kind
    Kind(JsonKind),
    /// All tests of one of these lists hold; all of them are about objects
    AnyOf(Vec<Vec<Test>>),
}

impl Test {
    /// Whether a value passes.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals { path, value: expected } => at(value, path) == Some(expected),
            Self::Present { field } => value.get(field).is_some_and(|member| !member.is_null()),
            Self::ArrayHead(head) => value.as_array().and_then(|items| items.first()) == Some(head),
            Self::Kind(kind) => JsonKind::of(value) == *kind,
            Self::AnyOf(alternatives) => {
                alternatives.iter().any(|tests| tests.iter().all(|t| t.holds(value)))
            }
        }
    }
}

/// The value at a path of member names.
pub(crate) fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

impl Recognition {
    /// What must hold, all of it. A frame's kind is not among it.
    pub fn tests(&self) -> Vec<Test> {
        let equals =
            |path: &[String], value: &Value| Test::Equals { path: path.to_vec(), value: value.clone() };
        match self {
            Self::Tag { field, value } | Self::Literal { field, value } => {
                vec![equals(std::slice::from_ref(field), value)]
            }
            Self::NestedTag { path, value } => vec![equals(path, value)],
            Self::CompositeTag { parts } => parts.iter().map(|p| equals(&p.path, &p.value)).collect(),
            Self::Presence { field } => vec![Test::Present { field: field.clone() }],
            Self::ArrayHead { value } => vec![Test::ArrayHead(value.clone())],
            Self::Kind(kind) => vec![Test::Kind(*kind)],
            Self::Frame => Vec::new(),
            Self::AnyOf(ways) => vec![Test::AnyOf(ways.iter().map(Self::tests).collect())],
        }
    }
}

/// One part of a composite tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagPart {
    /// Names from the outermost member to the one with the value
    pub path: Vec<String>,
    /// Its value
    pub value: Value,
}

impl TagPart {
    /// A member of the message itself and its value.
    pub fn new(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { path: vec![field.into()], value: value.into() }
    }
}

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonKind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

impl JsonKind {
    /// The kind of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Object(_) => Self::Object,
            Value::Array(_) => Self::Array,
            Value::String(_) => Self::String,
            Value::Number(_) => Self::Number,
            Value::Bool(_) => Self::Boolean,
            Value::Null => Self::Null,
        }
    }
}

/// Which kind of frame carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Text frames
    #[default]
    Text,
    /// Binary frames
    Binary,
    /// Either; text is sent
    Either,
}

/// How a body is written in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    /// As JSON, in whichever kind of frame
    #[default]
    Json,
    /// The frame's content is the body: bytes of a binary frame, text of a text frame
    Raw,
}

/// A body that belongs to a message, decoded first: which member is the tag, which is the id, where the body lies.
///
/// Because tag and id are read before the body, a body that is wrong can still be answered with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Name of the member with the message's tag
    pub tag: String,
    /// The member with the id by which a reply finds its request, if there is one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EnvelopeId>,
    /// Where bodies lie unless a message says otherwise; the first is written, all are read
    pub layouts: Vec<Layout>,
}

/// The id of an envelope: any JSON value, echoed as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeId {
    /// Name of the member
    pub field: String,
    /// Paths at which the id is also accepted, in order, when the member is absent
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Vec<String>>,
}

/// Where the body of an enveloped message lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Its members stand beside tag and id
    Flat,
    /// It is the value of this member
    Under(String),
}

/// What answers a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Ids of the messages that answer it
    pub messages: Vec<String>,
    /// Ids of the messages that answer it when it failed
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// How many there are
    #[serde(default, skip_serializing_if = "is_default")]
    pub replies: Replies,
    /// How a reply names its request; without it, replies come in the order of the requests
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// How long to wait for the first reply, in milliseconds; without it, as the endpoint's policy says
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Reply {
    /// One message answers, in order.
    pub fn one(message: impl Into<String>) -> Self {
        Self {
            messages: vec![message.into()],
            errors: Vec::new(),
            replies: Replies::One,
            correlation: None,
            timeout_ms: None,
        }
    }

    /// A failure is told by this message.
    pub fn error(mut self, message: impl Into<String>) -> Self {
        self.errors.push(message.into());
        self
    }
}

/// How many replies a request gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Replies {
    /// Exactly one
    #[default]
    One,
    /// This many
    Exactly(u32),
    /// Any number, until one of these messages ends them
    Stream {
        /// Ids of the messages that end the stream
        until: Vec<String>,
    },
}

/// How a reply names its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// What kind of id it is
    pub id: IdKind,
    /// Path to the id in the request
    pub request: Vec<String>,
    /// Path to the id in the reply
    pub reply: Vec<String>,
}

/// The kinds of correlation ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// Whole numbers that count up
    Integer,
    /// Unique strings
    String,
    /// Any JSON, chosen by the caller
    Json,
}

/// What a message looks like: the whole frame, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What the example shows
    pub name: String,
    /// The frame; for a raw binary message, a string with its bytes in base64
    pub value: Value,
}
