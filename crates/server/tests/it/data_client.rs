//! Our Rust client against the real server: records, changes over lost connections, chats.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidewire_client::{
    Action, ChangeKind, Changes, ChatEvent, Client, Filter, Notice, Query, Record, SearchOptions,
    SubscribeOptions, Subscription, ToolSpec,
};
use tidewire_engine::model::scripted::{Script, ScriptedModel};

use crate::client::PATIENCE;
use crate::house::House;
use crate::proxy::Proxy;

async fn client(house: &House) -> Client {
    Client::connect(house.url("")).await.unwrap()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    id: String,
    name: String,
    age: u32,
}

fn person(id: &str, age: u32) -> Person {
    Person { id: id.into(), name: id.to_uppercase(), age }
}

#[tokio::test]
async fn records_are_written_and_read_as_the_callers_own_types() {
    let house = House::open().await;
    let client = client(&house).await;
    assert_eq!(client.insert("people", person("ada", 36)).await.unwrap(), "ada");
    let made = client.insert("people", json!({"name": "Bob", "age": 41})).await.unwrap();
    assert_eq!(client.find_by_id::<Person>("people", "ada").await.unwrap(), person("ada", 36));
    let updated = client.update("people", "ada", json!({"age": 37})).await.unwrap();
    assert_eq!((&updated["name"], &updated["age"]), (&json!("ADA"), &json!(37)));
    let acted = client.update_with_action("people", "ada", "age", Action::Increment(3.into())).await.unwrap();
    assert_eq!(acted["age"], 40);
    let old: Vec<Person> = client.query(Query::new("people").filter(Filter::gt("age", 40))).await.unwrap();
    assert_eq!(old[0].id, made);
    assert_eq!(client.find_all::<Record>("people").await.unwrap().len(), 2);
    assert_eq!(client.distinct_values("people", "name", None).await.unwrap(), [json!("ADA"), json!("Bob")]);
    assert_eq!(client.delete("people", &made).await.unwrap()["name"], "Bob");
    assert!(client.find_by_id::<Person>("people", &made).await.unwrap_err().is_not_found());
    assert_eq!(client.get_collections().await.unwrap(), ["people"]);
    client.delete_collection("people").await.unwrap();
    assert_eq!(client.find_all::<Record>("people").await.unwrap(), []);
}

#[tokio::test]
async fn batches_say_what_became_of_each_record_and_errors_have_types() {
    let house = House::open().await;
    let client = client(&house).await;
    let schema = json!({"fields": {"email": {"field_type": "String", "required": true},
                                   "bio": {"field_type": "String", "index": {"type": "text"}}}});
    client.create_collection("people", Some(serde_json::from_value(schema).unwrap())).await.unwrap();
    let people = [json!({"id": "a", "email": "a@x", "bio": "likes rust"}), json!({"id": "b"})];
    let reply = client.batch_insert("people", people).await.unwrap();
    assert_eq!((reply.successful, reply.failed[0].index), (vec![String::from("a")], 1));
    assert!(client.insert("people", json!({"id": "b"})).await.unwrap_err().is_invalid());
    assert!(client.insert("people", json!({"id": "a", "email": "x"})).await.unwrap_err().is_conflict());
    let changes =
        [(String::from("a"), json!({"bio": "loves rust"})), (String::from("x"), json!({"bio": ""}))];
    let reply = client.batch_update("people", changes).await.unwrap();
    assert_eq!((reply.successful.len(), reply.failed[0].code), (1, 404));
    let hits = client.text_search::<Record>("people", "rust", SearchOptions::default()).await.unwrap();
    assert_eq!((hits[0].record["bio"].as_str(), hits.len()), (Some("loves rust"), 1));
    let reply = client.batch_delete("people", ["a", "x"]).await.unwrap();
    assert_eq!((reply.successful.len(), reply.failed.len()), (1, 1));
}

#[tokio::test]
async fn large_results_come_page_by_page_with_progress() {
    let house = House::open().await;
    let client = client(&house).await;
    let records = (0..2500).map(|n| json!({"id": format!("r{n:04}"), "n": n}));
    client.batch_insert("many", records).await.unwrap();
    let mut told = Vec::new();
    let query = Query::new("many").filter(Filter::gte("n", 100));
    let all: Vec<Record> = client.query_all(query, |read| told.push(read)).await.unwrap();
    assert_eq!(told, [1000, 2000, 2400]);
    assert!(all.iter().map(|r| r["n"].as_u64().unwrap()).eq(100..2500));
    let mut pages = client.pages::<Record>(Query::new("many").descending("n").limit(25), 10);
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().len());
    }
    assert_eq!(sizes, [10, 10, 5]);
}

#[tokio::test]
async fn a_hundred_callers_share_one_connection() {
    let house = House::open().await;
    let proxy = Proxy::before(house.address).await;
    let client = Client::connect(proxy.url()).await.unwrap();
    let tasks = (0..100).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.insert("c", json!({"n": n})).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(proxy.links(), 1);
    assert_eq!(client.find_all::<Record>("c").await.unwrap().len(), 100);
    let words = (1..=5).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.raw_completion("Be brief", &format!("{n} tokens")).await.unwrap() })
    });
    for (n, word) in words.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(word.await.unwrap(), "token ".repeat(n + 1));
    }
}

// Changes

async fn next(subscription: &mut Subscription) -> Notice {
    let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
    next.expect("something changes").expect("the subscription goes on").unwrap()
}

async fn next_changes(subscription: &mut Subscription) -> Changes {
    match next(subscription).await {
        Notice::Changes(changes) => changes,
        other => panic!("{other:?} is no change"),
    }
}

#[tokio::test]
async fn subscriptions_are_filtered_and_independent() {
    let house = House::open().await;
    let proxy = Proxy::before(house.address).await;
    let client = Client::connect(proxy.url()).await.unwrap();
    let mut all = client.subscribe("people").await.unwrap();
    let mut old = client.subscribe_with_filter("people", Filter::gte("age", 40)).await.unwrap();
    let mut others = client.subscribe("others").await.unwrap();
    assert_eq!(proxy.links(), 2, "the second subscription of a collection has a connection of its own");
    client.insert("people", person("young", 1)).await.unwrap();
    client.insert("people", person("old", 41)).await.unwrap();
    let changes = next_changes(&mut old).await;
    assert_eq!((changes.kind, changes.ids), (ChangeKind::Insert, vec![String::from("old")]));
    assert_eq!(changes.records[0]["age"], 41);
    let mut ids = Vec::new();
    while ids.len() < 2 {
        ids.extend(next_changes(&mut all).await.ids);
    }
    assert_eq!(ids, ["young", "old"]);
    // Dropping one leaves the other; the next one takes its place and begins where the first one was.
    let offset = all.offset();
    drop(all);
    client.delete("people", "old").await.unwrap();
    assert_eq!(next_changes(&mut old).await.kind, ChangeKind::Delete);
    let from = SubscribeOptions { after_offset: Some(offset), filter: None };
    let mut again = client.subscribe_with("people", from).await.unwrap();
    assert_eq!(next_changes(&mut again).await.ids, ["old"]);
    assert_eq!(proxy.links(), 2);
    client.insert("others", json!({"id": "x"})).await.unwrap();
    assert_eq!(next_changes(&mut others).await.ids, ["x"]);
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    const CHANGES: u64 = 3000;
    let house = House::open().await;
    let client = Client::builder(house.url("")).buffer(4).connect().await.unwrap();
    let mut slow = client.subscribe("c").await.unwrap();
    for n in 0..CHANGES {
        client.insert("c", json!({"id": format!("{n:05}")})).await.unwrap();
        if n % 500 == 0 {
            // The reader wakes up for a moment now and then, so that the server pauses and goes on several times.
            let _ = tokio::time::timeout(Duration::from_millis(1), slow.next()).await;
        }
    }
    let mut ids = Vec::new();
    let first = slow.offset();
    while slow.offset() < CHANGES {
        ids.extend(next_changes(&mut slow).await.ids);
    }
    let expected: Vec<_> = (first..CHANGES).map(|n| format!("{n:05}")).collect();
    assert_eq!(ids, expected);
}

// Lost connections

/// A client that comes back at once.
pub(crate) async fn eager(proxy: &Proxy) -> Client {
    let builder = Client::builder(proxy.url()).policy(|policy| {
        policy.backoff.initial = Duration::from_millis(1);
        policy.backoff.max = Duration::from_millis(4);
    });
    builder.connect().await.unwrap()
}

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// Everyday figures; `TIDEWIRE_TEST_CHANGES=10000 TIDEWIRE_TEST_CUTS=1000` is what the project promises.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_come_once_and_in_order_over_many_lost_connections() {
    let (changes, cuts) = (setting("TIDEWIRE_TEST_CHANGES", 2000), setting("TIDEWIRE_TEST_CUTS", 200));
    let house = House::open().await;
    let proxy = Proxy::before(house.address).await;
    let (reader, writer) = (eager(&proxy).await, client(&house).await);
    let mut subscription = reader.subscribe("c").await.unwrap();
    let began = Instant::now();
    let per_cut = changes.div_ceil(cuts);
    let writing = tokio::spawn(async move {
        for n in 0..changes {
            writer.insert("c", json!({"id": format!("{n:06}"), "n": n})).await.unwrap();
            if n % per_cut == per_cut / 2 {
                let before = proxy.links();
                proxy.cut();
                // The next changes happen while the client is on its way back, and some before.
                while n % 2 == 0 && proxy.links() == before {
                    tokio::task::yield_now().await;
                }
            }
        }
        proxy
    });
    let mut seen = 0;
    while seen < changes {
        let batch = next_changes(&mut subscription).await;
        for (id, record) in batch.ids.iter().zip(&batch.records) {
            assert_eq!(
                (id, &record["n"]),
                (&format!("{seen:06}"), &json!(seen)),
                "lost, doubled or out of order"
            );
            seen += 1;
        }
    }
    let proxy = writing.await.unwrap();
    assert_eq!(subscription.offset(), changes as u64);
    eprintln!("{changes} changes, {} links, {:?}", proxy.links(), began.elapsed());
    assert!(proxy.links() > cuts / 2, "most cuts hit a connection: {}", proxy.links());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_over_lost_connections_are_done_once() {
    let house = House::open().await;
    let proxy = Proxy::before(house.address).await;
    let client = eager(&proxy).await;
    let cutting = tokio::spawn(async move {
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            proxy.cut();
        }
        proxy
    });
    for n in 0..300 {
        client.insert("c", json!({"n": n})).await.unwrap();
    }
    drop(cutting.await.unwrap());
    let client = Client::connect(house.url("")).await.unwrap();
    let query = Query::new("c").ascending("n");
    let all: Vec<Record> = client.query(query).await.unwrap();
    assert!(all.iter().map(|record| record["n"].as_u64().unwrap()).eq(0..300));
}

// Chats

#[tokio::test]
async fn an_answer_is_read_whole_over_lost_connections() {
    let words: String = (0..200).map(|number| format!("w{number} ")).collect();
    let script = Script::new().pace(Duration::from_millis(2)).words(&words);
    let house = House::with(|plan| plan.model = ScriptedModel::new().otherwise(script)).await;
    let proxy = Proxy::before(house.address).await;
    let client = eager(&proxy).await;
    let mut stream = client.chat_send("talk", "go on").await.unwrap();
    let (mut text, mut events) = (String::new(), 0);
    while let Some(event) = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap() {
        match event.unwrap() {
            ChatEvent::Text { content, replace: true } => text = content,
            ChatEvent::Text { content, .. } => text.push_str(&content),
            ChatEvent::End(end) => assert_eq!(end.status.unwrap().as_str(), "finished"),
            other => panic!("{other:?}"),
        }
        events += 1;
        if events % 3 == 0 {
            proxy.cut();
        }
    }
    assert_eq!(text, words);
    assert!(proxy.links() > 3, "{} links", proxy.links());
}

#[tokio::test]
async fn an_answer_is_stopped_and_a_chat_has_one_stream() {
    let house = House::open().await;
    let client = client(&house).await;
    let mut stream = client.chat_send("talk", "50000 tokens every 20 ms").await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Text { .. }))));
    assert!(client.chat_send("talk", "and?").await.unwrap_err().is_invalid());
    assert!(client.cancel_chat("talk").await.unwrap());
    let end = loop {
        if let ChatEvent::End(end) = stream.next().await.unwrap().unwrap() {
            break end;
        }
    };
    assert_eq!(end.status.unwrap().as_str(), "stopped");
    assert!(stream.next().await.is_none());
    let mut second = client.chat_send("talk", "2 tokens").await.unwrap();
    assert_eq!(second.text().await.unwrap(), "token token ");
    assert!(client.chat_send("no such name!", "hi").await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn who_follows_hears_what_others_say() {
    let house = House::open().await;
    let (one, two) = (client(&house).await, client(&house).await);
    let mut following = one.chat_follow("talk", None).await.unwrap();
    let mut sent = two.chat_send("talk", "2 tokens").await.unwrap();
    assert_eq!(sent.text().await.unwrap(), "token token ");
    let said = following.next().await.unwrap().unwrap();
    assert!(matches!(said, ChatEvent::Said(said) if said.content == "2 tokens"));
    assert_eq!(following.text().await.unwrap(), "token token ");
    following.send("1 tokens").await.unwrap();
    assert_eq!(following.text().await.unwrap(), "token ");
}

#[tokio::test]
async fn the_agent_calls_a_tool_of_this_client() {
    let call = Script::new().call("open_page", json!({"url": "https://example.com"}));
    let model = ScriptedModel::new().then(call).then(Script::new().text("It is open."));
    let house = House::with(|plan| plan.model = model).await;
    let client = client(&house).await;
    let tool = ToolSpec { name: String::from("open_page"), ..Default::default() };
    client.register_client_tools("talk", vec![tool]).await.unwrap();
    let mut stream = client.chat_send("talk", "open it").await.unwrap();
    loop {
        match stream.next().await.unwrap().unwrap() {
            ChatEvent::ToolCall { call_id, tool_name, arguments } => {
                assert_eq!(
                    (tool_name.as_str(), &arguments["url"]),
                    ("open_page", &json!("https://example.com"))
                );
                stream.answer_tool(call_id, json!({"opened": true})).await.unwrap();
            }
            ChatEvent::End(end) => {
                let calls = end.tool_call_history.unwrap();
                assert_eq!(calls[0].result, Some(json!({"opened": true})));
                break;
            }
            _ => {}
        }
    }
}

// As whom

#[tokio::test]
async fn a_key_opens_what_it_may_and_a_wrong_one_nothing() {
    let house = House::with(|plan| plan.config.api_keys = vec![String::from(crate::house::KEY)]).await;
    let error = Client::connect(house.url("")).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    let error = Client::builder(house.url("")).key("wrong").connect().await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    let client = Client::builder(house.url("")).key(crate::house::KEY).connect().await.unwrap();
    assert_eq!(client.get_collections().await.unwrap(), Vec::<String>::new());
    client.close();
    let error = client.get_collections().await.unwrap_err();
    assert!(error.is_disconnected(), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let error = Client::connect("http://127.0.0.1:1").await.unwrap_err();
    assert!(error.is_disconnected(), "{error:?}");
    let error = Client::connect("not an address").await.unwrap_err();
    assert!(error.is_disconnected() && error.to_string().contains("address"), "{error:?}");
}
