//! The full-text index: one FTS5 table per collection, made at the first search. How it is asked is in `search`.
//!
//! The table holds the index alone (`content=''`): texts are read from the records, and with `contentless_delete` an
//! entry goes by its key, so the old text need not be found out when a record changes. It is filled in steps between
//! other people's writes; from then on it changes in the record's own transaction.

use rusqlite::{Connection, OptionalExtension, Statement, params};
use serde_json::Value;

use crate::error::Result;
use crate::query::Body;

use super::records;

/// So many records are indexed in one step; others write between two steps.
const STEP: i64 = 1_000;
/// What `collections.indexed` says when every record is in the index, later ones too.
const COMPLETE: i64 = i64::MAX;

/// How far a collection's index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// There is none yet, or it is being made.
    Growing,
    /// All records are in it.
    Complete,
    /// There is no such collection.
    Absent,
}

/// How far the index is.
pub(super) fn index(connection: &Connection, collection: &str) -> Result<Index> {
    let found: Option<(i64, Option<i64>)> = connection
        .prepare_cached("SELECT key, indexed FROM collections WHERE name = ?")?
        .query_row([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        None => Index::Absent,
        Some((key, Some(COMPLETE))) if has_words(connection, key)? => Index::Complete,
        Some(_) => Index::Growing,
    })
}

fn has_words(connection: &Connection, collection: i64) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)")?
        .query_row([format!("search_{collection}_words")], |row| row.get(0))?)
}

/// Makes the index or its next piece.
pub(super) fn grow(connection: &Connection, collection: &str) -> Result<Index> {
    let found: Option<(i64, Option<i64>)> = connection
        .prepare_cached("SELECT key, indexed FROM collections WHERE name = ?")?
        .query_row([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => Ok(Index::Absent),
        // An index of an earlier version has no vocabulary yet.
        Some((key, Some(COMPLETE))) => create_words(connection, key).map(|()| Index::Complete),
        Some((key, Some(after))) => step(connection, key, after),
        Some((key, None)) => {
            create(connection, key)?;
            step(connection, key, 0)
        }
    }
}

/// Makes an empty index.
pub(super) fn create(connection: &Connection, collection: i64) -> Result<()> {
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE search_{collection} USING fts5 (text, content = '', contentless_delete = 1, \
         tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')"
    ))?;
    create_words(connection, collection)
}

/// The index's vocabulary: each word and in how many records it is. Nothing is stored for it.
fn create_words(connection: &Connection, collection: i64) -> Result<()> {
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE IF NOT EXISTS search_{collection}_words USING fts5vocab (search_{collection}, row)"
    ))?;
    Ok(())
}

fn step(connection: &Connection, collection: i64, after: i64) -> Result<Index> {
    let mut statement = connection.prepare_cached(
        "SELECT key, json(body) FROM records WHERE collection = ? AND key > ? ORDER BY key LIMIT ?",
    )?;
    let mut rows = statement.query(params![collection, after, STEP])?;
    let (mut last, mut count) = (after, 0);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        count += 1;
        put(connection, collection, last, &records::parse(&row.get::<_, String>(1)?)?)?;
    }
    let (indexed, state) = if count < STEP { (COMPLETE, Index::Complete) } else { (last, Index::Growing) };
    connection
        .prepare_cached("UPDATE collections SET indexed = ? WHERE key = ?")?
        .execute([indexed, collection])?;
    Ok(state)
}

/// Puts a record's texts into its collection's index.
pub(super) fn put(connection: &Connection, collection: i64, record: i64, body: &Body) -> Result<()> {
    let mut text = String::new();
    body.values().for_each(|value| gather(value, &mut text));
    connection
        .prepare_cached(&format!("INSERT OR REPLACE INTO search_{collection} (rowid, text) VALUES (?, ?)"))?
        .execute(params![record, text])?;
    Ok(())
}

/// Takes a record out of its collection's index.
pub(super) fn delete(connection: &Connection, collection: i64, record: i64) -> Result<()> {
    connection
        .prepare_cached(&format!("DELETE FROM search_{collection} WHERE rowid = ?"))?
        .execute([record])?;
    Ok(())
}

/// Whether two connections have the same index of a collection: the same records with as many words each, and each
/// word in as many records and as often. An index of an earlier version has no list of words to compare.
pub(super) fn is_same(one: &Connection, other: &Connection, collection: i64) -> Result<bool> {
    const WORDS: &str = "term, doc, cnt FROM search_{}_words ORDER BY term";
    const RECORDS: &str = "id, sz FROM search_{}_docsize ORDER BY id";
    let lists = if has_words(one, collection)? { &[RECORDS, WORDS][..] } else { &[RECORDS][..] };
    for what in lists {
        let sql = format!("SELECT {}", what.replace("{}", &collection.to_string()));
        if !are_same(&mut one.prepare(&sql)?, &mut other.prepare(&sql)?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn are_same(one: &mut Statement<'_>, other: &mut Statement<'_>) -> Result<bool> {
    let columns = one.column_count();
    let (mut ones, mut others) = (one.query([])?, other.query([])?);
    loop {
        match (ones.next()?, others.next()?) {
            (None, None) => return Ok(true),
            (Some(one), Some(other)) => {
                for column in 0..columns {
                    if one.get_ref(column)? != other.get_ref(column)? {
                        return Ok(false);
                    }
                }
            }
            (Some(_), None) | (None, Some(_)) => return Ok(false),
        }
    }
}

/// Removes a collection's index.
pub(super) fn remove(connection: &Connection, collection: i64) -> Result<()> {
    connection.execute_batch(&format!("DROP TABLE search_{collection}"))?;
    Ok(())
}

fn gather(value: &Value, text: &mut String) {
    match value {
        Value::String(part) => {
            text.push_str(part);
            text.push('\n');
        }
        Value::Array(list) => list.iter().for_each(|value| gather(value, text)),
        Value::Object(members) => members.values().for_each(|value| gather(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
