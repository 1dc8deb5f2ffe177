//! A collection while somebody watches it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use super::inbox::Pushed;
use super::interest::{Interest, WatchFilter};
use crate::change::ChangeBatch;
use crate::connection::{Inbox, Limits};
use crate::id::Offset;

/// Pieces of the log that are kept while many read it, and how many bytes they may have together.
const PIECES: usize = 16;
const PIECES_BYTES: usize = 1 << 20;
/// What was committed together and is larger is read from the log in smaller pieces: each of those who are slow would
/// hold all of it.
const COMMIT_BYTES: usize = 64 << 10;
/// So many read the log of one collection at once; the others find then what these have read.
const READERS: usize = 2;

/// A collection while somebody watches it.
pub(crate) struct Topic {
    /// Its name.
    pub(crate) collection: Arc<str>,
    state: Mutex<TopicState>,
    /// What was read from the log or did not fit into an inbox, oldest first, with its weight.
    pieces: Mutex<VecDeque<(Arc<ChangeBatch>, usize)>>,
    /// Places for those who read the log.
    pub(super) readers: Semaphore,
    is_telling: AtomicBool,
    /// Rings when those who listen were told.
    told: Notify,
}

/// Those who listen are being told, until this is dropped.
pub(super) struct Telling<'a>(&'a Topic);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.is_telling.store(false, Ordering::Relaxed);
        self.0.told.notify_waiters();
    }
}

/// Who has something in the inbox now.
#[derive(Default)]
pub(super) struct Told {
    /// They are to be [told](Inbox::tell) when no lock is held.
    pub(super) listeners: Vec<Arc<Inbox>>,
    /// So many fell behind by it.
    pub(super) fell_behind: u64,
}

/// What changes about a topic.
#[derive(Default)]
pub(crate) struct TopicState {
    /// The last offset that was put into the inboxes; `None` until somebody joins or something comes.
    pub(super) written: Option<Offset>,
    groups: Vec<Group>,
    /// So often watches came and went.
    revisions: u64,
}

/// Those who want the same.
struct Group {
    interest: Interest,
    listeners: Vec<Arc<Inbox>>,
}

impl Topic {
    pub(super) fn new(collection: Arc<str>) -> Self {
        Self {
            collection,
            state: Mutex::default(),
            pieces: Mutex::default(),
            readers: Semaphore::new(READERS),
            is_telling: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, TopicState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who listen are told from now on.
    pub(super) fn tell(&self) -> Telling<'_> {
        self.is_telling.store(true, Ordering::Relaxed);
        Telling(self)
    }

    /// Waits while those who listen are being told.
    pub(super) async fn told(&self) {
        let mut told = pin!(self.told.notified());
        told.as_mut().enable(); // before the look, so that no ring is missed
        if self.is_telling.load(Ordering::Relaxed) {
            told.await;
        }
    }

    /// So many listen.
    pub(super) fn count(&self) -> usize {
        self.lock().groups.iter().map(|group| group.listeners.len()).sum()
    }

    /// Puts a batch into the inboxes of those whom it concerns.
    pub(super) fn deliver(&self, batch: &Arc<ChangeBatch>, weight: usize, limits: Limits) -> Told {
        let mut state = self.lock();
        match state.written {
            Some(written) if batch.to() <= written => return Told::default(), // known from the log's end
            Some(written) if batch.after() != written => return state.grow(self, batch.to()),
            Some(_) | None => {}
        }
        state.written = Some(batch.to());
        let mut told = Told::default();
        for group in &state.groups {
            group.deliver(self, batch, weight, limits, &mut told);
        }
        if told.fell_behind > 0 && weight <= COMMIT_BYTES {
            self.keep_piece(Arc::clone(batch), weight);
        }
        told
    }

    /// The log has grown to here. Who was live reads on there.
    pub(super) fn grow(&self, to: Offset) -> Told {
        self.lock().grow(self, to)
    }

    /// Tells everybody of the collection's schema.
    pub(super) fn tell_schema(&self, version: u64, primary_key: &Arc<str>) {
        self.lock().listeners().for_each(|inbox| inbox.tell_schema(self, version, primary_key));
    }

    /// What is kept of the log after an offset.
    pub(super) fn piece(&self, after: Offset) -> Option<Arc<ChangeBatch>> {
        let pieces = self.lock_pieces();
        pieces.iter().find(|(piece, _)| piece.after() == after).map(|(piece, _)| Arc::clone(piece))
    }

    /// Keeps a piece for the others who will read it.
    pub(super) fn keep_piece(&self, piece: Arc<ChangeBatch>, weight: usize) {
        if weight > PIECES_BYTES {
            return;
        }
        let mut pieces = self.lock_pieces();
        pieces.push_back((piece, weight));
        while pieces.len() > PIECES || pieces.iter().map(|(_, weight)| weight).sum::<usize>() > PIECES_BYTES {
            pieces.pop_front();
        }
    }

    pub(super) fn forget_pieces(&self) {
        *self.lock_pieces() = VecDeque::new();
    }

    fn lock_pieces(&self) -> MutexGuard<'_, VecDeque<(Arc<ChangeBatch>, usize)>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TopicState {
    /// A number that no watches have had.
    pub(super) fn next_revision(&mut self) -> u64 {
        self.revisions += 1;
        self.revisions
    }

    /// Whether something came after this offset.
    pub(super) fn has_more(&self, after: Offset) -> bool {
        self.written.is_some_and(|written| written > after)
    }

    /// The filter that is here already, if an equal one is.
    pub(super) fn shared(&self, filter: Arc<WatchFilter>) -> Arc<WatchFilter> {
        let mut known = self.groups.iter().flat_map(|group| group.interest.filters());
        known.find(|known| known.filter == filter.filter).cloned().unwrap_or(filter)
    }

    /// Somebody wants this from now on.
    pub(super) fn join(&mut self, interest: Interest, inbox: &Arc<Inbox>) {
        match self.groups.iter_mut().find(|group| group.interest == interest) {
            Some(group) => group.listeners.push(Arc::clone(inbox)),
            None => self.groups.push(Group { interest, listeners: vec![Arc::clone(inbox)] }),
        }
    }

    /// Somebody wants this no longer.
    pub(super) fn leave(&mut self, interest: &Interest, inbox: &Arc<Inbox>) {
        let Some(place) = self.groups.iter().position(|group| group.interest == *interest) else { return };
        let listeners = &mut self.groups[place].listeners;
        if let Some(listener) = listeners.iter().position(|known| Arc::ptr_eq(known, inbox)) {
            listeners.swap_remove(listener);
        }
        if listeners.is_empty() {
            self.groups.swap_remove(place);
        }
    }

    fn listeners(&self) -> impl Iterator<Item = &Arc<Inbox>> {
        self.groups.iter().flat_map(|group| &group.listeners)
    }

    fn grow(&mut self, topic: &Topic, to: Offset) -> Told {
        let Some(written) = self.written else {
            self.written = Some(to);
            return Told::default();
        };
        if to <= written {
            return Told::default();
        }
        self.written = Some(to);
        let fell_behind = self.listeners().map(|inbox| u64::from(inbox.fall_behind_in(topic, written))).sum();
        Told { listeners: Vec::new(), fell_behind }
    }
}

impl Group {
    fn deliver(
        &self,
        topic: &Topic,
        batch: &Arc<ChangeBatch>,
        weight: usize,
        limits: Limits,
        told: &mut Told,
    ) {
        let Some(selection) = self.interest.select(batch) else { return };
        told.listeners.reserve(self.listeners.len());
        for inbox in &self.listeners {
            let pushed = inbox.push_batch(topic, batch, &selection, weight, limits);
            told.fell_behind += u64::from(pushed == Pushed::FellBehind);
            if pushed != Pushed::No {
                told.listeners.push(Arc::clone(inbox));
            }
        }
    }
}
