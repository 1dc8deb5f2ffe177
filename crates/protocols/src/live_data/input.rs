//! Records as clients write them: the key, the time to live and the members apart.

use std::time::Duration;

use serde_json::Value;
use tidewire_engine::edit::{Action, Edit, FieldAction, Ttl};
use tidewire_engine::query::Body;
use tidewire_engine::{Detail, Error, RecordId, Result, Timestamp};

use super::typed::unwrapped;

/// The longest time to live: a hundred years.
const MAX_TTL: u64 = 100 * 365 * 24 * 60 * 60;

/// A new record.
pub fn insert(record: Value) -> Result<Edit> {
    let mut body = members(record)?;
    let id = take_id(&mut body)?;
    let ttl = take_ttl(&mut body, false)?;
    Ok(Edit::Insert { id, body, ttl })
}

/// Members that change. A key or time to live that was merely read and sent back changes nothing.
pub fn update(id: String, record: Value) -> Result<Edit> {
    let mut body = members(record)?;
    if take_id(&mut body)?.is_some_and(|named| named.0 != id) {
        return Err(wrong("id", "a record's id cannot be changed; insert it anew under the other id"));
    }
    let ttl = take_ttl(&mut body, true)?;
    Ok(Edit::Update { id: RecordId(id), body, ttl })
}

/// A record to remove.
pub fn delete(id: String) -> Edit {
    Edit::Delete { id: RecordId(id) }
}

/// One action upon a record's member.
pub fn action(name: &str, field: String, value: Option<Value>) -> Result<FieldAction> {
    let Some(action) = Action::from_name(name) else {
        let known = Action::ALL.map(Action::name).join(", ");
        return Err(wrong("action", format!("{name:?} is no action; use one of {known}")));
    };
    let value = value.filter(|value| !value.is_null()).map(unwrapped);
    Ok(FieldAction { field, action, value })
}

fn wrong(field: &str, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(message).with(Detail::Field(field.to_owned()))
}

/// The members of a record, without typed wrappers.
fn members(record: Value) -> Result<Body> {
    match record {
        Value::Object(mut members) => {
            for (_, value) in &mut members {
                if value.is_object() {
                    *value = unwrapped(value.take());
                }
            }
            Ok(members)
        }
        _ => Err(wrong("record", "a record is an object of members and values")),
    }
}

fn take_id(body: &mut Body) -> Result<Option<RecordId>> {
    let other = body.shift_remove("_id");
    match body.shift_remove("id").or(other) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => Ok(Some(RecordId(id))),
        Some(Value::Number(id)) => Ok(Some(RecordId(id.to_string()))),
        Some(_) => Err(wrong("id", "id takes text")),
    }
}

fn take_ttl(body: &mut Body, as_read: bool) -> Result<Option<Ttl>> {
    let renewed = body.shift_remove("ttl_update_on_access").and_then(|value| value.as_bool());
    let after = match body.shift_remove("ttl") {
        Some(Value::String(text)) if as_read && Timestamp::from_rfc3339(&text).is_some() => None,
        Some(written) => ttl(&written)?,
        None => None,
    };
    Ok(after.map(|after| Ttl { after, renewed_by_access: renewed.unwrap_or(false) }))
}

/// A time to live: whole seconds, or text such as `30s`, `5m`, `1h`, `1d`; `null` is none.
pub fn ttl(written: &Value) -> Result<Option<Duration>> {
    let milliseconds = match written {
        Value::Null => return Ok(None),
        Value::Number(seconds) => seconds.as_u64().and_then(|seconds| seconds.checked_mul(1000)),
        Value::String(text) => parse(text.trim()),
        _ => None,
    };
    let fits = milliseconds.filter(|milliseconds| (1..=MAX_TTL * 1000).contains(milliseconds));
    let Some(milliseconds) = fits else {
        return Err(wrong(
            "ttl",
            "ttl takes seconds from 1 on, or text such as 30s, 5m, 1h or 1d; at most 100 years",
        ));
    };
    Ok(Some(Duration::from_millis(milliseconds)))
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(milliseconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Body {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn key_and_time_to_live_are_taken_out_of_a_new_record() {
        let record = json!({"id": "u1", "name": "Ada", "ttl": "5m", "ttl_update_on_access": true});
        let expected = Edit::Insert {
            id: Some("u1".into()),
            body: body(json!({"name": "Ada"})),
            ttl: Some(Ttl { after: Duration::from_secs(300), renewed_by_access: true }),
        };
        assert_eq!(insert(record).unwrap(), expected);
        let plain = Edit::Insert { id: None, body: body(json!({"v": [1.0], "n": {"a": 1}})), ttl: None };
        let typed = json!({"v": {"type": "Vector", "value": [1.0]}, "n": {"a": 1}, "id": null, "ttl": null});
        assert_eq!(insert(typed).unwrap(), plain);
    }

    #[test]
    fn a_record_that_was_read_can_be_sent_back() {
        let read =
            json!({"id": "u1", "name": {"type": "String", "value": "Ada"}, "ttl": "2026-01-02T03:04:05Z"});
        let expected = Edit::Update { id: "u1".into(), body: body(json!({"name": "Ada"})), ttl: None };
        assert_eq!(update("u1".into(), read.clone()).unwrap(), expected);
        assert!(update("u2".into(), read).is_err());
    }

    #[test]
    fn times_to_live_are_read() {
        let seconds = |written: Value| ttl(&written).unwrap().unwrap().as_millis();
        for (written, expected) in [
            (json!(3), 3000),
            (json!("30s"), 30_000),
            (json!("5m"), 300_000),
            (json!("1h"), 3_600_000),
            (json!("1d"), 86_400_000),
            (json!("2w"), 1_209_600_000),
            (json!("250ms"), 250),
            (json!("7"), 7000),
        ] {
            assert_eq!(seconds(written), expected);
        }
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("soon"),
            json!("5 parsecs"),
            json!(true),
            json!(u64::MAX),
            json!("h"),
        ] {
            assert!(ttl(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bad in [json!([]), json!(null), json!("x"), json!({"id": [1]}), json!({"ttl": {}})] {
            assert!(insert(bad.clone()).is_err(), "{bad}");
        }
        assert!(action("explode", "a".into(), None).is_err());
        assert_eq!(action("Increment", "a".into(), Some(json!(1))).unwrap().action, Action::Increment);
    }

    proptest! {
        /// A time to live is one, or is refused in a sentence; none is zero, or longer than a hundred years.
        #[test]
        fn any_time_to_live_is_read_or_refused(
            written in prop_oneof![
                "[0-9]{0,22} ?(ms|s|m|h|d|w|y)?".prop_map(Value::from),
                ".{0,12}".prop_map(Value::from),
                any::<u64>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from),
                Just(Value::Bool(true)),
            ],
        ) {
            match ttl(&written) {
                Ok(Some(after)) => prop_assert!(!after.is_zero() && after.as_secs() <= MAX_TTL),
                Ok(None) => prop_assert!(written.is_null()),
                Err(error) => prop_assert!(error.message.contains("ttl takes")),
            }
        }
    }
}
