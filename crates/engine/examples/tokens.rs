//! What a token costs between an agent and its listeners: many chats at once, each with one listener, over a real
//! store in a temporary folder.
//!
//! ```sh
//! cargo run --release -p tidewire-engine --example tokens            # 200 chats, 200 tokens each, at full speed
//! cargo run --release -p tidewire-engine --example tokens 200 200 20 # a token every 20 ms in each chat
//! ```
//!
//! It prints CPU time of the whole process per token, how many entries and transactions the tokens became, and the
//! time that they took from the agent's hands to the listener's, which is meaningful when they are paced. Then what
//! a connection costs that follows a chat of its own and is idle.

#![allow(clippy::print_stdout, reason = "it is a program whose output is read")]

#[path = "measure/chats.rs"]
mod chats;
#[path = "measure/process.rs"]
mod process;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tidewire_engine::agent::{Agent, Agents, Events, Turn};
use tidewire_engine::event::{Answer, Usage};
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Models;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::store::sqlite::{Settings as Folder, Sqlite};
use tidewire_engine::{AgentEvent, Engine, LocalBus, Parts, Settings};

use chats::{follow, listen, send};
use process::{cpu_time, resident};

/// Connections for the measurement of idle ones.
const IDLE: usize = 10_000;

/// Says tokens that carry the time at which they were said, in microseconds.
struct Speaker {
    tokens: usize,
    every: Duration,
    born: Instant,
}

#[async_trait]
impl Agent for Speaker {
    fn name(&self) -> &str {
        "speaker"
    }

    async fn run(&self, _turn: Turn, events: Events) {
        let mut pace = tokio::time::interval(self.every.max(Duration::from_nanos(1)));
        events.send(AgentEvent::RunStarted).await.ok();
        for _ in 0..self.tokens {
            if !self.every.is_zero() {
                pace.tick().await;
            }
            let text = format!("{:012} ", self.born.elapsed().as_micros());
            events.send(AgentEvent::TextDelta { text }).await.ok();
        }
        events
            .send(AgentEvent::RunFinished { answer: Answer::default(), usage: Usage::default() })
            .await
            .ok();
    }
}

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|text| text.parse().expect("arguments are whole numbers"));
    let (chats, tokens) = (arguments.next().unwrap_or(200), arguments.next().unwrap_or(200));
    let every = Duration::from_millis(arguments.next().unwrap_or(0) as u64);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let born = Instant::now();
        let parts = Parts {
            store: Arc::new(Sqlite::open(Folder::new(folder.path())).expect("the store opens")),
            bus: Arc::new(LocalBus::default()),
            agents: Agents::new(Arc::new(Speaker { tokens, every, born })),
            models: Models::new(Arc::new(ScriptedModel::new())),
            embedder: None,
            clock: Arc::new(SystemClock),
            settings: Settings::default(),
        };
        let engine = Engine::start(parts).await.expect("the engine starts");
        measure_tokens(&engine, chats, tokens, born).await;
        measure_idle(&engine).await;
    });
}

async fn measure_tokens(engine: &Arc<Engine>, chats: usize, tokens: usize, born: Instant) {
    let mut connections = Vec::new();
    for number in 0..chats {
        connections.push((follow(engine, number).await, number));
    }
    let (cpu, wall, before) = (cpu_time(), Instant::now(), engine.stats());
    let readers: Vec<_> = connections
        .into_iter()
        .map(|(connection, number)| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                send(&engine, &connection, number, "hello").await;
                listen(&connection, born).await
            })
        })
        .collect();
    let mut delays = Vec::new();
    for reader in readers {
        delays.extend(reader.await.expect("a reader ends"));
    }
    let (cpu, wall, after) = (cpu_time() - cpu, wall.elapsed(), engine.stats());
    let total = chats * tokens;
    delays.sort_unstable();
    println!(
        "{total} tokens in {chats} chats: {:.2} s, {:.2} s of CPU",
        wall.as_secs_f64(),
        cpu.as_secs_f64()
    );
    println!("  CPU per token: {:.2} µs", cpu.as_secs_f64() * 1e6 / total as f64);
    println!(
        "  log entries: {}, transactions: {}",
        after.entries_total - before.entries_total,
        after.appends_total - before.appends_total
    );
    let at = |share: usize| delays[(delays.len() - 1) * share / 100];
    println!("  from the agent to the listener: {} µs p50, {} µs p99", at(50), at(99));
}

async fn measure_idle(engine: &Arc<Engine>) {
    let before = resident();
    let mut connections = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        connections.push(follow(engine, 1_000_000 + number).await);
    }
    let grown = resident().saturating_sub(before);
    println!("{IDLE} idle connections, each with its chat: {} bytes each", grown / connections.len());
}
