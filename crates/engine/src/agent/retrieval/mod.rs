//! Retrieval: passages of documents that may answer a question, and what is made of them.
//!
//! [`Retriever`] asks two ways, by words and by nearness of meaning, and fuses both rankings by reciprocal rank.
//! [`rerank`] orders what came by the question's words and leaves out what says the same twice. [`quote`] answers with
//! sentences of the passages, [`sources`] names them for the client, and [`unknown_citations`] finds the marks of an
//! answer that name no source.
//!
//! Documents are records: one a passage, in collections that `tidewire ingest` makes. Who may read what is judged by
//! [`Records`](super::Records), at each call.

mod citations;
mod passage;
mod quote;
mod rank;
mod sources;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use super::SharedRecords;
use crate::error::{Code, Result};
use crate::id::RecordId;
use crate::identity::Identity;
use crate::model::{Embedder, Status};
use crate::query::{Hit, Projection, Search, TextSearch, VectorSearch};

pub use citations::{Citation, unknown_citations};
pub use passage::{DOCUMENTS, EMBEDDING, Passage, TEXT};
pub use quote::{highlights, quote};
pub use rank::rerank;
pub use sources::{MAX_SOURCES, sources};
use words::Terms;

/// So much of a question is looked at, in bytes.
const MAX_QUESTION: usize = 2_000;
/// How much a rank counts: 1 / (10 + rank). The first few count more than in the store's own fusion: people ask in other
/// words than documents use, and what is near by meaning is often first or not at all.
const RANK: f64 = 10.0;
/// What the ranking by words counts beside the one by nearness.
const WORDS: f64 = 0.6;

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
}

/// A passage with what is known of how well it fits.
struct Candidate {
    passage: Passage,
    /// The sum over the rankings in which it is; being first in both is 1.
    fused: f64,
    /// The cosine of question and passage, where it was looked for by nearness.
    nearness: Option<f64>,
}

impl Retriever {
    /// Over these records. Without an embedder, or while it loads, passages are looked for by words alone.
    pub fn new(records: SharedRecords, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { records, embedder, ways: Ways::Both }
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
        candidates.retain(|candidate| candidate.fits(&terms, breadth));
        candidates.sort_by(|a, b| b.fused.total_cmp(&a.fused));
        candidates.truncate(breadth.depth());
        Ok(candidates.into_iter().map(Candidate::into_passage).collect())
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
        Ok(fuse(collection, by_words?, by_nearness?))
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
        projection: Projection::Without(vec![EMBEDDING.to_owned()]),
    }
}

/// One ranking of two, by reciprocal rank.
fn fuse(collection: &str, by_words: Vec<Hit>, by_nearness: Vec<Hit>) -> Vec<Candidate> {
    let mut fused: HashMap<RecordId, Candidate> = HashMap::new();
    let (words, nearness) = match (by_words.is_empty(), by_nearness.is_empty()) {
        (false, false) => (WORDS / (1.0 + WORDS), 1.0 / (1.0 + WORDS)),
        (true, _) | (_, true) => (1.0, 1.0),
    };
    for (hits, weight, is_nearness) in [(by_words, words, false), (by_nearness, nearness, true)] {
        for (rank, hit) in hits.into_iter().enumerate() {
            let (score, share) = (hit.score, weight * (RANK + 1.0) / (RANK + 1.0 + rank as f64));
            let id = hit.record.id.clone();
            let Some(known) = fused.get_mut(&id) else {
                let Some(passage) = Passage::read(collection, hit.record) else { continue };
                let nearness = is_nearness.then_some(score);
                fused.insert(id, Candidate { passage, fused: share, nearness });
                continue;
            };
            known.fused += share;
            known.nearness = if is_nearness { Some(score) } else { known.nearness };
        }
    }
    let mut candidates: Vec<Candidate> = fused.into_values().collect();
    candidates.sort_by(|a, b| {
        b.fused.total_cmp(&a.fused).then_with(|| a.passage.record.0.cmp(&b.passage.record.0))
    });
    candidates
}

impl Candidate {
    fn fits(&self, terms: &Terms, breadth: Breadth) -> bool {
        self.nearness.is_some_and(|nearness| nearness >= breadth.nearness())
            || terms.coverage(&self.passage.everything(), breadth.edits().into()) >= breadth.coverage()
    }

    fn into_passage(self) -> Passage {
        Passage { score: self.fused.clamp(0.0, 1.0), ..self.passage }
    }
}
