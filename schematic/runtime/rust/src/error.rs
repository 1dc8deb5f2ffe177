//! The one error of the runtime, and how secrets are kept out of it.
//!
//! The kind says what a program does about it, the sentence what a person does. What the other side sent is quoted
//! up to a bound. Which error arises where is the business of the other files.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Frame;

/// How many bytes of what the other side sent are kept in an error.
pub const RECEIVED_LIMIT: usize = 1024;

/// What went wrong, as a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The connection could not be opened
    Connect,
    /// Something took longer than it may
    Timeout,
    /// The server does not speak what it should
    Protocol,
    /// The credentials were refused or could not be obtained
    Auth,
    /// A credential would have travelled unencrypted
    Insecure,
    /// A frame or value does not have the shape that it should
    Shape,
    /// A queue has no place left
    Full,
    /// The message may not be sent at this point of the connection's life
    Lifecycle,
    /// The connection was lost before the answer came
    Disconnected,
    /// The connection was closed by its owner
    Closed,
}

/// An error of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What a program does about it
    pub kind: ErrorKind,
    /// What a person does about it: one sentence, without secrets
    pub message: String,
    /// What the other side sent, cut to [`RECEIVED_LIMIT`] bytes
    pub received: Option<Frame>,
}

impl Error {
    /// An error with its sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), received: None }
    }

    /// An error about the shape of what was received, which is kept up to [`RECEIVED_LIMIT`] bytes.
    pub fn shape(message: impl Into<String>, received: &Frame) -> Self {
        Self { kind: ErrorKind::Shape, message: message.into(), received: Some(received.excerpt()) }
    }

    /// The same error with every secret replaced by `***`.
    pub fn redacted(mut self, secrets: &[String]) -> Self {
        self.message = redact(&self.message, secrets);
        if let Some(Frame::Text(text)) = &mut self.received {
            *text = redact(text, secrets);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The text with every secret, as it is and percent-encoded, replaced by `***`.
pub fn redact(text: &str, secrets: &[String]) -> String {
    secrets.iter().filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| {
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        text.replace(secret.as_str(), "***").replace(&encoded, "***")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_as_they_are_and_encoded() {
        let secrets = ["a/b".to_owned(), String::new()];
        assert_eq!(redact("a/b and a%2Fb stay out", &secrets), "*** and *** stay out");
    }

    #[test]
    fn what_was_received_is_bounded_at_a_character() {
        let frame = Frame::Text("ä".repeat(RECEIVED_LIMIT));
        let error = Error::shape("Send less", &frame);
        let Some(Frame::Text(kept)) = error.received else { panic!("text is kept") };
        assert_eq!(kept.len(), RECEIVED_LIMIT);
        let odd = Error::shape("Send less", &Frame::Text(format!("x{}", "ä".repeat(RECEIVED_LIMIT))));
        let Some(Frame::Text(kept)) = odd.received else { panic!("text is kept") };
        assert_eq!(kept.len(), RECEIVED_LIMIT - 1);
    }
}
