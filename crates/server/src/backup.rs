//! Backups through the server that owns the data folder: `POST /api/backup`.
//!
//! The server writes beside its own files, under `backups`, and nowhere else: who has an admin key does not get to
//! write where the server may. `tidewire backup` then moves the folder to where it is wanted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidewire_engine::store::sqlite;
use tidewire_engine::{Error, Identity, RecordId, Result};

use crate::server::App;

/// Where the server is asked for a backup.
pub(crate) const PATH: &str = "/api/backup";
/// The folder of the data folder in which backups are made.
const FOLDER: &str = "backups";

/// What a backup holds, on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Its folder, within the data folder.
    pub(crate) folder: PathBuf,
    /// The collections, each with the offset of the last change that is in it.
    pub(crate) collections: BTreeMap<String, u64>,
    /// How many chats are in it.
    pub(crate) chats: u64,
    /// How long its files are together.
    pub(crate) bytes: u64,
}

impl Taken {
    /// What was taken into this folder.
    pub(crate) fn new(folder: PathBuf, backup: sqlite::Backup) -> Self {
        let sqlite::Backup { at: _, collections, chats, bytes } = backup;
        let collections = collections.into_iter().map(|(name, offset)| (name, offset.0)).collect();
        Self { folder, collections, chats, bytes }
    }
}

/// Takes a backup in the data folder. Only admins may.
pub(crate) async fn take(app: &App, identity: &Identity) -> Result<Taken> {
    identity.check_admin()?;
    let folder = Path::new(FOLDER).join(RecordId::new().0);
    let backups = app.config.data.join(FOLDER);
    let unusable = |cause: std::io::Error| {
        let shown = backups.display();
        Error::unavailable(format!("backups cannot be written to {shown}; check its permissions"))
            .caused_by(cause)
    };
    std::fs::create_dir_all(&backups).map_err(unusable)?;
    let backup = app.store.backup(&app.config.data.join(&folder)).await?;
    Ok(Taken::new(folder, backup))
}
