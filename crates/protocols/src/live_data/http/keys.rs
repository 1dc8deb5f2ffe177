//! The key-value store.

use serde_json::{Value, json};
use tidewire_engine::edit::KeyValue;
use tidewire_engine::{Command, Detail, Error, Reply, Result};

use super::{Request, Started, Style, done, step};
use crate::live_data::typed::{self, unwrapped};
use crate::live_data::{ask, input, wire};

/// So many keys are asked for at once.
const MAX_KEYS: usize = ask::MAX_BATCH;

/// A time to live in whole seconds, at least one.
fn ttl_s(written: Option<Value>) -> Result<Option<u64>> {
    let ttl = written.map(|written| input::ttl(&written)).transpose()?.flatten();
    Ok(ttl.map(|ttl| ttl.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)))
}

/// `POST /api/kv/set/{key}`
pub(super) fn set(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    let put: wire::KvPut = request.json()?;
    let pair = KeyValue { key: request.param("key"), value: unwrapped(put.value) };
    let command = Command::KvSet { pairs: vec![pair], ttl_s: ttl_s(put.ttl)? };
    step(command, move |_| style.json(&done()))
}

/// `GET /api/kv/get/{key}`
pub(super) fn get(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(Command::KvGet { keys: vec![request.param("key")] }, move |reply| match reply {
        Reply::KvValues(values) => match values.into_iter().next().flatten() {
            Some(value) => {
                let mut out = b"{\"value\":".to_vec();
                typed::put_value(&mut out, &value, style.values);
                out.push(b'}');
                style.answer(out)
            }
            None => Err(Error::not_found("there is no such key, or it has expired")),
        },
        other => Err(ask::unexpected(&"a key", &other)),
    })
}

/// `DELETE /api/kv/delete/{key}`
pub(super) fn delete(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(Command::KvDelete { keys: vec![request.param("key")] }, move |reply| {
        let was_there = matches!(reply, Reply::KvDone(outcomes) if outcomes.first() == Some(&true));
        let message = if was_there { "the key was removed" } else { "there was no such key" };
        style.json(&wire::Done { message: Some(message.into()), ..done() })
    })
}

fn check_count(keys: &[String]) -> Result<()> {
    if keys.len() <= MAX_KEYS {
        return Ok(());
    }
    let sentence = format!("at most {MAX_KEYS} keys are named at once; ask several times");
    Err(Error::new(tidewire_engine::Code::TooLarge, sentence).with(Detail::Field("keys".into())))
}

/// `POST /api/kv/batch/get`
pub(super) fn batch_get(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    let wire::KvKeys { keys } = request.json()?;
    check_count(&keys)?;
    step(Command::KvGet { keys }, move |reply| match reply {
        Reply::KvValues(values) => style.json(&values.into_iter().map(object).collect::<wire::KvObjects>()),
        other => Err(ask::unexpected(&"keys", &other)),
    })
}

/// Clients take objects alone, so another value is an object's member.
fn object(value: Option<Value>) -> Value {
    match value {
        None => json!({}),
        Some(value @ Value::Object(_)) => value,
        Some(value) => json!({ "value": value }),
    }
}

/// `POST /api/kv/batch/set`
pub(super) fn batch_set(request: &Request<'_>) -> Started {
    let wire::KvBatch { keys, values, ttl } = request.json()?;
    check_count(&keys)?;
    if keys.len() != values.len() {
        let (keys, values) = (keys.len(), values.len());
        return Err(Error::invalid(format!(
            "there are {keys} keys and {values} values; send one value a key"
        )));
    }
    let pairs =
        keys.iter().cloned().zip(values).map(|(key, value)| KeyValue { key, value: unwrapped(value) });
    let command = Command::KvSet { pairs: pairs.collect(), ttl_s: ttl_s(ttl)? };
    outcomes(request, command, keys)
}

/// `DELETE /api/kv/batch/delete`
pub(super) fn batch_delete(request: &Request<'_>) -> Started {
    let wire::KvKeys { keys } = request.json()?;
    check_count(&keys)?;
    outcomes(request, Command::KvDelete { keys: keys.clone() }, keys)
}

fn outcomes(request: &Request<'_>, command: Command, keys: Vec<String>) -> Started {
    let style = Style::of(request);
    step(command, move |reply| match reply {
        Reply::KvDone(outcomes) => {
            let named = keys.into_iter().zip(outcomes);
            style.json(&named.map(|(key, done)| wire::KvOutcome { key, done }).collect::<wire::KvOutcomes>())
        }
        other => Err(ask::unexpected(&"keys", &other)),
    })
}

/// `POST /api/kv/find`
pub(super) fn find(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    let wanted: wire::KvSearch = request.json()?;
    let include_expired = wanted.include_expired.unwrap_or(false);
    step(Command::KvFind { pattern: wanted.pattern, include_expired }, move |reply| match reply {
        Reply::KvPairs(pairs) => {
            let pair = |pair: KeyValue| wire::KvPair { key: pair.key, value: pair.value };
            style.json(&pairs.into_iter().map(pair).collect::<wire::KvPairs>())
        }
        other => Err(ask::unexpected(&"pairs", &other)),
    })
}

/// `DELETE /api/kv/clear`
pub(super) fn clear(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(Command::KvClear, move |_| style.json(&done()))
}
