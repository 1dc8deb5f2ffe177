//! The definition of the chat-service dialect, `/chat/ws` and `/chat`: questions over a person's own material.
//!
//! The wire types, the clients and the reference page are made from it with `cargo xtask codegen`. It depends on
//! `schematic-define` alone. Clients of the founding document 004 find what they know; what is ours beside it is an
//! optional member, or a frame that is only sent to who asks for it.

#[path = "definition/client_types.rs"]
mod client_types;
#[path = "definition/messages.rs"]
mod messages;
#[path = "definition/server_types.rs"]
mod server_types;

use schematic_define::prelude::*;

/// The whole dialect.
pub fn definition() -> Definition {
    Definition::new(
        "ChatService",
        "Questions over a person's own material, answered with sources, over one WebSocket",
    )
    .with_websocket(websocket())
    .with_types(client_types::types())
    .with_types(server_types::frames())
    .with_types(server_types::bodies())
    .with_types(server_types::shared())
    .with_messages(messages::of_client())
    .with_messages(messages::of_server())
    .with_policy(policy())
}

fn websocket() -> WebSocketApi {
    let param = |name: &str| ConnectionParam {
        name: name.into(),
        param_type: ParamType::String,
        required: false,
        default: None,
    };
    WebSocketApi {
        name: "ChatService".into(),
        description: "A chat over a person's own material: the answer as it is written, its sources, its steps".into(),
        base_url: "ws://localhost:8080".into(),
        docs_url: None,
        auth: AuthStrategy::BearerToken { header: None },
        env_auth: vec!["TIDEWIRE_API_KEY".into()],
        env_username: None,
        headers: vec![],
        endpoints: vec![WebSocketEndpoint {
            id: "Chat".into(),
            path: "/chat/ws".into(),
            description: "Also at `/chat`. `type` is `new_chat` or `resume_chat`: what a first frame without a `type` is, and what one with a `type` must be. Nothing is sent before the first client frame"
                .into(),
            connection_params: vec![param("type"), param("ticket")],
            lifecycle: ConnectionLifecycle {
                initialize: None,
                streaming_messages: messages::client_schemas(),
                close: None,
                server_messages: messages::server_schemas(),
            },
        }],
    }
}

/// A lost connection ends the session: only who reads knows after which sequence number to go on.
fn policy() -> EndpointPolicy {
    EndpointPolicy {
        auth: vec![
            AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() },
            AuthWay::Query { name: "ticket".into(), prefix: String::new() },
        ],
        heartbeats: vec![Heartbeat::Message {
            from: Party::Client,
            ping: "Ping".into(),
            pong: Some("Pong".into()),
            echo: vec![],
            carries: vec![],
            interval: Interval::Fixed { ms: 25_000 },
            timeout_ms: Some(10_000),
        }],
        limits: Limits { client_message_bytes: Some(1 << 20), ..Limits::default() },
        close_codes: vec![
            CloseCode::new(1009, CloseAction::Fatal, "A message was beyond 16 MiB"),
            CloseCode::new(1011, CloseAction::Retry, "Internal error"),
            CloseCode::new(1012, CloseAction::Retry, "The server restarts"),
            CloseCode::new(1013, CloseAction::Retry, "The server is full; come back later"),
            CloseCode::new(4003, CloseAction::Fatal, "The origin is not allowed"),
        ],
        ..EndpointPolicy::new("Chat")
    }
}
