//! Which reply belongs to which request.
//!
//! A request is found by its id, or, in protocols without ids, by its turn: the oldest request that accepts the message
//! gets it. Sending the request is the business of the connection.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Error, ErrorKind};

type Judge<In> = Box<dyn Fn(&In) -> bool + Send>;

/// How many replies a request gets.
pub enum Count<In> {
    /// This many
    Exactly(u32),
    /// Any number, up to the one for which this holds
    Until(Judge<In>),
}

/// How the replies to a request are recognised.
pub struct Expect<In> {
    /// The request's id as it stands in its replies: an integer, a string, or any JSON
    pub id: Option<Value>,
    /// Whether a message can answer at all
    pub accepts: Judge<In>,
    /// Whether a message says that the request failed; nothing comes after it
    pub fails: Judge<In>,
    /// How many replies there are
    pub count: Count<In>,
    /// Time until the first reply; without it, as the policy says
    pub timeout: Option<Duration>,
    /// Whether the session says the request again on the next link, so that its replies go on
    pub restored: bool,
}

impl<In> Default for Expect<In> {
    fn default() -> Self {
        Self {
            id: None,
            accepts: Box::new(|_| true),
            fails: Box::new(|_| false),
            count: Count::Exactly(1),
            timeout: None,
            restored: false,
        }
    }
}

impl<In> Expect<In> {
    /// One reply with this id.
    pub fn id(id: impl Into<Value>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }
}

impl<In> fmt::Debug for Expect<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expect").field("id", &self.id).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

struct Pending<In> {
    key: u64,
    expect: Expect<In>,
    replies: mpsc::Sender<Result<In, Error>>,
}

impl<In> Pending<In> {
    fn answered_by(&self, id: Option<&Value>, message: &In) -> bool {
        self.expect.id.as_ref().is_none_or(|wanted| Some(wanted) == id) && (self.expect.accepts)(message)
    }

    /// Counts a reply; true if it is the last.
    fn is_last(&mut self, message: &In) -> bool {
        (self.expect.fails)(message)
            || match &mut self.expect.count {
                Count::Exactly(left) => {
                    *left = left.saturating_sub(1);
                    *left == 0
                }
                Count::Until(last) => last(message),
            }
    }
}

/// The requests that wait for replies.
pub(crate) struct Correlator<In> {
    pending: Vec<Pending<In>>,
    next: u64,
    over: bool,
}

impl<In> Correlator<In> {
    pub(crate) fn new() -> Self {
        Self { pending: Vec::new(), next: 0, over: false }
    }

    /// Waits for replies, of which at most `bound` may wait to be read. The key is for [`Self::forget`].
    pub(crate) fn expect(
        &mut self,
        expect: Expect<In>,
        bound: usize,
    ) -> (u64, mpsc::Receiver<Result<In, Error>>) {
        let (replies, receiver) = mpsc::channel(bound.max(1));
        self.next += 1;
        if !self.over {
            self.pending.push(Pending { key: self.next, expect, replies });
        }
        (self.next, receiver)
    }

    /// Gives a message to the request that it answers, or gives it back.
    pub(crate) fn offer(&mut self, id: Option<&Value>, message: In) -> Option<In> {
        let Some(at) = self.pending.iter().position(|pending| pending.answered_by(id, &message)) else {
            return Some(message);
        };
        let last = self.pending[at].is_last(&message);
        let kept = self.pending[at].replies.try_send(Ok(message)).is_ok();
        if last || !kept {
            // An asker that reads too slowly finds the replies so far, and then the end.
            self.pending.remove(at);
        }
        None
    }

    pub(crate) fn forget(&mut self, key: u64) {
        self.pending.retain(|pending| pending.key != key);
    }

    /// Tells every request that is not restored with the session that no reply will come.
    pub(crate) fn link_lost(&mut self, error: &Error) {
        self.fail(error, |pending| !pending.expect.restored);
    }

    fn fail(&mut self, error: &Error, which: impl Fn(&Pending<In>) -> bool) {
        for pending in self.pending.extract_if(.., |pending| which(pending)) {
            // Without room the channel's end says the same.
            let _ = pending.replies.try_send(Err(error.clone()));
        }
    }

    /// No request can be answered any more.
    pub(crate) fn end(&mut self) {
        self.over = true;
        let message = "Open a new connection: this one was closed before the reply came";
        self.fail(&Error::new(ErrorKind::Closed, message), |_| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_different_kinds_are_different() {
        let mut correlator = Correlator::new();
        let (_, mut number) = correlator.expect(Expect::id(1), 4);
        let (_, mut string) = correlator.expect(Expect::id("1"), 4);
        assert_eq!(correlator.offer(Some(&Value::from("1")), "s"), None);
        assert_eq!(correlator.offer(Some(&Value::from(1)), "n"), None);
        assert_eq!(correlator.offer(Some(&Value::from(1)), "n"), Some("n"));
        assert_eq!((number.try_recv(), string.try_recv()), (Ok(Ok("n")), Ok(Ok("s"))));
    }

    #[test]
    fn without_ids_the_oldest_that_accepts_is_answered() {
        let mut correlator = Correlator::new();
        let even = Expect { accepts: Box::new(|n| n % 2 == 0), ..Expect::default() };
        let (_, mut even) = correlator.expect(even, 4);
        let (_, mut any) = correlator.expect(Expect::default(), 4);
        assert_eq!([3, 4, 5].map(|n| correlator.offer(None, n)), [None, None, Some(5)]);
        assert_eq!((even.try_recv(), any.try_recv()), (Ok(Ok(4)), Ok(Ok(3))));
    }

    #[test]
    fn streams_end_with_their_last_reply_or_a_failure() {
        let mut correlator = Correlator::new();
        let stream = Expect {
            count: Count::Until(Box::new(|n| *n == 9)),
            fails: Box::new(|n| *n < 0),
            ..Expect::default()
        };
        let (_, mut replies) = correlator.expect(stream, 4);
        assert_eq!([1, 9, 2].map(|n| correlator.offer(None, n)), [None, None, Some(2)]);
        assert_eq!([replies.try_recv(), replies.try_recv()], [Ok(Ok(1)), Ok(Ok(9))]);
        assert_eq!(replies.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }
}
