//! Values that come one after another: of a streamed body, or of one page after the other.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::de::DeserializeOwned;

use super::Opened;
use crate::Error;

/// A stream of values. Dropping it ends the transfer; it ends after its first error.
pub struct Items<T, E>(BoxStream<'static, Result<T, E>>);

impl<T, E> Items<T, E> {
    pub(super) fn new(stream: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self {
        Self(stream.boxed())
    }
}

impl<T, E> Stream for Items<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl<T, E> fmt::Debug for Items<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items(…)")
    }
}

/// Takes bytes and gives the JSON texts in them.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// Whether lines are fields of events
    events: bool,
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, of whose line a line feed is still part
    after_return: bool,
    /// The `data` of the event that is being read
    data: Option<Vec<u8>>,
    ready: VecDeque<Vec<u8>>,
    done: bool,
}

impl Framing {
    /// Server-sent events.
    pub(super) fn events() -> Self {
        Self { events: true, ..Self::default() }
    }

    /// One value a line.
    pub(super) fn lines() -> Self {
        Self::default()
    }

    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' if std::mem::take(&mut self.after_return) => {}
                b'\n' => self.end_line(),
                b'\r' if self.events => {
                    self.end_line();
                    self.after_return = true;
                }
                other => {
                    self.after_return = false;
                    self.line.push(other);
                }
            }
        }
    }

    /// Bytes that wait for the rest of their value.
    fn held(&self) -> &[u8] {
        self.data.as_deref().filter(|data| data.len() > self.line.len()).unwrap_or(&self.line)
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if self.events {
            self.field(&line);
        } else if !line.trim_ascii().is_empty() {
            self.ready.push_back(line);
        }
    }

    fn field(&mut self, line: &[u8]) {
        if line.is_empty() {
            return self.end_event();
        }
        // A mark of byte order may stand before the first line.
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let Some(rest) = line.strip_prefix(b"data") else { return };
        let value = match rest {
            [] => rest,
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            _ => return,
        };
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
    }

    fn end_event(&mut self) {
        let Some(data) = self.data.take() else { return };
        // What many servers say at the end; it is no JSON, so it can be nothing else.
        if data == b"[DONE]" {
            self.done = true;
        } else if !self.done && !data.is_empty() {
            self.ready.push_back(data);
        }
    }

    /// The body is over. A last line counts without its end, an event does not.
    fn end(&mut self) {
        if !self.events {
            self.end_line();
        }
        self.done = true;
    }
}

/// The values in the body of a reply.
pub(super) fn stream<T>(opened: Opened, framing: Framing) -> Items<T, Error>
where
    T: DeserializeOwned + Send + 'static,
{
    Items::new(stream::try_unfold((opened, framing), async |(mut opened, mut framing)| {
        let next = next(&mut opened, &mut framing).await?;
        Ok(next.map(|value| (value, (opened, framing))))
    }))
}

async fn next<T: DeserializeOwned>(opened: &mut Opened, framing: &mut Framing) -> Result<Option<T>, Error> {
    loop {
        if let Some(text) = framing.ready.pop_front() {
            return opened.about.json("streamed value", &text).map(Some);
        }
        if framing.done {
            return Ok(None);
        }
        match opened.chunk().await? {
            Some(chunk) => framing.push(&chunk),
            None => framing.end(),
        }
        if framing.held().len() > opened.about.body_bytes {
            return Err(opened.about.too_long(framing.held()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(mut framing: Framing, chunks: &[&str]) -> Vec<String> {
        chunks.iter().for_each(|chunk| framing.push(chunk.as_bytes()));
        framing.end();
        framing.ready.into_iter().map(|text| String::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn events_are_found_whatever_ends_their_lines_and_wherever_chunks_end() {
        let chunks = [
            "\u{feff}data: 0\n\n: hi\r\nevent: x\r",
            "\nda",
            "ta: {\"a\":\rdata:1}\n",
            "\n\ndata:2\r\rdata: 3\n\ndata: 4",
        ];
        assert_eq!(texts(Framing::events(), &chunks), ["0", "{\"a\":\n1}", "2", "3"]);
        assert_eq!(texts(Framing::events(), &["data: 1\n\ndata: [DONE]\n\ndata: 2\n\n"]), ["1"]);
    }

    #[test]
    fn a_last_line_needs_no_end() {
        assert_eq!(texts(Framing::lines(), &["1\r\n\n{\"a\"", ":2}\n3"]), ["1\r", "{\"a\":2}", "3"]);
    }
}
