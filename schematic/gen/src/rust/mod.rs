//! Rust output.
//!
//! [`wire_types`] writes the types of everything that is said and the recognition of messages, for servers and for
//! whoever brings their own socket. The file depends on `serde` and `serde_json` alone (and `base64`, if the definition
//! has bytes). [`client`] writes clients of its WebSocket endpoints beside it, on `schematic-runtime`.

mod client;
mod helpers;
mod messages;
mod rest;
mod select;
mod types;

use std::cell::RefCell;
use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::{Definition, Problem, Type};

use crate::ir::{self, Api, TypeKind};
use crate::names::{self, Scope, rust_ident};
use crate::{File, Provenance};

use helpers::Helper;

pub use client::client;
pub use rest::rest_client;

/// Writes `wire.rs`: the types of a definition, and for each direction of each endpoint an enum of its messages that
/// reads and writes frames.
///
/// `missing_docs` is satisfied; `rustfmt` is not consulted, so declare the module with `#[rustfmt::skip]`.
///
/// # Errors
/// Every problem of the definition.
pub fn wire_types(definition: &Definition, provenance: &Provenance) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    let output = Output::new(&api);
    let types: Vec<TokenStream> = api.types.iter().map(|decl| types::declare(&output, decl)).collect();
    let messages: Vec<TokenStream> = api
        .endpoints
        .iter()
        .flat_map(|endpoint| [&endpoint.client, &endpoint.server])
        .map(|direction| messages::declare(&output, direction))
        .collect();
    let constants = output.constants.take();
    let body = quote! { #(#messages)* #(#types)* #(#constants)* };
    let helpers = output.helpers.borrow().iter().map(|helper| helper.tokens()).collect::<Vec<_>>();
    let imports = helpers::imports(&output.helpers.borrow(), &body);
    let tokens = quote! { #imports #body #(#helpers)* };
    Ok(vec![("wire.rs".into(), print(&api, "Wire types", provenance, tokens))])
}

/// What is gathered while a file is written.
struct Output<'a> {
    api: &'a Api,
    /// Helper functions that the file needs
    helpers: RefCell<BTreeSet<Helper>>,
    /// Types of members that always have the same value
    constants: RefCell<Vec<TokenStream>>,
    /// Names of the file's types
    names: RefCell<Scope>,
}

impl<'a> Output<'a> {
    fn new(api: &'a Api) -> Self {
        let mut names = Scope::with(names::RESERVED_TYPES.iter().copied());
        for name in api.types.iter().map(|decl| &decl.name) {
            names.take(name);
        }
        for endpoint in &api.endpoints {
            names.take(&endpoint.client.name);
            names.take(&endpoint.server.name);
        }
        Self { api, helpers: RefCell::default(), constants: RefCell::default(), names: RefCell::new(names) }
    }

    /// Notes that the file needs a helper, and what that stands on.
    fn need(&self, helper: Helper) {
        self.helpers.borrow_mut().insert(helper);
        if let Some(base) = helper.stands_on() {
            self.need(base);
        }
    }

    /// A type as it is written in Rust.
    fn ty(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::String | Type::Timestamp => quote!(String),
            Type::Integer => quote!(i64),
            Type::Unsigned => quote!(u64),
            Type::Float => quote!(f64),
            Type::Boolean => quote!(bool),
            Type::Bytes => {
                self.need(Helper::Bytes);
                quote!(Bytes)
            }
            Type::Json => quote!(serde_json::Value),
            Type::Named(name) => {
                let name = rust_ident(name);
                quote!(#name)
            }
            Type::Array(item) => {
                let item = self.ty(item);
                quote!(Vec<#item>)
            }
            Type::Map(value) => {
                let value = self.ty(value);
                quote!(BTreeMap<String, #value>)
            }
        }
    }

    /// Whether a value of the type holds, without a list or map between, a value of the named type.
    fn holds(&self, ty: &Type, name: &str) -> bool {
        let mut seen = BTreeSet::new();
        self.holds_unseen(ty, name, &mut seen)
    }

    fn holds_unseen<'b>(&'b self, ty: &'b Type, name: &str, seen: &mut BTreeSet<&'b str>) -> bool {
        let Type::Named(here) = ty else { return false };
        if here == name {
            return true;
        }
        if !seen.insert(here) {
            return false;
        }
        let Some(decl) = self.api.find(here) else { return false };
        match &decl.kind {
            TypeKind::Record(fields) => fields.iter().any(|f| self.holds_unseen(&f.ty, name, seen)),
            TypeKind::Union(variants) => variants.iter().any(|v| self.holds_unseen(&v.ty, name, seen)),
            TypeKind::Tuple { items, .. } => items.iter().any(|i| self.holds_unseen(&i.ty, name, seen)),
            TypeKind::Alias(of) => self.holds_unseen(of, name, seen),
            TypeKind::Enum { .. } => false,
        }
    }
}

/// A doc comment of one line, never empty.
fn doc(description: &str, otherwise: &str) -> TokenStream {
    let text = if description.trim().is_empty() { otherwise } else { description };
    let line = format!(" {}", text.split_whitespace().collect::<Vec<_>>().join(" "));
    quote!(#[doc = #line])
}

/// Lays the tokens out, with the provenance on the first line.
fn print(api: &Api, what: &str, provenance: &Provenance, tokens: TokenStream) -> String {
    let file = syn::parse2(tokens).expect("what the generator writes is Rust");
    let about = [format!("{what} of {}: {}.", api.wire, api.description.trim_end_matches('.'))];
    let about = about.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut text = format!("// {}\n", provenance.line());
    for line in about {
        text.push_str(&format!("//! {line}\n"));
    }
    text.push('\n');
    text.push_str(&spaced(&prettyplease::unparse(&file)));
    text
}

/// Puts an empty line between items and between methods, which the printer leaves out.
fn spaced(code: &str) -> String {
    let mut text = String::with_capacity(code.len() + code.len() / 40);
    let mut before = "";
    for line in code.lines() {
        let ended = match before {
            "}" => !line.is_empty(),
            "    }" => {
                ["    ///", "    #[", "    fn ", "    async fn "].iter().any(|start| line.starts_with(start))
            }
            other => {
                !other.starts_with(' ')
                    && (other.ends_with(" {}") || (other.ends_with(';') && is_start(line)))
            }
        };
        if ended {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        before = line;
    }
    text
}

/// Whether a documented item or an attribute begins at the left margin.
fn is_start(line: &str) -> bool {
    line.starts_with("///") || line.starts_with("#[")
}
