//! How events, replies and errors are spelled.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidewire_engine::command::RunState;
use tidewire_engine::event::{Source, Usage};
use tidewire_engine::{
    AgentEvent, Answer, ChatBody, ChatEvent, ChatId, Detail, Epoch, Error, RunId, Seq, SessionId,
};

use super::check::Wrong;
use super::wire;
use crate::frame::Frame;

/// This dialect's numbers for [`ChatEvent::spelled`].
const SNAPSHOT: u32 = 0x0400;
const DELTA: u32 = 0x0401;

/// The most bytes of sources that one frame carries.
const SOURCES_BYTES: usize = 32 * 1024;

/// What was spelled of an event, and for whom: clients may name one chat differently.
struct Named {
    name: SessionId,
    frames: Vec<Frame>,
}

/// The frames of an event, with the text so far or with what is added. They are kept with the event for others who
/// name the chat alike.
pub(super) fn event(name: &SessionId, event: &ChatEvent, cumulative: bool) -> Vec<Frame> {
    let make = |event: &ChatEvent| Named { name: name.clone(), frames: frames(name, event, cumulative) };
    let kept: Arc<Named> = event.spelled(if cumulative { SNAPSHOT } else { DELTA }, make);
    if kept.name == *name { kept.frames.clone() } else { frames(name, event, cumulative) }
}

fn frames(name: &SessionId, event: &ChatEvent, cumulative: bool) -> Vec<Frame> {
    match &event.body {
        ChatBody::UserMessage { run, message_id, content } => {
            let place = Place::at(name, *run, event.to);
            vec![place.message(message_id.clone(), content.clone(), event.at.to_rfc3339())]
        }
        ChatBody::Run { run, event: said, text } => {
            let place = Place::at(name, *run, event.to);
            match (said, text) {
                (AgentEvent::TextDelta { .. }, Some(span)) if cumulative => vec![place.whole(span.so_far())],
                (AgentEvent::TextDelta { text }, _) if cumulative => vec![place.whole(text.clone())],
                (AgentEvent::TextDelta { text }, _) => vec![place.delta(text.clone())],
                _ => place.agent(event, said),
            }
        }
        // This dialect has no words for what becomes of messages later.
        ChatBody::Amended { .. } => Vec::new(),
    }
}

/// The whole text so far, for an appending client that lacks some of it.
pub(super) fn whole_text(name: &SessionId, event: &ChatEvent, run: RunId, text: String) -> Frame {
    Place::at(name, run, event.to).whole(text)
}

/// The end of an answer in as few frames as there can be: its text, its sources if they are told, its cost.
pub(super) fn at_once(
    name: &SessionId,
    event: &ChatEvent,
    run: RunId,
    ended: &Ended<'_>,
    sources: Option<&[Source]>,
) -> Vec<Frame> {
    let before = Place::before(name, run, event);
    let mut frames = Vec::new();
    if ended.error.is_none() || !ended.answer.text.is_empty() {
        frames.push(before.whole(ended.answer.text.clone()));
    }
    frames.extend(sources.map(|sources| before.sources(sources)));
    frames.extend(ended.error.map(|error| before.failed(error)));
    frames.push(before.cost(event, ended));
    frames.push(Place::at(name, run, event.to).end());
    frames
}

/// How a run ended.
pub(super) struct Ended<'a> {
    answer: &'a Answer,
    usage: Usage,
    status: wire::AnswerStatus,
    error: Option<&'a Error>,
}

impl<'a> Ended<'a> {
    /// The end that an event is, if it is one.
    pub(super) fn of(event: &'a AgentEvent) -> Option<Self> {
        let (answer, usage, status, error) = match event {
            AgentEvent::RunFinished { answer, usage } => (answer, usage, wire::AnswerStatus::Finished, None),
            AgentEvent::RunStopped { answer, usage } => (answer, usage, wire::AnswerStatus::Stopped, None),
            AgentEvent::RunFailed { answer, usage, error, interrupted } => {
                let status =
                    if *interrupted { wire::AnswerStatus::Interrupted } else { wire::AnswerStatus::Failed };
                (answer, usage, status, Some(error))
            }
            _ => return None,
        };
        Some(Self { answer, usage: *usage, status, error })
    }
}

/// Where a frame belongs.
struct Place<'a> {
    name: &'a SessionId,
    run: RunId,
    seq: Seq,
}

impl<'a> Place<'a> {
    fn at(name: &'a SessionId, run: RunId, seq: Seq) -> Self {
        Self { name, run, seq }
    }

    /// For frames of an event that others of it follow: who was cut off between them gets all of it again. The event
    /// itself is one entry; when it is read again, it also covers the deltas that it took in.
    fn before(name: &'a SessionId, run: RunId, event: &ChatEvent) -> Self {
        Self { name, run, seq: Seq(event.to.0.saturating_sub(1)) }
    }

    fn run_id(&self) -> String {
        self.name.to_string()
    }

    fn answer_id(&self) -> String {
        self.run.to_string()
    }

    fn whole(&self, text: String) -> Frame {
        self.text(Some(text), None)
    }

    fn delta(&self, delta: String) -> Frame {
        self.text(None, Some(delta))
    }

    fn text(&self, text: Option<String>, delta: Option<String>) -> Frame {
        let (run_id, answer_id) = (self.run_id(), self.answer_id());
        let data = wire::TextData { text, delta, run_id, answer_id, seq: self.seq.0 };
        frame(&wire::ServerMessage::Text(wire::Text { data }))
    }

    fn message(&self, message_id: Option<String>, content: String, timestamp: String) -> Frame {
        let (run_id, answer_id) = (self.run_id(), self.answer_id());
        let data = wire::MessageData { content, message_id, timestamp, run_id, answer_id, seq: self.seq.0 };
        frame(&wire::ServerMessage::Message(wire::Message { data }))
    }

    fn agent(&self, event: &ChatEvent, said: &AgentEvent) -> Vec<Frame> {
        match said {
            AgentEvent::ReasoningDelta { text } => vec![self.thinking(text)],
            AgentEvent::Sources(sources) => vec![self.sources(sources)],
            AgentEvent::Step { name } => vec![self.step(name)],
            AgentEvent::RunFinished { .. } | AgentEvent::RunStopped { .. } | AgentEvent::RunFailed { .. } => {
                Ended::of(said).map(|ended| self.over(event, &ended)).unwrap_or_default()
            }
            AgentEvent::ApprovalRequested { .. } | AgentEvent::ApprovalResolved { .. } => {
                self.approval(said).into_iter().collect()
            }
            _ => self.tool(said).into_iter().collect(),
        }
    }

    fn thinking(&self, text: &str) -> Frame {
        let (run_id, answer_id) = (self.run_id(), self.answer_id());
        let data = wire::ThinkingData { thinking: text.to_owned(), run_id, answer_id, seq: self.seq.0 };
        frame(&wire::ServerMessage::Thinking(wire::Thinking { data }))
    }

    fn step(&self, step: &str) -> Frame {
        let (run_id, answer_id) = (self.run_id(), self.answer_id());
        let data = wire::WorkflowStepData { step: step.to_owned(), run_id, answer_id, seq: self.seq.0 };
        frame(&wire::ServerMessage::WorkflowStep(wire::WorkflowStep { data }))
    }

    fn sources(&self, sources: &[Source]) -> Frame {
        let (run_id, answer_id) = (self.run_id(), self.answer_id());
        let data = wire::SourcesData { sources: told(sources), run_id, answer_id, seq: self.seq.0 };
        frame(&wire::ServerMessage::Sources(wire::Sources { data }))
    }

    /// The last frames of an answer: why it failed if it did, its cost, its text whole, the end.
    fn over(&self, event: &ChatEvent, ended: &Ended<'_>) -> Vec<Frame> {
        let before = Place::before(self.name, self.run, event);
        let mut frames = Vec::with_capacity(4);
        frames.extend(ended.error.map(|error| before.failed(error)));
        frames.push(before.cost(event, ended));
        if ended.error.is_none() || !ended.answer.text.is_empty() {
            frames.push(before.whole(ended.answer.text.clone()));
        }
        frames.push(self.end());
        frames
    }

    fn failed(&self, error: &Error) -> Frame {
        let data = wire::ErrorData {
            run_id: Some(self.run_id()),
            answer_id: Some(self.answer_id()),
            seq: Some(self.seq.0),
            ..error_data(error)
        };
        frame(&wire::ServerMessage::Error(wire::Error { data }))
    }

    fn cost(&self, event: &ChatEvent, ended: &Ended<'_>) -> Frame {
        let data = wire::FinalData {
            execution_time_ms: millis(event.at.since(self.run.born())),
            input_tokens: ended.usage.input_tokens,
            output_tokens: ended.usage.output_tokens,
            context_window: ended.usage.context_window,
            status: ended.status.clone(),
            thinking: ended.answer.reasoning.clone(),
            run_id: self.run_id(),
            answer_id: self.answer_id(),
            seq: self.seq.0,
        };
        frame(&wire::ServerMessage::Final(wire::Final { data }))
    }

    fn end(&self) -> Frame {
        end(wire::EndData {
            run_id: Some(self.run_id()),
            answer_id: Some(self.answer_id()),
            seq: Some(self.seq.0),
            ..wire::EndData::default()
        })
    }

    fn tool(&self, said: &AgentEvent) -> Option<Frame> {
        let data = match said {
            AgentEvent::ToolCall { call_id, name, arguments } => wire::ToolData {
                arguments: Some(arguments.clone()),
                ..self.call(call_id, name, wire::ToolStatus::Called)
            },
            AgentEvent::ClientToolRequested { call_id, name, arguments, expires_at } => wire::ToolData {
                arguments: Some(arguments.clone()),
                expires_at: Some(expires_at.to_rfc3339()),
                ..self.call(call_id, name, wire::ToolStatus::Requested)
            },
            AgentEvent::ToolResult { call_id, name, content, error, duration } => {
                let status =
                    if error.is_some() { wire::ToolStatus::Failed } else { wire::ToolStatus::Finished };
                wire::ToolData {
                    content: Some(content.clone()),
                    error: error.as_ref().map(|error| error.message.to_string()),
                    duration_ms: Some(millis(*duration)),
                    ..self.call(call_id, name, status)
                }
            }
            // What belongs to the graph's inside, or to pages of another dialect.
            _ => return None,
        };
        Some(frame(&wire::ServerMessage::Tool(wire::Tool { data })))
    }

    fn call(&self, call_id: &str, name: &str, status: wire::ToolStatus) -> wire::ToolData {
        wire::ToolData {
            call_id: call_id.to_owned(),
            name: name.to_owned(),
            status,
            arguments: None,
            expires_at: None,
            content: None,
            error: None,
            duration_ms: None,
            run_id: self.run_id(),
            answer_id: self.answer_id(),
            seq: self.seq.0,
        }
    }

    fn approval(&self, said: &AgentEvent) -> Option<Frame> {
        let data = match said {
            AgentEvent::ApprovalRequested { call_id, name, arguments, digest, expires_at } => {
                wire::ApprovalData {
                    name: Some(name.clone()),
                    arguments: Some(arguments.clone()),
                    digest: Some(digest.clone()),
                    expires_at: Some(expires_at.to_rfc3339()),
                    ..self.decision(call_id, wire::ApprovalStatus::Requested)
                }
            }
            AgentEvent::ApprovalResolved { call_id, approved, by } => {
                let status =
                    if *approved { wire::ApprovalStatus::Approved } else { wire::ApprovalStatus::Refused };
                wire::ApprovalData { by: Some(by.0.to_string()), ..self.decision(call_id, status) }
            }
            _ => return None,
        };
        Some(frame(&wire::ServerMessage::Approval(wire::Approval { data })))
    }

    fn decision(&self, call_id: &str, status: wire::ApprovalStatus) -> wire::ApprovalData {
        wire::ApprovalData {
            call_id: call_id.to_owned(),
            status,
            name: None,
            arguments: None,
            digest: None,
            expires_at: None,
            by: None,
            run_id: self.run_id(),
            answer_id: self.answer_id(),
            seq: self.seq.0,
        }
    }
}

/// The most relevant sources first, as many as fit.
fn told(sources: &[Source]) -> Vec<wire::Source> {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut room = SOURCES_BYTES;
    let fits = |source: &&&Source| {
        let size = source.id.len() + source.title.len() + source.source.len() + source.passage.len();
        room.checked_sub(size).inspect(|left| room = *left).is_some()
    };
    sorted.iter().take_while(fits).map(|source| told_one(source)).collect()
}

fn told_one(source: &Source) -> wire::Source {
    let (collection, record) = source.record.clone().unzip();
    wire::Source {
        id: source.id.clone(),
        title: source.title.clone(),
        source: source.source.clone(),
        url: source.url.clone(),
        relevance_score: if source.score.is_finite() { source.score } else { 0.0 },
        collection,
        record: record.map(|record| record.to_string()),
        section: source.section.clone(),
        passage: (!source.passage.is_empty()).then(|| source.passage.clone()),
        highlights: (!source.highlights.is_empty()).then(|| highlights(source)),
    }
}

/// Byte ranges as JavaScript counts.
fn highlights(source: &Source) -> Vec<wire::Highlight> {
    let units = |text: &str| text.encode_utf16().count() as u64;
    let mut counted = (0, 0);
    let mut upto = |byte: usize| {
        let between = source.passage.get(counted.0..byte)?;
        counted = (byte, counted.1 + units(between));
        Some(counted.1)
    };
    let ranges = source.highlights.iter().map_while(|range| Some((upto(range.start)?, upto(range.end)?)));
    ranges.map(|(start, end)| wire::Highlight { start, end }).collect()
}

/// Where a chat stands, before its frames.
pub(super) fn run(
    name: &SessionId,
    chat: ChatId,
    epoch: Epoch,
    (after, last): (Seq, Seq),
    reset: bool,
    state: Option<RunState>,
) -> Frame {
    let status = match state {
        None => wire::RunStatus::Idle,
        Some(RunState { queued: true, .. }) => wire::RunStatus::Queued,
        Some(RunState { queued: false, .. }) => wire::RunStatus::Running,
    };
    let data = wire::RunData {
        run_id: name.to_string(),
        chat_id: chat.to_string(),
        epoch: epoch.0,
        after_seq: after.0,
        last_seq: last.0,
        reset,
        status,
    };
    frame(&wire::ServerMessage::Run(wire::Run { data }))
}

/// What a refusal is about, as far as that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) run_id: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) call_id: Option<String>,
}

/// A request that is not done.
pub(super) fn refused(error: &Error, about: &About) -> Frame {
    let About { run_id, message_id, call_id } = about.clone();
    let data = wire::ErrorData { run_id, message_id, call_id, ..error_data(error) };
    frame(&wire::ServerMessage::Error(wire::Error { data }))
}

/// A request with members that are wrong; there is at least one.
pub(super) fn wrong(wrong: Vec<Wrong>, about: &About) -> Frame {
    let first = wrong.first().map(|Wrong { path, takes }| format!("{path} {takes}"));
    let more = wrong.len().saturating_sub(1);
    let mut message = first.clone().unwrap_or_default();
    if more > 0 {
        message.push_str(&format!("; {more} more in fields"));
    }
    let field = wrong.first().map(|wrong| wrong.path.clone()).unwrap_or_default();
    let error = Error::invalid(message).with(Detail::Field(field));
    let fields = wrong.into_iter().map(|Wrong { path, takes }| wire::WrongField { path, message: takes });
    let About { run_id, message_id, call_id } = about.clone();
    let data =
        wire::ErrorData { run_id, message_id, call_id, fields: Some(fields.collect()), ..error_data(&error) };
    frame(&wire::ServerMessage::Error(wire::Error { data }))
}

/// The end of what was asked, where no answer of an agent ends.
pub(super) fn end_of(about: &About, seq: Option<Seq>) -> Frame {
    end(wire::EndData {
        run_id: about.run_id.clone(),
        answer_id: None,
        message_id: about.message_id.clone(),
        seq: seq.map(|seq| seq.0),
    })
}

/// A sign of life.
pub(super) fn pong() -> Frame {
    frame(&wire::ServerMessage::Pong(wire::Pong { data: wire::PongData {} }))
}

fn end(data: wire::EndData) -> Frame {
    frame(&wire::ServerMessage::End(wire::End { data }))
}

fn error_data(error: &Error) -> wire::ErrorData {
    let name = Value::String(error.code.name().to_owned());
    wire::ErrorData {
        message: error.message.to_string(),
        // Every code of the engine is a word of this dialect.
        code: serde_json::from_value(name).ok(),
        field: match &error.detail {
            Detail::Field(field) => Some(field.clone()),
            _ => None,
        },
        fields: None,
        retryable: Some(error.code.is_retryable()),
        retry_after_ms: match &error.detail {
            Detail::RetryAfter(after) => Some(millis(*after)),
            _ => None,
        },
        run_id: None,
        answer_id: None,
        message_id: None,
        call_id: None,
        seq: None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn frame(message: &wire::ServerMessage) -> Frame {
    Frame::text(message.encode())
}
