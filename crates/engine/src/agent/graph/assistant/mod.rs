//! The assistant: the graph behind the chat service.
//!
//! ```text
//! routing_split ─┬─ documents ─► rewrite ─► retrieve ─┬─ found ───────────────────────────► rerank ─┐
//!                │                                    └─ nothing ─► dynamic_retrieve ─ found ─┘     │
//!                │                                                        └─ nothing ─┐             │
//!                ├─ tools ───────────────────────────────────────────────► tool_routing ◄───────────┘
//!                │                                                           │   ▲
//!                │                                                         calls │
//!                │                                                           ▼   │
//!                │                                                          run_tool
//!                │                    tool_routing ─► combine_context ─► doc_to_sources ─► generate_answer ─► end
//!                ├─ explore ──► explore ─► end
//!                └─ talk ─────► generate_answer
//! ```
//!
//! Each node is a struct of this module, so that an application can put one of its own in its place with
//! [`Graph::replace`] and still use the others.

mod documents;
mod generate;
mod rewrite;
mod route;
mod tools;

use std::sync::Arc;
use std::time::Duration;

pub use documents::{CombineContext, DocToSources, Rerank, Retrieve};
pub use generate::GenerateAnswer;
pub use rewrite::Rewrite;
pub use route::RoutingSplit;
pub use tools::{RunTool, ToolRouting};

use super::{Budget, Condition, END, Edge, Graph, GraphAgent, Node, Route};
use crate::agent::explorer::Explorer;
use crate::agent::retrieval::{Breadth, Retriever};
use crate::agent::run_loop::Limits;
use crate::agent::{SharedRecords, ToolSet};
use crate::error::Result;
use crate::model::{Embedder, Model};

/// How long the question may take to be rewritten.
const REWRITE: Duration = Duration::from_secs(10);
/// How long one search may take.
const SEARCH: Duration = Duration::from_secs(10);
/// How long everything may take that comes before there are passages.
const RETRIEVAL: Duration = Duration::from_secs(15);
/// What is said when there was no time or no way to look.
const NOT_SEARCHED: &str =
    "I could not look into the documents this time, so what follows does not rest on them.";

/// What the assistant works with.
#[derive(Clone)]
pub struct Means {
    /// Who phrases where nobody asks for another one.
    pub model: Arc<dyn Model>,
    /// What it reads, in the name of whoever asks.
    pub records: SharedRecords,
    /// What turns questions into vectors, if anything does.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Who answers questions about the catalogue and about records.
    pub explorer: Explorer,
    /// What can be called beside the explorer's own tools: the application's tools and those of other programs.
    pub tools: ToolSet,
    /// How long and how much.
    pub limits: Limits,
}

/// The assistant as an agent named `assistant`.
///
/// # Errors
/// None with the graph as it is here; one that was changed is made an agent by [`GraphAgent::new`].
pub fn agent(means: &Means) -> Result<GraphAgent> {
    let agent = GraphAgent::new(graph(means), Arc::clone(&means.model))?;
    Ok(agent.with_tools(means.all_tools()).with_limits(means.limits))
}

impl Means {
    /// Its own tools and the explorer's.
    pub fn all_tools(&self) -> ToolSet {
        let mut all = self.explorer.tool_set().clone();
        all.add_source(Arc::new(self.tools.clone()));
        all
    }
}

/// The assistant's graph.
pub fn graph(means: &Means) -> Graph {
    Graph {
        name: String::from("assistant"),
        entry: String::from("routing_split"),
        nodes: nodes(means),
        edges: edges(),
        steers: true,
    }
}

fn nodes(means: &Means) -> Vec<Node> {
    let retriever = Retriever::new(Arc::clone(&means.records), means.embedder.clone());
    let retrieve = |breadth| Retrieve::new(retriever.clone(), breadth);
    let retrieval = || Budget { name: String::from("retrieval"), time: RETRIEVAL };
    let tools = &means.tools;
    vec![
        Node::new("routing_split", RoutingSplit::new(means)).within(SEARCH),
        Node::new("rewrite", Rewrite).within(REWRITE).sharing(retrieval()).or_go_on(""),
        Node::new("retrieve", retrieve(Breadth::Narrow))
            .within(SEARCH)
            .sharing(retrieval())
            .or_go_on(NOT_SEARCHED),
        Node::new("dynamic_retrieve", retrieve(Breadth::Wide))
            .within(SEARCH)
            .sharing(retrieval())
            .or_go_on(NOT_SEARCHED),
        Node::new("rerank", Rerank).within(SEARCH),
        Node::new("tool_routing", ToolRouting::new(tools.clone())),
        Node::new("run_tool", RunTool::new(tools.clone())),
        Node::new("combine_context", CombineContext).within(SEARCH),
        Node::new("doc_to_sources", DocToSources).within(SEARCH),
        Node::new("generate_answer", GenerateAnswer::new(means)),
        Node::new("explore", means.explorer.clone()),
    ]
}

fn edges() -> Vec<Edge> {
    use Condition::{Always, Calls, Found, WentWithout};
    let route = Condition::Route;
    vec![
        Edge::new("routing_split", "generate_answer", route(Route::Talk)),
        Edge::new("routing_split", "tool_routing", route(Route::Tools)),
        Edge::new("routing_split", "explore", route(Route::Explore)),
        Edge::new("routing_split", "rewrite", Always),
        Edge::new("rewrite", "retrieve", Always),
        Edge::new("retrieve", "rerank", Found),
        Edge::new("retrieve", "tool_routing", WentWithout),
        Edge::new("retrieve", "dynamic_retrieve", Always),
        Edge::new("dynamic_retrieve", "rerank", Found),
        Edge::new("dynamic_retrieve", "tool_routing", Always),
        Edge::new("rerank", "tool_routing", Always),
        Edge::new("tool_routing", "run_tool", Calls),
        Edge::new("tool_routing", "combine_context", Always),
        Edge::new("run_tool", "tool_routing", Always),
        Edge::new("combine_context", "doc_to_sources", Always),
        Edge::new("doc_to_sources", "generate_answer", Always),
        Edge::new("generate_answer", END, Always),
        Edge::new("explore", END, Always),
    ]
}
