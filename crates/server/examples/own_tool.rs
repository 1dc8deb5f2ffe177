//! A server with a tool of its own, which answers one question with it and ends.
//!
//! ```sh
//! cargo run -p tidewire-server --example own_tool --no-default-features
//! ```
//!
//! The model is scripted, so that this needs neither a key nor a network; any other takes its place. A program that
//! serves goes on with `tidewire_server::serve`.

#![allow(clippy::print_stdout, reason = "it is a program whose output is read")]

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tidewire_engine::agent::Tool;
use tidewire_engine::agent::tool::{self, Declared};
use tidewire_engine::command::WhileRunning;
use tidewire_engine::model::choose::Chosen;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::{AgentEvent, ChatBody, ChatRef, Command, Error, Event, Identity, Result};
use tidewire_server::Config;
use tidewire_server::start::start_with;

/// The tool.
fn dice() -> Arc<dyn Tool> {
    let roll = tool::function(
        "roll_dice",
        "Rolls dice and adds them up.",
        json!({
            "type": "object",
            "properties": {"dice": {"type": "integer", "minimum": 1, "maximum": 100}},
            "required": ["dice"],
        }),
        |_context, arguments| async move {
            let dice = arguments["dice"].as_u64().unwrap_or(1);
            Ok(json!({"total": (0..dice).map(|_| rand::random_range(1..=6)).sum::<u64>()}))
        },
    );
    tool::declared(roll, Declared { answers_anew: true, ..Declared::default() })
}

/// What the tool is asked in a chat, and what comes of it, a line each.
pub(crate) async fn play(data: &Path) -> Result<Vec<String>> {
    let model = ScriptedModel::new()
        .after("roll_dice", Script::new().words("That is what they show."))
        .otherwise(Script::new().call("roll_dice", json!({"dice": 2})));
    let config = Config { data: data.to_owned(), ..Config::default() };
    let chosen = Chosen { model: Arc::new(model), embedder: None };
    let started = start_with(config, chosen, vec![dice()]).await?;
    let engine = &started.house.engine;
    let connection = engine.connect(Identity::local());
    let chat = || ChatRef::Session("own-tool".parse().expect("it is a session's id"));
    engine.execute(&connection, Command::FollowChat { chat: chat(), after: None }).await?;
    let question = Command::SendMessage {
        chat: chat(),
        message_id: None,
        content: String::from("Roll two dice"),
        while_running: WhileRunning::Reject,
        options: Default::default(),
    };
    engine.execute(&connection, question).await?;
    let (mut lines, mut events) = (Vec::new(), Vec::new());
    loop {
        connection.next(&mut events).await;
        for event in events.drain(..) {
            let Event::Chat(event) = event else { continue };
            let ChatBody::Run { event, .. } = &event.body else { continue };
            match event {
                AgentEvent::ToolResult { name, content, .. } => lines.push(format!("{name}: {content}")),
                AgentEvent::RunFinished { answer, .. } => {
                    lines.push(answer.text.clone());
                    return Ok(lines);
                }
                AgentEvent::RunFailed { error, .. } => return Err(error.clone()),
                _ => {}
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("tidewire-own-tool");
    std::fs::create_dir_all(&folder).map_err(Error::internal)?;
    for line in play(&folder).await? {
        println!("{line}");
    }
    Ok(())
}
