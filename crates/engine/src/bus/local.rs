//! The bus of one process: a table of topics that somebody listens to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Bell, Bus, Topic};
use crate::error::Result;

/// Bells within one process. A topic costs memory only while somebody listens to it.
#[derive(Debug, Default)]
pub struct LocalBus {
    topics: Mutex<HashMap<Topic, watch::Sender<u64>>>,
}

impl LocalBus {
    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, watch::Sender<u64>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, topic: &Topic, position: u64) {
        let mut topics = self.topics();
        let Some(newest) = topics.get(topic) else { return };
        if newest.is_closed() {
            topics.remove(topic);
            return;
        }
        newest.send_if_modified(|known| {
            let newer = position > *known;
            *known = position.max(*known);
            newer
        });
    }

    async fn subscribe(&self, topic: Topic, from: u64) -> Result<Bell> {
        let mut topics = self.topics();
        // Topics whose listeners have all gone are swept when the table grows, so that it stays as large as its use.
        if topics.len() == topics.capacity() {
            topics.retain(|_, newest| !newest.is_closed());
        }
        let newest = topics.entry(topic).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Ok(Bell::new(newest, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::bus::conformance::check(|| async { LocalBus::default() }).await;
    }

    #[tokio::test]
    async fn topics_without_listeners_leave_the_table() {
        let bus = LocalBus::default();
        for number in 0..1000 {
            drop(bus.subscribe(Topic::Collection(format!("c{number}").into()), 0).await.unwrap());
        }
        assert!(bus.topics().len() < 20, "{} topics are kept", bus.topics().len());
    }
}
