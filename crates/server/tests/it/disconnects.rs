//! Cut lines and killed servers: two dialects at once, over the Rust clients, against the real binary.
//!
//! A proxy cuts each connection after so many bytes, half of the times inside a frame; the offsets come from a seed that is
//! printed. What is read must be the numbers from 1 on: one that is missing, comes twice or out of order is seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tidewire_client::chat_service::{AnswerEvent, AnswerStatus, ChatService, Question};
use tidewire_client::{ChatEvent, ChatPosition, Client};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::binary::{Server, free_address};
use crate::client::Client as Plain;
use crate::proxy::{Cut, Dice, Faults, Proxy};

/// How long one answer is, and how fast.
const NUMBERS: usize = 1500;

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// A line that is cut at drawn offsets of what the server says, half of the times inside a frame.
async fn cutting(server: SocketAddr, seed: u64) -> Proxy {
    let mut dice = Dice(seed);
    let plan = move |_| {
        let cut = Cut { after: 1 + dice.roll(6_000), inside: dice.roll(2) == 0, upward: false };
        Faults { cut: Some(cut), ..Faults::default() }
    };
    Proxy::with(server, plan).await
}

/// Waits for so many cuts. A reader that has found a fault ends the test at once.
async fn wait(proxy: &Proxy, cuts: usize, readers: &mut JoinSet<Seen>) {
    while proxy.cuts().0 < cuts {
        tokio::select! {
            ended = readers.join_next() => panic!("a reader ended before its time: {ended:?}"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
}

/// What one reader has seen.
#[derive(Default, Debug)]
struct Seen {
    answers: usize,
    interrupted: usize,
}

/// Numbers as they are read: each piece begins where the last one ended.
#[derive(Default)]
struct Count {
    text: String,
}

impl Count {
    fn add(&mut self, piece: &str, expected: &str) {
        self.text.push_str(piece);
        assert!(expected.starts_with(&self.text), "lost, doubled or out of order: …{:?}", tail(&self.text));
    }

    fn replace(&mut self, whole: &str, expected: &str) {
        assert!(whole.starts_with(&self.text), "{:?} forgets {:?}", tail(whole), tail(&self.text));
        whole.clone_into(&mut self.text);
        assert!(expected.starts_with(&self.text), "was never said: …{:?}", tail(&self.text));
    }

    fn is_whole(&self, expected: &str) {
        assert!(self.text == expected, "ends with …{:?}", tail(&self.text));
    }
}

fn tail(text: &str) -> &str {
    &text[text.len().saturating_sub(60)..]
}

fn numbers() -> String {
    (1..=NUMBERS).map(|number| format!("{number} ")).collect()
}

/// Asks over and over, each time in a chat of its own.
async fn ask_the_chat_service(url: String, name: &str, stop: Arc<AtomicBool>) -> Seen {
    let quick = (Duration::from_millis(5), Duration::from_millis(100));
    let client =
        ChatService::builder(url).max_reconnect_attempts(u32::MAX).reconnect_delay(quick.0, quick.1).build();
    let (expected, mut seen) = (numbers(), Seen::default());
    while !stop.load(Ordering::Relaxed) {
        let question = Question::new("ann", format!("{NUMBERS} numbers every 2 ms"));
        let mut answer = client.ask(question.run_id(format!("{name}-{}", seen.answers))).unwrap();
        let (mut count, mut cost) = (Count::default(), None);
        while let Some(event) = answer.next().await {
            match event {
                AnswerEvent::Text(added) => count.add(&added, &expected),
                AnswerEvent::Final(told) => assert!(cost.replace(told).is_none(), "the cost came twice"),
                AnswerEvent::Reset | AnswerEvent::Lost(_) | AnswerEvent::Error(_) if !is_restart(&event) => {
                    panic!("{event:?}")
                }
                _ => {}
            }
        }
        match cost.expect("what it cost comes before the end").status {
            AnswerStatus::Finished => count.is_whole(&expected),
            AnswerStatus::Interrupted => seen.interrupted += 1,
            other => panic!("{other:?}"),
        }
        seen.answers += 1;
    }
    eprintln!("{name}: {:?}", client.metrics());
    client.close();
    seen
}

/// What a killed server leaves of an answer is told with the reason.
fn is_restart(event: &AnswerEvent) -> bool {
    matches!(event, AnswerEvent::Error(error) if error.code.as_ref().is_some_and(|code| code.as_str() == "unavailable"))
}

/// Follows chats of `live_data` over the cut line. Their questions are asked beside it, so that each is asked once.
async fn follow_live_data(url: String, server: SocketAddr, name: &str, stop: Arc<AtomicBool>) -> Seen {
    let client = patient(url).await;
    let (expected, mut seen) = (numbers(), Seen::default());
    while !stop.load(Ordering::Relaxed) {
        let chat = format!("{name}-{}", seen.answers);
        let mut stream = follow(&client, &chat).await;
        let asking = tokio::spawn(ask_beside(server, chat));
        let mut count = Count::default();
        let end = loop {
            match stream.next().await.expect("a chat that is followed does not end").unwrap() {
                ChatEvent::Text { content, replace: false } => count.add(&content, &expected),
                ChatEvent::Text { content, replace: true } => count.replace(&content, &expected),
                ChatEvent::End(end) => break Some(end),
                // The server was killed, and the run ended with it.
                ChatEvent::Failed(failed) if failed.code == Some(503) => break None,
                event @ (ChatEvent::Failed(_) | ChatEvent::Reset) => panic!("{event:?}"),
                _ => {}
            }
        };
        asking.await.unwrap();
        match end {
            Some(end) => {
                assert_eq!(end.status.unwrap().as_str(), "finished");
                // Who comes back when the answer is over gets the rest of its text with the end.
                count.replace(&end.content.expect("who follows is told the whole text"), &expected);
                count.is_whole(&expected);
            }
            None => seen.interrupted += 1,
        }
        seen.answers += 1;
    }
    client.close();
    seen
}

/// A client that comes back however often it takes.
async fn patient(url: String) -> Client {
    let builder = |url: &str| {
        Client::builder(url).timeout(Duration::from_secs(60)).policy(|policy| {
            policy.backoff.initial = Duration::from_millis(5);
            policy.backoff.max = Duration::from_millis(100);
        })
    };
    loop {
        // The very first connection may be cut before it stands.
        if let Ok(client) = builder(&url).connect().await {
            return client;
        }
    }
}

/// What is asked of a line that is cut may have to be asked again.
async fn follow(client: &Client, chat: &str) -> tidewire_client::ChatStream {
    loop {
        match client.chat_follow(chat, Some(ChatPosition { seq: 0, epoch: None })).await {
            Ok(stream) => return stream,
            Err(error) => assert!(error.is_disconnected() || error.is_timeout(), "{error}"),
        }
    }
}

/// Asks in a session under an id, until the server has said that it took the question.
async fn ask_beside(server: SocketAddr, chat: String) {
    let frame =
        json!({"content": format!("{NUMBERS} numbers every 2 ms"), "message_id": "m1", "after_seq": 0});
    loop {
        if let Ok(mut client) = Plain::connect_with(server, &format!("/ws/{chat}"), &[]).await
            && client.socket.send(Message::text(frame.to_string())).await.is_ok()
        {
            while let Some(Message::Text(text)) = client.message().await {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "user" && frame["message_id"] == "m1" {
                    return;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everyday figures; `TIDEWIRE_TEST_CUTS=1000 TIDEWIRE_TEST_RESTARTS=50` is what the project promises.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_cut_lines_and_killed_servers_in_two_dialects_at_once() {
    let (cuts, restarts) = (setting("TIDEWIRE_TEST_CUTS", 60), setting("TIDEWIRE_TEST_RESTARTS", 3));
    let seed = setting("TIDEWIRE_TEST_SEED", 20_261_121) as u64;
    eprintln!("seed {seed}");
    let (folder, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let data = folder.path().join("data");
    let mut server = Server::start(&data, free_address(), None).await;
    let (address, stop) = (server.address, Arc::<AtomicBool>::default());
    let proxy = cutting(address, seed).await;
    let mut readers = JoinSet::new();
    for number in 0..2 {
        let (url, wish) = (proxy.url(), Arc::clone(&stop));
        readers.spawn(async move { ask_the_chat_service(url, &format!("cs{number}"), wish).await });
        let (url, wish) = (proxy.url(), Arc::clone(&stop));
        readers.spawn(async move { follow_live_data(url, address, &format!("ld{number}"), wish).await });
    }
    for restart in 1..=restarts {
        wait(&proxy, cuts * restart / (restarts + 1), &mut readers).await;
        server.kill();
        server = Server::start(&data, address, None).await;
    }
    wait(&proxy, cuts, &mut readers).await;
    proxy.calm();
    stop.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    while let Some(reader) = readers.join_next().await {
        let Seen { answers, interrupted } = reader.unwrap();
        seen = Seen { answers: seen.answers + answers, interrupted: seen.interrupted + interrupted };
    }
    let (cut, inside) = proxy.cuts();
    eprintln!("{cut} cuts, {inside} inside a frame, {restarts} restarts, {seen:?}, {:?}", began.elapsed());
    assert!(cut >= cuts && inside * 3 > cut, "{inside} of {cut} cuts were inside a frame");
    assert!(seen.answers >= 4, "{seen:?}");
    drop(server);
}
