//! What is asked of models and tools directly, without a chat: completions, embeddings, and the server's tools in the
//! asker's name.

use std::sync::Arc;

use serde_json::Value;

use crate::agent;
use crate::command::Reply;
use crate::connection::Connection;
use crate::engine::Core;
use crate::error::{Code, Detail, Error, Result};
use crate::identity::Identity;
use crate::model::{Embedder, Message, Request, Status};

/// The most texts that are embedded at once.
const TEXTS_MAX: usize = 256;
/// The most bytes that they have together.
const TEXTS_BYTES_MAX: usize = 1024 * 1024;

/// What a model is asked once.
pub(crate) struct Question {
    pub(crate) system: String,
    pub(crate) message: String,
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    /// Under which number the text is delivered while it grows.
    pub(crate) stream: Option<u64>,
}

/// `Complete`. Dropping the future stops the model, so an asker that goes away costs nothing more.
pub(crate) async fn complete(core: &Core, connection: &Connection, question: Question) -> Result<Reply> {
    let Question { system, message, model, max_tokens, stream } = question;
    if message.trim().is_empty() {
        return Err(field("message", "there is nothing to answer; send a message with some text"));
    }
    let model = core.models.find(model.as_deref())?;
    let request =
        Request { system, messages: vec![Message::User(message)], max_tokens, ..Request::default() };
    let said = async |text: String| {
        if let Some(stream) = stream {
            connection.push_completion(stream, text).await;
        }
    };
    let (content, usage) = agent::complete(&*model, request, &core.settings.direct, said).await?;
    Ok(Reply::Completed { content, usage })
}

/// `Embed`.
pub(crate) async fn embed(core: &Core, texts: Vec<String>, model: Option<&str>) -> Result<Reply> {
    let embedder = ready(core.embedder.as_ref())?;
    if let Some(wanted) = model.filter(|wanted| *wanted != embedder.name()) {
        let known = embedder.name();
        return Err(field("model", format!("there is no embedding model {wanted:?}; there is {known}")));
    }
    check_texts(&texts)?;
    let model = embedder.name().to_owned();
    Ok(Reply::Embedded { vectors: embedder.embed(texts).await?, model })
}

fn ready(embedder: Option<&Arc<dyn Embedder>>) -> Result<&Arc<dyn Embedder>> {
    let embedder = embedder.ok_or_else(|| {
        Error::unavailable("this server has no embedding model; run one that was built with embedded models")
    })?;
    match embedder.status() {
        Status::Ready => Ok(embedder),
        Status::Loading => Err(Error::unavailable("the embedding model is loading; ask again in a moment")),
        Status::Missing(why) | Status::Failed(why) => {
            Err(Error::unavailable(format!("the embedding model cannot be asked: {why}")))
        }
    }
}

fn check_texts(texts: &[String]) -> Result<()> {
    if texts.is_empty() || texts.len() > TEXTS_MAX {
        return Err(field("texts", format!("1 to {TEXTS_MAX} texts are embedded at once")));
    }
    if texts.iter().map(String::len).sum::<usize>() > TEXTS_BYTES_MAX {
        return Err(Error::new(
            Code::TooLarge,
            format!("the texts have together at most {TEXTS_BYTES_MAX} bytes; send fewer at once"),
        ));
    }
    Ok(())
}

/// `ListTools`.
pub(crate) fn tools(core: &Core) -> Reply {
    Reply::Tools(core.agents.tools().iter().map(|tool| tool.definition().clone()).collect())
}

/// `CallTool`.
pub(crate) async fn call_tool(
    core: &Core,
    identity: &Identity,
    name: &str,
    arguments: Value,
) -> Result<Reply> {
    let tools = core.agents.tools();
    agent::call_tool(&tools, name, arguments, identity, &core.settings.direct).await.map(Reply::ToolOutput)
}

fn field(name: &str, why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid(why).with(Detail::Field(name.to_owned()))
}
