//! Conversations with the explorer as transcripts: a question, a scripted model, and what happens. Time is paused.

mod answers;
mod faults;
mod graph;
mod memory;
mod outside;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use self::memory::Memory;
use super::explorer::{Explorer, demo};
use super::{Agent, Tool, Turn, events, tool};
use crate::error::Error;
use crate::event::{AgentEvent, Answer, Usage};
use crate::identity::Identity;
use crate::model::scripted::{Script, ScriptedModel};
use crate::model::{Message, StopReason};

fn turn(question: &str) -> Turn {
    Turn::alone(Identity::local(), vec![Message::User(question.to_owned())])
}

/// An explorer over the demo catalogue.
fn explorer(model: ScriptedModel) -> Explorer {
    Explorer::new(Arc::new(model), Arc::new(Memory::of(demo::entries())))
}

/// Runs a turn to its end.
async fn events(agent: &impl Agent, turn: Turn) -> Vec<AgentEvent> {
    let (sender, mut receiver) = events::queue(1);
    let read = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.next().await {
            events.push(event);
        }
        events
    };
    let ((), events) = tokio::join!(agent.run(turn, sender), read);
    check_grammar(&events);
    events
}

/// First `RunStarted`, last one end, nothing of them between.
fn check_grammar(events: &[AgentEvent]) {
    assert!(matches!(events.first(), Some(AgentEvent::RunStarted)), "{events:?}");
    assert!(events.last().is_some_and(AgentEvent::is_end), "{events:?}");
    let inner = &events[1..events.len() - 1];
    assert!(
        !inner.iter().any(|event| event.is_end() || matches!(event, AgentEvent::RunStarted)),
        "{events:?}"
    );
}

/// One line an event.
fn line(event: &AgentEvent) -> String {
    match event {
        AgentEvent::RunQueued { position } => format!("queued {position}"),
        AgentEvent::RunStarted => String::from("started"),
        AgentEvent::TextDelta { text } => format!("text {text:?}"),
        AgentEvent::ReasoningDelta { text } => format!("reasoning {text:?}"),
        AgentEvent::ToolCall { name, arguments, .. } => format!("call {name} {arguments}"),
        AgentEvent::ToolCallArgs { name, so_far, .. } => format!("arguments {name} {so_far}"),
        AgentEvent::ToolResult { name, content, error: None, .. } => format!("result {name} {content}"),
        AgentEvent::ToolResult { name, content, error: Some(_), .. } => format!("error {name} {content}"),
        AgentEvent::Diagram { .. } => String::from("diagram"),
        AgentEvent::RunFinished { answer, .. } => format!("finished {:?}", answer.text),
        AgentEvent::RunFailed { answer, error, .. } => format!("failed {:?}: {error}", answer.text),
        AgentEvent::RunStopped { answer, .. } => format!("stopped {:?}", answer.text),
        AgentEvent::ApprovalRequested { .. }
        | AgentEvent::ClientToolRequested { .. }
        | AgentEvent::ApprovalResolved { .. }
        | AgentEvent::Sources(_)
        | AgentEvent::Step { .. }
        | AgentEvent::Checkpoint(_) => panic!("the explorer does not do this: {event:?}"),
    }
}

/// Plays a question and compares the lines.
#[track_caller]
fn assert_lines(events: &[AgentEvent], expected: &[&str]) {
    let lines: Vec<_> = events.iter().map(line).collect();
    assert_eq!(lines, expected);
}

fn end(events: &[AgentEvent]) -> (&Answer, Usage) {
    match events.last() {
        Some(
            AgentEvent::RunFinished { answer, usage }
            | AgentEvent::RunFailed { answer, usage, .. }
            | AgentEvent::RunStopped { answer, usage },
        ) => (answer, *usage),
        other => panic!("no end: {other:?}"),
    }
}

fn failure(events: &[AgentEvent]) -> &Error {
    match events.last() {
        Some(AgentEvent::RunFailed { error, .. }) => error,
        other => panic!("it did not fail: {other:?}"),
    }
}

/// The results of a tool, as JSON.
fn results(events: &[AgentEvent], tool: &str) -> Vec<Value> {
    let contents = events.iter().filter_map(|event| match event {
        AgentEvent::ToolResult { name, content, .. } if name == tool => Some(content),
        _ => None,
    });
    contents.map(|content| serde_json::from_str(content).expect("results are JSON")).collect()
}

/// A tool that answers after some time.
fn slow(name: &str, after: Duration, answer: Value) -> Arc<dyn Tool> {
    tool::function(name, "", json!({"type": "object"}), move |_, _| {
        let answer = answer.clone();
        async move {
            tokio::time::sleep(after).await;
            Ok(answer)
        }
    })
}

fn say(text: &str) -> Script {
    Script::new().text(text)
}

fn call(tool: &str, arguments: Value) -> Script {
    Script::new().call(tool, arguments)
}
