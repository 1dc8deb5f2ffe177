//! `tidewire import FILE --collection NAME`: rows become records, each exactly once.
//!
//! Here is what a person sees: progress, rejected rows, the end. How files are read and written is in [`crate::import`].

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;
use tidewire_engine::collections::check_name;
use tidewire_engine::collections::import::{Batch, Checkpoint};
use tidewire_engine::{Error, Result};

use super::{FolderArgs, Outcome, runtime, say};
use crate::import::{Format, Piece, Plan, Reject, fingerprint, read};
use crate::target::Target;

/// So many rejected rows are shown; the others are in the rejects file.
const SHOWN: u64 = 20;

/// What `tidewire import` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file: .csv, .tsv, .json (one array of objects), .ndjson or .jsonl.
    file: PathBuf,
    /// The collection that the rows go to; it is made when it does not exist.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// How the file is written, if its ending does not say.
    #[arg(long)]
    format: Option<Format>,
    /// Where rejected rows are kept [default: the file's name with .rejects].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Import a file once more that was imported before: its records are overwritten.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn run(args: ImportArgs) -> Outcome {
    let data = args.folder.load()?.data;
    runtime()?.block_on(import(args, &data))?;
    Ok(ExitCode::SUCCESS)
}

/// Imports a file into the data folder, through the server that owns it if there is one. Run again after it was
/// interrupted, it goes on where it was.
async fn import(args: ImportArgs, data: &Path) -> Result<()> {
    check_name(&args.collection)?;
    let format = args.format.map_or_else(|| Format::of(&args.file), Ok)?;
    let fingerprint = fingerprint(&args.file)?;
    let target = Target::open(data, args.folder.key.clone())?;
    let known = target.checkpoint(&args.collection, &fingerprint).await?.unwrap_or_default();
    if known.done && !args.again {
        say(format_args!(
            "{} is already imported into {}: {} records; use --again to import it once more",
            args.file.display(),
            args.collection,
            HumanCount(known.records)
        ));
        return target.close().await;
    }
    let from = if known.done { 0 } else { known.next };
    let job = Job { target, fingerprint, again: args.again && known.done, args };
    let outcome = job.import(format, from).await;
    let closed = job.target.close().await;
    outcome.and(closed)
}

/// One import.
struct Job {
    target: Target,
    fingerprint: String,
    again: bool,
    args: ImportArgs,
}

impl Job {
    async fn import(&self, format: Format, from: u64) -> Result<()> {
        let mut pieces = read(Plan {
            path: self.args.file.clone(),
            format,
            key: format!("{}_id", self.args.collection),
            fingerprint: self.fingerprint.clone(),
            from,
        })?;
        let progress = Progress::new(&self.args.file, from);
        let mut rejects = Rejects::new(self.rejects_path());
        let mut reached = Checkpoint::default();
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            progress.bar.suspend(|| rejects.add(&piece.rejects))?;
            progress.reach(&piece);
            let notes = piece.end.as_ref().map(|end| end.notes.clone()).unwrap_or_default();
            if piece.end.is_some() || !piece.rows.is_empty() && piece.rows.start >= from {
                reached = self.target.import(self.batch(piece, rejects.count)).await?;
            }
            progress.bar.suspend(|| notes.iter().for_each(say));
        }
        rejects.finish()?;
        progress.bar.finish_and_clear();
        self.summary(reached, &progress, &rejects);
        Ok(())
    }

    fn batch(&self, piece: Piece, rejected: u64) -> Batch {
        Batch {
            collection: self.args.collection.clone(),
            fingerprint: self.fingerprint.clone(),
            file: self.args.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            rows: piece.rows,
            records: piece.records,
            rejected,
            again: self.again,
            columns: piece.end.map(|end| end.columns),
        }
    }

    fn rejects_path(&self) -> PathBuf {
        self.args.rejects.clone().unwrap_or_else(|| {
            let mut name = self.args.file.clone().into_os_string();
            name.push(".rejects");
            name.into()
        })
    }

    fn summary(&self, reached: Checkpoint, progress: &Progress, rejects: &Rejects) {
        let (file, collection) = (self.args.file.display(), &self.args.collection);
        let seconds = progress.since.elapsed().as_secs_f64();
        let rows = reached.next.saturating_sub(progress.from);
        let rate = HumanCount((rows as f64 / seconds.max(0.001)) as u64);
        say(format_args!(
            "{collection}: {} records from {file}, {} rows in {seconds:.1} s ({rate} rows/s)",
            HumanCount(reached.records),
            HumanCount(rows),
        ));
        if rejects.count > 0 {
            say(format_args!("{} rows rejected, see {}", HumanCount(rejects.count), rejects.path.display()));
        }
    }
}

/// The bar.
struct Progress {
    bar: ProgressBar,
    from: u64,
    since: Instant,
}

impl Progress {
    fn new(file: &Path, from: u64) -> Self {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let bar = ProgressBar::new(size);
        let template = "{bar:30} {percent:>3}%  {rows} rows  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, from, since: Instant::now() }
    }

    fn reach(&self, piece: &Piece) {
        let (rows, seconds) = (piece.rows.end, self.since.elapsed().as_secs_f64());
        let rate = HumanCount((rows.saturating_sub(self.from) as f64 / seconds.max(0.001)) as u64);
        let template = "{bar:30} {percent:>3}%  {rows}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let text = format!("{} rows, {rate}/s", HumanCount(rows));
            let show =
                move |_: &ProgressState, out: &mut dyn std::fmt::Write| out.write_str(&text).unwrap_or(());
            self.bar.set_style(style.with_key("rows", show));
        }
        self.bar.set_position(piece.position);
    }
}

/// Rejected rows: the first on the screen, all in a file that is made with the first of them.
struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Rejects {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, count: 0 }
    }

    fn add(&mut self, rejects: &[Reject]) -> Result<()> {
        for reject in rejects {
            self.count += 1;
            if self.count <= SHOWN {
                warn(&format!("line {}: {}", reject.line, reject.reason));
            }
            self.keep(reject).map_err(|cause| self.unwritable(cause))?;
        }
        Ok(())
    }

    fn keep(&mut self, reject: &Reject) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(File::create(&self.path)?)),
        };
        let row = String::from_utf8_lossy(&reject.raw);
        let entry =
            json!({"line": reject.line, "reason": reject.reason, "row": row.trim_end_matches(['\r', '\n'])});
        writeln!(file, "{entry}")
    }

    fn finish(&mut self) -> Result<()> {
        if self.count > SHOWN {
            warn(&format!("and {} more", HumanCount(self.count - SHOWN)));
        }
        let flushed = self.file.as_mut().map_or(Ok(()), BufWriter::flush);
        flushed.map_err(|cause| self.unwritable(cause))
    }

    fn unwritable(&self, cause: io::Error) -> Error {
        let path = self.path.display();
        Error::unavailable(format!("{path} cannot be written ({cause}); name another file with --rejects"))
            .caused_by(cause)
    }
}

/// Writes a line to standard error; a closed terminal is no failure.
fn warn(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}
