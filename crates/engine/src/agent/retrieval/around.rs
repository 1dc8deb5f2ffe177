//! What stands around a passage: the ones before and after it in its section.
//!
//! Short passages are found better, and longer ones say more. So the best ones are shown together with their
//! neighbours, and a passage that is shown so is not shown again by itself.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::passage::{Passage, TEXT};
use crate::agent::Records;
use crate::error::Result;
use crate::id::RecordId;
use crate::identity::Identity;
use crate::query::{Filter, Operator, Projection, Query};

/// So many of the best passages get their neighbours.
const GROWN: usize = 10;
/// A passage is not longer with them, in bytes.
const MOST: usize = 2_400;

/// The passages, best first, with what stands around them.
pub(super) async fn grown(
    records: &dyn Records,
    identity: &Identity,
    passages: Vec<Passage>,
) -> Result<Vec<Passage>> {
    let around = around(records, identity, &passages[..passages.len().min(GROWN)]).await?;
    let mut shown: HashSet<(String, RecordId)> = HashSet::new();
    let mut grown = Vec::with_capacity(passages.len());
    for mut passage in passages {
        if !shown.insert(key(&passage, &passage.record)) {
            continue;
        }
        for (id, is_before) in neighbours(&passage) {
            let key = key(&passage, &id);
            let Some(neighbour) = around.get(&key) else { continue };
            let fits = neighbour.document == passage.document
                && neighbour.section == passage.section
                && passage.text.len() + neighbour.text.len() < MOST;
            if fits && shown.insert(key) {
                passage.text = match is_before {
                    true => format!("{}\n{}", neighbour.text, passage.text),
                    false => format!("{}\n{}", passage.text, neighbour.text),
                };
            }
        }
        grown.push(passage);
    }
    Ok(grown)
}

fn key(passage: &Passage, id: &RecordId) -> (String, RecordId) {
    (passage.collection.clone(), id.clone())
}

/// The neighbours of these passages, as far as they are there.
async fn around(
    records: &dyn Records,
    identity: &Identity,
    passages: &[Passage],
) -> Result<HashMap<(String, RecordId), Passage>> {
    let mut wanted: HashMap<&str, HashSet<String>> = HashMap::new();
    for passage in passages.iter().filter(|passage| passage.section.is_some()) {
        let ids = neighbours(passage).map(|(id, _)| id.0);
        wanted.entry(&passage.collection).or_default().extend(ids);
    }
    let mut found = HashMap::new();
    for (collection, ids) in wanted {
        let filter = Filter::Compare { field: "id".into(), operator: Operator::In, value: json!(ids) };
        let members = [TEXT, "section", "document"].map(str::to_owned).to_vec();
        let query = Query { projection: Projection::Only(members), ..Query::all(collection, ids.len()) };
        let records = records.query(identity, query.filter(filter)).await?;
        let passages = records.into_iter().filter_map(|record| Passage::read(collection, record));
        found.extend(passages.map(|passage| (key(&passage, &passage.record), passage)));
    }
    Ok(found)
}

/// The ids of the passages before and after this one, and whether it is the one before.
fn neighbours(passage: &Passage) -> impl Iterator<Item = (RecordId, bool)> + use<> {
    let place = passage.record.0.rsplit_once('-');
    let place = place.and_then(|(document, place)| Some((document.to_owned(), place.parse::<usize>().ok()?)));
    place.into_iter().flat_map(|(document, place)| {
        let id = move |place: usize| RecordId(format!("{document}-{place:05}"));
        let before = place.checked_sub(1).map(|place| (id(place), true));
        before.into_iter().chain([(id(place + 1), false)])
    })
}
