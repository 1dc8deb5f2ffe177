//! Files become records.
//!
//! `csv` and `json` read rows one after the other and never hold a file in memory; a row that cannot be read keeps
//! its line number and its text. `columns` finds out what the columns hold, `reader` makes batches of rows in a thread
//! of its own, `target` brings them into a data folder or to the server that owns it, `wire` is what that server hears.
//! What a batch means is the engine's (`tidewire_engine::collections::import`).

mod columns;
mod csv;
mod json;
mod lines;
mod reader;
mod target;
mod wire;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};
use tidewire_engine::query::Body;
use tidewire_engine::{Error, Result};

pub(crate) use reader::{Piece, Plan, Reject, read};
pub(crate) use wire::{MAX_BODY, PATH, accept};

/// The longest row, in bytes of the file.
const MAX_ROW: usize = 2 << 20;
/// So much of a file's beginning and end tells it from others.
const SAMPLE: u64 = 64 << 10;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Rows of cells; the first row names the columns.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
}

impl Format {
    /// By the file's ending.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            _ => Err(Error::invalid(format!(
                "{} ends in none of .csv, .tsv, .json, .ndjson, .jsonl; say what it is with --format",
                path.display()
            ))),
        }
    }
}

/// A row of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The line on which it begins, from 1.
    line: u64,
    /// As it stands in the file.
    raw: Vec<u8>,
    /// The record, or why it is none.
    pub(crate) body: std::result::Result<Body, String>,
}

/// A file's rows, one after the other. An error says that the file cannot be read on.
pub(crate) trait Rows: Send {
    /// The next row; `None` at the end.
    fn next(&mut self) -> Result<Option<Row>>;
    /// How many bytes of the file were read.
    fn position(&self) -> u64;
    /// What was changed about the columns' names, for a person.
    fn notes(&self) -> Vec<String>;
}

/// Opens a file's rows. `key` is what a member named `id` is called instead: `id` is the record's own key.
pub(crate) fn rows(path: &Path, format: Format, key: &str) -> Result<Box<dyn Rows>> {
    let open = || File::open(path).map(BufReader::new).map_err(|cause| unreadable(path, cause));
    Ok(match format {
        Format::Csv => Box::new(csv::Csv::open(open()?, key)?),
        Format::Json => {
            json::check(open()?)?;
            Box::new(json::Array::open(open()?, key)?)
        }
        Format::Ndjson => Box::new(json::Lines::open(open()?, key)),
    })
}

/// What a file is known by wherever it lies: its size, its beginning and its end. 32 hex digits.
pub(crate) fn fingerprint(path: &Path) -> Result<String> {
    let sample = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut hash = Sha256::new();
        hash.update(size.to_le_bytes());
        let mut bytes = Vec::new();
        file.by_ref().take(SAMPLE).read_to_end(&mut bytes)?;
        file.seek(SeekFrom::Start(size.saturating_sub(SAMPLE)))?;
        file.take(SAMPLE).read_to_end(&mut bytes)?;
        hash.update(&bytes);
        Ok(crate::hex(&hash.finalize()[..16]))
    };
    sample().map_err(|cause| unreadable(path, cause))
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::invalid(format!("{} cannot be read ({cause}); check the path", path.display())).caused_by(cause)
}

/// The file stopped being readable in its midst.
fn broke_off(cause: io::Error) -> Error {
    Error::unavailable(format!("the file cannot be read on ({cause}); run the import again")).caused_by(cause)
}
