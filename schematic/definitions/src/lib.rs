//! Definitions of public APIs, one file an API: WebSockets, and one REST API as an example.
//!
//! They are facts about other people's services, collected from their references and clients; each file says which
//! quirks it covers. [`all`] lists them by the name under which the command `schematic` knows them. Each was chosen
//! because it needs something that the others do not.

pub mod deepgram;
pub mod discord;
pub mod elevenlabs;
pub mod elevenlabs_rest;
pub mod graphql_transport_ws;
pub mod home_assistant;
pub mod openai_realtime;
mod shorthand;
pub mod transcripts;

use schematic_define::Definition;

/// Every definition, with the name by which it is asked for.
pub fn all() -> Vec<(&'static str, Definition)> {
    vec![
        ("deepgram", deepgram::deepgram()),
        ("discord", discord::discord()),
        ("elevenlabs", elevenlabs::elevenlabs()),
        ("elevenlabs_rest", elevenlabs_rest::elevenlabs_rest()),
        ("graphql_transport_ws", graphql_transport_ws::graphql_transport_ws()),
        ("home_assistant", home_assistant::home_assistant()),
        ("openai_realtime", openai_realtime::openai_realtime()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_accepted() {
        for (name, definition) in all() {
            assert_eq!(definition.check(), Ok(()), "{name}");
            assert!(definition.websocket.is_some() || definition.rest.is_some(), "{name}");
            assert_eq!(definition.websocket.map_or(Ok(()), |api| api.check()), Ok(()), "{name}");
        }
    }

    #[test]
    fn every_definition_survives_json_and_yaml() {
        for (name, definition) in all() {
            assert_eq!(Definition::from_json(&definition.to_json()).unwrap(), definition, "{name}");
            assert_eq!(Definition::from_yaml(&definition.to_yaml()).unwrap(), definition, "{name}");
        }
    }

    #[test]
    fn every_message_has_an_example() {
        for (name, definition) in all() {
            for facts in &definition.messages {
                assert!(!facts.examples.is_empty(), "{name}: {}", facts.id);
            }
        }
    }
}
