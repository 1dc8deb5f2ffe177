//! Stopping: at once, from anywhere, in every phase, and what was said is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidewire_engine::{AgentEvent, Seq, Settings};
use tokio::sync::Semaphore;

use super::rig::{House, agent, answer, counted, delta, finished, gated, say, stopped};

fn is_stopped(end: &AgentEvent) -> bool {
    matches!(end, AgentEvent::RunStopped { .. })
}

#[tokio::test]
async fn in_mid_text_the_text_and_the_usage_are_kept() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 50)).await;
    let (mut client, other) = (house.client().await, house.client().await);
    let run = client.send("hello").await;
    gate.add_permits(5);
    client.sees(run, &counted(5)).await;
    assert!(other.stop(Some(run)).await, "from another connection, by its id");
    let AgentEvent::RunStopped { answer, usage } = client.end_of(run).await else { panic!("it was stopped") };
    assert_eq!((answer.text, usage.output_tokens), (counted(5), 3));
    assert!(!other.stop(None).await, "nothing goes on");
    assert!(!other.stop(Some(run)).await, "it has ended");
}

#[tokio::test]
async fn before_the_first_token() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 50)).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    assert!(client.stop(None).await);
    let end = client.end_of(run).await;
    assert!(is_stopped(&end) && answer(&end).text.is_empty(), "{end:?}");
    let next = client.send("again").await;
    gate.add_permits(50);
    assert_eq!(answer(&client.end_of(next).await).text, counted(50), "the chat goes on");
}

#[tokio::test]
async fn in_the_queue_it_never_begins_and_the_others_go_on() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 2)).await;
    let mut client = house.client().await;
    let (first, second) = (client.send("first").await, client.send("second").await);
    let third = client.send("third").await;
    assert!(client.stop(Some(second)).await);
    let end = client.end_of(second).await;
    assert!(is_stopped(&end) && answer(&end).text.is_empty(), "{end:?}");
    gate.add_permits(4);
    assert_eq!(answer(&client.end_of(first).await).text, counted(2));
    assert_eq!(answer(&client.end_of(third).await).text, counted(2));
}

#[tokio::test]
async fn in_a_tool_the_tool_is_dropped() {
    struct Noticed(Arc<AtomicBool>);
    impl Drop for Noticed {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let house = House::new(agent(move |turn, events| {
        let noticed = Noticed(Arc::clone(&seen));
        async move {
            say(&events, AgentEvent::RunStarted).await;
            let call = AgentEvent::ToolCall {
                call_id: "c1".into(),
                name: "slow".into(),
                arguments: serde_json::Value::Null,
            };
            say(&events, call).await;
            let tool = async move {
                let _noticed = noticed;
                std::future::pending::<()>().await;
            };
            turn.cancel.run_until_cancelled(tool).await;
            say(&events, stopped("")).await;
        }
    }))
    .await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    client.until(|event| format!("{event:?}").contains("slow")).await;
    assert!(client.stop(None).await);
    assert!(is_stopped(&client.end_of(run).await));
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_agent_that_ignores_it_is_dropped_when_its_grace_is_over() {
    // Paused time would run on by itself while the store's own thread works; a short grace needs none.
    let grace = Duration::from_millis(40);
    let stubborn = agent(|_, events| async move {
        say(&events, AgentEvent::RunStarted).await;
        say(&events, delta("so far ")).await;
        std::future::pending::<()>().await;
    });
    let house = House::with(stubborn, Settings { stop_grace: grace, ..Settings::default() }).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    client.sees(run, "so far ").await;
    let before = Instant::now();
    assert!(client.stop(None).await);
    let end = client.end_of(run).await;
    assert!(is_stopped(&end) && answer(&end).text == "so far ", "{end:?}");
    assert!(before.elapsed() >= grace);
    assert_eq!(Settings::default().stop_grace, Duration::from_secs(1));
}

#[tokio::test]
async fn an_agent_that_goes_on_talking_is_not_heard() {
    let gate = Arc::new(Semaphore::new(0));
    let inner = Arc::clone(&gate);
    let house = House::new(agent(move |turn, events| {
        let gate = Arc::clone(&inner);
        async move {
            say(&events, AgentEvent::RunStarted).await;
            say(&events, delta("before ")).await;
            turn.cancel.cancelled().await;
            gate.acquire().await.unwrap().forget();
            say(&events, delta("after ")).await;
            say(&events, stopped("before ")).await;
            say(&events, finished("before after ")).await;
        }
    }))
    .await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    client.sees(run, "before ").await;
    let shown = client.page.seq;
    assert!(client.stop(None).await);
    gate.add_permits(1);
    let end = client.end_of(run).await;
    assert!(is_stopped(&end) && answer(&end).text == "before ", "{end:?}");
    assert_eq!(client.page.seq, Seq(shown.0 + 1), "nothing came between");
}
