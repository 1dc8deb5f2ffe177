//! Puts the parts together: the store in the data folder, the desk, the model, the agent, the engine.
//!
//! Everything that can be wrong with a configuration only at run time (a folder that is in use, a model that is not
//! there) comes out of here as one sentence.

use std::sync::Arc;
use std::time::Duration;

use tidewire_engine::agent::explorer::{Explorer, demo};
use tidewire_engine::agent::graph::assistant::{self, Means};
use tidewire_engine::agent::run_loop::Limits as RunLimits;
use tidewire_engine::agent::{Agents, SharedRecords, Tool, ToolSet, Waits};
use tidewire_engine::collections::Desk;
use tidewire_engine::id::SystemClock;
use tidewire_engine::identity::Subject;
use tidewire_engine::model::choose::{Chosen, ProviderSettings, Settings as ModelSettings};
use tidewire_engine::model::{self, Embedder, Model, Models, Status};
use tidewire_engine::store::sqlite::{self, Sqlite};
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{Clock, Engine, Error, LocalBus, Parts, RecordId, Result, Settings};

use crate::auth::Auth;
use crate::config::Config;
use crate::mcp::{Servers, Warden};
use crate::server::House;

/// How often, and how many times, a loading model is looked at.
const LOADING_LOOK: Duration = Duration::from_millis(100);
const LOADING_LOOKS: u32 = 600;

/// A house that is ready to be served, and the store that has to be closed when it no longer is.
pub struct Started {
    /// What [`serve`](crate::serve) takes.
    pub house: House,
    /// To be closed at the end.
    pub store: Arc<Sqlite>,
}

/// Opens the data folder, takes the configured model, and starts the engine and the MCP servers.
pub async fn start(config: Config) -> Result<Started> {
    let chosen = choose_model(&config)?;
    let warden = crate::mcp::warden(&config, crate::cli::WARDEN);
    start_all(config, chosen, Vec::new(), warden).await
}

/// As [`start`], with models of the caller's own, and more tools than the explorer's.
pub async fn start_with(config: Config, chosen: Chosen, tools: Vec<Arc<dyn Tool>>) -> Result<Started> {
    start_all(config, chosen, tools, None).await
}

async fn start_all(
    config: Config,
    chosen: Chosen,
    tools: Vec<Arc<dyn Tool>>,
    warden: Option<Warden>,
) -> Result<Started> {
    let Chosen { model, embedder } = chosen;
    let folder = config.data.clone();
    // Migrations and the lock block.
    let opened = tokio::task::spawn_blocking(move || Sqlite::open(sqlite::Settings::new(folder))).await;
    let store = Arc::new(opened.map_err(Error::internal)??);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let auth = Auth::open(&config, Arc::clone(&store) as _, Arc::clone(&clock)).await?;
    config.check_access(auth.keys.is_keyed()).map_err(|error| Error::invalid(error.to_string()))?;
    let records = Arc::new(Desk::new(Arc::clone(&store) as _, Arc::clone(&clock)));
    let mcp = Servers::start(&config, warden)?;
    let mut callable = ToolSet::new(tools);
    mcp.source().into_iter().for_each(|source| callable.add_source(source));
    let means = means(&config, &model, &records, embedder.clone(), callable);
    let agents = agents(&config, &means)?;
    let parts = Parts {
        store: Arc::clone(&store) as _,
        bus: Arc::new(LocalBus::default()),
        agents,
        models: Models::new(Arc::clone(&model)),
        embedder,
        clock,
        settings: settings(&config),
    };
    let engine = Engine::start_for(parts, |identity| auth.leave_to_stay(identity).map(|_| ())).await?;
    let protocols = tidewire_protocols::ALL;
    let house = House { config, protocols, engine, records, store: Arc::clone(&store), model, auth, mcp };
    Ok(Started { house, store })
}

/// What the agents work with.
fn means(
    config: &Config,
    model: &Arc<dyn Model>,
    records: &Arc<Desk>,
    embedder: Option<Arc<dyn Embedder>>,
    tools: ToolSet,
) -> Means {
    let (model, records) = (Arc::clone(model), Arc::clone(records) as SharedRecords);
    let limits = run_limits(config);
    let explorer = Explorer::new(Arc::clone(&model), Arc::clone(&records))
        .with_limits(limits)
        .with_source(Arc::new(tools.clone()));
    Means { model, records, embedder, explorer, tools, limits }
}

/// Who answers: the explorer unless the configuration, a chat or a message names the assistant.
fn agents(config: &Config, means: &Means) -> Result<Agents> {
    let agents = Agents::new(Arc::new(means.explorer.clone())).with(Arc::new(assistant::agent(means)?));
    let choice = &config.agents;
    for name in [&choice.session_chat, &choice.chat_service, &choice.live_data] {
        agents.find(Some(name))?;
    }
    Ok(agents)
}

/// Loads the demo catalogue, if it has never been loaded into this folder.
pub async fn load_demo(store: &dyn Store) -> Result<()> {
    let entries = demo::entries();
    let Some(first) = entries.first() else { return Ok(()) };
    if store.get(first.collection, &RecordId::from(first.id.as_str())).await?.is_some() {
        return Ok(());
    }
    let batch = entries
        .into_iter()
        .map(|entry| Write::new(entry.collection, RecordId(entry.id), Operation::InsertIfAbsent(entry.body)));
    store.commit(&Subject::SYSTEM.into(), SystemClock.now(), batch.collect()).await.map(|_| ())
}

fn settings(config: &Config) -> Settings {
    let limits = &config.limits;
    let waits = Waits {
        client: Duration::from_secs(limits.client_tool_seconds),
        person: Duration::from_secs(limits.approval_seconds),
    };
    Settings {
        waits,
        direct: run_limits(config),
        follow_limit: limits.follows,
        watch_limit: limits.watches,
        ..Settings::default()
    }
}

fn run_limits(config: &Config) -> RunLimits {
    let begin = Duration::from_secs(config.limits.answer_seconds);
    RunLimits {
        begin,
        silence: begin * 2,
        tool: Duration::from_secs(config.limits.tool_seconds),
        ..RunLimits::default()
    }
}

/// The model that the configuration names.
fn choose_model(config: &Config) -> Result<Chosen> {
    model::choose::choose(&model_settings(config))
}

pub(crate) fn model_settings(config: &Config) -> ModelSettings {
    let provider = &config.provider;
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let usual = ProviderSettings::default();
    let models = &config.models;
    ModelSettings {
        model: config.model.clone(),
        models_dir: if models.as_os_str().is_empty() { model::choose::models_dir() } else { models.clone() },
        provider: ProviderSettings {
            base_url: said(&provider.base_url),
            api_key_env: said(&provider.key_env),
            api_version: said(&provider.azure_api_version),
            context_window: (provider.context_window > 0).then_some(provider.context_window),
            ..usual
        },
    }
}

/// Whether the configured model can answer, after it had its time to load. An error is a choice that cannot be made.
pub async fn probe_model(config: &Config) -> Result<Status> {
    let model = choose_model(config)?.model;
    for _ in 0..LOADING_LOOKS {
        match model.status() {
            Status::Loading => tokio::time::sleep(LOADING_LOOK).await,
            status @ (Status::Ready | Status::Missing(_) | Status::Failed(_)) => return Ok(status),
        }
    }
    Ok(Status::Loading)
}
