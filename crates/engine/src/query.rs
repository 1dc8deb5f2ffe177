//! The words for records and for asking about them.
//!
//! Plain data: the collections desk checks who may ask, the store turns it into parameterised SQL, tools build it
//! from a model's arguments.

use serde_json::{Map, Value};

use crate::id::{Offset, RecordId, Timestamp};

/// A record's members, in the order in which they were written.
pub type Body = Map<String, Value>;

/// One record as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its key in its collection.
    pub id: RecordId,
    /// Its members, without the id.
    pub body: Body,
    /// The offset of the change that made it what it is.
    pub version: Offset,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// How a field is compared with a value. Comparison follows JSON types; text compares by code point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal; `null` also fits a missing field.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// One of the array's values.
    In,
    /// None of the array's values.
    NotIn,
    /// The text contains the value, without regard to ASCII case; or the array has it.
    Contains,
    /// The text starts with the value.
    StartsWith,
    /// The text ends with the value.
    EndsWith,
    /// The field is there (`true`) or not (`false`).
    Exists,
}

/// Which records.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of them hold; an empty list holds.
    And(Vec<Filter>),
    /// One of them holds; an empty list does not.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A field compared with a value.
    Compare {
        /// The member's name; dots lead into nested records; `id` is the record's key.
        field: String,
        /// How.
        operator: Operator,
        /// With what.
        value: Value,
    },
}

impl Filter {
    /// A field equals a value.
    pub fn eq(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::compare(field, Operator::Eq, value)
    }

    /// A field compared with a value.
    pub fn compare(field: impl Into<String>, operator: Operator, value: impl Into<Value>) -> Self {
        Self::Compare { field: field.into(), operator, value: value.into() }
    }
}

/// In which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The member's name, as in [`Filter::Compare`].
    pub field: String,
    /// Largest first.
    pub descending: bool,
}

/// Which records of one collection, in which order, how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The collection's name.
    pub collection: String,
    /// Which; `None` is all.
    pub filter: Option<Filter>,
    /// In which order; ties and no order at all go by id.
    pub sort: Vec<Sort>,
    /// At most so many.
    pub limit: usize,
    /// After so many.
    pub skip: usize,
}

impl Query {
    /// The first `limit` records of a collection by id.
    pub fn all(collection: impl Into<String>, limit: usize) -> Self {
        Self { collection: collection.into(), filter: None, sort: Vec::new(), limit, skip: 0 }
    }

    /// The same, of those that fit.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The same, ordered by a field, smallest first.
    #[must_use]
    pub fn sort(mut self, field: impl Into<String>) -> Self {
        self.sort.push(Sort { field: field.into(), descending: false });
        self
    }
}

/// Full-text search over one collection's text members, ranked by BM25.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The collection's name.
    pub collection: String,
    /// What a person typed; every word must occur, the last one as a prefix.
    pub text: String,
    /// At most so many.
    pub limit: usize,
}

/// A record that fits a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The record.
    pub record: Record,
    /// How well it fits; larger is better.
    pub score: f64,
}

/// A collection, as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name: 1 to 128 of `A-Z a-z 0-9 _ - .`, starting with a letter or `_`.
    pub name: String,
    /// How many records it has.
    pub count: u64,
    /// The last offset of its change log.
    pub last_offset: Offset,
}
