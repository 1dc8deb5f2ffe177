//! The data desk: records, for clients and for agents' tools.
//!
//! Every request is judged here by its identity and its limits, then handed to the store. Collections whose names
//! begin with `_` are the house's own: nobody but the house reads or writes them.

pub mod import;

use std::sync::Arc;

use async_trait::async_trait;

use crate::agent::Records;
use crate::change::Change;
use crate::edit::{Edit, Edited};
use crate::error::{Code, Detail, Error, Result};
use crate::id::{Clock, RecordId};
use crate::identity::Identity;
use crate::query::{Body, CollectionInfo, Filter, Hit, Query, Record, Search};
use crate::store::{Operation, Store, Write};

/// The largest record, in bytes of JSON.
pub const MAX_RECORD: usize = 1 << 20;
/// The largest answer, in bytes of its records' JSON.
pub const MAX_ANSWER: usize = 60 << 20;
/// The most edits in one command.
pub const MAX_EDITS: usize = 20_000;
/// The longest record id in bytes.
pub const MAX_ID: usize = 256;
/// The longest collection name.
pub const MAX_NAME: usize = 128;

/// The data desk.
pub struct Desk {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// A desk in front of a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// `Edit`, all or none: what each edit did, in order. Collections that do not exist are made.
    ///
    /// An error's field names which edit it is about: `edits.3.name`.
    pub async fn edit(&self, identity: &Identity, collection: &str, edits: Vec<Edit>) -> Result<Vec<Edited>> {
        check_name(collection)?;
        identity.check_write(collection)?;
        if edits.len() > MAX_EDITS {
            return Err(Error::new(
                Code::TooLarge,
                format!("a command has at most {MAX_EDITS} edits; send several"),
            ));
        }
        let mut batch = Vec::with_capacity(edits.len());
        for (number, edit) in edits.into_iter().enumerate() {
            batch.push(write(collection, edit).map_err(|error| at_edit(error, number))?);
        }
        let changes = self.store.commit(&identity.subject, self.clock.now(), batch).await?;
        Ok(changes.into_iter().map(edited).collect())
    }

    /// `Get`.
    pub async fn get(&self, identity: &Identity, collection: &str, id: &RecordId) -> Result<Record> {
        check_name(collection)?;
        identity.check_read(collection)?;
        let found = self.store.get(collection, id).await?;
        found
            .ok_or_else(|| Error::not_found(format!("{collection:?} has no record {:?}; check the id", id.0)))
    }
}

#[async_trait]
impl Records for Desk {
    async fn query(&self, identity: &Identity, query: Query) -> Result<Vec<Record>> {
        check_name(&query.collection)?;
        identity.check_read(&query.collection)?;
        self.store.query(&query).await
    }

    async fn count(&self, identity: &Identity, collection: &str, filter: Option<Filter>) -> Result<u64> {
        check_name(collection)?;
        identity.check_read(collection)?;
        self.store.count(collection, filter.as_ref()).await
    }

    async fn search(&self, identity: &Identity, search: Search) -> Result<Vec<Hit>> {
        check_name(&search.collection)?;
        identity.check_read(&search.collection)?;
        self.store.search(&search).await
    }

    async fn collections(&self, identity: &Identity) -> Result<Vec<CollectionInfo>> {
        let mut list = self.store.collections().await?;
        list.retain(|info| !is_ours(&info.name) && identity.check_read(&info.name).is_ok());
        Ok(list)
    }
}

/// Fails unless a client may use this as a collection's name.
pub fn check_name(name: &str) -> Result<()> {
    if is_ours(name) {
        return Err(named("collections that begin with _ are the server's own; choose another name"));
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let clean = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if begins && clean && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(named(
        "a collection's name begins with a letter and has up to 128 of the characters A-Z a-z 0-9 _ - .",
    ))
}

/// Fails unless this can be a record: its id, its members' names and its size.
pub fn check_record(id: &RecordId, body: &Body) -> Result<()> {
    if id.0.is_empty() || id.0.len() > MAX_ID || id.0.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "a record's id has 1 to {MAX_ID} bytes and no control characters"
        ))
        .with(Detail::Field("id".into())));
    }
    if body.contains_key("id") {
        return Err(Error::invalid("a record's id stands beside its members; rename the member \"id\"")
            .with(Detail::Field("id".into())));
    }
    if size(body) > MAX_RECORD {
        return Err(Error::new(Code::TooLarge, "a record has at most 1 MiB of JSON; split it"));
    }
    Ok(())
}

fn write(collection: &str, edit: Edit) -> Result<Write> {
    let (id, operation) = match edit {
        Edit::Insert { id, body, ttl: _ } => {
            let id = id.unwrap_or_else(RecordId::new);
            check_record(&id, &body)?;
            (id, Operation::Insert(body))
        }
        Edit::Update { id, body, ttl: _ } => {
            check_record(&id, &body)?;
            (id, Operation::Merge(body))
        }
        Edit::Delete { id } => (id, Operation::Delete),
        Edit::Act { .. } => return Err(Error::new(Code::Unimplemented, "field actions are not served yet")),
    };
    Ok(Write { collection: collection.to_owned(), id, operation })
}

/// The record that a change left, or the one that it removed.
fn edited(change: Change) -> Edited {
    let body = change.after.or(change.before).unwrap_or_default();
    Record {
        id: change.id,
        body,
        version: change.offset,
        created_at: change.at,
        updated_at: change.at,
        expires_at: change.expires_at,
    }
}

/// The same error, naming which of many edits it is about.
fn at_edit(error: Error, number: usize) -> Error {
    let field = match &error.detail {
        Detail::Field(field) => format!("edits.{number}.{field}"),
        Detail::None | Detail::RetryAfter(_) | Detail::Timeout(_) | Detail::Tool(_) => {
            format!("edits.{number}")
        }
    };
    error.with(Detail::Field(field))
}

fn is_ours(name: &str) -> bool {
    name.starts_with('_')
}

fn named(message: &'static str) -> Error {
    Error::invalid(message).with(Detail::Field("collection".into()))
}

/// The length of a body's JSON, without writing it.
fn size(body: &Body) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, body).map_or(usize::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
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
        let edits = insert_one(Some("o1"), json!({"name": "tea"}));
        let edited = desk.edit(&local, "orders", edits).await.unwrap();
        assert_eq!(edited[0].id, RecordId::from("o1"));

        let record = desk.get(&local, "orders", &"o1".into()).await.unwrap();
        assert_eq!((record.body["name"].clone(), record.created_at.0), (json!("tea"), 7_000_000));

        let filter = Some(Filter::eq("name", "tea"));
        assert_eq!(desk.count(&local, "orders", filter).await.unwrap(), 1);
        let hits = desk.search(&local, Search::words("orders", "te", 5)).await.unwrap();
        assert_eq!(hits.len(), 1);
    }

    #[tokio::test]
    async fn the_identity_decides() {
        let (desk, ann) = (desk(), reader_of("orders"));
        for collection in ["orders", "salaries"] {
            desk.edit(&Identity::local(), collection, insert_one(None, json!({}))).await.unwrap();
        }
        let refused = desk.edit(&ann, "orders", insert_one(None, json!({}))).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
        let refused = desk.query(&ann, Query::all("salaries", 1)).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
        let list = desk.collections(&ann).await.unwrap();
        assert_eq!(list.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["orders"]);
    }

    #[tokio::test]
    async fn the_houses_own_collections_are_nobodys_business() {
        let desk = desk();
        let write =
            Write { collection: "_imports".into(), id: "x".into(), operation: Operation::Put(Body::new()) };
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
            let error = desk.edit(&Identity::local(), "orders", edits).await.unwrap_err();
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
}
