//! Who may do what: every command is judged here, before any desk sees it.
//!
//! The match names every command, so that a new one does not compile until somebody has said who may use it. What
//! is refused here is refused before it is known whether the thing exists. The desks judge again what does not come
//! as a command: an agent's tools read for whoever asked, through the data desk. The policy that all of them are held to
//! is the table in `policy`, which only tests read.

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod policy;

use crate::chat;
use crate::command::{ChatRef, Command};
use crate::conversation::ChatSettings;
use crate::engine::Core;
use crate::error::{Error, Result};
use crate::id::ChatId;
use crate::identity::{Identity, KV};
use crate::query::Query;

/// The chats that a command names by their ids.
enum Chats<'c> {
    /// None, or only the asker's own sessions.
    None,
    /// One.
    One(ChatId),
    /// Several, and the one that they go into.
    Merged(&'c [ChatId], ChatId),
}

/// Fails unless the identity may do this: as forbidden, or as not found where a chat is somebody else's.
pub(crate) async fn check(core: &Core, identity: &Identity, command: &Command) -> Result<()> {
    match judge(identity, command)? {
        Chats::None => Ok(()),
        Chats::One(chat) => own(core, identity, chat).await,
        Chats::Merged(sources, target) => {
            own(core, identity, target).await?;
            for source in sources {
                own(core, identity, *source).await?;
            }
            Ok(())
        }
    }
}

/// The same for a command that names no chat by its id, and so needs no look into the store.
pub(crate) fn check_at_once(identity: &Identity, command: &Command) -> Result<()> {
    match judge(identity, command)? {
        Chats::None => Ok(()),
        Chats::One(_) | Chats::Merged(..) => {
            Err(Error::forbidden("this command's chat must be looked up first"))
        }
    }
}

async fn own(core: &Core, identity: &Identity, chat: ChatId) -> Result<()> {
    chat::by_id(core, identity, chat).await.map(|_| ())
}

/// Judges what needs no look into the store, and says which chats are left to look at.
fn judge<'c>(identity: &Identity, command: &'c Command) -> Result<Chats<'c>> {
    match command {
        // The answer is the asker's own, or is narrowed to what it may read.
        Command::ListChats { .. }
        | Command::FindChats { .. }
        | Command::ListCollections
        | Command::UnfollowChat { .. }
        | Command::Unwatch { .. }
        // Whoever is let in may ask a model. Tools read with the asker's grants.
        | Command::Complete { .. }
        | Command::Embed { .. }
        | Command::ListModels
        | Command::ListTools
        | Command::CallTool { .. } => Ok(Chats::None),

        Command::FollowChat { chat, .. }
        | Command::SendMessage { chat, .. }
        | Command::StopRun { chat, .. }
        | Command::RegisterTools { chat, .. }
        | Command::AnswerTool { chat, .. }
        | Command::DecideCall { chat, .. } => Ok(named(chat)),

        Command::GetChat { chat }
        | Command::DeleteChat { chat }
        | Command::CompactChat { chat, .. }
        | Command::ListMessages { chat, .. }
        | Command::GetMessage { chat, .. }
        | Command::EditMessage { chat, .. }
        | Command::ForgetMessage { chat, .. }
        | Command::DeleteMessage { chat, .. }
        | Command::Regenerate { chat, .. } => Ok(Chats::One(*chat)),

        Command::MergeChats { sources, target, .. } => Ok(Chats::Merged(sources, *target)),
        Command::OpenChat { settings } => settled(identity, settings, Chats::None),
        Command::UpdateChat { chat, settings } => settled(identity, settings, Chats::One(*chat)),
        Command::BranchChat { parent, settings, .. } => settled(identity, settings, Chats::One(*parent)),

        Command::Get { collection, .. }
        | Command::Count { collection, .. }
        | Command::Distinct { collection, .. }
        | Command::GetSchema { collection }
        | Command::Watch { collection, .. } => read(identity, collection),
        Command::Search(search) => read(identity, &search.collection),
        Command::Query(query) => joined(identity, query),

        Command::Edit { collection, .. } => write(identity, collection),
        Command::CreateCollection { .. } | Command::DropCollection { .. } | Command::ChangeSchema { .. } => {
            identity.check_admin().map(|()| Chats::None)
        }

        Command::KvGet { .. } | Command::KvFind { .. } => read(identity, KV),
        Command::KvSet { .. } | Command::KvDelete { .. } | Command::KvClear => write(identity, KV),
    }
}

/// A session is an alias in the asker's own namespace; a chat's id in its place is judged where it is looked up.
fn named(chat: &ChatRef) -> Chats<'static> {
    match chat {
        ChatRef::Id(chat) => Chats::One(*chat),
        ChatRef::Session(_) | ChatRef::Known(_) => Chats::None,
    }
}

fn read(identity: &Identity, collection: &str) -> Result<Chats<'static>> {
    identity.check_read(collection).map(|()| Chats::None)
}

fn write(identity: &Identity, collection: &str) -> Result<Chats<'static>> {
    identity.check_write(collection).map(|()| Chats::None)
}

/// A join reads the other collections too.
fn joined(identity: &Identity, query: &Query) -> Result<Chats<'static>> {
    let others = query.join.iter().flat_map(|join| &join.collections);
    std::iter::once(&query.collection).chain(others).try_for_each(|name| identity.check_read(name))?;
    Ok(Chats::None)
}

/// A chat's agent reads what its settings name.
fn settled<'c>(identity: &Identity, settings: &ChatSettings, chats: Chats<'c>) -> Result<Chats<'c>> {
    settings.collections.iter().try_for_each(|name| identity.check_read(name))?;
    Ok(chats)
}
