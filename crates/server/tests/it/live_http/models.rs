//! Models, tools, completions and embeddings.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tidewire_engine::Result;
use tidewire_engine::agent::tool::function;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::model::{Embedder, Status};

use super::Api;
use super::streams::Events;
use crate::house::House;

async fn house() -> House {
    House::with(|plan| {
        plan.model = ScriptedModel::new()
            .when("fail", Script::new().fail(tidewire_engine::Error::upstream("the provider is down")))
            .otherwise(Script::new().words("two words"));
    })
    .await
}

#[tokio::test]
async fn models_and_tools_are_listed() {
    let house = house().await;
    let api = Api::of(&house);
    let models = api.done("GET", "/api/chat_models", Value::Null).await;
    for provider in ["openai", "anthropic", "perplexity"] {
        assert!(models[provider].is_array(), "{models}");
    }
    assert_eq!(models["providers"]["scripted"]["status"], "ok");
    assert_eq!(api.done("GET", "/api/chat_models/scripted", Value::Null).await, json!(["scripted"]));
    assert_eq!(api.done("GET", "/api/chat_models/openai", Value::Null).await, json!([]));
    api.refused(404, "GET", "/api/chat_models/nonsense", Value::Null).await;
    let tools = api.done("GET", "/api/chat/tools", Value::Null).await;
    let first = &tools[0];
    assert!(first["name"].is_string() && first["parameters"]["type"] == "object", "{tools}");
}

#[tokio::test]
async fn a_tool_is_called_and_its_failure_is_an_answer() {
    let parameters = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let tool = function("double", "Doubles a number", parameters, |_, arguments: Value| async move {
        Ok(json!(arguments["n"].as_i64().unwrap_or(0) * 2))
    });
    let house = House::with(|plan| plan.tools.push(tool)).await;
    let api = Api::of(&house);
    let done =
        api.done("POST", "/api/chat/tools/execute", json!({"tool": "double", "params": {"n": 4}})).await;
    assert_eq!(done, json!({"success": true, "result": 8}));
    for wrong in
        [json!({"tool": "nonsense"}), json!({"tool": "double", "params": {"n": "x"}, "chat_id": null})]
    {
        let done = api.done("POST", "/api/chat/tools/execute", wrong).await;
        assert_eq!(done["success"], false);
        assert!(!done["error"].as_str().unwrap().is_empty(), "{done}");
    }
    api.refused(400, "POST", "/api/chat/tools/execute", json!({})).await;
}

#[tokio::test]
async fn a_model_is_asked_once() {
    let house = house().await;
    let api = Api::of(&house);
    let ask = |message: &str| json!({"system_prompt": "be brief", "message": message, "max_tokens": 10});
    assert_eq!(api.done("POST", "/api/chat/complete", ask("hello")).await["content"], "two words");
    assert_eq!(api.refused(502, "POST", "/api/chat/complete", ask("fail")).await, "the provider is down");
    api.refused(400, "POST", "/api/chat/complete", ask(" ")).await;
}

#[tokio::test]
async fn a_completion_is_streamed_token_by_token() {
    let house = house().await;
    let api = Api::of(&house);
    let ask = json!({"system_prompt": "", "message": "hello"});
    let request = api.request("POST", "/api/chat/complete/stream").json(&ask);
    let mut events = Events::of(request.send().await.unwrap());
    let mut text = String::new();
    let end = loop {
        let event = events.next().await.expect("the stream has an end");
        match event.data["token"].as_str() {
            Some(token) => text.push_str(token),
            None => break event.data,
        }
    };
    assert_eq!((text.as_str(), end), ("two words", json!({"content": "two words"})));
    assert!(events.next().await.is_none());
    api.refused(502, "POST", "/api/chat/complete/stream", json!({"system_prompt": "", "message": "fail"}))
        .await;
}

/// The length of a text, as a vector.
struct Lengths;

#[async_trait]
impl Embedder for Lengths {
    fn name(&self) -> &str {
        "lengths"
    }

    fn status(&self) -> Status {
        Status::Ready
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| vec![text.len() as f32, 0.5]).collect())
    }
}

#[tokio::test]
async fn texts_become_vectors() {
    let house = House::with(|plan| plan.embedder = Some(Arc::new(Lengths))).await;
    let api = Api::of(&house);
    let one = api.done("POST", "/api/embed", json!({"text": "abc"})).await;
    assert_eq!(one, json!({"embeddings": [[3.0, 0.5]], "model": "lengths", "dimensions": 2}));
    let two = api.done("POST", "/api/embed", json!({"texts": ["a", "ab"], "model": "lengths"})).await;
    assert_eq!(two["embeddings"], json!([[1.0, 0.5], [2.0, 0.5]]));
    api.refused(400, "POST", "/api/embed", json!({})).await;
    api.refused(400, "POST", "/api/embed", json!({"text": "a", "model": "other"})).await;
    Api::of(&House::open().await).refused(503, "POST", "/api/embed", json!({"text": "a"})).await;
}
