use std::time::Duration;

use schematic_runtime::{Error as RuntimeError, ErrorKind};
use serde_json::{Value, json};
use tidewire_client::{Action, Client, Error, Record, Token};

use crate::server::{Server, open};

#[tokio::test(start_paused = true)]
async fn replies_find_their_requests_in_any_order() {
    let (client, _network, mut server) = open(|builder| builder).await;
    let (one, two) = (client.clone(), client.clone());
    let one = tokio::spawn(async move { one.find_by_id::<Value>("c", "1").await });
    let two = tokio::spawn(async move { two.find_by_id::<Value>("c", "2").await });
    let (first, payload) = server.expect("FindById").await;
    let (second, _) = server.expect("FindById").await;
    assert_ne!(first, second);
    let swapped = payload["id"] == "2";
    server.fail(&second, 404, "no record");
    server.succeed(&json!("999"), json!({"id": "stray"}));
    server.say(json!({"type": "Success", "payload": {"data": {"id": "without an id"}}}));
    server.succeed(&first, json!({"id": "first"}));
    let (found, missed) = if swapped { (two, one) } else { (one, two) };
    assert_eq!(found.await.unwrap().unwrap()["id"], "first");
    assert!(missed.await.unwrap().unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_for_ever() {
    let limit = Duration::from_secs(2);
    let (client, mut network, mut server) = open(|builder| builder.timeout(limit)).await;
    let late = tokio::spawn({
        let client = client.clone();
        async move { client.find_by_id::<Value>("c", "1").await }
    });
    let (id, _) = server.expect("FindById").await;
    assert_eq!(late.await.unwrap(), Err(Error::Timeout { after: limit }));
    // A late answer is nobody's.
    server.succeed(&id, json!({"id": "1"}));
    drop(server);
    let held = network.dial().await;
    assert_eq!(client.get_collections().await, Err(Error::Timeout { after: limit }));
    assert_eq!(client.subscribe("c").await.unwrap_err(), Error::Timeout { after: limit });
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_repeats_what_changes_nothing_and_says_what_is_unknown() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let read = tokio::spawn({
        let client = client.clone();
        async move { client.find_by_id::<Record>("c", "1").await }
    });
    server.expect("FindById").await;
    let act = tokio::spawn({
        let client = client.clone();
        async move { client.update_with_action("c", "1", "n", Action::Increment(1.into())).await }
    });
    server.expect("UpdateWithAction").await;
    drop(server);
    let unknown = act.await.unwrap().unwrap_err();
    assert!(matches!(unknown, Error::Disconnected { unsent: false, .. }), "{unknown:?}");
    let mut server = Server::accept(&mut network).await;
    let (id, _) = server.expect("FindById").await;
    server.succeed(&id, json!({"id": "1"}));
    assert_eq!(read.await.unwrap().unwrap()["id"], "1");
}

#[tokio::test(start_paused = true)]
async fn what_never_left_is_sent_on_the_next_link() {
    let (client, mut network, server) = open(|builder| builder).await;
    drop(server);
    let dial = network.dial().await.unwrap();
    let act = tokio::spawn({
        let client = client.clone();
        async move { client.update_with_action("c", "1", "n", Action::Clear).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let lost = RuntimeError::new(ErrorKind::Connect, "not yet");
    dial.refuse(lost);
    let mut server = Server::accept(&mut network).await;
    let (id, _) = server.expect("UpdateWithAction").await;
    server.succeed(&id, json!({"id": "1", "n": 0}));
    assert_eq!(act.await.unwrap().unwrap()["n"], 0);
}

#[tokio::test(start_paused = true)]
async fn an_insert_that_was_done_before_the_link_was_lost_is_not_done_twice() {
    let (client, mut network, mut server) = open(|builder| builder).await;
    let insert = tokio::spawn(async move { client.insert("c", json!({"n": 1})).await });
    let (_, payload) = server.expect("Insert").await;
    drop(server);
    let mut server = Server::accept(&mut network).await;
    let (id, again) = server.expect("Insert").await;
    assert_eq!(again["record"]["id"], payload["record"]["id"]);
    server.fail(&id, 409, "the id is taken");
    let (id, _) = server.expect("FindById").await;
    server.succeed(&id, again["record"].clone());
    assert_eq!(json!(insert.await.unwrap().unwrap()), payload["record"]["id"]);
}

#[tokio::test(start_paused = true)]
async fn answers_of_another_shape_are_errors_and_pages_shrink() {
    let (client, _network, mut server) = open(|builder| builder).await;
    let query = tokio::spawn({
        let client = client.clone();
        async move { client.query::<Value>("c").await }
    });
    let (id, _) = server.expect("Query").await;
    server.succeed(&id, json!({"records": []}));
    assert!(matches!(query.await.unwrap(), Err(Error::Shape { .. })));
    let all = tokio::spawn(async move { client.find_all::<Value>("c").await });
    let (id, payload) = server.expect("Query").await;
    assert_eq!(payload["limit"], 1000);
    server.fail(&id, 413, "too large");
    let (id, payload) = server.expect("Query").await;
    assert_eq!(payload["limit"], 500);
    server.succeed(&id, json!([{"id": "a"}]));
    assert_eq!(all.await.unwrap().unwrap(), [json!({"id": "a"})]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let (transport, mut network) = schematic_runtime::memory();
    let count = std::sync::atomic::AtomicU32::new(0);
    let builder = Client::builder("ws://localhost").token_provider(move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { Ok::<_, String>(Token::new(format!("t{number}"))) }
    });
    let connecting = tokio::spawn(builder.connect_over(transport));
    let mut server = Server::accept(&mut network).await;
    let client = connecting.await.unwrap().unwrap();
    server.say(json!({"type": "Welcome", "payload": {"format": "json"}}));
    drop(server);
    // The token has expired meanwhile.
    let dial = network.dial().await.unwrap();
    assert_eq!(dial.request.headers[0].1, "Bearer t0");
    dial.refuse(RuntimeError::new(ErrorKind::Auth, "expired"));
    let dial = network.dial().await.unwrap();
    assert_eq!(dial.request.headers[0].1, "Bearer t1");
    server = Server::accepted(dial);
    let asking = tokio::spawn(async move { client.get_collections().await });
    let (id, _) = server.expect("GetCollections").await;
    server.succeed(&id, json!(["c"]));
    assert_eq!(asking.await.unwrap().unwrap(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_to_everybody() {
    let (client, _network, mut server) = open(|builder| builder).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.get_collections().await }
    });
    server.expect("GetCollections").await;
    client.close();
    assert!(matches!(waiting.await.unwrap(), Err(Error::Closed { .. })));
    assert!(matches!(client.subscribe("c").await, Err(Error::Closed { .. })));
    assert!(matches!(client.chat_send("talk", "hi").await, Err(Error::Closed { .. })));
}
