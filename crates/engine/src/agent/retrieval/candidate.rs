//! Passages that came one way or the other, and how well they fit.

use std::collections::HashMap;

use serde_json::Value;

use super::parts::{self, PARTS};
use super::passage::{EMBEDDING, Passage};
use super::words::Terms;
use super::{Breadth, WORDS};
use crate::id::RecordId;
use crate::query::{Body, Hit};

/// A passage with what is known of how well it fits.
pub(super) struct Candidate {
    passage: Passage,
    /// How well its words fit beside the best of its collection, 0 to 1.
    words: f64,
    nearness: Option<Nearness>,
}

/// How near a passage is to the question, as cosines.
#[derive(Clone, Copy)]
struct Nearness {
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
) -> Vec<Candidate> {
    let best = by_words.iter().map(|hit| hit.score).fold(f64::EPSILON, f64::max);
    let mut joined: HashMap<RecordId, Candidate> = HashMap::new();
    let words = by_words.into_iter().map(|hit| (hit.score / best, hit));
    for (words, hit) in words.chain(by_nearness.into_iter().map(|hit| (0.0, hit))) {
        if !joined.contains_key(&hit.record.id) {
            let id = hit.record.id.clone();
            joined.extend(Candidate::new(collection, hit, words, question).map(|candidate| (id, candidate)));
        }
    }
    joined.into_values().collect()
}

/// The passages with their scores, 0 to 1, best first. One without a vector stands as high among the others as its words
/// do.
pub(super) fn scored(candidates: Vec<Candidate>) -> Vec<Passage> {
    let near = candidates.iter().filter_map(Candidate::by_nearness).fold(f64::NAN, f64::max);
    let best = if near.is_nan() { 1.0 } else { near };
    let mut passages: Vec<Passage> = candidates
        .into_iter()
        .map(|candidate| {
            let score = candidate.by_nearness().unwrap_or(candidate.words * best);
            Passage { score: score.clamp(0.0, 1.0), ..candidate.passage }
        })
        .collect();
    passages.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.record.0.cmp(&b.record.0)));
    passages
}

impl Candidate {
    fn new(collection: &str, hit: Hit, words: f64, question: Option<&[f32]>) -> Option<Self> {
        let nearness = question.and_then(|question| Nearness::of(&hit.record.body, question));
        Passage::read(collection, hit.record).map(|passage| Self { passage, words, nearness })
    }

    pub(super) fn fits(&self, terms: &Terms, breadth: Breadth) -> bool {
        let near = self.nearness.map(|Nearness { whole, sentence }| whole.max(sentence));
        near.is_some_and(|near| near >= breadth.nearness())
            || terms.coverage(&self.passage.everything(), breadth.edits().into()) >= breadth.coverage()
    }

    fn by_nearness(&self) -> Option<f64> {
        self.nearness
            .map(|Nearness { whole, sentence }| (whole + sentence + WORDS * self.words) / (2.0 + WORDS))
    }
}

impl Nearness {
    fn of(body: &Body, question: &[f32]) -> Option<Self> {
        let whole = cosine(body.get(EMBEDDING)?, question)?;
        let sentence = body.get(PARTS).and_then(|parts| parts::nearest(parts, question));
        Some(Self { whole, sentence: sentence.unwrap_or(whole) })
    }
}

fn cosine(vector: &Value, question: &[f32]) -> Option<f64> {
    let vector = vector.as_array().filter(|vector| vector.len() == question.len())?;
    let (mut dot, mut own, mut asked) = (0.0, 0.0, 0.0);
    for (number, other) in vector.iter().zip(question) {
        let (number, other) = (number.as_f64()?, f64::from(*other));
        (dot, own, asked) = (dot + number * other, own + number * number, asked + other * other);
    }
    let lengths = own.sqrt() * asked.sqrt();
    (lengths > 0.0).then(|| dot / lengths)
}
