//! One chat on one socket: what of its events is shown, and when an `end` is owed.

use std::sync::Arc;
use std::time::Instant;

use tidewire_engine::event::{Amendment, Source, TextSpan};
use tidewire_engine::{AgentEvent, ChatBody, ChatEvent, ChatId, RunId, Seq, SessionId};

use super::request::Manner;
use super::spell;
use super::wire;
use crate::frame::Frame;
use crate::snapshots::Snapshots;

/// What a `text` frame with a delta costs beside its text and the chat's name.
const ENVELOPE: usize = 102;

/// How a client wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// As it grows; otherwise when it is over.
    pub(super) stream: bool,
    /// By additions; otherwise by the whole text.
    pub(super) deltas: bool,
    /// With sources.
    pub(super) sources: bool,
    /// With the frames that clients of the founding document do not know.
    pub(super) ours: bool,
}

impl Style {
    /// As a request says it.
    pub(super) fn of(manner: &Manner) -> Self {
        Self {
            stream: manner.stream != Some(false),
            deltas: manner.partials == Some(wire::Partials::Delta),
            sources: manner.sources(),
            ours: manner.partials.is_some(),
        }
    }
}

/// One chat that a socket follows.
pub(super) struct Followed {
    /// As the client names it.
    pub(super) name: SessionId,
    /// Which one it is.
    pub(super) chat: ChatId,
    /// How it is told.
    pub(super) style: Style,
    /// Only what follows from a message is shown; `None`: everything.
    since: Option<Since>,
    /// If no answer ends here, the request itself does.
    owed: Option<Seq>,
    /// The answer that goes on.
    open: Option<RunId>,
    snapshots: Option<Snapshots>,
    /// With deltas: the run whose text grows, and how much of it this client has.
    shown: Option<(RunId, usize)>,
    /// What is told at the end, if nothing is told before.
    sources: Vec<Source>,
}

/// From which message on a chat is shown.
struct Since {
    /// The message's id, until it has come.
    awaited: Option<String>,
    /// The runs that began with it or later, and go on.
    runs: Vec<RunId>,
}

impl Since {
    /// Whether what happened follows from the message.
    fn shows(&mut self, body: &ChatBody) -> bool {
        match body {
            ChatBody::UserMessage { message_id, run, .. } => {
                if self.awaited.is_some() && self.awaited == *message_id {
                    self.awaited = None;
                }
                if self.awaited.is_none() {
                    self.runs.push(*run);
                }
                self.awaited.is_none()
            }
            ChatBody::Amended { amendment: Amendment::Regenerated { run, .. }, .. } => {
                if self.awaited.is_none() {
                    self.runs.push(*run);
                }
                self.awaited.is_none()
            }
            ChatBody::Run { run, event, .. } => {
                let place = self.runs.iter().position(|known| known == run);
                if let Some(place) = place.filter(|_| event.is_end()) {
                    self.runs.remove(place);
                }
                place.is_some()
            }
            ChatBody::Amended { .. } => false,
        }
    }
}

impl Followed {
    pub(super) fn new(name: SessionId, chat: ChatId, style: Style) -> Self {
        Self {
            name,
            chat,
            style,
            since: None,
            owed: None,
            open: None,
            snapshots: None,
            shown: None,
            sources: Vec::new(),
        }
    }

    /// The same, silent about what does not follow from the message with this id.
    pub(super) fn since_message(self, id: Option<String>) -> Self {
        Self { since: id.map(|id| Since { awaited: Some(id), runs: Vec::new() }), ..self }
    }

    /// The same, for a request that ends at this place, by an answer's end or without one.
    pub(super) fn owing_an_end_at(self, seq: Option<Seq>) -> Self {
        Self { owed: seq, ..self }
    }

    /// The same, while a run goes on.
    pub(super) fn during(self, run: Option<RunId>) -> Self {
        Self { open: run, ..self }
    }

    /// Whether an answer goes on, or an end is owed.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some() || self.owed.is_some()
    }

    /// Something happened in it.
    pub(super) fn event(&mut self, event: &Arc<ChatEvent>, now: Instant, out: &mut Vec<Frame>) {
        let revealed = self.reveals(&event.body);
        if revealed {
            self.show(event, now, out);
        }
        if self.owed.is_some_and(|seq| event.to >= seq) {
            self.owed = None;
            if self.open.is_none() && !(revealed && ends_run(&event.body)) {
                let about = spell::About { run_id: Some(self.name.to_string()), ..spell::About::default() };
                out.push(spell::end_of(&about, Some(event.to)));
            }
        }
    }

    /// Whether the client is to see it.
    fn reveals(&mut self, body: &ChatBody) -> bool {
        self.since.as_mut().is_none_or(|since| since.shows(body))
    }

    fn show(&mut self, event: &Arc<ChatEvent>, now: Instant, out: &mut Vec<Frame>) {
        match &event.body {
            ChatBody::UserMessage { .. } if self.style.ours => self.spell(event, out),
            ChatBody::Run { run, event: said, .. } if said.is_end() => self.end(event, *run, said, out),
            ChatBody::Run { run, event: said, text } => {
                self.open = Some(*run);
                match said {
                    AgentEvent::TextDelta { .. } if !self.style.stream => {}
                    AgentEvent::TextDelta { text: added } => {
                        self.text(event, *run, added.len(), text.as_ref(), now, out);
                    }
                    AgentEvent::Sources(sources) if !self.style.stream => self.sources.clone_from(sources),
                    _ if self.wants(said) => self.spell(event, out),
                    _ => {}
                }
            }
            ChatBody::UserMessage { .. } | ChatBody::Amended { .. } => {}
        }
    }

    fn spell(&self, event: &ChatEvent, out: &mut Vec<Frame>) {
        out.extend(spell::event(&self.name, event, !self.style.deltas));
    }

    /// What nobody can do without is told to everybody.
    fn wants(&self, said: &AgentEvent) -> bool {
        let Style { stream, sources, ours, .. } = self.style;
        match said {
            AgentEvent::ClientToolRequested { .. } | AgentEvent::ApprovalRequested { .. } => true,
            AgentEvent::Sources(_) => stream && sources,
            AgentEvent::Step { .. } | AgentEvent::ReasoningDelta { .. } => stream,
            AgentEvent::ToolCall { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::ApprovalResolved { .. } => stream && ours,
            _ => false,
        }
    }

    fn end(&mut self, event: &Arc<ChatEvent>, run: RunId, said: &AgentEvent, out: &mut Vec<Frame>) {
        // What waits is older, and the whole text follows anyway.
        self.snapshots = self.snapshots.take().filter(|snapshots| snapshots.run() != run);
        self.shown = self.shown.filter(|(shown, _)| *shown != run);
        self.open = self.open.filter(|open| *open != run);
        let sources = std::mem::take(&mut self.sources);
        match spell::Ended::of(said) {
            Some(ended) if !self.style.stream => {
                let sources = self.style.sources.then_some(&*sources);
                out.extend(spell::at_once(&self.name, event, run, &ended, sources));
            }
            Some(_) | None => self.spell(event, out),
        }
    }

    fn text(
        &mut self,
        event: &Arc<ChatEvent>,
        run: RunId,
        len: usize,
        span: Option<&TextSpan>,
        now: Instant,
        out: &mut Vec<Frame>,
    ) {
        let ends_at = span.map_or(len, |span| span.end);
        if self.style.deltas {
            self.delta(event, run, len, ends_at, span, out);
        } else {
            self.snapshot(event, run, len, ends_at, now, out);
        }
    }

    /// A delta is only good for who has everything before it; anybody else gets the whole text so far.
    fn delta(
        &mut self,
        event: &Arc<ChatEvent>,
        run: RunId,
        len: usize,
        ends_at: usize,
        span: Option<&TextSpan>,
        out: &mut Vec<Frame>,
    ) {
        let has = self.shown.filter(|(shown, _)| *shown == run).map_or(0, |(_, has)| has);
        match span {
            Some(span) if has + len != ends_at => {
                out.push(spell::whole_text(&self.name, event, run, span.so_far()));
            }
            Some(_) | None => self.spell(event, out),
        }
        self.shown = Some((run, ends_at));
    }

    fn snapshot(
        &mut self,
        event: &Arc<ChatEvent>,
        run: RunId,
        len: usize,
        ends_at: usize,
        now: Instant,
        out: &mut Vec<Frame>,
    ) {
        let envelope = ENVELOPE + self.name.as_str().len();
        let mut snapshots = self
            .snapshots
            .take()
            .filter(|kept| kept.run() == run)
            .unwrap_or_else(|| Snapshots::new(run, envelope, now));
        snapshots.push(Arc::clone(event), len, ends_at);
        if let Some(due) = snapshots.take_due(now) {
            self.spell(&due, out);
        }
        self.snapshots = Some(snapshots);
    }

    /// When it wants to speak.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.snapshots.as_ref().and_then(Snapshots::deadline)
    }

    /// The time has come.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Frame>) {
        if let Some(due) = self.snapshots.as_mut().and_then(|snapshots| snapshots.take_due(now)) {
            self.spell(&due, out);
        }
    }
}

fn ends_run(body: &ChatBody) -> bool {
    matches!(body, ChatBody::Run { event, .. } if event.is_end())
}
