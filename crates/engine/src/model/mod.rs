//! Models: who phrases the answer.
//!
//! [`Model`] is the only thing that the agent knows of them. Implementations lie beside this file: providers over
//! the network, the embedded model, and the scripted model of tests and demos.

pub mod assistant;
pub mod choose;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "providers")]
pub mod provider;
pub mod scripted;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::command::ModelInfo;
use crate::error::{Detail, Error, Result};
use crate::event::Usage;

/// What a model streams.
pub type ModelStream = BoxStream<'static, Result<ModelEvent>>;

/// A language model, or what stands in for one.
#[async_trait]
pub trait Model: Send + Sync + 'static {
    /// As people know it, for example `openai/gpt-5-mini`.
    fn name(&self) -> &str;

    /// Its context window in tokens, where it is known.
    fn context_window(&self) -> Option<u64>;

    /// Whether it writes whatever it is asked to. One that only routes questions and renders results does not, and is
    /// not asked for summaries.
    fn writes_freely(&self) -> bool {
        true
    }

    /// Whether it can answer now; asked by health checks and `doctor`, so it is cheap.
    fn status(&self) -> Status {
        Status::Ready
    }

    /// Begins to answer. The stream ends with `End`, or with an error, after which nothing comes.
    ///
    /// Dropping the future or the stream stops the model at once: the request is closed, or the computation ends
    /// before its next token. Nothing is left running.
    async fn stream(&self, request: Request) -> Result<ModelStream>;
}

impl fmt::Debug for dyn Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({})", self.name())
    }
}

/// Turns texts into vectors of length one, so that their inner product says how near they are.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// As people know it.
    fn name(&self) -> &str;

    /// One vector a text, in the texts' order.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>>;

    /// Whether it can be asked.
    fn status(&self) -> Status;
}

/// The models that a server answers with: the configured one, and others that may be asked for by name.
#[derive(Debug, Clone)]
pub struct Models {
    configured: Arc<dyn Model>,
    others: Vec<Arc<dyn Model>>,
}

impl Models {
    /// The configured one alone.
    pub fn new(configured: Arc<dyn Model>) -> Self {
        Self { configured, others: Vec::new() }
    }

    /// The same with one more, which is asked for by its name.
    #[must_use]
    pub fn with(mut self, other: Arc<dyn Model>) -> Self {
        self.others.push(other);
        self
    }

    /// The model of this name, which may be said without its provider: `openai/gpt-5-mini` or `gpt-5-mini`. `None` is
    /// the configured one.
    ///
    /// # Errors
    /// `Invalid` with the names that there are.
    pub fn find(&self, name: Option<&str>) -> Result<Arc<dyn Model>> {
        let Some(name) = name else { return Ok(Arc::clone(&self.configured)) };
        let is_meant = |model: &&Arc<dyn Model>| model.name() == name || parts(model.name()).1 == name;
        self.iter().find(is_meant).cloned().ok_or_else(|| self.unknown(name))
    }

    /// All of them, the configured one first.
    pub fn list(&self) -> Vec<ModelInfo> {
        let info = |model: &Arc<dyn Model>| {
            let (provider, name) = parts(model.name());
            let ready = model.status() == Status::Ready;
            ModelInfo { provider: provider.to_owned(), name: name.to_owned(), ready }
        };
        self.iter().map(info).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<dyn Model>> {
        std::iter::once(&self.configured).chain(&self.others)
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<_> = self.iter().map(|model| model.name()).collect();
        Error::invalid(format!("there is no model {name:?}; there are {}", known.join(", ")))
            .with(Detail::Field("model".into()))
    }
}

/// A model's provider and its name there. What has no provider in its name is its own.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, name))
}

/// Whether a model can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Ready,
    /// It will, in a moment.
    Loading,
    /// Something that it needs is not there; says what, and what to do.
    Missing(String),
    /// It will not; says why.
    Failed(String),
}

impl Status {
    /// The one of the two that is farther from being ready.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let distance = |status: &Self| match status {
            Self::Ready => 0,
            Self::Loading => 1,
            Self::Missing(_) => 2,
            Self::Failed(_) => 3,
        };
        if distance(&other) > distance(&self) { other } else { self }
    }

    /// One word for logs and health checks.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Loading => "loading",
            Self::Missing(_) => "missing",
            Self::Failed(_) => "failed",
        }
    }
}

/// What a model is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What it is and how it should behave.
    pub system: String,
    /// The conversation, oldest first; the last one is a user message or tool results.
    pub messages: Vec<Message>,
    /// The tools that it may call.
    pub tools: Arc<[ToolDefinition]>,
    /// What the asker may speak of. A model that fills a tool's arguments by finding names in the question reads
    /// them here; one that understands the question by itself ignores them.
    pub names: Arc<[Name]>,
    /// At most so many tokens of answer; `None` is the model's own limit.
    pub max_tokens: Option<u32>,
    /// 0 is the most likely answer; `None` is the model's own habit.
    pub temperature: Option<f64>,
}

/// Something that a question may speak of, and the words that people have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What it is, and with that which argument it fills.
    pub kind: NameKind,
    /// As tools want it: a table's full name, a collection's name.
    pub name: String,
    /// Lowercase words as in a question, most telling first: `purchase orders`, `purchase order`,
    /// `factv_purchase_order`. Never empty.
    pub words: Vec<String>,
}

/// What a [`Name`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A table of the catalogue; the argument `table_name`.
    Table,
    /// A collection of records; the argument `collection`.
    Collection,
    /// A schema of the catalogue; the argument `schema`.
    Schema,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// What a person said.
    User(String),
    /// What the model said and called.
    Assistant {
        /// The text; empty if it only called.
        text: String,
        /// The calls, in order.
        calls: Vec<ToolCall>,
    },
    /// What a tool answered.
    Tool {
        /// To which call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The result as JSON text.
        content: String,
        /// Whether it is an error that the model may react to.
        is_error: bool,
    },
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    /// Its name: `a-z 0-9 _`.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// A call that a model wants, with complete arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Unique within the run.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments, an object.
    pub arguments: Value,
}

/// One thing that a model does.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// It is busy with others.
    Queued {
        /// How many are before us.
        position: usize,
    },
    /// More text. Never empty.
    Text(String),
    /// More reasoning, where it shows it. Never empty.
    Reasoning(String),
    /// A call's arguments grow; to be shown, never to be executed.
    CallProgress {
        /// Which call.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments' JSON text so far.
        so_far: String,
    },
    /// A complete call.
    Call(ToolCall),
    /// What it cost so far; the last one counts.
    Usage(Usage),
    /// It is done.
    End(StopReason),
}

/// Why a model is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It said all that it wanted to.
    Finished,
    /// It waits for the results of its calls.
    ToolCalls,
    /// It reached `max_tokens` or its own limit.
    Length,
    /// The provider refused to go on.
    Refused,
}
