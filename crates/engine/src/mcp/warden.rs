//! Ending what we have started when we can no longer do it ourselves.
//!
//! A server that is a program sees its input close when we are killed, and most end then. One that does not would live
//! on. The warden is a process that does nothing but read from us which process groups are ours; when we are gone, its
//! input ends, and it ends those that are left.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How long groups have to end by themselves, and again when they were told to.
const GRACE: Duration = Duration::from_secs(1);

/// The warden, as we see it.
#[derive(Debug)]
pub struct Warden {
    to: Mutex<ChildStdin>,
}

impl Warden {
    /// Starts it. The command must call [`serve`] with its standard input.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(mut command: Command) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        // In a group of its own: what is meant for us from the terminal must not end it.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn()?;
        let to = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { to: Mutex::new(to) })
    }

    pub(super) fn watch(&self, group: Pid) {
        self.tell('+', group);
    }

    pub(super) fn forget(&self, group: Pid) {
        self.tell('-', group);
    }

    fn tell(&self, what: char, group: Pid) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(to, "{what}{}", group.as_raw_nonzero()) {
            tracing::warn!(%error, "the warden is gone; programs may outlive us if we are killed");
        }
    }
}

/// What the warden does, in its own process: reads until whoever started it is gone, then ends what is left.
pub fn serve(input: impl BufRead) {
    let groups = read(input);
    if groups.is_empty() {
        return;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        std::thread::sleep(GRACE);
        for group in groups.iter().copied().filter_map(Pid::from_raw) {
            let _ = kill_process_group(group, signal); // whoever is gone needs none
        }
    }
}

fn read(input: impl BufRead) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    for line in input.lines().map_while(Result::ok) {
        let Some((what, group)) = line.split_at_checked(1) else { continue };
        // 1 and what is below it would be far more than one group.
        let Some(group) = group.parse().ok().filter(|group: &i32| *group > 1) else { continue };
        match what {
            "+" => groups.insert(group),
            "-" => groups.remove(&group),
            _ => continue,
        };
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_and_not_ended_is_left() {
        let said = "+10\n+11\n-10\n+12\n\n+0\n+-5\n+1\nx\n-99\n+9999999999999\n";
        assert_eq!(read(said.as_bytes()), BTreeSet::from([11, 12]));
    }
}
