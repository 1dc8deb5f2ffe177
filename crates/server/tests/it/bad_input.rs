//! Everything that a client, a model, a tool or a disk can do wrong: a clear answer, and nobody else notices.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tidewire_engine::Error;
use tidewire_engine::agent::tool::function;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::{Client, PATIENCE};
use crate::house::House;

/// The connection goes on: a question is answered.
async fn still_talks(client: &mut Client) {
    client.ask("2 tokens").await;
    let answer = client.until("agent").await;
    assert_eq!(answer["content"], "token token ");
}

async fn check_error(send: Message, code: &str, content: &str) {
    let house = House::open().await;
    let mut client = house.client("s").await;
    client.socket.send(send).await.unwrap();
    let error = client.next().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
    assert!(error["content"].as_str().unwrap().contains(content), "{error}");
    still_talks(&mut client).await;
}

#[tokio::test]
async fn an_empty_message() {
    check_error(Message::text(r#"{"content":""}"#), "VALIDATION_ERROR", "Empty message").await;
}

#[tokio::test]
async fn text_that_is_not_json() {
    check_error(Message::text("hello"), "VALIDATION_ERROR", "Invalid JSON format").await;
}

#[tokio::test]
async fn a_binary_frame() {
    check_error(Message::binary(vec![1, 2, 3]), "VALIDATION_ERROR", "").await;
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    client.send(json!({"content": "2 tokens", "colour": "green", "nested": {"a": [1]}})).await;
    assert_eq!(client.until("agent").await["content"], "token token ");
}

#[tokio::test]
async fn a_message_of_two_mebibytes_closes_with_1009() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    let large = json!({"content": "x".repeat(2 * 1024 * 1024)}).to_string();
    // The server may close before it has read everything.
    let _ = client.socket.send(Message::text(large)).await;
    let (code, reason) = client.closed().await;
    assert_eq!((code, reason.as_str()), (1009, "the message is too large"));
}

#[tokio::test]
async fn many_fragments_of_one_large_message_close_with_1009() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    let part = vec![b'x'; 200_000];
    for at in 0..6 {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(part.clone(), OpCode::Data(kind), false);
        if client.socket.send(Message::Frame(frame)).await.is_err() {
            break;
        }
    }
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn a_message_just_below_the_limit_is_answered() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    let content = "x".repeat(1024 * 1024 - 100);
    client.ask(&content).await;
    assert_eq!(client.next().await["content"].as_str().unwrap().len(), content.len());
    client.until("agent").await;
    still_talks(&mut client).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let house = House::open().await;
    let mut client = house.client("s").await;
    let frame = Frame::message(vec![b'{', 0xff, 0xfe, b'}'], OpCode::Data(Data::Text), true);
    client.socket.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(client.closed().await.0, 1007);
}

#[tokio::test]
async fn a_frame_without_a_mask_closes_with_1002() {
    let house = House::open().await;
    let mut raw = raw_socket(&house).await;
    raw.write_all(&[0x81, 0x02, b'{', b'}']).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, raw.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[0], 0x88, "a close frame: {answer:?}");
    assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), 1002);
}

/// A socket after the handshake, without a library that would keep the rules.
async fn raw_socket(house: &House) -> TcpStream {
    let mut raw = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "GET /ws/raw HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        house.address
    );
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(raw.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    raw
}

#[tokio::test]
async fn thirty_messages_in_a_second() {
    let house = House::with(|plan| {
        plan.config.limits.message_burst = 20;
        plan.config.limits.message_refill_ms = 600_000;
    })
    .await;
    let mut client = house.client("s").await;
    let mut refused = 0;
    for number in 0..30 {
        client.send(json!({"content": "1 tokens", "message_id": format!("m{number}")})).await;
    }
    let mut echoes = 0;
    while echoes + refused < 30 {
        let frame = client.next().await;
        match frame["type"].as_str().unwrap() {
            "user" => echoes += 1,
            "error" => {
                assert_eq!(frame["code"], "RATE_LIMITED", "{frame}");
                assert!(frame["retry_after_ms"].as_u64().unwrap() > 0, "{frame}");
                refused += 1;
            }
            _ => {}
        }
    }
    assert_eq!((echoes, refused), (20, 10));
    // Another session has a bucket of its own; another socket of this one has not.
    let mut other = house.client("other").await;
    still_talks(&mut other).await;
    let mut tab = house.client("s").await;
    tab.ask("1 tokens").await;
    assert_eq!(tab.until("error").await["code"], "RATE_LIMITED");
}

async fn failing(script: Script, change: impl FnOnce(&mut crate::house::Plan)) -> (House, Client, Value) {
    let house = House::with(|plan| {
        plan.model = ScriptedModel::demo().then(script);
        change(plan);
    })
    .await;
    let mut client = house.client("s").await;
    client.ask("go").await;
    let error = client.until("error").await;
    (house, client, error)
}

#[tokio::test]
async fn a_model_that_fails() {
    let script = Script::new().words("so far").fail(Error::upstream("the provider is down; try again"));
    let (_house, mut client, error) = failing(script, |_| ()).await;
    assert_eq!((&error["code"], &error["retryable"]), (&json!("BACKEND_ERROR"), &json!(true)), "{error}");
    still_talks(&mut client).await;
}

#[tokio::test]
async fn a_model_that_hangs() {
    let (_house, mut client, error) =
        failing(Script::new().hang(), |plan| plan.config.limits.answer_seconds = 1).await;
    assert_eq!(error["code"], "REQUEST_TIMEOUT", "{error}");
    assert_eq!(error["timeout_ms"], 1000, "{error}");
    still_talks(&mut client).await;
}

#[tokio::test]
async fn a_model_that_sends_half_a_tool_call() {
    let script = Script::new().half_a_call("list_tables", "{\"schema\": \"ma");
    let (_house, mut client, error) = failing(script, |_| ()).await;
    assert_eq!(error["code"], "BACKEND_ERROR", "{error}");
    still_talks(&mut client).await;
}

#[tokio::test]
async fn a_tool_that_panics_is_a_result_like_any_other() {
    let house = House::with(|plan| {
        let tool = function("explode", "Panics.", json!({"type": "object"}), |_context, _arguments| async {
            panic!("the tool has a bug")
        });
        plan.tools = vec![tool];
        plan.model = ScriptedModel::demo()
            .then(Script::new().call("explode", json!({})))
            .then(Script::new().words("it broke"));
    })
    .await;
    let mut client = house.client("s").await;
    client.ask("go").await;
    let tool = client.until("tool").await;
    assert_eq!((&tool["tool_name"], &tool["is_error"]), (&json!("explode"), &json!(true)), "{tool}");
    assert!(!tool["content"].as_str().unwrap().contains("has a bug"), "{tool}");
    assert_eq!(client.until("agent").await["content"], "it broke");
    still_talks(&mut client).await;
}

#[tokio::test]
async fn a_tool_that_takes_a_minute_is_cut_off() {
    let house = House::with(|plan| {
        let tool =
            function("dawdle", "Takes a minute.", json!({"type": "object"}), |_context, _arguments| async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(json!({}))
            });
        plan.tools = vec![tool];
        plan.config.limits.tool_seconds = 1;
        plan.model = ScriptedModel::demo()
            .then(Script::new().call("dawdle", json!({})))
            .then(Script::new().words("it was slow"));
    })
    .await;
    let mut client = house.client("s").await;
    client.ask("go").await;
    assert_eq!(client.until("tool").await["is_error"], true);
    assert_eq!(client.until("agent").await["content"], "it was slow");
    still_talks(&mut client).await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off_and_nobody_else_waits() {
    let house = House::with(|plan| plan.config.limits.stall_seconds = 1).await;
    let mut deaf = house.client("loud").await;
    let mut other = house.client("quiet").await;
    // Each is echoed; the kernel's buffers fill, then ours.
    let large = json!({"content": "x".repeat(1_000_000)}).to_string();
    let stalls = tokio::spawn(async move {
        for _ in 0..40 {
            if deaf.socket.send(Message::text(large.clone())).await.is_err() {
                break;
            }
        }
        deaf
    });
    still_talks(&mut other).await;
    let stalled = async {
        loop {
            let text = reqwest::get(house.url("/metrics")).await.unwrap().text().await.unwrap();
            if text.contains("tidewire_stalled_total{dialect=\"session_chat\"} 1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stalled).await.expect("it is cut off");
    still_talks(&mut other).await;
    drop(stalls.await.unwrap());
}

#[tokio::test]
async fn bytes_that_are_no_http_end_the_connection_and_nothing_else() {
    let house = House::open().await;
    let mut raw = TcpStream::connect(house.address).await.unwrap();
    raw.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, raw.read_to_end(&mut answer)).await.unwrap();
    still_talks(&mut house.client("s").await).await;
}
