//! Chats as things: opening them, their settings and messages, and what becomes of both.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::journal::Draft;
use super::messages::{Projection, project};
use super::{Opening, admit, answer_when_accepted, by_id, ended, replay, shown};
use crate::command::{Reply, WhileRunning};
use crate::conversation::{ChatInfo, ChatMessage, ChatSettings, Role, RunOptions, ToolUse};
use crate::engine::Core;
use crate::error::{Detail, Error, Result};
use crate::event::{Amendment, Answerer, ChatBody};
use crate::hub::Room;
use crate::id::{ChatId, Seq};
use crate::identity::Identity;
use crate::store::entry::encode_without_words;
use crate::store::{ChatHead, NewChat};

/// The most chats or messages that are listed at once.
const LIST_MAX: usize = 1000;
/// The most bytes of a text that a chat is led by, and of what a dialect keeps with it.
const TEXT_MAX: usize = 64 * 1024;
/// The longest title in bytes.
const TITLE_MAX: usize = 1024;

/// Which part of a list, as the asker wants it.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) limit: usize,
    pub(crate) skip: usize,
    pub(crate) ascending: bool,
}

/// `OpenChat`.
pub(crate) async fn open(core: &Core, identity: &Identity, settings: ChatSettings) -> Result<Reply> {
    check(core, &settings)?;
    let new = NewChat { owner: identity.subject.clone(), settings, parent: None };
    let head = core.store.open_chat(new, core.clock.now()).await?;
    Ok(Reply::Chat(Box::new(info(head, 0))))
}

/// `GetChat`.
pub(crate) async fn get(core: &Core, identity: &Identity, chat: ChatId) -> Result<Reply> {
    let room = by_id(core, identity, chat).await?;
    describe(core, &room).await
}

/// A chat as it is now.
pub(super) async fn describe(core: &Core, room: &Room) -> Result<Reply> {
    let head = core.store.chat(room.chat).await?.ok_or_else(super::no_such_chat)?;
    let count = read(core, room.chat).await?.messages.len() as u64;
    Ok(Reply::Chat(Box::new(info(head, count))))
}

/// `FindChats`.
pub(crate) async fn find(core: &Core, identity: &Identity, part: Part) -> Result<Reply> {
    let Part { limit, skip, ascending } = part;
    let owner = &identity.subject;
    let (heads, total) = core.store.find_chats(owner, limit.min(LIST_MAX), skip, ascending).await?;
    let mut chats = Vec::with_capacity(heads.len());
    for head in heads {
        let count = read(core, head.chat).await?.messages.len() as u64;
        chats.push(info(head, count));
    }
    Ok(Reply::FoundChats { chats, total })
}

/// `UpdateChat`.
pub(crate) async fn update(
    core: &Core,
    identity: &Identity,
    chat: ChatId,
    changes: ChatSettings,
) -> Result<Reply> {
    check(core, &changes)?;
    let room = by_id(core, identity, chat).await?;
    let settings = {
        let mut state = room.lock();
        state.settings = Arc::new(merged(&state.settings, changes));
        Arc::clone(&state.settings)
    };
    core.store.set_chat_settings(chat, (*settings).clone(), core.clock.now()).await?;
    describe(core, &room).await
}

/// Settings with changes: what is `None` or empty stays, `extra` is merged member by member.
pub(super) fn merged(old: &ChatSettings, new: ChatSettings) -> ChatSettings {
    let old = old.clone();
    let mut extra = old.extra;
    extra.extend(new.extra);
    ChatSettings {
        title: new.title.or(old.title),
        system_prompt: new.system_prompt.or(old.system_prompt),
        agent: new.agent.or(old.agent),
        model: new.model.or(old.model),
        collections: if new.collections.is_empty() { old.collections } else { new.collections },
        max_context_messages: new.max_context_messages.or(old.max_context_messages),
        max_tokens: new.max_tokens.or(old.max_tokens),
        temperature: new.temperature.or(old.temperature),
        extra,
    }
}

/// Fails unless a chat can be led like this.
pub(super) fn check(core: &Core, settings: &ChatSettings) -> Result<()> {
    core.models.find(settings.model.as_deref())?;
    core.agents.find(settings.agent.as_deref())?;
    let wrong = |field: &str, why: String| Err(Error::invalid(why).with(Detail::Field(field.into())));
    let long = |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.len() > most);
    if long(&settings.title, TITLE_MAX) {
        return wrong("title", format!("a chat's title has at most {TITLE_MAX} bytes"));
    }
    if long(&settings.system_prompt, TEXT_MAX) {
        return wrong("system_prompt", format!("a system prompt has at most {TEXT_MAX} bytes"));
    }
    let size: usize = settings.extra.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
    if size > TEXT_MAX {
        return wrong("extra", format!("what is kept with a chat has at most {TEXT_MAX} bytes"));
    }
    if settings.max_tokens == Some(0) {
        return wrong("max_tokens", String::from("an answer needs at least one token"));
    }
    if settings.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return wrong("temperature", String::from("the temperature is a number from 0 to 2"));
    }
    Ok(())
}

/// `DeleteChat`. It is done by a task of its own, so that an asker that goes away leaves nothing half deleted.
pub(crate) async fn delete(core: &Arc<Core>, identity: &Identity, chat: ChatId) -> Result<Reply> {
    let room = by_id(core, identity, chat).await?;
    let (done, deleted) = oneshot::channel();
    let (task_core, by) = (Arc::clone(core), identity.subject.clone());
    core.spawn(async move {
        let result = remove(&task_core, &room).await;
        if result.is_ok() {
            let body = ChatBody::Amended { amendment: Amendment::ChatDeleted, by };
            room.announce(body, task_core.clock.now(), task_core.limits());
        }
        // Nobody may be there any more to hear it.
        let _ = done.send(result);
    });
    deleted.await.unwrap_or_else(|_| Err(ended())).map(|()| Reply::Done)
}

/// Stops a chat's runs, waits for their ends, and removes it.
async fn remove(core: &Core, room: &Room) -> Result<()> {
    {
        let mut state = room.lock();
        state.deleted = true;
        state.runs.iter().for_each(|run| run.cancel.cancel());
    }
    room.emptied().await;
    if let Err(error) = core.store.delete_chat(room.chat).await {
        room.lock().deleted = false;
        return Err(error);
    }
    room.lock().owed.clear();
    core.hub.forget(room.chat);
    Ok(())
}

/// `ListMessages`.
pub(crate) async fn messages(core: &Core, identity: &Identity, chat: ChatId, part: Part) -> Result<Reply> {
    by_id(core, identity, chat).await?;
    let Part { limit, skip, ascending } = part;
    let mut all = read(core, chat).await?.messages;
    let total = all.len() as u64;
    if !ascending {
        all.reverse();
    }
    let mut messages: Vec<_> = all.into_iter().skip(skip).take(limit.min(LIST_MAX)).collect();
    for message in &mut messages {
        message.tools = tools(core, chat, message).await?;
    }
    Ok(Reply::Messages { messages, total })
}

/// `GetMessage`.
pub(crate) async fn message(core: &Core, identity: &Identity, chat: ChatId, seq: Seq) -> Result<Reply> {
    by_id(core, identity, chat).await?;
    let mut message = find_in(&read(core, chat).await?, seq)?.clone();
    message.tools = tools(core, chat, &message).await?;
    Ok(Reply::Message(Box::new(message)))
}

/// `EditMessage`.
pub(crate) async fn edit(
    core: &Core,
    identity: &Identity,
    chat: ChatId,
    seq: Seq,
    content: String,
) -> Result<Reply> {
    if content.trim().is_empty() {
        return Err(Error::invalid("a message needs some text; delete it if it is to go")
            .with(Detail::Field("content".into())));
    }
    amend_one(core, identity, chat, seq, Amendment::Edited { message: seq, content }).await?;
    message(core, identity, chat, seq).await
}

/// `ForgetMessage`.
pub(crate) async fn forget(
    core: &Core,
    identity: &Identity,
    chat: ChatId,
    seq: Seq,
    forgotten: bool,
) -> Result<Reply> {
    amend_one(core, identity, chat, seq, Amendment::Forgotten { message: seq, forgotten }).await?;
    message(core, identity, chat, seq).await
}

/// `DeleteMessage`. Its words leave the log, so that nobody reads them who joins later.
pub(crate) async fn delete_message(
    core: &Core,
    identity: &Identity,
    chat: ChatId,
    seq: Seq,
) -> Result<Reply> {
    amend_one(core, identity, chat, seq, Amendment::Deleted { message: seq }).await?;
    let entries = core.store.message_entries(chat, seq, 1).await?;
    for entry in entries.into_iter().filter(|entry| entry.to == seq) {
        if let Some(content) = entry.decode()? {
            core.store.redact(chat, seq, encode_without_words(&content.body)).await?;
        }
    }
    Ok(Reply::Done)
}

async fn amend_one(
    core: &Core,
    identity: &Identity,
    chat: ChatId,
    seq: Seq,
    amendment: Amendment,
) -> Result<()> {
    let room = by_id(core, identity, chat).await?;
    find_in(&read(core, chat).await?, seq)?;
    amend(core, &room, identity, vec![amendment]).await
}

/// Writes what becomes of messages.
pub(super) async fn amend(
    core: &Core,
    room: &Arc<Room>,
    identity: &Identity,
    amendments: Vec<Amendment>,
) -> Result<()> {
    let by = &identity.subject;
    let draft = |amendment| Draft::new(ChatBody::Amended { amendment, by: by.clone() });
    core.journal.write(room, amendments.into_iter().map(draft).collect()).wait().await
}

/// `Regenerate`.
pub(crate) async fn regenerate(
    core: &Arc<Core>,
    identity: &Identity,
    chat: ChatId,
    seq: Seq,
) -> Result<Reply> {
    let room = by_id(core, identity, chat).await?;
    let projection = read(core, chat).await?;
    let answer = find_in(&projection, seq)?;
    let question = match (answer.role, answer.run) {
        (Role::Assistant, Some(run)) => projection.question_of(run),
        (Role::Assistant | Role::User, _) => None,
    };
    let question = question.ok_or_else(|| {
        Error::invalid("only an answer whose question is still there can be given anew; name one")
            .with(Detail::Field("message".into()))
    })?;
    let opening = Opening {
        agent: None,
        content: question.content.clone(),
        while_running: WhileRunning::Reject,
        options: as_before(core, chat, answer).await?,
    };
    let by = identity.subject.clone();
    let (run, accepted) = admit(core, &room, identity, opening, |run| ChatBody::Amended {
        amendment: Amendment::Regenerated { run, answer: seq },
        by,
    })?;
    answer_when_accepted(&room, run, accepted).await
}

/// An answer is given anew by whoever gave it.
async fn as_before(core: &Core, chat: ChatId, answer: &ChatMessage) -> Result<RunOptions> {
    let Some(run) = answer.run else { return Ok(RunOptions::default()) };
    let by = replay::said(&core.store.read_run(chat, run).await?).by;
    let (agent, model) = by.map(|Answerer { agent, model }| (agent, model)).unzip();
    Ok(RunOptions { agent, model: model.flatten(), ..RunOptions::default() })
}

/// All messages of a chat.
pub(super) async fn read(core: &Core, chat: ChatId) -> Result<Projection> {
    let entries = core.store.message_entries(chat, Seq(u64::MAX), usize::MAX).await?;
    Ok(project(&entries))
}

fn find_in(projection: &Projection, seq: Seq) -> Result<&ChatMessage> {
    projection
        .find(seq)
        .ok_or_else(|| Error::not_found(format!("this chat has no message {seq}; list its messages")))
}

/// The tools that were called for an answer: as the log has them, or as they were brought with it.
async fn tools(core: &Core, chat: ChatId, message: &ChatMessage) -> Result<Vec<ToolUse>> {
    match (message.role, message.run) {
        (Role::Assistant, Some(run)) => Ok(shown::tools(&core.store.read_run(chat, run).await?)),
        (Role::Assistant | Role::User, _) => Ok(message.tools.clone()),
    }
}

fn info(head: ChatHead, message_count: u64) -> ChatInfo {
    let mut settings = head.settings;
    settings.title = Some(head.title).filter(|title| !title.is_empty());
    ChatInfo {
        chat: head.chat,
        settings,
        message_count,
        parent: head.parent,
        created_at: head.created_at,
        updated_at: head.updated_at,
    }
}
