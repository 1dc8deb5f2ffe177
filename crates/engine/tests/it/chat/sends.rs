//! Messages: once each, in turn, and refused clearly.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use tidewire_engine::command::WhileRunning;
use tidewire_engine::{AgentEvent, ChatBody, Code, Detail, Seq, Settings};
use tokio::sync::Semaphore;

use super::rig::{House, answer, counted, counting, gated, repeating};

const WAIT: WhileRunning = WhileRunning::Queue(20);

#[tokio::test]
async fn a_message_id_runs_once() {
    let house = House::new(counting(3)).await;
    let mut client = house.client().await;
    let (run, duplicate) = client.try_send("hello", Some("m1"), WAIT).await.unwrap();
    assert!(duplicate.is_none());
    client.end_of(run).await;
    let (again, duplicate) = client.try_send("hello", Some("m1"), WAIT).await.unwrap();
    let duplicate = duplicate.expect("it was accepted before");
    assert_eq!((again, duplicate.from, duplicate.to), (run, Seq(1), Seq(1)));
    assert!(matches!(&duplicate.body, ChatBody::UserMessage { content, .. } if content == "hello"));
    let (other, duplicate) = client.try_send("hello", Some("m2"), WAIT).await.unwrap();
    assert!(duplicate.is_none() && other != run);
    client.end_of(other).await;
    assert_eq!(client.page.questions.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_message_from_many_tabs_at_once_runs_once() {
    let house = Arc::new(House::new(counting(3)).await);
    for round in 0..20 {
        let sends: Vec<_> = (0..8)
            .map(|_| {
                let house = Arc::clone(&house);
                tokio::spawn(async move {
                    let client = house.client().await;
                    client.try_send("hello", Some(&format!("m{round}")), WAIT).await.unwrap()
                })
            })
            .collect();
        let mut runs = Vec::new();
        let mut fresh = 0;
        for send in sends {
            let (run, duplicate) = send.await.unwrap();
            runs.push(run);
            fresh += usize::from(duplicate.is_none());
        }
        assert_eq!(fresh, 1, "one of them was first");
        assert!(runs.iter().all(|run| *run == runs[0]), "all of them hear of the one run");
    }
    let mut client = house.client().await;
    while client.page.questions.len() < 20 || !client.page.ended(client.page.questions[19].0) {
        client.next().await;
    }
    assert_eq!(house.engine.stats().messages_total, 20);
}

#[tokio::test]
async fn twenty_wait_and_the_next_one_is_told_when_to_come_back() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 1)).await;
    let mut client = house.client().await;
    let mut runs = vec![client.send("first").await];
    for number in 1..=20 {
        runs.push(client.send(&format!("message {number}")).await);
    }
    let refused = client.try_send("one too many", None, WAIT).await.unwrap_err();
    assert_eq!(refused.code, Code::RateLimited);
    assert!(matches!(refused.detail, Detail::RetryAfter(_)), "{:?}", refused.detail);
    assert_eq!(house.engine.stats().queued, 20);
    let positions = client.until(|event| event.to.0 >= 42).await;
    let positions = positions.iter().filter_map(|event| match event.body {
        ChatBody::Run { event: AgentEvent::RunQueued { position }, .. } => Some(position),
        _ => None,
    });
    assert_eq!(positions.collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    gate.add_permits(21);
    for run in runs {
        assert_eq!(answer(&client.end_of(run).await).text, counted(1));
    }
    client.send("there is room again").await;
}

#[tokio::test]
async fn an_agent_is_given_the_conversation_up_to_its_own_question() {
    let house = House::new(repeating()).await;
    let mut client = house.client().await;
    let (first, second) = (client.send("one").await, client.send("two").await);
    let third = client.send("three").await;
    assert_eq!(answer(&client.end_of(first).await).text, "u:one");
    assert_eq!(answer(&client.end_of(second).await).text, "u:one|a(5)|u:two");
    assert_eq!(answer(&client.end_of(third).await).text, "u:one|a(5)|u:two|a(16)|u:three");
}

#[tokio::test]
async fn an_agent_is_given_no_more_than_the_newest_messages() {
    let settings = Settings { history_messages: 4, ..Settings::default() };
    let house = House::with(repeating(), settings).await;
    let mut client = house.client().await;
    for question in ["one", "two", "three"] {
        let run = client.send(question).await;
        client.end_of(run).await;
    }
    let run = client.send("four").await;
    let text = answer(&client.end_of(run).await).text.clone();
    assert_eq!(text, "u:three|a(19)|u:four", "four messages would begin with an answer");
}

#[tokio::test]
async fn a_long_conversation_is_looked_back_over_as_far_as_needed() {
    let settings = Settings { history_messages: 3, ..Settings::default() };
    let gate = Arc::new(Semaphore::new(0));
    let house = House::with(gated(&gate, 1500), settings).await;
    let mut client = house.client().await;
    let run = client.send("one").await;
    for words in 1..=1500 {
        gate.add_permits(1);
        client.sees(run, &counted(words)).await;
    }
    client.end_of(run).await;
    assert!(client.page.seq > Seq(1024), "the question lies far back");
    let folder = house.folder;
    house.engine.drain(std::time::Duration::ZERO).await;
    drop((client, house.engine));
    let engine =
        super::rig::start(super::restart::reopen(folder.path()).await, repeating(), Settings::default())
            .await;
    let mut client = super::rig::Client::follow(&engine, super::rig::SESSION, Some(Seq::START)).await;
    let run = client.send("two").await;
    let text = answer(&client.end_of(run).await).text.clone();
    assert_eq!(text, format!("u:one|a({})|u:two", counted(1500).len()));
}

#[tokio::test]
async fn a_chat_may_refuse_while_it_answers() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 1)).await;
    let mut client = house.client().await;
    let run = client.send("first").await;
    let refused = client.try_send("second", None, WhileRunning::Reject).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    gate.add_permits(1);
    client.end_of(run).await;
}

#[tokio::test]
async fn an_interrupting_message_ends_what_goes_on_and_what_waits() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 4)).await;
    let mut client = house.client().await;
    let (first, waiting) = (client.send("first").await, client.send("waiting").await);
    gate.add_permits(2);
    client.sees(first, &counted(2)).await;
    let (third, _) = client.try_send("no, this", None, WhileRunning::Interrupt).await.unwrap();
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let event = client.next().await;
        ends.extend(super::rig::end(&event).map(|(run, end)| (run, answer(end).text.clone())));
    }
    ends.sort_by_key(|(run, _)| *run);
    assert_eq!(ends, [(first, counted(2)), (waiting, String::new())]);
    gate.add_permits(4);
    assert_eq!(answer(&client.end_of(third).await).text, counted(4));
}

#[tokio::test]
async fn what_is_not_a_message_is_refused() {
    let house = House::new(counting(1)).await;
    let client = house.client().await;
    for empty in ["", "  \n\t"] {
        let refused = client.try_send(empty, None, WAIT).await.unwrap_err();
        assert_eq!((refused.code, &*refused.message), (Code::Invalid, "Empty message"));
        assert_eq!(refused.detail, Detail::Field("content".into()));
    }
    for id in [String::new(), "x".repeat(129)] {
        let refused = client.try_send("hello", Some(&id), WAIT).await.unwrap_err();
        assert_eq!(refused.detail, Detail::Field("message_id".into()), "{id:?}");
    }
    client.try_send("hello", Some(&"x".repeat(128)), WAIT).await.unwrap();
}

#[tokio::test]
async fn a_message_whose_sender_has_gone_is_answered() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 4)).await;
    let mut witness = house.client().await;
    let sender = house.client().await;
    let mut send = Box::pin(sender.try_send("hello", None, WAIT));
    // Polled until its run has begun, which is before it can hear of that, and then dropped.
    while house.engine.stats().queued + house.engine.stats().running == 0 {
        let polled = std::future::poll_fn(|cx| Poll::Ready(send.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        tokio::task::yield_now().await;
    }
    drop(send);
    drop(sender);
    gate.add_permits(4);
    let question = witness.next().await;
    let ChatBody::UserMessage { run, .. } = question.body else { panic!("{question:?} is not the message") };
    assert_eq!(answer(&witness.end_of(run).await).text, counted(4));
}
