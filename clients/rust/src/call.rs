//! One request and its answer: an id, a limit of time, and another attempt where that is safe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schematic_runtime::{Enclosed, ErrorKind, Expect, Sender};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::generated::wire::{self, ClientMessage, ServerMessage};
use crate::session::{Live, Outgoing};
use crate::{Error, Result};

/// Whether a request that may have been done can be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    No,
}

/// Why a connection ended for good.
pub(crate) type Ended = Arc<Mutex<Option<Error>>>;

/// Asks over one connection.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) sender: Sender<Live>,
    /// Shared by all connections of a client.
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) timeout: Duration,
    pub(crate) ended: Ended,
}

/// What became of one attempt.
enum Attempt {
    Answered(Value),
    /// The link was lost; `unsent` if the request never left.
    Lost {
        unsent: bool,
        reason: String,
    },
    Failed(Error),
}

impl Caller {
    /// An id that no other request of this client has.
    pub(crate) fn id(&self) -> String {
        self.ids.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// The answer's data. A request that was lost with its link is asked again on the next one if it never left, or
    /// if `again` allows it; all attempts together take at most the client's limit.
    pub(crate) async fn ask(&self, message: ClientMessage, again: Again) -> Result<Value> {
        self.ask_and_tell(message, again).await.0
    }

    /// The same, and whether an attempt before the last may have been done.
    pub(crate) async fn ask_and_tell(&self, message: ClientMessage, again: Again) -> (Result<Value>, bool) {
        let deadline = Instant::now() + self.timeout;
        let mut may_be_done = false;
        loop {
            let outcome = match self.attempt(message.clone(), deadline).await {
                Attempt::Answered(data) => Ok(data),
                Attempt::Failed(error) => Err(error),
                Attempt::Lost { unsent, .. }
                    if (unsent || again == Again::Yes) && Instant::now() < deadline =>
                {
                    may_be_done |= !unsent;
                    continue;
                }
                Attempt::Lost { unsent, reason } => Err(Error::Disconnected { unsent, reason }),
            };
            return (outcome, may_be_done);
        }
    }

    /// The same with another limit of time.
    pub(crate) fn within(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    async fn attempt(&self, message: ClientMessage, deadline: Instant) -> Attempt {
        let out = Outgoing::new(self.id(), message);
        let written = out.written();
        let expect = Expect { timeout: Some(self.timeout), ..Expect::id(out.id()) };
        let asked = async {
            match self.sender.request(out, expect).await {
                Ok(replies) => replies.one().await,
                Err(refused) => Err(refused.error),
            }
        };
        match timeout_at(deadline, asked).await {
            Err(_) => Attempt::Failed(Error::Timeout { after: self.timeout }),
            Ok(Ok(reply)) => judge(reply),
            Ok(Err(error)) => self.failed(error, written.on() == 0),
        }
    }

    fn failed(&self, error: schematic_runtime::Error, unsent: bool) -> Attempt {
        match error.kind {
            ErrorKind::Disconnected => Attempt::Lost { unsent, reason: error.message },
            ErrorKind::Timeout => Attempt::Failed(Error::Timeout { after: self.timeout }),
            ErrorKind::Closed => Attempt::Failed(self.end()),
            _ => Attempt::Failed(error.into()),
        }
    }

    /// Why the connection is over.
    pub(crate) fn end(&self) -> Error {
        let known = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.unwrap_or_else(|| Error::Closed { reason: String::new() })
    }
}

fn judge(reply: Enclosed<ServerMessage>) -> Attempt {
    match reply.message {
        ServerMessage::Success(wire::Success { data, .. }) => Attempt::Answered(data),
        ServerMessage::Error(error) => Attempt::Failed(refusal(error)),
        other => Attempt::Failed(Error::shape(format!("{other:?} is no answer"))),
    }
}

/// The server's no.
pub(crate) fn refusal(error: wire::Error) -> Error {
    Error::Server { code: u16::try_from(error.code).unwrap_or(500), message: error.message }
}
