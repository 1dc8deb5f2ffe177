//! One promise each.

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::*;
use crate::command::{ChatRef, WhileRunning};
use crate::connection::{Bell, Mail};
use crate::error::Code;
use crate::identity::{Grant, Grants};

#[tokio::test]
async fn what_is_written_is_told_to_those_whom_it_concerns() {
    let house = House::new(Settings::default()).await;
    let (mut all, mut some, mut other) = (house.watcher(), house.watcher(), house.watcher());
    assert_eq!(all.watch(&house, 1, None, None).await, (Offset(0), false), "there is no such collection yet");
    some.watch(&house, 1, Some(at_least("n", 5)), None).await;
    let elsewhere = Command::Watch { collection: "d".into(), watch: 1, filter: None, after: None };
    house.engine.execute(&other.connection, elsewhere).await.unwrap();
    for number in [1, 7, 3] {
        house.put("c", "r", json!({"n": number})).await;
    }
    house.put("c", "s", json!({"n": 1})).await;
    let delete = Write::new("c", "s".into(), Operation::Delete);
    let last = house.commit(vec![delete]).await[0].offset;
    all.until(last).await;
    some.until(last).await;
    assert_eq!(all.offsets, [1, 2, 3, 4, 5]);
    assert_eq!(some.offsets, [2, 3, 5], "it fits before or after, and a deletion always does");
    assert!(!other.step().await, "it watches another collection");
    let stats = house.engine.stats();
    assert_eq!((stats.watches, stats.notices_total >= 2, stats.watches_fell_behind_total), (3, true, 0));
    drop((all, some, other));
    assert_eq!(house.engine.stats().watches, 0);
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let house = House::new(tight()).await;
    for number in 0..100 {
        house.put("c", number, json!({"n": number})).await;
    }
    let mut watcher = house.watcher();
    assert_eq!(watcher.watch(&house, 1, None, Some(40)).await, (Offset(40), false));
    house.put("c", "new", json!({})).await;
    watcher.until(Offset(101)).await;
    assert_eq!(watcher.offsets, (41..=101).collect::<Vec<_>>());

    let error = watcher.try_watch(&house, 2, None, Some(102)).await.unwrap_err();
    assert_eq!(error.code, Code::Invalid, "nobody has seen that yet");
}

#[tokio::test]
async fn one_connection_hears_of_a_change_once() {
    let house = House::new(tight()).await;
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, Some(at_least("a", 1)), None).await;
    watcher.watch(&house, 2, Some(at_least("b", 1)), None).await;
    for (a, b) in [(1, 0), (0, 1), (1, 1), (0, 0)] {
        house.put("c", format!("{a}{b}"), json!({"a": a, "b": b})).await;
    }
    house.put("c", "end", json!({"a": 1})).await;
    watcher.until(Offset(5)).await;
    assert_eq!(watcher.offsets, [1, 2, 3, 5]);

    // A third one asks for what was before: it gets what the others have not had, and nothing twice.
    watcher.offsets.clear();
    watcher.watch(&house, 3, None, Some(0)).await;
    house.put("c", "00", json!({"a": 0, "b": 0})).await;
    watcher.last = Offset(0);
    watcher.until(Offset(6)).await;
    assert_eq!(watcher.offsets, [4, 6]);

    assert!(watcher.unwatch(&house, Some(3)).await);
    assert!(!watcher.unwatch(&house, Some(3)).await);
    house.put("c", "00", json!({"a": 0, "b": 0})).await;
    house.put("c", "00", json!({"b": 2})).await;
    watcher.until(Offset(8)).await;
    assert_eq!(watcher.offsets, [4, 6, 8]);
    assert!(watcher.unwatch(&house, None).await);
    house.put("c", "00", json!({"b": 3})).await;
    assert!(!watcher.step().await);
}

#[tokio::test]
async fn a_watch_that_is_replaced_leaves_what_waited_for_it() {
    let house = House::new(Settings::default()).await;
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, Some(at_least("a", 1)), None).await;
    watcher.watch(&house, 2, Some(at_least("b", 1)), None).await;
    house.put("c", "x", json!({"a": 1})).await;
    house.put("c", "y", json!({"b": 1})).await;
    house.engine.execute(&watcher.connection, Command::ListCollections).await.unwrap();
    // The second one keeps what it has not seen, the first one begins anew from now on.
    watcher.watch(&house, 1, Some(at_least("a", 5)), None).await;
    house.put("c", "z", json!({"a": 5})).await;
    watcher.until(Offset(3)).await;
    assert_eq!(watcher.offsets, [2, 3]);
    assert_eq!(house.engine.stats().watches, 2);
}

#[tokio::test]
async fn a_stalled_watcher_holds_little_and_misses_nothing() {
    let house = House::new(Settings::default()).await;
    let mut stalled = house.watcher();
    stalled.watch(&house, 1, None, None).await;
    let text = "x".repeat(1_000);
    for round in 0..40 {
        let writes = (0..100).map(|number| put("c", number, json!({"n": round, "text": text})));
        house.commit(writes.collect()).await;
    }
    // One batch beyond the bound, also for a queue in which nothing waits.
    let mut lively = house.watcher();
    lively.watch(&house, 1, None, None).await;
    house.commit((0..2_000).map(|number| put("c", number, json!({"text": text}))).collect()).await;
    lively.until(Offset(6_000)).await;
    let held = stalled.connection.held();
    assert!(held <= 64 * 1024, "{held} bytes are held");
    assert_eq!(house.engine.stats().watches_fell_behind_total, 2);
    assert_eq!(lively.offsets, (4_001..=6_000).collect::<Vec<_>>());
    stalled.until(Offset(6_000)).await;
    assert_eq!(stalled.offsets, (1..=6_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_notices() {
    let house = House::new(Settings::default()).await;
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, None, None).await;
    for number in 0..50 {
        let edit = crate::edit::Edit::Insert { id: None, body: Body::new(), ttl: None };
        let command = Command::Edit { collection: "c".into(), edits: vec![edit], together: number % 2 == 0 };
        let mut asked = Box::pin(house.engine.execute(&watcher.connection, command));
        std::future::poll_fn(|context| {
            let _ = asked.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    let last = house.put("c", "last", json!({})).await;
    watcher.until(last).await;
    assert_eq!(last, Offset(51), "what was queued is done");
    assert_eq!(watcher.offsets, (1..=51).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_comes_too_late_reads_the_records_anew() {
    let house = House::new(tight()).await;
    for number in 0..200 {
        house.put("c", number % 70, json!({"n": number})).await;
    }
    house.store.prune_to(10).await;
    let (mut all, mut some) = (house.watcher(), house.watcher());
    assert_eq!(all.watch(&house, 1, None, Some(50)).await, (Offset(200), true));
    assert_eq!(some.watch(&house, 1, Some(at_least("n", 190)), Some(189)).await, (Offset(200), true));
    let mut last = house.watcher();
    assert_eq!(last.watch(&house, 1, None, Some(190)).await, (Offset(190), false));
    house.put("c", "new", json!({"n": 200})).await;
    for watcher in [&mut all, &mut some, &mut last] {
        watcher.until(Offset(201)).await;
    }
    assert_eq!((all.gaps, all.records.len(), all.offsets), (1, 71, vec![201]));
    assert_eq!((some.gaps, some.records.len(), some.offsets), (1, 11, vec![201]));
    assert_eq!((last.gaps, last.offsets), (0, (191..=201).collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_log_that_is_pruned_while_somebody_lags_is_a_gap() {
    let house = House::new(tight()).await;
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, None, None).await;
    for number in 0..500 {
        house.put("c", number % 90, json!({"n": number})).await;
    }
    house.store.prune_to(20).await;
    house.engine.watch_hub().sweep();
    watcher.until(Offset(500)).await;
    assert_eq!((watcher.gaps, watcher.records.len()), (1, 90));
    house.put("c", "new", json!({})).await;
    watcher.until(Offset(501)).await;
    assert_eq!((watcher.offsets, watcher.records.len()), (vec![501], 91));
}

#[tokio::test]
async fn chats_and_watches_take_turns() {
    let house = House::new(Settings { batch: 4, ..Settings::default() }).await;
    let mut watcher = house.watcher();
    let chat = ChatRef::Session("s".parse().unwrap());
    let send = Command::SendMessage {
        chat: chat.clone(),
        message_id: None,
        content: "hello".into(),
        while_running: WhileRunning::Reject,
        options: Default::default(),
    };
    house.engine.execute(&watcher.connection, send).await.unwrap();
    for number in 0..100 {
        house.put("c", number, json!({})).await;
    }
    // The run is over when it is not there any more; then both sides have their logs to be read.
    while house.engine.stats().running > 0 {
        tokio::task::yield_now().await;
    }
    let after = Some(crate::Position { epoch: None, seq: crate::Seq::START });
    house.engine.execute(&watcher.connection, Command::FollowChat { chat, after }).await.unwrap();
    watcher.watch(&house, 1, None, Some(0)).await;
    let (mut turns, mut events) = (Vec::new(), Vec::new());
    while turns.len() < 2 || turns.iter().filter(|is_chat| **is_chat).count() < 1 {
        watcher.connection.next(&mut events).await;
        turns.push(matches!(events[0], Event::Chat(_)));
        events.drain(..).for_each(|event| watcher.hear(event));
        assert!(turns.len() < 6, "one of them starves: {turns:?}");
    }
    assert!(!watcher.offsets.is_empty() || watcher.step().await);
    watcher.until(Offset(100)).await;
    assert_eq!(watcher.offsets, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_schema_is_told_to_those_who_watch_its_collection() {
    let house = House::new(Settings::default()).await;
    let (mut here, mut there) = (house.watcher(), house.watcher());
    here.watch(&house, 1, Some(at_least("n", 1)), None).await;
    let elsewhere = Command::Watch { collection: "d".into(), watch: 1, filter: None, after: None };
    house.engine.execute(&there.connection, elsewhere).await.unwrap();
    let version = house.store.create_collection("c", None, now()).await.unwrap().version;
    assert!(here.step().await);
    assert_eq!(here.schemas, [version]);
    assert!(!there.step().await);
}

#[tokio::test]
async fn a_collection_that_is_dropped_is_a_gap_with_nothing_in_it() {
    let house = House::new(Settings::default()).await;
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, None, None).await;
    for number in 0..3 {
        house.put("c", number, json!({})).await;
    }
    watcher.until(Offset(3)).await;
    house.store.drop_collection("c", now()).await.unwrap();
    while watcher.gaps == 0 || watcher.snapshot_under_way {
        assert!(watcher.step().await, "it is told of the drop");
    }
    assert_eq!((watcher.schemas.len(), watcher.records.len()), (1, 0));
    let next = house.put("c", "anew", json!({})).await;
    watcher.until(next).await;
    assert_eq!((watcher.gaps, watcher.offsets, watcher.records.len()), (1, vec![next.0], 1));
}

#[tokio::test]
async fn a_batch_that_does_not_follow_is_read_from_the_log() {
    let house = House::new(Settings::default()).await;
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, None, None).await;
    house.put("c", "a", json!({})).await;
    watcher.until(Offset(1)).await;
    // The hub hears of the third change before the second one.
    let topic = house.engine.watch_hub().topic("c");
    let limits = crate::connection::Limits { events: 8, bytes: 1 << 16, watch_bytes: 1 << 16 };
    let changes = house.commit(vec![put("c", "b", json!({})), put("c", "c", json!({}))]).await;
    let late = Arc::new(crate::ChangeBatch::new("c".into(), vec![changes[1].clone()]));
    topic.deliver(&late, 1, limits);
    house.put("c", "d", json!({})).await;
    watcher.until(Offset(4)).await;
    assert_eq!(watcher.offsets, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_cannot_be_watched_is_said() {
    let house = House::new(Settings { watch_limit: 2, ..Settings::default() }).await;
    let watcher = house.watcher();
    for number in [1, 2, 2] {
        watcher.watch(&house, number, None, None).await;
    }
    let error = watcher.try_watch(&house, 3, None, None).await.unwrap_err();
    assert_eq!(
        (error.code, &*error.message),
        (Code::Unavailable, "a connection has at most 2 watches; end one, or open another connection")
    );
    let unusable = Filter::compare("n", crate::query::Operator::Gt, Value::Null);
    let error = watcher.try_watch(&house, 2, Some(unusable), None).await.unwrap_err();
    assert_eq!(error.code, Code::Invalid);
    let grants = Grants::Collections(vec![Grant { collection: "d".into(), write: true }]);
    let ann = Identity { key: Some("k".into()), subject: "ann".into(), grants };
    let stranger = Watcher::new(house.engine.connect(ann));
    assert_eq!(stranger.try_watch(&house, 1, None, None).await.unwrap_err().code, Code::Forbidden);
    assert!(!stranger.unwatch(&house, None).await);
}

#[tokio::test]
async fn topics_are_forgotten_when_nobody_watches() {
    let house = House::new(Settings::default()).await;
    let watcher = house.watcher();
    watcher.watch(&house, 1, None, None).await;
    let hub = house.engine.watch_hub();
    hub.sweep();
    assert_eq!(hub.lock().len(), 1);
    drop(watcher);
    hub.sweep();
    assert_eq!(hub.lock().len(), 0);
}

/// Takes what waits when it rings, for as long as it is free.
struct Taker {
    heard: Mutex<Vec<u64>>,
    is_free: AtomicBool,
}

impl Bell for Taker {
    fn ring(&self, mail: &mut Mail<'_>) -> bool {
        if !self.is_free.load(Ordering::Relaxed) || !mail.take() {
            return false;
        }
        let mut heard = self.heard.lock().unwrap();
        for event in mail.events().drain(..) {
            let Event::Data(Notice::Changes { batch, selection }) = event else { panic!("{event:?}") };
            heard.extend(batch.selected(&selection).map(|change| change.offset.0));
        }
        true
    }
}

/// What a bell does not take is there for the task, and each change comes to one of them.
#[tokio::test]
async fn who_takes_news_at_its_bell_shares_them_with_the_task() {
    let house = House::new(Settings::default()).await;
    let taker = Arc::new(Taker { heard: Mutex::default(), is_free: AtomicBool::new(true) });
    let (mut rings, mut plain) = (house.watcher(), house.watcher());
    let bell = Arc::downgrade(&taker);
    rings.connection.ring_at(bell);
    rings.watch(&house, 1, None, None).await;
    plain.watch(&house, 1, None, None).await;
    plain.until(house.put("c", 1, json!({})).await).await;
    assert!(!rings.step().await, "the bell took it");
    taker.is_free.store(false, Ordering::Relaxed);
    rings.until(house.put("c", 2, json!({})).await).await;
    taker.is_free.store(true, Ordering::Relaxed);
    plain.until(house.put("c", 3, json!({})).await).await;
    assert!(!rings.step().await, "the bell took it");
    assert_eq!((&rings.offsets[..], &taker.heard.lock().unwrap()[..]), (&[2][..], &[1, 3][..]));
    drop(taker);
    rings.until(house.put("c", 4, json!({})).await).await;
    assert_eq!(rings.offsets, [2, 4], "without whom it rings for, the task is woken");
}

/// As a client does that had no room: the reading for its earlier watch is under way meanwhile.
#[tokio::test]
async fn what_is_read_for_a_watch_that_has_ended_is_not_for_the_next_one() {
    let house = House::new(Settings { batch: 16, ..Settings::default() }).await;
    for n in 0..60 {
        house.put("c", n, json!({"n": n})).await;
    }
    let mut watcher = house.watcher();
    watcher.watch(&house, 1, None, Some(30)).await;
    let mut events = Vec::new();
    {
        let mut next = std::pin::pin!(watcher.connection.next(&mut events));
        assert!(futures_util::poll!(next.as_mut()).is_pending(), "the log is being read");
        watcher.unwatch(&house, None).await;
        watcher.watch(&house, 1, None, Some(0)).await;
        next.await;
    }
    events.into_iter().for_each(|event| watcher.hear(event));
    watcher.until(Offset(60)).await;
    assert_eq!(watcher.offsets, (1..=60).collect::<Vec<_>>());
}
