//! Writes where a connection goes to, and as whom.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::{AuthStrategy, AuthWay, ParamType, Reconnect};

use super::{Client, access, find};
use crate::ir::{Message, Param};
use crate::names::rust_ident;

/// The method `target` of the session.
pub(super) fn method(client: &Client) -> TokenStream {
    let url = url(client);
    let parts = client.endpoint.query.iter().map(query);
    let headers = client.api.definition.websocket.iter().flat_map(|api| &api.headers);
    let headers = headers.map(|(name, value)| quote!(.header(#name, #value)));
    let protocols = client.endpoint.policy.subprotocols.iter().map(|name| quote!(.protocol(#name)));
    let made = quote!(runtime::Target::new(url) #(#parts)* #(#headers)* #(#protocols)*);
    let env = env(client);
    let finish = match way(client) {
        Way::None => quote!(Ok(#made)),
        Way::Credential(way) => quote! {
            let target = #made;
            let way = #way;
            Ok(self.options.authenticated(target, &way, &[#(#env),*]))
        },
        Way::Basic { user } => quote! {
            let target = #made;
            Ok(self.options.authenticated_basic(target, #user, &[#(#env),*]))
        },
    };
    quote! {
        async fn target(&mut self, attempt: runtime::Attempt) -> Result<runtime::Target, runtime::Error> {
            if let Some(own) = self.options.own_target(attempt) {
                return own.await;
            }
            #url
            #finish
        }
    }
}

fn url(client: &Client) -> TokenStream {
    let base = client.api.definition.websocket.as_ref().map_or("", |api| &api.base_url);
    let base = quote!(self.options.base_url_or(#base));
    let (format, values) = template(client);
    let made = quote!(format!(#format, #base #(, runtime::segment(&self.params.#values))*));
    match &client.endpoint.policy.reconnect {
        Reconnect::Token { url: Some(name), .. } => quote! {
            let url = match self.captured.get(#name).and_then(serde_json::Value::as_str) {
                Some(url) if attempt.resume => url.to_owned(),
                Some(_) | None => #made,
            };
        },
        Reconnect::Never | Reconnect::Replay { .. } | Reconnect::Token { .. } => quote!(let url = #made;),
    }
}

/// The path as a format string behind the base, and the parameters in its places.
fn template(client: &Client) -> (String, Vec<proc_macro2::Ident>) {
    let mut format = String::from("{}");
    let mut values = Vec::new();
    let mut rest = client.endpoint.path.as_str();
    while let Some((before, name, after)) = next_param(rest) {
        format.push_str(&escaped(before));
        match client.endpoint.path_params.iter().find(|param| param.wire == name) {
            Some(param) => {
                format.push_str("{}");
                values.push(rust_ident(&param.name));
            }
            None => format.push_str(&escaped(&format!("{{{name}}}"))),
        }
        rest = after;
    }
    format.push_str(&escaped(rest));
    (format, values)
}

fn next_param(path: &str) -> Option<(&str, &str, &str)> {
    let (before, behind) = path.split_once('{')?;
    let (name, after) = behind.split_once('}')?;
    Some((before, name, after))
}

fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

fn query(param: &Param) -> TokenStream {
    let (wire, ident) = (&param.wire, rust_ident(&param.name));
    match (param.required, param.ty) {
        (true, ParamType::String) => quote!(.query(#wire, &self.params.#ident)),
        (true, ParamType::Integer | ParamType::Boolean | ParamType::Float) => {
            quote!(.query(#wire, self.params.#ident))
        }
        (false, _) => quote!(.query_if_some(#wire, self.params.#ident.as_ref())),
    }
}

/// How the credential travels: in the first of the declared ways.
enum Way {
    None,
    /// As it is, in a place that this expression says
    Credential(TokenStream),
    /// With the name of the user from this environment variable
    Basic {
        user: String,
    },
}

/// The environment variables that may hold the credential.
pub(super) fn env<'a>(client: &Client<'a>) -> &'a [String] {
    client.api.definition.websocket.as_ref().map_or(&[], |api| &api.env_auth)
}

fn way(client: &Client) -> Way {
    let Some(api) = &client.api.definition.websocket else { return Way::None };
    let declared = &client.endpoint.policy.auth;
    match declared.iter().find(|way| !matches!(way, AuthWay::UrlByCall { .. })) {
        Some(way) => declared_way(way),
        None if declared.is_empty() => strategy(&api.auth, api.env_username.as_ref()),
        // The only way leads over another call, whose answer the caller gives as the target.
        None => Way::None,
    }
}

fn declared_way(way: &AuthWay) -> Way {
    match way {
        AuthWay::Header { name, prefix } => Way::Credential(header(name, prefix)),
        AuthWay::Query { name, prefix } => Way::Credential(query_way(name, prefix)),
        AuthWay::Cookie { name } => Way::Credential(cookie(name)),
        AuthWay::Subprotocol { prefix, beside } => Way::Credential(quote!(runtime::AuthWay::Subprotocol {
            prefix: String::from(#prefix),
            beside: vec![#(String::from(#beside)),*],
        })),
        AuthWay::FirstMessage { .. } => Way::Credential(quote!(runtime::AuthWay::FirstMessage)),
        AuthWay::UrlByCall { .. } => Way::None,
    }
}

fn strategy(auth: &AuthStrategy, user: Option<&String>) -> Way {
    match (auth, user) {
        (AuthStrategy::None, _) => Way::None,
        (AuthStrategy::BearerToken { header: name }, _) => {
            Way::Credential(header(name.as_deref().unwrap_or("Authorization"), "Bearer "))
        }
        (AuthStrategy::ApiKey { header: name }, _) => Way::Credential(header(name, "")),
        (AuthStrategy::Basic, Some(user)) => Way::Basic { user: user.clone() },
        (AuthStrategy::Basic, None) => Way::Credential(header("Authorization", "Basic ")),
        (AuthStrategy::ApiKeyQuery { name }, _) => Way::Credential(query_way(name, "")),
        (AuthStrategy::ApiKeyCookie { name }, _) => Way::Credential(cookie(name)),
    }
}

fn header(name: &str, prefix: &str) -> TokenStream {
    quote!(runtime::AuthWay::Header { name: String::from(#name), prefix: String::from(#prefix) })
}

fn query_way(name: &str, prefix: &str) -> TokenStream {
    quote!(runtime::AuthWay::Query { name: String::from(#name), prefix: String::from(#prefix) })
}

fn cookie(name: &str) -> TokenStream {
    quote!(runtime::AuthWay::Cookie { name: String::from(#name) })
}

/// Statements that write the credential into a first message, where it is the message that carries it.
pub(super) fn fill(client: &Client, message: &Message) -> Option<TokenStream> {
    let place = credential_place(client, message)?;
    let env = env(client);
    Some(quote!(self.talk.fill(&mut #place, &[#(#env),*]);))
}

/// The place of the credential in a first message.
fn credential_place(client: &Client, message: &Message) -> Option<TokenStream> {
    access::text_place(client.api, &message.body, first_message_path(client, message)?)
}

/// The path of the credential in a first message, if that is how it travels.
pub(super) fn first_message_path<'a>(client: &Client<'a>, message: &Message) -> Option<&'a [String]> {
    let mut ways = client.endpoint.policy.auth.iter().filter(|way| !matches!(way, AuthWay::UrlByCall { .. }));
    if !matches!(ways.next(), Some(AuthWay::FirstMessage { .. })) {
        return None;
    }
    client.endpoint.policy.auth.iter().find_map(|way| match way {
        AuthWay::FirstMessage { message: id, path } => {
            find(&client.endpoint.client, id).filter(|m| m.wire == message.wire).map(|_| path.as_slice())
        }
        AuthWay::Header { .. }
        | AuthWay::Query { .. }
        | AuthWay::Cookie { .. }
        | AuthWay::Subprotocol { .. }
        | AuthWay::UrlByCall { .. } => None,
    })
}
