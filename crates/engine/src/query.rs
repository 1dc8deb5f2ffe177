//! The words for records and for asking about them.
//!
//! Plain data: the collections desk checks who may ask, the store turns it into parameterised SQL, tools build it
//! from a model's arguments.

mod cost;
mod texts;

use serde_json::{Map, Value};

use crate::id::{Offset, RecordId, Timestamp};
use crate::schema::Metric;

pub(crate) use cost::{Cost, MAX_COMPARISONS, MAX_DEPTH, deeper, too_deep};
pub use texts::{RecordText, RecordTexts};

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
    /// When it expires, if it does.
    pub expires_at: Option<Timestamp>,
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
    /// The text contains the value; or the array has it.
    Contains,
    /// The same, without regard to ASCII case.
    ContainsFolded,
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
        /// The member's name; dots lead into nested records; `id` and `_id` are the record's key.
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

impl Filter {
    /// Takes the filters out that lie in this one.
    fn dismantle(&mut self, into: &mut Vec<Self>) {
        match self {
            Self::And(list) | Self::Or(list) => into.append(list),
            Self::Not(inner) => into.push(std::mem::replace(&mut **inner, Self::And(Vec::new()))),
            Self::Compare { .. } => {}
        }
    }
}

impl Drop for Filter {
    /// One level after the other: a filter that a client nested ten thousand deep must not overflow the stack.
    fn drop(&mut self) {
        if let Self::Compare { .. } = self {
            return;
        }
        let mut rest = Vec::new();
        self.dismantle(&mut rest);
        while let Some(mut filter) = rest.pop() {
            filter.dismantle(&mut rest);
        }
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
    /// At most so many; `usize::MAX` is all. An answer beyond [`MAX_ANSWER`](crate::collections::MAX_ANSWER) is refused.
    pub limit: usize,
    /// After so many.
    pub skip: usize,
    /// Which members are given.
    pub projection: Projection,
    /// Records of other collections that are given with each.
    pub join: Option<Join>,
}

/// Which members of a record are given. The id always is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Projection {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

impl Projection {
    /// Takes away what is not given. Names with dots lead into nested records.
    pub fn apply(&self, body: &mut Body) {
        match self {
            Self::All => {}
            Self::Only(names) => *body = names.iter().fold(Body::new(), |kept, name| keep(body, name, kept)),
            Self::Without(names) => names.iter().for_each(|name| remove(body, name)),
        }
    }
}

fn keep(body: &Body, name: &str, mut kept: Body) -> Body {
    if let Some(value) = body.get(name) {
        kept.insert(name.to_owned(), value.clone());
    } else if let Some((first, rest)) = name.split_once('.')
        && let Some(Value::Object(inner)) = body.get(first)
    {
        let place = kept.entry(first).or_insert_with(|| Value::Object(Body::new()));
        if let Value::Object(already) = place {
            *already = keep(inner, rest, std::mem::take(already));
        }
    }
    kept
}

fn remove(body: &mut Body, name: &str) {
    if body.shift_remove(name).is_some() {
        return;
    }
    if let Some((first, rest)) = name.split_once('.')
        && let Some(Value::Object(inner)) = body.get_mut(first)
    {
        remove(inner, rest);
    }
}

/// Records of other collections that belong to each record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// In which collections they are looked for.
    pub collections: Vec<String>,
    /// The member of the record at hand; `id` is its key.
    pub local_field: String,
    /// The member of the others that must equal it; `id` is their key.
    pub foreign_field: String,
    /// The member of the answer that gets the array of what was found.
    pub as_field: String,
}

impl Query {
    /// The first `limit` records of a collection by id.
    pub fn all(collection: impl Into<String>, limit: usize) -> Self {
        Self {
            collection: collection.into(),
            filter: None,
            sort: Vec::new(),
            limit,
            skip: 0,
            projection: Projection::All,
            join: None,
        }
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

/// Search over one collection: by words, by nearness, or by both.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The collection's name.
    pub collection: String,
    /// By words, ranked by BM25.
    pub text: Option<TextSearch>,
    /// By nearness of vectors. With `text` too, the ranks of both are fused.
    pub vector: Option<VectorSearch>,
    /// Only among these records; it is applied before ranking.
    pub filter: Option<Filter>,
    /// Only what fits at least so well.
    pub min_score: Option<f64>,
    /// At most so many.
    pub limit: usize,
    /// Which members are given.
    pub projection: Projection,
}

/// Search by words.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSearch {
    /// What a person typed.
    pub text: String,
    /// In which members, with the weight of each; empty: in all, each with weight 1.
    pub fields: Vec<(String, f64)>,
    /// Whether every word must occur and the last one may be a beginning, as while somebody types. Otherwise one word
    /// is enough, and more words rank higher.
    pub prefix: bool,
    /// So many edits (insert, delete, replace, swap) may lie between a word and what is found; 0 to 5.
    pub max_edits: u8,
    /// Whether words are compared by their stem.
    pub stemming: bool,
    /// Whether upper and lower case differ.
    pub case_sensitive: bool,
    /// Whether the exact phrase ranks higher.
    pub boost_exact: bool,
    /// What its rank counts when it is fused with vectors.
    pub weight: f64,
}

/// Search by nearness.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSearch {
    /// The member that holds the records' vectors.
    pub field: String,
    /// What they are compared with.
    pub vector: Vec<f32>,
    /// How near is measured; `None`: as the member's index says, else by cosine.
    pub metric: Option<Metric>,
    /// So many nearest are looked at.
    pub k: usize,
    /// Only what is at least so near.
    pub threshold: Option<f64>,
    /// What its rank counts when it is fused with words.
    pub weight: f64,
}

impl Search {
    /// What fits the words that a person types.
    pub fn words(collection: impl Into<String>, text: impl Into<String>, limit: usize) -> Self {
        Self {
            collection: collection.into(),
            text: Some(TextSearch::typed(text)),
            vector: None,
            filter: None,
            min_score: None,
            limit,
            projection: Projection::All,
        }
    }
}

impl TextSearch {
    /// Every word must occur in some member, the last one as a beginning.
    pub fn typed(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            fields: Vec::new(),
            prefix: true,
            max_edits: 0,
            stemming: false,
            case_sensitive: false,
            boost_exact: false,
            weight: 1.0,
        }
    }
}

/// A record that fits a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The record.
    pub record: Record,
    /// How well it fits; larger is better.
    pub score: f64,
    /// The members in which the words were found, and the vector's member if it was near.
    pub matched_fields: Vec<String>,
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
