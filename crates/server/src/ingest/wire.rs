//! How documents go through the server that owns the data folder: `POST /api/ingest`.

use serde::{Deserialize, Serialize};
use tidewire_engine::collections::Desk;
use tidewire_engine::collections::documents::{Document, NewPassage, Outcome};
use tidewire_engine::{Error, Identity, Result};

/// Where the server hears of documents.
pub(crate) const PATH: &str = "/api/ingest";
/// The longest body of a request, in bytes: a document's text as JSON.
pub(crate) const MAX_BODY: usize = 64 << 20;

/// What the ingest asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// Which of these hashes have no vector yet?
    Missing { collection: String, hashes: Vec<String> },
    /// Vectors that wait for their document, by hash.
    Vectors { collection: String, vectors: Vec<(String, Vec<f32>)> },
    /// A document.
    Put {
        collection: String,
        document: String,
        title: String,
        source: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        passages: Vec<Passage>,
        #[serde(default)]
        words_only: bool,
    },
}

/// A [`NewPassage`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    text: String,
    hash: String,
    #[serde(default)]
    parts: usize,
}

/// What the server answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Reply {
    /// The hashes that have no vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<Vec<String>>,
    /// What was done with the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Done>,
}

/// An [`Outcome`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    written: usize,
    kept: usize,
    removed: usize,
}

impl From<Document> for Request {
    fn from(document: Document) -> Self {
        let Document { collection, document, title, source, url, passages, words_only } = document;
        let passage =
            |NewPassage { section, page, text, hash, parts }| Passage { section, page, text, hash, parts };
        let passages = passages.into_iter().map(passage).collect();
        Self::Put { collection, document, title, source, url, passages, words_only }
    }
}

impl From<Passage> for NewPassage {
    fn from(Passage { section, page, text, hash, parts }: Passage) -> Self {
        Self { section, page, text, hash, parts }
    }
}

impl From<Outcome> for Done {
    fn from(Outcome { written, kept, removed }: Outcome) -> Self {
        Self { written, kept, removed }
    }
}

impl From<Done> for Outcome {
    fn from(Done { written, kept, removed }: Done) -> Self {
        Self { written, kept, removed }
    }
}

/// Answers a request's JSON with the reply's.
pub(crate) async fn accept(desk: &Desk, identity: &Identity, body: &[u8]) -> Result<Vec<u8>> {
    let request = serde_json::from_slice(body).map_err(|error| {
        Error::invalid(format!("this is nothing that an ingest asks: {error}; see the reference"))
    })?;
    let reply = match request {
        Request::Missing { collection, hashes } => {
            let missing = desk.missing_vectors(identity, &collection, hashes).await?;
            Reply { missing: Some(missing), ..Reply::default() }
        }
        Request::Vectors { collection, vectors } => {
            desk.keep_vectors(identity, &collection, vectors).await?;
            Reply::default()
        }
        Request::Put { collection, document, title, source, url, passages, words_only } => {
            let passages = passages.into_iter().map(NewPassage::from).collect();
            let document = Document { collection, document, title, source, url, passages, words_only };
            Reply { outcome: Some(desk.put_document(identity, document).await?.into()), ..Reply::default() }
        }
    };
    serde_json::to_vec(&reply).map_err(Error::internal)
}
