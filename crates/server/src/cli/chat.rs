//! `tidewire chat`: a conversation in the terminal, over the same socket as everybody's.
//!
//! Lines are messages; `/stop` stops the answer, `/quit` leaves. A lost connection is taken up again where it was;
//! what was not accepted by then is sent once more under its id.

use std::collections::VecDeque;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::screen::Screen;
use super::{Failure, Outcome, runtime};

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Lines that were typed ahead; then the terminal waits.
const TYPED_AHEAD: usize = 64;
/// A server that says nothing for so long is gone; it pings twice as often.
const SILENCE: Duration = Duration::from_secs(70);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// With whom to talk, and as what.
#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    url: String,
    /// The session; the same one continues a conversation.
    #[arg(long, default_value = "terminal")]
    session: String,
    /// A key, where the server has keys.
    #[arg(long, env = "TIDEWIRE_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Ask this, show the answer, and leave.
    question: Vec<String>,
}

pub(super) fn run(args: ChatArgs) -> Outcome {
    let address = socket_address(&args.url, &args.session)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let mut talk = Talk::new(args, address);
        talk.go_on().await
    });
    // The thread that reads the terminal may be waiting for a line that never comes.
    runtime.shutdown_background();
    outcome
}

fn socket_address(url: &str, session: &str) -> Result<String, Failure> {
    let rest = url.trim_end_matches('/');
    let rest = rest.strip_prefix("http").or_else(|| rest.strip_prefix("ws"));
    match rest {
        Some(rest) if rest.starts_with("://") || rest.starts_with("s://") => {
            Ok(format!("ws{rest}/ws/{session}"))
        }
        Some(_) | None => {
            Err(Failure::new(format!("{url:?} is not an address; write it like http://127.0.0.1:8080")))
        }
    }
}

struct Talk {
    address: String,
    key: Option<String>,
    screen: Screen,
    lines: mpsc::Receiver<String>,
    /// Messages without an echo so far, by id: they are sent again on a new connection.
    unconfirmed: VecDeque<(String, String)>,
    /// Leave when everything has been answered.
    once: bool,
    /// The last sequence number of what was there before a single question.
    history: Option<u64>,
    /// The terminal has ended; what was asked is still answered.
    no_more_lines: bool,
}

/// Why a connection is no longer used.
enum Break {
    /// The person leaves.
    Leave,
    /// It was lost, or the server wants us to come back.
    Lost,
    /// The server does not want us.
    Refused(String),
}

impl Talk {
    fn new(args: ChatArgs, address: String) -> Self {
        let screen = Screen::new(std::io::stdout().is_terminal());
        let once = !args.question.is_empty();
        let lines = if once { one_line(args.question.join(" ")) } else { read_lines() };
        Self {
            address,
            key: args.key,
            screen,
            lines,
            unconfirmed: VecDeque::new(),
            once,
            history: None,
            no_more_lines: false,
        }
    }

    async fn go_on(&mut self) -> Outcome {
        let mut attempt = 0;
        loop {
            match self.connect().await {
                Ok(socket) => {
                    attempt = 0;
                    match self.converse(socket).await {
                        Break::Leave => return Ok(ExitCode::SUCCESS),
                        Break::Refused(why) => return Err(Failure::new(why)),
                        Break::Lost => {}
                    }
                }
                Err(Error::Http(response)) => return Err(refusal(&response)),
                Err(error) if self.once => {
                    return Err(Failure::new(format!("{} cannot be reached: {error}", self.address)));
                }
                Err(error) if attempt == 0 => {
                    self.note(&format!("{} cannot be reached: {error}", self.address))
                }
                Err(_) => {}
            }
            let pause = pause(attempt);
            self.note(&format!("no connection; trying again in {:.0} s", pause.as_secs_f64()));
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn connect(&self) -> Result<Socket, Error> {
        let mut request = self.address.as_str().into_client_request()?;
        if let Some(key) = &self.key
            && let Ok(value) = HeaderValue::from_str(&format!("Bearer {key}"))
        {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
    }

    async fn converse(&mut self, mut socket: Socket) -> Break {
        let again: Vec<_> = self.unconfirmed.iter().map(|(_, frame)| frame.clone()).collect();
        for frame in std::iter::once(self.screen.resume()).chain(again) {
            if socket.send(Message::text(frame)).await.is_err() {
                return Break::Lost;
            }
        }
        loop {
            if self.is_done() {
                let _ = socket.close(None).await;
                return Break::Leave;
            }
            tokio::select! {
                frame = tokio::time::timeout(SILENCE, socket.next()) => match frame {
                    Ok(Some(Ok(Message::Close(frame)))) => return judge_close(frame.map(|f| (u16::from(f.code), f.reason.to_string()))),
                    Ok(Some(Ok(message))) => self.on_message(&message),
                    Ok(Some(Err(_)) | None) | Err(_) => return Break::Lost,
                },
                line = self.lines.recv(), if !self.no_more_lines => {
                    if let Some(leave) = self.on_line(line, &mut socket).await {
                        return leave;
                    }
                }
            }
        }
    }

    /// A question was given on the command line or the input has ended, and nothing is open any more.
    fn is_done(&self) -> bool {
        let input_over = self.no_more_lines || (self.once && self.lines.is_empty());
        input_over && self.unconfirmed.is_empty() && !self.screen.is_running()
    }

    fn on_message(&mut self, message: &Message) {
        let Message::Text(text) = message else { return };
        let Ok(frame) = serde_json::from_str::<Value>(text) else { return };
        // An echo confirms; an error that names the message ends it too.
        if let Some(id) = frame["message_id"].as_str() {
            self.unconfirmed.retain(|(sent, _)| sent != id);
        }
        let shown = self.screen.show(&frame);
        if !self.is_history(&frame) {
            self.write(&shown);
        }
    }

    /// Who asks one question wants its answer, not what was said in the session before.
    fn is_history(&mut self, frame: &Value) -> bool {
        if !self.once {
            return false;
        }
        if frame["type"] == "ready" && self.history.is_none() {
            self.history = frame["last_seq"].as_u64();
        }
        frame["seq"].as_u64().is_some_and(|seq| self.history.is_some_and(|last| seq <= last))
    }

    async fn on_line(&mut self, line: Option<String>, socket: &mut Socket) -> Option<Break> {
        let Some(line) = line else {
            self.no_more_lines = true;
            return None;
        };
        let frame = match line.trim() {
            "" => return None,
            "/quit" | "/exit" => return Some(Break::Leave),
            "/stop" => String::from("{\"stop\":true}"),
            command if command.starts_with('/') => {
                self.note("commands are /stop and /quit; everything else is a message");
                return None;
            }
            message => {
                let id = crate::hex(&rand::random::<[u8; 16]>());
                let frame = self.screen.message(message, id.clone());
                self.unconfirmed.push_back((id, frame.clone()));
                frame
            }
        };
        socket.send(Message::text(frame)).await.is_err().then_some(Break::Lost)
    }

    fn note(&mut self, line: &str) {
        let shown = self.screen.line(line);
        self.write(&shown);
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }
}

fn judge_close(frame: Option<(u16, String)>) -> Break {
    match frame {
        Some((code @ 4000..=4999, reason)) => {
            Break::Refused(format!("the server refused: {reason} ({code})"))
        }
        Some(_) | None => Break::Lost,
    }
}

fn refusal(response: &tokio_tungstenite::tungstenite::http::Response<Option<Vec<u8>>>) -> Failure {
    let body = response.body().as_deref().unwrap_or_default();
    let said = serde_json::from_slice::<Value>(body).ok();
    let said = said.as_ref().and_then(|body| body["error"]["message"].as_str());
    match said {
        Some(sentence) => Failure::new(sentence),
        None => Failure::new(format!("the server answered {}", response.status())),
    }
}

/// Doubling from one second, with a part of chance, so that clients do not come back all at once.
fn pause(attempt: u32) -> Duration {
    let full = Duration::from_secs(1 << attempt.min(5)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

fn one_line(line: String) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    // The channel has room for one, and this is the one.
    let _ = sender.try_send(line);
    receiver
}

/// Reads the terminal on a thread of its own, because a read cannot be taken back.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(TYPED_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let of = |url| socket_address(url, "s").ok();
        assert_eq!(of("http://127.0.0.1:8080").as_deref(), Some("ws://127.0.0.1:8080/ws/s"));
        assert_eq!(of("https://chat.example.com/").as_deref(), Some("wss://chat.example.com/ws/s"));
        assert_eq!(of("ws://localhost:1").as_deref(), Some("ws://localhost:1/ws/s"));
        assert_eq!(of("127.0.0.1:8080"), None);
        assert_eq!(of("httpx://a"), None);
    }

    #[test]
    fn pauses_double_and_stay_below_half_a_minute() {
        for attempt in 0..40 {
            let full = (1u64 << attempt.min(5)).min(30) as f64;
            let pause = pause(attempt).as_secs_f64();
            assert!(pause >= full / 2.0 && pause <= full, "{attempt}: {pause}");
        }
    }
}
