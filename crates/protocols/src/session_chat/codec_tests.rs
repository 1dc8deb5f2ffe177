use proptest::prelude::*;
use serde_json::{Value, json};
use tidewire_engine::command::RunState;
use tidewire_engine::conversation::{AnswerStatus, CallDecided, Role, Shown, StepTaken, ToolUse};
use tidewire_engine::event::{Amendment, RunText, Source, Usage};
use tidewire_engine::identity::Subject;
use tidewire_engine::{AgentEvent, Answer, ChatId, Code, RecordId, Timestamp};

use super::*;

/// A conversation under test: frames and events in, JSON out.
struct Talk {
    session: SessionChat,
    now: Instant,
    chat: ChatId,
    run: RunId,
    text: RunText,
    seq: u64,
}

impl Talk {
    fn new() -> Self {
        Self {
            session: SessionChat::new("s".parse().unwrap()),
            now: Instant::now(),
            chat: ChatId::new(),
            run: RunId::new(),
            text: RunText::default(),
            seq: 0,
        }
    }

    /// What a client frame leads to: commands, and frames at once.
    fn says(&mut self, frame: &str) -> (Vec<Command>, Vec<Value>) {
        let step = self.session.decode(Incoming::Text(frame), self.now);
        (step.commands.into_iter().map(|(_, command)| command).collect(), shown(step.frames))
    }

    fn happens(&mut self, event: AgentEvent) -> Vec<Value> {
        self.covers(1, event)
    }

    /// An event that covers so many sequence numbers.
    fn covers(&mut self, count: u64, event: AgentEvent) -> Vec<Value> {
        let text = match &event {
            AgentEvent::TextDelta { text } => {
                let end = self.text.push(text);
                Some(TextSpan { whole: self.text.clone(), end })
            }
            _ => None,
        };
        self.event(count, ChatBody::Run { run: self.run, event, text })
    }

    fn event(&mut self, count: u64, body: ChatBody) -> Vec<Value> {
        let from = self.seq + 1;
        self.seq += count;
        let event = ChatEvent::new(self.chat, Seq(from), Seq(self.seq), Timestamp(0), body);
        let mut out = Vec::new();
        self.session.event(&Event::Chat(Arc::new(event)), self.now, &mut out);
        shown(out)
    }

    fn passes(&mut self, time: Duration) -> Vec<Value> {
        self.now += time;
        let mut out = Vec::new();
        if self.session.deadline().is_some_and(|at| at <= self.now) {
            self.session.tick(self.now, &mut out);
        }
        shown(out)
    }

    fn answered(&mut self, ticket: u64, result: Result<Reply, Error>) -> Vec<Value> {
        let mut out = Vec::new();
        self.session.reply(Ticket(ticket), result, self.now, &mut out);
        shown(out)
    }
}

fn shown(frames: Vec<Frame>) -> Vec<Value> {
    let parse = |frame: &Frame| match frame {
        Frame::Text(text) => serde_json::from_slice(text).unwrap(),
        other => panic!("not text: {other:?}"),
    };
    frames.iter().map(parse).collect()
}

fn delta(text: &str) -> AgentEvent {
    AgentEvent::TextDelta { text: text.into() }
}

fn answer(text: &str) -> Answer {
    Answer { text: text.into(), ..Answer::default() }
}

fn finished(text: &str) -> AgentEvent {
    AgentEvent::RunFinished { answer: answer(text), usage: Usage::default() }
}

fn field<'a>(frames: &'a [Value], name: &str) -> Vec<&'a Value> {
    frames.iter().map(|frame| &frame[name]).collect()
}

#[test]
fn the_first_message_follows_the_chat_and_the_second_does_not_again() {
    let mut talk = Talk::new();
    let (commands, frames) = talk.says(r#"{"content":"Show me all tables"}"#);
    assert!(matches!(&commands[..], [Command::FollowChat { after: None, .. }, Command::SendMessage { .. }]));
    assert!(frames.is_empty());
    let (commands, _) = talk.says(r#"{"content":"And now?","message_id":"m2"}"#);
    assert!(
        matches!(&commands[..], [Command::SendMessage { message_id: Some(id), content, while_running: WhileRunning::Queue(20), .. }]
            if id == "m2" && content == "And now?")
    );
}

#[test]
fn a_position_on_a_message_resumes_first() {
    let (commands, _) = Talk::new().says(r#"{"content":"x","after_seq":7,"epoch":2}"#);
    let position = Position { epoch: Some(Epoch(2)), seq: Seq(7) };
    assert!(matches!(&commands[..], [Command::FollowChat { after: Some(p), .. }, _] if *p == position));
}

#[test]
fn bad_frames_are_answered_and_nothing_is_done() {
    let cases = [
        (r#"{"content":""}"#, "Empty message", "content"),
        (r#"{"content":"  \n"}"#, "Empty message", "content"),
        (r#"{"content":null}"#, "Empty message", "content"),
        ("{}", "Empty message", "content"),
        ("[1,2]", "Empty message", "content"),
        (r#"{"foo":"bar"}"#, "Empty message", "content"),
        ("nonsense", "Invalid JSON format", "frame"),
        ("", "Invalid JSON format", "frame"),
        (r#"{"content":5}"#, "content takes text", "content"),
        (r#"{"after_seq":-1}"#, "after_seq takes a whole number from 0 on", "after_seq"),
        (
            r#"{"content":"x","confirm_tools":"list_tables"}"#,
            "confirm_tools takes an array of names",
            "confirm_tools",
        ),
        (
            r#"{"type":"decide","call_id":"c1"}"#,
            "the message does not fit; see the reference of this dialect",
            "frame",
        ),
        (r#"{"type":"decide","call_id":7,"approved":true}"#, "call_id takes text", "call_id"),
        (r#"{"content":"x","message_id":""}"#, "message_id takes 1 to 128 bytes; send a UUID", "message_id"),
    ];
    for (frame, sentence, wrong) in cases {
        let (commands, frames) = Talk::new().says(frame);
        assert!(commands.is_empty(), "{frame}");
        assert_eq!(frames.len(), 1, "{frame}");
        assert_eq!(frames[0]["content"], sentence, "{frame}");
        assert_eq!(
            (&frames[0]["code"], &frames[0]["field"]),
            (&json!("VALIDATION_ERROR"), &json!(wrong)),
            "{frame}"
        );
    }
}

#[test]
fn a_binary_frame_is_answered_in_text() {
    let mut talk = Talk::new();
    let step = talk.session.decode(Incoming::Binary(b"\x00\xff"), talk.now);
    assert!(step.commands.is_empty());
    assert_eq!(shown(step.frames)[0]["code"], "VALIDATION_ERROR");
}

#[test]
fn unknown_members_and_a_pong_change_nothing() {
    let (commands, frames) = Talk::new().says(r#"{"content":"x","colour":"red","partials":"hologram"}"#);
    assert_eq!((commands.len(), frames.len()), (2, 0));
    let (commands, frames) = Talk::new().says(r#"{"type":"pong"}"#);
    assert_eq!((commands.len(), frames.len()), (0, 0));
}

#[test]
fn stop_names_a_run_or_none() {
    let run = RunId::new();
    let (commands, _) = Talk::new().says(&format!(r#"{{"stop":true,"run_id":"{run}"}}"#));
    assert!(
        matches!(&commands[..], [Command::FollowChat { .. }, Command::StopRun { run: Some(named), .. }] if *named == run)
    );
    let (commands, _) = Talk::new().says(r#"{"stop":false}"#);
    assert!(commands.is_empty());
}

#[test]
fn an_old_client_sees_only_what_it_knows() {
    let mut talk = Talk::new();
    talk.says(r#"{"content":"x"}"#);
    let mut frames =
        talk.event(1, ChatBody::UserMessage { run: talk.run, message_id: None, content: "x".into() });
    let call =
        AgentEvent::ToolCall { call_id: "c1".into(), name: "list_tables".into(), arguments: json!({}) };
    for event in [AgentEvent::RunQueued { position: 1 }, AgentEvent::RunStarted, call] {
        frames.extend(talk.happens(event));
    }
    frames.extend(talk.happens(AgentEvent::ReasoningDelta { text: "hm".into() }));
    for event in [asked("c1"), decided("c1", true, "ann"), AgentEvent::Sources(vec![Source::default()])] {
        assert_eq!(talk.covers(0, event), [] as [Value; 0]);
    }
    assert_eq!(talk.covers(0, AgentEvent::Step { name: "retrieve".into() }), [] as [Value; 0]);
    frames.extend(talk.happens(AgentEvent::ToolResult {
        call_id: "c1".into(),
        name: "list_tables".into(),
        content: "[]".into(),
        error: None,
        duration: Duration::from_millis(3),
    }));
    frames.extend(talk.happens(delta("Two.")));
    frames.extend(talk.happens(finished("Two.")));
    assert_eq!(field(&frames, "type"), ["user", "tool", "agent_partial", "agent"]);
    assert_eq!(frames[3]["diagram"], Value::Null);
    assert_eq!(field(&frames, "seq"), [1, 6, 7, 8]);
}

fn asked(call_id: &str) -> AgentEvent {
    AgentEvent::ApprovalRequested {
        call_id: call_id.into(),
        name: "git_commit".into(),
        arguments: json!({"message": "Tidy"}),
        digest: "9f".into(),
        expires_at: Timestamp(300_000_000),
    }
}

fn decided(call_id: &str, approved: bool, by: &str) -> AgentEvent {
    AgentEvent::ApprovalResolved { call_id: call_id.into(), approved, by: by.into() }
}

#[test]
fn a_question_to_a_person_is_shown_with_everything_that_is_agreed_to() {
    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    let run = ours.run.to_string();
    let expected = json!({
        "type": "approval", "call_id": "c1", "state": "requested", "tool_name": "git_commit",
        "arguments": {"message": "Tidy"}, "digest": "9f", "expires_at": Timestamp(300_000_000).to_rfc3339(),
        "run_id": run, "seq": 1, "timestamp": Timestamp(0).to_rfc3339(),
    });
    assert_eq!(ours.happens(asked("c1")), [expected]);
    let outcomes = [
        (true, "ann", json!("approved"), json!("ann")),
        (false, "ann", json!("refused"), json!("ann")),
        (false, Subject::SYSTEM, json!("expired"), Value::Null),
    ];
    for (approved, by, state, who) in outcomes {
        let frames = ours.happens(decided("c1", approved, by));
        assert_eq!((&frames[0]["state"], &frames[0]["by"]), (&state, &who));
        assert_eq!((&frames[0]["arguments"], &frames[0]["expires_at"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn a_decision_goes_to_the_call_and_one_that_comes_too_late_is_told() {
    let mut talk = Talk::new();
    let (commands, frames) = talk.says(r#"{"type":"decide","call_id":"c1","approved":true}"#);
    assert!(
        matches!(&commands[..], [Command::DecideCall { call_id, approved: true, .. }] if call_id == "c1"),
        "{commands:?}"
    );
    assert!(frames.is_empty());
    assert!(talk.answered(0, Ok(Reply::Answered(true))).is_empty());
    talk.says(r#"{"type":"decide","call_id":"c1","approved":false}"#);
    let frames = talk.answered(1, Ok(Reply::Answered(false)));
    assert_eq!((&frames[0]["code"], &frames[0]["field"]), (&json!("VALIDATION_ERROR"), &json!("call_id")));
}

#[test]
fn a_message_says_who_answers_and_what_is_asked_about_first() {
    let said = r#"{"content":"x","model":"openai/gpt-5-mini","agent":"explorer","confirm_tools":["a","b"]}"#;
    let (commands, _) = Talk::new().says(said);
    let [_, Command::SendMessage { options, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(
        (options.model.as_deref(), options.agent.as_deref(), &options.confirm[..]),
        (Some("openai/gpt-5-mini"), Some("explorer"), &["a".to_owned(), "b".to_owned()][..])
    );
}

#[test]
fn sources_carry_their_passage_and_highlights_as_javascript_counts() {
    let passage = "Schlüssel 🔑 are hashed.";
    let hashed = passage.find("hashed").unwrap();
    let source = Source {
        id: "documents/keys-00003".into(),
        title: "Keys".into(),
        source: "docs/guide/keys.md".into(),
        record: Some(("documents".into(), RecordId("keys-00003".into()))),
        section: Some("Keys › Storing".into()),
        passage: passage.into(),
        // The second would cut a character in two.
        highlights: vec![hashed..passage.len(), 5..8],
        score: 0.5,
        ..Source::default()
    };
    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    let frames = ours.happens(AgentEvent::Sources(vec![source]));
    let expected = json!({
        "id": "documents/keys-00003", "title": "Keys", "source": "docs/guide/keys.md", "score": 0.5,
        "collection": "documents", "record": "keys-00003", "section": "Keys › Storing", "passage": passage,
        "highlights": [{"start": 17, "end": 24}],
    });
    assert_eq!(frames[0]["sources"], json!([expected]));
    let bare = ours.happens(AgentEvent::Sources(vec![Source { id: "s".into(), ..Source::default() }]));
    assert_eq!(bare[0]["sources"], json!([{"id": "s", "title": "", "source": "", "score": 0.0}]));
    let step = ours.happens(AgentEvent::Step { name: "retrieve".into() });
    assert_eq!(
        (&step[0]["type"], &step[0]["name"], &step[0]["seq"]),
        (&json!("step"), &json!("retrieve"), &json!(3))
    );
}

#[test]
fn messages_from_another_chat_and_the_end_of_a_chat_are_told_to_our_clients() {
    let imported = || ChatBody::Amended {
        amendment: Amendment::Imported {
            chat: ChatId::new(),
            message: Some(Seq(4)),
            role: Role::Assistant,
            content: "Two.".into(),
            at: Timestamp(0),
            shown: None,
        },
        by: "ann".into(),
    };
    let deleted = || ChatBody::Amended { amendment: Amendment::ChatDeleted, by: "ann".into() };
    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    let at = Timestamp(0).to_rfc3339();
    assert_eq!(
        ours.event(1, imported()),
        [json!({"type": "message", "role": "assistant", "content": "Two.", "seq": 1, "timestamp": at})]
    );
    assert_eq!(ours.event(0, deleted()), [json!({"type": "deleted", "by": "ann"})]);
    let mut old = Talk::new();
    assert!(old.event(1, imported()).is_empty() && old.event(0, deleted()).is_empty());
}

#[test]
fn an_answer_from_another_chat_brings_what_was_shown_with_it() {
    let arguments = || json!({"message": "Tidy"});
    let shown = Shown {
        status: AnswerStatus::Failed,
        interrupted: false,
        failure: Some("The model went away".into()),
        steps: vec![StepTaken { name: "retrieve".into(), at: Timestamp(0) }],
        tools: vec![ToolUse {
            call_id: "c1".into(),
            name: "git_commit".into(),
            arguments: arguments(),
            result: Some("{}".into()),
            error: Some("it failed".into()),
            duration: Some(Duration::from_millis(84)),
        }],
        approvals: vec![CallDecided {
            call_id: "c1".into(),
            name: "git_commit".into(),
            arguments: arguments(),
            digest: "9f".into(),
            approved: true,
            by: "ann".into(),
            at: Timestamp(0),
        }],
        sources: vec![Source { id: "s".into(), ..Source::default() }],
        diagram: Some("erDiagram".into()),
        canvas: None,
        metrics: None,
        reasoning: Some("First the guide".into()),
        usage: Usage { input_tokens: 3, output_tokens: 4, context_window: None },
    };
    let amendment = Amendment::Imported {
        chat: ChatId::new(),
        message: Some(Seq(4)),
        role: Role::Assistant,
        content: "Two [1].".into(),
        at: Timestamp(0),
        shown: Some(Box::new(shown)),
    };
    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    let at = Timestamp(0).to_rfc3339();
    assert_eq!(
        ours.event(1, ChatBody::Amended { amendment, by: "ann".into() }),
        [json!({
            "type": "message", "role": "assistant", "content": "Two [1].", "seq": 1, "timestamp": at,
            "status": "failed", "error": "The model went away",
            "sources": [{"id": "s", "title": "", "source": "", "score": 0.0}],
            "steps": [{"name": "retrieve", "timestamp": at}],
            "tools": [{"call_id": "c1", "tool_name": "git_commit", "arguments": arguments(), "content": "{}",
                       "duration_ms": 84, "is_error": true}],
            "approvals": [{"call_id": "c1", "state": "approved", "tool_name": "git_commit", "arguments": arguments(),
                           "digest": "9f", "by": "ann", "timestamp": at}],
            "diagram": "erDiagram", "reasoning": "First the guide", "usage": {"input_tokens": 3, "output_tokens": 4},
        })]
    );
}

#[test]
fn an_answer_brings_what_was_thought_to_who_knows_it() {
    let thought = Answer { reasoning: Some("First the tables".into()), ..answer("Two.") };
    let end = || AgentEvent::RunFinished { answer: thought.clone(), usage: Usage::default() };
    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    assert_eq!(field(&ours.happens(end()), "reasoning"), ["First the tables"]);
    let mut old = Talk::new();
    old.says(r#"{"content":"x"}"#);
    assert_eq!(old.happens(end())[0].get("reasoning"), None);
}

#[test]
fn snapshots_wait_fifty_milliseconds_and_carry_everything() {
    let mut talk = Talk::new();
    talk.says(r#"{"content":"x"}"#);
    assert_eq!(field(&talk.happens(delta("Here")), "content"), ["Here"]);
    assert!(talk.happens(delta(" are")).is_empty());
    assert!(talk.happens(delta(" the tables")).is_empty());
    assert!(talk.passes(Duration::from_millis(49)).is_empty());
    let frames = talk.passes(Duration::from_millis(1));
    assert_eq!(field(&frames, "content"), ["Here are the tables"]);
    assert_eq!(field(&frames, "seq"), [3]);
    assert!(talk.happens(delta(" now")).is_empty());
    assert_eq!(field(&talk.happens(finished("Here are the tables now")), "type"), ["agent"]);
    assert!(talk.passes(Duration::from_secs(1)).is_empty(), "nothing is sent after the whole answer");
}

#[test]
fn deltas_are_appended_and_whoever_lacks_some_gets_the_whole_text() {
    let mut talk = Talk::new();
    talk.says(r#"{"content":"x","partials":"delta"}"#);
    let first = talk.happens(delta("He"));
    assert_eq!((&first[0]["delta"], &first[0]["content"]), (&json!("He"), &Value::Null));
    assert_eq!(
        talk.covers(2, delta("llo"))[0],
        json!({"type":"agent_partial","delta":"llo","run_id":talk.run.to_string(),"seq":3})
    );

    // Another tab comes in the middle: its first event ends at byte 10 and brings only five of them.
    let mut late = Talk { session: SessionChat::new("s".parse().unwrap()), ..talk };
    late.says(r#"{"after_seq":3,"partials":"delta"}"#);
    let frames = late.happens(delta(" you!"));
    assert_eq!((&frames[0]["content"], &frames[0]["delta"]), (&json!("Hello you!"), &Value::Null));
    assert_eq!(late.happens(delta("!"))[0]["delta"], "!");
}

#[test]
fn resuming_says_where_the_conversation_stands() {
    let mut talk = Talk::new();
    talk.says(r#"{"after_seq":0,"partials":"delta"}"#);
    let run = RunState { run: talk.run, queued: false };
    let following =
        Reply::Following { chat: talk.chat, epoch: Epoch(3), last_seq: Seq(9), reset: true, run: Some(run) };
    let frames = talk.answered(0, Ok(following));
    let expected = json!({
        "type": "ready", "session_id": "s", "chat_id": talk.chat.to_string(), "epoch": 3, "last_seq": 9, "reset": true,
        "run": {"run_id": talk.run.to_string(), "status": "running"},
    });
    assert_eq!(frames, [expected]);
}

#[test]
fn a_known_message_id_is_echoed_to_its_sender() {
    let mut talk = Talk::new();
    talk.says(r#"{"content":"x","message_id":"m1"}"#);
    let body = ChatBody::UserMessage { run: talk.run, message_id: Some("m1".into()), content: "x".into() };
    let message = Arc::new(ChatEvent::new(talk.chat, Seq(4), Seq(4), Timestamp(0), body));
    let accepted = Reply::Accepted { chat: talk.chat, run: talk.run, duplicate: Some(message) };
    let frames = talk.answered(1, Ok(accepted));
    assert_eq!(
        (&frames[0]["type"], &frames[0]["message_id"], &frames[0]["seq"]),
        (&json!("user"), &json!("m1"), &json!(4))
    );
}

#[test]
fn errors_carry_what_their_code_needs() {
    let mut talk = Talk::new();
    talk.says(r#"{"content":"x","message_id":"m1"}"#);
    let limited = Error::new(Code::RateLimited, "wait").with(Detail::RetryAfter(Duration::from_secs(3)));
    let frames = talk.answered(1, Err(limited));
    let expected = json!({"type":"error","content":"wait","code":"RATE_LIMITED","retry_after_ms":3000,"message_id":"m1","retryable":true});
    assert_eq!(frames, [expected]);
}

#[test]
fn a_failed_run_says_what_there_is_and_why() {
    let error = Error::deadline("the model did not begin within 30 s; ask again", Duration::from_secs(30));
    let failed = |text: &str| AgentEvent::RunFailed {
        answer: answer(text),
        usage: Usage::default(),
        error: error.clone(),
        interrupted: false,
    };
    let mut old = Talk::new();
    assert_eq!(field(&old.happens(failed("")), "type"), ["error"]);
    let frames = old.happens(failed("Half"));
    assert_eq!(field(&frames, "type"), ["agent", "error"]);
    assert_eq!(
        (&frames[0]["status"], &frames[1]["code"], &frames[1]["timeout_ms"]),
        (&json!("failed"), &json!("REQUEST_TIMEOUT"), &json!(30_000))
    );

    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    assert_eq!(field(&ours.happens(failed("")), "type"), ["agent", "error"]);
}

#[test]
fn an_interrupted_run_keeps_its_text() {
    let interrupted = AgentEvent::RunFailed {
        answer: answer("Half"),
        usage: Usage::default(),
        error: Error::unavailable("the server was restarted"),
        interrupted: true,
    };
    let frames = Talk::new().happens(interrupted);
    assert_eq!((&frames[0]["content"], &frames[0]["status"]), (&json!("Half"), &json!("interrupted")));
    assert_eq!(frames.len(), 1);
}

#[test]
fn a_failed_tool_is_a_tool_frame_and_for_old_clients_an_error_too() {
    let failed = || AgentEvent::ToolResult {
        call_id: "c1".into(),
        name: "get_lineage".into(),
        content: "{}".into(),
        error: Some(Error::deadline("get_lineage took longer than 10 s", Duration::from_secs(10))),
        duration: Duration::from_secs(10),
    };
    let frames = Talk::new().happens(failed());
    assert_eq!(field(&frames, "type"), ["tool", "error"]);
    assert_eq!(
        (&frames[1]["code"], &frames[1]["tool_name"]),
        (&json!("TOOL_EXECUTION_FAILED"), &json!("get_lineage"))
    );
    let mut ours = Talk::new();
    ours.says(r#"{"after_seq":0,"partials":"delta"}"#);
    let frames = ours.happens(failed());
    assert_eq!((frames.len(), &frames[0]["is_error"]), (1, &json!(true)));
}

#[test]
fn the_json_ping_begins_with_the_first_word_of_the_client() {
    let mut talk = Talk::new();
    assert!(talk.passes(Duration::from_secs(100)).is_empty());
    talk.says(r#"{"type":"pong"}"#);
    assert!(talk.passes(Duration::from_secs(29)).is_empty());
    assert_eq!(talk.passes(Duration::from_secs(1)), [json!({"type": "ping"})]);
    assert_eq!(talk.passes(Duration::from_secs(30)), [json!({"type": "ping"})]);
}

/// Members that frames have, with values that often fit.
fn any_frame() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just(json!("hello")),
        Just(json!(1)),
        Just(json!(true)),
        Just(json!(null)),
        Just(json!("delta")),
        Just(json!([{"name": "t", "description": "d", "parameters": {}}])),
        Just(json!({"query": {}, "a": [1]})),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let names = [
        "type",
        "content",
        "message_id",
        "after_seq",
        "epoch",
        "partials",
        "tools",
        "call_id",
        "result",
        "error",
        "approved",
        "agent",
        "model",
        "while_running",
        "run_id",
        "options",
    ];
    let kinds = ["stop", "decide", "tools", "tool_result", "message", "ping", "nonsense"];
    let members = proptest::collection::vec((proptest::sample::select(names.to_vec()), value), 0..8);
    let kind = proptest::option::of(proptest::sample::select(kinds.to_vec()));
    (kind, members).prop_map(|(kind, members)| {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        let kind = kind.map(|kind| (String::from("type"), json!(kind)));
        Value::Object(members.chain(kind).collect()).to_string()
    })
}

proptest! {
    /// Whatever comes, nothing panics, and there is an answer at once or something to do.
    #[test]
    fn whatever_comes_is_understood_or_answered(text in prop_oneof![3 => any_frame(), 1 => ".{0,60}"]) {
        let mut talk = Talk::new();
        let (commands, answers) = talk.says(&text);
        prop_assert!(commands.len() <= 3 && answers.len() <= 1, "{commands:?} {answers:?}");
        if let Some(answer) = answers.first() {
            prop_assert!(answer["type"].is_string(), "{answer}");
        }
    }
}
