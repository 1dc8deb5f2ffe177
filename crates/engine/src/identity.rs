//! Who asks, and what they may.
//!
//! `access` judges every command by this and nothing else; a dialect only carries the identity that the handshake
//! found.

use std::sync::Arc;

use crate::error::{Error, Result};

/// The person, program or tenant that owns chats and sessions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(pub Arc<str>);

impl Subject {
    /// The one who asks where no keys are configured.
    pub const LOCAL: &'static str = "local";
    /// The one who did what nobody asked for (expiry, migrations).
    pub const SYSTEM: &'static str = "system";
}

impl From<&str> for Subject {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// The name under which the key-value store is granted.
pub const KV: &str = "_kv";

/// What an identity may do with collections. Chats are judged by their owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Everything, other people's chats included.
    Admin,
    /// What is listed, collection by collection.
    Collections(Vec<Grant>),
}

/// One collection that an identity may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The collection's name.
    pub collection: String,
    /// Whether it may write there too.
    pub write: bool,
}

/// Who asks: the key that opened the door, the subject behind it, and what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The id of the API key, or `None` where none are configured.
    pub key: Option<Arc<str>>,
    /// In whose name.
    pub subject: Subject,
    /// What it may.
    pub grants: Grants,
}

impl Identity {
    /// Everybody on loopback while no keys are configured: `local`, admin.
    pub fn local() -> Self {
        Self { key: None, subject: Subject::LOCAL.into(), grants: Grants::Admin }
    }

    /// Whether it may do everything.
    pub fn is_admin(&self) -> bool {
        self.grants == Grants::Admin
    }

    /// Fails unless it may do everything: make and drop collections, change schemas, manage keys.
    pub fn check_admin(&self) -> Result<()> {
        if self.is_admin() {
            return Ok(());
        }
        Err(Error::forbidden("only an admin key may do this; ask its owner"))
    }

    /// Fails unless it may read the collection.
    pub fn check_read(&self, collection: &str) -> Result<()> {
        self.check(collection, |_| true)
    }

    /// Fails unless it may write the collection.
    pub fn check_write(&self, collection: &str) -> Result<()> {
        self.check(collection, |grant| grant.write)
    }

    /// The same, reading nothing but these collections, of those that it may read.
    #[must_use]
    pub fn narrowed(&self, collections: &[String]) -> Self {
        let readable = collections.iter().filter(|name| self.check_read(name).is_ok());
        let grants = readable.map(|name| Grant { collection: name.clone(), write: false });
        Self { grants: Grants::Collections(grants.collect()), ..self.clone() }
    }

    /// Fails unless it owns what `owner` owns, or is an admin.
    pub fn check_owner(&self, owner: &Subject) -> Result<()> {
        if self.is_admin() || self.subject == *owner {
            return Ok(());
        }
        Err(Error::forbidden("this chat belongs to somebody else; open one of your own"))
    }

    fn check(&self, collection: &str, fits: impl Fn(&Grant) -> bool) -> Result<()> {
        let granted = match &self.grants {
            Grants::Admin => true,
            Grants::Collections(list) => {
                list.iter().any(|grant| grant.collection == collection && fits(grant))
            }
        };
        if granted {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "this key has no access to the collection {collection:?}; ask for a grant"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_does_not_write_and_a_stranger_does_not_read() {
        let reader = Identity {
            key: Some("k1".into()),
            subject: "ann".into(),
            grants: Grants::Collections(vec![Grant { collection: "orders".into(), write: false }]),
        };
        assert!(reader.check_read("orders").is_ok());
        assert!(reader.check_write("orders").is_err());
        assert!(reader.check_read("salaries").is_err());
        assert!(reader.check_owner(&"ann".into()).is_ok());
        assert!(reader.check_owner(&"bob".into()).is_err());
        assert!(Identity::local().check_write("anything").is_ok());
    }

    #[test]
    fn one_who_is_narrowed_gains_nothing() {
        let collections = [String::from("orders"), String::from("salaries")];
        let narrowed = Identity::local().narrowed(&collections[..1]);
        assert!(narrowed.check_read("orders").is_ok() && narrowed.check_read("salaries").is_err());
        assert!(narrowed.check_write("orders").is_err());
        let grants = Grants::Collections(vec![Grant { collection: "orders".into(), write: true }]);
        let reader = Identity { key: None, subject: "ann".into(), grants };
        let narrowed = reader.narrowed(&collections);
        assert!(narrowed.check_read("orders").is_ok() && narrowed.check_read("salaries").is_err());
    }
}
