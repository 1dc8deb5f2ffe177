//! The definition of the live-data dialect: `/api/ws` and `/api/…`, records, changes and chats for programs.
//!
//! The wire types, the clients and the reference pages are made from it with `cargo xtask codegen`. It depends on
//! `schematic-define` alone. Clients written against the public crate `ekodb_client` work unchanged; what is ours
//! beside it is an optional member or a frame of its own, which they pass over.

#[path = "definition/chat_types.rs"]
mod chat_types;
#[path = "definition/data_types.rs"]
mod data_types;
#[path = "definition/messages.rs"]
mod messages;
#[path = "definition/rest.rs"]
mod rest;
#[path = "definition/rest_types.rs"]
mod rest_types;

use schematic_define::prelude::*;

/// The whole dialect.
pub fn definition() -> Definition {
    let mut definition =
        Definition::new("LiveData", "Records, their changes as they happen, and chats with an agent")
            .with_websocket(websocket())
            .with_rest(rest::rest())
            .with_types(data_types::requests())
            .with_types(data_types::answers())
            .with_types(data_types::shared())
            .with_types(chat_types::types())
            .with_types(rest_types::types())
            .with_messages(messages::of_client())
            .with_messages(messages::of_server())
            .with_policy(policy());
    definition.envelope = Some(envelope());
    definition
}

/// The id is any JSON and is echoed as it came. Bodies lie under `payload` unless a message says otherwise.
fn envelope() -> Envelope {
    Envelope {
        tag: "type".into(),
        id: Some(EnvelopeId {
            field: "messageId".into(),
            also: vec![vec!["payload".into(), "messageId".into()]],
        }),
        layouts: vec![Layout::Under("payload".into())],
    }
}

fn websocket() -> WebSocketApi {
    WebSocketApi {
        name: "LiveData".into(),
        description: "Records read, written and watched, and chats, over one socket".into(),
        base_url: "ws://localhost:8080".into(),
        docs_url: None,
        auth: AuthStrategy::BearerToken { header: None },
        env_auth: vec!["TIDEWIRE_API_KEY".into()],
        env_username: None,
        headers: vec![],
        endpoints: vec![WebSocketEndpoint {
            id: "Live".into(),
            path: "/api/ws".into(),
            description: "Text frames are JSON, binary frames are MessagePack of the same shapes; both are always understood. Nothing is sent before the first client frame"
                .into(),
            connection_params: vec![ConnectionParam {
                name: "ticket".into(),
                param_type: ParamType::String,
                required: false,
                default: None,
            }],
            lifecycle: ConnectionLifecycle {
                initialize: None,
                streaming_messages: messages::client_schemas(),
                close: None,
                server_messages: messages::server_schemas(),
            },
        }],
    }
}

/// A lost connection ends the session: only who reads knows from which offset and sequence number to go on.
fn policy() -> EndpointPolicy {
    EndpointPolicy {
        auth: vec![
            AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() },
            AuthWay::Query { name: "ticket".into(), prefix: String::new() },
        ],
        heartbeats: vec![Heartbeat::Frame { from: Party::Server, interval_ms: 15_000, timeout_ms: None }],
        limits: Limits { client_message_bytes: Some(16 << 20), ..Limits::default() },
        close_codes: vec![
            CloseCode::new(1009, CloseAction::Fatal, "A message was beyond the limit"),
            CloseCode::new(1011, CloseAction::Retry, "Internal error"),
            CloseCode::new(1012, CloseAction::Retry, "The server restarts"),
            CloseCode::new(1013, CloseAction::Retry, "The server is full; come back later"),
            CloseCode::new(4003, CloseAction::Fatal, "The origin is not allowed"),
        ],
        ..EndpointPolicy::new("Live")
    }
}
