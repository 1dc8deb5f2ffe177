//! A connection as generated clients hold it: its phase is a type, and what goes wrong is told by the call.
//!
//! A [`Conversation`] is about the logical session. As long as the policy restores the session, a reconnect is silent;
//! where it cannot, calls give [`Failure::Disconnected`] with what was not sent. Which messages may be said in which
//! phase is the business of generated code.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use crate::connection::lock;
use crate::{
    Blank, Connection, Ending, Error, ErrorKind, Expect, Handled, Handlers, Incoming, Options, Replies,
    SendError, Sender, Session, State,
};

/// The phase before the opening message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {}

/// The phase in which the session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {}

/// The phase after the closing message; the server may still have something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {}

/// The half of a conversation that sends, when the messages of the server are read elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detached;

/// What can go wrong in a conversation, and what comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<Out> {
    /// The message was not accepted; the conversation goes on
    Rejected {
        /// The message
        message: Box<Out>,
        /// Why
        error: Box<Error>,
    },
    /// Something went wrong that ends nothing: a frame that fits no message, a reply that did not come
    Error(Box<Error>),
    /// The link was lost and is being restored silently, but these messages are not sent again: nobody knows
    /// whether they arrived
    Interrupted {
        /// Why
        cause: Box<Ending>,
        /// The messages, in order
        unsent: Vec<Out>,
    },
    /// The session is over
    Disconnected {
        /// Why
        ending: Box<Ending>,
        /// What was not sent, in order
        unsent: Vec<Out>,
    },
}

impl<Out> Failure<Out> {
    /// What was not sent, in order.
    pub fn into_unsent(self) -> Vec<Out> {
        match self {
            Self::Rejected { message, .. } => vec![*message],
            Self::Error(_) => Vec::new(),
            Self::Interrupted { unsent, .. } | Self::Disconnected { unsent, .. } => unsent,
        }
    }
}

impl<Out> From<Error> for Failure<Out> {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl<Out> fmt::Display for Failure<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { error, .. } | Self::Error(error) => error.fmt(f),
            Self::Interrupted { cause, unsent } => {
                write!(f, "the link was lost with {} unsent messages: {cause}", unsent.len())
            }
            Self::Disconnected { ending, unsent } => {
                write!(f, "the session is over with {} unsent messages: {ending}", unsent.len())
            }
        }
    }
}

impl<Out: fmt::Debug> std::error::Error for Failure<Out> {}

/// A step to the next phase that failed. The client is as it was, for what it has still to read and for reconnecting.
pub struct Interrupted<Client, Out> {
    /// The client
    pub client: Box<Client>,
    /// What went wrong, with what was not sent
    pub failure: Failure<Out>,
}

impl<Client, Out> Interrupted<Client, Out> {
    /// The same about a client that is made from this one.
    pub fn map<Other>(self, make: impl FnOnce(Client) -> Other) -> Interrupted<Other, Out> {
        Interrupted { client: Box::new(make(*self.client)), failure: self.failure }
    }
}

impl<Client, Out> fmt::Debug for Interrupted<Client, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupted").field("failure", &self.failure.to_string()).finish_non_exhaustive()
    }
}

impl<Client, Out> fmt::Display for Interrupted<Client, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<Client, Out> std::error::Error for Interrupted<Client, Out> {}

type Dial<S> = Arc<dyn Fn(&Options) -> Connection<S> + Send + Sync>;

/// A conversation in a phase. `Half` says who hears: [`Incoming`] its owner, [`Handled`] callbacks, [`Detached`] others.
pub struct Conversation<S: Session, Phase, Half> {
    sender: Sender<S>,
    half: Half,
    dial: Dial<S>,
    options: Options,
    /// Messages that may be said once, and were
    said: Arc<Mutex<BTreeSet<&'static str>>>,
    phase: PhantomData<fn() -> Phase>,
}

impl<S: Session, Phase> Conversation<S, Phase, Incoming<S>> {
    /// Opens a connection and waits until it stands.
    pub async fn dial(
        options: Options,
        dial: impl Fn(&Options) -> Connection<S> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::dialled(options, Arc::new(dial)).await
    }

    async fn dialled(options: Options, dial: Dial<S>) -> Result<Self, Error> {
        let (sender, events) = dial(&options).split();
        sender.opened().await?;
        let half = Incoming::new(events);
        Ok(Self { sender, half, dial, options, said: Arc::default(), phase: PhantomData })
    }

    /// Opens a new connection in the first phase. What this one has still to read is dropped.
    pub async fn reconnect<First>(self) -> Result<Conversation<S, First, Incoming<S>>, Error> {
        let Self { options, dial, .. } = self;
        Conversation::dialled(options, dial).await
    }

    /// The next message of the server, or what went wrong; `None` when everything is said.
    pub async fn next(&mut self) -> Option<Result<S::In, Failure<S::Out>>> {
        self.half.next().await
    }

    /// The half that sends and the half that hears; the connection lives as long as one of them.
    pub fn split(self) -> (Conversation<S, Phase, Detached>, Incoming<S>) {
        self.with(|incoming| (Detached, incoming))
    }

    /// Hands what the server says to callbacks, in a task of its own.
    pub fn handle(self, handlers: Handlers<S::In, S::Out>) -> Conversation<S, Phase, Handled<S::Out>>
    where
        S::Out: Send,
    {
        self.with(|incoming| (Handled::new(incoming, handlers), ())).0
    }
}

impl<S: Session, Phase, Half> Conversation<S, Phase, Half> {
    fn with<Other, Rest>(
        self,
        change: impl FnOnce(Half) -> (Other, Rest),
    ) -> (Conversation<S, Phase, Other>, Rest) {
        let Self { sender, half, dial, options, said, .. } = self;
        let (half, rest) = change(half);
        (Conversation { sender, half, dial, options, said, phase: PhantomData }, rest)
    }

    fn in_phase<Next>(self) -> Conversation<S, Next, Half> {
        let Self { sender, half, dial, options, said, .. } = self;
        Conversation { sender, half, dial, options, said, phase: PhantomData }
    }

    /// Where the connection is.
    pub fn state(&self) -> State {
        self.sender.state()
    }

    /// Waits until everything that was queued counts as sent, or the connection is over.
    pub async fn flushed(&self) {
        self.sender.flushed().await;
    }

    /// Says the goodbye of the WebSocket protocol.
    pub fn disconnect(&self) {
        self.sender.close(1000, "");
    }

    /// A number that this conversation has not used yet, from 1.
    pub fn next_id(&self) -> u64 {
        self.options.next_id()
    }

    /// Writes the credential into a member that the caller has left empty.
    pub fn fill(&self, member: &mut impl Blank, env: &[&str]) {
        if let Some(credential) = self.options.credential_or_env(env) {
            member.fill(&credential);
        }
    }

    /// Queues a message, and waits for a place if the policy says so.
    pub async fn send(&self, message: S::Out) -> Result<(), Failure<S::Out>> {
        self.sender.send(message).await.map_err(|refused| self.failure(refused))
    }

    /// The same for a message that may be said only once.
    pub async fn send_once(&self, id: &'static str, message: S::Out) -> Result<(), Failure<S::Out>> {
        if !lock(&self.said).insert(id) {
            let error = Error::new(ErrorKind::Lifecycle, format!("Send {id} only once in a session"));
            return Err(Failure::Rejected { message: Box::new(message), error: Box::new(error) });
        }
        self.send(message).await
    }

    fn failure(&self, refused: SendError<S::Out>) -> Failure<S::Out> {
        let SendError { message, error } = refused;
        if error.kind != ErrorKind::Closed {
            return Failure::Rejected { message: Box::new(message), error: Box::new(error) };
        }
        let (ending, mut unsent) = self.sender.take_unsent();
        unsent.push(message);
        Failure::Disconnected { ending: Box::new(ending), unsent }
    }

    /// Queues the message that leads to the next phase.
    pub async fn advance<Next>(
        self,
        message: S::Out,
    ) -> Result<Conversation<S, Next, Half>, Interrupted<Self, S::Out>> {
        match self.send(message).await {
            Ok(()) => Ok(self.in_phase()),
            Err(failure) => Err(Interrupted { client: Box::new(self), failure }),
        }
    }

    /// The same for an opening that the server acknowledges; waits for that.
    pub async fn advance_acknowledged<Next>(
        self,
        message: S::Out,
    ) -> Result<Conversation<S, Next, Half>, Interrupted<Self, S::Out>> {
        let conversation = match self.send(message).await {
            Ok(()) => self,
            Err(failure) => return Err(Interrupted { client: Box::new(self), failure }),
        };
        if conversation.sender.acknowledged().await {
            return Ok(conversation.in_phase());
        }
        let (ending, unsent) = conversation.sender.take_unsent();
        let failure = Failure::Disconnected { ending: Box::new(ending), unsent };
        Err(Interrupted { client: Box::new(conversation), failure })
    }

    /// Sends a request; its replies come as they are said.
    pub async fn request(
        &self,
        message: S::Out,
        expect: Expect<S::In>,
    ) -> Result<Replies<S>, Failure<S::Out>> {
        self.sender.request(message, expect).await.map_err(|refused| self.failure(refused))
    }

    /// Sends a request and waits for its only reply.
    pub async fn request_one(
        &self,
        message: S::Out,
        expect: Expect<S::In>,
    ) -> Result<S::In, Failure<S::Out>> {
        let replies = self.request(message, expect).await?;
        Ok(replies.one().await?)
    }
}

impl<S: Session, Phase> Conversation<S, Phase, Handled<S::Out>> {
    /// Waits until the callbacks have heard everything. A failure says why it ended early, and what was not sent.
    pub async fn finished(mut self) -> Result<(), Failure<S::Out>> {
        let ended = self.half.ended().await;
        let (_, unsent) = self.sender.take_unsent();
        match ended {
            None if unsent.is_empty() => Ok(()),
            ending => {
                let ending = ending.unwrap_or_else(|| self.sender.take_unsent().0);
                Err(Failure::Disconnected { ending: Box::new(ending), unsent })
            }
        }
    }
}

impl<S: Session, Phase, Half> fmt::Debug for Conversation<S, Phase, Half> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("state", &self.state()).finish_non_exhaustive()
    }
}
