//! Writes what comes back: the result of a method, enums of several successes, enums of declared errors.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use schematic_define::StreamFormat;

use super::calls::number;
use super::doc;
use crate::names::rust_ident;
use crate::rest::{Body, Endpoint, Faults, Outcome, Rest};

/// The type of an endpoint's declared errors.
pub(super) fn error(rest: &Rest, endpoint: &Endpoint) -> TokenStream {
    match endpoint.faults {
        Some(place) => {
            let name = rust_ident(&rest.faults[place].name);
            quote!(#name)
        }
        None => quote!(rest::NoFault),
    }
}

/// What the method of an endpoint returns.
pub(super) fn result(rest: &Rest, endpoint: &Endpoint) -> TokenStream {
    let error = error(rest, endpoint);
    let success = match &endpoint.successes[..] {
        [one] => body_type(&one.body),
        _ => {
            let name = rust_ident(&endpoint.answer_name);
            quote!(#name)
        }
    };
    quote!(Result<#success, rest::Error<#error>>)
}

fn body_type(body: &Body) -> TokenStream {
    match body {
        Body::Json(ty) => super::ty(ty),
        Body::Text => quote!(String),
        Body::Binary => quote!(Vec<u8>),
        Body::Empty => quote!(()),
        Body::Stream(_, item) => {
            let item = super::ty(item);
            quote!(rest::Items<#item, schematic_runtime::Error>)
        }
    }
}

/// Sends the call and reads what it brings.
pub(super) fn finish(rest: &Rest, endpoint: &Endpoint) -> TokenStream {
    let error = error(rest, endpoint);
    match &endpoint.successes[..] {
        [one] => match &one.body {
            Body::Json(_) => quote!(Ok(self.rest.send::<#error>(call).await?.json()?)),
            Body::Text => quote!(Ok(self.rest.send::<#error>(call).await?.text()?)),
            Body::Binary => quote!(Ok(self.rest.send::<#error>(call).await?.bytes())),
            Body::Empty => quote!(self.rest.send::<#error>(call).await?; Ok(())),
            Body::Stream(StreamFormat::ServerSentEvents, _) => {
                quote!(Ok(self.rest.open::<#error>(call).await?.events()))
            }
            Body::Stream(StreamFormat::JsonLines, _) => {
                quote!(Ok(self.rest.open::<#error>(call).await?.lines()))
            }
        },
        several => by_status(endpoint, several, &error),
    }
}

/// Reads what the status says. What is not listed does not come so far, so that the last arm takes the rest.
fn by_status(endpoint: &Endpoint, several: &[Outcome], error: &TokenStream) -> TokenStream {
    let name = rust_ident(&endpoint.answer_name);
    let live = several.iter().any(|outcome| matches!(outcome.body, Body::Stream(..)));
    let arms = several.iter().enumerate().map(|(place, outcome)| {
        let variant = variant(outcome);
        let read = match (&outcome.body, live) {
            (Body::Stream(StreamFormat::ServerSentEvents, _), _) => quote!(#name::#variant(reply.events())),
            (Body::Stream(StreamFormat::JsonLines, _), _) => quote!(#name::#variant(reply.lines())),
            (body, false) => construct(&quote!(#name::#variant), body, &quote!(reply)),
            (body, true) => construct(&quote!(#name::#variant), body, &quote!(reply.whole().await?)),
        };
        match outcome.status {
            Some(status) if place + 1 < several.len() => {
                let status = number(status);
                quote!(#status => #read,)
            }
            Some(_) | None => quote!(_ => #read,),
        }
    });
    let send = if live { quote!(open) } else { quote!(send) };
    quote! {
        let reply = self.rest.#send::<#error>(call).await?;
        Ok(match reply.status() { #(#arms)* })
    }
}

fn construct(variant: &TokenStream, body: &Body, reply: &TokenStream) -> TokenStream {
    match body {
        Body::Json(_) => quote!(#variant(#reply.json()?)),
        Body::Text | Body::Stream(..) => quote!(#variant(#reply.text()?)),
        Body::Binary => quote!(#variant(#reply.bytes())),
        Body::Empty => quote!(#variant),
    }
}

fn variant(outcome: &Outcome) -> Ident {
    format_ident!("Status{}", outcome.status.unwrap_or_default())
}

fn variants(outcomes: &[Outcome]) -> Vec<TokenStream> {
    let each = outcomes.iter().map(|outcome| {
        let about = doc(&sentence(outcome), "");
        let name = variant(outcome);
        match &outcome.body {
            Body::Empty => quote!(#about #name),
            body => {
                let ty = body_type(body);
                quote!(#about #name(#ty))
            }
        }
    });
    each.collect()
}

/// What a status means.
fn sentence(outcome: &Outcome) -> String {
    let status = outcome.status.unwrap_or_default();
    match outcome.description.trim() {
        "" => format!("{status}"),
        text => format!("{status}: {text}"),
    }
}

/// The enum of an endpoint's successes, if there is more than one.
pub(super) fn several(endpoint: &Endpoint) -> Option<TokenStream> {
    let name = rust_ident(&endpoint.answer_name);
    let about = doc(&format!("What `{}` brings", endpoint.define.id), "");
    let variants = variants(&endpoint.successes);
    (variants.len() > 1).then(|| {
        quote! {
            #about
            #[derive(Debug)]
            pub enum #name { #(#variants),* }
        }
    })
}

/// The enum of declared errors.
pub(super) fn faults(rest: &Rest, faults: &Faults) -> TokenStream {
    let name = rust_ident(&faults.name);
    let about = doc(&format!("Why a call failed, as {} declares it", rest.define.name), "");
    let variants = variants(&faults.outcomes);
    let reads = faults.outcomes.iter().map(|outcome| {
        let (status, variant) = (number(outcome.status.unwrap_or_default()), variant(outcome));
        let read = match &outcome.body {
            Body::Json(_) => quote!(reply.json().map(Self::#variant)),
            Body::Text | Body::Stream(..) => quote!(reply.text().map(Self::#variant)),
            Body::Binary => quote!(Ok(Self::#variant(reply.bytes()))),
            Body::Empty => quote!(Ok(Self::#variant)),
        };
        quote!(#status => #read,)
    });
    let says = faults.outcomes.iter().map(|outcome| {
        let (variant, text) = (variant(outcome), sentence(outcome));
        match &outcome.body {
            Body::Empty => quote!(Self::#variant => #text,),
            _ => quote!(Self::#variant(_) => #text,),
        }
    });
    quote! {
        #about
        #[derive(Debug, Clone, PartialEq)]
        pub enum #name { #(#variants),* }

        impl rest::Fault for #name {
            fn read(reply: &rest::Reply) -> Option<Result<Self, schematic_runtime::Error>> {
                Some(match reply.status() { #(#reads)* _ => return None })
            }
        }

        impl std::fmt::Display for #name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { #(#says)* })
            }
        }

        impl std::error::Error for #name {}
    }
}
