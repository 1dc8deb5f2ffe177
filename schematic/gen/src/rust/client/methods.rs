//! Writes a method for each message, in the phase in which it may be said.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::{Reconnect, Replies, Reply};

use super::{Client, access, find, target};
use crate::ir::Message;
use crate::names::{Scope, rust_ident};
use crate::rust::doc;

/// Methods that every client has.
const METHODS: &[&str] = &[
    "builder",
    "connect",
    "connect_over",
    "connect_with",
    "disconnect",
    "finished",
    "flushed",
    "next",
    "next_id",
    "reconnect",
    "split",
    "state",
];

/// The methods of all messages.
pub(super) fn declare(client: &Client) -> TokenStream {
    let name = &client.name;
    let lifecycle = &client.endpoint.lifecycle;
    let mut scope = Scope::with(METHODS.iter().copied());
    let mut new = TokenStream::new();
    let mut open = TokenStream::new();
    for message in &client.endpoint.client.messages {
        if lifecycle.initialize.as_ref() == Some(&message.name) {
            new.extend(transition(client, message, &quote!(runtime::Open), &mut scope));
        } else if lifecycle.close.as_ref() == Some(&message.name) {
            open.extend(transition(client, message, &quote!(runtime::Closed), &mut scope));
        } else {
            open.extend(streaming(client, message, &mut scope));
        }
    }
    let in_phase = |phase: TokenStream, methods: TokenStream| {
        (!methods.is_empty()).then(|| quote!(impl<Half> #name<runtime::#phase, Half> { #methods }))
    };
    let (new, open) = (in_phase(quote!(New), new), in_phase(quote!(Open), open));
    quote!(#new #open)
}

/// A method that takes the client to its next phase.
fn transition(client: &Client, message: &Message, phase: &TokenStream, scope: &mut Scope) -> TokenStream {
    let (name, says) = (&client.name, client.out());
    let method = rust_ident(&scope.snake(&message.name));
    let about = doc(&message.description, &format!("Says `{}`", message.wire));
    let body = client.output.ty(&message.body);
    let said = client.say(message, quote!(message));
    let opens = client.endpoint.lifecycle.initialize.as_ref() == Some(&message.name);
    let fill = opens.then(|| target::fill(client, message)).flatten();
    let mutable = fill.as_ref().map(|_| quote!(mut));
    let (advance, waits) = match &client.endpoint.policy.timeouts.first_ack {
        Some(_) if opens => (quote!(advance_acknowledged), " Waits until the server has acknowledged it."),
        Some(_) | None => (quote!(advance), " Gives the client in its next phase."),
    };
    quote! {
        #about
        ///
        #[doc = #waits]
        ///
        /// # Errors
        /// When the message is not accepted or the session is over; the client comes back with the reason.
        pub async fn #method(
            self,
            #mutable message: #body,
        ) -> Result<#name<#phase, Half>, runtime::Interrupted<Self, #says>> {
            #fill
            match self.talk.#advance(#said).await {
                Ok(talk) => Ok(#name { talk }),
                Err(interrupted) => Err(interrupted.map(|talk| Self { talk })),
            }
        }
    }
}

/// The methods of a message that is said while the session is open.
fn streaming(client: &Client, message: &Message, scope: &mut Scope) -> TokenStream {
    let says = client.out();
    let method = rust_ident(&scope.snake(&message.name));
    let about = doc(&message.description, &format!("Says `{}`", message.wire));
    let body = client.output.ty(&message.body);
    let said = client.say(message, quote!(message));
    let send = if message.repeatable {
        quote!(self.talk.send(#said).await)
    } else {
        let wire = &message.wire;
        quote!(self.talk.send_once(#wire, #said).await)
    };
    let stream = message.repeatable.then(|| stream(client, message, scope));
    let request = message.reply.as_ref().map(|reply| request(client, message, reply, scope));
    quote! {
        #about
        ///
        /// # Errors
        /// When the message is not accepted or the session is over; what was not sent comes back.
        pub async fn #method(&self, message: #body) -> Result<(), runtime::Failure<#says>> {
            #send
        }

        #stream

        #request
    }
}

/// A method that says every item of a stream.
fn stream(client: &Client, message: &Message, scope: &mut Scope) -> TokenStream {
    let says = client.out();
    let method = rust_ident(&scope.snake(&format!("{}_stream", message.name)));
    let about = format!(" Says `{}` for each item of a stream, as fast as there is a place.", message.wire);
    let body = client.output.ty(&message.body);
    let said = client.say(message, quote!(message));
    quote! {
        #[doc = #about]
        ///
        /// # Errors
        /// With the first item that is not accepted; those after it stay in the stream.
        pub async fn #method(
            &self,
            mut messages: impl runtime::Stream<Item = #body> + std::marker::Unpin,
        ) -> Result<(), runtime::Failure<#says>> {
            while let Some(message) = runtime::next_of(&mut messages).await {
                self.talk.send(#said).await?;
            }
            Ok(())
        }
    }
}

/// A method that sends a request and gives what answers it.
fn request(client: &Client, message: &Message, reply: &Reply, scope: &mut Scope) -> TokenStream {
    let (says, hears, session) = (client.out(), client.incoming(), &client.session);
    let (suffix, ask, result, about) = match reply.replies {
        Replies::One => ("reply", quote!(request_one), quote!(#hears), "waits for what answers it"),
        Replies::Exactly(_) | Replies::Stream { .. } => {
            ("replies", quote!(request), quote!(runtime::Replies<#session>), "gives what answers it")
        }
    };
    let method = rust_ident(&scope.snake(&format!("{}_{suffix}", message.name)));
    let about = format!(" Says `{}` and {about}.", message.wire);
    let body = client.output.ty(&message.body);
    let says_variant = &client.says;
    let variant = rust_ident(&message.name);
    let has_id = client.envelope_has_id();
    let said = match (&client.api.envelope, has_id) {
        (Some(_), true) => {
            quote!(runtime::Enclosed { id: id.clone(), message: #says_variant::#variant(message) })
        }
        (Some(_), false) | (None, _) => client.say(message, quote!(message)),
    };
    let id = has_id.then(|| quote!(let id = Some(serde_json::Value::from(self.talk.next_id()));));
    let expect = expect(client, message, reply);
    quote! {
        #[doc = #about]
        ///
        /// # Errors
        /// When the message is not accepted, the session is over, or no reply comes in time.
        pub async fn #method(&self, message: #body) -> Result<#result, runtime::Failure<#says>> {
            #id
            let expect = #expect;
            self.talk.#ask(#said, expect).await
        }
    }
}

/// How the replies are recognised.
fn expect(client: &Client, message: &Message, reply: &Reply) -> TokenStream {
    let (server, hears) = (&client.endpoint.server, client.incoming());
    let mut members = Vec::new();
    members.extend(request_id(client, message, reply).map(|id| quote!(id: #id)));
    let judge = |ids: &mut dyn Iterator<Item = &String>| {
        let ids: Vec<&String> = ids.collect();
        client.matches(&quote!(reply), server, ids).map(|holds| quote!(Box::new(|reply: &#hears| #holds)))
    };
    let until: &[String] = match &reply.replies {
        Replies::Stream { until } => until,
        Replies::One | Replies::Exactly(_) => &[],
    };
    let all = &mut reply.messages.iter().chain(&reply.errors).chain(until);
    members.extend(judge(all).map(|accepts| quote!(accepts: #accepts)));
    members.extend(judge(&mut reply.errors.iter()).map(|fails| quote!(fails: #fails)));
    match &reply.replies {
        Replies::One => {}
        Replies::Exactly(count) => {
            let count = proc_macro2::Literal::u32_unsuffixed(*count);
            members.push(quote!(count: runtime::Count::Exactly(#count)));
        }
        Replies::Stream { until } => {
            let last = judge(&mut until.iter()).unwrap_or_else(|| quote!(Box::new(|_| false)));
            members.push(quote!(count: runtime::Count::Until(#last)));
        }
    }
    if let Some(ms) = reply.timeout_ms {
        let ms = proc_macro2::Literal::u64_unsuffixed(ms);
        members.push(quote!(timeout: Some(std::time::Duration::from_millis(#ms))));
    }
    if client.is_subscription(message) {
        members.push(quote!(restored: true));
    }
    // All six leave nothing to be filled in.
    let rest = (members.len() < 6).then(|| quote!(..runtime::Expect::default()));
    quote!(runtime::Expect { #(#members,)* #rest })
}

/// The id by which a reply names its request, as `Option<Value>`.
fn request_id(client: &Client, message: &Message, reply: &Reply) -> Option<TokenStream> {
    if client.envelope_has_id() {
        return Some(quote!(id.clone()));
    }
    let path = &reply.correlation.as_ref()?.request;
    access::member_of_value(client.api, &message.body, path)
}

impl Client<'_> {
    /// Whether a message stays in force and is said again on the next link.
    fn is_subscription(&self, message: &Message) -> bool {
        match &self.endpoint.policy.reconnect {
            Reconnect::Replay { subscriptions, .. } if self.restores() => subscriptions
                .iter()
                .any(|s| find(&self.endpoint.client, &s.message).is_some_and(|m| m.wire == message.wire)),
            Reconnect::Never | Reconnect::Replay { .. } | Reconnect::Token { .. } => false,
        }
    }

    /// Whether requests find their replies by the id of the envelope.
    pub(super) fn envelope_has_id(&self) -> bool {
        self.api.envelope.as_ref().is_some_and(|envelope| envelope.id.is_some())
    }
}
