//! Markdown: headings, paragraphs, lists, code and tables, without their signs.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::text::{Kind, Text, on_one_line};

/// Reads a document.
pub(super) fn read(source: &str) -> Text {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::default();
    Parser::new_ext(source, options).for_each(|event| reader.event(event));
    reader.flush(Kind::Prose);
    reader.text
}

#[derive(Default)]
struct Reader {
    text: Text,
    /// What was read since the last block.
    buffer: String,
    /// How deep in lists.
    lists: usize,
    /// Rows of the table that is being read.
    rows: Vec<String>,
    cells: Vec<String>,
    is_code: bool,
    is_metadata: bool,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(_) | Event::Html(_) if self.is_metadata => {}
            Event::Text(text) => self.buffer.push_str(&text),
            Event::Code(code) => self.buffer.push_str(&code),
            Event::InlineMath(math) | Event::DisplayMath(math) => self.buffer.push_str(&math),
            Event::SoftBreak => self.buffer.push(if self.is_code { '\n' } else { ' ' }),
            Event::HardBreak => self.buffer.push('\n'),
            Event::InlineHtml(_) | Event::Html(_) | Event::Rule | Event::FootnoteReference(_) => {}
            Event::TaskListMarker(done) => self.buffer.push_str(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::CodeBlock(_) => {
                self.flush(if self.lists > 0 { Kind::Lines } else { Kind::Prose });
                self.is_code = true;
            }
            Tag::List(_) => {
                if self.lists == 0 {
                    self.flush(Kind::Prose);
                }
                self.lists += 1;
            }
            Tag::Item => {
                self.line();
                self.buffer.push_str(&"  ".repeat(self.lists.saturating_sub(1)));
                self.buffer.push_str("- ");
            }
            Tag::Table(_) | Tag::Heading { .. } => self.flush(Kind::Prose),
            Tag::MetadataBlock(_) => self.is_metadata = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let heading = on_one_line(&std::mem::take(&mut self.buffer));
                self.text.push(Kind::Heading(number(level)), &heading, None);
            }
            TagEnd::Paragraph if self.lists > 0 => self.line(),
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(Kind::Prose),
            TagEnd::CodeBlock => {
                self.flush(Kind::Lines);
                self.is_code = false;
            }
            TagEnd::List(_) => {
                self.lists -= 1;
                if self.lists == 0 {
                    self.flush(Kind::Lines);
                }
            }
            TagEnd::TableCell => {
                let cell = on_one_line(&std::mem::take(&mut self.buffer));
                self.cells.push(cell);
            }
            TagEnd::TableRow | TagEnd::TableHead => {
                let row = std::mem::take(&mut self.cells).join(" | ");
                self.rows.push(row);
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows).join("\n");
                self.text.push(Kind::Table, &rows, None);
            }
            TagEnd::MetadataBlock(_) => {
                self.is_metadata = false;
                self.buffer.clear();
            }
            _ => {}
        }
    }

    /// Begins a new line, unless nothing stands on this one.
    fn line(&mut self) {
        if !self.buffer.is_empty() && !self.buffer.ends_with('\n') {
            self.buffer.push('\n');
        }
    }

    fn flush(&mut self, kind: Kind) {
        let text = std::mem::take(&mut self.buffer);
        self.text.push(kind, &text, None);
    }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_is_kept_and_signs_are_not() {
        let source = "---\nx: 1\n---\n# Keys & *tokens*\n\nUse `keys add`,\nor [a page](x.md).\n\n- one\n- two\n  - inner\n\n\
                      ```sh\ntidewire serve\n```\n\n| a | b |\n|---|---|\n| 1 | `2` |\n\nText\n1. first\n";
        let text = read(source);
        let blocks: Vec<_> = text.blocks.iter().map(|block| (block.kind, block.text.as_str())).collect();
        assert_eq!(
            blocks,
            [
                (Kind::Heading(1), "Keys & tokens"),
                (Kind::Prose, "Use keys add, or a page."),
                (Kind::Lines, "- one\n- two\n  - inner"),
                (Kind::Lines, "tidewire serve"),
                (Kind::Table, "a | b\n1 | 2"),
                (Kind::Prose, "Text"),
                (Kind::Lines, "- first"),
            ]
        );
        assert_eq!(text.title.as_deref(), Some("Keys & tokens"));
    }

    #[test]
    fn nothing_panics_on_odd_input() {
        for source in ["", "#", "|", "- ```", "> - > |a|\n", "[^1]: x\n\n[^1]", "<div><p>", "***", "\u{0}"] {
            read(source);
        }
    }
}
