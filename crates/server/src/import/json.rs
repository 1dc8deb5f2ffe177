//! JSON: one array of objects, or one object a line.
//!
//! An array is cut into its elements by counting brackets outside of strings, so that a large file is never in memory
//! and each element keeps its line; the elements themselves are parsed by `serde_json`.

use std::io::BufRead;

use serde_json::Value;
use tidewire_engine::query::Body;
use tidewire_engine::{Error, Result};

use super::lines::{self, trim_break};
use super::{MAX_ROW, Row, Rows, broke_off};

/// One object a line.
pub(super) struct Lines<R> {
    lines: lines::Lines<R>,
    key: Key,
}

impl<R: BufRead> Lines<R> {
    /// `key` is what a member named `id` is called.
    pub(super) fn open(source: R, key: &str) -> Self {
        Self { lines: lines::Lines::new(source), key: Key::new(key) }
    }
}

impl<R: BufRead + Send> Rows for Lines<R> {
    fn next(&mut self) -> Result<Option<Row>> {
        loop {
            let Some(line) = self.lines.next().map_err(broke_off)? else { return Ok(None) };
            let text = trim_break(&line.bytes).trim_ascii();
            if text.is_empty() {
                continue;
            }
            let body = if line.is_cut { Err(too_long()) } else { self.key.body(text) };
            return Ok(Some(Row { line: line.number, raw: line.bytes, body }));
        }
    }

    fn position(&self) -> u64 {
        self.lines.position()
    }

    fn notes(&self) -> Vec<String> {
        self.key.notes()
    }
}

/// One array of objects.
pub(super) struct Array<R> {
    bytes: Bytes<R>,
    first: bool,
    key: Key,
}

impl<R: BufRead> Array<R> {
    /// Reads up to the bracket that opens the array. `key` is what a member named `id` is called.
    pub(super) fn open(source: R, key: &str) -> Result<Self> {
        let mut bytes = Bytes { source, position: 0, line: 1 };
        for mark in [0xef, 0xbb, 0xbf] {
            if bytes.peek()? == Some(mark) {
                bytes.take();
            }
        }
        if bytes.skip_space()? != Some(b'[') {
            return Err(Error::invalid(
                "a JSON file holds one array of objects; for one object a line use --format ndjson",
            ));
        }
        bytes.take();
        Ok(Self { bytes, first: true, key: Key::new(key) })
    }

    /// The next element: its line and its text, `None` for a text that is too long. The outer `None` is the end.
    fn element(&mut self) -> Result<Option<(u64, Option<Vec<u8>>)>> {
        match (self.bytes.skip_space()?, self.first) {
            (Some(b']'), _) => {
                self.bytes.take();
                return self.check_end().map(|()| None);
            }
            (Some(b','), false) => {
                self.bytes.take();
                if self.bytes.skip_space()? == Some(b']') {
                    return Err(self.bytes.broken("an element follows each comma"));
                }
            }
            (Some(_), true) => {}
            (Some(_), false) => return Err(self.bytes.broken("a comma or ] is missing")),
            (None, _) => return Err(self.bytes.broken("the file ends within the array")),
        }
        self.first = false;
        let line = self.bytes.line;
        Ok(Some((line, self.bytes.value()?)))
    }

    fn check_end(&mut self) -> Result<()> {
        match self.bytes.skip_space()? {
            None => Ok(()),
            Some(_) => Err(self.bytes.broken("nothing may follow the array")),
        }
    }
}

impl<R: BufRead + Send> Rows for Array<R> {
    fn next(&mut self) -> Result<Option<Row>> {
        let Some((line, text)) = self.element()? else { return Ok(None) };
        Ok(Some(match text {
            Some(raw) => Row { line, body: self.key.body(&raw), raw },
            None => Row { line, raw: Vec::new(), body: Err(too_long()) },
        }))
    }

    fn position(&self) -> u64 {
        self.bytes.position
    }

    fn notes(&self) -> Vec<String> {
        self.key.notes()
    }
}

/// Fails unless the file is one whole array, so that nothing of a broken one is written.
pub(super) fn check(source: impl BufRead) -> Result<()> {
    let mut array = Array::open(source, "")?;
    while array.element()?.is_some() {}
    Ok(())
}

/// Bytes with their line.
struct Bytes<R> {
    source: R,
    position: u64,
    line: u64,
}

impl<R: BufRead> Bytes<R> {
    fn peek(&mut self) -> Result<Option<u8>> {
        self.source.fill_buf().map(|buffer| buffer.first().copied()).map_err(broke_off)
    }

    /// Takes the byte that was peeked at.
    fn take(&mut self) {
        self.source.consume(1);
        self.position += 1;
    }

    /// Skips white space and returns what follows without taking it.
    fn skip_space(&mut self) -> Result<Option<u8>> {
        loop {
            match self.peek()? {
                Some(b'\n') => {
                    self.line += 1;
                    self.take();
                }
                Some(b' ' | b'\t' | b'\r') => self.take(),
                other => return Ok(other),
            }
        }
    }

    /// Takes one value, up to the comma or bracket that follows it. `None` if it is too long to be kept.
    fn value(&mut self) -> Result<Option<Vec<u8>>> {
        let (mut scanner, mut text, mut length) = (Scanner::default(), Vec::new(), 0);
        loop {
            let buffer = self.source.fill_buf().map_err(broke_off)?;
            if buffer.is_empty() {
                return Err(self.broken("the file ends within an element"));
            }
            let end = buffer.iter().position(|byte| scanner.ends_before(*byte));
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let count = part.len();
            length += count;
            if length <= MAX_ROW {
                text.extend(part);
            }
            self.line += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.source.consume(count);
            self.position += count as u64;
            if end.is_some() {
                text.truncate(text.trim_ascii_end().len());
                return Ok((length <= MAX_ROW).then_some(text));
            }
        }
    }

    fn broken(&self, reason: &str) -> Error {
        Error::invalid(format!("line {}: {reason}; mend the file, nothing was imported", self.line))
    }
}

/// Where in a value the reader is.
#[derive(Default)]
struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// Whether the value ended before this byte; if not, the byte belongs to it.
    fn ends_before(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b',' | b']' | b'}' if self.depth == 0 => return true,
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        false
    }
}

/// What a member named `id` is called instead.
struct Key {
    name: String,
    used: bool,
}

impl Key {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), used: false }
    }

    fn body(&mut self, text: &[u8]) -> std::result::Result<Body, String> {
        let value = serde_json::from_slice(text).map_err(|error| reason(&error))?;
        let Value::Object(body) = value else {
            return Err(String::from("it is no object"));
        };
        if !body.contains_key("id") {
            return Ok(body);
        }
        self.used = true;
        let name = |name: String| if name == "id" { self.name.clone() } else { name };
        Ok(body.into_iter().map(|(member, value)| (name(member), value)).collect())
    }

    fn notes(&self) -> Vec<String> {
        let note = || format!("the member \"id\" is called {:?}", self.name);
        self.used.then(note).into_iter().collect()
    }
}

/// What is wrong, without a place: the row has its own.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn too_long() -> String {
    format!("longer than {} MiB", MAX_ROW >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn all(rows: &mut dyn Rows) -> Result<Vec<(u64, bool)>> {
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((row.line, row.body.is_ok()));
        }
        Ok(found)
    }

    #[test]
    fn an_array_is_read_element_by_element() {
        let text = b"\xef\xbb\xbf [\n{\"a\": \"x]},{\\\"\"},\n  {\n\"b\": [1, {}]}\n, 7, [1],\n{\"c\": tru}, {\"id\": 1, \"z\": 2}]\n";
        let mut array = Array::open(&text[..], "key").unwrap();
        assert_eq!(
            all(&mut array).unwrap(),
            [(2, true), (3, true), (5, false), (5, false), (6, false), (6, true)]
        );
        assert_eq!(array.notes().len(), 1);
        assert_eq!(array.position(), text.len() as u64);
        assert!(all(&mut Array::open(&b"[]"[..], "key").unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_broken_array_is_refused_whole() {
        for text in ["", "{}", "[{}", "[{} {}]", "[{},]", "[{}] x", "[{\"a\": \"b]", "[,{}]", "[{}}]"] {
            let checked = check(text.as_bytes());
            let rows = Array::open(text.as_bytes(), "key").and_then(|mut array| all(&mut array));
            let good = rows.is_ok_and(|rows| rows.iter().all(|row| row.1));
            assert!(checked.is_err() || !good, "{text}");
        }
        assert!(check(&b"[{}, {\"a\": 1}]"[..]).is_ok());
    }

    #[test]
    fn lines_are_read_line_by_line() {
        let text = b"{\"a\": 1}\r\n\n  \nnull\n{\"a\"\n{\"id\": \"x\"}";
        let mut lines = Lines::open(&text[..], "key");
        assert_eq!(all(&mut lines).unwrap(), [(1, true), (4, false), (5, false), (6, true)]);
    }

    #[test]
    fn an_element_that_is_too_long_is_bad_and_what_follows_is_read() {
        let text = format!("[{{\"a\": \"{}\"}}, {{}}]", "x".repeat(MAX_ROW));
        let mut array = Array::open(text.as_bytes(), "key").unwrap();
        assert_eq!(all(&mut array).unwrap(), [(1, false), (1, true)]);
        let text = format!("{{\"a\": \"{}\"}}\n{{}}\n", "x".repeat(MAX_ROW));
        assert_eq!(all(&mut Lines::open(text.as_bytes(), "key")).unwrap(), [(1, false), (2, true)]);
    }

    fn objects() -> impl Strategy<Value = Vec<Value>> {
        let member =
            ("[a-z]{1,4}", prop_oneof![any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)]);
        let object =
            proptest::collection::vec(member, 0..4).prop_map(|members| members.into_iter().collect());
        proptest::collection::vec(object, 0..6)
    }

    proptest! {
        /// What was written is read, however it is laid out.
        #[test]
        fn objects_survive_being_written(objects in objects(), is_pretty in any::<bool>()) {
            let array = Value::Array(objects.clone());
            let text = if is_pretty { format!("{array:#}") } else { array.to_string() };
            prop_assert!(check(text.as_bytes()).is_ok());
            let mut rows = Array::open(text.as_bytes(), "key").unwrap();
            prop_assert_eq!(all(&mut rows).unwrap().iter().filter(|(_, good)| *good).count(), objects.len());
            let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
            let mut rows = Lines::open(lines.as_bytes(), "key");
            prop_assert_eq!(all(&mut rows).unwrap().iter().filter(|(_, good)| *good).count(), objects.len());
        }

        /// Whatever a file holds, reading it comes to an end.
        #[test]
        fn any_file_ends(
            bytes in prop_oneof!["[\\[\\]{}\",:a0 \n]{0,60}".prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..100)],
        ) {
            if let Ok(mut rows) = Array::open(&bytes[..], "key") {
                let read = all(&mut rows);
                prop_assert_eq!(read.is_ok(), check(&bytes[..]).is_ok());
            }
            prop_assert!(all(&mut Lines::open(&bytes[..], "key")).unwrap().len() <= bytes.len());
        }
    }
}
