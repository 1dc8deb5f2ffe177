//! What clients do wrong, and what is not built.

use serde_json::{Value, json};

use super::{Api, check_error};
use crate::house::{House, KEY};

#[tokio::test]
async fn what_is_not_built_says_so() {
    let house = House::open().await;
    let api = Api::of(&house);
    for (method, path, area) in [
        ("POST", "/api/transactions", "Transactions"),
        ("POST", "/api/trash/c/a", "Restoring deleted records"),
        ("GET", "/api/kv/a/links", "Links between keys and records"),
        ("GET", "/api/kv/links/a", "Links between keys and records"),
        ("POST", "/api/kv/a/links/c/r", "Links between keys and records"),
        ("GET", "/api/functions", "Stored functions"),
        ("GET", "/api/chat/goals/search", "Goals"),
        ("POST", "/api/chat/tasks/t/start", "Tasks"),
        ("GET", "/api/chat/agents/by-name/x", "Stored agents"),
        ("GET", "/api/chat/goal-templates", "Goal templates"),
        ("PUT", "/api/schedules/x", "Schedules"),
        ("GET", "/api/auth/permissions", "Permissions at their old address"),
    ] {
        assert_eq!(api.refused(501, method, path, json!({})).await, format!("{area} are not built"));
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_told_apart() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.refused(404, "GET", "/api/nothing", Value::Null).await;
    api.refused(404, "GET", "/api/find/c/a/b", Value::Null).await;
    let sentence = api.refused(405, "PATCH", "/api/insert/c", json!({})).await;
    assert!(sentence.starts_with("PATCH is not understood"), "{sentence}");
    let (status, health) = api.ask("GET", "/api/health", Value::Null).await;
    assert_eq!((status, &health["status"], &health["integrity_ok"]), (200, &json!("ok"), &json!(true)));
    assert!(health["version"].is_string());
    let openapi = api.done("GET", "/api/openapi.json", Value::Null).await;
    assert!(openapi["paths"]["/api/insert/{collection}"]["post"].is_object());
}

#[tokio::test]
async fn a_collection_may_be_called_sequence() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/sequence", json!({"id": "a"})).await;
    assert_eq!(api.done("PUT", "/api/update/sequence/a", json!({"x": 1})).await["x"]["value"], 1);
}

#[tokio::test]
async fn ids_with_strange_characters_are_records_or_errors() {
    let house = House::open().await;
    let api = Api::of(&house);
    for id in ["a%20b", "%C3%A4", "%E2%80%AE"] {
        let (status, _) = api.ask("GET", &format!("/api/find/c/{id}"), Value::Null).await;
        assert!(status == 404 || status == 400, "{id}: {status}");
    }
    for id in ["a%2Fb", "a%00b", "%FF"] {
        let (status, answer) = api.ask("GET", &format!("/api/find/c/{id}"), Value::Null).await;
        assert!(status == 404 || status == 400, "{id}: {status}");
        check_error(status, status, &answer);
    }
    for id in ["a\u{0}b", ""] {
        api.refused(400, "POST", "/api/insert/c", json!({ "id": id })).await;
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_with_a_sentence() {
    let house = House::open().await;
    let api = Api::of(&house);
    for (kind, body) in [
        ("application/json", &b"{"[..]),
        ("application/json", b"[]"),
        ("application/json", b"\xff"),
        ("application/msgpack", &[0xc1]),
        ("application/msgpack", &[0x81, 0xa1, b'a', 7, 0xc0]),
        ("application/msgpack", &[0x90]),
    ] {
        let request = api.request("POST", "/api/insert/c").header("content-type", kind).body(body.to_vec());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        check_error(400, status, &response.json().await.unwrap());
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let request = api.request("POST", "/api/insert/c").body(deep);
    assert_eq!(request.send().await.unwrap().status(), 400);
    assert_eq!(api.done("POST", "/api/find/c", json!({})).await, json!([]));
}

/// The client gets to read why, although it has not sent all of it.
#[tokio::test]
async fn a_record_of_a_hundred_megabytes_is_refused() {
    let house = House::open().await;
    let api = Api::of(&house);
    let record = format!("{{\"text\":\"{}\"}}", "x".repeat(100 << 20));
    let response = api.request("POST", "/api/insert/c").body(record).send().await.unwrap();
    let status = response.status().as_u16();
    let sentence = check_error(413, status, &response.json().await.unwrap());
    assert!(sentence.contains("at most 16 MiB"), "{sentence}");
    let chunk = || Ok::<_, std::io::Error>(vec![b' '; 1 << 20]);
    let chunks = futures_util::stream::iter(std::iter::repeat_with(chunk).take(40));
    let request = api.request("POST", "/api/insert/c").body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(request.send().await.unwrap().status(), 413);
    assert_eq!(api.done("POST", "/api/find/c", json!({})).await, json!([]));
}

#[tokio::test]
async fn who_is_wrong_too_often_is_told_when_to_come_back() {
    let house = House::with(|plan| {
        plan.config.api_keys = vec![KEY.into()];
        plan.config.behind_proxy = true;
    })
    .await;
    let wrong = Api::with_key(&house, "not-a-key-at-all");
    for _ in 0..100 {
        let request = wrong.request("GET", "/api/find/c/a").header("x-forwarded-for", "203.0.113.7");
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status == 429 {
            let after = response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
            assert!(after >= 1);
            check_error(429, status, &response.json().await.unwrap());
            return;
        }
        assert_eq!(status, 401);
    }
    panic!("nobody was slowed down");
}
