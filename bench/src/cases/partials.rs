//! What cumulative partials cost in bytes beside per-token deltas, at three speeds.

use std::io;

use crate::Settings;
use crate::client::{Client, is_type};
use crate::peers;
use crate::report::{Section, verdict};

const TOKENS: usize = 200;
/// Total seconds that the answer takes, and the milliseconds between two tokens.
const SPEEDS: [(&str, u64); 3] = [("full speed", 0), ("4 s", 20), ("20 s", 100)];

pub(super) async fn run(settings: &Settings) -> io::Result<Section> {
    let tidewire = peers::tidewire(settings, &[])?;
    let address = tidewire.server.address;
    // At this speed no two tokens wait for the same socket, so that these are the bytes of unmerged deltas.
    let deltas = bytes(Client::connect(address, "/ws/bench-deltas").await?, 100, "delta").await?;
    let mut rows = vec![vec!["deltas, one a token".into(), "20 s".into(), deltas.to_string(), "1.00".into()]];
    let mut worst: f64 = 0.0;
    for (name, every) in SPEEDS {
        let client = Client::connect(address, &format!("/ws/bench-snapshots-{every}")).await?;
        let snapshots = bytes(client, every, "snapshot").await?;
        let ratio = snapshots as f64 / deltas as f64;
        worst = worst.max(ratio);
        rows.push(vec!["snapshots".into(), name.into(), snapshots.to_string(), format!("{ratio:.2}")]);
    }
    Ok(Section {
        title: "Cumulative partials (`partials`)",
        method: format!(
            "One answer of {TOKENS} tokens of six characters to a client of the founding documents, which gets the text so far \
             again and again; all bytes of all frames, beside the bytes of one delta frame a token."
        ),
        columns: vec!["frames", "answer takes", "bytes", "ratio"],
        rows,
        verdict: verdict(
            "at most 2 times the bytes of per-token deltas",
            worst <= 2.0,
            &format!("{worst:.2} times at worst"),
        ),
    })
}

async fn bytes(mut client: Client, every: u64, partials: &str) -> io::Result<usize> {
    let pace = if every == 0 { String::new() } else { format!(" every {every} ms") };
    client.send(&format!("{{\"content\":\"{TOKENS} tokens{pace}\",\"partials\":\"{partials}\"}}")).await?;
    while !is_type(&client.next().await?, "agent") {}
    Ok(client.received)
}
