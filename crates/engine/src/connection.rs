//! One client's standing: who it is, what it follows, and what waits for it.
//!
//! A chat that a connection follows is either *live*, and its events are put into the connection's bounded inbox, or
//! it is *behind* at a cursor, and [`Connection::next`] reads the log from there. Joining, resuming and being too
//! slow are one state. When the reading has reached the end of what is written, the two are compared under the
//! room's lock and the chat becomes live: without a gap, without a repetition.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::chat::replay;
use crate::command::RunState;
use crate::engine::Core;
use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::hub::{Brought, Room, Weighed};
use crate::id::{ChatId, Seq, SessionId};
use crate::identity::Identity;
use crate::model::ToolDefinition;

/// How long a reader waits before it tries again to read a log that could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How many bytes of completions' text may wait for a connection; a model that is faster waits.
const COMPLETION_BYTES: usize = 64 * 1024;

/// One client. Dropping it releases everything that it holds; runs that it started go on.
pub struct Connection {
    identity: Identity,
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    /// The chats to which it brought tools.
    brought_to: Mutex<Vec<Arc<Room>>>,
}

/// How much may wait for one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// What waits for one connection, shared with the rooms that it listens to. Its queue takes memory only while
/// something waits.
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
    wake: Notify,
    /// Rings when completions' text was taken.
    taken: Notify,
}

#[derive(Default)]
struct InboxState {
    waiting: VecDeque<Weighed>,
    bytes: usize,
    follows: Vec<Follow>,
    /// Text of completions, by their number.
    completions: Vec<(u64, String)>,
    /// The log has its turn before the queue, so that a busy chat does not starve one that is behind.
    log_first: bool,
}

/// One chat that a connection follows.
struct Follow {
    room: Arc<Room>,
    /// The alias under which it follows, if it does so under one.
    session: Option<SessionId>,
    /// The last sequence number that it was given, in the inbox or from the log.
    cursor: Seq,
    live: bool,
}

/// What there is to do for a connection.
enum Work {
    /// Something was taken from the queue.
    Taken,
    /// A chat is behind.
    Read(Arc<Room>, Seq),
    /// Nothing.
    Wait,
}

/// Where a log stands as somebody begins to follow it.
pub(crate) struct Standing {
    pub(crate) last_seq: Seq,
    pub(crate) run: Option<RunState>,
}

impl Connection {
    pub(crate) fn new(identity: Identity, core: Arc<Core>) -> Self {
        core.counters.connections.fetch_add(1, Ordering::Relaxed);
        let inbox = Arc::new(Inbox { state: Mutex::default(), wake: Notify::new(), taken: Notify::new() });
        Self { identity, core, inbox, brought_to: Mutex::default() }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until something is there for this client, then appends what is ready, in order, to `into`: at least one
    /// event, at most [`Settings::batch`](crate::Settings::batch). Adjacent deltas of a run come as one.
    ///
    /// A text delta's [`TextSpan`](crate::event::TextSpan) gives the run's whole text up to it, also when the reader
    /// began in mid-run. Each chat's events come in the order of their sequence numbers, each once, none missing.
    ///
    /// Cancel-safe: when the future is dropped, `into` is as it was and nothing is lost. One task calls it at a time.
    pub async fn next(&self, into: &mut Vec<Event>) {
        loop {
            match self.inbox.take(self.core.settings.batch, into) {
                Work::Taken => return,
                Work::Read(room, cursor) => {
                    if self.read(&room, cursor, into).await {
                        return;
                    }
                }
                Work::Wait => self.inbox.wake.notified().await,
            }
        }
    }

    /// Reads on in a chat's log; whether that gave something.
    async fn read(&self, room: &Arc<Room>, cursor: Seq, into: &mut Vec<Event>) -> bool {
        match replay::read(&self.core, room, cursor).await {
            Ok(chunk) => self.inbox.advance(room, cursor, chunk, into),
            Err(error) => {
                tracing::error!(chat = %room.chat, %error, cause = ?error.cause, "a chat's log cannot be read");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
                false
            }
        }
    }

    /// Follows a chat from after `cursor`, or from now on. If it was followed already, it is anew.
    pub(crate) fn follow(
        &self,
        room: &Arc<Room>,
        session: Option<SessionId>,
        cursor: Option<Seq>,
    ) -> Result<Standing> {
        let mut state = room.lock();
        let cursor = cursor.unwrap_or(state.written);
        let follow = Follow { room: Arc::clone(room), session, cursor, live: cursor >= state.written };
        self.inbox.put(follow, self.core.settings.follow_limit)?;
        if !state.listeners.iter().any(|inbox| Arc::ptr_eq(inbox, &self.inbox)) {
            state.listeners.push(Arc::clone(&self.inbox));
        }
        let run = state.runs.front().map(|run| RunState { run: run.id, queued: false });
        Ok(Standing { last_seq: state.written, run })
    }

    /// Follows it no longer; what waits of it is thrown away.
    pub(crate) fn unfollow(&self, room: &Room) {
        let mut state = room.lock();
        state.listeners.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
        self.inbox.remove(room.chat);
    }

    /// Brings tools to a chat, instead of those that it brought before, for as long as it lives.
    pub(crate) fn bring_tools(&self, room: &Arc<Room>, tools: Vec<ToolDefinition>) {
        let mut brought_to = self.brought_to.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_tools(room);
        brought_to.retain(|known| known.chat != room.chat);
        if !tools.is_empty() {
            room.lock().brought.push(Brought { by: Arc::clone(&self.inbox), tools });
            brought_to.push(Arc::clone(room));
        }
    }

    /// Takes the tools that it brought to a chat away.
    fn take_tools(&self, room: &Room) -> Vec<ToolDefinition> {
        let mut state = room.lock();
        let place = state.brought.iter().position(|brought| Arc::ptr_eq(&brought.by, &self.inbox));
        place.map(|place| state.brought.remove(place).tools).unwrap_or_default()
    }

    /// Brings what it brought to one chat to another one.
    pub(crate) fn move_tools(&self, from: &Arc<Room>, to: &Arc<Room>) {
        let tools = self.take_tools(from);
        if !tools.is_empty() {
            self.bring_tools(to, tools);
        }
    }

    /// Delivers more text of a completion. Waits while too much of it is still undelivered.
    pub(crate) async fn push_completion(&self, stream: u64, text: String) {
        loop {
            let taken = self.inbox.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable(); // before the look, so that no ring is missed
            if self.inbox.completion_bytes() < COMPLETION_BYTES {
                break;
            }
            taken.await;
        }
        self.inbox.push_completion(stream, text);
    }

    /// The chat that it follows under this alias.
    pub(crate) fn followed_as(&self, session: &SessionId) -> Option<Arc<Room>> {
        let state = self.inbox.lock();
        let follow = state.follows.iter().find(|follow| follow.session.as_ref() == Some(session));
        follow.map(|follow| Arc::clone(&follow.room))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.core.counters.connections.fetch_sub(1, Ordering::Relaxed);
        let follows = std::mem::take(&mut self.inbox.lock().follows);
        for room in std::mem::take(&mut *self.brought_to.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.take_tools(&room);
        }
        for follow in follows {
            follow.room.lock().listeners.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
        }
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts adjacent events of one chat into the queue, if it is live here. Returns whether it fell behind by that.
    pub(crate) fn push_all(&self, events: &[Weighed], limits: Limits) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some((first, _)) = events.first() else { return false };
        let follows = &mut state.follows;
        let Some(follow) = follows.iter_mut().find(|follow| follow.room.chat == first.chat && follow.live)
        else {
            return false;
        };
        for (event, weight) in events {
            // Read from the log between the writing and this moment.
            if event.to <= follow.cursor && event.from <= event.to {
                continue;
            }
            let full = state.waiting.len() >= limits.events
                || (state.bytes + weight > limits.bytes && !state.waiting.is_empty());
            if full {
                follow.live = false;
                break;
            }
            follow.cursor = follow.cursor.max(event.to);
            state.bytes += weight;
            state.waiting.push_back((Arc::clone(event), *weight));
        }
        self.wake.notify_one();
        !follow.live
    }

    fn completion_bytes(&self) -> usize {
        self.lock().completions.iter().map(|(_, text)| text.len()).sum()
    }

    fn push_completion(&self, stream: u64, more: String) {
        let mut state = self.lock();
        match state.completions.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, text)) => text.push_str(&more),
            None => state.completions.push((stream, more)),
        }
        self.wake.notify_one();
    }

    /// Serves a chat from the log from here on.
    pub(crate) fn fall_behind(&self, chat: ChatId) {
        let mut state = self.lock();
        for follow in state.follows.iter_mut().filter(|follow| follow.room.chat == chat) {
            follow.live = false;
        }
        self.wake.notify_one();
    }

    fn put(&self, follow: Follow, limit: usize) -> Result<()> {
        let mut state = self.lock();
        let chat = follow.room.chat;
        state.drop_waiting(chat);
        let place = state.follows.iter().position(|known| known.room.chat == chat);
        if place.is_none() && state.follows.len() >= limit {
            return Err(Error::new(
                Code::Unavailable,
                format!(
                    "a connection follows at most {limit} chats; stop following one, or open another connection"
                ),
            ));
        }
        if !follow.live {
            self.wake.notify_one();
        }
        match place {
            Some(place) => state.follows[place] = follow,
            None => {
                // Nearly every connection follows one chat.
                let exactly = usize::from(state.follows.is_empty());
                state.follows.reserve_exact(exactly);
                state.follows.push(follow);
            }
        }
        Ok(())
    }

    fn remove(&self, chat: ChatId) {
        let mut state = self.lock();
        state.follows.retain(|follow| follow.room.chat != chat);
        state.drop_waiting(chat);
    }

    fn take(&self, batch: usize, into: &mut Vec<Event>) -> Work {
        let mut state = self.lock();
        if !state.completions.is_empty() {
            let taken = std::mem::take(&mut state.completions);
            into.extend(taken.into_iter().map(|(stream, text)| Event::Completion { stream, text }));
            self.taken.notify_waiters();
            return Work::Taken;
        }
        let behind = state.follows.iter().position(|follow| !follow.live);
        if let Some(place) = behind
            && (state.log_first || state.waiting.is_empty())
        {
            // To the end of the line, so that another one that is behind has the next turn.
            let follow = state.follows.remove(place);
            let work = Work::Read(Arc::clone(&follow.room), follow.cursor);
            state.follows.push(follow);
            state.log_first = false;
            return work;
        }
        if state.waiting.is_empty() {
            return Work::Wait;
        }
        state.log_first = behind.is_some();
        state.take_waiting(batch, into);
        Work::Taken
    }

    /// Gives what was read from the log after `cursor`, and makes the chat live if that was all. Whether it gave
    /// something.
    fn advance(&self, room: &Room, cursor: Seq, chunk: replay::Chunk, into: &mut Vec<Event>) -> bool {
        let shared = room.lock();
        let mut state = self.lock();
        let follows = &mut state.follows;
        let Some(follow) = follows.iter_mut().find(|follow| follow.room.chat == room.chat) else {
            return false;
        };
        // It was followed anew while the log was read.
        if follow.live || follow.cursor != cursor {
            return false;
        }
        follow.cursor = cursor.max(chunk.to);
        follow.live = follow.cursor >= shared.written;
        if !follow.live && chunk.to == Seq::START {
            tracing::error!(chat = %room.chat, after = %cursor, "a chat's log ends before its last entry");
            follow.cursor = shared.written;
            follow.live = true;
        }
        let before = into.len();
        replay::merge(chunk.events.into_iter(), into);
        into.len() > before
    }
}

impl InboxState {
    fn take_waiting(&mut self, batch: usize, into: &mut Vec<Event>) {
        let count = self.waiting.len().min(batch);
        let taken = self.waiting.drain(..count);
        let bytes = &mut self.bytes;
        replay::merge(taken.inspect(|(_, weight)| *bytes -= weight).map(|(event, _)| event), into);
        if self.waiting.is_empty() && self.waiting.capacity() > 16 {
            self.waiting = VecDeque::new();
        }
    }

    fn drop_waiting(&mut self, chat: ChatId) {
        self.waiting.retain(|(event, _)| event.chat != chat);
        self.bytes = self.waiting.iter().map(|(_, weight)| weight).sum();
    }
}
