//! What generated Rust clients stand on.
//!
//! A definition says how an endpoint is reached, kept and restored; generated code turns that into a
//! [`Policy`], a [`Target`] and the messages' types. The behaviour is here, written once. Which messages there are, and
//! in which order they may be said, is the business of generated code.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod beat;
mod connection;
mod conversation;
mod correlate;
mod driver;
mod error;
mod hearing;
mod inbox;
mod live;
mod memory;
mod options;
mod outbox;
mod policy;
mod rate;
#[cfg(feature = "rest")]
pub mod rest;
mod session;
mod target;
mod transport;
mod websocket;

pub use connection::{Connection, Ending, Event, Events, Replies, SendError, Sender, State};
pub use conversation::{Closed, Conversation, Detached, Failure, Interrupted, New, Open};
pub use correlate::{Count, Expect};
pub use error::{Error, ErrorKind, RECEIVED_LIMIT, redact};
pub use futures_util::Stream;
pub use hearing::{Handled, Handlers, Incoming, next_of};
pub use memory::{Dial, MemoryLink, MemoryServer, MemoryTransport, Peer, memory};
pub use options::{Blank, Options, TargetFuture};
pub use policy::{
    Backoff, Beat, CloseAction, Confirm, Inbound, InboundFull, Outbound, OutboundFull, Policy, Rate,
    Reconnect,
};
pub use session::{Ack, Captured, Enclosed, Replay, Session, key, look_up, put, value};
pub use target::{Attempt, AuthWay, Credential, Target, segment};
pub use transport::{Frame, Link, Packet, Request, Transport};
pub use websocket::{WebSocketLink, WebSocketTransport};
