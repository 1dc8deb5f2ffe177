//! Models and tools that are asked without a chat.

use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use super::round::{self, Patience};
use super::run_loop::Limits;
use super::{Tool, ToolContext, arguments, calls};
use crate::error::{Code, Error, Result};
use crate::event::Usage;
use crate::identity::Identity;
use crate::model::{Model, ModelEvent, Request, StopReason};

/// Asks a model once. `said` is handed each delta and is waited for, so a slow listener slows the model down.
///
/// Dropping the future stops the model at once. The request should name no tools; calls are not done.
pub async fn complete<F>(
    model: &dyn Model,
    request: Request,
    limits: &Limits,
    mut said: impl FnMut(String) -> F,
) -> Result<(String, Usage)>
where
    F: Future<Output = ()>,
{
    let mut patience = Patience::begin(limits);
    let mut stream = patience.wait(model.stream(request)).await??;
    let (mut text, mut usage) = (String::new(), Usage::default());
    let reason = loop {
        match round::next(&mut stream, &mut patience).await? {
            ModelEvent::Text(delta) => {
                text.push_str(&delta);
                check_size(&text, limits)?;
                said(delta).await;
            }
            ModelEvent::Usage(so_far) => usage = so_far,
            ModelEvent::End(reason) => break reason,
            ModelEvent::Queued { .. }
            | ModelEvent::Reasoning(_)
            | ModelEvent::CallProgress { .. }
            | ModelEvent::Call(_) => {}
        }
    };
    usage.context_window = usage.context_window.or(model.context_window());
    match reason {
        StopReason::Refused if text.is_empty() => Err(Error::new(
            Code::Forbidden,
            "the model's provider refused to answer this; ask in another way",
        )),
        _ if text.is_empty() => Err(Error::upstream("the model said nothing; ask again")),
        StopReason::Finished | StopReason::ToolCalls | StopReason::Length | StopReason::Refused => {
            Ok((text, usage))
        }
    }
}

fn check_size(text: &str, limits: &Limits) -> Result<()> {
    let most = limits.answer_bytes;
    if text.len() <= most {
        return Ok(());
    }
    let message = format!("the answer grew beyond {most} bytes and was ended; ask for less at once");
    Err(Error::new(Code::TooLarge, message))
}

/// Calls a tool in somebody's name, after its arguments were checked.
///
/// # Errors
/// `NotFound` with the names that there are, `Forbidden` for a tool whose calls a person must agree to, `Invalid` with
/// the argument that is wrong, or what the tool says.
pub async fn call_tool(
    tools: &[Arc<dyn Tool>],
    name: &str,
    arguments: Value,
    identity: &Identity,
    limits: &Limits,
) -> Result<Value> {
    let found = tools.iter().find(|tool| tool.definition().name == name);
    let tool = found.ok_or_else(|| unknown(name, tools))?;
    if tool.needs_approval() {
        return Err(Error::forbidden(format!(
            "a person must agree to each call of {name:?}; ask for it in a chat"
        )));
    }
    let arguments = arguments::check(&tool.definition().parameters, arguments)?;
    let context = ToolContext { chat: None, run: None, identity: identity.clone() };
    let limit = tool.limit().unwrap_or(limits.tool);
    calls::execute(Arc::clone(tool), context, arguments, limit).await
}

fn unknown(name: &str, tools: &[Arc<dyn Tool>]) -> Error {
    let known: Vec<_> = tools.iter().map(|tool| tool.definition().name.as_str()).collect();
    Error::not_found(format!("there is no tool {name:?}; there are {}", known.join(", ")))
}
