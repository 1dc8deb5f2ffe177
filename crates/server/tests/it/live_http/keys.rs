//! Keys and values.

use serde_json::{Value, json};

use super::Api;
use crate::house::House;

#[tokio::test]
async fn a_value_is_set_read_and_removed() {
    let house = House::open().await;
    let api = Api::of(&house);
    assert_eq!(
        api.done("POST", "/api/kv/set/a%2Fb", json!({"value": {"x": 1}, "ttl": "1h"})).await["status"],
        "success"
    );
    assert_eq!(
        api.done("GET", "/api/kv/get/a%2Fb", Value::Null).await,
        json!({"value": {"type": "Object", "value": {"x": 1}}})
    );
    api.done("POST", "/api/kv/set/n", json!({"value": 7})).await;
    assert_eq!(api.done("GET", "/api/kv/get/n", Value::Null).await["value"]["value"], 7);
    api.done("DELETE", "/api/kv/delete/n", Value::Null).await;
    api.refused(404, "GET", "/api/kv/get/n", Value::Null).await;
    api.refused(400, "POST", "/api/kv/set/n", json!({"ttl": 7})).await;
    api.refused(400, "POST", "/api/kv/set/n", json!({"value": 1, "ttl": "whenever"})).await;
}

#[tokio::test]
async fn batches_of_values_keep_the_order_of_their_keys() {
    let house = House::open().await;
    let api = Api::of(&house);
    let set = json!({"keys": ["a", "b"], "values": [{"x": 1}, {"y": 2}], "ttl": 60});
    assert_eq!(api.done("POST", "/api/kv/batch/set", set).await, json!([["a", true], ["b", true]]));
    let got = api.done("POST", "/api/kv/batch/get", json!({"keys": ["b", "none", "a"]})).await;
    assert_eq!(got, json!([{"y": 2}, {}, {"x": 1}]));
    let gone = api.done("DELETE", "/api/kv/batch/delete", json!({"keys": ["a", "none"]})).await;
    assert_eq!(gone, json!([["a", true], ["none", false]]));
    api.refused(400, "POST", "/api/kv/batch/set", json!({"keys": ["a"], "values": []})).await;
    api.refused(400, "POST", "/api/kv/batch/get", json!({"keys": "a"})).await;
}

#[tokio::test]
async fn pairs_are_found_by_a_pattern_and_cleared() {
    let house = House::open().await;
    let api = Api::of(&house);
    for key in ["cache:product:1", "cache:product:2", "other"] {
        api.done("POST", &format!("/api/kv/set/{key}"), json!({"value": key})).await;
    }
    let found = api
        .done("POST", "/api/kv/find", json!({"pattern": "cache:product:.*", "include_expired": false}))
        .await;
    let expected = json!([
        {"key": "cache:product:1", "value": "cache:product:1"}, {"key": "cache:product:2", "value": "cache:product:2"},
    ]);
    assert_eq!(found, expected);
    api.refused(400, "POST", "/api/kv/find", json!({"pattern": "("})).await;
    api.done("DELETE", "/api/kv/clear", Value::Null).await;
    assert_eq!(api.done("POST", "/api/kv/find", json!({"pattern": null})).await, json!([]));
}
