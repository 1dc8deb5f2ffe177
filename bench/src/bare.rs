//! The bare loops that inserts are compared with: one thread that takes what has queued, writes a record and a change
//! for each into SQLite, commits durably, and answers everybody. Nothing else is done: no sockets, no JSON of requests,
//! no ids, no schema, no listeners; and those who ask wait on the other core.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use crate::process::SERVER_CORE;

/// What is written for an insert.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Two texts into two tables without an index, empty at the beginning: the floor.
    Plain,
    /// What Tidewire keeps of a record, with the same indexes.
    Same,
}

/// A loop's database.
pub(crate) struct Bare {
    folder: tempfile::TempDir,
    rows: Rows,
    groups: usize,
}

/// The tables of one collection as Tidewire has them, with an index on the member `group`.
const SAME: &str = "
CREATE TABLE records (
    key INTEGER PRIMARY KEY, collection INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (collection, id)
) STRICT;
CREATE TABLE changes (
    collection INTEGER NOT NULL, log_offset INTEGER NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
    body_after BLOB, at INTEGER NOT NULL, by_subject TEXT NOT NULL, PRIMARY KEY (collection, log_offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_group ON records (json_type(body, '$.group'), json_extract(body, '$.group'), id) WHERE collection = 1;
";
const PLAIN: &str = "
CREATE TABLE records (id INTEGER PRIMARY KEY, body TEXT);
CREATE TABLE changes (id INTEGER PRIMARY KEY, body TEXT);
";

impl Bare {
    /// A database with so many records of `groups` groups.
    pub(crate) fn new(rows: Rows, filled: usize, groups: usize) -> io::Result<Self> {
        let bare = Self { folder: tempfile::tempdir()?, rows, groups };
        bare.fill(filled).map_err(io::Error::other)?;
        Ok(bare)
    }

    fn fill(&self, filled: usize) -> rusqlite::Result<()> {
        let database = open(self.folder.path())?;
        database.execute_batch(if self.rows == Rows::Same { SAME } else { PLAIN })?;
        database.execute_batch("BEGIN")?;
        (0..filled).try_for_each(|number| insert(&database, self.rows, number, number % self.groups))?;
        database.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
    }

    /// How many inserts per second `callers` get who wait for each.
    pub(crate) async fn inserts(&self, callers: usize, during: Duration) -> io::Result<f64> {
        let database = open(self.folder.path()).map_err(io::Error::other)?;
        let (rows, groups) = (self.rows, self.groups);
        let (queue, waiting) = channel();
        let writer = std::thread::spawn(move || serve(&database, rows, groups, &waiting));
        let begun = Instant::now();
        let tasks = (0..callers).map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut done = 0_u64;
                while begun.elapsed() < during {
                    let (reply, answer) = oneshot::channel();
                    if queue.send(reply).is_err() || answer.await.is_err() {
                        break;
                    }
                    done += 1;
                }
                done
            })
        });
        let tasks: Vec<_> = tasks.collect();
        drop(queue);
        let mut done = 0;
        for task in tasks {
            done += task.await.map_err(io::Error::other)?;
        }
        let rate = done as f64 / begun.elapsed().as_secs_f64();
        writer.join().map_err(|_| io::Error::other("the bare loop panicked"))?.map_err(io::Error::other)?;
        Ok(rate)
    }
}

fn open(folder: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(folder.join("bare.db"))?;
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        database.pragma_update(None, name, value)?;
    }
    // As Tidewire's writer.
    for (name, value) in [("wal_autocheckpoint", 16_000), ("cache_size", -8_192), ("mmap_size", 2_i64 << 30)]
    {
        database.pragma_update(None, name, value)?;
    }
    Ok(database)
}

fn insert(database: &Connection, rows: Rows, number: usize, group: usize) -> rusqlite::Result<()> {
    let (number, group) = (number as i64, group as i64);
    let body = format!("{{\"name\":\"record\",\"group\":{group},\"text\":\"{}\"}}", "x".repeat(100));
    if rows == Rows::Plain {
        database.prepare_cached("INSERT INTO records (body) VALUES (?)")?.execute([&body])?;
        database.prepare_cached("INSERT INTO changes (body) VALUES (?)")?.execute([&body])?;
        return Ok(());
    }
    // As long as a UUID, and as orderly.
    let id = format!("{number:036}");
    database
        .prepare_cached("INSERT INTO records VALUES (NULL, 1, ?1, ?2, ?3, ?3, jsonb(?4))")?
        .execute(params![id, number, number, body])?;
    database
        .prepare_cached("INSERT INTO changes VALUES (1, ?1, 1, ?2, jsonb(?3), ?1, 'local')")?
        .execute(params![number, id, body])?;
    Ok(())
}

fn serve(
    database: &Connection,
    rows: Rows,
    groups: usize,
    waiting: &Receiver<oneshot::Sender<()>>,
) -> rusqlite::Result<()> {
    run_on_server_core();
    let count: i64 = database.query_row("SELECT count(*) FROM records", [], |row| row.get(0))?;
    let mut number = count.unsigned_abs() as usize;
    let mut random = number as u64 + 1;
    while let Ok(first) = waiting.recv() {
        let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        database.execute_batch("BEGIN IMMEDIATE")?;
        for _ in &group {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            insert(database, rows, number, (random >> 33) as usize % groups)?;
            number += 1;
        }
        database.execute_batch("COMMIT")?;
        for reply in group {
            reply.send(()).ok(); // the caller may have gone at the end
        }
    }
    Ok(())
}

/// Moves this thread to where servers run.
fn run_on_server_core() {
    let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = thread.file_name().unwrap_or_default();
    // A loop on the wrong core is measured all the same, only less fairly to it.
    Command::new("taskset").args(["-pc", SERVER_CORE]).arg(id).output().ok();
}
