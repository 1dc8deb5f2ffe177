//! Search: by words, by nearness, or by both.
//!
//! Each way gives a ranking. Two rankings are fused by reciprocal rank (Cormack, Clarke & Büttcher 2009, k = 60),
//! because their scores cannot be compared.

mod text;
mod vectors;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::{Detail, Error, Result};
use crate::id::Timestamp;
use crate::query::{Hit, Search, TextSearch, VectorSearch};
use crate::store::constraints::Rules;

use super::collections::Schemas;
use super::filter;
use super::records::{self, RAW};

pub(super) use vectors::{Cache, Fields, disagreements, drop_collection, grow, index};

/// How much a rank counts: 1 / (60 + rank).
const RANK: f64 = 60.0;
/// Of each ranking that is fused, so many records for each one that is wanted.
const DEPTH: usize = 4;
/// Beyond so many edits nearly everything is near.
const MAX_EDITS: u8 = 5;

/// A collection, as a search needs it.
struct Collection {
    key: i64,
    count: i64,
    /// Of its texts.
    language: String,
    /// How its members are indexed.
    rules: Arc<Rules>,
}

/// A record that fits, not yet read.
#[derive(Debug, Clone)]
struct Found {
    key: i64,
    score: f64,
    fields: Vec<String>,
}

/// The records that fit and have not expired, best first. The collection's indexes are there.
pub(super) fn search(
    connection: &Connection,
    (cache, schemas): (&Cache, &Schemas),
    search: &Search,
    now: Timestamp,
) -> Result<Vec<Hit>> {
    check(search)?;
    let Some(collection) = collection(connection, schemas, &search.collection)? else {
        return Ok(Vec::new());
    };
    let scope = filter::Scope { key: collection.key, rules: Arc::clone(&collection.rules), now };
    let allowed = allowed(connection, search, &scope)?;
    let allowed = allowed.as_ref();
    let depth = match (&search.text, &search.vector) {
        (Some(_), Some(_)) => search.limit.saturating_mul(DEPTH).max(50),
        (Some(_) | None, _) => search.limit,
    };
    let by_text = |text: &TextSearch| text::find(connection, &collection, text, allowed, depth);
    let by_vector =
        |vector: &VectorSearch| vectors::find(connection, cache, &collection, vector, allowed, depth);
    let mut found = match (&search.text, &search.vector) {
        (Some(text), None) => by_text(text)?,
        (None, Some(vector)) => by_vector(vector)?,
        (Some(text), Some(vector)) => {
            fuse([(by_text(text)?, text.weight), (by_vector(vector)?, vector.weight)])
        }
        (None, None) => Vec::new(),
    };
    if let Some(least) = search.min_score {
        found.retain(|found| found.score >= least);
    }
    let hits = found.into_iter().map(|found| read(connection, found, search, now));
    hits.filter_map(Result::transpose).take(search.limit).collect()
}

fn check(search: &Search) -> Result<()> {
    let edits = search.text.as_ref().map_or(0, |text| text.max_edits);
    if edits > MAX_EDITS {
        let error =
            Error::invalid(format!("a search allows at most {MAX_EDITS} edits a word; ask for fewer"));
        return Err(error.with(Detail::Field("max_edit_distance".into())));
    }
    let weights = search.text.iter().flat_map(|text| text.fields.iter().map(|(_, weight)| *weight));
    let fused =
        search.text.iter().map(|text| text.weight).chain(search.vector.iter().map(|vector| vector.weight));
    if weights.chain(fused).any(|weight| !weight.is_finite() || weight < 0.0) {
        return Err(Error::invalid("a weight is a number from 0 up").with(Detail::Field("weights".into())));
    }
    Ok(())
}

fn collection(connection: &Connection, schemas: &Schemas, name: &str) -> Result<Option<Collection>> {
    let found = super::collections::Collection::find(connection, schemas, name)?;
    Ok(found.map(|found| {
        let language = found.rules.language().unwrap_or("english").to_owned();
        Collection { key: found.key, count: found.count, language, rules: found.rules }
    }))
}

/// The records that a filter leaves, if there is one.
fn allowed(connection: &Connection, search: &Search, scope: &filter::Scope) -> Result<Option<HashSet<i64>>> {
    let Some(filter) = &search.filter else { return Ok(None) };
    let sql = filter::keys(filter, scope)?;
    let mut statement = connection.prepare_cached(&sql.text)?;
    let keys = statement.query_map(params_from_iter(sql.values), |row| row.get(0))?;
    Ok(Some(keys.collect::<rusqlite::Result<_>>()?))
}

fn best_first(found: &mut [Found]) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
}

/// One ranking of two. Being first in both gives the sum of the weights.
fn fuse(rankings: [(Vec<Found>, f64); 2]) -> Vec<Found> {
    let mut fused: HashMap<i64, Found> = HashMap::new();
    for (ranking, weight) in rankings {
        for (rank, found) in ranking.into_iter().enumerate() {
            let score = weight * (RANK + 1.0) / (RANK + 1.0 + rank as f64);
            let entry =
                fused.entry(found.key).or_insert_with(|| Found { score: 0.0, fields: Vec::new(), ..found });
            entry.score += score;
            entry.fields.extend(found.fields);
        }
    }
    let mut fused: Vec<Found> = fused.into_values().collect();
    best_first(&mut fused);
    fused
}

fn read(connection: &Connection, found: Found, search: &Search, now: Timestamp) -> Result<Option<Hit>> {
    let record = connection
        .prepare_cached(&format!("SELECT {RAW} FROM records WHERE key = ?"))?
        .query_row([found.key], |row| Ok(records::projected(row, &search.projection)))
        .optional()?
        .transpose()?
        .filter(|record| records::is_alive(record, now));
    Ok(record.map(|record| Hit { record, score: found.score, matched_fields: found.fields }))
}
