//! JSON-RPC over a pair of pipes: a message a line.
//!
//! An answer that is too long, or that no MCP message looks like, becomes an error for the call that it answers, so that
//! this call fails at once and the others go on. Lines that answer nothing are passed over.

use std::io;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::model::{ErrorData, JsonRpcError, JsonRpcMessage, NumberOrString, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

/// The longest message that a server may send.
pub(super) const MESSAGE_MAX: usize = 4 * 1024 * 1024;
/// In so many bytes of a message that is too long we look for what it answers.
const HEAD: usize = 512;

/// Lines of bounded length. The rest of a line that is longer is read and dropped.
pub(super) struct Lines<R> {
    from: BufReader<R>,
    most: usize,
    line: Vec<u8>,
    length: usize,
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    /// Nothing of it was dropped.
    pub(super) whole: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, most: usize) -> Self {
        Self { from: BufReader::new(from), most, line: Vec::new(), length: 0 }
    }

    /// The next line; `None` at the end. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let there = self.from.fill_buf().await?;
            if there.is_empty() {
                return Ok(None);
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let text = &there[..end.unwrap_or(there.len())];
            let room = self.most - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.length += text.len();
            let taken = text.len() + usize::from(end.is_some());
            self.from.consume(taken);
            if end.is_some() {
                let whole = std::mem::take(&mut self.length) <= self.most;
                return Ok(Some(Line { text: std::mem::take(&mut self.line), whole }));
            }
        }
    }
}

/// A server behind its standard input and output.
pub(super) struct Pipes<R, W> {
    from: Lines<R>,
    to: Arc<Mutex<Option<W>>>,
}

impl<R: AsyncRead + Unpin, W> Pipes<R, W> {
    pub(super) fn new(from: R, to: W) -> Self {
        Self { from: Lines::new(from, MESSAGE_MAX), to: Arc::new(Mutex::new(Some(to))) }
    }
}

impl<R, W> Transport<RoleClient> for Pipes<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let to = Arc::clone(&self.to);
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut to = to.lock().await;
            let to = to.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            to.write_all(&line).await?;
            to.flush().await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            match self.from.next().await {
                Ok(Some(line)) => {
                    if let Some(message) = read(&line) {
                        return Some(message);
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(%error, "its output cannot be read");
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        *self.to.lock().await = None;
        Ok(())
    }
}

fn read(line: &Line) -> Option<RxJsonRpcMessage<RoleClient>> {
    if !line.whole {
        let why = format!("the answer is longer than {MESSAGE_MAX} bytes");
        return answers_early(&line.text).map(|id| failed(id, why));
    }
    match serde_json::from_slice(&line.text) {
        Ok(message) => Some(message),
        Err(error) => {
            tracing::debug!(%error, "it said what is no message");
            answers(&line.text).map(|id| failed(id, String::from("the answer is none that MCP knows")))
        }
    }
}

fn failed(id: RequestId, why: String) -> RxJsonRpcMessage<RoleClient> {
    JsonRpcMessage::Error(JsonRpcError::new(Some(id), ErrorData::internal_error(why, None)))
}

/// The id of the call that a message answers, if it is an answer.
fn answers(text: &[u8]) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Head {
        id: Option<NumberOrString>,
        method: Option<IgnoredAny>,
    }
    let head: Head = serde_json::from_slice(text).ok()?;
    if head.method.is_some() { None } else { head.id }
}

/// The same from the beginning of a message. Our ids are numbers.
fn answers_early(text: &[u8]) -> Option<RequestId> {
    let head = String::from_utf8_lossy(&text[..text.len().min(HEAD)]);
    let (before, _) = head.split_once("\"result\"").or_else(|| head.split_once("\"error\""))?;
    let (_, after) = before.split_once("\"id\"")?;
    let digits = after.trim_start().strip_prefix(':')?.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().map(NumberOrString::Number)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use proptest::prelude::*;
    use tokio::io::ReadBuf;

    use super::*;

    async fn lines(text: &[u8], most: usize) -> Vec<(String, bool)> {
        let mut lines = Lines::new(text, most);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push((String::from_utf8_lossy(&line.text).into_owned(), line.whole));
        }
        all
    }

    /// Bytes that come so many at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl AsyncRead for Pieces<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(into.remaining()));
            into.put_slice(piece);
            self.0 = rest;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_an_unfinished_one_is_none() {
        let long = "x".repeat(100_000);
        let text = format!("one\n\n{long}\n1234567\n12345678\nunfinished");
        let expected = [("one", true), ("", true), ("xxxxxxx", false), ("1234567", true), ("1234567", false)];
        assert_eq!(lines(text.as_bytes(), 7).await, expected.map(|(text, whole)| (text.to_owned(), whole)));
    }

    fn error_for(text: &str, whole: bool) -> Option<RequestId> {
        match read(&Line { text: text.as_bytes().to_vec(), whole })? {
            JsonRpcMessage::Error(error) => error.id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_fails_its_call_and_no_other() {
        let seven = Some(NumberOrString::Number(7));
        assert_eq!(error_for(r#"{"jsonrpc":"2.0","id":7,"nothing":1}"#, true), seven);
        assert_eq!(error_for(r#"{"jsonrpc":"1.0","id":7,"result":{}}"#, true), seven);
        assert_eq!(error_for(r#"{"jsonrpc":"2.0","id" : 7,"result":{"con"#, false), seven);
        assert_eq!(error_for(r#"{"jsonrpc":"2.0","result":{"id":7,"con"#, false), None);
        for nothing in
            ["", "hello", "{", "[]", "\u{0}", r#"{"id":7"#, r#"{"id":7,"method":"x","params":"y"}"#]
        {
            assert_eq!(error_for(nothing, true), None, "{nothing}");
            assert_eq!(error_for(nothing, false), None, "{nothing}");
        }
    }

    proptest! {
        /// However the bytes come, the same lines are read, each no longer than it may be, and reading them ends.
        #[test]
        fn any_bytes_in_any_pieces_are_lines(
            bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'{')], 0..200),
            piece in 1_usize..20,
            most in 1_usize..30,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let whole = runtime.block_on(lines(&bytes, most));
            let mut lines = Lines::new(Pieces(&bytes, piece), most);
            let mut found = Vec::new();
            while let Some(line) = runtime.block_on(lines.next()).unwrap() {
                prop_assert!(line.text.len() <= most);
                let _ = read(&line);
                found.push((String::from_utf8_lossy(&line.text).into_owned(), line.whole));
            }
            prop_assert_eq!(found.len(), bytes.iter().filter(|byte| **byte == b'\n').count());
            prop_assert_eq!(found, whole);
        }

        /// What a server says is a message, an error for the call that it answers, or passed over.
        #[test]
        fn any_message_is_read_or_passed_over(
            id in prop_oneof![any::<i64>().prop_map(|id| id.to_string()), Just("\"a\"".to_owned()), Just("null".to_owned())],
            rest in "[a-z\":{}\\[\\],0-9 ]{0,40}",
            whole in any::<bool>(),
        ) {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{rest}");
            for text in [text.clone(), text + "}"] {
                if let Some(JsonRpcMessage::Error(error)) = read(&Line { text: text.into_bytes(), whole }) {
                    prop_assert!(!error.error.message.is_empty());
                }
            }
        }
    }
}
