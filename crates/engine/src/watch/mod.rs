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
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::change::ChangeBatch;
use crate::collections::check_name;
use crate::command::Reply;
use crate::connection::{Connection, Delivery, Inbox};
use crate::engine::Core;
use crate::error::Result;
use crate::id::Offset;
use crate::query::Filter;
use crate::schema::{Kinds, KnownKinds};
use crate::store::{Committed, Listener, Store};

pub(crate) use read::serve;
use topic::{Told, Topic};

/// Bytes of changes that may wait for being delivered. What comes beyond is left to the log.
const QUEUE: usize = 16 << 20;

/// About what it costs to write to one who listens. One write with ten changes costs little more than one with a single
/// change, so while edits are under way it is waited for what they will bring, up to four times as long as the writing
/// takes.
const WRITE: Duration = Duration::from_micros(5);
/// It is waited no longer for that; and not at all for less than a timer can tell.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// So many are told before others have their turn.
const TURN: usize = 64;
/// So much news is taken at once.
const NEWS: usize = 256;
/// Batches are told as one up to so many bytes, so that an inbox takes them.
const MERGED: usize = 12 << 10;

/// All topics, and the way to the task that delivers.
#[derive(Default)]
pub(crate) struct WatchHub {
    topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
    edits: Arc<Edits>,
    kinds: Arc<KnownKinds>,
}

/// The edits that are under way.
#[derive(Default)]
struct Edits {
    count: AtomicUsize,
    /// Rings when there are none.
    none: Notify,
}

/// An edit that is under way until this is dropped.
pub(crate) struct UnderWay<'a>(&'a Edits);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

impl Edits {
    /// Waits until none is under way.
    async fn done(&self) {
        let mut none = pin!(self.none.notified());
        none.as_mut().enable(); // before the look, so that no ring is missed
        if self.count.load(Ordering::Relaxed) > 0 {
            none.await;
        }
    }
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

impl News {
    fn topic(&self) -> &Arc<Topic> {
        match self {
            Self::Changes { topic, .. } | Self::Grown { topic, .. } | Self::Schema { topic, .. } => topic,
        }
    }
}

/// The task that delivers.
struct Postman {
    queued: Arc<AtomicUsize>,
    edits: Arc<Edits>,
    delivery: Arc<Delivery>,
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

    /// An edit begins.
    pub(crate) fn edits(&self) -> UnderWay<'_> {
        self.edits.count.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.edits)
    }

    /// Waits while many are being told of a collection's changes: those who edit it meanwhile then come together, and
    /// are told of together.
    pub(crate) async fn told(&self, collection: &str) {
        if let Some(topic) = self.known(collection) {
            // Whether it is done or takes too long.
            let _ = timeout(LONGEST_PAUSE, topic.told()).await;
        }
    }

    /// What the members of collections mean.
    pub(crate) fn kinds(&self) -> &Arc<KnownKinds> {
        &self.kinds
    }

    /// Reads what they mean until now.
    pub(crate) async fn learn(&self, store: &dyn Store) -> Result<()> {
        for info in store.collections().await? {
            let kinds = Kinds::of(&store.schema(&info.name).await?);
            self.kinds.set(info.name.into(), kinds.map(Arc::new));
        }
        Ok(())
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
    pub(crate) fn start(self: &Arc<Self>, delivery: Delivery, ended: CancellationToken) -> Arc<dyn Listener> {
        let (queue, mut news) = mpsc::unbounded_channel();
        let queued = Arc::clone(&delivery.counters.watch_queue);
        let postman = Postman {
            queued: Arc::clone(&queued),
            edits: Arc::clone(&self.edits),
            delivery: Arc::new(delivery),
        };
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
            Committed::Schema { collection, version, primary_key, kinds, last_offset } => {
                self.hub.kinds.set(Arc::clone(&collection), kinds);
                let topic = self.hub.known(&collection)?;
                Some(News::Schema { topic, version, primary_key, last: last_offset })
            }
        }
    }
}

impl Postman {
    async fn deliver_all(&self, queue: &mut mpsc::UnboundedReceiver<News>) {
        let mut several = Vec::new();
        while queue.recv_many(&mut several, NEWS).await > 0 {
            self.gather(queue, &mut several).await;
            for news in merged(several.drain(..)) {
                let topic = Arc::clone(news.topic());
                let told = self.deliver(news);
                let _telling = (writing(told.listeners.len()) >= SHORTEST_PAUSE).then(|| topic.tell());
                self.tell(told.listeners).await;
            }
        }
    }

    /// Takes what the edits that are under way will bring too, if many listen.
    async fn gather(&self, queue: &mut mpsc::UnboundedReceiver<News>, several: &mut Vec<News>) {
        let writing = several.first().map_or(Duration::ZERO, |news| writing(news.topic().count()));
        if writing < SHORTEST_PAUSE {
            return;
        }
        // Whether they are done or it takes too long: what has come by then is told.
        let _ = timeout((4 * writing).min(LONGEST_PAUSE), self.edits.done()).await;
        while several.len() < NEWS
            && let Ok(news) = queue.try_recv()
        {
            several.push(news);
        }
    }

    /// Tells all of them. Where there are several threads they share the work.
    async fn tell(&self, mut listeners: Vec<Arc<Inbox>>) {
        let share = listeners.len().div_ceil(workers() as usize).max(TURN);
        let mut others = JoinSet::new();
        while listeners.len() > share {
            let some = listeners.split_off(listeners.len() - share);
            others.spawn(tell_some(Arc::clone(&self.delivery), some));
        }
        tell_some(Arc::clone(&self.delivery), listeners).await;
        while others.join_next().await.is_some() {}
    }

    fn deliver(&self, news: News) -> Told {
        let told = match news {
            News::Changes { topic, batch, weight } => {
                self.queued.fetch_sub(weight, Ordering::Relaxed);
                topic.deliver(&batch, weight, self.delivery.limits)
            }
            News::Grown { topic, to } => topic.grow(to),
            News::Schema { topic, version, primary_key, last } => {
                topic.tell_schema(version, &primary_key);
                topic.grow(last)
            }
        };
        self.delivery.counters.watchers_fell_behind.fetch_add(told.fell_behind, Ordering::Relaxed);
        told
    }
}

/// How long it takes to write to so many.
fn writing(listeners: usize) -> Duration {
    WRITE * u32::try_from(listeners).unwrap_or(u32::MAX).min(1 << 20) / workers()
}

fn workers() -> u32 {
    u32::try_from(tokio::runtime::Handle::current().metrics().num_workers()).unwrap_or(1).max(1)
}

async fn tell_some(delivery: Arc<Delivery>, listeners: Vec<Arc<Inbox>>) {
    let mut events = Vec::new();
    for turn in listeners.chunks(TURN) {
        turn.iter().for_each(|inbox| inbox.tell(&delivery, &mut events));
        tokio::task::yield_now().await;
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
