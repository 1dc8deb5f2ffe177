//! Chats and their logs: what the chat writer does inside its savepoints, and what readers read.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::command::ChatSummary;
use crate::error::{Code, Error, Result};
use crate::id::{ChatId, Epoch, Position, RunId, Seq, SessionId, Timestamp};
use crate::identity::Subject;
use crate::store::entry::{LogEntry, Mark, decode_settings};
use crate::store::{ChatHead, OpenRun};

/// A session that nobody used for so long opens a new chat.
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const HEAD: &str = "id, owner, session, \
     coalesce(json_extract(settings, '$.title'), title), last_seq, created_at, updated_at, settings, parent";
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
    let expired = expired_before(at);
    connection
        .prepare_cached(
            "UPDATE chats SET archived = 1 WHERE owner = ? AND session = ? AND archived = 0 AND used_at < ?",
        )?
        .execute(params![&*owner.0, session.as_str(), expired])?;
    connection
        .prepare_cached(
            "INSERT INTO chats (id, owner, session, epoch, created_at, updated_at, used_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5) \
             ON CONFLICT (owner, session) WHERE archived = 0 DO UPDATE SET used_at = max(used_at, excluded.used_at)",
        )?
        .execute(params![ChatId::new().as_bytes(), &*owner.0, session.as_str(), epoch.0.cast_signed(), at.0])?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {HEAD} FROM chats WHERE owner = ? AND session = ? AND archived = 0"
    ))?;
    let mut rows = statement.query([&*owner.0, session.as_str()])?;
    rows.next()?.ok_or_else(|| broken("a session that was just opened is gone")).and_then(head)
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

/// A chat while entries are appended. Saved once at the end.
struct Tail {
    key: i64,
    title: String,
    last_seq: u64,
    epoch: Epoch,
    at: Timestamp,
    /// Something was appended that is more than a delta, so the row's other columns change too.
    moved: bool,
    /// Where the range begins of entries that go and are not written at all; the next one that stays covers it.
    uncovered: Option<Seq>,
}

/// Appends entries; the caller's savepoint undoes them when one is refused.
pub(super) fn append(connection: &Connection, entries: &[LogEntry]) -> Result<()> {
    append_without(connection, entries, &HashMap::new())
}

/// The same, and drops the deltas of the runs that end with them. Those that are among the entries are not even
/// written.
pub(super) fn append_and_collapse(connection: &Connection, entries: &[LogEntry]) -> Result<()> {
    let ends = entries.iter().filter_map(|entry| Some((entry.ended_run()?, entry.to)));
    let ends: HashMap<_, _> = ends.collect();
    append_without(connection, entries, &ends)?;
    ends.keys().try_for_each(|(chat, run)| collapse(connection, *chat, *run))
}

/// Appends entries without the deltas of runs that end among them, there.
fn append_without(
    connection: &Connection,
    entries: &[LogEntry],
    ends: &HashMap<(ChatId, RunId), Seq>,
) -> Result<()> {
    let mut tails: HashMap<ChatId, Tail> = HashMap::new();
    let goes = |entry: &LogEntry| {
        let end =
            entry.run.filter(|_| entry.mark == Mark::Delta).and_then(|run| ends.get(&(entry.chat, run)));
        end.is_some_and(|end| entry.to < *end)
    };
    for entry in entries {
        let tail = match tails.entry(entry.chat) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                unknown.insert(tail(connection, entry.chat)?)
            }
        };
        push(connection, tail, entry, goes(entry))?;
    }
    tails.values().try_for_each(|tail| save(connection, tail))
}

fn tail(connection: &Connection, chat: ChatId) -> Result<Tail> {
    let found = connection
        .prepare_cached(
            "SELECT key, title, last_seq, epoch, updated_at FROM chats WHERE id = ? AND deleted = 0",
        )?
        .query_row([chat.as_bytes()], |row| {
            Ok(Tail {
                key: row.get(0)?,
                title: row.get(1)?,
                last_seq: unsigned(row, 2)?,
                epoch: Epoch(unsigned(row, 3)?),
                at: Timestamp(row.get(4)?),
                moved: false,
                uncovered: None,
            })
        })
        .optional()?;
    found.ok_or_else(|| unknown(chat))
}

fn push(connection: &Connection, tail: &mut Tail, entry: &LogEntry, goes: bool) -> Result<()> {
    if entry.from.0 != tail.last_seq + 1 || entry.to < entry.from {
        let (chat, from, to, last) = (entry.chat, entry.from, entry.to, tail.last_seq);
        return Err(broken(&format!(
            "an entry {from}..={to} does not follow {last} in the log of chat {chat}"
        )));
    }
    if entry.epoch > tail.epoch {
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
    if let (true, Mark::Message, Some(title)) = (tail.title.is_empty(), entry.mark, &entry.title) {
        tail.title.clone_from(title);
    }
    tail.last_seq = entry.to.0;
    if entry.mark != Mark::Delta {
        tail.moved = true;
        tail.at = tail.at.max(entry.at);
    }
    Ok(())
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

/// Deltas alone leave the times as they are: two indexes are sorted by them, and would cost a token more than its entry.
fn save(connection: &Connection, tail: &Tail) -> Result<()> {
    if !tail.moved {
        connection.prepare_cached("UPDATE chats SET last_seq = ?2, epoch = ?3 WHERE key = ?1")?.execute([
            tail.key,
            tail.last_seq.cast_signed(),
            tail.epoch.0.cast_signed(),
        ])?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE chats SET title = ?2, last_seq = ?3, epoch = ?4, updated_at = ?5, used_at = max(used_at, ?5) \
             WHERE key = ?1",
        )?
        .execute(params![
            tail.key,
            tail.title,
            tail.last_seq.cast_signed(),
            tail.epoch.0.cast_signed(),
            tail.at.0
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
        .prepare_cached("SELECT key, last_seq FROM chats WHERE id = ? AND deleted = 0")?
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

fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
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
