//! What was shown with a message that was brought from another chat, as it is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::micros;
use super::parts::{KeptCanvas, KeptMetrics, KeptSource, KeptUsage};
use crate::conversation::{AnswerStatus, CallDecided, Shown, StepTaken, ToolUse};
use crate::id::Timestamp;
use crate::identity::Subject;

/// The twin of [`Shown`].
#[derive(Serialize, Deserialize)]
pub(super) struct KeptShown {
    status: KeptStatus,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<KeptStep>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tools: Vec<KeptToolUse>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<KeptDecision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<KeptSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagram: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canvas: Option<KeptCanvas>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<KeptMetrics>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    usage: KeptUsage,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum KeptStatus {
    Running,
    Stopped,
    Failed,
    #[serde(other)]
    Finished,
}

#[derive(Serialize, Deserialize)]
struct KeptStep {
    name: String,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct KeptToolUse {
    call_id: String,
    name: String,
    arguments: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct KeptDecision {
    call_id: String,
    name: String,
    arguments: Value,
    digest: String,
    approved: bool,
    by: String,
    at: i64,
}

impl KeptShown {
    pub(super) fn of(shown: &Shown) -> Self {
        Self {
            status: KeptStatus::of(shown.status),
            interrupted: shown.interrupted,
            failure: shown.failure.clone(),
            steps: shown.steps.iter().map(KeptStep::of).collect(),
            tools: shown.tools.iter().map(KeptToolUse::of).collect(),
            approvals: shown.approvals.iter().map(KeptDecision::of).collect(),
            sources: shown.sources.iter().map(KeptSource::of).collect(),
            diagram: shown.diagram.clone(),
            canvas: shown.canvas.as_ref().map(KeptCanvas::of),
            metrics: shown.metrics.as_ref().map(KeptMetrics::of),
            reasoning: shown.reasoning.clone(),
            usage: KeptUsage::of(shown.usage),
        }
    }

    pub(super) fn into_shown(self) -> Shown {
        Shown {
            status: self.status.into_status(),
            interrupted: self.interrupted,
            failure: self.failure,
            steps: self.steps.into_iter().map(KeptStep::into_step).collect(),
            tools: self.tools.into_iter().map(KeptToolUse::into_use).collect(),
            approvals: self.approvals.into_iter().map(KeptDecision::into_decision).collect(),
            sources: self.sources.into_iter().map(KeptSource::into_source).collect(),
            diagram: self.diagram,
            canvas: self.canvas.map(KeptCanvas::into_canvas),
            metrics: self.metrics.map(KeptMetrics::into_metrics),
            reasoning: self.reasoning,
            usage: self.usage.into_usage(),
        }
    }
}

impl KeptStatus {
    fn of(status: AnswerStatus) -> Self {
        match status {
            AnswerStatus::Running => Self::Running,
            AnswerStatus::Finished => Self::Finished,
            AnswerStatus::Stopped => Self::Stopped,
            AnswerStatus::Failed => Self::Failed,
        }
    }

    fn into_status(self) -> AnswerStatus {
        match self {
            Self::Running => AnswerStatus::Running,
            Self::Finished => AnswerStatus::Finished,
            Self::Stopped => AnswerStatus::Stopped,
            Self::Failed => AnswerStatus::Failed,
        }
    }
}

impl KeptStep {
    fn of(StepTaken { name, at }: &StepTaken) -> Self {
        Self { name: name.clone(), at: at.0 }
    }

    fn into_step(self) -> StepTaken {
        StepTaken { name: self.name, at: Timestamp(self.at) }
    }
}

impl KeptToolUse {
    fn of(call: &ToolUse) -> Self {
        let ToolUse { call_id, name, arguments, result, error, duration } = call.clone();
        Self { call_id, name, arguments, result, error, duration_us: duration.map(micros) }
    }

    fn into_use(self) -> ToolUse {
        let Self { call_id, name, arguments, result, error, duration_us } = self;
        ToolUse { call_id, name, arguments, result, error, duration: duration_us.map(Duration::from_micros) }
    }
}

impl KeptDecision {
    fn of(call: &CallDecided) -> Self {
        let CallDecided { call_id, name, arguments, digest, approved, by, at } = call.clone();
        Self { call_id, name, arguments, digest, approved, by: by.0.to_string(), at: at.0 }
    }

    fn into_decision(self) -> CallDecided {
        let Self { call_id, name, arguments, digest, approved, by, at } = self;
        CallDecided { call_id, name, arguments, digest, approved, by: Subject(by.into()), at: Timestamp(at) }
    }
}
