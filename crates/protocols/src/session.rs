//! One client's conversation in one dialect: the two directions of a codec.
//!
//! The socket owns a [`Session`], feeds it frames, replies and events in the order in which they happen, and writes
//! out what it gives back. A session never waits; where it wants to speak later, it names a deadline.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tidewire_engine::schema::KnownKinds;
use tidewire_engine::{Command, Error, Event, Identity, Reply};

use crate::frame::{Frame, Incoming};

/// Which command a reply belongs to. The session chooses it; within a connection it is used once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What follows from one frame: frames to send at once, then commands to execute in this order.
#[derive(Debug, Default)]
pub struct Step {
    /// To be sent at once.
    pub frames: Vec<Frame>,
    /// To be executed in this order, edits that follow one another together; each answers through [`Session::reply`].
    pub commands: Vec<(Ticket, Command)>,
}

/// One client's conversation.
///
/// Frames that it gives are to be sent in the order given. After a [`Frame::Close`] it is not called again.
pub trait Session: Send {
    /// A frame came in. Bad input gives an error frame in the dialect's words, never a lost connection, unless the
    /// dialect's rules say so.
    fn decode(&mut self, frame: Incoming<'_>, now: Instant) -> Step;

    /// A command was executed.
    fn reply(&mut self, ticket: Ticket, result: Result<Reply, Error>, now: Instant, out: &mut Vec<Frame>);

    /// Something happened that this connection follows.
    fn event(&mut self, event: &Event, now: Instant, out: &mut Vec<Frame>);

    /// Whether it has a use for more events now. What it does not take waits where it is shared with others.
    fn takes_events(&self) -> bool {
        true
    }

    /// Whether it can keep what follows from another frame. While it cannot, the client is not read; what was asked
    /// before makes room as it is answered.
    fn has_room(&self) -> bool {
        true
    }

    /// When [`tick`](Self::tick) is wanted, if ever. It may change with every other call.
    fn deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn tick(&mut self, now: Instant, out: &mut Vec<Frame>);
}

/// How a connection begins: what its path and query said.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The path's parameters by name, percent-decoded.
    pub params: &'a [(&'a str, &'a str)],
    /// The query's parameters in order, percent-decoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Who opens it.
    pub asker: &'a Identity,
    /// When.
    pub now: Instant,
    /// What can be switched while the server runs.
    pub switches: &'a Arc<Switches>,
}

/// What an operator can switch while the server runs, for all conversations at once.
#[derive(Debug)]
pub struct Switches {
    /// Whether `live_data` writes members as `{"type", "value"}`.
    pub typed_values: AtomicBool,
    /// What the members of collections mean, where their schemas say it.
    pub kinds: Arc<KnownKinds>,
}

impl Default for Switches {
    fn default() -> Self {
        Self { typed_values: AtomicBool::new(true), kinds: Arc::default() }
    }
}

impl Opening<'_> {
    /// A parameter of the path; empty if the dialect's path has none of that name.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

/// Why a conversation does not begin. It is sent as a close frame after the upgrade, so that browsers can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The close code.
    pub code: u16,
    /// At most 123 bytes.
    pub reason: Cow<'static, str>,
}

/// Which chat messages of a subject are rate limited together. Dialects in which a chat has the same name share its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// None: the dialect does not limit messages.
    Unlimited,
    /// Those of all sockets on which the path's parameter of this name says the same.
    Path(&'static str),
    /// Those to the same chat, as each message names it.
    Chat,
}

/// A dialect as a value: where it is spoken, how a conversation opens, and what the socket must know of it.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// Its name, for logs and metrics.
    pub name: &'static str,
    /// Where it is mounted, with parameters in braces.
    pub path: &'static str,
    /// Where else it is mounted, with the same parameters.
    pub also: &'static [&'static str],
    /// Opens a conversation.
    pub open: fn(Opening<'_>) -> Result<Box<dyn Session>, Refusal>,
    /// Which chat messages are rate limited together.
    pub rate: Rate,
    /// The close code for an origin that is not allowed.
    pub origin_close_code: u16,
    /// The largest message in bytes that a client may send.
    pub max_message: usize,
    /// How often the socket pings (RFC 6455 §5.5.2).
    pub ping_every: Duration,
    /// How long the socket sends no ping of its own to a client that has not spoken. Zero: as often as any other.
    pub first_ping_after: Duration,
    /// Written conversations, by file name: examples for people, tests for every implementation.
    pub transcripts: &'static [(&'static str, &'static str)],
}
