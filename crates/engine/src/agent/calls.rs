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

use super::outside::Wait;
use super::run_loop::{Cut, Limits, Said};
use super::toolbox::{self, Doer, Toolbox};
use super::{Left, LeftCall, Outside, Tool, ToolContext, Turn, arguments, bounded};
use crate::error::{Code, Detail, Error, Result};
use crate::event::AgentEvent;
use crate::id::RunId;
use crate::identity::Subject;
use crate::model::{Message, ToolCall, ToolDefinition};

/// What came of a call.
pub(super) struct Answered {
    /// What the tool answered.
    pub(super) result: Result<Value>,
    /// The same as JSON text, bounded.
    pub(super) content: String,
    duration: Duration,
}

impl Answered {
    /// As the model is told of it.
    pub(super) fn told(self, call: &ToolCall) -> Message {
        Message::Tool {
            call_id: call.id.clone(),
            name: call.name.clone(),
            is_error: self.result.is_err(),
            content: self.content,
        }
    }

    /// What was answered to an earlier process.
    fn before(content: &str, error: Option<&Error>) -> Self {
        let result = match error {
            Some(error) => Err(error.clone()),
            None => Ok(serde_json::from_str(content).unwrap_or(Value::Null)),
        };
        Self { result, content: content.to_owned(), duration: Duration::ZERO }
    }
}

/// A call that is being made.
struct Task<'c> {
    call: &'c ToolCall,
    /// What an earlier process left of it.
    left: Option<&'c LeftCall>,
    /// Where it waits for the log before it is done.
    record: Option<Wait<'c, ()>>,
}

/// The calls of one run.
pub(super) struct Calls<'a> {
    toolbox: Toolbox<'a>,
    context: ToolContext,
    run: RunId,
    outside: &'a Outside,
    limits: Limits,
    /// Whether what is told goes into a log.
    is_kept: bool,
    /// What an earlier process left of them.
    left: Option<&'a Left>,
    ids: BTreeSet<String>,
    /// What has been answered well, so that asking it again is noticed.
    answered: Vec<(String, Value)>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(toolbox: Toolbox<'a>, context: ToolContext, turn: &'a Turn, limits: Limits) -> Self {
        let (run, outside, is_kept) = (turn.run, &*turn.outside, turn.is_kept);
        let left = turn.left.as_deref();
        let ids = left.map(Left::ids).unwrap_or_default();
        Self { toolbox, context, run, outside, limits, is_kept, left, ids, answered: Vec::new() }
    }

    /// Knows of the calls of earlier rounds, which are part of the conversation.
    pub(super) fn recall(&mut self, messages: &[Message]) {
        let failed = |id: &str| {
            let is_of = |message: &Message| matches!(message, Message::Tool { call_id, is_error: true, .. } if call_id == id);
            messages.iter().any(is_of)
        };
        for message in messages {
            let Message::Assistant { calls, .. } = message else { continue };
            for call in calls {
                self.ids.insert(call.id.clone());
                if !failed(&call.id) {
                    self.answered.push((call.name.clone(), call.arguments.clone()));
                }
            }
        }
    }

    /// The tools, as the model sees them.
    pub(super) fn definitions(&self) -> Arc<[ToolDefinition]> {
        self.toolbox.definitions()
    }

    /// The id that a call of the model's has in this run. Models count their calls anew in each round. A call about
    /// which somebody outside is asked has an id that no other run uses: an answer that comes late must not count for
    /// another run's call.
    pub(super) fn unique_id(&self, id: &str, tool: &str) -> String {
        let mut wanted = if id.is_empty() { String::from("call") } else { id.to_owned() };
        if self.toolbox.asks_outside(tool) {
            wanted = format!("{wanted}-{}", &self.run.to_string()[24..]);
        }
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut candidates = std::iter::once(wanted.clone()).chain(numbered);
        candidates.find(|id| !self.ids.contains(id)).unwrap_or_default()
    }

    /// The same, and no later call gets it.
    pub(super) fn take_id(&mut self, id: &str, tool: &str) -> String {
        let id = self.unique_id(id, tool);
        self.ids.insert(id.clone());
        id
    }

    /// Makes the calls at the same time. Each is told as it begins and as it ends; the results are in the calls' order.
    /// What an earlier process told of them is not told again, and what it has the result of is not done again.
    pub(super) async fn make(&mut self, calls: &[ToolCall], said: &Said<'_>) -> Result<Vec<Answered>, Cut> {
        let mut running = FuturesUnordered::new();
        let mut answers: Vec<Option<Answered>> = calls.iter().map(|_| None).collect();
        for (index, call) in calls.iter().enumerate() {
            let left = self.left.and_then(|left| left.call(&call.id));
            if let Some((content, error)) = left.and_then(|left| left.result.as_ref()) {
                answers[index] = Some(Answered::before(content, error.as_ref()));
                continue;
            }
            let prepared = self.prepare(call, &calls[..index]);
            let record = self.record(call, &prepared, left);
            if left.is_none() {
                said.send(begun(call)).await?;
            }
            let (this, task) = (&*self, Task { call, left, record });
            running.push(async move { (index, this.run(task, prepared, said).await) });
        }
        while let Some((index, answered)) = running.next().await {
            let answered = answered?;
            said.send(ended(&calls[index], &answered)).await?;
            answers[index] = Some(answered);
        }
        drop(running);
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        self.remember(calls, &answers);
        Ok(answers)
    }

    fn remember(&mut self, calls: &[ToolCall], answers: &[Answered]) {
        let well = calls.iter().zip(answers).filter(|(_, answered)| answered.result.is_ok());
        self.answered.extend(well.map(|(call, _)| (call.name.clone(), call.arguments.clone())));
    }

    /// The place where a call waits until it is in the log that it is made: one that must not be made twice is not
    /// made before.
    fn record<'c>(
        &'c self,
        call: &'c ToolCall,
        prepared: &Result<(Doer<'a>, Value)>,
        left: Option<&LeftCall>,
    ) -> Option<Wait<'c, ()>> {
        let once_only = matches!(prepared, Ok((Doer::Own(tool), _)) if !tool.idempotent());
        (self.is_kept && once_only && left.is_none()).then(|| self.outside.ask_for_call_record(&call.id))
    }

    /// Who does it, with the checked arguments, or why it is not done.
    fn prepare(&self, call: &ToolCall, before: &[ToolCall]) -> Result<(Doer<'a>, Value)> {
        let doer = self.toolbox.find(&call.name)?;
        if before.len() >= self.limits.calls_per_round {
            let most = self.limits.calls_per_round;
            return Err(Error::invalid(format!(
                "at most {most} calls are made at once; call again for the rest"
            )));
        }
        if self.is_repeated(call, before, &doer) {
            return Err(Error::new(
                Code::Conflict,
                "this call was already made with the same arguments; use its result, or call something else",
            ));
        }
        let arguments = arguments::check(doer.parameters(), call.arguments.clone())?;
        Ok((doer, arguments))
    }

    /// Most of our own tools answer the same question with the same answer.
    fn is_repeated(&self, call: &ToolCall, before: &[ToolCall], doer: &Doer<'_>) -> bool {
        let same = |name: &str, arguments: &Value| name == call.name && *arguments == call.arguments;
        let earlier_round =
            !doer.answers_anew() && self.answered.iter().any(|(name, arguments)| same(name, arguments));
        earlier_round || before.iter().any(|earlier| same(&earlier.name, &earlier.arguments))
    }

    async fn run(
        &self,
        task: Task<'_>,
        prepared: Result<(Doer<'a>, Value)>,
        said: &Said<'_>,
    ) -> Result<Answered, Cut> {
        let began = Instant::now();
        let result = match prepared {
            Ok((doer, arguments)) => self.perform(task, doer, arguments, said).await?,
            Err(error) => Err(error),
        };
        let shown = match &result {
            Ok(value) => value.clone(),
            Err(error) => json!({"error": error.message}),
        };
        let content = bounded::fit(&shown, self.limits.result_bytes);
        Ok(Answered { content, result, duration: began.elapsed() })
    }

    async fn perform(
        &self,
        task: Task<'_>,
        doer: Doer<'a>,
        arguments: Value,
        said: &Said<'_>,
    ) -> Result<Result<Value>, Cut> {
        let Task { call, left, record } = task;
        if let Some(record) = record
            && record.wait().await.is_none()
        {
            return Ok(Err(not_decided()));
        }
        let needs_agreement = matches!(doer, Doer::Confirmed(_));
        if let Doer::Own(tool) | Doer::Confirmed(tool) = &doer
            && left.is_some_and(|left| left.is_in_doubt(needs_agreement))
            && !tool.idempotent()
        {
            return Ok(Err(in_doubt()));
        }
        match doer {
            Doer::Own(tool) => Ok(self.do_it(tool, arguments).await),
            Doer::Confirmed(tool) => match self.agreement(call, left, &arguments, said).await? {
                Ok(agreed) => Ok(self.do_what_was_agreed(tool, arguments, &agreed).await),
                Err(refused) => Ok(Err(refused)),
            },
            Doer::Client(_) => self.ask_client(call, left, arguments, said).await,
        }
    }

    /// What was decided about a call before, or is decided now.
    async fn agreement(
        &self,
        call: &ToolCall,
        left: Option<&LeftCall>,
        arguments: &Value,
        said: &Said<'_>,
    ) -> Result<Result<String>, Cut> {
        match left.and_then(|left| left.decided.as_ref()) {
            Some((true, _)) => Ok(Ok(left.and_then(|left| left.asked.clone()).unwrap_or_default())),
            Some((false, by)) if *by == Subject::from(Subject::SYSTEM) => Ok(Err(not_decided())),
            Some((false, _)) => Ok(Err(refused())),
            None => self.ask_person(call, arguments, said).await,
        }
    }

    async fn do_it(&self, tool: &Arc<dyn Tool>, arguments: Value) -> Result<Value> {
        let limit = tool.limit().unwrap_or(self.limits.tool);
        execute(Arc::clone(tool), self.context.clone(), arguments, limit).await
    }

    /// Does a call whose digest was agreed to, and no other.
    async fn do_what_was_agreed(
        &self,
        tool: &Arc<dyn Tool>,
        arguments: Value,
        agreed: &str,
    ) -> Result<Value> {
        if toolbox::digest(&tool.definition().name, &arguments) != agreed {
            return Err(Error::new(Code::Conflict, "this is not the call that was agreed to; call again"));
        }
        self.do_it(tool, arguments).await
    }

    /// Asks a person whether a call may be done. Gives the digest of what was agreed to, once that is in the log.
    async fn ask_person(
        &self,
        call: &ToolCall,
        arguments: &Value,
        said: &Said<'_>,
    ) -> Result<Result<String>, Cut> {
        let digest = toolbox::digest(&call.name, arguments);
        let place = self.outside.ask_person(&call.id);
        let requested = AgentEvent::ApprovalRequested {
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments: arguments.clone(),
            digest: digest.clone(),
            expires_at: place.expires_at,
        };
        said.send(requested).await?;
        let decision = place.wait().await;
        let (approved, by) = match &decision {
            Some(decision) => (decision.approved, decision.by.clone()),
            None => (false, Subject::SYSTEM.into()),
        };
        let record = self.outside.ask_for_record(&call.id);
        said.send(AgentEvent::ApprovalResolved { call_id: call.id.clone(), approved, by }).await?;
        Ok(match (approved, decision) {
            (true, _) => record.wait().await.map(|()| digest).ok_or_else(not_decided),
            (false, Some(_)) => Err(refused()),
            (false, None) => Err(not_decided()),
        })
    }

    /// Asks the clients to do a call of a tool that one of them brought. A client that was asked before has the call
    /// already, and may have done it: it is not asked again, and its answer is waited for.
    async fn ask_client(
        &self,
        call: &ToolCall,
        left: Option<&LeftCall>,
        arguments: Value,
        said: &Said<'_>,
    ) -> Result<Result<Value>, Cut> {
        let place = self.outside.ask_client(&call.id);
        let requested = AgentEvent::ClientToolRequested {
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments,
            expires_at: place.expires_at,
        };
        if !left.is_some_and(|left| left.client) {
            said.send(requested).await?;
        }
        Ok(match place.wait().await {
            Some(Ok(result)) => Ok(result),
            Some(Err(why)) => Err(Error::upstream(why)),
            None => Err(no_client_answered(&call.name)),
        })
    }
}

fn refused() -> Error {
    Error::forbidden("a person refused this call; go on without it, and do not call it again")
}

fn in_doubt() -> Error {
    Error::unavailable("the server ended during this call, and it must not be made twice; go on without it")
}

fn not_decided() -> Error {
    Error::new(Code::Deadline, "nobody agreed to this call in time; go on without it")
}

fn no_client_answered(tool: &str) -> Error {
    Error::new(Code::Deadline, format!("the client did not answer for {tool:?} in time; go on without it"))
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

/// A tool runs in a task of its own: its panic is caught there, and dropping this future ends it.
pub(super) async fn execute(
    tool: Arc<dyn Tool>,
    context: ToolContext,
    arguments: Value,
    limit: Duration,
) -> Result<Value> {
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
