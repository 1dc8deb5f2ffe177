//! What came back, and how its body is read.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use url::Url;

use super::client::Secrets;
use super::items::{self, Framing, Items};
use crate::{Error, ErrorKind, Frame, RECEIVED_LIMIT, redact};

/// What errors about a reply need to know.
#[derive(Debug)]
pub(super) struct About {
    /// The request, without values
    pub(super) name: String,
    /// What may not appear
    pub(super) secrets: Secrets,
    /// Longest body, or longest item of a stream, in bytes
    pub(super) body_bytes: usize,
    /// How long the body may be silent
    pub(super) timeout: Duration,
}

impl About {
    pub(super) fn error(&self, kind: ErrorKind, what: impl std::fmt::Display) -> Error {
        Error::new(kind, format!("{}: {what}", self.name)).redacted(&self.secrets.0)
    }

    pub(super) fn shape(&self, what: impl std::fmt::Display, received: &[u8]) -> Error {
        let received = match std::str::from_utf8(received) {
            Ok(text) => Frame::Text(redact(text, &self.secrets.0)),
            Err(_) => Frame::Binary(Bytes::copy_from_slice(received)),
        };
        Error::shape(format!("{}: {what}", self.name), &received).redacted(&self.secrets.0)
    }

    pub(super) fn too_long(&self, received: &[u8]) -> Error {
        let what = format!("the body is longer than {} bytes; allow more with `body_bytes`", self.body_bytes);
        self.shape(what, received)
    }

    pub(super) fn cut(&self, error: reqwest::Error) -> Error {
        self.error(
            ErrorKind::Disconnected,
            format!("the connection was lost in the body: {}", deepest(&error)),
        )
    }

    pub(super) fn late(&self) -> Error {
        self.error(
            ErrorKind::Timeout,
            format!("nothing came for {:?}; allow more with `timeout`", self.timeout),
        )
    }

    /// A value from JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.shape(format!("the {what} is not as declared: {error}"), bytes))
    }
}

/// The cause below all others, which says most. Those above it repeat the address.
pub(super) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A reply with its whole body.
#[derive(Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) body: Bytes,
    pub(super) about: Arc<About>,
}

impl Reply {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON. Errors of kind `Shape` carry the beginning of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.about.json(&format!("body with status {}", self.status), &self.body)
    }

    /// The body as text. Errors of kind `Shape` if it is not UTF-8.
    pub fn text(&self) -> Result<String, Error> {
        String::from_utf8(self.body.to_vec())
            .map_err(|error| self.about.shape(format!("the body is not UTF-8: {error}"), &self.body))
    }

    /// The body as it is.
    pub fn bytes(&self) -> Vec<u8> {
        self.body.to_vec()
    }

    /// The beginning of the body as text.
    pub(super) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text[..text.floor_char_boundary(RECEIVED_LIMIT)].to_owned()
    }

    /// The same without the secrets, which servers like to repeat in errors.
    pub(super) fn redacted(mut self) -> Self {
        if let Ok(text) = std::str::from_utf8(&self.body) {
            self.body = redact(text, &self.about.secrets.0).into();
        }
        self
    }
}

/// A reply whose body has not been read.
#[derive(Debug)]
pub struct Opened {
    pub(super) response: Response,
    pub(super) about: Arc<About>,
}

impl Opened {
    /// The status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Reads the whole body.
    pub async fn whole(self) -> Result<Reply, Error> {
        let limit = self.about.body_bytes;
        self.up_to(limit, true).await
    }

    /// Reads the body up to a number of bytes; what is longer is an error if `strict`, and else cut off.
    pub(super) async fn up_to(mut self, limit: usize, strict: bool) -> Result<Reply, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > limit && strict {
                return Err(self.about.too_long(&body));
            }
            if body.len() > limit {
                body.truncate(limit);
                break;
            }
        }
        Ok(Reply {
            status: self.status(),
            headers: self.response.headers().clone(),
            url: self.response.url().clone(),
            body: body.freeze(),
            about: self.about,
        })
    }

    /// The next piece of the body.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let read = tokio::time::timeout(self.about.timeout, self.response.chunk());
        read.await.map_err(|_| self.about.late())?.map_err(|error| self.about.cut(error))
    }

    /// The values of server-sent events, as they come. The stream ends after an error, and at `[DONE]`.
    pub fn events<T: DeserializeOwned + Send + 'static>(self) -> Items<T, Error> {
        items::stream(self, Framing::events())
    }

    /// The values of lines, as they come. The stream ends after an error.
    pub fn lines<T: DeserializeOwned + Send + 'static>(self) -> Items<T, Error> {
        items::stream(self, Framing::lines())
    }
}
