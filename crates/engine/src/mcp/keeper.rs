//! Keeping one server: it is started, asked for its tools, watched, and started again when it has ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext, Peer, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError};
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::lines::{MESSAGE_MAX, Pipes};
use super::listing::{self, Listing, Offer};
use super::process::{LastWords, Process, Start};
use super::warden::Warden;
use super::{Place, ServerSettings, Standing, Status};
use crate::error::{Code, Error, Result};

/// The longest pause before a server is started again.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A server that lived so long has shown that it can; the next pause is the first one again.
const STEADY: Duration = Duration::from_secs(60);
/// So long we read on after a program has ended: its last answer may still be in the pipe.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// A server that says again and again that its tools have changed is asked once a second.
const LIST_PAUSE: Duration = Duration::from_secs(1);

/// So many times in a row a server at an address must have been silent to count as gone.
const PROBES: u32 = 2;

/// One server.
pub(super) struct Server {
    pub(super) settings: ServerSettings,
    state: watch::Sender<State>,
    last_words: LastWords,
    warden: Option<Arc<Warden>>,
}

#[derive(Default)]
struct State {
    standing: Standing,
    /// What it offers, or offered when it was last there.
    offers: Vec<Arc<Offer>>,
    notes: Vec<String>,
    line: Option<Arc<Line>>,
    settled: bool,
}

/// A way to a server that is there.
pub(super) struct Line {
    pub(super) peer: Peer<RoleClient>,
    /// Cancelled when it is no longer there.
    pub(super) gone: CancellationToken,
    /// Cancelled by those who have waited in vain too often.
    pub(super) broken: CancellationToken,
    /// How many calls in a row were not answered.
    pub(super) unanswered: AtomicU32,
}

impl Server {
    pub(super) fn new(settings: ServerSettings, warden: Option<Arc<Warden>>) -> Self {
        Self { settings, state: watch::Sender::default(), last_words: LastWords::default(), warden }
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state.borrow();
        let is_down = matches!(state.standing, Standing::Down(_));
        Status {
            name: self.settings.name.clone(),
            standing: state.standing.clone(),
            tools: state.offers.len(),
            asking: state.offers.iter().filter(|offer| offer.needs_approval).count(),
            notes: state.notes.clone(),
            last_words: Some(self.last_words.get()).filter(|words| is_down && !words.is_empty()),
        }
    }

    /// Waits until it has come up or failed to, once.
    pub(super) async fn settled(&self) {
        // We hold the sender, so it cannot go away while we wait.
        let _ = self.state.subscribe().wait_for(|state| state.settled).await;
    }

    /// Waits until it is there; then it has said what it offers.
    pub(super) async fn up(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.line.is_some()).await;
    }

    pub(super) fn offers(&self) -> Vec<Arc<Offer>> {
        self.state.borrow().offers.clone()
    }

    /// The way to it for a call of a tool that somebody was told of.
    pub(super) fn line(&self, offer: &Arc<Offer>) -> Result<Arc<Line>> {
        let state = self.state.borrow();
        let name = &self.settings.name;
        let Some(line) = &state.line else { return Err(away(name, &state.standing)) };
        match state.offers.iter().any(|now| Arc::ptr_eq(now, offer) || now.is(offer)) {
            true => Ok(Arc::clone(line)),
            false => Err(Error::new(
                Code::Conflict,
                format!(
                    "the MCP server {name:?} has changed or withdrawn this tool; ask again to see what it has now"
                ),
            )),
        }
    }

    /// What a call hears during which the server ended.
    pub(super) fn gone_in_mid_call(&self) -> Error {
        let name = &self.settings.name;
        let why = match &self.state.borrow().standing {
            Standing::Down(why) => why.clone(),
            Standing::Starting | Standing::Ready => String::from("ended"),
        };
        Error::upstream(format!(
            "the MCP server {name:?} {why} during this call, which may have been done or not; look before you call again"
        ))
    }

    fn came_up(&self, listing: Listing, line: Line) {
        self.heard(&listing);
        self.state.send_modify(|state| {
            state.standing = Standing::Ready;
            state.line = Some(Arc::new(line));
            state.take(listing);
            state.settled = true;
        });
    }

    /// It has said anew what it offers.
    fn listed(&self, listing: Listing) {
        self.heard(&listing);
        self.state.send_modify(|state| state.take(listing));
    }

    fn heard(&self, listing: &Listing) {
        let (server, tools) = (&self.settings.name, listing.offers.len());
        tracing::info!(server, tools, "an MCP server is there");
        for note in &listing.notes {
            tracing::warn!(server, "the MCP server {note}");
        }
    }

    fn went(&self, why: &str) {
        self.state.send_modify(|state| {
            state.standing = Standing::Down(why.to_owned());
            state.line = None;
            state.settled = true;
        });
    }
}

impl State {
    fn take(&mut self, listing: Listing) {
        self.offers = listing.offers.into_iter().map(Arc::new).collect();
        self.notes = listing.notes;
    }
}

/// Why it is away is for those who run us: the sentence may name files.
fn away(name: &str, standing: &Standing) -> Error {
    let how = match standing {
        Standing::Down(_) => "is not there at the moment",
        Standing::Starting | Standing::Ready => "is being started",
    };
    Error::unavailable(format!("the MCP server {name:?} {how}; go on without it, or try again in a while"))
}

/// Keeps a server until `stop` is cancelled.
pub(super) async fn keep(server: Arc<Server>, stop: CancellationToken) {
    let span = tracing::info_span!("mcp", server = server.settings.name);
    let life = async {
        let mut pause = server.settings.restart_pause;
        while !stop.is_cancelled() {
            let began = Instant::now();
            live(&server, &stop).await;
            if began.elapsed() >= STEADY {
                pause = server.settings.restart_pause;
            }
            // Not in step with others that ended for the same reason.
            let wait = pause.mul_f64(1.0 + f64::from(began.elapsed().subsec_nanos() % 100) / 500.0);
            pause = (pause * 2).min(PAUSE_MAX);
            tokio::select! { () = stop.cancelled() => {}, () = sleep(wait) => {} }
        }
    };
    life.instrument(span).await;
}

/// One life of a server, from its start to its end.
async fn live(server: &Arc<Server>, stop: &CancellationToken) {
    let limit = server.settings.start_limit;
    let opened = tokio::select! {
        () = stop.cancelled() => return server.went("was ended"),
        opened = timeout(limit, open(server)) => opened,
    };
    let why = match opened {
        Ok(Ok(open)) => watch_over(server, open, stop).await,
        Ok(Err(why)) => why,
        Err(_) => format!("did not come up within {} s", limit.as_secs_f64()),
    };
    if !stop.is_cancelled() {
        tracing::warn!("the MCP server {why}; it is started again");
    }
    server.went(&why);
}

/// A server that has come up.
struct Open {
    peer: Peer<RoleClient>,
    /// Done when the connection is closed; dropping it closes it.
    closed: BoxFuture<'static, ()>,
    process: Option<Process>,
    /// It says that its tools have changed.
    changed: Arc<Notify>,
    listing: Listing,
}

async fn open(server: &Server) -> Result<Open, String> {
    let changed = Arc::new(Notify::new());
    let (service, process) = connect(server, &changed).await?;
    let peer = service.peer().clone();
    let closed = service.waiting().map(|_| ()).boxed();
    let listing = listing::ask(&peer, &server.settings).await?;
    Ok(Open { peer, closed, process, changed, listing })
}

/// Until it ends, closes, or is not to be any longer. Says which.
async fn watch_over(server: &Arc<Server>, open: Open, stop: &CancellationToken) -> String {
    let Open { peer, mut closed, mut process, changed, listing } = open;
    let (gone, broken) = (CancellationToken::new(), CancellationToken::new());
    let unanswered = AtomicU32::new(0);
    let told: DropGuard = gone.clone().drop_guard();
    server.came_up(listing, Line { peer: peer.clone(), gone, broken: broken.clone(), unanswered });
    let ended = async {
        tokio::select! {
            why = has_ended(&mut process) => {
                let _ = timeout(LAST_ANSWERS, &mut closed).await; // either way it is over
                why
            }
            () = &mut closed => {
                let how = timeout(LAST_ANSWERS, has_ended(&mut process)).await;
                how.unwrap_or_else(|_| String::from("closed the connection"))
            }
            () = broken.cancelled() => String::from("did not answer several calls"),
            why = falls_silent(server, &peer) => why,
            () = stop.cancelled() => String::from("was ended"),
        }
    };
    let why = tokio::select! {
        why = ended => why,
        never = keep_listed(server, &peer, &changed) => match never {},
    };
    server.went(&why);
    drop(told);
    drop(closed);
    if let Some(process) = process {
        process.end().await;
    }
    why
}

async fn has_ended(process: &mut Option<Process>) -> String {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

/// Until a server at an address does not say any more what it offers. There is no program whose end we would see, and a
/// connection is made anew for each call.
async fn falls_silent(server: &Server, peer: &Peer<RoleClient>) -> String {
    if matches!(server.settings.place, Place::Program { .. }) {
        return std::future::pending().await;
    }
    let mut silent = 0;
    loop {
        sleep(server.settings.probe).await;
        let why = match timeout(server.settings.start_limit, listing::ask(peer, &server.settings)).await {
            Ok(Ok(_)) => None,
            Ok(Err(why)) => Some(why),
            Err(_) => Some(String::from("does not answer")),
        };
        silent = if why.is_some() { silent + 1 } else { 0 };
        if let Some(why) = why.filter(|_| silent == PROBES) {
            return why;
        }
    }
}

async fn keep_listed(server: &Server, peer: &Peer<RoleClient>, changed: &Notify) -> Infallible {
    loop {
        changed.notified().await;
        match timeout(server.settings.start_limit, listing::ask(peer, &server.settings)).await {
            Ok(Ok(listing)) => server.listed(listing),
            Ok(Err(why)) => tracing::warn!("the MCP server {why}; its tools stay as they were"),
            Err(_) => {
                tracing::warn!("the MCP server does not say what has changed; its tools stay as they were")
            }
        }
        sleep(LIST_PAUSE).await;
    }
}

/// Hears what servers say by themselves. It offers them nothing: no files, no models, no persons.
struct Ear {
    changed: Arc<Notify>,
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        let ourselves = Implementation::new("tidewire", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), ourselves);
        config.with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

type Service = RunningService<RoleClient, Ear>;

/// Connects as servers expect it since 2024; one that refuses that is tried as they will from 2026 on.
async fn connect(server: &Server, changed: &Arc<Notify>) -> Result<(Service, Option<Process>), String> {
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    match connect_as(server, changed, ClientLifecycleMode::Initialize).await {
        Err(Refusal::Of(_)) => connect_as(server, changed, modern).await.map_err(Refusal::into_sentence),
        connected => connected.map_err(Refusal::into_sentence),
    }
}

/// Why a server could not be connected to.
enum Refusal {
    /// It answered, and does not want to speak so.
    Of(String),
    /// Anything else.
    Other(String),
}

impl Refusal {
    fn into_sentence(self) -> String {
        match self {
            Self::Of(why) | Self::Other(why) => why,
        }
    }
}

impl From<ClientInitializeError> for Refusal {
    fn from(error: ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::JsonRpcError(refusal) => {
                Self::Of(format!("refused us: {}", refusal.message))
            }
            ClientInitializeError::ConnectionClosed(_) => {
                Self::Other(String::from("closed the connection before it came up"))
            }
            ClientInitializeError::TransportError { error, .. } => {
                Self::Other(format!("could not be reached: {}", root(&*error.error)))
            }
            other => Self::Other(format!("could not be spoken to: {other}")),
        }
    }
}

/// The innermost cause: what lies around it names types and says little.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    match cause.downcast_ref() {
        Some(StreamableHttpError::<reqwest::Error>::Client(inner)) => root(inner),
        _ => cause.to_string(),
    }
}

async fn connect_as(
    server: &Server,
    changed: &Arc<Notify>,
    mode: ClientLifecycleMode,
) -> Result<(Service, Option<Process>), Refusal> {
    let ear = Ear { changed: Arc::clone(changed) };
    match &server.settings.place {
        Place::Program { program, arguments, environment, passed, folder } => {
            let how = Start { program, arguments, environment, passed, folder: folder.as_deref() };
            let (mut process, stdout, stdin) =
                Process::start(&how, &server.last_words, server.warden.clone()).map_err(Refusal::Other)?;
            match ear.serve_with_lifecycle(Pipes::new(stdout, stdin), mode).await {
                Ok(service) => Ok((service, Some(process))),
                Err(error) => Err(explained(error.into(), &mut process).await),
            }
        }
        Place::Address { url, token } => {
            let transport = over_http(url, token.as_deref()).map_err(Refusal::Other)?;
            let service = ear.serve_with_lifecycle(transport, mode).await?;
            Ok((service, None))
        }
    }
}

/// A program that closes the connection has usually ended, and how says more.
async fn explained(refusal: Refusal, process: &mut Process) -> Refusal {
    match (refusal, timeout(LAST_ANSWERS, process.ended()).await) {
        (Refusal::Other(_), Ok(how)) => Refusal::Other(how),
        (refusal, _) => refusal,
    }
}

fn over_http(
    url: &str,
    token: Option<&str>,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
    // A redirect could take the token elsewhere.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| format!("cannot be reached: {error}"))?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url).max_sse_event_size(MESSAGE_MAX);
    // A stream that broke off is not taken up again: its call has failed, and says so at once.
    config.retry_config = Arc::new(NeverRetry::default());
    if let Some(variable) = token {
        let token = std::env::var(variable)
            .map_err(|_| format!("needs a token, and the environment variable {variable} is not set"))?;
        config = config.auth_header(token);
    }
    Ok(StreamableHttpClientTransport::with_client(client, config))
}
