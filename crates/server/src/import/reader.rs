//! Reads a file in a thread of its own and hands on its rows in pieces, a few ahead of who writes them.

use std::ops::Range;
use std::path::PathBuf;

use tidewire_engine::collections::check_record;
use tidewire_engine::query::Body;
use tidewire_engine::{Error, RecordId, Result};
use tokio::sync::mpsc;

use super::columns::Columns;
use super::{Format, Row, Rows};

/// So many rows make a piece, or so many bytes of rows and of names, which stand in each record.
const PIECE_ROWS: u64 = 2_000;
const PIECE_BYTES: usize = 2 << 20;
/// So many pieces wait to be written; the reader waits for a place.
const AHEAD: usize = 2;

/// What to read.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The file.
    pub(crate) path: PathBuf,
    /// How it is written.
    pub(crate) format: Format,
    /// What a member named `id` is called.
    pub(crate) key: String,
    /// What the file is known by; rows have their ids from it.
    pub(crate) fingerprint: String,
    /// The first row that is wanted. Those before it are read too: their columns and rejects count.
    pub(crate) from: u64,
}

/// Some rows, one after the other.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Which, from 0.
    pub(crate) rows: Range<u64>,
    /// The good ones; none if they are before the first that is wanted.
    pub(crate) records: Vec<(RecordId, Body)>,
    /// The bad ones.
    pub(crate) rejects: Vec<Reject>,
    /// How many bytes of the file were read.
    pub(crate) position: u64,
    /// The last piece says what the whole file has.
    pub(crate) end: Option<End>,
}

/// A row that is no record.
#[derive(Debug)]
pub(crate) struct Reject {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Why.
    pub(crate) reason: String,
    /// As it stands in the file.
    pub(crate) raw: Vec<u8>,
}

/// What is known at a file's end.
#[derive(Debug)]
pub(crate) struct End {
    /// The columns' names and types.
    pub(crate) columns: Vec<(String, String)>,
    /// What was changed about names, for a person.
    pub(crate) notes: Vec<String>,
}

/// Starts to read. The last thing that comes is the piece with an [`End`], or an error.
pub(crate) fn read(plan: Plan) -> Result<mpsc::Receiver<Result<Piece>>> {
    let rows = super::rows(&plan.path, plan.format, &plan.key)?;
    let (pieces, receiver) = mpsc::channel(AHEAD);
    let reader = Reader { rows, plan, columns: Columns::default(), next: 0, pieces };
    std::thread::Builder::new()
        .name("import-reader".into())
        .spawn(move || reader.run())
        .map_err(|cause| Error::unavailable("no thread can be started; raise the limits").caused_by(cause))?;
    Ok(receiver)
}

struct Reader {
    rows: Box<dyn Rows>,
    plan: Plan,
    columns: Columns,
    next: u64,
    pieces: mpsc::Sender<Result<Piece>>,
}

impl Reader {
    fn run(mut self) {
        loop {
            let piece = self.piece();
            let is_last = piece.as_ref().map_or(true, |piece| piece.end.is_some());
            let is_wanted = self.pieces.blocking_send(piece).is_ok();
            if is_last || !is_wanted {
                return;
            }
        }
    }

    /// The next piece. It does not span the first row that is wanted.
    fn piece(&mut self) -> Result<Piece> {
        let first = self.next;
        let limit =
            if first < self.plan.from { self.plan.from.min(first + PIECE_ROWS) } else { first + PIECE_ROWS };
        let (mut records, mut rejects, mut bytes, mut end) = (Vec::new(), Vec::new(), 0, None);
        while self.next < limit && bytes < PIECE_BYTES {
            let Some(row) = self.rows.next()? else {
                let columns = std::mem::take(&mut self.columns).finish();
                end = Some(End { columns, notes: self.rows.notes() });
                break;
            };
            bytes += row.raw.len();
            match self.record(row) {
                Ok(record) if first >= self.plan.from => {
                    bytes += record.1.keys().map(String::len).sum::<usize>();
                    records.push(record);
                }
                Ok(_) => {}
                Err(reject) => rejects.push(reject),
            }
            self.next += 1;
        }
        let position = self.rows.position();
        Ok(Piece { rows: first..self.next, records, rejects, position, end })
    }

    fn record(&mut self, row: Row) -> Result<(RecordId, Body), Reject> {
        let Row { line, raw, body } = row;
        let id = RecordId(format!("{}{:016x}", &self.plan.fingerprint[..16], self.next));
        let checked = body.and_then(|body| match check_record(&id, &body) {
            Ok(()) => Ok(body),
            Err(error) => Err(error.message.into_owned()),
        });
        match checked {
            Ok(body) => {
                self.columns.see(&body);
                Ok((id, body))
            }
            Err(reason) => Err(Reject { line, reason, raw }),
        }
    }
}
