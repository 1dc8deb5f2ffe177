//! The loop: model, tools, model, until there is an answer.
//!
//! It streams what the model says as events, calls the tools that it asks for, and hands their results back. Every
//! step has a deadline, a cancelled run stops at once, and whatever goes wrong leaves the text and the usage so far.
//! What the first and the last event of a run carry is the [graph](super::graph)'s business, not the loop's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::timeout;

use super::calls::{Answered, Calls};
use super::graph::Marks;
use super::round::{self, Heard};
use super::toolbox::Toolbox;
use super::{Events, ToolContext, Tools, Turn};
use crate::error::{Code, Error, Result};
use crate::event::{AgentEvent, Usage};
use crate::model::{Message, Model, Name, Request, StopReason, ToolCall, ToolDefinition};

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How often a model is asked within one run.
    pub rounds: usize,
    /// How many calls of one round are done; the others are answered with an error.
    pub calls_per_round: usize,
    /// How long a model may take to begin. Time that it spends waiting for others does not count.
    pub begin: Duration,
    /// How long a model may say nothing once it has begun.
    pub silence: Duration,
    /// How long a model that waits for others may go without saying so again.
    pub queued: Duration,
    /// How long one tool may take.
    pub tool: Duration,
    /// How many bytes of a tool's result the model and the readers get.
    pub result_bytes: usize,
    /// How many bytes an answer may have; a model that does not come to an end is ended there.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rounds: 8,
            calls_per_round: 16,
            begin: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            queued: Duration::from_secs(600),
            tool: Duration::from_secs(10),
            result_bytes: 64 * 1024,
            answer_bytes: 1024 * 1024,
        }
    }
}

/// What a run works with.
#[derive(Clone)]
pub struct Plan {
    /// Who phrases.
    pub model: Arc<dyn Model>,
    /// What can be called; names are unique.
    pub tools: Tools,
    /// All of them as models see them, where that is known; it spares a copy a run.
    pub shown: Option<Arc<[ToolDefinition]>>,
    /// What the model is and how it should behave.
    pub system: String,
    /// What the asker may speak of, for [`Request::names`].
    pub names: Arc<[Name]>,
    /// How long and how much.
    pub limits: Limits,
}

/// Watches a run and adds to it.
#[async_trait]
pub trait Observer: Send {
    /// A tool answered. What is returned is sent at once. Runs under the deadline of a tool; if that passes, nothing
    /// is added.
    async fn answered(&mut self, call: &ToolCall, result: &Value) -> Vec<AgentEvent>;
}

/// Why a run cannot go on.
pub(super) enum Cut {
    /// Nobody reads the events any more.
    Gone,
    /// Something failed.
    Failed(Error),
    /// The run went on after a restart, and what would be said now is not what was said before.
    Differs,
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The calls of a turn, with the tools that it may use.
pub(super) fn calls_of<'a>(tools: &'a Tools, turn: &'a Turn, limits: Limits) -> Calls<'a> {
    let wishes = &turn.wishes;
    let context = ToolContext { chat: Some(turn.chat), run: Some(turn.run), identity: turn.identity.clone() };
    let toolbox = Toolbox::new(tools, &wishes.client_tools, &wishes.exclude, &wishes.confirm);
    Calls::new(toolbox, context, turn, limits)
}

/// How often the model may be asked in a turn.
pub(super) fn rounds_of(turn: &Turn, limits: &Limits) -> usize {
    turn.wishes.max_rounds.map_or(limits.rounds, |most| most.clamp(1, limits.rounds))
}

/// Asks the model and calls tools until there is an answer to `messages`.
pub(super) async fn rounds(
    plan: &Plan,
    turn: &Turn,
    mut messages: Vec<Message>,
    said: &mut Said<'_>,
    observer: &mut dyn Observer,
) -> Result<(), Cut> {
    let model = turn.wishes.model.as_ref().unwrap_or(&plan.model);
    let mut calls = calls_of(&plan.tools, turn, plan.limits);
    calls.recall(&messages);
    let wishes = &turn.wishes;
    let are_all = wishes.client_tools.is_empty() && wishes.exclude.is_empty();
    let shown = plan.shown.as_ref().filter(|_| are_all).map(Arc::clone);
    let tools = shown.unwrap_or_else(|| calls.definitions());
    let rounds = rounds_of(turn, &plan.limits);
    for left in (0..rounds).rev() {
        let steered = if left == 0 { turn.steering.close().await } else { turn.steering.take().await };
        messages.extend(steered.into_iter().map(Message::User));
        let request = request(plan, turn, &tools, &messages, left);
        let heard = round::hear(&**model, request, &plan.limits, said, &mut calls).await?;
        said.flush().await?;
        match heard {
            heard if !heard.calls.is_empty() && left > 0 => {
                messages.extend(call_tools(heard, said, &mut calls, plan.limits.tool, observer).await?);
            }
            heard if !heard.calls.is_empty() => return Err(Cut::Failed(went_on_calling(rounds))),
            // Somebody has said something while the model spoke: it is read before the run ends.
            heard if !turn.steering.close_if_empty() => {
                messages.push(Message::Assistant { text: heard.text, calls: Vec::new() });
                said.begin_segment();
            }
            heard => return conclude(&heard, said).await,
        }
    }
    Err(Cut::Failed(went_on_calling(rounds)))
}

/// Why a run that went on after a restart ends after all.
pub(super) fn differs() -> Error {
    Error::unavailable("the server ended before the answer was complete; ask again")
}

fn request(
    plan: &Plan,
    turn: &Turn,
    tools: &Arc<[ToolDefinition]>,
    messages: &[Message],
    left: usize,
) -> Request {
    let last = "\n\nThis is the last step: answer now from what you have, and call no tool";
    let first = turn.wishes.system.as_ref().map(|system| format!("{system}\n\n")).unwrap_or_default();
    Request {
        system: format!("{first}{}{}", plan.system, if left == 0 { last } else { "" }),
        messages: messages.to_vec(),
        tools: Arc::clone(tools),
        names: Arc::clone(&plan.names),
        max_tokens: turn.wishes.max_tokens,
        temperature: turn.wishes.temperature,
    }
}

fn went_on_calling(rounds: usize) -> Error {
    Error::upstream(format!("the model still called tools after {rounds} rounds; ask for less at once"))
}

/// The model is done: says why, where the text alone would not.
async fn conclude(heard: &Heard, said: &mut Said<'_>) -> Result<(), Cut> {
    match heard.reason {
        StopReason::Refused if heard.text.is_empty() => Err(Cut::Failed(Error::new(
            Code::Forbidden,
            "the model's provider refused to answer this; ask in another way",
        ))),
        StopReason::Length if !heard.text.is_empty() => said.text(" …").await,
        _ if said.text.is_empty() => Err(Cut::Failed(Error::upstream("the model said nothing; ask again"))),
        StopReason::Finished | StopReason::ToolCalls | StopReason::Length | StopReason::Refused => Ok(()),
    }
}

/// Calls the tools of one round, and gives what the model is told of it.
async fn call_tools(
    heard: Heard,
    said: &mut Said<'_>,
    calls: &mut Calls<'_>,
    patience: Duration,
    observer: &mut dyn Observer,
) -> Result<Vec<Message>, Cut> {
    let answered = calls.make(&heard.calls, said).await?;
    said.begin_segment();
    for (call, answered) in heard.calls.iter().zip(&answered) {
        let Answered { result: Ok(result), .. } = answered else { continue };
        for event in timeout(patience, observer.answered(call, result)).await.unwrap_or_default() {
            match event {
                AgentEvent::Diagram { mermaid } => said.draw(mermaid).await?,
                event => said.send(event).await?,
            }
        }
    }
    let results: Vec<_> =
        heard.calls.iter().zip(answered).map(|(call, answered)| answered.told(call)).collect();
    Ok([Message::Assistant { text: heard.text, calls: heard.calls }].into_iter().chain(results).collect())
}

/// What was said so far, and who hears it.
pub(super) struct Said<'a> {
    events: &'a Events,
    most: usize,
    pub(super) text: String,
    /// What was shown before a restart and comes next: it is not shown again.
    pub(super) shown: String,
    /// The last diagram.
    pub(super) diagram: Option<String>,
    /// Holds back and takes out what names no source.
    pub(super) marks: Option<Marks>,
    /// Something happened since the last text; the next text is set apart by a blank line.
    apart: bool,
    /// What the rounds before cost.
    spent: Usage,
    /// What this round has cost so far.
    round: Usage,
}

impl<'a> Said<'a> {
    pub(super) fn new(events: &'a Events, most: usize, context_window: Option<u64>) -> Self {
        let spent = Usage { context_window, ..Usage::default() };
        Self {
            events,
            most,
            text: String::new(),
            shown: String::new(),
            diagram: None,
            marks: None,
            apart: false,
            spent,
            round: Usage::default(),
        }
    }

    /// Sends an event, waiting for room.
    pub(super) async fn send(&self, event: AgentEvent) -> Result<(), Cut> {
        self.events.send(event).await.map_err(|_| Cut::Gone)
    }

    /// Sends a diagram, and remembers it.
    pub(super) async fn draw(&mut self, mermaid: String) -> Result<(), Cut> {
        self.diagram = Some(mermaid.clone());
        self.send(AgentEvent::Diagram { mermaid }).await
    }

    /// Says more, without the marks that name no source.
    pub(super) async fn text(&mut self, delta: &str) -> Result<(), Cut> {
        self.take(delta.to_owned()).await
    }

    /// The same, of a text that nobody else needs.
    pub(super) async fn take(&mut self, delta: String) -> Result<(), Cut> {
        let delta = match &mut self.marks {
            Some(marks) => marks.take(&delta),
            None => delta,
        };
        self.say(delta).await
    }

    /// Says what was held back.
    pub(super) async fn flush(&mut self) -> Result<(), Cut> {
        match self.marks.as_mut().map(Marks::rest) {
            Some(rest) => self.say(rest).await,
            None => Ok(()),
        }
    }

    /// The text is kept in the moment in which it is sent, so that what is kept is what was shown.
    async fn say(&mut self, mut delta: String) -> Result<(), Cut> {
        let gap = self.gap(&delta);
        if !gap.is_empty() {
            delta.insert_str(0, gap);
        }
        if delta.is_empty() {
            return Ok(());
        }
        if self.text.len() + delta.len() > self.most {
            let message =
                format!("the answer grew beyond {} bytes and was ended; ask for less at once", self.most);
            return Err(Cut::Failed(Error::new(Code::TooLarge, message)));
        }
        let shown = delta.len() - self.without_shown(&delta)?.len();
        let new = &delta[shown..];
        if !new.is_empty() {
            self.events.say(new).await.map_err(|_| Cut::Gone)?;
        }
        self.text.push_str(&delta);
        self.shown.drain(..shown);
        self.apart = false;
        Ok(())
    }

    /// What of a delta was not shown before a restart.
    fn without_shown<'d>(&self, delta: &'d str) -> Result<&'d str, Cut> {
        // Nearly always; and to compare with a text that has no memory is slow on some processors.
        if self.shown.is_empty() {
            return Ok(delta);
        }
        match delta.strip_prefix(self.shown.as_str()) {
            Some(new) => Ok(new),
            None if self.shown.starts_with(delta) => Ok(""),
            None => Err(Cut::Differs),
        }
    }

    /// Everything that was shown.
    pub(super) fn everything(&self) -> String {
        format!("{}{}", self.text, self.shown)
    }

    /// What has to come before a segment's first text, so that a blank line sets it apart.
    fn gap(&self, delta: &str) -> &'static str {
        if !self.apart || self.text.is_empty() || delta.is_empty() {
            return "";
        }
        let ended = self.text.len() - self.text.trim_end_matches('\n').len();
        let begun = delta.len() - delta.trim_start_matches('\n').len();
        &"\n\n"[(ended + begun).min(2)..]
    }

    pub(super) fn begin_segment(&mut self) {
        self.apart = true;
    }

    /// What this round has cost so far, all in all.
    pub(super) fn round_costs(&mut self, usage: Usage) {
        self.round = usage;
    }

    /// The round is over: its costs are added up.
    pub(super) fn end_round(&mut self) {
        self.spent = self.usage();
        self.round = Usage::default();
    }

    pub(super) fn usage(&self) -> Usage {
        let mut usage = self.spent;
        usage.add(self.round);
        usage
    }
}
