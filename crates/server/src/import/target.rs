//! Rows on their way into a data folder, or to the server that owns it.

use tidewire_engine::collections::import::{Batch, Checkpoint};
use tidewire_engine::{Error, Identity, Result};

use super::wire::{self, Reply, Request};
use crate::owner::Server;
use crate::target::Target;

impl Target {
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
}

async fn ask(server: &Server, request: &Request) -> Result<Option<Checkpoint>> {
    let reply: Reply = server.post(wire::PATH, request).await?;
    Ok(reply.checkpoint.map(Checkpoint::from))
}
