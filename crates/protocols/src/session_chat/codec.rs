//! The conversation: what a client's frames ask for, and in which of the two ways it is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::RunOptions;
use tidewire_engine::event::TextSpan;
use tidewire_engine::{
    AgentEvent, ChatBody, ChatEvent, ChatRef, Code, Command, Detail, Epoch, Error, Event, Position, Reply,
    RunId, Seq, SessionId,
};

use super::spell;
use super::wire::{ClientMessage, DecodeError, Partials};
use crate::frame::{Frame, Incoming};
use crate::session::{Session, Step, Ticket};
use crate::snapshots::Snapshots;

/// How often the JSON ping goes out, once the client has spoken.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Messages that wait in one chat while a run goes on.
const QUEUE: usize = 20;
/// The longest message id in bytes.
const MAX_MESSAGE_ID: usize = 128;

/// What an `agent_partial` with a delta costs beside its text.
const ENVELOPE: usize = 88;

/// How the growing answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Cumulative snapshots, as clients of the founding documents expect.
    Snapshot,
    /// What to append, and our own frames beside it.
    Delta,
}

/// What was asked, until it is answered.
enum Asked {
    /// To follow, after this sequence number if one was named.
    Follow { resume: bool },
    /// To say something.
    Send { message_id: Option<String> },
    /// To stop.
    Stop,
    /// To agree to a call, or to refuse it.
    Decide,
}

/// One client's session chat.
pub struct SessionChat {
    session: SessionId,
    mode: Mode,
    following: bool,
    next_ping: Option<Instant>,
    next_ticket: u64,
    asked: BTreeMap<Ticket, Asked>,
    /// Snapshot mode: the run whose text grows.
    snapshots: Option<Snapshots>,
    /// Delta mode: the run whose text grows, and how much of it this client has.
    shown: Option<(RunId, usize)>,
}

impl SessionChat {
    /// A conversation in which nobody has spoken yet.
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            mode: Mode::Snapshot,
            following: false,
            next_ping: None,
            next_ticket: 0,
            asked: BTreeMap::new(),
            snapshots: None,
            shown: None,
        }
    }

    fn chat(&self) -> ChatRef {
        ChatRef::Session(self.session.clone())
    }

    fn ask(&mut self, step: &mut Step, asked: Asked, command: Command) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.insert(ticket, asked);
        step.commands.push((ticket, command));
    }

    /// Follows the chat if that was not done yet, or anew from a position that the client names.
    fn follow(&mut self, step: &mut Step, after: Option<Position>) {
        if self.following && after.is_none() {
            return;
        }
        self.following = true;
        self.shown = None;
        self.snapshots = None;
        let command = Command::FollowChat { chat: self.chat(), after };
        self.ask(step, Asked::Follow { resume: after.is_some() }, command);
    }

    fn understand(&mut self, message: ClientMessage) -> Step {
        let mut step = Step::default();
        match message {
            ClientMessage::SendMessage(m) => {
                self.set_mode(m.partials);
                let options = RunOptions {
                    model: m.model,
                    agent: m.agent,
                    confirm: m.confirm_tools.unwrap_or_default(),
                    ..RunOptions::default()
                };
                match checked(m.content, m.message_id) {
                    Ok((content, message_id)) => {
                        self.follow(&mut step, position(m.after_seq, m.epoch));
                        self.send(&mut step, content, message_id, options);
                    }
                    Err((error, message_id)) => {
                        step.frames.push(spell::error(&error, None, message_id.as_deref()))
                    }
                }
            }
            ClientMessage::Stop(m) if !m.stop => {}
            ClientMessage::Stop(m) => {
                self.follow(&mut step, None);
                let run = m.run_id.and_then(|id| id.parse().ok());
                let command = Command::StopRun { chat: self.chat(), run };
                self.ask(&mut step, Asked::Stop, command);
            }
            ClientMessage::Resume(m) => {
                self.set_mode(m.partials);
                self.follow(&mut step, position(Some(m.after_seq), m.epoch));
            }
            ClientMessage::Decide(m) => {
                let command =
                    Command::DecideCall { chat: self.chat(), call_id: m.call_id, approved: m.approved };
                self.ask(&mut step, Asked::Decide, command);
            }
            ClientMessage::Pong(_) => {}
            ClientMessage::Unknown { .. } => step.frames.push(spell::error(&empty_message(), None, None)),
        }
        step
    }

    fn set_mode(&mut self, partials: Option<Partials>) {
        match partials {
            Some(Partials::Delta) => self.mode = Mode::Delta,
            Some(Partials::Snapshot) => self.mode = Mode::Snapshot,
            Some(Partials::Unknown(_)) | None => {}
        }
    }

    fn send(&mut self, step: &mut Step, content: String, message_id: Option<String>, options: RunOptions) {
        let command = Command::SendMessage {
            chat: self.chat(),
            message_id: message_id.clone(),
            content,
            while_running: WhileRunning::Queue(QUEUE),
            options,
        };
        self.ask(step, Asked::Send { message_id }, command);
    }

    fn chat_event(&mut self, event: &Arc<ChatEvent>, now: Instant, out: &mut Vec<Frame>) {
        match (&event.body, self.mode) {
            (ChatBody::Run { run, event: AgentEvent::TextDelta { text }, text: span }, Mode::Delta) => {
                let ends_at = span.as_ref().map_or(text.len(), |span| span.end);
                self.delta(event, *run, text.len(), ends_at, span.as_ref(), out);
            }
            (ChatBody::Run { run, event: AgentEvent::TextDelta { text }, text: span }, Mode::Snapshot) => {
                let ends_at = span.as_ref().map_or(text.len(), |span| span.end);
                self.snapshot(event, *run, text.len(), ends_at, now, out);
            }
            (_, Mode::Delta) => out.extend_from_slice(&spell::delta(event)),
            (_, Mode::Snapshot) => {
                // What waits is older than this event, and an end replaces it anyway.
                if ends_run(&event.body) {
                    self.snapshots = None;
                }
                out.extend_from_slice(&spell::snapshot(event));
            }
        }
    }

    /// A delta is only good for who has everything before it; anybody else gets the whole text so far.
    fn delta(
        &mut self,
        event: &Arc<ChatEvent>,
        run: RunId,
        len: usize,
        ends_at: usize,
        span: Option<&TextSpan>,
        out: &mut Vec<Frame>,
    ) {
        let has = self.shown.filter(|(shown, _)| *shown == run).map_or(0, |(_, has)| has);
        match span {
            Some(span) if has + len != ends_at => out.push(spell::whole_text(event, run, &span.so_far())),
            Some(_) | None => out.extend_from_slice(&spell::delta(event)),
        }
        self.shown = Some((run, ends_at));
    }

    fn snapshot(
        &mut self,
        event: &Arc<ChatEvent>,
        run: RunId,
        len: usize,
        ends_at: usize,
        now: Instant,
        out: &mut Vec<Frame>,
    ) {
        let mut snapshots = self
            .snapshots
            .take()
            .filter(|kept| kept.run() == run)
            .unwrap_or_else(|| Snapshots::new(run, ENVELOPE, now));
        snapshots.push(Arc::clone(event), len, ends_at);
        if let Some(due) = snapshots.take_due(now) {
            out.extend_from_slice(&spell::snapshot(&due));
        }
        self.snapshots = Some(snapshots);
    }
}

impl Session for SessionChat {
    fn decode(&mut self, frame: Incoming<'_>, now: Instant) -> Step {
        self.next_ping.get_or_insert(now + PING_EVERY);
        let text = match frame {
            Incoming::Text(text) => text,
            Incoming::Binary(_) => {
                return refuse("this dialect takes text frames; send JSON as text", "frame");
            }
        };
        match ClientMessage::decode(text) {
            Ok(message) => self.understand(message),
            Err(DecodeError::NotJson(_)) => refuse("Invalid JSON format", "frame"),
            Err(DecodeError::Body { .. }) => refuse_member(text),
        }
    }

    fn reply(&mut self, ticket: Ticket, result: Result<Reply, Error>, _now: Instant, out: &mut Vec<Frame>) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        match (asked, result) {
            (Asked::Follow { resume: true }, Ok(Reply::Following { chat, epoch, last_seq, reset, run }))
                if self.mode == Mode::Delta =>
            {
                out.push(spell::ready(&self.session, chat, epoch, last_seq, reset, run));
            }
            (_, Ok(Reply::Accepted { duplicate: Some(message), .. })) => {
                out.extend_from_slice(&spell::delta(&message));
            }
            (Asked::Decide, Ok(Reply::Answered(false))) => out.push(spell::error(&too_late(), None, None)),
            (_, Ok(_)) => {}
            (Asked::Follow { .. }, Err(error)) => {
                self.following = false;
                out.push(spell::error(&error, None, None));
            }
            (Asked::Send { message_id }, Err(error)) => {
                out.push(spell::error(&error, None, message_id.as_deref()))
            }
            (Asked::Stop | Asked::Decide, Err(error)) => out.push(spell::error(&error, None, None)),
        }
    }

    fn event(&mut self, event: &Event, now: Instant, out: &mut Vec<Frame>) {
        match event {
            Event::Chat(event) => self.chat_event(event, now, out),
            // Nothing in this dialect asks for them.
            Event::Data(_) | Event::Completion { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let partial = self.snapshots.as_ref().and_then(Snapshots::deadline);
        [partial, self.next_ping].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Frame>) {
        if let Some(due) = self.snapshots.as_mut().and_then(|snapshots| snapshots.take_due(now)) {
            out.extend_from_slice(&spell::snapshot(&due));
        }
        if self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = Some(now + PING_EVERY);
            out.push(spell::ping());
        }
    }
}

fn ends_run(body: &ChatBody) -> bool {
    matches!(body, ChatBody::Run { event, .. } if event.is_end())
}

fn position(after_seq: Option<u64>, epoch: Option<u64>) -> Option<Position> {
    Some(Position { epoch: epoch.map(Epoch), seq: Seq(after_seq?) })
}

type Refused = (Error, Option<String>);

fn checked(content: String, message_id: Option<String>) -> Result<(String, Option<String>), Refused> {
    if message_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_MESSAGE_ID) {
        let error = Error::invalid("message_id takes 1 to 128 bytes; send a UUID");
        return Err((error.with(Detail::Field("message_id".into())), None));
    }
    if content.trim().is_empty() {
        return Err((empty_message(), message_id));
    }
    Ok((content, message_id))
}

fn empty_message() -> Error {
    Error::invalid("Empty message").with(Detail::Field("content".into()))
}

fn too_late() -> Error {
    Error::new(Code::Conflict, "This call does not wait any more: it was decided, or its time is over")
        .with(Detail::Field("call_id".into()))
}

fn refuse(message: impl Into<std::borrow::Cow<'static, str>>, field: &str) -> Step {
    let error = Error::invalid(message).with(Detail::Field(field.to_owned()));
    Step { frames: vec![spell::error(&error, None, None)], commands: Vec::new() }
}

/// The frame is one of ours, but a member of it is of the wrong type: says which.
fn refuse_member(text: &str) -> Step {
    let members: Value = serde_json::from_str(text).unwrap_or_default();
    let wrong = MEMBERS.iter().find(|(name, _, fits)| members.get(name).is_some_and(|value| !fits(value)));
    match wrong {
        Some((name, kind, _)) => refuse(format!("{name} takes {kind}"), name),
        None => refuse("the message does not fit; see the reference of this dialect", "frame"),
    }
}

type Fits = fn(&Value) -> bool;

fn is_names(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
}

/// What members of client frames take; `null` is as good as nothing.
const MEMBERS: &[(&str, &str, Fits)] = &[
    ("content", "text", |v| v.is_string() || v.is_null()),
    ("message_id", "text", |v| v.is_string() || v.is_null()),
    ("run_id", "text", |v| v.is_string() || v.is_null()),
    ("after_seq", "a whole number from 0 on", |v| v.is_u64() || v.is_null()),
    ("epoch", "a whole number from 0 on", |v| v.is_u64() || v.is_null()),
    ("partials", "\"snapshot\" or \"delta\"", |v| v.is_string() || v.is_null()),
    ("stop", "true", |v| v.is_boolean() || v.is_null()),
    ("model", "text", |v| v.is_string() || v.is_null()),
    ("agent", "text", |v| v.is_string() || v.is_null()),
    ("confirm_tools", "an array of names", |v| v.is_null() || is_names(v)),
    ("call_id", "text", Value::is_string),
    ("approved", "true or false", Value::is_boolean),
];

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
