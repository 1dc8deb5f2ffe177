//! The definition of the session-chat dialect, `/ws/{session_id}`: one conversation of people with an agent.
//!
//! The wire types, the clients and the reference page are made from it with `cargo xtask codegen`. It depends on
//! `schematic-define` alone. What the server does with a message is the codec's and the engine's business.

use schematic_define::prelude::*;
use serde_json::json;

/// The whole dialect.
pub fn definition() -> Definition {
    Definition::new("SessionChat", "One conversation of people with an agent, over one WebSocket per session")
        .with_websocket(websocket())
        .with_types(client_types())
        .with_types(server_types())
        .with_types(past_types())
        .with_types(shared_types())
        .with_types(page_types())
        .with_messages(client_messages())
        .with_messages(server_messages())
        .with_policy(policy())
}

fn websocket() -> WebSocketApi {
    WebSocketApi {
        name: "SessionChat".into(),
        description: "Questions to an agent, answers as they are written".into(),
        base_url: "ws://localhost:8080".into(),
        docs_url: None,
        auth: AuthStrategy::BearerToken { header: None },
        env_auth: vec!["TIDEWIRE_API_KEY".into()],
        env_username: None,
        headers: vec![],
        endpoints: vec![WebSocketEndpoint {
            id: "Session".into(),
            path: "/ws/{session_id}".into(),
            description: "Joins a session; the first use of an id opens it. Nothing is sent before the first client frame"
                .into(),
            connection_params: vec![ConnectionParam {
                name: "ticket".into(),
                param_type: ParamType::String,
                required: false,
                default: None,
            }],
            lifecycle: lifecycle(),
        }],
    }
}

fn lifecycle() -> ConnectionLifecycle {
    ConnectionLifecycle {
        initialize: None,
        streaming_messages: vec![
            from_client("SendMessage", "Asks the agent; with `after_seq` it resumes first"),
            from_client("Stop", "Stops a run and keeps what was written so far"),
            from_client("Resume", "Asks for everything after a sequence number"),
            from_client("Decide", "Agrees to a call that waits for a person, or refuses it"),
            from_client("Pong", "Answers a ping"),
        ],
        close: None,
        server_messages: vec![
            from_server("User", "A message was accepted; everybody in the session sees it"),
            from_server("AgentPartial", "The answer so far, or what was added to it"),
            from_server("Tool", "A tool call has finished"),
            from_server("Agent", "The whole answer; ends the run, unless an error with the same run follows"),
            from_server("Error", "Something did not work; the conversation goes on"),
            from_server("Ping", "Asks for a sign of life"),
            from_server(
                "Ready",
                "Answers Resume; the replay is complete when a `seq` of at least `last_seq` has come",
            ),
            from_server("Run", "A run waits or has begun"),
            from_server("ToolCall", "A tool call begins"),
            from_server("Reasoning", "The agent thinks aloud"),
            from_server("Step", "The agent came to its next step"),
            from_server("Sources", "What the answer rests on"),
            from_server("Approval", "A person is asked about a tool call, or has decided"),
            from_server("Message", "A message was brought from another chat"),
            from_server("Deleted", "The chat was deleted; nothing more comes"),
        ],
    }
}

fn from_client(id: &str, description: &str) -> MessageSchema {
    message(id, description, MessageDirection::ClientToServer)
}

fn from_server(id: &str, description: &str) -> MessageSchema {
    message(id, description, MessageDirection::ServerToClient)
}

fn message(id: &str, description: &str, direction: MessageDirection) -> MessageSchema {
    MessageSchema {
        id: id.into(),
        description: description.into(),
        direction,
        schema: Schema::new(id),
        repeatable: true,
    }
}

fn client_types() -> Vec<TypeDef> {
    let epoch =
        || Field::optional("epoch", Type::Unsigned).doc("The epoch that the sequence number belongs to");
    let partials = || {
        Field::optional("partials", Type::named("Partials"))
            .doc("How partial answers are sent on this connection from now on")
            .default_value("snapshot")
    };
    vec![
        TypeDef::record(
            "SendMessage",
            "A question to the agent",
            vec![
                Field::required("content", Type::String).doc("What is asked; not empty"),
                Field::optional("message_id", Type::String)
                    .doc("Makes sending idempotent; at most 128 bytes. A known id is echoed, not run again"),
                Field::optional("after_seq", Type::Unsigned).doc("Resume after this sequence number first"),
                epoch(),
                partials(),
                Field::optional("model", Type::String).doc("Which model answers this one; else the chat's"),
                Field::optional("agent", Type::String).doc("Which agent answers this one; else the chat's"),
                Field::optional("confirm_tools", Type::array(Type::String)).doc(
                    "Tools of the server that a person must agree to before each call; `*` is all of them",
                ),
            ],
        ),
        TypeDef::record(
            "Stop",
            "A wish to stop",
            vec![
                Field::required("stop", Type::Boolean).doc("Always true"),
                Field::optional("run_id", Type::String)
                    .doc("The run to stop, running or queued; else the running one"),
            ],
        ),
        TypeDef::record(
            "Resume",
            "A position in the conversation",
            vec![
                Field::required("after_seq", Type::Unsigned)
                    .doc("The highest sequence number seen; 0 is everything"),
                epoch(),
                partials(),
            ],
        ),
        TypeDef::record(
            "Decide",
            "What a person says to a call that waits for it",
            vec![
                Field::required("call_id", Type::String).doc("Which call"),
                Field::required("approved", Type::Boolean).doc("Whether it may be done"),
            ],
        ),
        TypeDef::record("Pong", "A sign of life", vec![]),
    ]
}

fn seq() -> Field {
    Field::required("seq", Type::Unsigned)
        .doc("The last sequence number that the frame covers; resume after the highest seen")
}

fn run_id() -> Field {
    Field::required("run_id", Type::String).doc("The run that it belongs to")
}

fn timestamp() -> Field {
    Field::required("timestamp", Type::Timestamp).doc("When it was said")
}

fn server_types() -> Vec<TypeDef> {
    [answer_types(), session_types()].concat()
}

/// What every client knows.
fn answer_types() -> Vec<TypeDef> {
    vec![
        TypeDef::record(
            "User",
            "An accepted message",
            vec![
                Field::required("content", Type::String).doc("What was asked"),
                Field::optional("message_id", Type::String).doc("The sender's id of the message"),
                run_id(),
                seq(),
                timestamp(),
            ],
        ),
        TypeDef::record(
            "AgentPartial",
            "A part of an answer: either the whole text so far or an addition",
            vec![
                Field::optional("content", Type::String).doc("The whole text so far; replaces what is shown"),
                Field::optional("delta", Type::String).doc("Text to append to what is shown"),
                run_id(),
                seq(),
            ],
        ),
        TypeDef::record(
            "Tool",
            "A finished tool call",
            vec![
                Field::required("content", Type::String).doc("The result as JSON text"),
                Field::required("tool_name", Type::String).doc("Which tool"),
                Field::required("call_id", Type::String).doc("Which call"),
                run_id(),
                Field::required("duration_ms", Type::Unsigned).doc("How long it took, in milliseconds"),
                Field::optional("is_error", Type::Boolean).doc("True when the call failed"),
                seq(),
            ],
        ),
        TypeDef::record(
            "Agent",
            "A whole answer",
            vec![
                Field::required("content", Type::String).doc("The text; replaces the partial one"),
                Field::required("diagram", Type::String).nullable().doc("A Mermaid diagram"),
                Field::optional("canvas_trigger", Type::named("CanvasTrigger"))
                    .doc("What the page could show"),
                Field::optional("metrics", Type::named("Metrics")).doc("Figures of the catalogue"),
                Field::optional("reasoning", Type::String)
                    .doc("With `partials: \"delta\"`: all that the model thought aloud, if it did; replaces what came"),
                timestamp(),
                Field::required("status", Type::named("AgentStatus")).doc("How the run ended"),
                Field::optional("usage", Type::named("Usage")).doc("What it cost"),
                run_id(),
                seq(),
            ],
        ),
        TypeDef::record("Error", "Something that did not work", error_fields()),
        TypeDef::record("Ping", "A question for a sign of life", vec![]),
    ]
}

/// What clients are told that ask for more.
fn session_types() -> Vec<TypeDef> {
    vec![
        TypeDef::record(
            "Ready",
            "Where the conversation stands",
            vec![
                Field::required("session_id", Type::String).doc("The session"),
                Field::required("chat_id", Type::String).doc("The chat behind the session"),
                Field::required("epoch", Type::Unsigned).doc("The epoch of all sequence numbers that follow"),
                Field::required("last_seq", Type::Unsigned).doc("The last sequence number there is"),
                Field::required("reset", Type::Boolean)
                    .doc("True: forget what you have, the history follows from the start"),
                Field::required("run", Type::named("CurrentRun")).nullable().doc("What is going on"),
            ],
        ),
        TypeDef::record(
            "Run",
            "The state of a run",
            vec![
                run_id(),
                Field::required("status", Type::named("RunStatus")).doc("Whether it waits or goes on"),
                Field::optional("position", Type::Unsigned).doc("Places before it in the queue"),
                seq(),
            ],
        ),
        TypeDef::record(
            "ToolCall",
            "The beginning of a tool call",
            vec![
                Field::required("call_id", Type::String).doc("Which call"),
                Field::required("tool_name", Type::String).doc("Which tool"),
                Field::required("arguments", Type::Json).doc("What it is called with"),
                run_id(),
                seq(),
            ],
        ),
        TypeDef::record(
            "Reasoning",
            "Thoughts of the agent",
            vec![Field::required("delta", Type::String).doc("Text to append"), run_id(), seq()],
        ),
        TypeDef::record(
            "Step",
            "A step of the agent",
            vec![
                Field::required("name", Type::String).doc("The step's name"),
                run_id(),
                seq(),
                Field::required("timestamp", Type::Timestamp).doc("When it began"),
            ],
        ),
        TypeDef::record(
            "Sources",
            "What an answer rests on",
            vec![
                Field::required("sources", Type::array(Type::named("Source")))
                    .doc("The answer's mark `[1]` means the first of them; replaces those told before"),
                run_id(),
                seq(),
            ],
        ),
        TypeDef::record("Approval", "A question to a person, or its outcome", approval_fields()),
        TypeDef::record("Message", "A message that was said in another chat", message_fields()),
        TypeDef::record(
            "Deleted",
            "The end of a chat",
            vec![Field::required("by", Type::String).doc("Who deleted it")],
        ),
    ]
}

fn message_fields() -> Vec<Field> {
    vec![
        Field::required("role", Type::named("Role")).doc("Who said it"),
        Field::required("content", Type::String).doc("What"),
        seq(),
        Field::required("timestamp", Type::Timestamp).doc("When it was said there"),
        Field::optional("status", Type::named("AgentStatus"))
            .doc("How the run ended that the message belongs to; the members below are of that run"),
        Field::optional("error", Type::String).doc("With `failed`: why, in a sentence"),
        Field::optional("sources", Type::array(Type::named("Source")))
            .doc("What the answer rests on; its mark `[1]` means the first of them"),
        Field::optional("steps", Type::array(Type::named("PastStep"))).doc("The agent's steps, in order"),
        Field::optional("tools", Type::array(Type::named("PastCall"))).doc("Its tool calls, in order"),
        Field::optional("approvals", Type::array(Type::named("PastApproval")))
            .doc("The calls that a person was asked about, in order"),
        Field::optional("diagram", Type::String).doc("A Mermaid diagram"),
        Field::optional("reasoning", Type::String).doc("What the model thought aloud, if it did"),
        Field::optional("canvas_trigger", Type::named("CanvasTrigger")).doc("What the page could show"),
        Field::optional("metrics", Type::named("Metrics")).doc("Figures of the catalogue"),
        Field::optional("usage", Type::named("Usage")).doc("What it cost"),
    ]
}

/// What a message of another chat brings along.
fn past_types() -> Vec<TypeDef> {
    vec![
        TypeDef::record(
            "PastStep",
            "A step that an agent took",
            vec![
                Field::required("name", Type::String).doc("The step's name"),
                Field::required("timestamp", Type::Timestamp).doc("When it began"),
            ],
        ),
        TypeDef::record(
            "PastCall",
            "A tool call that is over",
            vec![
                Field::required("call_id", Type::String).doc("Which call"),
                Field::required("tool_name", Type::String).doc("Which tool"),
                Field::required("arguments", Type::Json).doc("What it was called with"),
                Field::optional("content", Type::String).doc("The result as JSON text, if there was one"),
                Field::optional("duration_ms", Type::Unsigned).doc("How long it took, in milliseconds"),
                Field::optional("is_error", Type::Boolean).doc("True when the call failed"),
            ],
        ),
        TypeDef::record(
            "PastApproval",
            "A question to a person that was decided",
            vec![
                Field::required("call_id", Type::String).doc("Which call"),
                Field::required("state", Type::named("ApprovalState")).doc("How it ended"),
                Field::required("tool_name", Type::String).doc("Which tool"),
                Field::required("arguments", Type::Json).doc("The exact arguments"),
                Field::required("digest", Type::String).doc("As the question had it"),
                Field::optional("by", Type::String).doc("With `approved` and `refused`: who decided"),
                Field::required("timestamp", Type::Timestamp).doc("When it was decided"),
            ],
        ),
    ]
}

fn approval_fields() -> Vec<Field> {
    vec![
        Field::required("call_id", Type::String).doc("Which call"),
        Field::required("state", Type::named("ApprovalState")).doc("Where it stands"),
        Field::optional("tool_name", Type::String).doc("With `requested`: which tool"),
        Field::optional("arguments", Type::Json).doc("With `requested`: the exact arguments"),
        Field::optional("digest", Type::String).doc(
            "With `requested`: SHA-256 of the tool's name and the arguments as canonical JSON, 64 hex digits; what is \
             done is what has this digest",
        ),
        Field::optional("expires_at", Type::Timestamp).doc("With `requested`: until when it can be decided"),
        Field::optional("by", Type::String).doc("With `approved` and `refused`: who decided"),
        run_id(),
        seq(),
        Field::required("timestamp", Type::Timestamp).doc("When it was asked or decided"),
    ]
}

fn error_fields() -> Vec<Field> {
    vec![
        Field::required("content", Type::String).doc("What is wrong and what to do, in a sentence"),
        Field::required("code", Type::named("ErrorCode")).doc("What kind of error it is"),
        Field::optional("retry_after_ms", Type::Unsigned).doc("With RATE_LIMITED: when to come back"),
        Field::optional("timeout_ms", Type::Unsigned).doc("With REQUEST_TIMEOUT: how long was waited"),
        Field::optional("tool_name", Type::String).doc("With TOOL_EXECUTION_FAILED: which tool"),
        Field::optional("trace_id", Type::String)
            .doc("With TOOL_EXECUTION_FAILED and BACKEND_ERROR: what to name in a report"),
        Field::optional("field", Type::String).doc("With VALIDATION_ERROR: which member"),
        Field::optional("requires_action", Type::String).doc("With AUTH_FAILED: what has to be done"),
        Field::optional("run_id", Type::String).doc("The run that failed"),
        Field::optional("message_id", Type::String).doc("The message that was refused"),
        Field::optional("retryable", Type::Boolean).doc("Whether trying again can help"),
        Field::optional("seq", Type::Unsigned)
            .doc("The last sequence number covered, if it belongs to a run"),
    ]
}

fn shared_types() -> Vec<TypeDef> {
    vec![
        TypeDef::open_enum("Partials", "How partial answers are sent", ["snapshot", "delta"]),
        TypeDef::open_enum(
            "AgentStatus",
            "How a run ended",
            ["finished", "stopped", "failed", "interrupted"],
        ),
        TypeDef::open_enum("RunStatus", "Where a run stands", ["queued", "running"]),
        TypeDef::open_enum("Role", "Who said a message", ["user", "assistant"]),
        TypeDef::open_enum(
            "ApprovalState",
            "Where a question to a person stands; `expired`: nobody decided before its time or its run was over",
            ["requested", "approved", "refused", "expired"],
        ),
        TypeDef::record("Source", "A document or record that an answer rests on", source_fields()),
        TypeDef::record(
            "Highlight",
            "A part of a passage, counted in UTF-16 code units as JavaScript does",
            vec![
                Field::required("start", Type::Unsigned).doc("Where it begins"),
                Field::required("end", Type::Unsigned).doc("Where it ends; this unit is not in it"),
            ],
        ),
        TypeDef::open_enum(
            "ErrorCode",
            "What kind of error it is",
            [
                "RATE_LIMITED",
                "REQUEST_TIMEOUT",
                "TOOL_EXECUTION_FAILED",
                "VALIDATION_ERROR",
                "BACKEND_ERROR",
                "AUTH_FAILED",
            ],
        ),
        TypeDef::record(
            "CurrentRun",
            "A run that is not over",
            vec![
                run_id(),
                Field::required("status", Type::named("RunStatus")).doc("Whether it waits or goes on"),
            ],
        ),
        TypeDef::record(
            "Usage",
            "What an answer cost",
            vec![
                Field::required("input_tokens", Type::Unsigned).doc("Tokens read"),
                Field::required("output_tokens", Type::Unsigned).doc("Tokens written"),
            ],
        ),
    ]
}

/// What the page shows beside an answer.
fn page_types() -> Vec<TypeDef> {
    vec![
        TypeDef::open_enum("CanvasAction", "What the page could do", ["switch_view", "new_analysis", "none"]),
        TypeDef::open_enum(
            "ViewType",
            "The views of the page",
            ["er_diagram", "table_list", "relationship_graph"],
        ),
        TypeDef::record(
            "CanvasTrigger",
            "A proposal to the page",
            vec![
                Field::required("action", Type::named("CanvasAction")).doc("What to do"),
                Field::optional("view_type", Type::named("ViewType")).doc("Which view"),
                Field::optional("entity_name", Type::String).doc("Which table"),
                Field::optional("query", Type::String).doc("What to look for"),
                Field::required("reason", Type::String).doc("Why"),
                Field::optional("confidence", Type::Float)
                    .doc("0 to 1; from 0.6 on the page switches by itself"),
            ],
        ),
        TypeDef::record(
            "Metrics",
            "Figures of the catalogue",
            vec![
                Field::required("total_tables", Type::Unsigned).doc("All tables and views"),
                Field::required("total_columns", Type::Unsigned).doc("All columns"),
                Field::required("facts_count", Type::Unsigned).doc("Fact tables"),
                Field::required("dimensions_count", Type::Unsigned).doc("Dimension tables"),
                Field::optional("quality_score", Type::Float).doc("0 to 1"),
                Field::optional("relationships_count", Type::Unsigned).doc("Foreign keys and hierarchies"),
                Field::optional("schema_name", Type::String).doc("The schema that was counted, if not all"),
                Field::optional("as_of", Type::Timestamp).doc("When it was counted"),
                Field::optional("is_stale", Type::Boolean).doc("Whether the catalogue has changed since"),
            ],
        ),
    ]
}

fn source_fields() -> Vec<Field> {
    vec![
        Field::required("id", Type::String).doc("Its id"),
        Field::required("title", Type::String).doc("Its title"),
        Field::required("source", Type::String).doc("Where it comes from"),
        Field::optional("url", Type::String).doc("Where it can be opened"),
        Field::required("score", Type::Float).doc("0 to 1: how well it fits the question"),
        Field::optional("collection", Type::String).doc("The collection that the record is in"),
        Field::optional("record", Type::String).doc("The record's id"),
        Field::optional("section", Type::String).doc("Where in the document"),
        Field::optional("passage", Type::String).doc("The text that the answer rests on"),
        Field::optional("highlights", Type::array(Type::named("Highlight")))
            .doc("What in the passage answers, in order, without overlap"),
    ]
}

fn client_messages() -> Vec<MessageFacts> {
    vec![
        MessageFacts::presence("SendMessage", "content")
            .example("ask", json!({"content": "Show me all tables"}))
            .example(
                "ask after a reconnect",
                json!({"content": "And their keys?", "message_id": "m-2", "after_seq": 17, "epoch": 1, "partials": "delta"}),
            )
            .example(
                "ask a model, and ask before a tool is used",
                json!({"content": "Close the oldest order", "model": "openai/gpt-5-mini", "confirm_tools": ["query_collection"]}),
            ),
        MessageFacts::presence("Stop", "stop")
            .idempotent()
            .example("stop", json!({"stop": true}))
            .example("take out of the queue", json!({"stop": true, "run_id": "r-3"})),
        MessageFacts::presence("Resume", "after_seq")
            .idempotent()
            .example("resume", json!({"after_seq": 17, "epoch": 1, "partials": "delta"})),
        MessageFacts::tag("Decide", "type", "decide").example(
            "agree",
            json!({"type": "decide", "call_id": "call_1-8f3a20c4", "approved": true}),
        ),
        MessageFacts::tag("Pong", "type", "pong").idempotent().example("pong", json!({"type": "pong"})),
    ]
}

/// When the examples were said.
const AT: &str = "2026-01-02T03:04:05.678Z";

fn server_messages() -> Vec<MessageFacts> {
    [answer_messages(), session_messages(), told_messages()].concat()
}

fn answer_messages() -> Vec<MessageFacts> {
    vec![
        MessageFacts::tag("User", "type", "user").example(
            "echo",
            json!({"type": "user", "content": "Show me all tables", "message_id": "m-1", "run_id": "r-1", "seq": 1, "timestamp": AT}),
        ),
        MessageFacts::tag("AgentPartial", "type", "agent_partial")
            .example("snapshot", json!({"type": "agent_partial", "content": "There are", "run_id": "r-1", "seq": 4}))
            .example("delta", json!({"type": "agent_partial", "delta": " two", "run_id": "r-1", "seq": 5})),
        MessageFacts::tag("Tool", "type", "tool").example(
            "result",
            json!({"type": "tool", "content": "{\"tables\":2}", "tool_name": "list_tables", "call_id": "c-1",
                   "run_id": "r-1", "duration_ms": 12, "seq": 3}),
        ),
        MessageFacts::tag("Agent", "type", "agent")
            .example(
                "answer",
                json!({"type": "agent", "content": "There are two.", "diagram": null, "timestamp": AT,
                       "status": "finished", "usage": {"input_tokens": 210, "output_tokens": 5}, "run_id": "r-1", "seq": 6}),
            )
            .example(
                "answer with a diagram",
                json!({"type": "agent", "content": "They are joined.", "diagram": "erDiagram",
                       "canvas_trigger": {"action": "switch_view", "view_type": "er_diagram", "reason": "relationships", "confidence": 0.85},
                       "metrics": {"total_tables": 2, "total_columns": 9, "facts_count": 1, "dimensions_count": 1, "relationships_count": 1},
                       "timestamp": AT, "status": "finished", "run_id": "r-2", "seq": 12}),
            ),
        MessageFacts::tag("Error", "type", "error")
            .example(
                "empty",
                json!({"type": "error", "content": "Empty message", "code": "VALIDATION_ERROR", "field": "content"}),
            )
            .example(
                "too often",
                json!({"type": "error", "content": "Too many messages, wait a moment", "code": "RATE_LIMITED",
                       "retry_after_ms": 3000, "retryable": true, "message_id": "m-9"}),
            ),
        MessageFacts::tag("Ping", "type", "ping").example("ping", json!({"type": "ping"})),
    ]
}

fn session_messages() -> Vec<MessageFacts> {
    vec![
        MessageFacts::tag("Ready", "type", "ready").example(
            "ready",
            json!({"type": "ready", "session_id": "s-1", "chat_id": "chat-1", "epoch": 1, "last_seq": 17,
                   "reset": false, "run": {"run_id": "r-3", "status": "running"}}),
        ),
        MessageFacts::tag("Run", "type", "run").example(
            "queued",
            json!({"type": "run", "run_id": "r-4", "status": "queued", "position": 1, "seq": 18}),
        ),
        MessageFacts::tag("ToolCall", "type", "tool_call").example(
            "call",
            json!({"type": "tool_call", "call_id": "c-1", "tool_name": "list_tables", "arguments": {"schema": "mart"},
                   "run_id": "r-1", "seq": 2}),
        ),
        MessageFacts::tag("Reasoning", "type", "reasoning").example(
            "thought",
            json!({"type": "reasoning", "delta": "First the tables", "run_id": "r-1", "seq": 2}),
        ),
        MessageFacts::tag("Step", "type", "step").example(
            "a node of the graph",
            json!({"type": "step", "name": "retrieve", "run_id": "r-5", "seq": 21, "timestamp": AT}),
        ),
        MessageFacts::tag("Sources", "type", "sources").example(
            "one passage",
            json!({"type": "sources", "run_id": "r-5", "seq": 25, "sources": [
                {"id": "documents/keys-00003", "title": "Keys", "source": "docs/guide/keys.md", "score": 0.91,
                 "collection": "documents", "record": "keys-00003", "section": "Keys › Revoking",
                 "passage": "Revoking closes what is open.", "highlights": [{"start": 0, "end": 29}]}]}),
        ),
    ]
}

fn told_messages() -> Vec<MessageFacts> {
    vec![
        MessageFacts::tag("Approval", "type", "approval")
            .example(
                "asked",
                json!({"type": "approval", "call_id": "call_1-8f3a20c4", "state": "requested", "tool_name": "git_commit",
                       "arguments": {"message": "Tidy"}, "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                       "expires_at": "2026-01-02T03:09:05.678Z", "run_id": "r-6", "seq": 31, "timestamp": AT}),
            )
            .example(
                "decided",
                json!({"type": "approval", "call_id": "call_1-8f3a20c4", "state": "approved", "by": "ann",
                       "run_id": "r-6", "seq": 32, "timestamp": AT}),
            ),
        MessageFacts::tag("Message", "type", "message")
            .example(
                "from another chat",
                json!({"type": "message", "role": "user", "content": "Show me all tables", "seq": 1, "timestamp": AT}),
            )
            .example(
                "an answer with what it rests on",
                json!({"type": "message", "role": "assistant", "content": "It is closed [1].", "seq": 2, "timestamp": AT,
                       "status": "finished", "usage": {"input_tokens": 210, "output_tokens": 5},
                       "steps": [{"name": "retrieve", "timestamp": AT}],
                       "tools": [{"call_id": "c-1", "tool_name": "list_tables", "arguments": {}, "content": "[]", "duration_ms": 12}],
                       "approvals": [{"call_id": "c-1", "state": "approved", "tool_name": "list_tables", "arguments": {},
                                      "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                                      "by": "ann", "timestamp": AT}],
                       "sources": [{"id": "documents/keys-00003", "title": "Keys", "source": "docs/guide/keys.md", "score": 0.91}]}),
            ),
        MessageFacts::tag("Deleted", "type", "deleted").example("gone", json!({"type": "deleted", "by": "ann"})),
    ]
}

fn policy() -> EndpointPolicy {
    EndpointPolicy {
        precedence: ["SendMessage", "Stop", "Resume", "Decide", "Pong"].map(String::from).into(),
        auth: vec![
            AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() },
            AuthWay::Query { name: "ticket".into(), prefix: String::new() },
        ],
        heartbeats: vec![Heartbeat::Message {
            from: Party::Server,
            ping: "Ping".into(),
            pong: Some("Pong".into()),
            echo: vec![],
            carries: vec![],
            interval: Interval::Fixed { ms: 30_000 },
            timeout_ms: None,
        }],
        timeouts: Timeouts { idle_ms: Some(75_000), ..Timeouts::default() },
        limits: Limits { client_message_bytes: Some(1 << 20), ..Limits::default() },
        close_codes: vec![
            CloseCode::new(1011, CloseAction::Resume, "Internal error"),
            CloseCode::new(1012, CloseAction::Resume, "The server restarts"),
            CloseCode::new(1013, CloseAction::Resume, "The server is full; come back later"),
            CloseCode::new(
                4001,
                CloseAction::Fatal,
                "The session id is malformed or belongs to somebody else",
            ),
            CloseCode::new(4003, CloseAction::Fatal, "The origin is not allowed"),
        ],
        reconnect: Reconnect::Token {
            capture: vec![
                TokenCapture {
                    messages: vec![],
                    path: vec!["seq".into()],
                    into: vec!["after_seq".into()],
                    name: "seq".into(),
                },
                TokenCapture {
                    messages: vec!["Ready".into()],
                    path: vec!["epoch".into()],
                    into: vec!["epoch".into()],
                    name: "epoch".into(),
                },
            ],
            message: "Resume".into(),
            url: None,
            done: None,
        },
        ..EndpointPolicy::new("Session")
    }
}
