//! Records, their changes, and full text.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{body, code, commit, insert, who, write};
use crate::error::Code;
use crate::id::{Offset, RecordId, Timestamp};
use crate::query::{CollectionInfo, Filter, Projection, Query, Record, Search};
use crate::store::{Change, ChangeKind, Committed, Listener, LogSpan, Operation, Store};

async fn get(store: &impl Store, id: &str) -> Option<Record> {
    store.get("c", &RecordId::from(id)).await.expect("it can be read")
}

async fn one(store: &impl Store, id: &str, operation: Operation) -> crate::Result<Vec<Change>> {
    commit(store, vec![write("c", id, operation)]).await
}

pub(super) async fn writes_do_what_they_say(store: &impl Store) {
    let (first, second) = (body(&json!({"a": 1, "b": 2})), body(&json!({"b": 3})));
    one(store, "r", Operation::Insert(first.clone())).await.unwrap();
    assert_eq!(code(one(store, "r", Operation::Insert(second.clone())).await), Some(Code::Conflict));
    assert!(one(store, "r", Operation::InsertIfAbsent(second.clone())).await.unwrap().is_empty());
    assert_eq!(get(store, "r").await.unwrap().body, first);

    let merged = one(store, "r", Operation::Merge(second.clone())).await.unwrap();
    assert_eq!(merged[0].after, Some(body(&json!({"a": 1, "b": 3}))));
    let put = vec![write("c", "r", Operation::Put(second.clone()))];
    assert_eq!(
        store.commit(&who(), Timestamp(9), put).await.unwrap()[0].before,
        Some(body(&json!({"a": 1, "b": 3})))
    );
    let record = get(store, "r").await.unwrap();
    assert_eq!(
        (record.version, record.created_at, record.updated_at),
        (Offset(3), Timestamp(1), Timestamp(9))
    );

    one(store, "r", Operation::Delete).await.unwrap();
    assert_eq!(get(store, "r").await, None);
    assert_eq!(code(one(store, "r", Operation::Delete).await), Some(Code::NotFound));
    assert_eq!(code(one(store, "r", Operation::Merge(second.clone())).await), Some(Code::NotFound));
    assert_eq!(one(store, "r", Operation::Put(second)).await.unwrap()[0].kind, ChangeKind::Insert);
}

pub(super) async fn a_batch_is_done_together_or_not_at_all(store: &impl Store) {
    insert(store, "c", "taken", json!({})).await;
    let batch = vec![
        write("c", "new", Operation::Insert(body(&json!({})))),
        write("other", "new", Operation::Insert(body(&json!({})))),
        write("c", "taken", Operation::Insert(body(&json!({})))),
    ];
    assert_eq!(code(commit(store, batch).await), Some(Code::Conflict));
    assert_eq!(get(store, "new").await, None);
    assert_eq!(store.collections().await.unwrap().len(), 1);
    assert_eq!(store.count("c", None).await.unwrap(), 1);
    let next = one(store, "later", Operation::Insert(body(&json!({})))).await.unwrap();
    assert_eq!(next[0].offset, Offset(2), "what failed took no offset");
}

pub(super) async fn an_operation_sees_the_ones_before_it(store: &impl Store) {
    let batch = vec![
        write("c", "r", Operation::Insert(body(&json!({"n": 1})))),
        write("c", "r", Operation::Merge(body(&json!({"m": 2})))),
        write("c", "r", Operation::Delete),
        write("c", "r", Operation::InsertIfAbsent(body(&json!({"n": 3})))),
    ];
    let changes = commit(store, batch).await.unwrap();
    let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete, ChangeKind::Insert]);
    assert_eq!(changes[2].before, Some(body(&json!({"n": 1, "m": 2}))));
    assert_eq!(get(store, "r").await.unwrap().version, Offset(4));
}

pub(super) async fn changes_are_kept_in_order(store: &impl Store) {
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.extend(one(store, "r", Operation::Put(body(&json!({"n": number})))).await.unwrap());
    }
    insert(store, "other", "x", json!({})).await;
    expected.extend(one(store, "r", Operation::Delete).await.unwrap());
    assert_eq!(expected[5].by, who());
    assert_eq!(store.changes("c", Offset(0), 100).await.unwrap(), expected);
    assert_eq!(store.changes("c", Offset(2), 2).await.unwrap(), expected[2..4]);
    assert!(store.changes("c", Offset(6), 2).await.unwrap().is_empty());
    assert!(store.changes("nothing", Offset(0), 2).await.unwrap().is_empty());
}

pub(super) async fn concurrent_commits_leave_no_gap(store: impl Store) {
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..40)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut changes = Vec::new();
                for number in 0..10 {
                    let id = format!("{task}-{number}");
                    let batch = vec![
                        write("c", &id, Operation::Insert(body(&json!({"task": task})))),
                        write("c", "shared", Operation::Put(body(&json!({"last": task})))),
                    ];
                    changes.extend(commit(&*store, batch).await.unwrap());
                }
                changes
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        told.extend(task.await.unwrap());
    }
    told.sort_by_key(|change| change.offset);
    let kept = store.changes("c", Offset(0), 10_000).await.unwrap();
    assert_eq!(told, kept);
    assert!((1..=800).eq(kept.iter().map(|change| change.offset.0)), "offsets are 1..=800");
    let shared: Vec<_> = kept.iter().filter(|change| change.id.0 == "shared").collect();
    assert!(
        shared.windows(2).all(|pair| pair[0].after == pair[1].before),
        "each change begins where one ended"
    );
}

pub(super) async fn a_failing_commit_disturbs_no_other(store: impl Store) {
    let store = Arc::new(store);
    insert(&*store, "c", "taken", json!({})).await;
    let tasks: Vec<_> = (0..60)
        .map(|number| {
            let store = Arc::clone(&store);
            let id = if number % 3 == 0 { String::from("taken") } else { number.to_string() };
            tokio::spawn(async move {
                let before = write("c", &format!("before {number}"), Operation::Insert(body(&json!({}))));
                let batch = vec![before, write("c", &id, Operation::Insert(body(&json!({}))))];
                (number, commit(&*store, batch).await)
            })
        })
        .collect();
    for task in tasks {
        let (number, outcome) = task.await.unwrap();
        assert_eq!(outcome.is_err(), number % 3 == 0, "{number}");
    }
    assert_eq!(store.count("c", None).await.unwrap(), 81);
    let offsets = store.changes("c", Offset(0), 1_000).await.unwrap();
    assert!((1..=81).eq(offsets.iter().map(|change| change.offset.0)));
}

pub(super) async fn what_was_written_comes_back_as_it_was(store: &impl Store) {
    let value = json!({
        "z": 1, "a": 1.0, "whole": 9_007_199_254_740_993_i64, "huge": u64::MAX, "low": i64::MIN, "tiny": 5e-324,
        "exact": 0.1, "text": "quote \" backslash \\ nul \u{0} bell \u{7} emoji 🦀 line\nend", "": "empty name",
        "nested": {"list": [null, true, false, {"deep": []}], "b": {}}, "$.x[0]": "odd name",
    });
    insert(store, "c", "odd id: '\"; DROP TABLE records --", value.clone()).await;
    let record = get(store, "odd id: '\"; DROP TABLE records --").await.unwrap();
    let (written, read) = (value.to_string(), Value::Object(record.body).to_string());
    assert_eq!(written, read, "also the order of the members");
    let change = store.changes("c", Offset(0), 1).await.unwrap().remove(0);
    assert_eq!(change.after.map(|after| Value::Object(after).to_string()), Some(written));
}

pub(super) async fn texts_are_what_the_records_are(store: &impl Store) {
    for (id, value) in [
        ("b", json!({"text": "quote \" backslash \\ nul \u{0} bell \u{7} ü 🦀 line\nend /", "n": 1})),
        ("a", json!({"z": 5e-324, "exact": 0.1, "whole": 1.0, "huge": u64::MAX, "n": 1, "": {"deep": [[]]}})),
        ("c", json!({"n": 2})),
    ] {
        insert(store, "c", id, value).await;
    }
    one(store, "c", Operation::Merge(body(&json!({"more": [1e300, -0.0]})))).await.unwrap();
    let fitting = Query::all("c", 10).filter(Filter::eq("n", 1));
    let queries = [
        Query { projection: Projection::Only(vec!["n".into()]), ..fitting.clone() },
        Query { skip: 1, ..Query::all("c", 10) },
        Query::all("nothing", 10),
        fitting,
    ];
    for query in queries {
        let records = store.query(&query).await.unwrap();
        assert_eq!(store.query_texts(&query).await.unwrap(), records.iter().collect(), "{query:?}");
    }
}

pub(super) async fn collections_are_listed_and_counted(store: &impl Store) {
    assert!(store.collections().await.unwrap().is_empty());
    for (collection, id) in [("b", "1"), ("b", "2"), ("a", "1")] {
        insert(store, collection, id, json!({})).await;
    }
    commit(store, vec![write("b", "1", Operation::Delete)]).await.unwrap();
    let info =
        |name: &str, count, last| CollectionInfo { name: name.into(), count, last_offset: Offset(last) };
    assert_eq!(store.collections().await.unwrap(), [info("a", 1, 1), info("b", 1, 3)]);
    assert_eq!(store.count("nothing", None).await.unwrap(), 0);
    assert!(store.query(&Query::all("nothing", 10)).await.unwrap().is_empty());
}

async fn found(store: &impl Store, text: &str) -> Vec<String> {
    let search = Search::words("c", text, 10);
    let hits = store.search(&search).await.unwrap();
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score), "best first");
    hits.into_iter().map(|hit| hit.record.id.0).collect()
}

pub(super) async fn search_finds_what_is_there_now(store: &impl Store) {
    assert!(found(store, "anything").await.is_empty(), "no such collection");
    insert(store, "c", "a", json!({"title": "Green tea", "tags": ["leaf", {"origin": "Uji"}], "n": 42}))
        .await;
    insert(store, "c", "b", json!({"title": "Black tea with milk, black as night"})).await;
    insert(store, "other", "x", json!({"title": "tea"})).await;
    assert_eq!(found(store, "GREEN te").await, ["a"]);
    assert_eq!(found(store, "uji").await, ["a"]);
    assert_eq!(found(store, "black").await, ["b"]);
    assert_eq!(found(store, "tea").await.len(), 2);
    assert!(found(store, "tea coffee").await.is_empty(), "every word must occur");

    insert(store, "c", "d", json!({"title": "Café crème"})).await;
    assert_eq!(found(store, "cafe").await, ["d"]);
    commit(store, vec![write("c", "a", Operation::Merge(body(&json!({"title": "Red tea"}))))]).await.unwrap();
    assert!(found(store, "green").await.is_empty());
    assert_eq!(found(store, "red").await, ["a"]);
    commit(store, vec![write("c", "a", Operation::Delete)]).await.unwrap();
    assert!(found(store, "red").await.is_empty());
    let failed = vec![
        write("c", "e", Operation::Insert(body(&json!({"title": "never there"})))),
        write("c", "b", Operation::Insert(body(&json!({})))),
    ];
    assert!(commit(store, failed).await.is_err());
    assert!(found(store, "never").await.is_empty());
    insert(store, "c", "f", json!({"title": "written after a failure"})).await;
    assert_eq!(found(store, "failure").await, ["f"]);
}

pub(super) async fn search_survives_anything_that_is_typed(store: &impl Store) {
    insert(store, "c", "a", json!({"text": "plain"})).await;
    for typed in
        ["\"", "a\" OR \"", "NEAR(", "*", "^x", "text:", "-", "plain\u{0}", "(((", "AND", "{}", "'; --"]
    {
        found(store, typed).await;
    }
    assert_eq!(found(store, "plain\u{0}").await, ["a"]);
}

pub(super) async fn logs_and_pages_are_read_in_pieces(store: &impl Store) {
    let nothing = LogSpan { first: Offset(1), last: Offset(0) };
    assert_eq!(store.log("c").await.unwrap(), nothing);
    assert!(store.page("c", None, None, 5, 100).await.unwrap().last);
    for number in 0..9 {
        insert(store, "c", &format!("r{number}"), json!({"odd": number % 2 == 1, "text": "x".repeat(20)}))
            .await;
    }
    assert_eq!(store.log("c").await.unwrap(), LogSpan { first: Offset(1), last: Offset(9) });
    for (bytes, expected) in [(0, 1), (100, 3), (usize::MAX, 4)] {
        let piece = store.changes_within("c", Offset(2), 4, bytes).await.unwrap();
        assert_eq!(piece.len(), expected);
        assert_eq!(piece[0].offset, Offset(3));
    }
    let page = async |after: Option<&str>, filter: Option<Filter>, limit, bytes| {
        let after = after.map(RecordId::from);
        let page = store.page("c", after.as_ref(), filter.as_ref(), limit, bytes).await.unwrap();
        let ids: Vec<_> = page.records.into_iter().map(|record| record.id.0).collect();
        (ids.join(" "), page.last)
    };
    let odd = Some(Filter::eq("odd", true));
    assert_eq!(page(None, None, 4, usize::MAX).await, ("r0 r1 r2 r3".into(), false));
    assert_eq!(page(Some("r4"), None, 4, usize::MAX).await, ("r5 r6 r7 r8".into(), true));
    assert_eq!(page(Some("r4"), None, 4, 0).await, ("r5".into(), false));
    assert_eq!(page(Some("r1"), odd, 9, usize::MAX).await, ("r3 r5 r7".into(), true));
    assert_eq!(page(Some("r8"), None, 4, usize::MAX).await, (String::new(), true));
}

/// Keeps what it is told.
#[derive(Default)]
struct Ear(Mutex<Vec<Committed>>);

impl Listener for Ear {
    fn committed(&self, news: Vec<Committed>) {
        self.0.lock().unwrap().extend(news);
    }
}

pub(super) async fn who_listens_hears_of_each_commit(store: &impl Store) {
    insert(store, "c", "before", json!({})).await;
    let ear = Arc::new(Ear::default());
    store.listen(Arc::clone(&ear) as Arc<dyn Listener>);
    let put = |collection: &str, id: &str| write(collection, id, Operation::Put(body(&json!({}))));
    commit(store, vec![put("c", "a"), put("d", "a"), put("c", "b")]).await.unwrap();
    assert_eq!(code(one(store, "a", Operation::Insert(body(&json!({})))).await), Some(Code::Conflict));
    one(store, "a", Operation::Delete).await.unwrap();
    // The listener may hear of a commit after its asker, but before the next commit.
    insert(store, "e", "last", json!({})).await;
    let news = std::mem::take(&mut *ear.0.lock().unwrap());
    let mut told: Vec<(String, Vec<u64>)> = Vec::new();
    for news in news {
        let Committed::Changes(batch) = news else { continue };
        if &*batch.collection == "e" {
            continue;
        }
        let offsets = batch.changes.iter().map(|change| change.offset.0).collect();
        told.push((batch.collection.to_string(), offsets));
    }
    told.sort();
    assert_eq!(told, [("c".into(), vec![2, 3]), ("c".into(), vec![4]), ("d".into(), vec![1])]);
}
