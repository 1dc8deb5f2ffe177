//! Paths into a record: names with dots between them, as filters, schemas and actions write them.

use serde_json::Value;

use crate::error::{Detail, Error, Result};
use crate::query::Body;

/// The longest path in bytes.
pub const MAX_PATH: usize = 512;

/// What lies at a path; `None` if nothing does.
pub fn get<'a>(body: &'a Body, path: &str) -> Option<&'a Value> {
    let mut steps = path.split('.');
    let first = body.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(step))
}

/// The same, to be changed.
pub fn get_mut<'a>(body: &'a mut Body, path: &str) -> Option<&'a mut Value> {
    let mut steps = path.split('.');
    let first = body.get_mut(steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object_mut()?.get_mut(step))
}

/// The same, made as `null` if there is nothing yet, with the records that lead there.
///
/// Fails if something that is no record lies on the way.
pub fn slot<'a>(body: &'a mut Body, path: &str) -> Result<&'a mut Value> {
    let (parents, name) = match path.rsplit_once('.') {
        Some((parents, name)) => (Some(parents), name),
        None => (None, path),
    };
    let mut at = body;
    for step in parents.iter().flat_map(|parents| parents.split('.')) {
        let next = at.entry(step).or_insert(Value::Null);
        if next.is_null() {
            *next = Value::Object(Body::new());
        }
        at = next.as_object_mut().ok_or_else(|| blocked(path, step))?;
    }
    Ok(at.entry(name).or_insert(Value::Null))
}

/// Fails unless it can be a path to a member.
pub fn check(path: &str) -> Result<()> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Err(Error::invalid(format!("a field's name has 1 to {MAX_PATH} bytes"))
            .with(Detail::Field(path.chars().take(32).collect())));
    }
    Ok(())
}

fn blocked(path: &str, step: &str) -> Error {
    Error::invalid(format!("{step:?} on the way to {path:?} is no object; name another field"))
        .with(Detail::Field(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_records() {
        let mut body = json!({"a": {"b": 1}, "c": [1], "": {"": 2}}).as_object().unwrap().clone();
        assert_eq!(get(&body, "a.b"), Some(&json!(1)));
        assert_eq!(get(&body, "."), Some(&json!(2)));
        assert_eq!((get(&body, "a.b.c"), get(&body, "c.0"), get(&body, "x")), (None, None, None));
        *slot(&mut body, "x.y.z").unwrap() = json!(3);
        *get_mut(&mut body, "a.b").unwrap() = json!(4);
        assert!(slot(&mut body, "c.d").is_err() && slot(&mut body, "a.b.c.d").is_err());
        let expected = json!({"a": {"b": 4}, "c": [1], "": {"": 2}, "x": {"y": {"z": 3}}});
        assert_eq!(Value::Object(body), expected);
    }
}
