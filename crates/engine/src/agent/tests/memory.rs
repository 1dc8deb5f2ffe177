//! Records in memory, as far as the explorer asks for them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::Value;

use crate::agent::Records;
use crate::agent::explorer::catalog::Entry;
use crate::error::{Error, Result};
use crate::id::{Offset, RecordId, Timestamp};
use crate::identity::Identity;
use crate::query::{Body, CollectionInfo, Filter, Hit, Operator, Query, Record, Search};

#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Vec<Record>>>);

impl Memory {
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        let memory = Self::default();
        entries.into_iter().for_each(|entry| memory.put(entry.collection, &entry.id, entry.body));
        memory
    }

    pub(super) fn put(&self, collection: &str, id: &str, body: Body) {
        let at = Timestamp(1_000_000);
        let record = Record {
            id: RecordId(id.to_owned()),
            body,
            version: Offset(1),
            created_at: at,
            updated_at: at,
            expires_at: None,
        };
        self.0.lock().unwrap().entry(collection.to_owned()).or_default().push(record);
    }

    fn select(&self, identity: &Identity, collection: &str, filter: Option<&Filter>) -> Result<Vec<Record>> {
        identity.check_read(collection)?;
        let all = self.0.lock().unwrap();
        let records = all.get(collection).ok_or_else(|| Error::not_found("no such collection"))?;
        Ok(records
            .iter()
            .filter(|record| filter.is_none_or(|filter| holds(filter, record)))
            .cloned()
            .collect())
    }
}

#[async_trait]
impl Records for Memory {
    async fn query(&self, identity: &Identity, query: Query) -> Result<Vec<Record>> {
        let mut found = self.select(identity, &query.collection, query.filter.as_ref())?;
        found.sort_by(|a, b| {
            let by = |sort: &crate::query::Sort| {
                let order =
                    compare(&field(a, &sort.field), &field(b, &sort.field)).unwrap_or(Ordering::Equal);
                if sort.descending { order.reverse() } else { order }
            };
            query.sort.iter().map(by).fold(Ordering::Equal, Ordering::then).then(a.id.cmp(&b.id))
        });
        Ok(found.into_iter().skip(query.skip).take(query.limit).collect())
    }

    async fn count(&self, identity: &Identity, collection: &str, filter: Option<Filter>) -> Result<u64> {
        Ok(self.select(identity, collection, filter.as_ref())?.len() as u64)
    }

    /// By words: the more of them occur, the better.
    async fn search(&self, identity: &Identity, search: Search) -> Result<Vec<Hit>> {
        let Some(words) = search.text else { return Err(Error::unavailable("there are no vectors here")) };
        let words: Vec<String> = words.text.split_whitespace().map(str::to_lowercase).collect();
        let found = self.select(identity, &search.collection, None)?.into_iter().filter_map(|record| {
            let text = field(&record, "text").as_str()?.to_lowercase();
            let count = words.iter().filter(|word| text.contains(word.as_str())).count();
            (count > 0).then_some(Hit { record, score: count as f64, matched_fields: vec!["text".into()] })
        });
        let mut found: Vec<Hit> = found.collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(search.limit);
        Ok(found)
    }

    async fn collections(&self, identity: &Identity) -> Result<Vec<CollectionInfo>> {
        let all = self.0.lock().unwrap();
        let readable = all.iter().filter(|(name, _)| identity.check_read(name).is_ok());
        let info = |(name, records): (&String, &Vec<Record>)| CollectionInfo {
            name: name.clone(),
            count: records.len() as u64,
            last_offset: Offset(records.len() as u64),
        };
        Ok(readable.map(info).collect())
    }
}

fn field(record: &Record, name: &str) -> Value {
    record.body.get(name).cloned().unwrap_or_default()
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn holds(filter: &Filter, record: &Record) -> bool {
    match filter {
        Filter::And(all) => all.iter().all(|filter| holds(filter, record)),
        Filter::Or(any) => any.iter().any(|filter| holds(filter, record)),
        Filter::Not(filter) => !holds(filter, record),
        Filter::Compare { field: name, operator, value } => compares(&field(record, name), *operator, value),
    }
}

fn compares(field: &Value, operator: Operator, value: &Value) -> bool {
    let texts = || Some((field.as_str()?, value.as_str()?));
    let order = compare(field, value);
    match operator {
        Operator::Eq => field == value,
        Operator::Ne => field != value,
        Operator::Gt => order == Some(Ordering::Greater),
        Operator::Gte => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Operator::Lt => order == Some(Ordering::Less),
        Operator::Lte => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::In => value.as_array().is_some_and(|values| values.contains(field)),
        Operator::NotIn => value.as_array().is_some_and(|values| !values.contains(field)),
        Operator::Contains => texts().is_some_and(|(a, b)| a.contains(b)),
        Operator::ContainsFolded => {
            texts().is_some_and(|(a, b)| a.to_lowercase().contains(&b.to_lowercase()))
        }
        Operator::StartsWith => texts().is_some_and(|(a, b)| a.starts_with(b)),
        Operator::EndsWith => texts().is_some_and(|(a, b)| a.ends_with(b)),
        Operator::Exists => field.is_null() != (*value == true),
    }
}
