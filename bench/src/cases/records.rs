//! Records: durable inserts, reads by id, and queries over an indexed field among a million, beside PocketBase and a
//! bare loop.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bare::{Bare, Rows};
use crate::client::Client;
use crate::http::Http;
use crate::peers::pocketbase::{self, RECORDS};
use crate::process::Server;
use crate::report::{Section, median, spread, verdict};
use crate::{Settings, peers};

const CONNECTIONS: usize = 100;
const DURING: Duration = Duration::from_secs(3);
/// Before the first of each kind, uncounted.
const WARM_UP: Duration = Duration::from_secs(2);
const RECORDS_FILLED: usize = 1_000_000;
const GROUPS: usize = 50_000;
const BATCH: usize = 10_000;

/// What is asked again and again.
#[derive(Clone, Copy)]
enum Kind {
    Insert,
    Get,
    Query,
}

/// What one run gave.
struct Run {
    /// Answers per second.
    rate: f64,
    /// The server's CPU microseconds per answer.
    cpu: f64,
    p99_ms: f64,
}

/// One of the two that are compared.
enum Connection {
    Ours(Client),
    Theirs(Http),
}

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let ours = peers::tidewire(settings, &[])?;
    fill(ours.server.address).await?;
    eprintln!("   {RECORDS_FILLED} records are there");
    let theirs = pocketbase::start(&settings.cache, RECORDS_FILLED, GROUPS).await?;
    let (same, plain) = (Bare::new(Rows::Same, RECORDS_FILLED, GROUPS)?, Bare::new(Rows::Plain, 0, GROUPS)?);
    let mut rows = Vec::new();
    let mut verdicts = Vec::new();
    for (kind, name, target) in [
        (Kind::Insert, "durable insert", 5.0),
        (Kind::Get, "read by id", 10.0),
        (Kind::Query, "indexed query, 20 records", 5.0),
    ] {
        eprintln!("   {name}");
        let (mut a, mut b, mut loops, mut floors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        measure(&ours.server, kind, true, WARM_UP).await?;
        measure(&theirs.server, kind, false, WARM_UP).await?;
        for _ in 0..settings.pairs {
            a.push(measure(&ours.server, kind, true, DURING).await?);
            b.push(measure(&theirs.server, kind, false, DURING).await?);
            if matches!(kind, Kind::Insert) {
                loops.push(same.inserts(CONNECTIONS, DURING).await?);
                floors.push(plain.inserts(CONNECTIONS, DURING).await?);
            }
        }
        rows.push(row(&format!("{name}: Tidewire"), &a));
        rows.push(row(&format!("{name}: PocketBase 0.40.6"), &b));
        let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.rate / b.rate).collect();
        let figure = format!("{} times", spread(&ratios, 1));
        verdicts.push(verdict(
            &format!("{name} ≥ {target} times PocketBase's rate"),
            median(&ratios) >= target,
            &figure,
        ));
        if !loops.is_empty() {
            let mut bare = |what, rates| {
                rows.push(vec![format!("{name}: {what}"), spread(rates, 0), "–".into(), "–".into()]);
            };
            bare("bare loop, the same rows and indexes", &loops);
            bare("bare loop, two plain rows in empty tables", &floors);
            let shares: Vec<f64> = a.iter().zip(&loops).map(|(a, bare)| 100.0 * a.rate / bare).collect();
            let figure = format!("{} %", spread(&shares, 0));
            verdicts.push(verdict(
                "≥ 60 % of the bare loop with the same rows",
                median(&shares) >= 60.0,
                &figure,
            ));
        }
    }
    Ok(Section {
        title: "Records (`records`)",
        method: format!(
            "{CONNECTIONS} connections, each asks again when it was answered, {} s a run, {} alternated pairs, both servers with \
             {RECORDS_FILLED} records of about 130 bytes. Ours over the WebSocket of the live-data dialect, PocketBase over \
             REST. The bare loops: one thread, one SQLite, groups of what has queued, a record and a change each, synced; no \
             sockets and no JSON of requests, and those who ask are on the other core. Ours and the loops sync each commit; PocketBase does not \
             (synchronous=NORMAL).",
            DURING.as_secs(),
            settings.pairs
        ),
        columns: vec!["what", "answers/s", "server CPU µs each", "p99 ms"],
        rows,
        verdict: verdicts.join(" "),
    })
}

fn row(name: &str, runs: &[Run]) -> Vec<String> {
    let each = |figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    vec![
        name.to_owned(),
        spread(&each(|run| run.rate), 0),
        spread(&each(|run| run.cpu), 1),
        spread(&each(|run| run.p99_ms), 1),
    ]
}

async fn fill(address: SocketAddr) -> io::Result<()> {
    let mut client = Client::connect(address, "/api/ws").await?;
    let fields = json!({"group": {"field_type": "Integer", "unique": false, "required": false, "index": {"type": "btree"}}});
    let create = json!({"type": "CreateCollection", "messageId": "c",
        "payload": {"name": "bench", "schema": {"fields": fields}}});
    client.ask(&create.to_string()).await?;
    for first in (0..RECORDS_FILLED).step_by(BATCH) {
        let records: Vec<_> = (first..first + BATCH)
            .map(|n| json!({"id": id(n), "name": format!("record {n}"), "group": n % GROUPS, "text": "x".repeat(100)}))
            .collect();
        let insert = json!({"type": "BatchInsert", "messageId": "b", "payload": {"collection": "bench", "records": records}});
        client.ask(&insert.to_string()).await?;
    }
    Ok(())
}

/// As long as PocketBase's.
fn id(number: usize) -> String {
    format!("r{number:014}")
}

async fn measure(server: &Server, kind: Kind, is_ours: bool, during: Duration) -> io::Result<Run> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(if is_ours {
            Connection::Ours(Client::connect(server.address, "/api/ws").await?)
        } else {
            Connection::Theirs(Http::connect(server.address).await?)
        });
    }
    let (cpu, begun) = (server.cpu()?, Instant::now());
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(number, connection)| tokio::spawn(ask_on(connection, kind, number, begun + during)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.map_err(io::Error::other)??);
    }
    let (elapsed, cpu) = (begun.elapsed(), server.cpu()? - cpu);
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Run {
        rate: times.len() as f64 / elapsed.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / times.len().max(1) as f64,
        p99_ms: p99.as_secs_f64() * 1e3,
    })
}

async fn ask_on(
    mut connection: Connection,
    kind: Kind,
    number: usize,
    until: Instant,
) -> io::Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut random = number as u64 + 1;
    while Instant::now() < until {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let which = (random >> 33) as usize;
        let asked = Instant::now();
        match &mut connection {
            Connection::Ours(client) => client.ask(&our_request(kind, which)).await.map(drop)?,
            Connection::Theirs(http) => {
                let (method, path, body) = their_request(kind, which);
                http.ask(method, &path, "", &body).await.map(drop)?;
            }
        }
        times.push(asked.elapsed());
    }
    Ok(times)
}

fn our_request(kind: Kind, which: usize) -> String {
    let (name, payload) = match kind {
        Kind::Insert => ("Insert", json!({"collection": "bench", "record": record(which)})),
        Kind::Get => ("FindById", json!({"collection": "bench", "id": id(which % RECORDS_FILLED)})),
        Kind::Query => {
            let is = json!({"field": "group", "operator": "Eq", "value": which % GROUPS});
            let filter = json!({"type": "Condition", "content": is});
            ("Query", json!({"collection": "bench", "filter": filter, "limit": 20}))
        }
    };
    json!({"type": name, "messageId": "m", "payload": payload}).to_string()
}

fn their_request(kind: Kind, which: usize) -> (&'static str, String, String) {
    match kind {
        Kind::Insert => ("POST", RECORDS.into(), record(which).to_string()),
        Kind::Get => ("GET", format!("{RECORDS}/{}", id(which % RECORDS_FILLED)), String::new()),
        Kind::Query => {
            let query = format!("filter=(group={})&perPage=20&skipTotal=1", which % GROUPS);
            ("GET", format!("{RECORDS}?{query}"), String::new())
        }
    }
}

fn record(which: usize) -> serde_json::Value {
    json!({"name": "record", "group": which % GROUPS, "text": "x".repeat(100)})
}
