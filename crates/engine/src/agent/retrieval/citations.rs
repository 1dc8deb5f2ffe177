//! Citations: the marks `[1]`, `[2]` of an answer, and the sources that they name.

use std::ops::Range;

/// No mark is longer, in bytes.
const LONGEST: usize = 64;

/// A mark of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// Which sources it names, from 1; numbers beyond any source are as large as a number can be.
    pub numbers: Vec<usize>,
    /// Where it stands in the answer, in bytes, brackets included.
    pub at: Range<usize>,
}

impl Citation {
    /// What stays of it where there are the sources `1..=sources`; `None` if it stays as it is.
    ///
    /// A single number that names no source goes. Of several those stay that name one; where none does, it is an interval
    /// or the like and no mark, and so it is with a 0 in it.
    pub fn mended(&self, sources: usize) -> Option<String> {
        let known = |number: &&usize| (1..=sources).contains(*number);
        let kept: Vec<String> = self.numbers.iter().filter(known).map(usize::to_string).collect();
        match (&self.numbers[..], kept.len()) {
            ([_], 0) => Some(String::new()),
            (numbers, count) if count == 0 || count == numbers.len() || numbers.contains(&0) => None,
            _ => Some(format!("[{}]", kept.join(", "))),
        }
    }
}

/// The marks of an answer that name what none of its sources `1..=sources` is, and what stays of each. What stands between
/// backticks is code and no mark.
pub fn unknown_citations(answer: &str, sources: usize) -> Vec<(Citation, String)> {
    let mend = |citation: Citation| citation.mended(sources).map(|stays| (citation, stays));
    citations(answer).into_iter().filter_map(mend).collect()
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

/// The mark that begins here, if there is one: `[1]`, or `[1, 2]`. `[1](address)` is a link.
fn mark(answer: &str, at: usize) -> Option<Citation> {
    let rest = &answer[at + 1..];
    let (named, _) = rest[..rest.floor_char_boundary(LONGEST)].split_once(']')?;
    if rest[named.len() + 1..].starts_with('(') {
        return None;
    }
    let numbers = named.split([',', ';']).map(|part| number(part.trim())).collect::<Option<_>>()?;
    Some(Citation { numbers, at: at..at + named.len() + 2 })
}

fn number(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_without_a_source_are_found() {
        let answer = "It is so [1], and [3] says it too.[0][99999999999999999999999]";
        let unknown = unknown_citations(answer, 2);
        let marks: Vec<&str> = unknown.iter().map(|(citation, _)| &answer[citation.at.clone()]).collect();
        assert_eq!(marks, ["[3]", "[0]", "[99999999999999999999999]"]);
        assert_eq!(unknown_citations(answer, 0).len(), 4);
    }

    #[test]
    fn code_links_and_words_are_no_marks() {
        let answer = "`list[7]`, [8](https://example.com), [note], [], [9";
        assert_eq!(unknown_citations(answer, 0), []);
    }

    #[test]
    fn of_several_numbers_those_stay_that_name_a_source() {
        let stays = |answer: &str| {
            let found = unknown_citations(answer, 3);
            found.into_iter().map(|(_, stays)| stays).collect::<Vec<_>>()
        };
        assert_eq!(stays("So it is [1, 9], [8;2] and [ 3 ,4, 1 ]."), ["[1]", "[2]", "[3, 1]"]);
        assert_eq!(stays("All there are [1, 2][3], [3; 1]."), [""; 0]);
        assert_eq!(stays("From [10, 20] to [0, 1], as [1,], [,] or [1, x] say."), [""; 0]);
    }
}
