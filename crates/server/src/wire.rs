//! The TCP connection under a WebSocket, watched.
//!
//! It counts bytes: that some went out is how a client that reads is told from one that stopped. And it follows the
//! frames' headers (RFC 6455 §5.2) far enough to know when no frame and no message is half read; only then may the
//! library's buffers be replaced. It changes nothing and judges nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection that counts what passes.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    frames: Frames,
    /// Bytes that came.
    pub(crate) read: u64,
    /// Bytes that went.
    pub(crate) written: u64,
}

impl Wire {
    /// A connection of which `rest` has been read already.
    pub(crate) fn new(tcp: TcpStream, rest: &[u8]) -> Self {
        let mut frames = Frames::default();
        frames.pass(rest);
        Self { tcp, frames, read: rest.len() as u64, written: 0 }
    }

    /// Whether what was read so far is whole frames of whole messages.
    pub(crate) fn at_boundary(&self) -> bool {
        self.frames.at_boundary()
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

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        let fresh = &buffer.filled()[before..];
        self.read += fresh.len() as u64;
        self.frames.pass(fresh);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, bytes))?;
        self.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
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
}
