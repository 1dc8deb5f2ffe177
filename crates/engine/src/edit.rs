//! The words for changing records.

use std::time::Duration;

use serde_json::Value;

use crate::id::RecordId;
use crate::query::{Body, Record};

/// One change that a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// A new record; a conflict if the id is taken.
    Insert {
        /// The client's own id, or `None` for one of ours.
        id: Option<RecordId>,
        /// Its members, without the id.
        body: Body,
        /// When it goes by itself.
        ttl: Option<Ttl>,
    },
    /// These members change, the others stay; not found if there is no such record.
    Update {
        /// Which record.
        id: RecordId,
        /// The members that change.
        body: Body,
        /// A new time to live; `None` leaves it as it is.
        ttl: Option<Ttl>,
    },
    /// Members change by what they are, all or none; not found if there is no such record.
    Act {
        /// Which record.
        id: RecordId,
        /// In this order, at least one.
        actions: Vec<FieldAction>,
    },
    /// The record goes; not found if there is no such record.
    Delete {
        /// Which record.
        id: RecordId,
    },
}

/// When a record goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    /// So long after it was written.
    pub after: Duration,
    /// Reading it by its id starts the time anew.
    pub renewed_by_access: bool,
}

/// One member that changes by what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldAction {
    /// The member's name; dots lead into nested records.
    pub field: String,
    /// How.
    pub action: Action,
    /// With what; `None` for actions that need nothing.
    pub value: Option<Value>,
}

/// How a member changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A number grows by the value.
    Increment,
    /// A number shrinks by the value.
    Decrement,
    /// A number times the value.
    Multiply,
    /// A number by the value, which is not 0.
    Divide,
    /// The remainder of a number by the value, which is not 0.
    Modulo,
    /// The value becomes an array's last element.
    Push,
    /// The value becomes an array's first element.
    Unshift,
    /// An array loses its last element.
    Pop,
    /// An array loses its first element.
    Shift,
    /// An array loses all elements that equal the value.
    Remove,
    /// A text is prolonged by the value.
    Append,
    /// A member becomes its type's zero: `0`, `""`, `[]`, `{}`, `false`.
    Clear,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::Increment,
        Self::Decrement,
        Self::Multiply,
        Self::Divide,
        Self::Modulo,
        Self::Push,
        Self::Unshift,
        Self::Pop,
        Self::Shift,
        Self::Remove,
        Self::Append,
        Self::Clear,
    ];

    /// Its name, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Increment => "increment",
            Self::Decrement => "decrement",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::Modulo => "modulo",
            Self::Push => "push",
            Self::Unshift => "unshift",
            Self::Pop => "pop",
            Self::Shift => "shift",
            Self::Remove => "remove",
            Self::Append => "append",
            Self::Clear => "clear",
        }
    }

    /// The action with this name in any case, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name().eq_ignore_ascii_case(name))
    }
}

/// What an [`Edit`] did: the record as it is now, or as it was when it was deleted.
pub type Edited = Record;

/// A pair of the key-value store.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValue {
    /// The key: 1 to 1024 bytes.
    pub key: String,
    /// Any JSON.
    pub value: Value,
}
