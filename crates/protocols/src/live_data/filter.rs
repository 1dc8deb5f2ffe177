//! Filters, sort orders and projections as clients write them, in the engine's words.

use serde_json::Value;
use tidewire_engine::query::{Filter, Join, Operator, Projection, Sort};
use tidewire_engine::{Detail, Error, Result};

use super::typed::unwrapped;
use super::wire;

/// Parts of one filter, at most.
const MAX_PARTS: usize = 1000;

/// A filter, if there is one: absent, `null` and `{}` are all records.
pub fn filter(written: Option<Value>) -> Result<Option<Filter>> {
    match written {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) if members.is_empty() => Ok(None),
        Some(written) => {
            part(written, &mut 0).map(Some).map_err(|error| error.with(Detail::Field("filter".into())))
        }
    }
}

fn part(written: Value, parts: &mut usize) -> Result<Filter> {
    *parts += 1;
    if *parts > MAX_PARTS {
        return Err(Error::invalid(format!(
            "a filter has at most {MAX_PARTS} conditions; use In, or ask several times"
        )));
    }
    let Value::Object(mut members) = written else { return Err(shape()) };
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let Some(Value::Object(content)) = members.remove("content") else { return Err(shape()) };
    match kind.as_str() {
        "condition" => condition(content),
        "logical" => logical(content, parts),
        _ => Err(shape()),
    }
}

fn shape() -> Error {
    Error::invalid(
        "a filter is {\"type\": \"Condition\", \"content\": {field, operator, value}} or {\"type\": \"Logical\", \"content\": {operator, expressions}}",
    )
}

type Members = serde_json::Map<String, Value>;

fn condition(mut content: Members) -> Result<Filter> {
    let Some(Value::String(field)) = content.remove("field") else {
        return Err(Error::invalid("a condition names its field as text"));
    };
    let operator = operator(&content)?;
    let value = unwrapped(content.remove("value").unwrap_or_default());
    if matches!(operator, Operator::In | Operator::NotIn) && !value.is_array() {
        return Err(Error::invalid("In and NotIn take an array of values"));
    }
    Ok(Filter::compare(field, operator, value))
}

fn operator(content: &Members) -> Result<Operator> {
    let name = content.get("operator").and_then(Value::as_str).unwrap_or_default();
    OPERATORS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator).ok_or_else(|| {
        Error::invalid(format!(
            "{name:?} is no operator; use Eq, Ne, Gt, Gte, Lt, Lte, In, NotIn, Contains, StartsWith, EndsWith or Exists"
        ))
    })
}

/// Every name of an operator.
const OPERATORS: &[(&str, Operator)] = &[
    ("Eq", Operator::Eq),
    ("Equals", Operator::Eq),
    ("Equal", Operator::Eq),
    ("Ne", Operator::Ne),
    ("NotEquals", Operator::Ne),
    ("NotEqual", Operator::Ne),
    ("Gt", Operator::Gt),
    ("GreaterThan", Operator::Gt),
    ("Gte", Operator::Gte),
    ("GreaterThanOrEqual", Operator::Gte),
    ("Lt", Operator::Lt),
    ("LessThan", Operator::Lt),
    ("Lte", Operator::Lte),
    ("LessThanOrEqual", Operator::Lte),
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Contains", Operator::Contains),
    ("StartsWith", Operator::StartsWith),
    ("EndsWith", Operator::EndsWith),
    ("Exists", Operator::Exists),
];

fn logical(mut content: Members, parts: &mut usize) -> Result<Filter> {
    let Some(Value::Array(expressions)) = content.remove("expressions") else {
        return Err(Error::invalid("a logical filter has an array of expressions"));
    };
    let mut inner: Vec<Filter> =
        expressions.into_iter().map(|written| part(written, parts)).collect::<Result<_>>()?;
    let operator = content.get("operator").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    match (operator.as_str(), inner.len()) {
        ("and" | "or" | "not", 0) => Err(Error::invalid("a logical filter has at least one expression")),
        ("and", _) => Ok(Filter::And(inner)),
        ("or", _) => Ok(Filter::Or(inner)),
        ("not", 1) => Ok(Filter::Not(Box::new(inner.remove(0)))),
        ("not", _) => Err(Error::invalid("Not has exactly one expression; wrap several in And or Or")),
        _ => Err(Error::invalid("a logical filter's operator is And, Or or Not")),
    }
}

/// In which order.
pub fn sort(written: Option<Vec<wire::SortField>>) -> Vec<Sort> {
    let fields = written.unwrap_or_default().into_iter();
    fields.map(|by| Sort { field: by.field, descending: by.ascending == Some(false) }).collect()
}

/// Which members. An empty list says nothing.
pub fn projection(select: Option<Vec<String>>, exclude: Option<Vec<String>>) -> Projection {
    let (select, exclude) = (select.unwrap_or_default(), exclude.unwrap_or_default());
    match (select.is_empty(), exclude.is_empty()) {
        (true, true) => Projection::All,
        (true, false) => Projection::Without(exclude),
        // What is both selected and excluded is excluded.
        (false, _) => Projection::Only(select.into_iter().filter(|name| !exclude.contains(name)).collect()),
    }
}

/// Records of other collections.
pub fn join(written: Option<wire::Join>) -> Option<Join> {
    written.map(|join| Join {
        collections: join.collections,
        local_field: join.local_field,
        foreign_field: join.foreign_field,
        as_field: join.as_field,
    })
}

/// A limit; absent is all.
pub fn limit(written: Option<u64>) -> usize {
    written.map_or(usize::MAX, count)
}

/// A count of records.
pub fn count(written: u64) -> usize {
    usize::try_from(written).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(operator: &str, value: Value) -> Value {
        json!({"type": "Condition", "content": {"field": "a", "operator": operator, "value": value}})
    }

    fn logical(operator: &str, expressions: Vec<Value>) -> Value {
        json!({"type": "Logical", "content": {"operator": operator, "expressions": expressions}})
    }

    #[test]
    fn conditions_and_their_other_names_are_read() {
        let read = |operator, value| filter(Some(condition(operator, value))).unwrap().unwrap();
        assert_eq!(read("Eq", json!(1)), Filter::eq("a", 1));
        assert_eq!(read("GreaterThanOrEqual", json!(1)), Filter::compare("a", Operator::Gte, 1));
        assert_eq!(read("In", json!([1, 2])), Filter::compare("a", Operator::In, json!([1, 2])));
        assert_eq!(read("Eq", json!({"type": "String", "value": "x"})), Filter::eq("a", "x"));
        for (name, operator) in OPERATORS {
            let value =
                if matches!(operator, Operator::In | Operator::NotIn) { json!([]) } else { json!(null) };
            assert_eq!(read(name, value.clone()), Filter::compare("a", *operator, value));
        }
    }

    #[test]
    fn trees_are_read() {
        let one = || condition("Eq", json!(1));
        let both = logical("And", vec![one(), logical("Not", vec![logical("Or", vec![one(), one()])])]);
        let eq = || Filter::eq("a", 1);
        let expected = Filter::And(vec![eq(), Filter::Not(Box::new(Filter::Or(vec![eq(), eq()])))]);
        assert_eq!(filter(Some(both)).unwrap(), Some(expected));
        for nothing in [None, Some(json!(null)), Some(json!({}))] {
            assert_eq!(filter(nothing).unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_it_is() {
        let one = || condition("Eq", json!(1));
        let many = logical("Or", vec![one(); MAX_PARTS]);
        for bad in [
            json!([]),
            json!("a"),
            json!({"field": "a", "operator": "Eq", "value": 1}),
            json!({"type": "Condition"}),
            condition("Regex", json!("x")),
            condition("In", json!(1)),
            logical("And", vec![]),
            logical("Not", vec![one(), one()]),
            logical("Xor", vec![one()]),
            logical("And", vec![json!(7)]),
            many,
        ] {
            let error = filter(Some(bad.clone())).expect_err(&bad.to_string());
            assert_eq!(error.detail, Detail::Field("filter".into()));
        }
    }

    #[test]
    fn empty_lists_select_everything() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(projection(names(&[]), None), Projection::All);
        assert_eq!(projection(names(&["a", "b"]), names(&["b"])), Projection::Only(vec!["a".into()]));
        assert_eq!(projection(None, names(&["b"])), Projection::Without(vec!["b".into()]));
    }
}
