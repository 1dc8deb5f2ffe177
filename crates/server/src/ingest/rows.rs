//! CSV and JSON: each row or object becomes a line `name: value; name: value`.

use std::path::Path;

use serde_json::Value;
use tidewire_engine::Result;

use super::chunk::tokens;
use super::text::{Kind, Text};
use crate::import::{Format, rows};

/// A value that has more tokens is taken apart.
const WHOLE: usize = 160;
/// The longest value on a line, in bytes.
const VALUE: usize = 4_000;

/// Reads a CSV file or lines of JSON; rows that cannot be read are left out.
pub(super) fn read(path: &Path, format: Format) -> Result<Text> {
    let mut rows = rows(path, format, "id_")?;
    let (mut text, mut lines, mut left_out) = (Text::default(), Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        match row.body {
            Ok(body) => lines.push(line(&Value::Object(body))),
            Err(_) => left_out += 1,
        }
    }
    text.push(Kind::Lines, &lines.join("\n"), None);
    if left_out > 0 {
        text.notes
            .push(format!("{left_out} rows cannot be read and were left out; tidewire import names them"));
    }
    Ok(text)
}

/// Reads any JSON.
pub(super) fn read_json(value: &Value) -> Text {
    let mut text = Text::default();
    add(&mut text, None, value, 1);
    text.title = None;
    text
}

/// A value that is small becomes a line, a larger one a section with what is in it.
fn add(text: &mut Text, name: Option<&str>, value: &Value, level: u8) {
    let whole = line(value);
    if tokens(&whole) <= WHOLE {
        let shown = name.map_or_else(|| whole.clone(), |name| format!("{name}: {whole}"));
        return push_line(text, &shown);
    }
    if let Some(name) = name {
        text.push(Kind::Heading(level), name, None);
    }
    let deeper = level.saturating_add(1);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| add(text, Some(name), value, deeper))
        }
        Value::Array(list) => list.iter().for_each(|value| add(text, None, value, deeper)),
        _ => push_line(text, &whole),
    }
}

/// Lines that follow each other are one block.
fn push_line(text: &mut Text, line: &str) {
    match text.blocks.last_mut().filter(|last| last.kind == Kind::Lines) {
        Some(last) => {
            last.text.push('\n');
            last.text.push_str(line);
        }
        None => text.push(Kind::Lines, line, None),
    }
}

/// A value on one line.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => shortened(&super::text::on_one_line(text)),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name}: {}", inner(value)));
            members.collect::<Vec<_>>().join("; ")
        }
        Value::Array(list) => list.iter().map(inner).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn inner(value: &Value) -> String {
    match value {
        Value::Object(_) => format!("({})", line(value)),
        Value::Array(_) => format!("[{}]", line(value)),
        _ => line(value),
    }
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(VALUE)].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "name,city\nAda,Rome\nBob,\"New\nYork\"\nbroken\n").unwrap();
        let text = read(&path, Format::Csv).unwrap();
        assert_eq!(text.blocks[0].text, "name: Ada; city: Rome\nname: Bob; city: New York");
        assert!(text.notes[0].starts_with("1 rows cannot be read"));
    }

    #[test]
    fn large_values_are_taken_apart() {
        let many: Vec<_> = (0..60).map(|n| json!({"number": n, "name": format!("name {n}")})).collect();
        let text = read_json(&json!({"small": {"a": [1, 2]}, "large": many}));
        assert_eq!(text.blocks[0].text, "small: a: [1, 2]");
        assert_eq!((text.blocks[1].kind, text.blocks[1].text.as_str()), (Kind::Heading(2), "large"));
        assert!(text.blocks[2].text.starts_with("number: 0; name: name 0\nnumber: 1"));
    }
}
