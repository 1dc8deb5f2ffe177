//! A request's body that has to come in time, so that nobody holds a place by sending a byte now and then.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tidewire_engine::{Code, Detail, Error};
use tokio::time::{Instant, Sleep};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body with a deadline. Most come with their heads and never start its clock.
pub(crate) struct Timed {
    body: Incoming,
    patience: Duration,
    until: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// From now on it has so long.
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self { body, patience, until: Instant::now() + patience, sleep: None }
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        let until = self.until;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Late(self.patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body did not come in time.
#[derive(Debug)]
struct Late(Duration);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body was not whole after {} s", self.0.as_secs())
    }
}

impl std::error::Error for Late {}

/// Why a body could not be read, if it was late: nothing about its length.
pub(crate) fn late(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(Late(patience)) = cause.downcast_ref() {
            let sentence = format!("{}; send less at once", Late(*patience));
            return Some(Error::new(Code::Deadline, sentence).with(Detail::Timeout(*patience)));
        }
        next = cause.source();
    }
    None
}
