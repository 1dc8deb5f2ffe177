//! How much a client may use: chat messages a session, connections, control frames, and one-time tickets.
//!
//! Everything here is bounded: what is no longer needed is forgotten by [`MessageLimit::forget`], which the server
//! calls now and then, and tickets make room for each other.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tidewire_engine::identity::Subject;
use tidewire_engine::{ChatRef, Code, Detail, Error, Identity, Result};
use tidewire_protocols::{Opening, Rate};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::figures::{Figures, Limit};

/// What is limited together: a subject's session.
pub(crate) type RateKey = (Subject, Box<str>);

/// Whose messages a socket limits, and which of them together.
pub(crate) struct Limited {
    subject: Subject,
    /// The session that the address names; without one, each message counts against its own chat.
    session: Option<Box<str>>,
}

impl Limited {
    /// As the dialect wishes; `None` if it does not limit messages.
    pub(crate) fn of(rate: Rate, subject: &Subject, opening: &Opening<'_>) -> Option<Self> {
        let session = match rate {
            Rate::Unlimited => return None,
            Rate::Path(name) => Some(Box::from(opening.param(name))),
            Rate::Chat => None,
        };
        Some(Self { subject: subject.clone(), session })
    }

    /// What a message to this chat counts against.
    pub(crate) fn key(&self, chat: &ChatRef) -> RateKey {
        let name = match (&self.session, chat) {
            (Some(session), _) => session.clone(),
            (None, ChatRef::Session(name) | ChatRef::Known(name)) => name.to_string().into(),
            (None, ChatRef::Id(chat)) => chat.to_string().into(),
        };
        (self.subject.clone(), name)
    }
}

/// A bucket of messages for each session: so many at once, then one after each refill.
pub(crate) struct MessageLimit<C: Clock = DefaultClock> {
    limiter: RateLimiter<RateKey, HashMapStateStore<RateKey>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl MessageLimit {
    /// As configured, by the machine's clock.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::with_clock(limits, DefaultClock::default())
    }
}

impl<C: Clock + Clone> MessageLimit<C> {
    /// As configured, by this clock.
    pub(crate) fn with_clock(limits: &Limits, clock: C) -> Self {
        let burst = NonZeroU32::new(limits.message_burst).unwrap_or(NonZeroU32::MIN);
        let refill = Duration::from_millis(limits.message_refill_ms.max(1));
        let quota =
            Quota::with_period(refill).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { limiter, clock }
    }

    /// Takes one message from the session's bucket, or says when there will be one.
    pub(crate) fn take(&self, key: &RateKey) -> Result<()> {
        self.limiter.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            Error::new(Code::RateLimited, "too many messages; wait a moment and send it again")
                .with(Detail::RetryAfter(wait))
        })
    }

    /// Forgets the sessions whose buckets are full again.
    pub(crate) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    /// How many sessions have a bucket that is not full, as of the last [`forget`](Self::forget).
    pub(crate) fn len(&self) -> usize {
        self.limiter.len()
    }
}

/// When to come back if there is no place.
const PLACE_RETRY: Duration = Duration::from_secs(10);

/// Who holds connections: a key, in a name.
type Holder = (Arc<str>, Subject);

/// Places for connections: all together, from one address, and of one identity.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    by_address: Arc<Shares<IpAddr>>,
    by_identity: Arc<Shares<Holder>>,
}

/// What a connection holds while it lasts.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    _all: Option<OwnedSemaphorePermit>,
    _address: Option<Share<IpAddr>>,
    _identity: Option<Share<Holder>>,
}

impl Places {
    /// As configured.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            by_address: Shares::new(limits.connections_per_address),
            by_identity: Shares::new(limits.connections_per_identity),
        }
    }

    /// A place for a socket, or why there is none. A sender of `None` is this machine.
    pub(crate) fn for_socket(
        &self,
        sender: Option<IpAddr>,
        identity: &Identity,
        figures: &Figures,
    ) -> Result<Slot> {
        let slot = self.for_stream(sender, identity, figures)?;
        let Ok(place) = Arc::clone(&self.all).try_acquire_owned() else {
            figures.count_limit(Limit::Connections);
            return Err(no_place("the server is full; come back later"));
        };
        Ok(Slot { _all: Some(place), ..slot })
    }

    /// The same for a stream over HTTP, whose connection has its place among all by being accepted.
    pub(crate) fn for_stream(
        &self,
        sender: Option<IpAddr>,
        identity: &Identity,
        figures: &Figures,
    ) -> Result<Slot> {
        let address = sender.map(|sender| self.by_address.take(sender)).transpose().map_err(|Full| {
            figures.count_limit(Limit::Address);
            no_place("too many connections come from this address; close some of them")
        })?;
        let holder = identity.key.as_ref().map(|key| (Arc::clone(key), identity.subject.clone()));
        let identity = holder.map(|holder| self.by_identity.take(holder)).transpose().map_err(|Full| {
            figures.count_limit(Limit::Identity);
            no_place("too many connections are open with this key; close some of them")
        })?;
        Ok(Slot { _all: None, _address: address, _identity: identity })
    }
}

fn no_place(sentence: &'static str) -> Error {
    Error::new(Code::RateLimited, sentence).with(Detail::RetryAfter(PLACE_RETRY))
}

/// How many each holder has. Those who have none are not kept.
#[derive(Debug)]
struct Shares<K> {
    /// So many may one have; 0 is any number.
    most: usize,
    held: Mutex<HashMap<K, usize>>,
}

/// One of somebody's shares, given back when it is dropped.
#[derive(Debug)]
struct Share<K: Hash + Eq> {
    of: Arc<Shares<K>>,
    holder: K,
}

/// This holder has as many as it may.
struct Full;

impl<K: Hash + Eq + Clone> Shares<K> {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    fn take(self: &Arc<Self>, holder: K) -> std::result::Result<Share<K>, Full> {
        let mut held = self.lock();
        let count = held.get(&holder).copied().unwrap_or_default();
        if self.most > 0 && count >= self.most {
            return Err(Full);
        }
        held.insert(holder.clone(), count + 1);
        drop(held);
        Ok(Share { of: Arc::clone(self), holder })
    }
}

impl<K> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.of.lock();
        match held.get_mut(&self.holder) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(held.remove(&self.holder)),
        }
    }
}

/// How many control frames came in this second. Each ping costs an answer, and a client needs few.
#[derive(Debug)]
pub(crate) struct ControlFrames {
    since: Instant,
    count: u32,
}

impl ControlFrames {
    /// None yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, count: 0 }
    }

    /// One more; whether that is beyond so many a second.
    pub(crate) fn is_flood(&mut self, now: Instant, most: u32) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.count += 1;
        self.count > most
    }
}

/// How long a ticket can be used.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(30);
/// More tickets than this are never kept; the oldest make room.
const MAX_TICKETS: usize = 10_000;

/// One-time tickets: a browser cannot send a key with a socket, so it trades the key for one of these.
#[derive(Default)]
pub(crate) struct Tickets {
    open: Mutex<HashMap<String, (Identity, Instant)>>,
}

impl Tickets {
    /// A new ticket for this identity.
    pub(crate) fn issue(&self, identity: Identity, now: Instant) -> String {
        let ticket = crate::hex(&rand::random::<[u8; 24]>());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_TICKETS {
            make_room(&mut open, now);
        }
        open.insert(ticket.clone(), (identity, now));
        ticket
    }

    /// How many nobody has used.
    pub(crate) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whose ticket it is; it is void from now on.
    pub(crate) fn redeem(&self, ticket: &str, now: Instant) -> Option<Identity> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, issued) = open.remove(ticket)?;
        (now.saturating_duration_since(issued) <= TICKET_LIFE).then_some(identity)
    }
}

fn make_room(open: &mut HashMap<String, (Identity, Instant)>, now: Instant) {
    open.retain(|_, (_, issued)| now.saturating_duration_since(*issued) <= TICKET_LIFE);
    if open.len() < MAX_TICKETS {
        return;
    }
    let oldest = open.iter().min_by_key(|(_, (_, issued))| *issued).map(|(ticket, _)| ticket.clone());
    oldest.map(|ticket| open.remove(&ticket));
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn key(session: &str) -> RateKey {
        ("ann".into(), session.into())
    }

    #[test]
    fn a_session_sends_a_burst_and_then_one_each_refill() {
        let clock = FakeRelativeClock::default();
        let limit = MessageLimit::with_clock(&Limits::default(), clock.clone());
        for _ in 0..20 {
            limit.take(&key("a")).unwrap();
        }
        let refused = limit.take(&key("a")).unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert_eq!(refused.detail, Detail::RetryAfter(Duration::from_secs(3)));
        limit.take(&key("b")).unwrap();
        clock.advance(Duration::from_secs(3));
        limit.take(&key("a")).unwrap();
        assert!(limit.take(&key("a")).is_err());
    }

    #[test]
    fn a_chat_has_one_bucket_by_whatever_dialect() {
        let by_path = Limited { subject: "ann".into(), session: Some("a".into()) };
        let by_chat = Limited { subject: "ann".into(), session: None };
        let named: ChatRef = ChatRef::Known("a".parse().unwrap());
        let other: ChatRef = ChatRef::Session("b".parse().unwrap());
        assert_eq!(by_chat.key(&named), by_path.key(&other));
        assert_ne!(by_chat.key(&other), by_path.key(&other));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let limit = MessageLimit::with_clock(&Limits::default(), clock.clone());
        for session in 0..500 {
            limit.take(&key(&session.to_string())).unwrap();
        }
        assert_eq!(limit.len(), 500);
        clock.advance(Duration::from_secs(61));
        limit.take(&key("new")).unwrap();
        limit.forget();
        assert_eq!(limit.len(), 1);
    }

    fn from(key: &str) -> Identity {
        Identity { key: Some(key.into()), ..Identity::local() }
    }

    #[test]
    fn an_address_and_an_identity_hold_their_share_and_give_it_back() {
        let limits = Limits { connections_per_address: 2, connections_per_identity: 2, ..Limits::default() };
        let (places, figures) = (Places::new(&limits), Figures::new());
        let take =
            |sender: u8, key| places.for_stream(Some([192, 0, 2, sender].into()), &from(key), &figures);
        let held = [take(1, "a").unwrap(), take(1, "b").unwrap()];
        let refused = take(1, "c").unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert!(refused.message.contains("this address"), "{refused}");
        let other = take(2, "a").unwrap();
        let refused = take(3, "a").unwrap_err();
        assert!(refused.message.contains("this key"), "{refused}");
        drop((held, other));
        let _again = take(1, "a").unwrap();
        assert_eq!(places.by_address.lock().len(), 1, "who has none is forgotten");
        assert_eq!(places.by_identity.lock().len(), 1);
        for _ in 0..10 {
            places.for_stream(None, &Identity::local(), &figures).unwrap();
        }
    }

    #[test]
    fn a_second_has_so_many_control_frames() {
        let start = Instant::now();
        let mut frames = ControlFrames::new(start);
        assert!((0..3).all(|_| !frames.is_flood(start, 3)));
        assert!(frames.is_flood(start, 3));
        assert!(!frames.is_flood(start + Duration::from_secs(1), 3));
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let tickets = Tickets::default();
        let now = Instant::now();
        let ticket = tickets.issue(Identity::local(), now);
        assert_eq!(tickets.redeem(&ticket, now), Some(Identity::local()));
        assert_eq!(tickets.redeem(&ticket, now), None);
        let late = tickets.issue(Identity::local(), now);
        assert_eq!(tickets.redeem(&late, now + TICKET_LIFE + Duration::from_millis(1)), None);
        assert_eq!(tickets.redeem("", now), None);
    }

    #[test]
    fn tickets_make_room_for_each_other() {
        let tickets = Tickets::default();
        let now = Instant::now();
        let first = tickets.issue(Identity::local(), now);
        for _ in 0..MAX_TICKETS {
            tickets.issue(Identity::local(), now + Duration::from_millis(1));
        }
        assert_eq!(tickets.open.lock().unwrap().len(), MAX_TICKETS);
        assert_eq!(tickets.redeem(&first, now), None);
    }
}
