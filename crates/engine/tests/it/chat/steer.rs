//! Messages that steer the run that goes on.

use std::sync::Arc;

use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::collections::Desk;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Message;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{ChatBody, Code};
use tokio::sync::Notify;

use super::rig::{House, answer, counted, gated};

const STEER: WhileRunning = WhileRunning::Steer(9);

fn explorer(model: &Arc<ScriptedModel>) -> Arc<Explorer> {
    let records = Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(SystemClock));
    Arc::new(Explorer::new(Arc::clone(model) as _, Arc::new(records)))
}

fn users(messages: &[Message]) -> Vec<&str> {
    let said = messages.iter().filter_map(|message| match message {
        Message::User(text) => Some(text.as_str()),
        Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    said.collect()
}

#[tokio::test]
async fn a_message_steers_the_run_that_goes_on() {
    let gate = Arc::new(Notify::new());
    let model = ScriptedModel::new()
        .then(Script::new().text("One").gate(Arc::clone(&gate)))
        .then(Script::new().text("Two."))
        .then(Script::new().text("Three."));
    let model = Arc::new(model);
    let house = House::new(explorer(&model)).await;
    let mut client = house.client().await;
    let run = client.send("first").await;
    client.sees(run, "One").await;
    let (steered, duplicate) = client.try_send("shorter", Some("m2"), STEER).await.unwrap();
    assert_eq!((steered, duplicate.is_none()), (run, true), "it belongs to the run that goes on");
    let (again, duplicate) = client.try_send("shorter", Some("m2"), STEER).await.unwrap();
    assert_eq!(again, run);
    assert!(
        matches!(&duplicate.unwrap().body, ChatBody::UserMessage { content, .. } if content == "shorter")
    );
    gate.notify_one();
    assert_eq!(answer(&client.end_of(run).await).text, "One\n\nTwo.");
    assert_eq!(users(&model.requests()[1].messages), ["first", "shorter"]);
    // What comes after the end is a question of its own, and is told of both.
    let (next, _) = client.try_send("third", None, STEER).await.unwrap();
    assert_ne!(next, run);
    assert_eq!(answer(&client.end_of(next).await).text, "Three.");
    assert_eq!(users(&model.requests()[2].messages), ["first", "shorter", "third"]);
}

#[tokio::test]
async fn a_run_that_cannot_be_steered_is_waited_for() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let house = House::new(gated(&gate, 2)).await;
    let mut client = house.client().await;
    let run = client.send("first").await;
    let (second, _) = client.try_send("second", None, WhileRunning::Steer(1)).await.unwrap();
    assert_ne!(second, run);
    let error = client.try_send("third", None, WhileRunning::Steer(1)).await.unwrap_err();
    assert_eq!(error.code, Code::RateLimited);
    gate.add_permits(4);
    for run in [run, second] {
        assert_eq!(answer(&client.end_of(run).await).text, counted(2));
    }
}
