//! Deepgram listen, version 1: words from live audio.
//!
//! Audio goes in as binary frames beside JSON control messages in text frames, so the kind of frame is part of what
//! tells messages apart. A silent client has to send KeepAlive, or the connection is closed.

use schematic_define::prelude::*;
use serde_json::json;

use crate::shorthand::{client, once, param, server, strings};

/// The whole definition.
pub fn deepgram() -> Definition {
    Definition::new("Deepgram", "Words from live audio")
        .with_websocket(WebSocketApi {
            name: "Deepgram".into(),
            description: "Deepgram's streaming transcription".into(),
            base_url: "wss://api.deepgram.com".into(),
            docs_url: Some(
                "https://developers.deepgram.com/reference/speech-to-text/listen-streaming".into(),
            ),
            auth: AuthStrategy::None,
            env_auth: strings(["DEEPGRAM_API_KEY"]),
            env_username: None,
            headers: vec![],
            endpoints: vec![endpoint()],
        })
        .with_types(types())
        .with_messages(messages())
        .with_policy(policy())
}

fn endpoint() -> WebSocketEndpoint {
    WebSocketEndpoint {
        id: "Listen".into(),
        path: "/v1/listen".into(),
        description: "Audio goes in, transcripts come out while it is spoken".into(),
        connection_params: connection_params(),
        lifecycle: ConnectionLifecycle {
            initialize: None,
            streaming_messages: vec![
                client("Audio", "A piece of audio in the declared encoding"),
                client("Finalize", "Transcribe what was sent so far"),
                client("KeepAlive", "Nothing to say at the moment, but more will come"),
            ],
            close: Some(once(client(
                "CloseStream",
                "No more audio; the rest is transcribed, then the server closes",
            ))),
            server_messages: vec![
                server("Results", "A transcript, interim or final"),
                server("Metadata", "About the whole stream, near its end"),
                server("UtteranceEnd", "Nobody has spoken for a while"),
                server("SpeechStarted", "Somebody began to speak"),
            ],
        },
    }
}

fn connection_params() -> Vec<ConnectionParam> {
    use ParamType::{Boolean, Integer, String};
    let model = ConnectionParam { required: true, ..param("model", String, None) };
    let optional = [
        ("callback", String, None),
        ("channels", Integer, Some("1")),
        ("detect_entities", Boolean, Some("false")),
        ("diarize", Boolean, Some("false")),
        ("dictation", Boolean, Some("false")),
        ("encoding", String, None),
        ("endpointing", String, Some("10")),
        ("extra", String, None),
        ("interim_results", Boolean, Some("false")),
        ("keyterm", String, None),
        ("keywords", String, None),
        ("language", String, Some("en")),
        ("mip_opt_out", Boolean, Some("false")),
        ("multichannel", Boolean, Some("false")),
        ("numerals", Boolean, Some("false")),
        ("profanity_filter", Boolean, Some("false")),
        ("punctuate", Boolean, Some("false")),
        ("redact", String, None),
        ("replace", String, None),
        ("sample_rate", Integer, None),
        ("search", String, None),
        ("smart_format", Boolean, Some("false")),
        ("tag", String, None),
        ("utterance_end_ms", Integer, None),
        ("vad_events", Boolean, Some("false")),
        ("version", String, Some("latest")),
    ];
    std::iter::once(model).chain(optional.map(|(name, ty, default)| param(name, ty, default))).collect()
}

fn types() -> Vec<TypeDef> {
    let seconds = |name: &str, doc: &str| Field::required(name, Type::Float).doc(doc);
    let channels = |name: &str| {
        Field::required(name, Type::array(Type::Integer)).doc("Number of the channel and of all")
    };
    vec![
        TypeDef::alias("Audio", "Audio as bytes", Type::Bytes),
        TypeDef::record("Finalize", "A wish", vec![]),
        TypeDef::record("KeepAlive", "A sign of life", vec![]),
        TypeDef::record("CloseStream", "The end of the audio", vec![]),
        TypeDef::record(
            "Results",
            "A transcript of a piece of audio",
            vec![
                channels("channel_index"),
                seconds("duration", "Length of the piece, in seconds"),
                seconds("start", "Its beginning in the stream, in seconds"),
                Field::required("is_final", Type::Boolean)
                    .doc("Whether this piece will not be transcribed again"),
                Field::optional("speech_final", Type::Boolean).doc("Whether the speaker has paused"),
                Field::optional("from_finalize", Type::Boolean).doc("Whether it answers Finalize"),
                Field::required("channel", Type::named("Channel")).doc("What was said"),
                Field::optional("metadata", Type::named("ResultMetadata")).doc("About the request"),
                Field::optional("entities", Type::array(Type::Json)).doc("Entities that were found"),
            ],
        ),
        TypeDef::record(
            "Channel",
            "What was said on a channel",
            vec![
                Field::required("alternatives", Type::array(Type::named("Alternative"))).doc("Best first"),
                Field::optional("detected_language", Type::String).doc("The language that was heard"),
            ],
        ),
        TypeDef::record(
            "Alternative",
            "One reading",
            vec![
                Field::required("transcript", Type::String).doc("The text"),
                Field::required("confidence", Type::Float).doc("0 to 1"),
                Field::optional("languages", Type::array(Type::String)).doc("Languages that were heard"),
                Field::required("words", Type::array(Type::named("Word"))).doc("Its words"),
            ],
        ),
        TypeDef::record(
            "Word",
            "A word and when it was said",
            vec![
                Field::required("word", Type::String).doc("In lower case"),
                seconds("start", "In seconds"),
                seconds("end", "In seconds"),
                Field::required("confidence", Type::Float).doc("0 to 1"),
                Field::optional("language", Type::String).doc("Its language"),
                Field::optional("punctuated_word", Type::String).doc("With punctuation and capitals"),
                Field::optional("speaker", Type::Integer).doc("Who said it"),
            ],
        ),
        TypeDef::record(
            "ResultMetadata",
            "About the request",
            vec![
                Field::required("request_id", Type::String).doc("The request"),
                Field::required("model_info", Type::map(Type::Json)).doc("The model"),
                Field::required("model_uuid", Type::String).doc("Id of the model"),
            ],
        ),
        TypeDef::record(
            "Metadata",
            "About the whole stream",
            vec![
                Field::optional("transaction_key", Type::String).doc("No longer used"),
                Field::required("request_id", Type::String).doc("The request"),
                Field::required("sha256", Type::String).doc("Digest of the audio"),
                Field::required("created", Type::Timestamp).doc("When the stream began"),
                seconds("duration", "Length of the audio, in seconds"),
                Field::required("channels", Type::Integer).doc("Number of channels"),
                Field::optional("models", Type::array(Type::String)).doc("Ids of the models"),
                Field::optional("model_info", Type::map(Type::Json)).doc("The models"),
            ],
        ),
        TypeDef::record(
            "UtteranceEnd",
            "A pause",
            vec![channels("channel"), seconds("last_word_end", "End of the last word, in seconds")],
        ),
        TypeDef::record(
            "SpeechStarted",
            "A beginning",
            vec![channels("channel"), seconds("timestamp", "When, in seconds")],
        ),
    ]
}

fn messages() -> Vec<MessageFacts> {
    let tag = |id: &str| MessageFacts::tag(id, "type", id);
    vec![
        MessageFacts::binary("Audio").example("three bytes", json!("AAEC")),
        tag("Finalize").idempotent().example("finalize", json!({"type": "Finalize"})),
        tag("KeepAlive").idempotent().example("keep alive", json!({"type": "KeepAlive"})),
        tag("CloseStream").idempotent().example("close", json!({"type": "CloseStream"})),
        tag("Results").example(
            "final",
            json!({
                "type": "Results", "channel_index": [0, 1], "duration": 1.98, "start": 5.99, "is_final": true,
                "speech_final": true, "from_finalize": false,
                "channel": {"alternatives": [{"transcript": "Tell me.", "confidence": 0.99, "words": [
                    {"word": "tell", "start": 6.0, "end": 6.3, "confidence": 0.99, "punctuated_word": "Tell", "speaker": 0},
                    {"word": "me", "start": 6.3, "end": 6.6, "confidence": 0.98, "punctuated_word": "me."},
                ]}]},
                "metadata": {"request_id": "request", "model_info": {"name": "general"}, "model_uuid": "model"},
            }),
        ),
        tag("Metadata").example(
            "end",
            json!({"type": "Metadata", "transaction_key": "deprecated", "request_id": "request", "sha256": "00",
                   "created": "2026-01-02T03:04:05.678Z", "duration": 8.0, "channels": 1}),
        ),
        tag("UtteranceEnd")
            .example("pause", json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 6.6})),
        tag("SpeechStarted").example("speech", json!({"type": "SpeechStarted", "channel": [0], "timestamp": 5.9})),
    ]
}

/// Offsets in transcripts count from the beginning of a connection, so a new one is a new stream: nothing is restored.
fn policy() -> EndpointPolicy {
    EndpointPolicy {
        auth: vec![
            AuthWay::Header { name: "Authorization".into(), prefix: "Token ".into() },
            AuthWay::Subprotocol { prefix: String::new(), beside: strings(["token"]) },
        ],
        session: Session { ends_with: strings(["Metadata"]), drains: true, ..Session::default() },
        heartbeats: vec![Heartbeat::Message {
            from: Party::Client,
            ping: "KeepAlive".into(),
            pong: None,
            echo: vec![],
            carries: vec![],
            interval: Interval::Fixed { ms: 5000 },
            timeout_ms: None,
        }],
        timeouts: Timeouts { connect_ms: Some(10_000), ..Timeouts::default() },
        close_codes: vec![
            CloseCode::new(1000, CloseAction::Fatal, "Everything was transcribed"),
            CloseCode::new(1008, CloseAction::Fatal, "The audio could not be decoded"),
            CloseCode::new(1011, CloseAction::Retry, "No audio came in time, or the server failed"),
        ],
        ..EndpointPolicy::new("Listen")
    }
}
