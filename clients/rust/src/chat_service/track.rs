//! One answer over any number of connections: what is said for it on each, what is new of what is heard, and its end.

use std::sync::Arc;

use super::answer::{AnswerEvent, Queue};
use crate::Error;
use crate::generated::chat_service::wire::{
    ClientMessage, EndData, ErrorCode, ErrorData, FinalData, NewChat, ResumeChat, RunData, ServerMessage,
    TextData, ThinkingData,
};

/// What asks for the answer.
pub(super) enum First {
    New(NewChat),
    Resume(ResumeChat),
}

impl First {
    /// The chat's name.
    pub(super) fn run_id(&self) -> &str {
        match self {
            Self::New(new) => new.run_id.as_deref().unwrap_or_default(),
            Self::Resume(resume) => &resume.run_id,
        }
    }

    /// The id of the message that is answered; none if the chat is only followed.
    fn message_id(&self) -> Option<String> {
        match self {
            Self::New(new) => new.run_id.clone(),
            Self::Resume(resume) => resume.new_message.as_ref().and_then(|message| message.id.clone()),
        }
    }
}

/// An answer that is awaited.
pub(super) struct Track {
    pub(super) key: u64,
    pub(super) stopping: bool,
    first: First,
    queue: Arc<Queue>,
    message_id: Option<String>,
    /// Whether answers before its own are told too.
    tells_earlier: bool,
    begun: bool,
    over: bool,
    seq: u64,
    epoch: Option<u64>,
    /// What there was when the server said where the chat stands.
    last_seq: Option<u64>,
    /// Its own answer, as soon as that is known.
    answer_id: Option<String>,
    /// The answer whose text grows, and that text.
    text: (String, String),
    /// The answer that thinks aloud, and so many bytes of that.
    thoughts: (String, usize),
    /// The answer of which the cost was told.
    costed: Option<String>,
    /// The server is going away and has refused it; the next one will not.
    postponed: bool,
}

impl Track {
    pub(super) fn new(key: u64, first: First, queue: Arc<Queue>) -> Self {
        let message_id = first.message_id();
        let (after, epoch) = match &first {
            First::New(_) => (None, None),
            First::Resume(resume) => (resume.after_seq, resume.epoch),
        };
        let follows = matches!(first, First::Resume(_));
        Self {
            key,
            stopping: false,
            tells_earlier: follows && (message_id.is_none() || after.is_some()),
            first,
            queue,
            message_id,
            begun: false,
            over: false,
            seq: after.unwrap_or_default(),
            epoch,
            last_seq: None,
            answer_id: None,
            text: Default::default(),
            thoughts: Default::default(),
            costed: None,
            postponed: false,
        }
    }

    /// The chat's name.
    pub(super) fn run_id(&self) -> &str {
        self.first.run_id()
    }

    /// Whether it was heard of before, so that the next request for it is a resume.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing is to come.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// What is said for it on a new connection. The server runs a message once, however often it hears of it.
    pub(super) fn request(&self) -> ClientMessage {
        let resume = match &self.first {
            First::New(new) if !self.begun => return ClientMessage::NewChat(new.clone()),
            First::New(new) => ResumeChat {
                run_id: new.run_id.clone().unwrap_or_default(),
                new_message: None,
                after_seq: None,
                epoch: None,
                options: new.options.clone(),
                user_id: None,
                stream: new.stream,
                partials: new.partials.clone(),
                while_running: new.while_running.clone(),
                tools: None,
            },
            First::Resume(resume) => resume.clone(),
        };
        let known = self.begun || self.seq > 0 || resume.new_message.is_none();
        let after_seq = known.then_some(self.seq);
        ClientMessage::ResumeChat(ResumeChat { after_seq, epoch: self.epoch, ..resume })
    }

    /// Takes what the server says of its chat.
    pub(super) fn hear(&mut self, message: &ServerMessage) {
        if self.over {
            return;
        }
        match message {
            ServerMessage::Run(run) => self.run(&run.data),
            ServerMessage::Text(text) => self.text(&text.data),
            ServerMessage::End(end) => self.end(&end.data),
            ServerMessage::Error(error) => self.error(&error.data),
            ServerMessage::Final(cost) => self.cost(&cost.data),
            ServerMessage::Message(message) => {
                let data = &message.data;
                if data.message_id.is_some() && data.message_id == self.message_id {
                    self.answer_id = Some(data.answer_id.clone());
                }
                self.once(data.seq, &data.answer_id, || AnswerEvent::Message(data.clone()));
            }
            ServerMessage::Sources(sources) => {
                let data = &sources.data;
                // Without a stream they come with the end, and have the number before it.
                let at_once = match &self.first {
                    First::New(new) => new.stream == Some(false),
                    First::Resume(resume) => resume.stream == Some(false),
                };
                let seq = data.seq + u64::from(at_once);
                if seq > self.seq {
                    self.saw(data.seq);
                    self.tell(&data.answer_id, || AnswerEvent::Sources(data.sources.clone()));
                }
            }
            ServerMessage::WorkflowStep(step) => {
                self.once(step.data.seq, &step.data.answer_id, || AnswerEvent::Step(step.data.step.clone()));
            }
            ServerMessage::Thinking(thinking) => {
                self.thought(&thinking.data);
            }
            ServerMessage::Tool(tool) => {
                self.once(tool.data.seq, &tool.data.answer_id, || AnswerEvent::Tool(tool.data.clone()));
            }
            ServerMessage::Approval(approval) => {
                let data = &approval.data;
                self.once(data.seq, &data.answer_id, || AnswerEvent::Approval(data.clone()));
            }
            ServerMessage::Pong(_) | ServerMessage::Unknown { .. } => {}
        }
    }

    /// It will not go on: tells why, if there is a reason, and the end.
    pub(super) fn give_up(&mut self, error: Option<Error>) {
        if self.over {
            return;
        }
        if let Some(error) = error {
            self.queue.push(AnswerEvent::Lost(error));
        }
        self.finish();
    }

    fn run(&mut self, run: &RunData) {
        self.begun = true;
        self.epoch = Some(run.epoch);
        self.last_seq = Some(run.last_seq);
        if run.reset {
            self.seq = run.after_seq;
            self.text = Default::default();
            self.thoughts = Default::default();
            self.costed = None;
            self.queue.push(AnswerEvent::Reset);
        }
        self.queue.push(AnswerEvent::Run(run.clone()));
    }

    /// A whole text may come again with the number that was seen last, behind the cost.
    fn text(&mut self, data: &TextData) {
        let stale = if data.text.is_some() { data.seq < self.seq } else { data.seq <= self.seq };
        if stale {
            return;
        }
        self.saw(data.seq);
        if self.text.0 != data.answer_id {
            self.text = (data.answer_id.clone(), String::new());
        }
        let known = &mut self.text.1;
        let added = match (&data.text, &data.delta) {
            // What was said is never said otherwise; what is new lies behind it.
            (Some(whole), _) => whole.get(known.len()..).unwrap_or_default().to_owned(),
            (None, delta) => delta.clone().unwrap_or_default(),
        };
        known.push_str(&added);
        if !added.is_empty() {
            self.tell(&data.answer_id, || AnswerEvent::Text(added));
        }
    }

    fn cost(&mut self, data: &FinalData) {
        if data.seq < self.seq || self.costed.as_ref() == Some(&data.answer_id) {
            return;
        }
        self.costed = Some(data.answer_id.clone());
        self.saw(data.seq);
        if let Some(rest) = self.rest_of_thoughts(data) {
            self.tell(&data.answer_id, || AnswerEvent::Thinking(rest));
        }
        self.tell(&data.answer_id, || AnswerEvent::Final(data.clone()));
    }

    fn thought(&mut self, data: &ThinkingData) {
        if data.seq > self.seq {
            if self.thoughts.0 != data.answer_id {
                self.thoughts = (data.answer_id.clone(), 0);
            }
            self.thoughts.1 += data.thinking.len();
        }
        self.once(data.seq, &data.answer_id, || AnswerEvent::Thinking(data.thinking.clone()));
    }

    /// The server keeps thoughts with the end of their answer. Who says where it was may have had them before.
    fn rest_of_thoughts(&self, data: &FinalData) -> Option<String> {
        let (answer, heard) = &self.thoughts;
        let heard = if *answer == data.answer_id { *heard } else { 0 };
        let was_there =
            matches!(&self.first, First::Resume(resume) if resume.after_seq.is_some_and(|seq| seq > 0));
        let rest = data.thinking.as_deref().filter(|_| !was_there)?.get(heard..)?;
        (!rest.is_empty()).then(|| rest.to_owned())
    }

    fn error(&mut self, data: &ErrorData) {
        let other = data.message_id.is_some() && data.message_id != self.message_id;
        if data.call_id.is_none() && other {
            return;
        }
        // The connection will be closed in a moment, and the next server takes the question.
        self.postponed = data.code == Some(ErrorCode::Draining) && data.answer_id.is_none();
        let mine = data.answer_id.as_ref().is_none_or(|answer| self.is_mine(answer));
        if mine && !self.postponed {
            self.queue.push(AnswerEvent::Error(data.clone()));
        }
    }

    fn once(&mut self, seq: u64, answer: &str, event: impl FnOnce() -> AnswerEvent) {
        if seq > self.seq {
            self.saw(seq);
            self.tell(answer, event);
        }
    }

    fn tell(&self, answer: &str, event: impl FnOnce() -> AnswerEvent) {
        if self.is_mine(answer) {
            self.queue.push(event());
        }
    }

    fn is_mine(&self, answer: &str) -> bool {
        self.tells_earlier || self.answer_id.as_deref() == Some(answer)
    }

    fn end(&mut self, data: &EndData) {
        if std::mem::take(&mut self.postponed) {
            return;
        }
        if data.answer_id.is_some() && data.seq.is_some_and(|seq| seq <= self.seq) {
            return;
        }
        if let Some(seq) = data.seq {
            self.saw(seq);
        }
        if self.is_last(data) {
            self.finish();
        }
    }

    fn is_last(&self, EndData { answer_id, message_id, seq, .. }: &EndData) -> bool {
        let Some(answer) = answer_id else { return message_id.is_none() || *message_id == self.message_id };
        match (&self.answer_id, self.last_seq) {
            (Some(own), _) => own == answer,
            // Who only follows has everything that there was when the following began, and so has who never saw its
            // message.
            (None, Some(last)) => seq.is_none_or(|seq| seq >= last),
            (None, None) => false,
        }
    }

    fn finish(&mut self) {
        self.over = true;
        self.queue.end();
    }

    fn saw(&mut self, seq: u64) {
        self.begun = true;
        self.seq = self.seq.max(seq);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is told of thoughts by a chat that is asked for in this way, of which these frames are heard.
    fn thoughts(after_seq: Option<u64>, frames: &[serde_json::Value]) -> String {
        let queue = Arc::new(Queue::default());
        let resume = ResumeChat { run_id: "c".into(), after_seq, ..ResumeChat::default() };
        let mut track = Track::new(0, First::Resume(resume), Arc::clone(&queue));
        for frame in frames {
            track.hear(&ServerMessage::decode(&frame.to_string()).unwrap());
        }
        let told = std::iter::from_fn(|| queue.take().ok());
        told.filter_map(|event| match event {
            AnswerEvent::Thinking(more) => Some(more),
            _ => None,
        })
        .collect()
    }

    fn thought(words: &str, seq: u64) -> serde_json::Value {
        json!({"type": "thinking", "data": {"thinking": words, "runId": "c", "answerId": "a", "seq": seq}})
    }

    fn cost(thinking: &str, seq: u64) -> serde_json::Value {
        json!({"type": "final", "data": {"executionTimeMs": 1, "inputTokens": 1, "outputTokens": 1, "status": "finished",
               "thinking": thinking, "runId": "c", "answerId": "a", "seq": seq}})
    }

    #[test]
    fn each_thought_is_told_once_as_it_comes_or_with_the_end() {
        assert_eq!(
            thoughts(None, &[thought("First ", 2), thought("this", 3), cost("First this", 4)]),
            "First this"
        );
        assert_eq!(thoughts(None, &[cost("First this", 4)]), "First this", "the pieces are not kept");
        assert_eq!(
            thoughts(None, &[thought("First ", 2), cost("First this", 4)]),
            "First this",
            "cut off between"
        );
        assert_eq!(thoughts(Some(2), &[cost("First this", 4)]), "", "who was there may have had them");
    }
}
