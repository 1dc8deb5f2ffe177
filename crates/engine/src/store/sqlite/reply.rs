//! Answers that are put down one after the other and told together.
//!
//! Waking an asker from another thread wakes a thread of the runtime, which on a busy machine takes the core away at
//! once, answers that one and sleeps again. So whoever has many answers puts them all down first, and a single task of
//! the runtime wakes those who wait for them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

/// The place of one answer.
type Slot<T> = Arc<Mutex<State<T>>>;

enum State<T> {
    Waiting(Option<Waker>),
    Here(T),
    /// It was taken, or will never come.
    Gone,
}

/// Whoever has to answer. Dropped without an answer, it tells that there will be none.
pub(super) struct Reply<T>(Slot<T>);

/// Whoever waits; `None` if there is no answer to come.
pub(super) struct Answer<T>(Slot<T>);

/// A place for one answer.
pub(super) fn reply<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(State::Waiting(None)));
    (Reply(Arc::clone(&slot)), Answer(slot))
}

impl<T> Reply<T> {
    /// Puts the answer down. Whom to wake, if somebody waits already.
    pub(super) fn put(self, answer: T) -> Option<Waker> {
        leave(&self.0, State::Here(answer))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(waker) = leave(&self.0, State::Gone) {
            waker.wake();
        }
    }
}

/// Changes a place in which nothing lies yet.
fn leave<T>(slot: &Slot<T>, state: State<T>) -> Option<Waker> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let State::Waiting(waker) = &mut *slot else { return None };
    let waker = waker.take();
    *slot = state;
    waker
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, State::Gone) {
            State::Waiting(_) => {
                *slot = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Here(answer) => Poll::Ready(Some(answer)),
            State::Gone => Poll::Ready(None),
        }
    }
}

/// Those who are to be woken; at the latest when this is dropped.
#[derive(Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn extend(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.0.extend(wakers);
    }

    /// Wakes them: many by one task of the runtime.
    pub(super) fn wake(self, runtime: Option<&Handle>) {
        if let Some(runtime) = runtime
            && self.0.len() > 1
        {
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_before_or_after_it_is_waited_for() {
        let (reply, answer) = reply();
        assert!(reply.put(1).is_none(), "nobody waits yet");
        assert_eq!(answer.await, Some(1));

        let (reply, answer) = super::reply();
        let waiting = tokio::spawn(answer);
        tokio::task::yield_now().await;
        let mut wakers = Wakers::default();
        wakers.extend(reply.put(2));
        wakers.wake(Some(&Handle::current()));
        assert_eq!(waiting.await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn who_waits_hears_that_there_will_be_no_answer() {
        let (reply, answer) = reply::<()>();
        let waiting = tokio::spawn(answer);
        tokio::task::yield_now().await;
        drop(reply);
        assert_eq!(waiting.await.unwrap(), None);
    }

    #[test]
    fn a_runtime_that_ends_wakes_them_all_the_same() {
        let ending = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answers = other.block_on(async {
            let (replies, answers): (Vec<_>, Vec<_>) = (0..3).map(|_| reply()).unzip();
            let answers: Vec<_> = answers.into_iter().map(tokio::spawn).collect();
            tokio::task::yield_now().await;
            let mut wakers = Wakers::default();
            replies.into_iter().for_each(|reply| wakers.extend(reply.put(3)));
            assert_eq!(wakers.0.len(), 3);
            wakers.wake(Some(ending.handle()));
            answers
        });
        drop(ending);
        for answer in answers {
            assert_eq!(other.block_on(answer).unwrap(), Some(3));
        }
    }
}
