//! Schemas as clients write and read them.

use indexmap::IndexMap;
use serde_json::Value;
use tidewire_engine::schema::{Field, FieldChange, FieldKind, Index, Metric, Schema};
use tidewire_engine::{Detail, Error, Result, Timestamp};

use super::wire;

/// The schema of a collection that is to be made: none if it says nothing.
pub fn read(schema: Option<wire::CollectionSchema>) -> Result<Option<Schema>> {
    let Some(schema) = schema else { return Ok(None) };
    let fields = schema.fields.unwrap_or_default();
    if fields.is_empty() && schema.primary_key_alias.is_none() {
        return Ok(None);
    }
    let fields = fields.into_iter().map(|(name, written)| Ok((name.clone(), field(&name, written)?)));
    Ok(Some(Schema {
        fields: fields.collect::<Result<IndexMap<_, _>>>()?,
        primary_key: schema.primary_key_alias.unwrap_or_else(|| "id".into()),
        version: 0,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }))
}

fn field(name: &str, written: wire::FieldSchema) -> Result<Field> {
    let change = change(name, written)?;
    Ok(Field {
        kind: change.kind.unwrap_or_default(),
        default: change.default,
        unique: change.unique.unwrap_or_default(),
        required: change.required.unwrap_or_default(),
        enums: change.enums.unwrap_or_default(),
        min: change.min,
        max: change.max,
        pattern: change.pattern,
        index: change.index,
    })
}

/// What changes about members.
pub fn changes(written: wire::SchemaChange) -> Result<Vec<(String, FieldChange)>> {
    written
        .constraints
        .into_iter()
        .map(|(name, written)| Ok((name.clone(), change(&name, written)?)))
        .collect()
}

fn change(name: &str, written: wire::FieldSchema) -> Result<FieldChange> {
    let at = |member: &str| Detail::Field(format!("fields.{name}.{member}"));
    let kind = written.field_type.map(|kind| {
        FieldKind::from_name(&kind).ok_or_else(|| {
            let known = FieldKind::ALL.map(|(_, name)| name).join(", ");
            Error::invalid(format!("{kind:?} is no type; use one of {known}")).with(at("field_type"))
        })
    });
    let index = written.index.map(|written| index(&written).map_err(|error| error.with(at("index"))));
    let given = |value: Option<Value>| value.filter(|value| !value.is_null());
    Ok(FieldChange {
        kind: kind.transpose()?,
        default: given(written.default),
        unique: written.unique,
        required: written.required,
        enums: written.enums,
        min: given(written.min),
        max: given(written.max),
        pattern: written.regex,
        index: index.transpose()?,
    })
}

fn index(written: &wire::FieldIndex) -> Result<Index> {
    match written.r#type.to_ascii_lowercase().as_str() {
        "text" => Ok(Index::Text {
            language: written.language.as_deref().unwrap_or("english").to_ascii_lowercase(),
        }),
        "vector" => Ok(Index::Vector {
            metric: metric(written.metric.as_deref().unwrap_or("cosine"))?,
            dimension: written.dimension.map(dimension).transpose()?,
        }),
        "btree" => Ok(Index::BTree),
        "hash" => Ok(Index::Hash),
        other => Err(Error::invalid(format!("{other:?} is no index; use text, vector, btree or hash"))),
    }
}

fn dimension(written: u64) -> Result<u32> {
    let fits = u32::try_from(written).ok().filter(|dimension| (1..=65_536).contains(dimension));
    fits.ok_or_else(|| Error::invalid("a vector has 1 to 65536 numbers"))
}

/// How near is measured, by name in any case.
pub fn metric(name: &str) -> Result<Metric> {
    match name.to_ascii_lowercase().as_str() {
        "cosine" => Ok(Metric::Cosine),
        "euclidean" => Ok(Metric::Euclidean),
        "dotproduct" | "dot_product" | "dot" => Ok(Metric::DotProduct),
        other => Err(Error::invalid(format!("{other:?} is no metric; use cosine, euclidean or dotproduct"))),
    }
}

/// A member's rules as clients read them.
pub(super) fn written(field: &Field) -> wire::FieldSchema {
    wire::FieldSchema {
        field_type: Some(field.kind.name().to_owned()),
        default: field.default.clone(),
        unique: Some(field.unique),
        required: Some(field.required),
        enums: Some(field.enums.clone()),
        max: field.max.clone(),
        min: field.min.clone(),
        regex: field.pattern.clone(),
        index: field.index.as_ref().map(written_index),
    }
}

fn written_index(index: &Index) -> wire::FieldIndex {
    let named = |name: &str| wire::FieldIndex { r#type: name.to_owned(), ..wire::FieldIndex::default() };
    match index {
        Index::Text { language } => wire::FieldIndex { language: Some(language.clone()), ..named("text") },
        Index::Vector { metric, dimension } => wire::FieldIndex {
            algorithm: Some("flat".into()),
            metric: Some(metric_name(*metric).into()),
            dimension: dimension.map(u64::from),
            ..named("vector")
        },
        Index::BTree => named("btree"),
        Index::Hash => named("hash"),
    }
}

fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "cosine",
        Metric::Euclidean => "euclidean",
        Metric::DotProduct => "dotproduct",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(schema: Value) -> Result<Option<Schema>> {
        read(Some(serde_json::from_value(schema).unwrap()))
    }

    #[test]
    fn a_schema_comes_back_as_it_was_written() {
        let fields = json!({
            "age": {"field_type": "integer", "unique": false, "required": true, "min": 0, "max": 150,
                    "index": {"type": "btree"}},
            "bio": {"field_type": "STRING", "enums": [], "regex": "^A", "index": {"type": "text"}},
            "place": {"field_type": "Vector", "index": {"type": "vector", "algorithm": "hnsw", "m": 16, "dimension": 3}},
        });
        let schema = parse(json!({"fields": fields, "bypass_ripple": true})).unwrap().unwrap();
        let written = serde_json::to_value(super::super::spell::schema(&schema)).unwrap();
        let fields = &written["fields"];
        assert_eq!(fields["age"]["field_type"], "Integer");
        assert_eq!(fields["bio"]["index"], json!({"type": "text", "language": "english"}));
        assert_eq!(fields["place"]["index"]["metric"], "cosine");
        assert_eq!(fields["place"]["index"]["dimension"], 3);
        assert_eq!(parse(written).unwrap().unwrap().fields, schema.fields);
    }

    #[test]
    fn nothing_is_no_schema() {
        assert_eq!(read(None).unwrap(), None);
        assert_eq!(parse(json!({})).unwrap(), None);
        assert_eq!(parse(json!({"fields": {}, "version": 1})).unwrap(), None);
    }

    #[test]
    fn unknown_types_and_indexes_are_named() {
        for bad in [
            json!({"field_type": "Money"}),
            json!({"index": {"type": "gin"}}),
            json!({"index": {"type": "vector", "metric": "far"}}),
            json!({"index": {"type": "vector", "dimension": 0}}),
        ] {
            let error = parse(json!({"fields": {"a": bad}})).unwrap_err();
            let Detail::Field(field) = &error.detail else { panic!("{error:?}") };
            assert!(field.starts_with("fields.a."), "{field}");
        }
    }
}
