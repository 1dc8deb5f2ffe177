//! What became of runs and of tool calls, counted as it is written.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Code, Error};
use crate::event::AgentEvent;
use crate::identity::Subject;

/// How many runs ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunsEnded {
    /// With an answer.
    pub finished_total: u64,
    /// Because somebody stopped them.
    pub stopped_total: u64,
    /// With an error.
    pub failed_total: u64,
    /// Of those, because they took too long.
    pub late_total: u64,
    /// Of those, because the server ended.
    pub interrupted_total: u64,
}

/// How many tool calls were made, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// Calls that have a result.
    pub done_total: u64,
    /// Of those, calls that failed in any way.
    pub failed_total: u64,
    /// Of those, calls that took too long, a client's and a person's silence included.
    pub late_total: u64,
    /// Calls that a person was asked to agree to.
    pub asked_total: u64,
    /// Of those, calls that nobody decided in time.
    pub undecided_total: u64,
}

/// The counts of one engine since its start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    finished: AtomicU64,
    stopped: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    interrupted: AtomicU64,
    calls: AtomicU64,
    calls_failed: AtomicU64,
    calls_late: AtomicU64,
    asked: AtomicU64,
    undecided: AtomicU64,
}

impl Tally {
    /// Counts an event that a run adds to its log.
    pub(crate) fn note(&self, event: &AgentEvent) {
        match event {
            AgentEvent::RunFinished { .. } => add(&self.finished),
            AgentEvent::RunStopped { .. } => add(&self.stopped),
            AgentEvent::RunFailed { error, interrupted, .. } => {
                add(&self.failed);
                add_if(&self.interrupted, *interrupted);
                add_if(&self.late, is_late(error));
            }
            AgentEvent::ToolResult { error, .. } => {
                add(&self.calls);
                add_if(&self.calls_failed, error.is_some());
                add_if(&self.calls_late, error.as_ref().is_some_and(is_late));
            }
            AgentEvent::ApprovalRequested { .. } => add(&self.asked),
            AgentEvent::ApprovalResolved { approved, by, .. } => {
                add_if(&self.undecided, !approved && *by.0 == *Subject::SYSTEM);
            }
            AgentEvent::RunQueued { .. }
            | AgentEvent::RunStarted
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolCallArgs { .. }
            | AgentEvent::ClientToolRequested { .. }
            | AgentEvent::Sources(_)
            | AgentEvent::Step { .. }
            | AgentEvent::Diagram { .. }
            | AgentEvent::Checkpoint(_) => {}
        }
    }

    /// How runs ended.
    pub(crate) fn ended(&self) -> RunsEnded {
        RunsEnded {
            finished_total: read(&self.finished),
            stopped_total: read(&self.stopped),
            failed_total: read(&self.failed),
            late_total: read(&self.late),
            interrupted_total: read(&self.interrupted),
        }
    }

    /// What became of tool calls.
    pub(crate) fn calls(&self) -> Calls {
        Calls {
            done_total: read(&self.calls),
            failed_total: read(&self.calls_failed),
            late_total: read(&self.calls_late),
            asked_total: read(&self.asked),
            undecided_total: read(&self.undecided),
        }
    }
}

fn is_late(error: &Error) -> bool {
    error.code == Code::Deadline
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn add_if(count: &AtomicU64, happened: bool) {
    if happened {
        add(count);
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Answer, Usage};

    fn failed(error: Error, interrupted: bool) -> AgentEvent {
        AgentEvent::RunFailed { answer: Answer::default(), usage: Usage::default(), error, interrupted }
    }

    fn result(error: Option<Error>) -> AgentEvent {
        AgentEvent::ToolResult {
            call_id: "1".into(),
            name: "look".into(),
            content: "{}".into(),
            error,
            duration: Duration::ZERO,
        }
    }

    fn resolved(approved: bool, by: &str) -> AgentEvent {
        AgentEvent::ApprovalResolved { call_id: "1".into(), approved, by: by.into() }
    }

    #[test]
    fn every_end_counts_once_and_under_what_it_was() {
        let tally = Tally::default();
        let late = || Error::deadline("too late", Duration::from_secs(1));
        let events = [
            AgentEvent::RunStarted,
            AgentEvent::RunFinished { answer: Answer::default(), usage: Usage::default() },
            AgentEvent::RunStopped { answer: Answer::default(), usage: Usage::default() },
            failed(late(), false),
            failed(Error::new(Code::Draining, "it ends"), true),
            result(None),
            result(Some(late())),
            result(Some(Error::invalid("no"))),
            resolved(false, Subject::SYSTEM),
            resolved(true, Subject::SYSTEM),
            resolved(false, "ann"),
        ];
        events.iter().for_each(|event| tally.note(event));
        let ended = RunsEnded {
            finished_total: 1,
            stopped_total: 1,
            failed_total: 2,
            late_total: 1,
            interrupted_total: 1,
        };
        assert_eq!(tally.ended(), ended);
        let calls =
            Calls { done_total: 3, failed_total: 2, late_total: 1, asked_total: 0, undecided_total: 1 };
        assert_eq!(tally.calls(), calls);
    }
}
