//! A disk that is full, and one that cannot be written: a small one of its own, in memory, for one server.
//!
//! The server runs where it sees a `tmpfs` of some mebibytes that nobody else sees; making one needs a user namespace or
//! root. Where neither is allowed, `TIDEWIRE_TEST_WITHOUT_DISKS=1` leaves these tests out, and says so.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_client::{Client, Error, Notice, Query, Record, SearchOptions, SubscribeOptions};

use crate::binary::{Server, free_address};
use crate::client::{Client as Plain, PATIENCE};
use crate::crash::load::numbers;

const BINARY: &str = env!("CARGO_BIN_EXE_tidewire");
const FULL: &str = "the server's disk is full; try again when space has been freed";

/// A command that sees a disk of so many mebibytes at this folder; `then` is done before `program` begins.
fn upon_small_disk(folder: &Path, mebibytes: u32, then: &str, program: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$0\" && {then} exec \"$@\"");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(folder).arg(program);
    command
}

/// Whether disks can be made here. That they cannot be has to be agreed to, and is said.
fn can_make_disks(folder: &Path) -> bool {
    let made = upon_small_disk(folder, 1, "", "true").output();
    if made.as_ref().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        std::env::var_os("TIDEWIRE_TEST_WITHOUT_DISKS").is_some(),
        "no disk can be made here ({made:?}); allow user namespaces, or leave this out with TIDEWIRE_TEST_WITHOUT_DISKS=1"
    );
    eprintln!("NOT RUN: no disk can be made here");
    false
}

/// A server on a small disk.
struct Ship {
    server: Server,
    /// The disk, as it is seen from outside.
    disk: PathBuf,
    client: Client,
}

impl Ship {
    async fn launch(folder: &Path, mebibytes: u32) -> Self {
        let data = folder.join("data");
        let mut command = upon_small_disk(folder, mebibytes, "", BINARY);
        let address = free_address();
        command.args(["serve", "--model", "scripted", "--listen", &address.to_string(), "--data"]).arg(data);
        let server = Server::run(command, address).await;
        let disk = Path::new("/proc").join(server.id().to_string()).join("root");
        let disk = disk.join(folder.strip_prefix("/").unwrap());
        let client = Client::connect(format!("http://{address}")).await.unwrap();
        Self { server, disk, client }
    }

    /// Leaves no byte.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.disk.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_space(&self) {
        std::fs::remove_file(self.disk.join("filler")).unwrap();
    }

    async fn tab(&self, session: &str) -> Plain {
        Plain::connect(self.server.address, &format!("/ws/{session}")).await
    }

    async fn insert(&self, id: &str) -> Result<String, Error> {
        self.client.insert("c", json!({"id": id, "text": format!("the words of {id}")})).await
    }

    async fn records(&self) -> Vec<Record> {
        self.client.query(Query::new("c").limit(100_000)).await.unwrap()
    }

    async fn put(&self, key: &str, value: &str) -> reqwest::Response {
        let url = format!("http://{}/api/kv/set/{key}", self.server.address);
        reqwest::Client::new().post(url).json(&json!({"value": value})).send().await.unwrap()
    }
}

/// Writes until there is no place; how many were acknowledged.
async fn write_until_full(ship: &Ship) -> usize {
    for number in 0..100_000 {
        if let Err(error) = ship.insert(&format!("more-{number}")).await {
            assert!(error.to_string().contains(FULL), "{error}");
            return number;
        }
    }
    panic!("the disk does not fill");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_is_written_and_nothing_else_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    if !can_make_disks(folder.path()) {
        return;
    }
    let ship = Ship::launch(folder.path(), 12).await;
    for number in 0..20 {
        ship.insert(&format!("r{number:02}")).await.unwrap();
    }
    assert!(ship.put("k", "before").await.status().is_success());
    let words = || ship.client.text_search::<Record>("c", "words", SearchOptions::default());
    words().await.unwrap();
    let mut said = ship.tab("said").await;
    said.ask("3 tokens").await;
    said.until("agent").await;
    let mut talk = ship.tab("talk").await;
    talk.send(json!({"content": "400 numbers every 5 ms", "partials": "delta"})).await;
    let mut shown = String::new();
    while shown.len() < 40 {
        shown.push_str(talk.until("agent_partial").await["delta"].as_str().unwrap());
    }

    ship.fill();
    let more = write_until_full(&ship).await;
    refuses(&ship).await;
    // Reading goes on.
    assert_eq!(ship.records().await.len(), 20 + more);
    assert_eq!(ship.client.find_by_id::<Record>("c", "r07").await.unwrap()["id"], "r07");
    assert!(!words().await.unwrap().is_empty());
    let url = format!("http://{}/api/kv/get/k", ship.server.address);
    assert_eq!(reqwest::get(url).await.unwrap().json::<Value>().await.unwrap()["value"]["value"], "before");
    let mut reader = ship.tab("said").await;
    reader.send(json!({"after_seq": 0})).await;
    assert_eq!(reader.until("agent").await["content"], "token token token ");

    ship.make_space();
    ship.insert("after").await.unwrap();
    assert!(ship.put("k", "after").await.status().is_success());
    let end = ends_honestly(&mut talk, shown).await;
    eprintln!("the answer ended as {end}");
    talk.ask("2 tokens").await;
    talk.until("user").await;
    assert_eq!(talk.until("agent").await["content"], "token token ");
    let mut late = ship.tab("late").await;
    late.ask("2 tokens").await;
    assert_eq!(late.until("agent").await["content"], "token token ");
    holds(ship, 20 + more + 1).await;
}

/// Each kind of write is refused in one sentence that says why.
async fn refuses(ship: &Ship) {
    let client = &ship.client;
    let batch: Vec<_> = (0..50).map(|n| json!({"n": n, "text": "x".repeat(1_000)})).collect();
    let refused = [
        ship.insert("refused").await.map(drop),
        client.update("c", "r01", json!({"text": "y".repeat(20_000)})).await.map(drop),
        client.delete("c", "r02").await.map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("there is no place");
        assert!(error.to_string().contains(FULL), "{error}");
    }
    match client.batch_insert("c", batch).await {
        Ok(reply) => assert_eq!(reply.successful, [] as [String; 0], "{reply:?}"),
        Err(error) => assert!(error.to_string().contains(FULL), "{error}"),
    }
    let response = ship.put("k", &"z".repeat(20_000)).await;
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["message"], FULL, "{body}");
    let mut tab = ship.tab("new").await;
    tab.ask(&"w".repeat(20_000)).await;
    let error = tab.until("error").await;
    assert_eq!(error["content"], FULL, "{error}");
}

/// What was shown stays, and there is one end. How it ended.
async fn ends_honestly(talk: &mut Plain, mut shown: String) -> String {
    let whole = numbers(400);
    loop {
        let frame = talk.next().await;
        match frame["type"].as_str().unwrap() {
            "agent_partial" => shown.push_str(frame["delta"].as_str().unwrap()),
            "agent" => {
                let (content, status) =
                    (frame["content"].as_str().unwrap(), frame["status"].as_str().unwrap());
                assert!(
                    content.starts_with(&shown) && whole.starts_with(content),
                    "{content:?} after {shown:?}"
                );
                assert_eq!(status == "finished", content == whole, "{frame}");
                return status.to_owned();
            }
            "run" | "error" => {}
            other => panic!("{other} was not expected: {frame}"),
        }
        assert!(whole.starts_with(&shown), "lost, doubled or out of order: {shown:?}");
    }
}

/// So many records are there, the log leads to them without a gap, and an operator finds nothing wrong.
async fn holds(ship: Ship, count: usize) {
    let options = SubscribeOptions { after_offset: Some(0), filter: None };
    let mut subscription = ship.client.subscribe_with("c", options).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < count {
        let notice = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("the log goes on");
        let Some(Ok(Notice::Changes(changes))) = notice else { panic!("{notice:?}") };
        ids.extend(changes.ids);
    }
    assert_eq!((ids.len(), subscription.offset()), (count, count as u64));
    ids.sort_unstable();
    let mut there: Vec<_> =
        ship.records().await.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
    there.sort_unstable();
    assert_eq!(ids, there);
    let copy = tempfile::tempdir().unwrap();
    for entry in ship.disk.join("data").read_dir().unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    drop(ship);
    let looked = run(Command::new(BINARY).args(DOCTOR).arg(copy.path())).await;
    assert!(looked.status.success(), "{}", said(&looked));
}

const DOCTOR: [&str; 6] = ["doctor", "--model", "scripted", "--listen", "127.0.0.1:0", "--data"];

async fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null());
    let mut command = std::mem::replace(command, Command::new("true"));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    if !can_make_disks(folder.path()) {
        return;
    }
    // A folder that was served before, on a disk that can only be read now.
    let before = tempfile::tempdir().unwrap();
    let server = Server::start(before.path(), free_address(), None).await;
    let url = format!("http://{}/api/insert/c", server.address);
    reqwest::Client::new().post(url).json(&json!({"id": "r"})).send().await.unwrap();
    server.kill();
    let then = format!("cp -r {} \"$0/data\" && mount -o remount,ro \"$0\" &&", before.path().display());
    let data = folder.path().join("data");
    let serve: [&str; 6] = ["serve", "--model", "scripted", "--listen", "127.0.0.1:0", "--data"];
    for words in [serve, DOCTOR] {
        let began = Instant::now();
        let output = run(upon_small_disk(folder.path(), 32, &then, BINARY).args(words).arg(&data)).await;
        let text = said(&output);
        assert!(!output.status.success(), "{text}");
        assert!(began.elapsed() < Duration::from_secs(20), "it says so at once");
        let lines: Vec<_> = text.lines().filter(|line| line.contains(data.to_str().unwrap())).collect();
        assert_eq!(lines.len(), 1, "one sentence: {text}");
        assert!(lines[0].to_lowercase().contains("read-only"), "it says why: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}
