//! What models and tools do wrong, and what becomes of the run.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::agent::run_loop::Limits;
use crate::error::{Code, Detail};

/// Plays one question without tools of its own.
async fn play(model: ScriptedModel) -> Vec<AgentEvent> {
    events(&explorer(model), turn("hello")).await
}

#[tokio::test(start_paused = true)]
async fn an_answer_streams_and_ends_once() {
    let script = Script::new().reasoning("hm").text("Hel").text("lo").usage(7, 2);
    let model = ScriptedModel::new().with_context_window(8192).then(script);
    let events = play(model).await;
    let expected = ["started", r#"reasoning "hm""#, r#"text "Hel""#, r#"text "lo""#, r#"finished "Hello""#];
    assert_lines(&events, &expected);
    let (answer, usage) = end(&events);
    assert_eq!(usage, Usage { input_tokens: 7, output_tokens: 2, context_window: Some(8192) });
    assert_eq!(*answer, Answer { text: "Hello".into(), ..Answer::default() });
}

#[tokio::test(start_paused = true)]
async fn text_before_and_after_tools_is_set_apart_and_usage_adds_up() {
    let model = ScriptedModel::new()
        .then(Script::new().text("I look.").call("echo", json!({"n": 1})).usage(10, 3))
        .then(say("Found\n").call("echo", json!({"n": 2})).usage(20, 4))
        .then(Script::new().text("\nit.").usage(30, 5));
    let explorer = explorer(model).with_tool(slow("echo", Duration::ZERO, json!("ok")));
    let events = events(&explorer, turn("hello")).await;
    let expected = [
        "started",
        r#"text "I look.""#,
        r#"call echo {"n":1}"#,
        r#"result echo "ok""#,
        r#"text "\n\nFound\n""#,
        r#"call echo {"n":2}"#,
        r#"result echo "ok""#,
        r#"text "\nit.""#,
        r#"finished "I look.\n\nFound\n\nit.""#,
    ];
    assert_lines(&events, &expected);
    assert_eq!(end(&events).1, Usage { input_tokens: 60, output_tokens: 12, context_window: None });
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_round_run_together_and_answer_in_order() {
    let calls = Script::new().call("tortoise", json!({})).call("hare", json!({}));
    let model = Arc::new(ScriptedModel::new().then(calls).then(say("Done.")));
    let explorer = Explorer::new(model.clone(), Arc::new(Memory::default()))
        .with_tool(slow("tortoise", Duration::from_secs(9), json!(1)))
        .with_tool(slow("hare", Duration::from_secs(5), json!(2)));
    let began = Instant::now();
    let events = events(&explorer, turn("race")).await;
    assert_eq!(began.elapsed(), Duration::from_secs(9));
    let expected = [
        "started",
        "call tortoise {}",
        "call hare {}",
        "result hare 2",
        "result tortoise 1",
        r#"text "Done.""#,
    ];
    assert_lines(&events[..6], &expected);
    let request = model.requests().pop().unwrap();
    let told = request.messages.iter().filter_map(|message| match message {
        Message::Tool { name, content, is_error, .. } => Some((name.as_str(), content.as_str(), *is_error)),
        Message::User(_) | Message::Assistant { .. } => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [("tortoise", "1", false), ("hare", "2", false)]);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_panics_or_sleeps_is_told_to_the_model_and_the_run_goes_on() {
    let calls = Script::new().call("fails", json!({})).call("panics", json!({})).call("sleeps", json!({}));
    let explorer = explorer(ScriptedModel::new().then(calls).then(say("Sorry.")))
        .with_tool(tool::function("fails", "", json!({}), |_, _| async {
            Err(Error::invalid("no such thing"))
        }))
        .with_tool(tool::function("panics", "", json!({}), |_, _| async { panic!("the secret is 42") }))
        .with_tool(slow("sleeps", Duration::from_secs(60), json!(1)));
    let events = events(&explorer, turn("try")).await;
    assert_eq!(results(&events, "fails"), [json!({"error": "no such thing"})]);
    let panicked = results(&events, "panics")[0]["error"].as_str().unwrap().to_owned();
    assert!(panicked.starts_with(r#"the tool "panics" failed"#) && !panicked.contains("42"), "{panicked}");
    let slept = results(&events, "sleeps")[0]["error"].as_str().unwrap().to_owned();
    assert!(slept.contains("longer than 10 s"), "{slept}");
    for event in &events {
        if let AgentEvent::ToolResult { name, error, .. } = event {
            assert_eq!(error.as_ref().unwrap().detail, Detail::Tool(name.clone()));
        }
    }
    assert_eq!(end(&events).0.text, "Sorry.");
}

#[tokio::test(start_paused = true)]
async fn wrong_calls_are_answered_with_what_would_be_right() {
    let calls = Script::new()
        .call("fly", json!({}))
        .call("search_columns", json!({"pattern": 3}))
        .call("list_tables", json!({"shema": "x"}))
        .call("list_tables", json!([]));
    let events = play(ScriptedModel::new().then(calls).then(say("I see."))).await;
    let errors: Vec<_> = events.iter().map(line).filter(|line| line.starts_with("error")).collect();
    assert!(
        errors[0].contains("there is no tool") && errors[0].contains("query_collection"),
        "{}",
        errors[0]
    );
    assert_eq!(
        errors[1..],
        [
            r#"error search_columns {"error":"the argument \"pattern\" must be a string, not a number"}"#,
            r#"error list_tables {"error":"the argument \"shema\" is unknown; there are schema"}"#,
            r#"error list_tables {"error":"the arguments: must be an object, not an array"}"#,
        ]
    );
    assert_eq!(end(&events).0.text, "I see.");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_answered_is_not_made_again_but_a_failed_one_may_be() {
    let tried = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tried);
    let flaky = tool::function("flaky", "", json!({}), move |_, _| {
        let attempt = counter.fetch_add(1, Ordering::Relaxed);
        async move { if attempt == 0 { Err(Error::unavailable("busy; try again")) } else { Ok(json!("ok")) } }
    });
    let again = || call("flaky", json!({"a": 1, "b": 2}));
    let model = ScriptedModel::new().then(again()).then(again()).then(call("flaky", json!({"b": 2, "a": 1})));
    let events = events(&explorer(model.then(say("Done."))).with_tool(flaky), turn("go")).await;
    assert_eq!(tried.load(Ordering::Relaxed), 2);
    let answers = results(&events, "flaky");
    assert_eq!(answers[..2], [json!({"error": "busy; try again"}), json!("ok")]);
    assert!(answers[2]["error"].as_str().unwrap().starts_with("this call was already made"));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_never_stops_calling_is_ended() {
    let model =
        Arc::new((0..20).fold(ScriptedModel::new(), |model, n| model.then(call("echo", json!({"n": n})))));
    let explorer = Explorer::new(model.clone(), Arc::new(Memory::default()));
    let explorer = explorer.with_tool(slow("echo", Duration::ZERO, json!(1)));
    let events = events(&explorer, turn("go")).await;
    assert_eq!(failure(&events).message, "the model still called tools after 8 rounds; ask for less at once");
    assert_eq!((model.requests().len(), results(&events, "echo").len()), (8, 7));
    assert!(
        model.requests()[7].system.ends_with("call no tool")
            && !model.requests()[6].system.contains("last step")
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_calls_at_once_are_refused_one_by_one() {
    let calls = (0..20).fold(Script::new(), |script, n| script.call("echo", json!({"n": n})));
    let explorer = explorer(ScriptedModel::new().then(calls).then(say("Done.")));
    let events = events(&explorer.with_tool(slow("echo", Duration::ZERO, json!(1))), turn("go")).await;
    let refused = results(&events, "echo").iter().filter(|result| result["error"].is_string()).count();
    assert_eq!((refused, end(&events).0.text.as_str()), (4, "Done."));
}

#[tokio::test(start_paused = true)]
async fn a_huge_result_is_cut_and_says_so() {
    let rows: Vec<_> = (0..20_000).map(|n| json!({"n": n})).collect();
    let explorer = explorer(ScriptedModel::new().then(call("huge", json!({}))).then(say("Much.")));
    let events =
        events(&explorer.with_tool(slow("huge", Duration::ZERO, json!({"rows": rows}))), turn("go")).await;
    let result = &results(&events, "huge")[0];
    assert!(result.to_string().len() <= 64 * 1024);
    let kept = result["rows"].as_array().unwrap().len();
    assert!(kept > 3_000 && result["left_out"]["rows"] == 20_000 - kept);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_leaves_what_it_said_and_cost() {
    let broken = say("I thi").usage(5, 2).fail(Error::upstream("the provider is overloaded; try again"));
    let events = play(ScriptedModel::new().then(broken)).await;
    assert_lines(
        &events,
        &["started", r#"text "I thi""#, r#"failed "I thi": the provider is overloaded; try again"#],
    );
    assert_eq!(end(&events).1.output_tokens, 2);
}

#[tokio::test(start_paused = true)]
async fn half_an_answer_is_no_answer() {
    for (script, expected) in [
        (say("I thi").break_off(), "the model broke off in the middle of its answer; ask again"),
        (
            Script::new().half_a_call("echo", r#"{"n"#),
            "the model broke off in the middle of a tool call; ask again",
        ),
        (
            Script::new().call("echo", json!({})).break_off(),
            "the model broke off in the middle of its answer; ask again",
        ),
        (Script::new().end(StopReason::ToolCalls), "the model sent half a tool call; ask again"),
        (Script::new().end(StopReason::Finished), "the model said nothing; ask again"),
        (
            Script::new().end(StopReason::Refused),
            "the model's provider refused to answer this; ask in another way",
        ),
    ] {
        let events = play(ScriptedModel::new().then(script)).await;
        assert_eq!(failure(&events).message, expected);
        assert!(!events.iter().any(|event| matches!(event, AgentEvent::ToolCall { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_cut_at_its_limit_shows_it() {
    let events = play(ScriptedModel::new().then(say("And so").end(StopReason::Length))).await;
    assert_eq!(end(&events).0.text, "And so …");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_end_is_ended() {
    let limits = Limits { answer_bytes: 600, ..Limits::default() };
    let model = ScriptedModel::new().then(Script::new().tokens(1_000, Duration::ZERO));
    let events = events(&explorer(model).with_limits(limits), turn("go")).await;
    assert_eq!((failure(&events).code, end(&events).0.text.len()), (Code::TooLarge, 600));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_is_given_up() {
    for (script, seconds, expected) in [
        (Script::new().hang(), 30, "the model did not begin to answer within 30 s; ask again"),
        (say("I").hang(), 60, "the model said nothing for 60 s; ask again"),
        (Script::new().queued(1).hang(), 600, "the model was busy with others for 600 s; ask again later"),
    ] {
        let began = Instant::now();
        let events = play(ScriptedModel::new().then(script)).await;
        assert_eq!(failure(&events).message, expected);
        assert_eq!(began.elapsed().as_secs(), seconds);
        assert_eq!(failure(&events).detail, Detail::Timeout(Duration::from_secs(seconds)));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_others_does_not_count() {
    let script =
        Script::new().queued(2).wait(Duration::from_secs(300)).queued(1).wait(Duration::from_secs(300));
    let events = play(ScriptedModel::new().then(script.text("At last."))).await;
    assert_lines(
        &events,
        &["started", "queued 2", "queued 1", r#"text "At last.""#, r#"finished "At last.""#],
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_model_at_once_and_keeps_what_it_said() {
    let model = ScriptedModel::new().then(say("It is").usage(4, 2).hang());
    let running = model.running();
    let explorer = explorer(model);
    let turn = turn("go");
    let (sender, mut receiver) = events::queue(1);
    let cancel = turn.cancel.clone();
    let read = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.next().await {
            if matches!(event, AgentEvent::TextDelta { .. }) {
                cancel.cancel();
            }
            events.push(event);
        }
        events
    };
    let began = Instant::now();
    let ((), events) = tokio::join!(explorer.run(turn, sender), read);
    assert_lines(&events, &["started", r#"text "It is""#, r#"stopped "It is""#]);
    assert_eq!((began.elapsed(), *running.borrow()), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_tools_too() {
    /// Tells when it is dropped.
    struct Witness(mpsc::UnboundedSender<&'static str>);
    impl Drop for Witness {
        fn drop(&mut self) {
            _ = self.0.send("dropped");
        }
    }
    let (witness, mut dropped) = mpsc::unbounded_channel();
    let endless = tool::function("endless", "", json!({}), move |_, _| {
        let witness = Witness(witness.clone());
        async move {
            _ = witness.0.send("began");
            std::future::pending().await
        }
    });
    let explorer = explorer(ScriptedModel::new().then(call("endless", json!({})))).with_tool(endless);
    let turn = turn("go");
    let cancel = turn.cancel.clone();
    let stop = async {
        assert_eq!(dropped.recv().await, Some("began"));
        cancel.cancel();
    };
    let (events, ()) = tokio::join!(events(&explorer, turn), stop);
    assert_lines(&events, &["started", "call endless {}", r#"stopped """#]);
    let told = tokio::time::timeout(Duration::from_secs(1), dropped.recv()).await;
    assert_eq!(told, Ok(Some("dropped")));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_stopped_before_it_began_says_so() {
    let turn = turn("go");
    turn.cancel.cancel();
    assert_lines(&events(&explorer(ScriptedModel::new()), turn).await, &["started", r#"stopped """#]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_hears_ends() {
    let model = ScriptedModel::new().then(Script::new().tokens(1_000_000, Duration::from_secs(1)));
    let running = model.running();
    let explorer = explorer(model);
    let (sender, mut receiver) = events::queue(1);
    let leave = async {
        while !matches!(receiver.next().await, Some(AgentEvent::TextDelta { .. })) {}
        receiver.close();
    };
    tokio::join!(explorer.run(turn("go"), sender), leave);
    assert_eq!(*running.borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn call_ids_are_unique_in_a_run() {
    use crate::model::{Model, ModelEvent, ModelStream, Request, ToolCall};
    /// Counts its calls anew each time, as some providers do.
    struct Forgetful;
    #[async_trait::async_trait]
    impl Model for Forgetful {
        fn name(&self) -> &str {
            "forgetful"
        }
        fn context_window(&self) -> Option<u64> {
            None
        }
        async fn stream(&self, request: Request) -> crate::error::Result<ModelStream> {
            let n = request.messages.len();
            let call = ToolCall { id: "call_0".into(), name: "echo".into(), arguments: json!({"n": n}) };
            let events = if n < 4 {
                vec![ModelEvent::Call(call), ModelEvent::End(StopReason::ToolCalls)]
            } else {
                vec![ModelEvent::Text("Done.".into()), ModelEvent::End(StopReason::Finished)]
            };
            Ok(Box::pin(futures_util::stream::iter(events.into_iter().map(Ok))))
        }
    }
    let explorer = Explorer::new(Arc::new(Forgetful), Arc::new(Memory::default()));
    let explorer = explorer.with_tool(slow("echo", Duration::ZERO, json!(1)));
    let events = events(&explorer, turn("go")).await;
    let ids = events.iter().filter_map(|event| match event {
        AgentEvent::ToolCall { call_id, .. } => Some(call_id.as_str()),
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["call_0", "call_0-2"]);
}
