//! A chat as the caller reads it, and the place where its events wait.
//!
//! Text that is not read in time is joined, so what waits is bounded by what the agent says; beyond a limit it is given
//! up and read again from the server's log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use crate::call::{Again, Caller};
use crate::generated::wire::{self, ClientMessage, ClientToolResult};
use crate::pump::Control;
use crate::{Error, Result};

/// Bytes of text that wait at most.
const WAITING_BYTES: usize = 1 << 20;

/// What a chat tells, in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// Somebody said something; only for who follows.
    Said(wire::ChatUserMessage),
    /// More of the answer.
    Text {
        /// The text.
        content: String,
        /// True: the whole text so far, instead of what was read.
        replace: bool,
    },
    /// The agent wants this client to do a call of its tools, or to agree to one of the server's; answer it with
    /// [`ChatStream::answer_tool`] or [`ChatStream::refuse_tool`].
    ToolCall {
        /// Which call.
        call_id: String,
        /// Which tool.
        tool_name: String,
        /// What it is called with.
        arguments: Value,
    },
    /// The answer is whole, or was stopped.
    End(wire::ChatStreamEnd),
    /// The answer failed.
    Failed(wire::ChatStreamError),
    /// The server's log of the chat is not the one that was read: forget it, everything follows from the start.
    Reset,
}

/// What waits for the caller.
#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<ChatEvent>,
    bytes: usize,
    /// Text was given up; the server is asked for it when the rest is read.
    behind: bool,
    /// Nothing follows; with an error, that.
    over: Option<Option<Error>>,
}

/// What a stream and the task that feeds it have in common.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrival: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event; false if it has to be read again later.
    pub(crate) fn push(&self, event: ChatEvent) -> bool {
        let mut waiting = self.lock();
        if waiting.bytes + size(&event) > WAITING_BYTES && !waiting.events.is_empty() {
            waiting.behind = true;
            return false;
        }
        waiting.bytes += size(&event);
        join(&mut waiting.events, event);
        drop(waiting);
        self.arrival.notify_one();
        true
    }

    /// Nothing follows.
    pub(crate) fn end(&self, error: Option<Error>) {
        self.lock().over.get_or_insert(error);
        self.arrival.notify_one();
    }

    /// The next event; whether the server is to be asked for what was given up.
    pub(crate) fn pop(&self) -> (Option<std::result::Result<ChatEvent, Option<Error>>>, bool) {
        let mut waiting = self.lock();
        if let Some(event) = waiting.events.pop_front() {
            waiting.bytes = waiting.bytes.saturating_sub(size(&event));
            return (Some(Ok(event)), false);
        }
        waiting.bytes = 0;
        let over = waiting.over.as_mut().map(|error| Err(error.take()));
        let behind = std::mem::take(&mut waiting.behind);
        (over, behind)
    }
}

fn size(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text { content, .. } => content.len(),
        ChatEvent::Said(said) => said.content.len(),
        _ => 256,
    }
}

/// Text goes on where text waits.
fn join(events: &mut VecDeque<ChatEvent>, event: ChatEvent) {
    match (events.back_mut(), event) {
        (Some(ChatEvent::Text { content, .. }), ChatEvent::Text { content: more, replace: false }) => {
            content.push_str(&more);
        }
        (Some(last @ ChatEvent::Text { .. }), whole @ ChatEvent::Text { .. }) => *last = whole,
        (_, event) => events.push_back(event),
    }
}

/// A chat's events, over any number of lost connections. From [`crate::Client::chat_send`] it ends with the answer;
/// from [`crate::Client::chat_follow`] it does not end.
///
/// Dropping it stops nothing: the answer is given, and can be read later by following the chat. [`Self::cancel`] stops.
pub struct ChatStream {
    pub(crate) chat: String,
    pub(crate) key: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) caller: Caller,
    pub(crate) control: mpsc::UnboundedSender<Control>,
}

impl ChatStream {
    /// The next event; `None` after the last. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<ChatEvent>> {
        loop {
            let arrival = self.queue.arrival.notified();
            let (next, behind) = self.queue.pop();
            match next {
                Some(Ok(event)) => return Some(Ok(event)),
                Some(Err(error)) => return error.map(Err),
                None if behind => drop(self.control.send(Control::ReadAgain(self.key))),
                None => {}
            }
            arrival.await;
        }
    }

    /// The chat's name or id.
    pub fn chat_id(&self) -> &str {
        &self.chat
    }

    /// Waits for the end of the answer and gives its whole text. Calls of tools on the way go unanswered.
    pub async fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(event) = self.next().await {
            match event? {
                ChatEvent::Text { content, replace: true } => text = content,
                ChatEvent::Text { content, .. } => text.push_str(&content),
                ChatEvent::End(_) => return Ok(text),
                ChatEvent::Failed(failed) => return Err(failure(failed)),
                ChatEvent::Reset => text.clear(),
                ChatEvent::Said(_) | ChatEvent::ToolCall { .. } => {}
            }
        }
        Err(Error::Closed { reason: String::from("the chat's events ended before the answer did") })
    }

    /// Says something more; its answer comes in this stream, if it is one that follows.
    pub async fn send(&self, message: impl Into<String>) -> Result<()> {
        let send =
            wire::ChatSend { chat_id: self.chat.clone(), message: message.into(), ..Default::default() };
        self.caller.ask(ClientMessage::ChatSend(send), Again::No).await.map(drop)
    }

    /// Stops the answer; what was said is kept, and [`ChatEvent::End`] follows.
    pub async fn cancel(&self) -> Result<()> {
        let cancel = wire::CancelChat { chat_id: self.chat.clone() };
        self.caller.ask(ClientMessage::CancelChat(cancel), Again::Yes).await.map(drop)
    }

    /// Says what a tool did, or agrees to a call.
    pub async fn answer_tool(&self, call_id: impl Into<String>, result: Value) -> Result<()> {
        self.tool(ClientToolResult {
            call_id: call_id.into(),
            success: Some(true),
            result: Some(result),
            ..Default::default()
        })
        .await
    }

    /// Says why a tool failed, or refuses a call; the model is told.
    pub async fn refuse_tool(&self, call_id: impl Into<String>, why: impl Into<String>) -> Result<()> {
        let (call_id, error) = (call_id.into(), Some(why.into()));
        self.tool(ClientToolResult { call_id, success: Some(false), error, ..Default::default() }).await
    }

    /// Says that a tool still works, so that it is waited for anew.
    pub async fn keep_tool_alive(&self, call_id: impl Into<String>) -> Result<()> {
        let call_id = call_id.into();
        self.tool(ClientToolResult { call_id, keepalive: Some(true), ..Default::default() }).await
    }

    async fn tool(&self, result: ClientToolResult) -> Result<()> {
        let result = ClientToolResult { chat_id: self.chat.clone(), ..result };
        self.caller.ask(ClientMessage::ClientToolResult(result), Again::Yes).await.map(drop)
    }
}

fn failure(failed: wire::ChatStreamError) -> Error {
    let code = failed.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    Error::Server { code, message: failed.error }
}

impl Drop for ChatStream {
    fn drop(&mut self) {
        let _ = self.control.send(Control::Unfollow(self.key));
    }
}

impl std::fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatStream").field("chat", &self.chat).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str, replace: bool) -> ChatEvent {
        ChatEvent::Text { content: content.into(), replace }
    }

    #[test]
    fn text_that_waits_is_joined_and_replaced() {
        let queue = Queue::default();
        for event in [text("a", false), text("b", false), text("xyz", true), text("!", false)] {
            assert!(queue.push(event));
        }
        let (next, _) = queue.pop();
        // The first part began a text, so the reader need not be told to forget anything but by the replacement.
        assert_eq!(next, Some(Ok(text("xyz!", true))));
        assert_eq!(queue.pop(), (None, false));
    }

    #[test]
    fn beyond_the_limit_text_is_given_up_until_the_rest_is_read() {
        let queue = Queue::default();
        let large = "x".repeat(WAITING_BYTES);
        assert!(queue.push(text(&large, false)));
        assert!(!queue.push(text("more", false)));
        assert!(queue.pop().0.is_some());
        assert_eq!(queue.pop(), (None, true));
        assert_eq!(queue.pop(), (None, false));
        queue.end(None);
        assert_eq!(queue.pop().0, Some(Err(None)));
    }
}
