//! Search by nearness: exact, over all vectors of one member.
//!
//! The vectors of a member that is searched are kept in a table of their own, which changes in the record's own
//! transaction. In memory each number is one byte (a scale per vector), a quarter of the size: a search reads all of
//! them, knows how far each estimate can be from the truth, and computes the truth for those that could be among the
//! nearest. So the answer is that of a full search.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::error::{Detail, Error, Result};
use crate::query::{Body, VectorSearch};
use crate::schema::Metric;

use super::super::fulltext::Index;
use super::super::records;
use super::text::value_at;
use super::{Collection, Found};

/// So many records are looked at in one step; others write between two steps.
const STEP: i64 = 1_000;
/// So many marks of vectors that are gone are removed at once.
const PIECE: usize = 1_000;
/// What `vector_fields.indexed` says when every record is in the table, later ones too.
const COMPLETE: i64 = i64::MAX;
/// The longest vector.
const MAX_DIMENSION: usize = 16_384;
/// So many stretches of the vectors in memory are read side by side: one after the other, the processor waits for memory.
const STREAMS: usize = 8;
/// So many members of a collection have a table of vectors. Whoever searches names a member, each has a table of its
/// own, and each write goes through all of them.
const MAX_FIELDS: i64 = 16;

/// The members of a collection whose vectors are kept in tables of their own.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Fields(Vec<Field>);

#[derive(Debug, Clone)]
struct Field {
    /// Its table is `vectors_{number}`.
    number: i64,
    name: String,
    dimension: Option<usize>,
    /// Records up to this key are in the table.
    indexed: i64,
}

impl Fields {
    /// Those of a collection.
    pub(in super::super) fn load(connection: &Connection, collection: i64) -> Result<Self> {
        let mut statement = connection.prepare_cached(
            "SELECT number, field, dimension, indexed FROM vector_fields WHERE collection = ?",
        )?;
        let rows = statement.query_map([collection], Field::read)?;
        Ok(Self(rows.collect::<rusqlite::Result<_>>()?))
    }

    /// The members' names; dots lead into nested records.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|field| field.name.as_str())
    }

    /// A record was written with this version.
    pub(in super::super) fn put(
        &mut self,
        c: &Connection,
        record: i64,
        version: i64,
        body: &Body,
    ) -> Result<()> {
        for field in self.0.iter_mut().filter(|field| record <= field.indexed) {
            field.put(c, record, version, body)?;
        }
        Ok(())
    }

    /// A record was removed; the collection's log says it under this offset.
    pub(in super::super) fn delete(&self, c: &Connection, record: i64, offset: i64) -> Result<()> {
        self.0
            .iter()
            .filter(|field| record <= field.indexed)
            .try_for_each(|field| field.clear(c, record, offset))
    }
}

impl Field {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let dimension: Option<i64> = row.get(2)?;
        let dimension = dimension.and_then(|dimension| usize::try_from(dimension).ok());
        Ok(Self { number: row.get(0)?, name: row.get(1)?, dimension, indexed: row.get(3)? })
    }

    fn find(connection: &Connection, collection: i64, name: &str) -> Result<Option<Self>> {
        let found = connection
            .prepare_cached(
                "SELECT number, field, dimension, indexed FROM vector_fields WHERE collection = ? AND field = ?",
            )?
            .query_row(params![collection, name], Self::read)
            .optional()?;
        Ok(found)
    }

    /// A table for this member: one of its own, or, where there are as many as there may be, that of a member which
    /// has no vectors.
    fn make(connection: &Connection, collection: i64, name: &str) -> Result<Self> {
        let count: i64 = connection
            .prepare_cached("SELECT count(*) FROM vector_fields WHERE collection = ?")?
            .query_row([collection], |row| row.get(0))?;
        if count < MAX_FIELDS {
            return Self::create(connection, collection, name);
        }
        // One that is still being looked through stays: whoever asked for it would begin anew for ever.
        let taken = connection
            .prepare_cached(
                "UPDATE vector_fields SET field = ?1, indexed = 0 WHERE number = (SELECT min(number) FROM \
                 vector_fields WHERE collection = ?2 AND dimension IS NULL AND indexed = ?3) \
                 RETURNING number, field, dimension, indexed",
            )?
            .query_row(params![name, collection, COMPLETE], Self::read)
            .optional()?;
        taken.ok_or_else(too_many)
    }

    fn create(connection: &Connection, collection: i64, name: &str) -> Result<Self> {
        connection
            .prepare_cached("INSERT INTO vector_fields (collection, field) VALUES (?, ?)")?
            .execute(params![collection, name])?;
        let number = connection.last_insert_rowid();
        connection.execute_batch(&format!(
            "CREATE TABLE vectors_{number} (key INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, vector BLOB) STRICT; \
             CREATE INDEX vectors_{number}_by_stamp ON vectors_{number} (stamp)"
        ))?;
        Ok(Self { number, name: name.to_owned(), dimension: None, indexed: 0 })
    }

    /// The first vector says how many numbers all have; what is none, or longer or shorter, is not found by nearness.
    fn put(&mut self, c: &Connection, record: i64, version: i64, body: &Body) -> Result<()> {
        let vector = value_at(body, &self.name).and_then(vector_of);
        let Some(vector) = vector else { return self.clear(c, record, version) };
        if self.dimension.is_none() {
            self.dimension = Some(vector.len());
            c.prepare_cached("UPDATE vector_fields SET dimension = ? WHERE number = ?")?
                .execute(params![records::limit(vector.len()), self.number])?;
        }
        if self.dimension != Some(vector.len()) {
            return self.clear(c, record, version);
        }
        let bytes = bytes_of(&vector);
        c.prepare_cached(&format!(
            "INSERT OR REPLACE INTO vectors_{} (key, stamp, vector) VALUES (?, ?, ?)",
            self.number
        ))?
        .execute(params![record, version, bytes])?;
        Ok(())
    }

    /// How many records have another vector than the table, and how many vectors have no record.
    fn disagreements(&self, connection: &Connection, collection: i64) -> Result<u64> {
        let mut statement = connection.prepare(&format!(
            "SELECT json(body), vector FROM records LEFT JOIN vectors_{0} ON vectors_{0}.key = records.key \
             WHERE collection = ? AND records.key <= ?",
            self.number
        ))?;
        let mut rows = statement.query([collection, self.indexed])?;
        let mut differ = 0;
        while let Some(row) = rows.next()? {
            let body = records::parse(row.get_ref(0)?.as_str().map_err(Error::internal)?)?;
            let vector = value_at(&body, &self.name).and_then(vector_of);
            let vector = vector.filter(|vector| self.dimension == Some(vector.len()));
            differ += u64::from(vector.map(|vector| bytes_of(&vector)) != row.get(1)?);
        }
        let orphans: i64 = connection.query_row(
            &format!(
                "SELECT count(*) FROM vectors_{} AS vectors WHERE vector IS NOT NULL AND NOT EXISTS \
                 (SELECT 1 FROM records WHERE records.key = vectors.key AND collection = ?)",
                self.number
            ),
            [collection],
            |row| row.get(0),
        )?;
        Ok(differ + orphans.unsigned_abs())
    }

    /// Leaves a mark that the vector is gone, for the copies in memory; [`Cache::sweep`] removes it when they know.
    fn clear(&self, c: &Connection, record: i64, stamp: i64) -> Result<()> {
        c.prepare_cached(&format!(
            "UPDATE vectors_{} SET vector = NULL, stamp = ? WHERE key = ? AND vector IS NOT NULL",
            self.number
        ))?
        .execute([stamp, record])?;
        Ok(())
    }
}

/// The bytes of a vector as its table has them.
fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A list of numbers, plain or as `{"type": "Vector", "value": [...]}`.
fn vector_of(value: &Value) -> Option<Vec<f32>> {
    let list = match value {
        Value::Array(list) => list,
        Value::Object(members) => members.get("value")?.as_array()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    let fits = (1..=MAX_DIMENSION).contains(&list.len());
    let numbers = fits.then(|| list.iter().map(|number| number.as_f64().map(|number| number as f32)))?;
    numbers.collect::<Option<Vec<f32>>>().filter(|vector| vector.iter().all(|number| number.is_finite()))
}

/// How far the table of a member's vectors is.
pub(in super::super) fn index(connection: &Connection, collection: &str, field: &str) -> Result<Index> {
    let Some(key) = key_of(connection, collection)? else { return Ok(Index::Absent) };
    Ok(match Field::find(connection, key, field)? {
        Some(Field { indexed: COMPLETE, .. }) => Index::Complete,
        Some(_) | None => Index::Growing,
    })
}

/// Makes that table or its next piece.
pub(in super::super) fn grow(connection: &Connection, collection: &str, name: &str) -> Result<Index> {
    let Some(key) = key_of(connection, collection)? else { return Ok(Index::Absent) };
    let field = match Field::find(connection, key, name)? {
        Some(field) => field,
        None => Field::make(connection, key, name)?,
    };
    if field.indexed == COMPLETE {
        return Ok(Index::Complete);
    }
    step(connection, key, field)
}

fn step(connection: &Connection, collection: i64, mut field: Field) -> Result<Index> {
    let mut statement = connection.prepare_cached(
        "SELECT key, version, json(body) FROM records WHERE collection = ? AND key > ? ORDER BY key LIMIT ?",
    )?;
    let mut rows = statement.query(params![collection, field.indexed, STEP])?;
    let (mut last, mut count) = (field.indexed, 0);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        count += 1;
        field.put(connection, last, row.get(1)?, &records::parse(&row.get::<_, String>(2)?)?)?;
    }
    let (indexed, state) = if count < STEP { (COMPLETE, Index::Complete) } else { (last, Index::Growing) };
    connection
        .prepare_cached("UPDATE vector_fields SET indexed = ? WHERE number = ?")?
        .execute([indexed, field.number])?;
    Ok(state)
}

fn key_of(connection: &Connection, collection: &str) -> Result<Option<i64>> {
    let found = connection
        .prepare_cached("SELECT key FROM collections WHERE name = ?")?
        .query_row([collection], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn too_many() -> Error {
    Error::invalid(format!(
        "a collection is searched by the vectors of at most {MAX_FIELDS} members; search one that has been searched before"
    ))
    .with(Detail::Field("vector_field".into()))
}

/// The members of a collection whose table of vectors is not that of its records, each with how many differ.
pub(in super::super) fn disagreements(
    connection: &Connection,
    collection: i64,
) -> Result<Vec<(String, u64)>> {
    let Fields(fields) = Fields::load(connection, collection)?;
    let counted =
        fields.into_iter().map(|field| Ok((field.disagreements(connection, collection)?, field.name)));
    let found: Vec<(u64, String)> = counted.collect::<Result<_>>()?;
    Ok(found.into_iter().filter(|(differ, _)| *differ > 0).map(|(differ, name)| (name, differ)).collect())
}

/// The collection goes, and with it its tables of vectors. Their numbers stay taken: the copies in memory are known by
/// them.
pub(in super::super) fn drop_collection(connection: &Connection, collection: i64) -> Result<()> {
    let Fields(fields) = Fields::load(connection, collection)?;
    for Field { number, .. } in fields {
        connection.execute_batch(&format!("DROP TABLE vectors_{number}"))?;
    }
    connection
        .execute("UPDATE vector_fields SET collection = -collection WHERE collection = ?", [collection])?;
    Ok(())
}

/// The vectors in memory, by the numbers of their tables.
#[derive(Debug, Default)]
pub(in super::super) struct Cache(Mutex<HashMap<i64, Arc<RwLock<Matrix>>>>);

/// All vectors of one member, a byte a number.
#[derive(Debug, Default)]
struct Matrix {
    dimension: usize,
    /// What was written up to this stamp is in it.
    stamp: i64,
    keys: Vec<i64>,
    places: HashMap<i64, usize>,
    bytes: Vec<i8>,
    rows: Vec<Row>,
    /// Marks of vectors that are gone, by key and stamp: the table needs them no longer.
    marks: Vec<(i64, i64)>,
}

/// What is known of a vector beside its bytes.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// What one step of a byte stands for.
    scale: f32,
    /// The vector's length.
    norm: f32,
    /// The length of what the bytes leave out.
    error: f32,
}

impl Cache {
    /// Forgets the vectors of a collection that was dropped.
    pub(in super::super) fn forget(&self, connection: &Connection, collection: i64) -> Result<()> {
        let Fields(fields) = Fields::load(connection, -collection)?;
        let mut matrices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fields.iter().for_each(|field| drop(matrices.remove(&field.number)));
        Ok(())
    }

    /// Removes a piece of the marks that deleted vectors left for the copies in memory, which know of them now. Whether
    /// there are more. What somebody reads right now is left for another time.
    pub(in super::super) fn sweep(&self, connection: &Connection) -> Result<bool> {
        let matrices: Vec<(i64, Arc<RwLock<Matrix>>)> = {
            let matrices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            matrices.iter().map(|(number, matrix)| (*number, Arc::clone(matrix))).collect()
        };
        let mut more = false;
        for (number, matrix) in matrices {
            let marks = matrix.try_write().map(|mut matrix| matrix.some_marks()).unwrap_or_default();
            remove_marks(connection, number, &marks)?;
            more |= marks.len() == PIECE;
        }
        Ok(more)
    }

    /// How many members' vectors are in memory.
    #[cfg(test)]
    pub(in super::super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn matrix(&self, field: &Field) -> Arc<RwLock<Matrix>> {
        let mut matrices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(matrices.entry(field.number).or_default())
    }

    /// The matrix with everything in it that this connection sees.
    fn refreshed(&self, connection: &Connection, field: &Field) -> Result<Arc<RwLock<Matrix>>> {
        let matrix = self.matrix(field);
        let known = matrix.read().unwrap_or_else(PoisonError::into_inner).stamp;
        let newest: Option<i64> = connection
            .prepare_cached(&format!("SELECT max(stamp) FROM vectors_{}", field.number))?
            .query_row([], |row| row.get(0))?;
        if newest.is_some_and(|newest| newest > known) {
            matrix.write().unwrap_or_else(PoisonError::into_inner).refresh(connection, field)?;
        }
        Ok(matrix)
    }
}

/// Removes marks from a table, unless it went with its collection.
fn remove_marks(connection: &Connection, number: i64, marks: &[(i64, i64)]) -> Result<()> {
    let is_there = "SELECT EXISTS (SELECT 1 FROM vector_fields WHERE number = ? AND collection > 0)";
    if marks.is_empty() || !connection.prepare_cached(is_there)?.query_row([number], |row| row.get(0))? {
        return Ok(());
    }
    let mut delete = connection.prepare_cached(&format!(
        "DELETE FROM vectors_{number} WHERE key = ? AND stamp = ? AND vector IS NULL"
    ))?;
    marks.iter().try_for_each(|(key, stamp)| delete.execute([key, stamp]).map(drop))?;
    Ok(())
}

impl Matrix {
    /// Takes some of the marks out.
    fn some_marks(&mut self) -> Vec<(i64, i64)> {
        self.marks.split_off(self.marks.len().saturating_sub(PIECE))
    }

    fn refresh(&mut self, connection: &Connection, field: &Field) -> Result<()> {
        self.dimension = field.dimension.unwrap_or(0);
        let mut statement = connection.prepare_cached(&format!(
            "SELECT key, stamp, vector FROM vectors_{} WHERE stamp > ? ORDER BY stamp",
            field.number
        ))?;
        let mut rows = statement.query([self.stamp])?;
        while let Some(row) = rows.next()? {
            let (key, stamp) = (row.get(0)?, row.get(1)?);
            match row.get_ref(2)?.as_blob_or_null().unwrap_or(None) {
                Some(bytes) if bytes.len() == self.dimension * 4 => self.put(key, &numbers(bytes)),
                Some(_) => self.remove(key),
                None => {
                    self.remove(key);
                    self.marks.push((key, stamp));
                }
            }
            self.stamp = stamp;
        }
        Ok(())
    }

    fn put(&mut self, key: i64, vector: &[f32]) {
        self.remove(key);
        let row = quantise(vector, &mut self.bytes);
        self.places.insert(key, self.keys.len());
        self.keys.push(key);
        self.rows.push(row);
    }

    fn remove(&mut self, key: i64) {
        let Some(place) = self.places.remove(&key) else { return };
        self.keys.swap_remove(place);
        self.rows.swap_remove(place);
        let last = self.keys.len() * self.dimension;
        self.bytes.copy_within(last.., place * self.dimension);
        self.bytes.truncate(last);
        if let Some(moved) = self.keys.get(place) {
            self.places.insert(*moved, place);
        }
    }

    /// The bytes of the vector at a place.
    #[inline(always)]
    fn vector(&self, place: usize) -> &[i8] {
        &self.bytes[place * self.dimension..(place + 1) * self.dimension]
    }

    /// The places of those that can be among the `k` nearest, by the widest instructions that this processor has.
    fn candidates(&self, query: &Query<'_>, k: usize, allowed: Option<&HashSet<i64>>) -> Vec<usize> {
        pulp::Arch::new().dispatch(Scan { matrix: self, query, k, allowed })
    }
}

/// Reads all vectors. It is no closure, because a closure is not always compiled for the instructions that were found;
/// for the same reason its loops go by numbers, not by iterators.
struct Scan<'a> {
    matrix: &'a Matrix,
    query: &'a Query<'a>,
    k: usize,
    allowed: Option<&'a HashSet<i64>>,
}

impl pulp::NullaryFnOnce for Scan<'_> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn call(self) -> Vec<usize> {
        let Self { matrix, query, k, allowed } = self;
        let (mut least, mut bounds) = (Least::new(k), Vec::new());
        let length = matrix.rows.len().div_ceil(STREAMS);
        let mut step = 0;
        while step < length {
            let mut place = step;
            while let Some(row) = matrix.rows.get(place) {
                let is_allowed = allowed.is_none_or(|allowed| allowed.contains(&matrix.keys[place]));
                if is_allowed {
                    let (low, high) = query.bounds(matrix.vector(place), row);
                    // What is farther than the k-th so far is farther in the end.
                    if high >= least.bound() {
                        least.offer(low);
                        bounds.push((place, high));
                    }
                }
                place += length;
            }
            step += 1;
        }
        let least = least.bound();
        bounds.into_iter().filter(|(_, high)| *high >= least).map(|(place, _)| place).collect()
    }
}

/// The k-th largest of the numbers that were offered.
struct Least {
    k: usize,
    largest: BinaryHeap<std::cmp::Reverse<Ordered>>,
}

/// A number with a total order.
#[derive(PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Least {
    fn new(k: usize) -> Self {
        Self { k, largest: BinaryHeap::new() }
    }

    fn offer(&mut self, number: f32) {
        if self.largest.len() < self.k {
            self.largest.push(std::cmp::Reverse(Ordered(number)));
        } else if self.largest.peek().is_some_and(|least| least.0.0 < number) {
            self.largest.pop();
            self.largest.push(std::cmp::Reverse(Ordered(number)));
        }
    }

    /// Minus infinity if there were fewer.
    #[inline(always)]
    fn bound(&self) -> f32 {
        if self.largest.len() < self.k {
            return f32::NEG_INFINITY;
        }
        self.largest.peek().map_or(f32::NEG_INFINITY, |least| least.0.0)
    }
}

/// Appends a vector's bytes.
fn quantise(vector: &[f32], bytes: &mut Vec<i8>) -> Row {
    let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let mut left_out = 0.0;
    bytes.extend(vector.iter().map(|number| {
        let byte = (number / scale).round();
        left_out += (number - byte * scale).powi(2);
        byte as i8
    }));
    Row { scale, norm: norm(vector), error: left_out.sqrt() }
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|number| number * number).sum::<f32>().sqrt()
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

/// What is searched for, as numbers and as bytes.
struct Query<'a> {
    vector: &'a [f32],
    metric: Metric,
    bytes: Vec<i16>,
    row: Row,
}

impl<'a> Query<'a> {
    fn new(vector: &'a [f32], metric: Metric) -> Self {
        let mut bytes = Vec::with_capacity(vector.len());
        let row = quantise(vector, &mut bytes);
        Self { vector, metric, bytes: bytes.into_iter().map(i16::from).collect(), row }
    }

    /// Between which scores the true one lies. With `q = a + e` and `v = b + f`, where `a` and `b` are what the bytes
    /// say, `q·v` differs from `a·b` by at most `|e||v| + |a||f|` (Cauchy-Schwarz).
    #[inline(always)]
    fn bounds(&self, bytes: &[i8], row: &Row) -> (f32, f32) {
        let dot = dot(&self.bytes, bytes);
        let about = dot as f32 * self.row.scale * row.scale;
        let mine = self.row.norm + self.row.error;
        // A little more, for the rounding of these very sums.
        let off = (self.row.error * row.norm + mine * row.error) * 1.001 + 1e-6 * mine * row.norm;
        (self.score(about - off, row.norm), self.score(about + off, row.norm))
    }

    /// The score that belongs to a dot product; it grows with it.
    #[inline(always)]
    fn score(&self, dot: f32, norm: f32) -> f32 {
        let mine = self.row.norm;
        match self.metric {
            Metric::Cosine if mine == 0.0 || norm == 0.0 => 0.0,
            Metric::Cosine => dot / (mine * norm),
            Metric::DotProduct => dot,
            Metric::Euclidean => 1.0 / (1.0 + (mine.mul_add(mine, norm * norm) - 2.0 * dot).max(0.0).sqrt()),
        }
    }

    fn exact(&self, other: &[f32]) -> f64 {
        let pairs = || self.vector.iter().zip(other).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let length = |vector: &[f32]| vector.iter().map(|n| f64::from(*n).powi(2)).sum::<f64>().sqrt();
        let dot = pairs().map(|(a, b)| a * b).sum::<f64>();
        match self.metric {
            Metric::DotProduct => dot,
            Metric::Euclidean => 1.0 / (1.0 + pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()),
            Metric::Cosine => {
                let lengths = length(self.vector) * length(other);
                if lengths == 0.0 { 0.0 } else { dot / lengths }
            }
        }
    }
}

/// A dot product of bytes. The longest vector's fits: 16,384 · 127 · 127 < 2³¹.
#[inline(always)]
fn dot(one: &[i16], other: &[i8]) -> i32 {
    let length = one.len().min(other.len());
    let (one, other) = (&one[..length], &other[..length]);
    let (mut sum, mut place) = (0, 0);
    while place < length {
        sum += i32::from(one[place]) * i32::from(i16::from(other[place]));
        place += 1;
    }
    sum
}

/// The nearest records, nearest first, at most `limit` and at most `search.k`.
pub(super) fn find(
    connection: &Connection,
    cache: &Cache,
    collection: &Collection,
    search: &VectorSearch,
    allowed: Option<&HashSet<i64>>,
    limit: usize,
) -> Result<Vec<Found>> {
    let Some(field) = Field::find(connection, collection.key, &search.field)? else { return Ok(Vec::new()) };
    check(&field, search)?;
    let metric = search.metric.or_else(|| collection.rules.metric(&search.field)).unwrap_or_default();
    let query = Query::new(&search.vector, metric);
    let k = limit.min(search.k);
    if k == 0 || field.dimension.is_none() {
        return Ok(Vec::new());
    }
    let matrix = cache.refreshed(connection, &field)?;
    let keys: Vec<i64> = {
        let matrix = matrix.read().unwrap_or_else(PoisonError::into_inner);
        matrix.candidates(&query, k, allowed).into_iter().map(|place| matrix.keys[place]).collect()
    };
    let mut found = exact(connection, &field, &query, &keys)?;
    found.retain(|found| search.threshold.is_none_or(|least| found.score >= least));
    super::best_first(&mut found);
    found.truncate(k);
    Ok(found)
}

fn check(field: &Field, search: &VectorSearch) -> Result<()> {
    let wrong = |message: String| Err(Error::invalid(message).with(Detail::Field("vector".into())));
    if search.vector.iter().any(|number| !number.is_finite()) {
        return wrong(String::from("a vector is a list of finite numbers"));
    }
    match field.dimension {
        Some(dimension) if dimension != search.vector.len() => wrong(format!(
            "the vectors of {:?} have {dimension} numbers and this one has {}; use the same embedding model",
            field.name,
            search.vector.len()
        )),
        Some(_) | None => Ok(()),
    }
}

fn exact(connection: &Connection, field: &Field, query: &Query<'_>, keys: &[i64]) -> Result<Vec<Found>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT vector FROM vectors_{} WHERE key = ?", field.number))?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else { continue };
        // Gone in what this connection sees.
        let Some(bytes) = row.get_ref(0)?.as_blob_or_null().unwrap_or(None) else { continue };
        let score = query.exact(&numbers(bytes));
        found.push(Found { key: *key, score, fields: vec![field.name.clone()] });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vector(dimension: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(prop_oneof![8 => -1.0_f32..1.0, 1 => -1e3_f32..1e3, 1 => Just(0.0)], dimension)
    }

    fn matrix(vectors: &[Vec<f32>]) -> Matrix {
        let mut matrix = Matrix { dimension: 7, ..Matrix::default() };
        vectors.iter().zip(1..).for_each(|(vector, key)| matrix.put(key, vector));
        matrix
    }

    proptest! {
        #[test]
        fn the_nearest_are_always_among_the_candidates(
            vectors in prop::collection::vec(vector(7), 1..60),
            wanted in vector(7),
            k in 1_usize..8,
            metric in prop_oneof![Just(Metric::Cosine), Just(Metric::Euclidean), Just(Metric::DotProduct)],
        ) {
            let matrix = matrix(&vectors);
            let query = Query::new(&wanted, metric);
            let candidates = matrix.candidates(&query, k, None);
            let mut exact: Vec<(usize, f64)> =
                vectors.iter().map(|vector| query.exact(vector)).enumerate().collect();
            exact.sort_by(|a, b| b.1.total_cmp(&a.1));
            let least = exact[k.min(exact.len()) - 1].1;
            for (place, score) in exact {
                // Those as near as the last of the nearest may be left out.
                prop_assert!(score <= least + 1e-4 * (1.0 + least.abs()) || candidates.contains(&place));
            }
        }

        #[test]
        fn what_is_removed_leaves_the_others_in_place(
            vectors in prop::collection::vec(vector(7), 1..30),
            removed in prop::collection::vec(1_i64..30, 0..20),
        ) {
            let mut matrix = matrix(&vectors);
            removed.iter().for_each(|key| matrix.remove(*key));
            for (place, key) in matrix.keys.iter().enumerate() {
                let mut bytes = Vec::new();
                quantise(&vectors[*key as usize - 1], &mut bytes);
                prop_assert_eq!(&matrix.bytes[place * 7..(place + 1) * 7], &bytes[..]);
                prop_assert_eq!(matrix.places[key], place);
                prop_assert!(!removed.contains(key));
            }
            prop_assert_eq!(matrix.bytes.len(), matrix.keys.len() * 7);
        }
    }
}
