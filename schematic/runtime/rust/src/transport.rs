//! Frames in and frames out: what a connection needs of the network, and nothing of its own.
//!
//! An adapter opens links; a link is a stream and a sink of packets. When to open one, and what the frames mean, is
//! the business of others.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Sink, Stream};

use crate::error::RECEIVED_LIMIT;
use crate::{Error, redact};

/// One message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text frame
    Text(String),
    /// A binary frame
    Binary(Bytes),
}

impl Frame {
    /// A text frame with this content. An error if it is not UTF-8.
    pub fn text(bytes: Vec<u8>) -> Result<Self, Error> {
        let wrong = |_| Error::new(crate::ErrorKind::Shape, "Send text as UTF-8, or in a binary message");
        String::from_utf8(bytes).map(Self::Text).map_err(wrong)
    }

    /// Its payload in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its beginning, at most [`RECEIVED_LIMIT`] bytes.
    pub(crate) fn excerpt(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text[..text.floor_char_boundary(RECEIVED_LIMIT)].to_owned()),
            // Copied, so that a short excerpt does not keep a large buffer.
            Self::Binary(bytes) => {
                Self::Binary(Bytes::copy_from_slice(&bytes[..bytes.len().min(RECEIVED_LIMIT)]))
            }
        }
    }
}

/// What travels over a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A message
    Frame(Frame),
    /// A ping; incoming ones are answered by the adapter
    Ping(Bytes),
    /// A pong
    Pong(Bytes),
    /// The goodbye. `code` is 1005 when an incoming one had none
    Close {
        /// The close code
        code: u16,
        /// The reason in words
        reason: String,
    },
}

/// What a link is opened with.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// A checked `ws:` or `wss:` address
    pub url: String,
    /// Subprotocols to offer, best first
    pub protocols: Vec<String>,
    /// Headers of the upgrade
    pub headers: Vec<(String, String)>,
    /// Largest message that may come in, in bytes
    pub message_bytes: usize,
    /// Values that may appear nowhere
    pub secrets: Vec<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let protocols: Vec<_> = self.protocols.iter().map(|name| redact(name, &self.secrets)).collect();
        f.debug_struct("Request")
            .field("url", &redact(&self.url, &self.secrets))
            .field("protocols", &protocols)
            .field("headers", &names)
            .field("message_bytes", &self.message_bytes)
            .finish_non_exhaustive()
    }
}

/// Opens links.
pub trait Transport: Send + 'static {
    /// What it opens.
    type Link: Link;

    /// Opens one link. An adapter follows no redirects, and refuses a subprotocol that was not offered.
    fn connect(&self, request: &Request) -> impl Future<Output = Result<Self::Link, Error>> + Send;
}

impl<T: Transport + Sync> Transport for Arc<T> {
    type Link = T::Link;

    fn connect(&self, request: &Request) -> impl Future<Output = Result<Self::Link, Error>> + Send {
        T::connect(self, request)
    }
}

/// An open link. Packets come out in the order in which the other side sent them; the stream ends when nothing more
/// can come. A stream that ends without [`Packet::Close`] was cut.
pub trait Link:
    Stream<Item = Result<Packet, Error>> + Sink<Packet, Error = Error> + Unpin + Send + 'static
{
    /// The subprotocol that the server chose.
    fn protocol(&self) -> Option<&str>;
}
