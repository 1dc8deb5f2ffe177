//! PDF: lines from the child process, put together to headings and paragraphs.
//!
//! A PDF says where letters stand and how large they are, and nothing else. What is larger than most of the text and
//! short is a heading; lines that are near each other are a paragraph; what stands at the edge of many pages is
//! repeated by the printer and is left out, as are the dotted lines of a table of contents.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidewire_engine::{Error, Result};

use super::extract::{Limits, Line, MARK, MAX_TEXT, Said};
use super::text::{Kind, Text};

/// The subcommand of this program that is the child.
pub(crate) const CHILD: &str = "extract-pdf";
/// The child is ended so long after its time of the processor could be over, whatever it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the child says at most, in bytes: its text, with what stands around each line.
const MAX_SAID: u64 = 6 * MAX_TEXT as u64;
/// A heading is larger than the text by so much …
const LARGER: f32 = 1.08;
/// … and not longer, in bytes.
const HEADING: usize = 160;
/// What stands at the edge of so many pages is repeated.
const REPEATED: usize = 3;

/// Reads a file by a child of `program`, which is this program. It blocks.
pub(super) fn read(program: &Path, path: &Path, limits: Limits) -> Result<Text> {
    let child = Command::new(program)
        .arg(CHILD)
        .args(["--pdf-memory", &limits.memory.to_string(), "--pdf-seconds", &limits.seconds.to_string()])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|cause| {
            Error::unavailable("no process can be started; raise the limits").caused_by(cause)
        })?;
    let patience = Duration::from_secs(limits.seconds) + PATIENCE;
    let said = listen(child, patience).map_err(|cause| {
        Error::unavailable(format!("{} cannot be read; try again", path.display())).caused_by(cause)
    })?;
    understand(&said, path, limits)
}

/// All that the child says until its end, which comes after so long at the latest.
fn listen(mut child: Child, patience: Duration) -> std::io::Result<Vec<u8>> {
    let (mut said, out) = (Vec::new(), child.stdout.take());
    let child = Arc::new(Mutex::new(child));
    let (done, waiting) = channel::<()>();
    let watched = Arc::clone(&child);
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            end(&watched).ok(); // what it said until then is not whole, and that is said
        }
    });
    let read = out.map_or(Ok(0), |out| out.take(MAX_SAID).read_to_end(&mut said));
    drop(done);
    watch.join().ok();
    end(&child)?;
    read.map(|_| said)
}

/// Ends a process that may have ended.
fn end(child: &Mutex<Child>) -> std::io::Result<()> {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    child.kill()?;
    child.wait().map(|_| ())
}

fn understand(said: &[u8], path: &Path, limits: Limits) -> Result<Text> {
    let shown = path.display();
    let said = String::from_utf8_lossy(said);
    let said = said.lines().filter_map(|line| line.strip_prefix(MARK));
    let (mut lines, mut unreadable, mut opened) = (Vec::new(), Vec::new(), None);
    let (mut is_whole, mut is_cut) = (false, false);
    for one in said.filter_map(|json| serde_json::from_str(json).ok()) {
        match one {
            Said::Opened { title, pages } => opened = Some((title, pages)),
            Said::Line(line) => lines.push(line),
            Said::Unreadable(page) => unreadable.push(page),
            Said::Encrypted => {
                return Err(Error::invalid(format!("{shown} is encrypted; save it without a password")));
            }
            Said::Broken => {
                return Err(Error::invalid(format!("{shown} is no PDF or is broken; check the file")));
            }
            Said::Cut => is_cut = true,
            Said::End => is_whole = true,
        }
    }
    let Some((title, pages)) = opened.filter(|_| is_whole) else {
        return Err(Error::invalid(format!(
            "{shown} cannot be read within {} MiB of memory and {} s, or is broken; check it, split it, or raise \
             --pdf-memory and --pdf-seconds",
            limits.memory, limits.seconds
        )));
    };
    if !lines.iter().any(|line| line.text.chars().any(char::is_alphanumeric)) {
        return Err(Error::invalid(format!(
            "{shown} has no text on its {pages} pages; if they are scans, let OCR software add the text"
        )));
    }
    let mut text = assemble(lines);
    text.title = title.or(text.title);
    if is_cut {
        text.notes.push(format!("only its first {} MiB of text are read; split it", MAX_TEXT >> 20));
    }
    if !unreadable.is_empty() {
        let numbers: Vec<String> = unreadable.iter().take(10).map(u32::to_string).collect();
        text.notes.push(format!(
            "{} of {pages} pages cannot be read: {}",
            unreadable.len(),
            numbers.join(", ")
        ));
    }
    Ok(text)
}

fn assemble(lines: Vec<Line>) -> Text {
    let repeated = repeated(&lines);
    let kept: Vec<Line> =
        lines.into_iter().filter(|line| !repeated.contains(&key(line)) && !is_dotted(&line.text)).collect();
    let body = body_size(&kept);
    let mut sizes: Vec<u32> =
        kept.iter().filter(|line| is_heading(line, body)).map(|line| rounded(line.size)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let mut writer = Writer { text: Text::default(), body, sizes, open: None };
    kept.iter().for_each(|line| writer.line(line));
    writer.flush();
    writer.text
}

/// Where and what, without numbers: the same for the running heads of all pages.
fn key(line: &Line) -> (i32, String) {
    ((line.top / 4.0).round() as i32, bare(&line.text))
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit() && !c.is_whitespace()).collect()
}

/// What stands at the top or the bottom of several pages.
fn repeated(lines: &[Line]) -> HashSet<(i32, String)> {
    let mut edges: HashMap<u32, (f32, f32)> = HashMap::new();
    for line in lines {
        let (top, bottom) = edges.entry(line.page).or_insert((line.top, line.top));
        (*top, *bottom) = (top.min(line.top), bottom.max(line.top));
    }
    let mut pages: HashMap<(i32, String), HashSet<u32>> = HashMap::new();
    let at_edge = |line: &&Line| {
        edges.get(&line.page).is_some_and(|(top, bottom)| line.top - top < 2.0 || bottom - line.top < 2.0)
    };
    for line in lines.iter().filter(at_edge) {
        pages.entry(key(line)).or_default().insert(line.page);
    }
    pages.into_iter().filter(|(_, pages)| pages.len() >= REPEATED).map(|(key, _)| key).collect()
}

/// A line of a table of contents or of an index.
fn is_dotted(text: &str) -> bool {
    text.contains(". . . .") || text.contains(".....")
}

fn rounded(size: f32) -> u32 {
    (size * 4.0).round().max(0.0) as u32
}

/// The size of most letters.
fn body_size(lines: &[Line]) -> f32 {
    let mut letters: HashMap<u32, usize> = HashMap::new();
    for line in lines {
        *letters.entry(rounded(line.size)).or_default() += line.text.len();
    }
    let most = letters.into_iter().max_by_key(|(size, count)| (*count, *size));
    most.map_or(0.0, |(size, _)| size as f32 / 4.0)
}

fn is_heading(line: &Line, body: f32) -> bool {
    line.size > body * LARGER && line.text.len() <= HEADING && line.text.chars().any(char::is_alphabetic)
}

struct Writer {
    text: Text,
    body: f32,
    /// The sizes of headings, largest first.
    sizes: Vec<u32>,
    open: Option<Open>,
}

/// A block that is being put together.
struct Open {
    kind: Kind,
    text: String,
    page: u32,
    last: Line,
}

impl Writer {
    fn line(&mut self, line: &Line) {
        let kind = if is_heading(line, self.body) { Kind::Heading(self.level(line)) } else { Kind::Prose };
        match &mut self.open {
            Some(open) if open.goes_on(kind, line) => open.add(line),
            _ => {
                self.flush();
                self.open = Some(Open { kind, text: line.text.clone(), page: line.page, last: line.clone() });
            }
        }
    }

    /// Numbers say how deep a heading is; without one its size does.
    fn level(&self, line: &Line) -> u8 {
        let number = line.text.split_whitespace().next().unwrap_or_default();
        let parts = number.trim_end_matches('.').split('.');
        let is_number = number.starts_with(|c: char| c.is_ascii_digit())
            && parts.clone().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        let by_size =
            || self.sizes.iter().position(|size| *size == rounded(line.size)).map_or(1, |place| place + 1);
        let level = if is_number { parts.count() } else { by_size() };
        u8::try_from(level).unwrap_or(u8::MAX)
    }

    fn flush(&mut self) {
        let Some(open) = self.open.take() else { return };
        self.text.push(open.kind, &open.text, Some(open.page));
    }
}

impl Open {
    /// Whether a line belongs to the same block.
    fn goes_on(&self, kind: Kind, line: &Line) -> bool {
        let (last, size) = (&self.last, line.size.max(1.0));
        let is_alike = rounded(last.size) == rounded(line.size);
        let below = line.top - last.top;
        match (self.kind, kind) {
            (Kind::Heading(_), Kind::Heading(_)) => {
                last.page == line.page && is_alike && below.abs() < size * 1.6
            }
            (Kind::Prose, Kind::Prose) if last.page == line.page => {
                below < size * 1.45 && line.left < last.left + size * 1.2
            }
            // A sentence that goes on overleaf.
            (Kind::Prose, Kind::Prose) => !self.text.ends_with(['.', ':', '!', '?']),
            _ => false,
        }
    }

    fn add(&mut self, line: &Line) {
        let is_hyphenated = self.text.ends_with('-') && line.text.starts_with(char::is_lowercase);
        let before = self.text.chars().rev().nth(1);
        if is_hyphenated && before.is_some_and(char::is_alphabetic) {
            self.text.pop();
        } else {
            self.text.push(' ');
        }
        self.text.push_str(&line.text);
        self.last = line.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory: 64, seconds: 9 };

    fn line(page: u32, top: f32, size: f32, text: &str) -> Line {
        Line { page, size, top, left: 72.0, text: text.into() }
    }

    #[test]
    fn lines_become_headings_and_paragraphs() {
        let mut lines = Vec::new();
        for (page, name) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
            lines.push(line(page, 40.0, 10.0, &format!("Chapter {page}: Shells {page}7")));
            lines.push(line(page, 80.0, 14.0, &format!("{page}.2 Signals")));
            lines.push(line(page, 100.0, 10.0, "A signal is sent to a pro-"));
            lines.push(line(page, 112.0, 10.0, "cess, which may catch it."));
            lines.push(line(page, 150.0, 10.0, &format!("Paragraph {name} goes on")));
        }
        lines.push(line(5, 80.0, 10.0, "overleaf."));
        lines.push(line(5, 92.0, 10.0, "Index . . . . . . . 7"));
        let text = assemble(lines);
        let blocks: Vec<_> =
            text.blocks.iter().map(|block| (block.kind, block.text.as_str(), block.page)).collect();
        assert_eq!(
            blocks[..3],
            [
                (Kind::Heading(2), "1.2 Signals", Some(1)),
                (Kind::Prose, "A signal is sent to a process, which may catch it.", Some(1)),
                (Kind::Prose, "Paragraph one goes on", Some(1)),
            ]
        );
        assert_eq!(blocks.last().unwrap().1, "Paragraph four goes on overleaf.");
        assert!(blocks.iter().all(|(_, text, _)| !text.contains("Chapter") && !text.contains("Index")));
    }

    #[test]
    fn what_the_child_says_of_a_file_is_said_in_one_sentence() {
        let said = |lines: &[Said]| {
            let lines = lines.iter().map(|one| format!("{MARK}{}\n", serde_json::to_string(one).unwrap()));
            understand(format!("noise\n{}", lines.collect::<String>()).as_bytes(), Path::new("a.pdf"), LIMITS)
        };
        let opened = Said::Opened { title: None, pages: 3 };
        for (lines, word) in [
            (vec![Said::Encrypted], "encrypted"),
            (vec![Said::Broken], "broken"),
            (vec![opened.clone(), Said::End], "no text"),
            (vec![opened.clone()], "64 MiB of memory and 9 s"),
            (vec![], "memory"),
        ] {
            let error = said(&lines).unwrap_err();
            assert!(error.message.contains(word) && error.message.contains("a.pdf"), "{error}");
        }
        let text =
            said(&[opened, Said::Unreadable(2), Said::Cut, Said::Line(line(1, 1.0, 1.0, "Text")), Said::End])
                .unwrap();
        assert_eq!(
            text.notes,
            ["only its first 64 MiB of text are read; split it", "1 of 3 pages cannot be read: 2"]
        );
    }
}
