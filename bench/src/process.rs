//! A server under measurement: started on one core, its CPU time and memory read from `/proc`.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The core that servers run on; the load generator takes the other.
pub(crate) const SERVER_CORE: &str = "0";

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `command` on the server's core and waits until it accepts connections. The command gets the address
    /// through `with_address`.
    pub(crate) fn start(with_address: impl FnOnce(SocketAddr) -> Command) -> io::Result<Self> {
        let address = free_address()?;
        let inner = with_address(address);
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { child, address };
        server.wait()?;
        Ok(server)
    }

    fn wait(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > until {
                return Err(io::Error::other("the server does not accept connections after 30 s"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            total += schedstat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(total))
    }

    /// Resident memory in bytes that is the process's own. Pages of its data files that are mapped belong to the
    /// system's cache, which takes them back when it wants to.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let kilobytes =
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok());
        kilobytes.map(|kb| kb * 1024).ok_or_else(|| io::Error::other("no RssAnon in /proc"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
