//! The conversation so far, as an agent is given it: a projection of the log.
//!
//! Each message goes with what was answered to it, also where messages were written while others were being answered.

use crate::engine::Core;
use crate::error::Result;
use crate::event::{AgentEvent, ChatBody};
use crate::hub::Room;
use crate::id::{RunId, Seq};
use crate::model::Message;
use crate::store::Store;
use crate::store::entry::{LogEntry, Mark};

/// Sequence numbers that are looked back over at first; each further look goes back eight times as far.
const FIRST_LOOK: u64 = 1024;

/// Entries that are read at once.
const CHUNK: usize = 512;

/// What was said in one run.
struct Exchange {
    run: RunId,
    question: String,
    answer: String,
}

/// The last messages before `run`'s own, oldest first, and its own one at the end.
pub(crate) async fn messages(core: &Core, room: &Room, run: RunId, question: String) -> Result<Vec<Message>> {
    let limit = core.settings.history_messages.max(1);
    let last = room.lock().written;
    let mut look = FIRST_LOOK;
    let before = loop {
        let after = Seq(last.0.saturating_sub(look));
        let exchanges = exchanges(&read(&*core.store, room, after, last).await?, run);
        if after == Seq::START || exchanges.len() >= limit {
            break exchanges;
        }
        look = look.saturating_mul(8);
    };
    let mut messages: Vec<Message> = before.into_iter().flat_map(Exchange::into_messages).collect();
    messages.push(Message::User(question));
    Ok(newest(messages, limit))
}

/// The last `limit` messages, beginning with a question.
fn newest(mut messages: Vec<Message>, limit: usize) -> Vec<Message> {
    messages.drain(..messages.len().saturating_sub(limit));
    let questions = messages.iter().position(|message| matches!(message, Message::User(_)));
    messages.drain(..questions.unwrap_or_default());
    messages
}

/// The entries that matter here, after `after` up to `last`.
async fn read(store: &dyn Store, room: &Room, after: Seq, last: Seq) -> Result<Vec<LogEntry>> {
    let mut kept = Vec::new();
    let mut cursor = after;
    while cursor < last {
        let entries = store.read(room.chat, cursor, CHUNK).await?;
        let Some(end) = entries.last() else { break };
        cursor = end.to;
        kept.extend(entries.into_iter().filter(|entry| matches!(entry.mark, Mark::Message | Mark::End)));
    }
    Ok(kept)
}

/// What was said before `run`, in the order of the questions.
fn exchanges(entries: &[LogEntry], own: RunId) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut before_own = true;
    for content in entries.iter().filter_map(|entry| entry.decode().ok().flatten()) {
        match content.body {
            ChatBody::UserMessage { run, .. } if run == own => before_own = false,
            ChatBody::UserMessage { run, content, .. } if before_own => {
                exchanges.push(Exchange { run, question: content, answer: String::new() });
            }
            ChatBody::UserMessage { .. } | ChatBody::Amended { .. } => {}
            ChatBody::Run { run, event, .. } => {
                if let Some(exchange) = exchanges.iter_mut().rev().find(|exchange| exchange.run == run) {
                    exchange.answer = answer(event);
                }
            }
        }
    }
    exchanges
}

fn answer(event: AgentEvent) -> String {
    match event {
        AgentEvent::RunFinished { answer, .. }
        | AgentEvent::RunFailed { answer, .. }
        | AgentEvent::RunStopped { answer, .. } => answer.text,
        _ => String::new(),
    }
}

impl Exchange {
    /// A question that got no words has no answer: an empty one would only confuse a model.
    fn into_messages(self) -> impl Iterator<Item = Message> {
        let answer =
            (!self.answer.is_empty()).then_some(Message::Assistant { text: self.answer, calls: Vec::new() });
        std::iter::once(Message::User(self.question)).chain(answer)
    }
}
