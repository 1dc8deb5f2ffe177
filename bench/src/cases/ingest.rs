//! Ingest: how much of the embedding model's own speed is left when documents are read, cut and written beside it.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tidewire_engine::agent::retrieval::{DOCUMENTS, EMBEDDING, PARTS, Passage};
use tidewire_engine::model::Embedder;
use tidewire_engine::query::{Body, Query};
use tidewire_engine::store::Store as _;
use tidewire_engine::store::sqlite::{Settings as StoreSettings, Sqlite};

use crate::Settings;
use crate::report::{Section, median, spread, verdict};

/// What is ingested.
const FOLDER: &str = "docs/guide";
/// As many texts as the ingest embeds at once, in its order.
const BATCH: usize = 32;

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let embedder = super::recall::embedder().await?;
    let (mut ours, mut alone) = (Vec::new(), Vec::new());
    let (mut count, mut all) = (0, 0);
    for _ in 0..settings.pairs.min(3) {
        let data = tempfile::tempdir_in(&settings.cache)?;
        let seconds = ingest(settings, data.path())?;
        let (passages, texts) = texts(data.path()).await?;
        (count, all) = (passages, texts.len());
        ours.push(count as f64 / seconds);
        alone.push(count as f64 / embed(embedder.as_ref(), texts).await?);
    }
    let shares: Vec<f64> = ours.iter().zip(&alone).map(|(ours, alone)| ours / alone).collect();
    let share = median(&shares);
    Ok(Section {
        title: "Ingest (`ingest`)",
        method: format!(
            "`tidewire ingest {FOLDER}` into an empty data folder, {count} passages with their sentences, {all} texts, beside the embedding of \
             the same texts and nothing else, in turn, both on one core. The model's loading is left out of both."
        ),
        verdict: verdict(
            "at least 90 % of the model's own throughput",
            share >= 0.9,
            &format!("{:.0} %", share * 100.0),
        ),
        columns: vec!["what", "passages a second"],
        rows: vec![
            vec!["ingest".into(), spread(&ours, 2)],
            vec!["embedding alone".into(), spread(&alone, 2)],
            vec!["share".into(), spread(&shares, 2)],
        ],
    })
}

/// Ingests; gives the seconds that it says it took.
fn ingest(settings: &Settings, data: &Path) -> io::Result<f64> {
    let output = Command::new(settings.reader()).args(["ingest", FOLDER, "--data"]).arg(data).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let seconds = said
        .split(" in ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok());
    seconds.filter(|_| output.status.success()).ok_or_else(|| {
        io::Error::other(format!("ingest failed: {said}{}", String::from_utf8_lossy(&output.stderr)))
    })
}

/// How many passages there are, and what was embedded of them, in the order in which ingest embeds it.
async fn texts(data: &Path) -> io::Result<(usize, Vec<String>)> {
    let store = Sqlite::open(StoreSettings::new(data)).map_err(io::Error::other)?;
    let records = store.query(&Query::all(DOCUMENTS, usize::MAX)).await.map_err(io::Error::other)?;
    store.close().await.map_err(io::Error::other)?;
    let length = |body: &Body, name| body.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    // Six numbers of a vector are one of the parts'.
    let parts = |body: &Body| length(body, PARTS) / length(body, EMBEDDING).div_ceil(6).max(1);
    let expected: usize = records.iter().map(|record| 1 + parts(&record.body)).sum();
    let count = records.len();
    let passages = records.into_iter().filter_map(|record| Passage::read(DOCUMENTS, record));
    let mut texts: Vec<String> = passages.flat_map(embedded).collect();
    if texts.len().abs_diff(expected) * 50 > expected {
        let (found, cut) = (expected, texts.len());
        return Err(io::Error::other(format!(
            "ingest embedded {found} texts and this case {cut}; cut alike"
        )));
    }
    texts.sort_by_key(String::len);
    Ok((count, texts))
}

/// What is embedded of a passage: the whole under its headings, and its sentences and lines under the innermost two.
fn embedded(passage: Passage) -> Vec<String> {
    let section = passage.section.unwrap_or(passage.title);
    let headings: Vec<&str> = section.split(" › ").collect();
    let place = headings[headings.len().saturating_sub(2)..].join(" › ");
    let mut parts: Vec<String> = Vec::new();
    let mut open = String::new();
    for sentence in passage.text.lines().flat_map(|line| line.split_inclusive(". ")) {
        open = format!("{open} {}", sentence.trim()).trim().to_owned();
        if tokens(&open) >= 10 {
            parts.push(format!("{place}\n{}", std::mem::take(&mut open)));
        }
    }
    match parts.last_mut() {
        Some(last) => last.push_str(&open),
        None => parts.push(open),
    }
    let whole = format!("{section}\n{}", passage.text);
    if parts.len() < 2 { vec![whole] } else { std::iter::once(whole).chain(parts).collect() }
}

/// About how many the model reads.
fn tokens(text: &str) -> usize {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let signs = text.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace()).count();
    words.map(|word| 1 + (word.chars().count() - 1) / 6).sum::<usize>() + signs
}

async fn embed(embedder: &dyn Embedder, texts: Vec<String>) -> io::Result<f64> {
    let begin = Instant::now();
    for batch in texts.chunks(BATCH) {
        embedder.embed(batch.to_vec()).await.map_err(io::Error::other)?;
    }
    Ok(begin.elapsed().as_secs_f64())
}
