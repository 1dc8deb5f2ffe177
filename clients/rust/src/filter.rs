//! Which records: filters, and questions made of them.

use serde_json::{Value, json};

use crate::generated::wire::{Join, Query as WireQuery, SortField};

/// Which records are meant.
///
/// ```
/// use tidewire_client::Filter;
///
/// let adults = Filter::gte("age", 18).and(Filter::one_of("city", ["Rome", "Oslo"]));
/// let others = !adults;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Value);

macro_rules! operators {
    ($($(#[$about:meta])* $name:ident $wire:literal;)*) => {$(
        $(#[$about])*
        pub fn $name(field: impl Into<String>, value: impl Into<Value>) -> Self {
            Self::condition(field, $wire, value.into())
        }
    )*};
}

impl Filter {
    operators! {
        /// A member is this.
        eq "Eq";
        /// A member is something else.
        ne "Ne";
        /// A member is greater.
        gt "Gt";
        /// A member is greater, or this.
        gte "Gte";
        /// A member is less.
        lt "Lt";
        /// A member is less, or this.
        lte "Lte";
        /// A text has this in it, or an array this element.
        contains "Contains";
        /// A text begins with this.
        starts_with "StartsWith";
        /// A text ends with this.
        ends_with "EndsWith";
    }

    /// A member is one of these.
    pub fn one_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::condition(field, "In", values.into_iter().map(Into::into).collect())
    }

    /// A member is none of these.
    pub fn none_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::condition(field, "NotIn", values.into_iter().map(Into::into).collect())
    }

    /// A condition with the operator's name on the wire.
    pub fn condition(field: impl Into<String>, operator: &str, value: Value) -> Self {
        let content = json!({"field": field.into(), "operator": operator, "value": value});
        Self(json!({"type": "Condition", "content": content}))
    }

    /// A filter as the wire has it; the server checks it.
    pub fn json(filter: Value) -> Self {
        Self(filter)
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::logical("And", vec![self.0, other.0])
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::logical("Or", vec![self.0, other.0])
    }

    fn logical(operator: &str, expressions: Vec<Value>) -> Self {
        Self(json!({"type": "Logical", "content": {"operator": operator, "expressions": expressions}}))
    }

    pub(crate) fn into_json(self) -> Value {
        self.0
    }
}

/// It does not hold.
impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::logical("Not", vec![self.0])
    }
}

/// A question for records.
///
/// ```
/// use tidewire_client::{Filter, Query};
///
/// let query = Query::new("users").filter(Filter::gte("age", 18)).descending("age").limit(10);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query(pub(crate) WireQuery);

impl Query {
    /// All records of a collection.
    pub fn new(collection: impl Into<String>) -> Self {
        Self(WireQuery { collection: collection.into(), ..WireQuery::default() })
    }

    /// Only those that fit; with a filter that was set before, both hold.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        let both = match self.0.filter.take() {
            Some(known) => Filter(known).and(filter),
            None => filter,
        };
        self.0.filter = Some(both.into_json());
        self
    }

    /// Smallest first; later calls decide among equals.
    #[must_use]
    pub fn ascending(self, field: impl Into<String>) -> Self {
        self.sort(field, true)
    }

    /// Largest first; later calls decide among equals.
    #[must_use]
    pub fn descending(self, field: impl Into<String>) -> Self {
        self.sort(field, false)
    }

    fn sort(mut self, field: impl Into<String>, ascending: bool) -> Self {
        let by = SortField { field: field.into(), ascending: Some(ascending) };
        self.0.sort.get_or_insert_default().push(by);
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// After so many.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.0.skip = Some(skip);
        self
    }

    /// Only these members, and the id.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.0.select_fields = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// All members but these.
    #[must_use]
    pub fn exclude<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.0.exclude_fields = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// With each record, as the member `into`, the records of another collection whose `foreign` member equals its
    /// `local` one.
    #[must_use]
    pub fn join(
        mut self,
        collection: impl Into<String>,
        local: impl Into<String>,
        foreign: impl Into<String>,
        into: impl Into<String>,
    ) -> Self {
        self.0.join = Some(Join {
            collections: vec![collection.into()],
            local_field: local.into(),
            foreign_field: foreign.into(),
            as_field: into.into(),
        });
        self
    }
}

impl From<&str> for Query {
    fn from(collection: &str) -> Self {
        Self::new(collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_trees() {
        let filter = !Filter::eq("a", 1).or(Filter::none_of("b", ["x", "y"]));
        let a = json!({"type": "Condition", "content": {"field": "a", "operator": "Eq", "value": 1}});
        let b =
            json!({"type": "Condition", "content": {"field": "b", "operator": "NotIn", "value": ["x", "y"]}});
        let or = json!({"type": "Logical", "content": {"operator": "Or", "expressions": [a, b]}});
        let not = json!({"type": "Logical", "content": {"operator": "Not", "expressions": [or]}});
        assert_eq!(filter.into_json(), not);
    }

    #[test]
    fn a_question_says_what_was_set() {
        let query = Query::new("c").ascending("a").descending("b").filter(Filter::eq("x", true)).limit(2);
        let written = serde_json::to_value(&query.0).unwrap();
        let sort = json!([{"field": "a", "ascending": true}, {"field": "b", "ascending": false}]);
        assert_eq!((&written["sort"], &written["limit"], written.get("skip")), (&sort, &json!(2), None));
    }
}
