//! A plain client: sends text, reads frames as JSON, and never waits for ever.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewire_protocols::live_data::pack;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Nothing in these tests takes longer than this unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Self {
        Self::connect_with(address, path, &[]).await.unwrap()
    }

    pub(crate) async fn connect_with(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { socket })
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, content: &str) {
        self.send(json!({ "content": content })).await;
    }

    /// The next message of any kind; `None` when the connection is over.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        next.expect("the server says something").and_then(Result::ok)
    }

    /// Sends the same in a binary frame, as MessagePack.
    pub(crate) async fn send_packed(&mut self, text: &str) {
        let packed = pack::from_json(text.as_bytes()).unwrap();
        self.socket.send(Message::binary(packed)).await.unwrap();
    }

    /// The next frame as JSON, without the dialect's heartbeat.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await.expect("the connection is open") {
                Message::Binary(bytes) => {
                    return serde_json::from_str(&pack::to_json(&bytes).unwrap()).unwrap();
                }
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] != "ping" {
                        return frame;
                    }
                }
                Message::Close(frame) => panic!("closed with {frame:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next frame of this type; those before it are dropped.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                let frame = self.next().await;
                if frame["type"] == kind {
                    return frame;
                }
            }
        };
        let found = tokio::time::timeout(3 * PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no {kind} came"))
    }

    /// The code and reason with which the server closes; frames before that are dropped.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.message().await.expect("a close frame comes first") {
                Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                Message::Close(None) => panic!("closed without a code"),
                Message::Text(_)
                | Message::Binary(_)
                | Message::Ping(_)
                | Message::Pong(_)
                | Message::Frame(_) => {}
            }
        }
    }
}
