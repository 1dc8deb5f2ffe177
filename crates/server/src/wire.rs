//! The TCP connection under a WebSocket: what is to go out, and what came in.
//!
//! Frames that go out lie in a queue that shares their payloads with all others who send the same, and are handed to
//! the kernel from there, several with one call; no connection has a buffer of its own for them. What the library writes by itself, answers to pings
//! and closes, goes through the same queue, whole frames behind whole frames.
//!
//! It counts bytes: that some went out is how a client that reads is told from one that stopped. And it follows the
//! headers of the frames that come in (RFC 6455 §5.2) far enough to know when no frame and no message is half read;
//! only then may the library's buffers be replaced. It judges nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A payload larger than this goes out in several fragments (RFC 6455 §5.4), for clients that bound a frame's size.
const FRAGMENT: usize = 64 * 1024;
/// So many parts are handed to the kernel with one call.
const PARTS: usize = 32;
/// So much is copied into one buffer instead.
const COPIED: usize = 16 * 1024;
/// A queue with more places than this is given back when it is empty.
const KEPT_PLACES: usize = 16;

thread_local! {
    /// Each thread's, for what it writes at the moment.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a data frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8.
    Text = 1,
    /// Any bytes.
    Binary = 2,
}

/// The first byte of an empty ping, and its length.
const PING: [u8; 2] = [0x89, 0];
const LAST: u8 = 0x80;
const CONTINUATION: u8 = 0;

/// A TCP connection with a queue of what is to be sent.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    frames: Frames,
    out: VecDeque<Piece>,
    /// Bytes that wait in the queue.
    queued: usize,
    /// How much of the first piece is gone.
    sent: usize,
    /// Bytes that came.
    pub(crate) read: u64,
    /// Bytes that went.
    pub(crate) written: u64,
}

/// A frame's header and its payload; or bytes that are whole frames already, without a header before them.
#[derive(Debug)]
struct Piece {
    head: [u8; 10],
    head_len: u8,
    payload: Bytes,
}

impl Piece {
    /// An unmasked frame, as a server sends it.
    fn frame(first: u8, payload: Bytes) -> Self {
        let mut head = [0; 10];
        head[0] = first;
        let head_len = match payload.len() {
            short @ 0..=125 => {
                head[1] = short as u8;
                2
            }
            medium @ 126..=0xffff => {
                head[1] = 126;
                head[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
                4
            }
            long => {
                head[1] = 127;
                head[2..].copy_from_slice(&(long as u64).to_be_bytes());
                10
            }
        };
        Self { head, head_len, payload }
    }

    fn raw(payload: Bytes) -> Self {
        Self { head: [0; 10], head_len: 0, payload }
    }

    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    fn len(&self) -> usize {
        usize::from(self.head_len) + self.payload.len()
    }
}

impl Wire {
    /// A connection of which `rest` has been read already.
    pub(crate) fn new(tcp: TcpStream, rest: &[u8]) -> Self {
        let mut frames = Frames::default();
        frames.pass(rest);
        Self { tcp, frames, out: VecDeque::new(), queued: 0, sent: 0, read: rest.len() as u64, written: 0 }
    }

    /// Whether what was read so far is whole frames of whole messages.
    pub(crate) fn at_boundary(&self) -> bool {
        self.frames.at_boundary()
    }

    /// Bytes that wait to be written.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Puts a message behind what waits.
    pub(crate) fn push(&mut self, kind: Kind, payload: Bytes) {
        let mut rest = payload;
        let mut opcode = kind as u8;
        while rest.len() > FRAGMENT {
            self.push_piece(Piece::frame(opcode, rest.split_to(FRAGMENT)));
            opcode = CONTINUATION;
        }
        self.push_piece(Piece::frame(LAST | opcode, rest));
    }

    /// Puts a protocol ping behind what waits.
    pub(crate) fn push_ping(&mut self) {
        self.push_frames(Bytes::from_static(&PING));
    }

    /// Puts what are whole frames already behind what waits.
    pub(crate) fn push_frames(&mut self, frames: Bytes) {
        self.push_piece(Piece::raw(frames));
    }

    fn push_piece(&mut self, piece: Piece) {
        self.queued += piece.len();
        self.out.push_back(piece);
    }

    /// Writes what the kernel takes now. Whether that was all.
    pub(crate) fn write_now(&mut self) -> io::Result<bool> {
        while self.queued > 0 {
            match self.write_some() {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes until nothing waits.
    pub(crate) fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.write_now()? {
            ready!(self.tcp.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is there.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer))?;
        let fresh = buffer.filled();
        self.read += fresh.len() as u64;
        self.frames.pass(fresh);
        Poll::Ready(Ok(fresh.len()))
    }

    /// Says that nothing more will be sent.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn write_some(&self) -> io::Result<usize> {
        if self.queued <= COPIED { self.write_copied() } else { self.write_parts() }
    }

    /// One buffer is cheaper for the kernel than a list of parts, and a small copy is cheaper than that.
    fn write_copied(&self) -> io::Result<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            self.unsent().for_each(|part| scratch.extend_from_slice(part));
            self.tcp.try_write(scratch)
        })
    }

    fn write_parts(&self) -> io::Result<usize> {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let mut count = 0;
        for (place, part) in parts.iter_mut().zip(self.unsent()) {
            *place = IoSlice::new(part);
            count += 1;
        }
        self.tcp.try_write_vectored(&parts[..count])
    }

    /// What waits, in order, without what is gone.
    fn unsent(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.sent;
        let parts = self.out.iter().flat_map(|piece| [piece.head(), &piece.payload[..]]);
        let left = parts.map(move |part| {
            let left = &part[skip.min(part.len())..];
            skip -= part.len() - left.len();
            left
        });
        left.filter(|part| !part.is_empty())
    }

    fn advance(&mut self, written: usize) {
        self.written += written as u64;
        self.queued -= written;
        self.sent += written;
        while let Some(first) = self.out.front()
            && self.sent >= first.len()
        {
            self.sent -= first.len();
            self.out.pop_front();
        }
        if self.out.is_empty() && self.out.capacity() > KEPT_PLACES {
            self.out = VecDeque::new();
        }
    }
}

/// Where in the stream of incoming frames we are.
#[derive(Debug, Default)]
struct Frames {
    /// The header so far, while it is incomplete.
    header: [u8; 14],
    held: u8,
    /// Bytes of payload that are still to come.
    payload: u64,
    /// A message's last fragment is still to come.
    fragmented: bool,
}

impl Frames {
    fn at_boundary(&self) -> bool {
        self.held == 0 && self.payload == 0 && !self.fragmented
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload -= skipped as u64;
            bytes = &bytes[skipped..];
            if let Some((byte, rest)) = bytes.split_first() {
                self.header_byte(*byte);
                bytes = rest;
            }
        }
    }

    fn header_byte(&mut self, byte: u8) {
        self.header[usize::from(self.held)] = byte;
        self.held += 1;
        let header = &self.header[..usize::from(self.held)];
        let &[first, second, ref rest @ ..] = header else { return };
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        if rest.len() < length_bytes + mask_bytes {
            return;
        }
        self.payload = match &rest[..length_bytes] {
            [] => u64::from(second & 0x7f),
            long => long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        self.held = 0;
        let is_control = first & 0x08 != 0;
        if !is_control {
            self.fragmented = first & 0x80 == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame as a client sends it.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(0x80 | length as u8),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + length, 0xff);
        bytes
    }

    /// However the bytes are cut, the boundary is where the frames end.
    #[test]
    fn boundaries_are_found_however_the_bytes_arrive() {
        let parts = [frame(0x81, 0), frame(0x82, 125), frame(0x81, 126), frame(0x81, 70_000), frame(0x8a, 3)];
        for step in [1, 2, 3, 7, 4096] {
            let mut frames = Frames::default();
            for part in &parts {
                let (last, most) = part.split_last().unwrap();
                for chunk in most.chunks(step) {
                    frames.pass(chunk);
                    assert!(!frames.at_boundary());
                }
                frames.pass(&[*last]);
                assert!(frames.at_boundary());
            }
        }
    }

    #[test]
    fn a_message_ends_with_its_last_fragment() {
        let mut frames = Frames::default();
        frames.pass(&frame(0x01, 5));
        assert!(!frames.at_boundary());
        frames.pass(&frame(0x89, 2));
        assert!(!frames.at_boundary(), "a ping between fragments ends no message");
        frames.pass(&frame(0x80, 5));
        assert!(frames.at_boundary());
    }

    async fn pair() -> (Wire, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::net::TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await.unwrap();
        (Wire::new(listener.accept().await.unwrap().0, &[]), client)
    }

    /// However the kernel takes them: small ones together, large ones in fragments, the rest of one that was cut.
    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_at_one_who_reads_slowly() {
        use futures_util::StreamExt;
        use tokio_tungstenite::WebSocketStream;
        use tokio_tungstenite::tungstenite::Message;
        use tokio_tungstenite::tungstenite::protocol::Role;

        let (mut wire, client) = pair().await;
        let sizes = [0, 1, 125, 126, 3_000, 65_535, 65_536, 65_537, 200_000, 7, 1 << 20];
        let messages: Vec<Bytes> = sizes
            .iter()
            .cycle()
            .take(44)
            .enumerate()
            .map(|(at, size)| vec![at as u8; *size].into())
            .collect();
        let expected = messages.clone();
        let reads = tokio::spawn(async move {
            let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
            for payload in expected {
                let Message::Binary(got) = client.next().await.unwrap().unwrap() else {
                    panic!("no message")
                };
                assert!(got == payload, "{} and {} bytes", got.len(), payload.len());
                assert!(client.next().await.unwrap().unwrap().is_ping());
            }
        });
        for payload in messages {
            wire.push(Kind::Binary, payload);
            wire.push_ping();
            wire.write_now().unwrap();
        }
        assert!(wire.queued() > 0, "the client could not read so fast");
        std::future::poll_fn(|cx| wire.poll_write_all(cx)).await.unwrap();
        assert_eq!((wire.queued(), wire.out.capacity()), (0, 0));
        reads.await.unwrap();
    }
}
