//! What the server says about itself in figures: `GET /metrics`, in Prometheus' text format.
//!
//! Every limit has a figure that says how near it is or how often somebody met it, and every queue one that says how
//! long it is. What is counted while it happens has a handle that is made once, and counting is one atomic addition;
//! what others count is read when somebody asks.

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;
use tidewire_engine::Code;
use tidewire_engine::store::sqlite::Load;

use crate::server::App;

/// The figures of one server.
pub(crate) struct Figures {
    handle: PrometheusHandle,
    recorder: PrometheusRecorder,
    errors: Vec<Counter>,
    limits: Vec<Counter>,
    process: Collector,
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

/// A limit that somebody ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// All connections.
    Connections,
    /// Those from one address.
    Address,
    /// Those of one identity.
    Identity,
    /// Pings and pongs in a second.
    ControlFrames,
    /// The time for a body.
    Body,
    /// Wrong keys from one address.
    Attempts,
    /// Chat messages of a session.
    Messages,
}

impl Limit {
    const ALL: [Self; 7] = [
        Self::Connections,
        Self::Address,
        Self::Identity,
        Self::ControlFrames,
        Self::Body,
        Self::Attempts,
        Self::Messages,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Address => "connections_per_address",
            Self::Identity => "connections_per_identity",
            Self::ControlFrames => "control_frames",
            Self::Body => "body_seconds",
            Self::Attempts => "attempts",
            Self::Messages => "messages",
        }
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Close codes that are there from the beginning, so that the first one is seen as a change: RFC 6455 §7.4.1.
const CLOSES: [u16; 6] = [1002, 1007, 1008, 1009, 1012, 1013];

/// What each figure says, beside those of the process, which bring their own words.
const COUNTERS: [(&str, &str); 26] = [
    ("tidewire_errors_total", "Errors that reached a client, by code"),
    ("tidewire_limited_total", "Requests, messages and connections that ran into a limit, by limit"),
    ("tidewire_sockets_refused_total", "Sockets that were refused at the door"),
    (
        "tidewire_sockets_closed_total",
        "Sockets that the server closed, by close code: 1009 is a message that was too large",
    ),
    ("tidewire_frames_in_total", "Messages that came"),
    ("tidewire_frames_out_total", "Messages that went"),
    ("tidewire_bytes_in_total", "Bytes that came over sockets"),
    ("tidewire_bytes_out_total", "Bytes that went over sockets"),
    ("tidewire_stalled_total", "Clients that were cut off because they did not read"),
    ("tidewire_messages_total", "Chat messages that were accepted"),
    ("tidewire_runs_finished_total", "Runs that ended with an answer"),
    ("tidewire_runs_stopped_total", "Runs that somebody stopped"),
    ("tidewire_runs_failed_total", "Runs that ended with an error"),
    ("tidewire_runs_late_total", "Runs that ended because they took too long"),
    ("tidewire_runs_interrupted_total", "Runs that ended because the server did"),
    ("tidewire_tool_calls_total", "Tool calls that have a result"),
    ("tidewire_tool_calls_failed_total", "Tool calls that failed"),
    ("tidewire_tool_calls_late_total", "Tool calls that took too long"),
    ("tidewire_approvals_asked_total", "Calls that a person was asked to agree to"),
    ("tidewire_approvals_undecided_total", "Calls that nobody decided in time"),
    ("tidewire_log_entries_total", "Entries of chat logs that were written"),
    ("tidewire_log_appends_total", "Transactions that they took"),
    ("tidewire_log_append_failures_total", "Transactions of chat logs that failed"),
    ("tidewire_fell_behind_total", "Connections that fell behind and were served from the chat's log"),
    ("tidewire_notices_total", "Notices of changes that connections took"),
    (
        "tidewire_watches_fell_behind_total",
        "Watches that fell behind and were served from the collection's log",
    ),
];
const GAUGES: [(&str, &str); 18] = [
    ("tidewire_connections", "Sockets that are open"),
    ("tidewire_connections_limit", "Sockets that may be open"),
    ("tidewire_engine_connections", "Connections of the engine: sockets, requests and the server's own"),
    ("tidewire_rooms", "Chats that are held in memory"),
    ("tidewire_runs_running", "Runs that go on"),
    ("tidewire_runs_queued", "Runs that wait for their turn"),
    ("tidewire_watches", "Watches of all connections"),
    ("tidewire_watch_queue_bytes", "Bytes of changes that wait for being told to those who watch"),
    ("tidewire_store_writes_waiting", "Commands that wait for the writer of a file"),
    ("tidewire_store_writes_limit", "Commands that may wait for it"),
    ("tidewire_store_reads_running", "Connections that are reading a file"),
    ("tidewire_store_reads_waiting", "Reads that wait for a connection"),
    ("tidewire_store_file_bytes", "Length of a file of the data folder"),
    ("tidewire_store_log_bytes", "Length of its write-ahead log"),
    ("tidewire_tickets", "One-time tickets that nobody has used yet"),
    ("tidewire_rate_limited_sessions", "Sessions whose bucket of messages is not full"),
    ("tidewire_senders_waiting", "Addresses that must wait because their keys were wrong too often"),
    ("tidewire_draining", "1 while the server ends"),
];

impl Figures {
    /// A fresh set.
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let process = Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        describe(&recorder);
        let errors = Code::ALL.iter().map(|code| {
            let key = labelled("tidewire_errors_total", "code", code.name());
            recorder.register_counter(&key, &METADATA)
        });
        let errors = errors.collect();
        let limits = Limit::ALL.iter().map(|limit| {
            let key = labelled("tidewire_limited_total", "limit", limit.name());
            recorder.register_counter(&key, &METADATA)
        });
        let limits = limits.collect();
        let refused =
            recorder.register_counter(&Key::from_static_name("tidewire_sockets_refused_total"), &METADATA);
        let figures = Self { handle: recorder.handle(), recorder, errors, limits, process, refused };
        CLOSES.iter().for_each(|code| drop(figures.closes(*code)));
        figures
    }

    /// Counts an error that reached a client.
    pub(crate) fn count_error(&self, code: Code) {
        if let Some(at) = Code::ALL.iter().position(|one| *one == code) {
            self.errors[at].increment(1);
        }
    }

    /// Counts that somebody ran into a limit.
    pub(crate) fn count_limit(&self, limit: Limit) {
        if let Some(at) = Limit::ALL.iter().position(|one| *one == limit) {
            self.limits[at].increment(1);
        }
    }

    /// Counts a socket that we close with this code.
    pub(crate) fn count_close(&self, code: u16) {
        self.closes(code).increment(1);
    }

    fn closes(&self, code: u16) -> Counter {
        let label = Label::new("code", code.to_string());
        let key = Key::from_parts("tidewire_sockets_closed_total", vec![label]);
        self.recorder.register_counter(&key, &METADATA)
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

    /// All of them, as they are now.
    pub(crate) fn render(&self, app: &App) -> String {
        self.read_engine(app);
        self.read_limits(app);
        app.store.load().iter().for_each(|load| self.read_store(load));
        metrics::with_local_recorder(&self.recorder, || self.process.collect());
        self.handle.run_upkeep();
        self.handle.render()
    }

    fn read_engine(&self, app: &App) {
        let stats = app.engine.stats();
        let (ended, calls) = (stats.ended, stats.calls);
        self.set("tidewire_engine_connections", stats.connections);
        self.set("tidewire_rooms", stats.rooms);
        self.set("tidewire_runs_running", stats.running);
        self.set("tidewire_runs_queued", stats.queued);
        self.set("tidewire_watches", stats.watches);
        self.set("tidewire_watch_queue_bytes", stats.watch_queue_bytes);
        for (name, value) in [
            ("tidewire_messages_total", stats.messages_total),
            ("tidewire_runs_finished_total", ended.finished_total),
            ("tidewire_runs_stopped_total", ended.stopped_total),
            ("tidewire_runs_failed_total", ended.failed_total),
            ("tidewire_runs_late_total", ended.late_total),
            ("tidewire_runs_interrupted_total", ended.interrupted_total),
            ("tidewire_tool_calls_total", calls.done_total),
            ("tidewire_tool_calls_failed_total", calls.failed_total),
            ("tidewire_tool_calls_late_total", calls.late_total),
            ("tidewire_approvals_asked_total", calls.asked_total),
            ("tidewire_approvals_undecided_total", calls.undecided_total),
            ("tidewire_log_entries_total", stats.entries_total),
            ("tidewire_log_appends_total", stats.appends_total),
            ("tidewire_log_append_failures_total", stats.append_failures_total),
            ("tidewire_fell_behind_total", stats.fell_behind_total),
            ("tidewire_notices_total", stats.notices_total),
            ("tidewire_watches_fell_behind_total", stats.watches_fell_behind_total),
        ] {
            self.recorder.register_counter(&Key::from_static_name(name), &METADATA).absolute(value);
        }
    }

    fn read_limits(&self, app: &App) {
        self.set("tidewire_connections_limit", app.config.limits.connections);
        self.set("tidewire_tickets", app.tickets.len());
        self.set("tidewire_rate_limited_sessions", app.messages.len());
        self.set("tidewire_senders_waiting", app.auth.attempts.waiting_senders());
        self.set("tidewire_draining", usize::from(app.is_draining()));
    }

    fn read_store(&self, load: &Load) {
        let Load { name, writes_waiting, writes_room, reads_running, reads_waiting, file_bytes, log_bytes } =
            *load;
        for (metric, value) in [
            ("tidewire_store_writes_waiting", writes_waiting as f64),
            ("tidewire_store_writes_limit", writes_room as f64),
            ("tidewire_store_reads_running", reads_running as f64),
            ("tidewire_store_reads_waiting", reads_waiting as f64),
            ("tidewire_store_file_bytes", file_bytes as f64),
            ("tidewire_store_log_bytes", log_bytes as f64),
        ] {
            self.recorder.register_gauge(&labelled(metric, "file", name), &METADATA).set(value);
        }
    }

    fn set(&self, name: &'static str, value: usize) {
        self.recorder.register_gauge(&Key::from_static_name(name), &METADATA).set(value as f64);
    }
}

fn labelled(metric: &'static str, label: &'static str, value: &'static str) -> Key {
    Key::from_parts(metric, vec![Label::from_static_parts(label, value)])
}

fn describe(recorder: &impl Recorder) {
    for (name, text) in COUNTERS {
        recorder.describe_counter(name.into(), None, SharedString::const_str(text));
    }
    for (name, text) in GAUGES {
        recorder.describe_gauge(name.into(), None, SharedString::const_str(text));
    }
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
        figures.count_close(1009);
        figures.count_limit(Limit::Address);
        figures.set("tidewire_rooms", 7);
        let text = figures.handle.render();
        for line in [
            "tidewire_connections{dialect=\"session_chat\"} 2",
            "tidewire_frames_in_total{dialect=\"session_chat\"} 3",
            "tidewire_errors_total{code=\"rate_limited\"} 1",
            "tidewire_sockets_closed_total{code=\"1009\"} 1",
            "tidewire_sockets_closed_total{code=\"1012\"} 0",
            "tidewire_limited_total{limit=\"connections_per_address\"} 1",
            "tidewire_limited_total{limit=\"body_seconds\"} 0",
            "tidewire_rooms 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
