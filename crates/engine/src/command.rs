//! Everything that a client can ask, in one enum, and the answers that go to the asker alone.

use std::sync::Arc;

use serde_json::Value;

use crate::conversation::{ChatInfo, ChatMessage, ChatSettings, MergeStrategy, RunOptions, ToolAnswer};
use crate::edit::{Edit, Edited, KeyValue};
use crate::error::Result;
use crate::event::{ChatEvent, Usage};
use crate::id::{ChatId, Epoch, Offset, Position, RecordId, RunId, Seq, SessionId, Timestamp};
use crate::model::ToolDefinition;
use crate::query::{CollectionInfo, Filter, Hit, Projection, Query, RecordTexts, Search};
use crate::schema::{FieldChange, Schema};

/// Which chat, as the asker names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatRef {
    /// By its id.
    Id(ChatId),
    /// By its alias in the asker's namespace, or by its id as text; it is opened when there is neither.
    Session(SessionId),
    /// The same, but it is never opened: what is not there is not found.
    Known(SessionId),
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
    /// The run takes it into account where it can; otherwise it waits its turn, as many as a queue of this length
    /// holds.
    Steer(usize),
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
        /// What is special about this run.
        options: RunOptions,
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
    /// Open a chat that has no alias.
    OpenChat {
        /// How it is led.
        settings: ChatSettings,
    },
    /// Read a chat's settings.
    GetChat {
        /// Which chat.
        chat: ChatId,
    },
    /// The asker's chats with their settings.
    FindChats {
        /// At most so many.
        limit: usize,
        /// After so many.
        skip: usize,
        /// Oldest first; otherwise what was used last comes first.
        ascending: bool,
    },
    /// Change a chat's settings; those that are `None` stay, `extra` is merged.
    UpdateChat {
        /// Which chat.
        chat: ChatId,
        /// What changes.
        settings: ChatSettings,
    },
    /// End a chat for good: its run is stopped and nobody reads it any more.
    DeleteChat {
        /// Which chat.
        chat: ChatId,
    },
    /// Open a chat that begins with another one's messages.
    BranchChat {
        /// Whose messages.
        parent: ChatId,
        /// So many of them; `None` is all.
        messages: Option<usize>,
        /// How it is led; what is `None` is as with the parent.
        settings: ChatSettings,
    },
    /// Put the messages of chats into another one.
    MergeChats {
        /// Which chats, at least one; they stay as they are.
        sources: Vec<ChatId>,
        /// Into which.
        target: ChatId,
        /// How.
        strategy: MergeStrategy,
    },
    /// Sum up a chat's old messages for the model, so that they take less of its context.
    CompactChat {
        /// Which chat.
        chat: ChatId,
        /// So many of the last messages stay as they are.
        keep_recent: usize,
    },
    /// A chat's messages.
    ListMessages {
        /// Of which chat.
        chat: ChatId,
        /// At most so many.
        limit: usize,
        /// After so many.
        skip: usize,
        /// Oldest first.
        ascending: bool,
    },
    /// One message.
    GetMessage {
        /// Of which chat.
        chat: ChatId,
        /// Which message.
        message: Seq,
    },
    /// Give a message another text.
    EditMessage {
        /// Of which chat.
        chat: ChatId,
        /// Which message.
        message: Seq,
        /// Its text from now on.
        content: String,
    },
    /// Show a message to the model no longer, or again.
    ForgetMessage {
        /// Of which chat.
        chat: ChatId,
        /// Which message.
        message: Seq,
        /// Whether it is forgotten from now on.
        forgotten: bool,
    },
    /// Show a message to nobody any more.
    DeleteMessage {
        /// Of which chat.
        chat: ChatId,
        /// Which message.
        message: Seq,
    },
    /// Answer a question anew; the answer that is named, and what came after it, is forgotten.
    Regenerate {
        /// Of which chat.
        chat: ChatId,
        /// Which answer.
        message: Seq,
    },
    /// Let a chat's agent use tools that the asker runs. They stay until the connection ends or registers others for
    /// the chat; their calls are events of the chat.
    RegisterTools {
        /// Which chat.
        chat: ChatRef,
        /// The tools, instead of those registered before.
        tools: Vec<ToolDefinition>,
    },
    /// Say what a client's tool did.
    AnswerTool {
        /// In which chat.
        chat: ChatRef,
        /// Which call.
        call_id: String,
        /// What it answers.
        answer: ToolAnswer,
    },
    /// Agree to a call that waits for a person, or refuse it.
    DecideCall {
        /// In which chat.
        chat: ChatRef,
        /// Which call.
        call_id: String,
        /// Whether it may be done.
        approved: bool,
    },
    /// Ask a model once, without a chat.
    Complete {
        /// What the model is told first.
        system: String,
        /// What it is asked.
        message: String,
        /// Which model; `None` is the configured one.
        model: Option<String>,
        /// At most so many tokens of answer.
        max_tokens: Option<u32>,
        /// Under which number its text is delivered while it grows, if it is to be.
        stream: Option<u64>,
    },
    /// Turn texts into vectors.
    Embed {
        /// The texts.
        texts: Vec<String>,
        /// With which model; `None` is the configured one.
        model: Option<String>,
    },
    /// The models that can be asked.
    ListModels,
    /// The server's tools.
    ListTools,
    /// Call one of the server's tools.
    CallTool {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Value,
    },
    /// Change records.
    Edit {
        /// Of which collection; an insert makes it when it does not exist.
        collection: String,
        /// The changes, in order.
        edits: Vec<Edit>,
        /// All or none. Otherwise each for itself.
        together: bool,
    },
    /// Read one record.
    Get {
        /// From which collection.
        collection: String,
        /// Its key.
        id: RecordId,
        /// Which members.
        projection: Projection,
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
    /// The different values of a member, sorted.
    Distinct {
        /// In which collection.
        collection: String,
        /// Of which member.
        field: String,
        /// Of which records.
        filter: Option<Filter>,
    },
    /// Search by words, by nearness, or by both.
    Search(Search),
    /// The collections that the asker may read.
    ListCollections,
    /// Make a collection; a conflict if it has a schema already.
    CreateCollection {
        /// Its name.
        collection: String,
        /// What its records must be; versions and times in it are not looked at.
        schema: Option<Schema>,
    },
    /// Remove a collection with its records.
    DropCollection {
        /// Its name.
        collection: String,
    },
    /// Read a collection's schema.
    GetSchema {
        /// Of which collection.
        collection: String,
    },
    /// Change what members must be. Refused if a record does not fit.
    ChangeSchema {
        /// Of which collection.
        collection: String,
        /// The changes by member.
        fields: Vec<(String, FieldChange)>,
    },
    /// Write pairs of the key-value store.
    KvSet {
        /// The pairs.
        pairs: Vec<KeyValue>,
        /// After how many seconds they go by themselves.
        ttl_s: Option<u64>,
    },
    /// Read values by key.
    KvGet {
        /// The keys.
        keys: Vec<String>,
    },
    /// Remove pairs.
    KvDelete {
        /// Their keys.
        keys: Vec<String>,
    },
    /// The pairs whose keys fit, by key.
    KvFind {
        /// A regular expression that a key must match somewhere; `None` fits all.
        pattern: Option<String>,
        /// Also those that have expired and are not yet removed.
        include_expired: bool,
    },
    /// Remove all pairs.
    KvClear,
    /// Tell this connection of changes.
    Watch {
        /// In which collection.
        collection: String,
        /// The watch's number, chosen by the asker, unique in its connection. One that is there already is replaced.
        watch: u64,
        /// Of which records: those that fit before or after the change. Deletions always fit.
        filter: Option<Filter>,
        /// Since which offset; `None` is from now on.
        after: Option<Offset>,
    },
    /// Tell it no longer.
    Unwatch {
        /// In which collection.
        collection: String,
        /// Which watch; `None` is all of the collection.
        watch: Option<u64>,
    },
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
    /// When something last happened in it; the pieces of an answer that is under way do not count.
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
    /// To `OpenChat`, `GetChat`, `UpdateChat`, `BranchChat`, `MergeChats`.
    Chat(Box<ChatInfo>),
    /// To `FindChats`.
    FoundChats {
        /// Those that were asked for.
        chats: Vec<ChatInfo>,
        /// How many there are.
        total: u64,
    },
    /// To `CompactChat`.
    Compacted {
        /// So many messages were folded into the summary.
        folded: u64,
        /// So many stayed.
        kept: u64,
        /// The summary's length in characters; 0 if there was nothing to fold.
        summary_chars: u64,
        /// The summary, if one was made.
        summary: Option<Seq>,
    },
    /// To `ListMessages`.
    Messages {
        /// Those that were asked for.
        messages: Vec<ChatMessage>,
        /// How many there are.
        total: u64,
    },
    /// To `GetMessage`, `EditMessage`, `ForgetMessage`.
    Message(Box<ChatMessage>),
    /// To `RegisterTools`.
    Registered,
    /// To `AnswerTool` and `DecideCall`: whether the call still waited.
    Answered(bool),
    /// To `Complete`.
    Completed {
        /// The whole answer.
        content: String,
        /// What it cost.
        usage: Usage,
    },
    /// To `Embed`.
    Embedded {
        /// A vector for each text, in order.
        vectors: Vec<Vec<f32>>,
        /// The model that made them.
        model: String,
    },
    /// To `ListModels`.
    Models(Vec<ModelInfo>),
    /// To `ListTools`.
    Tools(Vec<ToolDefinition>),
    /// To `CallTool`.
    ToolOutput(Value),
    /// To `Edit`: what each did, in order. With `together` none has failed.
    Edited(Vec<Result<Edited>>),
    /// To `Get`: one.
    Record(RecordTexts),
    /// To `Query`.
    Records(RecordTexts),
    /// To `Count`.
    Count(u64),
    /// To `Distinct`.
    Values(Vec<Value>),
    /// To `Search`.
    Hits(Vec<Hit>),
    /// To `ListCollections`.
    Collections(Vec<CollectionInfo>),
    /// To `GetSchema`, `ChangeSchema`, `CreateCollection`. A collection that was never given one has an empty schema.
    Schema(Box<Schema>),
    /// To `KvGet`: the values in the keys' order; `None` is not there, or expired.
    KvValues(Vec<Option<Value>>),
    /// To `KvSet` and `KvDelete`: for each pair whether it was written, or was there.
    KvDone(Vec<bool>),
    /// To `KvFind`.
    KvPairs(Vec<KeyValue>),
    /// To `Watch`.
    Watching {
        /// Notices begin after this offset.
        after: Offset,
        /// The log no longer reaches back to the offset that was asked for: a gap notice and a snapshot follow.
        gap: bool,
    },
    /// To `Unwatch`: whether there was such a watch.
    Unwatched(bool),
    /// To what has nothing more to say: `DeleteChat`, `DeleteMessage`, `DropCollection`, `KvClear`.
    Done,
}

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Whose it is: `openai`, `anthropic`, `embedded` and so on.
    pub provider: String,
    /// Its name there.
    pub name: String,
    /// Whether it can answer now.
    pub ready: bool,
}
