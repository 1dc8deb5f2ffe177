//! Full-text search: one FTS5 table per collection, made at the first search.
//!
//! The table holds the index alone (`content=''`): texts are read from the records, and with `contentless_delete` an
//! entry goes by its key, so the old text need not be found out when a record changes. It is filled in steps between
//! other people's writes; from then on it changes in the record's own transaction.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::error::Result;
use crate::query::{Body, Hit, Search};

use super::records::{self, COLUMNS};

/// So many records are indexed in one step; others write between two steps.
const STEP: i64 = 1_000;
/// So many words of a search count.
const MAX_WORDS: usize = 32;
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
    let found: Option<Option<i64>> = connection
        .prepare_cached("SELECT indexed FROM collections WHERE name = ?")?
        .query_row([collection], |row| row.get(0))
        .optional()?;
    Ok(match found {
        None => Index::Absent,
        Some(Some(COMPLETE)) => Index::Complete,
        Some(_) => Index::Growing,
    })
}

/// Makes the index or its next piece.
pub(super) fn grow(connection: &Connection, collection: &str) -> Result<Index> {
    let found: Option<(i64, Option<i64>)> = connection
        .prepare_cached("SELECT key, indexed FROM collections WHERE name = ?")?
        .query_row([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => Ok(Index::Absent),
        Some((_, Some(COMPLETE))) => Ok(Index::Complete),
        Some((key, Some(after))) => step(connection, key, after),
        Some((key, None)) => {
            create(connection, key)?;
            step(connection, key, 0)
        }
    }
}

fn create(connection: &Connection, collection: i64) -> Result<()> {
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE search_{collection} USING fts5 (text, content = '', contentless_delete = 1, \
         tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')"
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

/// The records that fit, best first.
pub(super) fn search(connection: &Connection, search: &Search) -> Result<Vec<Hit>> {
    let Some(words) = search.text.as_ref().and_then(|text| expression(&text.text)) else {
        return Ok(Vec::new());
    };
    let found: Option<i64> = connection
        .prepare_cached("SELECT key FROM collections WHERE name = ?")?
        .query_row([&search.collection], |row| row.get(0))
        .optional()?;
    let Some(collection) = found else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, -bm25(search_{collection}) AS score FROM search_{collection} \
         JOIN records ON records.key = search_{collection}.rowid \
         WHERE search_{collection} MATCH ? ORDER BY score DESC, id LIMIT ?"
    ))?;
    let mut rows = statement.query(params![words, records::limit(search.limit)])?;
    let mut hits = Vec::new();
    while let Some(row) = rows.next()? {
        let record = records::record(row)?;
        hits.push(Hit { record, score: row.get("score")?, matched_fields: Vec::new() });
    }
    Ok(hits)
}

/// What a person typed, as FTS5 wants it: each word quoted, the last one a prefix. `None` if there is no word in it.
fn expression(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c == '\0')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(MAX_WORDS)
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!words.is_empty()).then(|| format!("{}*", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_typed_is_never_syntax() {
        let check = |typed: &str, expected: Option<&str>| {
            assert_eq!(expression(typed).as_deref(), expected, "{typed}");
        };
        check("purchase ord", Some("\"purchase\" \"ord\"*"));
        check("a OR b* NEAR(x)", Some("\"a\" \"OR\" \"b*\" \"NEAR(x)\"*"));
        check("say \"hi", Some("\"say\" \"\"\"hi\"*"));
        check(" -- ", None);
        check("", None);
    }
}
