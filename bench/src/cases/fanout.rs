//! One writes, a thousand are told, eight writes under way or one: what a delivery costs the server.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::Settings;
use crate::client::{Client, find};
use crate::peers;
use crate::process::Server;
use crate::report::{Section, median, spread, verdict};

const SUBSCRIBERS: usize = 1_000;
/// So many writes are under way at once: as many as can come together, and one after the other.
const OUTSTANDING: [usize; 2] = [8, 1];
const WRITES: usize = 2_000;
const WARM_UP: usize = 200;
/// The loop is some thirty times as slow.
const LOOP_WRITES: usize = 200;
const LOOP_WARM_UP: usize = 20;
const TEXT: usize = 200;
const TARGET_LOOP: f64 = 12.0;
/// The offsets are within so many bytes from a notification's end.
const OFFSETS: usize = 80;

/// What one run gave.
struct Run {
    /// The server's CPU microseconds per delivered change.
    cpu: f64,
    /// Delivered changes per second.
    rate: f64,
}

/// The runs with one number of writes under way.
#[derive(Default)]
struct Runs {
    ours: Vec<Run>,
    bun: Vec<Run>,
    fastapi: Vec<Run>,
}

/// How a server is written to.
#[derive(Clone, Copy)]
struct Load {
    is_ours: bool,
    outstanding: usize,
    warm_up: usize,
    writes: usize,
}

/// How far the subscribers are, together.
#[derive(Default)]
struct Arrived {
    count: Cell<usize>,
    more: Notify,
}

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let mut all = OUTSTANDING.map(|outstanding| (outstanding, Runs::default()));
    for pair in 0..settings.pairs {
        eprintln!("   pair {} of {}", pair + 1, settings.pairs);
        for (outstanding, runs) in &mut all {
            measure_all(settings, *outstanding, runs).await?;
        }
    }
    Ok(section(settings, &all))
}

async fn measure_all(settings: &Settings, outstanding: usize, runs: &mut Runs) -> io::Result<()> {
    let fast = Load { is_ours: false, outstanding, warm_up: WARM_UP, writes: WRITES };
    let tidewire = peers::tidewire(settings, &[])?;
    runs.ours.push(measure(&tidewire.server, Load { is_ours: true, ..fast }).await?);
    drop(tidewire);
    runs.bun.push(measure(&peers::bun(settings)?, fast).await?);
    let slow = Load { warm_up: LOOP_WARM_UP, writes: LOOP_WRITES, ..fast };
    runs.fastapi.push(measure(&peers::fastapi_fanout(settings)?, slow).await?);
    Ok(())
}

fn section(settings: &Settings, all: &[(usize, Runs)]) -> Section {
    let each = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    let row = |outstanding: usize, name: &str, runs: &[Run]| {
        vec![
            outstanding.to_string(),
            name.to_owned(),
            spread(&each(runs, |run| run.cpu), 2),
            spread(&each(runs, |run| run.rate / 1e3), 0),
        ]
    };
    let rows = all.iter().flat_map(|(outstanding, runs)| {
        [
            row(*outstanding, "Tidewire, durable inserts", &runs.ours),
            row(*outstanding, "Bun 1.4.5, `publish`", &runs.bun),
            row(*outstanding, "FastAPI 0.165, uvicorn sansio, loop", &runs.fastapi),
        ]
    });
    let verdicts: Vec<_> = all.iter().map(|(outstanding, runs)| verdicts(*outstanding, runs)).collect();
    Section {
        title: "Fan-out (`fanout`)",
        method: format!(
            "{WRITES} writes of about 256 bytes to {SUBSCRIBERS} subscribers ({LOOP_WRITES} for the loop), the next one when all but so many as are under \
             way have arrived everywhere, {} alternated rounds. Ours are durable inserts: each is committed and synced before \
             anybody is told. The others keep nothing. Changes that are committed together come in one frame and count each.",
            settings.pairs
        ),
        columns: vec!["under way", "server", "CPU µs a delivery", "1,000 deliveries/s"],
        rows: rows.collect(),
        verdict: verdicts.join(" "),
    }
}

fn verdicts(outstanding: usize, runs: &Runs) -> String {
    let ratios = |a: &[Run], b: &[Run]| a.iter().zip(b).map(|(a, b)| a.cpu / b.cpu).collect::<Vec<f64>>();
    let (bun, fastapi) = (ratios(&runs.ours, &runs.bun), ratios(&runs.fastapi, &runs.ours));
    let beside_bun = verdict(
        &format!("with {outstanding} under way, CPU a delivery at most Bun's"),
        median(&bun) <= 1.0,
        &format!("{} times Bun's", spread(&bun, 2)),
    );
    let beside_fastapi = verdict(
        &format!("the loop's at least {TARGET_LOOP} times ours"),
        median(&fastapi) >= TARGET_LOOP,
        &format!("{} times", spread(&fastapi, 1)),
    );
    format!("{beside_bun} {beside_fastapi}")
}

async fn measure(server: &Server, load: Load) -> io::Result<Run> {
    let arrived = Rc::new(Arrived::default());
    let local = LocalSet::new();
    for _ in 0..SUBSCRIBERS {
        let client = subscriber(server, load.is_ours).await?;
        local.spawn_local(listen(client, load.is_ours, Rc::clone(&arrived)));
    }
    let publisher = Client::connect(server.address, "/api/ws").await?;
    local.run_until(publish(server, publisher, load, &arrived)).await
}

async fn subscriber(server: &Server, is_ours: bool) -> io::Result<Client> {
    let mut client = Client::connect(server.address, "/api/ws").await?;
    if is_ours {
        client
            .ask("{\"type\":\"Subscribe\",\"messageId\":\"s\",\"payload\":{\"collection\":\"bench\"}}")
            .await?;
    }
    Ok(client)
}

async fn listen(mut client: Client, is_ours: bool, arrived: Rc<Arrived>) {
    // The connection ends with the server, at the end of the run.
    while let Ok(message) = client.next().await {
        let changes = if is_ours { changes(&message) } else { 1 };
        arrived.count.set(arrived.count.get() + changes);
        arrived.more.notify_one();
    }
}

/// How many changes a notification tells.
fn changes(message: &[u8]) -> usize {
    covered(message).map_or(0, |(from, to)| to + 1 - from)
}

/// The first and the last offset that a notification covers. They stand at its end; looking through all of it would cost
/// the load generator more than reading it.
pub(super) fn covered(message: &[u8]) -> Option<(usize, usize)> {
    let end = &message[message.len().saturating_sub(OFFSETS)..];
    let number = |name: &[u8]| {
        let begin = find(end, name)? + name.len();
        let digits: Vec<u8> = end[begin..].iter().copied().take_while(u8::is_ascii_digit).collect();
        String::from_utf8(digits).ok()?.parse::<usize>().ok()
    };
    Some((number(b"\"from_offset\":")?, number(b"\"offset\":")?))
}

/// The request for a durable insert.
pub(super) fn insert() -> String {
    let text = "x".repeat(TEXT);
    format!(
        "{{\"type\":\"Insert\",\"messageId\":\"i\",\"payload\":{{\"collection\":\"bench\",\"record\":{{\"text\":\"{text}\"}}}}}}"
    )
}

fn publication() -> String {
    format!("{{\"type\":\"message\",\"payload\":{{\"text\":\"{}\"}}}}", "x".repeat(TEXT))
}

async fn publish(server: &Server, mut publisher: Client, load: Load, arrived: &Arrived) -> io::Result<Run> {
    let message = if load.is_ours { insert() } else { publication() };
    let all = load.warm_up + load.writes;
    let (mut cpu, mut begun) = (server.cpu()?, Instant::now());
    for number in 0..all {
        if number == load.warm_up {
            until(arrived, number * SUBSCRIBERS).await;
            (cpu, begun) = (server.cpu()?, Instant::now());
        }
        until(arrived, (number + 1).saturating_sub(load.outstanding) * SUBSCRIBERS).await;
        publisher.send(&message).await?;
    }
    until(arrived, all * SUBSCRIBERS).await;
    let deliveries = (load.writes * SUBSCRIBERS) as f64;
    let cpu = (server.cpu()? - cpu).as_secs_f64() * 1e6 / deliveries;
    Ok(Run { cpu, rate: deliveries / begun.elapsed().as_secs_f64() })
}

async fn until(arrived: &Arrived, count: usize) {
    while arrived.count.get() < count {
        arrived.more.notified().await;
    }
}
