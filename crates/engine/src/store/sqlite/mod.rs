//! The store of one machine: two SQLite files in the data folder.
//!
//! `records.db` holds the collections and is synced at each commit; `chats.db` holds the chat logs and is written
//! without waiting for the disk. Each has one writer thread and a few reading connections (WAL, so that neither waits
//! for the other). What a commit does is in `batch`; what is read, in `query`, `records` and `filter`; collections and
//! their schemas are in `collections`, their indexes in `indexes`; chats in `chats`. What the files look like is in
//! `schema`.

mod backup;
mod batch;
mod chats;
mod checkpoint;
mod collections;
mod failure;
mod filter;
mod folder;
mod fulltext;
mod hooks;
mod indexes;
mod inspect;
mod jsonb;
mod load;
mod managed;
mod news;
mod pages;
mod pairs;
mod query;
mod readers;
#[cfg(test)]
mod record_tests;
mod records;
mod reply;
mod schema;
mod search;
mod tails;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::command::ChatSummary;
use crate::conversation::ChatSettings;
use crate::edit::{Edited, KeyValue};
use crate::error::{Error, Result};
use crate::id::{
    ChatId, Clock, Epoch, Offset, Position, RecordId, RunId, Seq, SessionId, SystemClock, Timestamp,
};
use crate::identity::Subject;
use crate::query::{CollectionInfo, Filter, Hit, Query, Record, RecordTexts, Search};
use crate::schema::{FieldChange, Schema};
use crate::store::entry::LogEntry;
use crate::store::{
    Change, ChatHead, Listener, LogSpan, NewChat, OpenRun, Page, SessionOpening, Store, Write,
};

pub use backup::Backup;
pub use folder::owner_address;
pub use inspect::Inspection;
pub use load::Load;

use batch::Batch;
use checkpoint::{Checkpoints, Limits};
use collections::{Left, Schemas};
use folder::Folder;
use fulltext::Index;
use news::{Listeners, News};
use readers::Readers;
use records::{GotText, Keep};
use schema::Schema as Layout;
use writer::{Upkeep, Writer};

/// So many expired records are removed at once; others write between two times.
const EXPIRED: usize = 1_000;
/// The chores look after the logs' age at each such round.
const PRUNE_EVERY: u32 = 10;
/// So much of a file is read through the system's own cache, without copies: a reader's own cache is emptied by each
/// commit, and looking up one record among a million would read a dozen pages anew.
const MAPPED: i64 = 2 << 30;
/// What a writer keeps of a file in KiB: the pages that a group of commands changes fit. SQLite goes through all of it
/// at each commit, so more would cost more than it saves.
const WRITER_CACHE: i64 = 8 << 10;
/// The same for each reader, whose cache holds no more than what the write-ahead log has and the file has not.
const READER_CACHE: i64 = 512;
/// After so many pages of 4 KiB the write-ahead log is brought into the file before `checkpoint` looks after it, while
/// an older file is brought up to date.
const CHECKPOINT: i64 = 16_000;
/// A time to live is not renewed for less than this, so that a record that many read is not written each time.
const RENEW_GAIN: Duration = Duration::from_secs(1);

/// What a store is opened with.
#[derive(Clone)]
pub struct Settings {
    /// The data folder; it is made when it is not there.
    pub path: PathBuf,
    /// So many reading connections for each of the two files.
    pub readers: usize,
    /// Changes are kept so long.
    pub keep_for: Duration,
    /// So many changes are kept per collection.
    pub keep_changes: u64,
    /// Says how old changes are.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// The usual ones for a data folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            keep_for: Duration::from_secs(7 * 24 * 60 * 60),
            keep_changes: 1_000_000,
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, readers, keep_for, keep_changes, clock: _ } = self;
        f.debug_struct("Settings")
            .field("path", path)
            .field("readers", readers)
            .field("keep_for", keep_for)
            .field("keep_changes", keep_changes)
            .finish_non_exhaustive()
    }
}

/// The store of one machine.
pub struct Sqlite {
    records: Database<News>,
    chats: Database<()>,
    schemas: Schemas,
    left: Left,
    tails: tails::Tails,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    epoch: Epoch,
    folder: Option<Arc<Folder>>,
    vectors: Arc<search::Cache>,
}

/// One file: who writes it and who reads it.
#[derive(Debug)]
struct Database<N> {
    writer: Writer<N>,
    readers: Readers,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("records", &self.records)
            .field("chats", &self.chats)
            .finish_non_exhaustive()
    }
}

/// SQLite's own check; its first line is `ok` or what is wrong.
fn check(connection: &Connection) -> Result<()> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::unavailable(format!("a database file is damaged ({found}); restore it from a backup")))
}

/// Where the files are.
enum Place {
    Folder(Arc<Folder>),
    /// SQLite's own files in memory, shared by the connections that know the name.
    Memory(String),
}

impl Sqlite {
    /// Opens a data folder and owns it until the store is dropped. It blocks for as long as migrations take; dropping
    /// blocks until what is queued is done.
    ///
    /// Fails with a conflict when another process owns the folder, and as unavailable when the folder cannot be used or
    /// was written by a newer version.
    pub fn open(settings: Settings) -> Result<Self> {
        let folder = Arc::new(Folder::open(&settings.path)?);
        let mut store = Self::start(&Place::Folder(Arc::clone(&folder)), &settings)?;
        store.folder = Some(folder);
        Ok(store)
    }

    /// A store that is gone when it is dropped.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_at(Arc::new(SystemClock))
    }

    /// The same; records expire by this clock.
    pub fn in_memory_at(clock: Arc<dyn Clock>) -> Result<Self> {
        let name = RecordId::new().0;
        Self::start(&Place::Memory(name), &Settings { clock, ..Settings::new("") })
    }

    /// Does what is queued, syncs everything and marks the folder as closed in peace. Afterwards every call fails.
    pub async fn close(&self) -> Result<()> {
        self.records.readers.close().await;
        self.chats.readers.close().await;
        let records = self.records.writer.close().await;
        let chats = self.chats.writer.close().await;
        records.and(chats)
    }

    /// Reads both files from end to end and fails as unavailable with the first thing that is wrong with them.
    pub async fn check(&self) -> Result<()> {
        self.records.readers.call(check).await?;
        self.chats.readers.call(check).await
    }

    /// Drops all changes but the newest of each collection.
    #[cfg(test)]
    pub(crate) async fn prune_to(&self, changes: u64) {
        let keep = Keep { age: Duration::MAX, changes };
        self.records
            .writer
            .call(move |c, _| records::prune(c, keep, Timestamp(0)))
            .await
            .expect("it can be pruned");
    }

    /// Writes down in the data folder at which address its owner can be asked; see [`owner_address`].
    pub fn announce(&self, address: &str) -> Result<()> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.announce(address))
    }

    fn start(place: &Place, settings: &Settings) -> Result<Self> {
        let keep = Keep { age: settings.keep_for, changes: settings.keep_changes };
        let (schemas, left, listeners) = (Schemas::default(), Left::default(), Listeners::default());
        let clock = Arc::clone(&settings.clock);
        let vectors = Arc::<search::Cache>::default();
        let upkeep = RecordsUpkeep {
            keep,
            clock: Arc::clone(&clock),
            schemas: schemas.clone(),
            left: left.clone(),
            vectors: Arc::clone(&vectors),
            listeners: listeners.clone(),
            round: 1,
        };
        let records = place.writer(schema::RECORDS)?;
        records.pragma_update(None, "synchronous", "FULL")?;
        let chats = place.writer(schema::CHATS)?;
        chats.pragma_update(None, "synchronous", "FULL")?; // the epoch must not be lost
        let epoch = chats::start(&chats)?;
        let tails = tails::Tails::default();
        let chats_upkeep = tails::Upkeep(tails.clone());
        chats.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self {
            records: place.database("records-writer", schema::RECORDS, records, upkeep, settings.readers)?,
            chats: place.database("chats-writer", schema::CHATS, chats, chats_upkeep, settings.readers)?,
            schemas,
            left,
            tails,
            listeners,
            clock,
            epoch,
            folder: None,
            vectors,
        })
    }

    /// Lets a record that is being read live longer, unless that would gain too little. Returns when it expires.
    async fn renew(
        &self,
        collection: &str,
        record: &Record,
        (now, renewed_by): (Timestamp, i64),
    ) -> Result<Option<Timestamp>> {
        let until = Timestamp(now.0.saturating_add(renewed_by));
        let least = RENEW_GAIN.min(Duration::from_micros(renewed_by.unsigned_abs() / 16));
        if record.expires_at.is_some_and(|at| until.since(at) < least) {
            return Ok(record.expires_at);
        }
        let (collection, id) = (collection.to_owned(), record.id.clone());
        self.records.writer.call(move |c, _| records::renew(c, &collection, &id, (now, until))).await?;
        Ok(Some(until))
    }

    /// Makes the indexes that a search needs if they are not there yet, in steps between other writes.
    async fn index(&self, search: &Search) -> Result<Index> {
        let mut index = Index::Complete;
        if search.text.is_some() {
            let name = || search.collection.clone();
            index = self
                .grow(name, |c, name| fulltext::index(c, &name), |c, name| fulltext::grow(c, &name))
                .await?;
        }
        if let Some(vector) = &search.vector {
            let name = || (search.collection.clone(), vector.field.clone());
            let look = |c: &Connection, (name, field): (String, String)| search::index(c, &name, &field);
            index = self.grow(name, look, |c, (name, field)| search::grow(c, &name, &field)).await?;
        }
        Ok(index)
    }

    /// Makes one index if it is not there yet: `look` says how far it is, `grow` makes the next piece.
    async fn grow<N: Clone + Send + 'static>(
        &self,
        name: impl Fn() -> N,
        look: fn(&Connection, N) -> Result<Index>,
        grow: fn(&Connection, N) -> Result<Index>,
    ) -> Result<Index> {
        let wanted = name();
        let mut index = self.records.readers.call(move |c| look(c, wanted)).await?;
        while index == Index::Growing {
            let wanted = name();
            index = self.records.writer.call(move |c, _| grow(c, wanted.clone())).await?;
        }
        Ok(index)
    }
}

impl Place {
    fn writer(&self, schema: Layout) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = self.connect(schema, flags)?;
        if let Self::Folder(_) = self {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "journal_size_limit", 96 << 20)?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
        }
        if schema.file == schema::RECORDS.file {
            connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
        }
        schema.migrate(&connection)?;
        Ok(connection)
    }

    fn reader(&self, schema: Layout) -> Result<Connection> {
        let connection = self.connect(schema, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "query_only", true)?;
        if schema.file == schema::RECORDS.file {
            connection.pragma_update(None, "cache_size", -READER_CACHE)?;
        }
        Ok(connection)
    }

    fn connect(&self, schema: Layout, flags: OpenFlags) -> Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::Folder(folder) => Connection::open_with_flags(folder.file(schema.file)?, flags)?,
            Self::Memory(name) => Connection::open_with_flags(
                format!("file:/{name}/{}?vfs=memdb", schema.file),
                flags | OpenFlags::SQLITE_OPEN_URI,
            )?,
        };
        connection.busy_timeout(Duration::from_secs(5))?;
        if schema.file == schema::RECORDS.file {
            connection.pragma_update(None, "mmap_size", MAPPED)?; // a chat's log is read once, from its end
        }
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Statements need no plan of their own for each value that is bound: statistics are fixed, and planning costs
        // more than what most of them do.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    fn database<N: Send + 'static>(
        &self,
        name: &'static str,
        schema: Layout,
        mut writer: Connection,
        upkeep: impl Upkeep<News = N>,
        readers: usize,
    ) -> Result<Database<N>> {
        let guard = match self {
            Self::Folder(folder) => Some(Arc::clone(folder)),
            Self::Memory(_) => None,
        };
        let readers = (0..readers.max(1)).map(|_| self.reader(schema)).collect::<Result<_>>()?;
        let checkpoints = self.checkpoints(name, schema, &mut writer)?;
        let writer = Writer::start(name, (writer, checkpoints), upkeep, guard)?;
        Ok(Database { writer, readers: Readers::new(readers) })
    }

    fn checkpoints(
        &self,
        name: &'static str,
        schema: Layout,
        writer: &mut Connection,
    ) -> Result<Option<Checkpoints>> {
        if let Self::Memory(_) = self {
            return Ok(None);
        }
        let copier = self.connect(schema, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        Checkpoints::start(name, writer, copier, Limits::USUAL).map(Some)
    }
}

struct RecordsUpkeep {
    keep: Keep,
    clock: Arc<dyn Clock>,
    schemas: Schemas,
    left: Left,
    vectors: Arc<search::Cache>,
    listeners: Listeners,
    round: u32,
}

impl Upkeep for RecordsUpkeep {
    type News = News;

    fn turn(&self) {
        self.left.turn();
    }

    fn chores(&mut self, connection: &Connection, news: &mut Vec<News>) -> Result<bool> {
        let now = self.clock.now();
        let more = expire(connection, &self.schemas, now, news)?
            | collections::sweep(connection, &self.schemas, &self.vectors)?
            | self.vectors.sweep(connection)?;
        if self.round == 0 {
            records::prune(connection, self.keep, now)?;
        }
        self.round = (self.round + 1) % PRUNE_EVERY;
        Ok(more)
    }

    fn committed(&mut self, news: Vec<News>) {
        self.listeners.tell(news);
    }

    fn finish(&self, connection: &Connection) -> Result<()> {
        checkpoint(connection)
    }
}

/// Removes a piece of what has expired. Whether there is more.
fn expire(connection: &Connection, schemas: &Schemas, now: Timestamp, news: &mut Vec<News>) -> Result<bool> {
    let system = Subject::SYSTEM.into();
    let mut batch = Batch::new(connection, schemas, &system, now);
    let more = batch.expire(EXPIRED)?;
    news.push(News::Changes(batch.changes));
    Ok(pairs::expire(connection, EXPIRED, now)? | more)
}

/// Brings everything from the write-ahead log into the file, synced.
fn checkpoint(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, by: &Subject, at: Timestamp, batch: Vec<Write>) -> Result<Vec<Change>> {
        let (by, schemas, listeners) = (by.clone(), self.schemas.clone(), self.listeners.clone());
        let left = self.left.clone();
        let work = move |c: &Connection, news: &mut Vec<News>| {
            let mut done = Batch::new(c, &schemas, &by, at).after(&left);
            let outcomes = done.together(&batch)?;
            Ok(listeners.note(done.leave(&left), news, |changes| batch::changes(changes, &outcomes)))
        };
        self.records.writer.call(work).await
    }

    async fn edit(
        &self,
        by: &Subject,
        at: Timestamp,
        writes: Vec<Write>,
        together: bool,
    ) -> Result<Vec<Result<Edited>>> {
        let (by, schemas, left) = (by.clone(), self.schemas.clone(), self.left.clone());
        let work = move |c: &Connection, news: &mut Vec<News>| {
            let mut done = Batch::new(c, &schemas, &by, at).after(&left);
            let edited = if together { done.edit_together(&writes)? } else { done.edit_each(&writes)? };
            news.push(News::Changes(done.leave(&left)));
            Ok(edited)
        };
        self.records.writer.call(work).await
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.listeners.add(listener);
    }

    async fn get(&self, collection: &str, id: &RecordId) -> Result<Option<Record>> {
        let (name, key, now) = (collection.to_owned(), id.clone(), self.clock.now());
        let got = self.records.readers.small(move |c| records::get(c, &name, &key, now)).await?;
        let Some(records::Got { mut record, renewed_by }) = got else { return Ok(None) };
        if let Some(renewed_by) = renewed_by {
            record.expires_at = self.renew(collection, &record, (now, renewed_by)).await?;
        }
        Ok(Some(record))
    }

    async fn get_text(&self, collection: &str, id: &RecordId) -> Result<Option<RecordTexts>> {
        let (name, key, now) = (collection.to_owned(), id.clone(), self.clock.now());
        match self.records.readers.small(move |c| records::get_text(c, &name, &key, now)).await? {
            GotText::Nothing => Ok(None),
            GotText::Text(text) => Ok(Some(text)),
            GotText::Renewed => {
                Ok(self.get(collection, id).await?.map(|record| [&record].into_iter().collect()))
            }
        }
    }

    async fn query(&self, query: &Query) -> Result<Vec<Record>> {
        filter::check(query.filter.as_ref())?;
        let (query, schemas, now) = (query.clone(), self.schemas.clone(), self.clock.now());
        self.records.readers.call(move |c| query::query(c, &schemas, &query, now)).await
    }

    async fn query_texts(&self, query: &Query) -> Result<RecordTexts> {
        filter::check(query.filter.as_ref())?;
        let (query, schemas, now) = (query.clone(), self.schemas.clone(), self.clock.now());
        self.records.readers.short(move |c, held| query::texts(c, held, (&schemas, &query, now))).await
    }

    async fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        filter::check(filter)?;
        let (collection, filter) = (collection.to_owned(), filter.cloned());
        let (schemas, now) = (self.schemas.clone(), self.clock.now());
        let count = move |c: &Connection| match filter {
            Some(filter) => {
                let scope = collections::scope(c, &schemas, &collection, now)?;
                records::count(c, filter::count(&filter, &scope)?)
            }
            None => records::count_all(c, &collection, now),
        };
        self.records.readers.call(count).await
    }

    async fn distinct(&self, collection: &str, field: &str, filter: Option<&Filter>) -> Result<Vec<Value>> {
        filter::check(filter)?;
        let (collection, field, filter) = (collection.to_owned(), field.to_owned(), filter.cloned());
        let (schemas, now) = (self.schemas.clone(), self.clock.now());
        let distinct =
            move |c: &Connection| query::distinct(c, &schemas, &collection, (&field, filter.as_ref()), now);
        self.records.readers.call(distinct).await
    }

    async fn create_collection(
        &self,
        collection: &str,
        schema: Option<Schema>,
        at: Timestamp,
    ) -> Result<Schema> {
        let (name, schemas) = (collection.to_owned(), self.schemas.clone());
        let work = move |c: &Connection, news: &mut Vec<News>| {
            expire(c, &schemas, at, news)?;
            let made = collections::create(c, &schemas, &name, schema.as_ref(), at)?;
            news.push(News::schema(&name, &made, collections::last_offset(c, &name)?));
            Ok(made)
        };
        self.records.writer.call(work).await
    }

    async fn drop_collection(&self, collection: &str, _: Timestamp) -> Result<()> {
        let (name, schemas) = (collection.to_owned(), self.schemas.clone());
        let work = move |c: &Connection, news: &mut Vec<News>| {
            let version = collections::drop(c, &schemas, &name)?;
            let (collection, last_offset) = (name.clone(), collections::last_offset(c, &name)?);
            let primary_key = "id".to_owned();
            news.push(News::Schema { collection, version, primary_key, kinds: None, last_offset });
            Ok(())
        };
        self.records.writer.call(work).await
    }

    async fn schema(&self, collection: &str) -> Result<Schema> {
        let name = collection.to_owned();
        self.records.readers.call(move |c| collections::schema(c, &name)).await
    }

    async fn change_schema(
        &self,
        collection: &str,
        fields: Vec<(String, FieldChange)>,
        at: Timestamp,
    ) -> Result<Schema> {
        let (name, schemas) = (collection.to_owned(), self.schemas.clone());
        let work = move |c: &Connection, news: &mut Vec<News>| {
            let changed = collections::change(c, &schemas, &name, &fields, at)?;
            news.push(News::schema(&name, &changed, collections::last_offset(c, &name)?));
            Ok(changed)
        };
        self.records.writer.call(work).await
    }

    async fn kv_set(&self, pairs: Vec<KeyValue>, expires_at: Option<Timestamp>) -> Result<()> {
        self.records.writer.call(move |c, _| pairs::set(c, &pairs, expires_at)).await
    }

    async fn kv_get(&self, keys: Vec<String>) -> Result<Vec<Option<Value>>> {
        let now = self.clock.now();
        self.records.readers.small(move |c| pairs::get(c, &keys, now)).await
    }

    async fn kv_delete(&self, keys: Vec<String>) -> Result<Vec<bool>> {
        let now = self.clock.now();
        self.records.writer.call(move |c, _| pairs::delete(c, &keys, now)).await
    }

    async fn kv_find(&self, pattern: Option<&str>, include_expired: bool) -> Result<Vec<KeyValue>> {
        let (pattern, now) = (pattern.map(str::to_owned), self.clock.now());
        self.records.readers.call(move |c| pairs::find(c, pattern.as_deref(), include_expired, now)).await
    }

    async fn kv_clear(&self) -> Result<()> {
        self.records.writer.call(|c, _| pairs::clear(c)).await
    }

    async fn search(&self, search: &Search) -> Result<Vec<Hit>> {
        match self.index(search).await? {
            Index::Complete => {}
            Index::Absent | Index::Growing => return Ok(Vec::new()),
        }
        let (cache, search) = (Arc::clone(&self.vectors), search.clone());
        let (schemas, now) = (self.schemas.clone(), self.clock.now());
        self.records.readers.call(move |c| search::search(c, (&cache, &schemas), &search, now)).await
    }

    fn commits(&self) -> Option<u64> {
        Some(self.records.writer.commits())
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let now = self.clock.now();
        self.records.readers.small(move |c| collections::list(c, now)).await
    }

    async fn changes_within(
        &self,
        collection: &str,
        after: Offset,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<Change>> {
        let collection = collection.to_owned();
        self.records.readers.call(move |c| records::changes(c, &collection, after, limit, bytes)).await
    }

    async fn log(&self, collection: &str) -> Result<LogSpan> {
        let collection = collection.to_owned();
        self.records.readers.call(move |c| pages::log(c, &collection)).await
    }

    async fn page(
        &self,
        collection: &str,
        after: Option<&RecordId>,
        filter: Option<&Filter>,
        limit: usize,
        bytes: usize,
    ) -> Result<Page> {
        filter::check(filter)?;
        let query = pages::query(collection, after, filter, limit);
        let (schemas, now) = (self.schemas.clone(), self.clock.now());
        let read = move |c: &Connection| {
            let scope = collections::scope(c, &schemas, &query.collection, now)?;
            pages::read(c, filter::select(&query, &scope)?, limit, bytes)
        };
        self.records.readers.call(read).await
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    async fn open_session(&self, owner: &Subject, session: &SessionId, at: Timestamp) -> Result<ChatHead> {
        let (epoch, owner, session) = (self.epoch, owner.clone(), session.clone());
        self.chats.writer.call(move |c, _| chats::open_session(c, epoch, &owner, &session, at)).await
    }

    async fn open_sessions(&self, openings: Vec<SessionOpening>) -> Result<Vec<ChatHead>> {
        let epoch = self.epoch;
        let open = move |c: &Connection, opening: &SessionOpening| {
            chats::open_session(c, epoch, &opening.owner, &opening.session, opening.at)
        };
        self.chats.writer.call(move |c, _| openings.iter().map(|opening| open(c, opening)).collect()).await
    }

    async fn find_session(
        &self,
        owner: &Subject,
        session: &SessionId,
        at: Timestamp,
    ) -> Result<Option<ChatHead>> {
        let (owner, session) = (owner.clone(), session.clone());
        self.chats.readers.small(move |c| chats::find_session(c, &owner, &session, at)).await
    }

    async fn chat(&self, chat: ChatId) -> Result<Option<ChatHead>> {
        self.chats.readers.small(move |c| chats::chat(c, chat)).await
    }

    async fn chats(&self, owner: &Subject, limit: usize) -> Result<Vec<ChatSummary>> {
        let owner = owner.clone();
        self.chats.readers.call(move |c| chats::chats(c, &owner, limit)).await
    }

    async fn append(&self, entries: Vec<LogEntry>) -> Result<()> {
        let tails = self.tails.clone();
        self.chats.writer.call(move |c, _| chats::append(c, &tails, &entries)).await
    }

    async fn append_and_collapse(&self, entries: Vec<LogEntry>) -> Result<()> {
        let tails = self.tails.clone();
        self.chats.writer.call(move |c, _| chats::append_and_collapse(c, &tails, &entries)).await
    }

    async fn read(&self, chat: ChatId, after: Seq, limit: usize) -> Result<Vec<LogEntry>> {
        self.chats.readers.call(move |c| chats::read(c, chat, after, limit)).await
    }

    async fn read_run(&self, chat: ChatId, run: RunId) -> Result<Vec<LogEntry>> {
        self.chats.readers.call(move |c| chats::read_run(c, chat, run)).await
    }

    async fn find_message(&self, chat: ChatId, message_id: &str) -> Result<Option<LogEntry>> {
        let message_id = message_id.to_owned();
        self.chats.readers.small(move |c| chats::find_message(c, chat, &message_id)).await
    }

    async fn collapse(&self, chat: ChatId, run: RunId) -> Result<()> {
        self.chats.writer.call(move |c, _| chats::collapse(c, chat, run)).await
    }

    async fn open_runs(&self) -> Result<Vec<OpenRun>> {
        self.chats.readers.call(chats::open_runs).await
    }

    async fn knows(&self, chat: ChatId, position: Position) -> Result<bool> {
        let epoch = self.epoch;
        self.chats.readers.small(move |c| chats::knows(c, epoch, chat, position)).await
    }

    async fn open_chat(&self, chat: NewChat, at: Timestamp) -> Result<ChatHead> {
        let epoch = self.epoch;
        self.chats.writer.call(move |c, _| managed::open(c, epoch, &chat, at)).await
    }

    async fn find_chats(
        &self,
        owner: &Subject,
        limit: usize,
        skip: usize,
        ascending: bool,
    ) -> Result<(Vec<ChatHead>, u64)> {
        let owner = owner.clone();
        self.chats.readers.call(move |c| managed::find(c, &owner, limit, skip, ascending)).await
    }

    async fn set_chat_settings(&self, chat: ChatId, settings: ChatSettings, at: Timestamp) -> Result<()> {
        self.chats.writer.call(move |c, _| managed::set_settings(c, chat, &settings, at)).await
    }

    async fn delete_chat(&self, chat: ChatId) -> Result<()> {
        let tails = self.tails.clone();
        let delete = move |c: &Connection, _: &mut Vec<()>| {
            tails.forget();
            managed::delete(c, chat)
        };
        self.chats.writer.call(delete).await
    }

    async fn message_entries(&self, chat: ChatId, up_to: Seq, limit: usize) -> Result<Vec<LogEntry>> {
        self.chats.readers.call(move |c| managed::message_entries(c, chat, up_to, limit)).await
    }

    async fn redact(&self, chat: ChatId, entry: Seq, body: Bytes) -> Result<()> {
        self.chats.writer.call(move |c, _| managed::redact(c, chat, entry, &body)).await
    }

    async fn archive_chats(&self, before: Timestamp) -> Result<u64> {
        self.chats.writer.call(move |c, _| chats::archive(c, before)).await
    }
}
