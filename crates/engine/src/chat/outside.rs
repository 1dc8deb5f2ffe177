//! What clients and persons are asked for a run: registering tools, answering calls, agreeing to them.

use std::sync::Arc;

use crate::agent::toolbox::{CLIENT_TOOLS_MAX, check_client_tools};
use crate::command::{ChatRef, Reply};
use crate::connection::Connection;
use crate::conversation::ToolAnswer;
use crate::engine::Core;
use crate::error::{Code, Detail, Error, Result};
use crate::hub::Room;
use crate::model::ToolDefinition;

/// The most bytes of a client's result, as JSON.
const RESULT_MAX: usize = 1024 * 1024;

/// `RegisterTools`.
pub(crate) async fn register(
    core: &Core,
    connection: &Connection,
    chat: &ChatRef,
    tools: Vec<ToolDefinition>,
) -> Result<Reply> {
    let tools = check_client_tools(&core.agents.tools(), tools)?;
    let room = super::resolve(core, connection, chat).await?;
    connection.bring_tools(&room, tools)?;
    Ok(Reply::Registered)
}

/// `AnswerTool`.
pub(crate) async fn answer(
    core: &Core,
    connection: &Connection,
    chat: &ChatRef,
    call_id: &str,
    answer: ToolAnswer,
) -> Result<Reply> {
    check_size(&answer)?;
    let room = super::resolve(core, connection, chat).await?;
    let by = &connection.identity().subject;
    let runs: Vec<_> = room.lock().runs.iter().cloned().collect();
    Ok(Reply::Answered(runs.iter().any(|run| run.outside.answer(call_id, answer.clone(), by))))
}

/// `DecideCall`.
pub(crate) async fn decide(
    core: &Core,
    connection: &Connection,
    chat: &ChatRef,
    call_id: &str,
    approved: bool,
) -> Result<Reply> {
    let room = super::resolve(core, connection, chat).await?;
    let by = &connection.identity().subject;
    let runs: Vec<_> = room.lock().runs.iter().cloned().collect();
    Ok(Reply::Answered(runs.iter().any(|run| run.outside.decide(call_id, approved, by))))
}

/// A result that is too large is refused, and its call still waits: the client may answer with less.
fn check_size(answer: &ToolAnswer) -> Result<()> {
    let size = match answer {
        ToolAnswer::Result(value) => value.to_string().len(),
        ToolAnswer::Failed(why) => why.len(),
        ToolAnswer::Working => 0,
    };
    if size <= RESULT_MAX {
        return Ok(());
    }
    let message = format!("a tool's result has at most {RESULT_MAX} bytes; answer with less");
    Err(Error::new(Code::TooLarge, message).with(Detail::Field("result".into())))
}

/// The tools that clients bring to a run: those of its message, then those that connections registered, the latest
/// first. Of two with one name the first counts.
pub(crate) fn brought(room: &Arc<Room>, of_message: Vec<ToolDefinition>) -> Vec<ToolDefinition> {
    let mut tools = of_message;
    let state = room.lock();
    for tool in state.brought.iter().rev().flat_map(|brought| &brought.tools) {
        if tools.len() < CLIENT_TOOLS_MAX && !tools.iter().any(|known| known.name == tool.name) {
            tools.push(tool.clone());
        }
    }
    tools
}
