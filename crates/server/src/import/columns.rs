//! What a file's columns hold, for the catalogue.

use indexmap::IndexMap;
use serde_json::Value;
use tidewire_engine::query::Body;

/// The columns met so far, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Columns(IndexMap<String, Type>);

/// What all values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Boolean,
    Integer,
    Decimal,
    Date,
    Timestamp,
    Text,
    Json,
    Empty,
}

impl Columns {
    /// Looks at a record.
    pub(super) fn see(&mut self, body: &Body) {
        for (name, value) in body {
            let kind = Type::of(value);
            match self.0.get_mut(name) {
                Some(known) => *known = known.and(kind),
                None => {
                    self.0.insert(name.clone(), kind);
                }
            }
        }
    }

    /// Names and types.
    pub(super) fn finish(self) -> Vec<(String, String)> {
        self.0.into_iter().map(|(name, kind)| (name, kind.name().to_owned())).collect()
    }
}

impl Type {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Empty,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Decimal,
            Value::Number(_) => Self::Integer,
            Value::String(text) => Self::of_text(text),
            Value::Array(_) | Value::Object(_) => Self::Json,
        }
    }

    /// `2026-11-21` is a date, with a time after it a timestamp.
    fn of_text(text: &str) -> Self {
        let shape = |pattern: &[u8], text: &[u8]| {
            pattern.len() == text.len()
                && pattern.iter().zip(text).all(|(p, t)| if *p == b'9' { t.is_ascii_digit() } else { p == t })
        };
        let Some((date, rest)) = text.as_bytes().split_at_checked(10) else { return Self::Text };
        if !shape(b"9999-99-99", date) {
            return Self::Text;
        }
        let time =
            rest.get(1..9).filter(|_| matches!(rest[0], b'T' | b' ')).filter(|time| shape(b"99:99:99", time));
        match (rest.is_empty(), time) {
            (true, _) => Self::Date,
            (false, Some(_)) => Self::Timestamp,
            (false, None) => Self::Text,
        }
    }

    /// What a column is that holds both.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (kind, Self::Empty) | (Self::Empty, kind) => kind,
            (one, two) if one == two => one,
            (Self::Integer, Self::Decimal) | (Self::Decimal, Self::Integer) => Self::Decimal,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            (Self::Json, _) | (_, Self::Json) => Self::Json,
            (
                Self::Boolean | Self::Integer | Self::Decimal | Self::Date | Self::Timestamp | Self::Text,
                Self::Boolean | Self::Integer | Self::Decimal | Self::Date | Self::Timestamp | Self::Text,
            ) => Self::Text,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Text | Self::Empty => "text",
            Self::Json => "json",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_is_what_all_its_values_are() {
        let check = |values: &[Value], expected: &str| {
            let mut columns = Columns::default();
            for value in values {
                columns.see(json!({"c": value}).as_object().unwrap());
            }
            assert_eq!(columns.finish(), [(String::from("c"), String::from(expected))], "{values:?}");
        };
        check(&[json!(1), json!(null), json!(2)], "integer");
        check(&[json!(1), json!(2.5)], "decimal");
        check(&[json!(1), json!("x")], "text");
        check(&[json!(true)], "boolean");
        check(&[json!("2026-11-21")], "date");
        check(&[json!("2026-11-21"), json!("2026-11-21T10:00:00Z")], "timestamp");
        check(&[json!("2026-11-21x"), json!("2026-11-2ä")], "text");
        check(&[json!([1]), json!(1)], "json");
        check(&[json!(null)], "text");
    }
}
