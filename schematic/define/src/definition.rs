//! A whole definition: what an API offers, and everything that is needed to generate clients of it.
//!
//! [`RestApi`] and [`WebSocketApi`] hold what a vendor's reference lists. The tables beside them hold the rest, by
//! name or id. All of it is plain data; the order of every table is kept.

use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, EndpointPolicy, Envelope, MessageFacts, RestApi, TypeDef, WebSocketApi, WebSocketEndpoint,
    is_default,
};

/// An API, with the shapes of its types, the facts about its messages and the policies of its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name of the API; names of generated files come from it
    pub name: String,
    /// What it is for, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// What is asked over HTTP
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestApi>,
    /// What is said over WebSockets
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket: Option<WebSocketApi>,
    /// What all WebSocket messages are wrapped in
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
    /// The type table
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeDef>,
    /// Facts about WebSocket messages, by message id
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageFacts>,
    /// Policies of WebSocket endpoints, by endpoint id
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<EndpointPolicy>,
}

impl Definition {
    /// An empty definition.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { name: name.into(), description: description.into(), ..Self::default() }
    }

    /// Adds what is asked over HTTP.
    pub fn with_rest(mut self, rest: RestApi) -> Self {
        self.rest = Some(rest);
        self
    }

    /// Adds what is said over WebSockets.
    pub fn with_websocket(mut self, websocket: WebSocketApi) -> Self {
        self.websocket = Some(websocket);
        self
    }

    /// Adds an entry of the type table.
    pub fn with_type(mut self, entry: TypeDef) -> Self {
        self.types.push(entry);
        self
    }

    /// Adds entries of the type table.
    pub fn with_types(mut self, entries: impl IntoIterator<Item = TypeDef>) -> Self {
        self.types.extend(entries);
        self
    }

    /// Adds facts about a message.
    pub fn with_message(mut self, facts: MessageFacts) -> Self {
        self.messages.push(facts);
        self
    }

    /// Adds facts about messages.
    pub fn with_messages(mut self, facts: impl IntoIterator<Item = MessageFacts>) -> Self {
        self.messages.extend(facts);
        self
    }

    /// Adds the policy of an endpoint.
    pub fn with_policy(mut self, policy: EndpointPolicy) -> Self {
        self.policies.push(policy);
        self
    }

    /// The entry of the type table with this name.
    pub fn find_type(&self, name: &str) -> Option<&TypeDef> {
        self.types.iter().find(|entry| entry.name == name)
    }

    /// The facts about the message with this id.
    pub fn find_message(&self, id: &str) -> Option<&MessageFacts> {
        self.messages.iter().find(|facts| facts.id == id)
    }

    /// The policy of the WebSocket endpoint with this id.
    pub fn find_policy(&self, endpoint: &str) -> Option<&EndpointPolicy> {
        self.policies.iter().find(|policy| policy.endpoint == endpoint)
    }

    /// The REST endpoints, if there are any.
    pub fn rest_endpoints(&self) -> &[Endpoint] {
        self.rest.as_ref().map_or(&[], |api| &api.endpoints)
    }

    /// The WebSocket endpoints, if there are any.
    pub fn websocket_endpoints(&self) -> &[WebSocketEndpoint] {
        self.websocket.as_ref().map_or(&[], |api| &api.endpoints)
    }

    /// The definition as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a definition has only string keys and finite numbers")
    }

    /// Reads a definition from JSON.
    ///
    /// # Errors
    /// When the text is not JSON, or not a definition; the sentence names line and column.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        serde_json::from_str(text).map_err(|e| ReadError(e.to_string()))
    }

    /// The definition as YAML.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("a definition has only string keys and finite numbers")
    }

    /// Reads a definition from YAML.
    ///
    /// # Errors
    /// When the text is not YAML, or not a definition; the sentence names line and column.
    pub fn from_yaml(text: &str) -> Result<Self, ReadError> {
        serde_saphyr::from_str(text).map_err(|e| ReadError(e.to_string()))
    }
}

/// Why a text is not a definition, in a sentence that names the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError(pub String);

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}
