//! The way from an agent to whoever writes down what it says: a bounded queue in which adjacent deltas become one.
//!
//! A token costs its agent a lock and a copy: nothing is allotted, sent or woken for it while the one before it still
//! waits. How much may wait is counted in what was said, not in what it became.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

use crate::event::AgentEvent;

/// A queue in which so many events wait at most; 0 is taken as 1.
pub fn queue(capacity: usize) -> (Events, Told) {
    let shared = Arc::new(Shared { capacity: capacity.max(1), queue: Mutex::default(), room: Notify::new() });
    (Events(Arc::clone(&shared)), Told(shared))
}

/// Where an agent's events go. It is bounded: an agent that is faster than the log waits.
#[derive(Debug)]
pub struct Events(Arc<Shared>);

/// Where they come out. Dropping it lets the agent know that nobody hears it.
#[derive(Debug)]
pub struct Told(Arc<Shared>);

/// Nobody hears what is said any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unheard;

#[derive(Debug)]
struct Shared {
    capacity: usize,
    queue: Mutex<Queue>,
    /// Rings when the queue was emptied, or nobody will.
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<AgentEvent>,
    /// How often something was said since the queue was empty.
    said: usize,
    reader: Option<Waker>,
    agent_is_gone: bool,
    reader_is_gone: bool,
}

impl Queue {
    fn put(&mut self, event: AgentEvent) {
        self.said += 1;
        let left = match self.events.back_mut() {
            Some(last) => absorb(last, event),
            None => Some(event),
        };
        self.events.extend(left);
    }

    fn put_text(&mut self, delta: &str) {
        self.said += 1;
        match self.events.back_mut() {
            Some(AgentEvent::TextDelta { text }) => text.push_str(delta),
            _ => self.events.push_back(AgentEvent::TextDelta { text: delta.to_owned() }),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, then puts something into the queue. If this is dropped before, nothing was put.
    async fn put(&self, put: impl FnOnce(&mut Queue)) -> Result<(), Unheard> {
        let mut paid = false;
        let mut queue = loop {
            let ring = {
                let queue = self.lock();
                match queue.said {
                    _ if queue.reader_is_gone => return Err(Unheard),
                    0 if !paid => None,
                    said if said < self.capacity => break queue,
                    // Made under the lock, so that no ring is missed.
                    _ => Some(self.room.notified()),
                }
            };
            match ring {
                Some(ring) => ring.await,
                // With a reader that is as fast as it is, the agent never waits, and yet others are to have their turns.
                None => consume_budget().await,
            }
            paid = true;
        };
        put(&mut queue);
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Events {
    /// Tells of something, waiting for room. Deltas may arrive as one with those beside them.
    ///
    /// # Errors
    /// When nobody hears it.
    pub async fn send(&self, event: AgentEvent) -> Result<(), Unheard> {
        self.0.put(|queue| queue.put(event)).await
    }

    /// Says more of the answer, waiting for room: the same as sending a text delta, for less.
    ///
    /// # Errors
    /// When nobody hears it.
    pub async fn say(&self, text: &str) -> Result<(), Unheard> {
        self.0.put(|queue| queue.put_text(text)).await
    }
}

impl Told {
    /// Waits until something was told and takes all of it. Nothing is taken when the agent is gone.
    pub async fn take(&mut self) -> VecDeque<AgentEvent> {
        poll_fn(|cx| self.poll(cx, std::mem::take)).await
    }

    /// Waits for the next event; `None` when the agent is gone.
    pub async fn next(&mut self) -> Option<AgentEvent> {
        poll_fn(|cx| self.poll(cx, VecDeque::pop_front)).await
    }

    /// Hears nothing more. What was told before can still be taken.
    pub fn close(&mut self) {
        self.0.lock().reader_is_gone = true;
        self.0.room.notify_waiters();
    }

    fn poll<T>(&self, cx: &mut Context<'_>, take: impl FnOnce(&mut VecDeque<AgentEvent>) -> T) -> Poll<T> {
        let mut queue = self.0.lock();
        if queue.events.is_empty() && !queue.agent_is_gone {
            queue.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = take(&mut queue.events);
        if queue.events.is_empty() {
            queue.said = 0;
            self.0.room.notify_waiters();
        }
        Poll::Ready(taken)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.agent_is_gone = true;
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
    }
}

/// Merges an event into the one before, or gives it back.
fn absorb(last: &mut AgentEvent, event: AgentEvent) -> Option<AgentEvent> {
    match (last, event) {
        (AgentEvent::TextDelta { text }, AgentEvent::TextDelta { text: more })
        | (AgentEvent::ReasoningDelta { text }, AgentEvent::ReasoningDelta { text: more }) => {
            text.push_str(&more);
            None
        }
        // Arguments are shown as they are so far; the newest says all.
        (
            AgentEvent::ToolCallArgs { call_id, so_far, .. },
            AgentEvent::ToolCallArgs { call_id: same, so_far: more, .. },
        ) if *call_id == same => {
            *so_far = more;
            None
        }
        (_, event) => Some(event),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    fn text(event: Option<AgentEvent>) -> String {
        match event {
            Some(AgentEvent::TextDelta { text }) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn adjacent_deltas_become_one_and_nothing_else_does() {
        let (events, mut told) = queue(16);
        events.send(AgentEvent::RunStarted).await.unwrap();
        events.say("a").await.unwrap();
        events.send(AgentEvent::TextDelta { text: "b".into() }).await.unwrap();
        events.send(AgentEvent::ReasoningDelta { text: "hm".into() }).await.unwrap();
        events.say("c").await.unwrap();
        assert!(matches!(told.next().await, Some(AgentEvent::RunStarted)));
        assert_eq!(text(told.next().await), "ab");
        assert!(matches!(told.next().await, Some(AgentEvent::ReasoningDelta { text }) if text == "hm"));
        assert_eq!(text(told.next().await), "c");
        assert!(poll!(std::pin::pin!(told.next())).is_pending());
    }

    #[tokio::test]
    async fn what_was_said_counts_and_not_what_it_became() {
        let (events, mut told) = queue(2);
        events.say("a").await.unwrap();
        events.say("b").await.unwrap();
        let mut third = std::pin::pin!(events.say("c"));
        assert!(poll!(third.as_mut()).is_pending());
        assert_eq!(told.take().await.len(), 1);
        third.await.unwrap();
        assert_eq!(text(told.next().await), "c");
    }

    #[tokio::test]
    async fn each_side_notices_that_the_other_is_gone() {
        let (events, mut told) = queue(1);
        events.say("last").await.unwrap();
        drop(events);
        assert_eq!(text(told.next().await), "last");
        assert!(told.next().await.is_none() && told.take().await.is_empty());
        let (events, told) = queue(1);
        events.say("first").await.unwrap();
        let mut waiting = std::pin::pin!(events.say("second"));
        assert!(poll!(waiting.as_mut()).is_pending());
        drop(told);
        assert_eq!(waiting.await, Err(Unheard));
    }

    #[tokio::test]
    async fn who_is_dropped_while_it_waits_has_said_nothing() {
        let (events, mut told) = queue(1);
        events.say("a").await.unwrap();
        {
            let mut waiting = std::pin::pin!(events.say("b"));
            assert!(poll!(waiting.as_mut()).is_pending());
        }
        assert_eq!(text(told.next().await), "a");
        drop(events);
        assert!(told.next().await.is_none());
    }
}
