//! Chats with settings of their own, and their messages, over HTTP.

use std::sync::Arc;

use serde_json::{Value, json};
use tidewire_engine::Error as EngineError;
use tidewire_engine::model::scripted::Script;
use tokio::sync::Notify;

use super::ekodb::chat::{
    ChatMessageRequest, ClientToolDef, CreateChatSessionRequest, GetMessagesQuery, ListSessionsQuery,
    MergeSessionsRequest, MergeStrategy, ToggleForgottenRequest, ToolConfig, UpdateMessageRequest,
    UpdateSessionRequest,
};
use super::ekodb::websocket::ChatStreamEvent;
use super::http_door::stranger;
use super::seat::raw;
use super::socket_chats::{asking_kettle, failing, hear, kettle, last_answer, listen};
use super::{Refused, Seat, not_found, refused};
use crate::rig::column;
use crate::table::rows;

rows! { Client {
    create_chat_session => ["API error (4"],
    get_chat_session => ["Record not found"],
    list_chat_sessions => ["Authentication error", "401"],
    update_chat_session => ["Record not found"],
    delete_chat_session => ["API error (404)"],
    branch_chat_session => ["Record not found"],
    merge_chat_sessions => ["Record not found"],
    chat_message => ["the kettle is empty"],
    chat_message_stream => ["the kettle is empty"],
    submit_chat_tool_result => ["API error (404)"],
    get_chat_session_messages => ["Record not found"],
    get_chat_message => ["Record not found"],
    update_chat_message => ["Record not found"],
    delete_chat_message => ["API error (404)"],
    toggle_forgotten_message => ["Record not found"],
    regenerate_chat_message => ["Record not found"],
}}

/// A chat that nobody has opened.
const NOBODY: &str = "00000000000000000000000000000000";

fn request() -> CreateChatSessionRequest {
    CreateChatSessionRequest::new("openai")
}

/// A new chat's id.
pub(crate) async fn opened(seat: &Seat) -> String {
    seat.client.create_chat_session(request()).await.unwrap().chat_id
}

/// Says something; the id of the answer.
pub(crate) async fn say(seat: &Seat, chat: &str, words: &str) -> String {
    seat.client.chat_message(chat, ChatMessageRequest::new(words)).await.unwrap().message_id
}

/// The texts of a chat's messages, oldest first.
pub(crate) async fn texts(seat: &Seat, chat: &str) -> Vec<Value> {
    let query = GetMessagesQuery::new().sort("asc");
    let reply = seat.client.get_chat_session_messages(chat, query).await.unwrap();
    column(&reply.messages.iter().map(raw).collect::<Vec<_>>(), "content")
}

/// The settings that a chat tells of itself, without types.
async fn setting(seat: &Seat, chat: &str, name: &str) -> Value {
    let report = seat.client.get_chat_session(chat).await.unwrap();
    column(&[raw(&report.session)], name).remove(0)
}

async fn create_chat_session(seat: Seat) -> Refused {
    seat.people().await;
    let collection = json!({"collection_name": "people", "fields": []});
    let request = request()
        .collection(serde_json::from_value(collection).unwrap())
        .model(crate::rig::MODEL)
        .system_prompt("You pour tea.")
        .max_context_messages(20)
        .max_tokens(200)
        .temperature(0.5);
    let reply = seat.client.create_chat_session(request).await.unwrap();
    assert!(reply.chat_id.len() == 32 && reply.context_snippets.is_empty(), "{reply:?}");
    say(&seat, &reply.chat_id, "Tea, please").await;
    let asked = seat.rig.model.requests().remove(0);
    assert!(asked.system.contains("You pour tea."), "{}", asked.system);
    assert_eq!((asked.max_tokens, asked.temperature), (Some(200), Some(0.5)));
    let unknown = CreateChatSessionRequest::new("openai").model("no such model");
    not_found(seat.client.create_chat_session(unknown).await)
}

async fn get_chat_session(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    say(&seat, &chat, "Hello").await;
    let report = seat.client.get_chat_session(&chat).await.unwrap();
    assert_eq!(report.message_count, 2);
    assert_eq!(setting(&seat, &chat, "chat_id").await, json!(chat));
    refused(seat.client.get_chat_session(NOBODY).await)
}

async fn list_chat_sessions(seat: Seat) -> Refused {
    let (first, second) = (opened(&seat).await, opened(&seat).await);
    let query = || ListSessionsQuery::new().sort("asc");
    let all = seat.client.list_chat_sessions(query()).await.unwrap();
    assert_eq!((all.total, all.returned), (2, 2));
    let ids: Vec<_> = all.sessions.iter().map(|chat| chat.chat_id.as_str()).collect();
    assert!(ids.contains(&first.as_str()) && ids.contains(&second.as_str()), "{ids:?}");
    assert!(all.sessions[0].created_at.contains('T'), "{}", all.sessions[0].created_at);
    let page = seat.client.list_chat_sessions(query().limit(1).skip(1)).await.unwrap();
    assert_eq!((page.sessions[0].chat_id.as_str(), page.total, page.returned), (ids[1], 2, 1));
    refused(stranger(&seat).list_chat_sessions(query()).await)
}

async fn update_chat_session(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    let change =
        || UpdateSessionRequest::new().title("Tea").system_prompt("You pour tea.").max_context_messages(7);
    seat.client.update_chat_session(&chat, change()).await.unwrap();
    assert_eq!(setting(&seat, &chat, "title").await, "Tea");
    assert_eq!(setting(&seat, &chat, "max_context_messages").await, 7);
    say(&seat, &chat, "Hello").await;
    assert!(seat.rig.model.requests()[0].system.contains("You pour tea."));
    refused(seat.client.update_chat_session(NOBODY, change()).await)
}

async fn delete_chat_session(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    seat.client.delete_chat_session(&chat).await.unwrap();
    assert!(matches!(seat.client.get_chat_session(&chat).await, Err(super::ekodb::Error::NotFound)));
    not_found(seat.client.delete_chat_session(&chat).await)
}

/// A branch goes on from where it was begun; its parent stays as it is.
async fn branch_chat_session(seat: Seat) -> Refused {
    let parent = opened(&seat).await;
    say(&seat, &parent, "one").await;
    say(&seat, &parent, "two").await;
    let branch = seat.client.branch_chat_session(request().branch_from(&parent, 2)).await.unwrap();
    say(&seat, &branch.chat_id, "three").await;
    let there = texts(&seat, &branch.chat_id).await;
    assert_eq!(there, [json!("one"), json!("Hello there."), json!("three"), json!("Hello there.")]);
    assert_eq!(texts(&seat, &parent).await.len(), 4);
    refused(seat.client.branch_chat_session(request().branch_from(NOBODY, 1)).await)
}

async fn merge_chat_sessions(seat: Seat) -> Refused {
    let (source, target) = (opened(&seat).await, opened(&seat).await);
    say(&seat, &source, "from the source").await;
    say(&seat, &target, "in the target").await;
    let merge = |into: &str| MergeSessionsRequest {
        source_chat_ids: vec![source.clone()],
        target_chat_id: into.to_owned(),
        merge_strategy: MergeStrategy::Chronological,
        bypass_ripple: None,
    };
    let report = seat.client.merge_chat_sessions(merge(&target)).await.unwrap();
    assert_eq!(report.message_count, 4);
    let texts = texts(&seat, &target).await;
    assert!(
        texts.contains(&json!("from the source")) && texts.contains(&json!("in the target")),
        "{texts:?}"
    );
    refused(seat.client.merge_chat_sessions(merge(NOBODY)).await)
}

async fn chat_message(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    seat.rig.model.push(Script::new().words("Tea is ready.").usage(7, 3));
    let said = ChatMessageRequest::new("Is there tea?").max_iterations(3);
    let reply = seat.client.chat_message(&chat, said).await.unwrap();
    assert_eq!(
        (reply.chat_id.as_str(), &reply.responses[..]),
        (chat.as_str(), &["Tea is ready.".to_owned()][..])
    );
    let usage = reply.token_usage.unwrap();
    assert_eq!(
        (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        (Some(7), Some(3), Some(10))
    );
    let choice =
        ToolConfig { enabled: true, allowed_tools: Some(vec!["weigh".into()]), ..ToolConfig::default() };
    let limited = ChatMessageRequest::new("Hello").tool_config(choice);
    seat.client.chat_message(&chat, limited).await.unwrap();
    let offered = seat.rig.model.requests().last().unwrap().tools.clone();
    assert_eq!(offered.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["weigh"]);
    seat.rig.model.push(failing());
    refused(seat.client.chat_message(&chat, ChatMessageRequest::new("And now?")).await)
}

/// Chunks, calls of the client's tools, and one end.
async fn chat_message_stream(seat: Seat) -> Refused<String> {
    let chat = opened(&seat).await;
    seat.rig.model.push(asking_kettle());
    seat.rig.model.push(Script::new().words("It is hot.").usage(7, 3));
    let definition = kettle();
    let tool = ClientToolDef {
        name: definition.name,
        description: definition.description,
        parameters: definition.parameters,
    };
    let said =
        ChatMessageRequest::new("How hot?").client_tools(vec![tool]).exclude_tools(vec!["weigh".into()]);
    let mut stream = seat.client.chat_message_stream(&chat, said).await.unwrap();
    let (client, id) = (seat.client.clone(), chat.clone());
    let talk = listen(&mut stream, async move |call, name, arguments| {
        assert_eq!((name.as_str(), arguments), ("kettle", json!({"unit": "C"})));
        client.submit_chat_tool_result(&id, &call, true, Some(json!({"degrees": 96})), None).await.unwrap();
    })
    .await;
    assert_eq!(talk.text, "It is hot.");
    let end = talk.end.unwrap();
    assert!(!end.message_id.is_empty());
    assert_eq!(end.tool_calls.unwrap().as_array().unwrap().len(), 1);
    assert!(last_answer(&seat).contains("96"), "{}", last_answer(&seat));
    // What fails before a word was said is a status; what fails later is an event.
    let gate = Arc::new(Notify::new());
    let broken = Script::new().text("It is ").gate(Arc::clone(&gate));
    seat.rig.model.push(broken.fail(EngineError::upstream("the kettle is empty")));
    let mut stream =
        seat.client.chat_message_stream(&chat, ChatMessageRequest::new("And now?")).await.unwrap();
    assert!(matches!(stream.recv().await, Some(ChatStreamEvent::Chunk(text)) if text == "It is "));
    gate.notify_one();
    refused(hear(&mut stream).await.end.map(|_| "an end"))
}

/// A call that failed at the client; one that nobody waits for is not found.
async fn submit_chat_tool_result(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    seat.rig.model.push(asking_kettle());
    let definition = kettle();
    let tool = ClientToolDef {
        name: definition.name,
        description: definition.description,
        parameters: definition.parameters,
    };
    let said = ChatMessageRequest::new("How hot?").client_tools(vec![tool]);
    let mut stream = seat.client.chat_message_stream(&chat, said).await.unwrap();
    let (client, id) = (seat.client.clone(), chat.clone());
    let talk = listen(&mut stream, async move |call, _, _| {
        let why = Some(String::from("it fell off the stove"));
        client.submit_chat_tool_result(&id, &call, false, None, why).await.unwrap();
    });
    assert_eq!(talk.await.text, "Hello there.");
    assert!(last_answer(&seat).contains("it fell off the stove"), "{}", last_answer(&seat));
    refused(seat.client.submit_chat_tool_result(&chat, "nobody", true, None, None).await)
}

async fn get_chat_session_messages(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    say(&seat, &chat, "one").await;
    say(&seat, &chat, "two").await;
    let query = || GetMessagesQuery::new().sort("asc");
    let all = seat.client.get_chat_session_messages(&chat, query()).await.unwrap();
    assert_eq!((all.total, all.returned, all.skip), (4, 4, 0));
    assert_eq!(texts(&seat, &chat).await[0], "one");
    let page = seat.client.get_chat_session_messages(&chat, query().limit(1).skip(2)).await.unwrap();
    assert_eq!((page.total, page.returned, page.skip, page.limit), (4, 1, 2, Some(1)));
    assert_eq!(column(&[raw(&page.messages[0])], "content"), [json!("two")]);
    refused(seat.client.get_chat_session_messages(NOBODY, query()).await)
}

async fn get_chat_message(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    let answer = say(&seat, &chat, "one").await;
    let message = raw(&seat.client.get_chat_message(&chat, &answer).await.unwrap());
    assert_eq!(column(std::slice::from_ref(&message), "content"), [json!("Hello there.")]);
    assert_eq!(column(&[message], "role"), [json!("assistant")]);
    refused(seat.client.get_chat_message(&chat, "999999").await)
}

async fn update_chat_message(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    let answer = say(&seat, &chat, "one").await;
    let change = || UpdateMessageRequest { content: String::from("Better.") };
    let message = seat.client.update_chat_message(&chat, &answer, change()).await.unwrap();
    assert_eq!(column(&[raw(&message)], "content"), [json!("Better.")]);
    assert_eq!(texts(&seat, &chat).await, [json!("one"), json!("Better.")]);
    refused(seat.client.update_chat_message(&chat, "999999", change()).await)
}

async fn delete_chat_message(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    let answer = say(&seat, &chat, "one").await;
    seat.client.delete_chat_message(&chat, &answer).await.unwrap();
    assert_eq!(texts(&seat, &chat).await, [json!("one")]);
    not_found(seat.client.delete_chat_message(&chat, &answer).await)
}

/// What is forgotten is kept, and no longer told to the model.
async fn toggle_forgotten_message(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    let answer = say(&seat, &chat, "one").await;
    let forget = |forgotten| ToggleForgottenRequest { forgotten };
    let message = seat.client.toggle_forgotten_message(&chat, &answer, forget(true)).await.unwrap();
    assert_eq!(column(&[raw(&message)], "forgotten"), [json!(true)]);
    say(&seat, &chat, "two").await;
    let told = format!("{:?}", seat.rig.model.requests().last().unwrap().messages);
    assert!(told.contains("one") && !told.contains("Hello there."), "{told}");
    assert_eq!(texts(&seat, &chat).await.len(), 4);
    refused(seat.client.toggle_forgotten_message(&chat, "999999", forget(true)).await)
}

async fn regenerate_chat_message(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    let answer = say(&seat, &chat, "one").await;
    seat.rig.model.push(Script::new().words("Said anew."));
    let reply = seat.client.regenerate_chat_message(&chat, &answer).await.unwrap();
    assert_eq!(reply.responses, ["Said anew."]);
    // The old answer is kept and forgotten.
    assert_eq!(texts(&seat, &chat).await, [json!("one"), json!("Hello there."), json!("Said anew.")]);
    say(&seat, &chat, "two").await;
    let told = format!("{:?}", seat.rig.model.requests().last().unwrap().messages);
    assert!(told.contains("Said anew.") && !told.contains("Hello there."), "{told}");
    refused(seat.client.regenerate_chat_message(&chat, "999999").await)
}
