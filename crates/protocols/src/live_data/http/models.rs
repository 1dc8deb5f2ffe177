//! Models and tools that are asked without a chat.

use std::time::Instant;

use serde_json::{Value, json};
use tidewire_engine::{Code, Command, Detail, Error, Event, Reply, Result};

use super::{Call, Next, Request, Started, Style, sse, step};
use crate::live_data::ask;
use crate::live_data::{spell, wire};

/// Providers that clients know, whether or not one of their models is configured.
const PROVIDERS: [&str; 4] = ["openai", "anthropic", "perplexity", "gemini"];

/// `GET /api/chat_models`
pub(super) fn list(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(Command::ListModels, move |reply| match reply {
        Reply::Models(models) => style.json(&spell::models(&models)),
        other => Err(ask::unexpected(&"the models", &other)),
    })
}

/// `GET /api/chat_models/{provider}`
pub(super) fn list_of(request: &Request<'_>) -> Started {
    let (style, provider) = (Style::of(request), request.param("provider"));
    step(Command::ListModels, move |reply| match reply {
        Reply::Models(models) => {
            let own = models.into_iter().filter(|model| model.provider == provider);
            let names: wire::Names = own.map(|model| model.name).collect();
            if names.is_empty() && !PROVIDERS.contains(&provider.as_str()) {
                return Err(Error::not_found("there is no such provider; GET /api/chat_models lists them"));
            }
            style.json(&names)
        }
        other => Err(ask::unexpected(&"the models", &other)),
    })
}

/// `GET /api/chat/tools`
pub(super) fn tools(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(Command::ListTools, move |reply| match reply {
        Reply::Tools(tools) => {
            let spec = |tool: tidewire_engine::model::ToolDefinition| wire::ToolSpec {
                name: tool.name,
                description: Some(tool.description),
                parameters: Some(tool.parameters),
            };
            style.json(&tools.into_iter().map(spec).collect::<wire::ToolSpecs>())
        }
        other => Err(ask::unexpected(&"the tools", &other)),
    })
}

/// `POST /api/chat/tools/execute`
pub(super) fn execute_tool(request: &Request<'_>) -> Started {
    let wanted: wire::ToolRequest = request.json()?;
    let arguments = wanted.params.filter(|params| !params.is_null()).unwrap_or_else(|| json!({}));
    Ok(Box::new(ToolCall { call: Some((wanted.tool, arguments)), style: Style::of(request) }))
}

/// A call of a tool. What the tool could not do is an answer too: clients take 404 for an endpoint that is not there.
struct ToolCall {
    call: Option<(String, Value)>,
    style: Style,
}

impl Call for ToolCall {
    fn begin(&mut self) -> Result<Next> {
        let call = self.call.take();
        Ok(call.map_or(Next::End, |(name, arguments)| Next::Execute(Command::CallTool { name, arguments })))
    }

    fn reply(&mut self, reply: Result<Reply>, _now: Instant, _out: &mut Vec<u8>) -> Result<Next> {
        let done = match reply {
            Ok(Reply::ToolOutput(result)) => {
                wire::ToolReply { success: true, result: Some(result), error: None }
            }
            Ok(other) => return Err(ask::unexpected(&"a tool", &other)),
            Err(error) if is_the_tools(&error) => {
                wire::ToolReply { success: false, result: None, error: Some(error.message.into_owned()) }
            }
            Err(error) => return Err(error),
        };
        self.style.json(&done).map(Next::Answer)
    }
}

/// Whether the tool failed, and not the server or the asker's standing.
fn is_the_tools(error: &Error) -> bool {
    match error.code {
        Code::Invalid
        | Code::NotFound
        | Code::Conflict
        | Code::TooLarge
        | Code::Upstream
        | Code::Deadline => true,
        Code::Unauthenticated
        | Code::Forbidden
        | Code::RateLimited
        | Code::Cancelled
        | Code::Internal
        | Code::Unimplemented
        | Code::Unavailable
        | Code::Draining => matches!(error.detail, Detail::Tool(_)),
    }
}

/// `POST /api/embed`
pub(super) fn embed(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    let wanted: wire::EmbedRequest = request.json()?;
    let texts = match (wanted.text, wanted.texts) {
        (Some(text), None) => vec![text],
        (None, Some(texts)) if !texts.is_empty() => texts,
        (_, _) => return Err(Error::invalid("send either text, or texts with at least one")),
    };
    step(Command::Embed { texts, model: wanted.model }, move |reply| match reply {
        Reply::Embedded { vectors, model } => {
            let dimensions = vectors.first().map_or(0, Vec::len) as u64;
            let embeddings: Vec<Vec<f64>> =
                vectors.into_iter().map(|vector| vector.into_iter().map(f64::from).collect()).collect();
            style.json(&wire::EmbedReply { embeddings, model, dimensions })
        }
        other => Err(ask::unexpected(&"vectors", &other)),
    })
}

/// `POST /api/chat/complete`
pub(super) fn complete(request: &Request<'_>) -> Started {
    let style = Style::of(request);
    step(ask::complete(request.json()?, None)?, move |reply| match reply {
        Reply::Completed { content, .. } => style.json(&wire::Completion { content }),
        other => Err(ask::unexpected(&"a completion", &other)),
    })
}

/// A connection has one completion.
const STREAM: u64 = 1;

/// `POST /api/chat/complete/stream`
pub(super) fn stream(request: &Request<'_>) -> Started {
    Ok(Box::new(Completing { command: Some(ask::complete(request.json()?, Some(STREAM))?) }))
}

/// A completion as it is written.
struct Completing {
    command: Option<Command>,
}

impl Call for Completing {
    fn begin(&mut self) -> Result<Next> {
        Ok(self.command.take().map_or(Next::End, Next::Execute))
    }

    fn reply(&mut self, reply: Result<Reply>, _now: Instant, out: &mut Vec<u8>) -> Result<Next> {
        match reply? {
            Reply::Completed { content, .. } => {
                let end = wire::CompletionEvent { content: Some(content), ..Default::default() };
                sse::put_value(out, None, &end);
                Ok(Next::End)
            }
            other => Err(ask::unexpected(&"a completion", &other)),
        }
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<Next> {
        if let Event::Completion { text, .. } = event {
            let piece = wire::CompletionEvent { token: Some(text.clone()), ..Default::default() };
            sse::put_value(out, None, &piece);
        }
        Ok(Next::Listen)
    }
}
