//! Words: how texts are cut into them, and which words of an index are meant by one that was typed.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word of an index that is meant, and how surely: 1 is the word itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alternative {
    pub(super) term: String,
    pub(super) weight: f64,
    /// Whether longer words that begin with it are meant too.
    pub(super) is_prefix: bool,
}

/// The words of a text as FTS5's `unicode61` sees them, folded to lower case without diacritics, beside the text
/// that they were.
pub(super) fn words(text: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| (fold(word), word))
}

/// A word in lower case without diacritics.
pub(super) fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Cow::Borrowed(word);
    }
    let bare = word.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    Cow::Owned(bare.collect())
}

/// How many edits are allowed for a word: short ones would otherwise mean nearly everything.
pub(super) fn edits_allowed(word: &str, wanted: u8) -> usize {
    let by_length = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 5,
    };
    usize::from(wanted).min(by_length)
}

/// How many edits (insert, delete, replace, swap of neighbours) lie between two words, if not more than `most`.
pub(super) fn edits(one: &str, other: &str, most: usize) -> Option<usize> {
    let (long, short) = (one.chars().count(), other.chars().count());
    if long.abs_diff(short) > most {
        return None;
    }
    Some(strsim::osa_distance(one, other)).filter(|edits| *edits <= most)
}

/// The stems of a language's words.
pub(super) struct Stems(Stemmer);

impl Stems {
    /// By the language's English name in lower case; `None` for one that is not known.
    pub(super) fn of(language: &str) -> Option<Self> {
        let algorithm =
            LANGUAGES.iter().find(|(name, _)| *name == language).map(|(_, algorithm)| *algorithm)?;
        Some(Self(Stemmer::create(algorithm)))
    }

    /// A folded word's stem.
    pub(super) fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        self.0.stem(word)
    }
}

const LANGUAGES: &[(&str, Algorithm)] = &[
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_folded() {
        let folded: Vec<_> =
            words("Über-Größe, e\u{301}tude 3.5!").map(|(word, _)| word.into_owned()).collect();
        assert_eq!(folded, ["uber", "große", "etude", "3", "5"]);
        assert_eq!(words("A b").map(|(_, as_typed)| as_typed).collect::<Vec<_>>(), ["A", "b"]);
        assert_eq!(words(" -- ").count(), 0);
    }

    #[test]
    fn edits_are_counted_up_to_a_bound() {
        assert_eq!(edits("progamming", "programming", 2), Some(1));
        assert_eq!(edits("form", "from", 1), Some(1), "a swap is one");
        assert_eq!(edits("tea", "coffee", 2), None);
        assert_eq!(
            (edits_allowed("ab", 5), edits_allowed("table", 2), edits_allowed("database", 2)),
            (0, 1, 2)
        );
    }

    #[test]
    fn stems_join_a_words_forms() {
        let english = Stems::of("english").unwrap();
        assert_eq!(english.stem("databases"), english.stem("database"));
        assert!(Stems::of("klingon").is_none());
    }
}
