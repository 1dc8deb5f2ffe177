//! Markdown pieces. What comes from data is escaped, so that no value can become a link, an image or a tag.

use std::fmt;

use serde_json::Value;

/// A value's text is cut after so many characters in a table.
const CELL: usize = 120;
/// Columns of a table of records; more are left out.
const COLUMNS: usize = 8;

/// A table with a head.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    /// One more row; its cells are Markdown.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", " --- |".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// Records as a table: the columns of the first ones, in their order.
pub(super) fn records(records: &[Value]) -> Table {
    let mut columns: Vec<&str> = Vec::new();
    for member in records.iter().take(20).filter_map(Value::as_object).flat_map(|record| record.keys()) {
        if !columns.contains(&member.as_str()) && columns.len() < COLUMNS {
            columns.push(member);
        }
    }
    let head: Vec<String> = columns.iter().map(|column| cell(column)).collect();
    let mut table = Table { head, rows: Vec::new() };
    for record in records {
        table.row(&columns.iter().map(|column| value(record.get(column))).collect::<Vec<_>>());
    }
    table
}

fn value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(other) => cell(&other.to_string()),
    }
}

/// A name as code. Backticks would end it, and line breaks and bars would break a table.
pub(super) fn code(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if matches!(c, '`' | '\n' | '\r' | '|') { ' ' } else { c }).collect();
    if name.trim().is_empty() { String::new() } else { format!("`{}`", name.trim()) }
}

/// Text for a table's cell: one line, not too long, escaped.
pub(super) fn cell(text: &str) -> String {
    let mut cut: String = text.chars().take(CELL).collect();
    if text.chars().nth(CELL).is_some() {
        cut.push('…');
    }
    plain(&cut)
}

/// Text on one line, in which nothing is markup.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' | '\r' | '\t' => plain.push(' '),
            '<' => plain.push_str("&lt;"),
            '&' => plain.push_str("&amp;"),
            '|' | '[' | ']' | '`' | '*' | '\\' | '~' | '#' => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    plain
}

/// The first sentence of a description.
pub(super) fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

/// "a, b and c".
pub(super) fn list(items: &[String], word: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} {word} {last}", rest.join(", ")),
    }
}

/// The first ones, and how many more there are.
pub(super) fn some(items: &[String], most: usize) -> String {
    match items.len().saturating_sub(most) {
        0 => list(items, "and"),
        more => format!("{} and {} more", items[..most].join(", "), count(more as u64)),
    }
}

/// 99997 is "99,997".
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// "1 table", "90 tables".
pub(super) fn plural(many: u64, noun: &str) -> String {
    if many == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(many)) }
}

/// A member that is a text and not empty.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// A member's texts: of an array, or one alone.
pub(super) fn texts<'a>(value: &'a Value, member: &str) -> Vec<&'a str> {
    match value.get(member) {
        Some(Value::Array(items)) => items.iter().filter_map(name_of).collect(),
        Some(Value::String(text)) if !text.is_empty() => vec![text],
        _ => Vec::new(),
    }
}

fn name_of(item: &Value) -> Option<&str> {
    item.as_str()
        .or_else(|| text(item, "full_name"))
        .or_else(|| text(item, "name"))
        .or_else(|| text(item, "table"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_never_markup() {
        assert_eq!(cell("![x](http://a/b) <img> a|b"), "!\\[x\\](http://a/b) &lt;img> a\\|b");
        assert_eq!(code("a`b|c\nd"), "`a b c d`");
        assert_eq!(cell(&"x".repeat(200)).chars().count(), CELL + 1);
    }

    #[test]
    fn numbers_and_lists_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(99_997), "99,997");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "table"), "1 table");
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&items, "and"), "a, b and c");
        assert_eq!(some(&items, 2), "a, b and 1 more");
    }

    #[test]
    fn records_become_a_table() {
        let shown =
            records(&[json!({"id": "1", "amount": 2.5}), json!({"id": "2", "note": null})]).to_string();
        assert_eq!(shown, "| id | amount | note |\n| --- | --- | --- |\n| 1 | 2.5 |  |\n| 2 |  |  |\n");
    }
}
