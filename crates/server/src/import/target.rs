//! Where the records go: into a data folder, or to the server that owns it.

use std::path::Path;
use std::sync::Arc;

use tidewire_engine::collections::Desk;
use tidewire_engine::collections::import::{Batch, Checkpoint};
use tidewire_engine::id::SystemClock;
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{Error, Identity, Result};

use super::wire::{self, Reply, Request};
use crate::owner::{Owner, Server};

/// Where the records go.
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
    /// Takes the folder, or finds the server that owns it.
    pub(crate) fn open(data: &Path, key: Option<String>) -> Result<Self> {
        match Owner::find(data, key)? {
            Owner::Us(store) => {
                let desk = Desk::new(Arc::clone(&store) as Arc<_>, Arc::new(SystemClock));
                Ok(Self::Folder { store, desk })
            }
            Owner::Server(server) => Ok(Self::Server(server)),
        }
    }

    /// How far a file is.
    pub(crate) async fn checkpoint(&self, collection: &str, fingerprint: &str) -> Result<Option<Checkpoint>> {
        match self {
            Self::Folder { desk, .. } => {
                desk.import_checkpoint(&Identity::local(), collection, fingerprint).await
            }
            Self::Server(server) => ask(server, &Request::ask(collection, fingerprint)).await,
        }
    }

    /// Writes a batch.
    pub(crate) async fn import(&self, batch: Batch) -> Result<Checkpoint> {
        match self {
            Self::Folder { desk, .. } => desk.import(&Identity::local(), batch).await,
            Self::Server(server) => {
                let checkpoint = ask(server, &batch.into()).await?;
                checkpoint.ok_or_else(|| Error::upstream("the server does not say how far it is; update it"))
            }
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

async fn ask(server: &Server, request: &Request) -> Result<Option<Checkpoint>> {
    let reply: Reply = server.post(wire::PATH, request).await?;
    Ok(reply.checkpoint.map(Checkpoint::from))
}
