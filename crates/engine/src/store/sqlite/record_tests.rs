//! What is true of SQLite's records alone: plans, lives, folders of older versions, and random histories.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use proptest::prelude::*;
use rusqlite::params_from_iter;
use rusqlite::types::Value as Bound;
use serde_json::json;

use super::*;
use crate::edit::{Action, FieldAction, Ttl};
use crate::error::Code;
use crate::id::ManualClock;
use crate::query::{Body, Operator, Projection, Sort, VectorSearch};
use crate::schema::{Field, FieldKind, Index as FieldIndex};
use crate::store::Operation;

fn body(value: Value) -> Body {
    value.as_object().unwrap().clone()
}

fn indexed(names: &[&str]) -> Schema {
    let field = || Field { index: Some(FieldIndex::BTree), ..Field::default() };
    let (created_at, updated_at) = (Timestamp(0), Timestamp(0));
    let fields = names.iter().map(|name| ((*name).to_owned(), field())).collect();
    Schema { fields, primary_key: "id".into(), version: 0, created_at, updated_at }
}

async fn plan(store: &Sqlite, query: Query) -> String {
    let (schemas, now) = (store.schemas.clone(), Timestamp(0));
    let explain = move |c: &Connection| {
        let scope = collections::scope(c, &schemas, &query.collection, now)?;
        let sql = filter::select(&query, &scope)?;
        let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text))?;
        let rows =
            statement.query_map(params_from_iter::<Vec<Bound>>(sql.values), |row| row.get::<_, String>(3))?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.join("; "))
    };
    store.records.readers.call(explain).await.unwrap()
}

/// One connection serves short reads, which hold their answers, and long ones between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_wait_for_each_other_are_all_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(Settings { readers: 1, ..Settings::new(dir.path()) }).unwrap();
    store.create_collection("c", Some(indexed(&["n"])), Timestamp(1)).await.unwrap();
    let insert = |number: usize| {
        let members = body(json!({"n": number % 10, "other": number % 2}));
        Write::new("c", RecordId(format!("{number:03}")), Operation::Insert(members))
    };
    store.commit(&"ann".into(), Timestamp(1), (0..200).map(insert).collect()).await.unwrap();
    let ask = |number: usize| {
        let (query, found) = match number % 5 {
            0 => (Query::all("c", 1_000), 200),
            1 => (Query::all("c", 100).filter(Filter::eq("other", 1)), 100),
            2 => (Query { projection: Projection::Only(vec!["n".into()]), ..Query::all("c", 7) }, 7),
            _ => (Query::all("c", 30).filter(Filter::eq("n", number % 10)), 20),
        };
        let store = &store;
        async move {
            if number.is_multiple_of(11) {
                drop(store.query_texts(&query).now_or_never()); // who asks may go away
            }
            assert_eq!(store.query_texts(&query).await.unwrap().len(), found, "{query:?}");
        }
    };
    futures_util::future::join_all((0..300).map(ask)).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_long_read_lets_others_read() {
    let store = Sqlite::in_memory().unwrap();
    let (say, hear) = std::sync::mpsc::channel();
    let long = store.records.readers.short(move |_, held| {
        held.tell();
        hear.recv_timeout(Duration::from_secs(30)).map_err(Error::internal)
    });
    let short = store.records.readers.short(move |_, _| say.send(()).map_err(Error::internal));
    let (long, short) = futures_util::future::join(long, short).await;
    assert!(long.is_ok() && short.is_ok(), "{long:?} {short:?}");
}

#[tokio::test]
async fn declared_indexes_are_used() {
    let store = Sqlite::in_memory().unwrap();
    let insert = |number: u64| {
        Write::new(
            "c",
            RecordId(number.to_string()),
            Operation::Insert(body(json!({"n": number % 100, "a": {"b": "x"}}))),
        )
    };
    store.commit(&"ann".into(), Timestamp(1), (0..2_000).map(insert).collect()).await.unwrap();
    store.create_collection("c", Some(indexed(&["n", "a.b"])), Timestamp(1)).await.unwrap();
    let check = async |query: Query, searches: bool, sorts: bool| {
        let plan = plan(&store, query.clone()).await;
        let way = if searches { "SEARCH" } else { "SCAN" };
        assert!(plan.starts_with(&format!("{way} records USING INDEX member_")), "{query:?}: {plan}");
        assert_eq!(plan.contains("TEMP B-TREE"), sorts, "{query:?}: {plan}");
    };
    let all = || Query::all("c", 10);
    let by =
        |field: &str, descending| Query { sort: vec![Sort { field: field.into(), descending }], ..all() };
    let compare = |operator, value: Value| all().filter(Filter::compare("n", operator, value));
    check(compare(Operator::Eq, json!(5)), true, false).await;
    check(compare(Operator::Gt, json!(5)), true, true).await;
    check(compare(Operator::Lte, json!("x")), true, true).await;
    check(compare(Operator::In, json!([1, 2, 3])), true, true).await;
    check(all().filter(Filter::eq("a.b", "x")), true, false).await;
    check(by("n", false), false, false).await;
    check(by("n", true), false, true).await; // ties alone are sorted
    check(by("n", false).filter(Filter::compare("n", Operator::Gte, 7)), true, false).await;
    let both = Filter::And(vec![Filter::eq("n", 5), Filter::compare("other", Operator::Gt, 1)]);
    check(all().filter(both), true, false).await;
    let plain = plan(&store, all().filter(Filter::eq("other", 1))).await;
    assert!(plain.contains("sqlite_autoindex_records_1 (collection=?)"), "{plain}");
}

fn aged(clock: &Arc<ManualClock>) -> Sqlite {
    Sqlite::in_memory_at(Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn seconds(seconds: u64, renewed_by_access: bool) -> Option<Ttl> {
    Some(Ttl { after: Duration::from_secs(seconds), renewed_by_access })
}

fn write(id: &str, operation: Operation) -> Write {
    Write::new("c", RecordId::from(id), operation)
}

async fn sweep(store: &Sqlite) {
    let (schemas, now) = (store.schemas.clone(), store.clock.now());
    store.records.writer.call(move |c, news| expire(c, &schemas, now, news)).await.unwrap();
}

#[tokio::test]
async fn what_has_expired_is_gone_at_once_and_removed_by_the_system() {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let store = aged(&clock);
    let insert = |id: &str| write(id, Operation::Insert(body(json!({"text": "tea", "id_was": id}))));
    let batch = vec![insert("a").ttl(seconds(3, false)), insert("b"), insert("c").ttl(seconds(9, false))];
    let edited = store.edit(&"ann".into(), clock.now(), batch, true).await.unwrap();
    assert_eq!(edited[0].as_ref().unwrap().expires_at, Some(Timestamp(3_000_000)));
    let words = Search::words("c", "tea", 9);
    assert_eq!(store.search(&words).await.unwrap().len(), 3);
    let left = async || {
        let filter = Filter::eq("text", "tea");
        let found = store.query(&Query::all("c", 9)).await.unwrap().len();
        let hits = store.search(&words).await.unwrap().len();
        let distinct = store.distinct("c", "id_was", None).await.unwrap().len();
        let listed = store.collections().await.unwrap()[0].count;
        let counts =
            (store.count("c", None).await.unwrap(), store.count("c", Some(&filter)).await.unwrap(), listed);
        assert_eq!((found, hits, distinct), (found, found, found));
        assert_eq!(counts, (found as u64, found as u64, found as u64));
        found
    };
    clock.advance(Duration::from_millis(2_999));
    assert_eq!(left().await, 3);
    clock.advance(Duration::from_millis(1));
    assert_eq!(left().await, 2);
    assert_eq!(store.get("c", &"a".into()).await.unwrap(), None);
    let merge = write("a", Operation::Merge(body(json!({"x": 1}))));
    let refused = store.commit(&"ann".into(), clock.now(), vec![merge]).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);

    sweep(&store).await;
    let changes = store.changes("c", Offset(3), 9).await.unwrap();
    assert_eq!((changes.len(), changes[0].id.0.as_str(), &*changes[0].by.0), (1, "a", Subject::SYSTEM));
    assert_eq!(changes[0].before, Some(body(json!({"text": "tea", "id_was": "a"}))));
    sweep(&store).await;
    assert_eq!(store.changes("c", Offset(4), 9).await.unwrap(), []);

    clock.advance(Duration::from_secs(9));
    let told = store
        .commit(&"ann".into(), clock.now(), vec![insert("c"), write("b", Operation::Delete)])
        .await
        .unwrap();
    assert_eq!(
        told.iter().map(|change| change.offset.0).collect::<Vec<_>>(),
        [6, 7],
        "5 removed what had expired"
    );
    assert_eq!(left().await, 1);
}

#[tokio::test]
async fn lists_of_collections_do_not_count_what_has_expired() {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let store = aged(&clock);
    let insert = |id: &str, ttl| Write { ttl, ..write(id, Operation::Insert(body(json!({"text": "tea"})))) };
    let mut writes = vec![insert("a", seconds(1, false)), insert("b", seconds(1, false)), insert("c", None)];
    writes.extend(writes.clone().into_iter().map(|write| Write { collection: "other".into(), ..write }));
    writes.pop();
    store.commit(&"ann".into(), Timestamp(0), writes).await.unwrap();
    let counts = async || {
        let list = store.collections().await.unwrap();
        list.into_iter().map(|info| (info.name, info.count)).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [("c".into(), 3), ("other".into(), 2)]);
    clock.advance(Duration::from_secs(2));
    assert_eq!(counts().await, [("c".into(), 1), ("other".into(), 0)]);
    sweep(&store).await;
    assert_eq!(counts().await[0], ("c".into(), 1));
}

#[tokio::test]
async fn a_unique_value_is_free_when_its_record_has_expired() {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let store = aged(&clock);
    let mut schema = indexed(&["m"]);
    schema.fields["m"].unique = true;
    store.create_collection("c", Some(schema), clock.now()).await.unwrap();
    let insert = |id: &str| write(id, Operation::Insert(body(json!({"m": 1}))));
    store.commit(&"ann".into(), clock.now(), vec![insert("a").ttl(seconds(1, false))]).await.unwrap();
    let taken = store.commit(&"ann".into(), clock.now(), vec![insert("b")]).await.unwrap_err();
    assert_eq!(taken.code, Code::Conflict);
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        store.commit(&"ann".into(), clock.now(), vec![insert("b")]).await.unwrap()[0].offset,
        Offset(3)
    );
    assert_eq!(store.count("c", None).await.unwrap(), 1);
}

#[tokio::test]
async fn a_life_can_be_renewed_by_access() {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let store = aged(&clock);
    let insert = |id: &str, ttl| write(id, Operation::Insert(Body::new())).ttl(ttl);
    let batch = vec![insert("kept", seconds(10, true)), insert("left", seconds(10, false))];
    store.commit(&"ann".into(), clock.now(), batch).await.unwrap();
    for _ in 0..5 {
        clock.advance(Duration::from_secs(8));
        let kept = store.get("c", &"kept".into()).await.unwrap().unwrap();
        assert_eq!(kept.expires_at.unwrap().since(clock.now()), Duration::from_secs(10));
    }
    assert_eq!(store.get("c", &"left".into()).await.unwrap(), None);
    let merge = write("kept", Operation::Merge(Body::new())).ttl(seconds(1, false));
    store.commit(&"ann".into(), clock.now(), vec![merge]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.get("c", &"kept".into()).await.unwrap(), None);
}

#[tokio::test]
async fn pairs_expire() {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let store = aged(&clock);
    let pair = |key: &str| KeyValue { key: key.into(), value: json!(1) };
    store.kv_set(vec![pair("a")], Some(Timestamp(5))).await.unwrap();
    store.kv_set(vec![pair("b")], None).await.unwrap();
    clock.advance(Duration::from_micros(5));
    assert_eq!(store.kv_get(vec!["a".into(), "b".into()]).await.unwrap(), [None, Some(json!(1))]);
    assert_eq!(store.kv_find(None, true).await.unwrap(), [pair("a"), pair("b")]);
    assert_eq!(store.kv_find(None, false).await.unwrap(), [pair("b")]);
    sweep(&store).await;
    assert_eq!(store.kv_find(None, true).await.unwrap(), [pair("b")]);
}

#[tokio::test]
async fn a_folder_of_the_first_version_opens() {
    let dir = tempfile::tempdir().unwrap();
    let first = Layout { migrations: &schema::RECORDS.migrations[..1], ..schema::RECORDS };
    std::fs::create_dir_all(dir.path()).unwrap();
    let old = Connection::open(dir.path().join("records.db")).unwrap();
    first.migrate(&old).unwrap();
    old.execute_batch(
        "INSERT INTO collections (name, count, last_offset) VALUES ('c', 1, 1);
         INSERT INTO records (collection, id, version, created_at, updated_at, body) VALUES (1, 'a', 1, 5, 5, jsonb('{\"n\":1}'));
         INSERT INTO changes VALUES (1, 1, 1, 'a', NULL, jsonb('{\"n\":1}'), 5, 'ann');",
    )
    .unwrap();
    drop(old);
    let store = Sqlite::open(Settings { keep_for: Duration::MAX, ..Settings::new(dir.path()) }).unwrap();
    let record = store.get("c", &"a".into()).await.unwrap().unwrap();
    assert_eq!((record.body, record.expires_at), (body(json!({"n": 1})), None));
    store.create_collection("c", Some(indexed(&["n"])), Timestamp(6)).await.unwrap();
    store
        .commit(&"ann".into(), Timestamp(6), vec![write("b", Operation::Insert(Body::new()))])
        .await
        .unwrap();
    assert_eq!(store.changes("c", Offset(0), 9).await.unwrap().len(), 2);
    let plan = plan(&store, Query::all("c", 9).filter(Filter::eq("n", 1))).await;
    assert!(plan.contains("member_"), "{plan}");
}

#[tokio::test]
async fn what_a_dropped_collection_leaves_is_swept() {
    let store = Sqlite::in_memory().unwrap();
    let insert = |number: u64| Write::new("c", RecordId(number.to_string()), Operation::Insert(Body::new()));
    store.commit(&"ann".into(), Timestamp(1), (0..12_000).map(insert).collect()).await.unwrap();
    store.drop_collection("c", Timestamp(2)).await.unwrap();
    store.commit(&"ann".into(), Timestamp(3), vec![insert(1)]).await.unwrap();
    sweep_dropped(&store).await;
    let count = |c: &Connection| {
        Ok(c.query_row("SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM changes)", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?)
    };
    assert_eq!(store.records.readers.call(count).await.unwrap(), (1, 1));
    assert_eq!(store.count("c", None).await.unwrap(), 1);
}

/// Removes all that dropped collections have left.
async fn sweep_dropped(store: &Sqlite) {
    let sweep = || {
        let (schemas, vectors) = (store.schemas.clone(), Arc::clone(&store.vectors));
        store.records.writer.call(move |c, _| collections::sweep(c, &schemas, &vectors))
    };
    while sweep().await.unwrap() {}
}

/// A search by nearness.
fn near(collection: &str, field: &str) -> Search {
    let vector = VectorSearch {
        field: field.into(),
        vector: vec![1.0, 0.0],
        metric: None,
        k: 9,
        threshold: None,
        weight: 1.0,
    };
    Search { text: None, vector: Some(vector), ..Search::words(collection, "", 9) }
}

#[tokio::test]
async fn vectors_that_are_gone_leave_no_rows() {
    let store = Sqlite::in_memory().unwrap();
    let with_vector = |id: &str| write(id, Operation::Put(body(json!({"v": [1.0, 0.5]}))));
    let commit = async |writes| store.commit(&"ann".into(), Timestamp(1), writes).await.unwrap();
    let found = async || store.search(&near("c", "v")).await.unwrap().len();
    let rows = async || {
        let vectors = || Arc::clone(&store.vectors);
        let sweep = |vectors: Arc<search::Cache>| store.records.writer.call(move |c, _| vectors.sweep(c));
        while sweep(vectors()).await.unwrap() {}
        let count = |c: &Connection| {
            Ok(c.query_row("SELECT count(*) FROM vectors_1", [], |row| row.get::<_, i64>(0))?)
        };
        store.records.readers.call(count).await.unwrap()
    };
    let many: Vec<String> = (0..2_500).map(|number| number.to_string()).collect();
    commit(["a", "b"].into_iter().chain(many.iter().map(String::as_str)).map(with_vector).collect()).await;
    assert_eq!((found().await, rows().await), (9, 2_502));
    let gone = many.iter().map(|id| write(id, Operation::Delete));
    let without = write("b", Operation::Put(body(json!({"n": 1}))));
    commit(gone.chain([without]).collect()).await;
    assert_eq!(rows().await, 2_502, "the copy in memory has yet to hear of it");
    assert_eq!((found().await, rows().await), (1, 1));
    commit(vec![with_vector("b"), with_vector("2")]).await;
    assert_eq!((found().await, rows().await), (3, 3));
    store.drop_collection("c", Timestamp(2)).await.unwrap();
    commit(vec![with_vector("a")]).await;
    assert_eq!(found().await, 1, "a table that went with its collection is in nobody's way");
}

#[tokio::test]
async fn collections_that_come_and_go_leave_nothing_in_memory() {
    let store = Sqlite::in_memory().unwrap();
    for round in 0..20 {
        store.create_collection("c", Some(indexed(&["n"])), Timestamp(round)).await.unwrap();
        let insert = write("a", Operation::Insert(body(json!({"n": 1, "v": [1.0, 0.5]}))));
        store.commit(&"ann".into(), Timestamp(round), vec![insert]).await.unwrap();
        assert_eq!(store.search(&near("c", "v")).await.unwrap().len(), 1);
        assert_eq!(store.count("c", Some(&Filter::eq("n", 1))).await.unwrap(), 1);
        store.drop_collection("c", Timestamp(round)).await.unwrap();
    }
    sweep_dropped(&store).await;
    assert_eq!((store.vectors.len(), store.schemas.len()), (0, 0));
}

#[tokio::test]
async fn searches_that_name_any_member_keep_few_tables_of_vectors() {
    let store = Sqlite::in_memory().unwrap();
    let insert = write("a", Operation::Insert(body(json!({"v": [1.0, 0.5], "n": 1}))));
    store.commit(&"ann".into(), Timestamp(1), vec![insert]).await.unwrap();
    assert_eq!(store.search(&near("c", "v")).await.unwrap().len(), 1);
    for number in 0..200 {
        assert_eq!(store.search(&near("c", &format!("member_{number}"))).await.unwrap().len(), 0);
    }
    let tables = |c: &Connection| {
        let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB 'vectors_[0-9]*'";
        Ok(c.query_row(count, [], |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(store.records.readers.call(tables).await.unwrap(), 16);
    assert_eq!(store.vectors.len(), 1, "members without vectors have nothing in memory");
    assert_eq!(store.search(&near("c", "v")).await.unwrap().len(), 1, "one that has vectors stays");
    // A member that made room is looked through anew, also for what was written meanwhile.
    let update = write("a", Operation::Merge(body(json!({"member_0": [1.0, 0.0]}))));
    store.commit(&"ann".into(), Timestamp(2), vec![update]).await.unwrap();
    assert_eq!(store.search(&near("c", "member_0")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn beyond_the_most_members_with_vectors_a_search_says_so() {
    let store = Sqlite::in_memory().unwrap();
    let members = (0..17).map(|number| (format!("member_{number}"), json!([1.0, 0.5]))).collect();
    let insert = write("a", Operation::Insert(members));
    store.commit(&"ann".into(), Timestamp(1), vec![insert]).await.unwrap();
    for number in 0..16 {
        assert_eq!(store.search(&near("c", &format!("member_{number}"))).await.unwrap().len(), 1);
    }
    let refused = store.search(&near("c", "member_16")).await.unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    assert!(refused.message.contains("at most 16 members"), "{refused}");
}

/// What a random history of one collection is made of.
#[derive(Debug, Clone)]
enum Step {
    Put { id: u8, n: Option<i8>, unique: Option<u8> },
    Insert { id: u8, n: i8 },
    Merge { id: u8, n: i8 },
    Add { id: u8, by: i8 },
    Delete { id: u8 },
    Index { on: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..6_u8;
    prop_oneof![
        4 => (id.clone(), prop::option::of(-2..3_i8), prop::option::of(0..4_u8))
            .prop_map(|(id, n, unique)| Step::Put { id, n, unique }),
        2 => (id.clone(), -2..3_i8).prop_map(|(id, n)| Step::Insert { id, n }),
        2 => (id.clone(), -2..3_i8).prop_map(|(id, n)| Step::Merge { id, n }),
        2 => (id.clone(), -2..3_i8).prop_map(|(id, by)| Step::Add { id, by }),
        2 => id.prop_map(|id| Step::Delete { id }),
        1 => any::<bool>().prop_map(|on| Step::Index { on }),
    ]
}

/// What the collection should hold.
type Model = BTreeMap<String, Body>;

fn operation(step: &Step) -> Option<(u8, Operation)> {
    Some(match step {
        Step::Put { id, n, unique } => {
            let members = [("n", n.map(|n| json!(n))), ("u", unique.map(|u| json!(u)))];
            let body = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            (*id, Operation::Put(body.collect()))
        }
        Step::Insert { id, n } => (*id, Operation::Insert(body(json!({"n": n})))),
        Step::Merge { id, n } => (*id, Operation::Merge(body(json!({"n": n})))),
        Step::Add { id, by } => {
            let action = FieldAction { field: "n".into(), action: Action::Increment, value: Some(json!(by)) };
            (*id, Operation::Act(vec![action]))
        }
        Step::Delete { id } => (*id, Operation::Delete),
        Step::Index { .. } => return None,
    })
}

/// The same in memory: the record after it, or the code of the refusal.
fn expected(model: &Model, id: &str, operation: &Operation) -> Result<Option<Body>, Code> {
    let before = model.get(id);
    let after = match operation {
        Operation::Insert(_) if before.is_some() => return Err(Code::Conflict),
        Operation::Insert(body) | Operation::InsertIfAbsent(body) | Operation::Put(body) => body.clone(),
        Operation::Merge(members) => {
            let mut body = before.ok_or(Code::NotFound)?.clone();
            body.extend(members.clone());
            body
        }
        Operation::Act(actions) => {
            let mut body = before.ok_or(Code::NotFound)?.clone();
            let by = actions[0].value.as_ref().and_then(Value::as_i64).unwrap();
            let n = body.get("n").and_then(Value::as_i64).unwrap_or(0) + by;
            body.insert("n".into(), json!(n));
            body
        }
        Operation::Delete => return before.map(|_| None).ok_or(Code::NotFound),
    };
    let twin = |(other, body): (&String, &Body)| other != id && body.get("u") == after.get("u");
    if after.contains_key("u") && model.iter().any(twin) {
        return Err(Code::Conflict);
    }
    Ok(Some(after))
}

async fn check_history(steps: Vec<Vec<Step>>) {
    let store = Sqlite::in_memory().unwrap();
    let mut schema = indexed(&["u"]);
    schema.fields["u"].unique = true;
    store.create_collection("c", Some(schema), Timestamp(0)).await.unwrap();
    let (mut model, mut log) = (Model::new(), Vec::new());
    for group in steps {
        if let [Step::Index { on }, ..] = group[..] {
            let index = if on { FieldIndex::BTree } else { FieldIndex::Text { language: "english".into() } };
            let change =
                FieldChange { kind: Some(FieldKind::Any), index: Some(index), ..FieldChange::default() };
            store.change_schema("c", vec![("n".into(), change)], Timestamp(1)).await.unwrap();
        }
        let operations: Vec<(u8, Operation)> = group.iter().filter_map(operation).collect();
        let writes =
            operations.iter().map(|(id, operation)| write(&id.to_string(), operation.clone())).collect();
        let done = store.edit(&"ann".into(), Timestamp(1), writes, false).await.unwrap();
        for ((id, operation), done) in operations.iter().zip(done) {
            let id = id.to_string();
            let expected = expected(&model, &id, operation);
            assert_eq!(done.as_ref().err().map(|error| error.code), expected.clone().err(), "{operation:?}");
            let Ok(after) = expected else { continue };
            let (before, done) = (model.remove(&id), done.unwrap());
            assert_eq!(Some(&done.body), after.as_ref().or(before.as_ref()));
            assert_eq!(done.version.0, log.len() as u64 + 1);
            log.push((id.clone(), before, after.clone()));
            after.map(|after| model.insert(id, after));
        }
        check_state(&store, &model, &log).await;
    }
}

async fn check_state(store: &Sqlite, model: &Model, log: &[(String, Option<Body>, Option<Body>)]) {
    let changes = store.changes("c", Offset(0), usize::MAX).await.unwrap();
    assert!((1..=log.len() as u64).eq(changes.iter().map(|change| change.offset.0)), "the log has no gap");
    let kept = changes.into_iter().map(|change| (change.id.0, change.before, change.after));
    assert!(kept.eq(log.iter().cloned()));
    assert_eq!(store.count("c", None).await.unwrap(), model.len() as u64);
    let records = store.query(&Query::all("c", 100)).await.unwrap();
    assert!(records.into_iter().map(|record| (record.id.0, record.body)).eq(model.clone()));
    for n in -3..4_i64 {
        let of = |operator| Filter::compare("n", operator, n);
        let fits = |test: fn(&i64, &i64) -> bool| {
            model
                .values()
                .filter(|body| body.get("n").and_then(Value::as_i64).is_some_and(|v| test(&v, &n)))
                .count() as u64
        };
        assert_eq!(store.count("c", Some(&of(Operator::Eq))).await.unwrap(), fits(i64::eq));
        assert_eq!(store.count("c", Some(&of(Operator::Gt))).await.unwrap(), fits(i64::gt));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_log_and_indexes_agree_whatever_happens(
        steps in prop::collection::vec(prop::collection::vec(step(), 1..6), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_history(steps));
    }
}

/// What a writer is told, each in a command of its own.
#[derive(Debug, Clone)]
enum Told {
    Insert(u8),
    Put(u8),
    Delete(u8),
    /// Each for itself: one that can be done beside one that cannot.
    Some(u8),
    Define,
    Drop,
    Pair,
}

fn told() -> impl Strategy<Value = (bool, Told)> {
    let told = prop_oneof![
        4 => (0..6_u8).prop_map(Told::Insert),
        4 => (0..6_u8).prop_map(Told::Put),
        2 => (0..6_u8).prop_map(Told::Delete),
        2 => (0..6_u8).prop_map(Told::Some),
        1 => Just(Told::Define),
        1 => Just(Told::Drop),
        1 => Just(Told::Pair),
    ];
    (any::<bool>(), told)
}

/// Does it and says what came of it.
async fn tell(store: &Sqlite, (collection, told): (bool, Told)) -> String {
    let name = if collection { "a" } else { "b" };
    let (by, at) = (Subject::from("ann"), Timestamp(1));
    let write = |id: u8, operation| Write::new(name, RecordId(id.to_string()), operation);
    let members = || body(json!({"n": 1}));
    let commit = |write| store.commit(&by, at, vec![write]);
    match told {
        Told::Insert(id) => format!("{:?}", commit(write(id, Operation::Insert(members()))).await),
        Told::Put(id) => format!("{:?}", commit(write(id, Operation::Put(members()))).await),
        Told::Delete(id) => format!("{:?}", commit(write(id, Operation::Delete)).await),
        Told::Some(id) => {
            let writes = vec![write(id, Operation::Put(members())), write(99, Operation::Delete)];
            format!("{:?}", store.edit(&by, at, writes, false).await)
        }
        Told::Define => format!("{:?}", store.create_collection(name, Some(indexed(&["n"])), at).await),
        Told::Drop => format!("{:?}", store.drop_collection(name, at).await),
        Told::Pair => {
            let pair = KeyValue { key: "k".into(), value: json!(1) };
            format!("{:?}", store.kv_set(vec![pair], None).await)
        }
    }
}

/// Everything of both collections.
async fn everything(store: &Sqlite) -> String {
    let mut all = format!("{:?}", store.collections().await);
    for name in ["a", "b"] {
        let records = store.query(&Query::all(name, 100)).await;
        let log = store.log(name).await.unwrap();
        all +=
            &format!("{records:?} {:?} {log:?}", store.changes(name, Offset(log.first.0 - 1), 1_000).await);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Commands of one transaction know what those before them left, also where some fail.
    #[test]
    fn commands_that_share_a_transaction_do_what_they_would_do_alone(
        told in prop::collection::vec(told(), 1..30)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (apart, together) = (Sqlite::in_memory().unwrap(), Sqlite::in_memory().unwrap());
            let mut alone = Vec::new();
            for one in told.clone() {
                alone.push(tell(&apart, one).await);
            }
            let (go, gone) = std::sync::mpsc::channel::<()>();
            // It may be done again with the others; then nobody holds it any more.
            let hold = together.records.writer.call(move |_, _| {
                gone.recv().ok();
                Ok(())
            });
            let all = futures_util::future::join_all(told.into_iter().map(|one| tell(&together, one)));
            let let_go = async move { drop(go) };
            // They are queued in this order before the writer goes on.
            let (held, all, ()) = tokio::join!(hold, all, let_go);
            held.unwrap();
            assert_eq!(all, alone);
            assert_eq!(everything(&together).await, everything(&apart).await);
        });
    }
}
