//! The agent that walks a graph.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::{END, Graph, Node, Otherwise, Stage, State, kept};
use crate::agent::run_loop::{Cut, Limits, Said, differs};
use crate::agent::{Agent, Events, Left, Passed, ToolSet, ToolSource as _, Tools, Turn};
use crate::error::{Error, Result};
use crate::event::{AgentEvent, Answer, Checkpoint, Usage};
use crate::model::{Message, Model, ToolCall};

/// So many nodes are entered in one run; a graph that goes round more often is ended.
const MOST_STEPS: usize = 256;

/// An agent that walks a graph.
///
/// Each node that is entered is told as a step, and after each a checkpoint is kept, so that another process can go on
/// from there. A graph of one node tells neither: there is nothing between its beginning and its end.
///
/// When somebody stops the run, the node is dropped in the middle of what it does, and what was said is kept.
#[derive(Clone)]
pub struct GraphAgent {
    graph: Arc<Graph>,
    model: Arc<dyn Model>,
    tools: ToolSet,
    limits: Limits,
}

impl GraphAgent {
    /// An agent over a graph, whose nodes phrase with `model` where nobody asks for another one.
    ///
    /// # Errors
    /// `Invalid` with what is wrong with the graph; see [`Graph::check`].
    pub fn new(graph: Graph, model: Arc<dyn Model>) -> Result<Self> {
        graph.check()?;
        Ok(Self { graph: Arc::new(graph), model, tools: ToolSet::default(), limits: Limits::default() })
    }

    /// The same with these tools, by which also others than itself may call them, and which it looks at to know
    /// whether a call may be made again after a restart. The nodes that call tools have them from whoever made them.
    #[must_use]
    pub fn with_tools(mut self, tools: ToolSet) -> Self {
        self.tools = tools;
        self
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The graph that it walks.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where to go on with what an earlier process left, and the state there.
    fn find_place(&self, left: &Left) -> Option<(&Node, State)> {
        match &left.passed {
            Some(Passed { next, state, .. }) => Some((self.graph.node(next)?, kept::read(state)?)),
            None => Some((self.graph.node(&self.graph.entry)?, State::default())),
        }
    }

    /// The tools of the server that a run still wants to call, by their names.
    fn still_wanted(&self, left: &Left) -> BTreeSet<String> {
        let told = left.calls.iter().filter(|known| known.result.is_none() && !known.client);
        let told = told.map(|known| known.call.name.clone());
        let chosen = self.find_place(left).map(|(_, state)| state.calls).unwrap_or_default();
        let is_open = |call: &ToolCall| left.call(&call.id).is_none_or(|known| known.result.is_none());
        told.chain(chosen.into_iter().filter(is_open).map(|call| call.name)).collect()
    }

    fn begin<'g>(&'g self, turn: &Turn) -> Option<(&'g Node, State)> {
        match &turn.left {
            Some(left) if left.passed.is_some() => self.find_place(left),
            _ => Some((self.graph.node(&self.graph.entry)?, State::new(question(&turn.messages)))),
        }
    }

    fn stage<'t>(&self, turn: &'t Turn, events: &'t Events) -> Stage<'t> {
        let model = Arc::clone(turn.wishes.model.as_ref().unwrap_or(&self.model));
        let mut said = Said::new(events, self.limits.answer_bytes, model.context_window());
        if let Some(left) = &turn.left {
            let (text, shown) = left.text.split_at_checked(left.said_before).unwrap_or((&left.text, ""));
            (said.text, said.shown) = (text.to_owned(), shown.to_owned());
            said.diagram.clone_from(&left.diagram);
        }
        Stage { turn, said, model, limits: self.limits, cut: None, beside: Usage::default() }
    }
}

fn question(messages: &[Message]) -> &str {
    let question = messages.iter().rev().find_map(|message| match message {
        Message::User(text) => Some(text.as_str()),
        Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    question.unwrap_or_default()
}

#[async_trait]
impl Agent for GraphAgent {
    fn name(&self) -> &str {
        &self.graph.name
    }

    fn tools(&self) -> Tools {
        self.tools.now()
    }

    fn keeps_checkpoints(&self) -> bool {
        self.graph.has_steps()
    }

    fn check_left(&self, left: &Left) -> Result<()> {
        if !self.graph.has_steps() {
            return Err(differs());
        }
        left.check_calls(&self.tools.now())?;
        let (node, state) = self.find_place(left).ok_or_else(differs)?;
        let may_be_entered = node.idempotent || left.step.as_deref() != Some(&node.name);
        let may_speak = left.is_silent() || node.work.says_the_same(&state, left);
        if may_be_entered && may_speak { Ok(()) } else { Err(differs()) }
    }

    async fn settled(&self, left: &Left) {
        self.tools.settled().await;
        for tool in self.still_wanted(left) {
            self.tools.returned(&tool).await;
        }
    }

    async fn run(&self, turn: Turn, events: Events) {
        let started = turn.left.as_ref().is_some_and(|left| left.started);
        if !started && events.send(AgentEvent::RunStarted).await.is_err() {
            return;
        }
        let mut stage = self.stage(&turn, &events);
        let Some((node, mut state)) = self.begin(&turn) else {
            let end = end(&stage, State::default(), Outcome::Interrupted);
            _ = events.send(end).await;
            return;
        };
        let told = turn.left.as_ref().map(|left| left.steered.as_slice()).unwrap_or_default();
        // A model that only routes and renders reads one question.
        if self.graph.steers && stage.model.writes_freely() {
            turn.steering.reopen(told, state.steered);
        }
        let outcome = tokio::select! {
            biased;
            () = turn.cancel.cancelled() => Outcome::Stopped,
            walked = self.walk(node, &mut stage, &mut state) => match walked {
                Ok(()) => Outcome::Finished,
                Err(Cut::Failed(error)) => Outcome::Failed(error),
                Err(Cut::Differs) => Outcome::Interrupted,
                Err(Cut::Gone) => return,
            },
        };
        let end = end(&stage, state, outcome);
        _ = events.send(end).await; // nobody there is nobody to be told
    }
}

/// How a walk ended.
enum Outcome {
    Finished,
    Stopped,
    Failed(Error),
    Interrupted,
}

fn end(stage: &Stage<'_>, state: State, outcome: Outcome) -> AgentEvent {
    let mut usage = state.usage;
    usage.add(stage.beside);
    usage.add(stage.said.usage());
    let text = stage.said.everything();
    let diagram = state.answer.diagram.clone().or_else(|| stage.said.diagram.clone());
    let partial = Answer { text: text.clone(), diagram: diagram.clone(), ..Answer::default() };
    match outcome {
        Outcome::Finished => {
            AgentEvent::RunFinished { answer: Answer { text, diagram, ..state.answer }, usage }
        }
        Outcome::Stopped => AgentEvent::RunStopped { answer: partial, usage },
        Outcome::Failed(error) => AgentEvent::RunFailed { answer: partial, usage, error, interrupted: false },
        Outcome::Interrupted => {
            AgentEvent::RunFailed { answer: partial, usage, error: differs(), interrupted: true }
        }
    }
}

impl GraphAgent {
    async fn walk(&self, first: &Node, stage: &mut Stage<'_>, state: &mut State) -> Result<(), Cut> {
        let mut node = first;
        for number in 0..MOST_STEPS {
            self.tell_step(node, stage, number == 0).await?;
            self.enter(node, stage, state).await?;
            let next = self.graph.next(&node.name, state).ok_or_else(|| self.lost(&node.name))?;
            if next == END {
                // What was shown before a restart and was not said again is not what this run says.
                return if stage.said.shown.is_empty() { Ok(()) } else { Err(Cut::Differs) };
            }
            let after = self.graph.node(next).ok_or_else(|| self.lost(next))?;
            if !stage.said.shown.is_empty() {
                return Err(Cut::Differs);
            }
            self.keep(node, after, stage, state).await?;
            node = after;
        }
        let name = &self.graph.name;
        Err(Cut::Failed(Error::internal(std::io::Error::other(format!(
            "the graph {name:?} entered {MOST_STEPS} nodes and came to no end"
        )))))
    }

    /// Tells that a node is entered, unless an earlier process did.
    async fn tell_step(&self, node: &Node, stage: &Stage<'_>, is_first: bool) -> Result<(), Cut> {
        let told = stage.left().filter(|_| is_first).and_then(|left| left.step.as_ref());
        if !self.graph.has_steps() || told == Some(&node.name) {
            return Ok(());
        }
        let outside = &stage.turn.outside;
        let record =
            (stage.turn.is_kept && !node.idempotent).then(|| outside.ask_for_step_record(&node.name));
        stage.said.send(AgentEvent::Step { name: node.name.clone() }).await?;
        match record {
            // What must not be done twice is done when the log says that it is begun.
            Some(record) => record.wait().await.ok_or(Cut::Gone),
            None => Ok(()),
        }
    }

    /// Does a node's work under its deadline.
    async fn enter(&self, node: &Node, stage: &mut Stage<'_>, state: &mut State) -> Result<(), Cut> {
        let began = Instant::now();
        let limit = limit(node, state);
        let outcome = match limit {
            Some(limit) => timeout(limit, node.work.enter(stage, state))
                .await
                .unwrap_or_else(|_| Err(too_slow(&node.name, limit))),
            None => node.work.enter(stage, state).await,
        };
        if let Some(budget) = &node.budget {
            *state.spent.entry(budget.name.clone()).or_default() += began.elapsed();
        }
        if let Some(cut) = stage.cut.take() {
            return Err(cut);
        }
        match (outcome, &node.otherwise) {
            (Ok(()), _) => Ok(()),
            (Err(error), Otherwise::Fail) => Err(Cut::Failed(error)),
            (Err(error), Otherwise::GoOn(sentence)) => {
                tracing::warn!(graph = self.graph.name, node = node.name, %error, "gone on without a node");
                state.without.extend((!sentence.is_empty()).then(|| sentence.clone()));
                Ok(())
            }
        }
    }

    async fn keep(
        &self,
        node: &Node,
        next: &Node,
        stage: &mut Stage<'_>,
        state: &mut State,
    ) -> Result<(), Cut> {
        stage.said.flush().await?;
        state.usage.add(std::mem::take(&mut stage.beside));
        state.steered = stage.turn.steering.taken();
        let kept = kept::keep(state);
        let passed = Passed { node: node.name.clone(), next: next.name.clone(), state: kept };
        stage.said.send(AgentEvent::Checkpoint(Checkpoint::Passed(Box::new(passed)))).await
    }

    fn lost(&self, node: &str) -> Error {
        let name = &self.graph.name;
        Error::internal(std::io::Error::other(format!(
            "the graph {name:?} does not know what comes after {node:?}"
        )))
    }
}

/// How long a node may take: its own time, and what is left of the time that it shares.
fn limit(node: &Node, state: &State) -> Option<Duration> {
    let shared = node.budget.as_ref().map(|budget| {
        let spent = state.spent.get(&budget.name).copied().unwrap_or_default();
        budget.time.saturating_sub(spent)
    });
    match (node.deadline, shared) {
        (Some(own), Some(shared)) => Some(own.min(shared)),
        (own, shared) => own.or(shared),
    }
}

fn too_slow(node: &str, limit: Duration) -> Error {
    let seconds = limit.as_secs_f64();
    Error::deadline(format!("the step {node:?} took longer than {seconds} s and was ended; ask again"), limit)
}
