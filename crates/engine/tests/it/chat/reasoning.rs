//! What a model reasons, for those who come when it has ended.

use std::sync::Arc;

use tidewire_engine::agent::Agent;
use tidewire_engine::event::{Answer, Usage};
use tidewire_engine::{AgentEvent, ChatBody, ChatEvent, Seq, Settings};
use tokio::runtime::Runtime;

use super::restart::reopen;
use super::rig::{Client, House, SESSION, agent, answer, finished, open, repeating, say, start};

const THOUGHTS: &str = "First the tables.\n\nThen the columns.";

fn thought(text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { text: text.into() }
}

/// Thinks before a step and after it, and then ends as it was told, or never.
fn thinking(end: Option<AgentEvent>) -> Arc<dyn Agent> {
    agent(move |_, events| {
        let end = end.clone();
        async move {
            let step = AgentEvent::Step { name: "retrieve".into() };
            let first = [AgentEvent::RunStarted, thought("First the"), thought(" tables."), step];
            for event in first.into_iter().chain([thought("Then the columns.")]).chain(end) {
                say(&events, event).await;
            }
            std::future::pending().await
        }
    })
}

fn thought_in(event: &ChatEvent) -> &str {
    match &event.body {
        ChatBody::Run { event: AgentEvent::ReasoningDelta { text }, .. } => text,
        _ => "",
    }
}

#[tokio::test]
async fn it_is_with_the_end_as_it_was_told() {
    let house = House::new(thinking(Some(finished("There are two.")))).await;
    let mut client = house.client().await;
    let run = client.send("What is there?").await;
    let told = client.until(|event| super::rig::end(event).is_some()).await;
    let told: String = told.iter().map(|event| thought_in(event)).collect();
    assert_eq!(told, THOUGHTS);
    let mut late = house.client().await;
    let end = late.end_of(run).await;
    assert_eq!(answer(&end).reasoning.as_deref(), Some(THOUGHTS));
    assert_eq!(answer(&end).text, "There are two.");
}

#[tokio::test]
async fn a_stopped_answer_keeps_it() {
    let house = House::new(thinking(None)).await;
    let mut client = house.client().await;
    let run = client.send("What is there?").await;
    client.until(|event| thought_in(event).ends_with("columns.")).await;
    assert!(client.stop(Some(run)).await);
    let end = client.end_of(run).await;
    assert!(matches!(end, AgentEvent::RunStopped { .. }), "{end:?}");
    assert_eq!(answer(&end).reasoning.as_deref(), Some(THOUGHTS));
}

#[tokio::test]
async fn what_an_agent_says_of_it_at_the_end_is_not_taken() {
    let claimed = Answer { text: "Two.".into(), reasoning: Some("made up".into()), ..Answer::default() };
    let end = AgentEvent::RunFinished { answer: claimed, usage: Usage::default() };
    let house = House::new(agent(move |_, events| {
        let end = end.clone();
        async move {
            say(&events, AgentEvent::RunStarted).await;
            say(&events, end).await;
        }
    }))
    .await;
    let mut client = house.client().await;
    let run = client.send("What is there?").await;
    assert_eq!(answer(&client.end_of(run).await).reasoning, None);
}

#[test]
fn it_outlives_the_process_that_heard_it() {
    let runtime = || Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let process = runtime();
    let run = process.block_on(async {
        let engine = start(open(folder.path()), thinking(None), Settings::default()).await;
        let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        let run = client.send("What is there?").await;
        client.until(|event| thought_in(event).ends_with("columns.")).await;
        run
    });
    drop(process);
    runtime().block_on(async {
        let engine = start(reopen(folder.path()).await, repeating(), Settings::default()).await;
        let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        let end = client.end_of(run).await;
        assert!(matches!(end, AgentEvent::RunFailed { interrupted: true, .. }), "{end:?}");
        assert_eq!(answer(&end).reasoning.as_deref(), Some(THOUGHTS));
    });
}
