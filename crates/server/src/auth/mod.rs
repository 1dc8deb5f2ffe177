//! Who asks: API keys, the tokens that stand for them, and how often somebody may be wrong.
//!
//! `keys` holds the keys, of the configuration and of the data folder. `tokens` signs and reads JWTs; a token only
//! names a key, and what that key may is looked up at each use, so that revoking a key ends its tokens too.
//! `attempts` slows down whoever guesses, `http` is what programs ask, `grants` what of it is about single grants, `remote` asks it on behalf of `tidewire keys`.
//! What an identity may do is the engine's (`tidewire_engine::identity`).

mod attempts;
mod grants;
pub(crate) mod http;
mod keys;
pub(crate) mod remote;
mod tokens;
mod wire;

use std::sync::Arc;

use tidewire_engine::store::Store;
use tidewire_engine::{Clock, Code, Error, Identity, Result};
use tokio_util::sync::CancellationToken;

pub(crate) use attempts::{Attempts, Peer};
pub(crate) use keys::{Keyring, NewKey};
pub(crate) use tokens::{Claims, Signer};
pub(crate) use wire::{Access, KeyInfo};

use crate::config::Config;

/// Everything that says who asks.
pub(crate) struct Auth {
    /// The keys.
    pub(crate) keys: Keyring,
    /// What signs tokens.
    pub(crate) tokens: Signer,
    /// Who was wrong lately.
    pub(crate) attempts: Attempts,
    clock: Arc<dyn Clock>,
}

impl Auth {
    /// The keys of the configuration and of the store, and the data folder's secret.
    pub(crate) async fn open(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        let folder = config.data.clone();
        let signer = tokio::task::spawn_blocking(move || Signer::open(&folder)).await;
        let auth = Self::new(config, store, clock, signer.map_err(Error::internal)??);
        auth.keys.load().await?;
        Ok(Arc::new(auth))
    }

    /// The same without what the store holds.
    pub(crate) fn new(config: &Config, store: Arc<dyn Store>, clock: Arc<dyn Clock>, tokens: Signer) -> Self {
        let keys = Keyring::new(store, Arc::clone(&clock), &config.api_keys);
        Self { keys, tokens, attempts: Attempts::new(config.behind_proxy), clock }
    }

    /// Whose key or token this is.
    pub(crate) fn identify(&self, credential: &str) -> Result<Identity> {
        if is_token(credential) {
            return self.keys.by_claims(self.tokens.read(credential, self.now_s())?);
        }
        self.keys.by_key(credential)
    }

    /// What is cancelled when this identity may stay no longer: its key was revoked or may less than before, or the
    /// server ends.
    ///
    /// Fails if that has happened already. Whoever holds something open for an identity holds this too.
    pub(crate) fn leave_to_stay(&self, identity: &Identity) -> Result<CancellationToken> {
        self.keys.leave_to_stay(identity)
    }

    /// What is said to one whose leave to stay was cancelled while the server goes on.
    pub(crate) fn why_sent_away(&self, identity: &Identity) -> Error {
        self.leave_to_stay(identity).err().unwrap_or_else(keys::regranted)
    }

    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now().0 / 1_000_000
    }

    /// Writes down when keys were last used, and forgets whose failures are old.
    pub(crate) async fn tidy(&self) {
        self.attempts.forget();
        if let Err(error) = self.keys.save_uses().await {
            tracing::warn!(%error, cause = ?error.cause, "when keys were last used could not be written");
        }
    }
}

/// A key has no dots, a token has two.
pub(crate) fn is_token(credential: &str) -> bool {
    credential.contains('.')
}

/// Nobody has said who asks, or not so that it can be believed.
pub(crate) fn unauthenticated(sentence: &'static str) -> Error {
    Error::new(Code::Unauthenticated, sentence)
}
