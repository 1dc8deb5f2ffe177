//! How often the client may send: when the next message is allowed under all limits.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::Rate;

#[derive(Debug)]
pub(crate) struct Rates {
    limits: Vec<Rate>,
    /// When the last messages were sent, as many as the largest limit counts
    sent: VecDeque<Instant>,
    most: usize,
}

impl Rates {
    pub(crate) fn new(limits: &[Rate]) -> Self {
        let most = limits.iter().map(|rate| rate.messages.max(1)).max().unwrap_or(0);
        Self { limits: limits.to_vec(), sent: VecDeque::new(), most }
    }

    pub(crate) fn spend(&mut self, now: Instant) {
        if self.most == 0 {
            return;
        }
        if self.sent.len() == self.most {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// When the next message may be sent: `now`, or later.
    pub(crate) fn free_at(&self, now: Instant) -> Instant {
        self.limits.iter().filter_map(|rate| self.free_under(rate)).max().map_or(now, |at| at.max(now))
    }

    fn free_under(&self, rate: &Rate) -> Option<Instant> {
        // A limit of none would never allow anything; it is taken for one.
        let first = self.sent.len().checked_sub(rate.messages.max(1))?;
        Some(*self.sent.get(first)? + rate.per)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_limits_hold() {
        let second = Duration::from_secs(1);
        let limits = [Rate { messages: 2, per: second }, Rate { messages: 3, per: 60 * second }];
        let (mut rates, start) = (Rates::new(&limits), Instant::now());
        rates.spend(start);
        assert_eq!(rates.free_at(start), start);
        rates.spend(start);
        assert_eq!(rates.free_at(start), start + second);
        rates.spend(start + second);
        assert_eq!(rates.free_at(start + second), start + 60 * second);
        assert_eq!(rates.free_at(start + 61 * second), start + 61 * second);
    }
}
