//! The journal: the one who writes chat logs.
//!
//! One task takes everything that has queued up, of all chats, writes it in one transaction, and hands it to the
//! rooms. It alone allots sequence numbers, and only for what it is about to write, so a failed write leaves no hole.
//! With its end a run's deltas go: they are its text, which the end has.
//!
//! When a transaction fails, each job is tried alone: one that cannot be written disturbs no other. A room whose
//! write failed asks the store for its log's end before the next one, because a failure may be reported after the
//! deed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ended;
use crate::bus::{Bus, Topic};
use crate::connection::Limits;
use crate::engine::Counters;
use crate::error::{Error, Result};
use crate::event::{AgentEvent, ChatBody, ChatEvent, Checkpoint};
use crate::hub::{Room, Weighed};
use crate::id::{Clock, Seq, Timestamp};
use crate::store::Store;
use crate::store::entry::{LogEntry, Place, encode};

/// Jobs that one transaction takes at most.
const BATCH: usize = 1024;

/// Something that is to be written. Whoever makes it does the encoding, so that the journal need not.
pub(crate) struct Draft {
    body: ChatBody,
    json: Bytes,
}

impl Draft {
    pub(crate) fn new(body: ChatBody) -> Self {
        Self { json: encode(&body), body: shown(body) }
    }

    /// How much of an inbox it takes.
    fn weight(&self) -> usize {
        match &self.body {
            ChatBody::Run { event: AgentEvent::Checkpoint(_), .. } => 0,
            _ => self.json.len(),
        }
    }
}

/// A body as readers get it: what a checkpoint says is nobody's business but the log's.
pub(crate) fn shown(body: ChatBody) -> ChatBody {
    match body {
        ChatBody::Run { run, event: AgentEvent::Checkpoint(_), text } => {
            ChatBody::Run { run, event: AgentEvent::Checkpoint(Checkpoint::Hidden), text }
        }
        body => body,
    }
}

/// Says when something is written, or why it is not.
pub(crate) struct Written(oneshot::Receiver<Result<()>>);

impl Written {
    pub(crate) async fn wait(self) -> Result<()> {
        self.0.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// What belongs together: adjacent entries of one chat.
struct Job {
    room: Arc<Room>,
    drafts: Vec<Draft>,
    /// The sequence number of the first draft, once it is planned.
    first: Seq,
    /// Who waits for it; nobody does for what the room owed.
    done: Option<oneshot::Sender<Result<()>>>,
}

/// The way to the journal.
pub(crate) struct Journal {
    /// It has no size of its own: a run has at most one job here, an opening message another, so there are at most
    /// twice as many jobs as open runs, and those are bounded by the queues of the chats.
    jobs: mpsc::UnboundedSender<Job>,
}

impl Journal {
    /// Puts something at the end of what is to be written. Jobs of one chat are written in the order of these calls.
    pub(crate) fn write(&self, room: &Arc<Room>, drafts: Vec<Draft>) -> Written {
        let (done, written) = oneshot::channel();
        let job = Job { room: Arc::clone(room), drafts, first: Seq::START, done: Some(done) };
        // Without a journal the job is dropped, and with it `done`: who waits hears that the engine has ended.
        let _ = self.jobs.send(job);
        Written(written)
    }
}

/// The journal's task.
pub(crate) struct Scribe {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
}

impl Scribe {
    /// Starts the task; it ends with `ended`, or when nobody can write any more.
    pub(crate) fn start(self, ended: CancellationToken) -> Journal {
        let (jobs, queue) = mpsc::unbounded_channel();
        tokio::spawn(async move { ended.run_until_cancelled(self.run(queue)).await });
        Journal { jobs }
    }

    async fn run(self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            // Others who are about to write do so first: one transaction costs little more for many than for one.
            tokio::task::yield_now().await;
            while batch.len() < BATCH
                && let Ok(job) = queue.try_recv()
            {
                batch.push(job);
            }
            self.serve(with_debts(std::mem::take(&mut batch))).await;
        }
    }

    async fn serve(&self, mut jobs: Vec<Job>) {
        match self.append(&mut jobs).await {
            Ok(at) => jobs.into_iter().for_each(|job| self.deliver(job, at)),
            Err(error) if jobs.len() == 1 => jobs.into_iter().for_each(|job| refuse(job, &error)),
            Err(_) => self.serve_singly(jobs).await,
        }
    }

    async fn serve_singly(&self, jobs: Vec<Job>) {
        for mut job in jobs {
            match self.append(std::slice::from_mut(&mut job)).await {
                Ok(at) => self.deliver(job, at),
                Err(error) => refuse(job, &error),
            }
        }
    }

    /// Writes the jobs in one transaction, or none of them.
    async fn append(&self, jobs: &mut [Job]) -> Result<Timestamp> {
        for job in &*jobs {
            self.settle(&job.room).await?;
        }
        let at = self.clock.now();
        let entries = self.plan(jobs, at);
        if entries.is_empty() {
            return Ok(at);
        }
        let count = entries.len() as u64;
        let written = self.store.append_and_collapse(entries).await;
        if let Err(error) = written {
            self.counters.append_failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, cause = ?error.cause, "chat entries could not be written");
            jobs.iter().for_each(|job| doubt(&job.room));
            return Err(error);
        }
        self.counters.appends.fetch_add(1, Ordering::Relaxed);
        self.counters.entries.fetch_add(count, Ordering::Relaxed);
        Ok(at)
    }

    /// Asks for the log's end if the last write to it failed.
    async fn settle(&self, room: &Room) -> Result<()> {
        if !room.lock().unsure {
            return Ok(());
        }
        let head = self.store.chat(room.chat).await?;
        let head = head.ok_or_else(|| Error::unavailable("this chat has been removed; open another one"))?;
        room.settle(head.last_seq);
        Ok(())
    }

    fn plan(&self, jobs: &mut [Job], at: Timestamp) -> Vec<LogEntry> {
        let epoch = self.store.epoch();
        let mut entries = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut state = job.room.lock();
            job.first = state.planned.next();
            for draft in &job.drafts {
                state.planned = state.planned.next();
                let place = Place { chat: job.room.chat, seq: state.planned, epoch, at };
                entries.push(LogEntry::new(place, &draft.body, draft.json.clone()));
            }
        }
        entries
    }

    fn deliver(&self, job: Job, at: Timestamp) {
        let Job { room, drafts, first, done } = job;
        let mut seq = first;
        let events: Vec<Weighed> = drafts
            .into_iter()
            .map(|draft| {
                let weight = draft.weight();
                let event = ChatEvent::new(room.chat, seq, seq, at, draft.body);
                seq = seq.next();
                (Arc::new(event), weight)
            })
            .collect();
        if let Some((last, _)) = events.last() {
            let fell_behind = room.deliver(&events, last.to, self.limits);
            self.counters.fell_behind.fetch_add(fell_behind, Ordering::Relaxed);
            self.bus.publish(&Topic::Chat(room.chat), last.to.0);
        }
        if let Some(done) = done {
            // Whoever asked may have gone; what is written stays written.
            let _ = done.send(Ok(()));
        }
    }
}

/// Before each job what its room owes.
fn with_debts(jobs: Vec<Job>) -> Vec<Job> {
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        let owed = std::mem::take(&mut job.room.lock().owed);
        if !owed.is_empty() {
            let drafts = owed.into_iter().map(Draft::new).collect();
            all.push(Job { room: Arc::clone(&job.room), drafts, first: Seq::START, done: None });
        }
        all.push(job);
    }
    all
}

fn doubt(room: &Room) {
    let mut state = room.lock();
    state.planned = state.written;
    state.unsure = true;
}

fn refuse(job: Job, error: &Error) {
    match job.done {
        Some(done) => {
            let _ = done.send(Err(error.clone()));
        }
        None => {
            let owed = job.drafts.into_iter().map(|draft| draft.body);
            job.room.lock().owed.splice(0..0, owed);
        }
    }
}
