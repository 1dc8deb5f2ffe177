//! What the child process does: the lines of a PDF, with their size and place, to standard output.
//!
//! PDFs are programs of a kind, and libraries that read them fail in more ways than can be counted. So they are read
//! in a process of their own, with limits upon memory and time; if it dies, that is an answer about this file alone.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use pdf_extract::{
    Document, MediaBox, Object, OutputDev, OutputError, Transform, decode_text_string, output_doc,
    output_doc_page,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::quotes::spell_out;

/// What the child may use.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Limits {
    /// The most memory that reading a PDF may take, in MiB.
    #[arg(long = "pdf-memory", value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) memory: u64,
    /// The most time of the processor that reading a PDF may take, in seconds.
    #[arg(long = "pdf-seconds", value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
}

/// The most text that is read out of one file, in bytes.
pub(super) const MAX_TEXT: usize = 64 << 20;
/// What our lines on standard output begin with; the library may write others.
pub(super) const MARK: &str = "\u{1}tidewire ";

/// What the child says, one a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Said {
    /// It could be opened.
    Opened {
        /// The title that it says of itself.
        title: Option<String>,
        /// How many pages it has.
        pages: usize,
    },
    /// A line of text.
    Line(Line),
    /// A page could not be read.
    Unreadable(u32),
    /// There is more text, and it was left out.
    Cut,
    /// It is encrypted with a password.
    Encrypted,
    /// It is no PDF, or broken.
    Broken,
    /// That was all.
    End,
}

/// A line of text on a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    /// On which page, from 1.
    pub(super) page: u32,
    /// How large its letters are, in points.
    pub(super) size: f32,
    /// How far from the page's top, in points.
    pub(super) top: f32,
    /// How far from the page's left, in points.
    pub(super) left: f32,
    /// What it says.
    pub(super) text: String,
}

/// Reads the file and says what is in it. Always well: what is wrong with the file is said.
pub(crate) fn run(path: &Path, limits: Limits) -> ExitCode {
    limit(limits);
    // What a panic says is of no use to anybody.
    std::panic::set_hook(Box::new(|_| {}));
    let said = catch_unwind(|| read(path)).unwrap_or_else(|_| vec![Said::Broken]);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for one in said {
        let Ok(json) = serde_json::to_string(&one) else { continue };
        if writeln!(out, "\n{MARK}{json}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    out.flush().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// From here on, too much memory or time ends the process. Where a limit cannot be set, the parent's clock remains.
fn limit(Limits { memory, seconds }: Limits) {
    for (resource, most) in [(Resource::As, memory << 20), (Resource::Cpu, seconds), (Resource::Core, 0)] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).ok();
    }
}

fn read(path: &Path) -> Vec<Said> {
    let Ok(mut document) = Document::load(path) else {
        return vec![if is_encrypted(path) { Said::Encrypted } else { Said::Broken }];
    };
    // Many are encrypted with no password at all.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return vec![Said::Encrypted];
    }
    let pages: Vec<u32> = document.get_pages().into_keys().collect();
    if pages.is_empty() {
        return vec![if is_encrypted(path) { Said::Encrypted } else { Said::Broken }];
    }
    // What it stumbles over is left to the reading, which costs a page at most.
    catch_unwind(AssertUnwindSafe(|| spell_out(&mut document))).ok();
    let mut said = vec![Said::Opened { title: title(&document), pages: pages.len() }];
    let mut page = Page::default();
    let whole = catch_unwind(AssertUnwindSafe(|| output_doc(&document, &mut page)));
    if !matches!(whole, Ok(Ok(()))) {
        read_by_pages(&document, &pages, &mut page, &mut said);
    }
    said.extend(page.is_cut.then_some(Said::Cut));
    said.extend(page.lines.into_iter().map(Said::Line));
    said.push(Said::End);
    said
}

/// A page that cannot be read costs itself alone.
fn read_by_pages(document: &Document, pages: &[u32], page: &mut Page, said: &mut Vec<Said>) {
    *page = Page::default();
    for number in pages {
        let done = catch_unwind(AssertUnwindSafe(|| output_doc_page(document, page, *number)));
        if !matches!(done, Ok(Ok(()))) {
            page.flush();
            said.push(Said::Unreadable(*number));
        }
    }
}

/// Whether a file that cannot be loaded says of itself that it is encrypted.
fn is_encrypted(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.windows(9).any(|window| window == b"/Encrypt "))
}

fn title(document: &Document) -> Option<String> {
    let info = document.trailer.get(b"Info").ok()?;
    let info = match info {
        Object::Reference(id) => document.get_object(*id).ok()?,
        other => other,
    };
    let title = info.as_dict().ok()?.get(b"Title").ok()?;
    let title = decode_text_string(title).ok()?;
    let title = super::text::on_one_line(&title);
    (!title.is_empty()).then_some(title)
}

/// Puts characters together to lines.
#[derive(Default)]
struct Page {
    lines: Vec<Line>,
    bytes: usize,
    /// Lines were left out, because there were too many.
    is_cut: bool,
    number: u32,
    height: f64,
    open: Option<Open>,
    /// The next character begins a word as the file says it.
    is_begin: bool,
}

/// The line that is being read.
struct Open {
    line: Line,
    /// Where the last character ended.
    end: f64,
    y: f64,
}

impl Page {
    fn flush(&mut self) {
        let Some(Open { mut line, .. }) = self.open.take() else { return };
        line.text = line.text.trim().to_owned();
        if line.text.is_empty() {
            return;
        }
        self.is_cut |= self.bytes + line.text.len() > MAX_TEXT;
        if !self.is_cut {
            self.bytes += line.text.len();
            self.lines.push(line);
        }
    }

    fn character(&mut self, x: f64, y: f64, end: f64, size: f64, text: &str) {
        let is_begin = std::mem::take(&mut self.is_begin);
        let is_next = self.open.as_ref().is_some_and(|open| {
            (y - open.y).abs() <= size.max(f64::from(open.line.size)) * 0.5 && x > open.end - size
        });
        if !is_next {
            self.flush();
        }
        let open = self.open.get_or_insert_with(|| Open {
            line: Line { page: self.number, size: 0.0, top: y as f32, left: x as f32, text: String::new() },
            end: x,
            y,
        });
        let gap = x - open.end;
        // Where words are set apart, the space between them is there already.
        let has_space = open.line.text.is_empty() || open.line.text.ends_with(' ') || text.starts_with(' ');
        if !has_space && (gap > size * 0.18 || (is_begin && gap > size * 0.1)) {
            open.line.text.push(' ');
        }
        open.line.text.push_str(&plain(text));
        open.line.size = open.line.size.max(size as f32);
        (open.end, open.y) = (end, y);
    }
}

/// Letters that fonts draw together, apart.
fn plain(text: &str) -> String {
    const JOINED: [(char, &str); 5] = [('ﬀ', "ff"), ('ﬁ', "fi"), ('ﬂ', "fl"), ('ﬃ', "ffi"), ('ﬄ', "ffl")];
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control() && *c != '\u{ad}') {
        match JOINED.iter().find(|(joined, _)| *joined == c) {
            Some((_, apart)) => out.push_str(apart),
            None => out.push(c),
        }
    }
    out
}

impl OutputDev for Page {
    fn begin_page(
        &mut self,
        number: u32,
        media: &MediaBox,
        _: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        (self.number, self.height) = (number, media.ury);
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        self.flush();
        Ok(())
    }

    fn output_character(
        &mut self,
        transform: &Transform,
        width: f64,
        _spacing: f64,
        size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        // A square as large as the letter's box.
        let (a, b) = (transform.m11.hypot(transform.m12), transform.m21.hypot(transform.m22));
        let size = size * (a * b).sqrt();
        let (x, y) = (transform.m31, self.height - transform.m32);
        if [x, y, size, width].iter().all(|number| (*number as f32).is_finite()) {
            self.character(x, y, x + width * size, size, text);
        }
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.is_begin = true;
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_most_text_lines_are_left_out_and_that_is_known() {
        let mut page = Page { bytes: MAX_TEXT - 6, ..Page::default() };
        for (number, word) in ["first", "second"].into_iter().enumerate() {
            page.character(72.0, 100.0 * number as f64, 80.0, 10.0, word);
            page.flush();
        }
        let kept: Vec<&str> = page.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((kept, page.is_cut), (vec!["first"], true));
    }
}
