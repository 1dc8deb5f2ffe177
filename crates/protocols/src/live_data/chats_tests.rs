//! A chat's events as frames, for who sends and for who follows.

use serde_json::json;
use tidewire_engine::event::RunText;
use tidewire_engine::{Command, Epoch, Event, Reply, Seq, Timestamp};

use super::super::codec::tests::Talk;
use super::*;

/// A conversation with one chat, and what has been said in it.
struct Stage {
    talk: Talk,
    chat: ChatId,
    seq: u64,
    whole: RunText,
}

impl Stage {
    fn new() -> Self {
        Self { talk: Talk::new(), chat: ChatId::new(), seq: 0, whole: RunText::default() }
    }

    /// A client that said something, which was accepted.
    fn sent() -> (Self, RunId) {
        let mut stage = Self::new();
        stage.send();
        stage.follow();
        let run = RunId::new();
        assert!(stage.accept(run).is_empty());
        (stage, run)
    }

    fn send(&mut self) {
        self.talk.send(json!({"type": "ChatSend", "payload": {"chat_id": "support", "message": "hi"}}));
    }

    /// Answers the first open command, which follows the chat.
    fn follow(&mut self) -> Vec<Value> {
        assert!(matches!(self.talk.commands()[0], Command::FollowChat { .. }));
        let chat = self.chat;
        self.talk.answer(Ok(Reply::Following {
            chat,
            epoch: Epoch(1),
            last_seq: Seq(0),
            reset: false,
            run: None,
        }))
    }

    fn accept(&mut self, run: RunId) -> Vec<Value> {
        assert!(matches!(self.talk.commands()[0], Command::SendMessage { .. }));
        self.talk.answer(Ok(Reply::Accepted { chat: self.chat, run, duplicate: None }))
    }

    fn says(&mut self, run: RunId, event: AgentEvent) -> Vec<Value> {
        let text = match &event {
            AgentEvent::TextDelta { text } => {
                Some(TextSpan { end: self.whole.push(text), whole: self.whole.clone() })
            }
            _ => None,
        };
        self.seq += 1;
        self.body(self.seq, ChatBody::Run { run, event, text })
    }

    fn body(&mut self, from: u64, body: ChatBody) -> Vec<Value> {
        let event = ChatEvent::new(self.chat, Seq(from), Seq(self.seq), Timestamp(0), body);
        self.talk.event(Event::Chat(Arc::new(event)))
    }

    fn delta(&mut self, run: RunId, text: &str) -> Vec<Value> {
        self.says(run, AgentEvent::TextDelta { text: text.into() })
    }

    fn finish(&mut self, run: RunId, text: &str) -> Vec<Value> {
        let answer = Answer { text: text.into(), ..Answer::default() };
        let usage = Usage { input_tokens: 3, output_tokens: 2, context_window: Some(8192) };
        self.says(run, AgentEvent::RunFinished { answer, usage })
    }

    fn stop(&mut self, run: RunId, text: &str) -> Vec<Value> {
        let answer = Answer { text: text.into(), ..Answer::default() };
        self.says(run, AgentEvent::RunStopped { answer, usage: Usage::default() })
    }
}

/// Types and contents, in short.
fn brief(frames: &[Value]) -> Vec<String> {
    let one = |frame: &Value| {
        let kind = frame["type"].as_str().unwrap().trim_start_matches("ChatStream").to_owned();
        let payload = &frame["payload"];
        let more = ["content", "error", "status", "tool_name"]
            .map(|name| payload[name].as_str().unwrap_or_default());
        let replace = if payload["replace"] == true { "!" } else { "" };
        format!("{kind}{replace} {}", more.join(" ").trim()).trim().to_owned()
    };
    frames.iter().map(one).collect()
}

#[test]
fn an_answer_is_chunks_and_one_end() {
    let (mut stage, run) = Stage::sent();
    assert!(stage.says(run, AgentEvent::RunStarted).is_empty());
    let first = stage.delta(run, "There ");
    assert_eq!(first[0]["payload"], json!({"chat_id": "support", "content": "There ", "seq": 2}));
    let call = AgentEvent::ToolCall { call_id: "c1".into(), name: "list".into(), arguments: json!({"a": 1}) };
    assert!(stage.says(run, call).is_empty());
    let result = AgentEvent::ToolResult {
        call_id: "c1".into(),
        name: "list".into(),
        content: "{\"n\":2}".into(),
        error: None,
        duration: Duration::ZERO,
    };
    assert!(stage.says(run, result).is_empty());
    let end = stage.finish(run, "There ");
    let [end] = &end[..] else { panic!("{end:?}") };
    let payload = &end["payload"];
    assert_eq!(
        (&end["type"], &payload["message_id"], &payload["seq"]),
        (&json!("ChatStreamEnd"), &json!("5"), &json!(5))
    );
    assert_eq!(
        payload["token_usage"],
        json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
    );
    assert_eq!((&payload["context_window"], &payload["status"]), (&json!(8192), &json!("finished")));
    let history = json!([{"call_id": "c1", "tool_name": "list", "arguments": {"a": 1}, "result": {"n": 2}}]);
    assert_eq!(payload["tool_call_history"], history);
    assert!(payload["execution_time_ms"].is_u64() && payload.get("content").is_none());
}

#[test]
fn chunks_wait_ten_milliseconds_and_are_one_then() {
    let (mut stage, run) = Stage::sent();
    assert_eq!(brief(&stage.delta(run, "a")), ["Chunk a"]);
    assert!(stage.delta(run, "b").is_empty());
    assert!(stage.delta(run, "c").is_empty());
    assert_eq!(brief(&stage.talk.tick()), ["Chunk bc"]);
    assert!(stage.delta(run, "d").is_empty());
    assert_eq!(brief(&stage.finish(run, "abcd")), ["Chunk d", "End finished"]);
}

#[test]
fn events_before_the_acceptance_are_told_after_it() {
    let mut stage = Stage::new();
    stage.send();
    stage.follow();
    let (run, other) = (RunId::new(), RunId::new());
    assert!(stage.stop(other, "old").is_empty());
    assert!(stage.delta(run, "early").is_empty());
    assert_eq!(brief(&stage.accept(run)), ["Chunk early"]);
    assert_eq!(brief(&stage.finish(run, "early")), ["End finished"]);
}

#[test]
fn a_newer_message_takes_the_stream_over_and_the_old_end_is_not_told() {
    let (mut stage, first) = Stage::sent();
    stage.delta(first, "a");
    stage.send();
    assert!(stage.delta(first, "b").is_empty());
    assert!(stage.stop(first, "ab").is_empty());
    let second = RunId::new();
    assert!(stage.accept(second).is_empty());
    assert_eq!(brief(&stage.finish(second, "x")), ["Chunk x", "End finished"]);
}

#[test]
fn a_message_that_is_not_accepted_ends_its_stream_once() {
    let mut stage = Stage::new();
    stage.send();
    stage.follow();
    let error =
        Error::new(Code::RateLimited, "too many").with(Detail::RetryAfter(Duration::from_millis(1500)));
    let failed = stage.talk.answer(Err(error));
    let expected = json!({"chat_id": "support", "error": "too many", "error_kind": "provider_rate_limited",
        "retry_after_secs": 1, "code": 429});
    assert_eq!(failed, [json!({"type": "ChatStreamError", "payload": expected})]);
    stage.send();
    stage.send();
    assert!(stage.talk.answer(Err(Error::forbidden("no"))).is_empty(), "the newer message has the stream");
    assert_eq!(brief(&stage.talk.answer(Err(Error::forbidden("no")))), ["Error no"]);
}

#[test]
fn a_chat_that_cannot_be_followed_fails_once() {
    let mut stage = Stage::new();
    stage.send();
    assert!(stage.talk.answer(Err(Error::unavailable("too many chats"))).is_empty());
    assert_eq!(brief(&stage.accept(RunId::new())), ["Error too many chats"]);
    stage.send();
    assert!(matches!(stage.talk.commands()[..], [Command::FollowChat { .. }, Command::SendMessage { .. }]));
}

#[test]
fn a_stopped_answer_ends_too_and_a_failed_one_with_an_error() {
    let (mut stage, run) = Stage::sent();
    stage.delta(run, "a");
    assert_eq!(brief(&stage.stop(run, "a")), ["End stopped"]);
    let (mut stage, run) = Stage::sent();
    let failed = AgentEvent::RunFailed {
        answer: Answer::default(),
        usage: Usage::default(),
        error: Error::upstream("the provider is down"),
        interrupted: false,
    };
    let failed = stage.says(run, failed);
    assert_eq!(brief(&failed), ["Error the provider is down"]);
    assert_eq!(failed[0]["payload"]["error_kind"], "provider_unavailable");
}

#[test]
fn who_sends_hears_nothing_of_other_runs() {
    let (mut stage, run) = Stage::sent();
    let other = RunId::new();
    stage.seq += 1;
    let said = ChatBody::UserMessage { run: other, message_id: None, content: "hello".into() };
    assert!(stage.body(2, said).is_empty());
    assert!(stage.delta(other, "x").is_empty());
    assert!(stage.finish(other, "x").is_empty());
    assert_eq!(brief(&stage.finish(run, "")), ["End finished"]);
    assert!(stage.finish(run, "").is_empty(), "an end comes once");
}

#[test]
fn who_follows_hears_everything_with_numbers() {
    let mut stage = Stage::new();
    stage.talk.send(
        json!({"type": "ChatFollow", "messageId": "1", "payload": {"chat_id": "support", "after_seq": 0}}),
    );
    stage.follow();
    let run = RunId::new();
    stage.seq += 1;
    let said = stage.body(1, ChatBody::UserMessage { run, message_id: None, content: "hello".into() });
    assert_eq!(brief(&said), ["ChatUserMessage hello"]);
    assert_eq!(said[0]["payload"]["seq"], 1);
    stage.whole.push("before ");
    assert_eq!(brief(&stage.delta(run, "now")), ["Chunk! before now"]);
    stage.delta(run, " more");
    assert_eq!(
        brief(&stage.finish(run, "before now more")),
        ["Chunk  more".replace("  ", " "), "End before now more  finished".into()]
    );
}

#[test]
fn text_that_never_came_as_a_delta_comes_before_the_end() {
    let (mut stage, run) = Stage::sent();
    assert_eq!(brief(&stage.finish(run, "all at once")), ["Chunk all at once", "End finished"]);
    let (mut stage, run) = Stage::sent();
    stage.delta(run, "al");
    stage.seq += 5;
    let answer = Answer { text: "all at once".into(), ..Answer::default() };
    let folded = AgentEvent::RunFinished { answer, usage: Usage::default() };
    let end = stage.body(2, ChatBody::Run { run, event: folded, text: None });
    assert_eq!(brief(&end), ["Chunk l at once", "End finished"]);
}

#[test]
fn calls_of_client_tools_and_calls_to_agree_to_are_told_alike() {
    let (mut stage, run) = Stage::sent();
    let asked = AgentEvent::ClientToolRequested {
        call_id: "c1".into(),
        name: "open_page".into(),
        arguments: json!({"url": "x"}),
        expires_at: Timestamp(0),
    };
    let told = stage.says(run, asked);
    let payload = json!({"chat_id": "support", "call_id": "c1", "tool_name": "open_page", "arguments": {"url": "x"}, "seq": 1});
    assert_eq!(told, [json!({"type": "ClientToolCall", "payload": payload})]);
    let confirm = AgentEvent::ApprovalRequested {
        call_id: "c2".into(),
        name: "query".into(),
        arguments: json!({}),
        digest: String::new(),
        expires_at: Timestamp(0),
    };
    assert_eq!(brief(&stage.says(run, confirm)), ["ClientToolCall query"]);
    stage.talk.send(json!({"type": "ClientToolResult", "payload": {"chat_id": "support", "call_id": "c2", "success": false, "error": "no"}}));
    let [Command::AnswerTool { answer, .. }] = &stage.talk.commands()[..] else { panic!() };
    assert_eq!(*answer, tidewire_engine::conversation::ToolAnswer::Failed("no".into()));
}

#[test]
fn tools_that_were_registered_are_called_by_anybodys_run() {
    let mut stage = Stage::new();
    stage.talk.send(json!({"type": "RegisterClientTools", "payload": {"chat_id": "support", "tools": [{"name": "open_page"}]}}));
    stage.follow();
    stage.talk.answer(Ok(Reply::Registered));
    let other = RunId::new();
    let asked = |name: &str| AgentEvent::ClientToolRequested {
        call_id: "c1".into(),
        name: name.into(),
        arguments: json!({}),
        expires_at: Timestamp(0),
    };
    assert!(stage.says(other, AgentEvent::RunStarted).is_empty());
    assert_eq!(brief(&stage.says(other, asked("open_page"))), ["ClientToolCall open_page"]);
    assert!(stage.says(other, asked("another")).is_empty());
}

#[test]
fn chats_that_rest_are_not_followed_for_ever() {
    let mut talk = Talk::new();
    let mut unfollowed = 0;
    for number in 0..RESTING + 6 {
        talk.send(
            json!({"type": "ChatSend", "payload": {"chat_id": format!("chat-{number}"), "message": "hi"}}),
        );
        while !talk.commands().is_empty() {
            match &talk.commands()[0] {
                Command::FollowChat { .. } => {
                    talk.answer(Ok(Reply::Following {
                        chat: ChatId::new(),
                        epoch: Epoch(1),
                        last_seq: Seq(0),
                        reset: false,
                        run: None,
                    }));
                }
                Command::UnfollowChat { .. } => {
                    assert!(number >= RESTING - 1);
                    unfollowed += 1;
                    talk.answer(Ok(Reply::Unfollowed));
                }
                _ => {
                    talk.answer(Err(Error::forbidden("no")));
                }
            }
        }
    }
    assert!(unfollowed >= 6);
}

#[test]
fn chats_are_named_by_id_or_by_a_name_of_ones_own() {
    let id = ChatId::new();
    assert_eq!(chat_ref(&id.to_string()).unwrap(), ChatRef::Id(id));
    assert!(matches!(chat_ref("support-1").unwrap(), ChatRef::Session(_)));
    assert!(matches!(chat_ref(&"x".repeat(32)).unwrap(), ChatRef::Session(_)));
    for bad in ["", "a b", "../x", &"x".repeat(200)] {
        assert_eq!(chat_ref(bad).unwrap_err().detail, Detail::Field("chat_id".into()));
    }
}

#[test]
fn chats_that_cannot_be_followed_are_forgotten() {
    let mut talk = Talk::new();
    for number in 0..1000 {
        let payload = json!({"chat_id": format!("chat-{number}"), "after_seq": 0});
        talk.send(json!({"type": "ChatFollow", "messageId": number, "payload": payload}));
        let refused = talk.answer(Err(Error::unavailable("a connection follows at most 256 chats")));
        assert_eq!(refused[0]["type"], "Error");
    }
    assert_eq!(talk.session.chats_known(), 0);
}
