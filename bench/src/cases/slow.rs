//! A thousand subscribers of which fifty do not read: what the others notice of that.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use super::fanout::{self, covered};
use crate::Settings;
use crate::client::Client;
use crate::peers;
use crate::process::Server;
use crate::report::{Section, median, spread, verdict};

const SUBSCRIBERS: usize = 1_000;
const STALLED: usize = 50;
const PAIRS: usize = 10;
const WARM_UP: usize = 100;
const WRITES: usize = 400;
/// Between two writes.
const PACE: Duration = Duration::from_millis(10);
/// The last deliveries have arrived after this.
const REST: Duration = Duration::from_millis(300);
/// The largest that the kernel keeps for a reader that does not read, so that they stall early.
const KERNEL_BUFFER: u32 = 4 * 1024;
const TARGET: f64 = 1.1;
const TARGET_KB: f64 = 64.0;

/// What one run gave.
struct Run {
    /// The server's CPU microseconds per change that arrived at one who reads.
    cpu: f64,
    /// In milliseconds, from the moment before the insert is sent.
    p99: f64,
    /// Growth of the server's memory in kB while the changes came.
    growth: f64,
}

/// When each change was sent, and how long deliveries took.
#[derive(Default)]
struct Times {
    sent: RefCell<Vec<Instant>>,
    taken: RefCell<Vec<Duration>>,
}

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let pairs = settings.pairs.max(PAIRS);
    for pair in 0..pairs {
        eprintln!("   pair {} of {pairs}", pair + 1);
        without.push(measure(settings, 0).await?);
        with.push(measure(settings, STALLED).await?);
    }
    Ok(section(&without, &with))
}

async fn measure(settings: &Settings, stalled: usize) -> io::Result<Run> {
    // They are to be measured, not to be sent away.
    let tidewire = peers::tidewire(settings, &[("TIDEWIRE_LIMITS_STALL_SECONDS", "600".into())])?;
    let server = &tidewire.server;
    let times = Rc::new(Times::default());
    let local = LocalSet::new();
    let mut silent = Vec::new();
    for number in 0..SUBSCRIBERS {
        if number < stalled {
            silent.push(subscribe(server, Some(KERNEL_BUFFER)).await?);
        } else {
            local.spawn_local(listen(subscribe(server, None).await?, Rc::clone(&times)));
        }
    }
    let publisher = Client::connect(server.address, "/api/ws").await?;
    local.run_until(publish(server, publisher, &times)).await
}

async fn subscribe(server: &Server, kernel_buffer: Option<u32>) -> io::Result<Client> {
    let mut client = Client::connect_with(server.address, "/api/ws", kernel_buffer).await?;
    client.ask("{\"type\":\"Subscribe\",\"messageId\":\"s\",\"payload\":{\"collection\":\"bench\"}}").await?;
    Ok(client)
}

async fn listen(mut client: Client, times: Rc<Times>) {
    // The connection ends with the server, at the end of the run.
    while let Ok(message) = client.next().await {
        let Some((from, to)) = covered(&message) else { continue };
        let (sent, now) = (times.sent.borrow(), Instant::now());
        let fresh = sent.get(from - 1..to).unwrap_or_default();
        times.taken.borrow_mut().extend(fresh.iter().map(|sent| now - *sent));
    }
}

async fn publish(server: &Server, mut publisher: Client, times: &Times) -> io::Result<Run> {
    let request = fanout::insert();
    write(&mut publisher, &request, times, WARM_UP).await?;
    times.taken.borrow_mut().clear();
    let (cpu, memory) = (server.cpu()?, server.memory()?);
    write(&mut publisher, &request, times, WRITES).await?;
    let cpu = (server.cpu()? - cpu).as_secs_f64() * 1e6;
    let growth = server.memory()? as f64 - memory as f64;
    let mut taken = times.taken.take();
    taken.sort_unstable();
    let p99 = taken.get(taken.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Run { cpu: cpu / taken.len() as f64, p99: p99.as_secs_f64() * 1e3, growth: growth / 1e3 })
}

/// So many inserts, one after the other in time; then it is waited until all have arrived.
async fn write(publisher: &mut Client, request: &str, times: &Times, count: usize) -> io::Result<()> {
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..count {
        pace.tick().await;
        times.sent.borrow_mut().push(Instant::now());
        publisher.send(request).await?;
    }
    tokio::time::sleep(REST).await;
    Ok(())
}

fn section(without: &[Run], with: &[Run]) -> Section {
    let each = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    let row = |name: String, runs: &[Run]| {
        vec![name, spread(&each(runs, |run| run.cpu), 2), spread(&each(runs, |run| run.p99), 1)]
    };
    let ratios: Vec<f64> = with.iter().zip(without).map(|(a, b)| a.cpu / b.cpu).collect();
    let held: Vec<f64> =
        with.iter().zip(without).map(|(a, b)| (a.growth - b.growth) / STALLED as f64).collect();
    let met = median(&ratios) <= TARGET && median(&held) <= TARGET_KB;
    Section {
        title: "Some do not read (`slow`)",
        method: format!(
            "{WRITES} durable inserts of about 256 bytes, one every {} ms, to {SUBSCRIBERS} subscribers, all of which read, or of which \
             {STALLED} do not; {} alternated pairs. CPU is the server's, divided by the deliveries to those who read. Memory is \
             what the server grew by while the inserts came, beside what it grew by when all read.",
            PACE.as_millis(),
            with.len(),
        ),
        columns: vec!["subscribers", "CPU µs a healthy delivery", "p99 ms"],
        rows: vec![
            row(format!("{SUBSCRIBERS} read"), without),
            row(format!("{STALLED} of {SUBSCRIBERS} do not read"), with),
        ],
        verdict: verdict(
            &format!("CPU at most {TARGET} times, and at most {TARGET_KB} kB for each that does not read"),
            met,
            &format!("{} times, {} kB", spread(&ratios, 2), spread(&held, 1)),
        ),
    }
}
