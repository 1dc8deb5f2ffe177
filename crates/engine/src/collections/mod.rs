//! The data desk: records, for clients and for agents' tools.
//!
//! Every request is judged here by its identity and its limits, then handed to the store. Collections whose names
//! begin with `_` are the house's own: nobody but the house reads or writes them.

pub mod documents;
pub mod import;
pub mod matches;
mod pairs;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::agent::Records;
use crate::edit::{Edit, Edited};
use crate::error::{Code, Detail, Error, Result};
use crate::id::{Clock, RecordId};
use crate::identity::Identity;
use crate::query::{Body, CollectionInfo, Filter, Hit, Projection, Query, Record, RecordTexts, Search};
use crate::store::{Operation, Store, Write};

pub use crate::store::{MAX_ANSWER, MAX_RECORD};
pub use pairs::{COLLECTION as KV_COLLECTION, MAX_KEY};

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

    /// `Edit`: what each edit did, in order; with `together` all or none, else each for itself. An insert makes the
    /// collection when it does not exist.
    ///
    /// With `together` an error's field names which edit it is about: `edits.3.name`.
    pub async fn edit(
        &self,
        identity: &Identity,
        collection: &str,
        edits: Vec<Edit>,
        together: bool,
    ) -> Result<Vec<Result<Edited>>> {
        check_name(collection)?;
        identity.check_write(collection)?;
        check_count(edits.len(), "edits")?;
        let writes = edits.into_iter().map(|edit| write(collection, edit));
        if together {
            let named =
                |(number, write): (usize, Result<Write>)| write.map_err(|error| at_edit(error, number));
            let writes = writes.enumerate().map(named).collect::<Result<Vec<_>>>()?;
            return self.commit(identity, writes, true).await;
        }
        // What is wrong by itself never reaches the store; the answers are put back into their places.
        let mut results: Vec<Result<Write>> = writes.collect();
        let good = results.iter_mut().filter_map(take).collect();
        let mut done = self.commit(identity, good, false).await?.into_iter();
        Ok(results.into_iter().map(|result| result.err().map_or_else(|| next(&mut done), Err)).collect())
    }

    async fn commit(
        &self,
        identity: &Identity,
        writes: Vec<Write>,
        together: bool,
    ) -> Result<Vec<Result<Edited>>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.store.edit(&identity.subject, self.clock.now(), writes, together).await
    }

    /// `Get`.
    pub async fn get(
        &self,
        identity: &Identity,
        collection: &str,
        id: &RecordId,
        projection: &Projection,
    ) -> Result<RecordTexts> {
        check_name(collection)?;
        identity.check_read(collection)?;
        let found = match projection {
            Projection::All => self.store.get_text(collection, id).await?,
            Projection::Only(_) | Projection::Without(_) => {
                let found = self.store.get(collection, id).await?;
                found.map(|mut record| {
                    projection.apply(&mut record.body);
                    [&record].into_iter().collect()
                })
            }
        };
        found
            .ok_or_else(|| Error::not_found(format!("{collection:?} has no record {:?}; check the id", id.0)))
    }

    /// `Query`.
    pub async fn texts(&self, identity: &Identity, query: Query) -> Result<RecordTexts> {
        check_query(identity, &query)?;
        self.store.query_texts(&query).await
    }

    /// `Distinct`.
    pub async fn distinct(
        &self,
        identity: &Identity,
        collection: &str,
        field: &str,
        filter: Option<&Filter>,
    ) -> Result<Vec<Value>> {
        check_name(collection)?;
        identity.check_read(collection)?;
        self.store.distinct(collection, field, filter).await
    }
}

#[async_trait]
impl Records for Desk {
    async fn query(&self, identity: &Identity, query: Query) -> Result<Vec<Record>> {
        check_query(identity, &query)?;
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

    fn commits(&self) -> Option<u64> {
        self.store.commits()
    }

    async fn documents(&self, identity: &Identity) -> Result<Vec<String>> {
        let readable = self.collections(identity).await?;
        self.of_documents(readable.into_iter().map(|info| info.name).collect()).await
    }
}

/// Fails unless the identity may read all collections that a query names.
fn check_query(identity: &Identity, query: &Query) -> Result<()> {
    let joined = query.join.iter().flat_map(|join| &join.collections);
    for collection in std::iter::once(&query.collection).chain(joined) {
        check_name(collection)?;
        identity.check_read(collection)?;
    }
    Ok(())
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
    let (id, operation, ttl) = match edit {
        Edit::Insert { id, body, ttl } => {
            let id = id.unwrap_or_else(RecordId::new);
            check_record(&id, &body)?;
            (id, Operation::Insert(body), ttl)
        }
        Edit::Update { id, body, ttl } => {
            check_record(&id, &body)?;
            (id, Operation::Merge(body), ttl)
        }
        Edit::Act { id, actions } => (id, Operation::Act(actions), None),
        Edit::Delete { id } => (id, Operation::Delete, None),
    };
    if ttl.is_some_and(|ttl| ttl.after.is_zero()) {
        return Err(Error::invalid("a time to live is longer than nothing").with(Detail::Field("ttl".into())));
    }
    Ok(Write::new(collection, id, operation).ttl(ttl))
}

/// Takes a good write out; what stays has no error, and its place says that the store answers for it.
fn take(result: &mut Result<Write>) -> Option<Write> {
    let nothing = Write::new(String::new(), RecordId(String::new()), Operation::Delete);
    result.as_mut().ok().map(|write| std::mem::replace(write, nothing))
}

fn next(done: &mut impl Iterator<Item = Result<Edited>>) -> Result<Edited> {
    done.next()
        .unwrap_or_else(|| Err(Error::internal(std::io::Error::other("the store answered too little"))))
}

fn check_count(count: usize, what: &str) -> Result<()> {
    if count > MAX_EDITS {
        return Err(Error::new(
            Code::TooLarge,
            format!("a command has at most {MAX_EDITS} {what}; send several commands"),
        ));
    }
    Ok(())
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

/// The length of a value's JSON, without writing it.
fn size(value: &impl serde::Serialize) -> usize {
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
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}
