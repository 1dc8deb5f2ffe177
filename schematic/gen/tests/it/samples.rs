//! Sample definitions: every way of recognition, an envelope with layouts, names from nightmares, and every kind of body.

use schematic_define::prelude::*;
use serde_json::json;

/// Every sample that has golden output, with the name of its folder; the public definitions are among them.
pub(crate) fn all() -> Vec<(&'static str, Definition)> {
    let own = vec![
        ("kinds", kinds()),
        ("envelope", envelope()),
        ("names", names()),
        ("tagged", tagged()),
        ("rest_kinds", rest_kinds()),
        ("rest_names", rest_names()),
    ];
    own.into_iter().chain(schematic_definitions::all()).collect()
}

/// Those of them that have a WebSocket API.
pub(crate) fn with_websocket() -> impl Iterator<Item = (&'static str, Definition)> {
    all().into_iter().filter(|(_, definition)| definition.websocket.is_some())
}

/// A definition with one endpoint; each message has the type of its name.
pub(crate) fn definition(
    name: &str,
    client: Vec<MessageFacts>,
    server: Vec<MessageFacts>,
    types: Vec<TypeDef>,
) -> Definition {
    let schemas = |facts: &[MessageFacts], direction| -> Vec<MessageSchema> {
        facts
            .iter()
            .map(|f| MessageSchema {
                id: f.id.clone(),
                description: String::new(),
                direction,
                schema: Schema::new(f.id.clone()),
                repeatable: true,
            })
            .collect()
    };
    let endpoint = WebSocketEndpoint {
        id: "Talk".into(),
        path: "/talk".into(),
        description: "A talk".into(),
        connection_params: vec![],
        lifecycle: ConnectionLifecycle {
            streaming_messages: schemas(&client, MessageDirection::ClientToServer),
            server_messages: schemas(&server, MessageDirection::ServerToClient),
            ..ConnectionLifecycle::default()
        },
    };
    Definition::new(name, "A sample")
        .with_websocket(WebSocketApi {
            name: name.into(),
            description: "A sample".into(),
            base_url: "wss://example.com".into(),
            docs_url: None,
            auth: AuthStrategy::None,
            env_auth: vec![],
            env_username: None,
            headers: vec![],
            endpoints: vec![endpoint],
        })
        .with_types(types)
        .with_messages(client)
        .with_messages(server)
}

fn precedence<const N: usize>(ids: [&str; N]) -> EndpointPolicy {
    EndpointPolicy { precedence: ids.map(String::from).into(), ..EndpointPolicy::new("Talk") }
}

fn op(op: i64, name: &str) -> Recognition {
    Recognition::CompositeTag { parts: vec![TagPart::new("op", op), TagPart::new("t", name)] }
}

fn literal(field: &str, value: impl Into<serde_json::Value>) -> Recognition {
    Recognition::Literal { field: field.into(), value: value.into() }
}

/// Every way of recognition in one direction.
pub(crate) fn kinds() -> Definition {
    let deep = Recognition::NestedTag { path: vec!["header".into(), "kind".into()], value: "deep".into() };
    let mut either =
        MessageFacts::tag("Tick", "type", "tick").example("tick", json!({"type": "tick", "at": 3}));
    either.frame = FrameKind::Either;
    let server = vec![
        either,
        MessageFacts::tag("Tock", "type", "tock"),
        MessageFacts::new("Deep", deep)
            .example("deep", json!({"header": {"kind": "deep", "id": 1}, "x": null})),
        MessageFacts::new("Ready", op(0, "READY")).example("ready", json!({"op": 0, "t": "READY", "d": [1]})),
        MessageFacts::new("Gone", op(0, "GONE")),
        MessageFacts::tag("HelloOp", "op", 10),
        MessageFacts::new("Space", literal("text", " ")),
        MessageFacts::new("Empty", literal("text", "")),
        MessageFacts::presence("Words", "text").example("words", json!({"text": "a b"})),
        MessageFacts::new("Done", Recognition::AnyOf(vec![literal("done", true), literal("is_done", true)])),
        MessageFacts::new("Note", Recognition::ArrayHead { value: "NOTE".into() })
            .example("note", json!(["NOTE", "n", 7, {"a": 1}, {"b": 2}])),
        MessageFacts::new("End", Recognition::ArrayHead { value: "END".into() }),
        MessageFacts::new("Line", Recognition::Kind(JsonKind::String)),
        MessageFacts::binary("Audio").example("audio", json!("AAEC")),
    ];
    let client = vec![MessageFacts::tag("Say", "type", "say")];
    definition("Kinds", client, server, kinds_types()).with_policy(precedence([
        "Tick", "Tock", "Deep", "Ready", "Gone", "HelloOp", "Done", "Space", "Empty", "Words", "Audio",
    ]))
}

fn kinds_types() -> Vec<TypeDef> {
    let note = Tuple {
        items: vec![
            TupleItem::new("text", Type::String),
            TupleItem { optional: true, ..TupleItem::new("level", Type::Integer) },
        ],
        rest: Some(Type::map(Type::Json)),
    };
    vec![
        TypeDef::record("Say", "Something to say", vec![Field::required("what", Type::named("Content"))]),
        TypeDef::union(
            "Content",
            "Text, a list of parts, or a picture",
            vec![
                Variant::new("Text", Type::String, Recognition::Kind(JsonKind::String)),
                Variant::new(
                    "Parts",
                    Type::array(Type::named("Content")),
                    Recognition::Kind(JsonKind::Array),
                ),
                Variant::new(
                    "Picture",
                    Type::named("Picture"),
                    Recognition::Tag { field: "type".into(), value: "picture".into() },
                ),
            ],
        ),
        TypeDef::record("Picture", "A picture", vec![Field::required("data", Type::Bytes)]),
        TypeDef::record("Tick", "A tick", vec![Field::required("at", Type::Unsigned)]),
        TypeDef::record("Tock", "A tock", vec![Field::optional("mood", Type::named("Mood")).nullable()]),
        TypeDef::open_enum("Mood", "A mood", ["good", "bad"]),
        TypeDef::record(
            "Deep",
            "A message with its tag inside",
            vec![
                Field::required("header", Type::named("Header")),
                Field::required("x", Type::Json).nullable(),
            ],
        ),
        TypeDef::record(
            "Header",
            "The place of the tag",
            vec![Field::constant("kind", Type::String, "deep"), Field::required("id", Type::Integer)],
        ),
        TypeDef::record("Ready", "All is ready", vec![Field::required("d", Type::Json)]),
        TypeDef::record("Gone", "All is gone", vec![]),
        TypeDef::record("HelloOp", "A greeting", vec![Field::optional("d", Type::named("Tree"))]),
        TypeDef::record(
            "Tree",
            "A type that holds itself",
            vec![
                Field::optional("left", Type::named("Tree")),
                Field::required("leaves", Type::array(Type::named("Tree"))),
                Field::required("state", Type::named("State")),
            ],
        ),
        TypeDef::closed_enum("State", "A closed list", ["on", "off"]),
        TypeDef::record("Space", "A space", vec![]),
        TypeDef::record("Empty", "No text", vec![]),
        TypeDef::record("Words", "Any text", vec![Field::required("text", Type::String)]),
        TypeDef::record("Done", "The end", vec![Field::optional("why", Type::String).alias("reason")]),
        TypeDef::new("Note", "A note", Shape::Tuple(note)),
        TypeDef::tuple("End", "Nothing follows", vec![]),
        TypeDef::alias("Line", "A line", Type::String),
        TypeDef::alias("Audio", "Sound", Type::Bytes),
    ]
}

/// Tag and id outside, bodies in several layouts.
pub(crate) fn envelope() -> Definition {
    let under = || Layout::Under("payload".into());
    let client = vec![
        MessageFacts::tag("Find", "type", "Find")
            .example("find", json!({"type": "Find", "messageId": "7", "payload": {"collection": "c"}}))
            .reply(Reply::one("Success").error("Failure")),
        MessageFacts::tag("Raw", "type", "Raw").layouts(vec![Layout::Flat, under()]),
    ];
    let server = vec![
        MessageFacts::tag("Success", "type", "Success"),
        MessageFacts::tag("Failure", "type", "Error").layouts(vec![Layout::Flat]),
    ];
    let types = vec![
        TypeDef::record("Find", "A question", vec![Field::required("collection", Type::String)]),
        TypeDef::record("Raw", "A prompt", vec![Field::required("message", Type::String)]),
        TypeDef::record("Success", "An answer", vec![Field::required("data", Type::Json)]),
        TypeDef::record("Failure", "No answer", vec![Field::required("code", Type::Unsigned)]),
    ];
    let mut definition = definition("Enveloped", client, server, types);
    definition.envelope = Some(Envelope {
        tag: "type".into(),
        id: Some(EnvelopeId {
            field: "messageId".into(),
            also: vec![vec!["id".into()], vec!["payload".into(), "messageId".into()]],
        }),
        layouts: vec![under()],
    });
    definition
}

/// The common case: one tag, several bodies. Measured against a hand-written enum in `benches/wire.rs`.
pub(crate) fn tagged() -> Definition {
    let server = vec![
        MessageFacts::tag("Delta", "type", "delta").example("delta", json!({"type": "delta", "text": " and", "seq": 7})),
        MessageFacts::tag("Call", "type", "call").example(
            "call",
            json!({"type": "call", "id": "c-1", "tool": "list", "arguments": {"schema": "mart", "limit": 10}, "seq": 8}),
        ),
        MessageFacts::tag("Answer", "type", "answer").example(
            "answer",
            json!({"type": "answer", "text": "There are two.", "status": "finished", "usage": {"input": 210, "output": 5}, "seq": 9}),
        ),
        MessageFacts::tag("Ping", "type", "ping").example("ping", json!({"type": "ping"})),
    ];
    let seq = || Field::required("seq", Type::Unsigned);
    let types = vec![
        TypeDef::record("Delta", "More text", vec![Field::required("text", Type::String), seq()]),
        TypeDef::record(
            "Call",
            "A call",
            vec![
                Field::required("id", Type::String),
                Field::required("tool", Type::String),
                Field::required("arguments", Type::Json),
                seq(),
            ],
        ),
        TypeDef::record(
            "Answer",
            "An answer",
            vec![
                Field::required("text", Type::String),
                Field::required("status", Type::named("Status")),
                Field::optional("usage", Type::named("Usage")),
                seq(),
            ],
        ),
        TypeDef::record("Ping", "A ping", vec![]),
        TypeDef::record(
            "Usage",
            "What it cost",
            vec![Field::required("input", Type::Unsigned), Field::required("output", Type::Unsigned)],
        ),
        TypeDef::closed_enum("Status", "How it ended", ["finished", "stopped"]),
        TypeDef::record("Say", "A question", vec![Field::required("text", Type::String)]),
    ];
    definition("Tagged", vec![MessageFacts::tag("Say", "type", "say")], server, types)
}

/// Names that no language takes as they are.
pub(crate) fn names() -> Definition {
    let wires = [
        "type",
        "self",
        "Self",
        "crate",
        "2fa",
        "$top",
        "{user-id}",
        "user_id",
        "userId",
        "e",
        "E",
        "",
        "ünï",
        "a b",
        "a\"b",
        "_",
    ];
    let fields = wires.map(|wire| Field::optional(wire, Type::Boolean)).into();
    let types = vec![
        TypeDef::record("String", "Named like a type of the language", fields),
        TypeDef::record(
            "string",
            "The same in lower case",
            vec![Field::required("rest", Type::named("String"))],
        ),
        TypeDef::open_enum(
            "Option",
            "Values from nightmares",
            ["", "Self", "self", "unknown", "1", "-1", "None"],
        ),
        TypeDef::tuple(
            "r#fn",
            "A tuple",
            vec![TupleItem::new("rest", Type::named("Option")), TupleItem::new("1", Type::Json)],
        ),
        TypeDef::record("ClientMessage", "Named like the enum of messages", vec![]),
        TypeDef::record("Bytes", "Named like a helper", vec![Field::required("bytes", Type::Bytes)]),
    ];
    let client = vec![
        MessageFacts::tag("String", "\"", "quote\"d"),
        MessageFacts::tag("string", "\"", "\\"),
        MessageFacts::tag("ClientMessage", "\"", "\n"),
    ];
    definition("{names}", client, vec![], types)
}

fn rest_param(name: &str, place: ParamPlace, required: bool) -> RestParam {
    RestParam {
        name: name.into(),
        place,
        param_type: ParamType::Integer,
        required,
        default: (!required).then(|| "7".into()),
        description: String::new(),
    }
}

/// An API over HTTP with every kind of parameter, body and answer.
pub(crate) fn rest_kinds() -> Definition {
    let item = || Schema::new("item");
    let field =
        |name: &str, kind| FormField { name: name.into(), kind, required: true, description: String::new() };
    let put = |id: &str, request| Endpoint {
        request: Some(request),
        ..Endpoint::new(id, RestMethod::Put, format!("/{id}/{{a}}"), "", ApiResponse::Empty)
    };
    let get = |id: &str, response| Endpoint::new(id, RestMethod::Get, format!("/{id}"), "", response);
    let stream = ApiResponse::Stream { format: StreamFormat::ServerSentEvents, item: item() };
    let files = vec![
        field("one", FormFieldKind::File),
        field("many", FormFieldKind::Files),
        field("data", FormFieldKind::Json(item())),
    ];
    let mut json_body = put("json", ApiRequest::Json(item()));
    json_body.params = vec![
        rest_param("a", ParamPlace::Path, true),
        rest_param("a", ParamPlace::Query, false),
        rest_param("X-A", ParamPlace::Header, false),
        rest_param("a", ParamPlace::Cookie, false),
    ];
    json_body.headers = vec![("x-b".into(), "mine".into()), ("Accept".into(), "text/csv".into())];
    let endpoints = vec![
        json_body,
        put("form", ApiRequest::FormData { fields: files }),
        put("urlencoded", ApiRequest::UrlEncoded { fields: vec![field("word", FormFieldKind::Text)] }),
        put("text", ApiRequest::Text { content_type: "text/csv".into() }),
        put("binary", ApiRequest::Binary { content_type: "audio/mpeg".into() }),
        get("plain", ApiResponse::Text),
        get("bytes", ApiResponse::Binary),
        get("events", stream),
        get("lines", ApiResponse::Stream { format: StreamFormat::JsonLines, item: item() }),
        paged("numbered", Pagination::PageNumber { param: "page".into(), items: vec!["items".into()] }),
        paged(
            "skipped",
            Pagination::OffsetLimit {
                offset: "page".into(),
                limit: "limit".into(),
                items: vec!["items".into()],
            },
        ),
        Endpoint {
            params: vec![],
            pagination: Some(Pagination::LinkHeader { items: vec![] }),
            ..get("linked", ApiResponse::Json(Schema::new("Items")))
        },
        several(),
        Endpoint::new("peek", RestMethod::Head, "/plain", "Whether it is there", ApiResponse::Empty),
    ];
    Definition::new("RestKinds", "A sample")
        .with_rest(RestApi {
            name: "RestKinds".into(),
            description: "A sample".into(),
            base_url: "https://example.com".into(),
            headers: vec![("X-B".into(), "api".into())],
            auth: AuthStrategy::Basic,
            env_auth: vec!["REST_KINDS_PASSWORD".into()],
            env_username: Some("REST_KINDS_USER".into()),
            endpoints,
            ..RestApi::default()
        })
        .with_types([
            TypeDef::alias("Items", "A list", Type::array(Type::named("item"))),
            TypeDef::record("Page", "A part of a list", vec![Field::required("items", Type::named("Items"))]),
            TypeDef::record("item", "An item", vec![Field::required("pair", Type::named("Pair"))]),
            TypeDef::tuple(
                "Pair",
                "Two",
                vec![TupleItem::new("x", Type::Integer), TupleItem::new("y", Type::String)],
            ),
        ])
}

/// A list in pages of [`rest_kinds`].
fn paged(id: &str, pagination: Pagination) -> Endpoint {
    let query =
        |name: &str, required| RestParam { default: None, ..rest_param(name, ParamPlace::Query, required) };
    Endpoint {
        params: vec![query("page", false), query("limit", true)],
        pagination: Some(pagination),
        ..Endpoint::new(id, RestMethod::Get, format!("/{id}"), "", ApiResponse::Json(Schema::new("Page")))
    }
}

/// An endpoint of [`rest_kinds`] with several answers and several errors.
fn several() -> Endpoint {
    let status = |status, body| StatusResponse { status, description: String::new(), body };
    let answers = vec![
        status(200, ApiResponse::Json(Schema::new("item"))),
        status(202, ApiResponse::Stream { format: StreamFormat::JsonLines, item: Schema::new("item") }),
        status(204, ApiResponse::Empty),
        status(404, ApiResponse::Text),
        status(409, ApiResponse::Json(Schema::new("item"))),
        status(410, ApiResponse::Empty),
        status(418, ApiResponse::Binary),
    ];
    Endpoint::new("several", RestMethod::Post, "/several", "Several answers", ApiResponse::PerStatus(answers))
}

/// An API over HTTP with names that no language takes as they are.
pub(crate) fn rest_names() -> Definition {
    let ids = ["new", "delete", "fn", "self", "2fa", "List", "list", "list_all", "{x}", "constructor"];
    let names = ["type", "self", "in", "params", "body", "call", "user-id", "user_id", "\"", "*/"];
    let path: String = ["type", "self", "params", "user-id"].map(|name| format!("/{{{name}}}")).concat();
    let query = |name: &&str| RestParam { default: None, ..rest_param(name, ParamPlace::Query, false) };
    let field = |name: &&str| FormField {
        name: (*name).into(),
        kind: FormFieldKind::Text,
        required: false,
        description: "*/ \"".into(),
    };
    let failure = StatusResponse { status: 400, description: "*/ \"".into(), body: ApiResponse::Empty };
    let endpoint = |id: &str| Endpoint {
        params: names.iter().map(query).collect(),
        request: Some(ApiRequest::UrlEncoded { fields: names.iter().map(field).collect() }),
        ..Endpoint::new(
            id,
            RestMethod::Post,
            format!("/{}{path}", id.replace(['{', '}'], "")),
            "*/ \"",
            ApiResponse::PerStatus(vec![failure.clone()]),
        )
    };
    let mut endpoints: Vec<Endpoint> = ids.map(endpoint).into();
    // Errors that differ have types of their own.
    endpoints[0].response = ApiResponse::PerStatus(vec![StatusResponse { status: 404, ..failure.clone() }]);
    Definition::new("rest", "Named like the runtime").with_rest(RestApi {
        name: "String".into(),
        description: "*/".into(),
        base_url: "https://example.com".into(),
        endpoints,
        ..RestApi::default()
    })
}
