//! Client of Tidewire's live data, and of its chat service ([`chat_service`]).
//!
//! [`Client`] is the way in: records are read and written with it, [`Subscription`] tells of changes as they happen, and
//! [`ChatStream`] of what an agent says. Everything goes over one connection that comes back by itself and loses nothing.
//!
//! | file | what it does |
//! |---|---|
//! | `client.rs` `data.rs` `live.rs` `builder.rs` | what callers call |
//! | `subscription.rs` `chat.rs` `pages.rs` | what callers read |
//! | `pump.rs` `feed.rs` `chat_feed.rs` | the task that hears: where each subscription and chat is, and how it comes back |
//! | `call.rs` `lanes.rs` `session.rs` `access.rs` | a request and its answer, connections, the dialect on the wire, tokens |
//! | `generated/` | the messages, from the dialect's definition |

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod access;
mod builder;
mod call;
mod chat;
mod chat_feed;
pub mod chat_service;
mod client;
mod data;
mod error;
mod feed;
mod filter;
pub mod generated;
mod lanes;
mod live;
mod pages;
mod pump;
mod record;
mod schemas;
mod session;
mod subscription;

pub use access::Token;
pub use builder::Builder;
pub use chat::{ChatEvent, ChatStream};
pub use chat_feed::ChatPosition;
pub use client::Client;
pub use data::{Action, BatchFailure, BatchReply, Hit, SearchOptions};
pub use error::{Error, Result};
pub use filter::{Filter, Query};
pub use generated::wire::{
    ChatSend, ChatStreamEnd, ChatStreamError, ChatUserMessage, CollectionSchema, FieldIndex, FieldSchema,
    RawComplete, ToolSpec,
};
pub use live::SubscribeOptions;
pub use pages::Pages;
pub use record::Record;
pub use schemas::SchemaInfo;
pub use schematic_runtime::{Backoff, Policy};
pub use subscription::{ChangeKind, Changes, Notice, Subscription};
