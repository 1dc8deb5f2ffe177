//! A house to test in, clients that check what every client may rely on, and agents that do as they are told.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use tidewire_engine::agent::{Agent, Agents, Events, Turn};
use tidewire_engine::command::{RunState, WhileRunning};
use tidewire_engine::event::{Answer, Usage};
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Models;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::{self, Sqlite};
use tidewire_engine::{
    AgentEvent, ChatBody, ChatEvent, ChatId, ChatRef, Command, Connection, Engine, Epoch, Event, Identity,
    LocalBus, Parts, Position, Reply, Result, RunId, Seq, Settings,
};
use tokio::sync::Semaphore;

/// The session that most tests talk in.
pub(crate) const SESSION: &str = "s1";

/// An engine over a real store.
pub(crate) struct House {
    pub(crate) engine: Arc<Engine>,
    pub(crate) folder: TempDir,
}

impl House {
    pub(crate) async fn new(agent: Arc<dyn Agent>) -> Self {
        Self::with(agent, Settings::default()).await
    }

    pub(crate) async fn with(agent: Arc<dyn Agent>, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = start(open(folder.path()), agent, settings).await;
        Self { engine, folder }
    }

    /// A client that follows [`SESSION`] from its very beginning.
    pub(crate) async fn client(&self) -> Client {
        Client::follow(&self.engine, SESSION, Some(Seq::START)).await
    }
}

pub(crate) fn open(folder: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(sqlite::Settings::new(folder)).unwrap())
}

pub(crate) async fn start(store: Arc<dyn Store>, agent: Arc<dyn Agent>, settings: Settings) -> Arc<Engine> {
    let parts = Parts {
        store,
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(agent),
        models: Models::new(Arc::new(ScriptedModel::new())),
        embedder: None,
        clock: Arc::new(SystemClock),
        settings,
    };
    Engine::start(parts).await.unwrap()
}

pub(crate) fn session(name: &str) -> ChatRef {
    ChatRef::Session(name.parse().unwrap())
}

/// A client with one chat on its page.
pub(crate) struct Client {
    pub(crate) engine: Arc<Engine>,
    pub(crate) connection: Connection,
    pub(crate) chat: ChatId,
    pub(crate) epoch: Epoch,
    pub(crate) reset: bool,
    pub(crate) run: Option<RunState>,
    pub(crate) page: Page,
    session: ChatRef,
    unread: std::vec::IntoIter<Event>,
}

impl Client {
    pub(crate) async fn follow(engine: &Arc<Engine>, name: &str, after: Option<Seq>) -> Self {
        let after = after.map(|seq| Position { epoch: None, seq });
        Self::resume(engine, name, after, Page::default()).await
    }

    /// A client that comes back with the page that it had.
    pub(crate) async fn resume(
        engine: &Arc<Engine>,
        name: &str,
        after: Option<Position>,
        page: Page,
    ) -> Self {
        let connection = engine.connect(Identity::local());
        let follow = Command::FollowChat { chat: session(name), after };
        let Reply::Following { chat, epoch, last_seq, reset, run } =
            engine.execute(&connection, follow).await.unwrap()
        else {
            panic!("a follow is answered by Following")
        };
        let mut page = if reset { Page::default() } else { page };
        if after.is_none() {
            page.seq = last_seq;
        }
        let (engine, session) = (Arc::clone(engine), session(name));
        Self { engine, connection, chat, epoch, reset, run, page, session, unread: Vec::new().into_iter() }
    }

    pub(crate) async fn execute(&self, command: Command) -> Result<Reply> {
        self.engine.execute(&self.connection, command).await
    }

    pub(crate) async fn send(&self, content: &str) -> RunId {
        self.try_send(content, None, WhileRunning::Queue(20)).await.unwrap().0
    }

    /// The run, and the event of the message if it had been accepted before.
    pub(crate) async fn try_send(
        &self,
        content: &str,
        message_id: Option<&str>,
        while_running: WhileRunning,
    ) -> Result<(RunId, Option<Arc<ChatEvent>>)> {
        let command = Command::SendMessage {
            chat: self.session.clone(),
            message_id: message_id.map(str::to_owned),
            content: content.to_owned(),
            while_running,
            options: Default::default(),
        };
        match self.execute(command).await? {
            Reply::Accepted { run, duplicate, .. } => Ok((run, duplicate)),
            other => panic!("a message is answered by Accepted, not by {other:?}"),
        }
    }

    pub(crate) async fn stop(&self, run: Option<RunId>) -> bool {
        match self.execute(Command::StopRun { chat: self.session.clone(), run }).await {
            Ok(Reply::Stopped(stopped)) => stopped,
            other => panic!("a stop is answered by Stopped, not by {other:?}"),
        }
    }

    /// The next event, after it was put on the page.
    pub(crate) async fn next(&mut self) -> Arc<ChatEvent> {
        loop {
            if let Some(Event::Chat(event)) = self.unread.next() {
                assert_eq!(event.chat, self.chat, "a client gets what it follows");
                self.page.show(&event);
                return event;
            }
            let mut events = Vec::new();
            self.connection.next(&mut events).await;
            assert!(!events.is_empty(), "next gives at least one event");
            self.unread = events.into_iter();
        }
    }

    /// Everything up to the first event that fits, this one included.
    pub(crate) async fn until(&mut self, fits: impl Fn(&ChatEvent) -> bool) -> Vec<Arc<ChatEvent>> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            events.push(Arc::clone(&event));
            if fits(&event) {
                return events;
            }
        }
    }

    /// How the run ended.
    pub(crate) async fn end_of(&mut self, run: RunId) -> AgentEvent {
        let events = self.until(|event| end(event).is_some_and(|(of, _)| of == run)).await;
        end(events.last().unwrap()).unwrap().1.clone()
    }

    /// Waits until the page shows at least so much of the run.
    pub(crate) async fn sees(&mut self, run: RunId, text: &str) {
        while !self.page.text(run).starts_with(text) {
            self.next().await;
        }
    }
}

/// The end that an event is, if it is one.
pub(crate) fn end(event: &ChatEvent) -> Option<(RunId, &AgentEvent)> {
    match &event.body {
        ChatBody::Run { run, event, .. } if event.is_end() => Some((*run, event)),
        _ => None,
    }
}

/// What a run's end shows.
pub(crate) fn answer(end: &AgentEvent) -> &Answer {
    match end {
        AgentEvent::RunFinished { answer, .. }
        | AgentEvent::RunFailed { answer, .. }
        | AgentEvent::RunStopped { answer, .. } => answer,
        other => panic!("{other:?} is not an end"),
    }
}

/// A page as a browser would show it. It fails where an event is missing, doubled, out of order, or does not fit
/// what is shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) seq: Seq,
    pub(crate) questions: Vec<(RunId, String)>,
    texts: HashMap<RunId, String>,
    ends: HashMap<RunId, usize>,
}

impl Page {
    pub(crate) fn text(&self, run: RunId) -> &str {
        self.texts.get(&run).map_or("", String::as_str)
    }

    pub(crate) fn ended(&self, run: RunId) -> bool {
        self.ends.contains_key(&run)
    }

    fn show(&mut self, event: &ChatEvent) {
        if event.from <= event.to {
            assert!(
                event.from <= self.seq.next(),
                "{event:?} comes after {}: something is missing",
                self.seq
            );
            assert!(event.to > self.seq, "{event:?} comes after {}: it is a repetition", self.seq);
            self.seq = event.to;
        }
        match &event.body {
            ChatBody::UserMessage { run, content, .. } => self.questions.push((*run, content.clone())),
            ChatBody::Run { run, event, text } => self.show_run(*run, event, text.as_ref()),
            ChatBody::Amended { .. } => {}
        }
    }

    fn show_run(&mut self, run: RunId, event: &AgentEvent, span: Option<&tidewire_engine::event::TextSpan>) {
        assert!(!self.ended(run), "{event:?} comes after the end of its run");
        if let AgentEvent::TextDelta { text } = event {
            let whole = span.expect("a text delta says where it ends").so_far();
            match self.texts.get_mut(&run) {
                Some(shown) => {
                    shown.push_str(text);
                    assert_eq!(*shown, whole, "the text so far is what was shown and this delta");
                }
                None => {
                    assert!(whole.ends_with(text.as_str()), "{whole:?} ends with {text:?}");
                    self.texts.insert(run, whole);
                }
            }
        }
        if event.is_end() {
            *self.ends.entry(run).or_default() += 1;
            self.texts.insert(run, answer(event).text.clone());
        }
    }
}

/// An agent from a closure.
pub(crate) fn agent<F, Fut>(run: F) -> Arc<dyn Agent>
where
    F: Fn(Turn, Events) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(Closure(run))
}

struct Closure<F>(F);

#[async_trait]
impl<F, Fut> Agent for Closure<F>
where
    F: Fn(Turn, Events) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    fn name(&self) -> &str {
        "closure"
    }

    async fn run(&self, turn: Turn, events: Events) {
        (self.0)(turn, events).await;
    }
}

/// Says so many numbered words at full speed, and finishes.
pub(crate) fn counting(words: usize) -> Arc<dyn Agent> {
    agent(move |_, events| async move {
        say(&events, AgentEvent::RunStarted).await;
        for number in 0..words {
            say(&events, delta(&word(number))).await;
        }
        say(&events, finished(&counted(words))).await;
    })
}

/// Says a numbered word for each permit, and finishes after so many; it stops as it should.
pub(crate) fn gated(gate: &Arc<Semaphore>, words: usize) -> Arc<dyn Agent> {
    let gate = Arc::clone(gate);
    agent(move |turn, events| {
        let gate = Arc::clone(&gate);
        async move {
            say(&events, AgentEvent::RunStarted).await;
            for number in 0..words {
                let permit = turn.cancel.run_until_cancelled(gate.acquire()).await;
                let Some(permit) = permit else { return say(&events, stopped(&counted(number))).await };
                permit.unwrap().forget();
                say(&events, delta(&word(number))).await;
            }
            say(&events, finished(&counted(words))).await;
        }
    })
}

/// Repeats the conversation that it was given: `u:…|a:…|u:…`.
pub(crate) fn repeating() -> Arc<dyn Agent> {
    use tidewire_engine::model::Message;
    agent(|turn, events| async move {
        let lines = turn.messages.iter().map(|message| match message {
            Message::User(text) => format!("u:{text}"),
            Message::Assistant { text, .. } => format!("a({})", text.len()),
            Message::Tool { .. } => panic!("tools are not repeated"),
        });
        let text = lines.collect::<Vec<_>>().join("|");
        say(&events, AgentEvent::RunStarted).await;
        say(&events, finished(&text)).await;
    })
}

pub(crate) async fn say(events: &Events, event: AgentEvent) {
    // The run may be over for the engine.
    let _ = events.send(event).await;
}

pub(crate) fn delta(text: &str) -> AgentEvent {
    AgentEvent::TextDelta { text: text.into() }
}

pub(crate) fn finished(text: &str) -> AgentEvent {
    let answer = Answer { text: text.into(), ..Answer::default() };
    AgentEvent::RunFinished { answer, usage: Usage { output_tokens: 7, ..Usage::default() } }
}

pub(crate) fn stopped(text: &str) -> AgentEvent {
    let answer = Answer { text: text.into(), ..Answer::default() };
    AgentEvent::RunStopped { answer, usage: Usage { output_tokens: 3, ..Usage::default() } }
}

pub(crate) fn word(number: usize) -> String {
    format!("w{number} ")
}

/// The first so many words.
pub(crate) fn counted(words: usize) -> String {
    (0..words).map(word).collect()
}
