//! A copy of the data folder while it is in use.
//!
//! Each of the two files is copied within one reading transaction, so a copy is the file as it was at one moment, and
//! those who write do not wait. The chats are copied after the records. The copy is a data folder like any other:
//! restoring is serving it. What was open when it was taken is ended at its first start, as after a crash.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup as Copying, StepResult};

use super::folder::{self, Folder};
use super::{Sqlite, schema};
use crate::error::{Code, Error, Result};
use crate::id::{Offset, Timestamp};

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// When it was begun.
    pub at: Timestamp,
    /// The collections by name, each with the last change that is in it.
    pub collections: Vec<(String, Offset)>,
    /// How many chats are in it.
    pub chats: u64,
    /// How long its files are together.
    pub bytes: u64,
}

/// A folder that becomes the backup once it is whole. Dropped before, it goes.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok(); // what was finished is elsewhere by now
    }
}

impl Sqlite {
    /// Copies everything that is kept into `target`, which must not exist and then is a data folder: the records as they
    /// are at one moment, and the chats as they are at a later one. Keys are records; the secret that signs tokens is
    /// not copied, so tokens are void where the copy is served.
    ///
    /// Fails with a conflict if there is something at `target`, and leaves nothing there when it fails.
    pub async fn backup(&self, target: &Path) -> Result<Backup> {
        if target.exists() {
            return Err(taken(target));
        }
        let at = self.clock.now();
        let unfinished = begin(target)?;
        let (records, chats) =
            (unfinished.0.join(schema::RECORDS.file), unfinished.0.join(schema::CHATS.file));
        let copied = records.clone();
        let read = move |c: &Connection| Ok((offsets(c)?, copy(c, &copied)?));
        let (collections, records) = self.records.readers.call(read).await?;
        let read = move |c: &Connection| {
            let bytes = copy(c, &chats)?;
            part_ways(&chats, at)?;
            Ok((count_chats(c)?, bytes))
        };
        let (chats, bytes) = self.chats.readers.call(read).await?;
        fs::rename(&unfinished.0, target).map_err(|cause| folder::unusable(target, cause))?;
        Ok(Backup { at, collections, chats, bytes: records + bytes })
    }
}

/// Beside the target, so that it can be renamed to it.
fn begin(target: &Path) -> Result<Unfinished> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let path = target.with_file_name(name);
    fs::remove_dir_all(&path).ok(); // what a killed process left, if one did
    // Made and let go of at once: its files are for their owner alone.
    let folder = Folder::open(&path)?;
    for file in [schema::RECORDS.file, schema::CHATS.file] {
        folder.file(file)?;
    }
    drop(folder);
    Ok(Unfinished(path))
}

/// Copies what the connection sees in its transaction, synced, and says how long the copy is.
fn copy(source: &Connection, file: &Path) -> Result<u64> {
    let mut target = Connection::open(file)?;
    let copying = Copying::new(source, &mut target)?;
    match copying.step(-1)? {
        StepResult::Done => {}
        _ => return Err(Error::unavailable("another program holds the backup's file; try again")),
    }
    drop(copying);
    target.close().map_err(|(_, cause)| cause)?;
    fs::metadata(file).map(|data| data.len()).map_err(|cause| folder::unusable(file, cause))
}

/// Gives the copy an epoch that the original will not come to: the two write different things at the same positions.
fn part_ways(file: &Path, at: Timestamp) -> Result<()> {
    let copy = Connection::open(file)?;
    copy.execute("UPDATE start SET epoch = max(epoch + 1, ?), clean = 0", [at.0 / 1_000_000])?;
    copy.close().map_err(|(_, cause)| cause.into())
}

fn offsets(connection: &Connection) -> Result<Vec<(String, Offset)>> {
    let mut statement =
        connection.prepare("SELECT name, last_offset FROM collections WHERE present = 1 ORDER BY name")?;
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, Offset(row.get::<_, i64>(1)?.unsigned_abs()))))?;
    rows.map(|row| row.map_err(Error::from)).collect()
}

fn count_chats(connection: &Connection) -> Result<u64> {
    let count: i64 =
        connection.query_row("SELECT count(*) FROM chats WHERE deleted = 0", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn taken(target: &Path) -> Error {
    let message =
        format!("there is something at {} already; name a folder that is not there", target.display());
    Error::new(Code::Conflict, message)
}
