//! One WebSocket as a queue of frames to write and a stream of messages to read.
//!
//! Queued frames are written together and flushed once. Payloads are cut into fragments, so that a large answer does
//! not leave a large buffer behind. Reading goes on while a write waits for the client. The library never gives back
//! the buffer of a large message, so the pipe puts a fresh one in its place as soon as nothing is under way. What
//! frames mean, and when a connection ends, is decided by the socket's loop.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tidewire_protocols::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame as RawFrame, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::wire::Wire;

/// A payload larger than this goes out in several fragments (RFC 6455 §5.4).
const FRAGMENT: usize = 16 * 1024;
/// So much is gathered before it is handed to the kernel.
const WRITE_BUFFER: usize = 8 * 1024;
/// The library fills this much with zeros before each read, and each connection keeps it. Most of what people say fits;
/// for what does not, reading takes a few more turns.
const READ_BUFFER: usize = 1024;
/// While so much waits to be written, nothing more is taken from the session.
const FULL: usize = 256 * 1024;
/// While so much waits to be written, no events are taken: what a client that does not read is to hear of waits where
/// it is shared, or in the log.
const FULL_FOR_EVENTS: usize = 8 * 1024;
/// A message of this size leaves a buffer behind that is worth giving back.
const BLOAT: usize = 32 * 1024;
/// A queue with more places than this is given back when it is empty.
const KEPT_PLACES: usize = 16;
/// How long a client may take to answer our close frame.
const GOODBYE: Duration = Duration::from_secs(3);
/// How much of what a refused client still sends is read and thrown away, so that it gets to read why.
const DISCARD: usize = 16 * 1024 * 1024;

/// What a pipe has to report.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The client said something.
    Message(Message),
    /// The connection is over: properly closed, or lost without a word.
    Gone,
    /// The client broke the rules, and is told so with this close code and reason.
    Broken(u16, &'static str),
    /// All that was queued has been written.
    Written,
    /// Nothing is under way, and [`Pipe::slim`] would give memory back.
    Idle,
}

/// One WebSocket.
pub(crate) struct Pipe {
    socket: WebSocketStream<Wire>,
    out: VecDeque<Message>,
    queued: usize,
    writing: bool,
    /// A large message has left its buffer behind.
    bloated: bool,
    /// The library has given up reading; what else comes is not WebSocket any more.
    deaf: bool,
}

impl Pipe {
    /// A pipe over a connection whose handshake is done; `rest` is what was read beyond it.
    pub(crate) async fn new(tcp: TcpStream, rest: &[u8], max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let wire = Wire::new(tcp, rest);
        let socket = if rest.is_empty() {
            WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await
        } else {
            WebSocketStream::from_partially_read(wire, rest.to_vec(), Role::Server, Some(config)).await
        };
        Self { socket, out: VecDeque::new(), queued: 0, writing: false, bloated: false, deaf: false }
    }

    /// Puts fresh buffers in the place of large ones. To be called after [`Turn::Idle`].
    pub(crate) async fn slim(self) -> Self {
        let config = *self.socket.get_config();
        let wire = self.socket.into_inner();
        let socket = WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await;
        Self { socket, bloated: false, ..self }
    }

    /// Puts a frame behind those that wait.
    pub(crate) fn push(&mut self, frame: Frame) {
        match frame {
            Frame::Text(payload) => self.push_fragments(payload, Data::Text),
            Frame::Binary(payload) => self.push_fragments(payload, Data::Binary),
            Frame::Close { code, reason } => self.push_message(close_message(code, &reason)),
        }
    }

    /// Puts a protocol ping behind those that wait.
    pub(crate) fn push_ping(&mut self) {
        self.push_message(Message::Ping(Bytes::new()));
    }

    /// Whether something waits for the client to read on.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing
    }

    /// Whether more may be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.queued < FULL
    }

    /// Whether events may be queued.
    pub(crate) fn has_room_for_events(&self) -> bool {
        self.queued < FULL_FOR_EVENTS
    }

    /// How many bytes came and went so far.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        let wire = self.socket.get_ref();
        (wire.read, wire.written)
    }

    /// Writes what waits, and reads the next message if `reading`. Whatever is ready first is reported.
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Turn> {
        if self.writing
            && let Poll::Ready(result) = self.poll_write(cx)
        {
            return Poll::Ready(if result.is_ok() { Turn::Written } else { Turn::Gone });
        }
        if !reading {
            return Poll::Pending;
        }
        let turn = self.poll_read(cx);
        if turn.is_pending() && self.bloated && self.is_idle() { Poll::Ready(Turn::Idle) } else { turn }
    }

    /// Writes what the kernel takes at once. Whether the connection is still there.
    pub(crate) async fn write_now(&mut self) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(!matches!(self.poll_write(cx), Poll::Ready(Err(_))))).await
    }

    /// Whether neither we nor the library hold anything that a fresh buffer would lose.
    fn is_idle(&mut self) -> bool {
        let quiet = !self.writing && !self.deaf && self.socket.get_ref().at_boundary();
        quiet && matches!(self.socket.flush().now_or_never(), Some(Ok(())))
    }

    /// Says goodbye: writes what waits and the close frame, then waits a moment for the client's own.
    pub(crate) async fn close(mut self, code: u16, reason: &str, patience: Duration) {
        self.push_message(close_message(code, reason));
        let written = timeout(patience, self.drain()).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
        if self.deaf {
            self.discard().await;
            return;
        }
        let until = Instant::now() + GOODBYE;
        while let Ok(Some(Ok(_))) = timeout_at(until, self.socket.next()).await {}
    }

    async fn drain(&mut self) -> Result<(), Error> {
        while let Some(message) = self.out.pop_front() {
            self.socket.feed(message).await?;
        }
        self.socket.flush().await
    }

    /// Closing a socket with unread bytes resets it, and a reset makes the client lose our close frame.
    async fn discard(&mut self) {
        let wire = self.socket.get_mut();
        if wire.shutdown().await.is_err() {
            return;
        }
        let until = Instant::now() + GOODBYE;
        let mut left = DISCARD;
        let mut scratch = vec![0; READ_BUFFER];
        while let Ok(Ok(read @ 1..)) = timeout_at(until, wire.read(&mut scratch)).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    }

    fn push_fragments(&mut self, payload: Bytes, kind: Data) {
        if payload.len() <= FRAGMENT {
            self.push_message(Message::Frame(RawFrame::message(payload, OpCode::Data(kind), true)));
            return;
        }
        self.bloated = true;
        let mut rest = payload;
        let mut kind = kind;
        while !rest.is_empty() {
            let part = rest.split_to(FRAGMENT.min(rest.len()));
            let frame = RawFrame::message(part, OpCode::Data(kind), rest.is_empty());
            self.push_message(Message::Frame(frame));
            kind = Data::Continue;
        }
    }

    fn push_message(&mut self, message: Message) {
        self.queued += message.len();
        self.writing = true;
        self.out.push_back(message);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut socket = Pin::new(&mut self.socket);
        while !self.out.is_empty() {
            ready!(socket.as_mut().poll_ready(cx))?;
            if let Some(message) = self.out.pop_front() {
                self.queued -= message.len();
                socket.as_mut().start_send(message)?;
            }
        }
        ready!(socket.poll_flush(cx))?;
        self.writing = false;
        if self.out.capacity() > KEPT_PLACES {
            self.out = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
        Poll::Ready(match message {
            Some(Ok(message)) => {
                self.bloated |= message.len() > BLOAT;
                Turn::Message(message)
            }
            Some(Err(error)) => self.broken(&error),
            None => Turn::Gone,
        })
    }

    fn broken(&mut self, error: &Error) -> Turn {
        self.deaf = true;
        match error {
            Error::Capacity(_) => Turn::Broken(1009, "the message is too large"),
            Error::Utf8(_) => Turn::Broken(1007, "the text is not UTF-8"),
            Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => Turn::Gone,
            Error::Protocol(_) => Turn::Broken(1002, "the frame breaks RFC 6455"),
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Tls(_)
            | Error::WriteBufferFull(_)
            | Error::AttackAttempt
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => Turn::Gone,
        }
    }
}

fn close_message(code: u16, reason: &str) -> Message {
    let reason = Utf8Bytes::from(shorten(reason).to_owned());
    Message::Close(Some(CloseFrame { code: code.into(), reason }))
}

/// A close frame's reason has at most 123 bytes (RFC 6455 §5.5).
fn shorten(reason: &str) -> &str {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_at_a_character() {
        assert_eq!(shorten("short"), "short");
        let long = "ä".repeat(100);
        assert_eq!(shorten(&long).len(), 122);
    }
}
