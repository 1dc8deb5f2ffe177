//! One WebSocket as a queue of frames to write and a stream of messages to read.
//!
//! What goes out is queued in the [`Wire`], past the library, which would copy it into a buffer of each connection; the
//! library reads, and answers pings and closes. Reading goes on while a write waits for the client. The library never
//! gives back the buffer of a large message, so the pipe puts a fresh one in its place as soon as nothing is under
//! way. What frames mean, and when a connection ends, is decided by the socket's loop.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::wire::{Kind, Wire};

/// The library fills this much with zeros before each read, and each connection keeps it. Most of what people say fits;
/// for what does not, reading takes a few more turns.
const READ_BUFFER: usize = 1024;
/// While so much waits to be written, nothing more is taken from the session.
const FULL: usize = 256 * 1024;
/// A message of this size leaves a buffer behind that is worth giving back.
const BLOAT: usize = 32 * 1024;
/// How long a client may take to answer our close frame, or to take our answer to its own.
pub(crate) const GOODBYE: Duration = Duration::from_secs(3);
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
}

/// One WebSocket.
pub(crate) struct Pipe {
    library: WebSocketContext,
    wire: Wire,
    /// A large message has left its buffer behind.
    bloated: bool,
    /// The library has given up reading; what else comes is not WebSocket any more.
    deaf: bool,
}

/// The connection as the library wants it: what is not possible at once would block, and `cx` is woken later.
struct Now<'a, 'b> {
    wire: &'a mut Wire,
    cx: &'a mut Context<'b>,
}

impl Read for Now<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.wire.poll_read(self.cx, buffer) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// The library writes whole frames: everything is taken, and queued if something waits already.
impl Write for Now<'_, '_> {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.wire.push_frames(Bytes::copy_from_slice(frames));
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.write_now().map(|_| ())
    }
}

impl Pipe {
    /// A pipe over a connection whose handshake is done; `rest` is what was read beyond it.
    pub(crate) fn new(tcp: TcpStream, rest: &[u8], max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let library = if rest.is_empty() {
            WebSocketContext::new(Role::Server, Some(config))
        } else {
            WebSocketContext::from_partially_read(rest.to_vec(), Role::Server, Some(config))
        };
        Self { library, wire: Wire::new(tcp, rest), bloated: false, deaf: false }
    }

    /// Puts a message behind those that wait.
    pub(crate) fn push(&mut self, kind: Kind, payload: Bytes) {
        self.wire.push(kind, payload);
    }

    /// Puts a protocol ping behind those that wait.
    pub(crate) fn push_ping(&mut self) {
        self.wire.push_ping();
    }

    /// Whether something waits for the client to read on.
    pub(crate) fn is_writing(&self) -> bool {
        self.wire.queued() > 0
    }

    /// Whether more may be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.wire.queued() < FULL
    }

    /// How many bytes came and went so far.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.wire.read, self.wire.written)
    }

    /// Writes until nothing waits. Whether the connection is still there.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.wire.poll_write_all(cx).map(|result| result.is_ok())
    }

    /// Reads the next message.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let turn = self.poll_read(cx);
        if turn.is_pending() && self.bloated {
            self.slim();
        }
        turn
    }

    /// Writes what the kernel takes at once. Whether the connection is still there.
    pub(crate) fn write_now(&mut self) -> bool {
        self.wire.write_now().is_ok()
    }

    /// Puts a fresh buffer in the place of a large one, if nothing would be lost by that.
    fn slim(&mut self) {
        if !self.deaf && self.library.can_write() && self.wire.at_boundary() {
            self.library = WebSocketContext::new(Role::Server, Some(*self.library.get_config()));
            self.bloated = false;
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut now = Now { wire: &mut self.wire, cx };
        Poll::Ready(match self.library.read(&mut now) {
            Ok(message) => {
                self.bloated |= message.len() > BLOAT;
                Turn::Message(message)
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => self.broken(&error),
        })
    }

    fn broken(&mut self, error: &Error) -> Turn {
        self.deaf = true;
        match error {
            Error::Capacity(_) => Turn::Broken(1009, "the message is too large"),
            Error::Utf8(_) => Turn::Broken(1007, "the text is not UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Turn::Gone,
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

    /// Puts our close frame behind what waits. Nothing is to be pushed after it.
    fn push_close(&mut self, code: u16, reason: &str) {
        let reason = Utf8Bytes::from(shorten(reason).to_owned());
        let frame = CloseFrame { code: code.into(), reason };
        let mut cx = Context::from_waker(Waker::noop());
        // That the client is gone is seen by the next write.
        let _ = self.library.close(&mut Now { wire: &mut self.wire, cx: &mut cx }, Some(frame));
    }

    /// One step of waiting for the client's own close frame.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Turn::Message(_) = ready!(self.poll_read(cx)) {}
        Poll::Ready(())
    }
}

/// A pipe that somebody else may hold for a moment.
pub(crate) trait Shared {
    /// Works with the pipe.
    fn with<T>(&self, work: impl FnOnce(&mut Pipe) -> T) -> T;
}

impl Shared for Mutex<Pipe> {
    fn with<T>(&self, work: impl FnOnce(&mut Pipe) -> T) -> T {
        work(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says goodbye: writes what waits and the close frame, then waits a moment for the client's own.
pub(crate) async fn close(pipe: &impl Shared, code: u16, reason: &str, patience: Duration) {
    pipe.with(|pipe| pipe.push_close(code, reason));
    if !drain(pipe, patience).await {
        return;
    }
    if pipe.with(|pipe| pipe.deaf) {
        discard(pipe).await;
        return;
    }
    // Whoever does not answer has had its time.
    let _ = timeout(GOODBYE, std::future::poll_fn(|cx| pipe.with(|pipe| pipe.poll_goodbye(cx)))).await;
}

/// Writes what waits, also the answer to the client's goodbye. Whether it went out.
pub(crate) async fn drain(pipe: &impl Shared, patience: Duration) -> bool {
    let all = std::future::poll_fn(|cx| pipe.with(|pipe| pipe.wire.poll_write_all(cx)));
    matches!(timeout(patience, all).await, Ok(Ok(())))
}

/// Closing a socket with unread bytes resets it, and a reset makes the client lose our close frame.
async fn discard(pipe: &impl Shared) {
    if std::future::poll_fn(|cx| pipe.with(|pipe| pipe.wire.poll_shutdown(cx))).await.is_err() {
        return;
    }
    let until = Instant::now() + GOODBYE;
    let mut left = DISCARD;
    let mut scratch = vec![0; READ_BUFFER];
    loop {
        let read = std::future::poll_fn(|cx| pipe.with(|pipe| pipe.wire.poll_read(cx, &mut scratch)));
        let Ok(Ok(read @ 1..)) = timeout_at(until, read).await else { return };
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
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
