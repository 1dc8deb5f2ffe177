//! One tool of a server, as agents call it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::ServiceError;
use rmcp::model::{CallToolRequestParams, CallToolResponse};
use serde_json::Value;
use tokio::time::timeout;

use super::answer;
use super::keeper::{Line, Server};
use super::listing::Offer;
use crate::agent::{Tool, ToolContext};
use crate::error::{Error, Result};
use crate::model::ToolDefinition;

/// After so many calls in a row without an answer, a server is started anew.
const UNANSWERED_MAX: u32 = 3;
/// Our own limit of a call comes before the agent's, because its sentence says more.
const MARGIN: Duration = Duration::from_secs(2);

/// How soon its keeper knows how a server has ended.
const NEWS: Duration = Duration::from_secs(1);

struct McpTool {
    server: Arc<Server>,
    offer: Arc<Offer>,
}

/// The tools that a server has now, or had when it was last there.
pub(super) fn of(server: &Arc<Server>) -> Vec<Arc<dyn Tool>> {
    let tool = |offer: Arc<Offer>| Arc::new(McpTool { server: Arc::clone(server), offer }) as Arc<dyn Tool>;
    server.offers().into_iter().map(tool).collect()
}

#[async_trait]
impl Tool for McpTool {
    fn definition(&self) -> &ToolDefinition {
        &self.offer.definition
    }

    async fn call(&self, _: &ToolContext, arguments: Value) -> Result<Value> {
        let line = self.server.line(&self.offer)?;
        let Value::Object(arguments) = arguments else {
            return Err(Error::invalid("the arguments must be an object"));
        };
        let params = CallToolRequestParams::new(self.offer.name.clone()).with_arguments(arguments);
        // Dropping the question, at the limit or when the run is stopped, tells the server to cancel.
        let answered = timeout(self.server.settings.call_limit, line.peer.call_tool_once(params));
        tokio::select! {
            biased;
            answered = answered => self.judge(&line, answered.ok()).await,
            () = line.gone.cancelled() => Err(self.server.gone_in_mid_call()),
        }
    }

    fn needs_approval(&self) -> bool {
        self.offer.needs_approval
    }

    fn idempotent(&self) -> bool {
        self.offer.idempotent
    }

    fn answers_anew(&self) -> bool {
        true // we do not know what it reads
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.server.settings.call_limit + MARGIN)
    }
}

impl McpTool {
    async fn judge(
        &self,
        line: &Line,
        answered: Option<Result<CallToolResponse, ServiceError>>,
    ) -> Result<Value> {
        let settings = &self.server.settings;
        let Some(answered) = answered else {
            if line.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= UNANSWERED_MAX {
                line.broken.cancel();
            }
            return Err(answer::late(&settings.name, settings.call_limit.as_secs_f64()));
        };
        line.unanswered.store(0, Ordering::Relaxed);
        match answered {
            Ok(response) => answer::read(&settings.name, &self.offer, response),
            Err(error) if is_gone(&error) && timeout(NEWS, line.gone.cancelled()).await.is_ok() => {
                Err(self.server.gone_in_mid_call())
            }
            Err(error) => Err(answer::refused(&settings.name, &self.offer, error)),
        }
    }
}

fn is_gone(error: &ServiceError) -> bool {
    matches!(error, ServiceError::TransportClosed | ServiceError::TransportSend(_))
}
