//! Judges a definition: every problem at once, each with its place and what to do about it.
//!
//! [`WebSocketApi::check`] judges only what such a literal says by itself. [`Definition::check`] also resolves every
//! name and proves that messages can be told apart; it is required before anything is generated.

mod api;
mod fits;
mod messages;
mod policy;
mod recognition;
mod rest;
mod types;

use std::collections::HashSet;
use std::hash::Hash;

use crate::{Definition, RestApi, WebSocketApi};

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
struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a problem. Names come from the definition and may hold anything, so line breaks are escaped.
    fn add(&mut self, place: impl AsRef<str>, message: impl AsRef<str>) {
        let line = |text: &str| text.replace('\n', "\\n").replace('\r', "\\r");
        self.0.push(Problem { place: line(place.as_ref()), message: line(message.as_ref()) });
    }

    /// Notes a problem if something does not hold.
    fn require(&mut self, holds: bool, place: impl AsRef<str>, message: impl AsRef<str>) {
        if !holds {
            self.add(place, message);
        }
    }

    /// Notes everything that occurs twice.
    fn unique<T: Eq + Hash + std::fmt::Display>(
        &mut self,
        place: &str,
        what: &str,
        names: impl IntoIterator<Item = T>,
    ) {
        let mut seen = HashSet::new();
        for name in names {
            let shown = name.to_string();
            if !seen.insert(name) {
                self.add(place, format!("{what} `{shown}` occurs twice; rename or remove one"));
            }
        }
    }

    /// Nothing, or everything that was found, each once.
    fn finish(self) -> Result<(), Vec<Problem>> {
        let mut seen = HashSet::new();
        let all: Vec<Problem> = self.0.into_iter().filter(|p| seen.insert(p.to_string())).collect();
        if all.is_empty() { Ok(()) } else { Err(all) }
    }
}

impl WebSocketApi {
    /// Judges what the API says by itself: addresses, parameters, ids, and the order of messages. Types, and how
    /// messages are told apart, are not part of it.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        api::check(&mut problems, self);
        problems.finish()
    }
}

impl RestApi {
    /// Judges what the API says by itself: addresses, parameters, ids. Types are not part of it.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        rest::check(&mut problems, self);
        problems.finish()
    }
}

impl Definition {
    /// Whether a frame's body is of the type of a message as which the frame was recognised. The frame is written as
    /// in an [`crate::Example`]: as JSON, or for a raw binary message as a string with its bytes in base64.
    ///
    /// # Errors
    /// Where the body is not of the type, and why; or that there is no such message.
    pub fn body_fits(&self, message: &str, frame: &serde_json::Value) -> Result<(), String> {
        let mut schemas = self.websocket_endpoints().iter().flat_map(|e| e.lifecycle.messages());
        let schema = schemas.find(|schema| schema.id == message);
        let (Some(schema), Some(facts)) = (schema, self.find_message(message)) else {
            return Err(format!("no message has the id `{message}`"));
        };
        messages::body_fits(self, facts, &crate::Type::named(&schema.schema.type_name), frame)
    }

    /// Judges the whole definition. What it accepts can be generated.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        problems.require(!self.name.trim().is_empty(), "name", "the definition has no name; give it one");
        types::check(&mut problems, self);
        if let Some(api) = &self.rest {
            rest::check(&mut problems, api);
            rest::check_types(&mut problems, self, api);
        }
        if let Some(api) = &self.websocket {
            api::check(&mut problems, api);
        }
        messages::check(&mut problems, self);
        for endpoint in self.websocket_endpoints() {
            recognition::check(&mut problems, self, endpoint);
        }
        policy::check(&mut problems, self);
        problems.finish()
    }
}
