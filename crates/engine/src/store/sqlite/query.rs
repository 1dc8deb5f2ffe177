//! Queries: records in order, projected, joined, and within the answer's budget.

use std::collections::HashMap;

use indexmap::IndexSet;
use rusqlite::types::{Value as Bound, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};
use serde_json::{Number, Value};

use super::collections::{self, Schemas};
use super::filter::{self, Scope, Sql};
use super::readers::Held;
use super::records;
use crate::error::{Code, Detail, Error, Result};
use crate::id::Timestamp;
use crate::query::{Body, Filter, Join, Operator, Projection, Query, Record, RecordTexts};
use crate::store::{MAX_ANSWER, path};

/// So many values are looked up in another collection at once.
const VALUES: usize = 5_000;
/// A query that looks at no more records than this is short.
const SHORT: usize = 256;
/// The most collections that one query joins.
const MAX_JOINED: usize = 16;

/// The bytes of JSON that an answer may still have.
pub(super) struct Budget(usize);

impl Budget {
    /// Of a whole answer.
    pub(super) fn new() -> Self {
        Self(MAX_ANSWER)
    }

    /// Takes so many bytes. Fails when they are not there.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            let limit = MAX_ANSWER >> 20;
            Error::new(
                Code::TooLarge,
                format!("the answer is larger than {limit} MiB; ask for less with limit and skip, or for fewer fields"),
            )
        })?;
        Ok(())
    }
}

/// The records of a query.
pub(super) fn query(
    connection: &Connection,
    schemas: &Schemas,
    query: &Query,
    now: Timestamp,
) -> Result<Vec<Record>> {
    let scope = collections::scope(connection, schemas, &query.collection, now)?;
    if let Some(join) = &query.join {
        check(join)?;
    }
    let mut budget = Budget::new();
    if query.join.is_none() && query.projection != Projection::All {
        return projected(connection, filter::select_raw(query, &scope)?, &query.projection, &mut budget);
    }
    // A join may need a member that is not given.
    let mut records = select(connection, filter::select(query, &scope)?, &mut budget)?;
    if let Some(join) = &query.join {
        let joined = find_joined(connection, schemas, (join, &records), now, &mut budget)?;
        for record in &mut records {
            let found = joined.of(record, &join.local_field);
            query.projection.apply(&mut record.body);
            found.iter().try_for_each(|value| budget.spend(value.length))?;
            let values = found.iter().map(|joined| joined.value.clone()).collect();
            record.body.insert(join.as_field.clone(), Value::Array(values));
        }
    }
    Ok(records)
}

/// The same, as text. What the store has is passed on as it is where nothing changes it.
pub(super) fn texts(
    connection: &Connection,
    held: &mut Held,
    (schemas, query, now): (&Schemas, &Query, Timestamp),
) -> Result<RecordTexts> {
    if query.join.is_some() || query.projection != Projection::All {
        held.tell();
        return Ok(self::query(connection, schemas, query, now)?.iter().collect());
    }
    let scope = collections::scope(connection, schemas, &query.collection, now)?;
    if !is_short(query, &scope) {
        held.tell();
    }
    let sql = filter::select(query, &scope)?;
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter::<Vec<Bound>>(sql.values))?;
    let (mut texts, mut budget) = (RecordTexts::default(), Budget::new());
    while let Some(row) = rows.next()? {
        let text = records::text(row)?;
        budget.spend(text.members.len() + text.id.len())?;
        texts.push(text);
    }
    Ok(texts)
}

/// Whether a query surely looks at a few records only: those with one value of an indexed member.
fn is_short(query: &Query, scope: &Scope) -> bool {
    let finds = |filter: &Filter| {
        matches!(filter, Filter::Compare { field, operator: Operator::Eq, value }
            if scope.rules.is_ordered(field) && !value.is_null())
    };
    query.sort.is_empty()
        && query.limit.saturating_add(query.skip) <= SHORT
        && query.filter.as_ref().is_some_and(finds)
}

fn select(connection: &Connection, sql: Sql, budget: &mut Budget) -> Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter::<Vec<Bound>>(sql.values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let record = records::record(row)?;
        budget.spend(length(row)? + record.id.0.len())?;
        records.push(record);
    }
    Ok(records)
}

/// The same with the members that are given alone.
fn projected(
    connection: &Connection,
    sql: Sql,
    projection: &Projection,
    budget: &mut Budget,
) -> Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter::<Vec<Bound>>(sql.values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let record = records::projected(row, projection)?;
        let length = serde_json::to_string(&record.body).map_err(Error::internal)?.len();
        budget.spend(length + record.id.0.len())?;
        records.push(record);
    }
    Ok(records)
}

/// How long the row's body is as JSON.
fn length(row: &Row<'_>) -> Result<usize> {
    Ok(match row.get_ref(1)? {
        ValueRef::Text(text) => text.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => 0,
    })
}

/// The different values of a member.
pub(super) fn distinct(
    connection: &Connection,
    schemas: &Schemas,
    collection: &str,
    (field, filter): (&str, Option<&Filter>),
    now: Timestamp,
) -> Result<Vec<Value>> {
    let scope = collections::scope(connection, schemas, collection, now)?;
    let sql = filter::distinct(field, filter, &scope)?;
    let mut budget = Budget::new();
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter::<Vec<Bound>>(sql.values))?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(value(row, &mut budget)?);
    }
    Ok(values)
}

/// A value from a row of its rank and itself.
fn value(row: &Row<'_>, budget: &mut Budget) -> Result<Value> {
    let rank: i64 = row.get(0)?;
    Ok(match row.get_ref(1)? {
        ValueRef::Integer(flag) if rank == 1 => Value::Bool(flag != 0),
        ValueRef::Integer(whole) => Value::from(whole),
        ValueRef::Real(real) => Number::from_f64(real).map_or(Value::Null, Value::Number),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            budget.spend(text.len())?;
            let text = std::str::from_utf8(text).map_err(Error::internal)?;
            if rank == 3 { Value::from(text) } else { serde_json::from_str(text).map_err(Error::internal)? }
        }
        ValueRef::Null => Value::Null,
    })
}

fn check(join: &Join) -> Result<()> {
    let wrong =
        |field: &str, what: String| Err(Error::invalid(what).with(Detail::Field(format!("join.{field}"))));
    path::check(&join.local_field)?;
    path::check(&join.foreign_field)?;
    if join.collections.is_empty() || join.collections.len() > MAX_JOINED {
        return wrong("collections", format!("a join names 1 to {MAX_JOINED} collections"));
    }
    if join.as_field.is_empty() || matches!(join.as_field.as_str(), "id" | "_id") {
        return wrong(
            "as_field",
            "a join needs the name of a field for what it finds, other than id".to_owned(),
        );
    }
    Ok(())
}

/// What was found in other collections, by the value that joins.
#[derive(Default)]
struct Joined(HashMap<String, Vec<Foreign>>);

/// A record of another collection, as it is given.
#[derive(Clone)]
struct Foreign {
    value: Value,
    length: usize,
}

impl Joined {
    /// Those that belong to a record, each once.
    fn of(&self, record: &Record, field: &str) -> Vec<&Foreign> {
        let keys: IndexSet<String> = local(record, field).iter().filter_map(key).collect();
        keys.iter().filter_map(|key| self.0.get(key)).flatten().collect()
    }
}

/// The values that join: one, or those of an array.
fn local(record: &Record, field: &str) -> Vec<Value> {
    match field {
        "id" | "_id" => vec![Value::from(record.id.0.as_str())],
        _ => match path::get(&record.body, field) {
            Some(Value::Array(list)) => list.clone(),
            Some(value) => vec![value.clone()],
            None => Vec::new(),
        },
    }
}

/// By what a value is told from others; `None` for what does not join. 1 and 1.0 are one.
fn key(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(format!("b{flag}")),
        Value::Number(number) => {
            Some(number.as_i64().map_or_else(|| float_key(number), |whole| format!("n{whole}")))
        }
        Value::String(text) => Some(format!("s{text}")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is whole and within an i64")]
fn float_key(number: &Number) -> String {
    let float = number.as_f64().unwrap_or(f64::MAX);
    let is_whole = float.fract() == 0.0 && float.abs() < 9.0e18;
    if is_whole { format!("n{}", float as i64) } else { format!("n{float:e}") }
}

/// Looks up what belongs to the records, in few statements for many values.
fn find_joined(
    connection: &Connection,
    schemas: &Schemas,
    (join, records): (&Join, &[Record]),
    now: Timestamp,
    budget: &mut Budget,
) -> Result<Joined> {
    let values: HashMap<String, Value> = records
        .iter()
        .flat_map(|record| local(record, &join.local_field))
        .filter_map(|value| Some((key(&value)?, value)))
        .collect();
    let values: Vec<Value> = values.into_values().collect();
    let mut joined = Joined::default();
    for collection in &join.collections {
        let scope = collections::scope(connection, schemas, collection, now)?;
        for some in values.chunks(VALUES) {
            let of = Filter::compare(join.foreign_field.as_str(), Operator::In, Value::Array(some.to_vec()));
            let sql = filter::select(&Query::all(collection.as_str(), usize::MAX).filter(of), &scope)?;
            for record in select(connection, sql, budget)? {
                joined.add(record, &join.foreign_field)?;
            }
        }
    }
    Ok(joined)
}

impl Joined {
    fn add(&mut self, record: Record, field: &str) -> Result<()> {
        let key = match field {
            "id" | "_id" => Some(format!("s{}", record.id.0)),
            _ => path::get(&record.body, field).and_then(key),
        };
        let Some(key) = key else { return Ok(()) };
        let mut body = Body::with_capacity(record.body.len() + 1);
        body.insert("id".to_owned(), Value::from(record.id.0));
        body.extend(record.body);
        let value = Value::Object(body);
        let length = serde_json::to_string(&value).map_err(Error::internal)?.len();
        self.0.entry(key).or_default().push(Foreign { value, length });
        Ok(())
    }
}
