//! One client's standing: who it is, what it follows, and what waits for it.
//!
//! A chat that a connection follows is either *live*, and its events are put into the connection's bounded inbox, or
//! it is *behind* at a cursor, and [`Connection::next`] reads the log from there. Joining, resuming and being too
//! slow are one state. When the reading has reached the end of what is written, the two are compared under the
//! room's lock and the chat becomes live: without a gap, without a repetition. Watches of collections are served in
//! the same way ([`watch`](crate::watch)), in turn with the chats.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::change::{ChangeBatch, Selection};
use crate::chat::replay;
use crate::command::RunState;
use crate::engine::{Core, Counters};
use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::hub::{Brought, Room, Weighed};
use crate::id::{ChatId, Offset, Seq, SessionId};
use crate::identity::Identity;
use crate::model::ToolDefinition;
use crate::watch;
use crate::watch::inbox::{Pushed, Reading, Watches, Wish};
use crate::watch::topic::{Topic, TopicState};

/// How long a reader waits before it tries again to read a log that could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How many bytes of completions' text may wait for a connection; a model that is faster waits.
const COMPLETION_BYTES: usize = 64 * 1024;

/// One client. Dropping it releases everything that it holds; runs that it started go on.
pub struct Connection {
    identity: Identity,
    /// Who answers where neither the message nor the chat says.
    agent: Option<Arc<str>>,
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    /// The chats to which it brought tools.
    brought_to: Mutex<Vec<Arc<Room>>>,
}

/// Who takes news of records as they come, in the place of the task that waits in [`Connection::next`].
///
/// Telling a thousand connections of one change would otherwise be to wake a thousand tasks, each for a few
/// microseconds of work.
pub trait Bell: Send + Sync {
    /// Something waits. Whether nothing is left to do for the task; it is woken otherwise.
    ///
    /// It must not wait, and need not take anything: what it leaves is there for the task. What it takes it must deliver
    /// before the task takes more, or the order would be lost.
    fn ring(&self, mail: &mut Mail<'_>) -> bool;
}

/// What waits for a connection whose bell rings.
pub struct Mail<'a> {
    inbox: &'a Inbox,
    delivery: &'a Delivery,
    events: &'a mut Vec<Event>,
}

/// What those who bring news need to know.
pub(crate) struct Delivery {
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
    /// So many events are taken at once.
    pub(crate) batch: usize,
}

impl Mail<'_> {
    /// Takes what waits, as [`Connection::next`] would, if it is there without reading a log. Whether it was.
    pub fn take(&mut self) -> bool {
        self.events.clear();
        let Some(count) = self.inbox.take_at_once(self.delivery.batch, self.events) else { return false };
        self.delivery.counters.notices.fetch_add(count as u64, Ordering::Relaxed);
        true
    }

    /// What was taken, in order.
    pub fn events(&mut self) -> &mut Vec<Event> {
        self.events
    }
}

/// How much may wait for one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// Of changes.
    pub(crate) watch_bytes: usize,
}

/// What waits for one connection, shared with the rooms that it listens to. Its queue takes memory only while
/// something waits.
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
    wake: Notify,
    /// Who takes news of records at once.
    bell: OnceLock<Weak<dyn Bell>>,
    /// Rings when completions' text was taken.
    taken: Notify,
}

#[derive(Default)]
pub(crate) struct InboxState {
    waiting: VecDeque<Weighed>,
    bytes: usize,
    follows: Vec<Follow>,
    /// Text of completions, by their number.
    completions: Vec<(u64, String)>,
    /// The log has its turn before the queue, so that a busy chat does not starve one that is behind.
    log_first: bool,
    /// `None` until the first watch.
    watches: Option<Box<Watches>>,
    /// Watches have their turn before chats, so that neither starves the other.
    watches_first: bool,
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
    /// So many notices were taken.
    TakenNotices(usize),
    /// A chat is behind.
    Read(Arc<Room>, Seq),
    /// A watched collection is behind.
    ReadChanges(Reading),
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
        let inbox = Arc::new(Inbox {
            state: Mutex::default(),
            wake: Notify::new(),
            bell: OnceLock::new(),
            taken: Notify::new(),
        });
        Self { identity, agent: None, core, inbox, brought_to: Mutex::default() }
    }

    /// The same; this agent answers where neither the message nor the chat names one.
    #[must_use]
    pub fn answered_by(mut self, agent: &str) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Who answers where neither the message nor the chat says.
    pub(crate) fn agent(&self) -> Option<&Arc<str>> {
        self.agent.as_ref()
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until something is there for this client, then appends what is ready, in order, to `into`: at least one
    /// event, at most [`Settings::batch`](crate::Settings::batch). Adjacent deltas of a run come as one.
    ///
    /// A text delta's [`TextSpan`](crate::event::TextSpan) gives the run's whole text up to it, also when the reader
    /// began in mid-run. Each chat's events come in the order of their sequence numbers, each once, none missing; and so
    /// do the changes of a watched collection in the order of their offsets.
    ///
    /// Cancel-safe: when the future is dropped, `into` is as it was and nothing is lost. One task calls it at a time.
    pub async fn next(&self, into: &mut Vec<Event>) {
        loop {
            match self.inbox.take(self.core.settings.batch, into) {
                Work::Taken => return,
                Work::TakenNotices(count) => return self.count_notices(count),
                Work::ReadChanges(reading) => {
                    if let count @ 1.. = watch::serve(&self.core, &self.inbox, &reading, into).await {
                        return self.count_notices(count);
                    }
                }
                Work::Read(room, cursor) => {
                    if self.read(&room, cursor, into).await {
                        return;
                    }
                }
                Work::Wait => self.inbox.wake.notified().await,
            }
        }
    }

    /// Rings this bell, the only one, when news of records waits.
    pub fn ring_at(&self, bell: Weak<dyn Bell>) {
        // A second one would take turns with the first; there is none.
        let _ = self.inbox.bell.set(bell);
    }

    fn count_notices(&self, count: usize) {
        self.core.counters.notices.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Bytes of changes that wait for it, as they lie in memory.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.inbox.lock().watches.as_ref().map_or(0, |watches| watches.held())
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

    /// Begins a watch, or replaces the one with its number. Gives the offset after which notices begin, and whether
    /// there is a gap before it.
    pub(crate) fn watch(&self, topic: &Arc<Topic>, wish: Wish, limit: usize) -> Result<(Offset, bool)> {
        let begun = self
            .change_watches(topic, |watches, shared| watches.add(&self.inbox, topic, shared, wish, limit));
        self.inbox.wake.notify_one();
        begun
    }

    /// Ends a watch, or all of a collection. Whether there was one.
    pub(crate) fn unwatch(&self, collection: &str, number: Option<u64>) -> bool {
        let topic = self.inbox.lock().watches.as_ref().and_then(|watches| watches.topic(collection));
        let Some(topic) = topic else { return false };
        let ended = self
            .change_watches(&topic, |watches, shared| watches.remove(&self.inbox, &topic, shared, number));
        self.inbox.wake.notify_one();
        ended
    }

    fn change_watches<T>(&self, topic: &Topic, change: impl FnOnce(&mut Watches, &mut TopicState) -> T) -> T {
        let mut shared = topic.lock();
        let mut state = self.inbox.lock();
        let watches = state.watches.get_or_insert_default();
        let before = watches.count();
        let done = change(watches, &mut shared);
        let after = watches.count();
        if watches.is_empty() {
            state.watches = None;
        }
        let counter = &self.core.counters.watches;
        counter.fetch_add(after, Ordering::Relaxed);
        counter.fetch_sub(before, Ordering::Relaxed);
        done
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

    /// Brings tools to a chat, instead of those that it brought before, for as long as it lives. The chat stays in
    /// memory with them, so it does so to as many chats as it may follow.
    pub(crate) fn bring_tools(&self, room: &Arc<Room>, tools: Vec<ToolDefinition>) -> Result<()> {
        let limit = self.core.settings.follow_limit;
        let mut brought_to = self.brought_to();
        let is_new = !brought_to.iter().any(|known| known.chat == room.chat);
        if is_new && !tools.is_empty() && brought_to.len() >= limit {
            return Err(too_many_brought(limit));
        }
        self.take_tools(room);
        brought_to.retain(|known| known.chat != room.chat);
        if !tools.is_empty() {
            room.lock().brought.push(Brought { by: Arc::clone(&self.inbox), tools });
            brought_to.push(Arc::clone(room));
        }
        Ok(())
    }

    fn brought_to(&self) -> MutexGuard<'_, Vec<Arc<Room>>> {
        self.brought_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the tools that it brought to a chat away.
    fn take_tools(&self, room: &Room) -> Vec<ToolDefinition> {
        let mut state = room.lock();
        let place = state.brought.iter().position(|brought| Arc::ptr_eq(&brought.by, &self.inbox));
        place.map(|place| state.brought.remove(place).tools).unwrap_or_default()
    }

    /// Brings what it brought to one chat to another one.
    pub(crate) fn move_tools(&self, from: &Arc<Room>, to: &Arc<Room>) -> Result<()> {
        let tools = self.take_tools(from);
        self.brought_to().retain(|known| known.chat != from.chat);
        if tools.is_empty() { Ok(()) } else { self.bring_tools(to, tools) }
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

fn too_many_brought(limit: usize) -> Error {
    Error::new(
        Code::Unavailable,
        format!(
            "a connection brings tools to at most {limit} chats; register none in one of them, or open another connection"
        ),
    )
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.core.counters.connections.fetch_sub(1, Ordering::Relaxed);
        let follows = std::mem::take(&mut self.inbox.lock().follows);
        let brought_to = std::mem::take(&mut *self.brought_to());
        for room in brought_to {
            self.take_tools(&room);
        }
        for follow in follows {
            follow.room.lock().listeners.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
        }
        while let Some(topic) = self.inbox.watched_topic() {
            self.change_watches(&topic, |watches, shared| watches.remove(&self.inbox, &topic, shared, None));
        }
    }
}

impl Inbox {
    pub(crate) fn lock(&self) -> MutexGuard<'_, InboxState> {
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

    /// Puts a batch into the queue, if its collection is live here. It is to be [`told`](Self::tell) then.
    pub(crate) fn push_batch(
        &self,
        topic: &Topic,
        batch: &Arc<ChangeBatch>,
        selection: &Selection,
        weight: usize,
        limits: Limits,
    ) -> Pushed {
        let mut state = self.lock();
        let Some(watches) = &mut state.watches else { return Pushed::No };
        watches.push(topic, batch, selection, weight, limits)
    }

    /// Says that something waits: to who takes it at once, or to the task. To be called without a lock.
    pub(crate) fn tell(&self, delivery: &Delivery, events: &mut Vec<Event>) {
        let bell = self.bell.get().and_then(Weak::upgrade);
        let mut mail = Mail { inbox: self, delivery, events };
        if !bell.is_some_and(|bell| bell.ring(&mut mail)) {
            self.wake.notify_one();
        }
    }

    /// Takes what waits of the watches, if neither a log is to be read nor something else waits. So many notices were
    /// taken.
    fn take_at_once(&self, batch: usize, into: &mut Vec<Event>) -> Option<usize> {
        let mut state = self.lock();
        if !state.waiting.is_empty() || !state.completions.is_empty() {
            return None;
        }
        match &mut state.watches {
            Some(watches) => watches.take_at_once(batch, into),
            None => Some(0),
        }
    }

    /// Serves a watched collection from the log after this offset. Whether it was live.
    pub(crate) fn fall_behind_in(&self, topic: &Topic, after: Offset) -> bool {
        let mut state = self.lock();
        let fell = state.watches.as_mut().is_some_and(|watches| watches.fall_behind(topic, after));
        self.wake.notify_one();
        fell
    }

    /// A watched collection's schema changed.
    pub(crate) fn tell_schema(&self, topic: &Topic, version: u64, primary_key: &Arc<str>) {
        let mut state = self.lock();
        if let Some(watches) = &mut state.watches {
            watches.put_schema(topic, version, primary_key);
        }
        self.wake.notify_one();
    }

    fn watched_topic(&self) -> Option<Arc<Topic>> {
        self.lock().watches.as_ref().and_then(|watches| watches.any_topic())
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

    /// Chats and watches have their turns one after the other.
    fn take(&self, batch: usize, into: &mut Vec<Event>) -> Work {
        let mut state = self.lock();
        if !state.completions.is_empty() {
            let taken = std::mem::take(&mut state.completions);
            into.extend(taken.into_iter().map(|(stream, text)| Event::Completion { stream, text }));
            self.taken.notify_waiters();
            return Work::Taken;
        }
        state.watches_first = !state.watches_first;
        if state.watches_first
            && let Some(work) = state.take_notices(batch, into)
        {
            return work;
        }
        match state.take_chats(batch, into) {
            Work::Wait => state.take_notices(batch, into).unwrap_or(Work::Wait),
            work => work,
        }
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
    /// The connection's watches, if it has any.
    pub(crate) fn watches(&mut self) -> Option<&mut Watches> {
        self.watches.as_deref_mut()
    }

    fn take_notices(&mut self, batch: usize, into: &mut Vec<Event>) -> Option<Work> {
        match self.watches.as_mut()?.take(batch, into) {
            watch::inbox::Work::Taken(count) => Some(Work::TakenNotices(count)),
            watch::inbox::Work::Read(reading) => Some(Work::ReadChanges(reading)),
            watch::inbox::Work::Nothing => None,
        }
    }

    fn take_chats(&mut self, batch: usize, into: &mut Vec<Event>) -> Work {
        // What waits of a chat comes before what its log has.
        let waits = |follow: &Follow| self.waiting.iter().any(|(event, _)| event.chat == follow.room.chat);
        let behind = self.follows.iter().position(|follow| !follow.live && !waits(follow));
        if let Some(place) = behind
            && (self.log_first || self.waiting.is_empty())
        {
            // To the end of the line, so that another one that is behind has the next turn.
            let follow = self.follows.remove(place);
            let work = Work::Read(Arc::clone(&follow.room), follow.cursor);
            self.follows.push(follow);
            self.log_first = false;
            return work;
        }
        if self.waiting.is_empty() {
            return Work::Wait;
        }
        self.log_first = behind.is_some();
        self.take_waiting(batch, into);
        Work::Taken
    }

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
