//! What a client is opened with.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use schematic_runtime::{
    Backoff, Beat, Confirm, Connection, Policy, Reconnect, Transport, WebSocketTransport,
};

use crate::access::{Access, Token};
use crate::generated::client::LiveSession;
use crate::lanes::Lanes;
use crate::session::{Live, Renewing};
use crate::{Client, Error, Result};

type Adjust = Box<dyn Fn(&mut Policy) + Send + Sync>;

/// Choices for a [`Client`].
pub struct Builder {
    url: String,
    access: Access,
    pub(crate) timeout: Duration,
    pub(crate) model_timeout: Duration,
    pub(crate) buffer: usize,
    adjust: Option<Adjust>,
}

impl Builder {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            access: Access::default(),
            timeout: Duration::from_secs(30),
            model_timeout: Duration::from_secs(300),
            buffer: 256,
            adjust: None,
        }
    }

    /// An API key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.access = Access::key(key);
        self
    }

    /// Where tokens come from. One is obtained before the first connection, a minute before the last one expires, and
    /// when a new connection is refused; never twice at once.
    #[must_use]
    pub fn token_provider<F, E>(mut self, provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = std::result::Result<Token, E>> + Send + 'static,
        E: fmt::Display,
    {
        self.access = Access::provider(provider);
        self
    }

    /// How long an answer may take, with all repetitions [default: 30 s].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a model may take for [`Client::raw_completion`] [default: 5 min].
    #[must_use]
    pub fn model_timeout(mut self, timeout: Duration) -> Self {
        self.model_timeout = timeout;
        self
    }

    /// How many frames of changes wait for the reader of a subscription, before the server is asked to pause
    /// [default: 256].
    #[must_use]
    pub fn buffer(mut self, frames: usize) -> Self {
        self.buffer = frames.max(1);
        self
    }

    /// Changes how connections are kept: backoff, signs of life, bounds.
    #[must_use]
    pub fn policy(mut self, adjust: impl Fn(&mut Policy) + Send + Sync + 'static) -> Self {
        self.adjust = Some(Box::new(adjust));
        self
    }

    /// Connects, and waits until the connection stands.
    ///
    /// # Errors
    /// When the first attempt fails. Later losses are mended silently.
    pub async fn connect(self) -> Result<Client> {
        self.connect_over(WebSocketTransport).await
    }

    /// Connects over another transport.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_over<T: Transport + Sync>(self, transport: T) -> Result<Client> {
        let (timeout, model_timeout, buffer) = (self.timeout, self.model_timeout, self.buffer);
        let lanes = Lanes::new(self.dial(transport), timeout);
        let (lane, opening) = lanes.open();
        let opened = tokio::time::timeout(timeout, opening).await;
        opened.map_err(|_| Error::Timeout { after: timeout })?.map_err(|_| lane.caller.end())??;
        Ok(Client::new(lane, lanes, model_timeout, buffer))
    }

    fn dial<T: Transport + Sync>(self, transport: T) -> Box<dyn Fn() -> Connection<Live> + Send + Sync> {
        let address = address(&self.url);
        let access = Arc::new(self.access);
        let transport = Arc::new(Renewing { inner: transport, access: Arc::clone(&access) });
        let mut policy = policy();
        if let Some(adjust) = &self.adjust {
            adjust(&mut policy);
        }
        Box::new(move || {
            let session = Live::new(address.clone(), Arc::clone(&access));
            Connection::open(session, Arc::clone(&transport), policy.clone())
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn address(url: &str) -> String {
    match url.contains("/api/ws") {
        true => url.to_owned(),
        false => format!("{}/api/ws", url.trim_end_matches('/')),
    }
}

/// What the definition says, and that a lost link is not the end: what was said on it is brought back here.
fn policy() -> Policy {
    let mut policy = Policy {
        reconnect: Reconnect::Replay,
        confirm: Confirm::Written,
        ping: Some(Beat {
            interval: Some(Duration::from_secs(15)),
            timeout: Some(Duration::from_secs(10)),
            jitter_first: true,
        }),
        backoff: Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(15),
            max_attempts: u32::MAX,
            ..Backoff::default()
        },
        ..LiveSession::policy()
    };
    policy.inbound.message_bytes = 64 << 20;
    policy.outbound.bytes = 32 << 20;
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_line_is_given_up_after_25_seconds() {
        let ping = policy().ping.unwrap();
        assert_eq!(ping.interval.unwrap() + ping.timeout.unwrap(), Duration::from_secs(25));
    }

    #[test]
    fn the_path_is_added_once() {
        assert_eq!(address("http://localhost:8080/"), "http://localhost:8080/api/ws");
        assert_eq!(address("wss://h/x/api/ws?a=1"), "wss://h/x/api/ws?a=1");
    }
}
