//! `query_collection`: reading the records of any collection that the asker may read.
//!
//! The filter is what models write without being taught: `{"status": "late", "amount": {"gte": 100}}`, with `and`,
//! `or` and `not` around such objects.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::catalog::Catalog;
use super::tools::{object, text};
use super::words;
use crate::agent::tool::function;
use crate::agent::{SharedRecords, Tool, ToolContext};
use crate::error::{Detail, Error, Result};
use crate::query::{CollectionInfo, Filter, Operator, Query, Record, Sort};

/// So many records are shown where nothing is said.
const DEFAULT_LIMIT: u64 = 20;
/// At most so many can be asked for.
const MAX_LIMIT: u64 = 200;
/// Filters may be nested so deep.
const MAX_DEPTH: usize = 8;

pub(super) fn tool(records: SharedRecords) -> Arc<dyn Tool> {
    let description = "Reads or counts the records of a collection. Use it for questions about the data themselves: \
                       how many there are, which ones, the largest";
    function("query_collection", description, parameters(), move |context, arguments| {
        let records = Arc::clone(&records);
        async move { answer(&records, &context, &arguments).await }
    })
}

fn parameters() -> Value {
    let filter = "Which records: {\"field\": value} or {\"field\": {\"op\": value}} with op eq, ne, gt, gte, lt, lte, \
                  in, not_in, contains, starts_with, ends_with, exists; and, or take arrays of filters, not takes one";
    let properties = json!({
        "collection": text("The collection's name"),
        "filter": {"type": "object", "description": filter},
        "sort": {
            "type": ["string", "array"],
            "items": {"type": "string"},
            "maxItems": 5,
            "description": "Fields to sort by, - before a name for largest first: -amount",
        },
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "description": "At most so many; 20"},
        "count": {"type": "boolean", "description": "Only count them"},
    });
    object(properties, &["collection"])
}

async fn answer(records: &SharedRecords, context: &ToolContext, arguments: &Value) -> Result<Value> {
    let asked = arguments["collection"].as_str().unwrap_or_default();
    let collections = records.collections(&context.identity).await?;
    let Some(collection) = words::find_collection(&collections, asked) else {
        return unknown_collection(records, context, &collections, asked).await;
    };
    let filter = arguments.get("filter").map(|filter| read_filter(filter, 0)).transpose()?;
    let total = records.count(&context.identity, collection, filter.clone()).await?;
    if arguments["count"] == true {
        return Ok(json!({"collection": collection, "count": total}));
    }
    let limit = arguments["limit"].as_f64().map_or(DEFAULT_LIMIT, |limit| limit as u64);
    let limit = usize::try_from(limit.min(MAX_LIMIT)).unwrap_or_default();
    let query = Query { filter, sort: read_sort(&arguments["sort"]), ..Query::all(collection, limit) };
    let found = records.query(&context.identity, query).await?;
    let found: Vec<_> = found.into_iter().map(with_id).collect();
    Ok(json!({"collection": collection, "total": total, "records": found}))
}

fn with_id(record: Record) -> Value {
    let id = [(String::from("id"), Value::from(record.id.0))];
    Value::Object(id.into_iter().chain(record.body).collect())
}

/// Says what there is instead, and whether it is a table that is described here and kept elsewhere.
async fn unknown_collection(
    records: &SharedRecords,
    context: &ToolContext,
    collections: &[CollectionInfo],
    asked: &str,
) -> Result<Value> {
    let catalog = Catalog { records: &**records, identity: &context.identity };
    let tables = catalog.tables().await.unwrap_or_default();
    let near = words::near(collections.iter().map(|info| info.name.as_str()), asked);
    let hint = match (words::find(&tables, asked).table(), near.as_slice()) {
        (Some(table), _) => {
            format!("The table {} is described here, its rows are kept elsewhere", table.full_name)
        }
        (None, []) if collections.is_empty() => {
            String::from("There are no collections yet; import data first")
        }
        (None, []) => {
            let names: Vec<_> = collections.iter().take(20).map(|info| info.name.as_str()).collect();
            format!("There are {}", names.join(", "))
        }
        (None, near) => format!("Did you mean {}?", near.join(" or ")),
    };
    Ok(json!({
        "unknown_collection": asked,
        "message": format!("There is no collection named {asked:?}. {hint}"),
        "near_matches": near,
    }))
}

fn read_sort(sort: &Value) -> Vec<Sort> {
    let one = sort.as_str().into_iter();
    let several = sort.as_array().into_iter().flatten().filter_map(Value::as_str);
    let read = |field: &str| match field.strip_prefix('-') {
        Some(field) => Sort { field: field.to_owned(), descending: true },
        None => Sort { field: field.to_owned(), descending: false },
    };
    one.chain(several).filter(|field| !field.is_empty()).map(read).collect()
}

fn read_filter(filter: &Value, depth: usize) -> Result<Filter> {
    let members =
        filter.as_object().ok_or_else(|| wrong("a filter must be an object, as {\"field\": value}"))?;
    if depth >= MAX_DEPTH {
        return Err(wrong("a filter may be nested 8 deep; write it flatter"));
    }
    let mut parts =
        members.iter().map(|(name, value)| read_member(name, value, depth)).collect::<Result<Vec<_>>>()?;
    Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
}

fn read_member(name: &str, value: &Value, depth: usize) -> Result<Filter> {
    match (name.trim_start_matches('$'), value) {
        ("and", Value::Array(filters)) => Ok(Filter::And(read_all(filters, depth)?)),
        ("or", Value::Array(filters)) => Ok(Filter::Or(read_all(filters, depth)?)),
        ("not", Value::Object(_)) => Ok(Filter::Not(Box::new(read_filter(value, depth + 1)?))),
        (_, Value::Object(operators)) => read_operators(name, operators),
        (_, Value::Array(_)) => Ok(Filter::compare(name, Operator::In, value.clone())),
        (_, _) => Ok(Filter::eq(name, value.clone())),
    }
}

fn read_all(filters: &[Value], depth: usize) -> Result<Vec<Filter>> {
    filters.iter().map(|filter| read_filter(filter, depth + 1)).collect()
}

fn read_operators(field: &str, operators: &Map<String, Value>) -> Result<Filter> {
    let compare = |(name, value): (&String, &Value)| {
        let operator = read_operator(name.trim_start_matches('$'))?;
        let listed = matches!(operator, Operator::In | Operator::NotIn);
        if listed && !value.is_array() {
            return Err(wrong(format!("{name:?} of {field:?} needs an array of values")));
        }
        Ok(Filter::compare(field, operator, value.clone()))
    };
    let mut parts = operators.iter().map(compare).collect::<Result<Vec<_>>>()?;
    match parts.len() {
        0 => Err(wrong(format!("the filter of {field:?} is empty; say what to compare with"))),
        1 => Ok(parts.remove(0)),
        _ => Ok(Filter::And(parts)),
    }
}

fn read_operator(name: &str) -> Result<Operator> {
    Ok(match name {
        "eq" => Operator::Eq,
        "ne" => Operator::Ne,
        "gt" => Operator::Gt,
        "gte" => Operator::Gte,
        "lt" => Operator::Lt,
        "lte" => Operator::Lte,
        "in" => Operator::In,
        "not_in" | "nin" => Operator::NotIn,
        "contains" => Operator::ContainsFolded,
        "starts_with" => Operator::StartsWith,
        "ends_with" => Operator::EndsWith,
        "exists" => Operator::Exists,
        other => {
            let known = "eq, ne, gt, gte, lt, lte, in, not_in, contains, starts_with, ends_with, exists";
            return Err(wrong(format!("there is no operator {other:?}; there are {known}")));
        }
    })
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(message).with(Detail::Field("filter".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_models_write_them() {
        let filter =
            json!({"status": "late", "amount": {"$gte": 1, "lt": 5}, "or": [{"a": null}, {"b": [1, 2]}]});
        let expected = Filter::And(vec![
            Filter::eq("status", "late"),
            Filter::And(vec![
                Filter::compare("amount", Operator::Gte, 1),
                Filter::compare("amount", Operator::Lt, 5),
            ]),
            Filter::Or(vec![Filter::eq("a", Value::Null), Filter::compare("b", Operator::In, json!([1, 2]))]),
        ]);
        assert_eq!(read_filter(&filter, 0).unwrap(), expected);
        let not = read_filter(&json!({"not": {"or": "field"}}), 0).unwrap();
        assert_eq!(not, Filter::Not(Box::new(Filter::eq("or", "field"))));
    }

    #[test]
    fn filters_that_say_nothing_clear_are_refused() {
        for (filter, expected) in [
            (json!([]), "a filter must be an object"),
            (json!({"a": {"like": "x"}}), "there is no operator \"like\"; there are eq"),
            (json!({"a": {}}), "the filter of \"a\" is empty"),
            (json!({"a": {"in": 1}}), "\"in\" of \"a\" needs an array"),
        ] {
            let message = read_filter(&filter, 0).unwrap_err().message;
            assert!(message.starts_with(expected), "{message}");
        }
        let deep = (0..20).fold(json!({"a": 1}), |inner, _| json!({"not": inner}));
        assert!(read_filter(&deep, 0).unwrap_err().message.contains("nested"));
    }

    #[test]
    fn sorting_goes_by_names_with_a_sign() {
        let sort =
            |value| read_sort(&value).iter().map(|s| (s.field.clone(), s.descending)).collect::<Vec<_>>();
        assert_eq!(sort(json!("-a")), [(String::from("a"), true)]);
        assert_eq!(sort(json!(["a", "-b", ""])), [(String::from("a"), false), (String::from("b"), true)]);
        assert!(sort(Value::Null).is_empty());
    }
}
