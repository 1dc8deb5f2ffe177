//! What an earlier process left behind: runs without an end.

use super::replay::{events_of, said};
use super::run::{interrupted, undecided_at_the_end};
use crate::error::{Code, Result};
use crate::event::{AgentEvent, ChatBody};
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
    let entries = store.read_run(chat, run).await?;
    let end = interrupted(said(&entries), Code::Unavailable);
    let events = undecided(&entries).into_iter().map(undecided_at_the_end).chain([end]);
    let (mut seq, epoch, at) = (head.last_seq, store.epoch(), clock.now());
    let entries = events.map(|event| {
        seq = seq.next();
        let body = ChatBody::Run { run, event, text: None };
        LogEntry::new(Place { chat, seq, epoch, at }, &body, encode(&body))
    });
    store.append(entries.collect()).await?;
    store.collapse(chat, run).await
}

/// The calls that waited for somebody's agreement.
fn undecided(entries: &[LogEntry]) -> Vec<String> {
    let mut open = Vec::new();
    for event in events_of(entries) {
        match event {
            AgentEvent::ApprovalRequested { call_id, .. } => open.push(call_id),
            AgentEvent::ApprovalResolved { call_id, .. } => open.retain(|known| *known != call_id),
            _ => {}
        }
    }
    open
}
