//! The messages of the socket: which there are, what answers them, and what they look like.

use schematic_define::prelude::*;
use serde_json::{Value, json};

/// What the client may send.
pub(super) fn client_schemas() -> Vec<MessageSchema> {
    CLIENT.iter().map(|(id, text)| schema(id, text, MessageDirection::ClientToServer)).collect()
}

/// What the server may send.
pub(super) fn server_schemas() -> Vec<MessageSchema> {
    SERVER.iter().map(|(id, text)| schema(id, text, MessageDirection::ServerToClient)).collect()
}

const CLIENT: &[(&str, &str)] = &[
    ("Hello", "Sent first, it agrees on the format of later frames; Welcome answers before anything else"),
    ("FindAll", "All records of a collection"),
    ("FindById", "One record"),
    ("Query", "Records that fit, in an order"),
    ("Insert", "Writes a new record; answered with its id"),
    ("Update", "Changes members of a record; answered with the whole record"),
    ("Delete", "Removes a record; answered with the record as it was"),
    ("BatchInsert", "Writes records, each for itself"),
    ("BatchUpdate", "Changes records, each for itself"),
    ("BatchDelete", "Removes records, each for itself"),
    ("TextSearch", "Searches by words"),
    ("DistinctValues", "The different values of a member, sorted"),
    ("UpdateWithAction", "Changes a member by what it is; answered with the whole record"),
    ("CreateCollection", "Makes a collection; without a schema it takes any record"),
    ("DeleteCollection", "Removes a collection with its records"),
    ("GetCollections", "The names of the collections that the asker may read"),
    ("Subscribe", "Sends a notification for each change from now on, or since an offset"),
    ("Unsubscribe", "Ends all subscriptions of a collection on this connection"),
    (
        "ChatSend",
        "Says something in a chat; chunks follow, then exactly one end or error. A run that goes on is stopped first",
    ),
    (
        "CancelChat",
        "Stops the chat's run; what was said is kept, and ChatStreamEnd tells it. Never answered itself",
    ),
    (
        "ChatFollow",
        "Delivers a chat's events from now on, or since a sequence number, also those of other connections",
    ),
    ("RegisterClientTools", "Lets the chat's agent use tools of this client until the connection ends"),
    ("ClientToolResult", "Answers a ClientToolCall. Never answered itself"),
    (
        "RawComplete",
        "Asks a model once, without a chat. Without an id, such questions are answered one after the other",
    ),
];

const SERVER: &[(&str, &str)] = &[
    ("Welcome", "Answers Hello"),
    ("Success", "What was asked is done"),
    ("Error", "What was asked is not done; the connection goes on"),
    ("SchemaChanged", "A watched collection's schema was made, changed or dropped"),
    ("MutationNotification", "Records of a watched collection changed, in the order of their offsets"),
    (
        "Gap",
        "The log no longer reaches back to where the reader was: what it has of the collection is void, and Snapshot frames follow",
    ),
    ("Snapshot", "A piece of a collection as it is, after a gap"),
    ("ChatUserMessage", "Somebody said something in a chat that is followed with ChatFollow"),
    ("ChatStreamChunk", "More text of the answer"),
    ("ChatStreamEnd", "The answer is over, by itself or because it was stopped"),
    ("ChatStreamError", "The answer failed, or the chat's request could not be done"),
    ("ClientToolCall", "The agent calls a tool of this client, or asks it to agree to one of the server's"),
];

fn schema(id: &str, description: &str, direction: MessageDirection) -> MessageSchema {
    MessageSchema {
        id: id.into(),
        description: description.into(),
        direction,
        schema: Schema::new(id),
        repeatable: id != "Hello" && id != "Welcome",
    }
}

fn tagged(id: &str) -> MessageFacts {
    MessageFacts::tag(id, "type", id)
}

/// A request that is answered by Success or Error with its id.
fn asked(id: &str, payload: Value) -> MessageFacts {
    let reply = Reply {
        correlation: Some(Correlation {
            id: IdKind::String,
            request: vec!["messageId".into()],
            reply: vec!["messageId".into()],
        }),
        ..Reply::one("Success").error("Error")
    };
    let example = json!({"type": id, "messageId": "msg-1", "payload": payload});
    tagged(id).reply(reply).example("request", example)
}

/// A message that nothing answers under an id.
fn told(id: &str, payload: Value) -> MessageFacts {
    tagged(id).example("message", json!({"type": id, "payload": payload}))
}

/// The facts about what the client sends.
pub(super) fn of_client() -> Vec<MessageFacts> {
    [reads(), writes(), collections(), chats()].concat()
}

fn reads() -> Vec<MessageFacts> {
    let condition = json!({"type": "Condition", "content": {"field": "age", "operator": "Gte", "value": 18}});
    vec![
        tagged("Hello")
            .reply(Reply::one("Welcome"))
            .example("formats", json!({"type": "Hello", "payload": {"formats": ["msgpack", "json"]}})),
        asked("FindAll", json!({"collection": "users"})).idempotent(),
        asked("FindById", json!({"collection": "users", "id": "u1"})).idempotent(),
        asked(
            "Query",
            json!({"collection": "users", "filter": condition, "sort": [{"field": "age", "ascending": false}],
                   "limit": 10, "skip": 0}),
        )
        .idempotent(),
        asked(
            "TextSearch",
            json!({"collection": "users", "query": "rust", "options": {"fields": ["bio"], "limit": 5}}),
        )
        .idempotent(),
        asked("DistinctValues", json!({"collection": "users", "field": "city"})).idempotent(),
    ]
}

fn writes() -> Vec<MessageFacts> {
    vec![
        asked("Insert", json!({"collection": "users", "record": {"name": "Ada", "age": 36, "ttl": "1h"}})),
        asked("Update", json!({"collection": "users", "id": "u1", "record": {"age": 37}})).idempotent(),
        asked("Delete", json!({"collection": "users", "id": "u1"})),
        asked("BatchInsert", json!({"collection": "users", "records": [{"name": "Ada"}, {"name": "Bob"}]})),
        asked(
            "BatchUpdate",
            json!({"collection": "users", "updates": [["u1", {"age": 38}], ["u2", {"age": 39}]]}),
        )
        .idempotent(),
        asked("BatchDelete", json!({"collection": "users", "ids": ["u1", "u2"]})),
        asked(
            "UpdateWithAction",
            json!({"collection": "users", "id": "u1", "action": "increment", "field": "age", "value": 1}),
        ),
    ]
}

fn collections() -> Vec<MessageFacts> {
    vec![
        asked(
            "CreateCollection",
            json!({"name": "users", "schema": {"fields": {"email": {"field_type": "String", "unique": true, "required": true}}}}),
        ),
        asked("DeleteCollection", json!({"name": "users"})),
        asked("GetCollections", json!({})).idempotent(),
        asked("Subscribe", json!({"collection": "users", "after_offset": 41})).idempotent(),
        asked("Unsubscribe", json!({"collection": "users"})).idempotent(),
    ]
}

fn chats() -> Vec<MessageFacts> {
    vec![
        told("ChatSend", json!({"chat_id": "support-1", "message": "What is new?", "confirm_tools": ["query"]})),
        told("CancelChat", json!({"chat_id": "support-1"})).idempotent(),
        asked("ChatFollow", json!({"chat_id": "support-1", "after_seq": 17, "epoch": 1})).idempotent(),
        told(
            "RegisterClientTools",
            json!({"chat_id": "support-1", "tools": [{"name": "open_page", "description": "Opens a page",
                   "parameters": {"type": "object", "properties": {"url": {"type": "string"}}}}]}),
        )
        .reply(Reply::one("Success").error("Error"))
        .idempotent(),
        told(
            "ClientToolResult",
            json!({"chat_id": "support-1", "call_id": "c-1", "success": true, "result": {"opened": true}}),
        ),
        tagged("RawComplete")
            .layouts(vec![Layout::Flat, Layout::Under("payload".into())])
            .reply(Reply::one("Success").error("Error"))
            .example(
                "flat, without an id",
                json!({"type": "RawComplete", "system_prompt": "Be brief", "message": "Hi", "max_tokens": 20}),
            )
            .example(
                "under payload, with an id",
                json!({"type": "RawComplete", "messageId": "msg-2",
                       "payload": {"system_prompt": "Be brief", "message": "Hi"}}),
            ),
    ]
}

/// The facts about what the server sends.
pub(super) fn of_server() -> Vec<MessageFacts> {
    [answers(), notifications(), streams()].concat()
}

fn answers() -> Vec<MessageFacts> {
    vec![
        told("Welcome", json!({"format": "msgpack"})),
        tagged("Success")
            .example(
                "a query's answer, with typed values",
                json!({"type": "Success", "messageId": "msg-1", "payload": {"data": [
                    {"id": "u1", "name": {"type": "String", "value": "Ada"}}], "message_id": "msg-1"}}),
            )
            .example("nothing to say", json!({"type": "Success", "messageId": "msg-1", "payload": {"data": null, "message_id": "msg-1"}}))
            .example("an answer without an id", json!({"type": "Success", "payload": {"data": {"content": "Hello"}}})),
        tagged("Error").layouts(vec![Layout::Flat]).example(
            "not found",
            json!({"type": "Error", "messageId": "msg-1", "code": 404, "message": "no record \"u9\" in users"}),
        ),
    ]
}

fn notifications() -> Vec<MessageFacts> {
    let at = "2026-01-02T03:04:05.678Z";
    vec![
        told("SchemaChanged", json!({"collection": "users", "version": 3, "primary_key_alias": "id"})),
        tagged("MutationNotification")
            .example(
                "one record",
                json!({"type": "MutationNotification", "payload": {"collection": "users", "event": "insert",
                    "record_ids": ["u1"], "records": {"id": "u1", "name": {"type": "String", "value": "Ada"}},
                    "timestamp": at, "from_offset": 42, "offset": 42}}),
            )
            .example(
                "several",
                json!({"type": "MutationNotification", "payload": {"collection": "users", "event": "delete",
                    "record_ids": ["u1", "u2"], "timestamp": at, "from_offset": 43, "offset": 44}}),
            ),
        told("Gap", json!({"collection": "users", "offset": 90_000})),
        told("Snapshot", json!({"collection": "users", "records": [{"id": "u1"}], "last": true})),
    ]
}

fn streams() -> Vec<MessageFacts> {
    let at = "2026-01-02T03:04:05.678Z";
    vec![
        told(
            "ChatUserMessage",
            json!({"chat_id": "support-1", "message_id": "r-1", "content": "What is new?", "timestamp": at, "seq": 1}),
        ),
        told("ChatStreamChunk", json!({"chat_id": "support-1", "content": "Two", "seq": 4})),
        told(
            "ChatStreamEnd",
            json!({"chat_id": "support-1", "message_id": "r-1", "execution_time_ms": 812,
                "token_usage": {"prompt_tokens": 210, "completion_tokens": 5, "total_tokens": 215},
                "tool_call_history": [], "context_window": 8192, "status": "finished", "seq": 9}),
        ),
        told(
            "ChatStreamError",
            json!({"chat_id": "support-1", "error": "the provider is busy; try again", "error_kind": "provider_unavailable",
                "code": 502, "seq": 9}),
        ),
        told(
            "ClientToolCall",
            json!({"chat_id": "support-1", "call_id": "c-1", "tool_name": "open_page",
                "arguments": {"url": "https://example.com"}, "seq": 5}),
        ),
    ]
}
