//! Writes `rest.rs`: a client of a REST API, thin over `schematic_runtime::rest`.
//!
//! One method an endpoint, which says what its request is made of and what its reply is; a struct for its parameters
//! and one for its form; an enum of the errors that the API declares. Types of bodies are in `wire.rs` beside it.

mod answers;
mod calls;

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::{AuthStrategy, Definition, ParamType, Problem, Type};

use super::{doc, spaced};
use crate::ir::{self, Api};
use crate::names::rust_ident;
use crate::rest::{self, Rest};
use crate::{File, Provenance};

/// Methods that every client has.
const METHODS: &[&str] = &["new", "clone", "fmt"];

/// Writes `rest.rs`: the client of a definition's REST API, on `schematic-runtime` with its feature `rest`.
///
/// It stands beside the `wire.rs` of [`wire_types`](super::wire_types) in one module. `rustfmt` is not consulted, so
/// declare the module with `#[rustfmt::skip]`.
///
/// # Errors
/// Every problem of the definition. That it has no REST API is one.
pub fn rest_client(definition: &Definition, provenance: &Provenance) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let rest = rest::lower(&api, definition, METHODS, &[])?;
    let client = client(&rest);
    let types = rest.endpoints.iter().map(|endpoint| {
        let (params, form) = (calls::params(endpoint), calls::form(endpoint));
        let answer = answers::several(endpoint);
        quote!(#params #form #answer)
    });
    let faults = rest.faults.iter().map(|faults| answers::faults(&rest, faults));
    let body = quote!(#client #(#types)* #(#faults)*);
    Ok(vec![("rest.rs".into(), print(&api, provenance, &body))])
}

fn client(rest: &Rest) -> TokenStream {
    let name = rust_ident(&rest.client);
    let about = doc(&rest.define.description, &format!("A client of {}", rest.define.name));
    let (new, spec) = (constructor(rest), specification(rest));
    let methods = rest.endpoints.iter().map(|endpoint| calls::method(rest, endpoint));
    quote! {
        #about
        #[derive(Debug, Clone)]
        pub struct #name { rest: rest::Client }

        impl #name {
            #new
            #(#methods)*
        }

        #spec
    }
}

fn constructor(rest: &Rest) -> TokenStream {
    let env = &rest.define.env_auth;
    let about = match (&rest.define.auth, env.is_empty()) {
        (AuthStrategy::None, _) => "A client.".to_owned(),
        (_, true) => "A client with the credential of the options.".to_owned(),
        (_, false) => {
            let names: Vec<String> = env.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(" or ");
            format!("A client with the credential of the options, or else of the environment: {names}.")
        }
    };
    let about = doc(&about, "");
    quote! {
        #about
        pub fn new(options: rest::Options) -> Result<Self, schematic_runtime::Error> {
            Ok(Self { rest: rest::Client::new(&API, options)? })
        }
    }
}

fn specification(rest: &Rest) -> TokenStream {
    let base_url = &rest.define.base_url;
    let auth = auth(&rest.define.auth);
    let env = &rest.define.env_auth;
    let env_username = match &rest.define.env_username {
        Some(name) => quote!(Some(#name)),
        None => quote!(None),
    };
    quote! {
        const API: rest::Api = rest::Api {
            base_url: #base_url,
            auth: #auth,
            env: &[#(#env),*],
            env_username: #env_username,
        };
    }
}

fn auth(auth: &AuthStrategy) -> TokenStream {
    match auth {
        AuthStrategy::None => quote!(rest::Auth::None),
        AuthStrategy::Basic => quote!(rest::Auth::Basic),
        AuthStrategy::ApiKeyQuery { name } => quote!(rest::Auth::Query { name: #name }),
        AuthStrategy::ApiKeyCookie { name } => quote!(rest::Auth::Cookie { name: #name }),
        AuthStrategy::BearerToken { .. } | AuthStrategy::ApiKey { .. } => {
            let (name, prefix) = rest::auth_header(auth).expect("both stand in a header");
            quote!(rest::Auth::Header { name: #name, prefix: #prefix })
        }
    }
}

/// A type as it is written beside `wire.rs`.
fn ty(ty: &Type) -> TokenStream {
    match ty {
        Type::String | Type::Timestamp => quote!(String),
        Type::Integer => quote!(i64),
        Type::Unsigned => quote!(u64),
        Type::Float => quote!(f64),
        Type::Boolean => quote!(bool),
        Type::Bytes => quote!(wire::Bytes),
        Type::Json => quote!(serde_json::Value),
        Type::Named(name) => {
            let name = rust_ident(name);
            quote!(wire::#name)
        }
        Type::Array(item) => {
            let item = self::ty(item);
            quote!(Vec<#item>)
        }
        Type::Map(value) => {
            let value = self::ty(value);
            quote!(std::collections::BTreeMap<String, #value>)
        }
    }
}

/// The type of a parameter that is kept.
fn param_type(ty: ParamType) -> TokenStream {
    match ty {
        ParamType::String => quote!(String),
        ParamType::Integer => quote!(i64),
        ParamType::Float => quote!(f64),
        ParamType::Boolean => quote!(bool),
    }
}

fn print(api: &Api, provenance: &Provenance, body: &TokenStream) -> String {
    let wire = uses_wire(body.clone()).then(|| {
        quote!(
            use super::wire;
        )
    });
    let tokens = quote! { use schematic_runtime::rest; #wire #body };
    let file = syn::parse2(tokens).expect("what the generator writes is Rust");
    let about = format!("A client of {}: {}.", api.wire, api.description.trim_end_matches('.'));
    let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("// {}\n//! {about}\n\n{}", provenance.line(), spaced(&prettyplease::unparse(&file)))
}

/// Whether a type of `wire.rs` is named; an import without use would be a warning.
fn uses_wire(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        proc_macro2::TokenTree::Group(group) => uses_wire(group.stream()),
        proc_macro2::TokenTree::Ident(ident) => ident == "wire",
        proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
    })
}
