//! `tidewire data`: the records of a running server, from a terminal.
//!
//! What is asked goes over the Rust client; here is how it is said and shown.

mod collections;
mod filter;
mod read;
mod show;
mod write;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use tidewire_client::{Client, Filter, Record};

use super::{Failure, Outcome, runtime};

/// What `tidewire data` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    action: Action,
    /// The server.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    url: String,
    /// A key, where the server has keys.
    #[arg(long, global = true, env = "TIDEWIRE_API_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    /// How many seconds an answer may take.
    #[arg(long, global = true, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
    /// Write records as JSON, one a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Show records.
    Query(read::QueryArgs),
    /// Show one record.
    Get {
        /// The collection.
        collection: String,
        /// The record's id.
        id: String,
    },
    /// Write new records: given here, or JSON lines from a file or from standard input.
    Insert(write::InsertArgs),
    /// Change members of a record; the others stay.
    Update {
        /// The collection.
        collection: String,
        /// The record's id.
        id: String,
        /// The members, as a JSON object.
        members: String,
    },
    /// Remove records.
    Delete {
        /// The collection.
        collection: String,
        /// The records' ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Show changes as they happen, over lost connections, until interrupted.
    Watch(read::WatchArgs),
    /// Write all records as JSON lines.
    Export(read::ExportArgs),
    /// Show, make and remove collections.
    #[command(subcommand)]
    Collections(collections::Action),
}

/// Which records, as a person says it.
#[derive(Debug, Clone, Args)]
struct Which {
    /// The collection.
    collection: String,
    /// Conditions, all of which hold: `age>=18`, `city=Rome`, `name~da` (contains), `name^=A` (begins), `name$=a`
    /// (ends), `city!=Oslo`; or a filter as JSON. Texts that look like a number are quoted: `zip="00100"`.
    #[arg(value_name = "CONDITION", value_parser = filter::parse)]
    conditions: Vec<Filter>,
}

impl Which {
    fn filter(self) -> (String, Option<Filter>) {
        (self.collection, self.conditions.into_iter().reduce(Filter::and))
    }
}

pub(super) fn run(args: DataArgs) -> Outcome {
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let mut builder = Client::builder(&args.url).timeout(Duration::from_secs(args.timeout));
        if let Some(key) = &args.key {
            builder = builder.key(key);
        }
        let client = builder.connect().await.map_err(|error| unreachable(&args.url, &error))?;
        act(&client, args.action, args.json).await
    });
    // A thread that reads standard input may wait for a line that never comes.
    runtime.shutdown_background();
    match outcome {
        // Who reads has gone away: `| head`.
        Err(Stop::Pipe(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Stop::Pipe(error)) => Err(error.into()),
        Err(Stop::Failed(failure)) => Err(failure),
        Ok(code) => Ok(code),
    }
}

fn unreachable(url: &str, error: &tidewire_client::Error) -> Stop {
    if error.is_unauthorized() {
        let how = "give one with --key or TIDEWIRE_API_KEY";
        return Stop::because(format!("{url} does not accept the key: {error}; {how}"));
    }
    Stop::because(format!("{url} cannot be reached: {error}; is `tidewire serve` running?"))
}

async fn act(client: &Client, action: Action, json: bool) -> Result<ExitCode, Stop> {
    match action {
        Action::Query(args) => read::query(client, args, json).await?,
        Action::Get { collection, id } => {
            let record: Record = client.find_by_id(&collection, &id).await?;
            show::record(&record, json)?;
        }
        Action::Insert(args) => return write::insert(client, args).await,
        Action::Update { collection, id, members } => {
            let members = write::object(&members)?;
            show::record(&client.update(&collection, &id, members).await?, json)?;
        }
        Action::Delete { collection, ids } => return write::delete(client, &collection, ids).await,
        Action::Watch(args) => read::watch(client, args, json).await?,
        Action::Export(args) => read::export(client, args).await?,
        Action::Collections(action) => collections::act(client, action, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a command ends early.
#[derive(Debug)]
enum Stop {
    /// Standard output, or a file, cannot be written.
    Pipe(io::Error),
    /// It could not be done.
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

impl From<tidewire_client::Error> for Stop {
    fn from(error: tidewire_client::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Stop {
    fn because(sentence: impl Into<String>) -> Self {
        Self::Failed(Failure::new(sentence))
    }
}

/// Writes a line to standard output.
fn put(line: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// A file to read from, or standard input where it is `-` or not given.
fn open(file: Option<&PathBuf>) -> Result<Box<dyn io::BufRead + Send>, Stop> {
    match file.filter(|file| file.as_os_str() != "-") {
        None => Ok(Box::new(io::BufReader::new(io::stdin()))),
        Some(file) => match std::fs::File::open(file) {
            Ok(open) => Ok(Box::new(io::BufReader::new(open))),
            Err(error) => Err(Stop::because(format!("{} cannot be read: {error}", file.display()))),
        },
    }
}
