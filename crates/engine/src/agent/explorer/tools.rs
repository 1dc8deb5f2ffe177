//! The explorer's six tools. Their results' shapes are in the [module's](super) table.

use std::sync::Arc;

use serde_json::{Value, json};

use super::catalog::{self, Catalog, Column, Table};
use super::query;
use super::words::{self, Found};
use crate::agent::tool::{Declared, declared, function};
use crate::agent::{SharedRecords, Tool, ToolContext};
use crate::error::Result;
use crate::query::{Filter, Operator, Query};

/// At most so many columns are found by one search.
const MAX_COLUMNS: usize = 50;
/// So many columns are looked at for a pattern with wildcards.
const MAX_CANDIDATES: usize = 20_000;

/// The tools, reading `records` in the name of whoever asks.
pub(super) fn all(records: &SharedRecords) -> Vec<Arc<dyn Tool>> {
    let tools = [
        list_tables(Arc::clone(records)),
        get_table_details(Arc::clone(records)),
        find_relationships(Arc::clone(records)),
        search_columns(Arc::clone(records)),
        get_lineage(Arc::clone(records)),
        query::tool(Arc::clone(records)),
    ];
    let reading = Declared { idempotent: true, ..Declared::default() };
    tools.into_iter().map(|tool| declared(tool, reading)).collect()
}

fn list_tables(records: SharedRecords) -> Arc<dyn Tool> {
    let parameters = object(json!({"schema": text("Only the tables of this schema")}), &[]);
    let description = "Lists the tables of the catalogue: facts, dimensions and views, with what they are about. \
                       Use it when somebody asks what there is";
    function("list_tables", description, parameters, move |context, arguments| {
        let records = Arc::clone(&records);
        async move {
            let tables = catalog_of(&records, &context).tables().await?;
            Ok(tables_result(&tables, arguments["schema"].as_str()))
        }
    })
}

fn tables_result(tables: &[Table], schema: Option<&str>) -> Value {
    let wanted = |table: &&Table| schema.is_none_or(|schema| table.schema.eq_ignore_ascii_case(schema));
    let chosen: Vec<_> = tables.iter().filter(wanted).map(|table| Value::Object(table.summary())).collect();
    match schema {
        Some(schema) if chosen.is_empty() => unknown_schema(tables, schema),
        _ => json!({"total": chosen.len(), "tables": chosen}),
    }
}

fn unknown_schema(tables: &[Table], schema: &str) -> Value {
    let mut schemas: Vec<_> = tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    let message = format!("There is no schema named {schema:?}; there are {}", schemas.join(", "));
    json!({"unknown_schema": schema, "message": message, "near_matches": schemas})
}

fn get_table_details(records: SharedRecords) -> Arc<dyn Tool> {
    let description = "Says what is known about one table: what a row is, its business key, measures, attributes, \
                       dates and all its columns";
    function("get_table_details", description, table_argument(), move |context, arguments| {
        let records = Arc::clone(&records);
        async move {
            let catalog = catalog_of(&records, &context);
            match find_table(&catalog, &arguments).await? {
                Ok(table) => Ok(details(&table, &catalog.columns(&table.full_name).await?)),
                Err(unknown) => Ok(unknown),
            }
        }
    })
}

fn details(table: &Table, columns: &[Column]) -> Value {
    let names = |fits: &dyn Fn(&Column) -> bool| -> Vec<&str> {
        columns.iter().filter(|column| fits(column)).map(|column| column.name.as_str()).collect()
    };
    let keys = names(&|column| column.is_business_key);
    let mut result = table.summary();
    let more = json!({
        "collection": table.collection,
        "business_key": if table.business_key.is_empty() { json!(keys) } else { json!(table.business_key) },
        "grain": table.grain,
        "measures": names(&|column| column.is_measure),
        "attributes": names(&|column| !column.is_measure && !column.is_foreign_key && !column.is_date()),
        "date_columns": names(&Column::is_date),
        "columns": columns.iter().map(column_result).collect::<Vec<_>>(),
    });
    result.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(result)
}

fn column_result(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.data_type,
        "description": column.description,
        "is_measure": column.is_measure,
        "is_foreign_key": column.is_foreign_key,
    })
}

fn find_relationships(records: SharedRecords) -> Arc<dyn Tool> {
    let description = "Finds how one table hangs on others: foreign keys and hierarchies from it and to it. \
                       Use it for questions about relations, joins and diagrams; a diagram is drawn from its result";
    function("find_relationships", description, table_argument(), move |context, arguments| {
        let records = Arc::clone(&records);
        async move {
            let catalog = catalog_of(&records, &context);
            let table = match find_table(&catalog, &arguments).await? {
                Ok(table) => table.full_name,
                Err(unknown) => return Ok(unknown),
            };
            let relationships = catalog.relationships(&table).await?;
            let relationships: Vec<_> =
                relationships.iter().map(|one| Value::Object(one.members())).collect();
            Ok(json!({"table": table, "relationships": relationships}))
        }
    })
}

fn get_lineage(records: SharedRecords) -> Arc<dyn Tool> {
    let description =
        "Says where a table's data come from, what is made from it, and how often it is refreshed";
    function("get_lineage", description, table_argument(), move |context, arguments| {
        let records = Arc::clone(&records);
        async move {
            let catalog = catalog_of(&records, &context);
            let table = match find_table(&catalog, &arguments).await? {
                Ok(table) => table.full_name,
                Err(unknown) => return Ok(unknown),
            };
            let nothing =
                json!({"table": table, "upstream": [], "downstream": [], "refresh_frequency": null});
            Ok(catalog.lineage(&table).await?.map_or(nothing, |lineage| Value::Object(lineage.members())))
        }
    })
}

fn search_columns(records: SharedRecords) -> Arc<dyn Tool> {
    let pattern = text("Part of a column's name, or a pattern: * stands for anything, ? for one character");
    let description = "Finds columns by name in all tables, at most 50";
    let parameters = object(json!({"pattern": pattern}), &["pattern"]);
    function("search_columns", description, parameters, move |context, arguments| {
        let records = Arc::clone(&records);
        async move {
            let pattern = arguments["pattern"].as_str().unwrap_or_default();
            matching_columns(&catalog_of(&records, &context), pattern).await
        }
    })
}

async fn matching_columns(catalog: &Catalog<'_>, pattern: &str) -> Result<Value> {
    let wildcard = Wildcard::new(pattern);
    let filter = Filter::compare("name", Operator::ContainsFolded, wildcard.literal.clone());
    let query = Query::all(catalog::COLUMNS, MAX_CANDIDATES).filter(filter).sort("table").sort("position");
    let records = catalog.read(query).await?;
    let columns = records.iter().filter_map(|record| Column::read(&record.body));
    let columns: Vec<_> = columns.filter(|column| wildcard.fits(&column.name)).collect();
    let shown: Vec<_> = columns.iter().take(MAX_COLUMNS).map(found_column).collect();
    Ok(json!({"pattern": pattern, "total": columns.len(), "columns": shown}))
}

fn found_column(column: &Column) -> Value {
    json!({
        "table": column.table,
        "name": column.name,
        "type": column.data_type,
        "description": column.description,
    })
}

/// A pattern of names: `*` and `%` stand for anything, `?` for one character; without any of them a part is enough.
/// A space stands for anything too: "supplier name" finds `supplier_name`.
struct Wildcard {
    pattern: Vec<char>,
    /// The longest part without wildcards, by which the store can look.
    literal: String,
}

impl Wildcard {
    fn new(pattern: &str) -> Self {
        let pattern: String =
            pattern.trim().to_lowercase().split(' ').collect::<Vec<_>>().join("*").replace('%', "*");
        let literal = pattern.split(['*', '?']).filter(|part| part.is_ascii()).max_by_key(|part| part.len());
        let literal = literal.unwrap_or_default().to_owned();
        let open = if literal == pattern || !pattern.contains(['*', '?']) {
            format!("*{pattern}*")
        } else {
            pattern
        };
        Self { pattern: open.chars().collect(), literal }
    }

    /// Tries the characters one by one and goes back to the last `*` where they differ.
    fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        let (mut at, mut in_pattern, mut star) = (0, 0, None);
        while at < name.len() {
            match self.pattern.get(in_pattern) {
                Some('*') => {
                    star = Some((in_pattern, at));
                    in_pattern += 1;
                }
                Some(c) if *c == '?' || *c == name[at] => (at, in_pattern) = (at + 1, in_pattern + 1),
                _ => {
                    let Some((before, from)) = star else { return false };
                    star = Some((before, from + 1));
                    (at, in_pattern) = (from + 1, before + 1);
                }
            }
        }
        self.pattern[in_pattern..].iter().all(|c| *c == '*')
    }
}

/// The table that a call names, or the result that says that there is none.
async fn find_table(catalog: &Catalog<'_>, arguments: &Value) -> Result<Result<Table, Value>> {
    let asked = arguments["table_name"].as_str().unwrap_or_default();
    let tables = catalog.tables().await?;
    Ok(match words::find(&tables, asked) {
        Found::Table(table) => Ok(table.clone()),
        Found::Near(near) => Err(unknown_table(asked, &near, tables.len())),
    })
}

fn unknown_table(asked: &str, near: &[&Table], total: usize) -> Value {
    let near: Vec<_> = near.iter().map(|table| table.full_name.as_str()).collect();
    let hint = match near.as_slice() {
        [] if total == 0 => String::from("The catalogue is empty; import data first"),
        [] => format!("None of the {total} tables has a similar name; list_tables shows them"),
        [one] => format!("Did you mean {one}?"),
        several => format!("Did you mean one of {}?", several.join(", ")),
    };
    json!({
        "unknown_table": asked,
        "message": format!("There is no table named {asked:?}. {hint}"),
        "near_matches": near,
    })
}

fn catalog_of<'a>(records: &'a SharedRecords, context: &'a ToolContext) -> Catalog<'a> {
    Catalog { records: &**records, identity: &context.identity }
}

fn table_argument() -> Value {
    object(json!({"table_name": text("The table's name or full name")}), &["table_name"])
}

pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 200, "description": description})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_parts_and_wildcards() {
        let fits = |pattern: &str, name: &str| Wildcard::new(pattern).fits(name);
        assert!(fits("supplier", "Supplier_Key"));
        assert!(fits("supplier name", "supplier_name") && !fits("supplier name", "name_supplier"));
        assert!(fits("*_key", "supplier_key") && !fits("*_key", "supplier_key_2"));
        assert!(fits("%amount%", "net_amount_eur") && fits("s?y", "sky") && !fits("s?y", "say!"));
        assert!(fits("a*b*c", "a_b_b_c") && !fits("a*b*c", "a_c_b"));
        assert!(fits("*", "") && fits("ü", "müll"));
        assert_eq!(Wildcard::new("*_key?id*").literal, "_key");
    }
}
