//! Full load for as long as one likes, while the server's memory is watched.
//!
//! What is kept is bounded: the same few hundred records come, change and go. So memory that grows is memory that is
//! lost. Usually this takes seconds and shows that the load runs and that nobody is told wrong; `cargo xtask soak` lets
//! it run for ten minutes (`TIDEWIRE_TEST_SOAK_SECONDS`), holds the slope against a bound, and reads the figures from the
//! file that `TIDEWIRE_TEST_REPORT` names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_client::{Client, Filter, Notice, Query, Record, SearchOptions, SubscribeOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::binary::{Server, free_address};
use crate::client::Client as Plain;
use crate::crash::check::Replica;
use crate::crash::load::{COLLECTION, Keeper, LONG, Progress, Talker, WORDS, Writer, text};
use crate::crash::{prepare, seed, setting};
use crate::proxy::Dice;

const WRITERS: usize = 8;
/// Records of one writer, at most.
const RECORDS: usize = 60;
const LISTENERS: usize = 20;
const TALKERS: usize = 8;
/// Questions in one chat.
const QUESTIONS: usize = 10;
const KEEPERS: usize = 2;
/// A slope is judged if memory was watched for so long.
const JUDGED: Duration = Duration::from_secs(240);
/// The bound of the slope, in bytes a minute.
const BOUND: f64 = 1024.0 * 1024.0;

/// What was done so far, by kind.
#[derive(Default)]
struct Done {
    writes: Progress,
    heard: AtomicU64,
    chunks: Progress,
    keys: Progress,
    questions: AtomicU64,
    visits: AtomicU64,
    rest: Arc<AtomicBool>,
    truth: watch::Sender<Option<Truth>>,
}

/// What is there in the end, and after how many changes.
struct Truth {
    offset: u64,
    records: Replica,
}

/// A client that bears with a busy machine.
async fn patient(server: SocketAddr) -> Client {
    Client::builder(format!("http://{server}")).timeout(LONG).connect().await.unwrap()
}

/// Hears every change; in the end it knows what is there.
async fn listen(server: SocketAddr, done: Arc<Done>) {
    let client = patient(server).await;
    let options = SubscribeOptions { after_offset: Some(0), filter: None };
    let mut subscription = client.subscribe_with(COLLECTION, options).await.unwrap();
    let (mut replica, mut truth) = (Replica::default(), done.truth.subscribe());
    loop {
        if let Some(truth) = &*truth.borrow_and_update()
            && subscription.offset() >= truth.offset
        {
            assert_eq!(subscription.offset(), truth.offset);
            return assert_eq!(replica.unlike(&truth.records), [], "a listener was told wrong");
        }
        tokio::select! {
            notice = tokio::time::timeout(LONG, subscription.next()) => {
                let notice = notice.expect("changes go on");
                let changes = match notice {
                    Some(Ok(Notice::Changes(changes))) => changes,
                    // The collection was made a moment ago.
                    Some(Ok(Notice::Schema { .. })) => continue,
                    other => panic!("{other:?}"),
                };
                replica.apply(&changes);
                done.heard.fetch_add(changes.ids.len() as u64, Ordering::Relaxed);
            }
            changed = truth.changed() => changed.unwrap(),
        }
    }
}

/// Reads what is there when nobody writes any more.
async fn truth(server: SocketAddr) -> Truth {
    let client = patient(server).await;
    let query = Query::new(COLLECTION).limit(100_000);
    let records: Vec<Record> = client.query(query).await.unwrap();
    let offset = client.subscribe(COLLECTION).await.unwrap().offset();
    Truth { offset, records: Replica::of(&records) }
}

/// Asks by words and by a filter, one after the other.
async fn ask(server: SocketAddr, done: Arc<Done>) {
    let client = patient(server).await;
    for word in WORDS.iter().cycle() {
        let hits = client.text_search::<Record>(COLLECTION, word, SearchOptions::default()).await;
        let query = Query::new(COLLECTION).filter(Filter::eq("n", 3)).limit(20);
        let records: Result<Vec<Record>, _> = client.query(query).await;
        assert!(hits.unwrap().iter().all(|hit| hit.record["text"].as_str().unwrap().starts_with(word)));
        assert!(records.unwrap().iter().all(|record| record["n"] == 3));
        done.questions.fetch_add(2, Ordering::Relaxed);
    }
}

/// Leads one short chat after the other.
async fn talk(server: SocketAddr, name: usize, seed: u64, done: Arc<Done>) {
    for number in 0.. {
        let talker = Talker::brief(name + TALKERS * number, seed + number as u64, QUESTIONS);
        let talker = talker.work(server, Arc::clone(&done.chunks)).await;
        assert_eq!(talker.talks.len(), QUESTIONS);
    }
}

/// Comes, says something, and is gone without a goodbye.
async fn visit(server: SocketAddr, done: Arc<Done>) {
    for number in 0_u64.. {
        let mut client = Plain::connect(server, &format!("/ws/visit-{}", number % 50)).await;
        client.send(json!({"after_seq": 0, "partials": "delta"})).await;
        let ready = text(&mut client).await.expect("it is let in");
        assert!(ready.contains(r#""type":"ready""#), "{ready}");
        done.visits.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Those who write, until it is time to rest.
fn writers(server: SocketAddr, done: &Arc<Done>, dice: &mut Dice) -> JoinSet<Writer> {
    let writer = |name| Writer::bounded(name, dice.roll(1 << 30), RECORDS, Arc::clone(&done.rest));
    (0..WRITERS).map(writer).map(|writer| writer.work(server, Arc::clone(&done.writes))).collect()
}

/// Those who ask and talk; they are sent home in the end.
fn crowd(server: SocketAddr, done: &Arc<Done>, dice: &mut Dice) -> JoinSet<()> {
    let mut work = JoinSet::new();
    for name in 0..TALKERS {
        work.spawn(talk(server, name, dice.roll(1 << 30), Arc::clone(done)));
    }
    for name in 0..KEEPERS {
        let (keeper, progress) = (Keeper::new(name, dice.roll(1 << 30)), Arc::clone(&done.keys));
        work.spawn(async move { drop(keeper.work(server, progress).await) });
    }
    for _ in 0..2 {
        work.spawn(ask(server, Arc::clone(done)));
    }
    work.spawn(visit(server, Arc::clone(done)));
    work
}

/// Resident memory of the process that is its own, in bytes; pages of mapped files are the system's cache.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What of that lies in the system's allocator, in bytes: the database's, whose caches fill up to their size. All else has
/// an allocator of its own.
fn of_database(process: u32) -> u64 {
    const ALIGNED: u64 = 64 << 20;
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let (mut is_its, mut sum) = (false, 0);
    for line in maps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or_default();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        if let Some((from, to)) = first.split_once('-').and_then(|(from, to)| Some((hex(from)?, hex(to)?))) {
            let is_arena = from % ALIGNED == 0 && to - from <= ALIGNED && rest.contains(" 00:00 0 ");
            is_its = line.ends_with("[heap]") || (is_arena && !line.ends_with(']'));
        } else if is_its && first == "Anonymous:" {
            sum += rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
        }
    }
    sum
}

/// CPU time of all its threads.
fn cpu(process: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |path: std::path::PathBuf| -> Option<u64> {
        std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(tasks.filter_map(|task| of(task.ok()?.path())).sum())
}

/// How much the line that fits best rises, per minute.
fn slope(samples: &[(Duration, u64)]) -> f64 {
    let minutes = |at: Duration| at.as_secs_f64() / 60.0;
    let count = samples.len() as f64;
    let middle = samples.iter().map(|(at, _)| minutes(*at)).sum::<f64>() / count;
    let mean = samples.iter().map(|(_, bytes)| *bytes as f64).sum::<f64>() / count;
    let (mut rise, mut run) = (0.0, 0.0);
    for (at, bytes) in samples {
        let away = minutes(*at) - middle;
        rise += away * (*bytes as f64 - mean);
        run += away * away;
    }
    rise / run
}

/// What it was on average in each whole minute.
fn by_minute(samples: &[(Duration, u64)]) -> Vec<u64> {
    let of = |minute: u64| {
        samples.iter().filter(move |(at, _)| at.as_secs() / 60 == minute).map(|(_, bytes)| *bytes)
    };
    let minutes = samples.last().map_or(0, |(at, _)| at.as_secs() / 60);
    (0..minutes).map(|minute| of(minute).sum::<u64>() / of(minute).count().max(1) as u64).collect()
}

#[test]
fn a_minute_is_the_mean_of_what_was_read_in_it() {
    let samples: Vec<_> = (0..130).map(|second| (Duration::from_secs(second), second / 60)).collect();
    assert_eq!(by_minute(&samples), [0, 1]);
}

#[test]
fn a_slope_is_what_a_minute_adds() {
    let samples: Vec<_> = (0..120).map(|second| (Duration::from_secs(second), 1_000 + 50 * second)).collect();
    assert!((slope(&samples) - 3_000.0).abs() < 1e-6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_full_load_nobody_is_told_wrong_and_memory_stays_flat() {
    let length = Duration::from_secs(setting("TIDEWIRE_TEST_SOAK_SECONDS").unwrap_or(5));
    let seed = seed();
    eprintln!("TIDEWIRE_TEST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    // Who is not read for long may be one whom a busy machine keeps from reading.
    let patience = LONG.as_secs().to_string();
    let settings = [("LIMITS_STALL_SECONDS", patience.as_str())];
    let server = Server::with_settings(&folder.path().join("data"), free_address(), &settings).await;
    prepare(&server).await;
    let (done, process) = (Arc::<Done>::default(), server.id());
    let mut listeners: JoinSet<()> =
        (0..LISTENERS).map(|_| listen(server.address, Arc::clone(&done))).collect();
    let mut dice = Dice(seed);
    let mut writing = writers(server.address, &done, &mut dice);
    let mut work = crowd(server.address, &done, &mut dice);
    let (began, used) = (Instant::now(), cpu(process));
    let (mut samples, mut database) = (Vec::new(), Vec::new());
    let mut every = tokio::time::interval(Duration::from_millis(500));
    let mut seldom = tokio::time::interval(Duration::from_secs(5));
    while began.elapsed() < length {
        tokio::select! {
            ended = work.join_next() => panic!("one of the crowd ended before its time: {ended:?}"),
            _ = writing.join_next() => panic!("a writer ended before its time"),
            ended = listeners.join_next() => panic!("a listener ended before its time: {ended:?}"),
            _ = every.tick() => samples.push((began.elapsed(), memory(process))),
            _ = seldom.tick() => database.push((began.elapsed(), of_database(process))),
        }
    }
    let (took, used) = (began.elapsed(), cpu(process) - used);
    work.shutdown().await;
    done.rest.store(true, Ordering::Relaxed);
    let slowest = writing.join_all().await.iter().map(|writer| writer.slowest).max().unwrap();
    done.truth.send_replace(Some(truth(server.address).await));
    listeners.join_all().await;
    report(&done, (&samples, &database), took, (used, slowest));
}

/// When, and how many bytes.
type Samples = [(Duration, u64)];

fn report(
    done: &Done,
    (samples, database): (&Samples, &Samples),
    took: Duration,
    (used, slowest): (Duration, Duration),
) {
    // Caches fill at first.
    let warm: Vec<_> = samples.iter().copied().filter(|(at, _)| *at * 5 >= took).collect();
    let bytes = warm.iter().map(|(_, bytes)| *bytes);
    let (least, most, slope) = (bytes.clone().min().unwrap(), bytes.max().unwrap(), slope(&warm));
    let count = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let report = json!({
        "seconds": took.as_secs_f64(), "cpu_seconds": used.as_secs_f64(), "slowest": slowest.as_secs_f64(),
        "first": samples[0].1, "least": least, "most": most, "last": samples.last().unwrap().1,
        "by_minute": by_minute(samples), "database_by_minute": by_minute(database), "slope_per_minute": slope, "bound_per_minute": BOUND,
        "writes": count(&done.writes), "heard": count(&done.heard), "chunks": count(&done.chunks),
        "keys": count(&done.keys), "questions": count(&done.questions), "visits": count(&done.visits),
        "listeners": LISTENERS, "writers": WRITERS, "talkers": TALKERS,
    });
    eprintln!("{report:#}");
    if let Some(file) = std::env::var_os("TIDEWIRE_TEST_REPORT") {
        std::fs::write(file, report.to_string()).unwrap();
    }
    for figure in [&*done.writes, &done.heard, &*done.chunks, &*done.keys, &done.questions, &done.visits] {
        assert!(count(figure) > 0, "some of the load did not run");
    }
    if took >= JUDGED {
        assert!(slope <= BOUND, "memory grows by {:.0} kB a minute", slope / 1024.0);
    }
}
