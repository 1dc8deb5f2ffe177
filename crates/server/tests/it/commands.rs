//! Commands as processes, and the server beside which they run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The program, without any setting of this machine.
pub(crate) fn tidewire() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.env_clear();
    command
}

/// A server on a data folder, killed when it is dropped.
pub(crate) struct Serving(Child);

impl Serving {
    /// Starts one and waits until it says where it is.
    pub(crate) fn start(data: &Path) -> Self {
        let mut child = tidewire()
            .args(["serve", "--listen", "127.0.0.1:0", "--model", "scripted", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("http://")), "it says where it is");
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
