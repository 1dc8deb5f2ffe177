//! Where the passages go: into a data folder, or to the server that owns it.

use std::path::Path;
use std::sync::Arc;

use tidewire_engine::collections::Desk;
use tidewire_engine::collections::documents::{Document, Outcome};
use tidewire_engine::id::SystemClock;
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{Error, Identity, Result};

use super::wire::{self, Reply, Request};
use crate::owner::{Owner, Server};

/// Where the passages go.
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

    /// Which of these hashes have no vector yet.
    pub(crate) async fn missing(&self, collection: &str, hashes: Vec<String>) -> Result<Vec<String>> {
        match self {
            Self::Folder { desk, .. } => desk.missing_vectors(&Identity::local(), collection, hashes).await,
            Self::Server(server) => {
                let request = Request::Missing { collection: collection.to_owned(), hashes };
                ask(server, &request).await?.missing.ok_or_else(old_server)
            }
        }
    }

    /// Brings vectors, which wait for their document.
    pub(crate) async fn keep(&self, collection: &str, vectors: Vec<(String, Vec<f32>)>) -> Result<()> {
        match self {
            Self::Folder { desk, .. } => desk.keep_vectors(&Identity::local(), collection, vectors).await,
            Self::Server(server) => {
                ask(server, &Request::Vectors { collection: collection.to_owned(), vectors })
                    .await
                    .map(|_| ())
            }
        }
    }

    /// Puts a document.
    pub(crate) async fn put(&self, document: Document) -> Result<Outcome> {
        match self {
            Self::Folder { desk, .. } => desk.put_document(&Identity::local(), document).await,
            Self::Server(server) => {
                let reply = ask(server, &Request::from(document)).await?;
                reply.outcome.map(Outcome::from).ok_or_else(old_server)
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

fn old_server() -> Error {
    Error::upstream("the server does not say what it did; update it")
}

async fn ask(server: &Server, request: &Request) -> Result<Reply> {
    server.post(wire::PATH, request).await
}
