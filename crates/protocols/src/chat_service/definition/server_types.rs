//! What the server says: frames, each with its body under `data`.

use schematic_define::prelude::*;

/// Every frame's name, as its record and its body's record are called.
const FRAMES: &[(&str, &str)] = &[
    ("Text", "The answer so far"),
    ("Sources", "What the answer rests on"),
    ("WorkflowStep", "A node of the graph"),
    ("Thinking", "A piece of the model's thoughts"),
    ("Final", "The cost of an answer"),
    ("Error", "Something that did not work"),
    ("End", "The end of an answer"),
    ("Run", "Where a chat stands"),
    ("Message", "An accepted message"),
    ("Tool", "A tool call"),
    ("Approval", "A call that a person must agree to"),
    ("Pong", "A sign of life"),
];

/// The frames themselves.
pub(super) fn frames() -> Vec<TypeDef> {
    let frame = |(name, doc): &(&str, &str)| {
        let data = Field::required("data", Type::named(format!("{name}Data"))).doc("What it says");
        TypeDef::record(*name, *doc, vec![data])
    };
    FRAMES.iter().map(frame).collect()
}

/// What the frames carry.
pub(super) fn bodies() -> Vec<TypeDef> {
    let about = FRAMES.iter().copied();
    let fields = [
        text(),
        sources(),
        step(),
        thinking(),
        cost(),
        error(),
        end(),
        run(),
        message(),
        tool(),
        approval(),
        vec![],
    ];
    let body = |((name, doc), fields): ((&str, &str), Vec<Field>)| {
        TypeDef::record(format!("{name}Data"), doc, fields)
    };
    about.zip(fields).map(body).collect()
}

/// What says where a frame belongs: of which chat, of which answer, how far.
fn placed(mut fields: Vec<Field>) -> Vec<Field> {
    fields.extend([
        Field::required("runId", Type::String).doc("The chat, as the client named it"),
        Field::required("answerId", Type::String).doc("The answer; a chat may have several"),
        Field::required("seq", Type::Unsigned)
            .doc("How far the chat is covered; resume after the highest seen"),
    ]);
    fields
}

fn text() -> Vec<Field> {
    placed(vec![
        maybe("text", Type::String, "The whole text so far; replaces what is shown"),
        maybe("delta", Type::String, "With `partials: \"delta\"`: text to append to what is shown"),
    ])
}

fn sources() -> Vec<Field> {
    placed(vec![
        Field::required("sources", Type::array(Type::named("Source"))).doc("The most relevant one first"),
    ])
}

fn step() -> Vec<Field> {
    placed(vec![Field::required("step", Type::String).doc("The node that was entered")])
}

fn thinking() -> Vec<Field> {
    placed(vec![Field::required("thinking", Type::String).doc("Text to append")])
}

fn cost() -> Vec<Field> {
    placed(vec![
        Field::required("executionTimeMs", Type::Unsigned)
            .doc("From the question's acceptance to the answer's end, in milliseconds"),
        Field::required("inputTokens", Type::Unsigned).doc("Tokens read"),
        Field::required("outputTokens", Type::Unsigned).doc("Tokens written"),
        maybe("contextWindow", Type::Unsigned, "The model's context window in tokens, where it is known"),
        Field::required("status", Type::named("AnswerStatus")).doc("How the answer ended"),
        maybe("thinking", Type::String, "All that the model thought aloud, if it did; replaces what came"),
    ])
}

fn error() -> Vec<Field> {
    vec![
        Field::required("message", Type::String).doc("What is wrong and what to do, in a sentence"),
        maybe("code", Type::named("ErrorCode"), "What kind of error it is"),
        maybe("field", Type::String, "The first member that is wrong, as a path"),
        maybe("fields", Type::array(Type::named("WrongField")), "Every member that is wrong"),
        maybe("retryable", Type::Boolean, "Whether the same may work later"),
        maybe("retryAfterMs", Type::Unsigned, "With `rate_limited`: when to come back"),
        maybe("runId", Type::String, "The chat, as the client named it"),
        maybe("answerId", Type::String, "The answer that failed"),
        maybe("messageId", Type::String, "The message that was refused"),
        maybe("callId", Type::String, "The call that was not answered"),
        maybe("seq", Type::Unsigned, "How far the chat is covered"),
    ]
}

fn end() -> Vec<Field> {
    vec![
        maybe("runId", Type::String, "The chat, as the client named it"),
        maybe("answerId", Type::String, "The answer that is over; none if there was none"),
        maybe("messageId", Type::String, "The message that was refused"),
        maybe("seq", Type::Unsigned, "How far the chat is covered; resume after the highest seen"),
    ]
}

fn run() -> Vec<Field> {
    vec![
        Field::required("runId", Type::String).doc("The chat, as the client named it"),
        Field::required("chatId", Type::String).doc("The chat's id, for other dialects"),
        Field::required("epoch", Type::Unsigned).doc("The epoch of all sequence numbers that follow"),
        Field::required("afterSeq", Type::Unsigned).doc("What follows begins after it"),
        Field::required("lastSeq", Type::Unsigned).doc("The last sequence number there is"),
        Field::required("reset", Type::Boolean).doc(
            "True: `afterSeq` is not known here; forget what you have, everything follows from the beginning",
        ),
        Field::required("status", Type::named("RunStatus")).doc("Whether an answer is being given"),
    ]
}

fn message() -> Vec<Field> {
    placed(vec![
        Field::required("content", Type::String).doc("What was asked"),
        maybe("messageId", Type::String, "The sender's id of the message"),
        Field::required("timestamp", Type::Timestamp).doc("When"),
    ])
}

fn tool() -> Vec<Field> {
    placed(vec![
        Field::required("callId", Type::String).doc("Which call"),
        Field::required("name", Type::String).doc("Which tool"),
        Field::required("status", Type::named("ToolStatus")).doc("Where the call stands"),
        maybe("arguments", Type::Json, "With `called` and `requested`: what it is called with"),
        maybe("expiresAt", Type::Timestamp, "With `requested`: until when `tool_result` is taken"),
        maybe("content", Type::String, "With `finished` and `failed`: the result as JSON text"),
        maybe("error", Type::String, "With `failed`: what went wrong"),
        maybe("durationMs", Type::Unsigned, "How long it took, in milliseconds"),
    ])
}

fn approval() -> Vec<Field> {
    placed(vec![
        Field::required("callId", Type::String).doc("Which call"),
        Field::required("status", Type::named("ApprovalStatus")).doc("Where it stands"),
        maybe("name", Type::String, "With `requested`: which tool"),
        maybe("arguments", Type::Json, "With `requested`: the exact arguments"),
        maybe("digest", Type::String, "With `requested`: SHA-256 of tool and arguments, 64 hex digits"),
        maybe("expiresAt", Type::Timestamp, "With `requested`: until when `approve` is taken"),
        maybe("by", Type::String, "Who decided"),
    ])
}

/// What frames share.
pub(super) fn shared() -> Vec<TypeDef> {
    vec![
        TypeDef::record("Source", "A document or record that an answer rests on", source()),
        TypeDef::record(
            "Highlight",
            "A part of a passage, in UTF-16 code units as JavaScript counts them",
            vec![
                Field::required("start", Type::Unsigned).doc("Where it begins"),
                Field::required("end", Type::Unsigned).doc("Where it ends"),
            ],
        ),
        TypeDef::record(
            "WrongField",
            "A member that is wrong",
            vec![
                Field::required("path", Type::String).doc("Which, as `messages.0.role`"),
                Field::required("message", Type::String).doc("What it takes"),
            ],
        ),
        TypeDef::open_enum(
            "AnswerStatus",
            "How an answer ended",
            ["finished", "stopped", "failed", "interrupted"],
        ),
        TypeDef::open_enum("RunStatus", "Whether an answer is being given", ["idle", "queued", "running"]),
        TypeDef::open_enum(
            "ToolStatus",
            "Where a call stands",
            ["called", "requested", "finished", "failed"],
        ),
        TypeDef::open_enum(
            "ApprovalStatus",
            "Where an approval stands",
            ["requested", "approved", "refused"],
        ),
        TypeDef::open_enum(
            "ErrorCode",
            "What kind of error it is",
            [
                "invalid",
                "unauthenticated",
                "forbidden",
                "not_found",
                "conflict",
                "too_large",
                "rate_limited",
                "cancelled",
                "internal",
                "unimplemented",
                "upstream",
                "unavailable",
                "draining",
                "deadline",
            ],
        ),
    ]
}

fn source() -> Vec<Field> {
    vec![
        Field::required("id", Type::String).doc("Its id"),
        Field::required("title", Type::String).doc("Its title"),
        Field::required("source", Type::String).doc("Where it comes from"),
        maybe("url", Type::String, "Where it can be opened"),
        Field::required("relevanceScore", Type::Float).doc("0 to 1"),
        maybe("collection", Type::String, "The collection that it lies in"),
        maybe("record", Type::String, "The record that it is"),
        maybe("section", Type::String, "Where in the document"),
        maybe("passage", Type::String, "The text that the answer rests on"),
        maybe("highlights", Type::array(Type::named("Highlight")), "What in the passage answers"),
    ]
}

fn maybe(name: &str, of: Type, doc: &str) -> Field {
    Field::optional(name, of).doc(doc)
}
