//! The clock is set: an hour back, an hour ahead. What has an order keeps it, since offsets and sequence numbers are
//! counted and not read from the clock; what has a time goes by the clock as it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_engine::agent::Agents;
use tidewire_engine::edit::Ttl;
use tidewire_engine::id::{Clock, ManualClock, Offset, RecordId, Seq, Timestamp};
use tidewire_engine::model::Models;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::query::Body;
use tidewire_engine::store::sqlite::{self, Sqlite};
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{Change, Engine, LocalBus, Parts, Settings};

use crate::chat::rig::{Client, SESSION, answer, counting};

const HOUR: i64 = 3_600_000_000;
/// What the clock shows at first; then it is set back, ahead, and back again.
const SHOWN: [i64; 4] = [10 * HOUR, 9 * HOUR, 11 * HOUR, 10 * HOUR];
const EACH: u64 = 10;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp(SHOWN[0])))
}

fn store(folder: &std::path::Path, clock: &Arc<ManualClock>, keep_for: Duration) -> Arc<Sqlite> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Arc::new(Sqlite::open(sqlite::Settings { clock, keep_for, ..sqlite::Settings::new(folder) }).unwrap())
}

fn insert(id: String) -> Write {
    let body: Body = json!({"text": "tea"}).as_object().unwrap().clone();
    Write::new("c", RecordId(id), Operation::Insert(body))
}

/// Some records at each of the times; the changes as the log has them.
async fn write(store: &Sqlite, clock: &ManualClock) -> Vec<Change> {
    let mut told = Vec::new();
    for (turn, shown) in SHOWN.into_iter().enumerate() {
        clock.set(Timestamp(shown));
        for number in 0..EACH {
            let writes = vec![insert(format!("{turn}-{number}"))];
            told.extend(store.commit(&"ann".into(), clock.now(), writes).await.unwrap());
        }
    }
    told
}

/// Looks until it is so; the store's chores are done every second.
async fn becomes<F: Future<Output = bool>>(mut look: impl FnMut() -> F) {
    let began = Instant::now();
    while !look().await {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not become so");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_change_log_goes_on_in_order_whatever_the_clock_shows() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let store = store(folder.path(), &clock, Duration::MAX);
    let told = write(&store, &clock).await;
    let kept = store.changes("c", Offset(0), 1_000).await.unwrap();
    assert_eq!(kept, told);
    assert!((1..=4 * EACH).eq(kept.iter().map(|change| change.offset.0)));
    let times = kept.chunks(EACH as usize).map(|turn| turn[0].at.0);
    assert!(times.eq(SHOWN), "a change has the time that was shown");
}

/// Ages of a log that was written under a clock that was set are no row any more. What is dropped is still its beginning.
#[tokio::test]
async fn a_log_is_shortened_from_its_beginning_whatever_the_clock_showed() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let store = store(folder.path(), &clock, Duration::from_secs(90 * 60));
    write(&store, &clock).await;
    clock.set(Timestamp(SHOWN[2] + HOUR));
    let first = || async { store.log("c").await.unwrap().first.0 };
    becomes(|| async { first().await > 1 }).await;
    let first = first().await;
    let kept = store.changes("c", Offset(first - 1), 1_000).await.unwrap();
    assert!((first..=4 * EACH).eq(kept.iter().map(|change| change.offset.0)), "{first}");
    assert_eq!(store.count("c", None).await.unwrap(), 4 * EACH);
}

#[tokio::test]
async fn a_record_lives_until_the_clock_shows_its_end_and_does_not_come_back() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let store = store(folder.path(), &clock, Duration::MAX);
    let half_an_hour = Ttl { after: Duration::from_secs(1_800), renewed_by_access: false };
    let brief = insert("brief".into()).ttl(Some(half_an_hour));
    store.commit(&"ann".into(), clock.now(), vec![brief, insert("lasting".into())]).await.unwrap();
    let there = || async { store.count("c", None).await.unwrap() };
    clock.set(Timestamp(SHOWN[0] - HOUR));
    assert_eq!(there().await, 2, "an hour back takes nothing away");
    clock.set(Timestamp(SHOWN[0] + HOUR));
    assert_eq!(there().await, 1);
    becomes(|| async { store.changes("c", Offset(2), 9).await.unwrap().len() == 1 }).await;
    clock.set(Timestamp(SHOWN[0]));
    assert_eq!(there().await, 1, "its end was told, so it stays away");
    store.commit(&"ann".into(), clock.now(), vec![insert("brief".into())]).await.unwrap();
    assert_eq!(store.changes("c", Offset(3), 9).await.unwrap()[0].offset, Offset(4));
}

#[tokio::test]
async fn a_chat_goes_on_in_order_whatever_the_clock_shows() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let parts = Parts {
        store: store(folder.path(), &clock, Duration::MAX),
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(counting(50)),
        models: Models::new(Arc::new(ScriptedModel::new())),
        embedder: None,
        clock: Arc::clone(&clock) as _,
        settings: Settings::default(),
    };
    let engine = Engine::start(parts).await.unwrap();
    let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
    let mut runs = Vec::new();
    for shown in SHOWN {
        clock.set(Timestamp(shown));
        let run = client.send(&format!("at {shown}")).await;
        // The page fails where an event is missing, doubled or out of order.
        let end = client.end_of(run).await;
        assert_eq!(answer(&end).text.split_whitespace().count(), 50);
        runs.push(run);
    }
    let mut late = Client::follow(&engine, SESSION, Some(Seq::START)).await;
    late.until(|event| event.to >= client.page.seq).await;
    assert_eq!(late.page.questions, client.page.questions);
    assert!(
        late.page.questions.iter().map(|(run, _)| *run).eq(runs),
        "questions stand in the order of asking"
    );
}
