//! What the later version can do over HTTP beside.

use std::collections::HashMap;

use serde_json::{Value, json};
use tidewire_engine::model::scripted::Script;

use super::ekodb::chat::{ChatMessageRequest, ClientToolDef, CreateChatSessionRequest};
use super::ekodb::options::{BatchDeleteOptions, BatchInsertOptions, BatchUpdateOptions, DeleteOptions};
use super::ekodb::{Client, SchemaConstraintUpdate};
use super::http_door::stranger;
use super::seat::{raw, record};
use super::socket_chats::{asking_kettle, kettle, listen};
use super::{Refused, Seat, refused};
use crate::rig::{column, typed};
use crate::table::rows;

rows! { Client {
    health => ["Connection error"],
    health_status => never "it returns a status also for a server that is not there",
    find_by_id_with_projection => ["Record not found"],
    delete_with_options => ["Record not found"],
    batch_insert_with_options => ["API error (400)"],
    batch_update_with_options => ["API error (400)"],
    batch_delete_with_options => ["API error (400)"],
    kv_clear => ["Authentication error", "401"],
    update_schema_constraints => ["Record not found"],
    submit_chat_tool_keepalive => ["API error (404)"],
    compact_chat => ["Record not found"],
}}

fn nobody() -> Client {
    Client::builder().base_url("http://127.0.0.1:1").api_key("k").build().unwrap()
}

async fn health(seat: Seat) -> Refused {
    seat.client.health().await.unwrap();
    refused(nobody().health().await)
}

async fn health_status(seat: Seat) {
    let status = seat.client.health_status().await;
    assert_eq!((status.reachable, status.status.as_str(), status.integrity_ok), (true, "ok", true));
    assert!(!nobody().health_status().await.reachable);
}

async fn find_by_id_with_projection(seat: Seat) -> Refused {
    seat.people().await;
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let some =
        seat.client.find_by_id_with_projection("people", "a", names(&["age", "town"]), None).await.unwrap();
    assert_eq!(raw(&some), json!({"id": "a", "age": typed(36), "town": typed("London")}));
    let rest =
        seat.client.find_by_id_with_projection("people", "a", None, names(&["age", "town"])).await.unwrap();
    assert_eq!(raw(&rest), json!({"id": "a", "name": typed("Ada")}));
    refused(seat.client.find_by_id_with_projection("people", "nobody", None, None).await)
}

async fn delete_with_options(seat: Seat) -> Refused {
    seat.people().await;
    let options = || DeleteOptions::new().bypass_ripple(true);
    seat.client.delete_with_options("people", "a", options()).await.unwrap();
    assert_eq!(seat.client.count_documents("people").await.unwrap(), 2);
    refused(seat.client.delete_with_options("people", "a", options()).await)
}

async fn batch_insert_with_options(seat: Seat) -> Refused {
    let options = || BatchInsertOptions::new().bypass_ripple(true);
    let reply =
        seat.client.batch_insert_with_options("people", vec![record(json!({"id": "a"}))], options()).await;
    assert_eq!(raw(&reply.unwrap()[0])["id"], "a");
    refused(seat.client.batch_insert_with_options("_secret", vec![record(json!({}))], options()).await)
}

async fn batch_update_with_options(seat: Seat) -> Refused {
    seat.people().await;
    let options = || BatchUpdateOptions::new().bypass_ripple(false);
    let updates = || vec![("a".to_owned(), record(json!({"age": 1})))];
    seat.client.batch_update_with_options("people", updates(), options()).await.unwrap();
    assert_eq!(seat.person("a").await["age"], typed(1));
    refused(seat.client.batch_update_with_options("_secret", updates(), options()).await)
}

async fn batch_delete_with_options(seat: Seat) -> Refused {
    seat.people().await;
    let options = || BatchDeleteOptions::new().bypass_ripple(true);
    let ids = || vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(seat.client.batch_delete_with_options("people", ids(), options()).await.unwrap(), 2);
    refused(seat.client.batch_delete_with_options("_secret", ids(), options()).await)
}

async fn kv_clear(seat: Seat) -> Refused {
    seat.client.kv_set("a", json!(1), None).await.unwrap();
    seat.client.kv_set("b", json!(2), None).await.unwrap();
    seat.client.kv_clear().await.unwrap();
    assert_eq!(seat.client.kv_find(None, true).await.unwrap(), Vec::<Value>::new());
    refused(stranger(&seat).kv_clear().await)
}

/// Only what is set changes.
async fn update_schema_constraints(seat: Seat) -> Refused {
    let schema = json!({"fields": {"name": {"field_type": "String", "unique": true}}});
    seat.socket.create_collection("people", Some(schema)).await.unwrap();
    let needed = SchemaConstraintUpdate { required: Some(true), ..SchemaConstraintUpdate::default() };
    let change = || HashMap::from([("name".to_owned(), needed.clone())]);
    seat.client.update_schema_constraints("people", change()).await.unwrap();
    let schema = seat.client.get_schema("people").await.unwrap();
    assert!(schema.fields["name"].required && schema.fields["name"].unique);
    assert!(seat.client.insert("people", record(json!({"age": 1})), None).await.is_err());
    refused(seat.client.update_schema_constraints("dragons", change()).await)
}

async fn opened(seat: &Seat) -> String {
    seat.client.create_chat_session(CreateChatSessionRequest::new("openai")).await.unwrap().chat_id
}

/// A client that says that it still works is waited for.
async fn submit_chat_tool_keepalive(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    seat.rig.model.push(asking_kettle());
    seat.rig.model.push(Script::new().words("Hot."));
    let kettle = kettle();
    let tool =
        ClientToolDef { name: kettle.name, description: kettle.description, parameters: kettle.parameters };
    let said = ChatMessageRequest::new("How hot?").client_tools(vec![tool]);
    let mut stream = seat.client.chat_message_stream(&chat, said).await.unwrap();
    let talk = listen(&mut stream, async |call, _, _| {
        seat.client.submit_chat_tool_keepalive(&chat, &call).await.unwrap();
        seat.client.submit_chat_tool_result(&chat, &call, true, Some(json!(96)), None).await.unwrap();
    });
    assert_eq!(talk.await.text, "Hot.");
    refused(seat.client.submit_chat_tool_keepalive(&chat, "nobody").await)
}

async fn compact_chat(seat: Seat) -> Refused {
    let chat = opened(&seat).await;
    for words in ["one", "two", "three"] {
        seat.client.chat_message(&chat, ChatMessageRequest::new(words)).await.unwrap();
    }
    seat.rig.model.push(Script::new().words("They counted."));
    let reply = seat.client.compact_chat(&chat, Some(2)).await.unwrap();
    assert_eq!((reply.folded, reply.kept_recent, reply.already_compact), (4, 2, false));
    assert_eq!(reply.summary_chars, "They counted.".len());
    let summary = reply.summary_message_id.unwrap();
    let summary = raw(&seat.client.get_chat_message(&chat, &summary).await.unwrap());
    assert_eq!(column(&[summary], "content"), [json!("They counted.")]);
    seat.client.chat_message(&chat, ChatMessageRequest::new("four")).await.unwrap();
    let asked = seat.rig.model.requests().pop().unwrap();
    let told = format!("{} {:?}", asked.system, asked.messages);
    assert!(told.contains("They counted.") && !told.contains("\"one\""), "{told}");
    assert!(seat.client.compact_chat(&chat, Some(50)).await.unwrap().already_compact);
    refused(seat.client.compact_chat("00000000000000000000000000000000", None).await)
}
