//! A process that is killed loses nothing that it had acknowledged.
//!
//! The test starts itself a second time as the process that will be killed: that one runs
//! [`the_process_that_is_killed`] with a folder in its environment, and says on its standard output what was
//! acknowledged to it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidewire_engine::id::{Epoch, Offset, RecordId, RunId, Seq, Timestamp};
use tidewire_engine::query::{Body, Query, Record, Search, VectorSearch};
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

/// A store that keeps changes of 1970.
fn open(folder: &Path) -> Sqlite {
    Sqlite::open(Settings { keep_for: Duration::MAX, ..Settings::new(folder) }).unwrap()
}

async fn write_for_ever(folder: &Path) {
    let store = Arc::new(open(folder));
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
        let store = open(&folder);
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

/// How many inserts are under way at once when the process is killed.
const CONCURRENT: usize = 1_000;
/// How many rounds; a few unless said otherwise.
const ROUNDS: &str = "TIDEWIRE_TEST_CRASH_ROUNDS";
const STORM: &str = "TIDEWIRE_TEST_CRASH_STORM_FOLDER";
const WORDS: [&str; 5] = ["green", "black", "white", "oolong", "mint"];

/// Does nothing unless it was started by the test below.
#[test]
fn the_process_that_is_killed_in_a_storm() {
    let Some(folder) = std::env::var_os(STORM) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(insert_for_ever(Path::new(&folder)));
}

/// Each caller inserts one record after the other, some of a batch of two, and says which were acknowledged.
async fn insert_for_ever(folder: &Path) {
    let store = Arc::new(open(folder));
    let tasks: Vec<_> = (0..CONCURRENT)
        .map(|caller| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0_u64.. {
                    let ids: Vec<String> =
                        (0..=number % 2).map(|part| format!("{caller}-{number}-{part}")).collect();
                    let writes = ids.iter().map(|id| tea(id, number)).collect();
                    store.edit(&"ann".into(), Timestamp(1), writes, true).await.unwrap();
                    let mut output = std::io::stdout().lock();
                    for id in ids {
                        writeln!(output, "stored {id}").unwrap();
                    }
                    output.flush().unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn tea(id: &str, number: u64) -> Write {
    let word = WORDS[usize::try_from(number).unwrap() % WORDS.len()];
    let body: Body = serde_json::json!({"tea": word, "vector": [number, 1]}).as_object().unwrap().clone();
    Write::new("teas", RecordId(id.to_owned()), Operation::Insert(body))
}

/// Starts the process on a folder, kills it in the midst of its inserts, and returns what it had acknowledged.
fn kill_in_storm(folder: &Path, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_that_is_killed_in_a_storm", "--nocapture"])
        .env(STORM, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (mut stored, mut line) = (Vec::new(), String::new());
    while stored.len() < after && output.read_line(&mut line).unwrap() > 0 {
        stored.extend(line.trim().rsplit_once("stored ").map(|(_, id)| id.to_owned()));
        line.clear();
    }
    child.kill().unwrap(); // SIGKILL: no destructor runs
    child.wait().unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let (whole, _) = rest.rsplit_once('\n').unwrap_or_default();
    stored.extend(whole.lines().filter_map(|line| line.rsplit_once("stored ")).map(|(_, id)| id.to_owned()));
    assert!(stored.len() >= after, "the process ended by itself after {} inserts", stored.len());
    stored
}

#[tokio::test]
async fn a_storm_of_inserts_survives_a_kill() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2);
    let dir = tempfile::tempdir().unwrap();
    for round in 0..rounds {
        let folder = dir.path().join(round.to_string());
        let store = open(&folder);
        let seed = store.commit(&"ann".into(), Timestamp(1), vec![tea("seed", 0)]).await;
        seed.unwrap();
        // The indexes are made before, so that the inserts themselves keep them.
        hits(&store, "green").await;
        near(&store).await;
        store.close().await.unwrap();
        drop(store);
        let stored = kill_in_storm(&folder, 1_500 + 97 * round);
        check_storm(&open(&folder), &stored).await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

async fn check_storm(store: &Sqlite, stored: &[String]) {
    let records = store.query(&Query::all("teas", usize::MAX)).await.unwrap();
    let ids: BTreeSet<&str> = records.iter().map(|record| record.id.0.as_str()).collect();
    let lost: Vec<_> = stored.iter().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    for id in &ids {
        let Some((batch, "1")) = id.rsplit_once('-') else { continue };
        assert!(ids.contains(&*format!("{batch}-0")), "half of a batch: {id}");
    }
    let changes = store.changes("teas", Offset(0), usize::MAX).await.unwrap();
    assert!((1..=changes.len() as u64).eq(changes.iter().map(|change| change.offset.0)), "no gap");
    let mut changed: Vec<&str> = changes.iter().map(|change| change.id.0.as_str()).collect();
    changed.sort_unstable();
    assert!(changed.into_iter().eq(ids.iter().copied()), "every record is in the log exactly once");
    assert_eq!(store.count("teas", None).await.unwrap(), records.len() as u64);
    for word in WORDS {
        let of_word = |record: &&Record| record.body["tea"] == word;
        let expected: BTreeSet<&str> =
            records.iter().filter(of_word).map(|record| record.id.0.as_str()).collect();
        let found = hits(store, word).await;
        assert!(found.iter().map(String::as_str).eq(expected), "full text agrees on {word}");
    }
    assert!(near(store).await.iter().map(String::as_str).eq(ids.iter().copied()), "vectors agree");
}

async fn hits(store: &Sqlite, word: &str) -> BTreeSet<String> {
    let found = store.search(&Search::words("teas", word, 1_000_000)).await.unwrap();
    found.into_iter().map(|hit| hit.record.id.0).collect()
}

async fn near(store: &Sqlite) -> BTreeSet<String> {
    let vector = VectorSearch {
        field: "vector".into(),
        vector: vec![1.0, 1.0],
        metric: None,
        k: 1_000_000,
        threshold: None,
        weight: 1.0,
    };
    let search = Search { text: None, vector: Some(vector), ..Search::words("teas", "", 1_000_000) };
    store.search(&search).await.unwrap().into_iter().map(|hit| hit.record.id.0).collect()
}
