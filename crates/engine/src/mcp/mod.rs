//! Tools of MCP servers: other programs that say what they can do and do it (<https://modelcontextprotocol.io>).
//!
//! Each configured server has a **keeper** (`keeper.rs`), a task that starts it in the background, asks for its tools,
//! and starts it anew when it ends, each time a little later. [`Mcp`] is a [`ToolSource`]: an agent asks it at the
//! beginning of each run for the tools that there are. What a server says is not believed but checked: a tool with a
//! wrong schema is left out, an answer that is not what was promised is an error of that call, and no server can make a
//! run wait longer than its call's limit.
//!
//! A call is never made twice by us. If its server ends during it, the call fails at once, and the sentence says that it
//! may have been done or not.

mod answer;
mod keeper;
mod lines;
mod listing;
mod name;
mod process;
mod schema;
mod tool;
mod warden;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{ToolSource, Tools};

pub use name::check as check_name;
pub use warden::{Warden, serve as serve_as_warden};

use keeper::Server;

/// How one server is reached and what it may do.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// What we call it; its tools' names begin with it. See [`check_name`].
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The tools that are used, by the server's own names; empty: all.
    pub tools: Vec<String>,
    /// Which calls a person must agree to.
    pub approve: Approve,
    /// Whether what the server says of its tools (that they only read) is believed.
    pub trust_annotations: bool,
    /// The tools whose calls may be repeated after a crash, by the server's own names.
    pub idempotent: Vec<String>,
    /// How long a call may take.
    pub call_limit: Duration,
    /// How long it may take to come up and to say what tools it has.
    pub start_limit: Duration,
    /// How long we wait before it is started again; doubled each time, up to a minute.
    pub restart_pause: Duration,
    /// How often a server at an address is asked whether it is still there. A program's end is seen at once.
    pub probe: Duration,
}

impl ServerSettings {
    /// A server at this place, with all its tools, whose calls all need agreement.
    pub fn new(name: impl Into<String>, place: Place) -> Self {
        Self {
            name: name.into(),
            place,
            tools: Vec::new(),
            approve: Approve::default(),
            trust_annotations: false,
            idempotent: Vec::new(),
            call_limit: Duration::from_secs(30),
            start_limit: Duration::from_secs(30),
            restart_pause: Duration::from_secs(1),
            probe: Duration::from_secs(30),
        }
    }
}

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A program that we start and speak to over its standard input and output.
    Program {
        /// Its name or path.
        program: String,
        /// What it is called with.
        arguments: Vec<String>,
        /// Variables of its environment, beside the few that every program needs (`PATH`, `HOME`, …).
        environment: BTreeMap<String, String>,
        /// Variables that it gets as we have them, such as keys.
        passed: Vec<String>,
        /// Where it works; `None` is where we do.
        folder: Option<PathBuf>,
    },
    /// A server that runs elsewhere and speaks streamable HTTP.
    Address {
        /// Its endpoint.
        url: String,
        /// The environment variable that holds the bearer token.
        token: Option<String>,
    },
}

/// Which calls of a server a person must agree to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Approve {
    /// All.
    Always,
    /// All but those of tools that only read, where the server's word for that is trusted.
    #[default]
    Writes,
    /// Those of these tools, by the server's own names.
    Only(Vec<String>),
    /// None.
    Never,
}

/// How a server stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// It is being started for the first time.
    #[default]
    Starting,
    /// Its tools can be called.
    Ready,
    /// It is not there, and why; it is started again after a while.
    Down(String),
}

impl Standing {
    /// One word: `starting`, `ready` or `down`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Down(_) => "down",
        }
    }
}

/// What there is to say of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What we call it.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// How many tools it offers that can be called.
    pub tools: usize,
    /// How many of them need agreement to each call.
    pub asking: usize,
    /// What is wrong with what it offers, or with what is configured for it, a sentence each.
    pub notes: Vec<String>,
    /// The last line that a program which is down wrote to standard error. For those who run the server alone.
    pub last_words: Option<String>,
}

/// All MCP servers. They end when this is closed or dropped.
pub struct Mcp {
    servers: Vec<Arc<Server>>,
    stop: CancellationToken,
    keepers: TaskTracker,
}

impl Mcp {
    /// Begins to start the servers, and does not wait for them. Needs a Tokio runtime. Without a warden, a program that
    /// does not end when its input closes outlives us if we are killed.
    pub fn start(servers: Vec<ServerSettings>, warden: Option<Warden>) -> Arc<Self> {
        let warden = warden.map(Arc::new);
        let stop = CancellationToken::new();
        let keepers = TaskTracker::new();
        let server = |settings| Arc::new(Server::new(settings, warden.clone()));
        let servers: Vec<_> = servers.into_iter().map(server).collect();
        for server in &servers {
            keepers.spawn(keeper::keep(Arc::clone(server), stop.clone()));
        }
        keepers.close();
        Arc::new(Self { servers, stop, keepers })
    }

    /// How they stand, in the order in which they were given.
    pub fn status(&self) -> Vec<Status> {
        self.servers.iter().map(|server| server.status()).collect()
    }

    /// Waits until each server has come up or failed to, and says how they stand.
    pub async fn settled(&self) -> Vec<Status> {
        ToolSource::settled(self).await;
        self.status()
    }

    /// Ends all servers: each is asked to, then told to, then killed with everything that it has started. Takes a few
    /// seconds at most.
    pub async fn close(&self) {
        self.stop.cancel();
        self.keepers.wait().await;
    }
}

impl Drop for Mcp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl ToolSource for Mcp {
    fn tools(&self) -> Tools {
        self.servers.iter().flat_map(tool::of).collect()
    }

    async fn settled(&self) {
        for server in &self.servers {
            server.settled().await;
        }
    }

    async fn returned(&self, tool: &str) {
        let Some((name, _)) = tool.split_once("__") else { return };
        if let Some(server) = self.servers.iter().find(|server| server.settings.name == name) {
            server.up().await;
        }
    }
}
