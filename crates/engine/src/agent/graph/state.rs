//! What a run through a graph knows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::agent::retrieval::Passage;
use crate::event::{Answer, Usage};
use crate::model::{Message, ToolCall};

/// So many bytes of a question are kept.
const MAX_QUESTION: usize = 16 * 1024;

/// What a run through a graph knows: nodes read and change it, edges decide by it. It is kept after each node, so that
/// another process can go on with it; the conversation itself is not in it, because the log has that.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// The question as it was asked, or the beginning of one that is longer than 16 KiB: it is kept after each node. The
    /// conversation has all of it.
    pub question: String,
    /// The question as it is looked for: understood without what was said before. Empty until somebody wrote it.
    pub search: String,
    /// Which way the question goes.
    pub route: Option<Route>,
    /// What was found, best first. From `doc_to_sources` on they are the sources: number `n` is cited as `[n]`.
    pub passages: Vec<Passage>,
    /// Whether retrieval was widened.
    pub widened: bool,
    /// What the model is told of the passages.
    pub context: String,
    /// Calls that wait to be made.
    pub calls: Vec<ToolCall>,
    /// What calls and their results added to the conversation, and what steered the run.
    pub messages: Vec<Message>,
    /// How many rounds of calls were made.
    pub rounds: usize,
    /// What was gone on without, a sentence each.
    pub without: Vec<String>,
    /// What the answer has beside its text.
    pub answer: Answer,
    /// What it cost so far.
    pub usage: Usage,
    /// What time budgets have been used.
    pub spent: BTreeMap<String, Duration>,
    /// How many messages that steered the run were read.
    pub steered: usize,
    /// What an application's own nodes keep.
    pub extra: Map<String, Value>,
}

/// Which way a question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// It wants no knowledge of ours.
    Talk,
    /// It wants none of the documents, and tools may help.
    Tools,
    /// The documents may answer it.
    Documents,
    /// It is about the catalogue or the records of collections.
    Explore,
}

impl State {
    /// As a run begins.
    pub fn new(question: &str) -> Self {
        let question = &question[..question.floor_char_boundary(MAX_QUESTION)];
        Self { question: question.to_owned(), ..Self::default() }
    }

    /// What is looked for: the question as it was rewritten, or as it was asked.
    pub fn wanted(&self) -> &str {
        if self.search.is_empty() { &self.question } else { &self.search }
    }
}
