//! The nodes between a question and its passages: `retrieve` and `dynamic_retrieve`, `rerank`, `combine_context`,
//! `doc_to_sources`.

use std::fmt::Write;

use async_trait::async_trait;

use crate::agent::graph::{Stage, State, Work};
use crate::agent::retrieval::{self, Breadth, MAX_SOURCES, Passage, Retriever};
use crate::error::Result;
use crate::event::AgentEvent;

/// So many passages are given to the model unless somebody wishes otherwise.
const PASSAGES: usize = 5;
/// The most that are, whatever somebody wishes.
const PASSAGES_MAX: usize = 20;

/// Looks for passages, in the name of whoever asks.
pub struct Retrieve {
    retriever: Retriever,
    breadth: Breadth,
}

impl Retrieve {
    /// With this retriever, so broadly.
    pub fn new(retriever: Retriever, breadth: Breadth) -> Self {
        Self { retriever, breadth }
    }
}

#[async_trait]
impl Work for Retrieve {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let found = self.retriever.retrieve(stage.identity(), state.wanted(), self.breadth).await?;
        state.passages = found;
        state.widened |= self.breadth == Breadth::Wide;
        Ok(())
    }
}

/// Keeps the passages that fit best, and none twice.
pub struct Rerank;

#[async_trait]
impl Work for Rerank {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let wish = stage.turn().wishes.retrieval.passages;
        let most = wish.map_or(PASSAGES, |most| usize::try_from(most).unwrap_or(PASSAGES_MAX));
        let passages = std::mem::take(&mut state.passages);
        state.passages = retrieval::rerank(state.wanted(), passages, most.clamp(1, PASSAGES_MAX));
        Ok(())
    }
}

/// Numbers the passages for the model.
pub struct CombineContext;

#[async_trait]
impl Work for CombineContext {
    async fn enter(&self, _stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        state.context = combine(&state.passages);
        Ok(())
    }
}

/// The passages under their numbers, together no longer than the sources may be.
fn combine(passages: &[Passage]) -> String {
    let mut context = String::new();
    for (number, passage) in (1..).zip(passages) {
        let Passage { title, section, text, .. } = passage;
        let place = section.as_ref().map(|section| format!(", {section}")).unwrap_or_default();
        if context.len() + text.len() > MAX_SOURCES {
            break;
        }
        _ = write!(context, "[{number}] {title}{place}\n{}\n\n", text.trim());
    }
    context
}

/// Tells the sources, if they are wished for.
pub struct DocToSources;

#[async_trait]
impl Work for DocToSources {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let sources = retrieval::sources(state.wanted(), &state.passages);
        let told_before = stage.left().is_some_and(|left| left.sources);
        let count = sources.len();
        if stage.turn().wishes.retrieval.sources && count > 0 && !told_before {
            stage.tell(AgentEvent::Sources(sources)).await?;
        }
        state.passages.truncate(count);
        Ok(())
    }
}
