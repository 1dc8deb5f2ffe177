//! Indexes on members: partial expression indexes, one per collection and member.
//!
//! An index holds the rank of the value's JSON type, the value, and the id, so that equality, ranges, lists and sorts
//! with their tie-break are each one run through it. SQLite uses it where a statement spells the same expressions with
//! the same literals; both sides get their spelling here. Nothing of a client's goes into SQL but a quoted JSON path.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::error::{Code, Detail, Error, Result};
use crate::store::constraints::Rules;

/// The path as SQLite's JSON functions want it, each step quoted.
pub(super) fn json_path(name: &str) -> String {
    name.split('.').fold(String::from("$"), |path, step| format!("{path}.{}", Value::from(step)))
}

/// A text as an SQL literal. A JSON path has no NUL, which a literal could not hold.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The rank of the JSON type at a path; `path` is a literal or a mark.
pub(super) fn rank(path: &str) -> String {
    format!(
        "CASE json_type(body, {path}) WHEN 'false' THEN 1 WHEN 'true' THEN 1 WHEN 'integer' THEN 2 WHEN 'real' THEN 2 \
         WHEN 'text' THEN 3 WHEN 'array' THEN 4 WHEN 'object' THEN 5 END"
    )
}

/// The value at a path as SQL has it.
pub(super) fn value(path: &str) -> String {
    format!("json_extract(body, {path})")
}

/// An index as it should be.
struct Wanted {
    name: String,
    field: String,
    /// How many records share the rank, the value, and all: see [`Wanted::make`].
    statistics: &'static str,
    sql: String,
}

/// Makes and removes indexes until they are what the rules say. A conflict if values that must be unique are not.
pub(super) fn arrange(connection: &Connection, collection: i64, rules: &Rules) -> Result<()> {
    let wanted: Vec<Wanted> =
        rules.ordered().map(|(field, unique)| Wanted::new(collection, field, unique)).collect();
    let present = present(connection, collection)?;
    for name in present.iter().filter(|name| wanted.iter().all(|index| index.name != **name)) {
        remove(connection, name)?;
    }
    for index in wanted.iter().filter(|index| !present.contains(&index.name)) {
        index.make(connection)?;
    }
    Ok(())
}

/// Removes all indexes of a collection.
pub(super) fn remove_all(connection: &Connection, collection: i64) -> Result<()> {
    present(connection, collection)?.iter().try_for_each(|name| remove(connection, name))
}

/// The statement that finds another record with the same value of a member: its key, id and when it expires. It is
/// bound to the value's rank, the value, and the key of the record that may have it.
pub(super) fn find_twin(collection: i64, field: &str) -> String {
    let path = literal(&json_path(field));
    let (rank, value) = (rank(&path), value(&path));
    format!(
        "SELECT key, id, expires_at FROM records WHERE collection = {collection} AND {rank} = ? AND {value} = ? \
         AND key <> ?"
    )
}

fn present(connection: &Connection, collection: i64) -> Result<Vec<String>> {
    let mut statement = connection
        .prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB ? || '*'")?;
    let names = statement.query_map([prefix(collection)], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

fn prefix(collection: i64) -> String {
    format!("member_{collection}_")
}

/// The name of a member's index. The member's own is in hex: whatever a client calls it, it is a plain name here.
pub(super) fn name(collection: i64, field: &str, unique: bool) -> String {
    let hex: String = field.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{}_{hex}", prefix(collection), if unique { "u" } else { "o" })
}

fn remove(connection: &Connection, name: &str) -> Result<()> {
    connection.execute_batch(&format!("DROP INDEX {name}"))?;
    connection.execute("DELETE FROM sqlite_stat1 WHERE idx = ?", [name])?;
    Ok(())
}

impl Wanted {
    fn new(collection: i64, field: &str, unique: bool) -> Self {
        let path = literal(&json_path(field));
        let (rank, value) = (rank(&path), value(&path));
        let (unique_sql, tie, statistics) =
            if unique { ("UNIQUE ", "", "100000 50000 1") } else { ("", ", id", "100000 50000 10 1") };
        let name = name(collection, field, unique);
        let sql = format!(
            "CREATE {unique_sql}INDEX {name} ON records ({rank}, {value}{tie}) WHERE collection = {collection}"
        );
        Self { name, field: field.to_owned(), statistics, sql }
    }

    /// The statistics come first: connections read them when they see that the schema has changed. They are the same
    /// for every index, so that plans do not depend on when somebody counted: few records share a value, and going
    /// through an index is better than sorting.
    fn make(&self, connection: &Connection) -> Result<()> {
        connection.execute(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('records', ?, ?)",
            params![self.name, self.statistics],
        )?;
        connection.execute_batch(&self.sql).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => self.not_unique(),
            _ => error.into(),
        })
    }

    fn not_unique(&self) -> Error {
        let field = &self.field;
        Error::new(
            Code::Conflict,
            format!("{field} cannot be unique: several records have the same value; change them first"),
        )
        .with(Detail::Field(field.clone()))
    }
}
