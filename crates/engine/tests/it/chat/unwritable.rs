//! A disk that is full: who waits is told, nothing else is disturbed, and it goes on when there is space again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tidewire_engine::command::{ChatSummary, WhileRunning};
use tidewire_engine::conversation::ChatSettings;
use tidewire_engine::edit::KeyValue;
use tidewire_engine::identity::Subject;
use tidewire_engine::query::{CollectionInfo, Filter, Hit, Query, Record, Search};
use tidewire_engine::schema::{FieldChange, Schema};
use tidewire_engine::store::entry::LogEntry;
use tidewire_engine::store::{Change, ChatHead, Listener, LogSpan, NewChat, OpenRun, Page, Store, Write};
use tidewire_engine::{
    AgentEvent, ChatId, Code, Epoch, Error, Offset, Position, RecordId, Result, RunId, Seq, SessionId,
    Settings, Timestamp,
};
use tokio::sync::Semaphore;

use super::rig::{Client, SESSION, answer, counted, gated, open, start};

/// A store whose disk can be full.
pub(crate) struct Fragile {
    store: Arc<dyn Store>,
    full: AtomicBool,
    /// The write is done and nevertheless reported as failed.
    lying: AtomicBool,
    /// One chat that cannot be written while others can.
    cursed: std::sync::Mutex<Option<ChatId>>,
    /// So many entries can still be written; after them nothing ever is, as if the process had been killed.
    lives: std::sync::Mutex<Option<usize>>,
    /// Told when the last life is gone.
    pub(crate) dead: tokio::sync::Notify,
}

impl Fragile {
    fn new(store: Arc<dyn Store>) -> Arc<Self> {
        let (full, lying) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self {
            store,
            full,
            lying,
            cursed: std::sync::Mutex::default(),
            lives: std::sync::Mutex::default(),
            dead: tokio::sync::Notify::new(),
        })
    }

    /// A store that dies after so many entries.
    pub(crate) fn mortal(store: Arc<dyn Store>, lives: usize) -> Arc<Self> {
        let fragile = Self::new(store);
        *fragile.lives.lock().unwrap() = Some(lives);
        fragile
    }

    /// How many of so many entries can be written.
    fn live(&self, entries: usize) -> usize {
        match self.lives.lock().unwrap().as_mut() {
            Some(lives) => {
                let written = entries.min(*lives);
                *lives -= written;
                written
            }
            None => entries,
        }
    }

    async fn die(&self) -> Result<()> {
        self.dead.notify_one();
        std::future::pending().await
    }

    fn is_cursed(&self, entries: &[LogEntry]) -> bool {
        let cursed = *self.cursed.lock().unwrap();
        entries.iter().any(|entry| Some(entry.chat) == cursed)
    }
}

fn disk_full() -> Error {
    Error::unavailable("the disk is full; make room and try again")
}

#[async_trait]
impl Store for Fragile {
    async fn append(&self, mut entries: Vec<LogEntry>) -> Result<()> {
        let written = self.live(entries.len());
        if written < entries.len() {
            entries.truncate(written);
            self.store.append(entries).await?;
            return self.die().await;
        }
        if self.full.load(Ordering::SeqCst) || self.is_cursed(&entries) {
            return Err(disk_full());
        }
        self.store.append(entries).await?;
        if self.lying.swap(false, Ordering::SeqCst) { Err(disk_full()) } else { Ok(()) }
    }

    async fn commit(&self, by: &Subject, at: Timestamp, batch: Vec<Write>) -> Result<Vec<Change>> {
        self.store.commit(by, at, batch).await
    }
    async fn edit(
        &self,
        by: &Subject,
        at: Timestamp,
        writes: Vec<Write>,
        together: bool,
    ) -> Result<Vec<Result<Record>>> {
        self.store.edit(by, at, writes, together).await
    }
    async fn distinct(&self, collection: &str, field: &str, filter: Option<&Filter>) -> Result<Vec<Value>> {
        self.store.distinct(collection, field, filter).await
    }
    async fn create_collection(&self, name: &str, schema: Option<Schema>, at: Timestamp) -> Result<Schema> {
        self.store.create_collection(name, schema, at).await
    }
    async fn drop_collection(&self, name: &str, at: Timestamp) -> Result<()> {
        self.store.drop_collection(name, at).await
    }
    async fn schema(&self, name: &str) -> Result<Schema> {
        self.store.schema(name).await
    }
    async fn change_schema(
        &self,
        name: &str,
        fields: Vec<(String, FieldChange)>,
        at: Timestamp,
    ) -> Result<Schema> {
        self.store.change_schema(name, fields, at).await
    }
    async fn kv_set(&self, pairs: Vec<KeyValue>, expires_at: Option<Timestamp>) -> Result<()> {
        self.store.kv_set(pairs, expires_at).await
    }
    async fn kv_get(&self, keys: Vec<String>) -> Result<Vec<Option<Value>>> {
        self.store.kv_get(keys).await
    }
    async fn kv_delete(&self, keys: Vec<String>) -> Result<Vec<bool>> {
        self.store.kv_delete(keys).await
    }
    async fn kv_find(&self, pattern: Option<&str>, include_expired: bool) -> Result<Vec<KeyValue>> {
        self.store.kv_find(pattern, include_expired).await
    }
    async fn kv_clear(&self) -> Result<()> {
        self.store.kv_clear().await
    }
    async fn get(&self, collection: &str, id: &RecordId) -> Result<Option<Record>> {
        self.store.get(collection, id).await
    }
    async fn query(&self, query: &Query) -> Result<Vec<Record>> {
        self.store.query(query).await
    }
    async fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        self.store.count(collection, filter).await
    }
    async fn search(&self, search: &Search) -> Result<Vec<Hit>> {
        self.store.search(search).await
    }
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.store.collections().await
    }
    fn listen(&self, listener: Arc<dyn Listener>) {
        self.store.listen(listener);
    }
    async fn changes_within(
        &self,
        collection: &str,
        after: Offset,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Change>> {
        self.store.changes_within(collection, after, limit, bytes).await
    }
    async fn log(&self, collection: &str) -> Result<LogSpan> {
        self.store.log(collection).await
    }
    async fn page(
        &self,
        collection: &str,
        after: Option<&RecordId>,
        filter: Option<&Filter>,
        limit: usize,
        bytes: usize,
    ) -> Result<Page> {
        self.store.page(collection, after, filter, limit, bytes).await
    }
    fn epoch(&self) -> Epoch {
        self.store.epoch()
    }
    async fn open_session(&self, owner: &Subject, session: &SessionId, at: Timestamp) -> Result<ChatHead> {
        self.store.open_session(owner, session, at).await
    }
    async fn find_session(
        &self,
        owner: &Subject,
        session: &SessionId,
        at: Timestamp,
    ) -> Result<Option<ChatHead>> {
        self.store.find_session(owner, session, at).await
    }
    async fn chat(&self, chat: ChatId) -> Result<Option<ChatHead>> {
        self.store.chat(chat).await
    }
    async fn chats(&self, owner: &Subject, limit: usize) -> Result<Vec<ChatSummary>> {
        self.store.chats(owner, limit).await
    }
    async fn read(&self, chat: ChatId, after: Seq, limit: usize) -> Result<Vec<LogEntry>> {
        self.store.read(chat, after, limit).await
    }
    async fn read_run(&self, chat: ChatId, run: RunId) -> Result<Vec<LogEntry>> {
        self.store.read_run(chat, run).await
    }
    async fn find_message(&self, chat: ChatId, message_id: &str) -> Result<Option<LogEntry>> {
        self.store.find_message(chat, message_id).await
    }
    async fn collapse(&self, chat: ChatId, run: RunId) -> Result<()> {
        self.store.collapse(chat, run).await
    }
    async fn open_runs(&self) -> Result<Vec<OpenRun>> {
        self.store.open_runs().await
    }
    async fn knows(&self, chat: ChatId, position: Position) -> Result<bool> {
        self.store.knows(chat, position).await
    }
    async fn open_chat(&self, chat: NewChat, at: Timestamp) -> Result<ChatHead> {
        self.store.open_chat(chat, at).await
    }
    async fn find_chats(
        &self,
        owner: &Subject,
        limit: usize,
        skip: usize,
        ascending: bool,
    ) -> Result<(Vec<ChatHead>, u64)> {
        self.store.find_chats(owner, limit, skip, ascending).await
    }
    async fn set_chat_settings(&self, chat: ChatId, settings: ChatSettings, at: Timestamp) -> Result<()> {
        self.store.set_chat_settings(chat, settings, at).await
    }
    async fn delete_chat(&self, chat: ChatId) -> Result<()> {
        self.store.delete_chat(chat).await
    }
    async fn message_entries(&self, chat: ChatId, up_to: Seq, limit: usize) -> Result<Vec<LogEntry>> {
        self.store.message_entries(chat, up_to, limit).await
    }
    async fn redact(&self, chat: ChatId, entry: Seq, body: Bytes) -> Result<()> {
        self.store.redact(chat, entry, body).await
    }
    async fn archive_chats(&self, before: Timestamp) -> Result<u64> {
        self.store.archive_chats(before).await
    }
}

struct Scene {
    store: Arc<Fragile>,
    gate: Arc<Semaphore>,
    engine: Arc<tidewire_engine::Engine>,
    _folder: tempfile::TempDir,
}

async fn scene(settings: Settings) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let store = Fragile::new(open(folder.path()));
    let gate = Arc::new(Semaphore::new(0));
    let engine = start(Arc::clone(&store) as Arc<dyn Store>, gated(&gate, 10), settings).await;
    Scene { store, gate, engine, _folder: folder }
}

#[tokio::test]
async fn a_run_that_cannot_be_written_fails_and_its_listeners_hear_why() {
    let scene = scene(Settings::default()).await;
    let mut client = Client::follow(&scene.engine, SESSION, Some(Seq::START)).await;
    let run = client.send("hello").await;
    scene.gate.add_permits(3);
    client.sees(run, &counted(3)).await;
    let shown = client.page.seq;
    scene.store.full.store(true, Ordering::SeqCst);
    scene.gate.add_permits(1);
    let AgentEvent::RunFailed { answer: said, error, .. } = client.end_of(run).await else {
        panic!("it failed")
    };
    assert_eq!((error.code, &*error.message), (Code::Unavailable, &*disk_full().message));
    assert!(said.text.starts_with(&counted(3)), "{:?}", said.text);
    assert_eq!(client.page.seq, shown, "what is not written moves no position");
    // While it is full, messages are refused with the same words.
    let refused = client.try_send("again", None, WhileRunning::Reject).await.unwrap_err();
    assert_eq!(&*refused.message, &*disk_full().message);
    // With space again the chat goes on, and its log has no open run.
    scene.store.full.store(false, Ordering::SeqCst);
    let mut fresh = Client::follow(&scene.engine, SESSION, Some(Seq::START)).await;
    let next = fresh.send("again").await;
    scene.gate.add_permits(10);
    fresh.end_of(run).await;
    assert_eq!(answer(&fresh.end_of(next).await).text, counted(10));
    let open = scene.store.open_runs().await.unwrap();
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn what_a_chat_owes_its_log_is_paid_without_being_asked() {
    let settings = Settings { sweep_every: std::time::Duration::from_millis(5), ..Settings::default() };
    let scene = scene(settings).await;
    let mut client = Client::follow(&scene.engine, SESSION, Some(Seq::START)).await;
    let run = client.send("hello").await;
    scene.store.full.store(true, Ordering::SeqCst);
    scene.gate.add_permits(1);
    client.end_of(run).await;
    drop(client);
    scene.store.full.store(false, Ordering::SeqCst);
    while !scene.store.open_runs().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    while scene.engine.stats().rooms > 0 {
        tokio::task::yield_now().await;
    }
    let mut fresh = Client::follow(&scene.engine, SESSION, Some(Seq::START)).await;
    assert!(matches!(fresh.end_of(run).await, AgentEvent::RunFailed { .. }));
}

#[tokio::test]
async fn a_write_that_is_wrongly_reported_as_failed_leaves_no_gap() {
    let scene = scene(Settings::default()).await;
    let mut client = Client::follow(&scene.engine, SESSION, Some(Seq::START)).await;
    let run = client.send("hello").await;
    scene.gate.add_permits(2);
    client.sees(run, &counted(2)).await;
    scene.store.lying.store(true, Ordering::SeqCst);
    scene.gate.add_permits(1);
    client.end_of(run).await;
    let mut fresh = Client::follow(&scene.engine, SESSION, Some(Seq::START)).await;
    fresh.end_of(run).await;
    assert_eq!(client.page.seq, fresh.page.seq);
    let next = client.send("again").await;
    scene.gate.add_permits(10);
    assert_eq!(answer(&client.end_of(next).await).text, counted(10));
}

#[tokio::test]
async fn one_chat_that_cannot_be_written_does_not_disturb_the_others() {
    let scene = scene(Settings::default()).await;
    let mut clients = Vec::new();
    for number in 0..10 {
        clients.push(Client::follow(&scene.engine, &format!("s{number}"), Some(Seq::START)).await);
    }
    *scene.store.cursed.lock().unwrap() = Some(clients[3].chat);
    let sends = clients.iter().map(|client| client.try_send("hello", None, WhileRunning::Reject));
    let sent = futures_util::future::join_all(sends).await;
    scene.gate.add_permits(100);
    for (number, (client, sent)) in clients.iter_mut().zip(sent).enumerate() {
        match sent {
            Ok((run, _)) => assert_eq!(answer(&client.end_of(run).await).text, counted(10)),
            Err(error) => assert_eq!((number, error.code), (3, Code::Unavailable)),
        }
    }
}
