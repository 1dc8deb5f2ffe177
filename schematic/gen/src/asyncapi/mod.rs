//! AsyncAPI 3.1 output, for the WebSocket half of a definition.
//!
//! The document is written from the client's side: `send` is what a client sends. Whatever AsyncAPI has no word for
//! (how messages are told apart, lifecycles, policies, layouts) stands under `x-schematic` at its place. Payloads are JSON
//! Schema draft-07, all of them hoisted into `components.schemas`, because references inside a payload are resolved
//! from the document's root.

mod schemas;

use schematic_define::{AuthStrategy, AuthWay, Correlation, Definition, Problem, WebSocketApi};
use serde_json::{Map, Value, json};

use crate::File;
use crate::ir::{self, Api, Endpoint, Message};
use crate::json_schema::{Draft, named, object, reference, scalar, text, without_nulls};

/// Writes `asyncapi.json`.
///
/// # Errors
/// Every problem of the definition; that it has no WebSocket API is one.
pub fn document(definition: &Definition) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let Some(websocket) = &definition.websocket else {
        let message = "the definition has no WebSocket API, so there is nothing to export; add one".into();
        return Err(vec![Problem { place: "websocket".into(), message }]);
    };
    let document = json!({
        "asyncapi": "3.1.0",
        "info": info(&api, websocket),
        "defaultContentType": "application/json",
        "servers": { "main": server(websocket) },
        "channels": object(api.endpoints.iter().map(|e| (e.name.clone(), channel(&api, websocket, e)))),
        "operations": object(api.endpoints.iter().flat_map(|e| operations(&api, e))),
        "components": components(&api, websocket),
        "x-schematic": { "perspective": "client", "envelope": api.envelope },
    });
    let text = serde_json::to_string_pretty(&without_nulls(document)).expect("JSON values have string keys");
    Ok(vec![("asyncapi.json".into(), text + "\n")])
}

fn info(api: &Api, websocket: &WebSocketApi) -> Value {
    json!({
        "title": api.wire,
        // A definition has no version of its own; the vendor's reference is what counts.
        "version": "1.0.0",
        "description": text(&api.description),
        "externalDocs": websocket.docs_url.as_ref().map(|url| json!({ "url": url })),
    })
}

fn server(websocket: &WebSocketApi) -> Value {
    let (protocol, rest) = websocket.base_url.split_once("://").unwrap_or(("wss", &websocket.base_url));
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, Some(format!("/{path}"))),
        None => (rest, None),
    };
    let security: Vec<Value> = schemes(websocket)
        .iter()
        .map(|(name, _)| reference(&["components", "securitySchemes", name]))
        .collect();
    json!({
        "host": host,
        "pathname": path,
        "protocol": protocol,
        "description": text(&websocket.description),
        "security": (!security.is_empty()).then_some(security),
        "x-schematic": { "env_auth": websocket.env_auth, "headers": websocket.headers },
    })
}

/// The API's way to authenticate as security scheme. Ways that only an endpoint knows are part of its policy.
fn schemes(websocket: &WebSocketApi) -> Vec<(String, Value)> {
    let key = |name: &str, place: &str| json!({ "type": "httpApiKey", "name": name, "in": place });
    let scheme = match &websocket.auth {
        AuthStrategy::None => return vec![],
        AuthStrategy::BearerToken { header: None } => json!({ "type": "http", "scheme": "bearer" }),
        AuthStrategy::BearerToken { header: Some(header) } | AuthStrategy::ApiKey { header } => {
            key(header, "header")
        }
        AuthStrategy::Basic => json!({ "type": "http", "scheme": "basic" }),
        AuthStrategy::ApiKeyQuery { name } => key(name, "query"),
        AuthStrategy::ApiKeyCookie { name } => key(name, "cookie"),
    };
    vec![("credential".into(), scheme)]
}

fn channel(api: &Api, websocket: &WebSocketApi, endpoint: &Endpoint) -> Value {
    let messages =
        messages(endpoint).map(|(_, m)| (key(api, m), reference(&["components", "messages", &key(api, m)])));
    let parameters = endpoint.path_params.iter().map(|p| (p.wire.clone(), json!({ "description": p.wire })));
    let parameters: Map<String, Value> = parameters.collect();
    json!({
        "address": endpoint.path,
        "description": text(&endpoint.description),
        "messages": object(messages),
        "parameters": (!parameters.is_empty()).then_some(parameters),
        "bindings": { "ws": binding(websocket, endpoint) },
        "x-schematic": {
            "id": endpoint.wire,
            "initialize": endpoint.lifecycle.initialize,
            "streaming": endpoint.lifecycle.streaming,
            "close": endpoint.lifecycle.close,
            "policy": endpoint.policy,
        },
    })
}

/// Name of a message among the components. The same message in several endpoints is one component.
fn key(api: &Api, message: &Message) -> String {
    let mut scope = crate::names::Scope::default();
    let mut seen = std::collections::HashSet::new();
    let all = api.endpoints.iter().flat_map(messages).map(|(_, m)| m);
    for other in all.filter(|m| seen.insert(m.wire.as_str())) {
        let name = scope.pascal(&other.wire);
        if other.wire == message.wire {
            return name;
        }
    }
    message.name.clone()
}

/// All messages of an endpoint with their action; one that both sides send comes twice.
fn messages(endpoint: &Endpoint) -> impl Iterator<Item = (&'static str, &Message)> {
    let client = endpoint.client.messages.iter().map(|m| ("send", m));
    let server = endpoint.server.messages.iter().map(|m| ("receive", m));
    client.chain(server)
}

fn binding(websocket: &WebSocketApi, endpoint: &Endpoint) -> Value {
    let query = parameters(
        endpoint.query.iter().map(|p| (p.wire.as_str(), scalar(p.ty, p.default.as_deref()), p.required)),
    );
    let headers = endpoint.policy.auth.iter().filter_map(|way| match way {
        AuthWay::Header { name, .. } => Some((name.as_str(), json!({ "type": "string" }), false)),
        AuthWay::Query { .. }
        | AuthWay::Cookie { .. }
        | AuthWay::Subprotocol { .. }
        | AuthWay::FirstMessage { .. }
        | AuthWay::UrlByCall { .. } => None,
    });
    let fixed = websocket.headers.iter();
    let fixed = fixed.map(|(name, value)| (name.as_str(), json!({ "type": "string", "const": value }), true));
    json!({ "query": query, "headers": parameters(headers.chain(fixed)), "bindingVersion": "0.1.0" })
}

fn parameters<'a>(params: impl Iterator<Item = (&'a str, Value, bool)>) -> Option<Value> {
    let params: Vec<_> = params.collect();
    let required: Vec<&str> =
        params.iter().filter(|(_, _, required)| *required).map(|(name, ..)| *name).collect();
    (!params.is_empty()).then(|| {
        json!({
            "type": "object",
            "properties": object(params.iter().map(|(name, schema, _)| ((*name).to_owned(), schema.clone()))),
            "required": (!required.is_empty()).then_some(required),
        })
    })
}

fn operations(api: &Api, endpoint: &Endpoint) -> Vec<(String, Value)> {
    let channel = reference(&["channels", &endpoint.name]);
    let in_channel = |m: &Message| reference(&["channels", &endpoint.name, "messages", &key(api, m)]);
    messages(endpoint)
        .map(|(action, message)| {
            let reply = message.reply.as_ref().map(|reply| {
                let answers = messages(endpoint).map(|(_, m)| m);
                let answers =
                    answers.filter(|m| reply.messages.contains(&m.wire) || reply.errors.contains(&m.wire));
                json!({ "channel": channel, "messages": answers.map(in_channel).collect::<Vec<_>>() })
            });
            let operation = json!({
                "action": action,
                "channel": channel,
                "summary": text(&message.description),
                "messages": [in_channel(message)],
                "reply": reply,
            });
            (format!("{}.{action}.{}", endpoint.name, key(api, message)), operation)
        })
        .collect()
}

fn components(api: &Api, websocket: &WebSocketApi) -> Value {
    let security = schemes(websocket);
    let all = || api.endpoints.iter().flat_map(messages).map(|(_, m)| m);
    json!({
        "messages": object(all().map(|m| (key(api, m), component(api, m)))),
        "schemas": object(
            api.types
                .iter()
                .map(|decl| (decl.name.clone(), named(api, Draft::Seven, decl)))
                .chain(all().map(|m| (payload_name(api, m), schemas::payload(api, m)))),
        ),
        "securitySchemes": (!security.is_empty()).then(|| object(security)),
    })
}

/// Name of the schema of a whole frame; the dot keeps it apart from every type.
fn payload_name(api: &Api, message: &Message) -> String {
    format!("{}.frame", key(api, message))
}

fn component(api: &Api, message: &Message) -> Value {
    let facts = api.definition.find_message(&message.wire);
    let correlation = message.reply.as_ref().and_then(|reply| reply.correlation.as_ref());
    let raw = message.encoding == schematic_define::BodyKind::Raw;
    let content = match (raw, message.frame) {
        (false, _) => "application/json",
        (true, schematic_define::FrameKind::Text) => "text/plain",
        (true, _) => "application/octet-stream",
    };
    let examples: Vec<Value> =
        message.examples.iter().map(|e| json!({ "name": e.name, "payload": e.value })).collect();
    json!({
        "name": message.wire,
        "title": message.wire,
        "summary": text(&message.description),
        "contentType": content,
        "payload": reference(&["components", "schemas", &payload_name(api, message)]),
        "correlationId": correlation.map(correlation_id).or_else(|| envelope_id(api)),
        "examples": (!examples.is_empty()).then_some(examples),
        "x-schematic": {
            "recognition": facts.map(|f| &f.recognition),
            "frame": message.frame,
            "body": message.encoding,
            "layouts": message.layouts,
            "reply": message.reply,
            "idempotent": message.idempotent,
            "repeatable": message.repeatable,
        },
    })
}

fn correlation_id(correlation: &Correlation) -> Value {
    json!({ "location": location(&correlation.request) })
}

fn envelope_id(api: &Api) -> Option<Value> {
    let id = api.envelope.as_ref()?.id.as_ref()?;
    Some(json!({ "location": location(std::slice::from_ref(&id.field)) }))
}

fn location(path: &[String]) -> String {
    format!("$message.payload#/{}", path.join("/"))
}
