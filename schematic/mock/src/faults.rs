//! How the server misbehaves, and the short notation for it.
//!
//! The notation is the same for the command's flag and for the query `?mock=`: parts with commas between them, each
//! `WHAT`, `WHAT:N` (after N messages from the client were answered) or `WHAT:N:sent` (after the server has sent N).
//! `WHAT` is `drop`, `close=CODE`, `unknown`, `binary`, `invalid`, `utf8`, `oversize` or `oversize=BYTES`. Beside them
//! stand `delay=MS`, `events=N` and `connections=N`.

use std::time::Duration;

/// Larger than what WebSocket libraries take in one frame unless told otherwise, in bytes.
const OVERSIZE: usize = 17 << 20;

/// Everything that a server does wrong, or beyond answering.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// What goes wrong, each once a connection
    pub faults: Vec<Fault>,
    /// How long every message of the server is held back
    pub delay: Duration,
    /// How many events the server sends by itself once a session is open
    pub events: u32,
    /// Only so many connections misbehave, and later ones do not; without it all do
    pub connections: Option<u64>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What
    pub what: Misbehaviour,
    /// When
    pub after: Count,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// The connection ends without a close frame
    Drop,
    /// The connection is closed with this code
    Close(u16),
    /// A message comes that the definition does not know
    Unknown,
    /// A binary frame comes that means nothing
    Binary,
    /// A text frame comes that is not JSON
    InvalidJson,
    /// A text frame comes that is not UTF-8
    InvalidUtf8,
    /// A text frame of so many bytes comes
    Oversize(usize),
}

/// After which message something happens; 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// After so many messages from the client, when they were answered
    Received(u32),
    /// After so many messages from the server
    Sent(u32),
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// One thing goes wrong on every connection.
    pub fn one(what: Misbehaviour, after: Count) -> Self {
        Self { faults: vec![Fault { what, after }], ..Self::default() }
    }

    /// Reads the notation: `drop:101`, `close=4000:2`, `unknown:1,delay=20`, `events=20,drop:5:sent`.
    ///
    /// # Errors
    /// A sentence that names the part that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut faults = Self::none();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            faults.add(part).ok_or_else(|| unreadable(part))?;
        }
        Ok(faults)
    }

    /// These faults and others; of what both say, the others' word counts.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.faults.extend(other.faults);
        if !other.delay.is_zero() {
            self.delay = other.delay;
        }
        if other.events != 0 {
            self.events = other.events;
        }
        self
    }

    fn add(&mut self, part: &str) -> Option<()> {
        let mut pieces = part.split(':');
        let (what, value) = match pieces.next()?.split_once('=') {
            Some((what, value)) => (what, Some(value)),
            None => (part.split(':').next()?, None),
        };
        let number = || value?.parse::<u64>().ok();
        match what {
            "delay" => self.delay = Duration::from_millis(number()?),
            "events" => self.events = number()?.try_into().ok()?,
            "connections" => self.connections = Some(number()?),
            other => {
                let what = misbehaviour(other, value)?;
                let count = pieces.next().map_or(Some(0), |n| n.parse().ok())?;
                let after = match pieces.next() {
                    None => Count::Received(count),
                    Some("sent") => Count::Sent(count),
                    Some(_) => return None,
                };
                self.faults.push(Fault { what, after });
            }
        }
        pieces.next().is_none().then_some(())
    }
}

fn misbehaviour(what: &str, value: Option<&str>) -> Option<Misbehaviour> {
    match (what, value) {
        ("drop", None) => Some(Misbehaviour::Drop),
        ("close", Some(code)) => {
            code.parse().ok().filter(|code| (1000..5000).contains(code)).map(Misbehaviour::Close)
        }
        ("unknown", None) => Some(Misbehaviour::Unknown),
        ("binary", None) => Some(Misbehaviour::Binary),
        ("invalid", None) => Some(Misbehaviour::InvalidJson),
        ("utf8", None) => Some(Misbehaviour::InvalidUtf8),
        ("oversize", None) => Some(Misbehaviour::Oversize(OVERSIZE)),
        ("oversize", Some(bytes)) => bytes.parse().ok().map(Misbehaviour::Oversize),
        (_, _) => None,
    }
}

fn unreadable(part: &str) -> String {
    format!(
        "`{part}` is no misbehaviour; write one of drop, close=CODE, unknown, binary, invalid, utf8, oversize, each \
         with `:N` or `:N:sent`, or delay=MS, events=N, connections=N"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_says_what_when_and_how_often() {
        let faults =
            Faults::parse("drop:3, close=4000:2:sent,delay=20,events=7,connections=1,unknown").unwrap();
        let expected = Faults {
            faults: vec![
                Fault { what: Misbehaviour::Drop, after: Count::Received(3) },
                Fault { what: Misbehaviour::Close(4000), after: Count::Sent(2) },
                Fault { what: Misbehaviour::Unknown, after: Count::Received(0) },
            ],
            delay: Duration::from_millis(20),
            events: 7,
            connections: Some(1),
        };
        assert_eq!(faults, expected);
        assert_eq!(Faults::parse("oversize=9").unwrap().faults[0].what, Misbehaviour::Oversize(9));
        assert_eq!(Faults::parse(""), Ok(Faults::none()));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for bad in [
            "fall",
            "drop:x",
            "drop:1:seen",
            "close",
            "close=7",
            "delay",
            "drop=1",
            "drop:1:sent:2",
            "delay=1:2",
        ] {
            let error = Faults::parse(bad).unwrap_err();
            assert!(error.starts_with(&format!("`{bad}` is no misbehaviour")), "{error}");
        }
    }
}
