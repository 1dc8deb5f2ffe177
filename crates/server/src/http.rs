//! What is asked over plain HTTP, and where each dialect's socket is.
//!
//! Every request must name us (`Host`); one that changes something must come from a page that may (`Origin`). Answers
//! are JSON, errors are `{"error": {"code", "message"}}` with the code's status. The page itself comes from `assets`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, RawPathParams, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidewire_engine::agent::Records as _;
use tidewire_engine::agent::explorer::catalog::Table;
use tidewire_engine::agent::explorer::{Summary, summary};
use tidewire_engine::identity::{Grant, Grants};
use tidewire_engine::{Code, Command, Detail, Error, Identity, Reply, Result, SessionId};
use tidewire_protocols::Protocol;

use crate::auth::Peer;
use crate::backup;
use crate::figures::Limit;
use crate::handshake;
use crate::limits::TICKET_LIFE;
use crate::server::{App, Mount};
use crate::{import, ingest};

const HEALTH: &str = "/api/health";
/// What the page, `tidewire import`, `ingest` and `backup` ask: errors are spelled as objects there.
const PAGES: [&str; 7] =
    [HEALTH, "/api/catalog", "/api/chats", "/api/tickets", import::PATH, ingest::PATH, backup::PATH];
/// A JSON body is no longer than this.
const MAX_BODY: usize = 64 * 1024;
/// So many chats are listed.
const MAX_CHATS: usize = 200;

/// All addresses of the server.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/metrics", get(metrics))
        .route(HEALTH, get(health))
        .route("/api/catalog", get(catalog))
        .route("/api/chats", get(chats))
        .route("/api/tickets", post(tickets))
        .route(backup::PATH, post(backed_up))
        .merge(crate::auth::http::router())
        .route("/api/{*rest}", any(no_such_address))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(imports())
        .merge(crate::calls::router());
    for protocol in app.protocols {
        router = router.merge(sockets(app, protocol));
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .fallback(crate::assets::serve)
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard))
        .with_state(Arc::clone(app))
}

/// Batches of an import and documents are longer than other bodies.
fn imports() -> Router<Arc<App>> {
    let import = Router::new().route(import::PATH, post(imported));
    let ingest = Router::new().route(ingest::PATH, post(ingested));
    import
        .layer(DefaultBodyLimit::max(import::MAX_BODY))
        .merge(ingest.layer(DefaultBodyLimit::max(ingest::MAX_BODY)))
}

fn sockets(app: &Arc<App>, protocol: &Protocol) -> Router<Arc<App>> {
    let mount = Mount::new(app, protocol);
    let open = move |State(app): State<Arc<App>>, params: RawPathParams, request: Request| {
        let mount = Arc::clone(&mount);
        async move { handshake::upgrade(&app, &mount, request, &params) }
    };
    let paths = std::iter::once(&protocol.path).chain(protocol.also);
    paths.fold(Router::new(), |router, path| router.route(path, any(open.clone())))
}

/// Turns away what is not meant for us, and says how browsers have to treat what we say.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let caller = Caller::of(&app, &request);
    let mut response = match refuse(&app, &request, &caller) {
        Some(error) => spell(request.uri().path(), &error),
        None => next.run(request).await,
    };
    caller.learn(&app, response.status());
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Who asks, as far as failures are counted.
struct Caller {
    sender: Option<IpAddr>,
    /// Whether something is shown that may be wrong.
    shows: bool,
}

impl Caller {
    fn of(app: &App, request: &Request) -> Self {
        let (headers, uri) = (request.headers(), request.uri());
        let in_body = uri.path().starts_with(crate::auth::http::PREFIX);
        let ticket = uri.query().is_some_and(|query| query.contains("ticket="));
        Self {
            sender: sender(app, request.extensions(), headers),
            shows: headers.contains_key(AUTHORIZATION) || ticket || in_body,
        }
    }

    /// Fails while it has to wait because it was wrong too often.
    fn check(&self, app: &App) -> Result<()> {
        match self.sender {
            Some(sender) if self.shows => {
                let checked = app.auth.attempts.check(sender);
                checked.inspect_err(|_| app.figures.count_limit(Limit::Attempts))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn learn(&self, app: &App, status: StatusCode) {
        if let Some(sender) = self.sender
            && self.shows
            && status == StatusCode::UNAUTHORIZED
        {
            app.auth.attempts.failed(sender);
        }
    }
}

/// Where a request came from; `None` is this machine.
pub(crate) fn sender(app: &App, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    extensions.get::<Peer>().and_then(|peer| app.auth.attempts.sender(*peer, headers))
}

/// A few bytes may stand for very many, so bodies come as they are.
fn check_encoding(headers: &HeaderMap) -> Result<()> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Error::invalid("compressed bodies are not taken; send it without a Content-Encoding"))
        }
        Some(_) | None => Ok(()),
    }
}

fn refuse(app: &App, request: &Request, caller: &Caller) -> Option<Error> {
    let headers = request.headers();
    // Load balancers ask for health by address; it tells nothing that a foreign page could use.
    let refusal = match request.uri().path() {
        HEALTH => None,
        _ => app.door.check_host(headers).err(),
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let refusal = refusal.or_else(|| check_encoding(headers).err());
    refusal.or_else(|| caller.check(app).err()).or_else(|| {
        let foreign = changes && !app.door.allows_origin(headers);
        foreign
            .then(|| Error::forbidden("this origin is not allowed; add it to `origins` in the configuration"))
    })
}

const SECURITY_HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// An error as HTTP spells it.
pub(crate) fn error_response(error: &Error) -> Response {
    respond(error, json!({"error": {"code": error.code.name(), "message": error.message}}))
}

/// An error as the clients of the live-data dialect read it: some look at `message`, some at `error`.
pub(crate) fn flat_response(error: &Error) -> Response {
    let (code, message) = (error.code.http_status(), &error.message);
    respond(error, json!({"code": code, "message": message, "error": message}))
}

/// Whether errors under this path are flat: all but those of what the page asks.
fn is_flat(path: &str) -> bool {
    path.starts_with("/api/") && !PAGES.contains(&path)
}

/// An error as it is spelled under this path.
fn spell(path: &str, error: &Error) -> Response {
    if is_flat(path) { flat_response(error) } else { error_response(error) }
}

fn respond(error: &Error, body: Value) -> Response {
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, no_store(), Json(body)).into_response();
    if error.code == Code::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Detail::RetryAfter(wait) = &error.detail {
        let seconds = wait.as_secs_f64().ceil() as u64;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An error on its way out of a handler; it is counted and logged where it is made.
pub(crate) struct Failed(Box<Response>);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What a handler answers.
pub(crate) type Answer<T> = std::result::Result<T, Failed>;

/// Counts and logs an error, and spells it.
pub(crate) fn fail(app: &App, error: &Error) -> Failed {
    app.figures.count_error(error.code);
    crate::telemetry::log_error(error, "http");
    Failed(Box::new(error_response(error)))
}

/// As [`fail`], flat.
pub(crate) fn fail_flat(app: &App, error: &Error) -> Failed {
    app.figures.count_error(error.code);
    crate::telemetry::log_error(error, "http");
    Failed(Box::new(flat_response(error)))
}

fn identity(app: &App, headers: &HeaderMap) -> Answer<Identity> {
    app.door.require_bearer(headers).map_err(|error| fail(app, &error))
}

fn no_store() -> [(HeaderName, &'static str); 1] {
    [(CACHE_CONTROL, "no-store")]
}

async fn no_such_address(State(app): State<Arc<App>>) -> Failed {
    fail_flat(&app, &Error::not_found("there is no such address; see the reference for those that there are"))
}

/// The engine has no code for it: it is a matter of HTTP alone.
async fn wrong_method(method: Method) -> Response {
    let message = format!("{method} is not understood at this address; see the reference for what is");
    let body = json!({"code": 405, "message": message, "error": message});
    (StatusCode::METHOD_NOT_ALLOWED, no_store(), Json(body)).into_response()
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    /// Whether all that was to be written since the start could be.
    integrity_ok: bool,
    version: &'static str,
    model: String,
    /// Whether it runs in this process, so that nothing leaves the machine.
    embedded: bool,
    /// Whether it can answer with all that it has: `ready`, `loading`, `missing` or `failed`.
    model_status: &'static str,
    /// How each MCP server stands: `starting`, `ready` or `down`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mcp: BTreeMap<String, &'static str>,
}

/// Open to everybody, so that load balancers and the page's first look need no key.
async fn health(State(app): State<Arc<App>>) -> impl IntoResponse {
    let draining = app.is_draining();
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let health = Health {
        status: if draining { "draining" } else { "ok" },
        integrity_ok: app.engine.stats().append_failures_total == 0,
        version: env!("CARGO_PKG_VERSION"),
        model: app.model.name().to_owned(),
        embedded: app.config.model == "embedded",
        model_status: app.model.status().name(),
        mcp: app.mcp.standings(),
    };
    (status, no_store(), Json(health))
}

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    identity(&app, &headers)?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.figures.render(&app)))
}

/// A request's body: late, too long, or whole.
async fn body(app: &App, request: Request, too_long: fn() -> Error) -> Answer<Bytes> {
    Bytes::from_request(request, &()).await.map_err(|rejection| {
        let late = crate::body::late(&rejection);
        if late.is_some() {
            app.figures.count_limit(Limit::Body);
        }
        fail(app, &late.unwrap_or_else(too_long))
    })
}

/// The body is read when it is known who sends it: strangers do not get to fill the memory.
async fn imported(State(app): State<Arc<App>>, request: Request) -> Answer<impl IntoResponse> {
    let identity = identity(&app, request.headers())?;
    let body = body(&app, request, batch_too_long).await?;
    let reply = import::accept(&app.records, &identity, &body).await.map_err(|error| fail(&app, &error))?;
    Ok((no_store(), [(CONTENT_TYPE, "application/json")], reply))
}

async fn ingested(State(app): State<Arc<App>>, request: Request) -> Answer<impl IntoResponse> {
    let identity = identity(&app, request.headers())?;
    let body = body(&app, request, document_too_long).await?;
    let reply = ingest::accept(&app.records, &identity, &body).await.map_err(|error| fail(&app, &error))?;
    Ok((no_store(), [(CONTENT_TYPE, "application/json")], reply))
}

fn document_too_long() -> Error {
    let most = ingest::MAX_BODY >> 20;
    Error::new(Code::TooLarge, format!("a document has at most {most} MiB of text; split it"))
}

async fn backed_up(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let identity = identity(&app, &headers)?;
    let taken = backup::take(&app, &identity).await.map_err(|error| fail(&app, &error))?;
    Ok((no_store(), Json(taken)))
}

fn batch_too_long() -> Error {
    Error::new(
        Code::TooLarge,
        format!("a batch of an import has at most {} MiB; send less", import::MAX_BODY >> 20),
    )
}

async fn chats(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let identity = identity(&app, &headers)?;
    let chats = list_chats(&app, identity).await.map_err(|error| fail(&app, &error))?;
    Ok((no_store(), Json(json!({ "chats": chats }))))
}

async fn list_chats(app: &App, identity: Identity) -> Result<Vec<Value>> {
    let connection = app.engine.connect(identity);
    let Reply::Chats(chats) =
        app.engine.execute(&connection, Command::ListChats { limit: MAX_CHATS }).await?
    else {
        return Ok(Vec::new());
    };
    // A chat that was not opened as a session, such as a branch, is opened on the page's socket by its id.
    let listed = chats.into_iter().map(|chat| {
        let id = chat.chat.to_string();
        json!({
            "session_id": chat.session.as_ref().map_or(id.as_str(), SessionId::as_str),
            "chat_id": id,
            "title": chat.title,
            "updated_at": chat.updated_at.to_rfc3339(),
            "running": chat.running,
        })
    });
    Ok(listed.collect())
}

async fn catalog(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let identity = identity(&app, &headers)?;
    let catalog = read_catalog(&app, &identity).await.map_err(|error| fail(&app, &error))?;
    Ok((no_store(), Json(catalog)))
}

async fn read_catalog(app: &App, identity: &Identity) -> Result<Value> {
    let Summary { tables, suggestions, metrics } = summary(app.records.as_ref(), identity).await?;
    let documents = app.records.documents(identity).await?;
    Ok(json!({
        "tables": tables.iter().map(Table::summary).collect::<Vec<_>>(),
        "suggestions": suggestions,
        "documents": documents,
        "agents": app.engine.agents().collect::<Vec<_>>(),
        "metrics": {
            "total_tables": metrics.total_tables,
            "total_columns": metrics.total_columns,
            "facts_count": metrics.facts_count,
            "dimensions_count": metrics.dimensions_count,
            "relationships_count": metrics.relationships_count,
        },
    }))
}

/// For whom a ticket is asked. Only admins may ask for others.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TicketRequest {
    subject: Option<String>,
    grants: Vec<TicketGrant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketGrant {
    collection: String,
    #[serde(default)]
    write: bool,
}

async fn tickets(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer<impl IntoResponse> {
    let asker = identity(&app, &headers)?;
    let identity = read_ticket_request(&body)
        .and_then(|request| ticket_identity(asker, request))
        .map_err(|error| fail(&app, &error))?;
    let ticket = app.tickets.issue(identity, std::time::Instant::now());
    Ok((no_store(), Json(json!({"ticket": ticket, "expires_in_s": TICKET_LIFE.as_secs()}))))
}

fn read_ticket_request(body: &[u8]) -> Result<TicketRequest> {
    if body.is_empty() {
        return Ok(TicketRequest::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        Error::invalid(format!("send nothing, or {{\"subject\", \"grants\"}}: {error}")).caused_by(error)
    })
}

fn ticket_identity(asker: Identity, request: TicketRequest) -> Result<Identity> {
    if request.subject.is_none() && request.grants.is_empty() {
        return Ok(asker);
    }
    if !asker.is_admin() {
        return Err(Error::forbidden(
            "only an admin key asks for tickets in other names or with other grants",
        ));
    }
    let subject = request.subject.unwrap_or_else(|| asker.subject.0.to_string());
    if subject.is_empty() || subject.len() > 128 {
        let wrong = Error::invalid("a subject has 1 to 128 bytes");
        return Err(wrong.with(Detail::Field("subject".into())));
    }
    let grants = request.grants.into_iter();
    let grants = grants.map(|grant| Grant { collection: grant.collection, write: grant.write }).collect();
    Ok(Identity { key: asker.key, subject: subject.as_str().into(), grants: Grants::Collections(grants) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_mints_tickets_for_others_and_nobody_else_does() {
        let request = r#"{"subject": "ann", "grants": [{"collection": "orders"}]}"#;
        let read = || read_ticket_request(request.as_bytes()).unwrap();
        let ann = ticket_identity(Identity::local(), read()).unwrap();
        assert_eq!(ann.subject, "ann".into());
        assert!(ann.check_read("orders").is_ok() && ann.check_write("orders").is_err());
        assert!(ticket_identity(ann.clone(), read()).is_err());
        let narrower = r#"{"grants": [{"collection": "orders"}]}"#.as_bytes();
        let narrowed = ticket_identity(Identity::local(), read_ticket_request(narrower).unwrap()).unwrap();
        assert!(!narrowed.is_admin() && narrowed.subject == Identity::local().subject);
        assert!(ticket_identity(ann.clone(), read_ticket_request(narrower).unwrap()).is_err());
        assert_eq!(ticket_identity(ann.clone(), TicketRequest::default()).unwrap(), ann);
        assert!(read_ticket_request(b"{\"subjekt\": 1}").is_err());
    }

    #[test]
    fn errors_say_when_to_come_back() {
        let wait = Detail::RetryAfter(std::time::Duration::from_millis(1200));
        let response = error_response(&Error::new(Code::RateLimited, "later").with(wait));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}
