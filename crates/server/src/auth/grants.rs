//! The single grants of a key, under `/api/auth/keys/{key}/permissions`: shown, given and taken away one by one.
//!
//! A grant is a whole collection, or the whole key-value store under the prefix `*`; who may write may read. Grants of
//! single members or of some keys of the store are answered with 501. The keyring keeps them (`keys`).

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use tidewire_engine::collections::check_name;
use tidewire_engine::identity::KV;
use tidewire_engine::{Code, Detail, Error, Result};

use super::http::{admin, show_permissions};
use super::wire::Access;
use crate::server::App;

/// The prefix under which the whole key-value store is granted.
pub(super) const ALL_KEYS: &str = "*";

/// The grant of a collection, as it is shown.
pub(super) fn shown_collection(write: bool) -> Value {
    json!({
        "read": true, "write": write,
        "select_fields": null, "exclude_fields": null, "writable_fields": null,
    })
}

/// The grant of the key-value store, as it is shown.
pub(super) fn shown_kv(write: bool) -> Value {
    json!({"prefix": ALL_KEYS, "read": true, "write": write})
}

/// What a grant is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facet {
    /// Collections, by their names.
    Collections,
    /// The key-value store, by the prefix of keys.
    Kv,
}

impl Facet {
    fn from_name(name: &str) -> Result<Self> {
        match name {
            "collections" => Ok(Self::Collections),
            "kv" => Ok(Self::Kv),
            other => Err(Error::not_found(format!(
                "there is nothing to grant under {other:?}; use collections or kv"
            ))),
        }
    }

    /// A grant as it is shown; `null` is none.
    fn shown(self, access: Option<Access>) -> Value {
        let write = access == Some(Access::Write);
        match (access, self) {
            (None, _) => Value::Null,
            (Some(_), Self::Collections) => shown_collection(write),
            (Some(_), Self::Kv) => shown_kv(write),
        }
    }

    /// Under which name the keyring has it. Fails if nothing of this name can be granted.
    fn kept_as(self, name: &str) -> Result<&str> {
        match self {
            Self::Collections => check_name(name).map(|()| name),
            Self::Kv if name == ALL_KEYS => Ok(KV),
            Self::Kv => Err(not_built(
                "prefix",
                "the key-value store is granted as a whole; use the prefix * for all keys",
            )),
        }
    }
}

/// A grant as it is to be. What PATCH leaves out stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    read: Option<bool>,
    write: Option<bool>,
    select_fields: Option<Value>,
    exclude_fields: Option<Value>,
    writable_fields: Option<Value>,
}

impl Wanted {
    /// Nothing at all, as DELETE wants it.
    pub(super) fn nothing() -> Self {
        Self { read: Some(false), write: Some(false), ..Self::default() }
    }

    /// Fails unless both are said, as PUT has to.
    pub(super) fn in_full(self) -> Result<Self> {
        if self.read.is_some() && self.write.is_some() {
            return Ok(self);
        }
        Err(Error::invalid("PUT takes read and write; PATCH changes one of them"))
    }

    fn check_built(&self) -> Result<()> {
        let members = [
            ("select_fields", &self.select_fields),
            ("exclude_fields", &self.exclude_fields),
            ("writable_fields", &self.writable_fields),
        ];
        match members.iter().find(|(_, wanted)| wanted.is_some()) {
            Some((name, _)) => Err(not_built(
                name,
                "a collection is granted with all its members; leave out the lists of fields, or send null",
            )),
            None => Ok(()),
        }
    }

    /// What is granted from now on, if `held` was.
    fn applied(&self, held: Option<Access>) -> Result<Option<Access>> {
        let read = self.read.unwrap_or(held.is_some());
        let write = self.write.unwrap_or(held == Some(Access::Write));
        match (read, write) {
            (true, true) => Ok(Some(Access::Write)),
            (true, false) => Ok(Some(Access::Read)),
            (false, false) => Ok(None),
            (false, true) => {
                Err(Error::invalid("who may write may read; send read as true, or write as false"))
            }
        }
    }
}

/// Where a grant is: whose, of what, and its name.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    key: String,
    facet: String,
    name: String,
}

/// All grants of a key: an object by collection, or a list, of which `prefix` may ask for one.
pub(super) fn list(
    app: &App,
    headers: &HeaderMap,
    key: &str,
    facet: &str,
    prefix: Option<&str>,
) -> Result<Value> {
    Facet::from_name(facet)?;
    let mut list = show_permissions(app, headers, key)?[facet].take();
    if let (Some(prefix), Some(list)) = (prefix, list.as_array_mut()) {
        list.retain(|grant| grant["prefix"] == *prefix);
    }
    Ok(list)
}

/// One grant of a key; not found if it has none.
pub(super) fn one(app: &App, headers: &HeaderMap, place: &Place) -> Result<Value> {
    let list = list(app, headers, &place.key, &place.facet, Some(&place.name))?;
    let found = match &list {
        Value::Array(grants) => grants.first(),
        grants => grants.get(&place.name),
    };
    found.cloned().ok_or_else(|| no_grant(&place.name))
}

/// Makes a grant what is wanted, and says what it was and what it is.
pub(super) async fn change(
    app: &App,
    headers: &HeaderMap,
    place: &Place,
    wanted: Result<Wanted>,
) -> Result<Value> {
    let asker = admin(app, headers)?;
    let facet = Facet::from_name(&place.facet)?;
    let (kept_as, wanted) = (facet.kept_as(&place.name)?, wanted?);
    wanted.check_built()?;
    let key = if place.key == "me" { asker.key.as_deref().unwrap_or("me") } else { &place.key };
    let (before, after) = app.auth.keys.regrant(key, kept_as, |held| wanted.applied(held)).await?;
    Ok(json!({"before": facet.shown(before), "after": facet.shown(after)}))
}

/// Takes a grant away; not found if the key has none.
pub(super) async fn remove(app: &App, headers: &HeaderMap, place: &Place) -> Result<Value> {
    let change = change(app, headers, place, Ok(Wanted::nothing())).await?;
    if change["before"].is_null() { Err(no_grant(&place.name)) } else { Ok(change) }
}

fn no_grant(name: &str) -> Error {
    Error::not_found(format!("this key has no grant for {name:?}; its permissions show those that it has"))
}

fn not_built(member: &str, sentence: &'static str) -> Error {
    Error::new(Code::Unimplemented, sentence).with(Detail::Field(member.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(body: Value) -> Wanted {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn what_is_left_out_stays() {
        let (read, write) = (Some(Access::Read), Some(Access::Write));
        for (body, held, expected) in [
            (json!({}), write, write),
            (json!({"write": true}), read, write),
            (json!({"write": false}), write, read),
            (json!({"read": true}), None, read),
            (json!({"read": false}), read, None),
            (json!({"read": false, "write": false}), write, None),
            (json!({"select_fields": null}), read, read),
        ] {
            assert_eq!(wanted(body.clone()).applied(held).unwrap(), expected, "{body}");
        }
        for (body, held) in [(json!({"write": true}), None), (json!({"read": false}), write)] {
            assert_eq!(wanted(body).applied(held).unwrap_err().code, Code::Invalid);
        }
    }

    #[test]
    fn what_is_not_built_is_named() {
        for member in ["select_fields", "exclude_fields", "writable_fields"] {
            let error = wanted(json!({member: ["name"]})).check_built().unwrap_err();
            assert_eq!((error.code, error.detail), (Code::Unimplemented, Detail::Field(member.into())));
        }
        assert_eq!(Facet::Kv.kept_as("tea:").unwrap_err().code, Code::Unimplemented);
        assert_eq!(Facet::Kv.kept_as(ALL_KEYS).unwrap(), KV);
        assert_eq!(Facet::Collections.kept_as(KV).unwrap_err().code, Code::Invalid);
    }
}
