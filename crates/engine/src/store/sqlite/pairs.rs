//! The key-value store: a table of its own, without a change log.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::query::Budget;
use crate::edit::KeyValue;
use crate::error::{Detail, Error, Result};
use crate::id::Timestamp;
use crate::store::constraints;

/// Writes pairs.
pub(super) fn set(connection: &Connection, pairs: &[KeyValue], expires_at: Option<Timestamp>) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO pairs (key, value, expires_at) VALUES (?, ?, ?) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
    )?;
    for KeyValue { key, value } in pairs {
        statement.execute(params![key, value.to_string(), expires_at.map(|at| at.0)])?;
    }
    Ok(())
}

/// The values of keys.
pub(super) fn get(connection: &Connection, keys: &[String], now: Timestamp) -> Result<Vec<Option<Value>>> {
    let mut budget = Budget::new();
    let mut statement = connection
        .prepare_cached("SELECT value FROM pairs WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)")?;
    let mut one = |key: &String| {
        let text: Option<String> = statement.query_row(params![key, now.0], |row| row.get(0)).optional()?;
        text.map(|text| value(&text, &mut budget)).transpose()
    };
    keys.iter().map(&mut one).collect()
}

/// Removes pairs; one that had expired was not there.
pub(super) fn delete(connection: &Connection, keys: &[String], now: Timestamp) -> Result<Vec<bool>> {
    let mut statement = connection.prepare_cached("DELETE FROM pairs WHERE key = ? RETURNING expires_at")?;
    let mut one = |key: &String| {
        let gone: Option<Option<i64>> = statement.query_row([key], |row| row.get(0)).optional()?;
        Ok(gone.is_some_and(|expires_at| expires_at.is_none_or(|at| at > now.0)))
    };
    keys.iter().map(&mut one).collect()
}

/// The pairs whose keys fit.
pub(super) fn find(
    connection: &Connection,
    pattern: Option<&str>,
    include_expired: bool,
    now: Timestamp,
) -> Result<Vec<KeyValue>> {
    let pattern = pattern.map(constraints::compile).transpose().map_err(|why| {
        Error::invalid(format!("the pattern is no regular expression that can be used: {why}"))
            .with(Detail::Field("pattern".into()))
    })?;
    let mut budget = Budget::new();
    let mut statement = connection.prepare_cached(
        "SELECT key, value FROM pairs WHERE ?1 OR expires_at IS NULL OR expires_at > ?2 ORDER BY key",
    )?;
    let mut rows = statement.query(params![include_expired, now.0])?;
    let mut pairs = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_str().map_err(Error::internal)?;
        if pattern.as_ref().is_some_and(|pattern| !pattern.is_match(key)) {
            continue;
        }
        budget.spend(key.len())?;
        let text = row.get_ref(1)?.as_str().map_err(Error::internal)?;
        pairs.push(KeyValue { key: key.to_owned(), value: value(text, &mut budget)? });
    }
    Ok(pairs)
}

/// Removes all pairs.
pub(super) fn clear(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM pairs", [])?;
    Ok(())
}

/// Removes what has expired, at most `limit` pairs. Whether there is more.
pub(super) fn expire(connection: &Connection, limit: usize, now: Timestamp) -> Result<bool> {
    let limit = super::records::limit(limit);
    let gone = connection
        .prepare_cached(
            "DELETE FROM pairs WHERE key IN (SELECT key FROM pairs WHERE expires_at <= ? LIMIT ?)",
        )?
        .execute([now.0, limit])?;
    Ok(i64::try_from(gone) == Ok(limit))
}

fn value(text: &str, budget: &mut Budget) -> Result<Value> {
    budget.spend(text.len())?;
    serde_json::from_str(text).map_err(Error::internal)
}
