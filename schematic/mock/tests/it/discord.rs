//! Hello, Identify, heartbeats, and a session that is taken up again.

use schematic_mock::Mock;
use serde_json::{Value, json};

use crate::client::{Client, End, mock};

fn identify() -> Value {
    json!({"op": 2, "d": {"token": "token", "intents": 1, "properties": {"os": "o", "browser": "b", "device": "d"}}})
}

fn resume(session: &Value, seq: i64) -> Value {
    json!({"op": 6, "d": {"token": "token", "session_id": session, "seq": seq}})
}

async fn hello(mock: &Mock, path: &str) -> Client {
    let mut client = Client::open(mock, path, &[]).await;
    assert_eq!(client.hear().await["op"], 10);
    client
}

fn numbers(heard: &[Value]) -> Vec<i64> {
    heard.iter().map(|message| message["s"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_session_opens_and_its_heart_beats() {
    let mock = mock("discord", "").await;
    let mut client = hello(&mock, "/?v=10&encoding=json").await;
    client.send(json!({"op": 1, "d": null})).await;
    assert_eq!(client.hear().await, json!({"op": 11}));
    client.send(identify()).await;
    let ready = client.hear().await;
    assert_eq!((&ready["t"], &ready["s"]), (&json!("READY"), &json!(1)));
    assert_eq!(ready["d"]["resume_gateway_url"], mock.url());
    client.send(json!({"op": 1, "d": 1})).await;
    assert_eq!(client.hear().await, json!({"op": 11}));
}

#[tokio::test]
async fn what_was_missed_comes_once_and_in_order() {
    let mock = mock("discord", "events=20").await;
    // Hello, Ready and five events arrive.
    let mut client = hello(&mock, "/?mock=drop:7:sent").await;
    client.send(identify()).await;
    let (heard, end) = client.rest().await;
    assert_eq!(end, End::Cut);
    assert_eq!(numbers(&heard), [1, 2, 3, 4, 5, 6]);
    let session = heard[0]["d"]["session_id"].clone();

    // The second connection is lost as well, in the middle of what was missed.
    let mut client = hello(&mock, "/?mock=drop:4:sent").await;
    client.send(resume(&session, 6)).await;
    let (heard, end) = client.rest().await;
    assert_eq!((numbers(&heard), end), (vec![7, 8, 9], End::Cut));

    let mut client = hello(&mock, "/").await;
    client.send(resume(&session, 9)).await;
    let mut heard = vec![];
    while heard.last().is_none_or(|message: &Value| message["t"] != "RESUMED") {
        heard.push(client.hear().await);
    }
    assert_eq!(numbers(&heard), (10..=22).collect::<Vec<_>>());
    client.send(json!({"op": 1, "d": 22})).await;
    assert_eq!(client.hear().await, json!({"op": 11}));
}

#[tokio::test]
async fn an_unknown_session_is_refused_and_a_new_one_may_be_opened() {
    let mock = mock("discord", "").await;
    let mut client = hello(&mock, "/").await;
    client.send(resume(&json!("nobody's"), 1)).await;
    assert_eq!(client.hear().await, json!({"op": 9, "d": false}));
    client.send(identify()).await;
    assert_eq!(client.hear().await["t"], "READY");
}

#[tokio::test]
async fn a_number_from_the_future_is_answered_with_the_declared_code() {
    let mock = mock("discord", "").await;
    let mut client = hello(&mock, "/").await;
    client.send(identify()).await;
    let session = client.hear().await["d"]["session_id"].clone();
    let mut client = hello(&mock, "/").await;
    client.send(resume(&session, 99)).await;
    let reason = "Resume is about number 99; the latest is 1";
    assert_eq!(client.end().await, End::Closed(4007, reason.into()));
}
