//! The session-chat dialect: `/ws/{session_id}`.
//!
//! One chat a socket. A person's words go in as `{"content": …}`; out come the echo, the growing answer, tool results
//! and the whole answer. Clients of the founding documents 002 and 003 work unchanged; ours ask for deltas and
//! resume by sequence number.

mod codec;
mod snapshots;
mod spell;
pub mod wire;

use std::time::Duration;

use crate::session::{Opening, Protocol, Refusal, Session};

pub use codec::SessionChat;

/// The dialect as a value.
pub const PROTOCOL: Protocol = Protocol {
    name: "session_chat",
    path: "/ws/{session_id}",
    open,
    rate_key: Some("session_id"),
    origin_close_code: 4003,
    max_message: 1024 * 1024,
    ping_every: Duration::from_secs(30),
};

fn open(opening: Opening<'_>) -> Result<Box<dyn Session>, Refusal> {
    match opening.param("session_id").parse() {
        Ok(session) => Ok(Box::new(SessionChat::new(session))),
        Err(_) => Err(Refusal { code: 4001, reason: "Invalid session".into() }),
    }
}
