//! The conversation on `/api/ws`: what a client's frames ask for, and which frames its replies and events become.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::Value;
use serde_json::value::RawValue;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::{RunOptions, ToolAnswer};
use tidewire_engine::query::Filter;
use tidewire_engine::schema::Kinds;
use tidewire_engine::{
    ChatRef, Code, Command, Detail, Epoch, Error, Event, Offset, Position, RecordId, Reply, Result, Seq,
};

use super::ask::{self, About, unexpected};
use super::chats::{Chats, any_chat, stream_error};
use super::correlate::{Correlation, Way};
use super::notify::{Notifications, Variant};
use super::pack;
use super::spell::{self, Format};
use super::typed::{Manner, Values};
use super::wire::{self, ClientMessage, DecodeError};
use crate::frame::{Frame, Incoming};
use crate::session::{Session, Step, Switches, Ticket};

/// A list of what is asked with more places than this is given back when it is empty.
const KEPT_PLACES: usize = 4;

/// What was asked, until it is answered.
struct Asked {
    id: Option<Box<RawValue>>,
    way: Way,
    what: What,
    /// What the members mean of the records that are read.
    kinds: Option<Arc<Kinds>>,
}

/// What a reply is for.
enum What {
    /// Data.
    Data(About),
    /// A subscription, by its number.
    Subscribe { collection: String, watch: u64 },
    /// The end of a collection's subscriptions.
    Unsubscribe { collection: String },
    /// To follow a chat because the client asks for it.
    Follow { chat: String },
    /// To follow a chat, or not any longer, because something else needs it.
    Quietly { chat: String },
    /// To say something.
    Send { chat: String },
    /// To stop a run.
    Cancel { chat: String },
    /// To bring tools.
    Register { chat: String, tools: Vec<String> },
    /// To answer a call.
    ToolResult { chat: String },
}

/// What is said of the end of a collection's subscriptions.
#[derive(serde::Serialize)]
struct Unsubscribed<'a> {
    collection: &'a str,
    found: bool,
    unsubscribed: bool,
}

/// A subscription of this connection.
struct Watch {
    number: u64,
    collection: String,
    filter: Option<Filter>,
}

/// One client's live data.
pub struct LiveData {
    switches: Arc<Switches>,
    format: Format,
    next_ticket: u64,
    /// What is not answered yet, oldest first.
    asked: VecDeque<(Ticket, Asked)>,
    correlation: Correlation,
    watches: Vec<Watch>,
    next_watch: u64,
    notifications: Notifications,
    chats: Chats,
}

impl LiveData {
    /// A conversation in which nobody has spoken yet.
    pub fn new(switches: Arc<Switches>, now: Instant) -> Self {
        let notifications = Notifications::new(now, Arc::clone(&switches.kinds));
        Self {
            switches,
            format: Format::Json,
            next_ticket: 0,
            asked: VecDeque::new(),
            correlation: Correlation::default(),
            watches: Vec::new(),
            next_watch: 0,
            notifications,
            chats: Chats::default(),
        }
    }

    fn values(&self) -> Values {
        if self.switches.typed_values.load(Ordering::Relaxed) { Values::Typed } else { Values::Plain }
    }

    fn variant(&self) -> Variant {
        Variant { format: self.format, values: self.values() }
    }

    fn ask(&mut self, step: &mut Step, mut asked: Asked, command: Command) {
        asked.kinds = ask::read_from(&command).and_then(|collection| self.switches.kinds.of(collection));
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.correlation.asked(ticket, asked.way);
        self.asked.push_back((ticket, asked));
        step.commands.push((ticket, command));
    }

    /// What a reply is for; nearly always the oldest.
    fn take_asked(&mut self, ticket: Ticket) -> Option<Asked> {
        let place = self.asked.iter().position(|(known, _)| *known == ticket)?;
        let (_, asked) = self.asked.remove(place)?;
        if self.asked.is_empty() && self.asked.capacity() > KEPT_PLACES {
            self.asked = VecDeque::new();
        }
        Some(asked)
    }

    /// A request that is refused at once.
    fn refuse(&mut self, step: &mut Step, id: Option<&RawValue>, error: &Error) {
        let reply = spell::error(id, self.format, error);
        match id {
            Some(_) => step.frames.push(reply),
            None => self.correlation.refused_alone(reply, &mut step.frames),
        }
    }

    /// A chat's message that is refused at once. Without an id it may only be told as a failure of the chat; and who
    /// said something waits for a stream that has to end.
    fn refuse_chat(
        &mut self,
        step: &mut Step,
        id: Option<&RawValue>,
        chat: &str,
        error: &Error,
        stream: bool,
    ) {
        if id.is_some() {
            step.frames.push(spell::error(id, self.format, error));
        }
        if stream || id.is_none() {
            step.frames.push(stream_error(chat, error, None, self.format));
        }
    }

    fn understand(&mut self, step: &mut Step, id: Option<Box<RawValue>>, message: ClientMessage) {
        match message {
            ClientMessage::Hello(m) => self.hello(step, &m),
            ClientMessage::Subscribe(m) => self.subscribe(step, id, m),
            ClientMessage::Unsubscribe(m) => self.unsubscribe(step, id, m.collection),
            ClientMessage::ChatSend(m) => self.chat_send(step, id, m),
            ClientMessage::CancelChat(m) => self.cancel(step, id, m.chat_id),
            ClientMessage::ChatFollow(m) => self.chat_follow(step, id, m),
            ClientMessage::RegisterClientTools(m) => self.register(step, id, m),
            ClientMessage::ClientToolResult(m) => self.tool_result(step, id, m),
            ClientMessage::Unknown { tag, .. } => {
                let error = match tag {
                    Some(tag) => Error::invalid(format!(
                        "{:?} is no message of this dialect; see its reference",
                        short(&tag)
                    )),
                    None => Error::invalid(
                        "a message is an object with a type; see the reference of this dialect",
                    ),
                };
                self.refuse(step, id.as_deref(), &error);
            }
            data => match ask::about_data(data) {
                Some(Ok((command, about))) => self.ask(step, asked(id, What::Data(about)), command),
                Some(Err(error)) => self.refuse(step, id.as_deref(), &error),
                None => {}
            },
        }
    }

    /// The first format of the client's that we know.
    fn hello(&mut self, step: &mut Step, m: &wire::Hello) {
        let known = m.formats.iter().find_map(|name| match name.as_str() {
            "msgpack" => Some(Format::MessagePack),
            "json" => Some(Format::Json),
            _ => None,
        });
        self.format = known.unwrap_or(Format::Json);
        step.frames.push(spell::welcome(self.format));
    }

    fn subscribe(&mut self, step: &mut Step, id: Option<Box<RawValue>>, mut m: wire::Subscribe) {
        let filter = match ask::watch_filter(&mut m) {
            Ok(filter) => filter,
            Err(error) => return self.refuse(step, id.as_deref(), &error),
        };
        let watch = self.watch_number(&m.collection, &filter);
        let after = m.after_offset.map(Offset);
        let what = What::Subscribe { collection: m.collection.clone(), watch };
        self.ask(step, asked(id, what), Command::Watch { collection: m.collection, watch, filter, after });
    }

    /// The number of a subscription; one that is asked for again keeps its own.
    fn watch_number(&mut self, collection: &str, filter: &Option<Filter>) -> u64 {
        let same = |watch: &&Watch| watch.collection == collection && watch.filter == *filter;
        if let Some(watch) = self.watches.iter().find(same) {
            return watch.number;
        }
        let number = self.next_watch;
        self.next_watch += 1;
        let collection = collection.to_owned();
        self.watches.push(Watch { number, collection, filter: filter.clone() });
        number
    }

    fn unsubscribe(&mut self, step: &mut Step, id: Option<Box<RawValue>>, collection: String) {
        self.watches.retain(|watch| watch.collection != collection);
        let what = What::Unsubscribe { collection: collection.clone() };
        self.ask(step, asked(id, what), Command::Unwatch { collection, watch: None });
    }

    /// Follows a chat, if that was not done yet.
    fn follow_quietly(&mut self, step: &mut Step, name: &str, chat: &ChatRef) {
        if let Some(resting) = self.chats.retire(name)
            && let Ok(chat) = any_chat(&resting)
        {
            self.ask(step, quietly(resting), Command::UnfollowChat { chat });
        }
        if self.chats.needs_following(name) {
            let command = Command::FollowChat { chat: chat.clone(), after: None };
            self.ask(step, quietly(name.to_owned()), command);
        }
    }

    fn chat_send(&mut self, step: &mut Step, id: Option<Box<RawValue>>, m: wire::ChatSend) {
        let checked = any_chat(&m.chat_id).and_then(|chat| match m.message.trim() {
            "" => {
                Err(Error::invalid("message is empty; say something").with(Detail::Field("message".into())))
            }
            _ => Ok(chat),
        });
        let chat = match checked {
            Ok(chat) => chat,
            Err(error) => return self.refuse_chat(step, id.as_deref(), &m.chat_id, &error, true),
        };
        self.follow_quietly(step, &m.chat_id, &chat);
        self.chats.sending(&m.chat_id);
        let what = What::Send { chat: m.chat_id };
        let command = Command::SendMessage {
            chat,
            message_id: Some(RecordId::new().0),
            content: m.message,
            while_running: WhileRunning::Interrupt,
            options: RunOptions {
                tools: ask::tools(m.client_tools.unwrap_or_default()),
                confirm: m.confirm_tools.unwrap_or_default(),
                exclude: m.exclude_tools.unwrap_or_default(),
                max_rounds: m.max_iterations.map(|rounds| u32::try_from(rounds).unwrap_or(u32::MAX)),
                model: m.llm_model,
                ..RunOptions::default()
            },
        };
        self.ask(step, asked(id, what), command);
    }

    fn cancel(&mut self, step: &mut Step, id: Option<Box<RawValue>>, name: String) {
        match any_chat(&name) {
            Ok(chat) => {
                let what = What::Cancel { chat: name };
                self.ask(step, asked(id, what), Command::StopRun { chat, run: None });
            }
            Err(error) => self.refuse_chat(step, id.as_deref(), &name, &error, false),
        }
    }

    fn chat_follow(&mut self, step: &mut Step, id: Option<Box<RawValue>>, m: wire::ChatFollow) {
        let chat = match any_chat(&m.chat_id) {
            Ok(chat) => chat,
            Err(error) => return self.refuse(step, id.as_deref(), &error),
        };
        self.chats.follow_fully(&m.chat_id);
        let after = m.after_seq.map(|seq| Position { epoch: m.epoch.map(Epoch), seq: Seq(seq) });
        self.ask(step, asked(id, What::Follow { chat: m.chat_id }), Command::FollowChat { chat, after });
    }

    fn register(&mut self, step: &mut Step, id: Option<Box<RawValue>>, m: wire::RegisterClientTools) {
        let chat = match any_chat(&m.chat_id) {
            Ok(chat) => chat,
            Err(error) => return self.refuse(step, id.as_deref(), &error),
        };
        self.follow_quietly(step, &m.chat_id, &chat);
        let tools = ask::tools(m.tools);
        let names = tools.iter().map(|tool| tool.name.clone()).collect();
        let what = What::Register { chat: m.chat_id, tools: names };
        self.ask(step, asked(id, what), Command::RegisterTools { chat, tools });
    }

    fn tool_result(&mut self, step: &mut Step, id: Option<Box<RawValue>>, m: wire::ClientToolResult) {
        let chat = match any_chat(&m.chat_id) {
            Ok(chat) => chat,
            Err(error) => return self.refuse_chat(step, id.as_deref(), &m.chat_id, &error, false),
        };
        // The same answer agrees to a call of the server's tools that waits for a person.
        let answer = tool_answer(m.success, m.result, m.error, m.keepalive == Some(true));
        let command = Command::AnswerTool { chat, call_id: m.call_id, answer };
        self.ask(step, asked(id, What::ToolResult { chat: m.chat_id }), command);
    }

    /// A message that was recognised, but whose body does not fit.
    fn misfit(&mut self, step: &mut Step, id: Option<&RawValue>, message: &str, why: &str, text: &str) {
        let error =
            Error::invalid(format!("{message} does not fit: {why}; see the reference of this dialect"));
        if matches!(message, "ChatSend" | "CancelChat" | "ClientToolResult") {
            let members: Value = serde_json::from_str(text).unwrap_or_default();
            let chat = members["payload"]["chat_id"].as_str().unwrap_or_default();
            return self.refuse_chat(step, id, chat, &error, message == "ChatSend");
        }
        self.refuse(step, id, &error);
    }

    fn read(&mut self, step: &mut Step, text: &str) {
        let too_deep = pack::is_too_deep(text);
        match ClientMessage::decode(text) {
            Ok(read) if too_deep => {
                let limit = pack::MAX_DEPTH;
                let error =
                    Error::invalid(format!("the message nests deeper than {limit}; send a flatter one"));
                self.refuse(step, read.id.as_deref(), &error);
            }
            Ok(wire::Enveloped { id, message: Ok(message) }) => self.understand(step, id, message),
            Ok(wire::Enveloped { id, message: Err(DecodeError::Body { message, error }) }) => {
                self.misfit(step, id.as_deref(), message, &without_place(&error), text);
            }
            Ok(wire::Enveloped { id, message: Err(DecodeError::NotJson(error)) }) => {
                self.refuse(step, id.as_deref(), &not_json(&error));
            }
            Err(DecodeError::NotJson(error) | DecodeError::Body { error, .. }) => {
                self.refuse(step, None, &not_json(&error));
            }
        }
    }

    fn unreadable(&mut self, step: &mut Step, unreadable: pack::Unreadable) {
        let read = unreadable.json.and_then(|json| ClientMessage::decode(&json).ok());
        let id = read.and_then(|read| read.id);
        self.refuse(step, id.as_deref(), &Error::invalid(unreadable.message));
    }

    /// The reply's frame, for those who wait for one.
    fn answer<T: serde::Serialize>(
        &mut self,
        asked: Asked,
        ticket: Ticket,
        data: Result<T>,
        out: &mut Vec<Frame>,
    ) {
        let Asked { id, way, .. } = asked;
        if way == Way::Unanswered {
            return;
        }
        let reply = match &data {
            Ok(data) => spell::success(id.as_deref(), self.format, |out| super::typed::put_json(out, data)),
            Err(error) => spell::error(id.as_deref(), self.format, error),
        };
        self.correlation.answered(ticket, way, reply, out);
    }

    fn subscribed(
        &mut self,
        collection: &str,
        watch: u64,
        result: Result<Reply>,
        now: Instant,
    ) -> Result<Value> {
        match result {
            Ok(Reply::Watching { after, gap }) => {
                self.notifications.subscribed(now);
                json(&wire::Subscribed {
                    subscribed: true,
                    collection: collection.to_owned(),
                    subscription_id: format!("sub_{}", RecordId::new()),
                    offset: after.0,
                    gap,
                })
            }
            Ok(reply) => Err(unexpected(&"Watch", &reply)),
            Err(error) => {
                self.watches.retain(|known| known.number != watch);
                Err(error)
            }
        }
    }

    fn followed(&mut self, name: &str, result: Result<Reply>) -> Result<Value> {
        match result {
            Ok(Reply::Following { chat, epoch, last_seq, reset, run }) => {
                self.chats.followed(name, chat);
                json(&wire::ChatFollowed {
                    chat_id: name.to_owned(),
                    epoch: epoch.0,
                    last_seq: last_seq.0,
                    reset,
                    running: run.is_some(),
                })
            }
            Ok(reply) => Err(unexpected(&"FollowChat", &reply)),
            Err(error) => {
                self.chats.not_followed(name, error.clone());
                Err(error)
            }
        }
    }

    fn sent(
        &mut self,
        name: &str,
        result: Result<Reply>,
        now: Instant,
        out: &mut Vec<Frame>,
    ) -> Result<Value> {
        let outcome = match result {
            Ok(Reply::Accepted { run, .. }) => Ok(run),
            Ok(reply) => Err(unexpected(&"SendMessage", &reply)),
            Err(error) => Err(error),
        };
        self.chats.sent(name, outcome.as_ref().map(|run| *run), self.format, now, out);
        outcome.map(|run| serde_json::json!({ "chat_id": name, "run_id": run.to_string() }))
    }

    /// What is told of a chat's command. A failure of one without an id is told as the chat's.
    fn told(
        &mut self,
        asked: &Asked,
        name: &str,
        result: Result<Reply>,
        out: &mut Vec<Frame>,
    ) -> Result<Value> {
        match result {
            Ok(Reply::Stopped(done) | Reply::Answered(done)) => {
                Ok(serde_json::json!({ "chat_id": name, "done": done }))
            }
            Ok(reply) => Err(unexpected(&"a chat's command", &reply)),
            Err(error) => {
                if asked.way == Way::Unanswered {
                    out.push(stream_error(name, &error, None, self.format));
                }
                Err(error)
            }
        }
    }

    fn registered(&mut self, name: &str, tools: Vec<String>, result: Result<Reply>) -> Result<Value> {
        if let Some(error) = self.chats.take_unfollowed(name) {
            return Err(error);
        }
        match result {
            Ok(Reply::Registered) => {
                let count = tools.len();
                self.chats.registered(name, tools);
                Ok(serde_json::json!({ "chat_id": name, "registered": count }))
            }
            Ok(reply) => Err(unexpected(&"RegisterTools", &reply)),
            Err(error) => Err(error),
        }
    }
}

impl Session for LiveData {
    fn decode(&mut self, frame: Incoming<'_>, _now: Instant) -> Step {
        let mut step = Step::default();
        let text = match frame {
            Incoming::Text(text) => Ok(Cow::Borrowed(text)),
            Incoming::Binary(bytes) => pack::to_json(bytes).map(Cow::Owned),
        };
        match text {
            Ok(text) => self.read(&mut step, &text),
            Err(unreadable) => self.unreadable(&mut step, unreadable),
        }
        step
    }

    fn reply(&mut self, ticket: Ticket, result: Result<Reply>, now: Instant, out: &mut Vec<Frame>) {
        let Some(mut asked) = self.take_asked(ticket) else { return };
        let what = std::mem::replace(&mut asked.what, What::Data(About::Done));
        let data = match what {
            What::Data(about) => {
                let Asked { id, way, kinds, .. } = asked;
                let manner = Manner::new(self.values(), kinds.as_deref());
                let reply = ask::answer(about, result, id.as_deref(), self.format, manner);
                return self.correlation.answered(ticket, way, reply, out);
            }
            What::Subscribe { collection, watch } => self.subscribed(&collection, watch, result, now),
            What::Unsubscribe { collection } => {
                self.notifications.unsubscribed(&collection);
                let data = unsubscribed(&collection, result);
                return self.answer(asked, ticket, data, out);
            }
            What::Follow { chat } => {
                let followed = self.followed(&chat, result);
                if followed.is_err() {
                    self.chats.forget_resting(&chat);
                }
                followed
            }
            What::Quietly { chat } => match result {
                Ok(Reply::Unfollowed) => Ok(Value::Null),
                result => self.followed(&chat, result),
            },
            What::Send { chat } => self.sent(&chat, result, now, out),
            What::Cancel { chat } | What::ToolResult { chat } => self.told(&asked, &chat, result, out),
            What::Register { chat, tools } => self.registered(&chat, tools, result),
        };
        self.answer(asked, ticket, data, out);
    }

    fn event(&mut self, event: &Event, now: Instant, out: &mut Vec<Frame>) {
        match event {
            Event::Chat(event) => self.chats.event(event, self.format, now, out),
            Event::Data(notice) => self.notifications.notice(notice, self.variant(), now, out),
            // Completions are not streamed on the socket.
            Event::Completion { .. } => {}
        }
    }

    fn takes_events(&self) -> bool {
        self.notifications.takes_more()
    }

    fn has_room(&self) -> bool {
        self.correlation.has_room()
    }

    fn deadline(&self) -> Option<Instant> {
        [self.notifications.deadline(), self.chats.deadline()].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Frame>) {
        self.notifications.tick(now, out);
        self.chats.tick(self.format, now, out);
    }
}

fn asked(id: Option<Box<RawValue>>, what: What) -> Asked {
    let way = match (&id, &what) {
        (_, What::Quietly { .. }) => Way::Unanswered,
        (
            Some(_),
            What::Unsubscribe { .. } | What::Send { .. } | What::Cancel { .. } | What::ToolResult { .. },
        ) => Way::ByForgottenId,
        (Some(_), What::Data(_) | What::Subscribe { .. } | What::Follow { .. } | What::Register { .. }) => {
            Way::ById
        }
        (None, What::Register { .. }) => Way::Registration,
        (None, What::Send { .. } | What::Cancel { .. } | What::ToolResult { .. }) => Way::Unanswered,
        (None, What::Data(_) | What::Subscribe { .. } | What::Unsubscribe { .. } | What::Follow { .. }) => {
            Way::Alone
        }
    };
    Asked { id, way, what, kinds: None }
}

fn quietly(chat: String) -> Asked {
    asked(None, What::Quietly { chat })
}

fn unsubscribed(collection: &str, result: Result<Reply>) -> Result<Unsubscribed<'_>> {
    match result {
        Ok(Reply::Unwatched(found)) => Ok(Unsubscribed { collection, found, unsubscribed: found }),
        Ok(reply) => Err(unexpected(&"Unwatch", &reply)),
        Err(error) => Err(error),
    }
}

/// What a client's tool did, as the agent is told it.
pub(super) fn tool_answer(
    success: Option<bool>,
    result: Option<Value>,
    error: Option<String>,
    keepalive: bool,
) -> ToolAnswer {
    match (keepalive, success) {
        (true, _) => ToolAnswer::Working,
        (false, Some(false)) => ToolAnswer::Failed(error.unwrap_or_else(|| "the tool failed".into())),
        (false, Some(true) | None) => ToolAnswer::Result(result.unwrap_or_default()),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::new(
        Code::Invalid,
        format!("the frame is not JSON: {}; send one object a frame", without_place(error)),
    )
}

/// What is wrong, without line and column: a frame is one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    short(text.split(" at line ").next().unwrap_or_default()).to_owned()
}

/// The beginning of what a client wrote, so that it is not sent back at any length.
fn short(text: &str) -> &str {
    text.char_indices().nth(200).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
#[path = "codec_tests.rs"]
pub(super) mod tests;
