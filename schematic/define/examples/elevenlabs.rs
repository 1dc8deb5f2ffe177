//! The ElevenLabs literal of the design document's example, word for word: it compiles as it stands there, and
//! `WebSocketApi::check()` accepts it.
//!
//! Run it with `cargo run -p schematic-define --example elevenlabs`. What the literal cannot carry (shapes of messages,
//! how they are told apart, aliases) is in the full definition, `schematic_definitions::elevenlabs::elevenlabs()`.
#![allow(clippy::print_stdout, clippy::let_and_return)]

#[rustfmt::skip]
use schematic_define::{
    WebSocketApi, WebSocketEndpoint, ConnectionLifecycle,
    MessageSchema, MessageDirection, ConnectionParam, ParamType,
    AuthStrategy, Schema,
};

/// The design document's example.
#[rustfmt::skip]
fn design_document() -> WebSocketApi {
    let elevenlabs = WebSocketApi {
        name: "ElevenLabs".to_string(),
        description: "ElevenLabs Text-to-Speech API".to_string(),
        base_url: "wss://api.elevenlabs.io".to_string(),
        docs_url: Some("https://elevenlabs.io/docs/api-reference".to_string()),
        auth: AuthStrategy::ApiKey {
            header: "xi-api-key".to_string(),
        },
        env_auth: vec!["ELEVENLABS_API_KEY".to_string()],
        env_username: None,
        headers: vec![],
        endpoints: vec![
            WebSocketEndpoint {
                id: "StreamTextToSpeech".to_string(),
                path: "/v1/text-to-speech/{voice_id}/stream-input".to_string(),
                description: "Stream text input for real-time TTS".to_string(),
                connection_params: vec![
                    ConnectionParam {
                        name: "model_id".to_string(),
                        param_type: ParamType::String,
                        required: false,
                        default: None,
                    },
                    ConnectionParam {
                        name: "output_format".to_string(),
                        param_type: ParamType::String,
                        required: false,
                        default: Some("mp3_44100_128".to_string()),
                    },
                    ConnectionParam {
                        name: "enable_ssml_parsing".to_string(),
                        param_type: ParamType::Boolean,
                        required: false,
                        default: Some("false".to_string()),
                    },
                ],
                lifecycle: ConnectionLifecycle {
                    initialize: Some(MessageSchema {
                        id: "InitializeConnection".to_string(),
                        description: "Initialize connection with settings".to_string(),
                        direction: MessageDirection::ClientToServer,
                        schema: Schema::new("InitializeConnectionMessage"),
                        repeatable: false,
                    }),
                    streaming_messages: vec![
                        MessageSchema {
                            id: "SendText".to_string(),
                            description: "Send text chunk for synthesis".to_string(),
                            direction: MessageDirection::ClientToServer,
                            schema: Schema::new("SendTextMessage"),
                            repeatable: true,
                        },
                    ],
                    close: Some(MessageSchema {
                        id: "CloseConnection".to_string(),
                        description: "Close the WebSocket connection".to_string(),
                        direction: MessageDirection::ClientToServer,
                        schema: Schema::new("CloseConnectionMessage"),
                        repeatable: false,
                    }),
                    server_messages: vec![
                        MessageSchema {
                            id: "AudioOutput".to_string(),
                            description: "Audio chunk with alignment data".to_string(),
                            direction: MessageDirection::ServerToClient,
                            schema: Schema::new("AudioOutputMessage"),
                            repeatable: true,
                        },
                        MessageSchema {
                            id: "FinalOutput".to_string(),
                            description: "Final message indicating completion".to_string(),
                            direction: MessageDirection::ServerToClient,
                            schema: Schema::new("FinalOutputMessage"),
                            repeatable: false,
                        },
                    ],
                },
            },
        ],
    };

    elevenlabs
}

fn main() -> std::process::ExitCode {
    let api = design_document();
    match api.check() {
        Ok(()) => {
            println!("{}: accepted, {} endpoint(s)", api.name, api.endpoints.len());
            std::process::ExitCode::SUCCESS
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
