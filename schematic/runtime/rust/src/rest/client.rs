//! A client of an API: where it is, who asks, and how patient it is.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::redirect;
use url::Url;

use super::clock::{Clock, SystemClock};
use crate::target::is_loopback;
use crate::{Credential, Error, ErrorKind};

/// What a definition says about a whole API.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Where it is, if the caller does not say otherwise
    pub base_url: &'static str,
    /// How a caller proves who it is
    pub auth: Auth,
    /// Environment variables that may hold the credential
    pub env: &'static [&'static str],
    /// Environment variable that holds the user name, for [`Auth::Basic`]
    pub env_username: Option<&'static str>,
}

/// Where the credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Nobody asks
    None,
    /// In a header
    Header {
        /// Its name
        name: &'static str,
        /// What stands before the credential, with its space
        prefix: &'static str,
    },
    /// With the user name in `Authorization: Basic …`
    Basic,
    /// In the query
    Query {
        /// Name of the parameter
        name: &'static str,
    },
    /// In a cookie
    Cookie {
        /// Its name
        name: &'static str,
    },
}

/// When and how often an idempotent call is repeated: after 429, 502, 503, 504 and lost connections. Others never are.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Most repetitions of one call; with 0 nothing is repeated
    pub max: u32,
    /// Wait before the first; each further one doubles it
    pub initial: Duration,
    /// Longest wait of our own
    pub longest: Duration,
    /// Which part of a wait is left to chance, 0 to 1
    pub jitter: f64,
    /// Longest wait that `Retry-After` can ask for; what is longer counts as this
    pub retry_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            max: 3,
            initial: Duration::from_millis(500),
            longest: seconds(8),
            jitter: 0.25,
            retry_after: seconds(60),
        }
    }
}

impl Retry {
    /// The wait before repetition number `count`, which counts from 1. `chance` is from 0 up to 1.
    pub fn delay(&self, count: u32, chance: f64) -> Duration {
        let doubled = self.initial.saturating_mul(2u32.saturating_pow(count.saturating_sub(1)));
        doubled.min(self.longest).mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0))
    }
}

/// What the caller says about a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the API is; `None` for where its definition says
    pub base_url: Option<String>,
    /// The credential; `None` for the one in the environment
    pub credential: Option<Credential>,
    /// The user name, for APIs that want one; `None` for the one in the environment
    pub username: Option<String>,
    /// Whether to go without a credential
    pub anonymous: bool,
    /// How long a connection may take
    pub connect_timeout: Duration,
    /// How long one attempt may take until its body is whole; of a stream, how long it may be silent
    pub timeout: Duration,
    /// When a call is repeated
    pub retry: Retry,
    /// Longest body that is read, or longest item of a stream, in bytes
    pub body_bytes: usize,
    /// The time
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_url: None,
            credential: None,
            username: None,
            anonymous: false,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            retry: Retry::default(),
            body_bytes: 64 << 20,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Sends calls. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) access: Access,
    pub(super) options: Options,
}

/// The credential, ready for its place.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) auth: Auth,
    /// As it is written in a header or cookie: with prefix, or user name
    pub(super) written: Credential,
    /// Values that may not appear anywhere
    pub(super) secrets: Secrets,
}

/// Values that print as `***`.
#[derive(Clone, Default)]
pub(super) struct Secrets(pub(super) Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Client {
    /// A client of an API. Errors of kind `Auth` if there is no credential, `Insecure` if it would travel unencrypted to
    /// another machine, `Connect` if the address is none.
    pub fn new(api: &Api, options: Options) -> Result<Self, Error> {
        let base = base(options.base_url.as_deref().unwrap_or(api.base_url))?;
        let access = access(api, &options)?;
        if access.auth != Auth::None && is_open(&base) {
            return Err(insecure(&base));
        }
        let http = reqwest::Client::builder()
            // They are followed by hand, because a key in a header of its own would go along to anybody.
            .redirect(redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Connect, format!("No HTTP client can be made: {error}"))
            })?;
        Ok(Self(Arc::new(Inner { http, base, access, options })))
    }
}

/// Whether what travels there can be read on the way.
pub(super) fn is_open(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

pub(super) fn insecure(url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    Error::new(
        ErrorKind::Insecure,
        format!("Use https:// for {host}: http:// would send the credentials unencrypted"),
    )
}

fn base(text: &str) -> Result<Url, Error> {
    // The address itself stays out of the sentence: it may hold a credential.
    let wrong = || {
        let what = "Give an address that begins with http:// or https:// and has no user, query or fragment";
        Error::new(ErrorKind::Connect, what)
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none();
    let short = url.query().is_none() && url.fragment().is_none();
    let web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    if plain && short && web { Ok(url) } else { Err(wrong()) }
}

fn access(api: &Api, options: &Options) -> Result<Access, Error> {
    let none = Access { auth: Auth::None, written: Credential::new(""), secrets: Secrets(Vec::new()) };
    if options.anonymous || api.auth == Auth::None {
        return Ok(none);
    }
    let credential = options.credential.clone().or_else(|| Credential::from_env(api.env));
    let credential = credential.ok_or_else(|| missing("credential", api.env))?;
    let secret = credential.reveal().to_owned();
    let written = match api.auth {
        Auth::Header { prefix, .. } => format!("{prefix}{secret}"),
        Auth::Basic => {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{secret}", username(api, options)?)))
        }
        Auth::Query { .. } | Auth::Cookie { .. } | Auth::None => secret.clone(),
    };
    // What is written for `Basic` gives the secret away as well.
    let encoded = written.rsplit(' ').next().unwrap_or_default().to_owned();
    Ok(Access { auth: api.auth, written: Credential::new(written), secrets: Secrets(vec![secret, encoded]) })
}

fn username(api: &Api, options: &Options) -> Result<String, Error> {
    let names = api.env_username.as_slice();
    let found = || Credential::from_env(names).map(|name| name.reveal().to_owned());
    options.username.clone().or_else(found).ok_or_else(|| missing("user name", names))
}

fn missing(what: &str, env: &[&str]) -> Error {
    let or = if env.is_empty() { String::new() } else { format!(" or set {}", env.join(" or ")) };
    Error::new(
        ErrorKind::Auth,
        format!("There is no {what}: give one in the options{or}, or call as anonymous"),
    )
}
