//! The engine: what is done. It knows no socket and no wire.
//!
//! One enum in ([`Command`]), one enum out ([`Event`]); [`Reply`] answers the asker alone. Two desks take the
//! commands, `chat` and `collections`; behind them are the agent with its model, and the store. A dialect
//! (crate `tidewire-protocols`) translates between this vocabulary and frames, the server owns the sockets.
//!
//! **Architecture invariant.** `agent` and `model` import nothing from `store`, `bus`, `hub`, `chat` or
//! `collections`: what their tools need is handed to them. Nothing but `store::entry` is serializable.

mod access;
pub mod agent;
pub mod bus;
pub mod change;
mod chat;
pub mod collections;
pub mod command;
pub mod connection;
pub mod conversation;
mod direct;
pub mod edit;
pub mod engine;
pub mod error;
pub mod event;
mod hub;
pub mod id;
pub mod identity;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod model;
pub mod query;
pub mod schema;
pub mod stats;
pub mod store;
mod watch;

pub use bus::{Bus, LocalBus};
pub use change::{Change, ChangeBatch, ChangeKind, Notice, Selection};
pub use command::{ChatRef, Command, Reply};
pub use connection::Connection;
pub use engine::{Engine, Parts, Settings, Stats};
pub use error::{Code, Detail, Error, Result};
pub use event::{AgentEvent, Answer, ChatBody, ChatEvent, Event};
pub use id::{ChatId, Clock, Epoch, Offset, Position, RecordId, RunId, Seq, SessionId, Timestamp};
pub use identity::Identity;
