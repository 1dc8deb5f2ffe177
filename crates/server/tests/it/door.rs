//! Who gets in, and what the others are told.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::client::Client;
use crate::house::{House, KEY};

async fn status(house: &House, path: &str, headers: &[(&str, &str)]) -> u16 {
    match Client::connect_with(house.address, path, headers).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
    }
}

async fn close_code(house: &House, path: &str, headers: &[(&str, &str)]) -> u16 {
    Client::connect_with(house.address, path, headers).await.unwrap().closed().await.0
}

async fn is_open(house: &House, path: &str, headers: &[(&str, &str)]) -> bool {
    let mut client = Client::connect_with(house.address, path, headers).await.unwrap();
    client.send(json!({"content": ""})).await;
    client.next().await["type"] == "error"
}

#[tokio::test]
async fn without_keys_local_pages_and_programs_get_in() {
    let house = House::open().await;
    let local = ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost"];
    for origin in local {
        assert!(is_open(&house, "/ws/a", &[("origin", origin)]).await, "{origin}");
    }
    assert!(is_open(&house, "/ws/a", &[]).await);
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        assert_eq!(close_code(&house, "/ws/a", &[("origin", origin)]).await, 4003, "{origin}");
    }
    assert_eq!(status(&house, "/ws/a", &[("host", "evil.example")]).await, 403);
}

#[tokio::test]
async fn with_keys_a_key_or_a_ticket_is_needed_and_listed_origins_get_in() {
    let house = House::with(|plan| {
        plan.config.api_keys = vec![KEY.into()];
        plan.config.origins = vec!["https://app.example".into()];
    })
    .await;
    let bearer = format!("Bearer {KEY}");
    let with_key = |more: &[(&'static str, &'static str)]| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(more);
        headers
    };
    assert_eq!(status(&house, "/ws/a", &[]).await, 401);
    assert_eq!(status(&house, "/ws/a", &[("authorization", "Bearer wrong")]).await, 401);
    assert_eq!(status(&house, "/ws/a?ticket=wrong", &with_key(&[])).await, 401);
    assert!(is_open(&house, "/ws/a", &with_key(&[])).await);
    assert!(is_open(&house, "/ws/a", &with_key(&[("origin", "https://app.example")])).await);
    let foreign = with_key(&[("origin", "http://localhost:5173")]);
    assert_eq!(close_code(&house, "/ws/a", &foreign).await, 4003);
}

#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
    let http = reqwest::Client::new();
    let refused = http.post(house.url("/api/tickets")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    let answer = http.post(house.url("/api/tickets")).bearer_auth(KEY).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["expires_in_s"], 30);
    let path = format!("/ws/a?ticket={}", answer["ticket"].as_str().unwrap());
    assert!(is_open(&house, &path, &[]).await);
    assert_eq!(status(&house, &path, &[]).await, 401);
}

#[tokio::test]
async fn a_session_name_is_its_owners_alone() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
    let mut ann = subject(&house, "ann", "shared").await;
    ann.send(json!({"content": "3 tokens", "partials": "delta"})).await;
    ann.until("agent").await;
    let mut bob = subject(&house, "bob", "shared").await;
    bob.send(json!({"after_seq": 0, "partials": "delta"})).await;
    let ready = bob.until("ready").await;
    assert_eq!(ready["last_seq"], 0, "bob's session of the same name is another chat: {ready}");
}

async fn subject(house: &House, name: &str, session: &str) -> Client {
    let request = reqwest::Client::new().post(house.url("/api/tickets")).bearer_auth(KEY);
    let body = json!({ "subject": name }).to_string();
    let answer: Value = request.body(body).send().await.unwrap().json().await.unwrap();
    let path = format!("/ws/{session}?ticket={}", answer["ticket"].as_str().unwrap());
    Client::connect(house.address, &path).await
}

#[tokio::test]
async fn a_malformed_session_is_closed_with_4001() {
    let house = House::open().await;
    for path in ["/ws/a%20b", "/ws/%C3%A4", "/ws/a%2Fb", &format!("/ws/{}", "x".repeat(129))] {
        let (code, reason) = Client::connect(house.address, path).await.closed().await;
        assert_eq!((code, reason.as_str()), (4001, "Invalid session"), "{path}");
    }
}

#[tokio::test]
async fn a_full_server_says_so_and_has_room_again() {
    let house = House::with(|plan| plan.config.limits.connections = 2).await;
    let first = house.client("a").await;
    let _second = house.client("b").await;
    assert_eq!(house.client("c").await.closed().await.0, 1013);
    drop(first);
    // The place is free when the server has noticed.
    for _ in 0..200 {
        if is_open_if_room(&house).await {
            return;
        }
    }
    panic!("the place was not given back");
}

async fn is_open_if_room(house: &House) -> bool {
    let mut client = house.client("c").await;
    client.send(json!({"content": ""})).await;
    match client.message().await.unwrap() {
        tokio_tungstenite::tungstenite::Message::Text(_) => true,
        _ => {
            tokio::task::yield_now().await;
            false
        }
    }
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so() {
    let house = House::open().await;
    let http = reqwest::Client::new();
    let plain = http.get(house.url("/ws/a")).send().await.unwrap();
    assert_eq!(plain.status(), 426);
    let old = http
        .get(house.url("/ws/a"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "8")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let old = old.send().await.unwrap();
    assert_eq!(
        (old.status().as_u16(), old.headers()["sec-websocket-version"].to_str().unwrap()),
        (426, "13")
    );
}
