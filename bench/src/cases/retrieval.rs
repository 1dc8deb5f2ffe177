//! Retrieval: how fast passages are found among a hundred thousand.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tidewire_engine::agent::retrieval::{
    Breadth, DOCUMENTS, EMBEDDING, PARTS, Retriever, TEXT, packed, rerank,
};
use tidewire_engine::collections::Desk;
use tidewire_engine::collections::documents::Document;
use tidewire_engine::edit::Edit;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::{Embedder, Status};
use tidewire_engine::store::sqlite::{Settings as StoreSettings, Sqlite};
use tidewire_engine::{Identity, RecordId, Result};

use crate::Settings;
use crate::report::{Section, verdict};

const PASSAGES: usize = 100_000;
const QUESTIONS: usize = 300;
/// The longest time that 95 of 100 questions may take, in milliseconds.
const MOST: f64 = 20.0;
const WARM_UP: usize = 20;
const BATCH: usize = 2_000;
const DIMENSION: usize = 384;
/// Sentences of a passage, each with a vector of its own.
const SENTENCES: usize = 6;
/// Passages are about so many things: their vectors lie in clusters.
const THINGS: usize = 1_000;
const VOCABULARY: usize = 30_000;
/// So many of the most frequent words are not asked for: questions are searched without them.
const COMMON: usize = 100;
/// Words of a passage, and of a question.
const LONG: usize = 110;
const SHORT: usize = 7;

/// Draws numbers; the same ones each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, by the central limit.
    fn normal(&mut self) -> f64 {
        (0..6).map(|_| self.share()).sum::<f64>() - 3.0
    }

    /// So many words from this rank on; the first ones are far more frequent, as in languages (Zipf).
    fn words(&mut self, count: usize, from: usize) -> String {
        let span = VOCABULARY as f64 / from as f64;
        let ranks = (0..count).map(|_| (from as f64 * span.powf(self.share())) as u64);
        ranks.map(word).collect::<Vec<_>>().join(" ")
    }

    /// A vector near that of a thing.
    fn vector(&mut self, thing: usize) -> Vec<f32> {
        let mut centre = Dice(thing as u64 * 7919);
        let vector: Vec<f64> = (0..DIMENSION).map(|_| centre.normal() + 0.8 * self.normal()).collect();
        let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
        vector.iter().map(|number| (number / length) as f32).collect()
    }

    fn thing(&mut self) -> usize {
        self.next() as usize % THINGS
    }
}

/// The word of a rank: some syllables, always the same.
fn word(rank: u64) -> String {
    let mut dice = Dice(rank.wrapping_mul(31));
    let syllables = 2 + dice.next() % 3;
    (0..syllables).fold(String::new(), |word, _| {
        let drawn = dice.next();
        let (consonant, vowel) =
            (b"bdfghklmnprstvwz"[(drawn % 16) as usize], b"aeiou"[(drawn >> 8) as usize % 5]);
        word + &format!("{}{}", char::from(consonant), char::from(vowel))
    })
}

/// Knows the question's vector: its embedding is not what is measured.
#[derive(Default)]
struct Prepared(Mutex<Vec<f32>>);

#[async_trait]
impl Embedder for Prepared {
    fn name(&self) -> &str {
        "prepared"
    }

    async fn embed(&self, _: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()])
    }

    fn status(&self) -> Status {
        Status::Ready
    }
}

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let folder = tempfile::tempdir_in(&settings.cache)?;
    let store = Arc::new(Sqlite::open(StoreSettings::new(folder.path())).map_err(io::Error::other)?);
    let desk = Arc::new(Desk::new(Arc::clone(&store) as _, Arc::new(SystemClock)));
    let mut dice = Dice(1);
    fill(&desk, &mut dice).await.map_err(io::Error::other)?;
    eprintln!("   {PASSAGES} passages are there");
    let times = times(&desk, &mut dice).await.map_err(io::Error::other)?;
    store.close().await.map_err(io::Error::other)?;
    Ok(section(&times))
}

fn section(times: &[f64]) -> Section {
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let figures = [0.5, 0.95, 1.0].map(|share| format!("{:.1}", at(share)));
    Section {
        title: "Retrieval (`retrieval`)",
        method: format!(
            "The time of one retrieval, both ways and reranked, among {PASSAGES} passages with synthetic texts and vectors, and one vector \
             for each of {SENTENCES} sentences, on one core, without the embedding of the question; {QUESTIONS} questions one after the other."
        ),
        verdict: verdict(
            "a retrieval takes at most 20 ms p95",
            at(0.95) <= MOST,
            &format!("{:.1} ms", at(0.95)),
        ),
        columns: vec!["p50, ms", "p95, ms", "longest, ms"],
        rows: vec![figures.to_vec()],
    }
}

/// How long each question takes, in milliseconds, shortest first.
async fn times(desk: &Arc<Desk>, dice: &mut Dice) -> Result<Vec<f64>> {
    let prepared = Arc::new(Prepared::default());
    let retriever = Retriever::new(Arc::clone(desk) as _, Some(Arc::clone(&prepared) as _));
    for _ in 0..WARM_UP {
        ask(&retriever, &prepared, dice).await?;
    }
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        times.push(ask(&retriever, &prepared, dice).await?.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

async fn ask(retriever: &Retriever, prepared: &Prepared, dice: &mut Dice) -> Result<Duration> {
    let (thing, question) = (dice.thing(), dice.words(SHORT, COMMON));
    *prepared.0.lock().unwrap_or_else(PoisonError::into_inner) = dice.vector(thing);
    let begin = Instant::now();
    let found = retriever.retrieve(&Identity::local(), &question, Breadth::Narrow).await?;
    let best = rerank(&question, found, 5);
    let time = begin.elapsed();
    assert!(!best.is_empty(), "something is always near");
    Ok(time)
}

async fn fill(desk: &Desk, dice: &mut Dice) -> Result<()> {
    // It gives the collection the schema that an ingest gives it.
    let empty = Document {
        collection: DOCUMENTS.into(),
        document: "empty".into(),
        title: String::new(),
        source: String::new(),
        url: None,
        passages: Vec::new(),
        words_only: true,
    };
    desk.put_document(&Identity::local(), empty).await?;
    for begin in (0..PASSAGES).step_by(BATCH) {
        let edits = (begin..begin + BATCH).map(|number| passage(number, dice)).collect();
        for outcome in desk.edit(&Identity::local(), DOCUMENTS, edits, false).await? {
            outcome?;
        }
    }
    Ok(())
}

fn passage(number: usize, dice: &mut Dice) -> Edit {
    let (document, thing) = (number / 100, dice.thing());
    let vector: Vec<f64> =
        dice.vector(thing).into_iter().map(|n| (f64::from(n) * 1e6).round() / 1e6).collect();
    let body = json!({
        "document": format!("docs/{document}.md"),
        "title": format!("Document {document}"),
        "source": format!("docs/{document}.md"),
        "section": dice.words(3, COMMON),
        "position": number % 100,
        TEXT: dice.words(LONG, 1),
        EMBEDDING: vector,
        PARTS: (0..SENTENCES).flat_map(|_| packed(&dice.vector(thing))).collect::<Vec<_>>(),
    });
    let Value::Object(body) = body else { unreachable!("it is one") };
    Edit::Insert { id: Some(RecordId(format!("docs/{document}.md-{:05}", number % 100))), body, ttl: None }
}
