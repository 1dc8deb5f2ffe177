//! The REST half of a definition as generators of clients want it: names chosen, headers merged, statuses sorted into
//! successes and faults, the type of a list's items found.

use schematic_define::{
    ApiRequest, ApiResponse, AuthStrategy, Definition, FormField, Pagination, ParamPlace, ParamType, Problem,
    RestApi, RestMethod, RestParam, Schema, StatusResponse, StreamFormat, Type,
};

use crate::ir::{Api, TypeKind};
use crate::names::{self, Scope};

/// A REST API.
#[derive(Debug)]
pub(crate) struct Rest<'a> {
    pub(crate) define: &'a RestApi,
    /// Name of the client
    pub(crate) client: String,
    pub(crate) endpoints: Vec<Endpoint<'a>>,
    /// The lists of errors, each once
    pub(crate) faults: Vec<Faults>,
}

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) define: &'a schematic_define::Endpoint,
    /// Name of the method, in `lower_snake_case`
    pub(crate) name: String,
    /// Names of the types that belong to it: parameters, form, answer
    pub(crate) params_name: String,
    pub(crate) form_name: String,
    pub(crate) answer_name: String,
    pub(crate) path: Vec<Param>,
    /// Those in query, headers and cookies
    pub(crate) params: Vec<Param>,
    /// Type of a body of JSON
    pub(crate) json: Option<Type>,
    pub(crate) form: Vec<Part>,
    /// Headers that always are the same
    pub(crate) headers: Vec<(String, String)>,
    /// What a success brings; the status is absent if it is any from 200 to 299
    pub(crate) successes: Vec<Outcome>,
    /// Its place in [`Rest::faults`]
    pub(crate) faults: Option<usize>,
    pub(crate) pages: Option<Pages<'a>>,
}

/// A parameter beside the body.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) wire: String,
    pub(crate) name: String,
    pub(crate) place: ParamPlace,
    pub(crate) ty: ParamType,
    pub(crate) required: bool,
    pub(crate) description: String,
}

/// A field of a form.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) wire: String,
    pub(crate) name: String,
    pub(crate) kind: PartKind,
    pub(crate) required: bool,
    pub(crate) description: String,
}

/// What a field of a form holds.
#[derive(Debug)]
pub(crate) enum PartKind {
    Text,
    File,
    Files,
    Json(Type),
}

/// A declared status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) description: String,
    pub(crate) body: Body,
}

/// What a reply holds, with resolved names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Json(Type),
    Text,
    Binary,
    Empty,
    Stream(StreamFormat, Type),
}

/// A list of declared errors.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Name of its type
    pub(crate) name: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// A list that comes in pages.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    /// Name of the method that gives the items of all pages
    pub(crate) name: String,
    /// Name of the one that makes the request for both
    pub(crate) call: String,
    pub(crate) define: &'a Pagination,
    pub(crate) item: Type,
    /// Number of the first page, where pages are counted
    pub(crate) first: u64,
}

/// The REST half of a definition. `methods` and `types` are names that generated code uses itself.
pub(crate) fn lower<'a>(
    api: &Api,
    definition: &'a Definition,
    methods: &[&str],
    types: &[&str],
) -> Result<Rest<'a>, Vec<Problem>> {
    let Some(rest) = &definition.rest else {
        let message = "the definition has no REST API, so there is no client to write; add one".into();
        return Err(vec![Problem { place: "rest".into(), message }]);
    };
    let mut types = Scope::with(names::RESERVED_TYPES.iter().chain(types).copied());
    let client = types.pascal(&rest.name);
    let mut methods = Scope::with(methods.iter().copied());
    let names: Vec<String> = rest.endpoints.iter().map(|endpoint| methods.snake(&endpoint.id)).collect();
    let mut lowered: Vec<Endpoint> = rest
        .endpoints
        .iter()
        .zip(names)
        .map(|(define, name)| endpoint(api, rest, define, name, &mut methods, &mut types))
        .collect();
    let faults = share_faults(api, rest, &mut lowered, &mut types);
    Ok(Rest { define: rest, client, endpoints: lowered, faults })
}

fn endpoint<'a>(
    api: &Api,
    rest: &RestApi,
    define: &'a schematic_define::Endpoint,
    name: String,
    methods: &mut Scope,
    types: &mut Scope,
) -> Endpoint<'a> {
    let named =
        |types: &mut Scope, suffix: &str| types.pascal(&format!("{}{suffix}", names::pascal(&define.id)));
    let (successes, _) = outcomes(api, define);
    let pages = define.pagination.as_ref().map(|pagination| Pages {
        name: methods.snake(&format!("{}_all", define.id)),
        call: methods.snake(&format!("{}_call", define.id)),
        define: pagination,
        item: item_type(api, &successes, items_path(pagination)),
        first: first_page(define, pagination),
    });
    Endpoint {
        define,
        name,
        params_name: named(types, "Params"),
        form_name: named(types, "Form"),
        answer_name: named(types, "Answer"),
        path: path_params(define),
        params: other_params(define),
        json: match &define.request {
            Some(ApiRequest::Json(schema)) => Some(resolved(api, schema)),
            _ => None,
        },
        form: form(api, define),
        headers: headers(rest, define, &successes),
        successes,
        faults: None,
        pages,
    }
}

fn path_params(define: &schematic_define::Endpoint) -> Vec<Param> {
    let mut scope = Scope::with(["params", "body", "form", "call", "pages", "reply", "self", "options"]);
    let mut seen = Vec::new();
    let mut params = Vec::new();
    for wire in define.path_params() {
        // A template may name a parameter twice, which is still given once.
        if seen.contains(&wire) {
            continue;
        }
        seen.push(wire);
        let declared = define.params.iter().find(|p| p.place == ParamPlace::Path && p.name == wire);
        params.push(Param {
            wire: wire.into(),
            name: scope.snake(wire),
            place: ParamPlace::Path,
            ty: declared.map_or(ParamType::String, |param| param.param_type),
            required: true,
            description: declared.map_or(String::new(), |param| param.description.clone()),
        });
    }
    params
}

fn other_params(define: &schematic_define::Endpoint) -> Vec<Param> {
    let mut scope = Scope::default();
    let others = define.params.iter().filter(|param| param.place != ParamPlace::Path);
    others
        .map(|param| {
            let name = scope.snake(&param.name);
            Param {
                wire: param.name.clone(),
                name,
                place: param.place,
                ty: param.param_type,
                required: param.required,
                description: about(param),
            }
        })
        .collect()
}

/// What is said about a parameter, with its default.
fn about(param: &RestParam) -> String {
    let description = param.description.trim_end_matches('.');
    match (&param.default, description) {
        (None, text) => text.to_owned(),
        (Some(default), "") => format!("Default: `{default}`"),
        (Some(default), text) => format!("{text}. Default: `{default}`"),
    }
}

fn form(api: &Api, define: &schematic_define::Endpoint) -> Vec<Part> {
    use schematic_define::FormFieldKind as Kind;
    let (ApiRequest::FormData { fields } | ApiRequest::UrlEncoded { fields }) = (match &define.request {
        Some(request) => request,
        None => return Vec::new(),
    }) else {
        return Vec::new();
    };
    let mut scope = Scope::default();
    let part = |field: &FormField| Part {
        wire: field.name.clone(),
        name: scope.snake(&field.name),
        kind: match &field.kind {
            Kind::Text => PartKind::Text,
            Kind::File => PartKind::File,
            Kind::Files => PartKind::Files,
            Kind::Json(schema) => PartKind::Json(resolved(api, schema)),
        },
        required: field.required,
        description: field.description.clone(),
    };
    fields.iter().map(part).collect()
}

/// The headers of API and endpoint, of which the endpoint's win; what the answer may be, unless they say it.
fn headers(
    rest: &RestApi,
    define: &schematic_define::Endpoint,
    successes: &[Outcome],
) -> Vec<(String, String)> {
    let accept = [("Accept".to_owned(), accepted(successes).to_owned())];
    let mut merged: Vec<(String, String)> = Vec::new();
    for (name, value) in accept.iter().chain(&rest.headers).chain(&define.headers) {
        merged.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        merged.push((name.clone(), value.clone()));
    }
    merged
}

fn accepted(successes: &[Outcome]) -> &'static str {
    let of = |body: &Body| match body {
        Body::Json(_) => "application/json",
        Body::Text => "text/plain",
        Body::Stream(StreamFormat::ServerSentEvents, _) => "text/event-stream",
        Body::Stream(StreamFormat::JsonLines, _) => "application/x-ndjson",
        Body::Binary | Body::Empty => "*/*",
    };
    let mut kinds = successes.iter().map(|outcome| of(&outcome.body));
    let first = kinds.next().unwrap_or("*/*");
    if kinds.all(|kind| kind == first) { first } else { "*/*" }
}

/// The declared successes and faults.
fn outcomes(api: &Api, define: &schematic_define::Endpoint) -> (Vec<Outcome>, Vec<Outcome>) {
    let one = |response: &ApiResponse| {
        vec![Outcome { status: None, description: String::new(), body: body(api, define, response) }]
    };
    let ApiResponse::PerStatus(statuses) = &define.response else {
        return (one(&define.response), Vec::new());
    };
    let outcome = |status: &StatusResponse| Outcome {
        status: Some(status.status),
        description: status.description.clone(),
        body: body(api, define, &status.body),
    };
    let (successes, faults): (Vec<_>, Vec<_>) =
        statuses.iter().map(outcome).partition(|outcome| matches!(outcome.status, Some(200..=299)));
    match successes.is_empty() {
        true => (one(&ApiResponse::Empty), faults),
        false => (successes, faults),
    }
}

fn body(api: &Api, define: &schematic_define::Endpoint, response: &ApiResponse) -> Body {
    match response {
        // Its replies have no bodies, whatever is declared.
        _ if define.method == RestMethod::Head => Body::Empty,
        ApiResponse::Json(schema) => Body::Json(resolved(api, schema)),
        ApiResponse::Text => Body::Text,
        ApiResponse::Binary => Body::Binary,
        ApiResponse::Empty | ApiResponse::PerStatus(_) => Body::Empty,
        ApiResponse::Stream { format, item } => Body::Stream(*format, resolved(api, item)),
    }
}

fn resolved(api: &Api, schema: &Schema) -> Type {
    let decl = api.types.iter().find(|decl| decl.wire == schema.type_name);
    Type::Named(decl.expect("check() has resolved every name").name.clone())
}

/// Gives every endpoint its list of errors. If all that have one have the same, it is named after the API.
fn share_faults(api: &Api, rest: &RestApi, endpoints: &mut [Endpoint], types: &mut Scope) -> Vec<Faults> {
    let lists: Vec<Vec<Outcome>> =
        endpoints.iter().map(|endpoint| outcomes(api, endpoint.define).1).collect();
    let mut distinct = lists.iter().filter(|list| !list.is_empty());
    let first = distinct.next();
    let shared = first.is_some_and(|first| distinct.all(|list| list == first));
    let mut faults: Vec<Faults> = Vec::new();
    for (endpoint, list) in endpoints.iter_mut().zip(&lists).filter(|(_, list)| !list.is_empty()) {
        if !shared || faults.is_empty() {
            let of = if shared { &rest.name } else { &endpoint.define.id };
            let name = types.pascal(&format!("{}Error", names::pascal(of)));
            // As part of an error a stream would outlive it, so it is read as text.
            let whole = |outcome: &Outcome| match outcome.body {
                Body::Stream(..) => Outcome { body: Body::Text, ..outcome.clone() },
                _ => outcome.clone(),
            };
            faults.push(Faults { name, outcomes: list.iter().map(whole).collect() });
        }
        endpoint.faults = Some(faults.len() - 1);
    }
    faults
}

/// Path to the items in a page.
pub(crate) fn items_path(pagination: &Pagination) -> &[String] {
    match pagination {
        Pagination::PageNumber { items, .. }
        | Pagination::OffsetLimit { items, .. }
        | Pagination::Cursor { items, .. }
        | Pagination::LinkHeader { items } => items,
    }
}

/// What the items of a page are; anything, where the types do not say it.
fn item_type(api: &Api, successes: &[Outcome], path: &[String]) -> Type {
    let page = successes.iter().find_map(|outcome| match &outcome.body {
        Body::Json(ty) => Some(ty.clone()),
        _ => None,
    });
    let list = page.and_then(|page| path.iter().try_fold(page, |ty, name| member_type(api, &ty, name)));
    match list.map(|ty| plain(api, ty)) {
        Some(Type::Array(item)) => *item,
        _ => Type::Json,
    }
}

fn member_type(api: &Api, ty: &Type, name: &str) -> Option<Type> {
    match plain(api, ty.clone()) {
        Type::Map(value) => Some(*value),
        Type::Named(record) => match &api.find(&record)?.kind {
            TypeKind::Record(fields) => fields.iter().find(|f| f.wire == name).map(|f| f.ty.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// What an alias stands for.
fn plain(api: &Api, mut ty: Type) -> Type {
    // Aliases that go round in a circle are refused by `check()`; the bound is for whoever changes that.
    for _ in 0..64 {
        let Type::Named(name) = &ty else { break };
        let Some(TypeKind::Alias(of)) = api.find(name).map(|decl| &decl.kind) else { break };
        ty = of.clone();
    }
    ty
}

/// Where pages begin to be counted: where the definition says, else at 1.
fn first_page(define: &schematic_define::Endpoint, pagination: &Pagination) -> u64 {
    let Pagination::PageNumber { param, .. } = pagination else { return 1 };
    let declared = define.params.iter().find(|p| p.place == ParamPlace::Query && p.name == *param);
    declared.and_then(|p| p.default.as_ref()?.parse().ok()).unwrap_or(1)
}

/// The header in which the credential stands, and what stands before it.
pub(crate) fn auth_header(auth: &AuthStrategy) -> Option<(&str, &'static str)> {
    match auth {
        AuthStrategy::BearerToken { header } => {
            Some((header.as_deref().unwrap_or("Authorization"), "Bearer "))
        }
        AuthStrategy::ApiKey { header } => Some((header, "")),
        AuthStrategy::None
        | AuthStrategy::Basic
        | AuthStrategy::ApiKeyQuery { .. }
        | AuthStrategy::ApiKeyCookie { .. } => None,
    }
}
