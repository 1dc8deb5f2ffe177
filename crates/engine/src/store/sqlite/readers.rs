//! The reading connections of one database.
//!
//! Readers never wait for the writer (WAL) and never block the runtime: each read has a connection for itself on a
//! thread that may block. A read whose asker went away is interrupted.
//!
//! Small reads (a record by its key) share: those that came while one thread was at it are read together by that
//! thread, in one transaction. A hundred askers then cost a few changes of threads, not a hundred.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::failure;
use crate::error::{Error, Result};

/// Idle connections, and as many permits as there are connections.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    count: u32,
    small: Arc<Mutex<Small>>,
}

/// A small read; it answers its asker itself.
type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Small reads that wait, and whether a thread is about to read them.
#[derive(Default)]
struct Small {
    waiting: Vec<Job>,
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
        let permits = Arc::new(Semaphore::new(connections.len()));
        let count = u32::try_from(connections.len()).unwrap_or(u32::MAX);
        Self { idle: Arc::new(Mutex::new(connections)), permits, count, small: Arc::default() }
    }

    /// Does `work` with a connection of its own, in one read transaction: all that it reads is of one moment.
    /// Dropping the future interrupts the read.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| failure::closed())?;
        let reading = Reading::default();
        let lent = Lent::take(&self.idle, &reading, permit)?;
        let task = tokio::task::spawn_blocking(move || in_transaction(lent.connection()?, work));
        let outcome = task.await.map_err(Error::internal)?;
        drop(reading);
        outcome
    }

    /// Does a small read, together with others that wait. It sees everything that was committed before the call.
    pub(super) async fn small<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // One that panics disturbs no other.
            let done = catch_unwind(AssertUnwindSafe(|| work(connection)));
            let outcome =
                done.unwrap_or_else(|_| Err(Error::internal(std::io::Error::other("a read panicked"))));
            reply.send(outcome).ok(); // the asker may have gone
        });
        let begin = {
            let mut small = lock(&self.small);
            small.waiting.push(job);
            !std::mem::replace(&mut small.is_served, true)
        };
        if begin {
            tokio::spawn(serve(Arc::clone(&self.small), Arc::clone(&self.permits), Arc::clone(&self.idle)));
        }
        answer.await.map_err(|_| failure::closed())?
    }

    /// Waits for the reads that go on and closes all connections.
    pub(super) async fn close(&self) {
        let Ok(_all) = self.permits.acquire_many(self.count).await else { return };
        self.permits.close();
        lock(&self.idle).clear();
    }
}

/// Reads what waits until nothing does.
async fn serve(small: Arc<Mutex<Small>>, permits: Arc<Semaphore>, idle: Arc<Mutex<Vec<Connection>>>) {
    let Ok(permit) = permits.acquire_owned().await else { return give_up(&small) };
    let Ok(lent) = Lent::take(&idle, &Reading::default(), permit) else { return give_up(&small) };
    let reads = Arc::clone(&small);
    let done = tokio::task::spawn_blocking(move || {
        lent.connection().is_ok_and(|connection| drain(&reads, connection))
    });
    if !done.await.unwrap_or(false) {
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

/// A read that goes on; its drop interrupts it.
#[derive(Default)]
struct Reading(Arc<Mutex<Option<InterruptHandle>>>);

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(handle) = lock(&self.0).as_ref() {
            handle.interrupt();
        }
    }
}

/// A connection that is out of the pool; its drop brings it back, also out of a panic.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    handle: Arc<Mutex<Option<InterruptHandle>>>,
    #[allow(dead_code, reason = "its drop, after the connection's return, lets the next reader in")]
    permit: OwnedSemaphorePermit,
}

impl Lent {
    fn take(
        idle: &Arc<Mutex<Vec<Connection>>>,
        reading: &Reading,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let connection = lock(idle).pop().ok_or_else(failure::closed)?;
        *lock(&reading.0) = Some(connection.get_interrupt_handle());
        let (idle, handle) = (Arc::clone(idle), Arc::clone(&reading.0));
        Ok(Self { connection: Some(connection), idle, handle, permit })
    }

    fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or_else(failure::closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Taken before the connection goes back, so that the next reader is never interrupted in its stead.
        lock(&self.handle).take();
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").ok(); // a connection without a transaction is what is wanted
        }
        lock(&self.idle).push(connection);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
