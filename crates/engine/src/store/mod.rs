//! The store: what is kept.
//!
//! Two kinds of things are kept. **Records** with the change log of their collection, written in one durable
//! transaction. **Chat logs**, appended in small unsynced batches *before* they are shown, so that a killed process
//! loses nothing that anybody saw. The trait knows rows; what an entry of a chat means is said in [`entry`].

#[cfg(test)]
pub mod conformance;
pub mod entry;
pub mod sqlite;

use async_trait::async_trait;

use crate::command::ChatSummary;
use crate::error::Result;
use crate::id::{ChatId, Epoch, Offset, Position, RecordId, RunId, Seq, SessionId, Timestamp};
use crate::identity::Subject;
use crate::query::{Body, CollectionInfo, Filter, Hit, Query, Record, Search};

use entry::LogEntry;

pub use crate::change::{Change, ChangeKind};

/// One write. A batch of them is done together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// To which collection; it is made when it does not exist.
    pub collection: String,
    /// Which record.
    pub id: RecordId,
    /// What.
    pub operation: Operation,
}

/// What a write does. It says what is wanted, not what results: the store looks at the record inside the transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A new record; a conflict if the id is taken.
    Insert(Body),
    /// A new record, or nothing if the id is taken.
    InsertIfAbsent(Body),
    /// The record becomes this, whether it was there or not.
    Put(Body),
    /// These members change, the others stay; not found if there is no such record.
    Merge(Body),
    /// The record goes; not found if there is no such record.
    Delete,
}

/// A chat's standing in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatHead {
    /// Its id.
    pub chat: ChatId,
    /// Whose it is.
    pub owner: Subject,
    /// The alias under which it was opened.
    pub session: Option<SessionId>,
    /// Its first message, shortened.
    pub title: String,
    /// The last sequence number of its log.
    pub last_seq: Seq,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When something last happened in it.
    pub updated_at: Timestamp,
}

/// A run without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// In which chat.
    pub chat: ChatId,
    /// Which run.
    pub run: RunId,
}

/// What is kept, and how it is asked for. One suite of tests is run over every implementation.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes a batch, all or nothing, and synced before this returns. Changes come back in the batch's order;
    /// a write that changed nothing (`InsertIfAbsent` of a taken id) has none.
    ///
    /// Batches of many callers are grouped into one transaction, each in a savepoint of its own: one that fails does
    /// not disturb the others. Dropping the future leaves the batch either wholly done or not done.
    async fn commit(&self, by: &Subject, at: Timestamp, batch: Vec<Write>) -> Result<Vec<Change>>;

    /// One record, or `None`.
    async fn get(&self, collection: &str, id: &RecordId) -> Result<Option<Record>>;

    /// The records that fit, in order; none if there is no such collection.
    async fn query(&self, query: &Query) -> Result<Vec<Record>>;

    /// How many fit; 0 if there is no such collection.
    async fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64>;

    /// Full-text search, best first. The first search of a collection builds its index.
    async fn search(&self, search: &Search) -> Result<Vec<Hit>>;

    /// All collections, by name.
    async fn collections(&self) -> Result<Vec<CollectionInfo>>;

    /// The changes after `after`, in offset order without gaps, at most `limit`. An error with [`Code::NotFound`]
    /// if the log no longer reaches back that far.
    ///
    /// [`Code::NotFound`]: crate::error::Code::NotFound
    async fn changes(&self, collection: &str, after: Offset, limit: usize) -> Result<Vec<Change>>;

    /// The epoch of this start.
    fn epoch(&self) -> Epoch;

    /// The chat that `owner` knows under `session`, opened now if there is none or the old one expired.
    async fn open_session(&self, owner: &Subject, session: &SessionId, at: Timestamp) -> Result<ChatHead>;

    /// A chat's standing, or `None`.
    async fn chat(&self, chat: ChatId) -> Result<Option<ChatHead>>;

    /// A subject's chats that are not archived, newest first.
    async fn chats(&self, owner: &Subject, limit: usize) -> Result<Vec<ChatSummary>>;

    /// Appends entries of any chats in one transaction that is written, not synced. Within a chat each entry begins
    /// where the one before ended; anything else is refused as internal and nothing is written. Entries with a
    /// `message_id` that the chat has are refused as a conflict.
    async fn append(&self, entries: Vec<LogEntry>) -> Result<()>;

    /// A chat's entries that end after `after`, in order, at most `limit`. The first one may begin at or before
    /// `after`, because entries were collapsed.
    async fn read(&self, chat: ChatId, after: Seq, limit: usize) -> Result<Vec<LogEntry>>;

    /// All entries of one run, in order.
    async fn read_run(&self, chat: ChatId, run: RunId) -> Result<Vec<LogEntry>>;

    /// The entry with this message id, or `None`.
    async fn find_message(&self, chat: ChatId, message_id: &str) -> Result<Option<LogEntry>>;

    /// Drops a finished run's entries that are deltas; the next entry that stays covers their range.
    async fn collapse(&self, chat: ChatId, run: RunId) -> Result<()>;

    /// The runs that were queued or started and have no end, oldest first.
    async fn open_runs(&self) -> Result<Vec<OpenRun>>;

    /// Whether what ends at this position is what a reader of that epoch saw.
    async fn knows(&self, chat: ChatId, position: Position) -> Result<bool>;

    /// Marks chats that were not used since `before` as archived; their sessions then open new ones. Returns how many.
    async fn archive_chats(&self, before: Timestamp) -> Result<u64>;
}
