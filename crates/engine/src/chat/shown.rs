//! What was shown of a run beside what was said, as its entries tell of it: so that it goes along when its messages are
//! brought to another chat.

use super::calls::{self, OfCall};
use crate::conversation::{AnswerStatus, CallDecided, Shown, StepTaken, ToolUse};
use crate::event::{AgentEvent, Answer, ChatBody, Source, Usage};
use crate::id::Timestamp;
use crate::identity::Subject;
use crate::model::ToolCall;
use crate::store::entry::LogEntry;

/// Reads a run's entries; `None` while it goes on.
pub(crate) fn shown(entries: &[LogEntry]) -> Option<Shown> {
    let mut reader = Reader::default();
    for entry in entries {
        // What cannot be read was said by a newer server, or is damaged; what can be read still counts.
        if let Ok(Some(content)) = entry.decode()
            && let ChatBody::Run { event, .. } = content.body
        {
            reader.take(entry.at, event);
        }
    }
    reader.finish()
}

/// The calls of a run, also while it goes on.
pub(crate) fn tools(entries: &[LogEntry]) -> Vec<ToolUse> {
    let mut reader = Reader::default();
    super::replay::events_of(entries).for_each(|event| reader.take(Timestamp(0), event));
    reader.tools
}

#[derive(Default)]
struct Reader {
    steps: Vec<StepTaken>,
    tools: Vec<ToolUse>,
    /// Each with whether it was decided. By the end of its run it is.
    asked: Vec<(CallDecided, bool)>,
    sources: Vec<Source>,
    end: Option<End>,
}

struct End {
    status: AnswerStatus,
    answer: Answer,
    usage: Usage,
    interrupted: bool,
    failure: Option<String>,
}

impl Reader {
    fn take(&mut self, at: Timestamp, event: AgentEvent) {
        match event {
            AgentEvent::Step { name } => self.steps.push(StepTaken { name, at }),
            AgentEvent::Sources(sources) => self.sources = sources,
            AgentEvent::RunFinished { answer, usage } => {
                self.end(AnswerStatus::Finished, answer, usage);
            }
            AgentEvent::RunStopped { answer, usage } => self.end(AnswerStatus::Stopped, answer, usage),
            AgentEvent::RunFailed { answer, usage, error, interrupted } => {
                let failure = Some(error.message.into_owned());
                let status = AnswerStatus::Failed;
                self.end = Some(End { status, answer, usage, interrupted, failure });
            }
            event => {
                if let Some(call) = calls::of(event) {
                    self.take_call(at, call);
                }
            }
        }
    }

    fn end(&mut self, status: AnswerStatus, answer: Answer, usage: Usage) {
        self.end = Some(End { status, answer, usage, interrupted: false, failure: None });
    }

    /// A run that went on after a restart may have asked about the same call again.
    fn take_call(&mut self, at: Timestamp, event: OfCall) {
        match event {
            OfCall::Called(ToolCall { id: call_id, name, arguments }) => {
                let call = ToolUse { call_id, name, arguments, result: None, error: None, duration: None };
                self.tools.push(call);
            }
            OfCall::Requested { .. } => {}
            OfCall::Asked { call_id, name, arguments, digest } => {
                self.asked.retain(|(known, _)| known.call_id != call_id);
                let by = Subject::SYSTEM.into();
                let call = CallDecided { call_id, name, arguments, digest, approved: false, by, at };
                self.asked.push((call, false));
            }
            OfCall::Decided { call_id, approved, by } => {
                if let Some((call, decided)) =
                    self.asked.iter_mut().find(|(known, _)| known.call_id == call_id)
                {
                    (call.approved, call.by, call.at, *decided) = (approved, by, at, true);
                }
            }
            OfCall::Done { call_id, content, error, duration } => {
                if let Some(call) = self.tools.iter_mut().find(|known| known.call_id == call_id) {
                    call.result = Some(content);
                    call.error = error.map(|error| error.message.into_owned());
                    call.duration = Some(duration);
                }
            }
        }
    }

    fn finish(self) -> Option<Shown> {
        let Self { steps, tools, asked, sources, end } = self;
        let End { status, answer, usage, interrupted, failure } = end?;
        let approvals = asked.into_iter().filter_map(|(call, decided)| decided.then_some(call)).collect();
        let Answer { diagram, canvas, metrics, reasoning, .. } = answer;
        Some(Shown {
            status,
            interrupted,
            failure,
            steps,
            tools,
            approvals,
            sources,
            diagram,
            canvas,
            metrics,
            reasoning,
            usage,
        })
    }
}
