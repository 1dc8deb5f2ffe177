//! SmolLM2-135M-Instruct: small talk.
//!
//! One thread owns the weights and takes one job after another; a job's stream waits in line and says so.

use std::path::Path;
use std::sync::mpsc as jobs;
use std::thread;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::generate::{Generator, Listener, Progress, Wanted};
use super::line::{Line, Ticket};
use super::{Shared, load, missing, prompt};
use crate::error::{Error, Result};
use crate::event::Usage;
use crate::model::{Model, ModelEvent, ModelStream, Request, Status};

/// The context that we let it use. It was trained for 8192, but what is further back only slows it down.
const CONTEXT_WINDOW: u64 = 2048;
/// Events between the model's thread and its reader; a reader that is slower makes the model wait.
const EVENTS: usize = 32;

type Events = mpsc::Sender<Result<ModelEvent>>;

/// The chat model.
pub struct SmolLm {
    jobs: jobs::Sender<Job>,
    line: Line,
    status: Shared,
}

struct Job {
    wanted: Wanted,
    events: Events,
}

impl SmolLm {
    /// Begins to load the file and returns at once. A file that is not there is a status, not an error.
    pub fn open(file: &Path) -> Self {
        let status = Shared::new(if file.is_file() { Status::Loading } else { missing(file) });
        let (sender, receiver) = jobs::channel();
        if status.get() == Status::Loading {
            let (file, status) = (file.to_owned(), status.clone());
            let work = move || serve(&file, &status, &receiver);
            let started = thread::Builder::new().name(String::from("tidewire-model")).spawn(work);
            // Without the thread the receiver is gone, and every request says so.
            if let Err(error) = started {
                tracing::error!(%error, "the embedded model has no thread");
            }
        }
        Self { jobs: sender, line: Line::new(), status }
    }

    fn unavailable(&self) -> Error {
        match self.status.get() {
            Status::Missing(why) | Status::Failed(why) => {
                Error::unavailable(format!("the embedded chat model cannot answer: {why}"))
            }
            Status::Ready | Status::Loading => {
                Error::unavailable("the embedded chat model has stopped; restart the server")
            }
        }
    }
}

#[async_trait]
impl Model for SmolLm {
    fn name(&self) -> &str {
        "SmolLM2-135M-Instruct"
    }

    fn context_window(&self) -> Option<u64> {
        Some(CONTEXT_WINDOW)
    }

    fn status(&self) -> Status {
        self.status.get()
    }

    async fn stream(&self, request: Request) -> Result<ModelStream> {
        if matches!(self.status(), Status::Missing(_) | Status::Failed(_)) {
            return Err(self.unavailable());
        }
        let wanted = Wanted {
            prompt: prompt::conversation(&request.messages),
            max_tokens: request.max_tokens,
            temperature: request.temperature,
        };
        let waiting = Waiting { ticket: self.line.join(), shown: 0, wanted, jobs: self.jobs.clone() };
        Ok(stream::unfold(Answer::Waiting(Box::new(waiting)), Answer::next).boxed())
    }
}

/// An answer: first in line, then being generated. Dropping it ends the generation before its next token.
enum Answer {
    Waiting(Box<Waiting>),
    Generating(mpsc::Receiver<Result<ModelEvent>>, Ticket),
    Over,
}

struct Waiting {
    ticket: Ticket,
    /// The position that was told last; nobody is told of 0.
    shown: usize,
    wanted: Wanted,
    jobs: jobs::Sender<Job>,
}

impl Answer {
    async fn next(self) -> Option<(Result<ModelEvent>, Self)> {
        match self {
            Self::Waiting(waiting) => waiting.next().await,
            Self::Generating(events, ticket) => generating(events, ticket).await,
            Self::Over => None,
        }
    }
}

impl Waiting {
    async fn next(mut self: Box<Self>) -> Option<(Result<ModelEvent>, Answer)> {
        let position = match self.shown {
            0 => self.ticket.position(),
            shown => self.ticket.moved(shown).await,
        };
        if position > 0 {
            self.shown = position;
            return Some((Ok(ModelEvent::Queued { position }), Answer::Waiting(self)));
        }
        let (events, receiver) = mpsc::channel(EVENTS);
        if self.jobs.send(Job { wanted: self.wanted, events }).is_err() {
            return Some((Err(stopped()), Answer::Over));
        }
        generating(receiver, self.ticket).await
    }
}

async fn generating(
    mut events: mpsc::Receiver<Result<ModelEvent>>,
    ticket: Ticket,
) -> Option<(Result<ModelEvent>, Answer)> {
    match events.recv().await {
        Some(Ok(end @ ModelEvent::End(_))) => Some((Ok(end), Answer::Over)),
        Some(Ok(event)) => Some((Ok(event), Answer::Generating(events, ticket))),
        Some(Err(error)) => Some((Err(error), Answer::Over)),
        None => Some((Err(stopped()), Answer::Over)),
    }
}

fn stopped() -> Error {
    Error::unavailable("the embedded chat model has stopped; restart the server")
}

/// The model's thread: loads, then does jobs until nobody can ask any more.
fn serve(file: &Path, status: &Shared, jobs: &jobs::Receiver<Job>) {
    let begun = std::time::Instant::now();
    let generator = match load::read(file).and_then(Generator::new) {
        Ok(generator) => generator,
        Err(why) => {
            tracing::error!(%why, file = %file.display(), "the embedded chat model does not load");
            status.set(Status::Failed(why));
            return;
        }
    };
    status.set(Status::Ready);
    tracing::info!(seconds = begun.elapsed().as_secs_f32(), "the embedded chat model is ready");
    for job in jobs {
        let mut listener = Channel { events: job.events, usage: Usage::default() };
        match generator.run(&job.wanted, &mut listener) {
            Ok(Some(reason)) => listener.end(ModelEvent::End(reason)),
            Ok(None) => {}
            Err(why) => listener.fail(&why),
        }
    }
}

/// A job's reader, seen from the model's thread.
struct Channel {
    events: Events,
    usage: Usage,
}

impl Channel {
    fn send(&self, event: ModelEvent) -> bool {
        self.events.blocking_send(Ok(event)).is_ok()
    }

    fn end(&self, end: ModelEvent) {
        let _ = self.send(ModelEvent::Usage(self.usage)) && self.send(end);
    }

    fn fail(&self, why: &str) {
        tracing::error!(%why, "the embedded chat model failed");
        let error = Error::upstream("the embedded chat model failed; ask again");
        // A reader that is gone has no use for the error.
        let _ = self.events.blocking_send(Err(error));
    }
}

impl Listener for Channel {
    fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    fn tell(&mut self, progress: Progress) -> bool {
        match progress {
            Progress::Prompt(input_tokens) => {
                let context_window = Some(CONTEXT_WINDOW);
                self.usage = Usage { input_tokens, output_tokens: 0, context_window };
                self.send(ModelEvent::Usage(self.usage))
            }
            Progress::Token(text, output_tokens) => {
                self.usage.output_tokens = output_tokens;
                let text = text.filter(|text| !text.is_empty());
                // Before the text, so that an answer that is stopped after it has counted it.
                self.send(ModelEvent::Usage(self.usage))
                    && text.is_none_or(|text| self.send(ModelEvent::Text(text)))
            }
        }
    }
}
