//! How a connection is kept, as plain values: time limits, backoff, close codes, bounds, rates.
//!
//! Definitions declare these per endpoint; what they leave open is filled in by [`Policy::default`]. Acting upon them
//! is the business of the connection.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is done about a close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseAction {
    /// Gives up: coming back would end the same way
    Fatal,
    /// Comes back with a new session
    Retry,
    /// Comes back and takes the session up where it was
    Resume,
}

/// Whether and how a lost connection is restored. What is said again is up to [`crate::Session::opening`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reconnect {
    /// The session is lost with its link; the caller is told, with what was not sent
    #[default]
    Never,
    /// The opening and the live subscriptions are said again
    Replay,
    /// A captured token takes the session up, where the close code allows it
    Token,
}

/// How long to wait between attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// Delay before the first retry
    pub initial: Duration,
    /// What each further retry multiplies it by
    pub factor: f64,
    /// Longest delay
    pub max: Duration,
    /// Which part of a delay is left to chance, 0 to 1, so that clients do not come back all at once
    pub jitter: f64,
    /// Retries in a row without success before the connection ends
    pub max_attempts: u32,
    /// Time after which a link counts as good and the retries are counted anew
    pub min_uptime: Duration,
}

impl Backoff {
    /// The delay before retry number `attempt`, which counts from 1. `chance` is from 0 up to 1.
    pub fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let times = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.powi(times);
        let part = 1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(grown).unwrap_or(self.max).min(self.max).mul_f64(part)
    }
}

/// A regular sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Time between two beats; with `None` they begin when the server says it
    pub interval: Option<Duration>,
    /// How long the answer may take
    pub timeout: Option<Duration>,
    /// Whether the first beat comes after a random part of the interval
    pub jitter_first: bool,
}

/// What happens to a message for which the outbound queue has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutboundFull {
    /// The sender waits
    #[default]
    Wait,
    /// The sender gets it back with an error
    Refuse,
}

/// What happens when the consumer does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InboundFull {
    /// Nothing more is read from the link, so that the server has to wait; nothing is lost
    #[default]
    Block,
    /// The oldest message is dropped and counted
    DropOldest,
    /// Of messages with the same [`crate::Session::coalesce_key`] only the newest is kept; else as `DropOldest`
    Coalesce,
    /// The connection is closed with an error
    Fail,
}

/// When a message counts as sent. Until then it is handed back if the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// When the operating system has taken it
    #[default]
    Written,
    /// When the server's WebSocket layer has answered a ping frame that was sent after it
    Pong,
    /// When a message says so, by [`crate::Session::confirms`]
    Answer,
}

/// What waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Most messages
    pub messages: usize,
    /// Most bytes
    pub bytes: usize,
    /// Largest message, in bytes
    pub message_bytes: usize,
    /// What happens when it is full
    pub when_full: OutboundFull,
}

/// What waits to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Most messages
    pub messages: usize,
    /// Largest message, in bytes
    pub message_bytes: usize,
    /// What happens when it is full
    pub when_full: InboundFull,
}

/// A rate limit of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// This many messages
    pub messages: usize,
    /// In this time
    pub per: Duration,
}

/// How a connection is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Time for obtaining the address and for the upgrade together
    pub connect: Duration,
    /// Time until the opening is acknowledged
    pub first_ack: Duration,
    /// Time until the first reply to a request
    pub reply: Duration,
    /// Time without a frame after which a link is given up
    pub idle: Option<Duration>,
    /// Time for the goodbye
    pub close: Duration,
    /// Longest life of a link; a session that can be restored goes on with a new one
    pub max_age: Option<Duration>,
    /// Ping frames
    pub ping: Option<Beat>,
    /// Messages that the client sends as signs of life, made by [`crate::Session::ping`]
    pub heartbeat: Option<Beat>,
    /// Whether and how a lost connection is restored
    pub reconnect: Reconnect,
    /// How long to wait between attempts
    pub backoff: Backoff,
    /// What the close codes mean. Others: 1000 ends the session, the rest is as `otherwise` says
    pub close_codes: BTreeMap<u16, CloseAction>,
    /// What is done about a code that is not listed
    pub otherwise: CloseAction,
    /// What waits to be sent
    pub outbound: Outbound,
    /// What waits to be read
    pub inbound: Inbound,
    /// How often the client may send; all of them hold
    pub rates: Vec<Rate>,
    /// When a message counts as sent
    pub confirm: Confirm,
}

/// Codes with which a server says that the client speaks wrongly: saying it again changes nothing.
const FATAL: [u16; 6] = [1002, 1003, 1007, 1008, 1009, 1010];

impl Default for Policy {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_ack: Duration::from_secs(10),
            reply: Duration::from_secs(30),
            idle: None,
            close: Duration::from_secs(3),
            max_age: None,
            ping: None,
            heartbeat: None,
            reconnect: Reconnect::default(),
            backoff: Backoff::default(),
            close_codes: FATAL.map(|code| (code, CloseAction::Fatal)).into(),
            otherwise: CloseAction::Retry,
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            rates: Vec::new(),
            confirm: Confirm::default(),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.5,
            max_attempts: 5,
            min_uptime: Duration::from_secs(5),
        }
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self { messages: 256, bytes: 1 << 20, message_bytes: 1 << 20, when_full: OutboundFull::default() }
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self { messages: 1024, message_bytes: 16 << 20, when_full: InboundFull::default() }
    }
}

impl Policy {
    /// What is done when a link ended with this code.
    pub fn close_action(&self, code: u16) -> CloseAction {
        let unlisted = if code == 1000 { CloseAction::Fatal } else { self.otherwise };
        self.close_codes.get(&code).copied().unwrap_or(unlisted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff { jitter: 0.5, ..Backoff::default() };
        let seconds = |attempt| backoff.delay(attempt, 0.0).as_secs();
        assert_eq!([1, 2, 3, 6, u32::MAX].map(seconds), [1, 2, 4, 30, 30]);
        assert_eq!(backoff.delay(1, 1.0), Duration::from_millis(500));
    }

    #[test]
    fn a_normal_end_is_final_unless_the_table_says_otherwise() {
        let mut policy = Policy::default();
        let actions = |policy: &Policy| [1000, 1006, 1008].map(|code| policy.close_action(code));
        assert_eq!(actions(&policy), [CloseAction::Fatal, CloseAction::Retry, CloseAction::Fatal]);
        policy.close_codes.insert(1000, CloseAction::Resume);
        assert_eq!(policy.close_action(1000), CloseAction::Resume);
    }
}
