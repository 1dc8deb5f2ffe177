//! One run: from the message that caused it to its last event.
//!
//! Each run is one task, which owns the agent's. It waits until its message is written and its turn has come, hands
//! the question to the agent, and writes what the agent says. It leaves nothing open: whatever the agent does
//! (finishes, hangs, panics, ignores a stop), exactly one end is written, with the text that was said until then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::history::{self, Conversation};
use super::journal::{Draft, Written};
use super::outside;
use crate::agent::{Agent, Outside, Turn, Wishes};
use crate::conversation::{ChatSettings, RunOptions};
use crate::engine::Core;
use crate::error::{Code, Error, Result};
use crate::event::{AgentEvent, Answer, ChatBody, RunText, TextSpan, Usage};
use crate::hub::Room;
use crate::id::RunId;
use crate::identity::{Identity, Subject};

/// A run, as its room knows it.
pub(crate) struct Run {
    pub(crate) id: RunId,
    /// Somebody wants it to end.
    pub(crate) cancel: CancellationToken,
    /// What it has said. Events share it.
    pub(crate) text: RunText,
    /// Rings once, when every run before it has left.
    pub(crate) turn: Notify,
    /// Where its calls wait that clients do or persons must agree to.
    pub(crate) outside: Arc<Outside>,
    /// The calls for which agreement was asked and is not decided, as far as the log knows.
    undecided: Mutex<Vec<String>>,
}

impl Run {
    pub(crate) fn new(core: &Core) -> Self {
        let outside = Outside::new(Arc::clone(&core.clock), core.settings.waits);
        Self {
            id: RunId::new(),
            cancel: CancellationToken::new(),
            text: RunText::default(),
            turn: Notify::new(),
            outside: Arc::new(outside),
            undecided: Mutex::default(),
        }
    }
}

/// What a run is about, and who waits to hear that it was accepted.
pub(crate) struct Question {
    pub(crate) agent: Arc<dyn Agent>,
    pub(crate) identity: Identity,
    pub(crate) content: String,
    pub(crate) options: RunOptions,
    pub(crate) accepted: oneshot::Sender<Result<()>>,
}

/// What the agent is asked.
struct Asked {
    agent: Arc<dyn Agent>,
    identity: Identity,
    content: String,
    options: RunOptions,
}

/// How the listening to an agent ended.
enum Outcome {
    /// The agent's own end is written.
    Written,
    /// It went away without an end.
    Silent,
    /// It was stopped and went on nevertheless.
    Ignored,
    /// It took too long.
    Late,
    /// The server ends.
    Interrupted,
    /// What it said cannot be written.
    Unwritable(Error),
}

/// The whole life of a run. `written` says when its message is in the log.
pub(crate) async fn conduct(
    core: Arc<Core>,
    room: Arc<Room>,
    run: Arc<Run>,
    question: Question,
    written: Written,
) {
    let _open = Gauge::up(&core.counters.open_runs);
    let Question { agent, identity, content, options, accepted } = question;
    if let Err(error) = written.wait().await {
        room.leave(run.id);
        let _ = accepted.send(Err(error));
        return;
    }
    core.counters.messages.fetch_add(1, Ordering::Relaxed);
    // An asker that has gone changes nothing: the message is in the log.
    let _ = accepted.send(Ok(()));
    let scene = Scene { core: &core, room: &room, run: &run };
    scene.answer(Asked { agent, identity, content, options }).await;
    room.leave(run.id);
    scene.collapse().await;
}

/// Counts as long as it lives.
struct Gauge<'a>(&'a AtomicUsize);

impl<'a> Gauge<'a> {
    fn up(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a run takes place.
struct Scene<'a> {
    core: &'a Arc<Core>,
    room: &'a Arc<Room>,
    run: &'a Arc<Run>,
}

impl Scene<'_> {
    /// Waits for the turn, unless the run is ended before.
    async fn answer(&self, asked: Asked) {
        let end = tokio::select! {
            biased;
            () = self.core.interrupt.cancelled() => self.interrupted(None),
            () = self.run.cancel.cancelled() => self.stopped(None),
            () = self.run.turn.notified() => return self.play(asked).await,
        };
        self.close(end).await;
    }

    /// What the agent is given: the question with what was said before, and how it is to be answered.
    async fn turn(&self, asked: Asked) -> Result<Turn> {
        let Asked { identity, content, options, .. } = asked;
        let settings = Arc::clone(&self.room.lock().settings);
        let narrowed = !settings.collections.is_empty();
        let limit = settings.max_context_messages.map_or(self.core.settings.history_messages, |earlier| {
            usize::try_from(earlier).unwrap_or(usize::MAX).saturating_add(1) // and the question
        });
        let Conversation { messages, summary } =
            history::conversation(self.core, self.room, self.run.id, content, limit).await?;
        Ok(Turn {
            chat: self.room.chat,
            run: self.run.id,
            identity: if narrowed { identity.narrowed(&settings.collections) } else { identity },
            messages,
            cancel: self.run.cancel.child_token(),
            wishes: self.wishes(&settings, options, summary),
            outside: Arc::clone(&self.run.outside),
        })
    }

    fn wishes(&self, settings: &ChatSettings, options: RunOptions, summary: Option<String>) -> Wishes {
        let RunOptions {
            tools, confirm, exclude, max_rounds, model, max_tokens, temperature, retrieval, ..
        } = options;
        let model = model.as_ref().or(settings.model.as_ref()).and_then(|name| {
            let found = self.core.models.find(Some(name));
            // It was there when it was chosen; the server's configuration has changed since.
            found.inspect_err(|error| tracing::warn!(%error, "the configured model answers")).ok()
        });
        Wishes {
            system: told_first(settings.system_prompt.as_deref(), summary.as_deref()),
            model,
            max_tokens: max_tokens.or(settings.max_tokens),
            temperature: temperature.or(settings.temperature),
            max_rounds: max_rounds.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            client_tools: outside::brought(self.room, tools),
            confirm,
            exclude,
            retrieval,
        }
    }

    async fn play(&self, asked: Asked) {
        let _running = Gauge::up(&self.core.counters.running);
        let agent = Arc::clone(&asked.agent);
        let turn = match self.turn(asked).await {
            Ok(turn) => turn,
            Err(error) => return self.close(self.failed(error, None)).await,
        };
        // Full, it makes the agent wait for the log.
        let (events, mut said) = mpsc::channel(self.core.settings.agent_queue);
        let answering = Arc::clone(&agent);
        let task = tokio::spawn(async move { answering.run(turn, events).await });
        let mut task = Some(AbortOnDropHandle::new(task));
        let mut diagram = None;
        let end = match self.listen(&mut said, &mut diagram).await {
            Outcome::Written => return,
            Outcome::Silent => {
                let error = silence(agent.name(), task.take()).await;
                self.failed(error, diagram)
            }
            Outcome::Ignored => self.stopped(diagram),
            Outcome::Late => self.failed(self.too_late(), diagram),
            Outcome::Interrupted => self.interrupted(diagram),
            Outcome::Unwritable(error) => self.failed(error, diagram),
        };
        // The agent is gone before its run's end is seen.
        drop(task);
        self.close(end).await;
    }

    /// Writes what the agent says, in batches as large as what it says during one write.
    async fn listen(&self, said: &mut mpsc::Receiver<AgentEvent>, diagram: &mut Option<String>) -> Outcome {
        let settings = &self.core.settings;
        let interrupt = self.core.interrupt.cancelled();
        let late = tokio::time::sleep(settings.run_deadline);
        let ignored = async {
            self.run.cancel.cancelled().await;
            tokio::time::sleep(settings.stop_grace).await;
        };
        tokio::pin!(interrupt, late, ignored);
        let mut batch = Vec::new();
        loop {
            let count = tokio::select! {
                biased;
                () = &mut interrupt => return Outcome::Interrupted,
                () = &mut ignored => return Outcome::Ignored,
                () = &mut late => return Outcome::Late,
                count = said.recv_many(&mut batch, settings.agent_queue) => count,
            };
            if count == 0 {
                return Outcome::Silent;
            }
            let events = self.sift(&mut batch);
            let ended = events.last().is_some_and(AgentEvent::is_end);
            if let Some(latest) = events.iter().rev().find_map(diagram_of) {
                *diagram = Some(latest.to_owned());
            }
            if let Err(error) = self.write(events).await {
                return Outcome::Unwritable(error);
            }
            if ended {
                return Outcome::Written;
            }
        }
    }

    /// What is to be written of what was said: adjacent deltas as one, nothing after an end, and after a stop the end
    /// alone, so that an agent that has not noticed it yet is not heard any more.
    fn sift(&self, batch: &mut Vec<AgentEvent>) -> Vec<AgentEvent> {
        let stopped = self.run.cancel.is_cancelled();
        let mut events: Vec<AgentEvent> = Vec::with_capacity(2);
        for event in batch.drain(..).filter(|event| !stopped || event.is_end()) {
            let left = match events.last_mut() {
                Some(last) if last.is_end() => break,
                Some(last) => absorb(last, event),
                None => Some(event),
            };
            events.extend(left);
        }
        events
    }

    async fn write(&self, events: Vec<AgentEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let events = self.run.settle(events);
        let decided: Vec<String> = events.iter().filter_map(decided).collect();
        let drafts = events.into_iter().map(|event| Draft::new(self.body(event))).collect();
        self.core.journal.write(self.room, drafts).wait().await?;
        decided.iter().for_each(|call_id| self.run.outside.recorded(call_id));
        Ok(())
    }

    fn body(&self, event: AgentEvent) -> ChatBody {
        let text = match &event {
            AgentEvent::TextDelta { text } => {
                Some(TextSpan { end: self.run.text.push(text), whole: self.run.text.clone() })
            }
            _ => None,
        };
        ChatBody::Run { run: self.run.id, event, text }
    }

    /// Writes an end that the agent did not. If even that is impossible, the listeners are told, and the room owes it
    /// to its log.
    async fn close(&self, end: AgentEvent) {
        let events = self.run.settle(vec![end]);
        let bodies: Vec<_> = events.into_iter().map(|event| self.body(event)).collect();
        let drafts = bodies.iter().cloned().map(Draft::new).collect();
        if self.core.journal.write(self.room, drafts).wait().await.is_ok() {
            return;
        }
        for body in &bodies {
            self.room.announce(body.clone(), self.core.clock.now(), self.core.limits());
        }
        self.room.lock().owed.extend(bodies);
    }

    async fn collapse(&self) {
        if let Err(error) = self.core.store.collapse(self.room.chat, self.run.id).await {
            tracing::warn!(run = %self.run.id, %error, "a run's deltas stay in the log");
        }
    }

    fn said(&self, diagram: Option<String>) -> Answer {
        Answer { text: self.run.text.whole(), diagram, ..Answer::default() }
    }

    fn stopped(&self, diagram: Option<String>) -> AgentEvent {
        AgentEvent::RunStopped { answer: self.said(diagram), usage: Usage::default() }
    }

    fn failed(&self, error: Error, diagram: Option<String>) -> AgentEvent {
        let answer = self.said(diagram);
        AgentEvent::RunFailed { answer, usage: Usage::default(), error, interrupted: false }
    }

    fn interrupted(&self, diagram: Option<String>) -> AgentEvent {
        interrupted(self.said(diagram), Code::Draining)
    }

    fn too_late(&self) -> Error {
        let limit = self.core.settings.run_deadline;
        Error::deadline(format!("the answer took longer than {} s; ask for less", limit.as_secs()), limit)
    }
}

/// What the model is told before everything else: the chat's system prompt, and what was summed up.
fn told_first(prompt: Option<&str>, summary: Option<&str>) -> Option<String> {
    let summary = summary.map(|summary| format!("What was said before, summed up:\n{summary}"));
    match (prompt, summary) {
        (Some(prompt), Some(summary)) => Some(format!("{prompt}\n\n{summary}")),
        (prompt, summary) => summary.or_else(|| prompt.map(str::to_owned)),
    }
}

impl Run {
    /// What is to be written so that no run ends with a call that still seems to wait for agreement: before an end,
    /// the system decides what nobody has.
    fn settle(&self, events: Vec<AgentEvent>) -> Vec<AgentEvent> {
        let mut undecided = self.undecided.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settled = Vec::with_capacity(events.len());
        for event in events {
            match &event {
                AgentEvent::ApprovalRequested { call_id, .. } => undecided.push(call_id.clone()),
                AgentEvent::ApprovalResolved { call_id, .. } => undecided.retain(|open| open != call_id),
                end if end.is_end() => settled.extend(undecided.drain(..).map(undecided_at_the_end)),
                _ => {}
            }
            settled.push(event);
        }
        settled
    }
}

/// What is written about a call that waited for agreement when its run ended.
pub(crate) fn undecided_at_the_end(call_id: String) -> AgentEvent {
    AgentEvent::ApprovalResolved { call_id, approved: false, by: Subject::SYSTEM.into() }
}

fn decided(event: &AgentEvent) -> Option<String> {
    match event {
        AgentEvent::ApprovalResolved { call_id, .. } => Some(call_id.clone()),
        _ => None,
    }
}

/// The end of a run under which the server ended.
pub(crate) fn interrupted(answer: Answer, code: Code) -> AgentEvent {
    let error = Error::new(code, "the server ended before the answer was complete; ask again");
    AgentEvent::RunFailed { answer, usage: Usage::default(), error, interrupted: true }
}

/// Why an agent went away without an end. The client reads a neutral sentence, the log the cause.
async fn silence(agent: &str, task: Option<AbortOnDropHandle<()>>) -> Error {
    let cause = match task {
        Some(task) => task.await.err().map(|panic| panic.to_string()),
        None => None,
    };
    let cause = cause.unwrap_or_else(|| "it returned without an end event".into());
    tracing::error!(agent, cause, "an agent broke off");
    Error::internal(std::io::Error::other(cause))
}

/// Merges an event into the one before, or gives it back.
fn absorb(last: &mut AgentEvent, event: AgentEvent) -> Option<AgentEvent> {
    match (last, event) {
        (AgentEvent::TextDelta { text }, AgentEvent::TextDelta { text: more })
        | (AgentEvent::ReasoningDelta { text }, AgentEvent::ReasoningDelta { text: more }) => {
            text.push_str(&more);
            None
        }
        // Arguments are shown as they are so far; the newest says all.
        (
            AgentEvent::ToolCallArgs { call_id, so_far, .. },
            AgentEvent::ToolCallArgs { call_id: same, so_far: more, .. },
        ) if *call_id == same => {
            *so_far = more;
            None
        }
        (_, event) => Some(event),
    }
}

fn diagram_of(event: &AgentEvent) -> Option<&str> {
    match event {
        AgentEvent::Diagram { mermaid } => Some(mermaid),
        _ => None,
    }
}
