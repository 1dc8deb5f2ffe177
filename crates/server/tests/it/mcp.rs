//! MCP servers in the configuration of the server: health, doctor, a chat over a real socket, and a kill.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_server::config::{Approve, McpServer, Rule};

use crate::binary::{Server, free_address};
use crate::house::House;

fn foreign(program: &str) -> String {
    let folder = std::env::var("TIDEWIRE_FOREIGN").expect(
        "TIDEWIRE_FOREIGN must be the folder of foreign programs; `cargo xtask test` installs them and sets this",
    );
    Path::new(&folder).join("bin").join(program).display().to_string()
}

fn time(approve: Rule) -> McpServer {
    McpServer {
        command: foreign("mcp-server-time"),
        args: vec!["--local-timezone".into(), "UTC".into()],
        approve: Approve::Rule(approve),
        ..McpServer::default()
    }
}

async fn health(house: &House) -> Value {
    reqwest::get(house.url("/api/health")).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_configured_server_is_in_the_health_and_answers_in_a_chat() {
    let house = House::with(|plan| {
        plan.config.mcp.insert("time".into(), time(Rule::Never));
        let call = Script::new().call("time__get_current_time", json!({"timezone": "Europe/Paris"}));
        plan.model = ScriptedModel::new()
            .after("time__get_current_time", Script::new().words("It is late."))
            .otherwise(call);
    })
    .await;
    let began = Instant::now();
    while health(&house).await["mcp"] != json!({"time": "ready"}) {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", health(&house).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut client = house.client("s").await;
    client.send(json!({"content": "How late is it?"})).await;
    assert_eq!(client.until("agent").await["content"], "It is late.");
    let requests = house.model.requests();
    let told = format!("{:?}", requests.last().unwrap().messages);
    assert!(told.contains("Europe/Paris") && told.contains("day_of_week"), "{told}");
    house.stopped().await;
}

#[tokio::test]
async fn without_mcp_servers_the_health_is_as_it_was() {
    let house = House::open().await;
    assert_eq!(health(&house).await.get("mcp"), None);
}

#[test]
fn the_doctor_says_how_each_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidewire.toml");
    let time = foreign("mcp-server-time");
    let mut text = format!("model = \"scripted\"\nlisten = \"{}\"\n", free_address());
    _ = write!(
        text,
        "data = {:?}\n[mcp.time]\ncommand = {time:?}\nidempotent = [\"get_time\"]\n",
        folder.path()
    );
    _ = write!(text, "[mcp.nothing]\ncommand = \"/no/such/program\"\n");
    std::fs::write(&file, text).unwrap();
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    let output = doctor.arg("doctor").arg("--config").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "mcp time       2 tools, 2 of them ask before each call; idempotent names \"get_time\", which it does not offer";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("mcp nothing    \"/no/such/program\" cannot be started"), "{said}");
}

fn lives(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// A program that ends for nobody, and one that it has started. Writes both their numbers to a file.
const STUBBORN: &str = "trap '' TERM; sleep 1000 & echo $$ $! > \"$0\"; while :; do sleep 1; done";

#[tokio::test]
async fn nothing_outlives_a_server_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, notes) = (folder.path().join("tidewire.toml"), folder.path().join("processes"));
    std::fs::write(
        &file,
        format!("[mcp.stubborn]\ncommand = \"sh\"\nargs = [\"-c\", {STUBBORN:?}, {notes:?}]\n"),
    )
    .unwrap();
    let server = Server::configured(&folder.path().join("data"), free_address(), &file).await;
    let began = Instant::now();
    let wait = async |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let processes = || std::fs::read_to_string(&notes).unwrap_or_default();
    wait(&|| processes().split_whitespace().count() == 2).await;
    assert!(processes().split_whitespace().all(lives));
    server.kill();
    wait(&|| !processes().split_whitespace().any(lives)).await;
}

#[path = "../../examples/own_tool.rs"]
#[allow(dead_code, reason = "its main is for the terminal")]
mod own_tool;

#[tokio::test]
async fn the_example_of_a_tool_runs_and_is_in_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let lines = own_tool::play(folder.path()).await.unwrap();
    assert!(lines[0].starts_with("roll_dice: {\"total\":"), "{lines:?}");
    assert_eq!(lines[1..], ["That is what they show."]);
    let guide = include_str!("../../../../docs/guide/tools.md");
    let example = include_str!("../../examples/own_tool.rs");
    let (_, body) = example.split_once("fn dice() -> Arc<dyn Tool> {\n").unwrap();
    for line in body.lines().take_while(|line| *line != "}") {
        assert!(guide.contains(line.trim()), "the guide lacks: {line}");
    }
}
