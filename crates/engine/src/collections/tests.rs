//! The desk over a store in memory.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::id::{ManualClock, Timestamp};
use crate::identity::{Grant, Grants};
use crate::store::sqlite::Sqlite;

fn desk() -> Desk {
    let clock = ManualClock::new(Timestamp(0));
    clock.advance(Duration::from_secs(7));
    Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(clock))
}

fn body(value: Value) -> Body {
    value.as_object().unwrap().clone()
}

fn reader_of(collection: &str) -> Identity {
    Identity {
        key: Some("k".into()),
        subject: "ann".into(),
        grants: Grants::Collections(vec![Grant { collection: collection.into(), write: false }]),
    }
}

fn insert_one(id: Option<&str>, value: Value) -> Vec<Edit> {
    vec![Edit::Insert { id: id.map(RecordId::from), body: body(value), ttl: None }]
}

#[tokio::test]
async fn what_is_inserted_can_be_read_counted_and_found() {
    let (desk, local) = (desk(), Identity::local());
    let edits = insert_one(Some("o1"), json!({"name": "tea", "sold": 3}));
    let edited = desk.edit(&local, "orders", edits, true).await.unwrap();
    let inserted = edited[0].as_ref().unwrap();
    assert_eq!((inserted.id.0.as_str(), inserted.created_at.0), ("o1", 7_000_000));

    for (projection, members) in [
        (Projection::All, r#"{"name":"tea","sold":3}"#),
        (Projection::Only(vec!["sold".into()]), r#"{"sold":3}"#),
    ] {
        let record = desk.get(&local, "orders", &"o1".into(), &projection).await.unwrap();
        assert_eq!(
            record.iter().map(|record| (record.id, record.members)).collect::<Vec<_>>(),
            [("o1", members)]
        );
    }

    let filter = Some(Filter::eq("name", "tea"));
    assert_eq!(desk.count(&local, "orders", filter).await.unwrap(), 1);
    let hits = desk.search(&local, Search::words("orders", "te", 5)).await.unwrap();
    assert_eq!(hits.len(), 1);
}

#[tokio::test]
async fn the_identity_decides() {
    let (desk, ann) = (desk(), reader_of("orders"));
    for collection in ["orders", "salaries"] {
        desk.edit(&Identity::local(), collection, insert_one(None, json!({})), true).await.unwrap();
    }
    let refused = desk.edit(&ann, "orders", insert_one(None, json!({})), true).await.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    let refused = desk.query(&ann, Query::all("salaries", 1)).await.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    let list = desk.collections(&ann).await.unwrap();
    assert_eq!(list.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["orders"]);
}

#[tokio::test]
async fn the_houses_own_collections_are_nobodys_business() {
    let desk = desk();
    let write = Write::new("_imports", "x".into(), Operation::Put(Body::new()));
    desk.store.commit(&Identity::local().subject, Timestamp(0), vec![write]).await.unwrap();
    assert!(desk.collections(&Identity::local()).await.unwrap().is_empty());
    let refused = desk.query(&Identity::local(), Query::all("_imports", 1)).await.unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
}

#[tokio::test]
async fn bad_records_are_refused_and_named() {
    let desk = desk();
    let check = async |records: Vec<(Option<&str>, Value)>, code: Code, field: &str| {
        let edits = records.into_iter().flat_map(|(id, value)| insert_one(id, value)).collect();
        let error = desk.edit(&Identity::local(), "orders", edits, true).await.unwrap_err();
        assert_eq!((error.code, error.detail), (code, Detail::Field(field.into())));
    };
    check(vec![(None, json!({})), (Some(""), json!({}))], Code::Invalid, "edits.1.id").await;
    check(vec![(None, json!({"id": 1}))], Code::Invalid, "edits.0.id").await;
    check(vec![(None, json!({"a": "x".repeat(MAX_RECORD)}))], Code::TooLarge, "edits.0").await;
    assert_eq!(desk.count(&Identity::local(), "orders", None).await.unwrap(), 0);
}

#[test]
fn names_are_checked() {
    for good in ["a", "purchase_orders", "A.b-9"] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", "_x", "9a", "a b", "ä", "a/b", &"x".repeat(129)] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}
