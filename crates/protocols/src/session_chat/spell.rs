//! How events, replies and errors are spelled. Pure: the same event gives the same frames, made once and shared.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tidewire_engine::command::RunState;
use tidewire_engine::conversation::Role;
use tidewire_engine::event::{
    Amendment, CanvasAction, CanvasTrigger, CanvasView, CatalogMetrics, Source, Usage,
};
use tidewire_engine::identity::Subject;
use tidewire_engine::{
    AgentEvent, Answer, ChatBody, ChatEvent, ChatId, Code, Detail, Epoch, Error, RunId, Seq, SessionId,
};

use super::{past, wire};
use crate::frame::Frame;

/// This dialect's numbers for [`ChatEvent::spelled`].
const SNAPSHOT: u32 = 0x0100;
const DELTA: u32 = 0x0101;

/// The frames for a client that replaces its partial text.
pub(super) fn snapshot(event: &ChatEvent) -> Arc<Vec<Frame>> {
    event.spelled(SNAPSHOT, |event| spell(event, true))
}

/// The frames for a client that appends.
pub(super) fn delta(event: &ChatEvent) -> Arc<Vec<Frame>> {
    event.spelled(DELTA, |event| spell(event, false))
}

/// The whole text so far, for an appending client that lacks some of it.
pub(super) fn whole_text(event: &ChatEvent, run: RunId, text: &str) -> Frame {
    frame(&wire::ServerMessage::AgentPartial(wire::AgentPartial {
        content: Some(text.to_owned()),
        delta: None,
        run_id: run.to_string(),
        seq: event.to.0,
    }))
}

fn spell(event: &ChatEvent, cumulative: bool) -> Vec<Frame> {
    match &event.body {
        ChatBody::UserMessage { run, message_id, content } => {
            vec![frame(&wire::ServerMessage::User(wire::User {
                content: content.clone(),
                message_id: message_id.clone(),
                run_id: run.to_string(),
                seq: event.to.0,
                timestamp: event.at.to_rfc3339(),
            }))]
        }
        ChatBody::Run { run, event: AgentEvent::TextDelta { .. }, text: Some(span) } if cumulative => {
            vec![whole_text(event, *run, &span.so_far())]
        }
        ChatBody::Run { run, event: agent_event, .. } => {
            Spelling { event, run: *run, cumulative }.spell(agent_event)
        }
        ChatBody::Amended { amendment, by } => {
            ours(cumulative, || amended(event, amendment, by)).into_iter().flatten().collect()
        }
    }
}

/// Frames that clients of the founding documents do not know are kept from them.
fn ours<T>(cumulative: bool, make: impl FnOnce() -> T) -> Option<T> {
    (!cumulative).then(make)
}

/// What was brought from another chat, and that the chat is gone. This dialect has no words for what else becomes of
/// messages later; whoever asks for the chat again reads it.
fn amended(event: &ChatEvent, amendment: &Amendment, by: &Subject) -> Option<Frame> {
    match amendment {
        Amendment::Imported { role, content, at, shown, .. } => {
            let said = wire::Message {
                role: match role {
                    Role::User => wire::Role::User,
                    Role::Assistant => wire::Role::Assistant,
                },
                content: content.clone(),
                seq: event.to.0,
                timestamp: at.to_rfc3339(),
                ..past::bare()
            };
            let message = match shown {
                Some(shown) => past::with_shown(said, shown),
                None => said,
            };
            Some(frame(&wire::ServerMessage::Message(message)))
        }
        Amendment::ChatDeleted => {
            Some(frame(&wire::ServerMessage::Deleted(wire::Deleted { by: by.0.to_string() })))
        }
        Amendment::Edited { .. }
        | Amendment::Forgotten { .. }
        | Amendment::Deleted { .. }
        | Amendment::Regenerated { .. }
        | Amendment::Summarized { .. } => None,
    }
}

/// One event of a run, and for whom it is spelled.
struct Spelling<'a> {
    event: &'a ChatEvent,
    run: RunId,
    cumulative: bool,
}

impl Spelling<'_> {
    fn spell(&self, agent_event: &AgentEvent) -> Vec<Frame> {
        match agent_event {
            AgentEvent::RunQueued { position } => {
                self.ours(|| self.run_state(wire::RunStatus::Queued, Some(*position)))
            }
            AgentEvent::RunStarted => self.ours(|| self.run_state(wire::RunStatus::Running, None)),
            AgentEvent::TextDelta { text } => vec![self.partial(text)],
            AgentEvent::ReasoningDelta { text } => self.ours(|| self.reasoning(text)),
            AgentEvent::ToolCall { call_id, name, arguments } => {
                self.ours(|| self.tool_call(call_id, name, arguments))
            }
            AgentEvent::ToolResult { call_id, name, content, error, duration } => {
                self.tool(call_id, name, content, error.as_ref(), *duration)
            }
            AgentEvent::RunFinished { answer, usage } => {
                vec![self.agent(answer, *usage, wire::AgentStatus::Finished)]
            }
            AgentEvent::RunStopped { answer, usage } => {
                vec![self.agent(answer, *usage, wire::AgentStatus::Stopped)]
            }
            AgentEvent::RunFailed { answer, usage, error, interrupted } => {
                self.failed(answer, *usage, error, *interrupted)
            }
            AgentEvent::Step { name } => self.ours(|| self.step(name)),
            AgentEvent::Sources(sources) => self.ours(|| self.sources(sources)),
            AgentEvent::ApprovalRequested { call_id, name, arguments, digest, expires_at } => {
                self.ours(|| {
                    self.approval(wire::Approval {
                        call_id: call_id.clone(),
                        tool_name: Some(name.clone()),
                        arguments: Some(arguments.clone()),
                        digest: Some(digest.clone()),
                        expires_at: Some(expires_at.to_rfc3339()),
                        ..self.decision(wire::ApprovalState::Requested)
                    })
                })
            }
            AgentEvent::ApprovalResolved { call_id, approved, by } => self.ours(|| {
                let (state, by) = outcome(*approved, by);
                self.approval(wire::Approval { call_id: call_id.clone(), by, ..self.decision(state) })
            }),
            // The diagram travels on the last message; arguments are shown when they are complete. Tools of clients
            // are called over the dialects that can answer them.
            AgentEvent::Diagram { .. }
            | AgentEvent::ToolCallArgs { .. }
            | AgentEvent::ClientToolRequested { .. }
            | AgentEvent::Checkpoint(_) => Vec::new(),
        }
    }

    fn ours(&self, make: impl FnOnce() -> wire::ServerMessage) -> Vec<Frame> {
        ours(self.cumulative, || frame(&make())).into_iter().collect()
    }

    fn step(&self, name: &str) -> wire::ServerMessage {
        wire::ServerMessage::Step(wire::Step {
            name: name.to_owned(),
            run_id: self.run.to_string(),
            seq: self.event.to.0,
            timestamp: self.event.at.to_rfc3339(),
        })
    }

    fn sources(&self, sources: &[Source]) -> wire::ServerMessage {
        wire::ServerMessage::Sources(wire::Sources {
            sources: sources.iter().map(source).collect(),
            run_id: self.run.to_string(),
            seq: self.event.to.0,
        })
    }

    fn approval(&self, approval: wire::Approval) -> wire::ServerMessage {
        wire::ServerMessage::Approval(approval)
    }

    /// A question in this state, of no call yet.
    fn decision(&self, state: wire::ApprovalState) -> wire::Approval {
        wire::Approval {
            call_id: String::new(),
            state,
            tool_name: None,
            arguments: None,
            digest: None,
            expires_at: None,
            by: None,
            run_id: self.run.to_string(),
            seq: self.event.to.0,
            timestamp: self.event.at.to_rfc3339(),
        }
    }

    fn run_state(&self, status: wire::RunStatus, position: Option<usize>) -> wire::ServerMessage {
        wire::ServerMessage::Run(wire::Run {
            run_id: self.run.to_string(),
            status,
            position: position.map(|p| p as u64),
            seq: self.event.to.0,
        })
    }

    fn partial(&self, text: &str) -> Frame {
        frame(&wire::ServerMessage::AgentPartial(wire::AgentPartial {
            content: self.cumulative.then(|| text.to_owned()),
            delta: (!self.cumulative).then(|| text.to_owned()),
            run_id: self.run.to_string(),
            seq: self.event.to.0,
        }))
    }

    fn reasoning(&self, text: &str) -> wire::ServerMessage {
        wire::ServerMessage::Reasoning(wire::Reasoning {
            delta: text.to_owned(),
            run_id: self.run.to_string(),
            seq: self.event.to.0,
        })
    }

    fn tool_call(&self, call_id: &str, name: &str, arguments: &serde_json::Value) -> wire::ServerMessage {
        wire::ServerMessage::ToolCall(wire::ToolCall {
            call_id: call_id.to_owned(),
            tool_name: name.to_owned(),
            arguments: arguments.clone(),
            run_id: self.run.to_string(),
            seq: self.event.to.0,
        })
    }

    fn tool(
        &self,
        call_id: &str,
        name: &str,
        content: &str,
        error: Option<&Error>,
        took: Duration,
    ) -> Vec<Frame> {
        let tool = frame(&wire::ServerMessage::Tool(wire::Tool {
            content: content.to_owned(),
            tool_name: name.to_owned(),
            call_id: call_id.to_owned(),
            run_id: self.run.to_string(),
            duration_ms: millis(took),
            is_error: error.is_some().then_some(true),
            seq: self.event.to.0,
        }));
        match error {
            Some(error) if self.cumulative => {
                let error = error.clone().with(Detail::Tool(name.to_owned()));
                vec![tool, self::error(&error, Some(self.run), None)]
            }
            Some(_) | None => vec![tool],
        }
    }

    fn agent(&self, answer: &Answer, usage: Usage, status: wire::AgentStatus) -> Frame {
        frame(&wire::ServerMessage::Agent(wire::Agent {
            content: answer.text.clone(),
            diagram: answer.diagram.clone(),
            canvas_trigger: answer.canvas.as_ref().map(canvas_trigger),
            metrics: answer.metrics.as_ref().map(metrics),
            reasoning: answer.reasoning.clone().filter(|_| !self.cumulative),
            timestamp: self.event.at.to_rfc3339(),
            status,
            usage: Some(wire::Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }),
            run_id: self.run.to_string(),
            seq: self.event.to.0,
        }))
    }

    /// For an old client an answer without a word would be an empty bubble; it gets the error alone.
    fn failed(&self, answer: &Answer, usage: Usage, error: &Error, interrupted: bool) -> Vec<Frame> {
        if interrupted {
            return vec![self.agent(answer, usage, wire::AgentStatus::Interrupted)];
        }
        let error = self::error(error, Some(self.run), None);
        if self.cumulative && answer.text.is_empty() {
            return vec![error];
        }
        vec![self.agent(answer, usage, wire::AgentStatus::Failed), error]
    }
}

/// How a question to a person ended, and who ended it.
pub(super) fn outcome(approved: bool, by: &Subject) -> (wire::ApprovalState, Option<String>) {
    match (approved, &*by.0) {
        (true, by) => (wire::ApprovalState::Approved, Some(by.to_owned())),
        (false, Subject::SYSTEM) => (wire::ApprovalState::Expired, None),
        (false, by) => (wire::ApprovalState::Refused, Some(by.to_owned())),
    }
}

pub(super) fn source(source: &Source) -> wire::Source {
    let (collection, record) = source.record.clone().unzip();
    let passage = Some(source.passage.clone()).filter(|passage| !passage.is_empty());
    let highlights: Vec<_> =
        source.highlights.iter().filter_map(|range| highlight(&source.passage, range)).collect();
    wire::Source {
        id: source.id.clone(),
        title: source.title.clone(),
        source: source.source.clone(),
        url: source.url.clone(),
        score: source.score,
        collection,
        record: record.map(|record| record.0),
        section: source.section.clone(),
        passage,
        highlights: Some(highlights).filter(|highlights| !highlights.is_empty()),
    }
}

/// A range of bytes as JavaScript counts; none where it would cut a character.
fn highlight(passage: &str, range: &Range<usize>) -> Option<wire::Highlight> {
    let units = |text: &str| text.encode_utf16().count() as u64;
    let start = units(passage.get(..range.start)?);
    Some(wire::Highlight { start, end: start + units(passage.get(range.clone())?) })
}

/// The answer to a resume: where the conversation stands.
pub(super) fn ready(
    session: &SessionId,
    chat: ChatId,
    epoch: Epoch,
    last_seq: Seq,
    reset: bool,
    run: Option<RunState>,
) -> Frame {
    frame(&wire::ServerMessage::Ready(wire::Ready {
        session_id: session.to_string(),
        chat_id: chat.to_string(),
        epoch: epoch.0,
        last_seq: last_seq.0,
        reset,
        run: run.map(|state| wire::CurrentRun {
            run_id: state.run.to_string(),
            status: if state.queued { wire::RunStatus::Queued } else { wire::RunStatus::Running },
        }),
    }))
}

/// A sign of life is asked for.
pub(super) fn ping() -> Frame {
    frame(&wire::ServerMessage::Ping(wire::Ping {}))
}

/// An error in this dialect's words: six codes, and beside each what it needs.
pub(super) fn error(error: &Error, run: Option<RunId>, message_id: Option<&str>) -> Frame {
    let mut spelled = wire::Error {
        content: error.message.to_string(),
        code: error_code(error),
        retry_after_ms: None,
        timeout_ms: None,
        tool_name: None,
        trace_id: None,
        field: None,
        requires_action: None,
        run_id: run.map(|run| run.to_string()),
        message_id: message_id.map(str::to_owned),
        retryable: Some(error.code.is_retryable()),
        seq: None,
    };
    add_details(&mut spelled, error, run);
    frame(&wire::ServerMessage::Error(spelled))
}

fn error_code(error: &Error) -> wire::ErrorCode {
    if matches!(error.detail, Detail::Tool(_)) {
        return wire::ErrorCode::ToolExecutionFailed;
    }
    match error.code {
        Code::Invalid | Code::NotFound | Code::Conflict | Code::TooLarge | Code::Unimplemented => {
            wire::ErrorCode::ValidationError
        }
        Code::Unauthenticated | Code::Forbidden => wire::ErrorCode::AuthFailed,
        Code::RateLimited => wire::ErrorCode::RateLimited,
        Code::Deadline => wire::ErrorCode::RequestTimeout,
        Code::Cancelled | Code::Internal | Code::Upstream | Code::Unavailable | Code::Draining => {
            wire::ErrorCode::BackendError
        }
    }
}

fn add_details(spelled: &mut wire::Error, error: &Error, run: Option<RunId>) {
    match &error.detail {
        Detail::None => {}
        Detail::Field(field) => spelled.field = Some(field.clone()),
        Detail::RetryAfter(after) => spelled.retry_after_ms = Some(millis(*after)),
        Detail::Timeout(limit) => spelled.timeout_ms = Some(millis(*limit)),
        Detail::Tool(name) => spelled.tool_name = Some(name.clone()),
    }
    if spelled.code == wire::ErrorCode::AuthFailed {
        spelled.requires_action = Some("authenticate".into());
    }
    if matches!(spelled.code, wire::ErrorCode::BackendError | wire::ErrorCode::ToolExecutionFailed) {
        spelled.trace_id = run.map(|run| run.to_string());
    }
}

pub(super) fn canvas_trigger(trigger: &CanvasTrigger) -> wire::CanvasTrigger {
    wire::CanvasTrigger {
        action: match trigger.action {
            CanvasAction::SwitchView => wire::CanvasAction::SwitchView,
            CanvasAction::NewAnalysis => wire::CanvasAction::NewAnalysis,
            CanvasAction::None => wire::CanvasAction::None,
        },
        view_type: trigger.view.map(|view| match view {
            CanvasView::ErDiagram => wire::ViewType::ErDiagram,
            CanvasView::TableList => wire::ViewType::TableList,
            CanvasView::RelationshipGraph => wire::ViewType::RelationshipGraph,
        }),
        entity_name: trigger.entity_name.clone(),
        query: trigger.query.clone(),
        reason: trigger.reason.clone(),
        confidence: Some(trigger.confidence),
    }
}

pub(super) fn metrics(metrics: &CatalogMetrics) -> wire::Metrics {
    wire::Metrics {
        total_tables: metrics.total_tables,
        total_columns: metrics.total_columns,
        facts_count: metrics.facts_count,
        dimensions_count: metrics.dimensions_count,
        quality_score: metrics.quality_score,
        relationships_count: metrics.relationships_count,
        schema_name: metrics.schema_name.clone(),
        as_of: metrics.as_of.map(|at| at.to_rfc3339()),
        is_stale: metrics.is_stale,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn frame(message: &wire::ServerMessage) -> Frame {
    Frame::text(message.encode())
}
