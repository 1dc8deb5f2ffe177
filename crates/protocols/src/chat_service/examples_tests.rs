use schematic_define::MessageDirection;
use serde_json::Value;

use super::wire::{ClientMessage, ServerMessage};
use super::*;
use crate::transcript::{Line, filled, parse};

fn examples(direction: MessageDirection) -> Vec<Value> {
    let definition = tidewire_definitions::chat_service::definition();
    let messages = definition.websocket_endpoints()[0].lifecycle.messages();
    let ids: Vec<_> = messages.filter(|m| m.direction == direction).map(|m| m.id.clone()).collect();
    let facts = definition.messages.iter().filter(|facts| ids.contains(&facts.id));
    facts.flat_map(|facts| facts.examples.iter().map(|example| example.value.clone())).collect()
}

#[track_caller]
fn same(example: &Value, written: &str) {
    assert_eq!(serde_json::from_str::<Value>(written).unwrap(), *example);
}

#[test]
fn the_examples_of_the_reference_are_read_and_written_as_they_are() {
    for example in examples(MessageDirection::ClientToServer) {
        let read = ClientMessage::decode(&example.to_string()).unwrap();
        assert!(!matches!(read, ClientMessage::Unknown { .. }), "{example}");
        same(&example, &read.encode());
    }
    for example in examples(MessageDirection::ServerToClient) {
        let read = ServerMessage::decode(&example.to_string()).unwrap();
        assert!(!matches!(read, ServerMessage::Unknown { .. }), "{example}");
        same(&example, &read.encode());
    }
}

/// Every request of the reference is one that the server takes.
#[test]
fn the_examples_of_requests_have_no_fault() {
    for example in examples(MessageDirection::ClientToServer) {
        let kind = check::Kind::from_name(example["type"].as_str().unwrap()).unwrap();
        assert_eq!(check::request(kind, example.as_object().unwrap()), [], "{example}");
    }
}

#[test]
fn what_is_written_is_decoded_and_encoded_to_the_same() {
    for (name, text) in TRANSCRIPTS {
        for line in parse(text).unwrap_or_else(|error| panic!("{name}: {error}")) {
            match line {
                Line::Send(text) if *name != "bad_requests" => {
                    let read = ClientMessage::decode(&text).unwrap();
                    same(&serde_json::from_str(&text).unwrap(), &read.encode());
                }
                Line::Expect(frame) => {
                    let Some(frame) = filled(frame) else { continue };
                    let read = ServerMessage::decode(&frame.to_string()).unwrap();
                    assert!(!matches!(read, ServerMessage::Unknown { .. }), "{name}: {frame}");
                    same(&frame, &read.encode());
                }
                Line::Send(_) | Line::Tab(_) | Line::Partials => {}
            }
        }
    }
}
