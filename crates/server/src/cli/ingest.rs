//! `tidewire ingest PATH…`: documents become passages that retrieval finds.
//!
//! Here is what a person sees, and the order of work: files are read ahead while passages are embedded, and what was
//! embedded is written while the next ones are. How files are read and written is in [`crate::ingest`].

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tidewire_engine::agent::retrieval::DOCUMENTS;
use tidewire_engine::collections::check_name;
use tidewire_engine::collections::documents::{Document, MAX_PASSAGES, NewPassage, Outcome, is_part, part};
use tidewire_engine::model::choose::embedder;
use tidewire_engine::model::{Embedder, Status};
use tidewire_engine::{Code, Error, Result};
use tokio::sync::mpsc;

use super::{FolderArgs, Outcome as Ending, runtime, say};
use crate::ingest::paths::{Found, find};
use crate::ingest::text::Text;
use crate::ingest::{Limits, chunks, embedded, hash, read, this_program};
use crate::start::model_settings;
use crate::target::Target;

/// So many texts wait to be embedded before the documents that they are of are put.
const POOL: usize = 1024;
/// So many documents are put together.
const DOCUMENTS_PUT: usize = 256;
/// So many vectors are asked for at once.
const ASKED: usize = 5_000;
/// So many are embedded at once: those of like length, because the shorter ones are padded.
const BATCH: usize = 32;
/// So many files are read ahead.
const AHEAD: usize = 4;
/// How often, and how many times, a loading model is looked at.
const LOADING_LOOK: Duration = Duration::from_millis(100);
const LOADING_LOOKS: u32 = 600;
/// What stands for the model where passages have no vectors.
const NO_MODEL: &str = "words";

/// What `tidewire ingest` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct IngestArgs {
    /// Files, or folders with text, Markdown, HTML, PDF, CSV or JSON.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The collection that the passages go to; it is made when it does not exist.
    #[arg(long, value_name = "NAME", default_value = DOCUMENTS)]
    collection: String,
    /// Leave vectors out: passages are then found by their words alone.
    #[arg(long)]
    words_only: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn run(args: IngestArgs) -> Ending {
    let config = args.folder.load()?;
    let failed = runtime()?.block_on(async {
        check_name(&args.collection)?;
        let here = std::env::current_dir().map_err(Error::internal)?;
        let files = find(&args.paths, &here)?;
        let embedder =
            if args.words_only { None } else { Some(ready(embedder(&model_settings(&config))).await?) };
        let target = Target::open(&config.data, args.folder.key.clone())?;
        let job = Job {
            target,
            embedder,
            collection: args.collection,
            limits: args.limits,
            progress: Progress::new(&files),
        };
        job.run(files).await
    })?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The embedder, once it can be asked.
async fn ready(embedder: Option<Arc<dyn Embedder>>) -> Result<Arc<dyn Embedder>> {
    let otherwise = "or use --words-only to do without vectors";
    let Some(embedder) = embedder else {
        return Err(Error::unavailable(format!(
            "this build has no embedding model; build with the feature `embedded`, {otherwise}"
        )));
    };
    for _ in 0..LOADING_LOOKS {
        match embedder.status() {
            Status::Loading => tokio::time::sleep(LOADING_LOOK).await,
            Status::Ready => return Ok(embedder),
            Status::Missing(why) | Status::Failed(why) => {
                return Err(Error::unavailable(format!(
                    "the embedding model cannot be used: {why}, {otherwise}"
                )));
            }
        }
    }
    Err(Error::unavailable(format!(
        "the embedding model takes too long to load; run this again, {otherwise}"
    )))
}

/// One ingest.
struct Job {
    target: Target,
    embedder: Option<Arc<dyn Embedder>>,
    collection: String,
    limits: Limits,
    progress: Progress,
}

/// A file as it was read.
struct Read {
    file: Found,
    text: Result<Text>,
}

/// What was read and is not yet put.
#[derive(Default)]
struct Pool {
    documents: Vec<(Document, u64)>,
    /// Passages and parts without a vector: their names, and what is to be embedded.
    missing: Vec<(String, String)>,
    hashes: HashSet<String>,
}

/// What was done altogether.
#[derive(Default)]
struct Sum {
    documents: usize,
    failed: usize,
    embedded: usize,
    outcome: Outcome,
}

impl Job {
    /// Does it; gives how many files failed.
    async fn run(self, files: Vec<Found>) -> Result<usize> {
        let program = this_program()?;
        let (sender, mut texts) = mpsc::channel(AHEAD);
        let reader = tokio::spawn(read_all(program, self.limits, files, sender));
        let mut sum = Sum::default();
        let outcome = self.work(&mut texts, &mut sum).await;
        reader.abort();
        self.progress.bar.finish_and_clear();
        let closed = self.target.close().await;
        outcome.and(closed)?;
        summary(&sum, &self.collection, self.progress.since.elapsed());
        Ok(sum.failed)
    }

    async fn work(&self, texts: &mut mpsc::Receiver<Read>, sum: &mut Sum) -> Result<()> {
        let mut pool = Pool::default();
        while let Some(Read { file, text }) = texts.recv().await {
            match text {
                Ok(text) => self.add(&mut pool, file, text).await?,
                Err(error) => self.fail(&error, file.size, sum),
            }
            if pool.missing.len() >= POOL || pool.documents.len() >= DOCUMENTS_PUT {
                self.settle(std::mem::take(&mut pool), sum).await?;
            }
        }
        self.settle(pool, sum).await
    }

    /// Takes a document into the pool, and of its passages those that have no vector.
    async fn add(&self, pool: &mut Pool, file: Found, text: Text) -> Result<()> {
        let model = self.embedder.as_ref().map_or(NO_MODEL, |embedder| embedder.name());
        let title = text.title.clone().unwrap_or_else(|| stem(&file.path));
        let mut passages = Vec::new();
        let mut texts = Vec::new();
        for chunk in chunks(&text) {
            let embedded = embedded(&title, &chunk);
            let (hash, parts) = (hash(model, &embedded), embedded.len() - 1);
            let is_new = self.embedder.is_some() && pool.hashes.insert(hash.clone());
            texts.extend(named(&hash, embedded).filter(|_| is_new));
            let parts = if self.embedder.is_some() { parts } else { 0 };
            passages.push(NewPassage {
                section: chunk.section,
                page: chunk.page,
                text: chunk.text,
                hash,
                parts,
            });
        }
        self.progress.note(&text.notes, &file.name);
        if passages.len() <= MAX_PASSAGES {
            self.add_missing(pool, texts).await?;
        }
        let document = Document {
            collection: self.collection.clone(),
            document: file.name.clone(),
            title,
            source: file.name,
            url: None,
            passages,
            words_only: self.embedder.is_none(),
        };
        pool.documents.push((document, file.size));
        Ok(())
    }

    /// Takes the texts without a vector into the pool.
    async fn add_missing(&self, pool: &mut Pool, texts: Vec<(String, String)>) -> Result<()> {
        for piece in texts.chunks(ASKED) {
            let names = piece.iter().map(|(name, _)| name.clone()).collect();
            let missing = self.target.missing(&self.collection, names).await?;
            let missing: HashSet<String> = missing.into_iter().collect();
            pool.missing.extend(piece.iter().filter(|(name, _)| missing.contains(name)).cloned());
        }
        Ok(())
    }

    /// Embeds what has no vector, and puts the documents.
    async fn settle(&self, pool: Pool, sum: &mut Sum) -> Result<()> {
        let bytes: u64 = pool.documents.iter().map(|(_, size)| size).sum();
        if let Some(embedder) = &self.embedder {
            sum.embedded += pool.missing.iter().filter(|(name, _)| !is_part(name)).count();
            self.embed(embedder.as_ref(), pool.missing, bytes).await?;
        }
        for (document, size) in pool.documents {
            let name = document.document.clone();
            match self.target.put(document).await {
                Ok(outcome) => sum.add(outcome),
                Err(error) if matches!(error.code, Code::TooLarge | Code::Invalid) => {
                    let error = Error::new(error.code, format!("{name}: {}", error.message));
                    self.fail(&error, 0, sum);
                }
                Err(error) => return Err(error),
            }
            self.progress.bar.set_message(name);
            self.progress.done(size);
        }
        Ok(())
    }

    /// Embeds texts in batches; while one is embedded, the one before it is brought away.
    async fn embed(
        &self,
        embedder: &dyn Embedder,
        mut missing: Vec<(String, String)>,
        bytes: u64,
    ) -> Result<()> {
        missing.sort_by_key(|(_, text)| text.len());
        let (count, mut done) = (missing.len(), 0);
        let mut ready: Vec<(String, Vec<f32>)> = Vec::new();
        for batch in missing.chunks(BATCH) {
            let texts = batch.iter().map(|(_, text)| text.clone()).collect();
            let (vectors, kept) = tokio::join!(embedder.embed(texts), self.keep(std::mem::take(&mut ready)));
            kept?;
            ready = batch.iter().map(|(hash, _)| hash.clone()).zip(vectors?).collect();
            done += batch.len();
            self.progress.embedded(done, count, bytes);
        }
        self.keep(ready).await
    }

    async fn keep(&self, vectors: Vec<(String, Vec<f32>)>) -> Result<()> {
        if vectors.is_empty() { Ok(()) } else { self.target.keep(&self.collection, vectors).await }
    }

    /// Says why a file is left out; the others go on.
    fn fail(&self, error: &Error, size: u64, sum: &mut Sum) {
        sum.failed += 1;
        self.progress.warn(&error.message);
        self.progress.done(size);
    }
}

async fn read_all(program: PathBuf, limits: Limits, files: Vec<Found>, texts: mpsc::Sender<Read>) {
    for file in files {
        let text = read(&program, &file.path, limits).await;
        if texts.send(Read { file, text }).await.is_err() {
            return;
        }
    }
}

/// The texts that are embedded of a passage, under the names of their vectors.
fn named(hash: &str, embedded: Vec<String>) -> impl Iterator<Item = (String, String)> + '_ {
    embedded.into_iter().enumerate().map(move |(place, text)| match place.checked_sub(1) {
        None => (hash.to_owned(), text),
        Some(place) => (part(hash, place), text),
    })
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.documents += 1;
        self.outcome.written += outcome.written;
        self.outcome.kept += outcome.kept;
        self.outcome.removed += outcome.removed;
    }
}

fn summary(sum: &Sum, collection: &str, time: Duration) {
    let Outcome { written, kept, removed } = sum.outcome;
    let count = |number: usize| HumanCount(number as u64);
    say(format_args!(
        "{collection}: {}, {} written ({} embedded), {} unchanged, {} removed, in {:.1} s",
        many(sum.documents, "document"),
        many(written, "passage"),
        count(sum.embedded),
        count(kept),
        count(removed),
        time.as_secs_f64()
    ));
    if sum.failed > 0 {
        say(format_args!("{} left out", many(sum.failed, "file")));
    }
}

fn many(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number as u64), if number == 1 { "" } else { "s" })
}

/// The bar: bytes of files that are done.
struct Progress {
    bar: ProgressBar,
    since: Instant,
    /// Of the documents that are put.
    done: Cell<u64>,
}

impl Progress {
    fn new(files: &[Found]) -> Self {
        let bar = ProgressBar::new(files.iter().map(|file| file.size).sum());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {wide_msg}  {eta} left") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, since: Instant::now(), done: Cell::new(0) }
    }

    /// So many of the passages of a pool are embedded, whose files have so many bytes.
    fn embedded(&self, done: usize, count: usize, bytes: u64) {
        self.bar.set_message(format!("{done} of {count} texts embedded"));
        let share = bytes as f64 * done as f64 / count.max(1) as f64;
        self.bar.set_position(self.done.get() + share as u64);
    }

    fn done(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
        self.bar.set_position(self.bar.position().max(self.done.get()));
    }

    fn note(&self, notes: &[String], name: &str) {
        notes.iter().for_each(|note| self.warn(&format!("{name}: {note}")));
    }

    /// Writes a line to standard error; a closed terminal is no failure.
    fn warn(&self, line: &str) {
        self.bar.suspend(|| writeln!(io::stderr(), "tidewire: {line}").ok());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use tidewire_engine::query::Query;
    use tidewire_engine::store::Store as _;
    use tidewire_engine::store::sqlite::{Settings, Sqlite};
    use tokio::sync::Notify;

    use super::*;

    /// Counts what it embeds; after so many batches it gets stuck.
    struct Counting {
        embedded: Mutex<HashMap<String, usize>>,
        batches: AtomicUsize,
        stuck: Notify,
    }

    #[async_trait]
    impl Embedder for Counting {
        fn name(&self) -> &str {
            "counting"
        }

        async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
            if self
                .batches
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_err()
            {
                self.stuck.notify_one();
                std::future::pending::<()>().await;
            }
            let mut embedded = self.embedded.lock().unwrap();
            texts.iter().for_each(|text| *embedded.entry(text.clone()).or_default() += 1);
            Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
        }

        fn status(&self) -> Status {
            Status::Ready
        }
    }

    async fn ingest(data: &Path, files: &Path, embedder: Arc<dyn Embedder>) -> Result<usize> {
        let files = find(&[files.to_owned()], files)?;
        let job = Job {
            target: Target::open(data, None)?,
            embedder: Some(embedder),
            collection: DOCUMENTS.into(),
            limits: Limits { memory: 2048, seconds: 120 },
            progress: Progress::new(&files),
        };
        job.run(files).await
    }

    #[tokio::test]
    async fn what_was_embedded_before_an_interruption_is_not_embedded_again() {
        let folder = tempfile::tempdir().unwrap();
        let (data, docs) = (folder.path().join("data"), folder.path().join("docs"));
        fs::create_dir(&docs).unwrap();
        for number in 0..90 {
            let text = format!(
                "# Document {number}\n\nThe first sentence of document {number} is long enough to be a part by itself.\n\
                 The second sentence of document {number} is as long as the first one, or nearly so.\n"
            );
            fs::write(docs.join(format!("{number}.md")), text).unwrap();
        }
        let counting = |batches| {
            let (batches, stuck) = (AtomicUsize::new(batches), Notify::new());
            Arc::new(Counting { embedded: Mutex::default(), batches, stuck })
        };
        let (first, second) = (counting(5), counting(usize::MAX));
        tokio::select! {
            _ = ingest(&data, &docs, Arc::clone(&first) as _) => panic!("it gets stuck"),
            () = first.stuck.notified() => {}
        }
        assert_eq!(ingest(&data, &docs, Arc::clone(&second) as _).await.unwrap(), 0);
        let mut times = first.embedded.lock().unwrap().clone();
        second
            .embedded
            .lock()
            .unwrap()
            .iter()
            .for_each(|(text, count)| *times.entry(text.clone()).or_default() += count);
        assert_eq!(times.len(), 270, "each passage and two sentences of it");
        let again = times.values().filter(|count| **count > 1).count();
        assert!(again <= BATCH, "at most what was on its way to the folder: {again}");
        let store = Sqlite::open(Settings::new(&data)).unwrap();
        let passages = store.query(&Query::all(DOCUMENTS, 1_000)).await.unwrap();
        assert_eq!(passages.len(), 90);
        assert!(
            passages
                .iter()
                .all(|passage| passage.body["parts"].as_array().is_some_and(|parts| parts.len() == 2))
        );
        store.close().await.unwrap();
    }
}
