//! The twelve actions: members that change by what they are.
//!
//! Whole numbers stay whole while the result is exact and fits 64 bits; otherwise it is a float. A member that is
//! missing or `null` begins as 0, as an empty array or as an empty text.

use serde_json::{Number, Value};

use super::path;
use crate::edit::{Action, FieldAction};
use crate::error::{Detail, Error, Result};
use crate::query::Body;

/// The most actions of one edit.
pub const MAX_ACTIONS: usize = 1_000;

/// Beyond this a float does not tell neighbouring whole numbers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Does all of them in order. What the body is after an error is undefined: the caller throws it away.
pub fn apply(body: &mut Body, actions: &[FieldAction]) -> Result<()> {
    if actions.is_empty() || actions.len() > MAX_ACTIONS {
        return Err(Error::invalid(format!("name 1 to {MAX_ACTIONS} actions")));
    }
    actions.iter().try_for_each(|action| one(body, action))
}

fn one(body: &mut Body, action: &FieldAction) -> Result<()> {
    path::check(&action.field)?;
    if matches!(action.field.as_str(), "id" | "_id") {
        return Err(wrong(action, "is the record's key and does not change"));
    }
    match action.action {
        Action::Increment | Action::Decrement | Action::Multiply | Action::Divide | Action::Modulo => {
            let by = number(action, needed(action)?)?;
            let slot = path::slot(body, &action.field)?;
            let begin = if slot.is_null() { Number::from(0) } else { number(action, slot)? };
            *slot = Value::Number(compute(action, &begin, &by)?);
        }
        Action::Push => array(body, action)?.push(needed(action)?.clone()),
        Action::Unshift => array(body, action)?.insert(0, needed(action)?.clone()),
        Action::Pop => drop(present_array(body, action)?.and_then(Vec::pop)),
        Action::Shift => {
            if let Some(list) = present_array(body, action)?.filter(|list| !list.is_empty()) {
                list.remove(0);
            }
        }
        Action::Remove => {
            let gone = needed(action)?;
            if let Some(list) = present_array(body, action)? {
                list.retain(|value| !same(value, gone));
            }
        }
        Action::Append => append(body, action)?,
        Action::Clear => {
            if let Some(value) = path::get_mut(body, &action.field) {
                *value = zero(value);
            }
        }
    }
    Ok(())
}

fn needed(action: &FieldAction) -> Result<&Value> {
    action.value.as_ref().ok_or_else(|| wrong(action, &format!("needs a value to {}", action.action.name())))
}

fn number(action: &FieldAction, value: &Value) -> Result<Number> {
    match value {
        Value::Number(number) => Ok(number.clone()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong(action, &format!("can {} only numbers by numbers", action.action.name())))
        }
    }
}

fn compute(action: &FieldAction, begin: &Number, by: &Number) -> Result<Number> {
    let divides = matches!(action.action, Action::Divide | Action::Modulo);
    if divides && by.as_f64() == Some(0.0) {
        return Err(wrong(action, "cannot be divided by zero; give another value"));
    }
    if let (Some(begin), Some(by)) = (whole(begin), whole(by))
        && let Some(exact) = compute_whole(action.action, begin, by)
    {
        return Ok(exact);
    }
    let (begin, by) = (begin.as_f64().unwrap_or(f64::MAX), by.as_f64().unwrap_or(f64::MAX));
    let result = match action.action {
        Action::Decrement => begin - by,
        Action::Multiply => begin * by,
        Action::Divide => begin / by,
        Action::Modulo => begin % by,
        _ => begin + by, // the caller asks for arithmetic alone
    };
    Number::from_f64(result).ok_or_else(|| wrong(action, "would become larger than a number can be"))
}

/// The exact result, if it is whole and fits.
fn compute_whole(action: Action, begin: i128, by: i128) -> Option<Number> {
    let result = match action {
        Action::Decrement => begin - by,
        Action::Multiply => begin.checked_mul(by)?,
        Action::Divide if begin % by == 0 => begin / by,
        Action::Divide => return None,
        Action::Modulo => begin % by,
        _ => begin + by,
    };
    i64::try_from(result).map(Number::from).or_else(|_| u64::try_from(result).map(Number::from)).ok()
}

/// A whole number; a float counts as one only as the value of an action on a whole number, while it is exact.
fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    integer.or_else(|| {
        let float = number.as_f64()?;
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
        (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i128)
    })
}

fn array<'a>(body: &'a mut Body, action: &FieldAction) -> Result<&'a mut Vec<Value>> {
    let slot = path::slot(body, &action.field)?;
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().ok_or_else(|| no_array(action))
}

fn present_array<'a>(body: &'a mut Body, action: &FieldAction) -> Result<Option<&'a mut Vec<Value>>> {
    match path::get_mut(body, &action.field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(no_array(action)),
    }
}

fn append(body: &mut Body, action: &FieldAction) -> Result<()> {
    let Value::String(more) = needed(action)? else {
        return Err(wrong(action, "can append only a text"));
    };
    match path::slot(body, &action.field)? {
        Value::String(text) => text.push_str(more),
        slot @ Value::Null => *slot = Value::String(more.clone()),
        _ => return Err(wrong(action, "is no text; only a text can be appended to")),
    }
    Ok(())
}

/// The zero of a value's type.
fn zero(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::Bool(false),
        Value::Number(number) if number.is_f64() => Value::from(0.0),
        Value::Number(_) => Value::from(0),
        Value::String(_) => Value::String(String::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Body::new()),
    }
}

/// Whether two values are equal; 1 equals 1.0.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.is_f64() != right.is_f64() && left.as_f64() == right.as_f64())
        }
        _ => left == right,
    }
}

fn no_array(action: &FieldAction) -> Error {
    wrong(action, &format!("is no array; {} works on arrays", action.action.name()))
}

fn wrong(action: &FieldAction, what: &str) -> Error {
    Error::invalid(format!("the field {:?} {what}", action.field)).with(Detail::Field(action.field.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Code;

    fn act(before: Value, name: &str, field: &str, value: Value) -> Result<Value> {
        let mut body = before.as_object().unwrap().clone();
        let value = (!value.is_null()).then_some(value);
        let action = Action::from_name(name).unwrap();
        apply(&mut body, &[FieldAction { field: field.into(), action, value }])?;
        Ok(Value::Object(body))
    }

    #[track_caller]
    fn check(before: Value, (name, value): (&str, Value), expected: Value) {
        let after = act(json!({"v": before}), name, "v", value.clone()).unwrap();
        assert_eq!(after.to_string(), json!({"v": expected}).to_string(), "{before} {name} {value}");
    }

    #[test]
    fn numbers_stay_whole_while_they_are_exact() {
        check(json!(1), ("increment", json!(2)), json!(3));
        check(json!(1), ("increment", json!(2.0)), json!(3));
        check(json!(1), ("increment", json!(0.5)), json!(1.5));
        check(json!(1.5), ("Decrement", json!(1)), json!(0.5));
        check(json!(6), ("divide", json!(3)), json!(2));
        check(json!(7), ("divide", json!(2)), json!(3.5));
        check(json!(-7), ("modulo", json!(4)), json!(-3));
        check(json!(7.5), ("modulo", json!(2)), json!(1.5));
        check(json!(i64::MAX), ("increment", json!(1)), json!(9_223_372_036_854_775_808_u64));
        check(json!(u64::MAX), ("increment", json!(1)), json!(18_446_744_073_709_552_000.0));
        check(json!(i64::MAX), ("multiply", json!(i64::MAX)), json!(8.507_059_173_023_462e37));
    }

    #[test]
    fn arrays_and_texts_grow_and_shrink() {
        check(json!([1]), ("push", json!({"a": 1})), json!([1, {"a": 1}]));
        check(json!([1]), ("unshift", json!(0)), json!([0, 1]));
        check(json!([1, 2]), ("pop", json!(null)), json!([1]));
        check(json!([1, 2]), ("shift", json!(null)), json!([2]));
        check(json!([]), ("shift", json!(null)), json!([]));
        check(json!([1, 2, 1.0, "1"]), ("remove", json!(1)), json!([2, "1"]));
        check(json!("a"), ("append", json!("b")), json!("ab"));
    }

    #[test]
    fn clear_gives_the_zero_of_the_type() {
        for (before, after) in [
            (json!(3), json!(0)),
            (json!("x"), json!("")),
            (json!([1]), json!([])),
            (json!({"a": 1}), json!({})),
            (json!(true), json!(false)),
        ] {
            check(before, ("clear", json!(null)), after);
        }
    }

    #[test]
    fn what_is_missing_begins_with_nothing() {
        let check = |name, value, expected: Value| {
            assert_eq!(act(json!({}), name, "a.b", value).unwrap(), expected, "{name}");
        };
        check("increment", json!(2), json!({"a": {"b": 2}}));
        check("multiply", json!(2), json!({"a": {"b": 0}}));
        check("push", json!(2), json!({"a": {"b": [2]}}));
        check("append", json!("x"), json!({"a": {"b": "x"}}));
        for name in ["pop", "shift", "clear"] {
            check(name, json!(null), json!({}));
        }
        check("remove", json!(1), json!({}));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let check = |before: Value, name, value, expected: &str| {
            let error = act(json!({"v": before}), name, "v", value).unwrap_err();
            assert_eq!((error.code, error.detail), (Code::Invalid, Detail::Field("v".into())));
            assert!(error.message.contains(expected), "{}", error.message);
        };
        check(json!(1), "divide", json!(0), "divided by zero");
        check(json!(1), "modulo", json!(0.0), "divided by zero");
        check(json!(f64::MAX), "multiply", json!(10), "larger than a number can be");
        check(json!("1"), "increment", json!(1), "only numbers");
        check(json!(1), "increment", json!("1"), "only numbers");
        check(json!(1), "increment", json!(null), "needs a value");
        check(json!(1), "push", json!(1), "is no array");
        check(json!(1), "append", json!("a"), "is no text");
        check(json!("a"), "append", json!(1), "only a text");
        assert!(act(json!({}), "increment", "id", json!(1)).is_err());
        assert!(apply(&mut Body::new(), &[]).is_err());
    }
}
