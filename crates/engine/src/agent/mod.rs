//! Agents: who answers.
//!
//! An agent turns one question into a stream of [`AgentEvent`](crate::event::AgentEvent)s. It knows models and tools, and neither sockets nor
//! the store: what its tools read is handed to it as [`Records`].

mod agents;
mod arguments;
pub(crate) mod bounded;
mod calls;
mod direct;
pub mod events;
pub mod explorer;
pub mod graph;
mod left;
pub mod outside;
pub mod retrieval;
mod round;
pub mod run_loop;
mod steering;
#[cfg(test)]
mod tests;
pub mod tool;
pub mod toolbox;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::conversation::RetrievalWish;
use crate::error::{Error, Result};
use crate::id::{ChatId, RunId, SystemClock};
use crate::identity::Identity;
use crate::model::{Message, Model, ToolDefinition};
use crate::query::{CollectionInfo, Filter, Hit, Query, Record, Search};

pub use agents::Agents;
pub use direct::{call_tool, complete};
pub use events::{Events, Told};
pub use left::{Left, LeftCall, Passed};
pub use outside::{Outside, Waits};
pub use steering::Steering;
pub use toolbox::ToolSet;

/// One question and all that is needed to answer it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// In which chat.
    pub chat: ChatId,
    /// Which run.
    pub run: RunId,
    /// In whose name; tools may read what it may read.
    pub identity: Identity,
    /// The conversation so far, oldest first; the last one is the question.
    pub messages: Vec<Message>,
    /// Cancelled when somebody stops the run.
    pub cancel: CancellationToken,
    /// How it is to be answered.
    pub wishes: Wishes,
    /// Where calls wait that clients do or persons must agree to.
    pub outside: Arc<Outside>,
    /// Where persons say what the run is to take into account.
    pub steering: Arc<Steering>,
    /// Whether what is told goes into a log, and [`Outside::recorded_call`] is told when. A call that must not be done
    /// twice is then done when its `ToolCall` is in the log, and not before.
    pub is_kept: bool,
    /// What an earlier process left of the run, if it goes on with one.
    pub left: Option<Arc<Left>>,
}

impl Turn {
    /// A turn of a chat of its own, with no wishes and nobody outside.
    pub fn alone(identity: Identity, messages: Vec<Message>) -> Self {
        Self {
            chat: ChatId::new(),
            run: RunId::new(),
            identity,
            messages,
            cancel: CancellationToken::new(),
            wishes: Wishes::default(),
            outside: Arc::new(Outside::new(Arc::new(SystemClock), Waits::default())),
            steering: Arc::default(),
            is_kept: false,
            left: None,
        }
    }
}

/// How a turn is to be answered, as its chat and its message want it. What is `None` or empty is the agent's business.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What the model is told before everything else.
    pub system: Option<String>,
    /// Who phrases.
    pub model: Option<Arc<dyn Model>>,
    /// At most so many tokens of answer.
    pub max_tokens: Option<u32>,
    /// 0 is the most likely answer.
    pub temperature: Option<f64>,
    /// At most so many rounds of model and tools, at least 1; the agent's own limit stays.
    pub max_rounds: Option<usize>,
    /// Tools that clients bring; see [`toolbox::check_client_tools`].
    pub client_tools: Vec<ToolDefinition>,
    /// The agent's tools that a person must agree to before each call.
    pub confirm: Vec<String>,
    /// The agent's tools that the model is not told of.
    pub exclude: Vec<String>,
    /// Whether and how documents are looked through.
    pub retrieval: RetrievalWish,
}

/// Who answers.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// Its name, for logs and metrics.
    fn name(&self) -> &str;

    /// The tools that it has now, by which also others than itself may call them.
    fn tools(&self) -> Tools {
        Tools::default()
    }

    /// Whether it tells [`Checkpoint`](crate::event::AgentEvent::Checkpoint)s, so that it could go on with a run that another process
    /// began. Who that is for is then kept with each of its runs.
    fn keeps_checkpoints(&self) -> bool {
        false
    }

    /// Fails unless it can go on with what an earlier process left of one of its runs; then [`run`](Self::run) is
    /// called with a turn that has it. The error's sentence ends the run.
    ///
    /// # Errors
    /// `Unavailable`, which says why and what to do.
    fn check_left(&self, _left: &Left) -> Result<()> {
        Err(Error::unavailable("the server ended before the answer was complete; ask again"))
    }

    /// Waits until its tools are those of before the restart, and those are back that the run still wants to call; see
    /// [`ToolSource::settled`] and [`ToolSource::returned`]. Whoever waits sets the limit.
    async fn settled(&self, _left: &Left) {}

    /// Answers. The first event is `RunStarted` unless the turn has [`left`](Turn::left) that told it, the last one `RunFinished`, `RunFailed` or `RunStopped`, and exactly
    /// one of these is sent whatever happens, unless the receiver is gone.
    ///
    /// When `turn.cancel` is cancelled, the model and the tools are stopped at once and `RunStopped` follows with what
    /// has been said so far. Dropping the future stops everything and sends nothing.
    async fn run(&self, turn: Turn, events: Events);
}

/// Something that an agent can do beside talking.
#[async_trait]
pub trait Tool: Send + Sync + 'static {
    /// As the model sees it.
    fn definition(&self) -> &ToolDefinition;

    /// Does it. The result is JSON for the model; an error's sentence is shown to the model too, which may try again.
    /// Dropping the future stops it.
    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<Value>;

    /// Whether a person must agree to each call. A client may ask for agreement to more calls, never to fewer.
    fn needs_approval(&self) -> bool {
        false
    }

    /// Whether doing a call twice leaves the world as doing it once. A run that was cut off during a call of any other
    /// tool does not make that call again.
    fn idempotent(&self) -> bool {
        false
    }

    /// Whether the same call may be answered otherwise a moment later, so that a run may make it again.
    fn answers_anew(&self) -> bool {
        false
    }

    /// How long a call may take; `None` is as long as the agent allows all its tools.
    fn limit(&self) -> Option<Duration> {
        None
    }
}

/// The tools that there are at one moment, with unique names.
pub type Tools = Arc<[Arc<dyn Tool>]>;

/// Tools that come and go while the server runs, such as those of other programs.
#[async_trait]
pub trait ToolSource: Send + Sync + 'static {
    /// Those that there are now. Asked at the beginning of each run, so it must not be slow.
    fn tools(&self) -> Tools;

    /// Waits until whatever was being started at the server's own start has come up or failed to. A run that an
    /// earlier process began waits for it, as it knew these tools; others do not.
    async fn settled(&self) {}

    /// Waits until a tool of this name, which an earlier process knew, can be called again, also where the first start
    /// has failed. Returns at once if no such tool can come from here. Whoever waits sets the limit.
    async fn returned(&self, _tool: &str) {}
}

/// In whose name and for what a tool works.
#[derive(Debug, Clone)]
pub struct ToolContext {
    /// In which chat; `None` if it was called without one.
    pub chat: Option<ChatId>,
    /// For which run; `None` if it was called without one.
    pub run: Option<RunId>,
    /// In whose name.
    pub identity: Identity,
}

/// Reading records, as tools may. The collections desk implements it and judges each call by the identity.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// The records that fit.
    async fn query(&self, identity: &Identity, query: Query) -> Result<Vec<Record>>;
    /// How many fit.
    async fn count(&self, identity: &Identity, collection: &str, filter: Option<Filter>) -> Result<u64>;
    /// Full-text search.
    async fn search(&self, identity: &Identity, search: Search) -> Result<Vec<Hit>>;
    /// The collections that may be read.
    async fn collections(&self, identity: &Identity) -> Result<Vec<CollectionInfo>>;
    /// A number that is another one whenever records may have changed; `None` if that is not known without a look.
    fn commits(&self) -> Option<u64> {
        None
    }
    /// Those of them that hold passages of documents, see [`retrieval`].
    async fn documents(&self, identity: &Identity) -> Result<Vec<String>> {
        let readable = self.collections(identity).await?;
        Ok(readable.into_iter().map(|info| info.name).filter(|name| name == retrieval::DOCUMENTS).collect())
    }
}

/// Records that are shared by several tools.
pub type SharedRecords = Arc<dyn Records>;
