//! The socket's loop: one task owns one WebSocket and everything that belongs to it.
//!
//! A turn of the loop has one arm for each thing that can happen: a frame came in or the queued ones went out, an
//! event wants out, a command was executed, a deadline passed, the server is closing. Commands of one connection are
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
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidewire_engine::{Command, Connection, Engine, Event, Identity, Reply, Result};
use tidewire_protocols::{Frame, Incoming, Session, Step, Ticket};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::figures::Limit;
use crate::limits::{ControlFrames, Limited, Slot};
use crate::pipe::{Pipe, Turn};
use crate::server::{App, Mount};
use crate::telemetry::log_error;

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
    /// Cancelled when it may stay no longer: its key was revoked, or the server closes.
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

/// The task that owns the conversation until it ends. What it works with lies in one box beside it, so that the task
/// itself, which every idle connection keeps, stays small.
pub(crate) fn run(
    app: Arc<App>,
    mount: Arc<Mount>,
    pipe: Pipe,
    conversation: Conversation,
) -> impl Future<Output = ()> + Send + 'static {
    let Conversation { session, identity, limited, slot, stay } = conversation;
    let agent = app.config.agents.of(mount.protocol.name);
    let connection = app.engine.connect(identity).answered_by(agent);
    let talk = Box::new(Talk::new(Arc::clone(&app), mount, pipe, session, limited, stay));
    own(app, talk, connection, slot)
}

async fn own(app: Arc<App>, talk: Box<Talk>, connection: Connection, slot: Slot) {
    talk.mount.figures.connections.increment(1.0);
    let (mut talk, end) = talk.run(&app.engine, &connection).await;
    // What the client holds open ends now, not when its goodbye has been said.
    drop(connection);
    drop(slot);
    talk.mount.figures.connections.decrement(1.0);
    talk.count_traffic();
    match end {
        End::Gone => {}
        End::Stalled => talk.mount.figures.stalled.increment(1),
        End::Close(code, reason) => {
            app.figures.count_close(code);
            Box::pin(talk.pipe.close(code, &reason, app.config.limits.stall())).await;
        }
    }
}

struct Talk {
    app: Arc<App>,
    mount: Arc<Mount>,
    pipe: Pipe,
    session: Box<dyn Session>,
    limited: Option<Limited>,
    stay: CancellationToken,
    waiting: VecDeque<(Ticket, Command)>,
    heart: Heart,
    stall: Stall,
    control_frames: ControlFrames,
    counted: (u64, u64),
}

impl Talk {
    fn new(
        app: Arc<App>,
        mount: Arc<Mount>,
        pipe: Pipe,
        session: Box<dyn Session>,
        limited: Option<Limited>,
        stay: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            pipe,
            session,
            limited,
            stay,
            waiting: VecDeque::new(),
            heart: Heart::new(now, mount.protocol.ping_every, mount.protocol.first_ping_after),
            stall: Stall { limit: app.config.limits.stall(), since: now, written: 0 },
            control_frames: ControlFrames::new(now.into_std()),
            counted: (0, 0),
            app,
            mount,
        }
    }

    /// Gives itself back with how it ended, so that the goodbye can be said when everything else is released.
    async fn run(mut self: Box<Self>, engine: &Engine, connection: &Connection) -> (Box<Self>, End) {
        let stay = self.stay.clone();
        let mut running = Commands::default();
        let mut events = Vec::new();
        let mut frames = Vec::new();
        let mut sleep = pin!(tokio::time::sleep_until(self.deadline()));
        let mut sent_away = pin!(stay.cancelled());
        loop {
            // Looked at before a command begins: who was revoked does nothing more.
            if stay.is_cancelled() {
                let end = self.sent_away();
                return (self, end);
            }
            self.start_more(engine, connection, &mut running, &mut frames);
            if let Err(end) = self.send(&mut frames) {
                return (self, end);
            }
            // Nearly always the kernel takes it all; then no time has to be watched.
            if self.pipe.is_writing() && !self.pipe.write_now().await {
                return (self, End::Gone);
            }
            self.rearm(sleep.as_mut());
            let reading = self.waiting.len() < WAITING_COMMANDS && self.pipe.has_room();
            tokio::select! {
                biased;
                () = sleep.as_mut() => {
                    if let Err(end) = self.on_deadline(&mut frames) {
                        return (self, end);
                    }
                }
                turn = std::future::poll_fn(|cx| self.pipe.poll_turn(cx, reading)) => {
                    match turn {
                        Turn::Written => {}
                        Turn::Idle => self.pipe = Box::pin(self.pipe.slim()).await,
                        Turn::Gone => return (self, End::Gone),
                        Turn::Broken(code, reason) => return (self, End::Close(code, reason.into())),
                        Turn::Message(message) => self.on_message(message, &mut frames),
                    }
                }
                (ticket, result) = std::future::poll_fn(|cx| running.poll_next(cx)) => {
                    self.on_result(ticket, result, &mut frames);
                }
                () = connection.next(&mut events), if self.pipe.has_room_for_events() && self.session.takes_events() => {
                    self.on_events(&mut events, &mut frames);
                }
                () = sent_away.as_mut() => {}
            }
        }
    }

    /// Why it may stay no longer.
    fn sent_away(&self) -> End {
        if self.app.closing.is_cancelled() {
            return End::Close(1012, "the server restarts; come back in a moment".into());
        }
        End::Close(1008, "the key was revoked; ask for another".into())
    }

    /// Begins what may begin now of what waits. What the rate limit refuses is answered at once, in its turn.
    fn start_more<'c>(
        &mut self,
        engine: &'c Engine,
        connection: &'c Connection,
        running: &mut Commands<'c>,
        frames: &mut Vec<Frame>,
    ) {
        while let Some((ticket, command)) = self.waiting.pop_front_if(|(_, command)| running.admit(command)) {
            if let Err(refused) = self.take_from_bucket(&command) {
                self.on_result(ticket, Err(refused), frames);
                continue;
            }
            running.push(ticket, is_edit(&command), Box::pin(engine.execute(connection, command)));
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

    fn on_message(&mut self, message: Message, frames: &mut Vec<Frame>) {
        let now = Instant::now();
        self.heart.heard(now);
        let incoming = match &message {
            Message::Text(text) => Incoming::Text(text),
            Message::Binary(bytes) => Incoming::Binary(bytes),
            // The library answers pings and closes by itself when it is polled again.
            Message::Ping(_) | Message::Pong(_) => return self.on_control_frame(now, frames),
            Message::Close(_) | Message::Frame(_) => return,
        };
        self.mount.figures.frames_in.increment(1);
        guard(frames, |frames| {
            let Step { frames: answers, commands } = self.session.decode(incoming, now.into_std());
            frames.extend(answers);
            self.waiting.extend(commands);
        });
    }

    fn on_control_frame(&mut self, now: Instant, frames: &mut Vec<Frame>) {
        if self.control_frames.is_flood(now.into_std(), self.app.config.limits.control_frames) {
            self.app.figures.count_limit(Limit::ControlFrames);
            let reason = "too many pings; send one now and then".into();
            frames.push(Frame::Close { code: 1008, reason });
        }
    }

    fn on_events(&mut self, events: &mut Vec<Event>, frames: &mut Vec<Frame>) {
        let now = Instant::now().into_std();
        guard(frames, |frames| {
            for event in events.drain(..) {
                self.session.event(&event, now, frames);
            }
        });
        if events.capacity() > WAITING_COMMANDS {
            *events = Vec::new();
        }
    }

    fn on_result(&mut self, ticket: Ticket, result: Result<Reply>, frames: &mut Vec<Frame>) {
        if let Err(error) = &result {
            self.app.figures.count_error(error.code);
            log_error(error, self.mount.protocol.name);
        }
        guard(frames, |frames| self.session.reply(ticket, result, Instant::now().into_std(), frames));
    }

    fn on_deadline(&mut self, frames: &mut Vec<Frame>) -> Result<(), End> {
        let now = Instant::now();
        self.count_traffic();
        if self.pipe.is_writing() && self.stall.is_over(now, self.pipe.traffic().1) {
            return Err(End::Stalled);
        }
        if self.session.deadline().is_some_and(|at| at <= now.into_std()) {
            guard(frames, |frames| self.session.tick(now.into_std(), frames));
        }
        match self.heart.beat(now) {
            Beat::Quiet => {}
            // A ping behind a full queue would only lengthen it; the stall decides there.
            Beat::Ping if self.pipe.is_writing() => {}
            Beat::Ping => self.pipe.push_ping(),
            Beat::Dead => return Err(End::Gone),
        }
        Ok(())
    }

    /// Queues what is to be sent. A dialect's close frame ends the conversation.
    fn send(&mut self, frames: &mut Vec<Frame>) -> Result<(), End> {
        if frames.is_empty() {
            return Ok(());
        }
        if !self.pipe.is_writing() {
            self.stall.begin(Instant::now(), self.pipe.traffic().1);
        }
        for frame in frames.drain(..) {
            if let Frame::Close { code, reason } = frame {
                return Err(End::Close(code, reason));
            }
            self.mount.figures.frames_out.increment(1);
            self.pipe.push(frame);
        }
        if frames.capacity() > WAITING_COMMANDS {
            *frames = Vec::new();
        }
        Ok(())
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

    fn rearm(&self, sleep: Pin<&mut Sleep>) {
        let wanted = self.deadline();
        if sleep.deadline() != wanted {
            sleep.reset(wanted);
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

    fn push(
        &mut self,
        ticket: Ticket,
        is_edit: bool,
        command: Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>,
    ) {
        self.edits = is_edit;
        self.list.push_back((ticket, Running::Now(command)));
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
}

impl Stall {
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
        let mut stall = Stall { limit: Duration::from_secs(10), since: start, written: 0 };
        let at = |second| start + Duration::from_secs(second);
        assert!(!stall.is_over(at(9), 100));
        assert!(!stall.is_over(at(18), 100));
        assert!(stall.is_over(at(19), 100));
    }
}
