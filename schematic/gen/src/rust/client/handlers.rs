//! Writes the builder with callbacks.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::FrameKind;

use super::{Client, params};
use crate::ir::Message;
use crate::names::{Scope, rust_ident};
use crate::rust::doc;

/// Methods that every builder has.
const METHODS: &[&str] =
    &["options", "connect", "connect_over", "on_failure", "on_unknown", "on_unknown_binary"];

/// The builder and its methods.
pub(super) fn declare(client: &Client) -> TokenStream {
    let Client { name, builder, session, params, .. } = client;
    let about = format!(" Opens a [`{name}`] that hands what the server says to callbacks.");
    let first = client.first_phase();
    let (says, hears) = (client.out(), client.incoming());
    let member = params.as_ref().map(|params| quote!(params: #params,));
    let passed = params.as_ref().map(|_| quote!(self.params,));
    let mut scope = Scope::with(METHODS.iter().copied());
    let callbacks = client.endpoint.server.messages.iter().map(|message| on(client, message, &mut scope));
    let unknown = unknown(client);
    quote! {
        #[doc = #about]
        ///
        /// A message goes to the first callback that was set for it.
        #[derive(Debug)]
        pub struct #builder {
            #member
            options: runtime::Options,
            handlers: runtime::Handlers<#hears, #says>,
        }

        impl #builder {
            /// Another server, another credential, another policy.
            pub fn options(mut self, options: runtime::Options) -> Self {
                self.options = options;
                self
            }

            #(#callbacks)*

            #unknown

            /// Calls back for what goes wrong without ending the session; its end is told by `finished`.
            pub fn on_failure(mut self, call: impl std::ops::FnMut(runtime::Failure<#says>) + Send + 'static) -> Self {
                self.handlers.on_failure(call);
                self
            }

            /// Connects.
            ///
            /// # Errors
            /// When the connection cannot be opened.
            pub async fn connect(self) -> Result<#name<#first, runtime::Handled<#says>>, runtime::Error> {
                self.connect_over(runtime::WebSocketTransport).await
            }

            /// Connects over a transport of the caller.
            ///
            /// # Errors
            /// When the connection cannot be opened.
            pub async fn connect_over<T>(
                self,
                transport: T,
            ) -> Result<#name<#first, runtime::Handled<#says>>, runtime::Error>
            where
                T: runtime::Transport + Sync,
            {
                let client: #name<#first, runtime::Incoming<#session>> =
                    #name::connect_over(#passed self.options, transport).await?;
                Ok(#name { talk: client.talk.handle(self.handlers) })
            }
        }
    }
}

/// A builder without callbacks.
pub(super) fn fresh(client: &Client) -> TokenStream {
    let builder = &client.builder;
    let (_, passed) = params::argument(client);
    quote!(#builder { #passed options: runtime::Options::new(), handlers: runtime::Handlers::default() })
}

fn on(client: &Client, message: &Message, scope: &mut Scope) -> TokenStream {
    let method = rust_ident(&scope.snake(&format!("on_{}", message.name)));
    let body = client.output.ty(&message.body);
    let about = doc(&message.description, &format!("The message `{}`", message.wire));
    let variant = rust_ident(&message.name);
    let hears = &client.hears;
    let handler = handler(client, &quote!(#hears::#variant(body)), &quote!(call(body)));
    quote! {
        #about
        pub fn #method(mut self, mut call: impl std::ops::FnMut(#body) + Send + 'static) -> Self {
            #handler
            self
        }
    }
}

fn enclosed(client: &Client, pattern: &TokenStream) -> TokenStream {
    match client.api.envelope {
        Some(_) => quote!(runtime::Enclosed { message: #pattern, .. }),
        None => quote!(#pattern),
    }
}

fn handler(client: &Client, pattern: &TokenStream, call: &TokenStream) -> TokenStream {
    let pattern = enclosed(client, pattern);
    quote! {
        self.handlers.on(move |message| match message {
            #pattern => {
                #call;
                None
            }
            other => Some(other),
        });
    }
}

/// The handler where the server says nothing that is known, so that there is nothing to choose.
fn only_handler(client: &Client, unknown: &TokenStream) -> TokenStream {
    let pattern = enclosed(client, unknown);
    quote! {
        self.handlers.on(move |#pattern| {
            call(tag, raw);
            None
        });
    }
}

fn unknown(client: &Client) -> TokenStream {
    let hears = &client.hears;
    let pattern = quote!(#hears::Unknown { tag, raw });
    let text = if client.endpoint.server.messages.is_empty() {
        only_handler(client, &pattern)
    } else {
        handler(client, &pattern, &quote!(call(tag, raw)))
    };
    let binary = client.endpoint.server.messages.iter().any(|message| message.frame == FrameKind::Binary);
    let binary = binary.then(|| {
        let handler = handler(client, &quote!(#hears::UnknownBinary(bytes)), &quote!(call(bytes)));
        quote! {
            /// A binary frame that the definition does not know.
            pub fn on_unknown_binary(mut self, mut call: impl std::ops::FnMut(Vec<u8>) + Send + 'static) -> Self {
                #handler
                self
            }
        }
    });
    quote! {
        /// A message that the definition does not know: its tag, if it has one, and its text.
        pub fn on_unknown(mut self, mut call: impl std::ops::FnMut(Option<String>, String) + Send + 'static) -> Self {
            #text
            self
        }

        #binary
    }
}
