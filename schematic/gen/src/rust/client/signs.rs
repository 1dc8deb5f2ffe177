//! Writes what the session knows of single messages: signs of life, ids of replies, contexts, last words.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::{Heartbeat, InboundFull, Interval, Party, Replies};

use super::session::{body_pattern, captures};
use super::{Client, access, find};
use crate::ir::Message;
use crate::names::rust_ident;

pub(super) fn heartbeat(client: &Client) -> TokenStream {
    let heartbeats = &client.endpoint.policy.heartbeats;
    let beats: Vec<&String> = heartbeats.iter().filter_map(beat).collect();
    let is_beat = client.is_one_of(&client.endpoint.server, beats).map(|is_beat| {
        quote! {
            fn is_beat(&self, message: &Self::In) -> bool {
                #is_beat
            }
        }
    });
    let ping = heartbeats.iter().find_map(|heartbeat| ping(client, heartbeat));
    let pong = pong(client);
    let interval = heartbeats.iter().find_map(|heartbeat| interval(client, heartbeat));
    quote!(#ping #is_beat #pong #interval)
}

/// What a client hears of a heartbeat.
fn beat(heartbeat: &Heartbeat) -> Option<&String> {
    match heartbeat {
        Heartbeat::Message { from: Party::Client, pong, .. } => pong.as_ref(),
        Heartbeat::Message { from: Party::Server, ping, .. } => Some(ping),
        Heartbeat::Frame { .. } => None,
    }
}

fn ping(client: &Client, heartbeat: &Heartbeat) -> Option<TokenStream> {
    let Heartbeat::Message { from: Party::Client, ping, echo, carries, .. } = heartbeat else { return None };
    let message = find(&client.endpoint.client, ping)?;
    let carried = carries.iter().map(|carried| {
        let (name, into) = (&carried.name, &carried.into);
        let captured =
            captures(client).map(|_| quote!(self.captured.get(#name).cloned().unwrap_or_default()));
        let value = captured.unwrap_or_else(|| quote!(serde_json::Value::Null));
        quote!(runtime::put(&mut body, &[#(#into),*], #value);)
    });
    let echoed = echo.iter().map(|echo| {
        let path = &echo.ping;
        let id = if access::is_integer(client.api, &message.body, path) {
            quote!(self.options.next_id().into())
        } else {
            quote!(self.options.next_id().to_string().into())
        };
        quote!(runtime::put(&mut body, &[#(#path),*], #id);)
    });
    let statements: Vec<TokenStream> = carried.chain(echoed).collect();
    let mutable = (!statements.is_empty()).then(|| quote!(mut));
    let said = client.say(message, quote!(serde_json::from_value(body).ok()?));
    Some(quote! {
        fn ping(&mut self) -> Option<Self::Out> {
            let #mutable body = serde_json::json!({});
            #(#statements)*
            Some(#said)
        }
    })
}

/// The answers to the server's pings.
fn pong(client: &Client) -> Option<TokenStream> {
    let hears = &client.hears;
    let arms: Vec<TokenStream> = client
        .endpoint
        .policy
        .heartbeats
        .iter()
        .filter_map(|heartbeat| {
            let Heartbeat::Message { from: Party::Server, ping, pong, echo, .. } = heartbeat else {
                return None;
            };
            let ping = find(&client.endpoint.server, ping)?;
            let pong = find(&client.endpoint.client, pong.as_ref()?)?;
            let variant = rust_ident(&ping.name);
            let echoed: Vec<TokenStream> = echo
                .iter()
                .filter_map(|echo| {
                    let member = access::member(client.api, &ping.body, &echo.ping)?;
                    let into = &echo.pong;
                    Some(quote!(runtime::put(&mut answer, &[#(#into),*], #member.unwrap_or_default());))
                })
                .collect();
            let pattern = body_pattern(&echoed);
            let mutable = (!echoed.is_empty()).then(|| quote!(mut));
            let said = client.say(pong, quote!(serde_json::from_value(answer).ok()?));
            Some(quote! {
                #hears::#variant(#pattern) => {
                    let #mutable answer = serde_json::json!({});
                    #(#echoed)*
                    Some(#said)
                }
            })
        })
        .collect();
    let subject = client.subject();
    (!arms.is_empty()).then(|| {
        quote! {
            fn pong(&self, message: &Self::In) -> Option<Self::Out> {
                match #subject { #(#arms)* _ => None }
            }
        }
    })
}

fn interval(client: &Client, heartbeat: &Heartbeat) -> Option<TokenStream> {
    let Heartbeat::Message { interval: Interval::Given { message, path, .. }, .. } = heartbeat else {
        return None;
    };
    let message = find(&client.endpoint.server, message)?;
    let member = access::member(client.api, &message.body, path)?;
    let (hears, variant, subject) = (&client.hears, rust_ident(&message.name), client.subject());
    Some(quote! {
        fn interval(&self, message: &Self::In) -> Option<std::time::Duration> {
            match #subject {
                #hears::#variant(body) => {
                    let milliseconds = #member?.as_u64()?;
                    Some(std::time::Duration::from_millis(milliseconds))
                }
                _ => None,
            }
        }
    })
}

/// Expressions for a member of each message, as the arms of a match that gives `Option<Value>`.
fn members_of(client: &Client, path_of: &dyn Fn(&Message) -> Option<Vec<String>>) -> Option<TokenStream> {
    let hears = &client.hears;
    let arms: Vec<TokenStream> = client
        .endpoint
        .server
        .messages
        .iter()
        .filter_map(|message| {
            let member = access::member(client.api, &message.body, &path_of(message)?)?;
            let variant = rust_ident(&message.name);
            Some(quote!(#hears::#variant(body) => #member,))
        })
        .collect();
    let subject = client.subject();
    (!arms.is_empty()).then(|| quote!(match #subject { #(#arms)* _ => None }))
}

pub(super) fn reply_id(client: &Client) -> Option<TokenStream> {
    let body = if client.envelope_has_id() {
        quote!(message.id.clone())
    } else {
        members_of(client, &|message| reply_path(client, message))?
    };
    Some(quote! {
        fn reply_id(&self, message: &Self::In) -> Option<serde_json::Value> {
            #body
        }
    })
}

/// The path of the id in a message that answers something.
fn reply_path(client: &Client, message: &Message) -> Option<Vec<String>> {
    client.endpoint.client.messages.iter().filter_map(|request| request.reply.as_ref()).find_map(|reply| {
        let until: &[String] = match &reply.replies {
            Replies::Stream { until } => until,
            Replies::One | Replies::Exactly(_) => &[],
        };
        let answers = reply.messages.iter().chain(&reply.errors).chain(until).any(|id| *id == message.wire);
        answers.then(|| reply.correlation.as_ref().map(|correlation| correlation.reply.clone())).flatten()
    })
}

pub(super) fn coalesce_key(client: &Client) -> Option<TokenStream> {
    let InboundFull::Coalesce { key } = &client.endpoint.policy.inbound.when_full else { return None };
    let body = members_of(client, &|_| Some(key.clone()))?;
    Some(quote! {
        fn coalesce_key(&self, message: &Self::In) -> Option<serde_json::Value> {
            #body
        }
    })
}

/// The function that tells which of several conversations in one connection a message is about.
pub(super) fn context(client: &Client) -> Option<TokenStream> {
    let contexts = client.endpoint.policy.contexts.as_ref()?;
    let body = members_of(client, &|_| Some(contexts.server.clone()))?;
    let hears = client.incoming();
    Some(quote! {
        /// The context that a message of the server is about; `None` where it names none.
        pub fn context(message: &#hears) -> Option<serde_json::Value> {
            #body
        }
    })
}

/// What is the last word of either side.
pub(super) fn ends(client: &Client) -> TokenStream {
    let endpoint = client.endpoint;
    let close = endpoint.lifecycle.close.as_ref();
    let close = endpoint.client.messages.iter().find(|message| Some(&message.name) == close);
    let closes = client.is_one_of(&endpoint.client, close.map(|message| &message.wire)).map(|closes| {
        quote! {
            fn closes(message: &Self::Out) -> bool {
                #closes
            }
        }
    });
    let ends = client.is_one_of(&endpoint.server, &endpoint.policy.session.ends_with).map(|ends| {
        quote! {
            fn ends(message: &Self::In) -> bool {
                #ends
            }
        }
    });
    quote!(#closes #ends)
}
