//! The versioned twin of a collection's schema, as the store keeps it: one JSON object with its version `v`.
//!
//! Version and times of the schema are columns of the collection's row and not repeated here.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::schema::{Field, FieldKind, Index, Metric};

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u8,
    primary_key: String,
    fields: Vec<KeptField>,
}

#[derive(Serialize, Deserialize)]
struct KeptField {
    name: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unique: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    enums: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<KeptIndex>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KeptIndex {
    Text {
        language: String,
    },
    Vector {
        metric: KeptMetric,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dimension: Option<u32>,
    },
    BTree,
    Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptMetric {
    Cosine,
    Euclidean,
    DotProduct,
}

/// The JSON that is kept of a schema's fields and its primary key.
pub fn encode(primary_key: &str, fields: &IndexMap<String, Field>) -> Result<String> {
    let fields = fields.iter().map(|(name, field)| KeptField::of(name, field)).collect();
    let kept = Kept { v: VERSION, primary_key: primary_key.to_owned(), fields };
    serde_json::to_string(&kept).map_err(Error::internal)
}

/// The primary key and the fields that [`encode`] wrote down. Fails if they are damaged or of a newer version.
pub fn decode(json: &str) -> Result<(String, IndexMap<String, Field>)> {
    let kept: Kept = serde_json::from_str(json).map_err(Error::internal)?;
    if kept.v > VERSION {
        return Err(Error::unavailable(
            "a collection's schema was written by a newer version; start that one",
        ));
    }
    let fields = kept.fields.into_iter().map(KeptField::into_field);
    Ok((kept.primary_key, fields.collect::<Result<_>>()?))
}

impl KeptField {
    fn of(name: &str, field: &Field) -> Self {
        let Field { kind, default, unique, required, enums, min, max, pattern, index } = field.clone();
        Self {
            name: name.to_owned(),
            kind: kind.name().to_owned(),
            default,
            unique,
            required,
            enums,
            min,
            max,
            pattern,
            index: index.map(KeptIndex::of),
        }
    }

    fn into_field(self) -> Result<(String, Field)> {
        let Self { name, kind, default, unique, required, enums, min, max, pattern, index } = self;
        let kind = FieldKind::from_name(&kind).ok_or_else(|| {
            Error::unavailable(format!("the field {name:?} is of a kind that a newer version wrote"))
        })?;
        let index = index.map(KeptIndex::into_index);
        Ok((name, Field { kind, default, unique, required, enums, min, max, pattern, index }))
    }
}

impl KeptIndex {
    fn of(index: Index) -> Self {
        match index {
            Index::Text { language } => Self::Text { language },
            Index::Vector { metric, dimension } => Self::Vector { metric: KeptMetric::of(metric), dimension },
            Index::BTree => Self::BTree,
            Index::Hash => Self::Hash,
        }
    }

    fn into_index(self) -> Index {
        match self {
            Self::Text { language } => Index::Text { language },
            Self::Vector { metric, dimension } => Index::Vector { metric: metric.into_metric(), dimension },
            Self::BTree => Index::BTree,
            Self::Hash => Index::Hash,
        }
    }
}

impl KeptMetric {
    fn of(metric: Metric) -> Self {
        match metric {
            Metric::Cosine => Self::Cosine,
            Metric::Euclidean => Self::Euclidean,
            Metric::DotProduct => Self::DotProduct,
        }
    }

    fn into_metric(self) -> Metric {
        match self {
            Self::Cosine => Metric::Cosine,
            Self::Euclidean => Metric::Euclidean,
            Self::DotProduct => Metric::DotProduct,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_comes_back_as_it_was() {
        let full = Field {
            kind: FieldKind::Vector,
            default: Some(json!([1])),
            unique: true,
            required: true,
            enums: vec![json!("a"), json!(1)],
            min: Some(json!(1)),
            max: Some(json!(2.5)),
            pattern: Some("^a$".into()),
            index: Some(Index::Vector { metric: Metric::DotProduct, dimension: Some(3) }),
        };
        let text = Field { index: Some(Index::Text { language: "english".into() }), ..Field::default() };
        let fields: IndexMap<_, _> = [("z".to_owned(), full), ("a.b".to_owned(), text)].into_iter().collect();
        let json = encode("key", &fields).unwrap();
        assert_eq!(decode(&json).unwrap(), ("key".to_owned(), fields));
    }

    #[test]
    fn the_twin_is_versioned() {
        let fields =
            [("a".to_owned(), Field { index: Some(Index::BTree), ..Field::default() })].into_iter().collect();
        let json = encode("id", &fields).unwrap();
        let expected =
            r#"{"v":1,"primary_key":"id","fields":[{"name":"a","kind":"Any","index":{"type":"b_tree"}}]}"#;
        assert_eq!(json, expected);
        assert!(decode(r#"{"v":2,"primary_key":"id","fields":[]}"#).is_err());
        assert!(decode("{").is_err());
    }
}
