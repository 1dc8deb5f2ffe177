//! Changes as the caller reads them, and the place where they wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::feed::Feed;
use crate::lanes::Claim;
use crate::pump::Control;
use crate::{Error, Record, Result};

/// What happened to records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// They were born.
    Insert,
    /// They became others.
    Update,
    /// They went.
    Delete,
}

/// Adjacent changes of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// What happened.
    pub kind: ChangeKind,
    /// To which records, in order.
    pub ids: Vec<String>,
    /// The records as they became, in the same order; none for deletions.
    pub records: Vec<Record>,
    /// When the last one changed, in RFC 3339.
    pub at: String,
    /// The last offset that is covered. Changes that the server summed up have none but the last.
    pub offset: Option<u64>,
}

/// What a subscription tells, in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// Records changed.
    Changes(Changes),
    /// The server's log does not reach back to where this subscription was: what is known of the collection is void.
    /// The records that fit follow as [`Notice::Snapshot`], then the changes from here on, which may repeat what a
    /// record of the snapshot already is.
    Gap {
        /// The offset that the snapshot stands for, at least.
        offset: u64,
    },
    /// A piece of the collection as it is, after a gap.
    Snapshot {
        /// Records by id.
        records: Vec<Record>,
        /// Whether it was the last piece.
        last: bool,
    },
    /// The collection's schema changed. Not ordered against changes.
    Schema {
        /// Grows with each change.
        version: u64,
        /// Under which name the records' key is shown.
        primary_key: String,
    },
}

/// What comes to the caller in one piece.
pub(crate) type Delivery = Vec<Notice>;

/// What a subscription and the task that feeds it have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The server was asked to pause until the caller has read what waits.
    pub(crate) resting: AtomicBool,
    /// Why nothing follows.
    end: Mutex<Option<Error>>,
}

impl Shared {
    pub(crate) fn end(&self, error: Error) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn take_end(&self) -> Option<Error> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Changes of a collection, each once and in order, over any number of lost connections.
///
/// A caller that reads slowly holds up nobody: when its buffer is full, the server is asked to pause, and later to go
/// on from the last change in the buffer. Dropping it ends it, also on the server.
pub struct Subscription {
    pub(crate) key: u64,
    pub(crate) collection: String,
    pub(crate) start: u64,
    pub(crate) offset: u64,
    /// What a snapshot that is being read stands for.
    pub(crate) gap: u64,
    pub(crate) ready: VecDeque<Notice>,
    pub(crate) waiting: mpsc::Receiver<Delivery>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) control: mpsc::UnboundedSender<Control>,
    /// Keeps the connection, and gives the collection's place on it back.
    pub(crate) claim: Claim,
}

impl Subscription {
    /// Has its connection feed it.
    pub(crate) fn start(&self, feed: Box<Feed>) {
        // Where the task has ended, the feed is dropped, and with it who waits for the answer is told.
        let _ = self.control.send(Control::Watch(feed));
    }

    /// The next notice. After an error nothing follows but `None`. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Notice>> {
        loop {
            if let Some(notice) = self.ready.pop_front() {
                self.advance(&notice);
                return Some(Ok(notice));
            }
            self.go_on();
            match self.waiting.recv().await {
                Some(delivery) => self.ready.extend(delivery),
                None => return self.shared.take_end().map(Err),
            }
        }
    }

    /// The collection.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// The offset after which it began.
    pub fn start_offset(&self) -> u64 {
        self.start
    }

    /// The offset up to which everything was read; a later subscription can begin after it.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn advance(&mut self, notice: &Notice) {
        match notice {
            Notice::Changes(Changes { offset: Some(offset), .. }) => self.offset = *offset,
            Notice::Gap { offset } => self.gap = *offset,
            // Who comes back in the middle of a snapshot has to begin it anew.
            Notice::Snapshot { last: true, .. } => self.offset = self.gap,
            Notice::Changes(_) | Notice::Snapshot { .. } | Notice::Schema { .. } => {}
        }
    }

    /// Has the server go on when little waits.
    fn go_on(&self) {
        let few = self.waiting.len() <= self.waiting.max_capacity() / 4;
        if few && self.shared.resting.swap(false, Ordering::SeqCst) {
            // The task ends only with the connection, and then the channel says so.
            let _ = self.control.send(Control::Resume(self.key));
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.control.send(Control::Unwatch(self.key));
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("collection", &self.collection)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
