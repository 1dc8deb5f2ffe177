//! ElevenLabs: speech from text that is still being written.
//!
//! Two endpoints: `stream-input`, one utterance per connection, and `multi-stream-input`, several contexts in one.
//! Neither side tags its messages; they are told apart by the values and the presence of members, and where they
//! overlap `precedence` says what is tried first. The service is not consistent about names, so many members have
//! aliases. All frames are JSON text; audio is base64 inside it.

use schematic_define::prelude::*;
use serde_json::json;

/// The API without types and policies.
pub fn elevenlabs_api() -> WebSocketApi {
    WebSocketApi {
        name: "ElevenLabs".into(),
        description: "Speech from text that is still being written".into(),
        base_url: "wss://api.elevenlabs.io".into(),
        docs_url: Some("https://elevenlabs.io/docs/api-reference".into()),
        auth: AuthStrategy::ApiKey { header: "xi-api-key".into() },
        env_auth: vec!["ELEVENLABS_API_KEY".into()],
        env_username: None,
        headers: vec![],
        endpoints: vec![stream_input(), multi_stream_input()],
    }
}

/// The whole definition.
pub fn elevenlabs() -> Definition {
    Definition::new("ElevenLabs", "Speech from text that is still being written")
        .with_websocket(elevenlabs_api())
        .with_types(settings())
        .with_types(stream_input_types())
        .with_types(multi_types())
        .with_types(audio_types())
        .with_messages(stream_input_messages())
        .with_messages(multi_messages())
        .with_policy(stream_input_policy())
        .with_policy(multi_policy())
}

fn stream_input() -> WebSocketEndpoint {
    WebSocketEndpoint {
        id: "StreamTextToSpeech".into(),
        path: "/v1/text-to-speech/{voice_id}/stream-input".into(),
        description: "One utterance: text goes in as it is written, audio comes out as it is spoken".into(),
        connection_params: connection_params(),
        lifecycle: ConnectionLifecycle {
            initialize: Some(from_client("InitializeConnection", "Opens the stream with settings", false)),
            streaming_messages: vec![from_client(
                "SendText",
                "Text to speak; a single space keeps the connection alive",
                true,
            )],
            close: Some(from_client(
                "CloseConnection",
                "No more text; the rest is spoken, then the server closes",
                false,
            )),
            server_messages: vec![
                from_server("AudioOutput", "A piece of audio, with the times of its characters", true),
                from_server("FinalOutput", "All text has been spoken", false),
                from_server("ErrorOutput", "The stream failed; a close with the same code follows", false),
            ],
        },
    }
}

fn multi_stream_input() -> WebSocketEndpoint {
    WebSocketEndpoint {
        id: "MultiContextTextToSpeech".into(),
        path: "/v1/text-to-speech/{voice_id}/multi-stream-input".into(),
        description: "Several utterances in one connection, each in a context of its own".into(),
        connection_params: connection_params(),
        lifecycle: ConnectionLifecycle {
            initialize: Some(from_client(
                "InitializeConnectionMulti",
                "Opens the first context with settings",
                false,
            )),
            streaming_messages: vec![
                from_client(
                    "InitialiseContext",
                    "Opens a context, or opens it anew, with its first text",
                    true,
                ),
                from_client("SendTextMulti", "Text to speak in a context", true),
                from_client("FlushContext", "Speaks what a context has buffered", true),
                from_client("CloseContext", "No more text for a context; its rest is spoken", true),
                from_client("KeepContextAlive", "Resets the clock of a context", true),
            ],
            close: Some(from_client(
                "CloseSocket",
                "No more text at all; every rest is spoken, then the server closes",
                false,
            )),
            server_messages: vec![
                from_server("AudioOutputMulti", "A piece of audio of a context", true),
                from_server("FinalOutputMulti", "All text of a context has been spoken", true),
                from_server("ErrorOutput", "The stream failed; a close with the same code follows", false),
            ],
        },
    }
}

fn from_client(id: &str, description: &str, repeatable: bool) -> MessageSchema {
    message(id, description, MessageDirection::ClientToServer, repeatable)
}

fn from_server(id: &str, description: &str, repeatable: bool) -> MessageSchema {
    message(id, description, MessageDirection::ServerToClient, repeatable)
}

fn message(id: &str, description: &str, direction: MessageDirection, repeatable: bool) -> MessageSchema {
    MessageSchema {
        id: id.into(),
        description: description.into(),
        direction,
        schema: Schema::new(format!("{id}Message")),
        repeatable,
    }
}

/// Both endpoints take the same query. `output_format` has no default here, because the documented one is not among
/// the documented formats.
fn connection_params() -> Vec<ConnectionParam> {
    let param = |name: &str, param_type, default: Option<&str>| ConnectionParam {
        name: name.into(),
        param_type,
        required: false,
        default: default.map(Into::into),
    };
    vec![
        param("model_id", ParamType::String, None),
        param("language_code", ParamType::String, None),
        param("enable_logging", ParamType::Boolean, Some("true")),
        param("enable_ssml_parsing", ParamType::Boolean, Some("false")),
        param("output_format", ParamType::String, None),
        param("inactivity_timeout", ParamType::Integer, Some("20")),
        param("sync_alignment", ParamType::Boolean, Some("false")),
        param("auto_mode", ParamType::Boolean, Some("false")),
        param("apply_text_normalization", ParamType::String, Some("auto")),
        param("seed", ParamType::Integer, None),
        param("optimize_streaming_latency", ParamType::Integer, None),
        param("authorization", ParamType::String, None),
    ]
}

/// How a voice speaks; the REST endpoints have the same type.
pub(crate) fn voice_settings_type() -> TypeDef {
    TypeDef::record(
        "VoiceSettings",
        "How the voice speaks",
        vec![
            Field::optional("stability", Type::Float)
                .default_value(0.5)
                .doc("0 to 1; low is lively, high is even"),
            Field::optional("similarity_boost", Type::Float)
                .default_value(0.75)
                .doc("0 to 1; how close to the original voice"),
            Field::optional("style", Type::Float)
                .default_value(0.0)
                .doc("0 to 1; how much style is exaggerated"),
            Field::optional("use_speaker_boost", Type::Boolean)
                .default_value(true)
                .doc("Closer to the speaker, at the cost of some latency"),
            Field::optional("speed", Type::Float).default_value(1.0).doc("0.7 to 1.2"),
        ],
    )
}

fn settings() -> Vec<TypeDef> {
    vec![
        voice_settings_type(),
        TypeDef::record(
            "GenerationConfig",
            "When audio is generated",
            vec![
                Field::optional("chunk_length_schedule", Type::array(Type::Integer))
                    .default_value(json!([120, 160, 250, 290]))
                    .doc("Characters to buffer before the first, second, third and later generations; 50 to 500 each"),
            ],
        ),
        TypeDef::record(
            "PronunciationDictionaryLocator",
            "Which version of a pronunciation dictionary to use",
            vec![
                Field::required("pronunciation_dictionary_id", Type::String).doc("The dictionary"),
                Field::required("version_id", Type::String).doc("Its version"),
            ],
        ),
    ]
}

fn voice_settings() -> Field {
    Field::optional("voice_settings", Type::named("VoiceSettings")).nullable().doc("How the voice speaks")
}

fn generation_config() -> Field {
    Field::optional("generation_config", Type::named("GenerationConfig"))
        .nullable()
        .doc("When audio is generated")
}

fn locators() -> Field {
    Field::optional(
        "pronunciation_dictionary_locators",
        Type::array(Type::named("PronunciationDictionaryLocator")),
    )
    .nullable()
    .doc("Dictionaries for the whole connection; only the first message may name them")
}

/// The credential in the first message: the schema writes a hyphen, examples and the multi-context schema an underscore.
fn credentials() -> [Field; 2] {
    [
        Field::optional("xi-api-key", Type::String)
            .alias("xi_api_key")
            .nullable()
            .secret()
            .doc("The API key, when no header can be set"),
        Field::optional("authorization", Type::String)
            .nullable()
            .secret()
            .doc("A bearer token, when no header can be set"),
    ]
}

fn stream_input_types() -> Vec<TypeDef> {
    let [key, bearer] = credentials();
    vec![
        TypeDef::record(
            "InitializeConnectionMessage",
            "The settings of a stream; its text is a single space",
            vec![voice_settings(), generation_config(), locators(), key, bearer],
        ),
        TypeDef::record(
            "SendTextMessage",
            "Text to speak",
            vec![
                Field::required("text", Type::String)
                    .doc("Should end with a space, so that words stay whole"),
                Field::optional("try_trigger_generation", Type::Boolean)
                    .default_value(false)
                    .doc("Generate at once if enough is buffered"),
                voice_settings().doc("Only if unchanged"),
                Field::optional("generator_config", Type::named("GenerationConfig"))
                    .alias("generation_config")
                    .nullable()
                    .doc("When audio is generated"),
                Field::optional("flush", Type::Boolean)
                    .default_value(false)
                    .doc("Speak everything that is buffered"),
            ],
        ),
        TypeDef::record("CloseConnectionMessage", "The end of the text; its text is empty", vec![]),
    ]
}

fn context_id() -> Field {
    Field::optional("context_id", Type::String)
        .alias("contextId")
        .nullable()
        .doc("The context; without it the default one")
}

fn multi_types() -> Vec<TypeDef> {
    let [key, bearer] = credentials();
    let required_context =
        || Field::required("context_id", Type::String).alias("contextId").doc("The context");
    vec![
        TypeDef::record(
            "InitializeConnectionMultiMessage",
            "The settings of the first context; its text is a single space",
            vec![context_id(), voice_settings(), generation_config(), locators(), key, bearer],
        ),
        TypeDef::record(
            "InitialiseContextMessage",
            "The settings of a context, with its first text",
            vec![
                Field::required("text", Type::String).doc("The first text, or a single space"),
                context_id(),
                Field::required("voice_settings", Type::named("VoiceSettings")).doc("How the voice speaks"),
                generation_config(),
                locators(),
            ],
        ),
        TypeDef::record(
            "SendTextMultiMessage",
            "Text to speak in a context",
            vec![
                Field::required("text", Type::String)
                    .doc("Should end with a space, so that words stay whole"),
                context_id(),
                Field::optional("flush", Type::Boolean)
                    .default_value(false)
                    .doc("Speak everything that is buffered"),
            ],
        ),
        TypeDef::record(
            "FlushContextMessage",
            "A wish to speak what is buffered; with further text it is SendTextMulti with `flush`",
            vec![required_context()],
        ),
        TypeDef::record("CloseContextMessage", "The end of a context's text", vec![required_context()]),
        TypeDef::record(
            "KeepContextAliveMessage",
            "A sign of life; its text is empty",
            vec![required_context()],
        ),
        TypeDef::record("CloseSocketMessage", "The end of all text", vec![]),
    ]
}

fn alignment(name: &str, other: &str, doc: &str) -> Field {
    Field::optional(name, Type::named("Alignment")).alias(other).nullable().doc(doc)
}

fn audio_types() -> Vec<TypeDef> {
    let audio = || Field::required("audio", Type::Bytes).doc("Audio in the format that was asked for");
    let spoken = || Field::optional("audio", Type::Bytes).nullable().doc("Never there in practice");
    let context = || {
        Field::optional("contextId", Type::String)
            .alias("context_id")
            .nullable()
            .doc("The context; absent for the default one")
    };
    let alignments = || {
        [
            alignment("alignment", "alignments", "When which character of the text is spoken"),
            alignment("normalizedAlignment", "normalized_alignment", "The same for the text as it was read"),
        ]
    };
    vec![
        TypeDef::record(
            "Alignment",
            "When which character is spoken, relative to the piece of audio",
            vec![
                Field::required("charStartTimesMs", Type::array(Type::Integer))
                    .alias("char_start_times_ms")
                    .doc("When each character begins, in milliseconds"),
                Field::required("charDurationsMs", Type::array(Type::Integer))
                    .alias("charsDurationsMs")
                    .alias("chars_durations_ms")
                    .alias("char_durations_ms")
                    .doc("How long each character takes, in milliseconds"),
                Field::required("chars", Type::array(Type::String)).doc("The characters"),
            ],
        ),
        TypeDef::record(
            "AudioOutputMessage",
            "A piece of audio",
            [vec![audio()], alignments().into()].concat(),
        ),
        TypeDef::record("FinalOutputMessage", "The end of the audio", vec![spoken()]),
        TypeDef::record(
            "AudioOutputMultiMessage",
            "A piece of audio of a context",
            [vec![audio(), context()], alignments().into()].concat(),
        ),
        TypeDef::record("FinalOutputMultiMessage", "The end of a context's audio", vec![spoken(), context()]),
        TypeDef::record(
            "ErrorOutputMessage",
            "Why the stream failed",
            vec![
                Field::required("message", Type::String).doc("What went wrong, in a sentence"),
                Field::optional("error", Type::String).nullable().doc("A short name of the error"),
                Field::optional("code", Type::Integer).nullable().doc("The close code that follows"),
                Field::optional("param", Type::String).nullable().doc("The parameter that was wrong"),
            ],
        ),
    ]
}

fn stream_input_messages() -> Vec<MessageFacts> {
    vec![
        MessageFacts::literal("InitializeConnection", "text", " ")
            .example("plain", json!({"text": " "}))
            .example(
                "with settings",
                json!({
                    "text": " ",
                    "voice_settings": {"stability": 0.5, "similarity_boost": 0.8, "style": 0.1,
                                       "use_speaker_boost": false, "speed": 1.1},
                    "generation_config": {"chunk_length_schedule": [120, 160, 250, 290]},
                    "pronunciation_dictionary_locators":
                        [{"pronunciation_dictionary_id": "dictionary", "version_id": "version"}],
                    "xi-api-key": "key",
                }),
            )
            .example("key with an underscore", json!({"text": " ", "xi_api_key": "key", "authorization": "Bearer token"})),
        MessageFacts::presence("SendText", "text")
            .example("text", json!({"text": "Hello world ", "try_trigger_generation": true}))
            .example("flush", json!({"text": "Goodbye ", "flush": true, "voice_settings": {"speed": 1.0}}))
            .example(
                "configured",
                json!({"text": "Slow ", "generator_config": {"chunk_length_schedule": [50]}}),
            )
            .example(
                "configured under the other name",
                json!({"text": "Slow ", "generation_config": {"chunk_length_schedule": [50]}}),
            ),
        MessageFacts::literal("CloseConnection", "text", "").example("close", json!({"text": ""})),
        MessageFacts::presence("AudioOutput", "audio")
            .example(
                "with alignment",
                json!({
                    "audio": "UklGRg==",
                    "isFinal": null,
                    "alignment": {"charStartTimesMs": [0, 30], "charDurationsMs": [30, 40], "chars": ["H", "i"]},
                    "normalizedAlignment":
                        {"charStartTimesMs": [0, 30], "charsDurationsMs": [30, 40], "chars": ["H", "i"]},
                }),
            )
            .example(
                "older names",
                json!({
                    "audio": "UklGRg==",
                    "normalized_alignment":
                        {"char_start_times_ms": [0], "chars_durations_ms": [30], "chars": ["H"]},
                    "alignments": {"charStartTimesMs": [0], "char_durations_ms": [30], "chars": ["H"]},
                }),
            ),
        is_final("FinalOutput")
            .example("final", json!({"isFinal": true}))
            .example("with empty audio", json!({"audio": null, "isFinal": true})),
        MessageFacts::presence("ErrorOutput", "message").example(
            "quota",
            json!({"message": "The quota is used up", "error": "quota_exceeded", "code": 1008, "param": null}),
        ),
    ]
}

/// The schema says `isFinal`, examples say `is_final`.
fn is_final(id: &str) -> MessageFacts {
    let named = |field: &str| Recognition::Literal { field: field.into(), value: true.into() };
    MessageFacts::new(id, Recognition::AnyOf(vec![named("isFinal"), named("is_final")]))
}

fn multi_messages() -> Vec<MessageFacts> {
    vec![
        MessageFacts::literal("InitializeConnectionMulti", "text", " ")
            .example("open", json!({"text": " ", "context_id": "one", "voice_settings": {"stability": 0.5}})),
        MessageFacts::presence("InitialiseContext", "voice_settings")
            .example("open", json!({"text": "Two ", "context_id": "two", "voice_settings": {"speed": 0.9}})),
        MessageFacts::presence("SendTextMulti", "text")
            .example("text", json!({"text": "Hello ", "context_id": "one", "flush": true}))
            .example("other name of the context", json!({"text": "Hello ", "contextId": "one"})),
        MessageFacts::literal("FlushContext", "flush", true)
            .example("flush", json!({"context_id": "one", "flush": true})),
        MessageFacts::literal("CloseContext", "close_context", true)
            .example("close", json!({"context_id": "one", "close_context": true})),
        MessageFacts::literal("KeepContextAlive", "text", "")
            .example("stay", json!({"text": "", "context_id": "one"})),
        MessageFacts::literal("CloseSocket", "close_socket", true)
            .example("close", json!({"close_socket": true})),
        MessageFacts::presence("AudioOutputMulti", "audio")
            .example("audio", json!({"audio": "UklGRg==", "contextId": "one"}))
            .example("other name of the context", json!({"audio": "UklGRg==", "context_id": "one"})),
        is_final("FinalOutputMulti")
            .example("final", json!({"isFinal": true, "contextId": "one"}))
            .example("other name", json!({"is_final": true, "contextId": "one"})),
    ]
}

fn auth() -> Vec<AuthWay> {
    vec![
        AuthWay::Header { name: "xi-api-key".into(), prefix: String::new() },
        AuthWay::Query { name: "authorization".into(), prefix: "Bearer ".into() },
    ]
}

fn first_message(id: &str) -> AuthWay {
    AuthWay::FirstMessage { message: id.into(), path: vec!["xi-api-key".into()] }
}

fn ids<const N: usize>(ids: [&str; N]) -> Vec<String> {
    ids.map(String::from).into()
}

/// A lost connection loses what the server has buffered, so nothing is restored silently.
fn stream_input_policy() -> EndpointPolicy {
    EndpointPolicy {
        precedence: ids([
            "InitializeConnection",
            "CloseConnection",
            "SendText",
            "FinalOutput",
            "AudioOutput",
            "ErrorOutput",
        ]),
        auth: [auth(), vec![first_message("InitializeConnection")]].concat(),
        session: Session {
            ends_with: ids(["FinalOutput", "ErrorOutput"]),
            drains: true,
            ..Session::default()
        },
        timeouts: Timeouts { connect_ms: Some(10_000), ..Timeouts::default() },
        close_codes: close_codes(),
        ..EndpointPolicy::new("StreamTextToSpeech")
    }
}

fn multi_policy() -> EndpointPolicy {
    EndpointPolicy {
        precedence: ids([
            "CloseSocket",
            "CloseContext",
            "InitializeConnectionMulti",
            "KeepContextAlive",
            "InitialiseContext",
            "SendTextMulti",
            "FlushContext",
            "FinalOutputMulti",
            "AudioOutputMulti",
            "ErrorOutput",
        ]),
        auth: [auth(), vec![first_message("InitializeConnectionMulti")]].concat(),
        session: Session { ends_with: ids(["ErrorOutput"]), drains: true, ..Session::default() },
        contexts: Some(Contexts {
            client: ids(["context_id"]),
            server: ids(["contextId"]),
            opened_by: ids(["InitializeConnectionMulti", "InitialiseContext", "SendTextMulti"]),
            closed_by: ids(["CloseContext"]),
            ended_by: ids(["FinalOutputMulti"]),
            idle_ms: Some(20_000),
        }),
        timeouts: Timeouts { connect_ms: Some(10_000), ..Timeouts::default() },
        close_codes: close_codes(),
        ..EndpointPolicy::new("MultiContextTextToSpeech")
    }
}

fn close_codes() -> Vec<CloseCode> {
    vec![
        CloseCode::new(1000, CloseAction::Fatal, "Everything was spoken"),
        CloseCode::new(
            1008,
            CloseAction::Fatal,
            "The request was refused; the error message before it says why",
        ),
        CloseCode::new(1011, CloseAction::Retry, "The server failed"),
    ]
}
