//! Judges a definition: every problem at once, each with its place and what to do about it.
//!
//! [`WebSocketApi::check`] judges only what such a literal says by itself. [`Definition::check`] also resolves every
//! name and proves that messages can be told apart; it is required before anything is generated.

use std::collections::HashSet;

use crate::{Definition, Type, WebSocketApi};

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is, from the outside in: `websocket.endpoints.Stream.path`
    pub place: String,
    /// What is wrong and what to do, in one line without a full stop
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { place: place.into(), message: message.into() });
    }

    /// Nothing, or everything that was found, each once.
    pub(crate) fn finish(self) -> Result<(), Vec<Problem>> {
        let mut seen = HashSet::new();
        let all: Vec<Problem> = self.0.into_iter().filter(|p| seen.insert(p.to_string())).collect();
        if all.is_empty() { Ok(()) } else { Err(all) }
    }
}

impl WebSocketApi {
    /// Judges what the API says by itself, without a type table.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        let mut ids = HashSet::new();
        for endpoint in &self.endpoints {
            if !ids.insert(&endpoint.id) {
                let place = format!("websocket.endpoints.{}", endpoint.id);
                problems.add(place, "another endpoint has the same id; give each its own");
            }
        }
        problems.finish()
    }
}

impl Definition {
    /// Judges the whole definition.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        if let Some(api) = &self.websocket
            && let Err(found) = api.check()
        {
            problems.0.extend(found);
        }
        for message in self.websocket_endpoints().iter().flat_map(|e| e.lifecycle.messages()) {
            let place = format!("websocket.messages.{}", message.id);
            self.require_type(&mut problems, &place, &message.schema.type_name);
            if self.find_message(&message.id).is_none() {
                problems.add(place, "no facts say how it is recognised; add an entry to `messages`");
            }
        }
        problems.finish()
    }

    /// Notes a name that the type table lacks.
    pub(crate) fn require_type(&self, problems: &mut Problems, place: &str, name: &str) {
        if self.find_type(name).is_none() {
            problems.add(place, format!("no type is named `{name}`; add it to `types` or correct the name"));
        }
    }

    /// Notes every name in a type that the type table lacks.
    #[allow(dead_code)]
    pub(crate) fn require_named(&self, problems: &mut Problems, place: &str, of: &Type) {
        match of {
            Type::Named(name) => self.require_type(problems, place, name),
            Type::Array(item) | Type::Map(item) => self.require_named(problems, place, item),
            Type::String
            | Type::Integer
            | Type::Unsigned
            | Type::Float
            | Type::Boolean
            | Type::Timestamp
            | Type::Bytes
            | Type::Json => {}
        }
    }
}
