//! What is wrong with a request: every member, by its path, with what it takes.

use serde_json::{Map, Value};
use tidewire_engine::{SessionId, Timestamp};

/// The most that is said to be wrong with one request.
const TOLD: usize = 50;
/// The most messages of a request.
const MESSAGES: usize = 1000;
/// The longest `userId` in bytes.
const USER_ID: usize = 256;
/// The longest id of a message in bytes.
const MESSAGE_ID: usize = 128;
/// The most tools of a request, and names of tools.
const TOOLS: usize = 128;

/// What a frame asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    NewChat,
    ResumeChat,
    Stop,
    ToolResult,
    Approve,
    Ping,
}

impl Kind {
    /// As `type` says it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "new_chat" => Self::NewChat,
            "resume_chat" => Self::ResumeChat,
            "stop" => Self::Stop,
            "tool_result" => Self::ToolResult,
            "approve" => Self::Approve,
            "ping" => Self::Ping,
            _ => return None,
        })
    }

    /// Its `type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NewChat => "new_chat",
            Self::ResumeChat => "resume_chat",
            Self::Stop => "stop",
            Self::ToolResult => "tool_result",
            Self::Approve => "approve",
            Self::Ping => "ping",
        }
    }

    /// Whether an answer follows it, and so an `end`.
    pub(super) fn is_answered(self) -> bool {
        matches!(self, Self::NewChat | Self::ResumeChat)
    }
}

/// A member that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Which, as `messages.0.role`.
    pub(super) path: String,
    /// What it takes.
    pub(super) takes: String,
}

type Members = Map<String, Value>;

/// Everything that is wrong with a request; what is `null` is as good as not there.
pub(super) fn request(kind: Kind, members: &Members) -> Vec<Wrong> {
    let mut found = Found::default();
    let here = Place { members, path: "" };
    match kind {
        Kind::NewChat => new_chat(&here, &mut found),
        Kind::ResumeChat => resume_chat(&here, &mut found),
        Kind::Ping => {}
        Kind::Stop => found.need(&here, "runId", RUN_ID),
        Kind::ToolResult => tool_result(&here, &mut found),
        Kind::Approve => {
            found.need(&here, "runId", RUN_ID);
            found.need(&here, "callId", TEXT);
            found.need(&here, "approved", TRUTH);
        }
    }
    found.wrong
}

/// What a member takes: in words, and as a test.
type Takes = (&'static str, fn(&Value) -> bool);

const TEXT: Takes =
    ("takes text that is not empty", |v| v.as_str().is_some_and(|text| !text.trim().is_empty()));
const ANY_TEXT: Takes = ("takes text", Value::is_string);
const TRUTH: Takes = ("takes true or false", Value::is_boolean);
const COUNT: Takes = ("takes a whole number from 0 on", Value::is_u64);
const RUN_ID: Takes = ("takes 1 to 128 of the characters A-Z a-z 0-9 . _ -", |v| {
    v.as_str().is_some_and(|text| text.parse::<SessionId>().is_ok())
});
const USER: Takes = ("takes text of 1 to 256 bytes", |v| sized(v, USER_ID));
const ID: Takes = ("takes text of 1 to 128 bytes", |v| sized(v, MESSAGE_ID));
const ROLE: Takes = ("takes user, assistant or system", |v| one_of(v, &["user", "assistant", "system"]));
const WHILE_RUNNING: Takes =
    ("takes reject, queue, interrupt or steer", |v| one_of(v, &["reject", "queue", "interrupt", "steer"]));
const PARTIALS: Takes = ("takes snapshot or delta", |v| one_of(v, &["snapshot", "delta"]));
const TIME: Takes = ("takes RFC 3339, or milliseconds since 1970", |v| time(v).is_some());
const PASSAGES: Takes = ("takes a whole number from 1 to 50", |v| within(v, 50));
const TOKENS: Takes = ("takes a whole number from 1 to 131072", |v| within(v, 131_072));
const WARMTH: Takes =
    ("takes a number from 0 to 2", |v| v.as_f64().is_some_and(|t| (0.0..=2.0).contains(&t)));
const OBJECT: Takes = ("takes an object", Value::is_object);

fn sized(value: &Value, most: usize) -> bool {
    value.as_str().is_some_and(|text| (1..=most).contains(&text.len()))
}

fn one_of(value: &Value, names: &[&str]) -> bool {
    value.as_str().is_some_and(|text| names.contains(&text))
}

fn within(value: &Value, most: u64) -> bool {
    value.as_u64().is_some_and(|number| (1..=most).contains(&number))
}

/// When something was said, as clients write it.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::from_rfc3339(text),
        // Beyond this, RFC 3339 has no years for it.
        Value::Number(_) => {
            value.as_i64().filter(|at| (0..=253_402_300_799_999).contains(at)).map(|at| Timestamp(at * 1000))
        }
        _ => None,
    }
}

/// An object somewhere in the request.
struct Place<'a> {
    members: &'a Members,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

#[derive(Default)]
struct Found {
    wrong: Vec<Wrong>,
}

impl Found {
    fn add(&mut self, path: String, takes: impl Into<String>) {
        if self.wrong.len() < TOLD {
            self.wrong.push(Wrong { path, takes: takes.into() });
        }
    }

    /// A member that must be there.
    fn need(&mut self, place: &Place<'_>, name: &str, takes: Takes) {
        match place.get(name) {
            None => self.add(place.path(name), format!("is missing; it {}", takes.0)),
            Some(_) => self.may(place, name, takes),
        }
    }

    /// A member that may be there.
    fn may(&mut self, place: &Place<'_>, name: &str, (words, fits): Takes) {
        if place.get(name).is_some_and(|value| !fits(value)) {
            self.add(place.path(name), words);
        }
    }

    /// A member that is an object, if it is there.
    fn within(&mut self, place: &Place<'_>, name: &str, check: impl FnOnce(&Place<'_>, &mut Self)) {
        match place.get(name) {
            None => {}
            Some(Value::Object(members)) => check(&Place { members, path: &place.path(name) }, self),
            Some(_) => self.add(place.path(name), OBJECT.0),
        }
    }

    /// A member that is a list, if it is there.
    fn each(
        &mut self,
        place: &Place<'_>,
        name: &str,
        most: usize,
        mut check: impl FnMut(&Value, String, &mut Self),
    ) {
        let Some(value) = place.get(name) else { return };
        let path = place.path(name);
        match value.as_array() {
            None => self.add(path, "takes a list"),
            Some(items) if items.len() > most => self.add(path, format!("takes at most {most} items")),
            Some(items) => {
                for (number, item) in items.iter().enumerate() {
                    check(item, format!("{path}.{number}"), self);
                }
            }
        }
    }
}

fn new_chat(here: &Place<'_>, found: &mut Found) {
    found.need(here, "userId", USER);
    match here.get("messages").and_then(Value::as_array) {
        None if here.get("messages").is_none() => {
            found.add("messages".into(), "is missing; it takes a list of messages");
        }
        Some(messages) if messages.is_empty() => found.add("messages".into(), "takes at least one message"),
        Some(messages) => ends_with_a_question(messages, found),
        None => {}
    }
    found.each(here, "messages", MESSAGES, message);
    found.may(here, "runId", RUN_ID);
    shared(here, found);
}

fn ends_with_a_question(messages: &[Value], found: &mut Found) {
    let last = messages.len() - 1;
    let role = messages[last].get("role").and_then(Value::as_str);
    if matches!(role, Some("assistant" | "system")) {
        found.add(format!("messages.{last}.role"), "of the last message takes user: it is the question");
    }
}

fn message(value: &Value, path: String, found: &mut Found) {
    let Value::Object(members) = value else {
        return found.add(path, "takes a message with role and content");
    };
    let place = Place { members, path: &path };
    found.may(&place, "id", ID);
    found.need(&place, "role", ROLE);
    found.need(&place, "content", TEXT);
    found.may(&place, "timestamp", TIME);
}

fn resume_chat(here: &Place<'_>, found: &mut Found) {
    found.need(here, "runId", RUN_ID);
    if let Some(further) = here.get("newMessage") {
        message(further, "newMessage".into(), found);
        if matches!(further.get("role").and_then(Value::as_str), Some("assistant" | "system")) {
            found.add("newMessage.role".into(), "takes user: it is the question");
        }
    }
    found.may(here, "afterSeq", COUNT);
    found.may(here, "epoch", COUNT);
    found.may(here, "userId", USER);
    shared(here, found);
}

fn shared(here: &Place<'_>, found: &mut Found) {
    found.may(here, "stream", TRUTH);
    found.may(here, "partials", PARTIALS);
    found.may(here, "whileRunning", WHILE_RUNNING);
    found.within(here, "options", options);
    found.each(here, "tools", TOOLS, |tool, path, found| {
        let Value::Object(members) = tool else { return found.add(path, "takes a tool with a name") };
        let place = Place { members, path: &path };
        found.need(&place, "name", TEXT);
        found.may(&place, "description", ANY_TEXT);
        found.may(&place, "parameters", OBJECT);
    });
}

fn options(place: &Place<'_>, found: &mut Found) {
    found.may(place, "enhanceWithContext", TRUTH);
    found.may(place, "maxContextItems", PASSAGES);
    found.may(place, "includeSourceInfo", TRUTH);
    found.may(place, "maxTokens", TOKENS);
    found.may(place, "temperature", WARMTH);
    found.may(place, "modelId", TEXT);
    found.may(place, "agent", TEXT);
    found.each(place, "confirm", TOOLS, |name, path, found| {
        if !name.is_string() {
            found.add(path, "takes the name of a tool");
        }
    });
}

fn tool_result(here: &Place<'_>, found: &mut Found) {
    found.need(here, "runId", RUN_ID);
    found.need(here, "callId", TEXT);
    found.may(here, "error", ANY_TEXT);
    found.may(here, "working", TRUTH);
    // A tool may well answer `null`.
    let said =
        [here.members.contains_key("result"), here.get("error").is_some(), here.get("working").is_some()];
    if said.into_iter().filter(|said| *said).count() != 1 {
        found.add("result".into(), "is what the tool answers; send exactly one of result, error and working");
    }
}
