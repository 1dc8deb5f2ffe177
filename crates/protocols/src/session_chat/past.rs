//! How messages of another chat are spelled with what was shown with them there.

use tidewire_engine::conversation::{AnswerStatus, CallDecided, Shown, StepTaken, ToolUse};

use super::spell::{canvas_trigger, metrics, millis, outcome, source};
use super::wire;

/// A message of which nothing is said.
pub(super) fn bare() -> wire::Message {
    wire::Message {
        role: wire::Role::User,
        content: String::new(),
        seq: 0,
        timestamp: String::new(),
        status: None,
        error: None,
        sources: None,
        steps: None,
        tools: None,
        approvals: None,
        diagram: None,
        reasoning: None,
        canvas_trigger: None,
        metrics: None,
        usage: None,
    }
}

/// The message with what was shown with it.
pub(super) fn with_shown(message: wire::Message, shown: &Shown) -> wire::Message {
    wire::Message {
        status: Some(status(shown)),
        error: shown.failure.clone().filter(|_| !shown.interrupted),
        sources: list(&shown.sources, source),
        steps: list(&shown.steps, step),
        tools: list(&shown.tools, call),
        approvals: list(&shown.approvals, approval),
        diagram: shown.diagram.clone(),
        reasoning: shown.reasoning.clone(),
        canvas_trigger: shown.canvas.as_ref().map(canvas_trigger),
        metrics: shown.metrics.as_ref().map(metrics),
        usage: Some(wire::Usage {
            input_tokens: shown.usage.input_tokens,
            output_tokens: shown.usage.output_tokens,
        }),
        ..message
    }
}

fn status(shown: &Shown) -> wire::AgentStatus {
    match shown.status {
        _ if shown.interrupted => wire::AgentStatus::Interrupted,
        AnswerStatus::Finished | AnswerStatus::Running => wire::AgentStatus::Finished,
        AnswerStatus::Stopped => wire::AgentStatus::Stopped,
        AnswerStatus::Failed => wire::AgentStatus::Failed,
    }
}

/// A list that is left out where it is empty.
fn list<T, W>(all: &[T], spell: impl Fn(&T) -> W) -> Option<Vec<W>> {
    (!all.is_empty()).then(|| all.iter().map(spell).collect())
}

fn step(StepTaken { name, at }: &StepTaken) -> wire::PastStep {
    wire::PastStep { name: name.clone(), timestamp: at.to_rfc3339() }
}

fn call(call: &ToolUse) -> wire::PastCall {
    wire::PastCall {
        call_id: call.call_id.clone(),
        tool_name: call.name.clone(),
        arguments: call.arguments.clone(),
        content: call.result.clone(),
        duration_ms: call.duration.map(millis),
        is_error: call.error.is_some().then_some(true),
    }
}

fn approval(call: &CallDecided) -> wire::PastApproval {
    let (state, by) = outcome(call.approved, &call.by);
    wire::PastApproval {
        call_id: call.call_id.clone(),
        state,
        tool_name: call.name.clone(),
        arguments: call.arguments.clone(),
        digest: call.digest.clone(),
        by,
        timestamp: call.at.to_rfc3339(),
    }
}
