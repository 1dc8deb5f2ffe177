//! Exported OpenAPI documents: every parameter, body and status of a definition is there, and references lead somewhere.
//!
//! That the documents are OpenAPI is judged by other people's validator, which needs node and runs apart.

use schematic_define::prelude::*;
use schematic_gen::openapi;
use serde_json::{Value, json};

use crate::samples;

fn export(definition: &Definition) -> Value {
    let files = openapi::document(definition).unwrap();
    assert_eq!(files[0].0, "openapi.json");
    serde_json::from_str(&files[0].1).unwrap()
}

#[test]
fn parameters_stand_in_their_places() {
    let document = export(&samples::rest_kinds());
    let parameters = document["paths"]["/json/{a}"]["put"]["parameters"].as_array().unwrap();
    let places: Vec<_> =
        parameters.iter().map(|p| (p["name"].as_str().unwrap(), p["in"].as_str().unwrap())).collect();
    assert_eq!(
        places,
        [("a", "path"), ("a", "query"), ("X-A", "header"), ("a", "cookie"), ("x-b", "header")]
    );
    assert_eq!(parameters[0]["required"], true);
    assert_eq!(parameters[1]["schema"], json!({ "type": "integer", "default": 7 }));
    assert_eq!(parameters[4]["schema"]["const"], "mine");
    let operation = &document["paths"]["/json/{a}"]["put"];
    assert_eq!(operation["x-schematic"]["headers"], json!([["Accept", "text/csv"]]));
    assert_eq!(document["paths"]["/text/{a}"]["put"]["parameters"][0]["in"], "path");
}

#[test]
fn bodies_have_their_media_types() {
    let document = export(&samples::rest_kinds());
    let content =
        |id: &str| document["paths"][format!("/{id}/{{a}}")]["put"]["requestBody"]["content"].clone();
    assert_eq!(content("json")["application/json"]["schema"]["$ref"], "#/components/schemas/Item");
    assert_eq!(content("text")["text/csv"]["schema"]["type"], "string");
    assert_eq!(content("binary")["audio/mpeg"], json!({}));
    assert_eq!(
        content("urlencoded")["application/x-www-form-urlencoded"]["schema"]["required"],
        json!(["word"])
    );
    let form = &content("form")["multipart/form-data"];
    assert_eq!(form["schema"]["properties"]["many"]["items"]["contentMediaType"], "application/octet-stream");
    assert_eq!(form["encoding"], json!({ "data": { "contentType": "application/json" } }));
}

#[test]
fn answers_have_their_statuses() {
    let document = export(&samples::rest_kinds());
    let answer = |id: &str| document["paths"][format!("/{id}")]["get"]["responses"]["2XX"]["content"].clone();
    assert_eq!(answer("plain")["text/plain"]["schema"]["type"], "string");
    assert_eq!(answer("bytes")["application/octet-stream"], json!({}));
    let stream = &answer("events")["text/event-stream"]["x-schematic"]["stream"];
    assert_eq!(stream["item"]["$ref"], "#/components/schemas/Item");
    assert!(document["paths"]["/json/{a}"]["put"]["responses"]["2XX"].get("content").is_none());
}

#[test]
fn the_voices_have_pages_errors_and_a_credential() {
    let document = export(&schematic_definitions::elevenlabs_rest::elevenlabs_rest());
    let search = &document["paths"]["/v2/voices"]["get"];
    assert_eq!(search["x-schematic"]["pagination"]["cursor"]["next"], json!(["next_page_token"]));
    assert_eq!(search["x-schematic"]["retry"]["idempotent"], true);
    let statuses: Vec<&String> = search["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "400", "401", "404", "422", "429"]);
    assert_eq!(document["paths"]["/v1/voices/add"]["post"]["x-schematic"]["retry"]["idempotent"], false);
    let scheme = json!({ "type": "apiKey", "name": "xi-api-key", "in": "header" });
    assert_eq!(document["components"]["securitySchemes"]["credential"], scheme);
    assert_eq!(document["security"], json!([{ "credential": [] }]));
}

#[test]
fn every_reference_leads_somewhere() {
    let with_rest = samples::all().into_iter().filter(|(_, definition)| definition.rest.is_some());
    let mut judged = 0;
    for (name, definition) in with_rest {
        let document = export(&definition);
        let mut references = Vec::new();
        crate::asyncapi::collect(&document, &mut references);
        for reference in references {
            assert!(document.pointer(&reference[1..]).is_some(), "{name}: {reference}");
            judged += 1;
        }
    }
    assert!(judged > 20, "only {judged} references");
}

#[test]
fn types_are_json_schema_2020_12() {
    let document = export(&samples::rest_kinds());
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/components/schemas/Item",
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&json!({ "pair": [1, "a"] })));
    assert!(!validator.is_valid(&json!({ "pair": ["a", 1] })));
    assert!(!validator.is_valid(&json!({ "pair": [1] })));
}

#[test]
fn errors_of_the_voices_fit_their_schema_in_every_form() {
    let document = export(&schematic_definitions::elevenlabs_rest::elevenlabs_rest());
    let schema = json!({ "$ref": "#/components/schemas/Failure", "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    for detail in [
        json!("Not Found"),
        json!({ "status": "voice_not_found", "message": "There is no such voice" }),
        json!([{ "loc": ["body", "files", 0], "msg": "field required", "type": "value_error.missing" }]),
    ] {
        assert!(validator.is_valid(&json!({ "detail": detail })), "{detail}");
    }
    assert!(!validator.is_valid(&json!({ "detail": 7 })));
}

#[test]
fn two_endpoints_at_one_place_are_refused_with_both_names() {
    for (path, method) in [("/json/{a}", RestMethod::Put), ("/json/{b}", RestMethod::Get)] {
        let mut definition = samples::rest_kinds();
        let rest = definition.rest.as_mut().unwrap();
        rest.endpoints.push(Endpoint::new("Again", method, path, "", ApiResponse::Empty));
        let problems = openapi::document(&definition).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let line = problems[0].to_string();
        assert!(line.contains("rest.endpoints.Again") && line.contains("`json`"), "{line}");
    }
}

#[test]
fn without_a_rest_api_there_is_nothing_to_export() {
    let problems = openapi::document(&samples::kinds()).unwrap_err();
    assert!(problems[0].to_string().contains("nothing to export"), "{problems:?}");
}
