//! Records as a person sees them.

use std::io;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use console::Term;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tidewire_client::{ChangeKind, Changes, Record};

use super::put;

/// Columns that are shown; a table of more is not read.
const COLUMNS: usize = 12;
/// Characters of a cell that are shown.
const CELL: usize = 80;

/// One record: its members, one a line.
pub(super) fn record(record: &Record, json: bool) -> io::Result<()> {
    if json {
        return put(line(record));
    }
    let mut table = table(&[String::from("member"), String::from("value")]);
    for (name, value) in record {
        table.add_row([name.clone(), cell(value)]);
    }
    put(table)
}

/// Many records: a table with a column for each member that any of them has.
pub(super) fn records(records: &[Record], json: bool) -> io::Result<()> {
    if json {
        return records.iter().try_for_each(|record| put(line(record)));
    }
    let (columns, left) = columns(records);
    if columns.is_empty() {
        return put("no records");
    }
    let mut table = table(&columns);
    for record in records {
        table.add_row(columns.iter().map(|name| record.get(name).map_or_else(String::new, cell)));
    }
    put(table)?;
    match left {
        0 => Ok(()),
        left => put(format_args!(
            "{left} more members are not shown; choose some with --select, or all with --json"
        )),
    }
}

/// Changes: a line for each record, or as JSON.
pub(super) fn changes(changes: &Changes, json: bool) -> io::Result<()> {
    for (place, id) in changes.ids.iter().enumerate() {
        let record = changes.records.get(place);
        if json {
            let told = serde_json::json!({"event": word(changes.kind), "id": id, "record": record, "offset": changes.offset, "at": changes.at});
            put(told)?;
        } else {
            put(format_args!("{:<6} {id}  {}", word(changes.kind), record.map(summary).unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert => "insert",
        ChangeKind::Update => "update",
        ChangeKind::Delete => "delete",
    }
}

fn summary(record: &Record) -> String {
    let members = record.iter().filter(|(name, _)| *name != "id");
    members.map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join("  ")
}

/// A record as a line of JSON.
pub(super) fn line(record: &Record) -> String {
    Value::Object(record.clone()).to_string()
}

/// The members in the order in which they are met, the id first; and how many do not fit.
fn columns(records: &[Record]) -> (Vec<String>, usize) {
    let mut names: Vec<&String> = Vec::new();
    for name in records.iter().flat_map(|record| record.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| *name != "id");
    let left = names.len().saturating_sub(COLUMNS);
    (names.into_iter().take(COLUMNS).cloned().collect(), left)
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    // What a terminal would obey is shown, not done.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(super) fn table(head: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(head);
    if let Some((_, width)) = Term::stdout().size_checked() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// A count that grows, on standard error.
pub(super) fn counter(of: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template(&format!("{{spinner}} {{human_pos}} {of}, {{per_sec}}"));
    // The template is written here and is right; without it the bar looks plainer.
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: Value) -> Record {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_table_has_every_member_and_the_id_first() {
        let records = [record(json!({"b": 1, "id": "x"})), record(json!({"c": [1], "id": "y"}))];
        assert_eq!(columns(&records), (vec!["id".into(), "b".into(), "c".into()], 0));
        let many: Record = (0..15).map(|n| (format!("m{n}"), json!(n))).collect();
        let (shown, left) = columns(&[many]);
        assert_eq!((shown.len(), left), (12, 3));
    }

    #[test]
    fn cells_are_short_and_harmless() {
        assert_eq!(cell(&json!("a\u{1b}[31m\nb")), "a [31m b");
        assert_eq!(cell(&json!("ä".repeat(100))).chars().count(), CELL + 1);
        assert_eq!((cell(&json!(null)), cell(&json!({"a": 1}))), (String::new(), String::from("{\"a\":1}")));
    }
}
