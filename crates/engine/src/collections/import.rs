//! Importing a file: batches of rows, each committed together with how far the file is.
//!
//! The checkpoint lies in a collection of ours and is written in the batch's own transaction, so a row is either
//! written and counted or neither, whenever the importer is killed. Whoever reads the file and makes records of its
//! rows is the server's importer; here is what must be true of it.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Desk, MAX_EDITS, check_name, check_record};
use crate::agent::explorer::catalog::{self, Column, Entry, describe_collection};
use crate::error::{Code, Error, Result};
use crate::id::RecordId;
use crate::identity::Identity;
use crate::query::{Body, Filter, Query};
use crate::store::{Change, Operation, Write};

/// Where checkpoints are kept.
const CHECKPOINTS: &str = "_imports";
/// The type of a column whose values are of several.
const MIXED: &str = "text";

/// Some rows of a file, as records.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Into which collection.
    pub collection: String,
    /// What the file is known by: the same for the same content, wherever it lies.
    pub fingerprint: String,
    /// The file's name, for people.
    pub file: String,
    /// Which rows of the file these are, the rejected ones included; the first row is 0.
    pub rows: Range<u64>,
    /// The rows that are good. The same row has the same id whenever it is read.
    pub records: Vec<(RecordId, Body)>,
    /// How many rows were rejected since the file's beginning.
    pub rejected: u64,
    /// Begin anew what was imported before: records are overwritten instead of left alone.
    pub again: bool,
    /// The last batch names the columns and their types, and with that the import is done.
    pub columns: Option<Vec<(String, String)>>,
}

/// How far the import of a file into a collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The first row that is not there yet.
    pub next: u64,
    /// So many records were written.
    pub records: u64,
    /// So many rows were rejected.
    pub rejected: u64,
    /// It goes over a file that had been imported before.
    pub again: bool,
    /// All rows are there.
    pub done: bool,
}

impl Desk {
    /// How far a file is, or `None` if its import never began.
    pub async fn import_checkpoint(
        &self,
        identity: &Identity,
        collection: &str,
        fingerprint: &str,
    ) -> Result<Option<Checkpoint>> {
        check_name(collection)?;
        identity.check_write(collection)?;
        let found = self.store.get(CHECKPOINTS, &checkpoint_id(collection, fingerprint)).await?;
        Ok(found.map(|record| Checkpoint::read(&record.body)))
    }

    /// Writes a batch and how far the file is with it, together. A batch that is there already changes nothing, so it
    /// may be sent again when an answer was lost; a conflict says that rows before it are missing.
    pub async fn import(&self, identity: &Identity, batch: Batch) -> Result<Checkpoint> {
        let before = self.import_checkpoint(identity, &batch.collection, &batch.fingerprint).await?;
        let before = before.unwrap_or_default();
        let begin = if before.done && batch.again {
            Checkpoint { again: true, ..Checkpoint::default() }
        } else {
            before
        };
        if batch.rows.end <= begin.next && (begin.done || batch.columns.is_none()) {
            return Ok(begin);
        }
        check(&batch, begin)?;
        let mut writes = self.description(&batch).await?;
        let after = Checkpoint {
            next: batch.rows.end,
            records: begin.records + batch.records.len() as u64,
            rejected: batch.rejected,
            again: begin.again,
            done: batch.columns.is_some(),
        };
        writes.push(after.write(&batch));
        writes.extend(batch.records.into_iter().map(|(id, body)| {
            let operation = if begin.again { Operation::Put(body) } else { Operation::InsertIfAbsent(body) };
            Write::new(batch.collection.as_str(), id, operation)
        }));
        let _: Vec<Change> = self.store.commit(&identity.subject, self.clock.now(), writes).await?;
        Ok(after)
    }

    /// What the catalogue says of the collection once the import is done; nothing before.
    async fn description(&self, batch: &Batch) -> Result<Vec<Write>> {
        let Some(columns) = &batch.columns else { return Ok(Vec::new()) };
        let columns = merge(self.described(&batch.collection).await?, columns);
        let about = format!("Imported from {}", batch.file);
        Ok(describe_collection(&batch.collection, &about, &columns).into_iter().map(put).collect())
    }

    /// The columns that the catalogue has of a collection already.
    async fn described(&self, collection: &str) -> Result<Vec<(String, String)>> {
        let table = format!("{}.{collection}", catalog::COLLECTIONS_SCHEMA);
        let query =
            Query::all(catalog::COLUMNS, MAX_EDITS).filter(Filter::eq("table", table)).sort("position");
        let records = self.store.query(&query).await?;
        let columns = records.iter().filter_map(|record| Column::read(&record.body));
        Ok(columns.map(|column| (column.name, column.data_type)).collect())
    }
}

impl Checkpoint {
    fn read(body: &Body) -> Self {
        let number = |name| body.get(name).and_then(Value::as_u64).unwrap_or_default();
        let flag = |name| body.get(name).and_then(Value::as_bool).unwrap_or_default();
        Self {
            next: number("next"),
            records: number("records"),
            rejected: number("rejected"),
            again: flag("again"),
            done: flag("done"),
        }
    }

    fn write(&self, batch: &Batch) -> Write {
        let members = [
            ("collection", json!(batch.collection)),
            ("file", json!(batch.file)),
            ("next", json!(self.next)),
            ("records", json!(self.records)),
            ("rejected", json!(self.rejected)),
            ("again", json!(self.again)),
            ("done", json!(self.done)),
        ];
        let body = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let id = checkpoint_id(&batch.collection, &batch.fingerprint);
        Write::new(CHECKPOINTS, id, Operation::Put(body))
    }
}

fn check(batch: &Batch, begin: Checkpoint) -> Result<()> {
    if batch.rows.start != begin.next || batch.rows.end < batch.rows.start {
        let (start, next) = (batch.rows.start, begin.next);
        return Err(Error::new(
            Code::Conflict,
            format!("row {start} of this file is sent and row {next} is next; run the import again"),
        ));
    }
    if batch.records.len() > MAX_EDITS || batch.records.len() as u64 > batch.rows.end - batch.rows.start {
        return Err(Error::invalid(format!(
            "a batch has at most {MAX_EDITS} records, and none without a row"
        )));
    }
    batch.records.iter().try_for_each(|(id, body)| check_record(id, body))
}

fn checkpoint_id(collection: &str, fingerprint: &str) -> RecordId {
    RecordId(format!("{collection}:{fingerprint}"))
}

/// The columns that were known and the new ones. A column whose types differ holds texts, or decimals if both are
/// numbers.
fn merge(mut known: Vec<(String, String)>, new: &[(String, String)]) -> Vec<(String, String)> {
    for (name, data_type) in new {
        match known.iter_mut().find(|(known, _)| known == name) {
            None => known.push((name.clone(), data_type.clone())),
            Some((_, kept)) if kept == data_type => {}
            Some((_, kept)) => {
                let numbers = ["integer", "decimal"];
                let both = numbers.contains(&kept.as_str()) && numbers.contains(&data_type.as_str());
                *kept = if both { "decimal" } else { MIXED }.to_owned();
            }
        }
    }
    known
}

fn put(entry: Entry) -> Write {
    let Entry { collection, id, body } = entry;
    Write::new(collection, RecordId(id), Operation::Put(body))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::agent::Records;
    use crate::id::{ManualClock, Timestamp};
    use crate::identity::{Grant, Grants};
    use crate::store::sqlite::Sqlite;

    fn desk() -> Desk {
        Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(ManualClock::new(Timestamp(0))))
    }

    fn batch(rows: Range<u64>, last: bool) -> Batch {
        let record = |row: u64| {
            let body = json!({"n": row}).as_object().unwrap().clone();
            (RecordId(format!("{row}")), body)
        };
        Batch {
            collection: "orders".into(),
            fingerprint: "f".into(),
            file: "orders.csv".into(),
            records: rows.clone().filter(|row| *row != 1).map(record).collect(),
            rows,
            rejected: 1,
            again: false,
            columns: last.then(|| vec![("n".into(), "integer".into())]),
        }
    }

    async fn count(desk: &Desk) -> u64 {
        desk.count(&Identity::local(), "orders", None).await.unwrap()
    }

    #[tokio::test]
    async fn batches_follow_each_other_and_may_be_sent_twice() {
        let (desk, local) = (desk(), Identity::local());
        assert_eq!(desk.import_checkpoint(&local, "orders", "f").await.unwrap(), None);
        let first = desk.import(&local, batch(0..3, false)).await.unwrap();
        assert_eq!(first, Checkpoint { next: 3, records: 2, rejected: 1, ..Checkpoint::default() });
        assert_eq!(desk.import(&local, batch(0..3, false)).await.unwrap(), first);
        let gap = desk.import(&local, batch(4..5, false)).await.unwrap_err();
        assert_eq!(gap.code, Code::Conflict);
        let last = desk.import(&local, batch(3..5, true)).await.unwrap();
        assert!(last.done && last.records == 4);
        assert_eq!(desk.import(&local, batch(3..5, true)).await.unwrap(), last);
        assert_eq!(desk.import_checkpoint(&local, "orders", "f").await.unwrap(), Some(last));
        assert_eq!(count(&desk).await, 4);
    }

    #[tokio::test]
    async fn an_empty_end_still_ends() {
        let (desk, local) = (desk(), Identity::local());
        desk.import(&local, batch(0..3, false)).await.unwrap();
        assert!(desk.import(&local, batch(3..3, true)).await.unwrap().done);
    }

    #[tokio::test]
    async fn a_second_time_overwrites_and_doubles_nothing() {
        let (desk, local) = (desk(), Identity::local());
        desk.import(&local, batch(0..3, true)).await.unwrap();
        let changed = Write::new("orders", "2".into(), Operation::Put(Body::new()));
        desk.store.commit(&local.subject, Timestamp(0), vec![changed]).await.unwrap();
        let begun = desk.import(&local, Batch { again: true, ..batch(0..2, false) }).await.unwrap();
        assert!(begun.again && !begun.done);
        let done = desk.import(&local, batch(2..3, true)).await.unwrap();
        assert_eq!((done.records, done.done), (2, true));
        assert_eq!(count(&desk).await, 2);
        assert_eq!(desk.store.get("orders", &"2".into()).await.unwrap().unwrap().body["n"], 2);
    }

    #[tokio::test]
    async fn an_imported_collection_is_in_the_catalogue() {
        let (desk, local) = (desk(), Identity::local());
        desk.import(&local, batch(0..3, true)).await.unwrap();
        let columns = vec![("n".into(), "decimal".into()), ("note".into(), "text".into())];
        let other = Batch { fingerprint: "g".into(), columns: Some(columns), ..batch(0..3, true) };
        desk.import(&local, other).await.unwrap();
        let tables = desk.query(&local, Query::all(catalog::TABLES, 10)).await.unwrap();
        assert_eq!(tables[0].body["full_name"], "collections.orders");
        assert_eq!(tables[0].body["column_count"], 2);
        let described = desk.described("orders").await.unwrap();
        assert_eq!(described, [("n".into(), "decimal".into()), ("note".into(), "text".into())]);
    }

    #[tokio::test]
    async fn who_may_not_write_may_not_import() {
        let grant = Grant { collection: "orders".into(), write: false };
        let ann = Identity { key: None, subject: "ann".into(), grants: Grants::Collections(vec![grant]) };
        let error = desk().import(&ann, batch(0..3, true)).await.unwrap_err();
        assert_eq!(error.code, Code::Forbidden);
    }
}
