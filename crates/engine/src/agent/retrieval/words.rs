//! Words: what a question is about, and how much of it stands in a text.

use std::borrow::Cow;
use std::collections::HashSet;

use rust_stemmers::{Algorithm, Stemmer};

/// So many words of a question count.
const MAX_TERMS: usize = 24;

/// Words that say how something is asked, not what about. Sorted.
const COMMON: &[&str] = &[
    "a",
    "about",
    "again",
    "all",
    "also",
    "am",
    "an",
    "and",
    "any",
    "anybody",
    "anyone",
    "anything",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "but",
    "by",
    "can",
    "cannot",
    "could",
    "d",
    "did",
    "do",
    "does",
    "doing",
    "don",
    "done",
    "each",
    "else",
    "for",
    "from",
    "get",
    "gets",
    "give",
    "given",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "here",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "itself",
    "just",
    "know",
    "like",
    "ll",
    "m",
    "make",
    "many",
    "may",
    "me",
    "might",
    "mine",
    "much",
    "must",
    "my",
    "need",
    "no",
    "not",
    "of",
    "off",
    "on",
    "one",
    "only",
    "or",
    "other",
    "our",
    "out",
    "own",
    "please",
    "put",
    "re",
    "s",
    "same",
    "see",
    "shall",
    "she",
    "should",
    "show",
    "so",
    "some",
    "somebody",
    "someone",
    "something",
    "such",
    "t",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "this",
    "those",
    "to",
    "too",
    "up",
    "use",
    "ve",
    "very",
    "want",
    "was",
    "way",
    "we",
    "were",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "yes",
    "you",
    "your",
];

/// The telling words of a question, and their stems.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    words: Vec<String>,
    stems: Vec<String>,
    /// With what they begin.
    initials: Vec<char>,
}

impl Terms {
    /// Those of a question. If it has nothing but common words, these.
    pub(super) fn of(question: &str) -> Self {
        let all: Vec<String> = words(question).map(fold).map(Cow::into_owned).collect();
        let telling = all.iter().filter(|word| COMMON.binary_search(&word.as_str()).is_err());
        let mut list: Vec<String> = telling.cloned().collect();
        if list.is_empty() {
            list = all;
        }
        let mut seen = HashSet::new();
        list.retain(|word| seen.insert(word.clone()));
        list.truncate(MAX_TERMS);
        let stemmer = Stemmer::create(Algorithm::English);
        let stems: Vec<String> = list.iter().map(|word| stemmer.stem(word).into_owned()).collect();
        let initials = stems.iter().filter_map(|stem| initial(stem)).collect();
        Self { words: list, stems, initials }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, for a search by words.
    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }

    /// Their stems, each once and in order.
    pub(super) fn stems(&self) -> &[String] {
        &self.stems
    }

    /// Which share of them stands in a text, 0 to 1. So many edits are forgiven a long word, half as many a short one.
    pub(super) fn coverage(&self, text: &str, edits: usize) -> f64 {
        let hits = if edits == 0 { self.as_they_are(text) } else { self.nearly(text, edits) };
        hits as f64 / self.stems.len().max(1) as f64
    }

    /// How many of them stand in a text. Only those of its words are stemmed that begin as one of the terms does: a word
    /// and its stem begin alike.
    fn as_they_are(&self, text: &str) -> usize {
        let stemmer = Stemmer::create(Algorithm::English);
        let mut is_found = [false; MAX_TERMS];
        for word in
            words(text).filter(|word| initial(word).is_some_and(|first| self.initials.contains(&first)))
        {
            let word = fold(word);
            let stem = stemmer.stem(&word);
            is_found.iter_mut().zip(&self.stems).for_each(|(is_found, own)| *is_found |= *own == stem);
        }
        is_found.into_iter().filter(|is_found| *is_found).count()
    }

    /// How many of them stand in a text, if typing errors are forgiven.
    fn nearly(&self, text: &str, edits: usize) -> usize {
        let there: HashSet<String> = stems(text).collect();
        let is_there =
            |stem: &&String| there.contains(*stem) || there.iter().any(|other| is_near(stem, other, edits));
        self.stems.iter().filter(is_there).count()
    }
}

/// The first letter of a word, folded.
fn initial(word: &str) -> Option<char> {
    word.chars().next().and_then(|first| first.to_lowercase().next())
}

/// Whether so few edits lie between two stems. The shortest ones would be near everything.
fn is_near(one: &str, other: &str, edits: usize) -> bool {
    let most = match one.len() {
        0..=3 => 0,
        4..=6 => edits / 2,
        _ => edits,
    };
    most > 0 && one.len().abs_diff(other.len()) <= most && strsim::osa_distance(one, other) <= most
}

/// A text's words: runs of letters and digits.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(word.to_lowercase())
}

/// The stems of a text's words, in order.
pub(super) fn stems(text: &str) -> impl Iterator<Item = String> + '_ {
    let stemmer = Stemmer::create(Algorithm::English);
    words(text).map(move |word| stemmer.stem(&fold(word)).into_owned())
}

/// At most so many bytes of a text's beginning, cut between characters.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// How alike two sets are: what they share over what they have together, 0 to 1.
pub(super) fn likeness(one: &HashSet<String>, other: &HashSet<String>) -> f64 {
    let shared = one.intersection(other).count();
    shared as f64 / (one.len() + other.len() - shared).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_words_are_sorted() {
        assert!(COMMON.is_sorted());
    }

    #[test]
    fn a_question_is_about_its_telling_words() {
        let terms = Terms::of("How do I get the shell to log me out?");
        assert_eq!(terms.text(), "shell log");
        assert_eq!(Terms::of("What is it?").text(), "what is it");
        assert!(Terms::of("¿?").is_empty());
    }

    #[test]
    fn coverage_is_by_stems() {
        let terms = Terms::of("renaming files");
        assert!((terms.coverage("A file is renamed", 0) - 1.0).abs() < 1e-9);
        assert!((terms.coverage("A file", 0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn coverage_may_forgive_typing_errors() {
        let terms = Terms::of("furnitrue");
        assert!(terms.coverage("old furniture", 0) < 0.1 && terms.coverage("old furniture", 2) > 0.9);
        assert!(Terms::of("cat").coverage("car", 2) < 0.1);
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        assert_eq!(beginning("äöü", 3), "ä");
        assert_eq!(beginning("ab", 3), "ab");
    }
}
