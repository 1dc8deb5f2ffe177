//! Configuration of MCP servers: `[mcp.NAME]`, a table each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{ConfigError, is_loopback_name};

/// One MCP server: a program that we start (`command`), or an address (`url`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McpServer {
    /// The program that speaks MCP over its standard input and output.
    pub command: String,
    /// What it is called with.
    pub args: Vec<String>,
    /// Variables of its environment. Of ours it gets `PATH`, `HOME` and the like.
    pub env: BTreeMap<String, String>,
    /// Variables of our environment that it gets too, such as keys.
    pub pass: Vec<String>,
    /// The folder in which it works; empty is ours.
    pub cwd: PathBuf,
    /// The address of a server that speaks streamable HTTP.
    pub url: String,
    /// The environment variable that holds the bearer token for the address.
    pub token_env: String,
    /// The tools that are used, by the server's own names; empty is all.
    pub tools: Vec<String>,
    /// Which calls a person must agree to.
    pub approve: Approve,
    /// Whether we believe the server which of its tools only read.
    pub trust_annotations: bool,
    /// The tools whose calls may be made again after a crash.
    pub idempotent: Vec<String>,
    /// How many seconds a call has.
    pub call_seconds: u64,
    /// How many seconds the server has to come up.
    pub start_seconds: u64,
}

/// Which calls a person must agree to: one of three words, or the names of the tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "approve is \"writes\", \"always\", \"never\", or a list of tools")]
pub enum Approve {
    /// A rule for all tools.
    Rule(Rule),
    /// Calls of these tools.
    Tools(Vec<String>),
}

/// A rule for all tools of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// All calls, but those of tools that only read if the server's word for that is trusted.
    Writes,
    /// All calls.
    Always,
    /// No call.
    Never,
}

impl Default for McpServer {
    fn default() -> Self {
        Self {
            command: String::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            pass: Vec::new(),
            cwd: PathBuf::new(),
            url: String::new(),
            token_env: String::new(),
            tools: Vec::new(),
            approve: Approve::Rule(Rule::Writes),
            trust_annotations: false,
            idempotent: Vec::new(),
            call_seconds: 30,
            start_seconds: 30,
        }
    }
}

impl McpServer {
    /// Refuses what cannot work or would be unsafe.
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        let problem = check_name(name).or_else(|| self.problem());
        problem.map_or(Ok(()), |problem| Err(ConfigError(format!("mcp.{name}: {problem}"))))
    }

    fn problem(&self) -> Option<String> {
        let belong = |members: &[(&str, bool)], to: &str| {
            let stray = members.iter().find(|(_, said)| *said);
            stray.map(|(name, _)| format!("{name} belongs to {to}; leave it out"))
        };
        match (self.command.is_empty(), self.url.is_empty()) {
            (true, true) => Some(String::from("say the command that starts it, or the url where it is")),
            (false, false) => Some(String::from("say either command or url, not both")),
            (false, true) => belong(&[("token_env", !self.token_env.is_empty())], "url"),
            (true, false) => self.problem_of_address().or_else(|| belong(&self.of_a_command(), "command")),
        }
        .or_else(|| self.problem_of_seconds())
    }

    fn of_a_command(&self) -> [(&'static str, bool); 4] {
        [
            ("args", !self.args.is_empty()),
            ("env", !self.env.is_empty()),
            ("pass", !self.pass.is_empty()),
            ("cwd", !self.cwd.as_os_str().is_empty()),
        ]
    }

    fn problem_of_address(&self) -> Option<String> {
        let Some(url) = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
        else {
            return Some(format!("{:?} is no address; write https://HOST/PATH", self.url));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Some(String::from("a password does not belong into an address; use token_env"));
        }
        let near = match url.host() {
            Some(Host::Domain(name)) => is_loopback_name(name),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let in_plain_text = url.scheme() == "http" && !near && !self.token_env.is_empty();
        in_plain_text.then(|| String::from("the token would travel in plain text; use https"))
    }

    fn problem_of_seconds(&self) -> Option<String> {
        let seconds = [("call_seconds", self.call_seconds), ("start_seconds", self.start_seconds)];
        let zero = seconds.iter().find(|(_, seconds)| *seconds == 0);
        zero.map(|(name, _)| format!("{name} must be at least 1"))
    }
}

/// A server's name becomes part of its tools' names.
fn check_name(name: &str) -> Option<String> {
    let clean = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let fits = clean && (1..=24).contains(&name.len());
    (!fits).then(|| String::from("a server's name has 1 to 24 of the characters a-z 0-9 -"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn config(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        config.check().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_is_a_program_or_an_address() {
        let config = config(
            "[mcp.git]\ncommand = \"mcp-server-git\"\nargs = [\"--repository\", \".\"]\nenv = { A = \"b\" }\n\
             approve = [\"git_commit\"]\n\
             [mcp.far-away]\nurl = \"https://mcp.example.com/mcp\"\ntoken_env = \"FAR_TOKEN\"\napprove = \"always\"\n\
             trust_annotations = true\n",
        )
        .unwrap();
        assert_eq!(config.mcp["git"].approve, Approve::Tools(vec!["git_commit".into()]));
        assert_eq!(config.mcp["git"].env["A"], "b");
        assert_eq!(config.mcp["far-away"].approve, Approve::Rule(Rule::Always));
        assert_eq!(config.mcp["far-away"].call_seconds, 30);
        assert_eq!(McpServer::default().approve, Approve::Rule(Rule::Writes));
    }

    #[track_caller]
    fn refused(members: &str, expected: &str) {
        assert_eq!(config(&format!("[mcp.x]\n{members}\n")).unwrap_err(), expected);
    }

    #[test]
    fn what_cannot_work_is_refused_in_one_sentence() {
        refused("", "mcp.x: say the command that starts it, or the url where it is");
        refused("command = \"a\"\nurl = \"https://b\"", "mcp.x: say either command or url, not both");
        refused("command = \"a\"\ntoken_env = \"T\"", "mcp.x: token_env belongs to url; leave it out");
        refused("url = \"https://a\"\nargs = [\"b\"]", "mcp.x: args belongs to command; leave it out");
        refused("url = \"a.example\"", "mcp.x: \"a.example\" is no address; write https://HOST/PATH");
        refused(
            "url = \"ftp://a.example\"",
            "mcp.x: \"ftp://a.example\" is no address; write https://HOST/PATH",
        );
        refused(
            "url = \"https://u:p@a\"",
            "mcp.x: a password does not belong into an address; use token_env",
        );
        let plain = "mcp.x: the token would travel in plain text; use https";
        refused("url = \"http://a.example/mcp\"\ntoken_env = \"T\"", plain);
        refused("command = \"a\"\ncall_seconds = 0", "mcp.x: call_seconds must be at least 1");
        assert!(config("[mcp.x]\nurl = \"http://127.0.0.1:9/mcp\"\ntoken_env = \"T\"\n").is_ok());
        assert!(config("[mcp.x]\nurl = \"http://[::1]:9/mcp\"\ntoken_env = \"T\"\n").is_ok());
        let unknown = config("[mcp.x]\ncomand = \"a\"\n").unwrap_err();
        assert!(unknown.starts_with("unknown field `comand`, expected one of `command`"), "{unknown}");
        let word = config("[mcp.x]\ncommand = \"a\"\napprove = \"sometimes\"\n").unwrap_err();
        assert_eq!(word, "approve is \"writes\", \"always\", \"never\", or a list of tools");
        let name = config("[mcp.My_Git]\ncommand = \"a\"\n").unwrap_err();
        assert_eq!(name, "mcp.My_Git: a server's name has 1 to 24 of the characters a-z 0-9 -");
    }
}
