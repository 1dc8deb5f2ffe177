//! Subscribers that stop reading while many changes come: what each of them costs in memory.

use std::io;

use serde_json::json;

use crate::Settings;
use crate::client::Client;
use crate::peers;
use crate::report::{Section, verdict};

const STALLED: usize = 200;
const BATCHES: usize = 200;
const BATCH: usize = 100;
const TARGET: f64 = 64.0;

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let tidewire = peers::tidewire(settings, &[])?;
    let server = &tidewire.server;
    let mut writer = Client::connect(server.address, "/api/ws").await?;
    write(&mut writer).await?; // caches and pools are not counted as subscribers
    let before = server.memory()?;
    let mut stalled = Vec::with_capacity(STALLED);
    for _ in 0..STALLED {
        let mut client = Client::connect(server.address, "/api/ws").await?;
        client
            .ask("{\"type\":\"Subscribe\",\"messageId\":\"s\",\"payload\":{\"collection\":\"bench\"}}")
            .await?;
        stalled.push(client);
    }
    write(&mut writer).await?;
    let each = server.memory()?.saturating_sub(before) as f64 / STALLED as f64 / 1e3;
    Ok(Section {
        title: "Stalled subscribers (`stalled`)",
        method: format!(
            "{STALLED} subscribers that never read, while {} records of about 1 kB are inserted in batches of {BATCH}. Growth of the server's \
             resident memory over that of a server that had the same inserts before without subscribers.",
            BATCHES * BATCH
        ),
        columns: vec!["moment", "kB a subscriber"],
        rows: vec![vec!["after all inserts".into(), format!("{each:.1}")]],
        verdict: verdict("at most 64 kB a stalled subscriber", each <= TARGET, &format!("{each:.1} kB")),
    })
}

async fn write(writer: &mut Client) -> io::Result<()> {
    let records: Vec<_> = (0..BATCH).map(|_| json!({"text": "x".repeat(1_000)})).collect();
    let insert = json!({"type": "BatchInsert", "messageId": "b", "payload": {"collection": "bench", "records": records}});
    let insert = insert.to_string();
    for _ in 0..BATCHES {
        writer.ask(&insert).await?;
    }
    Ok(())
}
