//! The endpoints of a dialect over plain HTTP: each request is a [`Call`] of the dialect, which this drives.
//!
//! One request has one connection to the engine. Its commands are executed one after the other while what it listens
//! to is delivered; the first server-sent event makes the answer a stream. When the client hangs up, the call and its
//! connection are dropped. A stream ends when its key is revoked or may less than before, or the server ends.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query, RawPathParams, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use tidewire_engine::{Code, Command, Connection, Error, Event, Identity, Reply, Result};
use tidewire_protocols::live_data::http::{self as dialect, Call, Method, Next, ROUTES, Route};
use tidewire_protocols::live_data::spell::Format;
use tokio_util::sync::CancellationToken;

use crate::figures::Limit;
use crate::http::fail_flat;
use crate::limits::Slot;
use crate::server::App;

/// How long a stream is silent at most.
const KEEP_ALIVE_EVERY: std::time::Duration = std::time::Duration::from_secs(15);
/// How much of a body that is too long is still taken in and thrown away, so that the client gets to read why.
const DISCARD: usize = 256 << 20;
/// For how long.
const DISCARD_FOR: std::time::Duration = std::time::Duration::from_secs(10);

/// The dialect's addresses.
pub(crate) fn router() -> Router<Arc<App>> {
    let mut router = Router::new().route("/api/openapi.json", on(MethodFilter::GET, openapi));
    for route in ROUTES {
        let serve = move |state: State<Arc<App>>, request: Request| serve(state, route, request);
        router = router.route(route.path, on(filter(route.method), serve));
    }
    router
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], dialect::OPENAPI)
}

async fn serve(State(app): State<Arc<App>>, route: &'static Route, request: Request) -> Response {
    match answer(&app, route, request).await {
        Ok(response) => response,
        Err(error) => fail_flat(&app, &error).into_response(),
    }
}

/// The body is read when it is known who sends it: strangers do not get to fill the memory.
async fn answer(app: &Arc<App>, route: &'static Route, request: Request) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let identity = app.door.require_bearer(&parts.headers)?;
    route.check_built()?;
    let params = params(&mut parts).await?;
    let query = query(&parts)?;
    let sender = crate::http::sender(app, &parts.extensions, &parts.headers);
    let body = read(app, &parts.headers, body).await?;
    let pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let call = route.call(&dialect::Request {
        params: &pairs,
        query: &query,
        content: format(&parts.headers, CONTENT_TYPE),
        accept: format(&parts.headers, ACCEPT),
        body: &body,
        last_event_id: text(&parts.headers, HeaderName::from_static("last-event-id")),
        identity: &identity,
        switches: &app.switches,
        now: Instant::now(),
    })?;
    drop(body);
    Pump::new(app, identity, sender, call)?.respond().await
}

async fn params(parts: &mut request::Parts) -> Result<Vec<(String, String)>> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params =
        params.map_err(|_| Error::invalid("the address is not UTF-8; percent-encode its parts as UTF-8"))?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn query(parts: &request::Parts) -> Result<Vec<(String, String)>> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    query
        .map(|Query(pairs)| pairs)
        .map_err(|_| Error::invalid("the query cannot be read; write it as name=value&…"))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `application/msgpack`, `application/x-msgpack` and `application/vnd.msgpack` are MessagePack, all else JSON.
fn format(headers: &HeaderMap, name: HeaderName) -> Format {
    match text(headers, name) {
        Some(value) if value.to_ascii_lowercase().contains("msgpack") => Format::MessagePack,
        Some(_) | None => Format::Json,
    }
}

/// The body, if it is not too long. One that is too long is refused at once and not kept.
async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>> {
    let said = text(headers, CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let mut read = Vec::with_capacity(said.unwrap_or(0).min(dialect::MAX_BODY));
    let mut chunks = body.into_data_stream();
    let mut fits = said.is_none_or(|length| length <= dialect::MAX_BODY);
    while fits && let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| broken(app, &error))?;
        fits = read.len() + chunk.len() <= dialect::MAX_BODY;
        read.extend_from_slice(if fits { &chunk } else { &[] });
    }
    if fits {
        return Ok(read);
    }
    tokio::spawn(tokio::time::timeout(DISCARD_FOR, discard(chunks)));
    let limit = dialect::MAX_BODY >> 20;
    Err(Error::new(Code::TooLarge, format!("a body has at most {limit} MiB; send less at once")))
}

/// Why a body ended early.
fn broken(app: &App, error: &axum::Error) -> Error {
    let late = crate::body::late(error).inspect(|_| app.figures.count_limit(Limit::Body));
    late.unwrap_or_else(|| Error::invalid("the body ended before it was whole; send it again"))
}

async fn discard(mut chunks: axum::body::BodyDataStream) {
    let mut discarded = 0;
    while let Some(Ok(chunk)) = chunks.next().await
        && discarded < DISCARD
    {
        discarded += chunk.len();
    }
}

type Executing = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

/// A call with what it needs to go on.
struct Pump {
    app: Arc<App>,
    connection: Arc<Connection>,
    call: Box<dyn Call>,
    executing: Option<Executing>,
    leave: CancellationToken,
    /// Where the request came from; `None` is this machine.
    sender: Option<IpAddr>,
    /// What a stream holds while it lasts.
    slot: Slot,
    /// The answer is over.
    over: bool,
}

/// What a turn came to.
enum Turn {
    /// These are to be written.
    Written(Vec<u8>),
    /// The whole answer.
    Answer(dialect::Answer),
    /// There is nothing more.
    End,
}

/// What happened.
enum Happened {
    Replied(Result<Reply>),
    Heard,
    Silence,
    Left,
}

impl Pump {
    fn new(app: &Arc<App>, identity: Identity, sender: Option<IpAddr>, call: Box<dyn Call>) -> Result<Self> {
        let leave = app.auth.leave_to_stay(&identity)?;
        let agent = app.config.agents.of("live_data");
        let connection = Arc::new(app.engine.connect(identity).answered_by(agent));
        let app = Arc::clone(app);
        Ok(Self { app, connection, call, executing: None, leave, sender, slot: Slot::default(), over: false })
    }

    /// Drives the call until it is known what its answer is: whole, or a stream.
    async fn respond(mut self) -> Result<Response> {
        let mut out = Vec::new();
        let first = self.call.begin()?;
        let turn = match self.take(first) {
            Some(turn) => turn,
            None => match self.turn(&mut out).await {
                Ok(turn) => turn,
                Err(error) if out.is_empty() => return Err(error),
                Err(error) => Turn::Written(self.fail(&error, out)),
            },
        };
        match turn {
            Turn::Answer(answer) => Ok(whole(answer)),
            Turn::Written(bytes) => {
                let identity = self.connection.identity();
                self.slot = self.app.places.for_stream(self.sender, identity, &self.app.figures)?;
                Ok(self.stream(bytes))
            }
            Turn::End => Err(Error::internal(std::io::Error::other("a call ended without an answer"))),
        }
    }

    fn execute(&mut self, command: Command) {
        let (app, connection) = (Arc::clone(&self.app), Arc::clone(&self.connection));
        self.executing = Some(Box::pin(async move { app.engine.execute(&connection, command).await }));
    }

    /// Goes on as the call wants. Nothing: there is more to wait for.
    fn take(&mut self, next: Next) -> Option<Turn> {
        match next {
            Next::Execute(command) => {
                self.execute(command);
                None
            }
            Next::Listen => None,
            Next::Answer(answer) => Some(Turn::Answer(answer)),
            Next::End => Some(Turn::End),
        }
    }

    /// Waits until there is something to write, or the call is over.
    async fn turn(&mut self, out: &mut Vec<u8>) -> Result<Turn> {
        let mut events = Vec::new();
        loop {
            let happened = self.wait(&mut events).await;
            let turn = self.understand(happened, &mut events, out)?;
            match turn {
                Some(Turn::End) if !out.is_empty() => {
                    self.over = true;
                    return Ok(Turn::Written(std::mem::take(out)));
                }
                Some(turn) => return Ok(turn),
                None if !out.is_empty() => return Ok(Turn::Written(std::mem::take(out))),
                None => {}
            }
        }
    }

    async fn wait(&mut self, events: &mut Vec<Event>) -> Happened {
        let executing = async {
            match &mut self.executing {
                Some(executing) => executing.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.leave.cancelled() => Happened::Left,
            () = self.connection.next(events) => Happened::Heard,
            reply = executing => Happened::Replied(reply),
            () = tokio::time::sleep(KEEP_ALIVE_EVERY) => Happened::Silence,
        }
    }

    fn understand(
        &mut self,
        happened: Happened,
        events: &mut Vec<Event>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Turn>> {
        match happened {
            Happened::Replied(reply) => {
                self.executing = None;
                // What the command told comes before its reply.
                if self.connection.next(events).now_or_never().is_some()
                    && let Some(turn) = self.hear(events, out)?
                {
                    return Ok(Some(turn));
                }
                let next = self.call.reply(reply, Instant::now(), out)?;
                Ok(self.take(next))
            }
            Happened::Heard => self.hear(events, out),
            Happened::Silence if !self.call.is_stream() => Ok(None),
            Happened::Silence => {
                out.extend_from_slice(dialect::KEEP_ALIVE);
                Ok(None)
            }
            Happened::Left => Err(self.left()),
        }
    }

    fn hear(&mut self, events: &mut Vec<Event>, out: &mut Vec<u8>) -> Result<Option<Turn>> {
        for event in events.drain(..) {
            let next = self.call.event(&event, out)?;
            if let Some(turn) = self.take(next) {
                return Ok(Some(turn));
            }
        }
        Ok(None)
    }

    fn left(&self) -> Error {
        if self.app.is_draining() {
            return Error::new(Code::Draining, "the server is restarting; ask again in a moment");
        }
        self.app.auth.why_sent_away(self.connection.identity())
    }

    /// The answer as a stream that begins with these bytes.
    fn stream(self, first: Vec<u8>) -> Response {
        let rest = stream::unfold(self, |mut pump| async move {
            let bytes = pump.more().await?;
            Some((Ok::<_, std::convert::Infallible>(bytes), pump))
        });
        let first = stream::once(std::future::ready(Ok(Bytes::from(first))));
        let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
        (headers, Body::from_stream(first.chain(rest))).into_response()
    }

    /// More of a stream.
    async fn more(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let mut out = Vec::new();
        match self.turn(&mut out).await {
            Ok(Turn::Written(bytes)) => Some(bytes.into()),
            Ok(Turn::Answer(_) | Turn::End) => None,
            Err(error) => Some(self.fail(&error, out).into()),
        }
    }

    /// The end of a stream by an error, behind what was not written yet.
    fn fail(&mut self, error: &Error, mut out: Vec<u8>) -> Vec<u8> {
        self.over = true;
        self.app.figures.count_error(error.code);
        crate::telemetry::log_error(error, "http");
        self.call.failed(error, &mut out);
        out
    }
}

fn whole(answer: dialect::Answer) -> Response {
    let content = match answer.format {
        Format::Json => "application/json",
        Format::MessagePack => "application/msgpack",
    };
    ([(CONTENT_TYPE, content), (CACHE_CONTROL, "no-store")], answer.body).into_response()
}
