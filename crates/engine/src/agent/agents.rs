//! The agents that a server answers with.

use std::sync::Arc;

use super::{Agent, Tool};
use crate::error::{Detail, Error, Result};

/// The agents that a server answers with: the first one, and others that chats and messages may ask for by name.
///
/// ```
/// # use std::sync::Arc;
/// # use tidewire_engine::agent::{Agent, Agents, Events, Turn};
/// # struct Named(&'static str);
/// # #[async_trait::async_trait]
/// # impl Agent for Named {
/// #     fn name(&self) -> &str { self.0 }
/// #     async fn run(&self, _: Turn, _: Events) {}
/// # }
/// let agents = Agents::new(Arc::new(Named("explorer"))).with(Arc::new(Named("assistant")));
/// assert_eq!(agents.find(None).unwrap().name(), "explorer");
/// assert_eq!(agents.find(Some("assistant")).unwrap().name(), "assistant");
/// let error = agents.find(Some("cook")).err().unwrap();
/// assert_eq!(&*error.message, "there is no agent \"cook\"; there are explorer, assistant");
/// ```
#[derive(Clone)]
pub struct Agents {
    first: Arc<dyn Agent>,
    others: Vec<Arc<dyn Agent>>,
}

impl Agents {
    /// One that answers whatever nobody asks another one for.
    pub fn new(first: Arc<dyn Agent>) -> Self {
        Self { first, others: Vec::new() }
    }

    /// The same with one more, which is asked for by its name. Of two with one name the first counts.
    #[must_use]
    pub fn with(mut self, other: Arc<dyn Agent>) -> Self {
        self.others.push(other);
        self
    }

    /// The agent of this name; `None` is the first one.
    ///
    /// # Errors
    /// `Invalid` with the names that there are.
    pub fn find(&self, name: Option<&str>) -> Result<Arc<dyn Agent>> {
        let Some(name) = name else { return Ok(self.first()) };
        self.iter().find(|agent| agent.name() == name).cloned().ok_or_else(|| self.unknown(name))
    }

    /// The first one.
    pub fn first(&self) -> Arc<dyn Agent> {
        Arc::clone(&self.first)
    }

    /// The tools that they have now; of two with one name the first.
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let mut all = self.first.tools().to_vec();
        for tool in self.others.iter().flat_map(|agent| agent.tools().to_vec()) {
            if !all.iter().any(|known| known.definition().name == tool.definition().name) {
                all.push(tool);
            }
        }
        all
    }

    /// Their names, the first one's first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|agent| agent.name())
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<dyn Agent>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<_> = self.names().collect();
        Error::invalid(format!("there is no agent {name:?}; there are {}", known.join(", ")))
            .with(Detail::Field("agent".into()))
    }
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
