//! `mcp-server-time` and `mcp-server-git`: with a person's agreement, without it, and where none is needed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tidewire_engine::agent::Waits;
use tidewire_engine::conversation::RunOptions;
use tidewire_engine::mcp::{Approve, ServerSettings, Standing};
use tidewire_engine::{Code, Reply, Settings};

use super::rig::{Scene, asked, call, decide, foreign, lines, names, program, server, started};
use crate::chat::restart::reopen;
use crate::chat::rig::{Client, SESSION, session, start};

fn time() -> ServerSettings {
    server("time", program(foreign("mcp-server-time"), &["--local-timezone", "UTC"]))
}

fn git(repository: &Path) -> ServerSettings {
    let arguments = ["--repository", repository.to_str().unwrap()];
    let git = server("git", program(foreign("mcp-server-git"), &arguments));
    ServerSettings { trust_annotations: true, ..git }
}

const TOOL: &str = "time__convert_time";

fn noon() -> Value {
    json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"})
}

#[tokio::test]
async fn what_is_agreed_to_runs_and_its_result_arrives() {
    let scene = Scene::new(time(), TOOL, noon()).await;
    let mut client = scene.asking().await;
    let call = asked(&mut client).await;
    assert!(decide(&client, &call, true).await);
    assert!(!decide(&client, &call, true).await, "it is decided");
    let lines = lines(&mut client).await;
    assert_eq!(lines[0], "agreed true by local");
    let result = lines[1].strip_prefix("result time__convert_time ").expect("it has a result");
    let result: Value = serde_json::from_str(result).unwrap();
    assert!(result["target"]["datetime"].as_str().unwrap().contains("T03:00:00"), "{result}");
    assert_eq!(result["time_difference"], "-9.0h");
    assert_eq!(lines[2..], ["finished Done."]);
}

#[tokio::test]
async fn what_is_refused_or_not_answered_is_not_done() {
    let scene = Scene::new(time(), TOOL, noon()).await;
    let mut client = scene.asking().await;
    let call = asked(&mut client).await;
    assert!(decide(&client, &call, false).await);
    let refusal = "a person refused this call; go on without it, and do not call it again";
    let expected = [
        String::from("agreed false by local"),
        format!("error {TOOL} forbidden: {refusal}"),
        String::from("finished Done."),
    ];
    assert_eq!(lines(&mut client).await, expected);

    let waits = Waits { person: Duration::from_millis(200), ..Waits::default() };
    let scene = Scene::with(time(), TOOL, noon(), waits).await;
    let mut client = scene.asking().await;
    let call = asked(&mut client).await;
    let expected = [
        String::from("agreed false by system"),
        format!("error {TOOL} deadline: nobody agreed to this call in time; go on without it"),
        String::from("finished Done."),
    ];
    assert_eq!(lines(&mut client).await, expected);
    assert!(!decide(&client, &call, true).await, "its time is over");
}

#[tokio::test]
async fn a_client_cannot_do_without_agreement() {
    let scene = Scene::new(time(), TOOL, noon()).await;
    let client = scene.house.client().await;
    let direct = tidewire_engine::Command::CallTool { name: TOOL.into(), arguments: noon() };
    assert_eq!(client.execute(direct).await.unwrap_err().code, Code::Forbidden);
    let command = tidewire_engine::Command::SendMessage {
        chat: session(SESSION),
        message_id: None,
        content: "go".into(),
        while_running: tidewire_engine::command::WhileRunning::Reject,
        options: RunOptions { confirm: Vec::new(), ..RunOptions::default() },
    };
    assert!(matches!(client.execute(command).await, Ok(Reply::Accepted { .. })));
    let mut client = client;
    asked(&mut client).await;
}

#[tokio::test]
async fn the_time_servers_own_error_is_the_models_to_mend() {
    let mcp = started(vec![ServerSettings { approve: Approve::Never, ..time() }]).await;
    assert_eq!(names(&mcp), ["time__get_current_time", "time__convert_time"]);
    let now = call(&mcp, "time__get_current_time", json!({"timezone": "Europe/Berlin"})).await.unwrap();
    assert_eq!(now["timezone"], "Europe/Berlin");
    let error = call(&mcp, "time__get_current_time", json!({"timezone": "Mars/Olympus"})).await.unwrap_err();
    assert_eq!(error.code, Code::Upstream);
    assert!(error.message.contains("Mars/Olympus"), "{error}");
    mcp.close().await;
}

/// A repository with one commit and a change that is staged.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    run(folder.path(), &["config", "user.name", "Ann"]);
    run(folder.path(), &["config", "user.email", "ann@example.com"]);
    std::fs::write(folder.path().join("a.txt"), "one\n").unwrap();
    run(folder.path(), &["add", "a.txt"]);
    run(folder.path(), &["commit", "--quiet", "--message", "one"]);
    std::fs::write(folder.path().join("a.txt"), "two\n").unwrap();
    run(folder.path(), &["add", "a.txt"]);
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn commits(folder: &Path) -> usize {
    run(folder, &["log", "--format=%s"]).lines().count()
}

#[tokio::test]
async fn git_reads_without_asking_and_commits_once_when_asked() {
    let folder = repository();
    let path = folder.path().to_str().unwrap();
    let scene = Scene::new(git(folder.path()), "git__git_status", json!({"repo_path": path})).await;
    let [status] = &scene.mcp.status()[..] else { panic!("one server") };
    assert_eq!((&status.standing, &status.notes[..]), (&Standing::Ready, &[][..]));
    assert!(status.asking > 0 && status.asking < status.tools, "{status:?}");
    let lines_of_status = lines(&mut scene.asking().await).await;
    assert!(
        lines_of_status[0].starts_with("result git__git_status ") && lines_of_status[0].contains("a.txt")
    );

    let arguments = json!({"repo_path": path, "message": "two"});
    let scene = Scene::new(git(folder.path()), "git__git_commit", arguments).await;
    let mut client = scene.asking().await;
    let call = asked(&mut client).await;
    let other = scene.house.client().await;
    let (one, two) = tokio::join!(decide(&client, &call, true), decide(&other, &call, true));
    assert!(one ^ two, "of two who agree, one counts");
    let said = lines(&mut client).await;
    assert!(said[1].starts_with("result git__git_commit "), "{said:?}");
    assert_eq!(commits(folder.path()), 2);
}

#[tokio::test]
async fn a_call_that_waits_when_the_process_ends_is_never_made() {
    let folder = repository();
    let path = folder.path().to_str().unwrap().to_owned();
    let arguments = json!({"repo_path": path, "message": "two"});
    let scene = Scene::new(git(folder.path()), "git__git_commit", arguments).await;
    let mut client = scene.asking().await;
    let call = asked(&mut client).await;
    let run = client.page.questions[0].0;
    let Scene { house, mcp } = scene;
    let data = house.folder;
    drop((client, house.engine));
    mcp.close().await;
    let engine = start(reopen(data.path()).await, crate::chat::rig::repeating(), Settings::default()).await;
    let mut client = Client::follow(&engine, SESSION, Some(tidewire_engine::Seq::START)).await;
    client.end_of(run).await;
    assert!(!decide(&client, &call, true).await, "nobody waits for it any more");
    assert_eq!(commits(folder.path()), 1);
}
