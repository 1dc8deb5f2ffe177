//! What the server says about itself in log lines. Its figures are in `figures`.
//!
//! Keys, tickets and what people write are never logged. A failure that is ours is logged with its cause; the client
//! gets a neutral sentence.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use tidewire_engine::{Code, Error};
use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogFormat};

/// The variable that says how much is logged, in the syntax of `tracing_subscriber`'s filters.
pub const FILTER_VARIABLE: &str = "TIDEWIRE_LOG_FILTER";

/// What is logged if nobody says otherwise. The MCP library tells at `info` of each message that a server sends.
const USUAL_FILTER: &str = "info,rmcp=warn";

/// Begins to log to standard error. A second call in one process changes nothing.
pub fn start_logging(format: LogFormat, filter: Option<String>) -> Result<(), ConfigError> {
    let filter = filter.unwrap_or_else(|| String::from(USUAL_FILTER));
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| ConfigError::new(format!("{FILTER_VARIABLE}: {filter:?} is no filter: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had begun before");
    }
    Ok(())
}

/// Logs an error that reached a client, as loudly as it deserves.
pub(crate) fn log_error(error: &Error, dialect: &str) {
    match error.code {
        Code::Internal => {
            tracing::error!(dialect, code = error.code.name(), cause = causes(error), "{error}");
        }
        Code::Upstream | Code::Unavailable | Code::Deadline | Code::Unimplemented => {
            tracing::warn!(dialect, code = error.code.name(), cause = causes(error), "{error}");
        }
        Code::Invalid
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::Conflict
        | Code::TooLarge
        | Code::RateLimited
        | Code::Cancelled
        | Code::Draining => tracing::debug!(dialect, code = error.code.name(), "{error}"),
    }
}

fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let separator = if text.is_empty() { "" } else { ": " };
        let _ = write!(text, "{separator}{cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_written_in_a_row() {
        let disk = std::io::Error::other("disk is full");
        assert_eq!(causes(&Error::internal(disk)), "disk is full");
        assert_eq!(causes(&Error::invalid("no")), "");
    }
}
