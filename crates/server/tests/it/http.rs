//! What is asked over plain HTTP.

use serde_json::{Value, json};

use crate::house::{House, KEY};

async fn get(house: &House, path: &str) -> (u16, Value) {
    let response = reqwest::get(house.url(path)).await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn health_needs_no_key_and_everything_else_does() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
    let (status, health) = get(&house, "/api/health").await;
    assert_eq!((status, &health["status"], &health["model"]), (200, &"ok".into(), &"scripted".into()));
    for path in ["/api/catalog", "/api/chats", "/metrics"] {
        assert_eq!(get(&house, path).await.0, 401, "{path}");
        let with_key = reqwest::Client::new().get(house.url(path)).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(with_key.status(), 200, "{path}");
    }
    assert_eq!(get(&house, "/api/nothing").await.0, 404);
}

#[tokio::test]
async fn the_catalogue_of_the_demo_has_tables_figures_and_questions() {
    let house = House::with(|plan| plan.demo = true).await;
    let (status, catalog) = get(&house, "/api/catalog").await;
    assert_eq!(status, 200);
    let tables = catalog["tables"].as_array().unwrap();
    assert!(tables.len() > 80, "{}", tables.len());
    for member in ["name", "full_name", "table_type", "schema", "description", "column_count"] {
        assert!(!tables[0][member].is_null(), "{member} is missing in {}", tables[0]);
    }
    assert_eq!(catalog["suggestions"].as_array().unwrap().len(), 3);
    assert_eq!((&catalog["agents"][0], &catalog["documents"]), (&json!("explorer"), &json!([])));
    assert_eq!(catalog["metrics"]["total_tables"], tables.len());
    assert!(catalog["metrics"]["relationships_count"].as_u64().unwrap() > 50);
}

#[tokio::test]
async fn chats_are_listed_newest_first() {
    let house = House::open().await;
    for session in ["first", "second"] {
        let mut client = house.client(session).await;
        client.ask("2 tokens").await;
        client.until("agent").await;
    }
    let (_, chats) = get(&house, "/api/chats").await;
    let sessions: Vec<_> =
        chats["chats"].as_array().unwrap().iter().map(|chat| chat["session_id"].as_str().unwrap()).collect();
    assert_eq!(sessions, ["second", "first"]);
    assert_eq!(chats["chats"][0]["title"], "2 tokens");
    assert_eq!(chats["chats"][0]["running"], false);
}

#[tokio::test]
async fn a_branch_is_listed_and_opened_by_its_id() {
    let house = House::open().await;
    let mut client = house.client("trunk").await;
    client.ask("2 tokens").await;
    client.until("agent").await;
    let (_, chats) = get(&house, "/api/chats").await;
    let body = json!({"parent_id": chats["chats"][0]["chat_id"], "title": "A branch"});
    let request = reqwest::Client::new().post(house.url("/api/chat/branch")).json(&body);
    let branch: Value = request.send().await.unwrap().json().await.unwrap();
    let id = branch["chat_id"].as_str().unwrap();
    let (_, chats) = get(&house, "/api/chats").await;
    let listed = &chats["chats"][0];
    assert_eq!(
        (&listed["session_id"], &listed["chat_id"], &listed["title"]),
        (&json!(id), &json!(id), &json!("A branch"))
    );

    let mut tab = house.client(id).await;
    tab.send(json!({"after_seq": 0, "partials": "delta"})).await;
    let ready = tab.until("ready").await;
    assert_eq!((&ready["chat_id"], &ready["last_seq"]), (&json!(id), &json!(2)));
    let said = [tab.next().await, tab.next().await];
    assert_eq!((&said[0]["role"], &said[0]["content"]), (&json!("user"), &json!("2 tokens")));
    assert_eq!((&said[1]["role"], &said[1]["content"]), (&json!("assistant"), &json!("token token ")));
    let deleted = reqwest::Client::new().delete(house.url(&format!("/api/chat/{id}"))).send().await.unwrap();
    assert_eq!(deleted.status(), 200);
    assert_eq!(tab.until("deleted").await["by"], "local");
}

#[tokio::test]
async fn figures_count_what_passes() {
    let house = House::open().await;
    let mut client = house.client("a").await;
    client.ask("2 tokens").await;
    client.until("agent").await;
    let text = reqwest::get(house.url("/metrics")).await.unwrap().text().await.unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("tidewire_connections{dialect=\"session_chat\"}"), 1.0);
    assert_eq!(value("tidewire_frames_in_total{dialect=\"session_chat\"}"), 1.0);
    assert!(value("tidewire_frames_out_total{dialect=\"session_chat\"}") >= 2.0);
    assert_eq!(value("tidewire_messages_total"), 1.0);
}

#[tokio::test]
async fn every_answer_says_how_browsers_have_to_treat_it() {
    let house = House::open().await;
    for path in ["/", "/api/health", "/api/nothing", "/assets/nothing.js"] {
        let response = reqwest::get(house.url(path)).await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    assert_eq!(reqwest::get(house.url("/assets/nothing.js")).await.unwrap().status(), 404);
    assert_eq!(reqwest::get(house.url("/")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn foreign_pages_change_nothing() {
    let house = House::open().await;
    let request = reqwest::Client::new().post(house.url("/api/tickets"));
    let answer = request.header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(answer.status(), 403);
}
