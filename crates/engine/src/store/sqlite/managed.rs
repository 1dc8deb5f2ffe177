//! Chats as things: opening, finding, settings, deletion, and the entries of which messages are made.

use rusqlite::{Connection, OptionalExtension, params};

use super::chats::{ENTRY, HEAD, entry, head, unknown};
use super::records::limit;
use crate::conversation::ChatSettings;
use crate::error::{Error, Result};
use crate::id::{ChatId, Epoch, Seq, Timestamp};
use crate::identity::Subject;
use crate::store::entry::{LogEntry, encode_settings};
use crate::store::{ChatHead, NewChat};

/// Opens a chat without an alias.
pub(super) fn open(connection: &Connection, epoch: Epoch, new: &NewChat, at: Timestamp) -> Result<ChatHead> {
    let chat = ChatId::new();
    connection
        .prepare_cached(
            "INSERT INTO chats (id, owner, epoch, created_at, updated_at, used_at, settings, parent) \
             VALUES (?1, ?2, ?3, ?4, ?4, ?4, ?5, ?6)",
        )?
        .execute(params![
            chat.as_bytes(),
            &*new.owner.0,
            epoch.0.cast_signed(),
            at.0,
            encode_settings(&new.settings),
            new.parent.as_ref().map(ChatId::as_bytes)
        ])?;
    super::chats::chat(connection, chat)?.ok_or_else(|| unknown(chat))
}

/// A subject's chats that are not archived, and how many there are.
pub(super) fn find(
    connection: &Connection,
    owner: &Subject,
    most: usize,
    skip: usize,
    ascending: bool,
) -> Result<(Vec<ChatHead>, u64)> {
    let total: i64 = connection
        .prepare_cached("SELECT count(*) FROM chats WHERE owner = ? AND archived = 0")?
        .query_row([&*owner.0], |row| row.get(0))?;
    let order = if ascending { "ASC" } else { "DESC" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {HEAD} FROM chats WHERE owner = ? AND archived = 0 \
         ORDER BY updated_at {order}, key {order} LIMIT ? OFFSET ?"
    ))?;
    let mut rows = statement.query(params![&*owner.0, limit(most), limit(skip)])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push(head(row)?);
    }
    Ok((heads, total.unsigned_abs()))
}

/// Keeps a chat's settings.
pub(super) fn set_settings(
    connection: &Connection,
    chat: ChatId,
    settings: &ChatSettings,
    at: Timestamp,
) -> Result<()> {
    let changed = connection
        .prepare_cached(
            "UPDATE chats SET settings = ?2, updated_at = max(updated_at, ?3), used_at = max(used_at, ?3) \
             WHERE id = ?1 AND deleted = 0",
        )?
        .execute(params![chat.as_bytes(), encode_settings(settings), at.0])?;
    if changed == 0 { Err(unknown(chat)) } else { Ok(()) }
}

/// Removes a chat and its log. Its row stays as a tombstone without words.
pub(super) fn delete(connection: &Connection, chat: ChatId) -> Result<()> {
    let key: Option<i64> = connection
        .prepare_cached("SELECT key FROM chats WHERE id = ?")?
        .query_row([chat.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(key) = key else { return Ok(()) };
    for table in ["entries", "runs", "cuts"] {
        connection.prepare_cached(&format!("DELETE FROM {table} WHERE chat = ?"))?.execute([key])?;
    }
    connection
        .prepare_cached(
            "UPDATE chats SET deleted = 1, archived = 1, session = NULL, title = '', settings = NULL WHERE key = ?",
        )?
        .execute([key])?;
    Ok(())
}

/// The last entries up to `up_to` of which messages are made, in order.
pub(super) fn message_entries(
    connection: &Connection,
    chat: ChatId,
    up_to: Seq,
    most: usize,
) -> Result<Vec<LogEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM entries INDEXED BY entries_of_messages \
         WHERE chat = (SELECT key FROM chats WHERE id = ?) AND mark IN (1, 4, 5) AND last <= ? \
         ORDER BY last DESC LIMIT ?"
    ))?;
    let up_to = i64::try_from(up_to.0).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![chat.as_bytes(), up_to, limit(most)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(chat, row)?);
    }
    entries.reverse();
    Ok(entries)
}

/// Gives an entry another body.
pub(super) fn redact(connection: &Connection, chat: ChatId, seq: Seq, body: &[u8]) -> Result<()> {
    let seq = i64::try_from(seq.0).map_err(Error::internal)?;
    connection
        .prepare_cached(
            "UPDATE entries SET body = ?3, title = NULL \
             WHERE chat = (SELECT key FROM chats WHERE id = ?1) AND last = ?2",
        )?
        .execute(params![chat.as_bytes(), seq, body])?;
    Ok(())
}
