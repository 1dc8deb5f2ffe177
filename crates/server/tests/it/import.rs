//! `tidewire import` as a process: what it says, what it writes, and what a kill leaves behind.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tidewire_engine::id::Offset;
use tidewire_engine::query::{Body, Filter, Query};
use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::{Settings, Sqlite};

use crate::commands::{Serving, tidewire};

/// A folder with a file to import and a place for the data.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, file: &Path) -> Command {
        let mut command = tidewire();
        command.arg("import").arg(file).args(["--collection", "orders", "--data"]).arg(self.data());
        command
    }

    fn import(&self, file: &Path, more: &[&str]) -> Output {
        self.command(file).args(more).output().unwrap()
    }

    fn imported(&self, file: &Path) -> String {
        let output = self.import(file, &[]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, file: &Path) -> String {
        let output = self.import(file, &[]);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn records(&self) -> Vec<Body> {
        let store = Sqlite::open(Settings::new(self.data())).unwrap();
        let records = store.query(&Query::all("orders", 1_000_000)).await.unwrap();
        store.close().await.unwrap();
        records.into_iter().map(|record| record.body).collect()
    }

    /// How many rows are committed while somebody else owns the folder.
    fn committed(&self) -> u64 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let count = Connection::open_with_flags(self.data().join("records.db"), flags).and_then(|c| {
            c.query_row("SELECT count FROM collections WHERE name = 'orders'", [], |row| row.get(0))
        });
        count.map_or(0, i64::unsigned_abs)
    }
}

/// A CSV file of eight columns. Rows whose numbers are in `bad` lack a cell.
fn orders(rows: u64, bad: &[u64]) -> String {
    let mut text = String::from("order_no,customer,product,quantity,price,paid,ordered_on,note\n");
    for row in 0..rows {
        let paid = row % 3 == 0;
        let note = if row % 5 == 0 { "\"leave it, please, at the \"\"back\"\" door\"" } else { "" };
        let cell = if bad.contains(&row) { "" } else { ",tea" };
        let (quantity, cents, day) = (row % 12 + 1, row % 100, row % 28 + 1);
        writeln!(
            text,
            "{row},customer {}{cell},{quantity},{row}.{cents:02},{paid},2026-11-{day:02},{note}",
            row % 997
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn rows_become_records_and_bad_ones_are_named() {
    let place = Place::new();
    let mut text = orders(100, &[10, 50]).into_bytes();
    text.extend(b"\"never closed,1\n100,caf\xff,tea,1,1.5,true,2026-11-01,\n");
    let file = place.file("orders.csv", text);
    let output = place.import(&file, &[]);
    assert!(output.status.success(), "{output:?}");
    let (said, warned) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(said.contains("orders: 98 records from") && said.contains("4 rows rejected"), "{said}");
    let lines: Vec<_> = warned.lines().collect();
    assert_eq!(lines[0], "line 12: 7 cells where the header has 8");
    assert_eq!(lines[1], "line 52: 7 cells where the header has 8");
    assert!(lines[2].starts_with("line 102: ") && lines[3].starts_with("line 103: "), "{warned}");
    let rejects = std::fs::read_to_string(place.dir.path().join("orders.csv.rejects")).unwrap();
    assert_eq!(rejects.lines().count(), 4);
    let first: serde_json::Value = serde_json::from_str(rejects.lines().next().unwrap()).unwrap();
    assert_eq!((first["line"].as_u64(), first["row"].as_str().unwrap().starts_with("10,")), (Some(12), true));

    let records = place.records().await;
    assert_eq!(records.len(), 98);
    let expected = r#"{"order_no":0,"customer":"customer 0","product":"tea","quantity":1,"price":0.0,"paid":true,"ordered_on":"2026-11-01","note":"leave it, please, at the \"back\" door"}"#;
    assert_eq!(serde_json::to_string(&records[0]).unwrap(), expected);
    assert!(!records[1].contains_key("note"), "an empty cell is absent");
}

#[tokio::test]
async fn the_collection_is_described_in_the_catalogue() {
    let place = Place::new();
    place.imported(&place.file("orders.csv", orders(5, &[])));
    let store = Sqlite::open(Settings::new(place.data())).unwrap();
    let table = store.get("catalog_tables", &"collections.orders".into()).await.unwrap().unwrap();
    assert_eq!(table.body["column_count"], 8);
    assert_eq!(table.body["collection"], "orders");
    let columns =
        Query::all("catalog_columns", 10).filter(Filter::eq("table", "collections.orders")).sort("position");
    let types: Vec<_> =
        store.query(&columns).await.unwrap().iter().map(|one| one.body["type"].clone()).collect();
    assert_eq!(types, ["integer", "text", "text", "integer", "decimal", "boolean", "date", "text"]);
}

#[tokio::test]
async fn the_same_rows_come_out_of_every_format() {
    let objects =
        [r#"{"n": 1, "text": "a,b"}"#, r#"{"n": 2, "nested": {"list": [1, null]}}"#, r#"{"id": 7, "n": 3}"#];
    let array = format!("[\n{},\n7\n]\n", objects.join(",\n"));
    let lines = format!("{}\n7\n", objects.join("\n"));
    let mut found = Vec::new();
    for (name, text) in [("o.json", array), ("o.ndjson", lines)] {
        let place = Place::new();
        let said = place.imported(&place.file(name, text));
        assert!(said.contains("3 records") && said.contains("1 rows rejected"), "{said}");
        assert!(said.contains("\"id\" is called \"orders_id\""), "{said}");
        found.push(place.records().await);
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0][2]["orders_id"], 7);
}

#[tokio::test]
async fn a_file_is_imported_once_wherever_it_lies_unless_it_is_said() {
    let place = Place::new();
    let file = place.file("orders.csv", orders(30, &[3]));
    place.imported(&file);
    let moved = place.file("elsewhere.csv", orders(30, &[3]));
    assert!(place.imported(&moved).contains("already imported"));
    assert_eq!(place.records().await.len(), 29);
    let again = place.import(&file, &["--again"]);
    assert!(
        again.status.success() && String::from_utf8_lossy(&again.stdout).contains("29 records"),
        "{again:?}"
    );
    assert_eq!(place.records().await.len(), 29);
    assert!(place.imported(&file).contains("already imported"));
    place.imported(&place.file("others.csv", orders(31, &[])));
    assert_eq!(place.records().await.len(), 60);
}

#[tokio::test]
async fn what_cannot_be_imported_is_said() {
    let place = Place::new();
    let check = |name: &str, text: &str, expected: &str| {
        let said = place.refused(&place.file(name, text));
        assert!(said.contains(expected) && said.lines().count() == 1, "{said}");
    };
    check("orders.xlsx", "", "--format");
    check("empty.csv", "", "header");
    check("broken.json", "[{\"a\": 1}, {\"a\": 2}", "line 1");
    check("object.json", "{\"a\": 1}", "array");
    assert!(place.refused(&place.dir.path().join("missing.csv")).contains("cannot be read"));
    assert!(place.records().await.is_empty());

    let owner = Sqlite::open(Settings::new(place.data())).unwrap();
    let said = place.refused(&place.file("orders.csv", orders(3, &[])));
    assert!(said.contains("in use by another process"), "{said}");
    drop(owner);
}

/// Starts an import and kills it when so many rows are committed; whether it was killed before its end.
fn kill_at(place: &Place, file: &Path, rows: u64) -> bool {
    let mut child = place.command(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while place.committed() < rows {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2)); // leaves the processor to the importer
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

async fn check_exactly_once(rows: u64, bad: [u64; 3], kills: &[u64]) {
    let place = Place::new();
    let file = place.file("orders.csv", orders(rows, &bad));
    let killed = kills.iter().filter(|at| kill_at(&place, &file, **at)).count();
    assert!(killed > 0, "no import was killed before its end");
    let said = place.imported(&file);
    assert!(said.contains("3 rows rejected"), "{said}");
    let expected = rows - 3;
    let store = Sqlite::open(Settings::new(place.data())).unwrap();
    assert_eq!(store.count("orders", None).await.unwrap(), expected);
    let orders = store.collections().await.unwrap().into_iter().find(|one| one.name == "orders").unwrap();
    assert_eq!((orders.count, orders.last_offset), (expected, Offset(expected)), "no row was written twice");
    let missing = bad.map(|row| Filter::eq("order_no", row));
    assert_eq!(store.count("orders", Some(&Filter::Or(missing.into()))).await.unwrap(), 0);
}

#[tokio::test]
async fn a_killed_import_goes_on_where_it_was() {
    check_exactly_once(12_000, [0, 5_999, 11_999], &[1, 6_000]).await;
}

#[tokio::test]
async fn an_import_goes_through_the_server_that_owns_the_folder() {
    let place = Place::new();
    let file = place.file("orders.csv", orders(9_000, &[77]));
    let server = Serving::start(&place.data());
    let killed = kill_at(&place, &file, 2_000);
    assert!(killed, "the importer was killed before its end");
    let said = place.imported(&file);
    assert!(said.contains("8,999 records"), "{said}");
    assert!(place.imported(&file).contains("already imported"));
    drop(server);
    assert_eq!(place.records().await.len(), 8_999);
}
