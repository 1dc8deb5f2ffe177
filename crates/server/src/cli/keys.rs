//! `tidewire keys`: makes, shows and revokes API keys.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tidewire_engine::{Error, Result};

use super::{FolderArgs, Outcome, runtime, say};
use crate::auth::remote::Keys;
use crate::auth::{Access, KeyInfo, NewKey};

/// What `tidewire keys` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Make a key and write it to standard output, this once.
    Add(AddArgs),
    /// Show what is known of all keys; never the keys.
    List,
    /// Revoke a key: it opens nothing any more, and what it holds open is closed.
    Revoke {
        /// The key's id, as the list shows it.
        id: String,
    },
    /// Make a new secret for tokens: all that were given out are void.
    Rotate,
}

#[derive(Debug, Clone, Args)]
struct AddArgs {
    /// It may do everything.
    #[arg(long, conflicts_with = "grant")]
    admin: bool,
    /// What it may do with a collection: `orders:read` or `orders:write`; writing includes reading. The key-value
    /// store is `_kv`. May be given several times; without any the key is for chats alone.
    #[arg(long, value_name = "COLLECTION:read|write", value_parser = read_grant)]
    grant: Vec<(String, Access)>,
    /// In whose name it speaks: who owns the chats [default: admin for an admin key, else a name of its own].
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
}

fn read_grant(text: &str) -> std::result::Result<(String, Access), String> {
    match text.rsplit_once(':') {
        Some((collection, "read")) => Ok((collection.to_owned(), Access::Read)),
        Some((collection, "write")) => Ok((collection.to_owned(), Access::Write)),
        _ => Err(String::from("write a collection, a colon, and read or write: orders:read")),
    }
}

impl From<AddArgs> for NewKey {
    fn from(args: AddArgs) -> Self {
        let AddArgs { admin: is_admin, grant, subject, label } = args;
        let mut new = Self { label, subject, is_admin, ..Self::default() };
        for (collection, access) in grant {
            let list = new.permissions.entry(collection).or_default();
            if !list.contains(&access) {
                list.push(access);
            }
        }
        new
    }
}

pub(super) fn run(args: KeysArgs) -> Outcome {
    let data = args.folder.load()?.data;
    runtime()?.block_on(async {
        let keys = Keys::open(&data, args.folder.key).await?;
        let done = act(&keys, args.action).await;
        keys.close().await.and(done)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn act(keys: &Keys, action: Action) -> Result<()> {
    match action {
        Action::Add(args) => add(keys, args.into()).await,
        Action::List => keys.list().await.map(|list| table(&list).iter().for_each(say)),
        Action::Revoke { id } => {
            keys.revoke(&id).await.map(|info| say(format_args!("the key {} is revoked", info.id)))
        }
        Action::Rotate => keys.rotate().await.map(|()| say("all tokens are void; programs ask for others")),
    }
}

/// The key alone goes to standard output, so that it can be taken from there.
async fn add(keys: &Keys, new: NewKey) -> Result<()> {
    let (key, info) = keys.add(new).await?;
    let may = Some(info.shown_grants()).filter(|grants| !grants.is_empty());
    let may = may.unwrap_or_else(|| String::from("chats only"));
    let note = format!("{} ({may}, subject {}); the key is shown only now:", info.id, info.subject);
    let written = writeln!(std::io::stderr(), "{note}").and_then(|()| writeln!(std::io::stdout(), "{key}"));
    written.map_err(|cause| {
        Error::unavailable(format!("the key {} was made and could not be shown; revoke it", info.id))
            .caused_by(cause)
    })
}

const HEAD: [&str; 7] = ["ID", "LABEL", "SUBJECT", "GRANTS", "CREATED", "LAST USED", "REVOKED"];

/// The lines of the list, with columns as wide as they need to be.
fn table(list: &[KeyInfo]) -> Vec<String> {
    let rows: Vec<[String; 7]> =
        std::iter::once(HEAD.map(String::from)).chain(list.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(info: &KeyInfo) -> [String; 7] {
    let or_dash = |text: &str| if text.is_empty() { String::from("-") } else { text.to_owned() };
    [
        info.id.clone(),
        or_dash(&info.label),
        info.subject.clone(),
        or_dash(&info.shown_grants()),
        minute(info.created_at.as_deref()),
        minute(info.last_used_at.as_deref()),
        minute(info.revoked_at.as_deref()),
    ]
}

/// `2026-11-21 14:28` of an RFC 3339 time.
fn minute(at: Option<&str>) -> String {
    at.and_then(|at| at.get(..16)).map_or_else(|| String::from("-"), |at| at.replace('T', " "))
}
