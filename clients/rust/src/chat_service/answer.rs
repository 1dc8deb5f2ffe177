//! What callers read: the events of one answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::keeper::Control;
use crate::Error;
use crate::generated::chat_service::wire::{
    ApprovalData, ErrorData, FinalData, MessageData, RunData, Source, ToolData,
};

/// One thing that happens while an answer is given.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AnswerEvent {
    /// Where the chat stands.
    Run(RunData),
    /// What was told of the chat is void and comes again: the server does not know the place.
    Reset,
    /// A question of the chat was accepted; the text that follows answers it.
    Message(MessageData),
    /// More text, to append.
    Text(String),
    /// What the answer rests on, the most relevant first.
    Sources(Vec<Source>),
    /// A node of the graph was entered.
    Step(String),
    /// More of what the model thinks, to append.
    Thinking(String),
    /// A tool is called; one with status `requested` is this client's to answer.
    Tool(ToolData),
    /// A call waits for a person, or was decided.
    Approval(ApprovalData),
    /// What the answer cost.
    Final(FinalData),
    /// The server could not do something; the stream goes on to its end.
    Error(ErrorData),
    /// The server cannot be reached any more; nothing follows.
    Lost(Error),
}

/// What waits for the reader. Text that was not read yet is one event, however many pieces it came in.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    ring: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<AnswerEvent>,
    over: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, event: AnswerEvent) {
        let mut state = self.lock();
        match (state.events.back_mut(), event) {
            (Some(AnswerEvent::Text(waiting)), AnswerEvent::Text(added)) => waiting.push_str(&added),
            (_, event) => state.events.push_back(event),
        }
        drop(state);
        self.ring.notify_one();
    }

    pub(super) fn end(&self) {
        self.lock().over = true;
        self.ring.notify_one();
    }

    /// `Err` if nothing waits: whether something may still come.
    pub(super) fn take(&self) -> Result<AnswerEvent, bool> {
        let mut state = self.lock();
        let over = state.over;
        state.events.pop_front().ok_or(!over)
    }
}

/// The events of one answer, until its end. Dropping it leaves the answer alone.
pub struct AnswerStream {
    key: u64,
    run_id: String,
    queue: Arc<Queue>,
    control: mpsc::UnboundedSender<Control>,
    text: String,
}

impl AnswerStream {
    pub(super) fn new(
        key: u64,
        run_id: String,
        queue: Arc<Queue>,
        control: mpsc::UnboundedSender<Control>,
    ) -> Self {
        Self { key, run_id, queue, control, text: String::new() }
    }

    /// The chat's name.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The text of the answer as far as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The next event; `None` after the end, which comes exactly once, whatever happened. Cancel-safe.
    pub async fn next(&mut self) -> Option<AnswerEvent> {
        loop {
            match self.queue.take() {
                Ok(event) => return Some(self.read(event)),
                Err(true) => self.queue.ring.notified().await,
                Err(false) => return None,
            }
        }
    }

    /// Reads to the end and gives the whole text.
    ///
    /// # Errors
    /// When the server refuses the question, the answer fails, or the server cannot be reached any more.
    pub async fn whole(mut self) -> crate::Result<String> {
        let mut failed = None;
        while let Some(event) = self.next().await {
            match event {
                AnswerEvent::Error(error) => {
                    let code = error.code.as_ref().map_or(500, |code| http_status(code.as_str()));
                    failed = Some(Error::Server { code, message: error.message });
                }
                AnswerEvent::Lost(error) => failed = Some(error),
                _ => {}
            }
        }
        failed.map_or_else(|| Ok(std::mem::take(&mut self.text)), Err)
    }

    fn read(&mut self, event: AnswerEvent) -> AnswerEvent {
        match &event {
            AnswerEvent::Text(added) => self.text.push_str(added),
            AnswerEvent::Message(_) | AnswerEvent::Reset => self.text.clear(),
            _ => {}
        }
        event
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        let _ = self.control.send(Control::Forget(self.key));
    }
}

impl std::fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerStream").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

/// The words of this dialect in the numbers of [`Error::code`].
fn http_status(code: &str) -> u16 {
    match code {
        "invalid" => 400,
        "unauthenticated" => 401,
        "forbidden" => 403,
        "not_found" => 404,
        "conflict" => 409,
        "too_large" => 413,
        "rate_limited" => 429,
        "cancelled" => 499,
        "unimplemented" => 501,
        "upstream" => 502,
        "unavailable" | "draining" => 503,
        "deadline" => 504,
        _ => 500,
    }
}
