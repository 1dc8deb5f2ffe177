//! Runs that go on in the next process, or end there as declared.
//!
//! A process is cut off after each entry of a run's log in turn, and the next one opens the same folder. What was
//! shown stays, nothing is shown twice, there is one end, and what must not be done twice is not.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::agent::graph::assistant::{Means, agent};
use tidewire_engine::agent::run_loop::Limits;
use tidewire_engine::agent::tool::{Declared, declared, function};
use tidewire_engine::agent::{Agents, SharedRecords, Tool, ToolSet, ToolSource, Tools};
use tidewire_engine::collections::Desk;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::{ChatSettings, RunOptions};
use tidewire_engine::edit::Edit;
use tidewire_engine::id::{ManualClock, SystemClock};
use tidewire_engine::identity::{Grant, Grants};
use tidewire_engine::model::Model;
use tidewire_engine::model::Models;
use tidewire_engine::model::assistant::Assistant;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::query::Body;
use tidewire_engine::store::Store;
use tidewire_engine::{
    AgentEvent, ChatBody, ChatEvent, ChatRef, Clock, Code, Command, Engine, Error, Identity, LocalBus, Parts,
    Position, RecordId, Reply, RunId, Seq, Settings, Timestamp,
};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::restart::reopen;
use super::rig::{Client, Page, SESSION, answer, end, open, session};
use super::unwritable::Fragile;

const QUESTION: &str = "How long are change logs kept?";

/// What was done in the world, whichever process did it.
#[derive(Default)]
struct World {
    paid: AtomicUsize,
    noted: AtomicUsize,
    looked: AtomicUsize,
}

impl World {
    fn counter(self: &Arc<Self>, name: &str) -> impl Fn() + Send + Sync + 'static {
        let (world, name) = (Arc::clone(self), name.to_owned());
        move || {
            let counter = match name.as_str() {
                "pay" => &world.paid,
                "note" => &world.noted,
                _ => &world.looked,
            };
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// `pay` wants agreement and must not be done twice, `note` must not, and `look` may.
    fn tools(self: &Arc<Self>) -> Vec<Arc<dyn Tool>> {
        let tool = |name: &str, said: Declared| {
            let count = self.counter(name);
            let parameters = json!({"type": "object"});
            let made = function(name, "", parameters, move |_, _| {
                count();
                async { Ok::<Value, _>(json!({"done": true})) }
            });
            declared(made, said)
        };
        vec![
            tool("pay", Declared { needs_approval: true, ..Declared::default() }),
            tool("note", Declared::default()),
            tool("look", Declared { idempotent: true, ..Declared::default() }),
        ]
    }
}

fn records(store: &Arc<dyn Store>) -> Desk {
    Desk::new(Arc::clone(store), Arc::new(SystemClock))
}

async fn fill(store: &Arc<dyn Store>) {
    let texts = ["Change logs are kept for seven days.", "The server listens on port 4780."];
    let edit = |(number, text): (usize, &&str)| {
        let body = json!({"document": "guide.md", "title": "Guide", "source": "guide.md", "text": text});
        let body: Body = body.as_object().unwrap().clone();
        Edit::Insert { id: Some(RecordId(format!("guide.md-{number:05}"))), body, ttl: None }
    };
    let edits = texts.iter().enumerate().map(edit).collect();
    records(store).edit(&Identity::local(), "documents", edits, true).await.unwrap();
}

/// How a process is set up.
#[derive(Clone)]
struct Plan {
    model: fn() -> Arc<dyn Model>,
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    /// Has the tools in our place.
    source: Option<Arc<Late>>,
}

/// Tools of a program that takes its time to start.
struct Late {
    tools: Tools,
    has_come: watch::Sender<bool>,
    /// Its first start fails, and it is started again.
    fails_first: bool,
}

#[async_trait]
impl ToolSource for Late {
    fn tools(&self) -> Tools {
        if *self.has_come.borrow() { Arc::clone(&self.tools) } else { Tools::default() }
    }

    async fn settled(&self) {
        if !self.fails_first {
            self.returned("").await;
        }
    }

    async fn returned(&self, _: &str) {
        self.has_come.subscribe().wait_for(|has_come| *has_come).await.unwrap();
    }
}

impl Plan {
    fn new(model: fn() -> Arc<dyn Model>) -> Self {
        Self {
            model,
            world: Arc::default(),
            clock: Arc::new(SystemClock),
            settings: Settings::default(),
            source: None,
        }
    }

    async fn start(&self, store: Arc<dyn Store>) -> Arc<Engine> {
        Engine::start(self.parts(store)).await.unwrap()
    }

    fn parts(&self, store: Arc<dyn Store>) -> Parts {
        let model = (self.model)();
        let records: SharedRecords = Arc::new(records(&store));
        let explorer = Explorer::new(Arc::clone(&model), Arc::clone(&records));
        let mut tools = ToolSet::new(if self.source.is_some() { Vec::new() } else { self.world.tools() });
        self.source.iter().for_each(|source| tools.add_source(Arc::clone(source) as _));
        let means = Means {
            model: Arc::clone(&model),
            records,
            embedder: None,
            explorer,
            tools,
            limits: Limits::default(),
        };
        Parts {
            store,
            bus: Arc::new(LocalBus::default()),
            agents: Agents::new(Arc::new(agent(&means).unwrap())),
            models: Models::new(model),
            embedder: None,
            clock: Arc::clone(&self.clock),
            settings: self.settings.clone(),
        }
    }
}

/// A model that looks, notes and pays before it answers. It goes by what it is asked, so it needs no memory.
fn calling() -> Arc<dyn Model> {
    let calls = Script::new()
        .call("look", json!({}))
        .call("note", json!({"text": "tea"}))
        .call("pay", json!({"amount": 3}));
    Arc::new(
        ScriptedModel::new()
            .after("pay", Script::new().words("Seven days [1]. It is paid."))
            .after("look", Script::new().words("Seven days [1]."))
            .when(QUESTION, calls),
    )
}

fn quoting() -> Arc<dyn Model> {
    Arc::new(Assistant::new())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn of_run(event: &ChatEvent) -> Option<&AgentEvent> {
    match &event.body {
        ChatBody::Run { event, .. } => Some(event),
        _ => None,
    }
}

/// What readers saw, of both processes.
#[derive(Default)]
struct Seen {
    page: Page,
    kinds: Vec<&'static str>,
    results: Vec<String>,
}

fn kind(event: &AgentEvent) -> &'static str {
    match event {
        AgentEvent::RunStarted => "started",
        AgentEvent::ToolCall { .. } => "call",
        AgentEvent::ToolResult { .. } => "result",
        AgentEvent::Sources(_) => "sources",
        AgentEvent::Checkpoint(_) => "checkpoint",
        end if end.is_end() => "end",
        _ => "other",
    }
}

/// Reads on, and agrees to whatever is asked.
async fn follow(client: &mut Client, seen: &mut Seen) {
    loop {
        let event = client.next().await;
        seen.page = client.page.clone();
        let Some(told) = of_run(&event) else { continue };
        seen.kinds.push(kind(told));
        match told {
            AgentEvent::ToolResult { call_id, .. } => seen.results.push(call_id.clone()),
            AgentEvent::ApprovalRequested { call_id, .. } => {
                let (chat, call_id) = (session(SESSION), call_id.clone());
                // It may have been answered by the process before.
                let _ = client.execute(Command::DecideCall { chat, call_id, approved: true }).await;
            }
            _ => {}
        }
        if told.is_end() {
            return;
        }
    }
}

/// A process that is cut off after so many entries of its logs. Whether it came to the run's end before that.
fn cut_off(folder: &Path, plan: &Plan, entries: usize, seen: &mut Seen) -> bool {
    let process = runtime();
    let ended = process.block_on(async {
        let store = open(folder);
        fill(&store).await;
        let mortal = Fragile::mortal(store, entries);
        let engine = plan.start(Arc::clone(&mortal) as _).await;
        let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        let asking = async {
            client
                .execute(Command::SendMessage {
                    chat: session(SESSION),
                    message_id: Some("m1".into()),
                    content: QUESTION.into(),
                    while_running: WhileRunning::Reject,
                    options: RunOptions::default(),
                })
                .await
                .unwrap();
            follow(&mut client, seen).await;
        };
        tokio::select! {
            () = asking => true,
            () = mortal.dead.notified() => false,
        }
    });
    if !ended {
        // What could be done although it cannot be written any more is done now.
        process.block_on(async {
            for _ in 0..500 {
                tokio::task::yield_now().await;
            }
        });
    }
    drop(process);
    ended
}

/// The next process on the same folder, up to the run's end.
fn go_on(folder: &Path, plan: &Plan, seen: &mut Seen) -> AgentEvent {
    let process = runtime();
    let outcome = process.block_on(async {
        let engine = plan.start(reopen(folder).await).await;
        let position = Position { epoch: None, seq: seen.page.seq };
        let mut client =
            Client::resume(&engine, SESSION, Some(position), std::mem::take(&mut seen.page)).await;
        assert!(!client.reset);
        let mut last = None;
        while last.is_none() {
            let event = client.next().await;
            let Some(told) = of_run(&event) else { continue };
            seen.kinds.push(kind(told));
            match told {
                AgentEvent::ToolResult { call_id, .. } => seen.results.push(call_id.clone()),
                AgentEvent::ApprovalRequested { call_id, .. } => {
                    let (chat, call_id) = (session(SESSION), call_id.clone());
                    let _ = client.execute(Command::DecideCall { chat, call_id, approved: true }).await;
                }
                _ => {}
            }
            last = end(&event).map(|(_, end)| end.clone());
        }
        seen.page = client.page.clone();
        // One who comes anew reads the same.
        let mut fresh = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        let run = seen.page.questions[0].0;
        assert_eq!(format!("{:?}", fresh.end_of(run).await), format!("{:?}", last.as_ref().unwrap()));
        last.unwrap()
    });
    drop(process);
    outcome
}

/// Cuts a run at every place, and gives the places at which it went on to its own end.
fn cut_everywhere(
    model: fn() -> Arc<dyn Model>,
    check: impl Fn(usize, &World, &Seen, &AgentEvent),
) -> BTreeSet<usize> {
    let mut finished = BTreeSet::new();
    for cut in 2.. {
        let folder = tempfile::tempdir().unwrap();
        let (plan, mut seen) = (Plan::new(model), Seen::default());
        if cut_off(folder.path(), &plan, cut, &mut seen) {
            assert!(cut > 12, "the run has entries to cut between");
            return finished;
        }
        let last = go_on(folder.path(), &plan, &mut seen);
        check_seen(cut, &seen);
        check(cut, &plan.world, &seen, &last);
        if matches!(last, AgentEvent::RunFinished { .. }) {
            finished.insert(cut);
        }
    }
    unreachable!("a run comes to its end")
}

fn check_seen(cut: usize, seen: &Seen) {
    let count = |kind: &str| seen.kinds.iter().filter(|known| **known == kind).count();
    assert_eq!(count("end"), 1, "cut after {cut}: {:?}", seen.kinds);
    assert!(count("started") <= 1, "cut after {cut}: {:?}", seen.kinds);
    assert!(count("sources") <= 1, "cut after {cut}: {:?}", seen.kinds);
    let unique: BTreeSet<_> = seen.results.iter().collect();
    assert_eq!(unique.len(), seen.results.len(), "cut after {cut}: each call is answered once");
}

#[test]
fn wherever_a_quoting_run_is_cut_it_goes_on_to_the_same_answer() {
    let finished = cut_everywhere(quoting, |cut, _, _, last| {
        let text = &answer(last).text;
        assert!(matches!(last, AgentEvent::RunFinished { .. }), "cut after {cut}: {last:?}");
        assert!(text.contains("kept for seven days") && text.contains("[1]"), "cut after {cut}: {text}");
    });
    assert!(finished.len() > 10, "{finished:?}");
}

#[test]
fn wherever_a_run_with_tools_is_cut_nothing_is_done_twice_and_it_goes_on_or_says_why_not() {
    let finished = cut_everywhere(calling, |cut, world, seen, last| {
        let done = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        assert!(done(&world.paid) <= 1, "cut after {cut}: paid twice");
        assert!(done(&world.noted) <= 1, "cut after {cut}: noted twice");
        assert!(done(&world.looked) <= 2, "cut after {cut}: looking is repeated once at most");
        match last {
            AgentEvent::RunFinished { answer, .. } => {
                assert_eq!((done(&world.paid), done(&world.noted)), (1, 1), "cut after {cut}");
                assert!(answer.text.starts_with("Seven days [1]."), "cut after {cut}: {}", answer.text);
            }
            AgentEvent::RunFailed { answer, error, interrupted: true, .. } => {
                assert_eq!(error.code, Code::Unavailable, "cut after {cut}");
                let doubtful = error.message.contains("must not be called twice");
                assert!(doubtful || !answer.text.is_empty(), "cut after {cut}: {error} {:?}", seen.kinds);
            }
            other => panic!("cut after {cut}: {other:?}"),
        }
    });
    assert!(finished.len() > 10, "most places can be gone on from: {finished:?}");
}

async fn ask(client: &Client, content: &str, options: RunOptions) -> RunId {
    let command = Command::SendMessage {
        chat: session(SESSION),
        message_id: None,
        content: content.into(),
        while_running: WhileRunning::Queue(9),
        options,
    };
    match client.execute(command).await.unwrap() {
        Reply::Accepted { run, .. } => run,
        other => panic!("{other:?}"),
    }
}

/// Asks, and leaves the run while it waits for agreement to two calls. Gives what was asked for.
async fn two_approvals(engine: &Arc<Engine>) -> (RunId, Page, Vec<(String, String)>) {
    let mut client = Client::follow(engine, SESSION, Some(Seq::START)).await;
    let run = ask(&client, "pay twice", RunOptions::default()).await;
    let asked = approvals(&mut client, 2).await;
    (run, client.page.clone(), asked)
}

/// The next so many calls to which somebody must agree: their ids and digests.
async fn approvals(client: &mut Client, count: usize) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    while asked.len() < count {
        let event = client.next().await;
        if let Some(AgentEvent::ApprovalRequested { call_id, digest, .. }) = of_run(&event) {
            asked.push((call_id.clone(), digest.clone()));
        }
    }
    asked
}

fn paying_twice() -> Arc<dyn Model> {
    let calls = Script::new().call("pay", json!({"amount": 1})).call("pay", json!({"amount": 2}));
    let model = ScriptedModel::new().after("pay", Script::new().words("One of two."));
    Arc::new(model.when("pay twice", calls))
}

#[test]
fn two_approvals_at_once_are_asked_again_after_a_restart_and_decided_apart() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(paying_twice);
    let process = runtime();
    let (run, page, asked) =
        process.block_on(async { two_approvals(&plan.start(open(folder.path())).await).await });
    drop(process);
    runtime().block_on(async {
        let engine = plan.start(reopen(folder.path()).await).await;
        let position = Position { epoch: None, seq: page.seq };
        let mut client = Client::resume(&engine, SESSION, Some(position), page).await;
        assert_eq!(client.run.as_ref().map(|state| state.run), Some(run), "the same run goes on");
        let mut again = approvals(&mut client, 2).await;
        again.sort();
        let mut before = asked.clone();
        before.sort();
        assert_eq!(again, before, "the same calls with the same digests");
        for ((call_id, _), approved) in asked.iter().zip([true, false]) {
            let decide =
                || Command::DecideCall { chat: session(SESSION), call_id: call_id.clone(), approved };
            assert!(matches!(client.execute(decide()).await, Ok(Reply::Answered(true))));
            assert!(matches!(client.execute(decide()).await, Ok(Reply::Answered(false))), "once");
        }
        assert_eq!(answer(&client.end_of(run).await).text, "One of two.");
        assert_eq!(plan.world.paid.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_run_waits_for_tools_that_are_being_started() {
    goes_on_when_its_tools_come(false);
}

#[test]
fn a_run_waits_for_tools_whose_first_start_fails() {
    goes_on_when_its_tools_come(true);
}

/// A run with open questions, in a process whose tools come after it has begun.
fn goes_on_when_its_tools_come(fails_first: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::new(paying_twice);
    let process = runtime();
    let (run, page, asked) =
        process.block_on(async { two_approvals(&plan.start(open(folder.path())).await).await });
    drop(process);
    let late =
        Arc::new(Late { tools: plan.world.tools().into(), has_come: watch::Sender::new(false), fails_first });
    plan.source = Some(Arc::clone(&late));
    runtime().block_on(async {
        let engine = plan.start(reopen(folder.path()).await).await;
        let position = Position { epoch: None, seq: page.seq };
        let mut client = Client::resume(&engine, SESSION, Some(position), page).await;
        for _ in 0..500 {
            tokio::task::yield_now().await; // whoever does not wait goes on now
        }
        late.has_come.send_replace(true);
        assert_eq!(approvals(&mut client, 2).await.len(), asked.len());
        for (call_id, _) in asked {
            let decide = Command::DecideCall { chat: session(SESSION), call_id, approved: true };
            client.execute(decide).await.unwrap();
        }
        assert!(matches!(client.end_of(run).await, AgentEvent::RunFinished { .. }));
        assert_eq!(plan.world.paid.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_run_of_somebody_who_is_welcome_no_more_ends() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(paying_twice);
    let process = runtime();
    let (run, page, _) =
        process.block_on(async { two_approvals(&plan.start(open(folder.path())).await).await });
    drop(process);
    runtime().block_on(async {
        let revoked = |_: &Identity| Err(Error::new(Code::Unauthenticated, "the key was revoked"));
        let engine = Engine::start_for(plan.parts(reopen(folder.path()).await), revoked).await.unwrap();
        let mut client =
            Client::resume(&engine, SESSION, Some(Position { epoch: None, seq: page.seq }), page).await;
        let AgentEvent::RunFailed { interrupted: true, error, .. } = client.end_of(run).await else {
            panic!("it has no key any more")
        };
        assert_eq!(error.message, "the key was revoked");
        assert_eq!(plan.world.paid.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_run_that_is_older_than_a_run_may_be_ends() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000_000)));
    let plan = Plan { clock: Arc::clone(&clock) as _, ..Plan::new(paying_twice) };
    let process = runtime();
    let (run, page, _) =
        process.block_on(async { two_approvals(&plan.start(open(folder.path())).await).await });
    drop(process);
    clock.advance(plan.settings.run_deadline);
    runtime().block_on(async {
        let engine = plan.start(reopen(folder.path()).await).await;
        let mut client =
            Client::resume(&engine, SESSION, Some(Position { epoch: None, seq: page.seq }), page).await;
        let AgentEvent::RunFailed { interrupted: true, .. } = client.end_of(run).await else {
            panic!("it is too old")
        };
    });
}

#[test]
fn a_drain_leaves_what_can_go_on_and_a_question_that_waits_is_answered_later() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(paying_twice);
    let process = runtime();
    let (first, second, page) = process.block_on(async {
        let engine = plan.start(open(folder.path())).await;
        let (first, page, _) = two_approvals(&engine).await;
        let client = Client::follow(&engine, SESSION, None).await;
        let second = ask(&client, "Good morning!", RunOptions::default()).await;
        engine.drain(Duration::ZERO).await;
        (first, second, page)
    });
    drop(process);
    runtime().block_on(async {
        let engine = plan.start(reopen(folder.path()).await).await;
        let mut client =
            Client::resume(&engine, SESSION, Some(Position { epoch: None, seq: page.seq }), page).await;
        for (call_id, _) in approvals(&mut client, 2).await {
            let chat = session(SESSION);
            client.execute(Command::DecideCall { chat, call_id, approved: false }).await.unwrap();
        }
        assert!(matches!(client.end_of(first).await, AgentEvent::RunFinished { .. }));
        assert!(matches!(client.end_of(second).await, AgentEvent::RunFinished { .. }));
        assert_eq!(plan.world.paid.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_run_goes_on_with_no_more_rights_than_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(quoting);
    let grants = |collection: &str| Identity {
        key: None,
        subject: "ann".into(),
        grants: Grants::Collections(vec![Grant { collection: collection.into(), write: false }]),
    };
    let process = runtime();
    let chat = process.block_on(async {
        let store = open(folder.path());
        fill(&store).await;
        let mortal = Fragile::mortal(store, 2); // the question, and who asks it
        let engine = plan.start(Arc::clone(&mortal) as _).await;
        let connection = engine.connect(grants("orders"));
        let opened =
            engine.execute(&connection, Command::OpenChat { settings: ChatSettings::default() }).await;
        let Ok(Reply::Chat(info)) = opened else { panic!("{opened:?}") };
        let send = Command::SendMessage {
            chat: ChatRef::Id(info.chat),
            message_id: None,
            content: QUESTION.into(),
            while_running: WhileRunning::Reject,
            options: RunOptions::default(),
        };
        let sent = engine.execute(&connection, send);
        tokio::select! {
            sent = sent => assert!(sent.is_ok()),
            () = mortal.dead.notified() => {}
        }
        info.chat
    });
    drop(process);
    runtime().block_on(async {
        let engine = plan.start(reopen(folder.path()).await).await;
        // Whoever reads now may read documents; the run may not.
        let connection = engine.connect(grants("documents"));
        let after = Some(Position { epoch: None, seq: Seq::START });
        engine.execute(&connection, Command::FollowChat { chat: ChatRef::Id(chat), after }).await.unwrap();
        let mut events = Vec::new();
        let text = loop {
            connection.next(&mut events).await;
            let chat_events = events.drain(..).filter_map(tidewire_engine::Event::into_chat);
            let ended =
                chat_events.filter_map(|event| end(&event).map(|(_, end)| answer(end).text.clone())).next();
            if let Some(text) = ended {
                break text;
            }
        };
        assert!(!text.contains("seven days"), "{text}");
    });
}

#[tokio::test]
async fn readers_are_never_shown_what_a_checkpoint_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store).await;
    let engine = Plan::new(quoting).start(Arc::clone(&store)).await;
    let mut live = Client::follow(&engine, SESSION, Some(Seq::START)).await;
    let run = ask(&live, QUESTION, RunOptions::default()).await;
    let events = live.until(|event| end(event).is_some()).await;
    let hidden = |event: &Arc<ChatEvent>| match of_run(event) {
        Some(AgentEvent::Checkpoint(checkpoint)) => {
            assert_eq!(format!("{checkpoint:?}"), "Hidden");
            true
        }
        _ => false,
    };
    assert!(events.iter().filter(|event| hidden(event)).count() > 5);
    // When the run has ended they are gone from its log.
    loop {
        let entries = store.read_run(live.chat, run).await.unwrap();
        if !entries.iter().any(|entry| entry.body.windows(10).any(|part| part == b"checkpoint")) {
            break;
        }
        tokio::task::yield_now().await;
    }
}
