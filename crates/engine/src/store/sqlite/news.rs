//! What was committed, on its way to those who listen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::change::ChangeBatch;
use crate::id::Offset;
use crate::schema::{Kinds, Schema};
use crate::store::{Change, Committed, Listener};

/// What one command or a round of chores did.
#[derive(Debug)]
pub(super) enum News {
    /// Changes, of any collections.
    Changes(Vec<Change>),
    /// A schema, and the last offset of the collection's log.
    Schema {
        collection: String,
        version: u64,
        primary_key: String,
        kinds: Option<Kinds>,
        last_offset: Offset,
    },
}

impl News {
    /// A schema as it is from now on.
    pub(super) fn schema(collection: &str, schema: &Schema, last_offset: Offset) -> Self {
        let Schema { version, primary_key, .. } = schema;
        let (collection, primary_key) = (collection.to_owned(), primary_key.clone());
        Self::Schema { collection, version: *version, primary_key, kinds: Kinds::of(schema), last_offset }
    }
}

/// Those who listen.
#[derive(Clone, Default)]
pub(super) struct Listeners {
    any: Arc<AtomicBool>,
    list: Arc<Mutex<Vec<Arc<dyn Listener>>>>,
}

impl Listeners {
    pub(super) fn add(&self, listener: Arc<dyn Listener>) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        self.any.store(true, Ordering::Release);
    }

    /// Notes changes and gives the asker its part of them; without listeners nothing is copied.
    pub(super) fn note(
        &self,
        changes: Vec<Change>,
        news: &mut Vec<News>,
        part: impl FnOnce(Vec<Change>) -> Vec<Change>,
    ) -> Vec<Change> {
        if self.any.load(Ordering::Acquire) {
            news.push(News::Changes(changes.clone()));
        }
        part(changes)
    }

    /// Tells all of what a group of commands did, each collection's changes in one piece where nothing lies between.
    pub(super) fn tell(&self, news: Vec<News>) {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if list.is_empty() {
            return;
        }
        let committed = gather(news);
        if committed.is_empty() {
            return;
        }
        for listener in list {
            listener.committed(committed.clone());
        }
    }
}

/// A piece that is told.
enum Piece {
    Changes(Arc<str>, Vec<Change>),
    Schema(Committed),
}

fn gather(news: Vec<News>) -> Vec<Committed> {
    let (mut pieces, mut open) = (Vec::new(), HashMap::<String, usize>::new());
    for item in news {
        match item {
            News::Changes(changes) => {
                changes.into_iter().for_each(|change| add(&mut pieces, &mut open, change))
            }
            News::Schema { collection, version, primary_key, kinds, last_offset } => {
                open.remove(&collection);
                let (collection, primary_key) = (collection.into(), primary_key.into());
                pieces.push(Piece::Schema(Committed::Schema {
                    collection,
                    version,
                    primary_key,
                    kinds: kinds.map(Arc::new),
                    last_offset,
                }));
            }
        }
    }
    let tell = |piece| match piece {
        Piece::Changes(collection, changes) => {
            Committed::Changes(Arc::new(ChangeBatch::new(collection, changes)))
        }
        Piece::Schema(schema) => schema,
    };
    pieces.into_iter().map(tell).collect()
}

fn add(pieces: &mut Vec<Piece>, open: &mut HashMap<String, usize>, change: Change) {
    let at = open.get(&change.collection).copied();
    if let Some(Piece::Changes(_, changes)) = at.and_then(|at| pieces.get_mut(at)) {
        return changes.push(change);
    }
    open.insert(change.collection.clone(), pieces.len());
    pieces.push(Piece::Changes(change.collection.as_str().into(), vec![change]));
}
