//! A file's lines, with their numbers, and with a way to put lines back.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use super::MAX_ROW;

/// One line with its ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// Its bytes, the line break included.
    pub(super) bytes: Vec<u8>,
    /// It is longer than a row may be, and its rest was skipped.
    pub(super) is_cut: bool,
}

/// Reads lines and holds one at a time.
pub(super) struct Lines<R> {
    source: R,
    returned: VecDeque<Line>,
    number: u64,
    position: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, returned: VecDeque::new(), number: 0, position: 0 }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.returned.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        let limit = MAX_ROW as u64 + 1;
        let mut read = self.source.by_ref().take(limit).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            return Ok(None);
        }
        let is_cut = bytes.len() > MAX_ROW && !bytes.ends_with(b"\n");
        if is_cut {
            read += self.skip_line()?;
        }
        self.position += read;
        self.number += 1;
        Ok(Some(Line { number: self.number, bytes, is_cut }))
    }

    /// Puts lines back, to be read again in the same order.
    pub(super) fn put_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.returned.push_front(line);
        }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.source.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let count = end.unwrap_or(buffer.len());
            self.source.consume(count);
            skipped += count as u64;
            if end.is_some() || count == 0 {
                return Ok(skipped);
            }
        }
    }
}

/// A line without its break.
pub(super) fn trim_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
