//! Retrieval: passages of documents that may answer a question, and what is made of them.
//!
//! [`Retriever`] asks two ways, by words and by nearness of meaning. What came either way is looked at more closely: how
//! near the passage is, how near the nearest of its sentences, and how well the words fit; the three together are its
//! score, less what it is near to everything. Those of one section take one place, and the best places come with what
//! stands around them. [`rerank`] orders what came by the question's words and leaves out what says the same twice.
//! [`quote`] answers with sentences of the passages, [`sources`] names them for the client, and [`unknown_citations`]
//! finds the marks of an answer that name no source.
//!
//! Documents are records: one a passage, in collections that `tidewire ingest` makes. Who may read what is judged by
//! [`Records`](super::Records), at each call.

mod around;
mod candidate;
mod citations;
mod hubs;
mod parts;
mod passage;
mod quote;
mod rank;
mod sources;
mod words;

use std::sync::Arc;

use super::SharedRecords;
use crate::error::{Code, Result};
use crate::identity::Identity;
use crate::model::{Embedder, Status};
use crate::query::{Hit, Projection, Search, TextSearch, VectorSearch};

use candidate::Candidate;
pub use citations::{Citation, unknown_citations};
use hubs::Hubs;
pub use parts::{PARTS, packed};
pub use passage::{DOCUMENTS, EMBEDDING, Passage, TEXT};
pub use quote::{highlights, quote};
pub use rank::rerank;
pub use sources::{MAX_SOURCES, sources};
use words::Terms;

/// So much of a question is looked at, in bytes.
const MAX_QUESTION: usize = 2_000;
/// What the nearness of a passage's nearest sentence counts beside that of the whole passage, which counts 1.
const SENTENCE: f64 = 1.5;
/// What the words count beside it: people ask in other words than documents use.
const WORDS: f64 = 0.2;
/// What is taken away for being near to everything (see [`hubs`]).
const HUBS: f64 = 0.6;

/// How far retrieval reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breadth {
    /// What clearly fits.
    #[default]
    Narrow,
    /// The one widening: more candidates, typing errors forgiven, less asked of each.
    Wide,
}

impl Breadth {
    /// So many passages of each ranking and collection.
    fn depth(self) -> usize {
        match self {
            Self::Narrow => 40,
            Self::Wide => 80,
        }
    }

    /// So many edits may lie between a word of the question and one of a passage.
    fn edits(self) -> u8 {
        match self {
            Self::Narrow => 0,
            Self::Wide => 2,
        }
    }

    /// A passage fits if it is so near to the question, as a cosine …
    fn nearness(self) -> f64 {
        match self {
            Self::Narrow => 0.3,
            Self::Wide => 0.2,
        }
    }

    /// … or has this share of the question's telling words.
    fn coverage(self) -> f64 {
        match self {
            Self::Narrow => 0.25,
            Self::Wide => 0.1,
        }
    }
}

/// By which ways passages are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ways {
    /// By words and by nearness.
    #[default]
    Both,
    /// By words alone.
    Words,
    /// By nearness alone.
    Nearness,
}

/// Looks for passages.
#[derive(Clone)]
pub struct Retriever {
    records: SharedRecords,
    embedder: Option<Arc<dyn Embedder>>,
    ways: Ways,
    hubs: Arc<Hubs>,
}

impl Retriever {
    /// Over these records. Without an embedder, or while it loads, passages are looked for by words alone.
    pub fn new(records: SharedRecords, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { records, embedder, ways: Ways::Both, hubs: Arc::default() }
    }

    /// The same by other ways, for comparisons.
    #[must_use]
    pub fn by(mut self, ways: Ways) -> Self {
        self.ways = ways;
        self
    }

    /// Passages that may answer, best first, out of all collections of documents that the identity may read. An empty
    /// list is an honest answer: nothing fits.
    ///
    /// # Errors
    /// What the store says when it cannot be read. An embedder that fails is none: words remain.
    pub async fn retrieve(
        &self,
        identity: &Identity,
        question: &str,
        breadth: Breadth,
    ) -> Result<Vec<Passage>> {
        let collections = self.records.documents(identity).await?;
        self.retrieve_in(identity, &collections, question, breadth).await
    }

    /// The same out of these collections alone.
    ///
    /// # Errors
    /// `Forbidden` for a collection that the identity may not read; else as [`Retriever::retrieve`].
    pub async fn retrieve_in(
        &self,
        identity: &Identity,
        collections: &[String],
        question: &str,
        breadth: Breadth,
    ) -> Result<Vec<Passage>> {
        let question = words::beginning(question, MAX_QUESTION);
        let terms = Terms::of(question);
        if collections.is_empty() || question.trim().is_empty() {
            return Ok(Vec::new());
        }
        let vector = self.vector(question).await;
        let mut candidates = Vec::new();
        for collection in collections {
            candidates.extend(self.look_in(identity, collection, &terms, vector.as_deref(), breadth).await?);
        }
        candidates.retain_mut(|candidate| candidate.fits(&terms, breadth));
        let passages = candidate::scored(candidates, breadth.depth());
        around::grown(&*self.records, identity, passages).await
    }

    /// What the question means, if somebody can say it.
    async fn vector(&self, question: &str) -> Option<Vec<f32>> {
        let embedder = self.embedder.as_ref().filter(|embedder| embedder.status() == Status::Ready)?;
        if self.ways == Ways::Words {
            return None;
        }
        match embedder.embed(vec![question.to_owned()]).await {
            Ok(vectors) => vectors.into_iter().next(),
            Err(error) => {
                tracing::warn!(%error, "the question has no vector; its words are looked for");
                None
            }
        }
    }

    async fn look_in(
        &self,
        identity: &Identity,
        collection: &str,
        terms: &Terms,
        vector: Option<&[f32]>,
        breadth: Breadth,
    ) -> Result<Vec<Candidate>> {
        let by_words = async {
            match self.ways {
                Ways::Both | Ways::Words => self.by_words(identity, collection, terms, breadth).await,
                Ways::Nearness => Ok(Vec::new()),
            }
        };
        let by_nearness = async {
            match vector {
                Some(vector) => self.by_nearness(identity, collection, vector, breadth).await,
                None => Ok(Vec::new()),
            }
        };
        let (by_words, by_nearness) = futures_util::future::join(by_words, by_nearness).await;
        let (by_words, by_nearness) = (by_words?, by_nearness?);
        let sample = match by_nearness.is_empty() {
            false => Some(self.hubs.sample(&*self.records, identity, collection).await?),
            true => None,
        };
        Ok(candidate::joined(collection, by_words, by_nearness, vector, sample.as_ref()))
    }

    async fn by_words(
        &self,
        identity: &Identity,
        collection: &str,
        terms: &Terms,
        breadth: Breadth,
    ) -> Result<Vec<Hit>> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let text = TextSearch {
            prefix: false,
            max_edits: breadth.edits(),
            stemming: true,
            ..TextSearch::typed(terms.text())
        };
        self.records.search(identity, search(collection, Some(text), None, breadth)).await
    }

    async fn by_nearness(
        &self,
        identity: &Identity,
        collection: &str,
        vector: &[f32],
        breadth: Breadth,
    ) -> Result<Vec<Hit>> {
        let vector = VectorSearch {
            field: EMBEDDING.to_owned(),
            vector: vector.to_owned(),
            metric: None,
            k: breadth.depth(),
            threshold: None,
            weight: 1.0,
        };
        match self.records.search(identity, search(collection, None, Some(vector), breadth)).await {
            // The collection's vectors are those of another model.
            Err(error) if error.code == Code::Invalid => {
                tracing::warn!(collection, %error, "vectors cannot be compared; words are");
                Ok(Vec::new())
            }
            outcome => outcome,
        }
    }
}

fn search(
    collection: &str,
    text: Option<TextSearch>,
    vector: Option<VectorSearch>,
    breadth: Breadth,
) -> Search {
    Search {
        collection: collection.to_owned(),
        text,
        vector,
        filter: None,
        min_score: None,
        limit: breadth.depth(),
        projection: Projection::All,
    }
}
