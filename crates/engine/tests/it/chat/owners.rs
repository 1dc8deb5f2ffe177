//! Whose chats are whose.

use std::sync::Arc;

use tidewire_engine::command::WhileRunning;
use tidewire_engine::identity::Grants;
use tidewire_engine::{ChatId, ChatRef, Code, Command, Connection, Engine, Identity, Reply};

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
