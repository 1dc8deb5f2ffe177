use serde_json::json;
use tidewire_client::{Client, Error, Notice, SchemaInfo, Subscription};

use crate::server::{Server, open};

async fn subscribe(client: &Client, server: &mut Server, offset: u64) -> Subscription {
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("c").await }
    });
    let (id, _) = server.expect("Subscribe").await;
    server.agree(&id, offset, false);
    subscribing.await.unwrap().unwrap()
}

async fn ids(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        match subscription.next().await.unwrap().unwrap() {
            Notice::Changes(changes) => ids.extend(changes.ids),
            other => panic!("{other:?}"),
        }
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn a_subscription_goes_on_after_the_last_change() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let mut changes = subscribe(&client, &mut server, 5).await;
    server.insert(6, 7);
    assert_eq!(ids(&mut changes, 2).await, ["6", "7"]);
    drop(server);
    let mut server = Server::accept(&mut network).await;
    let (id, payload) = server.expect("Subscribe").await;
    assert_eq!(payload["after_offset"], 7);
    // What comes before the answer belongs to nobody.
    server.insert(20, 20);
    server.agree(&id, 7, false);
    server.insert(8, 8);
    assert_eq!((ids(&mut changes, 1).await, changes.offset()), (vec![String::from("8")], 8));
    drop(changes);
    assert_eq!(server.expect("Unsubscribe").await.1["collection"], "c");
}

#[tokio::test(start_paused = true)]
async fn the_server_pauses_for_a_slow_reader_while_others_go_on() {
    let (client, _network, mut server) = open(|builder| builder.buffer(4)).await;
    let mut changes = subscribe(&client, &mut server, 0).await;
    for offset in 1..=6 {
        server.insert(offset, offset);
    }
    server.expect("Unsubscribe").await;
    let asking = tokio::spawn(async move { client.get_collections().await });
    let (id, _) = server.expect("GetCollections").await;
    server.succeed(&id, json!([]));
    assert_eq!(asking.await.unwrap().unwrap(), Vec::<String>::new());
    let reading = tokio::spawn(async move { ids(&mut changes, 6).await });
    let (id, payload) = server.expect("Subscribe").await;
    assert_eq!(payload["after_offset"], 4);
    server.agree(&id, 4, false);
    server.insert(5, 6);
    assert_eq!(reading.await.unwrap(), ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_the_collection_is_read_and_changes_follow() {
    let (client, _network, mut server) = open(|builder| builder).await;
    let mut changes = subscribe(&client, &mut server, 0).await;
    server.say(json!({"type": "Gap", "payload": {"collection": "c", "offset": 90}}));
    let (id, payload) = server.until("Query").await;
    assert_eq!(payload["sort"], json!([{"field": "id", "ascending": true}]));
    server.succeed(&id, json!([{"id": "a"}, {"id": "b"}]));
    assert_eq!(changes.next().await.unwrap().unwrap(), Notice::Gap { offset: 90 });
    let Notice::Snapshot { records, last: false } = changes.next().await.unwrap().unwrap() else { panic!() };
    assert_eq!((records.len(), changes.offset()), (2, 0));
    let (id, payload) = server.until("Subscribe").await;
    assert_eq!(payload["after_offset"], 90);
    server.agree(&id, 90, false);
    server.insert(91, 91);
    assert_eq!(changes.next().await.unwrap().unwrap(), Notice::Snapshot { records: vec![], last: true });
    assert_eq!(changes.offset(), 90);
    assert_eq!(ids(&mut changes, 1).await, ["91"]);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_types_and_passing_ones_are_repeated() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("secret").await }
    });
    let (id, _) = server.expect("Subscribe").await;
    server.fail(&id, 403, "the key does not open it");
    assert!(subscribing.await.unwrap().unwrap_err().is_forbidden());
    let mut changes = subscribe(&client, &mut server, 0).await;
    drop(server);
    let mut server = Server::accept(&mut network).await;
    let (id, _) = server.expect("Subscribe").await;
    server.fail(&id, 503, "later");
    server.expect("Unsubscribe").await;
    let (id, _) = server.expect("Subscribe").await;
    server.fail(&id, 404, "gone");
    let error = changes.next().await.unwrap().unwrap_err();
    assert_eq!(error, Error::Server { code: 404, message: String::from("gone") });
    assert!(changes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn schemas_are_known_from_what_is_told() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let mut changes = subscribe(&client, &mut server, 0).await;
    let told = |version| json!({"type": "SchemaChanged", "payload": {"collection": "c", "version": version, "primary_key_alias": "key"}});
    server.say(told(2));
    let schema = Notice::Schema { version: 2, primary_key: String::from("key") };
    assert_eq!(changes.next().await.unwrap().unwrap(), schema);
    assert_eq!(client.schema("c"), Some(SchemaInfo { version: 2, primary_key: String::from("key") }));
    let record = json!({"key": "k", "id": "i"});
    assert_eq!(client.key_of("c", record.as_object().unwrap()), Some("k"));
    drop(server);
    let _server = Server::accept(&mut network).await;
    assert_eq!(client.schema("c"), None, "it may have changed meanwhile");
}
