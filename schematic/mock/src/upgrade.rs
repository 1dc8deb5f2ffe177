//! The upgrade request: whether its path, query, headers, credentials and subprotocols are as the definition says.

use percent_encoding::percent_decode_str;
use schematic_define::{
    AuthStrategy, AuthWay, ConnectionParam, Definition, EndpointPolicy, ParamType, WebSocketEndpoint,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, Uri};

use crate::Faults;

/// An upgrade that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Place of the endpoint in the definition
    pub(crate) endpoint: usize,
    /// The subprotocol that was chosen
    pub(crate) subprotocol: Option<String>,
    /// Whether the credential has still to come, in the first message
    pub(crate) credential_due: bool,
    /// What the query asks to go wrong
    pub(crate) faults: Faults,
}

/// An upgrade that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status
    pub(crate) status: u16,
    /// Why, in a sentence
    pub(crate) reason: String,
}

fn refuse<T>(status: u16, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { status, reason: reason.into() })
}

/// What a request brings.
struct Request<'a> {
    headers: &'a HeaderMap,
    query: Vec<(String, String)>,
    offered: Vec<String>,
}

/// Judges a request. With a credential, that one is wanted; without, any that is not empty will do.
pub(crate) fn judge(
    definition: &Definition,
    credential: Option<&str>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Accepted, Refusal> {
    let Some(endpoint) = route(definition, uri.path()) else {
        return refuse(404, format!("no endpoint has the path `{}`", uri.path()));
    };
    let api = definition.websocket.as_ref();
    let policy_of = &definition.websocket_endpoints()[endpoint];
    let policy = definition.find_policy(&policy_of.id).cloned().unwrap_or_default();
    let query =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let request = Request { headers, query, offered: offered(headers) };
    for (name, _) in api.map_or(&[][..], |api| &api.headers) {
        if !headers.contains_key(name) {
            return refuse(400, format!("the header `{name}` is missing"));
        }
    }
    params(&policy_of.connection_params, &request)?;
    let ways = ways(definition, &policy);
    let credential_due = credentials(&ways, credential, &request)?;
    let subprotocol = subprotocol(&policy, &ways, &request)?;
    let asked = request.query.iter().find(|(name, _)| name == "mock").map_or("", |(_, value)| value);
    let faults = Faults::parse(asked).or_else(|why| refuse(400, why))?;
    Ok(Accepted { endpoint, subprotocol, credential_due, faults })
}

/// The endpoint of a path; the path of the base URL may stand before it.
fn route(definition: &Definition, path: &str) -> Option<usize> {
    let base = definition.websocket.as_ref().map_or("", |api| &api.base_url);
    let base = base.split_once("://").map_or(base, |(_, rest)| rest);
    let base = base.find('/').map_or("", |at| &base[at..]).trim_end_matches('/');
    let short = path.strip_prefix(base);
    let serves = |endpoint: &WebSocketEndpoint| {
        matches(&endpoint.path, path) || short.is_some_and(|short| matches(&endpoint.path, short))
    };
    // A path without parameters is meant even where one with parameters would do.
    let endpoints = definition.websocket_endpoints();
    let plain = endpoints.iter().position(|e| serves(e) && e.path_params().is_empty());
    plain.or_else(|| endpoints.iter().position(serves))
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.trim_end_matches('/'), path.trim_end_matches('/'));
    let mut parts = path.split('/');
    template.split('/').all(|wanted| parts.next().is_some_and(|part| part_matches(wanted, part)))
        && parts.next().is_none()
}

/// Whether a segment fits: what stands around the braces has to be there, and something for what stands in them.
fn part_matches(wanted: &str, part: &str) -> bool {
    let decoded = percent_decode_str(part).decode_utf8_lossy();
    match (wanted.find('{'), wanted.rfind('}')) {
        (Some(open), Some(close)) if open < close => {
            let (before, after) = (&wanted[..open], &wanted[close + 1..]);
            let inside = decoded.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            inside.is_some_and(|value| !value.is_empty())
        }
        (_, _) => decoded == wanted,
    }
}

fn params(params: &[ConnectionParam], request: &Request) -> Result<(), Refusal> {
    for param in params {
        let given = request.query.iter().find(|(name, _)| *name == param.name);
        match given {
            Some((name, value)) if !is_of(param.param_type, value) => {
                return refuse(400, format!("the query parameter `{name}` is no {}", noun(param.param_type)));
            }
            None if param.required => {
                return refuse(400, format!("the query parameter `{}` is missing", param.name));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn is_of(kind: ParamType, value: &str) -> bool {
    match kind {
        ParamType::String => true,
        ParamType::Integer => value.parse::<i64>().is_ok(),
        ParamType::Boolean => value == "true" || value == "false",
        ParamType::Float => value.parse::<f64>().is_ok(),
    }
}

fn noun(kind: ParamType) -> &'static str {
    match kind {
        ParamType::String => "text",
        ParamType::Integer => "whole number",
        ParamType::Boolean => "`true` or `false`",
        ParamType::Float => "number",
    }
}

/// The ways that an endpoint accepts: its own, or that of the API.
fn ways(definition: &Definition, policy: &EndpointPolicy) -> Vec<AuthWay> {
    if !policy.auth.is_empty() {
        return policy.auth.clone();
    }
    let header =
        |name: &str, prefix: &str| vec![AuthWay::Header { name: name.into(), prefix: prefix.into() }];
    match definition.websocket.as_ref().map(|api| &api.auth) {
        None | Some(AuthStrategy::None) => vec![],
        Some(AuthStrategy::BearerToken { header: None }) => header("authorization", "Bearer "),
        Some(AuthStrategy::BearerToken { header: Some(name) }) => header(name, "Bearer "),
        Some(AuthStrategy::ApiKey { header: name }) => header(name, ""),
        Some(AuthStrategy::Basic) => header("authorization", "Basic "),
        Some(AuthStrategy::ApiKeyQuery { name }) => {
            vec![AuthWay::Query { name: name.clone(), prefix: String::new() }]
        }
        Some(AuthStrategy::ApiKeyCookie { name }) => vec![AuthWay::Cookie { name: name.clone() }],
    }
}

/// Whether the credential has still to come; an error if it should be here and is not, or is wrong.
fn credentials(ways: &[AuthWay], wanted: Option<&str>, request: &Request) -> Result<bool, Refusal> {
    let found: Vec<String> = ways.iter().filter_map(|way| credential(way, request)).collect();
    if found.iter().any(|value| is_wanted(value, wanted)) {
        return Ok(false);
    }
    let first_message = ways.iter().any(|way| matches!(way, AuthWay::FirstMessage { .. }));
    let by_call = ways.iter().any(|way| matches!(way, AuthWay::UrlByCall { .. }));
    match found.is_empty() {
        true if first_message => Ok(true),
        true if by_call || ways.is_empty() => Ok(false),
        true => refuse(401, format!("the credential is missing; send it {}", places(ways))),
        false => refuse(401, "the credential is not the right one"),
    }
}

/// Whether a credential is the one that is wanted, or any if none in particular is.
pub(crate) fn is_wanted(value: &str, wanted: Option<&str>) -> bool {
    match wanted {
        Some(wanted) => value == wanted,
        None => !value.is_empty(),
    }
}

fn credential(way: &AuthWay, request: &Request) -> Option<String> {
    let stripped = |value: &str, prefix: &str| value.strip_prefix(prefix).unwrap_or_default().to_owned();
    match way {
        AuthWay::Header { name, prefix } => Some(stripped(request.headers.get(name)?.to_str().ok()?, prefix)),
        AuthWay::Query { name, prefix } => {
            let (_, value) = request.query.iter().find(|(given, _)| given == name)?;
            Some(stripped(value, prefix))
        }
        AuthWay::Cookie { name } => {
            let cookies = request.headers.get("cookie")?.to_str().ok()?;
            let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(given, _)| given == name).map(|(_, value)| value.to_owned())
        }
        AuthWay::Subprotocol { prefix, beside } => {
            let mut rest = request.offered.iter().filter(|offered| !beside.contains(offered));
            let all_there = beside.iter().all(|name| request.offered.contains(name));
            rest.find_map(|offered| offered.strip_prefix(prefix.as_str()).map(str::to_owned))
                .filter(|_| all_there)
        }
        AuthWay::FirstMessage { .. } | AuthWay::UrlByCall { .. } => None,
    }
}

fn places(ways: &[AuthWay]) -> String {
    let place = |way: &AuthWay| match way {
        AuthWay::Header { name, .. } => format!("in the header `{name}`"),
        AuthWay::Query { name, .. } => format!("in the query parameter `{name}`"),
        AuthWay::Cookie { name } => format!("in the cookie `{name}`"),
        AuthWay::Subprotocol { .. } => "as a subprotocol".into(),
        AuthWay::FirstMessage { message, .. } => format!("in the message `{message}`"),
        AuthWay::UrlByCall { endpoint, .. } => format!("in the URL that `{endpoint}` gives"),
    };
    ways.iter().map(place).collect::<Vec<_>>().join(" or ")
}

fn offered(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("sec-websocket-protocol").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// The subprotocol to choose. A credential among the offered names is never said back.
fn subprotocol(
    policy: &EndpointPolicy,
    ways: &[AuthWay],
    request: &Request,
) -> Result<Option<String>, Refusal> {
    let known = |name: &&String| policy.subprotocols.contains(name);
    match request.offered.iter().find(known) {
        Some(name) => Ok(Some(name.clone())),
        None if !policy.subprotocols.is_empty() => {
            refuse(400, format!("offer one of these subprotocols: {}", policy.subprotocols.join(", ")))
        }
        None => {
            let beside = ways.iter().filter_map(|way| match way {
                AuthWay::Subprotocol { beside, .. } => beside.first(),
                AuthWay::Header { .. }
                | AuthWay::Query { .. }
                | AuthWay::Cookie { .. }
                | AuthWay::FirstMessage { .. }
                | AuthWay::UrlByCall { .. } => None,
            });
            Ok(beside.into_iter().find(|name| request.offered.contains(name)).cloned())
        }
    }
}
