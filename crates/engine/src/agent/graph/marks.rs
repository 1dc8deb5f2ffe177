//! Marks of an answer that name no source are taken out while it is said.
//!
//! What may become a mark is held back until it is one or is none, with the spaces before it: a few characters. What
//! stands between backticks is code, and what is followed by a bracket is a link.

use crate::agent::retrieval::unknown_citations;

/// The longest text that is held back: a bracket, digits, a bracket, and what comes after it.
const LONGEST: usize = 24;

/// Takes out of a growing text the marks that name none of its sources.
#[derive(Debug, Default)]
pub(in crate::agent) struct Marks {
    sources: usize,
    held: String,
    is_code: bool,
    /// How many were taken out.
    pub(in crate::agent) removed: usize,
}

impl Marks {
    /// For an answer with so many sources.
    pub(in crate::agent) fn new(sources: usize) -> Self {
        Self { sources, ..Self::default() }
    }

    /// What can be said after more was written.
    pub(in crate::agent) fn take(&mut self, delta: &str) -> String {
        if self.held.is_empty() && !delta.contains(['[', '`']) && !delta.ends_with(' ') {
            return delta.to_owned();
        }
        self.held.push_str(delta);
        let undecided = self.undecided();
        let rest = self.held.split_off(undecided);
        let ready = std::mem::replace(&mut self.held, rest);
        self.clean(&ready)
    }

    /// What was held back at the end.
    pub(in crate::agent) fn rest(&mut self) -> String {
        let ready = std::mem::take(&mut self.held);
        self.clean(&ready)
    }

    /// Where the held text begins that may still become a mark.
    fn undecided(&self) -> usize {
        let may_be_mark = |at: &usize| {
            let begun = &self.held[at + 1..];
            let after =
                begun.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ',' | ';' | ' '));
            begun.len() < LONGEST && (after.is_empty() || after == "]")
        };
        let decided = self.held.rfind('[').filter(may_be_mark).unwrap_or(self.held.len());
        self.held[..decided].trim_end_matches(' ').len()
    }

    /// The text without its unknown marks, and without the space before one that goes.
    fn clean(&mut self, text: &str) -> String {
        // A backtick that was said before makes the beginning code.
        let opened = if self.is_code { "`" } else { "" };
        let whole = format!("{opened}{text}");
        let mut clean = String::with_capacity(text.len());
        let mut from = opened.len();
        for (mark, stays) in unknown_citations(&whole, self.sources) {
            let before = &whole[from..mark.at.start];
            clean.push_str(if stays.is_empty() { before.trim_end_matches(' ') } else { before });
            clean.push_str(&stays);
            from = mark.at.end;
            self.removed += 1;
        }
        clean.push_str(&whole[from..]);
        self.is_code ^= text.matches('`').count() % 2 == 1;
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an answer that comes in pieces of `size` characters.
    fn said(answer: &str, sources: usize, size: usize) -> String {
        let mut marks = Marks::new(sources);
        let letters: Vec<char> = answer.chars().collect();
        let mut said = String::new();
        for piece in letters.chunks(size) {
            said.push_str(&marks.take(&piece.iter().collect::<String>()));
        }
        said + &marks.rest()
    }

    #[test]
    fn marks_without_a_source_are_not_said_in_whatever_pieces_they_come() {
        let answer =
            "Tea [1] is green[7] or black [2][12]; see `list[7]`, [9](https://example.com), [x] and [4";
        let clean = "Tea [1] is green or black [2]; see `list[7]`, [9](https://example.com), [x] and [4";
        for size in 1..=answer.chars().count() {
            assert_eq!(said(answer, 2, size), clean, "in pieces of {size}");
        }
        let several = "Tea [1, 9] or coffee [7; 2, 8], from [10, 20] cups; see `list[1, 9]` and [1, 2]";
        let clean = "Tea [1] or coffee [2], from [10, 20] cups; see `list[1, 9]` and [1, 2]";
        for size in 1..=several.chars().count() {
            assert_eq!(said(several, 2, size), clean, "in pieces of {size}");
        }
        assert_eq!(said("No sources [1] at all [2].", 0, 3), "No sources at all.");
    }

    #[test]
    fn what_is_said_is_not_held_back_long() {
        let mut marks = Marks::new(1);
        assert_eq!(marks.take("plain"), "plain");
        assert_eq!(marks.take(" text ["), " text");
        assert_eq!(marks.take("not a mark"), " [not a mark");
        assert_eq!(marks.take("[123456789012345678901234567890"), "[123456789012345678901234567890");
        assert_eq!((marks.take(" and "), marks.rest()), (" and".into(), " ".into()));
    }
}
