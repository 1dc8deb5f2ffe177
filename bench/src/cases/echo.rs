//! The smallest command and its reply, beside servers that send back what they get.

use std::io;
use std::time::{Duration, Instant};

use crate::Settings;
use crate::client::Client;
use crate::peers;
use crate::process::Server;
use crate::report::{Section, spread, verdict};

const CONNECTIONS: [usize; 3] = [1, 100, 1_000];
/// The number of connections for which there is a target, by its place.
const JUDGED: usize = 1;
const WARM_UP: Duration = Duration::from_millis(300);
const LASTS: Duration = Duration::from_secs(2);
/// There is no such subscription: nothing is looked up and nothing is stored.
const COMMAND: &str = "{\"type\":\"Unsubscribe\",\"messageId\":\"1\",\"payload\":{\"collection\":\"bench\"}}";
const TARGET: f64 = 1.5;

/// What one number of connections gave.
struct Run {
    /// The server's CPU microseconds a command.
    cpu: f64,
    /// Commands a second.
    rate: f64,
}

/// The runs of a server, by number of connections.
type Runs = [Vec<Run>; CONNECTIONS.len()];

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let (mut ours, mut bare, mut bun, mut ws) =
        (Runs::default(), Runs::default(), Runs::default(), Runs::default());
    for pair in 0..settings.pairs {
        eprintln!("   pair {} of {}", pair + 1, settings.pairs);
        let tidewire = peers::tidewire(settings, &[])?;
        measure(&tidewire.server, &mut ours).await?;
        drop(tidewire);
        measure(&peers::bare_echo()?, &mut bare).await?;
        measure(&peers::bun_echo(settings)?, &mut bun).await?;
        measure(&peers::ws_echo(settings)?, &mut ws).await?;
    }
    Ok(section(settings, &ours, &bare, &bun, &ws))
}

async fn measure(server: &Server, runs: &mut Runs) -> io::Result<()> {
    for (connections, runs) in CONNECTIONS.into_iter().zip(runs) {
        runs.push(measure_with(server, connections).await?);
    }
    Ok(())
}

async fn measure_with(server: &Server, connections: usize) -> io::Result<Run> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(server.address, "/api/ws").await?);
    }
    let (clients, _) = ask_for(clients, WARM_UP).await?;
    let (cpu, begun) = (server.cpu()?, Instant::now());
    let (_, count) = ask_for(clients, LASTS).await?;
    let cpu = (server.cpu()? - cpu).as_secs_f64() * 1e6 / count as f64;
    Ok(Run { cpu, rate: count as f64 / begun.elapsed().as_secs_f64() })
}

/// All of them ask, each again when it was answered. Gives how many answers came.
async fn ask_for(clients: Vec<Client>, time: Duration) -> io::Result<(Vec<Client>, usize)> {
    let until = Instant::now() + time;
    let asking: Vec<_> = clients.into_iter().map(|client| tokio::spawn(ask_until(client, until))).collect();
    let (mut clients, mut count) = (Vec::with_capacity(asking.len()), 0);
    for task in asking {
        let (client, answers) = task.await.map_err(io::Error::other)??;
        clients.push(client);
        count += answers;
    }
    Ok((clients, count))
}

async fn ask_until(mut client: Client, until: Instant) -> io::Result<(Client, usize)> {
    let mut count = 0;
    while Instant::now() < until {
        client.send(COMMAND).await?;
        client.next().await?;
        count += 1;
    }
    Ok((client, count))
}

fn section(settings: &Settings, ours: &Runs, bare: &Runs, bun: &Runs, ws: &Runs) -> Section {
    let each = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    let mut rows = Vec::new();
    for (place, connections) in CONNECTIONS.into_iter().enumerate() {
        let servers = [
            ("Tidewire, a command", ours),
            ("bare tokio-tungstenite echo", bare),
            ("Bun 1.4.5 echo", bun),
            ("ws 8.23.0 on Node, echo", ws),
        ];
        rows.extend(servers.map(|(name, runs)| {
            let (cpu, rate) = (each(&runs[place], |run| run.cpu), each(&runs[place], |run| run.rate / 1e3));
            vec![connections.to_string(), name.to_owned(), spread(&cpu, 2), spread(&rate, 0)]
        }));
    }
    let ratios: Vec<f64> = ours[JUDGED].iter().zip(&bare[JUDGED]).map(|(a, b)| a.cpu / b.cpu).collect();
    Section {
        title: "Smallest command (`echo`)",
        method: format!(
            "Each connection asks again when it was answered, for {} s; {} rounds, the servers in turn. Ours decodes the end of a \
             subscription that there is not (live-data dialect, {} bytes), executes it in the engine and replies; the others send the same \
             bytes back. The bare echo is `tokio-tungstenite` with a read buffer of 4 KiB.",
            LASTS.as_secs(),
            settings.pairs,
            COMMAND.len(),
        ),
        columns: vec!["connections", "server", "CPU µs a message", "1,000 messages/s"],
        rows,
        verdict: verdict(
            &format!("CPU at most {TARGET} times the bare echo's at {} connections", CONNECTIONS[JUDGED]),
            crate::report::median(&ratios) <= TARGET,
            &format!("{} times", spread(&ratios, 2)),
        ),
    }
}
