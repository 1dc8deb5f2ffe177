//! Reference pages: everything that a definition says, for people.
//!
//! One page a definition, in the order in which a newcomer asks: how to connect, what to say, what comes back, how the
//! connection is kept, and the types at the end.

mod phrases;
mod rest;

use schematic_define::{Definition, EndpointPolicy, Problem, Type, WebSocketApi};

use crate::ir::{self, Api, Direction, Endpoint, Field, Message, Param, TypeDecl, TypeKind};
use crate::{File, Provenance, names};

/// Writes the page, named after the definition: `session_chat.md`.
///
/// # Errors
/// Every problem of the definition.
pub fn reference(definition: &Definition, provenance: &Provenance) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let mut page = Page::default();
    page.line(&format!("<!-- {} -->", provenance.line().replace("--", "- -")));
    page.heading(1, &api.wire);
    page.paragraph(&api.description);
    if let Some(websocket) = &definition.websocket {
        about(&mut page, websocket);
        for endpoint in &api.endpoints {
            self::endpoint(&mut page, &api, websocket, endpoint);
        }
    }
    if let Some(rest) = &definition.rest {
        rest::write(&mut page, rest);
    }
    types(&mut page, &api);
    Ok(vec![(format!("{}.md", names::snake(&api.wire)), page.text)])
}

/// A page that grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, level: usize, text: &str) {
        self.line(&format!("\n{} {}", "#".repeat(level), plain(text)));
    }

    /// A paragraph of its own, with a full stop; nothing if there is nothing to say.
    fn paragraph(&mut self, text: &str) {
        let text = plain(text);
        if text.is_empty() {
            return;
        }
        let stop = if text.ends_with(['.', ':', '!', '?']) { "" } else { "." };
        self.line(&format!("\n{text}{stop}"));
    }

    /// A list; nothing if it is empty.
    fn list(&mut self, items: impl IntoIterator<Item = String>) {
        let mut first = true;
        for item in items {
            if std::mem::take(&mut first) {
                self.line("");
            }
            self.line(&format!("- {}", plain(&item)));
        }
    }

    /// A table; nothing if it has no rows.
    fn table<const N: usize>(&mut self, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let rows: Vec<[String; N]> = rows.into_iter().collect();
        if rows.is_empty() {
            return;
        }
        self.line(&format!("\n| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(N)));
        for row in rows {
            let cells = row.map(|cell| plain(&cell).replace('|', "\\|"));
            self.line(&format!("| {} |", cells.join(" | ")));
        }
    }

    /// JSON, indented if it is long.
    fn json(&mut self, value: &serde_json::Value) {
        let short = value.to_string();
        let text =
            if short.len() <= 100 { short } else { serde_json::to_string_pretty(value).unwrap_or(short) };
        self.line(&format!("\n```json\n{text}\n```"));
    }
}

/// Text in one line.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text as code, whatever stands in it.
fn code(text: &str) -> String {
    let text = plain(text);
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false if text.is_empty() => "(empty)".into(),
        false => format!("`{text}`"),
    }
}

fn about(page: &mut Page, websocket: &WebSocketApi) {
    let docs = websocket.docs_url.as_ref().map(|url| format!("The vendor's reference: <{url}>"));
    let env = (!websocket.env_auth.is_empty()).then(|| {
        let names: Vec<String> = websocket.env_auth.iter().map(|name| code(name)).collect();
        format!("Clients take the credential from {}", names.join(" or "))
    });
    page.list([Some(phrases::auth(&websocket.auth)), env, docs].into_iter().flatten());
}

fn endpoint(page: &mut Page, api: &Api, websocket: &WebSocketApi, endpoint: &Endpoint) {
    page.heading(2, &format!("{} (WebSocket)", endpoint.wire));
    page.line(&format!("\n`{}{}`", websocket.base_url, endpoint.path));
    page.paragraph(&endpoint.description);
    parameters(page, endpoint);
    if let Some(envelope) = &api.envelope {
        page.paragraph(&phrases::envelope(envelope));
    }
    lifecycle(page, endpoint);
    direction(page, api, "From the client", &endpoint.client, &endpoint.policy);
    direction(page, api, "From the server", &endpoint.server, &endpoint.policy);
    policy(page, &endpoint.policy);
}

fn parameters(page: &mut Page, endpoint: &Endpoint) {
    let row = |place: &str, param: &Param| {
        let need = match (&param.default, param.required) {
            (_, true) => "required".into(),
            (Some(default), false) => format!("default {}", code(default)),
            (None, false) => "optional".into(),
        };
        [code(&param.wire), place.into(), phrases::param_type(param.ty).into(), need]
    };
    let rows = endpoint
        .path_params
        .iter()
        .map(|p| row("path", p))
        .chain(endpoint.query.iter().map(|p| row("query", p)));
    page.table(["parameter", "in", "type", ""], rows);
}

fn lifecycle(page: &mut Page, endpoint: &Endpoint) {
    let session = &endpoint.policy.session;
    let mut steps = Vec::new();
    if let Some(first) = &session.server_first {
        steps.push(format!("The server speaks first: {}", link(first)));
    }
    if let Some(first) = &endpoint.lifecycle.initialize {
        steps.push(format!("The client opens with {}, once", link(first)));
    }
    if let Some(ack) = &endpoint.policy.timeouts.first_ack {
        steps.push(format!("The server accepts with {}", link(&ack.message)));
    }
    if let Some(last) = &endpoint.lifecycle.close {
        let drains = if session.drains { "; the server still sends what it has" } else { "" };
        steps.push(format!("The client ends with {}, once{drains}", link(last)));
    }
    if !session.ends_with.is_empty() {
        let names: Vec<String> = session.ends_with.iter().map(|id| link(id)).collect();
        steps.push(format!("After {} nothing follows but the close", names.join(" or ")));
    }
    page.list(steps);
}

/// A link to the section of a message.
fn link(id: &str) -> String {
    let anchor: String = id.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
    format!("[{}](#{})", plain(id), anchor.to_lowercase())
}

fn direction(page: &mut Page, api: &Api, title: &str, direction: &Direction, policy: &EndpointPolicy) {
    if direction.messages.is_empty() {
        return;
    }
    page.heading(3, title);
    let rows = direction.messages.iter().map(|m| {
        let way = api
            .definition
            .find_message(&m.wire)
            .map_or(String::new(), |f| phrases::recognition(&f.recognition));
        [link(&m.wire), way, m.description.clone()]
    });
    page.table(["message", "recognised by", ""], rows);
    let overlapping = direction.messages.iter().any(|m| policy.precedence.contains(&m.wire));
    if overlapping {
        page.paragraph("Where a frame fits several of them, the first in this table is meant");
    }
    for message in &direction.messages {
        self::message(page, api, message);
    }
}

fn message(page: &mut Page, api: &Api, message: &Message) {
    page.heading(4, &message.wire);
    page.paragraph(&message.description);
    page.list(phrases::message(message));
    let fixed: Vec<[String; 4]> = match &message.writes {
        ir::Writes::Members(members) => members
            .iter()
            .map(|(name, value)| {
                [code(name), "constant".into(), String::new(), format!("Always {}", code(&value.to_string()))]
            })
            .collect(),
        ir::Writes::Head(value) => {
            vec![[
                "(first element)".into(),
                "constant".into(),
                String::new(),
                format!("Always {}", code(&value.to_string())),
            ]]
        }
    };
    shape(page, api, &message.body, fixed);
    for example in &message.examples {
        page.line(&format!("\nExample, {}:", plain(&example.name)));
        page.json(&example.value);
    }
}

/// The members of a body, with those in front that recognition adds.
fn shape(page: &mut Page, api: &Api, ty: &Type, fixed: Vec<[String; 4]>) {
    let decl = match ty {
        Type::Named(name) => api.find(name),
        _ => None,
    };
    let rows = match decl.map(|decl| &decl.kind) {
        Some(TypeKind::Record(fields)) => fixed.into_iter().chain(fields.iter().map(field)).collect(),
        Some(TypeKind::Tuple { items, rest }) => {
            let items = items.iter().map(|i| {
                let need = if i.optional { "optional" } else { "" };
                [code(&i.name), phrases::ty(&i.ty), need.into(), i.description.clone()]
            });
            let rest =
                rest.iter().map(|ty| ["(rest)".into(), phrases::ty(ty), "any number".into(), String::new()]);
            fixed.into_iter().chain(items).chain(rest).collect::<Vec<_>>()
        }
        Some(TypeKind::Alias(of)) => {
            page.paragraph(&format!("The body is {}", phrases::ty(of)));
            fixed
        }
        Some(TypeKind::Enum { .. } | TypeKind::Union(_)) | None => {
            page.paragraph(&format!("The body is {}", phrases::ty(ty)));
            fixed
        }
    };
    page.table(["member", "type", "", ""], rows);
}

fn field(field: &Field) -> [String; 4] {
    let mut notes = Vec::new();
    if field.optional {
        notes.push("optional".to_owned());
    }
    if field.nullable {
        notes.push("or null".into());
    }
    if let Some(default) = &field.default {
        notes.push(format!("default {}", code(&default.to_string())));
    }
    if !field.aliases.is_empty() {
        let names: Vec<String> = field.aliases.iter().map(|name| code(name)).collect();
        notes.push(format!("also {}", names.join(", ")));
    }
    if field.secret {
        notes.push("secret".into());
    }
    let ty = match &field.constant {
        Some(value) => format!("always {}", code(&value.to_string())),
        None => phrases::ty(&field.ty),
    };
    [code(&field.wire), ty, notes.join(", "), field.description.clone()]
}

fn policy(page: &mut Page, policy: &EndpointPolicy) {
    let facts = phrases::policy(policy);
    if !facts.is_empty() {
        page.heading(3, "How the connection is kept");
        page.list(facts);
    }
    let rows = policy.close_codes.iter();
    let rows: Vec<[String; 3]> = rows
        .map(|c| [code(&c.code.to_string()), phrases::close_action(c.action).into(), c.meaning.clone()])
        .collect();
    if !rows.is_empty() {
        page.heading(3, "Close codes");
        page.table(["code", "what a client does", "meaning"], rows);
    }
}

/// The types that are not the body of a message, which has been shown already.
fn types(page: &mut Page, api: &Api) {
    let bodies: Vec<&Type> = api
        .endpoints
        .iter()
        .flat_map(|e| e.client.messages.iter().chain(&e.server.messages))
        .map(|m| &m.body)
        .collect();
    let others: Vec<&TypeDecl> =
        api.types.iter().filter(|decl| !bodies.contains(&&Type::Named(decl.name.clone()))).collect();
    if others.is_empty() {
        return;
    }
    page.heading(2, "Types");
    for decl in others {
        page.heading(3, &decl.name);
        page.paragraph(&decl.description);
        match &decl.kind {
            TypeKind::Enum { open, values } => {
                let values: Vec<String> = values.iter().map(|v| code(&v.wire)).collect();
                let more = if *open { "; others may come" } else { "" };
                page.paragraph(&format!("One of {}{more}", values.join(", ")));
            }
            TypeKind::Union(variants) => page.table(
                ["alternative", "type", ""],
                variants.iter().map(|v| [v.name.clone(), phrases::ty(&v.ty), v.description.clone()]),
            ),
            TypeKind::Record(_) | TypeKind::Tuple { .. } | TypeKind::Alias(_) => {
                shape(page, api, &Type::Named(decl.name.clone()), vec![]);
            }
        }
    }
}
