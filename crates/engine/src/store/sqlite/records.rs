//! Records and their change logs: what a commit does inside its savepoint, and what readers read.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::types::Value as Bound;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::error::{Code, Error, Result};
use crate::id::{Offset, RecordId, Timestamp};
use crate::identity::Subject;
use crate::query::{Body, CollectionInfo, Record};
use crate::store::{Change, ChangeKind, Operation, Write};

use super::filter::Sql;
use super::{fulltext, search};

/// The columns that [`record`] reads.
pub(super) const COLUMNS: &str = "id, json(body), version, created_at, updated_at";

/// How long change logs are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    /// At most so long.
    pub(super) age: Duration,
    /// At most so many per collection.
    pub(super) changes: u64,
}

/// A collection while a batch is applied. Saved once at the batch's end.
struct Collection {
    key: i64,
    count: i64,
    last_offset: i64,
    indexed: Option<i64>,
    vectors: search::Fields,
}

/// A record as it is before a write.
struct Existing {
    key: i64,
    body: Body,
}

/// By whom and when a batch is written, and the collections that it touches.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    by: &'a Subject,
    at: Timestamp,
    collections: HashMap<&'a str, Collection>,
    changes: Vec<Change>,
}

impl<'a> Batch<'a> {
    /// Applies all writes; the caller's savepoint undoes them when one fails.
    pub(super) fn apply(
        connection: &'a Connection,
        by: &'a Subject,
        at: Timestamp,
        writes: &'a [Write],
    ) -> Result<Vec<Change>> {
        let changes = Vec::with_capacity(writes.len());
        let mut batch = Self { connection, by, at, collections: HashMap::new(), changes };
        for write in writes {
            batch.write(write)?;
        }
        batch.save()?;
        Ok(batch.changes)
    }

    fn write(&mut self, write: &'a Write) -> Result<()> {
        match &write.operation {
            Operation::Insert(body) => {
                if self.insert(write, body)? {
                    Ok(())
                } else {
                    Err(is_taken(write))
                }
            }
            Operation::InsertIfAbsent(body) => self.insert(write, body).map(drop),
            Operation::Put(body) => match self.find(write)? {
                Some(existing) => self.update(write, existing, body.clone()),
                None => self.insert(write, body).map(drop),
            },
            Operation::Merge(members) => {
                let existing = self.find(write)?.ok_or_else(|| is_missing(write))?;
                let mut body = existing.body.clone();
                body.extend(members.clone());
                self.update(write, existing, body)
            }
            Operation::Delete => {
                let existing = self.find(write)?.ok_or_else(|| is_missing(write))?;
                self.delete(write, existing)
            }
        }
    }

    /// Whether the id was free.
    fn insert(&mut self, write: &'a Write, body: &Body) -> Result<bool> {
        let (connection, at) = (self.connection, self.at);
        let text = to_text(body)?;
        let collection = self.collection(&write.collection)?;
        let inserted = connection
            .prepare_cached(
                "INSERT INTO records (collection, id, version, created_at, updated_at, body) \
                 VALUES (?1, ?2, ?3, ?4, ?4, jsonb(?5)) ON CONFLICT (collection, id) DO NOTHING",
            )?
            .execute(params![collection.key, write.id.0, collection.last_offset + 1, at.0, text])?;
        if inserted == 0 {
            return Ok(false);
        }
        collection.count += 1;
        let key = connection.last_insert_rowid();
        collection.index(connection, key, body)?;
        self.log(write, ChangeKind::Insert, None, Some((body.clone(), text)))?;
        Ok(true)
    }

    fn update(&mut self, write: &'a Write, existing: Existing, body: Body) -> Result<()> {
        let (connection, at) = (self.connection, self.at);
        let text = to_text(&body)?;
        let collection = self.collection(&write.collection)?;
        connection
            .prepare_cached("UPDATE records SET body = jsonb(?), version = ?, updated_at = ? WHERE key = ?")?
            .execute(params![text, collection.last_offset + 1, at.0, existing.key])?;
        collection.index(connection, existing.key, &body)?;
        self.log(write, ChangeKind::Update, Some(existing.body), Some((body, text)))
    }

    fn delete(&mut self, write: &'a Write, existing: Existing) -> Result<()> {
        let connection = self.connection;
        let collection = self.collection(&write.collection)?;
        connection.prepare_cached("DELETE FROM records WHERE key = ?")?.execute([existing.key])?;
        collection.count -= 1;
        collection.forget(connection, existing.key)?;
        self.log(write, ChangeKind::Delete, Some(existing.body), None)
    }

    /// Writes down a change under the collection's next offset.
    fn log(
        &mut self,
        write: &'a Write,
        kind: ChangeKind,
        before: Option<Body>,
        after: Option<(Body, String)>,
    ) -> Result<()> {
        let (connection, by, at) = (self.connection, self.by, self.at);
        let before_text = before.as_ref().map(to_text).transpose()?;
        let (after, after_text) = after.unzip();
        let collection = self.collection(&write.collection)?;
        collection.last_offset += 1;
        let offset = collection.last_offset;
        connection
            .prepare_cached(
                "INSERT INTO changes (collection, log_offset, kind, id, body_before, body_after, at, by_subject) \
                 VALUES (?, ?, ?, ?, jsonb(?), jsonb(?), ?, ?)",
            )?
            .execute(params![
                collection.key,
                offset,
                kind_number(&kind),
                write.id.0,
                before_text,
                after_text,
                at.0,
                &*by.0
            ])?;
        self.changes.push(Change {
            collection: write.collection.clone(),
            offset: Offset(offset.unsigned_abs()),
            kind,
            id: write.id.clone(),
            before,
            after,
            expires_at: None,
            at,
            by: by.clone(),
        });
        Ok(())
    }

    fn find(&mut self, write: &'a Write) -> Result<Option<Existing>> {
        let connection = self.connection;
        let key = self.collection(&write.collection)?.key;
        let found: Option<(i64, String)> = connection
            .prepare_cached("SELECT key, json(body) FROM records WHERE collection = ? AND id = ?")?
            .query_row(params![key, write.id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found.map(|(key, text)| Ok(Existing { key, body: parse(&text)? })).transpose()
    }

    fn collection(&mut self, name: &'a str) -> Result<&mut Collection> {
        use std::collections::hash_map::Entry;
        match self.collections.entry(name) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(Collection::load(self.connection, name)?)),
        }
    }

    fn save(&self) -> Result<()> {
        for collection in self.collections.values() {
            self.connection
                .prepare_cached("UPDATE collections SET count = ?, last_offset = ? WHERE key = ?")?
                .execute([collection.count, collection.last_offset, collection.key])?;
        }
        Ok(())
    }
}

impl Collection {
    /// Reads the collection's row, which is made if it is not there.
    fn load(connection: &Connection, name: &str) -> Result<Self> {
        let found = connection
            .prepare_cached("SELECT key, count, last_offset, indexed FROM collections WHERE name = ?")?
            .query_row([name], |row| {
                Ok(Self {
                    key: row.get(0)?,
                    count: row.get(1)?,
                    last_offset: row.get(2)?,
                    indexed: row.get(3)?,
                    vectors: search::Fields::default(),
                })
            })
            .optional()?;
        if let Some(collection) = found {
            let vectors = search::Fields::load(connection, collection.key)?;
            return Ok(Self { vectors, ..collection });
        }
        connection.prepare_cached("INSERT INTO collections (name) VALUES (?)")?.execute([name])?;
        let key = connection.last_insert_rowid();
        Ok(Self { key, count: 0, last_offset: 0, indexed: None, vectors: search::Fields::default() })
    }

    /// A record was written; its change gets the next offset.
    fn index(&mut self, connection: &Connection, key: i64, body: &Body) -> Result<()> {
        if self.covers(key) {
            fulltext::put(connection, self.key, key, body)?;
        }
        self.vectors.put(connection, key, self.last_offset + 1, body)
    }

    /// A record goes; its change gets the next offset.
    fn forget(&self, connection: &Connection, key: i64) -> Result<()> {
        if self.covers(key) {
            fulltext::delete(connection, self.key, key)?;
        }
        self.vectors.delete(connection, key, self.last_offset + 1)
    }

    /// Whether the full-text index must hear of the record with this key.
    fn covers(&self, key: i64) -> bool {
        self.indexed.is_some_and(|indexed| key <= indexed)
    }
}

fn is_taken(write: &Write) -> Error {
    let Write { collection, id, .. } = write;
    Error::new(Code::Conflict, format!("{collection:?} has a record {:?} already; choose another id", id.0))
}

fn is_missing(write: &Write) -> Error {
    missing(&write.collection, &write.id)
}

/// There is no such record.
fn missing(collection: &str, id: &RecordId) -> Error {
    Error::not_found(format!("{collection:?} has no record {:?}; check the id", id.0))
}

/// Drops what is older than the logs keep, of each collection at most a piece that does not hold up the writer.
pub(super) fn prune(connection: &Connection, keep: Keep, now: Timestamp) -> Result<()> {
    const PIECE: i64 = 50_000;
    let mut statement =
        connection.prepare_cached("SELECT key, first_offset, last_offset FROM collections")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let logs: Vec<(i64, i64, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    for (key, first, last) in logs {
        let kept = first_kept(connection, keep, now, key, (first, last))?.min(first + PIECE);
        if kept > first {
            drop_changes(connection, key, kept)?;
        }
    }
    Ok(())
}

/// The oldest offset that stays. Ages are looked up by halves: offsets and times grow together.
fn first_kept(
    connection: &Connection,
    keep: Keep,
    now: Timestamp,
    key: i64,
    (first, last): (i64, i64),
) -> Result<i64> {
    let by_count = last.saturating_sub(i64::try_from(keep.changes).unwrap_or(i64::MAX)) + 1;
    let oldest = now.0.saturating_sub(i64::try_from(keep.age.as_micros()).unwrap_or(i64::MAX));
    let mut at =
        connection.prepare_cached("SELECT at FROM changes WHERE collection = ? AND log_offset = ?")?;
    let (mut low, mut high) = (first.max(by_count), last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let written: i64 = at.query_row([key, middle], |row| row.get(0))?;
        if written < oldest { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

fn drop_changes(connection: &Connection, key: i64, before: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM changes WHERE collection = ? AND log_offset < ?")?
        .execute([key, before])?;
    connection
        .prepare_cached("UPDATE collections SET first_offset = ? WHERE key = ?")?
        .execute([before, key])?;
    Ok(())
}

/// One record, or `None`.
pub(super) fn get(connection: &Connection, collection: &str, id: &RecordId) -> Result<Option<Record>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE collection = (SELECT key FROM collections WHERE name = ?) AND id = ?"
    ))?;
    let mut rows = statement.query([collection, &id.0])?;
    rows.next()?.map(record).transpose()
}

/// The records that a statement of [`filter::select`](super::filter::select) finds.
pub(super) fn query(connection: &Connection, sql: Sql) -> Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter::<Vec<Bound>>(sql.values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

/// How many a statement of [`filter::count`](super::filter::count) finds.
pub(super) fn count(connection: &Connection, sql: Sql) -> Result<u64> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let count: i64 = statement.query_row(params_from_iter::<Vec<Bound>>(sql.values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// How many records a collection has; 0 if there is none of that name.
pub(super) fn count_all(connection: &Connection, collection: &str) -> Result<u64> {
    let count: Option<i64> = connection
        .prepare_cached("SELECT count FROM collections WHERE name = ?")?
        .query_row([collection], |row| row.get(0))
        .optional()?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// All collections, by name.
pub(super) fn collections(connection: &Connection) -> Result<Vec<CollectionInfo>> {
    let mut statement =
        connection.prepare_cached("SELECT name, count, last_offset FROM collections ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok(CollectionInfo {
            name: row.get(0)?,
            count: row.get::<_, i64>(1)?.unsigned_abs(),
            last_offset: Offset(row.get::<_, i64>(2)?.unsigned_abs()),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The changes after an offset.
pub(super) fn changes(
    connection: &Connection,
    collection: &str,
    after: Offset,
    limit: usize,
) -> Result<Vec<Change>> {
    let found: Option<(i64, i64)> = connection
        .prepare_cached("SELECT key, first_offset FROM collections WHERE name = ?")?
        .query_row([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((key, first)) = found else { return Ok(Vec::new()) };
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    if after < first - 1 {
        return Err(Error::not_found(format!(
            "the changes of {collection:?} are kept from offset {first} on; read the collection anew and go on from there"
        )));
    }
    let mut statement = connection.prepare_cached(
        "SELECT log_offset, kind, id, json(body_before), json(body_after), at, by_subject FROM changes \
         WHERE collection = ? AND log_offset > ? ORDER BY log_offset LIMIT ?",
    )?;
    let mut rows = statement.query(params![key, after, self::limit(limit)])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push(change(collection, row)?);
    }
    Ok(changes)
}

fn change(collection: &str, row: &Row<'_>) -> Result<Change> {
    let body = |index| row.get::<_, Option<String>>(index)?.map(|text| parse(&text)).transpose();
    Ok(Change {
        collection: collection.to_owned(),
        offset: Offset(row.get::<_, i64>(0)?.unsigned_abs()),
        kind: kind_from(row.get(1)?)?,
        id: RecordId(row.get(2)?),
        before: body(3)?,
        after: body(4)?,
        expires_at: None,
        at: Timestamp(row.get(5)?),
        by: Subject(row.get::<_, String>(6)?.into()),
    })
}

/// A record from a row of [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        id: RecordId(row.get(0)?),
        body: parse(&row.get::<_, String>(1)?)?,
        version: Offset(row.get::<_, i64>(2)?.unsigned_abs()),
        created_at: Timestamp(row.get(3)?),
        updated_at: Timestamp(row.get(4)?),
        expires_at: None,
    })
}

/// A limit that SQLite takes.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A body as the store wrote it.
pub(super) fn parse(text: &str) -> Result<Body> {
    serde_json::from_str(text).map_err(Error::internal)
}

fn to_text(body: &Body) -> Result<String> {
    serde_json::to_string(body).map_err(Error::internal)
}

fn kind_number(kind: &ChangeKind) -> i64 {
    match kind {
        ChangeKind::Insert => 1,
        ChangeKind::Update => 2,
        ChangeKind::Delete => 3,
    }
}

fn kind_from(number: i64) -> Result<ChangeKind> {
    match number {
        1 => Ok(ChangeKind::Insert),
        2 => Ok(ChangeKind::Update),
        3 => Ok(ChangeKind::Delete),
        other => Err(Error::internal(std::io::Error::other(format!("a change has the kind {other}")))),
    }
}
