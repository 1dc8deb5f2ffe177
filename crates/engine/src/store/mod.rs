//! The store: what is kept.
//!
//! Two kinds of things are kept. **Records** with the change log of their collection, written in one durable
//! transaction. **Chat logs**, appended in small unsynced batches *before* they are shown, so that a killed process
//! loses nothing that anybody saw. The trait knows rows; what an entry of a chat means is said in [`entry`].

pub mod act;
#[cfg(test)]
pub mod conformance;
pub mod constraints;
pub mod entry;
pub mod path;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use serde_json::Value;

use crate::change::ChangeBatch;
use crate::command::ChatSummary;
use crate::conversation::ChatSettings;
use crate::edit::{Edited, FieldAction, KeyValue, Ttl};
use crate::error::Result;
use crate::id::{ChatId, Epoch, Offset, Position, RecordId, RunId, Seq, SessionId, Timestamp};
use crate::identity::Subject;
use crate::query::{Body, CollectionInfo, Filter, Hit, Query, Record, RecordTexts, Search};
use crate::schema::{FieldChange, Kinds, Schema};

use entry::LogEntry;

pub use crate::change::{Change, ChangeKind};

/// The largest record, in bytes of JSON.
pub const MAX_RECORD: usize = 1 << 20;
/// The largest answer, in bytes of its records' JSON.
pub const MAX_ANSWER: usize = 60 << 20;

/// One write. A batch of them is done together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// To which collection; it is made when it does not exist.
    pub collection: String,
    /// Which record.
    pub id: RecordId,
    /// What.
    pub operation: Operation,
    /// When the record goes by itself; `None` leaves that as it is, which for a new record is never.
    pub ttl: Option<Ttl>,
}

impl Write {
    /// A write that says nothing about a time to live.
    pub fn new(collection: impl Into<String>, id: RecordId, operation: Operation) -> Self {
        Self { collection: collection.into(), id, operation, ttl: None }
    }

    /// The same, with a time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: Option<Ttl>) -> Self {
        self.ttl = ttl;
        self
    }
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
    /// Members change by what they are, all or none; not found if there is no such record.
    Act(Vec<FieldAction>),
    /// The record goes; not found if there is no such record.
    Delete,
}

/// A chat's standing in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatHead {
    /// Its id.
    pub chat: ChatId,
    /// Whose it is.
    pub owner: Subject,
    /// The alias under which it was opened.
    pub session: Option<SessionId>,
    /// The title that its settings give, else its first message, shortened.
    pub title: String,
    /// How it is led.
    pub settings: ChatSettings,
    /// The chat that it was branched from.
    pub parent: Option<ChatId>,
    /// The last sequence number of its log.
    pub last_seq: Seq,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When something last happened in it; the pieces of an answer that is under way do not count.
    pub updated_at: Timestamp,
}

/// A session that is to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionOpening {
    /// In whose name.
    pub owner: Subject,
    /// The alias.
    pub session: SessionId,
    /// When it is asked for.
    pub at: Timestamp,
}

/// A chat that is opened without an alias.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChat {
    /// Whose it is.
    pub owner: Subject,
    /// How it is led.
    pub settings: ChatSettings,
    /// The chat that it is branched from.
    pub parent: Option<ChatId>,
}

/// A run without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// In which chat.
    pub chat: ChatId,
    /// Which run.
    pub run: RunId,
}

/// What was committed, as those who listen are told of it.
#[derive(Debug, Clone)]
pub enum Committed {
    /// Adjacent changes of one collection.
    Changes(Arc<ChangeBatch>),
    /// A collection's schema was made or changed, or the collection was dropped. After a drop its log begins anew:
    /// whoever asks for the changes after an earlier offset is told that they are gone.
    Schema {
        /// Which collection.
        collection: Arc<str>,
        /// Its schema's version from now on.
        version: u64,
        /// Under which name the record's key is shown.
        primary_key: Arc<str>,
        /// What its members mean, as far as the schema says.
        kinds: Option<Arc<Kinds>>,
        /// The last offset of the collection's log from now on; a drop takes one.
        last_offset: Offset,
    },
}

/// Who is told of everything that is committed to collections.
pub trait Listener: Send + Sync + 'static {
    /// Called after each commit, in the order of the commits, and when what it tells of can be read. It is called on
    /// the thread that writes, so it must be quick and must not wait for the store.
    fn committed(&self, news: Vec<Committed>);
}

/// What a collection's change log reaches over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSpan {
    /// The oldest change that is still there; one more than `last` if there is none.
    pub first: Offset,
    /// The last offset that was given; 0 if there never was one.
    pub last: Offset,
}

/// Some of a collection's records, by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What fits of them.
    pub records: Vec<Record>,
    /// Whether there are no more.
    pub last: bool,
}

/// What is kept, and how it is asked for. One suite of tests is run over every implementation.
///
/// A record whose time to live has passed is not there: nothing reads, counts, finds or changes it, and its id and its
/// unique values are free. The delete change that removes it, by the subject `system`, follows within seconds, or
/// when its id is used again.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes a batch, all or nothing, and synced before this returns. Changes come back in the batch's order;
    /// a write that changed nothing (`InsertIfAbsent` of a taken id) has none. An error names the write that it is
    /// about: `edits.3.name`.
    ///
    /// Records are what their collection's schema says, or the error names every member that is not.
    ///
    /// Batches of many callers are grouped into one transaction, each in a savepoint of its own: one that fails does
    /// not disturb the others. Dropping the future leaves the batch either wholly done or not done.
    async fn commit(&self, by: &Subject, at: Timestamp, batch: Vec<Write>) -> Result<Vec<Change>>;

    /// Writes as [`commit`](Self::commit) does, and gives back what each write did. With `together` all or nothing, as
    /// there; otherwise each for itself, and one that fails leaves the others as they are. Either way it is one
    /// transaction. A write that changed nothing gives the record as it is.
    async fn edit(
        &self,
        by: &Subject,
        at: Timestamp,
        writes: Vec<Write>,
        together: bool,
    ) -> Result<Vec<Result<Edited>>>;

    /// Tells `listener` of everything that is committed from now on, whoever wrote it.
    fn listen(&self, listener: Arc<dyn Listener>);

    /// One record, or `None`. If its time to live is renewed by access, it begins anew.
    async fn get(&self, collection: &str, id: &RecordId) -> Result<Option<Record>>;

    /// The same, as text: one record.
    async fn get_text(&self, collection: &str, id: &RecordId) -> Result<Option<RecordTexts>> {
        Ok(self.get(collection, id).await?.map(|record| [&record].into_iter().collect()))
    }

    /// The records that fit, in order, projected and joined; none if there is no such collection. All is read at one
    /// moment. Without a sort they come by id; ids that the house gave sort by birth.
    ///
    /// Fails as too large beyond [`MAX_ANSWER`].
    async fn query(&self, query: &Query) -> Result<Vec<Record>>;

    /// The same, as text.
    async fn query_texts(&self, query: &Query) -> Result<RecordTexts> {
        Ok(self.query(query).await?.iter().collect())
    }

    /// How many fit; 0 if there is no such collection.
    async fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64>;

    /// The different values of a member, without `null`: booleans, numbers by value, texts by code point, arrays,
    /// objects. Fails as too large beyond [`MAX_ANSWER`].
    async fn distinct(&self, collection: &str, field: &str, filter: Option<&Filter>) -> Result<Vec<Value>>;

    /// Full-text search, best first. The first search of a collection builds its index.
    async fn search(&self, search: &Search) -> Result<Vec<Hit>>;

    /// Makes a collection, or gives one a schema that has none yet; a conflict if it has one. Versions and times in
    /// `schema` are not looked at: the version is one more than the name ever had. Fails if a record does not fit.
    async fn create_collection(
        &self,
        collection: &str,
        schema: Option<Schema>,
        at: Timestamp,
    ) -> Result<Schema>;

    /// Removes a collection with its records, its schema and its changes. Not found if there is none.
    async fn drop_collection(&self, collection: &str, at: Timestamp) -> Result<()>;

    /// A collection's schema, an empty one if it was never given one. Not found if there is no such collection.
    async fn schema(&self, collection: &str) -> Result<Schema>;

    /// Changes what members must be; members that the schema did not name are added. Fails if a record does not fit.
    async fn change_schema(
        &self,
        collection: &str,
        fields: Vec<(String, FieldChange)>,
        at: Timestamp,
    ) -> Result<Schema>;

    /// Writes pairs, all or nothing, synced. They go at `expires_at`, if that is given.
    async fn kv_set(&self, pairs: Vec<KeyValue>, expires_at: Option<Timestamp>) -> Result<()>;

    /// The values of keys, in their order; `None` is not there, or expired.
    async fn kv_get(&self, keys: Vec<String>) -> Result<Vec<Option<Value>>>;

    /// Removes pairs and says of each key whether it was there.
    async fn kv_delete(&self, keys: Vec<String>) -> Result<Vec<bool>>;

    /// The pairs whose keys fit a regular expression somewhere, by key. Expired ones that are not yet removed on
    /// demand. Fails as too large beyond [`MAX_ANSWER`].
    async fn kv_find(&self, pattern: Option<&str>, include_expired: bool) -> Result<Vec<KeyValue>>;

    /// Removes all pairs.
    async fn kv_clear(&self) -> Result<()>;

    /// All collections, by name.
    async fn collections(&self) -> Result<Vec<CollectionInfo>>;

    /// A number that is another one after each commit of records, from before anybody is told of it. What was read
    /// after it was asked for holds until it changes, but for records that expire. `None` if that is not known without
    /// a look.
    fn commits(&self) -> Option<u64> {
        None
    }

    /// The changes after `after`, in offset order without gaps, at most `limit`. An error with [`Code::NotFound`]
    /// if the log no longer reaches back that far.
    ///
    /// [`Code::NotFound`]: crate::error::Code::NotFound
    async fn changes(&self, collection: &str, after: Offset, limit: usize) -> Result<Vec<Change>> {
        self.changes_within(collection, after, limit, usize::MAX).await
    }

    /// The same, but no more once their JSON is longer than `bytes` together; at least one if there is one.
    async fn changes_within(
        &self,
        collection: &str,
        after: Offset,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Change>>;

    /// What a collection's log reaches over; `1` and `0` if there never was such a collection.
    async fn log(&self, collection: &str) -> Result<LogSpan>;

    /// Records that fit, by id, those whose id comes after `after`: at most `limit`, and no more once their JSON is
    /// longer than `bytes` together; at least one if there is one.
    async fn page(
        &self,
        collection: &str,
        after: Option<&RecordId>,
        filter: Option<&Filter>,
        limit: usize,
        bytes: usize,
    ) -> Result<Page>;

    /// The epoch of this start.
    fn epoch(&self) -> Epoch;

    /// The chat that `owner` knows under `session`, opened now if there is none or the old one expired.
    async fn open_session(&self, owner: &Subject, session: &SessionId, at: Timestamp) -> Result<ChatHead>;

    /// The same for several sessions, in their order. When it fails, some of them may have been opened.
    async fn open_sessions(&self, openings: Vec<SessionOpening>) -> Result<Vec<ChatHead>> {
        let mut heads = Vec::with_capacity(openings.len());
        for SessionOpening { owner, session, at } in &openings {
            heads.push(self.open_session(owner, session, *at).await?);
        }
        Ok(heads)
    }

    /// The chat that `owner` knows under `session`, or `None` if there is none or it expired.
    async fn find_session(
        &self,
        owner: &Subject,
        session: &SessionId,
        at: Timestamp,
    ) -> Result<Option<ChatHead>>;

    /// A chat's standing, or `None`.
    async fn chat(&self, chat: ChatId) -> Result<Option<ChatHead>>;

    /// A subject's chats that are not archived, newest first.
    async fn chats(&self, owner: &Subject, limit: usize) -> Result<Vec<ChatSummary>>;

    /// Appends entries of any chats in one transaction that is written, not synced. Within a chat each entry begins
    /// where the one before ended; anything else is refused as internal and nothing is written. Entries with a
    /// `message_id` that the chat has are refused as a conflict.
    async fn append(&self, entries: Vec<LogEntry>) -> Result<()>;

    /// The same, and each run whose end is among the entries collapses. A store that cannot do both in one transaction
    /// appends, and leaves the deltas of a run that does not collapse where they are.
    async fn append_and_collapse(&self, entries: Vec<LogEntry>) -> Result<()> {
        let ended: Vec<_> = entries.iter().filter_map(LogEntry::ended_run).collect();
        self.append(entries).await?;
        for (chat, run) in ended {
            if let Err(error) = self.collapse(chat, run).await {
                tracing::warn!(%run, %error, "a run's deltas stay in the log");
            }
        }
        Ok(())
    }

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

    /// Opens a chat without an alias.
    async fn open_chat(&self, chat: NewChat, at: Timestamp) -> Result<ChatHead>;

    /// A subject's chats that are not archived, by when something last happened in them, newest first or `ascending`:
    /// at most `limit` after `skip`, and how many there are in all.
    async fn find_chats(
        &self,
        owner: &Subject,
        limit: usize,
        skip: usize,
        ascending: bool,
    ) -> Result<(Vec<ChatHead>, u64)>;

    /// Keeps a chat's settings, instead of those that it had. Not found if there is no such chat.
    async fn set_chat_settings(&self, chat: ChatId, settings: ChatSettings, at: Timestamp) -> Result<()>;

    /// Removes a chat and its log. It is not found from then on, its session opens another one, and its id is never
    /// used again.
    async fn delete_chat(&self, chat: ChatId) -> Result<()>;

    /// The last `limit` entries up to `up_to` of which messages are made: what begins and ends runs, and amendments.
    /// In the log's order.
    async fn message_entries(&self, chat: ChatId, up_to: Seq, limit: usize) -> Result<Vec<LogEntry>>;

    /// Gives an entry another body, because its words are shown to nobody any more. An entry that is not there is left
    /// alone.
    async fn redact(&self, chat: ChatId, entry: Seq, body: Bytes) -> Result<()>;

    /// Marks sessions' chats that were not used since `before` as archived; their sessions then open new ones. Returns
    /// how many.
    async fn archive_chats(&self, before: Timestamp) -> Result<u64>;
}
