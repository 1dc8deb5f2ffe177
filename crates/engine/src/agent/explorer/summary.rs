//! What a page shows before anything was asked: the tables, figures about them, and three questions that work.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::catalog::{
    self, COLUMNS, Catalog, RELATIONSHIPS, Relationship, RelationshipType, Table, TableType,
};
use super::words::{spoken_name, spoken_table};
use crate::agent::Records;
use crate::error::Result;
use crate::event::CatalogMetrics;
use crate::identity::Identity;
use crate::query::{Filter, Operator};

/// The catalogue at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// All tables, by full name.
    pub tables: Vec<Table>,
    /// Questions that the explorer can answer now, at most three.
    pub suggestions: Vec<String>,
    /// Figures.
    pub metrics: CatalogMetrics,
}

/// The catalogue at a glance, as the identity sees it.
pub async fn summary(records: &dyn Records, identity: &Identity) -> Result<Summary> {
    Ok(Summary {
        tables: Catalog { records, identity }.tables().await?,
        suggestions: suggestions(records, identity).await?,
        metrics: metrics(records, identity, None).await?,
    })
}

/// Figures about the whole catalogue, or about one schema.
pub async fn metrics(
    records: &dyn Records,
    identity: &Identity,
    schema: Option<&str>,
) -> Result<CatalogMetrics> {
    let catalog = Catalog { records, identity };
    let (mut tables, as_of) = catalog.dated_tables().await?;
    tables.retain(|table| schema.is_none_or(|schema| table.schema.eq_ignore_ascii_case(schema)));
    let of_type = |table_type| tables.iter().filter(|table| table.table_type == table_type).count() as u64;
    let prefix = tables.first().filter(|_| schema.is_some()).map(|table| format!("{}.", table.schema));
    let within =
        |field: &str| prefix.as_deref().map(|prefix| Filter::compare(field, Operator::StartsWith, prefix));
    let total_columns = catalog.count(COLUMNS, within("table")).await?;
    let undescribed =
        Filter::Or(vec![Filter::eq("description", ""), Filter::eq("description", serde_json::Value::Null)]);
    let undescribed = Filter::And(within("table").into_iter().chain([undescribed]).collect());
    let undescribed = catalog.count(COLUMNS, Some(undescribed)).await?;
    let described_tables = tables.iter().filter(|table| !table.description.is_empty()).count() as u64;
    let total = tables.len() as u64 + total_columns;
    let described = described_tables + total_columns.saturating_sub(undescribed);
    Ok(CatalogMetrics {
        total_tables: tables.len() as u64,
        total_columns,
        facts_count: of_type(TableType::Fact),
        dimensions_count: of_type(TableType::Dimension),
        quality_score: (total > 0).then(|| (described as f64 / total as f64 * 100.0).floor() / 100.0),
        relationships_count: Some(catalog.count(RELATIONSHIPS, within("from_table")).await?),
        schema_name: schema.map(str::to_owned),
        as_of,
        is_stale: None,
    })
}

/// Up to three questions that work with what is loaded: what there is, how it hangs together, and one that goes
/// into a table, if possible into data that was imported.
pub async fn suggestions(records: &dyn Records, identity: &Identity) -> Result<Vec<String>> {
    let catalog = Catalog { records, identity };
    let tables = catalog.tables().await?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let edges = catalog.all_relationships(None).await?;
    let related = related(&edges, &tables);
    let relation = related.map(|(fact, dimension)| {
        format!("How are {} related to {}?", spoken_table(fact), spoken_table(dimension))
    });
    let collections = records.collections(identity).await?;
    let documents = records.documents(identity).await?;
    // The records of documents are passages: their number would be the wrong answer.
    let is_own = |name: &String| !catalog::COLLECTIONS.contains(&name.as_str()) && !documents.contains(name);
    let collection = collections.iter().find(|info| is_own(&info.name));
    let counting = collection.map(|info| format!("How many {} are there?", spoken_name(&info.name)));
    let others = tables.iter().filter(|table| related.is_none_or(|(fact, _)| fact != *table));
    let keys = |table: &Table| edges.iter().filter(|edge| edge.from_table == table.full_name).count();
    let other = others.min_by_key(|table| (table.table_type, Reverse(keys(table))));
    let describing = other.map(|table| format!("Which columns do {} have?", spoken_table(table)));
    let first = Some(String::from("Show me all tables"));
    Ok([first, relation, counting, describing].into_iter().flatten().take(3).collect())
}

/// The fact with the most foreign keys, and the dimension to which most of all foreign keys lead; dates do not count,
/// because everything hangs on them.
fn related<'a>(edges: &[Relationship], tables: &'a [Table]) -> Option<(&'a Table, &'a Table)> {
    let known = catalog::by_full_name(tables);
    let keys = edges.iter().filter(|edge| edge.relationship_type == RelationshipType::ForeignKey);
    let pairs = keys.filter_map(|edge| Some((*known.get(&*edge.from_table)?, *known.get(&*edge.to_table)?)));
    let tells = |(from, to): &(&Table, &Table)| {
        from.table_type == TableType::Fact && to.table_type == TableType::Dimension && !is_calendar(to)
    };
    let pairs: Vec<(&Table, &Table)> = pairs.filter(tells).collect();
    let fact = most(pairs.iter().map(|(from, _)| *from))?;
    let targets: Vec<_> = pairs.iter().filter(|(from, _)| *from == fact).map(|(_, to)| *to).collect();
    Some((fact, most(pairs.iter().map(|(_, to)| *to).filter(|to| targets.contains(to)))?))
}

fn is_calendar(table: &Table) -> bool {
    ["date", "time", "calendar", "period"].iter().any(|word| table.name.to_ascii_lowercase().contains(word))
}

/// What occurs most often; the first by name where several do.
fn most<'a>(tables: impl Iterator<Item = &'a Table>) -> Option<&'a Table> {
    let mut counts: BTreeMap<&str, (usize, &Table)> = BTreeMap::new();
    for table in tables {
        counts.entry(&table.full_name).or_insert((0, table)).0 += 1;
    }
    counts.into_values().rev().max_by_key(|(count, _)| *count).map(|(_, table)| table)
}
