//! What can go wrong, as a program tells it apart and as a person reads it.

use std::fmt;
use std::time::Duration;

use schematic_runtime::ErrorKind;

/// What a call of this crate gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server said no.
    Server {
        /// An HTTP status; the methods of [`Error`] name the usual ones.
        code: u16,
        /// What is wrong and what to do, in a sentence.
        message: String,
    },
    /// The connection was lost before the answer came. Reads, updates and inserts were repeated on the next one by then.
    Disconnected {
        /// True: the request never left, so it may be asked again. False: nobody knows whether it was done.
        unsent: bool,
        /// Why it was lost.
        reason: String,
    },
    /// No answer came in time. A write may have been done.
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The server could not be reached, or did not accept the connection.
    Connect {
        /// What is wrong and what to do.
        message: String,
    },
    /// The key or token was refused, or could not be obtained.
    Access {
        /// What is wrong and what to do.
        message: String,
    },
    /// The connection is over for good: it was closed, or the server does not want this client back.
    Closed {
        /// Why.
        reason: String,
    },
    /// The server's answer, or a record in it, does not have the shape that was asked for.
    Shape {
        /// What does not fit.
        message: String,
    },
    /// What was asked cannot be sent.
    Invalid {
        /// What is wrong and what to do.
        message: String,
    },
}

impl Error {
    /// What is asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// The key or token was not accepted.
    pub fn is_unauthorized(&self) -> bool {
        self.code() == Some(401) || matches!(self, Self::Access { .. })
    }

    /// The key does not allow it.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    /// It contradicts what is there: a key or a unique value is taken.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// The request itself is wrong; the sentence names the member.
    pub fn is_invalid(&self) -> bool {
        matches!(self.code(), Some(400 | 422)) || matches!(self, Self::Invalid { .. })
    }

    /// Request or answer are too large; ask for less at once.
    pub fn is_too_large(&self) -> bool {
        self.code() == Some(413)
    }

    /// Too much was asked in too little time.
    pub fn is_rate_limited(&self) -> bool {
        self.code() == Some(429)
    }

    /// No answer came in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// The connection was lost or is over.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected { .. } | Self::Connect { .. } | Self::Closed { .. })
    }

    /// The server's code, if it was the server that said no.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Self::Shape { message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { message, .. }
            | Self::Connect { message }
            | Self::Access { message }
            | Self::Shape { message }
            | Self::Invalid { message } => f.write_str(message),
            Self::Disconnected { unsent: true, reason } => {
                write!(f, "the connection was lost before the request was sent: {reason}")
            }
            Self::Disconnected { unsent: false, reason } => {
                write!(f, "the connection was lost before the answer came: {reason}")
            }
            Self::Timeout { after } => write!(f, "no answer came in {} ms; try again", after.as_millis()),
            Self::Closed { reason } if reason.is_empty() => f.write_str("the connection is closed"),
            Self::Closed { reason } => write!(f, "the connection is closed: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// An error of the connection itself, not of one request.
impl From<schematic_runtime::Error> for Error {
    fn from(error: schematic_runtime::Error) -> Self {
        let schematic_runtime::Error { kind, message, .. } = error;
        match kind {
            ErrorKind::Auth | ErrorKind::Insecure => Self::Access { message },
            ErrorKind::Shape => Self::Shape { message },
            ErrorKind::Full | ErrorKind::Lifecycle => Self::Invalid { message },
            ErrorKind::Closed => Self::Closed { reason: message },
            ErrorKind::Connect | ErrorKind::Protocol | ErrorKind::Timeout | ErrorKind::Disconnected => {
                Self::Connect { message }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names() {
        let server = |code| Error::Server { code, message: String::from("no record") };
        assert!(server(404).is_not_found() && !server(404).is_conflict());
        assert!(server(409).is_conflict() && server(403).is_forbidden() && server(401).is_unauthorized());
        assert!(server(400).is_invalid() && server(413).is_too_large() && server(429).is_rate_limited());
        assert_eq!(Error::Closed { reason: String::new() }.code(), None);
    }
}
