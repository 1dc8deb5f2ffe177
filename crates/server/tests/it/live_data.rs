//! What `live_data` promises of the socket itself, beside its written conversations.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::Client;
use crate::house::House;

/// Clients of this dialect take frames up to 16 MiB and messages up to 64 MiB, which is what tungstenite takes.
#[tokio::test]
async fn an_answer_of_twenty_mebibytes_arrives_at_a_client_with_usual_limits() {
    let house = House::open().await;
    let mut client = Client::connect(house.address, "/api/ws").await;
    let text = "x".repeat(1 << 20 >> 1);
    for number in 0..42 {
        let record = json!({"id": format!("r{number:02}"), "text": text});
        let insert = json!({"type": "Insert", "messageId": number, "payload": {"collection": "large", "record": record}});
        client.send(insert).await;
        assert_eq!(client.next().await["type"], "Success");
    }
    client.send(json!({"type": "FindAll", "messageId": "all", "payload": {"collection": "large"}})).await;
    let Message::Text(answer) = client.message().await.unwrap() else { panic!("no text came") };
    assert!(answer.len() > 20 << 20, "{}", answer.len());
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let records = answer["payload"]["data"].as_array().unwrap();
    assert_eq!((records.len(), &records[41]["id"]), (42, &json!("r41")));
}

/// Edits that come together are under way together. The store does them in their order, replies keep it, and what comes
/// behind them sees what they wrote.
#[tokio::test]
async fn edits_that_come_together_keep_their_order() {
    let house = House::open().await;
    let mut client = Client::connect(house.address, "/api/ws").await;
    let insert = |id: u64| json!({"type": "Insert", "messageId": id, "payload": {"collection": "c", "record": {"id": "r"}}});
    client.send(insert(0)).await;
    for number in 1..100 {
        // Every seventh is refused, and disturbs no other.
        let payload = json!({"collection": "c", "id": "r", "record": {"n": number}});
        let update = json!({"type": "Update", "messageId": number, "payload": payload});
        client.send(if number % 7 == 0 { insert(number) } else { update }).await;
    }
    client
        .send(json!({"type": "FindById", "messageId": 100, "payload": {"collection": "c", "id": "r"}}))
        .await;
    for number in 0..100_u64 {
        let reply = client.next().await;
        let is_refused = number > 0 && number % 7 == 0;
        assert_eq!(reply["messageId"], number, "{reply}");
        assert_eq!(reply["type"], if is_refused { "Error" } else { "Success" }, "{reply}");
    }
    assert_eq!(client.next().await["payload"]["data"]["n"]["value"], 99);
}

/// Replies without an id wait while a request with one is open. One who always has such a request open is owed ever more.
#[tokio::test]
async fn a_client_that_always_waits_for_something_else_gets_all_its_answers() {
    const EACH: u64 = 2_000;
    let house = House::open().await;
    let mut client = Client::connect(house.address, "/api/ws").await;
    let find =
        |id: u64| json!({"type": "FindById", "messageId": id, "payload": {"collection": "c", "id": "r"}});
    let (mut with_id, mut without) = (0, 0);
    for number in 0..EACH {
        client.send(find(number)).await;
        client.send(json!({"type": "Nonsense"})).await;
    }
    while with_id + without < 2 * EACH {
        let reply = client.next().await;
        match reply.get("messageId").and_then(Value::as_u64) {
            Some(id) => with_id += u64::from(id == with_id),
            None => without += u64::from(reply["type"] == "Error"),
        }
    }
    assert_eq!((with_id, without), (EACH, EACH));
}

/// A client of this dialect takes whatever comes first for the answer to its Hello.
#[tokio::test]
async fn nothing_is_sent_before_the_client_speaks() {
    let house = House::open().await;
    let mut silent = Client::connect(house.address, "/api/ws").await;
    let mut other = Client::connect(house.address, "/api/ws").await;
    other
        .send(json!({"type": "Insert", "messageId": "1", "payload": {"collection": "c", "record": {}}}))
        .await;
    assert_eq!(other.next().await["type"], "Success");
    silent.send(json!({"type": "Hello", "payload": {"formats": ["json"]}})).await;
    let Message::Text(first) = silent.message().await.unwrap() else { panic!("no text came first") };
    assert!(first.contains("Welcome"), "{first}");
}
