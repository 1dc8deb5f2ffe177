//! The session-chat dialect: `/ws/{session_id}`.
//!
//! One chat a socket. A person's words go in as `{"content": …}`; out come the echo, the growing answer, tool results
//! and the whole answer. Clients of the founding documents 002 and 003 work unchanged; ours ask for deltas and
//! resume by sequence number.

mod codec;
mod past;
mod spell;
// The generator lays its lines out itself.
#[rustfmt::skip]
pub mod wire;

use std::time::Duration;

use crate::session::{Opening, Protocol, Rate, Refusal, Session};

pub use codec::SessionChat;

/// The dialect as a value.
pub const PROTOCOL: Protocol = Protocol {
    name: "session_chat",
    path: "/ws/{session_id}",
    also: &[],
    open,
    rate: Rate::Path("session_id"),
    origin_close_code: 4003,
    max_message: 1024 * 1024,
    ping_every: Duration::from_secs(30),
    first_ping_after: Duration::ZERO,
    transcripts: TRANSCRIPTS,
};

macro_rules! transcripts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("transcripts/", $name, ".txt")))),*]
    };
}

const TRANSCRIPTS: &[(&str, &str)] = transcripts![
    "a_founding_client",
    "a_person_agrees",
    "a_question_and_its_answer",
    "a_tool_and_a_diagram",
    "bad_frames",
    "coming_back",
    "messages_wait_their_turn",
    "stop_from_another_tab",
];

fn open(opening: Opening<'_>) -> Result<Box<dyn Session>, Refusal> {
    match opening.param("session_id").parse() {
        Ok(session) => Ok(Box::new(SessionChat::new(session))),
        Err(_) => Err(Refusal { code: 4001, reason: "Invalid session".into() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::wire::{ClientMessage, ServerMessage};
    use super::*;
    use crate::transcript::{Line, parse};

    /// Every frame of every conversation, by who sends it. Placeholders for numbers become numbers.
    fn frames() -> (Vec<Value>, Vec<Value>) {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        for (name, text) in TRANSCRIPTS {
            for line in parse(text).unwrap_or_else(|error| panic!("{name}: {error}")) {
                match line {
                    Line::Send(text) => client.extend(serde_json::from_str::<Value>(&text)),
                    Line::Expect(frame) => server.push(filled(frame)),
                    Line::Tab(_) | Line::Partials => {}
                }
            }
        }
        (client, server)
    }

    fn filled(frame: Value) -> Value {
        match frame {
            Value::String(name) if name.starts_with("$#") => 7.into(),
            Value::String(name) if name == "$*" => Value::Null,
            Value::Object(members) => members
                .into_iter()
                .filter(|(name, _)| name != "…")
                .map(|(name, value)| (name, filled(value)))
                .collect(),
            other => other,
        }
    }

    #[test]
    fn what_is_written_is_decoded_and_encoded_to_the_same() {
        let (client, server) = frames();
        for frame in client.iter().filter(|frame| !is_bad(frame)) {
            let message = ClientMessage::decode(&frame.to_string()).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&message.encode()).unwrap(), without_unknown(frame));
        }
        for frame in server.iter().filter(|frame| is_whole(frame)) {
            let message = ServerMessage::decode(&frame.to_string()).unwrap();
            assert!(!matches!(message, ServerMessage::Unknown { .. }), "{frame}");
            assert_eq!(serde_json::from_str::<Value>(&message.encode()).unwrap(), *frame);
        }
    }

    fn is_bad(frame: &Value) -> bool {
        frame["content"].is_number()
    }

    fn without_unknown(frame: &Value) -> Value {
        let known = frame.as_object().into_iter().flatten().filter(|(name, _)| *name != "unknown");
        let known: serde_json::Map<_, _> = known.map(|(name, value)| (name.clone(), value.clone())).collect();
        if known.is_empty() { frame.clone() } else { known.into() }
    }

    /// Answers are written in part only.
    fn is_whole(frame: &Value) -> bool {
        frame["type"] != "agent"
    }
}
