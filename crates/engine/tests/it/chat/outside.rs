//! Tools that clients bring, and calls that a person must agree to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::agent::{Agent, Waits, tool};
use tidewire_engine::collections::Desk;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::{RunOptions, ToolAnswer};
use tidewire_engine::id::SystemClock;
use tidewire_engine::identity::Grants;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::model::{Message, ToolDefinition};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{
    AgentEvent, ChatBody, ChatEvent, Code, Command, Engine, Identity, Reply, Result, RunId, Seq, Settings,
};

use super::restart::reopen;
use super::rig::{Client, House, SESSION, counting, open, session, start};

fn definition(name: &str) -> ToolDefinition {
    let parameters = json!({
        "type": "object",
        "properties": {"depth": {"type": "integer", "minimum": 1}},
        "additionalProperties": false,
    });
    ToolDefinition { name: name.into(), description: "Looks at the page.".into(), parameters }
}

/// An explorer whose tool `erase` counts how often it was done.
fn explorer(model: &Arc<ScriptedModel>, erased: &Arc<AtomicUsize>) -> Arc<dyn Agent> {
    let records = Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(SystemClock));
    let erased = Arc::clone(erased);
    let erase = tool::function("erase", "Erases a table.", json!({"type": "object"}), move |_, _| {
        erased.fetch_add(1, Ordering::SeqCst);
        async { Ok(json!({"erased": true})) }
    });
    Arc::new(Explorer::new(Arc::clone(model) as _, Arc::new(records)).with_tool(erase))
}

struct Scene {
    house: House,
    model: Arc<ScriptedModel>,
    erased: Arc<AtomicUsize>,
}

impl Scene {
    async fn new(model: ScriptedModel) -> Self {
        Self::with(model, Waits::default()).await
    }

    async fn with(model: ScriptedModel, waits: Waits) -> Self {
        let (model, erased) = (Arc::new(model), Arc::default());
        let settings = Settings { waits, ..Settings::default() };
        Self { house: House::with(explorer(&model, &erased), settings).await, model, erased }
    }

    fn erased(&self) -> usize {
        self.erased.load(Ordering::SeqCst)
    }
}

async fn ask(client: &Client, options: RunOptions) -> Result<RunId> {
    let command = Command::SendMessage {
        chat: session(SESSION),
        message_id: None,
        content: "go".into(),
        while_running: WhileRunning::Queue(9),
        options,
    };
    match client.execute(command).await? {
        Reply::Accepted { run, .. } => Ok(run),
        other => panic!("{other:?}"),
    }
}

async fn register(client: &Client, tools: Vec<ToolDefinition>) {
    let command = Command::RegisterTools { chat: session(SESSION), tools };
    assert!(matches!(client.execute(command).await, Ok(Reply::Registered)));
}

fn answered(reply: Result<Reply>) -> bool {
    match reply.unwrap() {
        Reply::Answered(answered) => answered,
        other => panic!("{other:?}"),
    }
}

async fn answer(client: &Client, call_id: &str, answer: ToolAnswer) -> bool {
    let command = Command::AnswerTool { chat: session(SESSION), call_id: call_id.into(), answer };
    answered(client.execute(command).await)
}

async fn decide(client: &Client, call_id: &str, approved: bool) -> bool {
    let command = Command::DecideCall { chat: session(SESSION), call_id: call_id.into(), approved };
    answered(client.execute(command).await)
}

fn of_run(event: &ChatEvent) -> Option<&AgentEvent> {
    match &event.body {
        ChatBody::Run { event, .. } => Some(event),
        _ => None,
    }
}

/// The id of the next call that somebody outside is asked about.
async fn asked(client: &mut Client) -> String {
    loop {
        let event = client.next().await;
        if let Some(
            AgentEvent::ClientToolRequested { call_id, .. } | AgentEvent::ApprovalRequested { call_id, .. },
        ) = of_run(&event)
        {
            return call_id.clone();
        }
    }
}

/// What happens up to the run's end, a line each. Deltas of text are left out: they merge as they please.
async fn lines(client: &mut Client) -> Vec<String> {
    let events = client.until(|event| of_run(event).is_some_and(AgentEvent::is_end)).await;
    events.iter().filter_map(|event| line(of_run(event)?)).collect()
}

fn line(event: &AgentEvent) -> Option<String> {
    Some(match event {
        AgentEvent::ToolCall { name, arguments, .. } => format!("call {name} {arguments}"),
        AgentEvent::ToolResult { name, content, error: None, .. } => format!("result {name} {content}"),
        AgentEvent::ToolResult { name, error: Some(error), .. } => {
            format!("error {name} {}: {error}", error.code.name())
        }
        AgentEvent::ClientToolRequested { name, arguments, .. } => format!("client {name} {arguments}"),
        AgentEvent::ApprovalRequested { name, arguments, .. } => format!("agree? {name} {arguments}"),
        AgentEvent::ApprovalResolved { approved, by, .. } => format!("agreed {approved} by {}", by.0),
        AgentEvent::RunFinished { answer, .. } => format!("finished {}", answer.text),
        AgentEvent::RunStopped { answer, .. } => format!("stopped {}", answer.text),
        AgentEvent::RunFailed { error, .. } => format!("failed {error}"),
        _ => return None,
    })
}

fn looks() -> ScriptedModel {
    ScriptedModel::new()
        .after("look", Script::new().text("I see."))
        .otherwise(Script::new().call("look", json!({"depth": 2})))
}

fn erases() -> ScriptedModel {
    ScriptedModel::new()
        .after("erase", Script::new().text("So be it."))
        .otherwise(Script::new().call("erase", json!({"table": "orders"})))
}

fn confirm() -> RunOptions {
    RunOptions { confirm: vec!["erase".into()], ..RunOptions::default() }
}

const NOBODY: &str = "nobody agreed to this call in time; go on without it";

#[tokio::test]
async fn a_client_does_a_call_and_every_tab_sees_it() {
    let scene = Scene::new(looks()).await;
    let (mut one, mut two) = (scene.house.client().await, scene.house.client().await);
    register(&one, vec![definition("look")]).await;
    ask(&one, RunOptions::default()).await.unwrap();
    let call = asked(&mut two).await;
    assert!(!answer(&two, "another", ToolAnswer::Result(json!(1))).await);
    assert!(answer(&two, &call, ToolAnswer::Working).await);
    assert!(answer(&two, &call, ToolAnswer::Result(json!({"title": "Home"}))).await);
    assert!(!answer(&one, &call, ToolAnswer::Result(json!("late"))).await);
    let expected = [
        r#"call look {"depth":2}"#,
        r#"client look {"depth":2}"#,
        r#"result look {"title":"Home"}"#,
        "finished I see.",
    ];
    assert_eq!(lines(&mut one).await, expected);
    assert!(!answer(&one, &call, ToolAnswer::Working).await, "its run is over");
    // The model was told of the tool, and of what it said.
    let requests = scene.model.requests();
    assert!(requests[0].tools.iter().any(|tool| *tool == definition("look")));
    let Some(Message::Tool { content, is_error: false, .. }) = requests[1].messages.last() else {
        panic!("{requests:?}")
    };
    assert_eq!(content, r#"{"title":"Home"}"#);
}

#[tokio::test]
async fn two_runs_with_the_models_same_call_id_do_not_hear_each_others_answers() {
    let scene = Scene::new(looks()).await;
    let mut client = scene.house.client().await;
    let options = || RunOptions { tools: vec![definition("look")], ..RunOptions::default() };
    ask(&client, options()).await.unwrap();
    let first = asked(&mut client).await;
    assert!(client.stop(None).await);
    lines(&mut client).await;
    ask(&client, options()).await.unwrap();
    let second = asked(&mut client).await;
    assert_ne!(first, second);
    assert!(!answer(&client, &first, ToolAnswer::Result(json!("stale"))).await);
    assert!(answer(&client, &second, ToolAnswer::Failed("the page is gone".into())).await);
    let lines = lines(&mut client).await;
    assert_eq!(lines, ["error look upstream: the page is gone", "finished I see."]);
}

#[tokio::test]
async fn a_client_that_never_answers_is_an_error_to_the_model_and_the_run_goes_on() {
    let waits = Waits { client: Duration::from_millis(30), ..Waits::default() };
    let scene = Scene::with(looks(), waits).await;
    let mut client = scene.house.client().await;
    register(&client, vec![definition("look")]).await;
    ask(&client, RunOptions::default()).await.unwrap();
    let call = asked(&mut client).await;
    let expected = [
        r#"error look deadline: the client did not answer for "look" in time; go on without it"#,
        "finished I see.",
    ];
    assert_eq!(lines(&mut client).await, expected);
    assert!(!answer(&client, &call, ToolAnswer::Result(json!(1))).await);
}

#[tokio::test]
async fn a_stop_ends_the_waiting() {
    let scene = Scene::new(looks()).await;
    let mut client = scene.house.client().await;
    register(&client, vec![definition("look")]).await;
    ask(&client, RunOptions::default()).await.unwrap();
    let call = asked(&mut client).await;
    assert!(client.stop(None).await);
    assert_eq!(lines(&mut client).await, ["stopped "]);
    assert!(!answer(&client, &call, ToolAnswer::Result(json!(1))).await);
}

#[tokio::test]
async fn arguments_are_checked_before_a_client_is_asked() {
    let model = ScriptedModel::new()
        .then(Script::new().call("look", json!({"depth": "deep"})))
        .then(Script::new().text("Never mind."));
    let scene = Scene::new(model).await;
    let mut client = scene.house.client().await;
    register(&client, vec![definition("look")]).await;
    ask(&client, RunOptions::default()).await.unwrap();
    let expected = [
        r#"call look {"depth":"deep"}"#,
        r#"error look invalid: the argument "depth" must be an integer, not a string"#,
        "finished Never mind.",
    ];
    assert_eq!(lines(&mut client).await, expected);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_refused_and_the_call_still_waits() {
    let scene = Scene::new(looks()).await;
    let mut client = scene.house.client().await;
    register(&client, vec![definition("look")]).await;
    ask(&client, RunOptions::default()).await.unwrap();
    let call_id = asked(&mut client).await;
    let large = ToolAnswer::Result(json!("x".repeat(1024 * 1024)));
    let command = Command::AnswerTool { chat: session(SESSION), call_id: call_id.clone(), answer: large };
    assert_eq!(client.execute(command).await.unwrap_err().code, Code::TooLarge);
    assert!(answer(&client, &call_id, ToolAnswer::Result(json!("small"))).await);
    assert_eq!(lines(&mut client).await, [r#"result look "small""#, "finished I see."]);
}

fn offered(model: &ScriptedModel) -> Vec<String> {
    let request = model.requests().pop().unwrap();
    let own = ["erase", "look", "zoom", "point"];
    let names = request.tools.iter().map(|tool| tool.name.clone());
    names.filter(|name| own.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn registered_tools_are_replaced_and_go_with_their_connection() {
    let scene = Scene::new(ScriptedModel::new()).await;
    let mut client = scene.house.client().await;
    let other = scene.house.client().await;
    register(&other, vec![definition("look"), definition("zoom")]).await;
    ask(&client, RunOptions::default()).await.unwrap();
    lines(&mut client).await;
    assert_eq!(offered(&scene.model), ["erase", "look", "zoom"]);

    register(&other, vec![definition("point")]).await;
    let options =
        RunOptions { tools: vec![definition("look")], exclude: vec!["erase".into()], ..Default::default() };
    ask(&client, options).await.unwrap();
    lines(&mut client).await;
    assert_eq!(offered(&scene.model), ["look", "point"]);

    drop(other);
    ask(&client, RunOptions::default()).await.unwrap();
    lines(&mut client).await;
    assert_eq!(offered(&scene.model), ["erase"]);

    let command = Command::RegisterTools { chat: session(SESSION), tools: vec![definition("erase")] };
    assert_eq!(client.execute(command).await.unwrap_err().code, Code::Invalid, "it is the server's");
}

#[tokio::test]
async fn a_person_agrees_from_another_tab_and_the_call_is_done_once() {
    let scene = Scene::new(erases()).await;
    let (mut one, mut two) = (scene.house.client().await, scene.house.client().await);
    ask(&one, confirm()).await.unwrap();
    let call = asked(&mut two).await;
    assert_eq!(asked(&mut one).await, call);
    assert_eq!(scene.erased(), 0);
    // Two tabs at once, one in the words of a client's tool.
    let (first, second) =
        tokio::join!(decide(&one, &call, true), answer(&two, &call, ToolAnswer::Result(json!(true))));
    assert!(first != second, "one wins and the other hears it");
    let expected = ["agreed true by local", r#"result erase {"erased":true}"#, "finished So be it."];
    assert_eq!(lines(&mut one).await, expected);
    assert_eq!(lines(&mut two).await, expected);
    assert!(!decide(&one, &call, true).await);
    assert_eq!(scene.erased(), 1);
}

#[tokio::test]
async fn agreement_is_bound_to_the_exact_call() {
    let scene = Scene::new(erases()).await;
    let mut client = scene.house.client().await;
    ask(&client, confirm()).await.unwrap();
    let events =
        client.until(|event| matches!(of_run(event), Some(AgentEvent::ApprovalRequested { .. }))).await;
    let Some(AgentEvent::ApprovalRequested { name, arguments, digest, .. }) =
        of_run(&events[events.len() - 1])
    else {
        panic!("it was asked for")
    };
    assert_eq!(*digest, tidewire_engine::agent::toolbox::digest(name, arguments));
    client.stop(None).await;
}

#[tokio::test]
async fn a_refused_call_is_not_done_and_the_run_goes_on() {
    let scene = Scene::new(erases()).await;
    let mut client = scene.house.client().await;
    for say_no in [ToolAnswer::Failed("no".into()), ToolAnswer::Result(Value::Bool(false))] {
        ask(&client, confirm()).await.unwrap();
        let call = asked(&mut client).await;
        assert!(answer(&client, &call, say_no).await);
        let expected = [
            "agreed false by local",
            "error erase forbidden: a person refused this call; go on without it, and do not call it again",
            "finished So be it.",
        ];
        assert_eq!(lines(&mut client).await, expected);
    }
    assert_eq!(scene.erased(), 0);
}

#[tokio::test]
async fn agreement_that_never_comes_expires_where_everybody_sees_it() {
    let waits = Waits { person: Duration::from_millis(30), ..Waits::default() };
    let scene = Scene::with(erases(), waits).await;
    let mut client = scene.house.client().await;
    ask(&client, confirm()).await.unwrap();
    let call = asked(&mut client).await;
    let expired = format!("error erase deadline: {NOBODY}");
    assert_eq!(lines(&mut client).await, ["agreed false by system", &expired, "finished So be it."]);
    assert!(!decide(&client, &call, true).await);
    assert_eq!(scene.erased(), 0);
}

#[tokio::test]
async fn a_stop_decides_what_waits_for_agreement() {
    let scene = Scene::new(erases()).await;
    let mut client = scene.house.client().await;
    ask(&client, confirm()).await.unwrap();
    let call = asked(&mut client).await;
    assert!(client.stop(None).await);
    assert_eq!(lines(&mut client).await, ["agreed false by system", "stopped "]);
    assert!(!decide(&client, &call, true).await);
    assert_eq!(scene.erased(), 0);
}

#[tokio::test]
async fn whoever_may_not_read_the_chat_may_not_answer_in_it() {
    let scene = Scene::new(erases()).await;
    let mut client = scene.house.client().await;
    ask(&client, confirm()).await.unwrap();
    let call_id = asked(&mut client).await;
    let bob = Identity { key: None, subject: "bob".into(), grants: Grants::Collections(Vec::new()) };
    let bob = scene.house.engine.connect(bob);
    let chat = || tidewire_engine::ChatRef::Id(client.chat);
    let commands = [
        Command::DecideCall { chat: chat(), call_id: call_id.clone(), approved: true },
        Command::AnswerTool { chat: chat(), call_id, answer: ToolAnswer::Result(json!(true)) },
        Command::RegisterTools { chat: chat(), tools: vec![definition("look")] },
    ];
    for command in commands {
        assert_eq!(scene.house.engine.execute(&bob, command).await.unwrap_err().code, Code::NotFound);
    }
    assert_eq!(scene.erased(), 0);
}

#[test]
fn a_call_that_waited_when_the_process_died_is_refused_with_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let erased: Arc<AtomicUsize> = Arc::default();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let engine = async |store| -> Arc<Engine> {
        start(store, explorer(&Arc::new(erases()), &erased), Settings::default()).await
    };
    let process = runtime();
    let call = process.block_on(async {
        let engine = engine(open(folder.path())).await;
        let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        ask(&client, confirm()).await.unwrap();
        asked(&mut client).await
    });
    drop(process);
    runtime().block_on(async {
        let engine = engine(reopen(folder.path()).await).await;
        let mut client = Client::follow(&engine, SESSION, Some(Seq::START)).await;
        let expected = [
            r#"call erase {"table":"orders"}"#,
            r#"agree? erase {"table":"orders"}"#,
            "agreed false by system",
            "failed the server ended before the answer was complete; ask again",
        ];
        assert_eq!(lines(&mut client).await, expected);
        assert!(!decide(&client, &call, true).await);
    });
    assert_eq!(erased.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn rounds_and_the_model_can_be_chosen_for_one_message() {
    let model = ScriptedModel::new().otherwise(Script::new().call("erase", json!({})));
    let scene = Scene::new(model).await;
    let mut client = scene.house.client().await;
    ask(&client, RunOptions { max_rounds: Some(2), ..RunOptions::default() }).await.unwrap();
    let last = lines(&mut client).await.pop().unwrap();
    assert_eq!(last, "failed the model still called tools after 2 rounds; ask for less at once");

    let wrong = RunOptions { model: Some("oracle".into()), ..RunOptions::default() };
    let error = ask(&client, wrong).await.unwrap_err();
    assert_eq!(
        (error.code, &*error.message),
        (Code::Invalid, "there is no model \"oracle\"; there are scripted")
    );
    ask(&client, RunOptions { model: Some("scripted".into()), ..RunOptions::default() }).await.unwrap();
    let expected = "finished I have nothing to say to that.";
    assert_eq!(
        lines(&mut client).await.pop().unwrap(),
        expected,
        "the engine's own model set has another one"
    );
}

#[tokio::test]
async fn one_connection_brings_tools_to_only_so_many_chats() {
    let settings = Settings { follow_limit: 2, ..Settings::default() };
    let house = House::with(counting(1), settings).await;
    let connection = house.engine.connect(Identity::local());
    let register = async |name: &str, tools: Vec<ToolDefinition>| {
        let command = Command::RegisterTools { chat: session(name), tools };
        house.engine.execute(&connection, command).await
    };
    for name in ["a", "b", "a"] {
        register(name, vec![definition("look")]).await.unwrap();
    }
    let refused = register("c", vec![definition("look")]).await.unwrap_err();
    assert!(refused.message.contains("at most 2 chats"), "{refused}");
    register("a", Vec::new()).await.unwrap();
    register("c", vec![definition("look")]).await.unwrap();
}
