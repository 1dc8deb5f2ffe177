//! What a server answered, as JSON for a model; and what it did wrong, as an error of that call.

use rmcp::ServiceError;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Map, Value, json};

use super::listing::Offer;
use super::schema;
use crate::agent::bounded;
use crate::error::{Code, Error, Result};

/// What is kept of an answer, in bytes; a run's limit for results is usually lower.
const ANSWER_MAX: usize = 1024 * 1024;
/// What is shown of a server's own sentence about an error, in characters.
const SENTENCE_MAX: usize = 2000;

/// The answer of a call.
pub(super) fn read(server: &str, offer: &Offer, response: CallToolResponse) -> Result<Value> {
    let result = match response {
        CallToolResponse::Complete(result) => result,
        CallToolResponse::InputRequired(_) => {
            return Err(broken(server, offer, "asks for more input in return"));
        }
        CallToolResponse::Task(_) => return Err(broken(server, offer, "wants to answer later")),
        _ => return Err(broken(server, offer, "answered in a way that we do not know")),
    };
    if result.is_error == Some(true) {
        return Err(failed(offer, &result));
    }
    let value = match (&offer.output, result.structured_content) {
        (Some(promised), Some(value)) => {
            schema::fits(promised, &value).map_err(|why| {
                broken(server, offer, &format!("answered something else than it promises: {why}"))
            })?;
            value
        }
        (Some(_), None) => return Err(broken(server, offer, "promises structured content and sent none")),
        (None, Some(value)) => value,
        (None, None) => content(result.content),
    };
    Ok(bound(value))
}

/// The tool itself says that it failed. The model may well mend it.
fn failed(offer: &Offer, result: &CallToolResult) -> Error {
    let texts = result.content.iter().filter_map(|block| match block {
        ContentBlock::Text(text) => Some(text.text.trim()),
        _ => None,
    });
    let said = sentence(&texts.collect::<Vec<_>>().join(" "));
    if said.is_empty() {
        return Error::upstream(format!("the tool {:?} failed and does not say why", offer.definition.name));
    }
    Error::upstream(said)
}

/// The server did what no server should.
fn broken(server: &str, offer: &Offer, what: &str) -> Error {
    let tool = &offer.name;
    Error::upstream(format!("the MCP server {server:?} {what} (tool {tool:?}); go on without this call"))
}

/// A call that had no answer.
pub(super) fn refused(server: &str, offer: &Offer, error: ServiceError) -> Error {
    match error {
        ServiceError::McpError(refusal) => {
            let said = sentence(&refusal.message);
            Error::upstream(format!("the MCP server {server:?} did not do the call: {said}"))
        }
        ServiceError::UnexpectedResponse => broken(server, offer, "answered what is no tool's result"),
        other => broken(server, offer, "could not be asked").caused_by(other),
    }
}

/// A call that the server did not answer in time.
pub(super) fn late(server: &str, seconds: f64) -> Error {
    let message = format!(
        "the MCP server {server:?} did not answer within {seconds} s and was told to cancel the call, which may have \
         been done or not; ask it for less"
    );
    Error::new(Code::Deadline, message)
}

fn sentence(said: &str) -> String {
    let plain = said.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    plain.take(SENTENCE_MAX).collect::<String>().trim().trim_end_matches('.').to_owned()
}

/// Texts become one; if that is JSON, it is read. What is no text is named and left out.
fn content(blocks: Vec<ContentBlock>) -> Value {
    let (mut texts, mut links, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let media =
        |kind: &str, mime: &str, data: &str| json!({"kind": kind, "type": mime, "bytes": data.len() / 4 * 3});
    for block in blocks {
        match block {
            ContentBlock::Text(text) => texts.push(text.text),
            ContentBlock::Image(image) => left_out.push(media("image", &image.mime_type, &image.data)),
            ContentBlock::Audio(audio) => left_out.push(media("audio", &audio.mime_type, &audio.data)),
            ContentBlock::Resource(embedded) => match embedded.resource {
                ResourceContents::TextResourceContents { text, .. } => texts.push(text),
                ResourceContents::BlobResourceContents { uri, blob, .. } => {
                    left_out.push(media("file", &uri, &blob))
                }
                _ => left_out.push(json!({"kind": "resource"})),
            },
            ContentBlock::ResourceLink(link) => links.push(json!({"uri": link.uri, "name": link.name})),
            _ => left_out.push(json!({"kind": "unknown"})),
        }
    }
    let text = texts.join("\n");
    if links.is_empty() && left_out.is_empty() {
        return json_of(&text).unwrap_or_else(|| json!({"text": text}));
    }
    let mut members = Map::new();
    members.insert(String::from("text"), Value::from(text));
    let lists = [("links", links), ("not_shown", left_out)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    members.extend(lists.map(|(name, list)| (name.to_owned(), Value::from(list))));
    Value::Object(members)
}

fn json_of(text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '[']);
    if begins { serde_json::from_str(text).ok() } else { None }
}

fn bound(value: Value) -> Value {
    let text = bounded::fit(&value, ANSWER_MAX);
    serde_json::from_str(&text).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolDefinition;

    fn offer(output: Option<Value>) -> Offer {
        let definition =
            ToolDefinition { name: "s__t".into(), description: String::new(), parameters: json!({}) };
        Offer { definition, name: "t".into(), output, needs_approval: true, idempotent: false }
    }

    fn read_json(output: Option<Value>, result: Value) -> Result<Value> {
        let result: CallToolResult = serde_json::from_value(result).unwrap();
        read("s", &offer(output), CallToolResponse::Complete(result))
    }

    #[track_caller]
    fn becomes(result: Value, expected: Value) {
        assert_eq!(read_json(None, result).unwrap(), expected);
    }

    #[test]
    fn texts_are_joined_and_read_and_the_rest_is_named() {
        let text = |text: &str| json!({"type": "text", "text": text});
        becomes(json!({"content": []}), json!({"text": ""}));
        becomes(json!({"content": [text("a"), text("b")]}), json!({"text": "a\nb"}));
        becomes(json!({"content": [text("{\"a\": 1}")]}), json!({"a": 1}));
        becomes(json!({"content": [text("[not json")]}), json!({"text": "[not json"}));
        becomes(json!({"content": [text("x")], "structuredContent": {"y": 1}}), json!({"y": 1}));
        let mixed = json!({"content": [
            text("see"),
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
            {"type": "resource_link", "uri": "file:///a", "name": "a"},
            {"type": "resource", "resource": {"uri": "file:///b", "text": "b's text"}},
        ]});
        let expected = json!({
            "text": "see\nb's text",
            "links": [{"uri": "file:///a", "name": "a"}],
            "not_shown": [{"kind": "image", "type": "image/png", "bytes": 3}],
        });
        becomes(mixed, expected);
    }

    #[test]
    fn an_answer_is_held_to_what_was_promised() {
        let promise = || Some(json!({"type": "object", "properties": {"n": {"type": "integer"}}}));
        let fails = |result: Value| read_json(promise(), result).unwrap_err().message.into_owned();
        assert_eq!(read_json(promise(), json!({"structuredContent": {"n": 1}})).unwrap(), json!({"n": 1}));
        let lie = fails(json!({"structuredContent": {"n": "one"}}));
        assert!(lie.contains("answered something else than it promises: /n is no integer"), "{lie}");
        assert!(fails(json!({"content": []})).contains("sent none"));
        assert_eq!(
            fails(json!({"isError": true, "content": [{"type": "text", "text": "no\u{7} such zone."}]})),
            "no  such zone"
        );
        assert!(fails(json!({"isError": true, "content": []})).contains("does not say why"));
    }

    #[test]
    fn a_huge_answer_is_cut_and_says_so() {
        let rows: Vec<_> = (0..100_000).map(|n| json!({"row": n})).collect();
        let answer = read_json(None, json!({"structuredContent": {"rows": rows}})).unwrap();
        assert!(answer.to_string().len() <= ANSWER_MAX);
        assert!(answer["left_out"]["rows"].as_u64().unwrap() > 0);
    }
}
