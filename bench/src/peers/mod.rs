//! The servers that are compared: ours, and what others would have written.

pub(crate) mod pocketbase;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Settings;
use crate::process::Server;

/// The peer's packages, by version.
const FASTAPI: &[&str] = &["fastapi==0.165.0", "uvicorn[standard]==0.54.0", "websockets==17.4"];

/// Ours, with a fresh data folder.
pub(crate) struct Tidewire {
    /// The process.
    pub(crate) server: Server,
    _data: tempfile::TempDir,
}

/// Starts ours with the scripted model and no more settings than named.
pub(crate) fn tidewire(settings: &Settings, env: &[(&str, String)]) -> io::Result<Tidewire> {
    let data = tempfile::tempdir()?;
    let server = Server::start(|address| {
        let mut command = Command::new(&settings.binary);
        command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(data.path());
        command.env("TIDEWIRE_MODEL", "scripted").env("TIDEWIRE_LIMITS_CONNECTIONS", "20000");
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command
    })?;
    Ok(Tidewire { server, _data: data })
}

/// Starts the FastAPI peer that streams tokens.
pub(crate) fn fastapi(settings: &Settings, tokens: usize) -> io::Result<Server> {
    uvicorn(settings, "fastapi_tokens:app", &[("TOKENS", tokens.to_string())])
}

/// Starts the FastAPI peer that sends to all in a loop.
pub(crate) fn fastapi_fanout(settings: &Settings) -> io::Result<Server> {
    uvicorn(settings, "fastapi_fanout:app", &[])
}

fn uvicorn(settings: &Settings, app: &str, env: &[(&str, String)]) -> io::Result<Server> {
    let python = install_fastapi(&settings.cache)?;
    Server::start(|address: SocketAddr| {
        let mut command = Command::new(python);
        command.args(["-m", "uvicorn", app, "--app-dir"]).arg(peers_folder());
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--ws", "websockets-sansio", "--log-level", "critical"]);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command
    })
}

const BUN: &str = "bun@1.4.5";
const WS: &str = "ws@8.23.0";

/// Starts Bun's publisher.
pub(crate) fn bun(settings: &Settings) -> io::Result<Server> {
    run_bun(settings, "bun_publish.js")
}

/// Starts Bun's echo.
pub(crate) fn bun_echo(settings: &Settings) -> io::Result<Server> {
    run_bun(settings, "bun_echo.js")
}

fn run_bun(settings: &Settings, script: &str) -> io::Result<Server> {
    let folder = install_npm(&settings.cache, "bench-bun", BUN)?;
    Server::start(|address: SocketAddr| {
        let mut command = Command::new(folder.join("node_modules/bun/bin/bun.exe"));
        command.arg(peers_folder().join(script)).env("PORT", address.port().to_string());
        command
    })
}

/// Starts the echo of npm's `ws` on Node.
pub(crate) fn ws_echo(settings: &Settings) -> io::Result<Server> {
    let folder = install_npm(&settings.cache, "bench-ws", WS)?;
    Server::start(|address: SocketAddr| {
        let mut command = Command::new("node");
        command.arg(peers_folder().join("ws_echo.cjs")).env("PORT", address.port().to_string());
        command.env("NODE_PATH", folder.join("node_modules"));
        command
    })
}

/// Starts the bare echo: this program's own, on a thread that does nothing else.
pub(crate) fn bare_echo() -> io::Result<Server> {
    let program = std::env::current_exe()?;
    Server::start(|address: SocketAddr| {
        let mut command = Command::new(program);
        command.args(["--serve-echo", &address.to_string()]);
        command
    })
}

/// The folder into which a package from npm was installed.
fn install_npm(cache: &Path, name: &str, package: &str) -> io::Result<PathBuf> {
    let folder = cache.join(name);
    if !folder.join("installed").exists() {
        eprintln!("   installing {package}");
        std::fs::create_dir_all(&folder)?;
        succeed(Command::new("npm").args(["install", "--silent", "--prefix"]).arg(&folder).arg(package))?;
        std::fs::write(folder.join("installed"), "")?;
    }
    Ok(folder)
}

fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn install_fastapi(cache: &Path) -> io::Result<PathBuf> {
    let folder = cache.join("bench-fastapi");
    let python = folder.join("bin/python");
    if folder.join("installed").exists() {
        return Ok(python);
    }
    eprintln!("   installing FastAPI");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(FASTAPI))?;
    std::fs::write(folder.join("installed"), "")?;
    Ok(python)
}

fn succeed(command: &mut Command) -> io::Result<()> {
    if command.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed"))) }
}
