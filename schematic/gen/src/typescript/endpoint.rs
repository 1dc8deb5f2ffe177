//! Writes the client of an endpoint: its parameters, its data, and a method for each message.

use heck::ToLowerCamelCase;
use schematic_define::{ParamType, Replies};

use super::call::{self, CallParam};
use super::messages::{body_type, table_name};
use super::policy;
use super::writer::{Writer, list, member, names, quoted};
use crate::ir::{Api, Endpoint, Message, Param};
use crate::names::Scope;

/// Methods that every client has.
const METHODS: &[&str] = &[
    "ask",
    "askOne",
    "close",
    "connection",
    "constructor",
    "nextId",
    "onMessage",
    "open",
    "phase",
    "say",
    "then",
    "toString",
    "valueOf",
];

/// Parameters, data and class of an endpoint.
pub(super) fn declare(out: &mut Writer, api: &Api, endpoint: &Endpoint, scope: &mut Scope) {
    let class = scope.pascal(&format!("{}Client", endpoint.name));
    let params = scope.pascal(&format!("{}Params", endpoint.name));
    let call = call::parameters(&api.definition, endpoint);
    parameters(out, endpoint, &call, &params);
    let spec = format!("{}Spec", class.to_lower_camel_case());
    specification(out, api, endpoint, &spec);
    let types = format!("<{}, {}>", endpoint.server.name, endpoint.client.name);
    out.blank();
    out.doc(&endpoint.description);
    out.block(format!("export class {class} extends runtime.Endpoint{types} {{"), "}", |out| {
        let needed =
            all_params(endpoint).any(|param| param.required) || call.iter().any(|param| param.required);
        let no_need = if needed { "" } else { " = {}" };
        let arguments = format!("params: {params}{no_need}, options: runtime.EndpointOptions{types} = {{}}");
        out.block(format!("constructor({arguments}) {{"), "}", |out| {
            out.line(format!("super({spec}, {{ ...params }}, options);"));
        });
        let mut methods = Scope::with(METHODS.iter().copied());
        // Where the envelope says what answers what, a request has an id of its own.
        let id = if api.envelope.as_ref().is_some_and(|envelope| envelope.id.is_some()) {
            ", id: this.nextId()"
        } else {
            ""
        };
        for message in &endpoint.client.messages {
            method(out, endpoint, message, id, &mut methods);
        }
    });
}

fn all_params(endpoint: &Endpoint) -> impl Iterator<Item = &Param> {
    endpoint.path_params.iter().chain(&endpoint.query)
}

fn parameters(out: &mut Writer, endpoint: &Endpoint, call: &[CallParam], name: &str) {
    out.blank();
    out.doc(&format!("What a connection to {} is opened with", endpoint.wire));
    if all_params(endpoint).next().is_none() && call.is_empty() {
        return out.line(format!("export type {name} = Record<string, never>;"));
    }
    out.block(format!("export interface {name} {{"), "}", |out| {
        for param in all_params(endpoint) {
            out.doc(&param.default.as_ref().map_or(String::new(), |default| format!("Default: `{default}`")));
            out.line(parameter(&param.wire, param.ty, param.required));
        }
        for param in call {
            out.doc("For the call that gives the address");
            out.line(parameter(&param.name, param.ty, param.required));
        }
    });
}

fn parameter(name: &str, ty: ParamType, required: bool) -> String {
    let (mark, or) = if required { ("", "") } else { ("?", " | undefined") };
    format!("readonly {}{mark}: {}{or};", member(name), param_type(ty))
}

fn param_type(ty: ParamType) -> &'static str {
    match ty {
        ParamType::String => "string",
        ParamType::Integer | ParamType::Float => "number",
        ParamType::Boolean => "boolean",
    }
}

fn specification(out: &mut Writer, api: &Api, endpoint: &Endpoint, name: &str) {
    let base_url = api.definition.websocket.as_ref().map_or("", |websocket| &websocket.base_url);
    let types = format!("<{}, {}>", endpoint.server.name, endpoint.client.name);
    out.blank();
    out.block(format!("const {name}: runtime.EndpointSpec{types} = {{"), "};", |out| {
        out.line(format!("baseUrl: {},", quoted(base_url)));
        out.line(format!("path: {},", quoted(&endpoint.path)));
        out.line(format!("query: {},", names(endpoint.query.iter().map(|param| &param.wire))));
        out.line(format!("client: {},", table_name(&endpoint.client)));
        out.line(format!("server: {},", table_name(&endpoint.server)));
        out.line(format!("lifecycle: {},", lifecycle(endpoint)));
        out.block("policy: {", "},", |out| {
            policy::connection_policy(endpoint).iter().for_each(|member| out.line(format!("{member},")));
        });
        policy::rules(&api.definition, endpoint).iter().for_each(|member| out.line(format!("{member},")));
    });
}

fn lifecycle(endpoint: &Endpoint) -> String {
    let lifecycle = &endpoint.lifecycle;
    let mut parts = Vec::new();
    parts.extend(lifecycle.initialize.as_ref().map(|name| format!("initialize: {}", quoted(name))));
    parts.extend(lifecycle.close.as_ref().map(|name| format!("close: {}", quoted(name))));
    let once =
        endpoint.client.messages.iter().filter(|m| !m.repeatable && lifecycle.streaming.contains(&m.name));
    let once = list(once.map(|message| quoted(&message.name)));
    if !once.is_empty() {
        parts.push(format!("once: [{once}]"));
    }
    if parts.is_empty() { "{}".into() } else { format!("{{ {} }}", parts.join(", ")) }
}

fn method(out: &mut Writer, endpoint: &Endpoint, message: &Message, id: &str, scope: &mut Scope) {
    let wanted = message.name.to_lower_camel_case();
    let taken = METHODS.contains(&wanted.as_str());
    let wanted = if taken { format!("{}Message", message.name) } else { message.name.clone() };
    let name = scope.pascal(&wanted).to_lower_camel_case();
    let said = format!("{{ name: {}, body }}", quoted(&message.name));
    let body = body_type(message);
    out.blank();
    out.doc(&message.description);
    let outgoing = format!("runtime.Outgoing<{} | runtime.Unknown>", endpoint.client.name);
    out.block(format!("{name}(body: {body}): {outgoing} {{"), "}", |out| {
        out.line(format!("return this.say({said});"))
    });
    let Some(reply) = &message.reply else { return };
    let (suffix, call, result) = match reply.replies {
        Replies::One => ("Reply", "askOne", "Promise"),
        Replies::Exactly(_) | Replies::Stream { .. } => ("Replies", "ask", "AsyncIterableIterator"),
    };
    let name = scope.pascal(&format!("{}{suffix}", message.name)).to_lower_camel_case();
    out.blank();
    out.doc(&format!("Sends `{}` and gives what answers it", message.name));
    out.block(
        format!("{name}(body: {body}): {result}<{} | runtime.Unknown> {{", endpoint.server.name),
        "}",
        |out| {
            out.line(format!("return this.{call}({{ name: {}, body{id} }});", quoted(&message.name)));
        },
    );
}
