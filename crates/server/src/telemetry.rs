//! What the server says about itself: log lines and Prometheus figures.
//!
//! Keys, tickets and what people write are never logged. A failure that is ours is logged with its cause; the client
//! gets a neutral sentence.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
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

/// The figures of one server. Handles are made once; counting is one atomic addition.
pub(crate) struct Figures {
    handle: PrometheusHandle,
    recorder: metrics_exporter_prometheus::PrometheusRecorder,
    errors: Vec<Counter>,
    /// Sockets that were refused before or right after the upgrade.
    pub(crate) refused: Counter,
}

/// The figures of one dialect.
pub(crate) struct DialectFigures {
    /// Sockets that are open.
    pub(crate) connections: Gauge,
    /// Messages that came.
    pub(crate) frames_in: Counter,
    /// Messages that went.
    pub(crate) frames_out: Counter,
    /// Bytes that came, framing included.
    pub(crate) bytes_in: Counter,
    /// Bytes that went, framing included.
    pub(crate) bytes_out: Counter,
    /// Clients that were cut off because they did not read.
    pub(crate) stalled: Counter,
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl Figures {
    /// A fresh set.
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        describe(&recorder);
        let errors = Code::ALL.iter().map(|code| {
            let key = labelled("tidewire_errors_total", "code", code.name());
            recorder.register_counter(&key, &METADATA)
        });
        let errors = errors.collect();
        let refused =
            recorder.register_counter(&Key::from_static_name("tidewire_sockets_refused_total"), &METADATA);
        Self { handle: recorder.handle(), recorder, errors, refused }
    }

    /// Counts an error that reached a client.
    pub(crate) fn count_error(&self, code: Code) {
        if let Some(at) = Code::ALL.iter().position(|one| *one == code) {
            self.errors[at].increment(1);
        }
    }

    /// A dialect's figures.
    pub(crate) fn dialect(&self, name: &'static str) -> DialectFigures {
        let key = |metric| labelled(metric, "dialect", name);
        let counter = |metric| self.recorder.register_counter(&key(metric), &METADATA);
        DialectFigures {
            connections: self.recorder.register_gauge(&key("tidewire_connections"), &METADATA),
            frames_in: counter("tidewire_frames_in_total"),
            frames_out: counter("tidewire_frames_out_total"),
            bytes_in: counter("tidewire_bytes_in_total"),
            bytes_out: counter("tidewire_bytes_out_total"),
            stalled: counter("tidewire_stalled_total"),
        }
    }

    /// Sets a figure that somebody else counts.
    pub(crate) fn set(&self, name: &'static str, value: f64) {
        self.recorder.register_gauge(&Key::from_static_name(name), &METADATA).set(value);
    }

    /// Sets a total that somebody else counts.
    pub(crate) fn set_total(&self, name: &'static str, value: u64) {
        self.recorder.register_counter(&Key::from_static_name(name), &METADATA).absolute(value);
    }

    /// All of them in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}

fn labelled(metric: &'static str, label: &'static str, value: &'static str) -> Key {
    Key::from_parts(metric, vec![Label::from_static_parts(label, value)])
}

fn describe(recorder: &impl Recorder) {
    let counters = [
        ("tidewire_errors_total", "Errors that reached a client, by code"),
        ("tidewire_sockets_refused_total", "Sockets that were refused at the door"),
        ("tidewire_frames_in_total", "Messages that came"),
        ("tidewire_frames_out_total", "Messages that went"),
        ("tidewire_bytes_in_total", "Bytes that came over sockets"),
        ("tidewire_bytes_out_total", "Bytes that went over sockets"),
        ("tidewire_stalled_total", "Clients that were cut off because they did not read"),
    ];
    for (name, text) in counters {
        recorder.describe_counter(name.into(), None, SharedString::const_str(text));
    }
    recorder.describe_gauge(
        "tidewire_connections".into(),
        None,
        SharedString::const_str("Sockets that are open"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rendered_with_their_labels() {
        let figures = Figures::new();
        let dialect = figures.dialect("session_chat");
        dialect.connections.increment(2.0);
        dialect.frames_in.increment(3);
        figures.count_error(Code::RateLimited);
        figures.set_total("tidewire_runs_total", 7);
        let text = figures.render();
        for line in [
            "tidewire_connections{dialect=\"session_chat\"} 2",
            "tidewire_frames_in_total{dialect=\"session_chat\"} 3",
            "tidewire_errors_total{code=\"rate_limited\"} 1",
            "tidewire_runs_total 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn causes_are_written_in_a_row() {
        let disk = std::io::Error::other("disk is full");
        assert_eq!(causes(&Error::internal(disk)), "disk is full");
        assert_eq!(causes(&Error::invalid("no")), "");
    }
}
