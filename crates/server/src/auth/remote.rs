//! Keys for `tidewire keys`: in a data folder that this process owns, or through the server that owns it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;
use tidewire_engine::Result;
use tidewire_engine::id::SystemClock;
use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::Sqlite;

use super::http::{RegisterRequest, Registered};
use super::{KeyInfo, Keyring, NewKey, Signer};
use crate::owner::{Owner, Server};

/// The keys of a data folder, wherever they are reached.
pub(crate) enum Keys {
    /// Here.
    Here {
        /// To be closed at the end.
        store: Arc<Sqlite>,
        /// The keys.
        keyring: Keyring,
        /// The folder.
        data: PathBuf,
    },
    /// With the server that owns the folder.
    There(Server),
}

impl Keys {
    /// Takes the folder, or finds the server that owns it; `key` is shown to that one.
    pub(crate) async fn open(data: &Path, key: Option<String>) -> Result<Self> {
        let store = match Owner::find(data, key)? {
            Owner::Server(server) => return Ok(Self::There(server)),
            Owner::Us(store) => store,
        };
        let keyring = Keyring::new(Arc::clone(&store) as Arc<dyn Store>, Arc::new(SystemClock), &[]);
        keyring.load().await?;
        Ok(Self::Here { store, keyring, data: data.to_owned() })
    }

    /// Makes a key: the key, and what is known of it.
    pub(crate) async fn add(&self, new: NewKey) -> Result<(String, KeyInfo)> {
        match self {
            Self::Here { keyring, .. } => keyring.add(new).await,
            Self::There(server) => {
                let Registered { key, info } =
                    server.post("/api/auth/register", &RegisterRequest::from(new)).await?;
                Ok((key, info))
            }
        }
    }

    /// All keys.
    pub(crate) async fn list(&self) -> Result<Vec<KeyInfo>> {
        match self {
            Self::Here { keyring, .. } => Ok(keyring.list()),
            Self::There(server) => server.ask(Method::GET, "/api/auth/keys").await,
        }
    }

    /// Revokes the key with this id.
    pub(crate) async fn revoke(&self, id: &str) -> Result<KeyInfo> {
        match self {
            Self::Here { keyring, .. } => keyring.revoke(id).await,
            Self::There(server) => {
                let id = url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>();
                server.ask(Method::DELETE, &format!("/api/auth/keys/{id}")).await
            }
        }
    }

    /// Voids every token that was given out.
    pub(crate) async fn rotate(&self) -> Result<()> {
        match self {
            Self::Here { data, .. } => Signer::open(data)?.rotate(),
            Self::There(server) => server.post::<Value>("/api/auth/rotate", &Value::Null).await.map(|_| ()),
        }
    }

    /// Lets go of the folder.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Here { store, .. } => store.close().await,
            Self::There(_) => Ok(()),
        }
    }
}

impl From<NewKey> for RegisterRequest {
    fn from(new: NewKey) -> Self {
        let NewKey { label, subject, is_admin, permissions: collection_permissions } = new;
        Self { label: Some(label), subject, is_admin, collection_permissions, ..Self::default() }
    }
}
