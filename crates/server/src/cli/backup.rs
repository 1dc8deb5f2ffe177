//! `tidewire backup`: copies the data folder, also while a server uses it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tidewire_engine::store::sqlite::{Settings, Sqlite};
use tidewire_engine::{Code, Error, Result};

use super::{FolderArgs, Outcome, runtime, say};
use crate::backup::{self, Taken};
use crate::owner::Owner;

/// A server that takes longer for a copy is given up; what it makes stays in its folder.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What `tidewire backup` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct BackupArgs {
    /// Where the copy goes; it must not exist. `tidewire serve --data FOLDER` serves it.
    #[arg(value_name = "FOLDER")]
    target: PathBuf,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn run(args: BackupArgs) -> Outcome {
    let data = args.folder.load()?.data;
    runtime()?.block_on(async {
        let taken = take(&data, &args.target, args.folder.key).await?;
        verify(&args.target).await?;
        show(&args.target, &taken);
        Ok::<_, Error>(())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn take(data: &Path, target: &Path, key: Option<String>) -> Result<Taken> {
    if target.exists() {
        let message =
            format!("there is something at {} already; name a folder that is not there", target.display());
        return Err(Error::new(Code::Conflict, message));
    }
    if !data.exists() {
        let message = format!("there is no data folder at {}; name one with --data", data.display());
        return Err(Error::not_found(message));
    }
    match Owner::find(data, key)? {
        Owner::Us(store) => {
            let taken = store.backup(target).await;
            store.close().await?;
            Ok(Taken::new(target.to_owned(), taken?))
        }
        Owner::Server(server) => {
            let taken: Taken = server.post_within(PATIENCE, backup::PATH, &Value::Null).await?;
            bring(&data.join(&taken.folder), target)
                .map_err(|cause| stays(&data.join(&taken.folder), cause))?;
            Ok(taken)
        }
    }
}

/// Moves a folder of files, also to another disk.
fn bring(from: &Path, to: &Path) -> std::io::Result<()> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
        fs::File::open(to.join(entry.file_name()))?.sync_all()?;
    }
    fs::remove_dir_all(from)
}

fn stays(folder: &Path, cause: std::io::Error) -> Error {
    let shown = folder.display();
    Error::unavailable(format!(
        "the backup could not be moved ({cause}) and stays at {shown}; move it by hand"
    ))
}

/// Opens the copy as a server would, and reads it from end to end.
async fn verify(target: &Path) -> Result<()> {
    let settings = Settings::new(target);
    let opened = tokio::task::spawn_blocking(move || Sqlite::open(settings)).await;
    let store = opened.map_err(Error::internal)??;
    let checked = store.check().await;
    store.close().await.and(checked)
}

fn show(target: &Path, taken: &Taken) {
    for (collection, offset) in &taken.collections {
        say(format_args!("{collection:<32} up to change {offset}"));
    }
    let mebibytes = taken.bytes as f64 / f64::from(1 << 20);
    let chats = taken.chats;
    say(format_args!(
        "{chats} chats, {mebibytes:.1} MiB, read from end to end and whole: {}",
        target.display()
    ));
}
