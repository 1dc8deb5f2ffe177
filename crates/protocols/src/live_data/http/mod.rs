//! The dialect over plain HTTP: requests as commands, replies as answers, events as server-sent events.
//!
//! Nothing here knows a server. A request becomes a [`Call`], a small state machine: it names a command, is told the
//! reply and what happens meanwhile, and answers. The server owns the connection to the engine, executes, and writes.
//! [`ROUTES`] says where what is served; a test holds it to the definition.

mod chats;
mod collections;
mod input;
mod keys;
mod managed;
mod models;
mod records;
mod routes;
mod search;
mod sse;
mod subscribe;
#[cfg(test)]
mod tests;
mod tools;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tidewire_engine::schema::Kinds;
use tidewire_engine::{Code, Command, Error, Event, Identity, Reply, Result};

use super::pack;
use super::spell::{Format, MAX_MESSAGE};
use super::typed::{Manner, Values, put_json};
use crate::session::Switches;

pub use routes::{Method, ROUTES, Route};
pub use sse::KEEP_ALIVE;

/// The largest body of a request in bytes.
pub const MAX_BODY: usize = 16 << 20;

/// The API as OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("../../../../../docs/protocols/live_data.openapi.json");

/// A request, with everything that its endpoint may look at.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The path's parameters by name, percent-decoded.
    pub params: &'a [(&'a str, &'a str)],
    /// The query's parameters in order, percent-decoded.
    pub query: &'a [(String, String)],
    /// How the body is written.
    pub content: Format,
    /// How the answer is to be written.
    pub accept: Format,
    /// The body; empty if there is none.
    pub body: &'a [u8],
    /// The header `Last-Event-ID`.
    pub last_event_id: Option<&'a str>,
    /// Who asks.
    pub identity: &'a Identity,
    /// What can be switched while the server runs.
    pub switches: &'a Switches,
    /// When it came.
    pub now: Instant,
}

/// A whole answer whose status is 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it is written.
    pub format: Format,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What a call wants next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is made a few times a request and taken apart at once")]
pub enum Next {
    /// Execute this; [`Call::reply`] is told.
    Execute(Command),
    /// Go on listening; [`Call::event`] is told. While a command is being executed it is waited for, too.
    Listen,
    /// Answer with this.
    Answer(Answer),
    /// The stream is over.
    End,
}

/// A request that is being answered.
///
/// What it writes into `out` are server-sent events; with the first of them the answer is a stream, and it stays one.
/// An error before is answered with its status, an error after is [`failed`](Self::failed).
pub trait Call: Send {
    /// The first step; it is called once.
    ///
    /// # Errors
    /// When the request cannot be answered.
    fn begin(&mut self) -> Result<Next>;

    /// A command was executed.
    ///
    /// # Errors
    /// When that means that the request cannot be answered.
    fn reply(&mut self, reply: Result<Reply>, now: Instant, out: &mut Vec<u8>) -> Result<Next>;

    /// Something happened that the connection listens to.
    ///
    /// # Errors
    /// When that means that the request cannot be answered.
    fn event(&mut self, _event: &Event, _out: &mut Vec<u8>) -> Result<Next> {
        Ok(Next::Listen)
    }

    /// Whether it is answered by a stream. One is kept alive with [`KEEP_ALIVE`] while nothing happens.
    fn is_stream(&self) -> bool {
        false
    }

    /// The stream ends with this error.
    fn failed(&self, error: &Error, out: &mut Vec<u8>) {
        sse::put_error(out, error);
    }
}

impl Request<'_> {
    /// A parameter of the path; empty if there is none of that name.
    fn param(&self, name: &str) -> String {
        let found = self.params.iter().find(|(key, _)| *key == name);
        found.map_or_else(String::new, |(_, value)| (*value).to_owned())
    }

    /// A parameter of the query that is not empty.
    fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// How members are written.
    fn values(&self) -> Values {
        if self.switches.typed_values.load(Ordering::Relaxed) { Values::Typed } else { Values::Plain }
    }
}

/// How an answer is written.
#[derive(Debug, Clone)]
struct Style {
    format: Format,
    values: Values,
    /// What the members mean of the collection that the request names.
    kinds: Option<Arc<Kinds>>,
}

impl Style {
    fn of(request: &Request<'_>) -> Self {
        let kinds = request.switches.kinds.of(&request.param("collection"));
        Self { format: request.accept, values: request.values(), kinds }
    }

    fn manner(&self) -> Manner<'_> {
        Manner::new(self.values, self.kinds.as_deref())
    }

    /// An answer with this JSON.
    fn answer(&self, json: Vec<u8>) -> Result<Answer> {
        if json.len() > MAX_MESSAGE {
            let limit = MAX_MESSAGE >> 20;
            return Err(Error::new(
                Code::TooLarge,
                format!("the answer is beyond {limit} MiB; ask with a limit, or for fewer members"),
            ));
        }
        let body = match self.format {
            Format::Json => json,
            Format::MessagePack => pack::from_json(&json).ok_or_else(too_deep)?,
        };
        Ok(Answer { format: self.format, body })
    }

    /// An answer with this value.
    fn json<T: serde::Serialize>(&self, value: &T) -> Result<Answer> {
        let mut json = Vec::new();
        put_json(&mut json, value);
        self.answer(json)
    }
}

fn too_deep() -> Error {
    Error::invalid("the answer nests too deep for MessagePack; ask for it as application/json")
}

/// Turns replies into an answer.
type Finish = Box<dyn FnOnce(Vec<Reply>, Instant) -> Result<Answer> + Send>;

/// Commands, one after the other, and an answer that is made of their replies.
struct Steps {
    commands: std::vec::IntoIter<Command>,
    replies: Vec<Reply>,
    finish: Option<Finish>,
}

impl Steps {
    fn next(&mut self, now: Option<Instant>) -> Result<Next> {
        if let Some(command) = self.commands.next() {
            return Ok(Next::Execute(command));
        }
        match (self.finish.take(), now) {
            (Some(finish), Some(now)) => finish(std::mem::take(&mut self.replies), now).map(Next::Answer),
            (_, _) => Ok(Next::End),
        }
    }
}

impl Call for Steps {
    fn begin(&mut self) -> Result<Next> {
        self.next(None)
    }

    fn reply(&mut self, reply: Result<Reply>, now: Instant, _out: &mut Vec<u8>) -> Result<Next> {
        self.replies.push(reply?);
        self.next(Some(now))
    }
}

/// An answer that needs no command.
struct Ready(Option<Answer>);

impl Call for Ready {
    fn begin(&mut self) -> Result<Next> {
        Ok(self.0.take().map_or(Next::End, Next::Answer))
    }

    fn reply(&mut self, _reply: Result<Reply>, _now: Instant, _out: &mut Vec<u8>) -> Result<Next> {
        Ok(Next::End)
    }
}

/// A call, or why there is none.
type Started = Result<Box<dyn Call>>;

/// Executes commands, at least one, and answers with what `finish` makes of their replies.
fn steps(
    commands: Vec<Command>,
    finish: impl FnOnce(Vec<Reply>, Instant) -> Result<Answer> + Send + 'static,
) -> Started {
    let finish: Finish = Box::new(finish);
    Ok(Box::new(Steps { commands: commands.into_iter(), replies: Vec::new(), finish: Some(finish) }))
}

/// Executes one command and answers with what `finish` makes of its reply.
fn step(command: Command, finish: impl FnOnce(Reply) -> Result<Answer> + Send + 'static) -> Started {
    steps(vec![command], |mut replies, _| match replies.pop() {
        Some(reply) => finish(reply),
        None => Err(Error::internal(std::io::Error::other("a command without a reply"))),
    })
}

/// Answers at once.
fn ready(answer: Result<Answer>) -> Started {
    answer.map(|answer| Box::new(Ready(Some(answer))) as Box<dyn Call>)
}

/// That it is done.
fn done() -> super::wire::Done {
    super::wire::Done { status: "success".into(), message: None }
}
