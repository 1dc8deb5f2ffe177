//! A server over a real socket that says what it is told to and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::{Router, http::HeaderMap};
use futures_util::future::BoxFuture;
use schematic_runtime::Credential;
use schematic_runtime::rest::{Clock, Options};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, undecoded
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// A header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A server on a port of its own. It ends with the test.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers with these in turn, and then with `{}`.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Response>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let kept = seen.clone();
        let app = Router::new().fallback(async move |request: Request| {
            let told = read(request).await;
            kept.lock().unwrap().push(told);
            let answer = answers.lock().unwrap().pop_front();
            answer.unwrap_or_else(|| json(200, "{}"))
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    /// What has come so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that has come.
    pub(crate) fn only(&self) -> Seen {
        let [seen] = &self.seen()[..] else { panic!("one request is expected, not {:?}", self.seen()) };
        seen.clone()
    }

    /// Options for a client of this server.
    pub(crate) fn options(&self) -> Options {
        Options {
            base_url: Some(self.url.clone()),
            credential: Some(Credential::new("s3cr/t")),
            username: Some("ann".into()),
            ..Options::default()
        }
    }
}

async fn read(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: to_bytes(body, 1 << 20).await.unwrap().to_vec(),
    }
}

/// An answer with a body of JSON.
pub(crate) fn json(status: u16, body: &str) -> Response {
    with(status, &[("content-type", "application/json")], body)
}

/// An answer with headers.
pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let head = Response::builder().status(status);
    let head = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
    head.body(Body::from(body.to_owned())).unwrap()
}

/// A clock on which a wait takes no time and is written down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(pub(crate) Arc<Mutex<Vec<Duration>>>);

impl Waits {
    pub(crate) fn seconds(&self) -> Vec<f64> {
        self.0.lock().unwrap().iter().map(Duration::as_secs_f64).collect()
    }
}

impl Clock for Waits {
    fn now(&self) -> SystemTime {
        // Sun, 06 Nov 1994 08:49:37 GMT
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap().push(duration);
        Box::pin(async {})
    }

    fn chance(&self) -> f64 {
        0.0
    }
}
