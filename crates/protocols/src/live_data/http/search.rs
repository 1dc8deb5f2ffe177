//! Search by words, by nearness, or by both.

use serde_json::Value;
use tidewire_engine::query::{Hit, Search, TextSearch, VectorSearch};
use tidewire_engine::{Command, Detail, Error, Reply, Result};

use super::input::listed;
use super::{Answer, Request, Started, Style, steps};
use crate::live_data::ask::{self, SEARCH_LIMIT};
use crate::live_data::schema::metric;
use crate::live_data::{filter, spell, wire};

/// The edits that are allowed when a search is fuzzy and does not say how many.
const FUZZY_EDITS: u64 = 2;
/// The most edits that can be allowed.
const MAX_EDITS: u64 = 5;
/// The member with the vectors, unless a search names another one.
const VECTOR_FIELD: &str = "embedding";
/// The most hits of a search by words count as much as the nearest, unless it says otherwise.
const WEIGHT: f64 = 0.5;

/// `POST /api/search/{collection}`
pub(super) fn search(request: &Request<'_>) -> Started {
    let (style, begun) = (Style::of(request), request.now);
    let command = Command::Search(read(request.param("collection"), request.json()?)?);
    steps(vec![command], move |mut replies, now| match replies.pop() {
        Some(Reply::Hits(hits)) => style.hits(&hits, now.saturating_duration_since(begun)),
        Some(other) => Err(ask::unexpected(&"a search", &other)),
        None => style.hits(&[], now - begun),
    })
}

impl Style {
    fn hits(&self, hits: &[Hit], took: std::time::Duration) -> Result<Answer> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"{\"results\":");
        spell::put_hits(&mut out, hits, self.manner());
        let (total, took) = (hits.len(), took.as_millis());
        out.extend_from_slice(format!(",\"total\":{total},\"execution_time_ms\":{took}}}").as_bytes());
        self.answer(out)
    }
}

fn wrong(field: &str, sentence: impl Into<String>) -> Error {
    Error::invalid(sentence.into()).with(Detail::Field(field.to_owned()))
}

fn read(collection: String, m: wire::SearchRequest) -> Result<Search> {
    let limit = filter::count(m.limit.unwrap_or(SEARCH_LIMIT));
    let search = Search {
        collection,
        text: text(&m)?,
        vector: vector(&m, limit)?,
        filter: filter::filter(m.filters)?,
        min_score: m.min_score,
        limit,
        projection: filter::projection(m.select_fields, m.exclude_fields),
    };
    match (&search.text, &search.vector) {
        (None, None) => Err(wrong("query", "a search has words in query, or numbers in vector, or both")),
        (_, _) => Ok(search),
    }
}

fn text(m: &wire::SearchRequest) -> Result<Option<TextSearch>> {
    let Some(words) = m.query.as_deref().filter(|words| !words.trim().is_empty()) else { return Ok(None) };
    Ok(Some(TextSearch {
        text: words.to_owned(),
        fields: fields(m)?,
        prefix: false,
        max_edits: max_edits(m)?,
        stemming: m.enable_stemming.unwrap_or(true),
        case_sensitive: m.case_sensitive.unwrap_or(false),
        boost_exact: m.boost_exact.unwrap_or(true),
        weight: m.text_weight.unwrap_or(WEIGHT),
    }))
}

fn max_edits(m: &wire::SearchRequest) -> Result<u8> {
    let edits = match (m.fuzzy, m.max_edit_distance) {
        (Some(false), _) | (None, None) => 0,
        (_, Some(edits)) => edits,
        (Some(true), None) => FUZZY_EDITS,
    };
    u8::try_from(edits)
        .ok()
        .filter(|edits| u64::from(*edits) <= MAX_EDITS)
        .ok_or_else(|| wrong("max_edit_distance", format!("max_edit_distance takes 0 to {MAX_EDITS}")))
}

fn vector(m: &wire::SearchRequest, limit: usize) -> Result<Option<VectorSearch>> {
    let Some(vector) = m.vector.as_ref().filter(|vector| !vector.is_empty()) else { return Ok(None) };
    Ok(Some(VectorSearch {
        field: m.vector_field.clone().unwrap_or_else(|| VECTOR_FIELD.to_owned()),
        vector: vector.iter().map(|number| *number as f32).collect(),
        metric: m.vector_metric.as_deref().map(metric).transpose()?,
        k: m.vector_k.map_or(limit, filter::count),
        threshold: m.vector_threshold,
        weight: m.vector_weight.unwrap_or(WEIGHT),
    }))
}

/// In which members, with the weight of each. Without `fields`, those that have a weight.
fn fields(m: &wire::SearchRequest) -> Result<Vec<(String, f64)>> {
    let named = weighted("fields", m.fields.as_ref())?;
    let weights = weighted("weights", m.weights.as_ref())?;
    let weight = |name: &str| weights.iter().find(|(known, _)| known == name).and_then(|(_, weight)| *weight);
    let chosen = if named.is_empty() { &weights } else { &named };
    Ok(chosen.iter().map(|(name, own)| (name.clone(), weight(name).or(*own).unwrap_or(1.0))).collect())
}

/// Names with weights, as clients write them: `a:2,b`, `["a:2", "b"]` or `{"a": 2}`.
fn weighted(field: &str, written: Option<&Value>) -> Result<Vec<(String, Option<f64>)>> {
    let unfit = || wrong(field, format!("{field} takes text such as a:2,b, an array of names, or an object"));
    match written {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => listed(text).iter().map(|part| one(part).ok_or_else(unfit)).collect(),
        Some(Value::Array(parts)) => {
            parts.iter().map(|part| part.as_str().and_then(one).ok_or_else(unfit)).collect()
        }
        Some(Value::Object(members)) => members
            .iter()
            .map(|(name, weight)| Ok((name.clone(), Some(weight.as_f64().ok_or_else(unfit)?))))
            .collect(),
        Some(_) => Err(unfit()),
    }
}

fn one(part: &str) -> Option<(String, Option<f64>)> {
    match part.rsplit_once(':') {
        Some((name, weight)) => {
            let weight = weight.trim().parse::<f64>().ok().filter(|weight| weight.is_finite())?;
            Some((name.trim().to_owned(), Some(weight)))
        }
        None => Some((part.trim().to_owned(), None)),
    }
}
