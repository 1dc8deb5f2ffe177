//! What changes take in memory, roughly: what an inbox counts. Texts count twice, because what a dialect spells from a
//! batch is kept beside it.

use serde_json::Value;

use crate::change::{Change, ChangeBatch};
use crate::query::Body;

/// A member of a record besides its name and its value: its place in the order and in the table.
const MEMBER: usize = 48;

/// Bytes that a batch keeps from being freed.
pub(super) fn of_batch(batch: &ChangeBatch) -> usize {
    size_of::<ChangeBatch>() + batch.changes.iter().map(of_change).sum::<usize>()
}

fn of_change(change: &Change) -> usize {
    let bodies = [&change.before, &change.after];
    let bodies: usize = bodies.into_iter().flatten().map(of_body).sum();
    size_of::<Change>() + change.collection.len() + change.id.0.len() + bodies
}

fn of_body(body: &Body) -> usize {
    body.iter().map(|(name, value)| MEMBER + 2 * name.len() + size_of::<Value>() + of_value(value)).sum()
}

/// What a value has beside its own place.
fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => 2 * text.len(),
        Value::Array(list) => list.iter().map(|value| size_of::<Value>() + of_value(value)).sum(),
        Value::Object(body) => of_body(body),
    }
}
