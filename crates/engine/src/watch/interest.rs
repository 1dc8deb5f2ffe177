//! What a connection wants to know of a collection: the filters of its watches.

use std::sync::{Arc, Mutex, PoisonError};

use crate::change::{Change, ChangeBatch, ChangeKind, Selection};
use crate::collections::matches::Matcher;
use crate::error::Result;
use crate::id::Offset;
use crate::query::{Filter, Record};

/// A watch's filter. Equal ones of a topic are one, so that each is held against a change once.
#[derive(Debug)]
pub(crate) struct WatchFilter {
    /// As it was asked for.
    pub(crate) filter: Filter,
    matcher: Matcher,
    /// What the last batch or piece gave. Its offsets name it: within a topic they stand for the same changes.
    last: Mutex<Option<(Offset, Offset, Option<Selection>)>>,
}

impl WatchFilter {
    /// Fails if the filter cannot be understood.
    pub(crate) fn new(filter: Filter) -> Result<Arc<Self>> {
        let matcher = Matcher::new(&filter)?;
        Ok(Arc::new(Self { filter, matcher, last: Mutex::default() }))
    }

    /// What of a batch fits, or `None`.
    pub(super) fn select(&self, batch: &ChangeBatch) -> Option<Selection> {
        // Under the lock: a thousand readers on several threads would otherwise all look at the same time.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (after, to) = (batch.after(), batch.to());
        match &*last {
            Some((known_after, known_to, selection)) if (*known_after, *known_to) == (after, to) => {
                selection.clone()
            }
            _ => {
                let selection = selection(batch.changes.len(), |place| self.fits(&batch.changes[place]));
                *last = Some((after, to, selection.clone()));
                selection
            }
        }
    }

    /// Deletions always fit; other changes if the record fits before or after.
    fn fits(&self, change: &Change) -> bool {
        let mut bodies = [&change.before, &change.after].into_iter().flatten();
        change.kind == ChangeKind::Delete || bodies.any(|body| self.matcher.fits(&change.id, body))
    }

    fn fits_record(&self, record: &Record) -> bool {
        self.matcher.fits(&record.id, &record.body)
    }
}

/// The filters of all of a connection's watches of one collection. Two are equal if they share the filters.
#[derive(Debug, Clone)]
pub(crate) enum Interest {
    /// Everything: one of the watches has no filter.
    All,
    /// What fits one of these, which are all different and lie in the order of their addresses.
    Some(Vec<Arc<WatchFilter>>),
}

impl PartialEq for Interest {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Some(a), Self::Some(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
            }
            (Self::All, Self::Some(_)) | (Self::Some(_), Self::All) => false,
        }
    }
}

impl Interest {
    /// The interest of watches with these filters.
    pub(super) fn new<'a>(filters: impl Iterator<Item = Option<&'a Arc<WatchFilter>>>) -> Self {
        let Some(mut filters) = filters.map(|filter| filter.cloned()).collect::<Option<Vec<_>>>() else {
            return Self::All;
        };
        filters.sort_unstable_by_key(|filter| Arc::as_ptr(filter).addr());
        filters.dedup_by(|a, b| Arc::ptr_eq(a, b));
        Self::Some(filters)
    }

    /// What of a batch fits, or `None`.
    pub(super) fn select(&self, batch: &ChangeBatch) -> Option<Selection> {
        match self {
            Self::All => Some(Selection::All),
            Self::Some(filters) => match &filters[..] {
                [only] => only.select(batch),
                several => {
                    let each: Vec<Selection> =
                        several.iter().filter_map(|filter| filter.select(batch)).collect();
                    selection(batch.changes.len(), |place| each.iter().any(|some| has(some, place)))
                }
            },
        }
    }

    /// Whether a record fits.
    pub(super) fn fits_record(&self, record: &Record) -> bool {
        match self {
            Self::All => true,
            Self::Some(filters) => filters.iter().any(|filter| filter.fits_record(record)),
        }
    }

    /// The one filter that it comes to, if it is one.
    pub(super) fn only_filter(&self) -> Option<&Filter> {
        match self {
            Self::Some(filters) if filters.len() == 1 => filters.first().map(|only| &only.filter),
            Self::Some(_) | Self::All => None,
        }
    }

    pub(super) fn filters(&self) -> &[Arc<WatchFilter>] {
        match self {
            Self::All => &[],
            Self::Some(filters) => filters,
        }
    }
}

/// The places that fit; `None` if there are none.
pub(super) fn selection(count: usize, fits: impl Fn(usize) -> bool) -> Option<Selection> {
    let places = (0..count).filter(|place| fits(*place));
    let places: Vec<u32> = places.map(|place| u32::try_from(place).unwrap_or(u32::MAX)).collect();
    match places.len() {
        0 => None,
        all if all == count => Some(Selection::All),
        _ => Some(Selection::Some(places.into())),
    }
}

/// Whether a selection has this place.
pub(super) fn has(selection: &Selection, place: usize) -> bool {
    match selection {
        Selection::All => true,
        Selection::Some(places) => {
            u32::try_from(place).is_ok_and(|place| places.binary_search(&place).is_ok())
        }
    }
}
