//! One client's standing: who it is, what it follows, and what waits for it.

use crate::event::Event;
use crate::identity::Identity;

/// One client. Dropping it releases everything that it holds; runs that it started go on.
pub struct Connection {
    identity: Identity,
}

impl Connection {
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until something is there for this client, then appends what is ready, in order, to `into`: at least one
    /// event, at most [`Settings::batch`](crate::Settings::batch).
    ///
    /// Cancel-safe: when the future is dropped, `into` is as it was and nothing is lost. One task calls it at a time.
    pub async fn next(&self, into: &mut Vec<Event>) {
        let _ = into;
        std::future::pending().await
    }
}
