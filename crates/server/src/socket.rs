//! The socket's loop: one task owns one WebSocket and everything that belongs to it. Only who brings news of records to
//! many takes a turn in its place, when the socket is free: see [`Bell`].
//!
//! A turn of the loop has one arm for each thing that can happen: a frame came in or a command was executed, an event
//! wants out, a deadline passed, the server is closing. What a client asks and what can be answered at once is read,
//! executed and written in one go, without a second turn. Commands of one connection are
//! executed one after the other in the order in which they came, while reading, events and heartbeats go on; so a
//! slow command delays those behind it and nothing else. Edits that follow one another are handed to the store
//! together, so that they share a commit. What frames mean is the dialect's business.
//!
//! What has come is read before a result goes out: a dialect whose replies may go only while nothing else is asked
//! must know what was asked.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidewire_engine::connection::{Bell, Mail};
use tidewire_engine::{Command, Connection, Engine, Event, Identity, Reply, Result};
use tidewire_protocols::{Frame, Incoming, Session, Step, Ticket};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::figures::Limit;
use crate::limits::{ControlFrames, Limited, Slot};
use crate::pipe::{self, Pipe, Turn};
use crate::server::{App, Mount};
use crate::telemetry::log_error;
use crate::wire::Kind;

/// So many commands wait for their turn; then reading waits too.
const WAITING_COMMANDS: usize = 16;
/// So many edits are under way at once.
const EDITS: usize = 32;

/// What the door let in.
pub(crate) struct Conversation {
    /// The dialect's half.
    pub(crate) session: Box<dyn Session>,
    /// Who speaks.
    pub(crate) identity: Identity,
    /// What its messages count against.
    pub(crate) limited: Option<Limited>,
    /// Its place among all connections, given back at the end.
    pub(crate) slot: Slot,
    /// Cancelled when it may stay no longer: see `Auth::leave_to_stay`.
    pub(crate) stay: CancellationToken,
}

/// How a conversation ends.
enum End {
    /// The client left, or was lost.
    Gone,
    /// We end it with this code and reason.
    Close(u16, std::borrow::Cow<'static, str>),
    /// The client does not read; nothing can be told to it.
    Stalled,
}

/// A command that is being executed, or its result that waits for those before it.
enum Running<'a> {
    Now(Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>),
    Done(Result<Reply>),
}

/// The commands that are being executed, oldest first: one, or edits.
#[derive(Default)]
struct Commands<'a> {
    list: VecDeque<(Ticket, Running<'a>)>,
    edits: bool,
}

/// What the commands of a conversation are executed with.
struct Asker<'a> {
    engine: &'a Engine,
    connection: &'a Connection,
    /// Who was sent away does nothing more.
    stay: &'a CancellationToken,
}

/// A conversation. Its task holds the lock while it works and never while it waits; meanwhile who brings news may take
/// a turn in its place.
struct Shared(Mutex<Talk>);

/// The task that owns the conversation until it ends. What it works with lies beside it, so that the task itself, which
/// every idle connection keeps, stays small.
pub(crate) fn run(
    app: Arc<App>,
    mount: Arc<Mount>,
    pipe: Pipe,
    conversation: Conversation,
) -> impl Future<Output = ()> + Send + 'static {
    let Conversation { session, identity, limited, slot, stay } = conversation;
    let agent = app.config.agents.of(mount.protocol.name);
    let connection = app.engine.connect(identity).answered_by(agent);
    let talk = Talk::new(Arc::clone(&app), mount, pipe, session, limited);
    let shared = Arc::new(Shared(Mutex::new(talk)));
    let bell = Arc::downgrade(&shared);
    connection.ring_at(bell);
    own(app, shared, connection, slot, stay)
}

async fn own(
    app: Arc<App>,
    shared: Arc<Shared>,
    connection: Connection,
    slot: Slot,
    stay: CancellationToken,
) {
    shared.lock().mount.figures.connections.increment(1.0);
    let end = shared.run(Asker { engine: &app.engine, connection: &connection, stay: &stay }).await;
    // What the client holds open ends now, not when its goodbye has been said.
    shared.lock().is_over = true;
    drop(connection);
    drop(slot);
    let patience = app.config.limits.stall();
    let parting = shared.lock().leave(end);
    match parting {
        Parting::Nothing => {}
        Parting::Drain => drop(Box::pin(pipe::drain(&*shared, pipe::GOODBYE)).await),
        Parting::Close(code, reason) => Box::pin(pipe::close(&*shared, code, &reason, patience)).await,
    }
}

/// What is left to do when a conversation has ended.
enum Parting {
    Nothing,
    /// The answer to the client's goodbye may still wait.
    Drain,
    Close(u16, std::borrow::Cow<'static, str>),
}

impl pipe::Shared for Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Pipe) -> T) -> T {
        work(&mut self.lock().pipe)
    }
}

/// Whoever brings changes to many writes them to each socket that takes them at once; that spares waking a thousand
/// tasks, each for one write.
impl Bell for Shared {
    fn ring(&self, mail: &mut Mail<'_>) -> bool {
        self.0.try_lock().is_ok_and(|mut talk| talk.take_mail(mail))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Talk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, asker: Asker<'_>) -> End {
        let mut running = Commands::default();
        let first = self.lock().armed;
        let mut sleep = pin!(tokio::time::sleep_until(first));
        let mut sent_away = pin!(asker.stay.cancelled());
        loop {
            // Many small messages come with one read; others have their turn between them.
            tokio::task::coop::consume_budget().await;
            if asker.stay.is_cancelled() {
                return self.lock().sent_away(asker.connection.identity());
            }
            let prepared = self.lock().prepare(sleep.as_mut());
            let takes_events = match prepared {
                Ok(takes_events) => takes_events,
                Err(end) => return end,
            };
            // What is taken for the client is said under the same lock, so that nobody's turn comes between.
            let mut next = pin!(next_events(asker.connection));
            tokio::select! {
                biased;
                () = sleep.as_mut() => self.lock().on_deadline(),
                () = std::future::poll_fn(|cx| self.lock().poll_work(cx, &asker, &mut running, takes_events)) => {}
                () = std::future::poll_fn(|cx| self.lock().poll_events(cx, next.as_mut())), if takes_events => {}
                () = sent_away.as_mut() => {}
            }
        }
    }
}

async fn next_events(connection: &Connection) -> Vec<Event> {
    let mut events = Vec::new();
    connection.next(&mut events).await;
    events
}

struct Talk {
    app: Arc<App>,
    mount: Arc<Mount>,
    pipe: Pipe,
    session: Box<dyn Session>,
    limited: Option<Limited>,
    waiting: VecDeque<(Ticket, Command)>,
    /// What the dialect has just said; empty while nobody holds the lock.
    frames: Vec<Frame>,
    heart: Heart,
    stall: Stall,
    control_frames: ControlFrames,
    counted: (u64, u64),
    /// When the task wakes by itself.
    armed: Instant,
    /// Somebody else's turn left something for the task to do.
    is_nudged: bool,
    /// How it ends, as soon as the task sees it.
    end: Option<End>,
    /// The task has seen it; nothing more is said but goodbye.
    is_over: bool,
}

impl Talk {
    fn new(
        app: Arc<App>,
        mount: Arc<Mount>,
        pipe: Pipe,
        session: Box<dyn Session>,
        limited: Option<Limited>,
    ) -> Self {
        let now = Instant::now();
        let heart = Heart::new(now, mount.protocol.ping_every, mount.protocol.first_ping_after);
        Self {
            pipe,
            session,
            limited,
            waiting: VecDeque::new(),
            frames: Vec::new(),
            armed: heart.next(),
            heart,
            stall: Stall { limit: app.config.limits.stall(), since: now, written: 0, watching: false },
            control_frames: ControlFrames::new(now.into_std()),
            counted: (0, 0),
            is_nudged: false,
            end: None,
            is_over: false,
            app,
            mount,
        }
    }

    /// Does what is to be done before the task waits again. Whether events are waited for.
    fn prepare(&mut self, sleep: Pin<&mut Sleep>) -> Result<bool, End> {
        self.write();
        if let Some(end) = self.end.take() {
            return Err(end);
        }
        self.is_nudged = false;
        self.rearm(sleep);
        Ok(self.takes_events())
    }

    /// Hands the kernel what it takes. That is nearly always all; then no time has to be watched.
    fn write(&mut self) {
        if !self.pipe.write_now() {
            self.end.get_or_insert(End::Gone);
        }
        self.stall.watch(self.pipe.is_writing(), self.pipe.traffic().1);
    }

    /// While something waits to be written, no events are taken: what a client that does not read is to hear of waits
    /// where it is shared, or in the log.
    fn takes_events(&self) -> bool {
        !self.pipe.is_writing() && self.session.takes_events()
    }

    /// Writes what has come for the client, in its task's place. Whether that leaves nothing for the task to do.
    fn take_mail(&mut self, mail: &mut Mail<'_>) -> bool {
        // When there is room again the task takes it.
        if self.is_over || !self.takes_events() {
            return true;
        }
        if !mail.take() {
            return false;
        }
        self.on_events(mail.events());
        self.write();
        let is_done = self.end.is_none() && !self.pipe.is_writing() && self.deadline() >= self.armed;
        self.is_nudged |= !is_done;
        is_done
    }

    fn leave(&mut self, end: End) -> Parting {
        self.mount.figures.connections.decrement(1.0);
        self.count_traffic();
        match end {
            End::Gone if self.pipe.is_writing() => Parting::Drain,
            End::Gone => Parting::Nothing,
            End::Stalled => {
                self.mount.figures.stalled.increment(1);
                Parting::Nothing
            }
            End::Close(code, reason) => {
                self.app.figures.count_close(code);
                Parting::Close(code, reason)
            }
        }
    }

    /// Why it may stay no longer.
    fn sent_away(&self, identity: &Identity) -> End {
        if self.app.closing.is_cancelled() {
            return End::Close(1012, "the server restarts; come back in a moment".into());
        }
        End::Close(1008, self.app.auth.why_sent_away(identity).message)
    }

    /// Writes what waits, then reads what has come, executes it and writes the answers: all that is possible at once. It
    /// is ready when the task is to look anew at what it waits for.
    fn poll_work<'c>(
        &mut self,
        cx: &mut Context<'_>,
        asker: &Asker<'c>,
        running: &mut Commands<'c>,
        took_events: bool,
    ) -> Poll<()> {
        if self.is_nudged {
            return Poll::Ready(());
        }
        let blocked = match self.pipe.poll_write(cx) {
            Poll::Ready(true) => false,
            Poll::Ready(false) => return self.gone(),
            Poll::Pending => true,
        };
        let reads = self.work(cx, asker, running);
        self.write();
        // What was written may have made room for reading on.
        let waits_as_before = self.end.is_none()
            && reads == Some(self.is_reading())
            && self.pipe.is_writing() == blocked
            && self.takes_events() == took_events
            && self.deadline() >= self.armed;
        if waits_as_before { Poll::Pending } else { Poll::Ready(()) }
    }

    fn gone(&mut self) -> Poll<()> {
        self.end = Some(End::Gone);
        Poll::Ready(())
    }

    /// Reads and executes. What has come is read before a result goes out. Whether it then waits for more to read; `None`
    /// if there is more to do.
    fn work<'c>(
        &mut self,
        cx: &mut Context<'_>,
        asker: &Asker<'c>,
        running: &mut Commands<'c>,
    ) -> Option<bool> {
        loop {
            // Each step is counted, however little it is, so that who floods us has no longer turn than others.
            let Poll::Ready(step) = tokio::task::coop::poll_proceed(cx) else { return None };
            let reading = self.is_reading();
            if !reading || self.poll_message(cx).is_pending() {
                let has_more = self.answer_one(cx, asker, running) && self.has_commands(running);
                if !has_more {
                    return Some(reading);
                }
            }
            step.made_progress();
            if self.end.is_some() {
                return None;
            }
        }
    }

    fn has_commands(&self, running: &Commands<'_>) -> bool {
        !running.list.is_empty() || !self.waiting.is_empty()
    }

    fn is_reading(&self) -> bool {
        self.waiting.len() < WAITING_COMMANDS && self.pipe.has_room() && self.session.has_room()
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.pipe.poll_message(cx)) {
            Turn::Gone => self.end = Some(End::Gone),
            Turn::Broken(code, reason) => self.end = Some(End::Close(code, reason.into())),
            Turn::Message(message) => self.on_message(&message),
        }
        Poll::Ready(())
    }

    /// Begins what may begin and answers the oldest command, if it is done. Whether something was answered.
    fn answer_one<'c>(
        &mut self,
        cx: &mut Context<'_>,
        asker: &Asker<'c>,
        running: &mut Commands<'c>,
    ) -> bool {
        // Looked at before a command begins: who was revoked does nothing more.
        if asker.stay.is_cancelled() {
            return false;
        }
        self.start_more(asker, running);
        let Poll::Ready((ticket, result)) = running.poll_next(cx) else { return false };
        self.on_result(ticket, result);
        true
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        next: Pin<&mut impl Future<Output = Vec<Event>>>,
    ) -> Poll<()> {
        let mut events = ready!(next.poll(cx));
        self.on_events(&mut events);
        Poll::Ready(())
    }

    /// Begins what may begin now of what waits. What the rate limit refuses is answered at once, in its turn.
    fn start_more<'c>(&mut self, asker: &Asker<'c>, running: &mut Commands<'c>) {
        while let Some((ticket, command)) = self.waiting.pop_front_if(|(_, command)| running.admit(command)) {
            if let Err(refused) = self.take_from_bucket(&command) {
                self.on_result(ticket, Err(refused));
                continue;
            }
            running.start(ticket, command, asker);
        }
        if self.waiting.is_empty() {
            // A quiet connection keeps no queue.
            self.waiting = VecDeque::new();
        }
    }

    fn take_from_bucket(&self, command: &Command) -> Result<()> {
        match (&self.limited, command) {
            (Some(limited), Command::SendMessage { chat, .. }) => {
                let taken = self.app.messages.take(&limited.key(chat));
                taken.inspect_err(|_| self.app.figures.count_limit(Limit::Messages))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    fn on_message(&mut self, message: &Message) {
        let now = Instant::now();
        self.heart.heard(now);
        let incoming = match message {
            Message::Text(text) => Incoming::Text(text),
            Message::Binary(bytes) => Incoming::Binary(bytes),
            // The library answers pings and closes by itself when it is polled again.
            Message::Ping(_) | Message::Pong(_) => return self.on_control_frame(now),
            Message::Close(_) | Message::Frame(_) => return,
        };
        self.mount.figures.frames_in.increment(1);
        guard(&mut self.frames, |frames| {
            let Step { frames: answers, commands } = self.session.decode(incoming, now.into_std());
            frames.extend(answers);
            if self.waiting.is_empty() {
                self.waiting = commands.into();
            } else {
                self.waiting.extend(commands);
            }
        });
        self.send();
    }

    fn on_control_frame(&mut self, now: Instant) {
        if self.control_frames.is_flood(now.into_std(), self.app.config.limits.control_frames) {
            self.app.figures.count_limit(Limit::ControlFrames);
            self.end = Some(End::Close(1008, "too many pings; send one now and then".into()));
        }
    }

    fn on_events(&mut self, events: &mut Vec<Event>) {
        let now = Instant::now().into_std();
        guard(&mut self.frames, |frames| {
            for event in events.drain(..) {
                self.session.event(&event, now, frames);
            }
        });
        self.send();
    }

    fn on_result(&mut self, ticket: Ticket, result: Result<Reply>) {
        if let Err(error) = &result {
            self.app.figures.count_error(error.code);
            log_error(error, self.mount.protocol.name);
        }
        let now = Instant::now().into_std();
        guard(&mut self.frames, |frames| self.session.reply(ticket, result, now, frames));
        self.send();
    }

    fn on_deadline(&mut self) {
        let now = Instant::now();
        self.count_traffic();
        if self.pipe.is_writing() && self.stall.is_over(now, self.pipe.traffic().1) {
            self.end = Some(End::Stalled);
            return;
        }
        if self.session.deadline().is_some_and(|at| at <= now.into_std()) {
            guard(&mut self.frames, |frames| self.session.tick(now.into_std(), frames));
            self.send();
        }
        match self.heart.beat(now) {
            Beat::Quiet => {}
            // A ping behind a full queue would only lengthen it; the stall decides there.
            Beat::Ping if self.pipe.is_writing() => {}
            Beat::Ping => self.pipe.push_ping(),
            Beat::Dead => self.end = Some(End::Gone),
        }
    }

    /// Queues what is to be sent. A dialect's close frame ends the conversation.
    fn send(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        self.mount.figures.frames_out.increment(self.frames.len() as u64);
        for frame in self.frames.drain(..) {
            match frame {
                Frame::Text(payload) => self.pipe.push(Kind::Text, payload),
                Frame::Binary(payload) => self.pipe.push(Kind::Binary, payload),
                Frame::Close { code, reason } => {
                    self.end.get_or_insert(End::Close(code, reason));
                    break;
                }
            }
        }
        if self.frames.capacity() > WAITING_COMMANDS {
            self.frames = Vec::new();
        }
    }

    fn deadline(&self) -> Instant {
        let mut next = self.heart.next();
        if let Some(at) = self.session.deadline() {
            next = next.min(at.into());
        }
        if self.pipe.is_writing() {
            next = next.min(self.stall.since + self.stall.limit);
        }
        next
    }

    /// A deadline that has moved away is left where it is: nothing is due then, and it is set anew.
    fn rearm(&mut self, sleep: Pin<&mut Sleep>) {
        let wanted = self.deadline();
        if wanted < sleep.deadline() || sleep.is_elapsed() {
            sleep.reset(wanted);
            self.armed = wanted;
        }
    }

    fn count_traffic(&mut self) {
        let (read, written) = self.pipe.traffic();
        self.mount.figures.bytes_in.increment(read - self.counted.0);
        self.mount.figures.bytes_out.increment(written - self.counted.1);
        self.counted = (read, written);
    }
}

/// Lets the dialect work. If it has a bug that panics, this conversation ends with 1011 and no other notices.
fn guard(frames: &mut Vec<Frame>, work: impl FnOnce(&mut Vec<Frame>)) {
    if catch_unwind(AssertUnwindSafe(|| work(frames))).is_err() {
        // The panic's own words are in the log; they are nothing for a client.
        frames.push(Frame::Close { code: 1011, reason: "the server failed; connect again".into() });
    }
}

fn is_edit(command: &Command) -> bool {
    matches!(command, Command::Edit { .. })
}

impl<'a> Commands<'a> {
    /// Whether a command may begin beside those that are under way. The store does edits in the order in which it is
    /// asked for them, so they need not wait for each other.
    fn admit(&self, command: &Command) -> bool {
        self.list.is_empty() || (self.edits && self.list.len() < EDITS && is_edit(command))
    }

    fn start(&mut self, ticket: Ticket, command: Command, asker: &Asker<'a>) {
        self.edits = is_edit(&command);
        let running = match asker.engine.execute_at_once(asker.connection, &command) {
            Some(result) => Running::Done(result),
            None => Running::Now(Box::pin(asker.engine.execute(asker.connection, command))),
        };
        self.list.push_back((ticket, running));
    }

    /// The result of the oldest one; waits for ever while there is none. All of them go on meanwhile.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Ticket, Result<Reply>)> {
        for (_, running) in &mut self.list {
            if let Running::Now(command) = running
                && let Poll::Ready(result) = command.as_mut().poll(cx)
            {
                *running = Running::Done(result);
            }
        }
        match self.list.pop_front() {
            Some((ticket, Running::Done(result))) => {
                self.shrink();
                Poll::Ready((ticket, result))
            }
            Some(first) => {
                self.list.push_front(first);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// A quiet connection keeps no list.
    fn shrink(&mut self) {
        if self.list.is_empty() {
            self.list = VecDeque::new();
        }
    }
}

/// When to ping, and when to give up.
struct Heart {
    every: Duration,
    heard: Instant,
    pinged: Instant,
    /// Until then a client that has not spoken is left in peace.
    quiet_until: Option<Instant>,
}

enum Beat {
    /// Nothing is due.
    Quiet,
    /// The client has been silent for a while.
    Ping,
    /// It has been silent for so long that it is gone.
    Dead,
}

impl Heart {
    fn new(now: Instant, every: Duration, first_after: Duration) -> Self {
        let quiet_until = (!first_after.is_zero()).then_some(now + first_after);
        Self { every, heard: now, pinged: now, quiet_until }
    }

    fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.quiet_until = None;
    }

    /// After two pings and a half without any sign; silence before the first ping does not count.
    fn dead_at(&self) -> Instant {
        self.quiet_until.unwrap_or(self.heard) + self.every * 5 / 2
    }

    fn ping_at(&self) -> Instant {
        let due = self.heard.max(self.pinged) + self.every;
        self.quiet_until.map_or(due, |quiet| due.max(quiet))
    }

    fn next(&self) -> Instant {
        self.ping_at().min(self.dead_at())
    }

    fn beat(&mut self, now: Instant) -> Beat {
        if now >= self.dead_at() {
            return Beat::Dead;
        }
        if now < self.ping_at() {
            return Beat::Quiet;
        }
        self.pinged = now;
        Beat::Ping
    }
}

/// Since when nothing more went out although something waits.
struct Stall {
    limit: Duration,
    since: Instant,
    written: u64,
    /// Something waits.
    watching: bool,
}

impl Stall {
    /// Something waits now, or nothing does.
    fn watch(&mut self, waits: bool, written: u64) {
        if waits && !self.watching {
            self.begin(Instant::now(), written);
        }
        self.watching = waits;
    }

    fn begin(&mut self, now: Instant, written: u64) {
        self.since = now;
        self.written = written;
    }

    /// Whether the limit has passed without progress; progress begins it anew.
    fn is_over(&mut self, now: Instant, written: u64) -> bool {
        if written != self.written {
            self.begin(now, written);
        }
        now >= self.since + self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_that_panics_ends_its_own_conversation_and_says_nothing_of_why() {
        let mut frames = vec![Frame::text("before")];
        guard(&mut frames, |_| panic!("a secret"));
        let [_, Frame::Close { code: 1011, reason }] = &frames[..] else { panic!("{frames:?}") };
        assert!(!reason.contains("secret") && reason.len() <= 123);
    }

    #[test]
    fn a_silent_client_is_pinged_twice_and_then_given_up() {
        let start = Instant::now();
        let mut heart = Heart::new(start, Duration::from_secs(30), Duration::ZERO);
        let mut beat = |second| heart.beat(start + Duration::from_secs(second));
        assert!(matches!(beat(29), Beat::Quiet));
        assert!(matches!(beat(30), Beat::Ping));
        assert!(matches!(beat(59), Beat::Quiet));
        assert!(matches!(beat(60), Beat::Ping));
        assert!(matches!(beat(74), Beat::Quiet));
        assert!(matches!(beat(75), Beat::Dead));
    }

    #[test]
    fn a_client_that_may_begin_in_peace_is_pinged_when_it_has_spoken_or_been_silent_for_long() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut silent = Heart::new(start, 15 * second, 60 * second);
        assert!(matches!(silent.beat(start + 59 * second), Beat::Quiet));
        assert!(matches!(silent.beat(start + 60 * second), Beat::Ping));
        assert!(matches!(silent.beat(start + 97 * second), Beat::Ping));
        assert!(matches!(silent.beat(start + 98 * second), Beat::Dead));
        let mut speaks = Heart::new(start, 15 * second, 60 * second);
        speaks.heard(start + 10 * second);
        assert!(matches!(speaks.beat(start + 24 * second), Beat::Quiet));
        assert!(matches!(speaks.beat(start + 25 * second), Beat::Ping));
    }

    #[test]
    fn a_client_that_answers_lives() {
        let start = Instant::now();
        let mut heart = Heart::new(start, Duration::from_secs(30), Duration::ZERO);
        for turn in 1..10 {
            let now = start + Duration::from_secs(30 * turn);
            assert!(matches!(heart.beat(now), Beat::Ping));
            heart.heard(now);
        }
    }

    #[test]
    fn progress_begins_the_stall_anew() {
        let start = Instant::now();
        let mut stall = Stall { limit: Duration::from_secs(10), since: start, written: 0, watching: true };
        let at = |second| start + Duration::from_secs(second);
        assert!(!stall.is_over(at(9), 100));
        assert!(!stall.is_over(at(18), 100));
        assert!(stall.is_over(at(19), 100));
    }
}
