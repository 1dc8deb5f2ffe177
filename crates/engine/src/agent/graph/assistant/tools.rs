//! `tool_routing` and `run_tool`: which tools are wanted, and calling them.

use async_trait::async_trait;

use crate::agent::ToolSet;
use crate::agent::graph::{Stage, State, Work};
use crate::agent::{round, run_loop};
use crate::error::Result;
use crate::model::{Message, Request};

const INSTRUCTIONS: &str = "Decide whether one of your tools is needed to answer the last question. If so, call it, and \
     everything else that is needed, in one step and without any text. If not, or if what was found already suffices, \
     answer with the one word: none.";

/// Asks the model which tools it wants called.
///
/// Models that do not write freely are not asked. Calls are bounded by the limits' rounds, of which one is left for the
/// answer.
pub struct ToolRouting {
    tools: ToolSet,
}

impl ToolRouting {
    /// Among these tools and those that clients bring.
    pub fn new(tools: ToolSet) -> Self {
        Self { tools }
    }
}

#[async_trait]
impl Work for ToolRouting {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let (turn, limits) = (stage.turn(), stage.limits);
        let tools = self.tools.now();
        let mut calls = run_loop::calls_of(&tools, turn, limits);
        let definitions = calls.definitions();
        let rounds_left = run_loop::rounds_of(turn, &limits).saturating_sub(state.rounds + 1);
        if definitions.is_empty() || rounds_left == 0 || !stage.model().writes_freely() {
            return Ok(());
        }
        let steered = turn.steering.take().await;
        state.messages.extend(steered.into_iter().map(Message::User));
        calls.recall(&state.messages);
        let request = Request {
            system: instructions(stage, state),
            messages: turn.messages.iter().chain(&state.messages).cloned().collect(),
            tools: definitions,
            temperature: turn.wishes.temperature,
            ..Request::default()
        };
        let model = stage.model().clone();
        let chosen = round::choose(&*model, request, &limits, &stage.said, &mut calls).await;
        let (chosen, usage) = stage.cutting(chosen)?;
        stage.beside.add(usage);
        state.calls = chosen;
        Ok(())
    }
}

fn instructions(stage: &Stage<'_>, state: &State) -> String {
    let first = stage.turn().wishes.system.as_ref().map(|system| format!("{system}\n\n")).unwrap_or_default();
    let titles: Vec<&str> = state.passages.iter().map(|passage| passage.title.as_str()).collect();
    match titles.is_empty() {
        true => format!("{first}{INSTRUCTIONS}"),
        false => {
            let found = titles.join("; ");
            format!(
                "{first}{INSTRUCTIONS} Passages of these documents were found and will be at hand: {found}."
            )
        }
    }
}

/// Calls the tools that are wanted: several at once, each under its deadline, with the agreement that it needs.
///
/// After a restart what has a result is not called again, and what must not be called twice is not, whatever is known
/// of it.
pub struct RunTool {
    tools: ToolSet,
}

impl RunTool {
    /// Calls these tools, and asks clients for theirs.
    pub fn new(tools: ToolSet) -> Self {
        Self { tools }
    }
}

#[async_trait]
impl Work for RunTool {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        let tools = self.tools.now();
        let mut calls = run_loop::calls_of(&tools, stage.turn(), stage.limits);
        calls.recall(&state.messages);
        let answered = calls.make(&state.calls, &stage.said).await;
        let answered = stage.cutting(answered)?;
        let made = std::mem::take(&mut state.calls);
        let results: Vec<_> = made.iter().zip(answered).map(|(call, answered)| answered.told(call)).collect();
        state.messages.push(Message::Assistant { text: String::new(), calls: made });
        state.messages.extend(results);
        state.rounds += 1;
        Ok(())
    }
}
