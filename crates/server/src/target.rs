//! Where goes what a command brings: into a data folder, or to the server that owns it.
//!
//! What is brought is said beside what brings it: rows by `import`, passages by `ingest`.

use std::path::Path;
use std::sync::Arc;

use tidewire_engine::Result;
use tidewire_engine::collections::Desk;
use tidewire_engine::id::SystemClock;
use tidewire_engine::store::sqlite::Sqlite;

use crate::owner::{Owner, Server};

/// Where it goes.
pub(crate) enum Target {
    /// A folder that this process owns now.
    Folder {
        /// The store in it.
        store: Arc<Sqlite>,
        /// The desk in front of the store.
        desk: Desk,
    },
    /// The server that owns the folder.
    Server(Server),
}

impl Target {
    /// Takes the folder, or finds the server that owns it; `key` is shown to that one.
    pub(crate) fn open(data: &Path, key: Option<String>) -> Result<Self> {
        match Owner::find(data, key)? {
            Owner::Us(store) => {
                let desk = Desk::new(Arc::clone(&store) as Arc<_>, Arc::new(SystemClock));
                Ok(Self::Folder { store, desk })
            }
            Owner::Server(server) => Ok(Self::Server(server)),
        }
    }

    /// Lets go of the folder.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Folder { store, .. } => store.close().await,
            Self::Server(_) => Ok(()),
        }
    }
}
