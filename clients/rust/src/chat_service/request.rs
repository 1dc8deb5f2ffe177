//! What can be asked.

use crate::generated::chat_service::wire::{
    ChatMessage, ChatOptions, ClientMessage, MessageRole, NewChat, Partials, ResumeChat, ToolSpec,
    WhileRunning,
};
use crate::{Error, Result};

/// A question that opens a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Question(NewChat);

impl Question {
    /// A question. `user_id` is the subject of the key; without keys any label.
    pub fn new(user_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self(NewChat {
            user_id: user_id.into(),
            messages: vec![said(MessageRole::User, content.into())],
            options: None,
            run_id: None,
            stream: None,
            partials: Some(Partials::Delta),
            while_running: None,
            tools: None,
        })
    }

    /// Puts what a user or the assistant said before the question, behind what was put there already.
    #[must_use]
    pub fn after(mut self, role: MessageRole, content: impl Into<String>) -> Self {
        let last = self.0.messages.len() - 1;
        self.0.messages.insert(last, said(role, content.into()));
        self
    }

    /// What the model is told before everything else.
    #[must_use]
    pub fn system(mut self, prompt: impl Into<String>) -> Self {
        self.0.messages.insert(0, said(MessageRole::System, prompt.into()));
        self
    }

    /// The chat's name, 1 to 128 of A-Z a-z 0-9 . _ -; else one is made.
    #[must_use]
    pub fn run_id(mut self, name: impl Into<String>) -> Self {
        self.0.run_id = Some(name.into());
        self
    }

    /// How the answer is to be given.
    #[must_use]
    pub fn options(mut self, options: ChatOptions) -> Self {
        self.0.options = Some(options);
        self
    }

    /// Tools that this client runs for the answer.
    #[must_use]
    pub fn tools(mut self, tools: Vec<ToolSpec>) -> Self {
        self.0.tools = Some(tools);
        self
    }

    /// The answer comes at once, when it is there.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.0.stream = Some(false);
        self
    }

    /// The request as it is sent, with a name; an error if the server would not take it.
    pub(super) fn finish(mut self, id: impl FnOnce() -> String) -> Result<NewChat> {
        let name = self.0.run_id.take().unwrap_or_else(id);
        check_name(&name)?;
        check(!self.0.user_id.is_empty() && self.0.user_id.len() <= 256, "user_id takes 1 to 256 bytes")?;
        self.0.messages.iter().try_for_each(|message| check_text(&message.content))?;
        check_options(self.0.options.as_ref())?;
        self.0.run_id = Some(name);
        check_size(&ClientMessage::NewChat(self.0.clone()))?;
        Ok(self.0)
    }
}

/// A wish to go on with a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume(ResumeChat);

impl Resume {
    /// Everything that was said in a chat, and what goes on in it.
    pub fn new(run_id: impl Into<String>) -> Self {
        Self(ResumeChat {
            run_id: run_id.into(),
            new_message: None,
            after_seq: None,
            epoch: None,
            options: None,
            user_id: None,
            stream: None,
            partials: Some(Partials::Delta),
            while_running: None,
            tools: None,
        })
    }

    /// Only what comes after a sequence number of an epoch.
    #[must_use]
    pub fn after(mut self, seq: u64, epoch: Option<u64>) -> Self {
        self.0.after_seq = Some(seq);
        self.0.epoch = epoch;
        self
    }

    /// Asks further. Without [`Self::after`] only the answer to it is told.
    #[must_use]
    pub fn ask(mut self, content: impl Into<String>) -> Self {
        self.0.new_message = Some(said(MessageRole::User, content.into()));
        self
    }

    /// What becomes of the question while another one is being answered; else it is refused.
    #[must_use]
    pub fn while_running(mut self, what: WhileRunning) -> Self {
        self.0.while_running = Some(what);
        self
    }

    /// How the answer is to be given.
    #[must_use]
    pub fn options(mut self, options: ChatOptions) -> Self {
        self.0.options = Some(options);
        self
    }

    /// Tools that this client runs for the answer.
    #[must_use]
    pub fn tools(mut self, tools: Vec<ToolSpec>) -> Self {
        self.0.tools = Some(tools);
        self
    }

    /// The answer comes at once, when it is there.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.0.stream = Some(false);
        self
    }

    /// The request as it is sent, its message with an id; an error if the server would not take it.
    pub(super) fn finish(mut self, id: impl FnOnce() -> String) -> Result<ResumeChat> {
        check_name(&self.0.run_id)?;
        if let Some(message) = &mut self.0.new_message {
            check_text(&message.content)?;
            message.id.get_or_insert_with(id);
        }
        check_options(self.0.options.as_ref())?;
        check_size(&ClientMessage::ResumeChat(self.0.clone()))?;
        Ok(self.0)
    }
}

fn said(role: MessageRole, content: String) -> ChatMessage {
    ChatMessage { id: None, role, content, timestamp: None }
}

fn check(fits: bool, sentence: &str) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::invalid(sentence)) }
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let clean = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let sentence = "the name of a chat takes 1 to 128 of the characters A-Z a-z 0-9 . _ -";
    check(clean && (1..=128).contains(&name.len()), sentence)
}

fn check_text(text: &str) -> Result<()> {
    check(!text.trim().is_empty(), "a message takes text that is not empty")
}

fn check_options(options: Option<&ChatOptions>) -> Result<()> {
    let Some(options) = options else { return Ok(()) };
    let within = |number: Option<u64>, most: u64| number.is_none_or(|number| (1..=most).contains(&number));
    check(within(options.max_context_items, 50), "max_context_items takes a whole number from 1 to 50")?;
    check(within(options.max_tokens, 131_072), "max_tokens takes a whole number from 1 to 131072")?;
    let warm = options.temperature.is_none_or(|temperature| (0.0..=2.0).contains(&temperature));
    check(warm, "temperature takes a number from 0 to 2")
}

fn check_size(message: &ClientMessage) -> Result<()> {
    check(message.encode().len() <= 1 << 20, "a request takes at most 1 MiB; send less")
}
