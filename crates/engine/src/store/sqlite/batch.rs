//! What a commit does inside its savepoint: records, their changes, and everything that must agree with them.

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use super::collections::{self, Collection, Left, Schemas, missing};
use super::{filter, hooks, indexes, records};
use crate::edit::{Edited, Ttl};
use crate::error::{Code, Detail, Error, Result};
use crate::id::{Offset, Timestamp};
use crate::identity::Subject;
use crate::query::{Body, Record};
use crate::store::constraints::{self, Rules, Violation};
use crate::store::{Change, ChangeKind, MAX_RECORD, Operation, Write, act, path};

/// A record as it is before a write.
struct Existing {
    key: i64,
    body: Body,
    created_at: Timestamp,
    life: Life,
}

impl Existing {
    fn read(row: &Row<'_>) -> Result<Self> {
        let body = records::parse(row.get_ref(1)?.as_str().map_err(Error::internal)?)?;
        let life = Life { expires_at: row.get(3)?, renewed_by: row.get(4)? };
        Ok(Self { key: row.get(0)?, body, created_at: Timestamp(row.get(2)?), life })
    }
}

/// When a record expires.
#[derive(Debug, Clone, Copy, Default)]
struct Life {
    expires_at: Option<i64>,
    /// Reading it lets it expire so many microseconds later.
    renewed_by: Option<i64>,
}

/// What one write did.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It made the change at this place of [`Batch::changes`].
    Changed {
        /// Where.
        place: usize,
        /// When the record was first written.
        created_at: Timestamp,
    },
    /// Nothing.
    Nothing,
}

/// By whom and when a batch is written, and the collections that it touches.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    schemas: &'a Schemas,
    by: &'a Subject,
    at: Timestamp,
    collections: HashMap<String, Collection>,
    /// All changes so far, in order; also those that remove what had expired.
    pub(super) changes: Vec<Change>,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    pub(super) fn new(
        connection: &'a Connection,
        schemas: &'a Schemas,
        by: &'a Subject,
        at: Timestamp,
    ) -> Self {
        Self { connection, schemas, by, at, collections: HashMap::new(), changes: Vec::new() }
    }

    /// The same, which knows the collections' rows as the command before it left them.
    pub(super) fn after(self, left: &Left) -> Self {
        Self { collections: left.take(), ..self }
    }

    /// Leaves the rows to the next command, and gives all changes.
    pub(super) fn leave(self, left: &Left) -> Vec<Change> {
        left.leave(self.collections);
        self.changes
    }

    /// Does all writes; the caller's savepoint undoes them when one fails. An error names the write.
    pub(super) fn together(&mut self, writes: &[Write]) -> Result<Vec<Outcome>> {
        let write = |(number, write)| self.write(write).map_err(|error| at_write(error, number));
        let outcomes = writes.iter().enumerate().map(write).collect::<Result<_>>()?;
        self.save()?;
        Ok(outcomes)
    }

    /// Does each write for itself: if they do not all succeed, in a savepoint of its own. Fails only where the database
    /// does.
    fn each(&mut self, writes: &[Write]) -> Result<Vec<Result<Outcome>>> {
        let outcomes = match self.all(writes)? {
            Some(outcomes) => outcomes.into_iter().map(Ok).collect(),
            None => writes.iter().map(|write| self.alone(write)).collect::<Result<_>>()?,
        };
        self.save()?;
        Ok(outcomes)
    }

    /// Does all writes in one savepoint. `None` if one failed; then nothing is done.
    fn all(&mut self, writes: &[Write]) -> Result<Option<Vec<Outcome>>> {
        let (before, changes) = (self.collections.clone(), self.changes.len());
        self.execute("SAVEPOINT edits")?;
        let outcomes: Result<Vec<_>> = writes.iter().map(|write| self.write(write)).collect();
        if let Err(error) = &outcomes {
            if error.cause.is_some() {
                return Err(error.clone()); // of the database, which may have lost the transaction
            }
            self.execute("ROLLBACK TO edits")?;
            self.changes.truncate(changes);
            self.collections = before;
        }
        self.execute("RELEASE edits")?;
        Ok(outcomes.ok())
    }

    /// The same as [`together`](Self::together), with what each write did.
    pub(super) fn edit_together(&mut self, writes: &[Write]) -> Result<Vec<Result<Edited>>> {
        let outcomes = self.together(writes)?;
        writes.iter().zip(&outcomes).map(|(write, outcome)| Ok(Ok(self.edited(write, outcome)?))).collect()
    }

    /// The same as [`each`](Self::each), with what each write did.
    pub(super) fn edit_each(&mut self, writes: &[Write]) -> Result<Vec<Result<Edited>>> {
        let outcomes = self.each(writes)?;
        let edited = |(write, outcome): (&Write, Result<Outcome>)| match outcome {
            Ok(outcome) => Ok(Ok(self.edited(write, &outcome)?)),
            Err(error) => Ok(Err(error)),
        };
        writes.iter().zip(outcomes).map(edited).collect()
    }

    fn alone(&mut self, write: &Write) -> Result<Result<Outcome>> {
        let (before, changes) = (self.collections.get(&write.collection).cloned(), self.changes.len());
        self.execute("SAVEPOINT edit")?;
        let outcome = self.write(write);
        if let Err(error) = &outcome {
            if error.cause.is_some() {
                return Err(error.clone()); // of the database, which may have lost the transaction
            }
            self.execute("ROLLBACK TO edit")?;
            self.changes.truncate(changes);
            match before {
                Some(before) => self.collections.insert(write.collection.clone(), before),
                None => self.collections.remove(&write.collection),
            };
        }
        self.execute("RELEASE edit")?;
        Ok(outcome)
    }

    /// The record that a write left, or the one that it removed; without a change, the record as it is.
    fn edited(&mut self, write: &Write, outcome: &Outcome) -> Result<Edited> {
        let Outcome::Changed { place, created_at } = *outcome else {
            let key = self.collection(&write.collection)?.key;
            let found = records::get_in(self.connection, key, &write.id, self.at)?;
            return found.ok_or_else(|| missing(&write.collection, &write.id));
        };
        let change = &self.changes[place];
        Ok(Record {
            id: change.id.clone(),
            body: change.after.as_ref().or(change.before.as_ref()).cloned().unwrap_or_default(),
            version: change.offset,
            created_at,
            updated_at: change.at,
            expires_at: change.expires_at,
        })
    }

    /// Removes what has expired, at most `limit` records. Whether there is more.
    pub(super) fn expire(&mut self, limit: usize) -> Result<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, id FROM (SELECT collection, id FROM records WHERE expires_at <= ? ORDER BY expires_at \
             LIMIT ?) JOIN collections ON collections.key = collection",
        )?;
        let rows = statement
            .query_map(params![self.at.0, records::limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let expired: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>()?;
        for (collection, id) in &expired {
            self.find(collection, id)?;
        }
        self.save()?;
        Ok(expired.len() >= limit)
    }

    fn write(&mut self, write: &Write) -> Result<Outcome> {
        match &write.operation {
            Operation::Insert(body) => self.insert(write, body)?.ok_or_else(|| taken(write)),
            Operation::InsertIfAbsent(body) => Ok(self.insert(write, body)?.unwrap_or(Outcome::Nothing)),
            Operation::Put(body) => match self.existing(write)? {
                Some(existing) => self.update(write, existing, body.clone()),
                None => self.insert(write, body)?.ok_or_else(|| taken(write)),
            },
            Operation::Merge(members) => {
                let existing = self.present(write)?;
                let mut body = existing.body.clone();
                body.extend(members.clone());
                self.update(write, existing, body)
            }
            Operation::Act(actions) => {
                let existing = self.present(write)?;
                let mut body = existing.body.clone();
                act::apply(&mut body, actions)?;
                self.update(write, existing, body)
            }
            Operation::Delete => {
                let existing = self.present(write)?;
                self.delete(&write.collection, &write.id.0, existing)
            }
        }
    }

    /// `None` if the id is taken.
    fn insert(&mut self, write: &Write, body: &Body) -> Result<Option<Outcome>> {
        let rules = self.rules(&write.collection)?;
        let mut body = body.clone();
        rules.complete(&mut body);
        // A record must not be refused as its own twin, and the schema learns nothing from one that is not taken.
        let is_looked_up = rules.unique().next().is_some() || !rules.dimensions(&body).is_empty();
        if is_looked_up && self.existing(write)?.is_some() {
            return Ok(None);
        }
        if let Err(refused) = self.check(write, &body, 0) {
            // Whatever else is wrong with a record, that its id is taken comes first.
            return if self.existing(write)?.is_some() { Ok(None) } else { Err(refused) };
        }
        let text = to_text(&body)?;
        let life = self.life(write.ttl).unwrap_or_default();
        let inserted = match self.insert_row(write, &text, life)? {
            None if self.has_expired(write)? => self.insert_row(write, &text, life)?,
            inserted => inserted,
        };
        let Some(key) = inserted else { return Ok(None) };
        let (connection, at) = (self.connection, self.at);
        let collection = self.collection(&write.collection)?;
        collection.count += 1;
        let offset = collection.last_offset + 1;
        hooks::written(connection, collection, (key, offset), &body)?;
        let offset = self.log(
            &write.collection,
            &write.id.0,
            Logged { kind: ChangeKind::Insert, key, after: None, life },
        )?;
        self.note(write, ChangeKind::Insert, offset, (None, Some(body)), life);
        Ok(Some(Outcome::Changed { place: self.changes.len() - 1, created_at: at }))
    }

    /// The new record's key, or `None` if the id is taken.
    fn insert_row(&mut self, write: &Write, text: &str, life: Life) -> Result<Option<i64>> {
        let (connection, at) = (self.connection, self.at);
        let collection = self.collection(&write.collection)?;
        let inserted = connection
            .prepare_cached(
                "INSERT INTO records (collection, id, version, created_at, updated_at, body, expires_at, renewed_by) \
                 VALUES (?1, ?2, ?3, ?4, ?4, jsonb(?5), ?6, ?7) ON CONFLICT (collection, id) DO NOTHING",
            )?
            .execute(params![
                collection.key,
                write.id.0,
                collection.last_offset + 1,
                at.0,
                text,
                life.expires_at,
                life.renewed_by
            ])
            .map_err(not_unique)?;
        Ok((inserted > 0).then(|| connection.last_insert_rowid()))
    }

    fn update(&mut self, write: &Write, existing: Existing, body: Body) -> Result<Outcome> {
        let Existing { key, body: before, created_at, life } = existing;
        self.check(write, &body, key)?;
        let text = to_text(&body)?;
        let (connection, at) = (self.connection, self.at);
        let life = self.life(write.ttl).unwrap_or(life);
        let logged = Logged { kind: ChangeKind::Update, key, after: Some(&text), life };
        let offset = self.log(&write.collection, &write.id.0, logged)?;
        connection
            .prepare_cached(
                "UPDATE records SET body = jsonb(?), version = ?, updated_at = ?, expires_at = ?, renewed_by = ? \
                 WHERE key = ?",
            )?
            .execute(params![text, offset, at.0, life.expires_at, life.renewed_by, key])
            .map_err(not_unique)?;
        hooks::written(connection, self.collection(&write.collection)?, (key, offset), &body)?;
        self.note(write, ChangeKind::Update, offset, (Some(before), Some(body)), life);
        Ok(Outcome::Changed { place: self.changes.len() - 1, created_at })
    }

    fn delete(&mut self, collection: &str, id: &str, existing: Existing) -> Result<Outcome> {
        let Existing { key, body, created_at, .. } = existing;
        let connection = self.connection;
        let (kind, life) = (ChangeKind::Delete, Life::default());
        let offset = self.log(collection, id, Logged { kind, key, after: None, life })?;
        connection.prepare_cached("DELETE FROM records WHERE key = ?")?.execute([key])?;
        let row = self.collection(collection)?;
        row.count -= 1;
        hooks::removed(connection, row, (key, offset))?;
        let write = Write::new(collection, id.into(), Operation::Delete);
        self.note(&write, kind, offset, (Some(body), None), life);
        Ok(Outcome::Changed { place: self.changes.len() - 1, created_at })
    }

    /// Writes down a change under the collection's next offset, while the record is as it was before an update or a
    /// deletion, or as it is after an insert: its body is then copied, not parsed again.
    fn log(&mut self, name: &str, id: &str, logged: Logged<'_>) -> Result<i64> {
        let (connection, by, at) = (self.connection, self.by, self.at);
        let collection = self.collection(name)?;
        collection.last_offset += 1;
        let (bodies, kind) = match logged.kind {
            ChangeKind::Insert => ("NULL, body", 1),
            ChangeKind::Update => ("body, jsonb(?7)", 2),
            ChangeKind::Delete => ("body, ?7", 3),
        };
        let values = params![
            collection.key,
            collection.last_offset,
            id,
            at.0,
            &*by.0,
            logged.life.expires_at,
            logged.after,
            logged.key
        ];
        connection
            .prepare_cached(&format!(
                "INSERT INTO changes (collection, log_offset, kind, id, at, by_subject, expires_at, body_before, \
                 body_after) SELECT ?1, ?2, {kind}, ?3, ?4, ?5, ?6, {bodies} FROM records WHERE key = ?8"
            ))?
            .execute(values)?;
        Ok(collection.last_offset)
    }

    fn note(
        &mut self,
        write: &Write,
        kind: ChangeKind,
        offset: i64,
        (before, after): (Option<Body>, Option<Body>),
        life: Life,
    ) {
        self.changes.push(Change {
            collection: write.collection.clone(),
            offset: Offset(offset.unsigned_abs()),
            kind,
            id: write.id.clone(),
            before,
            after,
            expires_at: life.expires_at.map(Timestamp),
            at: self.at,
            by: self.by.clone(),
        });
    }

    /// When a record with this time to live expires, if it has one.
    fn life(&self, ttl: Option<Ttl>) -> Option<Life> {
        let Ttl { after, renewed_by_access } = ttl?;
        let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        let expires_at = self.at.0.saturating_add(after);
        Some(Life { expires_at: Some(expires_at), renewed_by: renewed_by_access.then_some(after) })
    }

    /// Fails unless the record is what the schema says, with one error for everything that is wrong; `key` is the
    /// record's own, 0 for a new one.
    fn check(&mut self, write: &Write, body: &Body, key: i64) -> Result<()> {
        let rules = self.rules(&write.collection)?;
        if rules.is_empty() {
            return Ok(());
        }
        let mut violations = rules.violations(body);
        for field in rules.unique() {
            if self.has_twin(&write.collection, field, body, key)? {
                let what = "must be unique and another record has this value".to_owned();
                violations.push(Violation { field: field.to_owned(), what, taken: true });
            }
        }
        if !violations.is_empty() {
            return Err(constraints::refuse(&violations, None));
        }
        let dimensions = rules.dimensions(body);
        if dimensions.is_empty() {
            return Ok(());
        }
        let rules =
            collections::fix_dimensions(self.connection, self.schemas, &write.collection, &dimensions)?.rules;
        self.collection(&write.collection)?.rules = rules;
        Ok(())
    }

    /// Whether another record has the same value. One that has expired goes.
    fn has_twin(&mut self, name: &str, field: &str, body: &Body, key: i64) -> Result<bool> {
        let Some((rank, value)) = path::get(body, field).and_then(filter::ranked) else { return Ok(false) };
        let sql = indexes::find_twin(self.collection(name)?.key, field);
        let twin: Option<(String, Option<i64>)> = self
            .connection
            .prepare_cached(&sql)?
            .query_row(params![rank, value, key], |row| Ok((row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((id, expires_at)) = twin else { return Ok(false) };
        if expires_at.is_some_and(|at| at <= self.at.0) {
            self.find(name, &id)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether an expired record had the id; it is gone then.
    fn has_expired(&mut self, write: &Write) -> Result<bool> {
        Ok(self.existing(write)?.is_none())
    }

    fn present(&mut self, write: &Write) -> Result<Existing> {
        self.existing(write)?.ok_or_else(|| missing(&write.collection, &write.id))
    }

    fn existing(&mut self, write: &Write) -> Result<Option<Existing>> {
        self.find(&write.collection, &write.id.0)
    }

    /// The record, unless its time has passed: then it is removed in the system's name.
    fn find(&mut self, name: &str, id: &str) -> Result<Option<Existing>> {
        let connection = self.connection;
        let key = self.collection(name)?.key;
        let found = connection
            .prepare_cached(
                "SELECT key, json(body), created_at, expires_at, renewed_by FROM records \
                 WHERE collection = ? AND id = ?",
            )?
            .query_row(params![key, id], |row| Ok(Existing::read(row)))
            .optional()?;
        let Some(existing) = found.transpose()? else { return Ok(None) };
        if existing.life.expires_at.is_none_or(|at| at > self.at.0) {
            return Ok(Some(existing));
        }
        let system = Subject::SYSTEM.into();
        let mut batch = Batch {
            by: &system,
            collections: std::mem::take(&mut self.collections),
            changes: std::mem::take(&mut self.changes),
            ..*self
        };
        let deleted = batch.delete(name, id, existing);
        (self.collections, self.changes) = (batch.collections, batch.changes);
        deleted.map(|_| None)
    }

    fn rules(&mut self, name: &str) -> Result<std::sync::Arc<Rules>> {
        Ok(std::sync::Arc::clone(&self.collection(name)?.rules))
    }

    fn collection(&mut self, name: &str) -> Result<&mut Collection> {
        if !self.collections.contains_key(name) {
            let opened = Collection::open(self.connection, self.schemas, name)?;
            self.collections.insert(name.to_owned(), opened);
        }
        self.collections.get_mut(name).ok_or_else(|| Error::internal(std::fmt::Error))
    }

    fn save(&self) -> Result<()> {
        for collection in self.collections.values() {
            self.connection
                .prepare_cached("UPDATE collections SET count = ?, last_offset = ? WHERE key = ?")?
                .execute([collection.count, collection.last_offset, collection.key])?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

/// Of all changes of a batch those that its writes made, in order; the others removed what had expired.
pub(super) fn changes(all: Vec<Change>, outcomes: &[Outcome]) -> Vec<Change> {
    let places: Vec<usize> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Changed { place, .. } => Some(*place),
            Outcome::Nothing => None,
        })
        .collect();
    if places.len() == all.len() {
        return all;
    }
    let mut wanted = places.into_iter().peekable();
    let is_wanted = |(place, _): &(usize, Change)| wanted.next_if_eq(place).is_some();
    all.into_iter().enumerate().filter(is_wanted).map(|(_, change)| change).collect()
}

/// A change as it is written down.
struct Logged<'a> {
    kind: ChangeKind,
    /// The record's key.
    key: i64,
    /// What an update makes of it.
    after: Option<&'a str>,
    life: Life,
}

/// The JSON that is stored. A record may have grown beyond its limit by what was added to it.
fn to_text(body: &Body) -> Result<String> {
    let text = serde_json::to_string(body).map_err(Error::internal)?;
    if text.len() > MAX_RECORD {
        return Err(Error::new(Code::TooLarge, "a record has at most 1 MiB of JSON; split it"));
    }
    Ok(text)
}

/// The same error, naming which of many writes it is about.
fn at_write(error: Error, number: usize) -> Error {
    let field = match &error.detail {
        Detail::Field(field) => format!("edits.{number}.{field}"),
        Detail::None | Detail::RetryAfter(_) | Detail::Timeout(_) | Detail::Tool(_) => {
            format!("edits.{number}")
        }
    };
    error.with(Detail::Field(field))
}

fn taken(write: &Write) -> Error {
    let Write { collection, id, .. } = write;
    Error::new(Code::Conflict, format!("{collection:?} has a record {:?} already; choose another id", id.0))
}

/// What the unique indexes refuse although the check before found nothing: values that are alike only for SQLite.
fn not_unique(error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
        return Error::new(
            Code::Conflict,
            "another record has the same value of a unique field; choose another",
        );
    }
    error.into()
}
