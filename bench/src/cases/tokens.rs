//! 200 chats of 200 tokens each at full speed: what a token costs the server.

use std::io;
use std::net::SocketAddr;

use crate::Settings;
use crate::client::{Client, is_type};
use crate::peers;
use crate::process::Server;
use crate::report::{Section, median, spread, verdict};

const CHATS: usize = 200;
const TOKENS: usize = 200;
/// Rounds within one run, so that a run is long enough to be measured.
const ROUNDS: usize = 5;
const TARGET: f64 = 20.0;

/// What one run gave: CPU microseconds and wall microseconds per token.
struct Run {
    cpu: f64,
    wall: f64,
}

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..settings.pairs {
        eprintln!("   pair {} of {}", pair + 1, settings.pairs);
        let tidewire = peers::tidewire(settings, &[])?;
        ours.push(measure(&tidewire.server).await?);
        drop(tidewire);
        theirs.push(measure(&peers::fastapi(settings, TOKENS)?).await?);
    }
    Ok(section(&ours, &theirs))
}

async fn measure(server: &Server) -> io::Result<Run> {
    round(server.address, 0).await?; // warms up code, caches and the data folder
    let (cpu, begun) = (server.cpu()?, std::time::Instant::now());
    for number in 1..=ROUNDS {
        round(server.address, number).await?;
    }
    let tokens = (CHATS * TOKENS * ROUNDS) as f64;
    let micros = |duration: std::time::Duration| duration.as_secs_f64() * 1e6 / tokens;
    Ok(Run { cpu: micros(server.cpu()? - cpu), wall: micros(begun.elapsed()) })
}

async fn round(address: SocketAddr, number: usize) -> io::Result<()> {
    let mut clients = Vec::with_capacity(CHATS);
    for chat in 0..CHATS {
        clients.push(Client::connect(address, &format!("/ws/bench-{number}-{chat}")).await?);
    }
    let tasks: Vec<_> = clients.into_iter().map(|client| tokio::spawn(converse(client))).collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn converse(mut client: Client) -> io::Result<()> {
    let question = format!("{{\"content\":\"{TOKENS} tokens\",\"partials\":\"delta\"}}");
    client.send(&question).await?;
    while !is_type(&client.next().await?, "agent") {}
    Ok(())
}

fn section(ours: &[Run], theirs: &[Run]) -> Section {
    let cpu = |runs: &[Run]| runs.iter().map(|run| run.cpu).collect::<Vec<_>>();
    let wall = |runs: &[Run]| runs.iter().map(|run| run.wall).collect::<Vec<_>>();
    let ratios: Vec<_> = ours.iter().zip(theirs).map(|(a, b)| b.cpu / a.cpu).collect();
    let row = |name: &str, runs: &[Run]| vec![name.to_owned(), spread(&cpu(runs), 2), spread(&wall(runs), 2)];
    Section {
        title: "Token streaming (`tokens`)",
        method: format!(
            "{CHATS} chats of {TOKENS} tokens of six characters at full speed, {ROUNDS} rounds a run, {} alternated pairs. \
             Tidewire goes through the whole engine (log on disk, runs, hub) and merges what is queued for a socket; \
             FastAPI sends one frame a token from a loop and keeps nothing.",
            ours.len()
        ),
        columns: vec!["server", "CPU µs a token", "wall µs a token"],
        rows: vec![row("Tidewire", ours), row("FastAPI 0.165, uvicorn sansio", theirs)],
        verdict: verdict(
            &format!("FastAPI's CPU at least {TARGET} times ours"),
            median(&ratios) >= TARGET,
            &format!("{} times", spread(&ratios, 1)),
        ),
    }
}
