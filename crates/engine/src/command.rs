//! Everything that a client can ask, in one enum, and the answers that go to the asker alone.

use std::sync::Arc;

use crate::event::ChatEvent;
use crate::id::{ChatId, Epoch, Position, RecordId, RunId, Seq, SessionId, Timestamp};
use crate::query::{Body, CollectionInfo, Filter, Hit, Query, Record, Search};

/// Which chat, as the asker names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatRef {
    /// By its id.
    Id(ChatId),
    /// By its alias in the asker's namespace; it is opened when it does not exist yet.
    Session(SessionId),
}

/// What happens to a message that arrives while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileRunning {
    /// It waits its turn; beyond so many waiting ones it is refused as rate limited.
    Queue(usize),
    /// It is refused as a conflict.
    Reject,
    /// The run is stopped first.
    Interrupt,
}

/// Everything that a client can ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Deliver this chat's events to this connection from now on.
    FollowChat {
        /// Which chat.
        chat: ChatRef,
        /// After which position; `None` is from now on.
        after: Option<Position>,
    },
    /// Deliver them no longer.
    UnfollowChat {
        /// Which chat.
        chat: ChatRef,
    },
    /// Say something; it starts a run.
    SendMessage {
        /// To which chat.
        chat: ChatRef,
        /// The client's own id for this message, at most 128 bytes. One that was accepted before is not run again.
        message_id: Option<String>,
        /// What is said.
        content: String,
        /// What happens if a run goes on.
        while_running: WhileRunning,
    },
    /// End a run; what it has said so far is kept.
    StopRun {
        /// In which chat.
        chat: ChatRef,
        /// Which run: the one that goes on, or a waiting one. `None` is the one that goes on.
        run: Option<RunId>,
    },
    /// The asker's chats, newest first.
    ListChats {
        /// At most so many.
        limit: usize,
    },
    /// Write records, all or none.
    InsertMany {
        /// Into which collection; it is made when it does not exist.
        collection: String,
        /// The records: with an id of the client's own, or `None` for one of ours.
        records: Vec<(Option<RecordId>, Body)>,
    },
    /// Read one record.
    Get {
        /// From which collection.
        collection: String,
        /// Its key.
        id: RecordId,
    },
    /// Read many.
    Query(Query),
    /// How many there are.
    Count {
        /// In which collection.
        collection: String,
        /// Of which.
        filter: Option<Filter>,
    },
    /// Full-text search.
    Search(Search),
    /// The collections that the asker may read.
    ListCollections,
}

/// A run as a client meets it when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunState {
    /// Which run.
    pub run: RunId,
    /// Whether it still waits for its turn.
    pub queued: bool,
}

/// A chat, as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSummary {
    /// Its id.
    pub chat: ChatId,
    /// The alias under which it was opened, if any.
    pub session: Option<SessionId>,
    /// Its first message, shortened; empty while nothing was said.
    pub title: String,
    /// When something last happened in it.
    pub updated_at: Timestamp,
    /// Whether a run goes on.
    pub running: bool,
}

/// What answers a command, to the asker alone.
#[derive(Debug, Clone)]
pub enum Reply {
    /// To `FollowChat`. Events follow, beginning after the position that was asked for.
    Following {
        /// The chat's id.
        chat: ChatId,
        /// The epoch that positions belong to from now on.
        epoch: Epoch,
        /// The last entry of the log as the following began; the replay is complete when it has arrived.
        last_seq: Seq,
        /// The position was unknown: events follow from the very beginning, and what the client has is void.
        reset: bool,
        /// The run that goes on or waits first.
        run: Option<RunState>,
    },
    /// To `UnfollowChat`.
    Unfollowed,
    /// To `SendMessage`.
    Accepted {
        /// The chat's id.
        chat: ChatId,
        /// The run that answers it.
        run: RunId,
        /// The message's event, if this message id had been accepted before (nothing new is run then).
        duplicate: Option<Arc<ChatEvent>>,
    },
    /// To `StopRun`: whether there was something to stop.
    Stopped(bool),
    /// To `ListChats`.
    Chats(Vec<ChatSummary>),
    /// To `InsertMany`: the ids, in the records' order.
    Inserted(Vec<RecordId>),
    /// To `Get`.
    Record(Record),
    /// To `Query`.
    Records(Vec<Record>),
    /// To `Count`.
    Count(u64),
    /// To `Search`.
    Hits(Vec<Hit>),
    /// To `ListCollections`.
    Collections(Vec<CollectionInfo>),
}
