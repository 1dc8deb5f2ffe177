//! Whose chats are whose.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidewire_engine::agent::Agents;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::id::ManualClock;
use tidewire_engine::identity::Grants;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::model::{Models, ToolDefinition};
use tidewire_engine::{
    ChatId, ChatRef, Clock, Code, Command, Connection, Engine, Identity, LocalBus, Parts, Reply, Settings,
    Timestamp,
};

use super::rig::{House, counting, session};

fn person(engine: &Arc<Engine>, name: &str) -> Connection {
    engine.connect(Identity { key: None, subject: name.into(), grants: Grants::Collections(Vec::new()) })
}

async fn open(engine: &Engine, connection: &Connection) -> ChatId {
    let follow = Command::FollowChat { chat: session("s1"), after: None };
    match engine.execute(connection, follow).await.unwrap() {
        Reply::Following { chat, .. } => chat,
        other => panic!("{other:?}"),
    }
}

fn every_command(chat: ChatId) -> [Command; 3] {
    let chat = ChatRef::Id(chat);
    [
        Command::FollowChat { chat: chat.clone(), after: None },
        Command::StopRun { chat: chat.clone(), run: None },
        Command::SendMessage {
            chat,
            message_id: None,
            content: "hello".into(),
            while_running: WhileRunning::Reject,
            options: Default::default(),
        },
    ]
}

#[tokio::test]
async fn a_session_is_its_owners() {
    let house = House::new(counting(1)).await;
    let (ann, bob) = (person(&house.engine, "ann"), person(&house.engine, "bob"));
    assert_ne!(open(&house.engine, &ann).await, open(&house.engine, &bob).await);
    assert_eq!(ann.identity().subject, "ann".into());
}

#[tokio::test]
async fn somebody_elses_chat_looks_like_none() {
    let house = House::new(counting(1)).await;
    let (ann, bob) = (person(&house.engine, "ann"), person(&house.engine, "bob"));
    let chat = open(&house.engine, &ann).await;
    for (theirs, none) in every_command(chat).into_iter().zip(every_command(ChatId::new())) {
        let theirs = house.engine.execute(&bob, theirs).await.unwrap_err();
        let none = house.engine.execute(&bob, none).await.unwrap_err();
        assert_eq!((theirs.code, &theirs.message), (Code::NotFound, &none.message));
        assert_eq!((none.code, &theirs.detail), (Code::NotFound, &none.detail));
    }
    let Reply::Chats(chats) = house.engine.execute(&bob, Command::ListChats { limit: 9 }).await.unwrap()
    else {
        panic!("a list is answered by Chats")
    };
    assert!(chats.is_empty());
}

#[tokio::test]
async fn an_owner_and_an_admin_reach_a_chat_by_its_id() {
    let house = House::new(counting(1)).await;
    let (ann, admin) = (person(&house.engine, "ann"), house.engine.connect(Identity::local()));
    let chat = open(&house.engine, &ann).await;
    for command in every_command(chat) {
        house.engine.execute(&ann, command.clone()).await.unwrap();
        if !matches!(command, Command::SendMessage { .. }) {
            house.engine.execute(&admin, command).await.unwrap();
        }
    }
}

async fn follow(engine: &Engine, connection: &Connection, chat: ChatRef) -> tidewire_engine::Result<ChatId> {
    match engine.execute(connection, Command::FollowChat { chat, after: None }).await? {
        Reply::Following { chat, .. } => Ok(chat),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_only_looked_for_is_never_opened() {
    let house = House::new(counting(1)).await;
    let (ann, bob) = (person(&house.engine, "ann"), person(&house.engine, "bob"));
    let known = |name: &str| ChatRef::Known(name.parse().unwrap());
    let missing = follow(&house.engine, &ann, known("s1")).await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    let chat = open(&house.engine, &ann).await;
    assert_eq!(follow(&house.engine, &ann, known("s1")).await.unwrap(), chat);
    let theirs = follow(&house.engine, &bob, known("s1")).await.unwrap_err();
    assert_eq!((theirs.code, &theirs.message), (Code::NotFound, &missing.message));
    let Reply::Chats(chats) = house.engine.execute(&bob, Command::ListChats { limit: 9 }).await.unwrap()
    else {
        panic!("a list is answered by Chats")
    };
    assert!(chats.is_empty());
}

#[tokio::test]
async fn a_chats_id_is_a_name_for_it_to_who_may_read_it() {
    let house = House::new(counting(1)).await;
    let (ann, bob) = (person(&house.engine, "ann"), person(&house.engine, "bob"));
    let admin = house.engine.connect(Identity::local());
    let chat = open(&house.engine, &ann).await;
    let by_id = chat.to_string().parse().unwrap();
    for connection in [&ann, &admin] {
        let session = ChatRef::Session(chat.to_string().parse().unwrap());
        assert_eq!(follow(&house.engine, connection, session).await.unwrap(), chat);
        let known = ChatRef::Known(chat.to_string().parse().unwrap());
        assert_eq!(follow(&house.engine, connection, known.clone()).await.unwrap(), chat);
        house.engine.execute(connection, Command::UnfollowChat { chat: known }).await.unwrap();
    }
    let theirs = follow(&house.engine, &bob, ChatRef::Known(chat.to_string().parse().unwrap())).await;
    assert_eq!(theirs.unwrap_err().code, Code::NotFound);
    assert_ne!(
        follow(&house.engine, &bob, ChatRef::Session(by_id)).await.unwrap(),
        chat,
        "an alias like any other"
    );
}

/// An engine whose time passes when it is told to.
async fn aging(folder: &Path, settings: Settings) -> (Arc<Engine>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000_000_000_000)));
    let parts = Parts {
        store: super::rig::open(folder),
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(counting(2)),
        models: Models::new(Arc::new(ScriptedModel::new())),
        embedder: None,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        settings,
    };
    (Engine::start(parts).await.unwrap(), clock)
}

/// Longer than a session rests before its name opens a new chat.
const A_DAY_AND_MORE: Duration = Duration::from_secs(25 * 60 * 60);

#[tokio::test]
async fn tools_that_move_to_the_new_chat_of_a_session_count_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { follow_limit: 2, ..Settings::default() };
    let (engine, clock) = aging(folder.path(), settings).await;
    let connection = engine.connect(Identity::local());
    let register = async |name: &str, tools: &[&str]| {
        let tools = tools.iter().map(|name| tool(name)).collect();
        engine.execute(&connection, Command::RegisterTools { chat: session(name), tools }).await
    };
    let old = open(&engine, &connection).await;
    register("s1", &["look"]).await.unwrap();
    register("s2", &["look"]).await.unwrap();
    for _ in 0..3 {
        clock.advance(A_DAY_AND_MORE);
        assert_ne!(open(&engine, &connection).await, old);
        let refused = register("s3", &["look"]).await.unwrap_err();
        assert!(refused.message.contains("at most 2 chats"), "what was moved is counted: {refused}");
    }
    register("s1", &[]).await.unwrap();
    register("s3", &["look"]).await.expect("what was moved is counted once");
    let refused = register("s1", &["look"]).await.unwrap_err();
    assert!(refused.message.contains("at most 2 chats"), "{refused}");
}

fn tool(name: &str) -> ToolDefinition {
    ToolDefinition { name: name.into(), description: "Looks.".into(), parameters: json!({"type": "object"}) }
}

#[tokio::test]
async fn who_followed_a_session_that_expired_follows_its_new_chat() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, clock) = aging(folder.path(), Settings::default()).await;
    let connection = engine.connect(Identity::local());
    let old = open(&engine, &connection).await;
    clock.advance(A_DAY_AND_MORE);
    let send = Command::SendMessage {
        chat: session("s1"),
        message_id: None,
        content: "good morning".into(),
        while_running: WhileRunning::Reject,
        options: Default::default(),
    };
    let Reply::Accepted { chat: new, .. } = engine.execute(&connection, send).await.unwrap() else {
        panic!("a message is answered by Accepted")
    };
    assert_ne!(new, old);
    let mut events = Vec::new();
    while !events
        .iter()
        .filter_map(tidewire_engine::Event::as_chat)
        .any(|event| super::rig::end(event).is_some())
    {
        connection.next(&mut events).await;
    }
    assert!(events.iter().filter_map(tidewire_engine::Event::as_chat).all(|event| event.chat == new));
    assert_eq!(engine.stats().connections, 1);
}
