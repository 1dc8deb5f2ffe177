//! One writes, a thousand are told, eight writes under way: what a delivery costs the server.

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
const OUTSTANDING: usize = 8;
const WRITES: usize = 2_000;
const WARM_UP: usize = 200;
const TEXT: usize = 200;

/// What one run gave.
struct Run {
    /// The server's CPU microseconds per delivered change.
    cpu: f64,
    /// Delivered changes per second.
    rate: f64,
}

/// How far the subscribers are, together.
#[derive(Default)]
struct Arrived {
    count: Cell<usize>,
    more: Notify,
}

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..settings.pairs {
        eprintln!("   pair {} of {}", pair + 1, settings.pairs);
        let tidewire = peers::tidewire(settings, &[])?;
        ours.push(measure(&tidewire.server, true).await?);
        drop(tidewire);
        theirs.push(measure(&peers::bun(settings)?, false).await?);
    }
    let each = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    let row = |name: &str, runs: &[Run]| {
        vec![
            name.to_owned(),
            spread(&each(runs, |run| run.cpu), 2),
            spread(&each(runs, |run| run.rate / 1e3), 0),
        ]
    };
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a.cpu / b.cpu).collect();
    Ok(Section {
        title: "Fan-out (`fanout`)",
        method: format!(
            "{WRITES} writes of about 256 bytes to {SUBSCRIBERS} subscribers, the next one when all but {OUTSTANDING} have arrived \
             everywhere, {} alternated pairs. Ours are durable inserts: each is committed and synced before anybody is \
             told. Bun keeps nothing. Changes that are committed together come in one frame and count each.",
            settings.pairs
        ),
        columns: vec!["server", "CPU µs a delivery", "1,000 deliveries/s"],
        rows: vec![row("Tidewire, durable inserts", &ours), row("Bun 1.4.5, `publish`", &theirs)],
        verdict: verdict(
            "CPU a delivery at most Bun's",
            median(&ratios) <= 1.0,
            &format!("{} times Bun's", spread(&ratios, 2)),
        ),
    })
}

async fn measure(server: &Server, is_ours: bool) -> io::Result<Run> {
    let arrived = Rc::new(Arrived::default());
    let local = LocalSet::new();
    for _ in 0..SUBSCRIBERS {
        let client = subscriber(server, is_ours).await?;
        local.spawn_local(listen(client, is_ours, Rc::clone(&arrived)));
    }
    let publisher = Client::connect(server.address, "/api/ws").await?;
    local.run_until(publish(server, publisher, is_ours, &arrived)).await
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

/// How many changes a notification tells: its offsets say it.
fn changes(message: &[u8]) -> usize {
    let number = |name: &[u8]| {
        let begin = find(message, name)? + name.len();
        let digits: Vec<u8> = message[begin..].iter().copied().take_while(u8::is_ascii_digit).collect();
        String::from_utf8(digits).ok()?.parse::<usize>().ok()
    };
    let (Some(from), Some(to)) = (number(b"\"from_offset\":"), number(b"\"offset\":")) else { return 0 };
    to + 1 - from
}

async fn publish(
    server: &Server,
    mut publisher: Client,
    is_ours: bool,
    arrived: &Arrived,
) -> io::Result<Run> {
    let text = "x".repeat(TEXT);
    let message = if is_ours {
        format!(
            "{{\"type\":\"Insert\",\"messageId\":\"i\",\"payload\":{{\"collection\":\"bench\",\"record\":{{\"text\":\"{text}\"}}}}}}"
        )
    } else {
        format!("{{\"type\":\"message\",\"payload\":{{\"text\":\"{text}\"}}}}")
    };
    let (mut cpu, mut begun) = (server.cpu()?, Instant::now());
    for number in 0..WARM_UP + WRITES {
        if number == WARM_UP {
            until(arrived, number * SUBSCRIBERS).await;
            (cpu, begun) = (server.cpu()?, Instant::now());
        }
        until(arrived, (number + 1).saturating_sub(OUTSTANDING) * SUBSCRIBERS).await;
        publisher.send(&message).await?;
    }
    until(arrived, (WARM_UP + WRITES) * SUBSCRIBERS).await;
    let deliveries = (WRITES * SUBSCRIBERS) as f64;
    let cpu = (server.cpu()? - cpu).as_secs_f64() * 1e6 / deliveries;
    Ok(Run { cpu, rate: deliveries / begun.elapsed().as_secs_f64() })
}

async fn until(arrived: &Arrived, count: usize) {
    while arrived.count.get() < count {
        arrived.more.notified().await;
    }
}
