//! Models and tools that are asked without a chat.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::agent::{Agents, tool};
use tidewire_engine::collections::Desk;
use tidewire_engine::command::ModelInfo;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::model::{Embedder, Models, Status};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{
    Code, Command, Connection, Engine, Event, Identity, LocalBus, Parts, Reply, Result, Settings,
};

/// Gives each text its length as its vector.
struct Lengths(Status);

#[async_trait]
impl Embedder for Lengths {
    fn name(&self) -> &str {
        "lengths"
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
    }

    fn status(&self) -> Status {
        self.0.clone()
    }
}

async fn engine(model: Arc<ScriptedModel>, embedder: Option<Arc<dyn Embedder>>) -> (Arc<Engine>, Connection) {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let records = Desk::new(Arc::clone(&store) as _, Arc::new(SystemClock));
    let whoami = tool::function("whoami", "", json!({"type": "object"}), |context, _| async move {
        Ok(json!({"subject": &*context.identity.subject.0, "chat": context.chat.is_some()}))
    });
    let parts = Parts {
        store,
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(Arc::new(
            Explorer::new(Arc::clone(&model) as _, Arc::new(records)).with_tool(whoami),
        )),
        models: Models::new(model).with(Arc::new(ScriptedModel::new().named("other/one"))),
        embedder,
        clock: Arc::new(SystemClock),
        settings: Settings::default(),
    };
    let engine = Engine::start(parts).await.unwrap();
    let connection = engine.connect(Identity::local());
    (engine, connection)
}

fn ask(message: &str, model: Option<&str>, stream: Option<u64>) -> Command {
    Command::Complete {
        system: "Be brief.".into(),
        message: message.into(),
        model: model.map(str::to_owned),
        max_tokens: Some(5),
        stream,
    }
}

#[tokio::test]
async fn a_completion_is_whole_and_streams_if_it_is_to() {
    let model = Arc::new(ScriptedModel::new().otherwise(Script::new().words("one two three").usage(7, 3)));
    let (engine, connection) = engine(Arc::clone(&model), None).await;
    let listen = async {
        let mut text = String::new();
        while text != "one two three" {
            let mut events = Vec::new();
            connection.next(&mut events).await;
            for event in events {
                let Event::Completion { stream: 4, text: more } = event else { panic!("{event:?}") };
                text.push_str(&more);
            }
        }
    };
    let (reply, ()) = tokio::join!(engine.execute(&connection, ask("hi", None, Some(4))), listen);
    let Reply::Completed { content, usage } = reply.unwrap() else { panic!("it is answered") };
    assert_eq!((content.as_str(), usage.input_tokens, usage.output_tokens), ("one two three", 7, 3));
    let request = model.requests().pop().unwrap();
    assert_eq!((request.system.as_str(), request.max_tokens, request.tools.len()), ("Be brief.", Some(5), 0));

    let Ok(Reply::Completed { content, .. }) =
        engine.execute(&connection, ask("hi", Some("one"), None)).await
    else {
        panic!("the other model answers")
    };
    assert_eq!(content, "I have nothing to say to that.");
    let wrong = engine.execute(&connection, ask("hi", Some("two"), None)).await.unwrap_err();
    assert_eq!(&*wrong.message, "there is no model \"two\"; there are scripted, other/one");
    assert_eq!(engine.execute(&connection, ask(" ", None, None)).await.unwrap_err().code, Code::Invalid);
}

#[tokio::test]
async fn an_asker_that_goes_away_stops_the_model() {
    let model = Arc::new(ScriptedModel::new().otherwise(Script::new().text("so far ").hang()));
    let (engine, connection) = engine(Arc::clone(&model), None).await;
    let mut running = model.running();
    {
        let asking = engine.execute(&connection, ask("hi", None, Some(1)));
        tokio::pin!(asking);
        tokio::select! {
            _ = &mut asking => panic!("it hangs"),
            begun = running.wait_for(|running| *running == 1) => { begun.unwrap(); },
        }
    }
    running.wait_for(|running| *running == 0).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_does_not_listen_slows_the_model_down() {
    let model = ScriptedModel::new().otherwise(Script::new().tokens(20_000, Duration::ZERO));
    let (engine, connection) = engine(Arc::new(model), None).await;
    let asking = engine.execute(&connection, ask("hi", None, Some(1)));
    tokio::pin!(asking);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asking).await;
    assert!(early.is_err(), "it waits for the listener");
    let mut held = 0;
    let mut text = String::new();
    let reply = loop {
        let mut events = Vec::new();
        tokio::select! {
            biased;
            () = connection.next(&mut events) => {},
            reply = &mut asking => break reply,
        }
        for event in events {
            let Event::Completion { text: more, .. } = event else { panic!("{event:?}") };
            held = held.max(more.len());
            text.push_str(&more);
        }
    };
    let Reply::Completed { content, .. } = reply.unwrap() else { panic!("it is answered") };
    assert!(content.starts_with(&text) && text.len() > 64 * 1024);
    assert!(held <= 64 * 1024 + 16, "{held} bytes were held");
}

#[tokio::test]
async fn texts_are_embedded_where_there_is_an_embedder() {
    let embed =
        |texts: Vec<String>, model: Option<&str>| Command::Embed { texts, model: model.map(str::to_owned) };
    let two = || vec![String::from("a"), String::from("abc")];
    let (none, connection) = engine(Arc::default(), None).await;
    assert_eq!(none.execute(&connection, embed(two(), None)).await.unwrap_err().code, Code::Unavailable);
    for status in [Status::Loading, Status::Missing("a file".into()), Status::Failed("why".into())] {
        let (busy, connection) = engine(Arc::default(), Some(Arc::new(Lengths(status)))).await;
        assert_eq!(busy.execute(&connection, embed(two(), None)).await.unwrap_err().code, Code::Unavailable);
    }
    let (engine, connection) = engine(Arc::default(), Some(Arc::new(Lengths(Status::Ready)))).await;
    for name in [None, Some("lengths")] {
        let Reply::Embedded { vectors, model } =
            engine.execute(&connection, embed(two(), name)).await.unwrap()
        else {
            panic!("it is embedded")
        };
        assert_eq!((vectors, model.as_str()), (vec![vec![1.0], vec![3.0]], "lengths"));
    }
    for wrong in
        [embed(two(), Some("widths")), embed(Vec::new(), None), embed(vec![String::new(); 257], None)]
    {
        assert_eq!(engine.execute(&connection, wrong).await.unwrap_err().code, Code::Invalid);
    }
    let large = embed(vec!["x".repeat(2 << 20)], None);
    assert_eq!(engine.execute(&connection, large).await.unwrap_err().code, Code::TooLarge);
}

#[tokio::test]
async fn models_and_tools_are_listed_and_tools_work_in_the_askers_name() {
    let (engine, connection) = engine(Arc::default(), None).await;
    let Reply::Models(models) = engine.execute(&connection, Command::ListModels).await.unwrap() else {
        panic!("models")
    };
    let info =
        |provider: &str, name: &str| ModelInfo { provider: provider.into(), name: name.into(), ready: true };
    assert_eq!(models, [info("scripted", "scripted"), info("other", "one")]);
    let Reply::Tools(tools) = engine.execute(&connection, Command::ListTools).await.unwrap() else {
        panic!("tools")
    };
    assert!(tools.iter().any(|tool| tool.name == "list_tables"));

    let bob = Identity { key: None, subject: "bob".into(), ..Identity::local() };
    let bob = engine.connect(bob);
    let call = |name: &str, arguments: Value| Command::CallTool { name: name.into(), arguments };
    let Reply::ToolOutput(output) = engine.execute(&bob, call("whoami", json!({}))).await.unwrap() else {
        panic!("it is called")
    };
    assert_eq!(output, json!({"subject": "bob", "chat": false}));
    assert_eq!(engine.execute(&bob, call("nothing", json!({}))).await.unwrap_err().code, Code::NotFound);
    assert_eq!(engine.execute(&bob, call("whoami", json!([]))).await.unwrap_err().code, Code::Invalid);
}
