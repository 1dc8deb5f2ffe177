//! Streamable HTTP: a server of the official SDK that lets nobody in without its token.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_engine::Code;
use tidewire_engine::mcp::{Place, ServerSettings, Standing};

use super::rig::{call, foreign, names, script, server, started, until};

/// Cargo sets this variable for tests; what it says is as good a token as any.
const TOKEN: &str = "CARGO_PKG_NAME";

struct Far {
    child: Child,
    port: u16,
}

impl Far {
    fn start(port: u16) -> Self {
        let mut command = Command::new(foreign("python"));
        command.args([&script("far.py"), env!("CARGO_PKG_NAME"), &port.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }

    fn settings(&self, token: Option<&str>) -> ServerSettings {
        let url = format!("http://127.0.0.1:{}/mcp", self.port);
        server("far", Place::Address { url, token: token.map(str::to_owned) })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn its_tools_are_called_and_it_may_go_and_come_back() {
    let far = Far::start(0);
    let mcp = started(vec![far.settings(Some(TOKEN))]).await;
    assert_eq!(mcp.status()[0].standing, Standing::Ready);
    assert_eq!(names(&mcp), ["far__add", "far__die"]);
    assert_eq!(call(&mcp, "far__add", json!({"a": 2, "b": 3})).await.unwrap(), json!({"result": 5}));
    let began = Instant::now();
    let error = call(&mcp, "far__die", json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::Upstream, "{error}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let port = far.port;
    drop(far);
    let _far = Far::start(port);
    until("it is there again", || mcp.status()[0].standing == Standing::Ready).await;
    let mut answer = Err(error);
    for _ in 0..600 {
        answer = call(&mcp, "far__add", json!({"a": 1, "b": 1})).await;
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(answer.unwrap(), json!({"result": 2}));
    mcp.close().await;
}

#[tokio::test]
async fn one_that_goes_away_is_down_before_it_is_called() {
    let far = Far::start(0);
    let settings = ServerSettings { probe: Duration::from_millis(50), ..far.settings(Some(TOKEN)) };
    let mcp = started(vec![settings]).await;
    assert_eq!(mcp.status()[0].standing, Standing::Ready);
    let port = far.port;
    drop(far);
    until("it is known to be gone", || matches!(mcp.status()[0].standing, Standing::Down(_))).await;
    let _far = Far::start(port);
    until("it is there again", || mcp.status()[0].standing == Standing::Ready).await;
    assert_eq!(call(&mcp, "far__add", json!({"a": 2, "b": 3})).await.unwrap(), json!({"result": 5}));
    mcp.close().await;
}

#[tokio::test]
async fn without_the_token_or_the_server_it_is_down_and_says_why() {
    let far = Far::start(0);
    let nobody = Place::Address { url: "http://127.0.0.1:1/mcp".into(), token: None };
    let servers = vec![far.settings(None), far.settings(Some("NO_SUCH_VARIABLE")), server("nobody", nobody)];
    let mcp = started(servers).await;
    let whys: Vec<_> = mcp
        .status()
        .into_iter()
        .map(|status| match status.standing {
            Standing::Down(why) => why,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(whys[0].to_lowercase().contains("auth"), "{whys:?}");
    assert_eq!(whys[1], "needs a token, and the environment variable NO_SUCH_VARIABLE is not set");
    assert!(whys[2].contains("refused"), "{whys:?}");
    mcp.close().await;
}
