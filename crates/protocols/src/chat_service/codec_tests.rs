use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidewire_engine::command::{RunState, WhileRunning};
use tidewire_engine::conversation::Role;
use tidewire_engine::event::{RunText, Source, TextSpan, Usage};
use tidewire_engine::identity::Grants;
use tidewire_engine::{AgentEvent, Answer, ChatId, RunId, Timestamp};

use super::*;

/// A socket under test: frames, replies and events in, JSON out.
struct Talk {
    session: ChatService,
    now: Instant,
    chat: ChatId,
    run: RunId,
    text: RunText,
    seq: u64,
    ticket: u64,
}

impl Talk {
    fn new() -> Self {
        Self::opened(&Identity::local(), None)
    }

    fn opened(asker: &Identity, wish: Option<&str>) -> Self {
        Self {
            session: ChatService::new(asker, wish),
            now: Instant::now(),
            chat: ChatId::new(),
            run: RunId::new(),
            text: RunText::default(),
            seq: 0,
            ticket: 0,
        }
    }

    /// What a client frame leads to: commands, and frames at once.
    fn says(&mut self, frame: &Value) -> (Vec<Command>, Vec<Value>) {
        self.says_text(&frame.to_string())
    }

    fn says_text(&mut self, text: &str) -> (Vec<Command>, Vec<Value>) {
        let step = self.session.decode(Incoming::Text(text), self.now);
        (step.commands.into_iter().map(|(_, command)| command).collect(), shown(step.frames))
    }

    fn answered(&mut self, result: Result<Reply, Error>) -> Vec<Value> {
        let mut out = Vec::new();
        self.session.reply(Ticket(self.ticket), result, self.now, &mut out);
        self.ticket += 1;
        shown(out)
    }

    /// Says something that is not taken.
    fn is_refused(&mut self, frame: &Value, error: Error) -> Vec<Value> {
        let (commands, frames) = self.says(frame);
        assert!(!commands.is_empty() && frames.is_empty(), "{frames:?}");
        self.answered(Err(error))
    }

    fn accepted(&mut self) -> Vec<Value> {
        self.answered(Ok(Reply::Accepted { chat: self.chat, run: self.run, duplicate: None }))
    }

    fn following(&mut self, last_seq: u64, running: bool) -> Vec<Value> {
        self.following_from(last_seq, running, false)
    }

    fn following_from(&mut self, last_seq: u64, running: bool, reset: bool) -> Vec<Value> {
        let run = running.then_some(RunState { run: self.run, queued: false });
        self.answered(Ok(Reply::Following {
            chat: self.chat,
            epoch: Epoch(3),
            last_seq: Seq(last_seq),
            reset,
            run,
        }))
    }

    /// Asks, and is accepted and followed.
    fn asks(&mut self, more: Value) -> Vec<Value> {
        let mut frame = json!({"type": "new_chat", "userId": "ann", "runId": "c", "messages": [{"role": "user", "content": "x"}]});
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (commands, frames) = self.says(&frame);
        assert_eq!((commands.len(), frames.len()), (2, 0), "{frames:?}");
        let mut frames = self.accepted();
        frames.extend(self.following(1, true));
        let body = ChatBody::UserMessage { run: self.run, message_id: Some("c".into()), content: "x".into() };
        frames.extend(self.event(body));
        frames
    }

    fn happens(&mut self, event: AgentEvent) -> Vec<Value> {
        let text = match &event {
            AgentEvent::TextDelta { text } => {
                let end = self.text.push(text);
                Some(TextSpan { whole: self.text.clone(), end })
            }
            _ => None,
        };
        self.event(ChatBody::Run { run: self.run, event, text })
    }

    fn event(&mut self, body: ChatBody) -> Vec<Value> {
        self.seq += 1;
        let event = ChatEvent::new(self.chat, Seq(self.seq), Seq(self.seq), Timestamp(0), body);
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
}

fn shown(frames: Vec<Frame>) -> Vec<Value> {
    let parse = |frame: &Frame| match frame {
        Frame::Text(text) => serde_json::from_slice(text).unwrap(),
        other => panic!("not text: {other:?}"),
    };
    frames.iter().map(parse).collect()
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
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

fn failed(text: &str, interrupted: bool) -> AgentEvent {
    let error = Error::unavailable("the model is away; ask again");
    AgentEvent::RunFailed { answer: answer(text), usage: Usage::default(), error, interrupted }
}

fn further(more: Value) -> Value {
    let mut frame = json!({"type": "resume_chat", "runId": "c", "newMessage": {"id": "m2", "role": "user", "content": "y"}});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    frame
}

#[test]
fn a_question_is_sent_under_its_name_and_then_followed_from_the_beginning() {
    let mut talk = Talk::new();
    let (commands, frames) = talk.says(&json!({
        "type": "new_chat", "userId": "ann", "runId": "c",
        "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi", "timestamp": 1000},
            {"role": "assistant", "content": "Hello"}, {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "x"}],
        "options": {"enhanceWithContext": false, "maxContextItems": 7, "includeSourceInfo": false, "maxTokens": 9,
                    "temperature": 1.5, "modelId": "m", "agent": "a", "confirm": ["t"]},
        "tools": [{"name": "open"}],
    }));
    assert!(frames.is_empty());
    let [Command::SendMessage { chat, message_id, content, while_running, options }, follow] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!(*chat, ChatRef::Session("c".parse().unwrap()));
    assert_eq!((message_id.as_deref(), &**content, *while_running), (Some("c"), "x", WhileRunning::Reject));
    assert_eq!((options.max_tokens, options.temperature), (Some(9), Some(1.5)));
    assert_eq!((options.model.as_deref(), options.agent.as_deref()), (Some("m"), Some("a")));
    assert_eq!((options.confirm.clone(), options.tools.len()), (vec!["t".to_owned()], 1));
    let wish = options.retrieval;
    assert_eq!((wish.enabled, wish.passages, wish.sources), (Some(false), Some(7), false));
    let beginning = options.beginning.as_ref().unwrap();
    assert_eq!(beginning.system_prompt.as_deref(), Some("Be brief.\n\nBe kind."));
    let said: Vec<_> = beginning.messages.iter().map(|said| (said.role, &*said.content, said.at)).collect();
    assert_eq!(said, [(Role::User, "Hi", Some(Timestamp(1_000_000))), (Role::Assistant, "Hello", None)]);
    let from_start = Position { epoch: None, seq: Seq(0) };
    assert_eq!(
        *follow,
        Command::FollowChat { chat: ChatRef::Known("c".parse().unwrap()), after: Some(from_start) }
    );
}

#[test]
fn a_question_without_options_is_asked_as_the_founding_document_says() {
    let mut talk = Talk::new();
    let (commands, _) = talk.says(&json!({"userId": "ann", "messages": [{"role": "user", "content": "x"}]}));
    let [Command::SendMessage { message_id: Some(id), options, .. }, _] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(id.len(), 32, "the server chooses a name");
    assert_eq!(options.max_tokens, Some(1000));
    let wish = options.retrieval;
    assert_eq!((wish.enabled, wish.passages, wish.sources), (None, Some(5), true));
}

#[test]
fn an_answer_of_an_old_client_has_the_frames_that_it_knows() {
    let mut talk = Talk::new();
    let mut frames = talk.asks(json!({}));
    let source = Source { id: "1".into(), title: "T".into(), score: 0.5, ..Source::default() };
    let better = Source {
        id: "2".into(),
        score: 0.9,
        passage: "ä🙂bc".into(),
        highlights: vec![0..2, 6..8],
        record: Some(("documents".into(), "d".into())),
        ..Source::default()
    };
    for event in [
        AgentEvent::RunStarted,
        AgentEvent::Step { name: "retrieve".into() },
        AgentEvent::Sources(vec![source, better]),
        AgentEvent::ReasoningDelta { text: "hm".into() },
        AgentEvent::ToolCall { call_id: "k".into(), name: "t".into(), arguments: json!({}) },
        delta("He"),
        delta("llo"),
        finished("Hello"),
    ] {
        frames.extend(talk.happens(event));
    }
    assert_eq!(
        kinds(&frames),
        ["workflow_step", "sources", "thinking", "text", "final", "text", "end"],
        "{frames:?}"
    );
    let sources = &frames[1]["data"]["sources"];
    assert_eq!((&sources[0]["id"], &sources[0]["relevanceScore"]), (&json!("2"), &json!(0.9)));
    assert_eq!(sources[0]["highlights"], json!([{"start": 0, "end": 1}, {"start": 3, "end": 5}]));
    assert_eq!((&sources[0]["collection"], &sources[0]["record"]), (&json!("documents"), &json!("d")));
    let data = |place: usize| &frames[place]["data"];
    assert_eq!((&data(4)["executionTimeMs"], &data(4)["status"]), (&json!(0), &json!("finished")));
    assert_eq!(data(5)["text"], "Hello");
    assert_eq!(data(6)["seq"], json!(talk.seq));
    assert_eq!(data(5)["seq"], json!(talk.seq - 1), "who is cut off before the end gets it again");
    assert!(frames.iter().all(|frame| frame["data"]["runId"] == "c"));
}

#[test]
fn thoughts_come_once_more_whole_with_the_cost() {
    for manner in [json!({}), json!({"partials": "delta"}), json!({"stream": false})] {
        let mut talk = Talk::new();
        talk.asks(manner.clone());
        let answer = Answer { reasoning: Some("First the guide".into()), ..answer("Hello") };
        let frames = talk.happens(AgentEvent::RunFinished { answer, usage: Usage::default() });
        let cost = frames.iter().find(|frame| frame["type"] == "final").expect("it has a cost");
        assert_eq!(cost["data"]["thinking"], "First the guide", "{manner}");
    }
    let mut silent = Talk::new();
    silent.asks(json!({}));
    assert_eq!(silent.happens(finished("Hello"))[0]["data"].get("thinking"), None);
}

#[test]
fn what_is_ours_is_told_to_who_says_how_partials_come() {
    let mut talk = Talk::new();
    let mut frames = talk.asks(json!({"partials": "delta"}));
    frames.extend(talk.happens(AgentEvent::ToolCall {
        call_id: "k".into(),
        name: "t".into(),
        arguments: json!({"a": 1}),
    }));
    frames.extend(talk.happens(AgentEvent::ToolResult {
        call_id: "k".into(),
        name: "t".into(),
        content: "{}".into(),
        error: Some(Error::upstream("gone")),
        duration: Duration::from_millis(3),
    }));
    for event in [delta("He"), delta("llo"), finished("Hello")] {
        frames.extend(talk.happens(event));
    }
    assert_eq!(kinds(&frames), ["run", "message", "tool", "tool", "text", "text", "final", "text", "end"]);
    assert_eq!((&frames[0]["data"]["epoch"], &frames[0]["data"]["status"]), (&json!(3), &json!("running")));
    assert_eq!(
        (&frames[3]["data"]["status"], &frames[3]["data"]["error"]),
        (&json!("failed"), &json!("gone"))
    );
    assert_eq!((&frames[5]["data"]["delta"], &frames[5]["data"]["text"]), (&json!("llo"), &Value::Null));
}

#[test]
fn an_appending_client_that_lacks_something_gets_the_whole_text() {
    let mut talk = Talk::new();
    talk.text.push("Hello");
    talk.says(&json!({"type": "resume_chat", "runId": "c", "afterSeq": 3, "partials": "delta"}));
    talk.following(4, true);
    let frames = talk.happens(delta(" you"));
    assert_eq!(
        (&frames[0]["data"]["text"], &frames[0]["data"]["delta"]),
        (&json!("Hello you"), &Value::Null)
    );
    assert_eq!(talk.happens(delta("!"))[0]["data"]["delta"], "!");
}

#[test]
fn cumulative_text_costs_linear_bytes() {
    let mut talk = Talk::new();
    talk.asks(json!({}));
    let (mut bytes, mut deltas) = (0, 0);
    for _ in 0..5_000 {
        let mut frames = talk.happens(delta("tokens"));
        frames.extend(talk.passes(Duration::from_millis(20)));
        bytes += frames.iter().map(|frame| frame.to_string().len()).sum::<usize>();
        deltas += json!({"type": "text", "data": {"delta": "tokens", "runId": "c", "answerId": talk.run.to_string(), "seq": 12}})
            .to_string()
            .len();
    }
    assert!(bytes <= 2 * deltas, "{bytes} > 2 x {deltas}");
    assert!(bytes > deltas / 2, "{bytes}: the text grows while one watches");
}

#[test]
fn who_does_not_watch_gets_one_frame_of_each_kind() {
    let mut talk = Talk::new();
    let mut frames = talk.asks(json!({"stream": false}));
    let source = Source { id: "1".into(), ..Source::default() };
    for event in [
        AgentEvent::Step { name: "s".into() },
        AgentEvent::Sources(vec![source]),
        delta("He"),
        finished("Hello"),
    ] {
        frames.extend(talk.happens(event));
    }
    assert_eq!(kinds(&frames), ["text", "sources", "final", "end"]);
    assert_eq!(frames[1]["data"]["sources"][0]["id"], "1");
    assert!(talk.passes(Duration::from_secs(1)).is_empty());
}

#[test]
fn an_answer_ends_once_however_it_ends() {
    let stopped = AgentEvent::RunStopped { answer: answer("He"), usage: Usage::default() };
    for (event, expected, status) in [
        (stopped, vec!["final", "text", "end"], "stopped"),
        (failed("He", false), vec!["error", "final", "text", "end"], "failed"),
        (failed("", false), vec!["error", "final", "end"], "failed"),
        (failed("He", true), vec!["error", "final", "text", "end"], "interrupted"),
    ] {
        let mut talk = Talk::new();
        talk.asks(json!({}));
        let frames = talk.happens(event.clone());
        assert_eq!(kinds(&frames), expected);
        let cost = frames.iter().find(|frame| frame["type"] == "final").unwrap();
        assert_eq!(cost["data"]["status"], status);
        let mut quiet = Talk::new();
        quiet.asks(json!({"stream": false}));
        let frames = quiet.happens(event);
        assert_eq!(kinds(&frames).iter().filter(|kind| **kind == "end").count(), 1);
    }
}

#[test]
fn what_is_refused_ends_too_and_is_not_followed() {
    let mut talk = Talk::new();
    talk.says(&further(json!({})));
    let frames = talk.answered(Err(Error::new(Code::Conflict, "busy")));
    assert_eq!(kinds(&frames), ["error", "end"]);
    assert_eq!(
        (&frames[0]["data"]["code"], &frames[0]["data"]["messageId"]),
        (&json!("conflict"), &json!("m2"))
    );
    assert_eq!(frames[1]["data"], json!({"runId": "c", "messageId": "m2"}));
    assert!(talk.following(5, true).is_empty());
    assert!(talk.happens(delta("of another")).is_empty());
}

#[test]
fn a_name_that_is_taken_is_told() {
    let mut talk = Talk::new();
    talk.says(&json!({"type": "new_chat", "userId": "a", "runId": "c", "messages": [{"role": "user", "content": "x"}]}));
    let body = ChatBody::UserMessage { run: talk.run, message_id: Some("c".into()), content: "other".into() };
    let earlier = Arc::new(ChatEvent::new(talk.chat, Seq(1), Seq(1), Timestamp(0), body));
    let accepted = Reply::Accepted { chat: talk.chat, run: talk.run, duplicate: Some(earlier) };
    let frames = talk.answered(Ok(accepted));
    assert_eq!(kinds(&frames), ["error", "end"]);
    assert_eq!(
        (&frames[0]["data"]["code"], &frames[0]["data"]["field"]),
        (&json!("conflict"), &json!("runId"))
    );
}

#[test]
fn nothing_before_the_new_message_is_shown_to_who_says_no_place() {
    let mut talk = Talk::new();
    talk.says(&further(json!({"stream": false})));
    talk.accepted();
    talk.following(6, true);
    assert!(talk.happens(finished("old")).is_empty());
    let body = ChatBody::UserMessage { run: talk.run, message_id: Some("m2".into()), content: "y".into() };
    assert!(talk.event(body).is_empty());
    assert_eq!(kinds(&talk.happens(finished("new"))), ["text", "sources", "final", "end"]);
}

#[test]
fn who_has_everything_is_told_that_it_ends() {
    let mut talk = Talk::new();
    talk.says(&json!({"type": "resume_chat", "runId": "c", "afterSeq": 9, "epoch": 3}));
    let frames = talk.following(9, false);
    assert_eq!(frames, [json!({"type": "end", "data": {"runId": "c", "seq": 9}})]);
}

#[test]
fn what_was_missed_without_an_answer_ends_too() {
    let mut talk = Talk::new();
    talk.says(&json!({"type": "resume_chat", "runId": "c", "afterSeq": 0}));
    talk.following(1, false);
    let by = "ann".into();
    let body =
        ChatBody::Amended { amendment: tidewire_engine::event::Amendment::Deleted { message: Seq(1) }, by };
    assert_eq!(talk.event(body), [json!({"type": "end", "data": {"runId": "c", "seq": 1}})]);
}

#[test]
fn a_place_that_is_not_known_is_told_and_everything_follows() {
    let mut talk = Talk::new();
    let (commands, _) = talk.says(&json!({"type": "resume_chat", "runId": "c", "afterSeq": 99, "epoch": 2}));
    let position = Position { epoch: Some(Epoch(2)), seq: Seq(99) };
    assert!(matches!(&commands[..], [Command::FollowChat { after: Some(after), .. }] if *after == position));
    let frames = talk.following_from(4, false, true);
    assert_eq!((kinds(&frames), &frames[0]["data"]["reset"]), (vec!["run"], &json!(true)));
    assert_eq!((&frames[0]["data"]["afterSeq"], &frames[0]["data"]["epoch"]), (&json!(0), &json!(3)));
}

#[test]
fn a_second_question_on_the_same_socket_is_not_followed_again() {
    let mut talk = Talk::new();
    talk.asks(json!({"partials": "delta"}));
    talk.happens(finished("x"));
    for (written, expected) in [
        ("queue", WhileRunning::Queue(20)),
        ("interrupt", WhileRunning::Interrupt),
        ("steer", WhileRunning::Steer(20)),
        ("reject", WhileRunning::Reject),
    ] {
        let (commands, _) = talk.says(&further(json!({"whileRunning": written})));
        assert!(
            matches!(&commands[..], [Command::SendMessage { chat: ChatRef::Known(_), while_running, .. }] if *while_running == expected),
            "{commands:?}"
        );
    }
    let (commands, _) = talk.says(&further(json!({"afterSeq": 1})));
    assert!(matches!(&commands[..], [Command::SendMessage { .. }, Command::FollowChat { .. }]));
}

#[test]
fn the_address_and_the_frame_must_agree() {
    let question = json!({"type": "new_chat", "userId": "a", "messages": [{"role": "user", "content": "x"}]});
    let mut talk = Talk::opened(&Identity::local(), Some("resume_chat"));
    let (commands, frames) = talk.says(&question);
    assert_eq!((commands.len(), kinds(&frames)), (0, vec!["error", "end"]));
    assert_eq!(frames[0]["data"]["field"], "type");
    // Without a type it is what the address says.
    let (commands, _) = talk.says(&json!({"runId": "c"}));
    assert!(matches!(&commands[..], [Command::FollowChat { .. }]));
    // From then on anything goes.
    assert_eq!(talk.says(&question).0.len(), 2);
    let (commands, frames) = Talk::opened(&Identity::local(), Some("dance")).says(&question);
    assert_eq!((commands.len(), kinds(&frames)), (0, vec!["error", "end"]));
}

#[test]
fn a_user_id_is_the_subject_where_there_is_one() {
    let ann = Identity { key: Some("k".into()), subject: "ann".into(), grants: Grants::Admin };
    let ask = |user: &str| json!({"type": "new_chat", "userId": user, "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(Talk::opened(&ann, None).says(&ask("ann")).0.len(), 2);
    let (commands, frames) = Talk::opened(&ann, None).says(&ask("bob"));
    assert_eq!((commands.len(), kinds(&frames)), (0, vec!["error", "end"]));
    assert_eq!(
        (&frames[0]["data"]["code"], &frames[0]["data"]["field"]),
        (&json!("forbidden"), &json!("userId"))
    );
    assert_eq!(Talk::new().says(&ask("anybody")).0.len(), 2);
}

#[test]
fn ten_megabytes_are_refused_in_a_frame() {
    let content = "x".repeat(10 << 20);
    let (commands, frames) = Talk::new().says(
        &json!({"type": "new_chat", "userId": "a", "messages": [{"role": "user", "content": content}]}),
    );
    assert_eq!((commands.len(), kinds(&frames)), (0, vec!["error", "end"]));
    assert_eq!(frames[0]["data"]["code"], "too_large");
}

#[test]
fn nonsense_does_not_end_an_answer_that_goes_on() {
    let mut talk = Talk::new();
    talk.asks(json!({}));
    for nonsense in ["", "{", "[]", r#"{"type":7}"#] {
        assert_eq!(kinds(&talk.says_text(nonsense).1), ["error"], "{nonsense}");
    }
    talk.happens(finished("x"));
    assert_eq!(kinds(&talk.says_text("{").1), ["error", "end"]);
}

#[test]
fn calls_are_answered_and_decided() {
    let mut talk = Talk::new();
    let call = |more: Value| {
        let mut frame = json!({"type": "tool_result", "runId": "c", "callId": "k"});
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frame
    };
    for (more, expected) in [
        (json!({"result": null}), tidewire_engine::conversation::ToolAnswer::Result(Value::Null)),
        (json!({"error": "no"}), tidewire_engine::conversation::ToolAnswer::Failed("no".into())),
        (json!({"working": true}), tidewire_engine::conversation::ToolAnswer::Working),
    ] {
        let (commands, _) = talk.says(&call(more));
        assert!(
            matches!(&commands[..], [Command::AnswerTool { answer, .. }] if *answer == expected),
            "{commands:?}"
        );
    }
    let frames = talk.answered(Ok(Reply::Answered(false)));
    assert_eq!((&frames[0]["data"]["code"], &frames[0]["data"]["callId"]), (&json!("conflict"), &json!("k")));
    assert!(talk.answered(Ok(Reply::Answered(true))).is_empty());
    let (commands, frames) = talk.says(&call(json!({"result": 1, "error": "both"})));
    assert_eq!((commands.len(), kinds(&frames)), (0, vec!["error"]));
    let (commands, _) =
        talk.says(&json!({"type": "approve", "runId": "c", "callId": "k", "approved": false}));
    assert!(matches!(&commands[..], [Command::DecideCall { approved: false, .. }]));
}

/// When its answer has ended and is read again, its entry also covers the deltas that it took in.
#[test]
fn the_last_frames_have_their_numbers_also_when_they_are_read_again() {
    let mut talk = Talk::new();
    talk.says(&json!({"type": "resume_chat", "runId": "c", "afterSeq": 7}));
    talk.following(9, false);
    let body = ChatBody::Run { run: talk.run, event: finished("Hello"), text: None };
    let event = ChatEvent::new(talk.chat, Seq(3), Seq(9), Timestamp(0), body);
    let mut out = Vec::new();
    talk.session.event(&Event::Chat(Arc::new(event)), talk.now, &mut out);
    let frames = shown(out);
    let numbers: Vec<_> = frames.iter().map(|frame| &frame["data"]["seq"]).collect();
    assert_eq!(
        (kinds(&frames), numbers),
        (vec!["final", "text", "end"], vec![&json!(8), &json!(8), &json!(9)])
    );
}

/// A question that takes the place of another one is shown its own answer alone.
#[test]
fn the_end_of_an_earlier_answer_is_not_shown_to_who_asked_later() {
    let mut talk = Talk::new();
    talk.says(&further(json!({"whileRunning": "interrupt"})));
    talk.accepted();
    talk.following(6, true);
    let earlier = RunId::new();
    let body = ChatBody::UserMessage { run: talk.run, message_id: Some("m2".into()), content: "y".into() };
    assert!(talk.event(body).is_empty());
    let stopped = AgentEvent::RunStopped { answer: answer("old"), usage: Usage::default() };
    assert!(talk.event(ChatBody::Run { run: earlier, event: stopped, text: None }).is_empty());
    assert_eq!(kinds(&talk.happens(finished("new"))), ["final", "text", "end"]);
}

#[test]
fn chats_that_rest_make_room_for_others() {
    let mut talk = Talk::new();
    for number in 0..64 {
        let (commands, _) =
            talk.says(&json!({"type": "resume_chat", "runId": format!("c{number}"), "afterSeq": 1}));
        assert!(matches!(&commands[..], [Command::FollowChat { .. }]));
        talk.chat = ChatId::new();
        talk.following(1, number == 0);
    }
    let (commands, _) = talk.says(&json!({"type": "resume_chat", "runId": "more"}));
    let [Command::UnfollowChat { chat: ChatRef::Id(gone) }, Command::FollowChat { .. }] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert!(talk.session.chats.iter().all(|chat| chat.chat != *gone));
    assert_eq!(talk.session.chats[0].name.as_str(), "c0", "an answer that goes on stays");
}

proptest! {
    /// Whatever comes, nothing panics; what is not understood is said to be so.
    #[test]
    fn whatever_comes_is_understood_or_answered(
        members in proptest::collection::vec((proptest::sample::select(MEMBERS.to_vec()), any_value()), 0..8),
        text in proptest::option::weighted(0.2, ".{0,60}"),
    ) {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        let frame = text.unwrap_or_else(|| Value::Object(members.collect()).to_string());
        let mut talk = Talk::new();
        let step = talk.session.decode(Incoming::Text(&frame), talk.now);
        prop_assert!(!step.frames.is_empty() || !step.commands.is_empty() || frame.contains("null"), "{frame}");
        let mut replies = step.frames;
        for (ticket, _) in step.commands {
            talk.session.reply(ticket, Err(Error::unavailable("later")), talk.now, &mut replies);
        }
        let ends = replies.iter().filter(|frame| matches!(frame, Frame::Text(text) if text.starts_with(br#"{"type":"end""#)));
        prop_assert!(ends.count() <= 1 && replies.len() <= 2, "{replies:?}");
    }
}

const MEMBERS: [&str; 14] = [
    "type",
    "message",
    "user_id",
    "chat_id",
    "run_id",
    "history",
    "tools",
    "call_id",
    "result",
    "approved",
    "after_seq",
    "epoch",
    "retrieval",
    "model",
];

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        proptest::sample::select(vec!["ask", "stop", "resume", "tool_result", "decide", "hello"])
            .prop_map(Value::from),
        Just(json!([{"role": "user", "content": "c"}])),
        Just(json!([{"name": "t", "description": "d", "parameters": {}}])),
        Just(json!({"enabled": true})),
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ]
}

#[test]
fn a_message_that_is_refused_changes_nothing_about_how_the_answer_is_told() {
    let mut talk = Talk::new();
    talk.asks(json!({"partials": "delta"}));
    assert_eq!(talk.happens(delta("He"))[0]["data"]["delta"], "He");
    let frames = talk.is_refused(&further(json!({})), Error::new(Code::Conflict, "an answer is under way"));
    assert_eq!(kinds(&frames), ["error", "end"]);
    assert_eq!(talk.happens(delta("llo"))[0]["data"]["delta"], "llo");
}

#[test]
fn what_the_engine_finds_wrong_is_named_as_the_request_has_it() {
    let wrong = |error: Error| {
        let frames = Talk::new().is_refused(&further(json!({})), error);
        frames[0]["data"]["field"].clone()
    };
    let field = |name: &str| Error::invalid("there is no such").with(Detail::Field(name.into()));
    assert_eq!(wrong(field("model")), "options.modelId");
    assert_eq!(wrong(field("agent")), "options.agent");
    assert_eq!(wrong(field("tools.0.name")), "tools.0.name");
    assert_eq!(wrong(Error::not_found("there is no such chat")), "runId");
}
