//! What is said on the wire: one folder a dialect.
//!
//! A dialect is a translator between frames and the engine's vocabulary, and nothing else: no socket, no clock of its
//! own, no waiting. Its folder holds its definition, the wire types generated from it, its codec, and example
//! conversations. A new dialect is a new folder and one line in [`ALL`].

pub mod chat_service;
pub mod frame;
pub mod live_data;
pub mod session;
pub mod session_chat;
mod snapshots;
pub mod transcript;

pub use frame::{Frame, Incoming};
pub use session::{Opening, Protocol, Rate, Refusal, Session, Step, Switches, Ticket};

/// Every dialect that the server speaks.
pub const ALL: &[Protocol] = &[session_chat::PROTOCOL, live_data::PROTOCOL, chat_service::PROTOCOL];
