//! What the chat service promises of the socket itself, beside its written conversations.

use serde_json::{Value, json};
use tidewire_engine::model::Message;
use tidewire_engine::model::scripted::{Script, ScriptedModel};

use crate::client::Client;
use crate::house::{House, KEY};

fn question(name: &str, content: &str) -> Value {
    json!({"type": "new_chat", "userId": "ann", "runId": name, "partials": "delta",
           "messages": [{"role": "user", "content": content}]})
}

/// The text that a reader of partials ends up with; `end` is what its frames are called at the end.
async fn read_text(client: &mut Client, mut take: impl FnMut(&Value, &mut String) -> bool) -> String {
    let mut text = String::new();
    loop {
        let frame = client.next().await;
        if take(&frame, &mut text) {
            return text;
        }
    }
}

async fn read_chat_service(client: &mut Client) -> String {
    read_text(client, |frame, text| {
        let data = &frame["data"];
        if let Some(whole) = data["text"].as_str() {
            *text = whole.to_owned();
        }
        if let Some(delta) = data["delta"].as_str() {
            text.push_str(delta);
        }
        frame["type"] == "end"
    })
    .await
}

/// One run on three sockets, each in its own words, each from another place.
#[tokio::test]
async fn one_run_is_followed_in_three_dialects_from_any_point() {
    let words: String = (0..400).map(|number| format!("w{number} ")).collect();
    let script = Script::new().pace(std::time::Duration::from_millis(2)).words(&words);
    let house = House::with(|plan| plan.model = ScriptedModel::new().otherwise(script)).await;
    let mut asking = Client::connect(house.address, "/chat").await;
    asking.send(question("tour", "go on")).await;
    let run = asking.until("run").await;
    let chat = run["data"]["chatId"].as_str().unwrap().to_owned();
    asking.until("text").await;

    // By its alias from the beginning, and by the chat's id from a place in the middle.
    let mut session = house.client("tour").await;
    session.send(json!({"after_seq": 0, "partials": "delta"})).await;
    assert_eq!(session.until("ready").await["chat_id"], *chat);
    let mut live = Client::connect(house.address, "/api/ws").await;
    live.send(json!({"type": "ChatFollow", "messageId": "1", "payload": {"chat_id": chat, "after_seq": 20}}))
        .await;
    assert_eq!(live.next().await["type"], "Success");
    let mut by_id = house.client(&chat).await;
    by_id.send(json!({"after_seq": 5, "partials": "delta"})).await;
    assert_eq!(by_id.until("ready").await["chat_id"], *chat);

    let theirs = read_text(&mut session, |frame, text| {
        if frame["type"] == "agent" {
            frame["content"].as_str().unwrap().clone_into(text);
            return true;
        }
        text.push_str(frame["delta"].as_str().unwrap_or_default());
        false
    });
    let last = read_text(&mut live, |frame, text| {
        if frame["type"] == "ChatStreamEnd" {
            frame["payload"]["content"].as_str().unwrap().clone_into(text);
        }
        frame["type"] == "ChatStreamEnd"
    });
    let named = read_text(&mut by_id, |frame, text| {
        text.push_str(frame["content"].as_str().unwrap_or_default());
        frame["type"] == "agent" && {
            frame["content"].as_str().unwrap().clone_into(text);
            true
        }
    });
    let (mine, theirs, last, named) = tokio::join!(read_chat_service(&mut asking), theirs, last, named);
    assert_eq!([&*mine, &*theirs, &*last, &*named], [&*words; 4]);
    assert_eq!(house.model.requests().len(), 1, "it is one run");

    // And from a dialect that did not begin it, after it has ended.
    let mut late = Client::connect(house.address, "/chat/ws?type=resume_chat").await;
    late.send(json!({"runId": chat, "afterSeq": 30})).await;
    assert_eq!(read_chat_service(&mut late).await, words);
}

/// What is asked on `/ws` is read on `/chat/ws`.
#[tokio::test]
async fn a_session_of_another_dialect_is_resumed() {
    let house = House::open().await;
    let mut session = house.client("s").await;
    session.ask("3 tokens").await;
    session.until("agent").await;
    let mut client = Client::connect(house.address, "/chat/ws").await;
    client.send(json!({"type": "resume_chat", "runId": "s"})).await;
    assert_eq!(read_chat_service(&mut client).await, "token token token ");
    // The server chooses names of 32 hex digits; other dialects know them too.
    client
        .send(
            json!({"type": "new_chat", "userId": "a", "messages": [{"role": "user", "content": "1 tokens"}]}),
        )
        .await;
    let end = client.until("end").await;
    let name = end["data"]["runId"].as_str().unwrap().to_owned();
    assert_eq!(name.len(), 32);
    let mut live = Client::connect(house.address, "/api/ws").await;
    live.send(json!({"type": "ChatFollow", "messageId": "1", "payload": {"chat_id": name, "after_seq": 0}}))
        .await;
    assert_eq!(live.next().await["type"], "Success");
    assert_eq!(live.until("ChatStreamEnd").await["payload"]["content"], "token ");
}

#[tokio::test]
async fn what_was_said_before_is_told_to_the_model_once() {
    let house = House::open().await;
    let mut client = Client::connect(house.address, "/chat/ws").await;
    let mut asked = question("c", "1 tokens");
    asked["messages"] = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "1 tokens"}]);
    for _ in 0..2 {
        client.send(asked.clone()).await;
        client.until("end").await;
    }
    client.send(json!({"type": "resume_chat", "runId": "c", "newMessage": {"role": "user", "content": "2 tokens"}})).await;
    client.until("end").await;
    let requests = house.model.requests();
    assert_eq!(requests.len(), 2, "the same request is answered once");
    for request in &requests {
        assert!(request.system.contains("Be brief."), "{}", request.system);
    }
    let said = |message: &Message| match message {
        Message::User(text) => format!("user: {text}"),
        Message::Assistant { text, .. } => format!("assistant: {text}"),
        other => format!("{other:?}"),
    };
    let first: Vec<_> = requests[0].messages.iter().map(said).collect();
    assert_eq!(first, ["user: Hello", "assistant: Hello!", "user: 1 tokens"]);
    let second: Vec<_> = requests[1].messages.iter().map(said).collect();
    assert_eq!(
        second,
        ["user: Hello", "assistant: Hello!", "user: 1 tokens", "assistant: token ", "user: 2 tokens"]
    );
}

/// Somebody else's chat and one that never was sound the same, and a name of one's own is no other's.
#[tokio::test]
async fn a_chat_belongs_to_who_opened_it() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
    let (ann, bob) = (ticket(&house, "ann").await, ticket(&house, "bob").await);
    let connect = async |token: &str| {
        let bearer = format!("Bearer {token}");
        Client::connect_with(house.address, "/chat/ws", &[("authorization", &bearer)]).await.unwrap()
    };
    let (mut ann, mut bob) = (connect(&ann).await, connect(&bob).await);
    ann.send(question("c", "2 tokens")).await;
    let run = ann.until("run").await;
    ann.until("end").await;
    let mut sentences = Vec::new();
    for name in ["c", run["data"]["chatId"].as_str().unwrap(), "never"] {
        bob.send(json!({"type": "resume_chat", "runId": name, "afterSeq": 0})).await;
        let error = bob.next().await;
        assert_eq!(error["data"]["code"], "not_found", "{error}");
        assert_eq!(bob.next().await["type"], "end");
        sentences.push(error["data"]["message"].clone());
    }
    assert!(sentences.iter().all(|sentence| *sentence == sentences[0]));
    // A user id is the key's own.
    bob.send(question("b", "1 tokens")).await;
    let error = bob.next().await;
    assert_eq!((&error["data"]["code"], &error["data"]["field"]), (&json!("forbidden"), &json!("userId")));
    assert_eq!(bob.next().await["type"], "end");
}

/// A token for a subject, made with the server's key.
async fn ticket(house: &House, subject: &str) -> String {
    let body = json!({"api_key": KEY, "subject": subject, "grants": [], "expires_in": 600});
    let asked = reqwest::Client::new().post(house.url("/api/auth/token")).json(&body);
    let answer: Value = asked.send().await.unwrap().json().await.unwrap();
    answer["token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn ten_megabytes_are_refused_in_a_frame_and_the_socket_stays_open() {
    let house = House::open().await;
    let mut client = Client::connect(house.address, "/chat/ws").await;
    client.send(question("big", &"x".repeat(10 << 20))).await;
    let error = client.next().await;
    assert_eq!((&error["type"], &error["data"]["code"]), (&json!("error"), &json!("too_large")));
    assert_eq!(client.next().await["type"], "end");
    client.send(question("small", "1 tokens")).await;
    assert_eq!(client.until("end").await["data"]["runId"], "small");
}

/// The engine takes what a dialect says of a beginning only while nothing was said.
#[tokio::test]
async fn a_beginning_is_none_later() {
    let house = House::open().await;
    let mut session = house.client("c").await;
    session.ask("1 tokens").await;
    session.until("agent").await;
    let mut client = Client::connect(house.address, "/chat/ws").await;
    let mut asked = question("c", "2 tokens");
    asked["messages"] =
        json!([{"role": "system", "content": "Be late."}, {"role": "user", "content": "2 tokens"}]);
    client.send(asked).await;
    client.until("end").await;
    let requests = house.model.requests();
    assert!(!requests[1].system.contains("Be late."), "{}", requests[1].system);
}

#[tokio::test]
async fn messages_to_one_chat_are_limited_by_whatever_dialect_they_come() {
    let house = House::with(|plan| {
        plan.config.limits.message_burst = 3;
        plan.config.limits.message_refill_ms = 600_000;
    })
    .await;
    let mut client = Client::connect(house.address, "/chat/ws").await;
    client.send(question("busy", "1 tokens")).await;
    client.until("end").await;
    let further = |content: &str| json!({"type": "resume_chat", "runId": "busy", "newMessage": {"role": "user", "content": content}});
    for _ in 0..2 {
        client.send(further("1 tokens")).await;
        client.until("end").await;
    }
    client.send(further("1 tokens")).await;
    let refused = client.until("error").await;
    assert_eq!(refused["data"]["code"], "rate_limited", "{refused}");
    assert!(refused["data"]["retryAfterMs"].as_u64().unwrap() > 0, "{refused}");
    client.until("end").await;
    // It is the chat's limit, not the socket's: another dialect has none left, another chat has its own.
    let mut session = house.client("busy").await;
    session.ask("1 tokens").await;
    assert_eq!(session.until("error").await["code"], "RATE_LIMITED");
    client.send(question("quiet", "1 tokens")).await;
    assert_eq!(client.until("end").await["data"]["runId"], "quiet");
}
