//! Calling tools: several at once, each alone with its deadline and its faults.
//!
//! Whatever a tool does, there is a result for the model: what it answered, or a sentence that says what went wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::task::JoinError;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::run_loop::{Cut, Limits, Said};
use super::{Tool, ToolContext, arguments, bounded};
use crate::error::{Code, Detail, Error, Result};
use crate::event::AgentEvent;
use crate::model::ToolCall;

/// What came of a call.
pub(super) struct Answered {
    /// What the tool answered.
    pub(super) result: Result<Value>,
    /// The same as JSON text, bounded.
    pub(super) content: String,
    duration: Duration,
}

/// The calls of one run.
pub(super) struct Calls<'a> {
    tools: &'a [Arc<dyn Tool>],
    context: ToolContext,
    limits: Limits,
    ids: BTreeSet<String>,
    /// What has been answered well, so that asking it again is noticed.
    answered: Vec<(String, Value)>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(tools: &'a [Arc<dyn Tool>], context: ToolContext, limits: Limits) -> Self {
        Self { tools, context, limits, ids: BTreeSet::new(), answered: Vec::new() }
    }

    /// The id that a call of the model's has in this run. Models count their calls anew in each round.
    pub(super) fn unique_id(&self, id: &str) -> String {
        let wanted = if id.is_empty() { "call" } else { id };
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut candidates = std::iter::once(wanted.to_owned()).chain(numbered);
        candidates.find(|id| !self.ids.contains(id)).unwrap_or_default()
    }

    /// The same, and no later call gets it.
    pub(super) fn take_id(&mut self, id: &str) -> String {
        let id = self.unique_id(id);
        self.ids.insert(id.clone());
        id
    }

    /// Makes the calls at the same time. Each is told as it begins and as it ends; the results are in the calls' order.
    pub(super) async fn make(&mut self, calls: &[ToolCall], said: &Said<'_>) -> Result<Vec<Answered>, Cut> {
        let mut running = FuturesUnordered::new();
        for (index, call) in calls.iter().enumerate() {
            said.send(begun(call)).await?;
            let prepared = self.prepare(call, &calls[..index]);
            let (context, limits) = (self.context.clone(), self.limits);
            running.push(async move { (index, run(prepared, context, limits).await) });
        }
        let mut answers: Vec<Option<Answered>> = calls.iter().map(|_| None).collect();
        while let Some((index, answered)) = running.next().await {
            said.send(ended(&calls[index], &answered)).await?;
            answers[index] = Some(answered);
        }
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        self.remember(calls, &answers);
        Ok(answers)
    }

    fn remember(&mut self, calls: &[ToolCall], answers: &[Answered]) {
        let well = calls.iter().zip(answers).filter(|(_, answered)| answered.result.is_ok());
        self.answered.extend(well.map(|(call, _)| (call.name.clone(), call.arguments.clone())));
    }

    /// The tool and its checked arguments, or why it is not called.
    fn prepare(&self, call: &ToolCall, before: &[ToolCall]) -> Result<(Arc<dyn Tool>, Value)> {
        let tool = self.tools.iter().find(|tool| tool.definition().name == call.name);
        let tool = tool.ok_or_else(|| self.unknown_tool(&call.name))?;
        if before.len() >= self.limits.calls_per_round {
            let most = self.limits.calls_per_round;
            return Err(Error::invalid(format!(
                "at most {most} calls are made at once; call again for the rest"
            )));
        }
        if self.is_repeated(call, before) {
            return Err(Error::new(
                Code::Conflict,
                "this call was already made with the same arguments; use its result, or call something else",
            ));
        }
        let arguments = arguments::check(&tool.definition().parameters, call.arguments.clone())?;
        Ok((Arc::clone(tool), arguments))
    }

    fn is_repeated(&self, call: &ToolCall, before: &[ToolCall]) -> bool {
        let same = |name: &str, arguments: &Value| name == call.name && *arguments == call.arguments;
        self.answered.iter().any(|(name, arguments)| same(name, arguments))
            || before.iter().any(|earlier| same(&earlier.name, &earlier.arguments))
    }

    fn unknown_tool(&self, name: &str) -> Error {
        let known: Vec<_> = self.tools.iter().map(|tool| tool.definition().name.as_str()).collect();
        Error::not_found(format!("there is no tool {name:?}; there are {}", known.join(", ")))
    }
}

fn begun(call: &ToolCall) -> AgentEvent {
    AgentEvent::ToolCall {
        call_id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    }
}

fn ended(call: &ToolCall, answered: &Answered) -> AgentEvent {
    AgentEvent::ToolResult {
        call_id: call.id.clone(),
        name: call.name.clone(),
        content: answered.content.clone(),
        error: answered.result.as_ref().err().map(|error| name_tool(error, &call.name)),
        duration: answered.duration,
    }
}

/// Readers are told which tool it was, unless the error has something better to say.
fn name_tool(error: &Error, tool: &str) -> Error {
    match error.detail {
        Detail::None => error.clone().with(Detail::Tool(tool.to_owned())),
        Detail::Field(_) | Detail::RetryAfter(_) | Detail::Timeout(_) | Detail::Tool(_) => error.clone(),
    }
}

async fn run(prepared: Result<(Arc<dyn Tool>, Value)>, context: ToolContext, limits: Limits) -> Answered {
    let began = Instant::now();
    let result = match prepared {
        Ok((tool, arguments)) => call(tool, context, arguments, limits.tool).await,
        Err(error) => Err(error),
    };
    let shown = match &result {
        Ok(value) => value.clone(),
        Err(error) => json!({"error": error.message}),
    };
    Answered { content: bounded::fit(&shown, limits.result_bytes), result, duration: began.elapsed() }
}

/// A tool runs in a task of its own: its panic is caught there, and dropping this future ends it.
async fn call(tool: Arc<dyn Tool>, context: ToolContext, arguments: Value, limit: Duration) -> Result<Value> {
    let name = tool.definition().name.clone();
    let work = async move { tool.call(&context, arguments).await }.in_current_span();
    match timeout(limit, AbortOnDropHandle::new(tokio::spawn(work))).await {
        Ok(Ok(result)) => result,
        Ok(Err(broken)) => Err(panicked(&name, broken)),
        Err(_) => Err(too_slow(&name, limit)),
    }
}

fn panicked(name: &str, cause: JoinError) -> Error {
    tracing::error!(tool = name, error = %cause, "a tool panicked");
    let message = format!("the tool {name:?} failed; answer without it, or try it with other arguments");
    Error::new(Code::Internal, message).with(Detail::Tool(name.to_owned())).caused_by(cause)
}

fn too_slow(name: &str, limit: Duration) -> Error {
    let seconds = limit.as_secs_f64();
    let message = format!("the tool {name:?} took longer than {seconds} s and was ended; ask it for less");
    Error::new(Code::Deadline, message).with(Detail::Tool(name.to_owned()))
}
