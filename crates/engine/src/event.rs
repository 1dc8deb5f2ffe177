//! Everything that the server can say, in one enum.
//!
//! Events are shared: one is made, and every connection that wants it holds the same `Arc`. What a dialect spells
//! from it is kept beside it ([`ChatEvent::spelled`]), so that a thousand readers cost one encoding.

use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::agent::Passed;
use crate::change::Notice;
use crate::conversation::{Role, RunOptions, Shown};
use crate::error::Error;
use crate::id::{ChatId, RecordId, RunId, Seq, Timestamp};
use crate::identity::{Identity, Subject};

/// Everything that the server can say without being asked.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something happened in a chat that the connection follows.
    Chat(Arc<ChatEvent>),
    /// Something happened in a collection that the connection watches.
    Data(Notice),
    /// More text of a completion that is streamed.
    Completion {
        /// Its number, as the asker chose it.
        stream: u64,
        /// What to append.
        text: String,
    },
}

impl Event {
    /// The chat's event that it is, if it is one.
    pub fn into_chat(self) -> Option<Arc<ChatEvent>> {
        match self {
            Self::Chat(event) => Some(event),
            Self::Data(_) | Self::Completion { .. } => None,
        }
    }

    /// The same, without taking it.
    pub fn as_chat(&self) -> Option<&Arc<ChatEvent>> {
        match self {
            Self::Chat(event) => Some(event),
            Self::Data(_) | Self::Completion { .. } => None,
        }
    }
}

/// One entry of a chat's log, or several adjacent text deltas merged into one.
pub struct ChatEvent {
    /// In which chat.
    pub chat: ChatId,
    /// The first sequence number that it covers. One after `to`: it covers none, because it could not be written.
    pub from: Seq,
    /// The last sequence number that it covers.
    pub to: Seq,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: ChatBody,
    spelled: Mutex<Vec<(u32, Arc<dyn Any + Send + Sync>)>>,
}

/// What can happen in a chat.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "it lives behind an `Arc` and is never moved afterwards")]
pub enum ChatBody {
    /// A person said something.
    UserMessage {
        /// The run that answers it.
        run: RunId,
        /// The client's own id for it.
        message_id: Option<String>,
        /// What was said.
        content: String,
    },
    /// A run went on.
    Run {
        /// Which run.
        run: RunId,
        /// How.
        event: AgentEvent,
        /// For a text delta: where in the run's text it ends.
        text: Option<TextSpan>,
    },
    /// What was said before is to be read otherwise from now on.
    Amended {
        /// How.
        amendment: Amendment,
        /// By whom.
        by: Subject,
    },
}

/// What becomes of messages after they were said. An entry is never changed: a new one names it.
#[derive(Debug, Clone, PartialEq)]
pub enum Amendment {
    /// A message has another text.
    Edited {
        /// Which message.
        message: Seq,
        /// Its text from now on.
        content: String,
    },
    /// A message is shown to the model no longer, or again.
    Forgotten {
        /// Which message.
        message: Seq,
        /// Whether it is forgotten from now on.
        forgotten: bool,
    },
    /// A message is shown to nobody any more.
    Deleted {
        /// Which message.
        message: Seq,
    },
    /// A question is answered anew. The answer and what came after it are shown to the model no longer.
    Regenerated {
        /// The run that answers it.
        run: RunId,
        /// The answer that is given anew.
        answer: Seq,
    },
    /// Messages up to one are shown to the model no longer, and this text in their place.
    Summarized {
        /// The last of them.
        through: Seq,
        /// What they came to.
        text: String,
    },
    /// A message was brought from another chat.
    Imported {
        /// From which chat.
        chat: ChatId,
        /// Which message of that chat; `None` is a summary of it.
        message: Option<Seq>,
        /// Who said it.
        role: Role,
        /// What.
        content: String,
        /// When.
        at: Timestamp,
        /// What was shown with it, if something was.
        shown: Option<Box<Shown>>,
    },
    /// The chat was deleted. It is told to those who follow it and is not kept.
    ChatDeleted,
}

/// Where a text delta ends in the text of its run, and that text.
#[derive(Debug, Clone)]
pub struct TextSpan {
    /// The run's text, which grows.
    pub whole: RunText,
    /// The length in bytes of the text up to and with this delta.
    pub end: usize,
}

impl TextSpan {
    /// The text up to and with this delta.
    pub fn so_far(&self) -> String {
        self.whole.prefix(self.end)
    }
}

/// A run's text while it grows. All events of the run share it.
#[derive(Debug, Clone, Default)]
pub struct RunText(Arc<Mutex<String>>);

impl RunText {
    /// Appends a delta and returns the length in bytes after it.
    pub fn push(&self, delta: &str) -> usize {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(delta);
        text.len()
    }

    /// The first `end` bytes. `end` comes from [`push`](Self::push); what is no character boundary gives the whole.
    pub fn prefix(&self, end: usize) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.get(..end).unwrap_or(&text).to_owned()
    }

    /// All of it.
    pub fn whole(&self) -> String {
        self.prefix(usize::MAX)
    }
}

/// One run as a stream. An agent makes them in this order: `RunStarted`, then anything, then exactly one of
/// `RunFinished`, `RunFailed`, `RunStopped`.
#[derive(Debug, Clone)]
pub enum AgentEvent {
    /// It waits: for its turn in the chat, or for a model that does one thing at a time.
    RunQueued {
        /// How many are before it.
        position: usize,
    },
    /// It began.
    RunStarted,
    /// More text of the answer.
    TextDelta {
        /// What to append.
        text: String,
    },
    /// More of the model's reasoning, where it shows it.
    ReasoningDelta {
        /// What to append.
        text: String,
    },
    /// A tool is about to be called.
    ToolCall {
        /// Unique within the run.
        call_id: String,
        /// The tool's name.
        name: String,
        /// Its arguments, complete.
        arguments: Value,
    },
    /// More of a call's arguments, to be shown; the complete ones are in `ToolCall`.
    ToolCallArgs {
        /// Which call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The arguments' JSON text so far.
        so_far: String,
    },
    /// A tool answered, or failed in a way that the model may react to.
    ToolResult {
        /// Which call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The result as JSON text.
        content: String,
        /// What went wrong, if something did.
        error: Option<Error>,
        /// How long the call took.
        duration: Duration,
    },
    /// A client is asked to do a call: the tool is one that a client registered or sent with its message. Follows the
    /// call's `ToolCall`; the outcome is a `ToolResult` as for any tool.
    ClientToolRequested {
        /// Which call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// Its arguments, checked against the tool's schema.
        arguments: Value,
        /// Until when it can be answered, unless a client says that it still works on it.
        expires_at: Timestamp,
    },
    /// A person must agree to a call first.
    ApprovalRequested {
        /// Which call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The exact arguments.
        arguments: Value,
        /// SHA-256 of the tool's name and these arguments as canonical JSON, 64 hex digits. What is done is what has
        /// this digest.
        digest: String,
        /// Until when it can be answered.
        expires_at: Timestamp,
    },
    /// It was decided.
    ApprovalResolved {
        /// Which call.
        call_id: String,
        /// Whether it may be done.
        approved: bool,
        /// By whom.
        by: Subject,
    },
    /// What the answer rests on.
    Sources(Vec<Source>),
    /// A node of the graph was entered.
    Step {
        /// The node's name.
        name: String,
    },
    /// A diagram to show.
    Diagram {
        /// Mermaid text.
        mermaid: String,
    },
    /// What another process needs to go on with the run. The log keeps it while the run goes on; dialects say nothing
    /// of it.
    Checkpoint(Checkpoint),
    /// It came to its end.
    RunFinished {
        /// The whole answer.
        answer: Answer,
        /// What it cost.
        usage: Usage,
    },
    /// It did not.
    RunFailed {
        /// What was said before.
        answer: Answer,
        /// What it cost until then.
        usage: Usage,
        /// Why.
        error: Error,
        /// The server ended under it; the same question may simply be asked again.
        interrupted: bool,
    },
    /// Somebody ended it.
    RunStopped {
        /// What was said before.
        answer: Answer,
        /// What it cost until then.
        usage: Usage,
    },
}

/// What another process needs to go on with a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Checkpoint {
    /// Who answers, in whose name, and how; written with the message that begins the run.
    Begun(Box<Begun>),
    /// A node of the agent's graph was left for the next one.
    Passed(Box<Passed>),
    /// One of these, as readers get it: what it says is nobody's business but the log's.
    Hidden,
}

/// Who answers a run, in whose name, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The agent's name.
    pub agent: String,
    /// In whose name; it may no more than it might when the run was accepted.
    pub identity: Identity,
    /// What is special about the run.
    pub options: RunOptions,
}

impl AgentEvent {
    /// Whether nothing comes after it in its run.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::RunFinished { .. } | Self::RunFailed { .. } | Self::RunStopped { .. })
    }

    /// What its run has to show, if it is its end.
    pub fn answer_mut(&mut self) -> Option<&mut Answer> {
        match self {
            Self::RunFinished { answer, .. }
            | Self::RunFailed { answer, .. }
            | Self::RunStopped { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// What a run has to show, whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The text, Markdown.
    pub text: String,
    /// Mermaid text.
    pub diagram: Option<String>,
    /// What the canvas should do.
    pub canvas: Option<CanvasTrigger>,
    /// Figures about the catalogue.
    pub metrics: Option<CatalogMetrics>,
    /// What the model reasoned, where it showed it. The chat desk puts it together from the deltas as it writes the end;
    /// agents leave it empty.
    pub reasoning: Option<String>,
    /// Who gave it. The chat desk says so as it writes the end; agents leave it empty.
    pub by: Option<Answerer>,
}

/// Who gives an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answerer {
    /// The agent's name.
    pub agent: String,
    /// The model that was asked for, if one was; else the chat's or the server's answered.
    pub model: Option<String>,
}

/// What the canvas should do, and how sure we are.
#[derive(Debug, Clone, PartialEq)]
pub struct CanvasTrigger {
    /// What to do.
    pub action: CanvasAction,
    /// Which view, if one is meant.
    pub view: Option<CanvasView>,
    /// The table that it is about.
    pub entity_name: Option<String>,
    /// The question that led to it.
    pub query: Option<String>,
    /// Why, for a person.
    pub reason: String,
    /// 0 to 1.
    pub confidence: f64,
}

/// What the canvas can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanvasAction {
    /// Show another view.
    SwitchView,
    /// Begin anew.
    NewAnalysis,
    /// Nothing.
    None,
}

/// What the canvas can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanvasView {
    /// The entity-relationship diagram.
    ErDiagram,
    /// The list of tables.
    TableList,
    /// Tables and how they hang together.
    RelationshipGraph,
}

/// Figures about the catalogue that an answer was made from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CatalogMetrics {
    /// Tables and views.
    pub total_tables: u64,
    /// Their columns.
    pub total_columns: u64,
    /// Tables that are facts.
    pub facts_count: u64,
    /// Tables that are dimensions.
    pub dimensions_count: u64,
    /// 0 to 1: the share of tables and columns that are described.
    pub quality_score: Option<f64>,
    /// Foreign keys and hierarchies.
    pub relationships_count: Option<u64>,
    /// The schema, if the answer was about one.
    pub schema_name: Option<String>,
    /// When the catalogue last changed.
    pub as_of: Option<Timestamp>,
    /// Whether that is too long ago.
    pub is_stale: Option<bool>,
}

/// A document or record that an answer rests on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it comes from.
    pub source: String,
    /// Where it can be opened.
    pub url: Option<String>,
    /// 0 to 1.
    pub score: f64,
    /// The collection and the record that it is, where it is one.
    pub record: Option<(String, RecordId)>,
    /// Where in the document: its headings from the outside in, as ` › ` joins them, or a page.
    pub section: Option<String>,
    /// The text that the answer rests on, shortened where it is long.
    pub passage: String,
    /// What in the passage answers: byte ranges on character boundaries, in order, without overlap.
    pub highlights: Vec<Range<usize>>,
}

/// Tokens that a run cost, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// The model's context window in tokens, where it is known.
    pub context_window: Option<u64>,
}

impl Usage {
    /// Adds another step's usage.
    pub fn add(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.context_window = other.context_window.or(self.context_window);
    }
}

impl ChatEvent {
    /// An event that covers `from..=to`.
    pub fn new(chat: ChatId, from: Seq, to: Seq, at: Timestamp, body: ChatBody) -> Self {
        Self { chat, from, to, at, body, spelled: Mutex::default() }
    }

    /// What a dialect's variant spells from this event, made once and shared.
    ///
    /// `variant` is unique for the type `T` and everything that `make` depends on but the event: each dialect
    /// takes its own numbers. If another type was kept under the number, `make` is called anew.
    pub fn spelled<T: Any + Send + Sync>(&self, variant: u32, make: impl FnOnce(&Self) -> T) -> Arc<T> {
        let found = self.find_spelled(variant);
        if let Some(frames) = found.and_then(|any| any.downcast::<T>().ok()) {
            return frames;
        }
        let frames = Arc::new(make(self));
        self.lock_spelled().push((variant, Arc::clone(&frames) as Arc<dyn Any + Send + Sync>));
        frames
    }

    fn find_spelled(&self, variant: u32) -> Option<Arc<dyn Any + Send + Sync>> {
        self.lock_spelled().iter().find(|(kept, _)| *kept == variant).map(|(_, any)| Arc::clone(any))
    }

    fn lock_spelled(&self) -> std::sync::MutexGuard<'_, Vec<(u32, Arc<dyn Any + Send + Sync>)>> {
        self.spelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ChatEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..={} {:?}", self.from, self.to, self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> ChatEvent {
        let body = ChatBody::Run { run: RunId::new(), event: AgentEvent::RunStarted, text: None };
        ChatEvent::new(ChatId::new(), Seq(1), Seq(1), Timestamp(0), body)
    }

    #[test]
    fn a_variant_is_spelled_once_and_variants_do_not_mix() {
        let event = event();
        let first = event.spelled(7, |_| String::from("a"));
        let again = event.spelled(7, |_| String::from("never made"));
        let other = event.spelled(8, |_| String::from("b"));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(*other, "b");
    }

    #[test]
    fn a_delta_knows_the_text_up_to_itself() {
        let whole = RunText::default();
        let first = TextSpan { end: whole.push("He"), whole: whole.clone() };
        let second = TextSpan { end: whole.push("llö"), whole };
        assert_eq!(first.so_far(), "He");
        assert_eq!(second.so_far(), "Hellö");
    }
}
