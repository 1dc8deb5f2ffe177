//! Cutting documents into passages: along headings first, then paragraphs, then sentences or lines.

use super::text::{Kind, Text};

/// A passage is closed at the end of a paragraph once it has so many tokens …
const ENOUGH: usize = 120;
/// … and before it would have more than so many. The embedding model reads 256, headings included.
const MOST: usize = 200;
/// What is left of a section and is shorter than this joins the passage before it.
const LEAST: usize = 30;
/// Between headings, outermost first.
pub(super) const BETWEEN: &str = " › ";
/// The longest heading path, in bytes.
const PATH: usize = 300;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    /// Its headings, outermost first.
    pub(crate) section: Option<String>,
    /// The page on which it begins, from 1.
    pub(crate) page: Option<u32>,
    /// What it says.
    pub(crate) text: String,
}

/// The passages of a document, in order.
pub(crate) fn chunks(text: &Text) -> Vec<Chunk> {
    let mut cutter = Cutter::default();
    for block in &text.blocks {
        match block.kind {
            Kind::Heading(level) => cutter.heading(level, &block.text),
            Kind::Prose => cutter.block(sentences(&block.text), " ", block.page),
            Kind::Lines => cutter.block(block.text.lines(), "\n", block.page),
            Kind::Table => cutter.table(&block.text, block.page),
        }
    }
    cutter.end_section();
    cutter.chunks
}

/// About how many tokens the embedding model sees: words count by their length, signs one each.
pub(crate) fn tokens(text: &str) -> usize {
    let of_word = |letters: usize| if letters == 0 { 0 } else { 1 + (letters - 1) / 6 };
    let (mut count, mut letters) = (0, 0);
    for c in text.chars() {
        if c.is_alphanumeric() {
            letters += 1;
            continue;
        }
        count += of_word(letters) + usize::from(!c.is_whitespace());
        letters = 0;
    }
    count + of_word(letters)
}

#[derive(Default)]
struct Cutter {
    chunks: Vec<Chunk>,
    path: Vec<(u8, String)>,
    /// How many chunks there were when the section began.
    begun: usize,
    text: String,
    tokens: usize,
    page: Option<u32>,
}

impl Cutter {
    fn heading(&mut self, level: u8, text: &str) {
        self.end_section();
        while self.path.last().is_some_and(|(outer, _)| *outer >= level) {
            self.path.pop();
        }
        self.path.push((level, super::text::on_one_line(text)));
    }

    fn block<'a>(&mut self, pieces: impl Iterator<Item = &'a str>, between: &str, page: Option<u32>) {
        let mut separator = "\n";
        for piece in pieces {
            for part in parts(piece) {
                self.add(part, separator, page);
                separator = between;
            }
        }
        if self.tokens >= ENOUGH {
            self.flush();
        }
    }

    /// Each passage of a table begins with its head.
    fn table(&mut self, text: &str, page: Option<u32>) {
        let (head, rows) = text.split_once('\n').unwrap_or((text, ""));
        let cost = tokens(head);
        let is_short = cost * 4 < MOST;
        self.add(head, "\n", page);
        for part in rows.lines().flat_map(parts) {
            if self.tokens + tokens(part) > MOST {
                self.flush();
                if is_short {
                    self.add(head, "\n", page);
                }
            }
            self.add(part, "\n", page);
        }
        if self.tokens >= ENOUGH {
            self.flush();
        }
    }

    fn add(&mut self, part: &str, separator: &str, page: Option<u32>) {
        let cost = tokens(part);
        if self.tokens + cost > MOST {
            self.flush();
        }
        if self.text.is_empty() {
            self.page = page;
        } else {
            self.text.push_str(separator);
        }
        self.text.push_str(part);
        self.tokens += cost;
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.tokens = 0;
        if text.chars().any(char::is_alphanumeric) {
            self.chunks.push(Chunk { section: self.section(), page: self.page, text });
        }
    }

    fn end_section(&mut self) {
        let has_before = self.chunks.len() > self.begun;
        if let Some(last) = self.chunks.last_mut().filter(|_| has_before && self.tokens < LEAST) {
            if !self.text.is_empty() {
                last.text.push('\n');
                last.text.push_str(&self.text);
            }
            (self.text, self.tokens) = (String::new(), 0);
        } else {
            self.flush();
        }
        self.begun = self.chunks.len();
    }

    fn section(&self) -> Option<String> {
        let names: Vec<&str> = self.path.iter().map(|(_, name)| name.as_str()).collect();
        let path = names.join(BETWEEN);
        let cut = path.floor_char_boundary(path.len().saturating_sub(PATH));
        // The inner headings say more.
        (!path.is_empty()).then(|| path[cut..].to_owned())
    }
}

/// A text's sentences.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let mut ends = rest.match_indices(['.', '!', '?']).map(|(at, _)| at + 1);
        let end = ends.find(|end| rest[*end..].starts_with([' ', '\n'])).unwrap_or(rest.len());
        let (sentence, left) = rest.split_at(end);
        rest = left;
        Some(sentence)
    })
}

/// A piece, or the parts of one that is too long: cut between words, and within words that are longer than a passage.
fn parts(piece: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut end, mut count) = (Vec::new(), 0, 0, 0);
    if tokens(piece) <= MOST {
        return vec![piece];
    }
    for word in piece.split_inclusive(char::is_whitespace).flat_map(|word| pieces_of(word, MOST)) {
        let cost = tokens(word);
        if count + cost > MOST {
            parts.push(piece[begin..end].trim());
            (begin, count) = (end, 0);
        }
        (end, count) = (end + word.len(), count + cost);
    }
    parts.push(piece[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// A word in pieces of at most so many characters, which have no more tokens than that.
fn pieces_of(word: &str, most: usize) -> Vec<&str> {
    let starts: Vec<usize> = word.char_indices().step_by(most).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([word.len()]);
    starts.iter().zip(ends).map(|(start, end)| &word[*start..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(blocks: &[(Kind, &str)]) -> Text {
        let mut text = Text::default();
        blocks.iter().for_each(|(kind, block)| text.push(*kind, block, None));
        text
    }

    #[test]
    fn sections_are_never_mixed_and_keep_their_path() {
        let text = text(&[
            (Kind::Heading(1), "Guide"),
            (Kind::Prose, "Intro."),
            (Kind::Heading(2), "Keys"),
            (Kind::Prose, "A key opens doors."),
            (Kind::Heading(3), "Lost"),
            (Kind::Prose, "Ask for another."),
            (Kind::Heading(2), "Tokens"),
            (Kind::Prose, "A token names its key."),
        ]);
        let sections: Vec<_> = chunks(&text).into_iter().filter_map(|chunk| chunk.section).collect();
        assert_eq!(sections, ["Guide", "Guide › Keys", "Guide › Keys › Lost", "Guide › Tokens"]);
    }

    #[test]
    fn long_sections_are_cut_between_sentences() {
        let sentence = "The quick brown fox jumps over the lazy dog near the river bank.";
        let long = vec![sentence; 60].join(" ");
        let chunks = chunks(&text(&[(Kind::Heading(1), "Foxes"), (Kind::Prose, &long)]));
        assert!(chunks.len() > 3, "{}", chunks.len());
        for chunk in &chunks {
            assert!(tokens(&chunk.text) <= MOST + LEAST);
            assert!(chunk.text.starts_with("The quick") && chunk.text.ends_with("bank."), "{}", chunk.text);
        }
        let whole: Vec<_> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        assert_eq!(whole.join(" "), long);
    }

    #[test]
    fn a_tables_head_stands_over_each_piece() {
        let rows: Vec<String> =
            (0..80).map(|row| format!("setting_{row} | the default of number {row}")).collect();
        let table = format!("name | meaning\n{}", rows.join("\n"));
        let chunks = chunks(&text(&[(Kind::Table, &table)]));
        assert!(chunks.len() > 3);
        assert!(chunks.iter().all(|chunk| chunk.text.starts_with("name | meaning\n")));
        assert!(rows.iter().all(|row| chunks.iter().any(|chunk| chunk.text.contains(row.as_str()))));
    }

    #[test]
    fn words_without_end_are_cut_too() {
        let endless = "ä".repeat(10_000);
        let chunks = chunks(&text(&[(Kind::Lines, &endless)]));
        assert!(chunks.iter().all(|chunk| tokens(&chunk.text) <= MOST));
        assert_eq!(chunks.iter().map(|chunk| chunk.text.chars().count()).sum::<usize>(), 10_000);
        let signs = "→".repeat(10_000);
        assert!(!super::chunks(&text(&[(Kind::Lines, &format!("a {signs}"))])).is_empty());
    }

    proptest! {
        /// Whatever a document holds, every passage of it says something, and no passage says what it does not.
        #[test]
        fn any_document_becomes_passages(
            source in prop_oneof![
                "(?s)[#*`|<>a-z \\n&;/=\"\\[\\]()!-]{0,200}",
                "(?s).{0,100}",
                "(<(h1|p|table|tr|td|ul|li|pre|script|style|!--)>|</(h1|p|table|td|ul|pre|script)>|[a-z]{1,5} ){0,40}",
            ],
        ) {
            let readers = [super::super::html::read, super::super::markdown::read, super::super::text::read];
            for read in readers {
                for chunk in chunks(&read(&source)) {
                    prop_assert!(!chunk.text.trim().is_empty(), "{source:?}");
                }
            }
        }
    }
}
