//! What is kept of a chat: the versioned twin of the events.
//!
//! This is the only module whose types are serialized, so what is on disk changes only here.

use bytes::Bytes;

use crate::id::{ChatId, Epoch, RunId, Seq, Timestamp};

/// One row of a chat's log. It covers `from..=to`; the rows of a chat tile `1..=last` without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// In which chat.
    pub chat: ChatId,
    /// The first sequence number that it covers.
    pub from: Seq,
    /// The last one.
    pub to: Seq,
    /// In which epoch it was written.
    pub epoch: Epoch,
    /// When.
    pub at: Timestamp,
    /// Of which run, if of one.
    pub run: Option<RunId>,
    /// What the store itself must know of it.
    pub mark: Mark,
    /// The client's own id of a user message.
    pub message_id: Option<String>,
    /// For a user message: what the chat is called if it has no title yet.
    pub title: Option<String>,
    /// The entry itself, JSON.
    pub body: Bytes,
}

/// What the store must know of an entry without reading its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A user message; its run is open from here on, and the first one gives the chat its title.
    Message,
    /// A delta, dropped when its run collapses.
    Delta,
    /// Anything else that stays.
    Coarse,
    /// The end of its run.
    End,
}
