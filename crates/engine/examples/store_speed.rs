//! How fast the store is, beside a bare loop over SQLite in the same run.
//!
//! `cargo run --release -p tidewire-engine --example store_speed -- [records]`, with 1,000,000 records unless said
//! otherwise. 100 callers each; every insert is synced before its answer.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_engine::query::{Body, Filter, Operator, Query};
use tidewire_engine::schema::{Field, Index, Schema};
use tidewire_engine::store::sqlite::{Settings, Sqlite};
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{RecordId, Result, Timestamp};

const CALLERS: usize = 100;
const INSERTS: usize = 200;
const READS: usize = 500;
const QUERIES: usize = 20;

fn main() -> Result<()> {
    let records = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let folder = std::env::temp_dir().join(format!("store-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(tidewire_engine::Error::internal)?;
    let bare = bare(&folder.join("bare.db"));
    println!("bare loop, groups of {CALLERS}: {bare:.0} inserts/s");
    let runtime = tokio::runtime::Runtime::new().map_err(tidewire_engine::Error::internal)?;
    let done = runtime.block_on(measure(&folder, bare, records));
    std::fs::remove_dir_all(&folder).ok(); // what stays lies in the folder for temporary files
    done
}

fn body(number: usize) -> Body {
    let value = json!({"name": format!("item {number}"), "group": number % 10_000, "price": number as f64 / 7.0, "tags": ["a", "b"]});
    value.as_object().cloned().unwrap_or_default()
}

/// Two rows an insert as the store writes them, a transaction for each hundred, on one thread.
fn bare(path: &Path) -> f64 {
    let connection = rusqlite::Connection::open(path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE records (key INTEGER PRIMARY KEY, collection INTEGER, id TEXT, body BLOB, UNIQUE (collection, id));
             CREATE TABLE changes (collection INTEGER, log_offset INTEGER, id TEXT, body BLOB,
                 PRIMARY KEY (collection, log_offset)) WITHOUT ROWID;",
        )
        .expect("its tables");
    let begin = Instant::now();
    for group in 0..INSERTS {
        connection.execute_batch("BEGIN").expect("it begins");
        for caller in 0..CALLERS {
            let number = group * CALLERS + caller;
            let offset = i64::try_from(number).expect("a small number");
            let (id, text) = (RecordId::new().0, serde_json::Value::Object(body(number)).to_string());
            connection
                .prepare_cached("INSERT INTO records (collection, id, body) VALUES (1, ?, jsonb(?))")
                .and_then(|mut statement| statement.execute([&id, &text]))
                .expect("a record");
            connection
                .prepare_cached("INSERT INTO changes VALUES (1, ?, ?, jsonb(?))")
                .and_then(|mut statement| statement.execute(rusqlite::params![offset, id, text]))
                .expect("a change");
        }
        connection.execute_batch("COMMIT").expect("it is committed");
    }
    (INSERTS * CALLERS) as f64 / begin.elapsed().as_secs_f64()
}

async fn measure(folder: &Path, bare: f64, records: usize) -> Result<()> {
    let store = Arc::new(Sqlite::open(Settings::new(folder.join("data")))?);
    let writing = Arc::clone(&store);
    let insert = move |number| {
        let store = Arc::clone(&writing);
        async move {
            let write = Write::new("inserts", RecordId::new(), Operation::Insert(body(number)));
            store.edit(&"ann".into(), Timestamp(1), vec![write], true).await.map(|_| ())
        }
    };
    let inserts = callers(INSERTS, insert).await?;
    println!(
        "store, {CALLERS} callers: {inserts:.0} inserts/s, {:.0} % of the bare loop",
        inserts / bare * 100.0
    );
    fill(&store, records).await?;
    let reading = Arc::clone(&store);
    let read = move |number| {
        let (store, id) = (Arc::clone(&reading), RecordId(format!("{:07}", number * 7919 % records)));
        async move { store.get("many", &id).await.map(|_| ()) }
    };
    let reads = callers(READS, read).await?;
    println!("point reads, {CALLERS} callers: {reads:.0}/s");
    queries(&store, "group = 5 (100 of them)", Filter::eq("group", 5)).await?;
    queries(
        &store,
        "10 groups",
        Filter::compare("group", Operator::In, json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])),
    )
    .await?;
    let sorted = Query { limit: 100, ..Query::all("many", 100) }.sort("group");
    let begin = Instant::now();
    store.query(&sorted).await?;
    println!("100 by group: {:?}", begin.elapsed());
    let begin = Instant::now();
    let count = store.count("many", Some(&Filter::eq("price", 0))).await?;
    println!("without an index ({count} of {records}): {:?}", begin.elapsed());
    Ok(())
}

/// So many calls of each caller; how many a second.
async fn callers<F: Future<Output = Result<()>> + Send + 'static>(
    each: usize,
    call: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<f64> {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let call = call.clone();
            tokio::spawn(async move {
                for number in 0..each {
                    call(caller * each + number).await?;
                }
                Ok::<(), tidewire_engine::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(tidewire_engine::Error::internal)??;
    }
    Ok((CALLERS * each) as f64 / begin.elapsed().as_secs_f64())
}

async fn fill(store: &Sqlite, records: usize) -> Result<()> {
    let begin = Instant::now();
    for from in (0..records).step_by(20_000) {
        let to = records.min(from + 20_000);
        let write =
            |number| Write::new("many", RecordId(format!("{number:07}")), Operation::Insert(body(number)));
        store.edit(&"ann".into(), Timestamp(1), (from..to).map(write).collect(), false).await?;
    }
    println!("filled with {records} in {:?}", begin.elapsed());
    let begin = Instant::now();
    let field = Field { index: Some(Index::BTree), ..Field::default() };
    let fields = [("group".to_owned(), field)].into_iter().collect();
    let (created_at, updated_at) = (Timestamp(0), Timestamp(0));
    let schema = Schema { fields, primary_key: "id".into(), version: 0, created_at, updated_at };
    store.create_collection("many", Some(schema), Timestamp(1)).await?;
    println!("indexed in {:?}", begin.elapsed());
    Ok(())
}

async fn queries(store: &Sqlite, name: &str, filter: Filter) -> Result<()> {
    let (mut total, mut found) = (Duration::ZERO, 0);
    for _ in 0..QUERIES {
        let begin = Instant::now();
        found = store.query(&Query::all("many", usize::MAX).filter(filter.clone())).await?.len();
        total += begin.elapsed();
    }
    println!("{name}: {found} records in {:?}", total / QUERIES as u32);
    Ok(())
}
