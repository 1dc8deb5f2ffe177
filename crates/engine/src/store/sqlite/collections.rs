//! Collections: their rows, their schemas, and how they come and go.
//!
//! A name keeps its row for ever: offsets and schema versions go on after a drop. A drop gives the row a new key, so it
//! costs the same whatever the collection holds; what has the old key is removed in pieces between other work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::filter::Scope;
use super::records;
use super::{hooks, indexes, search};
use crate::error::{Code, Error, Result};
use crate::id::{Offset, RecordId, Timestamp};
use crate::query::CollectionInfo;
use crate::schema::{Field, FieldChange, Index, Schema};
use crate::store::constraints::{self, Rules};
use crate::store::entry;

/// The rules that were made of schemas, by the collection's key, beside the text that they were made of: a schema that
/// was taken back leaves nothing behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Schemas(Arc<Mutex<Known>>);

type Known = HashMap<i64, (String, Arc<Rules>)>;

impl Schemas {
    /// The rules of a collection with this schema.
    fn rules(&self, key: i64, text: Option<&str>) -> Result<Arc<Rules>> {
        let Some(text) = text else { return Ok(Arc::default()) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, rules)) = known.get(&key)
            && of == text
        {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(Rules::new(&decode(text, Times::default())?)?);
        known.insert(key, (text.to_owned(), Arc::clone(&rules)));
        Ok(rules)
    }

    /// Forgets the rules of a collection that was dropped.
    fn forget(&self, key: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// How many collections' rules are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The rows of collections as the writer's last command left them, for the next command of the same transaction: it need
/// not read them again. Whatever else comes between two commands that write records lets it forget them.
#[derive(Debug, Clone, Default)]
pub(super) struct Left(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    /// Which turn of the writer it is.
    turn: u64,
    /// In which turn the rows were left.
    left_in: u64,
    rows: HashMap<String, Collection>,
}

impl Left {
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction, or a command in it, is about to begin, or one was undone.
    pub(super) fn turn(&self) {
        self.lock().turn += 1;
    }

    /// What the command just before this one left.
    pub(super) fn take(&self) -> HashMap<String, Collection> {
        let mut this = self.lock();
        let rows = std::mem::take(&mut this.rows);
        if this.left_in + 1 == this.turn { rows } else { HashMap::new() }
    }

    /// Leaves what was written. The command writes nothing more.
    pub(super) fn leave(&self, rows: HashMap<String, Collection>) {
        let mut this = self.lock();
        (this.left_in, this.rows) = (this.turn, rows);
    }
}

/// A collection's row.
#[derive(Debug, Clone)]
pub(super) struct Collection {
    pub(super) key: i64,
    pub(super) count: i64,
    pub(super) last_offset: i64,
    /// Full text holds the records with keys up to this one.
    pub(super) indexed: Option<i64>,
    /// The members whose vectors are kept.
    pub(super) vectors: search::Fields,
    /// What records must be.
    pub(super) rules: Arc<Rules>,
}

impl Collection {
    /// The collection, if there is one of that name.
    pub(super) fn find(connection: &Connection, schemas: &Schemas, name: &str) -> Result<Option<Self>> {
        let read = |row: &Row<'_>| {
            let collection = Self {
                key: row.get(0)?,
                count: row.get(1)?,
                last_offset: row.get(2)?,
                indexed: row.get(3)?,
                vectors: search::Fields::default(),
                rules: Arc::default(),
            };
            Ok((collection, row.get::<_, Option<String>>(4)?))
        };
        let found = connection
            .prepare_cached(
                "SELECT key, count, last_offset, indexed, schema FROM collections WHERE name = ? AND present = 1",
            )?
            .query_row([name], read)
            .optional()?;
        let Some((collection, schema)) = found else { return Ok(None) };
        let rules = schemas.rules(collection.key, schema.as_deref())?;
        Ok(Some(Self { rules, ..collection }))
    }

    /// The same, to be written; it is made if it is not there.
    pub(super) fn open(connection: &Connection, schemas: &Schemas, name: &str) -> Result<Self> {
        if let Some(collection) = Self::find(connection, schemas, name)? {
            let vectors = search::Fields::load(connection, collection.key)?;
            return Ok(Self { vectors, ..collection });
        }
        connection
            .prepare_cached(
                "INSERT INTO collections (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET present = 1",
            )?
            .execute([name])?;
        let made = Self::find(connection, schemas, name)?;
        made.ok_or_else(|| {
            Error::internal(std::io::Error::other("a collection that was just made is not there"))
        })
    }

    /// Whether the full-text index must hear of the record with this key.
    pub(super) fn covers(&self, key: i64) -> bool {
        self.indexed.is_some_and(|indexed| key <= indexed)
    }
}

/// Of which collection records are asked for; without one of that name, a scope in which nothing lies.
pub(super) fn scope(connection: &Connection, schemas: &Schemas, name: &str, now: Timestamp) -> Result<Scope> {
    let found = Collection::find(connection, schemas, name)?;
    let (key, rules) = found.map_or((0, Arc::default()), |found| (found.key, found.rules));
    Ok(Scope { key, rules, now })
}

/// All collections, by name. What has expired and is still there is not counted; it is looked up among what expires
/// alone, because without that hint the planner walks through all records of each collection.
pub(super) fn list(connection: &Connection, now: Timestamp) -> Result<Vec<CollectionInfo>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, count - coalesce(expired, 0), last_offset FROM collections LEFT JOIN \
         (SELECT collection, count(*) AS expired FROM records INDEXED BY records_by_expiry WHERE expires_at <= ? GROUP BY collection) \
         ON collection = collections.key WHERE present = 1 ORDER BY name",
    )?;
    let rows = statement.query_map([now.0], |row| {
        Ok(CollectionInfo {
            name: row.get(0)?,
            count: row.get::<_, i64>(1)?.unsigned_abs(),
            last_offset: Offset(row.get::<_, i64>(2)?.unsigned_abs()),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The last offset of a name's log, whether there is a collection of that name or it was dropped.
pub(super) fn last_offset(connection: &Connection, name: &str) -> Result<Offset> {
    let last: i64 = connection
        .prepare_cached("SELECT last_offset FROM collections WHERE name = ?")?
        .query_row([name], |row| row.get(0))?;
    Ok(Offset(last.unsigned_abs()))
}

/// Version and times of a schema, as they lie in the collection's row.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn decode(text: &str, times: Times) -> Result<Schema> {
    let (primary_key, fields) = entry::schema::decode(text)?;
    let Times { version, created_at, updated_at } = times;
    Ok(Schema { fields, primary_key, version, created_at, updated_at })
}

fn empty() -> Schema {
    let (created_at, updated_at) = (Timestamp::default(), Timestamp::default());
    Schema { fields: IndexMap::new(), primary_key: "id".to_owned(), version: 0, created_at, updated_at }
}

/// A collection's schema, and whether it was ever given one; `None` if there is no such collection.
fn read(connection: &Connection, name: &str) -> Result<Option<(Schema, bool)>> {
    let read = |row: &Row<'_>| {
        let times = Times {
            version: row.get::<_, i64>(1)?.unsigned_abs(),
            created_at: Timestamp(row.get(2)?),
            updated_at: Timestamp(row.get(3)?),
        };
        Ok((row.get::<_, Option<String>>(0)?, times))
    };
    let found = connection
        .prepare_cached(
            "SELECT schema, schema_version, schema_made_at, schema_changed_at FROM collections \
             WHERE name = ? AND present = 1",
        )?
        .query_row([name], read)
        .optional()?;
    found
        .map(|(text, times)| match text {
            Some(text) => Ok((decode(&text, times)?, true)),
            None => Ok((Schema { version: times.version, ..empty() }, false)),
        })
        .transpose()
}

/// A collection's schema.
pub(super) fn schema(connection: &Connection, name: &str) -> Result<Schema> {
    read(connection, name)?.map(|(schema, _)| schema).ok_or_else(|| unknown(name))
}

/// Makes a collection, or gives one its first schema.
pub(super) fn create(
    connection: &Connection,
    schemas: &Schemas,
    name: &str,
    schema: Option<&Schema>,
    at: Timestamp,
) -> Result<Schema> {
    if let Some((_, true)) = read(connection, name)? {
        return Err(Error::new(
            Code::Conflict,
            format!(
                "the collection {name:?} has a schema already; change that, or drop the collection first"
            ),
        ));
    }
    let collection = Collection::open(connection, schemas, name)?;
    let schema = Schema { created_at: at, ..schema.cloned().unwrap_or_else(empty) };
    define(connection, name, &collection, schema, at)
}

/// Changes what members must be.
pub(super) fn change(
    connection: &Connection,
    schemas: &Schemas,
    name: &str,
    changes: &[(String, FieldChange)],
    at: Timestamp,
) -> Result<Schema> {
    let (mut schema, was_given) = read(connection, name)?.ok_or_else(|| unknown(name))?;
    if !was_given {
        schema.created_at = at;
    }
    for (field, change) in changes {
        merge(schema.fields.entry(field.clone()).or_default(), change.clone());
    }
    let collection = Collection::open(connection, schemas, name)?;
    define(connection, name, &collection, schema, at)
}

fn merge(field: &mut Field, change: FieldChange) {
    let FieldChange { kind, default, unique, required, enums, min, max, pattern, index } = change;
    let Field { kind: old_kind, unique: old_unique, required: old_required, enums: old_enums, .. } = field;
    *old_kind = kind.unwrap_or(*old_kind);
    *old_unique = unique.unwrap_or(*old_unique);
    *old_required = required.unwrap_or(*old_required);
    if let Some(enums) = enums {
        *old_enums = enums;
    }
    field.default = default.or_else(|| field.default.take());
    field.min = min.or_else(|| field.min.take());
    field.max = max.or_else(|| field.max.take());
    field.pattern = pattern.or_else(|| field.pattern.take());
    field.index = index.or_else(|| field.index.take());
}

/// Makes a schema the collection's own, with the next version, if all records fit.
fn define(
    connection: &Connection,
    name: &str,
    collection: &Collection,
    mut schema: Schema,
    at: Timestamp,
) -> Result<Schema> {
    let rules = Rules::new(&schema)?;
    if !rules.is_empty() {
        check_records(connection, collection.key, &rules, &mut schema, at)?;
    }
    indexes::arrange(connection, collection.key, &rules)?;
    schema.updated_at = at;
    schema.version = connection
        .prepare_cached(
            "UPDATE collections SET schema = ?, schema_version = schema_version + 1, schema_made_at = ?, \
             schema_changed_at = ? WHERE name = ? RETURNING schema_version",
        )?
        .query_row(
            params![
                entry::schema::encode(&schema.primary_key, &schema.fields)?,
                schema.created_at.0,
                schema.updated_at.0,
                name
            ],
            |row| row.get::<_, i64>(0),
        )?
        .unsigned_abs();
    hooks::redefined(connection, collection, &schema)?;
    Ok(schema)
}

/// Fails with the first record that does not fit. A vector index without a dimension learns it here.
fn check_records(
    connection: &Connection,
    key: i64,
    rules: &Rules,
    schema: &mut Schema,
    now: Timestamp,
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, json(body) FROM records WHERE collection = ? AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    let mut rows = statement.query(params![key, now.0])?;
    let mut learnt: Option<Rules> = None;
    while let Some(row) = rows.next()? {
        let body = records::parse(row.get_ref(1)?.as_str().map_err(Error::internal)?)?;
        let rules = learnt.as_ref().unwrap_or(rules);
        let violations = rules.violations(&body);
        if !violations.is_empty() {
            return Err(constraints::refuse(&violations, Some(&row.get::<_, String>(0)?)));
        }
        let dimensions = rules.dimensions(&body);
        if !dimensions.is_empty() {
            learn(schema, &dimensions);
            learnt = Some(Rules::new(schema)?);
        }
    }
    Ok(())
}

fn learn(schema: &mut Schema, dimensions: &[(&str, u32)]) {
    for (name, length) in dimensions {
        if let Some(Field { index: Some(Index::Vector { dimension, .. }), .. }) = schema.fields.get_mut(*name)
        {
            *dimension = Some(*length);
        }
    }
}

/// Writes down the dimensions that a collection's first vectors have, without a new version, and gives the rules anew.
pub(super) fn fix_dimensions(
    connection: &Connection,
    schemas: &Schemas,
    name: &str,
    dimensions: &[(&str, u32)],
) -> Result<Collection> {
    let mut schema = schema(connection, name)?;
    learn(&mut schema, dimensions);
    connection
        .prepare_cached("UPDATE collections SET schema = ? WHERE name = ?")?
        .execute(params![entry::schema::encode(&schema.primary_key, &schema.fields)?, name])?;
    let collection = Collection::open(connection, schemas, name)?;
    hooks::redefined(connection, &collection, &schema)?;
    Ok(collection)
}

/// Drops a collection; its name's schema version and log go on. Returns the version.
pub(super) fn drop(connection: &Connection, schemas: &Schemas, name: &str) -> Result<u64> {
    let collection = Collection::find(connection, schemas, name)?.ok_or_else(|| unknown(name))?;
    indexes::remove_all(connection, collection.key)?;
    hooks::dropped(connection, &collection)?;
    connection.execute("INSERT INTO dropped (key) VALUES (?)", [collection.key])?;
    // The drop takes an offset and the log begins after it, so whoever read up to any earlier one is told of the gap.
    let version: i64 = connection.query_row(
        "UPDATE collections SET present = 0, count = 0, indexed = NULL, schema = NULL, \
         schema_version = schema_version + 1, last_offset = last_offset + 1, first_offset = last_offset + 2, \
         key = 1 + max((SELECT max(key) FROM collections), (SELECT max(key) FROM dropped)) \
         WHERE name = ? RETURNING schema_version",
        [name],
        |row| row.get(0),
    )?;
    Ok(version.unsigned_abs())
}

/// Removes a piece of what dropped collections have left, and in the end what is kept of them in memory. Whether there
/// is more.
pub(super) fn sweep(connection: &Connection, schemas: &Schemas, vectors: &search::Cache) -> Result<bool> {
    const PIECE: i64 = 5_000;
    let key: Option<i64> = connection
        .prepare_cached("SELECT key FROM dropped LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(key) = key else { return Ok(false) };
    let records = connection
        .prepare_cached(
            "DELETE FROM records WHERE key IN (SELECT key FROM records WHERE collection = ? LIMIT ?)",
        )?
        .execute([key, PIECE])?;
    let changes = connection
        .prepare_cached(
            "DELETE FROM changes WHERE collection = ?1 AND log_offset IN \
             (SELECT log_offset FROM changes WHERE collection = ?1 LIMIT ?2)",
        )?
        .execute([key, PIECE])?;
    if records == 0 && changes == 0 {
        connection.execute("DELETE FROM dropped WHERE key = ?", [key])?;
        schemas.forget(key);
        vectors.forget(connection, key)?;
    }
    Ok(true)
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no collection {name:?}; check its name"))
}

/// There is no such record.
pub(super) fn missing(collection: &str, id: &RecordId) -> Error {
    Error::not_found(format!("{collection:?} has no record {:?}; check the id", id.0))
}
