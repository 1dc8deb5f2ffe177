//! What all kinds of documents are read into: headings and what stands under them. Plain text is read here too.

use std::mem;

/// A document as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Text {
    /// Its own title, if it says one.
    pub(crate) title: Option<String>,
    /// What it says, in order.
    pub(crate) blocks: Vec<Block>,
    /// What was left out of it, for a person.
    pub(crate) notes: Vec<String>,
}

/// A piece of a document that belongs together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its text.
    pub(crate) text: String,
    /// The page on which it begins, from 1.
    pub(crate) page: Option<u32>,
}

/// What a block is, and so where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A heading; 1 is the outermost.
    Heading(u8),
    /// Sentences.
    Prose,
    /// Lines that stand for themselves: lists, code, rows.
    Lines,
    /// The same under a head, which is the first line.
    Table,
}

impl Text {
    /// Appends a block, if it says anything.
    pub(crate) fn push(&mut self, kind: Kind, text: &str, page: Option<u32>) {
        let text = text.trim_matches(['\n', '\r', ' ', '\t']);
        if text.is_empty() {
            return;
        }
        if matches!(kind, Kind::Heading(_)) && self.title.is_none() {
            self.title = Some(text.to_owned());
        }
        self.blocks.push(Block { kind, text: text.to_owned(), page });
    }

    /// Whether there is anything to find in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.iter().all(|block| !block.text.chars().any(char::is_alphanumeric))
    }
}

/// Blanks of any kind become one space.
pub(crate) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads plain text: paragraphs between empty lines, and headings that are underlined.
pub(crate) fn read(source: &str) -> Text {
    let mut reader = Plain::default();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        let mark = lines.peek().and_then(|next| underline(line, next));
        match mark {
            Some(mark) if reader.paragraph.is_empty() => {
                lines.next();
                reader.heading(line, mark);
            }
            _ if line.trim().is_empty() => reader.flush(),
            _ => reader.paragraph.push(line),
        }
    }
    reader.flush();
    reader.text
}

/// The sign with which `next` underlines a line, if it does.
fn underline(line: &str, next: &str) -> Option<char> {
    let sign = next.chars().next().filter(|sign| "=-~^\"'*#+".contains(*sign))?;
    let (over, under) = (line.trim().chars().count(), next.trim_end().chars().count());
    let fits = over > 0 && under >= 3 && under + 2 >= over && next.trim_end().chars().all(|c| c == sign);
    (fits && line.chars().any(char::is_alphanumeric)).then_some(sign)
}

#[derive(Default)]
struct Plain<'a> {
    text: Text,
    /// The signs of underlines, outermost first.
    signs: Vec<char>,
    paragraph: Vec<&'a str>,
}

impl Plain<'_> {
    fn heading(&mut self, line: &str, sign: char) {
        let level = self.signs.iter().position(|known| *known == sign).unwrap_or_else(|| {
            self.signs.push(sign);
            self.signs.len() - 1
        });
        self.text.push(Kind::Heading(u8::try_from(level + 1).unwrap_or(u8::MAX)), line.trim(), None);
    }

    fn flush(&mut self) {
        let lines = mem::take(&mut self.paragraph);
        // What is set in by hand is not to be run together.
        let is_set =
            lines.iter().any(|line| line.starts_with(['\t', '-', '*', '|']) || line.starts_with("  "));
        let (kind, text) =
            if is_set { (Kind::Lines, lines.join("\n")) } else { (Kind::Prose, lines.join(" ")) };
        self.text.push(kind, &text, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_underlined_headings() {
        let text = read("Manual\n======\n\nFirst line\nsecond line.\n\nPart\n----\n  code\n  more\n");
        let kinds: Vec<_> = text.blocks.iter().map(|block| (block.kind, block.text.as_str())).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Heading(1), "Manual"),
                (Kind::Prose, "First line second line."),
                (Kind::Heading(2), "Part"),
                (Kind::Lines, "code\n  more"),
            ]
        );
        assert_eq!(text.title.as_deref(), Some("Manual"));
        assert!(read("\n \n***\n").is_empty());
    }
}
