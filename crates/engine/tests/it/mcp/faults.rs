//! Servers that die, hang and lie: each costs its own call or tool, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_engine::agent::ToolSource;
use tidewire_engine::mcp::{Approve, Mcp, ServerSettings, Standing};
use tidewire_engine::{Code, Error};

use super::rig::{Odd, PATIENCE, Scene, call, lines, names, started, until};

/// A call that is answered at once is not answered by waiting.
const AT_ONCE: Duration = Duration::from_secs(60);

async fn fails(mcp: &Arc<Mcp>, tool: &str) -> Error {
    let began = Instant::now();
    let error = call(mcp, &format!("odd__{tool}"), json!({})).await.unwrap_err();
    assert!(began.elapsed() < AT_ONCE, "{tool} took {:?}", began.elapsed());
    error
}

async fn echoes(mcp: &Arc<Mcp>) {
    let answer = call(mcp, "odd__echo", json!({"text": "still here"})).await.unwrap();
    assert_eq!(answer, json!({"text": "still here"}));
}

async fn ready(mcp: &Arc<Mcp>) {
    until("the server is ready", || mcp.status()[0].standing == Standing::Ready).await;
}

#[tokio::test]
async fn one_that_dies_in_mid_call_fails_it_at_once_and_comes_back() {
    let odd = Odd::new("usual");
    let mcp = started(vec![odd.settings.clone()]).await;
    for (number, tool) in ["die", "die_and_leave"].into_iter().enumerate() {
        let error = fails(&mcp, tool).await;
        assert_eq!(error.code, Code::Upstream);
        let expected = "the MCP server \"odd\" ended (exit status: 7) during this call, which may have been done or \
                        not; look before you call again";
        assert_eq!(error.message, expected);
        until("it is started again", || odd.count("start") == number + 2).await;
        ready(&mcp).await;
        echoes(&mcp).await;
        assert_eq!(odd.count(&format!("call {tool}")), number.max(1), "a call is made once");
    }
    mcp.close().await;
}

#[tokio::test]
async fn a_run_goes_on_when_its_server_dies() {
    let odd = Odd::new("usual");
    let server = ServerSettings { approve: Approve::Never, ..odd.settings.clone() };
    let scene = Scene::new(server, "odd__die", json!({})).await;
    let lines = lines(&mut scene.asking().await).await;
    assert!(lines[0].starts_with("error odd__die upstream: the MCP server \"odd\" ended"), "{lines:?}");
    assert_eq!(lines[1], "finished Done.");
}

#[tokio::test]
async fn what_a_dying_server_said_last_is_heard() {
    let odd = Odd::new("usual");
    let mcp = started(vec![odd.settings.clone()]).await;
    for round in 1..=5 {
        assert_eq!(call(&mcp, "odd__last_words", json!({})).await.unwrap(), json!({"text": "farewell"}));
        until("it is started again", || odd.count("start") == round + 1).await;
        ready(&mcp).await;
    }
    mcp.close().await;
}

#[tokio::test]
async fn one_that_hangs_is_told_to_cancel_and_started_anew_if_it_goes_on() {
    let odd = Odd::new("usual");
    let server = ServerSettings { call_limit: Duration::from_secs(3), ..odd.settings.clone() };
    let mcp = started(vec![server]).await;
    let error = fails(&mcp, "hang").await;
    assert_eq!(error.code, Code::Deadline);
    assert!(error.message.contains("did not answer within 3 s and was told to cancel"), "{error}");
    until("it hears of it", || odd.count("cancelled") == 1).await;
    echoes(&mcp).await;
    for _ in 0..3 {
        assert_eq!(fails(&mcp, "hang").await.code, Code::Deadline);
    }
    until("it is started anew", || odd.count("start") == 2).await;
    ready(&mcp).await;
    echoes(&mcp).await;
    mcp.close().await;
}

#[tokio::test]
async fn a_call_whose_run_is_stopped_is_cancelled() {
    let odd = Odd::new("usual");
    let server = ServerSettings { approve: Approve::Never, ..odd.settings.clone() };
    let scene = Scene::new(server, "odd__hang", json!({})).await;
    let client = scene.asking().await;
    until("it is called", || odd.count("call hang") == 1).await;
    assert!(client.stop(None).await);
    until("it hears of it", || odd.count("cancelled") == 1).await;
}

#[tokio::test]
async fn answers_that_are_none_fail_their_call_at_once() {
    let odd = Odd::new("usual");
    let mcp = started(vec![odd.settings.clone()]).await;
    let says = async |tool: &str, expected: &str| {
        let error = fails(&mcp, tool).await;
        assert_eq!(error.code, Code::Upstream);
        assert!(error.message.contains(expected), "{tool}: {error}");
    };
    says("huge", "the answer is longer than 4194304 bytes").await;
    says("shapeless", "answered what is no tool's result").await;
    says("garbled", "the answer is none that MCP knows").await;
    says("fail", "there is no such thing").await;
    says("number", "answered something else than it promises: /n is missing").await;
    assert_eq!(call(&mcp, "odd__number", json!({"n": 5})).await.unwrap(), json!({"n": 5}));
    echoes(&mcp).await;
    assert_eq!(odd.count("start"), 1);
    mcp.close().await;
}

#[tokio::test]
async fn a_tool_whose_schema_lies_is_left_out_and_told_of() {
    let odd = Odd::new("lying");
    let server = ServerSettings {
        trust_annotations: true,
        approve: Approve::Writes,
        idempotent: vec!["echo".into(), "ecko".into()],
        ..odd.settings.clone()
    };
    let mcp = started(vec![server]).await;
    let honest = names(&mcp);
    assert_eq!(honest.len(), 12, "{honest:?}");
    assert!(honest[1].starts_with("odd__read_me-"), "{honest:?}");
    let [status] = &mcp.status()[..] else { panic!("one server") };
    assert_eq!((status.tools, status.asking), (12, 11));
    let expected = [
        r#"the tool "strange_type" is left out: its inputSchema is wrong: /properties/a/type is "strnig", which is no type"#,
        r#"the tool "no_schema" is left out: it has no inputSchema"#,
        r#"the tool "text_schema" is left out: its inputSchema is no object"#,
        r#"the tool "list_schema" is left out: its inputSchema is of type "array", and must be "object""#,
        r#"the tool "far_schema" is left out: its inputSchema is wrong: /properties/a/$ref names "http://127.0.0.1:1/schema", which is not in the schema"#,
        r#"the tool "bad_promise" is left out: its outputSchema is wrong: /required must be a list of names"#,
        r#"the tool "long" is left out: its description and schema have more than 65536 bytes"#,
        r#"offers "echo" twice; the second one is left out"#,
        r#"the tool "" is left out: it has no name"#,
        r#"the tool "" is left out: it has no name"#,
        r#"idempotent names "ecko", which it does not offer"#,
    ];
    assert_eq!(status.notes, expected);
    let tools = mcp.tools();
    let idempotent: Vec<_> = tools.iter().filter(|tool| tool.idempotent()).collect();
    assert_eq!(idempotent[0].definition().name, "odd__echo");
    assert_eq!((idempotent.len(), &*idempotent[0].definition().description), (1, "Says it again."));
    echoes(&mcp).await;
    mcp.close().await;
}

#[tokio::test]
async fn only_the_tools_that_are_wanted_are_there() {
    let odd = Odd::new("lying");
    let tools = vec![String::from("echo"), String::from("fial")];
    let mcp = started(vec![ServerSettings { tools, ..odd.settings.clone() }]).await;
    assert_eq!(names(&mcp), ["odd__echo"]);
    let notes = &mcp.status()[0].notes;
    assert!(notes.contains(&String::from(r#"tools names "fial", which it does not offer"#)), "{notes:?}");
    mcp.close().await;
}

#[tokio::test]
async fn a_list_that_changes_is_read_again_and_what_was_withdrawn_is_not_called() {
    let odd = Odd::new("usual");
    let scene = Scene::new(odd.settings.clone(), "odd__echo", json!({})).await;
    let before = names(&scene.mcp);
    let tools = tidewire_engine::agent::ToolSource::tools(&*scene.mcp);
    let echo = tools.iter().find(|tool| tool.definition().name == "odd__echo").unwrap();
    call(&scene.mcp, "odd__grow", json!({})).await.unwrap();
    until("the list is read", || names(&scene.mcp) != before).await;
    let after = names(&scene.mcp);
    assert!(after.contains(&"odd__grown".into()) && !after.contains(&"odd__echo".into()), "{after:?}");
    let context = tidewire_engine::agent::ToolContext {
        chat: None,
        run: None,
        identity: tidewire_engine::Identity::local(),
    };
    let error = echo.call(&context, json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict, "{error}");
    assert_eq!(odd.count("call echo"), 0);
    assert_eq!(call(&scene.mcp, "odd__grown", json!({"text": "x"})).await.unwrap(), json!({"text": "x"}));
    // A chat that begins now has the new list.
    let said = tokio::time::timeout(PATIENCE, lines(&mut scene.asking().await)).await.unwrap();
    assert!(said[0].starts_with("error odd__echo not_found: there is no tool \"odd__echo\""), "{said:?}");
}

#[tokio::test]
async fn a_huge_result_is_shortened_for_the_run() {
    let odd = Odd::new("usual");
    let server = ServerSettings { approve: Approve::Never, ..odd.settings.clone() };
    let text = "x".repeat(300_000);
    let scene = Scene::new(server, "odd__echo", json!({"text": text})).await;
    let lines = lines(&mut scene.asking().await).await;
    let content = lines[0].strip_prefix("result odd__echo ").unwrap();
    assert!(content.len() <= 64 * 1024, "{}", content.len());
    let content: Value = serde_json::from_str(content).unwrap();
    assert!(content["left_out"]["bytes"].as_u64().unwrap() > 200_000);
}
