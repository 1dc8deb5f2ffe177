//! The endpoints of `live_data`, asked as any HTTP client would.

mod bad_input;
mod chats;
mod collections;
mod keys;
mod models;
mod records;
mod search;
mod streams;
mod types;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::house::House;

/// A client of one server.
pub(crate) struct Api {
    http: Client,
    base: String,
    bearer: Option<String>,
}

impl Api {
    /// A client without a key.
    pub(crate) fn of(house: &House) -> Self {
        Self { http: Client::new(), base: house.url(""), bearer: None }
    }

    /// The same with a key.
    pub(crate) fn with_key(house: &House, key: &str) -> Self {
        Self { bearer: Some(key.to_owned()), ..Self::of(house) }
    }

    /// A request that is not sent yet.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.bearer {
            Some(bearer) => request.bearer_auth(bearer),
            None => request,
        }
    }

    /// The status and the JSON of the answer to a request; a body of `null` is none.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: {status} {text:?}")))
    }

    /// The answer to a request that is done.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// The sentence of an error with this status; its shape is what all clients read.
    pub(crate) async fn refused(&self, status: u16, method: &str, path: &str, body: Value) -> String {
        let (found, answer) = self.ask(method, path, body).await;
        check_error(status, found, &answer)
    }

    /// The status and the value of an answer to a MessagePack request.
    pub(crate) async fn packed(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(method, path).header("accept", "application/msgpack");
        let request = request.header("content-type", "application/msgpack");
        let request = if body.is_null() { request } else { request.body(rmp_serde::to_vec(body).unwrap()) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let bytes = response.bytes().await.unwrap();
        match kind.as_str() {
            "application/msgpack" => (status, rmp_serde::from_slice(&bytes).unwrap()),
            _ => (status, serde_json::from_slice(&bytes).unwrap()),
        }
    }
}

/// The sentence of an error, if it is one with this status.
#[track_caller]
pub(crate) fn check_error(status: u16, found: u16, answer: &Value) -> String {
    assert_eq!((found, &answer["code"]), (status, &status.into()), "{answer}");
    assert_eq!(answer["message"], answer["error"], "{answer}");
    answer["message"].as_str().unwrap().to_owned()
}
