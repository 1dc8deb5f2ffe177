//! The load generator's HTTP client: one kept connection, requests as text, answers by their length or in chunks.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::find;

/// One kept connection.
pub(crate) struct Http {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
}

impl Http {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, buffer: Vec::with_capacity(4096) })
    }

    /// Asks, with a JSON body if there is one, and gives the answer's body. Anything but success is an error.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        head: &str,
        body: &str,
    ) -> io::Result<Vec<u8>> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{head}\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (head, end) = self.head().await?;
        let body = match header(&head, "content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => self.sized(end, length).await?,
            None => self.chunked(end).await?,
        };
        if head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            return Ok(body);
        }
        Err(io::Error::other(format!("{method} {path}: {head}\n{}", String::from_utf8_lossy(&body))))
    }

    /// A body of so many bytes, which begins at `from` in the buffer.
    async fn sized(&mut self, from: usize, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < from + length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..from + length).skip(from).collect())
    }

    /// A body in chunks (RFC 9112 §7.1), of which the first begins at `from` in the buffer.
    async fn chunked(&mut self, mut from: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let Some(line) = find(&self.buffer[from..], b"\r\n") else {
                self.fill().await?;
                continue;
            };
            let size = std::str::from_utf8(&self.buffer[from..from + line]).ok();
            let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.ok_or_else(|| io::Error::other("an answer with neither a length nor chunks"))?;
            let begin = from + line + 2;
            from = begin + size + 2;
            while self.buffer.len() < from {
                self.fill().await?;
            }
            if size == 0 {
                self.buffer.drain(..from);
                return Ok(body);
            }
            body.extend_from_slice(&self.buffer[begin..begin + size]);
        }
    }

    /// Posts, and reads no more of the answer than its head: it has no body and no length.
    pub(crate) async fn ask_without_answer(&mut self, path: &str, body: &str) -> io::Result<()> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (head, _) = self.head().await?;
        if head.starts_with("HTTP/1.1 204") { Ok(()) } else { Err(io::Error::other(head)) }
    }

    /// Begins to read server-sent events.
    pub(crate) async fn events(mut self, path: &str) -> io::Result<Events> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", self.address);
        self.stream.write_all(request.as_bytes()).await?;
        let (_, end) = self.head().await?;
        self.buffer.drain(..end);
        Ok(Events { http: self })
    }

    /// The answer's head, and where its body begins in the buffer.
    async fn head(&mut self) -> io::Result<(String, usize)> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Ok((String::from_utf8_lossy(&self.buffer[..end]).into_owned(), end + 4));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(4096);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// A stream of server-sent events. Chunk sizes between them are passed over: they are lines without a field.
pub(crate) struct Events {
    http: Http,
}

impl Events {
    /// The next event's text.
    pub(crate) async fn next(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.http.buffer, b"\n\n") {
                let event: Vec<u8> = self.http.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&event).into_owned());
            }
            self.http.fill().await?;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
