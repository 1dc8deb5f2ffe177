//! Providers: models over the network, by `genai`.
//!
//! The library speaks each provider's protocol; here lies what it leaves to us: which provider a name means, where its
//! key comes from, that only whole calls are executed, that streams of cumulative text become deltas, and which of
//! our errors a failure is. Dropping an answer drops its request, which closes its connection (HTTP/1.1) or resets its
//! stream (HTTP/2).

mod answer;
mod cumulative;
mod failure;
mod request;
mod target;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use genai::chat::ChatOptions;
use genai::{Client, ServiceTarget};

use self::answer::Answer;
use self::failure::Blame;
use super::choose::ProviderSettings;
use super::{Model, ModelStream, Request};
use crate::error::{Error, Result};

/// A model over the network.
pub struct Provider {
    /// `openai/gpt-5-mini`.
    name: String,
    client: Client,
    target: ServiceTarget,
    blame: Arc<Blame>,
    context_window: Option<u64>,
    options: ChatOptions,
}

impl Provider {
    /// A provider and its model, `openai/gpt-5-mini`. Nothing is sent before the first request.
    ///
    /// # Errors
    /// `Invalid`, with the sentence that says what to change: a provider that is not known and has no address, a key
    /// that is not set, an address that is none.
    pub fn new(name: &str, settings: &ProviderSettings) -> Result<Self> {
        let (target, blame) = target::resolve(name, settings, |variable| std::env::var(variable).ok())?;
        let client = Client::builder().build().map_err(Error::internal)?;
        let options = ChatOptions::default()
            .with_capture_usage(true)
            .with_capture_tool_calls(true)
            .with_stream_header_timeout(settings.begin_timeout)
            .with_stream_read_timeout(settings.silence_timeout);
        let (name, context_window) = (name.to_owned(), settings.context_window);
        Ok(Self { name, client, target, blame: Arc::new(blame), context_window, options })
    }

    fn options(&self, request: &Request) -> ChatOptions {
        let mut options = self.options.clone();
        options.max_tokens = request.max_tokens;
        options.temperature = request.temperature;
        options
    }
}

#[async_trait]
impl Model for Provider {
    fn name(&self) -> &str {
        &self.name
    }

    fn context_window(&self) -> Option<u64> {
        self.context_window
    }

    async fn stream(&self, request: Request) -> Result<ModelStream> {
        let options = self.options(&request);
        let estimate = request::estimated_tokens(&request);
        let asked = request::chat(request);
        let response = self.client.exec_chat_stream(self.target.clone(), asked, Some(&options)).await;
        let response = response.map_err(|error| self.blame.judge(error))?;
        let answer = Answer::new(response.stream, Arc::clone(&self.blame), estimate, self.context_window);
        Ok(stream::unfold(answer, Answer::next).boxed())
    }
}

#[cfg(test)]
mod tests;
