//! One open link: what is written, what is read, and which sign of life is due.
//!
//! Nothing here waits for the consumer: where the inbox is full, reading pauses, and signs of life go on. Whether a lost
//! link is followed by another is the business of the driver.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::time::{Instant, sleep_until};

use crate::beat::{Due, Pulse};
use crate::connection::{Ending, lock};
use crate::driver::{Driver, Lost};
use crate::rate::Rates;
use crate::{
    Ack, Attempt, Confirm, Error, ErrorKind, Event, Frame, Link, Packet, Reconnect, Session, State, Transport,
};

/// Payload of a ping frame that is only a sign of life; barriers carry the eight bytes of a message's id.
const BEAT: &[u8] = b"beat";

/// Far enough away to stand for never.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What became of a turn of the loop.
enum Turn {
    GoOn,
    Over(Ending),
    Leave,
}

/// What the link did.
enum Step {
    Came(Packet),
    Ended,
    Broke(Error),
    Writable,
    Flushed,
}

pub(crate) struct Live<'a, S: Session, T: Transport> {
    driver: &'a mut Driver<S, T>,
    link: T::Link,
    /// Written before everything that the owner queued: opening messages, signs of life, barriers
    first: VecDeque<Packet>,
    attempt: Attempt,
    since: Option<Instant>,
    /// Until then the server has to greet or to acknowledge; nothing that the owner queued is written before
    ack_by: Option<Instant>,
    /// Whether it is the server's greeting that is waited for
    greeting: bool,
    /// Whether an opening was said on this link
    asked: bool,
    /// Whether one side has said that nothing but the end follows
    ended: bool,
    expires: Option<Instant>,
    heard: Instant,
    frame_beat: Pulse,
    message_beat: Pulse,
    rates: Rates,
    flushing: bool,
    /// Whether a barrier is on its way, for [`Confirm::Pong`]
    barrier: bool,
}

impl<'a, S: Session, T: Transport> Live<'a, S, T> {
    pub(crate) fn new(driver: &'a mut Driver<S, T>, link: T::Link, attempt: Attempt) -> Self {
        let now = Instant::now();
        let policy = &driver.shared.policy;
        let greeting = driver.session.awaits_greeting();
        let mut live = Self {
            first: VecDeque::new(),
            attempt,
            since: None,
            ack_by: greeting.then(|| now + policy.first_ack),
            greeting,
            asked: false,
            ended: false,
            expires: policy.max_age.map(|age| now + age),
            heard: now,
            frame_beat: Pulse::new(policy.ping, now),
            message_beat: Pulse::new(policy.heartbeat, now),
            rates: Rates::new(&policy.rates),
            flushing: false,
            barrier: false,
            driver,
            link,
        };
        if !greeting {
            live.say_first();
        }
        live
    }

    pub(crate) async fn run(mut self) -> Lost {
        if self.ack_by.is_none() {
            self.opened();
        }
        let (ending, wanted) = loop {
            match self.turn().await {
                Turn::GoOn => {}
                Turn::Over(ending) => break (ending, false),
                Turn::Leave => break (self.leave().await, true),
            }
        };
        self.part(&ending);
        Lost { ending, since: self.since, wanted }
    }

    fn opened(&mut self) {
        self.ack_by = None;
        if self.asked {
            self.driver.shared.acknowledged.send_replace(true);
        }
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.driver.opened(self.link.protocol().map(str::to_owned));
        }
    }

    fn say_first(&mut self) {
        let opening = self.driver.session.opening(self.attempt);
        self.asked = !opening.is_empty();
        for message in opening {
            self.say(&message);
        }
        self.ack_by = self.driver.session.awaits_ack(self.attempt).then(|| self.ack_deadline());
    }

    fn ack_deadline(&self) -> Instant {
        Instant::now() + self.driver.shared.policy.first_ack
    }

    /// Writes a message of the session itself, before what the owner queued.
    fn say(&mut self, message: &S::Out) {
        match S::encode(message) {
            Ok(frame) => self.first.push_back(Packet::Frame(frame)),
            Err(error) => self.tell_wrong(error),
        }
    }

    /// What was received may repeat a credential.
    fn tell_wrong(&self, error: Error) {
        self.driver.tell(Event::Error(error.redacted(&self.driver.secrets)));
    }

    async fn turn(&mut self) -> Turn {
        let now = Instant::now();
        if let Some(turn) = self.due(now) {
            return turn;
        }
        let reading = self.reading();
        let writing = self.writing(now);
        let deadline = self.deadline(now);
        let shared = std::sync::Arc::clone(&self.driver.shared);
        let mut goodbye = shared.goodbye.subscribe();
        tokio::select! {
            biased;
            _ = goodbye.wait_for(Option::is_some) => Turn::Leave,
            step = std::future::poll_fn(|cx| self.poll(cx, reading, writing)) => self.step(step),
            () = shared.work.notified() => Turn::GoOn,
            () = sleep_until(deadline) => Turn::GoOn,
        }
    }

    fn reading(&self) -> bool {
        !self.driver.shared.read.load(Ordering::Relaxed) || lock(&self.driver.shared.inbox).wants_more()
    }

    /// Whether there is something that may be written now.
    fn writing(&mut self, now: Instant) -> bool {
        !self.first.is_empty() || (self.has_queued() && self.rates.free_at(now) <= now)
    }

    fn has_queued(&self) -> bool {
        self.ack_by.is_none() && lock(&self.driver.shared.outbox).has_queued()
    }

    fn poll(&mut self, cx: &mut Context<'_>, reading: bool, writing: bool) -> Poll<Step> {
        if writing && let Poll::Ready(ready) = Pin::new(&mut self.link).poll_ready(cx) {
            return Poll::Ready(ready.map_or_else(Step::Broke, |()| Step::Writable));
        }
        if self.flushing
            && let Poll::Ready(flushed) = Pin::new(&mut self.link).poll_flush(cx)
        {
            return Poll::Ready(flushed.map_or_else(Step::Broke, |()| Step::Flushed));
        }
        if !reading {
            return Poll::Pending;
        }
        Pin::new(&mut self.link).poll_next(cx).map(|next| match next {
            Some(Ok(packet)) => Step::Came(packet),
            Some(Err(error)) => Step::Broke(error),
            None => Step::Ended,
        })
    }

    fn step(&mut self, step: Step) -> Turn {
        match step {
            Step::Came(packet) => self.came(packet),
            Step::Ended => Turn::Over(cut()),
            Step::Broke(error) => self.broke(error),
            Step::Writable => self.write(),
            Step::Flushed => {
                self.flushed();
                Turn::GoOn
            }
        }
    }

    /// What the server said before the link broke still counts: a close code above all.
    fn broke(&mut self, error: Error) -> Turn {
        if error.kind == ErrorKind::Disconnected {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while let Poll::Ready(Some(Ok(packet))) = Pin::new(&mut self.link).poll_next(&mut cx) {
                if let Turn::Over(ending) = self.came(packet) {
                    return Turn::Over(ending);
                }
            }
        }
        Turn::Over(Ending::lost(error))
    }

    // What is said

    fn write(&mut self) -> Turn {
        let packet = match self.first.pop_front() {
            Some(packet) => packet,
            None => match self.next_queued() {
                Some(frame) => Packet::Frame(frame),
                None => return Turn::GoOn,
            },
        };
        if matches!(packet, Packet::Frame(_)) {
            self.rates.spend(Instant::now());
        }
        self.flushing = true;
        match Pin::new(&mut self.link).start_send(packet) {
            Ok(()) => Turn::GoOn,
            Err(error) => self.broke(error),
        }
    }

    fn next_queued(&mut self) -> Option<Frame> {
        let deadline = self.ack_deadline();
        let mut outbox = lock(&self.driver.shared.outbox);
        let entry = outbox.take()?;
        self.driver.session.said(&entry.message);
        self.ended |= S::closes(&entry.message);
        if self.driver.session.asks_ack(&entry.message) {
            self.asked = true;
            self.ack_by = Some(deadline);
        }
        Some(entry.frame.clone())
    }

    fn flushed(&mut self) {
        self.flushing = false;
        match self.driver.shared.policy.confirm {
            Confirm::Written => self.confirm(u64::MAX),
            Confirm::Pong => self.raise_barrier(),
            Confirm::Answer => {}
        }
    }

    fn raise_barrier(&mut self) {
        let last = lock(&self.driver.shared.outbox).last_in_flight();
        if let Some(id) = last
            && !std::mem::replace(&mut self.barrier, true)
        {
            self.first.push_back(Packet::Ping(Bytes::copy_from_slice(&id.to_be_bytes())));
        }
    }

    fn confirm(&mut self, id: u64) {
        if lock(&self.driver.shared.outbox).sent_up_to(id) {
            self.driver.shared.room.notify_waiters();
        }
    }

    // What is heard

    fn came(&mut self, packet: Packet) -> Turn {
        self.heard = Instant::now();
        match packet {
            Packet::Frame(frame) => return self.frame(frame),
            Packet::Ping(_) => self.flushing = true,
            Packet::Pong(payload) => self.pong(&payload),
            Packet::Close { code, reason } => {
                if self.ended && code == 1000 {
                    // A server that ends the session as it should has read what was written.
                    self.confirm(u64::MAX);
                }
                return Turn::Over(Ending { code, reason, error: None });
            }
        }
        Turn::GoOn
    }

    fn pong(&mut self, payload: &[u8]) {
        self.frame_beat.answered();
        if let (true, Ok(id)) = (self.barrier, payload.try_into().map(u64::from_be_bytes)) {
            self.barrier = false;
            self.confirm(id);
            self.raise_barrier();
        }
    }

    fn frame(&mut self, frame: Frame) -> Turn {
        match S::decode(frame) {
            Ok(message) => self.message(message),
            Err(error) => {
                self.tell_wrong(error);
                Turn::GoOn
            }
        }
    }

    fn message(&mut self, message: S::In) -> Turn {
        self.learn(&message);
        if self.driver.session.is_beat(&message) {
            self.beat_came(message);
            return Turn::GoOn;
        }
        let ack = self.judge(&message);
        if ack == Ack::Accepted {
            self.accepted();
        }
        match self.deliver(message) {
            Err(ending) => Turn::Over(ending),
            Ok(()) if ack == Ack::Refused => Turn::Over(self.refused()),
            Ok(()) => Turn::GoOn,
        }
    }

    fn beat_came(&mut self, message: S::In) {
        self.message_beat.answered();
        if let Some(pong) = self.driver.session.pong(&message) {
            self.say(&pong);
        }
        // The owner may have asked for it by a request of its own; nobody else sees it.
        let id = self.driver.session.reply_id(&message);
        let _ = lock(&self.driver.shared.correlator).offer(id.as_ref(), message);
    }

    fn judge(&self, message: &S::In) -> Ack {
        let session = &self.driver.session;
        match (self.ack_by, self.greeting) {
            (None, _) => Ack::None,
            (Some(_), true) if session.is_greeting(message) => Ack::Accepted,
            (Some(_), true) if session.acknowledges(message) == Ack::Accepted => Ack::None,
            (Some(_), _) => session.acknowledges(message),
        }
    }

    fn accepted(&mut self) {
        if std::mem::take(&mut self.greeting) {
            self.say_first();
        } else {
            self.ack_by = None;
        }
        if self.ack_by.is_none() {
            self.opened();
        }
    }

    /// A session that cannot be taken up is not the end: the next link opens a new one.
    fn refused(&mut self) -> Ending {
        if !self.attempt.resume {
            return refused();
        }
        self.driver.forget = true;
        self.driver.session.resume_refused();
        let message = "The session could not be taken up: a new one begins";
        Ending::lost(Error::new(ErrorKind::Disconnected, message))
    }

    fn learn(&mut self, message: &S::In) {
        let session = &mut self.driver.session;
        session.heard(message);
        self.ended |= S::ends(message);
        if let Some(interval) = session.interval(message) {
            self.message_beat.set(interval, Instant::now());
        }
        let confirmed = session.confirms(message);
        if confirmed > 0 && lock(&self.driver.shared.outbox).sent(confirmed) {
            self.driver.shared.room.notify_waiters();
        }
    }

    fn deliver(&mut self, message: S::In) -> Result<(), Ending> {
        let shared = &self.driver.shared;
        let id = self.driver.session.reply_id(&message);
        let Some(message) = lock(&shared.correlator).offer(id.as_ref(), message) else { return Ok(()) };
        if !shared.read.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = self.driver.session.coalesce_key(&message);
        let pushed = lock(&shared.inbox).push(message, key);
        shared.arrival.wake();
        pushed.map_err(|_| {
            Ending::lost(Error::new(ErrorKind::Full, "Read faster: too many messages wait to be read"))
        })
    }

    // Signs of life

    /// What is due now, if it ends the link.
    fn due(&mut self, now: Instant) -> Option<Turn> {
        if !self.reading() {
            // A link that is held back has a reason to be silent.
            self.heard = now;
            self.frame_beat.forgive(now);
            self.message_beat.forgive(now);
        }
        let policy = &self.driver.shared.policy;
        if self.ack_by.is_some_and(|by| by <= now) {
            return Some(late("The opening was not acknowledged in time: try again"));
        }
        if policy.idle.is_some_and(|limit| self.heard + limit <= now) {
            return Some(late("The server was silent for too long: try again"));
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Some(self.too_old());
        }
        self.beat(now)
    }

    fn beat(&mut self, now: Instant) -> Option<Turn> {
        match self.frame_beat.due(now) {
            Due::Nothing => {}
            Due::Beat => self.first.push_back(Packet::Ping(Bytes::from_static(BEAT))),
            Due::Dead => return Some(late("The server did not answer a ping in time: try again")),
        }
        match self.message_beat.due(now) {
            Due::Nothing => {}
            Due::Beat => {
                if let Some(ping) = self.driver.session.ping() {
                    self.say(&ping);
                }
            }
            Due::Dead => return Some(late("The server did not answer a heartbeat in time: try again")),
        }
        None
    }

    /// A restorable session goes on with a new link, as after a lost one.
    fn too_old(&self) -> Turn {
        match self.driver.shared.policy.reconnect {
            Reconnect::Never => late("Open a new connection: this one has reached its longest life"),
            Reconnect::Replay | Reconnect::Token => late("The link has reached its longest life"),
        }
    }

    fn deadline(&mut self, now: Instant) -> Instant {
        let idle = self.driver.shared.policy.idle.map(|limit| self.heard + limit);
        let rate = self.has_queued().then(|| self.rates.free_at(now)).filter(|at| *at > now);
        let all =
            [self.ack_by, self.expires, idle, rate, self.frame_beat.deadline(), self.message_beat.deadline()];
        all.into_iter().flatten().min().unwrap_or(now + NEVER)
    }

    // The goodbye

    /// Tells the server, as far as that goes without waiting, that nobody listens any more.
    fn part(&mut self, ending: &Ending) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut link = Pin::new(&mut self.link);
        if ending.error.is_some() && matches!(link.as_mut().poll_ready(&mut cx), Poll::Ready(Ok(()))) {
            // 1006 may not be said.
            let code = if ending.code == 1006 { 1001 } else { ending.code };
            let _ = link.as_mut().start_send(Packet::Close { code, reason: String::new() });
        }
        // The answer to the server's own goodbye may still wait here.
        let _ = link.poll_flush(&mut cx);
    }

    /// Says goodbye and listens until the server has said its own, for as long as the policy allows.
    async fn leave(&mut self) -> Ending {
        let asked = self.driver.shared.goodbye.borrow().clone();
        let Some(goodbye) = asked else { return cut() };
        let ending = Ending::from(goodbye);
        self.driver.shared.state.send_replace(State::Closing);
        self.driver.tell(Event::Closing(ending.clone()));
        self.first.clear();
        self.first.push_back(Packet::Close { code: ending.code, reason: ending.reason.clone() });
        let limit = self.driver.shared.policy.close;
        // Whatever cuts it short, the owner has asked for the end and gets it.
        if let Ok(answer) = tokio::time::timeout(limit, self.last_words()).await
            && answer.error.is_none()
        {
            // The server's goodbye comes after it has read everything that was written before ours.
            self.confirm(u64::MAX);
        }
        ending
    }

    async fn last_words(&mut self) -> Ending {
        loop {
            let (reading, writing) = (self.reading(), !self.first.is_empty());
            let shared = std::sync::Arc::clone(&self.driver.shared);
            let turn = tokio::select! {
                biased;
                step = std::future::poll_fn(|cx| self.poll(cx, reading, writing)) => self.step(step),
                () = shared.work.notified() => Turn::GoOn,
            };
            if let Turn::Over(ending) = turn {
                return ending;
            }
        }
    }
}

fn cut() -> Ending {
    Ending::lost(Error::new(ErrorKind::Disconnected, "The link was cut without a close frame: try again"))
}

fn refused() -> Ending {
    Ending::lost(Error::new(ErrorKind::Auth, "The server refused the opening message: check the credential"))
}

fn late(message: &str) -> Turn {
    Turn::Over(Ending::lost(Error::new(ErrorKind::Timeout, message)))
}
