//! The agent itself: what it tells the model, and what it makes of a run.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::timeout;

use super::canvas::Brought;
use super::catalog::{self, Catalog, TableType};
use super::vocabulary::Vocabulary;
use super::{canvas, picture, summary, tools, words};
use crate::agent::graph::{Condition, END, Edge, Graph, GraphAgent, Node, Stage, State, Work};
use crate::agent::run_loop::{Limits, Observer, Plan};
use crate::agent::{Agent, Events, Records, SharedRecords, Tool, ToolSet, ToolSource, Tools, Turn};
use crate::error::Result;
use crate::event::{AgentEvent, Answer, CatalogMetrics};
use crate::identity::Identity;
use crate::model::{Message, Model, Name, NameKind, ToolCall};

/// So many bytes of names go into the model's instructions; `list_tables` has them all.
const MAX_NAMES: usize = 8 * 1024;

/// Answers questions about the catalogue and about the records that the asker may read: a graph of one node.
#[derive(Clone)]
pub struct Explorer {
    model: Arc<dyn Model>,
    records: SharedRecords,
    vocabulary: Vocabulary,
    tools: ToolSet,
    limits: Limits,
}

impl Explorer {
    /// An explorer that phrases with `model` and reads `records`, with the usual limits.
    pub fn new(model: Arc<dyn Model>, records: SharedRecords) -> Self {
        let tools = ToolSet::new(tools::all(&records));
        let vocabulary = Vocabulary::new(Arc::clone(&records));
        Self { model, records, vocabulary, tools, limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with one more tool. Its name must not be one that is there already.
    #[must_use]
    pub fn with_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.add(tool);
        self
    }

    /// The same with the tools that a source has at each moment.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn ToolSource>) -> Self {
        self.tools.add_source(source);
        self
    }

    /// What the run works with. A catalogue that cannot be read now leaves the names out; the tools will say why.
    async fn plan(&self, identity: &Identity) -> Plan {
        let names = timeout(self.limits.tool, self.vocabulary.of(identity)).await;
        let names = names.map_or_else(|_| Arc::default(), |names| names.unwrap_or_else(|e| unreadable(&e)));
        let tools = self.tools.now();
        Plan {
            model: Arc::clone(&self.model),
            shown: Some(self.tools.shown(&tools)),
            tools,
            system: instructions(&names),
            names,
            limits: self.limits,
        }
    }

    /// The tools that it has.
    pub fn tool_set(&self) -> &ToolSet {
        &self.tools
    }

    /// The graph that it is.
    pub fn graph(&self) -> Graph {
        Graph {
            name: String::from("explorer"),
            entry: String::from("explore"),
            nodes: vec![Node::new("explore", self.clone())],
            edges: vec![Edge::new("explore", END, Condition::Always)],
            steers: true,
        }
    }
}

fn unreadable(error: &crate::error::Error) -> Arc<[Name]> {
    tracing::warn!(%error, "the catalogue's names could not be read");
    Arc::default()
}

#[async_trait]
impl Agent for Explorer {
    fn name(&self) -> &str {
        "explorer"
    }

    fn tools(&self) -> Tools {
        self.tools.now()
    }

    async fn run(&self, turn: Turn, events: Events) {
        let walking = GraphAgent::new(self.graph(), Arc::clone(&self.model))
            .map(|agent| agent.with_limits(self.limits));
        match walking {
            Ok(agent) => agent.run(turn, events).await,
            Err(error) => tracing::error!(%error, "the explorer's graph"),
        }
    }
}

/// As a node it says everything that it finds, and leaves in the state what the answer has beside its text.
#[async_trait]
impl Work for Explorer {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let turn = stage.turn();
        let plan = self.plan(&turn.identity).await;
        let mut guide = Guide::new(&*self.records, turn, self.limits);
        let messages = turn.messages.iter().chain(&state.messages).cloned().collect();
        stage.answer(&plan, messages, &mut guide).await?;
        state.answer = guide.complete(stage.text().to_owned()).await;
        Ok(())
    }
}

/// What the model is told of itself and of what there is.
fn instructions(names: &[Name]) -> String {
    let mut text = String::from(
        "You are the explorer of a data catalogue. You answer questions about its tables, columns, relationships and \
         lineage, and about the records of the collections.\n\
         - State only what tools have told you in this conversation. Never guess a table, a column or a number.\n\
         - Look things up before you answer; ask for everything that you need in as few steps as possible.\n\
         - If a tool names near matches, use the one that is clearly meant, or ask which one is.\n\
         - Answer in the language of the question, briefly, in Markdown. Write names of tables and columns as code.\n\
         - Draw no diagrams yourself: one is drawn beside your answer from find_relationships and get_table_details.\n",
    );
    text.push_str(&listed(names, NameKind::Table, "Tables"));
    text.push_str(&listed(names, NameKind::Collection, "Collections"));
    text
}

/// One line of names, as many as fit, saying how many did not.
fn listed(names: &[Name], kind: NameKind, title: &str) -> String {
    let names: Vec<_> =
        names.iter().filter(|name| name.kind == kind).map(|name| name.name.as_str()).collect();
    let mut room = MAX_NAMES;
    let fits = |name: &&&str| {
        room = room.saturating_sub(name.len() + 2);
        room > 0
    };
    let shown: Vec<_> = names.iter().take_while(fits).copied().collect();
    let mut text = format!("{title} ({}): {}", names.len(), shown.join(", "));
    if shown.len() < names.len() {
        _ = write!(text, " and {} more", names.len() - shown.len());
    }
    text + "\n"
}

/// Watches one run: draws what its tools found, and completes its answer.
struct Guide<'a> {
    records: &'a dyn Records,
    identity: &'a Identity,
    question: &'a str,
    limits: Limits,
    /// The tables that the run looked at, by full name.
    focus: Vec<String>,
    diagram: Option<String>,
    /// A tool told something about the catalogue.
    looked_up: bool,
    /// The tables were listed.
    listed: bool,
    schema: Option<String>,
}

impl<'a> Guide<'a> {
    fn new(records: &'a dyn Records, turn: &'a Turn, limits: Limits) -> Self {
        let question = turn.messages.iter().rev().find_map(|message| match message {
            Message::User(text) => Some(text.as_str()),
            Message::Assistant { .. } | Message::Tool { .. } => None,
        });
        Self {
            records,
            identity: &turn.identity,
            question: question.unwrap_or_default(),
            limits,
            focus: Vec::new(),
            diagram: None,
            looked_up: false,
            listed: false,
            schema: None,
        }
    }

    fn catalog(&self) -> Catalog<'_> {
        Catalog { records: self.records, identity: self.identity }
    }

    /// The table that a result is about, if it is one that a diagram shows.
    fn table_of<'r>(call: &ToolCall, result: &'r Value) -> Option<&'r str> {
        match call.name.as_str() {
            "find_relationships" => result["table"].as_str(),
            "get_table_details" if result["table_type"] != TableType::View.name() => {
                result["full_name"].as_str()
            }
            _ => None,
        }
    }

    /// Draws anew; what cannot be drawn leaves what there was.
    async fn draw(&mut self) -> Result<Option<AgentEvent>> {
        let drawn = picture::draw(&self.catalog(), &self.focus, self.question).await?;
        let Some(mermaid) = drawn.filter(|drawn| self.diagram.as_ref() != Some(drawn)) else {
            return Ok(None);
        };
        self.diagram = Some(mermaid.clone());
        Ok(Some(AgentEvent::Diagram { mermaid }))
    }

    /// What a finished run has to show. The figures are left out if they cannot be read in time.
    async fn complete(mut self, text: String) -> Answer {
        if self.wants_diagram(&text) {
            _ = timeout(self.limits.tool, self.draw_what_is_named(&text)).await;
        }
        let entity = self.focus.first().map(String::as_str);
        let brought = Brought { diagram: self.diagram.is_some(), tables: self.listed || !self.looked_up };
        let canvas = canvas::trigger(self.question, &text, entity, brought);
        let metrics = if self.looked_up || canvas.is_some() { self.metrics().await } else { None };
        Answer { text, diagram: self.diagram, canvas, metrics, ..Answer::default() }
    }

    /// An answer from memory has looked nothing up; it is drawn from the names in it.
    fn wants_diagram(&self, text: &str) -> bool {
        let asked = match canvas::wish(self.question) {
            canvas::Wish::Relations => true,
            canvas::Wish::Nothing => canvas::speaks_of_a_star(text),
            canvas::Wish::Tables => false,
        };
        asked && self.diagram.is_none()
    }

    async fn draw_what_is_named(&mut self, text: &str) -> Result<()> {
        let tables = self.catalog().tables().await?;
        let written = |c: char| c.is_alphanumeric() || c == '_';
        let text: BTreeSet<_> = text.split(|c| !written(c)).collect();
        let exact = |table: &&catalog::Table| table.name.contains('_') && text.contains(&*table.name);
        let named = words::mentioned(&tables, self.question).into_iter().chain(tables.iter().filter(exact));
        self.focus.extend(named.map(|table| table.full_name.clone()));
        self.draw().await.map(|_| ())
    }

    async fn metrics(&self) -> Option<CatalogMetrics> {
        let metrics = summary::metrics(self.records, self.identity, self.schema.as_deref());
        timeout(self.limits.tool, metrics).await.ok()?.ok().filter(|metrics| metrics.total_tables > 0)
    }
}

#[async_trait]
impl Observer for Guide<'_> {
    async fn answered(&mut self, call: &ToolCall, result: &Value) -> Vec<AgentEvent> {
        self.looked_up |= call.name != "query_collection";
        if call.name == "list_tables" && result["tables"].is_array() {
            self.listed = true;
            self.schema = call.arguments["schema"].as_str().map(str::to_owned);
        }
        let Some(table) =
            Self::table_of(call, result).filter(|table| !self.focus.iter().any(|known| known == table))
        else {
            return Vec::new();
        };
        self.focus.push(table.to_owned());
        self.draw().await.unwrap_or_default().into_iter().collect()
    }
}
