//! A program that was built without MCP: it refuses to start with a configuration that has MCP servers.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;

use tidewire_engine::agent::ToolSource;
use tidewire_engine::{Error, Result};

use crate::config::Config;

const ABSENT: &str = "this program was built without MCP; leave [mcp.…] out of the configuration, or build it with the feature mcp";

pub(crate) struct Servers;

pub(crate) struct Warden;

pub(crate) fn warden(_: &Config, _: &str) -> Option<Warden> {
    None
}

pub(crate) fn serve_as_warden(_: impl BufRead) {}

impl Servers {
    pub(crate) fn start(config: &Config, _: Option<Warden>) -> Result<Self> {
        if config.mcp.is_empty() { Ok(Self) } else { Err(Error::invalid(ABSENT)) }
    }

    pub(crate) fn source(&self) -> Option<Arc<dyn ToolSource>> {
        None
    }

    pub(crate) fn standings(&self) -> BTreeMap<String, &'static str> {
        BTreeMap::new()
    }

    pub(crate) async fn close(&self) {}
}

pub(crate) struct Look {
    pub(crate) name: String,
    pub(crate) well: bool,
    pub(crate) says: String,
}

pub(crate) async fn look(config: &Config) -> Vec<Look> {
    let found = |name: &String| Look { name: name.clone(), well: false, says: ABSENT.to_owned() };
    config.mcp.keys().map(found).collect()
}
