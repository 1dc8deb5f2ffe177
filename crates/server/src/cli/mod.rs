//! The command line: what each subcommand is called and takes. What it does lies beside this file.

mod backup;
mod chat;
mod data;
mod doctor;
mod import;
mod ingest;
mod keys;
mod screen;
mod serve;

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// Live data and streaming agents over WebSocket.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Listen, and serve until asked to end.
    Serve(ServeArgs),
    /// Talk to a running server from this terminal.
    Chat(chat::ChatArgs),
    /// Read, write and watch the records of a running server.
    Data(data::DataArgs),
    /// Turn a file's rows into records, each exactly once.
    Import(import::ImportArgs),
    /// Read documents, so that questions are answered from them.
    Ingest(ingest::IngestArgs),
    /// What `ingest` does with a PDF, in a process of its own.
    #[command(name = crate::ingest::pdf::CHILD, hide = true)]
    ExtractPdf {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        limits: crate::ingest::Limits,
    },
    /// Copy the data folder, also while a server uses it.
    Backup(backup::BackupArgs),
    /// Make, show and revoke API keys.
    Keys(keys::KeysArgs),
    /// Check configuration, data folder, model files and page; the exit code says whether all is well.
    Doctor(ConfigArgs),
    /// Ends programs that a killed server has left; the server starts this itself.
    #[command(name = WARDEN, hide = true)]
    Warden,
}

/// What the server tells its own program to be the warden of the MCP servers.
pub(crate) const WARDEN: &str = "mcp-warden";

/// Where the configuration comes from, and what flags say on top of it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// The folder that holds everything that is kept [default: ./tidewire-data].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Who answers: embedded, scripted, or a provider and its model (openai/gpt-5-mini).
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
}

/// Which data folder a command works on, and what it shows to a server that owns it.
#[derive(Debug, Clone, Args)]
pub(crate) struct FolderArgs {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds everything that is kept [default: ./tidewire-data].
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// An API key, if a running server owns the folder and has keys; backups and keys take an admin's.
    #[arg(long, global = true, env = "TIDEWIRE_API_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

impl FolderArgs {
    /// As [`ConfigArgs::load`].
    fn load(&self) -> Result<Config, ConfigError> {
        let (config, data) = (self.config.clone(), self.data.clone());
        ConfigArgs { config, data, ..ConfigArgs::default() }.load()
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Load the demo catalogue, once.
    #[arg(long)]
    demo: bool,
}

impl ConfigArgs {
    /// The configuration as file, environment and flags make it.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        let environment = std::env::vars_os();
        let readable = environment.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let mut config = Config::load(self.config.as_deref(), readable)?;
        let said = self.clone();
        config.listen = said.listen.unwrap_or(config.listen);
        config.data = said.data.unwrap_or(config.data);
        config.model = said.model.unwrap_or(config.model);
        config.check()?;
        Ok(config)
    }
}

/// Why a command could not do its work, in one sentence for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    /// A failure with its sentence.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Chat(args) => chat::run(args),
        Command::Data(args) => data::run(args),
        Command::Import(args) => import::run(args),
        Command::Ingest(args) => ingest::run(args),
        Command::ExtractPdf { file, limits } => Ok(crate::ingest::extract::run(&file, limits)),
        Command::Backup(args) => backup::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Warden => {
            crate::mcp::serve_as_warden(std::io::stdin().lock());
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|failure| {
        let _ = writeln!(std::io::stderr(), "tidewire: {failure}");
        ExitCode::FAILURE
    })
}

/// Writes a line to standard output. A reader that has gone away (`| head`) is no failure.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The runtime of a command.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure(format!("the asynchronous runtime does not start: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_flag_outweighs_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nmodel = \"scripted\"\n").unwrap();
        let listen = Some("127.0.0.1:2".parse().unwrap());
        let args = ConfigArgs { config: Some(file), listen, ..ConfigArgs::default() };
        let config = args.load().unwrap();
        assert_eq!((config.listen.port(), config.model.as_str()), (2, "scripted"));
    }
}
