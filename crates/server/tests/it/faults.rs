//! Our Rust client over bad lines: nothing is lost, nothing comes twice, nothing changes its place.

use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_client::chat_service::{AnswerEvent, ChatService, Question};
use tidewire_client::{ChatEvent, Client, Notice, Query, Record, SubscribeOptions, Subscription};
use tidewire_protocols::{Protocol, live_data};
use tokio::task::JoinSet;

use crate::client::PATIENCE;
use crate::data_client::eager;
use crate::house::House;
use crate::proxy::{Cut, Dice, Faults, Proxy};

const SEED: u64 = 20_261_121;

async fn direct(house: &House) -> Client {
    Client::connect(house.url("")).await.unwrap()
}

/// Writes the numbers of this range as records, one after the other.
async fn write(client: &Client, numbers: std::ops::Range<u64>, text: &str) {
    for n in numbers {
        client.insert("c", json!({"id": format!("{n:06}"), "n": n, "text": text})).await.unwrap();
    }
}

/// Reads changes until this many were seen; each must be the one that follows.
async fn read(subscription: &mut Subscription, seen: &mut u64, until: u64) {
    while *seen < until {
        let notice = tokio::time::timeout(3 * PATIENCE, subscription.next()).await;
        match notice.expect("something changes").expect("the subscription goes on").unwrap() {
            Notice::Changes(changes) => {
                for record in &changes.records {
                    assert_eq!(record["n"], *seen, "lost, doubled or out of order");
                    *seen += 1;
                }
            }
            other => panic!("{other:?} is no change"),
        }
    }
}

/// What is in the collection, read directly.
async fn numbers(house: &House) -> Vec<u64> {
    let query = Query::new("c").ascending("n").limit(100_000);
    let all: Vec<Record> = direct(house).await.query(query).await.unwrap();
    all.iter().map(|record| record["n"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_long_line_calls_share_the_way_and_changes_keep_their_order() {
    let delay = Duration::from_millis(50);
    let house = House::open().await;
    let proxy = Proxy::with(house.address, move |_| Faults { delay, ..Faults::default() }).await;
    let far = Client::connect(proxy.url()).await.unwrap();
    let mut subscription = far.subscribe("c").await.unwrap();
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for n in 0..100 {
        let far = far.clone();
        calls.spawn(async move { far.insert("other", json!({"n": n})).await.unwrap() });
    }
    calls.join_all().await;
    let took = began.elapsed();
    assert!(took >= 2 * delay, "the line is as long as it says: {took:?}");
    assert!(took < 2 * delay * 100 / 2, "a hundred calls need no hundred ways: {took:?}");
    let near = direct(&house).await;
    let (mut seen, ()) = (0, write(&near, 0..300, "").await);
    read(&mut subscription, &mut seen, 300).await;
    let mut stream = far.chat_send("talk", "20 tokens every 2 ms").await.unwrap();
    assert_eq!(stream.text().await.unwrap(), "token ".repeat(20));
}

/// Cuts by what the server says and by what the client says, so that both have half a frame to forget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_frame_is_no_frame_whoever_was_saying_it() {
    let house = House::open().await;
    let mut dice = Dice(SEED);
    let plan = move |_| {
        let cut = Cut { after: 300 + dice.roll(4_000), inside: dice.roll(4) > 0, upward: dice.roll(2) == 0 };
        Faults { cut: Some(cut), ..Faults::default() }
    };
    let proxy = Proxy::with(house.address, plan).await;
    let (reader, writer) = (eager(&proxy).await, eager(&proxy).await);
    let mut subscription = reader.subscribe("c").await.unwrap();
    let writing = tokio::spawn(async move {
        for n in 0..600 {
            // Records without an id of their own are done once, whatever becomes of the answer.
            writer.insert("c", json!({"n": n, "text": "a few words to be cut in"})).await.unwrap();
        }
    });
    let mut seen = 0;
    read(&mut subscription, &mut seen, 600).await;
    writing.await.unwrap();
    assert!(numbers(&house).await.into_iter().eq(0..600));
    let (cuts, inside) = proxy.cuts();
    assert!(cuts > 20 && inside * 2 > cuts, "{inside} of {cuts} cuts were inside a frame");
}

/// As `live_data`, but 50 times as impatient: a client that says nothing is given up after half a second.
const IMPATIENT: Protocol = Protocol { ping_every: Duration::from_millis(300), ..live_data::PROTOCOL };
/// Beyond what the rules say; the machine may have other things to do.
const SLACK: Duration = Duration::from_secs(5);

/// Connections of the dialect, as the server counts them.
async fn connections(house: &House) -> u64 {
    let figures = reqwest::get(house.url("/metrics")).await.unwrap().text().await.unwrap();
    let line =
        figures.lines().find_map(|line| line.strip_prefix("tidewire_connections{dialect=\"live_data\"} "));
    line.unwrap_or_else(|| panic!("{figures}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_goes_silent_is_noticed_at_both_ends_and_loses_nothing() {
    let house = House::with(|plan| plan.protocols = &[IMPATIENT]).await;
    let proxy = Proxy::before(house.address).await;
    let (every, answer) = (Duration::from_millis(300), Duration::from_millis(200));
    let reader = Client::builder(proxy.url()).policy(move |policy| {
        policy.backoff.initial = Duration::from_millis(1);
        let ping = policy.ping.as_mut().unwrap();
        (ping.interval, ping.timeout) = (Some(every), Some(answer));
    });
    let (reader, writer) = (reader.connect().await.unwrap(), direct(&house).await);
    let mut subscription = reader.subscribe("c").await.unwrap();
    let mut seen = 0;
    write(&writer, 0..10, "").await;
    read(&mut subscription, &mut seen, 10).await;

    proxy.silence();
    let since = Instant::now();
    write(&writer, 10..60, "").await;
    // A call on the silent line is made again on the next one.
    assert_eq!(reader.find_by_id::<Record>("c", "000042").await.unwrap()["n"], 42);
    read(&mut subscription, &mut seen, 60).await;
    let took = since.elapsed();
    assert_eq!(proxy.links(), 2);
    assert!(took < every + answer + SLACK, "the client took {took:?}");

    while connections(&house).await > 2 {
        assert!(since.elapsed() < IMPATIENT.ping_every * 5 / 2 + SLACK, "the server keeps a dead connection");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    write(&writer, 60..70, "").await;
    read(&mut subscription, &mut seen, 70).await;
}

/// The reader's line carries a tenth of what is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_line_holds_up_nobody_and_misses_nothing() {
    const CHANGES: u64 = 1_500;
    let house = House::open().await;
    let narrow = |_| Faults { bytes_a_second: Some(400_000), ..Faults::default() };
    let proxy = Proxy::with(house.address, narrow).await;
    let (slow, near) = (Client::connect(proxy.url()).await.unwrap(), direct(&house).await);
    let options = SubscribeOptions { after_offset: Some(0), filter: None };
    let mut behind = slow.subscribe_with("c", options.clone()).await.unwrap();
    let mut ahead = near.subscribe_with("c", options).await.unwrap();
    let text = "x".repeat(1_000);
    let began = Instant::now();
    let writing = tokio::spawn(async move {
        write(&near, 0..CHANGES, &text).await;
        began.elapsed()
    });
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        read(&mut behind, &mut seen, CHANGES).await;
        began.elapsed()
    });
    let mut seen = 0;
    read(&mut ahead, &mut seen, CHANGES).await;
    let (heard, written) = (began.elapsed(), writing.await.unwrap());
    let late = reading.await.unwrap();
    eprintln!("written in {written:?}, heard in {heard:?}, over the narrow line in {late:?}");
    assert!(late > heard, "the line was narrow");
    assert!(late >= Duration::from_secs(3), "{CHANGES} changes of 1 kB have no faster way: {late:?}");
}

/// What was said on a line that broke arrives when the client has long begun anew on the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_line_still_says_is_not_done_a_second_time() {
    const CALLERS: u64 = 8;
    const EACH: u64 = 60;
    let house = House::open().await;
    let mut dice = Dice(SEED);
    let plan = move |_| {
        let cut = Cut { after: 400 + dice.roll(2_000), inside: dice.roll(2) == 0, upward: false };
        Faults { cut: Some(cut), late: true, ..Faults::default() }
    };
    let proxy = Proxy::with(house.address, plan).await;
    let client = eager(&proxy).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            for n in 0..EACH {
                client.insert("c", json!({"n": caller * EACH + n})).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    assert!(numbers(&house).await.into_iter().eq(0..CALLERS * EACH));
    assert!(proxy.late() > 10, "{} lines spoke late, of {}", proxy.late(), proxy.links());
}

/// A question that is asked again on a new line, and then once more by the old one, is answered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_comes_late_once_more_is_answered_once() {
    const QUESTIONS: usize = 12;
    let house = House::open().await;
    let mut dice = Dice(SEED);
    let plan = move |_| {
        let cut = Cut { after: 1 + dice.roll(1_500), inside: dice.roll(2) == 0, upward: dice.roll(4) == 0 };
        Faults { cut: Some(cut), late: true, ..Faults::default() }
    };
    let proxy = Proxy::with(house.address, plan).await;
    let quick = (Duration::from_millis(1), Duration::from_millis(20));
    let service = ChatService::builder(proxy.url())
        .max_reconnect_attempts(u32::MAX)
        .reconnect_delay(quick.0, quick.1)
        .build();
    let expected: String = (1..=100).map(|number| format!("{number} ")).collect();
    for number in 0..QUESTIONS {
        let question = Question::new("ann", "100 numbers every 1 ms").run_id(format!("q{number}"));
        let mut answer = service.ask(question).unwrap();
        let mut text = String::new();
        while let Some(event) = answer.next().await {
            match event {
                AnswerEvent::Text(added) => text.push_str(&added),
                AnswerEvent::Reset | AnswerEvent::Lost(_) | AnswerEvent::Error(_) => panic!("{event:?}"),
                _ => {}
            }
        }
        assert_eq!(text, expected);
    }
    service.close();
    assert_eq!(house.model.requests().len(), QUESTIONS);
    assert!(proxy.cuts().0 > QUESTIONS, "{:?} cuts", proxy.cuts());
}

/// A chat that is led by one client and followed by another, both over lines that break inside frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_over_broken_lines_reads_what_was_said() {
    let house = House::open().await;
    let mut dice = Dice(SEED);
    let plan = move |_| {
        let cut = Cut { after: 500 + dice.roll(3_000), inside: true, upward: false };
        Faults { cut: Some(cut), delay: Duration::from_millis(dice.roll(5)), ..Faults::default() }
    };
    let proxy = Proxy::with(house.address, plan).await;
    let follower = eager(&proxy).await;
    let mut stream = follower.chat_follow("talk", None).await.unwrap();
    let mut leading = direct(&house).await.chat_send("talk", "400 numbers every 2 ms").await.unwrap();
    let said = leading.text().await.unwrap();
    let mut text = String::new();
    loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap() {
            ChatEvent::Text { content, replace: true } => {
                assert!(content.starts_with(&text), "{content:?} forgets {text:?}");
                text = content;
            }
            ChatEvent::Text { content, replace: false } => text.push_str(&content),
            ChatEvent::End(end) => {
                assert_eq!(end.content.as_deref(), Some(&*said));
                break;
            }
            event @ (ChatEvent::Failed(_) | ChatEvent::Reset) => panic!("{event:?}"),
            _ => {}
        }
        assert!(said.starts_with(&text), "lost, doubled or out of order: {text:?}");
    }
    assert!(proxy.cuts().0 > 2, "{:?} cuts", proxy.cuts());
}
