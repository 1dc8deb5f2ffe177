//! Several chats from one, one from several, and one that takes less of the model's context: branching, merging and
//! summing up.

use std::fmt::Write;
use std::sync::Arc;

use super::by_id;
use super::managed::{amend, check, describe, merged, read};
use super::messages::Projection;
use super::shown;
use crate::agent;
use crate::command::Reply;
use crate::conversation::{ChatMessage, ChatSettings, MergeStrategy, Role};
use crate::engine::Core;
use crate::error::{Detail, Error, Result};
use crate::event::Amendment;
use crate::hub::Room;
use crate::id::{ChatId, Seq};
use crate::identity::Identity;
use crate::model::{Message, Request, Status};
use crate::store::NewChat;

/// The most chats that are merged at once.
const SOURCES_MAX: usize = 64;
/// The most characters of one message that a summary is made from.
const MESSAGE_CHARS: usize = 4_000;
/// The most bytes that a summary is made from; what is older is left out.
const SUMMARY_INPUT: usize = 128 * 1024;
/// At most so many tokens of summary.
const SUMMARY_TOKENS: u32 = 800;
/// The most characters of one message in a summary that no model writes.
const LINE_CHARS: usize = 200;
/// The most bytes of such a summary.
const LINES_BYTES: usize = 8 * 1024;

const SUMMARY_PROMPT: &str = "Sum up the conversation that follows for somebody who continues it: facts, decisions, \
                              names, numbers and open questions. Answer with the summary alone, in its language";

/// `BranchChat`.
pub(crate) async fn branch(
    core: &Core,
    identity: &Identity,
    parent: ChatId,
    messages: Option<usize>,
    settings: ChatSettings,
) -> Result<Reply> {
    check(core, &settings)?;
    let from = by_id(core, identity, parent).await?;
    let settings = merged(&from.lock().settings, settings);
    let projection = read(core, parent).await?;
    let new = NewChat { owner: identity.subject.clone(), settings, parent: Some(parent) };
    let head = core.store.open_chat(new, core.clock.now()).await?;
    let room = by_id(core, identity, head.chat).await?;
    let copies = copies(core, parent, &projection, messages).await?;
    if !copies.is_empty() {
        amend(core, &room, identity, copies).await?;
    }
    describe(core, &room).await
}

/// The entries that make a new chat's log begin with another one's messages. The first entry of a log is 1.
async fn copies(
    core: &Core,
    chat: ChatId,
    projection: &Projection,
    messages: Option<usize>,
) -> Result<Vec<Amendment>> {
    let said: Vec<_> = said(chat, projection).take(messages.unwrap_or(usize::MAX)).collect();
    let numbered = (1..).map(Seq).zip(&said);
    let forgotten = numbered.filter(|(_, said)| said.message.forgotten).map(|(seq, _)| seq);
    let forgotten: Vec<_> = forgotten.collect();
    let mut copies = imported(core, said).await?;
    copies.extend(forgotten.iter().map(|seq| Amendment::Forgotten { message: *seq, forgotten: true }));
    if let (Some((_, text)), Some(_)) = (&projection.summary, forgotten.first()) {
        // What it sums up is forgotten already; it names nothing more.
        copies.push(Amendment::Summarized { through: Seq::START, text: text.clone() });
    }
    Ok(copies)
}

/// A message of a chat, to be brought to another one.
#[derive(Clone, Copy)]
struct Said<'a> {
    chat: ChatId,
    projection: &'a Projection,
    message: &'a ChatMessage,
}

/// The messages of a chat that people and agents said, oldest first.
fn said(chat: ChatId, projection: &Projection) -> impl Iterator<Item = Said<'_>> {
    let said = projection.messages.iter().filter(|message| !projection.is_summary(message));
    said.map(move |message| Said { chat, projection, message })
}

/// The messages with everything that belongs to them.
async fn imported(core: &Core, said: Vec<Said<'_>>) -> Result<Vec<Amendment>> {
    let mut imported = Vec::with_capacity(said.len());
    for Said { chat, projection, message } in said {
        let shown = match projection.work_of(message) {
            Some(run) => shown::shown(&core.store.read_run(chat, run).await?),
            None => projection.shown_with(message).cloned(),
        };
        imported.push(Amendment::Imported {
            chat,
            message: Some(message.seq),
            role: message.role,
            content: message.content.clone(),
            at: message.created_at,
            shown: shown.map(Box::new),
        });
    }
    Ok(imported)
}

/// `MergeChats`.
pub(crate) async fn merge(
    core: &Core,
    identity: &Identity,
    sources: Vec<ChatId>,
    target: ChatId,
    strategy: MergeStrategy,
) -> Result<Reply> {
    let field = |why: String| Error::invalid(why).with(Detail::Field("sources".into()));
    if sources.is_empty() || sources.len() > SOURCES_MAX {
        return Err(field(format!("1 to {SOURCES_MAX} chats are merged at once")));
    }
    if sources.contains(&target) {
        return Err(field(String::from("a chat cannot be merged into itself; name other sources")));
    }
    let room = by_id(core, identity, target).await?;
    let mut chats = Vec::with_capacity(sources.len());
    for source in sources {
        by_id(core, identity, source).await?;
        chats.push((source, read(core, source).await?));
    }
    let imports = match strategy {
        MergeStrategy::Chronological => imported(core, by_time(&chats)).await?,
        MergeStrategy::LatestOnly => imported(core, chats.iter().flat_map(latest).collect()).await?,
        MergeStrategy::Interleaved => imported(core, in_turn(&chats)).await?,
        MergeStrategy::Summarized => summaries(core, &room, &chats).await?,
    };
    if !imports.is_empty() {
        amend(core, &room, identity, imports).await?;
    }
    describe(core, &room).await
}

type Chat = (ChatId, Projection);

fn by_time(chats: &[Chat]) -> Vec<Said<'_>> {
    let mut all: Vec<_> = chats.iter().flat_map(|(chat, projection)| said(*chat, projection)).collect();
    all.sort_by_key(|said| said.message.created_at);
    all
}

/// The last question and what was answered to it.
fn latest((chat, projection): &Chat) -> Vec<Said<'_>> {
    let mut all: Vec<_> = said(*chat, projection).collect();
    let question = all.iter().rposition(|said| said.message.role == Role::User).unwrap_or_default();
    all.split_off(question)
}

fn in_turn(chats: &[Chat]) -> Vec<Said<'_>> {
    let said: Vec<Vec<_>> =
        chats.iter().map(|(chat, projection)| said(*chat, projection).collect()).collect();
    let longest = said.iter().map(Vec::len).max().unwrap_or_default();
    let turn = |number: usize| said.iter().filter_map(move |said| said.get(number).copied());
    (0..longest).flat_map(turn).collect()
}

async fn summaries(core: &Core, room: &Room, chats: &[Chat]) -> Result<Vec<Amendment>> {
    let mut summaries = Vec::with_capacity(chats.len());
    for (chat, projection) in chats {
        let said: Vec<_> = said(*chat, projection).map(|said| said.message).collect();
        if said.is_empty() {
            continue;
        }
        let content = summary(core, room, None, &said).await?;
        let (role, at) = (Role::Assistant, core.clock.now());
        summaries.push(Amendment::Imported { chat: *chat, message: None, role, content, at, shown: None });
    }
    Ok(summaries)
}

/// `CompactChat`.
pub(crate) async fn compact(
    core: &Core,
    identity: &Identity,
    chat: ChatId,
    keep_recent: usize,
) -> Result<Reply> {
    let room = by_id(core, identity, chat).await?;
    let projection = read(core, chat).await?;
    let shown = |message: &&ChatMessage| !message.forgotten && !projection.is_summary(message);
    let shown: Vec<_> = projection.messages.iter().filter(shown).collect();
    let (folded, kept) = shown.split_at(shown.len().saturating_sub(keep_recent));
    let Some(last) = folded.last() else {
        return Ok(compacted(0, kept.len(), "", None));
    };
    let before = projection.summary.as_ref().map(|(_, text)| text.as_str());
    let text = summary(core, &room, before, folded).await?;
    let summarized = Amendment::Summarized { through: last.seq, text: text.clone() };
    amend(core, &room, identity, vec![summarized]).await?;
    let entry = read(core, chat).await?.summary.map(|(seq, _)| seq);
    Ok(compacted(folded.len(), kept.len(), &text, entry))
}

fn compacted(folded: usize, kept: usize, text: &str, summary: Option<Seq>) -> Reply {
    let summary_chars = text.chars().count() as u64;
    Reply::Compacted { folded: folded as u64, kept: kept as u64, summary_chars, summary }
}

/// What messages come to. A model that does not write freely, or cannot now, is not asked; then it is how each message
/// begins.
async fn summary(
    core: &Core,
    room: &Room,
    before: Option<&str>,
    messages: &[&ChatMessage],
) -> Result<String> {
    let settings = Arc::clone(&room.lock().settings);
    let model = core.models.find(settings.model.as_deref()).or_else(|_| core.models.find(None))?;
    if !model.writes_freely() || model.status() != Status::Ready {
        return Ok(beginnings(before, messages));
    }
    let request = Request {
        system: SUMMARY_PROMPT.into(),
        messages: vec![Message::User(transcript(before, messages))],
        max_tokens: Some(SUMMARY_TOKENS),
        ..Request::default()
    };
    let (text, _) = agent::complete(&*model, request, &core.settings.direct, async |_| {}).await?;
    Ok(text)
}

/// The messages as the model reads them; if they are too long, the newest.
fn transcript(before: Option<&str>, messages: &[&ChatMessage]) -> String {
    lines(before, messages, MESSAGE_CHARS, SUMMARY_INPUT, |text| text)
}

/// How each message begins, a line each; if they are too many, the newest.
fn beginnings(before: Option<&str>, messages: &[&ChatMessage]) -> String {
    lines(before, messages, LINE_CHARS, LINES_BYTES, |text| text.trim().lines().next().unwrap_or_default())
}

fn lines(
    before: Option<&str>,
    messages: &[&ChatMessage],
    chars: usize,
    bytes: usize,
    part: impl Fn(&str) -> &str,
) -> String {
    let line = |message: &&ChatMessage| {
        let who = match message.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
        };
        let text: String = part(&message.content).chars().take(chars).collect();
        format!("{who}: {text}\n")
    };
    let mut room = bytes;
    let mut newest: Vec<String> = Vec::new();
    for line in messages.iter().rev().map(line) {
        let Some(left) = room.checked_sub(line.len()) else { break };
        room = left;
        newest.push(line);
    }
    let mut text = String::new();
    if let Some(before) = before {
        let before: String = before.chars().take(bytes / 8).collect();
        _ = writeln!(text, "{before}"); // into a String it cannot fail
    }
    newest.iter().rev().for_each(|line| text.push_str(line));
    text.trim_end().to_owned()
}
