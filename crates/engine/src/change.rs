//! What happened to records, and how those who listen hear of it.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::{Offset, RecordId, Timestamp};
use crate::identity::Subject;
use crate::query::{Body, Record};

/// What one write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A record was born.
    Insert,
    /// A record became another.
    Update,
    /// A record went.
    Delete,
}

/// One mutation with its place in its collection's log. Offsets have no gap and follow the order of the commits.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// In which collection.
    pub collection: String,
    /// Its place in the collection's log.
    pub offset: Offset,
    /// What was done.
    pub kind: ChangeKind,
    /// To which record.
    pub id: RecordId,
    /// The record before.
    pub before: Option<Body>,
    /// The record after.
    pub after: Option<Body>,
    /// When the record as it is after expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Subject,
}

/// Adjacent changes of one collection that were committed together, or shortly after one another while much was written:
/// what is delivered and spelled in one piece.
///
/// Everybody who listens shares one batch. What a dialect spells from it is kept beside it ([`spelled`](Self::spelled)),
/// so that a thousand readers cost one encoding.
pub struct ChangeBatch {
    /// In which collection.
    pub collection: Arc<str>,
    /// At least one; their offsets follow one another without a gap.
    pub changes: Vec<Change>,
    spelled: Mutex<Vec<(SpellKey, Arc<dyn Any + Send + Sync>)>>,
}

/// Under what a spelling is kept: the dialect's variant and which changes it is about.
type SpellKey = (u32, Selection);

/// Which changes of a batch a listener is told of.
///
/// Listeners with the same filter share the selection, so comparing two is comparing two pointers first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Those at these places in [`ChangeBatch::changes`], ascending, at least one.
    Some(Arc<[u32]>),
}

impl ChangeBatch {
    /// A batch of at least one change.
    pub fn new(collection: Arc<str>, changes: Vec<Change>) -> Self {
        Self { collection, changes, spelled: Mutex::default() }
    }

    /// The offset before its first change.
    pub fn after(&self) -> Offset {
        Offset(self.changes.first().map_or(0, |change| change.offset.0 - 1))
    }

    /// The offset of its last change.
    pub fn to(&self) -> Offset {
        self.changes.last().map_or(Offset(0), |change| change.offset)
    }

    /// The changes of a selection, in order.
    pub fn selected<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = &'a Change> {
        let (all, some) = match selection {
            Selection::All => (&self.changes[..], &[][..]),
            Selection::Some(places) => (&[][..], &places[..]),
        };
        all.iter().chain(some.iter().filter_map(|place| self.changes.get(*place as usize)))
    }

    /// What a dialect's variant spells from a selection of this batch, made once and shared.
    ///
    /// `variant` is unique for the type `T` and everything that `make` depends on but the batch and the selection.
    pub fn spelled<T: Any + Send + Sync>(
        &self,
        variant: u32,
        selection: &Selection,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut kept = self.lock();
        let found = kept.iter().find(|((known, of), _)| *known == variant && of == selection);
        if let Some(frames) = found.and_then(|(_, any)| Arc::clone(any).downcast::<T>().ok()) {
            return frames;
        }
        // Made under the lock: a thousand readers on several threads would otherwise all make it at once.
        let frames = Arc::new(make());
        kept.push(((variant, selection.clone()), Arc::clone(&frames) as Arc<dyn Any + Send + Sync>));
        frames
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(SpellKey, Arc<dyn Any + Send + Sync>)>> {
        self.spelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ChangeBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}..={}", self.collection, self.after().0 + 1, self.to())
    }
}

/// What one connection is told of a collection that it watches.
#[derive(Debug, Clone)]
pub enum Notice {
    /// Records changed.
    Changes {
        /// What was committed together.
        batch: Arc<ChangeBatch>,
        /// What of it fits one of the connection's filters.
        selection: Selection,
    },
    /// The log no longer reaches back to where the reader was: what it knows of the collection is void. The records
    /// that fit follow as [`Notice::Snapshot`], then the changes after `resume`.
    Gap {
        /// Which collection.
        collection: Arc<str>,
        /// The offset that the snapshot stands for.
        resume: Offset,
    },
    /// A piece of the records as they are, after a gap. A record may be newer than the gap's `resume`; its change then
    /// comes too, with the offset that is the record's version.
    Snapshot {
        /// Which collection.
        collection: Arc<str>,
        /// Records by id.
        records: Vec<Record>,
        /// Whether it was the last piece.
        last: bool,
    },
    /// The collection's schema was changed, made or dropped.
    Schema {
        /// Which collection.
        collection: Arc<str>,
        /// Grows with each change and never falls, not even when a collection is dropped and made again.
        version: u64,
        /// Under which name the record's key is shown.
        primary_key: Arc<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(offset: u64) -> Change {
        Change {
            collection: "c".into(),
            offset: Offset(offset),
            kind: ChangeKind::Insert,
            id: "a".into(),
            before: None,
            after: Some(Body::new()),
            expires_at: None,
            at: Timestamp(0),
            by: "local".into(),
        }
    }

    #[test]
    fn a_selection_is_spelled_once_per_variant() {
        let batch = ChangeBatch::new("c".into(), vec![change(4), change(5)]);
        let some = Selection::Some([1].into());
        let first = batch.spelled(1, &Selection::All, || 1);
        assert!(Arc::ptr_eq(&first, &batch.spelled(1, &Selection::All, || 2)));
        assert_eq!(*batch.spelled(2, &Selection::All, || 3), 3);
        assert_eq!(*batch.spelled(1, &some, || batch.selected(&some).count()), 1);
        assert_eq!((batch.after(), batch.to()), (Offset(3), Offset(5)));
    }
}
