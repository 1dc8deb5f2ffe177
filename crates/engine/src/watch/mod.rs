//! Watches: who is told of which changes.
//!
//! ```text
//! store's writer ─► WatchHub (a queue, in commit order) ─► topic (filters, once each) ─► inboxes ─► Connection::next
//!                                                            └─ who is behind reads the log: topic's pieces, store ─┘
//! ```
//!
//! A [`Topic`](topic::Topic) is a collection while somebody watches it. The store tells what it committed; the topic
//! holds each distinct filter against a batch once and puts what fits into the inboxes of those who are *live*. A
//! connection whose inbox is full, or that asked for older changes, is *behind* at an offset and reads the log piece
//! by piece, until under the topic's lock nothing is left to read. If the log does not reach back that far, it is
//! told of the gap, reads the records that fit page by page, and goes on from the log.
//!
//! What makes this safe: a topic gets into the table before the log's end is asked for, so each commit is seen by the
//! one or the other; and a batch that does not begin where the topic stands sends everybody to the log.
//!
//! Locks are taken in this order: the table, a topic, an inbox. Nothing awaits while holding one.

pub(crate) mod inbox;
pub(crate) mod interest;
mod read;
#[cfg(test)]
mod tests;
pub(crate) mod topic;
mod weight;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::change::ChangeBatch;
use crate::collections::check_name;
use crate::command::Reply;
use crate::connection::{Connection, Limits};
use crate::engine::{Core, Counters};
use crate::error::Result;
use crate::id::Offset;
use crate::query::Filter;
use crate::store::{Committed, Listener};

pub(crate) use read::serve;
use topic::Topic;

/// Bytes of changes that may wait for being delivered. What comes beyond is left to the log.
const QUEUE: usize = 16 << 20;

/// About what it costs to write to one who listens. While those who were told of something are written to, more comes
/// and is told together: one write with ten changes costs little more than one with a single change.
const WRITE: Duration = Duration::from_micros(5);
/// It is waited no longer for that; and not at all for less than a timer can tell.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// So much news is taken at once.
const NEWS: usize = 256;
/// Batches are told as one up to so many bytes, so that an inbox takes them.
const MERGED: usize = 8 << 10;

/// All topics, and the way to the task that delivers.
#[derive(Default)]
pub(crate) struct WatchHub {
    topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
}

/// The store's news on their way to the topics.
struct Post {
    hub: Arc<WatchHub>,
    queue: mpsc::UnboundedSender<News>,
    queued: Arc<AtomicUsize>,
}

/// What a topic hears of.
enum News {
    Changes {
        topic: Arc<Topic>,
        batch: Arc<ChangeBatch>,
        weight: usize,
    },
    /// The log has grown to here by what was not put into the queue.
    Grown {
        topic: Arc<Topic>,
        to: Offset,
    },
    Schema {
        topic: Arc<Topic>,
        version: u64,
        primary_key: Arc<str>,
        /// The last offset after it.
        last: Offset,
    },
}

/// The task that delivers.
struct Postman {
    queued: Arc<AtomicUsize>,
    counters: Arc<Counters>,
    limits: Limits,
}

impl WatchHub {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The collection's topic; from now on it hears of each commit.
    fn topic(&self, collection: &str) -> Arc<Topic> {
        let mut topics = self.lock();
        if let Some(topic) = topics.get(collection) {
            return Arc::clone(topic);
        }
        let topic = Arc::new(Topic::new(collection.into()));
        topics.insert(Arc::clone(&topic.collection), Arc::clone(&topic));
        topic
    }

    fn known(&self, collection: &str) -> Option<Arc<Topic>> {
        self.lock().get(collection).cloned()
    }

    /// Forgets topics that nobody watches, and the pieces that the others kept for those who were behind.
    ///
    /// Who watches, and who is about to, holds the topic and got it from this table under its lock.
    pub(crate) fn sweep(&self) {
        let mut topics = self.lock();
        topics.retain(|_, topic| Arc::strong_count(topic) > 1);
        if topics.len() < topics.capacity() / 4 {
            topics.shrink_to_fit();
        }
        topics.values().for_each(|topic| topic.forget_pieces());
    }

    /// Starts the task that delivers, which ends with `ended`, and gives whom the store tells.
    pub(crate) fn start(
        self: &Arc<Self>,
        counters: Arc<Counters>,
        limits: Limits,
        ended: CancellationToken,
    ) -> Arc<dyn Listener> {
        let (queue, mut news) = mpsc::unbounded_channel();
        let queued = Arc::clone(&counters.watch_queue);
        let postman = Postman { queued: Arc::clone(&queued), counters, limits };
        tokio::spawn(async move {
            ended.run_until_cancelled(postman.deliver_all(&mut news)).await;
        });
        Arc::new(Post { hub: Arc::clone(self), queue, queued })
    }
}

impl Listener for Post {
    fn committed(&self, news: Vec<Committed>) {
        for news in news.into_iter().filter_map(|news| self.addressed(news)) {
            // Without a task the engine has ended, and nobody listens.
            let _ = self.queue.send(news);
        }
    }
}

impl Post {
    /// What a topic is to hear of it; `None` if nobody watches the collection.
    fn addressed(&self, news: Committed) -> Option<News> {
        match news {
            Committed::Changes(batch) => {
                let topic = self.hub.known(&batch.collection)?;
                let weight = weight::of_batch(&batch);
                if self.queued.fetch_add(weight, Ordering::Relaxed) > QUEUE {
                    self.queued.fetch_sub(weight, Ordering::Relaxed);
                    return Some(News::Grown { topic, to: batch.to() });
                }
                Some(News::Changes { topic, batch, weight })
            }
            Committed::Schema { collection, version, primary_key, last_offset } => {
                let topic = self.hub.known(&collection)?;
                Some(News::Schema { topic, version, primary_key, last: last_offset })
            }
        }
    }
}

impl Postman {
    async fn deliver_all(&self, queue: &mut mpsc::UnboundedReceiver<News>) {
        let workers = u32::try_from(tokio::runtime::Handle::current().metrics().num_workers()).unwrap_or(1);
        let mut several = Vec::new();
        while queue.recv_many(&mut several, NEWS).await > 0 {
            let told: usize = merged(several.drain(..)).into_iter().map(|news| self.deliver(news)).sum();
            let pause = WRITE * u32::try_from(told).unwrap_or(u32::MAX).min(1 << 20) / workers.max(1);
            if pause >= SHORTEST_PAUSE {
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
        }
    }

    /// Returns how many were told.
    fn deliver(&self, news: News) -> usize {
        let told = match news {
            News::Changes { topic, batch, weight } => {
                self.queued.fetch_sub(weight, Ordering::Relaxed);
                topic.deliver(&batch, weight, self.limits)
            }
            News::Grown { topic, to } => topic.grow(to),
            News::Schema { topic, version, primary_key, last } => {
                topic.tell_schema(version, &primary_key);
                topic.grow(last)
            }
        };
        self.counters.watchers_fell_behind.fetch_add(told.fell_behind, Ordering::Relaxed);
        told.listeners
    }
}

/// Adjacent small batches of a topic as one.
fn merged(news: impl Iterator<Item = News>) -> Vec<News> {
    let mut all: Vec<News> = Vec::new();
    for news in news {
        let (
            Some(News::Changes { topic, batch, weight }),
            News::Changes { topic: to, batch: more, weight: much },
        ) = (all.last_mut(), &news)
        else {
            all.push(news);
            continue;
        };
        if !Arc::ptr_eq(topic, to) || batch.to() != more.after() || *weight + much > MERGED {
            all.push(news);
            continue;
        }
        let changes = batch.changes.iter().chain(&more.changes).cloned().collect();
        *batch = Arc::new(ChangeBatch::new(Arc::clone(&batch.collection), changes));
        *weight += much;
    }
    all
}

/// `Watch`. A collection that does not exist yet can be watched.
pub(crate) async fn watch(
    core: &Core,
    connection: &Connection,
    collection: &str,
    number: u64,
    filter: Option<Filter>,
    after: Option<Offset>,
) -> Result<Reply> {
    check_name(collection)?;
    connection.identity().check_read(collection)?;
    let filter = filter.map(interest::WatchFilter::new).transpose()?;
    let topic = core.watches.topic(collection);
    let span = core.store.log(collection).await?;
    let wish = inbox::Wish { number, filter, after, span };
    connection
        .watch(&topic, wish, core.settings.watch_limit)
        .map(|(after, gap)| Reply::Watching { after, gap })
}

/// `Unwatch`.
pub(crate) fn unwatch(connection: &Connection, collection: &str, number: Option<u64>) -> Reply {
    Reply::Unwatched(connection.unwatch(collection, number))
}
