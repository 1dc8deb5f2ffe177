//! Home Assistant: the state of a home, its events and services.
//!
//! The server speaks first, the client proves itself with a message, and from then on every command has an integer
//! id that counts up and comes back in its result. A subscription's events carry the id of the command that asked for
//! them. Frames that hold several messages come only to clients that ask for them, which this definition does not.

use schematic_define::prelude::*;
use serde_json::json;

use crate::shorthand::{client, once, server, strings};

/// The whole definition. The base URL is the usual one at home.
pub fn home_assistant() -> Definition {
    Definition::new("HomeAssistant", "The state of a home, its events and services")
        .with_websocket(WebSocketApi {
            name: "HomeAssistant".into(),
            description: "Home Assistant's WebSocket API".into(),
            base_url: "ws://homeassistant.local:8123".into(),
            docs_url: Some("https://developers.home-assistant.io/docs/api/websocket".into()),
            auth: AuthStrategy::None,
            env_auth: strings(["HOME_ASSISTANT_TOKEN"]),
            env_username: None,
            headers: vec![],
            endpoints: vec![endpoint()],
        })
        .with_types(handshake_types())
        .with_types(command_types())
        .with_types(server_types())
        .with_messages(handshake_messages())
        .with_messages(command_messages())
        .with_messages(server_messages())
        .with_policy(policy())
}

fn endpoint() -> WebSocketEndpoint {
    WebSocketEndpoint {
        id: "Home".into(),
        path: "/api/websocket".into(),
        description: "Commands and subscriptions, after a handshake by messages".into(),
        connection_params: vec![],
        lifecycle: ConnectionLifecycle {
            initialize: Some(once(client("Auth", "Proves who the client is"))),
            streaming_messages: vec![
                client("SubscribeEvents", "Asks for events of a type, or of all types"),
                client("SubscribeTrigger", "Asks for the firing of triggers"),
                client("UnsubscribeEvents", "Ends a subscription"),
                client("FireEvent", "Fires an event"),
                client("CallService", "Calls a service"),
                client("GetStates", "Asks for all states"),
                client("GetConfig", "Asks for the configuration"),
                client("GetServices", "Asks for all services"),
                client("GetPanels", "Asks for all panels"),
                client("Ping", "Asks for a sign of life"),
            ],
            close: None,
            server_messages: vec![
                once(server("AuthRequired", "Asks for proof")),
                once(server("AuthOk", "Accepts the proof")),
                once(server("AuthInvalid", "Refuses the proof; the connection is closed")),
                server("CommandResult", "What became of a command"),
                server("Event", "Something that a subscription asked for"),
                server("Pong", "Answers a ping"),
            ],
        },
    }
}

fn id() -> Field {
    Field::required("id", Type::Unsigned).doc("Counts up with every command of a connection, from 1")
}

fn handshake_types() -> Vec<TypeDef> {
    let version = || Field::required("ha_version", Type::String).doc("Version of the server");
    vec![
        TypeDef::record("AuthRequired", "The first word", vec![version()]),
        TypeDef::record(
            "Auth",
            "The proof",
            vec![
                Field::required("access_token", Type::String)
                    .secret()
                    .doc("A long-lived or short-lived token"),
            ],
        ),
        TypeDef::record("AuthOk", "The acceptance", vec![version()]),
        TypeDef::record(
            "AuthInvalid",
            "The refusal",
            vec![Field::required("message", Type::String).doc("Why")],
        ),
    ]
}

fn command_types() -> Vec<TypeDef> {
    let record =
        |name: &str, doc: &str, fields: Vec<Field>| TypeDef::record(name, doc, [vec![id()], fields].concat());
    let any = || Type::map(Type::Json);
    vec![
        record(
            "SubscribeEvents",
            "A subscription to events",
            vec![Field::optional("event_type", Type::String).doc("Which events; without it all")],
        ),
        record(
            "SubscribeTrigger",
            "A subscription to triggers",
            vec![Field::required("trigger", Type::Json).doc("One trigger or a list, as in automations")],
        ),
        record(
            "UnsubscribeEvents",
            "The end of a subscription",
            vec![Field::required("subscription", Type::Unsigned).doc("Id of the command that subscribed")],
        ),
        record(
            "FireEvent",
            "An event to fire",
            vec![
                Field::required("event_type", Type::String).doc("Its type"),
                Field::optional("event_data", any()).doc("Its data"),
            ],
        ),
        record(
            "CallService",
            "A service to call",
            vec![
                Field::required("domain", Type::String).doc("For example `light`"),
                Field::required("service", Type::String).doc("For example `turn_on`"),
                Field::optional("service_data", any()).doc("What the service takes"),
                Field::optional("target", any()).doc("Entities, devices or areas"),
                Field::optional("return_response", Type::Boolean)
                    .doc("Whether the result is to carry a response"),
            ],
        ),
        record("GetStates", "A question", vec![]),
        record("GetConfig", "A question", vec![]),
        record("GetServices", "A question", vec![]),
        record("GetPanels", "A question", vec![]),
        record("Ping", "A question for a sign of life", vec![]),
    ]
}

fn server_types() -> Vec<TypeDef> {
    vec![
        TypeDef::record(
            "CommandResult",
            "The result of a command",
            vec![
                id(),
                Field::required("success", Type::Boolean).doc("Whether it worked"),
                Field::optional("result", Type::Json).nullable().doc("What it gave"),
                Field::optional("error", Type::named("CommandError")).doc("Why it did not work"),
            ],
        ),
        TypeDef::record(
            "CommandError",
            "Why a command did not work",
            vec![
                Field::required("code", Type::String).doc("A short name"),
                Field::required("message", Type::String).doc("A sentence"),
            ],
        ),
        TypeDef::record(
            "Event",
            "An event of a subscription",
            vec![id(), Field::required("event", Type::Json).doc("The event or the variables of the trigger")],
        ),
        TypeDef::record("Pong", "A sign of life", vec![id()]),
    ]
}

fn tag(id: &str, value: &str) -> MessageFacts {
    MessageFacts::tag(id, "type", value)
}

fn handshake_messages() -> Vec<MessageFacts> {
    vec![
        tag("AuthRequired", "auth_required")
            .example("first", json!({"type": "auth_required", "ha_version": "2026.1.0"})),
        tag("Auth", "auth").example("proof", json!({"type": "auth", "access_token": "token"})),
        tag("AuthOk", "auth_ok").example("accepted", json!({"type": "auth_ok", "ha_version": "2026.1.0"})),
        tag("AuthInvalid", "auth_invalid").example(
            "refused",
            json!({"type": "auth_invalid", "message": "Invalid access token or password"}),
        ),
    ]
}

fn by_id() -> Option<Correlation> {
    Some(Correlation { id: IdKind::Integer, request: strings(["id"]), reply: strings(["id"]) })
}

fn command_messages() -> Vec<MessageFacts> {
    let command = |id: &str, value: &str| {
        tag(id, value).reply(Reply { correlation: by_id(), ..Reply::one("CommandResult") })
    };
    let subscription = |id: &str, value: &str| {
        tag(id, value).reply(Reply {
            messages: strings(["CommandResult", "Event"]),
            replies: Replies::Stream { until: vec![] },
            correlation: by_id(),
            ..Reply::one("CommandResult")
        })
    };
    vec![
        subscription("SubscribeEvents", "subscribe_events")
            .example("changes", json!({"id": 18, "type": "subscribe_events", "event_type": "state_changed"})),
        subscription("SubscribeTrigger", "subscribe_trigger").example(
            "light",
            json!({"id": 19, "type": "subscribe_trigger",
                   "trigger": {"platform": "state", "entity_id": "light.kitchen", "to": "on"}}),
        ),
        command("UnsubscribeEvents", "unsubscribe_events")
            .idempotent()
            .example("end", json!({"id": 20, "type": "unsubscribe_events", "subscription": 18})),
        command("FireEvent", "fire_event").example(
            "fire",
            json!({"id": 21, "type": "fire_event", "event_type": "bell", "event_data": {"n": 1}}),
        ),
        command("CallService", "call_service").example(
            "light on",
            json!({"id": 22, "type": "call_service", "domain": "light", "service": "turn_on",
                   "service_data": {"color_name": "beige"}, "target": {"entity_id": "light.kitchen"},
                   "return_response": false}),
        ),
        command("GetStates", "get_states")
            .idempotent()
            .example("ask", json!({"id": 23, "type": "get_states"})),
        command("GetConfig", "get_config")
            .idempotent()
            .example("ask", json!({"id": 24, "type": "get_config"})),
        command("GetServices", "get_services")
            .idempotent()
            .example("ask", json!({"id": 25, "type": "get_services"})),
        command("GetPanels", "get_panels")
            .idempotent()
            .example("ask", json!({"id": 26, "type": "get_panels"})),
        tag("Ping", "ping")
            .idempotent()
            .reply(Reply { correlation: by_id(), ..Reply::one("Pong") })
            .example("ping", json!({"id": 27, "type": "ping"})),
    ]
}

fn server_messages() -> Vec<MessageFacts> {
    vec![
        tag("CommandResult", "result")
            .example("worked", json!({"id": 18, "type": "result", "success": true, "result": null}))
            .example(
                "did not work",
                json!({"id": 22, "type": "result", "success": false,
                       "error": {"code": "not_found", "message": "Service not found"}}),
            ),
        tag("Event", "event").example(
            "change",
            json!({"id": 18, "type": "event", "event": {"event_type": "state_changed", "data": {}}}),
        ),
        tag("Pong", "pong").example("pong", json!({"id": 27, "type": "pong"})),
    ]
}

fn policy() -> EndpointPolicy {
    EndpointPolicy {
        auth: vec![AuthWay::FirstMessage { message: "Auth".into(), path: strings(["access_token"]) }],
        session: Session {
            server_first: Some("AuthRequired".into()),
            ends_with: strings(["AuthInvalid"]),
            drains: false,
        },
        timeouts: Timeouts {
            first_ack: Some(FirstAck {
                message: "AuthOk".into(),
                refused_by: strings(["AuthInvalid"]),
                timeout_ms: Some(10_000),
            }),
            reply_ms: Some(30_000),
            ..Timeouts::default()
        },
        heartbeats: vec![Heartbeat::Message {
            from: Party::Client,
            ping: "Ping".into(),
            pong: Some("Pong".into()),
            echo: vec![EchoedField { ping: strings(["id"]), pong: strings(["id"]) }],
            carries: vec![],
            interval: Interval::Fixed { ms: 30_000 },
            timeout_ms: Some(5000),
        }],
        reconnect: Reconnect::Replay {
            opening: true,
            subscriptions: ["SubscribeEvents", "SubscribeTrigger"]
                .map(|message| Subscription {
                    message: message.into(),
                    ended_by: Some("UnsubscribeEvents".into()),
                    key: strings(["id"]),
                })
                .into(),
        },
        ..EndpointPolicy::new("Home")
    }
}
