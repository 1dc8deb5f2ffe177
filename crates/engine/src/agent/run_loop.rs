//! The loop: model, tools, model, until there is an answer.
//!
//! It streams what the model says as events, calls the tools that it asks for, and hands their results back. Every
//! step has a deadline, a cancelled run stops at once, and whatever goes wrong leaves the text and the usage so far.
//! What the first and the last event of a run carry is the agent's business, not the loop's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::timeout;

use super::calls::{Answered, Calls};
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
    /// What the model is and how it should behave.
    pub system: String,
    /// What the asker may speak of, for [`Request::names`].
    pub names: Vec<Name>,
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

/// How a run came to its end.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The model said all that it wanted to.
    Finished,
    /// Somebody ended it.
    Stopped,
    /// It could not go on.
    Failed(Error),
}

/// What a run left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was said, as the deltas said it.
    pub text: String,
    /// What all rounds cost together.
    pub usage: Usage,
    /// How it ended.
    pub ending: Ending,
}

/// Why a run cannot go on.
pub(super) enum Cut {
    /// Nobody reads the events any more.
    Gone,
    /// Something failed.
    Failed(Error),
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Answers a turn. `None` if nobody reads the events any more.
///
/// When `turn.cancel` is cancelled, the model's stream and the tools are dropped before this returns.
pub async fn answer(
    plan: &Plan,
    turn: &Turn,
    events: &Events,
    observer: &mut dyn Observer,
) -> Option<Outcome> {
    let model = turn.wishes.model.as_ref().unwrap_or(&plan.model);
    let mut said = Said::new(events, plan.limits.answer_bytes, model.context_window());
    let ended = tokio::select! {
        biased;
        () = turn.cancel.cancelled() => Ok(Ending::Stopped),
        ended = rounds(plan, turn, &mut said, observer) => ended.map(|()| Ending::Finished),
    };
    let ending = match ended {
        Ok(ending) => ending,
        Err(Cut::Failed(error)) => Ending::Failed(error),
        Err(Cut::Gone) => return None,
    };
    Some(Outcome { usage: said.usage(), text: said.text, ending })
}

async fn rounds(
    plan: &Plan,
    turn: &Turn,
    said: &mut Said<'_>,
    observer: &mut dyn Observer,
) -> Result<(), Cut> {
    let wishes = &turn.wishes;
    let model = wishes.model.as_ref().unwrap_or(&plan.model);
    let context = ToolContext { chat: Some(turn.chat), run: Some(turn.run), identity: turn.identity.clone() };
    let toolbox = Toolbox::new(&plan.tools, &wishes.client_tools, &wishes.exclude, &wishes.confirm);
    let tools = toolbox.definitions();
    let mut calls = Calls::new(toolbox, context, turn, plan.limits);
    let mut messages = turn.messages.clone();
    let rounds = wishes.max_rounds.map_or(plan.limits.rounds, |most| most.clamp(1, plan.limits.rounds));
    for left in (0..rounds).rev() {
        let request = request(plan, turn, &tools, &messages, left);
        let heard = round::hear(&**model, request, &plan.limits, said, &mut calls).await?;
        if heard.calls.is_empty() {
            return conclude(&heard, said).await;
        }
        if left > 0 {
            messages.extend(call_tools(heard, said, &mut calls, plan.limits.tool, observer).await?);
        }
    }
    Err(Cut::Failed(went_on_calling(rounds)))
}

fn request(plan: &Plan, turn: &Turn, tools: &[ToolDefinition], messages: &[Message], left: usize) -> Request {
    let last = "\n\nThis is the last step: answer now from what you have, and call no tool";
    let first = turn.wishes.system.as_ref().map(|system| format!("{system}\n\n")).unwrap_or_default();
    Request {
        system: format!("{first}{}{}", plan.system, if left == 0 { last } else { "" }),
        messages: messages.to_vec(),
        tools: tools.to_vec(),
        names: plan.names.clone(),
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
            said.send(event).await?;
        }
    }
    let results = heard.calls.iter().zip(answered).map(|(call, answered)| Message::Tool {
        call_id: call.id.clone(),
        name: call.name.clone(),
        is_error: answered.result.is_err(),
        content: answered.content,
    });
    let results: Vec<_> = results.collect();
    Ok([Message::Assistant { text: heard.text, calls: heard.calls }].into_iter().chain(results).collect())
}

/// What was said so far, and who hears it.
pub(super) struct Said<'a> {
    events: &'a Events,
    most: usize,
    text: String,
    /// Something happened since the last text; the next text is set apart by a blank line.
    apart: bool,
    /// What the rounds before cost.
    spent: Usage,
    /// What this round has cost so far.
    round: Usage,
}

impl<'a> Said<'a> {
    fn new(events: &'a Events, most: usize, context_window: Option<u64>) -> Self {
        let spent = Usage { context_window, ..Usage::default() };
        Self { events, most, text: String::new(), apart: false, spent, round: Usage::default() }
    }

    /// Sends an event, waiting for room.
    pub(super) async fn send(&self, event: AgentEvent) -> Result<(), Cut> {
        self.events.send(event).await.map_err(|_| Cut::Gone)
    }

    /// Says more. The text is kept in the moment in which it is sent, so that what is kept is what was shown.
    pub(super) async fn text(&mut self, delta: &str) -> Result<(), Cut> {
        let delta = format!("{}{delta}", self.gap(delta));
        if delta.is_empty() {
            return Ok(());
        }
        if self.text.len() + delta.len() > self.most {
            let message =
                format!("the answer grew beyond {} bytes and was ended; ask for less at once", self.most);
            return Err(Cut::Failed(Error::new(Code::TooLarge, message)));
        }
        let permit = self.events.reserve().await.map_err(|_| Cut::Gone)?;
        self.text.push_str(&delta);
        self.apart = false;
        permit.send(AgentEvent::TextDelta { text: delta });
        Ok(())
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

    fn begin_segment(&mut self) {
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

    fn usage(&self) -> Usage {
        let mut usage = self.spent;
        usage.add(self.round);
        usage
    }
}
