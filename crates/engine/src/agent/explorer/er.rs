//! Entity-relationship diagrams in Mermaid that parse for any name.
//!
//! Mermaid has no one way to quote. A name that its grammar takes as it is stays as it is; any other entity gets a
//! plain id and its name as a quoted alias, any other attribute a plain word and its name as a comment. In quotes,
//! characters that Mermaid, Markdown or SVG would read are written as entity codes, which Mermaid turns back.
//! A diagram is bounded, and what it leaves out it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::catalog::{Column, Relationship, RelationshipType, Table, TableType};

/// At most so many tables are drawn.
pub const MAX_ENTITIES: usize = 12;
/// At most so many columns of each.
pub const MAX_ATTRIBUTES: usize = 12;
/// Longer names are cut there, in characters.
const MAX_NAME: usize = 60;
/// At most so many columns of a table are drawn because they join, so that there is room for its measures.
const MAX_JOINS: usize = 7;

/// Words that Mermaid's lexer takes for itself where a name is expected.
const RESERVED: [&str; 21] = [
    "accdescr",
    "acctitle",
    "class",
    "classdef",
    "click",
    "default",
    "direction",
    "end",
    "erdiagram",
    "fk",
    "many",
    "one",
    "only",
    "optionally",
    "pk",
    "style",
    "subgraph",
    "title",
    "to",
    "uk",
    "zero",
];

/// A table to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// The table.
    pub table: Table,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// Draws tables, in their order, and the relationships between them.
///
/// At most [`MAX_ENTITIES`] are drawn; `more` says how many others there are beside those handed over. A relationship
/// that leads to a table which is not drawn is left out.
pub fn diagram(entities: &[Entity], relationships: &[Relationship], more: usize) -> String {
    let drawn = &entities[..entities.len().min(MAX_ENTITIES)];
    let ids = ids(drawn);
    let edges = relationships.iter().filter_map(|edge| Some((edge, line(edge, &ids)?)));
    let (edges, lines): (Vec<_>, Vec<_>) = edges.unzip();
    let blocks = drawn.iter().map(|entity| block(entity, drawn, &ids, &edges));
    let header = std::iter::once(String::from("erDiagram\n"));
    header.chain(lines).chain(blocks).chain(rest(entities.len() - drawn.len() + more)).collect()
}

/// Says how many tables are not drawn.
fn rest(left_out: usize) -> Option<String> {
    let tables = if left_out == 1 { "table" } else { "tables" };
    (left_out > 0).then(|| format!("    entity_more[\"and {left_out} more {tables}\"]\n"))
}

/// Which plain id stands for which table, by full name.
type Ids<'a> = BTreeMap<&'a str, String>;

fn ids(entities: &[Entity]) -> Ids<'_> {
    let mut taken = BTreeSet::new();
    let mut id = |number: usize, name: &str| {
        let free = is_plain(name) && !name.starts_with("entity_") && taken.insert(name.to_lowercase());
        if free { name.to_owned() } else { format!("entity_{number}") }
    };
    (1..)
        .zip(entities)
        .map(|(number, Entity { table, .. })| (&*table.full_name, id(number, &table.name)))
        .collect()
}

/// One line a foreign key, from the table that has it; a level rolls up to the next.
fn line(edge: &Relationship, ids: &Ids<'_>) -> Option<String> {
    let (from, to) = (ids.get(&*edge.from_table)?, ids.get(&*edge.to_table)?);
    Some(match edge.relationship_type {
        RelationshipType::ForeignKey => format!("    {from} ||--o{{ {to} : references\n"),
        RelationshipType::Hierarchy => format!("    {from} }}o--|| {to} : \"rolls up to\"\n"),
    })
}

fn block(entity: &Entity, drawn: &[Entity], ids: &Ids<'_>, edges: &[&Relationship]) -> String {
    let Entity { table, columns } = entity;
    let id = ids.get(&*table.full_name).map_or("entity_more", String::as_str);
    let alias =
        if id == table.name { String::new() } else { format!("[\"{}\"]", quoted(title(table, drawn))) };
    let shown = telling(table, columns, edges);
    let left_out = columns.len() - shown.len();
    let mut text = format!("    {id}{alias} {{\n");
    text.extend(shown.into_iter().map(|column| attribute(table, column)));
    if left_out > 0 {
        let columns = if left_out == 1 { "column" } else { "columns" };
        _ = writeln!(text, "        etc and_{left_out}_more_{columns}");
    }
    text + "    }\n"
}

/// The name, or the full name where another table has the same.
fn title<'t>(table: &'t Table, drawn: &[Entity]) -> &'t str {
    let same = drawn.iter().filter(|entity| entity.table.name.eq_ignore_ascii_case(&table.name));
    if same.count() > 1 { &table.full_name } else { &table.name }
}

/// The columns that tell most: keys, joins that are drawn, then what the table is there for.
fn telling<'c>(table: &Table, columns: &'c [Column], edges: &[&Relationship]) -> Vec<&'c Column> {
    let mut joins = 0;
    let mut joins_here = |column: &Column| {
        let joins_by =
            |edge: &&Relationship| edge.from_table == table.full_name && edge.join_column == column.name;
        joins += usize::from(edges.iter().any(joins_by));
        edges.iter().any(joins_by) && joins <= MAX_JOINS
    };
    let mut rank = |column: &Column| match table.table_type {
        _ if is_key(table, column) => 0,
        _ if joins_here(column) => 1,
        TableType::Fact if column.is_measure => 2,
        TableType::Dimension if !column.is_foreign_key && !column.is_date() => 2,
        TableType::Fact | TableType::Dimension | TableType::View => 3,
    };
    let mut ranked: Vec<_> = columns.iter().map(|column| (rank(column), column)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(MAX_ATTRIBUTES).map(|(_, column)| column).collect()
}

fn is_key(table: &Table, column: &Column) -> bool {
    column.is_business_key || table.business_key.contains(&column.name)
}

fn attribute(table: &Table, column: &Column) -> String {
    let keys = match (is_key(table, column), column.is_foreign_key) {
        (true, true) => " PK, FK",
        (true, false) => " PK",
        (false, true) => " FK",
        (false, false) => "",
    };
    let data_type = word(column.data_type.split('(').next().unwrap_or_default(), "any");
    let name = word(&column.name, "unnamed");
    let comment = if name == column.name { String::new() } else { format!(" \"{}\"", quoted(&column.name)) };
    format!("        {data_type} {name}{keys}{comment}\n")
}

/// Whether Mermaid takes the name as it is.
fn is_plain(name: &str) -> bool {
    let clean = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    clean
        && name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str())
}

/// The name as a word that Mermaid takes for an attribute or a type.
fn word(name: &str, otherwise: &str) -> String {
    if is_plain(name) {
        return name.to_owned();
    }
    let replaced = name.chars().take(MAX_NAME).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    match replaced.collect::<String>().trim_matches('_') {
        "" => otherwise.to_owned(),
        clean => format!("_{clean}"),
    }
}

/// The text as it may stand between Mermaid's quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars().take(MAX_NAME) {
        match c {
            '0'..='9' | 'a'..='z' | 'A'..='Z' | '_' | '-' | '.' | ',' | '(' | ')' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c if c.is_control() || c.is_whitespace() => quoted.push(' '),
            c => _ = write!(quoted, "#{};", u32::from(c)),
        }
    }
    if text.chars().nth(MAX_NAME).is_some() {
        quoted.push('…');
    }
    let quoted = quoted.trim();
    match quoted.to_ascii_lowercase().contains("direction") {
        _ if quoted.is_empty() => String::from("(unnamed)"),
        true => quoted.replace(' ', "#32;"), // Mermaid finds `direction TB` anywhere in a line, quoted or not
        false => quoted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn table(name: &str, table_type: &str) -> Table {
        let body = json!({"name": name, "schema": "m", "table_type": table_type});
        Table::read(body.as_object().unwrap()).unwrap()
    }

    fn column(table: &str, name: &str, role: &str) -> Column {
        let body = json!({
            "table": format!("m.{table}"), "name": name, "type": "decimal(18,2)",
            "is_measure": role == "measure", "is_foreign_key": role == "fk", "is_business_key": role == "key",
        });
        Column::read(body.as_object().unwrap()).unwrap()
    }

    fn entity(name: &str, table_type: &str, columns: &[(&str, &str)]) -> Entity {
        let columns = columns.iter().map(|(column_name, role)| column(name, column_name, role)).collect();
        Entity { table: table(name, table_type), columns }
    }

    fn edge(from: &str, to: &str, join: &str, kind: &str) -> Relationship {
        let body = json!({
            "from_table": format!("m.{from}"), "to_table": format!("m.{to}"),
            "join_column": join, "relationship_type": kind,
        });
        Relationship::read(body.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_fact_references_its_dimensions() {
        let entities = [
            entity(
                "factv_order",
                "FACT",
                &[("note", ""), ("amount", "measure"), ("supplier_key", "fk"), ("order_id", "key")],
            ),
            entity(
                "dimv_supplier",
                "DIMENSION",
                &[("supplier_key", "key"), ("supplier_name", ""), ("group_key", "fk")],
            ),
            entity("dimv_group", "DIMENSION", &[("group_key", "key")]),
        ];
        let edges = [
            edge("factv_order", "dimv_supplier", "supplier_key", "FK"),
            edge("factv_order", "dimv_elsewhere", "elsewhere_key", "FK"),
            edge("dimv_supplier", "dimv_group", "group_key", "HIERARCHY"),
        ];
        let expected = "erDiagram
    factv_order ||--o{ dimv_supplier : references
    dimv_supplier }o--|| dimv_group : \"rolls up to\"
    factv_order {
        decimal order_id PK
        decimal supplier_key FK
        decimal amount
        decimal note
    }
    dimv_supplier {
        decimal supplier_key PK
        decimal group_key FK
        decimal supplier_name
    }
    dimv_group {
        decimal group_key PK
    }
";
        assert_eq!(diagram(&entities, &edges, 0), expected);
    }

    #[test]
    fn names_that_mermaid_would_misread_are_written_around() {
        let entities = [
            entity("one", "VIEW", &[("pk", ""), ("a b", ""), ("", "")]),
            entity("say \"hi\"", "VIEW", &[]),
            entity("direction TB", "VIEW", &[]),
            entity("", "VIEW", &[]),
        ];
        let expected = "erDiagram
    entity_1[\"one\"] {
        decimal _pk \"pk\"
        decimal _a_b \"a b\"
        decimal unnamed \"(unnamed)\"
    }
    entity_2[\"say #34;hi#34;\"] {
    }
    entity_3[\"direction#32;TB\"] {
    }
    entity_4[\"(unnamed)\"] {
    }
";
        assert_eq!(diagram(&entities, &[], 0), expected);
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let names: Vec<_> = (0..20).map(|n| format!("c{n}")).collect();
        let columns: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        let entities: Vec<_> = (0..15).map(|n| entity(&format!("t{n}"), "VIEW", &columns)).collect();
        let text = diagram(&entities, &[], 4);
        assert!(text.contains("entity_more[\"and 7 more tables\"]"), "{text}");
        assert!(text.contains("etc and_8_more_columns"), "{text}");
        assert!(!text.contains("t12") && !text.contains("c12"), "{text}");
        assert!(diagram(&entities[..13], &[], 0).contains("and 1 more table\""));
    }

    /// What Mermaid's grammar takes, line by line; the samples are parsed by Mermaid itself.
    fn is_well_formed(text: &str) -> bool {
        let word =
            |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !word.is_empty();
        let quotes = |text: &str| {
            text.len() > 2 && !text[1..text.len() - 1].contains(['"', '%', '\\', '\n', '<', '`', '~'])
        };
        text.lines().skip(1).all(|line| {
            let line = line.trim();
            let (head, comment) = line.find('"').map_or((line, ""), |at| line.split_at(at));
            let comment = comment.trim_end_matches([' ', '{', ']']);
            let words = head.trim_end_matches('[').split([' ', ',']).filter(|part| !part.is_empty());
            let punctuation = ["||--o{", "}o--||", ":", "{", "}"];
            (comment.is_empty() || quotes(comment))
                && words.clone().all(|part| word(part) || punctuation.contains(&part))
        })
    }

    /// Names as nobody should give them.
    pub(super) fn hostile() -> impl Strategy<Value = String> {
        let pieces = [
            "one",
            "to",
            "end",
            "direction TB",
            "accTitle: ",
            "%%",
            "%%{init: {}}%%",
            "\"",
            "#quot;",
            "style x:#1;",
            "`",
            "~x~",
            "{",
            "}",
            "||--o{",
            "\n",
            "\r\n",
            "\u{2028}",
            "\\",
            "<script>",
            "💥",
            "日本",
            "é",
            " ",
            "-",
            "entity_1",
            "entity_more",
            "PK",
            "--",
            ";",
            "$$",
            "---",
            "a",
            "ﬂ°°35¶ß",
            "erDiagram",
            ":::",
            "1",
            "",
        ];
        let joined = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..5);
        prop_oneof![joined.prop_map(|parts| parts.concat()), any::<String>()]
    }

    proptest! {
        #[test]
        fn any_name_gives_a_diagram_that_is_well_formed(names in proptest::collection::vec(hostile(), 1..6)) {
            let columns: Vec<_> = names.iter().map(|name| (name.as_str(), "fk")).collect();
            let entities: Vec<_> = names.iter().map(|name| entity(name, "FACT", &columns)).collect();
            let edges: Vec<_> = names.iter().map(|name| edge(name, &names[0], name, "FK")).collect();
            let text = diagram(&entities, &edges, 0);
            prop_assert!(is_well_formed(&text), "{text}");
            prop_assert!(text.starts_with("erDiagram\n"));
        }
    }

    /// The samples that `tests/er/parse.mjs` gives to Mermaid itself. `UPDATE_SAMPLES=N` writes N of them anew.
    #[test]
    fn the_samples_are_what_is_drawn() {
        use proptest::strategy::ValueTree;
        use proptest::test_runner::TestRunner;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/er/samples.json");
        let mut runner = TestRunner::deterministic();
        let many = proptest::collection::vec(hostile(), 1..6);
        let wanted = std::env::var("UPDATE_SAMPLES").ok().and_then(|count| count.parse().ok());
        let samples: Vec<_> = (0..wanted.unwrap_or(40))
            .map(|_| {
                let names = many.new_tree(&mut runner).unwrap().current();
                let columns: Vec<_> = names.iter().map(|name| (name.as_str(), "fk")).collect();
                let entities: Vec<_> = names.iter().map(|name| entity(name, "FACT", &columns)).collect();
                let edges: Vec<_> = names.iter().map(|name| edge(name, &names[0], name, "FK")).collect();
                json!({"names": names, "diagram": diagram(&entities, &edges, 1)})
            })
            .collect();
        let text = format!("{:#}\n", json!(samples));
        if wanted.is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap() == text,
            "stale; run this test with UPDATE_SAMPLES=40"
        );
    }
}
