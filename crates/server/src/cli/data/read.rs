//! `query`, `watch` and `export`.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use clap::Args;
use tidewire_client::{Client, Notice, Query, Record, SubscribeOptions};

use super::{Stop, Which, put, show};

/// Records that an export asks for at once.
const PAGE: u64 = 1000;

#[derive(Debug, Clone, Args)]
pub(super) struct QueryArgs {
    #[command(flatten)]
    which: Which,
    /// In the order of this member; `-age` is the largest first. May be given several times.
    #[arg(long, value_name = "MEMBER", allow_hyphen_values = true)]
    sort: Vec<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u64,
    /// After so many.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Only these members, and the id.
    #[arg(long, value_name = "MEMBER,…", value_delimiter = ',')]
    select: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    which: Which,
    /// Also what happened since this offset; 0 is all that the server's log has.
    #[arg(long, value_name = "OFFSET")]
    after: Option<u64>,
    /// Leave after so many changes.
    #[arg(long, value_name = "CHANGES")]
    count: Option<usize>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    which: Which,
    /// Into this file [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn question(which: Which) -> Query {
    let (collection, filter) = which.filter();
    match filter {
        Some(filter) => Query::new(collection).filter(filter),
        None => Query::new(collection),
    }
}

pub(super) async fn query(client: &Client, args: QueryArgs, json: bool) -> Result<(), Stop> {
    let mut query = question(args.which).limit(args.limit).skip(args.skip);
    for member in args.sort {
        query = match member.strip_prefix('-') {
            Some(member) => query.descending(member),
            None => query.ascending(member),
        };
    }
    if !args.select.is_empty() {
        query = query.select(args.select);
    }
    let records: Vec<Record> = client.query_all(query, |_| ()).await?;
    show::records(&records, json)?;
    Ok(())
}

pub(super) async fn watch(client: &Client, args: WatchArgs, json: bool) -> Result<(), Stop> {
    let (collection, filter) = args.which.filter();
    let options = SubscribeOptions { filter, after_offset: args.after };
    let mut changes = client.subscribe_with(&collection, options).await?;
    let mut left = args.count.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(notice) = changes.next().await else { break };
        match notice? {
            Notice::Changes(told) => {
                show::changes(&told, json)?;
                left = left.saturating_sub(told.ids.len());
            }
            Notice::Gap { offset } => {
                note(&format!("older changes are gone; all records at offset {offset} follow"))
            }
            Notice::Snapshot { records, .. } => {
                records.iter().try_for_each(|record| put(show::line(record)))?
            }
            Notice::Schema { version, .. } => note(&format!("the schema has version {version} now")),
            _ => {}
        }
    }
    Ok(())
}

fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

pub(super) async fn export(client: &Client, args: ExportArgs) -> Result<(), Stop> {
    let mut pages = client.pages::<Record>(question(args.which), PAGE);
    let mut out = output(args.output.as_ref())?;
    let bar = show::counter("records");
    while let Some(page) = pages.next().await {
        for record in page? {
            writeln!(out, "{}", show::line(&record))?;
        }
        bar.set_position(pages.read());
    }
    out.flush()?;
    bar.finish_and_clear();
    note(&format!("{} records", indicatif::HumanCount(pages.read())));
    Ok(())
}

fn output(file: Option<&PathBuf>) -> Result<Box<dyn io::Write>, Stop> {
    let Some(file) = file else { return Ok(Box::new(BufWriter::new(io::stdout()))) };
    match File::create(file) {
        Ok(open) => Ok(Box::new(BufWriter::new(open))),
        Err(error) => Err(Stop::because(format!("{} cannot be written: {error}", file.display()))),
    }
}
