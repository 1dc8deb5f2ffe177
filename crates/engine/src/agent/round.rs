//! One round: what a model says and which calls it wants, under deadlines.
//!
//! Text goes out as it comes. Calls are only collected: nothing is done for a model that breaks off in the middle.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt, poll};
use tokio::time::{Instant, Sleep, sleep_until};

use super::calls::Calls;
use super::run_loop::{Cut, Limits, Said};
use crate::error::{Error, Result};
use crate::event::{AgentEvent, Usage};
use crate::model::{Model, ModelEvent, ModelStream, Request, StopReason, ToolCall};

/// What was heard when the model was done.
pub(super) struct Heard {
    /// The text of this round.
    pub(super) text: String,
    /// The calls, in the model's order, with ids that are unique in the run.
    pub(super) calls: Vec<ToolCall>,
    /// Why it was done.
    pub(super) reason: StopReason,
}

/// Asks a model and listens until it is done.
pub(super) async fn hear(
    model: &dyn Model,
    request: Request,
    limits: &Limits,
    said: &mut Said<'_>,
    calls: &mut Calls<'_>,
) -> Result<Heard, Cut> {
    let mut patience = Patience::begin(limits);
    let mut stream = patience.wait(model.stream(request)).await??;
    let mut round = Round::default();
    let reason = loop {
        let event = next(&mut stream, &mut patience).await?;
        if let ModelEvent::End(reason) = event {
            break reason;
        }
        round.take(event, said, calls).await?;
    };
    said.end_round();
    round.finish(reason)
}

/// A model that says more than so many bytes before its first call does not mean to call.
const MUSING: usize = 240;

/// Asks a model which tools it wants called, and what that cost. What it says beside is heard by nobody; as soon as it
/// answers instead of calling, it is stopped.
pub(super) async fn choose(
    model: &dyn Model,
    request: Request,
    limits: &Limits,
    said: &Said<'_>,
    calls: &mut Calls<'_>,
) -> Result<(Vec<ToolCall>, Usage), Cut> {
    let mut patience = Patience::begin(limits);
    let mut stream = patience.wait(model.stream(request)).await??;
    let (mut round, mut usage) = (Round::default(), Usage::default());
    let reason = loop {
        match next(&mut stream, &mut patience).await? {
            ModelEvent::End(reason) => break reason,
            ModelEvent::Usage(so_far) => usage = so_far,
            ModelEvent::Text(delta) => {
                round.text.push_str(&delta);
                if round.text.len() > MUSING && round.calls.is_empty() && round.unfinished.is_empty() {
                    return Ok((Vec::new(), usage));
                }
            }
            event => round.note(event, said, calls).await?,
        }
    };
    Ok((round.finish(reason)?.calls, usage))
}

pub(super) async fn next(stream: &mut ModelStream, patience: &mut Patience<'_>) -> Result<ModelEvent> {
    // What is there needs no deadline, and asking for the time for each token would cost as much as the token.
    let event = match poll!(stream.next()) {
        Poll::Ready(event) => event,
        Poll::Pending => patience.wait(stream.next()).await?,
    };
    let broke_off = || Error::upstream("the model broke off in the middle of its answer; ask again");
    let event = event.ok_or_else(broke_off)??;
    patience.heard(&event);
    Ok(event)
}

#[derive(Default)]
struct Round {
    text: String,
    calls: Vec<ToolCall>,
    /// Calls whose arguments have begun and not ended, by the model's ids.
    unfinished: BTreeSet<String>,
}

impl Round {
    async fn take(
        &mut self,
        event: ModelEvent,
        said: &mut Said<'_>,
        calls: &mut Calls<'_>,
    ) -> Result<(), Cut> {
        match event {
            ModelEvent::Text(delta) => {
                self.text.push_str(&delta);
                said.take(delta).await
            }
            ModelEvent::Usage(usage) => {
                said.round_costs(usage);
                Ok(())
            }
            event => self.note(event, said, calls).await,
        }
    }

    /// Takes what is neither text nor usage.
    async fn note(&mut self, event: ModelEvent, said: &Said<'_>, calls: &mut Calls<'_>) -> Result<(), Cut> {
        match event {
            ModelEvent::Queued { position } => said.send(AgentEvent::RunQueued { position }).await,
            ModelEvent::Reasoning(text) if text.is_empty() => Ok(()),
            ModelEvent::Reasoning(text) => said.send(AgentEvent::ReasoningDelta { text }).await,
            ModelEvent::CallProgress { id, name, so_far } => {
                let call_id = calls.unique_id(&id, &name);
                self.unfinished.insert(id);
                said.send(AgentEvent::ToolCallArgs { call_id, name, so_far }).await
            }
            ModelEvent::Call(call) => {
                self.unfinished.remove(&call.id);
                let id = calls.take_id(&call.id, &call.name);
                self.calls.push(ToolCall { id, ..call });
                Ok(())
            }
            // Whoever calls takes these before it comes here.
            ModelEvent::Text(_) | ModelEvent::Usage(_) | ModelEvent::End(_) => Ok(()),
        }
    }

    fn finish(self, reason: StopReason) -> Result<Heard, Cut> {
        let half = !self.unfinished.is_empty() || (reason == StopReason::ToolCalls && self.calls.is_empty());
        if half {
            return Err(Cut::Failed(Error::upstream("the model sent half a tool call; ask again")));
        }
        Ok(Heard { text: self.text, calls: self.calls, reason })
    }
}

/// How long we still wait for the model.
pub(super) struct Patience<'a> {
    limits: &'a Limits,
    phase: Phase,
    /// `None` until we wait for the first time in this phase, or again after we heard something.
    until: Option<Instant>,
    /// Rings when it is over, once for all that is waited for: to move a timer to later costs much less than another one.
    sleep: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
enum Phase {
    Beginning,
    Queued,
    Speaking,
}

impl<'a> Patience<'a> {
    pub(super) fn begin(limits: &'a Limits) -> Self {
        Self { limits, phase: Phase::Beginning, until: None, sleep: None }
    }

    pub(super) async fn wait<T>(&mut self, future: impl Future<Output = T>) -> Result<T> {
        let limit = self.limit();
        let until = *self.until.get_or_insert_with(|| Instant::now() + limit);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        tokio::select! {
            biased;
            done = future => Ok(done),
            () = sleep.as_mut() => Err(self.lost()),
        }
    }

    fn heard(&mut self, event: &ModelEvent) {
        self.phase = if matches!(event, ModelEvent::Queued { .. }) { Phase::Queued } else { Phase::Speaking };
        self.until = None;
    }

    fn limit(&self) -> Duration {
        match self.phase {
            Phase::Beginning => self.limits.begin,
            Phase::Queued => self.limits.queued,
            Phase::Speaking => self.limits.silence,
        }
    }

    fn lost(&self) -> Error {
        let limit = self.limit();
        let seconds = limit.as_secs_f64();
        let message = match self.phase {
            Phase::Beginning => format!("the model did not begin to answer within {seconds} s; ask again"),
            Phase::Queued => format!("the model was busy with others for {seconds} s; ask again later"),
            Phase::Speaking => format!("the model said nothing for {seconds} s; ask again"),
        };
        Error::deadline(message, limit)
    }
}
