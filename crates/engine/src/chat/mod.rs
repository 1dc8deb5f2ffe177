//! The chat desk: conversations, their runs, and the log that everything is read from.
//!
//! ```text
//! agent ─► run (merges adjacent deltas) ─► journal (allots seq, writes many chats at once) ─► room ─► inboxes
//! ```
//!
//! Nothing is shown before it is written, so a killed process loses nothing that anybody saw. A run has at most one
//! write under way; what its agent says meanwhile is merged and goes with the next one. So a busy server writes
//! larger batches instead of longer queues.

mod calls;
pub(crate) mod combine;
pub(crate) mod history;
pub(crate) mod journal;
mod left;
pub(crate) mod managed;
mod messages;
pub(crate) mod outside;
mod reasoning;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod sessions;
mod shown;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::agent::Agent;
use crate::agent::toolbox::check_client_tools;
use crate::command::{ChatRef, Reply, WhileRunning};
use crate::connection::Connection;
use crate::conversation::{Beginning, ChatSettings, RunOptions, Said};
use crate::engine::Core;
use crate::error::{Code, Detail, Error, Result};
use crate::event::{AgentEvent, Amendment, Answerer, Begun, ChatBody, Checkpoint};
use crate::hub::{Room, RoomState};
use crate::id::{ChatId, Position, RunId, Seq, SessionId};
use crate::identity::Identity;
use crate::store::SessionOpening;
use journal::Draft;
use run::{Question, Run};

/// The longest id that a client may give to a message, in bytes.
const MESSAGE_ID_MAX: usize = 128;

/// A message as it is sent.
pub(crate) struct Message {
    pub(crate) message_id: Option<String>,
    pub(crate) content: String,
    pub(crate) while_running: WhileRunning,
    pub(crate) options: RunOptions,
}

/// `FollowChat`.
pub(crate) async fn follow(
    core: &Core,
    connection: &Connection,
    chat: ChatRef,
    after: Option<Position>,
) -> Result<Reply> {
    let room = resolve(core, connection, &chat).await?;
    let (cursor, reset) = match after {
        None => (None, false),
        Some(position) if core.store.knows(room.chat, position).await? => (Some(position.seq), false),
        Some(_) => (Some(Seq::START), true),
    };
    let session = match chat {
        ChatRef::Session(session) | ChatRef::Known(session) => Some(session),
        ChatRef::Id(_) => None,
    };
    let standing = connection.follow(&room, session, cursor)?;
    Ok(Reply::Following {
        chat: room.chat,
        epoch: core.store.epoch(),
        last_seq: standing.last_seq,
        reset,
        run: standing.run,
    })
}

/// `UnfollowChat`. What is not followed is not looked for, so that nothing is opened and nothing is learnt.
pub(crate) async fn unfollow(core: &Core, connection: &Connection, chat: ChatRef) -> Result<Reply> {
    let room = match chat {
        ChatRef::Session(session) | ChatRef::Known(session) => connection.followed_as(&session),
        ChatRef::Id(chat) => core.hub.room(&*core.store, chat).await?,
    };
    if let Some(room) = room {
        connection.unfollow(&room);
    }
    Ok(Reply::Unfollowed)
}

/// `StopRun`. Stopping is asked for at once; the run's end is an event like any other.
pub(crate) async fn stop(
    core: &Core,
    connection: &Connection,
    chat: &ChatRef,
    run: Option<RunId>,
) -> Result<Reply> {
    let room = resolve(core, connection, chat).await?;
    let found = match run {
        Some(run) => room.run(run),
        None => room.lock().runs.front().cloned(),
    };
    if let Some(run) = &found {
        run.cancel.cancel();
    }
    Ok(Reply::Stopped(found.is_some()))
}

/// `ListChats`.
pub(crate) async fn list(core: &Core, identity: &Identity, limit: usize) -> Result<Reply> {
    core.store.chats(&identity.subject, limit).await.map(Reply::Chats)
}

/// `SendMessage`. The message becomes a run with a task of its own before this waits, so a lost asker changes nothing.
pub(crate) async fn send(
    core: &Arc<Core>,
    connection: &Connection,
    chat: &ChatRef,
    message: Message,
) -> Result<Reply> {
    let message = message.check(core)?;
    let room = resolve(core, connection, chat).await?;
    if let Some(known) = find_message(core, &room, message.message_id.as_deref()).await? {
        return Ok(known);
    }
    let Message { message_id, content, while_running, mut options } = message;
    if let WhileRunning::Steer(_) = while_running
        && let Some(reply) = steer(core, &room, message_id.as_deref(), &content).await
    {
        return reply;
    }
    options.beginning = begin(core, &room, options.beginning).await?;
    let agent = connection.agent().cloned();
    let opening = Opening { agent, content: content.clone(), while_running, options };
    let id = message_id.clone();
    let (run, accepted) = admit(core, &room, connection.identity(), opening, |run| ChatBody::UserMessage {
        run,
        message_id: id,
        content,
    })?;
    match answer_when_accepted(&room, run, accepted).await {
        // Somebody sent the same message at the same time and was first.
        Err(error) if error.code == Code::Conflict => {
            find_message(core, &room, message_id.as_deref()).await?.ok_or(error)
        }
        answered => answered,
    }
}

/// Lets the run that goes on take a message into account; `None` if there is none that can. The message is an entry of
/// the run's, and is read when it is in the log.
async fn steer(
    core: &Arc<Core>,
    room: &Arc<Room>,
    message_id: Option<&str>,
    content: &str,
) -> Option<Result<Reply>> {
    let (run, accepted) = admit_steering(core, room, message_id, content)?;
    match answer_when_accepted(room, run, accepted).await {
        Err(error) if error.code == Code::Conflict => {
            let known = find_message(core, room, message_id).await;
            Some(known.and_then(|known| known.ok_or(error)))
        }
        answered => Some(answered),
    }
}

fn admit_steering(
    core: &Arc<Core>,
    room: &Arc<Room>,
    message_id: Option<&str>,
    content: &str,
) -> Option<(RunId, oneshot::Receiver<Result<()>>)> {
    let state = room.lock();
    let run = state.runs.front().filter(|run| !state.deleted && !run.cancel.is_cancelled())?.id;
    let gate = core.pass_gate().ok()?;
    let in_log = state.runs.front()?.steering.offer(content)?;
    let body =
        ChatBody::UserMessage { run, message_id: message_id.map(str::to_owned), content: content.to_owned() };
    let written = core.journal.write(room, vec![Draft::new(body)]);
    let (accepted, answer) = oneshot::channel();
    // A task of its own, so that an asker that goes away leaves the run in no doubt.
    core.spawn(async move {
        let outcome = written.wait().await;
        // The run may have ended, and the asker gone.
        let _ = in_log.send(outcome.is_ok());
        let _ = accepted.send(outcome);
    });
    drop(gate);
    Some((run, answer))
}

/// What the chat is to begin with, if it has not begun. What it is led by is kept before anything is said, so that a
/// message that was accepted is answered by it, whatever happens to us.
async fn begin(core: &Core, room: &Room, beginning: Option<Beginning>) -> Result<Option<Beginning>> {
    let Some(beginning) = beginning.filter(|_| room.lock().is_new()) else { return Ok(None) };
    if let Some(prompt) = &beginning.system_prompt {
        let settings = with_prompt(&room.lock().settings, prompt.clone());
        managed::check(core, &settings)?;
        core.store.set_chat_settings(room.chat, settings, core.clock.now()).await?;
    }
    Ok(Some(beginning))
}

/// A chat's settings with another system prompt.
fn with_prompt(settings: &ChatSettings, prompt: String) -> ChatSettings {
    managed::merged(settings, ChatSettings { system_prompt: Some(prompt), ..ChatSettings::default() })
}

/// What messages that were said elsewhere leave in the log.
fn imports(core: &Core, room: &Room, identity: &Identity, messages: Vec<Said>) -> Vec<Draft> {
    let (chat, now) = (room.chat, core.clock.now());
    let import = |Said { role, content, at }| {
        let amendment =
            Amendment::Imported { chat, message: None, role, content, at: at.unwrap_or(now), shown: None };
        Draft::new(ChatBody::Amended { amendment, by: identity.subject.clone() })
    };
    messages.into_iter().map(import).collect()
}

/// What is asked as a run begins, and how.
pub(crate) struct Opening {
    /// Who answers where neither the message nor the chat says.
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) content: String,
    pub(crate) while_running: WhileRunning,
    pub(crate) options: RunOptions,
}

/// Waits until what begins the run is in the log.
async fn answer_when_accepted(
    room: &Room,
    run: RunId,
    accepted: oneshot::Receiver<Result<()>>,
) -> Result<Reply> {
    accepted.await.unwrap_or_else(|_| Err(ended()))?;
    Ok(Reply::Accepted { chat: room.chat, run, duplicate: None })
}

/// The answer to a message that was accepted before.
async fn find_message(core: &Core, room: &Arc<Room>, message_id: Option<&str>) -> Result<Option<Reply>> {
    let Some(message_id) = message_id else { return Ok(None) };
    let Some(entry) = core.store.find_message(room.chat, message_id).await? else { return Ok(None) };
    let Some(run) = entry.run else { return Ok(None) };
    let event = replay::events(core, room, vec![entry]).await?.pop();
    Ok(event.map(|event| Reply::Accepted { chat: room.chat, run, duplicate: Some(event) }))
}

/// Gives what begins a run its place in the log, and the run its place among the chat's, in one step.
fn admit(
    core: &Arc<Core>,
    room: &Arc<Room>,
    identity: &Identity,
    opening: Opening,
    body: impl FnOnce(RunId) -> ChatBody,
) -> Result<(RunId, oneshot::Receiver<Result<()>>)> {
    let Opening { agent, content, while_running, mut options } = opening;
    let mut state = room.lock();
    if state.deleted {
        return Err(no_such_chat());
    }
    let gate = core.pass_gate()?;
    check_place(core, &state, while_running)?;
    if while_running == WhileRunning::Interrupt {
        state.runs.iter().for_each(|run| run.cancel.cancel());
    }
    let (accepted, answer) = oneshot::channel();
    let is_new = state.is_new();
    let mut drafts = Vec::new();
    if let Some(beginning) = options.beginning.take().filter(|_| is_new) {
        if let Some(prompt) = beginning.system_prompt {
            state.settings = Arc::new(with_prompt(&state.settings, prompt));
        }
        drafts.extend(imports(core, room, identity, beginning.messages));
    }
    let agent = answering(core, &state.settings, &options, agent.as_deref());
    let by = Answerer { agent: agent.name().to_owned(), model: options.model.clone() };
    let run = Arc::new(Run::new(core, by));
    let is_first = is_new && drafts.is_empty();
    let question = Question { agent, identity: identity.clone(), content, options, is_first, left: None };
    drafts.extend(opening_drafts(run.id, body(run.id), state.runs.len()));
    drafts.extend(
        begun(&question, &state.settings)
            .map(|event| Draft::new(ChatBody::Run { run: run.id, event, text: None })),
    );
    let written = core.journal.write(room, drafts);
    core.spawn(run::conduct(
        Arc::clone(core),
        Arc::clone(room),
        Arc::clone(&run),
        question,
        written,
        accepted,
    ));
    drop(gate);
    if state.runs.is_empty() {
        run.turn.notify_one();
    }
    state.runs.push_back(Arc::clone(&run));
    Ok((run.id, answer))
}

/// What another process needs to answer the question, if its agent could go on with it there.
fn begun(question: &Question, settings: &ChatSettings) -> Option<AgentEvent> {
    if !question.agent.keeps_checkpoints() {
        return None;
    }
    let begun = Begun {
        agent: question.agent.name().to_owned(),
        identity: reading(&question.identity, settings),
        options: question.options.clone(),
    };
    Some(AgentEvent::Checkpoint(Checkpoint::Begun(Box::new(begun))))
}

/// The asker, reading no more than the chat lets it.
fn reading(identity: &Identity, settings: &ChatSettings) -> Identity {
    match settings.collections.is_empty() {
        true => identity.clone(),
        false => identity.narrowed(&settings.collections),
    }
}

/// Who answers: whom the message asks for, else whom the chat does, else whom the connection does.
fn answering(
    core: &Core,
    settings: &ChatSettings,
    options: &RunOptions,
    otherwise: Option<&str>,
) -> Arc<dyn Agent> {
    let name = options.agent.as_deref().or(settings.agent.as_deref()).or(otherwise);
    core.agents.find(name).unwrap_or_else(|error| {
        // It was there when the chat chose it; the server's configuration has changed since.
        tracing::warn!(%error, "the first agent answers");
        core.agents.first()
    })
}

/// Fails if the chat is busy and the message does not want to wait, or too many wait already.
fn check_place(core: &Core, state: &RoomState, while_running: WhileRunning) -> Result<()> {
    if state.runs.is_empty() {
        return Ok(());
    }
    match while_running {
        WhileRunning::Interrupt => Ok(()),
        WhileRunning::Reject => {
            Err(Error::new(Code::Conflict, "an answer is under way; wait for its end, or stop it"))
        }
        WhileRunning::Queue(places) | WhileRunning::Steer(places) if state.runs.len() <= places => Ok(()),
        WhileRunning::Queue(places) | WhileRunning::Steer(places) => Err(Error::new(
            Code::RateLimited,
            format!("{places} messages wait for their turn already; wait until one has been answered"),
        )
        .with(Detail::RetryAfter(core.settings.retry_after))),
    }
}

/// What a message leaves in the log as it is accepted.
fn opening_drafts(run: RunId, body: ChatBody, ahead: usize) -> Vec<Draft> {
    let mut drafts = vec![Draft::new(body)];
    if ahead > 0 {
        let event = AgentEvent::RunQueued { position: ahead };
        drafts.push(Draft::new(ChatBody::Run { run, event, text: None }));
    }
    drafts
}

impl Message {
    /// Fails with what is wrong with it; the tools that it brings come out as models take them.
    fn check(mut self, core: &Core) -> Result<Self> {
        if self.content.trim().is_empty() {
            return Err(Error::invalid("Empty message").with(Detail::Field("content".into())));
        }
        let fits = |id: &String| (1..=MESSAGE_ID_MAX).contains(&id.len());
        if self.message_id.as_ref().is_some_and(|id| !fits(id)) {
            return Err(Error::invalid(format!("a message id has 1 to {MESSAGE_ID_MAX} bytes"))
                .with(Detail::Field("message_id".into())));
        }
        core.models.find(self.options.model.as_deref())?;
        core.agents.find(self.options.agent.as_deref())?;
        self.options.tools = check_client_tools(&core.agents.tools(), self.options.tools)?;
        Ok(self)
    }
}

/// The room of the chat that is named, if the asker may use it.
async fn resolve(core: &Core, connection: &Connection, chat: &ChatRef) -> Result<Arc<Room>> {
    match chat {
        ChatRef::Id(chat) => by_id(core, connection.identity(), *chat).await,
        ChatRef::Session(session) => by_session(core, connection, session).await,
        ChatRef::Known(session) => known(core, connection, session).await?.ok_or_else(no_such_chat),
    }
}

/// Somebody else's chat and one that does not exist give the same answer, so that ids cannot be guessed.
pub(crate) async fn by_id(core: &Core, identity: &Identity, chat: ChatId) -> Result<Arc<Room>> {
    let room = core.hub.room(&*core.store, chat).await?;
    room.filter(|room| identity.check_owner(&room.owner).is_ok() && !room.lock().deleted)
        .ok_or_else(no_such_chat)
}

fn no_such_chat() -> Error {
    Error::not_found("there is no such chat; list your chats, or open a session")
}

/// The chat that has this alias or this id, if there is one that the asker may use.
async fn known(core: &Core, connection: &Connection, session: &SessionId) -> Result<Option<Arc<Room>>> {
    let identity = connection.identity();
    let now = core.clock.now();
    if let Some(room) = core.hub.session(&identity.subject, session, now) {
        move_follow(connection, session, &room)?;
        return Ok(Some(room));
    }
    if let Some(room) = by_id_as_text(core, identity, session).await? {
        return Ok(Some(room));
    }
    let found = core.store.find_session(&identity.subject, session, now).await?;
    if found.is_none() {
        return Ok(None);
    }
    by_session(core, connection, session).await.map(Some)
}

/// The chat of which this is the id, if the asker may use it.
async fn by_id_as_text(core: &Core, identity: &Identity, text: &SessionId) -> Result<Option<Arc<Room>>> {
    let Ok(chat) = text.as_str().parse::<ChatId>() else { return Ok(None) };
    match by_id(core, identity, chat).await {
        Ok(room) => Ok(Some(room)),
        Err(error) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn by_session(core: &Core, connection: &Connection, session: &SessionId) -> Result<Arc<Room>> {
    let owner = &connection.identity().subject;
    let now = core.clock.now();
    if let Some(room) = core.hub.session(owner, session, now) {
        move_follow(connection, session, &room)?;
        return Ok(room);
    }
    if let Some(room) = by_id_as_text(core, connection.identity(), session).await? {
        return Ok(room);
    }
    let room = loop {
        let generation = core.hub.generation();
        let opening = SessionOpening { owner: owner.clone(), session: session.clone(), at: now };
        let head = core.sessions.open(opening).await?;
        if let Some(room) = core.hub.enter(head, generation) {
            break room;
        }
    };
    core.hub.remember_session(owner, session, &room, now);
    move_follow(connection, session, &room)?;
    Ok(room)
}

/// A session that expired opens a new chat. Who followed the old one under this name follows the new one.
fn move_follow(connection: &Connection, session: &SessionId, room: &Arc<Room>) -> Result<()> {
    let Some(old) = connection.followed_as(session).filter(|old| old.chat != room.chat) else {
        return Ok(());
    };
    connection.unfollow(&old);
    connection.move_tools(&old, room)?;
    connection.follow(room, Some(session.clone()), Some(Seq::START)).map(|_| ())
}

/// What an asker hears when the engine went away under it.
pub(crate) fn ended() -> Error {
    Error::new(Code::Draining, "the server is restarting; connect again and repeat the request")
}
