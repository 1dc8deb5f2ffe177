//! Answering without a model: the sentences that say most of what was asked.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::passage::Passage;
use super::words::{Terms, likeness, stems};

/// So many sentences are quoted.
const MOST: usize = 3;
/// A sentence that is longer is cut, in bytes.
const LONGEST: usize = 400;
/// Sentences that are so alike say the same.
const SAME: f64 = 0.6;
/// How much a passage's own score counts beside its sentence.
const PASSAGE: f64 = 0.5;

/// A sentence of a passage.
struct Sentence {
    /// Of which passage, from 0.
    passage: usize,
    /// Where in its text.
    at: Range<usize>,
    set: HashSet<String>,
    score: f64,
}

/// The answer that the passages give by themselves: the sentences that fit best, each with the mark of its passage
/// (`[1]` is the first). If there is no passage, it says so.
pub fn quote(question: &str, passages: &[Passage]) -> String {
    let best = best(question, passages, MOST);
    if best.is_empty() {
        return String::from("The documents say nothing about this.");
    }
    let lines = best.iter().map(|sentence| {
        let text = &passages[sentence.passage].text[sentence.at.clone()];
        format!("> {} [{}]", shown(text), sentence.passage + 1)
    });
    let lines: Vec<String> = lines.collect();
    format!("This is what the documents say:\n\n{}", lines.join("\n\n"))
}

/// Where the passage answers: ranges of bytes in its text, in order.
pub fn highlights(question: &str, passage: &Passage) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> =
        best(question, std::slice::from_ref(passage), 2).into_iter().map(|sentence| sentence.at).collect();
    found.sort_by_key(|range| range.start);
    found
}

/// On one line, and not too long.
fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= LONGEST {
        return line;
    }
    let cut = super::words::beginning(&line, LONGEST);
    format!("{} …", cut.rsplit_once(' ').map_or(cut, |(whole, _)| whole))
}

/// The best sentences, those of the first passages first.
fn best(question: &str, passages: &[Passage], most: usize) -> Vec<Sentence> {
    let terms = Terms::of(question);
    let mut left: Vec<Sentence> =
        passages.iter().enumerate().flat_map(|(number, passage)| sentences(number, &passage.text)).collect();
    let rarity = rarity(&terms, &left);
    for sentence in &mut left {
        let there = rarity.iter().filter(|(stem, _)| sentence.set.contains(**stem)).map(|(_, weight)| weight);
        sentence.score = there.sum::<f64>() + PASSAGE * passages[sentence.passage].score;
    }
    left.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)));
    let mut best: Vec<Sentence> = Vec::new();
    for sentence in left {
        if best.len() < most && best.iter().all(|other| likeness(&sentence.set, &other.set) < SAME) {
            best.push(sentence);
        }
    }
    best.sort_by_key(|sentence| (sentence.passage, sentence.at.start));
    best
}

/// How telling each of the question's stems is among these sentences; together 1.
fn rarity<'a>(terms: &'a Terms, sentences: &[Sentence]) -> HashMap<&'a str, f64> {
    let all = sentences.len() as f64;
    let weight = |stem: &str| {
        let having = sentences.iter().filter(|sentence| sentence.set.contains(stem)).count() as f64;
        (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
    };
    let weights: Vec<(&str, f64)> = terms.stems().iter().map(|stem| (stem.as_str(), weight(stem))).collect();
    let sum = weights.iter().map(|(_, weight)| weight).sum::<f64>().max(f64::EPSILON);
    weights.into_iter().map(|(stem, weight)| (stem, weight / sum)).collect()
}

fn sentences(passage: usize, text: &str) -> Vec<Sentence> {
    let whole = ranges(text).into_iter().map(|at| {
        let set = stems(&text[at.clone()]).collect();
        Sentence { passage, at, set, score: 0.0 }
    });
    whole.filter(|sentence| sentence.set.len() > 1).collect()
}

/// A text's sentences: lines, cut behind `.`, `!` and `?` that a blank follows.
fn ranges(text: &str) -> Vec<Range<usize>> {
    let (mut ranges, mut begin) = (Vec::new(), 0);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let is_end = c == '\n' || (c == ' ' && matches!(before, '.' | '!' | '?'));
        if is_end {
            ranges.extend(trimmed(text, begin..at));
            begin = at + 1;
        }
        before = c;
    }
    ranges.extend(trimmed(text, begin..text.len()));
    ranges
}

/// The range without blanks at its ends, if anything is left.
fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    let end = start + part.trim().len();
    (start < end).then_some(start..end)
}
