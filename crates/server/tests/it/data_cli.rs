//! `tidewire data` as a person at a terminal has it: the binary, against a server.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::house::{House, KEY};

/// What the command writes and how it ends.
async fn data(house: &House, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.arg("data").args(args).args(["--url", &house.url("")]).env_remove("TIDEWIRE_API_KEY");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    run.await.unwrap()
}

/// Its lines, where it succeeds.
async fn lines(house: &House, args: &[&str], input: &str) -> Vec<String> {
    let output = data(house, args, input).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn objects(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_written_shown_and_exported() {
    let house = House::open().await;
    let ids = lines(&house, &["insert", "people", r#"{"id": "ada", "name": "Ada", "age": 36}"#], "").await;
    assert_eq!(ids, ["ada"]);
    let more = "{\"id\": \"bob\", \"name\": \"Bob\", \"age\": 41}\n\n{\"id\": \"cy\", \"age\": 7}\n";
    lines(&house, &["insert", "people"], more).await;
    let found = lines(&house, &["query", "people", "age>=18", "--sort", "-age", "--json"], "").await;
    let found: Vec<_> = objects(&found).into_iter().map(|record| record["id"].clone()).collect();
    assert_eq!(found, ["bob", "ada"]);
    let table = lines(&house, &["query", "people", "name~da", "--select", "age"], "").await.join("\n");
    assert!(table.contains("ada") && table.contains("36") && !table.contains("Ada"), "{table}");
    lines(&house, &["update", "people", "cy", r#"{"age": 8}"#], "").await;
    let exported = objects(&lines(&house, &["export", "people"], "").await);
    assert_eq!((exported.len(), &exported[2]), (3, &json!({"id": "cy", "age": 8})));
    lines(&house, &["delete", "people", "cy"], "").await;
    assert_eq!(lines(&house, &["collections", "list"], "").await, ["people"]);
    let told =
        objects(&lines(&house, &["watch", "people", "--after", "0", "--count", "5", "--json"], "").await);
    let events: Vec<_> = told.iter().map(|change| change["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["insert", "insert", "insert", "update", "delete"]);
    lines(&house, &["collections", "delete", "people", "--yes"], "").await;
    assert_eq!(lines(&house, &["query", "people"], "").await, ["no records"]);
}

/// What it says where it fails.
async fn refused(house: &House, args: &[&str], input: &str) -> String {
    let output = data(house, args, input).await;
    assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_in_a_sentence() {
    let house = House::with(|plan| plan.config.api_keys = vec![KEY.to_owned()]).await;
    let said = refused(&house, &["query", "people"], "").await;
    assert!(said.contains("--key"), "{said}");
    let keyed = |args: &[&'static str]| [args, &["--key", KEY]].concat();
    assert!(refused(&house, &keyed(&["get", "people", "x"]), "").await.starts_with("tidewire: "));
    let said = refused(&house, &keyed(&["query", "people", "age"]), "").await;
    assert!(said.contains("age>=18"), "{said}");
    let said = refused(&house, &keyed(&["insert", "people"]), "{\"a\": 1}\n[1]\n").await;
    assert!(said.contains("line 2"), "{said}");
    let said = refused(&house, &keyed(&["insert", "people", r#"{"id": "a"}"#, r#"{"id": "a"}"#]), "").await;
    assert!(said.contains("1 records written, 1 failed"), "{said}");
    let said = refused(&house, &keyed(&["collections", "delete", "people"]), "").await;
    assert!(said.contains("--yes"), "{said}");
}
