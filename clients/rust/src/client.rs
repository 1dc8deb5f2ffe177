//! The client: one handle for everybody, one connection behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::builder::Builder;
use crate::call::{Again, Caller};
use crate::generated::wire::ClientMessage;
use crate::lanes::{Lane, Lanes};
use crate::schemas::SchemaInfo;
use crate::{Record, Result};

/// A client of a Tidewire server's live data. Clones share everything.
///
/// All calls, subscriptions and chats go over one connection, which comes back by itself: subscriptions go on after the
/// last change that was read, chats after the last event. A second subscription of the *same* collection has a
/// connection of its own, because the server tells each connection of a change once.
///
/// Requests have unique ids and a limit of time. What never left is sent on the next connection; what may have arrived
/// is asked again only where that changes nothing.
#[derive(Clone)]
pub struct Client {
    pub(crate) lane: Arc<Lane>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) model_timeout: Duration,
    pub(crate) buffer: usize,
    keys: Arc<AtomicU64>,
}

impl Client {
    /// Connects without a key.
    ///
    /// # Errors
    /// When the first attempt fails.
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).connect().await
    }

    /// Begins a client with choices.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn new(lane: Arc<Lane>, lanes: Lanes, model_timeout: Duration, buffer: usize) -> Self {
        Self { lane, lanes: Arc::new(lanes), model_timeout, buffer, keys: Arc::default() }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.lane.caller
    }

    pub(crate) fn key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) async fn ask(&self, message: ClientMessage, again: Again) -> Result<Value> {
        self.caller().ask(message, again).await
    }

    /// What is known of a collection's schema without asking: what the server told while the collection was
    /// subscribed to.
    pub fn schema(&self, collection: &str) -> Option<SchemaInfo> {
        self.lanes.schemas.get(collection)
    }

    /// The key of a record that was read: under the name that its collection's schema says, else under `id`.
    pub fn key_of<'a>(&self, collection: &str, record: &'a Record) -> Option<&'a str> {
        let named = self.schema(collection).and_then(|schema| record.get(&schema.primary_key));
        named.or_else(|| record.get("id")).and_then(Value::as_str)
    }

    /// Says goodbye. Calls that wait, and all clones, are told that the connection is closed.
    pub fn close(&self) {
        self.lanes.close();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("state", &self.caller().sender.state()).finish_non_exhaustive()
    }
}
