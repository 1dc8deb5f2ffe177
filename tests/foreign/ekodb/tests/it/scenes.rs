//! What happens between several calls, streams and clients.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use serde_json::{Value, json};
use tidewire_engine::model::scripted::Script;
use tokio::sync::{Notify, mpsc::Receiver};
use tokio::time::timeout;

use super::ekodb::websocket::{ChatStreamEvent, MutationNotificationPayload};
use super::rows::Seat;
use super::rows::socket_chats::{asking_kettle, hear, kettle, last_answer, listen, question};
use crate::rig::{PATIENCE, Rig};

/// How many changes are made at once.
const CHANGES: usize = 10_000;

/// What the crate keeps for a reader of a subscription; it drops the rest without a word.
const KEPT_BY_THE_CRATE: usize = 256;

async fn in_time<T>(scene: impl Future<Output = T>) -> T {
    timeout(PATIENCE, scene).await.expect("the scene ends in time")
}

/// So many clients write at once.
const WRITERS: usize = 100;

/// Inserts records one by one, over many sockets at once.
async fn insert_one_by_one(seat: &Seat, count: usize) {
    let share = count / WRITERS;
    let sockets = join_all((0..WRITERS).map(|_| seat.another())).await;
    let writers = sockets.into_iter().enumerate().map(|(writer, socket)| async move {
        for n in writer * share..(writer + 1) * share {
            socket.insert("numbers", json!({"id": format!("n{n}")}), None).await.unwrap();
        }
    });
    join_all(writers.map(tokio::spawn)).await.into_iter().for_each(Result::unwrap);
}

/// Reads until so many ids have come: all of them, and the number of frames.
async fn drain(changes: &mut Receiver<MutationNotificationPayload>, count: usize) -> (Vec<String>, usize) {
    let (mut ids, mut frames) = (Vec::with_capacity(count), 0);
    while ids.len() < count {
        let change = changes.recv().await.expect("the subscription goes on");
        ids.extend(change.record_ids);
        frames += 1;
    }
    (ids, frames)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_drains_hears_of_ten_thousand_changes_once_each() {
    let seat = Seat::open().await;
    let mut changes = seat.socket.subscribe("numbers", None, None).await.unwrap();
    let reading = drain(&mut changes, CHANGES);
    let ((ids, _), ()) = in_time(join(reading, insert_one_by_one(&seat, CHANGES))).await;
    assert_eq!(ids.len(), CHANGES);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), CHANGES);
}

/// A burst is told in few frames: nothing is lost even by a reader that looks only afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_ten_thousand_changes_fits_into_what_the_crate_keeps() {
    let seat = Seat::open().await;
    let mut changes = seat.socket.subscribe("numbers", None, None).await.unwrap();
    let writer = seat.another().await;
    let batch =
        |from: usize| (from..from + 1000).map(|n| json!({"id": format!("n{n:05}")})).collect::<Vec<_>>();
    for from in (0..CHANGES).step_by(1000) {
        in_time(writer.batch_insert("numbers", batch(from), None)).await.unwrap();
    }
    let (ids, frames) = in_time(drain(&mut changes, CHANGES)).await;
    assert!(frames <= KEPT_BY_THE_CRATE, "{frames} frames");
    assert_eq!(ids, (0..CHANGES).map(|n| format!("n{n:05}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_subscriber_that_does_not_read() {
    let seat = Seat::open().await;
    let _unread = seat.socket.subscribe("numbers", None, None).await.unwrap();
    in_time(insert_one_by_one(&seat, CHANGES)).await;
    let all = in_time(seat.socket.query("numbers", None, None, None, None)).await.unwrap();
    assert_eq!(all.len(), CHANGES);
}

/// A stream that is not read stops its own connection in the crate, and no other; nothing of it is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_chat_that_is_not_read() {
    const TOKENS: u64 = 50_000;
    let seat = Seat::open().await;
    seat.rig.model.push(Script::new().tokens(TOKENS, Duration::ZERO));
    let mut stream = seat.socket.chat_send("kitchen", "A long story").await.unwrap();
    let other = seat.another().await;
    for n in 0..200 {
        in_time(other.insert("numbers", json!({"n": n}), None)).await.unwrap();
    }
    assert_eq!(in_time(other.find_all("numbers")).await.unwrap().len(), 200);
    let talk = in_time(hear(&mut stream)).await;
    assert!(talk.end.is_ok());
    assert_eq!(talk.text, "token ".repeat(TOKENS as usize));
}

/// The reply has no id, and the crate takes it only while nothing else is pending: it comes last. It is known only when
/// all else has been sent, because what is asked later can only be lost by the crate.
#[tokio::test]
async fn a_raw_completion_is_answered_after_what_was_asked_beside_it() {
    let seat = Seat::open().await;
    seat.people().await;
    for _ in 0..20 {
        let gate = Arc::new(Notify::new());
        seat.rig.model.push(Script::new().gate(Arc::clone(&gate)).words("I whistle."));
        let question = question("What do you do?");
        let asking = seat.socket.raw_completion(&question);
        let beside = join_all((0..30).map(|_| seat.socket.find_by_id("people", "a")));
        let known = seat.rig.heard().await;
        let opening = async {
            while seat.rig.heard().await < known + 17 {}
            gate.notify_one();
        };
        let (reply, found, ()) = in_time(join3(asking, beside, opening)).await;
        assert_eq!(reply.unwrap().content, "I whistle.");
        assert!(found.into_iter().all(|found| found.unwrap()["id"] == "a"));
    }
}

/// The crate has one place for the acknowledgement: the second registration takes it over, and both are acknowledged.
#[tokio::test]
async fn tools_registered_twice_at_once_leave_the_connection_in_order() {
    let seat = Seat::open().await;
    seat.people().await;
    let first = seat.socket.register_client_tools("kitchen", vec![kettle()]);
    let second = seat.socket.register_client_tools("kitchen", vec![kettle()]);
    let (first, second) = in_time(join(first, second)).await;
    assert!(first.unwrap_err().to_string().contains("Response channel closed"));
    second.unwrap();
    // A chat's frames follow the acknowledgements, and no request can be taken for one of them.
    seat.rig.model.push(asking_kettle());
    let mut stream = seat.socket.chat_send("kitchen", "How hot?").await.unwrap();
    let socket = seat.socket.clone();
    let talk = listen(&mut stream, async |call_id, _, _| {
        socket.send_tool_result("kitchen", &call_id, true, Some(json!(96)), None).await.unwrap();
    });
    assert!(in_time(talk).await.end.is_ok());
    assert_eq!(in_time(seat.socket.find_by_id("people", "a")).await.unwrap()["id"], "a");
}

/// The model is told that nobody answered, and the chat ends well.
#[tokio::test]
async fn a_client_tool_that_never_answers_expires() {
    let seat = Seat::at(Rig::with(|config| config.limits.client_tool_seconds = 1).await).await;
    seat.rig.model.push(asking_kettle());
    let tools = Some(vec![kettle()]);
    let mut stream =
        seat.socket.chat_send_with_tools("kitchen", "How hot?", tools, None, None, None).await.unwrap();
    let mut called = 0;
    let talk = in_time(listen(&mut stream, async |_, _, _| called += 1)).await;
    assert_eq!((called, talk.text.as_str()), (1, "Hello there."));
    assert!(talk.end.is_ok());
    assert!(last_answer(&seat).contains("answer"), "{}", last_answer(&seat));
}

fn weighing() -> Script {
    Script::new().call("weigh", json!({"grams": 5}))
}

/// Whoever is first decides; the tool is used at most once, whatever the other says.
#[tokio::test]
async fn an_approval_that_two_tabs_answer_at_once_is_decided_once() {
    let seat = Seat::open().await;
    let other = seat.another().await;
    seat.people().await;
    other.find_all("people").await.unwrap();
    for round in 0..10 {
        seat.rig.weighed.store(0, Ordering::SeqCst);
        seat.rig.model.push(weighing());
        let confirm = Some(vec!["weigh".to_owned()]);
        let mut stream =
            seat.socket.chat_send_with_tools("kitchen", "Weigh it", None, None, confirm, None).await.unwrap();
        let mut asked = 0;
        let talk = listen(&mut stream, async |call_id, name, arguments| {
            asked += 1;
            assert_eq!((name.as_str(), arguments), ("weigh", json!({"grams": 5})));
            let yes = seat.socket.send_tool_result("kitchen", &call_id, true, None, None);
            let no = other.send_tool_result("kitchen", &call_id, false, None, Some("No.".to_owned()));
            let (yes, no) = if round % 2 == 0 { join(yes, no).await } else { swap(join(no, yes).await) };
            yes.and(no).unwrap();
        });
        let talk = in_time(talk).await;
        assert!(talk.end.is_ok());
        let answer = last_answer(&seat);
        match seat.rig.weighed.load(Ordering::SeqCst) {
            0 => assert!(!answer.contains("weighed"), "{answer}"),
            1 => assert!(answer.contains("weighed"), "{answer}"),
            times => panic!("weighed {times} times"),
        }
        assert_eq!(asked, 1);
    }
}

fn swap<L, R>((left, right): (L, R)) -> (R, L) {
    (right, left)
}

/// What was not agreed to is not done, and the model hears why.
#[tokio::test]
async fn a_call_that_is_refused_is_not_made() {
    let seat = Seat::open().await;
    seat.rig.model.push(weighing());
    let confirm = Some(vec!["weigh".to_owned()]);
    let mut stream =
        seat.socket.chat_send_with_tools("kitchen", "Weigh it", None, None, confirm, None).await.unwrap();
    let talk = listen(&mut stream, async |call_id, _, _| {
        seat.socket.send_tool_result("kitchen", &call_id, false, None, Some("No.".to_owned())).await.unwrap();
    });
    assert_eq!(in_time(talk).await.text, "Hello there.");
    assert_eq!(seat.rig.weighed.load(Ordering::SeqCst), 0);
}

/// A second message on the same chat takes the crate's place for it; the server stops the first run.
#[tokio::test]
async fn a_second_message_ends_the_first_ones_stream() {
    let seat = Seat::open().await;
    seat.rig.model.push(Script::new().words("Once upon ").hang());
    let mut first = seat.socket.chat_send("kitchen", "A story").await.unwrap();
    let begun = in_time(first.recv()).await.unwrap();
    assert!(matches!(begun, ChatStreamEvent::Chunk(_)), "{begun:?}");
    let mut second = seat.socket.chat_send("kitchen", "Hello").await.unwrap();
    in_time(async { while first.recv().await.is_some() {} }).await;
    assert!(in_time(hear(&mut second)).await.end.is_ok());
}

/// Values of every shape come back as they went, over the socket and over HTTP.
#[tokio::test]
async fn values_keep_their_shape() {
    let seat = Seat::open().await;
    let shapes = json!({
        "text": "täglich \u{1F375} \"x\"\n", "empty": "", "zero": 0, "minus": -1, "large": 9_007_199_254_740_993_i64,
        "half": 0.5, "no": false, "nothing": null, "list": [1, "a", [2], {"b": null}], "tree": {"a": {"b": [1.5]}},
    });
    let mut record = shapes.clone();
    record["id"] = json!("s");
    seat.socket.insert("shapes", record, None).await.unwrap();
    let over_socket = seat.socket.find_by_id("shapes", "s").await.unwrap();
    let plain = |record: &Value| {
        let members = shapes.as_object().unwrap().keys();
        members.map(|name| (name.clone(), record[name]["value"].clone())).collect::<Value>()
    };
    assert_eq!(plain(&over_socket), shapes);
}
