//! From an insert to the last of a thousand subscribers, beside PocketBase.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Settings;
use crate::client::{Client, find};
use crate::http::{Events, Http};
use crate::peers;
use crate::peers::pocketbase::{self, RECORDS};
use crate::report::{Section, median, spread, verdict};

const SUBSCRIBERS: usize = 1_000;
const INSERTS: usize = 100;
/// Inserts before, uncounted: the first one makes our collection and opens files.
const WARM_UP: usize = 5;
/// Between two inserts, so that each is measured alone.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..settings.pairs {
        eprintln!("   pair {} of {}", pair + 1, settings.pairs);
        let tidewire = peers::tidewire(settings, &[])?;
        ours.push(measure(tidewire.server.address, true).await?);
        drop(tidewire);
        let pocketbase = pocketbase::start(&settings.cache, 0, 1).await?;
        theirs.push(measure(pocketbase.server.address, false).await?);
    }
    let each = |runs: &[Vec<Duration>], share: f64| {
        let at =
            |times: &Vec<Duration>| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        runs.iter().map(at).collect::<Vec<_>>()
    };
    let row = |name: &str, runs: &[Vec<Duration>]| {
        vec![name.to_owned(), spread(&each(runs, 0.5), 1), spread(&each(runs, 0.99), 1)]
    };
    let ratios: Vec<f64> = each(&ours, 0.99).iter().zip(each(&theirs, 0.99)).map(|(a, b)| b / a).collect();
    Ok(Section {
        title: "Insert to notification (`notify`)",
        method: format!(
            "{INSERTS} inserts, one every {} ms, each to {SUBSCRIBERS} subscribers; from the moment before the request is sent until each \
             subscriber has the change, {} alternated pairs. The load generator reads all of them on one core.",
            PAUSE.as_millis(),
            settings.pairs
        ),
        columns: vec!["server", "p50 ms", "p99 ms"],
        rows: vec![row("Tidewire", &ours), row("PocketBase 0.40.6", &theirs)],
        verdict: verdict(
            "p99 at most a quarter of PocketBase's",
            median(&ratios) >= 4.0,
            &format!("PocketBase's is {} times ours", spread(&ratios, 1)),
        ),
    })
}

/// The times from insert to arrival of all deliveries, ascending.
async fn measure(address: SocketAddr, is_ours: bool) -> io::Result<Vec<Duration>> {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    for _ in 0..SUBSCRIBERS {
        let arrived = arrived.clone();
        if is_ours {
            tokio::spawn(listen(subscribe(address).await?, arrived));
        } else {
            tokio::spawn(listen_events(subscribe_events(address).await?, arrived));
        }
    }
    let mut times = Vec::with_capacity(INSERTS * SUBSCRIBERS);
    let (mut client, mut http) = (Client::connect_if(is_ours, address).await?, Http::connect(address).await?);
    for number in 0..WARM_UP + INSERTS {
        let record = json!({"name": format!("record {number}"), "group": 1, "text": "x".repeat(200)});
        let begun = Instant::now();
        match &mut client {
            Some(client) => {
                let insert = json!({"type": "Insert", "messageId": "i", "payload": {"collection": "bench", "record": record}});
                client.ask(&insert.to_string()).await?;
            }
            None => http.ask("POST", RECORDS, "", &record.to_string()).await.map(drop)?,
        }
        for _ in 0..SUBSCRIBERS {
            let at: Option<Instant> = timeout(PATIENCE, arrivals.recv()).await.map_err(io::Error::other)?;
            let at = at.ok_or_else(|| io::Error::other("the subscribers were disconnected"))?;
            if number >= WARM_UP {
                times.push(at.saturating_duration_since(begun));
            }
        }
        tokio::time::sleep(PAUSE.saturating_sub(begun.elapsed())).await;
    }
    times.sort_unstable();
    Ok(times)
}

impl Client {
    async fn connect_if(wanted: bool, address: SocketAddr) -> io::Result<Option<Self>> {
        if wanted { Self::connect(address, "/api/ws").await.map(Some) } else { Ok(None) }
    }
}

async fn subscribe(address: SocketAddr) -> io::Result<Client> {
    let mut client = Client::connect(address, "/api/ws").await?;
    client.ask("{\"type\":\"Subscribe\",\"messageId\":\"s\",\"payload\":{\"collection\":\"bench\"}}").await?;
    Ok(client)
}

async fn listen(mut client: Client, arrived: mpsc::UnboundedSender<Instant>) {
    while let Ok(message) = client.next().await {
        if find(&message, b"MutationNotification").is_some() && arrived.send(Instant::now()).is_err() {
            return;
        }
    }
}

async fn subscribe_events(address: SocketAddr) -> io::Result<Events> {
    let mut events = Http::connect(address).await?.events("/api/realtime").await?;
    let hello = events.next().await?;
    let id = hello
        .split_once("\"clientId\":\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(id, _)| id);
    let body = json!({"clientId": id, "subscriptions": ["bench"]}).to_string();
    Http::connect(address).await?.ask_without_answer("/api/realtime", &body).await?;
    Ok(events)
}

async fn listen_events(mut events: Events, arrived: mpsc::UnboundedSender<Instant>) {
    while let Ok(event) = events.next().await {
        if event.contains("\"action\"") && arrived.send(Instant::now()).is_err() {
            return;
        }
    }
}
