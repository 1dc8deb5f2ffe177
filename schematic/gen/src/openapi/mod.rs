//! OpenAPI 3.1 output, for the REST half of a definition.
//!
//! Types become JSON Schema 2020-12 under `components.schemas`. Whatever OpenAPI has no word for (pagination, what may be
//! repeated, streams of values, where the credential is found) stands under `x-schematic` at its place.

mod bodies;

use std::collections::BTreeMap;

use schematic_define::{AuthStrategy, Definition, Endpoint, ParamPlace, ParamType, Problem, RestApi};
use serde_json::{Value, json};

use crate::File;
use crate::ir::{self, Api};
use crate::json_schema::{Draft, named, object, scalar, text, without_nulls};

/// Writes `openapi.json`.
///
/// # Errors
/// Every problem of the definition. That it has no REST API is one; that two endpoints have one method and path,
/// for which OpenAPI has only one place, is another.
pub fn document(definition: &Definition) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let Some(rest) = &definition.rest else {
        let message = "the definition has no REST API, so there is nothing to export; add one".into();
        return Err(vec![Problem { place: "rest".into(), message }]);
    };
    let problems = shared_places(rest);
    if !problems.is_empty() {
        return Err(problems);
    }
    let schemes = scheme(&rest.auth).map(|scheme| object([("credential".to_owned(), scheme)]));
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": api.wire,
            // A definition has no version of its own; the vendor's reference is what counts.
            "version": "1.0.0",
            "description": text(&api.description),
        },
        "externalDocs": rest.docs_url.as_ref().map(|url| json!({ "url": url })),
        "servers": [{ "url": rest.base_url, "description": text(&rest.description) }],
        "security": schemes.is_some().then(|| json!([{ "credential": [] }])),
        "paths": paths(&api, rest),
        "components": {
            "schemas": object(api.types.iter().map(|decl| (decl.name.clone(), named(&api, Draft::Of2020, decl)))),
            "securitySchemes": schemes,
        },
        "x-schematic": { "env_auth": rest.env_auth, "env_username": rest.env_username },
    });
    let text = serde_json::to_string_pretty(&without_nulls(document)).expect("JSON values have string keys");
    Ok(vec![("openapi.json".into(), text + "\n")])
}

/// Endpoints that would stand at the same place of the document. Names of path parameters do not tell paths apart.
fn shared_places(rest: &RestApi) -> Vec<Problem> {
    let mut paths: BTreeMap<String, &Endpoint> = BTreeMap::new();
    let mut problems = Vec::new();
    for endpoint in &rest.endpoints {
        let other = *paths.entry(without_names(&endpoint.path)).or_insert(endpoint);
        let same_operation = rest
            .endpoints
            .iter()
            .take_while(|e| e.id != endpoint.id)
            .any(|e| e.path == endpoint.path && e.method == endpoint.method);
        if other.path == endpoint.path && !same_operation {
            continue;
        }
        problems.push(Problem {
            place: format!("rest.endpoints.{}.path", endpoint.id),
            message: format!(
                "OpenAPI cannot tell `{}` from `{}` of `{}`; give one of them another path or method",
                endpoint.path, other.path, other.id
            ),
        });
    }
    problems
}

/// A path template with the names of its parameters left out.
fn without_names(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('}').map_or(part, |(_, after)| after));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("{}")
}

/// How requests are authenticated.
fn scheme(auth: &AuthStrategy) -> Option<Value> {
    let key = |name: &str, place: &str| Some(json!({ "type": "apiKey", "name": name, "in": place }));
    match auth {
        AuthStrategy::None => None,
        AuthStrategy::BearerToken { header: None } => Some(json!({ "type": "http", "scheme": "bearer" })),
        AuthStrategy::BearerToken { header: Some(header) } | AuthStrategy::ApiKey { header } => {
            key(header, "header")
        }
        AuthStrategy::Basic => Some(json!({ "type": "http", "scheme": "basic" })),
        AuthStrategy::ApiKeyQuery { name } => key(name, "query"),
        AuthStrategy::ApiKeyCookie { name } => key(name, "cookie"),
    }
}

fn paths(api: &Api, rest: &RestApi) -> Value {
    let mut paths = serde_json::Map::new();
    for endpoint in &rest.endpoints {
        let item = paths.entry(endpoint.path.clone()).or_insert_with(|| json!({}));
        item[endpoint.method.name().to_lowercase()] = operation(api, rest, endpoint);
    }
    Value::Object(paths)
}

fn operation(api: &Api, rest: &RestApi, endpoint: &Endpoint) -> Value {
    let headers = fixed_headers(rest, endpoint);
    let (named, apart): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| !has_own_word(name));
    let parameters: Vec<Value> = [path_parameters(endpoint), declared(endpoint)]
        .concat()
        .into_iter()
        .chain(named.into_iter().map(|(name, value)| fixed_header(name, value)))
        .collect();
    json!({
        "operationId": endpoint.id,
        "summary": text(&endpoint.description),
        "parameters": (!parameters.is_empty()).then_some(parameters),
        "requestBody": endpoint.request.as_ref().map(|request| bodies::request(api, request)),
        "responses": bodies::responses(api, endpoint),
        "x-schematic": {
            "pagination": endpoint.pagination,
            "retry": { "idempotent": endpoint.method.is_idempotent() },
            "headers": (!apart.is_empty()).then_some(apart),
        },
    })
}

/// Parameters of the path about which the definition says no more than their names.
fn path_parameters(endpoint: &Endpoint) -> Vec<Value> {
    let mut names = endpoint.path_params();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let known = |name: &str| endpoint.params.iter().any(|p| p.place == ParamPlace::Path && p.name == name);
    let plain = names.into_iter().filter(|name| !known(name));
    plain
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": scalar(ParamType::String, None) })
        })
        .collect()
}

fn declared(endpoint: &Endpoint) -> Vec<Value> {
    let declared = endpoint.params.iter().map(|param| {
        json!({
            "name": param.name,
            "in": place(param.place),
            "required": param.required,
            "description": text(&param.description),
            "schema": scalar(param.param_type, param.default.as_deref()),
        })
    });
    declared.collect()
}

fn place(place: ParamPlace) -> &'static str {
    match place {
        ParamPlace::Path => "path",
        ParamPlace::Query => "query",
        ParamPlace::Header => "header",
        ParamPlace::Cookie => "cookie",
    }
}

/// Headers with one value, which requests of this endpoint carry; its own win over those of the API.
fn fixed_headers<'a>(rest: &'a RestApi, endpoint: &'a Endpoint) -> Vec<(&'a str, &'a str)> {
    let of_endpoint = endpoint.params.iter().filter(|p| p.place == ParamPlace::Header).map(|p| &p.name);
    let mut taken: Vec<String> = of_endpoint.map(|name| name.to_lowercase()).collect();
    let mut headers = Vec::new();
    for (name, value) in endpoint.headers.iter().chain(&rest.headers) {
        if !taken.contains(&name.to_lowercase()) {
            taken.push(name.to_lowercase());
            headers.push((name.as_str(), value.as_str()));
        }
    }
    headers
}

/// Whether OpenAPI has a word of its own for a header, and ignores a parameter of that name.
fn has_own_word(header: &str) -> bool {
    ["accept", "content-type", "authorization"].iter().any(|name| header.eq_ignore_ascii_case(name))
}

fn fixed_header(name: &str, value: &str) -> Value {
    json!({ "name": name, "in": "header", "required": true, "schema": { "type": "string", "const": value } })
}
