//! A conversation that takes whatever a fuzzer says: nothing panics, and what is asked is answered once.

use std::sync::Arc;
use std::time::Instant;

use tidewire_engine::Error;
use tidewire_protocols::live_data::LiveData;
use tidewire_protocols::{Incoming, Session, Switches};

/// Says one frame on `live_data`, and answers what it asks for.
pub fn live_data(frame: Incoming<'_>) {
    let now = Instant::now();
    let mut session = LiveData::new(Arc::new(Switches::default()), now);
    let step = session.decode(frame, now);
    let mut replies = step.frames;
    for (ticket, _) in step.commands {
        session.reply(ticket, Err(Error::unavailable("nothing is served here")), now, &mut replies);
    }
    assert!(replies.len() <= 2, "{replies:?}");
}
