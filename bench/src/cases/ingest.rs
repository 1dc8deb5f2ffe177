//! Ingest: how much of the embedding model's own speed is left when documents are read, cut and written beside it.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tidewire_engine::agent::retrieval::{DOCUMENTS, Passage};
use tidewire_engine::model::Embedder;
use tidewire_engine::query::Query;
use tidewire_engine::store::Store as _;
use tidewire_engine::store::sqlite::{Settings as StoreSettings, Sqlite};

use crate::Settings;
use crate::report::{Section, median, spread, verdict};

/// What is ingested.
const FOLDER: &str = "docs/guide";
/// As many texts as the ingest embeds at once, in its order.
const BATCH: usize = 32;

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let embedder = super::retrieval::embedder().await?;
    let (mut ours, mut alone, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..settings.pairs.min(3) {
        let data = tempfile::tempdir_in(&settings.cache)?;
        let seconds = ingest(settings, data.path())?;
        let texts = texts(data.path()).await?;
        count = texts.len();
        ours.push(count as f64 / seconds);
        alone.push(count as f64 / embed(embedder.as_ref(), texts).await?);
    }
    let shares: Vec<f64> = ours.iter().zip(&alone).map(|(ours, alone)| ours / alone).collect();
    let share = median(&shares);
    Ok(Section {
        title: "Ingest (`ingest`)",
        method: format!(
            "`tidewire ingest {FOLDER}` into an empty data folder, {count} passages, beside the embedding of the same texts \
             and nothing else, in turn, both on one core. The model's loading is left out of both."
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
    let output = Command::new(&settings.binary).args(["ingest", FOLDER, "--data"]).arg(data).output()?;
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

/// What was embedded: titles, headings and texts, in the order in which ingest embeds them.
async fn texts(data: &Path) -> io::Result<Vec<String>> {
    let store = Sqlite::open(StoreSettings::new(data)).map_err(io::Error::other)?;
    let records = store.query(&Query::all(DOCUMENTS, usize::MAX)).await.map_err(io::Error::other)?;
    store.close().await.map_err(io::Error::other)?;
    let passages = records.into_iter().filter_map(|record| Passage::read(DOCUMENTS, record));
    let mut texts: Vec<String> = passages
        .map(|passage| format!("{}\n{}", passage.section.unwrap_or_default(), passage.text))
        .collect();
    texts.sort_by_key(String::len);
    Ok(texts)
}

async fn embed(embedder: &dyn Embedder, texts: Vec<String>) -> io::Result<f64> {
    let begin = Instant::now();
    for batch in texts.chunks(BATCH) {
        embedder.embed(batch.to_vec()).await.map_err(io::Error::other)?;
    }
    Ok(begin.elapsed().as_secs_f64())
}
