//! A plain client, which knows nothing of definitions.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use schematic_mock::{Faults, Mock};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything here takes; a test that waits in vain ends with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mock server of a built-in definition.
pub(crate) async fn mock(name: &str, faults: &str) -> Mock {
    let mut all = schematic_definitions::all().into_iter();
    let (_, definition) = all.find(|(known, _)| *known == name).unwrap();
    Mock::start(definition, Faults::parse(faults).unwrap()).await.unwrap()
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With a close frame
    Closed(u16, String),
    /// Without one
    Cut,
}

/// An open connection.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Connects at a path, with headers.
    pub(crate) async fn open(mock: &Mock, path: &str, headers: &[(&'static str, &str)]) -> Self {
        Self::try_open(mock, path, headers).await.unwrap().0
    }

    /// The connection with the chosen subprotocol, or status and reason of the refusal.
    pub(crate) async fn try_open(
        mock: &Mock,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Self, Option<String>), (u16, String)> {
        let mut request = format!("{}{path}", mock.url()).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match tokio::time::timeout(PATIENCE, connect_async(request)).await.unwrap() {
            Ok((socket, response)) => {
                let chosen = response.headers().get("sec-websocket-protocol");
                Ok((Self(socket), chosen.map(|name| name.to_str().unwrap().to_owned())))
            }
            Err(Error::Http(response)) => {
                let reason = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(reason).unwrap()))
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(crate) async fn send(&mut self, value: Value) {
        self.send_raw(Message::text(value.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// Sends although the other side may be gone.
    pub(crate) async fn send_in_vain(&mut self, value: Value) {
        self.0.send(Message::text(value.to_string())).await.ok();
    }

    pub(crate) async fn frame(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time")
    }

    /// The next message, as JSON.
    pub(crate) async fn hear(&mut self) -> Value {
        let message = self.frame().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Everything that still comes, and how it ended.
    pub(crate) async fn rest(&mut self) -> (Vec<Value>, End) {
        let mut heard = vec![];
        loop {
            match self.frame().await {
                Some(Ok(Message::Text(text))) => heard.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    let end = End::Closed(frame.code.into(), frame.reason.to_string());
                    while let Some(Ok(_)) = self.frame().await {}
                    return (heard, end);
                }
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return (heard, End::Cut),
            }
        }
    }

    /// How it ends, when nothing else comes.
    pub(crate) async fn end(&mut self) -> End {
        let (heard, end) = self.rest().await;
        assert_eq!(heard, Vec::<Value>::new());
        end
    }
}
