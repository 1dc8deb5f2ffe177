//! From the log back to events: what a reader gets who joins, resumes or was too slow.

use std::sync::Arc;

use super::journal::shown;
use super::reasoning::Reasoning;
use crate::engine::Core;
use crate::error::Result;
use crate::event::{AgentEvent, Answer, ChatBody, ChatEvent, Event, RunText, TextSpan};
use crate::hub::Room;
use crate::id::{RunId, Seq, Timestamp};
use crate::store::entry::{Content, LogEntry};

/// A piece of a chat's log.
pub(crate) struct Chunk {
    pub(crate) events: Vec<Arc<ChatEvent>>,
    /// The last sequence number that it covers; [`Seq::START`] if there was nothing.
    pub(crate) to: Seq,
}

/// Reads on after `cursor`: as many entries as a batch has, or fewer if they are large.
pub(crate) async fn read(core: &Core, room: &Room, cursor: Seq) -> Result<Chunk> {
    let mut entries = core.store.read(room.chat, cursor, core.settings.batch).await?;
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += entry.body.len();
        bytes <= core.settings.outbox_bytes
    });
    let fitting = fitting.count().max(1);
    entries.truncate(fitting);
    let to = entries.last().map_or(Seq::START, |entry| entry.to);
    Ok(Chunk { events: events(core, room, entries).await?, to })
}

/// The events that entries tell of. Entries that a newer server wrote are passed over, and so are damaged ones: a
/// reader gets what can be read.
pub(crate) async fn events(core: &Core, room: &Room, entries: Vec<LogEntry>) -> Result<Vec<Arc<ChatEvent>>> {
    let mut events = Vec::with_capacity(entries.len());
    let mut texts: Vec<(RunId, RunText)> = Vec::new();
    for entry in entries {
        let Some(Content { mut body, text_end }) = decode(&entry) else { continue };
        if let (Some(end), ChatBody::Run { run, text, .. }) = (text_end, &mut body) {
            *text = Some(TextSpan { whole: text_of(core, room, *run, &mut texts).await?, end });
        }
        events.push(Arc::new(ChatEvent::new(entry.chat, entry.from, entry.to, entry.at, shown(body))));
    }
    Ok(events)
}

fn decode(entry: &LogEntry) -> Option<Content> {
    entry.decode().unwrap_or_else(|error| {
        tracing::error!(chat = %entry.chat, seq = %entry.to, cause = ?error.cause, "a chat's entry is damaged");
        None
    })
}

/// The text that a run's deltas are part of: the growing one while the run goes on, else what the log has of it.
async fn text_of(core: &Core, room: &Room, run: RunId, texts: &mut Vec<(RunId, RunText)>) -> Result<RunText> {
    if let Some((_, text)) = texts.iter().find(|(known, _)| *known == run) {
        return Ok(text.clone());
    }
    let text = match room.run(run) {
        Some(live) => live.text.clone(),
        None => {
            let text = RunText::default();
            text.push(&said(&core.store.read_run(room.chat, run).await?).text);
            text
        }
    };
    texts.push((run, text.clone()));
    Ok(text)
}

/// What a run has said, from its entries: its end says so, else its deltas do.
pub(crate) fn said(entries: &[LogEntry]) -> Answer {
    let mut answer = Answer::default();
    let mut reasoning = Reasoning::default();
    for event in events_of(entries) {
        match event {
            AgentEvent::TextDelta { text } => answer.text.push_str(&text),
            AgentEvent::ReasoningDelta { text } => reasoning.take(&text),
            AgentEvent::Diagram { mermaid } => answer.diagram = Some(mermaid),
            AgentEvent::RunFinished { answer, .. }
            | AgentEvent::RunFailed { answer, .. }
            | AgentEvent::RunStopped { answer, .. } => return answer,
            AgentEvent::RunQueued { .. }
            | AgentEvent::RunStarted
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolCallArgs { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ClientToolRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::Sources(_)
            | AgentEvent::Step { .. }
            | AgentEvent::Checkpoint(_) => {}
        }
    }
    Answer { reasoning: reasoning.whole(), ..answer }
}

/// What a run's entries say of it.
pub(crate) fn events_of(entries: &[LogEntry]) -> impl Iterator<Item = AgentEvent> {
    entries.iter().filter_map(decode).filter_map(|content| event_of(content.body))
}

fn event_of(body: ChatBody) -> Option<AgentEvent> {
    match body {
        ChatBody::Run { event, .. } => Some(event),
        ChatBody::UserMessage { .. } | ChatBody::Amended { .. } => None,
    }
}

/// Appends events to `into`; adjacent deltas of one run become one, which covers all of them.
pub(crate) fn merge(events: impl Iterator<Item = Arc<ChatEvent>>, into: &mut Vec<Event>) {
    let mut events = events.peekable();
    while let Some(first) = events.next() {
        let Some(next) = events.next_if(|next| follows(&first, next)) else {
            into.push(Event::Chat(first));
            continue;
        };
        let mut joined = Joined::new(&first);
        joined.push(next);
        while let Some(next) = events.next_if(|next| follows(&joined.last, next)) {
            joined.push(next);
        }
        into.push(Event::Chat(Arc::new(joined.finish())));
    }
}

/// Whether `next` is the same run's next delta of the same kind.
fn follows(last: &ChatEvent, next: &ChatEvent) -> bool {
    let (Some(before), Some(after)) = (Delta::of(last), Delta::of(next)) else { return false };
    last.chat == next.chat
        && before.run == after.run
        && before.is_text() == after.is_text()
        && next.from == last.to.next()
}

/// A delta as one looks at it to merge it.
struct Delta<'a> {
    run: RunId,
    words: &'a str,
    /// Text deltas have one, reasoning has none.
    span: Option<&'a TextSpan>,
}

impl<'a> Delta<'a> {
    fn of(event: &'a ChatEvent) -> Option<Self> {
        let ChatBody::Run { run, event, text } = &event.body else { return None };
        match event {
            AgentEvent::TextDelta { text: words } => {
                text.as_ref().map(|span| Self { run: *run, words, span: Some(span) })
            }
            AgentEvent::ReasoningDelta { text: words } => Some(Self { run: *run, words, span: None }),
            _ => None,
        }
    }

    fn is_text(&self) -> bool {
        self.span.is_some()
    }
}

struct Joined {
    from: Seq,
    at: Timestamp,
    words: String,
    last: Arc<ChatEvent>,
}

impl Joined {
    fn new(first: &Arc<ChatEvent>) -> Self {
        let words = Delta::of(first).map_or_else(String::new, |delta| delta.words.to_owned());
        Self { from: first.from, at: first.at, words, last: Arc::clone(first) }
    }

    fn push(&mut self, next: Arc<ChatEvent>) {
        if let Some(delta) = Delta::of(&next) {
            self.words.push_str(delta.words);
        }
        self.last = next;
    }

    fn finish(self) -> ChatEvent {
        let (run, span) = match Delta::of(&self.last) {
            Some(delta) => (delta.run, delta.span.cloned()),
            None => unreachable!("only deltas are joined"),
        };
        let event = match &span {
            Some(_) => AgentEvent::TextDelta { text: self.words },
            None => AgentEvent::ReasoningDelta { text: self.words },
        };
        let body = ChatBody::Run { run, event, text: span };
        ChatEvent::new(self.last.chat, self.from, self.last.to, self.at, body)
    }
}
