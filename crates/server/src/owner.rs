//! Who owns the data folder: this process from now on, or the server that has it.
//!
//! Commands that work on the folder take it when they can, and otherwise ask its owner over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidewire_engine::store::sqlite::{Settings, Sqlite, owner_address};
use tidewire_engine::{Code, Error, Result};

/// A server that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who owns the data folder.
pub(crate) enum Owner {
    /// This process.
    Us(Arc<Sqlite>),
    /// A running server.
    Server(Server),
}

impl Owner {
    /// Takes the folder, or finds the server that owns it; `key` is shown to that one.
    pub(crate) fn find(data: &Path, key: Option<String>) -> Result<Self> {
        match Sqlite::open(Settings::new(data)) {
            Ok(store) => Ok(Self::Us(Arc::new(store))),
            Err(error) if error.code == Code::Conflict => match owner_address(data) {
                Some(address) => Server::new(address, key).map(Self::Server),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    client: Client,
    address: String,
    key: Option<String>,
}

impl Server {
    fn new(address: String, key: Option<String>) -> Result<Self> {
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().map_err(Error::internal)?;
        Ok(Self { client, address, key })
    }

    /// Asks without a body.
    pub(crate) async fn ask<R: DeserializeOwned>(&self, method: Method, path: &str) -> Result<R> {
        self.exchange(self.client.request(method, format!("{}{path}", self.address))).await
    }

    /// Posts a body.
    pub(crate) async fn post<R: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<R> {
        self.exchange(self.client.post(format!("{}{path}", self.address)).json(body)).await
    }

    /// The same for what may take so long.
    pub(crate) async fn post_within<R: DeserializeOwned>(
        &self,
        limit: Duration,
        path: &str,
        body: &impl Serialize,
    ) -> Result<R> {
        let request = self.client.post(format!("{}{path}", self.address)).timeout(limit);
        self.exchange(request.json(body)).await
    }

    async fn exchange<R: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<R> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request.send().await.map_err(|cause| self.unreachable(cause))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|cause| self.unreachable(cause))?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body).map_err(|cause| {
            Error::upstream("the server does not answer as expected; update it").caused_by(cause)
        })
    }

    fn unreachable(&self, cause: reqwest::Error) -> Error {
        Error::unavailable(format!(
            "the server at {}, which owns the data folder, does not answer; run this again when it does",
            self.address
        ))
        .caused_by(cause)
    }
}

/// The server's error in our words. Some addresses answer `{"error": {"code", "message"}}`, others
/// `{"code", "message"}` with the status as code.
fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let nested = |name: &str| body["error"][name].as_str();
    let by_status = || Code::ALL.into_iter().find(|code| code.http_status() == status.as_u16());
    let code = nested("code").and_then(Code::from_name).or_else(by_status);
    let message = nested("message").or_else(|| body["message"].as_str());
    match (code, message) {
        (Some(Code::Unauthenticated), _) => {
            Error::new(Code::Unauthenticated, "the server wants a key; set TIDEWIRE_API_KEY or use --key")
        }
        (Some(code), Some(message)) if !message.is_empty() => Error::new(code, message.to_owned()),
        _ => Error::upstream(format!("the server answers {status}; see its log")),
    }
}
