//! A process that ends in mid-answer, and the next one.

use std::path::Path;
use std::sync::Arc;

use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::{self, Sqlite};
use tidewire_engine::{AgentEvent, Code, Position, Seq, Settings};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::rig::{Client, Page, SESSION, answer, counted, gated, open, repeating, start};

/// Opens a folder that its last owner is just leaving.
pub(crate) async fn reopen(folder: &Path) -> Arc<dyn Store> {
    loop {
        match Sqlite::open(sqlite::Settings::new(folder)) {
            Ok(store) => return Arc::new(store),
            Err(busy) => {
                assert_eq!(busy.code, Code::Conflict, "{busy:?}");
                tokio::task::yield_now().await;
            }
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A process that ends abruptly after it has shown so much. Returns what was shown.
fn crash(folder: &Path, words: usize) -> Page {
    let process = runtime();
    let page = process.block_on(async {
        let gate = Arc::new(Semaphore::new(0));
        let engine = start(open(folder), gated(&gate, 100), Settings::default()).await;
        let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        let run = client.send("first").await;
        client.send("second").await;
        gate.add_permits(words);
        client.sees(run, &counted(words)).await;
        while client.page.questions.len() < 2 {
            client.next().await;
        }
        client.page.clone()
    });
    drop(process);
    page
}

#[test]
fn what_was_shown_is_there_and_what_was_open_says_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let shown = crash(folder.path(), 7);
    let (first, second) = (shown.questions[0].0, shown.questions[1].0);
    assert_eq!(shown.text(first), counted(7));
    runtime().block_on(async {
        let engine = start(reopen(folder.path()).await, repeating(), Settings::default()).await;
        // One who comes back with what it saw, and one who has nothing.
        let position = Position { epoch: None, seq: shown.seq };
        let mut back = Client::resume(&engine, SESSION, Some(position), shown).await;
        assert!(!back.reset && back.run.is_none());
        let mut fresh = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        for client in [&mut back, &mut fresh] {
            for (run, text) in [(first, counted(7)), (second, String::new())] {
                let AgentEvent::RunFailed { answer, error, interrupted, .. } = client.end_of(run).await
                else {
                    panic!("it was interrupted")
                };
                assert_eq!((answer.text, interrupted, error.code), (text, true, Code::Unavailable));
                assert!(error.code.is_retryable());
            }
        }
        assert_eq!(back.page.seq, fresh.page.seq);
        let run = back.send("third").await;
        let text = answer(&back.end_of(run).await).text.clone();
        assert_eq!(text, format!("u:first|a({})|u:second|u:third", counted(7).len()));
    });
}

#[test]
fn a_second_restart_finds_nothing_to_end() {
    let folder = tempfile::tempdir().unwrap();
    crash(folder.path(), 3);
    let mut lengths = Vec::new();
    for _ in 0..2 {
        runtime().block_on(async {
            let engine = start(reopen(folder.path()).await, repeating(), Settings::default()).await;
            let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
            while client.page.questions.len() < 2 || !client.page.ended(client.page.questions[1].0) {
                client.next().await;
            }
            lengths.push(client.page.seq);
        });
    }
    assert_eq!(lengths[0], lengths[1]);
}

#[tokio::test]
async fn a_dropped_engine_leaves_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let engine = start(open(folder.path()), gated(&gate, 9), Settings::default()).await;
    let client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
    client.send("hello").await;
    drop((client, engine));
    reopen(folder.path()).await;
}
