//! Writes the client of a REST API, thin over `@tidewire/schematic-runtime/rest`.
//!
//! One method an endpoint, which says what its request is made of and what its reply is. The types of bodies are in
//! the file of [`client`](super::client) beside it.

use std::collections::HashSet;

use heck::ToLowerCamelCase;
use schematic_define::{
    ApiRequest, AuthStrategy, Definition, Pagination, ParamPlace, ParamType, Problem, StreamFormat, Type,
};

use super::types;
use super::writer::{Writer, key, list, member, names, quoted};
use crate::ir;
use crate::names::snake;
use crate::rest::{self, Body, Endpoint, Faults, Outcome, Pages, Part, PartKind, Rest};
use crate::{File, Provenance};

/// Names of methods that mean something to the language.
const METHODS: &[&str] = &["constructor", "then", "to_string", "value_of"];

/// Names of types that the file uses, beside those that no type may have.
const TYPES: &[&str] = &["AsyncGenerator", "Error"];

/// Words that cannot name an argument.
const RESERVED: &[&str] = &[
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "rest",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "types",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
    "api",
];

/// Writes the client of a definition's REST API: `eleven_labs_voices_rest.ts` for one with the name `ElevenLabsVoices`.
///
/// # Errors
/// Every problem of the definition. That it has no REST API is one.
pub fn rest_client(definition: &Definition, provenance: &Provenance) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let rest = rest::lower(&api, definition, METHODS, TYPES)?;
    let mut body = Writer::default();
    specification(&mut body, &rest);
    rest.faults.iter().for_each(|faults| self::faults(&mut body, &rest, faults));
    for endpoint in &rest.endpoints {
        params(&mut body, endpoint);
        form(&mut body, endpoint);
        answer(&mut body, endpoint);
    }
    client(&mut body, &rest);
    let body = body.finish();
    let mut out = Writer::default();
    out.line(format!("// {}", provenance.line()));
    let about = format!("A client of {}: {}", api.wire, api.description);
    out.line(format!("//! {}", about.split_whitespace().collect::<Vec<_>>().join(" ")));
    out.blank();
    out.line(format!("import * as rest from \"{}/rest\";", super::RUNTIME));
    let file = snake(&api.wire);
    // An import without use would be a mistake.
    if !api.types.is_empty() && body.contains("types.") {
        out.line(format!("import * as types from \"./{file}.js\";"));
    }
    Ok(vec![(format!("{file}_rest.ts"), out.finish() + &body)])
}

fn specification(out: &mut Writer, rest: &Rest) {
    out.blank();
    out.block("const api: rest.RestSpec = {", "};", |out| {
        out.line(format!("baseUrl: {},", quoted(&rest.define.base_url)));
        if let Some(auth) = auth(&rest.define.auth) {
            out.line(format!("auth: {auth},"));
        }
        if !rest.define.env_auth.is_empty() {
            out.line(format!("env: {},", names(&rest.define.env_auth)));
        }
        if let Some(name) = &rest.define.env_username {
            out.line(format!("envUsername: {},", quoted(name)));
        }
    });
}

fn auth(auth: &AuthStrategy) -> Option<String> {
    match auth {
        AuthStrategy::None => None,
        AuthStrategy::Basic => Some(quoted("basic")),
        AuthStrategy::ApiKeyQuery { name } => Some(format!("{{ query: {} }}", quoted(name))),
        AuthStrategy::ApiKeyCookie { name } => Some(format!("{{ cookie: {} }}", quoted(name))),
        AuthStrategy::BearerToken { .. } | AuthStrategy::ApiKey { .. } => {
            let (name, prefix) = rest::auth_header(auth)?;
            let prefix =
                if prefix.is_empty() { String::new() } else { format!(", prefix: {}", quoted(prefix)) };
            Some(format!("{{ header: {}{prefix} }}", quoted(name)))
        }
    }
}

/// A type as it is written beside the file of types.
fn ty(ty: &Type) -> String {
    match ty {
        Type::Named(name) => format!("types.{name}"),
        Type::Array(item) => format!("{}[]", self::ty(item)),
        Type::Map(value) => format!("Record<string, {}>", self::ty(value)),
        other => types::type_of(other),
    }
}

/// The shape that checks it.
fn shape(ty: &Type) -> String {
    match ty {
        Type::Named(name) => format!("types.{}", types::shape_name(name)),
        Type::Array(item) => format!("rest.shape.array({})", shape(item)),
        Type::Map(value) => format!("rest.shape.map({})", shape(value)),
        other => format!("rest.{}", types::shape(other)),
    }
}

fn body_type(body: &Body) -> String {
    match body {
        Body::Json(ty) => self::ty(ty),
        Body::Text => "string".into(),
        Body::Binary => "Uint8Array".into(),
        Body::Empty => "undefined".into(),
        Body::Stream(_, item) => format!("AsyncGenerator<{}, void, undefined>", ty(item)),
    }
}

/// The type of an endpoint's declared errors, how they are read, and how they are told from others.
fn faults(out: &mut Writer, rest: &Rest, faults: &Faults) {
    let name = &faults.name;
    outcomes(out, name, &format!("Why a call failed, as {} declares it", rest.define.name), &faults.outcomes);
    out.blank();
    out.block(format!("const {}: rest.Faults = {{", table(faults)), "};", |out| {
        for outcome in &faults.outcomes {
            let read = match &outcome.body {
                Body::Json(ty) => format!("(reply) => reply.json({})", shape(ty)),
                Body::Text | Body::Stream(..) => "(reply) => reply.text()".into(),
                Body::Binary => "(reply) => reply.bytes()".into(),
                Body::Empty => "() => undefined".into(),
            };
            out.line(format!("{}: {read},", outcome.status.unwrap_or_default()));
        }
    });
    out.blank();
    out.doc("Whether something thrown is such an error; then `fault` has its `status` and `body`");
    let head = format!("export function is{name}(thrown: unknown): thrown is rest.StatusError<{name}> {{");
    out.block(head, "}", |out| out.line(format!("return rest.isFault(thrown, {});", table(faults))));
}

fn table(faults: &Faults) -> String {
    format!("{}Faults", faults.name.to_lower_camel_case())
}

/// A union by status.
fn outcomes(out: &mut Writer, name: &str, about: &str, outcomes: &[Outcome]) {
    out.blank();
    out.doc(about);
    out.line(format!("export type {name} ="));
    for (place, outcome) in outcomes.iter().enumerate() {
        let end = if place + 1 == outcomes.len() { ";" } else { "" };
        let status = outcome.status.unwrap_or_default();
        out.indented(|out| {
            out.doc(&outcome.description);
            out.line(format!(
                "| {{ readonly status: {status}; readonly body: {} }}{end}",
                body_type(&outcome.body)
            ));
        });
    }
}

/// The names of parameters: those on the wire, apart where several places have the same.
fn param_members(endpoint: &Endpoint) -> Vec<String> {
    let mut taken = HashSet::new();
    let name = |param: &rest::Param| {
        let place = match param.place {
            ParamPlace::Path => "path",
            ParamPlace::Query => "query",
            ParamPlace::Header => "header",
            ParamPlace::Cookie => "cookie",
        };
        let plain = [param.wire.clone(), format!("{}_{place}", param.wire)];
        let counted = (2..).map(|number| format!("{}_{place}_{number}", param.wire));
        plain.into_iter().chain(counted).find(|name| taken.insert(name.clone())).unwrap_or_default()
    };
    endpoint.params.iter().map(name).collect()
}

fn params(out: &mut Writer, endpoint: &Endpoint) {
    if endpoint.params.is_empty() {
        return;
    }
    out.blank();
    out.doc(&format!("Parameters of {}", endpoint.define.id));
    out.block(format!("export interface {} {{", endpoint.params_name), "}", |out| {
        for (param, name) in endpoint.params.iter().zip(param_members(endpoint)) {
            out.doc(&param.description);
            let (mark, or) = optional(param.required);
            out.line(format!("readonly {}{mark}: {}{or};", member(&name), param_type(param.ty)));
        }
    });
}

fn optional(required: bool) -> (&'static str, &'static str) {
    if required { ("", "") } else { ("?", " | undefined") }
}

fn param_type(ty: ParamType) -> &'static str {
    match ty {
        ParamType::String => "string",
        ParamType::Integer | ParamType::Float => "number",
        ParamType::Boolean => "boolean",
    }
}

fn form(out: &mut Writer, endpoint: &Endpoint) {
    if endpoint.form.is_empty() {
        return;
    }
    out.blank();
    out.doc(&format!("The form of {}", endpoint.define.id));
    out.block(format!("export interface {} {{", endpoint.form_name), "}", |out| {
        for part in &endpoint.form {
            out.doc(&part.description);
            let (mark, or) = optional(part.required);
            let ty = match &part.kind {
                PartKind::Text => "string".into(),
                PartKind::File => "rest.Upload".into(),
                PartKind::Files => "readonly rest.Upload[]".into(),
                PartKind::Json(ty) => self::ty(ty),
            };
            out.line(format!("readonly {}{mark}: {ty}{or};", member(&part.wire)));
        }
    });
}

fn answer(out: &mut Writer, endpoint: &Endpoint) {
    if endpoint.successes.len() > 1 {
        let about = format!("What {} brings", endpoint.define.id);
        outcomes(out, &endpoint.answer_name, &about, &endpoint.successes);
    }
}

fn client(out: &mut Writer, rest: &Rest) {
    out.blank();
    out.doc(&rest.define.description);
    out.block(format!("export class {} {{", rest.client), "}", |out| {
        out.line("readonly #rest: rest.RestClient;");
        out.blank();
        out.doc(&constructor(rest));
        out.block("constructor(options: rest.RestOptions = {}) {", "}", |out| {
            out.line("this.#rest = new rest.RestClient(api, options);");
        });
        rest.endpoints.iter().for_each(|endpoint| methods(out, rest, endpoint));
    });
}

fn constructor(rest: &Rest) -> String {
    match (&rest.define.auth, rest.define.env_auth.is_empty()) {
        (AuthStrategy::None, _) => "A client.".into(),
        (_, true) => "A client with the credential of the options.".into(),
        (_, false) => {
            let names = rest.define.env_auth.join(" or ");
            format!("A client with the credential of the options, or else of the environment: {names}.")
        }
    }
}

fn methods(out: &mut Writer, rest: &Rest, endpoint: &Endpoint) {
    let name = endpoint.name.to_lower_camel_case();
    let arguments = arguments(endpoint);
    let of = |arguments: &[(String, String)]| list(arguments.iter().map(|(_, declared)| declared.clone()));
    let options = "options: rest.CallOptions = {}".to_owned();
    let with_options = list([of(&arguments), options].into_iter().filter(|part| !part.is_empty()));
    let given = list(arguments.iter().map(|(name, _)| name.clone()));
    out.blank();
    out.doc(&format!("{} (`{} {}`)", about(endpoint), endpoint.define.method.name(), endpoint.define.path));
    let (prefix, result) = result(endpoint);
    out.block(format!("{prefix}{name}({with_options}): {result} {{"), "}", |out| {
        match &endpoint.pages {
            Some(_) => out.line(format!("const call = this.#{name}Call({given});")),
            None => call(out, "const call: rest.Call = {", rest, endpoint),
        }
        finish(out, endpoint);
    });
    let Some(pages) = &endpoint.pages else { return };
    out.blank();
    out.doc(&format!("The items of all pages of {}, from the one that is asked for", endpoint.define.id));
    let item = ty(&pages.item);
    let head = format!(
        "{}({with_options}): AsyncGenerator<{item}, void, undefined> {{",
        pages.name.to_lower_camel_case()
    );
    out.block(head, "}", |out| {
        out.line(format!(
            "return rest.pages(this.#rest, this.#{name}Call({given}), {}, options);",
            paging(pages)
        ));
    });
    out.blank();
    out.block(format!("#{name}Call({}): rest.Call {{", of(&arguments)), "}", |out| {
        call(out, "return {", rest, endpoint);
    });
}

fn about(endpoint: &Endpoint) -> String {
    match endpoint.define.description.trim() {
        "" => format!("The endpoint {}", endpoint.define.id),
        text => text.to_owned(),
    }
}

/// Name and declaration of each argument: the path's parameters, the body, the other parameters.
fn arguments(endpoint: &Endpoint) -> Vec<(String, String)> {
    let declared = |name: &str, ty: String| (name.to_owned(), format!("{name}: {ty}"));
    let path =
        endpoint.path.iter().map(|param| declared(&argument(&param.name), param_type(param.ty).into()));
    let mut arguments: Vec<_> = path.collect();
    match &endpoint.define.request {
        Some(ApiRequest::Json(_)) => {
            arguments.push(declared("body", endpoint.json.as_ref().map_or("unknown".into(), ty)))
        }
        Some(ApiRequest::FormData { .. } | ApiRequest::UrlEncoded { .. }) if !endpoint.form.is_empty() => {
            arguments.push(declared("form", endpoint.form_name.clone()));
        }
        Some(ApiRequest::Text { .. }) => arguments.push(declared("body", "string".into())),
        Some(ApiRequest::Binary { .. }) => {
            arguments.push(declared("body", "rest.RestBody[\"content\"]".into()))
        }
        Some(_) | None => {}
    }
    if !endpoint.params.is_empty() {
        let no_need = if endpoint.params.iter().any(|param| param.required) { "" } else { " = {}" };
        arguments.push(declared("params", format!("{}{no_need}", endpoint.params_name)));
    }
    arguments
}

/// The name of an argument.
fn argument(name: &str) -> String {
    let name = name.to_lower_camel_case();
    if RESERVED.contains(&name.as_str()) { format!("{name}_") } else { name }
}

/// What stands before the name of a method, and what it returns.
fn result(endpoint: &Endpoint) -> (&'static str, String) {
    match &endpoint.successes[..] {
        [Outcome { body: Body::Empty, .. }] => ("async ", "Promise<void>".into()),
        [Outcome { body: body @ Body::Stream(..), .. }] => ("async *", body_type(body)),
        [one] => ("async ", format!("Promise<{}>", body_type(&one.body))),
        _ => ("async ", format!("Promise<{}>", endpoint.answer_name)),
    }
}

/// The request as a literal.
fn call(out: &mut Writer, open: &str, rest: &Rest, endpoint: &Endpoint) {
    out.block(open, "};", |out| {
        out.line(format!("method: {},", quoted(endpoint.define.method.name())));
        out.line(format!("path: {},", quoted(&endpoint.define.path)));
        let statuses: Vec<String> =
            endpoint.successes.iter().filter_map(|o| o.status).map(|status| status.to_string()).collect();
        if !statuses.is_empty() {
            out.line(format!("accepts: [{}],", list(statuses)));
        }
        if let Some(place) = endpoint.faults {
            out.line(format!("faults: {},", table(&rest.faults[place])));
        }
        let path = endpoint.path.iter().map(|param| (param.wire.as_str(), argument(&param.name)));
        record(out, "in", path.collect());
        record(out, "query", values(endpoint, ParamPlace::Query));
        let fixed = endpoint.headers.iter().map(|(name, value)| (name.as_str(), quoted(value)));
        let headers = values(endpoint, ParamPlace::Header);
        // A header of the caller wins over a fixed one, which must not be written twice in any casing.
        let fixed = fixed.filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        record(out, "headers", fixed.chain(headers.clone()).collect());
        record(out, "cookies", values(endpoint, ParamPlace::Cookie));
        body(out, endpoint);
    });
}

/// A member that is an object, if it has members.
fn record(out: &mut Writer, name: &str, members: Vec<(&str, String)>) {
    if !members.is_empty() {
        let members = members.into_iter().map(|(name, value)| format!("{}: {value}", key(name)));
        out.line(format!("{name}: {{ {} }},", list(members)));
    }
}

/// The parameters of a place: their names on the wire and where their values are.
fn values<'a>(endpoint: &'a Endpoint, place: ParamPlace) -> Vec<(&'a str, String)> {
    let all = endpoint.params.iter().zip(param_members(endpoint));
    all.filter(|(param, _)| param.place == place)
        .map(|(param, name)| (param.wire.as_str(), access("params", &name)))
        .collect()
}

/// A member of an object.
fn access(object: &str, name: &str) -> String {
    match member(name) {
        plain if plain == name => format!("{object}.{name}"),
        quoted => format!("{object}[{quoted}]"),
    }
}

fn body(out: &mut Writer, endpoint: &Endpoint) {
    let Some(request) = &endpoint.define.request else { return };
    match request {
        ApiRequest::Json(_) => {
            let shape = endpoint.json.as_ref().map_or("rest.shape.json".into(), shape);
            out.line(format!("body: rest.jsonBody({shape}, body),"));
        }
        ApiRequest::Text { content_type } | ApiRequest::Binary { content_type } => {
            out.line(format!("body: rest.body({}, body),", quoted(content_type)));
        }
        ApiRequest::FormData { .. } => parts(out, "multipart", &endpoint.form),
        ApiRequest::UrlEncoded { .. } => parts(out, "urlencoded", &endpoint.form),
    }
}

fn parts(out: &mut Writer, encoding: &str, form: &[Part]) {
    out.block(format!("body: rest.{encoding}("), "),", |out| {
        for part in form {
            let (name, value) = (quoted(&part.wire), access("form", &part.wire));
            out.line(match &part.kind {
                PartKind::Text => format!("rest.textPart({name}, {value}),"),
                PartKind::File | PartKind::Files => format!("rest.fileParts({name}, {value}),"),
                PartKind::Json(ty) => format!("rest.jsonPart({name}, {}, {value}),", shape(ty)),
            });
        }
    });
}

/// Sends the call and reads what it brings.
fn finish(out: &mut Writer, endpoint: &Endpoint) {
    let several = match &endpoint.successes[..] {
        [one] => return out.line(only(&one.body)),
        several => several,
    };
    let live = several.iter().any(|outcome| matches!(outcome.body, Body::Stream(..)));
    let send = if live { "open" } else { "send" };
    out.line(format!("const reply = await this.#rest.{send}(call, options);"));
    let whole = if live { "(await reply.whole())" } else { "reply" };
    out.block("switch (reply.status) {", "}", |out| {
        for (place, outcome) in several.iter().enumerate() {
            let status = outcome.status.unwrap_or_default();
            let body = match &outcome.body {
                Body::Json(ty) => format!("{whole}.json({})", shape(ty)),
                Body::Text => format!("{whole}.text()"),
                Body::Binary => format!("{whole}.bytes()"),
                Body::Empty if live => "void (await reply.whole())".into(),
                Body::Empty => "undefined".into(),
                Body::Stream(format, item) => format!("rest.{}(reply, {})", stream(*format), shape(item)),
            };
            // What is not accepted does not come so far, so that the last arm takes the rest.
            let case = if place + 1 == several.len() { "default".into() } else { format!("case {status}") };
            out.line(format!("{case}:"));
            out.indented(|out| out.line(format!("return {{ status: {status}, body: {body} }};")));
        }
    });
}

fn only(body: &Body) -> String {
    match body {
        Body::Json(ty) => format!("return (await this.#rest.send(call, options)).json({});", shape(ty)),
        Body::Text => "return (await this.#rest.send(call, options)).text();".into(),
        Body::Binary => "return (await this.#rest.send(call, options)).bytes();".into(),
        Body::Empty => "await this.#rest.send(call, options);".into(),
        Body::Stream(format, item) => {
            format!("yield* rest.{}(await this.#rest.open(call, options), {});", stream(*format), shape(item))
        }
    }
}

fn stream(format: StreamFormat) -> &'static str {
    match format {
        StreamFormat::ServerSentEvents => "events",
        StreamFormat::JsonLines => "jsonLines",
    }
}

fn paging(pages: &Pages) -> String {
    let turn = match pages.define {
        Pagination::PageNumber { param, .. } => {
            format!("{{ number: {}, first: {} }}", quoted(param), pages.first)
        }
        Pagination::OffsetLimit { offset, .. } => format!("{{ offset: {} }}", quoted(offset)),
        Pagination::Cursor { param, next, .. } => {
            format!("{{ cursor: {}, next: {} }}", quoted(param), names(next))
        }
        Pagination::LinkHeader { .. } => quoted("link"),
    };
    let items = names(rest::items_path(pages.define));
    format!("{{ turn: {turn}, items: {items}, item: {} }}", shape(&pages.item))
}
