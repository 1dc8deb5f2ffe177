//! The connections of a client: one, and more only where one cannot tell subscriptions apart.
//!
//! The server tells a connection of each change once, whichever of its subscriptions of the collection it is for. So a
//! second subscription of the same collection gets the next connection that has none; all others share the first.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use schematic_runtime::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::Result;
use crate::call::Caller;
use crate::pump::{Control, Pump};
use crate::schemas::Schemas;
use crate::session::Live;

type Dial = Box<dyn Fn() -> Connection<Live> + Send + Sync>;

/// One connection. It ends when nobody holds it any more.
pub(crate) struct Lane {
    pub(crate) caller: Caller,
    pub(crate) control: mpsc::UnboundedSender<Control>,
}

/// Opens connections and knows which collections each is subscribed to.
pub(crate) struct Lanes {
    dial: Dial,
    ids: Arc<AtomicU64>,
    timeout: Duration,
    pub(crate) schemas: Arc<Schemas>,
    known: Mutex<Vec<Slot>>,
}

struct Slot {
    lane: Weak<Lane>,
    collections: HashSet<String>,
}

/// A collection's place on a connection, given back when dropped.
pub(crate) struct Claim {
    pub(crate) lane: Arc<Lane>,
    lanes: Arc<Lanes>,
    collection: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut known = self.lanes.lock();
        let ours = known.iter_mut().find(|slot| std::ptr::eq(slot.lane.as_ptr(), Arc::as_ptr(&self.lane)));
        if let Some(slot) = ours {
            slot.collections.remove(&self.collection);
        }
    }
}

impl Lanes {
    pub(crate) fn new(dial: Dial, timeout: Duration) -> Self {
        Self { dial, ids: Arc::default(), timeout, schemas: Arc::default(), known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another connection; the receiver is told when its first link stands, or why it does not.
    pub(crate) fn open(&self) -> (Arc<Lane>, oneshot::Receiver<Result<()>>) {
        let mut known = self.lock();
        self.open_among(&mut known, None)
    }

    fn open_among(
        &self,
        known: &mut Vec<Slot>,
        collection: Option<&str>,
    ) -> (Arc<Lane>, oneshot::Receiver<Result<()>>) {
        let (sender, events) = (self.dial)().split();
        let (ids, timeout) = (Arc::clone(&self.ids), self.timeout);
        let caller = Caller { sender, ids, timeout, ended: Arc::default() };
        let (control, controlled) = mpsc::unbounded_channel();
        let (opened, opening) = oneshot::channel();
        let report = control.downgrade();
        let schemas = Arc::clone(&self.schemas);
        tokio::spawn(Pump::new(caller.clone(), events, controlled, report, schemas, opened).run());
        let lane = Arc::new(Lane { caller, control });
        let collections = collection.map(str::to_owned).into_iter().collect();
        known.push(Slot { lane: Arc::downgrade(&lane), collections });
        (lane, opening)
    }

    /// Says goodbye on all of them.
    pub(crate) fn close(&self) {
        for lane in self.lock().iter().filter_map(|slot| slot.lane.upgrade()) {
            lane.caller.sender.close(1000, "");
        }
    }

    /// A connection that is not subscribed to the collection.
    pub(crate) fn claim(self: &Arc<Self>, collection: &str) -> Claim {
        let mut known = self.lock();
        known.retain(|slot| slot.lane.strong_count() > 0);
        let free = known.iter_mut().find_map(|slot| {
            let lane = slot.lane.upgrade().filter(|_| !slot.collections.contains(collection))?;
            slot.collections.insert(collection.to_owned());
            Some(lane)
        });
        let lane = free.unwrap_or_else(|| self.open_among(&mut known, Some(collection)).0);
        drop(known);
        Claim { lane, lanes: Arc::clone(self), collection: collection.to_owned() }
    }
}
