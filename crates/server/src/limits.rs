//! How much a client may use: chat messages a session, connections, and one-time tickets.
//!
//! Everything here is bounded: what is no longer needed is forgotten by [`MessageLimit::forget`], which the server
//! calls now and then, and tickets make room for each other.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tidewire_engine::identity::Subject;
use tidewire_engine::{Code, Detail, Error, Identity, Result};

use crate::config::Limits;

/// What is limited together: a subject's session.
pub(crate) type RateKey = (Subject, Box<str>);

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
