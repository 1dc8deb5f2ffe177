//! Checkpoints: bringing the write-ahead log into the file, beside the thread that writes.
//!
//! A commit only appends to the log. A thread of its own copies what was appended into the file, so that no command
//! waits for it. The log begins anew only when all of it is in the file while nobody appends: its last few pages are
//! therefore copied between two commits, by whoever writes. What makes copying and appending at the same time safe is
//! SQLite's own business (`PASSIVE`).
//!
//! The more is copied at once, the more pages are copied that changed several times since; so nothing is copied before
//! the log is long, or before nobody has written for a while. Who reads a file whose log is in it looks for no page in
//! the log, and copies none out of it.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::error::{Error, Result};

/// How long the log becomes, in pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// So many more are worth being copied.
    pub(super) piece: u32,
    /// A log of so many shall begin anew. The longer it is, the seldomer anybody waits for that.
    pub(super) long: u32,
    /// So many are copied while nobody writes.
    pub(super) last: u32,
    /// When the log is so long, whoever writes waits for the copying.
    pub(super) longest: u32,
    /// So many are worth being copied when nobody has written for a while.
    pub(super) rest: u32,
}

impl Limits {
    /// The usual ones, with pages of 4 KiB: a log of 64 to 96 MiB, and at most 256 MiB and a group of commands unless
    /// somebody reads for so long.
    pub(super) const USUAL: Self = Self { piece: 16_000, long: 16_000, last: 500, longest: 64_000, rest: 64 };
}

/// The log of one file, and the thread that copies it. Dropping it ends the thread.
pub(super) struct Checkpoints {
    limits: Limits,
    shared: Arc<Shared>,
    /// Pages in the log after the last commit.
    written: Arc<AtomicU32>,
    /// How many there were when somebody last began to copy.
    begun_at: u32,
    /// How many there were when [`Checkpoints::look`] last looked.
    looked_at: u32,
    /// `None` only while it is dropped.
    bell: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    name: &'static str,
    /// Whoever copies holds it.
    connection: Mutex<Connection>,
    /// So many pages of the log are in the file, as was last heard; perhaps of the log before it began anew.
    copied: AtomicU32,
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoints").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Checkpoints {
    /// Starts the thread; from now on `writer` makes no checkpoints by itself. `copier` is another connection to its
    /// file.
    pub(super) fn start(
        name: &'static str,
        writer: &mut Connection,
        copier: Connection,
        limits: Limits,
    ) -> Result<Self> {
        let written = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&written);
        writer.wal_hook(Some(move |_: &mut Wal, pages| {
            heard.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        let shared = Arc::new(Shared { name, connection: Mutex::new(copier), copied: AtomicU32::new(0) });
        let (bell, rings) = sync_channel(1); // who rings twice is heard once
        let copying = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("{name}-log"))
            .spawn(move || {
                give_way();
                copying.serve(&rings);
            })
            .map_err(|e| {
                Error::unavailable("the server cannot start a thread; raise its limits").caused_by(e)
            })?;
        Ok(Self {
            limits,
            shared,
            written,
            begun_at: 0,
            looked_at: 0,
            bell: Some(bell),
            thread: Some(thread),
        })
    }

    /// To be called after each commit, by whoever writes: rings for the thread, or copies the last of a long log.
    pub(super) fn committed(&mut self) {
        let Limits { piece, long, last, longest, rest: _ } = self.limits;
        let written = self.written.load(Ordering::Relaxed);
        if written < self.begun_at {
            self.begun_at = 0; // the log has begun anew
            self.shared.copied.store(0, Ordering::Relaxed);
        }
        let since = written - self.begun_at;
        let behind = written.saturating_sub(self.shared.copied.load(Ordering::Relaxed));
        if written >= longest && since >= last {
            self.copy_now(written);
        } else if written >= long && behind <= last {
            // If a reader has kept the log from beginning anew, it is tried again, but not after each commit.
            if since >= last / 4 {
                self.copy_if_free(written);
            }
        } else if since >= if written >= long { last } else { piece } {
            self.ring(written);
        }
    }

    /// To be called now and then, by whoever writes: if nothing was written since the last time, rings for the thread.
    pub(super) fn look(&mut self) {
        let written = self.written.load(Ordering::Relaxed);
        let behind = written.saturating_sub(self.shared.copied.load(Ordering::Relaxed));
        if std::mem::replace(&mut self.looked_at, written) == written && behind >= self.limits.rest {
            self.ring(written);
        }
    }

    fn ring(&mut self, written: u32) {
        self.begun_at = written;
        if let Some(bell) = &self.bell {
            bell.try_send(()).ok(); // it has been heard, or the thread has panicked and the log is copied at its longest
        }
    }

    fn copy_if_free(&mut self, written: u32) {
        if let Ok(connection) = self.shared.connection.try_lock() {
            self.begun_at = written;
            self.shared.copy(&connection);
        }
    }

    fn copy_now(&mut self, written: u32) {
        self.begun_at = written;
        self.shared.copy_alone();
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // a panic was logged where it happened
        }
    }
}

/// Lets all other threads go before this one: nobody waits for it, and a copy takes as long as hundreds of commits.
fn give_way() {
    // Of a thread, not of the process: so it is on Linux alone.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "a thread could not be given less of the processor");
    }
}

impl Shared {
    fn serve(&self, rings: &Receiver<()>) {
        // Whoever had the file before may have left a log. How much of it was copied tells nothing of what comes.
        self.copy_alone();
        self.copied.store(0, Ordering::Relaxed);
        while rings.recv().is_ok() {
            self.copy_alone();
        }
    }

    fn copy_alone(&self) {
        self.copy(&self.connection.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Copies what no reader still needs to be left in the log.
    fn copy(&self, connection: &Connection) {
        let copied = connection
            .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
            .and_then(|mut copy| copy.query_row([], |row| row.get::<_, i64>(2)));
        match copied {
            Ok(pages) => self.copied.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(file = self.name, ?error, "the log could not be brought into the file")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;

    const SMALL: Limits = Limits { piece: 20, long: 100, last: 10, longest: 400, rest: 5 };

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
    }

    /// A table, and who looks after its log.
    fn begin(path: &Path) -> (Connection, Checkpoints) {
        let mut writer = open(path);
        writer.execute_batch("CREATE TABLE t (x)").unwrap();
        let checkpoints = Checkpoints::start("test", &mut writer, open(path), SMALL).unwrap();
        (writer, checkpoints)
    }

    /// A commit of two pages or so; how long the log is after it.
    fn write(writer: &Connection, checkpoints: &mut Checkpoints) -> u32 {
        writer.execute("INSERT INTO t VALUES (zeroblob(5000))", []).unwrap();
        checkpoints.committed();
        checkpoints.written.load(Ordering::Relaxed)
    }

    #[test]
    fn the_log_of_who_writes_without_a_pause_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, mut checkpoints) = begin(&dir.path().join("db"));
        let lengths: Vec<u32> = (0..2_000).map(|_| write(&writer, &mut checkpoints)).collect();
        assert!(
            lengths.windows(2).filter(|pair| pair[1] < pair[0]).count() >= 5,
            "it begins anew again and again"
        );
        let longest = lengths.iter().max().unwrap();
        assert!(*longest <= SMALL.longest + SMALL.last + 4, "{longest} pages at most");
        drop(checkpoints);
        let rows: i64 = writer.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2_000);
    }

    #[test]
    fn a_long_read_lets_the_log_grow_and_its_end_lets_it_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let (writer, mut checkpoints) = begin(&path);
        let reader = open(&path);
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        let mut length = 0;
        while length < 2 * SMALL.longest {
            length = write(&writer, &mut checkpoints);
        }
        let seen: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(seen, 0, "it sees what was there when it began");
        reader.execute_batch("COMMIT").unwrap();
        for _ in 0..SMALL.last {
            length = write(&writer, &mut checkpoints);
        }
        assert!(length < SMALL.long, "{length} pages");
    }

    #[test]
    fn what_is_copied_beside_the_writer_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, mut checkpoints) = begin(&dir.path().join("db"));
        let mut length = 0;
        while length < SMALL.piece {
            length = write(&writer, &mut checkpoints);
        }
        wait_for_the_copy(&checkpoints, length);
        assert!(checkpoints.written.load(Ordering::Relaxed) == length, "the writer did nothing for it");
    }

    #[test]
    fn a_short_log_is_copied_when_nobody_writes() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, mut checkpoints) = begin(&dir.path().join("db"));
        let mut length = 0;
        while length < SMALL.rest {
            length = write(&writer, &mut checkpoints);
            checkpoints.look();
        }
        assert_eq!(checkpoints.begun_at, 0, "somebody wrote between two looks");
        checkpoints.look();
        wait_for_the_copy(&checkpoints, length);
        checkpoints.begun_at = 0;
        checkpoints.look();
        assert_eq!(checkpoints.begun_at, 0, "all of it is in the file");
        // Without readers the next commit begins the log anew, and what it says counts from there.
        assert!(write(&writer, &mut checkpoints) < length);
    }

    fn wait_for_the_copy(checkpoints: &Checkpoints, length: u32) {
        let begun = Instant::now();
        while checkpoints.shared.copied.load(Ordering::Relaxed) < length {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody copies");
            std::thread::yield_now();
        }
    }
}
