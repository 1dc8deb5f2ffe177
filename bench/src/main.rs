//! The measured comparisons: `cargo xtask bench [case …]`.
//!
//! A server runs on one core, this program's load on the other. What counts is the server's CPU time per delivered
//! unit, read from `/proc`, and ratios between servers that were measured in turn (A B A B …), because machines are
//! noisy. Each case answers with rows; all of them together are `docs/benchmarks.md`.

mod bare;
mod cases;
mod client;
mod echo;
mod http;
mod peers;
mod process;
mod report;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

/// Measures cases and prints what they gave.
#[derive(Parser)]
pub(crate) struct Settings {
    /// Which cases: tokens, partials, idle, latency, records, notify, fanout, recall, retrieval, ingest, stalled, slow, echo. All if none is named.
    cases: Vec<String>,
    /// How many pairs of runs are compared.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The `tidewire` binary, built with optimisation.
    #[arg(long, default_value = "target/release/tidewire")]
    binary: PathBuf,
    /// The same with the embedding model, which reads documents.
    #[arg(long)]
    reader: Option<PathBuf>,
    /// Where peers are installed.
    #[arg(long, default_value = ".cache")]
    cache: PathBuf,
    /// Be the bare echo at this address instead, which the case `echo` compares with.
    #[arg(long)]
    serve_echo: Option<SocketAddr>,
    /// Write the report to this page, in which other cases stay as they are.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Settings {
    /// The binary that has the embedding model.
    pub(crate) fn reader(&self) -> &Path {
        self.reader.as_deref().unwrap_or(&self.binary)
    }
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(address) = settings.serve_echo {
        return runtime.block_on(echo::serve(address));
    }
    let mut sections = Vec::new();
    for case in cases::chosen(&settings.cases)? {
        eprintln!("── {}", case.name);
        let section = report::told(&runtime.block_on((case.run)(settings))?, case.profile);
        eprintln!("{section}");
        sections.push(section);
    }
    match &settings.out {
        Some(path) => report::write(path, sections),
        None => Ok(()),
    }
}
