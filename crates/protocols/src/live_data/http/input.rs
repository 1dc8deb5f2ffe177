//! Bodies and queries: what clients send, in the shapes of the definition.
//!
//! MessagePack bodies are the same shapes; some clients send records of the definition as arrays of their members in
//! order, and for those bodies [`Request::positional`] puts the names back.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tidewire_engine::query::Projection;
use tidewire_engine::{Code, Detail, Error, Result};

use super::Request;
use crate::live_data::spell::Format;
use crate::live_data::{filter, pack};

/// A record of the definition as an array: its members in order, and how many of them must be there.
pub(super) struct Shape {
    /// The members' names.
    pub(super) members: &'static [&'static str],
    /// So many of them must be there.
    pub(super) required: usize,
}

impl Request<'_> {
    /// The body's JSON text. A body that is empty is an object without members.
    fn text(&self) -> Result<std::borrow::Cow<'_, str>> {
        use std::borrow::Cow;
        match self.content {
            _ if self.body.is_empty() => Ok(Cow::Borrowed("{}")),
            Format::Json => std::str::from_utf8(self.body)
                .map(Cow::Borrowed)
                .map_err(|_| Error::invalid("the body is not UTF-8; send JSON, or name its Content-Type")),
            Format::MessagePack => pack::to_json(self.body)
                .map(Cow::Owned)
                .map_err(|wrong| Error::invalid(body_not_frame(&wrong.message))),
        }
    }

    /// The body as any JSON.
    pub(super) fn value(&self) -> Result<Value> {
        self.json()
    }

    /// The body as the type that the endpoint takes.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let text = self.text()?;
        if pack::is_too_deep(&text) {
            let limit = pack::MAX_DEPTH;
            return Err(Error::invalid(format!("the body nests deeper than {limit}; send a flatter one")));
        }
        serde_json::from_str(&text).map_err(|error| unfit(&error))
    }

    /// The same, where the body may be an array of its members in order.
    pub(super) fn positional<T: DeserializeOwned>(&self, shape: &Shape) -> Result<T> {
        let named = shape.named(self.value()?)?;
        serde_json::from_value(named).map_err(|error| unfit(&error))
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.query(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Error::invalid(format!("{name} takes a whole number from 0 on"))
                .with(Detail::Field(name.to_owned()))
        })
    }

    /// Names separated by commas.
    fn names(&self, name: &str) -> Option<Vec<String>> {
        self.query(name).map(listed)
    }

    /// Which members the query asks for.
    pub(super) fn projection(&self) -> Projection {
        filter::projection(self.names("select_fields"), self.names("exclude_fields"))
    }

    /// Fails if the request wants to be part of a transaction.
    pub(super) fn refuse_transaction(&self) -> Result<()> {
        match self.query("transaction_id") {
            Some(_) => Err(Error::new(
                Code::Unimplemented,
                "transactions are not built; leave transaction_id out, or send a batch",
            )),
            None => Ok(()),
        }
    }
}

/// Names separated by commas.
pub(super) fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn body_not_frame(message: &str) -> String {
    message
        .replace("the frame is not MessagePack of this dialect", "the body is not MessagePack")
        .replace("follow the message; send one message a frame", "follow the body's value; send one value")
        .replace("; send one map with string keys", "; send one value whose maps have string keys")
}

pub(super) fn unfit(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    Error::invalid(format!("the body does not fit: {what}; see the reference of this endpoint"))
}

impl Shape {
    /// An array as an object; an object stays as it is.
    pub(super) fn named(&self, value: Value) -> Result<Value> {
        let Value::Array(items) = value else { return Ok(value) };
        if !(self.required..=self.members.len()).contains(&items.len()) {
            return Err(self.wrong_arity(items.len()));
        }
        let members = self.members.iter().map(|name| (*name).to_owned());
        Ok(Value::Object(members.zip(items).collect::<Map<_, _>>()))
    }

    fn wrong_arity(&self, found: usize) -> Error {
        let (most, names) = (self.members.len(), self.members.join(", "));
        let count =
            if self.required == most { format!("{most}") } else { format!("{} to {most}", self.required) };
        Error::invalid(format!("an array has {found} elements where {count} are wanted: {names}"))
    }
}
