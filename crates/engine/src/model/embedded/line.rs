//! The waiting line before the chat model: one generation at a time, first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The line.
#[derive(Clone)]
pub(super) struct Line {
    waiting: Arc<Mutex<Waiting>>,
    moved: watch::Sender<()>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    tickets: VecDeque<u64>,
}

/// A place in the line; dropping it leaves the line.
pub(super) struct Ticket {
    number: u64,
    line: Line,
    moved: watch::Receiver<()>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { waiting: Arc::default(), moved: watch::Sender::new(()) }
    }

    /// Joins at the end.
    pub(super) fn join(&self) -> Ticket {
        let moved = self.moved.subscribe();
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.tickets.push_back(number);
        Ticket { number, line: self.clone(), moved }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// How many are before us; with none it is our turn.
    pub(super) fn position(&self) -> usize {
        self.line.lock().tickets.iter().take_while(|ticket| **ticket != self.number).count()
    }

    /// Waits until the position is another than this one.
    pub(super) async fn moved(&mut self, from: usize) -> usize {
        loop {
            let position = self.position();
            // The line lives in the ticket, so its sender cannot be gone.
            if position != from || self.moved.changed().await.is_err() {
                return position;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.line.lock().tickets.retain(|ticket| *ticket != self.number);
        self.line.moved.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leaving_moves_everybody_behind_up() {
        let line = Line::new();
        let (first, second, mut third) = (line.join(), line.join(), line.join());
        assert_eq!((first.position(), second.position(), third.position()), (0, 1, 2));
        drop(second);
        assert_eq!(third.moved(2).await, 1);
        drop(first);
        assert_eq!(third.moved(1).await, 0);
    }
}
