//! Failed attempts: who was wrong too often waits, with a right key too, so that nobody guesses at full speed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tidewire_engine::{Code, Detail, Error, Result};

/// So many wrong keys at once.
const BURST: NonZeroU32 = NonZeroU32::new(20).expect("it is not zero");
/// After this one more.
const REFILL: Duration = Duration::from_secs(3);
const FORWARDED: &str = "x-forwarded-for";

/// Where a request came from: the other end of the TCP connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who was wrong lately.
pub(crate) struct Attempts<C: Clock = DefaultClock> {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, C, NoOpMiddleware<C::Instant>>,
    /// Who has to wait, until when.
    waiting: Mutex<HashMap<IpAddr, C::Instant>>,
    clock: C,
    behind_proxy: bool,
}

impl Attempts {
    /// By the machine's clock. Behind a proxy it says where a request came from.
    pub(crate) fn new(behind_proxy: bool) -> Self {
        Self::with_clock(behind_proxy, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Attempts<C> {
    fn with_clock(behind_proxy: bool, clock: C) -> Self {
        let quota =
            Quota::with_period(REFILL).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(BURST);
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { limiter, waiting: Mutex::default(), clock, behind_proxy }
    }

    /// Who a request counts as: its sender's address, for IPv6 the network that a household gets. `None` is this
    /// machine: there may be a proxy on it that says nothing of those behind it, and they must not wait for each other.
    pub(crate) fn sender(&self, peer: Peer, headers: &HeaderMap) -> Option<IpAddr> {
        let forwarded = self.behind_proxy.then(|| forwarded_for(headers)).flatten();
        match forwarded.unwrap_or(peer.0).to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V6(address) => Some(network(address).into()),
            address @ IpAddr::V4(_) => Some(address),
        }
    }

    /// Fails while this sender has to wait.
    pub(crate) fn check(&self, sender: IpAddr) -> Result<()> {
        let until = self.waiting().get(&sender).copied();
        let now = self.clock.now();
        match until {
            Some(until) if until > now => {
                let wait = Duration::from(governor::clock::Reference::duration_since(&until, now));
                Err(Error::new(
                    Code::RateLimited,
                    "too many wrong keys came from this address; wait a moment",
                )
                .with(Detail::RetryAfter(wait)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// How many senders have to wait, as of the last [`forget`](Self::forget).
    pub(crate) fn waiting_senders(&self) -> usize {
        self.waiting().len()
    }

    /// This sender was wrong.
    pub(crate) fn failed(&self, sender: IpAddr) {
        if let Err(refused) = self.limiter.check_key(&sender) {
            let until = refused.earliest_possible();
            self.waiting().insert(sender, until);
        }
    }

    /// Forgets whose failures are old.
    pub(crate) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let now = self.clock.now();
        self.waiting().retain(|_, until| *until > now);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<IpAddr, C::Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last address is the one that our own proxy has added.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

fn network(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_was_wrong_too_often_waits_and_nobody_else() {
        let clock = FakeRelativeClock::default();
        let attempts = Attempts::with_clock(false, clock.clone());
        let (mallory, ann) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..BURST.get() {
            attempts.check(mallory).unwrap();
            attempts.failed(mallory);
        }
        attempts.check(mallory).unwrap();
        attempts.failed(mallory);
        let refused = attempts.check(mallory).unwrap_err();
        assert_eq!((refused.code, refused.detail), (Code::RateLimited, Detail::RetryAfter(REFILL)));
        attempts.check(ann).unwrap();
        clock.advance(REFILL);
        attempts.check(mallory).unwrap();
        attempts.failed(mallory);
        attempts.failed(mallory);
        assert!(attempts.check(mallory).is_err());
        clock.advance(REFILL * 100);
        attempts.forget();
        assert_eq!((attempts.limiter.len(), attempts.waiting().len()), (0, 0));
    }

    #[test]
    fn only_our_own_proxy_says_where_a_request_came_from() {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, "203.0.113.9, 192.0.2.7".parse().unwrap());
        let peer = Peer(address("127.0.0.1"));
        assert_eq!(Attempts::new(true).sender(peer, &headers), Some(address("192.0.2.7")));
        assert_eq!(Attempts::new(false).sender(peer, &headers), None);
        let peer = Peer(address("2001:db8:1:2:3:4:5:6"));
        assert_eq!(Attempts::new(true).sender(peer, &HeaderMap::new()), Some(address("2001:db8:1:2::")));
        let peer = Peer(address("192.0.2.9"));
        assert_eq!(Attempts::new(false).sender(peer, &headers), Some(peer.0));
    }
}
