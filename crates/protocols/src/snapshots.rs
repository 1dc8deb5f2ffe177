//! When a cumulative partial is worth its bytes.
//!
//! A client of the founding documents replaces the text that it shows with each partial frame, so each one carries the
//! whole text again: sent for every token, an answer costs quadratic bytes. Here a snapshot is sent after at least
//! [`EVERY`], and only if what was sent, this one and the final one together cost at most twice what unmerged
//! per-token deltas would have cost so far. An answer then costs linear bytes at any speed and length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_engine::{ChatEvent, RunId};

/// The least time between two snapshots.
pub(crate) const EVERY: Duration = Duration::from_millis(50);

/// One run's snapshots on one connection.
pub(crate) struct Snapshots {
    run: RunId,
    /// What a frame with a delta costs beside its text: names, ids, and a sequence number of two digits. It must not be
    /// more than it really is, or snapshots would be paid from deltas that nobody would have sent.
    envelope: usize,
    delta_cost: usize,
    sent_cost: usize,
    not_before: Instant,
    waiting: Option<Waiting>,
}

struct Waiting {
    event: Arc<ChatEvent>,
    whole_len: usize,
}

impl Snapshots {
    /// Nothing of `run` was shown yet; the first snapshot may go at once.
    pub(crate) fn new(run: RunId, envelope: usize, now: Instant) -> Self {
        Self { run, envelope, delta_cost: 0, sent_cost: 0, not_before: now, waiting: None }
    }

    /// Which run.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// A delta of `delta_len` bytes came; the text up to and with it has `whole_len`.
    pub(crate) fn push(&mut self, event: Arc<ChatEvent>, delta_len: usize, whole_len: usize) {
        let tokens = usize::try_from(event.to.0 - event.from.0 + 1).unwrap_or(usize::MAX);
        self.delta_cost += delta_len + tokens.saturating_mul(self.envelope);
        self.waiting = Some(Waiting { event, whole_len });
    }

    /// The event whose snapshot is due now, if one is. It counts as sent.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Arc<ChatEvent>> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        let Waiting { event, whole_len } = self.waiting.take()?;
        self.sent_cost += whole_len + self.envelope;
        self.not_before = now + EVERY;
        Some(event)
    }

    /// When the waiting snapshot is due. `None`: nothing waits, or it is not worth its bytes yet.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.as_ref()?;
        let this_and_final = 2 * (waiting.whole_len + self.envelope);
        (self.sent_cost + this_and_final <= 2 * self.delta_cost).then_some(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use tidewire_engine::{AgentEvent, ChatBody, ChatId, Seq, Timestamp};

    use super::*;

    const ENVELOPE: usize = 88;

    fn delta(run: RunId, seq: u64, text: &str) -> Arc<ChatEvent> {
        let event = AgentEvent::TextDelta { text: text.into() };
        let body = ChatBody::Run { run, event, text: None };
        Arc::new(ChatEvent::new(ChatId::new(), Seq(seq), Seq(seq), Timestamp(0), body))
    }

    /// Streams `tokens` tokens of six bytes, one every `gap`, and returns (bytes of snapshots and the final one,
    /// bytes of unmerged deltas and the final one).
    fn cost(tokens: usize, gap: Duration) -> (usize, usize) {
        let (run, mut now) = (RunId::new(), Instant::now());
        let mut snapshots = Snapshots::new(run, ENVELOPE, now);
        let mut sent = 0;
        for token in 1..=tokens {
            snapshots.push(delta(run, token as u64, "tokens"), 6, 6 * token);
            if snapshots.take_due(now).is_some() {
                sent += 6 * token + ENVELOPE;
            }
            now += gap;
        }
        let last = 6 * tokens + ENVELOPE;
        (sent + last, tokens * (6 + ENVELOPE) + last)
    }

    #[test]
    fn snapshots_cost_at_most_twice_the_deltas_at_any_speed_and_length() {
        for tokens in [1, 10, 200, 2_000, 20_000] {
            for gap in [0, 1, 20, 100, 1_000].map(Duration::from_millis) {
                let (snapshots, deltas) = cost(tokens, gap);
                assert!(snapshots <= 2 * deltas, "{tokens} tokens every {gap:?}: {snapshots} > 2 x {deltas}");
            }
        }
    }

    #[test]
    fn the_first_token_is_shown_at_once_and_the_second_waits() {
        let (run, now) = (RunId::new(), Instant::now());
        let mut snapshots = Snapshots::new(run, ENVELOPE, now);
        snapshots.push(delta(run, 1, "Here"), 4, 4);
        assert!(snapshots.take_due(now).is_some());
        snapshots.push(delta(run, 2, " are"), 4, 8);
        assert!(snapshots.take_due(now).is_none());
        assert!(snapshots.take_due(now + EVERY).is_some());
        assert_eq!(snapshots.deadline(), None);
    }
}
