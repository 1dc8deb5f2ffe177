//! The end: answers finish, nobody is lost.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tokio::sync::Notify;

use crate::house::House;

async fn wait_for_draining(house: &House) {
    loop {
        let health = reqwest::get(house.url("/api/health")).await.unwrap();
        if health.status() == 503 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_answer_may_finish_and_then_sockets_close_with_1012() {
    let gate = Arc::new(Notify::new());
    let script = Script::new().text("almost ").gate(Arc::clone(&gate)).text("done");
    let house = House::with(|plan| plan.model = ScriptedModel::new().then(script)).await;
    let mut client = house.client("s").await;
    let mut idle = house.client("idle").await;
    client.ask("go").await;
    client.until("agent_partial").await;
    house.stop.cancel();
    wait_for_draining(&house).await;
    assert_eq!(house.client("late").await.closed().await.0, 1012);
    idle.ask("me too").await;
    assert_eq!(idle.until("error").await["retryable"], true);
    gate.notify_one();
    let answer = client.until("agent").await;
    assert_eq!((&answer["content"], &answer["status"]), (&json!("almost done"), &json!("finished")));
    assert_eq!(client.closed().await.0, 1012);
    assert_eq!(idle.closed().await.0, 1012);
    drop((client, idle));
    house.stopped().await;
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_interrupted_and_kept() {
    let script = Script::new().text("never ").hang();
    let house = House::with(|plan| {
        plan.model = ScriptedModel::new().then(script);
        plan.config.drain_seconds = 1;
    })
    .await;
    let mut client = house.client("s").await;
    client.ask("go").await;
    client.until("agent_partial").await;
    house.stop.cancel();
    let answer = client.until("agent").await;
    assert_eq!((&answer["content"], &answer["status"]), (&json!("never "), &json!("interrupted")));
    assert_eq!(client.closed().await.0, 1012);
    drop(client);
    house.stopped().await;
}
