//! A connection that survives, as its owner sees it: what to send, what came, where it stands.
//!
//! The work is done by one task, which [`Connection::open`] starts and which ends when the connection is closed or both
//! its halves are dropped. What the messages mean is the business of the [`Session`].

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, mpsc, watch};

use crate::correlate::Correlator;
use crate::driver::Driver;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::{Error, ErrorKind, Expect, Frame, OutboundFull, Policy, Session, Transport};

/// Why a link or the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The close code; 1006 where there was none
    pub code: u16,
    /// The reason in words, without secrets; may be empty
    pub reason: String,
    /// What went wrong, if the code alone does not say it
    pub error: Option<Error>,
}

impl Ending {
    pub(crate) fn lost(error: Error) -> Self {
        let code = match error.kind {
            ErrorKind::Protocol => 1002,
            ErrorKind::Shape => 1009,
            ErrorKind::Full => 1008,
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Auth
            | ErrorKind::Insecure
            | ErrorKind::Lifecycle
            | ErrorKind::Disconnected
            | ErrorKind::Closed => 1006,
        };
        Self { code, reason: error.message.clone(), error: Some(error) }
    }

    /// What went wrong, as an error.
    pub fn into_error(self) -> Error {
        let Self { code, reason, error } = self;
        error.unwrap_or_else(|| {
            let message = format!("The connection was closed with code {code}: {reason}");
            Error::new(ErrorKind::Disconnected, message)
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => error.fmt(f),
            None if self.reason.is_empty() => write!(f, "closed with code {}", self.code),
            None => write!(f, "closed with code {}: {}", self.code, self.reason),
        }
    }
}

/// What a connection tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<In, Out> {
    /// An attempt begins
    Connecting {
        /// Counts from 1 after each stable connection
        attempt: u32,
    },
    /// The first link is open
    Open {
        /// The subprotocol that the server chose
        protocol: Option<String>,
    },
    /// The server said something
    Message(In),
    /// The link was lost; the next attempt follows
    Reconnecting {
        /// Number of the attempt
        attempt: u32,
        /// Time until it
        delay: Duration,
        /// Why the link was lost
        cause: Ending,
        /// Messages that were written, of which nobody knows whether they arrived, and which are not sent again
        unsent: Vec<Out>,
    },
    /// A link is open again, and what the session restores has been said
    Reconnected {
        /// The subprotocol that the server chose
        protocol: Option<String>,
        /// How many attempts it took
        attempts: u32,
    },
    /// Something was wrong that did not end the connection
    Error(Error),
    /// The goodbye was said
    Closing(Ending),
    /// It is over; nothing follows
    Closed {
        /// Why
        ending: Ending,
        /// What was not sent, in order
        unsent: Vec<Out>,
    },
}

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A link is being opened
    Connecting,
    /// Messages travel
    Open,
    /// Waits for the next attempt
    Waiting,
    /// The goodbye was said
    Closing,
    /// It is over
    Closed,
}

/// A message that was not accepted, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct SendError<Out> {
    /// The message
    pub message: Out,
    /// Why
    pub error: Error,
}

impl<Out> fmt::Debug for SendError<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<Out> fmt::Display for SendError<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<Out> std::error::Error for SendError<Out> {}

/// The goodbye that the owner has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goodbye {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// What the owner and the task have in common.
pub(crate) struct Shared<S: Session> {
    pub(crate) policy: Policy,
    pub(crate) outbox: Mutex<Outbox<S::Out>>,
    pub(crate) inbox: Mutex<Inbox<S::In, S::Out>>,
    pub(crate) correlator: Mutex<Correlator<S::In>>,
    /// Wakes the task: a message was queued, or the inbox has a place again
    pub(crate) work: Notify,
    /// Wakes senders: the outbox has places again
    pub(crate) room: Notify,
    /// Wakes the consumer
    pub(crate) arrival: AtomicWaker,
    pub(crate) state: watch::Sender<State>,
    /// Whether a link was ever open
    pub(crate) ever_open: AtomicBool,
    /// Whether the server has acknowledged an opening of the session
    pub(crate) acknowledged: watch::Sender<bool>,
    /// How it ended, and what was not sent, in order, until somebody takes it
    pub(crate) handed_back: Mutex<Option<(Ending, Vec<S::Out>)>>,
    pub(crate) goodbye: watch::Sender<Option<Goodbye>>,
    /// Whether anybody can still read events. Without a reader the inbox is not filled
    pub(crate) read: AtomicBool,
}

/// Locks, also after a panic elsewhere: the queues are whole between any two of their operations.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Session> Shared<S> {
    fn new(policy: Policy) -> Self {
        Self {
            outbox: Mutex::new(Outbox::new(policy.outbound.clone())),
            inbox: Mutex::new(Inbox::new(policy.inbound.clone())),
            correlator: Mutex::new(Correlator::new()),
            work: Notify::new(),
            room: Notify::new(),
            arrival: AtomicWaker::new(),
            state: watch::Sender::new(State::Connecting),
            ever_open: AtomicBool::new(false),
            acknowledged: watch::Sender::new(false),
            handed_back: Mutex::new(None),
            goodbye: watch::Sender::new(None),
            read: AtomicBool::new(true),
            policy,
        }
    }

    /// How it ended, and what was not sent; who asks first gets the messages. Before the end there is nothing.
    pub(crate) fn take_unsent(&self) -> (Ending, Vec<S::Out>) {
        match &mut *lock(&self.handed_back) {
            Some((ending, unsent)) => (ending.clone(), std::mem::take(unsent)),
            None => (Ending { code: 1006, reason: String::new(), error: None }, Vec::new()),
        }
    }

    fn say_goodbye(&self, code: u16, reason: &str) {
        self.goodbye.send_if_modified(|goodbye| {
            let first = goodbye.is_none();
            goodbye.get_or_insert_with(|| Goodbye { code, reason: reason.to_owned() });
            first
        });
    }
}

/// Ends the connection when the last half is gone.
struct Owner<S: Session>(Arc<Shared<S>>);

impl<S: Session> Drop for Owner<S> {
    fn drop(&mut self) {
        self.0.say_goodbye(1000, "");
    }
}

/// A conversation with one endpoint.
pub struct Connection<S: Session> {
    sender: Sender<S>,
    events: Events<S>,
}

impl<S: Session> Connection<S> {
    /// Begins to connect, in a task of its own. Needs a tokio runtime.
    pub fn open<T: Transport>(session: S, transport: T, policy: Policy) -> Self {
        let shared = Arc::new(Shared::new(policy));
        tokio::spawn(Driver::new(session, transport, Arc::clone(&shared)).run());
        let owner = Arc::new(Owner(Arc::clone(&shared)));
        Self { sender: Sender { owner: Arc::clone(&owner) }, events: Events { owner } }
    }

    /// The two halves; the connection lives as long as one of them.
    pub fn split(self) -> (Sender<S>, Events<S>) {
        (self.sender, self.events)
    }

    /// The half that sends.
    pub fn sender(&self) -> &Sender<S> {
        &self.sender
    }

    /// Queues a message; see [`Sender::send`].
    pub async fn send(&self, message: S::Out) -> Result<(), SendError<S::Out>> {
        self.sender.send(message).await
    }

    /// The next event; see [`Events::next`].
    pub async fn next(&mut self) -> Option<Event<S::In, S::Out>> {
        self.events.next().await
    }

    /// Where the connection is.
    pub fn state(&self) -> State {
        self.sender.state()
    }

    /// Ends the connection and gives what was not sent, in order, with the reason. Events that nobody read are lost.
    pub async fn close(mut self) -> (Ending, Vec<S::Out>) {
        self.sender.close(1000, "");
        loop {
            match self.next().await {
                Some(Event::Closed { ending, unsent }) => return (ending, unsent),
                Some(_) => {}
                None => {
                    let ending = Ending { code: 1000, reason: String::new(), error: None };
                    return (ending, Vec::new());
                }
            }
        }
    }
}

/// The half that sends; may be cloned.
pub struct Sender<S: Session> {
    owner: Arc<Owner<S>>,
}

impl<S: Session> Clone for Sender<S> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<S: Session> Sender<S> {
    fn shared(&self) -> &Shared<S> {
        &self.owner.0
    }

    /// Where the connection is.
    pub fn state(&self) -> State {
        *self.shared().state.borrow()
    }

    /// Waits until a link is open, or nothing can become of it any more.
    pub(crate) async fn opened(&self) -> Result<(), Error> {
        let mut state = self.shared().state.subscribe();
        // The sender lives in what this half holds, so it cannot be gone.
        let _ = state.wait_for(|state| matches!(state, State::Open | State::Closed)).await;
        if self.shared().ever_open.load(Ordering::Acquire) {
            return Ok(());
        }
        let (ending, _) = self.shared().take_unsent();
        Err(ending.into_error())
    }

    /// Waits until the server has acknowledged an opening; false if the connection is over before.
    pub(crate) async fn acknowledged(&self) -> bool {
        let mut acknowledged = self.shared().acknowledged.subscribe();
        let mut state = self.shared().state.subscribe();
        tokio::select! {
            biased;
            _ = acknowledged.wait_for(|acknowledged| *acknowledged) => true,
            _ = state.wait_for(|state| *state == State::Closed) => false,
        }
    }

    /// How it ended, and what was not sent; who asks first gets the messages.
    pub(crate) fn take_unsent(&self) -> (Ending, Vec<S::Out>) {
        self.shared().take_unsent()
    }

    /// How many messages are not yet sent.
    pub fn unsent(&self) -> usize {
        lock(&self.shared().outbox).len()
    }

    /// Queues a message, and waits for a place if the policy says so. The message comes back if it is too large, if
    /// there is no place, or if the connection is over. Dropping the future before it is ready queues nothing.
    pub async fn send(&self, message: S::Out) -> Result<(), SendError<S::Out>> {
        self.queue(message).await.map(drop)
    }

    /// Queues a message at once or gives it back.
    pub fn try_send(&self, message: S::Out) -> Result<(), SendError<S::Out>> {
        match S::encode(&message) {
            Ok(frame) => {
                self.add(message, frame).map(drop).map_err(|(message, _, error)| SendError { message, error })
            }
            Err(error) => Err(SendError { message, error }),
        }
    }

    async fn queue(&self, message: S::Out) -> Result<u64, SendError<S::Out>> {
        let shared = self.shared();
        let mut waiting = match S::encode(&message) {
            Ok(frame) => (message, frame),
            Err(error) => return Err(SendError { message, error }),
        };
        loop {
            // Listening begins before looking, so that no place that is made in between is missed.
            let room = shared.room.notified();
            match self.add(waiting.0, waiting.1) {
                Ok(id) => return Ok(id),
                Err((message, frame, error)) if self.waits(&error) => waiting = (message, frame),
                Err((message, _, error)) => return Err(SendError { message, error }),
            }
            room.await;
        }
    }

    fn waits(&self, error: &Error) -> bool {
        error.kind == ErrorKind::Full && self.shared().policy.outbound.when_full == OutboundFull::Wait
    }

    fn add(&self, message: S::Out, frame: Frame) -> Result<u64, (S::Out, Frame, Error)> {
        let id = lock(&self.shared().outbox).add(message, frame)?;
        self.shared().work.notify_one();
        Ok(id)
    }

    /// Sends a request and gives its replies as they come. Dropping them takes the request back if it still waits.
    pub async fn request(
        &self,
        message: S::Out,
        expect: Expect<S::In>,
    ) -> Result<Replies<S>, SendError<S::Out>> {
        let shared = self.shared();
        let timeout = expect.timeout.unwrap_or(shared.policy.reply);
        let (key, receiver) = lock(&shared.correlator).expect(expect, shared.policy.inbound.messages);
        let mut replies = Replies { sender: self.clone(), key, message: 0, receiver, timeout: Some(timeout) };
        replies.message = self.queue(message).await?;
        Ok(replies)
    }

    /// Waits until everything that was queued is sent, or the connection is over.
    pub async fn flushed(&self) {
        loop {
            let room = self.shared().room.notified();
            if lock(&self.shared().outbox).len() == 0 {
                return;
            }
            room.await;
        }
    }

    /// Ends the connection. What was not sent comes back in [`Event::Closed`].
    pub fn close(&self, code: u16, reason: &str) {
        self.shared().say_goodbye(code, reason);
    }
}

/// The replies to a request.
pub struct Replies<S: Session> {
    sender: Sender<S>,
    key: u64,
    message: u64,
    receiver: mpsc::Receiver<Result<S::In, Error>>,
    /// For the first reply
    timeout: Option<Duration>,
}

impl<S: Session> Replies<S> {
    /// The next reply; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<S::In, Error>> {
        let Some(timeout) = self.timeout.take() else { return self.receiver.recv().await };
        match tokio::time::timeout(timeout, self.receiver.recv()).await {
            Ok(reply) => reply,
            Err(_) => {
                self.receiver.close();
                let message = format!("Try again: no reply came in {} ms", timeout.as_millis());
                Some(Err(Error::new(ErrorKind::Timeout, message)))
            }
        }
    }

    /// The only reply.
    pub async fn one(mut self) -> Result<S::In, Error> {
        let ended =
            || Error::new(ErrorKind::Disconnected, "Ask again: the connection ended before the reply came");
        self.next().await.unwrap_or_else(|| Err(ended()))
    }
}

impl<S: Session> Drop for Replies<S> {
    fn drop(&mut self) {
        let shared = self.sender.shared();
        lock(&shared.correlator).forget(self.key);
        if lock(&shared.outbox).withdraw(self.message) {
            shared.room.notify_waiters();
        }
    }
}

/// The half that hears.
pub struct Events<S: Session> {
    owner: Arc<Owner<S>>,
}

impl<S: Session> Events<S> {
    /// The next event, in order; `None` after [`Event::Closed`]. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event<S::In, S::Out>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event<S::In, S::Out>>> {
        match std::task::ready!(self.poll_quietly(cx)) {
            Some(Event::Closed { ending, .. }) => {
                let unsent = self.owner.0.take_unsent().1;
                Poll::Ready(Some(Event::Closed { ending, unsent }))
            }
            event => Poll::Ready(event),
        }
    }

    /// The next event, which leaves what was not sent to whoever asks for it.
    pub(crate) fn poll_quietly(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event<S::In, S::Out>>> {
        let shared = &self.owner.0;
        // Registering comes before looking, so that no arrival in between is missed.
        shared.arrival.register(cx.waker());
        let mut inbox = lock(&shared.inbox);
        match inbox.pop() {
            Some(event) => {
                shared.work.notify_one();
                Poll::Ready(Some(event))
            }
            None if inbox.is_over() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// What was not sent; who asks first gets it.
    pub(crate) fn take_unsent(&self) -> Vec<S::Out> {
        self.owner.0.take_unsent().1
    }

    /// How many messages were dropped because nobody read them in time.
    pub fn dropped(&self) -> u64 {
        lock(&self.owner.0.inbox).dropped()
    }
}

impl<S: Session> Stream for Events<S> {
    type Item = Event<S::In, S::Out>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}

impl<S: Session> Drop for Events<S> {
    fn drop(&mut self) {
        self.owner.0.read.store(false, Ordering::Relaxed);
        self.owner.0.work.notify_one();
    }
}
