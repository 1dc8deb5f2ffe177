//! What the assistant's graph adds to a model's tokens, and what runs in flight cost: many chats at once, each with one
//! listener, over a real store with documents in a temporary folder.
//!
//! ```sh
//! cargo run --release -p tidewire-engine --example runs            # 200 runs of 200 tokens, one every 20 ms
//! cargo run --release -p tidewire-engine --example runs 200 200 20
//! ```
//!
//! It prints the time from the model's hands to the listener's for each token, then the memory that 1,000 runs take
//! that are in the midst of their answers.

#![allow(clippy::print_stdout, reason = "it is a program whose output is read")]

#[path = "measure/chats.rs"]
mod chats;
#[path = "measure/process.rs"]
mod process;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::json;
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::agent::graph::assistant::{Means, agent};
use tidewire_engine::agent::run_loop::Limits;
use tidewire_engine::agent::{Agents, SharedRecords, ToolSet};
use tidewire_engine::collections::Desk;
use tidewire_engine::edit::Edit;
use tidewire_engine::event::Usage;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::{Model, ModelEvent, ModelStream, Models, Request, StopReason};
use tidewire_engine::store::sqlite::{Settings as Folder, Sqlite};
use tidewire_engine::{AgentEvent, ChatBody, Engine, Identity, LocalBus, Parts, RecordId, Result, Settings};

use chats::{follow, listen, send};
use process::{cpu_time, resident};

/// Runs for the measurement of memory.
const IN_FLIGHT: usize = 1_000;
const QUESTION: &str = "How long are change logs kept by the server?";

/// Says tokens that carry the time at which they were said, in microseconds.
struct Speaker {
    tokens: usize,
    every: Duration,
    born: Instant,
}

#[async_trait]
impl Model for Speaker {
    fn name(&self) -> &str {
        "speaker"
    }

    fn context_window(&self) -> Option<u64> {
        None
    }

    async fn stream(&self, _: Request) -> Result<ModelStream> {
        let (born, tokens, every) = (self.born, self.tokens, self.every.max(Duration::from_micros(1)));
        let mut pace = tokio::time::interval(every);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let said = futures_util::stream::unfold((pace, 0), move |(mut pace, number)| async move {
            pace.tick().await;
            let event = match number {
                number if number < tokens => ModelEvent::Text(format!("{:012} ", born.elapsed().as_micros())),
                number if number == tokens => ModelEvent::Usage(Usage::default()),
                number if number == tokens + 1 => ModelEvent::End(StopReason::Finished),
                _ => return None,
            };
            Some((Ok(event), (pace, number + 1)))
        });
        Ok(said.boxed())
    }
}

async fn start(folder: &std::path::Path, model: Speaker) -> Arc<Engine> {
    let store = Arc::new(Sqlite::open(Folder::new(folder)).expect("the store opens"));
    let desk = Desk::new(Arc::clone(&store) as _, Arc::new(SystemClock));
    fill(&desk).await;
    let (model, records): (Arc<dyn Model>, SharedRecords) = (Arc::new(model), Arc::new(desk));
    let means = Means {
        explorer: Explorer::new(Arc::clone(&model), Arc::clone(&records)),
        model: Arc::clone(&model),
        records,
        embedder: None,
        tools: ToolSet::default(),
        limits: Limits::default(),
    };
    let parts = Parts {
        store,
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(Arc::new(agent(&means).expect("the graph can be walked"))),
        models: Models::new(model),
        embedder: None,
        clock: Arc::new(SystemClock),
        settings: Settings::default(),
    };
    Engine::start(parts).await.expect("the engine starts")
}

/// A thousand passages of a kilobyte.
async fn fill(desk: &Desk) {
    let filler =
        "The server writes what happens before anybody is told of it, and whoever was away reads on. ";
    let edit = |number: usize| {
        let text = format!("Change logs of kind {number} are kept for seven days. {}", filler.repeat(10));
        let body = json!({"document": "guide.md", "title": "Guide", "source": "guide.md", "text": text});
        let body = body.as_object().cloned().unwrap_or_default();
        Edit::Insert { id: Some(RecordId(format!("guide.md-{number:05}"))), body, ttl: None }
    };
    let edits = (0..1_000).map(edit).collect();
    desk.edit(&Identity::local(), "documents", edits, true).await.expect("documents are written");
}

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|text| text.parse().expect("arguments are whole numbers"));
    let (runs, tokens) = (arguments.next().unwrap_or(200), arguments.next().unwrap_or(200));
    let every = Duration::from_millis(arguments.next().unwrap_or(20) as u64);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let born = Instant::now();
        let engine = start(folder.path(), Speaker { tokens, every, born }).await;
        measure_tokens(&engine, runs, born).await;
        drop(engine);
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let speaker = Speaker { tokens: usize::MAX / 2, every: Duration::from_secs(5), born };
        measure_memory(&start(folder.path(), speaker).await).await;
    });
}

async fn measure_tokens(engine: &Arc<Engine>, runs: usize, born: Instant) {
    let mut readers = Vec::new();
    let cpu = cpu_time();
    for number in 0..runs {
        let (engine, connection) = (Arc::clone(engine), follow(engine, number).await);
        readers.push(tokio::spawn(async move {
            send(&engine, &connection, number, QUESTION).await;
            listen(&connection, born).await
        }));
    }
    let mut delays = Vec::new();
    for reader in readers {
        delays.extend(reader.await.expect("a reader ends"));
    }
    let cpu = cpu_time() - cpu;
    delays.sort_unstable();
    let at = |share: usize| delays[(delays.len() - 1) * share / 100];
    println!("{} tokens in {runs} runs at once", delays.len());
    println!("  from the model to the listener: {} µs p50, {} µs p99", at(50), at(99));
    println!("  CPU per token, retrieval included: {:.1} µs", cpu.as_secs_f64() * 1e6 / delays.len() as f64);
}

/// Waits until each of the runs says something, and looks at the memory then.
async fn measure_memory(engine: &Arc<Engine>) {
    let before = resident();
    let mut connections = Vec::with_capacity(IN_FLIGHT);
    for number in 0..IN_FLIGHT {
        let connection = follow(engine, number).await;
        send(engine, &connection, number, QUESTION).await;
        connections.push(connection);
    }
    let mut events = Vec::new();
    for connection in &connections {
        while !events
            .drain(..)
            .filter_map(tidewire_engine::Event::into_chat)
            .any(|event| is_text(&event.body))
        {
            connection.next(&mut events).await;
        }
    }
    let grown = resident().saturating_sub(before);
    println!("{IN_FLIGHT} runs in flight: {:.1} MB", grown as f64 / 1e6);
}

fn is_text(body: &ChatBody) -> bool {
    matches!(body, ChatBody::Run { event: AgentEvent::TextDelta { .. }, .. })
}
