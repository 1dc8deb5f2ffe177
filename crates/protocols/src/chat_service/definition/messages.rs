//! The messages: which there are, and what they look like.

use schematic_define::prelude::*;
use serde_json::json;

const CLIENT: &[(&str, &str)] = &[
    ("NewChat", "Opens a chat with a question"),
    ("ResumeChat", "Goes on with a chat: gives what was missed, and asks further if there is a `newMessage`"),
    (
        "Stop",
        "Ends the answer that is being given and keeps what was said. Not answered itself; the answer's `end` follows",
    ),
    ("ToolResult", "Answers a `tool` frame with status `requested`. Answered only if nothing waits for it"),
    ("Approve", "Decides about an `approval` frame. Answered only if nothing waits for it"),
    ("Ping", "Asks for a sign of life; pages cannot see those of the socket itself"),
];

const SERVER: &[(&str, &str)] = &[
    ("Text", "The answer grows; once more, whole, after `final`"),
    ("Sources", "What the answer rests on; only with `includeSourceInfo`"),
    ("WorkflowStep", "A node of the graph was entered"),
    ("Thinking", "The model thinks aloud"),
    ("Final", "What the answer cost; the whole text follows"),
    ("Error", "Something did not work; the socket stays open. If an answer ends by it, `end` follows"),
    ("End", "The last frame of an answer, whatever happened, exactly once"),
    ("Run", "Where the chat stands, before its frames; to who names `partials`, and whenever it is a reset"),
    ("Message", "Somebody asked something in the chat; to who names `partials`"),
    (
        "Tool",
        "A tool is called; calls of the client's own tools to everybody, others to who names `partials`",
    ),
    ("Approval", "A person must agree to a call, or has decided"),
    ("Pong", "Answers a ping"),
];

/// What the client may send.
pub(super) fn client_schemas() -> Vec<MessageSchema> {
    CLIENT.iter().map(|(id, text)| schema(id, text, MessageDirection::ClientToServer)).collect()
}

/// What the server may send.
pub(super) fn server_schemas() -> Vec<MessageSchema> {
    SERVER.iter().map(|(id, text)| schema(id, text, MessageDirection::ServerToClient)).collect()
}

fn schema(id: &str, description: &str, direction: MessageDirection) -> MessageSchema {
    MessageSchema {
        id: id.into(),
        description: description.into(),
        direction,
        schema: Schema::new(id),
        repeatable: true,
    }
}

/// How the client's messages are told apart.
pub(super) fn of_client() -> Vec<MessageFacts> {
    vec![
        MessageFacts::tag("NewChat", "type", "new_chat")
            .idempotent()
            .example(
                "ask",
                json!({"type": "new_chat", "userId": "user123",
                       "messages": [{"role": "user", "content": "How are keys kept?"}],
                       "options": {"enhanceWithContext": true}}),
            )
            .example(
                "ask with what was said before, under a name of the client's own",
                json!({"type": "new_chat", "userId": "ann", "runId": "chat-7", "partials": "delta",
                       "messages": [
                           {"role": "system", "content": "Be brief."},
                           {"role": "user", "content": "Hello", "timestamp": "2026-01-02T03:04:05Z"},
                           {"role": "assistant", "content": "Hello!"},
                           {"role": "user", "content": "How are keys kept?"}],
                       "options": {"maxContextItems": 3, "includeSourceInfo": true, "maxTokens": 500,
                                   "temperature": 0.2, "modelId": "scripted"}}),
            ),
        MessageFacts::tag("ResumeChat", "type", "resume_chat")
            .idempotent()
            .example("come back", json!({"type": "resume_chat", "runId": "chat-7", "afterSeq": 17, "epoch": 1, "partials": "delta"}))
            .example(
                "ask further",
                json!({"type": "resume_chat", "runId": "chat-7", "whileRunning": "queue",
                       "newMessage": {"id": "m-2", "role": "user", "content": "And for how long?"}}),
            ),
        MessageFacts::tag("Stop", "type", "stop").idempotent().example("stop", json!({"type": "stop", "runId": "chat-7"})),
        MessageFacts::tag("ToolResult", "type", "tool_result")
            .example(
                "done",
                json!({"type": "tool_result", "runId": "chat-7", "callId": "c-1-0a1b2c3d", "result": {"opened": true}}),
            )
            .example(
                "failed",
                json!({"type": "tool_result", "runId": "chat-7", "callId": "c-1-0a1b2c3d", "error": "the file is locked"}),
            ),
        MessageFacts::tag("Approve", "type", "approve").example(
            "agree",
            json!({"type": "approve", "runId": "chat-7", "callId": "c-2-0a1b2c3d", "approved": true}),
        ),
        MessageFacts::tag("Ping", "type", "ping").idempotent().example("ping", json!({"type": "ping"})),
    ]
}

/// How the server's are.
pub(super) fn of_server() -> Vec<MessageFacts> {
    let at = "2026-01-02T03:04:05.678Z";
    let answer = "0190b2c3d4e5f60718293a4b5c6d7e8f";
    vec![
        MessageFacts::tag("Text", "type", "text")
            .example("snapshot", json!({"type": "text", "data": {"text": "Keys are", "runId": "chat-7", "answerId": answer, "seq": 4}}))
            .example("delta", json!({"type": "text", "data": {"delta": " hashed", "runId": "chat-7", "answerId": answer, "seq": 5}})),
        MessageFacts::tag("Sources", "type", "sources").example(
            "sources",
            json!({"type": "sources", "data": {"sources": [{
                "id": "1", "title": "Keys", "source": "docs/guide/keys.md", "relevanceScore": 0.91,
                "collection": "documents", "record": "keys-00002", "section": "Guide › Keys",
                "passage": "Only a hash of a key is kept.", "highlights": [{"start": 0, "end": 29}]}],
                "runId": "chat-7", "answerId": answer, "seq": 3}}),
        ),
        MessageFacts::tag("WorkflowStep", "type", "workflow_step").example(
            "step",
            json!({"type": "workflow_step", "data": {"step": "retrieve", "runId": "chat-7", "answerId": answer, "seq": 2}}),
        ),
        MessageFacts::tag("Thinking", "type", "thinking").example(
            "thought",
            json!({"type": "thinking", "data": {"thinking": "First the guide", "runId": "chat-7", "answerId": answer, "seq": 3}}),
        ),
        MessageFacts::tag("Final", "type", "final").example(
            "cost",
            json!({"type": "final", "data": {"executionTimeMs": 812, "inputTokens": 210, "outputTokens": 5,
                   "status": "finished", "runId": "chat-7", "answerId": answer, "seq": 5}}),
        ),
        MessageFacts::tag("Error", "type", "error").example(
            "wrong members",
            json!({"type": "error", "data": {"message": "messages.0.role takes user, assistant or system", "code": "invalid",
                   "field": "messages.0.role", "retryable": false,
                   "fields": [{"path": "messages.0.role", "message": "takes user, assistant or system"},
                              {"path": "options.maxTokens", "message": "takes a whole number from 1 to 131072"}]}}),
        ),
        MessageFacts::tag("End", "type", "end")
            .example("end", json!({"type": "end", "data": {"runId": "chat-7", "answerId": answer, "seq": 6}}))
            .example("end of a request that was refused", json!({"type": "end", "data": {}})),
        MessageFacts::tag("Run", "type", "run").example(
            "run",
            json!({"type": "run", "data": {"runId": "chat-7", "chatId": "0190b2c3d4e5f60718293a4b5c6d7e90", "epoch": 1,
                   "afterSeq": 17, "lastSeq": 19, "reset": false, "status": "running"}}),
        ),
        MessageFacts::tag("Message", "type", "message").example(
            "question",
            json!({"type": "message", "data": {"content": "How are keys kept?", "messageId": "chat-7", "timestamp": at,
                   "runId": "chat-7", "answerId": answer, "seq": 1}}),
        ),
        MessageFacts::tag("Tool", "type", "tool")
            .example(
                "a call of the client's own tool",
                json!({"type": "tool", "data": {"callId": "c-1-0a1b2c3d", "name": "open_file", "status": "requested",
                       "arguments": {"path": "keys.md"}, "expiresAt": at, "runId": "chat-7", "answerId": answer, "seq": 7}}),
            )
            .example(
                "a result",
                json!({"type": "tool", "data": {"callId": "c-1-0a1b2c3d", "name": "open_file", "status": "finished",
                       "content": "{\"opened\":true}", "durationMs": 12, "runId": "chat-7", "answerId": answer, "seq": 8}}),
            ),
        MessageFacts::tag("Approval", "type", "approval")
            .example(
                "a question to a person",
                json!({"type": "approval", "data": {"callId": "c-2-0a1b2c3d", "status": "requested", "name": "git_commit",
                       "arguments": {"message": "x"}, "digest": "00", "expiresAt": at, "runId": "chat-7", "answerId": answer, "seq": 9}}),
            )
            .example(
                "decided",
                json!({"type": "approval", "data": {"callId": "c-2-0a1b2c3d", "status": "approved", "by": "ann",
                       "runId": "chat-7", "answerId": answer, "seq": 10}}),
            ),
        MessageFacts::tag("Pong", "type", "pong").example("pong", json!({"type": "pong", "data": {}})),
    ]
}
