//! The words for chats that are managed as things: their settings, their messages, and tools that clients bring.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::event::{CanvasTrigger, CatalogMetrics, Source, Usage};
use crate::id::{ChatId, RunId, Seq, Timestamp};
use crate::identity::Subject;
use crate::model::ToolDefinition;

/// How a chat is led. Members that are `None` follow the server's configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatSettings {
    /// Its title, given by a person.
    pub title: Option<String>,
    /// What the model is told before everything else.
    pub system_prompt: Option<String>,
    /// Which agent answers.
    pub agent: Option<String>,
    /// Which model answers.
    pub model: Option<String>,
    /// The collections that its agent reads for context; empty: all that the asker may read.
    pub collections: Vec<String>,
    /// So many earlier messages are shown to the model.
    pub max_context_messages: Option<u32>,
    /// At most so many tokens of answer.
    pub max_tokens: Option<u32>,
    /// 0 is the most likely answer.
    pub temperature: Option<f64>,
    /// What a dialect keeps with the chat and gives back unread.
    pub extra: Map<String, Value>,
}

/// What is special about one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunOptions {
    /// Tools that the client brings for this message, beside those that it registered.
    pub tools: Vec<ToolDefinition>,
    /// Tools of the server that a person must agree to before each call; `*` is all of them.
    pub confirm: Vec<String>,
    /// Tools that the model is not told of.
    pub exclude: Vec<String>,
    /// At most so many rounds of model and tools.
    pub max_rounds: Option<u32>,
    /// Which agent answers this one.
    pub agent: Option<String>,
    /// Which model answers this one.
    pub model: Option<String>,
    /// At most so many tokens of answer.
    pub max_tokens: Option<u32>,
    /// 0 is the most likely answer.
    pub temperature: Option<f64>,
    /// Whether and how documents are looked through.
    pub retrieval: RetrievalWish,
    /// How the chat begins, if this is its first message; later it is passed over.
    pub beginning: Option<Beginning>,
}

/// What a chat knows before its first message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beginning {
    /// What the model is told before everything else, from now on.
    pub system_prompt: Option<String>,
    /// What was said elsewhere, oldest first.
    pub messages: Vec<Said>,
}

/// A message that was said elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// By whom.
    pub role: Role,
    /// What.
    pub content: String,
    /// When, if that is known.
    pub at: Option<Timestamp>,
}

/// How documents are to be looked through for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrievalWish {
    /// Whether at all; `None` leaves it to the agent.
    pub enabled: Option<bool>,
    /// At most so many passages; `None` leaves it to the agent.
    pub passages: Option<u32>,
    /// Whether the sources are told.
    pub sources: bool,
}

impl Default for RetrievalWish {
    fn default() -> Self {
        Self { enabled: None, passages: None, sources: true }
    }
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A person.
    User,
    /// The agent.
    Assistant,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerStatus {
    /// It is still being given. Such an answer is an event of its chat; lists of messages show it when it has ended.
    Running,
    /// By itself.
    Finished,
    /// Somebody stopped it.
    Stopped,
    /// By an error.
    Failed,
}

/// A message as the chat's log shows it. Messages are a projection of the log: editing, forgetting and deleting are
/// new entries that name an old one.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    /// The sequence number of the entry that it is, as text: its id within the chat.
    pub seq: Seq,
    /// The run that it began or that it answers; `None` for one that was brought from another chat and for a summary.
    pub run: Option<RunId>,
    /// By whom.
    pub role: Role,
    /// Its text.
    pub content: String,
    /// How an answer ended; a person's message is `Finished`.
    pub status: AnswerStatus,
    /// Whether the model is no longer shown it.
    pub forgotten: bool,
    /// What an answer cost.
    pub usage: Option<Usage>,
    /// The tools that were called for an answer.
    pub tools: Vec<ToolUse>,
    /// When it was said.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
}

/// One call of a tool with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolUse {
    /// Unique within the run.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
    /// What it answered, as JSON text.
    pub result: Option<String>,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// How long it took, if it ended.
    pub duration: Option<Duration>,
}

/// What was shown of a run beside what was said. It goes along with a message that is brought to another chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// How it ended.
    pub status: AnswerStatus,
    /// The server ended under it.
    pub interrupted: bool,
    /// Why it failed, in the sentence that was shown.
    pub failure: Option<String>,
    /// The steps of its agent, in order.
    pub steps: Vec<StepTaken>,
    /// Its calls of tools, in order.
    pub tools: Vec<ToolUse>,
    /// Its calls that a person was asked about, in order.
    pub approvals: Vec<CallDecided>,
    /// What the answer rests on.
    pub sources: Vec<Source>,
    /// Mermaid text.
    pub diagram: Option<String>,
    /// What the canvas should do.
    pub canvas: Option<CanvasTrigger>,
    /// Figures about the catalogue.
    pub metrics: Option<CatalogMetrics>,
    /// What the model reasoned, where it showed it.
    pub reasoning: Option<String>,
    /// What it cost.
    pub usage: Usage,
}

/// A node of an agent's graph that was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTaken {
    /// The node's name.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// A call that a person was asked about, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDecided {
    /// Unique within the run.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// The exact arguments.
    pub arguments: Value,
    /// The digest of both, as the question had it.
    pub digest: String,
    /// Whether it might be done.
    pub approved: bool,
    /// Who decided; the system where nobody did in time.
    pub by: Subject,
    /// When it was decided.
    pub at: Timestamp,
}

/// A chat with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatInfo {
    /// Its id.
    pub chat: ChatId,
    /// How it is led.
    pub settings: ChatSettings,
    /// How many messages it has.
    pub message_count: u64,
    /// The chat that it was branched from.
    pub parent: Option<ChatId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When something last happened in it.
    pub updated_at: Timestamp,
}

/// How several chats become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MergeStrategy {
    /// All messages by time.
    Chronological,
    /// One message that sums up each chat.
    Summarized,
    /// The last question and answer of each chat.
    LatestOnly,
    /// One message of each chat in turn.
    Interleaved,
}

/// What a client's tool answers.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolAnswer {
    /// It did it; any JSON.
    Result(Value),
    /// It did not; a sentence for the model.
    Failed(String),
    /// It still works on it: its time begins anew.
    Working,
}
