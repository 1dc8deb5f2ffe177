//! `routing_split`: does the question want documents, tools, the catalogue, or nothing at all?

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::timeout;

use super::Means;
use crate::agent::explorer::Vocabulary;
use crate::agent::graph::{Route, Stage, State, Work};
use crate::agent::{SharedRecords, ToolSet};
use crate::error::Result;
use crate::model::assistant::{Sorter, is_small_talk};
use crate::model::{Name, NameKind};

/// Decides which way a question goes.
///
/// What the asker wishes comes first. Small talk wants nothing. A question that names tables or collections, or asks of
/// tables and columns where there are some, goes to the explorer. Else the documents are asked, if there are any that
/// the asker may read.
pub struct RoutingSplit {
    records: SharedRecords,
    vocabulary: Vocabulary,
    tools: ToolSet,
    sorter: Sorter,
    patience: std::time::Duration,
}

impl RoutingSplit {
    /// With the assistant's means.
    pub fn new(means: &Means) -> Self {
        Self {
            records: Arc::clone(&means.records),
            vocabulary: Vocabulary::new(Arc::clone(&means.records)),
            tools: means.tools.clone(),
            sorter: Sorter::new(means.embedder.clone()),
            patience: means.limits.tool,
        }
    }

    async fn route(&self, stage: &Stage<'_>, question: &str) -> Result<Route> {
        let wish = stage.turn().wishes.retrieval.enabled;
        if wish == Some(true) {
            return Ok(Route::Documents);
        }
        if is_small_talk(question) {
            return Ok(Route::Talk);
        }
        let documents = self.records.documents(stage.identity()).await?;
        let names = self.names(stage, &documents).await;
        if self.sorter.is_about_data(question, &names).await {
            return Ok(Route::Explore);
        }
        if wish.is_none() && !documents.is_empty() {
            return Ok(Route::Documents);
        }
        Ok(self.without_documents(stage, &names))
    }

    /// What the asker may speak of, documents apart. If that cannot be read now, it is nothing.
    async fn names(&self, stage: &Stage<'_>, documents: &[String]) -> Vec<Name> {
        let names = timeout(self.patience, self.vocabulary.of(stage.identity())).await;
        let mut names = names.ok().and_then(Result::ok).unwrap_or_default().to_vec();
        let is_ours = |name: &str| name.starts_with('_') || documents.iter().any(|known| known == name);
        names.retain(|name| name.kind != NameKind::Collection || !is_ours(&name.name));
        names
    }

    /// A model that only routes and renders has the explorer say what there is.
    fn without_documents(&self, stage: &Stage<'_>, names: &[Name]) -> Route {
        let writes_freely = stage.model().writes_freely();
        let has_tools = !stage.turn().wishes.client_tools.is_empty() || !self.tools.now().is_empty();
        match (writes_freely, has_tools) {
            (true, true) => Route::Tools,
            (false, _) if !names.is_empty() => Route::Explore,
            (true, false) | (false, _) => Route::Talk,
        }
    }
}

#[async_trait]
impl Work for RoutingSplit {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let route = self.route(stage, &state.question).await?;
        state.route = Some(route);
        Ok(())
    }
}
