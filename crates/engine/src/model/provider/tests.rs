//! Providers against small servers that say what real ones say, byte by byte.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::error::{Code, Detail};
use crate::event::Usage;
use crate::model::{Message, ModelEvent, StopReason, ToolCall, ToolDefinition};

mod fakellm;

/// A server for one request.
struct Fake {
    base_url: String,
    /// The request's head and body.
    request: oneshot::Receiver<(String, Value)>,
    /// When the client closed the connection; only a fake that hangs waits for it.
    closed: oneshot::Receiver<Instant>,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Close,
    Hang,
}

/// Answers the first request with these pieces.
async fn fake(head: &str, pieces: &[String], then: Then) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (told, request) = oneshot::channel();
    let (gone, closed) = oneshot::channel();
    let pieces: Vec<String> = [head.to_owned()].into_iter().chain(pieces.iter().cloned()).collect();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = told.send(read_request(&mut socket).await);
        for piece in pieces {
            socket.write_all(piece.as_bytes()).await.unwrap();
            socket.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        if then == Then::Hang {
            let mut byte = [0];
            let _ = socket.read(&mut byte).await;
            // A test that does not ask has dropped the receiver.
            let _ = gone.send(Instant::now());
        }
    });
    Fake { base_url, request, closed }
}

async fn read_request(socket: &mut TcpStream) -> (String, Value) {
    let mut read = Vec::new();
    loop {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "the request is not whole");
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0usize) {
            return (head.to_owned(), serde_json::from_str(body).unwrap());
        }
    }
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn openai(chunks: &[Value]) -> Vec<String> {
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    events.chain([String::from("data: [DONE]\n\n")]).collect()
}

fn delta(delta: Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(reason: &str) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn provider(name: &str, base_url: &str) -> Provider {
    let settings = ProviderSettings { base_url: Some(base_url.to_owned()), ..ProviderSettings::default() };
    Provider::new(name, &settings).unwrap()
}

fn asked(question: &str) -> Request {
    let tool = ToolDefinition {
        name: String::from("list_tables"),
        description: String::from("Lists tables"),
        parameters: json!({"type": "object", "properties": {"schema": {"type": "string"}}}),
    };
    Request {
        system: String::from("Be brief"),
        messages: vec![Message::User(question.into())],
        tools: vec![tool].into(),
        ..Request::default()
    }
}

/// What a provider's answer came to.
#[derive(Debug, Default)]
struct Came {
    text: Vec<String>,
    shown: Vec<String>,
    calls: Vec<ToolCall>,
    usage: Usage,
    end: Option<StopReason>,
    error: Option<Error>,
}

async fn came(provider: &Provider, request: Request) -> Came {
    let mut came = Came::default();
    let mut stream = match provider.stream(request).await {
        Ok(stream) => stream,
        Err(error) => return Came { error: Some(error), ..came },
    };
    while let Some(event) = stream.next().await {
        assert!(came.end.is_none() && came.error.is_none(), "nothing comes after the end, but {event:?}");
        match event {
            Ok(ModelEvent::Text(text)) => came.text.push(text),
            Ok(ModelEvent::CallProgress { so_far, .. }) => came.shown.push(so_far),
            Ok(ModelEvent::Call(call)) => came.calls.push(call),
            Ok(ModelEvent::Usage(usage)) => came.usage = usage,
            Ok(ModelEvent::End(reason)) => came.end = Some(reason),
            Ok(ModelEvent::Queued { .. } | ModelEvent::Reasoning(_)) => {}
            Err(error) => came.error = Some(error),
        }
    }
    came
}

#[tokio::test]
async fn text_streams_with_its_usage() {
    let usage = json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}});
    let chunks = [
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "Hel"})),
        delta(json!({"content": "lo"})),
    ];
    let chunks: Vec<_> = chunks.into_iter().chain([finish("stop"), usage]).collect();
    let fake = fake(EVENTS, &openai(&chunks), Then::Close).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("hi")).await;
    assert_eq!((came.text.concat().as_str(), came.end), ("Hello", Some(StopReason::Finished)));
    assert_eq!((came.usage.input_tokens, came.usage.output_tokens), (12, 2));

    let (head, body) = fake.request.await.unwrap();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    assert_eq!((&body["model"], &body["stream"]), (&json!("gpt-x"), &json!(true)));
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(body["tools"][0]["function"]["name"], "list_tables");
}

#[tokio::test]
async fn an_answer_without_usage_is_not_waited_for() {
    let chunks = [delta(json!({"content": "Hello"})), finish("stop")];
    let fake = fake(EVENTS, &openai(&chunks), Then::Hang).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("hi")).await;
    assert_eq!(came.end, Some(StopReason::Finished));
    assert!(
        came.usage.input_tokens > 5 && came.usage.output_tokens == 1,
        "an estimate stands: {:?}",
        came.usage
    );
    fake.closed.await.unwrap();
}

fn call_piece(id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut function = json!({"arguments": arguments});
    name.into_iter().for_each(|name| function["name"] = json!(name));
    let mut call = json!({"index": 0, "type": "function", "function": function});
    id.into_iter().for_each(|id| call["id"] = json!(id));
    delta(json!({"tool_calls": [call]}))
}

#[tokio::test]
async fn calls_in_pieces_are_executed_whole() {
    let chunks = [
        call_piece(Some("call_7"), Some("list_tables"), ""),
        call_piece(None, None, "{\"sche"),
        call_piece(None, None, "ma\":\"mart\"}"),
        finish("tool_calls"),
    ];
    let fake = fake(EVENTS, &openai(&chunks), Then::Close).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("tables?")).await;
    let call = ToolCall {
        id: String::from("call_7"),
        name: String::from("list_tables"),
        arguments: json!({"schema": "mart"}),
    };
    assert_eq!((came.calls, came.end), (vec![call], Some(StopReason::ToolCalls)));
    assert_eq!(came.shown, ["", "{\"sche", "{\"schema\":\"mart\"}"]);
}

#[tokio::test]
async fn repeated_ids_and_doubled_legacy_calls_make_one_call() {
    let piece = |arguments: &str| {
        let mut chunk = call_piece(Some("call_9"), Some("list_tables"), arguments);
        chunk["choices"][0]["delta"]["function_call"] =
            json!({"name": "list_tables", "arguments": arguments});
        chunk
    };
    let chunks = [piece("{"), piece("}"), finish("tool_calls")];
    let fake = fake(EVENTS, &openai(&chunks), Then::Close).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("tables?")).await;
    assert_eq!(came.calls.len(), 1, "{came:?}");
    assert_eq!((came.calls[0].id.as_str(), &came.calls[0].arguments), ("call_9", &json!({})));
}

#[tokio::test]
async fn half_a_call_is_an_error_and_never_executed() {
    let chunks = [call_piece(Some("call_7"), Some("list_tables"), "{\"sche"), finish("length")];
    let fake = fake(EVENTS, &openai(&chunks), Then::Close).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("tables?")).await;
    let error = came.error.unwrap();
    assert_eq!(
        (error.code, &*error.message),
        (Code::Upstream, "the provider openai sent half a tool call; ask again")
    );
    assert!(came.calls.is_empty());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_after_its_text() {
    let piece = format!("data: {}\n\n", delta(json!({"content": "Hel"})));
    let fake = fake(EVENTS, &[piece], Then::Close).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("hi")).await;
    assert_eq!(came.text.concat(), "Hel");
    assert!(came.error.unwrap().message.contains("broke off"));
}

#[tokio::test]
async fn cumulative_text_becomes_deltas() {
    let chunks: Vec<_> =
        ["Here", "Here are", "Here are they"].iter().map(|text| delta(json!({"content": text}))).collect();
    let chunks: Vec<_> = chunks.into_iter().chain([finish("stop")]).collect();
    let fake = fake(EVENTS, &openai(&chunks), Then::Close).await;
    let came = came(&provider("local/some-model", &fake.base_url), asked("hi")).await;
    assert_eq!(came.text.concat(), "Here are they");
}

#[tokio::test]
async fn anthropic_streams_text_and_calls() {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let pieces = [
        event(
            "message_start",
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}),
        ),
        event(
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        event("ping", json!({"type": "ping"})),
        event(
            "content_block_delta",
            json!({"index": 0, "delta": {"type": "text_delta", "text": "Let me look."}}),
        ),
        event("content_block_stop", json!({"index": 0})),
        event(
            "content_block_start",
            json!({"index": 1, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "list_tables", "input": {}}}),
        ),
        event(
            "content_block_delta",
            json!({"index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"schema\":"}}),
        ),
        event(
            "content_block_delta",
            json!({"index": 1, "delta": {"type": "input_json_delta", "partial_json": "\"mart\"}"}}),
        ),
        event("content_block_stop", json!({"index": 1})),
        event("message_delta", json!({"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 21}})),
        event("message_stop", json!({"type": "message_stop"})),
    ];
    let fake = fake(EVENTS, &pieces, Then::Close).await;
    let came = came(&provider("anthropic/claude-x", &fake.base_url), asked("tables?")).await;
    assert_eq!((came.text.concat().as_str(), came.end), ("Let me look.", Some(StopReason::ToolCalls)));
    assert_eq!(came.calls[0].arguments, json!({"schema": "mart"}));
    assert_eq!((came.usage.input_tokens, came.usage.output_tokens), (9, 21));
    assert!(fake.request.await.unwrap().0.starts_with("POST /v1/messages "));
}

#[tokio::test]
async fn a_conversation_with_tools_is_sent_back_whole() {
    let fake = fake(EVENTS, &openai(&[delta(json!({"content": "ok"})), finish("stop")]), Then::Close).await;
    let mut request = asked("tables?");
    let call =
        ToolCall { id: String::from("call_7"), name: String::from("list_tables"), arguments: json!({}) };
    request.messages.push(Message::Assistant { text: String::from("Let me look."), calls: vec![call] });
    request.messages.push(Message::Tool {
        call_id: String::from("call_7"),
        name: String::from("list_tables"),
        content: String::from("{\"tables\":[]}"),
        is_error: false,
    });
    came(&provider("openai/gpt-x", &fake.base_url), request).await;
    let (_, body) = fake.request.await.unwrap();
    let messages = body["messages"].as_array().unwrap();
    let last = &messages[messages.len() - 1];
    assert_eq!((&last["role"], &last["tool_call_id"]), (&json!("tool"), &json!("call_7")));
    let called = messages.iter().find(|message| message["tool_calls"].is_array()).unwrap();
    assert_eq!(called["tool_calls"][0]["function"]["name"], "list_tables");
}

async fn refused(status: &str, headers: &str) -> Error {
    let body = r#"{"error":{"message":"secret reason","type":"x"}}"#;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let fake = fake(&head, &[body.to_owned()], Then::Close).await;
    came(&provider("openai/gpt-x", &fake.base_url), asked("hi")).await.error.expect("it was refused")
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let key = refused("401 Unauthorized", "").await;
    assert_eq!(key.code, Code::Upstream);
    assert!(key.message.contains("OPENAI_API_KEY"), "{key}");
    assert!(!key.message.contains("secret"), "{key}");

    let limited = refused("429 Too Many Requests", "retry-after: 7\r\n").await;
    assert_eq!(
        (limited.code, limited.detail),
        (Code::RateLimited, Detail::RetryAfter(Duration::from_secs(7)))
    );
    assert_eq!(refused("429 Too Many Requests", "").await.detail, Detail::None);

    let fault = refused("503 Service Unavailable", "").await;
    assert!(fault.code == Code::Upstream && fault.code.is_retryable());
    assert!(refused("404 Not Found", "").await.message.contains("no such model"));
}

#[tokio::test]
async fn an_error_within_the_stream_is_an_error() {
    let pieces = [
        format!("data: {}\n\n", delta(json!({"content": "Hel"}))),
        format!("data: {}\n\n", json!({"error": {"message": "boom", "type": "server_error"}})),
    ];
    let fake = fake(EVENTS, &pieces, Then::Close).await;
    let came = came(&provider("openai/gpt-x", &fake.base_url), asked("hi")).await;
    assert_eq!((came.text.concat().as_str(), came.error.unwrap().code), ("Hel", Code::Upstream));
}

#[tokio::test]
async fn nobody_there_is_an_upstream_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let error = came(&provider("openai/gpt-x", &base_url), asked("hi")).await.error.unwrap();
    assert_eq!(error.code, Code::Upstream);
    assert!(error.message.contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn silence_ends_in_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let short = Duration::from_millis(200);
    let long = Duration::from_secs(60);
    for (pieces, begin_timeout, silence_timeout, expected) in
        [(vec![], short, long, "did not begin"), (vec![head.to_owned()], long, short, "fell silent")]
    {
        let fake = fake("", &pieces, Then::Hang).await;
        let settings = ProviderSettings {
            base_url: Some(fake.base_url.clone()),
            begin_timeout,
            silence_timeout,
            ..ProviderSettings::default()
        };
        let provider = Provider::new("openai/gpt-x", &settings).unwrap();
        let error = came(&provider, asked("hi")).await.error.unwrap();
        assert!(error.message.contains(expected), "{error}");
    }
}

/// The server sees its socket closed within 100 ms, in mid-answer and before the answer began.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_closes_the_request() {
    let first = format!("data: {}\n\n", delta(json!({"content": "Hel"})));
    let in_answer = fake(EVENTS, &[first], Then::Hang).await;
    let mut stream = provider("openai/gpt-x", &in_answer.base_url).stream(asked("hi")).await.unwrap();
    while !matches!(stream.next().await.unwrap().unwrap(), ModelEvent::Text(_)) {}
    let dropped = Instant::now();
    drop(stream);
    let took = in_answer.closed.await.unwrap().duration_since(dropped);
    assert!(took < Duration::from_millis(100), "{took:?} in mid-answer");

    let before = fake("", &[], Then::Hang).await;
    let stream = provider("openai/gpt-x", &before.base_url).stream(asked("hi")).await.unwrap();
    let waiting = tokio::spawn(stream.for_each(|_| async {}));
    before.request.await.unwrap();
    let dropped = Instant::now();
    waiting.abort();
    let took = before.closed.await.unwrap().duration_since(dropped);
    assert!(took < Duration::from_millis(100), "{took:?} before the answer");
}
