//! `collections list | create | delete`.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Subcommand;
use tidewire_client::{Client, CollectionSchema};

use super::{Stop, open, put};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Action {
    /// Show their names.
    List,
    /// Make one. Without a schema it takes any record.
    Create {
        /// Its name.
        name: String,
        /// What its records must be: a file with the schema as JSON, `-` is standard input.
        #[arg(long, value_name = "FILE")]
        schema: Option<PathBuf>,
    },
    /// Remove one with its records.
    Delete {
        /// Its name.
        name: String,
        /// Yes, with all its records.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn act(client: &Client, action: Action, json: bool) -> Result<(), Stop> {
    match action {
        Action::List => {
            let names = client.get_collections().await?;
            names.iter().try_for_each(|name| if json { put(serde_json::json!(name)) } else { put(name) })?;
        }
        Action::Create { name, schema } => {
            let schema = schema.map(|file| read_schema(&file)).transpose()?;
            client.create_collection(&name, schema).await?;
        }
        Action::Delete { name, yes: false } => {
            return Err(Stop::because(format!("{name} would go with all its records; say it with --yes")));
        }
        Action::Delete { name, yes: true } => client.delete_collection(&name).await?,
    }
    Ok(())
}

fn read_schema(file: &PathBuf) -> Result<CollectionSchema, Stop> {
    let mut text = String::new();
    open(Some(file))?.read_to_string(&mut text)?;
    serde_json::from_str(&text)
        .map_err(|error| Stop::because(format!("{} is no schema: {error}", file.display())))
}
