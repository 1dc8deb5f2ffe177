//! How busy the two files are, for metrics.

use super::{Database, Sqlite, schema, writer};

/// How busy one file is, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Which file: `records` or `chats`.
    pub name: &'static str,
    /// Commands that wait for the writer.
    pub writes_waiting: usize,
    /// So many may wait; who comes then waits for a place in the queue.
    pub writes_room: usize,
    /// Connections that are reading.
    pub reads_running: usize,
    /// Reads that wait for a connection.
    pub reads_waiting: usize,
    /// How long the file is in bytes; 0 for a store in memory.
    pub file_bytes: u64,
    /// How long its write-ahead log is.
    pub log_bytes: u64,
}

impl Sqlite {
    /// How busy the files are. It looks at their lengths on the disk.
    pub fn load(&self) -> [Load; 2] {
        [
            self.load_of("records", schema::RECORDS.file, &self.records),
            self.load_of("chats", schema::CHATS.file, &self.chats),
        ]
    }

    fn load_of<N: Send + 'static>(&self, name: &'static str, file: &str, database: &Database<N>) -> Load {
        let (reads_running, reads_waiting) = database.readers.standing();
        let length = |name: &str| self.folder.as_ref().map_or(0, |folder| folder.length(name));
        Load {
            name,
            writes_waiting: database.writer.waiting(),
            writes_room: writer::QUEUE,
            reads_running,
            reads_waiting,
            file_bytes: length(file),
            log_bytes: length(&format!("{file}-wal")),
        }
    }
}
