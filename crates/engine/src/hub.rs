//! The hub: who is listening to what.
//!
//! A [`Room`] is a chat while somebody uses it: its listeners, its runs, and how far its log is written. The journal
//! tells a room what it wrote, and the room puts it into its listeners' inboxes in that order. Rooms come from the
//! store when they are needed and are forgotten when nobody holds them. Dialects are not known here.
//!
//! Locks are taken in this order: the table of rooms, a room, an inbox. Nothing awaits while holding one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::chat::run::Run;
use crate::connection::{Inbox, Limits};
use crate::conversation::ChatSettings;
use crate::error::Result;
use crate::event::{ChatBody, ChatEvent};
use crate::id::{ChatId, RunId, Seq, SessionId, Timestamp};
use crate::identity::Subject;
use crate::model::ToolDefinition;
use crate::store::{ChatHead, Store};

/// A chat while somebody uses it.
pub(crate) struct Room {
    /// Which chat.
    pub(crate) chat: ChatId,
    /// Whose.
    pub(crate) owner: Subject,
    state: Mutex<RoomState>,
    /// Rings when the last run has left.
    empty: Notify,
}

/// What changes in a room.
pub(crate) struct RoomState {
    /// The last sequence number that was written and put into the listeners' inboxes. The journal alone moves it.
    pub(crate) written: Seq,
    /// The last one that the journal has planned; it goes back to `written` when writing fails.
    pub(crate) planned: Seq,
    /// Writing failed, so the log's end must be asked for before the next try: the failure may have come after the
    /// deed.
    pub(crate) unsure: bool,
    /// Who follows this chat.
    pub(crate) listeners: Vec<Arc<Inbox>>,
    /// The run that goes on, then those that wait for their turn.
    pub(crate) runs: VecDeque<Arc<Run>>,
    /// The tools that connections brought, in the order in which they did.
    pub(crate) brought: Vec<Brought>,
    /// How the chat is led.
    pub(crate) settings: Arc<ChatSettings>,
    /// It is being deleted, or has been.
    pub(crate) deleted: bool,
    /// Ends of runs that could not be written. They come before anything else that is written here.
    pub(crate) owed: Vec<ChatBody>,
}

impl RoomState {
    /// Whether nothing was ever said here, nor is about to be.
    pub(crate) fn is_new(&self) -> bool {
        self.planned == Seq::START && self.runs.is_empty()
    }
}

/// The tools that one connection brought to a chat.
pub(crate) struct Brought {
    /// The connection, by its inbox.
    pub(crate) by: Arc<Inbox>,
    pub(crate) tools: Vec<ToolDefinition>,
}

/// An event and the number of bytes of its content.
pub(crate) type Weighed = (Arc<ChatEvent>, usize);

impl Room {
    fn new(head: ChatHead) -> Self {
        let state = RoomState {
            written: head.last_seq,
            planned: head.last_seq,
            unsure: false,
            listeners: Vec::new(),
            runs: VecDeque::new(),
            brought: Vec::new(),
            settings: Arc::new(head.settings),
            deleted: false,
            owed: Vec::new(),
        };
        Self { chat: head.chat, owner: head.owner, state: Mutex::new(state), empty: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run that goes on or waits here.
    pub(crate) fn run(&self, id: RunId) -> Option<Arc<Run>> {
        self.lock().runs.iter().find(|run| run.id == id).cloned()
    }

    /// Puts what has been written into the listeners' inboxes. Returns how many of them fell behind.
    pub(crate) fn deliver(&self, events: &[Weighed], written: Seq, limits: Limits) -> u64 {
        let mut state = self.lock();
        state.written = written;
        let pushes = state.listeners.iter().map(|inbox| inbox.push_all(events, limits));
        pushes.map(u64::from).sum()
    }

    /// Tells the listeners of something that could not be written. It covers no sequence number: its `from` is one
    /// after its `to`, which is the last one written. Who is behind does not hear of it.
    pub(crate) fn announce(&self, body: ChatBody, at: Timestamp, limits: Limits) {
        let state = self.lock();
        let event = ChatEvent::new(self.chat, state.written.next(), state.written, at, body);
        let event = [(Arc::new(event), 0)];
        for inbox in &state.listeners {
            inbox.push_all(&event, limits);
        }
    }

    /// Takes over the log's true end after a failure. What was written after all reaches the listeners from the log.
    pub(crate) fn settle(&self, last_seq: Seq) {
        let mut state = self.lock();
        if last_seq != state.written {
            state.listeners.iter().for_each(|inbox| inbox.fall_behind(self.chat));
        }
        state.written = last_seq;
        state.planned = last_seq;
        state.unsure = false;
    }

    /// Takes a run out. If it was the first one, the next one has its turn.
    pub(crate) fn leave(&self, run: RunId) {
        let mut state = self.lock();
        let Some(place) = state.runs.iter().position(|waiting| waiting.id == run) else { return };
        state.runs.remove(place);
        if place == 0
            && let Some(next) = state.runs.front()
        {
            next.turn.notify_one();
        }
        if state.runs.is_empty() {
            state.runs.shrink_to_fit();
            self.empty.notify_waiters();
        }
    }

    /// Waits until no run goes on or waits here.
    pub(crate) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            tokio::pin!(empty);
            empty.as_mut().enable(); // before the look, so that no ring is missed
            if self.lock().runs.is_empty() {
                return;
            }
            empty.await;
        }
    }
}

/// All rooms.
#[derive(Default)]
pub(crate) struct Hub {
    rooms: Mutex<Rooms>,
}

#[derive(Default)]
struct Rooms {
    by_chat: HashMap<ChatId, Arc<Room>>,
    /// The chats that sessions name, as the store said lately.
    by_session: HashMap<Subject, HashMap<SessionId, Named>>,
    generation: Generation,
}

/// What a session names, and when the store was last told that it is used.
struct Named {
    chat: ChatId,
    told: Timestamp,
}

/// For so long a session is taken to name what it named. Then the store is asked, and told that the session is used: it
/// lets sessions expire that were not used for a day.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);

/// How often rooms have been forgotten. What was read from the store before a room was forgotten may be older than
/// what that room wrote, and must not become a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Generation(u64);

impl Rooms {
    /// Forgets the sessions whose rooms are forgotten.
    fn forget_sessions(&mut self) {
        let by_chat = &self.by_chat;
        self.by_session.retain(|_, sessions| {
            sessions.retain(|_, named| by_chat.contains_key(&named.chat));
            !sessions.is_empty()
        });
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chat's room, or `None` if there is no such chat.
    pub(crate) async fn room(&self, store: &dyn Store, chat: ChatId) -> Result<Option<Arc<Room>>> {
        loop {
            let (room, generation) = self.find(chat);
            if room.is_some() {
                return Ok(room);
            }
            let Some(head) = store.chat(chat).await? else { return Ok(None) };
            if let Some(room) = self.enter(head, generation) {
                return Ok(Some(room));
            }
        }
    }

    fn find(&self, chat: ChatId) -> (Option<Arc<Room>>, Generation) {
        let rooms = self.lock();
        (rooms.by_chat.get(&chat).cloned(), rooms.generation)
    }

    /// To be asked for before a head is read from the store.
    pub(crate) fn generation(&self) -> Generation {
        self.lock().generation
    }

    /// The room of a chat whose head was read after `generation` was asked for; `None` if it must be read again.
    pub(crate) fn enter(&self, head: ChatHead, generation: Generation) -> Option<Arc<Room>> {
        let mut rooms = self.lock();
        if let Some(room) = rooms.by_chat.get(&head.chat) {
            return Some(Arc::clone(room));
        }
        if rooms.generation != generation {
            return None;
        }
        let room = Arc::new(Room::new(head));
        rooms.by_chat.insert(room.chat, Arc::clone(&room));
        Some(room)
    }

    /// The room of the chat that a session names, if the store said so lately.
    pub(crate) fn session(&self, owner: &Subject, session: &SessionId, now: Timestamp) -> Option<Arc<Room>> {
        let rooms = self.lock();
        let named = rooms.by_session.get(owner)?.get(session)?;
        let fresh = now >= named.told && now.since(named.told) < TELL_AGAIN_AFTER;
        rooms.by_chat.get(&named.chat).filter(|_| fresh).cloned()
    }

    /// Keeps what the store said of a session.
    pub(crate) fn remember_session(&self, owner: &Subject, session: &SessionId, room: &Room, now: Timestamp) {
        let named = Named { chat: room.chat, told: now };
        let mut rooms = self.lock();
        match rooms.by_session.get_mut(owner) {
            Some(sessions) => _ = sessions.insert(session.clone(), named),
            None => _ = rooms.by_session.insert(owner.clone(), [(session.clone(), named)].into()),
        }
    }

    /// Forgets a chat that was deleted.
    pub(crate) fn forget(&self, chat: ChatId) {
        let mut rooms = self.lock();
        rooms.by_chat.remove(&chat);
        rooms.generation.0 += 1;
        rooms.forget_sessions();
    }

    /// Forgets the rooms that nobody holds, and returns those that owe their log the end of a run.
    ///
    /// A listener, a run, a write and a command under way each hold their room, and get it from this table under its
    /// lock. So a room that is held here alone is held by nobody who could still use it.
    pub(crate) fn sweep(&self) -> Vec<Arc<Room>> {
        let mut rooms = self.lock();
        let before = rooms.by_chat.len();
        let mut indebted = Vec::new();
        rooms.by_chat.retain(|_, room| {
            let owes = !room.lock().owed.is_empty();
            if owes {
                indebted.push(Arc::clone(room));
            }
            owes || Arc::strong_count(room) > 1
        });
        if rooms.by_chat.len() < before {
            rooms.generation.0 += 1;
            rooms.forget_sessions();
            if rooms.by_chat.len() < rooms.by_chat.capacity() / 4 {
                rooms.by_chat.shrink_to_fit();
            }
        }
        indebted
    }

    /// How many chats are held in memory.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_chat.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(chat: ChatId, last_seq: u64) -> ChatHead {
        let at = Timestamp(0);
        let (owner, title) = (Subject::from("ann"), String::new());
        ChatHead {
            chat,
            owner,
            session: None,
            title,
            settings: ChatSettings::default(),
            parent: None,
            last_seq: Seq(last_seq),
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_room_is_forgotten_when_nobody_holds_it() {
        let (hub, chat) = (Hub::default(), ChatId::new());
        let room = hub.enter(head(chat, 0), hub.generation()).unwrap();
        hub.sweep();
        assert_eq!(hub.len(), 1, "it is held here");
        drop(room);
        hub.sweep();
        assert_eq!(hub.len(), 0);
    }

    #[test]
    fn a_head_that_was_read_before_a_room_was_forgotten_is_read_again() {
        let (hub, chat) = (Hub::default(), ChatId::new());
        let early = hub.generation();
        // Meanwhile somebody else opens the room, writes in it and leaves.
        drop(hub.enter(head(chat, 0), hub.generation()).unwrap());
        hub.sweep();
        assert!(hub.enter(head(chat, 0), early).is_none());
        let room = hub.enter(head(chat, 1), hub.generation()).unwrap();
        assert_eq!(room.lock().written, Seq(1));
    }

    #[test]
    fn a_room_that_owes_its_log_is_kept() {
        let (hub, chat) = (Hub::default(), ChatId::new());
        let room = hub.enter(head(chat, 0), hub.generation()).unwrap();
        let (run, event) = (RunId::new(), crate::event::AgentEvent::RunStarted);
        room.lock().owed.push(ChatBody::Run { run, event, text: None });
        drop(room);
        assert_eq!(hub.sweep().len(), 1);
        assert_eq!(hub.len(), 1);
    }
}
