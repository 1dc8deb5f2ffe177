//! The types about chats and models, shared by socket and HTTP.

use schematic_define::prelude::*;

use super::data_types::{bypass_ripple, maybe, string};

fn chat_id() -> Field {
    string("chat_id", "The chat: its 32 hex, or a name of your own, which opens one")
}

fn seq() -> Field {
    Field::optional("seq", Type::Unsigned)
        .doc("The last sequence number covered; follow after the highest seen")
}

/// What is special about one run.
pub(super) fn run_options() -> Vec<Field> {
    vec![
        maybe(
            "client_tools",
            Type::array(Type::named("ToolSpec")),
            "Tools of this client for this message, beside the registered ones",
        ),
        maybe("max_iterations", Type::Unsigned, "At most so many rounds of model and tools"),
        maybe(
            "confirm_tools",
            Type::array(Type::String),
            "Tools of the server that the client must agree to before each call",
        ),
        maybe("exclude_tools", Type::array(Type::String), "Tools that the model is not told of"),
        maybe("llm_model", Type::String, "Which model answers"),
    ]
}

/// All of them.
pub(super) fn types() -> Vec<TypeDef> {
    [requests(), frames()].concat()
}

fn requests() -> Vec<TypeDef> {
    let mut send = vec![chat_id(), string("message", "What is said; not empty"), bypass_ripple()];
    send.extend(run_options());
    let mut tool_result = vec![chat_id()];
    tool_result.extend(tool_answer());
    vec![
        TypeDef::record("ChatSend", "Something said in a chat", send),
        TypeDef::record("CancelChat", "A wish to stop", vec![chat_id()]),
        TypeDef::record(
            "ChatFollow",
            "A position in a chat",
            vec![
                chat_id(),
                maybe(
                    "after_seq",
                    Type::Unsigned,
                    "The highest sequence number seen; 0 is everything, absent is from now on",
                ),
                maybe(
                    "epoch",
                    Type::Unsigned,
                    "The epoch that the number belongs to, as the last answer said it",
                ),
            ],
        ),
        TypeDef::record(
            "ChatFollowed",
            "`data` of the answer to ChatFollow",
            vec![
                chat_id(),
                Field::required("epoch", Type::Unsigned).doc("The epoch of all numbers that follow"),
                Field::required("last_seq", Type::Unsigned).doc("The last number there is"),
                Field::required("reset", Type::Boolean)
                    .doc("True: forget what you have, everything follows from the start"),
                Field::required("running", Type::Boolean).doc("Whether an answer is being given"),
            ],
        ),
        TypeDef::record(
            "RegisterClientTools",
            "Tools that this client runs",
            vec![
                chat_id(),
                Field::required("tools", Type::array(Type::named("ToolSpec")))
                    .doc("Instead of those registered before"),
            ],
        ),
        TypeDef::record(
            "ToolSpec",
            "A tool, as the model is told of it",
            vec![
                string("name", "1 to 64 of A-Z a-z 0-9 _ -"),
                maybe("description", Type::String, "What it does, for the model"),
                maybe("parameters", Type::Json, "JSON Schema of its arguments"),
            ],
        ),
        TypeDef::record("ClientToolResult", "What a client's tool did", tool_result),
        TypeDef::record(
            "RawComplete",
            "A question to a model",
            vec![
                string("system_prompt", "What it is told first"),
                string("message", "What it is asked"),
                maybe("provider", Type::String, "Whose model"),
                maybe("model", Type::String, "Which; absent is the configured one"),
                maybe("max_tokens", Type::Unsigned, "At most so many tokens of answer"),
            ],
        ),
    ]
}

/// The outcome of a tool call; also HTTP's body.
pub(super) fn tool_answer() -> Vec<Field> {
    vec![
        string("call_id", "Which call"),
        maybe(
            "success",
            Type::Boolean,
            "Whether it was done; for a call that waits for agreement, whether it may be",
        ),
        maybe("result", Type::Json, "What it answers"),
        maybe("error", Type::String, "Why it was not done, for the model"),
        maybe("keepalive", Type::Boolean, "It still works on it: its time begins anew"),
    ]
}

fn frames() -> Vec<TypeDef> {
    vec![
        TypeDef::record(
            "ChatUserMessage",
            "Something that was said",
            vec![
                chat_id(),
                string("message_id", "The id of the answer that it gets"),
                string("content", "What was said"),
                Field::required("timestamp", Type::Timestamp).doc("When"),
                seq(),
            ],
        ),
        TypeDef::record(
            "ChatStreamChunk",
            "More text",
            vec![
                chat_id(),
                string("content", "What to append"),
                Field::optional("replace", Type::Boolean).doc("True: the whole text so far, instead of what is shown"),
                seq(),
            ],
        ),
        TypeDef::record(
            "ChatStreamEnd",
            "The end of an answer",
            vec![
                chat_id(),
                string("message_id", "The answer's id"),
                Field::required("execution_time_ms", Type::Unsigned).doc("How long it took, in milliseconds"),
                Field::optional("token_usage", Type::named("TokenUsage")).doc("What it cost"),
                Field::optional("tool_call_history", Type::array(Type::named("ToolCallRecord"))).doc("The tools that were called"),
                Field::optional("context_window", Type::Unsigned).doc("The model's context window in tokens, where it is known"),
                Field::optional("status", Type::named("StreamStatus")).doc("How it ended"),
                Field::optional("content", Type::String).doc("The whole text, for who follows with ChatFollow"),
                seq(),
            ],
        ),
        TypeDef::open_enum("StreamStatus", "How an answer can end", ["finished", "stopped"]),
        TypeDef::record(
            "ChatStreamError",
            "A failure in a chat",
            vec![
                chat_id(),
                string("error", "What is wrong and what to do, in a sentence"),
                Field::optional("error_kind", Type::String).doc("provider_auth_failed, provider_permission_denied, provider_billing, provider_rate_limited, provider_unavailable, provider_unreachable, provider_not_configured or provider_request_error"),
                Field::optional("provider", Type::String).doc("Whose model failed"),
                Field::optional("provider_status", Type::Unsigned).doc("The provider's HTTP status"),
                Field::optional("retry_after_secs", Type::Unsigned).doc("When to come back"),
                Field::optional("code", Type::Unsigned).doc("An HTTP status"),
                seq(),
            ],
        ),
        TypeDef::record(
            "ClientToolCall",
            "A call that this client is to do or to agree to",
            vec![
                chat_id(),
                string("call_id", "Which call; ClientToolResult names it"),
                string("tool_name", "Which tool"),
                Field::required("arguments", Type::Json).doc("What it is called with"),
                seq(),
            ],
        ),
        TypeDef::record(
            "TokenUsage",
            "What an answer cost, in tokens",
            ["prompt_tokens", "completion_tokens", "total_tokens"]
                .map(|name| Field::required(name, Type::Unsigned))
                .into(),
        ),
        TypeDef::record(
            "ToolCallRecord",
            "A tool call with its outcome",
            vec![
                string("call_id", "Which call"),
                string("tool_name", "Which tool"),
                Field::required("arguments", Type::Json).doc("What it was called with"),
                Field::optional("result", Type::Json).doc("What it answered"),
                Field::optional("error", Type::String).doc("Why it failed"),
            ],
        ),
    ]
}
