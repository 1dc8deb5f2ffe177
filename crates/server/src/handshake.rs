//! The door: which requests may come in, in whose name, and how one becomes a WebSocket.
//!
//! Three questions are asked of a socket. Is it really meant for us (the `Host` header, against DNS rebinding)? Does
//! a page that may do so ask (the `Origin` header, against foreign pages that use the visitor's standing)? And who
//! asks (a bearer key, or a one-time ticket where a browser cannot send a header)? What is said afterwards is the
//! socket's business.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tidewire_engine::{Error, Identity, Result};
use tidewire_protocols::{Opening, Refusal};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::auth::{Auth, is_token, unauthenticated};
use crate::config::{Config, is_loopback_name};
use crate::limits::Limited;
use crate::pipe::{self, Pipe};
use crate::server::{App, Mount};
use crate::socket::{self, Conversation};

/// How long the bytes of an accepted upgrade may take.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a refused client has to take its close frame.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);

/// Who may come in.
pub(crate) struct Door {
    auth: Arc<Auth>,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Door {
    /// As configured.
    pub(crate) fn new(config: &Config, auth: Arc<Auth>) -> Self {
        let mut hosts: Vec<String> = config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let ip = config.listen.ip();
        if !ip.is_unspecified() {
            hosts.push(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
        }
        let origins = config.origins.iter().map(|origin| origin.to_ascii_lowercase()).collect();
        Self { auth, hosts, origins }
    }

    /// Whether the request names us. A page that rebinds its own name to our address does not.
    pub(crate) fn check_host(&self, headers: &HeaderMap) -> Result<()> {
        let host = host(headers).unwrap_or_default();
        let name = without_port(host);
        if is_loopback_name(name) || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "this server is not known as {name:?}; add the name to `hosts` in its configuration"
        )))
    }

    /// Whose key or token the request carries: nobody's if it carries none, an error if it is wrong.
    pub(crate) fn bearer(&self, headers: &HeaderMap) -> Result<Option<Identity>> {
        if !self.auth.keys.is_keyed() {
            return Ok(Some(Identity::local()));
        }
        let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
        let credential = value.to_str().ok().and_then(|text| {
            let (scheme, credential) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
        });
        let credential = credential.ok_or_else(no_bearer)?;
        self.auth.identify(credential).map(Some)
    }

    /// Whose key or token this is. Without keys whatever it is, it is as good as none.
    pub(crate) fn identify(&self, credential: &str) -> Result<Identity> {
        if !self.auth.keys.is_keyed() {
            return Ok(Identity::local());
        }
        self.auth.identify(credential)
    }

    /// Whose key this is; a token is none, so that nobody trades one that is narrow or about to end for a better one.
    pub(crate) fn identify_key(&self, key: &str) -> Result<Identity> {
        if !self.auth.keys.is_keyed() {
            return Ok(Identity::local());
        }
        if is_token(key) {
            return Err(unauthenticated("a token gets no other token; send the key itself"));
        }
        self.auth.identify(key)
    }

    /// Whose key the request carries; none is an error too.
    pub(crate) fn require_bearer(&self, headers: &HeaderMap) -> Result<Identity> {
        self.bearer(headers)?.ok_or_else(no_bearer)
    }

    /// Whether this page may open sockets and send requests that change something. A request without an origin comes
    /// from a program, and programs show a key where there are keys.
    pub(crate) fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let own = host(headers).is_some_and(|host| host.eq_ignore_ascii_case(authority));
        own || self.origins.contains(&origin)
            || (!self.auth.keys.is_keyed() && is_loopback_name(without_port(authority)))
    }
}

fn no_bearer() -> Error {
    unauthenticated("send a key or a token: `Authorization: Bearer …`")
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).and_then(|value| value.to_str().ok())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Answers a request for a socket: with 101 and a task that owns it, or with a refusal.
///
/// What the dialect wants to say in its own close codes is said after the upgrade, because a browser shows nothing
/// of a refused handshake to its page.
pub(crate) fn upgrade(
    app: &Arc<App>,
    mount: &Arc<Mount>,
    mut request: Request,
    params: &RawPathParams,
) -> Response {
    let accept = match check_upgrade(&request) {
        Ok(accept) => accept,
        Err(response) => return *response,
    };
    let query = read_query(request.uri().query());
    let sender = crate::http::sender(app, request.extensions(), request.headers());
    let outcome = match admit(app, mount, request.headers(), sender, params, &query) {
        Ok(outcome) => outcome,
        Err(error) => {
            app.figures.refused.increment(1);
            app.figures.count_error(error.code);
            return crate::http::error_response(&error);
        }
    };
    let on_upgrade = hyper::upgrade::on(&mut request);
    app.tasks.spawn(take_over(Arc::clone(app), Arc::clone(mount), on_upgrade, outcome));
    switching_protocols(&accept)
}

/// What becomes of an upgrade.
type Outcome = std::result::Result<Conversation, Refusal>;

fn admit(
    app: &Arc<App>,
    mount: &Arc<Mount>,
    headers: &HeaderMap,
    sender: Option<IpAddr>,
    params: &RawPathParams,
    query: &[(String, String)],
) -> Result<Outcome> {
    let protocol = mount.protocol;
    if !app.door.allows_origin(headers) {
        let reason = "this origin is not allowed; add it to `origins`".into();
        return Ok(Err(Refusal { code: protocol.origin_close_code, reason }));
    }
    let identity = identify(app, headers, query)?;
    let stay = app.auth.leave_to_stay(&identity)?;
    if app.is_draining() {
        return Ok(Err(Refusal { code: 1012, reason: "the server restarts; come back in a moment".into() }));
    }
    let slot = match app.places.for_socket(sender, &identity, &app.figures) {
        Ok(slot) => slot,
        Err(full) => return Ok(Err(Refusal { code: 1013, reason: full.message })),
    };
    let params: Vec<(&str, &str)> = params.iter().collect();
    let pairs: Vec<(&str, &str)> = query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let opening = Opening {
        params: &params,
        query: &pairs,
        asker: &identity,
        now: Instant::now(),
        switches: &app.switches,
    };
    let limited = Limited::of(protocol.rate, &identity.subject, &opening);
    Ok((protocol.open)(opening).map(|session| Conversation { session, identity, limited, slot, stay }))
}

fn identify(app: &App, headers: &HeaderMap, query: &[(String, String)]) -> Result<Identity> {
    if let Some((_, ticket)) = query.iter().find(|(name, _)| name == "ticket") {
        let redeemed = app.tickets.redeem(ticket, Instant::now());
        return redeemed.ok_or_else(|| {
            unauthenticated("the ticket is used up or too old; ask for another at /api/tickets")
        });
    }
    app.door.require_bearer(headers)
}

fn read_query(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// RFC 6455 §4.2.1.
fn check_upgrade(request: &Request) -> std::result::Result<String, Box<Response>> {
    let headers = request.headers();
    let asks = has_token(headers, CONNECTION, "upgrade") && has_token(headers, UPGRADE, "websocket");
    if request.method() != Method::GET || request.version() != Version::HTTP_11 || !asks {
        let sentence = "this address speaks WebSocket; connect to it with a WebSocket client";
        let upgrade = [(UPGRADE, HeaderValue::from_static("websocket"))];
        return Err(Box::new((StatusCode::UPGRADE_REQUIRED, upgrade, sentence).into_response()));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let version = [(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))];
        let sentence = "only version 13 is spoken";
        return Err(Box::new((StatusCode::UPGRADE_REQUIRED, version, sentence).into_response()));
    }
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) => Ok(derive_accept_key(key.as_bytes())),
        None => {
            let sentence = "the header Sec-WebSocket-Key is missing";
            Err(Box::new((StatusCode::BAD_REQUEST, sentence).into_response()))
        }
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

fn switching_protocols(accept: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn take_over(app: Arc<App>, mount: Arc<Mount>, on_upgrade: OnUpgrade, outcome: Outcome) {
    let Some(pipe) = open_pipe(&app, &mount, on_upgrade).await else { return };
    match outcome {
        // A task of its own: this one is large, and is gone in a moment.
        Ok(conversation) => {
            let tasks = app.tasks.clone();
            tasks.spawn(socket::run(app, mount, pipe, conversation));
        }
        Err(refusal) => {
            app.figures.refused.increment(1);
            pipe::close(&std::sync::Mutex::new(pipe), refusal.code, &refusal.reason, REFUSAL_PATIENCE).await;
        }
    }
}

/// Takes the bare TCP connection out of the HTTP server's hands, so that none of its buffers stays behind.
async fn open_pipe(app: &App, mount: &Mount, on_upgrade: OnUpgrade) -> Option<Pipe> {
    let upgraded: Upgraded = tokio::time::timeout(UPGRADE_PATIENCE, on_upgrade).await.ok()?.ok()?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    let limit = app.config.limits.message_bytes.min(mount.protocol.max_message);
    Some(Pipe::new(parts.io.into_inner(), &parts.read_buf, limit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};
    use tidewire_engine::Code;
    use tidewire_engine::id::SystemClock;
    use tidewire_engine::store::sqlite::Sqlite;

    use super::*;
    use crate::auth::Signer;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn door(change: impl FnOnce(&mut Config)) -> Door {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        change(&mut config);
        let store = Arc::new(Sqlite::in_memory().unwrap());
        let signer = Signer::open(folder.path()).unwrap();
        let auth = Auth::new(&config, store, Arc::new(SystemClock), signer);
        Door::new(&config, Arc::new(auth))
    }

    /// One for all cases.
    fn keyed() -> &'static Door {
        static DOOR: std::sync::OnceLock<Door> = std::sync::OnceLock::new();
        DOOR.get_or_init(|| door(|config| config.api_keys = vec!["0123456789abcdef".into()]))
    }

    #[test]
    fn only_known_names_are_answered() {
        let door = door(|config| config.hosts = vec!["Chat.example.com".into()]);
        for good in [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "chat.example.com",
            "CHAT.example.com:443",
        ] {
            assert!(door.check_host(&headers(&[(HOST, good)])).is_ok(), "{good}");
        }
        for bad in ["evil.example.com", "localhost.evil.com:8080", "", "chat.example.com.evil.com"] {
            assert!(door.check_host(&headers(&[(HOST, bad)])).is_err(), "{bad}");
        }
        assert!(door.check_host(&HeaderMap::new()).is_err());
    }

    #[test]
    fn without_keys_any_local_page_may_ask_and_no_other() {
        let door = door(|_| ());
        let asks = |origin| door.allows_origin(&headers(&[(HOST, "127.0.0.1:8080"), (ORIGIN, origin)]));
        for good in
            ["http://localhost:5173", "http://127.0.0.1:8080", "https://localhost", "http://[::1]:3000"]
        {
            assert!(asks(good), "{good}");
        }
        for bad in
            ["https://evil.com", "null", "", "http://localhost.evil.com", "http://evil.com:8080", "localhost"]
        {
            assert!(!asks(bad), "{bad}");
        }
        assert!(door.allows_origin(&headers(&[(HOST, "localhost")])));
    }

    #[test]
    fn with_keys_a_page_is_our_own_or_listed() {
        let door = door(|config| {
            config.api_keys = vec!["0123456789abcdef".into()];
            config.origins = vec!["https://app.example.com".into()];
        });
        let asks = |origin| door.allows_origin(&headers(&[(HOST, "chat.example.com"), (ORIGIN, origin)]));
        assert!(asks("https://chat.example.com"));
        assert!(asks("https://APP.example.com"));
        assert!(!asks("http://app.example.com"));
        assert!(!asks("http://localhost:5173"));
    }

    #[test]
    fn keys_are_known_plain_and_by_digest() {
        let digest = crate::hex(&Sha256::digest(b"fedcba9876543210"));
        let door =
            door(|config| config.api_keys = vec!["0123456789abcdef".into(), format!("sha256:{digest}")]);
        let asks = |value| door.bearer(&headers(&[(AUTHORIZATION, value)]));
        assert!(asks("Bearer 0123456789abcdef").unwrap().unwrap().is_admin());
        assert!(asks("bearer fedcba9876543210").unwrap().unwrap().is_admin());
        for bad in
            ["Bearer nonsense", "Basic 0123456789abcdef", "0123456789abcdef", &format!("Bearer {digest}")]
        {
            assert_eq!(asks(bad).unwrap_err().code, Code::Unauthenticated, "{bad}");
        }
        assert_eq!(door.bearer(&HeaderMap::new()).unwrap(), None);
        assert!(door.require_bearer(&HeaderMap::new()).is_err());
    }

    proptest! {
        /// Whatever the headers say, there is an answer; only what was set up is let in.
        #[test]
        fn any_headers_are_judged(bytes in proptest::collection::vec(proptest::collection::vec(32_u8..255, 0..40), 3)) {
            let door = keyed();
            let values = bytes.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok());
            let headers = HeaderMap::from_iter([HOST, ORIGIN, AUTHORIZATION].into_iter().zip(values));
            if headers.contains_key(AUTHORIZATION) {
                prop_assert_eq!(door.bearer(&headers).unwrap_err().code, Code::Unauthenticated);
            }
            let authority = host(&headers).unwrap_or_default();
            let own = format!("://{authority}").to_ascii_lowercase();
            if let Some(origin) = headers.get(ORIGIN) && door.allows_origin(&headers) {
                let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
                prop_assert!(origin.ends_with(&own), "{origin} is not {own}");
            }
            let _ = door.check_host(&headers);
        }

        /// A query survives being written, and any text is one.
        #[test]
        fn any_query_is_read(pairs in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..5), text in ".{0,60}") {
            let written = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let read = read_query(Some(&written));
            prop_assert_eq!(read, pairs);
            let _ = read_query(Some(&text));
        }
    }
}
