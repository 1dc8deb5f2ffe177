//! The other definitions: server-first words, replies with ids, binary frames, subprotocols.

use schematic_mock::{Error, Faults, Happened, Mock};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, End, mock};

#[tokio::test]
async fn home_assistant_answers_with_the_ids_of_the_questions() {
    let mock = mock("home_assistant", "").await;
    let mut client = Client::open(&mock, "/api/websocket", &[]).await;
    assert_eq!(client.hear().await["type"], "auth_required");
    client.send(json!({"type": "auth", "access_token": "token"})).await;
    assert_eq!(client.hear().await["type"], "auth_ok");
    client.send(json!({"id": 7, "type": "get_states"})).await;
    client.send(json!({"id": 8, "type": "subscribe_events"})).await;
    client.send(json!({"id": 9, "type": "ping"})).await;
    let mut heard = vec![];
    for _ in 0..4 {
        let message = client.hear().await;
        heard.push((message["type"].as_str().unwrap().to_owned(), message["id"].as_i64().unwrap()));
    }
    let expected = [("result", 7), ("result", 8), ("event", 8), ("pong", 9)];
    assert_eq!(heard, expected.map(|(name, id)| (name.to_owned(), id)));
}

#[tokio::test]
async fn graphql_streams_until_complete_under_its_subprotocol() {
    let mock = mock("graphql_transport_ws", "").await;
    let offer = [("sec-websocket-protocol", "other, graphql-transport-ws")];
    let (mut client, chosen) = Client::try_open(&mock, "/graphql", &offer).await.unwrap();
    assert_eq!(chosen.as_deref(), Some("graphql-transport-ws"));
    client.send(json!({"type": "connection_init"})).await;
    assert_eq!(client.hear().await["type"], "connection_ack");
    client.send(json!({"id": "a", "type": "subscribe", "payload": {"query": "{ x }"}})).await;
    let (next, complete) = (client.hear().await, client.hear().await);
    assert_eq!((&next["type"], &next["id"]), (&json!("next"), &json!("a")));
    assert_eq!(complete, json!({"id": "a", "type": "complete"}));
    client.send(json!({"type": "connection_init"})).await;
    let reason = "ConnectionInit came, but the session is open already";
    assert_eq!(client.end().await, End::Closed(4429, reason.into()));
}

#[tokio::test]
async fn openai_speaks_first() {
    let mock = mock("openai_realtime", "").await;
    let mut client = Client::open(&mock, "/v1/realtime?model=m", &[("authorization", "Bearer key")]).await;
    assert_eq!(client.hear().await["type"], "session.created");
}

#[tokio::test]
async fn deepgram_takes_audio_in_binary_frames() {
    let mock = mock("deepgram", "").await;
    let token = [("authorization", "Token key")];
    let mut client = Client::open(&mock, "/v1/listen?model=nova-3", &token).await;
    client.send(json!({"type": "KeepAlive"})).await;
    client.send_raw(Message::binary(vec![0, 1, 2])).await;
    client.send(json!({"type": "CloseStream"})).await;
    let (heard, end) = client.rest().await;
    let types: Vec<&Value> = heard.iter().map(|m| &m["type"]).collect();
    assert_eq!(types, [&json!("Results"), &json!("Metadata")]);
    assert_eq!(end, End::Closed(1000, String::new()));
    let audio = Happened::Received { message: "Audio".into(), frame: json!("AAEC") };
    assert!(mock.log().iter().any(|entry| entry.what == audio));
}

#[tokio::test]
async fn every_definition_listens_and_a_client_may_leave() {
    for (name, definition) in schematic_definitions::all() {
        let has_endpoint = !definition.websocket_endpoints().is_empty();
        match Mock::start(definition, Faults::none()).await {
            Ok(mock) => assert!(has_endpoint && mock.address.port() != 0, "{name}"),
            Err(why) => assert!(!has_endpoint && matches!(why, Error::NoEndpoint), "{name}: {why}"),
        }
    }
    let mock = mock("discord", "").await;
    let mut client = Client::open(&mock, "/", &[]).await;
    assert_eq!(client.hear().await["op"], 10);
    client.send_raw(Message::Close(None)).await;
    assert_eq!(client.frame().await.unwrap().unwrap(), Message::Close(None));
    mock.until(|log| log.iter().any(|e| matches!(e.what, Happened::Closed { .. }))).await;
}
