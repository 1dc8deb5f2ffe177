//! The transport of everyday: tokio-tungstenite over TCP and TLS.
//!
//! It turns packets into messages of that crate and back, and its errors into ours. No redirect is followed: an answer
//! other than 101 is an error, so credentials go to the host that they were meant for and no further.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, Request as HttpRequest};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::{Error, ErrorKind, Frame, Link, Packet, Request, Transport};

/// Bytes that a link reserves for reading. The default of 128 KiB would be most of an idle connection's memory.
const READ_BUFFER: usize = 4096;

/// Links over TCP and TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebSocketTransport;

impl Transport for WebSocketTransport {
    type Link = WebSocketLink;

    async fn connect(&self, request: &Request) -> Result<WebSocketLink, Error> {
        let upgrade = upgrade(request)?;
        let opened = connect_async_with_config(upgrade, Some(config(request.message_bytes)), true).await;
        let (stream, response) = opened.map_err(|error| refused(error).redacted(&request.secrets))?;
        let protocol = chosen(response.headers(), &request.protocols)?;
        Ok(WebSocketLink { stream, protocol })
    }
}

fn config(message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes))
}

fn upgrade(request: &Request) -> Result<HttpRequest<()>, Error> {
    let mut upgrade = request
        .url
        .as_str()
        .into_client_request()
        .map_err(|_| Error::new(ErrorKind::Connect, "Give an address that can be connected to"))?;
    for (name, value) in &request.headers {
        insert(upgrade.headers_mut(), name, value)?;
    }
    if !request.protocols.is_empty() {
        insert(upgrade.headers_mut(), "Sec-WebSocket-Protocol", &request.protocols.join(", "))?;
    }
    Ok(upgrade)
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    // The value may be a credential and stays out of the sentence.
    let invalid =
        || Error::new(ErrorKind::Connect, format!("Give header {name} a name and value of plain text"));
    let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
    headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value);
    Ok(())
}

fn chosen(headers: &HeaderMap, offered: &[String]) -> Result<Option<String>, Error> {
    let protocol = headers.get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
    match protocol {
        Some(name) if offered.iter().any(|offer| offer == name) => Ok(Some(name.to_owned())),
        None if offered.is_empty() => Ok(None),
        Some(_) | None => Err(no_subprotocol()),
    }
}

fn no_subprotocol() -> Error {
    Error::new(ErrorKind::Protocol, "The server chose none of the subprotocols that were offered")
}

fn refused(error: WsError) -> Error {
    match error {
        WsError::Http(response) => refused_with(response.status().as_u16()),
        WsError::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => no_subprotocol(),
        other => Error::new(ErrorKind::Connect, format!("The connection could not be opened: {other}")),
    }
}

fn refused_with(status: u16) -> Error {
    let kind = if matches!(status, 401 | 403) { ErrorKind::Auth } else { ErrorKind::Connect };
    let advice = match status {
        401 | 403 => "check the credential",
        300..=399 => "give the address that it redirects to",
        _ => "try again later",
    };
    Error::new(kind, format!("The server answered the upgrade with status {status}: {advice}"))
}

fn broken(error: WsError) -> Error {
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { size, max_size }) => Error::new(
            ErrorKind::Shape,
            format!("The server sent a message of {size} bytes, and {max_size} are allowed"),
        ),
        WsError::Utf8(_) => Error::new(ErrorKind::Shape, "The server sent text that is not UTF-8"),
        // No breach, but how a cut looks from here.
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Error::new(ErrorKind::Disconnected, "The link was cut without a close frame: try again")
        }
        WsError::Protocol(cause) => {
            Error::new(ErrorKind::Protocol, format!("The server broke the WebSocket protocol: {cause}"))
        }
        other => Error::new(ErrorKind::Disconnected, format!("The link was lost: {other}")),
    }
}

/// A link over TCP or TLS.
#[derive(Debug)]
pub struct WebSocketLink {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    protocol: Option<String>,
}

impl Link for WebSocketLink {
    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }
}

impl Stream for WebSocketLink {
    type Item = Result<Packet, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return match std::task::ready!(self.stream.poll_next_unpin(cx)) {
                Some(Ok(message)) => match packet(message) {
                    Some(packet) => Poll::Ready(Some(Ok(packet))),
                    None => continue,
                },
                Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) | None => Poll::Ready(None),
                Some(Err(error)) => Poll::Ready(Some(Err(broken(error)))),
            };
        }
    }
}

/// `None` for raw frames, which are never read.
fn packet(message: Message) -> Option<Packet> {
    Some(match message {
        Message::Text(text) => Packet::Frame(Frame::Text(text.as_str().to_owned())),
        Message::Binary(bytes) => Packet::Frame(Frame::Binary(bytes)),
        Message::Ping(bytes) => Packet::Ping(bytes),
        Message::Pong(bytes) => Packet::Pong(bytes),
        Message::Close(Some(close)) => {
            Packet::Close { code: close.code.into(), reason: close.reason.as_str().to_owned() }
        }
        Message::Close(None) => Packet::Close { code: 1005, reason: String::new() },
        Message::Frame(_) => return None,
    })
}

fn message(packet: Packet) -> Message {
    match packet {
        Packet::Frame(Frame::Text(text)) => Message::text(text),
        Packet::Frame(Frame::Binary(bytes)) => Message::Binary(bytes),
        Packet::Ping(bytes) => Message::Ping(bytes),
        Packet::Pong(bytes) => Message::Pong(bytes),
        Packet::Close { code, reason } => {
            Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
        }
    }
}

impl Sink<Packet> for WebSocketLink {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.stream.poll_ready_unpin(cx).map_err(broken)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Packet) -> Result<(), Error> {
        self.stream.start_send_unpin(message(item)).map_err(broken)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.stream.poll_flush_unpin(cx).map_err(broken)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.stream.poll_close_unpin(cx).map_err(broken)
    }
}
