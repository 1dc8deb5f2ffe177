//! Exported AsyncAPI documents: every example fits its schema, every reference leads somewhere.
//!
//! That the documents are AsyncAPI is judged by the parser of the AsyncAPI project, which needs node and runs apart.

use schematic_define::{BodyKind, Definition};
use schematic_gen::asyncapi;
use serde_json::{Value, json};

use crate::samples;

pub(crate) fn export(definition: &Definition) -> Value {
    let files = asyncapi::document(definition).unwrap();
    serde_json::from_str(&files[0].1).unwrap()
}

/// What judges frames of a message by the document's schemas.
pub(crate) fn validator(document: &Value, id: &str) -> jsonschema::Validator {
    let messages = document["components"]["messages"].as_object().unwrap();
    let message = messages.values().find(|m| m["name"] == id).unwrap();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [message["payload"]],
        "components": document["components"],
    });
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_example_fits_its_schema_and_a_spoilt_one_does_not() {
    let mut judged = 0;
    for (name, definition) in samples::with_websocket() {
        let document = export(&definition);
        for facts in definition.messages.iter().filter(|f| f.body == BodyKind::Json) {
            let validator = validator(&document, &facts.id);
            for example in &facts.examples {
                let verdict = validator.validate(&example.value);
                assert!(verdict.is_ok(), "{name} {} {}: {:?}", facts.id, example.name, verdict);
                judged += 1;
            }
            assert!(!validator.is_valid(&json!(7)), "{name} {} accepts a number", facts.id);
        }
    }
    assert!(judged > 25, "only {judged} examples");
}

#[test]
fn every_reference_leads_somewhere() {
    for (name, definition) in samples::with_websocket() {
        let document = export(&definition);
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            assert!(document.pointer(&reference[1..]).is_some(), "{name}: {reference}");
        }
    }
}

/// All references in a document.
pub(crate) fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                references.push(reference.to_owned());
            }
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_client_sends_and_the_direction_is_named() {
    let document = export(&samples::envelope());
    assert_eq!(document["x-schematic"]["perspective"], "client");
    assert_eq!(document["operations"]["Talk.send.Find"]["action"], "send");
    assert_eq!(document["operations"]["Talk.receive.Success"]["action"], "receive");
}

#[test]
fn without_a_websocket_api_there_is_nothing_to_export() {
    let mut definition = samples::kinds();
    definition.websocket = None;
    definition.messages.clear();
    definition.policies.clear();
    let problems = asyncapi::document(&definition).unwrap_err();
    assert!(problems[0].to_string().contains("nothing to export"), "{problems:?}");
}
