//! The store of one machine: two SQLite files in the data folder.
//!
//! `records.db` holds the collections and is synced at each commit; `chats.db` holds the chat logs and is written
//! without waiting for the disk. Each has one writer thread and a few reading connections (WAL, so that neither waits
//! for the other). The statements are in `records`, `filter`, `fulltext` and `chats`; what the files look like is in
//! `schema`.

mod chats;
mod failure;
mod filter;
mod folder;
mod fulltext;
mod readers;
mod records;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

use crate::command::ChatSummary;
use crate::error::{Error, Result};
use crate::id::{
    ChatId, Clock, Epoch, Offset, Position, RecordId, RunId, Seq, SessionId, SystemClock, Timestamp,
};
use crate::identity::Subject;
use crate::query::{CollectionInfo, Filter, Hit, Query, Record, Search};
use crate::store::entry::LogEntry;
use crate::store::{Change, ChatHead, OpenRun, Store, Write};

pub use folder::owner_address;

use folder::Folder;
use fulltext::Index;
use readers::Readers;
use records::Keep;
use schema::Schema;
use writer::{Upkeep, Writer};

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
#[derive(Debug)]
pub struct Sqlite {
    records: Database,
    chats: Database,
    epoch: Epoch,
    folder: Option<Arc<Folder>>,
    vectors: Arc<search::Cache>,
}

/// One file: who writes it and who reads it.
#[derive(Debug)]
struct Database {
    writer: Writer,
    readers: Readers,
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
        let name = RecordId::new().0;
        Self::start(&Place::Memory(name), &Settings::new(""))
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

    /// Writes down in the data folder at which address its owner can be asked; see [`owner_address`].
    pub fn announce(&self, address: &str) -> Result<()> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.announce(address))
    }

    fn start(place: &Place, settings: &Settings) -> Result<Self> {
        let keep = Keep { age: settings.keep_for, changes: settings.keep_changes };
        let upkeep = RecordsUpkeep { keep, clock: Arc::clone(&settings.clock) };
        let records = place.writer(schema::RECORDS)?;
        records.pragma_update(None, "synchronous", "FULL")?;
        let chats = place.writer(schema::CHATS)?;
        chats.pragma_update(None, "synchronous", "FULL")?; // the epoch must not be lost
        let epoch = chats::start(&chats)?;
        chats.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self {
            records: place.database("records-writer", schema::RECORDS, records, upkeep, settings.readers)?,
            chats: place.database("chats-writer", schema::CHATS, chats, ChatsUpkeep, settings.readers)?,
            epoch,
            folder: None,
            vectors: Arc::default(),
        })
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
            index = self.records.writer.call(move |c| grow(c, wanted.clone())).await?;
        }
        Ok(index)
    }
}

impl Place {
    fn writer(&self, schema: Schema) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = self.connect(schema, flags)?;
        if let Self::Folder(_) = self {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
            connection.pragma_update(None, "wal_autocheckpoint", 4_000)?; // pages of 4 KiB: fewer, larger ones
        }
        schema.migrate(&connection)?;
        Ok(connection)
    }

    fn reader(&self, schema: Schema) -> Result<Connection> {
        let connection = self.connect(schema, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn connect(&self, schema: Schema, flags: OpenFlags) -> Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::Folder(folder) => Connection::open_with_flags(folder.file(schema.file)?, flags)?,
            Self::Memory(name) => Connection::open_with_flags(
                format!("file:/{name}/{}?vfs=memdb", schema.file),
                flags | OpenFlags::SQLITE_OPEN_URI,
            )?,
        };
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    fn database(
        &self,
        name: &'static str,
        schema: Schema,
        writer: Connection,
        upkeep: impl Upkeep,
        readers: usize,
    ) -> Result<Database> {
        let guard = match self {
            Self::Folder(folder) => Some(Arc::clone(folder)),
            Self::Memory(_) => None,
        };
        let readers = (0..readers.max(1)).map(|_| self.reader(schema)).collect::<Result<_>>()?;
        Ok(Database { writer: Writer::start(name, writer, upkeep, guard)?, readers: Readers::new(readers) })
    }
}

struct RecordsUpkeep {
    keep: Keep,
    clock: Arc<dyn Clock>,
}

impl Upkeep for RecordsUpkeep {
    fn chores(&self, connection: &Connection) -> Result<()> {
        records::prune(connection, self.keep, self.clock.now())
    }

    fn finish(&self, connection: &Connection) -> Result<()> {
        checkpoint(connection)
    }
}

struct ChatsUpkeep;

impl Upkeep for ChatsUpkeep {
    fn chores(&self, _: &Connection) -> Result<()> {
        Ok(())
    }

    fn finish(&self, connection: &Connection) -> Result<()> {
        chats::finish(connection)?;
        checkpoint(connection)
    }
}

/// Brings everything from the write-ahead log into the file, synced.
fn checkpoint(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, by: &Subject, at: Timestamp, batch: Vec<Write>) -> Result<Vec<Change>> {
        let by = by.clone();
        self.records.writer.call(move |c| records::Batch::apply(c, &by, at, &batch)).await
    }

    async fn get(&self, collection: &str, id: &RecordId) -> Result<Option<Record>> {
        let (collection, id) = (collection.to_owned(), id.clone());
        self.records.readers.call(move |c| records::get(c, &collection, &id)).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Record>> {
        let sql = filter::select(query)?;
        self.records.readers.call(move |c| records::query(c, sql)).await
    }

    async fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        let sql = filter.map(|filter| filter::count(collection, filter)).transpose()?;
        let collection = collection.to_owned();
        let count = move |c: &Connection| match sql {
            Some(sql) => records::count(c, sql),
            None => records::count_all(c, &collection),
        };
        self.records.readers.call(count).await
    }

    async fn search(&self, search: &Search) -> Result<Vec<Hit>> {
        match self.index(search).await? {
            Index::Complete => {}
            Index::Absent | Index::Growing => return Ok(Vec::new()),
        }
        let (cache, search) = (Arc::clone(&self.vectors), search.clone());
        self.records.readers.call(move |c| search::search(c, &cache, &search)).await
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.records.readers.call(records::collections).await
    }

    async fn changes(&self, collection: &str, after: Offset, limit: usize) -> Result<Vec<Change>> {
        let collection = collection.to_owned();
        self.records.readers.call(move |c| records::changes(c, &collection, after, limit)).await
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    async fn open_session(&self, owner: &Subject, session: &SessionId, at: Timestamp) -> Result<ChatHead> {
        let (epoch, owner, session) = (self.epoch, owner.clone(), session.clone());
        self.chats.writer.call(move |c| chats::open_session(c, epoch, &owner, &session, at)).await
    }

    async fn chat(&self, chat: ChatId) -> Result<Option<ChatHead>> {
        self.chats.readers.call(move |c| chats::chat(c, chat)).await
    }

    async fn chats(&self, owner: &Subject, limit: usize) -> Result<Vec<ChatSummary>> {
        let owner = owner.clone();
        self.chats.readers.call(move |c| chats::chats(c, &owner, limit)).await
    }

    async fn append(&self, entries: Vec<LogEntry>) -> Result<()> {
        self.chats.writer.call(move |c| chats::append(c, &entries)).await
    }

    async fn read(&self, chat: ChatId, after: Seq, limit: usize) -> Result<Vec<LogEntry>> {
        self.chats.readers.call(move |c| chats::read(c, chat, after, limit)).await
    }

    async fn read_run(&self, chat: ChatId, run: RunId) -> Result<Vec<LogEntry>> {
        self.chats.readers.call(move |c| chats::read_run(c, chat, run)).await
    }

    async fn find_message(&self, chat: ChatId, message_id: &str) -> Result<Option<LogEntry>> {
        let message_id = message_id.to_owned();
        self.chats.readers.call(move |c| chats::find_message(c, chat, &message_id)).await
    }

    async fn collapse(&self, chat: ChatId, run: RunId) -> Result<()> {
        self.chats.writer.call(move |c| chats::collapse(c, chat, run)).await
    }

    async fn open_runs(&self) -> Result<Vec<OpenRun>> {
        self.chats.readers.call(chats::open_runs).await
    }

    async fn knows(&self, chat: ChatId, position: Position) -> Result<bool> {
        let epoch = self.epoch;
        self.chats.readers.call(move |c| chats::knows(c, epoch, chat, position)).await
    }

    async fn archive_chats(&self, before: Timestamp) -> Result<u64> {
        self.chats.writer.call(move |c| chats::archive(c, before)).await
    }
}
