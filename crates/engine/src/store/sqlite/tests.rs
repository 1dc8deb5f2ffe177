//! The suite over both kinds of place, and what is true of SQLite alone.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::store::conformance;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_memory_keeps_the_promises() {
    conformance::check(|| async { Sqlite::in_memory().unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_disk_keeps_the_promises() {
    let (dir, number) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let make = || {
        let folder = dir.path().join(number.fetch_add(1, Ordering::Relaxed).to_string());
        async { Sqlite::open(Settings::new(folder)).unwrap() }
    };
    conformance::check(make).await;
}
