//! Everybody sees the same, in order, once.

use std::sync::Arc;

use tidewire_engine::command::WhileRunning;
use tidewire_engine::{AgentEvent, ChatBody, Command, Identity, Reply, Seq, Settings};
use tokio::sync::Semaphore;

use super::rig::{Client, House, SESSION, answer, counted, counting, gated, session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_listeners_see_every_run_whole_and_in_order() {
    let house = House::new(counting(300)).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut client = house.client().await;
        readers.push(tokio::spawn(async move {
            let mut texts = Vec::new();
            while texts.len() < 3 {
                let event = client.next().await;
                if let ChatBody::Run { event: AgentEvent::RunFinished { answer, .. }, .. } = &event.body {
                    texts.push(answer.text.clone());
                }
            }
            (texts, client.page.questions)
        }));
    }
    let asker = house.client().await;
    for question in ["one", "two", "three"] {
        asker.send(question).await;
    }
    for reader in readers {
        let (texts, questions) = reader.await.unwrap();
        assert_eq!(texts, vec![counted(300); 3]);
        let questions: Vec<_> = questions.iter().map(|(_, question)| question.as_str()).collect();
        assert_eq!(questions, ["one", "two", "three"]);
    }
    let stats = house.engine.stats();
    assert!(stats.entries_total < 450, "900 words took {} entries: deltas are merged", stats.entries_total);
    assert_eq!((stats.connections, stats.messages_total), (1, 3));
}

#[tokio::test]
async fn an_answer_begins_with_its_question_and_what_is_said_first_is_seen_first() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 2)).await;
    let mut client = house.client().await;
    let run = client.send("hello").await;
    gate.add_permits(1);
    client.sees(run, "w0 ").await;
    gate.add_permits(1);
    let end = client.end_of(run).await;
    assert_eq!(answer(&end).text, "w0 w1 ");
    assert_eq!(client.page.questions, [(run, "hello".to_owned())]);
    assert_eq!(client.page.seq, Seq(5), "message, start, two deltas, end");
}

#[tokio::test]
async fn two_tabs_stay_in_step() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 100)).await;
    let (mut first, mut second) = (house.client().await, house.client().await);
    assert_eq!(first.chat, second.chat, "a session is one chat");
    let run = first.send("hello").await;
    gate.add_permits(3);
    first.sees(run, &counted(3)).await;
    second.sees(run, &counted(3)).await;
    assert!(second.stop(None).await);
    let (one, other) = (first.end_of(run).await, second.end_of(run).await);
    assert!(matches!(one, AgentEvent::RunStopped { .. }), "{one:?}");
    assert_eq!(answer(&one), answer(&other));
    assert_eq!(first.page.seq, second.page.seq);
}

#[tokio::test]
async fn one_connection_follows_several_chats_and_each_is_in_order() {
    let house = House::new(counting(50)).await;
    let one = Client::follow(&house.engine, "one", Some(Seq::START)).await;
    let two = Client::follow(&house.engine, "two", Some(Seq::START)).await;
    let follow = Command::FollowChat { chat: session("two"), after: None };
    one.execute(follow).await.unwrap();
    one.send("a").await;
    two.send("b").await;
    let (mut events, mut ended, mut seqs) = (Vec::new(), 0, std::collections::HashMap::new());
    while ended < 2 {
        one.connection.next(&mut events).await;
        for event in events.drain(..).filter_map(tidewire_engine::Event::into_chat) {
            let last = seqs.insert(event.chat, event.to).unwrap_or_default();
            assert_eq!(event.from, last.next());
            ended += usize::from(super::rig::end(&event).is_some());
        }
    }
    assert_eq!(seqs.len(), 2);
}

#[tokio::test]
async fn what_is_not_followed_is_not_delivered_and_runs_go_on_without_anybody() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 10)).await;
    let mut gone = house.client().await;
    let run = gone.send("hello").await;
    gate.add_permits(2);
    gone.sees(run, &counted(2)).await;
    let unfollowed = gone.execute(Command::UnfollowChat { chat: session(SESSION) }).await.unwrap();
    assert!(matches!(unfollowed, Reply::Unfollowed));
    drop(gone);
    assert_eq!(house.engine.stats().connections, 0);
    gate.add_permits(8);
    let mut back = house.client().await;
    assert_eq!(answer(&back.end_of(run).await).text, counted(10));
}

#[tokio::test]
async fn one_connection_follows_only_so_many_chats() {
    let settings = Settings { follow_limit: 2, ..Settings::default() };
    let house = House::with(counting(1), settings).await;
    let connection = house.engine.connect(Identity::local());
    let follow = |name: &str| Command::FollowChat { chat: session(name), after: None };
    for name in ["a", "b", "a"] {
        house.engine.execute(&connection, follow(name)).await.unwrap();
    }
    let refused = house.engine.execute(&connection, follow("c")).await.unwrap_err();
    assert!(refused.message.contains("at most 2 chats"), "{refused}");
}

#[tokio::test]
async fn the_list_shows_titles_and_what_runs() {
    let gate = Arc::new(Semaphore::new(0));
    let house = House::new(gated(&gate, 1)).await;
    let mut client = house.client().await;
    let (run, _) = client.try_send("Show me\nall tables", None, WhileRunning::Reject).await.unwrap();
    let Reply::Chats(chats) = client.execute(Command::ListChats { limit: 10 }).await.unwrap() else {
        panic!("a list is answered by Chats")
    };
    assert_eq!((chats.len(), chats[0].title.as_str(), chats[0].running), (1, "Show me", true));
    gate.add_permits(1);
    client.end_of(run).await;
    let Reply::Chats(chats) = client.execute(Command::ListChats { limit: 10 }).await.unwrap() else {
        panic!("a list is answered by Chats")
    };
    assert!(!chats[0].running);
}
