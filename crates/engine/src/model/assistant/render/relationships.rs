//! Relationships in words: of one table, or between the two that the question names.

use serde_json::Value;

use super::markdown::{self, Table, code, list, plural, text};
use super::{ROWS, ToolResult, members, rest};
use crate::model::assistant::slots::Mentions;

/// What relates the two tables of the question: directly, through a third, or nothing. `None` if it names fewer.
pub(super) fn answer(mentions: &Mentions<'_>, results: &[ToolResult<'_>]) -> Option<String> {
    let (first, second) = mentions.two_tables()?;
    if results.iter().any(|result| super::unknown(&result.value).is_some()) {
        return None;
    }
    let of_first = relationships(&results.first()?.value);
    let direct: Vec<&Value> =
        of_first.iter().filter(|edge| other_end(edge, &first) == Some(&second)).collect();
    if !direct.is_empty() {
        let sentences: Vec<String> = direct.iter().map(|edge| sentence(edge)).collect();
        return Some(format!("{}\n\n{}", sentences.join(" "), of_one(&results.first()?.value)));
    }
    let of_second = results.get(1).map(|result| relationships(&result.value)).unwrap_or_default();
    Some(indirect((&first, of_first), (&second, of_second)))
}

/// Both reference the same tables, or nothing that the catalogue knows joins them.
fn indirect((first, of_first): (&str, &[Value]), (second, of_second): (&str, &[Value])) -> String {
    let (a, b) = (code(first), code(second));
    let bridges: Vec<(&Value, &Value)> = of_first
        .iter()
        .filter_map(|left| {
            let bridge = other_end(left, first)?;
            let right = of_second.iter().find(|right| other_end(right, second) == Some(bridge))?;
            Some((left, right))
        })
        .collect();
    if bridges.is_empty() {
        return format!(
            "The catalogue knows no relationship between {a} and {b}, and no table that both are related to."
        );
    }
    let mut table = Table::new(&["Through", "Joined to the first by", "Joined to the second by"]);
    for (left, right) in bridges.iter().take(ROWS) {
        let column = |edge: &Value| code(text(edge, "join_column").unwrap_or_default());
        table.row(&[code(other_end(left, first).unwrap_or_default()), column(left), column(right)]);
    }
    let many = bridges.len() as u64;
    format!("{a} and {b} are not joined directly. They share {}.\n\n{table}", plural(many, "table"))
}

/// The relationships of one table.
pub(super) fn of_one(value: &Value) -> String {
    let edges = relationships(value);
    let name = code(text(value, "table").unwrap_or_default());
    if edges.is_empty() {
        return format!("The catalogue knows no relationship of {name}.");
    }
    let mut table = Table::new(&["From", "To", "Join column", "Type", "Confidence"]);
    for edge in edges.iter().take(ROWS) {
        table.row(&[
            code(text(edge, "from_table").unwrap_or_default()),
            code(text(edge, "to_table").unwrap_or_default()),
            code(text(edge, "join_column").unwrap_or_default()),
            markdown::cell(text(edge, "relationship_type").unwrap_or_default()),
            edge.get("confidence").map(Value::to_string).unwrap_or_default(),
        ]);
    }
    let many = edges.len() as u64;
    format!("{name} has {}.\n\n{table}{}", plural(many, "relationship"), rest(many, ROWS.min(edges.len())))
}

/// Whether a result has a relationship to this table.
pub(in crate::model::assistant) fn names_table(value: &Value, table: &str) -> bool {
    let ends = |edge: &Value| {
        ["from_table", "to_table"].iter().any(|member| text(edge, member).is_some_and(|end| end == table))
    };
    relationships(value).iter().any(ends)
}

fn sentence(edge: &Value) -> String {
    let end = |member: &str| code(text(edge, member).unwrap_or_default());
    let kind = match text(edge, "relationship_type") {
        Some("HIERARCHY") => "is below",
        _ => "references",
    };
    let mut parts = vec![format!("{} {kind} {}", end("from_table"), end("to_table"))];
    parts.extend(text(edge, "join_column").map(|column| format!("by {}", code(column))));
    format!("{}.", list(&[parts.join(" ")], "and"))
}

fn relationships(value: &Value) -> &[Value] {
    members(value, "relationships")
}

fn other_end<'a>(edge: &'a Value, table: &str) -> Option<&'a str> {
    let (from, to) = (text(edge, "from_table")?, text(edge, "to_table")?);
    if from == table {
        return Some(to);
    }
    (to == table).then_some(from)
}
