//! One error for the whole house: a closed code, a sentence for the client, a cause for the log.
//!
//! A dialect only spells it. The message never carries a cause's text: causes may name files, hosts or keys.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of everything that can fail in the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is, and with that who can do what about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is wrong as it stands; sending it again changes nothing.
    Invalid,
    /// Nobody has said who asks.
    Unauthenticated,
    /// The asker is known and may not.
    Forbidden,
    /// What is named does not exist, or the asker may not know that it does.
    NotFound,
    /// Somebody else was first, or the id is taken.
    Conflict,
    /// A message, record or answer is beyond its limit.
    TooLarge,
    /// Too many requests; [`Detail::RetryAfter`] says when to come back.
    RateLimited,
    /// A person or a newer request ended it.
    Cancelled,
    /// Our fault; the log has the cause under the trace id.
    Internal,
    /// Known, but not built.
    Unimplemented,
    /// Something behind us (a model provider, a tool) failed.
    Upstream,
    /// Cannot be done right now (full, disk, not loaded).
    Unavailable,
    /// The server is going away; another or the next one will answer.
    Draining,
    /// It took longer than allowed.
    Deadline,
}

impl Code {
    /// Every code, in the order of their HTTP statuses.
    pub const ALL: [Self; 14] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::RateLimited,
        Self::Cancelled,
        Self::Internal,
        Self::Unimplemented,
        Self::Upstream,
        Self::Unavailable,
        Self::Draining,
        Self::Deadline,
    ];

    /// The word in logs, metrics and dialects that spell codes as words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
            Self::Unimplemented => "unimplemented",
            Self::Upstream => "upstream",
            Self::Unavailable => "unavailable",
            Self::Draining => "draining",
            Self::Deadline => "deadline",
        }
    }

    /// The code with this [`name`](Self::name), if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The HTTP status (RFC 9110; 499 is the common word for a client that gave up).
    pub fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Upstream => 502,
            Self::Unavailable | Self::Draining => 503,
            Self::Deadline => 504,
        }
    }

    /// The WebSocket close code (RFC 6455 §7.4) for codes that end a connection, else `None`.
    pub fn close_code(self) -> Option<u16> {
        match self {
            Self::TooLarge => Some(1009),
            Self::Internal => Some(1011),
            Self::Draining => Some(1012),
            Self::Unavailable => Some(1013),
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::RateLimited
            | Self::Cancelled
            | Self::Unimplemented
            | Self::Upstream
            | Self::Deadline => None,
        }
    }

    /// Whether the same request may succeed later without being changed.
    pub fn is_retryable(self) -> bool {
        matches!(self.http_status(), 429 | 502..=504)
    }
}

/// What a code needs beside its sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Detail {
    /// Nothing more.
    #[default]
    None,
    /// The member of the request that is wrong, as a path (`messages.0.role`).
    Field(String),
    /// When to come back.
    RetryAfter(Duration),
    /// The limit that was exceeded.
    Timeout(Duration),
    /// The tool that failed.
    Tool(String),
}

/// One failure. Cheap to clone: it travels in events.
#[derive(Debug, Clone)]
pub struct Error {
    /// What kind it is.
    pub code: Code,
    /// One sentence for the client that says what to do, without a full stop.
    pub message: Cow<'static, str>,
    /// What the code needs beside the sentence.
    pub detail: Detail,
    /// For the log alone; never sent.
    pub cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a code and its sentence.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), detail: Detail::None, cause: None }
    }

    /// The request is wrong as it stands.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// What is named does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// The asker may not.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// Our fault. The client reads a neutral sentence, the log reads the cause.
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(Code::Internal, "the server failed; try again, and tell us the trace id if it stays")
            .caused_by(cause)
    }

    /// Something behind us failed.
    pub fn upstream(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Upstream, message)
    }

    /// Cannot be done right now.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// It took longer than `limit`.
    pub fn deadline(message: impl Into<Cow<'static, str>>, limit: Duration) -> Self {
        Self::new(Code::Deadline, message).with(Detail::Timeout(limit))
    }

    /// The same error with what its code needs.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// The same error with the cause that the log shows.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_agree_with_their_http_status_on_whether_to_come_back() {
        for code in Code::ALL {
            let expected = matches!(
                code,
                Code::RateLimited | Code::Upstream | Code::Unavailable | Code::Draining | Code::Deadline
            );
            assert_eq!(code.is_retryable(), expected, "{}", code.name());
        }
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(code));
        }
        assert_eq!(Code::from_name("teapot"), None);
    }
}
