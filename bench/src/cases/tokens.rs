//! 200 chats of 200 tokens each at full speed: what a token costs the server.

use std::io;
use std::time::{Duration, Instant};

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

/// What one run gave.
struct Run {
    /// From the first connection to the end of the last answer, all rounds.
    whole: Cost,
    /// From the first question on, when all connections of a round are made.
    streaming: Cost,
}

/// What something cost in all.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

/// Which part of a run.
type Part = fn(&Run) -> Cost;

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
    round(server, 0).await?; // warms up code, caches and the data folder
    let begun = Meter::start(server)?;
    let mut streaming = Cost::default();
    for number in 1..=ROUNDS {
        let cost = round(server, number).await?;
        streaming = Cost { cpu: streaming.cpu + cost.cpu, wall: streaming.wall + cost.wall };
    }
    Ok(Run { whole: begun.cost()?, streaming })
}

/// All chats once. Gives what it cost from the first question on.
async fn round(server: &Server, number: usize) -> io::Result<Cost> {
    let mut clients = Vec::with_capacity(CHATS);
    for chat in 0..CHATS {
        clients.push(Client::connect(server.address, &format!("/ws/bench-{number}-{chat}")).await?);
    }
    let begun = Meter::start(server)?;
    let tasks: Vec<_> = clients.into_iter().map(|client| tokio::spawn(converse(client))).collect();
    let mut clients = Vec::with_capacity(CHATS);
    for task in tasks {
        clients.push(task.await.map_err(io::Error::other)??);
    }
    begun.cost()
}

/// Asks once and reads the answer. The connection is given back, so that it is not closed meanwhile.
async fn converse(mut client: Client) -> io::Result<Client> {
    let question = format!("{{\"content\":\"{TOKENS} tokens\",\"partials\":\"delta\"}}");
    client.send(&question).await?;
    while !is_type(&client.next().await?, "agent") {}
    Ok(client)
}

/// Since when something is measured.
struct Meter<'a> {
    server: &'a Server,
    cpu: Duration,
    begun: Instant,
}

impl<'a> Meter<'a> {
    fn start(server: &'a Server) -> io::Result<Self> {
        Ok(Self { server, cpu: server.cpu()?, begun: Instant::now() })
    }

    fn cost(&self) -> io::Result<Cost> {
        Ok(Cost { cpu: self.server.cpu()? - self.cpu, wall: self.begun.elapsed() })
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6 / (CHATS * TOKENS * ROUNDS) as f64
}

fn ratios(ours: &[Run], theirs: &[Run], part: Part) -> Vec<f64> {
    let cpu = |run| part(run).cpu.as_secs_f64();
    ours.iter().zip(theirs).map(|(a, b)| cpu(b) / cpu(a)).collect()
}

fn row(what: &str, server: &str, runs: &[Run], part: Part) -> Vec<String> {
    let figures = |figure: fn(Cost) -> Duration| {
        let all: Vec<_> = runs.iter().map(|run| micros(figure(part(run)))).collect();
        spread(&all, 2)
    };
    vec![what.to_owned(), server.to_owned(), figures(|cost| cost.cpu), figures(|cost| cost.wall)]
}

fn section(ours: &[Run], theirs: &[Run]) -> Section {
    let parts: [(&str, Part); 2] =
        [("with connecting", |run| run.whole), ("streaming alone", |run| run.streaming)];
    let rows = parts.iter().flat_map(|(what, part)| {
        [row(what, "Tidewire", ours, *part), row(what, "FastAPI 0.165, uvicorn sansio", theirs, *part)]
    });
    let judge = |(what, part): &(&str, Part)| {
        let ratios = ratios(ours, theirs, *part);
        let target = format!("{what}, FastAPI's CPU at least {TARGET} times ours");
        verdict(&target, median(&ratios) >= TARGET, &format!("{} times", spread(&ratios, 1)))
    };
    Section {
        title: "Token streaming (`tokens`)",
        method: format!(
            "{CHATS} chats of {TOKENS} tokens of six characters at full speed, {ROUNDS} rounds a run, {} alternated pairs. \
             Tidewire goes through the whole engine (log on disk, runs, hub) and merges what is queued for a socket; \
             FastAPI sends one frame a token from a loop and keeps nothing. With connecting: from the first connection of \
             a round to the end of its last answer. Streaming alone: the same runs from the first question on, when all \
             connections of the round are made; a chat is opened by its first question.",
            ours.len()
        ),
        columns: vec!["what", "server", "CPU µs a token", "wall µs a token"],
        rows: rows.collect(),
        verdict: parts.iter().map(judge).collect::<Vec<_>>().join(" "),
    }
}
