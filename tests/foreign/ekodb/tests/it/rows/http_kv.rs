//! Keys and values over HTTP.

use serde_json::json;

use super::http_door::stranger;
use super::seat::{raw, record};
use super::{Refused, Seat, refused};
use crate::rig::column;
use crate::table::rows;

rows! { Client {
    kv_set => ["API error (400)"],
    kv_get => ["Authentication error", "401"],
    kv_delete => ["Authentication error", "401"],
    kv_exists => ["Authentication error", "401"],
    kv_batch_get => ["Authentication error", "401"],
    kv_batch_set => ["API error (400)"],
    kv_batch_delete => ["Authentication error", "401"],
    kv_find => ["API error (400)"],
    kv_query => ["API error (400)"],
}}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A value as it was set, whether it is told with its type or without.
async fn value(seat: &Seat, key: &str) -> Option<serde_json::Value> {
    let value = seat.client.kv_get(key).await.unwrap()?;
    Some(value.get("value").filter(|_| value.get("type").is_some()).cloned().unwrap_or(value))
}

async fn kv_set(seat: Seat) -> Refused {
    seat.client.kv_set("tea", json!({"cups": 2}), None).await.unwrap();
    assert_eq!(value(&seat, "tea").await, Some(json!({"cups": 2})));
    seat.client.kv_set("tea", json!("cold"), Some("1h")).await.unwrap();
    assert_eq!(value(&seat, "tea").await, Some(json!("cold")));
    seat.client.kv_set("brief", json!(1), Some("1s")).await.unwrap();
    while value(&seat, "brief").await.is_some() {}
    refused(seat.client.kv_set("tea", json!(1), Some("soon")).await)
}

async fn kv_get(seat: Seat) -> Refused {
    assert_eq!(seat.client.kv_get("tea").await.unwrap(), None);
    seat.client.kv_set("tea:1", json!([1, 2]), None).await.unwrap();
    assert_eq!(value(&seat, "tea:1").await, Some(json!([1, 2])));
    refused(stranger(&seat).kv_get("tea").await)
}

async fn kv_delete(seat: Seat) -> Refused {
    seat.client.kv_set("tea", json!(1), None).await.unwrap();
    seat.client.kv_delete("tea").await.unwrap();
    assert_eq!(value(&seat, "tea").await, None);
    refused(stranger(&seat).kv_delete("tea").await)
}

async fn kv_exists(seat: Seat) -> Refused {
    assert!(!seat.client.kv_exists("tea").await.unwrap());
    seat.client.kv_set("tea", json!(null), None).await.unwrap();
    assert!(seat.client.kv_exists("tea").await.unwrap());
    refused(stranger(&seat).kv_exists("tea").await)
}

/// As many as were asked for, in the order of the question.
async fn kv_batch_get(seat: Seat) -> Refused {
    let records = vec![record(json!({"n": 1})), record(json!({"n": 2}))];
    seat.client.kv_batch_set(keys(&["one", "two"]), records, None).await.unwrap();
    let found = seat.client.kv_batch_get(keys(&["two", "none", "one"])).await.unwrap();
    let found: Vec<_> = found.iter().map(raw).collect();
    assert_eq!(found.len(), 3);
    assert_eq!(column(&found, "n"), [json!(2), json!(null), json!(1)]);
    refused(stranger(&seat).kv_batch_get(keys(&["one"])).await)
}

async fn kv_batch_set(seat: Seat) -> Refused {
    let records = || vec![record(json!({"n": 1})), record(json!({"n": 2}))];
    let done = seat.client.kv_batch_set(keys(&["one", "two"]), records(), Some(3600)).await.unwrap();
    assert_eq!(done, [("one".to_owned(), true), ("two".to_owned(), true)]);
    assert_eq!(value(&seat, "two").await, Some(json!({"n": 2})));
    refused(seat.client.kv_batch_set(keys(&["three"]), records(), None).await)
}

async fn kv_batch_delete(seat: Seat) -> Refused {
    seat.client.kv_set("one", json!(1), None).await.unwrap();
    let done = seat.client.kv_batch_delete(keys(&["one", "none"])).await.unwrap();
    assert_eq!(done, [("one".to_owned(), true), ("none".to_owned(), false)]);
    refused(stranger(&seat).kv_batch_delete(keys(&["one"])).await)
}

async fn some(seat: &Seat) {
    for key in ["tea:green", "tea:black", "coffee"] {
        seat.client.kv_set(key, json!({"key": key}), None).await.unwrap();
    }
}

async fn kv_find(seat: Seat) -> Refused {
    some(&seat).await;
    let found = seat.client.kv_find(Some("^tea:.*"), false).await.unwrap();
    assert_eq!(column(&found, "key"), [json!("tea:black"), json!("tea:green")]);
    assert_eq!(seat.client.kv_find(None, true).await.unwrap().len(), 3);
    refused(seat.client.kv_find(Some("("), false).await)
}

async fn kv_query(seat: Seat) -> Refused {
    some(&seat).await;
    assert_eq!(column(&seat.client.kv_query(Some("coff"), false).await.unwrap(), "key"), [json!("coffee")]);
    refused(seat.client.kv_query(Some("[z-a]"), false).await)
}
