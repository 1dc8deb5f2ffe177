//! The live-data dialect: `/api/ws` and `/api/…`.
//!
//! Records are read, written and watched, and chats led, by programs. Clients written against the public crate
//! `ekodb_client` work unchanged; ours resume watches by offset and chats by sequence number.

// The generator lays its lines out itself.
#[rustfmt::skip]
pub mod wire;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::wire::{ClientMessage, ServerMessage};

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

    #[track_caller]
    fn check(example: &Value, written: &str) {
        assert_eq!(serde_json::from_str::<Value>(written).unwrap(), *example);
    }
}
