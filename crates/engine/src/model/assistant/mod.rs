//! The assistant: the model that needs no key, no network and, if need be, no model file.
//!
//! It is three things. A **router** decides what a question is about; it compares the question's embedding with those
//! of example questions, or counts telling words where there is no embedder. **Slots** finds the names of tables and
//! collections in the question, and with them a tool's arguments. **Render** puts a tool's result into words and
//! tables by code, so that every fact in an answer is the tool's. Only small talk goes to a language model, which here
//! is too small to be trusted with facts or tools.
//!
//! What may be spoken of comes with the request ([`Request::names`]); the assistant remembers nothing between requests.

mod examples;
mod query;
mod render;
mod route;
mod slots;
mod sort;
mod words;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use self::route::Router;
use self::slots::Mentions;
pub use self::sort::{Sorter, is_small_talk};
use super::{Embedder, Message, Model, ModelEvent, ModelStream, Request, Status, StopReason, ToolCall};
use crate::error::Result;
use crate::event::Usage;

/// What a question is about, and with that which tool answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Intent {
    /// `list_tables`.
    ListTables,
    /// `get_table_details`.
    TableDetails,
    /// `find_relationships`.
    Relationships,
    /// `search_columns`.
    SearchColumns,
    /// `get_lineage`.
    Lineage,
    /// `query_collection`.
    Query,
    /// No tool: small talk.
    Chat,
}

impl Intent {
    pub(crate) const ALL: [Self; 7] = [
        Self::ListTables,
        Self::TableDetails,
        Self::Relationships,
        Self::SearchColumns,
        Self::Lineage,
        Self::Query,
        Self::Chat,
    ];

    /// The tool's name; `None` for small talk.
    pub(crate) fn tool(self) -> Option<&'static str> {
        match self {
            Self::ListTables => Some("list_tables"),
            Self::TableDetails => Some("get_table_details"),
            Self::Relationships => Some("find_relationships"),
            Self::SearchColumns => Some("search_columns"),
            Self::Lineage => Some("get_lineage"),
            Self::Query => Some("query_collection"),
            Self::Chat => None,
        }
    }
}

/// The default model.
pub struct Assistant {
    router: Router,
    chat: Option<Arc<dyn Model>>,
}

impl Assistant {
    /// An assistant of code alone: routes by words, and says honestly that it cannot chat.
    pub fn new() -> Self {
        Self { router: Router::new(None), chat: None }
    }

    /// The same, with an embedder for routing and a model for small talk; each is used as soon as it is ready.
    pub fn with(embedder: Arc<dyn Embedder>, chat: Arc<dyn Model>) -> Self {
        Self { router: Router::new(Some(embedder)), chat: Some(chat) }
    }

    async fn answer(&self, request: Request) -> Result<ModelStream> {
        let results = render::results(&request.messages);
        if !results.is_empty() {
            return Ok(after_tools(&request, &results));
        }
        let question = last_question(&request.messages);
        let mentions = Mentions::find(question, &request.names);
        let intent = self.router.route(&mentions).await;
        match self.call(intent, question, &mentions, &request) {
            Move::Call(tool, arguments) => Ok(call(&request, &[(tool, arguments)])),
            Move::Say(text) => Ok(say(&text)),
            Move::Chat => self.chat(request).await,
        }
    }

    /// What to do about a question of this kind.
    fn call(&self, intent: Intent, question: &str, mentions: &Mentions<'_>, request: &Request) -> Move {
        let Some(tool) = intent.tool() else { return Move::Chat };
        if !request.tools.iter().any(|known| known.name == tool) {
            return Move::Chat;
        }
        match slots::arguments(intent, question, mentions, request) {
            Some(arguments) => Move::Call(tool, arguments),
            None => Move::Say(slots::ask_back(intent)),
        }
    }

    async fn chat(&self, request: Request) -> Result<ModelStream> {
        match &self.chat {
            Some(model) if model.status() == Status::Ready => model.stream(request).await,
            Some(model) => Ok(say(&render::cannot_chat(&model.status()))),
            None => {
                Ok(say(&render::cannot_chat(&Status::Missing(String::from("it is not part of this build")))))
            }
        }
    }
}

impl Default for Assistant {
    fn default() -> Self {
        Self::new()
    }
}

/// What the assistant does with a question.
enum Move {
    Call(&'static str, Value),
    Say(String),
    Chat,
}

#[async_trait]
impl Model for Assistant {
    fn name(&self) -> &str {
        "embedded"
    }

    fn context_window(&self) -> Option<u64> {
        self.chat.as_ref().and_then(|model| model.context_window())
    }

    fn writes_freely(&self) -> bool {
        false
    }

    fn status(&self) -> Status {
        let routing = self.router.status();
        let chatting = self.chat.as_ref().map_or(Status::Ready, |model| model.status());
        routing.worse(chatting)
    }

    async fn stream(&self, request: Request) -> Result<ModelStream> {
        self.answer(request).await
    }
}

/// Says what the tools found, or asks once more where one answer is not enough.
fn after_tools(request: &Request, results: &[render::ToolResult<'_>]) -> ModelStream {
    let question = last_question(&request.messages);
    let mentions = Mentions::find(question, &request.names);
    match other_side(&mentions, results) {
        Some(other) => call(request, &[("find_relationships", json!({"table_name": other}))]),
        None => say(&render::answer(question, &mentions, results)),
    }
}

/// "How is A related to B?" and A's own relationships do not name B: B's may show what both have in common.
fn other_side(mentions: &Mentions<'_>, results: &[render::ToolResult<'_>]) -> Option<String> {
    let [only] = results else { return None };
    if only.tool != "find_relationships" || only.is_error {
        return None;
    }
    let (_, other) = mentions.two_tables()?;
    let named = render::names_table(&only.value, &other);
    (!named && only.value.get("unknown_table").is_none()).then_some(other)
}

fn last_question(messages: &[Message]) -> &str {
    let question = messages.iter().rev().find_map(|message| match message {
        Message::User(text) => Some(text.as_str()),
        Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    question.unwrap_or_default()
}

fn call(request: &Request, calls: &[(&str, Value)]) -> ModelStream {
    let turn = request.messages.len();
    let calls = calls.iter().enumerate().map(|(at, (tool, arguments))| {
        let id = format!("call_{turn}_{at}");
        ModelEvent::Call(ToolCall { id, name: (*tool).to_owned(), arguments: arguments.clone() })
    });
    play(calls.collect(), StopReason::ToolCalls)
}

/// The text in deltas of a word each, as a model would say it.
fn say(text: &str) -> ModelStream {
    let deltas = text.split_inclusive([' ', '\n']).map(|word| ModelEvent::Text(word.to_owned()));
    play(deltas.collect(), StopReason::Finished)
}

/// What code says costs no tokens, and the usage says so.
fn play(mut events: Vec<ModelEvent>, reason: StopReason) -> ModelStream {
    events.extend([ModelEvent::Usage(Usage::default()), ModelEvent::End(reason)]);
    stream::iter(events.into_iter().map(Ok)).boxed()
}

#[cfg(test)]
pub(crate) mod tests;
