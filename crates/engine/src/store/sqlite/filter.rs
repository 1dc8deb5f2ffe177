//! Filters and sorts become parameterised SQL.
//!
//! Nothing that a client sent is ever part of the SQL's text: values and paths are bound. Comparison follows JSON
//! types, so each comparison first looks at the type of what is there; a number never equals a text.
//!
//! A member that its schema indexes is spelled with its path as a quoted literal, because SQLite recognises an indexed
//! expression only then; see [`Scope`] and `indexes`.

use std::sync::Arc;

use rusqlite::types::Value as Bound;
use sea_query::{Alias, Cond, Expr, Order, SelectStatement, SqliteQueryBuilder};
use serde_json::Value;

use super::indexes;
use crate::error::{Detail, Error, Result};
use crate::id::Timestamp;
use crate::query::{Cost, Filter, MAX_COMPARISONS, MAX_DEPTH, Operator, Query, deeper, too_deep};
use crate::store::constraints::Rules;
use crate::store::path;

/// How many members a query is sorted by at most.
const MAX_SORTS: usize = 8;

/// A statement and what is bound to it.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Bound>,
}

/// Of which collection and at what time records are asked for.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The collection's key; 0 is no collection.
    pub(super) key: i64,
    /// Which members are indexed.
    pub(super) rules: Arc<Rules>,
    /// Records that expire later are there.
    pub(super) now: Timestamp,
}

/// The records of a query, with [`COLUMNS`](super::records::COLUMNS).
pub(super) fn select(query: &Query, scope: &Scope) -> Result<Sql> {
    columns(super::records::COLUMNS, query, scope)
}

/// The same with [`RAW`](super::records::RAW).
pub(super) fn select_raw(query: &Query, scope: &Scope) -> Result<Sql> {
    columns(super::records::RAW, query, scope)
}

fn columns(columns: &'static str, query: &Query, scope: &Scope) -> Result<Sql> {
    let mut statement = sea_query::Query::select();
    statement.expr(Expr::cust(columns)).from(Alias::new("records"));
    restrict(&mut statement, scope, query.filter.as_ref())?;
    order(&mut statement, scope, query)?;
    statement.limit(within_i64(query.limit)).offset(within_i64(query.skip));
    let mut sql = build(&statement);
    if let Some(index) = sorting_index(query, scope) {
        sql.text = sql.text.replacen(FROM, &format!("{FROM} INDEXED BY {index}"), 1);
    }
    Ok(sql)
}

/// How a statement of [`select`] names its table.
const FROM: &str = "FROM \"records\"";

/// The index that has the records in the order that is asked for. SQLite finds one for a filter by itself, but would
/// rather sort a whole collection than go through an index.
fn sorting_index(query: &Query, scope: &Scope) -> Option<String> {
    let sort = query.sort.first()?;
    let helps_filter = query.filter.as_ref().is_some_and(|filter| names_ordered(filter, &scope.rules));
    let (field, unique) = scope.rules.ordered().find(|(field, _)| *field == sort.field)?;
    (!helps_filter).then(|| indexes::name(scope.key, field, unique))
}

/// Whether a filter is about a member that is indexed.
fn names_ordered(filter: &Filter, rules: &Rules) -> bool {
    match filter {
        Filter::Compare { field, .. } => rules.is_ordered(field),
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) => {
            inner(filter).iter().any(|filter| names_ordered(filter, rules))
        }
    }
}

/// The store's own keys of the records of a collection that fit.
pub(super) fn keys(filter: &Filter, scope: &Scope) -> Result<Sql> {
    let mut statement = sea_query::Query::select();
    statement.expr(Expr::cust("key")).from(Alias::new("records"));
    restrict(&mut statement, scope, Some(filter))?;
    Ok(build(&statement))
}

/// How many records of a collection fit.
pub(super) fn count(filter: &Filter, scope: &Scope) -> Result<Sql> {
    let mut statement = sea_query::Query::select();
    statement.expr(Expr::cust("count(*)")).from(Alias::new("records"));
    restrict(&mut statement, scope, Some(filter))?;
    Ok(build(&statement))
}

/// The different values of a member: the rank of their type, and the value as SQL has it.
pub(super) fn distinct(field: &str, filter: Option<&Filter>, scope: &Scope) -> Result<Sql> {
    let field = Field::parse(field, &scope.rules)?;
    let mut statement = sea_query::Query::select();
    let (rank, value) = (Alias::new("rank"), Alias::new("value"));
    statement.expr_as(Term::default().rank(&field).expr(), rank.clone());
    statement.expr_as(Term::default().value(&field).expr(), value.clone());
    statement.distinct().from(Alias::new("records"));
    restrict(&mut statement, scope, filter)?;
    statement.and_where(Term::default().rank(&field).sql(" IS NOT NULL").expr());
    statement.order_by(rank, Order::Asc).order_by(value, Order::Asc);
    Ok(build(&statement))
}

fn build(statement: &SelectStatement) -> Sql {
    let (text, values) = statement.build(SqliteQueryBuilder);
    Sql { text, values: values.into_iter().map(bound).collect() }
}

fn restrict(statement: &mut SelectStatement, scope: &Scope, filter: Option<&Filter>) -> Result<()> {
    // The key is written out: a partial index is only recognised by a constant.
    statement.and_where(Expr::cust(format!("collection = {}", scope.key)));
    if let Some(filter) = filter {
        statement.and_where(condition(filter, &scope.rules, MAX_DEPTH, &mut Cost::default())?);
    }
    statement.and_where(Expr::cust_with_values("(expires_at IS NULL OR expires_at > ?)", [scope.now.0]));
    Ok(())
}

/// JSON types sort as null and missing, booleans, numbers, texts, arrays, objects.
fn order(statement: &mut SelectStatement, scope: &Scope, query: &Query) -> Result<()> {
    let sorts = &query.sort;
    if sorts.len() > MAX_SORTS {
        return Err(Error::invalid(format!("a sort has at most {MAX_SORTS} fields")));
    }
    for sort in sorts {
        let field = Field::parse(&sort.field, &scope.rules)?;
        let direction = if sort.descending { Order::Desc } else { Order::Asc };
        // SQLite does not see that a filter leaves one type alone, and would sort what an index gives in order.
        if !query.filter.as_ref().is_some_and(|filter| is_of_one_type(filter, &sort.field)) {
            statement.order_by_expr(Term::default().rank(&field).expr(), direction.clone());
        }
        statement.order_by_expr(Term::default().value(&field).expr(), direction);
    }
    statement.order_by(Alias::new("id"), Order::Asc);
    Ok(())
}

/// Fails if a filter is too deep to be copied and walked.
pub(super) fn check(filter: Option<&Filter>) -> Result<()> {
    let mut level: Vec<&Filter> = filter.into_iter().collect();
    for _ in 0..MAX_DEPTH {
        level = level.into_iter().flat_map(inner).collect();
    }
    if level.is_empty() { Ok(()) } else { Err(too_deep()) }
}

/// The filters that lie in one.
fn inner(filter: &Filter) -> &[Filter] {
    match filter {
        Filter::And(list) | Filter::Or(list) => list,
        Filter::Not(inner) => std::slice::from_ref(inner),
        Filter::Compare { .. } => &[],
    }
}

/// Whether what fits has values of one type in a field.
fn is_of_one_type(filter: &Filter, name: &str) -> bool {
    use Operator::{Eq, Gt, Gte, Lt, Lte};
    match filter {
        Filter::And(list) => list.iter().any(|filter| is_of_one_type(filter, name)),
        Filter::Compare { field, operator, value } => {
            field == name && !value.is_null() && matches!(operator, Eq | Gt | Gte | Lt | Lte)
        }
        Filter::Or(_) | Filter::Not(_) => false,
    }
}

fn condition(filter: &Filter, rules: &Rules, depth: usize, cost: &mut Cost) -> Result<Expr> {
    let depth = deeper(depth)?;
    cost.spend(filter)?;
    match filter {
        Filter::And(list) => all_of(Cond::all(), "1", list, rules, depth, cost),
        Filter::Or(list) => all_of(Cond::any(), "0", list, rules, depth, cost),
        Filter::Not(inner) => Ok(not(condition(inner, rules, depth, cost)?)),
        Filter::Compare { field, operator, value } => {
            let field = Field::parse(field, rules)?;
            compare(&field, *operator, value)
        }
    }
}

fn all_of(
    cond: Cond,
    empty: &'static str,
    list: &[Filter],
    rules: &Rules,
    depth: usize,
    cost: &mut Cost,
) -> Result<Expr> {
    if list.is_empty() {
        return Ok(Expr::cust(empty));
    }
    let mut cond = cond;
    for filter in list {
        cond = cond.add(condition(filter, rules, depth, cost)?);
    }
    Ok(Expr::cust_with_expr("(?)", Expr::from(cond)))
}

/// A missing field makes SQL's comparisons NULL, and NOT NULL is NULL; for us what does not hold is false.
fn not(expr: Expr) -> Expr {
    Expr::cust_with_expr("((?) IS NOT TRUE)", expr)
}

fn compare(field: &Field, operator: Operator, value: &Value) -> Result<Expr> {
    match operator {
        Operator::Eq => equal(field, value),
        Operator::Ne => equal(field, value).map(not),
        Operator::Gt => ordered(field, " > ", value),
        Operator::Gte => ordered(field, " >= ", value),
        Operator::Lt => ordered(field, " < ", value),
        Operator::Lte => ordered(field, " <= ", value),
        Operator::In => one_of(field, value),
        Operator::NotIn => one_of(field, value).map(not),
        Operator::Contains => contains(field, value, ("instr(", ", ?) > 0")),
        Operator::ContainsFolded => contains(field, value, ("instr(lower(", "), lower(?)) > 0")),
        Operator::StartsWith => edge(field, " AS BLOB), 1, ?) = ?", value),
        Operator::EndsWith => edge(field, " AS BLOB), -?) = ?", value),
        Operator::Exists => exists(field, value),
    }
}

fn equal(field: &Field, value: &Value) -> Result<Expr> {
    Ok(match value {
        Value::Null => Term::default().rank(field).sql(" IS NULL").expr(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => ordered(field, " = ", value)?,
        Value::Array(_) | Value::Object(_) => same_text(field, value),
    })
}

/// Arrays and objects are equal when they are written alike, members in the same order.
fn same_text(field: &Field, value: &Value) -> Expr {
    let rank = if value.is_array() { " = 4 AND " } else { " = 5 AND " };
    Term::default().rank(field).sql(rank).value(field).sql(" = json(?)").bind(value.to_string()).expr()
}

fn ordered(field: &Field, operator: &'static str, value: &Value) -> Result<Expr> {
    let term = Term::default().rank(field);
    let term = match value {
        Value::Number(number) => {
            term.sql(" = 2 AND ").value(field).sql(operator).sql("?").bind(numeric(number))
        }
        Value::String(text) => term.sql(" = 3 AND ").value(field).sql(operator).sql("?").bind(text.as_str()),
        Value::Bool(flag) => {
            let flag = i64::from(*flag);
            term.sql(" = 1 AND ").value(field).sql(operator).sql("?").bind(flag)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(wrong(
                field,
                "is compared with a number, a text or a boolean; null, arrays and objects have no order",
            ));
        }
    };
    Ok(term.expr())
}

/// Numbers and texts go into one list each, so that a long list stays one comparison.
fn one_of(field: &Field, value: &Value) -> Result<Expr> {
    let Value::Array(values) = value else {
        return Err(wrong(field, "needs an array of values for in and not_in"));
    };
    let (mut parts, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value {
            Value::Number(number) => numbers.push(numeric(number)),
            Value::String(text) => texts.push(sea_query::Value::from(text.as_str())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                if values.len() > MAX_COMPARISONS {
                    return Err(wrong(field, "has too many values that are neither numbers nor texts"));
                }
                parts.push(equal(field, value)?);
            }
        }
    }
    if !numbers.is_empty() {
        parts.push(in_list(field, " = 2 AND ", numbers));
    }
    if !texts.is_empty() {
        parts.push(in_list(field, " = 3 AND ", texts));
    }
    // A constant among alternatives would hide the index from SQLite, so there is one only if there is nothing else.
    let any = parts.into_iter().reduce(|any, part| Expr::from(Cond::any().add(any).add(part)));
    Ok(Expr::cust_with_expr("(?)", any.unwrap_or_else(|| Expr::cust("0"))))
}

fn in_list(field: &Field, rank: &'static str, values: Vec<sea_query::Value>) -> Expr {
    let marks = vec!["?"; values.len()].join(", ");
    let term = Term::default().rank(field).sql(rank).value(field).sql(" IN (").sql(&marks).sql(")");
    values.into_iter().fold(term, Term::bind).expr()
}

fn contains(field: &Field, value: &Value, (before, after): (&'static str, &'static str)) -> Result<Expr> {
    let mut cond = Cond::any();
    if let Value::String(text) = value {
        let inside = Term::default().kind(field).sql(" = 'text' AND ").sql(before).value(field).sql(after);
        cond = cond.add(inside.bind(text.as_str()).expr());
    }
    if let Some(path) = &field.path {
        cond = cond.add(has_element(field, &path.json, value)?);
    }
    Ok(Expr::cust_with_expr("(?)", Expr::from(cond)))
}

fn has_element(field: &Field, path: &str, value: &Value) -> Result<Expr> {
    let each = Term::default()
        .kind(field)
        .sql(" = 'array' AND EXISTS (SELECT 1 FROM json_each(body, ?) AS element WHERE element.type")
        .bind(path);
    let each = match value {
        Value::Null => each.sql(" = 'null'"),
        Value::Bool(true) => each.sql(" = 'true'"),
        Value::Bool(false) => each.sql(" = 'false'"),
        Value::Number(number) => {
            each.sql(" IN ('integer', 'real') AND element.atom = ?").bind(numeric(number))
        }
        Value::String(text) => each.sql(" = 'text' AND element.atom = ?").bind(text.as_str()),
        Value::Array(_) | Value::Object(_) => {
            return Err(wrong(field, "can be asked to contain a text, a number, a boolean or null"));
        }
    };
    Ok(each.sql(")").expr())
}

/// Whether a text begins or ends with another; everything begins and ends with nothing. It is compared as bytes:
/// SQLite's text functions stop at a NUL.
fn edge(field: &Field, part: &'static str, value: &Value) -> Result<Expr> {
    let Value::String(text) = value else {
        return Err(wrong(field, "needs a text for starts_with and ends_with"));
    };
    let term = Term::default().kind(field).sql(" = 'text'");
    if text.is_empty() {
        return Ok(term.expr());
    }
    let (bytes, length) = (text.clone().into_bytes(), within_i64(text.len()));
    Ok(term.sql(" AND substr(CAST(").value(field).sql(part).bind(length).bind(bytes).expr())
}

fn exists(field: &Field, value: &Value) -> Result<Expr> {
    match value {
        Value::Bool(true) => Ok(Term::default().kind(field).sql(" IS NOT NULL").expr()),
        Value::Bool(false) => Ok(Term::default().kind(field).sql(" IS NULL").expr()),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong(field, "needs true or false for exists"))
        }
    }
}

fn wrong(field: &Field, what: &str) -> Error {
    Error::invalid(format!("the field {:?} {what}", field.name)).with(Detail::Field(field.name.clone()))
}

/// A field of a record: its key, or a path into its body.
struct Field {
    name: String,
    path: Option<Path>,
}

/// A path into a record's body, and whether it is indexed.
struct Path {
    json: String,
    is_ordered: bool,
}

impl Field {
    /// A name with dots between its steps. Whatever else is in a name is that name and no syntax.
    fn parse(name: &str, rules: &Rules) -> Result<Self> {
        path::check(name)?;
        let path = (!matches!(name, "id" | "_id"))
            .then(|| Path { json: indexes::json_path(name), is_ordered: rules.is_ordered(name) });
        Ok(Self { name: name.to_owned(), path })
    }
}

/// A piece of SQL that grows together with what is bound to it.
#[derive(Default)]
struct Term {
    sql: String,
    values: Vec<sea_query::Value>,
}

impl Term {
    fn sql(mut self, sql: &str) -> Self {
        self.sql.push_str(sql);
        self
    }

    fn bind(mut self, value: impl Into<sea_query::Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The JSON type of the field's value, NULL if it is missing.
    fn kind(self, field: &Field) -> Self {
        match &field.path {
            Some(path) => self.sql("json_type(body, ?)").bind(path.json.as_str()),
            None => self.sql("'text'"),
        }
    }

    /// Where the value's type stands in the order of types: 1 booleans, 2 numbers, 3 texts, 4 arrays, 5 objects. NULL
    /// if it is null or missing.
    fn rank(self, field: &Field) -> Self {
        match &field.path {
            Some(path) if path.is_ordered => self.sql(&indexes::rank(&indexes::literal(&path.json))),
            Some(path) => self.sql(&indexes::rank("?")).bind(path.json.as_str()),
            None => self.sql("3"),
        }
    }

    /// The field's value as SQL has it.
    fn value(self, field: &Field) -> Self {
        match &field.path {
            Some(path) if path.is_ordered => self.sql(&indexes::value(&indexes::literal(&path.json))),
            Some(path) => self.sql(&indexes::value("?")).bind(path.json.as_str()),
            None => self.sql("id"),
        }
    }

    fn expr(self) -> Expr {
        Expr::cust_with_values(format!("({})", self.sql), self.values)
    }
}

/// A value's rank, and the value as it is bound; `None` for null, which has none.
pub(super) fn ranked(value: &Value) -> Option<(i64, Bound)> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (1, Bound::Integer(i64::from(*flag))),
        Value::Number(number) => (2, bound(numeric(number))),
        Value::String(text) => (3, Bound::Text(text.clone())),
        Value::Array(_) => (4, Bound::Text(value.to_string())),
        Value::Object(_) => (5, Bound::Text(value.to_string())),
    })
}

fn numeric(number: &serde_json::Number) -> sea_query::Value {
    match number.as_i64() {
        Some(whole) => whole.into(),
        None => number.as_f64().unwrap_or(f64::MAX).into(), // beyond i64; SQLite reads such JSON numbers as floats too
    }
}

fn within_i64(count: usize) -> u64 {
    i64::try_from(count).unwrap_or(i64::MAX).unsigned_abs()
}

/// The kinds of values that the functions above bind; anything else is none of them.
fn bound(value: sea_query::Value) -> Bound {
    match value {
        sea_query::Value::String(Some(text)) => Bound::Text(text),
        sea_query::Value::BigInt(Some(whole)) => Bound::Integer(whole),
        sea_query::Value::BigUnsigned(Some(whole)) => {
            Bound::Integer(i64::try_from(whole).unwrap_or(i64::MAX))
        }
        sea_query::Value::Bytes(Some(bytes)) => Bound::Blob(bytes),
        sea_query::Value::Double(Some(real)) => Bound::Real(real),
        _ => Bound::Null,
    }
}
