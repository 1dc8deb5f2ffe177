//! Records and collections.

use std::collections::HashSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::Again;
use crate::filter::{Filter, Query};
use crate::generated::wire::{self, ClientMessage};
use crate::pages::{PAGE, Pages};
use crate::record::{Record, read, read_all, read_plain};
use crate::{Client, Error, Result};

/// What changes a member by what it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Adds to a number.
    Increment(Value),
    /// Takes from a number.
    Decrement(Value),
    /// Multiplies a number.
    Multiply(Value),
    /// Divides a number.
    Divide(Value),
    /// What is left of a number after dividing it.
    Modulo(Value),
    /// Puts an element behind an array.
    Push(Value),
    /// Puts an element before an array.
    Unshift(Value),
    /// Takes an array's last element off.
    Pop,
    /// Takes an array's first element off.
    Shift,
    /// Takes an element out of an array.
    Remove(Value),
    /// Puts text behind a text.
    Append(Value),
    /// Makes it empty: 0, "", [].
    Clear,
}

impl Action {
    fn into_parts(self) -> (&'static str, Option<Value>) {
        match self {
            Self::Increment(value) => ("increment", Some(value)),
            Self::Decrement(value) => ("decrement", Some(value)),
            Self::Multiply(value) => ("multiply", Some(value)),
            Self::Divide(value) => ("divide", Some(value)),
            Self::Modulo(value) => ("modulo", Some(value)),
            Self::Push(value) => ("push", Some(value)),
            Self::Unshift(value) => ("unshift", Some(value)),
            Self::Pop => ("pop", None),
            Self::Shift => ("shift", None),
            Self::Remove(value) => ("remove", Some(value)),
            Self::Append(value) => ("append", Some(value)),
            Self::Clear => ("clear", None),
        }
    }
}

/// Where a search looks, and for how many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchOptions {
    /// In these members; empty is all that are indexed.
    pub fields: Vec<String>,
    /// At most so many; `None` is 10.
    pub limit: Option<u64>,
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<T = Record> {
    /// The record.
    pub record: T,
    /// Larger is better.
    pub score: f64,
    /// The members in which it was found.
    pub matched_fields: Vec<String>,
}

/// What became of a batch, record by record.
pub use crate::generated::wire::{BatchFailure, BatchReply};

/// # Reading
impl Client {
    /// All records of a collection, by id. They are read page by page; [`Self::pages`] gives them as they come.
    pub async fn find_all<T: DeserializeOwned>(&self, collection: &str) -> Result<Vec<T>> {
        self.pages(Query::new(collection), PAGE).all(|_| ()).await
    }

    /// One record.
    ///
    /// # Errors
    /// [`Error::is_not_found`] if there is none.
    pub async fn find_by_id<T: DeserializeOwned>(&self, collection: &str, id: &str) -> Result<T> {
        let (collection, id) = (collection.to_owned(), id.to_owned());
        let find = wire::FindById { collection, id, ..Default::default() };
        read(self.ask(ClientMessage::FindById(find), Again::Yes).await?)
    }

    /// The records that fit, in one answer. For many, see [`Self::query_all`].
    ///
    /// # Errors
    /// [`Error::is_too_large`] if they do not fit into one answer.
    pub async fn query<T: DeserializeOwned>(&self, query: impl Into<Query>) -> Result<Vec<T>> {
        read_all(self.ask(ClientMessage::Query(query.into().0), Again::Yes).await?)
    }

    /// The records that fit, however many; `progress` is told how many were read so far.
    pub async fn query_all<T: DeserializeOwned>(
        &self,
        query: impl Into<Query>,
        progress: impl FnMut(u64),
    ) -> Result<Vec<T>> {
        self.pages(query, PAGE).all(progress).await
    }

    /// The records that fit, so many at a time.
    pub fn pages<T: DeserializeOwned>(&self, query: impl Into<Query>, size: u64) -> Pages<T> {
        Pages::new(self.caller().clone(), query.into(), size)
    }

    /// Searches by words; the best first.
    pub async fn text_search<T: DeserializeOwned>(
        &self,
        collection: &str,
        words: &str,
        options: SearchOptions,
    ) -> Result<Vec<Hit<T>>> {
        let fields = Some(options.fields).filter(|fields| !fields.is_empty());
        let options = wire::TextSearchOptions { fields, limit: options.limit };
        let search = wire::TextSearch {
            collection: collection.to_owned(),
            query: words.to_owned(),
            options: Some(options),
        };
        let hits: Vec<wire::SearchHit> =
            read_plain(self.ask(ClientMessage::TextSearch(search), Again::Yes).await?)?;
        hits.into_iter().map(hit).collect()
    }

    /// The different values of a member, sorted.
    pub async fn distinct_values(
        &self,
        collection: &str,
        field: &str,
        filter: Option<Filter>,
    ) -> Result<Vec<Value>> {
        let distinct = wire::DistinctValues {
            collection: collection.to_owned(),
            field: field.to_owned(),
            filter: filter.map(Filter::into_json),
        };
        let reply: wire::DistinctReply =
            read_plain(self.ask(ClientMessage::DistinctValues(distinct), Again::Yes).await?)?;
        Ok(reply.values)
    }
}

/// # Writing
impl Client {
    /// Writes a new record and gives its id. One that has no `id` gets it here, so that the insert can be repeated on
    /// a new connection and is done once.
    pub async fn insert(&self, collection: &str, record: impl Serialize) -> Result<String> {
        let (record, id, ours) = with_id(&record)?;
        let insert = wire::Insert { collection: collection.to_owned(), record, bypass_ripple: None };
        let again = if ours { Again::Yes } else { Again::No };
        let (outcome, may_be_done) = self.caller().ask_and_tell(ClientMessage::Insert(insert), again).await;
        match outcome {
            Ok(data) => Ok(data["id"].as_str().map_or(id, str::to_owned)),
            Err(error) if error.is_conflict() && may_be_done => {
                self.find_by_id::<Record>(collection, &id).await.map(|_| id).map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    /// Changes members of a record; the others stay. Gives the whole record.
    pub async fn update(&self, collection: &str, id: &str, members: impl Serialize) -> Result<Record> {
        let record = object(&members)?.into();
        let (collection, id) = (collection.to_owned(), id.to_owned());
        let update = wire::Update { collection, id, record, bypass_ripple: None };
        read(self.ask(ClientMessage::Update(update), Again::Yes).await?)
    }

    /// Changes a member by what it is, in one step. Gives the whole record.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if nobody knows whether it was done.
    pub async fn update_with_action(
        &self,
        collection: &str,
        id: &str,
        field: &str,
        action: Action,
    ) -> Result<Record> {
        let (action, value) = action.into_parts();
        let act = wire::UpdateWithAction {
            collection: collection.to_owned(),
            id: id.to_owned(),
            action: action.to_owned(),
            field: field.to_owned(),
            value,
        };
        read(self.ask(ClientMessage::UpdateWithAction(act), Again::No).await?)
    }

    /// Removes a record. Gives it as it was.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if nobody knows whether it was done.
    pub async fn delete(&self, collection: &str, id: &str) -> Result<Record> {
        let delete =
            wire::Delete { collection: collection.to_owned(), id: id.to_owned(), bypass_ripple: None };
        read(self.ask(ClientMessage::Delete(delete), Again::No).await?)
    }

    /// Writes new records, each for itself. As with [`Self::insert`], those without an `id` get it here, and if all do,
    /// the batch can be repeated and each is written once.
    pub async fn batch_insert<T: Serialize>(
        &self,
        collection: &str,
        records: impl IntoIterator<Item = T>,
    ) -> Result<BatchReply> {
        let with_ids: Result<Vec<_>> = records.into_iter().map(|record| with_id(&record)).collect();
        let with_ids = with_ids?;
        let again = if with_ids.iter().all(|(_, _, ours)| *ours) { Again::Yes } else { Again::No };
        let records = with_ids.into_iter().map(|(record, ..)| record).collect();
        let batch = wire::BatchInsert { collection: collection.to_owned(), records, bypass_ripple: None };
        let (outcome, may_be_done) =
            self.caller().ask_and_tell(ClientMessage::BatchInsert(batch), again).await;
        let reply = read_plain(outcome?)?;
        if may_be_done { self.found_again(collection, reply).await } else { Ok(reply) }
    }

    /// What an attempt that was lost with its connection had written, counts.
    async fn found_again(&self, collection: &str, reply: BatchReply) -> Result<BatchReply> {
        let taken = reply.failed.iter().filter(|failure| failure.code == 409);
        let ids: Vec<_> = taken.filter_map(|failure| failure.id.clone()).collect();
        let query = Query::new(collection).filter(Filter::one_of("id", ids)).select(["id"]);
        let there: Vec<Record> = self.query(query).await?;
        let there: HashSet<&str> = there.iter().filter_map(|record| record["id"].as_str()).collect();
        let BatchReply { mut successful, failed } = reply;
        let is_there = |failure: &BatchFailure| failure.id.as_deref().is_some_and(|id| there.contains(id));
        let (done, failed) = failed.into_iter().partition::<Vec<_>, _>(is_there);
        successful.extend(done.into_iter().filter_map(|failure| failure.id));
        Ok(BatchReply { successful, failed })
    }

    /// Changes members of records, each for itself.
    pub async fn batch_update<T: Serialize>(
        &self,
        collection: &str,
        updates: impl IntoIterator<Item = (String, T)>,
    ) -> Result<BatchReply> {
        let change =
            |(id, members): (String, T)| Ok(wire::IdAndRecord { id, record: object(&members)?.into() });
        let updates = updates.into_iter().map(change).collect::<Result<_>>()?;
        let batch = wire::BatchUpdate { collection: collection.to_owned(), updates, bypass_ripple: None };
        read_plain(self.ask(ClientMessage::BatchUpdate(batch), Again::Yes).await?)
    }

    /// Removes records, each for itself.
    pub async fn batch_delete<S: Into<String>>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = S>,
    ) -> Result<BatchReply> {
        let ids = ids.into_iter().map(Into::into).collect();
        let batch = wire::BatchDelete { collection: collection.to_owned(), ids, bypass_ripple: None };
        read_plain(self.ask(ClientMessage::BatchDelete(batch), Again::No).await?)
    }
}

/// # Collections
impl Client {
    /// Makes a collection. Without a schema it takes any record; collections that are not made come into being with
    /// their first record.
    pub async fn create_collection(&self, name: &str, schema: Option<wire::CollectionSchema>) -> Result<()> {
        let create = wire::CreateCollection { name: name.to_owned(), schema };
        self.ask(ClientMessage::CreateCollection(create), Again::No).await.map(drop)
    }

    /// Removes a collection with its records.
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        let delete = wire::DeleteCollection { name: name.to_owned() };
        self.ask(ClientMessage::DeleteCollection(delete), Again::No).await.map(drop)
    }

    /// The names of the collections that may be read, sorted.
    pub async fn get_collections(&self) -> Result<Vec<String>> {
        read_plain(self.ask(ClientMessage::GetCollections(wire::GetCollections {}), Again::Yes).await?)
    }
}

fn hit<T: DeserializeOwned>(hit: wire::SearchHit) -> Result<Hit<T>> {
    let wire::SearchHit { record, score, matched_fields } = hit;
    Ok(Hit { record: read(record)?, score, matched_fields })
}

fn object(record: &impl Serialize) -> Result<Record> {
    match serde_json::to_value(record) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(_) => Err(Error::invalid("a record is an object with members; give a map or a struct")),
        Err(error) => Err(Error::invalid(format!("the record cannot be written as JSON: {error}"))),
    }
}

/// A record with an id; whether the id was made here.
fn with_id(record: &impl Serialize) -> Result<(Value, String, bool)> {
    let mut record = object(record)?;
    match record.get("id") {
        Some(Value::String(id)) => {
            let id = id.clone();
            Ok((record.into(), id, false))
        }
        Some(Value::Null) | None => {
            let id = uuid::Uuid::now_v7().simple().to_string();
            record.insert(String::from("id"), id.clone().into());
            Ok((record.into(), id, true))
        }
        Some(_) => Err(Error::invalid("a record's id is a text")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_get_an_id_unless_they_have_one() {
        let (record, id, ours) = with_id(&json!({"id": null, "a": 1})).unwrap();
        assert!(ours && record["id"] == json!(id) && id.len() == 32);
        let (_, id, ours) = with_id(&json!({"id": "mine"})).unwrap();
        assert_eq!((id.as_str(), ours), ("mine", false));
        assert!(with_id(&json!({"id": 1})).unwrap_err().is_invalid());
        assert!(with_id(&json!([1])).unwrap_err().is_invalid());
    }
}
