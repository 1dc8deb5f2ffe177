//! graphql-transport-ws: GraphQL operations over one connection, as most GraphQL servers speak it today.
//!
//! A small automaton in full: an opening with acknowledgement, operations that end with `complete` or `error`, and close
//! codes of its own. Messages for an operation that has just ended are to be ignored by both sides.

use schematic_define::prelude::*;
use serde_json::json;

use crate::shorthand::{both, client, once, server, strings};

/// The whole definition. The base URL is an example: every server has its own.
pub fn graphql_transport_ws() -> Definition {
    Definition::new("GraphqlTransportWs", "GraphQL queries, mutations and subscriptions over one WebSocket")
        .with_websocket(WebSocketApi {
            name: "GraphqlTransportWs".into(),
            description: "GraphQL over WebSocket, subprotocol graphql-transport-ws".into(),
            base_url: "ws://localhost:4000".into(),
            docs_url: Some("https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md".into()),
            auth: AuthStrategy::None,
            env_auth: vec![],
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
        id: "Graphql".into(),
        path: "/graphql".into(),
        description: "Any number of operations at the same time, each with an id that the client chooses"
            .into(),
        connection_params: vec![],
        lifecycle: ConnectionLifecycle {
            initialize: Some(once(client("ConnectionInit", "Opens the session; may carry credentials"))),
            streaming_messages: vec![
                client("Subscribe", "Starts an operation"),
                both(
                    "Complete",
                    "From the client: no more results, please; from the server: there are no more",
                ),
                both("Ping", "Asks for a sign of life"),
                both("Pong", "Answers a ping, or is sent without one"),
            ],
            close: None,
            server_messages: vec![
                once(server("ConnectionAck", "Accepts the session")),
                server("Next", "A result of an operation"),
                server("OperationError", "The operation could not be run; it is over"),
            ],
        },
    }
}

fn types() -> Vec<TypeDef> {
    let id = || Field::required("id", Type::String).doc("The operation");
    let payload = || Field::optional("payload", Type::map(Type::Json)).nullable().doc("Anything");
    vec![
        TypeDef::record("ConnectionInit", "The opening", vec![payload()]),
        TypeDef::record("ConnectionAck", "The acknowledgement", vec![payload()]),
        TypeDef::record("Ping", "A question for a sign of life", vec![payload()]),
        TypeDef::record("Pong", "A sign of life", vec![payload()]),
        TypeDef::record(
            "Subscribe",
            "An operation to run",
            vec![id(), Field::required("payload", Type::named("Request")).doc("What to run")],
        ),
        TypeDef::record(
            "Request",
            "A GraphQL request",
            vec![
                Field::required("query", Type::String).doc("The document"),
                Field::optional("operationName", Type::String).nullable().doc("Which of its operations"),
                Field::optional("variables", Type::map(Type::Json)).nullable().doc("Values of its variables"),
                Field::optional("extensions", Type::map(Type::Json))
                    .nullable()
                    .doc("Whatever the server understands"),
            ],
        ),
        TypeDef::record(
            "Next",
            "A result",
            vec![id(), Field::required("payload", Type::named("ExecutionResult")).doc("The result")],
        ),
        TypeDef::record(
            "ExecutionResult",
            "A GraphQL result",
            vec![
                Field::optional("data", Type::Json).nullable().doc("What was asked for"),
                Field::optional("errors", Type::array(Type::named("GraphqlError"))).doc("What went wrong"),
                Field::optional("extensions", Type::map(Type::Json)).doc("Whatever the server adds"),
            ],
        ),
        TypeDef::record(
            "OperationError",
            "Why an operation could not be run",
            vec![
                id(),
                Field::required("payload", Type::array(Type::named("GraphqlError"))).doc("The errors"),
            ],
        ),
        TypeDef::record(
            "GraphqlError",
            "A GraphQL error",
            vec![
                Field::required("message", Type::String).doc("What is wrong"),
                Field::optional("locations", Type::array(Type::named("Location")))
                    .doc("Where in the document"),
                Field::optional("path", Type::array(Type::Json))
                    .doc("Where in the result: names and indexes"),
                Field::optional("extensions", Type::map(Type::Json)).doc("Whatever the server adds"),
            ],
        ),
        TypeDef::record(
            "Location",
            "A place in a document",
            vec![
                Field::required("line", Type::Unsigned).doc("From 1"),
                Field::required("column", Type::Unsigned).doc("From 1"),
            ],
        ),
        TypeDef::record("Complete", "The end of an operation", vec![id()]),
    ]
}

fn messages() -> Vec<MessageFacts> {
    let tag = |id: &str, value: &str| MessageFacts::tag(id, "type", value);
    let by_id = Correlation { id: IdKind::String, request: strings(["id"]), reply: strings(["id"]) };
    vec![
        tag("ConnectionInit", "connection_init")
            .reply(Reply::one("ConnectionAck"))
            .example("init", json!({"type": "connection_init", "payload": {"token": "secret"}})),
        tag("ConnectionAck", "connection_ack").example("ack", json!({"type": "connection_ack"})),
        tag("Ping", "ping").idempotent().example("ping", json!({"type": "ping"})),
        tag("Pong", "pong").idempotent().example("pong", json!({"type": "pong", "payload": {"at": 1}})),
        tag("Subscribe", "subscribe")
            .reply(Reply {
                messages: strings(["Next", "Complete"]),
                errors: strings(["OperationError"]),
                replies: Replies::Stream { until: strings(["Complete", "OperationError"]) },
                correlation: Some(by_id),
                timeout_ms: None,
            })
            .example(
                "subscribe",
                json!({"id": "1", "type": "subscribe",
                       "payload": {"query": "subscription { ticks }", "variables": {"n": 3}, "operationName": null}}),
            ),
        tag("Next", "next").example("result", json!({"id": "1", "type": "next", "payload": {"data": {"ticks": 1}}})),
        tag("OperationError", "error").example(
            "unknown field",
            json!({"id": "1", "type": "error",
                   "payload": [{"message": "no such field", "locations": [{"line": 1, "column": 16}], "path": ["a", 0]}]}),
        ),
        tag("Complete", "complete").example("end", json!({"id": "1", "type": "complete"})),
    ]
}

fn policy() -> EndpointPolicy {
    let fatal = |code, meaning: &str| CloseCode::new(code, CloseAction::Fatal, meaning);
    EndpointPolicy {
        subprotocols: strings(["graphql-transport-ws"]),
        timeouts: Timeouts {
            first_ack: Some(FirstAck {
                message: "ConnectionAck".into(),
                refused_by: vec![],
                timeout_ms: Some(3000),
            }),
            ..Timeouts::default()
        },
        close_codes: vec![
            fatal(4400, "A message was not understood").tells([
                Breach::Unreadable,
                Breach::Unknown,
                Breach::Mistyped,
            ]),
            fatal(4401, "An operation was started before the acknowledgement").tells([Breach::BeforeOpening]),
            fatal(4403, "The opening was refused"),
            CloseCode::new(4408, CloseAction::Retry, "The opening did not come in time"),
            fatal(4409, "The id of an operation is in use"),
            fatal(4429, "The session was opened twice").tells([Breach::OpenedTwice]),
        ],
        reconnect: Reconnect::Replay {
            opening: true,
            subscriptions: vec![Subscription {
                message: "Subscribe".into(),
                ended_by: Some("Complete".into()),
                key: strings(["id"]),
            }],
        },
        ..EndpointPolicy::new("Graphql")
    }
}
