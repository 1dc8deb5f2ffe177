//! The server as a whole: it starts the engine, accepts connections, and ends in good order.
//!
//! Which address answers what is said in `http`, who may come in in `handshake`, and what happens on a socket in
//! `socket`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tidewire_engine::Engine;
use tidewire_engine::collections::Desk;
use tidewire_engine::model::Model;
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_protocols::{Protocol, Switches};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::auth::{Auth, Peer};
use crate::body::Timed;
use crate::config::Config;
use crate::figures::{DialectFigures, Figures};
use crate::handshake::Door;
use crate::limits::{MessageLimit, Places, Tickets};
use crate::mcp::Servers;

/// The HTTP side keeps at most this much of a request's head; bodies are streamed.
const HEAD_BUFFER: usize = 16 * 1024;
/// More connections than sockets are accepted, so that health checks and refusals still get through.
const SPARE_CONNECTIONS: usize = 256;
/// How often what is no longer needed is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long to wait before accepting again after the system refused (usually no file handles are left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// What every connection shares.
pub(crate) struct App {
    /// As configured.
    pub(crate) config: Config,
    /// The dialects that are spoken.
    pub(crate) protocols: &'static [Protocol],
    /// Does what clients ask.
    pub(crate) engine: Arc<Engine>,
    /// Reads records for the catalogue, and writes those of imports.
    pub(crate) records: Arc<Desk>,
    /// What is kept, for backups.
    pub(crate) store: Arc<Sqlite>,
    /// Who answers, for the health page.
    pub(crate) model: Arc<dyn Model>,
    /// Who may come in.
    pub(crate) door: Door,
    /// Who asks.
    pub(crate) auth: Arc<Auth>,
    /// Whose tools the agent may call.
    pub(crate) mcp: Servers,
    /// One-time tickets.
    pub(crate) tickets: Tickets,
    /// Messages a session.
    pub(crate) messages: MessageLimit,
    /// What can be switched while the server runs.
    pub(crate) switches: Arc<Switches>,
    /// Places for connections.
    pub(crate) places: Places,
    /// What is counted.
    pub(crate) figures: Figures,
    /// Cancelled when sockets are to be closed.
    pub(crate) closing: CancellationToken,
    /// The tasks that own connections.
    pub(crate) tasks: TaskTracker,
    draining: AtomicBool,
}

/// A dialect where it is mounted.
pub(crate) struct Mount {
    /// The dialect.
    pub(crate) protocol: Protocol,
    /// Its figures.
    pub(crate) figures: DialectFigures,
}

impl App {
    /// Everything that connections share, ready to serve.
    fn new(house: House) -> Arc<Self> {
        let House { config, protocols, engine, records, store, model, auth, mcp } = house;
        Arc::new(Self {
            door: Door::new(&config, Arc::clone(&auth)),
            tickets: Tickets::default(),
            messages: MessageLimit::new(&config.limits),
            switches: Arc::new(Switches { kinds: Arc::clone(engine.kinds()), ..Switches::default() }),
            places: Places::new(&config.limits),
            figures: Figures::new(),
            closing: auth.keys.closing().clone(),
            tasks: TaskTracker::new(),
            protocols,
            draining: AtomicBool::new(false),
            engine,
            records,
            store,
            model,
            auth,
            mcp,
            config,
        })
    }

    /// Whether the server is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// What is served.
pub struct House {
    /// As configured.
    pub config: Config,
    /// The dialects that are spoken; usually [`tidewire_protocols::ALL`].
    pub protocols: &'static [Protocol],
    /// Does what clients ask.
    pub engine: Arc<Engine>,
    /// Reads records for the catalogue, and writes those of imports.
    pub records: Arc<Desk>,
    /// What is kept, for backups.
    pub store: Arc<Sqlite>,
    /// Who answers.
    pub model: Arc<dyn Model>,
    /// Who asks.
    pub(crate) auth: Arc<Auth>,
    /// Whose tools the agent may call.
    pub(crate) mcp: Servers,
}

/// Serves on this listener until `stop` is done, then ends in good order: nobody new comes in, running answers get
/// the configured time to finish, sockets are closed with 1012.
pub async fn serve(house: House, listener: TcpListener, stop: impl Future<Output = ()>) {
    let app = App::new(house);
    let router = crate::http::router(&app);
    let tidy = tokio::spawn(tidy(Arc::clone(&app)));
    tokio::select! {
        () = accept(&app, &listener, &router) => {}
        () = stop => {}
    }
    app.draining.store(true, Ordering::Relaxed);
    tracing::info!(seconds = app.config.drain_seconds, "draining: answers may finish, nobody new comes in");
    tokio::select! {
        () = accept(&app, &listener, &router) => {}
        () = app.engine.drain(app.config.drain()) => {}
    }
    drop(listener);
    app.closing.cancel();
    app.tasks.close();
    if tokio::time::timeout(GOODBYE, app.tasks.wait()).await.is_err() {
        tracing::warn!("some clients did not say goodbye in time");
    }
    app.mcp.close().await;
    tidy.abort();
    app.auth.tidy().await;
    tracing::info!("ended");
}

/// Takes what the listener gives, for ever. While draining this goes on, so that a load balancer can read that.
async fn accept(app: &Arc<App>, listener: &TcpListener, router: &Router) {
    let places = app.config.limits.connections.saturating_add(SPARE_CONNECTIONS).min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(places));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let connection = serve_http(Arc::clone(app), stream, Peer(peer.ip()), router.clone());
                app.tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_http(app: Arc<App>, stream: TcpStream, peer: Peer, router: Router) {
    // Small frames must not wait for the ones behind them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection was gone before it was served");
        return;
    }
    let patience = app.config.limits.body();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(|body| Body::new(Timed::new(body, patience))))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.limits.handshake())
        .max_buf_size(HEAD_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = app.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn tidy(app: Arc<App>) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    loop {
        every.tick().await;
        app.messages.forget();
        app.auth.tidy().await;
    }
}

impl Mount {
    /// The dialect with fresh figures.
    pub(crate) fn new(app: &App, protocol: &Protocol) -> Arc<Self> {
        Arc::new(Self { protocol: *protocol, figures: app.figures.dialect(protocol.name) })
    }
}
