//! Small definitions for the tests.

use schematic_define::prelude::*;

/// An API with one endpoint, on which the server sends these messages and the client says hello.
pub(crate) fn server_says(facts: Vec<MessageFacts>, types: Vec<TypeDef>) -> Definition {
    let mut endpoint = endpoint();
    endpoint.lifecycle.server_messages =
        facts.iter().map(|f| message(&f.id, MessageDirection::ServerToClient)).collect();
    with_endpoint(endpoint)
        .with_messages(facts)
        .with_types(types)
        .with_type(TypeDef::record("Hello", "", vec![]))
        .with_message(MessageFacts::tag("Hello", "type", "hello"))
}

/// A definition with this endpoint and nothing else.
pub(crate) fn with_endpoint(endpoint: WebSocketEndpoint) -> Definition {
    Definition::new("Sample", "For tests").with_websocket(WebSocketApi {
        name: "Sample".into(),
        description: String::new(),
        base_url: "wss://example.com".into(),
        docs_url: None,
        auth: AuthStrategy::None,
        env_auth: vec![],
        env_username: None,
        headers: vec![],
        endpoints: vec![endpoint],
    })
}

/// An endpoint on which the client says hello.
pub(crate) fn endpoint() -> WebSocketEndpoint {
    WebSocketEndpoint {
        id: "Talk".into(),
        path: "/talk/{room}".into(),
        description: String::new(),
        connection_params: vec![],
        lifecycle: ConnectionLifecycle {
            streaming_messages: vec![message("Hello", MessageDirection::ClientToServer)],
            ..ConnectionLifecycle::default()
        },
    }
}

/// A message whose type has the same name.
pub(crate) fn message(id: &str, direction: MessageDirection) -> MessageSchema {
    MessageSchema {
        id: id.into(),
        description: String::new(),
        direction,
        schema: Schema::new(id),
        repeatable: true,
    }
}

/// The problems of a definition, as text.
pub(crate) fn problems(definition: &Definition) -> Vec<String> {
    match definition.check() {
        Ok(()) => vec![],
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}
