//! Where search hears of records and collections, inside the transactions that write them.

use rusqlite::Connection;

use super::collections::Collection;
use super::{fulltext, search};
use crate::error::Result;
use crate::query::Body;
use crate::schema::Schema;

/// A record was written: new, or another than before. Its change has this offset.
pub(super) fn written(
    connection: &Connection,
    collection: &mut Collection,
    (record, offset): (i64, i64),
    body: &Body,
) -> Result<()> {
    if collection.covers(record) {
        fulltext::put(connection, collection.key, record, body)?;
    }
    collection.vectors.put(connection, record, offset, body)
}

/// A record is removed: deleted, or expired. Its change has this offset.
pub(super) fn removed(
    connection: &Connection,
    collection: &Collection,
    (record, offset): (i64, i64),
) -> Result<()> {
    if collection.covers(record) {
        fulltext::delete(connection, collection.key, record)?;
    }
    collection.vectors.delete(connection, record, offset)
}

/// A collection's schema was made or changed.
pub(super) fn redefined(_: &Connection, _: &Collection, _: &Schema) -> Result<()> {
    Ok(()) // full text is of all members, and vectors of those that are asked for, whatever a schema says
}

/// A collection is dropped: what is kept of it under its key goes.
pub(super) fn dropped(connection: &Connection, collection: &Collection) -> Result<()> {
    if collection.indexed.is_some() {
        fulltext::remove(connection, collection.key)?;
    }
    search::drop_collection(connection, collection.key)
}
