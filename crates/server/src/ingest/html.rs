//! HTML: headings, paragraphs, lists, tables and preformatted text; no scripts, styles or navigation.
//!
//! The tokenizer knows entities, comments and raw text as browsers do. A tree is not needed for what is read here.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::text::{Kind, Text, on_one_line};

/// Elements whose content is nothing to read.
const SILENT: &[&str] =
    &["script", "style", "noscript", "template", "svg", "nav", "head", "iframe", "select", "textarea"];
/// Elements that begin and end a paragraph.
const PARAGRAPHS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "aside",
    "blockquote",
    "figure",
    "figcaption",
    "body",
    "address",
    "details",
    "summary",
    "form",
    "fieldset",
    "hr",
];

/// Reads a page.
pub(super) fn read(source: &str) -> Text {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Reader::default())), TokenizerOpts::default());
    // It stops after a script for one that would run it; there is nobody here.
    while !input.is_empty() {
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    let mut reader = tokenizer.sink.0.into_inner();
    reader.flush(Kind::Prose);
    let title = on_one_line(&reader.title);
    if !title.is_empty() {
        reader.text.title = Some(title);
    }
    reader.text
}

struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => return reader.tag(&tag),
            Token::CharacterTokens(text) => reader.characters(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[derive(Default)]
struct Reader {
    text: Text,
    title: String,
    /// What was read since the last block.
    buffer: String,
    /// The silent element that is open, and how many of its name within it.
    silent: Option<(String, usize)>,
    is_title: bool,
    /// How deep in lists.
    lists: usize,
    /// How deep in preformatted text.
    fixed: usize,
    rows: Vec<String>,
    /// The cells of the row that is open.
    cells: Option<Vec<String>>,
}

impl Reader {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let (name, is_start) = (&*tag.name, tag.kind == TagKind::StartTag);
        if name == "title" && self.text.blocks.is_empty() {
            self.is_title = is_start;
            return if is_start {
                TokenSinkResult::RawData(RawKind::Rcdata)
            } else {
                TokenSinkResult::Continue
            };
        }
        if !self.is_silent(name, is_start && !tag.self_closing) {
            if is_start { self.start(name) } else { self.end(name) }
        }
        match name {
            "script" if is_start => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "noscript" | "iframe" if is_start => TokenSinkResult::RawData(RawKind::Rawtext),
            "textarea" if is_start => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    /// Whether this tag belongs to what is not read. `body` ends a head that was not closed.
    fn is_silent(&mut self, name: &str, is_start: bool) -> bool {
        match &mut self.silent {
            None if is_start && SILENT.contains(&name) => self.silent = Some((name.to_owned(), 1)),
            None => return false,
            Some((silent, _)) if silent.as_str() == "head" && name == "body" => self.silent = None,
            Some((silent, depth)) if silent.as_str() == name => {
                *depth = if is_start { *depth + 1 } else { *depth - 1 };
                if *depth == 0 {
                    self.silent = None;
                }
            }
            Some(_) => {}
        }
        true
    }

    fn characters(&mut self, text: &str) {
        if self.is_title {
            self.title.push_str(text);
        } else if self.silent.is_none() {
            if self.fixed > 0 { self.buffer.push_str(text) } else { self.flowing(text) }
        }
    }

    /// Runs of blanks are one, also across tags.
    fn flowing(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() {
                self.buffer.push(c);
            } else if !self.buffer.is_empty() && !self.buffer.ends_with([' ', '\n']) {
                self.buffer.push(' ');
            }
        }
    }

    fn start(&mut self, name: &str) {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.close(),
            "ul" | "ol" | "dl" => {
                if self.lists == 0 {
                    self.close();
                }
                self.lists += 1;
            }
            "li" | "dt" => self.item("- "),
            "dd" => self.item("  "),
            "pre" => {
                self.close();
                self.fixed += 1;
            }
            "br" => self.buffer.push('\n'),
            "table" => self.close(),
            "tr" => self.cells = Some(Vec::new()),
            "td" | "th" if self.cells.is_some() => self.buffer.clear(),
            _ if PARAGRAPHS.contains(&name) => self.close(),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let heading = on_one_line(&std::mem::take(&mut self.buffer));
                self.text.push(Kind::Heading(name.as_bytes()[1] - b'0'), &heading, None);
            }
            "ul" | "ol" | "dl" => {
                self.lists = self.lists.saturating_sub(1);
                if self.lists == 0 {
                    self.flush(Kind::Lines);
                }
            }
            "pre" => {
                self.fixed = self.fixed.saturating_sub(1);
                self.flush(Kind::Lines);
            }
            "td" | "th" => {
                let cell = on_one_line(&std::mem::take(&mut self.buffer));
                self.cells.get_or_insert_default().push(cell);
            }
            "tr" => self.rows.extend(self.cells.take().map(|cells| cells.join(" | "))),
            "table" => {
                let rows = std::mem::take(&mut self.rows).join("\n");
                self.text.push(Kind::Table, &rows, None);
            }
            _ if PARAGRAPHS.contains(&name) => self.close(),
            _ => {}
        }
    }

    fn item(&mut self, sign: &str) {
        if !self.buffer.is_empty() && !self.buffer.ends_with('\n') {
            self.buffer.push('\n');
        }
        self.buffer.push_str(&"  ".repeat(self.lists.saturating_sub(1)));
        self.buffer.push_str(sign);
    }

    /// Ends what stands there, unless it is part of a list's item or of a cell.
    fn close(&mut self) {
        if self.cells.is_some() {
            self.flowing(" ");
        } else if self.lists == 0 {
            self.flush(Kind::Prose);
        }
    }

    fn flush(&mut self, kind: Kind) {
        let text = std::mem::take(&mut self.buffer);
        self.text.push(kind, &text, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_read_is_read() {
        let source = "<!doctype html><html><head><title>My &amp; page</title><style>p { color: red }</style></head>\
            <body><nav><ul><li>Home</ul></nav><h1>Keys</h1><p>Use <b>one</b>\n key&nbsp;only.</p>\
            <script>if (a < b) { '</p>' }</script><ul><li>first<li>second</ul>\
            <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><p>2</p></td></tr></table>\
            <pre>x\n  y</pre><h2>Next<p>Last</body></html>";
        let text = read(source);
        let blocks: Vec<_> = text.blocks.iter().map(|block| (block.kind, block.text.as_str())).collect();
        assert_eq!(text.title.as_deref(), Some("My & page"));
        assert_eq!(
            blocks[..5],
            [
                (Kind::Heading(1), "Keys"),
                (Kind::Prose, "Use one key only."),
                (Kind::Lines, "- first\n- second"),
                (Kind::Table, "a | b\n1 | 2"),
                (Kind::Lines, "x\n  y"),
            ]
        );
        assert!(blocks[5..].iter().any(|(_, text)| text.contains("Last")));
    }

    #[test]
    fn broken_pages_are_read_as_far_as_they_go() {
        for source in
            ["", "<", "<p", "<script>", "</td></tr></table></ul></pre>", "<title>x", "<h1><h1>", "a&#0;b"]
        {
            read(source);
        }
        assert_eq!(read("<head><p>No body tag<body>Here").blocks.len(), 1);
    }
}
