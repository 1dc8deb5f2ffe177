use serde_json::{Value, json};
use tidewire_client::{ChatEvent, ChatStream, Client, ToolSpec};

use crate::server::{Server, open};

fn chunk(content: &str, seq: u64) -> Value {
    json!({"type": "ChatStreamChunk", "payload": {"chat_id": "talk", "content": content, "seq": seq}})
}

fn end(message: &str, seq: u64) -> Value {
    json!({"type": "ChatStreamEnd", "payload": {"chat_id": "talk", "message_id": message, "execution_time_ms": 1, "seq": seq}})
}

async fn send(client: &Client, server: &mut Server) -> ChatStream {
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.chat_send("talk", "hi").await }
    });
    let (id, _) = server.expect("ChatSend").await;
    server.succeed(&id, json!({"chat_id": "talk", "run_id": "r1"}));
    sending.await.unwrap().unwrap()
}

fn followed(reset: bool) -> Value {
    json!({"chat_id": "talk", "epoch": 1, "last_seq": 9, "reset": reset, "running": true})
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_on_after_the_last_event() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let mut stream = send(&client, &mut server).await;
    server.say(chunk("one ", 3));
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Text { content, .. })) if content == "one "));
    drop(server);
    let mut server = Server::accept(&mut network).await;
    let (id, payload) = server.expect("ChatFollow").await;
    assert_eq!(payload["after_seq"], 3);
    server.succeed(&id, followed(false));
    server.say(chunk("twice", 3));
    server.say(chunk("two", 4));
    server.say(end("r1", 5));
    assert_eq!(stream.text().await.unwrap(), "two");
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_nothing_was_seen_is_looked_for_in_the_chat() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let mut stream = send(&client, &mut server).await;
    drop(server);
    let mut server = Server::accept(&mut network).await;
    let (id, payload) = server.expect("ChatFollow").await;
    assert_eq!(payload["after_seq"], 0);
    server.succeed(&id, followed(false));
    let said = |id: &str, seq: u64| {
        json!({"type": "ChatUserMessage", "payload": {"chat_id": "talk", "message_id": id,
        "content": "hi", "timestamp": "2026-01-02T03:04:05Z", "seq": seq}})
    };
    for frame in
        [said("r0", 1), chunk("another's", 2), end("r0", 3), said("r1", 4), chunk("ours", 5), end("r1", 6)]
    {
        server.say(frame);
    }
    assert_eq!(stream.text().await.unwrap(), "ours");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_may_not_have_arrived_is_told() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.chat_send("talk", "hi").await }
    });
    server.expect("ChatSend").await;
    drop(server);
    assert!(sending.await.unwrap().unwrap_err().is_disconnected());
    // Its stream is gone, so the chat is free.
    let mut server = Server::accept(&mut network).await;
    drop(send(&client, &mut server).await);
}

#[tokio::test(start_paused = true)]
async fn an_unread_stream_holds_up_nobody_and_loses_nothing() {
    let (client, _network, mut server) = open(|builder| builder).await;
    let mut stream = send(&client, &mut server).await;
    for seq in 1..=1000 {
        server.say(chunk("word ", seq));
    }
    let asking = tokio::spawn(async move { client.get_collections().await });
    let (id, _) = server.expect("GetCollections").await;
    server.succeed(&id, json!([]));
    asking.await.unwrap().unwrap();
    server.say(end("r1", 1001));
    assert_eq!(stream.text().await.unwrap(), "word ".repeat(1000));
}

#[tokio::test(start_paused = true)]
async fn tools_are_registered_again_and_follow_says_where_it_is() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let registering = tokio::spawn({
        let client = client.clone();
        async move { client.register_client_tools("talk", vec![ToolSpec::default()]).await }
    });
    let (id, _) = server.expect("RegisterClientTools").await;
    server.succeed(&id, json!({"registered": 1}));
    registering.await.unwrap().unwrap();
    let following = tokio::spawn({
        let client = client.clone();
        async move { client.chat_follow("talk", None).await }
    });
    let (id, _) = server.expect("ChatFollow").await;
    server.succeed(&id, followed(false));
    let mut stream = following.await.unwrap().unwrap();
    drop(server);
    let mut server = Server::accept(&mut network).await;
    server.expect("RegisterClientTools").await;
    let (id, payload) = server.expect("ChatFollow").await;
    assert_eq!((&payload["after_seq"], &payload["epoch"]), (&json!(9), &json!(1)));
    server.succeed(&id, followed(true));
    assert_eq!(stream.next().await.unwrap().unwrap(), ChatEvent::Reset);
    server.say(chunk("from the start", 1));
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Text { .. }))));
}
