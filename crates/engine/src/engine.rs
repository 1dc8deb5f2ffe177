//! The engine: the way in.
//!
//! It holds the parts together, gives out connections, and hands each command to the desk that it belongs to: chat
//! commands to `chat`, the others to the collections. What happens then comes out of [`Connection::next`].

use std::sync::Arc;
use std::time::Duration;

use crate::agent::Agent;
use crate::bus::Bus;
use crate::command::{Command, Reply};
use crate::connection::Connection;
use crate::error::{Code, Error, Result};
use crate::id::Clock;
use crate::identity::Identity;
use crate::store::Store;

/// What an engine is made of.
pub struct Parts {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The bell.
    pub bus: Arc<dyn Bus>,
    /// Who answers.
    pub agent: Arc<dyn Agent>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Sizes and times.
    pub settings: Settings,
}

/// Sizes and times, each with a default that fits a small machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Events of an agent that wait for the log; an agent that is faster waits. 64.
    pub agent_queue: usize,
    /// Events that wait for one connection. A connection for which more would wait is served from the log. 256.
    pub outbox_events: usize,
    /// Bytes of their content, roughly, that wait for one connection; beyond them as above. 256 KiB.
    pub outbox_bytes: usize,
    /// Events that [`Connection::next`] gives at once, and log entries that it reads at once. 128.
    pub batch: usize,
    /// Chats that one connection may follow. 256.
    pub follow_limit: usize,
    /// Messages of the conversation, the question included, that an agent is given. 40.
    pub history_messages: usize,
    /// How long an agent may go on after its run was stopped before it is dropped. 1 s.
    pub stop_grace: Duration,
    /// How long a run may take at most. 15 min.
    pub run_deadline: Duration,
    /// When to come back, as told to somebody whose message found the chat's queue full. 5 s.
    pub retry_after: Duration,
    /// How often rooms that nobody uses are forgotten, and ends of runs that could not be written are tried again.
    /// 10 s.
    pub sweep_every: Duration,
    /// After what time without use a chat is archived; `None` is never. 24 h.
    pub archive_after: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agent_queue: 64,
            outbox_events: 256,
            outbox_bytes: 256 * 1024,
            batch: 128,
            follow_limit: 256,
            history_messages: 40,
            stop_grace: Duration::from_secs(1),
            run_deadline: Duration::from_secs(15 * 60),
            retry_after: Duration::from_secs(5),
            sweep_every: Duration::from_secs(10),
            archive_after: Some(Duration::from_secs(24 * 60 * 60)),
        }
    }
}

/// What goes on, in numbers, for metrics. Those that end in `_total` only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections that are open.
    pub connections: usize,
    /// Chats that are held in memory.
    pub rooms: usize,
    /// Runs that go on.
    pub running: usize,
    /// Runs that wait for their turn.
    pub queued: usize,
    /// Messages that were accepted.
    pub messages_total: u64,
    /// Log entries that were written.
    pub entries_total: u64,
    /// Transactions that they took.
    pub appends_total: u64,
    /// Transactions that failed.
    pub append_failures_total: u64,
    /// How often a connection fell behind and was served from the log.
    pub fell_behind_total: u64,
}

/// The way in. Dropping it ends its tasks as a killed process would: runs stay open in the log, and the next start
/// marks them as interrupted. [`drain`](Self::drain) ends them properly.
pub struct Engine {
    parts: Parts,
}

impl Engine {
    /// Starts with these parts. Runs that an earlier process left without an end are ended first, as interrupted and
    /// with the text that they had.
    ///
    /// Fails if the store cannot be read or written.
    pub async fn start(parts: Parts) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { parts }))
    }

    /// A new client. Dropping the connection releases everything that it holds.
    pub fn connect(self: &Arc<Self>, identity: Identity) -> Connection {
        Connection::new(identity)
    }

    /// Does what a client asks. Events that follow come out of the connection's [`next`](Connection::next); those
    /// that belong to a `FollowChat` come after its reply if both are called from one task.
    ///
    /// Dropping the future takes nothing back that was begun: a message that is being accepted is accepted.
    pub async fn execute(&self, connection: &Connection, command: Command) -> Result<Reply> {
        let _ = (connection, command, &self.parts);
        Err(Error::new(Code::Unimplemented, "this command is not served here"))
    }

    /// Prepares the end: messages are refused as draining, runs may finish until `within` has passed, and what still
    /// goes on then is ended as interrupted. When this returns, everything is written.
    pub async fn drain(&self, within: Duration) {
        tracing::info!(?within, "draining");
    }

    /// What goes on now.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
