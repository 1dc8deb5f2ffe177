//! The chat-service dialect: `/chat/ws` and `/chat`.
//!
//! Questions over a person's own material. A request opens a chat (`new_chat`) or goes on with one (`resume_chat`);
//! out come the growing text, the steps of the graph, the sources, the cost, and always one `end`. Clients of the
//! founding document 004 work unchanged; ours ask for deltas and resume by sequence number.
//!
//! | file | what it does |
//! |---|---|
//! | `check.rs` | what is wrong with a request, member by member |
//! | `request.rs` | a request as the engine takes it |
//! | `codec.rs` | the conversation: which commands follow from a frame, and what their replies mean |
//! | `followed.rs` | one chat on one socket: what of its events is shown, and when an `end` is owed |
//! | `spell.rs` | events, errors and replies as frames |

mod check;
mod codec;
mod followed;
mod request;
mod spell;
// The generator lays its lines out itself.
#[rustfmt::skip]
pub mod wire;

use std::time::Duration;

use crate::session::{Opening, Protocol, Rate, Refusal, Session};

pub use codec::ChatService;

/// The dialect as a value.
pub const PROTOCOL: Protocol = Protocol {
    name: "chat_service",
    path: "/chat/ws",
    also: &["/chat"],
    open,
    rate: Rate::Chat,
    origin_close_code: 4003,
    // Larger than what is taken, so that what is too large is told in a frame and the socket stays open.
    max_message: 16 * 1024 * 1024,
    ping_every: Duration::from_secs(30),
    first_ping_after: Duration::ZERO,
    transcripts: TRANSCRIPTS,
};

macro_rules! transcripts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("transcripts/", $name, ".txt")))),*]
    };
}

const TRANSCRIPTS: &[(&str, &str)] = transcripts![
    "a_founding_client",
    "a_tool_of_the_client",
    "an_approval",
    "asking_further",
    "bad_requests",
    "coming_back",
    "one_frame_each",
    "stop_from_another_tab",
    "what_was_said_before",
];

fn open(opening: Opening<'_>) -> Result<Box<dyn Session>, Refusal> {
    let wish = opening.query.iter().find(|(name, _)| *name == "type").map(|(_, value)| *value);
    Ok(Box::new(ChatService::new(opening.asker, wish)))
}

#[cfg(test)]
#[path = "examples_tests.rs"]
mod tests;
