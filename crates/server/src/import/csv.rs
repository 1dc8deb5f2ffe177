//! Comma-separated values (RFC 4180), strictly.
//!
//! Lenient readers take a quote that is never closed as a cell that holds the rest of the file. Here a row that breaks
//! the rules is one bad row: reading goes on with the line after its first. Hence this small reader.

use std::io::BufRead;

use serde_json::Value;
use tidewire_engine::query::Body;
use tidewire_engine::{Error, Result};

use super::lines::{Line, Lines, trim_break};
use super::{MAX_ROW, Row, Rows, broke_off};

/// What separates cells. The one that the header has most of is taken.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// So many columns at most.
const MAX_COLUMNS: usize = 2_000;

/// The rows of a CSV file.
pub(super) struct Csv<R> {
    lines: Lines<R>,
    delimiter: u8,
    names: Vec<String>,
    notes: Vec<String>,
}

impl<R: BufRead> Csv<R> {
    /// Reads the header. `key` is what a column named `id` is called.
    pub(super) fn open(source: R, key: &str) -> Result<Self> {
        let mut lines = Lines::new(source);
        let mut header = lines.next().map_err(broke_off)?.ok_or_else(|| bad_header("the file is empty"))?;
        if let Some(rest) = header.bytes.strip_prefix(b"\xef\xbb\xbf") {
            header.bytes = rest.to_vec();
        }
        let count = |delimiter: &u8| header.bytes.iter().filter(|byte| *byte == delimiter).count();
        let delimiter = DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',');
        let (_, cells) = record(&mut lines, header, delimiter)?;
        let cells = cells.map_err(|reason| bad_header(&reason))?;
        let (names, notes) = names(cells, key)?;
        Ok(Self { lines, delimiter, names, notes })
    }

    fn body(&self, cells: Vec<Vec<u8>>) -> std::result::Result<Body, String> {
        let (expected, found) = (self.names.len(), cells.len());
        if found != expected {
            return Err(format!("{found} cells where the header has {expected}"));
        }
        let mut body = Body::with_capacity(expected);
        for (name, cell) in self.names.iter().zip(cells) {
            let text = String::from_utf8(cell).map_err(|_| format!("the cell {name:?} is not UTF-8"))?;
            if !text.is_empty() {
                body.insert(name.clone(), value(text));
            }
        }
        Ok(body)
    }
}

impl<R: BufRead + Send> Rows for Csv<R> {
    fn next(&mut self) -> Result<Option<Row>> {
        loop {
            let Some(first) = self.lines.next().map_err(broke_off)? else { return Ok(None) };
            if trim_break(&first.bytes).is_empty() {
                continue;
            }
            let line = first.number;
            let (raw, cells) = record(&mut self.lines, first, self.delimiter)?;
            return Ok(Some(Row { line, raw, body: cells.and_then(|cells| self.body(cells)) }));
        }
    }

    fn position(&self) -> u64 {
        self.lines.position()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

type Cells = std::result::Result<Vec<Vec<u8>>, String>;

/// Reads the record that begins with `first`, over as many lines as its quotes span: its bytes and its cells. If it
/// breaks the rules, only its first line is used up.
fn record<R: BufRead>(lines: &mut Lines<R>, first: Line, delimiter: u8) -> Result<(Vec<u8>, Cells)> {
    let (mut splitter, mut taken, mut length) = (Splitter::new(delimiter), vec![first], 0);
    loop {
        let line = &taken[taken.len() - 1];
        length += line.bytes.len();
        let state = if line.is_cut || length > MAX_ROW {
            State::Broken(format!("longer than {} MiB, or a quote is not closed", MAX_ROW >> 20))
        } else {
            splitter.feed(&line.bytes)
        };
        let state = match state {
            State::Open => match lines.next().map_err(broke_off)? {
                Some(line) => {
                    taken.push(line);
                    continue;
                }
                None => State::Broken(String::from("a quote is not closed")),
            },
            State::Done | State::Broken(_) => state,
        };
        return Ok(match state {
            State::Broken(reason) => {
                let rest = taken.split_off(1);
                lines.put_back(rest);
                (taken.concat_bytes(), Err(reason))
            }
            State::Done | State::Open => (taken.concat_bytes(), Ok(splitter.cells)),
        });
    }
}

trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for Vec<Line> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|line| line.bytes.iter().copied()).collect()
    }
}

/// How far a record is.
enum State {
    /// Its last cell ended.
    Done,
    /// A quoted cell goes on in the next line.
    Open,
    /// It breaks the rules.
    Broken(String),
}

/// Where in a cell the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before its first byte.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote within quotes: it was the closing one, or the first of two.
    Quote,
}

/// Makes cells of lines.
struct Splitter {
    delimiter: u8,
    cells: Vec<Vec<u8>>,
    cell: Vec<u8>,
    at: At,
}

impl Splitter {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, cells: Vec::new(), cell: Vec::new(), at: At::Start }
    }

    fn feed(&mut self, line: &[u8]) -> State {
        let content = trim_break(line);
        for byte in content {
            if let Err(reason) = self.byte(*byte) {
                return State::Broken(reason.to_owned());
            }
        }
        if self.at == At::Quoted {
            self.cell.extend(&line[content.len()..]);
            return State::Open;
        }
        self.end_cell();
        State::Done
    }

    fn byte(&mut self, byte: u8) -> std::result::Result<(), &'static str> {
        match (self.at, byte) {
            (At::Start | At::Plain | At::Quote, byte) if byte == self.delimiter => self.end_cell(),
            (At::Start, b'"') => self.at = At::Quoted,
            (At::Plain, b'"') => return Err("a quote stands within a cell that does not begin with one"),
            (At::Quoted, b'"') => self.at = At::Quote,
            (At::Quote, b'"') => {
                self.cell.push(b'"');
                self.at = At::Quoted;
            }
            (At::Quote, _) => return Err("something follows the quote that closes a cell"),
            (At::Start, byte) => {
                self.cell.push(byte);
                self.at = At::Plain;
            }
            (At::Plain | At::Quoted, byte) => self.cell.push(byte),
        }
        Ok(())
    }

    fn end_cell(&mut self) {
        self.cells.push(std::mem::take(&mut self.cell));
        self.at = At::Start;
    }
}

/// The columns' names, and what was changed about them.
fn names(cells: Vec<Vec<u8>>, key: &str) -> Result<(Vec<String>, Vec<String>)> {
    if cells.len() > MAX_COLUMNS {
        return Err(bad_header(&format!("it has more than {MAX_COLUMNS} columns")));
    }
    let (mut names, mut notes) = (Vec::<String>::new(), Vec::new());
    for (number, cell) in cells.into_iter().enumerate() {
        let cell = String::from_utf8(cell).map_err(|_| bad_header("it is not UTF-8"))?;
        let wanted = cell.trim();
        let base = match wanted {
            "" => format!("column_{}", number + 1),
            "id" => key.to_owned(),
            _ => wanted.replace('.', "_"),
        };
        let name = free(base, &names);
        if name != wanted {
            notes.push(format!("column {} ({wanted:?}) is called {name:?}", number + 1));
        }
        names.push(name);
    }
    Ok((names, notes))
}

fn free(base: String, taken: &[String]) -> String {
    if !taken.contains(&base) {
        return base;
    }
    let mut numbered = (2..).map(|number| format!("{base}_{number}"));
    numbered.find(|name| !taken.contains(name)).unwrap_or(base)
}

fn bad_header(reason: &str) -> Error {
    Error::invalid(format!("the first line does not name the columns: {reason}; add a header row"))
}

/// What a cell holds: an integer, a decimal, `true` or `false`, else its text. What would not come back as it was
/// written (leading zeros, a plus sign, too many digits) is text.
fn value(text: String) -> Value {
    match text.trim() {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        number if is_number(number) => number
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| number.parse::<f64>().map(Value::from))
            .unwrap_or(Value::String(text)),
        _ => Value::String(text),
    }
}

/// Whether it is an integer or a decimal whose digits a number keeps.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && (!digits.contains('.') || all_digits(fraction));
    let fits =
        if digits.contains('.') { whole.len() + fraction.len() <= 15 } else { text.parse::<i64>().is_ok() };
    well_formed && fits && text != "-0"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, std::result::Result<Value, String>)> {
        let mut csv = Csv::open(text, "key").unwrap();
        std::iter::from_fn(|| csv.next().unwrap())
            .map(|row| (row.line, row.body.map(Value::Object)))
            .collect()
    }

    #[test]
    fn cells_become_what_they_look_like() {
        let check = |cell: &str, expected: Value| assert_eq!(value(cell.into()), expected, "{cell}");
        check("0", json!(0));
        check("-17", json!(-17));
        check(" 5 ", json!(5));
        check("9223372036854775807", json!(i64::MAX));
        check("9223372036854775808", json!("9223372036854775808"));
        check("1.50", json!(1.5));
        check("-0.25", json!(-0.25));
        check("0.1234567890123456", json!("0.1234567890123456"));
        for text in [
            "007",
            "+5",
            "1e5",
            "1.",
            ".5",
            "-",
            "-0",
            "NaN",
            "inf",
            "0x10",
            "1,5",
            "12-3",
            "yes",
            "2026-11-21",
        ] {
            check(text, json!(text));
        }
        check("TRUE", json!(true));
        check("false", json!(false));
    }

    #[test]
    fn quotes_span_commas_and_lines() {
        let rows = read(b"a,b\r\n\"x, y\",\"say \"\"hi\"\"\"\r\n\r\n\"two\nlines\",\n,2\n3,4");
        let expected = vec![
            (2, Ok(json!({"a": "x, y", "b": "say \"hi\""}))),
            (4, Ok(json!({"a": "two\nlines"}))),
            (6, Ok(json!({"b": 2}))),
            (7, Ok(json!({"a": 3, "b": 4}))),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_bad_row_costs_one_line() {
        let rows = read(b"a,b\n1,2\n1,2,3\n\"open,2\n3,\"x\"\n4\n5,x\"y\n\"z\"w,6\n\xff,7\n8,9\n\"never closed,1\n10,11\n");
        let good: Vec<_> = rows.iter().filter(|(_, body)| body.is_ok()).map(|(line, _)| *line).collect();
        let bad: Vec<_> = rows.iter().filter(|(_, body)| body.is_err()).map(|(line, _)| *line).collect();
        assert_eq!(good, [2, 5, 10, 12]);
        assert_eq!(bad, [3, 4, 6, 7, 8, 9, 11]);
        assert_eq!(rows[1].1, Err("3 cells where the header has 2".into()));
    }

    #[test]
    fn a_row_without_end_is_bad_and_what_follows_is_read() {
        let mut text = b"a\n\"".to_vec();
        text.extend(format!("{}\n", "x".repeat(1_000)).repeat(MAX_ROW / 1_000).bytes());
        text.extend(b"last\n");
        let mut csv = Csv::open(&text[..], "key").unwrap();
        let first = csv.next().unwrap().unwrap();
        assert!(first.body.is_err() && first.raw.len() == 1_002);
        assert_eq!(csv.next().unwrap().unwrap().line, 3);
    }

    #[test]
    fn headers_are_made_usable() {
        let csv = Csv::open(&b"\xef\xbb\xbfid;name;;name;a.b\n"[..], "orders_id").unwrap();
        assert_eq!(csv.names, ["orders_id", "name", "column_3", "name_2", "a_b"]);
        assert_eq!(csv.notes.len(), 4);
        assert!(Csv::open(&b""[..], "key").is_err());
        assert!(Csv::open(&b"a,\"b\n"[..], "key").is_err());
    }

    proptest! {
        /// Rows that are written as RFC 4180 has them are read as they were.
        #[test]
        fn rows_survive_being_written(
            rows in proptest::collection::vec(("[a-z]{1,3}", "[a-z0-9 \",;\n]{0,12}", ".{0,8}"), 0..6),
        ) {
            let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
            let lines = rows.iter().map(|(a, b, c)| format!("{},{},{}\n", quoted(a), quoted(b), quoted(c)));
            let found = read(format!("a,b,c\n{}", lines.collect::<String>()).as_bytes());
            let expected = rows.iter().map(|(a, b, c)| {
                let cells = [("a", a), ("b", b), ("c", c)].into_iter().filter(|(_, cell)| !cell.is_empty());
                Ok(Value::Object(cells.map(|(name, cell)| (name.into(), value(cell.clone()))).collect()))
            });
            prop_assert_eq!(found.into_iter().map(|(_, body)| body).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }

        /// Whatever a file holds, reading it comes to an end.
        #[test]
        fn any_file_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let Ok(mut csv) = Csv::open(&bytes[..], "key") else { return Ok(()) };
            let mut rows = 0;
            while let Ok(Some(_)) = csv.next() {
                rows += 1;
                prop_assert!(rows <= bytes.len());
            }
        }
    }
}
