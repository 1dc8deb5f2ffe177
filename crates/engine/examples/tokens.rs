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

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tidewire_engine::agent::{Agent, Agents, Events, Turn};
use tidewire_engine::command::WhileRunning;
use tidewire_engine::event::{Answer, Usage};
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Models;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::store::sqlite::{Settings as Folder, Sqlite};
use tidewire_engine::{
    AgentEvent, ChatBody, ChatRef, Command, Connection, Engine, Identity, LocalBus, Parts, Position, Seq,
    Settings,
};

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
                send(&engine, &connection, number).await;
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

/// Reads to the end of the run. Gives how long each token was under way, in microseconds.
async fn listen(connection: &Connection, born: Instant) -> Vec<u64> {
    let (mut events, mut delays) = (Vec::new(), Vec::new());
    loop {
        connection.next(&mut events).await;
        let now = u64::try_from(born.elapsed().as_micros()).unwrap_or(u64::MAX);
        for event in events.drain(..).filter_map(tidewire_engine::Event::into_chat) {
            let ChatBody::Run { event, .. } = &event.body else { continue };
            if let AgentEvent::TextDelta { text } = event {
                let said = text.split_ascii_whitespace().filter_map(|at| at.parse::<u64>().ok());
                delays.extend(said.map(|at| now.saturating_sub(at)));
            }
            if event.is_end() {
                return delays;
            }
        }
    }
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

fn session(number: usize) -> ChatRef {
    ChatRef::Session(format!("session-{number}").parse().expect("it is a session id"))
}

async fn follow(engine: &Arc<Engine>, number: usize) -> Connection {
    let connection = engine.connect(Identity::local());
    let after = Some(Position { epoch: None, seq: Seq::START });
    let follow = Command::FollowChat { chat: session(number), after };
    engine.execute(&connection, follow).await.expect("it follows");
    connection
}

async fn send(engine: &Engine, connection: &Connection, number: usize) {
    let send = Command::SendMessage {
        chat: session(number),
        message_id: None,
        content: "hello".into(),
        while_running: WhileRunning::Reject,
        options: Default::default(),
    };
    engine.execute(connection, send).await.expect("the message is accepted");
}

/// What all threads have used of the processors (Linux).
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let used = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    Duration::from_nanos(used.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum())
}

/// What the process holds in memory, in bytes (Linux).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}
