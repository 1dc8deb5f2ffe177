//! The configured MCP servers, as the engine keeps them.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tidewire_engine::Result;
use tidewire_engine::agent::ToolSource;
use tidewire_engine::mcp::{self, Mcp, Place, ServerSettings, Standing, Status};
pub(crate) use tidewire_engine::mcp::{Warden, serve_as_warden};

use crate::config::{Approve, Config, McpServer, Rule};

/// The MCP servers of this program.
pub(crate) struct Servers(Arc<Mcp>);

impl Servers {
    /// Begins to start those that are configured, and does not wait for them.
    pub(crate) fn start(config: &Config, warden: Option<Warden>) -> Result<Self> {
        let settings = config.mcp.iter().map(|(name, server)| settings(name, server));
        Ok(Self(Mcp::start(settings.collect(), warden)))
    }

    /// Their tools.
    pub(crate) fn source(&self) -> Option<Arc<dyn ToolSource>> {
        Some(Arc::clone(&self.0) as _)
    }

    /// How each stands, in one word.
    pub(crate) fn standings(&self) -> BTreeMap<String, &'static str> {
        self.0.status().into_iter().map(|status| (status.name, status.standing.name())).collect()
    }

    /// Ends them.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// This program as the warden of what it starts, if it starts anything. `word` is what its command line is told.
pub(crate) fn warden(config: &Config, word: &str) -> Option<Warden> {
    if config.mcp.values().all(|server| server.command.is_empty()) {
        return None;
    }
    let started = std::env::current_exe().and_then(|ourselves| {
        let mut command = Command::new(ourselves);
        command.arg(word);
        Warden::start(command)
    });
    started
        .inspect_err(|error| tracing::warn!(%error, "no warden: MCP servers may outlive us if we are killed"))
        .ok()
}

/// What a look at one server found.
pub(crate) struct Look {
    pub(crate) name: String,
    /// It came up, and nothing is wrong with what it offers.
    pub(crate) well: bool,
    pub(crate) says: String,
}

/// Starts each server, sees what it offers, and ends it again.
pub(crate) async fn look(config: &Config) -> Vec<Look> {
    let Ok(servers) = Servers::start(config, None) else { return Vec::new() };
    let found = servers.0.settled().await.into_iter().map(tell).collect();
    servers.close().await;
    found
}

fn tell(status: Status) -> Look {
    let Status { name, standing, tools, asking, notes, last_words } = status;
    match standing {
        Standing::Ready => {
            let offer = format!("{tools} tools, {asking} of them ask before each call");
            Look { name, well: notes.is_empty(), says: [vec![offer], notes].concat().join("; ") }
        }
        Standing::Starting => Look { name, well: false, says: String::from("is still being started") },
        Standing::Down(why) => {
            let words = last_words.map(|words| format!("; it said: {words}")).unwrap_or_default();
            Look { name, well: false, says: format!("{why}{words}") }
        }
    }
}

fn settings(name: &str, server: &McpServer) -> ServerSettings {
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let place = match said(&server.url) {
        Some(url) => Place::Address { url, token: said(&server.token_env) },
        None => Place::Program {
            program: server.command.clone(),
            arguments: server.args.clone(),
            environment: server.env.clone(),
            passed: server.pass.clone(),
            folder: (!server.cwd.as_os_str().is_empty()).then(|| server.cwd.clone()),
        },
    };
    ServerSettings {
        tools: server.tools.clone(),
        approve: match &server.approve {
            Approve::Rule(Rule::Writes) => mcp::Approve::Writes,
            Approve::Rule(Rule::Always) => mcp::Approve::Always,
            Approve::Rule(Rule::Never) => mcp::Approve::Never,
            Approve::Tools(tools) => mcp::Approve::Only(tools.clone()),
        },
        trust_annotations: server.trust_annotations,
        idempotent: server.idempotent.clone(),
        call_limit: Duration::from_secs(server.call_seconds),
        start_limit: Duration::from_secs(server.start_seconds),
        ..ServerSettings::new(name, place)
    }
}
