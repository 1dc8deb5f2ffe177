//! Clients of WebSocket endpoints, on `schematic-runtime`.
//!
//! [`client`] writes what differs from endpoint to endpoint: which messages there are, in which phase of a session they
//! may be said, how a session is opened, recognised and restored. What any connection does is in the runtime. The file
//! stands beside `wire.rs`, whose types it uses.

mod access;
mod handlers;
mod methods;
mod params;
mod policy;
mod session;
mod signs;
mod target;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use schematic_define::{Definition, Problem, Reconnect};

use super::{Output, doc, print};
use crate::ir::{self, Api, Direction, Endpoint, Message, Param};
use crate::names::{Scope, rust_ident};
use crate::{File, Provenance};

/// Writes `client.rs`: for each WebSocket endpoint a client whose phase is a type, its parameters, a builder with
/// callbacks, and its policy. Without such endpoints there is no file.
///
/// It stands in a module beside the file of [`super::wire_types`], both declared with `#[rustfmt::skip]`, and depends on
/// `schematic-runtime` and `serde_json`.
///
/// # Errors
/// Every problem of the definition.
pub fn client(definition: &Definition, provenance: &Provenance) -> Result<Vec<File>, Vec<Problem>> {
    let api = ir::lower(definition)?;
    if api.endpoints.is_empty() {
        return Ok(Vec::new());
    }
    let output = Output::new(&api);
    let mut scope = output.names.borrow().clone();
    let clients = api.endpoints.iter().map(|endpoint| Client::new(&output, endpoint, &mut scope).declare());
    let tokens = quote! {
        use schematic_runtime as runtime;
        use super::wire::*;
        #(#clients)*
    };
    Ok(vec![("client.rs".into(), print(&api, "Client", provenance, tokens))])
}

/// An endpoint whose client is being written, with the names of what belongs to it.
struct Client<'a> {
    output: &'a Output<'a>,
    api: &'a Api,
    endpoint: &'a Endpoint,
    /// The client
    name: Ident,
    /// Its parameters, if it has any
    params: Option<Ident>,
    /// The builder with callbacks
    builder: Ident,
    /// What the connection knows of it
    session: Ident,
    /// The enum of what the client says
    says: Ident,
    /// The enum of what the server says
    hears: Ident,
}

impl<'a> Client<'a> {
    fn new(output: &'a Output<'a>, endpoint: &'a Endpoint, scope: &mut Scope) -> Self {
        let mut name = |suffix: &str| rust_ident(&scope.pascal(&format!("{}{suffix}", endpoint.name)));
        let has_params = all_params(endpoint).next().is_some();
        Self {
            output,
            api: output.api,
            endpoint,
            name: name("Client"),
            params: has_params.then(|| name("Params")),
            builder: name("Builder"),
            session: name("Session"),
            says: rust_ident(&endpoint.client.name),
            hears: rust_ident(&endpoint.server.name),
        }
    }

    fn declare(&self) -> TokenStream {
        let params = params::declare(self);
        let client = self.client();
        let methods = methods::declare(self);
        let builder = handlers::declare(self);
        let session = session::declare(self);
        quote! { #params #client #methods #builder #session }
    }

    /// The client itself and how it is connected.
    fn client(&self) -> TokenStream {
        let Self { name, session, builder, .. } = self;
        let about = doc(&self.endpoint.description, &format!("A connection to {}", self.endpoint.wire));
        let first = self.first_phase();
        let connects = params::connects(self);
        let says = self.out();
        let hears = self.incoming();
        let handlers = handlers::fresh(self);
        let (argument, _) = params::argument(self);
        quote! {
            #about
            ///
            /// `Phase` is where the session is, `Half` who hears what the server says.
            #[derive(Debug)]
            pub struct #name<Phase = #first, Half = runtime::Incoming<#session>> {
                talk: runtime::Conversation<#session, Phase, Half>,
            }

            impl #name<#first, runtime::Incoming<#session>> {
                #connects

                /// Begins a client that hands what the server says to callbacks.
                pub fn builder(#argument) -> #builder {
                    #handlers
                }
            }

            impl<Phase> #name<Phase, runtime::Incoming<#session>> {
                /// The next message of the server, or what went wrong; `None` when everything is said.
                pub async fn next(&mut self) -> Option<Result<#hears, runtime::Failure<#says>>> {
                    self.talk.next().await
                }

                /// The half that sends, in its phase, and the stream of what the server says.
                pub fn split(self) -> (#name<Phase, runtime::Detached>, runtime::Incoming<#session>) {
                    let (talk, incoming) = self.talk.split();
                    (#name { talk }, incoming)
                }

                /// Opens a new session with the same parameters. What this one has still to read is dropped.
                ///
                /// # Errors
                /// When the connection cannot be opened.
                pub async fn reconnect(self) -> Result<#name, runtime::Error> {
                    Ok(#name { talk: self.talk.reconnect().await? })
                }
            }

            impl<Phase> #name<Phase, runtime::Handled<#says>> {
                /// Waits until the callbacks have heard everything.
                ///
                /// # Errors
                /// When the session ended early or something was not sent.
                pub async fn finished(self) -> Result<(), runtime::Failure<#says>> {
                    self.talk.finished().await
                }
            }

            impl<Phase, Half> #name<Phase, Half> {
                /// Where the connection is.
                pub fn state(&self) -> runtime::State {
                    self.talk.state()
                }

                /// Waits until everything that was said counts as sent, or the connection is over.
                pub async fn flushed(&self) {
                    self.talk.flushed().await;
                }

                /// A number that this client has not used yet, from 1, for messages that carry an id.
                pub fn next_id(&self) -> u64 {
                    self.talk.next_id()
                }

                /// Says the goodbye of the WebSocket protocol; what the server still says can be read.
                pub fn disconnect(&self) {
                    self.talk.disconnect();
                }
            }
        }
    }

    /// The phase in which a session begins.
    fn first_phase(&self) -> TokenStream {
        match self.endpoint.lifecycle.initialize {
            Some(_) => quote!(runtime::New),
            None => quote!(runtime::Open),
        }
    }

    /// What the connection sends.
    fn out(&self) -> TokenStream {
        self.enclosed(&self.says)
    }

    /// What the connection hears.
    fn incoming(&self) -> TokenStream {
        self.enclosed(&self.hears)
    }

    fn enclosed(&self, message: &Ident) -> TokenStream {
        match self.api.envelope {
            Some(_) => quote!(runtime::Enclosed<#message>),
            None => quote!(#message),
        }
    }

    /// A message of the client with this body, as the connection sends it.
    fn say(&self, message: &Message, body: TokenStream) -> TokenStream {
        let (says, variant) = (&self.says, rust_ident(&message.name));
        match self.api.envelope {
            Some(_) => quote!(runtime::Enclosed { id: None, message: #says::#variant(#body) }),
            None => quote!(#says::#variant(#body)),
        }
    }

    /// What is matched on, of a reference to a message.
    fn subject(&self) -> TokenStream {
        self.subject_of(&quote!(message))
    }

    fn subject_of(&self, message: &TokenStream) -> TokenStream {
        match self.api.envelope {
            Some(_) => quote!(&#message.message),
            None => quote!(#message),
        }
    }

    /// Whether `message` is one of these, as an expression; `None` if there are none.
    fn is_one_of<'m>(
        &self,
        direction: &Direction,
        ids: impl IntoIterator<Item = &'m String>,
    ) -> Option<TokenStream> {
        self.matches(&quote!(message), direction, ids)
    }

    fn matches<'m>(
        &self,
        subject: &TokenStream,
        direction: &Direction,
        ids: impl IntoIterator<Item = &'m String>,
    ) -> Option<TokenStream> {
        let name = rust_ident(&direction.name);
        let mut variants: Vec<Ident> = Vec::new();
        for message in ids.into_iter().filter_map(|id| find(direction, id)) {
            let variant = rust_ident(&message.name);
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        let subject = self.subject_of(subject);
        (!variants.is_empty()).then(|| quote!(matches!(#subject, #(#name::#variants(_))|*)))
    }

    /// The opening message, if there is one.
    fn initialize(&self) -> Option<&'a Message> {
        let name = self.endpoint.lifecycle.initialize.as_ref()?;
        self.endpoint.client.messages.iter().find(|message| message.name == *name)
    }

    /// Whether a lost connection is restored without a word.
    fn restores(&self) -> bool {
        match &self.endpoint.policy.reconnect {
            Reconnect::Never => false,
            Reconnect::Replay { opening, .. } => *opening || self.endpoint.lifecycle.initialize.is_none(),
            Reconnect::Token { .. } => true,
        }
    }
}

/// The message with this id.
fn find<'m>(direction: &'m Direction, id: &str) -> Option<&'m Message> {
    direction.messages.iter().find(|message| message.wire == id)
}

fn all_params(endpoint: &Endpoint) -> impl Iterator<Item = &Param> {
    endpoint.path_params.iter().chain(&endpoint.query)
}
