//! What callers call.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schematic_runtime::{
    Backoff, Beat, Confirm, Connection, Policy, Reconnect, Transport, WebSocketTransport,
};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::answer::{AnswerStream, Queue};
use super::keeper::{Chat, Control, Keeper, want};
use super::request::{self, Question, Resume};
use super::track::{First, Track};
use crate::Result;
use crate::access::{Access, Token};
use crate::generated::chat_service::client::ChatSession;
use crate::generated::chat_service::wire::{Approve, ClientMessage, ToolResult};
use crate::session::Renewing;

/// Which part of a delay is left to chance on each side.
const CHANCE: f64 = 0.15;

/// A client of the chat service. Clones share one connection, which comes back by itself.
#[derive(Clone)]
pub struct ChatService {
    control: mpsc::UnboundedSender<Control>,
    figures: Arc<Figures>,
    keys: Arc<AtomicU64>,
}

impl ChatService {
    /// Begins a client for the server at this address, `http(s)` or `ws(s)`.
    pub fn builder(url: impl Into<String>) -> ChatServiceBuilder {
        ChatServiceBuilder { url: url.into(), access: Access::default(), policy: policy() }
    }

    /// Opens a chat with a question.
    ///
    /// # Errors
    /// When the server would not take the question, or the client was closed.
    pub fn ask(&self, question: Question) -> Result<AnswerStream> {
        self.answer(First::New(question.finish(new_id)?))
    }

    /// Goes on with a chat: gives what was missed, and the answer to what is asked further.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn resume(&self, resume: Resume) -> Result<AnswerStream> {
        self.answer(First::Resume(resume.finish(new_id)?))
    }

    fn answer(&self, first: First) -> Result<AnswerStream> {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let (run_id, queue) = (first.run_id().to_owned(), Arc::<Queue>::default());
        let track = Track::new(key, first, Arc::clone(&queue));
        want(&self.control, Control::Await(Box::new(track)))?;
        Ok(AnswerStream::new(key, run_id, queue, self.control.clone()))
    }

    /// Ends the answer of a chat that is being given, and keeps what was said. It holds over a lost connection.
    ///
    /// # Errors
    /// When the name is none, or the client was closed.
    pub fn stop(&self, run_id: &str) -> Result<()> {
        request::check_name(run_id)?;
        want(&self.control, Control::Stop(run_id.to_owned()))
    }

    /// Answers a call of one of this client's tools: with what it gave, or why it did not.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn tool_result(
        &self,
        run_id: &str,
        call_id: &str,
        outcome: std::result::Result<Value, String>,
    ) -> Result<()> {
        request::check_name(run_id)?;
        let (result, error) = match outcome {
            Ok(value) => (Some(value), None),
            Err(why) => (None, Some(why)),
        };
        let (run_id, call_id) = (run_id.to_owned(), call_id.to_owned());
        self.say(ClientMessage::ToolResult(ToolResult { run_id, call_id, result, error, working: None }))
    }

    /// Agrees to a call that waits for a person, or refuses it.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn approve(&self, run_id: &str, call_id: &str, approved: bool) -> Result<()> {
        request::check_name(run_id)?;
        let (run_id, call_id) = (run_id.to_owned(), call_id.to_owned());
        self.say(ClientMessage::Approve(Approve { run_id, call_id, approved }))
    }

    fn say(&self, message: ClientMessage) -> Result<()> {
        want(&self.control, Control::Say(Box::new(message)))
    }

    /// What the connection has been through so far.
    pub fn metrics(&self) -> Metrics {
        self.figures.read()
    }

    /// Ends the connection. Answers that are awaited end here; those on the server go on.
    pub fn close(&self) {
        let _ = self.control.send(Control::Close);
    }
}

impl fmt::Debug for ChatService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatService").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

/// Choices for a [`ChatService`].
pub struct ChatServiceBuilder {
    url: String,
    access: Access,
    policy: Policy,
}

impl ChatServiceBuilder {
    /// An API key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.access = Access::key(key);
        self
    }

    /// Where tokens come from; as [`Builder::token_provider`](crate::Builder::token_provider).
    #[must_use]
    pub fn token_provider<F, E>(mut self, provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = std::result::Result<Token, E>> + Send + 'static,
        E: fmt::Display,
    {
        self.access = Access::provider(provider);
        self
    }

    /// Whether a lost connection is restored [default: true].
    #[must_use]
    pub fn auto_reconnect(mut self, wanted: bool) -> Self {
        self.policy.reconnect = if wanted { Reconnect::Replay } else { Reconnect::Never };
        self
    }

    /// Attempts in a row without success before it fails [default: 5].
    #[must_use]
    pub fn max_reconnect_attempts(mut self, attempts: u32) -> Self {
        self.policy.backoff.max_attempts = attempts;
        self
    }

    /// Delay before the first attempt [default: 1 s], each further one half as long again, and the longest
    /// [default: 30 s]; each ± 15 %.
    #[must_use]
    pub fn reconnect_delay(mut self, first: Duration, longest: Duration) -> Self {
        self.policy.backoff.initial = first.mul_f64(1.0 + CHANCE);
        self.policy.backoff.max = longest.mul_f64(1.0 + CHANCE);
        self
    }

    /// Changes how the connection is kept: signs of life, bounds.
    #[must_use]
    pub fn policy(mut self, adjust: impl FnOnce(&mut Policy)) -> Self {
        adjust(&mut self.policy);
        self
    }

    /// The client; it connects at once, in a task of the current runtime.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub fn build(self) -> ChatService {
        self.build_over(WebSocketTransport)
    }

    /// The same over another transport.
    ///
    /// # Panics
    /// As [`Self::build`].
    pub fn build_over<T: Transport + Sync>(self, transport: T) -> ChatService {
        let access = Arc::new(self.access);
        let address = address(&self.url);
        let transport = Renewing { inner: transport, access: Arc::clone(&access) };
        let (sender, events) = Connection::open(Chat { address, access }, transport, self.policy).split();
        let (control, wishes) = mpsc::unbounded_channel();
        let figures = Arc::<Figures>::default();
        tokio::spawn(Keeper::new(sender, events, wishes, Arc::clone(&figures)).run());
        ChatService { control, figures, keys: Arc::default() }
    }
}

impl fmt::Debug for ChatServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatServiceBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

fn address(url: &str) -> String {
    match url.contains("/chat/ws") {
        true => url.to_owned(),
        false => format!("{}/chat/ws", url.trim_end_matches('/')),
    }
}

/// What the definition says, and that a lost link is not the end.
fn policy() -> Policy {
    let mut policy = Policy {
        reconnect: Reconnect::Replay,
        confirm: Confirm::Written,
        ping: Some(Beat {
            interval: Some(Duration::from_secs(15)),
            timeout: Some(Duration::from_secs(10)),
            jitter_first: true,
        }),
        backoff: Backoff {
            // From the longest delay that chance allows downwards: the same spread as ± around the middle.
            initial: Duration::from_secs(1).mul_f64(1.0 + CHANCE),
            max: Duration::from_secs(30).mul_f64(1.0 + CHANCE),
            factor: 1.5,
            jitter: 2.0 * CHANCE / (1.0 + CHANCE),
            max_attempts: 5,
            min_uptime: Duration::ZERO,
        },
        ..ChatSession::policy()
    };
    policy.inbound.message_bytes = 64 << 20;
    policy
}

fn new_id() -> String {
    Uuid::now_v7().simple().to_string()
}

/// What a connection has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Attempts to connect.
    pub attempts: u64,
    /// Those that succeeded.
    pub connects: u64,
    /// Connections and attempts that were lost.
    pub errors: u64,
    /// How long the last successful attempt took.
    pub latency: Duration,
    /// How long all successful ones took together.
    pub total_latency: Duration,
    /// Answers that were taken up again on a new connection.
    pub resumes: u64,
}

/// The figures behind [`Metrics`].
#[derive(Default)]
pub(super) struct Figures(std::sync::Mutex<Metrics>);

impl Figures {
    fn change(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn read(&self) -> Metrics {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn attempt(&self) {
        self.change(|metrics| metrics.attempts += 1);
    }

    pub(super) fn opened(&self, took: Duration) {
        self.change(|metrics| {
            metrics.connects += 1;
            metrics.latency = took;
            metrics.total_latency += took;
        });
    }

    pub(super) fn lost(&self) {
        self.change(|metrics| metrics.errors += 1);
    }

    pub(super) fn resumed(&self, answers: usize) {
        self.change(|metrics| metrics.resumes += answers as u64);
    }
}
