//! Messages: a projection of the chat's log.
//!
//! An entry is never changed. What became of a message (edited, forgotten, deleted, answered anew, summed up) is said by
//! a later entry that names it, and is applied here. A message's id is the sequence number of its entry: of the
//! question, or of the end of the run that answered it.

use std::collections::HashMap;

use crate::conversation::{AnswerStatus, ChatMessage, Role, Shown};
use crate::event::{AgentEvent, Amendment, Answer, ChatBody, Usage};
use crate::id::{RunId, Seq, Timestamp};
use crate::model::Message;
use crate::store::entry::LogEntry;

/// What entries come to.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    /// The messages that are not deleted, oldest first. Their tools are looked up in the log, except
    /// those that were brought along.
    pub(crate) messages: Vec<ChatMessage>,
    /// The last summary, and its entry.
    pub(crate) summary: Option<(Seq, String)>,
    /// The entries that are summaries.
    summaries: Vec<Seq>,
    /// Which question a run answers.
    asked: HashMap<RunId, Seq>,
    /// What was shown with messages that were brought from another chat.
    shown: HashMap<Seq, Box<Shown>>,
}

/// Reads messages from entries. What they say of messages that are not among them is passed over.
pub(crate) fn project(entries: &[LogEntry]) -> Projection {
    let mut projection = Projection::default();
    for entry in entries {
        if let Ok(Some(content)) = entry.decode() {
            projection.take(entry.to, entry.at, content.body);
        }
    }
    projection
}

impl Projection {
    fn take(&mut self, seq: Seq, at: Timestamp, body: ChatBody) {
        match body {
            ChatBody::UserMessage { run, content, .. } => {
                // Later ones of a run steered it.
                self.asked.entry(run).or_insert(seq);
                self.messages.push(message(seq, at, Some(run), Role::User, content));
            }
            ChatBody::Run { run, event, .. } => self.take_end(seq, at, run, event),
            ChatBody::Amended { amendment, .. } => self.amend(seq, at, amendment),
        }
    }

    /// An answer without words is none.
    fn take_end(&mut self, seq: Seq, at: Timestamp, run: RunId, event: AgentEvent) {
        let Some((answer, usage, status)) = end(event).filter(|(answer, ..)| !answer.text.is_empty()) else {
            return;
        };
        let answer = message(seq, at, Some(run), Role::Assistant, answer.text);
        self.messages.push(ChatMessage { status, usage: Some(usage), ..answer });
    }

    fn amend(&mut self, seq: Seq, at: Timestamp, amendment: Amendment) {
        match amendment {
            Amendment::Edited { message, content } => self.change(message, |message| {
                message.content = content;
                message.updated_at = at;
            }),
            Amendment::Forgotten { message, forgotten } => {
                self.change(message, |message| message.forgotten = forgotten);
            }
            Amendment::Deleted { message } => self.messages.retain(|known| known.seq != message),
            Amendment::Regenerated { run, answer } => {
                let answered = self.find(answer).and_then(|message| message.run);
                if let Some(question) = answered.and_then(|run| self.asked.get(&run)) {
                    self.asked.insert(run, *question);
                }
                self.forget(|message| message.seq >= answer);
            }
            Amendment::Summarized { through, text } => {
                self.forget(|message| message.seq <= through);
                self.messages.push(message(seq, at, None, Role::Assistant, text.clone()));
                self.summaries.push(seq);
                self.summary = Some((seq, text));
            }
            Amendment::Imported { role, content, at: said_at, shown, .. } => {
                self.messages.push(imported(message(seq, said_at, None, role, content), shown.as_deref()));
                self.shown.extend(shown.map(|shown| (seq, shown)));
            }
            Amendment::ChatDeleted => {}
        }
    }

    fn change(&mut self, seq: Seq, change: impl FnOnce(&mut ChatMessage)) {
        if let Ok(place) = self.messages.binary_search_by_key(&seq, |message| message.seq) {
            change(&mut self.messages[place]);
        }
    }

    fn forget(&mut self, fits: impl Fn(&ChatMessage) -> bool) {
        self.messages.iter_mut().filter(|message| fits(message)).for_each(|message| message.forgotten = true);
    }

    /// The message with this id.
    pub(crate) fn find(&self, seq: Seq) -> Option<&ChatMessage> {
        let place = self.messages.binary_search_by_key(&seq, |message| message.seq).ok()?;
        self.messages.get(place)
    }

    /// The question that a run answers, if it is there.
    pub(crate) fn question_of(&self, run: RunId) -> Option<&ChatMessage> {
        self.find(*self.asked.get(&run)?)
    }

    /// What was shown with a message that was brought from another chat.
    pub(crate) fn shown_with(&self, message: &ChatMessage) -> Option<&Shown> {
        self.shown.get(&message.seq).map(|shown| &**shown)
    }

    /// The run whose work belongs to a message: its answer's, or its own where nothing was said to it.
    pub(crate) fn work_of(&self, message: &ChatMessage) -> Option<RunId> {
        let run = message.run?;
        match message.role {
            Role::Assistant => Some(run),
            Role::User => {
                (self.asked.get(&run) == Some(&message.seq) && !self.is_answered(run)).then_some(run)
            }
        }
    }

    fn is_answered(&self, run: RunId) -> bool {
        self.messages.iter().any(|message| message.role == Role::Assistant && message.run == Some(run))
    }

    /// Whether the message is a summary of others.
    pub(crate) fn is_summary(&self, message: &ChatMessage) -> bool {
        self.summaries.contains(&message.seq)
    }

    /// What the model is shown of what was said before a run's question, oldest first. Each question goes with its
    /// answer, also where questions were asked while others were being answered. `None` if the run's question is not
    /// among the entries.
    pub(crate) fn before(&self, run: RunId) -> Option<Vec<Message>> {
        let own = *self.asked.get(&run)?;
        let place = |message: &ChatMessage| {
            let asked = message.run.and_then(|run| self.asked.get(&run));
            (asked.copied().unwrap_or(message.seq), message.seq)
        };
        let shown = |message: &&ChatMessage| !message.forgotten && !self.is_summary(message);
        let mut before: Vec<_> =
            self.messages.iter().filter(shown).filter(|message| place(message).0 < own).collect();
        before.sort_by_key(|message| place(message));
        Some(before.into_iter().map(told).collect())
    }
}

fn told(message: &ChatMessage) -> Message {
    match message.role {
        Role::User => Message::User(message.content.clone()),
        Role::Assistant => Message::Assistant { text: message.content.clone(), calls: Vec::new() },
    }
}

fn end(event: AgentEvent) -> Option<(Answer, Usage, AnswerStatus)> {
    match event {
        AgentEvent::RunFinished { answer, usage } => Some((answer, usage, AnswerStatus::Finished)),
        AgentEvent::RunStopped { answer, usage } => Some((answer, usage, AnswerStatus::Stopped)),
        AgentEvent::RunFailed { answer, usage, .. } => Some((answer, usage, AnswerStatus::Failed)),
        _ => None,
    }
}

/// A message with what was shown with it elsewhere.
fn imported(message: ChatMessage, shown: Option<&Shown>) -> ChatMessage {
    match (message.role, shown) {
        (Role::Assistant, Some(shown)) => ChatMessage {
            status: shown.status,
            usage: Some(shown.usage),
            tools: shown.tools.clone(),
            ..message
        },
        (Role::Assistant | Role::User, _) => message,
    }
}

fn message(seq: Seq, at: Timestamp, run: Option<RunId>, role: Role, content: String) -> ChatMessage {
    ChatMessage {
        seq,
        run,
        role,
        content,
        status: AnswerStatus::Finished,
        forgotten: false,
        usage: None,
        tools: Vec::new(),
        created_at: at,
        updated_at: at,
    }
}
