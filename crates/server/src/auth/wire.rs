//! A key as JSON: in the data folder, over HTTP, and for `tidewire keys`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewire_engine::collections::check_name;
use tidewire_engine::identity::{Grant, Grants, KV};
use tidewire_engine::{Detail, Error, Result};

/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 128;
/// The longest label, in bytes.
const MAX_LABEL: usize = 256;

/// What may be done with a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Access {
    /// Records may be read.
    Read,
    /// And written; who writes may read.
    Write,
}

/// Collections, and what may be done with each.
pub(crate) type Permissions = BTreeMap<String, Vec<Access>>;

/// What is known of a key; the key itself is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyInfo {
    /// Its id, which is no secret.
    #[serde(default)]
    pub(crate) id: String,
    /// What it is for, as a person said it.
    #[serde(default)]
    pub(crate) label: String,
    /// In whose name it speaks.
    pub(crate) subject: String,
    /// Whether it may do everything.
    pub(crate) is_admin: bool,
    /// What it may do otherwise.
    #[serde(default)]
    pub(crate) collection_permissions: Permissions,
    /// When it was made (RFC 3339); absent for a key of the configuration.
    pub(crate) created_at: Option<String>,
    /// When it last opened the door, to the minute.
    #[serde(default)]
    pub(crate) last_used_at: Option<String>,
    /// When it was revoked.
    #[serde(default)]
    pub(crate) revoked_at: Option<String>,
}

impl KeyInfo {
    /// What it may, as the engine judges it.
    pub(crate) fn grants(&self) -> Grants {
        if self.is_admin { Grants::Admin } else { Grants::Collections(granted(&self.collection_permissions)) }
    }

    /// What it may do with a collection.
    pub(crate) fn access(&self, collection: &str) -> Option<Access> {
        self.collection_permissions.get(collection)?.iter().copied().max()
    }

    /// Grants this and nothing else of a collection.
    pub(crate) fn grant(&mut self, collection: &str, access: Option<Access>) {
        let all: Vec<Access> =
            [Access::Read, Access::Write].into_iter().filter(|one| Some(*one) <= access).collect();
        if all.is_empty() {
            self.collection_permissions.remove(collection);
        } else {
            self.collection_permissions.insert(collection.to_owned(), all);
        }
    }

    /// Fails unless single grants of this key mean anything.
    pub(crate) fn check_grantable(&self) -> Result<()> {
        if self.revoked_at.is_some() {
            return Err(Error::invalid("this key was revoked and opens nothing; make another"));
        }
        if self.is_admin {
            let sentence = "an admin key may do everything; grant collections to a key that is none";
            return Err(Error::invalid(sentence));
        }
        Ok(())
    }

    /// How it is shown: `admin`, or `orders:write salaries:read`.
    pub(crate) fn shown_grants(&self) -> String {
        if self.is_admin {
            return String::from("admin");
        }
        let list = granted(&self.collection_permissions);
        let words = list
            .iter()
            .map(|grant| format!("{}:{}", grant.collection, if grant.write { "write" } else { "read" }));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Permissions as the engine's grants.
pub(crate) fn granted(permissions: &Permissions) -> Vec<Grant> {
    let grants = permissions.iter().filter(|(_, access)| !access.is_empty());
    let grants = grants.map(|(collection, access)| Grant {
        collection: collection.clone(),
        write: access.contains(&Access::Write),
    });
    grants.collect()
}

/// Fails unless every name is one that can be granted.
pub(crate) fn check_permissions(permissions: &Permissions) -> Result<()> {
    permissions.keys().filter(|name| *name != KV).try_for_each(|name| check_name(name))
}

/// Fails unless somebody may be called this.
pub(crate) fn check_subject(subject: &str) -> Result<()> {
    let fits = (1..=MAX_SUBJECT).contains(&subject.len()) && !subject.chars().any(char::is_control);
    if fits && subject != tidewire_engine::identity::Subject::SYSTEM {
        return Ok(());
    }
    Err(wrong("subject", "a subject has 1 to 128 bytes without control characters, and is not \"system\""))
}

/// Fails unless this can be a label.
pub(crate) fn check_label(label: &str) -> Result<()> {
    if label.len() <= MAX_LABEL && !label.chars().any(char::is_control) {
        return Ok(());
    }
    Err(wrong("label", "a label has at most 256 bytes without control characters"))
}

fn wrong(field: &str, sentence: &'static str) -> Error {
    Error::invalid(sentence).with(Detail::Field(field.into()))
}
