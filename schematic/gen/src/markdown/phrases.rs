//! What policies and recognitions say, in words.

use schematic_define::{
    AuthStrategy, AuthWay, BodyKind, CloseAction, EndpointPolicy, Envelope, FrameKind, Heartbeat,
    InboundFull, Interval, JsonKind, Layout, OutboundFull, ParamType, Party, Recognition, Reconnect, Replies,
    Type,
};

use super::{code, link};
use crate::ir::Message;

/// A type in words.
pub(super) fn ty(ty: &Type) -> String {
    match ty {
        Type::String => "string".into(),
        Type::Integer => "integer".into(),
        Type::Unsigned => "integer ≥ 0".into(),
        Type::Float => "number".into(),
        Type::Boolean => "boolean".into(),
        Type::Timestamp => "time (RFC 3339)".into(),
        Type::Bytes => "bytes (base64)".into(),
        Type::Json => "any JSON".into(),
        Type::Named(name) => link(name),
        Type::Array(item) => format!("list of {}", self::ty(item)),
        Type::Map(value) => format!("object with values {}", self::ty(value)),
    }
}

/// The type of a parameter.
pub(super) fn param_type(ty: ParamType) -> &'static str {
    match ty {
        ParamType::String => "string",
        ParamType::Integer => "integer",
        ParamType::Boolean => "boolean",
        ParamType::Float => "number",
    }
}

/// How an API is authenticated.
pub(super) fn auth(auth: &AuthStrategy) -> String {
    match auth {
        AuthStrategy::None => "No authentication".into(),
        AuthStrategy::BearerToken { header } => {
            format!(
                "Authentication: a bearer token in the header {}",
                code(header.as_deref().unwrap_or("Authorization"))
            )
        }
        AuthStrategy::ApiKey { header } => {
            format!("Authentication: an API key in the header {}", code(header))
        }
        AuthStrategy::Basic => "Authentication: user name and password (`Authorization: Basic`)".into(),
        AuthStrategy::ApiKeyQuery { name } => {
            format!("Authentication: an API key in the query parameter {}", code(name))
        }
        AuthStrategy::ApiKeyCookie { name } => {
            format!("Authentication: an API key in the cookie {}", code(name))
        }
    }
}

fn auth_way(way: &AuthWay) -> String {
    match way {
        AuthWay::Header { name, prefix } => format!("header {}", code(&format!("{name}: {prefix}…"))),
        AuthWay::Query { name, prefix } => format!("query {}", code(&format!("{name}={prefix}…"))),
        AuthWay::Cookie { name } => format!("cookie {}", code(name)),
        AuthWay::Subprotocol { prefix, .. } => format!("subprotocol {}", code(&format!("{prefix}…"))),
        AuthWay::FirstMessage { message, path } => {
            format!("member {} of {}", code(&path.join(".")), link(message))
        }
        AuthWay::UrlByCall { endpoint, .. } => format!("a URL that the call {} gives", code(endpoint)),
    }
}

/// How a message is told apart.
pub(super) fn recognition(recognition: &Recognition) -> String {
    let is =
        |path: &str, value: &serde_json::Value| format!("{} is {}", code(path), code(&value.to_string()));
    match recognition {
        Recognition::Tag { field, value } | Recognition::Literal { field, value } => is(field, value),
        Recognition::NestedTag { path, value } => is(&path.join("."), value),
        Recognition::CompositeTag { parts } => {
            parts.iter().map(|p| is(&p.path.join("."), &p.value)).collect::<Vec<_>>().join(" and ")
        }
        Recognition::Presence { field } => format!("{} is there", code(field)),
        Recognition::ArrayHead { value } => format!("an array that begins with {}", code(&value.to_string())),
        Recognition::Kind(kind) => json_kind(*kind).into(),
        Recognition::Frame => "the kind of its frame".into(),
        Recognition::AnyOf(ways) => ways.iter().map(self::recognition).collect::<Vec<_>>().join(", or "),
    }
}

fn json_kind(kind: JsonKind) -> &'static str {
    match kind {
        JsonKind::Object => "an object",
        JsonKind::Array => "an array",
        JsonKind::String => "a string",
        JsonKind::Number => "a number",
        JsonKind::Boolean => "`true` or `false`",
        JsonKind::Null => "`null`",
    }
}

/// What messages are wrapped in.
pub(super) fn envelope(envelope: &Envelope) -> String {
    let id = envelope
        .id
        .as_ref()
        .map_or(String::new(), |id| format!(", {} is echoed in its reply", code(&id.field)));
    let places: Vec<String> = envelope.layouts.iter().map(layout).collect();
    format!("{} names the message{id}; the body lies {}", code(&envelope.tag), places.join(" or "))
}

fn layout(layout: &Layout) -> String {
    match layout {
        Layout::Flat => "beside them".into(),
        Layout::Under(member) => format!("under {}", code(member)),
    }
}

/// What is special about a message.
pub(super) fn message(message: &Message) -> Vec<String> {
    let mut facts = Vec::new();
    match (message.frame, message.encoding) {
        (FrameKind::Text, BodyKind::Json) => {}
        (FrameKind::Text, BodyKind::Raw) => facts.push("The frame's text is the body".into()),
        (FrameKind::Binary, BodyKind::Json) => facts.push("JSON in a binary frame".into()),
        (FrameKind::Binary | FrameKind::Either, BodyKind::Raw) => {
            facts.push("The frame's bytes are the body".into())
        }
        (FrameKind::Either, BodyKind::Json) => facts.push("In text or binary frames".into()),
    }
    if !message.repeatable {
        facts.push("At most once in a session".into());
    }
    if message.idempotent {
        facts.push("Sending it twice does no harm".into());
    }
    if let Some(reply) = &message.reply {
        let names: Vec<String> = reply.messages.iter().chain(&reply.errors).map(|id| link(id)).collect();
        let many = match &reply.replies {
            Replies::One => "",
            Replies::Exactly(_) => ", several times",
            Replies::Stream { .. } => ", as a stream",
        };
        facts.push(format!("Answered by {}{many}", names.join(" or ")));
    }
    facts
}

/// How a connection is kept, a sentence each.
pub(super) fn policy(policy: &EndpointPolicy) -> Vec<String> {
    let mut facts = Vec::new();
    if !policy.auth.is_empty() {
        let ways: Vec<String> = policy.auth.iter().map(auth_way).collect();
        facts.push(format!("The credential is taken from {}", ways.join(", or ")));
    }
    if !policy.subprotocols.is_empty() {
        let names: Vec<String> = policy.subprotocols.iter().map(|name| code(name)).collect();
        facts.push(format!("Subprotocol: {}", names.join(" or ")));
    }
    facts.extend(policy.heartbeats.iter().map(heartbeat));
    facts.extend(limits(policy));
    facts.push(reconnect(&policy.reconnect));
    facts.extend(queues(policy));
    facts
}

fn party(party: Party) -> &'static str {
    match party {
        Party::Client => "client",
        Party::Server => "server",
    }
}

fn heartbeat(heartbeat: &Heartbeat) -> String {
    match heartbeat {
        Heartbeat::Frame { from, interval_ms, .. } => {
            format!("The {} sends a ping frame every {}", party(*from), time(*interval_ms))
        }
        Heartbeat::Message { from, ping, pong, interval, .. } => {
            let every = match interval {
                Interval::Fixed { ms } => format!("every {}", time(*ms)),
                Interval::Given { message, path, .. } => {
                    format!("as often as {} says in {}", link(message), code(&path.join(".")))
                }
            };
            let answer = pong.as_ref().map_or(String::new(), |pong| format!("; {} answers", link(pong)));
            format!("The {} sends {} {every}{answer}", party(*from), link(ping))
        }
    }
}

/// Milliseconds in the largest unit in which they are whole.
pub(super) fn time(ms: u64) -> String {
    match ms {
        ms if ms > 0 && ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        ms if ms > 0 && ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}

fn limits(policy: &EndpointPolicy) -> Vec<String> {
    let timeouts = &policy.timeouts;
    let mut facts = Vec::new();
    let mut add = |ms: Option<u64>, what: &str| facts.extend(ms.map(|ms| format!("{what} {}", time(ms))));
    add(timeouts.connect_ms, "Connecting may take");
    add(
        timeouts.first_ack.as_ref().and_then(|ack| ack.timeout_ms),
        "The acknowledgement of the opening may take",
    );
    add(timeouts.reply_ms, "A reply may take");
    add(timeouts.idle_ms, "A connection on which nothing comes is given up after");
    add(policy.max_age_ms, "A connection lives at most");
    let size = |bytes: Option<u64>, who: &str| {
        bytes.map(|bytes| format!("A message from the {who} has at most {bytes} bytes"))
    };
    facts.extend(size(policy.limits.client_message_bytes, "client"));
    facts.extend(size(policy.limits.server_message_bytes, "server"));
    let rates = policy.limits.rates.iter();
    facts.extend(
        rates.map(|rate| {
            format!("The client sends at most {} messages in {}", rate.messages, time(rate.per_ms))
        }),
    );
    facts
}

fn reconnect(reconnect: &Reconnect) -> String {
    match reconnect {
        Reconnect::Never => "A lost connection loses the session; nothing is restored by itself".into(),
        Reconnect::Replay { opening, subscriptions } => {
            let opening = if *opening { "the opening message" } else { "nothing of the opening" };
            let names: Vec<String> = subscriptions.iter().map(|s| link(&s.message)).collect();
            let more = if names.is_empty() {
                String::new()
            } else {
                format!(" and every {} in force", names.join(", "))
            };
            format!("After a lost connection {opening} is sent again{more}")
        }
        Reconnect::Token { capture, message, .. } => {
            let names: Vec<String> = capture.iter().map(|c| code(&c.path.join("."))).collect();
            format!(
                "After a lost connection {} takes the session up, with the last {}",
                link(message),
                names.join(" and ")
            )
        }
    }
}

fn queues(policy: &EndpointPolicy) -> Vec<String> {
    let mut facts = Vec::new();
    match policy.outbound.when_full {
        OutboundFull::Wait => {}
        OutboundFull::Refuse => facts.push("When too much waits to be sent, a message is refused".into()),
    }
    match &policy.inbound.when_full {
        InboundFull::Block => {}
        InboundFull::DropOldest => facts.push("When too much waits to be read, the oldest is dropped".into()),
        InboundFull::Coalesce { key } => {
            facts.push(format!(
                "When too much waits to be read, the newest of each {} is kept",
                code(&key.join("."))
            ));
        }
        InboundFull::Fail => facts.push("When too much waits to be read, the connection is closed".into()),
    }
    facts
}

/// What a client does about a close code.
pub(super) fn close_action(action: CloseAction) -> &'static str {
    match action {
        CloseAction::Fatal => "stays away",
        CloseAction::Retry => "comes back with a new session",
        CloseAction::Resume => "comes back and resumes",
    }
}
