//! Rendering: what the tools found, as Markdown.
//!
//! Every name and number in an answer is taken from a tool's result. Results are read leniently: a member that is not
//! there is left out of the answer, and never made up.

use serde_json::Value;

use super::slots::Mentions;
use crate::model::{Message, Status};

mod markdown;
mod relationships;

use markdown::{Table, code, count, first_sentence, list, plural, text, texts};
pub(super) use relationships::names_table;

/// Rows that are shown of a list of columns or records; the rest is counted.
const ROWS: usize = 30;
/// Tables that are listed; who asks for all tables wants all of a catalogue of common size.
const TABLES: usize = 200;

/// What a tool answered.
pub(super) struct ToolResult<'a> {
    /// Which tool.
    pub(super) tool: &'a str,
    /// Its JSON; `null` if it is none.
    pub(super) value: Value,
    /// Whether it failed.
    pub(super) is_error: bool,
    content: &'a str,
}

/// The tools' results since the last question; empty if the last message is the question.
pub(super) fn results(messages: &[Message]) -> Vec<ToolResult<'_>> {
    if !matches!(messages.last(), Some(Message::Tool { .. })) {
        return Vec::new();
    }
    let since =
        messages.iter().rposition(|message| matches!(message, Message::User(_))).map_or(0, |at| at + 1);
    let results = messages[since..].iter().filter_map(|message| match message {
        Message::Tool { name, content, is_error, .. } => Some(ToolResult {
            tool: name,
            value: serde_json::from_str(content).unwrap_or(Value::Null),
            is_error: *is_error,
            content,
        }),
        Message::User(_) | Message::Assistant { .. } => None,
    });
    results.collect()
}

/// The answer to the question, from what the tools found.
pub(super) fn answer(question: &str, mentions: &Mentions<'_>, results: &[ToolResult<'_>]) -> String {
    if results.iter().all(|result| result.tool == "find_relationships" && !result.is_error)
        && let Some(answer) = relationships::answer(mentions, results)
    {
        return answer;
    }
    let parts: Vec<String> = results.iter().map(|result| one(question, result)).collect();
    parts.join("\n\n")
}

fn one(question: &str, result: &ToolResult<'_>) -> String {
    let value = &result.value;
    if result.is_error {
        return format!("That did not work: {}.", markdown::plain(&failure(result)));
    }
    if let Some(unknown) = unknown(value) {
        return unknown;
    }
    match result.tool {
        "list_tables" => tables(question, value),
        "get_table_details" => details(value),
        "find_relationships" => relationships::of_one(value),
        "search_columns" => columns(value),
        "get_lineage" => lineage(value),
        "query_collection" => records(value),
        tool => format!("{} answered:\n\n```json\n{value:#}\n```", code(tool)),
    }
}

/// The sentence of a failed tool, which may be JSON with a message or plain text.
fn failure(result: &ToolResult<'_>) -> String {
    let said = ["error", "message"].iter().find_map(|member| text(&result.value, member));
    let said = said.or(result.value.as_str()).unwrap_or(result.content);
    said.trim_end_matches('.').to_owned()
}

/// "I know no table …", with what it may have meant.
fn unknown(value: &Value) -> Option<String> {
    let (kind, name) = text(value, "unknown_table")
        .map(|name| ("table", name))
        .or_else(|| text(value, "unknown_collection").map(|name| ("collection", name)))?;
    let near: Vec<String> = texts(value, "near_matches").iter().map(|name| code(name)).collect();
    let hint = match near.as_slice() {
        [] => String::from("Ask me to show all tables to see what there is."),
        near => format!("Did you mean {}?", list(near, "or")),
    };
    Some(format!("I know no {kind} named {}. {hint}", code(name)))
}

fn tables(question: &str, value: &Value) -> String {
    let tables = members(value, "tables");
    let wanted = wanted_type(question);
    let fits = |table: &&Value| wanted.is_none_or(|wanted| text(table, "table_type") == Some(wanted));
    let mut shown: Vec<&Value> = tables.iter().filter(fits).collect();
    shown.sort_by_key(|table| rank(text(table, "table_type")));
    let total = match wanted {
        Some(_) => shown.len() as u64,
        None => number(value, "total").unwrap_or(shown.len() as u64),
    };
    if shown.is_empty() {
        return String::from(
            "The catalogue has no such tables. `tidewire import` brings a file in and describes it.",
        );
    }
    let mut table = Table::new(&["Table", "Type", "Columns", "Description"]);
    for row in shown.iter().take(TABLES) {
        table.row(&[
            code(text(row, "full_name").or_else(|| text(row, "name")).unwrap_or_default()),
            text(row, "table_type").unwrap_or_default().to_lowercase(),
            number(row, "column_count").map(count).unwrap_or_default(),
            markdown::cell(first_sentence(text(row, "description").unwrap_or_default())),
        ]);
    }
    let head = format!("There {} {}{}.", is_are(total), kinds(total, wanted), by_type(&shown, wanted));
    format!("{head}\n\n{table}{}", rest(total, TABLES.min(shown.len())))
}

/// "the fact tables" asks for facts alone.
fn wanted_type(question: &str) -> Option<&'static str> {
    let words = super::words::tokens(question);
    let says = |stem: &str| words.iter().any(|word| super::words::stem(word) == stem);
    match (says("fact"), says("dimension")) {
        (true, false) => Some("FACT"),
        (false, true) => Some("DIMENSION"),
        (true, true) | (false, false) => None,
    }
}

/// Facts first: they are what most questions are about, and a long list is cut.
fn rank(table_type: Option<&str>) -> u8 {
    match table_type {
        Some("FACT") => 0,
        Some("DIMENSION") => 1,
        _ => 2,
    }
}

fn kinds(total: u64, wanted: Option<&str>) -> String {
    match wanted {
        Some(kind) => plural(total, &format!("{} table", kind.to_lowercase())),
        None => plural(total, "table"),
    }
}

/// ": 12 facts, 30 dimensions and 48 views", where all are known.
fn by_type(tables: &[&Value], wanted: Option<&str>) -> String {
    if wanted.is_some() {
        return String::new();
    }
    let parts = ["FACT", "DIMENSION", "VIEW"].iter().filter_map(|kind| {
        let many = tables.iter().filter(|table| text(table, "table_type") == Some(kind)).count() as u64;
        (many > 0).then(|| plural(many, &kind.to_lowercase()))
    });
    let parts: Vec<String> = parts.collect();
    if parts.len() < 2 { String::new() } else { format!(": {}", list(&parts, "and")) }
}

fn details(value: &Value) -> String {
    let name = text(value, "full_name").or_else(|| text(value, "name")).unwrap_or_default();
    let kind = text(value, "table_type").map(str::to_lowercase).unwrap_or_else(|| String::from("table"));
    let columns = members(value, "columns");
    let total = number(value, "column_count").unwrap_or(columns.len() as u64);
    let mut lines = vec![format!("{} is a {kind} with {}.", code(name), plural(total, "column"))];
    if let Some(description) = text(value, "description") {
        lines.push(markdown::plain(description));
    }
    let facts = facts(value);
    if !facts.is_empty() {
        lines.push(facts.join("\n"));
    }
    if !columns.is_empty() {
        lines.push(format!("{}{}", column_table(columns), rest(total, ROWS.min(columns.len()))));
    }
    lines.join("\n\n")
}

/// Grain, keys and measures as a list.
fn facts(value: &Value) -> Vec<String> {
    let named = [("Business key", "business_key"), ("Measures", "measures"), ("Dates", "date_columns")];
    let grain = text(value, "grain").map(|grain| format!("- Grain: {}", markdown::plain(grain)));
    let lists = named.iter().filter_map(|(label, member)| {
        let names: Vec<String> = texts(value, member).iter().map(|name| code(name)).collect();
        (!names.is_empty()).then(|| format!("- {label}: {}", markdown::some(&names, 12)))
    });
    grain.into_iter().chain(lists).collect()
}

fn column_table(columns: &[Value]) -> Table {
    let mut table = Table::new(&["Column", "Type", "Role", "Description"]);
    for column in columns.iter().take(ROWS) {
        let says = |member: &str| column.get(member).and_then(Value::as_bool) == Some(true);
        let role = match (says("is_measure"), says("is_foreign_key")) {
            (true, _) => "measure",
            (false, true) => "foreign key",
            (false, false) => "",
        };
        table.row(&[
            code(text(column, "name").unwrap_or_default()),
            markdown::cell(text(column, "type").unwrap_or_default()),
            role.to_owned(),
            markdown::cell(text(column, "description").unwrap_or_default()),
        ]);
    }
    table
}

fn columns(value: &Value) -> String {
    let columns = members(value, "columns");
    let pattern = code(text(value, "pattern").unwrap_or_default());
    if columns.is_empty() {
        return format!("No column fits {pattern}. A `*` stands for anything, for example `*_date`.");
    }
    let total = number(value, "total").unwrap_or(columns.len() as u64);
    let mut table = Table::new(&["Table", "Column", "Type", "Description"]);
    for column in columns.iter().take(ROWS) {
        table.row(&[
            code(text(column, "table").unwrap_or_default()),
            code(text(column, "name").unwrap_or_default()),
            markdown::cell(text(column, "type").unwrap_or_default()),
            markdown::cell(text(column, "description").unwrap_or_default()),
        ]);
    }
    let verb = if total == 1 { "fits" } else { "fit" };
    let rest = rest(total, ROWS.min(columns.len()));
    format!("{} {verb} {pattern}.\n\n{table}{rest}", plural(total, "column"))
}

fn lineage(value: &Value) -> String {
    let name = code(text(value, "table").unwrap_or_default());
    let side = |member: &str| -> Vec<String> { texts(value, member).iter().map(|name| code(name)).collect() };
    let (up, down) = (side("upstream"), side("downstream"));
    let refresh = text(value, "refresh_frequency");
    if up.is_empty() && down.is_empty() && refresh.is_none() {
        return format!("The catalogue says nothing about the lineage of {name}.");
    }
    let from = match up.as_slice() {
        [] => format!("The catalogue names no source of {name}."),
        up => format!("{name} is loaded from {}.", markdown::some(up, 12)),
    };
    let to = match down.as_slice() {
        [] => String::from("Nothing in the catalogue depends on it."),
        down => {
            format!("{} depends on it: {}.", plural(down.len() as u64, "table"), markdown::some(down, 12))
                .replacen("tables depends", "tables depend", 1)
        }
    };
    let refresh = refresh.map(|often| format!("\n\nIt is refreshed: {}.", markdown::plain(often)));
    format!("{from}\n\n{to}{}", refresh.unwrap_or_default())
}

fn records(value: &Value) -> String {
    let name = text(value, "collection").unwrap_or("records");
    if let Some(many) = number(value, "count") {
        return format!("There {} {} {}.", is_are(many), count(many), noun(name, many));
    }
    let records = members(value, "records");
    let total = number(value, "total").unwrap_or(records.len() as u64);
    if records.is_empty() {
        return format!("No record of {} fits.", code(name));
    }
    let shown = records.len().min(ROWS);
    let head = match total > shown as u64 {
        true => format!("{} of {} {}:", count(shown as u64), count(total), noun(name, total)),
        false => format!("{} {}:", count(total), noun(name, total)),
    };
    format!("{head}\n\n{}", markdown::records(&records[..shown]))
}

/// A collection's name as a noun, where it is one.
fn noun(name: &str, many: u64) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if !is_word {
        return format!("records in {}", code(name));
    }
    let spoken = name.replace('_', " ");
    if many == 1 { super::words::stem(&spoken) } else { spoken }
}

/// Why there is no small talk, and what there is.
pub(super) fn cannot_chat(status: &Status) -> String {
    let why = match status {
        Status::Ready => "",
        Status::Loading => " The model for small talk is still loading.",
        Status::Missing(_) => " For small talk I would need a language model, and none is installed here.",
        Status::Failed(_) => " The model for small talk did not start; `tidewire doctor` says why.",
    };
    format!(
        "Hello! I answer questions about the data that is here: which tables there are, what is in them, how they are \
         related, where they come from, and what their records say.{why}\n\nTry \"Show me all tables\"."
    )
}

fn members<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value, member: &str) -> Option<u64> {
    value.get(member).and_then(Value::as_u64)
}

fn is_are(many: u64) -> &'static str {
    if many == 1 { "is" } else { "are" }
}

/// "and 60 more", if there are.
fn rest(total: u64, shown: usize) -> String {
    match total.saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!("\n… and {} more.", count(more)),
    }
}
