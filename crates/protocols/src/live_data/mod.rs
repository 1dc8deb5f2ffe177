//! The live-data dialect: `/api/ws` and `/api/…`.
//!
//! Records are read, written and watched, and chats led, by programs. Clients written against the public crate
//! `ekodb_client` work unchanged; ours resume watches by offset and chats by sequence number.

pub mod ask;
pub mod chats;
mod codec;
mod correlate;
pub mod filter;
pub mod http;
pub mod input;
mod notify;
pub mod pack;
pub mod schema;
pub mod spell;
pub mod typed;
// The generator lays its lines out itself.
#[rustfmt::skip]
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use crate::session::{Opening, Protocol, Rate, Refusal, Session};

pub use codec::LiveData;

/// The dialect as a value.
pub const PROTOCOL: Protocol = Protocol {
    name: "live_data",
    path: "/api/ws",
    also: &[],
    open,
    rate: Rate::Unlimited,
    origin_close_code: 4003,
    max_message: 16 * 1024 * 1024,
    ping_every: Duration::from_secs(15),
    // Clients take whatever comes first for the answer to their Hello.
    first_ping_after: Duration::from_secs(60),
    transcripts: TRANSCRIPTS,
};

fn open(opening: Opening<'_>) -> Result<Box<dyn Session>, Refusal> {
    Ok(Box::new(LiveData::new(Arc::clone(opening.switches), opening.now)))
}

macro_rules! transcripts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("transcripts/", $name, ".txt")))),*]
    };
}

const TRANSCRIPTS: &[(&str, &str)] = transcripts![
    "batches",
    "chat",
    "chat_follow",
    "collections",
    "errors",
    "hello",
    "records",
    "replies_without_ids",
    "subscriptions",
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::wire::{ClientMessage, ServerMessage};
    use crate::transcript::{Line, filled, parse};

    fn examples(direction: schematic_define::MessageDirection) -> Vec<Value> {
        let definition = tidewire_definitions::live_data::definition();
        let messages = definition.websocket_endpoints()[0].lifecycle.messages();
        let ids: Vec<_> = messages.filter(|m| m.direction == direction).map(|m| m.id.clone()).collect();
        let facts = definition.messages.iter().filter(|facts| ids.contains(&facts.id));
        facts.flat_map(|facts| facts.examples.iter().map(|example| example.value.clone())).collect()
    }

    #[test]
    fn the_examples_of_the_reference_are_read_and_written_as_they_are() {
        for example in examples(schematic_define::MessageDirection::ClientToServer) {
            let read = ClientMessage::decode(&example.to_string()).unwrap();
            let message = read.message.unwrap_or_else(|error| panic!("{error}: {example}"));
            assert!(!matches!(message, ClientMessage::Unknown { .. }), "{example}");
            if example["type"] != "RawComplete" || example.get("payload").is_none() {
                check(&example, &message.encode(read.id.as_deref()));
            }
        }
        for example in examples(schematic_define::MessageDirection::ServerToClient) {
            let read = ServerMessage::decode(&example.to_string()).unwrap();
            check(&example, &read.message.unwrap().encode(read.id.as_deref()));
        }
    }

    #[test]
    fn what_is_written_is_decoded_and_encoded_to_the_same() {
        for (name, text) in super::TRANSCRIPTS {
            for line in parse(text).unwrap_or_else(|error| panic!("{name}: {error}")) {
                match line {
                    Line::Send(text) => assert!(ClientMessage::decode(&text).is_ok(), "{name}: {text}"),
                    Line::Expect(frame) => {
                        let Some(frame) = filled(frame) else { continue };
                        let read = ServerMessage::decode(&frame.to_string()).unwrap();
                        let message = read.message.unwrap_or_else(|error| panic!("{name}: {error}"));
                        assert!(!matches!(message, ServerMessage::Unknown { .. }), "{name}: {frame}");
                        check(&frame, &message.encode(read.id.as_deref()));
                    }
                    Line::Tab(_) | Line::Partials => {}
                }
            }
        }
    }

    #[track_caller]
    fn check(example: &Value, written: &str) {
        assert_eq!(serde_json::from_str::<Value>(written).unwrap(), *example);
    }
}
