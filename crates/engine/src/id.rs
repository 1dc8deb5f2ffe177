//! Ids, positions and time.
//!
//! Ids are UUIDv7 (RFC 9562 §5.7) written as 32 hex digits, so that they sort by birth. Time is whole
//! microseconds of UTC since 1970 and comes from a [`Clock`] that is passed in.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::error::{Detail, Error, Result};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts after all that were born before it on this machine.
            #[allow(clippy::new_without_default, reason = "a default that differs at each call would surprise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The sixteen bytes, as the store keeps them.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the sixteen bytes that the store kept.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| Error::invalid(format!("{text:?} is not an id; ids are 32 hex digits")))
            }
        }
    };
}

uuid_id! {
    /// One conversation. A session id is its alias in its owner's namespace, a run id resolves to it.
    ChatId
}
uuid_id! {
    /// One run of an agent, from the message that caused it to its last event.
    RunId
}

impl RunId {
    /// When the run was made, by the machine's clock: when its message was accepted.
    pub fn born(&self) -> Timestamp {
        let millis = self.0.as_bytes().iter().take(6).fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        Timestamp(millis * 1000)
    }
}

/// A record's key within its collection: our own 32 hex digits, or what the client chose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub String);

impl RecordId {
    /// A new id that sorts after all that were born before it on this machine.
    #[allow(clippy::new_without_default, reason = "a default that differs at each call would surprise")]
    pub fn new() -> Self {
        Self(Uuid::now_v7().simple().to_string())
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for RecordId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

/// The name that a client gave to its chat: 1 to 128 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// The longest session id.
    pub const MAX_LEN: usize = 128;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits && clean {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid("a session id has 1 to 128 of the characters A-Z a-z 0-9 . _ -")
            .with(Detail::Field("session_id".into())))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in one chat's log. The first entry is 1; 0 is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// Before everything.
    pub const START: Self = Self(0);

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in one collection's change log. The first change is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the unclean starts of a data folder. A power loss may cut a chat log's unsynced tail; positions of an
/// older epoch beyond the cut are then unknown instead of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Where a reader of a chat's log was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The epoch in which it read. `None`: it did not say, and is believed.
    pub epoch: Option<Epoch>,
    /// The last sequence number that it saw.
    pub seq: Seq,
}

/// Microseconds of UTC since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// RFC 3339 in UTC with microseconds, for example `2026-11-21T11:16:04.000000Z`. A time that no calendar has, which is
    /// thousands of years away, is written as the nearest that it has.
    pub fn to_rfc3339(self) -> String {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        format!("{:.6}", jiff::Timestamp::from_microsecond(self.0).unwrap_or(nearest))
    }

    /// From RFC 3339 text, if it is that.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }

    /// How long after `earlier` it is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

/// Where the time comes from: passed in, so that tests say what time it is.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is told.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Shows another time, as a clock that is set.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Lets `by` pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_32_hex_digits_and_come_back() {
        let id = ChatId::new();
        let text = id.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<ChatId>().unwrap(), id);
        assert!("nonsense".parse::<ChatId>().is_err());
    }

    #[test]
    fn a_run_knows_when_it_was_made() {
        let before = SystemClock.now();
        let born = RunId::new().born();
        assert!(born.0 >= before.0 - 1_000 && born.0 <= SystemClock.now().0, "{born:?}");
    }

    #[test]
    fn session_ids_are_checked() {
        for good in ["a", "user-session-123", "A.b_c-9"] {
            assert!(good.parse::<SessionId>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", "../x/y", &"x".repeat(129)] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        let at = Timestamp(1_763_722_564_000_001);
        assert_eq!(Timestamp::from_rfc3339(&at.to_rfc3339()), Some(at));
        assert_eq!(Timestamp(0).to_rfc3339(), "1970-01-01T00:00:00.000000Z");
    }

    proptest! {
        /// Ids survive being written, and what is none is refused in a sentence.
        #[test]
        fn any_text_is_an_id_or_refused(text in prop_oneof![".{0,40}", "[0-9a-fA-F{}-]{30,40}", "[A-Za-z0-9._-]{0,130}"]) {
            if let Ok(chat) = text.parse::<ChatId>() {
                prop_assert_eq!(chat.to_string().parse::<ChatId>().unwrap(), chat);
            }
            match text.parse::<SessionId>() {
                Ok(session) => prop_assert_eq!(session.as_str(), &text),
                Err(error) => prop_assert!(error.message.contains("1 to 128")),
            }
            if let Some(at) = Timestamp::from_rfc3339(&text) {
                prop_assert_eq!(Timestamp::from_rfc3339(&at.to_rfc3339()), Some(at));
            }
        }

        /// Any number is a time; one that no calendar has is written as the nearest that it has.
        #[test]
        fn any_time_can_be_written(at in prop_oneof![any::<i64>(), -(1_i64 << 58)..1 << 58, Just(i64::MIN), Just(i64::MAX)]) {
            let read = Timestamp::from_rfc3339(&Timestamp(at).to_rfc3339()).unwrap();
            let ends = [jiff::Timestamp::MIN, jiff::Timestamp::MAX].map(|end| end.as_microsecond());
            prop_assert_eq!(read, Timestamp(at.clamp(ends[0], ends[1])));
        }
    }
}
