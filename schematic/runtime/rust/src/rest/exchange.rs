//! From a call to its reply: attempts, waits between them, redirects.
//!
//! The credential goes to the API's own origin and nowhere else. A call that may not be repeated is sent once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use reqwest::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, Request, Response};
use url::Url;

use super::Call;
use super::call::COOKIE as COOKIE_SET;
use super::client::{Auth, Client, Secrets, insecure, is_open};
use super::error::{Error, Fault};
use super::reply::{About, Opened, Reply, deepest};
use crate::{ErrorKind, redact, segment};

/// How many redirects are followed before it is taken for a circle.
const MAX_REDIRECTS: usize = 10;

/// How much of a body with an error is read.
const FAULT_BYTES: usize = 1 << 20;

/// Where an attempt is: it begins at the call's own address and moves with each redirect.
struct Hop {
    url: Url,
    method: Method,
    body: Option<Bytes>,
}

/// What an attempt has brought.
enum Answer {
    Success(Opened),
    Whole(Reply),
    Fault(Reply),
}

impl Answer {
    /// What says whether to come back, and when.
    fn head(&self) -> (u16, &HeaderMap) {
        match self {
            Self::Success(opened) => (opened.status(), opened.response.headers()),
            Self::Whole(reply) | Self::Fault(reply) => (reply.status, &reply.headers),
        }
    }
}

impl Client {
    /// Sends a call and reads the whole reply, whose status is a success.
    pub async fn send<E: Fault>(&self, call: Call) -> Result<Reply, Error<E>> {
        self.repeat(&call).await
    }

    /// As [`Client::send`], for a call that is made several times.
    pub(super) async fn repeat<E: Fault>(&self, call: &Call) -> Result<Reply, Error<E>> {
        match self.exchange(call, false).await? {
            Answer::Success(opened) => Ok(opened.whole().await?),
            Answer::Whole(reply) => Ok(reply),
            Answer::Fault(reply) => Err(Error::from_reply(&reply)),
        }
    }

    /// Sends a call and hands the reply over, whose status is a success, before its body has come.
    pub async fn open<E: Fault>(&self, call: Call) -> Result<Opened, Error<E>> {
        match self.exchange(&call, true).await? {
            Answer::Success(opened) => Ok(opened),
            Answer::Whole(reply) | Answer::Fault(reply) => Err(Error::from_reply(&reply)),
        }
    }

    async fn exchange(&self, call: &Call, live: bool) -> Result<Answer, crate::Error> {
        if let Some(problem) = &call.problem {
            return Err(problem.clone());
        }
        let about = self.about(call);
        if !call.secrets.is_empty() && is_open(&self.0.base) {
            return Err(insecure(&self.0.base));
        }
        let mut count = 0;
        loop {
            count += 1;
            let outcome = self.attempt(call, &about, live).await;
            let Some(wait) = self.wait(call, count, &outcome) else { return outcome };
            // The connection is given back before the wait.
            drop(outcome);
            self.0.options.clock.sleep(wait).await;
        }
    }

    fn about(&self, call: &Call) -> Arc<About> {
        let secrets = Secrets([&self.0.access.secrets.0[..], &call.secrets].concat());
        let options = &self.0.options;
        let (body_bytes, timeout) = (options.body_bytes, options.timeout);
        Arc::new(About { name: call.name(), secrets, body_bytes, timeout })
    }

    /// How long to wait before the call is repeated, if it is to be.
    fn wait(&self, call: &Call, count: u32, outcome: &Result<Answer, crate::Error>) -> Option<Duration> {
        let (retry, clock) = (&self.0.options.retry, &self.0.options.clock);
        if count > retry.max || !call.method.is_idempotent() {
            return None;
        }
        let asked = match outcome {
            Ok(answer) => match answer.head() {
                (429 | 502..=504, headers) => retry_after(headers, clock.now()),
                _ => return None,
            },
            Err(error) if matches!(error.kind, ErrorKind::Connect | ErrorKind::Disconnected) => None,
            Err(_) => return None,
        };
        let own = || retry.delay(count, clock.chance());
        Some(asked.map_or_else(own, |asked| asked.min(retry.retry_after)))
    }

    /// One attempt, through all redirects, within its time.
    async fn attempt(&self, call: &Call, about: &Arc<About>, live: bool) -> Result<Answer, crate::Error> {
        let attempt = async {
            let opened = Opened { response: self.follow(call, about).await?, about: about.clone() };
            match call.is_success(opened.status()) {
                true if live => Ok(Answer::Success(opened)),
                true => opened.whole().await.map(Answer::Whole),
                false => {
                    let limit = FAULT_BYTES.min(about.body_bytes);
                    Ok(Answer::Fault(opened.up_to(limit, false).await?.redacted()))
                }
            }
        };
        tokio::time::timeout(about.timeout, attempt).await.map_err(|_| about.late())?
    }

    async fn follow(&self, call: &Call, about: &About) -> Result<Response, crate::Error> {
        let url = call.url(&self.0.base)?;
        let mut hop = Hop { url, method: call.method.clone(), body: call.body.clone() };
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(call, &hop)?;
            let sent = self.0.http.execute(request).await;
            let response = sent.map_err(|error| unreached(about, &error))?;
            match next_hop(&response, &hop, about)? {
                Some(next) => hop = next,
                None => return Ok(response),
            }
        }
        Err(about.error(ErrorKind::Protocol, format!("the server redirects more than {MAX_REDIRECTS} times")))
    }

    fn request(&self, call: &Call, hop: &Hop) -> Result<Request, crate::Error> {
        let mut request = Request::new(hop.method.clone(), hop.url.clone());
        let at_home = hop.url.origin() == self.0.base.origin();
        if at_home {
            *request.headers_mut() = call.headers.clone();
            self.identify(call, &mut request)?;
        } else {
            // What else the call carries is for the API alone.
            let harmless = call.headers.iter().filter(|(name, _)| [ACCEPT, CONTENT_TYPE].contains(name));
            request.headers_mut().extend(harmless.map(|(name, value)| (name.clone(), value.clone())));
        }
        if hop.body.is_none() {
            request.headers_mut().remove(CONTENT_TYPE);
        }
        if hop.body.is_none() && matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) {
            // Without a length some servers refuse a request that could have a body.
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.body_mut() = hop.body.clone().map(Into::into);
        Ok(request)
    }

    /// Adds credential and cookies.
    fn identify(&self, call: &Call, request: &mut Request) -> Result<(), crate::Error> {
        let mut cookies = call.cookies.clone();
        let written = self.0.access.written.reveal();
        match self.0.access.auth {
            Auth::None => {}
            Auth::Header { name, .. } => set_secret(request, name, written)?,
            Auth::Basic => set_secret(request, "authorization", written)?,
            Auth::Query { name } => set_query(request.url_mut(), name, written),
            Auth::Cookie { name } => {
                cookies.push(format!("{name}={}", utf8_percent_encode(written, COOKIE_SET)))
            }
        }
        if !cookies.is_empty() {
            set_secret(request, COOKIE.as_str(), &cookies.join("; "))?;
        }
        Ok(())
    }
}

fn set_secret(request: &mut Request, name: &str, text: &str) -> Result<(), crate::Error> {
    let wrong = || {
        let message =
            format!("The credential cannot stand in the header `{name}`; it takes visible ASCII on one line");
        crate::Error::new(ErrorKind::Auth, message)
    };
    let mut value = HeaderValue::from_str(text).map_err(|_| wrong())?;
    value.set_sensitive(true);
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Sets a parameter that the address may have already, after a redirect to the same origin.
fn set_query(url: &mut Url, name: &str, value: &str) {
    if url.query_pairs().any(|(known, _)| known == name) {
        return;
    }
    let pair = format!("{}={}", segment(name), segment(value));
    let query =
        url.query().filter(|query| !query.is_empty()).map_or(pair.clone(), |query| format!("{query}&{pair}"));
    url.set_query(Some(&query));
}

/// Why there is no response.
fn unreached(about: &About, error: &reqwest::Error) -> crate::Error {
    let (kind, what) = match error.is_connect() || error.is_timeout() {
        true => (ErrorKind::Connect, "the server cannot be reached"),
        false => (ErrorKind::Disconnected, "the connection was lost before the answer"),
    };
    about.error(kind, format!("{what}: {}", deepest(error)))
}

/// Where a redirect leads, if the response is one.
fn next_hop(response: &Response, hop: &Hop, about: &About) -> Result<Option<Hop>, crate::Error> {
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let (301..=303 | 307 | 308, Some(location)) = (status, location) else { return Ok(None) };
    let refuse = |kind, what: &str| Err(about.error(kind, format!("the server redirects {what}")));
    let Ok(mut url) = hop.url.join(location) else { return refuse(ErrorKind::Protocol, "to no address") };
    url.set_fragment(None);
    if !matches!(url.scheme(), "http" | "https") {
        return refuse(ErrorKind::Protocol, "to an address that is not http:// or https://");
    }
    let elsewhere = url.origin() != hop.url.origin();
    if elsewhere && redact(url.as_str(), &about.secrets.0) != url.as_str() {
        return refuse(
            ErrorKind::Insecure,
            "to another origin with the credential in the address; it is not followed",
        );
    }
    // As browsers do: 303 always reads, and what was posted is not posted anew after 301 and 302.
    let reads = match status {
        303 => hop.method != Method::HEAD,
        301 | 302 => hop.method == Method::POST,
        _ => false,
    };
    let (method, body) = if reads { (Method::GET, None) } else { (hop.method.clone(), hop.body.clone()) };
    if elsewhere && body.is_some() {
        return refuse(
            ErrorKind::Insecure,
            "the body to another origin; give that address as base address if you trust it",
        );
    }
    Ok(Some(Hop { url, method, body }))
}

/// How long the server asks to wait: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}
