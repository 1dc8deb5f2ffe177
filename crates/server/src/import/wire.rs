//! How an import goes through the server that owns the data folder: `POST /api/import`.
//!
//! A request without a batch asks how far the file is. A batch may be sent again when its answer was lost.

use serde::{Deserialize, Serialize};
use tidewire_engine::collections::Desk;
use tidewire_engine::collections::import::{Batch, Checkpoint};
use tidewire_engine::query::Body;
use tidewire_engine::{Error, Identity, RecordId, Result};

/// Where the server hears of imports.
pub(crate) const PATH: &str = "/api/import";

/// What the importer asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    collection: String,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<Rows>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    file: String,
    start: u64,
    end: u64,
    records: Vec<(String, Body)>,
    rejected: u64,
    again: bool,
    columns: Option<Vec<(String, String)>>,
}

/// What the server answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    /// How far the file is; `null` if its import never began.
    pub(super) checkpoint: Option<Progress>,
}

/// A [`Checkpoint`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    next: u64,
    records: u64,
    rejected: u64,
    again: bool,
    done: bool,
}

impl Request {
    pub(super) fn ask(collection: &str, fingerprint: &str) -> Self {
        Self { collection: collection.to_owned(), fingerprint: fingerprint.to_owned(), batch: None }
    }
}

impl From<Batch> for Request {
    fn from(batch: Batch) -> Self {
        let Batch { collection, fingerprint, file, rows, records, rejected, again, columns } = batch;
        let records = records.into_iter().map(|(id, body)| (id.0, body)).collect();
        let rows = Rows { file, start: rows.start, end: rows.end, records, rejected, again, columns };
        Self { collection, fingerprint, batch: Some(rows) }
    }
}

impl Rows {
    fn into_batch(self, collection: String, fingerprint: String) -> Batch {
        let Self { file, start, end, records, rejected, again, columns } = self;
        let records = records.into_iter().map(|(id, body)| (RecordId(id), body)).collect();
        Batch { collection, fingerprint, file, rows: start..end, records, rejected, again, columns }
    }
}

impl From<Checkpoint> for Progress {
    fn from(checkpoint: Checkpoint) -> Self {
        let Checkpoint { next, records, rejected, again, done } = checkpoint;
        Self { next, records, rejected, again, done }
    }
}

impl From<Progress> for Checkpoint {
    fn from(progress: Progress) -> Self {
        let Progress { next, records, rejected, again, done } = progress;
        Self { next, records, rejected, again, done }
    }
}

/// Answers a request's JSON with the reply's. The body is as long as a batch of an importer can be: let it have at
/// least [`MAX_BODY`] bytes.
pub(crate) async fn accept(desk: &Desk, identity: &Identity, body: &[u8]) -> Result<Vec<u8>> {
    let request: Request = serde_json::from_slice(body).map_err(|error| {
        Error::invalid(format!("this is no batch of an import: {error}; see the reference"))
    })?;
    let Request { collection, fingerprint, batch } = request;
    let checkpoint = match batch {
        Some(rows) => Some(desk.import(identity, rows.into_batch(collection, fingerprint)).await?),
        None => desk.import_checkpoint(identity, &collection, &fingerprint).await?,
    };
    serde_json::to_vec(&Reply { checkpoint: checkpoint.map(Progress::from) }).map_err(Error::internal)
}

/// The longest body of a request, in bytes: a piece of a file as JSON, where characters may have become escapes.
pub(crate) const MAX_BODY: usize = 32 << 20;
