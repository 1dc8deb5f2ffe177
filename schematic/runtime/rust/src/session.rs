//! What generated code tells a connection about its messages, and what helps it to remember a session.
//!
//! A [`Session`] knows what messages mean; it opens nothing, sends nothing and knows no time.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Attempt, Error, Frame, Target};

/// How a message stands to the opening of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// It says nothing about it
    None,
    /// It accepts the opening
    Accepted,
    /// It refuses the opening
    Refused,
}

/// The meaning of an endpoint's messages. Only address and codec are needed; the rest is for endpoints that have
/// acknowledgements, heartbeats of messages, correlation or sessions that can be restored.
pub trait Session: Send + 'static {
    /// What the server says.
    type In: Send + 'static;
    /// What the client says.
    type Out: Send + Sync + 'static;

    /// Where to connect to; asked before every attempt.
    fn target(&mut self, attempt: Attempt) -> impl Future<Output = Result<Target, Error>> + Send;

    /// A message as a frame.
    fn encode(message: &Self::Out) -> Result<Frame, Error>;

    /// A frame as a message. An error is told to the consumer and ends nothing.
    fn decode(frame: Frame) -> Result<Self::In, Error>;

    /// Whether the server speaks first, so that nothing is said before [`Self::is_greeting`].
    fn awaits_greeting(&self) -> bool {
        false
    }

    /// Whether a message is the server's greeting.
    fn is_greeting(&self, _: &Self::In) -> bool {
        false
    }

    /// The first messages of a link, before anything that waits.
    fn opening(&mut self, _: Attempt) -> Vec<Self::Out> {
        Vec::new()
    }

    /// Whether a link counts as open only when the server has acknowledged it.
    fn awaits_ack(&self, _: Attempt) -> bool {
        false
    }

    /// Whether nothing may follow a message before the server has acknowledged it.
    fn asks_ack(&self, _: &Self::Out) -> bool {
        false
    }

    /// The server refused to take the session up; the next [`Self::opening`] begins a new one.
    fn resume_refused(&mut self) {}

    /// Whether the owner says nothing after a message, and the server ends the connection when it has answered it.
    fn closes(_: &Self::Out) -> bool {
        false
    }

    /// Whether nothing but the end of the connection follows a message.
    fn ends(_: &Self::In) -> bool {
        false
    }

    /// Whether a message acknowledges the opening.
    fn acknowledges(&self, _: &Self::In) -> Ack {
        Ack::None
    }

    /// A message was written; the place to remember openings and subscriptions.
    fn said(&mut self, _: &Self::Out) {}

    /// A message came; the place to capture resume tokens.
    fn heard(&mut self, _: &Self::In) {}

    /// Whether [`Self::opening`] says this message again on the next link.
    fn restores(&self, _: &Self::Out) -> bool {
        false
    }

    /// Whether a message that may have arrived may be sent again.
    fn idempotent(&self, _: &Self::Out) -> bool {
        false
    }

    /// How many of the oldest written messages this one confirms, for [`crate::Confirm::Answer`].
    fn confirms(&mut self, _: &Self::In) -> usize {
        0
    }

    /// The message that is sent at every beat.
    fn ping(&mut self) -> Option<Self::Out> {
        None
    }

    /// Whether a message belongs to the heartbeat; consumers never see those.
    fn is_beat(&self, _: &Self::In) -> bool {
        false
    }

    /// What answers a beat of the server, with the members that it echoes.
    fn pong(&self, _: &Self::In) -> Option<Self::Out> {
        None
    }

    /// The time between two beats, if a message says it.
    fn interval(&self, _: &Self::In) -> Option<Duration> {
        None
    }

    /// The id of the request that a message answers.
    fn reply_id(&self, _: &Self::In) -> Option<Value> {
        None
    }

    /// For [`crate::InboundFull::Coalesce`]: what a message is about.
    fn coalesce_key(&self, _: &Self::In) -> Option<Value> {
        None
    }
}

/// A message in its envelope, of an API whose messages carry their id outside the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosed<M> {
    /// The id, which a reply repeats; any JSON
    pub id: Option<Value>,
    /// The message
    pub message: M,
}

/// What has to be said again on a new link: the opening message, and the subscriptions that are in force.
#[derive(Debug, Clone)]
pub struct Replay<Out> {
    opening: Option<Out>,
    subscriptions: Vec<(Value, Out)>,
}

impl<Out> Default for Replay<Out> {
    fn default() -> Self {
        Self { opening: None, subscriptions: Vec::new() }
    }
}

impl<Out: Clone> Replay<Out> {
    /// Remembers the opening message.
    pub fn open(&mut self, message: Out) {
        self.opening = Some(message);
    }

    /// Remembers a subscription by its key; a later one with the same key takes its place.
    pub fn subscribe(&mut self, key: impl Into<Value>, message: Out) {
        let key = key.into();
        match self.subscriptions.iter_mut().find(|(other, _)| *other == key) {
            Some((_, known)) => *known = message,
            None => self.subscriptions.push((key, message)),
        }
    }

    /// Forgets a subscription.
    pub fn unsubscribe(&mut self, key: &Value) {
        self.subscriptions.retain(|(other, _)| other != key);
    }

    /// Whether there is an opening to say again.
    pub fn opens(&self) -> bool {
        self.opening.is_some()
    }

    /// Everything to say again, in order.
    pub fn messages(&self) -> Vec<Out> {
        let subscriptions = self.subscriptions.iter().map(|(_, message)| message);
        self.opening.iter().chain(subscriptions).cloned().collect()
    }
}

/// Values of the server that a resume message, a ping or an address needs, by name.
#[derive(Clone, Default)]
pub struct Captured(BTreeMap<String, Value>);

// They are tokens, so only their names are printed.
impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Captured {
    /// Remembers the value at the path, if it is there and not `null`.
    pub fn capture(&mut self, name: &str, message: &Value, path: &[&str]) {
        if let Some(value) = look_up(message, path).filter(|value| !value.is_null()) {
            self.0.insert(name.to_owned(), value.clone());
        }
    }

    /// Remembers a value, if there is one.
    pub fn set(&mut self, name: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        match self.0.get_mut(name) {
            Some(known) => *known = value,
            None => drop(self.0.insert(name.to_owned(), value)),
        }
    }

    /// A remembered value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether there is nothing to resume with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets everything, when the server says that the session cannot be resumed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What tells a subscription from others: the id of its message and a member of it.
pub fn key(message: &str, of: Option<Value>) -> Value {
    Value::from(vec![message.into(), of.unwrap_or_default()])
}

/// A member of a message as JSON; `None` if it is absent or `null`.
pub fn value<T: Serialize + ?Sized>(member: &T) -> Option<Value> {
    serde_json::to_value(member).ok().filter(|value| !value.is_null())
}

/// The value at a path of member names.
pub fn look_up<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// Puts a value at a path, making the objects on the way; what is no object is replaced by one.
pub fn put(into: &mut Value, path: &[&str], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *into = value;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(members) = into {
        put(members.entry(*name).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replay_says_the_opening_and_what_is_still_subscribed() {
        let mut replay = Replay::default();
        replay.subscribe("a", "sub a");
        replay.subscribe("b", "sub b");
        replay.open("init");
        replay.subscribe("a", "sub a again");
        replay.unsubscribe(&json!("b"));
        assert_eq!(replay.messages(), ["init", "sub a again"]);
    }

    #[test]
    fn captured_values_are_found_and_not_printed() {
        let mut captured = Captured::default();
        captured.capture("session", &json!({"d": {"id": "s3cret"}}), &["d", "id"]);
        captured.capture("seq", &json!({"s": null}), &["s"]);
        assert_eq!((captured.get("session"), captured.get("seq")), (Some(&json!("s3cret")), None));
        assert_eq!(format!("{captured:?}"), r#"{"session"}"#);
        let mut pong = json!(null);
        put(&mut pong, &["d", "echo"], json!(7));
        assert_eq!(pong, json!({"d": {"echo": 7}}));
    }
}
