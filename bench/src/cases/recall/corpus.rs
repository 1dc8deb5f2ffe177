//! The documents of the evaluation set, ingested by the binary under measurement.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tidewire_engine::model::choose::{self, Settings as ModelSettings};
use tidewire_engine::model::{Embedder, Status};

use crate::Settings;

/// The package, and the manual in it.
const PACKAGE: &str = "zsh-doc";
const MANUAL: &str = "usr/share/doc/zsh-common/zsh.pdf";
/// This repository's documentation.
const DOCUMENTS: [&str; 5] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"];

/// Ingests the documents into a folder of the cache; passages that are there already are not embedded again.
pub(super) fn ingest(settings: &Settings) -> io::Result<PathBuf> {
    let folder = settings.cache.join("evaluation");
    fs::create_dir_all(&folder)?;
    let (manual, data) = (manual(&folder)?, folder.join("data"));
    let mut command = Command::new(settings.reader());
    command.arg("ingest").args(DOCUMENTS).arg(manual).arg("--data").arg(&data);
    run(&mut command)?;
    Ok(data)
}

/// The manual, fetched once.
fn manual(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join(MANUAL);
    if path.is_file() {
        return Ok(path);
    }
    run(Command::new("apt-get").args(["download", PACKAGE]).current_dir(folder))?;
    let packages = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let package = packages.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let package = package.ok_or_else(|| io::Error::other(format!("apt-get brought no package {PACKAGE}")))?;
    run(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
    Ok(path)
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed: {status}"))) }
}

/// The embedding model, once it is loaded.
pub(super) async fn embedder() -> io::Result<Arc<dyn Embedder>> {
    let missing = || io::Error::other("the embedding model is not there; run cargo xtask up once");
    let embedder = choose::embedder(&ModelSettings::default()).ok_or_else(missing)?;
    while embedder.status() == Status::Loading {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if embedder.status() == Status::Ready { Ok(embedder) } else { Err(missing()) }
}
