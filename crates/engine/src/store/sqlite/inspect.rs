//! Looks whether what is written in several places says the same everywhere.
//!
//! SQLite's own check says whether a file is whole, its indexes on members included. This one knows what the files mean:
//! counts and records, records and their last changes, logs without gaps, full text and vectors that are those of the
//! records, runs and their ends. Each file is looked at within one reading transaction, so it can be in use.

use rusqlite::{Connection, params};

use super::{Sqlite, fulltext, records, search};
use crate::error::Result;

/// What was looked at, and what does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Collections.
    pub collections: u64,
    /// Their records.
    pub records: u64,
    /// The changes that their logs keep.
    pub changes: u64,
    /// Chats that were not deleted.
    pub chats: u64,
    /// The entries of their logs.
    pub entries: u64,
    /// A sentence for each thing that says one thing here and another there.
    pub disagreements: Vec<String>,
}

impl Sqlite {
    /// Reads everything that is kept from end to end and compares what belongs together. It takes about as long as
    /// making all indexes anew.
    pub async fn inspect(&self) -> Result<Inspection> {
        let records = self.records.readers.call(inspect_records).await?;
        let chats = self.chats.readers.call(inspect_chats).await?;
        Ok(Inspection {
            chats: chats.chats,
            entries: chats.entries,
            disagreements: [records.disagreements, chats.disagreements].concat(),
            ..records
        })
    }
}

/// A collection as its row says it is.
struct Row {
    key: i64,
    name: String,
    count: i64,
    first_offset: i64,
    last_offset: i64,
    indexed: Option<i64>,
}

fn inspect_records(connection: &Connection) -> Result<Inspection> {
    let mut inspection = Inspection::default();
    for row in rows(connection)? {
        inspection.collections += 1;
        inspection.records +=
            count(connection, "SELECT count(*) FROM records WHERE collection = ?", row.key)?;
        inspection.changes +=
            count(connection, "SELECT count(*) FROM changes WHERE collection = ?", row.key)?;
        let found = row.disagreements(connection)?;
        let named = found.into_iter().map(|what| format!("collection {:?}: {what}", row.name));
        inspection.disagreements.extend(named);
    }
    Ok(inspection)
}

fn rows(connection: &Connection) -> Result<Vec<Row>> {
    let mut statement = connection.prepare(
        "SELECT key, name, count, first_offset, last_offset, indexed FROM collections WHERE present = 1 ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Row {
            key: row.get(0)?,
            name: row.get(1)?,
            count: row.get(2)?,
            first_offset: row.get(3)?,
            last_offset: row.get(4)?,
            indexed: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn count(connection: &Connection, sql: &str, key: i64) -> Result<u64> {
    let count: i64 = connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

impl Row {
    fn disagreements(&self, connection: &Connection) -> Result<Vec<String>> {
        let mut found = Vec::new();
        found.extend(self.check_count(connection)?);
        found.extend(self.check_log(connection)?);
        found.extend(self.check_changes(connection)?);
        found.extend(self.check_words(connection)?);
        let vectors = search::disagreements(connection, self.key)?;
        found.extend(vectors.into_iter().map(|(field, records)| {
            format!("the vectors of {field:?} are not those of the records ({records} differ)")
        }));
        Ok(found)
    }

    fn check_count(&self, connection: &Connection) -> Result<Option<String>> {
        let there = count(connection, "SELECT count(*) FROM records WHERE collection = ?", self.key)?;
        let said = self.count;
        let agrees = i64::try_from(there) == Ok(said);
        Ok((!agrees).then(|| format!("it has {there} records and says {said}")))
    }

    /// The log has each offset that it says it keeps.
    fn check_log(&self, connection: &Connection) -> Result<Option<String>> {
        let (first, last) = (self.first_offset, self.last_offset);
        let (number, lowest, highest): (i64, i64, i64) = connection
            .prepare_cached(
                "SELECT count(*), coalesce(min(log_offset), ?2), coalesce(max(log_offset), ?3) FROM changes \
                 WHERE collection = ?1",
            )?
            .query_row(params![self.key, first, first - 1], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let is_whole = (number, lowest, highest) == (last - first + 1, first, last);
        Ok((!is_whole).then(|| {
            format!("its log has {number} changes from {lowest} to {highest} and should have each from {first} to {last}")
        }))
    }

    /// The last change of an id says what the record is now. What was removed from the log says nothing.
    fn check_changes(&self, connection: &Connection) -> Result<Option<String>> {
        let differ = count(
            connection,
            "SELECT count(*) FROM (SELECT id, kind, body_after, max(log_offset) AS newest FROM changes \
             WHERE collection = ?1 GROUP BY id) AS change \
             LEFT JOIN records ON records.collection = ?1 AND records.id = change.id \
             WHERE iif(kind = 3, records.key IS NOT NULL, \
             records.version IS NOT newest OR json(records.body) IS NOT json(body_after))",
            self.key,
        )?;
        Ok((differ > 0).then(|| format!("{differ} records are not what their last changes say")))
    }

    /// Full text is compared with an index that is made anew.
    fn check_words(&self, connection: &Connection) -> Result<Option<String>> {
        let Some(indexed) = self.indexed else { return Ok(None) };
        let anew = Connection::open("")?; // a file of its own that goes when it is closed
        fulltext::create(&anew, self.key)?;
        anew.execute_batch("BEGIN")?;
        let mut statement = connection.prepare_cached(
            "SELECT key, json(body) FROM records WHERE collection = ? AND key <= ? ORDER BY key",
        )?;
        let mut rows = statement.query([self.key, indexed])?;
        while let Some(row) = rows.next()? {
            fulltext::put(&anew, self.key, row.get(0)?, &records::parse(&row.get::<_, String>(1)?)?)?;
        }
        anew.execute_batch("COMMIT")?;
        let agrees = fulltext::is_same(connection, &anew, self.key)?;
        Ok((!agrees).then(|| "its full-text index is not that of its records".to_owned()))
    }
}

fn inspect_chats(connection: &Connection) -> Result<Inspection> {
    let number = |sql: &str| -> Result<u64> {
        let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    };
    let mut inspection = Inspection {
        chats: number("SELECT count(*) FROM chats WHERE deleted = 0")?,
        entries: number("SELECT count(*) FROM entries")?,
        ..Inspection::default()
    };
    for (what, sql) in CHATS {
        let differ = number(sql)?;
        if differ > 0 {
            inspection.disagreements.push(format!("{differ} {what}"));
        }
    }
    Ok(inspection)
}

/// What must not be, and how many there are of it.
const CHATS: [(&str, &str); 4] = [
    (
        "entries of chats do not follow the one before",
        "SELECT count(*) FROM (SELECT first, lag(last, 1, 0) OVER (PARTITION BY chat ORDER BY last) AS before \
         FROM entries) WHERE first <> before + 1",
    ),
    (
        "chats end elsewhere than their logs",
        // Within a run the row lags behind the log.
        "SELECT count(*) FROM chats WHERE deleted = 0 AND last_seq NOT BETWEEN \
         (SELECT coalesce(max(last), 0) FROM entries WHERE chat = chats.key AND mark <> 2) AND \
         (SELECT coalesce(max(last), 0) FROM entries WHERE chat = chats.key)",
    ),
    (
        "runs have no end although they are over, or several",
        "SELECT count(*) FROM runs WHERE (SELECT count(*) FROM entries WHERE entries.chat = runs.chat \
         AND entries.last BETWEEN runs.first AND iif(runs.open, 9223372036854775807, runs.last) \
         AND entries.run = runs.run AND entries.mark = 4) <> (1 - runs.open)",
    ),
    (
        "entries belong to no chat",
        "SELECT count(*) FROM entries WHERE NOT EXISTS (SELECT 1 FROM chats WHERE key = chat AND deleted = 0)",
    ),
];

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use serde_json::json;

    use super::super::{Settings, Sqlite};
    use super::Inspection;
    use crate::id::{RecordId, RunId, Seq, Timestamp};
    use crate::query::{Search, VectorSearch};
    use crate::store::entry::{LogEntry, Mark};
    use crate::store::{Operation, Store as _, Write};

    fn tea(id: &str, operation: Operation) -> Write {
        Write::new("teas", RecordId(id.to_owned()), operation)
    }

    fn body(name: &str, at: f64) -> crate::query::Body {
        json!({"name": name, "place": [at, 1.0]}).as_object().unwrap().clone()
    }

    /// Records with both indexes that were changed and deleted since, and a chat with a run that is over.
    async fn filled(folder: &std::path::Path) {
        let store =
            Sqlite::open(Settings { keep_for: std::time::Duration::MAX, ..Settings::new(folder) }).unwrap();
        let commit = async |writes| store.commit(&"ann".into(), Timestamp(1), writes).await.unwrap();
        commit(vec![
            tea("a", Operation::Insert(body("green tea", 1.0))),
            tea("b", Operation::Insert(body("mint", 2.0))),
        ])
        .await;
        store.search(&Search::words("teas", "green", 10)).await.unwrap();
        let near = VectorSearch {
            field: "place".into(),
            vector: vec![1.0, 1.0],
            metric: None,
            k: 5,
            threshold: None,
            weight: 1.0,
        };
        store
            .search(&Search { vector: Some(near), text: None, ..Search::words("teas", "", 10) })
            .await
            .unwrap();
        commit(vec![tea("c", Operation::Insert(body("black tea", 3.0)))]).await;
        commit(vec![tea("a", Operation::Put(body("oolong tea", 4.0))), tea("b", Operation::Delete)]).await;
        chat(&store).await;
        store.close().await.unwrap();
    }

    async fn chat(store: &Sqlite) {
        let chat = store.open_session(&"ann".into(), &"s".parse().unwrap(), Timestamp(1)).await.unwrap().chat;
        let run = Some(RunId::new());
        let entry = |seq, mark| LogEntry {
            chat,
            from: Seq(seq),
            to: Seq(seq),
            epoch: store.epoch(),
            at: Timestamp(1),
            run,
            mark,
            message_id: None,
            title: None,
            body: bytes::Bytes::from_static(b"{}"),
        };
        let entries = vec![entry(1, Mark::Message), entry(2, Mark::Coarse), entry(3, Mark::End)];
        store.append(entries).await.unwrap();
    }

    async fn inspect(folder: &std::path::Path) -> Inspection {
        let store =
            Sqlite::open(Settings { keep_for: std::time::Duration::MAX, ..Settings::new(folder) }).unwrap();
        let inspection = store.inspect().await.unwrap();
        store.close().await.unwrap();
        inspection
    }

    #[tokio::test]
    async fn what_was_written_agrees() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path()).await;
        let expected = Inspection {
            collections: 1,
            records: 2,
            changes: 5,
            chats: 1,
            entries: 3,
            disagreements: vec![],
        };
        assert_eq!(inspect(folder.path()).await, expected);
    }

    #[tokio::test]
    async fn each_disagreement_is_found() {
        let cases = [
            ("records.db", "UPDATE collections SET count = 7", "it has 2 records and says 7"),
            ("records.db", "DELETE FROM changes WHERE log_offset = 2", "its log has 4 changes from 1 to 5"),
            ("records.db", "UPDATE records SET version = 1 WHERE id = 'a'", "1 records are not what"),
            ("records.db", "UPDATE changes SET kind = 2 WHERE kind = 3", "1 records are not what"),
            ("records.db", "DELETE FROM search_1 WHERE rowid = 1", "its full-text index is not"),
            (
                "records.db",
                "INSERT INTO search_1 (rowid, text) VALUES (9, 'ghost')",
                "its full-text index is not",
            ),
            (
                "records.db",
                "INSERT OR REPLACE INTO search_1 (rowid, text) VALUES (1, 'green tea')",
                "its full-text index is not",
            ),
            ("records.db", "DELETE FROM vectors_1 WHERE key = 1", "the vectors of \"place\""),
            ("records.db", "UPDATE vectors_1 SET vector = x'0000803f0000803f' WHERE key = 1", "(1 differ)"),
            ("records.db", "INSERT INTO vectors_1 VALUES (9, 1, x'0000803f0000803f')", "(1 differ)"),
            ("chats.db", "DELETE FROM entries WHERE last = 2", "1 entries of chats do not follow"),
            ("chats.db", "UPDATE chats SET last_seq = 9", "1 chats end elsewhere"),
            ("chats.db", "UPDATE entries SET mark = 3 WHERE mark = 4", "1 runs have no end"),
            ("chats.db", "UPDATE chats SET deleted = 1", "3 entries belong to no chat"),
        ];
        for (file, damage, says) in cases {
            let folder = tempfile::tempdir().unwrap();
            filled(folder.path()).await;
            Connection::open(folder.path().join(file)).unwrap().execute_batch(damage).unwrap();
            let found = inspect(folder.path()).await.disagreements.join("\n");
            assert!(found.contains(says), "{damage}: {found:?} does not say {says:?}");
        }
    }
}
