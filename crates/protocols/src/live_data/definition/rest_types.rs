//! The types that HTTP alone has.

use schematic_define::prelude::*;

use super::chat_types::{run_options, tool_answer};
use super::data_types::{bypass_ripple, find, maybe, named, projection, string};

/// All of them.
pub(super) fn types() -> Vec<TypeDef> {
    [
        access(),
        grants(),
        records(),
        batches(),
        search(),
        collections(),
        key_values(),
        models(),
        chats(),
        chat_answers(),
    ]
    .concat()
}

fn list(name: &str, doc: &str, item: &str) -> TypeDef {
    TypeDef::alias(name, doc, Type::array(Type::named(item)))
}

fn unsigned(name: &str, doc: &str) -> Field {
    Field::required(name, Type::Unsigned).doc(doc)
}

fn boolean(name: &str, doc: &str) -> Field {
    Field::required(name, Type::Boolean).doc(doc)
}

fn strings(name: &str, doc: &str) -> Field {
    Field::required(name, Type::array(Type::String)).doc(doc)
}

fn access() -> Vec<TypeDef> {
    let grants = || Field::required("collection_permissions", Type::map(Type::array(Type::String)));
    vec![
        TypeDef::record(
            "Failure",
            "Why something was not done",
            vec![
                unsigned("code", "The status again"),
                string("message", "What is wrong and what to do, in a sentence"),
                string("error", "The same, for clients that look for it here"),
            ],
        ),
        TypeDef::record(
            "Done",
            "It is done",
            vec![string("status", "Always `success`"), maybe("message", Type::String, "What was done")],
        ),
        TypeDef::record("TokenRequest", "A key to trade", vec![string("api_key", "The key").secret()]),
        TypeDef::record(
            "Token",
            "A token for the header Authorization",
            vec![
                string("token", "Opaque").secret(),
                maybe("expires_at", Type::Timestamp, "Until when it is good"),
            ],
        ),
        TypeDef::record(
            "HealthReport",
            "How the server is",
            vec![
                string("status", "`ok` or `degraded`"),
                boolean("integrity_ok", "Whether the files are sound"),
                string("version", "The server's version"),
            ],
        ),
        TypeDef::record(
            "Config",
            "Settings of the running server",
            vec![boolean("use_typed_values", "Whether members are read as `{type, value}`")],
        ),
        TypeDef::record(
            "ConfigChanged",
            "The settings from now on",
            vec![string("status", "Always `success`"), boolean("use_typed_values", "See Config")],
        ),
        TypeDef::record(
            "KeyRequest",
            "A key to make",
            vec![
                maybe("api_key", Type::String, "An admin key, if the header has none").secret(),
                maybe("label", Type::String, "What it is for"),
                maybe("description", Type::String, "More about it"),
                maybe("is_admin", Type::Boolean, "Whether it may do everything"),
                maybe(
                    "collection_permissions",
                    Type::map(Type::array(Type::String)),
                    "`read` and `write` by collection",
                ),
            ],
        ),
        TypeDef::record(
            "KeyRecord",
            "A key",
            vec![
                string("id", "32 hex"),
                maybe("key", Type::String, "The key itself, when it was just made").secret(),
                maybe("label", Type::String, "What it is for"),
                boolean("is_admin", "Whether it may do everything"),
                grants().doc("`read` and `write` by collection"),
            ],
        ),
        list("KeyRecords", "Keys", "KeyRecord"),
        TypeDef::record(
            "Permissions",
            "What a key may do",
            vec![
                boolean("admin", "Everything"),
                Field::required("collections", Type::map(Type::named("Grant"))).doc("By collection"),
                Field::required("kv", Type::array(Type::named("KvGrant"))).doc("Of the key-value store"),
            ],
        ),
    ]
}

fn grants() -> Vec<TypeDef> {
    let change = |name: &str, grant: &str| {
        let nullable =
            |field: &str, doc: &str| Field::required(field, Type::named(grant)).nullable().doc(doc);
        let (before, after) =
            (nullable("before", "What it was"), nullable("after", "What it is from now on"));
        TypeDef::record(name, "A grant that was changed; `null` is none", vec![before, after])
    };
    let fields = |name: &str| {
        maybe(name, Type::array(Type::String), "Answered with 501 unless null: all members are granted")
    };
    let lists = || [fields("select_fields"), fields("exclude_fields"), fields("writable_fields")];
    let request = vec![boolean("read", "Read it"), boolean("write", "Write it; who writes may read")];
    let patch = vec![
        maybe("read", Type::Boolean, "Read it"),
        maybe("write", Type::Boolean, "Write it; who writes may read"),
    ];
    vec![
        TypeDef::record(
            "Grant",
            "What may be done with a collection",
            vec![boolean("read", "Read it"), boolean("write", "Write it")],
        ),
        TypeDef::record(
            "KvGrant",
            "What may be done with the key-value store",
            vec![
                string("prefix", "Always `*`: all keys"),
                boolean("read", "Read them"),
                boolean("write", "Write them"),
            ],
        ),
        TypeDef::alias("CollectionGrants", "Grants by collection", Type::map(Type::named("Grant"))),
        list("KvGrants", "Grants of the key-value store", "KvGrant"),
        TypeDef::record(
            "GrantRequest",
            "What is granted; nothing takes it away",
            [request, lists().into()].concat(),
        ),
        TypeDef::record("GrantPatch", "What changes about a grant", [patch, lists().into()].concat()),
        change("GrantChange", "Grant"),
        change("KvGrantChange", "KvGrant"),
    ]
}

fn records() -> Vec<TypeDef> {
    let mut find = find();
    find.push(maybe("bypass_cache", Type::Boolean, "Accepted, without effect"));
    find.push(bypass_ripple());
    let value = || maybe("value", Type::Json, "With what; pop, shift and clear need none");
    vec![
        TypeDef::record("FindRequest", "Which records, in which order, how many", find),
        list("Records", "Records", "Record"),
        TypeDef::record("Inserted", "A new record's key", vec![string("id", "The key")]),
        TypeDef::record(
            "ActionRequest",
            "What an action is about",
            vec![string("field", "The member; dots lead into nested records"), value()],
        ),
        TypeDef::tuple(
            "ActionStep",
            "One action",
            vec![
                TupleItem::new("action", Type::String),
                TupleItem::new("field", Type::String),
                TupleItem { optional: true, ..TupleItem::new("value", Type::Json) },
            ],
        ),
        list("ActionSequence", "Actions, done in order, all or none", "ActionStep"),
    ]
}

fn batches() -> Vec<TypeDef> {
    let id = || string("id", "The record's key");
    let items =
        |name: &str, item: &str| Field::required(name, Type::array(Type::named(item))).doc("At most 10000");
    vec![
        TypeDef::record(
            "BatchInsertItem",
            "A new record",
            vec![named("data", "Record", "Its members"), bypass_ripple()],
        ),
        TypeDef::record(
            "BatchInsertRequest",
            "New records",
            vec![items("inserts", "BatchInsertItem"), bypass_ripple()],
        ),
        TypeDef::record(
            "BatchUpdateItem",
            "Members that change",
            vec![id(), named("data", "Record", "The members"), bypass_ripple()],
        ),
        TypeDef::record(
            "BatchUpdateRequest",
            "Members that change, by record",
            vec![items("updates", "BatchUpdateItem"), bypass_ripple()],
        ),
        TypeDef::record("BatchDeleteItem", "A record to remove", vec![id(), bypass_ripple()]),
        TypeDef::record(
            "BatchDeleteRequest",
            "Records to remove",
            vec![items("deletes", "BatchDeleteItem"), bypass_ripple()],
        ),
        TypeDef::record(
            "BatchReply",
            "What was done and what was not",
            vec![
                strings("successful", "The keys of records for which it was done, in order"),
                Field::required("failed", Type::array(Type::named("BatchFailure"))).doc("Where it was not"),
            ],
        ),
        TypeDef::record(
            "BatchFailure",
            "Why it was not done for one record",
            vec![
                Field::required("id", Type::String)
                    .nullable()
                    .doc("The record's key, if the request named one"),
                unsigned("index", "Its place in the request, from 0"),
                unsigned("code", "An HTTP status"),
                string("error", "What is wrong and what to do, in a sentence"),
            ],
        ),
    ]
}

fn search() -> Vec<TypeDef> {
    vec![
        TypeDef::record("SearchRequest", "A search by words, by nearness, or by both", search_fields()),
        TypeDef::record(
            "SearchReply",
            "What was found, best first",
            vec![
                Field::required("results", Type::array(Type::named("SearchHit"))).doc("Best first"),
                unsigned("total", "How many"),
                unsigned("execution_time_ms", "How long it took, in milliseconds"),
            ],
        ),
        TypeDef::record(
            "SearchHit",
            "A record that fits",
            vec![
                named("record", "Record", "The record"),
                Field::required("score", Type::Float).doc("Larger is better"),
                strings("matched_fields", "The members in which it was found"),
            ],
        ),
        TypeDef::record(
            "DistinctRequest",
            "Of which records values are listed",
            vec![
                maybe("filter", Type::named("Filter"), "Absent is all"),
                bypass_ripple(),
                maybe("bypass_cache", Type::Boolean, "Accepted, without effect"),
            ],
        ),
        TypeDef::record(
            "DistinctReply",
            "Values of a member",
            vec![
                string("collection", "Of which collection"),
                string("field", "Of which member"),
                Field::required("values", Type::array(Type::Json)).doc("Sorted, each once"),
                unsigned("count", "How many"),
            ],
        ),
    ]
}

fn search_fields() -> Vec<Field> {
    let float = |name: &str, doc: &str| maybe(name, Type::Float, doc);
    let flag = |name: &str, doc: &str| maybe(name, Type::Boolean, doc);
    let number = |name: &str, doc: &str| maybe(name, Type::Unsigned, doc);
    let mut fields = vec![
        maybe("query", Type::String, "The words; empty or absent is by nearness alone"),
        maybe("language", Type::String, "Accepted, without effect"),
        flag("case_sensitive", "Whether upper and lower case differ"),
        flag("fuzzy", "Whether words may be mistyped"),
        number("max_edit_distance", "So many edits; 0 to 5"),
        flag("enable_stemming", "Whether words are compared by their stem"),
        flag("boost_exact", "Whether the exact phrase ranks higher"),
        float("min_score", "Only what fits at least so well"),
        maybe("fields", Type::Json, "`a,b` or `[\"a\", \"b\"]`: in these members"),
        maybe("weights", Type::Json, "`a:2.0,b:1.5` or `{\"a\": 2.0}`: what a member counts"),
        maybe("vector", Type::array(Type::Float), "What is to be near"),
        maybe("vector_field", Type::String, "The member with the vectors").default_value("embedding"),
        maybe("vector_metric", Type::String, "cosine, euclidean or dotproduct"),
        number("vector_k", "So many nearest are looked at"),
        float("vector_threshold", "Only what is at least so near"),
        float("text_weight", "What words count in a search by both"),
        float("vector_weight", "What nearness counts"),
        number("ef_search", "Accepted, without effect"),
        maybe("filters", Type::named("Filter"), "Only among these records"),
        number("limit", "At most so many").default_value(10),
        flag("bypass_cache", "Accepted, without effect"),
        bypass_ripple(),
    ];
    fields.extend(projection());
    fields
}

fn collections() -> Vec<TypeDef> {
    vec![
        TypeDef::record("Collections", "Names of collections", vec![strings("collections", "By name")]),
        TypeDef::record(
            "CollectionReport",
            "A collection",
            vec![
                named("collection", "CollectionSchema", "What its records must be"),
                named("analytics", "CollectionFigures", "How large it is"),
            ],
        ),
        TypeDef::record(
            "CollectionFigures",
            "How large a collection is",
            vec![
                unsigned("record_count", "Its records"),
                unsigned("last_offset", "The last offset of its log"),
            ],
        ),
        TypeDef::record(
            "SchemaChange",
            "What changes about members",
            vec![Field::required("constraints", Type::map(Type::named("FieldSchema"))).doc("By member")],
        ),
    ]
}

fn key_values() -> Vec<TypeDef> {
    let value = || Field::required("value", Type::Json).doc("Any JSON");
    vec![
        TypeDef::record(
            "KvPut",
            "A value to write",
            vec![value(), maybe("ttl", Type::Json, "Seconds, or `30s`, `5m`, `1h`, `1d`")],
        ),
        TypeDef::record("KvValue", "A value", vec![value()]),
        TypeDef::record("KvKeys", "Keys", vec![strings("keys", "1 to 1024 bytes each")]),
        TypeDef::record(
            "KvBatch",
            "Values to write",
            vec![
                strings("keys", "Keys"),
                Field::required("values", Type::array(Type::Json)).doc("As many values"),
                maybe("ttl", Type::Json, "Seconds, or `30s`, `5m`, `1h`, `1d`"),
            ],
        ),
        TypeDef::alias("KvObjects", "Values, in the keys' order", Type::array(Type::Json)),
        TypeDef::tuple(
            "KvOutcome",
            "A key and whether it was done",
            vec![TupleItem::new("key", Type::String), TupleItem::new("done", Type::Boolean)],
        ),
        list("KvOutcomes", "Keys and whether it was done", "KvOutcome"),
        TypeDef::record(
            "KvSearch",
            "Which keys",
            vec![
                maybe(
                    "pattern",
                    Type::String,
                    "A regular expression that a key must match somewhere; absent is all",
                ),
                maybe(
                    "include_expired",
                    Type::Boolean,
                    "Also those that have expired and are not yet removed",
                ),
            ],
        ),
        TypeDef::record("KvPair", "A key with its value", vec![string("key", "The key"), value()]),
        list("KvPairs", "Pairs, by key", "KvPair"),
    ]
}

fn models() -> Vec<TypeDef> {
    let names = |name: &str| strings(name, "Its models");
    vec![
        TypeDef::record(
            "ModelList",
            "The models that can be asked, by provider",
            vec![
                names("openai"),
                names("anthropic"),
                names("perplexity"),
                names("gemini"),
                Field::required("providers", Type::map(Type::named("ProviderReport")))
                    .doc("By provider, also others"),
            ],
        ),
        TypeDef::record(
            "ProviderReport",
            "How a provider is",
            vec![
                string("status", "`ok`, `not_configured` or `unavailable`"),
                boolean("verified", "Whether it was asked"),
                maybe("message", Type::String, "What is wrong"),
                maybe("model_count", Type::Unsigned, "So many models"),
            ],
        ),
        TypeDef::alias("Names", "Names", Type::array(Type::String)),
        list("ToolSpecs", "Tools", "ToolSpec"),
        TypeDef::record(
            "ToolRequest",
            "A tool to call",
            vec![
                string("tool", "Its name"),
                maybe("params", Type::Json, "Its arguments"),
                maybe("chat_id", Type::String, "Accepted, without effect"),
            ],
        ),
        TypeDef::record(
            "ToolReply",
            "What a tool did",
            vec![
                boolean("success", "Whether it was done"),
                maybe("result", Type::Json, "What it answers"),
                maybe("error", Type::String, "Why it was not done"),
            ],
        ),
        TypeDef::record("Completion", "A model's answer", vec![string("content", "Its text")]),
        TypeDef::record(
            "CompletionEvent",
            "A piece of an answer: one of these",
            vec![
                maybe("token", Type::String, "What to append"),
                maybe("content", Type::String, "The whole text; the end"),
                maybe("error", Type::String, "Why there is none; the end"),
            ],
        ),
        TypeDef::record(
            "EmbedRequest",
            "Texts to turn into vectors",
            vec![
                maybe("text", Type::String, "One text"),
                maybe("texts", Type::array(Type::String), "Several"),
                maybe("model", Type::String, "With which model"),
            ],
        ),
        TypeDef::record(
            "EmbedReply",
            "Vectors",
            vec![
                Field::required("embeddings", Type::array(Type::array(Type::Float)))
                    .doc("One for each text, in order"),
                string("model", "The model that made them"),
                unsigned("dimensions", "How many numbers each has"),
            ],
        ),
    ]
}

fn chats() -> Vec<TypeDef> {
    let text = |name: &str, doc: &str| maybe(name, Type::String, doc);
    let mut message = vec![string("message", "What is said; not empty"), bypass_ripple()];
    message.extend(run_options());
    message.extend([
        maybe("force_summarize", Type::Boolean, "Accepted, without effect"),
        maybe("tool_config", Type::Json, "`{enabled, allowed_tools, …}`; kept with the chat"),
        maybe("attachments", Type::array(Type::Json), "Answered with 501 if there are any"),
    ]);
    vec![
        TypeDef::record("ChatRequest", "How a chat is led", chat_request()),
        TypeDef::record(
            "ChatUpdate",
            "What changes about a chat",
            vec![
                text("system_prompt", "What the model is told first"),
                text("llm_model", "Which model answers"),
                maybe("collections", Type::Json, "The collections that its agent reads"),
                maybe(
                    "max_context_messages",
                    Type::Unsigned,
                    "So many earlier messages are shown to the model",
                ),
                text("title", "Its title"),
                maybe("memory", Type::Json, "Kept and given back unread"),
                bypass_ripple(),
            ],
        ),
        TypeDef::record(
            "MergeRequest",
            "Chats to put together",
            vec![
                strings("source_chat_ids", "At least one; they stay as they are"),
                string("target_chat_id", "Into which"),
                named("merge_strategy", "MergeStrategy", "How"),
                bypass_ripple(),
            ],
        ),
        TypeDef::open_enum(
            "MergeStrategy",
            "How chats become one",
            ["Chronological", "Summarized", "LatestOnly", "Interleaved"],
        ),
        TypeDef::record(
            "CompactRequest",
            "How much stays",
            vec![maybe("keep_recent", Type::Unsigned, "So many of the last messages").default_value(10)],
        ),
        TypeDef::record("ChatMessageRequest", "Something said in a chat", message),
        TypeDef::record("ToolResult", "What a client's tool did", tool_answer()),
        TypeDef::record("MessageEdit", "A message's text from now on", vec![string("content", "The text")]),
        TypeDef::record(
            "ForgetRequest",
            "Whether a message is forgotten",
            vec![boolean("forgotten", "From now on")],
        ),
    ]
}

fn chat_request() -> Vec<Field> {
    let text = |name: &str, doc: &str| maybe(name, Type::String, doc);
    vec![
        maybe(
            "collections",
            Type::Json,
            "`[{\"collection_name\": …}]`: the collections that its agent reads",
        ),
        text("llm_provider", "Whose model answers"),
        text("llm_model", "Which model"),
        text("system_prompt", "What the model is told first"),
        text("agent_id", "Kept and given back unread"),
        text("title", "Its title"),
        text("parent_id", "The chat to branch from"),
        maybe("branch_point_idx", Type::Unsigned, "So many of its messages"),
        maybe("max_context_messages", Type::Unsigned, "So many earlier messages are shown to the model"),
        maybe("max_tokens", Type::Unsigned, "At most so many tokens of answer"),
        maybe("temperature", Type::Float, "0 is the most likely answer"),
        maybe("tool_config", Type::Json, "`{enabled, allowed_tools, …}`"),
        bypass_ripple(),
    ]
}

fn chat_answers() -> Vec<TypeDef> {
    let text = |name: &str, doc: &str| maybe(name, Type::String, doc);
    vec![
        TypeDef::record(
            "ChatResponse",
            "A chat's answer; without words when a chat was opened",
            vec![
                string("chat_id", "Which chat"),
                string("message_id", "The answer's id"),
                strings("responses", "Its text"),
                Field::required("context_snippets", Type::array(Type::Json))
                    .doc("What it rests on: `{collection, record, score, matched_fields}`"),
                unsigned("execution_time_ms", "How long it took, in milliseconds"),
                maybe("token_usage", Type::named("TokenUsage"), "What it cost"),
            ],
        ),
        TypeDef::record(
            "ChatReport",
            "A chat with its settings",
            vec![
                maybe("session", Type::named("Record"), "The settings as a record"),
                maybe("message_count", Type::Unsigned, "So many messages"),
            ],
        ),
        TypeDef::record(
            "ChatList",
            "The asker's chats",
            vec![
                Field::required("sessions", Type::array(Type::named("ChatSummary")))
                    .doc("Those that were asked for"),
                unsigned("total", "How many there are"),
                unsigned("returned", "How many are here"),
            ],
        ),
        TypeDef::record(
            "ChatSummary",
            "A chat in the list",
            vec![
                string("chat_id", "Which chat"),
                Field::required("created_at", Type::Timestamp).doc("When it was opened"),
                Field::required("updated_at", Type::Timestamp).doc("When something last happened in it"),
                string("llm_provider", "Whose model answers"),
                string("llm_model", "Which model"),
                Field::required("collections", Type::array(Type::Json))
                    .doc("The collections that its agent reads"),
                text("system_prompt", "What the model is told first"),
                text("agent_id", "Kept and given back unread"),
                text("title", "Its title"),
                unsigned("message_count", "So many messages"),
            ],
        ),
        TypeDef::record(
            "ChatMessages",
            "A chat's messages",
            vec![
                Field::required("messages", Type::array(Type::named("Record")))
                    .doc("Those that were asked for"),
                unsigned("total", "How many there are"),
                unsigned("skip", "How many were skipped"),
                Field::required("limit", Type::Unsigned).nullable().doc("The limit that was asked for"),
                unsigned("returned", "How many are here"),
            ],
        ),
        TypeDef::record(
            "CompactReply",
            "What was summed up",
            vec![
                unsigned("folded", "So many messages were folded into the summary"),
                unsigned("kept_recent", "So many stayed"),
                unsigned("summary_chars", "The summary's length in characters"),
                Field::required("summary_message_id", Type::String)
                    .nullable()
                    .doc("The summary, if one was made"),
                boolean("already_compact", "There was nothing to fold"),
            ],
        ),
        TypeDef::record(
            "ChatStreamEvent",
            "A piece of an answer: `token`; or a tool call; or `content` and what belongs to the end; or `error`",
            vec![
                text("token", "What to append"),
                text("event", "`tool_call` with a call of a client's tool"),
                text("tool", "Its name"),
                text("call_id", "Its id"),
                maybe("args", Type::Json, "Its arguments"),
                text("content", "The whole text; the end"),
                text("message_id", "The answer's id"),
                maybe("execution_time_ms", Type::Unsigned, "How long it took, in milliseconds"),
                maybe("context_window", Type::Unsigned, "The model's context window in tokens"),
                maybe("token_usage", Type::named("TokenUsage"), "What it cost"),
                maybe(
                    "tool_call_history",
                    Type::array(Type::named("ToolCallRecord")),
                    "The tools that were called",
                ),
                text("error", "Why there is no answer; the end"),
                text("error_kind", "As with ChatStreamError"),
            ],
        ),
    ]
}
