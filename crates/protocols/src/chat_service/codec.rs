//! The conversation: which commands follow from a frame, and what their replies mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use tidewire_engine::{
    ChatBody, ChatEvent, ChatRef, Code, Command, Detail, Epoch, Error, Event, Identity, Position, RecordId,
    Reply, Seq, SessionId,
};

use super::check::{self, Kind};
use super::followed::{Followed, Style};
use super::request::{self, Manner};
use super::spell::{self, About};
use super::wire::{self, ClientMessage};
use crate::frame::{Frame, Incoming};
use crate::session::{Session, Step, Ticket};

/// The largest frame in bytes that is taken.
const MAX_FRAME: usize = 1024 * 1024;

/// Chats that one socket follows before those that rest are let go.
const FOLLOWED: usize = 64;

/// What the address says of the first request.
enum Expected {
    /// Nothing, or it was fulfilled.
    Anything,
    /// It is this.
    Kind(Kind),
    /// Something that is no kind of request.
    Nonsense,
}

/// What was asked, until it is answered.
enum Asked {
    /// To say something.
    Send(Sent),
    /// To follow.
    Follow { about: About, after: Seq, followed: Wanted },
    /// To stop.
    Stop(About),
    /// To answer a call.
    Call(About),
    /// To follow no longer; nobody waits for it.
    Unfollow,
}

/// Something that was said, until it is accepted.
struct Sent {
    about: About,
    content: String,
    /// To follow under this ticket, if the chat was not followed.
    then: Option<Ticket>,
    /// How a chat that was followed already was told before.
    before: Option<(SessionId, Style)>,
}

/// A chat as it is to be followed.
struct Wanted {
    name: SessionId,
    style: Style,
    from_message: Option<String>,
}

/// A request that is not done, and what to say about it.
struct Refused {
    frame: Frame,
    about: About,
    /// Whether an answer was asked for, so that an `end` follows.
    ends: bool,
}

/// One client's socket.
pub struct ChatService {
    /// In whose name it is; `None` where nobody has a name, and a `userId` is a label.
    subject: Option<Arc<str>>,
    expected: Expected,
    next_ticket: u64,
    asked: BTreeMap<Ticket, Asked>,
    chats: Vec<Followed>,
}

impl ChatService {
    /// A conversation in which nobody has spoken yet; `wish` is what the address says of the first request.
    pub fn new(asker: &Identity, wish: Option<&str>) -> Self {
        let expected = match wish.map(Kind::from_name) {
            None => Expected::Anything,
            Some(Some(kind)) if kind.is_answered() => Expected::Kind(kind),
            Some(_) => Expected::Nonsense,
        };
        Self {
            subject: asker.key.as_ref().map(|_| Arc::clone(&asker.subject.0)),
            expected,
            next_ticket: 0,
            asked: BTreeMap::new(),
            chats: Vec::new(),
        }
    }

    fn read(&mut self, text: &str) -> Result<Step, Refused> {
        if text.len() > MAX_FRAME {
            let sentence =
                format!("the frame has {} bytes; at most {MAX_FRAME} are taken, so send less", text.len());
            return Err(self.unread(&Error::new(Code::TooLarge, sentence)));
        }
        let mut members = match serde_json::from_str(text) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(self.unread(&about_frame("a frame is a JSON object; send one with a type"))),
            Err(error) => {
                let sentence =
                    format!("the frame is not JSON (line {}, column {})", error.line(), error.column());
                return Err(self.unread(&about_frame(sentence)));
            }
        };
        let kind = self.kind(&members)?;
        let about = about(&members);
        let wrong = check::request(kind, &members);
        if !wrong.is_empty() {
            return Err(Refused { frame: spell::wrong(wrong, &about), about, ends: kind.is_answered() });
        }
        self.check_user(kind, &members, &about)?;
        members.entry("type").or_insert_with(|| kind.name().into());
        if kind.is_answered() {
            self.expected = Expected::Anything;
        }
        let message = match ClientMessage::decode(&Value::Object(members).to_string()) {
            Ok(message) => message,
            Err(error) => {
                let error = about_frame(format!("the message does not fit: {error}"));
                return Err(refused(&error, about, kind));
            }
        };
        self.understand(message, &about).map_err(|error| refused(&error, about, kind))
    }

    /// What kind of request it is: as it says itself, or as the address says.
    fn kind(&self, members: &Map<String, Value>) -> Result<Kind, Refused> {
        let said = match members.get("type") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if let Some(kind) = Kind::from_name(name) => Some(kind),
            Some(_) => {
                let sentence = "type takes new_chat, resume_chat, stop, tool_result, approve or ping";
                return Err(self.unread(&wrong_type(sentence)));
            }
        };
        if said.is_some_and(|kind| !kind.is_answered()) {
            return Ok(said.unwrap_or(Kind::NewChat));
        }
        match (&self.expected, said) {
            (Expected::Nonsense, _) => {
                let error = wrong_type("the address takes type=new_chat or type=resume_chat; connect again");
                Err(refused(&error, about(members), Kind::NewChat))
            }
            (Expected::Kind(expected), Some(said)) if *expected != said => {
                let sentence = format!(
                    "the address says type={} and the frame {}; say the same in both, or leave it out of the address",
                    expected.name(),
                    said.name()
                );
                Err(refused(&wrong_type(sentence), about(members), said))
            }
            (Expected::Kind(expected), None) => Ok(*expected),
            (_, said) => Ok(said.unwrap_or(Kind::NewChat)),
        }
    }

    /// A `userId` is the subject itself, where the asker has one.
    fn check_user(&self, kind: Kind, members: &Map<String, Value>, about: &About) -> Result<(), Refused> {
        let named = members.get("userId").and_then(Value::as_str);
        match (&self.subject, named) {
            (Some(subject), Some(named)) if **subject != *named => {
                let error = Error::forbidden(format!("userId is {subject:?} for this key; send that"))
                    .with(Detail::Field("userId".into()));
                Err(refused(&error, about.clone(), kind))
            }
            _ => Ok(()),
        }
    }

    /// A frame of which nobody knows what it asks for. An `end` would be taken for that of an answer that goes on.
    fn unread(&self, error: &Error) -> Refused {
        let busy = !self.asked.is_empty() || self.chats.iter().any(Followed::is_open);
        Refused { frame: spell::refused(error, &About::default()), about: About::default(), ends: !busy }
    }

    fn understand(&mut self, message: ClientMessage, about: &About) -> Result<Step, Error> {
        let mut step = Step::default();
        match message {
            ClientMessage::NewChat(m) => self.new_chat(&mut step, m)?,
            ClientMessage::ResumeChat(m) => self.resume_chat(&mut step, m)?,
            ClientMessage::Stop(m) => {
                let command = Command::StopRun { chat: known(&m.run_id)?, run: None };
                self.ask(&mut step, Asked::Stop(about.clone()), command);
            }
            ClientMessage::ToolResult(m) => {
                let answer = request::answer(m.result, m.error, m.working);
                let command = Command::AnswerTool { chat: known(&m.run_id)?, call_id: m.call_id, answer };
                self.ask(&mut step, Asked::Call(about.clone()), command);
            }
            ClientMessage::Approve(m) => {
                let wire::Approve { run_id, call_id, approved } = m;
                let command = Command::DecideCall { chat: known(&run_id)?, call_id, approved };
                self.ask(&mut step, Asked::Call(about.clone()), command);
            }
            ClientMessage::Ping(_) => step.frames.push(spell::pong()),
            ClientMessage::Unknown { .. } => return Err(wrong_type("this type is not known here")),
        }
        Ok(step)
    }

    fn ask(&mut self, step: &mut Step, asked: Asked, command: Command) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.insert(ticket, asked);
        step.commands.push((ticket, command));
        ticket
    }

    /// The name is the first message's id too, so that the same request is not answered twice.
    fn new_chat(&mut self, step: &mut Step, m: wire::NewChat) -> Result<(), Error> {
        let wire::NewChat { messages, options, run_id, stream, partials, while_running, tools, .. } = m;
        let name: SessionId = run_id.unwrap_or_else(|| RecordId::new().0).parse()?;
        let manner = Manner { stream, partials, while_running, options, tools };
        let (content, beginning) = request::split(messages);
        let style = Style::of(&manner);
        let message_id = name.to_string();
        let command = Command::SendMessage {
            chat: ChatRef::Session(name.clone()),
            message_id: Some(message_id.clone()),
            content: content.clone(),
            while_running: manner.while_running(),
            options: manner.into_options(beginning),
        };
        let about = About { run_id: Some(name.to_string()), ..About::default() };
        let follow = Wanted { name, style, from_message: Some(message_id) };
        let sent = Sent { about, content, then: None, before: None };
        self.send_and_follow(step, sent, command, Some((follow, None)));
        Ok(())
    }

    fn resume_chat(&mut self, step: &mut Step, m: wire::ResumeChat) -> Result<(), Error> {
        let wire::ResumeChat { run_id, new_message, after_seq, epoch, .. } = m;
        let name: SessionId = run_id.parse()?;
        let manner = Manner {
            stream: m.stream,
            partials: m.partials,
            while_running: m.while_running,
            options: m.options,
            tools: m.tools,
        };
        let style = Style::of(&manner);
        let after = after_seq.map(|seq| Position { epoch: epoch.map(Epoch), seq: Seq(seq) });
        let about = About { run_id: Some(run_id), ..About::default() };
        let Some(message) = new_message else {
            self.follow(step, about, Wanted { name, style, from_message: None }, after);
            return Ok(());
        };
        let about = About { message_id: message.id.clone(), ..about };
        let message_id = message.id.unwrap_or_else(|| RecordId::new().0);
        let command = Command::SendMessage {
            chat: ChatRef::Known(name.clone()),
            message_id: Some(message_id.clone()),
            content: message.content.clone(),
            while_running: manner.while_running(),
            options: manner.into_options(None),
        };
        // Who says where it was gets what was missed.
        let before = if after.is_none() { self.restyle(&name, style) } else { None };
        let follow = before.is_none().then(|| {
            // Anybody else gets the answer alone.
            let from_message = after.is_none().then_some(message_id);
            (Wanted { name: name.clone(), style, from_message }, after)
        });
        let before = before.map(|before| (name, before));
        self.send_and_follow(
            step,
            Sent { about, content: message.content, then: None, before },
            command,
            follow,
        );
        Ok(())
    }

    /// A chat that is followed goes on in another style. Gives the one that it had.
    fn restyle(&mut self, name: &SessionId, style: Style) -> Option<Style> {
        let chat = self.chats.iter_mut().find(|chat| chat.name == *name)?;
        Some(std::mem::replace(&mut chat.style, style))
    }

    /// The message goes first, so that the following finds it in the log.
    fn send_and_follow(
        &mut self,
        step: &mut Step,
        sent: Sent,
        command: Command,
        follow: Option<(Wanted, Option<Position>)>,
    ) {
        let about = sent.about.clone();
        let sent = self.ask(step, Asked::Send(sent), command);
        if let Some((followed, after)) = follow {
            let following = self.follow(step, about, followed, after);
            if let Some(Asked::Send(Sent { then, .. })) = self.asked.get_mut(&sent) {
                *then = Some(following);
            }
        }
    }

    fn follow(&mut self, step: &mut Step, about: About, followed: Wanted, after: Option<Position>) -> Ticket {
        self.make_room(step, &followed.name);
        let after = after.unwrap_or_default();
        let chat = ChatRef::Known(followed.name.clone());
        let asked = Asked::Follow { about, after: after.seq, followed };
        self.ask(step, asked, Command::FollowChat { chat, after: Some(after) })
    }

    /// A socket follows a limited number of chats; one in which nothing goes on makes room.
    fn make_room(&mut self, step: &mut Step, but: &SessionId) {
        if self.chats.len() < FOLLOWED {
            return;
        }
        let Some(place) = self.chats.iter().position(|chat| !chat.is_open() && chat.name != *but) else {
            return;
        };
        let chat = ChatRef::Id(self.chats.remove(place).chat);
        self.ask(step, Asked::Unfollow, Command::UnfollowChat { chat });
    }

    /// The message was accepted, now or earlier.
    fn accepted(&mut self, sent: Sent, duplicate: Option<&ChatEvent>, out: &mut Vec<Frame>) {
        let Some(ChatEvent { body: ChatBody::UserMessage { content: earlier, .. }, .. }) = duplicate else {
            return;
        };
        if *earlier == sent.content {
            return;
        }
        let (sentence, field) = match sent.about.message_id {
            Some(_) => ("another message has this id; choose another id", "newMessage.id"),
            None => {
                ("this runId names a chat that began otherwise; choose another runId, or resume it", "runId")
            }
        };
        let error = Error::new(Code::Conflict, sentence).with(Detail::Field(field.into()));
        self.refuse_sent(&error, sent, out);
    }

    /// A message that is not taken. What would have been followed is not, and what is followed goes on as before.
    fn refuse_sent(&mut self, error: &Error, sent: Sent, out: &mut Vec<Frame>) {
        if let Some(then) = sent.then {
            self.asked.remove(&then);
        }
        if let Some((name, style)) = sent.before {
            self.restyle(&name, style);
        }
        refuse(error, &sent.about, out);
    }

    fn following(&mut self, about: &About, after: Seq, wanted: Wanted, reply: Reply, out: &mut Vec<Frame>) {
        let Reply::Following { chat, epoch, last_seq, reset, run } = reply else { return };
        let after = if reset { Seq::START } else { after };
        let Wanted { name, style, from_message } = wanted;
        if style.ours || reset {
            out.push(spell::run(&name, chat, epoch, (after, last_seq), reset, run));
        }
        let missed = after < last_seq;
        let owed = (run.is_none() && missed).then_some(last_seq);
        if run.is_none() && !missed {
            out.push(spell::end_of(about, Some(last_seq)));
        }
        // One chat is shown once, under the name that was used last.
        self.chats.retain(|followed| followed.chat != chat);
        let followed = Followed::new(name, chat, style).during(run.map(|state| state.run));
        self.chats.push(followed.since_message(from_message).owing_an_end_at(owed));
    }
}

impl Session for ChatService {
    fn decode(&mut self, frame: Incoming<'_>, _now: Instant) -> Step {
        let read = match frame {
            Incoming::Text(text) => self.read(text),
            Incoming::Binary(_) => {
                Err(self.unread(&about_frame("this dialect takes text frames; send JSON as text")))
            }
        };
        read.unwrap_or_else(|Refused { frame, about, ends }| {
            let end = ends.then(|| spell::end_of(&about, None));
            Step { frames: std::iter::once(frame).chain(end).collect(), commands: Vec::new() }
        })
    }

    fn reply(&mut self, ticket: Ticket, result: Result<Reply, Error>, _now: Instant, out: &mut Vec<Frame>) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        match (asked, result) {
            (Asked::Send(sent), Ok(Reply::Accepted { duplicate, .. })) => {
                self.accepted(sent, duplicate.as_deref(), out);
            }
            (Asked::Send(sent), Err(error)) => self.refuse_sent(&named_here(error), sent, out),
            (Asked::Follow { about, after, followed }, Ok(reply)) => {
                self.following(&about, after, followed, reply, out);
            }
            (Asked::Follow { about, .. }, Err(error)) => refuse(&named_here(error), &about, out),
            (Asked::Call(about), Ok(Reply::Answered(false))) => {
                let sentence = "no call with this callId waits: it was answered, has expired, or never was";
                let error = Error::new(Code::Conflict, sentence).with(Detail::Field("callId".into()));
                out.push(spell::refused(&error, &about));
            }
            (Asked::Stop(about) | Asked::Call(about), Err(error)) => {
                out.push(spell::refused(&named_here(error), &about));
            }
            (Asked::Send(_) | Asked::Stop(_) | Asked::Call(_), Ok(_)) | (Asked::Unfollow, _) => {}
        }
    }

    fn event(&mut self, event: &Event, now: Instant, out: &mut Vec<Frame>) {
        match event {
            Event::Chat(event) => {
                if let Some(chat) = self.chats.iter_mut().find(|followed| followed.chat == event.chat) {
                    chat.event(event, now, out);
                }
            }
            // Nothing in this dialect asks for them.
            Event::Data(_) | Event::Completion { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.chats.iter().filter_map(Followed::deadline).min()
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Frame>) {
        for chat in &mut self.chats {
            chat.tick(now, out);
        }
    }
}

/// A request that ends before it is answered.
fn refuse(error: &Error, about: &About, out: &mut Vec<Frame>) {
    out.push(spell::refused(error, about));
    out.push(spell::end_of(about, None));
}

/// The engine's names for what is wrong, as this dialect's requests have them.
fn named_here(error: Error) -> Error {
    let path = match &error.detail {
        Detail::Field(field) => match &**field {
            "agent" => "options.agent",
            "model" => "options.modelId",
            _ => return error,
        },
        Detail::None if error.code == Code::NotFound => "runId",
        _ => return error,
    };
    error.with(Detail::Field(path.into()))
}

fn known(name: &str) -> Result<ChatRef, Error> {
    name.parse().map(ChatRef::Known)
}

fn about_frame(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(sentence).with(Detail::Field("frame".into()))
}

fn wrong_type(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(sentence).with(Detail::Field("type".into()))
}

fn refused(error: &Error, about: About, kind: Kind) -> Refused {
    Refused { frame: spell::refused(error, &about), about, ends: kind.is_answered() }
}

/// What a frame is about, as far as it says so in a readable way.
fn about(members: &Map<String, Value>) -> About {
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| text.len() <= SessionId::MAX_LEN).map(str::to_owned)
    };
    About {
        run_id: text(members.get("runId")),
        message_id: text(members.get("newMessage").and_then(|message| message.get("id"))),
        call_id: text(members.get("callId")),
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
