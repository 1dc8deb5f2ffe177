//! Agents that do not keep their promises leave no run open.

use std::time::Duration;

use tidewire_engine::{AgentEvent, Code, Settings};

use super::rig::{House, agent, answer, counted, counting, delta, finished, say};

#[tokio::test]
async fn a_panic_ends_the_run_and_nothing_else() {
    let house = House::new(agent(|turn, events| async move {
        say(&events, AgentEvent::RunStarted).await;
        say(&events, delta("so far ")).await;
        assert!(turn.messages.len() > 1, "the secret reason");
        say(&events, finished("fine")).await;
    }))
    .await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    let AgentEvent::RunFailed { answer: said, error, interrupted, .. } = client.end_of(run).await else {
        panic!("it failed")
    };
    assert_eq!((error.code, interrupted, said.text.as_str()), (Code::Internal, false, "so far "));
    assert!(!error.message.contains("secret"), "{error}");
    let next = client.send("again").await;
    assert_eq!(answer(&client.end_of(next).await).text, "fine");
}

#[tokio::test]
async fn silence_is_a_failure() {
    let house = House::new(agent(|_, events| async move {
        say(&events, AgentEvent::RunStarted).await;
        say(&events, AgentEvent::Diagram { mermaid: "erDiagram".into() }).await;
        say(&events, delta("half an ans")).await;
    }))
    .await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    let AgentEvent::RunFailed { answer, error, .. } = client.end_of(run).await else { panic!("it failed") };
    assert_eq!((error.code, answer.text.as_str()), (Code::Internal, "half an ans"));
    assert_eq!(answer.diagram.as_deref(), Some("erDiagram"));
}

#[tokio::test]
async fn a_run_has_a_deadline() {
    let settings = Settings { run_deadline: Duration::from_millis(50), ..Settings::default() };
    let house = House::with(
        agent(|_, events| async move {
            say(&events, AgentEvent::RunStarted).await;
            std::future::pending::<()>().await;
        }),
        settings,
    )
    .await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    let AgentEvent::RunFailed { error, .. } = client.end_of(run).await else { panic!("it failed") };
    assert_eq!(error.code, Code::Deadline);
}

#[tokio::test]
async fn nothing_is_heard_after_an_end() {
    let house = House::new(agent(|_, events| async move {
        say(&events, AgentEvent::RunStarted).await;
        say(&events, finished("first")).await;
        say(&events, delta("and then")).await;
        say(&events, finished("second")).await;
    }))
    .await;
    let mut client = house.client().await;
    let first = client.send("hello").await;
    assert_eq!(answer(&client.end_of(first).await).text, "first");
    let second = client.send("again").await;
    assert_eq!(answer(&client.end_of(second).await).text, "first");
}

#[tokio::test]
async fn an_agent_that_is_faster_than_the_log_waits() {
    let settings = Settings { agent_queue: 2, ..Settings::default() };
    let house = House::with(counting(500), settings).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    assert_eq!(answer(&client.end_of(run).await).text, counted(500));
    assert!(house.engine.stats().entries_total > 200, "at most two deltas are merged here");
}

#[tokio::test]
async fn sizes_of_nothing_are_taken_as_one() {
    let settings = Settings {
        agent_queue: 0,
        outbox_events: 0,
        outbox_bytes: 0,
        batch: 0,
        history_messages: 0,
        sweep_every: Duration::ZERO,
        ..Settings::default()
    };
    let house = House::with(counting(30), settings).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    assert_eq!(answer(&client.end_of(run).await).text, counted(30));
}
