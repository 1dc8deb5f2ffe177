//! How servers that are programs come and go.

use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_engine::agent::ToolSource;
use tidewire_engine::mcp::{Mcp, Place, ServerSettings, Standing};
use tidewire_engine::{Code, Error};
use tokio::time::timeout;

use super::rig::{Odd, PATIENCE, call, foreign, lives, names, program, server, started, until};

#[tokio::test]
async fn a_slow_one_delays_nobody() {
    let (slow, silent, usual) = (Odd::new("slow"), Odd::new("silent"), Odd::new("usual"));
    let named = |odd: &Odd, name: &str| ServerSettings { name: name.into(), ..odd.settings.clone() };
    let silent = ServerSettings { start_limit: Duration::from_millis(700), ..named(&silent, "silent") };
    let began = Instant::now();
    let mcp = Mcp::start(vec![named(&slow, "slow"), silent, named(&usual, "usual")], None);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(mcp.status().iter().all(|status| status.standing == Standing::Starting));
    until("the usual one is there", || mcp.status()[2].standing == Standing::Ready).await;
    assert!(names(&mcp).iter().any(|name| name.starts_with("usual__")));
    let standings: Vec<_> = mcp.settled().await.into_iter().map(|status| status.standing.name()).collect();
    assert_eq!(standings, ["ready", "down", "ready"]);
    mcp.close().await;
}

#[tokio::test]
async fn one_that_cannot_be_started_says_why_to_those_who_run_us() {
    let broken = Odd::new("broken");
    let missing = server("missing", program("/no/such/program".into(), &[]));
    let other = server("other", program(foreign("python"), &["-c", "print('hello')"]));
    let mcp = started(vec![broken.settings.clone(), missing, other]).await;
    let status = mcp.status();
    assert_eq!(status[0].standing, Standing::Down("ended (exit status: 1)".into()));
    until("its words are read", || mcp.status()[0].last_words.is_some()).await;
    assert_eq!(mcp.status()[0].last_words.as_deref(), Some("the thing that it needs is not there"));
    let Standing::Down(why) = &status[1].standing else { panic!("{status:?}") };
    assert!(why.starts_with("\"/no/such/program\" cannot be started: No such file"), "{why}");
    assert_eq!(status[2].standing, Standing::Down("ended (exit status: 0)".into()));
    until("it is tried again", || broken.count("start") >= 3).await;
    mcp.close().await;
}

#[tokio::test]
async fn who_wants_a_tool_of_one_whose_first_start_fails_can_wait_for_the_next_one() {
    let odd = Odd::new("usual");
    let Place::Program { program, mut arguments, .. } = odd.settings.place.clone() else {
        panic!("it is a program")
    };
    let fails_once = r#"test -e "$0" && exec "$@"; touch "$0"; exit 1"#;
    let mark = odd.folder().join("was-started").display().to_string();
    arguments.splice(..0, [String::from("-c"), fails_once.into(), mark, program]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let settings = server("odd", super::rig::program("sh".into(), &arguments));
    let mcp = started(vec![settings]).await;
    timeout(PATIENCE, mcp.returned("odd__echo")).await.expect("it is started again");
    assert!(names(&mcp).contains(&String::from("odd__echo")));
    // What no server has is waited for by nobody.
    for other in ["other__echo", "echo", "odd__none"] {
        timeout(PATIENCE, mcp.returned(other)).await.expect("it will not come");
    }
    mcp.close().await;
}

#[tokio::test]
async fn a_call_while_it_is_away_says_so() {
    let odd = Odd::new("usual");
    let server = ServerSettings { restart_pause: Duration::from_secs(60), ..odd.settings.clone() };
    let mcp = started(vec![server]).await;
    call(&mcp, "odd__die", json!({})).await.unwrap_err();
    let Error { code, message, .. } = call(&mcp, "odd__echo", json!({})).await.unwrap_err();
    assert_eq!(code, Code::Unavailable);
    let expected =
        "the MCP server \"odd\" is not there at the moment; go on without it, or try again in a while";
    assert_eq!(message, expected);
    assert_eq!(odd.count("call"), 1);
    mcp.close().await;
}

#[tokio::test]
async fn nothing_of_it_is_left_behind() {
    let (stubborn, usual) = (Odd::new("stubborn"), Odd::new("usual"));
    let mcp = started(vec![stubborn.settings.clone(), usual.settings.clone()]).await;
    call(&mcp, "odd__echo", json!({})).await.unwrap();
    let processes = [stubborn.processes(), usual.processes()].concat();
    assert_eq!(processes.len(), 3);
    assert!(processes.iter().all(|process| lives(process)));
    let began = Instant::now();
    mcp.close().await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    until("all have ended", || !processes.iter().any(|process| lives(process))).await;
    assert_eq!(usual.count("end of input"), 1, "it was asked before it was told");
}

#[tokio::test]
async fn what_a_dead_one_left_running_is_ended() {
    let odd = Odd::new("usual");
    let mcp = started(vec![odd.settings.clone()]).await;
    call(&mcp, "odd__die_and_leave", json!({})).await.unwrap_err();
    let child = odd.processes()[1].clone();
    until("its child has ended", || !lives(&child)).await;
    mcp.close().await;
}

#[test]
fn servers_end_with_the_runtime() {
    let odd = Odd::new("stubborn");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mcp = runtime.block_on(started(vec![odd.settings.clone()]));
    let processes = odd.processes();
    assert!(processes.len() == 2 && processes.iter().all(|process| lives(process)));
    drop((runtime, mcp));
    let began = Instant::now();
    while processes.iter().any(|process| lives(process)) {
        assert!(began.elapsed() < PATIENCE, "something is left");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_program_gets_what_it_needs_of_our_environment_and_no_secrets() {
    let odd = Odd::new("telling");
    let mut server = odd.settings.clone();
    let Place::Program { environment, passed, folder, .. } = &mut server.place else { panic!("a program") };
    environment.insert("OWN".into(), "1".into());
    passed.push("CARGO_MANIFEST_DIR".into());
    *folder = Some(odd.folder());
    let mcp = started(vec![server]).await;
    let notes = odd.notes();
    let told = notes.iter().find_map(|note| note.strip_prefix("environment ")).unwrap();
    let (variables, folder) = told.split_once(" in ").unwrap();
    let variables: Vec<_> = variables.split(' ').collect();
    assert!(["CARGO_MANIFEST_DIR", "OWN", "PATH"].iter().all(|name| variables.contains(name)), "{told}");
    assert!(!variables.contains(&"CARGO_PKG_NAME") && std::env::var_os("CARGO_PKG_NAME").is_some(), "{told}");
    assert_eq!(std::path::Path::new(folder), odd.folder().canonicalize().unwrap());
    mcp.close().await;
}
