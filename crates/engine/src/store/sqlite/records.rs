//! Records and their change logs as they are read, and how long logs are kept.

use std::time::Duration;

use rusqlite::types::{Value as Bound, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::error::{Error, Result};
use crate::id::{Offset, RecordId, Timestamp};
use crate::identity::Subject;
use crate::query::{Body, Projection, Record, RecordText, RecordTexts};
use crate::store::{Change, ChangeKind};

use super::filter::Sql;
use super::jsonb;

/// The columns that [`record`] reads.
pub(super) const COLUMNS: &str = "id, json(body), version, created_at, updated_at, expires_at";

/// The columns that [`projected`] reads.
pub(super) const RAW: &str = "id, body, version, created_at, updated_at, expires_at";

/// One record by its collection's name and its id: [`COLUMNS`], and what reading it adds to its life.
const ONE: &str = "SELECT id, json(body), version, created_at, updated_at, expires_at, renewed_by FROM records \
                   WHERE collection = (SELECT key FROM collections WHERE name = ?) AND id = ?";

/// How long change logs are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    /// At most so long.
    pub(super) age: Duration,
    /// At most so many per collection.
    pub(super) changes: u64,
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

/// A record that somebody reads by its id, and until when that lets it live.
pub(super) struct Got {
    pub(super) record: Record,
    /// The time to live that begins anew, in microseconds.
    pub(super) renewed_by: Option<i64>,
}

/// One record, or `None`.
pub(super) fn get(
    connection: &Connection,
    collection: &str,
    id: &RecordId,
    now: Timestamp,
) -> Result<Option<Got>> {
    let mut statement = connection.prepare_cached(ONE)?;
    let mut rows = statement.query([collection, &id.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let got = Got { record: record(row)?, renewed_by: row.get(6)? };
    Ok(Some(got).filter(|got| is_alive(&got.record, now)))
}

/// A record as text that somebody reads by its id.
pub(super) enum GotText {
    /// There is none.
    Nothing,
    /// Only itself.
    Text(RecordTexts),
    /// Reading it lets it live longer: it is to be read by [`get`].
    Renewed,
}

/// One record as it lies there.
pub(super) fn get_text(
    connection: &Connection,
    collection: &str,
    id: &RecordId,
    now: Timestamp,
) -> Result<GotText> {
    let mut statement = connection.prepare_cached(ONE)?;
    let mut rows = statement.query([collection, &id.0])?;
    let Some(row) = rows.next()? else { return Ok(GotText::Nothing) };
    if row.get_ref(6)? != ValueRef::Null {
        return Ok(GotText::Renewed);
    }
    let text = text(row)?;
    if text.expires_at.is_some_and(|at| at <= now) {
        return Ok(GotText::Nothing);
    }
    let mut texts = RecordTexts::default();
    texts.push(text);
    Ok(GotText::Text(texts))
}

/// One record of the collection with a key, or `None`.
pub(super) fn get_in(
    connection: &Connection,
    key: i64,
    id: &RecordId,
    now: Timestamp,
) -> Result<Option<Record>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM records WHERE collection = ? AND id = ?"))?;
    let mut rows = statement.query(params![key, id.0])?;
    let found = rows.next()?.map(record).transpose()?;
    Ok(found.filter(|record| is_alive(record, now)))
}

/// Whether a record has not expired.
pub(super) fn is_alive(record: &Record, now: Timestamp) -> bool {
    record.expires_at.is_none_or(|at| at > now)
}

/// Lets a record that was read live until `expires_at`, if it is still there.
pub(super) fn renew(
    connection: &Connection,
    collection: &str,
    id: &RecordId,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE records SET expires_at = max(expires_at, ?) \
             WHERE collection = (SELECT key FROM collections WHERE name = ?) AND id = ? AND expires_at > ?",
        )?
        .execute(params![expires_at.0, collection, id.0, now.0])?;
    Ok(())
}

/// How many a statement of [`filter::count`](super::filter::count) finds.
pub(super) fn count(connection: &Connection, sql: Sql) -> Result<u64> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let count: i64 = statement.query_row(params_from_iter::<Vec<Bound>>(sql.values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// How many records a collection has that have not expired; 0 if there is none of that name.
pub(super) fn count_all(connection: &Connection, collection: &str, now: Timestamp) -> Result<u64> {
    let count: Option<i64> = connection
        .prepare_cached(
            "SELECT count - (SELECT count(*) FROM records WHERE records.collection = collections.key \
             AND expires_at <= ?) FROM collections WHERE name = ?",
        )?
        .query_row(params![now.0, collection], |row| row.get(0))
        .optional()?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// The changes after an offset.
pub(super) fn changes(
    connection: &Connection,
    collection: &str,
    after: Offset,
    limit: usize,
    bytes: usize,
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
        "SELECT log_offset, kind, id, json(body_before), json(body_after), at, by_subject, expires_at FROM changes \
         WHERE collection = ? AND log_offset > ? ORDER BY log_offset LIMIT ?",
    )?;
    let mut rows = statement.query(params![key, after, self::limit(limit)])?;
    let (mut changes, mut length) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        changes.push(change(collection, row)?);
        length = length.saturating_add(text_length(row, 3)?).saturating_add(text_length(row, 4)?);
        if length > bytes {
            break;
        }
    }
    Ok(changes)
}

/// The length of a column's text; nothing has none.
pub(super) fn text_length(row: &Row<'_>, column: usize) -> Result<usize> {
    Ok(row.get_ref(column)?.as_str_or_null().map_err(Error::internal)?.map_or(0, str::len))
}

fn change(collection: &str, row: &Row<'_>) -> Result<Change> {
    let body = |index| {
        let text = row.get_ref(index)?.as_str_or_null().map_err(Error::internal)?;
        text.map(parse).transpose()
    };
    Ok(Change {
        collection: collection.to_owned(),
        offset: Offset(row.get::<_, i64>(0)?.unsigned_abs()),
        kind: kind_from(row.get(1)?)?,
        id: RecordId(row.get(2)?),
        before: body(3)?,
        after: body(4)?,
        expires_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        at: Timestamp(row.get(5)?),
        by: Subject(row.get::<_, String>(6)?.into()),
    })
}

/// A record from a row of [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    with_body(row, parse(row.get_ref(1)?.as_str().map_err(Error::internal)?)?)
}

/// A record from a row of [`RAW`], with the members that are given.
pub(super) fn projected(row: &Row<'_>, projection: &Projection) -> Result<Record> {
    with_body(row, jsonb::body(row.get_ref(1)?.as_blob().map_err(Error::internal)?, projection)?)
}

fn with_body(row: &Row<'_>, body: Body) -> Result<Record> {
    Ok(Record {
        id: RecordId(row.get(0)?),
        body,
        version: Offset(row.get::<_, i64>(2)?.unsigned_abs()),
        created_at: Timestamp(row.get(3)?),
        updated_at: Timestamp(row.get(4)?),
        expires_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}

/// The same, as it lies there.
pub(super) fn text<'r>(row: &'r Row<'_>) -> Result<RecordText<'r>> {
    let members = row.get_ref(1)?.as_str().map_err(Error::internal)?;
    if !members.starts_with('{') {
        return Err(Error::internal(std::io::Error::other("a record is no object")));
    }
    Ok(RecordText {
        id: row.get_ref(0)?.as_str().map_err(Error::internal)?,
        members,
        expires_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
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

fn kind_from(number: i64) -> Result<ChangeKind> {
    match number {
        1 => Ok(ChangeKind::Insert),
        2 => Ok(ChangeKind::Update),
        3 => Ok(ChangeKind::Delete),
        other => Err(Error::internal(std::io::Error::other(format!("a change has the kind {other}")))),
    }
}
