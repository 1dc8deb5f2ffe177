//! Streams of server-sent events.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};

use super::Api;
use crate::house::{House, KEY};

const PATIENCE: Duration = Duration::from_secs(10);

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// The events of a response; comments are passed over.
pub(crate) struct Events {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    read: Vec<u8>,
}

impl Events {
    pub(crate) fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: response.bytes_stream().boxed(), read: Vec::new() }
    }

    /// The next event; none if the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.read.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block).unwrap()) {
                    return Some(event);
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.bytes.next()).await.expect("something comes");
            self.read.extend_from_slice(&chunk?.unwrap());
        }
    }

    /// The next event, which has this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Event {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.name, name, "{event:?}");
        event
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let data = field("data");
    (!data.is_empty()).then(|| Event {
        name: field("event"),
        id: field("id"),
        data: serde_json::from_str(&data).unwrap(),
    })
}

async fn subscribe(api: &Api, path: &str) -> Events {
    let request = api.request("GET", path).header("accept", "text/event-stream");
    let mut events = Events::of(request.send().await.unwrap());
    assert_eq!(events.expect("subscribed").await.data["subscribed"], true);
    events
}

#[tokio::test]
async fn changes_arrive_as_they_happen() {
    let house = House::open().await;
    let api = Api::of(&house);
    let mut events = subscribe(&api, "/api/subscribe/c").await;
    api.done("POST", "/api/insert/c", json!({"id": "a", "name": "Änn"})).await;
    let event = events.expect("mutation").await;
    assert_eq!((&event.data["event"], &event.data["record_ids"]), (&json!("insert"), &json!(["a"])));
    assert_eq!(event.data["records"], json!({"id": "a", "name": {"type": "String", "value": "Änn"}}));
    assert_eq!(
        (event.id.as_str(), &event.data["offset"], &event.data["collection"]),
        ("1", &json!(1), &json!("c"))
    );
    api.done("PUT", "/api/update/c/a", json!({"name": "Bea"})).await;
    assert_eq!(events.expect("mutation").await.data["event"], "update");
    api.done("DELETE", "/api/delete/c/a", Value::Null).await;
    let event = events.expect("mutation").await;
    assert_eq!((&event.data["event"], event.data.get("records")), (&json!("delete"), None));
}

#[tokio::test]
async fn a_stream_goes_on_after_the_offset_that_was_seen() {
    let house = House::open().await;
    let api = Api::of(&house);
    for id in ["a", "b", "c"] {
        api.done("POST", "/api/insert/c", json!({ "id": id })).await;
    }
    let mut events = subscribe(&api, "/api/subscribe/c?after_offset=2").await;
    assert_eq!(events.expect("mutation").await.data["record_ids"], json!(["c"]));
    let again = api.request("GET", "/api/subscribe/c").header("last-event-id", "1").send().await.unwrap();
    let mut again = Events::of(again);
    again.expect("subscribed").await;
    let event = again.expect("mutation").await;
    assert_eq!((&event.data["record_ids"], event.id.as_str()), (&json!(["b", "c"]), "3"));
}

#[tokio::test]
async fn only_what_fits_the_filter_is_told_and_schemas_are() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/c", json!({"id": "before"})).await;
    let mut events = subscribe(&api, "/api/subscribe/c?filter_field=city&filter_value=Lyon").await;
    api.done("POST", "/api/insert/c", json!({"id": "a", "city": "Rome"})).await;
    api.done("POST", "/api/insert/c", json!({"id": "b", "city": "Lyon"})).await;
    assert_eq!(events.expect("mutation").await.data["record_ids"], json!(["b"]));
    api.done("POST", "/api/collections/c", json!({"fields": {"city": {"field_type": "String"}}})).await;
    let changed = events.expect("schema_changed").await;
    assert_eq!(
        (&changed.data["collection"], &changed.data["primary_key_alias"]),
        (&json!("c"), &json!("id"))
    );
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused_with_its_status() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
    let api = Api::with_key(&house, KEY);
    let made =
        api.done("POST", "/api/auth/register", json!({"collection_permissions": {"c": ["read"]}})).await;
    let reader = Api::with_key(&house, made["key"].as_str().unwrap());
    reader.refused(403, "GET", "/api/subscribe/other", Value::Null).await;
    reader.refused(400, "GET", "/api/subscribe/c?filter_field=a", Value::Null).await;
    reader.refused(400, "GET", "/api/subscribe/c?after_offset=x", Value::Null).await;
    Api::of(&house).refused(401, "GET", "/api/subscribe/c", Value::Null).await;
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked_or_the_server_ends() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
    let api = Api::with_key(&house, KEY);
    let made =
        api.done("POST", "/api/auth/register", json!({"collection_permissions": {"c": ["read"]}})).await;
    let reader = Api::with_key(&house, made["key"].as_str().unwrap());
    let mut revoked = subscribe(&reader, "/api/subscribe/c").await;
    let mut admins = subscribe(&api, "/api/subscribe/c").await;
    api.done("DELETE", &format!("/api/auth/keys/{}", made["id"].as_str().unwrap()), Value::Null).await;
    let last = revoked.expect("error").await;
    assert_eq!(last.data["code"], 401);
    assert!(revoked.next().await.is_none());
    api.done("POST", "/api/insert/c", json!({"id": "a"})).await;
    admins.expect("mutation").await;
    let ended = tokio::spawn(async move {
        assert_eq!(admins.expect("error").await.data["code"], 503);
        admins.next().await.is_none()
    });
    house.stopped().await;
    assert!(ended.await.unwrap());
}
