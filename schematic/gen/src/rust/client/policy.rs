//! Writes an endpoint's policy as the runtime's.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use schematic_define::{CloseAction, Heartbeat, InboundFull, Interval, OutboundFull, Party, Reconnect};

use super::Client;

/// The function `policy` of the session.
pub(super) fn function(client: &Client) -> TokenStream {
    let members = members(client);
    let changes = changes(client);
    let whole = quote!(runtime::Policy { #(#members,)* ..runtime::Policy::default() });
    let body = if changes.is_empty() {
        whole
    } else {
        quote! { let mut policy = #whole; #(#changes)* policy }
    };
    quote! {
        /// How a connection is kept, as the definition says.
        pub fn policy() -> runtime::Policy { #body }
    }
}

fn millis(ms: u64) -> TokenStream {
    let ms = Literal::u64_unsuffixed(ms);
    quote!(std::time::Duration::from_millis(#ms))
}

fn size(number: u64) -> Literal {
    Literal::u64_unsuffixed(number)
}

/// Members that differ from the runtime's own. A message counts as sent when the server's WebSocket layer has it.
fn members(client: &Client) -> Vec<TokenStream> {
    let policy = &client.endpoint.policy;
    let reconnect = match &policy.reconnect {
        _ if !client.restores() => quote!(Never),
        Reconnect::Never => quote!(Never),
        Reconnect::Replay { .. } => quote!(Replay),
        Reconnect::Token { .. } => quote!(Token),
    };
    let mut members =
        vec![quote!(reconnect: runtime::Reconnect::#reconnect), quote!(confirm: runtime::Confirm::Pong)];
    // A session that can be taken up is also taken up when it ended without a word.
    if let Reconnect::Token { .. } = policy.reconnect {
        members.push(quote!(otherwise: runtime::CloseAction::Resume));
    }
    let first_ack = policy.timeouts.first_ack.as_ref().and_then(|ack| ack.timeout_ms);
    let always = [
        (quote!(connect), policy.timeouts.connect_ms),
        (quote!(first_ack), first_ack),
        (quote!(reply), policy.timeouts.reply_ms),
    ];
    members.extend(always.into_iter().filter_map(|(name, ms)| ms.map(millis).map(|ms| quote!(#name: #ms))));
    let maybe = [(quote!(idle), policy.timeouts.idle_ms), (quote!(max_age), policy.max_age_ms)];
    members
        .extend(maybe.into_iter().filter_map(|(name, ms)| ms.map(millis).map(|ms| quote!(#name: Some(#ms)))));
    members.extend(policy.heartbeats.iter().find_map(ping_frames).map(|beat| quote!(ping: Some(#beat))));
    members
        .extend(policy.heartbeats.iter().find_map(ping_messages).map(|beat| quote!(heartbeat: Some(#beat))));
    if !policy.limits.rates.is_empty() {
        let rates = policy.limits.rates.iter().map(|rate| {
            let (messages, per) = (size(rate.messages.into()), millis(rate.per_ms));
            quote!(runtime::Rate { messages: #messages, per: #per })
        });
        members.push(quote!(rates: Vec::from([#(#rates),*])));
    }
    members
}

fn beat(interval: Option<u64>, timeout: Option<u64>, jitter_first: bool) -> TokenStream {
    let option = |ms: Option<u64>| match ms.map(millis) {
        Some(ms) => quote!(Some(#ms)),
        None => quote!(None),
    };
    let (interval, timeout) = (option(interval), option(timeout));
    quote!(runtime::Beat { interval: #interval, timeout: #timeout, jitter_first: #jitter_first })
}

/// Ping frames of the client. Those of the server are answered below the runtime.
fn ping_frames(heartbeat: &Heartbeat) -> Option<TokenStream> {
    match heartbeat {
        Heartbeat::Frame { from: Party::Client, interval_ms, timeout_ms } => {
            Some(beat(Some(*interval_ms), *timeout_ms, false))
        }
        Heartbeat::Frame { .. } | Heartbeat::Message { .. } => None,
    }
}

fn ping_messages(heartbeat: &Heartbeat) -> Option<TokenStream> {
    match heartbeat {
        Heartbeat::Message { from: Party::Client, interval, timeout_ms, .. } => Some(match interval {
            Interval::Fixed { ms } => beat(Some(*ms), *timeout_ms, false),
            Interval::Given { jitter_first, .. } => beat(None, *timeout_ms, *jitter_first),
        }),
        Heartbeat::Frame { .. } | Heartbeat::Message { .. } => None,
    }
}

/// Statements that change members of members.
fn changes(client: &Client) -> Vec<TokenStream> {
    let policy = &client.endpoint.policy;
    let mut changes = Vec::new();
    if !policy.close_codes.is_empty() {
        let codes = policy.close_codes.iter().map(|close| {
            let code = Literal::u16_unsuffixed(close.code);
            let action = match close.action {
                CloseAction::Fatal => quote!(Fatal),
                CloseAction::Retry => quote!(Retry),
                CloseAction::Resume => quote!(Resume),
            };
            quote!((#code, runtime::CloseAction::#action))
        });
        changes.push(quote!(policy.close_codes.extend([#(#codes),*]);));
    }
    let numbers = [
        (quote!(outbound.messages), policy.outbound.messages.map(u64::from)),
        (quote!(outbound.bytes), policy.outbound.bytes),
        (quote!(outbound.message_bytes), policy.limits.client_message_bytes),
        (quote!(inbound.messages), policy.inbound.messages.map(u64::from)),
        (quote!(inbound.message_bytes), policy.limits.server_message_bytes),
    ];
    changes.extend(numbers.into_iter().filter_map(|(place, number)| {
        let number = size(number?);
        Some(quote!(policy.#place = #number;))
    }));
    if policy.outbound.when_full == OutboundFull::Refuse {
        changes.push(quote!(policy.outbound.when_full = runtime::OutboundFull::Refuse;));
    }
    changes.extend(inbound_full(&policy.inbound.when_full));
    changes
}

fn inbound_full(full: &InboundFull) -> Option<TokenStream> {
    let full = match full {
        InboundFull::Block => return None,
        InboundFull::DropOldest => quote!(DropOldest),
        InboundFull::Coalesce { .. } => quote!(Coalesce),
        InboundFull::Fail => quote!(Fail),
    };
    Some(quote!(policy.inbound.when_full = runtime::InboundFull::#full;))
}
