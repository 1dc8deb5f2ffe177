//! One thread that writes one database.
//!
//! It takes everything that has queued up, does it in one transaction, and answers everybody after the commit: a sync
//! to disk costs the same for one command and for five hundred. If a command fails, the transaction is undone and done
//! again with a savepoint for each. What the commands do is not known here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::checkpoint::Checkpoints;
use super::failure;
use super::reply::{Reply, Wakers, reply};
use crate::error::{Error, Result};

/// So many commands may wait; the next caller waits for a place before it queues.
pub(super) const QUEUE: usize = 1024;
/// So many commands share one transaction, so that the first of them does not wait for too many others.
const GROUP: usize = 512;
/// So many groups have savepoints after one in which a command failed: commands that fail come in swarms.
const CAREFUL: u32 = 16;
/// How often the writer looks after what nobody asks for, such as records that expire.
const CHORES: Duration = Duration::from_secs(1);
/// The same, while there is more of it than is done at once.
const MORE_CHORES: Duration = Duration::from_millis(5);

/// What a writer does besides commands.
pub(super) trait Upkeep: Send + 'static {
    /// What commands and chores have to tell once they are committed.
    type News: Send + 'static;

    /// A transaction, or a command in it, is about to begin, or one was undone.
    fn turn(&self) {}
    /// A transaction, or a command in it, was undone: what was noted while it was done is not so.
    fn undone(&self) {}
    /// Small work every second; it runs in a transaction of its own. Whether there is more to do.
    fn chores(&mut self, connection: &Connection, news: &mut Vec<Self::News>) -> Result<bool>;
    /// Tells what was committed, in order, after those who asked were answered.
    fn committed(&mut self, news: Vec<Self::News>);
    /// The last thing before a clean close.
    fn finish(&self, connection: &Connection) -> Result<()>;
}

/// The way to a writer thread. Dropping it does what is queued and ends the thread, without [`Upkeep::finish`].
#[derive(Debug)]
pub(super) struct Writer<N> {
    /// `None` only while it is dropped.
    queue: Option<Sender<Message<N>>>,
    room: Arc<Semaphore>,
    commits: Arc<AtomicU64>,
    /// Where those who ask live; known from the first of them on.
    runtime: Arc<OnceLock<Handle>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message<N> {
    Job(Box<dyn Job<N>>, #[allow(dead_code, reason = "its drop frees the place")] OwnedSemaphorePermit),
    Close(oneshot::Sender<Result<()>>),
}

/// One command: done, perhaps a second time if its group was undone, and answered once.
trait Job<N>: Send {
    /// Whether it succeeded and is to be kept.
    fn work(&mut self, connection: &Connection) -> bool;
    /// What it has to tell if it is committed.
    fn news(&mut self) -> Vec<N>;
    /// Puts the answer down. Whom to wake.
    fn answer(self: Box<Self>, committed: Result<()>) -> Option<Waker>;
}

struct Call<T, F, N> {
    work: F,
    news: Vec<N>,
    outcome: Option<Result<T>>,
    reply: Reply<Result<T>>,
}

impl<T, F, N> Job<N> for Call<T, F, N>
where
    T: Send,
    F: FnMut(&Connection, &mut Vec<N>) -> Result<T> + Send,
    N: Send,
{
    fn work(&mut self, connection: &Connection) -> bool {
        // A panic must not end the writer: everybody else's writes depend on it.
        self.news.clear();
        let done = catch_unwind(AssertUnwindSafe(|| (self.work)(connection, &mut self.news)));
        let outcome = done.unwrap_or_else(|_| Err(Error::internal(Panicked)));
        let kept = outcome.is_ok();
        self.outcome = Some(outcome);
        kept
    }

    fn news(&mut self) -> Vec<N> {
        match self.outcome {
            Some(Ok(_)) => std::mem::take(&mut self.news),
            Some(Err(_)) | None => Vec::new(),
        }
    }

    fn answer(self: Box<Self>, committed: Result<()>) -> Option<Waker> {
        let answer = match (self.outcome, committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(failure::closed()),
        };
        self.reply.put(answer)
    }
}

#[derive(Debug)]
struct Panicked;

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a store command panicked")
    }
}

impl std::error::Error for Panicked {}

impl<N: Send + 'static> Writer<N> {
    /// Starts the thread. Without `checkpoints` SQLite makes them within commits. `guard` lives as long as the thread
    /// does: the lock on the data folder.
    pub(super) fn start(
        name: &'static str,
        (connection, checkpoints): (Connection, Option<Checkpoints>),
        upkeep: impl Upkeep<News = N>,
        guard: impl Send + 'static,
    ) -> Result<Self> {
        let (queue, jobs) = channel();
        let (commits, runtime) = (Arc::new(AtomicU64::new(0)), Arc::new(OnceLock::new()));
        let (counted, known) = (Arc::clone(&commits), Arc::clone(&runtime));
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let thread = Thread {
                    name,
                    checkpoints,
                    connection,
                    upkeep: Box::new(upkeep),
                    jobs,
                    commits: counted,
                    runtime: known,
                    next_chores: Instant::now() + CHORES,
                    careful: 0,
                };
                thread.run();
                drop(guard);
            })
            .map_err(|e| {
                Error::unavailable("the server cannot start a thread; raise its limits").caused_by(e)
            })?;
        Ok(Self {
            queue: Some(queue),
            room: Arc::new(Semaphore::new(QUEUE)),
            commits,
            runtime,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Does `work` in the next transaction and returns when that is committed. Dropping the future before the work was
    /// queued leaves it undone, afterwards it is done. `work` is called again if its group's transaction was lost.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &mut Vec<N>) -> Result<T> + Send + 'static,
    {
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| failure::closed())?;
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            self.runtime.set(runtime).ok(); // somebody else was first
        }
        let (reply, answer) = reply();
        let job = Box::new(Call { work, news: Vec::new(), outcome: None, reply });
        self.send(Message::Job(job, place))?;
        answer.await.ok_or_else(failure::closed)?
    }

    /// Does what is queued, then [`Upkeep::finish`], and ends the thread. Closing twice is no error.
    pub(super) async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.send(Message::Close(reply)).is_err() {
            return Ok(());
        }
        let finished = answer.await.unwrap_or(Ok(()));
        if let Some(thread) = self.take_thread() {
            tokio::task::spawn_blocking(move || thread.join().ok()).await.ok();
        }
        finished
    }

    /// A number that is another one after each commit, from before anybody is told of it.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// How many commands wait for the thread, of the [`QUEUE`] that may.
    pub(super) fn waiting(&self) -> usize {
        QUEUE - self.room.available_permits()
    }

    fn send(&self, message: Message<N>) -> Result<()> {
        let queue = self.queue.as_ref().ok_or_else(failure::closed)?;
        queue.send(message).map_err(|_| failure::closed())
    }
}

impl<N> Writer<N> {
    fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<N> Drop for Writer<N> {
    /// Waits for the thread, so that whoever opens the folder next finds it free.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.take_thread() {
            thread.join().ok(); // a panic was logged where it happened
        }
    }
}

/// The thread's own things.
struct Thread<N> {
    name: &'static str,
    /// Before the connection, so that it is the last that closes the file.
    checkpoints: Option<Checkpoints>,
    connection: Connection,
    upkeep: Box<dyn Upkeep<News = N>>,
    jobs: Receiver<Message<N>>,
    /// How often it has committed.
    commits: Arc<AtomicU64>,
    runtime: Arc<OnceLock<Handle>>,
    next_chores: Instant,
    /// So many groups are still done with savepoints.
    careful: u32,
}

impl<N: Send + 'static> Thread<N> {
    fn run(mut self) {
        loop {
            match self.jobs.recv_timeout(self.next_chores.saturating_duration_since(Instant::now())) {
                Ok(Message::Job(job, place)) => {
                    if let Some(reply) = self.serve(job, place) {
                        return self.close(reply);
                    }
                }
                Ok(Message::Close(reply)) => return self.close(reply),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.chores_if_due();
            self.look_after_the_log();
        }
    }

    /// Serves a job and all that came with it. Returns whom to answer when it met the wish to close.
    fn serve(
        &mut self,
        first: Box<dyn Job<N>>,
        place: OwnedSemaphorePermit,
    ) -> Option<oneshot::Sender<Result<()>>> {
        let mut group = vec![first];
        let mut places = vec![place];
        let mut close = None;
        // Who asked has woken this thread, and may have more to ask or stand beside others who ask: a thread that took
        // their core at once would commit the first one alone, and the others after it.
        std::thread::yield_now();
        while group.len() < GROUP {
            match self.jobs.try_recv() {
                Ok(Message::Job(job, place)) => {
                    group.push(job);
                    places.push(place);
                }
                Ok(Message::Close(reply)) => {
                    close = Some(reply);
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        drop(places); // they left the queue: others may come while this group is written
        self.commit(group);
        close
    }

    /// Commits a group. If its transaction is lost (disk full), each command gets one of its own: the one that was
    /// too large does not take the others with it.
    fn commit(&mut self, mut group: Vec<Box<dyn Job<N>>>) {
        let committed = self.attempt(&mut group);
        if let Err(error) = &committed {
            tracing::warn!(writer = self.name, error = ?error.cause, "a transaction was lost: {error}");
        }
        if committed.is_ok() || group.len() == 1 {
            return self.answer(group, &committed);
        }
        for mut job in group {
            let committed = self.attempt(std::slice::from_mut(&mut job));
            self.answer(vec![job], &committed);
        }
    }

    fn answer(&mut self, mut group: Vec<Box<dyn Job<N>>>, committed: &Result<()>) {
        let news = match committed {
            Ok(()) => group.iter_mut().flat_map(|job| job.news()).collect(),
            Err(_) => Vec::new(),
        };
        // All answers are there before anybody is woken or told.
        let mut wakers = Wakers::default();
        wakers.extend(group.into_iter().filter_map(|job| job.answer(committed.clone())));
        wakers.wake(self.runtime.get());
        self.tell(news);
    }

    fn tell(&mut self, news: Vec<N>) {
        if news.is_empty() {
            return;
        }
        let told = catch_unwind(AssertUnwindSafe(|| self.upkeep.committed(news)));
        if told.is_err() {
            tracing::error!(writer = self.name, "a listener panicked");
        }
    }

    /// Does a group in one transaction. An error says that nothing of it is done.
    fn attempt(&mut self, group: &mut [Box<dyn Job<N>>]) -> Result<()> {
        if let Some(careful) = self.careful.checked_sub(1) {
            self.careful = careful;
        } else if self.in_transaction(|this| this.all(group))? || group.len() == 1 {
            return Ok(());
        } else {
            self.careful = CAREFUL;
        }
        self.in_transaction(|this| {
            group.iter_mut().try_for_each(|job| this.in_savepoint(job.as_mut()))?;
            this.commit_now()
        })
    }

    /// Does `work`, which commits or rolls back, in a transaction. After an error there is none.
    fn in_transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.upkeep.turn();
        let done = self.execute("BEGIN IMMEDIATE").and_then(|()| work(self));
        if done.is_err() {
            self.upkeep.undone();
            if !self.connection.is_autocommit() {
                self.execute("ROLLBACK")?;
            }
        }
        done
    }

    /// Does all jobs and commits, or undoes everything when one failed. A savepoint costs as much as what most jobs
    /// do: SQLite keeps each page that is changed after it once more.
    fn all(&self, group: &mut [Box<dyn Job<N>>]) -> Result<bool> {
        let done = group.iter_mut().all(|job| self.work(job.as_mut()));
        if done {
            self.commit_now()?;
        } else {
            self.upkeep.undone();
            if !self.connection.is_autocommit() {
                self.execute("ROLLBACK")?;
            }
        }
        Ok(done)
    }

    fn work(&self, job: &mut dyn Job<N>) -> bool {
        self.upkeep.turn();
        job.work(&self.connection)
    }

    /// Does one job and undoes it if it failed. An error says that the whole transaction is gone.
    fn in_savepoint(&self, job: &mut dyn Job<N>) -> Result<()> {
        self.execute("SAVEPOINT job")?;
        if !self.work(job) {
            self.upkeep.undone();
            if self.connection.is_autocommit() {
                return Err(Error::unavailable("the server could not write; try again"));
            }
            self.execute("ROLLBACK TO job")?;
            self.upkeep.turn();
        }
        self.execute("RELEASE job")
    }

    /// A failure may be reported after the deed, so that counts too.
    fn commit_now(&self) -> Result<()> {
        let committed = self.execute("COMMIT");
        self.commits.fetch_add(1, Ordering::Release);
        committed
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn chores_if_due(&mut self) {
        if Instant::now() < self.next_chores {
            return;
        }
        let mut news = Vec::new();
        self.upkeep.turn();
        let done = self.execute("BEGIN IMMEDIATE").and_then(|()| {
            let more = self.upkeep.chores(&self.connection, &mut news)?;
            self.commit_now()?;
            Ok(more)
        });
        self.next_chores = Instant::now() + if let Ok(true) = done { MORE_CHORES } else { CHORES };
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.look();
        }
        match done {
            Ok(_) => self.tell(news),
            Err(error) => {
                tracing::warn!(writer = self.name, error = ?error.cause, "housekeeping failed: {error}");
                self.execute("ROLLBACK").ok(); // there may be none to roll back
            }
        }
    }

    /// Those who wrote have been answered: nobody but who writes next waits for it.
    fn look_after_the_log(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.committed();
        }
    }

    fn close(mut self, reply: oneshot::Sender<Result<()>>) {
        drop(self.checkpoints.take()); // who copies would be in the way of the last checkpoint
        let finished = self.upkeep.finish(&self.connection);
        drop(self.connection);
        reply.send(finished).ok();
    }
}
