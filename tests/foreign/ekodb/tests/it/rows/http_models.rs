//! Models, tools and embeddings over HTTP.

use serde_json::json;
use tidewire_engine::model::scripted::Script;
use tokio::sync::mpsc;

use super::http_door::stranger;
use super::socket_chats::{failing, question};
use super::{Refused, Seat, not_found, refused};
use crate::rig::MODEL;
use crate::table::rows;

rows! { Client {
    get_chat_models => ["Authentication error", "401"],
    get_chat_model => ["API error (4"],
    get_chat_tools => ["Authentication error", "401"],
    execute_tool => ["nothing weighs less than nothing"],
    raw_completion => ["API error (502)", "the kettle is empty"],
    raw_completion_stream => ["the kettle is empty"],
    raw_completion_stream_with_progress => ["the kettle is empty"],
    embed => ["API error (4"],
    embed_batch => ["API error (4"],
}}

async fn get_chat_models(seat: Seat) -> Refused {
    let models = seat.client.get_chat_models().await.unwrap();
    assert_eq!(models.openai, [MODEL]);
    assert!(models.anthropic.is_empty() && models.perplexity.is_empty());
    refused(stranger(&seat).get_chat_models().await)
}

async fn get_chat_model(seat: Seat) -> Refused {
    assert_eq!(seat.client.get_chat_model("openai").await.unwrap(), [MODEL]);
    not_found(seat.client.get_chat_model("teapots").await)
}

async fn get_chat_tools(seat: Seat) -> Refused {
    let tools = seat.client.get_chat_tools().await.unwrap();
    let weigh = tools.iter().find(|tool| tool["name"] == "weigh").unwrap();
    assert_eq!(weigh["description"], "Weighs tea");
    assert!(weigh["parameters"]["properties"]["grams"].is_object(), "{weigh}");
    refused(stranger(&seat).get_chat_tools().await)
}

async fn execute_tool(seat: Seat) -> Refused {
    let weigh = |grams: i64| json!({"grams": grams});
    let weighed = seat.client.execute_tool("weigh", &weigh(5), None).await.unwrap().unwrap();
    assert_eq!(weighed, json!({"weighed": 5}));
    refused(seat.client.execute_tool("weigh", &weigh(-1), None).await.expect("the endpoint is there"))
}

async fn raw_completion(seat: Seat) -> Refused {
    seat.rig.model.push(Script::new().words("I whistle."));
    assert_eq!(seat.client.raw_completion(question("What?")).await.unwrap().content, "I whistle.");
    let request = seat.rig.model.requests().remove(0);
    assert!(request.system.contains("You are a kettle."), "{}", request.system);
    assert_eq!(request.max_tokens, Some(100));
    seat.rig.model.push(failing());
    refused(seat.client.raw_completion(question("And now?")).await)
}

async fn raw_completion_stream(seat: Seat) -> Refused {
    seat.rig.model.push(Script::new().words("I whistle a long, long tune."));
    let reply = seat.client.raw_completion_stream(question("What?")).await.unwrap();
    assert_eq!(reply.content, "I whistle a long, long tune.");
    seat.rig.model.push(failing());
    refused(seat.client.raw_completion_stream(question("And now?")).await)
}

async fn raw_completion_stream_with_progress(seat: Seat) -> Refused {
    seat.rig.model.push(Script::new().words("I whistle a tune."));
    let (progress, mut heard) = mpsc::channel(100);
    let reply = seat.client.raw_completion_stream_with_progress(question("What?"), progress).await.unwrap();
    let mut tokens = String::new();
    while let Some(token) = heard.recv().await {
        tokens.push_str(&token);
    }
    assert_eq!((tokens.as_str(), reply.content.as_str()), ("I whistle a tune.", "I whistle a tune."));
    seat.rig.model.push(failing());
    let (progress, _heard) = mpsc::channel(100);
    refused(seat.client.raw_completion_stream_with_progress(question("And now?"), progress).await)
}

async fn embed(seat: Seat) -> Refused {
    assert_eq!(seat.client.embed("tea!", "letters").await.unwrap(), [2.0, 1.0, 1.0]);
    not_found(seat.client.embed("tea!", "hieroglyphs").await)
}

async fn embed_batch(seat: Seat) -> Refused {
    let texts = || ["tea", "pot"].map(str::to_owned).to_vec();
    let found = seat.client.embed_batch(texts(), "letters").await.unwrap();
    assert_eq!(found, [vec![2.0, 1.0, 0.0], vec![1.0, 2.0, 0.0]]);
    not_found(seat.client.embed_batch(texts(), "hieroglyphs").await)
}
