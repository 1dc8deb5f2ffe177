//! Frames in, commands and frames out, without an engine.

use proptest::prelude::*;
use serde_json::json;
use tidewire_engine::edit::Edit;
use tidewire_engine::event::Usage;
use tidewire_engine::query::{Record, RecordTexts};
use tidewire_engine::{ChatId, RunId, Timestamp};

use super::*;

/// A conversation and what is known of its open commands.
pub(in crate::live_data) struct Talk {
    pub(in crate::live_data) session: LiveData,
    pub(in crate::live_data) now: Instant,
    open: Vec<(Ticket, Command)>,
}

impl LiveData {
    pub(in crate::live_data) fn chats_known(&self) -> usize {
        self.chats.len()
    }
}

impl Talk {
    pub(in crate::live_data) fn new() -> Self {
        let now = Instant::now();
        let switches = Switches { typed_values: false.into(), ..Switches::default() };
        Self { session: LiveData::new(Arc::new(switches), now), now, open: Vec::new() }
    }

    /// Sends a frame; what is answered at once.
    #[track_caller]
    pub(in crate::live_data) fn send(&mut self, frame: Value) -> Vec<Value> {
        self.incoming(Incoming::Text(&frame.to_string()))
    }

    fn incoming(&mut self, frame: Incoming<'_>) -> Vec<Value> {
        let step = self.session.decode(frame, self.now);
        self.open.extend(step.commands);
        step.frames.iter().map(read).collect()
    }

    /// The commands that are open, oldest first.
    pub(in crate::live_data) fn commands(&self) -> Vec<Command> {
        self.open.iter().map(|(_, command)| command.clone()).collect()
    }

    /// Answers the oldest open command; what is sent then.
    #[track_caller]
    pub(in crate::live_data) fn answer(&mut self, result: Result<Reply>) -> Vec<Value> {
        self.answer_at(0, result)
    }

    fn answer_at(&mut self, place: usize, result: Result<Reply>) -> Vec<Value> {
        let (ticket, _) = self.open.remove(place);
        let mut out = Vec::new();
        self.session.reply(ticket, result, self.now, &mut out);
        out.iter().map(read).collect()
    }

    pub(in crate::live_data) fn event(&mut self, event: Event) -> Vec<Value> {
        let mut out = Vec::new();
        self.session.event(&event, self.now, &mut out);
        out.iter().map(read).collect()
    }

    /// Lets time pass until the deadline, if there is one.
    pub(in crate::live_data) fn tick(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        if let Some(at) = self.session.deadline() {
            self.now = self.now.max(at);
            self.session.tick(self.now, &mut out);
        }
        out.iter().map(read).collect()
    }
}

/// A frame as JSON, whichever way it is written.
pub(in crate::live_data) fn read(frame: &Frame) -> Value {
    match frame {
        Frame::Text(bytes) => serde_json::from_slice(bytes).unwrap(),
        Frame::Binary(bytes) => serde_json::from_str(&pack::to_json(bytes).unwrap()).unwrap(),
        Frame::Close { .. } => panic!("{frame:?}"),
    }
}

pub(in crate::live_data) fn record(id: &str, body: Value) -> Record {
    Record {
        id: id.into(),
        body: body.as_object().unwrap().clone(),
        version: Offset(1),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        expires_at: None,
    }
}

fn ask(kind: &str, id: Value, payload: Value) -> Value {
    json!({"type": kind, "messageId": id, "payload": payload})
}

fn success(id: &Value, data: Value) -> Vec<Value> {
    vec![json!({"type": "Success", "messageId": id, "payload": {"data": data, "message_id": id}})]
}

fn completed(content: &str) -> Result<Reply> {
    Ok(Reply::Completed { content: content.into(), usage: Usage::default() })
}

#[test]
fn hello_is_answered_first_and_chooses_the_format() {
    let mut talk = Talk::new();
    let hello = json!({"type": "Hello", "payload": {"formats": ["cbor", "msgpack", "json"]}});
    assert_eq!(talk.send(hello), [json!({"type": "Welcome", "payload": {"format": "msgpack"}})]);
    let query =
        pack::from_json(ask("FindAll", json!("msg-0"), json!({"collection": "c"})).to_string().as_bytes())
            .unwrap();
    assert!(talk.incoming(Incoming::Binary(&query)).is_empty());
    let (ticket, _) = talk.open.remove(0);
    let mut out = Vec::new();
    talk.session.reply(ticket, Ok(Reply::Records(RecordTexts::default())), talk.now, &mut out);
    let [Frame::Binary(_)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(read(&out[0]), success(&json!("msg-0"), json!([]))[0]);
    let other = json!({"type": "Hello", "payload": {"formats": ["cbor"]}});
    assert_eq!(talk.send(other), [json!({"type": "Welcome", "payload": {"format": "json"}})]);
}

#[test]
fn both_kinds_of_frames_are_always_understood() {
    let mut talk = Talk::new();
    let mut frame = vec![0x83, 0xa4];
    frame.extend(b"type");
    frame.extend([&[0xa6][..], b"Insert", &[0xa9], b"messageId", &[7, 0xa7], b"payload"].concat());
    frame.extend(
        [&[0x82, 0xaa][..], b"collection", &[0xa1], b"c", &[0xa6], b"record", &[0x82, 0xa2], b"id"].concat(),
    );
    frame.extend([0xc4, 16]);
    frame.extend(0u8..16);
    frame.extend([&[0xa4][..], b"took", &[0x92, 1, 0xcd, 1, 0xf4]].concat());
    assert!(talk.incoming(Incoming::Binary(&frame)).is_empty());
    let [Command::Edit { edits, .. }] = &talk.commands()[..] else { panic!("{:?}", talk.commands()) };
    let body = json!({"took": [1, 500]}).as_object().unwrap().clone();
    let id = Some("00010203-0405-0607-0809-0a0b0c0d0e0f".into());
    assert_eq!(edits[..], [Edit::Insert { id, body, ttl: None }]);
    let answered = talk.answer(Ok(Reply::Edited(vec![Ok(record("u", json!({})))])));
    assert_eq!(answered, success(&json!(7), json!({"id": "u"})));
    frame.push(0xc0);
    let refused = talk.incoming(Incoming::Binary(&frame));
    assert_eq!(
        (&refused[0]["type"], &refused[0]["messageId"], &refused[0]["code"]),
        (&json!("Error"), &json!(7), &json!(400))
    );
}

#[test]
fn positional_payloads_are_read_and_wrong_ones_refused() {
    let mut talk = Talk::new();
    assert!(talk.send(ask("FindById", json!("1"), json!(["c", "u1"]))).is_empty());
    let Command::Get { collection, id, .. } = &talk.commands()[0] else { panic!() };
    assert_eq!((collection.as_str(), id.0.as_str()), ("c", "u1"));
    for bad in [json!(["c"]), json!(["c", "u1", null, null, "more"])] {
        assert_eq!(talk.send(ask("FindById", json!("2"), bad))[0]["code"], 400);
    }
}

#[test]
fn records_are_typed_unless_it_is_switched_off() {
    let mut talk = Talk::new();
    let find = || ask("FindById", json!("1"), json!({"collection": "c", "id": "u1"}));
    talk.send(find());
    talk.send(find());
    let found = || Ok(Reply::Record([&record("u1", json!({"n": 1}))].into_iter().collect()));
    assert_eq!(talk.answer(found()), success(&json!("1"), json!({"id": "u1", "n": 1})));
    talk.session.switches.typed_values.store(true, Ordering::Relaxed);
    let typed = json!({"id": "u1", "n": {"type": "Integer", "value": 1}});
    assert_eq!(talk.answer(found()), success(&json!("1"), typed));
}

#[test]
fn errors_carry_their_code_and_the_connection_lives_on() {
    let mut talk = Talk::new();
    for (frame, id) in [
        (ask("Fly", json!("1"), json!({})), json!("1")),
        (ask("FindById", json!(2), json!({"collection": "c"})), json!(2)),
        (ask("FindById", json!({"a": 3}), json!(null)), json!({"a": 3})),
        (ask("Query", json!("4"), json!({"collection": "c", "filter": {"type": "expression"}})), json!("4")),
        (ask("Insert", json!("5"), json!({"collection": "c", "record": 1})), json!("5")),
        (ask("Insert", json!("6"), json!({"collection": "c", "record": {"ttl": "never"}})), json!("6")),
        (
            ask(
                "UpdateWithAction",
                json!("7"),
                json!({"collection": "c", "id": "u", "action": "explode", "field": "a"}),
            ),
            json!("7"),
        ),
        (ask("Subscribe", json!("8"), json!({"collection": "c", "filter_field": "a"})), json!("8")),
        (
            ask("RegisterClientTools", json!("9"), json!({"chat_id": "no such name!", "tools": []})),
            json!("9"),
        ),
    ] {
        let answers = talk.send(frame.clone());
        let [error] = &answers[..] else { panic!("{frame}: {answers:?}") };
        assert_eq!(
            (&error["type"], &error["code"], &error["messageId"]),
            (&json!("Error"), &json!(400), &id),
            "{frame}"
        );
        assert!(!error["message"].as_str().unwrap().ends_with('.'), "{error}");
    }
    assert!(talk.open.is_empty());
    talk.send(ask("FindById", json!("10"), json!({"collection": "c", "id": "u9"})));
    let missing = talk.answer(Err(Error::not_found("no record u9 in c")));
    assert_eq!(
        missing,
        [json!({"type": "Error", "messageId": "10", "code": 404, "message": "no record u9 in c"})]
    );
}

#[test]
fn what_nests_too_deep_is_refused_with_its_id() {
    let mut talk = Talk::new();
    for depth in [101, 120, 10_000] {
        let record = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let frame = format!(
            r#"{{"type":"Insert","messageId":"7","payload":{{"collection":"c","record":{record}}}}}"#
        );
        let refused = talk.incoming(Incoming::Text(&frame));
        assert_eq!((&refused[0]["code"], &refused[0]["messageId"]), (&json!(400), &json!("7")), "{depth}");
    }
}

#[test]
fn a_batch_says_what_was_done_and_what_was_not() {
    let mut talk = Talk::new();
    talk.send(ask(
        "BatchUpdate",
        json!("1"),
        json!({"collection": "c", "updates": [["a", {"n": 1}], ["b", {"n": 2}]]}),
    ));
    let [Command::Edit { edits, together: false, .. }] = &talk.commands()[..] else { panic!() };
    assert_eq!(edits.len(), 2);
    let outcomes = vec![Ok(record("a", json!({}))), Err(Error::not_found("no record b"))];
    let failed = json!([{"id": "b", "index": 1, "code": 404, "error": "no record b"}]);
    let expected = success(&json!("1"), json!({"successful": ["a"], "failed": failed}));
    assert_eq!(talk.answer(Ok(Reply::Edited(outcomes))), expected);
}

#[test]
fn a_completion_without_an_id_waits_until_it_is_alone() {
    let mut talk = Talk::new();
    let flat = json!({"type": "RawComplete", "system_prompt": "s", "message": "m", "provider": null, "max_tokens": 5});
    talk.send(flat.clone());
    talk.send(ask("FindAll", json!("1"), json!({"collection": "c"})));
    talk.send(flat);
    assert!(talk.answer(completed("one")).is_empty());
    let answers = talk.answer(Ok(Reply::Records(RecordTexts::default())));
    assert_eq!(answers[0]["messageId"], "1");
    assert_eq!(
        (answers[1].get("messageId"), &answers[1]["payload"]["data"]["content"]),
        (None, &json!("one"))
    );
    assert_eq!(talk.answer(completed("two"))[0]["payload"]["data"]["content"], "two");
    let nested = ask("RawComplete", json!("2"), json!({"system_prompt": "s", "message": "m"}));
    talk.send(nested);
    assert_eq!(talk.answer(completed("three"))[0]["messageId"], "2");
}

#[test]
fn a_registration_is_acknowledged_without_an_id_before_anything_that_could_be_taken_for_it() {
    let mut talk = Talk::new();
    let tools = json!([{"name": "open_page", "description": "Opens", "parameters": {"type": "object"}}]);
    talk.send(ask("Unsubscribe", json!("1"), json!({"collection": "c"})));
    talk.send(json!({"type": "RegisterClientTools", "payload": {"chat_id": "support", "tools": tools}}));
    assert!(talk.answer(Ok(Reply::Unwatched(true))).is_empty());
    let following =
        Reply::Following { chat: ChatId::new(), epoch: Epoch(1), last_seq: Seq(0), reset: false, run: None };
    assert!(talk.answer(Ok(following)).is_empty());
    let answers = talk.answer(Ok(Reply::Registered));
    assert_eq!(
        answers[0],
        json!({"type": "Success", "payload": {"data": {"chat_id": "support", "registered": 1}}})
    );
    assert_eq!(
        answers[1]["payload"]["data"],
        json!({"collection": "c", "found": true, "unsubscribed": true})
    );
    talk.send(json!({"type": "RegisterClientTools", "payload": {"chat_id": "support", "tools": []}}));
    assert_eq!(
        talk.answer(Err(Error::not_found("no chat")))[0],
        json!({"type": "Error", "code": 404, "message": "no chat"})
    );
}

#[test]
fn messages_without_a_waiter_never_get_success_or_error() {
    let mut talk = Talk::new();
    for frame in [
        json!({"type": "ChatSend", "payload": {"chat_id": "a b", "message": "hi"}}),
        json!({"type": "ChatSend", "payload": {"chat_id": "a", "message": " "}}),
        json!({"type": "ChatSend", "payload": {"chat_id": "a"}}),
        json!({"type": "CancelChat", "payload": {"chat_id": ""}}),
        json!({"type": "ClientToolResult", "payload": {"chat_id": "a", "success": true}}),
    ] {
        let answers = talk.send(frame.clone());
        let [failed] = &answers[..] else { panic!("{frame}: {answers:?}") };
        assert_eq!(failed["type"], "ChatStreamError", "{frame}");
        assert_eq!(failed["payload"]["chat_id"], frame["payload"]["chat_id"]);
        assert!(failed["payload"]["error"].is_string());
    }
    talk.send(json!({"type": "CancelChat", "payload": {"chat_id": "a"}}));
    assert!(talk.answer(Ok(Reply::Stopped(false))).is_empty());
    talk.send(
        json!({"type": "ClientToolResult", "payload": {"chat_id": "a", "call_id": "c", "success": true}}),
    );
    assert!(talk.answer(Ok(Reply::Answered(false))).is_empty());
    talk.send(json!({"type": "CancelChat", "messageId": "x", "payload": {"chat_id": "a"}}));
    assert_eq!(talk.answer(Ok(Reply::Stopped(true)))[0]["messageId"], "x");
}

#[test]
fn a_subscription_is_confirmed_and_asked_for_again_keeps_its_number() {
    let mut talk = Talk::new();
    talk.send(ask("Subscribe", json!("1"), json!({"collection": "c", "after_offset": 41})));
    let [Command::Watch { watch: 0, after: Some(Offset(41)), filter: None, .. }] = &talk.commands()[..]
    else {
        panic!("{:?}", talk.commands())
    };
    let ack = talk.answer(Ok(Reply::Watching { after: Offset(41), gap: false }));
    let data = &ack[0]["payload"]["data"];
    let id = data["subscription_id"].as_str().unwrap().strip_prefix("sub_").unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert_eq!(
        (&data["subscribed"], &data["collection"], &data["offset"], &data["gap"]),
        (&json!(true), &json!("c"), &json!(41), &json!(false))
    );
    talk.send(ask("Subscribe", json!("2"), json!({"collection": "c"})));
    talk.send(ask(
        "Subscribe",
        json!("3"),
        json!({"collection": "c", "filter_field": "a", "filter_value": "x"}),
    ));
    let numbers: Vec<u64> = talk
        .commands()
        .iter()
        .map(|command| match command {
            Command::Watch { watch, .. } => *watch,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(numbers, [0, 1]);
    talk.answer(Err(Error::forbidden("no")));
    talk.send(ask("Subscribe", json!("4"), json!({"collection": "c"})));
    let Some(Command::Watch { watch, .. }) = talk.commands().pop() else { panic!() };
    assert_eq!(watch, 2, "one that failed is forgotten");
}

#[test]
fn following_a_chat_says_where_it_stands() {
    let mut talk = Talk::new();
    talk.send(ask("ChatFollow", json!("1"), json!({"chat_id": "support", "after_seq": 17, "epoch": 2})));
    let [Command::FollowChat { after: Some(position), .. }] = &talk.commands()[..] else { panic!() };
    assert_eq!(*position, Position { epoch: Some(Epoch(2)), seq: Seq(17) });
    let following =
        Reply::Following { chat: ChatId::new(), epoch: Epoch(3), last_seq: Seq(20), reset: true, run: None };
    let data = json!({"chat_id": "support", "epoch": 3, "last_seq": 20, "reset": true, "running": false});
    assert_eq!(talk.answer(Ok(following)), success(&json!("1"), data));
}

#[test]
fn a_message_goes_to_a_chat_that_is_followed_and_interrupts() {
    let mut talk = Talk::new();
    let chat = ChatId::new();
    let send = json!({"type": "ChatSend", "payload": {"chat_id": chat.to_string(), "message": "hi", "bypass_ripple": null,
        "client_tools": [{"name": "t", "description": "d", "parameters": null}], "max_iterations": 3,
        "confirm_tools": ["query"], "exclude_tools": ["drop"]}});
    talk.send(send.clone());
    let [
        Command::FollowChat { chat: ChatRef::Known(followed), after: None },
        Command::SendMessage { while_running: WhileRunning::Interrupt, message_id: Some(_), options, .. },
    ] = &talk.commands()[..]
    else {
        panic!("{:?}", talk.commands())
    };
    let expected = (chat.to_string(), "t", Some(3));
    assert_eq!((followed.to_string(), options.tools[0].name.as_str(), options.max_rounds), expected);
    assert_eq!(
        (&options.confirm[..], &options.exclude[..]),
        (&["query".to_owned()][..], &["drop".to_owned()][..])
    );
    talk.send(send);
    assert_eq!(talk.commands().len(), 3, "it is followed once");
}

/// Any JSON that is not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        "[a-zA-Z0-9_ é\"\\\\]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("[a-z_]{1,10}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const TYPES: [&str; 25] = [
    "Hello",
    "FindAll",
    "FindById",
    "Query",
    "Insert",
    "Update",
    "Delete",
    "BatchInsert",
    "BatchUpdate",
    "BatchDelete",
    "TextSearch",
    "DistinctValues",
    "UpdateWithAction",
    "CreateCollection",
    "DeleteCollection",
    "GetCollections",
    "Subscribe",
    "Unsubscribe",
    "ChatSend",
    "CancelChat",
    "ChatFollow",
    "RegisterClientTools",
    "ClientToolResult",
    "RawComplete",
    "Nonsense",
];

/// A payload that often fits: every member that some message has, with a value of its type or any.
fn any_payload() -> impl Strategy<Value = Value> {
    let member = |name: &'static str, fits: Value| {
        prop_oneof![6 => Just(Some(fits)), 1 => any_json().prop_map(Some), 1 => Just(None)]
            .prop_map(move |value| (name, value))
    };
    let members = [
        ("collection", json!("c")),
        ("id", json!("u1")),
        ("record", json!({"a": 1})),
        ("records", json!([{"a": 1}, {}])),
        ("updates", json!([["u1", {}]])),
        ("ids", json!(["u1"])),
        ("query", json!("x")),
        ("field", json!("a")),
        ("action", json!("increment")),
        ("value", json!(1)),
        ("name", json!("c")),
        ("chat_id", json!("chat")),
        ("message", json!("hi")),
        ("call_id", json!("c1")),
        ("tools", json!([{"name": "t"}])),
        ("system_prompt", json!("s")),
        ("formats", json!(["msgpack"])),
        ("limit", json!(1)),
        ("success", json!(true)),
    ];
    members.map(|(name, fits)| member(name, fits)).to_vec().prop_map(|members| {
        members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    })
}

/// Any reply that a command may get, or another's.
fn any_reply() -> impl Strategy<Value = u8> {
    any::<u8>()
}

fn reply_to(command: &Command, choice: u8) -> Result<Reply> {
    if choice.is_multiple_of(4) {
        return Err(Error::new(Code::ALL[usize::from(choice) % Code::ALL.len()], "it did not work"));
    }
    match command {
        Command::FollowChat { .. } => Ok(Reply::Following {
            chat: ChatId::new(),
            epoch: Epoch(1),
            last_seq: Seq(1),
            reset: false,
            run: None,
        }),
        Command::SendMessage { .. } => {
            Ok(Reply::Accepted { chat: ChatId::new(), run: RunId::new(), duplicate: None })
        }
        Command::Query(_) => Ok(Reply::Records([&record("a", json!({"x": [1]}))].into_iter().collect())),
        Command::Watch { .. } => Ok(Reply::Watching { after: Offset(3), gap: false }),
        Command::Complete { .. } => completed("yes"),
        _ => Ok(Reply::Done),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is asked and answered in whatever order: nothing panics, every id gets exactly one reply, and what
    /// waits without an id is not left behind.
    #[test]
    fn every_request_with_an_id_gets_exactly_one_reply(
        asks in proptest::collection::vec((0..TYPES.len(), any::<bool>(), any_payload()), 1..12),
        choices in proptest::collection::vec((any::<usize>(), any_reply()), 40),
        packed in any::<bool>(),
    ) {
        let mut talk = Talk::new();
        let (mut wanted, mut seen, mut alone) = (Vec::new(), Vec::new(), 0usize);
        let mut take = |frames: Vec<Value>| {
            let replies = frames.into_iter().filter(|frame| matches!(frame["type"].as_str(), Some("Success" | "Error")));
            seen.extend(replies.map(|frame| frame.get("messageId").cloned().unwrap_or(Value::Null)));
        };
        for (number, (kind, with_id, payload)) in asks.into_iter().enumerate() {
            let kind = TYPES[kind];
            let mut frame = json!({"type": kind, "payload": payload});
            if kind == "RawComplete" && number % 2 == 0 {
                frame = frame["payload"].take();
                frame["type"] = kind.into();
            }
            if with_id {
                frame["messageId"] = json!(format!("msg-{number}"));
                if kind != "Hello" { wanted.push(json!(format!("msg-{number}"))); }
            }
            let text = frame.to_string();
            let bytes = pack::from_json(text.as_bytes()).unwrap();
            let incoming = if packed { Incoming::Binary(&bytes) } else { Incoming::Text(&text) };
            let frames = talk.incoming(incoming);
            // Hello is answered by Welcome; only its refusal has an id.
            if kind == "Hello" && with_id && frames.iter().any(|frame| frame["type"] == "Error") {
                wanted.push(json!(format!("msg-{number}")));
            }
            take(frames);
        }
        for (place, choice) in choices {
            if talk.open.is_empty() { break; }
            // The socket executes one after the other; answers out of order must not hurt either.
            let place = if choice % 3 == 0 { place % talk.open.len() } else { 0 };
            let result = reply_to(&talk.open[place].1.clone(), choice);
            take(talk.answer_at(place, result));
            take(talk.tick());
        }
        while !talk.open.is_empty() {
            take(talk.answer(Ok(Reply::Done)));
        }
        alone += seen.iter().filter(|id| id.is_null()).count();
        let mut with_ids: Vec<String> = seen.iter().filter(|id| !id.is_null()).map(Value::to_string).collect();
        let mut expected: Vec<String> = wanted.iter().map(Value::to_string).collect();
        with_ids.sort();
        expected.sort();
        prop_assert_eq!(with_ids, expected, "{} alone", alone);
    }

    #[test]
    fn no_text_and_no_bytes_panic(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200), json in any_json()) {
        let mut talk = Talk::new();
        talk.incoming(Incoming::Text(&text));
        talk.incoming(Incoming::Binary(&bytes));
        talk.incoming(Incoming::Text(&json.to_string()));
        talk.incoming(Incoming::Binary(&pack::from_json(json.to_string().as_bytes()).unwrap()));
    }
}
