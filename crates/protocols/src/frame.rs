//! Frames as a dialect sees them: payloads, without masks and fragments.

use std::borrow::Cow;

use bytes::Bytes;

/// One message that came in. The socket has checked its size, and that text is UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// One message that goes out. Clones share the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message; the bytes are valid UTF-8, because a codec made them from text.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The end of the conversation. Nothing after it is sent.
    Close {
        /// RFC 6455 §7.4, or the dialect's own (4000–4999).
        code: u16,
        /// At most 123 bytes, for a person, without internals.
        reason: Cow<'static, str>,
    },
}

impl Frame {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Bytes::from(text.into()))
    }

    /// The payload's size in bytes; a close frame's is its reason's and two.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
            Self::Close { reason, .. } => reason.len() + 2,
        }
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
