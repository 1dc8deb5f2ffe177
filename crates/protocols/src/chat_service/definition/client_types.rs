//! What a client says.

use schematic_define::prelude::*;

/// The types of the client's messages.
pub(super) fn types() -> Vec<TypeDef> {
    vec![
        TypeDef::record("NewChat", "A question that opens a chat", new_chat()),
        TypeDef::record("ResumeChat", "A wish to go on with a chat", resume_chat()),
        TypeDef::record(
            "Stop",
            "A wish to stop",
            vec![
                Field::required("runId", Type::String)
                    .doc("In which chat; the answer that is being given ends"),
            ],
        ),
        TypeDef::record(
            "ToolResult",
            "What a client's tool did; exactly one of `result`, `error` and `working`",
            vec![
                Field::required("runId", Type::String).doc("In which chat"),
                Field::required("callId", Type::String).doc("Which call"),
                maybe("result", Type::Json, "What it answers, at most 1 MiB of JSON"),
                maybe("error", Type::String, "Why it did not work, for the model"),
                maybe("working", Type::Boolean, "True: it still works on it, its time begins anew"),
            ],
        ),
        TypeDef::record(
            "Approve",
            "A person's decision about a call that waits for one",
            vec![
                Field::required("runId", Type::String).doc("In which chat"),
                Field::required("callId", Type::String).doc("Which call"),
                Field::required("approved", Type::Boolean).doc("Whether it may be done"),
            ],
        ),
        TypeDef::record("Ping", "A question for a sign of life", vec![]),
        TypeDef::record("ChatMessage", "Something that was said", message()),
        TypeDef::record("ChatOptions", "How an answer is to be given", options()),
        TypeDef::record(
            "ToolSpec",
            "A tool of the client, as the model is told of it",
            vec![
                Field::required("name", Type::String).doc("1 to 64 of A-Z a-z 0-9 _ -"),
                maybe("description", Type::String, "What it does, for the model"),
                maybe("parameters", Type::Json, "JSON Schema of its arguments"),
            ],
        ),
        TypeDef::open_enum("MessageRole", "Who said it", ["user", "assistant", "system"]),
        TypeDef::open_enum(
            "WhileRunning",
            "What becomes of a message while an answer is being given: refused, answered afterwards, answered at once in its place, or taken into account",
            ["reject", "queue", "interrupt", "steer"],
        ),
        TypeDef::open_enum("Partials", "How the growing text is sent", ["snapshot", "delta"]),
    ]
}

fn new_chat() -> Vec<Field> {
    let mut fields = vec![
        Field::required("userId", Type::String)
            .doc("The subject of the key; without keys any label, 1 to 256 bytes"),
        Field::required("messages", Type::array(Type::named("ChatMessage")))
            .doc("What was said so far, oldest first, and the question, a user's, at the end; 1 to 1000"),
        maybe("options", Type::named("ChatOptions"), "How the answer is to be given"),
        maybe(
            "runId",
            Type::String,
            "The chat's name, chosen by the client: 1 to 128 of A-Z a-z 0-9 . _ -. Else the server chooses one. The same again is not answered twice but followed from its beginning",
        ),
    ];
    fields.extend(shared());
    fields
}

fn resume_chat() -> Vec<Field> {
    let mut fields = vec![
        Field::required("runId", Type::String)
            .doc("Which chat: its name, or the 32 hex digits of its id as other dialects tell it"),
        maybe("newMessage", Type::named("ChatMessage"), "What is asked further; a user's"),
        maybe(
            "afterSeq",
            Type::Unsigned,
            "The highest sequence number seen; everything after it follows. Without it: with `newMessage` the answer to it, else everything",
        ),
        maybe("epoch", Type::Unsigned, "The epoch that `afterSeq` belongs to"),
        maybe("options", Type::named("ChatOptions"), "How the answer is to be given"),
        maybe("userId", Type::String, "As in `new_chat`"),
    ];
    fields.extend(shared());
    fields
}

fn shared() -> Vec<Field> {
    vec![
        maybe("stream", Type::Boolean, "False: one `text`, `sources`, `final` and `end`, when the answer is there")
            .default_value(true),
        maybe(
            "partials",
            Type::named("Partials"),
            "How the text grows: the whole text so far, or what to append. Who says it also gets `run`, `message` and all `tool` frames",
        )
        .default_value("snapshot"),
        maybe("whileRunning", Type::named("WhileRunning"), "What becomes of the question while another is being answered")
            .default_value("reject"),
        maybe("tools", Type::array(Type::named("ToolSpec")), "Tools of this client for this answer"),
    ]
}

fn message() -> Vec<Field> {
    vec![
        maybe(
            "id",
            Type::String,
            "Makes sending idempotent, 1 to 128 bytes. Of `new_chat` the `runId` does that",
        ),
        Field::required("role", Type::named("MessageRole")).doc("Who said it"),
        Field::required("content", Type::String).doc("What was said; not empty"),
        maybe("timestamp", Type::Json, "When: RFC 3339, or milliseconds since 1970"),
    ]
}

fn options() -> Vec<Field> {
    vec![
        maybe("enhanceWithContext", Type::Boolean, "Whether documents are looked through")
            .default_value(true),
        maybe("maxContextItems", Type::Unsigned, "So many passages at most, 1 to 50").default_value(5),
        maybe("includeSourceInfo", Type::Boolean, "Whether the sources are told").default_value(true),
        maybe("maxTokens", Type::Unsigned, "So many tokens of answer at most, 1 to 131072")
            .default_value(1000),
        maybe("temperature", Type::Float, "0 to 2; 0 is the most likely answer"),
        maybe("modelId", Type::String, "Which model answers; one of the server's"),
        maybe("agent", Type::String, "Which agent answers; one of the server's"),
        maybe(
            "confirm",
            Type::array(Type::String),
            "Tools of the server that a person must agree to before each call",
        ),
    ]
}

fn maybe(name: &str, of: Type, doc: &str) -> Field {
    Field::optional(name, of).doc(doc)
}
