//! What the log of a run tells of its calls of tools, for those who read nothing else of it.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::event::AgentEvent;
use crate::identity::Subject;
use crate::model::ToolCall;

/// What happened to one call.
pub(super) enum OfCall {
    /// It was told of.
    Called(ToolCall),
    /// A client was asked to do it.
    Requested { call_id: String },
    /// A person was asked to agree to it.
    Asked { call_id: String, name: String, arguments: Value, digest: String },
    /// It was decided.
    Decided { call_id: String, approved: bool, by: Subject },
    /// It was done, or could not be.
    Done { call_id: String, content: String, error: Option<Error>, duration: Duration },
}

/// What an event says of a call, if it is about one.
pub(super) fn of(event: AgentEvent) -> Option<OfCall> {
    Some(match event {
        AgentEvent::ToolCall { call_id: id, name, arguments } => {
            OfCall::Called(ToolCall { id, name, arguments })
        }
        AgentEvent::ClientToolRequested { call_id, .. } => OfCall::Requested { call_id },
        AgentEvent::ApprovalRequested { call_id, name, arguments, digest, .. } => {
            OfCall::Asked { call_id, name, arguments, digest }
        }
        AgentEvent::ApprovalResolved { call_id, approved, by } => OfCall::Decided { call_id, approved, by },
        AgentEvent::ToolResult { call_id, content, error, duration, .. } => {
            OfCall::Done { call_id, content, error, duration }
        }
        AgentEvent::RunQueued { .. }
        | AgentEvent::RunStarted
        | AgentEvent::TextDelta { .. }
        | AgentEvent::ReasoningDelta { .. }
        | AgentEvent::ToolCallArgs { .. }
        | AgentEvent::Sources(_)
        | AgentEvent::Step { .. }
        | AgentEvent::Diagram { .. }
        | AgentEvent::Checkpoint(_)
        | AgentEvent::RunFinished { .. }
        | AgentEvent::RunFailed { .. }
        | AgentEvent::RunStopped { .. } => return None,
    })
}
