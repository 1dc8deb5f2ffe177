//! The bare loop that inserts are compared with: one thread that takes what has queued, writes a record and a change
//! for each into SQLite, commits durably, and answers everybody. Nothing else is done.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::process::SERVER_CORE;

/// How many inserts per second `callers` get who wait for each.
pub(crate) async fn inserts(callers: usize, during: Duration) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let database = open(&folder.path().join("bare.db")).map_err(io::Error::other)?;
    let (queue, waiting) = channel();
    let writer = std::thread::spawn(move || serve(&database, &waiting));
    let begun = Instant::now();
    let tasks = (0..callers).map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut done = 0_u64;
            while begun.elapsed() < during {
                let (reply, answer) = oneshot::channel();
                if queue.send(reply).is_err() || answer.await.is_err() {
                    break;
                }
                done += 1;
            }
            done
        })
    });
    let tasks: Vec<_> = tasks.collect();
    drop(queue);
    let mut done = 0;
    for task in tasks {
        done += task.await.map_err(io::Error::other)?;
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    writer.join().map_err(|_| io::Error::other("the bare loop panicked"))?.map_err(io::Error::other)?;
    Ok(rate)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE records (id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE changes (id INTEGER PRIMARY KEY, body TEXT);",
    )?;
    Ok(database)
}

fn serve(database: &Connection, waiting: &Receiver<oneshot::Sender<()>>) -> rusqlite::Result<()> {
    run_on_server_core();
    let body = format!("{{\"name\":\"record\",\"group\":1,\"text\":\"{}\"}}", "x".repeat(100));
    while let Ok(first) = waiting.recv() {
        let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        database.execute_batch("BEGIN IMMEDIATE")?;
        for _ in &group {
            database.prepare_cached("INSERT INTO records (body) VALUES (?)")?.execute([&body])?;
            database.prepare_cached("INSERT INTO changes (body) VALUES (?)")?.execute([&body])?;
        }
        database.execute_batch("COMMIT")?;
        for reply in group {
            reply.send(()).ok(); // the caller may have gone at the end
        }
    }
    Ok(())
}

/// Moves this thread to where servers run.
fn run_on_server_core() {
    let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = thread.file_name().unwrap_or_default();
    // A loop on the wrong core is measured all the same, only less fairly to it.
    Command::new("taskset").args(["-pc", SERVER_CORE]).arg(id).output().ok();
}
