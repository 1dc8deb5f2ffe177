//! The reading connections of one database.
//!
//! Readers never wait for the writer (WAL) and never block the runtime: each read has a connection for itself on a
//! thread that may block. A thread that is done with a read takes the next one that waits, so that a thread is begun
//! only when a connection was idle. A read whose asker went away is interrupted.
//!
//! Small reads (a record by its key) share: those that came while one thread was at it are read together by that
//! thread, in one transaction. A hundred askers then cost a few changes of threads, not a hundred.
//!
//! Reads that are mostly short wait until those who are about to ask have asked, and few threads read them one after the
//! other. They hold their answers while others wait, and tell several at once: each answer wakes its asker, which on a busy
//! core takes it away from the reading thread. One that may take long first lets another thread read what waits.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, InterruptHandle};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::failure;
use crate::error::{Error, Result};

/// The connections, and what waits for one.
#[derive(Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    small: Arc<Mutex<Small>>,
}

/// What all reads share.
#[derive(Debug)]
struct Shared {
    pool: Mutex<Pool>,
    /// Rings when a connection comes back after the pool was closed.
    returned: Notify,
}

struct Pool {
    idle: Vec<Connection>,
    /// So many connections are out.
    lent: usize,
    waiting: VecDeque<Read>,
    /// Whether somebody is about to see to those that wait.
    is_starting: bool,
    is_closed: bool,
}

/// A read that waits for a connection; it answers its asker itself, or leaves the answer to be told with others.
type Read = Box<dyn FnOnce(&Connection, &mut Held) + Send>;

/// So many answers are told at once, and so many short reads are worth a thread.
const TOGETHER: usize = 16;
/// More threads than this would only take turns.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// Answers that are about to be told.
pub(super) struct Held {
    answers: Vec<Box<dyn FnOnce() + Send>>,
    shared: Arc<Shared>,
}

impl Held {
    /// Tells them and leaves the reads that wait to another thread. A read that may take long does so before it begins.
    pub(super) fn tell(&mut self) {
        self.flush();
        self.shared.spread();
    }

    fn put(&mut self, answer: impl FnOnce() + Send + 'static) {
        self.answers.push(Box::new(answer));
        if self.answers.len() == TOGETHER {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.answers.drain(..).for_each(|answer| answer());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.flush();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} connections lent, {} idle, {} reads wait",
            self.lent,
            self.idle.len(),
            self.waiting.len()
        )
    }
}

/// A small read that waits for others; it answers its asker itself.
type SmallRead = Box<dyn FnOnce(&Connection) + Send>;

/// Small reads that wait, and whether a thread is about to read them.
#[derive(Default)]
struct Small {
    waiting: Vec<SmallRead>,
    is_served: bool,
}

impl std::fmt::Debug for Small {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} small reads", self.waiting.len())
    }
}

impl Readers {
    /// A pool of these connections.
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let waiting = VecDeque::new();
        let pool = Pool { idle: connections, lent: 0, waiting, is_starting: false, is_closed: false };
        let shared = Shared { pool: Mutex::new(pool), returned: Notify::new() };
        Self { shared: Arc::new(shared), small: Arc::default() }
    }

    /// Does `work` with a connection of its own, in one read transaction: all that it reads is of one moment.
    /// Dropping the future interrupts the read.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let reading = Reading::default();
        let state = Arc::clone(&reading.0);
        self.shared.ask(Box::new(move |connection, held| {
            held.tell();
            if begin(&state, connection) {
                let outcome = safely(|| in_transaction(connection, work));
                *lock(&state) = State::Over;
                reply.send(outcome).ok(); // the asker may have gone
            }
        }))?;
        answer.await.map_err(|_| failure::closed())?
    }

    /// The same for work that is short, or tells what is held before it becomes long. Its answer may wait for a few
    /// others.
    pub(super) async fn short<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Held) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let reading = Reading::default();
        let state = Arc::clone(&reading.0);
        self.shared.ask_together(Box::new(move |connection, held| {
            if begin(&state, connection) {
                let outcome = safely(|| in_transaction(connection, |connection| work(connection, held)));
                *lock(&state) = State::Over;
                held.put(move || _ = reply.send(outcome)); // the asker may have gone
            }
        }))?;
        answer.await.map_err(|_| failure::closed())?
    }

    /// Does a small read, together with others that wait. It sees everything that was committed before the call.
    pub(super) async fn small<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read: SmallRead = Box::new(move |connection| {
            reply.send(safely(|| work(connection))).ok(); // the asker may have gone
        });
        let begin = {
            let mut small = lock(&self.small);
            small.waiting.push(read);
            !std::mem::replace(&mut small.is_served, true)
        };
        if begin {
            tokio::spawn(serve(Arc::clone(&self.small), Arc::clone(&self.shared)));
        }
        answer.await.map_err(|_| failure::closed())?
    }

    /// How many connections are reading, and how many reads wait for one.
    pub(super) fn standing(&self) -> (usize, usize) {
        let small = lock(&self.small).waiting.len();
        let pool = lock(&self.shared.pool);
        (pool.lent, pool.waiting.len() + small)
    }

    /// Waits for the reads that go on and closes all connections.
    pub(super) async fn close(&self) {
        loop {
            let returned = self.shared.returned.notified();
            tokio::pin!(returned);
            returned.as_mut().enable(); // before the look, so that no ring is missed
            if lock(&self.shared.pool).close() {
                return;
            }
            self.shared.spread();
            returned.await;
        }
    }
}

impl Pool {
    /// Takes no more reads. Whether all is done and closed.
    fn close(&mut self) -> bool {
        self.is_closed = true;
        let is_done = self.lent == 0 && self.waiting.is_empty();
        if is_done {
            self.idle.clear();
        }
        is_done
    }
}

impl Shared {
    /// Begins a read, or puts it behind those that wait for a connection.
    fn ask(self: &Arc<Self>, read: Read) -> Result<()> {
        let connection = {
            let mut pool = lock(&self.pool);
            if pool.is_closed {
                return Err(failure::closed());
            }
            let Some(connection) = pool.idle.pop() else {
                pool.waiting.push_back(read);
                return Ok(());
            };
            pool.lent += 1;
            connection
        };
        self.lend(connection, read);
        Ok(())
    }

    /// Puts a read behind those that wait, until those who are about to ask have done so.
    fn ask_together(self: &Arc<Self>, read: Read) -> Result<()> {
        let begin = {
            let mut pool = lock(&self.pool);
            if pool.is_closed {
                return Err(failure::closed());
            }
            pool.waiting.push_back(read);
            !std::mem::replace(&mut pool.is_starting, true)
        };
        if begin {
            let start = Start(Arc::clone(self));
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                drop(start);
            });
        }
        Ok(())
    }

    /// Lets another thread read what waits, if something does and a connection is idle.
    fn spread(self: &Arc<Self>) {
        let (connection, read) = {
            let mut pool = lock(&self.pool);
            if pool.waiting.is_empty() || pool.idle.is_empty() {
                return;
            }
            pool.lent += 1;
            (pool.idle.pop(), pool.waiting.pop_front())
        };
        if let (Some(connection), Some(read)) = (connection, read) {
            self.lend(connection, read);
        }
    }

    fn lend(self: &Arc<Self>, connection: Connection, read: Read) {
        let lent = Lent { connection: Some(connection), shared: Arc::clone(self) };
        tokio::task::spawn_blocking(move || lent.serve(read));
    }
}

/// Its drop sees to the reads that wait: when it is their turn, or when the runtime of who asked first ends.
struct Start(Arc<Shared>);

impl Drop for Start {
    fn drop(&mut self) {
        let count = {
            let mut pool = lock(&self.0.pool);
            pool.is_starting = false;
            pool.waiting.len()
        };
        if Handle::try_current().is_ok() {
            (0..count.div_ceil(TOGETHER).min(*CORES)).for_each(|_| self.0.spread());
        }
    }
}

/// Sees to it that the small reads that wait are read.
async fn serve(small: Arc<Mutex<Small>>, shared: Arc<Shared>) {
    // Others who are about to ask do so first, and their reads share the change of threads.
    tokio::task::yield_now().await;
    let reads = Arc::clone(&small);
    let read: Read = Box::new(move |connection, held| {
        held.tell();
        if !drain(&reads, connection) {
            give_up(&reads);
        }
    });
    if shared.ask(read).is_err() {
        give_up(&small);
    }
}

/// Whether all that waited was read.
fn drain(small: &Mutex<Small>, connection: &Connection) -> bool {
    loop {
        let jobs = {
            let mut small = lock(small);
            small.is_served = !small.waiting.is_empty();
            std::mem::take(&mut small.waiting)
        };
        if jobs.is_empty() {
            return true;
        }
        let together = in_transaction(connection, |connection| {
            jobs.into_iter().for_each(|job| job(connection));
            Ok(())
        });
        if together.is_err() {
            return false;
        }
    }
}

/// Answers those who wait that the store is closed, by dropping what would have answered them.
fn give_up(small: &Mutex<Small>) {
    let mut small = lock(small);
    small.is_served = false;
    small.waiting.clear();
}

fn in_transaction<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let value = work(connection)?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(value)
}

/// One that panics disturbs no other.
fn safely<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::internal(std::io::Error::other("a read panicked"))))
}

/// A read; its drop interrupts it, or sees to it that it does not begin.
#[derive(Default)]
struct Reading(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Now(InterruptHandle),
    Over,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let State::Now(handle) = std::mem::replace(&mut *lock(&self.0), State::Over) {
            handle.interrupt();
        }
    }
}

/// Whether a read is still wanted; from now on it can be interrupted.
fn begin(state: &Mutex<State>, connection: &Connection) -> bool {
    let mut state = lock(state);
    let is_wanted = matches!(*state, State::Waiting);
    if is_wanted {
        *state = State::Now(connection.get_interrupt_handle());
    }
    is_wanted
}

/// A connection that is out of the pool; its drop brings it back, also out of a panic.
struct Lent {
    /// `None` once it was brought back.
    connection: Option<Connection>,
    shared: Arc<Shared>,
}

impl Lent {
    /// Reads, and then what waits.
    fn serve(mut self, first: Read) {
        let mut held = Held { answers: Vec::new(), shared: Arc::clone(&self.shared) };
        let mut next = Some(first);
        while let Some(read) = next
            && let Some(connection) = &self.connection
        {
            read(connection, &mut held);
            clean(connection);
            next = self.next();
        }
    }

    /// What waits longest. If nothing does, the connection goes back in the same moment, so that whoever comes then
    /// finds it.
    fn next(&mut self) -> Option<Read> {
        let shared = Arc::clone(&self.shared);
        let mut pool = lock(&shared.pool);
        let next = pool.waiting.pop_front();
        if next.is_none() {
            self.give_back(&mut pool);
        }
        next
    }

    fn give_back(&mut self, pool: &mut Pool) {
        let Some(connection) = self.connection.take() else { return };
        pool.idle.push(connection);
        pool.lent -= 1;
        if pool.is_closed {
            self.shared.returned.notify_waiters();
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            clean(connection);
            let shared = Arc::clone(&self.shared);
            self.give_back(&mut lock(&shared.pool));
        }
    }
}

/// An interrupted read has left its transaction open.
fn clean(connection: &Connection) {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK").ok(); // a connection without a transaction is what is wanted
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
