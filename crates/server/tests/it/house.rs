//! A server for one test, in this process, on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidewire_engine::Code;
use tidewire_engine::agent::Tool;
use tidewire_engine::model::Embedder;
use tidewire_engine::model::choose::Chosen;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::store::sqlite::{Settings, Sqlite};
use tidewire_protocols::Protocol;
use tidewire_server::start::{Started, load_demo, start_with};
use tidewire_server::{Config, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// A running server; it ends when this is dropped, in good order by [`House::stop`].
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) model: Arc<ScriptedModel>,
    pub(crate) store: Arc<Sqlite>,
    folder: TempDir,
    task: JoinHandle<()>,
}

/// What a test wants to be different.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) model: ScriptedModel,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) demo: bool,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) protocols: &'static [Protocol],
}

impl Default for Plan {
    fn default() -> Self {
        let mut config = Config { drain_seconds: 5, ..Config::default() };
        config.limits.message_burst = 1000;
        let protocols = tidewire_protocols::ALL;
        Self {
            config,
            model: ScriptedModel::demo(),
            tools: Vec::new(),
            demo: false,
            embedder: None,
            protocols,
        }
    }
}

impl House {
    /// A server with the usual configuration.
    pub(crate) async fn open() -> Self {
        Self::with(|_| ()).await
    }

    /// A server with something changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        Self::on(tempfile::tempdir().unwrap(), change).await
    }

    /// A server with something changed, on a folder that another one left.
    pub(crate) async fn on(folder: TempDir, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = Plan::default();
        change(&mut plan);
        plan.config.data = folder.path().join("data");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let model = Arc::new(plan.model);
        let chosen = Chosen { model: Arc::clone(&model) as _, embedder: plan.embedder };
        let Started { mut house, store } = start_with(plan.config, chosen, plan.tools).await.unwrap();
        house.protocols = plan.protocols;
        if plan.demo {
            load_demo(store.as_ref()).await.unwrap();
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(house, listener, stop.clone().cancelled_owned()));
        Self { address, stop, model, store, folder, task }
    }

    /// A socket for a session.
    pub(crate) async fn client(&self, session: &str) -> Client {
        Client::connect(self.address, &format!("/ws/{session}")).await
    }

    /// An address over HTTP.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// What is left of it when the runtime that it ran in is gone, which is as a kill.
    pub(crate) async fn killed(self) -> TempDir {
        let Self { folder, store, .. } = self;
        drop(store);
        loop {
            match Sqlite::open(Settings::new(folder.path().join("data"))) {
                Ok(store) => {
                    store.close().await.unwrap();
                    return folder;
                }
                Err(busy) => assert_eq!(busy.code, Code::Conflict, "{busy:?}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Ends it in good order.
    pub(crate) async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("it ends").unwrap();
        self.store.close().await.unwrap();
    }
}

/// A key that a configuration may have.
pub(crate) const KEY: &str = "0123456789abcdef";
