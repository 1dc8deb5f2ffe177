//! The conversation so far, as an agent is given it.

use super::messages::{Projection, project};
use crate::engine::Core;
use crate::error::Result;
use crate::hub::Room;
use crate::id::RunId;
use crate::model::Message;

/// Entries that are looked back over for each message that is wanted: a question, its answer, and amendments. Each
/// further look goes back eight times as far.
const ENTRIES_A_MESSAGE: usize = 3;

/// What an agent is given of a chat.
pub(crate) struct Conversation {
    /// The last messages before the run's own, oldest first, and its own one at the end.
    pub(crate) messages: Vec<Message>,
    /// What came before them, where it was summed up.
    pub(crate) summary: Option<String>,
}

impl Conversation {
    /// One that a question begins.
    pub(crate) fn begun_with(question: String) -> Self {
        Self { messages: vec![Message::User(question)], summary: None }
    }
}

/// The conversation that leads to a run's question: at most `limit` messages, the question included.
pub(crate) async fn conversation(
    core: &Core,
    room: &Room,
    run: RunId,
    question: String,
    limit: usize,
) -> Result<Conversation> {
    let limit = limit.max(1);
    let last = room.lock().written;
    let mut look = ENTRIES_A_MESSAGE * limit + 64;
    let (projection, before) = loop {
        let entries = core.store.message_entries(room.chat, last, look).await?;
        let whole = entries.len() < look;
        let projection = project(&entries);
        match enough(&projection, run, limit) {
            Some(before) => break (projection, before),
            None if whole => {
                let before = projection.before(run).unwrap_or_default();
                break (projection, before);
            }
            None => look = look.saturating_mul(8),
        }
    };
    let mut messages = before;
    messages.push(Message::User(question));
    let summary = projection.summary.map(|(_, text)| text).filter(|text| !text.is_empty());
    Ok(Conversation { messages: newest(messages, limit), summary })
}

/// What was said before, if looking farther back would change nothing.
fn enough(projection: &Projection, run: RunId, limit: usize) -> Option<Vec<Message>> {
    projection.before(run).filter(|before| before.len() >= limit)
}

/// The last `limit` messages, beginning with a question.
fn newest(mut messages: Vec<Message>, limit: usize) -> Vec<Message> {
    messages.drain(..messages.len().saturating_sub(limit));
    let questions = messages.iter().position(|message| matches!(message, Message::User(_)));
    messages.drain(..questions.unwrap_or_default());
    messages
}
