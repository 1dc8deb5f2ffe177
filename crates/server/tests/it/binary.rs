//! The binary itself: started, killed, started again.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, PATIENCE};

const BINARY: &str = env!("CARGO_BIN_EXE_tidewire");

/// A `tidewire serve` of its own; killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) async fn start(data: &Path, address: SocketAddr, limit_kib: Option<u32>) -> Self {
        let mut server = Self::spawn(data, address, limit_kib);
        server.wait().await;
        server
    }

    /// The same, without waiting until it can be asked something.
    pub(crate) fn spawn(data: &Path, address: SocketAddr, limit_kib: Option<u32>) -> Self {
        let mut command = Command::new("sh");
        // A file that may not grow is a full disk; the signal that comes with it is for programs without error handling.
        let limit = limit_kib.map_or_else(String::new, |kib| format!("trap '' XFSZ; ulimit -f {kib};"));
        command.args(["-c", &format!("{limit} exec \"$0\" \"$@\""), BINARY, "serve", "--model", "scripted"]);
        command.args(["--listen", &address.to_string(), "--data"]).arg(data);
        command.env("TIDEWIRE_LIMITS_MESSAGE_BURST", "1000");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), address }
    }

    /// One that this command starts.
    pub(crate) async fn run(mut command: Command, address: SocketAddr) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, address };
        server.wait().await;
        server
    }

    /// One with a configuration file.
    #[cfg(feature = "mcp")]
    pub(crate) async fn configured(data: &Path, address: SocketAddr, file: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--model", "scripted", "--listen", &address.to_string()]);
        command.arg("--data").arg(data).arg("--config").arg(file);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, address };
        server.wait().await;
        server
    }

    /// One with these settings, as environment variables without their prefix; nothing else of this machine's.
    pub(crate) async fn with_settings(data: &Path, address: SocketAddr, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--model", "scripted", "--listen", &address.to_string(), "--data"]).arg(data);
        command.env_clear().env("TIDEWIRE_LIMITS_MESSAGE_BURST", "1000");
        command.envs(settings.iter().map(|(name, value)| (format!("TIDEWIRE_{name}"), value)));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, address };
        server.wait().await;
        server
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    async fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}");
            }
            if reqwest::get(format!("http://{}/api/health", self.address)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server did not become healthy");
    }

    async fn client(&self, session: &str) -> Client {
        Client::connect(self.address, &format!("/ws/{session}")).await
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_killed_server_has_kept_every_character_that_was_shown() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    for round in 0..5 {
        let server = Server::start(folder.path(), address, None).await;
        let session = format!("s{round}");
        let mut client = server.client(&session).await;
        client.send(json!({"content": "5000 tokens every 2 ms", "partials": "delta"})).await;
        let (mut shown, mut seq) = (String::new(), Value::Null);
        while shown.len() < 60 * (round + 1) {
            let frame = client.until("agent_partial").await;
            shown.push_str(frame["delta"].as_str().unwrap());
            seq = frame["seq"].clone();
        }
        server.kill();
        let server = Server::start(folder.path(), address, None).await;
        let mut client = server.client(&session).await;
        client.send(json!({"after_seq": seq, "partials": "delta"})).await;
        let ready = client.until("ready").await;
        assert_eq!((&ready["reset"], &ready["run"]), (&json!(false), &Value::Null), "{ready}");
        let answer = client.until("agent").await;
        assert_eq!(answer["status"], "interrupted");
        let kept = answer["content"].as_str().unwrap();
        assert!(
            kept.starts_with(&shown) && kept.replace("token ", "").is_empty(),
            "{shown:?} against {kept:?}"
        );
        client.ask("2 tokens").await;
        client.until("user").await;
        assert_eq!(client.until("agent").await["content"], "token token ");
    }
}

#[tokio::test]
async fn sigterm_ends_it_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), free_address(), None).await;
    let mut client = server.client("s").await;
    client.ask("2 tokens").await;
    client.until("agent").await;
    let ended = tokio::task::spawn_blocking(|| server.terminate());
    assert_eq!(client.closed().await.0, 1012);
    drop(client);
    assert_eq!(ended.await.unwrap(), 0);
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_not_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), free_address(), Some(2048)).await;
    let mut client = server.client("s").await;
    let large = "x".repeat(500_000);
    let error = loop {
        client.ask(&large).await;
        let frame = loop {
            let frame = client.next().await;
            if frame["type"] == "error" || frame["type"] == "agent" {
                break frame;
            }
        };
        if frame["type"] == "error" {
            break frame;
        }
    };
    assert_eq!(error["code"], "BACKEND_ERROR", "{error}");
    let health = reqwest::get(format!("http://{}/api/health", server.address)).await.unwrap();
    assert_eq!(health.status(), 200);
    // The connection goes on.
    client.send(json!({"content": ""})).await;
    assert_eq!(client.until("error").await["content"], "Empty message");
}

#[tokio::test]
async fn chat_asks_and_shows_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), free_address(), None).await;
    let url = format!("http://{}", server.address);
    let asked = tokio::task::spawn_blocking(move || run(&["chat", "--url", &url, "3", "tokens"]));
    let output = asked.await.unwrap();
    assert_eq!(text(&output.stdout), "token token token \n", "{}", text(&output.stderr));
    assert!(output.status.success());
}

#[tokio::test]
async fn chat_says_why_a_server_cannot_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), free_address(), None).await;
    // It speaks no TLS, and nobody listens on the other port.
    for url in [format!("https://{}", server.address), format!("http://{}", free_address())] {
        let asked = tokio::task::spawn_blocking(move || run(&["chat", "--url", &url, "hello"]));
        let output = asked.await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("cannot be reached"), "{}", text(&output.stderr));
    }
}

#[test]
fn what_cannot_work_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let refused = run(&["serve", "--listen", "0.0.0.0:0", "--data", data]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("put a TLS proxy in front"), "{}", text(&refused.stderr));

    let mut behind_proxy = Command::new(BINARY);
    behind_proxy.env("TIDEWIRE_BEHIND_PROXY", "true").env("TIDEWIRE_HOSTS", "chat.example.com");
    behind_proxy.args(["serve", "--model", "scripted", "--listen", "0.0.0.0:0", "--data", data]);
    let refused = behind_proxy.stdin(Stdio::null()).output().unwrap();
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("set api_keys"), "{}", text(&refused.stderr));

    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "model = \"scripted\"\nmodle = 1\n").unwrap();
    let refused = run(&["serve", "--config", file.to_str().unwrap(), "--data", data]);
    assert!(
        text(&refused.stderr).contains("wrong.toml:2: unknown field `modle`"),
        "{}",
        text(&refused.stderr)
    );

    let refused = run(&["serve", "--model", "nonsense", "--data", data, "--listen", "127.0.0.1:0"]);
    assert!(text(&refused.stderr).contains("no model named"), "{}", text(&refused.stderr));
}

#[test]
fn doctor_says_what_is_wrong_and_exits_accordingly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let listen = free_address().to_string();
    let arguments = ["doctor", "--model", "scripted", "--listen", &listen, "--data", data.to_str().unwrap()];
    let well = run(&arguments);
    assert!(well.status.success(), "{}", text(&well.stdout));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("records.db"), "this is no database, and it is long enough to be looked at")
        .unwrap();
    let broken = run(&arguments);
    assert!(!broken.status.success());
    assert!(text(&broken.stdout).contains("FAIL  data folder"), "{}", text(&broken.stdout));
}

#[test]
fn doctor_says_where_indexes_and_records_differ() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("teas.csv");
    std::fs::write(&file, "name,price\ngreen,4\nblack,5\n").unwrap();
    let imported =
        run(&["import", "--collection", "teas", "--data", data.to_str().unwrap(), file.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    let listen = free_address().to_string();
    let arguments = ["doctor", "--model", "scripted", "--listen", &listen, "--data", data.to_str().unwrap()];
    let well = run(&arguments);
    assert!(well.status.success(), "{}", text(&well.stdout));
    assert!(text(&well.stdout).contains("counts, logs and indexes agree"), "{}", text(&well.stdout));
    let records = rusqlite::Connection::open(data.join("records.db")).unwrap();
    records.execute("UPDATE collections SET count = 3 WHERE name = 'teas'", []).unwrap();
    drop(records);
    let broken = run(&arguments);
    assert!(!broken.status.success());
    let says = "FAIL  agreement      collection \"teas\": it has 2 records and says 3; restore a backup";
    assert!(text(&broken.stdout).contains(says), "{}", text(&broken.stdout));
}
