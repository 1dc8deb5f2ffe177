//! `insert` and `delete`.

use std::io::{self, BufRead, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tidewire_client::{BatchReply, Client, Record};

use super::{Stop, open, put, show};

/// Records that are written at once.
const BATCH: usize = 500;
/// So many failures are shown.
const SHOWN: u64 = 20;

#[derive(Debug, Clone, Args)]
pub(super) struct InsertArgs {
    /// The collection; it is made when it does not exist.
    collection: String,
    /// Records, each a JSON object. Without any, JSON lines are read.
    records: Vec<String>,
    /// JSON lines, one record each; `-` is standard input [default: -].
    #[arg(long, short, value_name = "FILE", conflicts_with = "records")]
    file: Option<PathBuf>,
}

/// A JSON object, as somebody wrote it.
pub(super) fn object(text: &str) -> Result<Record, Stop> {
    serde_json::from_str(text).map_err(|error| {
        Stop::because(format!("{text:?} is no JSON object: {error}; write it like {{\"name\": \"Ada\"}}"))
    })
}

pub(super) async fn insert(client: &Client, args: InsertArgs) -> Result<ExitCode, Stop> {
    let mut outcome = Outcome::default();
    if !args.records.is_empty() {
        let records = args.records.iter().map(|text| object(text)).collect::<Result<Vec<_>, _>>()?;
        outcome.add(client.batch_insert(&args.collection, records).await?, 0);
        outcome.written.iter().try_for_each(put)?;
        return Ok(outcome.end("written"));
    }
    let bar = show::counter("records");
    let mut lines = Lines { input: open(args.file.as_ref())?, number: 0 };
    loop {
        let first = lines.number;
        let batch = lines.next(BATCH)?;
        if batch.is_empty() {
            break;
        }
        outcome.add(client.batch_insert(&args.collection, batch).await?, first);
        bar.set_position(outcome.written.len() as u64);
    }
    bar.finish_and_clear();
    Ok(outcome.end("written"))
}

pub(super) async fn delete(client: &Client, collection: &str, ids: Vec<String>) -> Result<ExitCode, Stop> {
    let mut outcome = Outcome::default();
    for ids in ids.chunks(BATCH) {
        outcome.add(client.batch_delete(collection, ids.iter().map(String::as_str)).await?, 0);
    }
    Ok(outcome.end("removed"))
}

/// JSON lines, batch by batch.
struct Lines {
    input: Box<dyn BufRead + Send>,
    number: u64,
}

impl Lines {
    fn next(&mut self, most: usize) -> Result<Vec<Record>, Stop> {
        let mut records = Vec::new();
        let mut line = String::new();
        while records.len() < most {
            line.clear();
            if self.input.read_line(&mut line)? == 0 {
                break;
            }
            self.number += 1;
            if !line.trim().is_empty() {
                let wrong = |error| Stop::because(format!("line {} is no JSON object: {error}", self.number));
                records.push(serde_json::from_str(&line).map_err(wrong)?);
            }
        }
        Ok(records)
    }
}

/// What became of records.
#[derive(Default)]
struct Outcome {
    written: Vec<String>,
    failed: u64,
}

impl Outcome {
    fn add(&mut self, reply: BatchReply, first: u64) {
        self.written.extend(reply.successful);
        for failure in reply.failed {
            self.failed += 1;
            if self.failed <= SHOWN {
                let which = failure.id.unwrap_or_else(|| format!("record {}", first + failure.index + 1));
                let _ = writeln!(io::stderr(), "{which}: {}", failure.error);
            }
        }
    }

    /// The last line; one that failed makes the command fail.
    fn end(&self, done: &str) -> ExitCode {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let _ = writeln!(io::stderr(), "{} records {done}{failed}", self.written.len());
        if self.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
