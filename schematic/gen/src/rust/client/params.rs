//! Writes what a connection is opened with, and the functions that open it.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::ParamType;

use super::{Client, all_params};
use crate::ir::Param;
use crate::names::rust_ident;
use crate::rust::doc;

/// The parameters of an endpoint that has some.
pub(super) fn declare(client: &Client) -> TokenStream {
    let Some(name) = &client.params else { return TokenStream::new() };
    let about = format!(" What a connection to {} is opened with.", client.endpoint.wire);
    let members = all_params(client.endpoint).map(|param| {
        let ident = rust_ident(&param.name);
        let about = doc(&describe(param), "");
        let ty = param_type(param);
        quote!(#about pub #ident: #ty)
    });
    quote! {
        #[doc = #about]
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct #name { #(#members),* }
    }
}

fn describe(param: &Param) -> String {
    let default = param.default.as_ref();
    let default =
        default.map_or(String::new(), |default| format!("; without it the server assumes `{default}`"));
    format!("The parameter `{}`{default}", param.wire)
}

fn param_type(param: &Param) -> TokenStream {
    let ty = match param.ty {
        ParamType::String => quote!(String),
        ParamType::Integer => quote!(i64),
        ParamType::Boolean => quote!(bool),
        ParamType::Float => quote!(f64),
    };
    if param.required { ty } else { quote!(Option<#ty>) }
}

/// The parameters as an argument with a comma behind, and as they are passed on; nothing if there are none.
pub(super) fn argument(client: &Client) -> (TokenStream, TokenStream) {
    match &client.params {
        Some(params) => (quote!(params: #params,), quote!(params,)),
        None => (TokenStream::new(), TokenStream::new()),
    }
}

/// The functions that connect.
pub(super) fn connects(client: &Client) -> TokenStream {
    let (argument, passed) = argument(client);
    let session = &client.session;
    let fresh = super::session::fresh(client);
    quote! {
        /// Connects, with credentials from the definition's environment variables.
        ///
        /// # Errors
        /// When the connection cannot be opened.
        pub async fn connect(#argument) -> Result<Self, runtime::Error> {
            Self::connect_with(#passed runtime::Options::new()).await
        }

        /// Connects to another server, with another credential or another policy.
        ///
        /// # Errors
        /// When the connection cannot be opened.
        pub async fn connect_with(#argument options: runtime::Options) -> Result<Self, runtime::Error> {
            Self::connect_over(#passed options, runtime::WebSocketTransport).await
        }

        /// Connects over a transport of the caller.
        ///
        /// # Errors
        /// When the connection cannot be opened.
        pub async fn connect_over<T>(#argument options: runtime::Options, transport: T) -> Result<Self, runtime::Error>
        where
            T: runtime::Transport + Sync,
        {
            let transport = std::sync::Arc::new(transport);
            let talk = runtime::Conversation::dial(options, move |options| {
                let session = #fresh;
                let transport = std::sync::Arc::clone(&transport);
                runtime::Connection::open(session, transport, options.adjusted(#session::policy()))
            });
            Ok(Self { talk: talk.await? })
        }
    }
}
