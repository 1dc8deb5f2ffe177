//! One request as generated code describes it, before it has an address and a credential.

use std::fmt;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use url::Url;

use super::Form;
use crate::target::tells;
use crate::{Error, ErrorKind, segment};

/// What RFC 6265 leaves out of a cookie's value, and the sign of the encoding itself.
pub(super) const COOKIE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// One request. What cannot be written is told when it is sent. It prints without values, which may be secret.
pub struct Call {
    pub(super) method: Method,
    template: &'static str,
    path: Vec<(&'static str, String)>,
    query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    pub(super) cookies: Vec<String>,
    pub(super) body: Option<Bytes>,
    pub(super) accepts: &'static [u16],
    /// Values that may not appear in errors, and not travel unencrypted
    pub(super) secrets: Vec<String>,
    /// Takes the place of template, path and query
    pub(super) at: Option<Url>,
    pub(super) problem: Option<Error>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.name())
    }
}

impl Call {
    /// A request to a path template; the names in its braces are given with [`Call::path`].
    pub fn new(method: Method, template: &'static str) -> Self {
        Self {
            method,
            template,
            path: Vec::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            cookies: Vec::new(),
            body: None,
            accepts: &[],
            secrets: Vec::new(),
            at: None,
            problem: None,
        }
    }

    /// The statuses that count as success; without them every one from 200 to 299.
    pub fn accepts(mut self, statuses: &'static [u16]) -> Self {
        self.accepts = statuses;
        self
    }

    /// What stands in the braces of the template. It stays within its segment of the path, whatever it is.
    pub fn path(mut self, name: &'static str, value: impl ToString) -> Self {
        let value = value.to_string();
        if matches!(value.as_str(), "" | "." | "..") {
            // Servers and address parsers take these away, so that another endpoint would be called.
            self.fail(format!("The path parameter `{name}` is `{value}`, which names nothing; give a name"));
        }
        self.path.push((name, value));
        self
    }

    /// A parameter of the query; one that is given again takes the place of the former.
    pub fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.set_query(name, value.to_string());
        }
        self
    }

    pub(super) fn set_query(&mut self, name: &'static str, value: String) {
        self.query.retain(|(known, _)| *known != name);
        self.query.push((name, value));
    }

    /// What a parameter of the query is, if it is given.
    pub(super) fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A header; one that is given again takes the place of the former.
    pub fn header(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        let Some(value) = value.map(|value| value.to_string()) else { return self };
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) if value.to_str().is_ok() => drop(self.headers.insert(name, value)),
            _ => self.fail(format!("The header `{name}` takes visible ASCII on one line; encode the value")),
        }
        self.keep_secret(name, value);
        self
    }

    /// A cookie. What a cookie cannot hold is percent-encoded.
    pub fn cookie(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value.map(|value| value.to_string()) {
            self.cookies.push(format!("{name}={}", utf8_percent_encode(&value, COOKIE)));
            self.keep_secret(name, value);
        }
        self
    }

    fn keep_secret(&mut self, name: &str, value: String) {
        if tells(name) {
            self.secrets.push(value);
        }
    }

    /// A body of JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body("application/json", bytes),
            Err(error) => {
                self.fail(format!("The body cannot be written as JSON: {error}"));
                self
            }
        }
    }

    /// A body of another media type.
    pub fn body(mut self, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        match HeaderValue::from_str(content_type) {
            // A header of the definition wins.
            Ok(value) => drop(self.headers.entry(reqwest::header::CONTENT_TYPE).or_insert(value)),
            Err(_) => self.fail(format!("`{content_type}` is no media type")),
        }
        self.body = Some(bytes.into());
        self
    }

    /// A body of `multipart/form-data`.
    pub fn multipart(mut self, form: Form) -> Self {
        let (content_type, bytes) = form.multipart();
        // The boundary is part of the media type, so that no other would be understood.
        self.headers.remove(reqwest::header::CONTENT_TYPE);
        self.problem = self.problem.or(form.problem);
        self.body(&content_type, bytes)
    }

    /// A body of `application/x-www-form-urlencoded`.
    pub fn urlencoded(mut self, form: Form) -> Self {
        let bytes = form.urlencoded();
        self.problem = self.problem.or(form.problem);
        self.body("application/x-www-form-urlencoded", bytes)
    }

    fn fail(&mut self, message: String) {
        self.problem.get_or_insert(Error::new(ErrorKind::Shape, message));
    }

    /// How errors name the request: without values, which may be secret.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    /// The address below a base.
    pub(super) fn url(&self, base: &Url) -> Result<Url, Error> {
        if let Some(url) = &self.at {
            return Ok(url.clone());
        }
        let filled = self.path.iter().fold(self.template.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), &segment(value))
        });
        let pairs: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value))).collect();
        let mut url = base.as_str().trim_end_matches('/').to_owned() + &filled;
        if !pairs.is_empty() {
            url.push(if filled.contains('?') { '&' } else { '?' });
            url.push_str(&pairs.join("&"));
        }
        Url::parse(&url).map_err(|error| {
            Error::new(ErrorKind::Connect, format!("{} has no address: {error}", self.name()))
        })
    }

    /// Whether a status is a success.
    pub(super) fn is_success(&self, status: u16) -> bool {
        match self.accepts {
            [] => (200..300).contains(&status),
            listed => listed.contains(&status),
        }
    }
}
