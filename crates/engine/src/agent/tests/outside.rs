//! Calls that somebody outside does or agrees to. Time is paused.

use tokio::time::{Instant, sleep};

use super::*;
use crate::agent::run_loop::Limits;
use crate::agent::tool::{Declared, declared};
use crate::agent::{ToolSource, Tools, call_tool};
use crate::conversation::ToolAnswer;
use crate::error::Code;
use crate::model::ToolDefinition;

/// A turn with a client's tool `look`, and `erase` only if a person agrees.
fn turn_with_tools() -> Turn {
    let mut turn = turn("go");
    let parameters = json!({"type": "object"});
    turn.wishes.client_tools =
        vec![ToolDefinition { name: "look".into(), description: String::new(), parameters }];
    turn.wishes.confirm = vec![String::from("erase")];
    turn
}

fn explorer_with(script: Script) -> Explorer {
    let model = ScriptedModel::new().then(script).then(say("Done."));
    explorer(model).with_tool(slow("erase", Duration::ZERO, json!("erased")))
}

fn lines(events: &[AgentEvent]) -> Vec<String> {
    let line = |event: &AgentEvent| match event {
        AgentEvent::ClientToolRequested { name, .. } => format!("client {name}"),
        AgentEvent::ApprovalRequested { name, .. } => format!("agree? {name}"),
        AgentEvent::ApprovalResolved { approved, by, .. } => format!("agreed {approved} by {}", by.0),
        other => line(other),
    };
    events.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_client_has_sixty_seconds_and_a_person_five_minutes() {
    for (tool, seconds, sentence) in [
        ("look", 60, r#"the client did not answer for \"look\" in time; go on without it"#),
        ("erase", 300, "nobody agreed to this call in time; go on without it"),
    ] {
        let began = Instant::now();
        let events = events(&explorer_with(call(tool, json!({}))), turn_with_tools()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(seconds));
        let expected = format!(r#"error {tool} {{"error":"{sentence}"}}"#);
        let lines = lines(&events);
        assert!(lines.contains(&expected), "{lines:?}");
        assert_eq!(lines.last().unwrap(), r#"finished "Done.""#);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_round_wait_side_by_side() {
    let script =
        Script::new().call("look", json!({})).call("erase", json!({})).call("look", json!({"at": 2}));
    let (explorer, turn) = (explorer_with(script), turn_with_tools());
    let outside = Arc::clone(&turn.outside);
    let tail = turn.run.to_string()[24..].to_owned();
    let (sender, mut receiver) = events::queue(64);
    let answering = async {
        sleep(Duration::from_secs(1)).await;
        let id = |number: usize| format!("call_{number}_1-{tail}"); // its place in the script, and the turn
        assert!(outside.answer(&id(3), ToolAnswer::Result(json!("third")), &"ann".into()));
        sleep(Duration::from_secs(1)).await;
        assert!(outside.decide(&id(2), true, &"bob".into()));
        sleep(Duration::from_secs(1)).await;
        assert!(outside.answer(&id(1), ToolAnswer::Failed("it is dark".into()), &"ann".into()));
    };
    let reading = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.next().await {
            // As the run's task does when the decision is in the log, some time later.
            if let AgentEvent::ApprovalResolved { call_id, .. } = &event {
                sleep(Duration::from_millis(500)).await;
                outside.recorded(call_id);
            }
            events.push(event);
        }
        events
    };
    let (began, run) = (Instant::now(), explorer.run(turn, sender));
    let ((), (), events) = tokio::join!(run, answering, reading);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    let expected = [
        "started",
        "call look {}",
        "call erase {}",
        r#"call look {"at":2}"#,
        "client look",
        "agree? erase",
        "client look",
        r#"result look "third""#,
        "agreed true by bob",
        r#"result erase "erased""#,
        r#"error look {"error":"it is dark"}"#,
    ];
    assert_eq!(lines(&events)[..11], expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_the_decision_is_recorded() {
    let (explorer, turn) = (explorer_with(call("erase", json!({}))), turn_with_tools());
    let (outside, cancel) = (Arc::clone(&turn.outside), turn.cancel.clone());
    let call_id = format!("call_1_1-{}", &turn.run.to_string()[24..]);
    let (sender, mut receiver) = events::queue(64);
    let deciding = async {
        sleep(Duration::from_secs(1)).await;
        assert!(outside.decide(&call_id, true, &"ann".into()));
        sleep(Duration::from_secs(600)).await;
        assert!(!outside.decide(&call_id, true, &"ann".into()), "it is decided");
        cancel.cancel();
    };
    let run = explorer.run(turn, sender);
    tokio::join!(run, deciding);
    let mut events = Vec::new();
    while let Some(event) = receiver.next().await {
        events.push(event);
    }
    let expected = ["started", "call erase {}", "agree? erase", "agreed true by ann", r#"stopped """#];
    assert_eq!(lines(&events), expected);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_needs_agreement_gets_it_whatever_a_client_wishes() {
    let demanding = Declared { needs_approval: true, ..Declared::default() };
    let erase = declared(slow("wipe", Duration::ZERO, json!("wiped")), demanding);
    let model = ScriptedModel::new().then(call("wipe", json!({}))).then(say("Done."));
    let events = events(&explorer(model).with_tool(Arc::clone(&erase)), turn("go")).await;
    let expected = [
        "started",
        "call wipe {}",
        "agree? wipe",
        "agreed false by system",
        r#"error wipe {"error":"nobody agreed to this call in time; go on without it"}"#,
    ];
    assert_eq!(lines(&events)[..5], expected);
    let direct = call_tool(&[erase], "wipe", json!({}), &Identity::local(), &Limits::default()).await;
    assert_eq!(direct.unwrap_err().code, Code::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_tool_may_say_how_long_it_takes_and_that_it_answers_anew() {
    let patient =
        Declared { limit: Some(Duration::from_secs(40)), answers_anew: true, ..Declared::default() };
    let look = declared(slow("peek", Duration::from_secs(30), json!(1)), patient);
    let model = ScriptedModel::new()
        .then(call("peek", json!({})))
        .then(call("peek", json!({})))
        .then(say("Twice the same."));
    let began = Instant::now();
    let events = events(&explorer(model).with_tool(look), turn("go")).await;
    assert_eq!(results(&events, "peek"), [json!(1), json!(1)]);
    assert_eq!(began.elapsed(), Duration::from_secs(60));
}

/// Has another tool each time that it is asked.
struct Changing(std::sync::atomic::AtomicUsize);

impl ToolSource for Changing {
    fn tools(&self) -> Tools {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let named = |name: &str| slow(name, Duration::ZERO, json!(number));
        [named(&format!("tool_{number}")), named("list_tables")].into()
    }
}

#[tokio::test(start_paused = true)]
async fn tools_of_a_source_come_and_go_and_never_stand_in_for_our_own() {
    let model = ScriptedModel::new().then(call("tool_0", json!({}))).then(say("One."));
    let model = model.then(call("tool_0", json!({}))).then(say("None."));
    let explorer = explorer(model).with_source(Arc::new(Changing(Default::default())));
    assert_eq!(results(&events(&explorer, turn("go")).await, "tool_0"), [json!(0)]);
    let second = results(&events(&explorer, turn("go")).await, "tool_0");
    assert!(second[0]["error"].as_str().unwrap().starts_with("there is no tool \"tool_0\"; there are "));
    let names: Vec<_> = explorer.tools().iter().map(|tool| tool.definition().name.clone()).collect();
    assert!(names.contains(&"tool_2".into()), "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "list_tables").count(), 1, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clients_tool_does_not_hide_one_of_our_own_that_came_later() {
    let mut turn = turn("go");
    let parameters = json!({"type": "object"});
    turn.wishes.client_tools =
        vec![ToolDefinition { name: "erase".into(), description: String::new(), parameters }];
    let model = Arc::new(ScriptedModel::new().then(call("erase", json!({}))).then(say("Done.")));
    let explorer = Explorer::new(Arc::clone(&model) as _, Arc::new(Memory::of(demo::entries())))
        .with_tool(slow("erase", Duration::ZERO, json!("erased")));
    let events = events(&explorer, turn).await;
    assert_eq!(results(&events, "erase"), [json!("erased")]);
    let told = &model.requests()[0].tools;
    assert_eq!(told.iter().filter(|tool| tool.name == "erase").count(), 1);
}
