//! What an earlier process left behind: runs without an end.
//!
//! A run whose agent kept checkpoints and can go on with it goes on, under its id, in the name of whoever asked. Every
//! other one is ended as interrupted, with the text that it had.

use std::sync::Arc;

use super::left::{Account, account};
use super::replay::{events_of, said};
use super::run::{self, Question, Run, interrupted, signed, undecided_at_the_end};
use crate::agent::{Agent, Left};
use crate::engine::{Core, Parts};
use crate::error::{Error, Result};
use crate::event::{AgentEvent, Answerer, Begun, ChatBody};
use crate::id::{ChatId, Clock, RunId, Timestamp};
use crate::identity::Identity;
use crate::store::entry::{LogEntry, Place, encode};
use crate::store::{OpenRun, Store};

/// A run that goes on.
pub(crate) struct GoesOn {
    chat: ChatId,
    run: RunId,
    agent: Arc<dyn Agent>,
    begun: Begun,
    question: String,
    since: Timestamp,
    left: Left,
}

/// What became of the open runs.
#[derive(Default)]
pub(crate) struct Recovered {
    /// So many were ended.
    pub(crate) ended: usize,
    /// These go on, in the order in which they were asked.
    pub(crate) go_on: Vec<GoesOn>,
}

/// Looks at every open run, and ends those that cannot go on.
pub(crate) async fn recover(
    parts: &Parts,
    is_welcome: &(impl Fn(&Identity) -> Result<()> + Sync),
) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    for open in parts.store.open_runs().await? {
        let entries = parts.store.read_run(open.chat, open.run).await?;
        let goes_on = check(parts, open, account(&entries)).await;
        match goes_on.and_then(|goes_on| is_welcome(&goes_on.begun.identity).map(|()| goes_on)) {
            Ok(goes_on) => recovered.go_on.push(goes_on),
            Err(error) => {
                end(&*parts.store, &*parts.clock, open, &entries, error).await?;
                recovered.ended += 1;
            }
        }
    }
    Ok(recovered)
}

/// Fails, with what its reader is told, unless the run can go on.
async fn check(parts: &Parts, open: OpenRun, account: Account) -> Result<GoesOn> {
    let Account { begun, question, since, mut left } = account;
    let (Some(begun), Some(question), Some(since)) = (begun, question, since) else { return Err(cut_off()) };
    if parts.clock.now().since(since) >= parts.settings.run_deadline {
        return Err(cut_off());
    }
    let agent = parts.agents.find(Some(&begun.agent)).map_err(|_| cut_off())?;
    let settings = parts.store.chat(open.chat).await?.ok_or_else(cut_off)?.settings;
    if let Some(name) = begun.options.model.as_ref().or(settings.model.as_ref()) {
        left.model = parts.models.find(Some(name)).ok();
    }
    agent.check_left(&left)?;
    Ok(GoesOn { chat: open.chat, run: open.run, agent, begun, question, since, left })
}

fn answerer(begun: &Begun) -> Answerer {
    Answerer { agent: begun.agent.clone(), model: begun.options.model.clone() }
}

fn cut_off() -> Error {
    Error::unavailable("the server ended before the answer was complete; ask again")
}

/// Lets a run go on.
pub(crate) async fn go_on(core: &Arc<Core>, goes_on: GoesOn) -> Result<()> {
    let GoesOn { chat, run, agent, begun, question, since, left } = goes_on;
    let Some(room) = core.hub.room(&*core.store, chat).await? else { return Ok(()) };
    let run = Arc::new(Run::left(core, run, answerer(&begun), &left));
    let question = Question {
        agent,
        identity: begun.identity,
        content: question,
        options: begun.options,
        is_first: false,
        left: Some((left, since)),
    };
    let mut state = room.lock();
    core.spawn(run::go_on(Arc::clone(core), Arc::clone(&room), Arc::clone(&run), question));
    if state.runs.is_empty() {
        run.turn.notify_one();
    }
    state.runs.push_back(run);
    Ok(())
}

/// Whether a run that is being interrupted now could go on after a restart. Its log says so, as it will then.
pub(crate) async fn can_go_on(core: &Core, agent: &dyn Agent, chat: ChatId, run: RunId) -> bool {
    if !agent.keeps_checkpoints() {
        return false;
    }
    match core.store.read_run(chat, run).await {
        Ok(entries) => {
            let Account { begun, question, left, .. } = account(&entries);
            begun.is_some() && question.is_some() && agent.check_left(&left).is_ok()
        }
        Err(error) => {
            tracing::warn!(%run, %error, "a run's log cannot be read, so it is ended");
            false
        }
    }
}

async fn end(
    store: &dyn Store,
    clock: &dyn Clock,
    OpenRun { chat, run }: OpenRun,
    entries: &[LogEntry],
    error: Error,
) -> Result<()> {
    let Some(head) = store.chat(chat).await? else { return Ok(()) };
    let events = undecided(entries).into_iter().map(undecided_at_the_end);
    let mut end = interrupted(said(entries), error);
    if let Some(begun) = account(entries).begun {
        end = signed(end, &answerer(&begun));
    }
    let events = events.chain([end]);
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
    open.dedup();
    open
}
