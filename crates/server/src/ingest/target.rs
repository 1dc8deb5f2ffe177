//! Passages on their way into a data folder, or to the server that owns it.

use tidewire_engine::collections::documents::{Document, Outcome};
use tidewire_engine::{Error, Identity, Result};

use super::wire::{self, Reply, Request};
use crate::owner::Server;
use crate::target::Target;

impl Target {
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
}

fn old_server() -> Error {
    Error::upstream("the server does not say what it did; update it")
}

async fn ask(server: &Server, request: &Request) -> Result<Reply> {
    server.post(wire::PATH, request).await
}
