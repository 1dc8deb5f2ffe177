//! The demo catalogue: a purchase mart that does not exist, of the size and shape of one that does.
//!
//! It is written down compactly in `demo/mart.txt`, and here its lines become tables, columns, relationships and
//! lineage. The result is the same at each call. The signs of a line:
//!
//! | line | meaning |
//! |---|---|
//! | `= schema` | the tables below belong to it |
//! | `dim\|fact\|view name / Label / refresh / sources` | a table begins |
//! | `" …` and `# …` | its description, and what one row is |
//! | `* name:type …` | its business key; a dimension without one has `{name}_code` |
//! | `> target …`, `^ target …` | foreign keys, levels above; `role:target` plays a role, `?` is only inferred |
//! | `+ name:type …` | columns that need no explanation |
//! | `- name:type …` | a column with its description |
//! | `< table …` | what a view is made from |
//!
//! Types: `s` long text, `c` code, `d` date, `t` time, `n` whole number, `q` quantity, `m` money, `r` share, `b` yes or
//! no; `M` is money in the document's and in the group's currency, `Q` a quantity in two units.

use std::collections::BTreeMap;

use super::catalog::{Column, Entry, Lineage, Relationship, RelationshipType, Table, TableType};
use super::words;

const MART: &str = include_str!("demo/mart.txt");

/// How sure an inferred relationship is.
const INFERRED: f64 = 0.82;

/// The records of the demo catalogue, to be inserted where they are absent.
pub fn entries() -> Vec<Entry> {
    let drafts = drafts(MART);
    let mart = Mart::new(&drafts);
    drafts.iter().flat_map(|draft| mart.entries(draft)).collect()
}

/// A table as it is written down.
#[derive(Default)]
struct Draft<'a> {
    schema: &'a str,
    kind: &'a str,
    name: &'a str,
    label: &'a str,
    refresh: &'a str,
    description: &'a str,
    grain: &'a str,
    sources: Vec<&'a str>,
    keys: Vec<&'a str>,
    references: Vec<&'a str>,
    parents: Vec<&'a str>,
    /// Columns with their descriptions; empty where the name says it all.
    columns: Vec<(&'a str, &'a str)>,
}

fn drafts(text: &str) -> Vec<Draft<'_>> {
    let (mut schema, mut drafts) = ("", Vec::new());
    for line in text.lines() {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        match sign {
            "=" => schema = rest,
            "dim" | "fact" | "view" => drafts.push(begin(schema, sign, rest)),
            _ => drafts.last_mut().into_iter().for_each(|draft| go_on(draft, sign, rest)),
        }
    }
    drafts
}

fn begin<'a>(schema: &'a str, kind: &'a str, rest: &'a str) -> Draft<'a> {
    let mut parts = rest.split(" / ");
    let mut part = || parts.next().unwrap_or_default();
    let (name, label, refresh, sources) = (part(), part(), part(), part());
    let sources = sources.split(", ").filter(|source| *source != "-").collect();
    Draft { schema, kind, name, label, refresh, sources, ..Draft::default() }
}

fn go_on<'a>(draft: &mut Draft<'a>, sign: &str, rest: &'a str) {
    let words = rest.split(' ');
    match sign {
        "\"" => draft.description = rest,
        "#" => draft.grain = rest,
        "*" => draft.keys.extend(words),
        ">" => draft.references.extend(words),
        "^" => draft.parents.extend(words),
        "<" => draft.sources.extend(words),
        "+" => draft.columns.extend(words.map(|word| (word, ""))),
        "-" => draft.columns.extend(rest.split_once(' ')),
        _ => {} // a comment or an empty line
    }
}

impl Draft<'_> {
    fn table_type(&self) -> TableType {
        match self.kind {
            "fact" => TableType::Fact,
            "dim" => TableType::Dimension,
            _ => TableType::View,
        }
    }

    fn full_name(&self) -> String {
        let prefix = match self.table_type() {
            TableType::Fact => "factv",
            TableType::Dimension => "dimv",
            TableType::View => "repv",
        };
        format!("{}.{prefix}_{}", self.schema, self.name)
    }

    /// What one of its rows is called.
    fn thing(&self) -> String {
        words::singular(&self.label.to_lowercase())
    }
}

/// All tables together, because they refer to each other.
struct Mart<'a> {
    drafts: BTreeMap<&'a str, &'a Draft<'a>>,
    /// Which tables are made from a table, by full names.
    downstream: BTreeMap<String, Vec<String>>,
}

/// One reference of a table to another.
struct Reference<'a> {
    target: &'a Draft<'a>,
    role: Option<&'a str>,
    kind: RelationshipType,
    confidence: f64,
}

impl Reference<'_> {
    fn stem(&self) -> String {
        self.role.map_or_else(|| self.target.name.to_owned(), |role| format!("{role}_{}", self.target.name))
    }

    fn column(&self) -> String {
        format!("{}_key", self.stem())
    }
}

impl<'a> Mart<'a> {
    fn new(drafts: &'a [Draft<'a>]) -> Self {
        let by_name: BTreeMap<_, _> = drafts.iter().map(|draft| (draft.name, draft)).collect();
        let mut mart = Self { drafts: by_name, downstream: BTreeMap::new() };
        for draft in drafts {
            for source in mart.upstream(draft) {
                mart.downstream.entry(source).or_default().push(draft.full_name());
            }
        }
        mart
    }

    fn entries(&self, draft: &'a Draft<'a>) -> Vec<Entry> {
        let references = self.references(draft);
        let columns = columns(draft, &references);
        let edges = references.iter().map(|reference| relationship(draft, reference).entry());
        let table = table(draft, &columns).entry();
        let columns = columns.iter().map(Column::entry);
        [table, self.lineage(draft).entry()].into_iter().chain(columns).chain(edges).collect()
    }

    fn references(&self, draft: &'a Draft<'a>) -> Vec<Reference<'a>> {
        let parents =
            draft.parents.iter().filter_map(|word| self.reference(word, RelationshipType::Hierarchy));
        let keys =
            draft.references.iter().filter_map(|word| self.reference(word, RelationshipType::ForeignKey));
        parents.chain(keys).collect()
    }

    /// `role:target` or `target:role`, whichever of them is a table.
    fn reference(&self, word: &'a str, kind: RelationshipType) -> Option<Reference<'a>> {
        let (word, confidence) = word.strip_suffix('?').map_or((word, 1.0), |word| (word, INFERRED));
        let find =
            |name| self.drafts.get(name).copied().filter(|draft| draft.table_type() == TableType::Dimension);
        let (target, role) = match word.split_once(':') {
            Some((first, second)) => match find(second) {
                Some(target) => (target, Some(first)),
                None => (find(first)?, Some(second)),
            },
            None => (find(word)?, None),
        };
        Some(Reference { target, role, kind, confidence })
    }

    /// The full names of what a table is made from; sources outside the mart keep their names.
    fn upstream(&self, draft: &Draft<'_>) -> Vec<String> {
        let name = |source: &&str| {
            self.drafts.get(source).map_or_else(|| (*source).to_owned(), |draft| draft.full_name())
        };
        draft.sources.iter().map(name).collect()
    }

    fn lineage(&self, draft: &Draft<'_>) -> Lineage {
        Lineage {
            table: draft.full_name(),
            upstream: self.upstream(draft),
            downstream: self.downstream.get(&draft.full_name()).cloned().unwrap_or_default(),
            refresh_frequency: Some(draft.refresh.to_owned()),
        }
    }
}

fn table(draft: &Draft<'_>, columns: &[Column]) -> Table {
    let full_name = draft.full_name();
    let keys = columns.iter().filter(|column| column.is_business_key);
    Table {
        name: full_name.trim_start_matches(draft.schema).trim_start_matches('.').to_owned(),
        table_type: draft.table_type(),
        schema: draft.schema.to_owned(),
        description: draft.description.to_owned(),
        column_count: columns.len() as u64,
        label: Some(draft.label.to_owned()),
        business_key: keys.map(|column| column.name.clone()).collect(),
        grain: Some(draft.grain.to_owned()),
        collection: None,
        full_name,
    }
}

fn relationship(draft: &Draft<'_>, reference: &Reference<'_>) -> Relationship {
    Relationship {
        from_table: draft.full_name(),
        to_table: reference.target.full_name(),
        join_column: reference.column(),
        relationship_type: reference.kind,
        confidence: reference.confidence,
    }
}

fn columns(draft: &Draft<'_>, references: &[Reference<'_>]) -> Vec<Column> {
    let mut columns = Columns { draft, list: Vec::new() };
    columns.keys();
    references.iter().for_each(|reference| columns.reference(reference));
    draft.columns.iter().for_each(|(word, description)| columns.own(word, description));
    columns.bookkeeping();
    columns.list
}

/// The columns of a table while they are put together.
struct Columns<'a> {
    draft: &'a Draft<'a>,
    list: Vec<Column>,
}

impl Columns<'_> {
    fn push(&mut self, name: &str, data_type: &str, description: String) -> &mut Column {
        self.list.push(Column {
            table: self.draft.full_name(),
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            description,
            position: self.list.len() as u64 + 1,
            is_measure: false,
            is_foreign_key: false,
            is_business_key: false,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    fn keys(&mut self) {
        let Draft { name, keys, .. } = self.draft;
        let thing = self.draft.thing();
        let is_dimension = self.draft.table_type() == TableType::Dimension;
        if is_dimension {
            self.push(&format!("{name}_key"), "bigint", format!("Surrogate key of the {thing} in this mart"));
        }
        for word in keys {
            let (key, data_type) = typed(word);
            self.push(key, data_type, format!("{}, part of the business key", spoken(key))).is_business_key =
                true;
        }
        if is_dimension && keys.is_empty() {
            let description = format!("Code of the {thing} in its source");
            self.push(&format!("{name}_code"), "varchar(20)", description).is_business_key = true;
        }
        if is_dimension {
            self.push(
                &format!("{name}_name"),
                "varchar(80)",
                format!("Name of the {thing} as people know it"),
            );
        }
    }

    /// The key, and beside it what saves a join: the day itself, or the code.
    fn reference(&mut self, reference: &Reference<'_>) {
        let (stem, thing) = (reference.stem(), reference.target.thing());
        let role =
            reference.role.map(|role| format!(", as {}", spoken(role).to_lowercase())).unwrap_or_default();
        self.push(&reference.column(), "bigint", format!("Leads to the {thing}{role}")).is_foreign_key = true;
        let code = format!("{stem}_code");
        if reference.target.name == "date" {
            self.push(&stem, "date", spoken(&stem));
        } else if self.list.iter().all(|column| column.name != code) {
            self.push(&code, "varchar(20)", format!("Code of the {thing}{role}"));
        }
    }

    fn own(&mut self, word: &str, description: &str) {
        let (name, data_type) = typed(word);
        let is_fact = self.draft.table_type() == TableType::Fact;
        let described = match description {
            "" if self.draft.table_type() == TableType::View => spoken(name),
            "" => format!("{} of the {}", spoken(name), self.draft.thing()),
            description => description.to_owned(),
        };
        match word.rsplit(':').next().unwrap_or_default() {
            "M" => {
                self.measure(&format!("{name}_doc"), data_type, format!("{described}; in document currency"));
                self.measure(&format!("{name}_eur"), data_type, format!("{described}; in group currency"));
            }
            "Q" => {
                self.measure(name, data_type, format!("{described}; in the unit of the document"));
                self.measure(&format!("{name}_base"), data_type, format!("{described}; in the base unit"));
            }
            "m" | "q" | "r" | "n" if is_fact => self.measure(name, data_type, described),
            _ => _ = self.push(name, data_type, described),
        }
    }

    fn measure(&mut self, name: &str, data_type: &str, description: String) {
        self.push(name, data_type, description).is_measure = true;
    }

    fn bookkeeping(&mut self) {
        let columns: &[(&str, &str, &str)] = match self.draft.table_type() {
            TableType::Dimension => &[
                ("valid_from", "date", "First day on which this version holds"),
                ("valid_to", "date", "Last day on which this version holds"),
                ("is_current", "boolean", "This version holds today"),
                ("is_deleted", "boolean", "Deleted in its source and kept here for history"),
                ("created_on", "date", "Day on which it was entered in its source"),
                ("changed_on", "date", "Day on which it was last changed in its source"),
                ("source_system", "varchar(20)", "System from which the row comes"),
                ("loaded_at", "timestamp", "When the row was last loaded"),
            ],
            TableType::Fact => &[
                ("source_system", "varchar(20)", "System from which the row comes"),
                ("source_created_at", "timestamp", "When the row was entered in its source"),
                ("source_changed_at", "timestamp", "When the row was last changed in its source"),
                ("check_result", "varchar(20)", "What the load's checks found: ok, corrected or doubtful"),
                ("load_number", "bigint", "Run of the load that brought the row"),
                ("loaded_at", "timestamp", "When the row was last loaded"),
                ("is_cancelled", "boolean", "Cancelled in the source and kept for history"),
            ],
            TableType::View => &[],
        };
        for (name, data_type, description) in columns {
            self.push(name, data_type, (*description).to_owned());
        }
    }
}

/// `name:type` as the name and the type that a database would say.
fn typed(word: &str) -> (&str, &'static str) {
    let (name, sign) = word.split_once(':').unwrap_or((word, "s"));
    let data_type = match sign {
        "c" => "varchar(20)",
        "d" => "date",
        "t" => "timestamp",
        "n" => "integer",
        "q" | "Q" => "decimal(15,3)",
        "m" | "M" => "decimal(18,2)",
        "r" => "decimal(9,4)",
        "b" => "boolean",
        _ => "varchar(80)",
    };
    (name, data_type)
}

/// `order_date` as "Order date".
fn spoken(name: &str) -> String {
    let words = words::spoken(name);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::catalog::{COLUMNS, LINEAGE, RELATIONSHIPS, TABLES};
    use super::*;

    fn of(collection: &str) -> Vec<Entry> {
        entries().into_iter().filter(|entry| entry.collection == collection).collect()
    }

    #[test]
    fn it_has_the_size_of_a_mart() {
        let tables: Vec<_> = of(TABLES).iter().map(|entry| Table::read(&entry.body).unwrap()).collect();
        let count = |table_type| tables.iter().filter(|table| table.table_type == table_type).count();
        let schemas: BTreeSet<_> = tables.iter().map(|table| table.schema.as_str()).collect();
        assert_eq!(schemas.into_iter().collect::<Vec<_>>(), ["master_data", "purchasing"]);
        assert_eq!([TableType::Fact, TableType::Dimension, TableType::View].map(count), [30, 50, 12]);
        let columns = of(COLUMNS).len();
        assert!((1_900..=2_100).contains(&columns), "{columns} columns");
        assert_eq!(columns as u64, tables.iter().map(|table| table.column_count).sum::<u64>());
        let relationships = of(RELATIONSHIPS).len();
        assert!((250..=450).contains(&relationships), "{relationships} relationships");
        assert_eq!(of(LINEAGE).len(), tables.len());
    }

    #[test]
    fn it_is_the_same_each_time_and_every_id_is_unique() {
        assert_eq!(entries(), entries());
        let mut seen = BTreeSet::new();
        for entry in entries() {
            assert!(seen.insert((entry.collection, entry.id.clone())), "{} is there twice", entry.id);
        }
    }

    #[test]
    fn everything_is_described_and_leads_somewhere() {
        let tables: BTreeSet<_> = of(TABLES).into_iter().map(|entry| entry.id).collect();
        let columns: BTreeSet<_> = of(COLUMNS).into_iter().map(|entry| entry.id).collect();
        for entry in of(TABLES).iter().chain(&of(COLUMNS)) {
            assert!(!entry.body["description"].as_str().unwrap().is_empty(), "{}", entry.id);
        }
        for entry in of(RELATIONSHIPS) {
            let relationship = Relationship::read(&entry.body).unwrap();
            assert!(tables.contains(&relationship.to_table), "{}", entry.id);
            let column = format!("{}.{}", relationship.from_table, relationship.join_column);
            assert!(columns.contains(&column), "{column}");
        }
        let relationships = of(RELATIONSHIPS);
        for draft in drafts(MART) {
            let wanted = draft.references.len() + draft.parents.len();
            let from = draft.full_name();
            let found = relationships.iter().filter(|entry| entry.body["from_table"] == *from).count();
            assert_eq!(found, wanted, "{} refers to something unknown", draft.name);
        }
    }
}
