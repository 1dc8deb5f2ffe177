//! What a collection's records must be, and how they can be found fast.

mod kinds;

use indexmap::IndexMap;
use serde_json::Value;

use crate::id::Timestamp;
pub use kinds::{Kinds, KnownKinds};

/// A collection's schema. A collection without one takes any record.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What is known of members. Members that are not named here may be anything.
    pub fields: IndexMap<String, Field>,
    /// Under which name the record's key is shown; `id` unless said otherwise.
    pub primary_key: String,
    /// Grows with each change and never falls, not even when a collection is dropped and made again.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a member must be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Field {
    /// Of which type.
    pub kind: FieldKind,
    /// What it is when an insert does not say it.
    pub default: Option<Value>,
    /// No two records may have the same value.
    pub unique: bool,
    /// Every record has it, and it is not `null`.
    pub required: bool,
    /// It is one of these; empty: anything.
    pub enums: Vec<Value>,
    /// A number is at least this, a text or an array at least so long.
    pub min: Option<Value>,
    /// A number is at most this, a text or an array at most so long.
    pub max: Option<Value>,
    /// A text fits this regular expression somewhere.
    pub pattern: Option<String>,
    /// How it is indexed.
    pub index: Option<Index>,
}

/// A member's type. JSON knows fewer; the others say how a text, an array or an object is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FieldKind {
    /// Anything.
    #[default]
    Any,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number; a whole one is one too.
    Float,
    /// A number of either kind.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A record within the record.
    Object,
    /// A list.
    Array,
    /// A list without repetition.
    Set,
    /// A list of numbers, as long as those of all other records.
    Vector,
    /// RFC 3339 text.
    DateTime,
    /// UUID text with hyphens (RFC 9562).
    Uuid,
    /// A decimal number as text.
    Decimal,
    /// `{"secs", "nanos"}`, or text such as `5m`.
    Duration,
    /// Bytes as a list of numbers from 0 to 255, or as base64 text.
    Binary,
    /// The same.
    Bytes,
}

impl FieldKind {
    /// Every kind with its name.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::Any, "Any"),
        (Self::String, "String"),
        (Self::Integer, "Integer"),
        (Self::Float, "Float"),
        (Self::Number, "Number"),
        (Self::Boolean, "Boolean"),
        (Self::Object, "Object"),
        (Self::Array, "Array"),
        (Self::Set, "Set"),
        (Self::Vector, "Vector"),
        (Self::DateTime, "DateTime"),
        (Self::Uuid, "UUID"),
        (Self::Decimal, "Decimal"),
        (Self::Duration, "Duration"),
        (Self::Binary, "Binary"),
        (Self::Bytes, "Bytes"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("Any", |(_, name)| name)
    }

    /// The kind with this name in any case, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(kind, _)| *kind)
    }
}

/// How a member is indexed.
#[derive(Debug, Clone, PartialEq)]
pub enum Index {
    /// For full-text search.
    Text {
        /// The language of its words, lower case English name.
        language: String,
    },
    /// For nearest neighbours.
    Vector {
        /// How near is measured.
        metric: Metric,
        /// How many numbers; `None` until the first record says it.
        dimension: Option<u32>,
    },
    /// For equality, order and ranges.
    BTree,
    /// For equality.
    Hash,
}

/// How near two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Metric {
    /// The cosine of their angle, -1 to 1; larger is nearer.
    #[default]
    Cosine,
    /// Their distance; the score is `1 / (1 + distance)`.
    Euclidean,
    /// Their dot product; larger is nearer.
    DotProduct,
}

/// What changes about a member: members that are `None` stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldChange {
    /// See [`Field::kind`].
    pub kind: Option<FieldKind>,
    /// See [`Field::default`].
    pub default: Option<Value>,
    /// See [`Field::unique`].
    pub unique: Option<bool>,
    /// See [`Field::required`].
    pub required: Option<bool>,
    /// See [`Field::enums`].
    pub enums: Option<Vec<Value>>,
    /// See [`Field::min`].
    pub min: Option<Value>,
    /// See [`Field::max`].
    pub max: Option<Value>,
    /// See [`Field::pattern`].
    pub pattern: Option<String>,
    /// See [`Field::index`].
    pub index: Option<Index>,
}
