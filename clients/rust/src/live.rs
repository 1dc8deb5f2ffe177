//! Subscriptions, chats and questions to models.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::call::Again;
use crate::chat::{ChatStream, Queue};
use crate::chat_feed::{Aim, ChatFeed, ChatPosition};
use crate::feed::Feed;
use crate::filter::Filter;
use crate::generated::wire::{self, ChatSend, ClientMessage, RawComplete, RegisterClientTools, ToolSpec};
use crate::pump::Control;
use crate::subscription::{Shared, Subscription};
use crate::{Client, Error, Result};

/// What a subscription is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubscribeOptions {
    /// Only records that fit before or after the change. Deletions are always told.
    pub filter: Option<Filter>,
    /// Since this offset; `None` is from now on.
    pub after_offset: Option<u64>,
}

/// # Subscriptions
impl Client {
    /// Tells of each change of a collection from now on.
    pub async fn subscribe(&self, collection: &str) -> Result<Subscription> {
        self.subscribe_with(collection, SubscribeOptions::default()).await
    }

    /// The same for records that fit.
    pub async fn subscribe_with_filter(&self, collection: &str, filter: Filter) -> Result<Subscription> {
        self.subscribe_with(collection, SubscribeOptions { filter: Some(filter), after_offset: None }).await
    }

    /// The same, beginning where an earlier subscription was; see [`Subscription::offset`].
    pub async fn subscribe_with(&self, collection: &str, options: SubscribeOptions) -> Result<Subscription> {
        let wish = wire::Subscribe {
            collection: collection.to_owned(),
            filter: options.filter.map(Filter::into_json),
            after_offset: options.after_offset,
            ..Default::default()
        };
        let (to, waiting) = mpsc::channel(self.buffer);
        let (shared, (opened, opening)) = (Arc::<Shared>::default(), oneshot::channel());
        let key = self.key();
        let claim = self.lanes.claim(collection);
        let control = claim.lane.control.clone();
        // Made before it is agreed to, so that giving up ends it.
        let mut subscription = Subscription {
            key,
            collection: collection.to_owned(),
            start: 0,
            offset: 0,
            gap: 0,
            ready: VecDeque::new(),
            waiting,
            shared: Arc::clone(&shared),
            control,
            claim,
        };
        let feed = Box::new(Feed::new(key, wish, to, shared, opened));
        subscription.start(feed);
        subscription.start = self.agreed(opening, || subscription.claim.lane.caller.end()).await?;
        subscription.offset = subscription.start;
        Ok(subscription)
    }

    /// Ends a subscription; dropping it does the same.
    pub fn unsubscribe(&self, subscription: Subscription) {
        drop(subscription);
    }

    async fn agreed<T>(
        &self,
        opening: oneshot::Receiver<Result<T>>,
        end: impl FnOnce() -> Error,
    ) -> Result<T> {
        let after = self.caller().timeout;
        match timeout(after, opening).await {
            Err(_) => Err(Error::Timeout { after }),
            Ok(Err(_)) => Err(end()),
            Ok(Ok(outcome)) => outcome,
        }
    }
}

/// # Chats
impl Client {
    /// Says something in a chat and gives what is answered. The chat is its 32 hex, or a name of your own, which opens
    /// one. An answer that goes on there is stopped first.
    ///
    /// # Errors
    /// [`Error::Invalid`] while the chat has another stream of this client.
    pub async fn chat_send(&self, chat_id: &str, message: impl Into<String>) -> Result<ChatStream> {
        let chat_id = chat_id.to_owned();
        self.chat_send_with(ChatSend { chat_id, message: message.into(), ..Default::default() }).await
    }

    /// The same with tools of this client, tools to agree to, or another model.
    pub async fn chat_send_with(&self, message: ChatSend) -> Result<ChatStream> {
        let (stream, feed) = self.stream(&message.chat_id, Aim::Answer(None));
        self.take(&stream, feed, false).await?;
        let accepted = self.ask(ClientMessage::ChatSend(message), Again::No).await?;
        if let Some(run) = accepted["run_id"].as_str() {
            let _ = stream.control.send(Control::Accepted { key: stream.key, run: run.to_owned() });
        }
        Ok(stream)
    }

    /// Tells of everything in a chat, also what others say: after a position, or from now on.
    pub async fn chat_follow(&self, chat_id: &str, after: Option<ChatPosition>) -> Result<ChatStream> {
        let (opened, opening) = oneshot::channel();
        let (stream, feed) = self.stream(chat_id, Aim::Follow);
        self.take(&stream, feed.opening(after, opened), true).await?;
        self.agreed(opening, || self.caller().end()).await?;
        Ok(stream)
    }

    fn stream(&self, chat: &str, aim: Aim) -> (ChatStream, ChatFeed) {
        let (key, queue) = (self.key(), Arc::<Queue>::default());
        let feed = ChatFeed::new(key, chat.to_owned(), aim, Arc::clone(&queue));
        let (caller, control) = (self.caller().clone(), self.lane.control.clone());
        (ChatStream { chat: chat.to_owned(), key, queue, caller, control }, feed)
    }

    async fn take(&self, stream: &ChatStream, feed: ChatFeed, asks: bool) -> Result<()> {
        let (taken, was_taken) = oneshot::channel();
        let follow = Control::Follow { feed: Box::new(feed), asks, taken };
        // Where the task has ended, its end of the answer is gone.
        let _ = stream.control.send(follow);
        was_taken.await.unwrap_or_else(|_| Err(self.caller().end()))
    }

    /// Stops a chat's answer; what was said is kept. False if there was none.
    pub async fn cancel_chat(&self, chat_id: &str) -> Result<bool> {
        let cancel = wire::CancelChat { chat_id: chat_id.to_owned() };
        let data = self.ask(ClientMessage::CancelChat(cancel), Again::Yes).await?;
        Ok(data["done"] == Value::Bool(true))
    }

    /// Lets a chat's agent use tools of this client, instead of those that were registered before. Their calls come as
    /// [`crate::ChatEvent::ToolCall`] in the chat's stream. They are registered again on each new connection.
    pub async fn register_client_tools(&self, chat_id: &str, tools: Vec<ToolSpec>) -> Result<()> {
        let tools = RegisterClientTools { chat_id: chat_id.to_owned(), tools };
        self.ask(ClientMessage::RegisterClientTools(tools.clone()), Again::Yes).await?;
        let _ = self.lane.control.send(Control::Tools(tools));
        Ok(())
    }

    /// Asks a model once, without a chat. Any number may be asked at once.
    pub async fn raw_completion(&self, system_prompt: &str, message: &str) -> Result<String> {
        let (system_prompt, message) = (system_prompt.to_owned(), message.to_owned());
        self.raw_completion_with(RawComplete { system_prompt, message, ..Default::default() }).await
    }

    /// The same of another model, or with a limit.
    pub async fn raw_completion_with(&self, question: RawComplete) -> Result<String> {
        let caller = self.caller().within(self.model_timeout);
        let data = caller.ask(ClientMessage::RawComplete(question), Again::No).await?;
        let content = data["content"].as_str().map(str::to_owned);
        content.ok_or_else(|| Error::shape("the server's answer has no content"))
    }
}
