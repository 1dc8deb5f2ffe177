//! Closures as tools.

use std::future::Future;
use std::sync::Arc;

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
