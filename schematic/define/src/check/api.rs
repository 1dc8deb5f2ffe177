//! What a WebSocket API says by itself: addresses, parameters, ids, and the order of messages.

use std::collections::HashMap;

use super::Problems;
use crate::{
    AuthStrategy, ConnectionLifecycle, ConnectionParam, MessageDirection, MessageSchema, ParamType,
    WebSocketApi, WebSocketEndpoint,
};

/// Headers that the upgrade itself writes.
const UPGRADE_HEADERS: &[&str] =
    &["host", "connection", "upgrade", "origin", "content-length", "transfer-encoding"];

pub(super) fn check(problems: &mut Problems, api: &WebSocketApi) {
    let place = "websocket";
    problems.require(
        !api.name.trim().is_empty(),
        format!("{place}.name"),
        "the API has no name; give it one",
    );
    base_url(problems, &format!("{place}.base_url"), &api.base_url, &["ws://", "wss://"]);
    headers(problems, &format!("{place}.headers"), &api.headers);
    auth(problems, place, &api.auth, api.env_username.as_deref());
    let endpoints = &api.endpoints;
    problems.require(
        !endpoints.is_empty(),
        format!("{place}.endpoints"),
        "there is no endpoint; add one or leave the API out",
    );
    problems.unique(&format!("{place}.endpoints"), "the endpoint id", endpoints.iter().map(|e| &e.id));
    for endpoint in endpoints {
        self::endpoint(problems, endpoint);
    }
    shared_messages(problems, endpoints);
}

pub(super) fn base_url(problems: &mut Problems, place: &str, url: &str, schemes: &[&str]) {
    let Some(rest) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        problems.add(place, format!("`{url}` is no base URL; begin it with {}", schemes.join(" or ")));
        return;
    };
    problems.require(
        !rest.is_empty() && !rest.starts_with('/'),
        place,
        format!("`{url}` names no host; add one"),
    );
    problems.require(
        !url.ends_with('/'),
        place,
        format!("`{url}` ends with a slash; paths begin with one, so remove it"),
    );
    problems.require(
        !rest.contains(['?', '#', ' ', '{', '}']),
        place,
        format!("`{url}` is more than scheme, host and path; remove query, fragment, spaces and braces"),
    );
}

pub(super) fn headers(problems: &mut Problems, place: &str, headers: &[(String, String)]) {
    for (name, value) in headers {
        problems.require(
            is_token(name),
            place,
            format!("`{name}` is no header name; use letters, digits and `-`"),
        );
        let lower = name.to_ascii_lowercase();
        problems.require(
            !UPGRADE_HEADERS.contains(&lower.as_str()) && !lower.starts_with("sec-websocket-"),
            place,
            format!("`{name}` is reserved: the connection writes it itself; remove it"),
        );
        problems.require(
            !value.chars().any(char::is_control),
            place,
            format!("the value of `{name}` has control characters; remove them"),
        );
    }
    problems.unique(place, "the header", headers.iter().map(|(name, _)| name.to_ascii_lowercase()));
}

pub(super) fn auth(problems: &mut Problems, place: &str, auth: &AuthStrategy, env_username: Option<&str>) {
    let place = format!("{place}.auth");
    match auth {
        AuthStrategy::ApiKey { header } | AuthStrategy::BearerToken { header: Some(header) } => {
            problems.require(
                is_token(header),
                &place,
                format!("`{header}` is no header name; use letters, digits and `-`"),
            );
        }
        AuthStrategy::ApiKeyQuery { name } | AuthStrategy::ApiKeyCookie { name } => {
            problems.require(!name.is_empty(), &place, "the parameter has no name; give it one");
        }
        AuthStrategy::None | AuthStrategy::Basic | AuthStrategy::BearerToken { header: None } => {}
    }
    problems.require(
        env_username.is_none() || *auth == AuthStrategy::Basic,
        &place,
        "`env_username` is used by basic authentication alone; remove it or choose `Basic`",
    );
}

/// Whether a text can be the name of a header or a subprotocol.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether a default can be a value of the parameter.
pub(super) fn param_default_fits(param_type: ParamType, default: &str) -> bool {
    match param_type {
        ParamType::String => true,
        ParamType::Integer => default.parse::<i64>().is_ok(),
        ParamType::Boolean => matches!(default, "true" | "false"),
        ParamType::Float => default.parse::<f64>().is_ok_and(f64::is_finite),
    }
}

/// Judges a path template.
pub(super) fn path(problems: &mut Problems, place: &str, path: &str) {
    problems.require(path.starts_with('/'), place, format!("`{path}` does not begin with a slash; add one"));
    problems.require(
        !path.contains(['?', '#', ' ']),
        place,
        format!("`{path}` has a query, a fragment or a space; parameters of the query are listed apart"),
    );
    let mut open = false;
    let balanced = path.chars().all(|c| match c {
        '{' => !std::mem::replace(&mut open, true),
        '}' => std::mem::replace(&mut open, false),
        _ => true,
    });
    problems.require(
        balanced && !open,
        place,
        format!("the braces of `{path}` do not match; write `{{name}}`"),
    );
    let params = crate::rest::template_params(path);
    problems.require(
        params.iter().all(|name| !name.is_empty()),
        place,
        format!("a parameter of `{path}` has no name; write one between the braces"),
    );
    problems.unique(place, "the path parameter", params);
}

fn endpoint(problems: &mut Problems, endpoint: &WebSocketEndpoint) {
    let place = format!("websocket.endpoints.{}", endpoint.id);
    problems.require(!endpoint.id.trim().is_empty(), &place, "the endpoint has no id; give it one");
    path(problems, &format!("{place}.path"), &endpoint.path);
    params(problems, &place, endpoint);
    lifecycle(problems, &format!("{place}.lifecycle"), &endpoint.lifecycle);
}

fn params(problems: &mut Problems, place: &str, endpoint: &WebSocketEndpoint) {
    let place = format!("{place}.connection_params");
    let names = endpoint.connection_params.iter().map(|p| p.name.as_str());
    let in_path: std::collections::BTreeSet<&str> = endpoint.path_params().into_iter().collect();
    problems.unique(&place, "the parameter", in_path.into_iter().chain(names));
    for ConnectionParam { name, param_type, required, default } in &endpoint.connection_params {
        problems.require(!name.is_empty(), &place, "a parameter has no name; give it one");
        if let Some(default) = default {
            problems.require(
                param_default_fits(*param_type, default),
                format!("{place}.{name}"),
                format!("the default `{default}` is no value of its type; correct one of them"),
            );
            problems.require(
                !required,
                format!("{place}.{name}"),
                "it is required and has a default; choose one of them",
            );
        }
    }
}

fn lifecycle(problems: &mut Problems, place: &str, lifecycle: &ConnectionLifecycle) {
    let ConnectionLifecycle { initialize, streaming_messages, close, server_messages } = lifecycle;
    for (slot, message) in [("initialize", initialize), ("close", close)] {
        let Some(message) = message else { continue };
        let place = format!("{place}.{slot}.{}", message.id);
        from_client(problems, &place, message);
        problems.require(
            !message.repeatable,
            place,
            format!("the {slot} message is sent once, so it cannot be repeatable; set `repeatable` to false"),
        );
    }
    for message in streaming_messages {
        from_client(problems, &format!("{place}.streaming_messages.{}", message.id), message);
    }
    for message in server_messages {
        problems.require(
            message.direction != MessageDirection::ClientToServer,
            format!("{place}.server_messages.{}", message.id),
            "only the client sends it; move it to `streaming_messages` or turn its direction",
        );
    }
    problems.require(lifecycle.messages().next().is_some(), place, "nobody says anything; add messages");
    problems.unique(place, "the message id", lifecycle.messages().map(|m| &m.id));
    for message in lifecycle.messages() {
        message_ids(problems, &format!("{place}.{}", message.id), message);
    }
}

fn from_client(problems: &mut Problems, place: &str, message: &MessageSchema) {
    problems.require(
        message.direction != MessageDirection::ServerToClient,
        place,
        "only the server sends it; move it to `server_messages` or turn its direction",
    );
}

fn message_ids(problems: &mut Problems, place: &str, message: &MessageSchema) {
    problems.require(!message.id.trim().is_empty(), place, "the message has no id; give it one");
    problems.require(
        !message.id.eq_ignore_ascii_case("unknown"),
        place,
        "the id is reserved for messages that nobody knows; choose another",
    );
    problems.require(
        !message.schema.type_name.trim().is_empty(),
        place,
        "the message names no type; name one in `schema`",
    );
}

/// The same id in two endpoints has to be the same message.
fn shared_messages(problems: &mut Problems, endpoints: &[WebSocketEndpoint]) {
    let mut known: HashMap<&str, (&str, &MessageSchema)> = HashMap::new();
    for endpoint in endpoints {
        for message in endpoint.lifecycle.messages() {
            let (first, earlier) = known.entry(&message.id).or_insert((&endpoint.id, message));
            problems.require(
                *earlier == message,
                format!("websocket.endpoints.{}.lifecycle.{}", endpoint.id, message.id),
                format!("endpoint `{first}` has another message with this id; rename one or make them equal"),
            );
        }
    }
}
