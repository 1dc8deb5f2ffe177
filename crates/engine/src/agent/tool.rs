//! Closures as tools, and what a tool declares of itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Tool, ToolContext};
use crate::error::Result;
use crate::model::ToolDefinition;

type Function = dyn Fn(ToolContext, Value) -> BoxFuture<'static, Result<Value>> + Send + Sync;

/// A tool that is a function.
struct FunctionTool {
    definition: ToolDefinition,
    function: Box<Function>,
}

/// Makes a tool of a function.
///
/// `parameters` is the JSON Schema of its arguments; the loop checks them before the function is called, so the
/// function sees what the schema promises and nothing else.
pub fn function<F, R>(name: &str, description: &str, parameters: Value, function: F) -> Arc<dyn Tool>
where
    F: Fn(ToolContext, Value) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value>> + Send + 'static,
{
    let definition =
        ToolDefinition { name: name.to_owned(), description: description.to_owned(), parameters };
    let function = Box::new(move |context, arguments| function(context, arguments).boxed());
    Arc::new(FunctionTool { definition, function })
}

#[async_trait]
impl Tool for FunctionTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<Value> {
        (self.function)(context.clone(), arguments).await
    }
}

/// What a tool says of itself beside its definition; see the methods of [`Tool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Declared {
    /// A person must agree to each call.
    pub needs_approval: bool,
    /// Doing a call twice leaves the world as doing it once.
    pub idempotent: bool,
    /// The same call may be answered otherwise a moment later.
    pub answers_anew: bool,
    /// How long a call may take, if not as long as the agent allows.
    pub limit: Option<Duration>,
}

/// The same tool, which says this of itself.
pub fn declared(tool: Arc<dyn Tool>, declared: Declared) -> Arc<dyn Tool> {
    Arc::new(DeclaredTool { tool, declared })
}

struct DeclaredTool {
    tool: Arc<dyn Tool>,
    declared: Declared,
}

#[async_trait]
impl Tool for DeclaredTool {
    fn definition(&self) -> &ToolDefinition {
        self.tool.definition()
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<Value> {
        self.tool.call(context, arguments).await
    }

    fn needs_approval(&self) -> bool {
        self.declared.needs_approval
    }

    fn idempotent(&self) -> bool {
        self.declared.idempotent
    }

    fn answers_anew(&self) -> bool {
        self.declared.answers_anew
    }

    fn limit(&self) -> Option<Duration> {
        self.declared.limit
    }
}
