//! Listening, and the handle by which tests hold a mock server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use schematic_define::{Definition, Problem};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::answers::Sessions;
use crate::log::{Entry, Log};
use crate::{Faults, connection};

/// How a mock server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes one that is free
    pub listen: SocketAddr,
    /// The credential that clients must have; without it, any that is not empty will do
    pub credential: Option<String>,
    /// What goes wrong, beside what a client asks for in the query `?mock=`
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), credential: None, faults: Faults::none() }
    }
}

/// Why a mock server did not start.
#[derive(Debug)]
pub enum Error {
    /// The definition has problems
    Definition(Vec<Problem>),
    /// The definition has no WebSocket endpoint
    NoEndpoint,
    /// The address cannot be listened on
    Listen(SocketAddr, io::Error),
    /// The system gives no event queue
    Runtime(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Definition(problems) => {
                let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::NoEndpoint => f.write_str("the definition has no WebSocket endpoint; add one"),
            Self::Listen(address, why) => write!(f, "cannot listen on {address}: {why}"),
            Self::Runtime(why) => write!(f, "cannot wait for connections: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) definition: Arc<Definition>,
    pub(crate) options: Options,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) log: Log,
    pub(crate) url: String,
}

/// A server that is listening. Dropping it ends it, with all its connections.
#[derive(Debug)]
pub struct Mock {
    /// Where it listens
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

impl Mock {
    /// Starts a server for a definition on a free port of this machine.
    ///
    /// # Errors
    /// When the definition has problems or no endpoint, or there is no port.
    pub async fn start(definition: Definition, faults: Faults) -> Result<Self, Error> {
        Self::start_with(definition, Options { faults, ..Options::default() }).await
    }

    /// Starts a server for a definition.
    ///
    /// # Errors
    /// When the definition has problems or no endpoint, or the address cannot be listened on.
    pub async fn start_with(definition: Definition, options: Options) -> Result<Self, Error> {
        definition.check().map_err(Error::Definition)?;
        if definition.websocket_endpoints().is_empty() {
            return Err(Error::NoEndpoint);
        }
        let refused = |why| Error::Listen(options.listen, why);
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared {
            definition: Arc::new(definition),
            options,
            sessions: Arc::default(),
            log: Log::default(),
            url: format!("ws://{address}"),
        });
        let acceptor = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, acceptor })
    }

    /// What takes the place of the definition's base URL: `ws://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Everything that has happened so far, in order.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.log.entries()
    }

    /// Waits until what has happened is as the caller wants it.
    pub async fn until(&self, wanted: impl Fn(&[Entry]) -> bool) {
        self.shared.log.until(wanted).await;
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Accepts until it is aborted; the connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        // A connection that is gone before it is accepted is nobody's business.
        let Ok((stream, _)) = listener.accept().await else { continue };
        number += 1;
        connections.spawn(connection::serve(shared.clone(), stream, number));
        while connections.try_join_next().is_some() {}
    }
}

/// Runs a server until the process is interrupted, for commands. `ready` is called when it is listening.
///
/// # Errors
/// When it cannot start.
pub fn serve(definition: Definition, options: Options, ready: impl FnOnce(&Mock)) -> Result<(), Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(async {
        let mock = Mock::start_with(definition, options).await?;
        ready(&mock);
        tokio::signal::ctrl_c().await.map_err(Error::Runtime)
    })
}
