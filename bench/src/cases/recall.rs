//! Recall: how often the passage that answers is among the first five.

mod corpus;
mod questions;

use std::io;
use std::sync::Arc;

use tidewire_engine::Identity;
use tidewire_engine::agent::retrieval::{Breadth, Passage, Retriever, Ways, rerank};
use tidewire_engine::collections::Desk;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Embedder;
use tidewire_engine::store::sqlite::{Settings as StoreSettings, Sqlite};

use crate::Settings;
use crate::report::{Section, verdict};
use questions::Question;

/// The passage has to be among so many.
const FIRST: usize = 5;
/// The share of the held-out questions that has to be answered.
const RECALL: f64 = 0.85;
/// Leave the held-out questions alone: set while retrieval is tuned.
const OPEN_ONLY: &str = "TIDEWIRE_BENCH_OPEN_ONLY";

/// A way of looking, and what it is called.
type Way = (&'static str, Ways, bool);

const WAYS: [Way; 4] = [
    ("full text alone", Ways::Words, false),
    ("vectors alone", Ways::Nearness, false),
    ("both", Ways::Both, false),
    ("both, reranked", Ways::Both, true),
];

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let questions = questions::read()?;
    let data = corpus::ingest(settings)?;
    let store = Arc::new(Sqlite::open(StoreSettings::new(&data)).map_err(io::Error::other)?);
    let desk = Arc::new(Desk::new(Arc::clone(&store) as _, Arc::new(SystemClock)));
    let retriever = Retriever::new(desk, Some(corpus::embedder().await?));
    let mut rows = Vec::new();
    let mut reached = f64::NAN;
    for way in WAYS {
        let open = recall(&retriever, &questions, way, false).await?;
        let held_out = match std::env::var_os(OPEN_ONLY) {
            Some(_) => f64::NAN,
            None => recall(&retriever, &questions, way, true).await?,
        };
        rows.push(vec![way.0.to_owned(), format!("{open:.2}"), format!("{held_out:.2}")]);
        reached = held_out;
    }
    store.close().await.map_err(io::Error::other)?;
    Ok(section(&questions, rows, reached))
}

fn section(questions: &[Question], rows: Vec<Vec<String>>, reached: f64) -> Section {
    let method = format!(
        "{} questions about this repository's documentation and the Z Shell Manual (480 pages, Debian's `zsh-doc`), see \
         `bench/evaluation`; a question counts if one of the first {FIRST} passages is the one that answers.",
        questions.len()
    );
    Section {
        title: "Recall (`recall`)",
        method,
        verdict: verdict(
            "recall@5 of both ways at least 0.85 on the held-out questions",
            reached >= RECALL,
            &format!("{reached:.2}"),
        ),
        columns: vec!["way", "recall@5, open questions", "recall@5, held-out questions"],
        rows,
    }
}

/// The share of the questions that are answered. Open ones that are not are named.
async fn recall(retriever: &Retriever, questions: &[Question], way: Way, held_out: bool) -> io::Result<f64> {
    let (name, ways, is_reranked) = way;
    let retriever = retriever.clone().by(ways);
    let mut hits = Vec::new();
    for question in questions.iter().filter(|question| question.held_out == held_out) {
        let found = retriever.retrieve(&Identity::local(), &question.ask, Breadth::Narrow).await;
        let mut found = found.map_err(io::Error::other)?;
        found = if is_reranked { rerank(&question.ask, found, FIRST) } else { found };
        found.truncate(FIRST);
        let is_hit = found.iter().any(|passage| question.is_answered_by(passage));
        hits.push(is_hit);
        if !is_hit && !held_out {
            eprintln!(
                "   {name}: {:?} wants {} › {}, got {}",
                question.ask,
                question.document,
                question.section,
                places(&found)
            );
        }
    }
    Ok(hits.iter().filter(|hit| **hit).count() as f64 / hits.len().max(1) as f64)
}

fn places(found: &[Passage]) -> String {
    let places = found.iter().map(|passage| {
        format!("{} › {} ({:.2})", passage.document, passage.heading().unwrap_or_default(), passage.score)
    });
    places.collect::<Vec<_>>().join(" | ")
}

/// An embedder that can be asked.
pub(super) async fn embedder() -> io::Result<Arc<dyn Embedder>> {
    corpus::embedder().await
}
