//! Ten thousand idle connections: what one costs in memory.

use std::io;
use std::net::SocketAddr;

use crate::Settings;
use crate::client::{Client, is_type};
use crate::peers;
use crate::report::{Section, verdict};

const CONNECTIONS: usize = 10_000;
const LARGE: usize = 100;
const LARGE_BYTES: usize = 1024 * 1024 - 1024;
const TARGET: f64 = 8.0;

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let tidewire = peers::tidewire(settings, &[])?;
    let server = &tidewire.server;
    // The same traffic once before, so that pools and caches are not counted as connections.
    warm_up(server.address).await?;
    let before = server.memory()?;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        clients.push(open(server.address, &format!("idle-{number}")).await?);
    }
    let opened = server.memory()?;
    for client in clients.iter_mut().take(LARGE) {
        large_reply(client).await?;
    }
    let after = server.memory()?;
    let each = |memory: u64| (memory.saturating_sub(before)) as f64 / CONNECTIONS as f64 / 1024.0;
    Ok(Section {
        title: "Idle connections (`idle`)",
        method: format!(
            "{CONNECTIONS} connections to `/ws/{{id}}`, each with a session of its own that it follows; then {LARGE} of them get a \
             reply of 1 MiB (the echo of a message). Growth of the server's resident memory (anonymous) over that of a server \
             that had one such connection before."
        ),
        columns: vec!["moment", "KiB a connection"],
        rows: vec![
            vec!["all connected and following".into(), format!("{:.2}", each(opened))],
            vec![format!("after {LARGE} replies of 1 MiB"), format!("{:.2}", each(after))],
        ],
        verdict: verdict(
            "at most 8 kB a connection",
            each(after) * 1.024 <= TARGET,
            &format!("{:.2} kB", each(after) * 1.024),
        ),
    })
}

async fn open(address: SocketAddr, session: &str) -> io::Result<Client> {
    let mut client = Client::connect(address, &format!("/ws/{session}")).await?;
    client.send("{\"after_seq\":0,\"partials\":\"delta\"}").await?;
    while !is_type(&client.next().await?, "ready") {}
    Ok(client)
}

async fn large_reply(client: &mut Client) -> io::Result<()> {
    client.send(&format!("{{\"content\":\"{}\"}}", "x".repeat(LARGE_BYTES))).await?;
    while !is_type(&client.next().await?, "agent") {}
    Ok(())
}

async fn warm_up(address: SocketAddr) -> io::Result<()> {
    large_reply(&mut open(address, "warm-up").await?).await
}
