//! The shapes of what is said: records, enums, unions, tuples, and what they are made of.
//!
//! Records, enums, unions and tuples always have a name of their own in the definition's type table, so that the
//! names in generated code are chosen by people. A [`Type`] is what stands at a place: a scalar, a collection,
//! or the name of such a shape. How messages are told apart is in [`crate::message`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Recognition, is_default};

/// The name of a type of the type table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema {
    /// Name of the type
    pub type_name: String,
}

impl Schema {
    /// Names a type.
    pub fn new(type_name: impl Into<String>) -> Self {
        Self { type_name: type_name.into() }
    }
}

/// What stands at a place: a scalar, a collection, or a named shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Text
    String,
    /// A whole number, 64 bits with sign
    Integer,
    /// A whole number that is never negative, 64 bits
    Unsigned,
    /// A decimal number, 64 bits
    Float,
    /// `true` or `false`
    Boolean,
    /// A moment as RFC 3339 text
    Timestamp,
    /// Bytes as base64 text (standard alphabet, padded); as the body of a raw binary message, the bytes themselves
    Bytes,
    /// Any JSON value, kept as it is
    Json,
    /// A shape of the type table
    Named(String),
    /// A list
    Array(Box<Type>),
    /// An object with arbitrary keys
    Map(Box<Type>),
}

impl Type {
    /// A shape of the type table.
    pub fn named(name: impl Into<String>) -> Self {
        Self::Named(name.into())
    }

    /// A list of `item`.
    pub fn array(item: Type) -> Self {
        Self::Array(Box::new(item))
    }

    /// An object whose values are all `value`.
    pub fn map(value: Type) -> Self {
        Self::Map(Box::new(value))
    }
}

/// One entry of the type table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeDef {
    /// Name by which the type is referred to and generated
    pub name: String,
    /// What it is, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Its shape
    pub shape: Shape,
}

impl TypeDef {
    /// An entry of any shape.
    pub fn new(name: impl Into<String>, description: impl Into<String>, shape: Shape) -> Self {
        Self { name: name.into(), description: description.into(), shape }
    }

    /// An object with known members; others are ignored when it is read.
    pub fn record(name: impl Into<String>, description: impl Into<String>, fields: Vec<Field>) -> Self {
        Self::new(name, description, Shape::Record(Record { fields }))
    }

    /// A list of strings, of which newer ones may turn up: they are kept as they are.
    pub fn open_enum<const N: usize>(
        name: impl Into<String>,
        description: impl Into<String>,
        values: [&str; N],
    ) -> Self {
        let values = values.into_iter().map(EnumValue::new).collect();
        Self::new(name, description, Shape::Enum { openness: Openness::Open, values })
    }

    /// A list of strings that is complete: any other is an error.
    pub fn closed_enum<const N: usize>(
        name: impl Into<String>,
        description: impl Into<String>,
        values: [&str; N],
    ) -> Self {
        let values = values.into_iter().map(EnumValue::new).collect();
        Self::new(name, description, Shape::Enum { openness: Openness::Closed, values })
    }

    /// One of several types, each with the way to recognise it.
    pub fn union(name: impl Into<String>, description: impl Into<String>, variants: Vec<Variant>) -> Self {
        Self::new(name, description, Shape::Union(Union { variants }))
    }

    /// A list whose places have meanings of their own.
    pub fn tuple(name: impl Into<String>, description: impl Into<String>, items: Vec<TupleItem>) -> Self {
        Self::new(name, description, Shape::Tuple(Tuple { items, rest: None }))
    }

    /// Another name for a type.
    pub fn alias(name: impl Into<String>, description: impl Into<String>, of: Type) -> Self {
        Self::new(name, description, Shape::Alias(of))
    }
}

/// What a named type looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// An object with known members
    Record(Record),
    /// A list of strings
    Enum {
        /// Whether newer values may turn up
        openness: Openness,
        /// The known values
        values: Vec<EnumValue>,
    },
    /// One of several types
    Union(Union),
    /// A list whose places have meanings of their own
    Tuple(Tuple),
    /// Another name for a type
    Alias(Type),
}

/// An object with known members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The members, in the order in which they are written
    pub fields: Vec<Field>,
}

/// A member of a record.
///
/// A member that recognition supplies (a tag, a literal value) is not listed in the record: it is written by the
/// recognition itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name on the wire
    pub name: String,
    /// What it means, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Type of the value
    #[serde(rename = "type")]
    pub field_type: Type,
    /// Whether it may be absent
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// Whether it may be `null`. Of an optional member, `null` and absent mean the same and absent is written
    #[serde(default, skip_serializing_if = "is_default")]
    pub nullable: bool,
    /// Other names under which it is accepted; never written
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What the other side assumes when it is absent
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    pub default: Option<Value>,
    /// The only value that it ever has; it is written by itself and verified when it is read
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::present")]
    pub constant: Option<Value>,
    /// Whether it is a credential that must not appear in logs
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret: bool,
}

impl Field {
    /// A member that is always there.
    pub fn required(name: impl Into<String>, field_type: Type) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            field_type,
            optional: false,
            nullable: false,
            aliases: Vec::new(),
            default: None,
            constant: None,
            secret: false,
        }
    }

    /// A member that may be absent.
    pub fn optional(name: impl Into<String>, field_type: Type) -> Self {
        Self { optional: true, ..Self::required(name, field_type) }
    }

    /// A member that always has this value.
    pub fn constant(name: impl Into<String>, field_type: Type, value: impl Into<Value>) -> Self {
        Self { constant: Some(value.into()), ..Self::required(name, field_type) }
    }

    /// Says what it means.
    pub fn doc(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// May be `null`.
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Is also accepted under another name.
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// What the other side assumes when it is absent.
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Must not appear in logs.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// Whether values outside a list are kept or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Openness {
    /// Newer values may turn up and are kept as they are
    Open,
    /// The list is complete
    Closed,
}

/// One string of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnumValue {
    /// The string on the wire
    pub value: String,
    /// What it means, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

impl EnumValue {
    /// A value without a description.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), description: String::new() }
    }
}

/// One of several types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Union {
    /// The alternatives. Where two of them overlap, the earlier one wins only if it is marked so
    pub variants: Vec<Variant>,
}

/// One alternative of a union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name of the alternative
    pub name: String,
    /// What it is, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Its type
    #[serde(rename = "type")]
    pub variant_type: Type,
    /// How it is told apart
    pub recognition: Recognition,
    /// Whether it is meant to win over later alternatives that it overlaps with
    #[serde(default, skip_serializing_if = "is_default")]
    pub first: bool,
}

impl Variant {
    /// An alternative and how it is told apart.
    pub fn new(name: impl Into<String>, variant_type: Type, recognition: Recognition) -> Self {
        Self { name: name.into(), description: String::new(), variant_type, recognition, first: false }
    }
}

/// A list whose places have meanings of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuple {
    /// The places, in order; optional ones stand last
    pub items: Vec<TupleItem>,
    /// Type of everything that follows, if something may follow
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Type>,
}

/// One place of a tuple.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TupleItem {
    /// Name in generated code; not on the wire
    pub name: String,
    /// What it means, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Type of the value
    #[serde(rename = "type")]
    pub item_type: Type,
    /// Whether the list may end before it
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
}

impl TupleItem {
    /// A place that is always there.
    pub fn new(name: impl Into<String>, item_type: Type) -> Self {
        Self { name: name.into(), description: String::new(), item_type, optional: false }
    }
}
