//! Collections and schemas.

use serde_json::{Value, json};

use super::Api;
use crate::house::House;

#[tokio::test]
async fn a_collection_is_made_described_changed_and_dropped() {
    let house = House::open().await;
    let api = Api::of(&house);
    let schema = json!({
        "fields": {
            "email": {"field_type": "string", "unique": true, "required": true, "regex": "@"},
            "age": {"field_type": "Integer", "unique": false, "required": false, "min": 0, "index": {"type": "btree"}},
        },
        "version": 1, "created_at": "2026-01-01T00:00:00Z", "last_modified": "2026-01-01T00:00:00Z", "bypass_ripple": true,
    });
    assert_eq!(api.done("POST", "/api/collections/people", schema.clone()).await["status"], "success");
    api.refused(409, "POST", "/api/collections/people", schema).await;
    let read = api.done("GET", "/api/schemas/people", Value::Null).await;
    assert_eq!(read["fields"]["email"]["field_type"], "String");
    assert_eq!((&read["primary_key_alias"], &read["fields"]["age"]["min"]), (&json!("id"), &json!(0)));
    let version = read["version"].as_u64().unwrap();

    api.done("POST", "/api/insert/people", json!({"email": "a@b", "age": 3})).await;
    let sentence = api.refused(400, "POST", "/api/insert/people", json!({"age": -1})).await;
    assert!(sentence.contains("email") && sentence.contains("age"), "every member is named: {sentence}");
    api.refused(409, "POST", "/api/insert/people", json!({"email": "a@b"})).await;

    let change = json!({"constraints": {"age": {"max": 150.0}}});
    let changed = api.done("PUT", "/api/schemas/people", change).await;
    assert!(changed["version"].as_u64().unwrap() > version);
    assert_eq!(changed["fields"]["age"]["min"], 0);
    api.refused(400, "POST", "/api/insert/people", json!({"email": "c@d", "age": 151})).await;
    api.refused(400, "PUT", "/api/schemas/people", json!({"constraints": {}})).await;

    let report = api.done("GET", "/api/collections/people", Value::Null).await;
    assert_eq!(report["collection"]["fields"]["email"]["unique"], true);
    assert_eq!(report["analytics"]["record_count"], 1);
    assert_eq!(
        api.done("GET", "/api/collections?exclude_internal=true", Value::Null).await,
        json!({"collections": ["people"]})
    );
    api.done("DELETE", "/api/collections/people", Value::Null).await;
    assert_eq!(api.done("GET", "/api/collections", Value::Null).await, json!({"collections": []}));
    api.refused(404, "GET", "/api/collections/people", Value::Null).await;
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused_and_no_schema_is_none() {
    let house = House::open().await;
    let api = Api::of(&house);
    let sentence = api
        .refused(400, "POST", "/api/collections/c", json!({"fields": {"a": {"field_type": "Money"}}}))
        .await;
    assert!(sentence.contains("is no type"), "{sentence}");
    api.refused(400, "POST", "/api/collections/9%20lives", json!({})).await;
    api.done("POST", "/api/collections/c", json!({"fields": {}})).await;
    assert_eq!(api.done("GET", "/api/schemas/c", Value::Null).await["fields"], json!({}));
    api.refused(404, "GET", "/api/schemas/nothing", Value::Null).await;
}
