//! Records one by one and in batches, in JSON and in MessagePack.

use serde_json::{Value, json};

use super::{Api, check_error};
use crate::house::House;

fn typed(kind: &str, value: impl Into<Value>) -> Value {
    json!({"type": kind, "value": value.into()})
}

#[tokio::test]
async fn a_record_is_written_read_changed_and_removed() {
    let house = House::open().await;
    let api = Api::of(&house);
    let inserted = api
        .done(
            "POST",
            "/api/insert/people?bypass_ripple=true&bypass_cache=false",
            json!({"id": "ann", "name": "Ann", "age": 41}),
        )
        .await;
    assert_eq!(inserted, json!({"id": "ann"}));
    let ann = json!({"id": "ann", "name": typed("String", "Ann"), "age": typed("Integer", 41)});
    assert_eq!(api.done("GET", "/api/find/people/ann", Value::Null).await, ann);
    assert_eq!(
        api.done("GET", "/api/find/people/ann?select_fields=age", Value::Null).await,
        json!({"id": "ann", "age": typed("Integer", 41)})
    );
    let updated = api.done("PUT", "/api/update/people/ann", json!({"age": 42})).await;
    assert_eq!(updated, json!({"id": "ann", "name": typed("String", "Ann"), "age": typed("Integer", 42)}));
    let some = api.done("PUT", "/api/update/people/ann?exclude_fields=name", json!({"age": 43})).await;
    assert_eq!(some, json!({"id": "ann", "age": typed("Integer", 43)}));
    let deleted = api.done("DELETE", "/api/delete/people/ann", Value::Null).await;
    assert_eq!(deleted["age"], typed("Integer", 43));
    for (method, path, body) in [
        ("GET", "/api/find/people/ann", Value::Null),
        ("PUT", "/api/update/people/ann", json!({"age": 1})),
        ("DELETE", "/api/delete/people/ann", Value::Null),
    ] {
        api.refused(404, method, path, body).await;
    }
}

#[tokio::test]
async fn a_taken_id_is_a_conflict_and_a_transaction_is_not_built() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/c", json!({"id": "a"})).await;
    api.refused(409, "POST", "/api/insert/c", json!({"id": "a"})).await;
    let sentence = api.refused(501, "POST", "/api/insert/c?transaction_id=t", json!({"id": "b"})).await;
    assert!(sentence.contains("transactions are not built"), "{sentence}");
    api.refused(404, "GET", "/api/find/c/b", Value::Null).await;
}

#[tokio::test]
async fn records_are_found_by_filters_in_an_order() {
    let house = House::open().await;
    let api = Api::of(&house);
    assert_eq!(api.done("POST", "/api/find/people", json!({})).await, json!([]));
    for (name, age) in [("ann", 41), ("bob", 17), ("cyd", 63)] {
        api.done("POST", "/api/insert/people", json!({"id": name, "name": name, "age": age})).await;
    }
    let grown = json!({"type": "Condition", "content": {"field": "age", "operator": "Gte", "value": 18}});
    let find = json!({
        "filter": grown, "sort": [{"field": "age", "ascending": false}], "limit": null,
        "bypass_cache": null, "select_fields": ["name"], "exclude_fields": null,
    });
    let found = api.done("POST", "/api/find/people", find).await;
    let expected = json!([
        {"id": "cyd", "name": typed("String", "cyd")}, {"id": "ann", "name": typed("String", "ann")},
    ]);
    assert_eq!(found, expected);
    let page = api
        .done("POST", "/api/find/people", json!({"limit": 1, "skip": 1, "sort": [{"field": "name"}]}))
        .await;
    assert_eq!(page[0]["id"], "bob");
    let unfit = json!({"filter": {"type": "Condition", "content": {"field": "age", "operator": "Near"}}});
    let sentence = api.refused(400, "POST", "/api/find/people", unfit).await;
    assert!(sentence.contains("is no operator"), "{sentence}");
}

#[tokio::test]
async fn records_of_another_collection_are_joined() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/people", json!({"id": "ann", "city": "lyon"})).await;
    api.done("POST", "/api/insert/cities", json!({"id": "lyon", "land": "France"})).await;
    let join =
        json!({"collections": ["cities"], "local_field": "city", "foreign_field": "id", "as_field": "where"});
    let found = api.done("POST", "/api/find/people", json!({ "join": join })).await;
    let place = &found[0]["where"]["value"][0];
    assert_eq!(place["id"], "lyon");
    assert!(place["land"] == "France" || place["land"]["value"] == "France", "{found}");
}

#[tokio::test]
async fn members_change_by_what_they_are() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/c", json!({"id": "a", "n": 1, "list": [1]})).await;
    let done = api.done("PUT", "/api/update/c/a/action/increment", json!({"field": "n", "value": 4})).await;
    assert_eq!(done["n"], typed("Integer", 5));
    let (status, done) = api.packed("PUT", "/api/update/c/a/action/push", &json!(["list", 2])).await;
    assert_eq!((status, &done["list"]), (200, &typed("Array", json!([1, 2]))));
    let steps = json!([["multiply", "n", 2], ["pop", "list", null], ["shift", "list"]]);
    let done = api.done("PUT", "/api/update/sequence/c/a", steps.clone()).await;
    assert_eq!((&done["n"], &done["list"]), (&typed("Integer", 10), &typed("Array", json!([]))));
    let (status, done) = api.packed("PUT", "/api/update/sequence/c/a", &json!([["increment", "n", 1]])).await;
    assert_eq!((status, &done["n"]), (200, &typed("Integer", 11)));
    api.refused(404, "PUT", "/api/update/c/nobody/action/increment", json!({"field": "n", "value": 1})).await;
    let sentence = api.refused(400, "PUT", "/api/update/c/a/action/explode", json!({"field": "n"})).await;
    assert!(sentence.contains("is no action"), "{sentence}");
    api.refused(400, "PUT", "/api/update/sequence/c/a", json!([["increment", "n", 1], ["push", "n", 1]]))
        .await;
    assert_eq!(api.done("GET", "/api/find/c/a", Value::Null).await["n"], typed("Integer", 11));
}

#[tokio::test]
async fn messagepack_is_understood_and_answered() {
    let house = House::open().await;
    let api = Api::of(&house);
    let record = json!({"id": "a", "name": "Ann", "nested": {"list": [1, 2.5, null, true]}});
    assert_eq!(api.packed("POST", "/api/insert/c", &record).await, (200, json!({"id": "a"})));
    let (status, updated) = api.packed("PUT", "/api/update/c/a", &json!({"name": "Bea"})).await;
    assert_eq!((status, &updated["name"]), (200, &typed("String", "Bea")));
    assert_eq!(updated["nested"], typed("Object", json!({"list": [1, 2.5, null, true]})));
    let (status, deleted) = api.packed("DELETE", "/api/delete/c/a", &Value::Null).await;
    assert_eq!((status, deleted["name"] == typed("String", "Bea")), (200, true));
    let (status, error) = api.packed("DELETE", "/api/delete/c/a", &Value::Null).await;
    check_error(404, status, &error);
}

/// Sixteen bytes are a UUID, which is text here; clients cannot read `bin`.
#[tokio::test]
async fn bytes_in_messagepack_come_back_as_text() {
    let house = House::open().await;
    let api = Api::of(&house);
    let mut body = vec![0x82, 0xa2, b'i', b'd', 0xa1, b'a', 0xa1, b'u', 0xc4, 16];
    body.extend((0..16).map(|byte| byte * 17));
    let request = api.request("POST", "/api/insert/c").header("content-type", "application/msgpack");
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    let (_, found) = api.packed("GET", "/api/find/c/a", &Value::Null).await;
    assert_eq!(found["u"], typed("String", "00112233-4455-6677-8899-aabbccddeeff"));
}

#[tokio::test]
async fn a_batch_says_for_each_record_what_became_of_it() {
    let house = House::open().await;
    let api = Api::of(&house);
    let inserts = json!({"inserts": [{"data": {"id": "a", "n": 1}}, {"data": {"id": "a"}, "bypass_ripple": true}, {"data": {"id": "b"}}]});
    let done = api.done("POST", "/api/batch/insert/c", inserts).await;
    assert_eq!(done["successful"], json!(["a", "b"]));
    let failed = &done["failed"][0];
    assert_eq!((&failed["id"], &failed["index"], &failed["code"]), (&json!("a"), &json!(1), &json!(409)));

    let updates = json!([[["a", {"n": 2}, null], ["nobody", {"n": 2}, null]]]);
    let (status, done) = api.packed("PUT", "/api/batch/update/c", &updates).await;
    assert_eq!((status, &done["successful"]), (200, &json!(["a"])));
    assert_eq!((&done["failed"][0]["id"], &done["failed"][0]["code"]), (&json!("nobody"), &json!(404)));
    assert_eq!(api.done("GET", "/api/find/c/a", Value::Null).await["n"], typed("Integer", 2));

    let (status, done) =
        api.packed("POST", "/api/batch/insert/c", &json!([[[{"id": "c", "x": 1}, null]]])).await;
    assert_eq!((status, done), (200, json!({"successful": ["c"], "failed": []})));
    let (status, done) =
        api.packed("DELETE", "/api/batch/delete/c", &json!([[["a", null], ["b", null]]])).await;
    assert_eq!((status, done), (200, json!({"successful": ["a", "b"], "failed": []})));
    let done =
        api.done("DELETE", "/api/batch/delete/c", json!({"deletes": [{"id": "c"}, {"id": "c"}]})).await;
    assert_eq!((&done["successful"], &done["failed"][0]["code"]), (&json!(["c"]), &json!(404)));
    assert_eq!(api.done("POST", "/api/find/c", json!({})).await, json!([]));
}

#[tokio::test]
async fn values_of_a_member_are_listed_once_each() {
    let house = House::open().await;
    let api = Api::of(&house);
    for (id, city) in [("a", "Rome"), ("b", "Lyon"), ("c", "Rome")] {
        api.done("POST", "/api/insert/people", json!({"id": id, "city": city})).await;
    }
    let values =
        api.done("POST", "/api/distinct/people/city", json!({"filter": null, "bypass_ripple": null})).await;
    let expected = json!({"collection": "people", "field": "city", "values": ["Lyon", "Rome"], "count": 2});
    assert_eq!(values, expected);
    api.refused(400, "POST", "/api/distinct/people/city", json!({"filter": 7})).await;
}

#[tokio::test]
async fn plain_values_are_a_switch_that_takes_an_admin() {
    let house = House::with(|plan| plan.config.api_keys = vec![crate::house::KEY.into()]).await;
    let api = Api::with_key(&house, crate::house::KEY);
    api.done("POST", "/api/insert/c", json!({"id": "a", "n": 1})).await;
    assert_eq!(api.done("GET", "/api/config", Value::Null).await, json!({"use_typed_values": true}));
    let changed = api.done("PUT", "/api/config", json!({"use_typed_values": false})).await;
    assert_eq!(changed, json!({"status": "success", "use_typed_values": false}));
    assert_eq!(api.done("GET", "/api/find/c/a", Value::Null).await, json!({"id": "a", "n": 1}));

    let reader = json!({"collection_permissions": {"c": ["read"]}});
    let made = api.done("POST", "/api/auth/register", reader).await;
    let reader = Api::with_key(&house, made["key"].as_str().unwrap());
    reader.refused(403, "PUT", "/api/config", json!({"use_typed_values": true})).await;
    reader.done("GET", "/api/find/c/a", Value::Null).await;
    reader.refused(403, "POST", "/api/insert/c", json!({})).await;
    reader.refused(403, "POST", "/api/find/other", json!({})).await;
    Api::of(&house).refused(401, "GET", "/api/find/c/a", Value::Null).await;
}

#[tokio::test]
async fn a_time_to_live_is_read_as_the_moment_of_the_end() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/c", json!({"id": "a", "ttl": "1h"})).await;
    let ttl = api.done("GET", "/api/find/c/a", Value::Null).await["ttl"].as_str().unwrap().to_owned();
    assert!(tidewire_engine::Timestamp::from_rfc3339(&ttl).is_some(), "{ttl}");
    let sentence = api.refused(400, "POST", "/api/insert/c", json!({"ttl": "soon"})).await;
    assert!(sentence.contains("ttl takes seconds"), "{sentence}");
}
