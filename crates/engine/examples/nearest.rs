//! How long retrieval takes: words, nearness, and both, over synthetic documents.
//!
//! ```sh
//! cargo run --release -p tidewire-engine --no-default-features --example nearest -- 100000 384
//! ```

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_engine::query::{Body, Search, TextSearch, VectorSearch};
use tidewire_engine::schema::Metric;
use tidewire_engine::store::sqlite::{Settings, Sqlite};
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{RecordId, Timestamp};

/// So many documents are written together.
const BATCH: usize = 1_000;
/// So many searches of each kind are timed.
const SEARCHES: usize = 200;

/// Numbers that look random and are the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// About normal: the mean of four uniform numbers, -1 to 1.
    fn number(&mut self) -> f32 {
        let sum: u64 = (0..4).map(|_| self.below(2_001)).sum();
        (sum as f32 / 4.0 - 1_000.0) / 1_000.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.number()).collect()
    }

    /// Words of a vocabulary of 20,000, some far more often than others.
    fn text(&mut self, words: usize) -> String {
        let word = |random: &mut Self| {
            let limit = 1 + random.below(20_000);
            format!("word{}", random.below(limit))
        };
        (0..words).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(100_000);
    let dimension = numbers.get(1).copied().unwrap_or(384);
    let folder = tempfile::tempdir()?;
    let store = Sqlite::open(Settings::new(folder.path()))?;
    let mut random = Random(1);
    let began = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let batch = (first..count.min(first + BATCH)).map(|n| document(n, dimension, &mut random)).collect();
        store.commit(&"bench".into(), Timestamp(0), batch).await?;
    }
    report("documents", &[began.elapsed()]);
    for kind in ["words", "nearness", "both"] {
        let began = Instant::now();
        store.search(&search(kind, dimension, &mut random)).await?;
        report(&format!("{kind}, first (builds what it needs)"), &[began.elapsed()]);
        let (mut times, cpu) = (Vec::with_capacity(SEARCHES), cpu_time());
        for _ in 0..SEARCHES {
            let search = search(kind, dimension, &mut random);
            let began = Instant::now();
            store.search(&search).await?;
            times.push(began.elapsed());
        }
        let cpu = (cpu_time() - cpu) / SEARCHES as u32;
        times.sort();
        report(&format!("{kind}, {cpu:.2?} of CPU each"), &times);
    }
    store.close().await?;
    Ok(())
}

/// The process's time on the processors, which other people's work does not lengthen; 0 where `/proc` is not there.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 =
        stat.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn document(number: usize, dimension: usize, random: &mut Random) -> Write {
    let vector: Vec<Value> = random.vector(dimension).into_iter().map(|n| json!(n)).collect();
    let mut body = Body::new();
    body.insert("text".into(), random.text(60).into());
    body.insert("embedding".into(), vector.into());
    Write::new("documents", RecordId(number.to_string()), Operation::Insert(body))
}

fn search(kind: &str, dimension: usize, random: &mut Random) -> Search {
    let text = TextSearch { prefix: false, ..TextSearch::typed(random.text(4)) };
    let vector = VectorSearch {
        field: "embedding".into(),
        vector: random.vector(dimension),
        metric: Some(Metric::Cosine),
        k: 40,
        threshold: None,
        weight: 1.0,
    };
    Search {
        text: (kind != "nearness").then_some(text),
        vector: (kind != "words").then_some(vector),
        ..Search::words("documents", "", 10)
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn report(what: &str, times: &[Duration]) {
    let at =
        |share: f64| times.get(((times.len() as f64 - 1.0) * share) as usize).copied().unwrap_or_default();
    println!("{what}: p50 {:.2?}, p95 {:.2?}, {} times", at(0.5), at(0.95), times.len());
}
