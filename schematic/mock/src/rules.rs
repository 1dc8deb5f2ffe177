//! The client's side of the lifecycle: what it may say now, and what it did wrong.
//!
//! A frame can be several messages (a single space opens an ElevenLabs stream, and later keeps it alive), so the state of
//! the session has a say in what it is. Nothing here answers or sends.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use schematic_define::{
    AuthWay, Breach, Definition, EndpointPolicy, Heartbeat, MessageSchema, Reconnect, WebSocketEndpoint,
};
use serde_json::Value;

use crate::messages::{Incoming, Wrong, at, candidates, fields, member, only_of_first};
use crate::upgrade::is_wanted;

/// A message that the definition allows at this moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    /// Id of the message
    pub(crate) message: String,
    /// The frame
    pub(crate) frame: Value,
    /// What it does to the session
    pub(crate) place: Place,
    /// Whether it reads as the opening message as well, and so says nothing but that the client is there
    pub(crate) empty: bool,
    /// The context that it is about; `null` is the default one
    pub(crate) context: Value,
    /// Contexts that it ends
    pub(crate) ended: Vec<Value>,
}

/// What a message does to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Opens it
    Opening,
    /// Takes an earlier one up
    Resume,
    /// Shows that the client is alive, at any time
    Beat,
    /// Uses it
    Streaming,
    /// Ends it
    Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Closed,
}

/// The automaton of one connection.
#[derive(Debug)]
pub(crate) struct Rules {
    definition: Arc<Definition>,
    endpoint: usize,
    policy: EndpointPolicy,
    state: State,
    /// Ids of messages that were heard
    seen: HashSet<String>,
    /// Contexts that are open, in the order of their opening
    contexts: Vec<Value>,
    credential_due: bool,
    credential: Option<String>,
    /// When the latest messages came, for each rate limit
    rates: Vec<VecDeque<Instant>>,
}

impl Rules {
    pub(crate) fn new(
        definition: Arc<Definition>,
        endpoint: usize,
        credential_due: bool,
        credential: Option<String>,
    ) -> Self {
        let declared = &definition.websocket_endpoints()[endpoint];
        let policy = definition.find_policy(&declared.id).cloned().unwrap_or_default();
        let state = if declared.lifecycle.initialize.is_some() { State::New } else { State::Open };
        let rates = policy.limits.rates.iter().map(|_| VecDeque::new()).collect();
        let (seen, contexts) = (HashSet::new(), Vec::new());
        Self { definition, endpoint, policy, state, seen, contexts, credential_due, credential, rates }
    }

    /// The close code for a breach: the declared one, or 1008, which says that a policy was violated.
    pub(crate) fn close_code(&self, breach: Breach) -> u16 {
        let code = self.policy.close_codes.iter().find(|code| code.breaches.contains(&breach));
        code.map_or(1008, |code| code.code)
    }

    /// Whether the session is open: without an opening message it is from the beginning.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The session was not opened after all; the client may try again.
    pub(crate) fn refuse_opening(&mut self) {
        self.state = State::New;
    }

    /// Judges a frame that came at this time.
    pub(crate) fn hear(&mut self, incoming: &Incoming, now: Instant) -> Result<Heard, Wrong> {
        self.limits(incoming, now)?;
        let definition = self.definition.clone();
        let endpoint = &definition.websocket_endpoints()[self.endpoint];
        let (frame, could_be) = candidates(&definition, endpoint, incoming)?;
        let (schema, place) = self.choose(endpoint, &could_be, &frame)?;
        definition.body_fits(&schema.id, &frame).map_err(|why| {
            Wrong::new(Breach::Mistyped, format!("{} is not of its type: {why}", schema.id))
        })?;
        self.check_credential(schema, place, &frame)?;
        let (context, ended) = self.follow_contexts(schema, place, &frame)?;
        self.go_on(place);
        self.seen.insert(schema.id.clone());
        let opening = endpoint.lifecycle.initialize.as_ref();
        let empty = place != Place::Opening && opening.is_some_and(|opening| could_be.contains(&opening));
        Ok(Heard { message: schema.id.clone(), frame, place, empty, context, ended })
    }

    fn limits(&mut self, incoming: &Incoming, now: Instant) -> Result<(), Wrong> {
        let size = incoming.len() as u64;
        if let Some(most) = self.policy.limits.client_message_bytes.filter(|most| size > *most) {
            let reason = format!("the message has {size} bytes; {most} are allowed");
            return Err(Wrong::new(Breach::TooLarge, reason));
        }
        for (rate, times) in self.policy.limits.rates.iter().zip(&mut self.rates) {
            let span = Duration::from_millis(rate.per_ms);
            while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= span) {
                times.pop_front();
            }
            times.push_back(now);
            if times.len() > rate.messages as usize {
                let reason = format!("more than {} messages in {} ms", rate.messages, rate.per_ms);
                return Err(Wrong::new(Breach::TooOften, reason));
            }
        }
        Ok(())
    }

    /// The first message that the frame could be and that is allowed now. A frame with members that only the first of
    /// all has is that one, allowed or not.
    fn choose<'a>(
        &self,
        endpoint: &WebSocketEndpoint,
        could_be: &[&'a MessageSchema],
        frame: &Value,
    ) -> Result<(&'a MessageSchema, Place), Wrong> {
        let (first, others) = could_be
            .split_first()
            .ok_or_else(|| Wrong::new(Breach::Unknown, "the frame is none of the client's messages"))?;
        let why = match self.allowed(endpoint, first) {
            Ok(place) => return Ok((first, place)),
            Err(why) => why,
        };
        let other = others
            .iter()
            .filter(|other| !only_of_first(&self.definition, first, other, frame))
            .find_map(|other| Some((*other, self.allowed(endpoint, other).ok()?)));
        other.ok_or(why)
    }

    fn allowed(&self, endpoint: &WebSocketEndpoint, schema: &MessageSchema) -> Result<Place, Wrong> {
        let id = &schema.id;
        let place = self.place(endpoint, id);
        let opening = endpoint.lifecycle.initialize.as_ref().map_or("", |opening| &opening.id);
        match (self.state, place) {
            (_, Place::Beat) => Ok(place),
            (State::New, Place::Opening | Place::Resume) => Ok(place),
            (State::New, Place::Streaming | Place::Closing) => {
                Err(Wrong::new(Breach::BeforeOpening, format!("{id} came before {opening}")))
            }
            (State::Open, Place::Opening | Place::Resume) => {
                Err(Wrong::new(Breach::OpenedTwice, format!("{id} came, but the session is open already")))
            }
            (State::Open, Place::Streaming) if !schema.repeatable && self.seen.contains(id) => {
                Err(Wrong::new(Breach::Repeated, format!("{id} came twice; it may come once")))
            }
            (State::Open, Place::Streaming | Place::Closing) => Ok(place),
            (State::Closed, Place::Opening | Place::Resume | Place::Streaming | Place::Closing) => {
                let close = endpoint.lifecycle.close.as_ref().map_or("", |close| &close.id);
                Err(Wrong::new(Breach::AfterClose, format!("{id} came after {close}")))
            }
        }
    }

    fn place(&self, endpoint: &WebSocketEndpoint, id: &str) -> Place {
        let is = |schema: &Option<MessageSchema>| schema.as_ref().is_some_and(|schema| schema.id == id);
        let resumes = matches!(&self.policy.reconnect, Reconnect::Token { message, .. } if message == id);
        let beats = self.policy.heartbeats.iter().any(|heartbeat| match heartbeat {
            Heartbeat::Frame { .. } => false,
            Heartbeat::Message { ping, pong, .. } => ping == id || pong.as_deref() == Some(id),
        });
        match () {
            () if is(&endpoint.lifecycle.initialize) => Place::Opening,
            () if is(&endpoint.lifecycle.close) => Place::Closing,
            () if resumes => Place::Resume,
            () if beats => Place::Beat,
            () => Place::Streaming,
        }
    }

    fn go_on(&mut self, place: Place) {
        match place {
            Place::Opening | Place::Resume => self.state = State::Open,
            Place::Closing => self.state = State::Closed,
            Place::Beat | Place::Streaming => {}
        }
    }

    /// The credential is due with the opening if the upgrade did not bring it; where both did, both have to be right.
    fn check_credential(&self, schema: &MessageSchema, place: Place, frame: &Value) -> Result<(), Wrong> {
        if !matches!(place, Place::Opening | Place::Resume) {
            return Ok(());
        }
        let path = self.policy.auth.iter().find_map(|way| match way {
            AuthWay::FirstMessage { message, path } if *message == schema.id => Some(path),
            AuthWay::FirstMessage { .. }
            | AuthWay::Header { .. }
            | AuthWay::Query { .. }
            | AuthWay::Cookie { .. }
            | AuthWay::Subprotocol { .. }
            | AuthWay::UrlByCall { .. } => None,
        });
        let Some(path) = path else { return Ok(()) };
        let given = member(&self.definition, schema, frame, path).and_then(Value::as_str);
        let wrong = |reason| Err(Wrong::new(Breach::Credential, reason));
        match given {
            Some(given) if !is_wanted(given, self.credential.as_deref()) => {
                wrong(format!("the credential in {} is not the right one", schema.id))
            }
            None if self.credential_due => {
                wrong(format!("the credential is missing; send it in `{}` of {}", path.join("."), schema.id))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Opens and closes contexts; gives the message's context and those that end with it.
    fn follow_contexts(
        &mut self,
        schema: &MessageSchema,
        place: Place,
        frame: &Value,
    ) -> Result<(Value, Vec<Value>), Wrong> {
        let Some(contexts) = &self.policy.contexts else { return Ok((Value::Null, vec![])) };
        if place == Place::Closing {
            return Ok((Value::Null, std::mem::take(&mut self.contexts)));
        }
        let context =
            member(&self.definition, schema, frame, &contexts.client).cloned().unwrap_or(Value::Null);
        let open = self.contexts.iter().position(|open| *open == context);
        if contexts.opened_by.contains(&schema.id) {
            if open.is_none() {
                self.contexts.push(context.clone());
            }
            return Ok((context, vec![]));
        }
        let names_one =
            fields(&self.definition, schema).iter().any(|f| contexts.client.first() == Some(&f.name));
        match open {
            None if names_one => {
                let reason = format!("{} is about context {context}, which is not open", schema.id);
                Err(Wrong::new(Breach::NoContext, reason))
            }
            Some(open) if contexts.closed_by.contains(&schema.id) => {
                Ok((context, vec![self.contexts.remove(open)]))
            }
            Some(_) | None => Ok((context, vec![])),
        }
    }
}

/// Id by which a reply finds its request; of an envelope's id, the other places are looked at as well.
pub(crate) fn request_id<'a>(
    definition: &Definition,
    frame: &'a Value,
    path: &[String],
) -> Option<&'a Value> {
    let envelope_id = definition.envelope.as_ref().and_then(|envelope| envelope.id.as_ref());
    let also = envelope_id.filter(|id| path == [id.field.clone()]).map_or(&[][..], |id| &id.also);
    at(frame, path).or_else(|| also.iter().find_map(|path| at(frame, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_beats_comes_after_the_close() {
        let definition = Arc::new(schematic_definitions::deepgram::deepgram());
        let mut rules = Rules::new(definition, 0, false, None);
        let mut hear = |text: &str| rules.hear(&Incoming::Text(text.into()), Instant::now());
        assert_eq!(hear(r#"{"type": "CloseStream"}"#).unwrap().place, Place::Closing);
        assert_eq!(hear(r#"{"type": "KeepAlive"}"#).unwrap().place, Place::Beat);
        let late = Wrong::new(Breach::AfterClose, "Finalize came after CloseStream");
        assert_eq!(hear(r#"{"type": "Finalize"}"#), Err(late));
    }
}
