//! Opening and closing sockets, and what arrives on them unasked.

use serde_json::json;

use super::ekodb::WebSocketClient;
use super::ekodb::schema_cache::{SchemaCache, SchemaCacheConfig};
use super::{Refused, Seat, refused};
use crate::rig::{eventually, typed};
use crate::table::rows;

rows! { WebSocketClient {
    new => ["Invalid URL"],
    close => never "the crate drops what a close can fail with",
    set_schema_cache => never "it returns nothing",
    subscribe => ["API error (400)"],
}}

async fn new(seat: Seat) -> Refused {
    let token = seat.client.get_token().await.unwrap();
    let socket = WebSocketClient::new(format!("{}/anywhere?at=all", seat.rig.ws()), token).unwrap();
    let reply = socket.insert("people", json!({"id": "a"}), None).await.unwrap();
    assert_eq!(reply["id"], "a");
    refused(WebSocketClient::new("not an address", "").map(|_| ()))
}

/// A socket that was closed opens again at the next call.
async fn close(seat: Seat) {
    seat.people().await;
    seat.socket.close().await.unwrap();
    let error = seat.socket.send_tool_result("c", "1", true, None, None).await.unwrap_err();
    assert!(error.to_string().contains("Not connected"), "{error}");
    let again = seat.another().await;
    assert_eq!(again.find_all("people").await.unwrap().len(), 3);
}

async fn set_schema_cache(seat: Seat) {
    let config = SchemaCacheConfig { enabled: true, ..SchemaCacheConfig::default() };
    let cache = std::sync::Arc::new(SchemaCache::new(config));
    seat.socket.set_schema_cache(cache.clone()).await;
    seat.people().await;
    let _changes = seat.socket.subscribe("people", None, None).await.unwrap();
    seat.socket.delete_collection("people").await.unwrap();
    let first = eventually(|| cache.get("people").map(|entry| entry.version)).await;
    assert_eq!(cache.get_alias("people").as_deref(), Some("id"));
    let schema = json!({"fields": {"name": {"field_type": "String"}}});
    seat.socket.create_collection("people", Some(schema)).await.unwrap();
    eventually(|| cache.get("people").filter(|entry| entry.version > first)).await;
}

async fn subscribe(seat: Seat) -> Refused {
    let mut all = seat.socket.subscribe("people", None, None).await.unwrap();
    let watching = seat.another().await;
    let mut parisians = watching.subscribe("people", Some("town"), Some("Paris")).await.unwrap();
    seat.people().await;
    let first = all.recv().await.unwrap();
    assert_eq!((first.collection.as_str(), first.event.as_str()), ("people", "insert"));
    assert_eq!(first.record_ids, ["a", "b", "e"]);
    assert_eq!(first.records.unwrap()[0]["name"], typed("Ada"));
    assert!(first.timestamp.contains('T'), "{}", first.timestamp);
    let bob = parisians.recv().await.unwrap();
    assert_eq!(bob.record_ids, ["b"]);
    assert_eq!(bob.records.unwrap()["name"], typed("Bob"));

    seat.socket.update("people", "b", json!({"town": "Rome"}), None).await.unwrap();
    let moved = all.recv().await.unwrap();
    assert_eq!((moved.event.as_str(), &moved.records.unwrap()["town"]), ("update", &typed("Rome")));
    assert_eq!(parisians.recv().await.unwrap().event, "update");
    seat.socket.delete("people", "a", None).await.unwrap();
    for receiver in [&mut all, &mut parisians] {
        let gone = receiver.recv().await.unwrap();
        assert_eq!(
            (gone.event.as_str(), &gone.record_ids, gone.records),
            ("delete", &vec!["a".to_owned()], None)
        );
    }
    refused(seat.socket.subscribe("_secret", None, None).await)
}
