//! What an earlier process left behind: runs without an end.

use super::replay::said;
use super::run::interrupted;
use crate::error::{Code, Result};
use crate::event::ChatBody;
use crate::id::Clock;
use crate::store::entry::{LogEntry, Place, encode};
use crate::store::{OpenRun, Store};

/// Ends every open run as interrupted, with the text that it had. Returns how many there were.
pub(crate) async fn end_interrupted(store: &dyn Store, clock: &dyn Clock) -> Result<usize> {
    let open = store.open_runs().await?;
    for run in &open {
        end(store, clock, *run).await?;
    }
    Ok(open.len())
}

async fn end(store: &dyn Store, clock: &dyn Clock, OpenRun { chat, run }: OpenRun) -> Result<()> {
    let Some(head) = store.chat(chat).await? else { return Ok(()) };
    let answer = said(&store.read_run(chat, run).await?);
    let body = ChatBody::Run { run, event: interrupted(answer, Code::Unavailable), text: None };
    let place = Place { chat, seq: head.last_seq.next(), epoch: store.epoch(), at: clock.now() };
    store.append(vec![LogEntry::new(place, &body, encode(&body))]).await?;
    store.collapse(chat, run).await
}
