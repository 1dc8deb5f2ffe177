//! Chats on this dialect: which frames become of a chat's events, and for whom.
//!
//! A client that sends knows one stream a chat: its last message's. It gets that run's frames and exactly one end, and
//! nothing of other runs, because an end of theirs would end its stream. A client that follows with `ChatFollow` gets
//! everything, with sequence numbers.

use std::time::{Duration, Instant};

use serde_json::Value;
use std::sync::Arc;
use tidewire_engine::event::{TextSpan, Usage};
use tidewire_engine::{
    AgentEvent, Answer, ChatBody, ChatEvent, ChatId, ChatRef, Code, Detail, Error, Result, RunId,
};

use super::spell::{self, Format};
use super::wire;
use crate::frame::Frame;

/// The least time between two chunks of a run; what comes meanwhile goes out as one.
const CHUNK_EVERY: Duration = Duration::from_millis(10);
/// Events that wait for the answer that says whose run they are. Beyond them they are another's.
const EARLY: usize = 4096;
/// With so many chats, those that rest are followed no longer.
const RESTING: usize = 64;

/// The chat that a client names: 32 hex are an id, all else is its own name for one.
pub fn chat_ref(name: &str) -> Result<ChatRef> {
    let hex = name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && let Ok(id) = name.parse() {
        return Ok(ChatRef::Id(id));
    }
    name.parse().map(ChatRef::Session).map_err(|_| {
        Error::invalid("a chat_id is 32 hex, or a name of 1 to 128 of the characters A-Z a-z 0-9 . _ -")
            .with(Detail::Field("chat_id".into()))
    })
}

/// The same for a socket, where 32 hex may also be the name that a client, or the server for it, gave to a chat.
pub fn any_chat(name: &str) -> Result<ChatRef> {
    match chat_ref(name)? {
        ChatRef::Id(_) => name.parse().map(ChatRef::Known),
        other => Ok(other),
    }
}

/// The chats of one connection.
#[derive(Default)]
pub struct Chats {
    known: Vec<Chat>,
}

/// One chat as the client names it.
struct Chat {
    name: String,
    id: Option<ChatId>,
    /// Its events are delivered, or will be when the command is done.
    following: bool,
    /// Everything is told, not only the client's own runs.
    full: bool,
    /// Messages of this connection that are not accepted yet.
    sends: usize,
    /// The run of this connection's last message, until it ends.
    own: Option<RunId>,
    /// Names of tools that this connection has registered.
    tools: Vec<String>,
    /// Why it could not be followed; told instead of what the message after it did.
    unfollowed: Option<Error>,
    early: Vec<Arc<ChatEvent>>,
    runs: Vec<RunView>,
}

/// A run as this client has been told of it.
struct RunView {
    run: RunId,
    /// Bytes of its text that went out or wait.
    shown: usize,
    calls: Vec<wire::ToolCallRecord>,
    pending: Option<Pending>,
    next_chunk: Option<Instant>,
}

/// Text that waits for the next chunk.
struct Pending {
    text: String,
    replace: bool,
    seq: u64,
}

impl Chats {
    /// How many are known.
    #[cfg(test)]
    pub(in crate::live_data) fn len(&self) -> usize {
        self.known.len()
    }

    fn find(&mut self, name: &str) -> Option<&mut Chat> {
        self.known.iter_mut().find(|chat| chat.name == name)
    }

    fn entry(&mut self, name: &str) -> &mut Chat {
        let place = self.known.iter().position(|chat| chat.name == name);
        let place = place.unwrap_or_else(|| {
            self.known.push(Chat::new(name));
            self.known.len() - 1
        });
        &mut self.known[place]
    }

    /// The chat is needed: whether it has to be followed first.
    pub fn needs_following(&mut self, name: &str) -> bool {
        let chat = self.entry(name);
        !std::mem::replace(&mut chat.following, true)
    }

    /// A chat that rests and need not be followed any longer, if there are many. It is forgotten.
    pub fn retire(&mut self, but: &str) -> Option<String> {
        if self.known.len() < RESTING {
            return None;
        }
        let place = self.known.iter().position(|chat| chat.rests() && chat.name != but)?;
        let chat = self.known.remove(place);
        chat.following.then_some(chat.name)
    }

    /// The client wants to be told of everything.
    pub fn follow_fully(&mut self, name: &str) {
        let chat = self.entry(name);
        chat.following = true;
        chat.full = true;
        chat.runs.clear();
    }

    /// It is followed, as this chat.
    pub fn followed(&mut self, name: &str, id: ChatId) {
        if let Some(chat) = self.find(name) {
            chat.id = Some(id);
        }
    }

    /// It could not be followed.
    pub fn not_followed(&mut self, name: &str, error: Error) {
        if let Some(chat) = self.find(name) {
            chat.following = false;
            chat.full = false;
            chat.unfollowed = Some(error);
        }
    }

    /// Forgets a chat that is not followed and in which nothing is under way.
    pub fn forget_resting(&mut self, name: &str) {
        self.known.retain(|chat| chat.name != name || chat.following || !chat.rests());
    }

    /// Why it could not be followed, once.
    pub fn take_unfollowed(&mut self, name: &str) -> Option<Error> {
        self.find(name)?.unfollowed.take()
    }

    /// The client says something: what its earlier message still gives is not for this stream.
    pub fn sending(&mut self, name: &str) {
        let chat = self.entry(name);
        chat.sends += 1;
        chat.own = None;
    }

    /// It was accepted, or not. An error ends the stream, if this was the last message.
    pub fn sent(
        &mut self,
        name: &str,
        outcome: std::result::Result<RunId, &Error>,
        format: Format,
        now: Instant,
        out: &mut Vec<Frame>,
    ) {
        let unfollowed = self.take_unfollowed(name);
        let Some(chat) = self.find(name) else { return };
        chat.sends = chat.sends.saturating_sub(1);
        if chat.sends > 0 {
            return;
        }
        let early = std::mem::take(&mut chat.early);
        match (outcome, &unfollowed) {
            (Ok(run), None) => {
                chat.own = Some(run);
                for event in early.iter().filter(|event| run_of(&event.body) == Some(run)) {
                    chat.event(event, format, now, out);
                }
            }
            (Ok(_), Some(error)) | (Err(error), _) => out.push(stream_error(name, error, None, format)),
        }
    }

    /// The client brings these tools.
    pub fn registered(&mut self, name: &str, tools: Vec<String>) {
        self.entry(name).tools = tools;
    }

    /// Something happened in a chat.
    pub fn event(&mut self, event: &Arc<ChatEvent>, format: Format, now: Instant, out: &mut Vec<Frame>) {
        for chat in self.known.iter_mut().filter(|chat| chat.id == Some(event.chat)) {
            chat.hear(event, format, now, out);
        }
    }

    /// When a chunk that waits is to go out.
    pub fn deadline(&self) -> Option<Instant> {
        let runs = self.known.iter().flat_map(|chat| &chat.runs);
        runs.filter(|run| run.pending.is_some()).filter_map(|run| run.next_chunk).min()
    }

    /// The deadline may have passed.
    pub fn tick(&mut self, format: Format, now: Instant, out: &mut Vec<Frame>) {
        for chat in &mut self.known {
            for run in chat.runs.iter_mut().filter(|run| run.next_chunk.is_some_and(|at| at <= now)) {
                run.flush(&chat.name, format, now, out);
            }
        }
    }
}

fn run_of(body: &ChatBody) -> Option<RunId> {
    match body {
        ChatBody::UserMessage { run, .. } | ChatBody::Run { run, .. } => Some(*run),
        ChatBody::Amended { .. } => None,
    }
}

impl Chat {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: None,
            following: false,
            full: false,
            sends: 0,
            own: None,
            tools: Vec::new(),
            unfollowed: None,
            early: Vec::new(),
            runs: Vec::new(),
        }
    }

    fn rests(&self) -> bool {
        !self.full && self.sends == 0 && self.own.is_none() && self.tools.is_empty()
    }

    fn hear(&mut self, event: &Arc<ChatEvent>, format: Format, now: Instant, out: &mut Vec<Frame>) {
        let run = run_of(&event.body);
        if self.full || (run.is_some() && run == self.own) {
            self.event(event, format, now, out);
        } else if self.sends > 0 && self.early.len() < EARLY {
            self.early.push(Arc::clone(event));
        } else if let ChatBody::Run {
            event: AgentEvent::ClientToolRequested { call_id, name, arguments, .. },
            ..
        } = &event.body
            && self.tools.contains(name)
        {
            out.push(self.tool_call(event, call_id, name, arguments, format));
        }
    }

    fn event(&mut self, event: &ChatEvent, format: Format, now: Instant, out: &mut Vec<Frame>) {
        match &event.body {
            ChatBody::UserMessage { content, .. } => {
                if self.full {
                    out.push(self.user_message(event, content, format));
                }
            }
            // What was said before is read over HTTP.
            ChatBody::Amended { .. } => {}
            ChatBody::Run { run, event: AgentEvent::TextDelta { text }, text: span } => {
                let full = self.full;
                let view = view(&mut self.runs, *run);
                view.delta(text, span.as_ref(), full, event.to.0);
                if view.next_chunk.is_none_or(|at| at <= now) {
                    view.flush(&self.name, format, now, out);
                }
            }
            ChatBody::Run { run, event: agent_event, .. } => {
                view(&mut self.runs, *run).flush(&self.name, format, now, out);
                self.run_event(event, *run, agent_event, format, out);
            }
        }
    }

    fn run_event(
        &mut self,
        event: &ChatEvent,
        run: RunId,
        agent_event: &AgentEvent,
        format: Format,
        out: &mut Vec<Frame>,
    ) {
        match agent_event {
            AgentEvent::ToolCall { call_id, name, arguments } => {
                view(&mut self.runs, run).calls.push(wire::ToolCallRecord {
                    call_id: call_id.clone(),
                    tool_name: name.clone(),
                    arguments: arguments.clone(),
                    ..wire::ToolCallRecord::default()
                });
            }
            AgentEvent::ToolResult { call_id, content, error, .. } => {
                let calls = &mut view(&mut self.runs, run).calls;
                if let Some(call) = calls.iter_mut().rfind(|call| call.call_id == *call_id) {
                    call.result =
                        Some(serde_json::from_str(content).unwrap_or_else(|_| content.clone().into()));
                    call.error = error.as_ref().map(|error| error.message.to_string());
                }
            }
            AgentEvent::ClientToolRequested { call_id, name, arguments, .. }
            | AgentEvent::ApprovalRequested { call_id, name, arguments, .. } => {
                out.push(self.tool_call(event, call_id, name, arguments, format));
            }
            AgentEvent::RunFinished { answer, usage } => {
                self.end(event, run, answer, *usage, wire::StreamStatus::Finished, format, out);
            }
            AgentEvent::RunStopped { answer, usage } => {
                self.end(event, run, answer, *usage, wire::StreamStatus::Stopped, format, out);
            }
            AgentEvent::RunFailed { error, .. } => {
                self.forget(run);
                out.push(stream_error(&self.name, error, Some(event.to.0), format));
            }
            // What is shown beside the text belongs to other dialects.
            AgentEvent::RunQueued { .. }
            | AgentEvent::RunStarted
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCallArgs { .. }
            | AgentEvent::Sources(_)
            | AgentEvent::Step { .. }
            | AgentEvent::Checkpoint(_)
            | AgentEvent::Diagram { .. } => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what an end is made of")]
    fn end(
        &mut self,
        event: &ChatEvent,
        run: RunId,
        answer: &Answer,
        usage: Usage,
        status: wire::StreamStatus,
        format: Format,
        out: &mut Vec<Frame>,
    ) {
        let view = self.forget(run);
        if !self.full
            && let Some(rest) = view.rest(&answer.text, event)
        {
            let seq = Some(event.to.0);
            let chunk =
                wire::ChatStreamChunk { chat_id: self.name.clone(), content: rest, replace: None, seq };
            out.push(spell::message(&wire::ServerMessage::ChatStreamChunk(chunk), format));
        }
        let end = wire::ChatStreamEnd {
            chat_id: self.name.clone(),
            message_id: event.to.to_string(),
            execution_time_ms: milliseconds(event, run),
            token_usage: Some(spell::usage(usage)),
            tool_call_history: Some(view.calls),
            context_window: usage.context_window.map(|window| window.min(u32::MAX.into())),
            status: Some(status),
            content: self.full.then(|| answer.text.clone()),
            seq: Some(event.to.0),
        };
        out.push(spell::message(&wire::ServerMessage::ChatStreamEnd(end), format));
    }

    /// The run is over.
    fn forget(&mut self, run: RunId) -> RunView {
        if self.own == Some(run) {
            self.own = None;
        }
        let place = self.runs.iter().position(|view| view.run == run);
        place.map_or_else(|| RunView::new(run), |place| self.runs.remove(place))
    }

    fn user_message(&self, event: &ChatEvent, content: &str, format: Format) -> Frame {
        let said = wire::ChatUserMessage {
            chat_id: self.name.clone(),
            message_id: event.to.to_string(),
            content: content.to_owned(),
            timestamp: event.at.to_rfc3339(),
            seq: Some(event.to.0),
        };
        spell::message(&wire::ServerMessage::ChatUserMessage(said), format)
    }

    fn tool_call(
        &self,
        event: &ChatEvent,
        call_id: &str,
        name: &str,
        arguments: &Value,
        format: Format,
    ) -> Frame {
        let call = wire::ClientToolCall {
            chat_id: self.name.clone(),
            call_id: call_id.to_owned(),
            tool_name: name.to_owned(),
            arguments: arguments.clone(),
            seq: Some(event.to.0),
        };
        spell::message(&wire::ServerMessage::ClientToolCall(call), format)
    }
}

fn view(runs: &mut Vec<RunView>, run: RunId) -> &mut RunView {
    let place = runs.iter().position(|view| view.run == run);
    let place = place.unwrap_or_else(|| {
        runs.push(RunView::new(run));
        runs.len() - 1
    });
    &mut runs[place]
}

impl RunView {
    fn new(run: RunId) -> Self {
        Self { run, shown: 0, calls: Vec::new(), pending: None, next_chunk: None }
    }

    /// More text. Who lacks what is before it gets that too; who came in the middle gets all of it anew.
    fn delta(&mut self, text: &str, span: Option<&TextSpan>, full: bool, seq: u64) {
        let end = span.map_or(self.shown + text.len(), |span| span.end);
        if end <= self.shown {
            return;
        }
        let missing = span.filter(|_| self.shown + text.len() != end);
        let (text, replace) = match missing {
            None => (text.to_owned(), false),
            Some(span) if full => (span.so_far(), true),
            Some(span) => (span.so_far().get(self.shown..).unwrap_or(text).to_owned(), false),
        };
        self.shown = end;
        match &mut self.pending {
            Some(pending) if !replace => {
                pending.text.push_str(&text);
                pending.seq = seq;
            }
            Some(_) | None => self.pending = Some(Pending { text, replace, seq }),
        }
    }

    fn flush(&mut self, name: &str, format: Format, now: Instant, out: &mut Vec<Frame>) {
        let Some(pending) = self.pending.take() else { return };
        self.next_chunk = Some(now + CHUNK_EVERY);
        let chunk = wire::ChatStreamChunk {
            chat_id: name.to_owned(),
            content: pending.text,
            replace: pending.replace.then_some(true),
            seq: Some(pending.seq),
        };
        out.push(spell::message(&wire::ServerMessage::ChatStreamChunk(chunk), format));
    }

    /// The part of the whole text that never came as a delta: the agent gave none, or the log had folded them when
    /// they were read.
    fn rest(&self, whole: &str, end: &ChatEvent) -> Option<String> {
        let folded = end.from < end.to;
        let lacks = self.shown < whole.len() && (self.shown == 0 || folded);
        lacks.then(|| whole.get(self.shown..).unwrap_or_default().to_owned()).filter(|rest| !rest.is_empty())
    }
}

/// From the run's birth, which its id tells, to the event.
pub(super) fn milliseconds(event: &ChatEvent, run: RunId) -> u64 {
    let [a, b, c, d, e, f, ..] = *run.as_bytes();
    let born = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    u64::try_from(event.at.0 / 1000).unwrap_or_default().saturating_sub(born)
}

/// A failure in a chat, which ends the client's stream.
pub fn stream_error(name: &str, error: &Error, seq: Option<u64>, format: Format) -> Frame {
    let failed = wire::ChatStreamError {
        chat_id: name.to_owned(),
        error: error.message.to_string(),
        error_kind: error_kind(error).map(str::to_owned),
        provider: None,
        provider_status: None,
        retry_after_secs: retry_after_s(error),
        code: Some(error.code.http_status().into()),
        seq,
    };
    spell::message(&wire::ServerMessage::ChatStreamError(failed), format)
}

/// When to come back, in seconds, if the error says it.
pub(super) fn retry_after_s(error: &Error) -> Option<u64> {
    match error.detail {
        Detail::RetryAfter(after) => Some(after.as_secs().max(1)),
        Detail::None | Detail::Field(_) | Detail::Timeout(_) | Detail::Tool(_) => None,
    }
}

/// What kind of provider's failure it is, if it is one.
pub(super) fn error_kind(error: &Error) -> Option<&'static str> {
    match error.code {
        Code::RateLimited => Some("provider_rate_limited"),
        Code::Upstream | Code::Unavailable => Some("provider_unavailable"),
        Code::Invalid
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::Conflict
        | Code::TooLarge
        | Code::Cancelled
        | Code::Internal
        | Code::Unimplemented
        | Code::Draining
        | Code::Deadline => None,
    }
}

#[cfg(test)]
#[path = "chats_tests.rs"]
mod tests;
