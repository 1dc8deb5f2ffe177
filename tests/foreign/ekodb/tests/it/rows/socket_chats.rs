//! Chats and questions to a model over the socket.

use serde_json::{Value, json};
use tidewire_engine::Error as EngineError;
use tidewire_engine::model::Message;
use tidewire_engine::model::scripted::Script;
use tokio::sync::mpsc::Receiver;

use super::ekodb::RawCompletionRequest;
use super::ekodb::websocket::{ChatStreamEvent, ClientToolDefinition};
use super::{Refused, Seat, refused};
use crate::table::rows;

rows! { WebSocketClient {
    chat_send => ["the kettle is empty"],
    chat_send_with_tools => ["the kettle is empty"],
    register_client_tools => ["API error (400)"],
    send_tool_result => ["WebSocket error: Not connected"],
    raw_completion => ["API error (502)", "the kettle is empty"],
}}

/// How a chat's stream went: its text, the client tools it asked for, and how it ended.
pub(crate) struct Talk {
    pub(crate) text: String,
    pub(crate) end: Result<End, String>,
}

/// The end of a stream.
pub(crate) struct End {
    pub(crate) message_id: String,
    pub(crate) token_usage: Option<Value>,
    pub(crate) tool_calls: Option<Value>,
    pub(crate) context_window: Option<u32>,
}

/// Reads to the end; each call of a tool goes to the function.
pub(crate) async fn listen(
    stream: &mut Receiver<ChatStreamEvent>,
    mut on_call: impl AsyncFnMut(String, String, Value),
) -> Talk {
    let mut text = String::new();
    let end = loop {
        match stream.recv().await.expect("the stream has an end") {
            ChatStreamEvent::Chunk(chunk) => text.push_str(&chunk),
            ChatStreamEvent::ToolCall { call_id, tool_name, arguments } => {
                on_call(call_id, tool_name, arguments).await;
            }
            ChatStreamEvent::End { message_id, token_usage, tool_call_history, context_window, .. } => {
                break Ok(End { message_id, token_usage, tool_calls: tool_call_history, context_window });
            }
            ChatStreamEvent::Error(error) => break Err(error.to_string()),
        }
    };
    Talk { text, end }
}

/// As [`listen`], where no tool may be called.
pub(crate) async fn hear(stream: &mut Receiver<ChatStreamEvent>) -> Talk {
    listen(stream, async |_, name, _| panic!("it called {name}")).await
}

/// A tool that looks into the client's kettle.
pub(crate) fn kettle() -> ClientToolDefinition {
    ClientToolDefinition {
        name: String::from("kettle"),
        description: String::from("How hot the water is"),
        parameters: json!({"type": "object", "properties": {"unit": {"type": "string"}}}),
    }
}

pub(crate) fn failing() -> Script {
    Script::new().text("It is ").fail(EngineError::upstream("the kettle is empty"))
}

pub(crate) fn asking_kettle() -> Script {
    Script::new().call("kettle", json!({"unit": "C"}))
}

/// What the last tool answered, as the model was told.
pub(crate) fn last_answer(seat: &Seat) -> String {
    let requests = seat.rig.model.requests();
    match requests.last().and_then(|request| request.messages.last()) {
        Some(Message::Tool { content, .. }) => content.clone(),
        other => panic!("no tool answered: {other:?}"),
    }
}

async fn chat_send(seat: Seat) -> Refused<String> {
    seat.rig.model.push(Script::new().words("Tea is ready.").usage(7, 3));
    let mut stream = seat.socket.chat_send("kitchen", "Is there tea?").await.unwrap();
    let talk = hear(&mut stream).await;
    assert_eq!(talk.text, "Tea is ready.");
    let end = talk.end.unwrap();
    assert!(!end.message_id.is_empty());
    let usage = end.token_usage.unwrap();
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(7), &json!(3)));
    assert!(end.context_window.is_none());
    assert!(stream.recv().await.is_none(), "one end, and nothing after it");
    let requests = seat.rig.model.requests();
    assert!(matches!(requests[0].messages.last(), Some(Message::User(text)) if text == "Is there tea?"));

    seat.rig.model.push(failing());
    let mut stream = seat.socket.chat_send("kitchen", "And now?").await.unwrap();
    let talk = hear(&mut stream).await;
    assert_eq!(talk.text, "It is ");
    refused(talk.end.map(|_| "an end"))
}

async fn chat_send_with_tools(seat: Seat) -> Refused<String> {
    seat.rig.model.push(asking_kettle());
    seat.rig.model.push(Script::new().words("It is hot."));
    let tools = Some(vec![kettle()]);
    let mut stream =
        seat.socket.chat_send_with_tools("kitchen", "How hot?", tools, Some(5), None, None).await.unwrap();
    let socket = seat.socket.clone();
    let talk = listen(&mut stream, async move |call_id, name, arguments| {
        assert_eq!((name.as_str(), arguments), ("kettle", json!({"unit": "C"})));
        let result = Some(json!({"degrees": 96}));
        socket.send_tool_result("kitchen", &call_id, true, result, None).await.unwrap();
    })
    .await;
    assert_eq!(talk.text, "It is hot.");
    assert!(last_answer(&seat).contains("96"), "{}", last_answer(&seat));
    let history = talk.end.unwrap().tool_calls.unwrap();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");

    // A tool of the server's that is left out is not offered, and a client's is for its own message alone.
    let left_out = Some(vec!["weigh".to_owned()]);
    let mut stream =
        seat.socket.chat_send_with_tools("kitchen", "Hello", None, None, None, left_out).await.unwrap();
    hear(&mut stream).await.end.unwrap();
    let offered = seat.rig.model.requests().last().unwrap().tools.clone();
    assert!(offered.iter().all(|tool| tool.name != "weigh" && tool.name != "kettle"), "{offered:?}");

    seat.rig.model.push(failing());
    let mut stream =
        seat.socket.chat_send_with_tools("kitchen", "And now?", None, None, None, None).await.unwrap();
    refused(hear(&mut stream).await.end.map(|_| "an end"))
}

/// What is registered holds for every message of the chat, and a second registration replaces the first.
async fn register_client_tools(seat: Seat) -> Refused {
    seat.socket.register_client_tools("kitchen", vec![kettle()]).await.unwrap();
    for _ in 0..2 {
        seat.rig.model.push(asking_kettle());
        seat.rig.model.push(Script::new().words("It is cold."));
        let mut stream = seat.socket.chat_send("kitchen", "How hot?").await.unwrap();
        let socket = seat.socket.clone();
        let talk = listen(&mut stream, async |call_id, _, _| {
            socket.send_tool_result("kitchen", &call_id, true, Some(json!(12)), None).await.unwrap();
        });
        assert_eq!(talk.await.text, "It is cold.");
    }
    let other = ClientToolDefinition { name: String::from("toaster"), ..kettle() };
    seat.socket.register_client_tools("kitchen", vec![other]).await.unwrap();
    let mut stream = seat.socket.chat_send("kitchen", "Hello").await.unwrap();
    hear(&mut stream).await.end.unwrap();
    let offered = seat.rig.model.requests().last().unwrap().tools.clone();
    assert!(offered.iter().any(|tool| tool.name == "toaster"), "{offered:?}");
    let nameless = ClientToolDefinition { name: String::new(), ..kettle() };
    refused(seat.socket.register_client_tools("kitchen", vec![nameless]).await)
}

/// Success and failure both reach the model; a call that nobody waits for is passed over.
async fn send_tool_result(seat: Seat) -> Refused {
    let early = seat.socket.send_tool_result("kitchen", "nobody", true, None, None).await;
    seat.people().await;
    seat.socket.send_tool_result("kitchen", "nobody", true, None, None).await.unwrap();
    seat.rig.model.push(asking_kettle());
    let tools = Some(vec![kettle()]);
    let mut stream =
        seat.socket.chat_send_with_tools("kitchen", "How hot?", tools, None, None, None).await.unwrap();
    let socket = seat.socket.clone();
    let talk = listen(&mut stream, async move |call_id, _, _| {
        let why = Some(String::from("it fell off the stove"));
        socket.send_tool_result("kitchen", &call_id, false, None, why).await.unwrap();
    });
    assert_eq!(talk.await.text, "Hello there.");
    assert!(last_answer(&seat).contains("it fell off the stove"), "{}", last_answer(&seat));
    assert_eq!(seat.person("a").await["id"], "a");
    refused(early)
}

/// The question of a raw completion.
pub(crate) fn question(message: &str) -> RawCompletionRequest {
    RawCompletionRequest {
        system_prompt: String::from("You are a kettle."),
        message: message.to_owned(),
        provider: None,
        model: None,
        max_tokens: Some(100),
    }
}

async fn raw_completion(seat: Seat) -> Refused {
    seat.rig.model.push(Script::new().words("I whistle."));
    let reply = seat.socket.raw_completion(&question("What do you do?")).await.unwrap();
    assert_eq!(reply.content, "I whistle.");
    let request = seat.rig.model.requests().remove(0);
    assert!(request.system.contains("You are a kettle."), "{}", request.system);
    assert!(matches!(request.messages.last(), Some(Message::User(text)) if text == "What do you do?"));
    seat.rig.model.push(failing());
    refused(seat.socket.raw_completion(&question("And now?")).await)
}
