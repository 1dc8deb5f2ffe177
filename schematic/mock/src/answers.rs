//! What the server says: examples of the definition, with ids, numbers and sessions that are true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schematic_define::{
    Breach, Definition, EndpointPolicy, Heartbeat, MessageSchema, Reconnect, Replies, Reply, TokenCapture,
    Type, WebSocketEndpoint,
};
use serde_json::Value;

use crate::messages::{Said, Wrong, at, fields, put};
use crate::rules::{Heard, Place, request_id};

/// The bytes with which the server answers the `n`th piece that a client streams on a connection, counted from 1:
/// `audio 17` and a line feed. They are no sound, but a client can check that it got all of them, in order.
pub fn audio(n: u64) -> Vec<u8> {
    format!("audio {n}\n").into_bytes()
}

/// Sessions that can be taken up again, by the values with which a client names them.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Saved>>);

#[derive(Debug, Default)]
struct Saved {
    /// The latest number that was given
    latest: i64,
    /// What was said, with its number
    said: Vec<(i64, Said)>,
}

impl Sessions {
    /// Nothing panics between related changes, so the table is whole even after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Saved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What follows from a message.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// What the server says
    pub(crate) say: Vec<Said>,
    /// Whether the session has begun or was taken up
    pub(crate) opened: bool,
    /// Whether the session could not be opened; the client may try again
    pub(crate) refused: bool,
    /// Whether the server closes then
    pub(crate) close: bool,
}

/// The server's side of one connection.
#[derive(Debug)]
pub(crate) struct Answers {
    definition: Arc<Definition>,
    endpoint: usize,
    policy: EndpointPolicy,
    sessions: Arc<Sessions>,
    /// Where the server listens, for sessions that are to be taken up there
    url: String,
    /// Name of the session, if it can be taken up
    session: Option<String>,
    /// Pieces that were answered
    pieces: u64,
}

impl Answers {
    pub(crate) fn new(
        definition: Arc<Definition>,
        endpoint: usize,
        sessions: Arc<Sessions>,
        url: String,
    ) -> Self {
        let id = &definition.websocket_endpoints()[endpoint].id;
        let policy = definition.find_policy(id).cloned().unwrap_or_default();
        Self { definition, endpoint, policy, sessions, url, session: None, pieces: 0 }
    }

    /// What the server says before the client has said anything.
    pub(crate) fn opening(&mut self) -> Vec<Said> {
        let first = self.policy.session.server_first.clone();
        first.and_then(|id| self.example(&id)).into_iter().collect()
    }

    /// What follows from a message of the client.
    pub(crate) fn answer(&mut self, heard: &Heard) -> Result<Turn, Wrong> {
        match heard.place {
            Place::Opening => Ok(Turn { say: self.acknowledge(heard), opened: true, ..Turn::default() }),
            Place::Resume => self.resume(heard),
            Place::Beat => Ok(Turn { say: self.beat(heard), ..Turn::default() }),
            Place::Streaming => Ok(Turn { say: self.stream(heard), ..Turn::default() }),
            Place::Closing => Ok(Turn { say: self.finish(heard), close: true, ..Turn::default() }),
        }
    }

    /// So many events that nobody asked for.
    pub(crate) fn events(&mut self, count: u32) -> Vec<Said> {
        (0..count).filter_map(|_| self.event()).collect()
    }

    /// A message that the definition does not know, with a tag of its own if messages have tags.
    pub(crate) fn unknown(&self) -> Value {
        let mut frame = serde_json::json!({"schematic_mock": "a message that nobody knows"});
        let tag = self.endpoint().lifecycle.from_server().find_map(|schema| {
            let tests = self.definition.find_message(&schema.id)?.recognition.tests();
            tests.into_iter().find_map(|test| match test {
                schematic_define::Test::Equals { path, value } if value.is_string() => Some(path),
                schematic_define::Test::Equals { .. }
                | schematic_define::Test::Present { .. }
                | schematic_define::Test::ArrayHead(_)
                | schematic_define::Test::Kind(_)
                | schematic_define::Test::AnyOf(_) => None,
            })
        });
        if let Some(path) = tag {
            put(&mut frame, &path, "schematic_mock_unknown".into());
        }
        frame
    }

    fn endpoint(&self) -> &WebSocketEndpoint {
        &self.definition.websocket_endpoints()[self.endpoint]
    }

    /// The first example of a message, with the numbers of the session.
    fn example(&mut self, id: &str) -> Option<Said> {
        let frame = self.definition.find_message(id)?.examples.first()?.value.clone();
        let mut said = Said { message: id.to_owned(), frame };
        self.number(&mut said);
        Some(said)
    }

    fn acknowledge(&mut self, heard: &Heard) -> Vec<Said> {
        self.begin_session();
        let replies = self.replies(heard);
        if !replies.is_empty() {
            return replies;
        }
        let acknowledgement = self.policy.timeouts.first_ack.as_ref().map(|ack| ack.message.clone());
        acknowledgement.and_then(|id| self.example(&id)).into_iter().collect()
    }

    fn beat(&mut self, heard: &Heard) -> Vec<Said> {
        let beat = self.policy.heartbeats.iter().find_map(|heartbeat| match heartbeat {
            Heartbeat::Message { ping, pong: Some(pong), echo, .. } if *ping == heard.message => {
                Some((pong.clone(), echo.clone()))
            }
            Heartbeat::Message { .. } | Heartbeat::Frame { .. } => None,
        });
        let Some((pong, echo)) = beat else { return vec![] };
        let mut said = self.example(&pong);
        if let Some(said) = &mut said {
            for field in echo {
                let value = at(&heard.frame, &field.ping).cloned().unwrap_or(Value::Null);
                put(&mut said.frame, &field.pong, value);
            }
        }
        said.into_iter().collect()
    }

    /// A reply if one is declared. Where the server drains after the close, what streams in comes out as pieces.
    fn stream(&mut self, heard: &Heard) -> Vec<Said> {
        let replies = self.replies(heard);
        let ended: Vec<Said> = heard.ended.iter().filter_map(|context| self.context_end(context)).collect();
        let answered = self.policy.contexts.as_ref().is_none_or(|c| c.opened_by.contains(&heard.message));
        if !replies.is_empty() || !ended.is_empty() {
            return [replies, ended].concat();
        }
        match self.policy.session.drains && answered && !heard.empty {
            true => self.piece(&heard.context).into_iter().collect(),
            false => vec![],
        }
    }

    fn finish(&mut self, heard: &Heard) -> Vec<Said> {
        let mut said = self.replies(heard);
        said.extend(heard.ended.iter().filter_map(|context| self.context_end(context)));
        if self.policy.contexts.is_none() && self.policy.session.drains {
            let last = self.policy.session.ends_with.first().cloned();
            said.extend(last.and_then(|id| self.example(&id)));
        }
        said
    }

    /// The declared replies, with the id of their request.
    fn replies(&mut self, heard: &Heard) -> Vec<Said> {
        let reply = self.definition.find_message(&heard.message).and_then(|facts| facts.reply.clone());
        let Some(reply) = reply else { return vec![] };
        let id = reply.correlation.as_ref().and_then(|correlation| {
            let id = request_id(&self.definition, &heard.frame, &correlation.request)?;
            Some((correlation.reply.clone(), id.clone()))
        });
        let mut said: Vec<Said> = spoken(&reply).iter().filter_map(|id| self.example(id)).collect();
        if let Some((path, id)) = id {
            said.iter_mut().for_each(|said| put(&mut said.frame, &path, id.clone()));
        }
        said
    }

    /// A numbered piece of what the server makes of what streams in.
    fn piece(&mut self, context: &Value) -> Option<Said> {
        let mut said = self.event()?;
        self.pieces += 1;
        let schema = self.endpoint().lifecycle.from_server().find(|schema| schema.id == said.message)?;
        for field in fields(&self.definition, schema).iter().filter(|field| field.field_type == Type::Bytes) {
            put(&mut said.frame, std::slice::from_ref(&field.name), BASE64.encode(audio(self.pieces)).into());
        }
        self.put_context(&mut said, context);
        Some(said)
    }

    fn context_end(&mut self, context: &Value) -> Option<Said> {
        let id = self.policy.contexts.as_ref()?.ended_by.first()?.clone();
        let mut said = self.example(&id)?;
        self.put_context(&mut said, context);
        Some(said)
    }

    fn put_context(&self, said: &mut Said, context: &Value) {
        if let Some(contexts) = &self.policy.contexts {
            put(&mut said.frame, &contexts.server, context.clone());
        }
    }

    /// A message that answers nothing in particular and may come any number of times.
    fn event(&mut self) -> Option<Said> {
        let special = self.special();
        let every = self.captures(|capture| capture.messages.is_empty());
        let is_event = |schema: &&MessageSchema| {
            let example = self.definition.find_message(&schema.id).and_then(|facts| facts.examples.first());
            let numbered = example.is_some_and(|example| {
                every.iter().all(|c| at(&example.value, &c.path).is_some_and(|value| !value.is_null()))
            });
            schema.repeatable && numbered && !special.contains(&schema.id)
        };
        let id = self.endpoint().lifecycle.from_server().find(is_event)?.id.clone();
        self.example(&id)
    }

    /// Ids of messages that have a part of their own in a session.
    fn special(&self) -> Vec<String> {
        let policy = &self.policy;
        let mut ids: Vec<String> = policy.session.ends_with.clone();
        ids.extend(policy.session.server_first.clone());
        if let Some(ack) = &policy.timeouts.first_ack {
            ids.push(ack.message.clone());
            ids.extend(ack.refused_by.clone());
        }
        if let Some(contexts) = &policy.contexts {
            ids.extend(contexts.ended_by.clone());
        }
        if let Reconnect::Token { done: Some(done), .. } = &policy.reconnect {
            ids.push(done.clone());
        }
        for heartbeat in &policy.heartbeats {
            if let Heartbeat::Message { ping, pong, .. } = heartbeat {
                ids.extend([Some(ping.clone()), pong.clone()].into_iter().flatten());
            }
        }
        let replies = self.definition.messages.iter().filter_map(|facts| facts.reply.as_ref());
        ids.extend(replies.flat_map(|reply| reply.messages.iter().chain(&reply.errors).cloned()));
        ids
    }

    fn captures(&self, wanted: impl Fn(&TokenCapture) -> bool) -> Vec<TokenCapture> {
        match &self.policy.reconnect {
            Reconnect::Token { capture, .. } => capture.iter().filter(|c| wanted(c)).cloned().collect(),
            Reconnect::Never | Reconnect::Replay { .. } => vec![],
        }
    }

    /// Names a new session, if sessions can be taken up.
    fn begin_session(&mut self) {
        if !matches!(self.policy.reconnect, Reconnect::Token { .. }) {
            return;
        }
        let mut sessions = self.sessions.lock();
        let name = format!("session-{}", sessions.len() + 1);
        sessions.insert(name.clone(), Saved::default());
        self.session = Some(name);
    }

    /// Writes what a client has to remember of the session into a message, and keeps the message for it.
    fn number(&self, said: &mut Said) {
        let Reconnect::Token { capture, url, done, .. } = &self.policy.reconnect else { return };
        let Some(name) = &self.session else { return };
        for capture in capture.iter().filter(|c| c.messages.contains(&said.message)) {
            let value = if url.as_ref() == Some(&capture.name) { &self.url } else { name };
            put(&mut said.frame, &capture.path, value.as_str().into());
        }
        let every = capture.iter().find(|c| c.messages.is_empty());
        let Some(every) = every.filter(|c| at(&said.frame, &c.path).is_some_and(Value::is_i64)) else {
            return;
        };
        let mut sessions = self.sessions.lock();
        let Some(saved) = sessions.get_mut(name) else { return };
        saved.latest += 1;
        put(&mut said.frame, &every.path, saved.latest.into());
        if done.as_ref() != Some(&said.message) {
            saved.said.push((saved.latest, said.clone()));
        }
    }

    /// Says again what the client has missed.
    fn resume(&mut self, heard: &Heard) -> Result<Turn, Wrong> {
        let carried = |captures: Vec<TokenCapture>| {
            let mut values = captures.into_iter().filter(|c| !c.into.is_empty());
            values.find_map(|c| at(&heard.frame, &c.into).cloned())
        };
        let name = carried(self.captures(|c| !c.messages.is_empty()));
        let seen = carried(self.captures(|c| c.messages.is_empty()));
        let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
        let seen = seen.as_ref().and_then(Value::as_i64).unwrap_or_default();
        let Some((latest, missed)) = self.missed(name, seen) else { return self.refuse(name) };
        if seen > latest {
            let reason = format!("{} is about number {seen}; the latest is {latest}", heard.message);
            return Err(Wrong::new(Breach::Resume, reason));
        }
        self.session = Some(name.to_owned());
        let done = match &self.policy.reconnect {
            Reconnect::Token { done, .. } => done.clone(),
            Reconnect::Never | Reconnect::Replay { .. } => None,
        };
        let done = done.and_then(|id| self.example(&id));
        Ok(Turn { say: missed.into_iter().chain(done).collect(), ..Turn::default() })
    }

    /// The latest number of a session, and what was said after the given one. A number under which a lost connection
    /// told that all was sent again is given anew, so that there is no gap.
    fn missed(&self, name: &str, seen: i64) -> Option<(i64, Vec<Said>)> {
        let mut sessions = self.sessions.lock();
        let saved = sessions.get_mut(name)?;
        if seen < saved.latest {
            saved.latest = saved.said.last().map_or(seen, |(number, _)| seen.max(*number));
        }
        let after = saved.said.iter().filter(|(number, _)| *number > seen);
        Some((saved.latest, after.map(|(_, said)| said.clone()).collect()))
    }

    fn refuse(&mut self, name: &str) -> Result<Turn, Wrong> {
        let refused_by =
            self.policy.timeouts.first_ack.as_ref().and_then(|ack| ack.refused_by.first().cloned());
        match refused_by.and_then(|id| self.example(&id)) {
            Some(said) => Ok(Turn { say: vec![said], refused: true, ..Turn::default() }),
            None => Err(Wrong::new(Breach::Resume, format!("there is no session `{name}`"))),
        }
    }
}

/// Which messages answer a request: as many as there have to be, and what ends a stream last.
fn spoken(reply: &Reply) -> Vec<String> {
    match &reply.replies {
        Replies::One => reply.messages.iter().take(1).cloned().collect(),
        Replies::Exactly(count) => reply.messages.iter().cycle().take(*count as usize).cloned().collect(),
        Replies::Stream { until } => {
            let (last, before): (Vec<String>, Vec<String>) =
                reply.messages.iter().cloned().partition(|id| until.contains(id));
            before.into_iter().chain(last.into_iter().take(1)).collect()
        }
    }
}
