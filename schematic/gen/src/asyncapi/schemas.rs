//! JSON Schema draft-07 of frames.

use schematic_define::{BodyKind, FrameKind, Layout};
use serde_json::{Value, json};

use crate::ir::{Api, Message, Test, Writes};
use crate::json_schema::{Draft, body, of, record};

/// The schema of a whole frame.
pub(super) fn payload(api: &Api, message: &Message) -> Value {
    if message.encoding == BodyKind::Raw {
        return match message.frame {
            FrameKind::Text => json!({ "type": "string" }),
            FrameKind::Binary | FrameKind::Either => json!({ "type": "string", "format": "binary" }),
        };
    }
    let Some(envelope) = &api.envelope else { return recognised_body(api, message) };
    let layouts = message.layouts.iter().map(|layout| {
        let inner = match layout {
            Layout::Flat => body(api, Draft::Seven, &message.body, &message.writes),
            Layout::Under(member) => {
                let added = match &message.writes {
                    Writes::Members(members) => members.as_slice(),
                    Writes::Head(_) => &[],
                };
                let mut schema = record(&[], added);
                schema["properties"][member] = of(&message.body);
                schema
            }
        };
        match &envelope.id {
            Some(id) => with_member(inner, &id.field),
            None => inner,
        }
    });
    let mut layouts: Vec<Value> = layouts.collect();
    if layouts.len() == 1 { layouts.remove(0) } else { json!({ "anyOf": layouts }) }
}

/// The body with what recognition adds; several ways of recognition are several schemas.
fn recognised_body(api: &Api, message: &Message) -> Value {
    let [Test::AnyOf(ways)] = message.tests.as_slice() else {
        return body(api, Draft::Seven, &message.body, &message.writes);
    };
    let ways = ways.iter().map(|tests| {
        let members = tests.iter().filter_map(|test| match test {
            Test::Equals { path, value } if path.len() == 1 => Some((path[0].clone(), value.clone())),
            Test::Equals { .. }
            | Test::Present { .. }
            | Test::ArrayHead(_)
            | Test::Kind(_)
            | Test::AnyOf(_) => None,
        });
        body(api, Draft::Seven, &message.body, &Writes::Members(members.collect()))
    });
    json!({ "anyOf": ways.collect::<Vec<_>>() })
}

fn with_member(mut schema: Value, name: &str) -> Value {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(name.into(), json!({}));
    }
    schema
}
