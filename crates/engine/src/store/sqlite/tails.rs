//! How chats stand while their logs grow: where they end, and what their rows do not say yet.
//!
//! While a run speaks its chat's row lags behind its log, which itself says where it ends. So a token costs its entry and
//! nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use super::chats::{self, LAST, unknown, unsigned};
use super::{checkpoint, writer};
use crate::error::Result;
use crate::id::{ChatId, Epoch, Seq, Timestamp};

/// Of so many chats the writer knows how they stand, before it forgets them all.
const KNOWN: usize = 1024;

/// A chat while entries are appended.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) key: i64,
    /// It has a title.
    pub(super) titled: bool,
    pub(super) last_seq: u64,
    pub(super) epoch: Epoch,
    /// Its row says something else, and not only where its log ends.
    pub(super) moved: Option<Moved>,
    /// A run has ended; it may be long until the chat goes on.
    pub(super) rests: bool,
    /// Where the range begins of entries that go and are not written at all; the next one that stays covers it.
    pub(super) uncovered: Option<Seq>,
}

/// What is to be said in a chat's row.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) at: Timestamp,
    pub(super) title: Option<String>,
}

/// How chats stand after the last command that appended, so that the next one need not ask the database. Only the
/// writer uses it; who deletes a chat lets it be forgotten, and an undone transaction everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Tails(Arc<Mutex<HashMap<ChatId, Tail>>>);

impl Tails {
    fn lock(&self) -> MutexGuard<'_, HashMap<ChatId, Tail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing that was known counts any more.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    /// Takes all of it. A command that fails gives nothing back.
    pub(super) fn take(&self) -> HashMap<ChatId, Tail> {
        let mut known = std::mem::take(&mut *self.lock());
        if known.len() > KNOWN {
            known.clear();
        }
        known
    }

    /// Knows this from now on.
    pub(super) fn keep(&self, known: HashMap<ChatId, Tail>) {
        *self.lock() = known;
    }
}

/// The chat as the database knows it; not found if there is none.
pub(super) fn tail(connection: &Connection, chat: ChatId) -> Result<Tail> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT key, title <> '', {LAST}, epoch FROM chats WHERE id = ? AND deleted = 0"
        ))?
        .query_row([chat.as_bytes()], |row| {
            Ok(Tail {
                key: row.get(0)?,
                titled: row.get(1)?,
                last_seq: unsigned(row, 2)?,
                epoch: Epoch(unsigned(row, 3)?),
                moved: None,
                rests: false,
                uncovered: None,
            })
        })
        .optional()?;
    found.ok_or_else(|| unknown(chat))
}

/// Deltas alone leave the row as it is: the log itself says where it ends, and two indexes are sorted by the row's times,
/// which would cost a token more than its entry.
pub(super) fn save(connection: &Connection, tail: &mut Tail) -> Result<()> {
    let Some(Moved { at, title }) = tail.moved.take() else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE chats SET title = coalesce(?2, title), last_seq = ?3, epoch = ?4, \
             updated_at = max(updated_at, ?5), used_at = max(used_at, ?5) WHERE key = ?1",
        )?
        .execute(params![tail.key, title, tail.last_seq.cast_signed(), tail.epoch.0.cast_signed(), at.0])?;
    Ok(())
}

/// What the chat writer does besides commands.
pub(super) struct Upkeep(pub(super) Tails);

impl writer::Upkeep for Upkeep {
    type News = ();

    fn undone(&self) {
        self.0.forget();
    }

    fn chores(&mut self, _: &Connection, _: &mut Vec<()>) -> Result<bool> {
        Ok(false)
    }

    fn committed(&mut self, _: Vec<()>) {}

    fn finish(&self, connection: &Connection) -> Result<()> {
        chats::finish(connection)?;
        checkpoint(connection)
    }
}
