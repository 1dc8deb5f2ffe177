//! A request as the engine takes it.

use serde_json::{Value, json};
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::{Beginning, RetrievalWish, Role, RunOptions, Said, ToolAnswer};
use tidewire_engine::model::ToolDefinition;

use super::check;
use super::wire;

/// Messages that wait in one chat while an answer is being given, for who wants to wait.
const QUEUE: usize = 20;
/// What the founding document gives an answer, and a search, if nothing is said.
const MAX_TOKENS: u32 = 1000;
const PASSAGES: u32 = 5;

/// What a client says about how it is to be answered.
pub(super) struct Manner {
    pub(super) stream: Option<bool>,
    pub(super) partials: Option<wire::Partials>,
    pub(super) while_running: Option<wire::WhileRunning>,
    pub(super) options: Option<wire::ChatOptions>,
    pub(super) tools: Option<Vec<wire::ToolSpec>>,
}

impl Manner {
    /// What becomes of the question while another one is being answered.
    pub(super) fn while_running(&self) -> WhileRunning {
        match self.while_running {
            Some(wire::WhileRunning::Queue) => WhileRunning::Queue(QUEUE),
            Some(wire::WhileRunning::Interrupt) => WhileRunning::Interrupt,
            Some(wire::WhileRunning::Steer) => WhileRunning::Steer(QUEUE),
            Some(wire::WhileRunning::Reject | wire::WhileRunning::Unknown(_)) | None => WhileRunning::Reject,
        }
    }

    /// Whether sources are told.
    pub(super) fn sources(&self) -> bool {
        self.options.as_ref().and_then(|options| options.include_source_info).unwrap_or(true)
    }

    /// How the run is to be led.
    pub(super) fn into_options(self, beginning: Option<Beginning>) -> RunOptions {
        let sources = self.sources();
        let given = self.options.unwrap_or_default();
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        RunOptions {
            tools: tools(self.tools.unwrap_or_default()),
            confirm: given.confirm.unwrap_or_default(),
            agent: given.agent,
            model: given.model_id,
            max_tokens: Some(given.max_tokens.map_or(MAX_TOKENS, small)),
            temperature: given.temperature,
            retrieval: RetrievalWish {
                // That documents may be looked through does not mean that the question needs them.
                enabled: (given.enhance_with_context == Some(false)).then_some(false),
                passages: Some(given.max_context_items.map_or(PASSAGES, small)),
                sources,
            },
            beginning,
            ..RunOptions::default()
        }
    }
}

fn tools(specs: Vec<wire::ToolSpec>) -> Vec<ToolDefinition> {
    let tool = |spec: wire::ToolSpec| ToolDefinition {
        name: spec.name,
        description: spec.description.unwrap_or_default(),
        parameters: spec
            .parameters
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    };
    specs.into_iter().map(tool).collect()
}

/// The question, and what was said before it. Its parts were checked: there is at least one message.
pub(super) fn split(mut messages: Vec<wire::ChatMessage>) -> (String, Option<Beginning>) {
    let question = messages.pop().map(|message| message.content).unwrap_or_default();
    let mut beginning = Beginning::default();
    for message in messages {
        match message.role {
            wire::MessageRole::System => {
                let prompt = beginning.system_prompt.get_or_insert_default();
                if !prompt.is_empty() {
                    prompt.push_str("\n\n");
                }
                prompt.push_str(&message.content);
            }
            wire::MessageRole::Assistant => beginning.messages.push(said(Role::Assistant, message)),
            wire::MessageRole::User | wire::MessageRole::Unknown(_) => {
                beginning.messages.push(said(Role::User, message));
            }
        }
    }
    (question, (beginning != Beginning::default()).then_some(beginning))
}

fn said(role: Role, message: wire::ChatMessage) -> Said {
    Said { role, content: message.content, at: message.timestamp.as_ref().and_then(check::time) }
}

/// What a client's tool did.
pub(super) fn answer(result: Option<Value>, error: Option<String>, working: Option<bool>) -> ToolAnswer {
    match (error, working) {
        (Some(error), _) => ToolAnswer::Failed(error),
        (None, Some(true)) => ToolAnswer::Working,
        (None, _) => ToolAnswer::Result(result.unwrap_or(Value::Null)),
    }
}
