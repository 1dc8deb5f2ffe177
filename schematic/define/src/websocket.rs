//! WebSocket APIs: endpoints, their connection parameters, and the messages of their lifecycle.
//!
//! These types say *that* there is a message and who sends it. Its shape is in the type table, and how it is
//! told apart, answered and exemplified is in [`crate::MessageFacts`]; both live in [`crate::Definition`].

use serde::{Deserialize, Serialize};

use crate::{AuthStrategy, Schema};

/// WebSocket API definition
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketApi {
    /// API identifier, for example `ElevenLabs`
    pub name: String,
    /// What the API is for, in a sentence
    pub description: String,
    /// Base URL with scheme `ws` or `wss` and without a trailing slash; endpoint paths are appended to it
    pub base_url: String,
    /// Where the vendor documents the API
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs_url: Option<String>,
    /// How a connection is authenticated, if all endpoints agree; [`crate::EndpointPolicy::auth`] lists more ways
    pub auth: AuthStrategy,
    /// Environment variables that may hold the credential; the first that is set and not empty is used
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_auth: Vec<String>,
    /// Environment variable with the user name, for [`AuthStrategy::Basic`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_username: Option<String>,
    /// Headers that every upgrade request carries
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The endpoints, each a kind of connection
    pub endpoints: Vec<WebSocketEndpoint>,
}

/// One kind of connection that can be opened
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketEndpoint {
    /// Identifier, for example `StreamTextToSpeech`; names of generated items come from it
    pub id: String,
    /// Path template; each `{name}` is a required string parameter
    pub path: String,
    /// What the connection is for, in a sentence
    pub description: String,
    /// Query parameters of the upgrade request
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connection_params: Vec<ConnectionParam>,
    /// Which messages there are, and where in a connection's life
    pub lifecycle: ConnectionLifecycle,
}

impl WebSocketEndpoint {
    /// Names of the path parameters, in the order of the template. A brace that is never closed names nothing.
    pub fn path_params(&self) -> Vec<&str> {
        crate::rest::template_params(&self.path)
    }
}

/// A query parameter of the upgrade request
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionParam {
    /// Name as it stands in the URL
    pub name: String,
    /// Type of the value
    pub param_type: ParamType,
    /// Whether a connection cannot be opened without it
    pub required: bool,
    /// What the server assumes when it is absent, written as in the URL
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// The type of a parameter's value
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    /// Any text; percent-encoded where it is sent
    String,
    /// A whole number
    Integer,
    /// `true` or `false`, in lower case on the wire
    Boolean,
    /// A decimal number
    Float,
}

/// The messages of a connection, by their place in its life
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionLifecycle {
    /// What the client sends first, once; without it the client may send anything at once
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialize: Option<MessageSchema>,
    /// What the client may send between opening and close
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streaming_messages: Vec<MessageSchema>,
    /// What the client sends last, once
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<MessageSchema>,
    /// What the server may send
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_messages: Vec<MessageSchema>,
}

impl ConnectionLifecycle {
    /// Every message of the endpoint, in the order in which the fields are declared.
    pub fn messages(&self) -> impl Iterator<Item = &MessageSchema> {
        self.initialize.iter().chain(&self.streaming_messages).chain(&self.close).chain(&self.server_messages)
    }

    /// What a server has to tell apart.
    pub fn from_client(&self) -> impl Iterator<Item = &MessageSchema> {
        self.messages().filter(|m| m.direction != MessageDirection::ServerToClient)
    }

    /// What a client has to tell apart.
    pub fn from_server(&self) -> impl Iterator<Item = &MessageSchema> {
        self.messages().filter(|m| m.direction != MessageDirection::ClientToServer)
    }
}

/// A message: that it exists, who sends it, and which type its body has
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSchema {
    /// Message identifier, unique in the API; names of generated items come from it
    pub id: String,
    /// What the message says, in a sentence
    pub description: String,
    /// Who sends it
    pub direction: MessageDirection,
    /// Name of the body's type
    pub schema: Schema,
    /// Whether it can be sent or received more than once in a connection
    pub repeatable: bool,
}

/// Who sends a message
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageDirection {
    /// The client sends it
    ClientToServer,
    /// The server sends it
    ServerToClient,
    /// Both send it, with the same body
    Bidirectional,
}
