//! What is kept of a chat: the versioned twin of the events.
//!
//! This is the only module whose types are serialized, so what is on disk changes only here. A body is one JSON
//! object with its version `v` and its `kind`. A reader skips kinds and versions that it does not know and leaves the
//! bytes as they are, so an older server can run on a newer one's log without harm.

mod amendment;
mod checkpoint;
mod parts;
pub mod schema;
mod settings;
mod shown;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::{AgentEvent, Amendment, Answer, ChatBody};
use crate::id::{ChatId, Epoch, RunId, Seq, Timestamp};
use crate::identity::Subject;
use amendment::KeptAmendment;
use checkpoint::KeptCheckpoint;
use parts::{KeptAnswer, KeptError, KeptSource, KeptUsage};

pub use settings::{decode_settings, encode_settings};

/// The version that is written. It goes up when the meaning of a kind changes; a new kind needs no new version.
const VERSION: u8 = 1;

/// The longest title in characters.
const TITLE_CHARS: usize = 80;

/// One row of a chat's log. It covers `from..=to`; the rows of a chat tile `1..=last` without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// In which chat.
    pub chat: ChatId,
    /// The first sequence number that it covers.
    pub from: Seq,
    /// The last one.
    pub to: Seq,
    /// In which epoch it was written.
    pub epoch: Epoch,
    /// When.
    pub at: Timestamp,
    /// Of which run, if of one.
    pub run: Option<RunId>,
    /// What the store itself must know of it.
    pub mark: Mark,
    /// The client's own id of a user message.
    pub message_id: Option<String>,
    /// For a user message: what the chat is called if it has no title yet.
    pub title: Option<String>,
    /// The entry itself, JSON.
    pub body: Bytes,
}

/// What the store must know of an entry without reading its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// What begins a run: a user message, or the wish for another answer. The run is open from here on, and the first
    /// message gives the chat its title.
    Message,
    /// A delta or a checkpoint, dropped when its run collapses.
    Delta,
    /// Anything else that stays.
    Coarse,
    /// The end of its run.
    End,
    /// It changes what earlier entries mean, and belongs to no run.
    Amendment,
}

/// Where and when an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In which chat.
    pub chat: ChatId,
    /// Its sequence number: a new entry covers exactly one.
    pub seq: Seq,
    /// In which epoch.
    pub epoch: Epoch,
    /// When.
    pub at: Timestamp,
}

/// What an entry says.
#[derive(Debug, Clone)]
pub struct Content {
    /// What happened. A text delta is without its [`TextSpan`](crate::event::TextSpan).
    pub body: ChatBody,
    /// For a text delta: the length in bytes of its run's text up to and with it.
    pub text_end: Option<usize>,
}

impl LogEntry {
    /// The entry for `body` at its place; `json` is what [`encode`] made of the body.
    pub fn new(place: Place, body: &ChatBody, json: Bytes) -> Self {
        let (message_id, title) = match body {
            ChatBody::UserMessage { message_id, content, .. } => (message_id.clone(), Some(title(content))),
            ChatBody::Run { .. } | ChatBody::Amended { .. } => (None, None),
        };
        Self {
            chat: place.chat,
            from: place.seq,
            to: place.seq,
            epoch: place.epoch,
            at: place.at,
            run: run_of(body),
            mark: mark(body),
            message_id,
            title,
            body: json,
        }
    }

    /// The run that it ends, if it ends one, and the run's chat.
    pub fn ended_run(&self) -> Option<(ChatId, RunId)> {
        self.run.filter(|_| self.mark == Mark::End).map(|run| (self.chat, run))
    }

    /// What it says; `None` if it is of a kind or version that this server does not know.
    ///
    /// Fails if it is damaged.
    pub fn decode(&self) -> Result<Option<Content>> {
        let kept: Kept<'_> = match serde_json::from_slice(&self.body) {
            Ok(kept) => kept,
            Err(_) if self.is_newer() => return Ok(None),
            Err(damage) => return Err(Error::internal(damage)),
        };
        if kept.v > VERSION {
            return Ok(None);
        }
        Ok(kept.body.into_content(self.run, self.message_id.clone()))
    }

    /// Whether a newer server wrote it, in whatever shape.
    fn is_newer(&self) -> bool {
        serde_json::from_slice::<Stamp>(&self.body).is_ok_and(|stamp| stamp.v > VERSION)
    }
}

/// The JSON that is kept of a body. A text delta's place in its run's text is kept with it.
pub fn encode(body: &ChatBody) -> Bytes {
    let kept = Kept { v: VERSION, body: KeptBody::of(body) };
    let json = serde_json::to_vec(&kept).expect("plain data whose map keys are text is always JSON");
    Bytes::from(json)
}

/// The run that a body belongs to, if to one.
pub fn run_of(body: &ChatBody) -> Option<RunId> {
    match body {
        ChatBody::UserMessage { run, .. } | ChatBody::Run { run, .. } => Some(*run),
        ChatBody::Amended { amendment: Amendment::Regenerated { run, .. }, .. } => Some(*run),
        ChatBody::Amended { .. } => None,
    }
}

/// The JSON of a body without what was said in it, for a message that is shown to nobody any more.
pub fn encode_without_words(body: &ChatBody) -> Bytes {
    let mut body = body.clone();
    match &mut body {
        ChatBody::UserMessage { content, .. }
        | ChatBody::Amended { amendment: Amendment::Summarized { text: content, .. }, .. } => content.clear(),
        ChatBody::Amended { amendment: Amendment::Imported { content, shown, .. }, .. } => {
            content.clear();
            *shown = None;
        }
        ChatBody::Run { event, .. } => match event {
            AgentEvent::RunFinished { answer, .. }
            | AgentEvent::RunFailed { answer, .. }
            | AgentEvent::RunStopped { answer, .. } => *answer = Answer::default(),
            _ => {}
        },
        ChatBody::Amended { .. } => {}
    }
    encode(&body)
}

/// What the store must know of a body.
fn mark(body: &ChatBody) -> Mark {
    match body {
        ChatBody::UserMessage { .. } | ChatBody::Amended { amendment: Amendment::Regenerated { .. }, .. } => {
            Mark::Message
        }
        ChatBody::Amended { .. } => Mark::Amendment,
        ChatBody::Run { event, .. } => match event {
            AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCallArgs { .. }
            | AgentEvent::Checkpoint(_) => Mark::Delta,
            AgentEvent::RunFinished { .. } | AgentEvent::RunFailed { .. } | AgentEvent::RunStopped { .. } => {
                Mark::End
            }
            AgentEvent::RunQueued { .. }
            | AgentEvent::RunStarted
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::ClientToolRequested { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::Sources(_)
            | AgentEvent::Step { .. }
            | AgentEvent::Diagram { .. } => Mark::Coarse,
        },
    }
}

/// A message's first line with something in it, shortened.
fn title(content: &str) -> String {
    let line = content.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Stamp {
    v: u8,
}

#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    v: u8,
    #[serde(flatten, borrow)]
    body: KeptBody<'a>,
}

/// The kinds. Run and message id are columns of the row and not repeated here.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum KeptBody<'a> {
    UserMessage {
        content: Cow<'a, str>,
    },
    RunQueued {
        position: usize,
    },
    RunStarted,
    TextDelta {
        text: Cow<'a, str>,
        end: usize,
    },
    ReasoningDelta {
        text: Cow<'a, str>,
    },
    ToolCall {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: Cow<'a, Value>,
    },
    ToolCallArgs {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        so_far: Cow<'a, str>,
    },
    ToolResult {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        content: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<KeptError>,
        duration_us: u64,
    },
    ClientToolRequested {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: Cow<'a, Value>,
        expires_at: i64,
    },
    ApprovalRequested {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: Cow<'a, Value>,
        #[serde(default)]
        digest: Cow<'a, str>,
        expires_at: i64,
    },
    ApprovalResolved {
        call_id: Cow<'a, str>,
        approved: bool,
        by: Cow<'a, str>,
    },
    Sources {
        sources: Vec<KeptSource>,
    },
    Step {
        name: Cow<'a, str>,
    },
    Diagram {
        mermaid: Cow<'a, str>,
    },
    Checkpoint {
        checkpoint: KeptCheckpoint,
    },
    RunFinished {
        answer: KeptAnswer,
        usage: KeptUsage,
    },
    RunFailed {
        answer: KeptAnswer,
        usage: KeptUsage,
        error: KeptError,
        interrupted: bool,
    },
    RunStopped {
        answer: KeptAnswer,
        usage: KeptUsage,
    },
    Amended {
        by: Cow<'a, str>,
        amendment: KeptAmendment<'a>,
    },
    #[serde(other)]
    Unknown,
}

impl<'a> KeptBody<'a> {
    fn of(body: &'a ChatBody) -> Self {
        match body {
            ChatBody::UserMessage { content, .. } => Self::UserMessage { content: content.into() },
            ChatBody::Run { event, text, .. } => {
                Self::of_event(event, text.as_ref().map_or(0, |span| span.end))
            }
            ChatBody::Amended { amendment, by } => {
                Self::Amended { by: Cow::Borrowed(&by.0), amendment: KeptAmendment::of(amendment) }
            }
        }
    }

    fn of_event(event: &'a AgentEvent, end: usize) -> Self {
        match event {
            AgentEvent::RunQueued { position } => Self::RunQueued { position: *position },
            AgentEvent::RunStarted => Self::RunStarted,
            AgentEvent::TextDelta { text } => Self::TextDelta { text: text.into(), end },
            AgentEvent::ReasoningDelta { text } => Self::ReasoningDelta { text: text.into() },
            AgentEvent::ToolCall { call_id, name, arguments } => Self::ToolCall {
                call_id: call_id.into(),
                name: name.into(),
                arguments: Cow::Borrowed(arguments),
            },
            AgentEvent::ToolCallArgs { call_id, name, so_far } => {
                Self::ToolCallArgs { call_id: call_id.into(), name: name.into(), so_far: so_far.into() }
            }
            AgentEvent::ToolResult { call_id, name, content, error, duration } => Self::ToolResult {
                call_id: call_id.into(),
                name: name.into(),
                content: content.into(),
                error: error.as_ref().map(KeptError::of),
                duration_us: micros(*duration),
            },
            AgentEvent::ClientToolRequested { call_id, name, arguments, expires_at } => {
                Self::ClientToolRequested {
                    call_id: call_id.into(),
                    name: name.into(),
                    arguments: Cow::Borrowed(arguments),
                    expires_at: expires_at.0,
                }
            }
            AgentEvent::ApprovalRequested { call_id, name, arguments, digest, expires_at } => {
                Self::ApprovalRequested {
                    call_id: call_id.into(),
                    name: name.into(),
                    arguments: Cow::Borrowed(arguments),
                    digest: digest.into(),
                    expires_at: expires_at.0,
                }
            }
            AgentEvent::ApprovalResolved { call_id, approved, by } => Self::ApprovalResolved {
                call_id: call_id.into(),
                approved: *approved,
                by: Cow::Borrowed(&by.0),
            },
            AgentEvent::Sources(sources) => {
                Self::Sources { sources: sources.iter().map(KeptSource::of).collect() }
            }
            AgentEvent::Step { name } => Self::Step { name: name.into() },
            AgentEvent::Diagram { mermaid } => Self::Diagram { mermaid: mermaid.into() },
            AgentEvent::Checkpoint(checkpoint) => {
                Self::Checkpoint { checkpoint: KeptCheckpoint::of(checkpoint) }
            }
            AgentEvent::RunFinished { answer, usage } => {
                Self::RunFinished { answer: KeptAnswer::of(answer), usage: KeptUsage::of(*usage) }
            }
            AgentEvent::RunFailed { answer, usage, error, interrupted } => Self::RunFailed {
                answer: KeptAnswer::of(answer),
                usage: KeptUsage::of(*usage),
                error: KeptError::of(error),
                interrupted: *interrupted,
            },
            AgentEvent::RunStopped { answer, usage } => {
                Self::RunStopped { answer: KeptAnswer::of(answer), usage: KeptUsage::of(*usage) }
            }
        }
    }

    fn into_content(self, run: Option<RunId>, message_id: Option<String>) -> Option<Content> {
        let (event, text_end) = match self {
            Self::UserMessage { content } => {
                let body = ChatBody::UserMessage { run: run?, message_id, content: content.into_owned() };
                return Some(Content { body, text_end: None });
            }
            Self::Amended { by, amendment } => {
                let amendment = amendment.into_amendment(run)?;
                let body = ChatBody::Amended { amendment, by: Subject(by.into()) };
                return Some(Content { body, text_end: None });
            }
            Self::TextDelta { text, end } => (AgentEvent::TextDelta { text: text.into_owned() }, Some(end)),
            other => (other.into_event()?, None),
        };
        Some(Content { body: ChatBody::Run { run: run?, event, text: None }, text_end })
    }

    fn into_event(self) -> Option<AgentEvent> {
        Some(match self {
            Self::UserMessage { .. } | Self::Amended { .. } | Self::Unknown => return None,
            Self::RunQueued { position } => AgentEvent::RunQueued { position },
            Self::RunStarted => AgentEvent::RunStarted,
            Self::TextDelta { text, .. } => AgentEvent::TextDelta { text: text.into_owned() },
            Self::ReasoningDelta { text } => AgentEvent::ReasoningDelta { text: text.into_owned() },
            Self::ToolCall { call_id, name, arguments } => AgentEvent::ToolCall {
                call_id: call_id.into_owned(),
                name: name.into_owned(),
                arguments: arguments.into_owned(),
            },
            Self::ToolCallArgs { call_id, name, so_far } => AgentEvent::ToolCallArgs {
                call_id: call_id.into_owned(),
                name: name.into_owned(),
                so_far: so_far.into_owned(),
            },
            Self::ToolResult { call_id, name, content, error, duration_us } => AgentEvent::ToolResult {
                call_id: call_id.into_owned(),
                name: name.into_owned(),
                content: content.into_owned(),
                error: error.map(KeptError::into_error),
                duration: Duration::from_micros(duration_us),
            },
            Self::ClientToolRequested { call_id, name, arguments, expires_at } => {
                AgentEvent::ClientToolRequested {
                    call_id: call_id.into_owned(),
                    name: name.into_owned(),
                    arguments: arguments.into_owned(),
                    expires_at: Timestamp(expires_at),
                }
            }
            Self::ApprovalRequested { call_id, name, arguments, digest, expires_at } => {
                AgentEvent::ApprovalRequested {
                    call_id: call_id.into_owned(),
                    name: name.into_owned(),
                    arguments: arguments.into_owned(),
                    digest: digest.into_owned(),
                    expires_at: Timestamp(expires_at),
                }
            }
            Self::ApprovalResolved { call_id, approved, by } => AgentEvent::ApprovalResolved {
                call_id: call_id.into_owned(),
                approved,
                by: Subject(by.into()),
            },
            Self::Sources { sources } => {
                AgentEvent::Sources(sources.into_iter().map(KeptSource::into_source).collect())
            }
            Self::Step { name } => AgentEvent::Step { name: name.into_owned() },
            Self::Diagram { mermaid } => AgentEvent::Diagram { mermaid: mermaid.into_owned() },
            Self::Checkpoint { checkpoint } => AgentEvent::Checkpoint(checkpoint.into_checkpoint()),
            Self::RunFinished { answer, usage } => {
                AgentEvent::RunFinished { answer: answer.into_answer(), usage: usage.into_usage() }
            }
            Self::RunFailed { answer, usage, error, interrupted } => AgentEvent::RunFailed {
                answer: answer.into_answer(),
                usage: usage.into_usage(),
                error: error.into_error(),
                interrupted,
            },
            Self::RunStopped { answer, usage } => {
                AgentEvent::RunStopped { answer: answer.into_answer(), usage: usage.into_usage() }
            }
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::Passed;
    use crate::conversation::{
        AnswerStatus, CallDecided, RetrievalWish, Role, RunOptions, Shown, StepTaken, ToolUse,
    };
    use crate::error::Detail;
    use crate::event::{
        Answer, Answerer, Begun, CanvasAction, CanvasTrigger, CanvasView, CatalogMetrics, Checkpoint,
        RunText, Source, TextSpan, Usage,
    };
    use crate::identity::{Grant, Grants, Identity};
    use crate::model::ToolDefinition;

    fn place() -> Place {
        Place { chat: ChatId::new(), seq: Seq(7), epoch: Epoch(2), at: Timestamp(5) }
    }

    fn entry(body: &ChatBody) -> LogEntry {
        LogEntry::new(place(), body, encode(body))
    }

    fn raw(body: &str) -> LogEntry {
        let of = ChatBody::Run { run: RunId::new(), event: AgentEvent::RunStarted, text: None };
        LogEntry { body: Bytes::copy_from_slice(body.as_bytes()), ..entry(&of) }
    }

    fn answer() -> Answer {
        Answer {
            text: "Two \"tables\"\n".into(),
            diagram: Some("erDiagram".into()),
            canvas: Some(CanvasTrigger {
                action: CanvasAction::SwitchView,
                view: Some(CanvasView::TableList),
                entity_name: None,
                query: Some("tables".into()),
                reason: "asked for a list".into(),
                confidence: 0.75,
            }),
            metrics: Some(CatalogMetrics {
                total_tables: 2,
                as_of: Some(Timestamp(9)),
                is_stale: Some(false),
                ..CatalogMetrics::default()
            }),
            reasoning: Some("First the tables".into()),
            by: Some(Answerer { agent: "assistant".into(), model: Some("scripted".into()) }),
        }
    }

    fn begun(grants: Grants) -> Checkpoint {
        let tool = ToolDefinition { name: "look".into(), description: "d".into(), parameters: json!({}) };
        let options = RunOptions {
            tools: vec![tool],
            confirm: vec!["erase".into()],
            exclude: vec!["count".into()],
            max_rounds: Some(2),
            agent: Some("assistant".into()),
            model: Some("scripted".into()),
            max_tokens: Some(9),
            temperature: Some(0.5),
            retrieval: RetrievalWish { enabled: Some(true), passages: Some(3), sources: false },
            beginning: None,
        };
        let identity = Identity { key: Some("k1".into()), subject: "ann".into(), grants };
        Checkpoint::Begun(Box::new(Begun { agent: "assistant".into(), identity, options }))
    }

    fn every_event() -> Vec<AgentEvent> {
        let (call_id, name) = (String::from("c1"), String::from("list_tables"));
        let usage = Usage { input_tokens: 3, output_tokens: 4, context_window: Some(2048) };
        let error = Error::deadline("too slow; ask for less", Duration::from_secs(10));
        vec![
            AgentEvent::RunQueued { position: 3 },
            AgentEvent::RunStarted,
            AgentEvent::TextDelta { text: "Hello \u{1F30A}".into() },
            AgentEvent::ReasoningDelta { text: "hm".into() },
            AgentEvent::ToolCall {
                call_id: call_id.clone(),
                name: name.clone(),
                arguments: json!({"b": [1, null], "a": 1.5}),
            },
            AgentEvent::ToolCallArgs { call_id: call_id.clone(), name: name.clone(), so_far: "{\"b".into() },
            AgentEvent::ToolResult {
                call_id: call_id.clone(),
                name: name.clone(),
                content: "[]".into(),
                error: Some(Error::upstream("it failed").with(Detail::Tool("x".into()))),
                duration: Duration::from_micros(1500),
            },
            AgentEvent::ClientToolRequested {
                call_id: call_id.clone(),
                name: name.clone(),
                arguments: json!({"a": 1}),
                expires_at: Timestamp(8),
            },
            AgentEvent::ApprovalRequested {
                call_id: call_id.clone(),
                name,
                arguments: json!({}),
                digest: "ab".into(),
                expires_at: Timestamp(8),
            },
            AgentEvent::ApprovalResolved { call_id, approved: true, by: "ann".into() },
            AgentEvent::Sources(vec![Source {
                record: Some(("documents".into(), "d-00001".into())),
                section: Some("Guide › Keys".into()),
                passage: "Schlüssel are hashed.".into(),
                highlights: vec![0..10, 15..21],
                id: "s".into(),
                title: "t".into(),
                source: "u".into(),
                url: None,
                score: 0.5,
            }]),
            AgentEvent::Step { name: "plan".into() },
            AgentEvent::Diagram { mermaid: "erDiagram".into() },
            AgentEvent::Checkpoint(begun(Grants::Admin)),
            AgentEvent::Checkpoint(begun(Grants::Collections(vec![Grant {
                collection: "documents".into(),
                write: true,
            }]))),
            AgentEvent::Checkpoint(Checkpoint::Passed(Box::new(Passed {
                node: "rewrite".into(),
                next: "retrieve".into(),
                state: json!({"v": 1, "search": "tea"}),
            }))),
            AgentEvent::RunFinished { answer: answer(), usage },
            AgentEvent::RunFailed { answer: answer(), usage, error, interrupted: true },
            AgentEvent::RunStopped { answer: Answer::default(), usage: Usage::default() },
        ]
    }

    #[test]
    fn what_is_kept_comes_back() {
        for event in every_event() {
            let body = ChatBody::Run { run: RunId::new(), event, text: None };
            let back = entry(&body).decode().unwrap().expect("a kind that is known");
            assert_eq!(format!("{:?}", back.body), format!("{body:?}"));
        }
    }

    fn shown() -> Shown {
        let (call_id, name) = (String::from("c1"), String::from("erase"));
        let call = ToolUse {
            call_id: call_id.clone(),
            name: name.clone(),
            arguments: json!({"a": 1}),
            result: Some("[]".into()),
            error: Some("it failed".into()),
            duration: Some(Duration::from_micros(1500)),
        };
        let arguments = json!({"a": 1});
        let (digest, by) = (String::from("ab"), "ann".into());
        Shown {
            status: AnswerStatus::Failed,
            interrupted: true,
            failure: Some("the server ended".into()),
            steps: vec![StepTaken { name: "plan".into(), at: Timestamp(4) }],
            tools: vec![call.clone(), ToolUse { result: None, error: None, duration: None, ..call }],
            approvals: vec![CallDecided {
                call_id,
                name,
                arguments,
                digest,
                approved: true,
                by,
                at: Timestamp(5),
            }],
            sources: vec![Source {
                id: "s".into(),
                passage: "a cup of tea".into(),
                highlights: vec![2..5, 9..12],
                ..Source::default()
            }],
            diagram: Some("erDiagram".into()),
            canvas: answer().canvas,
            metrics: answer().metrics,
            reasoning: Some("hm".into()),
            usage: Usage { input_tokens: 3, output_tokens: 4, context_window: None },
        }
    }

    #[test]
    fn a_deleted_message_keeps_nothing_that_was_shown_with_it() {
        let amendment = Amendment::Imported {
            chat: ChatId::new(),
            message: Some(Seq(1)),
            role: Role::Assistant,
            content: "tea".into(),
            at: Timestamp(3),
            shown: Some(Box::new(shown())),
        };
        let body = ChatBody::Amended { amendment, by: "ann".into() };
        let kept = String::from_utf8(encode_without_words(&body).to_vec()).unwrap();
        assert!(!kept.contains("tea") && !kept.contains("erase"), "{kept}");
    }

    #[test]
    fn what_becomes_of_messages_comes_back() {
        let (message, run, chat) = (Seq(4), RunId::new(), ChatId::new());
        let imported = |message| Amendment::Imported {
            chat,
            message,
            role: Role::Assistant,
            content: "tea".into(),
            at: Timestamp(3),
            shown: message.map(|_| Box::new(shown())),
        };
        let all = [
            Amendment::Edited { message, content: "x".into() },
            Amendment::Forgotten { message, forgotten: true },
            Amendment::Deleted { message },
            Amendment::Regenerated { run, answer: message },
            Amendment::Summarized { through: message, text: "they spoke of tea".into() },
            imported(Some(message)),
            imported(None),
            Amendment::ChatDeleted,
        ];
        for amendment in all {
            let body = ChatBody::Amended { amendment, by: "ann".into() };
            let entry = entry(&body);
            let begins = matches!(body, ChatBody::Amended { amendment: Amendment::Regenerated { .. }, .. });
            assert_eq!(entry.mark, if begins { Mark::Message } else { Mark::Amendment });
            let back = entry.decode().unwrap().expect("a kind that is known");
            assert_eq!(format!("{:?}", back.body), format!("{body:?}"));
        }
    }

    #[test]
    fn a_message_keeps_its_id_and_gives_a_title() {
        let content = format!("\n  {}  \nsecond line", "ž".repeat(100));
        let body = ChatBody::UserMessage { run: RunId::new(), message_id: Some("m1".into()), content };
        let entry = entry(&body);
        assert_eq!((entry.mark, entry.message_id.as_deref()), (Mark::Message, Some("m1")));
        assert_eq!(entry.title.as_deref(), Some(&*format!("{}…", "ž".repeat(80))));
        assert_eq!(format!("{:?}", entry.decode().unwrap().unwrap().body), format!("{body:?}"));
    }

    #[test]
    fn a_delta_keeps_where_it_ends() {
        let whole = RunText::default();
        whole.push("Hello ");
        let text = Some(TextSpan { end: whole.push("world"), whole });
        let body =
            ChatBody::Run { run: RunId::new(), event: AgentEvent::TextDelta { text: "world".into() }, text };
        let entry = entry(&body);
        assert_eq!(&entry.body[..], br#"{"v":1,"kind":"text_delta","text":"world","end":11}"#);
        assert_eq!(entry.decode().unwrap().unwrap().text_end, Some(11));
        assert_eq!(entry.mark, Mark::Delta);
    }

    #[test]
    fn what_is_newer_is_skipped_and_what_is_damaged_is_an_error() {
        assert!(raw(r#"{"v":1,"kind":"telepathy","to":"you"}"#).decode().unwrap().is_none());
        assert!(raw(r#"{"v":2,"kind":"text_delta","text":7}"#).decode().unwrap().is_none());
        assert!(raw(r#"{"v":2,"kind":"run_started"}"#).decode().unwrap().is_none());
        for damaged in ["", "{", r#"{"v":1}"#, r#"{"v":1,"kind":"text_delta","text":7}"#] {
            assert!(raw(damaged).decode().is_err(), "{damaged}");
        }
    }

    #[test]
    fn numbers_that_json_does_not_have_do_not_damage_an_entry() {
        let mut odd = answer();
        odd.canvas.as_mut().expect("it has one").confidence = f64::NAN;
        let event = AgentEvent::RunFinished { answer: odd, usage: Usage::default() };
        assert!(entry(&ChatBody::Run { run: RunId::new(), event, text: None }).decode().unwrap().is_some());
    }
}
