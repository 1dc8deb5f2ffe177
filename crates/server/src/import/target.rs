//! Where the records go: into a data folder, or to the server that owns it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tidewire_engine::collections::Desk;
use tidewire_engine::collections::import::{Batch, Checkpoint};
use tidewire_engine::id::SystemClock;
use tidewire_engine::store::sqlite::{Settings, Sqlite, owner_address};
use tidewire_engine::{Code, Error, Identity, Result};

use super::wire::{self, Reply, Request};

/// A server that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// A running server.
pub(crate) struct Server {
    client: Client,
    address: String,
    key: Option<String>,
}

impl Target {
    /// Takes the folder, or finds the server that owns it.
    pub(crate) fn open(data: &Path, key: Option<String>) -> Result<Self> {
        match Sqlite::open(Settings::new(data)) {
            Ok(store) => {
                let store = Arc::new(store);
                let desk = Desk::new(Arc::clone(&store) as Arc<_>, Arc::new(SystemClock));
                Ok(Self::Folder { store, desk })
            }
            Err(error) if error.code == Code::Conflict => match owner_address(data) {
                Some(address) => Server::new(address, key).map(Self::Server),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// How far a file is.
    pub(crate) async fn checkpoint(&self, collection: &str, fingerprint: &str) -> Result<Option<Checkpoint>> {
        match self {
            Self::Folder { desk, .. } => {
                desk.import_checkpoint(&Identity::local(), collection, fingerprint).await
            }
            Self::Server(server) => server.ask(&Request::ask(collection, fingerprint)).await,
        }
    }

    /// Writes a batch.
    pub(crate) async fn import(&self, batch: Batch) -> Result<Checkpoint> {
        match self {
            Self::Folder { desk, .. } => desk.import(&Identity::local(), batch).await,
            Self::Server(server) => {
                let checkpoint = server.ask(&batch.into()).await?;
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

impl Server {
    fn new(address: String, key: Option<String>) -> Result<Self> {
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().map_err(Error::internal)?;
        Ok(Self { client, address, key })
    }

    async fn ask(&self, request: &Request) -> Result<Option<Checkpoint>> {
        let url = format!("{}{}", self.address, wire::PATH);
        let mut post = self.client.post(url).json(request);
        if let Some(key) = &self.key {
            post = post.bearer_auth(key);
        }
        let response = post.send().await.map_err(|cause| self.unreachable(cause))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|cause| self.unreachable(cause))?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let reply: Reply = serde_json::from_slice(&body).map_err(|cause| {
            Error::upstream("the server does not answer as expected; update it").caused_by(cause)
        })?;
        Ok(reply.checkpoint.map(Checkpoint::from))
    }

    fn unreachable(&self, cause: reqwest::Error) -> Error {
        Error::unavailable(format!(
            "the server at {}, which owns the data folder, does not answer; run the import again when it does",
            self.address
        ))
        .caused_by(cause)
    }
}

/// The server's error in our words.
fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let part = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    match (Code::from_name(&part("code")), part("message")) {
        (Some(Code::Unauthenticated), _) => {
            Error::new(Code::Unauthenticated, "the server wants a key; set TIDEWIRE_API_KEY or use --key")
        }
        (Some(code), message) if !message.is_empty() => Error::new(code, message),
        _ => Error::upstream(format!("the server answers {status}; see its log")),
    }
}
