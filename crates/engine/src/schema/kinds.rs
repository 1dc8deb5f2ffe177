//! What members mean, at hand for whoever writes records down.
//!
//! JSON shows fewer types than a schema knows: a UUID is text, a vector is a list. Whoever spells records looks it up
//! here, in memory, and asks no store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{FieldKind, Schema};

/// The members of a collection whose kind its schema says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kinds(HashMap<String, FieldKind>);

impl Kinds {
    /// Those of a schema; `None` if it says no kind.
    pub fn of(schema: &Schema) -> Option<Self> {
        let named = schema.fields.iter().filter(|(_, field)| field.kind != FieldKind::Any);
        let kinds: HashMap<_, _> = named.map(|(name, field)| (name.clone(), field.kind)).collect();
        (!kinds.is_empty()).then_some(Self(kinds))
    }

    /// What a member means; [`FieldKind::Any`] if nobody says.
    pub fn get(&self, member: &str) -> FieldKind {
        self.0.get(member).copied().unwrap_or_default()
    }
}

impl<const N: usize> From<[(&str, FieldKind); N]> for Kinds {
    fn from(kinds: [(&str, FieldKind); N]) -> Self {
        Self(kinds.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect())
    }
}

/// The kinds of all collections that have some. They follow the schemas as these are committed.
#[derive(Debug, Default)]
pub struct KnownKinds(RwLock<HashMap<Arc<str>, Arc<Kinds>>>);

impl KnownKinds {
    /// Those of a collection.
    pub fn of(&self, collection: &str) -> Option<Arc<Kinds>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(collection).cloned()
    }

    /// From now on a collection has these, or none.
    pub(crate) fn set(&self, collection: Arc<str>, kinds: Option<Arc<Kinds>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match kinds {
            Some(kinds) => known.insert(collection, kinds),
            None => known.remove(&collection),
        };
    }
}
