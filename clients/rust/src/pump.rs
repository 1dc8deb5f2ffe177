//! The one task of a connection that hears: it gives each message to the subscription or chat that it is for, and
//! brings all of them back when the link was lost. It never waits for a caller.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use schematic_runtime::{Enclosed, Ending, Event, Events};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::call::{Caller, refusal};
use crate::chat_feed::{self, ChatFeed, chat_of};
use crate::feed::{Asked, Feed, Next, Reading, State};
use crate::generated::wire::{
    self, ClientMessage, MutationNotification, RegisterClientTools, ServerMessage, Unsubscribe,
};
use crate::schemas::{SchemaInfo, Schemas};
use crate::session::{Live, Outgoing};
use crate::{Error, Result, pages};

/// After the server could not take a subscription up, it is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What callers want of the task.
pub(crate) enum Control {
    /// Feed a subscription.
    Watch(Box<Feed>),
    /// End it.
    Unwatch(u64),
    /// Its caller has room again.
    Resume(u64),
    /// Its collection was read after a gap.
    Read { key: u64, outcome: Result<()> },
    /// Feed a chat's stream. There is one a chat.
    Follow { feed: Box<ChatFeed>, asks: bool, taken: oneshot::Sender<Result<()>> },
    /// Its message was accepted as this run.
    Accepted { key: u64, run: String },
    /// End it.
    Unfollow(u64),
    /// Its caller has read what waited, and more was given up.
    ReadAgain(u64),
    /// Tools that have to be registered again on each link.
    Tools(RegisterClientTools),
}

pub(crate) struct Pump {
    pub(crate) caller: Caller,
    pub(crate) events: Events<Live>,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    /// For tasks that report back.
    pub(crate) report: mpsc::WeakUnboundedSender<Control>,
    pub(crate) schemas: Arc<Schemas>,
    /// Who waits for the first link.
    pub(crate) opened: Option<oneshot::Sender<Result<()>>>,
    say: mpsc::UnboundedSender<Outgoing>,
    feeds: HashMap<String, Feed>,
    chats: HashMap<String, ChatFeed>,
    tools: HashMap<String, RegisterClientTools>,
    /// Links so far.
    link: u64,
}

impl Pump {
    pub(crate) fn new(
        caller: Caller,
        events: Events<Live>,
        control: mpsc::UnboundedReceiver<Control>,
        report: mpsc::WeakUnboundedSender<Control>,
        schemas: Arc<Schemas>,
        opened: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self {
            say: sayer(&caller),
            caller,
            events,
            control,
            report,
            schemas,
            opened: Some(opened),
            feeds: HashMap::new(),
            chats: HashMap::new(),
            tools: HashMap::new(),
            link: 0,
        }
    }

    /// Ends with the connection, or when nobody can want anything any more.
    pub(crate) async fn run(mut self) {
        loop {
            let due = self.due();
            tokio::select! {
                event = self.events.next() => match event {
                    Some(event) => self.event(event),
                    None => return self.end(Error::Closed { reason: String::new() }),
                },
                control = self.control.recv() => match control {
                    Some(control) => self.control(control),
                    None => return,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.overdue(),
            }
        }
    }

    fn event(&mut self, event: Event<Enclosed<ServerMessage>, Outgoing>) {
        match event {
            Event::Message(Enclosed { id, message }) => self.hear(id, message),
            Event::Open { .. } => self.open(),
            Event::Reconnected { .. } => {
                self.open();
                self.restore();
            }
            Event::Reconnecting { cause, .. } => {
                self.schemas.forget();
                if let Some(opened) = self.opened.take() {
                    let _ = opened.send(Err(cause.into_error().into()));
                }
            }
            Event::Error(error) => tracing::warn!(%error, "a frame of the server was passed over"),
            Event::Closed { ending, .. } => self.end(over(ending)),
            Event::Connecting { .. } | Event::Closing(_) => {}
        }
    }

    fn open(&mut self) {
        self.link += 1;
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Ok(()));
        }
    }

    fn end(&mut self, error: Error) {
        let mut ended = self.caller.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let error = ended.get_or_insert(error).clone();
        drop(ended);
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Err(error.clone()));
        }
        self.feeds.drain().for_each(|(_, feed)| feed.end(error.clone()));
        self.chats.drain().for_each(|(_, chat)| chat.end(Some(error.clone())));
    }

    // What is said

    fn say(&self, message: ClientMessage) -> Asked {
        let out = Outgoing::new(self.caller.id(), message);
        let asked = Asked { id: out.id(), written: out.written(), by: Instant::now() + self.caller.timeout };
        // The task behind it ends only with the connection.
        let _ = self.say.send(out);
        asked
    }

    fn subscribe(&mut self, collection: &str) {
        let Some(feed) = self.feeds.get(collection) else { return };
        let asked = self.say(ClientMessage::Subscribe(feed.request()));
        if let Some(feed) = self.feeds.get_mut(collection) {
            feed.ask(asked);
        }
    }

    fn unsubscribe(&self, collection: &str) {
        self.say(ClientMessage::Unsubscribe(Unsubscribe { collection: collection.to_owned() }));
    }

    fn follow(&mut self, chat: &str) {
        let Some(request) = self.chats.get_mut(chat).map(ChatFeed::request) else { return };
        let asked = self.say(ClientMessage::ChatFollow(request));
        if let Some(feed) = self.chats.get_mut(chat) {
            feed.state = chat_feed::State::Asked(asked);
        }
    }

    /// Everything that the server has to be told anew on a new link.
    fn restore(&mut self) {
        for tools in self.tools.values() {
            self.say(ClientMessage::RegisterClientTools(tools.clone()));
        }
        for collection in keys(&self.feeds, |feed| feed.is_lost(self.link)) {
            self.subscribe(&collection);
        }
        for chat in keys(&self.chats, |chat| chat.is_lost(self.link)) {
            self.follow(&chat);
        }
    }

    // What is due

    fn due(&self) -> Option<Instant> {
        let chats = self.chats.values().filter_map(|chat| match &chat.state {
            chat_feed::State::Asked(asked) => Some(asked.by),
            _ => None,
        });
        self.feeds.values().filter_map(Feed::due).chain(chats).min()
    }

    /// An answer did not come, or it is time to ask again.
    fn overdue(&mut self) {
        let now = Instant::now();
        for collection in keys(&self.feeds, |feed| feed.due().is_some_and(|at| at <= now)) {
            self.unsubscribe(&collection);
            self.subscribe(&collection);
        }
        let late = |chat: &ChatFeed| matches!(&chat.state, chat_feed::State::Asked(asked) if asked.by <= now);
        for chat in keys(&self.chats, late) {
            self.follow(&chat);
        }
    }

    // What is heard

    fn hear(&mut self, id: Option<Value>, message: ServerMessage) {
        match message {
            ServerMessage::Success(success) => self.answered(id, Ok(success.data)),
            ServerMessage::Error(error) => self.answered(id, Err(error)),
            ServerMessage::MutationNotification(notification) => self.changes(notification),
            ServerMessage::Gap(gap) => self.gap(gap),
            // The client reads the collection itself, at its caller's pace.
            ServerMessage::Snapshot(_) => {}
            ServerMessage::SchemaChanged(changed) => self.schema(changed),
            ServerMessage::Welcome(_) => {}
            ServerMessage::Unknown { tag, .. } => {
                tracing::warn!(?tag, "a message of the server is not known here and was passed over");
            }
            chat => self.chat(chat),
        }
    }

    fn answered(&mut self, id: Option<Value>, answer: std::result::Result<Value, wire::Error>) {
        let Some(id) = id.as_ref().and_then(Value::as_str) else { return };
        if let Some(collection) = keys(&self.feeds, |feed| feed.awaits(id)).pop() {
            return self.subscribed(&collection, answer);
        }
        if let Some(chat) = keys(&self.chats, |chat| chat.awaits(id)).pop() {
            return self.followed(&chat, answer);
        }
        if let Err(error) = answer {
            tracing::debug!(error.message, "the server could not do what nobody waits for");
        }
    }

    fn subscribed(&mut self, collection: &str, answer: std::result::Result<Value, wire::Error>) {
        let Some(feed) = self.feeds.get_mut(collection) else { return };
        let failed = match answer {
            Ok(data) => feed.accepted(data).err(),
            Err(error) if is_passing(&error) => {
                feed.state = State::Later(Instant::now() + AGAIN_AFTER);
                None
            }
            Err(error) => Some(refusal(error)),
        };
        if let Some(error) = failed
            && let Some(feed) = self.feeds.remove(collection)
        {
            feed.end(error);
        }
    }

    fn followed(&mut self, chat: &str, answer: std::result::Result<Value, wire::Error>) {
        let Some(feed) = self.chats.get_mut(chat) else { return };
        let failed = match answer {
            Ok(data) => feed.followed(data).err(),
            Err(error) => Some(refusal(error)),
        };
        if let Some(error) = failed
            && let Some(feed) = self.chats.remove(chat)
        {
            feed.end(Some(error));
        }
    }

    fn changes(&mut self, notification: MutationNotification) {
        let collection = notification.collection.clone();
        let Some(feed) = self.feeds.get_mut(&collection) else { return };
        match feed.changes(notification) {
            Next::Nothing => {}
            Next::End => drop(self.feeds.remove(&collection)),
            Next::Pause => {
                let resumes = feed.missed_the_pause();
                self.unsubscribe(&collection);
                if resumes {
                    self.subscribe(&collection);
                }
            }
        }
    }

    /// Reads the collection in a task of its own, which waits for its caller as the connection may not.
    fn gap(&mut self, gap: wire::Gap) {
        let wire::Gap { collection, offset } = gap;
        let Some(feed) = self.feeds.get(&collection).filter(|feed| feed.is_live()) else { return };
        let (key, to, caller) = (feed.key, feed.to(), self.caller.clone());
        let (wish, report) = (feed.wish.clone(), self.report.clone());
        let reading = tokio::spawn(async move {
            let outcome = pages::snapshot(caller, wish, offset, to).await;
            if let Some(report) = report.upgrade() {
                let _ = report.send(Control::Read { key, outcome });
            }
        });
        self.unsubscribe(&collection);
        if let Some(feed) = self.feeds.get_mut(&collection) {
            feed.gap(offset, Reading(reading.abort_handle()));
        }
    }

    fn schema(&mut self, changed: wire::SchemaChanged) {
        let wire::SchemaChanged { collection, version, primary_key_alias } = changed;
        if let Some(feed) = self.feeds.get(&collection) {
            feed.schema(version, primary_key_alias.clone());
        }
        self.schemas.changed(collection, SchemaInfo { version, primary_key: primary_key_alias });
    }

    fn chat(&mut self, message: ServerMessage) {
        let Some(chat) = chat_of(&message).map(str::to_owned) else { return };
        let Some(feed) = self.chats.get_mut(&chat) else { return };
        if feed.hear(message)
            && let Some(feed) = self.chats.remove(&chat)
        {
            feed.end(None);
        }
    }

    // What callers want

    fn control(&mut self, control: Control) {
        match control {
            Control::Watch(feed) => {
                let collection = feed.wish.collection.clone();
                self.feeds.insert(collection.clone(), *feed);
                self.subscribe(&collection);
            }
            Control::Unwatch(key) => {
                if let Some(collection) = self.collection_of(key) {
                    self.feeds.remove(&collection);
                    self.unsubscribe(&collection);
                }
            }
            Control::Resume(key) => {
                if let Some(collection) = self.collection_of(key) {
                    self.subscribe(&collection);
                }
            }
            Control::Read { key, outcome } => self.was_read(key, outcome),
            Control::Follow { feed, asks, taken } => self.take_chat(*feed, asks, taken),
            Control::Accepted { key, run } => {
                if let Some(chat) = self.chats.values_mut().find(|chat| chat.key == key) {
                    chat.accepted_as(run);
                }
            }
            Control::Unfollow(key) => self.chats.retain(|_, chat| chat.key != key),
            Control::ReadAgain(key) => {
                let behind =
                    |chat: &ChatFeed| chat.key == key && matches!(chat.state, chat_feed::State::Behind);
                if let Some(chat) = keys(&self.chats, behind).pop() {
                    self.follow(&chat);
                }
            }
            Control::Tools(tools) => drop(self.tools.insert(tools.chat_id.clone(), tools)),
        }
    }

    fn collection_of(&self, key: u64) -> Option<String> {
        keys(&self.feeds, |feed| feed.key == key).pop()
    }

    fn was_read(&mut self, key: u64, outcome: Result<()>) {
        let Some(collection) = self.collection_of(key) else { return };
        match outcome {
            Ok(()) => self.subscribe(&collection),
            Err(error) => {
                if let Some(feed) = self.feeds.remove(&collection) {
                    feed.end(error);
                }
            }
        }
    }

    fn take_chat(&mut self, feed: ChatFeed, asks: bool, taken: oneshot::Sender<Result<()>>) {
        let chat = feed.chat.clone();
        if self.chats.contains_key(&chat) {
            let busy =
                format!("the chat {chat} already has a stream of this client; read it to its end or drop it");
            let _ = taken.send(Err(Error::invalid(busy)));
            return;
        }
        self.chats.insert(chat.clone(), feed);
        if asks {
            self.follow(&chat);
        }
        let _ = taken.send(Ok(()));
    }
}

/// Says what the task wants to say, in order, and waits for a place where the task may not.
fn sayer(caller: &Caller) -> mpsc::UnboundedSender<Outgoing> {
    let (say, mut said) = mpsc::unbounded_channel();
    let sender = caller.sender.clone();
    tokio::spawn(async move {
        while let Some(out) = said.recv().await {
            if sender.send(out).await.is_err() {
                return;
            }
        }
    });
    say
}

fn keys<T>(of: &HashMap<String, T>, which: impl Fn(&T) -> bool) -> Vec<String> {
    of.iter().filter(|(_, item)| which(item)).map(|(key, _)| key.clone()).collect()
}

/// Whether the server may well agree later.
fn is_passing(error: &wire::Error) -> bool {
    matches!(error.code, 429 | 500 | 502 | 503 | 504)
}

fn over(ending: Ending) -> Error {
    match &ending.error {
        Some(_) => ending.into_error().into(),
        None => Error::Closed { reason: ending.to_string() },
    }
}
