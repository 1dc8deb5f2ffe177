//! The scripted model: says what it was told to say, for tests, demos and benchmarks.
//!
//! A [`Script`] is one answer, step by step; a [`ScriptedModel`] chooses the script by the last message. It computes
//! nothing and needs nothing, so that whatever is slow or wrong around it is somebody else's.
//!
//! ```
//! use serde_json::json;
//! use tidewire_engine::model::scripted::{Script, ScriptedModel};
//!
//! let model = ScriptedModel::new()
//!     .when("tables", Script::new().call("list_tables", json!({})))
//!     .after("list_tables", Script::new().words("There are two tables."))
//!     .otherwise(Script::new().words("Ask me about tables."));
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Message, Model, ModelEvent, ModelStream, Request, StopReason, ToolCall};
use crate::error::{Error, Result};
use crate::event::Usage;

mod demo;

/// How many requests are remembered for [`ScriptedModel::requests`].
const REMEMBERED: usize = 100;
/// Requests with more text than this are not: a demo server would keep a hundred long conversations.
const REMEMBERED_BYTES: usize = 64 * 1024;

/// The text of one token of [`Script::tokens`]: six characters.
const TOKEN: &str = "token ";

/// One answer, step by step.
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Event(ModelEvent),
    Tokens { count: u64, every: Duration },
    Pace(Duration),
    Wait(Duration),
    Gate(Arc<Notify>),
    Hang,
    Fail(Error),
    BreakOff,
}

impl Script {
    /// An empty answer. Unless told otherwise it ends with its usage and `End`.
    pub fn new() -> Self {
        Self::default()
    }

    /// One text delta.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.event(ModelEvent::Text(text.into()))
    }

    /// A text delta for each word, the space after it included.
    #[must_use]
    pub fn words(self, text: &str) -> Self {
        text.split_inclusive(' ').fold(self, Self::text)
    }

    /// So many text deltas of six characters, one every so often; a zero interval is full speed.
    ///
    /// They keep to the clock: a late one does not delay those after it.
    #[must_use]
    pub fn tokens(self, count: u64, every: Duration) -> Self {
        self.step(Step::Tokens { count, every })
    }

    /// From here on every text and reasoning delta takes so long.
    #[must_use]
    pub fn pace(self, delay: Duration) -> Self {
        self.step(Step::Pace(delay))
    }

    /// One delta of reasoning.
    #[must_use]
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        self.event(ModelEvent::Reasoning(text.into()))
    }

    /// A whole tool call. Its id is `call_` and its place in the script, made unique in the run by the conversation's length.
    #[must_use]
    pub fn call(self, name: impl Into<String>, arguments: Value) -> Self {
        let id = format!("call_{}", self.steps.len() + 1);
        self.event(ModelEvent::Call(ToolCall { id, name: name.into(), arguments }))
    }

    /// The beginning of a tool call, then the error of a provider that never sent the rest.
    #[must_use]
    pub fn half_a_call(self, name: impl Into<String>, so_far: impl Into<String>) -> Self {
        let id = format!("call_{}", self.steps.len() + 1);
        self.event(ModelEvent::CallProgress { id, name: name.into(), so_far: so_far.into() })
            .fail(Error::upstream("the model broke off in the middle of a tool call; ask again"))
    }

    /// Waits behind others.
    #[must_use]
    pub fn queued(self, position: usize) -> Self {
        self.event(ModelEvent::Queued { position })
    }

    /// What it cost; else words are counted.
    #[must_use]
    pub fn usage(self, input_tokens: u64, output_tokens: u64) -> Self {
        self.event(ModelEvent::Usage(Usage { input_tokens, output_tokens, context_window: None }))
    }

    /// Says nothing for so long.
    #[must_use]
    pub fn wait(self, duration: Duration) -> Self {
        self.step(Step::Wait(duration))
    }

    /// Says nothing until the gate is notified. One [`Notify::notify_one`] lets one answer through.
    #[must_use]
    pub fn gate(self, gate: Arc<Notify>) -> Self {
        self.step(Step::Gate(gate))
    }

    /// Never says anything again, and never ends.
    #[must_use]
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Fails; nothing comes after it.
    #[must_use]
    pub fn fail(self, error: Error) -> Self {
        self.step(Step::Fail(error))
    }

    /// The stream ends without `End` and without an error, as no model should.
    #[must_use]
    pub fn break_off(self) -> Self {
        self.step(Step::BreakOff)
    }

    /// Ends for this reason; else it is `ToolCalls` after calls and `Finished` without.
    #[must_use]
    pub fn end(self, reason: StopReason) -> Self {
        self.event(ModelEvent::End(reason))
    }

    fn event(self, event: ModelEvent) -> Self {
        self.step(Step::Event(event))
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// What the last message must be for a script to be played.
enum Condition {
    /// A person's words contain this, in lowercase.
    Said(String),
    /// A tool of this name has answered.
    Answered(String),
    /// A tool's answer contains this.
    Result(String),
}

impl Condition {
    fn holds(&self, last: Option<&Message>) -> bool {
        match (self, last) {
            (Self::Said(part), Some(Message::User(text))) => text.to_lowercase().contains(part),
            (Self::Answered(tool), Some(Message::Tool { name, .. })) => name == tool,
            (Self::Result(part), Some(Message::Tool { content, .. })) => content.contains(part),
            (Self::Said(_) | Self::Answered(_) | Self::Result(_), _) => false,
        }
    }
}

type Reading = Box<dyn Fn(&str) -> Option<Script> + Send + Sync>;

/// A model that plays scripts.
///
/// What was queued by [`then`](Self::then) comes first, then the first rule that fits, then what
/// [`otherwise`](Self::otherwise) says.
pub struct ScriptedModel {
    name: String,
    next: Mutex<VecDeque<Script>>,
    rules: Vec<(Condition, Script)>,
    readings: Vec<Reading>,
    otherwise: Script,
    context_window: Option<u64>,
    writes_freely: bool,
    requests: Mutex<VecDeque<Request>>,
    running: watch::Sender<usize>,
}

impl Default for ScriptedModel {
    fn default() -> Self {
        Self {
            name: String::from("scripted"),
            next: Mutex::default(),
            rules: Vec::new(),
            readings: Vec::new(),
            otherwise: Script::new().words("I have nothing to say to that."),
            context_window: None,
            writes_freely: true,
            requests: Mutex::default(),
            running: watch::Sender::new(0),
        }
    }
}

impl ScriptedModel {
    /// A model with no rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The model that `model = "scripted"` means: it speaks of the demo catalogue, and "200 tokens every 20 ms" makes
    /// it do just that.
    pub fn demo() -> Self {
        demo::model()
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With a context window of so many tokens.
    #[must_use]
    pub fn with_context_window(mut self, tokens: u64) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// As a model that only routes and renders: answers from documents quote them, summaries are made without it.
    #[must_use]
    pub fn rendering_only(mut self) -> Self {
        self.writes_freely = false;
        self
    }

    /// Plays this at the next request, whatever it is; several wait in line.
    #[must_use]
    pub fn then(self, script: Script) -> Self {
        self.push(script);
        self
    }

    /// As [`then`](Self::then), on a model that is already in use.
    pub fn push(&self, script: Script) {
        lock(&self.next).push_back(script);
    }

    /// Plays this when a person's message contains these words, in any case.
    #[must_use]
    pub fn when(self, words: &str, script: Script) -> Self {
        self.rule(Condition::Said(words.to_lowercase()), script)
    }

    /// Plays this when the last message is an answer of this tool.
    #[must_use]
    pub fn after(self, tool: impl Into<String>, script: Script) -> Self {
        self.rule(Condition::Answered(tool.into()), script)
    }

    /// Plays this when the last message is a tool's answer that contains this text.
    #[must_use]
    pub fn when_result(self, part: impl Into<String>, script: Script) -> Self {
        self.rule(Condition::Result(part.into()), script)
    }

    /// Plays what the function makes of a person's message; it comes after the rules.
    #[must_use]
    pub fn reading(mut self, read: impl Fn(&str) -> Option<Script> + Send + Sync + 'static) -> Self {
        self.readings.push(Box::new(read));
        self
    }

    /// Plays this when nothing else fits.
    #[must_use]
    pub fn otherwise(mut self, script: Script) -> Self {
        self.otherwise = script;
        self
    }

    /// The last requests, oldest first, a hundred at most; those with more than 64 KiB of text are left out.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).iter().cloned().collect()
    }

    /// How many answers are being played now; it is told when one was dropped or has ended.
    pub fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    fn rule(mut self, condition: Condition, script: Script) -> Self {
        self.rules.push((condition, script));
        self
    }

    fn choose(&self, request: &Request) -> Script {
        let next = lock(&self.next).pop_front();
        next.or_else(|| self.by_rule(request.messages.last())).unwrap_or_else(|| self.otherwise.clone())
    }

    fn by_rule(&self, last: Option<&Message>) -> Option<Script> {
        let rule = self.rules.iter().find(|(condition, _)| condition.holds(last));
        rule.map(|(_, script)| script.clone()).or_else(|| match last {
            Some(Message::User(text)) => self.readings.iter().find_map(|read| read(text)),
            Some(Message::Assistant { .. } | Message::Tool { .. }) | None => None,
        })
    }

    fn remember(&self, request: &Request) {
        if request.messages.iter().map(text_len).sum::<usize>() > REMEMBERED_BYTES {
            return;
        }
        let mut requests = lock(&self.requests);
        if requests.len() == REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(request.clone());
    }
}

fn text_len(message: &Message) -> usize {
    match message {
        Message::User(text) | Message::Assistant { text, .. } | Message::Tool { content: text, .. } => {
            text.len()
        }
    }
}

#[async_trait]
impl Model for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn context_window(&self) -> Option<u64> {
        self.context_window
    }

    fn writes_freely(&self) -> bool {
        self.writes_freely
    }

    async fn stream(&self, request: Request) -> Result<ModelStream> {
        self.remember(&request);
        let playing = Playing::new(self.choose(&request), &request, self.running.clone());
        let next = async |mut playing: Box<Playing>| Some((playing.next().await?, playing));
        Ok(stream::unfold(Box::new(playing), next).boxed())
    }
}

/// A script while it is played.
struct Playing {
    steps: std::vec::IntoIter<Step>,
    tokens: Option<Tokens>,
    pace: Duration,
    usage: Usage,
    /// How many messages came before, which makes call ids unique in the run.
    turn: usize,
    called: bool,
    closing: VecDeque<ModelEvent>,
    over: bool,
    _running: Running,
}

struct Tokens {
    left: u64,
    every: Duration,
    due: Instant,
}

impl Playing {
    fn new(script: Script, request: &Request, running: watch::Sender<usize>) -> Self {
        Self {
            steps: script.steps.into_iter(),
            tokens: None,
            pace: Duration::ZERO,
            usage: Usage { input_tokens: words_of(request), ..Usage::default() },
            turn: request.messages.len(),
            called: false,
            closing: VecDeque::new(),
            over: false,
            _running: Running::begin(running),
        }
    }

    async fn next(&mut self) -> Option<Result<ModelEvent>> {
        if let Some(event) = self.closing.pop_front() {
            return Some(Ok(event));
        }
        if self.over {
            return None;
        }
        if let Some(delta) = self.token().await {
            return Some(Ok(delta));
        }
        while let Some(step) = self.steps.next() {
            match step {
                Step::Event(event) => return Some(Ok(self.play(event).await)),
                Step::Tokens { count, every } => {
                    self.tokens = Some(Tokens { left: count, every, due: Instant::now() });
                    if let Some(delta) = self.token().await {
                        return Some(Ok(delta));
                    }
                }
                Step::Pace(delay) => self.pace = delay,
                Step::Wait(duration) => sleep(duration).await,
                Step::Gate(gate) => gate.notified().await,
                Step::Hang => std::future::pending().await,
                Step::Fail(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
                Step::BreakOff => return None,
            }
        }
        self.close();
        self.closing.pop_front().map(Ok)
    }

    /// The next of a row of tokens, when it is due.
    async fn token(&mut self) -> Option<ModelEvent> {
        let tokens = self.tokens.as_mut().filter(|tokens| tokens.left > 0)?;
        tokens.left -= 1;
        if !tokens.every.is_zero() {
            tokens.due += tokens.every;
            sleep_until(tokens.due).await;
        }
        self.usage.output_tokens += 1;
        Some(ModelEvent::Text(TOKEN.to_owned()))
    }

    async fn play(&mut self, event: ModelEvent) -> ModelEvent {
        match event {
            ModelEvent::Text(_) | ModelEvent::Reasoning(_) => {
                if !self.pace.is_zero() {
                    sleep(self.pace).await;
                }
                self.usage.output_tokens += 1;
                event
            }
            ModelEvent::Call(call) => {
                self.called = true;
                ModelEvent::Call(ToolCall { id: self.unique(&call.id), ..call })
            }
            ModelEvent::CallProgress { id, name, so_far } => {
                ModelEvent::CallProgress { id: self.unique(&id), name, so_far }
            }
            ModelEvent::Usage(usage) => {
                self.usage = usage;
                event
            }
            ModelEvent::End(_) => {
                self.over = true;
                event
            }
            ModelEvent::Queued { .. } => event,
        }
    }

    fn unique(&self, id: &str) -> String {
        format!("{id}_{}", self.turn)
    }

    fn close(&mut self) {
        let reason = if self.called { StopReason::ToolCalls } else { StopReason::Finished };
        self.over = true;
        self.closing.extend([ModelEvent::Usage(self.usage), ModelEvent::End(reason)]);
    }
}

/// Counts an answer for as long as its stream lives.
struct Running(watch::Sender<usize>);

impl Running {
    fn begin(count: watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A stand-in for input tokens.
fn words_of(request: &Request) -> u64 {
    let texts = request.messages.iter().map(|message| match message {
        Message::User(text) | Message::Assistant { text, .. } => text,
        Message::Tool { content, .. } => content,
    });
    let words = texts.chain([&request.system]).map(|text| text.split_whitespace().count());
    words.sum::<usize>() as u64
}

/// What these locks guard is whole at every moment, so a panic elsewhere leaves nothing broken behind.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(text: &str) -> Request {
        Request { messages: vec![Message::User(text.into())], ..Request::default() }
    }

    fn answered(tool: &str, content: &str) -> Request {
        let message = Message::Tool {
            call_id: String::from("call_1"),
            name: tool.into(),
            content: content.into(),
            is_error: false,
        };
        Request { messages: vec![Message::User("?".into()), message], ..Request::default() }
    }

    async fn play(model: &ScriptedModel, request: Request) -> Vec<Result<ModelEvent>> {
        model.stream(request).await.unwrap().collect().await
    }

    async fn said(model: &ScriptedModel, request: Request) -> String {
        let text = |event: Result<ModelEvent>| match event {
            Ok(ModelEvent::Text(text)) => text,
            _ => String::new(),
        };
        play(model, request).await.into_iter().map(text).collect()
    }

    #[tokio::test]
    async fn the_last_message_chooses_the_script() {
        let model = ScriptedModel::new()
            .when("TABLES", Script::new().text("a"))
            .after("list_tables", Script::new().text("b"))
            .when_result("\"rows\"", Script::new().text("c"))
            .otherwise(Script::new().text("d"));
        assert_eq!(said(&model, asked("Show me all tables")).await, "a");
        assert_eq!(said(&model, answered("list_tables", "{}")).await, "b");
        assert_eq!(said(&model, answered("other", "{\"rows\":1}")).await, "c");
        assert_eq!(said(&model, asked("hello")).await, "d");
        assert_eq!(model.requests().len(), 4);
    }

    #[tokio::test]
    async fn queued_scripts_come_first_and_once() {
        let model = ScriptedModel::new().then(Script::new().text("first")).otherwise(Script::new().text("x"));
        model.push(Script::new().text("second"));
        assert_eq!(said(&model, asked("a")).await, "first");
        assert_eq!(said(&model, asked("a")).await, "second");
        assert_eq!(said(&model, asked("a")).await, "x");
    }

    #[tokio::test]
    async fn a_call_ends_with_its_reason_and_usage() {
        let script = Script::new().reasoning("hm").call("list_tables", json!({"schema": "mart"}));
        let events: Result<Vec<_>> =
            play(&ScriptedModel::new().then(script), asked("two words")).await.into_iter().collect();
        let call = ToolCall {
            id: String::from("call_2_1"),
            name: String::from("list_tables"),
            arguments: json!({"schema": "mart"}),
        };
        let usage = Usage { input_tokens: 2, output_tokens: 1, context_window: None };
        assert_eq!(
            events.unwrap(),
            [
                ModelEvent::Reasoning(String::from("hm")),
                ModelEvent::Call(call),
                ModelEvent::Usage(usage),
                ModelEvent::End(StopReason::ToolCalls),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_keep_to_the_clock() {
        let begun = Instant::now();
        let model = ScriptedModel::new().then(Script::new().tokens(200, Duration::from_millis(20)));
        assert_eq!(said(&model, asked("go")).await.len(), 1200);
        assert_eq!(begun.elapsed(), Duration::from_secs(4));
    }

    #[tokio::test]
    async fn nothing_comes_after_an_error() {
        let model =
            ScriptedModel::new().then(Script::new().half_a_call("list_tables", "{\"sch").text("never"));
        let events = play(&model, asked("go")).await;
        assert_eq!(events.len(), 2);
        assert!(matches!(&events[0], Ok(ModelEvent::CallProgress { so_far, .. }) if so_far == "{\"sch"));
        assert_eq!(events[1].as_ref().unwrap_err().code, crate::Code::Upstream);
    }

    #[tokio::test]
    async fn dropping_the_stream_ends_the_answer() {
        let model = ScriptedModel::new().then(Script::new().text("a").hang());
        let mut running = model.running();
        let mut stream = model.stream(asked("go")).await.unwrap();
        stream.next().await.unwrap().unwrap();
        assert_eq!(*running.borrow_and_update(), 1);
        drop(stream);
        assert_eq!(*running.borrow_and_update(), 0);
    }

    #[tokio::test]
    async fn a_gate_lets_one_answer_through() {
        let gate = Arc::new(Notify::new());
        let model = ScriptedModel::new().otherwise(Script::new().gate(gate.clone()).text("a"));
        let mut stream = model.stream(asked("go")).await.unwrap();
        assert!(futures_util::poll!(stream.next()).is_pending());
        gate.notify_one();
        assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Text(String::from("a")));
    }

    #[tokio::test]
    async fn a_stream_may_break_off() {
        let model = ScriptedModel::new().then(Script::new().text("a").break_off().text("b"));
        assert_eq!(play(&model, asked("go")).await.len(), 1);
    }
}
