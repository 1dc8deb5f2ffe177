//! A chat's stream as its connection keeps it: which of the chat's events are its own, and up to where it is told.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::chat::{ChatEvent, Queue};
use crate::feed::Asked;
use crate::generated::wire::{ChatFollow, ChatFollowed, ServerMessage};
use crate::{Error, Result};

/// A place in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatPosition {
    /// The highest sequence number that was read; 0 is the beginning.
    pub seq: u64,
    /// The epoch that the number belongs to, where it is known: a chat that was made anew is told apart by it.
    pub epoch: Option<u64>,
}

/// Where a stream is.
#[derive(Debug)]
pub(crate) enum State {
    /// Events come.
    Live,
    /// The server was asked where to go on; what comes before its answer comes again after it.
    Asked(Asked),
    /// The caller has to read first.
    Behind,
}

/// What a stream is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Everything in the chat.
    Follow,
    /// The answer to one message: the run's id, once the server has accepted it.
    Answer(Option<String>),
}

pub(crate) struct ChatFeed {
    pub(crate) key: u64,
    pub(crate) chat: String,
    pub(crate) state: State,
    aim: Aim,
    queue: Arc<Queue>,
    last: Option<u64>,
    epoch: Option<u64>,
    /// Whether what comes belongs to another message: after coming back, the whole chat is told.
    foreign: bool,
    /// Bytes of the answer's text that were handed on.
    told: usize,
    opened: Option<oneshot::Sender<Result<()>>>,
}

impl ChatFeed {
    pub(crate) fn new(key: u64, chat: String, aim: Aim, queue: Arc<Queue>) -> Self {
        let state = State::Live;
        Self { key, chat, state, aim, queue, last: None, epoch: None, foreign: false, told: 0, opened: None }
    }

    /// The same, beginning after a position, for who waits until the server has agreed.
    pub(crate) fn opening(
        mut self,
        after: Option<ChatPosition>,
        opened: oneshot::Sender<Result<()>>,
    ) -> Self {
        self.last = after.map(|after| after.seq);
        self.epoch = after.and_then(|after| after.epoch);
        self.opened = Some(opened);
        self
    }

    /// What the server is asked for now. A message that was accepted, of whose answer nothing was seen, is looked for
    /// in the whole chat.
    pub(crate) fn request(&mut self) -> ChatFollow {
        let whole = matches!(self.aim, Aim::Answer(_)) && self.last.is_none();
        self.foreign = whole;
        let after_seq = if whole { Some(0) } else { self.last };
        ChatFollow { chat_id: self.chat.clone(), after_seq, epoch: self.epoch }
    }

    pub(crate) fn awaits(&self, id: &str) -> bool {
        matches!(&self.state, State::Asked(asked) if asked.id == id)
    }

    /// Whether it has to be taken up again on link number `link`.
    pub(crate) fn is_lost(&self, link: u64) -> bool {
        match &self.state {
            // Whether the message arrived is known only when it was accepted; before, its sender is told.
            State::Live => self.aim != Aim::Answer(None) || self.last.is_some(),
            State::Asked(asked) => (1..link).contains(&asked.written.on()),
            State::Behind => false,
        }
    }

    pub(crate) fn accepted_as(&mut self, run: String) {
        self.aim = Aim::Answer(Some(run));
    }

    /// The server agreed to go on.
    pub(crate) fn followed(&mut self, data: Value) -> Result<()> {
        let followed: ChatFollowed = serde_json::from_value(data)
            .map_err(|error| Error::shape(format!("ChatFollowed does not fit: {error}")))?;
        self.epoch = Some(followed.epoch);
        if followed.reset {
            self.last = Some(0);
            self.foreign = matches!(self.aim, Aim::Answer(_));
            self.told = 0;
            self.queue.push(ChatEvent::Reset);
        }
        if self.last.is_none() && self.aim == Aim::Follow {
            self.last = Some(followed.last_seq);
        }
        self.state = State::Live;
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Ok(()));
        }
        Ok(())
    }

    /// Nothing follows.
    pub(crate) fn end(mut self, error: Option<Error>) {
        match (self.opened.take(), error) {
            (Some(opened), Some(error)) => drop(opened.send(Err(error))),
            (_, error) => self.queue.end(error),
        }
    }

    /// Something happened in the chat; true if nothing follows.
    pub(crate) fn hear(&mut self, message: ServerMessage) -> bool {
        if !matches!(self.state, State::Live) {
            return false;
        }
        let seq = seq_of(&message);
        if seq.zip(self.last).is_some_and(|(seq, last)| seq <= last) {
            return false;
        }
        self.note_whose(&message);
        let (ours, ends) = (!self.foreign, self.ends_with(&message));
        let Some(event) = event(message).filter(|event| ours && self.wants(event)) else {
            self.last = self.last.max(seq);
            return false;
        };
        let lacking = self.lacking(&event);
        if !lacking.into_iter().chain([event]).all(|event| self.hand_on(event)) {
            self.state = State::Behind;
            return false;
        }
        self.last = self.last.max(seq);
        ends
    }

    /// The answer's whole text, if the end says that it is another than what was told: deltas that came while nobody
    /// was connected are folded into the end when the run is over.
    fn lacking(&self, event: &ChatEvent) -> Option<ChatEvent> {
        let ChatEvent::End(end) = event else { return None };
        let content = end.content.clone().filter(|content| content.len() != self.told)?;
        Some(ChatEvent::Text { content, replace: true })
    }

    fn hand_on(&mut self, event: ChatEvent) -> bool {
        let told = match &event {
            ChatEvent::Text { content, replace: true } => content.len(),
            ChatEvent::Text { content, .. } => self.told + content.len(),
            ChatEvent::ToolCall { .. } => self.told,
            ChatEvent::Said(_) | ChatEvent::End(_) | ChatEvent::Failed(_) | ChatEvent::Reset => 0,
        };
        let taken = self.queue.push(event);
        if taken {
            self.told = told;
        }
        taken
    }

    /// Whose answer follows, in a chat that is told whole.
    fn note_whose(&mut self, message: &ServerMessage) {
        if let (Aim::Answer(Some(run)), ServerMessage::ChatUserMessage(said)) = (&self.aim, message) {
            self.foreign = said.message_id != *run;
        }
    }

    fn wants(&self, event: &ChatEvent) -> bool {
        self.aim == Aim::Follow || !matches!(event, ChatEvent::Said(_))
    }

    fn ends_with(&self, message: &ServerMessage) -> bool {
        let Aim::Answer(run) = &self.aim else { return false };
        match message {
            ServerMessage::ChatStreamEnd(end) => {
                !self.foreign || run.as_ref().is_none_or(|run| *run == end.message_id)
            }
            ServerMessage::ChatStreamError(_) => !self.foreign,
            _ => false,
        }
    }
}

/// Which chat a message is about.
pub(crate) fn chat_of(message: &ServerMessage) -> Option<&str> {
    match message {
        ServerMessage::ChatUserMessage(m) => Some(&m.chat_id),
        ServerMessage::ChatStreamChunk(m) => Some(&m.chat_id),
        ServerMessage::ChatStreamEnd(m) => Some(&m.chat_id),
        ServerMessage::ChatStreamError(m) => Some(&m.chat_id),
        ServerMessage::ClientToolCall(m) => Some(&m.chat_id),
        _ => None,
    }
}

fn seq_of(message: &ServerMessage) -> Option<u64> {
    match message {
        ServerMessage::ChatUserMessage(m) => m.seq,
        ServerMessage::ChatStreamChunk(m) => m.seq,
        ServerMessage::ChatStreamEnd(m) => m.seq,
        ServerMessage::ChatStreamError(m) => m.seq,
        ServerMessage::ClientToolCall(m) => m.seq,
        _ => None,
    }
}

fn event(message: ServerMessage) -> Option<ChatEvent> {
    Some(match message {
        ServerMessage::ChatUserMessage(said) => ChatEvent::Said(said),
        ServerMessage::ChatStreamChunk(m) => {
            ChatEvent::Text { content: m.content, replace: m.replace == Some(true) }
        }
        ServerMessage::ChatStreamEnd(end) => ChatEvent::End(end),
        ServerMessage::ChatStreamError(failed) => ChatEvent::Failed(failed),
        ServerMessage::ClientToolCall(m) => {
            ChatEvent::ToolCall { call_id: m.call_id, tool_name: m.tool_name, arguments: m.arguments }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::wire::{ChatStreamChunk, ChatStreamEnd};

    fn chunk(seq: u64, content: &str) -> ServerMessage {
        let chunk = ChatStreamChunk { content: content.into(), seq: Some(seq), ..Default::default() };
        ServerMessage::ChatStreamChunk(chunk)
    }

    fn end(seq: u64, content: &str) -> ServerMessage {
        let content = Some(content.into());
        ServerMessage::ChatStreamEnd(ChatStreamEnd { content, seq: Some(seq), ..Default::default() })
    }

    /// The text that the events make, and whether the last of them is the end.
    fn told(queue: &Queue) -> (String, bool) {
        let (mut text, mut ended) = (String::new(), false);
        while let (Some(Ok(event)), _) = queue.pop() {
            ended = matches!(event, ChatEvent::End(_));
            match event {
                ChatEvent::Text { content, replace: true } => text = content,
                ChatEvent::Text { content, .. } => text.push_str(&content),
                _ => {}
            }
        }
        (text, ended)
    }

    fn answer(messages: Vec<ServerMessage>) -> (String, bool) {
        let queue = Arc::new(Queue::default());
        let mut feed = ChatFeed::new(1, "talk".into(), Aim::Answer(Some("run".into())), Arc::clone(&queue));
        for message in messages {
            feed.hear(message);
        }
        told(&queue)
    }

    #[test]
    fn an_end_that_has_folded_the_last_words_tells_them() {
        let whole = || (String::from("one two three"), true);
        assert_eq!(answer(vec![chunk(3, "one "), end(7, "one two three")]), whole());
        assert_eq!(answer(vec![end(7, "one two three")]), whole());
        assert_eq!(answer(vec![chunk(3, "one "), chunk(5, "two three"), end(7, "one two three")]), whole());
    }

    #[test]
    fn what_was_told_whole_is_not_told_again() {
        let queue = Arc::new(Queue::default());
        let mut feed = ChatFeed::new(1, "talk".into(), Aim::Follow, Arc::clone(&queue));
        for message in [chunk(3, "one "), chunk(4, "two"), end(5, "one two")] {
            feed.hear(message);
        }
        let texts =
            std::iter::from_fn(|| queue.pop().0).filter(|event| matches!(event, Ok(ChatEvent::Text { .. })));
        assert_eq!(texts.count(), 1, "what waits is joined");
    }
}
