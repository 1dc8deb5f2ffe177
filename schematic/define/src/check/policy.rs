//! The policies of endpoints: that they speak of messages that exist, and ask for nothing impossible.

use super::messages::require_path;
use super::{Problems, api};
use crate::{
    AuthWay, CarriedValue, CloseAction, Definition, EndpointPolicy, Heartbeat, InboundFull, Interval,
    MessageDirection, Party, Reconnect, Subscription, TokenCapture, WebSocketEndpoint,
};

pub(super) fn check(problems: &mut Problems, definition: &Definition) {
    problems.unique("policies", "the policy of endpoint", definition.policies.iter().map(|p| &p.endpoint));
    for policy in &definition.policies {
        let place = format!("policies.{}", policy.endpoint);
        match definition.websocket_endpoints().iter().find(|e| e.id == policy.endpoint) {
            Some(endpoint) => Judge { problems, definition, endpoint, policy, place }.judge(),
            None => problems.add(place, "no WebSocket endpoint has this id; correct it or remove the policy"),
        }
    }
}

/// One policy with all that it speaks of.
struct Judge<'a> {
    problems: &'a mut Problems,
    definition: &'a Definition,
    endpoint: &'a WebSocketEndpoint,
    policy: &'a EndpointPolicy,
    place: String,
}

impl Judge<'_> {
    fn judge(mut self) {
        self.precedence();
        self.auth();
        self.subprotocols();
        self.session();
        self.heartbeats();
        self.times();
        self.limits();
        self.close_codes();
        self.reconnect();
    }

    fn add(&mut self, part: &str, message: impl AsRef<str>) {
        self.problems.add(format!("{}.{part}", self.place), message);
    }

    fn require(&mut self, holds: bool, part: &str, message: impl AsRef<str>) {
        if !holds {
            self.add(part, message);
        }
    }

    /// Notes a message that the endpoint lacks, or that the wrong side sends.
    fn message(&mut self, part: &str, id: &str, from: Option<Party>) {
        let found = self.endpoint.lifecycle.messages().find(|m| m.id == id);
        let Some(message) = found else {
            self.add(part, format!("the endpoint has no message `{id}`; correct the id"));
            return;
        };
        let fits = match from {
            Some(Party::Client) => message.direction != MessageDirection::ServerToClient,
            Some(Party::Server) => message.direction != MessageDirection::ClientToServer,
            None => true,
        };
        self.require(
            fits,
            part,
            format!("`{id}` is sent by the other side; name a message of the right one"),
        );
    }

    fn path(&mut self, part: &str, path: &[String], id: &str) {
        require_path(self.problems, self.definition, &format!("{}.{part}", self.place), path, id);
    }

    fn precedence(&mut self) {
        for id in &self.policy.precedence {
            self.message("precedence", id, None);
        }
        self.problems.unique(&format!("{}.precedence", self.place), "the message", &self.policy.precedence);
    }

    fn auth(&mut self) {
        for way in &self.policy.auth {
            match way {
                AuthWay::Header { name, .. } => {
                    self.require(
                        api::is_token(name),
                        "auth",
                        format!("`{name}` is no header name; use letters, digits and `-`"),
                    );
                }
                AuthWay::Query { name, .. } | AuthWay::Cookie { name } => {
                    self.require(!name.is_empty(), "auth", "the parameter has no name; give it one");
                }
                AuthWay::Subprotocol { prefix, beside } => {
                    let tokens = beside.iter().all(|name| api::is_token(name))
                        && (prefix.is_empty() || api::is_token(prefix));
                    self.require(
                        tokens,
                        "auth",
                        "a subprotocol consists of letters, digits and some signs; correct it",
                    );
                }
                AuthWay::FirstMessage { message, path } => {
                    self.message("auth", message, Some(Party::Client));
                    self.path("auth", path, message);
                }
                AuthWay::UrlByCall { endpoint, path } => {
                    let known = self.definition.rest_endpoints().iter().any(|e| e.id == *endpoint);
                    self.require(
                        known,
                        "auth",
                        format!("no REST endpoint has the id `{endpoint}`; add it or correct the id"),
                    );
                    self.require(!path.is_empty(), "auth", "the path to the URL is empty; name the member");
                }
            }
        }
    }

    fn subprotocols(&mut self) {
        for name in &self.policy.subprotocols {
            self.require(
                api::is_token(name),
                "subprotocols",
                format!("`{name}` is no subprotocol; use letters, digits, `.` and `-`"),
            );
        }
        self.problems.unique(
            &format!("{}.subprotocols", self.place),
            "the subprotocol",
            &self.policy.subprotocols,
        );
    }

    fn session(&mut self) {
        if let Some(id) = &self.policy.session.server_first {
            self.message("session.server_first", id, Some(Party::Server));
        }
        for id in &self.policy.session.ends_with {
            self.message("session.ends_with", id, Some(Party::Server));
        }
        let drains = self.policy.session.drains;
        self.require(
            !drains || self.endpoint.lifecycle.close.is_some(),
            "session.drains",
            "the server drains after a close message, but there is none; add it to the lifecycle or set `drains` to false",
        );
        let Some(contexts) = &self.policy.contexts else { return };
        for id in contexts.opened_by.iter().chain(&contexts.closed_by) {
            self.message("contexts", id, Some(Party::Client));
        }
        for id in &contexts.ended_by {
            self.message("contexts", id, Some(Party::Server));
        }
        let named = !contexts.client.is_empty() && !contexts.server.is_empty();
        self.require(named, "contexts", "a path to the id is empty; name the member");
    }

    fn heartbeats(&mut self) {
        for heartbeat in &self.policy.heartbeats {
            match heartbeat {
                Heartbeat::Frame { interval_ms, .. } => self.interval(*interval_ms),
                Heartbeat::Message { from, ping, pong, echo, carries, interval, .. } => {
                    let other = match from {
                        Party::Client => Party::Server,
                        Party::Server => Party::Client,
                    };
                    self.message("heartbeats", ping, Some(*from));
                    if let Some(pong) = pong {
                        self.message("heartbeats", pong, Some(other));
                    }
                    for field in echo {
                        self.path("heartbeats", &field.ping, ping);
                        match pong {
                            Some(pong) => self.path("heartbeats", &field.pong, pong),
                            None => self.add(
                                "heartbeats",
                                "members are echoed, but nothing answers; name the `pong`",
                            ),
                        }
                    }
                    self.carries(ping, carries);
                    self.interval_kind(interval);
                }
            }
        }
    }

    fn carries(&mut self, ping: &str, carries: &[CarriedValue]) {
        let captured: &[TokenCapture] = match &self.policy.reconnect {
            Reconnect::Token { capture, .. } => capture,
            Reconnect::Never | Reconnect::Replay { .. } => &[],
        };
        for carried in carries {
            let known = captured.iter().any(|c| c.name == carried.name);
            let message =
                format!("no captured value is named `{}`; add it to the token of `reconnect`", carried.name);
            self.require(known, "heartbeats", message);
            self.path("heartbeats", &carried.into, ping);
        }
    }

    fn interval_kind(&mut self, interval: &Interval) {
        match interval {
            Interval::Fixed { ms } => self.interval(*ms),
            Interval::Given { message, path, .. } => {
                self.message("heartbeats", message, Some(Party::Server));
                self.path("heartbeats", path, message);
            }
        }
    }

    fn interval(&mut self, ms: u64) {
        self.require(ms > 0, "heartbeats", "an interval of 0 ms never rests; give it time");
    }

    fn times(&mut self) {
        let timeouts = &self.policy.timeouts;
        let all = [timeouts.connect_ms, timeouts.reply_ms, timeouts.idle_ms, self.policy.max_age_ms];
        let ack = timeouts.first_ack.as_ref();
        let zero = all.into_iter().chain([ack.and_then(|ack| ack.timeout_ms)]).any(|ms| ms == Some(0));
        self.require(!zero, "timeouts", "a timeout of 0 ms is always over; give it time or leave it out");
        let Some(ack) = ack else { return };
        for id in std::iter::once(&ack.message).chain(&ack.refused_by) {
            self.message("timeouts.first_ack", id, Some(Party::Server));
        }
        self.require(
            self.endpoint.lifecycle.initialize.is_some(),
            "timeouts.first_ack",
            "the opening message is acknowledged, but there is none; add `initialize` to the lifecycle",
        );
    }

    fn limits(&mut self) {
        let limits = &self.policy.limits;
        let outbound = &self.policy.outbound;
        let none = [limits.client_message_bytes, limits.server_message_bytes, outbound.bytes]
            .contains(&Some(0))
            || [outbound.messages, self.policy.inbound.messages].contains(&Some(0));
        self.require(!none, "limits", "a limit of 0 lets nothing through; raise it or leave it out");
        let rates = limits.rates.iter().all(|rate| rate.messages > 0 && rate.per_ms > 0);
        self.require(rates, "limits.rates", "a rate of 0 lets nothing through; raise it or leave it out");
        if let InboundFull::Coalesce { key } = &self.policy.inbound.when_full {
            self.require(!key.is_empty(), "inbound", "the path to the key is empty; name the member");
        }
    }

    fn close_codes(&mut self) {
        let place = format!("{}.close_codes", self.place);
        self.problems.unique(&place, "the close code", self.policy.close_codes.iter().map(|c| c.code));
        let breaches = self.policy.close_codes.iter().flat_map(|c| &c.breaches);
        self.problems.unique(&place, "the breach", breaches);
        let resumes = matches!(self.policy.reconnect, Reconnect::Token { .. });
        for code in &self.policy.close_codes {
            self.require(
                (1000..=4999).contains(&code.code),
                "close_codes",
                format!("{} is no close code; use 1000 to 4999", code.code),
            );
            self.require(
                code.action != CloseAction::Resume || resumes,
                "close_codes",
                format!(
                    "{} asks to resume, but there is no token to resume with; declare `reconnect` as `token`",
                    code.code
                ),
            );
        }
    }

    fn reconnect(&mut self) {
        match &self.policy.reconnect {
            Reconnect::Never => {}
            Reconnect::Replay { opening, subscriptions } => {
                self.require(
                    !opening || self.endpoint.lifecycle.initialize.is_some(),
                    "reconnect",
                    "the opening message is replayed, but there is none; add `initialize` or set `opening` to false",
                );
                for subscription in subscriptions {
                    self.subscription(subscription);
                }
            }
            Reconnect::Token { capture, message, url, done } => {
                self.message("reconnect", message, Some(Party::Client));
                if let Some(done) = done {
                    self.message("reconnect", done, Some(Party::Server));
                }
                self.captures(capture, message);
                let known = url.as_ref().is_none_or(|url| capture.iter().any(|c| c.name == *url));
                self.require(known, "reconnect", "`url` names no captured value; add it to `capture`");
            }
        }
    }

    fn subscription(&mut self, subscription: &Subscription) {
        self.message("reconnect", &subscription.message, Some(Party::Client));
        if let Some(end) = &subscription.ended_by {
            self.message("reconnect", end, Some(Party::Client));
        }
        if !subscription.key.is_empty() {
            self.path("reconnect", &subscription.key, &subscription.message);
        }
    }

    fn captures(&mut self, captures: &[TokenCapture], resume: &str) {
        let place = format!("{}.reconnect", self.place);
        self.problems.unique(&place, "the captured value", captures.iter().map(|c| &c.name));
        self.require(
            !captures.is_empty(),
            "reconnect",
            "nothing is remembered to resume with; add a `capture`",
        );
        for capture in captures {
            self.require(
                !capture.path.is_empty(),
                "reconnect",
                "the path of a captured value is empty; name the member",
            );
            for id in &capture.messages {
                self.message("reconnect", id, Some(Party::Server));
                self.path("reconnect", &capture.path, id);
            }
            if !capture.into.is_empty() {
                self.path("reconnect", &capture.into, resume);
            }
        }
    }
}
