//! What stands around a passage: others of its section that fit too, and the ones before and after it.
//!
//! Short passages are found better, and longer ones say more. So passages of one section that fit take one place together,
//! that of the best of them, and the best places are filled up with their neighbours. A passage that is shown so is not
//! shown again by itself.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::passage::{Passage, TEXT};
use crate::agent::Records;
use crate::error::Result;
use crate::id::RecordId;
use crate::identity::Identity;
use crate::query::{Filter, Operator, Projection, Query};

/// So many of the best places are filled up with neighbours.
const GROWN: usize = 10;
/// A place is not longer with them, in bytes.
const MOST: usize = 2_400;
/// Stands where something between two passages is left out.
const LEFT_OUT: &str = "\n…\n";

/// A record in its collection.
type Key = (String, RecordId);

/// What is shown together: the best passage, and others of its section.
struct Place {
    best: Passage,
    pieces: Vec<Piece>,
    bytes: usize,
}

struct Piece {
    record: RecordId,
    text: String,
}

/// The passages, best first, with what stands around them.
pub(super) async fn grown(
    records: &dyn Records,
    identity: &Identity,
    passages: Vec<Passage>,
) -> Result<Vec<Passage>> {
    let mut shown: HashSet<Key> = passages.iter().map(|passage| key(passage, &passage.record)).collect();
    let mut places = joined(passages);
    let first = places.len().min(GROWN);
    let mut around = around(records, identity, &places[..first], &shown).await?;
    for place in &mut places[..first] {
        place.grow(&mut around, &mut shown);
    }
    Ok(places.into_iter().map(Place::shown).collect())
}

fn key(passage: &Passage, id: &RecordId) -> Key {
    (passage.collection.clone(), id.clone())
}

/// Passages of the same section together, in the place of the best of them, as long as that is short.
fn joined(passages: Vec<Passage>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(passages.len());
    let mut latest: HashMap<(String, String, String), usize> = HashMap::new();
    for passage in passages {
        let section = passage.section.clone();
        let section = section.map(|name| (passage.collection.clone(), passage.document.clone(), name));
        let open = section.as_ref().and_then(|section| latest.get(section)).map(|at| &mut places[*at]);
        if let Some(place) = open.filter(|place| place.has_room(&passage.text)) {
            place.add(passage.record, passage.text);
            continue;
        }
        latest.extend(section.map(|section| (section, places.len())));
        places.push(Place::new(passage));
    }
    places
}

impl Place {
    fn new(mut best: Passage) -> Self {
        let text = std::mem::take(&mut best.text);
        let bytes = text.len();
        Self { pieces: vec![Piece { record: best.record.clone(), text }], bytes, best }
    }

    fn has_room(&self, text: &str) -> bool {
        self.bytes + text.len() < MOST
    }

    fn add(&mut self, record: RecordId, text: String) {
        self.bytes += text.len();
        self.pieces.push(Piece { record, text });
    }

    /// The records before and after its pieces, those of the best piece first.
    fn neighbours(&self) -> impl Iterator<Item = Key> + use<'_> {
        let ids = self.pieces.iter().flat_map(|piece| neighbours(&piece.record));
        ids.map(|id| key(&self.best, &id))
    }

    /// Takes in the neighbours for which there is room.
    fn grow(&mut self, around: &mut HashMap<Key, Passage>, shown: &mut HashSet<Key>) {
        for key in self.neighbours().collect::<Vec<_>>() {
            let is_near = |found: &Passage| {
                found.document == self.best.document
                    && found.section == self.best.section
                    && self.has_room(&found.text)
            };
            if around.get(&key).is_some_and(is_near)
                && shown.insert(key.clone())
                && let Some(neighbour) = around.remove(&key)
            {
                self.add(neighbour.record, neighbour.text);
            }
        }
    }

    /// The passage with all its pieces, in the document's order.
    fn shown(mut self) -> Passage {
        self.pieces.sort_by_key(|piece| number(&piece.record));
        let mut before = None;
        for piece in &self.pieces {
            let number = number(&piece.record);
            match before {
                None => {}
                Some(before) if number == before + 1 => self.best.text.push('\n'),
                Some(_) => self.best.text.push_str(LEFT_OUT),
            }
            self.best.text.push_str(&piece.text);
            before = Some(number);
        }
        self.best
    }
}

/// The neighbours of these places, as far as they are there and not shown.
async fn around(
    records: &dyn Records,
    identity: &Identity,
    places: &[Place],
    shown: &HashSet<Key>,
) -> Result<HashMap<Key, Passage>> {
    let mut wanted: HashMap<String, HashSet<String>> = HashMap::new();
    let sections = places.iter().filter(|place| place.best.section.is_some());
    for (collection, id) in sections.flat_map(Place::neighbours).filter(|key| !shown.contains(key)) {
        wanted.entry(collection).or_default().insert(id.0);
    }
    let mut found = HashMap::new();
    for (collection, ids) in wanted {
        let filter = Filter::Compare { field: "id".into(), operator: Operator::In, value: json!(ids) };
        let members = [TEXT, "section", "document"].map(str::to_owned).to_vec();
        let query = Query { projection: Projection::Only(members), ..Query::all(&collection, ids.len()) };
        let records = records.query(identity, query.filter(filter)).await?;
        let passages = records.into_iter().filter_map(|record| Passage::read(&collection, record));
        found.extend(passages.map(|passage| (key(&passage, &passage.record), passage)));
    }
    Ok(found)
}

/// A passage's record names its document and its place in it.
fn place(record: &RecordId) -> Option<(&str, usize)> {
    let (document, place) = record.0.rsplit_once('-')?;
    Some((document, place.parse().ok()?))
}

/// Its place in the document.
fn number(record: &RecordId) -> usize {
    place(record).map_or(0, |(_, place)| place)
}

/// The ids of the passages before and after this one.
fn neighbours(record: &RecordId) -> impl Iterator<Item = RecordId> + use<'_> {
    place(record).into_iter().flat_map(|(document, place)| {
        let places = [place.checked_sub(1), Some(place.saturating_add(1))];
        places.into_iter().flatten().map(move |place| RecordId(format!("{document}-{place:05}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(place: usize, section: Option<&str>, text: &str) -> Passage {
        Passage {
            collection: "documents".into(),
            record: RecordId(format!("a.md-{place:05}")),
            document: "a.md".into(),
            title: "A".into(),
            source: "a.md".into(),
            url: None,
            section: section.map(str::to_owned),
            page: None,
            text: text.into(),
            score: 1.0 - place as f64 / 100.0,
        }
    }

    fn texts(passages: Vec<Passage>) -> Vec<String> {
        joined(passages).into_iter().map(|place| place.shown().text).collect()
    }

    #[test]
    fn passages_of_a_section_take_one_place_in_their_order() {
        let found = vec![
            passage(4, Some("Keys"), "four"),
            passage(9, Some("Doors"), "nine"),
            passage(1, Some("Keys"), "one"),
            passage(3, Some("Keys"), "three"),
        ];
        assert_eq!(texts(found), ["one\n…\nthree\nfour", "nine"]);
    }

    #[test]
    fn a_long_section_takes_several_places_and_none_are_joined_without_one() {
        let long = "x".repeat(MOST / 2);
        let found = [1, 2, 3].map(|place| passage(place, Some("Keys"), &long));
        let lengths: Vec<usize> = texts(found.to_vec()).iter().map(String::len).collect();
        assert_eq!(lengths, [MOST / 2; 3]);
        let found = [1, 2].map(|place| passage(place, None, "short"));
        assert_eq!(texts(found.to_vec()), ["short", "short"]);
    }
}
