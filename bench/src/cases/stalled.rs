//! Subscribers that stop reading while many changes come: what each of them costs in memory.

use std::io;
use std::net::SocketAddr;

use serde_json::json;

use crate::Settings;
use crate::client::Client;
use crate::peers;
use crate::report::{Section, verdict};

const STALLED: usize = 200;
/// Changes in one commit, in turn.
const BATCHES: [usize; 3] = [1, 10, 100];
/// After the last subscriber came.
const LAST_BATCHES: usize = 600;
const TARGET: f64 = 64.0;
/// The largest that the kernel keeps for a reader that does not read, so that they stall early.
const KERNEL_BUFFER: u32 = 8 * 1024;

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    // They are to be measured, not to be sent away.
    let tidewire = peers::tidewire(settings, &[("TIDEWIRE_LIMITS_STALL_SECONDS", "600".into())])?;
    let server = &tidewire.server;
    let mut writer = Writer::new(Client::connect(server.address, "/api/ws").await?);
    // Caches and pools are not counted as subscribers.
    let first = subscribe(server.address).await?;
    writer.write(STALLED + LAST_BATCHES).await?;
    drop(first);
    let before = server.memory()?;
    let mut stalled = Vec::with_capacity(STALLED);
    for _ in 0..STALLED {
        stalled.push(subscribe(server.address).await?);
        // Each begins to stall at another moment, so that they do not share what they miss.
        writer.write(1).await?;
    }
    writer.write(LAST_BATCHES).await?;
    let each = server.memory()?.saturating_sub(before) as f64 / STALLED as f64 / 1e3;
    Ok(Section {
        title: "Stalled subscribers (`stalled`)",
        method: format!(
            "{STALLED} subscribers that never read and come one after the other, a commit between two, so that each stalls at a moment of its own; \
             then {LAST_BATCHES} more commits. Commits have 1, 10 and 100 records of about 1 kB in turn. Growth of the server's \
             resident memory (anonymous) over that of a server that had as many inserts before with one such subscriber."
        ),
        columns: vec!["moment", "kB a subscriber"],
        rows: vec![vec!["after all inserts".into(), format!("{each:.1}")]],
        verdict: verdict("at most 64 kB a stalled subscriber", each <= TARGET, &format!("{each:.1} kB")),
    })
}

async fn subscribe(address: SocketAddr) -> io::Result<Client> {
    let mut client = Client::connect_with(address, "/api/ws", Some(KERNEL_BUFFER)).await?;
    client.ask("{\"type\":\"Subscribe\",\"messageId\":\"s\",\"payload\":{\"collection\":\"bench\"}}").await?;
    Ok(client)
}

/// Who writes.
struct Writer {
    client: Client,
    requests: Vec<String>,
    written: usize,
}

impl Writer {
    fn new(client: Client) -> Self {
        Self { client, requests: BATCHES.map(request).to_vec(), written: 0 }
    }

    async fn write(&mut self, batches: usize) -> io::Result<()> {
        for _ in 0..batches {
            self.client.ask(&self.requests[self.written % BATCHES.len()]).await?;
            self.written += 1;
        }
        Ok(())
    }
}

fn request(records: usize) -> String {
    let records: Vec<_> = (0..records).map(|_| json!({"text": "x".repeat(1_000)})).collect();
    json!({"type": "BatchInsert", "messageId": "b", "payload": {"collection": "bench", "records": records}})
        .to_string()
}
