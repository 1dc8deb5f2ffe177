//! Time and chance, passed in, so that a test decides how long a wait is.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

/// Where waits between attempts come from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of day, for dates in `Retry-After`.
    fn now(&self) -> SystemTime;

    /// Ends after that time.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// A number from 0 up to 1.
    fn chance(&self) -> f64;
}

/// The time of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn chance(&self) -> f64 {
        rand::random()
    }
}
