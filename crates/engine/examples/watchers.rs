//! What a change costs between its commit and those who watch: many listeners of one collection, over a real store in
//! a temporary folder.
//!
//! ```sh
//! cargo run --release -p tidewire-engine --example watchers                # 1,000 listeners, 1,000 commits of one record
//! cargo run --release -p tidewire-engine --example watchers 1000 500 10 50 # commits of 10 records, 50 different filters
//! ```
//!
//! It prints the CPU time of the whole process per delivery of a batch to a listener, what of it the same commits
//! cost without listeners, and what a thousand listeners hold that never read.

#![allow(clippy::print_stdout, reason = "it is a program whose output is read")]

#[path = "measure/process.rs"]
mod process;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_engine::edit::Edit;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Models;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::query::Filter;
use tidewire_engine::store::sqlite::{Settings as Folder, Sqlite};
use tidewire_engine::{
    Command, Connection, Engine, Event, Identity, LocalBus, Notice, Offset, Parts, RecordId, Settings,
};

use process::{cpu_time, resident};

/// Nobody talks here.
struct Silent;

#[async_trait::async_trait]
impl tidewire_engine::agent::Agent for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    async fn run(&self, _: tidewire_engine::agent::Turn, _: tidewire_engine::agent::Events) {}
}

/// What is measured.
#[derive(Clone, Copy)]
struct Load {
    listeners: usize,
    commits: usize,
    records: usize,
    /// 0 is none.
    filters: usize,
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().expect("arguments are whole numbers"));
    let mut number = |otherwise: usize| numbers.next().unwrap_or(otherwise);
    let load =
        Load { listeners: number(1_000), commits: number(1_000), records: number(1), filters: number(0) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let parts = Parts {
            store: Arc::new(Sqlite::open(Folder::new(folder.path())).expect("the store opens")),
            bus: Arc::new(LocalBus::default()),
            agents: tidewire_engine::agent::Agents::new(Arc::new(Silent)),
            models: Models::new(Arc::new(ScriptedModel::new())),
            embedder: None,
            clock: Arc::new(SystemClock),
            settings: Settings::default(),
        };
        let engine = Engine::start(parts).await.expect("the engine starts");
        let alone = measure(&engine, "alone", Load { listeners: 0, ..load }).await;
        let together = measure(&engine, "watched", load).await;
        let deliveries = engine.stats().notices_total;
        let each = together.saturating_sub(alone).as_secs_f64() * 1e6 / deliveries as f64;
        println!(
            "{deliveries} deliveries, {each:.3} µs of CPU each; {} fell behind",
            engine.stats().watches_fell_behind_total
        );
        measure_stalled(&engine, load.listeners).await;
    });
}

/// Commits, while the listeners read. Gives the CPU time that it took.
async fn measure(engine: &Arc<Engine>, collection: &str, load: Load) -> Duration {
    let mut readers = Vec::new();
    let last = Offset((load.commits * load.records) as u64);
    for number in 0..load.listeners {
        let filter = (load.filters > 0).then(|| Filter::eq("group", number % load.filters));
        let connection = watch(engine, collection, filter).await;
        let share = if load.filters == 0 { last } else { Offset(last.0 - load.filters as u64) };
        readers.push((connection, share));
    }
    let (cpu, wall) = (cpu_time(), Instant::now());
    let readers: Vec<_> =
        readers.into_iter().map(|(connection, to)| tokio::spawn(listen(connection, to))).collect();
    let writer = engine.connect(Identity::local());
    for number in 0..load.commits {
        write(engine, &writer, collection, load, number).await;
    }
    for reader in readers {
        reader.await.expect("a reader ends");
    }
    let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
    println!(
        "{} listeners, {} commits of {}: {:.2} s, {:.2} s of CPU",
        load.listeners,
        load.commits,
        load.records,
        wall.as_secs_f64(),
        cpu.as_secs_f64()
    );
    cpu
}

async fn watch(engine: &Arc<Engine>, collection: &str, filter: Option<Filter>) -> Connection {
    let connection = engine.connect(Identity::local());
    let watch = Command::Watch { collection: collection.into(), watch: 1, filter, after: None };
    engine.execute(&connection, watch).await.expect("it watches");
    connection
}

async fn write(engine: &Engine, writer: &Connection, collection: &str, load: Load, number: usize) {
    let edit = |place: usize| {
        let number = number * load.records + place;
        let body = json!({
            "group": if load.filters == 0 { 0 } else { number % load.filters },
            "text": "a text of some length, as records have it", "n": number, "done": false,
        });
        let id = Some(RecordId(format!("r{number}")));
        Edit::Insert { id, body: body.as_object().cloned().unwrap_or_default(), ttl: None }
    };
    let edits = (0..load.records).map(edit).collect();
    let command = Command::Edit { collection: collection.into(), edits, together: true };
    engine.execute(writer, command).await.expect("it is written");
}

/// Reads until it was told of a change from this offset on.
async fn listen(connection: Connection, to: Offset) {
    let mut events = Vec::new();
    let mut at = Offset(0);
    while at < to {
        connection.next(&mut events).await;
        for event in events.drain(..) {
            if let Event::Data(Notice::Changes { batch, .. }) = event {
                at = batch.to();
            }
        }
    }
}

/// What listeners hold that never read.
async fn measure_stalled(engine: &Arc<Engine>, listeners: usize) {
    let load = Load { listeners: 0, commits: 100, records: 20, filters: 0 };
    measure(engine, "stalled", load).await;
    let before = resident();
    let mut stalled = Vec::new();
    for _ in 0..listeners {
        stalled.push(watch(engine, "stalled", None).await);
    }
    let idle = resident();
    let writer = engine.connect(Identity::local());
    for number in 100..600 {
        write(engine, &writer, "stalled", load, number).await;
    }
    let full = resident();
    println!(
        "{listeners} listeners: {} bytes each when they begin, {} more each after 10,000 changes that they did not read",
        idle.saturating_sub(before) / listeners.max(1),
        full.saturating_sub(idle) / listeners.max(1)
    );
}
