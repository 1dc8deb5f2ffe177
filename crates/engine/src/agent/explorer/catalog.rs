//! The catalogue: what is known about tables, columns, relationships and lineage.
//!
//! It is kept in four ordinary collections, so a change to it is seen by the next question. This file says what
//! their records look like, reads them leniently (anybody with a grant may write them) and makes new ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::agent::Records;
use crate::error::{Code, Result};
use crate::id::Timestamp;
use crate::identity::Identity;
use crate::query::{Body, Filter, Query, Record};

/// One record a table, its id the full name: `{name, full_name, table_type, schema, description, column_count,
/// label?, business_key?, grain?, collection?}`.
pub const TABLES: &str = "catalog_tables";
/// One record a column, its id `{full name}.{column}` (its position instead of a name that cannot be part of an id): `{table, name, type, description, position, is_measure,
/// is_foreign_key, is_business_key}`; `table` is a full name.
pub const COLUMNS: &str = "catalog_columns";
/// One record a relationship: `{from_table, to_table, join_column, relationship_type, confidence}`; both are full names.
pub const RELATIONSHIPS: &str = "catalog_relationships";
/// One record a table, its id the full name: `{table, upstream, downstream, refresh_frequency}`.
pub const LINEAGE: &str = "catalog_lineage";
/// The four collections of the catalogue.
pub const COLLECTIONS: [&str; 4] = [TABLES, COLUMNS, RELATIONSHIPS, LINEAGE];

/// The schema under which imported collections are described.
pub const COLLECTIONS_SCHEMA: &str = "collections";

/// More tables than this are not looked at; a catalogue beyond it wants an index of its own.
const MAX_TABLES: usize = 20_000;
/// More columns, relationships or lineage records of one table than this are not looked at.
const MAX_PER_TABLE: usize = 5_000;
/// Longer record ids are not made, in bytes.
const MAX_ID: usize = 256;

/// A record to be written: into which collection, under which id, what.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The collection.
    pub collection: &'static str,
    /// The record's id.
    pub id: String,
    /// The record.
    pub body: Body,
}

/// What a table is in a star schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableType {
    /// Something that happened and can be counted.
    Fact,
    /// Something that facts are seen by.
    Dimension,
    /// Anything else.
    View,
}

impl TableType {
    /// As records and tool results spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fact => "FACT",
            Self::Dimension => "DIMENSION",
            Self::View => "VIEW",
        }
    }

    fn read(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "FACT" => Self::Fact,
            "DIMENSION" => Self::Dimension,
            _ => Self::View,
        }
    }
}

/// A table or view.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name within the schema.
    pub name: String,
    /// `schema.name`, unique.
    pub full_name: String,
    /// What it is.
    pub table_type: TableType,
    /// Its schema.
    pub schema: String,
    /// For people; empty if nobody wrote one.
    pub description: String,
    /// How many columns it has.
    pub column_count: u64,
    /// What people call it, in the plural: `Purchase orders`.
    pub label: Option<String>,
    /// The columns that identify a row.
    pub business_key: Vec<String>,
    /// What one row is.
    pub grain: Option<String>,
    /// The collection that holds its rows, if it is one of ours.
    pub collection: Option<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The table's full name.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its type, as the source spells it.
    pub data_type: String,
    /// For people; empty if nobody wrote one.
    pub description: String,
    /// Its place in the table, from 1.
    pub position: u64,
    /// Whether it is added up.
    pub is_measure: bool,
    /// Whether it leads to another table.
    pub is_foreign_key: bool,
    /// Whether it is part of the business key.
    pub is_business_key: bool,
}

impl Column {
    /// Whether it holds dates or times.
    pub fn is_date(&self) -> bool {
        let lower = self.data_type.to_ascii_lowercase();
        lower.starts_with("date") || lower.starts_with("timestamp")
    }
}

/// How one table hangs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationshipType {
    /// A foreign key.
    ForeignKey,
    /// A level of a hierarchy and the one above it.
    Hierarchy,
}

impl RelationshipType {
    /// As records and tool results spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForeignKey => "FK",
            Self::Hierarchy => "HIERARCHY",
        }
    }
}

/// One table leads to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Relationship {
    /// The full name of the table that has the column.
    pub from_table: String,
    /// The full name of the table that it leads to.
    pub to_table: String,
    /// The column.
    pub join_column: String,
    /// How.
    pub relationship_type: RelationshipType,
    /// 0 to 1: 1 is declared, less is inferred.
    pub confidence: f64,
}

/// Where a table's data come from and go to.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// The table's full name.
    pub table: String,
    /// What it is made from.
    pub upstream: Vec<String>,
    /// What is made from it.
    pub downstream: Vec<String>,
    /// How often, for people: `daily at 05:30`.
    pub refresh_frequency: Option<String>,
}

impl Table {
    /// Reads a record of [`TABLES`]; `None` if it has no name.
    pub fn read(body: &Body) -> Option<Self> {
        let name = text(body, "name")?;
        let schema = text(body, "schema").unwrap_or_default();
        let full_name = text(body, "full_name").unwrap_or_else(|| qualify(&schema, &name));
        Some(Self {
            table_type: TableType::read(&text(body, "table_type").unwrap_or_default()),
            description: text(body, "description").unwrap_or_default(),
            column_count: body.get("column_count").and_then(Value::as_u64).unwrap_or_default(),
            label: text(body, "label"),
            business_key: texts(body, "business_key"),
            grain: text(body, "grain"),
            collection: text(body, "collection"),
            name,
            full_name,
            schema,
        })
    }

    /// The record of it.
    pub fn entry(&self) -> Entry {
        let mut body = self.summary();
        let more = [
            ("label", self.label.clone().map(Value::from)),
            ("business_key", Some(json!(self.business_key))),
            ("grain", self.grain.clone().map(Value::from)),
            ("collection", self.collection.clone().map(Value::from)),
        ];
        body.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Entry { collection: TABLES, id: self.full_name.clone(), body }
    }

    /// The six members that a list of tables shows.
    pub fn summary(&self) -> Body {
        members([
            ("name", json!(self.name)),
            ("full_name", json!(self.full_name)),
            ("table_type", json!(self.table_type.name())),
            ("schema", json!(self.schema)),
            ("description", json!(self.description)),
            ("column_count", json!(self.column_count)),
        ])
    }
}

impl Column {
    /// Reads a record of [`COLUMNS`]; `None` if it has no name or no table.
    pub fn read(body: &Body) -> Option<Self> {
        Some(Self {
            table: text(body, "table")?,
            name: text(body, "name")?,
            data_type: text(body, "type").unwrap_or_default(),
            description: text(body, "description").unwrap_or_default(),
            position: body.get("position").and_then(Value::as_u64).unwrap_or_default(),
            is_measure: flag(body, "is_measure"),
            is_foreign_key: flag(body, "is_foreign_key"),
            is_business_key: flag(body, "is_business_key"),
        })
    }

    /// The record of it.
    pub fn entry(&self) -> Entry {
        let body = members([
            ("table", json!(self.table)),
            ("name", json!(self.name)),
            ("type", json!(self.data_type)),
            ("description", json!(self.description)),
            ("position", json!(self.position)),
            ("is_measure", json!(self.is_measure)),
            ("is_foreign_key", json!(self.is_foreign_key)),
            ("is_business_key", json!(self.is_business_key)),
        ]);
        let id = record_id(format!("{}.{}", self.table, self.name), self.position);
        Entry { collection: COLUMNS, id, body }
    }
}

impl Relationship {
    /// Reads a record of [`RELATIONSHIPS`]; `None` if a table is missing.
    pub fn read(body: &Body) -> Option<Self> {
        let hierarchy =
            text(body, "relationship_type").is_some_and(|kind| kind.eq_ignore_ascii_case("hierarchy"));
        Some(Self {
            from_table: text(body, "from_table")?,
            to_table: text(body, "to_table")?,
            join_column: text(body, "join_column").unwrap_or_default(),
            relationship_type: if hierarchy {
                RelationshipType::Hierarchy
            } else {
                RelationshipType::ForeignKey
            },
            confidence: body.get("confidence").and_then(Value::as_f64).unwrap_or(1.0).clamp(0.0, 1.0),
        })
    }

    /// Its members, as records and tool results have them.
    pub fn members(&self) -> Body {
        members([
            ("from_table", json!(self.from_table)),
            ("to_table", json!(self.to_table)),
            ("join_column", json!(self.join_column)),
            ("relationship_type", json!(self.relationship_type.name())),
            ("confidence", json!(self.confidence)),
        ])
    }

    /// The record of it.
    pub fn entry(&self) -> Entry {
        let id = format!("{}.{}->{}", self.from_table, self.join_column, self.to_table);
        Entry { collection: RELATIONSHIPS, id, body: self.members() }
    }
}

impl Lineage {
    /// Reads a record of [`LINEAGE`]; `None` if it has no table.
    pub fn read(body: &Body) -> Option<Self> {
        Some(Self {
            table: text(body, "table")?,
            upstream: texts(body, "upstream"),
            downstream: texts(body, "downstream"),
            refresh_frequency: text(body, "refresh_frequency"),
        })
    }

    /// Its members, as records and tool results have them.
    pub fn members(&self) -> Body {
        members([
            ("table", json!(self.table)),
            ("upstream", json!(self.upstream)),
            ("downstream", json!(self.downstream)),
            ("refresh_frequency", json!(self.refresh_frequency)),
        ])
    }

    /// The record of it.
    pub fn entry(&self) -> Entry {
        Entry { collection: LINEAGE, id: self.table.clone(), body: self.members() }
    }
}

/// Describes a collection of records, so that it can be asked about like any table: the records to be put into the
/// catalogue. `columns` are names and types, in order; what was described before under the name is replaced.
pub fn describe_collection(collection: &str, description: &str, columns: &[(String, String)]) -> Vec<Entry> {
    let full_name = qualify(COLLECTIONS_SCHEMA, collection);
    let table = Table {
        name: collection.to_owned(),
        full_name: full_name.clone(),
        table_type: TableType::View,
        schema: COLLECTIONS_SCHEMA.to_owned(),
        description: description.to_owned(),
        column_count: columns.len() as u64,
        label: None,
        business_key: Vec::new(),
        grain: Some(String::from("one record")),
        collection: Some(collection.to_owned()),
    };
    let columns = (1..).zip(columns).map(|(position, (name, data_type))| Column {
        table: full_name.clone(),
        name: name.clone(),
        data_type: data_type.clone(),
        description: String::new(),
        position,
        is_measure: false,
        is_foreign_key: false,
        is_business_key: false,
    });
    std::iter::once(table.entry()).chain(columns.map(|column| column.entry())).collect()
}

/// The catalogue as one identity sees it. Nothing is kept: each call reads what is there now.
#[derive(Clone, Copy)]
pub struct Catalog<'a> {
    /// Where to read.
    pub records: &'a dyn Records,
    /// In whose name.
    pub identity: &'a Identity,
}

impl Catalog<'_> {
    /// All tables, by full name.
    pub async fn tables(&self) -> Result<Vec<Table>> {
        Ok(self.dated_tables().await?.0)
    }

    /// All tables, and when the newest of their records was written.
    pub async fn dated_tables(&self) -> Result<(Vec<Table>, Option<Timestamp>)> {
        let records = self.read(Query::all(TABLES, MAX_TABLES)).await?;
        let newest = records.iter().map(|record| record.updated_at).max();
        let mut tables: Vec<_> = records.iter().filter_map(|record| Table::read(&record.body)).collect();
        tables.sort_by(|a, b| a.full_name.cmp(&b.full_name));
        Ok((tables, newest))
    }

    /// A table's columns, in their order.
    pub async fn columns(&self, full_name: &str) -> Result<Vec<Column>> {
        let query =
            Query::all(COLUMNS, MAX_PER_TABLE).filter(Filter::eq("table", full_name)).sort("position");
        Ok(self.read(query).await?.iter().filter_map(|record| Column::read(&record.body)).collect())
    }

    /// The relationships that begin or end at a table.
    pub async fn relationships(&self, full_name: &str) -> Result<Vec<Relationship>> {
        let either = [Filter::eq("from_table", full_name), Filter::eq("to_table", full_name)];
        self.all_relationships(Some(Filter::Or(either.into()))).await
    }

    /// The relationships that fit, by id.
    pub async fn all_relationships(&self, filter: Option<Filter>) -> Result<Vec<Relationship>> {
        let query = Query { filter, ..Query::all(RELATIONSHIPS, MAX_TABLES) };
        Ok(self.read(query).await?.iter().filter_map(|record| Relationship::read(&record.body)).collect())
    }

    /// Where a table's data come from and go to, if that is known.
    pub async fn lineage(&self, full_name: &str) -> Result<Option<Lineage>> {
        let query = Query::all(LINEAGE, 1).filter(Filter::eq("table", full_name));
        Ok(self.read(query).await?.first().and_then(|record| Lineage::read(&record.body)))
    }

    /// Records of the catalogue; a collection that is not there yet has none.
    pub async fn read(&self, query: Query) -> Result<Vec<Record>> {
        match self.records.query(self.identity, query).await {
            Err(error) if error.code == Code::NotFound => Ok(Vec::new()),
            result => result,
        }
    }

    /// How many records of the catalogue fit; none where the collection is not there yet.
    pub async fn count(&self, collection: &str, filter: Option<Filter>) -> Result<u64> {
        match self.records.count(self.identity, collection, filter).await {
            Err(error) if error.code == Code::NotFound => Ok(0),
            result => result,
        }
    }
}

/// The tables by full name, for looking them up.
pub fn by_full_name(tables: &[Table]) -> BTreeMap<&str, &Table> {
    tables.iter().map(|table| (table.full_name.as_str(), table)).collect()
}

/// Records' ids are bounded and have no control characters; names of columns, from the first line of some file, may
/// be anything.
fn record_id(id: String, position: u64) -> String {
    if id.len() <= MAX_ID && !id.contains(char::is_control) {
        return id;
    }
    let clean = id.chars().filter(|c| !c.is_control()).take(MAX_ID / 8);
    format!("{}~{position}", clean.collect::<String>())
}

fn qualify(schema: &str, name: &str) -> String {
    if schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") }
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Body {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(body: &Body, member: &str) -> Option<String> {
    body.get(member)?.as_str().map(str::to_owned)
}

fn texts(body: &Body, member: &str) -> Vec<String> {
    let list = body.get(member).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn flag(body: &Body, member: &str) -> bool {
    body.get(member).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let entries = describe_collection("orders", "Orders", &[("amount".into(), "decimal".into())]);
        let table = Table::read(&entries[0].body).unwrap();
        assert_eq!((table.full_name.as_str(), table.column_count), ("collections.orders", 1));
        assert_eq!(table.entry(), entries[0]);
        let column = Column::read(&entries[1].body).unwrap();
        assert_eq!((column.table.as_str(), column.position), ("collections.orders", 1));
        assert_eq!(column.entry(), entries[1]);
        assert_eq!(entries[1].id, "collections.orders.amount");
    }

    #[test]
    fn any_column_gets_an_id() {
        let names = ["a\nb".to_owned(), "ü".repeat(300), "ü".repeat(301)];
        let columns: Vec<_> = names.into_iter().map(|name| (name, String::from("text"))).collect();
        let ids: Vec<_> = describe_collection("c", "", &columns).into_iter().map(|entry| entry.id).collect();
        assert_eq!(ids[1], "collections.c.ab~1");
        assert!(ids[2] != ids[3] && ids.iter().all(|id| id.len() <= MAX_ID));
    }

    #[test]
    fn records_that_others_wrote_are_read_leniently() {
        let body =
            json!({"name": "t", "table_type": "fact", "column_count": "many", "business_key": [1, "k"]});
        let table = Table::read(body.as_object().unwrap()).unwrap();
        assert_eq!((table.full_name.as_str(), table.table_type), ("t", TableType::Fact));
        assert_eq!((table.column_count, table.business_key), (0, vec![String::from("k")]));
        assert!(Table::read(json!({"schema": "s"}).as_object().unwrap()).is_none());
        let body = json!({"from_table": "a", "to_table": "b", "confidence": 7});
        let relationship = Relationship::read(body.as_object().unwrap()).unwrap();
        assert_eq!((relationship.confidence, relationship.relationship_type.name()), (1.0, "FK"));
    }
}
