//! The load generator's WebSocket client: raw frames over TCP, so that it costs little beside the server.
//!
//! It speaks just enough of RFC 6455: the upgrade, masked text frames out, whole or fragmented messages in. Payloads
//! are counted and looked at as bytes, not parsed.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of payload that came in.
    pub(crate) received: usize,
}

impl Client {
    /// Connects and upgrades.
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> io::Result<Self> {
        Self::connect_with(address, path, None).await
    }

    /// The same, with so many bytes in the kernel for what was not yet read.
    pub(crate) async fn connect_with(
        address: SocketAddr,
        path: &str,
        kernel_buffer: Option<u32>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = kernel_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut client = Self { stream, buffer: Vec::with_capacity(4096), start: 0, received: 0 };
        client.read_upgrade().await?;
        Ok(client)
    }

    async fn read_upgrade(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let accepted = self.buffer.starts_with(b"HTTP/1.1 101");
                self.start = end + 4;
                return if accepted {
                    Ok(())
                } else {
                    Err(io::Error::other("the server refused the upgrade"))
                };
            }
            self.fill().await?;
        }
    }

    /// Sends a text message. The mask is all zeros, which RFC 6455 allows a load generator to get away with.
    pub(crate) async fn send(&mut self, text: &str) -> io::Result<()> {
        let mut frame = vec![0x81];
        match text.len() {
            len @ 0..=125 => frame.push(0x80 | len as u8),
            len @ 126..=65_535 => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.stream.write_all(&frame).await
    }

    /// The next text message. Pings and pongs are passed over.
    pub(crate) async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let (head, payload) = self.frame().await?;
            match head & 0x0f {
                0x8 => return Err(io::Error::other("the server closed the connection")),
                0x9 | 0xa => continue,
                _ => message.extend_from_slice(&payload),
            }
            if head & 0x80 != 0 {
                self.received += message.len();
                return Ok(message);
            }
        }
    }

    async fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some((head, begin, len)) = header(&self.buffer[self.start..])
                && self.buffer.len() >= self.start + begin + len
            {
                let from = self.start + begin;
                let payload = self.buffer[from..from + len].to_vec();
                self.start = from + len;
                return Ok((head, payload));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(4096);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The first byte, where the payload begins, and its length.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (head, short) = (*bytes.first()?, *bytes.get(1)? & 0x7f);
    match short {
        126 => Some((head, 4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize)),
        127 => Some((head, 10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize)),
        len => Some((head, 2, usize::from(len))),
    }
}

/// Where `needle` is in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl Client {
    /// Asks in the live-data dialect and waits for the reply; notifications that come before it are passed over.
    pub(crate) async fn ask(&mut self, request: &str) -> io::Result<Vec<u8>> {
        self.send(request).await?;
        loop {
            let message = self.next().await?;
            if find(&message, b"\"type\":\"Success\"").is_some() {
                return Ok(message);
            }
            if find(&message, b"\"type\":\"Error\"").is_some() {
                return Err(io::Error::other(String::from_utf8_lossy(&message).into_owned()));
            }
        }
    }
}

/// Whether the message is of this type, without parsing it.
pub(crate) fn is_type(message: &[u8], name: &str) -> bool {
    let head = &message[..message.len().min(64)];
    find(head, format!("\"type\":\"{name}\"").as_bytes()).is_some()
        || find(head, format!("\"type\": \"{name}\"").as_bytes()).is_some()
}
