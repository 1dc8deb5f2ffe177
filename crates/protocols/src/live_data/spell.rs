//! How replies are spelled: Success with its data, Error with its code, and what answers Hello.

use serde_json::value::RawValue;
use tidewire_engine::command::ModelInfo;
use tidewire_engine::edit::Edited;
use tidewire_engine::event::Usage;
use tidewire_engine::query::{Hit, RecordTexts};
use tidewire_engine::schema::Schema;
use tidewire_engine::{Code, Error, Result};

use super::typed::{Manner, put_json, put_record, put_text};
use super::{pack, wire};
use crate::frame::Frame;

/// The largest message in bytes that clients take.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON in text frames.
    Json,
    /// MessagePack in binary frames.
    MessagePack,
}

/// A frame with this JSON, in a format. Clients take text on every connection, so what MessagePack cannot hold is text.
pub fn frame(json: Vec<u8>, format: Format) -> Frame {
    let packed = match format {
        Format::MessagePack => pack::from_json(&json),
        Format::Json => None,
    };
    packed.map_or_else(|| Frame::Text(json.into()), |packed| Frame::Binary(packed.into()))
}

/// A frame of ours that has no id.
pub fn message(message: &wire::ServerMessage, format: Format) -> Frame {
    frame(message.encode(None).into_bytes(), format)
}

/// Something was done; `data` writes what is said about it.
///
/// Too long an answer becomes an error that says so.
pub fn success(id: Option<&RawValue>, format: Format, data: impl FnOnce(&mut Vec<u8>)) -> Frame {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"type\":\"Success\"");
    put_id(&mut out, "messageId", id);
    out.extend_from_slice(b",\"payload\":{\"data\":");
    data(&mut out);
    put_id(&mut out, "message_id", id);
    out.extend_from_slice(b"}}");
    if out.len() > MAX_MESSAGE {
        return error(id, format, &too_large());
    }
    frame(out, format)
}

/// Something was not done.
pub fn error(id: Option<&RawValue>, format: Format, error: &Error) -> Frame {
    let message = wire::ServerMessage::Error(wire::Error {
        code: error.code.http_status().into(),
        message: error.message.to_string(),
    });
    frame(message.encode(id).into_bytes(), format)
}

fn too_large() -> Error {
    let limit = MAX_MESSAGE >> 20;
    Error::new(
        Code::TooLarge,
        format!("the answer is beyond {limit} MiB; ask with a limit, or for fewer members"),
    )
}

/// The answer to Hello; always text, because the client does not know the format before.
pub fn welcome(format: Format) -> Frame {
    let name = match format {
        Format::Json => "json",
        Format::MessagePack => "msgpack",
    };
    message(&wire::ServerMessage::Welcome(wire::Welcome { format: name.into() }), Format::Json)
}

fn put_id(out: &mut Vec<u8>, name: &str, id: Option<&RawValue>) {
    if let Some(id) = id {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(id.get().as_bytes());
    }
}

/// Writes items with commas between. Beyond what a message may hold, nothing more is written.
pub fn put_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if out.len() > MAX_MESSAGE {
            break;
        }
        if place > 0 {
            out.push(b',');
        }
        put(out, item);
    }
    out.push(b']');
}

/// Records as an array.
pub fn put_records<'a>(out: &mut Vec<u8>, records: &RecordTexts, manner: impl Into<Manner<'a>>) {
    let manner = manner.into();
    put_list(out, records.iter(), |out, record| put_text(out, record, manner));
}

/// What a search found.
pub fn put_hits<'a>(out: &mut Vec<u8>, hits: &[Hit], manner: impl Into<Manner<'a>>) {
    let manner = manner.into();
    put_list(out, hits, |out, hit| {
        out.extend_from_slice(b"{\"record\":");
        put_record(out, &hit.record, manner);
        out.extend_from_slice(b",\"score\":");
        put_json(out, &hit.score);
        out.extend_from_slice(b",\"matched_fields\":");
        put_json(out, &hit.matched_fields);
        out.push(b'}');
    });
}

/// What a batch did. `ids` are those that the request named, by place.
pub fn batch(outcomes: &[Result<Edited>], ids: &[Option<String>]) -> wire::BatchReply {
    let mut reply = wire::BatchReply::default();
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(record) => reply.successful.push(record.id.0.clone()),
            Err(error) => reply.failed.push(wire::BatchFailure {
                id: ids.get(index).cloned().flatten(),
                index: index as u64,
                code: error.code.http_status().into(),
                error: error.message.to_string(),
            }),
        }
    }
    reply
}

/// A schema as clients read it.
pub fn schema(schema: &Schema) -> wire::CollectionSchema {
    let fields = schema.fields.iter().map(|(name, field)| (name.clone(), super::schema::written(field)));
    wire::CollectionSchema {
        fields: Some(fields.collect()),
        version: Some(schema.version),
        created_at: Some(schema.created_at.to_rfc3339()),
        last_modified: Some(schema.updated_at.to_rfc3339()),
        primary_key_alias: Some(schema.primary_key.clone()),
        bypass_ripple: Some(true),
    }
}

/// What an answer cost.
pub fn usage(usage: Usage) -> wire::TokenUsage {
    wire::TokenUsage {
        prompt_tokens: usage.input_tokens,
        completion_tokens: usage.output_tokens,
        total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
    }
}

/// The models that can be asked, by provider.
pub fn models(models: &[ModelInfo]) -> wire::ModelList {
    let of = |provider: &str| -> Vec<String> {
        models.iter().filter(|model| model.provider == provider).map(|model| model.name.clone()).collect()
    };
    let mut list = wire::ModelList {
        openai: of("openai"),
        anthropic: of("anthropic"),
        perplexity: of("perplexity"),
        gemini: of("gemini"),
        providers: std::collections::BTreeMap::new(),
    };
    for model in models {
        let report = list.providers.entry(model.provider.clone()).or_insert_with(|| wire::ProviderReport {
            status: "unavailable".into(),
            verified: false,
            message: None,
            model_count: Some(0),
        });
        report.model_count = report.model_count.map(|count| count + 1);
        if model.ready {
            report.status = "ok".into();
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw(id: &str) -> Box<RawValue> {
        serde_json::from_str(id).unwrap()
    }

    fn text(frame: Frame) -> Value {
        let Frame::Text(bytes) = frame else { panic!("{frame:?}") };
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn ids_are_echoed_as_they_came_at_both_places() {
        for id in ["\"7\"", "7", "1.0", "{\"a\":[1]}", "true"] {
            let frame = success(Some(&raw(id)), Format::Json, |out| out.extend_from_slice(b"null"));
            let id: Value = serde_json::from_str(id).unwrap();
            let expected =
                json!({"type": "Success", "messageId": id, "payload": {"data": null, "message_id": id}});
            assert_eq!(text(frame), expected);
        }
        let alone = success(None, Format::Json, |out| out.extend_from_slice(b"[]"));
        assert_eq!(text(alone), json!({"type": "Success", "payload": {"data": []}}));
    }

    #[test]
    fn an_answer_beyond_the_limit_is_an_error_with_the_id() {
        let id = raw("\"7\"");
        let frame = success(Some(&id), Format::Json, |out| {
            put_list(out, std::iter::repeat_n((), 1000), |out, ()| out.resize(out.len() + (1 << 20), b' '));
        });
        let frame = text(frame);
        assert_eq!(
            (&frame["type"], &frame["messageId"], &frame["code"]),
            (&json!("Error"), &json!("7"), &json!(413))
        );
    }

    #[test]
    fn frames_are_packed_or_text() {
        let error = error(None, Format::MessagePack, &Error::not_found("none"));
        let Frame::Binary(bytes) = error else { panic!("{error:?}") };
        let read: Value = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, json!({"type": "Error", "code": 404, "message": "none"}));
        assert_eq!(
            text(welcome(Format::MessagePack)),
            json!({"type": "Welcome", "payload": {"format": "msgpack"}})
        );
    }
}
