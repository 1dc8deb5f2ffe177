//! Where a node does its work: what it may know of the turn, and how it says something.

use std::sync::Arc;

use crate::agent::run_loop::{self, Cut, Limits, Observer, Plan, Said};
use crate::agent::{Left, Turn, direct};
use crate::error::{Error, Result};
use crate::event::{AgentEvent, Usage};
use crate::identity::Identity;
use crate::model::{Message, Model, Request};

/// Where a node does its work.
pub struct Stage<'a> {
    pub(super) turn: &'a Turn,
    pub(super) said: Said<'a>,
    pub(super) model: Arc<dyn Model>,
    pub(super) limits: Limits,
    /// What kept the node from going on, if it is more than an error.
    pub(super) cut: Option<Cut>,
    /// What questions to the model beside the answer have cost.
    pub(super) beside: Usage,
}

impl<'a> Stage<'a> {
    /// What is answered.
    pub fn turn(&self) -> &'a Turn {
        self.turn
    }

    /// In whose name.
    pub fn identity(&self) -> &Identity {
        &self.turn.identity
    }

    /// The conversation so far, oldest first; the last one is the question.
    pub fn messages(&self) -> &[Message] {
        &self.turn.messages
    }

    /// Who phrases in this turn.
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }

    /// What an earlier process left of the run, if it goes on with one.
    pub fn left(&self) -> Option<&Left> {
        self.turn.left.as_deref()
    }

    /// Says more of the answer.
    ///
    /// # Errors
    /// When the run cannot go on; the node returns it.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        let said = self.said.text(text).await;
        self.cutting(said)
    }

    /// Sets what is said next apart from what was said before.
    pub fn begin_paragraph(&mut self) {
        self.said.begin_segment();
    }

    /// Tells of something. How a run begins and ends, its text and its steps are told by the graph alone.
    ///
    /// # Errors
    /// When the run cannot go on; the node returns it.
    pub async fn tell(&mut self, event: AgentEvent) -> Result<()> {
        let told = match event {
            AgentEvent::Diagram { mermaid } => self.said.draw(mermaid).await,
            event => self.said.send(event).await,
        };
        self.cutting(told)
    }

    /// Asks the model something beside the answer. Nobody hears it.
    ///
    /// # Errors
    /// What the model says when it cannot answer.
    pub async fn ask(&mut self, request: Request) -> Result<String> {
        let model = Arc::clone(&self.model);
        let (text, usage) = direct::complete(&*model, request, &self.limits, async |_| {}).await?;
        self.beside.add(usage);
        Ok(text)
    }

    /// Lets the model answer in as many rounds of tools as it needs. What it says is the run's text.
    ///
    /// # Errors
    /// When it could not answer, or the run cannot go on; the node returns it.
    pub async fn answer(
        &mut self,
        plan: &Plan,
        messages: Vec<Message>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let answered = run_loop::rounds(plan, self.turn, messages, &mut self.said, observer).await;
        self.cutting(answered)
    }

    /// What was said so far.
    pub fn text(&self) -> &str {
        &self.said.text
    }

    /// Keeps what is more than an error until the graph looks at it.
    pub(super) fn cutting<T>(&mut self, outcome: Result<T, Cut>) -> Result<T> {
        outcome.map_err(|cut| match cut {
            Cut::Failed(error) => error,
            cut => {
                self.cut = Some(cut);
                Error::unavailable("the run cannot go on")
            }
        })
    }
}
