//! A session that speaks plain strings, and short words for waiting.

use std::time::Duration;

use schematic_runtime::{
    Ack, Attempt, Captured, Connection, Ending, Error, ErrorKind, Event, Frame, MemoryServer, Peer, Policy,
    Reconnect, Replay, Session, Target, memory,
};
use serde_json::Value;

/// What a test may want of a session beyond strings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    pub(crate) url: String,
    pub(crate) target: Option<Target>,
    pub(crate) awaits_ack: bool,
    pub(crate) replay: Replay<String>,
    pub(crate) captured: Captured,
}

pub(crate) type WordsEvent = Event<String, String>;

impl Session for Words {
    type In = String;
    type Out = String;

    async fn target(&mut self, _: Attempt) -> Result<Target, Error> {
        let plain = if self.url.is_empty() { "ws://memory" } else { &self.url };
        Ok(self.target.clone().unwrap_or_else(|| Target::new(plain)))
    }

    fn encode(message: &String) -> Result<Frame, Error> {
        Ok(Frame::Text(message.clone()))
    }

    fn decode(frame: Frame) -> Result<String, Error> {
        match frame {
            Frame::Text(text) if text.starts_with("{bad") => {
                Err(Error::shape("The server sent text that is not JSON", &Frame::Text(text)))
            }
            Frame::Text(text) => Ok(text),
            Frame::Binary(_) => Err(Error::shape("The server sent a binary frame", &frame)),
        }
    }

    fn opening(&mut self, attempt: Attempt) -> Vec<String> {
        match self.captured.get("session") {
            Some(token) if attempt.resume => vec![format!("resume {token}")],
            _ if attempt.reconnect => self.replay.messages(),
            _ => Vec::new(),
        }
    }

    fn awaits_ack(&self, _: Attempt) -> bool {
        self.awaits_ack
    }

    fn acknowledges(&self, message: &String) -> Ack {
        match message.as_str() {
            "welcome" => Ack::Accepted,
            "denied" => Ack::Refused,
            _ => Ack::None,
        }
    }

    fn said(&mut self, message: &String) {
        match message.split_once(' ') {
            None if message == "init" => self.replay.open(message.clone()),
            Some(("sub", topic)) => self.replay.subscribe(topic, message.clone()),
            Some(("unsub", topic)) => self.replay.unsubscribe(&topic.into()),
            _ => {}
        }
    }

    fn heard(&mut self, message: &String) {
        if let Some(token) = message.strip_prefix("token ") {
            self.captured.capture("session", &token.into(), &[]);
        }
    }

    fn restores(&self, message: &String) -> bool {
        self.replay.messages().contains(message)
    }

    fn idempotent(&self, message: &String) -> bool {
        message.starts_with("get ")
    }

    fn confirms(&mut self, message: &String) -> usize {
        usize::from(message.starts_with("ack "))
    }

    fn ping(&mut self) -> Option<String> {
        Some("ping".to_owned())
    }

    fn is_beat(&self, message: &String) -> bool {
        message == "pong" || message.starts_with("beat ")
    }

    fn pong(&self, message: &String) -> Option<String> {
        message.strip_prefix("beat ").map(|echo| format!("alive {echo}"))
    }

    fn interval(&self, message: &String) -> Option<Duration> {
        message.strip_prefix("interval ")?.parse().ok().map(Duration::from_millis)
    }

    fn reply_id(&self, message: &String) -> Option<Value> {
        serde_json::from_str(message.strip_prefix("re ")?.split_once(' ')?.0).ok()
    }

    fn coalesce_key(&self, message: &String) -> Option<Value> {
        message.split_once('=').map(|(key, _)| key.into())
    }
}

/// Comes back by replaying, at once.
pub(crate) fn replaying() -> Policy {
    let mut policy = Policy { reconnect: Reconnect::Replay, ..Policy::default() };
    policy.backoff.initial = Duration::from_millis(10);
    policy
}

/// A connection on a network in memory, and its first peer.
pub(crate) async fn connected(policy: Policy) -> (Connection<Words>, MemoryServer, Peer) {
    let (transport, mut server) = memory();
    let mut connection = Connection::open(Words::default(), transport, policy);
    let peer = server.accept().await.unwrap();
    opened(&mut connection).await;
    (connection, server, peer)
}

/// Reads events up to `Open` or `Reconnected`.
pub(crate) async fn opened(connection: &mut Connection<Words>) {
    until(connection, |event| matches!(event, Event::Open { .. } | Event::Reconnected { .. })).await;
}

/// Reads events up to one.
pub(crate) async fn until(
    connection: &mut Connection<Words>,
    which: impl Fn(&WordsEvent) -> bool,
) -> WordsEvent {
    loop {
        let event = connection.next().await.expect("the connection goes on");
        if which(&event) {
            return event;
        }
    }
}

/// The next message.
pub(crate) async fn heard(connection: &mut Connection<Words>) -> String {
    match until(connection, |event| matches!(event, Event::Message(_))).await {
        Event::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

/// How it ended, and what was not sent.
pub(crate) async fn closed(connection: &mut Connection<Words>) -> (Ending, Vec<String>) {
    match until(connection, |event| matches!(event, Event::Closed { .. })).await {
        Event::Closed { ending, unsent } => (ending, unsent),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn kind(ending: &Ending) -> Option<ErrorKind> {
    ending.error.as_ref().map(|error| error.kind)
}
