//! Ordering passages by what can be read in them, without a reranking model.
//!
//! Each passage is judged by its score in retrieval and, a little, by how much of the question stands in its text and in
//! its headings (rare words count more). Then the best are taken one after the other, each judged down by how much it
//! repeats one that was taken (maximal marginal relevance, Carbonell & Goldstein 1998).

use std::collections::{HashMap, HashSet};

use super::passage::Passage;
use super::words::{Terms, likeness, stems};

/// What each sign counts; together 1.
const RETRIEVED: f64 = 0.9;
const IN_TEXT: f64 = 0.07;
const IN_HEADINGS: f64 = 0.03;
/// How much relevance counts beside novelty.
const RELEVANCE: f64 = 0.95;
/// For each place so many passages are judged, the best of retrieval.
const JUDGED: usize = 4;
/// Passages that are so alike say the same.
const SAME: f64 = 0.9;

/// A passage as it is judged.
struct Judged {
    passage: Passage,
    set: HashSet<String>,
    headings: HashSet<String>,
}

/// The best `most` passages, best first, without those that repeat others. Scores are 0 to 1.
pub fn rerank(question: &str, passages: Vec<Passage>, most: usize) -> Vec<Passage> {
    let terms = Terms::of(question);
    let best = passages.iter().map(|passage| passage.score).fold(0.0, f64::max).max(f64::EPSILON);
    let first = most.saturating_mul(JUDGED);
    let mut judged: Vec<Judged> = passages.into_iter().take(first).map(Judged::new).collect();
    let rarity = rarity(&terms, &judged);
    for candidate in &mut judged {
        candidate.passage.score = candidate.relevance(&rarity, best).clamp(0.0, 1.0);
    }
    let mut chosen = choose(judged, most);
    chosen.sort_by(|a, b| b.score.total_cmp(&a.score));
    chosen
}

/// How telling each of the question's stems is among these passages; together 1.
fn rarity(terms: &Terms, judged: &[Judged]) -> HashMap<String, f64> {
    let all = judged.len() as f64;
    let weight = |stem: &String| {
        let having =
            judged.iter().filter(|one| one.set.contains(stem) || one.headings.contains(stem)).count();
        (1.0 + (all - having as f64 + 0.5) / (having as f64 + 0.5)).ln()
    };
    let weights: HashMap<String, f64> =
        terms.stems().iter().map(|stem| (stem.clone(), weight(stem))).collect();
    let sum = weights.values().sum::<f64>().max(f64::EPSILON);
    weights.into_iter().map(|(stem, weight)| (stem, weight / sum)).collect()
}

impl Judged {
    fn new(passage: Passage) -> Self {
        let set = stems(&passage.text).collect();
        let headings = stems(&passage.title).chain(stems(passage.section.as_deref().unwrap_or_default()));
        Self { headings: headings.collect(), set, passage }
    }

    fn relevance(&self, rarity: &HashMap<String, f64>, best: f64) -> f64 {
        let share = |set: &HashSet<String>| -> f64 {
            rarity.iter().filter(|(stem, _)| set.contains(*stem)).map(|(_, weight)| weight).sum()
        };
        RETRIEVED * self.passage.score / best
            + IN_TEXT * share(&self.set)
            + IN_HEADINGS * share(&self.headings)
    }
}

/// Takes the best one after the other, and what says the same as one that was taken away.
fn choose(mut left: Vec<Judged>, most: usize) -> Vec<Passage> {
    let mut chosen: Vec<Judged> = Vec::with_capacity(most.min(left.len()));
    while chosen.len() < most && !left.is_empty() {
        let repeats =
            |one: &Judged| chosen.iter().map(|other| likeness(&one.set, &other.set)).fold(0.0, f64::max);
        let worth = |one: &Judged| RELEVANCE.mul_add(one.passage.score, -(1.0 - RELEVANCE) * repeats(one));
        let worths: Vec<f64> = left.iter().map(worth).collect();
        let best =
            (0..left.len()).fold(0, |best, place| if worths[place] > worths[best] { place } else { best });
        let taken = left.remove(best);
        left.retain(|one| likeness(&one.set, &taken.set) < SAME);
        chosen.push(taken);
    }
    chosen.into_iter().map(|one| one.passage).collect()
}
