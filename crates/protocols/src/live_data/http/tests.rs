use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidewire_engine::query::{Query, Record};
use tidewire_engine::{Code, Command, Detail, Error, Identity, Offset, RecordId, Reply, Timestamp};

use super::*;

/// A request to an endpoint of these path and query parameters.
struct Asked<'a> {
    id: &'a str,
    params: &'a [(&'a str, &'a str)],
    query: &'a [(&'a str, &'a str)],
    content: Format,
    accept: Format,
    body: Vec<u8>,
}

fn asked<'a>(id: &'a str, params: &'a [(&'a str, &'a str)], body: &Value) -> Asked<'a> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Asked { id, params, query: &[], content: Format::Json, accept: Format::Json, body }
}

impl Asked<'_> {
    fn packed(mut self) -> Self {
        self.content = Format::MessagePack;
        self.body = pack::from_json(&self.body).unwrap();
        self
    }

    fn call(&self) -> Result<Box<dyn Call>> {
        let route = ROUTES.iter().find(|route| route.id == self.id).unwrap();
        let query: Vec<_> =
            self.query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        route.call(&Request {
            params: self.params,
            query: &query,
            content: self.content,
            accept: self.accept,
            body: &self.body,
            last_event_id: None,
            identity: &Identity::local(),
            switches: &Switches::default(),
            now: Instant::now(),
        })
    }

    fn command(&self) -> Result<Command> {
        match self.call()?.begin()? {
            Next::Execute(command) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self) -> Error {
        self.call().map(|_| ()).expect_err("it is wrong")
    }

    /// The answer to one reply.
    fn answer(&self, reply: Reply) -> Answer {
        let mut call = self.call().unwrap();
        assert!(matches!(call.begin().unwrap(), Next::Execute(_)));
        match call.reply(Ok(reply), Instant::now(), &mut Vec::new()).unwrap() {
            Next::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn record(body: Value) -> Record {
    let Value::Object(body) = body else { panic!("{body}") };
    let at = Timestamp(0);
    Record {
        id: RecordId("r1".into()),
        body,
        version: Offset(1),
        created_at: at,
        updated_at: at,
        expires_at: None,
    }
}

#[test]
fn the_routes_are_those_of_the_definition() {
    use schematic_define::prelude::{ApiResponse, RestMethod};
    const OWN: [&str; 5] = ["GetToken", "Health", "RegisterKey", "ListKeys", "DeleteKey"];
    let definition = tidewire_definitions::live_data::definition();
    let mut defined: Vec<_> = definition
        .rest
        .iter()
        .flat_map(|api| &api.endpoints)
        .filter(|endpoint| !OWN.contains(&endpoint.id.as_str()))
        .filter(|endpoint| !endpoint.path.starts_with("/api/auth/keys/{key}/permissions"))
        .map(|endpoint| {
            let method = match endpoint.method {
                RestMethod::Get => Method::Get,
                RestMethod::Post => Method::Post,
                RestMethod::Put => Method::Put,
                RestMethod::Patch => Method::Patch,
                RestMethod::Delete => Method::Delete,
                other => panic!("{other:?}"),
            };
            let missing = match &endpoint.response {
                ApiResponse::PerStatus(answers) if answers[0].status == 501 => {
                    Some(answers[0].description.clone())
                }
                _ => None,
            };
            (endpoint.id.clone(), method, endpoint.path.clone(), missing)
        })
        .collect();
    let mut served: Vec<_> = ROUTES
        .iter()
        .map(|route| {
            let missing = route.check_built().err().map(|error| error.message.into_owned());
            (route.id.to_owned(), route.method, route.path.to_owned(), missing)
        })
        .collect();
    defined.sort_by(|a, b| a.0.cmp(&b.0));
    served.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(served, defined);
}

#[test]
fn batches_are_read_as_objects_and_as_arrays() {
    let params = &[("collection", "c")];
    let named = json!({"inserts": [{"data": {"id": "a", "x": 1}, "bypass_ripple": null}]});
    let first = asked("BatchInsertRecords", params, &named).command().unwrap();
    assert!(
        matches!(&first, Command::Edit { collection, edits, together: false } if collection == "c" && edits.len() == 1)
    );
    for body in [json!([[[{"id": "a", "x": 1}, null]]]), json!([[[{"id": "a", "x": 1}]], true])] {
        assert_eq!(asked("BatchInsertRecords", params, &body).packed().command().unwrap(), first);
    }
    let update = json!([[["a", {"x": 1}, null], ["b", {"x": 2}, false]]]);
    let command = asked("BatchUpdateRecords", params, &update).packed().command().unwrap();
    assert!(matches!(command, Command::Edit { edits, .. } if edits.len() == 2));
    let delete = json!([[["a", null], ["b"]]]);
    let command = asked("BatchDeleteRecords", params, &delete).packed().command().unwrap();
    assert!(matches!(command, Command::Edit { edits, .. } if edits.len() == 2));
}

#[test]
fn a_wrong_number_of_elements_is_named() {
    let params = &[("collection", "c"), ("id", "a"), ("action", "increment")];
    for (id, body, sentence) in [
        (
            "BatchInsertRecords",
            json!([]),
            "an array has 0 elements where 1 to 2 are wanted: inserts, bypass_ripple",
        ),
        ("BatchInsertRecords", json!([[[]]]), "an array has 0 elements where 1 to 2 are wanted: data"),
        ("BatchUpdateRecords", json!([[["a"]]]), "an array has 1 elements where 2 to 3 are wanted: id, data"),
        ("BatchInsertRecords", json!([7]), "a batch is an object whose member inserts is an array"),
        ("ActOnRecord", json!(["a", 1, 2]), "an array has 3 elements where 1 to 2 are wanted: field, value"),
        ("ActOnRecordInSequence", json!([["push"]]), "an array has 1 elements where 2 to 3"),
        ("ActOnRecordInSequence", json!([]), "at least one action"),
    ] {
        let error = asked(id, params, &body).packed().refused();
        assert!(error.message.contains(sentence), "{id}: {}", error.message);
        assert_eq!(error.code, Code::Invalid);
    }
}

#[test]
fn bodies_that_are_no_messagepack_are_refused_with_a_sentence() {
    let params = &[("collection", "c")];
    for (bytes, sentence) in [
        (&[0xc1][..], "the body is not MessagePack"),
        (&[0x81, 0xa1, b'a'], "the body is not MessagePack"),
        (&[0x81, 0xa1, b'a', 7, 0xc0], "1 bytes follow the body's value"),
    ] {
        let mut asked = asked("InsertRecord", params, &Value::Null);
        (asked.content, asked.body) = (Format::MessagePack, bytes.to_vec());
        let error = asked.refused();
        assert!(error.message.contains(sentence), "{}", error.message);
        assert!(!error.message.contains("frame"), "{}", error.message);
    }
}

#[test]
fn a_transaction_is_refused_before_anything_is_written() {
    let params = &[("collection", "c"), ("id", "a")];
    for id in
        ["InsertRecord", "UpdateRecord", "DeleteRecord", "FindRecord", "FindRecords", "BatchDeleteRecords"]
    {
        let query = [("transaction_id", "t1"), ("bypass_ripple", "true")];
        let request = Asked { query: &query, ..asked(id, params, &json!({"deletes": []})) };
        assert_eq!(request.refused().code, Code::Unimplemented, "{id}");
    }
}

#[test]
fn finding_without_a_limit_finds_everything() {
    let nulls = json!({"limit": null, "select_fields": [], "exclude_fields": null, "bypass_cache": null});
    let params = &[("collection", "c")];
    for body in [nulls, json!({}), Value::Null] {
        let command = asked("FindRecords", params, &body).command().unwrap();
        assert_eq!(command, Command::Query(Query::all("c", usize::MAX)));
    }
}

#[test]
fn answers_are_packed_when_that_is_asked_for() {
    let params = &[("collection", "c"), ("id", "r1")];
    let request = Asked { accept: Format::MessagePack, ..asked("DeleteRecord", params, &Value::Null) };
    let answer = request.answer(Reply::Edited(vec![Ok(record(json!({"name": "x"})))]));
    let read: Value = rmp_serde::from_slice(&answer.body).unwrap();
    assert_eq!(read, json!({"id": "r1", "name": {"type": "String", "value": "x"}}));
}

#[test]
fn the_query_selects_members_of_an_updated_record() {
    let params = &[("collection", "c"), ("id", "r1")];
    let query = [("select_fields", "a,b"), ("exclude_fields", "b")];
    let request = Asked { query: &query, ..asked("UpdateRecord", params, &json!({"a": 1})) };
    let answer = request.answer(Reply::Edited(vec![Ok(record(json!({"a": 1, "b": 2, "c": 3})))]));
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read, json!({"id": "r1", "a": {"type": "Integer", "value": 1}}));
}

fn search(body: Value) -> Result<tidewire_engine::query::Search> {
    match asked("SearchRecords", &[("collection", "c")], &body).command()? {
        Command::Search(search) => Ok(search),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_and_weights_are_read_in_every_spelling() {
    let of = |body| search(body).unwrap().text.unwrap().fields;
    let expected = vec![("a".to_owned(), 2.0), ("b".to_owned(), 1.0)];
    for body in [
        json!({"query": "x", "fields": "a, b", "weights": "a:2.0"}),
        json!({"query": "x", "fields": ["a", "b"], "weights": {"a": 2}}),
        json!({"query": "x", "fields": {"a": 2, "b": 1}}),
        json!({"query": "x", "fields": null, "weights": "a:2,b:1"}),
        json!({"query": "x", "weights": ["a:2", "b:1"]}),
    ] {
        assert_eq!(of(body.clone()), expected, "{body}");
    }
    assert_eq!(of(json!({"query": "x"})), vec![]);
    for bad in [json!(7), json!([1]), json!({"a": "much"}), json!("a:much")] {
        let error = search(json!({"query": "x", "weights": bad})).unwrap_err();
        assert_eq!(error.detail, Detail::Field("weights".into()));
    }
}

#[test]
fn fuzzy_searches_allow_edits() {
    let edits = |body| search(body).map(|search| search.text.unwrap().max_edits);
    assert_eq!(edits(json!({"query": "x"})).unwrap(), 0);
    assert_eq!(edits(json!({"query": "x", "fuzzy": true})).unwrap(), 2);
    assert_eq!(edits(json!({"query": "x", "fuzzy": true, "max_edit_distance": 1})).unwrap(), 1);
    assert_eq!(edits(json!({"query": "x", "max_edit_distance": 5})).unwrap(), 5);
    assert_eq!(edits(json!({"query": "x", "fuzzy": false, "max_edit_distance": 5})).unwrap(), 0);
    assert_eq!(edits(json!({"query": "x", "max_edit_distance": 6})).unwrap_err().code, Code::Invalid);
}

#[test]
fn a_search_is_by_words_by_nearness_or_by_both() {
    let vector = || json!([0.5, 1]);
    let by = |body| search(body).map(|search| (search.text.is_some(), search.vector));
    let (words, near) =
        by(json!({"query": "", "vector": vector(), "limit": 3, "vector_metric": "DotProduct"})).unwrap();
    let near = near.unwrap();
    assert!(!words);
    assert_eq!((near.field.as_str(), near.vector, near.k), ("embedding", vec![0.5, 1.0], 3));
    assert_eq!(near.metric, Some(tidewire_engine::schema::Metric::DotProduct));
    let (words, near) = by(json!({"query": "x", "vector": vector(), "vector_field": "v"})).unwrap();
    assert!(words && near.unwrap().field == "v");
    for nothing in [json!({}), json!({"query": " ", "vector": []})] {
        assert_eq!(by(nothing).unwrap_err().code, Code::Invalid);
    }
}

#[test]
fn keys_and_values_go_together() {
    let body = json!({"keys": ["a", "b"], "values": [{"x": 1}]});
    assert!(asked("KvBatchSet", &[], &body).refused().message.contains("2 keys and 1 values"));
    let body = json!({"keys": ["a"], "values": [{"x": 1}], "ttl": "90s"});
    let Command::KvSet { pairs, ttl_s } = asked("KvBatchSet", &[], &body).command().unwrap() else {
        panic!()
    };
    assert_eq!((pairs.len(), ttl_s), (1, Some(90)));
    let answer = asked("KvBatchGet", &[], &json!({"keys": ["a", "b", "c"]})).answer(Reply::KvValues(vec![
        Some(json!({"x": 1})),
        None,
        Some(json!(7)),
    ]));
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read, json!([{"x": 1}, {}, {"value": 7}]));
}

#[test]
fn a_tool_that_failed_is_an_answer() {
    let request = asked("ExecuteTool", &[], &json!({"tool": "nonsense"}));
    let mut call = request.call().unwrap();
    assert!(matches!(call.begin().unwrap(), Next::Execute(Command::CallTool { .. })));
    let next = call.reply(Err(Error::not_found("there is no such tool")), Instant::now(), &mut Vec::new());
    let Next::Answer(answer) = next.unwrap() else { panic!("it is an answer") };
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read, json!({"success": false, "error": "there is no such tool"}));
    let mut call = request.call().unwrap();
    call.begin().unwrap();
    let error = call.reply(Err(Error::forbidden("no")), Instant::now(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.code, Code::Forbidden);
}

#[test]
fn a_completion_is_streamed_and_its_failure_too() {
    let request = asked("StreamCompletion", &[], &json!({"system_prompt": "", "message": "hi"}));
    let mut call = request.call().unwrap();
    call.begin().unwrap();
    let mut out = Vec::new();
    call.event(&Event::Completion { stream: 1, text: "two\nlines".into() }, &mut out).unwrap();
    assert_eq!(out, b"data: {\"token\":\"two\\nlines\"}\n\n");
    out.clear();
    call.failed(&Error::upstream("the model is gone"), &mut out);
    let text = String::from_utf8(out).unwrap();
    let data = text.strip_prefix("event: error\ndata: ").unwrap().trim_end();
    let error: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&error["error"], &error["code"]), (&json!("the model is gone"), &json!(502)));
    assert_eq!(error["error_kind"], "provider_unavailable");
}

#[test]
fn a_subscription_filters_text_that_may_be_a_number() {
    let params = &[("collection", "c")];
    let query = [("filter_field", "age"), ("filter_value", "42"), ("after_offset", "7")];
    let request = Asked { query: &query, ..asked("SubscribeToRecords", params, &Value::Null) };
    let Command::Watch { filter, after, .. } = request.command().unwrap() else { panic!("it is a watch") };
    use tidewire_engine::query::Filter;
    assert_eq!(filter, Some(Filter::Or(vec![Filter::eq("age", "42"), Filter::eq("age", 42)])));
    assert_eq!(after, Some(Offset(7)));
    for query in [[("filter_field", "a")], [("after_offset", "x")]] {
        let request = Asked { query: &query, ..asked("SubscribeToRecords", params, &Value::Null) };
        assert_eq!(request.refused().code, Code::Invalid);
    }
}

/// The names of all parameters, of paths and of queries.
const PARAMS: [&str; 8] = ["collection", "id", "chat_id", "message_id", "key", "field", "action", "provider"];
const QUERY: [&str; 10] = [
    "limit",
    "skip",
    "sort",
    "after_offset",
    "filter_field",
    "filter_value",
    "select_fields",
    "exclude_fields",
    "transaction_id",
    "other",
];

fn any_word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_.-]{0,8}",
        ".{0,12}",
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("f".repeat(32)),
    ]
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let members = [
        "collection",
        "filter",
        "limit",
        "sort",
        "query",
        "vector",
        "vector_field",
        "k",
        "records",
        "inserts",
        "data",
        "ttl",
        "updates",
        "ids",
        "keys",
        "value",
        "pattern",
        "message",
        "messages",
        "chat_ids",
        "fields",
        "text",
        "texts",
        "name",
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([1.5, -1])),
        Just(json!([{"data": {"a": 1}, "id": "x"}])),
        Just(json!({"type": "Condition", "content": {"field": "a", "operator": "Eq", "value": 1}})),
    ];
    let object = proptest::collection::vec((proptest::sample::select(members.to_vec()), value), 0..6)
        .prop_map(|members| {
            let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(members.collect()).to_string().into_bytes()
        });
    let packed = object.clone().prop_map(|json| pack::from_json(&json).unwrap());
    prop_oneof![6 => object, 2 => packed, 1 => proptest::collection::vec(any::<u8>(), 0..60), 1 => Just(Vec::new())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever an address, a query and a body say, the request begins or one sentence says what is wrong with it.
    #[test]
    fn any_request_begins_or_is_refused_in_a_sentence(
        route in 0..ROUTES.len(),
        params in proptest::collection::vec(any_word(), PARAMS.len()),
        query in proptest::collection::vec((proptest::sample::select(QUERY.to_vec()), any_word()), 0..4),
        body in any_body(),
        (content, accept) in any::<(bool, bool)>(),
        last_event_id in proptest::option::of(any_word()),
    ) {
        let format = |packed| if packed { Format::MessagePack } else { Format::Json };
        let params: Vec<(&str, &str)> = PARAMS.into_iter().zip(params.iter().map(String::as_str)).collect();
        let query: Vec<(String, String)> = query.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let started = ROUTES[route].call(&Request {
            params: &params,
            query: &query,
            content: format(content),
            accept: format(accept),
            body: &body,
            last_event_id: last_event_id.as_deref(),
            identity: &Identity::local(),
            switches: &Switches::default(),
            now: Instant::now(),
        });
        if let Err(error) = started.and_then(|mut call| call.begin()) {
            prop_assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
            prop_assert!(error.message.len() < 2_000, "{error:?}");
        }
    }
}
