//! Configuration: one struct, filled from flags, environment, file and defaults, in this order of weight.
//!
//! The names and types of all settings come from [`Config::default`] alone: what a file may say, which environment
//! variables exist, and what the example file must mention follow from it. What a setting does is said here; how
//! the server acts on it is said where it acts.

mod mcp;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use mcp::{Approve, McpServer, Rule};

/// Environment variables that belong to the server begin with this.
pub const ENV_PREFIX: &str = "TIDEWIRE_";

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The folder that holds everything that is kept. One server owns it at a time.
    pub data: PathBuf,
    /// Admin keys, as they are or as `sha256:` and 64 hex digits. Without any, whoever reaches a loopback address is admin.
    pub api_keys: Vec<String>,
    /// Names under which the server is reached, beside the loopback names; a request for another name is refused.
    pub hosts: Vec<String>,
    /// Web origins that may open sockets, beside the page's own: `https://app.example.com`.
    pub origins: Vec<String>,
    /// How many seconds a token opens the door that stands for a key.
    pub token_seconds: u64,
    /// A TLS proxy stands in front. Needed to listen beyond loopback, because keys must not travel in plain text.
    pub behind_proxy: bool,
    /// Who answers: `embedded`, `scripted`, or a provider and its model (`openai/gpt-5-mini`).
    pub model: String,
    /// The folder of the embedded model's files; empty is the user's cache folder.
    pub models: PathBuf,
    /// How many seconds running answers get to finish when the server is asked to end.
    pub drain_seconds: u64,
    /// How the log is written to standard error.
    pub log: LogFormat,
    /// Which agent answers in which dialect.
    pub agents: AgentChoice,
    /// The provider's access.
    pub provider: Provider,
    /// What a client may use.
    pub limits: Limits,
    /// Programs whose tools the agent may call, by name.
    pub mcp: BTreeMap<String, McpServer>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which agent answers where neither a message nor its chat names one: `explorer` or `assistant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentChoice {
    /// On `/ws/{session_id}`.
    pub session_chat: String,
    /// On `/chat/ws`.
    pub chat_service: String,
    /// On `/api/ws` and `/api/chat/…`.
    pub live_data: String,
}

impl Default for AgentChoice {
    fn default() -> Self {
        let (explorer, assistant) = (String::from("explorer"), String::from("assistant"));
        Self { session_chat: explorer.clone(), chat_service: assistant, live_data: explorer }
    }
}

impl AgentChoice {
    /// The agent of a dialect.
    pub fn of(&self, dialect: &str) -> &str {
        match dialect {
            "session_chat" => &self.session_chat,
            "chat_service" => &self.chat_service,
            _ => &self.live_data,
        }
    }
}

/// How a model provider is reached. Keys are never written here: they are read from an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    /// Another address than the provider's own; empty is its own.
    pub base_url: String,
    /// The environment variable with the key; empty is the provider's usual one (`OPENAI_API_KEY`).
    pub key_env: String,
    /// The version of the Azure OpenAI API; set it to speak to an Azure deployment.
    pub azure_api_version: String,
    /// The model's context window in tokens; 0 is unknown.
    pub context_window: u64,
}

/// What a client may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest message in bytes. A dialect may take less: a chat takes 1 MiB.
    pub message_bytes: usize,
    /// How many chat messages a session may send at once.
    pub message_burst: u32,
    /// After so many milliseconds one more may be sent.
    pub message_refill_ms: u64,
    /// How many WebSocket connections the server holds.
    pub connections: usize,
    /// How many of them, and of streams over HTTP, may come from one address (of IPv6: one /64); 0 is any number. This
    /// machine is not counted.
    pub connections_per_address: usize,
    /// How many of them one key may hold in one name; 0 is any number. Without keys nobody is counted.
    pub connections_per_identity: usize,
    /// How many pings and pongs a client may send in a second.
    pub control_frames: u32,
    /// How many chats one connection may follow.
    pub follows: usize,
    /// How many watches one connection may have.
    pub watches: usize,
    /// How many seconds a client has to send its request's headers.
    pub handshake_seconds: u64,
    /// How many seconds a client has to send its request's body.
    pub body_seconds: u64,
    /// A client that takes nothing for so many seconds while something waits for it is cut off.
    pub stall_seconds: u64,
    /// How many seconds an answer has to begin; twice as long may pass between two signs of life.
    pub answer_seconds: u64,
    /// How many seconds a tool has.
    pub tool_seconds: u64,
    /// How many seconds a client has for a call of a tool that it brought.
    pub client_tool_seconds: u64,
    /// How many seconds a person has to agree to a call.
    pub approval_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("./tidewire-data"),
            api_keys: Vec::new(),
            hosts: Vec::new(),
            origins: Vec::new(),
            token_seconds: 24 * 60 * 60,
            behind_proxy: false,
            model: String::from("embedded"),
            models: PathBuf::new(),
            drain_seconds: 20,
            log: LogFormat::Text,
            agents: AgentChoice::default(),
            provider: Provider::default(),
            limits: Limits::default(),
            mcp: BTreeMap::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 * 1024 * 1024,
            message_burst: 20,
            message_refill_ms: 3000,
            connections: 10_000,
            connections_per_address: 1000,
            connections_per_identity: 1000,
            control_frames: 100,
            follows: 256,
            watches: 64,
            handshake_seconds: 10,
            body_seconds: 60,
            stall_seconds: 10,
            answer_seconds: 30,
            tool_seconds: 10,
            client_tool_seconds: 60,
            approval_seconds: 300,
        }
    }
}

impl Config {
    /// Reads the file, if one is named, and lays the environment over it.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match file {
            Some(path) => read_file(path)?,
            None => Table::new(),
        };
        overlay(&mut table, environment)?;
        let config = Value::Table(table).try_into::<Self>();
        config.map_err(|error| ConfigError(format!("the configuration does not hold: {}", error.message())))
    }

    /// How long running answers get when the server is asked to end.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Refuses combinations that would be unsafe or cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_exposure()?;
        self.check_keys()?;
        self.check_origins()?;
        self.check_tokens()?;
        self.mcp.iter().try_for_each(|(name, server)| server.check(name))?;
        self.limits.check()
    }

    /// Refuses to listen beyond loopback while there is no key, here or in the data folder.
    pub fn check_access(&self, keyed: bool) -> Result<(), ConfigError> {
        let ip = self.listen.ip();
        if keyed || ip.is_loopback() {
            return Ok(());
        }
        Err(ConfigError(format!(
            "without keys everybody who reaches {ip} would be admin; make one with `tidewire keys add --admin`, \
             set api_keys (or TIDEWIRE_API_KEYS), or listen on 127.0.0.1"
        )))
    }

    fn check_exposure(&self) -> Result<(), ConfigError> {
        let ip = self.listen.ip();
        if ip.is_loopback() {
            return Ok(());
        }
        if !self.behind_proxy {
            return Err(ConfigError(format!(
                "keys sent to {ip} would travel in plain text; put a TLS proxy in front and set \
                 behind_proxy = true, or listen on 127.0.0.1"
            )));
        }
        if self.hosts.is_empty() {
            return Err(ConfigError(String::from(
                "say in hosts under which names the proxy forwards, for example [\"chat.example.com\"]",
            )));
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), ConfigError> {
        for (at, key) in self.api_keys.iter().enumerate() {
            let problem = match key.strip_prefix("sha256:") {
                Some(hex) if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    "is not sha256: and 64 hex digits"
                }
                None if key.len() < 16 => {
                    "is shorter than 16 characters; `openssl rand -hex 24` makes a good one"
                }
                Some(_) | None => continue,
            };
            return Err(ConfigError(format!("api_keys: key {} {problem}", at + 1)));
        }
        Ok(())
    }

    fn check_tokens(&self) -> Result<(), ConfigError> {
        let shortest = crate::auth::http::MIN_TOKEN_SECONDS;
        if self.token_seconds >= shortest {
            return Ok(());
        }
        Err(ConfigError(format!("token_seconds must be at least {shortest}")))
    }

    fn check_origins(&self) -> Result<(), ConfigError> {
        let fits = |origin: &String| {
            origin.split_once("://").is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '*', '?', ' '])
            })
        };
        match self.origins.iter().find(|origin| !fits(origin)) {
            Some(origin) => Err(ConfigError(format!(
                "origins: {origin:?} is not an origin; write scheme and host, for example https://app.example.com"
            ))),
            None => Ok(()),
        }
    }
}

impl Limits {
    /// How long a client may take nothing while something waits for it.
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }

    /// How long a client has to send its request's headers.
    pub fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds)
    }

    /// How long a client has to send its request's body.
    pub fn body(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let positive = [
            ("message_bytes", self.message_bytes > 0),
            ("message_burst", self.message_burst > 0),
            ("message_refill_ms", self.message_refill_ms > 0),
            ("connections", self.connections > 0),
            ("control_frames", self.control_frames > 0),
            ("follows", self.follows > 0),
            ("watches", self.watches > 0),
            ("handshake_seconds", self.handshake_seconds > 0),
            ("body_seconds", self.body_seconds > 0),
            ("stall_seconds", self.stall_seconds > 0),
            ("answer_seconds", self.answer_seconds > 0),
            ("tool_seconds", self.tool_seconds > 0),
            ("client_tool_seconds", self.client_tool_seconds > 0),
            ("approval_seconds", self.approval_seconds > 0),
        ];
        match positive.iter().find(|(_, fits)| !fits) {
            Some((name, _)) => Err(ConfigError(format!("limits.{name} must be at least 1"))),
            None => Ok(()),
        }
    }
}

/// What is wrong with the configuration, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with its sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Whether an address is reached from this machine alone.
pub fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.eq_ignore_ascii_case("localhost");
    name || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError(format!("cannot read the configuration file {}: {error}", path.display()))
    })?;
    parse_file(path, &text)
}

/// The file is judged by itself first, so that an error can name its line.
fn parse_file(path: &Path, text: &str) -> Result<Table, ConfigError> {
    let judged = toml::from_str::<Config>(text);
    judged.and_then(|_| toml::from_str::<Table>(text)).map_err(|error| {
        let line =
            error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let sentence = error.message().lines().next().unwrap_or_default();
        ConfigError(format!("{}:{line}: {sentence}", path.display()))
    })
}

/// Writes what the environment says over what the file said.
fn overlay(
    table: &mut Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    let known = settings();
    for (name, text) in environment {
        let Some(setting) = known.iter().find(|setting| setting.variable == name) else { continue };
        let value = read_variable(setting, &text)?;
        let target = match &setting.section {
            Some(section) => {
                let entry = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
                entry.as_table_mut()
            }
            None => Some(&mut *table),
        };
        if let Some(target) = target {
            target.insert(setting.key.clone(), value);
        }
    }
    Ok(())
}

/// One setting, as the default configuration knows it.
#[derive(Debug, Clone)]
struct Setting {
    section: Option<String>,
    key: String,
    variable: String,
    default: Value,
}

fn settings() -> Vec<Setting> {
    let Ok(defaults) = Table::try_from(Config::default()) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in defaults {
        match value {
            Value::Table(section) => {
                found.extend(section.into_iter().map(|(inner, value)| setting(Some(&key), inner, value)));
            }
            value => found.push(setting(None, key, value)),
        }
    }
    found
}

fn setting(section: Option<&str>, key: String, default: Value) -> Setting {
    let path = section.map_or_else(|| key.clone(), |section| format!("{section}_{key}"));
    let variable = format!("{ENV_PREFIX}{}", path.to_ascii_uppercase());
    Setting { section: section.map(str::to_owned), key, variable, default }
}

/// An environment variable has the type of the setting's default; lists are separated by commas.
fn read_variable(setting: &Setting, text: &str) -> Result<Value, ConfigError> {
    let wrong = |what: &str| ConfigError(format!("{}: {text:?} is not {what}", setting.variable));
    match &setting.default {
        Value::Integer(_) => text.parse().map(Value::Integer).map_err(|_| wrong("a whole number")),
        Value::Boolean(_) => text.parse().map(Value::Boolean).map_err(|_| wrong("true or false")),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        Value::String(_) | Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
            Ok(Value::String(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = include_str!("../tidewire.example.toml");

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    fn error_in(text: &str) -> String {
        parse_file(Path::new("t.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_example_file_says_every_setting_with_its_default() {
        let table = parse_file(Path::new("tidewire.example.toml"), EXAMPLE).unwrap();
        let config: Config = Value::Table(table.clone()).try_into().unwrap();
        assert_eq!(config, Config::default());
        for setting in settings() {
            let section = setting.section.as_ref().map_or(Some(&table), |name| table[name].as_table());
            assert!(section.unwrap().contains_key(&setting.key), "{} is missing", setting.variable);
        }
    }

    #[test]
    fn the_guide_names_every_setting() {
        let guide = include_str!("../../../docs/guide/configuration.md");
        for setting in settings() {
            assert!(guide.contains(&format!("`{}`", setting.variable)), "{} is missing", setting.variable);
        }
    }

    #[test]
    fn the_environment_outweighs_the_file() {
        let mut table = parse_file(
            Path::new("t.toml"),
            "model = \"scripted\"\ndrain_seconds = 3\n[limits]\nmessage_burst = 5\n",
        )
        .unwrap();
        let said = [
            ("TIDEWIRE_DRAIN_SECONDS", "7"),
            ("TIDEWIRE_API_KEYS", "0123456789abcdef, fedcba9876543210"),
            ("TIDEWIRE_LIMITS_CONNECTIONS", "12"),
            ("TIDEWIRE_BEHIND_PROXY", "true"),
            ("HOME", "/nowhere"),
        ];
        overlay(&mut table, env(&said)).unwrap();
        let config: Config = Value::Table(table).try_into().unwrap();
        assert_eq!(config.model, "scripted");
        assert_eq!(config.drain_seconds, 7);
        assert_eq!(config.api_keys, ["0123456789abcdef", "fedcba9876543210"]);
        assert_eq!((config.limits.connections, config.limits.message_burst), (12, 5));
        assert!(config.behind_proxy);
    }

    #[test]
    fn errors_name_file_and_line() {
        assert!(error_in("model = \"x\"\nlissten = 1\n").starts_with("t.toml:2: unknown field `lissten`"));
        assert!(error_in("\n\n[limits]\nmessage_bytes = \"many\"\n").starts_with("t.toml:4: "));
        assert!(error_in("model = \n").starts_with("t.toml:1: "));
        let wrong = Config::load(None, env(&[("TIDEWIRE_DRAIN_SECONDS", "soon")])).unwrap_err();
        assert_eq!(wrong.to_string(), "TIDEWIRE_DRAIN_SECONDS: \"soon\" is not a whole number");
    }

    #[test]
    fn unsafe_combinations_are_refused() {
        let open = Config { listen: "0.0.0.0:80".parse().unwrap(), ..Config::default() };
        assert!(open.check_access(false).unwrap_err().to_string().contains("set api_keys"));
        assert_eq!(open.check_access(true), Ok(()));
        assert_eq!(Config::default().check_access(false), Ok(()));
        let keyed = Config { api_keys: vec!["0123456789abcdef".into()], ..open };
        assert!(keyed.check().unwrap_err().to_string().contains("plain text"));
        let proxied = Config { behind_proxy: true, ..keyed };
        assert!(proxied.check().unwrap_err().to_string().contains("hosts"));
        let named = Config { hosts: vec!["chat.example.com".into()], ..proxied };
        assert_eq!(named.check(), Ok(()));
        let short = Config { api_keys: vec!["secret".into()], ..Config::default() };
        let refusal = short.check().unwrap_err().to_string();
        assert!(refusal.contains("16 characters") && !refusal.contains("secret"), "{refusal}");
        let fleeting = Config { token_seconds: 59, ..Config::default() };
        assert!(fleeting.check().is_err());
        let wide = Config { origins: vec!["https://*.example.com".into()], ..Config::default() };
        assert!(wide.check().is_err());
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn loopback_names_are_known() {
        for name in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["localhost.evil.com", "example.com", "10.0.0.1", ""] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    proptest! {
        /// Whatever a file says is a configuration, or one sentence says what is wrong in which line.
        #[test]
        fn any_file_is_read_or_refused_in_a_sentence(
            lines in proptest::collection::vec(prop_oneof![
                proptest::sample::select(EXAMPLE.lines().collect::<Vec<_>>()).prop_map(|line| line.trim_start_matches("# ").to_owned()),
                ".{0,30}",
                "[a-z_]{1,12} = (-?[0-9]{1,20}|\"[a-zé]{0,5}\"|\\[\\]|\\{\\}|true|1e400|\"\"\")",
                "\\[[a-z_.]{1,10}\\]?\\]",
            ], 0..6),
        ) {
            let text = lines.join("\n");
            if let Err(error) = parse_file(Path::new("t.toml"), &text) {
                let said = error.to_string();
                let line = said.strip_prefix("t.toml:").and_then(|rest| rest.split_once(": ")?.0.parse::<usize>().ok());
                prop_assert!(line.is_some_and(|line| (1..=text.lines().count() + 1).contains(&line)), "{said:?}");
                prop_assert!(!said.contains('\n') && !said.ends_with(": "), "{said:?}");
            }
        }

        /// The same of any variable.
        #[test]
        fn any_variable_is_read_or_refused_in_a_sentence(
            which in any::<proptest::sample::Index>(),
            text in prop_oneof![".{0,20}", any::<i64>().prop_map(|number| number.to_string()), "[a-z:/.,*]{0,20}"],
        ) {
            let known = settings();
            let variable = which.get(&known).variable.as_str();
            if let Err(error) = Config::load(None, env(&[(variable, &text)])) {
                let said = error.to_string();
                prop_assert!(!said.is_empty() && !said.contains('\n'), "{variable}={text:?}: {said:?}");
            }
        }
    }
}
