//! What the later version can do on a socket beside.

use serde_json::json;
use tidewire_engine::model::scripted::Script;

use super::ekodb::websocket::ChatStreamEvent;
use super::socket_chats::hear;
use super::{Refused, Seat, refused};
use crate::table::rows;

rows! { WebSocketClient {
    unsubscribe => never "the crate swallows what sending can fail with",
    cancel_chat => ["WebSocket error"],
}}

/// Nothing more comes to that connection, and to others it does.
async fn unsubscribe(seat: Seat) {
    let mut mine = seat.socket.subscribe("people", None, None).await.unwrap();
    let other = seat.another().await;
    let mut theirs = other.subscribe("people", None, None).await.unwrap();
    seat.socket.unsubscribe("people").await.unwrap();
    assert!(mine.recv().await.is_none());
    let mut again = seat.socket.subscribe("people", None, None).await.unwrap();
    seat.socket.insert("people", json!({"id": "a"}), None).await.unwrap();
    assert_eq!(theirs.recv().await.unwrap().record_ids, ["a"]);
    assert_eq!(again.recv().await.unwrap().record_ids, ["a"]);
    seat.another().await.unsubscribe("people").await.unwrap();
}

/// The stream ends with what was said so far, and the chat goes on.
async fn cancel_chat(seat: Seat) -> Refused {
    seat.rig.model.push(Script::new().words("Once upon ").hang());
    let mut stream = seat.socket.chat_send("kitchen", "A story").await.unwrap();
    let mut begun = String::new();
    while begun != "Once upon " {
        match stream.recv().await.unwrap() {
            ChatStreamEvent::Chunk(text) => begun.push_str(&text),
            other => panic!("{other:?}"),
        }
    }
    seat.socket.cancel_chat("kitchen").await.unwrap();
    let talk = hear(&mut stream).await;
    assert_eq!(talk.text, "");
    assert!(!talk.end.unwrap().message_id.is_empty());
    let mut stream = seat.socket.chat_send("kitchen", "Hello").await.unwrap();
    assert_eq!(hear(&mut stream).await.text, "Hello there.");
    let told = format!("{:?}", seat.rig.model.requests().last().unwrap().messages);
    assert!(told.contains("Once upon "), "{told}");
    let stranger = super::ekodb::WebSocketClient::new(seat.rig.ws(), "no token").unwrap();
    refused(stranger.cancel_chat("kitchen").await)
}
