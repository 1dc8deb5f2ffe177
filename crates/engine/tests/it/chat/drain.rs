//! Going away: refuse what is new, let finish what may, end the rest properly.

use std::sync::Arc;
use std::time::Duration;

use tidewire_engine::command::WhileRunning;
use tidewire_engine::{AgentEvent, Code, Seq, Settings};
use tokio::sync::Semaphore;

use super::rig::{Client, House, SESSION, answer, counted, gated, repeating, start};

#[tokio::test]
async fn runs_finish_within_their_time() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 3)).await;
    let mut client = house.client().await;
    let (run, waiting) = (client.send("hello").await, client.send("and this").await);
    let engine = Arc::clone(&house.engine);
    let drained = tokio::spawn(async move { engine.drain(Duration::from_secs(3600)).await });
    let refused = loop {
        match client.try_send("too late", None, WhileRunning::Reject).await {
            Err(error) if error.code == Code::Draining => break error,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(refused.code.is_retryable());
    gate.add_permits(6);
    drained.await.unwrap();
    assert_eq!(answer(&client.end_of(run).await).text, counted(3));
    assert_eq!(answer(&client.end_of(waiting).await).text, counted(3));
}

#[tokio::test]
async fn what_does_not_finish_is_interrupted_and_kept() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 50)).await;
    let mut client = house.client().await;
    let (run, waiting) = (client.send("hello").await, client.send("and this").await);
    gate.add_permits(4);
    client.sees(run, &counted(4)).await;
    house.engine.drain(Duration::ZERO).await;
    assert_eq!((house.engine.stats().running, house.engine.stats().queued), (0, 0));
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let event = client.next().await;
        ends.extend(super::rig::end(&event).map(|(run, end)| (run, end.clone())));
    }
    ends.sort_by_key(|(run, _)| *run);
    for ((of, end), (expected, text)) in ends.iter().zip([(run, counted(4)), (waiting, String::new())]) {
        let AgentEvent::RunFailed { error, interrupted: true, .. } = end else { panic!("{end:?}") };
        assert_eq!((*of, error.code, &answer(end).text), (expected, Code::Draining, &text));
    }
    let seq = client.page.seq;
    let folder = house.folder;
    drop((client, house.engine));
    let engine = start(super::restart::reopen(folder.path()).await, repeating(), Settings::default()).await;
    let again = Client::follow(&engine, SESSION, Some(Seq::START)).await;
    assert_eq!(again.run, None);
    let now = Client::follow(&engine, SESSION, None).await;
    assert_eq!(now.page.seq, seq, "nothing was left to be ended");
}
