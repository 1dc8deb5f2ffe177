//! What becomes of messages, as it is kept.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::shown::KeptShown;
use crate::conversation::Role;
use crate::event::Amendment;
use crate::id::{ChatId, RunId, Seq, Timestamp};

/// The twin of [`Amendment`]. The run of a regeneration is a column of its row.
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum KeptAmendment<'a> {
    Edited {
        message: u64,
        content: Cow<'a, str>,
    },
    Forgotten {
        message: u64,
        forgotten: bool,
    },
    Deleted {
        message: u64,
    },
    Regenerated {
        answer: u64,
    },
    Summarized {
        through: u64,
        text: Cow<'a, str>,
    },
    Imported {
        chat: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<u64>,
        role: KeptRole,
        content: Cow<'a, str>,
        at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<Box<KeptShown>>,
    },
    ChatDeleted,
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeptRole {
    User,
    Assistant,
}

impl From<Role> for KeptRole {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
        }
    }
}

impl From<KeptRole> for Role {
    fn from(role: KeptRole) -> Self {
        match role {
            KeptRole::User => Self::User,
            KeptRole::Assistant => Self::Assistant,
        }
    }
}

impl<'a> KeptAmendment<'a> {
    pub(super) fn of(amendment: &'a Amendment) -> Self {
        match amendment {
            Amendment::Edited { message, content } => {
                Self::Edited { message: message.0, content: content.into() }
            }
            Amendment::Forgotten { message, forgotten } => {
                Self::Forgotten { message: message.0, forgotten: *forgotten }
            }
            Amendment::Deleted { message } => Self::Deleted { message: message.0 },
            Amendment::Regenerated { run: _, answer } => Self::Regenerated { answer: answer.0 },
            Amendment::Summarized { through, text } => {
                Self::Summarized { through: through.0, text: text.into() }
            }
            Amendment::Imported { chat, message, role, content, at, shown } => Self::Imported {
                chat: chat.to_string().into(),
                message: message.map(|seq| seq.0),
                role: (*role).into(),
                content: content.into(),
                at: at.0,
                shown: shown.as_deref().map(|shown| Box::new(KeptShown::of(shown))),
            },
            Amendment::ChatDeleted => Self::ChatDeleted,
        }
    }

    /// What it was; `None` if it is of a kind that this server does not know. `run` is the row's.
    pub(super) fn into_amendment(self, run: Option<RunId>) -> Option<Amendment> {
        Some(match self {
            Self::Edited { message, content } => {
                Amendment::Edited { message: Seq(message), content: content.into_owned() }
            }
            Self::Forgotten { message, forgotten } => {
                Amendment::Forgotten { message: Seq(message), forgotten }
            }
            Self::Deleted { message } => Amendment::Deleted { message: Seq(message) },
            Self::Regenerated { answer } => Amendment::Regenerated { run: run?, answer: Seq(answer) },
            Self::Summarized { through, text } => {
                Amendment::Summarized { through: Seq(through), text: text.into_owned() }
            }
            Self::Imported { chat, message, role, content, at, shown } => Amendment::Imported {
                chat: chat.parse::<ChatId>().ok()?,
                message: message.map(Seq),
                role: role.into(),
                content: content.into_owned(),
                at: Timestamp(at),
                shown: shown.map(|shown| Box::new(shown.into_shown())),
            },
            Self::ChatDeleted => Amendment::ChatDeleted,
            Self::Unknown => return None,
        })
    }
}
