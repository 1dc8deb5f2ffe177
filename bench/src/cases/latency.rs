//! What we add to a token between the model and the client's socket.
//!
//! The model is an HTTP server of this program that speaks like OpenAI and writes the time into each token; the client
//! takes the difference. So the way through the provider's socket, the engine, the log and the client's socket counts.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Settings;
use crate::client::{Client, is_type};
use crate::peers;
use crate::process::Server;
use crate::report::{Section, verdict};

const TOKENS: usize = 200;
const EVERY: Duration = Duration::from_millis(20);
/// Who answers how many chats at once.
const CHATS: [(usize, &str); 3] = [(1, "explorer"), (50, "explorer"), (200, "assistant")];
const TARGET_MS: f64 = 1.0;

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let env = [
        ("TIDEWIRE_MODEL", String::from("openai/clock")),
        ("TIDEWIRE_PROVIDER_BASE_URL", format!("http://{}/v1/", listener.local_addr()?)),
        ("OPENAI_API_KEY", String::from("none")),
    ];
    let provider = tokio::spawn(provide(listener));
    let tidewire = peers::tidewire(settings, &env)?;
    let (mut rows, mut worst) = (Vec::new(), 0.0_f64);
    for (chats, agent) in CHATS {
        let Measured { delays, cpu } = measure(&tidewire.server, chats, agent).await?;
        worst = worst.max(percentile(&delays, 50));
        let figures = [50, 95, 99].map(|p| format!("{:.2}", percentile(&delays, p)));
        rows.push(
            [vec![chats.to_string(), agent.into()], figures.to_vec(), vec![format!("{cpu:.0}")]].concat(),
        );
    }
    provider.abort();
    Ok(Section {
        title: "Time added to a token (`latency`)",
        method: format!(
            "An OpenAI-like provider on loopback writes the time into each of {TOKENS} tokens, one every {} ms; the client \
             reads it off when the frame arrives. The assistant is a graph of several nodes with checkpoints between them; \
             the explorer is one node. CPU is the server's, the chats' beginnings and ends included.",
            EVERY.as_millis()
        ),
        columns: vec!["chats at once", "agent", "p50 ms", "p95 ms", "p99 ms", "CPU µs a token"],
        rows,
        verdict: verdict("at most 1 ms p50", worst <= TARGET_MS, &format!("{worst:.2} ms")),
    })
}

/// What tokens took in milliseconds, sorted, and what they cost the server in microseconds of CPU each.
struct Measured {
    delays: Vec<f64>,
    cpu: f64,
}

async fn measure(server: &Server, chats: usize, agent: &'static str) -> io::Result<Measured> {
    let before = server.cpu()?;
    let converse = |chat| converse(server.address, format!("/ws/latency-{chats}-{chat}"), agent);
    let tasks: Vec<_> = (0..chats).map(|chat| tokio::spawn(converse(chat))).collect();
    let mut delays = Vec::new();
    for task in tasks {
        delays.extend(task.await.map_err(io::Error::other)??);
    }
    let cpu = (server.cpu()? - before).as_secs_f64() * 1e6 / delays.len() as f64;
    delays.sort_by(f64::total_cmp);
    Ok(Measured { delays, cpu })
}

async fn converse(address: SocketAddr, path: String, agent: &str) -> io::Result<Vec<f64>> {
    let mut client = Client::connect(address, &path).await?;
    let question =
        format!("{{\"content\":\"what time is it?\",\"partials\":\"delta\",\"agent\":\"{agent}\"}}");
    client.send(&question).await?;
    let mut delays = Vec::with_capacity(TOKENS);
    loop {
        let message = client.next().await?;
        let arrived = now_micros();
        if is_type(&message, "agent") {
            return Ok(delays);
        }
        delays.extend(stamps(&message).map(|sent| arrived.saturating_sub(sent) as f64 / 1000.0));
    }
}

/// The times in a delta frame; several if tokens were merged.
fn stamps(message: &[u8]) -> impl Iterator<Item = u64> {
    let message: serde_json::Value = serde_json::from_slice(message).unwrap_or_default();
    let delta = message["delta"].as_str().unwrap_or_default().to_owned();
    delta.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>().into_iter()
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or(f64::NAN)
}

fn now_micros() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

async fn provide(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    read_request(&mut stream).await?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        .await?;
    let mut ticks = tokio::time::interval(EVERY);
    for _ in 0..TOKENS {
        ticks.tick().await;
        let delta = format!("{{\"content\":\"{} \"}}", now_micros());
        stream.write_all(chunk(&delta, "null").as_bytes()).await?;
    }
    stream.write_all(chunk("{}", "\"stop\"").as_bytes()).await?;
    stream.write_all(b"data: [DONE]\n\n").await
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"clock\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// Reads the request's head and as much body as it announces.
async fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    loop {
        stream.read_buf(&mut request).await?;
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(());
        }
    }
}
