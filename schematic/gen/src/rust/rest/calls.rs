//! Writes what is asked: parameters, forms, and the method of an endpoint.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use schematic_define::{ApiRequest, Pagination, ParamPlace, ParamType, Type};

use super::{answers, doc, param_type};
use crate::names::rust_ident;
use crate::rest::{self, Endpoint, Pages, Param, Part, PartKind, Rest};

/// The struct of the parameters in query, headers and cookies, if there are any.
pub(super) fn params(endpoint: &Endpoint) -> Option<TokenStream> {
    let members = endpoint.params.iter().map(|param| {
        let about = doc(&param.description, &format!("The parameter `{}`", param.wire));
        let (name, ty) = (rust_ident(&param.name), maybe(param_type(param.ty), param.required));
        quote!(#about pub #name: #ty)
    });
    let default = (!endpoint.params.iter().any(|param| param.required)).then(|| quote!(Default,));
    let name = rust_ident(&endpoint.params_name);
    let about = doc(&format!("Parameters of `{}`", endpoint.define.id), "");
    (!endpoint.params.is_empty()).then(|| {
        quote! {
            #about
            #[derive(Debug, Clone, #default PartialEq)]
            pub struct #name { #(#members),* }
        }
    })
}

/// The struct of the form, if the endpoint takes one.
pub(super) fn form(endpoint: &Endpoint) -> Option<TokenStream> {
    let members = endpoint.form.iter().map(|part| {
        let about = doc(&part.description, &format!("The field `{}`", part.wire));
        let (name, ty) = (rust_ident(&part.name), part_type(part));
        quote!(#about pub #name: #ty)
    });
    let default = (!endpoint.form.iter().any(|part| part.required)).then(|| quote!(Default,));
    let name = rust_ident(&endpoint.form_name);
    let about = doc(&format!("The form of `{}`", endpoint.define.id), "");
    (!endpoint.form.is_empty()).then(|| {
        quote! {
            #about
            #[derive(Debug, Clone, #default PartialEq)]
            pub struct #name { #(#members),* }
        }
    })
}

fn part_type(part: &Part) -> TokenStream {
    match &part.kind {
        PartKind::Text => maybe(quote!(String), part.required),
        PartKind::File => maybe(quote!(rest::Upload), part.required),
        // Without any, an empty list says so.
        PartKind::Files => quote!(Vec<rest::Upload>),
        PartKind::Json(ty) => maybe(super::ty(ty), part.required),
    }
}

fn maybe(ty: TokenStream, required: bool) -> TokenStream {
    if required { ty } else { quote!(Option<#ty>) }
}

/// The method of an endpoint, and the one that gives the items of all its pages.
pub(super) fn method(rest: &Rest, endpoint: &Endpoint) -> TokenStream {
    let about = about(endpoint);
    let name = rust_ident(&endpoint.name);
    let arguments = arguments(endpoint);
    let call = call(endpoint);
    let (result, finish) = (answers::result(rest, endpoint), answers::finish(rest, endpoint));
    let Some(pages) = &endpoint.pages else {
        return quote! {
            #about
            pub async fn #name(&self, #(#arguments),*) -> #result { let call = #call; #finish }
        };
    };
    let making = rust_ident(&pages.call);
    let given = given(endpoint);
    let all = all_pages(rest, endpoint, pages, &making);
    let making_about = doc(&format!("The request of [`Self::{name}`]"), "");
    quote! {
        #about
        pub async fn #name(&self, #(#arguments),*) -> #result { let call = self.#making(#(#given),*); #finish }
        #all
        #making_about
        fn #making(&self, #(#arguments),*) -> rest::Call { #call }
    }
}

fn about(endpoint: &Endpoint) -> TokenStream {
    let first = doc(&endpoint.define.description, &format!("The endpoint `{}`", endpoint.define.id));
    let line = doc(&format!("`{} {}`", endpoint.define.method.name(), endpoint.define.path), "");
    quote!(#first #[doc = ""] #line)
}

/// What the caller gives: the path's parameters, the others, the body.
fn arguments(endpoint: &Endpoint) -> Vec<TokenStream> {
    let mut arguments: Vec<TokenStream> = endpoint.path.iter().map(path_argument).collect();
    if !endpoint.params.is_empty() {
        let name = rust_ident(&endpoint.params_name);
        arguments.push(quote!(params: &#name));
    }
    arguments.extend(endpoint.define.request.as_ref().and_then(|request| match request {
        ApiRequest::Json(_) => {
            let ty = json_body(endpoint);
            Some(quote!(body: &#ty))
        }
        ApiRequest::FormData { .. } | ApiRequest::UrlEncoded { .. } if endpoint.form.is_empty() => None,
        ApiRequest::FormData { .. } | ApiRequest::UrlEncoded { .. } => {
            let name = rust_ident(&endpoint.form_name);
            Some(quote!(form: &#name))
        }
        ApiRequest::Text { .. } => Some(quote!(body: String)),
        ApiRequest::Binary { .. } => Some(quote!(body: Vec<u8>)),
    }));
    arguments
}

fn json_body(endpoint: &Endpoint) -> TokenStream {
    let body = endpoint.json.as_ref().map(super::ty);
    body.unwrap_or_else(|| super::ty(&Type::Json))
}

fn path_argument(param: &Param) -> TokenStream {
    let name = rust_ident(&param.name);
    match param.ty {
        ParamType::String => quote!(#name: &str),
        other => {
            let ty = param_type(other);
            quote!(#name: #ty)
        }
    }
}

/// The names of the arguments.
fn given(endpoint: &Endpoint) -> Vec<TokenStream> {
    let mut given: Vec<TokenStream> =
        endpoint.path.iter().map(|param| rust_ident(&param.name)).map(|n| quote!(#n)).collect();
    if !endpoint.params.is_empty() {
        given.push(quote!(params));
    }
    match &endpoint.define.request {
        Some(ApiRequest::Json(_) | ApiRequest::Text { .. } | ApiRequest::Binary { .. }) => {
            given.push(quote!(body))
        }
        Some(ApiRequest::FormData { .. } | ApiRequest::UrlEncoded { .. }) if !endpoint.form.is_empty() => {
            given.push(quote!(form));
        }
        Some(_) | None => {}
    }
    given
}

/// The request.
fn call(endpoint: &Endpoint) -> TokenStream {
    let (verb, template) = (format_ident!("{}", endpoint.define.method.name()), &endpoint.define.path);
    let statuses: Vec<TokenStream> = endpoint.successes.iter().filter_map(|o| o.status).map(number).collect();
    let accepts = (!statuses.is_empty()).then(|| quote!(.accepts(&[#(#statuses),*])));
    let headers = endpoint.headers.iter().map(|(name, value)| quote!(.header(#name, Some(#value))));
    let path = endpoint.path.iter().map(|param| {
        let (wire, name) = (&param.wire, rust_ident(&param.name));
        quote!(.path(#wire, #name))
    });
    let params = endpoint.params.iter().map(param);
    let body = body(endpoint);
    quote!(rest::Call::new(rest::Method::#verb, #template) #accepts #(#headers)* #(#path)* #(#params)* #body)
}

/// A status as it is written: without a suffix.
pub(super) fn number(status: u16) -> TokenStream {
    let status = proc_macro2::Literal::u16_unsuffixed(status);
    quote!(#status)
}

fn param(param: &Param) -> TokenStream {
    let (wire, name) = (&param.wire, rust_ident(&param.name));
    let set = match param.place {
        ParamPlace::Path => quote!(path),
        ParamPlace::Query => quote!(query),
        ParamPlace::Header => quote!(header),
        ParamPlace::Cookie => quote!(cookie),
    };
    match param.required {
        true => quote!(.#set(#wire, Some(&params.#name))),
        false => quote!(.#set(#wire, params.#name.as_ref())),
    }
}

fn body(endpoint: &Endpoint) -> Option<TokenStream> {
    Some(match endpoint.define.request.as_ref()? {
        ApiRequest::Json(_) => quote!(.json(body)),
        ApiRequest::Text { content_type } | ApiRequest::Binary { content_type } => {
            quote!(.body(#content_type, body))
        }
        ApiRequest::FormData { .. } => {
            let parts = endpoint.form.iter().map(part);
            quote!(.multipart(rest::Form::new() #(#parts)*))
        }
        ApiRequest::UrlEncoded { .. } => {
            let parts = endpoint.form.iter().map(part);
            quote!(.urlencoded(rest::Form::new() #(#parts)*))
        }
    })
}

fn part(part: &Part) -> TokenStream {
    let (wire, name) = (&part.wire, rust_ident(&part.name));
    let value = if part.required { quote!(Some(&form.#name)) } else { quote!(form.#name.as_ref()) };
    match part.kind {
        PartKind::Text => quote!(.text(#wire, #value)),
        PartKind::Json(_) => quote!(.json(#wire, #value)),
        PartKind::File => quote!(.files(#wire, #value)),
        PartKind::Files => quote!(.files(#wire, &form.#name)),
    }
}

fn all_pages(rest: &Rest, endpoint: &Endpoint, pages: &Pages, making: &Ident) -> TokenStream {
    let about = doc(
        &format!(
            "The items of all pages of `{}`, from the one that is asked for. Pages are got when they are wanted",
            endpoint.define.id
        ),
        "",
    );
    let name = rust_ident(&pages.name);
    let (arguments, given) = (arguments(endpoint), given(endpoint));
    let (item, error) = (super::ty(&pages.item), answers::error(rest, endpoint));
    let turn = turn(pages);
    let items = rest::items_path(pages.define);
    quote! {
        #about
        pub fn #name(&self, #(#arguments),*) -> rest::Items<#item, rest::Error<#error>> {
            let pages = rest::Pages { turn: #turn, items: &[#(#items),*] };
            self.rest.pages(self.#making(#(#given),*), pages)
        }
    }
}

fn turn(pages: &Pages) -> TokenStream {
    match pages.define {
        Pagination::PageNumber { param, .. } => {
            let first = proc_macro2::Literal::u64_unsuffixed(pages.first);
            quote!(rest::Turn::Number { param: #param, first: #first })
        }
        Pagination::OffsetLimit { offset, .. } => quote!(rest::Turn::Offset { param: #offset }),
        Pagination::Cursor { param, next, .. } => {
            quote!(rest::Turn::Cursor { param: #param, next: &[#(#next),*] })
        }
        Pagination::LinkHeader { .. } => quote!(rest::Turn::Link),
    }
}
