//! Agents as graphs: nodes that each do one thing, and edges that say what comes next.
//!
//! A [`Graph`] is data. Its nodes have names, deadlines and what is to happen when they pass; its edges have conditions
//! over the run's [`State`]. An application takes a graph, [replaces](Graph::replace) the work of a node, or makes one
//! of its own, and hands it to a [`GraphAgent`], which walks it:
//!
//! ```text
//! enter a node ─► tell its step ─► do its work under its deadline ─► keep a checkpoint ─► follow the first edge that fits
//! ```
//!
//! After each node the run's state is in the log. A process that finds the run unfinished goes on from there, unless a
//! call that must not be done twice may have been done, or something was shown that would not be said again.
//!
//! [`assistant`] is the graph of the chat service; the [explorer](super::explorer) is a graph of one node.
//!
//! ```
//! use std::time::Duration;
//! use tidewire_engine::agent::graph::{Condition, Edge, END, Graph, Node, Stage, State, Work};
//! use tidewire_engine::Result;
//!
//! struct Greet;
//!
//! #[async_trait::async_trait]
//! impl Work for Greet {
//!     async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
//!         stage.say(&format!("You asked: {}", state.question)).await
//!     }
//! }
//!
//! let graph = Graph {
//!     name: "greeter".into(),
//!     entry: "greet".into(),
//!     nodes: vec![Node::new("greet", Greet).within(Duration::from_secs(1))],
//!     edges: vec![Edge::new("greet", END, Condition::Always)],
//!     steers: false,
//! };
//! graph.check().unwrap();
//! ```

mod agent;
pub mod assistant;
mod check;
mod kept;
mod marks;
mod stage;
mod state;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Left;
use crate::error::{Error, Result};

pub use agent::GraphAgent;
pub(super) use marks::Marks;
pub use stage::Stage;
pub use state::{Route, State};

/// Where edges lead when the run has come to its end.
pub const END: &str = "end";

/// Nodes and edges: how an agent comes to an answer.
#[derive(Clone)]
pub struct Graph {
    /// The agent's name.
    pub name: String,
    /// The node that is entered first.
    pub entry: String,
    /// What can be done.
    pub nodes: Vec<Node>,
    /// What comes next. Of a node's edges the first one that fits is taken.
    pub edges: Vec<Edge>,
    /// Whether every way to the end passes a node that reads what steers the run; see
    /// [`Steering`](super::Steering).
    pub steers: bool,
}

/// One thing that is done.
#[derive(Clone)]
pub struct Node {
    /// Its name, which is told as it is entered.
    pub name: String,
    /// How long it may take; `None` is as long as its run.
    pub deadline: Option<Duration>,
    /// The time that it has together with others.
    pub budget: Option<Budget>,
    /// What happens when it fails or takes too long.
    pub otherwise: Otherwise,
    /// Whether it may be entered again after a restart. Calls of tools are looked at apart from this.
    pub idempotent: bool,
    /// What is done.
    pub work: Arc<dyn Work>,
}

/// The time that nodes have together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Nodes that name the same one share it.
    pub name: String,
    /// How long they may take in all.
    pub time: Duration,
}

/// What happens when a node fails or takes too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    /// The run fails, with the reason.
    Fail,
    /// The run goes on, and the answer begins with this sentence; an empty one is not said.
    GoOn(String),
}

/// What may come after a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// After this node …
    pub from: String,
    /// … comes this one, or [`END`] …
    pub to: String,
    /// … if this holds.
    pub when: Condition,
}

/// What must hold for an edge to be taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// The question goes this way.
    Route(Route),
    /// There are passages.
    Found,
    /// Retrieval was widened.
    Widened,
    /// A node was gone on without.
    WentWithout,
    /// Calls wait to be made.
    Calls,
    /// The application's own member of the state is `true`.
    Flag(String),
    /// This does not hold.
    Not(Box<Condition>),
    /// All of these hold.
    All(Vec<Condition>),
}

/// What a node does.
///
/// It is dropped when its deadline passes and when somebody stops the run, at any `await`; what it changes in the
/// state it should therefore change last, in one go.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// Does it. What it says and tells goes through the stage.
    ///
    /// # Errors
    /// Whatever keeps it from being done; the sentence is for the asker.
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()>;

    /// Whether it says the same again when it is entered again with this state, so that a restart in the midst of its
    /// words can be gone on from.
    fn says_the_same(&self, _state: &State, _left: &Left) -> bool {
        false
    }
}

impl Graph {
    /// Does other work under a node's name. What the node is allowed stays.
    ///
    /// # Errors
    /// `Invalid` with the names that there are.
    pub fn replace(&mut self, node: &str, work: impl Work) -> Result<()> {
        self.node_mut(node)?.work = Arc::new(work);
        Ok(())
    }

    /// A node, to change what it is allowed.
    ///
    /// # Errors
    /// `Invalid` with the names that there are.
    pub fn node_mut(&mut self, name: &str) -> Result<&mut Node> {
        let known: Vec<_> = self.nodes.iter().map(|node| node.name.clone()).collect();
        self.nodes.iter_mut().find(|node| node.name == name).ok_or_else(|| {
            Error::invalid(format!("the graph has no node {name:?}; there are {}", known.join(", ")))
        })
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// What comes after a node; `None` if no edge fits, which a graph that was checked does not have.
    pub fn next(&self, node: &str, state: &State) -> Option<&str> {
        let mut edges = self.edges.iter().filter(|edge| edge.from == node);
        edges.find(|edge| edge.when.holds(state)).map(|edge| edge.to.as_str())
    }

    /// Whether it has anything to tell of where it is.
    fn has_steps(&self) -> bool {
        self.nodes.len() > 1
    }
}

impl Node {
    /// A node that may be entered again and fails its run when it fails, without a deadline of its own.
    pub fn new(name: impl Into<String>, work: impl Work) -> Self {
        Self {
            name: name.into(),
            deadline: None,
            budget: None,
            otherwise: Otherwise::Fail,
            idempotent: true,
            work: Arc::new(work),
        }
    }

    /// The same with a deadline.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same with time that it shares.
    #[must_use]
    pub fn sharing(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same, gone on without when it fails or takes too long.
    #[must_use]
    pub fn or_go_on(mut self, sentence: impl Into<String>) -> Self {
        self.otherwise = Otherwise::GoOn(sentence.into());
        self
    }

    /// The same, never to be entered again after a restart.
    #[must_use]
    pub fn only_once(mut self) -> Self {
        self.idempotent = false;
        self
    }
}

impl Edge {
    /// An edge.
    pub fn new(from: impl Into<String>, to: impl Into<String>, when: Condition) -> Self {
        Self { from: from.into(), to: to.into(), when }
    }
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, state: &State) -> bool {
        match self {
            Self::Always => true,
            Self::Route(route) => state.route == Some(*route),
            Self::Found => !state.passages.is_empty(),
            Self::Widened => state.widened,
            Self::WentWithout => !state.without.is_empty(),
            Self::Calls => !state.calls.is_empty(),
            Self::Flag(name) => state.extra.get(name) == Some(&serde_json::Value::Bool(true)),
            Self::Not(condition) => !condition.holds(state),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(state)),
        }
    }
}

impl std::ops::Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}
