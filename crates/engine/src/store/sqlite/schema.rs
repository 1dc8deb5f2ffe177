//! What the two databases look like, and how older ones become like that.
//!
//! A file carries its number of migrations as `user_version` and ours as `application_id`. Migrations are only ever
//! added at the end of a list.

use rusqlite::Connection;

use crate::error::{Code, Error, Result};

/// One database of the data folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// The file's name.
    pub(super) file: &'static str,
    /// Steps from an empty file to today's.
    pub(super) migrations: &'static [&'static str],
}

/// "Tide": marks a file as ours.
const APPLICATION_ID: i32 = 0x5469_6465;

/// Collections, their records and their change logs.
pub(super) const RECORDS: Schema = Schema {
    file: "records.db",
    migrations: &[
        "
CREATE TABLE collections (
    key          INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    count        INTEGER NOT NULL DEFAULT 0,
    last_offset  INTEGER NOT NULL DEFAULT 0,
    first_offset INTEGER NOT NULL DEFAULT 1, -- the oldest change that is still kept
    indexed      INTEGER                     -- full text holds the records with keys up to this one
) STRICT;

CREATE TABLE records (
    key        INTEGER PRIMARY KEY, -- the full-text index knows records by it
    collection INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    body       BLOB    NOT NULL, -- JSONB
    UNIQUE (collection, id)
) STRICT;

CREATE TABLE changes (
    collection INTEGER NOT NULL,
    log_offset INTEGER NOT NULL,
    kind       INTEGER NOT NULL, -- 1 insert, 2 update, 3 delete
    id         TEXT    NOT NULL,
    body_before BLOB,            -- JSONB
    body_after  BLOB,            -- JSONB
    at         INTEGER NOT NULL,
    by_subject TEXT    NOT NULL,
    PRIMARY KEY (collection, log_offset)
) STRICT, WITHOUT ROWID;
",
        "
-- Members whose vectors are searched. The vectors of one are in the table vectors_{number}.
CREATE TABLE vector_fields (
    number     INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    field      TEXT    NOT NULL,
    dimension  INTEGER,                    -- that of the first vector
    indexed    INTEGER NOT NULL DEFAULT 0, -- the table holds the records with keys up to this one
    UNIQUE (collection, field)
) STRICT;
",
        "
ALTER TABLE collections ADD COLUMN present INTEGER NOT NULL DEFAULT 1; -- 0 after a drop: the name keeps its versions
ALTER TABLE collections ADD COLUMN schema TEXT;                        -- JSON; NULL if it was never given one
ALTER TABLE collections ADD COLUMN schema_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN schema_made_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN schema_changed_at INTEGER NOT NULL DEFAULT 0;

ALTER TABLE records ADD COLUMN expires_at INTEGER;
ALTER TABLE records ADD COLUMN renewed_by INTEGER; -- reading it lets it expire so many microseconds later
CREATE INDEX records_by_expiry ON records (expires_at, collection) WHERE expires_at IS NOT NULL;
ALTER TABLE changes ADD COLUMN expires_at INTEGER;

-- Keys of collections that were dropped and whose records are still being removed.
CREATE TABLE dropped (key INTEGER PRIMARY KEY) STRICT;

CREATE TABLE pairs (
    key        TEXT NOT NULL PRIMARY KEY,
    value      TEXT NOT NULL, -- JSON
    expires_at INTEGER
) STRICT;
CREATE INDEX pairs_by_expiry ON pairs (expires_at) WHERE expires_at IS NOT NULL;

-- Fixed statistics, so that plans do not depend on when somebody counted: going through a collection is much better than
-- going through all records, and worse than going through an index on a member.
ANALYZE dropped;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('records', 'sqlite_autoindex_records_1', '100000000 1000000 1');
",
    ],
};

/// Chats, the entries of their logs, and their runs.
pub(super) const CHATS: Schema = Schema {
    file: "chats.db",
    migrations: &["
CREATE TABLE start (
    epoch INTEGER NOT NULL,
    clean INTEGER NOT NULL -- whether the last owner closed in peace
) STRICT;
INSERT INTO start VALUES (1, 1);

CREATE TABLE chats (
    key        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL,
    session    TEXT,
    title      TEXT    NOT NULL DEFAULT '',
    last_seq   INTEGER NOT NULL DEFAULT 0,
    epoch      INTEGER NOT NULL, -- of the last entry
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, -- when something last happened in it
    used_at    INTEGER NOT NULL, -- the same, or when it was last opened
    archived   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX chats_by_session ON chats (owner, session) WHERE archived = 0;
CREATE INDEX chats_by_owner ON chats (owner, updated_at) WHERE archived = 0;
CREATE INDEX chats_by_use ON chats (used_at) WHERE archived = 0;

CREATE TABLE entries (
    chat       INTEGER NOT NULL,
    last       INTEGER NOT NULL, -- it covers first..=last
    first      INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    run        BLOB,
    mark       INTEGER NOT NULL, -- 1 message, 2 delta, 3 coarse, 4 end
    message_id TEXT,
    title      TEXT,
    body       BLOB    NOT NULL, -- JSON
    PRIMARY KEY (chat, last)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entries_by_message ON entries (chat, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE runs (
    key   INTEGER PRIMARY KEY, -- by birth
    chat  INTEGER NOT NULL,
    run   BLOB    NOT NULL,
    first INTEGER NOT NULL, -- its entries lie in first..=last, other runs' may lie between
    last  INTEGER NOT NULL,
    open  INTEGER NOT NULL,
    UNIQUE (chat, run)
) STRICT;
CREATE INDEX open_runs ON runs (chat) WHERE open = 1;

-- Where a later epoch began to write in a chat: what an earlier one saw beyond that was lost.
CREATE TABLE cuts (
    chat  INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    PRIMARY KEY (chat, epoch)
) STRICT, WITHOUT ROWID;
", "
ALTER TABLE chats ADD COLUMN settings TEXT; -- JSON
ALTER TABLE chats ADD COLUMN parent BLOB;
ALTER TABLE chats ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0; -- the row stays, so that its id is not used again

-- What messages are made of: what begins and ends runs, and amendments (mark 5).
CREATE INDEX entries_of_messages ON entries (chat, last) WHERE mark IN (1, 4, 5);
", "
-- From here on last_seq of a chat with an open run may lag behind the last of its entries. Nothing changes in the file,
-- but who does not know that must not write it.
"],
};

impl Schema {
    /// Brings a database up to date. Refuses what is not ours and what a newer version wrote.
    pub(super) fn migrate(&self, connection: &Connection) -> Result<()> {
        let version = self.version(connection)?;
        for (number, step) in self.migrations.iter().enumerate().skip(version) {
            let version = number + 1;
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {step}; PRAGMA user_version = {version}; \
                 PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
            ))?;
        }
        Ok(())
    }

    fn version(&self, connection: &Connection) -> Result<usize> {
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != APPLICATION_ID && (tables > 0 || version != 0) {
            return Err(self.foreign());
        }
        let version = usize::try_from(version).map_err(|_| self.foreign())?;
        if version > self.migrations.len() {
            return Err(self.newer(version));
        }
        Ok(version)
    }

    fn newer(&self, version: usize) -> Error {
        let (file, known) = (self.file, self.migrations.len());
        Error::new(
            Code::Unavailable,
            format!(
                "{file} in the data folder has format {version} and this version knows up to {known}; \
                 start the newer Tidewire that wrote it, or name another folder with --data"
            ),
        )
    }

    fn foreign(&self) -> Error {
        let file = self.file;
        Error::new(
            Code::Unavailable,
            format!("{file} in the data folder was not written by Tidewire; name another folder with --data"),
        )
    }
}
