//! Passages that came one way or the other, and how well they fit.

use std::collections::HashMap;
use std::sync::Arc;

use super::hubs::{self, Sample};
use super::parts::{self, PARTS};
use super::passage::{EMBEDDING, Passage};
use super::words::Terms;
use super::{Breadth, HUBS, SENTENCE, WORDS};
use crate::id::RecordId;
use crate::query::{Body, Hit};

/// What nearness, the nearest sentence and the words count together.
const ALL: f64 = 1.0 + SENTENCE + WORDS;

/// A passage with what is known of how well it fits.
pub(super) struct Candidate {
    passage: Passage,
    /// How well its words fit beside the best of its collection, 0 to 1.
    words: f64,
    /// Which share of the question's words it has; known if it came by words.
    covered: f64,
    nearness: Option<Nearness>,
    /// Of its collection.
    sample: Option<Arc<Sample>>,
}

/// How near a passage is to the question, as cosines.
struct Nearness {
    /// What it means, of length 1.
    vector: Vec<f32>,
    whole: f64,
    /// The nearest of its sentences; the whole where there is but one.
    sentence: f64,
}

/// What was found in a collection, each passage once.
pub(super) fn joined(
    collection: &str,
    by_words: Vec<Hit>,
    by_nearness: Vec<Hit>,
    question: Option<&[f32]>,
    sample: Option<&Arc<Sample>>,
) -> Vec<Candidate> {
    let best = by_words.iter().map(|hit| hit.score).fold(f64::EPSILON, f64::max);
    let mut joined: HashMap<RecordId, Candidate> = HashMap::new();
    let words = by_words.into_iter().map(|hit| (hit.score / best, hit));
    for (words, hit) in words.chain(by_nearness.into_iter().map(|hit| (0.0, hit))) {
        if !joined.contains_key(&hit.record.id) {
            let id = hit.record.id.clone();
            let candidate = Candidate::new(collection, hit, words, question);
            joined.extend(candidate.map(|one| (id, Candidate { sample: sample.cloned(), ..one })));
        }
    }
    joined.into_values().collect()
}

/// The best `most` passages with their scores, 0 to 1, best first. One without a vector stands as high among the others as
/// its words do.
pub(super) fn scored(mut candidates: Vec<Candidate>, most: usize) -> Vec<Passage> {
    let near = candidates.iter().filter_map(Candidate::by_nearness).fold(f64::NAN, f64::max);
    let best = if near.is_nan() { 1.0 } else { near };
    for candidate in &mut candidates {
        candidate.passage.score = candidate.by_nearness().unwrap_or(candidate.words * best);
    }
    best_first(&mut candidates);
    candidates.truncate(most);
    take_hubs_down(&mut candidates);
    best_first(&mut candidates);
    let clamped = |passage: Passage| Passage { score: passage.score.clamp(0.0, 1.0), ..passage };
    candidates.into_iter().map(|candidate| clamped(candidate.passage)).collect()
}

fn best_first(candidates: &mut [Candidate]) {
    candidates.sort_by(|Candidate { passage: a, .. }, Candidate { passage: b, .. }| {
        b.score.total_cmp(&a.score).then_with(|| a.record.0.cmp(&b.record.0))
    });
}

/// What is nearer to everything than the others are loses by it, what is less near gains.
fn take_hubs_down(candidates: &mut [Candidate]) {
    let near: Vec<Option<f64>> = candidates.iter().map(Candidate::to_everything).collect();
    let count = near.iter().flatten().count().max(1) as f64;
    let mean = near.iter().flatten().sum::<f64>() / count;
    for (candidate, near) in candidates.iter_mut().zip(near) {
        candidate.passage.score -= HUBS * (near.unwrap_or(mean) - mean) / ALL;
    }
}

impl Candidate {
    fn new(collection: &str, hit: Hit, words: f64, question: Option<&[f32]>) -> Option<Self> {
        let nearness = question.and_then(|question| Nearness::of(&hit.record.body, question));
        Passage::read(collection, hit.record).map(|passage| Self {
            passage,
            words,
            covered: 0.0,
            nearness,
            sample: None,
        })
    }

    /// Whether it fits at all; finds out how much of the question it covers, where that counts.
    pub(super) fn fits(&mut self, terms: &Terms, breadth: Breadth) -> bool {
        let near = self.nearness.as_ref().map(|near| near.whole.max(near.sentence));
        let is_near = near.is_some_and(|near| near >= breadth.nearness());
        if is_near && self.words == 0.0 {
            return true;
        }
        self.covered = terms.coverage(&self.passage.everything(), breadth.edits().into());
        is_near || self.covered >= breadth.coverage()
    }

    /// By nearness and words; words count as much as they cover of the question, because one rare word alone says little.
    fn by_nearness(&self) -> Option<f64> {
        let words = WORDS * self.words * self.covered;
        self.nearness.as_ref().map(|near| (near.whole + SENTENCE * near.sentence + words) / ALL)
    }

    /// How near it is to what else its collection has.
    fn to_everything(&self) -> Option<f64> {
        self.sample.as_ref()?.nearness(&self.passage, &self.nearness.as_ref()?.vector)
    }
}

impl Nearness {
    fn of(body: &Body, question: &[f32]) -> Option<Self> {
        let vector = hubs::unit(body.get(EMBEDDING)?).filter(|vector| vector.len() == question.len())?;
        let length = hubs::dot(question, question).sqrt();
        let whole = (length > 0.0).then(|| f64::from(hubs::dot(&vector, question) / length))?;
        let sentence = body.get(PARTS).and_then(|parts| parts::nearest(parts, question));
        Some(Self { sentence: sentence.unwrap_or(whole), vector, whole })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::passage::TEXT;
    use super::*;
    use crate::id::{Offset, Timestamp};
    use crate::query::Record;

    fn hit(id: &str, text: &str, score: f64) -> Hit {
        let body = json!({TEXT: text, EMBEDDING: [1.0, 0.0]}).as_object().unwrap().clone();
        let at = Timestamp(0);
        let record = Record {
            id: RecordId(id.into()),
            body,
            version: Offset(1),
            created_at: at,
            updated_at: at,
            expires_at: None,
        };
        Hit { record, score, matched_fields: Vec::new() }
    }

    #[test]
    fn one_rare_word_counts_less_than_most_of_the_question() {
        let hits = vec![
            hit("rare", "A xylophone has bars.", 9.0),
            hit("most", "The idle socket closes after a minute.", 7.0),
        ];
        let terms = Terms::of("Which xylophone closes an idle socket after a minute?");
        let mut found = joined("documents", hits, Vec::new(), Some(&[1.0, 0.0]), None);
        found.retain_mut(|candidate| candidate.fits(&terms, Breadth::Narrow));
        let ids: Vec<String> = scored(found, 2).into_iter().map(|passage| passage.record.0).collect();
        assert_eq!(ids, ["most", "rare"]);
    }
}
