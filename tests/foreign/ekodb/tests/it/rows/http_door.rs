//! Who one is, over HTTP, and the ways from there to a socket.

use serde_json::json;

use super::ekodb::{Client, SerializationFormat};
use super::seat::{client, raw, record};
use super::{Refused, Seat, refused};
use crate::rig::{KEY, eventually, typed};
use crate::table::rows;

rows! { Client {
    builder => never "it returns a builder",
    get_token => ["Authentication error", "401"],
    refresh_token => ["Authentication error", "401"],
    clear_token_cache => never "it returns nothing",
    websocket => ["Authentication error", "401"],
    connect_ws => ["Authentication error", "401"],
    schema_cache => never "it returns a reference",
    schema_cache_arc => never "it returns a reference",
    extract_id => never "it reads what it is given",
    subscribe_sse => ["API error (400)"],
}}

/// Somebody whose key the server does not know.
pub(crate) fn stranger(seat: &Seat) -> Client {
    client(&seat.rig, "a key that nobody has made")
}

/// Everything that can be said to a builder, and then a call in JSON instead of MessagePack.
async fn builder(seat: Seat) {
    let client = Client::builder()
        .base_url(seat.rig.http())
        .api_key(KEY)
        .timeout(std::time::Duration::from_secs(10))
        .max_retries(1)
        .should_retry(false)
        .serialization_format(SerializationFormat::Json)
        .schema_cache(true)
        .schema_cache_ttl(60)
        .schema_cache_max(10)
        .build()
        .unwrap();
    let reply = client.insert("people", record(json!({"id": "a", "n": 1})), None).await.unwrap();
    assert_eq!(raw(&reply)["id"], "a");
    let changed = client.update("people", "a", record(json!({"n": 2})), None).await.unwrap();
    assert_eq!(raw(&changed)["n"], typed(2));
    let ids = client.batch_insert("people", vec![record(json!({"id": "b"}))], None).await.unwrap();
    assert_eq!(raw(&ids[0])["id"], "b");
    let updates = vec![("b".to_owned(), record(json!({"n": 3})))];
    assert_eq!(client.batch_update("people", updates, None).await.unwrap().len(), 1);
    assert_eq!(client.batch_delete("people", vec!["b".into()], None).await.unwrap(), 1);
    client.delete("people", "a", None).await.unwrap();
    assert_eq!(client.count_documents("people").await.unwrap(), 0);
}

async fn get_token(seat: Seat) -> Refused {
    let token = seat.client.get_token().await.unwrap();
    assert_eq!(token.split('.').count(), 3, "the crate reads the expiry of a JWT: {token}");
    assert_eq!(seat.client.get_token().await.unwrap(), token);
    refused(stranger(&seat).get_token().await)
}

async fn refresh_token(seat: Seat) -> Refused {
    let token = seat.client.refresh_token().await.unwrap();
    assert_eq!(seat.client.get_token().await.unwrap(), token);
    refused(stranger(&seat).refresh_token().await)
}

/// Without a token it fetches the next one by itself.
async fn clear_token_cache(seat: Seat) {
    seat.people().await;
    seat.client.clear_token_cache().await;
    assert_eq!(seat.client.count_documents("people").await.unwrap(), 3);
}

async fn websocket(seat: Seat) -> Refused {
    seat.people().await;
    let socket = seat.client.websocket(&seat.rig.ws()).await.unwrap();
    assert_eq!(socket.find_all("people").await.unwrap().len(), 3);
    refused(stranger(&seat).websocket(&seat.rig.ws()).await.map(|_| ()))
}

async fn connect_ws(seat: Seat) -> Refused {
    seat.people().await;
    let socket = seat.client.connect_ws().await.unwrap();
    assert_eq!(socket.find_all("people").await.unwrap().len(), 3);
    refused(stranger(&seat).connect_ws().await.map(|_| ()))
}

/// A client that remembers schemas.
fn remembering(seat: &Seat) -> Client {
    Client::builder().base_url(seat.rig.http()).api_key(KEY).schema_cache(true).build().unwrap()
}

/// A socket that comes from such a client feeds the client's cache.
async fn schema_cache(seat: Seat) {
    let client = remembering(&seat);
    let socket = client.connect_ws().await.unwrap();
    let _changes = socket.subscribe("people", None, None).await.unwrap();
    let schema = json!({"fields": {"name": {"field_type": "String"}}});
    seat.socket.create_collection("people", Some(schema)).await.unwrap();
    let version = eventually(|| client.schema_cache().get("people")).await.version;
    assert!(version > 0);
}

/// Events over HTTP feed it as well.
async fn schema_cache_arc(seat: Seat) {
    let client = remembering(&seat);
    let cache = client.schema_cache_arc();
    let _changes = client.subscribe_sse("people", None, None).await.unwrap();
    let schema = json!({"fields": {"name": {"field_type": "String"}}});
    seat.socket.create_collection("people", Some(schema)).await.unwrap();
    assert_eq!(eventually(|| cache.get_alias("people")).await, "id");
}

async fn extract_id(seat: Seat) {
    seat.people().await;
    let record = seat.person("a").await;
    assert_eq!(seat.client.extract_id("people", &record).as_deref(), Some("a"));
    assert_eq!(seat.client.extract_id("people", &json!({"name": "nobody"})), None);
}

async fn subscribe_sse(seat: Seat) -> Refused {
    let mut all = seat.client.subscribe_sse("people", None, None).await.unwrap();
    let mut londoners = seat.client.subscribe_sse("people", Some("town"), Some("London")).await.unwrap();
    seat.people().await;
    let first = all.recv().await.unwrap();
    assert_eq!(
        (first.event.as_str(), first.record_ids),
        ("insert", vec!["a".into(), "b".into(), "e".into()])
    );
    let first = londoners.recv().await.unwrap();
    assert_eq!((first.collection.as_str(), first.record_ids), ("people", vec!["a".into(), "e".into()]));
    assert_eq!(first.records.unwrap()[1]["name"], typed("Eve"));
    seat.socket.delete("people", "b", None).await.unwrap();
    assert_eq!(all.recv().await.unwrap().event, "delete");
    assert_eq!(londoners.recv().await.unwrap().record_ids, ["b"]);
    refused(seat.client.subscribe_sse("_secret", None, None).await)
}

/// What clients get their tokens with, on its own.
pub(crate) mod auth {
    use super::super::ekodb::AuthManager;
    use super::super::{Refused, Seat, refused};
    use crate::rig::KEY;
    use crate::table::rows;

    rows! { AuthManager {
        new => never "it returns the manager",
        get_token => ["Authentication error", "401"],
        refresh_token => ["Authentication error", "401"],
        clear_cache => never "it returns nothing",
    }}

    fn manager(seat: &Seat, key: &str) -> AuthManager {
        let address = url::Url::parse(&seat.rig.http()).unwrap();
        AuthManager::new(key.to_owned(), address, reqwest_of_ekodb::Client::new())
    }

    async fn new(seat: Seat) {
        let token = manager(&seat, KEY).get_token().await.unwrap();
        let socket = super::super::ekodb::WebSocketClient::new(seat.rig.ws(), token).unwrap();
        assert_eq!(socket.list_collections().await.unwrap(), Vec::<String>::new());
    }

    async fn get_token(seat: Seat) -> Refused {
        let manager = manager(&seat, KEY);
        assert_eq!(manager.get_token().await.unwrap(), manager.get_token().await.unwrap());
        refused(self::manager(&seat, "no key").get_token().await)
    }

    async fn refresh_token(seat: Seat) -> Refused {
        let manager = manager(&seat, KEY);
        assert_eq!(manager.refresh_token().await.unwrap(), manager.get_token().await.unwrap());
        refused(self::manager(&seat, "no key").refresh_token().await)
    }

    async fn clear_cache(seat: Seat) {
        let manager = manager(&seat, KEY);
        manager.get_token().await.unwrap();
        manager.clear_cache().await;
        assert_eq!(manager.get_token().await.unwrap().split('.').count(), 3);
    }
}

/// How often something is tried again.
pub(crate) mod retry {
    use super::super::ekodb::retry::RetryPolicy;
    use super::super::{Refused, Seat, refused};
    use crate::table::rows;

    rows! { RetryPolicy {
        execute => ["API error (409)"],
    }}

    /// What the server refuses for good is not tried again.
    async fn execute(seat: Seat) -> Refused {
        seat.people().await;
        let tries = std::cell::Cell::new(0);
        let taken = || async {
            tries.set(tries.get() + 1);
            seat.socket.insert("people", serde_json::json!({"id": "a"}), None).await
        };
        let outcome = RetryPolicy::new(3).execute(taken).await;
        assert_eq!(tries.get(), 1);
        let found = RetryPolicy::new(3).execute(|| seat.socket.find_all("people")).await.unwrap();
        assert_eq!(found.len(), 3);
        refused(outcome)
    }
}
