//! Writes the HTTP call that gives the address of a connection: the request as data, and what it is filled with.

use schematic_define::{AuthWay, Definition, Endpoint as RestEndpoint, ParamPlace, ParamType};

use super::policy;
use super::writer::{key, list, names, quoted};
use crate::ir::Endpoint;

/// A parameter of the call.
pub(super) struct CallParam {
    pub(super) name: String,
    pub(super) ty: ParamType,
    pub(super) required: bool,
}

/// The call of an endpoint, if its address can come from one.
fn called<'a>(definition: &'a Definition, endpoint: &Endpoint) -> Option<&'a RestEndpoint> {
    let id = endpoint.policy.auth.iter().find_map(|way| match way {
        AuthWay::UrlByCall { endpoint, .. } => Some(endpoint),
        AuthWay::Header { .. }
        | AuthWay::Query { .. }
        | AuthWay::Cookie { .. }
        | AuthWay::Subprotocol { .. }
        | AuthWay::FirstMessage { .. } => None,
    })?;
    definition.rest_endpoints().iter().find(|candidate| candidate.id == *id)
}

/// The call as the runtime's `CallSpec`.
pub(super) fn specification(definition: &Definition, id: &str) -> Option<String> {
    let api = definition.rest.as_ref()?;
    let endpoint = api.endpoints.iter().find(|endpoint| endpoint.id == id)?;
    let mut parts = vec![
        format!("method: {}", quoted(endpoint.method.name())),
        format!("baseUrl: {}", quoted(&api.base_url)),
        format!("path: {}", quoted(&endpoint.path)),
    ];
    let query = endpoint.params.iter().filter(|param| param.place == ParamPlace::Query);
    let query: Vec<&String> = query.map(|param| &param.name).collect();
    if !query.is_empty() {
        parts.push(format!("query: {}", names(query)));
    }
    let headers = api.headers.iter().chain(&endpoint.headers);
    let headers = list(headers.map(|(name, value)| format!("{}: {}", key(name), quoted(value))));
    if !headers.is_empty() {
        parts.push(format!("headers: {{ {headers} }}"));
    }
    parts.extend(policy::strategy(&api.auth).map(|way| format!("auth: {way}")));
    Some(format!("{{ {} }}", parts.join(", ")))
}

/// What the call is filled with beside the connection's own parameters.
pub(super) fn parameters(definition: &Definition, endpoint: &Endpoint) -> Vec<CallParam> {
    let Some(call) = called(definition, endpoint) else { return Vec::new() };
    // Where there is another way to authenticate, it may be the one that is taken.
    let only = endpoint.policy.auth.len() == 1;
    let own = |name: &str| endpoint.path_params.iter().chain(&endpoint.query).any(|param| param.wire == name);
    let declared = |name: &str| call.params.iter().find(|param| param.name == name);
    let path = call.path_params().into_iter().map(|name| CallParam {
        name: name.to_owned(),
        ty: declared(name).map_or(ParamType::String, |param| param.param_type),
        required: only,
    });
    let query = call.params.iter().filter(|param| param.place == ParamPlace::Query).map(|param| CallParam {
        name: param.name.clone(),
        ty: param.param_type,
        required: only && param.required,
    });
    path.chain(query).filter(|param| !own(&param.name)).collect()
}

/// The environment variables that may hold the credential, those of a call among them.
pub(super) fn variables<'a>(definition: &'a Definition, endpoint: &Endpoint) -> Vec<&'a String> {
    let own = definition.websocket.iter().flat_map(|api| &api.env_auth);
    let of_call = called(definition, endpoint).and(definition.rest.as_ref()).map(|api| &api.env_auth);
    let mut variables: Vec<&String> = Vec::new();
    for name in own.chain(of_call.into_iter().flatten()) {
        if !variables.contains(&name) {
            variables.push(name);
        }
    }
    variables
}
