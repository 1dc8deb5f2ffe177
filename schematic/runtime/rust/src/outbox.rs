//! What waits to be sent, bounded by count and by bytes.
//!
//! A message is queued, then in flight, and leaves when it counts as sent. Whatever is still here when the connection
//! ends is handed back in the order in which it came. When to send is the business of the connection.

use std::collections::VecDeque;

use crate::{Error, ErrorKind, Frame, Outbound};

/// A message and its frame. Ids grow in the order of sending.
#[derive(Debug)]
pub(crate) struct Entry<Out> {
    pub(crate) id: u64,
    pub(crate) message: Out,
    pub(crate) frame: Frame,
}

#[derive(Debug)]
pub(crate) struct Outbox<Out> {
    bounds: Outbound,
    queued: VecDeque<Entry<Out>>,
    in_flight: VecDeque<Entry<Out>>,
    bytes: usize,
    next: u64,
    over: bool,
}

impl<Out> Outbox<Out> {
    pub(crate) fn new(bounds: Outbound) -> Self {
        Self { bounds, queued: VecDeque::new(), in_flight: VecDeque::new(), bytes: 0, next: 0, over: false }
    }

    /// How many messages are not yet sent.
    pub(crate) fn len(&self) -> usize {
        self.queued.len() + self.in_flight.len()
    }

    /// Whether a message waits to be written.
    pub(crate) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Queues a message, or gives it back with the reason. `Full` is the only reason that passes with time.
    pub(crate) fn add(&mut self, message: Out, frame: Frame) -> Result<u64, (Out, Frame, Error)> {
        if let Err(error) = self.judge(&frame) {
            return Err((message, frame, error));
        }
        self.next += 1;
        self.bytes += frame.len();
        self.queued.push_back(Entry { id: self.next, message, frame });
        Ok(self.next)
    }

    fn judge(&self, frame: &Frame) -> Result<(), Error> {
        let limit = self.bounds.message_bytes.min(self.bounds.bytes);
        if self.over {
            Err(Error::new(ErrorKind::Closed, "Open a new connection to send: this one is closed"))
        } else if frame.len() > limit {
            Err(Error::new(ErrorKind::Shape, format!("Shorten the message to {limit} bytes")))
        } else if self.len() >= self.bounds.messages || self.bytes + frame.len() > self.bounds.bytes {
            Err(Error::new(ErrorKind::Full, "Send later: too much waits to be sent already"))
        } else {
            Ok(())
        }
    }

    /// Takes the next message for writing; it is in flight from now on.
    pub(crate) fn take(&mut self) -> Option<&Entry<Out>> {
        let entry = self.queued.pop_front()?;
        self.in_flight.push_back(entry);
        self.in_flight.back()
    }

    /// The id of the message that was written last, if it is not yet sent.
    pub(crate) fn last_in_flight(&self) -> Option<u64> {
        self.in_flight.back().map(|entry| entry.id)
    }

    /// Everything written up to this id is sent.
    pub(crate) fn sent_up_to(&mut self, id: u64) -> bool {
        let count = self.in_flight.iter().take_while(|entry| entry.id <= id).count();
        self.sent(count)
    }

    /// The oldest `count` messages in flight are sent. Says whether that made room.
    pub(crate) fn sent(&mut self, count: usize) -> bool {
        let count = count.min(self.in_flight.len());
        self.bytes -= self.in_flight.drain(..count).map(|entry| entry.frame.len()).sum::<usize>();
        count > 0
    }

    /// Takes a message back that is still queued.
    pub(crate) fn withdraw(&mut self, id: u64) -> bool {
        let Some(at) = self.queued.iter().position(|entry| entry.id == id) else { return false };
        self.bytes -= self.queued.remove(at).map_or(0, |entry| entry.frame.len());
        true
    }

    /// The link was lost: what is in flight goes back to the head of the queue if it may be sent again, is forgotten
    /// if the session says it again by itself, and else comes out, in order.
    pub(crate) fn link_lost(&mut self, fate: impl Fn(&Out) -> Fate) -> Vec<Out> {
        let mut lost = Vec::new();
        let mut again = VecDeque::new();
        for entry in std::mem::take(&mut self.in_flight) {
            match fate(&entry.message) {
                Fate::Again => again.push_back(entry),
                Fate::Restored => self.bytes -= entry.frame.len(),
                Fate::Unknown => {
                    self.bytes -= entry.frame.len();
                    lost.push(entry.message);
                }
            }
        }
        again.append(&mut self.queued);
        self.queued = again;
        lost
    }

    /// Everything that is not sent, in order. Nothing is accepted any more.
    pub(crate) fn hand_back(&mut self) -> Vec<Out> {
        self.over = true;
        self.bytes = 0;
        let in_flight = std::mem::take(&mut self.in_flight);
        in_flight.into_iter().chain(std::mem::take(&mut self.queued)).map(|entry| entry.message).collect()
    }
}

/// What becomes of a message that was written, but of which nobody knows whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may be sent again
    Again,
    /// The session says it again by itself
    Restored,
    /// Its sender has to decide
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(messages: usize, bytes: usize) -> Outbox<&'static str> {
        Outbox::new(Outbound { messages, bytes, message_bytes: 4, ..Outbound::default() })
    }

    fn add(outbox: &mut Outbox<&'static str>, text: &'static str) -> Result<u64, ErrorKind> {
        outbox.add(text, Frame::Text(text.into())).map_err(|(_, _, error)| error.kind)
    }

    #[test]
    fn both_bounds_hold_and_what_is_sent_makes_room() {
        let mut outbox = outbox(2, 6);
        assert_eq!(add(&mut outbox, "12345"), Err(ErrorKind::Shape));
        assert_eq!(add(&mut outbox, "123"), Ok(1));
        assert_eq!(add(&mut outbox, "1234"), Err(ErrorKind::Full));
        assert_eq!(add(&mut outbox, "1"), Ok(2));
        assert_eq!(add(&mut outbox, "1"), Err(ErrorKind::Full));
        outbox.take();
        assert_eq!(add(&mut outbox, "1"), Err(ErrorKind::Full));
        assert!(outbox.sent_up_to(1));
        assert_eq!(add(&mut outbox, "1234"), Ok(3));
    }

    #[test]
    fn what_is_not_sent_comes_back_in_order() {
        let mut outbox = outbox(9, 99);
        for text in ["a", "b", "c", "d"] {
            add(&mut outbox, text).unwrap();
        }
        outbox.take();
        outbox.take();
        outbox.sent(1);
        assert!(outbox.withdraw(4) && !outbox.withdraw(2));
        assert_eq!(outbox.hand_back(), ["b", "c"]);
        assert_eq!(add(&mut outbox, "e"), Err(ErrorKind::Closed));
    }

    #[test]
    fn after_a_cut_each_message_has_the_fate_that_it_deserves() {
        let mut outbox = outbox(9, 99);
        for text in ["init", "idem", "once", "wait"] {
            add(&mut outbox, text).unwrap();
        }
        (0..3).for_each(|_| assert!(outbox.take().is_some()));
        let lost = outbox.link_lost(|text| match *text {
            "init" => Fate::Restored,
            "idem" => Fate::Again,
            _ => Fate::Unknown,
        });
        assert_eq!((lost, outbox.hand_back()), (vec!["once"], vec!["idem", "wait"]));
    }
}
