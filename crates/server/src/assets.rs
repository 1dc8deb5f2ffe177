//! The page, out of the binary.
//!
//! `web/dist` is embedded when the binary is built (a debug build reads it from disk each time). Files whose name
//! carries a digest never change and are cached for ever; everything else is asked for again. Text is compressed once
//! and kept. Without a built page, a short one says how to build it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web/dist"]
#[allow_missing = true]
struct Page;

const INDEX: &str = "index.html";
/// The folder in which every file's name carries a digest of its content.
const HASHED: &str = "assets/";
/// Smaller files are not worth compressing.
const WORTH: usize = 1024;

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Tidewire</title>\
<body style=\"font:16px/1.6 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem\">\
<h1>Tidewire is running</h1><p>This binary was built without its page. Build it once and start again:</p>\
<pre>cargo xtask up</pre><p>Everything else works: <code>tidewire chat</code> talks to it from a terminal, \
and <a href=/api/health>/api/health</a> says how it is.</p></body></html>";

/// Whether the binary carries the page.
pub fn is_built() -> bool {
    Page::get(INDEX).is_some()
}

/// Answers with a file of the page, or with the page itself where a path is one of its views.
pub(crate) async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, "only GET").into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let path = if path.is_empty() { INDEX } else { path };
    if let Some(file) = Page::get(path) {
        return file_response(path, file, request.headers());
    }
    // A missing script must not be answered with a page: the browser would show a riddle.
    let is_view = !path.starts_with(HASHED) && !path.rsplit('/').next().unwrap_or_default().contains('.');
    match Page::get(INDEX) {
        Some(index) if is_view => file_response(INDEX, index, request.headers()),
        None if path == INDEX || is_view => html(NOT_BUILT),
        Some(_) | None => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

fn html(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-cache")], text).into_response()
}

fn file_response(path: &str, file: EmbeddedFile, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", crate::hex(&file.metadata.sha256_hash()[..16]));
    if asked.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let media_type = mime_guess::from_path(path).first_or_octet_stream();
    let forever = path.starts_with(HASHED);
    let cache = if forever { "public, max-age=31536000, immutable" } else { "no-cache" };
    let packed = accepts_gzip(asked).then(|| pack(&tag, media_type.as_ref(), &file.data)).flatten();
    let mut response = match packed {
        Some(bytes) => ([(CONTENT_ENCODING, "gzip")], Body::from(bytes)).into_response(),
        None => Body::from(to_bytes(file.data)).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    for (name, value) in [(CONTENT_TYPE, media_type.as_ref()), (ETAG, tag.as_str())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn to_bytes(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

fn accepts_gzip(asked: &HeaderMap) -> bool {
    let accepted = asked.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some("gzip") && parts.next().is_none_or(|weight| weight != "q=0")
    })
}

static PACKED: Mutex<Option<HashMap<String, Bytes>>> = Mutex::new(None);

/// The file compressed, if that is worth it; done once for each content.
fn pack(tag: &str, media_type: &str, data: &[u8]) -> Option<Bytes> {
    let text = ["text/", "application/javascript", "application/json", "image/svg"];
    if data.len() < WORTH || !text.iter().any(|kind| media_type.starts_with(kind)) {
        return None;
    }
    let known = |kept: &Option<HashMap<String, Bytes>>| kept.as_ref()?.get(tag).cloned();
    if let Some(bytes) = known(&PACKED.lock().unwrap_or_else(PoisonError::into_inner)) {
        return Some(bytes);
    }
    let bytes = gzip(data)?;
    let mut kept = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
    kept.get_or_insert_default().insert(tag.to_owned(), bytes.clone());
    Some(bytes)
}

fn gzip(data: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 3), Compression::default());
    encoder.write_all(data).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_accepted() {
        let asks =
            |value| accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]));
        assert!(asks("br, gzip, deflate"));
        assert!(asks("gzip;q=0.5"));
        assert!(!asks("gzip;q=0"));
        assert!(!asks("br"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn only_text_that_is_long_enough_is_packed() {
        let long = vec![b'a'; 10_000];
        let packed = pack("t1", "text/css", &long).unwrap();
        assert!(packed.len() < 1000);
        assert!(pack("t2", "image/png", &long).is_none());
        assert!(pack("t3", "text/css", b"short").is_none());
    }
}
