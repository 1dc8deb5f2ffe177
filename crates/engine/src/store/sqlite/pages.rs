//! Collections piece by piece: how far a log reaches, and records by id.

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::Result;
use crate::id::{Offset, RecordId};
use crate::query::{Filter, Operator, Query};
use crate::store::{LogSpan, Page};

use super::filter::Sql;
use super::records;

/// What a collection's log reaches over.
pub(super) fn log(connection: &Connection, collection: &str) -> Result<LogSpan> {
    let found: Option<(i64, i64)> = connection
        .prepare_cached("SELECT first_offset, last_offset FROM collections WHERE name = ?")?
        .query_row([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (first, last) = found.unwrap_or((1, 0));
    Ok(LogSpan { first: Offset(first.unsigned_abs()), last: Offset(last.unsigned_abs()) })
}

/// One more than a page has, to know whether it is the last one.
pub(super) fn query(
    collection: &str,
    after: Option<&RecordId>,
    filter: Option<&Filter>,
    limit: usize,
) -> Query {
    let after = after.map(|id| Filter::compare("id", Operator::Gt, id.0.as_str()));
    let both: Vec<Filter> = after.into_iter().chain(filter.cloned()).collect();
    let query = Query::all(collection, limit.saturating_add(1));
    if both.is_empty() { query } else { query.filter(Filter::And(both)) }
}

/// The page that [`query`]'s statement finds.
pub(super) fn read(connection: &Connection, sql: Sql, limit: usize, bytes: usize) -> Result<Page> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter(sql.values))?;
    let (mut records, mut length) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        if records.len() == limit || length > bytes {
            return Ok(Page { records, last: false });
        }
        length = length.saturating_add(records::text_length(row, 1)?);
        records.push(records::record(row)?);
    }
    Ok(Page { records, last: true })
}
