//! A process that is killed loses nothing that it had acknowledged.
//!
//! The test starts itself a second time as the process that will be killed: that one runs
//! [`the_process_that_is_killed`] with a folder in its environment, and says on its standard output what was
//! acknowledged to it.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use tidewire_engine::id::{Epoch, Offset, RecordId, RunId, Seq, Timestamp};
use tidewire_engine::query::{Body, Query};
use tidewire_engine::store::entry::{LogEntry, Mark};
use tidewire_engine::store::sqlite::{Settings, Sqlite};
use tidewire_engine::store::{Operation, Store, Write};

const FOLDER: &str = "TIDEWIRE_TEST_CRASH_FOLDER";
const WRITERS: usize = 8;

/// Does nothing unless it was started by the test below.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write_for_ever(Path::new(&folder)));
}

async fn write_for_ever(folder: &Path) {
    let store = Arc::new(Sqlite::open(Settings::new(folder)).unwrap());
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let session = format!("s{writer}").parse().unwrap();
                let chat = store.open_session(&"ann".into(), &session, Timestamp(1)).await.unwrap().chat;
                for number in 1_u64.. {
                    store.commit(&"ann".into(), Timestamp(1), vec![record(writer, number)]).await.unwrap();
                    store.append(vec![entry(chat, store.epoch(), number)]).await.unwrap();
                    let mut output = std::io::stdout().lock();
                    writeln!(output, "acknowledged {writer} {number}").unwrap();
                    output.flush().unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn record(writer: usize, number: u64) -> Write {
    let id = RecordId(format!("{writer}-{number}"));
    Write::new("c", id, Operation::Insert(Body::new()))
}

fn entry(chat: tidewire_engine::ChatId, epoch: Epoch, number: u64) -> LogEntry {
    LogEntry {
        chat,
        from: Seq(number),
        to: Seq(number),
        epoch,
        at: Timestamp(1),
        run: Some(RunId::new()),
        mark: Mark::Coarse,
        message_id: None,
        title: None,
        body: Bytes::from_static(b"{}"),
    }
}

/// Runs the process until it has acknowledged so many writes, kills it, and returns the last number of each writer.
fn kill_after(folder: &Path, writes: usize) -> [u64; WRITERS] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (mut last, mut count, mut line) = ([0; WRITERS], 0, String::new());
    while count < writes && output.read_line(&mut line).unwrap() > 0 {
        count += usize::from(note(&line, &mut last));
        line.clear();
    }
    child.kill().unwrap(); // SIGKILL: no destructor runs
    child.wait().unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let (whole, _) = rest.rsplit_once('\n').unwrap_or_default();
    for line in whole.lines() {
        note(line, &mut last);
    }
    assert!(count >= writes, "the process ended by itself after {count} writes");
    last
}

fn note(line: &str, last: &mut [u64; WRITERS]) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| *word != "acknowledged").skip(1);
    let (Some(writer), Some(number)) = (words.next(), words.next()) else { return false };
    last[writer.parse::<usize>().unwrap()] = number.parse().unwrap();
    true
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let folder = dir.path().join(round.to_string());
        let acknowledged = kill_after(&folder, 200 * round);
        let store = Sqlite::open(Settings::new(&folder)).unwrap();
        assert_eq!(store.epoch(), Epoch(2));
        for (writer, last) in acknowledged.into_iter().enumerate() {
            check_writer(&store, writer, last).await;
        }
        let (count, changes) =
            (store.count("c", None).await.unwrap(), store.changes("c", Offset(0), 100_000).await);
        assert_eq!(store.query(&Query::all("c", 100_000)).await.unwrap().len() as u64, count);
        assert!((1..=count).eq(changes.unwrap().iter().map(|change| change.offset.0)), "no gap");
    }
}

async fn check_writer(store: &Sqlite, writer: usize, last: u64) {
    for number in 1..=last {
        let id = RecordId(format!("{writer}-{number}"));
        assert!(store.get("c", &id).await.unwrap().is_some(), "record {} was acknowledged", id.0);
    }
    let session = format!("s{writer}").parse().unwrap();
    let head = store.open_session(&"ann".into(), &session, Timestamp(1)).await.unwrap();
    assert!(head.last_seq >= Seq(last), "entry {last} of writer {writer} was acknowledged");
    let log = store.read(head.chat, Seq::START, 100_000).await.unwrap();
    assert!((1..=head.last_seq.0).eq(log.iter().map(|entry| entry.to.0)), "the log tiles");
}
