//! Schemas at work: what a record must be, judged inside the transaction that writes it.
//!
//! Uniqueness needs the other records and is judged by the store; everything else is here.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{act, path};
use crate::error::{Code, Detail, Error, Result};
use crate::id::Timestamp;
use crate::query::Body;
use crate::schema::{Field, FieldKind, Index, Metric, Schema};

/// The most members that a schema names.
pub const MAX_FIELDS: usize = 1_000;
/// The most members with an index for equality and order, unique ones included.
pub const MAX_INDEXES: usize = 32;
/// The largest compiled regular expression in bytes; its matching takes linear time.
const MAX_PATTERN: usize = 1 << 20;
/// So many violations are named; more are counted.
const MAX_NAMED: usize = 50;

/// A schema that is ready to judge.
#[derive(Debug, Default)]
pub struct Rules {
    fields: Vec<Rule>,
}

/// What is known of one member.
#[derive(Debug)]
struct Rule {
    name: String,
    field: Field,
    pattern: Option<Regex>,
}

/// A member that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The member's name.
    pub field: String,
    /// What is wrong, to be read after the name.
    pub what: String,
    /// Another record has the value already.
    pub taken: bool,
}

impl Rules {
    /// Makes a schema ready. Fails if the schema itself is wrong.
    pub fn new(schema: &Schema) -> Result<Self> {
        if schema.fields.len() > MAX_FIELDS {
            return Err(Error::invalid(format!("a schema names at most {MAX_FIELDS} fields")));
        }
        if schema.primary_key.is_empty() || schema.primary_key.len() > path::MAX_PATH {
            return Err(Error::invalid("a primary key's name has 1 to 512 bytes"));
        }
        let fields =
            schema.fields.iter().map(|(name, field)| Rule::new(name, field)).collect::<Result<Vec<_>>>()?;
        let rules = Self { fields };
        if rules.ordered().count() > MAX_INDEXES {
            return Err(Error::invalid(format!(
                "a schema has at most {MAX_INDEXES} fields that are unique or have a btree or hash index"
            )));
        }
        Ok(rules)
    }

    /// Whether any record fits.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The members that are indexed for equality and order, and whether their values are unique.
    pub fn ordered(&self) -> impl Iterator<Item = (&str, bool)> {
        let is_ordered =
            |rule: &&Rule| rule.field.unique || matches!(rule.field.index, Some(Index::BTree | Index::Hash));
        self.fields.iter().filter(is_ordered).map(|rule| (rule.name.as_str(), rule.field.unique))
    }

    /// Whether a member is indexed for equality and order.
    pub fn is_ordered(&self, name: &str) -> bool {
        self.ordered().any(|(ordered, _)| ordered == name)
    }

    /// The language of the collection's texts, if a member says it.
    pub fn language(&self) -> Option<&str> {
        self.fields.iter().find_map(|rule| match &rule.field.index {
            Some(Index::Text { language }) => Some(language.as_str()),
            Some(Index::Vector { .. } | Index::BTree | Index::Hash) | None => None,
        })
    }

    /// How near a member's vectors are is measured, if it says so.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let rule = self.fields.iter().find(|rule| rule.name == name)?;
        match rule.field.index {
            Some(Index::Vector { metric, .. }) => Some(metric),
            Some(Index::Text { .. } | Index::BTree | Index::Hash) | None => None,
        }
    }

    /// The members that are vectors: they have no words.
    pub fn vectors(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|rule| rule.field.kind == FieldKind::Vector).map(|rule| rule.name.as_str())
    }

    /// The members whose values are unique.
    pub fn unique(&self) -> impl Iterator<Item = &str> {
        self.ordered().filter(|(_, unique)| *unique).map(|(name, _)| name)
    }

    /// Gives a new record what it does not say. A default whose way is blocked is left to the check.
    pub fn complete(&self, body: &mut Body) {
        for rule in &self.fields {
            let Some(default) = &rule.field.default else { continue };
            if path::get(body, &rule.name).is_none()
                && let Ok(slot) = path::slot(body, &rule.name)
            {
                *slot = default.clone();
            }
        }
    }

    /// Everything that is wrong with a record.
    pub fn violations(&self, body: &Body) -> Vec<Violation> {
        let judge = |rule: &Rule| {
            let what = rule.judge(path::get(body, &rule.name)).err()?;
            Some(Violation { field: rule.name.clone(), what, taken: false })
        };
        self.fields.iter().filter_map(judge).collect()
    }

    /// The members with a vector index that learns its dimension from the first record, and that dimension here.
    pub fn dimensions(&self, body: &Body) -> Vec<(&str, u32)> {
        let learn = |rule: &Rule| match rule.field.index {
            Some(Index::Vector { dimension: None, .. }) => {
                let length = path::get(body, &rule.name)?.as_array()?.len();
                u32::try_from(length).ok().filter(|length| *length > 0)
            }
            Some(Index::Vector { .. } | Index::Text { .. } | Index::BTree | Index::Hash) | None => None,
        };
        self.fields.iter().filter_map(|rule| Some((rule.name.as_str(), learn(rule)?))).collect()
    }
}

/// One error that names every violation; `record` says which record, if the asker does not know it.
pub fn refuse(violations: &[Violation], record: Option<&str>) -> Error {
    let code =
        if violations.iter().all(|violation| violation.taken) { Code::Conflict } else { Code::Invalid };
    let mut named: Vec<String> = violations
        .iter()
        .take(MAX_NAMED)
        .map(|violation| format!("{} {}", violation.field, violation.what))
        .collect();
    if violations.len() > MAX_NAMED {
        named.push(format!("and {} more", violations.len() - MAX_NAMED));
    }
    let whose = record.map_or_else(|| "the record".to_owned(), |id| format!("the record {id:?}"));
    let fields: Vec<&str> =
        violations.iter().take(MAX_NAMED).map(|violation| violation.field.as_str()).collect();
    Error::new(code, format!("{whose} does not fit the schema: {}", named.join("; ")))
        .with(Detail::Field(fields.join(", ")))
}

impl Rule {
    fn new(name: &str, field: &Field) -> Result<Self> {
        path::check(name)?;
        let about = |what: &str| {
            Error::invalid(format!("the schema's field {name:?} {what}")).with(Detail::Field(name.to_owned()))
        };
        if matches!(name, "id" | "_id") {
            return Err(about("is the record's key; leave it out"));
        }
        for bound in [&field.min, &field.max].into_iter().flatten() {
            if !bound.is_number() {
                return Err(about("needs numbers as min and max"));
            }
        }
        let pattern = field.pattern.as_deref().map(|pattern| {
            compile(pattern)
                .map_err(|why| about(&format!("has a regular expression that cannot be used: {why}")))
        });
        let rule = Self { name: name.to_owned(), field: field.clone(), pattern: pattern.transpose()? };
        if let Some(default) = &field.default {
            rule.judge(Some(default)).map_err(|what| about(&format!("has a default that {what}")))?;
        }
        Ok(rule)
    }

    /// The first thing that is wrong with a value.
    fn judge(&self, value: Option<&Value>) -> Result<(), String> {
        let field = &self.field;
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return if field.required { Err("is required".to_owned()) } else { Ok(()) };
        };
        if !is_of(field.kind, value) {
            return Err(format!("must be {}", article(field.kind)));
        }
        if !field.enums.is_empty() && !field.enums.iter().any(|one| act::same(one, value)) {
            return Err(format!("must be one of {}", Value::Array(field.enums.clone())));
        }
        self.judge_size(value)?;
        match (&self.pattern, value) {
            (Some(pattern), Value::String(text)) if !pattern.is_match(text) => {
                Err(format!("must fit the regular expression {}", pattern.as_str()))
            }
            _ => self.judge_dimension(value),
        }
    }

    fn judge_size(&self, value: &Value) -> Result<(), String> {
        #[allow(clippy::cast_precision_loss, reason = "no text is so long")]
        let (size, what) = match value {
            Value::Number(number) => (number.as_f64().unwrap_or(f64::NAN), ""),
            Value::String(text) => (text.chars().count() as f64, " characters long"),
            Value::Array(list) => (list.len() as f64, " elements long"),
            Value::Null | Value::Bool(_) | Value::Object(_) => return Ok(()),
        };
        let bound = |bound: &Option<Value>| bound.as_ref().and_then(Value::as_f64);
        if let Some(min) = bound(&self.field.min).filter(|min| size < *min) {
            return Err(format!("must be at least {min}{what}"));
        }
        if let Some(max) = bound(&self.field.max).filter(|max| size > *max) {
            return Err(format!("must be at most {max}{what}"));
        }
        Ok(())
    }

    fn judge_dimension(&self, value: &Value) -> Result<(), String> {
        let Some(Index::Vector { dimension: Some(dimension), .. }) = self.field.index else { return Ok(()) };
        let length = value.as_array().map_or(0, Vec::len);
        if u32::try_from(length) == Ok(dimension) && is_of(FieldKind::Vector, value) {
            return Ok(());
        }
        Err(format!("must be a list of {dimension} numbers"))
    }
}

/// A regular expression of bounded size; the reason in one line if it cannot be one.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build().map_err(|error| {
        match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        }
    })
}

fn article(kind: FieldKind) -> String {
    let article = match kind {
        FieldKind::Integer | FieldKind::Object | FieldKind::Array => "an",
        _ => "a",
    };
    format!("{article} {}", kind.name())
}

fn is_of(kind: FieldKind, value: &Value) -> bool {
    match kind {
        FieldKind::Any => true,
        FieldKind::String => value.is_string(),
        FieldKind::Integer => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
        }
        FieldKind::Float | FieldKind::Number => value.is_number(),
        FieldKind::Boolean => value.is_boolean(),
        FieldKind::Object => value.is_object(),
        FieldKind::Array => value.is_array(),
        FieldKind::Set => value.as_array().is_some_and(|list| is_set(list)),
        FieldKind::Vector => value.as_array().is_some_and(|list| list.iter().all(Value::is_number)),
        FieldKind::DateTime => value.as_str().is_some_and(|text| Timestamp::from_rfc3339(text).is_some()),
        FieldKind::Uuid => {
            value.as_str().is_some_and(|text| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok())
        }
        FieldKind::Decimal => value.is_number() || value.as_str().is_some_and(is_decimal),
        FieldKind::Duration => is_duration(value),
        FieldKind::Binary | FieldKind::Bytes => is_bytes(value),
    }
}

fn is_set(list: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    list.iter().all(|value| seen.insert(value.to_string()))
}

/// A sign, digits, a point, digits.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    let clean = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    clean(whole) && clean(rest)
}

/// `{"secs", "nanos"}`, `[secs, nanos]`, or digits with a unit.
fn is_duration(value: &Value) -> bool {
    match value {
        Value::Object(parts) => {
            parts.len() == 2
                && ["secs", "nanos"].iter().all(|part| parts.get(*part).is_some_and(Value::is_u64))
        }
        Value::Array(parts) => parts.len() == 2 && parts.iter().all(Value::is_u64),
        Value::String(text) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            digits > 0 && matches!(&text[digits..], "ms" | "s" | "m" | "h" | "d" | "w")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_bytes(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(|byte| byte.as_u64().is_some_and(|byte| byte < 256)),
        Value::String(text) => {
            let letters = text.trim_end_matches('=');
            let clean = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
            text.len() - letters.len() <= 2 && letters.len() % 4 != 1 && letters.bytes().all(clean)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(fields: Vec<(&str, Field)>) -> Result<Rules> {
        let fields = fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
        let (created_at, updated_at) = (Timestamp(0), Timestamp(0));
        Rules::new(&Schema { fields, primary_key: "id".into(), version: 1, created_at, updated_at })
    }

    fn body(value: &Value) -> Body {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn kinds_know_their_values() {
        let check = |kind, good: Value, bad: Value| {
            for value in good.as_array().unwrap() {
                assert!(is_of(kind, value), "{kind:?} {value}");
            }
            for value in bad.as_array().unwrap() {
                assert!(!is_of(kind, value), "{kind:?} {value}");
            }
        };
        check(FieldKind::Any, json!([1, "a", {}]), json!([]));
        check(FieldKind::String, json!(["a"]), json!([1, []]));
        check(FieldKind::Integer, json!([1, -1, 2.0, u64::MAX]), json!([1.5, "1"]));
        check(FieldKind::Float, json!([1, 1.5]), json!(["1"]));
        check(FieldKind::Number, json!([1, 1.5]), json!([true]));
        check(FieldKind::Boolean, json!([true]), json!([0]));
        check(FieldKind::Object, json!([{}]), json!([[]]));
        check(FieldKind::Array, json!([[1, 1]]), json!([{}]));
        check(FieldKind::Set, json!([[1, "1"]]), json!([[1, 1], {}]));
        check(FieldKind::Vector, json!([[1, 0.5]]), json!([["1"], 1]));
        check(FieldKind::DateTime, json!(["2026-01-02T03:04:05Z"]), json!(["2026-01-02", 1]));
        check(
            FieldKind::Uuid,
            json!(["0190a5f4-5b5c-7cde-8f00-0123456789ab"]),
            json!(["0190a5f45b5c7cde8f000123456789ab"]),
        );
        check(FieldKind::Decimal, json!(["-12.50", "1", 2]), json!(["1.", ".5", "1e5", ""]));
        check(
            FieldKind::Duration,
            json!([{"secs": 1, "nanos": 0}, "5m", [1, 2]]),
            json!(["5", "m", 5, {"secs": 1}]),
        );
        check(FieldKind::Binary, json!([[0, 255], "AQID", "AQ=="]), json!([[256], "A", "a b", 1]));
    }

    #[test]
    fn every_violation_is_named_in_one_error() {
        let rules = rules(vec![
            ("name", Field { required: true, ..Field::default() }),
            (
                "age",
                Field {
                    kind: FieldKind::Integer,
                    min: Some(json!(0)),
                    max: Some(json!(150)),
                    ..Field::default()
                },
            ),
            ("code", Field { pattern: Some("^[A-Z]{3}$".into()), ..Field::default() }),
            ("size", Field { enums: vec![json!("S"), json!("M")], ..Field::default() }),
            ("address.zip", Field { kind: FieldKind::String, min: Some(json!(5)), ..Field::default() }),
            ("tags", Field { max: Some(json!(1)), ..Field::default() }),
        ])
        .unwrap();
        let bad = json!({"age": 151, "code": "abc", "size": "L", "address": {"zip": "123"}, "tags": [1, 2]});
        let error = refuse(&rules.violations(&body(&bad)), None);
        assert_eq!(
            error.message,
            "the record does not fit the schema: name is required; age must be at most 150; code must fit the regular \
             expression ^[A-Z]{3}$; size must be one of [\"S\",\"M\"]; address.zip must be at least 5 characters long; \
             tags must be at most 1 elements long"
        );
        assert_eq!(error.detail, Detail::Field("name, age, code, size, address.zip, tags".into()));
        let good = json!({"name": "x", "age": 150, "code": "ABC", "size": "M", "address": {"zip": "12345"}, "more": 1});
        assert_eq!(rules.violations(&body(&good)), []);
    }

    #[test]
    fn schemas_that_cannot_be_are_refused() {
        let check = |name: &str, field, expected: &str| {
            let message = rules(vec![(name, field)]).unwrap_err().message;
            assert!(message.contains(expected), "{message}");
        };
        check("id", Field::default(), "record's key");
        check("", Field::default(), "1 to 512");
        check("a", Field { pattern: Some("(".into()), ..Field::default() }, "regular expression");
        check("a", Field { pattern: Some("(a{1000}){1000}".into()), ..Field::default() }, "too large");
        check("a", Field { min: Some(json!("1")), ..Field::default() }, "numbers as min");
        let default = Field { kind: FieldKind::Integer, default: Some(json!("x")), ..Field::default() };
        check("a", default, "default that must be an Integer");
    }

    #[test]
    fn a_hostile_expression_takes_linear_time() {
        let rules =
            rules(vec![("a", Field { pattern: Some("^(a+)+$".into()), ..Field::default() })]).unwrap();
        let text = format!("{}!", "a".repeat(100_000));
        assert_eq!(rules.violations(&body(&json!({"a": text}))).len(), 1);
    }

    #[test]
    fn defaults_fill_what_is_missing() {
        let default = |value| Field { default: Some(value), ..Field::default() };
        let rules = rules(vec![("a.b", default(json!(1))), ("c", default(json!("x")))]).unwrap();
        let mut filled = body(&json!({"c": null}));
        rules.complete(&mut filled);
        assert_eq!(Value::Object(filled), json!({"c": null, "a": {"b": 1}}));
    }
}
