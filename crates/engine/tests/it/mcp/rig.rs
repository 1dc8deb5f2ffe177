//! MCP servers for tests, an agent that has their tools, and clients that agree or do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::agent::{ToolContext, ToolSource, Waits};
use tidewire_engine::collections::Desk;
use tidewire_engine::id::SystemClock;
use tidewire_engine::mcp::{Mcp, Place, ServerSettings};
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{AgentEvent, ChatBody, Command, Identity, Reply, Result, Settings};

use crate::chat::rig::{Client, House, SESSION, session};

/// Longer than anything here takes on a busy machine; Python alone may need a minute there to come up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// A server with patience for a busy machine, and started again at once.
pub(crate) fn server(name: &str, place: Place) -> ServerSettings {
    ServerSettings {
        start_limit: PATIENCE,
        call_limit: Duration::from_secs(120),
        restart_pause: Duration::from_millis(50),
        ..ServerSettings::new(name, place)
    }
}

/// Where Python and the MCP servers that others wrote are installed.
pub(crate) fn foreign(program: &str) -> String {
    let folder = std::env::var("TIDEWIRE_FOREIGN").expect(
        "TIDEWIRE_FOREIGN must be the folder of foreign programs; `cargo xtask test` installs them and sets this",
    );
    Path::new(&folder).join("bin").join(program).display().to_string()
}

pub(crate) fn program(program: String, arguments: &[&str]) -> Place {
    Place::Program {
        program,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: Default::default(),
        passed: Vec::new(),
        folder: None,
    }
}

/// One of the scripts beside this file.
pub(crate) fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mcp").join(name).display().to_string()
}

/// The server that does what no server should, and the notes that it takes.
pub(crate) struct Odd {
    pub(crate) settings: ServerSettings,
    folder: TempDir,
}

impl Odd {
    pub(crate) fn new(manner: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        let place = program(foreign("python"), &["-u", &script("odd.py"), manner, notes.to_str().unwrap()]);
        Self { settings: server("odd", place), folder }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// What it has noted so far, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        self.notes().iter().filter(|line| line.starts_with(note)).count()
    }

    /// The processes that it has noted.
    pub(crate) fn processes(&self) -> Vec<String> {
        let notes = self.notes();
        let of =
            |line: &String| Some(line.strip_prefix("start ").or(line.strip_prefix("child "))?.to_owned());
        notes.iter().filter_map(of).collect()
    }
}

/// Waits for what other processes do.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what} does not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// The servers, when each has come up or failed to.
pub(crate) async fn started(settings: Vec<ServerSettings>) -> Arc<Mcp> {
    let mcp = Mcp::start(settings, None);
    mcp.settled().await;
    mcp
}

/// Calls a tool as an agent does that needs nobody's agreement.
pub(crate) async fn call(mcp: &Arc<Mcp>, name: &str, arguments: Value) -> Result<Value> {
    let tools = mcp.tools();
    let tool = tools.iter().find(|tool| tool.definition().name == name).expect("the tool is offered");
    let context = ToolContext { chat: None, run: None, identity: Identity::local() };
    tool.call(&context, arguments).await
}

pub(crate) fn names(mcp: &Arc<Mcp>) -> Vec<String> {
    mcp.tools().iter().map(|tool| tool.definition().name.clone()).collect()
}

/// An engine whose agent has the tools of the servers and makes one call.
pub(crate) struct Scene {
    pub(crate) house: House,
    pub(crate) mcp: Arc<Mcp>,
}

impl Scene {
    pub(crate) async fn new(server: ServerSettings, tool: &str, arguments: Value) -> Self {
        Self::with(server, tool, arguments, Waits::default()).await
    }

    pub(crate) async fn with(server: ServerSettings, tool: &str, arguments: Value, waits: Waits) -> Self {
        let mcp = started(vec![server]).await;
        let script = Script::new().call(tool, arguments);
        let model = ScriptedModel::new().after(tool, Script::new().text("Done.")).otherwise(script);
        let records = Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(SystemClock));
        let agent = Explorer::new(Arc::new(model), Arc::new(records)).with_source(Arc::clone(&mcp) as _);
        let house = House::with(Arc::new(agent), Settings { waits, ..Settings::default() }).await;
        Self { house, mcp }
    }

    /// A client that has asked.
    pub(crate) async fn asking(&self) -> Client {
        let client = self.house.client().await;
        client.send("go").await;
        client
    }
}

/// Whether a decision counted.
pub(crate) async fn decide(client: &Client, call_id: &str, approved: bool) -> bool {
    let command = Command::DecideCall { chat: session(SESSION), call_id: call_id.into(), approved };
    match client.execute(command).await.unwrap() {
        Reply::Answered(counted) => counted,
        other => panic!("{other:?}"),
    }
}

fn of_run(body: &ChatBody) -> Option<&AgentEvent> {
    match body {
        ChatBody::Run { event, .. } => Some(event),
        _ => None,
    }
}

/// The id of the next call that a person is asked about.
pub(crate) async fn asked(client: &mut Client) -> String {
    loop {
        let event = client.next().await;
        if let Some(AgentEvent::ApprovalRequested { call_id, .. }) = of_run(&event.body) {
            return call_id.clone();
        }
    }
}

/// What happens up to the run's end, a line each.
pub(crate) async fn lines(client: &mut Client) -> Vec<String> {
    let events = client.until(|event| of_run(&event.body).is_some_and(AgentEvent::is_end)).await;
    events.iter().filter_map(|event| line(of_run(&event.body)?)).collect()
}

fn line(event: &AgentEvent) -> Option<String> {
    Some(match event {
        AgentEvent::ApprovalRequested { name, .. } => format!("agree? {name}"),
        AgentEvent::ApprovalResolved { approved, by, .. } => format!("agreed {approved} by {}", by.0),
        AgentEvent::ToolResult { name, content, error: None, .. } => format!("result {name} {content}"),
        AgentEvent::ToolResult { name, error: Some(error), .. } => {
            format!("error {name} {}: {error}", error.code.name())
        }
        AgentEvent::RunFinished { answer, .. } => format!("finished {}", answer.text),
        AgentEvent::RunFailed { error, .. } => format!("failed {error}"),
        _ => return None,
    })
}
