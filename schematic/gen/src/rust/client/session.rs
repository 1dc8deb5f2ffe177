//! Writes what the connection knows of an endpoint: the runtime's `Session`.
//!
//! Only what the definition says anything about is written; for the rest the trait has its defaults.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use schematic_define::{FrameKind, Reconnect, Replies, Subscription, TokenCapture};

use super::{Client, access, find, policy, signs, target};
use crate::ir::{Direction, Message};
use crate::names::rust_ident;
use crate::rust::helpers::mentions;

/// The session's type and what it does.
pub(super) fn declare(client: &Client) -> TokenStream {
    let Client { session, endpoint, .. } = client;
    let about = format!(" What a connection knows of {}.", endpoint.wire);
    let members = members(client).into_iter().map(|member| member.declared);
    let policy = policy::function(client);
    let context = signs::context(client);
    let (hears, says) = (client.incoming(), client.out());
    let methods = [
        target::method(client),
        encode(client),
        decode(client),
        greeting(client),
        opening(client),
        acknowledging(client),
        restoring(client),
        signs::heartbeat(client),
        signs::reply_id(client).unwrap_or_default(),
        signs::coalesce_key(client).unwrap_or_default(),
        signs::ends(client),
    ];
    let resume = resume(client);
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub struct #session { #(#members,)* }

        impl #session {
            #policy
            #context
            #resume
        }

        impl runtime::Session for #session {
            type In = #hears;
            type Out = #says;

            #(#methods)*
        }
    }
}

/// A member of the session, and what it is at first.
struct Member {
    declared: TokenStream,
    first: TokenStream,
}

fn members(client: &Client) -> Vec<Member> {
    let mut members = Vec::new();
    let mut add = |declared, first| members.push(Member { declared, first });
    if let Some(params) = &client.params {
        add(quote!(params: #params), quote!(params: params.clone()));
    }
    add(quote!(options: runtime::Options), quote!(options: options.clone()));
    if replays(client) {
        let says = client.out();
        add(quote!(replay: runtime::Replay<#says>), quote!(replay: runtime::Replay::default()));
    }
    if captures(client).is_some() {
        add(quote!(captured: runtime::Captured), quote!(captured: runtime::Captured::default()));
    }
    if resumes_with_credential(client) {
        add(quote!(credential: runtime::Captured), quote!(credential: runtime::Captured::default()));
    }
    members
}

/// A session that knows nothing yet.
pub(super) fn fresh(client: &Client) -> TokenStream {
    let session = &client.session;
    let members = members(client).into_iter().map(|member| member.first);
    quote!(#session { #(#members),* })
}

/// Whether a link begins with something that the session says by itself.
fn replays(client: &Client) -> bool {
    let says = client.initialize().is_some() || !subscriptions(client).is_empty();
    client.restores() && (says || captures(client).is_some())
}

/// Whether the message that takes the session up carries the credential.
fn resumes_with_credential(client: &Client) -> bool {
    resume_message(client).is_some_and(|message| target::first_message_path(client, message).is_some())
}

/// The message that takes the session up.
fn resume_message<'a>(client: &Client<'a>) -> Option<&'a Message> {
    match &client.endpoint.policy.reconnect {
        Reconnect::Token { message, .. } => find(&client.endpoint.client, message),
        Reconnect::Never | Reconnect::Replay { .. } => None,
    }
}

fn subscriptions<'a>(client: &Client<'a>) -> &'a [Subscription] {
    match &client.endpoint.policy.reconnect {
        Reconnect::Replay { subscriptions, .. } => subscriptions,
        Reconnect::Never | Reconnect::Token { .. } => &[],
    }
}

/// What is remembered for taking the session up, where that is how it is restored.
pub(super) fn captures<'a>(client: &Client<'a>) -> Option<&'a [TokenCapture]> {
    match &client.endpoint.policy.reconnect {
        Reconnect::Token { capture, .. } => Some(capture),
        Reconnect::Never | Reconnect::Replay { .. } => None,
    }
}

// Messages and frames

fn encode(client: &Client) -> TokenStream {
    let binary = client.endpoint.client.messages.iter().any(|message| message.frame == FrameKind::Binary);
    let (subject, id, read_id) = match &client.api.envelope {
        None => (quote!(message), quote!(), quote!()),
        Some(envelope) if envelope.id.is_none() => (quote!(message.message), quote!(), quote!()),
        Some(_) => (
            quote!(message.message),
            quote!(id.as_deref()),
            quote! {
                let id = message.id.as_ref().map(serde_json::value::to_raw_value).transpose();
                let id = id.map_err(|error| runtime::Error::new(runtime::ErrorKind::Shape, error.to_string()))?;
            },
        ),
    };
    let text = quote!(Ok(runtime::Frame::Text(#subject.encode(#id))));
    let body = if binary {
        quote! {
            let bytes = #subject.encode(#id);
            if #subject.is_binary() {
                return Ok(runtime::Frame::Binary(bytes.into()));
            }
            runtime::Frame::text(bytes)
        }
    } else {
        text
    };
    quote! {
        fn encode(message: &Self::Out) -> Result<runtime::Frame, runtime::Error> {
            #read_id
            #body
        }
    }
}

fn decode(client: &Client) -> TokenStream {
    let hears = &client.hears;
    let binary = client.endpoint.server.messages.iter().any(|message| message.frame != FrameKind::Text);
    let binary = if binary {
        quote!(runtime::Frame::Binary(bytes) => #hears::decode_binary(bytes),)
    } else {
        quote!(runtime::Frame::Binary(_) => {
            return Err(runtime::Error::shape("The server sent a binary frame, but says everything in text", &frame));
        })
    };
    let wrong = quote!(map_err(|error| runtime::Error::shape(error.to_string(), &frame)));
    let finish = match client.api.envelope {
        None => quote!(decoded.#wrong),
        Some(_) => quote! {
            let enveloped = decoded.#wrong?;
            let id = enveloped.id.and_then(|id| serde_json::from_str(id.get()).ok());
            let message = enveloped.message.#wrong?;
            Ok(runtime::Enclosed { id, message })
        },
    };
    quote! {
        fn decode(frame: runtime::Frame) -> Result<Self::In, runtime::Error> {
            let decoded = match &frame {
                runtime::Frame::Text(text) => #hears::decode(text),
                #binary
            };
            #finish
        }
    }
}

// How a session opens

/// The server's first word: where it speaks first, or acknowledges a connection that has no opening.
fn greeting(client: &Client) -> TokenStream {
    let policy = &client.endpoint.policy;
    let ack = policy.timeouts.first_ack.as_ref().map(|ack| &ack.message);
    let unasked = ack.filter(|_| client.initialize().is_none());
    let greeting = policy.session.server_first.as_ref().or(unasked);
    let Some(is_greeting) = client.is_one_of(&client.endpoint.server, greeting) else {
        return TokenStream::new();
    };
    quote! {
        fn awaits_greeting(&self) -> bool {
            true
        }

        fn is_greeting(&self, message: &Self::In) -> bool {
            #is_greeting
        }
    }
}

fn opening(client: &Client) -> TokenStream {
    if !replays(client) {
        return TokenStream::new();
    }
    match captures(client) {
        None => quote! {
            fn opening(&mut self, _: runtime::Attempt) -> Vec<Self::Out> {
                self.replay.messages()
            }
        },
        Some(_) => quote! {
            fn opening(&mut self, attempt: runtime::Attempt) -> Vec<Self::Out> {
                match self.resume(attempt) {
                    Some(message) => vec![message],
                    None => self.replay.messages(),
                }
            }
        },
    }
}

/// What is acknowledged by what.
fn acknowledging(client: &Client) -> TokenStream {
    let server = &client.endpoint.server;
    let Some(ack) = &client.endpoint.policy.timeouts.first_ack else { return resumed(client) };
    let done = done(client);
    let accepts = client.is_one_of(server, std::iter::once(&ack.message).chain(done));
    let refuses = client.is_one_of(server, &ack.refused_by).map(|refuses| {
        quote! {
            if #refuses {
                return runtime::Ack::Refused;
            }
        }
    });
    let asks = client.initialize().and_then(|opening| {
        let asks = client.is_one_of(&client.endpoint.client, [&opening.wire])?;
        Some(quote! {
            fn asks_ack(&self, message: &Self::Out) -> bool {
                #asks
            }
        })
    });
    let awaits = awaits_ack(client);
    let accepts = accepts.map(|accepts| {
        quote! {
            if #accepts {
                return runtime::Ack::Accepted;
            }
        }
    });
    quote! {
        #awaits
        #asks

        fn acknowledges(&self, message: &Self::In) -> runtime::Ack {
            #refuses
            #accepts
            runtime::Ack::None
        }
    }
}

/// Where only a session that is taken up is acknowledged.
fn resumed(client: &Client) -> TokenStream {
    let Some(accepts) = client.is_one_of(&client.endpoint.server, done(client)) else {
        return TokenStream::new();
    };
    let awaits = awaits_ack(client);
    quote! {
        #awaits

        fn acknowledges(&self, message: &Self::In) -> runtime::Ack {
            if #accepts { runtime::Ack::Accepted } else { runtime::Ack::None }
        }
    }
}

fn done<'a>(client: &Client<'a>) -> Option<&'a String> {
    match &client.endpoint.policy.reconnect {
        Reconnect::Token { done, .. } => done.as_ref(),
        Reconnect::Never | Reconnect::Replay { .. } => None,
    }
}

fn awaits_ack(client: &Client) -> TokenStream {
    if !replays(client) {
        return TokenStream::new();
    }
    let acknowledged = client.endpoint.policy.timeouts.first_ack.is_some() && client.initialize().is_some();
    // What is taken up is acknowledged only if the definition says by what.
    let (argument, awaits) = match (captures(client).is_some(), done(client).is_some(), acknowledged) {
        (false, _, true) => (quote!(_), quote!(self.replay.opens())),
        (true, true, true) => {
            (quote!(attempt), quote!(self.resume(attempt).is_some() || self.replay.opens()))
        }
        (true, true, false) => (quote!(attempt), quote!(self.resume(attempt).is_some())),
        (true, false, true) => {
            (quote!(attempt), quote!(self.resume(attempt).is_none() && self.replay.opens()))
        }
        (_, false, false) | (false, true, false) => return TokenStream::new(),
    };
    quote! {
        fn awaits_ack(&self, #argument: runtime::Attempt) -> bool {
            #awaits
        }
    }
}

// How it is restored

/// Statements about each message of `message`; nothing if there are none.
fn arms(
    client: &Client,
    direction: &Direction,
    about: &dyn Fn(&Message) -> Vec<TokenStream>,
) -> Option<TokenStream> {
    let name = rust_ident(&direction.name);
    let arms: Vec<(TokenStream, Vec<TokenStream>)> = direction
        .messages
        .iter()
        .map(|message| (message, about(message)))
        .filter(|(_, statements)| !statements.is_empty())
        .map(|(message, statements)| {
            let variant = rust_ident(&message.name);
            let body = body_pattern(&statements);
            (quote!(#name::#variant(#body)), statements)
        })
        .collect();
    let subject = client.subject();
    match arms.as_slice() {
        [] => None,
        [(pattern, statements)] => Some(quote!(if let #pattern = #subject { #(#statements)* })),
        several => {
            let arms = several.iter().map(|(pattern, statements)| quote!(#pattern => { #(#statements)* }));
            Some(quote!(match #subject { #(#arms)* _ => {} }))
        }
    }
}

/// `body`, or `_` where no statement looks into it.
pub(super) fn body_pattern(statements: &[TokenStream]) -> Ident {
    let looks = statements.iter().any(|tokens| mentions(tokens, "body"));
    rust_ident(if looks { "body" } else { "_" })
}

fn restoring(client: &Client) -> TokenStream {
    let said = arms(client, &client.endpoint.client, &|message| said(client, message)).map(|body| {
        quote! {
            fn said(&mut self, message: &Self::Out) {
                #body
            }
        }
    });
    let heard = arms(client, &client.endpoint.server, &|message| heard(client, message)).map(|body| {
        quote! {
            fn heard(&mut self, message: &Self::In) {
                #body
            }
        }
    });
    let restores = client.is_one_of(&client.endpoint.client, &restored(client)).map(|restores| {
        quote! {
            fn restores(&self, message: &Self::Out) -> bool {
                #restores
            }
        }
    });
    let idempotent: Vec<String> = client
        .endpoint
        .client
        .messages
        .iter()
        .filter(|message| message.idempotent && client.restores())
        .map(|message| message.wire.clone())
        .collect();
    let idempotent = client.is_one_of(&client.endpoint.client, &idempotent).map(|idempotent| {
        quote! {
            fn idempotent(&self, message: &Self::Out) -> bool {
                #idempotent
            }
        }
    });
    let refused = captures(client).map(|_| {
        quote! {
            fn resume_refused(&mut self) {
                self.captured.clear();
            }
        }
    });
    quote!(#said #heard #restores #idempotent #refused)
}

/// Ids of the messages whose effect the opening of the next link restores.
fn restored(client: &Client) -> Vec<String> {
    if !replays(client) {
        return Vec::new();
    }
    let opening = client.initialize().map(|message| message.wire.clone());
    let subscriptions = subscriptions(client).iter();
    let kept = subscriptions.flat_map(|s| std::iter::once(s.message.clone()).chain(s.ended_by.clone()));
    opening.into_iter().chain(kept).collect()
}

/// What is remembered of a message that was said.
fn said(client: &Client, message: &Message) -> Vec<TokenStream> {
    if !replays(client) {
        return Vec::new();
    }
    let mut statements = Vec::new();
    if client.initialize().is_some_and(|opening| opening.name == message.name) {
        statements.push(quote!(self.replay.open(message.clone());));
        statements.extend(remembered_credential(client, message));
    }
    for subscription in subscriptions(client) {
        if message.wire == subscription.message {
            let key = key(client, message, subscription);
            statements.push(quote!(self.replay.subscribe(#key, message.clone());));
        }
        if subscription.ended_by.as_ref() == Some(&message.wire) {
            let key = key(client, message, subscription);
            statements.push(quote!(self.replay.unsubscribe(&#key);));
        }
    }
    statements
}

/// What takes the session up needs the credential that opened it.
fn remembered_credential(client: &Client, opening: &Message) -> Option<TokenStream> {
    if !resumes_with_credential(client) {
        return None;
    }
    let path = target::first_message_path(client, opening)?;
    let member = access::member(client.api, &opening.body, path)?;
    Some(quote!(self.credential.set("credential", #member);))
}

fn key(client: &Client, message: &Message, subscription: &Subscription) -> TokenStream {
    let id = &subscription.message;
    match access::member(client.api, &message.body, &subscription.key) {
        Some(member) => quote!(runtime::key(#id, #member)),
        None => quote!(runtime::key(#id, None)),
    }
}

/// What is remembered of a message that was heard.
fn heard(client: &Client, message: &Message) -> Vec<TokenStream> {
    let mut statements = Vec::new();
    for capture in captures(client).unwrap_or_default() {
        if capture.messages.is_empty() || capture.messages.contains(&message.wire) {
            let member = access::member(client.api, &message.body, &capture.path);
            let name = &capture.name;
            statements.extend(member.map(|member| quote!(self.captured.set(#name, #member);)));
        }
    }
    for subscription in subscriptions(client) {
        if replays(client) && ends_subscription(client, subscription, message) {
            let key = key(client, message, subscription);
            statements.push(quote!(self.replay.unsubscribe(&#key);));
        }
    }
    statements
}

/// Whether the server ends a subscription with a message.
fn ends_subscription(client: &Client, subscription: &Subscription, message: &Message) -> bool {
    let subscribe = find(&client.endpoint.client, &subscription.message);
    match subscribe.and_then(|subscribe| subscribe.reply.as_ref()).map(|reply| &reply.replies) {
        Some(Replies::Stream { until }) => until.contains(&message.wire),
        Some(Replies::One | Replies::Exactly(_)) | None => false,
    }
}

/// The method that makes the message with which a session is taken up.
fn resume(client: &Client) -> TokenStream {
    let Some(message) = resume_message(client) else { return TokenStream::new() };
    let captures = captures(client).unwrap_or_default();
    let values = captures.iter().filter(|capture| !capture.into.is_empty()).map(|capture| {
        let (name, into) = (&capture.name, &capture.into);
        quote!(runtime::put(&mut body, &[#(#into),*], self.captured.get(#name)?.clone());)
    });
    let env = target::env(client);
    let credential = target::first_message_path(client, message).map(|path| {
        quote! {
            let given = || Some(self.options.credential_or_env(&[#(#env),*])?.reveal().into());
            if let Some(credential) = self.credential.get("credential").cloned().or_else(given) {
                runtime::put(&mut body, &[#(#path),*], credential);
            }
        }
    });
    let said = client.say(message, quote!(serde_json::from_value(body).ok()?));
    let out = client.out();
    quote! {
        /// The message that takes the session up, if it may be and everything is known.
        fn resume(&self, attempt: runtime::Attempt) -> Option<#out> {
            if !attempt.resume || self.captured.is_empty() {
                return None;
            }
            let mut body = serde_json::json!({});
            #(#values)*
            #credential
            Some(#said)
        }
    }
}
