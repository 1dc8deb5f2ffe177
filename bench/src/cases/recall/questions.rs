//! The evaluation set.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use tidewire_engine::agent::retrieval::Passage;

/// A question, and the place that answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// As a person asks.
    pub(super) ask: String,
    /// The document.
    pub(super) document: String,
    /// The heading above the passage.
    pub(super) section: String,
    /// Words of the passage.
    pub(super) answer: String,
    /// Not looked at while retrieval is tuned.
    pub(super) held_out: bool,
}

#[derive(Deserialize)]
struct Set {
    question: Vec<Question>,
}

/// All of them. Those about this repository are held against its documents first.
pub(super) fn read() -> io::Result<Vec<Question>> {
    let text = fs::read_to_string("bench/evaluation/questions.toml")?;
    let Set { question: questions } = toml::from_str(&text).map_err(io::Error::other)?;
    let stale: Vec<&str> = questions
        .iter()
        .filter(|question| question.is_stale())
        .map(|question| question.ask.as_str())
        .collect();
    if stale.is_empty() {
        return Ok(questions);
    }
    Err(io::Error::other(format!(
        "these questions name places that are gone; correct them in bench/evaluation: {stale:?}"
    )))
}

impl Question {
    fn is_stale(&self) -> bool {
        if self.document.ends_with(".pdf") {
            return false;
        }
        let Ok(text) = fs::read_to_string(Path::new(&self.document)) else { return true };
        let heading =
            |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == self.section;
        let below = text.lines().skip_while(|line| !heading(line)).collect::<Vec<_>>().join("\n");
        !plain(&below).contains(&plain(&self.answer))
    }

    /// Whether this is the passage that answers.
    pub(super) fn is_answered_by(&self, passage: &Passage) -> bool {
        let document = passage.document.strip_suffix(&self.document);
        document.is_some_and(|before| before.is_empty() || before.ends_with('/'))
            && passage.heading().is_some_and(|heading| {
                plain(unnumbered(heading)) == plain(&self.section) || plain(heading) == plain(&self.section)
            })
            && plain(&passage.text).contains(&plain(&self.answer))
    }
}

/// A heading without its number.
fn unnumbered(heading: &str) -> &str {
    match heading.split_once(' ') {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit() || b == b'.') => rest,
        _ => heading,
    }
}

/// Letters and signs alone, in lower case, without marks of Markdown.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace('’', "'");
    text.chars().filter(|c| !c.is_whitespace() && *c != '`').collect()
}
