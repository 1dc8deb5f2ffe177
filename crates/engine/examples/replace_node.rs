//! How an application puts a node of its own in the assistant's graph, and one more beside it.
//!
//! ```sh
//! cargo run -p tidewire-engine --example replace_node
//! ```
//!
//! Passages come from a list in this file instead of documents, and a node after the answer says how sure it is. It
//! prints the steps and the answer.

#![allow(clippy::print_stdout, reason = "it is a program whose output is read")]

use std::sync::Arc;

use async_trait::async_trait;
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::agent::graph::assistant::{Means, graph};
use tidewire_engine::agent::graph::{Condition, END, Edge, GraphAgent, Node, Stage, State, Work};
use tidewire_engine::agent::retrieval::Passage;
use tidewire_engine::agent::run_loop::Limits;
use tidewire_engine::agent::{Agent, SharedRecords, ToolSet, Turn, events};
use tidewire_engine::collections::Desk;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Message;
use tidewire_engine::model::assistant::Assistant;
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{AgentEvent, Identity, Result};

const FACTS: [(&str, &str); 2] = [
    ("Green tea", "Green tea is steeped at 70 °C for two minutes."),
    ("Black tea", "Black tea is steeped with boiling water for four minutes."),
];

/// Finds facts that have a word of the question in their title.
struct FactsOfMine;

#[async_trait]
impl Work for FactsOfMine {
    async fn enter(&self, _stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let question = state.wanted().to_lowercase();
        let fits = |title: &str| title.to_lowercase().split(' ').all(|word| question.contains(word));
        let found = FACTS.iter().filter(|(title, _)| fits(title));
        state.passages = found.map(|(title, text)| passage(title, text)).collect();
        Ok(())
    }
}

fn passage(title: &str, text: &str) -> Passage {
    Passage {
        collection: "facts".into(),
        record: title.into(),
        document: title.into(),
        title: title.into(),
        source: "the kitchen".into(),
        url: None,
        section: None,
        page: None,
        text: text.into(),
        score: 1.0,
    }
}

/// Says on how much the answer rests.
struct Confidence;

#[async_trait]
impl Work for Confidence {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        stage.begin_paragraph();
        stage.say(&format!("(This rests on {} source.)", state.passages.len())).await
    }
}

fn agent() -> Result<GraphAgent> {
    let records: SharedRecords = Arc::new(Desk::new(Arc::new(Sqlite::in_memory()?), Arc::new(SystemClock)));
    let model = Arc::new(Assistant::new());
    let means = Means {
        model: Arc::clone(&model) as _,
        records: Arc::clone(&records),
        embedder: None,
        explorer: Explorer::new(Arc::clone(&model) as _, records),
        tools: ToolSet::default(),
        limits: Limits::default(),
    };
    let mut graph = graph(&means);
    graph.replace("retrieve", FactsOfMine)?;
    graph.nodes.push(Node::new("confidence", Confidence));
    graph.edges.retain(|edge| edge.from != "generate_answer");
    graph.edges.push(Edge::new("generate_answer", "confidence", Condition::Found));
    graph.edges.push(Edge::new("generate_answer", END, Condition::Always));
    graph.edges.push(Edge::new("confidence", END, Condition::Always));
    GraphAgent::new(graph, model)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let agent = agent()?;
    let question = Message::User("How hot is green tea steeped?".into());
    let mut turn = Turn::alone(Identity::local(), vec![question]);
    turn.wishes.retrieval.enabled = Some(true); // there are no documents that could speak for themselves
    let (events, mut told) = events::queue(64);
    let (text, ()) = tokio::join!(
        async {
            let mut text = String::new();
            while let Some(event) = told.next().await {
                match event {
                    AgentEvent::Step { name } => println!("· {name}"),
                    AgentEvent::RunFinished { answer, .. } => text = answer.text,
                    _ => {}
                }
            }
            text
        },
        agent.run(turn, events),
    );
    println!("\n{text}");
    assert!(text.contains("70 °C") && text.contains("1 source"), "the example says what it promises");
    Ok(())
}
