//! The written conversations of the chat service, read and written with this client's types.

use std::path::Path;

use serde_json::Value;
use tidewire_client::generated::chat_service::wire::{ClientMessage, ServerMessage};

/// A frame with its names filled, or nothing if only a part of it is written.
fn filled(frame: Value) -> Option<Value> {
    match frame {
        Value::String(name) if name.starts_with("$#") => Some(7.into()),
        Value::Object(members) if members.contains_key("…") => None,
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| Some((name, filled(value)?))).collect()
        }
        Value::Array(items) => items.into_iter().map(filled).collect(),
        other => Some(other),
    }
}

#[track_caller]
fn same(expected: &Value, written: &str) {
    assert_eq!(serde_json::from_str::<Value>(written).unwrap(), *expected);
}

#[test]
fn what_is_written_is_decoded_and_encoded_to_the_same() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/protocols/src/chat_service/transcripts");
    let mut frames = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let bad = file.file_stem().unwrap() == "bad_requests";
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            match line.split_once(' ') {
                Some((">", said)) if !bad => {
                    let message = ClientMessage::decode(said).unwrap();
                    same(&serde_json::from_str(said).unwrap(), &message.encode());
                }
                Some(("<", heard)) => {
                    let Some(frame) = filled(serde_json::from_str(heard).unwrap()) else { continue };
                    let message = ServerMessage::decode(&frame.to_string()).unwrap();
                    assert!(!matches!(message, ServerMessage::Unknown { .. }), "{frame}");
                    same(&frame, &message.encode());
                    frames += 1;
                }
                _ => {}
            }
        }
    }
    assert!(frames > 30, "only {frames} frames are written with all their members");
}
