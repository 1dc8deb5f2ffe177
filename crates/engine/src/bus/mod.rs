//! The bus: the bell.
//!
//! A bell says that a topic's log has grown to a position, and nothing more: what is new is read from the log. So a
//! bell may be lost, doubled or late without harm, and one that rings while another waits replaces it.
//!
//! Within one process a chat's news does not wait for the bell: its journal hands what it has just written to the
//! room's listeners, and rings afterwards for everybody else who wants to know (other nodes, once there are some).

pub mod conformance;
pub mod local;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::error::Result;
use crate::id::ChatId;

pub use local::LocalBus;

/// Whose log has grown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A chat's log; positions are its sequence numbers.
    Chat(ChatId),
    /// A collection's change log; positions are its offsets.
    Collection(Arc<str>),
}

/// Who rings and who listens. One suite of tests ([`conformance`]) is run over every implementation.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Says that the topic's log has reached `position`. It never waits and never fails: a bell that does not arrive
    /// is made good by the next one.
    fn publish(&self, topic: &Topic, position: u64);

    /// Listens to a topic. Every position beyond `from` that is published after this returned is heard, or a later
    /// one in its place; what was published before is not. So listen first, and then read the log up to its end.
    async fn subscribe(&self, topic: Topic, from: u64) -> Result<Bell>;
}

/// One listener's bell. Dropping it ends the listening.
#[derive(Debug)]
pub struct Bell {
    newest: watch::Receiver<u64>,
    heard: u64,
}

impl Bell {
    /// A bell that rings when the newest position goes beyond `from`.
    pub fn new(newest: watch::Receiver<u64>, from: u64) -> Self {
        Self { newest, heard: from }
    }

    /// Waits for a position beyond the last one that was heard; `None` when the bus has gone. Positions in between
    /// are not told apart. Cancel-safe.
    pub async fn next(&mut self) -> Option<u64> {
        let heard = self.heard;
        let newest = *self.newest.wait_for(|position| *position > heard).await.ok()?;
        self.heard = newest;
        Some(newest)
    }
}
