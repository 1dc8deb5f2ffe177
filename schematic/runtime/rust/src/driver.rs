//! The task of a connection: it opens links one after another and makes one conversation of them.
//!
//! It decides when to connect, when to come back and when to give up. What happens while a link is open is in `live`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::{Ending, Goodbye, Shared, lock};
use crate::live::Live;
use crate::outbox::Fate;
use crate::{
    Attempt, CloseAction, Error, ErrorKind, Event, Reconnect, Session, State, Target, Transport, redact,
};

pub(crate) struct Driver<S: Session, T: Transport> {
    pub(crate) session: S,
    pub(crate) shared: Arc<Shared<S>>,
    transport: T,
    /// Attempts in a row that led to no stable link
    failures: u32,
    ever_open: bool,
    resume: bool,
    /// Whether the server has refused to take the session up
    pub(crate) forget: bool,
    /// Values that may not appear in what is told
    pub(crate) secrets: Vec<String>,
}

/// How a link ended, and since when it was open.
pub(crate) struct Lost {
    pub(crate) ending: Ending,
    pub(crate) since: Option<Instant>,
    /// Whether the owner wanted it
    pub(crate) wanted: bool,
}

impl Lost {
    fn before_open(ending: Ending) -> Self {
        Self { ending, since: None, wanted: false }
    }

    fn wanted(goodbye: Goodbye) -> Self {
        Self { ending: goodbye.into(), since: None, wanted: true }
    }
}

impl From<Goodbye> for Ending {
    fn from(goodbye: Goodbye) -> Self {
        Self { code: goodbye.code, reason: goodbye.reason, error: None }
    }
}

impl<S: Session, T: Transport> Driver<S, T> {
    pub(crate) fn new(session: S, transport: T, shared: Arc<Shared<S>>) -> Self {
        Self {
            session,
            shared,
            transport,
            failures: 0,
            ever_open: false,
            resume: false,
            forget: false,
            secrets: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        let ending = loop {
            let mut lost = self.attempt().await;
            lost.ending = self.cleaned(lost.ending);
            if let Some(ending) = self.survives(lost).await {
                break ending;
            }
        };
        self.end(ending);
    }

    async fn attempt(&mut self) -> Lost {
        let attempt = Attempt {
            attempt: self.failures + 1,
            reconnect: self.ever_open,
            resume: self.ever_open && self.resume,
        };
        self.shared.state.send_replace(State::Connecting);
        self.tell(Event::Connecting { attempt: attempt.attempt });
        let mut goodbye = self.shared.goodbye.subscribe();
        let dialled = tokio::select! {
            biased;
            _ = goodbye.wait_for(Option::is_some) => None,
            dialled = self.dial(attempt) => Some(dialled),
        };
        match dialled {
            Some(Ok(link)) => Live::new(self, link, attempt).run().await,
            Some(Err(error)) => Lost::before_open(Ending { code: 1006, ..Ending::lost(error) }),
            None => Lost::wanted(self.goodbye()),
        }
    }

    async fn dial(&mut self, attempt: Attempt) -> Result<T::Link, Error> {
        let limit = self.shared.policy.connect;
        let deadline = Instant::now() + limit;
        let late = |_| {
            let message = format!("Try again: connecting took longer than {} ms", limit.as_millis());
            Error::new(ErrorKind::Timeout, message)
        };
        let target: Target = timeout_at(deadline, self.session.target(attempt)).await.map_err(late)??;
        let request = target.request(self.shared.policy.inbound.message_bytes)?;
        self.secrets.clone_from(&request.secrets);
        timeout_at(deadline, self.transport.connect(&request)).await.map_err(late)?
    }

    fn goodbye(&self) -> Goodbye {
        let asked = self.shared.goodbye.borrow().clone();
        asked.unwrap_or(Goodbye { code: 1000, reason: String::new() })
    }

    fn cleaned(&self, ending: Ending) -> Ending {
        Ending {
            code: ending.code,
            reason: redact(&ending.reason, &self.secrets),
            error: ending.error.map(|error| error.redacted(&self.secrets)),
        }
    }

    /// Waits for the next attempt, or says with what the connection ends.
    async fn survives(&mut self, lost: Lost) -> Option<Ending> {
        let action = self.judge(&lost.ending);
        if lost.wanted || action == CloseAction::Fatal || self.shared.policy.reconnect == Reconnect::Never {
            return Some(lost.ending);
        }
        // A failed attempt in between does not spoil a session that can be resumed.
        let resume = action == CloseAction::Resume || (self.resume && lost.since.is_none());
        self.resume = resume && !std::mem::take(&mut self.forget);
        self.count_failure(lost.since);
        if self.failures > self.shared.policy.backoff.max_attempts {
            return Some(lost.ending);
        }
        let unsent = self.link_lost();
        let delay = self.shared.policy.backoff.delay(self.failures, rand::random());
        self.wait(delay, lost.ending, unsent).await
    }

    fn judge(&self, ending: &Ending) -> CloseAction {
        match ending.error.as_ref().map(|error| error.kind) {
            Some(
                ErrorKind::Auth
                | ErrorKind::Insecure
                | ErrorKind::Protocol
                | ErrorKind::Shape
                | ErrorKind::Full
                | ErrorKind::Lifecycle,
            ) => CloseAction::Fatal,
            Some(ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Disconnected | ErrorKind::Closed)
            | None => self.shared.policy.close_action(ending.code),
        }
    }

    fn count_failure(&mut self, since: Option<Instant>) {
        let stable = since.is_some_and(|since| since.elapsed() >= self.shared.policy.backoff.min_uptime);
        self.failures = if stable { 1 } else { self.failures + 1 };
    }

    fn link_lost(&self) -> Vec<S::Out> {
        let again =
            Error::new(ErrorKind::Disconnected, "Ask again: the connection was lost before the reply came");
        lock(&self.shared.correlator).link_lost(&again);
        let unsent = lock(&self.shared.outbox).link_lost(|message| {
            if self.session.restores(message) {
                Fate::Restored
            } else if self.session.idempotent(message) {
                Fate::Again
            } else {
                Fate::Unknown
            }
        });
        self.shared.room.notify_waiters();
        unsent
    }

    async fn wait(&mut self, delay: Duration, cause: Ending, unsent: Vec<S::Out>) -> Option<Ending> {
        self.shared.state.send_replace(State::Waiting);
        self.tell(Event::Reconnecting { attempt: self.failures, delay, cause, unsent });
        let mut goodbye = self.shared.goodbye.subscribe();
        let over = tokio::select! {
            biased;
            _ = goodbye.wait_for(Option::is_some) => true,
            () = sleep(delay) => false,
        };
        over.then(|| self.goodbye().into())
    }

    /// A link is open, and its opening acknowledged.
    pub(crate) fn opened(&mut self, protocol: Option<String>) {
        self.shared.ever_open.store(true, std::sync::atomic::Ordering::Release);
        self.shared.state.send_replace(State::Open);
        let attempts = self.failures + 1;
        if std::mem::replace(&mut self.ever_open, true) {
            self.tell(Event::Reconnected { protocol, attempts });
        } else {
            self.tell(Event::Open { protocol });
        }
    }

    pub(crate) fn tell(&self, event: Event<S::In, S::Out>) {
        lock(&self.shared.inbox).tell(event);
        self.shared.arrival.wake();
    }

    fn end(self, ending: Ending) {
        {
            // Held while the outbox closes, so that a sender that is refused finds what was not sent.
            let mut handed_back = lock(&self.shared.handed_back);
            *handed_back = Some((ending.clone(), lock(&self.shared.outbox).hand_back()));
        }
        lock(&self.shared.correlator).end();
        self.shared.state.send_replace(State::Closed);
        // What was not sent is added when somebody reads the event.
        self.tell(Event::Closed { ending, unsent: Vec::new() });
        lock(&self.shared.inbox).end();
        self.shared.room.notify_waiters();
    }
}

/// Also when the task is dropped in the middle, with its runtime or by a panic in the session, nobody waits for it.
impl<S: Session, T: Transport> Drop for Driver<S, T> {
    fn drop(&mut self) {
        lock(&self.shared.correlator).end();
        self.shared.state.send_replace(State::Closed);
        lock(&self.shared.inbox).end();
        self.shared.arrival.wake();
        // After a proper end there is nothing left to hand back.
        lock(&self.shared.outbox).hand_back();
        self.shared.room.notify_waiters();
    }
}
