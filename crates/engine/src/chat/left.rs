//! What the log tells of a run that has no end: who asked, and how far it came.

use super::calls::{self, OfCall};
use crate::agent::{Left, LeftCall};
use crate::event::{AgentEvent, Begun, ChatBody, Checkpoint};
use crate::id::Timestamp;
use crate::store::entry::LogEntry;

/// A run without an end, as its entries tell of it.
pub(crate) struct Account {
    /// Who answers, in whose name and how; `None` if its agent keeps no checkpoints.
    pub(crate) begun: Option<Begun>,
    /// What was asked; `None` for an answer that is given anew, whose question is another run's.
    pub(crate) question: Option<String>,
    /// When its agent began, or when it was asked if that has not.
    pub(crate) since: Option<Timestamp>,
    /// How far it came.
    pub(crate) left: Left,
}

/// Reads a run's entries.
pub(crate) fn account(entries: &[LogEntry]) -> Account {
    let mut account = Account { begun: None, question: None, since: None, left: Left::default() };
    for entry in entries {
        // What cannot be read was said by a newer server, or is damaged; what can be read still counts.
        let Ok(Some(content)) = entry.decode() else { continue };
        match content.body {
            ChatBody::UserMessage { content, .. } => account.take_message(content, entry.at),
            ChatBody::Run { event, .. } => account.take(event, entry.at),
            ChatBody::Amended { .. } => account.since = Some(entry.at),
        }
    }
    account
}

impl Account {
    /// The first message is the question, later ones steered the run.
    fn take_message(&mut self, content: String, at: Timestamp) {
        match self.question {
            None if self.since.is_none() => {
                self.question = Some(content);
                self.since = Some(at);
            }
            _ => self.left.steered.push(content),
        }
    }

    fn take(&mut self, event: AgentEvent, at: Timestamp) {
        let left = &mut self.left;
        match event {
            AgentEvent::Checkpoint(Checkpoint::Begun(begun)) => {
                left.confirm.clone_from(&begun.options.confirm);
                self.begun = Some(*begun);
            }
            AgentEvent::Checkpoint(Checkpoint::Passed(passed)) => {
                left.passed = Some(*passed);
                left.said_before = left.text.len();
                left.step = None;
                left.sources = false;
            }
            AgentEvent::RunStarted => {
                left.started = true;
                self.since = Some(at);
            }
            AgentEvent::TextDelta { text } => left.text.push_str(&text),
            AgentEvent::ReasoningDelta { text } => left.reasoning.push_str(&text),
            AgentEvent::Diagram { mermaid } => left.diagram = Some(mermaid),
            AgentEvent::Step { name } => left.step = Some(name),
            AgentEvent::Sources(_) => left.sources = true,
            event => {
                if let Some(call) = calls::of(event) {
                    self.take_call(call);
                }
            }
        }
    }

    fn take_call(&mut self, event: OfCall) {
        let calls = &mut self.left.calls;
        let mut change = |id: &str, change: &mut dyn FnMut(&mut LeftCall)| {
            calls.iter_mut().filter(|known| known.call.id == id).for_each(change);
        };
        match event {
            OfCall::Called(call) => {
                calls.push(LeftCall { call, client: false, asked: None, decided: None, result: None });
            }
            OfCall::Requested { call_id } => change(&call_id, &mut |known| known.client = true),
            OfCall::Asked { call_id, digest, .. } => {
                change(&call_id, &mut |known| known.asked = Some(digest.clone()));
            }
            OfCall::Decided { call_id, approved, by } => {
                change(&call_id, &mut |known| known.decided = Some((approved, by.clone())));
            }
            OfCall::Done { call_id, content, error, .. } => {
                change(&call_id, &mut |known| known.result = Some((content.clone(), error.clone())));
            }
        }
    }
}
