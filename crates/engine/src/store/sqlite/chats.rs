//! Chats and their logs: what the chat writer does inside its savepoints, and what readers read.

use std::collections::{HashMap, hash_map};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use super::tails::{Moved, Tail, Tails, save, tail};
use crate::command::ChatSummary;
use crate::conversation::ChatSettings;
use crate::error::{Code, Error, Result};
use crate::id::{ChatId, Epoch, Position, RunId, Seq, SessionId, Timestamp};
use crate::identity::Subject;
use crate::store::entry::{LogEntry, Mark, decode_settings};
use crate::store::{ChatHead, OpenRun};

/// A session that nobody used for so long opens a new chat.
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a chat's log ends. Within a run the log knows better than the row.
macro_rules! last {
    () => {
        "max(last_seq, coalesce((SELECT max(last) FROM entries WHERE chat = chats.key), 0))"
    };
}
pub(super) const LAST: &str = last!();
pub(super) const HEAD: &str = concat!(
    "id, owner, session, coalesce(json_extract(settings, '$.title'), title), ",
    last!(),
    ", created_at, updated_at, settings, parent"
);
pub(super) const ENTRY: &str = "first, last, epoch, at, run, mark, message_id, title, body";

/// Begins a new epoch unless the last owner closed in peace, and says that this one has not yet.
pub(super) fn start(connection: &Connection) -> Result<Epoch> {
    connection.execute("UPDATE start SET epoch = epoch + (clean = 0), clean = 0", [])?;
    let epoch: i64 = connection.query_row("SELECT epoch FROM start", [], |row| row.get(0))?;
    Ok(Epoch(epoch.unsigned_abs()))
}

/// Says that this owner closed in peace.
pub(super) fn finish(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE start SET clean = 1", [])?;
    Ok(())
}

/// The chat that a session names, opened if there is none or the old one expired.
pub(super) fn open_session(
    connection: &Connection,
    epoch: Epoch,
    owner: &Subject,
    session: &SessionId,
    at: Timestamp,
) -> Result<ChatHead> {
    let known = connection
        .prepare_cached("SELECT key, used_at FROM chats WHERE owner = ? AND session = ? AND archived = 0")?
        .query_row([&*owner.0, session.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match known {
        Some((key, used_at)) if used_at >= expired_before(at) => go_on(connection, key, used_at, at),
        Some((key, _)) => {
            connection.prepare_cached("UPDATE chats SET archived = 1 WHERE key = ?")?.execute([key])?;
            begin(connection, epoch, owner, session, at)
        }
        None => begin(connection, epoch, owner, session, at),
    }
}

/// The chat with this key, used now.
fn go_on(connection: &Connection, key: i64, used_at: i64, at: Timestamp) -> Result<ChatHead> {
    if at.0 > used_at {
        connection.prepare_cached("UPDATE chats SET used_at = ? WHERE key = ?")?.execute([at.0, key])?;
    }
    let mut statement = connection.prepare_cached(&format!("SELECT {HEAD} FROM chats WHERE key = ?"))?;
    let mut rows = statement.query([key])?;
    rows.next()?.ok_or_else(|| broken("a session that was just found is gone")).and_then(head)
}

/// A new chat under a session's name, which no other has now.
fn begin(
    connection: &Connection,
    epoch: Epoch,
    owner: &Subject,
    session: &SessionId,
    at: Timestamp,
) -> Result<ChatHead> {
    let chat = ChatId::new();
    connection
        .prepare_cached(
            "INSERT INTO chats (id, owner, session, epoch, created_at, updated_at, used_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5)",
        )?
        .execute(params![chat.as_bytes(), &*owner.0, session.as_str(), epoch.0.cast_signed(), at.0])?;
    Ok(ChatHead {
        chat,
        owner: owner.clone(),
        session: Some(session.clone()),
        title: String::new(),
        last_seq: Seq::START,
        created_at: at,
        updated_at: at,
        settings: ChatSettings::default(),
        parent: None,
    })
}

/// The chat that `owner` knows under `session`, unless it expired.
pub(super) fn find_session(
    connection: &Connection,
    owner: &Subject,
    session: &SessionId,
    at: Timestamp,
) -> Result<Option<ChatHead>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {HEAD} FROM chats WHERE owner = ? AND session = ? AND archived = 0 AND used_at >= ?"
    ))?;
    let mut rows = statement.query(params![&*owner.0, session.as_str(), expired_before(at)])?;
    rows.next()?.map(head).transpose()
}

/// Sessions that were last used before are expired.
fn expired_before(at: Timestamp) -> i64 {
    at.0.saturating_sub(i64::try_from(EXPIRY.as_micros()).unwrap_or(i64::MAX))
}

/// A chat's standing, or `None`.
pub(super) fn chat(connection: &Connection, chat: ChatId) -> Result<Option<ChatHead>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {HEAD} FROM chats WHERE id = ? AND deleted = 0"))?;
    let mut rows = statement.query([chat.as_bytes()])?;
    rows.next()?.map(head).transpose()
}

/// A subject's chats that are not archived, newest first.
pub(super) fn chats(connection: &Connection, owner: &Subject, limit: usize) -> Result<Vec<ChatSummary>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, session, coalesce(json_extract(settings, '$.title'), title), updated_at, EXISTS (SELECT 1 FROM runs WHERE chat = chats.key AND open = 1) \
         FROM chats WHERE owner = ? AND archived = 0 ORDER BY updated_at DESC, key DESC LIMIT ?",
    )?;
    let mut rows = statement.query(params![&*owner.0, super::records::limit(limit)])?;
    let mut chats = Vec::new();
    while let Some(row) = rows.next()? {
        chats.push(ChatSummary {
            chat: ChatId::from_bytes(row.get(0)?),
            session: session(row.get(1)?)?,
            title: row.get(2)?,
            updated_at: Timestamp(row.get(3)?),
            running: row.get(4)?,
        });
    }
    Ok(chats)
}

/// Appends entries; the caller's savepoint undoes them when one is refused.
pub(super) fn append(connection: &Connection, tails: &Tails, entries: &[LogEntry]) -> Result<()> {
    append_without(connection, tails, entries, &HashMap::new())
}

/// The same, and drops the deltas of the runs that end with them. Those that are among the entries are not even
/// written.
pub(super) fn append_and_collapse(
    connection: &Connection,
    tails: &Tails,
    entries: &[LogEntry],
) -> Result<()> {
    let ends = entries.iter().filter_map(|entry| Some((entry.ended_run()?, entry.to)));
    let ends: HashMap<_, _> = ends.collect();
    append_without(connection, tails, entries, &ends)?;
    ends.keys().try_for_each(|(chat, run)| collapse(connection, *chat, *run))
}

/// Appends entries without the deltas of runs that end among them, there.
fn append_without(
    connection: &Connection,
    tails: &Tails,
    entries: &[LogEntry],
    ends: &HashMap<(ChatId, RunId), Seq>,
) -> Result<()> {
    let mut known = tails.take();
    let goes = |entry: &LogEntry| {
        let end =
            entry.run.filter(|_| entry.mark == Mark::Delta).and_then(|run| ends.get(&(entry.chat, run)));
        end.is_some_and(|end| entry.to < *end)
    };
    for entry in entries {
        let tail = match known.entry(entry.chat) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(unknown) => unknown.insert(tail(connection, entry.chat)?),
        };
        push(connection, tail, entry, goes(entry))?;
    }
    for entry in entries {
        let hash_map::Entry::Occupied(mut tail) = known.entry(entry.chat) else { continue };
        save(connection, tail.get_mut())?;
        if tail.get().rests {
            tail.remove();
        }
    }
    tails.keep(known);
    Ok(())
}

fn push(connection: &Connection, tail: &mut Tail, entry: &LogEntry, goes: bool) -> Result<()> {
    if entry.from.0 != tail.last_seq + 1 || entry.to < entry.from {
        let (chat, from, to, last) = (entry.chat, entry.from, entry.to, tail.last_seq);
        return Err(broken(&format!(
            "an entry {from}..={to} does not follow {last} in the log of chat {chat}"
        )));
    }
    let is_cut = entry.epoch > tail.epoch;
    if is_cut {
        cut(connection, tail.key, entry)?;
        tail.epoch = entry.epoch;
    }
    if goes {
        tail.uncovered.get_or_insert(entry.from);
    } else {
        insert(connection, tail.key, tail.uncovered.take().unwrap_or(entry.from), entry)?;
    }
    // A run's row says where it begins and ends; what lies between needs no word of it.
    if let (Some(run), Mark::Message | Mark::End) = (entry.run, entry.mark) {
        extend_run(connection, tail.key, run, entry)?;
    }
    tail.last_seq = entry.to.0;
    tail.rests = entry.mark == Mark::End;
    if is_cut || entry.mark != Mark::Delta {
        note(tail, entry);
    }
    Ok(())
}

/// Notes what the chat's row is to say of an entry. A delta alone is no news, even where a new epoch begins with it.
fn note(tail: &mut Tail, entry: &LogEntry) {
    let moved = tail.moved.get_or_insert(Moved { at: Timestamp(0), title: None });
    if entry.mark != Mark::Delta {
        moved.at = moved.at.max(entry.at);
    }
    if let (false, Mark::Message, Some(title)) = (tail.titled, entry.mark, &entry.title) {
        tail.titled = !title.is_empty();
        moved.title = Some(title.clone());
    }
}

fn insert(connection: &Connection, chat: i64, from: Seq, entry: &LogEntry) -> Result<()> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO entries (chat, first, last, epoch, at, run, mark, message_id, title, body) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            chat,
            from.0.cast_signed(),
            entry.to.0.cast_signed(),
            entry.epoch.0.cast_signed(),
            entry.at.0,
            entry.run.as_ref().map(RunId::as_bytes),
            mark_number(entry.mark),
            entry.message_id,
            entry.title,
            &entry.body[..]
        ]);
    match inserted {
        Ok(_) => Ok(()),
        // The primary key cannot be taken, the tiling was checked: it is the message id.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(Error::new(
            Code::Conflict,
            "this message was sent before; use a new message_id for a new message",
        )
        .caused_by(error)),
        Err(error) => Err(error.into()),
    }
}

fn extend_run(connection: &Connection, chat: i64, run: RunId, entry: &LogEntry) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO runs (chat, run, first, last, open) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (chat, run) DO UPDATE SET last = excluded.last, open = open AND excluded.open",
        )?
        .execute(params![
            chat,
            run.as_bytes(),
            entry.from.0.cast_signed(),
            entry.to.0.cast_signed(),
            entry.mark != Mark::End
        ])?;
    Ok(())
}

fn cut(connection: &Connection, chat: i64, entry: &LogEntry) -> Result<()> {
    connection.prepare_cached("INSERT INTO cuts (chat, epoch, first) VALUES (?, ?, ?)")?.execute([
        chat,
        entry.epoch.0.cast_signed(),
        entry.from.0.cast_signed(),
    ])?;
    Ok(())
}

/// A chat's entries that end after `after`, in order.
pub(super) fn read(connection: &Connection, chat: ChatId, after: Seq, limit: usize) -> Result<Vec<LogEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM entries WHERE chat = (SELECT key FROM chats WHERE id = ?) AND last > ? \
         ORDER BY last LIMIT ?"
    ))?;
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![chat.as_bytes(), after, super::records::limit(limit)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(chat, row)?);
    }
    Ok(entries)
}

/// All entries of one run, in order.
pub(super) fn read_run(connection: &Connection, chat: ChatId, run: RunId) -> Result<Vec<LogEntry>> {
    let Some(span) = span(connection, chat, run)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM entries WHERE chat = ? AND last BETWEEN ? AND ? AND run = ? ORDER BY last"
    ))?;
    let mut rows = statement.query(params![span.chat, span.first, span.last, run.as_bytes()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(chat, row)?);
    }
    Ok(entries)
}

/// Where a run's entries lie: for one that is open anywhere after its first one.
struct Span {
    chat: i64,
    first: i64,
    last: i64,
    open: bool,
}

fn span(connection: &Connection, chat: ChatId, run: RunId) -> Result<Option<Span>> {
    let found = connection
        .prepare_cached(
            "SELECT chat, first, iif(open, 9223372036854775807, last), open FROM runs \
             WHERE chat = (SELECT key FROM chats WHERE id = ?) AND run = ?",
        )?
        .query_row([&chat.as_bytes()[..], &run.as_bytes()[..]], |row| {
            Ok(Span { chat: row.get(0)?, first: row.get(1)?, last: row.get(2)?, open: row.get(3)? })
        })
        .optional()?;
    Ok(found)
}

/// The entry with this message id, or `None`.
pub(super) fn find_message(
    connection: &Connection,
    chat: ChatId,
    message_id: &str,
) -> Result<Option<LogEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM entries WHERE chat = (SELECT key FROM chats WHERE id = ?) AND message_id = ?"
    ))?;
    let mut rows = statement.query(params![chat.as_bytes(), message_id])?;
    rows.next()?.map(|row| entry(chat, row)).transpose()
}

/// Drops a finished run's deltas. The next entry that stays, of whatever run, covers their range.
pub(super) fn collapse(connection: &Connection, chat: ChatId, run: RunId) -> Result<()> {
    let Some(span) = span(connection, chat, run)? else { return Ok(()) };
    if span.open {
        return Err(broken(&format!("run {run} is to be collapsed and has no end")));
    }
    let mut covered_from = None;
    for row in rows_of(connection, &span, run)? {
        match (row.goes, covered_from) {
            (true, None) => covered_from = Some(row.first),
            (true, Some(_)) => {}
            (false, Some(first)) => {
                widen(connection, &span, first, row.last)?;
                covered_from = None;
            }
            (false, None) => {}
        }
    }
    Ok(())
}

struct RowRange {
    first: i64,
    last: i64,
    goes: bool,
}

/// The rows between a run's first and last entry. The last one is its end, which stays.
fn rows_of(connection: &Connection, span: &Span, run: RunId) -> Result<Vec<RowRange>> {
    let mut statement = connection.prepare_cached(
        "SELECT first, last, run IS ?4 AND mark = ?5 FROM entries \
         WHERE chat = ?1 AND last BETWEEN ?2 AND ?3 ORDER BY last",
    )?;
    let rows = statement.query_map(
        params![span.chat, span.first, span.last, run.as_bytes(), mark_number(Mark::Delta)],
        |row| Ok(RowRange { first: row.get(0)?, last: row.get(1)?, goes: row.get(2)? }),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Lets the entry that ends at `last` begin at `first`; what lies between goes.
fn widen(connection: &Connection, span: &Span, first: i64, last: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM entries WHERE chat = ? AND last >= ? AND last < ?")?
        .execute([span.chat, first, last])?;
    connection
        .prepare_cached("UPDATE entries SET first = ? WHERE chat = ? AND last = ?")?
        .execute([first, span.chat, last])?;
    Ok(())
}

/// The runs without an end, oldest first.
pub(super) fn open_runs(connection: &Connection) -> Result<Vec<OpenRun>> {
    let mut statement = connection.prepare_cached(
        "SELECT chats.id, runs.run FROM runs JOIN chats ON chats.key = runs.chat \
         WHERE runs.open = 1 ORDER BY runs.key",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(OpenRun { chat: ChatId::from_bytes(row.get(0)?), run: RunId::from_bytes(row.get(1)?) })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether what ends at this position is what a reader of that epoch saw: it is there, and no later epoch began to
/// write at or before it.
pub(super) fn knows(
    connection: &Connection,
    current: Epoch,
    chat: ChatId,
    position: Position,
) -> Result<bool> {
    let found: Option<(i64, i64)> = connection
        .prepare_cached(&format!("SELECT key, {LAST} FROM chats WHERE id = ? AND deleted = 0"))?
        .query_row([chat.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((key, last)) = found else { return Ok(false) };
    let Ok(seq) = i64::try_from(position.seq.0) else { return Ok(false) };
    let epoch = position.epoch.unwrap_or(current);
    if seq > last || epoch > current {
        return Ok(false);
    }
    let overwritten: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM cuts WHERE chat = ? AND epoch > ? AND first <= ?)")?
        .query_row([key, epoch.0.cast_signed(), seq], |row| row.get(0))?;
    Ok(!overwritten)
}

/// Archives what was not used since `before`.
pub(super) fn archive(connection: &Connection, before: Timestamp) -> Result<u64> {
    let archived = connection
        .prepare_cached(
            "UPDATE chats SET archived = 1 WHERE archived = 0 AND used_at < ? AND session IS NOT NULL",
        )?
        .execute([before.0])?;
    Ok(u64::try_from(archived).unwrap_or(u64::MAX))
}

pub(super) fn head(row: &Row<'_>) -> Result<ChatHead> {
    Ok(ChatHead {
        chat: ChatId::from_bytes(row.get(0)?),
        owner: Subject(row.get::<_, String>(1)?.into()),
        session: session(row.get(2)?)?,
        title: row.get(3)?,
        last_seq: Seq(unsigned(row, 4)?),
        created_at: Timestamp(row.get(5)?),
        updated_at: Timestamp(row.get(6)?),
        settings: decode_settings(row.get::<_, Option<String>>(7)?.as_deref()),
        parent: row.get::<_, Option<[u8; 16]>>(8)?.map(ChatId::from_bytes),
    })
}

fn session(text: Option<String>) -> Result<Option<SessionId>> {
    text.map(|text| text.parse()).transpose()
}

pub(super) fn entry(chat: ChatId, row: &Row<'_>) -> Result<LogEntry> {
    Ok(LogEntry {
        chat,
        from: Seq(unsigned(row, 0)?),
        to: Seq(unsigned(row, 1)?),
        epoch: Epoch(unsigned(row, 2)?),
        at: Timestamp(row.get(3)?),
        run: row.get::<_, Option<[u8; 16]>>(4)?.map(RunId::from_bytes),
        mark: mark_from(row.get(5)?)?,
        message_id: row.get(6)?,
        title: row.get(7)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(8)?),
    })
}

pub(super) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::unsigned_abs)
}

fn mark_number(mark: Mark) -> i64 {
    match mark {
        Mark::Message => 1,
        Mark::Delta => 2,
        Mark::Coarse => 3,
        Mark::End => 4,
        Mark::Amendment => 5,
    }
}

fn mark_from(number: i64) -> Result<Mark> {
    match number {
        1 => Ok(Mark::Message),
        2 => Ok(Mark::Delta),
        3 => Ok(Mark::Coarse),
        4 => Ok(Mark::End),
        5 => Ok(Mark::Amendment),
        other => Err(broken(&format!("an entry has the mark {other}"))),
    }
}

pub(super) fn unknown(chat: ChatId) -> Error {
    Error::not_found(format!("there is no chat {chat}; open one first"))
}

fn broken(what: &str) -> Error {
    Error::internal(std::io::Error::other(what.to_owned()))
}
