//! What a mock server remembers of its connections, for tests that ask afterwards or wait for something.

use std::sync::{Mutex, MutexGuard, PoisonError};

use schematic_define::Breach;
use serde_json::Value;
use tokio::sync::Notify;

use crate::Misbehaviour;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// On which connection; they are numbered from 1 in the order in which they came
    pub connection: u64,
    /// What it was
    pub what: Happened,
}

/// What can happen on a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// The upgrade was refused
    Refused {
        /// With this HTTP status
        status: u16,
        /// For this reason
        reason: String,
    },
    /// The upgrade was accepted
    Opened {
        /// At the endpoint with this id
        endpoint: String,
    },
    /// The client said something that the definition allows
    Received {
        /// Id of the message
        message: String,
        /// The frame, as an example of the definition would show it
        frame: Value,
    },
    /// The server said something
    Sent {
        /// Id of the message
        message: String,
        /// The frame, as an example of the definition would show it
        frame: Value,
    },
    /// The client did something that the definition does not allow
    Breached {
        /// What kind of thing
        breach: Breach,
        /// The close code with which it was answered
        code: u16,
        /// What it was, in a sentence
        reason: String,
    },
    /// The server misbehaved, as it was told
    Misbehaved(Misbehaviour),
    /// The connection is over
    Closed {
        /// The code that the client gave, if it gave one
        code: Option<u16>,
    },
}

/// Everything that happened, in order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Mutex<Vec<Entry>>,
    changed: Notify,
}

impl Log {
    pub(crate) fn add(&self, connection: u64, what: Happened) {
        self.lock().push(Entry { connection, what });
        self.changed.notify_waiters();
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Waits until the entries are as the caller wants them.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Entry]) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look, so that nothing slips in between.
            changed.as_mut().enable();
            if wanted(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// A push either happened or did not, so a panic elsewhere leaves the list whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
