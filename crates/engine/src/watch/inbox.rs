//! A connection's watches, and what waits for it of them.
//!
//! Each watch has been *served* up to an offset. While all of a collection's watches are served up to where the topic
//! stands, the connection is live there. Otherwise the log is read from the watch that is served least, and a change
//! is given to the connection unless another of its watches, which had been served further, had it given before.

use std::collections::VecDeque;
use std::sync::Arc;

use super::interest::{Interest, WatchFilter, has, selection};
use super::topic::{Topic, TopicState};
use crate::change::{ChangeBatch, Notice, Selection};
use crate::connection::{Inbox, Limits};
use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::id::{Offset, RecordId};
use crate::store::LogSpan;

/// A watch as it is asked for.
pub(crate) struct Wish {
    pub(super) number: u64,
    pub(super) filter: Option<Arc<WatchFilter>>,
    pub(super) after: Option<Offset>,
    /// What the log reached over after the topic was there.
    pub(super) span: LogSpan,
}

/// All of a connection's watches. It takes memory from the first one on.
#[derive(Default)]
pub(crate) struct Watches {
    collections: Vec<Watching>,
    waiting: VecDeque<Waiting>,
    /// What waits, in bytes.
    weight: usize,
    /// The log has its turn before the queue, so that a busy collection does not starve one that is behind.
    log_first: bool,
}

/// A batch that waits for a connection.
struct Waiting {
    batch: Arc<ChangeBatch>,
    selection: Selection,
    weight: usize,
}

/// One collection that a connection watches.
struct Watching {
    topic: Arc<Topic>,
    interest: Interest,
    watches: Vec<Watch>,
    at: At,
    /// The topic's number of these watches: what is read for other ones, earlier ones of this connection among them, is
    /// not for them.
    revision: u64,
    /// News of the schema that the client has not got yet.
    schema: Option<(u64, Arc<str>)>,
}

/// One watch.
#[derive(Clone)]
pub(super) struct Watch {
    number: u64,
    filter: Option<Arc<WatchFilter>>,
    /// Changes after this are asked for.
    from: Offset,
    /// What there is up to here is dealt with. While the connection is live here, it is at least so far.
    served: Offset,
}

/// How a connection is served with a collection.
#[derive(Debug, Clone, PartialEq)]
enum At {
    /// From its inbox.
    Live,
    /// From the log.
    Behind,
    /// With the records as they are, after a gap.
    Snapshot(Snapshot),
}

/// How far a snapshot is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    /// The log is read on from here afterwards.
    pub(super) resume: Offset,
    /// Where the next page begins.
    pub(super) after: Option<RecordId>,
    /// Whether the client knows of the gap.
    pub(super) told: bool,
}

/// What is to be read for a connection.
pub(crate) struct Reading {
    pub(super) topic: Arc<Topic>,
    pub(super) interest: Interest,
    pub(super) revision: u64,
    pub(super) what: What,
}

pub(super) enum What {
    /// The log after an offset, for these watches.
    Log(Offset, Vec<Watch>),
    /// The next page.
    Page(Snapshot),
}

/// What there is to do.
pub(crate) enum Work {
    /// So many notices were taken.
    Taken(usize),
    Read(Reading),
    Nothing,
}

impl Watches {
    /// So many watches there are.
    pub(crate) fn count(&self) -> usize {
        self.collections.iter().map(|watching| watching.watches.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collections.is_empty()
    }

    /// Bytes that wait, counted anew.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let own = self.waiting.capacity() * size_of::<Waiting>();
        own + self.waiting.iter().map(|waiting| super::weight::of_batch(&waiting.batch)).sum::<usize>()
    }

    /// The topic of a collection that is watched.
    pub(crate) fn topic(&self, collection: &str) -> Option<Arc<Topic>> {
        let found = self.collections.iter().find(|watching| *watching.topic.collection == *collection);
        found.map(|watching| Arc::clone(&watching.topic))
    }

    /// Some topic that is still watched.
    pub(crate) fn any_topic(&self) -> Option<Arc<Topic>> {
        self.collections.first().map(|watching| Arc::clone(&watching.topic))
    }

    /// Adds a watch, or replaces the one with its number. Gives the offset after which notices begin, and whether there
    /// is a gap before it.
    pub(crate) fn add(
        &mut self,
        inbox: &Arc<Inbox>,
        topic: &Arc<Topic>,
        shared: &mut TopicState,
        wish: Wish,
        limit: usize,
    ) -> Result<(Offset, bool)> {
        let Wish { number, filter, after, span } = wish;
        let now = (*shared.written.get_or_insert(span.last)).max(span.last);
        let from = after.unwrap_or(now);
        if from > now {
            return Err(in_the_future(&topic.collection, now));
        }
        if self.count() >= limit && !self.has(topic, number) {
            return Err(too_many(limit));
        }
        let filter = filter.map(|filter| shared.shared(filter));
        let place = self.open(inbox, topic, shared);
        self.settle(place, shared);
        let rest = self.collections[place].watches.iter().filter(|watch| watch.number != number);
        let mut watches: Vec<Watch> = rest.cloned().collect();
        watches.push(Watch { number, filter, from, served: from });
        let gap = from.0 + 1 < span.first.0;
        self.change(inbox, shared, place, watches, gap.then_some(now));
        Ok((if gap { now } else { from }, gap))
    }

    /// Removes one watch of a collection, or all of them. Whether there was one.
    pub(crate) fn remove(
        &mut self,
        inbox: &Arc<Inbox>,
        topic: &Arc<Topic>,
        shared: &mut TopicState,
        number: Option<u64>,
    ) -> bool {
        let Some(place) = self.place(topic).filter(|_| number.is_none_or(|number| self.has(topic, number)))
        else {
            return false;
        };
        self.settle(place, shared);
        let watching = &self.collections[place];
        let rest =
            watching.watches.iter().filter(|watch| number.is_some_and(|number| watch.number != number));
        let rest: Vec<Watch> = rest.cloned().collect();
        if rest.is_empty() {
            shared.leave(&watching.interest, inbox);
            self.collections.swap_remove(place);
        } else {
            self.change(inbox, shared, place, rest, None);
        }
        true
    }

    fn place(&self, topic: &Arc<Topic>) -> Option<usize> {
        self.collections.iter().position(|watching| Arc::ptr_eq(&watching.topic, topic))
    }

    fn has(&self, topic: &Arc<Topic>, number: u64) -> bool {
        let watching = self.place(topic).map(|place| &self.collections[place]);
        watching.is_some_and(|watching| watching.watches.iter().any(|watch| watch.number == number))
    }

    /// The place of what is watched, which is made if it is not there.
    fn open(&mut self, inbox: &Arc<Inbox>, topic: &Arc<Topic>, shared: &mut TopicState) -> usize {
        if let Some(place) = self.place(topic) {
            return place;
        }
        let interest = Interest::new(std::iter::empty());
        shared.join(interest.clone(), inbox);
        let topic = Arc::clone(topic);
        let watching =
            Watching { topic, interest, watches: Vec::new(), at: At::Live, revision: 0, schema: None };
        self.collections.reserve_exact(usize::from(self.collections.is_empty()));
        self.collections.push(watching);
        self.collections.len() - 1
    }

    /// Throws away what waits of a collection: its watches may change, and those that stay get it from the log.
    fn settle(&mut self, place: usize, shared: &TopicState) {
        let watching = &mut self.collections[place];
        let collection = &watching.topic.collection;
        let unseen = self.waiting.iter().find(|waiting| waiting.is_of(collection));
        match unseen.map(|waiting| waiting.batch.after()) {
            Some(unseen) => {
                watching.watches.iter_mut().for_each(|watch| watch.served = unseen.max(watch.from));
                watching.at = At::Behind;
                self.waiting.retain(|waiting| !waiting.is_of(collection));
                self.weight = self.waiting.iter().map(|waiting| waiting.weight).sum();
            }
            None if watching.at == At::Live => watching.fall_behind(shared.written.unwrap_or_default()),
            None => {}
        }
    }

    /// Other watches take the place of a collection's. With `gap`, all begin anew with a snapshot that stands for that
    /// offset.
    fn change(
        &mut self,
        inbox: &Arc<Inbox>,
        shared: &mut TopicState,
        place: usize,
        watches: Vec<Watch>,
        gap: Option<Offset>,
    ) {
        let written = shared.written.unwrap_or_default();
        let watching = &mut self.collections[place];
        let interest = Interest::new(watches.iter().map(|watch| watch.filter.as_ref()));
        shared.leave(&watching.interest, inbox);
        shared.join(interest.clone(), inbox);
        watching.interest = interest;
        watching.watches = watches;
        watching.revision = shared.next_revision();
        watching.at = match (&watching.at, gap) {
            (_, Some(resume)) => At::snapshot(resume),
            // The pages that the client has may lack what the new watches want.
            (At::Snapshot(_), None) => At::snapshot(watching.newest().max(written)),
            (At::Live | At::Behind, None) if watching.is_served(written) => At::Live,
            (At::Live | At::Behind, None) => At::Behind,
        };
    }

    /// Puts a batch into the queue if its collection is live. Returns whether it fell behind by that.
    pub(crate) fn push(
        &mut self,
        topic: &Topic,
        batch: &Arc<ChangeBatch>,
        selection: &Selection,
        weight: usize,
        limits: Limits,
    ) -> Pushed {
        let Some(watching) = self.collections.iter_mut().find(|known| std::ptr::eq(&*known.topic, topic))
        else {
            return Pushed::No;
        };
        let newest = watching.newest();
        if watching.at != At::Live || batch.to() <= newest {
            return Pushed::No;
        }
        let fits = self.waiting.len() < limits.events && self.weight + weight <= limits.watch_bytes;
        if !fits || batch.after() < newest {
            watching.fall_behind(batch.after());
            return Pushed::FellBehind;
        }
        self.weight += weight;
        self.waiting.push_back(Waiting { batch: Arc::clone(batch), selection: selection.clone(), weight });
        Pushed::Yes
    }

    /// Serves a collection from the log after this offset, if it was live. Whether it was.
    pub(crate) fn fall_behind(&mut self, topic: &Topic, after: Offset) -> bool {
        let watching = self.collections.iter_mut().find(|known| std::ptr::eq(&*known.topic, topic));
        let Some(watching) = watching.filter(|watching| watching.at == At::Live) else { return false };
        watching.fall_behind(after);
        true
    }

    /// A collection's schema changed. The newest version is enough.
    pub(crate) fn put_schema(&mut self, topic: &Topic, version: u64, primary_key: &Arc<str>) {
        let watching = self.collections.iter_mut().find(|known| std::ptr::eq(&*known.topic, topic));
        if let Some(watching) = watching {
            watching.schema = Some((version, Arc::clone(primary_key)));
        }
    }

    /// Takes what is ready, at most `batch`, or says what is to be read.
    pub(crate) fn take(&mut self, batch: usize, into: &mut Vec<Event>) -> Work {
        let schemas = self.take_schemas(into);
        if schemas > 0 {
            return Work::Taken(schemas);
        }
        let behind = self.behind();
        if let Some(place) = behind
            && (self.log_first || self.waiting.is_empty())
        {
            self.log_first = false;
            return Work::Read(self.reading(place));
        }
        if self.waiting.is_empty() {
            return Work::Nothing;
        }
        self.log_first = behind.is_some();
        Work::Taken(self.take_waiting(batch, into))
    }

    /// Takes what waits, at most `batch`, if nothing else is to be done. So many notices were taken.
    pub(crate) fn take_at_once(&mut self, batch: usize, into: &mut Vec<Event>) -> Option<usize> {
        let only_waits = |watching: &Watching| watching.at == At::Live && watching.schema.is_none();
        self.collections.iter().all(only_waits).then(|| self.take_waiting(batch, into))
    }

    /// A collection that is to be read. What waits of it comes before that.
    fn behind(&self) -> Option<usize> {
        self.collections.iter().position(|watching| {
            let collection = &watching.topic.collection;
            watching.at != At::Live && !self.waiting.iter().any(|waiting| waiting.is_of(collection))
        })
    }

    fn take_schemas(&mut self, into: &mut Vec<Event>) -> usize {
        let before = into.len();
        for watching in &mut self.collections {
            let Some((version, primary_key)) = watching.schema.take() else { continue };
            let collection = Arc::clone(&watching.topic.collection);
            into.push(Event::Data(Notice::Schema { collection, version, primary_key }));
        }
        into.len() - before
    }

    /// The collection goes to the end of the line, so that another one that is behind has the next turn.
    fn reading(&mut self, place: usize) -> Reading {
        let watching = self.collections.remove(place);
        let what = match &watching.at {
            At::Snapshot(snapshot) => What::Page(snapshot.clone()),
            At::Live | At::Behind => What::Log(watching.least(), watching.watches.clone()),
        };
        let (topic, interest) = (Arc::clone(&watching.topic), watching.interest.clone());
        let reading = Reading { topic, interest, revision: watching.revision, what };
        self.collections.push(watching);
        reading
    }

    fn take_waiting(&mut self, batch: usize, into: &mut Vec<Event>) -> usize {
        let count = self.waiting.len().min(batch);
        let weight = &mut self.weight;
        into.extend(self.waiting.drain(..count).map(|waiting| {
            *weight -= waiting.weight;
            Event::Data(Notice::Changes { batch: waiting.batch, selection: waiting.selection })
        }));
        if self.waiting.is_empty() && self.waiting.capacity() > 16 {
            self.waiting = VecDeque::new();
        }
        count
    }

    /// The log was read up to `to`; whether the reading is still what is wanted.
    pub(super) fn served(&mut self, reading: &Reading, to: Offset, shared: &TopicState) -> bool {
        let Some(watching) = self.of(reading) else { return false };
        watching.serve(to, shared);
        true
    }

    /// The log does not reach back so far: everything begins anew.
    pub(super) fn begin_snapshot(&mut self, reading: &Reading, resume: Offset) {
        if let Some(watching) = self.of(reading) {
            watching.at = At::snapshot(resume);
        }
    }

    /// The snapshot is so far, or done with `None`; whether the reading is still what is wanted.
    pub(super) fn advance_snapshot(
        &mut self,
        reading: &Reading,
        done: &Snapshot,
        next: Option<Snapshot>,
        shared: &TopicState,
    ) -> bool {
        let Some(watching) = self.of(reading) else { return false };
        match next {
            Some(next) => watching.at = At::Snapshot(next),
            None => {
                for watch in &mut watching.watches {
                    (watch.from, watch.served) = (done.resume, done.resume);
                }
                watching.serve(done.resume, shared);
            }
        }
        true
    }

    /// What a reading is for, unless that has changed meanwhile.
    fn of(&mut self, reading: &Reading) -> Option<&mut Watching> {
        let watching = self.collections.iter_mut().find(|known| Arc::ptr_eq(&known.topic, &reading.topic));
        watching.filter(|watching| watching.revision == reading.revision)
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Yes,
    No,
    FellBehind,
}

impl Waiting {
    fn is_of(&self, collection: &str) -> bool {
        *self.batch.collection == *collection
    }
}

impl At {
    fn snapshot(resume: Offset) -> Self {
        Self::Snapshot(Snapshot { resume, after: None, told: false })
    }
}

impl Watching {
    fn least(&self) -> Offset {
        self.watches.iter().map(|watch| watch.served).min().unwrap_or_default()
    }

    fn newest(&self) -> Offset {
        self.watches.iter().map(|watch| watch.served).max().unwrap_or_default()
    }

    fn is_served(&self, written: Offset) -> bool {
        self.least() == self.newest() && self.least() >= written
    }

    fn fall_behind(&mut self, after: Offset) {
        self.watches.iter_mut().for_each(|watch| watch.served = watch.served.max(after));
        self.at = At::Behind;
    }

    fn serve(&mut self, to: Offset, shared: &TopicState) {
        self.watches.iter_mut().for_each(|watch| watch.served = watch.served.max(to));
        let live = self.is_served(shared.written.unwrap_or_default());
        self.at = if live { At::Live } else { At::Behind };
    }
}

/// What of a piece of the log is given to a connection with these watches.
pub(super) fn select(watches: &[Watch], interest: &Interest, batch: &ChangeBatch) -> Option<Selection> {
    let (Some(first), Some(least)) = (watches.first(), watches.iter().map(|watch| watch.served).min()) else {
        return None;
    };
    if least == batch.after() && watches.iter().all(|watch| watch.served == first.served) {
        return interest.select(batch);
    }
    let fitting = |watch: &Watch| match &watch.filter {
        None => Some(Selection::All),
        Some(filter) => filter.select(batch),
    };
    let fitting: Vec<(&Watch, Selection)> =
        watches.iter().filter_map(|watch| fitting(watch).map(|some| (watch, some))).collect();
    selection(batch.changes.len(), |place| {
        let offset = batch.changes[place].offset;
        let mut fits = fitting.iter().filter(|(_, some)| has(some, place)).peekable();
        fits.peek().is_some()
            && fitting.iter().any(|(watch, some)| watch.served < offset && has(some, place))
            && !fits.any(|(watch, _)| watch.from < offset && offset <= watch.served)
    })
}

fn in_the_future(collection: &str, now: Offset) -> Error {
    Error::invalid(format!(
        "the log of {collection:?} ends at offset {now}; watch from there, or read it anew"
    ))
}

fn too_many(limit: usize) -> Error {
    Error::new(
        Code::Unavailable,
        format!("a connection has at most {limit} watches; end one, or open another connection"),
    )
}
