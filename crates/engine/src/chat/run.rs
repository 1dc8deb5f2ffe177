//! One run: from the message that caused it to its last event.
//!
//! Each run is one task, which owns the agent's. It waits until its message is written and its turn has come, hands
//! the question to the agent, and writes what the agent says. It leaves nothing open: whatever the agent does
//! (finishes, hangs, panics, ignores a stop), exactly one end is written, with the text that was said until then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::history;
use super::journal::{Draft, Written};
use crate::agent::Turn;
use crate::engine::Core;
use crate::error::{Code, Error, Result};
use crate::event::{AgentEvent, Answer, ChatBody, RunText, TextSpan, Usage};
use crate::hub::Room;
use crate::id::RunId;
use crate::identity::Identity;

/// A run, as its room knows it.
pub(crate) struct Run {
    pub(crate) id: RunId,
    /// Somebody wants it to end.
    pub(crate) cancel: CancellationToken,
    /// What it has said. Events share it.
    pub(crate) text: RunText,
    /// Rings once, when every run before it has left.
    pub(crate) turn: Notify,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            id: RunId::new(),
            cancel: CancellationToken::new(),
            text: RunText::default(),
            turn: Notify::new(),
        }
    }
}

/// What a run is about, and who waits to hear that it was accepted.
pub(crate) struct Question {
    pub(crate) identity: Identity,
    pub(crate) content: String,
    pub(crate) accepted: oneshot::Sender<Result<()>>,
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
    let Question { identity, content, accepted } = question;
    if let Err(error) = written.wait().await {
        room.leave(run.id);
        let _ = accepted.send(Err(error));
        return;
    }
    core.counters.messages.fetch_add(1, Ordering::Relaxed);
    // An asker that has gone changes nothing: the message is in the log.
    let _ = accepted.send(Ok(()));
    let scene = Scene { core: &core, room: &room, run: &run };
    scene.answer(identity, content).await;
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
    async fn answer(&self, identity: Identity, content: String) {
        let end = tokio::select! {
            biased;
            () = self.core.interrupt.cancelled() => self.interrupted(None),
            () = self.run.cancel.cancelled() => self.stopped(None),
            () = self.run.turn.notified() => return self.play(identity, content).await,
        };
        self.close(end).await;
    }

    async fn play(&self, identity: Identity, content: String) {
        let _running = Gauge::up(&self.core.counters.running);
        let turn = match history::messages(self.core, self.room, self.run.id, content).await {
            Ok(messages) => Turn {
                chat: self.room.chat,
                run: self.run.id,
                identity,
                messages,
                cancel: self.run.cancel.child_token(),
            },
            Err(error) => return self.close(self.failed(error, None)).await,
        };
        // Full, it makes the agent wait for the log.
        let (events, mut said) = mpsc::channel(self.core.settings.agent_queue);
        let agent = Arc::clone(&self.core.agent);
        let task = tokio::spawn(async move { agent.run(turn, events).await });
        let mut task = Some(AbortOnDropHandle::new(task));
        let mut diagram = None;
        let end = match self.listen(&mut said, &mut diagram).await {
            Outcome::Written => return,
            Outcome::Silent => {
                let error = silence(self.core.agent.name(), task.take()).await;
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
        let drafts = events.into_iter().map(|event| Draft::new(self.body(event))).collect();
        self.core.journal.write(self.room, drafts).wait().await
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
        let body = ChatBody::Run { run: self.run.id, event: end, text: None };
        let draft = Draft::new(body.clone());
        if self.core.journal.write(self.room, vec![draft]).wait().await.is_ok() {
            return;
        }
        self.room.announce(body.clone(), self.core.clock.now(), self.core.limits());
        self.room.lock().owed.push(body);
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
