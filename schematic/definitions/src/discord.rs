//! Discord's gateway: what happens in a bot's servers.
//!
//! Every frame is `{op, d, s, t}`; dispatches are told apart by two members, `op` and `t`. The server says how often the
//! heart has to beat, and a lost session is taken up with its id, the last sequence number, and a URL of its own. The
//! dispatches that nearly every bot reads are typed; all others arrive as `Dispatch` with their name and data.

use schematic_define::prelude::*;
use serde_json::json;

use crate::shorthand::{client, once, param, server, strings};

/// The whole definition.
pub fn discord() -> Definition {
    Definition::new("DiscordGateway", "What happens in a bot's servers")
        .with_websocket(WebSocketApi {
            name: "DiscordGateway".into(),
            description: "Discord's gateway, version 10, in JSON".into(),
            base_url: "wss://gateway.discord.gg".into(),
            docs_url: Some("https://discord.com/developers/docs/events/gateway".into()),
            auth: AuthStrategy::None,
            env_auth: strings(["DISCORD_TOKEN"]),
            env_username: None,
            headers: vec![],
            endpoints: vec![endpoint()],
        })
        .with_types(client_types())
        .with_types(server_types())
        .with_messages(client_messages())
        .with_messages(server_messages())
        .with_policy(policy())
}

fn endpoint() -> WebSocketEndpoint {
    WebSocketEndpoint {
        id: "Gateway".into(),
        path: "/".into(),
        description: "A session of a bot, or of one of its shards".into(),
        connection_params: vec![
            param("v", ParamType::Integer, Some("10")),
            param("encoding", ParamType::String, Some("json")),
        ],
        lifecycle: ConnectionLifecycle {
            initialize: Some(once(client("Identify", "Opens a session"))),
            streaming_messages: vec![
                client("Resume", "Takes a lost session up"),
                client("Heartbeat", "Shows that the client lives"),
                client("PresenceUpdate", "Changes what others see of the bot"),
                client("VoiceStateUpdate", "Joins, moves in or leaves a voice channel"),
                client("RequestGuildMembers", "Asks for members of a server"),
            ],
            close: None,
            server_messages: vec![
                once(server("Hello", "Says how often the heart has to beat")),
                server("HeartbeatAck", "Answers a heartbeat"),
                server("HeartbeatRequest", "Asks for a heartbeat at once"),
                server("Reconnect", "Asks the client to come back and resume"),
                server("InvalidSession", "The session cannot be opened or taken up"),
                server("Ready", "The session is open"),
                server("Resumed", "The session was taken up; everything missed has been sent"),
                server("MessageCreate", "Somebody wrote a message"),
                server("Dispatch", "Any other event"),
            ],
        },
    }
}

fn data(ty: Type, doc: &str) -> Vec<Field> {
    vec![Field::required("d", ty).doc(doc)]
}

fn client_types() -> Vec<TypeDef> {
    let token = || Field::required("token", Type::String).secret().doc("The bot's token");
    vec![
        TypeDef::record("Identify", "An opening", data(Type::named("Identity"), "Who opens")),
        TypeDef::record(
            "Identity",
            "Who opens a session",
            vec![
                token(),
                Field::required("intents", Type::Unsigned).doc("Bits of the events that are wanted"),
                Field::required("properties", Type::named("ConnectionProperties")).doc("About the client"),
                Field::optional("compress", Type::Boolean)
                    .default_value(false)
                    .doc("Whether payloads may be compressed"),
                Field::optional("large_threshold", Type::Unsigned).default_value(50).doc("50 to 250 members"),
                Field::optional("shard", Type::array(Type::Unsigned))
                    .doc("Number of the shard and of all shards"),
                Field::optional("presence", Type::map(Type::Json)).doc("What others see at first"),
            ],
        ),
        TypeDef::record(
            "ConnectionProperties",
            "About the client",
            vec![
                Field::required("os", Type::String).doc("Operating system"),
                Field::required("browser", Type::String).doc("Name of the library"),
                Field::required("device", Type::String).doc("Name of the library"),
            ],
        ),
        TypeDef::record("Resume", "A return", data(Type::named("ResumeToken"), "What to take up")),
        TypeDef::record(
            "ResumeToken",
            "What to take up",
            vec![
                token(),
                Field::required("session_id", Type::String).doc("The session"),
                Field::required("seq", Type::Integer).doc("The last sequence number seen"),
            ],
        ),
        TypeDef::record(
            "Heartbeat",
            "A beat",
            vec![Field::required("d", Type::Integer).nullable().doc("The last sequence number seen")],
        ),
        TypeDef::record("PresenceUpdate", "A presence", data(Type::map(Type::Json), "The presence")),
        TypeDef::record("VoiceStateUpdate", "A voice state", data(Type::map(Type::Json), "The state")),
        TypeDef::record("RequestGuildMembers", "A question", data(Type::map(Type::Json), "The question")),
    ]
}

fn server_types() -> Vec<TypeDef> {
    let event = |name: &str, doc: &str, ty: Type| {
        let seq = Field::required("s", Type::Integer).doc("Sequence number of the event");
        TypeDef::record(name, doc, [data(ty, "What happened"), vec![seq]].concat())
    };
    vec![
        TypeDef::record("Hello", "The first word", data(Type::named("HelloData"), "How to go on")),
        TypeDef::record(
            "HelloData",
            "How to go on",
            vec![Field::required("heartbeat_interval", Type::Unsigned).doc("Milliseconds between two beats")],
        ),
        TypeDef::record("HeartbeatAck", "An answer", vec![]),
        TypeDef::record("HeartbeatRequest", "A question", vec![]),
        TypeDef::record("Reconnect", "A request", vec![]),
        TypeDef::record(
            "InvalidSession",
            "A refusal",
            data(Type::Boolean, "Whether resuming may still work"),
        ),
        event("Ready", "The state at the beginning", Type::named("ReadyData")),
        TypeDef::record(
            "ReadyData",
            "The state at the beginning",
            vec![
                Field::required("v", Type::Integer).doc("Version of the gateway"),
                Field::required("user", Type::map(Type::Json)).doc("The bot"),
                Field::required("guilds", Type::array(Type::Json)).doc("Its servers, not yet loaded"),
                Field::required("session_id", Type::String).doc("What to resume"),
                Field::required("resume_gateway_url", Type::String).doc("Where to resume"),
                Field::optional("shard", Type::array(Type::Unsigned))
                    .doc("Number of the shard and of all shards"),
                Field::required("application", Type::map(Type::Json)).doc("The bot's application"),
            ],
        ),
        event("Resumed", "Nothing more", Type::Json),
        event("MessageCreate", "A message", Type::map(Type::Json)),
        TypeDef::record(
            "Dispatch",
            "An event",
            vec![
                Field::required("t", Type::String).doc("Its name"),
                Field::required("s", Type::Integer).doc("Its sequence number"),
                Field::required("d", Type::Json).doc("Its data"),
            ],
        ),
    ]
}

fn op(id: &str, op: i64) -> MessageFacts {
    MessageFacts::tag(id, "op", op)
}

fn dispatch(id: &str, name: &str) -> MessageFacts {
    MessageFacts::new(
        id,
        Recognition::CompositeTag { parts: vec![TagPart::new("op", 0), TagPart::new("t", name)] },
    )
}

fn client_messages() -> Vec<MessageFacts> {
    vec![
        op("Identify", 2).example(
            "open",
            json!({"op": 2, "d": {"token": "token", "intents": 513,
                   "properties": {"os": "linux", "browser": "library", "device": "library"}}}),
        ),
        op("Resume", 6)
            .idempotent()
            .example("come back", json!({"op": 6, "d": {"token": "token", "session_id": "session", "seq": 1337}})),
        op("Heartbeat", 1)
            .idempotent()
            .reply(Reply::one("HeartbeatAck"))
            .example("beat", json!({"op": 1, "d": 251}))
            .example("first beat", json!({"op": 1, "d": null})),
        op("PresenceUpdate", 3)
            .idempotent()
            .example("away", json!({"op": 3, "d": {"since": 91879201, "activities": [], "status": "idle", "afk": false}})),
        op("VoiceStateUpdate", 4)
            .example("leave", json!({"op": 4, "d": {"guild_id": "1", "channel_id": null, "self_mute": false, "self_deaf": false}})),
        op("RequestGuildMembers", 8).example("all", json!({"op": 8, "d": {"guild_id": "1", "query": "", "limit": 0}})),
    ]
}

fn server_messages() -> Vec<MessageFacts> {
    vec![
        op("Hello", 10).example("hello", json!({"op": 10, "d": {"heartbeat_interval": 45000}, "s": null, "t": null})),
        op("HeartbeatAck", 11).example("ack", json!({"op": 11})),
        op("HeartbeatRequest", 1).example("beat, please", json!({"op": 1, "d": null})),
        op("Reconnect", 7).example("come back", json!({"op": 7, "d": null})),
        op("InvalidSession", 9).example("start anew", json!({"op": 9, "d": false})),
        dispatch("Ready", "READY").example(
            "ready",
            json!({"op": 0, "t": "READY", "s": 1,
                   "d": {"v": 10, "user": {"id": "42"}, "guilds": [], "session_id": "session",
                         "resume_gateway_url": "wss://gateway-us-east1-b.discord.gg", "application": {"id": "42"}}}),
        ),
        dispatch("Resumed", "RESUMED").example("resumed", json!({"op": 0, "t": "RESUMED", "s": 9, "d": null})),
        dispatch("MessageCreate", "MESSAGE_CREATE")
            .example("message", json!({"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {"id": "1", "content": "hi"}})),
        op("Dispatch", 0).example("typing", json!({"op": 0, "t": "TYPING_START", "s": 3, "d": {"user_id": "1"}})),
    ]
}

fn policy() -> EndpointPolicy {
    EndpointPolicy {
        precedence: strings(["Ready", "Resumed", "MessageCreate", "Dispatch"]),
        auth: ["Identify", "Resume"]
            .map(|message| AuthWay::FirstMessage { message: message.into(), path: strings(["d", "token"]) })
            .into(),
        session: Session { server_first: Some("Hello".into()), ..Session::default() },
        timeouts: Timeouts {
            first_ack: Some(FirstAck {
                message: "Ready".into(),
                refused_by: strings(["InvalidSession"]),
                timeout_ms: None,
            }),
            ..Timeouts::default()
        },
        heartbeats: vec![Heartbeat::Message {
            from: Party::Client,
            ping: "Heartbeat".into(),
            pong: Some("HeartbeatAck".into()),
            echo: vec![],
            carries: vec![CarriedValue { name: "seq".into(), into: strings(["d"]) }],
            interval: Interval::Given {
                message: "Hello".into(),
                path: strings(["d", "heartbeat_interval"]),
                jitter_first: true,
            },
            timeout_ms: None,
        }],
        limits: Limits {
            client_message_bytes: Some(4096),
            rates: vec![Rate { messages: 120, per_ms: 60_000 }],
            ..Limits::default()
        },
        close_codes: close_codes(),
        reconnect: reconnect(),
        ..EndpointPolicy::new("Gateway")
    }
}

fn close_codes() -> Vec<CloseCode> {
    let resume = |code, meaning: &str| CloseCode::new(code, CloseAction::Resume, meaning);
    let retry = |code, meaning: &str| CloseCode::new(code, CloseAction::Retry, meaning);
    let fatal = |code, meaning: &str| CloseCode::new(code, CloseAction::Fatal, meaning);
    vec![
        resume(4000, "Something went wrong"),
        resume(4001, "An opcode was not understood").tells([Breach::Unknown]),
        resume(4002, "A payload could not be read").tells([
            Breach::Unreadable,
            Breach::Mistyped,
            Breach::TooLarge,
        ]),
        resume(4003, "Something was sent before the opening").tells([Breach::BeforeOpening]),
        fatal(4004, "The token is wrong").tells([Breach::Credential]),
        resume(4005, "The session was opened twice").tells([Breach::OpenedTwice]),
        retry(4007, "The sequence number to resume from was wrong").tells([Breach::Resume]),
        resume(4008, "Too much was sent in too short a time").tells([Breach::TooOften]),
        retry(4009, "The session timed out"),
        fatal(4010, "The shard is wrong"),
        fatal(4011, "The bot needs shards"),
        fatal(4012, "The version is wrong"),
        fatal(4013, "The intents are wrong"),
        fatal(4014, "The intents are not allowed"),
    ]
}

fn reconnect() -> Reconnect {
    let capture = |name: &str, from: Vec<String>, path: Vec<String>, into: Vec<String>| TokenCapture {
        messages: from,
        path,
        into,
        name: name.into(),
    };
    let ready = || strings(["Ready"]);
    Reconnect::Token {
        capture: vec![
            capture("seq", vec![], strings(["s"]), strings(["d", "seq"])),
            capture("session", ready(), strings(["d", "session_id"]), strings(["d", "session_id"])),
            capture("url", ready(), strings(["d", "resume_gateway_url"]), vec![]),
        ],
        message: "Resume".into(),
        url: Some("url".into()),
        done: Some("Resumed".into()),
    }
}
