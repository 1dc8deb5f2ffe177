//! Failures: which of our errors it is when a provider does not answer as it should.
//!
//! The sentence names the provider and what to do; what the provider said is the cause, for the log.

use std::fmt;
use std::time::Duration;

use genai::webc::StreamTimeout;
use serde_json::Value;

use crate::error::{Code, Detail, Error};

/// Who is to blame: the provider's name and the variable of its key.
#[derive(Debug, Clone)]
pub(super) struct Blame {
    provider: String,
    variable: Option<String>,
}

impl Blame {
    pub(super) fn new(provider: &str, variable: Option<&str>) -> Self {
        Self { provider: provider.to_owned(), variable: variable.map(str::to_owned) }
    }

    /// Our error for the library's.
    pub(super) fn judge(&self, error: genai::Error) -> Error {
        if let genai::Error::WebStream { error: inner, .. } = error {
            return match inner.downcast::<genai::Error>() {
                Ok(error) => self.judge(*error),
                Err(inner) => self.transport(&*inner).caused_by(Said(inner.to_string())),
            };
        }
        let ours = match (error.status(), &error) {
            (Some(status), _) => self.status(status.as_u16(), retry_after(&error)),
            (None, genai::Error::ChatResponse { body, .. }) => self.said(body),
            (None, genai::Error::StreamParse { .. }) => {
                self.upstream("sent something that is not JSON; ask again")
            }
            (None, _) => self.upstream("could not be asked; ask again, and see the log if it stays"),
        };
        ours.caused_by(Said(error.to_string()))
    }

    /// A stream that ended without its end.
    pub(super) fn broke_off(&self) -> Error {
        self.upstream("broke off in the middle of its answer; ask again")
    }

    /// A call whose arguments are not whole.
    pub(super) fn half_a_call(&self, tool: &str, arguments: &str) -> Error {
        self.upstream("sent half a tool call; ask again").caused_by(Said(format!("{tool}: {arguments}")))
    }

    fn status(&self, status: u16, retry_after: Option<Duration>) -> Error {
        match status {
            401 | 403 => self.refused_key(),
            404 => {
                self.upstream("knows no such model or address; check the configuration's model and base_url")
            }
            408 | 504 => self.upstream("took too long; ask again"),
            413 => self.upstream("finds the conversation too long; begin a new one"),
            429 => self.rate_limited(retry_after),
            500.. => self.upstream("has a fault; ask again in a moment"),
            _ => self.upstream("refused the request; the log has its reason"),
        }
    }

    fn refused_key(&self) -> Error {
        match &self.variable {
            Some(variable) => {
                self.upstream(&format!("refused the key; check {variable} in the server's environment"))
            }
            None => self.upstream("wants a key; set api_key_env in the configuration"),
        }
    }

    fn rate_limited(&self, retry_after: Option<Duration>) -> Error {
        let message = format!("the provider {} has had too many requests; ask again later", self.provider);
        let error = Error::new(Code::RateLimited, message);
        match retry_after {
            Some(after) => error.with(Detail::RetryAfter(after)),
            None => error,
        }
    }

    /// An error that came within the stream, after a good beginning.
    fn said(&self, body: &Value) -> Error {
        let kind = ["/error/type", "/type", "/code"].iter().find_map(|path| body.pointer(path)?.as_str());
        match kind {
            Some("rate_limit_error" | "rate_limit_exceeded") => self.rate_limited(None),
            Some("authentication_error" | "permission_error") => self.refused_key(),
            Some(_) | None => self.upstream("failed in the middle of its answer; ask again"),
        }
    }

    fn transport(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        match error.downcast_ref::<StreamTimeout>() {
            Some(StreamTimeout::Headers) => self.upstream("did not begin to answer in time; ask again"),
            Some(StreamTimeout::Read) => self.upstream("fell silent in the middle of its answer; ask again"),
            None => {
                self.upstream("cannot be reached or broke the connection; check the network, and ask again")
            }
        }
    }

    fn upstream(&self, what: &str) -> Error {
        Error::upstream(format!("the provider {} {what}", self.provider))
    }
}

/// What a provider said, for the log. Keys are never in it: they travel in headers.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Said {}

/// Seconds, or milliseconds where the provider is that exact. A date is not understood.
fn retry_after(error: &genai::Error) -> Option<Duration> {
    let headers = error.headers()?;
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}
