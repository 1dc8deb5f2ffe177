//! Collections with their schemas and indexes, and the key-value store.

use serde_json::{Value, json};

use super::{body, code, commit, insert, who, write};
use crate::edit::{Action, FieldAction, KeyValue};
use crate::error::{Code, Detail};
use crate::id::{Offset, Timestamp};
use crate::query::{Filter, Operator, Query, Sort};
use crate::schema::{Field, FieldChange, FieldKind, Index, Schema};
use crate::store::{Operation, Store};

fn schema(fields: Vec<(&str, Field)>) -> Option<Schema> {
    Some(Schema {
        fields: fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect(),
        primary_key: "key".into(),
        version: 77,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    })
}

fn kind(kind: FieldKind) -> Field {
    Field { kind, ..Field::default() }
}

fn unique() -> Field {
    Field { unique: true, ..Field::default() }
}

fn btree() -> Field {
    Field { index: Some(Index::BTree), ..Field::default() }
}

async fn create(store: &impl Store, fields: Vec<(&str, Field)>) -> crate::Result<Schema> {
    store.create_collection("c", schema(fields), Timestamp(5)).await
}

async fn put(store: &impl Store, id: &str, value: Value) -> crate::Result<Vec<crate::Change>> {
    commit(store, vec![write("c", id, Operation::Put(body(&value)))]).await
}

pub(super) async fn schemas_are_made_read_and_changed(store: &impl Store) {
    assert_eq!(code(store.schema("c").await), Some(Code::NotFound));
    let made = create(store, vec![("a", kind(FieldKind::String))]).await.unwrap();
    assert_eq!((made.version, made.created_at, &*made.primary_key), (1, Timestamp(5), "key"));
    assert_eq!(store.schema("c").await.unwrap(), made);
    assert_eq!(store.collections().await.unwrap()[0].count, 0);
    assert_eq!(code(create(store, vec![]).await), Some(Code::Conflict));

    let longer = FieldChange { required: Some(true), min: Some(json!(2)), ..FieldChange::default() };
    let new = FieldChange { kind: Some(FieldKind::Integer), ..FieldChange::default() };
    let fields = vec![("a".to_owned(), longer), ("b".to_owned(), new)];
    let changed = store.change_schema("c", fields, Timestamp(6)).await.unwrap();
    assert_eq!((changed.version, changed.created_at, changed.updated_at), (2, Timestamp(5), Timestamp(6)));
    assert_eq!(changed.fields["a"], Field { required: true, min: Some(json!(2)), ..kind(FieldKind::String) });
    assert_eq!(store.schema("c").await.unwrap(), changed);
    assert_eq!(code(put(store, "x", json!({"a": "y"})).await), Some(Code::Invalid));

    insert(store, "without", "x", json!({})).await;
    let empty = store.schema("without").await.unwrap();
    assert_eq!((empty.fields.len(), empty.version), (0, 0));
    assert_eq!(store.create_collection("without", None, Timestamp(7)).await.unwrap().version, 1);
    assert_eq!(code(store.create_collection("without", None, Timestamp(7)).await), Some(Code::Conflict));
    let nowhere = store.change_schema("nothing", Vec::new(), Timestamp(7)).await;
    assert_eq!(code(nowhere), Some(Code::NotFound));
}

pub(super) async fn records_are_what_the_schema_says(store: &impl Store) {
    let fields = vec![
        ("name", Field { required: true, ..kind(FieldKind::String) }),
        ("stock.count", Field { min: Some(json!(0)), default: Some(json!(3)), ..kind(FieldKind::Integer) }),
        ("size", Field { enums: vec![json!("S"), json!("M")], ..Field::default() }),
    ];
    create(store, fields).await.unwrap();
    let bad = write("c", "a", Operation::Insert(body(&json!({"size": "XL", "stock": {"count": -1}}))));
    let error = commit(store, vec![bad]).await.unwrap_err();
    assert_eq!(
        (error.code, error.detail),
        (Code::Invalid, Detail::Field("edits.0.name, stock.count, size".into()))
    );
    insert(store, "c", "a", json!({"name": "tea"})).await;
    let act = |by: i64| {
        let action =
            FieldAction { field: "stock.count".into(), action: Action::Decrement, value: Some(json!(by)) };
        write("c", "a", Operation::Act(vec![action]))
    };
    commit(store, vec![act(3)]).await.unwrap();
    assert_eq!(
        code(commit(store, vec![act(1)]).await),
        Some(Code::Invalid),
        "a default was given, 0 is the least"
    );
    let merge = |value: Value| write("c", "a", Operation::Merge(body(&value)));
    assert_eq!(code(commit(store, vec![merge(json!({"name": null}))]).await), Some(Code::Invalid));
    commit(store, vec![merge(json!({"size": "S", "more": 1}))]).await.unwrap();
    let found = store.get("c", &"a".into()).await.unwrap().unwrap();
    assert_eq!(
        Value::Object(found.body),
        json!({"name": "tea", "stock": {"count": 0}, "size": "S", "more": 1})
    );
}

pub(super) async fn unique_values_are_unique(store: &impl Store) {
    create(store, vec![("mail", unique()), ("n.x", unique())]).await.unwrap();
    put(store, "a", json!({"mail": "a@x", "n": {"x": 1}})).await.unwrap();
    put(store, "b", json!({"mail": null})).await.unwrap();
    put(store, "c", json!({})).await.unwrap();
    let error = put(store, "d", json!({"mail": "a@x", "n": {"x": 1.0}})).await.unwrap_err();
    assert_eq!((error.code, error.detail), (Code::Conflict, Detail::Field("edits.0.mail, n.x".into())));
    assert_eq!(code(put(store, "b", json!({"mail": "a@x"})).await), Some(Code::Conflict));
    put(store, "d", json!({"mail": "A@x", "n": {"x": "1"}})).await.unwrap();
    put(store, "a", json!({"mail": "a@x", "n": {"x": 1}, "same": true})).await.unwrap();
    let swap = vec![
        write("c", "a", Operation::Delete),
        write("c", "e", Operation::Insert(body(&json!({"mail": "a@x"})))),
        write("c", "e", Operation::InsertIfAbsent(body(&json!({"mail": "a@x"})))),
    ];
    assert_eq!(commit(store, swap).await.unwrap().len(), 2);
    let results = store
        .edit(
            &who(),
            Timestamp(1),
            ["f", "g"].map(|id| write("c", id, Operation::Insert(body(&json!({"mail": "new"}))))).to_vec(),
            false,
        )
        .await
        .unwrap();
    assert!(results[0].is_ok() && code(results[1].clone()) == Some(Code::Conflict));
}

pub(super) async fn a_schema_is_refused_if_a_record_does_not_fit(store: &impl Store) {
    insert(store, "c", "a", json!({"n": 1, "t": "x"})).await;
    insert(store, "c", "b", json!({"n": 1})).await;
    let error = create(store, vec![("n", kind(FieldKind::Integer)), ("t", kind(FieldKind::Integer))])
        .await
        .unwrap_err();
    assert_eq!((error.code, error.detail), (Code::Invalid, Detail::Field("t".into())));
    assert!(error.message.contains("\"a\""), "{}", error.message);
    let error = create(store, vec![("n", unique())]).await.unwrap_err();
    assert_eq!((error.code, error.detail), (Code::Conflict, Detail::Field("n".into())));
    assert_eq!(store.schema("c").await.unwrap().version, 0, "nothing of it is left");
    put(store, "b", json!({"n": 2})).await.unwrap();
    create(store, vec![("n", unique())]).await.unwrap();
    let pattern = FieldChange { pattern: Some("(".into()), ..FieldChange::default() };
    let refused = store.change_schema("c", vec![("t".into(), pattern)], Timestamp(9)).await;
    assert_eq!(code(refused), Some(Code::Invalid));
    let free = FieldChange { unique: Some(false), ..FieldChange::default() };
    store.change_schema("c", vec![("n".into(), free)], Timestamp(9)).await.unwrap();
    put(store, "b", json!({"n": 1})).await.unwrap();
}

pub(super) async fn a_dropped_collection_leaves_versions_and_offsets(store: &impl Store) {
    create(store, vec![("mail", unique()), ("t", btree())]).await.unwrap();
    put(store, "a", json!({"mail": "a", "t": "tea"})).await.unwrap();
    put(store, "b", json!({"mail": "b", "t": "tea"})).await.unwrap();
    store.search(&crate::query::Search::words("c", "tea", 10)).await.unwrap();
    store.drop_collection("c", Timestamp(8)).await.unwrap();
    assert_eq!(code(store.drop_collection("c", Timestamp(8)).await), Some(Code::NotFound));
    assert_eq!(code(store.schema("c").await), Some(Code::NotFound));
    assert!(store.collections().await.unwrap().is_empty());
    assert_eq!(store.get("c", &"a".into()).await.unwrap(), None);
    assert!(store.query(&Query::all("c", 9)).await.unwrap().is_empty());
    assert_eq!(store.count("c", None).await.unwrap(), 0);
    assert_eq!(code(store.changes("c", Offset(2), 9).await), Some(Code::NotFound), "a reader learns of it");
    assert!(store.changes("c", Offset(3), 9).await.unwrap().is_empty());

    let change = put(store, "a", json!({"mail": 1})).await.unwrap().remove(0);
    assert_eq!((change.offset, change.before), (Offset(4), None));
    assert_eq!(store.count("c", None).await.unwrap(), 1);
    assert!(store.search(&crate::query::Search::words("c", "tea", 10)).await.unwrap().is_empty());
    assert_eq!(create(store, vec![("mail", unique())]).await.unwrap().version, 3, "made, dropped, made");
}

pub(super) async fn indexes_change_no_answer(store: &impl Store) {
    let values = [
        json!(1),
        json!(1.0),
        json!(-2.5),
        json!(u64::MAX),
        json!("1"),
        json!(""),
        json!("it's ? $1 \\ \""),
        json!("ü"),
        json!(true),
        json!(false),
        json!(null),
        json!([1, "a"]),
        json!({"a": 1}),
        json!("\u{0}"),
    ];
    let name = "odd.it's ? $1 \\ \" name";
    for collection in ["plain", "indexed"] {
        for (number, value) in values.iter().enumerate() {
            let member = json!({"odd": {"it's ? $1 \\ \" name": value}});
            insert(store, collection, &format!("{number:02}"), member).await;
        }
        insert(store, collection, "missing", json!({})).await;
    }
    store.create_collection("indexed", schema(vec![(name, btree())]), Timestamp(1)).await.unwrap();
    let operators = [Operator::Eq, Operator::Ne, Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte];
    let mut filters: Vec<Filter> = Vec::new();
    for value in
        values.iter().filter(|value| !matches!(value, Value::Null | Value::Array(_) | Value::Object(_)))
    {
        filters.extend(operators.map(|operator| Filter::compare(name, operator, value.clone())));
    }
    filters.extend(values.iter().map(|value| Filter::eq(name, value.clone())));
    filters.push(Filter::compare(name, Operator::In, json!([1, "1", null, true])));
    filters.push(Filter::compare(name, Operator::NotIn, json!([1, "1", [1, "a"]])));
    filters.push(Filter::compare(name, Operator::StartsWith, "it"));
    for filter in filters {
        for descending in [false, true] {
            let ask = async |collection: &str| {
                let sort = vec![Sort { field: name.into(), descending }];
                let query = Query { sort, ..Query::all(collection, 100).filter(filter.clone()) };
                store.query(&query).await.unwrap().into_iter().map(|record| record.id.0).collect::<Vec<_>>()
            };
            assert_eq!(ask("plain").await, ask("indexed").await, "{filter:?}");
        }
    }
    assert_eq!(
        store.distinct("plain", name, None).await.unwrap(),
        store.distinct("indexed", name, None).await.unwrap()
    );
}

pub(super) async fn pairs_are_kept(store: &impl Store) {
    let pair = |key: &str, value: Value| KeyValue { key: key.into(), value };
    let far = Some(Timestamp(i64::MAX));
    store.kv_set(vec![pair("cache:b", json!({"a": [1]})), pair("cache:a", json!(null))], None).await.unwrap();
    store.kv_set(vec![pair("other", json!(1.5))], far).await.unwrap();
    store.kv_set(vec![pair("gone", json!(2))], Some(Timestamp(1))).await.unwrap();
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let got = store.kv_get(keys(&["other", "nothing", "cache:b", "gone", "cache:a"])).await.unwrap();
    assert_eq!(got, [Some(json!(1.5)), None, Some(json!({"a": [1]})), None, Some(json!(null))]);
    let found = async |pattern: Option<&str>| {
        let pairs = store.kv_find(pattern, false).await.unwrap();
        pairs.into_iter().map(|pair| pair.key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(None).await, "cache:a cache:b other");
    assert_eq!(found(Some("^cache:")).await, "cache:a cache:b");
    assert_eq!(found(Some("[ab]$")).await, "cache:a cache:b");
    assert_eq!(code(store.kv_find(Some("("), false).await), Some(Code::Invalid));
    store.kv_set(vec![pair("other", json!(3))], None).await.unwrap();
    assert_eq!(store.kv_delete(keys(&["other", "nothing", "gone"])).await.unwrap(), [true, false, false]);
    store.kv_clear().await.unwrap();
    assert_eq!(found(None).await, "");
    assert!(store.collections().await.unwrap().is_empty(), "pairs are no records");
}
