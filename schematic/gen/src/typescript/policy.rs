//! Writes how a connection is kept: the policy's numbers as the runtime's, and its rules as data.

use schematic_define::{
    AuthStrategy, AuthWay, CarriedValue, CloseAction, Definition, Heartbeat, InboundFull, Interval, Party,
    Reconnect, Replies, Reply, Subscription, TokenCapture,
};

use super::call;
use super::writer::{list, names, quoted};
use crate::ir::{Direction, Endpoint};

/// Members of the runtime's `ConnectionPolicy` that differ from what it does by itself.
pub(super) fn connection_policy(endpoint: &Endpoint) -> Vec<String> {
    let policy = &endpoint.policy;
    let numbers = [
        ("connect_ms", policy.timeouts.connect_ms),
        ("reply_ms", policy.timeouts.reply_ms),
        ("idle_ms", policy.timeouts.idle_ms),
        ("max_age_ms", policy.max_age_ms),
        ("heartbeat_ms", heartbeat_ms(&policy.heartbeats)),
        ("heartbeat_reply_ms", heartbeat_reply_ms(&policy.heartbeats)),
        ("ping_ms", frame_beat(&policy.heartbeats).map(|(interval, _)| interval)),
        ("ping_reply_ms", frame_beat(&policy.heartbeats).and_then(|(_, timeout)| timeout)),
        ("message_bytes", policy.limits.client_message_bytes),
        ("frame_bytes", policy.limits.server_message_bytes),
        ("outbound_messages", policy.outbound.messages.map(u64::from)),
        ("outbound_bytes", policy.outbound.bytes),
        ("inbound_messages", policy.inbound.messages.map(u64::from)),
    ];
    let mut members = restoring(&policy.reconnect);
    members.extend(numbers.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value?))));
    if jitter_first(&policy.heartbeats) {
        members.push("jitter_first: true".into());
    }
    if !policy.limits.rates.is_empty() {
        let rates = policy.limits.rates.iter();
        let rates = rates.map(|rate| format!("{{ messages: {}, per_ms: {} }}", rate.messages, rate.per_ms));
        members.push(format!("rates: [{}]", list(rates)));
    }
    members.push(format!("inbound_full: {}", quoted(inbound_full(&policy.inbound.when_full))));
    if !policy.close_codes.is_empty() {
        let codes =
            policy.close_codes.iter().map(|c| format!("{}: {}", c.code, quoted(close_action(c.action))));
        members.push(format!("close_codes: {{ {} }}", list(codes)));
    }
    members
}

/// Whether lost connections are restored. One that can resume does so also when it ended without a word.
fn restoring(reconnect: &Reconnect) -> Vec<String> {
    match reconnect {
        Reconnect::Never => vec!["reconnect: \"never\"".into()],
        Reconnect::Replay { .. } => Vec::new(),
        Reconnect::Token { .. } => vec!["otherwise: \"resume\"".into()],
    }
}

/// The interval of the first heartbeat whose beats a client sees.
fn heartbeat_ms(heartbeats: &[Heartbeat]) -> Option<u64> {
    heartbeats.iter().find_map(|heartbeat| match heartbeat {
        Heartbeat::Message { interval: Interval::Fixed { ms }, .. } => Some(*ms),
        Heartbeat::Message { interval: Interval::Given { .. }, .. } | Heartbeat::Frame { .. } => None,
    })
}

/// How long the answer to a message of the client's heartbeat may take.
fn heartbeat_reply_ms(heartbeats: &[Heartbeat]) -> Option<u64> {
    heartbeats.iter().find_map(|heartbeat| match heartbeat {
        Heartbeat::Message { from: Party::Client, timeout_ms, .. } => *timeout_ms,
        Heartbeat::Message { .. } | Heartbeat::Frame { .. } => None,
    })
}

/// Interval and time limit of the ping frames that the client sends. Those of the server are answered by the platform.
fn frame_beat(heartbeats: &[Heartbeat]) -> Option<(u64, Option<u64>)> {
    heartbeats.iter().find_map(|heartbeat| match heartbeat {
        Heartbeat::Frame { from: Party::Client, interval_ms, timeout_ms } => {
            Some((*interval_ms, *timeout_ms))
        }
        Heartbeat::Frame { .. } | Heartbeat::Message { .. } => None,
    })
}

fn jitter_first(heartbeats: &[Heartbeat]) -> bool {
    heartbeats.iter().any(|heartbeat| match heartbeat {
        Heartbeat::Message { interval: Interval::Given { jitter_first, .. }, .. } => *jitter_first,
        Heartbeat::Message { .. } | Heartbeat::Frame { .. } => false,
    })
}

fn inbound_full(full: &InboundFull) -> &'static str {
    match full {
        InboundFull::Block => "block",
        InboundFull::DropOldest => "drop_oldest",
        InboundFull::Coalesce { .. } => "coalesce",
        InboundFull::Fail => "fail",
    }
}

fn close_action(action: CloseAction) -> &'static str {
    match action {
        CloseAction::Fatal => "fatal",
        CloseAction::Retry => "retry",
        CloseAction::Resume => "resume",
    }
}

/// Members of the runtime's `EndpointSpec` that say how the session opens, beats, resumes and answers.
pub(super) fn rules(definition: &Definition, endpoint: &Endpoint) -> Vec<String> {
    let policy = &endpoint.policy;
    let mut members = Vec::new();
    if !policy.subprotocols.is_empty() {
        members.push(format!("subprotocols: {}", names(&policy.subprotocols)));
    }
    members.extend(auth(definition, endpoint));
    if let Some(id) = &policy.session.server_first {
        members.push(format!("serverFirst: {}", message_name(&endpoint.server, id)));
    }
    members.extend(first_ack(endpoint));
    let heartbeats: Vec<String> = policy.heartbeats.iter().filter_map(|h| heartbeat(endpoint, h)).collect();
    if !heartbeats.is_empty() {
        members.push(format!("heartbeats: [{}]", heartbeats.join(", ")));
    }
    members.extend(reconnect(endpoint));
    if let InboundFull::Coalesce { key } = &policy.inbound.when_full {
        members.push(format!("coalesce: {}", names(key)));
    }
    members.extend(idempotent(endpoint));
    members.extend(replies(endpoint));
    members
}

/// The name of a message in generated code, as a literal.
fn message_name(direction: &Direction, id: &str) -> String {
    let found = direction.messages.iter().find(|message| message.wire == id);
    quoted(found.map_or(id, |message| &message.name))
}

fn message_names<'a>(direction: &Direction, ids: impl IntoIterator<Item = &'a String>) -> String {
    format!("[{}]", list(ids.into_iter().map(|id| message_name(direction, id))))
}

fn auth(definition: &Definition, endpoint: &Endpoint) -> Vec<String> {
    let Some(api) = &definition.websocket else { return Vec::new() };
    let ways: Vec<String> = if endpoint.policy.auth.is_empty() {
        strategy(&api.auth).into_iter().collect()
    } else {
        endpoint.policy.auth.iter().filter_map(|way| auth_way(definition, endpoint, way)).collect()
    };
    let mut members = Vec::new();
    if !ways.is_empty() {
        members.push(format!("auth: [{}]", ways.join(", ")));
    }
    let variables = call::variables(definition, endpoint);
    if !variables.is_empty() {
        members.push(format!("env: {}", names(variables)));
    }
    if !api.headers.is_empty() {
        let headers = api.headers.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
        members.push(format!("headers: {{ {} }}", list(headers)));
    }
    members
}

/// The way of a whole API.
pub(super) fn strategy(auth: &AuthStrategy) -> Option<String> {
    match auth {
        AuthStrategy::None => None,
        AuthStrategy::BearerToken { header } => {
            Some(header_way(header.as_deref().unwrap_or("Authorization"), "Bearer "))
        }
        AuthStrategy::ApiKey { header } => Some(header_way(header, "")),
        AuthStrategy::Basic => Some(header_way("Authorization", "Basic ")),
        AuthStrategy::ApiKeyQuery { name } => Some(format!("{{ query: {} }}", quoted(name))),
        AuthStrategy::ApiKeyCookie { name } => Some(format!("{{ cookie: {} }}", quoted(name))),
    }
}

fn header_way(name: &str, prefix: &str) -> String {
    format!("{{ header: {}, prefix: {} }}", quoted(name), quoted(prefix))
}

fn auth_way(definition: &Definition, endpoint: &Endpoint, way: &AuthWay) -> Option<String> {
    match way {
        AuthWay::Header { name, prefix } => Some(header_way(name, prefix)),
        AuthWay::Query { name, prefix } => {
            Some(format!("{{ query: {}, prefix: {} }}", quoted(name), quoted(prefix)))
        }
        AuthWay::Cookie { name } => Some(format!("{{ cookie: {} }}", quoted(name))),
        AuthWay::Subprotocol { prefix, beside } => {
            Some(format!("{{ subprotocol: {}, beside: {} }}", quoted(prefix), names(beside)))
        }
        AuthWay::FirstMessage { message, path } => {
            Some(format!("{{ message: {}, path: {} }}", message_name(&endpoint.client, message), names(path)))
        }
        AuthWay::UrlByCall { endpoint, path } => {
            Some(format!("{{ call: {}, path: {} }}", call::specification(definition, endpoint)?, names(path)))
        }
    }
}

fn first_ack(endpoint: &Endpoint) -> Option<String> {
    let ack = endpoint.policy.timeouts.first_ack.as_ref()?;
    let message = message_name(&endpoint.server, &ack.message);
    let refused_by = message_names(&endpoint.server, &ack.refused_by);
    let timeout = ack.timeout_ms.map_or(String::new(), |ms| format!(", timeout_ms: {ms}"));
    Some(format!("firstAck: {{ message: {message}, refusedBy: {refused_by}{timeout} }}"))
}

/// A heartbeat of messages. Those of frames are numbers of the policy.
fn heartbeat(endpoint: &Endpoint, heartbeat: &Heartbeat) -> Option<String> {
    let Heartbeat::Message { from, ping, pong, echo, carries, interval, .. } = heartbeat else { return None };
    let (side, asks, answers) = match from {
        Party::Client => ("client", &endpoint.client, &endpoint.server),
        Party::Server => ("server", &endpoint.server, &endpoint.client),
    };
    let mut parts = vec![format!("from: {}", quoted(side)), format!("ping: {}", message_name(asks, ping))];
    parts.extend(pong.as_ref().map(|pong| format!("pong: {}", message_name(answers, pong))));
    if !echo.is_empty() {
        let echo = echo.iter().map(|e| format!("{{ ping: {}, pong: {} }}", names(&e.ping), names(&e.pong)));
        parts.push(format!("echo: [{}]", list(echo)));
    }
    if !carries.is_empty() {
        parts.push(format!("carries: [{}]", list(carries.iter().map(carried))));
    }
    if let Interval::Given { message, path, .. } = interval {
        let message = message_name(&endpoint.server, message);
        parts.push(format!("given: {{ message: {message}, path: {} }}", names(path)));
    }
    Some(format!("{{ {} }}", parts.join(", ")))
}

fn carried(value: &CarriedValue) -> String {
    format!("{{ name: {}, into: {} }}", quoted(&value.name), names(&value.into))
}

fn reconnect(endpoint: &Endpoint) -> Option<String> {
    match &endpoint.policy.reconnect {
        Reconnect::Never => None,
        Reconnect::Replay { opening, subscriptions } => {
            let subscriptions = list(subscriptions.iter().map(|s| subscription(endpoint, s)));
            Some(format!(
                "reconnect: {{ replay: {{ opening: {opening}, subscriptions: [{subscriptions}] }} }}"
            ))
        }
        Reconnect::Token { capture: captures, message, url, done } => {
            let message = message_name(&endpoint.client, message);
            let captures = list(captures.iter().map(|c| capture(endpoint, c)));
            let url = url.as_ref().map_or(String::new(), |name| format!(", url: {}", quoted(name)));
            let done = done.as_ref().map(|id| format!(", done: {}", message_name(&endpoint.server, id)));
            let done = done.unwrap_or_default();
            Some(format!(
                "reconnect: {{ token: {{ message: {message}, capture: [{captures}]{url}{done} }} }}"
            ))
        }
    }
}

fn subscription(endpoint: &Endpoint, subscription: &Subscription) -> String {
    let message = message_name(&endpoint.client, &subscription.message);
    let ended_by = subscription.ended_by.as_ref();
    let ended_by =
        ended_by.map_or(String::new(), |id| format!(", endedBy: {}", message_name(&endpoint.client, id)));
    format!("{{ message: {message}{ended_by}, key: {} }}", names(&subscription.key))
}

fn capture(endpoint: &Endpoint, capture: &TokenCapture) -> String {
    let messages = message_names(&endpoint.server, &capture.messages);
    let (name, path, into) = (quoted(&capture.name), names(&capture.path), names(&capture.into));
    format!("{{ name: {name}, messages: {messages}, path: {path}, into: {into} }}")
}

/// Messages that may be sent again when nobody knows whether they arrived.
fn idempotent(endpoint: &Endpoint) -> Option<String> {
    let messages = endpoint.client.messages.iter().filter(|message| message.idempotent);
    let named = list(messages.map(|message| quoted(&message.name)));
    (!named.is_empty()).then(|| format!("idempotent: [{named}]"))
}

fn replies(endpoint: &Endpoint) -> Option<String> {
    let entries: Vec<String> = endpoint
        .client
        .messages
        .iter()
        .filter_map(|message| Some(format!("{}: {}", message.name, reply(endpoint, message.reply.as_ref()?))))
        .collect();
    (!entries.is_empty()).then(|| format!("replies: {{ {} }}", entries.join(", ")))
}

fn reply(endpoint: &Endpoint, reply: &Reply) -> String {
    let server = &endpoint.server;
    let mut parts = vec![format!("messages: {}", message_names(server, &reply.messages))];
    if !reply.errors.is_empty() {
        parts.push(format!("errors: {}", message_names(server, &reply.errors)));
    }
    match &reply.replies {
        Replies::One => {}
        Replies::Exactly(count) => parts.push(format!("count: {count}")),
        Replies::Stream { until } => parts.push(format!("until: {}", message_names(server, until))),
    }
    if let Some(correlation) = &reply.correlation {
        parts.push(format!("request: {}, reply: {}", names(&correlation.request), names(&correlation.reply)));
    }
    parts.extend(reply.timeout_ms.map(|ms| format!("timeout_ms: {ms}")));
    format!("{{ {} }}", parts.join(", "))
}
