//! Chats: opened, spoken in, read and changed.

use serde_json::{Value, json};
use tidewire_engine::model::scripted::{Script, ScriptedModel};

use super::Api;
use super::streams::Events;
use crate::house::House;

async fn house() -> House {
    House::with(|plan| {
        plan.model = ScriptedModel::new()
            .when("fail", Script::new().fail(tidewire_engine::Error::upstream("the provider is down")))
            .when("weather", Script::new().call("weather", json!({"city": "Lyon"})))
            .after("weather", Script::new().words("It is sunny."))
            .otherwise(Script::new().words("two words").usage(7, 2));
    })
    .await
}

async fn open(api: &Api) -> String {
    let settings = json!({
        "collections": [{"collection_name": "books", "fields": [{"field_name": "title"}]}],
        "llm_provider": "openai", "system_prompt": "be brief", "bypass_ripple": null,
    });
    let opened = api.done("POST", "/api/chat", settings).await;
    assert_eq!(
        (&opened["message_id"], &opened["responses"], &opened["context_snippets"]),
        (&json!(""), &json!([]), &json!([]))
    );
    assert!(opened["execution_time_ms"].is_u64());
    opened["chat_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_chat_is_opened_listed_changed_and_deleted() {
    let house = house().await;
    let api = Api::of(&house);
    let chat = open(&api).await;
    let list = api.done("GET", "/api/chat?limit=10&skip=0&sort=desc", Value::Null).await;
    assert_eq!((&list["total"], &list["returned"]), (&json!(1), &json!(1)));
    let listed = &list["sessions"][0];
    assert_eq!((&listed["chat_id"], &listed["llm_provider"]), (&json!(chat), &json!("openai")));
    assert_eq!(listed["collections"][0]["collection_name"], "books");

    let path = format!("/api/chat/{chat}");
    let read = api.done("GET", &path, Value::Null).await;
    assert_eq!(read["message_count"], 0);
    assert_eq!(read["session"]["system_prompt"], json!({"type": "String", "value": "be brief"}));
    let changed = api.done("PUT", &path, json!({"title": "Books", "memory": {"a": 1}})).await;
    assert_eq!(changed["session"]["title"]["value"], "Books");
    assert_eq!(changed["session"]["memory"]["value"], json!({"a": 1}));
    assert_eq!(changed["session"]["system_prompt"]["value"], "be brief");
    api.refused(400, "PUT", &path, json!({"collections": 7})).await;
    api.done("DELETE", &path, Value::Null).await;
    api.refused(404, "GET", &path, Value::Null).await;
    api.refused(404, "GET", "/api/chat/nonsense", Value::Null).await;
    assert!(open(&api).await.len() == 32);
}

#[tokio::test]
async fn a_message_is_answered_whole() {
    let house = house().await;
    let api = Api::of(&house);
    let chat = open(&api).await;
    let path = format!("/api/chat/{chat}/messages");
    let answer = api.done("POST", &path, json!({"message": "hello", "bypass_ripple": null})).await;
    assert_eq!((&answer["chat_id"], &answer["responses"]), (&json!(chat), &json!(["two words"])));
    assert_eq!(answer["token_usage"]["total_tokens"], 9);
    let id = answer["message_id"].as_str().unwrap();
    let message = api.done("GET", &format!("{path}/{id}"), Value::Null).await;
    assert_eq!(
        (&message["role"]["value"], &message["content"]["value"]),
        (&json!("assistant"), &json!("two words"))
    );

    assert_eq!(api.refused(502, "POST", &path, json!({"message": "fail"})).await, "the provider is down");
    api.refused(400, "POST", &path, json!({"message": " "})).await;
    api.refused(400, "POST", &path, json!({})).await;
    api.refused(
        501,
        "POST",
        &path,
        json!({"message": "see", "attachments": [{"mime_type": "image/png", "data": ""}]}),
    )
    .await;
    let unknown = format!("/api/chat/{}/messages", "0".repeat(32));
    api.refused(404, "POST", &unknown, json!({"message": "hello"})).await;
}

#[tokio::test]
async fn an_answer_is_streamed_and_ends_with_its_facts() {
    let house = house().await;
    let api = Api::of(&house);
    let path = format!("/api/chat/{}/messages/stream", open(&api).await);
    let mut events =
        Events::of(api.request("POST", &path).json(&json!({"message": "hello"})).send().await.unwrap());
    let mut text = String::new();
    let end = loop {
        let event = events.next().await.expect("the stream has an end");
        match event.data["token"].as_str() {
            Some(token) => text.push_str(token),
            None => break event.data,
        }
    };
    assert_eq!((text.as_str(), &end["content"]), ("two words", &json!("two words")));
    assert!(end["message_id"].is_string() && end["execution_time_ms"].is_u64(), "{end}");
    assert_eq!((&end["token_usage"]["prompt_tokens"], &end["tool_call_history"]), (&json!(7), &json!([])));
    assert!(events.next().await.is_none());
    // It was accepted, so what goes wrong is told in the stream.
    let failing = api.request("POST", &path).json(&json!({"message": "fail"})).send().await.unwrap();
    let mut failing = Events::of(failing);
    let last = failing.expect("error").await.data;
    assert_eq!((&last["error"], &last["code"]), (&json!("the provider is down"), &json!(502)));
    assert!(failing.next().await.is_none());
    api.refused(400, "POST", &path, json!({"message": ""})).await;
}

#[tokio::test]
async fn tools_are_allowed_by_a_message_or_by_the_chat() {
    let house = house().await;
    let api = Api::of(&house);
    let offered = || -> Vec<String> {
        let requests = house.model.requests();
        requests.last().unwrap().tools.iter().map(|tool| tool.name.clone()).collect()
    };
    let path = format!("/api/chat/{}/messages", open(&api).await);
    let say = |config: Value| json!({"message": "hello", "tool_config": config});
    api.done("POST", &path, say(Value::Null)).await;
    let all = offered();
    assert!(all.len() > 1, "{all:?}");
    api.done("POST", &path, say(json!({"enabled": true, "allowed_tools": [all[0]], "max_iterations": 2})))
        .await;
    assert_eq!(offered(), all[..1]);
    api.done("POST", &path, say(json!({"enabled": false}))).await;
    assert_eq!(offered(), Vec::<String>::new());
    let sentence = api.refused(400, "POST", &path, say(json!({"allowed_tools": 7}))).await;
    assert!(sentence.contains("tool_config is"), "{sentence}");

    let settings = json!({"llm_provider": "openai", "collections": [], "tool_config": {"enabled": true, "allowed_tools": [all[1]]}});
    let opened = api.done("POST", "/api/chat", settings).await;
    let path = format!("/api/chat/{}/messages", opened["chat_id"].as_str().unwrap());
    api.done("POST", &path, json!({"message": "hello"})).await;
    assert_eq!(offered(), all[1..2]);
}

#[tokio::test]
async fn a_clients_tool_is_asked_for_in_the_stream_and_answered_beside_it() {
    let house = house().await;
    let api = Api::of(&house);
    let chat = open(&api).await;
    let tool = json!({"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}});
    let ask = json!({"message": "weather", "client_tools": [tool]});
    let path = format!("/api/chat/{chat}/messages/stream");
    let mut events = Events::of(api.request("POST", &path).json(&ask).send().await.unwrap());
    let call = events.next().await.unwrap().data;
    assert_eq!(
        (&call["event"], &call["tool"], &call["args"]),
        (&json!("tool_call"), &json!("weather"), &json!({"city": "Lyon"}))
    );
    let result = format!("/api/chat/{chat}/tool-result");
    let answer = |id: &Value| json!({"call_id": id, "success": true, "result": {"sky": "blue"}});
    api.done("POST", &result, json!({"call_id": call["call_id"], "keepalive": true})).await;
    api.done("POST", &result, answer(&call["call_id"])).await;
    let end = loop {
        let event = events.next().await.expect("the stream has an end").data;
        if event.get("content").is_some() {
            break event;
        }
    };
    assert_eq!(end["content"], "It is sunny.");
    assert_eq!(end["tool_call_history"][0]["result"], json!({"sky": "blue"}));
    api.refused(404, "POST", &result, answer(&call["call_id"])).await;
}

#[tokio::test]
async fn messages_are_listed_edited_forgotten_given_anew_and_deleted() {
    let house = house().await;
    let api = Api::of(&house);
    let chat = open(&api).await;
    let path = format!("/api/chat/{chat}/messages");
    let answer = api.done("POST", &path, json!({"message": "hello"})).await;
    let list = api.done("GET", &format!("{path}?limit=10"), Value::Null).await;
    assert_eq!(
        (&list["total"], &list["skip"], &list["limit"], &list["returned"]),
        (&json!(2), &json!(0), &json!(10), &json!(2))
    );
    let question = list["messages"][0]["id"].as_str().unwrap();
    assert_eq!(list["messages"][0]["content"]["value"], "hello");
    let newest = api.done("GET", &format!("{path}?sort=desc&limit=1"), Value::Null).await;
    assert_eq!(newest["messages"][0]["id"], answer["message_id"]);

    let edited = api.done("PUT", &format!("{path}/{question}"), json!({"content": "good day"})).await;
    assert_eq!((&edited["id"], &edited["content"]["value"]), (&json!(question), &json!("good day")));
    let forgotten =
        api.done("PATCH", &format!("{path}/{question}/forgotten"), json!({"forgotten": true})).await;
    assert_eq!(forgotten["forgotten"]["value"], true);
    api.done("PATCH", &format!("{path}/{question}/forgotten"), json!({"forgotten": false})).await;
    let anew = format!("{path}/{}/regenerate", answer["message_id"].as_str().unwrap());
    let again = api.done("POST", &anew, json!({})).await;
    assert_eq!(again["responses"], json!(["two words"]));
    assert_ne!(again["message_id"], answer["message_id"]);
    api.done("DELETE", &format!("{path}/{question}"), Value::Null).await;
    for (method, path) in [
        ("GET", format!("{path}/{question}")),
        ("DELETE", format!("{path}/9999")),
        ("GET", format!("{path}/x")),
    ] {
        api.refused(404, method, &path, Value::Null).await;
    }
    api.refused(400, "GET", &format!("{path}?sort=sideways"), Value::Null).await;
}

#[tokio::test]
async fn chats_are_branched_merged_and_compacted() {
    let house = house().await;
    let api = Api::of(&house);
    let (first, second) = (open(&api).await, open(&api).await);
    for chat in [&first, &second] {
        api.done("POST", &format!("/api/chat/{chat}/messages"), json!({"message": "hello"})).await;
    }
    let branch = api
        .done(
            "POST",
            "/api/chat/branch",
            json!({"parent_id": first, "branch_point_idx": 2, "llm_provider": "openai", "collections": []}),
        )
        .await;
    let branched = branch["chat_id"].as_str().unwrap();
    assert_ne!(branched, first);
    let list = api.done("GET", &format!("/api/chat/{branched}/messages"), Value::Null).await;
    assert_eq!(list["messages"][1]["content"]["value"], "two words");
    api.refused(400, "POST", "/api/chat/branch", json!({"llm_provider": "openai", "collections": []})).await;

    let merge =
        json!({"source_chat_ids": [second], "target_chat_id": first, "merge_strategy": "Chronological"});
    let merged = api.done("POST", "/api/chat/merge", merge.clone()).await;
    assert_eq!(
        (&merged["message_count"], &merged["session"]["chat_id"]["value"]),
        (&json!(4), &json!(first))
    );
    let wrong = json!({"source_chat_ids": [second], "target_chat_id": first, "merge_strategy": "Loudest"});
    api.refused(400, "POST", "/api/chat/merge", wrong).await;

    let compact = format!("/api/chat/{first}/compact");
    let done = api.done("POST", &compact, json!({"keep_recent": 2})).await;
    assert_eq!(
        (&done["folded"], &done["kept_recent"], &done["already_compact"]),
        (&json!(2), &json!(2), &json!(false))
    );
    assert!(done["summary_message_id"].is_string() && done["summary_chars"].as_u64().unwrap() > 0, "{done}");
    let again = api.done("POST", &compact, json!({"keep_recent": 100})).await;
    assert_eq!((&again["already_compact"], &again["summary_message_id"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn a_chat_that_is_deleted_while_it_answers_ends_the_stream() {
    let house = House::with(|plan| {
        plan.model = ScriptedModel::new().otherwise(Script::new().words("one word").hang());
    })
    .await;
    let api = Api::of(&house);
    let chat = open(&api).await;
    let path = format!("/api/chat/{chat}/messages/stream");
    let request = api.request("POST", &path).json(&json!({"message": "hello"}));
    let mut events = Events::of(request.send().await.unwrap());
    let first = events.next().await.unwrap().data;
    assert!(first["token"].as_str().unwrap().starts_with("one"), "{first}");
    api.done("DELETE", &format!("/api/chat/{chat}"), Value::Null).await;
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.data);
    }
    let last = last.expect("it says how it ended");
    assert!(last.get("content").is_some() || last["code"] == 404, "{last}");
}
