//! One breach of every rule: the code, and the sentence that names it.

use schematic_define::{Breach, Definition};
use schematic_mock::{Faults, Happened, Mock, Options};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, End, mock};

const SPEECH: &str = "/v1/text-to-speech/voice/stream-input";
const CONTEXTS: &str = "/v1/text-to-speech/voice/multi-stream-input";
const KEY: [(&str, &str); 1] = [("xi-api-key", "key")];

/// Says all of it, and expects the last to be the breach.
async fn check(mock: &Mock, path: &str, say: &[Value], breach: Breach, code: u16, reason: &str) {
    let mut client = Client::open(mock, path, &KEY).await;
    for value in say {
        client.send_in_vain(value.clone()).await;
    }
    expect(mock, client, breach, code, reason).await;
}

async fn expect(mock: &Mock, mut client: Client, breach: Breach, code: u16, reason: &str) {
    let (_, end) = client.rest().await;
    let End::Closed(given, told) = end else { panic!("{end:?}") };
    assert_eq!(given, code, "{told}");
    assert!(told.contains(reason), "{told}");
    let log = mock.log();
    let noted = log.iter().any(|e| matches!(&e.what, Happened::Breached { breach: b, .. } if *b == breach));
    assert!(noted, "{log:?}");
}

#[tokio::test]
async fn text_comes_before_the_opening() {
    let mock = mock("elevenlabs", "").await;
    let say = [json!({"text": "Hello "})];
    check(&mock, SPEECH, &say, Breach::BeforeOpening, 1008, "SendText came before InitializeConnection")
        .await;
    let say = [json!({"text": ""})];
    check(&mock, SPEECH, &say, Breach::BeforeOpening, 1008, "CloseConnection came before").await;
}

#[tokio::test]
async fn the_opening_comes_twice() {
    let speech = mock("elevenlabs", "").await;
    // Only the opening may carry a key, so this is no sign of life.
    let say = [json!({"text": " "}), json!({"text": " ", "xi-api-key": "key"})];
    check(&speech, SPEECH, &say, Breach::OpenedTwice, 1008, "InitializeConnection came, but").await;
    let gateway = mock("discord", "").await;
    let identity =
        json!({"token": "t", "intents": 1, "properties": {"os": "o", "browser": "b", "device": "d"}});
    let identify = json!({"op": 2, "d": identity});
    check(&gateway, "/", &[identify.clone(), identify], Breach::OpenedTwice, 4005, "Identify came, but")
        .await;
}

#[tokio::test]
async fn declared_codes_are_used() {
    let mock = mock("discord", "").await;
    let beat = |d: Value| json!({"op": 1, "d": d});
    check(&mock, "/", &[json!({"op": 77})], Breach::Unknown, 4001, "none of the client's messages").await;
    check(&mock, "/", &[beat(json!("x"))], Breach::Mistyped, 4002, "Heartbeat is not of its type: in `d`")
        .await;
    check(&mock, "/", &[json!({"op": 3, "d": {}})], Breach::BeforeOpening, 4003, "PresenceUpdate").await;
    let large = json!({"op": 3, "d": {"x": "x".repeat(5000)}});
    check(&mock, "/", &[large], Breach::TooLarge, 4002, "4096 are allowed").await;
    check(&mock, "/", &vec![beat(Value::Null); 121], Breach::TooOften, 4008, "more than 120 messages").await;
}

#[tokio::test]
async fn a_frame_is_not_json() {
    let mock = mock("elevenlabs", "").await;
    for message in [Message::text("{"), Message::binary(vec![0xFF])] {
        let mut client = Client::open(&mock, SPEECH, &KEY).await;
        client.send_raw(message).await;
        expect(&mock, client, Breach::Unreadable, 1008, "the frame is not JSON").await;
    }
}

#[tokio::test]
async fn a_context_is_not_open() {
    let mock = mock("elevenlabs", "").await;
    let open = json!({"text": " ", "context_id": "one"});
    let flush = |id: &str| json!({"context_id": id, "flush": true});
    let close = json!({"context_id": "one", "close_context": true});
    let reason = "context \"two\", which is not open";
    check(&mock, CONTEXTS, &[open.clone(), flush("two")], Breach::NoContext, 1008, reason).await;
    let reason = "context \"one\", which is not open";
    check(&mock, CONTEXTS, &[open, close, flush("one")], Breach::NoContext, 1008, reason).await;
}

#[tokio::test]
async fn what_may_come_once_comes_twice() {
    let mut definition = schematic_definitions::discord::discord();
    let api = definition.websocket.as_mut().unwrap();
    let messages = &mut api.endpoints[0].lifecycle.streaming_messages;
    messages.iter_mut().find(|m| m.id == "PresenceUpdate").unwrap().repeatable = false;
    let mock = Mock::start(definition, Faults::none()).await.unwrap();
    let identity =
        json!({"token": "t", "intents": 1, "properties": {"os": "o", "browser": "b", "device": "d"}});
    let say = [json!({"op": 2, "d": identity}), json!({"op": 3, "d": {}}), json!({"op": 3, "d": {}})];
    check(&mock, "/", &say, Breach::Repeated, 1008, "PresenceUpdate came twice").await;
}

async fn with_credential(definition: Definition) -> Mock {
    let options = Options { credential: Some("right".into()), ..Options::default() };
    Mock::start_with(definition, options).await.unwrap()
}

#[tokio::test]
async fn the_credential_in_the_opening_is_missing_or_wrong() {
    let mock = with_credential(schematic_definitions::elevenlabs::elevenlabs()).await;
    for (say, reason) in [
        (json!({"text": " "}), "the credential is missing"),
        (json!({"text": " ", "xi_api_key": "wrong"}), "is not the right one"),
    ] {
        let mut client = Client::open(&mock, SPEECH, &[]).await;
        client.send(say).await;
        expect(&mock, client, Breach::Credential, 1008, reason).await;
    }
    let mut client = Client::open(&mock, SPEECH, &[]).await;
    client.send(json!({"text": " ", "xi_api_key": "right"})).await;
    client.send(json!({"text": ""})).await;
    assert_eq!(client.rest().await.1, End::Closed(1000, String::new()));
    let mock = with_credential(schematic_definitions::discord::discord()).await;
    let identity =
        json!({"token": "wrong", "intents": 1, "properties": {"os": "o", "browser": "b", "device": "d"}});
    check(&mock, "/", &[json!({"op": 2, "d": identity})], Breach::Credential, 4004, "credential").await;
}
