//! Coming back, coming late, and being slow.

use std::sync::Arc;

use tidewire_engine::{AgentEvent, Command, Epoch, Offset, Position, Seq, Settings};
use tokio::sync::Semaphore;

use super::rig::{
    Client, House, Page, SESSION, agent, answer, counted, counting, delta, finished, gated, say,
};

/// A small generator of numbers that look random, the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Resumes from a page and reads to the end of its newest run.
async fn read_on(house: &House, page: Page) -> Page {
    let position = Position { epoch: None, seq: page.seq };
    let mut client = Client::resume(&house.engine, SESSION, Some(position), page).await;
    assert!(!client.reset);
    let run = match client.page.questions.last() {
        Some((run, _)) => *run,
        None => {
            client.next().await;
            client.page.questions[0].0
        }
    };
    if !client.page.ended(run) {
        client.end_of(run).await;
    }
    client.page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_cuts_lose_and_double_nothing() {
    const WORDS: usize = 400;
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, WORDS)).await;
    let mut witness = house.client().await;
    let mut pages = vec![witness.page.clone()];
    let run = witness.send("hello").await;
    let (mut dice, mut readers) = (Dice(7), Vec::new());
    for step in 0..100 {
        gate.add_permits(4);
        witness.sees(run, &counted(4 * (step + 1) - dice.below(4))).await;
        pages.push(witness.page.clone());
        // One of the newest pages, and one of all.
        let newest = pages.len() - 1 - dice.below(pages.len().min(3));
        for page in [newest, dice.below(pages.len())] {
            readers.push((pages[page].clone(), step));
        }
    }
    // Half of them come back while the answer is written, the others afterwards.
    let (during, after): (Vec<_>, Vec<_>) = readers.into_iter().partition(|(_, step)| step % 2 == 0);
    drop(gate);
    for (page, _) in during {
        assert_eq!(read_on(&house, page).await.text(run), counted(WORDS));
    }
    let end = witness.end_of(run).await;
    assert_eq!(answer(&end).text, counted(WORDS));
    for (page, _) in after {
        assert_eq!(read_on(&house, page).await.text(run), counted(WORDS));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_while_an_answer_is_written_see_it_whole() {
    const WORDS: usize = 3000;
    let house = Arc::new(
        House::new(agent(|_, events| async move {
            say(&events, AgentEvent::RunStarted).await;
            for number in 0..WORDS {
                say(&events, delta(&super::rig::word(number))).await;
                tokio::task::yield_now().await;
            }
            say(&events, finished(&counted(WORDS))).await;
        }))
        .await,
    );
    let run = house.client().await.send("hello").await;
    let readers: Vec<_> = (0..8u64)
        .map(|seed| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                let (mut dice, mut page, mut cuts) = (Dice(seed), Page::default(), 0);
                while !page.ended(run) {
                    let position = Position { epoch: None, seq: page.seq };
                    let mut client = Client::resume(&house.engine, SESSION, Some(position), page).await;
                    for _ in 0..=dice.below(6) {
                        if client.page.ended(run) {
                            break;
                        }
                        client.next().await;
                    }
                    page = client.page.clone();
                    cuts += 1;
                }
                (page, cuts)
            })
        })
        .collect();
    for reader in readers {
        let (page, cuts) = reader.await.unwrap();
        assert_eq!(page.text(run), counted(WORDS));
        assert!(cuts >= 1);
    }
}

#[tokio::test]
async fn a_late_joiner_of_now_gets_the_text_so_far_with_the_first_delta() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 6)).await;
    let mut early = house.client().await;
    let run = early.send("hello").await;
    gate.add_permits(3);
    early.sees(run, &counted(3)).await;
    let mut late = Client::follow(&house.engine, SESSION, None).await;
    assert_eq!(late.run.map(|state| (state.run, state.queued)), Some((run, false)));
    gate.add_permits(1);
    late.sees(run, &counted(4)).await;
    gate.add_permits(2);
    assert_eq!(answer(&late.end_of(run).await).text, counted(6));
    assert!(late.page.questions.is_empty(), "from now on is from now on");
}

#[tokio::test]
async fn an_unknown_position_begins_anew_and_says_so() {
    let house = House::new(counting(5)).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    client.end_of(run).await;
    let last = client.page.seq;
    let later = Epoch(client.epoch.0 + 1);
    let unknown = [
        Position { epoch: None, seq: Seq(last.0 + 1) },
        Position { epoch: None, seq: Seq(u64::MAX) },
        Position { epoch: Some(later), seq: Seq(1) },
    ];
    for position in unknown {
        let mut back = Client::resume(&house.engine, SESSION, Some(position), client.page.clone()).await;
        assert!(back.reset, "{position:?}");
        assert_eq!(answer(&back.end_of(run).await).text, counted(5));
    }
    let known = Position { epoch: Some(client.epoch), seq: last };
    let back = Client::resume(&house.engine, SESSION, Some(known), client.page.clone()).await;
    assert!(!back.reset && back.run.is_none());
}

#[tokio::test]
async fn following_anew_replaces_what_waits() {
    let house = House::new(counting(20)).await;
    let mut witness = house.client().await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    witness.end_of(run).await;
    let again = tidewire_engine::Command::FollowChat {
        chat: super::rig::session(SESSION),
        after: Some(Position { epoch: None, seq: Seq::START }),
    };
    client.execute(again).await.unwrap();
    assert_eq!(answer(&client.end_of(run).await).text, counted(20));
}

#[tokio::test]
async fn a_slow_reader_costs_a_marker_and_catches_up() {
    catch_up(16, 32).await;
}

#[tokio::test]
async fn what_waits_comes_before_the_log_when_it_is_taken_in_pieces() {
    catch_up(64, 16).await;
}

async fn catch_up(outbox_events: usize, batch: usize) {
    const STEPS: usize = 2000;
    let settings = Settings { outbox_events, batch, ..Settings::default() };
    let house = House::with(
        agent(|_, events| async move {
            say(&events, AgentEvent::RunStarted).await;
            for number in 0..STEPS {
                // Steps are never merged: each is an event of its own.
                say(&events, AgentEvent::Step { name: number.to_string() }).await;
                say(&events, delta(&super::rig::word(number))).await;
            }
            say(&events, finished(&counted(STEPS))).await;
        }),
        settings,
    )
    .await;
    let (slow, mut quick) = (house.client().await, house.client().await);
    let run = slow.send("hello").await;
    quick.end_of(run).await;
    assert!(house.engine.stats().fell_behind_total >= 1);
    let mut events = Vec::new();
    slow.connection.next(&mut events).await;
    assert!(events.len() <= outbox_events, "{} events waited", events.len());
    let mut again = house.client().await;
    assert_eq!(answer(&again.end_of(run).await).text, counted(STEPS));
    // What had waited is read first, then the log.
    let mut last = Seq::START;
    let mut steps = 0;
    loop {
        for event in events.drain(..).filter_map(tidewire_engine::Event::into_chat) {
            assert!(event.from <= last.next() && event.to > last, "{event:?} after {last}");
            last = event.to;
            if let tidewire_engine::ChatBody::Run { event: AgentEvent::Step { name }, .. } = &event.body {
                assert_eq!(*name, steps.to_string());
                steps += 1;
            }
        }
        if last == again.page.seq {
            break;
        }
        slow.connection.next(&mut events).await;
        assert!(events.len() <= batch);
    }
    assert_eq!(steps, STEPS);
}

#[tokio::test]
async fn large_events_fill_an_outbox_too() {
    let settings = Settings { outbox_bytes: 64 * 1024, ..Settings::default() };
    let house = House::with(
        agent(|_, events| async move {
            say(&events, AgentEvent::RunStarted).await;
            for _ in 0..20 {
                say(&events, AgentEvent::Diagram { mermaid: "x".repeat(30_000) }).await;
            }
            say(&events, finished("done")).await;
        }),
        settings,
    )
    .await;
    let (slow, mut quick) = (house.client().await, house.client().await);
    let run = quick.send("hello").await;
    quick.end_of(run).await;
    assert!(house.engine.stats().fell_behind_total >= 1);
    let (mut events, mut diagrams) = (Vec::new(), 0);
    slow.connection.next(&mut events).await;
    assert!(events.len() < 6, "{} events waited", events.len());
    while !events.is_empty() {
        let last = events
            .iter()
            .filter_map(tidewire_engine::Event::as_chat)
            .any(|event| super::rig::end(event).is_some());
        diagrams += events
            .drain(..)
            .filter_map(tidewire_engine::Event::into_chat)
            .filter(|event| format!("{event:?}").contains("xxx"))
            .count();
        if !last {
            slow.connection.next(&mut events).await;
        }
    }
    assert_eq!(diagrams, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_that_is_dropped_loses_nothing() {
    const WORDS: usize = 500;
    let house =
        House::with(counting(WORDS), Settings { batch: 4, outbox_events: 4, ..Settings::default() }).await;
    let (client, mut witness) = (house.client().await, house.client().await);
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(client.send("hello").await);
    }
    let (mut last, mut ended, mut dropped) = (Seq::START, 0, 0);
    while ended < runs.len() {
        let mut events = Vec::new();
        tokio::select! {
            biased;
            () = client.connection.next(&mut events) => {}
            () = tokio::task::yield_now() => {
                assert!(events.is_empty(), "what was dropped gave nothing");
                dropped += 1;
            }
        }
        for event in events.into_iter().filter_map(tidewire_engine::Event::into_chat) {
            assert!(event.from <= last.next() && event.to > last, "{event:?} after {last}");
            last = event.to;
            ended += usize::from(super::rig::end(&event).is_some());
        }
    }
    assert!(dropped > 0);
    for run in runs {
        witness.end_of(run).await;
    }
    assert_eq!(witness.page.seq, last);
}

/// What a client says of where it was is any number at all.
#[tokio::test]
async fn any_position_is_known_or_begins_anew() {
    let house = House::new(counting(3)).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    client.end_of(run).await;
    let (last, now) = (client.page.seq, client.epoch);
    let edges = |near: u64| [0, 1, near - 1, near, near + 1, i64::MAX as u64, 1 << 63, u64::MAX];
    for seq in edges(last.0).map(Seq) {
        for epoch in edges(now.0).map(|epoch| Some(Epoch(epoch))).into_iter().chain([None]) {
            let position = Position { epoch, seq };
            let client = Client::resume(&house.engine, SESSION, Some(position), Page::default()).await;
            let known = seq <= last && epoch.is_none_or(|epoch| epoch <= now);
            assert_eq!(client.reset, !known, "{position:?} where the log ends at {last:?} of {now:?}");
        }
    }
    for offset in edges(1).map(Offset) {
        let watch = Command::Watch { collection: "none".into(), watch: 1, filter: None, after: Some(offset) };
        assert_eq!(client.execute(watch).await.is_ok(), offset == Offset(0), "{offset:?}");
    }
}
