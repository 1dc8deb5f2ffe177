//! What persons say to a run that goes on, so that it takes it into account.
//!
//! An agent that can be steered opens the place, takes what has come before each round of its model, and closes the
//! place before it comes to an end: what was let in is read. What comes later is a question of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Where a run is steered. It is closed until its agent opens it.
#[derive(Debug, Default)]
pub struct Steering(Mutex<Place>);

#[derive(Debug, Default)]
struct Place {
    is_open: bool,
    waiting: Vec<Said>,
    /// How many were taken, those of an earlier process included.
    taken: usize,
}

#[derive(Debug)]
struct Said {
    text: String,
    /// Says whether it is in the log; `None` if it was there before.
    written: Option<oneshot::Receiver<bool>>,
}

impl Steering {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on the run can be steered.
    pub fn open(&self) {
        self.lock().is_open = true;
    }

    /// What an earlier process was told and did not come to read: all but the first `taken`.
    pub(super) fn reopen(&self, told: &[String], taken: usize) {
        let mut place = self.lock();
        place.is_open = true;
        place.taken = taken;
        let unread = told.iter().skip(taken);
        place.waiting = unread.map(|text| Said { text: text.clone(), written: None }).collect();
    }

    /// Lets somebody say something, if the place is open. It is read when what is given back says that it is in the
    /// log, and not at all when it says otherwise or is dropped.
    pub(crate) fn offer(&self, text: &str) -> Option<oneshot::Sender<bool>> {
        let mut place = self.lock();
        if !place.is_open {
            return None;
        }
        let (sender, written) = oneshot::channel();
        place.waiting.push(Said { text: text.to_owned(), written: Some(written) });
        Some(sender)
    }

    /// What has come, oldest first; each is given once.
    pub async fn take(&self) -> Vec<String> {
        let waiting = std::mem::take(&mut self.lock().waiting);
        let mut texts = Vec::with_capacity(waiting.len());
        for said in waiting {
            let is_written = match said.written {
                Some(written) => written.await.unwrap_or(false),
                None => true,
            };
            texts.extend(is_written.then_some(said.text));
        }
        self.lock().taken += texts.len();
        texts
    }

    /// How many were taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().taken
    }

    /// Closes the place, and gives what came last.
    pub async fn close(&self) -> Vec<String> {
        self.lock().is_open = false;
        self.take().await
    }

    /// Closes the place unless something waits in it. Whether it is closed.
    pub fn close_if_empty(&self) -> bool {
        let mut place = self.lock();
        place.is_open &= !place.waiting.is_empty();
        !place.is_open && place.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_in_the_log_is_read_once_and_what_is_not_never() {
        let steering = Steering::default();
        assert!(steering.offer("too early").is_none());
        steering.open();
        let (first, second) = (steering.offer("first").unwrap(), steering.offer("second").unwrap());
        first.send(true).unwrap();
        second.send(false).unwrap();
        assert!(!steering.close_if_empty(), "something waits");
        assert_eq!(steering.take().await, ["first"]);
        assert_eq!(steering.take().await, Vec::<String>::new());
        assert!(steering.close_if_empty());
        assert!(steering.offer("too late").is_none());
    }

    #[tokio::test]
    async fn what_an_earlier_process_did_not_read_is_read() {
        let steering = Steering::default();
        steering.reopen(&["old".into(), "new".into()], 1);
        assert_eq!(steering.take().await, ["new"]);
        assert_eq!(steering.taken(), 2);
    }
}
