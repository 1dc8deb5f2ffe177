//! The server's side of a conversation: a stream of its messages, or callbacks for them.
//!
//! What a restored connection goes through is not told, but for messages that nobody knows to have arrived.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::task::JoinHandle;

use crate::{Ending, Event, Events, Failure, Session};

/// A message, or what went wrong.
type Told<S> = Result<<S as Session>::In, Failure<<S as Session>::Out>>;

/// What the server says, in order. Ends after the last message of the session; an end that came too early is a
/// [`Failure::Disconnected`] before it.
pub struct Incoming<S: Session> {
    events: Events<S>,
    /// Whether the server has said that nothing follows
    ended: bool,
    /// Whether what was not sent is left to whoever asks for it
    quiet: bool,
}

impl<S: Session> Incoming<S> {
    pub(crate) fn new(events: Events<S>) -> Self {
        Self { events, ended: false, quiet: false }
    }

    /// The next message, or what went wrong; `None` when everything is said. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<S::In, Failure<S::Out>>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told<S>>> {
        loop {
            let Some(event) = ready!(self.events.poll_quietly(cx)) else { return Poll::Ready(None) };
            if let Some(told) = self.tell(event) {
                return Poll::Ready(Some(told));
            }
        }
    }

    fn tell(&mut self, event: Event<S::In, S::Out>) -> Option<Told<S>> {
        match event {
            Event::Message(message) => {
                self.ended |= S::ends(&message);
                Some(Ok(message))
            }
            Event::Error(error) => Some(Err(error.into())),
            Event::Reconnecting { cause, unsent, .. } if !unsent.is_empty() => {
                Some(Err(Failure::Interrupted { cause: Box::new(cause), unsent }))
            }
            Event::Closed { ending, .. } => self.end(ending).map(Err),
            Event::Connecting { .. }
            | Event::Open { .. }
            | Event::Reconnecting { .. }
            | Event::Reconnected { .. }
            | Event::Closing(_) => None,
        }
    }

    /// What is wrong with the end, if anything is.
    fn end(&self, ending: Ending) -> Option<Failure<S::Out>> {
        let unsent = if self.quiet { Vec::new() } else { self.events.take_unsent() };
        let whole = self.ended || (ending.error.is_none() && ending.code == 1000);
        (!whole || !unsent.is_empty()).then(|| Failure::Disconnected { ending: Box::new(ending), unsent })
    }
}

impl<S: Session> Stream for Incoming<S> {
    type Item = Result<S::In, Failure<S::Out>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<S: Session> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The next item of a stream.
pub async fn next_of<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

type Handler<In> = Box<dyn FnMut(In) -> Option<In> + Send>;
type OnFailure<Out> = Box<dyn FnMut(Failure<Out>) + Send>;

/// Callbacks for what the server says. The first that takes a message has it; others never see it.
pub struct Handlers<In, Out> {
    handlers: Vec<Handler<In>>,
    on_failure: Option<OnFailure<Out>>,
}

impl<In, Out> Default for Handlers<In, Out> {
    fn default() -> Self {
        Self { handlers: Vec::new(), on_failure: None }
    }
}

impl<In, Out> Handlers<In, Out> {
    /// Adds a callback, which gives messages back that are not its own.
    pub fn on(&mut self, handler: impl FnMut(In) -> Option<In> + Send + 'static) {
        self.handlers.push(Box::new(handler));
    }

    /// Sets the callback for what goes wrong without ending the conversation.
    pub fn on_failure(&mut self, handler: impl FnMut(Failure<Out>) + Send + 'static) {
        self.on_failure = Some(Box::new(handler));
    }

    fn message(&mut self, message: In) {
        let mut handlers = self.handlers.iter_mut();
        let _ = handlers.try_fold(message, |message, handler| handler(message));
    }

    fn failure(&mut self, failure: Failure<Out>) {
        if let Some(on_failure) = &mut self.on_failure {
            on_failure(failure);
        }
    }
}

impl<In, Out> fmt::Debug for Handlers<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("handlers", &self.handlers.len()).finish_non_exhaustive()
    }
}

/// The half of a conversation that hands messages to callbacks. Dropping it ends the task that does so.
pub struct Handled<Out> {
    task: JoinHandle<Option<Ending>>,
    out: PhantomData<fn() -> Out>,
}

impl<Out: Send + 'static> Handled<Out> {
    pub(crate) fn new<S: Session<Out = Out>>(
        mut incoming: Incoming<S>,
        mut handlers: Handlers<S::In, Out>,
    ) -> Self {
        incoming.quiet = true;
        let hear = async move {
            while let Some(told) = incoming.next().await {
                match told {
                    Ok(message) => handlers.message(message),
                    Err(Failure::Disconnected { ending, .. }) => return Some(*ending),
                    Err(failure) => handlers.failure(failure),
                }
            }
            None
        };
        Self { task: tokio::spawn(hear), out: PhantomData }
    }
}

impl<Out> Handled<Out> {
    /// Why it ended early, if it did.
    pub(crate) async fn ended(&mut self) -> Option<Ending> {
        // A callback that panicked has ended the task; the panic goes on with whoever waits.
        match (&mut self.task).await {
            Ok(ending) => ending,
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
}

impl<Out> Drop for Handled<Out> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<Out> fmt::Debug for Handled<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled").field("finished", &self.task.is_finished()).finish_non_exhaustive()
    }
}
