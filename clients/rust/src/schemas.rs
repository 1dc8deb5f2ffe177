//! What is known of collections' schemas, from what the server told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of a collection's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaInfo {
    /// Grows with each change and never falls.
    pub version: u64,
    /// Under which name the records' key is shown.
    pub primary_key: String,
}

/// By collection. Only collections that are subscribed to are told of.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<HashMap<String, SchemaInfo>>);

impl Schemas {
    pub(crate) fn get(&self, collection: &str) -> Option<SchemaInfo> {
        self.lock().get(collection).cloned()
    }

    /// A schema changed; an older version than the known one is not taken.
    pub(crate) fn changed(&self, collection: String, info: SchemaInfo) {
        let mut known = self.lock();
        match known.get_mut(&collection) {
            Some(old) if old.version >= info.version => {}
            Some(old) => *old = info,
            None => drop(known.insert(collection, info)),
        }
    }

    /// What changed while there was no connection was not told.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SchemaInfo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_versions_are_taken() {
        let schemas = Schemas::default();
        let info = |version| SchemaInfo { version, primary_key: format!("k{version}") };
        for version in [2, 1, 3] {
            schemas.changed("c".into(), info(version));
        }
        assert_eq!(schemas.get("c"), Some(info(3)));
        schemas.forget();
        assert_eq!(schemas.get("c"), None);
    }
}
