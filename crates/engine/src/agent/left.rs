//! What an earlier process left of a run that goes on in this one.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::Tool;
use super::toolbox::EVERY_TOOL;
use crate::error::{Error, Result};
use crate::identity::Subject;
use crate::model::{Model, ToolCall};

/// A run that an earlier process did not bring to its end, as the log tells of it.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Where it stood when its agent last said so; `None` if it never did.
    pub passed: Option<Passed>,
    /// Whether `RunStarted` was told.
    pub started: bool,
    /// What it said, all in all.
    pub text: String,
    /// What its model reasoned, all in all.
    pub reasoning: String,
    /// So many bytes of `text` were said up to `passed`.
    pub said_before: usize,
    /// The last diagram that it drew.
    pub diagram: Option<String>,
    /// The step that was told last since `passed`.
    pub step: Option<String>,
    /// Whether sources were told since `passed`.
    pub sources: bool,
    /// All its calls, in their order.
    pub calls: Vec<LeftCall>,
    /// What steered it, oldest first.
    pub steered: Vec<String>,
    /// The tools that a person must agree to, beside those that say so themselves.
    pub confirm: Vec<String>,
    /// Who phrases, if somebody asked for another model than the agent's own.
    pub model: Option<Arc<dyn Model>>,
}

/// Where a run stood: a node was left for the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// The node that was left.
    pub node: String,
    /// The one that comes next.
    pub next: String,
    /// What the agent keeps with it.
    pub state: Value,
}

/// A call that was told of.
#[derive(Debug, Clone)]
pub struct LeftCall {
    /// Which call.
    pub call: ToolCall,
    /// Whether a client was asked to do it.
    pub client: bool,
    /// The digest of what a person was asked to agree to.
    pub asked: Option<String>,
    /// What was decided, and by whom.
    pub decided: Option<(bool, Subject)>,
    /// What came of it: the result as JSON text, and what went wrong.
    pub result: Option<(String, Option<Error>)>,
}

impl LeftCall {
    /// Whether it may have been begun without anybody knowing what came of it. Without the agreement that it needs it
    /// has not.
    pub fn is_in_doubt(&self, needs_agreement: bool) -> bool {
        let agreed = matches!(self.decided, Some((true, _)));
        self.result.is_none() && !self.client && (agreed || !needs_agreement)
    }
}

impl Left {
    /// The call with this id.
    pub fn call(&self, id: &str) -> Option<&LeftCall> {
        self.calls.iter().find(|known| known.call.id == id)
    }

    /// The ids that are taken.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.calls.iter().map(|known| known.call.id.clone()).collect()
    }

    /// Whether nothing was said since `passed`.
    pub fn is_silent(&self) -> bool {
        self.text.len() == self.said_before
    }

    /// Fails if a call may have been done that must not be done twice.
    ///
    /// A tool that is not there any more cannot be called at all, so its calls are no obstacle.
    pub fn check_calls(&self, tools: &[Arc<dyn Tool>]) -> Result<()> {
        let find = |name: &str| tools.iter().find(|tool| tool.definition().name == name);
        let doubtful = |known: &&LeftCall| {
            find(&known.call.name).is_some_and(|tool| {
                let name = &tool.definition().name;
                let needs_agreement = tool.needs_approval()
                    || self.confirm.iter().any(|wanted| wanted == name || wanted == EVERY_TOOL);
                !tool.idempotent() && known.is_in_doubt(needs_agreement)
            })
        };
        match self.calls.iter().find(doubtful) {
            None => Ok(()),
            Some(known) => Err(Error::unavailable(format!(
                "the server ended while the tool {:?} was at work, and it must not be called twice; see what it did, \
                 then ask again",
                known.call.name
            ))),
        }
    }
}
