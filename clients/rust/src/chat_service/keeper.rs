//! The task that owns the connection and takes the answers along from one to the next.

use std::sync::Arc;

use schematic_runtime::{Attempt, Event, Events, Frame, Sender, Session, Target};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::client::Figures;
use super::track::Track;
use crate::access::Access;
use crate::generated::chat_service::client::ChatSession;
use crate::generated::chat_service::wire::{ClientMessage, Ping, ServerMessage, Stop};
use crate::{Error, Result};

/// What callers want of the task.
pub(crate) enum Control {
    /// An answer is awaited.
    Await(Box<Track>),
    /// Nobody reads it any more.
    Forget(u64),
    /// It is to end.
    Stop(String),
    /// Something is to be said.
    Say(Box<ClientMessage>),
    /// Nothing is wanted any more.
    Close,
}

/// The dialect, as the runtime asks for it.
pub(super) struct Chat {
    pub(super) address: String,
    pub(super) access: Arc<Access>,
}

impl Session for Chat {
    type In = ServerMessage;
    type Out = ClientMessage;

    async fn target(&mut self, _: Attempt) -> std::result::Result<Target, schematic_runtime::Error> {
        self.access.open(Target::new(self.address.as_str())).await
    }

    fn encode(message: &ClientMessage) -> std::result::Result<Frame, schematic_runtime::Error> {
        ChatSession::encode(message)
    }

    fn decode(frame: Frame) -> std::result::Result<ServerMessage, schematic_runtime::Error> {
        ChatSession::decode(frame)
    }

    fn ping(&mut self) -> Option<ClientMessage> {
        Some(ClientMessage::Ping(Ping {}))
    }

    fn is_beat(&self, message: &ServerMessage) -> bool {
        matches!(message, ServerMessage::Pong(_))
    }
}

pub(super) struct Keeper {
    events: Events<Chat>,
    control: mpsc::UnboundedReceiver<Control>,
    say: mpsc::UnboundedSender<ClientMessage>,
    sender: Sender<Chat>,
    figures: Arc<Figures>,
    answers: Vec<Track>,
    open: bool,
    dialled: Instant,
    /// Why nothing can be asked any more.
    over: Option<Error>,
}

impl Keeper {
    pub(super) fn new(
        sender: Sender<Chat>,
        events: Events<Chat>,
        control: mpsc::UnboundedReceiver<Control>,
        figures: Arc<Figures>,
    ) -> Self {
        Self {
            say: sayer(sender.clone()),
            sender,
            events,
            control,
            figures,
            answers: Vec::new(),
            open: false,
            dialled: Instant::now(),
            over: None,
        }
    }

    /// Ends when nobody can want anything any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.events.next(), if self.over.is_none() => match event {
                    Some(event) => self.event(event),
                    None => self.end(Error::Closed { reason: String::new() }, false),
                },
                control = self.control.recv() => match control {
                    Some(control) => self.control(control),
                    None => break,
                },
            }
        }
        self.sender.close(1000, "");
    }

    fn event(&mut self, event: Event<ServerMessage, ClientMessage>) {
        match event {
            Event::Connecting { .. } => {
                self.dialled = Instant::now();
                self.figures.attempt();
            }
            Event::Open { .. } | Event::Reconnected { .. } => self.opened(),
            Event::Message(message) => self.hear(&message),
            Event::Reconnecting { .. } => {
                self.open = false;
                self.figures.lost();
            }
            Event::Error(error) => tracing::warn!(%error, "a frame of the server was passed over"),
            Event::Closed { ending, .. } => {
                self.figures.lost();
                let error = match &ending.error {
                    Some(_) => ending.into_error().into(),
                    None => Error::Closed { reason: ending.to_string() },
                };
                self.end(error, true);
            }
            Event::Closing(_) => {}
        }
    }

    /// Everything that is awaited is asked for where it was.
    fn opened(&mut self) {
        self.open = true;
        self.figures.opened(self.dialled.elapsed());
        self.figures.resumed(self.answers.iter().filter(|answer| answer.has_begun()).count());
        for answer in &self.answers {
            self.say(answer.request());
        }
        for answer in self.answers.iter().filter(|answer| answer.stopping) {
            self.say(stop(answer.run_id()));
        }
    }

    fn hear(&mut self, message: &ServerMessage) {
        let about = run_id(message);
        for answer in &mut self.answers {
            if about.is_none_or(|about| about == answer.run_id()) {
                answer.hear(message);
            }
        }
        self.answers.retain(|answer| !answer.is_over());
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Await(mut answer) => match &self.over {
                Some(error) => answer.give_up(Some(error.clone())),
                None => {
                    if self.open {
                        self.say(answer.request());
                    }
                    self.answers.push(*answer);
                }
            },
            Control::Forget(key) => self.answers.retain(|answer| answer.key != key),
            Control::Stop(name) => {
                self.answers
                    .iter_mut()
                    .filter(|answer| answer.run_id() == name)
                    .for_each(|a| a.stopping = true);
                if self.open {
                    self.say(stop(&name));
                }
            }
            Control::Say(message) => self.say(*message),
            Control::Close => {
                self.sender.close(1000, "");
                let reason = String::from("this client was closed; make another one");
                self.end(Error::Closed { reason }, false);
            }
        }
    }

    fn say(&self, message: ClientMessage) {
        // The task behind it ends only with the connection.
        let _ = self.say.send(message);
    }

    fn end(&mut self, error: Error, told: bool) {
        for mut answer in self.answers.drain(..) {
            answer.give_up(told.then(|| error.clone()));
        }
        self.over.get_or_insert(error);
    }
}

fn stop(name: &str) -> ClientMessage {
    ClientMessage::Stop(Stop { run_id: name.to_owned() })
}

/// Which chat a message is about; `None`: nobody knows, or none.
fn run_id(message: &ServerMessage) -> Option<&str> {
    match message {
        ServerMessage::Text(m) => Some(&m.data.run_id),
        ServerMessage::Sources(m) => Some(&m.data.run_id),
        ServerMessage::WorkflowStep(m) => Some(&m.data.run_id),
        ServerMessage::Thinking(m) => Some(&m.data.run_id),
        ServerMessage::Final(m) => Some(&m.data.run_id),
        ServerMessage::Error(m) => m.data.run_id.as_deref(),
        ServerMessage::End(m) => m.data.run_id.as_deref(),
        ServerMessage::Run(m) => Some(&m.data.run_id),
        ServerMessage::Message(m) => Some(&m.data.run_id),
        ServerMessage::Tool(m) => Some(&m.data.run_id),
        ServerMessage::Approval(m) => Some(&m.data.run_id),
        ServerMessage::Pong(_) | ServerMessage::Unknown { .. } => None,
    }
}

/// Says what the task wants to say, in order, and waits for a place where the task may not.
fn sayer(sender: Sender<Chat>) -> mpsc::UnboundedSender<ClientMessage> {
    let (say, mut said) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(message) = said.recv().await {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    });
    say
}

/// What a caller's wish comes to if the task is gone.
pub(super) fn gone<T>(_: T) -> Error {
    Error::Closed { reason: String::from("this client was closed; make another one") }
}

/// A wish for the task.
pub(super) fn want(control: &mpsc::UnboundedSender<Control>, wish: Control) -> Result<()> {
    control.send(wish).map_err(gone)
}
