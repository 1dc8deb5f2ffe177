//! Conversations: several tabs, stopping, coming back.

use std::sync::Arc;

use serde_json::json;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tokio::sync::Notify;

use crate::house::House;

#[tokio::test]
async fn two_tabs_see_the_same_conversation() {
    let house = House::open().await;
    let mut asking = house.client("s").await;
    let mut watching = house.client("s").await;
    watching.send(json!({"after_seq": 0, "partials": "delta"})).await;
    watching.until("ready").await;
    asking.send(json!({"content": "5 tokens", "partials": "delta"})).await;
    let (mine, theirs) = (asking.until("user").await, watching.until("user").await);
    assert_eq!(mine, theirs);
    let (mine, theirs) = (asking.until("agent").await, watching.until("agent").await);
    assert_eq!(mine, theirs);
    assert_eq!(mine["content"], "token token token token token ");
    // And the other way round.
    watching.send(json!({"content": "1 tokens"})).await;
    assert_eq!(asking.until("user").await["content"], "1 tokens");
    assert_eq!(asking.until("agent").await["content"], "token ");
}

#[tokio::test]
async fn stop_from_another_tab_stops_the_model_and_keeps_the_text() {
    let house = House::open().await;
    let mut asking = house.client("s").await;
    asking.ask("100000 tokens every 5 ms").await;
    asking.until("agent_partial").await;
    let mut playing = house.model.running();
    assert_eq!(*playing.borrow_and_update(), 1);
    let mut other = house.client("s").await;
    other.send(json!({"stop": true})).await;
    let ended = asking.until("agent").await;
    assert_eq!(ended["status"], "stopped");
    assert!(ended["content"].as_str().unwrap().starts_with("token "), "{ended}");
    while *playing.borrow_and_update() > 0 {
        playing.changed().await.unwrap();
    }
}

#[tokio::test]
async fn losing_the_socket_cancels_nothing() {
    let gate = Arc::new(Notify::new());
    let script = Script::new().text("before ").gate(Arc::clone(&gate)).text("after");
    let house = House::with(|plan| plan.model = ScriptedModel::new().then(script)).await;
    let mut client = house.client("s").await;
    client.send(json!({"content": "go", "partials": "delta"})).await;
    let seen = client.until("agent_partial").await["seq"].clone();
    drop(client);
    gate.notify_one();
    let mut back = house.client("s").await;
    back.send(json!({"after_seq": seen, "partials": "delta"})).await;
    let answer = back.until("agent").await;
    assert_eq!((&answer["content"], &answer["status"]), (&json!("before after"), &json!("finished")));
}

#[tokio::test]
async fn a_stop_is_read_while_an_answer_is_streaming_at_full_speed() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    client.send(json!({"content": "1000000 tokens", "partials": "delta"})).await;
    client.until("agent_partial").await;
    client.send(json!({"stop": true})).await;
    assert_eq!(client.until("agent").await["status"], "stopped");
}

#[tokio::test]
async fn a_message_that_is_sent_twice_is_answered_once() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    for _ in 0..2 {
        client.send(json!({"content": "2 tokens", "message_id": "m1"})).await;
    }
    client.until("agent").await;
    client.send(json!({"content": "3 tokens"})).await;
    assert_eq!(client.until("agent").await["content"], "token token token ");
    assert_eq!(house.model.requests().len(), 2);
}

#[tokio::test]
async fn pings_are_answered_while_an_answer_is_awaited() {
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::Message;
    let house = House::with(|plan| plan.model = ScriptedModel::new().then(Script::new().hang())).await;
    let mut client = house.client("s").await;
    client.ask("go").await;
    client.until("user").await;
    client.socket.send(Message::Ping(vec![7].into())).await.unwrap();
    loop {
        if let Message::Pong(payload) = client.message().await.unwrap() {
            assert_eq!(&payload[..], [7]);
            return;
        }
    }
}

/// A large message leaves a large buffer behind, which is replaced as soon as nothing is under way. Whatever comes in
/// the same breath must not be lost with it. Frames without content are answered by the dialect at once.
#[tokio::test]
async fn nothing_is_lost_around_large_messages() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    let sizes = [900_000, 1, 40_000, 2, 3, 700_000, 100_000, 4, 33_000, 5];
    for _ in 0..3 {
        for size in sizes {
            client.send(json!({"nothing": "x".repeat(size)})).await;
        }
        for _ in sizes {
            assert_eq!(client.next().await["content"], "Empty message");
        }
        // Now one after the other, so that there is a quiet moment after each.
        for size in sizes {
            client.send(json!({"nothing": "y".repeat(size)})).await;
            assert_eq!(client.next().await["content"], "Empty message");
        }
    }
}
