//! A server that is a program of ours: started in a process group of its own, so that all that it starts in turn ends
//! with it. What it writes to standard error goes to our log under its name.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use tracing::Instrument;

use super::lines::Lines;
use super::warden::Warden;

/// What every program gets of our environment. Everything else may be a secret.
const ENVIRONMENT: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];
/// How long it has to end after its input was closed, and again after it was told to.
const GRACE: Duration = Duration::from_secs(1);
/// So much of a line of standard error is logged.
const LINE_MAX: usize = 4 * 1024;

/// How a program is started.
pub(super) struct Start<'a> {
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) passed: &'a [String],
    pub(super) folder: Option<&'a Path>,
}

/// A running program. Dropping it kills its group.
pub(super) struct Process {
    child: Child,
    group: Group,
}

/// The last line that a program wrote to standard error; it may say why it ended. For those who run us, not for clients.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<String>>);

impl LastWords {
    pub(super) fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, words: &str) {
        words.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The processes that it and those that it started are.
struct Group {
    id: Option<Pid>,
    warden: Option<Arc<Warden>>,
}

impl Group {
    fn new(id: Option<Pid>, warden: Option<Arc<Warden>>) -> Self {
        if let (Some(id), Some(warden)) = (id, &warden) {
            warden.watch(id);
        }
        Self { id, warden }
    }

    fn send(&self, signal: Signal) {
        if let Some(group) = self.id
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::trace!(%error, "nobody is left of it"); // the usual end
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Signal::KILL);
        if let (Some(id), Some(warden)) = (self.id, &self.warden) {
            warden.forget(id);
        }
    }
}

impl Process {
    /// Starts it. The error is a sentence.
    pub(super) fn start(
        how: &Start<'_>,
        last_words: &LastWords,
        warden: Option<Arc<Warden>>,
    ) -> Result<(Self, ChildStdout, ChildStdin), String> {
        let cannot = |error: &dyn std::fmt::Display| format!("{:?} cannot be started: {error}", how.program);
        let mut child = command(how).spawn().map_err(|error| cannot(&error))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = Group::new(id, warden);
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(cannot(&"it has no pipes"));
        };
        last_words.set("");
        tokio::spawn(log(stderr, last_words.clone()).in_current_span());
        Ok((Self { child, group }, stdout, stdin))
    }

    /// Waits until it has ended by itself. Nothing is lost when the future is dropped.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => said(status),
            Err(error) => format!("cannot be watched: {error}"),
        }
    }

    /// Ends it after its input was closed.
    pub(super) async fn end(mut self) {
        if timeout(GRACE, self.child.wait()).await.is_err() {
            self.group.send(Signal::TERM);
            if timeout(GRACE, self.child.wait()).await.is_err() {
                self.group.send(Signal::KILL);
                if let Err(error) = self.child.wait().await {
                    tracing::warn!(%error, "it cannot be waited for");
                }
            }
        }
    }
}

fn said(status: ExitStatus) -> String {
    format!("ended ({status})")
}

fn command(how: &Start<'_>) -> Command {
    let mut command = Command::new(how.program);
    command.args(how.arguments).env_clear();
    let ours = ENVIRONMENT.iter().copied().chain(how.passed.iter().map(String::as_str));
    command.envs(ours.filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(how.environment);
    if let Some(folder) = how.folder {
        command.current_dir(folder);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

async fn log(stderr: ChildStderr, last_words: LastWords) {
    let mut lines = Lines::new(stderr, LINE_MAX);
    while let Ok(Some(line)) = lines.next().await {
        let text = String::from_utf8_lossy(&line.text);
        let text = text.trim_end();
        if !text.is_empty() {
            tracing::info!(target: "tidewire_engine::mcp", "stderr: {text}");
            last_words.set(text);
        }
    }
}
