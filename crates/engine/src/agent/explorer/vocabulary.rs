//! What the asker may speak of: tables, schemas and collections with the words that people have for them.
//!
//! It is made anew only when it may have changed: most runs find the tables' records as the run before them did.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::catalog::{self, Catalog, TABLES, Table};
use super::words::{plural_and_singular, spoken, table_words, unique};
use crate::agent::SharedRecords;
use crate::error::Result;
use crate::id::Offset;
use crate::identity::{Grants, Identity};
use crate::model::{Name, NameKind};
use crate::query::CollectionInfo;

/// So many are kept: askers who may read different things have different ones.
const KEPT: usize = 16;

/// The names that questions are made of.
#[derive(Clone)]
pub struct Vocabulary {
    records: SharedRecords,
    /// The newest last.
    known: Arc<Mutex<Vec<Known>>>,
}

/// Names, and what they were made from.
struct Known {
    made_from: Standing,
    names: Arc<[Name]>,
    /// The last time that it was so, and who was told.
    told: Option<(u64, Grants)>,
}

/// The collections that an asker may read, and the last change of the tables' one.
#[derive(Clone, PartialEq)]
struct Standing {
    collections: Vec<String>,
    tables: Option<Offset>,
}

impl Vocabulary {
    /// Of what there is in these records.
    pub fn new(records: SharedRecords) -> Self {
        Self { records, known: Arc::default() }
    }

    /// What the identity may speak of.
    ///
    /// Names that the identity may not read are not in it. The catalogue's own collections are left out, because its
    /// tables are what a question means. A table whose record has expired may be in it until the record is removed.
    ///
    /// # Errors
    /// Those of the records.
    pub async fn of(&self, identity: &Identity) -> Result<Arc<[Name]>> {
        // Asked for before the look, so that what changes meanwhile is seen by the next one.
        let now = self.records.commits();
        if let Some(names) = now.and_then(|now| self.find_told(now, &identity.grants)) {
            return Ok(names);
        }
        let told = now.map(|now| (now, identity.grants.clone()));
        let standing = Standing::of(self.records.collections(identity).await?);
        if let Some(names) = self.find(&standing, told.clone()) {
            return Ok(names);
        }
        let tables = Catalog { records: &*self.records, identity }.tables().await?;
        let names = names(&tables, &standing.collections);
        self.keep(Known { made_from: standing, names: Arc::clone(&names), told });
        Ok(names)
    }

    /// What somebody who may do the same was told, if nothing was committed since.
    fn find_told(&self, now: u64, grants: &Grants) -> Option<Arc<[Name]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told = |(at, to): &(u64, Grants)| *at == now && to == grants;
        let found = known.iter().rev().find(|known| known.told.as_ref().is_some_and(is_told));
        found.map(|known| Arc::clone(&known.names))
    }

    fn find(&self, standing: &Standing, told: Option<(u64, Grants)>) -> Option<Arc<[Name]>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter_mut().rev().find(|known| known.made_from == *standing)?;
        found.told = told;
        Some(Arc::clone(&found.names))
    }

    fn keep(&self, new: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Another offset is of before, and never comes again.
        known.retain(|known| {
            known.made_from.tables == new.made_from.tables && known.made_from != new.made_from
        });
        if known.len() == KEPT {
            known.remove(0);
        }
        known.push(new);
    }
}

impl Standing {
    fn of(collections: Vec<CollectionInfo>) -> Self {
        let tables = collections.iter().find(|info| info.name == TABLES).map(|info| info.last_offset);
        Self { collections: collections.into_iter().map(|info| info.name).collect(), tables }
    }
}

fn names(tables: &[Table], collections: &[String]) -> Arc<[Name]> {
    let schemas: BTreeSet<_> = tables.iter().map(|table| table.schema.as_str()).collect();
    let schemas = schemas.into_iter().filter(|schema| !schema.is_empty()).map(schema_name);
    let collections = collections.iter().map(String::as_str);
    let collections = collections.filter(|name| !catalog::COLLECTIONS.contains(name)).map(collection_name);
    tables.iter().map(table_name).chain(schemas).chain(collections).collect()
}

fn table_name(table: &Table) -> Name {
    Name { kind: NameKind::Table, name: table.full_name.clone(), words: table_words(table) }
}

fn schema_name(schema: &str) -> Name {
    Name {
        kind: NameKind::Schema,
        name: schema.to_owned(),
        words: unique([spoken(schema), schema.to_lowercase()]),
    }
}

fn collection_name(collection: &str) -> Name {
    let words = plural_and_singular(&spoken(collection)).into_iter().chain([collection.to_lowercase()]);
    Name { kind: NameKind::Collection, name: collection.to_owned(), words: unique(words) }
}
