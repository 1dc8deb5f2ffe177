//! A synthesis of 200 pieces, whole and cut.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schematic_mock::{Happened, Mock, audio};
use serde_json::{Value, json};

use crate::client::{Client, End, mock};

const PATH: &str = "/v1/text-to-speech/voice/stream-input?model_id=m&auto_mode=true";
const CHUNKS: u64 = 200;

/// Says everything, whether or not anybody still listens; gives the audio, what came beside it, and the end.
async fn synthesis(mock: &Mock, path: &str) -> (Vec<Vec<u8>>, Vec<Value>, End) {
    let mut client = Client::open(mock, path, &[("xi-api-key", "key")]).await;
    client.send_in_vain(json!({"text": " ", "voice_settings": {"speed": 1.0}})).await;
    for n in 1..=CHUNKS {
        client.send_in_vain(json!({"text": format!("word{n} ")})).await;
    }
    client.send_in_vain(json!({"text": ""})).await;
    let (heard, end) = client.rest().await;
    let (pieces, others): (Vec<Value>, Vec<Value>) = heard.into_iter().partition(|m| m["audio"].is_string());
    let pieces = pieces.iter().map(|m| BASE64.decode(m["audio"].as_str().unwrap()).unwrap()).collect();
    (pieces, others, end)
}

fn pieces(count: u64) -> Vec<Vec<u8>> {
    (1..=count).map(audio).collect()
}

#[tokio::test]
async fn every_chunk_is_answered_and_the_end_is_told() {
    let mock = mock("elevenlabs", "").await;
    let (heard, others, end) = synthesis(&mock, PATH).await;
    assert_eq!(heard, pieces(CHUNKS));
    assert_eq!(others, [json!({"isFinal": true})]);
    assert_eq!(end, End::Closed(1000, String::new()));
}

#[tokio::test]
async fn a_cut_lets_everything_before_it_arrive() {
    for (after, chunks) in [(0, 0), (1, 0), (2, 1), (101, 100), (200, 199)] {
        let mock = mock("elevenlabs", &format!("drop:{after}")).await;
        let (heard, others, end) = synthesis(&mock, PATH).await;
        assert_eq!((heard, others, end), (pieces(chunks), vec![], End::Cut), "after {after}");
        let received = mock.log().iter().filter(|e| matches!(e.what, Happened::Received { .. })).count();
        assert_eq!(received, after);
    }
}

#[tokio::test]
async fn a_cut_after_close_takes_only_the_close_frame() {
    let mock = mock("elevenlabs", "drop:202").await;
    let (heard, others, end) = synthesis(&mock, PATH).await;
    assert_eq!((heard, others, end), (pieces(CHUNKS), vec![json!({"isFinal": true})], End::Cut));
}

#[tokio::test]
async fn a_cut_can_spare_later_connections_or_be_asked_for_by_one() {
    let mock = mock("elevenlabs", "drop:101,connections=1").await;
    assert_eq!(synthesis(&mock, PATH).await.2, End::Cut);
    assert_eq!(synthesis(&mock, PATH).await.2, End::Closed(1000, String::new()));
    assert_eq!(synthesis(&mock, &format!("{PATH}&mock=drop:9:sent")).await.0, pieces(9));
}

#[tokio::test]
async fn a_space_opens_first_and_keeps_alive_later() {
    let mock = mock("elevenlabs", "").await;
    let mut client = Client::open(&mock, PATH, &[("xi-api-key", "key")]).await;
    for text in [" ", " ", "Hello ", ""] {
        client.send(json!({"text": text})).await;
    }
    let (heard, end) = client.rest().await;
    assert_eq!((heard.len(), end), (2, End::Closed(1000, String::new())));
    let received: Vec<String> = mock
        .log()
        .into_iter()
        .filter_map(|entry| match entry.what {
            Happened::Received { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(received, ["InitializeConnection", "SendText", "SendText", "CloseConnection"]);
}

#[tokio::test]
async fn contexts_are_answered_and_ended_each_for_itself() {
    let mock = mock("elevenlabs", "").await;
    let path = "/v1/text-to-speech/voice/multi-stream-input";
    let mut client = Client::open(&mock, path, &[("xi-api-key", "key")]).await;
    client.send(json!({"text": " ", "context_id": "one"})).await;
    client.send(json!({"text": "Hello ", "contextId": "one"})).await;
    client.send(json!({"text": "Two ", "context_id": "two", "voice_settings": {}})).await;
    client.send(json!({"text": "", "context_id": "one"})).await;
    client.send(json!({"context_id": "one", "close_context": true})).await;
    client.send(json!({"close_socket": true})).await;
    let (heard, end) = client.rest().await;
    let said: Vec<(&Value, bool)> = heard.iter().map(|m| (&m["contextId"], m["isFinal"] == true)).collect();
    let (one, two) = (json!("one"), json!("two"));
    assert_eq!(said, [(&one, false), (&two, false), (&one, true), (&two, true)]);
    assert_eq!(end, End::Closed(1000, String::new()));
}
