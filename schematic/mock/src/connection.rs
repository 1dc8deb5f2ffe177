//! One connection: reads, asks the rules, says the answers, and misbehaves at the agreed moments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{SinkExt, StreamExt};
use schematic_define::{BodyKind, Definition, FrameKind};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use crate::answers::{Answers, Turn};
use crate::log::Happened;
use crate::messages::{Incoming, Said, Wrong};
use crate::rules::Rules;
use crate::server::Shared;
use crate::upgrade::{self, Accepted, Refusal};
use crate::{Count, Faults, Misbehaviour};

/// How long the client may take to end a connection that the server has ended.
const PARTING: Duration = Duration::from_secs(5);
/// Most bytes of a reason in a close frame, as the protocol says.
const REASON: usize = 123;
/// A text frame of two bytes that are not UTF-8.
const BAD_TEXT_FRAME: [u8; 4] = [0x81, 0x02, 0xC3, 0x28];

/// Why a conversation ends.
enum Over {
    /// The server ends it with a close frame
    Close(u16, String),
    /// The server ends it without one
    Drop,
    /// The client has ended it, with this code if it gave one
    Gone(Option<u16>),
}

/// Serves one connection until it is over.
#[allow(clippy::result_large_err)] // the type is the library's
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream, number: u64) {
    let mut judged = None;
    let accepted = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response| {
        let credential = shared.options.credential.as_deref();
        let judgement = upgrade::judge(&shared.definition, credential, request.uri(), request.headers());
        let answer = respond(&judgement, response);
        judged = Some(judgement);
        answer
    })
    .await;
    match (accepted, judged) {
        (Ok(socket), Some(Ok(upgrade))) => Line::new(shared, socket, number, upgrade).run().await,
        (_, Some(Err(Refusal { status, reason }))) => {
            shared.log.add(number, Happened::Refused { status, reason });
        }
        (Ok(_) | Err(_), Some(Ok(_)) | None) => shared.log.add(number, Happened::Closed { code: None }),
    }
}

#[allow(clippy::result_large_err)] // the type is the library's
fn respond(judgement: &Result<Accepted, Refusal>, mut response: Response) -> Result<Response, ErrorResponse> {
    match judgement {
        Ok(accepted) => {
            let chosen = accepted.subprotocol.as_ref().and_then(|name| HeaderValue::from_str(name).ok());
            if let Some(name) = chosen {
                response.headers_mut().insert("sec-websocket-protocol", name);
            }
            Ok(response)
        }
        Err(refusal) => {
            let mut response = ErrorResponse::new(Some(refusal.reason.clone() + "\n"));
            *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            Err(response)
        }
    }
}

struct Line {
    shared: Arc<Shared>,
    socket: WebSocketStream<TcpStream>,
    number: u64,
    faults: Faults,
    rules: Rules,
    answers: Answers,
    received: u32,
    sent: u32,
}

impl Line {
    fn new(shared: Arc<Shared>, socket: WebSocketStream<TcpStream>, number: u64, upgrade: Accepted) -> Self {
        let definition = &shared.definition;
        let id = definition.websocket_endpoints()[upgrade.endpoint].id.clone();
        shared.log.add(number, Happened::Opened { endpoint: id });
        let credential = shared.options.credential.clone();
        let rules = Rules::new(definition.clone(), upgrade.endpoint, upgrade.credential_due, credential);
        let sessions = shared.sessions.clone();
        let answers = Answers::new(definition.clone(), upgrade.endpoint, sessions, shared.url.clone());
        let general = &shared.options.faults;
        let faults = match general.connections {
            Some(most) if number > most => Faults::none(),
            Some(_) | None => general.clone(),
        };
        let faults = faults.and(upgrade.faults);
        Self { shared, socket, number, faults, rules, answers, received: 0, sent: 0 }
    }

    async fn run(mut self) {
        let Err(over) = self.converse().await;
        let code = match over {
            Over::Close(code, reason) => self.close(code, &reason).await,
            Over::Drop => self.drop_line().await,
            Over::Gone(code) => code,
        };
        self.note(Happened::Closed { code });
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, Over> {
        self.misbehave(Count::Received(0)).await?;
        self.misbehave(Count::Sent(0)).await?;
        let opening = self.answers.opening();
        let events = if self.rules.is_open() { self.answers.events(self.faults.events) } else { vec![] };
        for said in opening.into_iter().chain(events) {
            self.say(said).await?;
        }
        loop {
            let incoming = self.listen().await?;
            let turn = self.hear(&incoming)?;
            self.carry_out(turn).await?;
        }
    }

    /// The next message; whatever belongs to the protocol itself is seen to by the library.
    async fn listen(&mut self) -> Result<Incoming, Over> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Incoming::Text(text.to_string())),
                Some(Ok(Message::Binary(bytes))) => return Ok(Incoming::Binary(bytes.to_vec())),
                Some(Ok(Message::Close(frame))) => {
                    // Reading on sends the answer to the close frame.
                    while let Some(Ok(_)) = self.socket.next().await {}
                    return Err(Over::Gone(frame.map(|frame| frame.code.into())));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Err(Over::Gone(None)),
            }
        }
    }

    fn hear(&mut self, incoming: &Incoming) -> Result<Turn, Over> {
        let heard = self.rules.hear(incoming, Instant::now()).map_err(|wrong| self.breach(wrong))?;
        self.received += 1;
        let received = Happened::Received { message: heard.message.clone(), frame: heard.frame.clone() };
        self.note(received);
        self.answers.answer(&heard).map_err(|wrong| self.breach(wrong))
    }

    fn breach(&self, wrong: Wrong) -> Over {
        let code = self.rules.close_code(wrong.breach);
        let reason = wrong.reason.clone();
        self.note(Happened::Breached { breach: wrong.breach, code, reason });
        Over::Close(code, wrong.reason)
    }

    async fn carry_out(&mut self, turn: Turn) -> Result<(), Over> {
        if turn.refused {
            self.rules.refuse_opening();
        }
        // Events are made before anything is sent: those that a lost connection swallows are sent when it resumes.
        let events = if turn.opened { self.answers.events(self.faults.events) } else { vec![] };
        for said in turn.say.into_iter().chain(events) {
            self.say(said).await?;
        }
        self.misbehave(Count::Received(self.received)).await?;
        match turn.close {
            true => Err(Over::Close(1000, String::new())),
            false => Ok(()),
        }
    }

    async fn say(&mut self, said: Said) -> Result<(), Over> {
        let message = frame(&self.shared.definition, &said);
        self.send(message).await?;
        self.sent += 1;
        self.note(Happened::Sent { message: said.message, frame: said.frame });
        self.misbehave(Count::Sent(self.sent)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        if !self.faults.delay.is_zero() {
            tokio::time::sleep(self.faults.delay).await;
        }
        self.socket.send(message).await.map_err(|_| Over::Gone(None))
    }

    /// Does what is to go wrong at this moment.
    async fn misbehave(&mut self, now: Count) -> Result<(), Over> {
        let due: Vec<Misbehaviour> =
            self.faults.faults.iter().filter(|fault| fault.after == now).map(|fault| fault.what).collect();
        for what in due {
            self.note(Happened::Misbehaved(what));
            match what {
                Misbehaviour::Drop => return Err(Over::Drop),
                Misbehaviour::Close(code) => return Err(Over::Close(code, "as it was asked for".into())),
                Misbehaviour::Unknown => {
                    let text = self.answers.unknown().to_string();
                    self.send(Message::text(text)).await?;
                }
                Misbehaviour::Binary => self.send(Message::binary(vec![0x00, 0xFF, 0x01])).await?,
                Misbehaviour::InvalidJson => self.send(Message::text("{\"half\": ")).await?,
                Misbehaviour::InvalidUtf8 => {
                    let written = self.socket.get_mut().write_all(&BAD_TEXT_FRAME).await;
                    written.map_err(|_| Over::Gone(None))?;
                }
                Misbehaviour::Oversize(bytes) => {
                    let text = format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
                    self.send(Message::text(text)).await?;
                }
            }
        }
        Ok(())
    }

    /// Closes with a code, and waits for the client's answer.
    async fn close(&mut self, code: u16, reason: &str) -> Option<u16> {
        let mut end = reason.len().min(REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason[..end].into() };
        let socket = &mut self.socket;
        let parting = async {
            socket.close(Some(frame)).await.ok()?;
            let mut given = None;
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Close(Some(frame)) = message {
                    given = Some(frame.code.into());
                }
            }
            given
        };
        tokio::time::timeout(PARTING, parting).await.ok().flatten()
    }

    /// Ends the connection without a close frame. What was sent still arrives: with unread input the system would
    /// reset the connection and take it back, so the input is read to its end.
    async fn drop_line(&mut self) -> Option<u16> {
        let stream = self.socket.get_mut();
        let parting = async {
            let mut unread = [0; 4096];
            if stream.shutdown().await.is_ok() {
                while matches!(stream.read(&mut unread).await, Ok(1..)) {}
            }
        };
        // Who stays longer than that is cut off, which is a drop as well.
        tokio::time::timeout(PARTING, parting).await.ok();
        None
    }

    fn note(&self, what: Happened) {
        self.shared.log.add(self.number, what);
    }
}

/// A message as it goes over the wire.
fn frame(definition: &Definition, said: &Said) -> Message {
    let facts = definition.find_message(&said.message);
    let kind = facts.map_or(FrameKind::Text, |facts| facts.frame);
    let raw = facts.is_some_and(|facts| facts.body == BodyKind::Raw);
    let raw_text = said.frame.as_str().filter(|_| raw);
    let text = raw_text.map_or_else(|| Value::to_string(&said.frame), str::to_owned);
    match (kind, raw_text) {
        (FrameKind::Text | FrameKind::Either, _) => Message::text(text),
        (FrameKind::Binary, Some(base64)) => Message::binary(BASE64.decode(base64).unwrap_or_default()),
        (FrameKind::Binary, None) => Message::binary(text.into_bytes()),
    }
}
