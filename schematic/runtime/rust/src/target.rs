//! Where to connect to and as whom: from what the caller gave to the request of one attempt.
//!
//! Refuses to send credentials unencrypted and keeps them out of everything that is printed. Which endpoint it is, and
//! what its parameters mean, is the business of generated code.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use crate::{Error, ErrorKind, Request, redact};

/// Characters of a path value that stay as they are; the set that RFC 3986 calls unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Parts of names whose values are taken for secrets.
const TELLING: [&str; 10] =
    ["key", "token", "ticket", "secret", "auth", "passw", "signature", "credential", "cookie", "session"];

/// Which attempt to connect this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1 after each stable connection
    pub attempt: u32,
    /// Whether there was a link before
    pub reconnect: bool,
    /// Whether the session may be taken up where it was
    pub resume: bool,
}

/// A credential. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// A credential that the caller has.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The first of these environment variables that is set; an empty one counts as unset.
    pub fn from_env(names: &[&str]) -> Option<Self> {
        first_set(names, |name| std::env::var(name).ok())
    }

    /// User name and password, as `Authorization: Basic` wants them.
    pub fn basic(user: &str, password: &str) -> Self {
        Self(BASE64.encode(format!("{user}:{password}")))
    }

    /// The secret itself, for the first message of a session.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn first_set(names: &[&str], get: impl Fn(&str) -> Option<String>) -> Option<Credential> {
    names.iter().filter_map(|name| get(name)).find(|value| !value.is_empty()).map(Credential)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

/// Where in the upgrade a credential travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthWay {
    /// In a header
    Header {
        /// Its name
        name: String,
        /// What stands before the credential, with its space
        prefix: String,
    },
    /// In the query of the address
    Query {
        /// Name of the parameter
        name: String,
        /// What stands before the credential
        prefix: String,
    },
    /// In a cookie
    Cookie {
        /// Its name
        name: String,
    },
    /// As one of the offered subprotocols
    Subprotocol {
        /// What stands before the credential in the offered name
        prefix: String,
        /// Subprotocols that are offered before it
        beside: Vec<String>,
    },
    /// Not in the upgrade but in the first message, which the session makes
    FirstMessage,
}

/// Where to connect to, and as whom.
///
/// ```
/// use schematic_runtime::{AuthWay, Credential, Target};
///
/// let way = AuthWay::Query { name: "token".into(), prefix: String::new() };
/// let target = Target::new("wss://example.com/listen").query("lang", "de").auth(&way, &Credential::new("s3cret"));
/// assert_eq!(format!("{target:?}"), r#"Target("wss://example.com/listen?lang=de&token=***")"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    query: Vec<(String, String)>,
    protocols: Vec<String>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    secrets: Vec<String>,
}

impl Target {
    /// An address; `http` and `https` stand for `ws` and `wss`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            query: Vec::new(),
            protocols: Vec::new(),
            headers: Vec::new(),
            cookies: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// A parameter of the query.
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// A parameter of the query that may be left out.
    pub fn query_if_some(self, name: impl Into<String>, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// A header of the upgrade.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A subprotocol to offer. If there are any, the server has to choose one of them.
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// A value that may not appear in errors, beside those that the address itself gives away.
    pub fn secret(mut self, value: impl Into<String>) -> Self {
        self.secrets.push(value.into());
        self
    }

    /// Puts the credential where the server wants it.
    pub fn auth(self, way: &AuthWay, credential: &Credential) -> Self {
        let secret = credential.reveal();
        let mut target = self.secret(secret);
        match way {
            AuthWay::Header { name, prefix } => target.header(name, format!("{prefix}{secret}")),
            AuthWay::Query { name, prefix } => target.query(name, format!("{prefix}{secret}")),
            AuthWay::Cookie { name } => {
                target.cookies.push(format!("{name}={secret}"));
                target
            }
            AuthWay::Subprotocol { prefix, beside } => {
                target.protocols.extend(beside.iter().cloned());
                target.protocol(format!("{prefix}{secret}"))
            }
            AuthWay::FirstMessage => target,
        }
    }

    /// The checked request of an attempt that accepts messages of at most `message_bytes`. Errors of kind `Insecure` if a credential would travel unencrypted to another machine.
    pub fn request(&self, message_bytes: usize) -> Result<Request, Error> {
        let url = self.url()?;
        let mut secrets = self.secrets.clone();
        secrets.extend(secrets_of(&url));
        secrets.extend(self.headers.iter().filter(|(name, _)| tells(name)).map(|(_, value)| value.clone()));
        if url.scheme() == "ws" && !secrets.is_empty() && !is_loopback(&url) {
            return Err(insecure(&url));
        }
        let mut headers = self.headers.clone();
        if !self.cookies.is_empty() {
            headers.push(("Cookie".to_owned(), self.cookies.join("; ")));
        }
        Ok(Request { url: url.into(), protocols: self.protocols.clone(), headers, message_bytes, secrets })
    }

    fn url(&self) -> Result<Url, Error> {
        // The address itself stays out of the sentence: it may hold a credential.
        let wrong =
            || Error::new(ErrorKind::Connect, "Give an absolute address that begins with ws:// or wss://");
        let spelled = match self.url.split_once("://") {
            Some(("http", rest)) => format!("ws://{rest}"),
            Some(("https", rest)) => format!("wss://{rest}"),
            Some(_) | None => self.url.clone(),
        };
        let mut url = Url::parse(&spelled).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "ws" | "wss") || url.host().is_none() {
            return Err(wrong());
        }
        url.set_fragment(None);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(url) = self.url() else { return f.write_str("Target(invalid address)") };
        let mut secrets = self.secrets.clone();
        secrets.extend(secrets_of(&url));
        write!(f, "Target({:?})", redact(url.as_str(), &secrets))
    }
}

/// A value as one segment of a path.
pub fn segment(value: impl ToString) -> String {
    utf8_percent_encode(&value.to_string(), SEGMENT).to_string()
}

fn insecure(url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    Error::new(
        ErrorKind::Insecure,
        format!("Use wss:// for {host}: ws:// would send the credentials unencrypted"),
    )
}

/// Whether a name says that its value is a secret.
pub(crate) fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

fn secrets_of(url: &Url) -> Vec<String> {
    let members = url.query_pairs().filter(|(name, _)| tells(name)).map(|(_, value)| value.into_owned());
    let user = [url.username().to_owned(), url.password().unwrap_or_default().to_owned()];
    members.chain(user).filter(|value| !value.is_empty()).collect()
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> AuthWay {
        AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() }
    }

    #[test]
    fn each_way_puts_the_credential_where_it_says() {
        let credential = Credential::new("s3/cret");
        let request = |way: AuthWay| Target::new("wss://h/p").auth(&way, &credential).request(1).unwrap();
        assert_eq!(request(header()).headers, [("Authorization".to_owned(), "Bearer s3/cret".to_owned())]);
        let query = AuthWay::Query { name: "key".into(), prefix: String::new() };
        assert_eq!(request(query).url, "wss://h/p?key=s3%2Fcret");
        let cookie = request(AuthWay::Cookie { name: "sid".into() });
        assert_eq!(cookie.headers, [("Cookie".to_owned(), "sid=s3/cret".to_owned())]);
        let way = AuthWay::Subprotocol { prefix: "key.".into(), beside: vec!["realtime".into()] };
        assert_eq!(request(way).protocols, ["realtime", "key.s3/cret"]);
        let first = request(AuthWay::FirstMessage);
        assert!(first.headers.is_empty() && first.protocols.is_empty());
    }

    #[test]
    fn credentials_travel_unencrypted_to_this_machine_only() {
        let open = |url: &str| Target::new(url).auth(&header(), &Credential::new("x")).request(1);
        for url in
            ["ws://example.com", "ws://127.0.0.1.example.com", "http://10.0.0.1/", "ws://u:p@example.com"]
        {
            assert_eq!(open(url).unwrap_err().kind, ErrorKind::Insecure, "{url}");
        }
        for url in ["wss://example.com", "ws://127.0.0.1:1", "ws://[::1]:1", "ws://localhost"] {
            assert!(open(url).is_ok(), "{url}");
        }
        let first = Target::new("ws://example.com").auth(&AuthWay::FirstMessage, &Credential::new("x"));
        assert_eq!(first.request(1).unwrap_err().kind, ErrorKind::Insecure);
        assert!(Target::new("ws://example.com").request(1).is_ok());
    }

    #[test]
    fn the_first_variable_that_is_set_wins_and_an_empty_one_is_not_set() {
        let get = |name: &str| match name {
            "EMPTY" => Some(String::new()),
            "SET" => Some("one".to_owned()),
            "LATER" => Some("two".to_owned()),
            _ => None,
        };
        let found = first_set(&["MISSING", "EMPTY", "SET", "LATER"], get);
        assert_eq!(found, Some(Credential::new("one")));
        assert_eq!(first_set(&["MISSING", "EMPTY"], get), None);
    }

    #[test]
    fn nothing_that_prints_shows_the_credential() {
        let credential = Credential::new("s3/cret");
        let query = AuthWay::Query { name: "q".into(), prefix: String::new() };
        let target = Target::new("wss://user:pass@h/").auth(&header(), &credential).auth(&query, &credential);
        let request = target.request(1).unwrap();
        for printed in [format!("{credential:?}"), format!("{target:?}"), format!("{request:?}")] {
            assert!(!["s3/cret", "s3%2Fcret", "pass"].iter().any(|s| printed.contains(s)), "{printed}");
        }
    }

    #[test]
    fn wrong_addresses_are_told_without_repeating_them() {
        for url in ["", "example.com", "ftp://user:secret@h", "ws://"] {
            let error = Target::new(url).request(1).unwrap_err();
            assert!(error.kind == ErrorKind::Connect && !error.message.contains("secret"), "{url}: {error}");
        }
        assert_eq!(segment("a b/ü"), "a%20b%2F%C3%BC");
    }
}
