//! A network in memory, for tests: every link that is opened comes out at the other end, where a test plays the server.
//!
//! Nothing moves unless somebody awaits it, so it goes together with paused time.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, Stream};
use tokio::sync::mpsc;

use crate::{Error, ErrorKind, Frame, Link, Packet, Request, Transport};

/// The client's end of a network in memory.
#[derive(Debug)]
pub struct MemoryTransport {
    dials: mpsc::UnboundedSender<Dial>,
}

/// The server's end: the attempts to connect, in order.
#[derive(Debug)]
pub struct MemoryServer {
    dials: mpsc::UnboundedReceiver<Dial>,
}

/// An attempt to connect. Dropping it refuses it; holding it makes the client wait.
#[derive(Debug)]
pub struct Dial {
    /// What the client asked for
    pub request: Request,
    answer: tokio::sync::oneshot::Sender<Result<MemoryLink, Error>>,
}

/// A new network.
pub fn memory() -> (MemoryTransport, MemoryServer) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (MemoryTransport { dials: sender }, MemoryServer { dials: receiver })
}

impl MemoryServer {
    /// The next attempt; `None` when no client can come any more.
    pub async fn dial(&mut self) -> Option<Dial> {
        self.dials.recv().await
    }

    /// Accepts the next attempt, choosing the first subprotocol that is offered.
    pub async fn accept(&mut self) -> Option<Peer> {
        Some(self.dial().await?.accept())
    }
}

impl Dial {
    /// Opens the link.
    pub fn accept(self) -> Peer {
        let (to_client, from_server) = mpsc::unbounded_channel();
        let (to_server, from_client) = mpsc::unbounded_channel();
        let protocol = self.request.protocols.first().cloned();
        let link = MemoryLink { incoming: from_server, outgoing: to_server, protocol };
        // A client that stopped waiting leaves a peer whose link has ended.
        let _ = self.answer.send(Ok(link));
        Peer { incoming: from_client, outgoing: to_client }
    }

    /// Refuses with an error.
    pub fn refuse(self, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

/// The server's end of a link. Dropping it cuts the link.
#[derive(Debug)]
pub struct Peer {
    incoming: mpsc::UnboundedReceiver<Packet>,
    outgoing: mpsc::UnboundedSender<Result<Packet, Error>>,
}

impl Peer {
    /// The next packet of any kind; `None` when the client has gone.
    pub async fn next(&mut self) -> Option<Packet> {
        self.incoming.recv().await
    }

    /// The next text message. Pings on the way are answered, other packets are skipped.
    pub async fn text(&mut self) -> Option<String> {
        loop {
            match self.next().await? {
                Packet::Frame(Frame::Text(text)) => return Some(text),
                Packet::Ping(bytes) => self.send(Packet::Pong(bytes)),
                Packet::Frame(Frame::Binary(_)) | Packet::Pong(_) | Packet::Close { .. } => {}
            }
        }
    }

    /// Sends a packet; nothing happens if the client has gone.
    pub fn send(&self, packet: Packet) {
        let _ = self.outgoing.send(Ok(packet));
    }

    /// Sends a text message.
    pub fn say(&self, text: impl Into<String>) {
        self.send(Packet::Frame(Frame::Text(text.into())));
    }

    /// Breaks the link with an error.
    pub fn fail(&self, error: Error) {
        let _ = self.outgoing.send(Err(error));
    }

    /// Closes the link with a code.
    pub fn close(self, code: u16, reason: impl Into<String>) {
        self.send(Packet::Close { code, reason: reason.into() });
    }
}

impl Transport for MemoryTransport {
    type Link = MemoryLink;

    async fn connect(&self, request: &Request) -> Result<MemoryLink, Error> {
        let refused = || Error::new(ErrorKind::Connect, "The server refused the connection: try again later");
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.dials.send(Dial { request: request.clone(), answer }).map_err(|_| refused())?;
        answered.await.map_err(|_| refused())?
    }
}

/// The client's end of a link in memory.
#[derive(Debug)]
pub struct MemoryLink {
    incoming: mpsc::UnboundedReceiver<Result<Packet, Error>>,
    outgoing: mpsc::UnboundedSender<Packet>,
    protocol: Option<String>,
}

impl Link for MemoryLink {
    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }
}

impl Stream for MemoryLink {
    type Item = Result<Packet, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx)
    }
}

impl Sink<Packet> for MemoryLink {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        self.outgoing
            .send(packet)
            .map_err(|_| Error::new(ErrorKind::Disconnected, "The link was lost: the server has gone"))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }
}
