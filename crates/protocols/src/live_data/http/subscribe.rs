//! Changes of a collection as server-sent events.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tidewire_engine::query::Filter;
use tidewire_engine::schema::KnownKinds;
use tidewire_engine::{Command, Detail, Error, Event, Notice, Offset, RecordId, Reply, Result};

use super::{Call, Next, Request, Started, sse};
use crate::live_data::typed::{Manner, Values, put_record};
use crate::live_data::{ask, notify, spell, wire};

/// A connection has one watch.
const WATCH: u64 = 1;

/// `GET /api/subscribe/{collection}`
pub(super) fn subscribe(request: &Request<'_>) -> Started {
    let after = match request.number("after_offset")? {
        Some(after) => Some(after),
        None => request.last_event_id.map(last_event_id).transpose()?,
    };
    Ok(Box::new(Subscription {
        collection: request.param("collection"),
        filter: filter(request)?,
        after: after.map(Offset),
        values: request.values(),
        kinds: Arc::clone(&request.switches.kinds),
        early: Some(Vec::new()),
    }))
}

fn last_event_id(text: &str) -> Result<u64> {
    text.trim().parse().map_err(|_| {
        Error::invalid(
            "Last-Event-ID takes the id of an event of this stream; leave it out to begin from now",
        )
        .with(Detail::Field("Last-Event-ID".into()))
    })
}

/// One member's value. A query has text alone, so what reads as a number or as true or false fits that, too.
fn filter(request: &Request<'_>) -> Result<Option<Filter>> {
    match (request.query("filter_field"), request.query("filter_value")) {
        (None, None) => Ok(None),
        (Some(field), Some(text)) => {
            let as_text = Filter::eq(field, text);
            let other = serde_json::from_str::<Value>(text).ok();
            let other = other.filter(|value| value.is_number() || value.is_boolean());
            Ok(Some(match other {
                Some(value) => Filter::Or(vec![as_text, Filter::eq(field, value)]),
                None => as_text,
            }))
        }
        (Some(_), None) | (None, Some(_)) => {
            Err(Error::invalid("filter_field and filter_value go together; send both or none"))
        }
    }
}

/// One client's stream of changes.
struct Subscription {
    collection: String,
    filter: Option<Filter>,
    after: Option<Offset>,
    values: Values,
    kinds: Arc<KnownKinds>,
    /// What happened before the watch was confirmed.
    early: Option<Vec<u8>>,
}

impl Call for Subscription {
    fn begin(&mut self) -> Result<Next> {
        Ok(Next::Execute(Command::Watch {
            collection: self.collection.clone(),
            watch: WATCH,
            filter: self.filter.take(),
            after: self.after,
        }))
    }

    fn reply(&mut self, reply: Result<Reply>, _now: Instant, out: &mut Vec<u8>) -> Result<Next> {
        match reply? {
            Reply::Watching { after, gap } => {
                let subscribed = wire::Subscribed {
                    subscribed: true,
                    collection: self.collection.clone(),
                    subscription_id: format!("sub_{}", RecordId::new().0),
                    offset: after.0,
                    gap,
                };
                sse::put_value(out, Some("subscribed"), &subscribed);
                out.extend_from_slice(&self.early.take().unwrap_or_default());
                Ok(Next::Listen)
            }
            other => Err(ask::unexpected(&"a subscription", &other)),
        }
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<Next> {
        if let Event::Data(notice) = event {
            let mut early = self.early.take();
            self.notice(notice, early.as_mut().unwrap_or(out));
            self.early = early;
        }
        Ok(Next::Listen)
    }

    fn is_stream(&self) -> bool {
        true
    }
}

impl Subscription {
    fn notice(&self, notice: &Notice, out: &mut Vec<u8>) {
        match notice {
            Notice::Changes { batch, selection } => {
                notify::payloads(batch, selection, (self.values, &self.kinds), |payload, offset| {
                    sse::put(out, Some("mutation"), Some(offset), |out| out.extend_from_slice(payload));
                });
            }
            Notice::Schema { collection, version, primary_key } => {
                let changed = wire::SchemaChanged {
                    collection: collection.to_string(),
                    version: *version,
                    primary_key_alias: primary_key.to_string(),
                };
                sse::put_value(out, Some("schema_changed"), &changed);
            }
            Notice::Gap { collection, resume } => {
                let gap = wire::Gap { collection: collection.to_string(), offset: resume.0 };
                sse::put_value(out, Some("gap"), &gap);
            }
            Notice::Snapshot { collection, records, last } => sse::put(out, Some("snapshot"), None, |out| {
                out.extend_from_slice(b"{\"collection\":");
                super::put_json(out, &**collection);
                out.extend_from_slice(b",\"records\":");
                let kinds = self.kinds.of(collection);
                let manner = Manner::new(self.values, kinds.as_deref());
                spell::put_list(out, records, |out, record| put_record(out, record, manner));
                out.extend_from_slice(format!(",\"last\":{last}}}").as_bytes());
            }),
        }
    }
}
