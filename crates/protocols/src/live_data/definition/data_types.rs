//! The types about records, collections and their changes, shared by socket and HTTP.

use schematic_define::prelude::*;

pub(super) fn string(name: &str, doc: &str) -> Field {
    Field::required(name, Type::String).doc(doc)
}

pub(super) fn maybe(name: &str, ty: Type, doc: &str) -> Field {
    Field::optional(name, ty).nullable().doc(doc)
}

pub(super) fn named(name: &str, type_name: &str, doc: &str) -> Field {
    Field::required(name, Type::named(type_name)).doc(doc)
}

fn collection() -> Field {
    string("collection", "The collection's name")
}

fn id() -> Field {
    string("id", "The record's key")
}

/// Accepted and without effect: this server has no peers to pass writes on to.
pub(super) fn bypass_ripple() -> Field {
    maybe("bypass_ripple", Type::Boolean, "Accepted, without effect")
}

fn filter() -> Field {
    maybe("filter", Type::named("Filter"), "Which records; absent or null is all")
}

pub(super) fn projection() -> [Field; 2] {
    let names = || Type::array(Type::String);
    [
        maybe("select_fields", names(), "Only these members, and the id; absent or empty is all"),
        maybe("exclude_fields", names(), "All members but these"),
    ]
}

/// What finds records, but the collection's name.
pub(super) fn find() -> Vec<Field> {
    let mut fields = vec![
        filter(),
        maybe("sort", Type::array(Type::named("SortField")), "In which order; ties go by id"),
        maybe("limit", Type::Unsigned, "At most so many; absent is all"),
        maybe("skip", Type::Unsigned, "After so many"),
        maybe("join", Type::named("Join"), "Records of other collections that are given with each"),
    ];
    fields.extend(projection());
    fields
}

/// Bodies of requests.
pub(super) fn requests() -> Vec<TypeDef> {
    [reads(), writes(), collections()].concat()
}

fn reads() -> Vec<TypeDef> {
    let mut by_id = vec![collection(), id()];
    by_id.extend(projection());
    let mut query = vec![collection()];
    query.extend(find());
    vec![
        TypeDef::record(
            "Hello",
            "The formats that the client knows",
            vec![
                Field::required("formats", Type::array(Type::String))
                    .doc("`msgpack` or `json`, best first; the first that the server knows is taken"),
            ],
        ),
        TypeDef::record("FindAll", "A whole collection", vec![collection()]),
        TypeDef::record("FindById", "One record of a collection", by_id),
        TypeDef::record("Query", "Records that fit, in an order", query),
        TypeDef::record(
            "TextSearch",
            "A search by words",
            vec![
                collection(),
                string("query", "The words"),
                maybe("options", Type::named("TextSearchOptions"), "Where and how many"),
            ],
        ),
        TypeDef::record(
            "TextSearchOptions",
            "Where is searched, and for how many",
            vec![
                maybe("fields", Type::array(Type::String), "In these members; absent is all"),
                maybe("limit", Type::Unsigned, "At most so many").default_value(10),
            ],
        ),
        TypeDef::record(
            "DistinctValues",
            "A member whose values are listed",
            vec![collection(), string("field", "The member"), filter()],
        ),
    ]
}

fn writes() -> Vec<TypeDef> {
    let record = || named("record", "Record", "Its members");
    vec![
        TypeDef::record("Insert", "A new record", vec![collection(), record(), bypass_ripple()]),
        TypeDef::record("Update", "Members that change", vec![collection(), id(), record(), bypass_ripple()]),
        TypeDef::record("Delete", "A record to remove", vec![collection(), id(), bypass_ripple()]),
        TypeDef::record(
            "BatchInsert",
            "New records",
            vec![
                collection(),
                Field::required("records", Type::array(Type::named("Record"))).doc("At most 10000"),
                bypass_ripple(),
            ],
        ),
        TypeDef::record(
            "BatchUpdate",
            "Members that change, by record",
            vec![
                collection(),
                Field::required("updates", Type::array(Type::named("IdAndRecord"))).doc("At most 10000"),
                bypass_ripple(),
            ],
        ),
        TypeDef::tuple(
            "IdAndRecord",
            "A record's key and the members that change",
            vec![TupleItem::new("id", Type::String), TupleItem::new("record", Type::named("Record"))],
        ),
        TypeDef::record(
            "BatchDelete",
            "Records to remove",
            vec![
                collection(),
                Field::required("ids", Type::array(Type::String)).doc("At most 10000"),
                bypass_ripple(),
            ],
        ),
        TypeDef::record(
            "UpdateWithAction",
            "A member that changes by what it is",
            vec![
                collection(),
                id(),
                string(
                    "action",
                    "increment, decrement, multiply, divide, modulo, push, unshift, pop, shift, remove, append or clear, in any case",
                ),
                string("field", "The member; dots lead into nested records"),
                maybe("value", Type::Json, "With what; pop, shift and clear need none"),
            ],
        ),
    ]
}

fn collections() -> Vec<TypeDef> {
    let name = || string("name", "The collection's name: 1 to 128 of A-Z a-z 0-9 _ - . and a letter first");
    vec![
        TypeDef::record(
            "CreateCollection",
            "A collection to make",
            vec![
                name(),
                maybe(
                    "schema",
                    Type::named("CollectionSchema"),
                    "What its records must be; absent or empty is anything",
                ),
            ],
        ),
        TypeDef::record("DeleteCollection", "A collection to remove", vec![name()]),
        TypeDef::record("GetCollections", "A question for all collections", vec![]),
        TypeDef::record(
            "Subscribe",
            "Changes to be told of",
            vec![
                collection(),
                maybe("filter_field", Type::String, "Only records whose member of this name …"),
                maybe("filter_value", Type::Json, "… has this value. Deletions are always told"),
                maybe("filter", Type::named("Filter"), "Only records that fit before or after the change"),
                maybe("after_offset", Type::Unsigned, "Since this offset; absent is from now on"),
            ],
        ),
        TypeDef::record("Unsubscribe", "Changes to be told of no longer", vec![collection()]),
    ]
}

/// Bodies of answers and notifications.
pub(super) fn answers() -> Vec<TypeDef> {
    vec![
        TypeDef::record("Welcome", "The format that both know", vec![string("format", "`msgpack` or `json`")]),
        TypeDef::record(
            "Success",
            "An answer",
            vec![
                Field::required("data", Type::Json).doc("What was asked for; null if there is nothing to say"),
                Field::optional("message_id", Type::Json).doc("The request's id again, for clients that look for it here"),
            ],
        ),
        TypeDef::record(
            "Error",
            "Why something was not done",
            vec![
                Field::required("code", Type::Unsigned).doc("An HTTP status"),
                string("message", "What is wrong and what to do, in a sentence"),
            ],
        ),
        TypeDef::record(
            "Subscribed",
            "`data` of the answer to Subscribe",
            vec![
                Field::required("subscribed", Type::Boolean).doc("Always true"),
                collection(),
                string("subscription_id", "`sub_` and 32 hex"),
                Field::required("offset", Type::Unsigned).doc("Notifications begin after this offset"),
                Field::required("gap", Type::Boolean).doc("The log does not reach back so far: Gap and Snapshot frames follow"),
            ],
        ),
        TypeDef::record(
            "SchemaChanged",
            "A changed schema",
            vec![
                collection(),
                Field::required("version", Type::Unsigned).doc("Grows with each change and never falls"),
                string("primary_key_alias", "Under which name the record's key is shown"),
            ],
        ),
        TypeDef::record(
            "MutationNotification",
            "Adjacent changes of one kind",
            vec![
                collection(),
                named("event", "MutationEvent", "What happened to them"),
                Field::required("record_ids", Type::array(Type::String)).doc("Which records, in order"),
                Field::optional("records", Type::Json)
                    .doc("The records as they became: one object, or an array if there are several; absent for deletions"),
                Field::required("timestamp", Type::Timestamp).doc("When the last one changed"),
                Field::optional("from_offset", Type::Unsigned).doc("The first offset that is covered"),
                Field::optional("offset", Type::Unsigned)
                    .doc("The last offset that is covered; subscribe with it as `after_offset` to go on from here"),
            ],
        ),
        TypeDef::open_enum("MutationEvent", "What can happen to a record", ["insert", "update", "delete"]),
        TypeDef::record(
            "Gap",
            "A hole in the log",
            vec![
                collection(),
                Field::required("offset", Type::Unsigned)
                    .doc("The offset that the snapshot stands for; notifications after it follow the snapshot"),
            ],
        ),
        TypeDef::record(
            "Snapshot",
            "A piece of a collection",
            vec![
                collection(),
                Field::required("records", Type::array(Type::named("Record"))).doc("Records by id"),
                Field::required("last", Type::Boolean).doc("Whether it was the last piece"),
            ],
        ),
    ]
}

/// What both use.
pub(super) fn shared() -> Vec<TypeDef> {
    vec![
        TypeDef::alias(
            "Record",
            "An object with any members. `id` is its key, `ttl` its time to live: written as seconds or as `30s`, `5m`, `1h`, `1d`, read as the moment when it expires. `ttl_update_on_access` makes reading it start the time anew. With typed values, all members but `id` and `ttl` are read as `{\"type\", \"value\"}`. The type is what the collection's schema says; where it says nothing, it is what JSON shows, and `DateTime` for RFC 3339 text with an offset",
            Type::Json,
        ),
        TypeDef::alias(
            "Filter",
            "`{\"type\": \"Condition\", \"content\": {\"field\", \"operator\", \"value\"}}` or `{\"type\": \"Logical\", \"content\": {\"operator\": \"And\", \"Or\" or \"Not\", \"expressions\": […]}}`. Operators: Eq, Ne, Gt, Gte, Lt, Lte, In, NotIn, Contains, StartsWith, EndsWith, Exists",
            Type::Json,
        ),
        TypeDef::record(
            "SortField",
            "A member by which records are ordered",
            vec![
                string("field", "The member; dots lead into nested records"),
                maybe("ascending", Type::Boolean, "Smallest first").default_value(true),
            ],
        ),
        TypeDef::record(
            "Join",
            "Records of other collections that belong to each record",
            vec![
                Field::required("collections", Type::array(Type::String)).doc("Where they are looked for"),
                string("local_field", "The member of the record at hand; `id` is its key"),
                string("foreign_field", "The member of the others that must equal it"),
                string("as_field", "The member that gets the array of what was found"),
            ],
        ),
        TypeDef::record(
            "CollectionSchema",
            "What a collection's records must be",
            vec![
                Field::optional("fields", Type::map(Type::named("FieldSchema")))
                    .nullable()
                    .doc("By member; others may be anything"),
                maybe("version", Type::Unsigned, "Grows with each change; not looked at in requests"),
                maybe("created_at", Type::Timestamp, "When it was made"),
                maybe("last_modified", Type::Timestamp, "When it last changed"),
                maybe("primary_key_alias", Type::String, "Under which name the record's key is shown")
                    .default_value("id"),
                bypass_ripple(),
            ],
        ),
        TypeDef::record(
            "FieldSchema",
            "What a member must be. In changes, what is absent stays",
            field_schema(),
        ),
        TypeDef::record("FieldIndex", "How a member is indexed", field_index()),
    ]
}

fn field_schema() -> Vec<Field> {
    vec![
        maybe(
            "field_type",
            Type::String,
            "String, Integer, Float, Number, Boolean, Object, Array, Set, Vector, DateTime, UUID, Decimal, Duration, Binary, Bytes or Any, in any case",
        ),
        maybe("default", Type::Json, "What it is when an insert does not say it"),
        maybe("unique", Type::Boolean, "No two records have the same value"),
        maybe("required", Type::Boolean, "Every record has it, and it is not null"),
        maybe("enums", Type::array(Type::Json), "It is one of these; empty is anything"),
        maybe("max", Type::Json, "A number is at most this, a text or array at most so long"),
        maybe("min", Type::Json, "A number is at least this, a text or array at least so long"),
        maybe("regex", Type::String, "A text fits it somewhere"),
        maybe("index", Type::named("FieldIndex"), "How it is indexed"),
    ]
}

fn field_index() -> Vec<Field> {
    let accepted = |name: &str, ty| maybe(name, ty, "Accepted, without effect");
    vec![
        string("type", "text, vector, btree or hash"),
        maybe("language", Type::String, "Of a text index").default_value("english"),
        maybe("metric", Type::String, "Of a vector index: cosine, euclidean or dotproduct")
            .default_value("cosine"),
        maybe("dimension", Type::Unsigned, "Of a vector index; absent, the first record says it"),
        accepted("analyzer", Type::String),
        accepted("algorithm", Type::String),
        accepted("m", Type::Unsigned),
        accepted("ef_construction", Type::Unsigned),
        accepted("ef_search", Type::Unsigned),
    ]
}
