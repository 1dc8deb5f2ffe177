//! `tidewire doctor`: looks at everything that `serve` needs, and says what to do about what is not well.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Status;
use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::{self, Inspection, Sqlite};
use tidewire_engine::{Code, Error};

use super::{ConfigArgs, Outcome, runtime, say};
use crate::auth::Keyring;
use crate::config::Config;
use crate::mcp::Look;

/// How well one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// As it should be.
    Well,
    /// It works, but with less than it could.
    Less,
    /// `serve` would fail.
    Broken,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Well => "ok",
            Self::Less => "note",
            Self::Broken => "FAIL",
        })
    }
}

struct Finding {
    what: Cow<'static, str>,
    health: Health,
    says: String,
}

pub(super) fn run(args: &ConfigArgs) -> Outcome {
    let findings = match args.load() {
        Ok(config) => runtime()?.block_on(look(&config)),
        Err(error) => vec![finding("configuration", Health::Broken, error.to_string())],
    };
    for Finding { what, health, says } in &findings {
        say(format_args!("{:<5} {what:<14} {says}", health.to_string()));
    }
    let broken = findings.iter().any(|finding| finding.health == Health::Broken);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn look(config: &Config) -> Vec<Finding> {
    let well = format!("model {:?}, listens on {}", config.model, config.listen);
    let mut findings = vec![finding("configuration", Health::Well, well), look_at_address(config).await];
    findings.extend(look_at_data(config).await);
    findings.extend([look_at_model(config).await, look_at_page()]);
    findings.extend(crate::mcp::look(config).await.into_iter().map(told_by_mcp));
    findings
}

fn finding(what: impl Into<Cow<'static, str>>, health: Health, says: impl Into<String>) -> Finding {
    Finding { what: what.into(), health, says: says.into() }
}

/// The server runs without an MCP server that does not.
fn told_by_mcp(look: Look) -> Finding {
    let health = if look.well { Health::Well } else { Health::Less };
    finding(format!("mcp {}", look.name), health, look.says)
}

async fn look_at_address(config: &Config) -> Finding {
    match tokio::net::TcpListener::bind(config.listen).await {
        Ok(_) => finding("address", Health::Well, format!("{} is free", config.listen)),
        Err(_) if sqlite::owner_address(&config.data).is_some() => {
            finding("address", Health::Well, format!("{} is in use by the running server", config.listen))
        }
        Err(error) => finding(
            "address",
            Health::Broken,
            format!("cannot listen on {}: {error}; choose another with --listen", config.listen),
        ),
    }
}

async fn look_at_data(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "data folder";
    let shown = config.data.display();
    if !config.data.exists() {
        return match config.check_access(!config.api_keys.is_empty()) {
            Ok(()) => {
                vec![finding(WHAT, Health::Well, format!("{shown} will be made at the first start"))]
            }
            Err(error) => vec![finding("access", Health::Broken, error.to_string())],
        };
    }
    match open_and_check(config).await {
        Ok(inspection) => {
            let whole = finding(WHAT, Health::Well, format!("{shown} is whole"));
            std::iter::once(whole).chain(told_by_inspection(inspection)).collect()
        }
        Err(error) if error.code == Code::Conflict => vec![finding(WHAT, Health::Well, in_use(config))],
        Err(error) => vec![finding(WHAT, Health::Broken, error.to_string())],
    }
}

fn told_by_inspection(inspection: Inspection) -> Vec<Finding> {
    const WHAT: &str = "agreement";
    let Inspection { collections, records, changes, chats, entries, disagreements } = inspection;
    if disagreements.is_empty() {
        let says = format!(
            "{records} records and {changes} changes of {collections} collections, {entries} entries of {chats} chats: \
             counts, logs and indexes agree"
        );
        return vec![finding(WHAT, Health::Well, says)];
    }
    let told =
        |what: String| finding(WHAT, Health::Broken, format!("{what}; restore a backup and report it"));
    disagreements.into_iter().map(told).collect()
}

fn in_use(config: &Config) -> String {
    let shown = config.data.display();
    match sqlite::owner_address(&config.data) {
        Some(address) => {
            format!("{shown} is in use by the server at {address}; `tidewire backup` and look at the copy")
        }
        None => format!("{shown} is in use by another process"),
    }
}

async fn open_and_check(config: &Config) -> Result<Inspection, Error> {
    let settings = sqlite::Settings::new(&config.data);
    let opened = tokio::task::spawn_blocking(move || Sqlite::open(settings)).await;
    let store = Arc::new(opened.map_err(Error::internal)??);
    let looked = look_into(config, &store).await;
    store.close().await.and(looked)
}

async fn look_into(config: &Config, store: &Arc<Sqlite>) -> Result<Inspection, Error> {
    store.check().await?;
    check_access(config, store).await?;
    store.inspect().await
}

async fn check_access(config: &Config, store: &Arc<Sqlite>) -> Result<(), Error> {
    let keyring = Keyring::new(Arc::clone(store) as Arc<dyn Store>, Arc::new(SystemClock), &config.api_keys);
    keyring.load().await?;
    config.check_access(keyring.is_keyed()).map_err(|error| Error::invalid(error.to_string()))
}

async fn look_at_model(config: &Config) -> Finding {
    const WHAT: &str = "model";
    match crate::start::probe_model(config).await {
        Ok(Status::Ready) => finding(WHAT, Health::Well, format!("{} can answer", config.model)),
        Ok(Status::Loading) => finding(WHAT, Health::Less, "is still loading"),
        Ok(Status::Missing(says)) => finding(WHAT, Health::Less, says),
        Ok(Status::Failed(says)) => finding(WHAT, Health::Broken, says),
        Err(error) => finding(WHAT, Health::Broken, error.to_string()),
    }
}

fn look_at_page() -> Finding {
    if crate::assets::is_built() {
        return finding("page", Health::Well, "is in this binary");
    }
    finding("page", Health::Less, "is not in this binary; `cargo xtask up` builds it")
}
