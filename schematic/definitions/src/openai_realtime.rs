//! OpenAI Realtime: spoken conversations with a model.
//!
//! The plainest way of recognition at the largest size: 57 events, all with the tag `type`. The server speaks first,
//! most errors are not fatal, and a session that is over cannot be taken up: the client opens a new one and tells the
//! history again, which only it can do. Items, parts, sessions and responses are kept as JSON, because they grow with
//! every model.

use schematic_define::prelude::*;
use serde_json::{Map, Value, json};

use crate::shorthand::{client, once, param, server, strings};

/// The whole definition.
pub fn openai_realtime() -> Definition {
    let events: Vec<Event> = client_events().into_iter().chain(server_events()).collect();
    Definition::new("OpenaiRealtime", "Spoken conversations with a model")
        .with_websocket(WebSocketApi {
            name: "OpenaiRealtime".into(),
            description: "OpenAI's Realtime API".into(),
            base_url: "wss://api.openai.com".into(),
            docs_url: Some("https://platform.openai.com/docs/guides/realtime".into()),
            auth: AuthStrategy::BearerToken { header: None },
            env_auth: strings(["OPENAI_API_KEY"]),
            env_username: None,
            headers: vec![],
            endpoints: vec![endpoint()],
        })
        .with_types(events.iter().map(|e| TypeDef::record(&e.id, e.doc, e.fields.clone())))
        .with_types(shared_types())
        .with_messages(events.iter().map(Event::facts))
        .with_policy(policy())
}

/// An event: its tag, what it says, and its members.
struct Event {
    tag: &'static str,
    id: String,
    doc: &'static str,
    fields: Vec<Field>,
}

impl Event {
    fn facts(&self) -> MessageFacts {
        let mut example = Map::from_iter([("type".to_owned(), Value::from(self.tag))]);
        example.extend(self.fields.iter().filter(|f| !f.optional).map(|f| (f.name.clone(), sample(f))));
        MessageFacts::tag(&self.id, "type", self.tag).example("required members", Value::Object(example))
    }
}

/// A value for an example.
fn sample(field: &Field) -> Value {
    match &field.field_type {
        Type::Bytes => "AAEC".into(),
        Type::Unsigned | Type::Integer => 1.into(),
        Type::Float => 0.5.into(),
        Type::Boolean => true.into(),
        Type::Array(_) => json!([]),
        Type::Named(name) if name == "ErrorDetail" => {
            json!({"type": "invalid_request_error", "message": "No such item"})
        }
        Type::Named(_) | Type::Map(_) | Type::Json => json!({}),
        Type::Timestamp => "2026-01-02T03:04:05Z".into(),
        Type::String => format!("{}_1", field.name.trim_end_matches("_id")).into(),
    }
}

/// `response.output_text.delta` is `ResponseOutputTextDelta`.
fn id_of(tag: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    tag.split(['.', '_']).map(capital).collect()
}

fn event(tag: &'static str, doc: &'static str, fields: Vec<Field>) -> Event {
    Event { tag, id: id_of(tag), doc, fields }
}

fn endpoint() -> WebSocketEndpoint {
    let from_server = |e: Event| match e.tag {
        "session.created" => once(server(&e.id, e.doc)),
        _ => server(&e.id, e.doc),
    };
    WebSocketEndpoint {
        id: "Realtime".into(),
        path: "/v1/realtime".into(),
        description: "A session with a model, or one that only transcribes".into(),
        connection_params: vec![
            param("model", ParamType::String, None),
            param("intent", ParamType::String, None),
            param("call_id", ParamType::String, None),
        ],
        lifecycle: ConnectionLifecycle {
            streaming_messages: client_events().into_iter().map(|e| client(&e.id, e.doc)).collect(),
            server_messages: server_events().into_iter().map(from_server).collect(),
            ..ConnectionLifecycle::default()
        },
    }
}

fn text(name: &str) -> Field {
    Field::required(name, Type::String)
}

fn number(name: &str) -> Field {
    Field::required(name, Type::Unsigned)
}

fn object(name: &str) -> Field {
    Field::required(name, Type::map(Type::Json))
}

fn previous_item() -> Field {
    Field::optional("previous_item_id", Type::String).nullable().doc("The item before it")
}

fn client_events() -> Vec<Event> {
    let event = |tag, doc, fields: Vec<Field>| {
        let event_id = Field::optional("event_id", Type::String).doc("Named by errors that it causes");
        event(tag, doc, [vec![event_id], fields].concat())
    };
    let audio = Field::required("audio", Type::Bytes).doc("Audio in the format of the session");
    let truncated = vec![text("item_id"), number("content_index"), number("audio_end_ms")];
    vec![
        event("session.update", "Changes the session", vec![object("session")]),
        event("input_audio_buffer.append", "Adds audio", vec![audio]),
        event("input_audio_buffer.commit", "Makes the audio so far an item", vec![]),
        event("input_audio_buffer.clear", "Forgets the audio so far", vec![]),
        event("output_audio_buffer.clear", "Stops the audio that is being played", vec![]),
        event("conversation.item.create", "Adds an item", vec![previous_item(), object("item")]),
        event("conversation.item.delete", "Removes an item", vec![text("item_id")]),
        event("conversation.item.retrieve", "Asks for an item", vec![text("item_id")]),
        event("conversation.item.truncate", "Cuts audio that was not heard", truncated),
        event(
            "response.create",
            "Asks for a response",
            vec![Field::optional("response", Type::map(Type::Json)).doc("Settings for this one")],
        ),
        event(
            "response.cancel",
            "Stops a response",
            vec![Field::optional("response_id", Type::String).doc("Which; without it the current one")],
        ),
    ]
}

fn server_events() -> Vec<Event> {
    let mut events = conversation_events();
    events.extend(audio_events());
    events.extend(response_events());
    events.extend(tool_events());
    for event in &mut events {
        event.fields.insert(0, text("event_id").doc("Of this event"));
    }
    // The one event that has no id.
    events.push(event(
        "input_audio_buffer.dtmf_event_received",
        "A key of a telephone was pressed",
        vec![text("event").doc("The key"), number("received_at").doc("Seconds since 1970")],
    ));
    events
}

fn conversation_events() -> Vec<Event> {
    let item = || vec![previous_item(), object("item")];
    let transcript = |fields: Vec<Field>| [vec![text("item_id"), number("content_index")], fields].concat();
    let logprobs = || Field::optional("logprobs", Type::array(Type::Json)).nullable();
    let seconds = |name: &str| Field::required(name, Type::Float).doc("In seconds");
    vec![
        event("session.created", "The session is open", vec![object("session")]),
        event("session.updated", "The session was changed", vec![object("session")]),
        event("conversation.created", "The conversation has begun", vec![object("conversation")]),
        event("conversation.item.created", "An item was created", item()),
        event("conversation.item.added", "An item was added", item()),
        event("conversation.item.done", "An item is complete", item()),
        event("conversation.item.deleted", "An item was removed", vec![text("item_id")]),
        event("conversation.item.retrieved", "An item that was asked for", vec![object("item")]),
        event(
            "conversation.item.truncated",
            "Audio was cut",
            vec![text("item_id"), number("content_index"), number("audio_end_ms")],
        ),
        event(
            "conversation.item.input_audio_transcription.delta",
            "More of a transcript",
            transcript(vec![Field::optional("delta", Type::String), logprobs()]),
        ),
        event(
            "conversation.item.input_audio_transcription.segment",
            "A part of a transcript, with its speaker",
            transcript(vec![text("text"), text("id"), text("speaker"), seconds("start"), seconds("end")]),
        ),
        event(
            "conversation.item.input_audio_transcription.completed",
            "A whole transcript",
            transcript(vec![text("transcript"), logprobs(), object("usage")]),
        ),
        event(
            "conversation.item.input_audio_transcription.failed",
            "A transcript could not be made",
            transcript(vec![object("error")]),
        ),
        event(
            "rate_limits.updated",
            "What may still be used",
            vec![Field::required("rate_limits", Type::array(Type::named("RateLimit")))],
        ),
        event(
            "error",
            "Something did not work; the session usually goes on",
            vec![Field::required("error", Type::named("ErrorDetail"))],
        ),
    ]
}

fn audio_events() -> Vec<Event> {
    let item = || text("item_id");
    let response = || vec![text("response_id")];
    vec![
        event("input_audio_buffer.committed", "Audio became an item", vec![previous_item(), item()]),
        event("input_audio_buffer.cleared", "Audio was forgotten", vec![]),
        event("input_audio_buffer.speech_started", "Somebody speaks", vec![number("audio_start_ms"), item()]),
        event(
            "input_audio_buffer.speech_stopped",
            "Nobody speaks any more",
            vec![number("audio_end_ms"), item()],
        ),
        event(
            "input_audio_buffer.timeout_triggered",
            "Nobody has spoken for a while",
            vec![number("audio_start_ms"), number("audio_end_ms"), item()],
        ),
        event("output_audio_buffer.started", "Audio begins to play", response()),
        event("output_audio_buffer.stopped", "Audio has been played", response()),
        event("output_audio_buffer.cleared", "Audio was stopped", response()),
    ]
}

/// Where in a response a piece belongs.
fn at(fields: Vec<Field>) -> Vec<Field> {
    [vec![text("response_id"), text("item_id"), number("output_index")], fields].concat()
}

fn response_events() -> Vec<Event> {
    let item = || vec![text("response_id"), number("output_index"), object("item")];
    let part = |fields: Vec<Field>| at([vec![number("content_index")], fields].concat());
    let audio = Field::required("delta", Type::Bytes).doc("Audio in the format of the session");
    vec![
        event("response.created", "A response begins", vec![object("response")]),
        event("response.done", "A response is over", vec![object("response")]),
        event("response.output_item.added", "An item of a response begins", item()),
        event("response.output_item.done", "An item of a response is complete", item()),
        event("response.content_part.added", "A part of an item begins", part(vec![object("part")])),
        event("response.content_part.done", "A part of an item is complete", part(vec![object("part")])),
        event("response.output_text.delta", "More text", part(vec![text("delta")])),
        event("response.output_text.done", "The whole text", part(vec![text("text")])),
        event("response.output_audio.delta", "More audio", part(vec![audio])),
        event("response.output_audio.done", "All audio was sent", part(vec![])),
        event("response.output_audio_transcript.delta", "More of what is said", part(vec![text("delta")])),
        event("response.output_audio_transcript.done", "All that is said", part(vec![text("transcript")])),
    ]
}

fn tool_events() -> Vec<Event> {
    let call = |field: Field| at(vec![text("call_id"), field]);
    let mcp = || vec![number("output_index"), text("item_id")];
    let hidden = Field::optional("obfuscation", Type::String).nullable().doc("Padding that means nothing");
    vec![
        event("response.function_call_arguments.delta", "More arguments", call(text("delta"))),
        event("response.function_call_arguments.done", "All arguments", call(text("arguments"))),
        event("response.mcp_call_arguments.delta", "More arguments", at(vec![text("delta"), hidden])),
        event("response.mcp_call_arguments.done", "All arguments", at(vec![text("arguments")])),
        event("response.mcp_call.in_progress", "A remote tool works", mcp()),
        event("response.mcp_call.completed", "A remote tool has finished", mcp()),
        event("response.mcp_call.failed", "A remote tool has failed", mcp()),
        event("mcp_list_tools.in_progress", "Remote tools are being listed", vec![text("item_id")]),
        event("mcp_list_tools.completed", "Remote tools were listed", vec![text("item_id")]),
        event("mcp_list_tools.failed", "Remote tools could not be listed", vec![text("item_id")]),
    ]
}

fn shared_types() -> Vec<TypeDef> {
    let maybe = |name: &str| Field::optional(name, Type::String).nullable();
    vec![
        TypeDef::record(
            "ErrorDetail",
            "What did not work",
            vec![
                text("type").doc("Kind of error"),
                maybe("code").doc("A short name"),
                text("message").doc("A sentence"),
                maybe("param").doc("The parameter that was wrong"),
                maybe("event_id").doc("The client's event that caused it"),
            ],
        ),
        TypeDef::record(
            "RateLimit",
            "What may still be used",
            vec![
                Field::optional("name", Type::String).doc("`requests` or `tokens`"),
                Field::optional("limit", Type::Unsigned).doc("All that may be used"),
                Field::optional("remaining", Type::Unsigned).doc("What is left"),
                Field::optional("reset_seconds", Type::Float).doc("When it is whole again"),
            ],
        ),
    ]
}

fn policy() -> EndpointPolicy {
    EndpointPolicy {
        auth: vec![
            AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() },
            AuthWay::Subprotocol { prefix: "openai-insecure-api-key.".into(), beside: strings(["realtime"]) },
        ],
        session: Session { server_first: Some("SessionCreated".into()), ..Session::default() },
        timeouts: Timeouts { connect_ms: Some(10_000), ..Timeouts::default() },
        max_age_ms: Some(3_600_000),
        close_codes: vec![CloseCode::new(1001, CloseAction::Retry, "The session has reached its age")],
        ..EndpointPolicy::new("Realtime")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifty_seven_events() {
        assert_eq!((client_events().len(), server_events().len()), (11, 46));
    }

    #[test]
    fn names_come_from_tags() {
        assert_eq!(id_of("response.output_text.delta"), "ResponseOutputTextDelta");
    }
}
