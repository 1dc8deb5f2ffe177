//! What requests carry and what comes back, by media type and status.

use schematic_define::{
    ApiRequest, ApiResponse, Endpoint, FormField, FormFieldKind, Schema, StreamFormat, Type,
};
use serde_json::{Value, json};

use crate::ir::Api;
use crate::json_schema::{object, of, text};

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// The body of a request.
pub(super) fn request(api: &Api, request: &ApiRequest) -> Value {
    let (content_type, media) = match request {
        ApiRequest::Json(schema) => (JSON, json!({ "schema": reference(api, schema) })),
        ApiRequest::FormData { fields } => ("multipart/form-data", form(api, fields)),
        ApiRequest::UrlEncoded { fields } => ("application/x-www-form-urlencoded", form(api, fields)),
        ApiRequest::Text { content_type } => {
            (content_type.as_str(), json!({ "schema": { "type": "string" } }))
        }
        // Bytes are no JSON, so there is no schema to say about them.
        ApiRequest::Binary { content_type } => (content_type.as_str(), json!({})),
    };
    json!({ "required": true, "content": object([(content_type.to_owned(), media)]) })
}

/// A reference to a type of the type table.
fn reference(api: &Api, schema: &Schema) -> Value {
    let decl = api.types.iter().find(|decl| decl.wire == schema.type_name);
    of(&Type::Named(decl.expect("check() has found every type").name.clone()))
}

/// A form; parts with JSON say so, because text is what a form assumes.
fn form(api: &Api, fields: &[FormField]) -> Value {
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
    let is_json = |f: &&FormField| matches!(f.kind, FormFieldKind::Json(_));
    let encoding: Vec<_> =
        fields.iter().filter(is_json).map(|f| (f.name.clone(), json!({ "contentType": JSON }))).collect();
    json!({
        "schema": {
            "type": "object",
            "properties": object(fields.iter().map(|f| (f.name.clone(), part(api, f)))),
            "required": (!required.is_empty()).then_some(required),
        },
        "encoding": (!encoding.is_empty()).then(|| object(encoding)),
    })
}

fn part(api: &Api, field: &FormField) -> Value {
    let file = || json!({ "type": "string", "contentMediaType": BYTES });
    let mut schema = match &field.kind {
        FormFieldKind::Text => json!({ "type": "string" }),
        FormFieldKind::File => file(),
        FormFieldKind::Files => json!({ "type": "array", "items": file() }),
        FormFieldKind::Json(schema) => reference(api, schema),
    };
    if let Some(description) = text(&field.description) {
        schema["description"] = description.into();
    }
    schema
}

/// The responses of an endpoint by status; without statuses the one answer stands for every success.
pub(super) fn responses(api: &Api, endpoint: &Endpoint) -> Value {
    match &endpoint.response {
        ApiResponse::PerStatus(statuses) => object(statuses.iter().map(|status| {
            let otherwise = format!("The answer with status {}", status.status);
            let description = text(&status.description).unwrap_or(&otherwise);
            (status.status.to_string(), response(api, description, &status.body))
        })),
        single @ (ApiResponse::Json(_)
        | ApiResponse::Text
        | ApiResponse::Binary
        | ApiResponse::Empty
        | ApiResponse::Stream { .. }) => {
            object([("2XX".to_owned(), response(api, "The request was successful", single))])
        }
    }
}

fn response(api: &Api, description: &str, body: &ApiResponse) -> Value {
    let content = content(api, body).map(|(content_type, media)| object([(content_type.to_owned(), media)]));
    json!({ "description": description, "content": content })
}

/// Media type and media object of a body; nothing if it is empty.
fn content(api: &Api, body: &ApiResponse) -> Option<(&'static str, Value)> {
    match body {
        ApiResponse::Json(schema) => Some((JSON, json!({ "schema": reference(api, schema) }))),
        ApiResponse::Text => Some(("text/plain", json!({ "schema": { "type": "string" } }))),
        ApiResponse::Binary => Some((BYTES, json!({}))),
        ApiResponse::Stream { format, item } => Some(stream(api, *format, item)),
        // check() has refused statuses within statuses.
        ApiResponse::Empty | ApiResponse::PerStatus(_) => None,
    }
}

/// A stream is text to OpenAPI 3.1; what its values are is said beside it.
fn stream(api: &Api, format: StreamFormat, item: &Schema) -> (&'static str, Value) {
    let content_type = match format {
        StreamFormat::ServerSentEvents => "text/event-stream",
        StreamFormat::JsonLines => "application/jsonl",
    };
    let item = reference(api, item);
    let media = json!({
        "schema": { "type": "string" },
        "x-schematic": { "stream": { "format": format, "item": item } },
    });
    (content_type, media)
}
