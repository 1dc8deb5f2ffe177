//! One regular sign of life: when it is due, and when its answer is overdue. What it looks like is up to the link.

use std::time::Duration;

use tokio::time::Instant;

use crate::Beat;

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Beat,
    /// The answer did not come in time
    Dead,
}

#[derive(Debug)]
pub(crate) struct Pulse {
    beat: Option<Beat>,
    interval: Option<Duration>,
    next: Option<Instant>,
    answer_by: Option<Instant>,
}

impl Pulse {
    pub(crate) fn new(beat: Option<Beat>, now: Instant) -> Self {
        let mut pulse = Self { beat, interval: None, next: None, answer_by: None };
        if let Some(interval) = beat.and_then(|beat| beat.interval) {
            pulse.set(interval, now);
        }
        pulse
    }

    /// Beats in this interval from now on. Without a declared beat there is none.
    pub(crate) fn set(&mut self, interval: Duration, now: Instant) {
        let Some(beat) = self.beat else { return };
        // An interval of nothing would leave no time for anything else.
        let interval = interval.max(Duration::from_millis(1));
        let part = if beat.jitter_first { rand::random::<f64>() } else { 1.0 };
        self.interval = Some(interval);
        self.next = Some(now + interval.mul_f64(part));
    }

    pub(crate) fn answered(&mut self) {
        self.answer_by = None;
    }

    /// Gives an answer that could not be read more time.
    pub(crate) fn forgive(&mut self, now: Instant) {
        if let (Some(by), Some(timeout)) = (&mut self.answer_by, self.beat.and_then(|beat| beat.timeout)) {
            *by = now + timeout;
        }
    }

    pub(crate) fn due(&mut self, now: Instant) -> Due {
        if self.answer_by.is_some_and(|by| by <= now) {
            return Due::Dead;
        }
        if self.next.is_none_or(|next| now < next) {
            return Due::Nothing;
        }
        self.next = self.interval.map(|interval| now + interval);
        let timeout = self.beat.and_then(|beat| beat.timeout);
        self.answer_by = self.answer_by.or(timeout.map(|timeout| now + timeout));
        Due::Beat
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.next, self.answer_by].into_iter().flatten().min()
    }
}
