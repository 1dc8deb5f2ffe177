//! Every misbehaviour, as a client sees it.

use schematic_mock::{Happened, Misbehaviour};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, End, mock};

async fn client(fault: &str) -> (schematic_mock::Mock, Client) {
    let mock = mock("discord", fault).await;
    let client = Client::open(&mock, "/", &[]).await;
    (mock, client)
}

#[tokio::test]
async fn a_connection_ends_without_a_close_frame() {
    let (mock, mut client) = client("drop:1:sent").await;
    assert_eq!(client.hear().await["op"], 10);
    assert_eq!(client.end().await, End::Cut);
    drop(client);
    mock.until(|log| log.iter().any(|e| e.what == Happened::Closed { code: None })).await;
    assert!(mock.log().iter().any(|e| e.what == Happened::Misbehaved(Misbehaviour::Drop)));
}

#[tokio::test]
async fn a_connection_is_closed_with_a_code() {
    let (_mock, mut client) = client("close=4009:1").await;
    assert_eq!(client.hear().await["op"], 10);
    client.send(json!({"op": 1, "d": null})).await;
    assert_eq!(client.hear().await["op"], 11);
    assert_eq!(client.end().await, End::Closed(4009, "as it was asked for".into()));
}

#[tokio::test]
async fn a_message_is_unknown() {
    let (_mock, mut client) = client("unknown:1:sent").await;
    assert_eq!(client.hear().await["op"], 10);
    let unknown = client.hear().await;
    let definition = schematic_definitions::discord::discord();
    for schema in definition.websocket_endpoints()[0].lifecycle.from_server() {
        let tests = definition.find_message(&schema.id).unwrap().recognition.tests();
        assert!(!tests.iter().all(|test| test.holds(&unknown)), "{unknown} is {}", schema.id);
    }
}

#[tokio::test]
async fn a_binary_frame_strays_in() {
    let (_mock, mut client) = client("binary").await;
    assert_eq!(client.frame().await.unwrap().unwrap(), Message::binary(vec![0x00, 0xFF, 0x01]));
    assert_eq!(client.hear().await["op"], 10);
}

#[tokio::test]
async fn a_frame_is_not_json() {
    let (_mock, mut client) = client("invalid").await;
    let text = client.frame().await.unwrap().unwrap().into_text().unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
    assert_eq!(client.hear().await["op"], 10);
}

#[tokio::test]
async fn a_frame_is_not_utf8() {
    let (_mock, mut client) = client("utf8").await;
    let error = client.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, tokio_tungstenite::tungstenite::Error::Utf8(_)), "{error:?}");
}

#[tokio::test]
async fn a_frame_is_too_large() {
    let (_mock, mut client) = client("oversize=70000").await;
    assert_eq!(client.frame().await.unwrap().unwrap().len(), 70_000);
    let (_mock, mut client) = self::client("oversize").await;
    let error = client.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, tokio_tungstenite::tungstenite::Error::Capacity(_)), "{error:?}");
}

#[tokio::test]
async fn messages_are_held_back() {
    let begun = std::time::Instant::now();
    let (_mock, mut client) = client("delay=80").await;
    assert_eq!(client.hear().await["op"], 10);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(80));
}
