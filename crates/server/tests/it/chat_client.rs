//! The Rust client of the chat service against the server.

use std::time::Duration;

use serde_json::json;
use tidewire_client::chat_service::{
    AnswerEvent, AnswerStatus, AnswerStream, ChatOptions, ChatService, Question, Resume, ToolSpec,
    ToolStatus, WhileRunning,
};
use tidewire_engine::model::scripted::{Script, ScriptedModel};

use crate::client::PATIENCE;
use crate::house::House;

fn client(house: &House) -> ChatService {
    ChatService::builder(house.url("")).build()
}

async fn next(answer: &mut AnswerStream) -> Option<AnswerEvent> {
    tokio::time::timeout(PATIENCE, answer.next()).await.expect("something comes, or the end")
}

/// Reads to the end; how it ended, and the error if there was one.
async fn read(answer: &mut AnswerStream) -> (Option<AnswerStatus>, Option<String>) {
    let (mut status, mut failed) = (None, None);
    while let Some(event) = next(answer).await {
        match event {
            AnswerEvent::Final(cost) => status = Some(cost.status),
            AnswerEvent::Error(error) => failed = error.code.map(|code| code.as_str().to_owned()),
            AnswerEvent::Lost(error) => failed = Some(error.to_string()),
            _ => {}
        }
    }
    (status, failed)
}

#[tokio::test]
async fn a_question_is_answered_and_asked_further() {
    let house = House::open().await;
    let client = client(&house);
    let mut answer = client.ask(Question::new("ann", "3 tokens").system("Be brief.").run_id("c")).unwrap();
    assert_eq!(read(&mut answer).await, (Some(AnswerStatus::Finished), None));
    assert_eq!((answer.text(), answer.run_id()), ("token token token ", "c"));
    assert_eq!(
        client.resume(Resume::new("c").ask("2 tokens")).unwrap().whole().await.unwrap(),
        "token token "
    );
    // The same question again is answered by what there is.
    let again = client.ask(Question::new("ann", "3 tokens").run_id("c")).unwrap();
    assert_eq!(again.whole().await.unwrap(), "token token token ");
    assert_eq!(house.model.requests().len(), 2);
    let at_once = client.ask(Question::new("ann", "1 tokens").at_once()).unwrap();
    assert_eq!(at_once.whole().await.unwrap(), "token ");
    let metrics = client.metrics();
    assert_eq!((metrics.attempts, metrics.connects, metrics.errors, metrics.resumes), (1, 1, 0, 0));
}

#[tokio::test]
async fn everything_that_was_said_is_read_from_another_place() {
    let house = House::open().await;
    let first = client(&house);
    first.ask(Question::new("ann", "3 tokens").run_id("c")).unwrap().whole().await.unwrap();
    first.resume(Resume::new("c").ask("2 tokens")).unwrap().whole().await.unwrap();
    let mut all = client(&house).resume(Resume::new("c")).unwrap();
    let mut said = Vec::new();
    while let Some(event) = next(&mut all).await {
        match event {
            AnswerEvent::Message(message) => said.push(message.content),
            AnswerEvent::Final(_) => said.push(all.text().to_owned()),
            _ => {}
        }
    }
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!((&*said[0], &*said[2]), ("3 tokens", "2 tokens"));
    // A place that never was: everything comes again.
    let mut reset = client(&house).resume(Resume::new("c").after(9_999, None)).unwrap();
    let mut resets = 0;
    while let Some(event) = next(&mut reset).await {
        resets += usize::from(event == AnswerEvent::Reset);
    }
    assert_eq!((resets, reset.text()), (1, "token token "));
}

#[tokio::test]
async fn an_answer_is_stopped_and_a_second_question_is_refused_or_takes_over() {
    let house = House::open().await;
    let client = client(&house);
    let mut long = client.ask(Question::new("ann", "50000 tokens every 20 ms").run_id("c")).unwrap();
    while !matches!(next(&mut long).await, Some(AnswerEvent::Text(_))) {}
    let refused = client.resume(Resume::new("c").ask("1 tokens")).unwrap().whole().await.unwrap_err();
    assert!(refused.is_conflict(), "{refused}");
    let over =
        client.resume(Resume::new("c").ask("1 tokens").while_running(WhileRunning::Interrupt)).unwrap();
    assert_eq!(over.whole().await.unwrap(), "token ");
    assert_eq!(read(&mut long).await.0, Some(AnswerStatus::Stopped));
    let mut other = client.ask(Question::new("ann", "50000 tokens every 20 ms").run_id("d")).unwrap();
    while !matches!(next(&mut other).await, Some(AnswerEvent::Text(_))) {}
    client.stop("d").unwrap();
    assert_eq!(read(&mut other).await.0, Some(AnswerStatus::Stopped));
}

#[tokio::test]
async fn a_tool_of_the_client_is_called() {
    let script = Script::new().call("open_file", json!({"path": "keys.md"}));
    let done = Script::new().words("It is open.");
    let house =
        House::with(|plan| plan.model = ScriptedModel::new().after("open_file", done).otherwise(script))
            .await;
    let client = client(&house);
    let parameters = Some(json!({"type": "object", "properties": {"path": {"type": "string"}}}));
    let tool = ToolSpec { name: "open_file".into(), description: None, parameters };
    let mut answer = client.ask(Question::new("ann", "open it").tools(vec![tool])).unwrap();
    while let Some(event) = next(&mut answer).await {
        if let AnswerEvent::Tool(tool) = event
            && tool.status == ToolStatus::Requested
        {
            client.tool_result(answer.run_id(), &tool.call_id, Ok(json!({"opened": true}))).unwrap();
        }
    }
    assert_eq!(answer.text(), "It is open.");
}

#[tokio::test]
async fn what_the_server_would_not_take_is_not_sent() {
    let house = House::open().await;
    let client = client(&house);
    let warm = ChatOptions { temperature: Some(3.0), ..ChatOptions::default() };
    for question in [
        Question::new("", "x"),
        Question::new("ann", " "),
        Question::new("ann", "x").run_id("a b"),
        Question::new("ann", "x").options(warm),
        Question::new("ann", "x".repeat(2 << 20)),
    ] {
        assert!(client.ask(question).unwrap_err().is_invalid());
    }
    assert!(client.resume(Resume::new("")).unwrap_err().is_invalid());
    let (_, error) = read(&mut client.resume(Resume::new("never")).unwrap()).await;
    assert_eq!(error.as_deref(), Some("not_found"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_a_closed_client_too() {
    let builder = ChatService::builder("http://127.0.0.1:9").max_reconnect_attempts(2);
    let client = builder.reconnect_delay(Duration::from_millis(5), Duration::from_millis(5)).build();
    let mut answer = client.ask(Question::new("ann", "x")).unwrap();
    let (status, error) = read(&mut answer).await;
    assert!(status.is_none() && error.is_some(), "{error:?}");
    let metrics = client.metrics();
    assert_eq!((metrics.attempts, metrics.connects), (3, 0));
    client.close();
    let closed = client.ask(Question::new("ann", "x")).unwrap().whole().await;
    assert!(closed.unwrap_err().is_disconnected());
}
