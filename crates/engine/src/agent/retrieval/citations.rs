//! Citations: the marks `[1]`, `[2]` of an answer, and the sources that they name.

use std::ops::Range;

/// A mark of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// Which source it names, from 1; numbers beyond any source are as large as a number can be.
    pub number: usize,
    /// Where it stands in the answer, in bytes, brackets included.
    pub at: Range<usize>,
}

/// The marks of an answer that name none of its sources `1..=sources`. What stands between backticks is code and no mark.
pub fn unknown_citations(answer: &str, sources: usize) -> Vec<Citation> {
    let mut found = citations(answer);
    found.retain(|citation| citation.number == 0 || citation.number > sources);
    found
}

/// All marks, in order.
fn citations(answer: &str) -> Vec<Citation> {
    let (mut found, mut is_code) = (Vec::new(), false);
    for (at, byte) in answer.bytes().enumerate() {
        match byte {
            b'`' => is_code = !is_code,
            b'[' if !is_code => found.extend(mark(answer, at)),
            _ => {}
        }
    }
    found
}

/// The mark that begins here, if there is one. `[1](address)` is a link.
fn mark(answer: &str, at: usize) -> Option<Citation> {
    let rest = &answer[at + 1..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let after = rest[digits..].strip_prefix(']')?;
    if digits == 0 || after.starts_with('(') {
        return None;
    }
    let number = rest[..digits].parse().unwrap_or(usize::MAX);
    Some(Citation { number, at: at..at + digits + 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_without_a_source_are_found() {
        let answer = "It is so [1], and [3] says it too.[0][99999999999999999999999]";
        let unknown = unknown_citations(answer, 2);
        let marks: Vec<&str> = unknown.iter().map(|citation| &answer[citation.at.clone()]).collect();
        assert_eq!(marks, ["[3]", "[0]", "[99999999999999999999999]"]);
        assert_eq!(unknown_citations(answer, 0).len(), 4);
    }

    #[test]
    fn code_links_and_words_are_no_marks() {
        let answer = "`list[7]`, [8](https://example.com), [note], [], [9";
        assert_eq!(unknown_citations(answer, 0), []);
    }
}
