//! One run: from the message that caused it to its last event.
//!
//! Each run is one task, which owns the agent's. It waits until its message is written and its turn has come, hands
//! the question to the agent, and writes what the agent says. It leaves nothing open: whatever the agent does
//! (finishes, hangs, panics, ignores a stop), exactly one end is written, with the text that was said until then.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::history::{self, Conversation};
use super::journal::{Draft, Written};
use super::reasoning::Reasoning;
use super::{outside, recovery};
use crate::agent::{Agent, Left, Outside, Steering, Told, Turn, Wishes, events};
use crate::conversation::{ChatSettings, RunOptions};
use crate::engine::Core;
use crate::error::{Code, Error, Result};
use crate::event::{AgentEvent, Answer, Answerer, ChatBody, RunText, TextSpan, Usage};
use crate::hub::Room;
use crate::id::{RunId, Timestamp};
use crate::identity::{Identity, Subject};

/// So long a run that goes on after a restart waits for tools that are being started.
const TOOLS_COME_BACK: Duration = Duration::from_secs(30);

/// A run, as its room knows it.
pub(crate) struct Run {
    pub(crate) id: RunId,
    /// Who answers.
    by: Answerer,
    /// Somebody wants it to end.
    pub(crate) cancel: CancellationToken,
    /// What it has said. Events share it.
    pub(crate) text: RunText,
    /// Rings once, when every run before it has left.
    pub(crate) turn: Notify,
    /// Where its calls wait that clients do or persons must agree to.
    pub(crate) outside: Arc<Outside>,
    /// Where it is told what to take into account.
    pub(crate) steering: Arc<Steering>,
    /// The calls for which agreement was asked and is not decided, as far as the log knows.
    undecided: Mutex<Vec<String>>,
    /// What its model has reasoned.
    reasoning: Mutex<Reasoning>,
}

impl Run {
    pub(crate) fn new(core: &Core, by: Answerer) -> Self {
        let outside = Outside::new(Arc::clone(&core.clock), core.settings.waits);
        Self {
            id: RunId::new(),
            by,
            cancel: CancellationToken::new(),
            text: RunText::default(),
            turn: Notify::new(),
            outside: Arc::new(outside),
            steering: Arc::default(),
            undecided: Mutex::default(),
            reasoning: Mutex::default(),
        }
    }

    /// A run that goes on, with what it said before and what still waits for agreement.
    pub(crate) fn left(core: &Core, id: RunId, by: Answerer, left: &Left) -> Self {
        let run = Self { id, ..Self::new(core, by) };
        run.text.push(&left.text);
        let waits = left.calls.iter().filter(|known| known.asked.is_some() && known.decided.is_none());
        let undecided = waits.map(|known| known.call.id.clone()).collect();
        let reasoning = Mutex::new(Reasoning::left(&left.reasoning));
        Self { undecided: Mutex::new(undecided), reasoning, ..run }
    }
}

/// What a run is about.
pub(crate) struct Question {
    pub(crate) agent: Arc<dyn Agent>,
    pub(crate) identity: Identity,
    pub(crate) content: String,
    pub(crate) options: RunOptions,
    /// Nothing was said in the chat before.
    pub(crate) is_first: bool,
    /// What an earlier process left of it, and since when it is answered.
    pub(crate) left: Option<(Left, Timestamp)>,
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

/// The whole life of a run. `written` says when its message is in the log, and `accepted` tells whoever waits for it.
pub(crate) async fn conduct(
    core: Arc<Core>,
    room: Arc<Room>,
    run: Arc<Run>,
    question: Question,
    written: Written,
    accepted: oneshot::Sender<Result<()>>,
) {
    let _open = Gauge::up(&core.counters.open_runs);
    if let Err(error) = written.wait().await {
        room.leave(run.id);
        let _ = accepted.send(Err(error));
        return;
    }
    core.counters.messages.fetch_add(1, Ordering::Relaxed);
    // An asker that has gone changes nothing: the message is in the log.
    let _ = accepted.send(Ok(()));
    Scene { core: &core, room: &room, run: &run }.live(question).await;
}

/// The rest of the life of a run that an earlier process began.
pub(crate) async fn go_on(core: Arc<Core>, room: Arc<Room>, run: Arc<Run>, question: Question) {
    let _open = Gauge::up(&core.counters.open_runs);
    Scene { core: &core, room: &room, run: &run }.live(question).await;
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
    async fn live(&self, question: Question) {
        self.answer(question).await;
        self.room.leave(self.run.id);
    }

    /// Waits for the turn, unless the run is ended before.
    async fn answer(&self, question: Question) {
        tokio::select! {
            biased;
            () = self.core.interrupt.cancelled() => self.interrupt(&*question.agent, None).await,
            () = self.run.cancel.cancelled() => self.close(self.stopped(None)).await,
            () = self.run.turn.notified() => self.play(question).await,
        }
    }

    /// The server ends: leaves the run open if the next process can go on with it, and ends it otherwise.
    async fn interrupt(&self, agent: &dyn Agent, diagram: Option<String>) {
        if !recovery::can_go_on(self.core, agent, self.room.chat, self.run.id).await {
            self.close(self.interrupted(diagram)).await;
        }
    }

    /// What the agent is given: the question with what was said before, and how it is to be answered.
    async fn turn(&self, question: Question) -> Result<Turn> {
        let Question { identity, content, options, is_first, left, .. } = question;
        let settings = Arc::clone(&self.room.lock().settings);
        let limit = settings.max_context_messages.map_or(self.core.settings.history_messages, |earlier| {
            usize::try_from(earlier).unwrap_or(usize::MAX).saturating_add(1) // and the question
        });
        let Conversation { messages, summary } = match is_first {
            true => Conversation::begun_with(content),
            false => history::conversation(self.core, self.room, self.run.id, content, limit).await?,
        };
        Ok(Turn {
            chat: self.room.chat,
            run: self.run.id,
            identity: super::reading(&identity, &settings),
            messages,
            cancel: self.run.cancel.child_token(),
            wishes: self.wishes(&settings, options, summary),
            outside: Arc::clone(&self.run.outside),
            steering: Arc::clone(&self.run.steering),
            is_kept: true,
            left: left.map(|(left, _)| Arc::new(left)),
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

    async fn play(&self, question: Question) {
        let _running = Gauge::up(&self.core.counters.running);
        let agent = Arc::clone(&question.agent);
        let age =
            question.left.as_ref().map_or(Duration::ZERO, |(_, since)| self.core.clock.now().since(*since));
        let ready = match &question.left {
            Some((left, _)) => self.may_go_on(&*agent, left).await,
            None => Ok(()),
        };
        let turn = match ready {
            Ok(()) => self.turn(question).await,
            Err(error) => Err(error),
        };
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.close(self.failed(error, None)).await,
        };
        let mut diagram = turn.left.as_ref().and_then(|left| left.diagram.clone());
        // Full, it makes the agent wait for the log.
        let (events, mut said) = events::queue(self.core.settings.agent_queue);
        let answering = Arc::clone(&agent);
        let task = tokio::spawn(async move { answering.run(turn, events).await });
        let mut task = Some(AbortOnDropHandle::new(task));
        let end = match self.listen(&mut said, &mut diagram, age).await {
            Outcome::Written => return,
            Outcome::Silent => {
                let error = silence(agent.name(), task.take()).await;
                self.failed(error, diagram)
            }
            Outcome::Ignored => self.stopped(diagram),
            Outcome::Late => self.failed(self.too_late(), diagram),
            Outcome::Interrupted => {
                drop(task);
                return self.interrupt(&*agent, diagram).await;
            }
            Outcome::Unwritable(error) => self.failed(error, diagram),
        };
        // The agent is gone before its run's end is seen.
        drop(task);
        self.close(end).await
    }

    /// Waits a while for the tools that there were before the restart. One that has come back may say that its call must
    /// not be done twice.
    async fn may_go_on(&self, agent: &dyn Agent, left: &Left) -> Result<()> {
        tokio::select! {
            () = self.core.interrupt.cancelled() => {}
            () = self.run.cancel.cancelled() => {}
            () = agent.settled(left) => {}
            () = tokio::time::sleep(TOOLS_COME_BACK) => {}
        }
        agent.check_left(left)
    }

    /// Writes what the agent says, in batches as large as what it says during one write. `age` is how long the run has
    /// gone on before.
    async fn listen(&self, said: &mut Told, diagram: &mut Option<String>, age: Duration) -> Outcome {
        let settings = &self.core.settings;
        let interrupt = self.core.interrupt.cancelled();
        let late = tokio::time::sleep(settings.run_deadline.saturating_sub(age));
        let ignored = async {
            self.run.cancel.cancelled().await;
            tokio::time::sleep(settings.stop_grace).await;
        };
        tokio::pin!(interrupt, late, ignored);
        loop {
            let told = tokio::select! {
                biased;
                () = &mut interrupt => return Outcome::Interrupted,
                () = &mut ignored => return Outcome::Ignored,
                () = &mut late => return Outcome::Late,
                told = said.take() => told,
            };
            if told.is_empty() {
                return Outcome::Silent;
            }
            let events = self.sift(told);
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

    /// What is to be written of what was said: nothing after an end, and after a stop the end alone, so that an agent
    /// that has not noticed it yet is not heard any more.
    fn sift(&self, told: VecDeque<AgentEvent>) -> Vec<AgentEvent> {
        let mut events = Vec::from(told);
        if let Some(end) = events.iter().position(AgentEvent::is_end) {
            events.truncate(end + 1);
        }
        if self.run.cancel.is_cancelled() {
            events.retain(AgentEvent::is_end);
        }
        events
    }

    async fn write(&self, events: Vec<AgentEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let events = self.run.settle(events);
        let awaited: Vec<Awaited> = events.iter().filter_map(awaited).collect();
        let drafts = events.into_iter().map(|event| Draft::new(self.body(event))).collect();
        self.core.journal.write(self.room, drafts).wait().await?;
        for awaited in awaited {
            match awaited {
                Awaited::Decision(call_id) => self.run.outside.recorded(&call_id),
                Awaited::Call(call_id) => self.run.outside.recorded_call(&call_id),
                Awaited::Step(name) => self.run.outside.recorded_step(&name),
            }
        }
        Ok(())
    }

    fn body(&self, event: AgentEvent) -> ChatBody {
        self.core.counters.tally.note(&event);
        let mut event = signed(event, &self.run.by);
        let mut reasoning = self.run.reasoning();
        reasoning.note(&mut event);
        reasoning.complete(&mut event);
        drop(reasoning);
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
        let error = Error::new(Code::Draining, "the server ended before the answer was complete; ask again");
        interrupted(self.said(diagram), error)
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
    fn reasoning(&self) -> MutexGuard<'_, Reasoning> {
        self.reasoning.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

/// Something that an agent may wait for until it is in the log.
enum Awaited {
    Decision(String),
    Call(String),
    Step(String),
}

fn awaited(event: &AgentEvent) -> Option<Awaited> {
    match event {
        AgentEvent::ApprovalResolved { call_id, .. } => Some(Awaited::Decision(call_id.clone())),
        AgentEvent::ToolCall { call_id, .. } => Some(Awaited::Call(call_id.clone())),
        AgentEvent::Step { name } => Some(Awaited::Step(name.clone())),
        _ => None,
    }
}

/// The end of a run under which the server ended.
pub(crate) fn interrupted(answer: Answer, error: Error) -> AgentEvent {
    AgentEvent::RunFailed { answer, usage: Usage::default(), error, interrupted: true }
}

/// An end with the name of who answered.
pub(crate) fn signed(mut event: AgentEvent, by: &Answerer) -> AgentEvent {
    if let Some(answer) = event.answer_mut() {
        answer.by = Some(by.clone());
    }
    event
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

fn diagram_of(event: &AgentEvent) -> Option<&str> {
    match event {
        AgentEvent::Diagram { mermaid } => Some(mermaid),
        _ => None,
    }
}
