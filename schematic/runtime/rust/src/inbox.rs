//! What waits to be read, bounded, with a declared policy for a consumer that does not keep up.
//!
//! Messages count against the bound; what is said about the connection does not, but of that too only so much is kept.
//! Who is woken is the business of the connection.

use std::collections::VecDeque;

use serde_json::Value;

use crate::{Event, Inbound, InboundFull};

/// How many events about the connection itself are kept; older ones say nothing that the newer do not.
const ABOUT: usize = 64;

#[derive(Debug)]
pub(crate) struct Inbox<In, Out> {
    bounds: Inbound,
    events: VecDeque<(Option<Value>, Event<In, Out>)>,
    messages: usize,
    dropped: u64,
    over: bool,
}

impl<In, Out> Inbox<In, Out> {
    pub(crate) fn new(bounds: Inbound) -> Self {
        Self { bounds, events: VecDeque::new(), messages: 0, dropped: 0, over: false }
    }

    /// Whether the link may be read from: false only where the policy is to wait for the consumer.
    pub(crate) fn wants_more(&self) -> bool {
        self.bounds.when_full != InboundFull::Block || !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.messages >= self.bounds.messages
    }

    /// How many messages were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Nothing comes after what is here.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over && self.events.is_empty()
    }

    /// Adds what is said about the connection.
    pub(crate) fn tell(&mut self, event: Event<In, Out>) {
        if self.events.len() - self.messages >= ABOUT {
            self.drop_first(|event| !matches!(event, Event::Message(_)));
        }
        self.events.push_back((None, event));
    }

    /// Adds a message. `Err` when there is no place and the policy is to fail.
    pub(crate) fn push(&mut self, message: In, key: Option<Value>) -> Result<(), In> {
        if key.is_some() && self.bounds.when_full == InboundFull::Coalesce {
            self.drop_older(&key);
        }
        if self.is_full() {
            match self.bounds.when_full {
                // The link is read again only after the consumer has made room; this one was already on its way.
                InboundFull::Block => {}
                InboundFull::DropOldest | InboundFull::Coalesce => {
                    self.drop_first(|event| matches!(event, Event::Message(_)));
                }
                InboundFull::Fail => return Err(message),
            }
        }
        self.messages += 1;
        self.events.push_back((key, Event::Message(message)));
        Ok(())
    }

    fn drop_older(&mut self, key: &Option<Value>) {
        if let Some(at) = self.events.iter().position(|(other, _)| other == key) {
            self.forget(at);
        }
    }

    fn drop_first(&mut self, which: impl Fn(&Event<In, Out>) -> bool) {
        if let Some(at) = self.events.iter().position(|(_, event)| which(event)) {
            self.forget(at);
        }
    }

    fn forget(&mut self, at: usize) {
        if let Some((_, Event::Message(_))) = self.events.remove(at) {
            self.messages -= 1;
            self.dropped += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event<In, Out>> {
        let (_, event) = self.events.pop_front()?;
        if matches!(event, Event::Message(_)) {
            self.messages -= 1;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(when_full: InboundFull) -> Inbox<u8, ()> {
        Inbox::new(Inbound { messages: 2, when_full, ..Inbound::default() })
    }

    fn messages(mut inbox: Inbox<u8, ()>) -> Vec<u8> {
        let event = std::iter::from_fn(|| inbox.pop());
        event
            .filter_map(|event| match event {
                Event::Message(n) => Some(n),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_full_inbox_blocks_drops_or_fails_as_declared() {
        let mut block = inbox(InboundFull::Block);
        assert!(block.wants_more() && block.push(1, None).is_ok() && block.push(2, None).is_ok());
        assert!(!block.wants_more());
        let mut oldest = inbox(InboundFull::DropOldest);
        (1..=3).for_each(|n| oldest.push(n, None).unwrap());
        assert_eq!((oldest.dropped(), messages(oldest)), (1, vec![2, 3]));
        let mut fail = inbox(InboundFull::Fail);
        assert_eq!([1, 2, 3].map(|n| fail.push(n, None)), [Ok(()), Ok(()), Err(3)]);
    }

    #[test]
    fn of_one_key_only_the_newest_is_kept() {
        let mut inbox = inbox(InboundFull::Coalesce);
        for (n, key) in [(1, "a"), (2, "b"), (3, "a")] {
            inbox.push(n, Some(key.into())).unwrap();
        }
        assert_eq!((inbox.dropped(), messages(inbox)), (1, vec![2, 3]));
    }

    #[test]
    fn what_is_said_about_the_connection_is_bounded_too() {
        let mut inbox = inbox(InboundFull::Block);
        inbox.push(1, None).unwrap();
        (0..200).for_each(|attempt| inbox.tell(Event::Connecting { attempt }));
        assert_eq!(inbox.events.len(), ABOUT + 1);
        assert_eq!(messages(inbox), [1]);
    }
}
