//! RFC 6455 by the cases of the Autobahn test suite, against exactly the socket that every dialect stands on.
//!
//! A dialect that echoes is served; everything under it (door, socket loop, pipe, wire) is the server's own. Somebody
//! else's program asks (`kosoku`, which carries Autobahn's cases), and what it judged of each case is compared with
//! `tests/foreign/autobahn.json`: a case that fails, and one that is judged differently, both fail this test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidewire_engine::{Error, Event, Reply};
use tidewire_protocols::{Frame, Incoming, Opening, Protocol, Rate, Refusal, Session, Step, Ticket};

use crate::house::House;

/// Says what it hears.
const ECHO: Protocol = Protocol {
    name: "echo",
    path: "/",
    also: &[],
    open,
    rate: Rate::Unlimited,
    origin_close_code: 4003,
    max_message: 64 * 1024 * 1024,
    ping_every: Duration::from_secs(30),
    first_ping_after: Duration::ZERO,
    transcripts: &[],
};

fn open(_: Opening<'_>) -> Result<Box<dyn Session>, Refusal> {
    Ok(Box::new(Echo))
}

struct Echo;

impl Session for Echo {
    fn decode(&mut self, frame: Incoming<'_>, _: Instant) -> Step {
        let frame = match frame {
            Incoming::Text(text) => Frame::text(text),
            Incoming::Binary(bytes) => Frame::Binary(Bytes::copy_from_slice(bytes)),
        };
        Step { frames: vec![frame], commands: Vec::new() }
    }

    fn reply(&mut self, _: Ticket, _: Result<Reply, Error>, _: Instant, _: &mut Vec<Frame>) {}

    fn event(&mut self, _: &Event, _: Instant, _: &mut Vec<Frame>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn tick(&mut self, _: Instant, _: &mut Vec<Frame>) {}
}

/// What the suite judged: of the messages, and of the closing.
type Verdicts = BTreeMap<String, (String, String)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_keeps_to_the_rules_in_every_case_of_the_autobahn_suite() {
    let house = House::with(|plan| plan.protocols = &[ECHO]).await;
    let address = format!("ws://{}/", house.address);
    let verdicts = tokio::task::spawn_blocking(move || judge(&address)).await.unwrap();
    let failed: Verdicts = verdicts.clone().into_iter().filter(|(_, verdict)| !is_good(verdict)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let path = root().join("tests/foreign/autobahn.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, lines(&verdicts)).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert_eq!(lines(&verdicts), expected, "the behaviour has changed; UPDATE_GOLDEN=1 if that is meant");
    house.stopped().await;
}

fn is_good((behavior, close): &(String, String)) -> bool {
    ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&&**behavior)
        && ["OK", "INFORMATIONAL"].contains(&&**close)
}

/// Lets the suite drive the server at this address. What it says beside its verdicts goes to the test's output.
fn judge(address: &str) -> Verdicts {
    let folder = std::env::var("TIDEWIRE_FOREIGN").expect(
        "TIDEWIRE_FOREIGN must be the folder of foreign programs; `cargo xtask test` installs them and sets this",
    );
    let mut suite = Command::new(Path::new(&folder).join("bin/python"));
    suite.arg(root().join("tests/foreign/autobahn.py")).arg(address);
    let output = suite.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the suite ended with {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A line a case, so that a change is one.
fn lines(verdicts: &Verdicts) -> String {
    let lines: Vec<_> = verdicts
        .iter()
        .map(|(case, verdict)| format!("  {case:?}: {}", serde_json::to_string(verdict).unwrap()))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
