//! How a connection is kept: authentication, heartbeat, time limits, close codes, reconnecting, full queues.
//!
//! One [`EndpointPolicy`] per WebSocket endpoint, kept by endpoint id in [`crate::Definition::policies`]. It is data
//! that the runtimes act upon; nothing here does anything. All times are milliseconds.

use serde::{Deserialize, Serialize};

use crate::{AuthWay, is_default};

/// The policy of one WebSocket endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointPolicy {
    /// Id of the endpoint that the policy is about
    pub endpoint: String,
    /// Ids of messages that overlap, in the order in which they are tried: the first that matches wins. Both
    /// directions may stand in the one list
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precedence: Vec<String>,
    /// The ways to authenticate that the endpoint accepts, best first; empty means as the API says
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthWay>,
    /// Subprotocols to offer, best first; when the list is not empty, the server must choose one of them
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subprotocols: Vec<String>,
    /// How the session opens and ends beyond what the lifecycle says
    #[serde(default, skip_serializing_if = "is_default")]
    pub session: Session,
    /// Several independent conversations in one connection
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<Contexts>,
    /// How both sides notice that the other is gone
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heartbeats: Vec<Heartbeat>,
    /// How long to wait for what
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// Longest life of a connection
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_ms: Option<u64>,
    /// How much may be sent
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// What the close codes mean. Codes that are not listed: 1000 ends the session, others are retried
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub close_codes: Vec<CloseCode>,
    /// Whether and how a lost connection is restored
    #[serde(default, skip_serializing_if = "is_default")]
    pub reconnect: Reconnect,
    /// What waits to be sent
    #[serde(default, skip_serializing_if = "is_default")]
    pub outbound: OutboundQueue,
    /// What waits to be read
    #[serde(default, skip_serializing_if = "is_default")]
    pub inbound: InboundQueue,
}

impl EndpointPolicy {
    /// The policy of an endpoint about which nothing special is known.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }
}

/// How a session opens and ends beyond what the lifecycle says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Message with which the server speaks first, before the client may send anything
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_first: Option<String>,
    /// Server messages after which nothing follows but the close
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends_with: Vec<String>,
    /// Whether the server still sends what it has after the client's close message
    #[serde(default, skip_serializing_if = "is_default")]
    pub drains: bool,
}

/// Several independent conversations in one connection, told apart by an id in each message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// Path to the id in the client's messages
    pub client: Vec<String>,
    /// Path to the id in the server's messages
    pub server: Vec<String>,
    /// Client messages that open a context or open it anew
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened_by: Vec<String>,
    /// Client messages that close one
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed_by: Vec<String>,
    /// Server messages after which nothing follows in the context
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_by: Vec<String>,
    /// How long a context lives without a message
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Who opened the connection
    Client,
    /// Who accepted it
    Server,
}

/// How one side shows that it is alive and learns whether the other is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Heartbeat {
    /// Ping frames of the WebSocket protocol
    Frame {
        /// Who sends them
        from: Party,
        /// How often
        interval_ms: u64,
        /// How long the pong may take
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// Messages of the API itself
    Message {
        /// Who begins
        from: Party,
        /// Id of the message that asks
        ping: String,
        /// Id of the message that answers, if one does
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pong: Option<String>,
        /// Members that the answer repeats
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        echo: Vec<EchoedField>,
        /// Remembered values that the ping carries
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        carries: Vec<CarriedValue>,
        /// How often
        interval: Interval,
        /// How long the answer may take
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
}

/// A member of a ping that its pong repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EchoedField {
    /// Path in the ping
    pub ping: Vec<String>,
    /// Path in the pong
    pub pong: Vec<String>,
}

/// A value that [`Reconnect::Token`] remembers, put into a ping. Before it is known, `null` is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedValue {
    /// Name of the captured value
    pub name: String,
    /// Path in the ping
    pub into: Vec<String>,
}

/// How often a heartbeat beats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Interval {
    /// Always the same
    Fixed {
        /// Time between two beats
        ms: u64,
    },
    /// The server says it in a message
    Given {
        /// Id of the message
        message: String,
        /// Path to the interval in it, in milliseconds
        path: Vec<String>,
        /// Whether the first beat comes after a random part of the interval
        #[serde(default, skip_serializing_if = "is_default")]
        jitter_first: bool,
    },
}

/// How long to wait for what. Absent means as the runtime does by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Until the upgrade is accepted
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// Until the opening message is acknowledged
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ack: Option<FirstAck>,
    /// Until a request gets its first reply
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_ms: Option<u64>,
    /// Without any frame from the other side
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}

/// The message that acknowledges the opening one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstAck {
    /// Id of the server message that accepts
    pub message: String,
    /// Ids of the server messages that refuse
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_by: Vec<String>,
    /// How long it may take
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// How much may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest message from the client, in bytes
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_bytes: Option<u64>,
    /// Largest message from the server, in bytes
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_message_bytes: Option<u64>,
    /// How often the client may send; all of them hold
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Rate>,
}

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// This many messages
    pub messages: u32,
    /// In this time
    pub per_ms: u64,
}

/// What a close code means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseCode {
    /// The code
    pub code: u16,
    /// What a client does about it
    pub action: CloseAction,
    /// What it means, in a sentence
    pub meaning: String,
    /// What a client has done when it is closed with the code
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<Breach>,
}

impl CloseCode {
    /// A code, what to do about it, and what it means.
    pub fn new(code: u16, action: CloseAction, meaning: impl Into<String>) -> Self {
        Self { code, action, meaning: meaning.into(), breaches: Vec::new() }
    }

    /// Says what a client has done when it is closed with the code.
    pub fn tells<const N: usize>(mut self, breaches: [Breach; N]) -> Self {
        self.breaches = breaches.into();
        self
    }
}

/// What a client can do wrong. A breach that no close code tells is answered with 1008.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// A frame is not JSON where JSON has to be
    Unreadable,
    /// A frame is none of the messages
    Unknown,
    /// A message's body is not of its type
    Mistyped,
    /// A message comes before the opening one
    BeforeOpening,
    /// The opening message comes again
    OpenedTwice,
    /// A message that may come once comes again
    Repeated,
    /// A message comes after the closing one
    AfterClose,
    /// A message is about a context that is not open
    NoContext,
    /// A message is larger than allowed
    TooLarge,
    /// More messages come than allowed
    TooOften,
    /// The credential is missing or wrong
    Credential,
    /// There is nothing to resume at the place that is named
    Resume,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
            Self::Mistyped => "mistyped",
            Self::BeforeOpening => "before_opening",
            Self::OpenedTwice => "opened_twice",
            Self::Repeated => "repeated",
            Self::AfterClose => "after_close",
            Self::NoContext => "no_context",
            Self::TooLarge => "too_large",
            Self::TooOften => "too_often",
            Self::Credential => "credential",
            Self::Resume => "resume",
        })
    }
}

/// What a client does about a close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseAction {
    /// Gives up: coming back would end the same way
    Fatal,
    /// Comes back with a new session
    Retry,
    /// Comes back and takes the session up where it was
    Resume,
}

/// Whether and how a lost connection is restored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reconnect {
    /// The session is lost with its connection; the caller is told, with what was not sent
    #[default]
    Never,
    /// What was said is said again
    Replay {
        /// Whether the opening message is sent again
        opening: bool,
        /// Client messages that stay in force and are sent again, until their counterpart ends them
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        subscriptions: Vec<Subscription>,
    },
    /// The server gives a token that takes up the session
    Token {
        /// What has to be remembered
        capture: Vec<TokenCapture>,
        /// Id of the client message that resumes, sent in place of the opening one
        message: String,
        /// Name of the captured value that is the URL to come back to, if it is another
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Id of the server message after which everything missed has been sent
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done: Option<String>,
    },
}

/// A client message that stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Id of the message that subscribes
    pub message: String,
    /// Id of the message that ends it, if one does
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// Path to what identifies it, in both
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
}

/// A value to remember for the resume message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenCapture {
    /// Server messages that carry it; empty means every one that has it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
    /// Path in them
    pub path: Vec<String>,
    /// Path in the resume message; empty if it is not part of it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub into: Vec<String>,
    /// Name by which it is referred to
    pub name: String,
}

/// What waits to be sent. Absent bounds are the runtime's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundQueue {
    /// Most messages
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
    /// Most bytes
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What happens when it is full
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_full: OutboundFull,
}

/// What happens to a message for which the outbound queue has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboundFull {
    /// The sender waits
    #[default]
    Wait,
    /// The sender gets it back with an error
    Refuse,
}

/// What waits to be read. Absent bounds are the runtime's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundQueue {
    /// Most messages
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
    /// What happens when it is full
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_full: InboundFull,
}

/// What happens when the consumer does not keep up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InboundFull {
    /// Nothing more is read from the socket, so that the server has to wait; nothing is lost
    #[default]
    Block,
    /// The oldest message is dropped and counted
    DropOldest,
    /// Of messages with the same key only the newest is kept
    Coalesce {
        /// Path to the key
        key: Vec<String>,
    },
    /// The connection is closed with an error
    Fail,
}
