//! What waits to be sent and to be read, and who waits for a reply.

use std::time::Duration;

use schematic_runtime::{
    Confirm, Count, ErrorKind, Event, Expect, InboundFull, OutboundFull, Packet, Policy, Rate, State,
};
use tokio::time::{Instant, timeout};

use crate::support::{closed, connected, heard, kind, replaying, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_or_lets_the_sender_wait() {
    let mut policy = Policy { confirm: Confirm::Answer, ..Policy::default() };
    policy.outbound.messages = 1;
    policy.outbound.when_full = OutboundFull::Refuse;
    let (connection, _server, _peer) = connected(policy.clone()).await;
    connection.send("a".into()).await.unwrap();
    let refused = connection.send("b".into()).await.unwrap_err();
    assert_eq!((refused.message.as_str(), refused.error.kind), ("b", ErrorKind::Full));
    policy.outbound.when_full = OutboundFull::Wait;
    let (mut connection, _server, mut peer) = connected(policy).await;
    connection.send("a".into()).await.unwrap();
    assert!(timeout(SECOND, connection.send("b".into())).await.is_err());
    peer.say("ack a");
    assert_eq!(heard(&mut connection).await, "ack a");
    connection.send("c".into()).await.unwrap();
    assert_eq!((peer.text().await.unwrap(), peer.text().await.unwrap()), ("a".into(), "c".into()));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_comes_back() {
    let mut policy = Policy::default();
    policy.outbound.message_bytes = 3;
    let (connection, _server, _peer) = connected(policy).await;
    let refused = connection.send("four".into()).await.unwrap_err();
    assert_eq!((refused.message.as_str(), refused.error.kind), ("four", ErrorKind::Shape));
}

#[tokio::test(start_paused = true)]
async fn a_pong_confirms_what_was_written_before_its_ping() {
    let policy = Policy { confirm: Confirm::Pong, ..Policy::default() };
    let (mut connection, _server, mut peer) = connected(policy).await;
    connection.send("a".into()).await.unwrap();
    assert!(matches!(peer.next().await, Some(Packet::Frame(_))));
    let Some(Packet::Ping(barrier)) = peer.next().await else { panic!("a barrier follows") };
    connection.send("b".into()).await.unwrap();
    assert!(matches!(peer.next().await, Some(Packet::Frame(_))));
    peer.send(Packet::Pong(barrier));
    assert!(matches!(peer.next().await, Some(Packet::Ping(_))));
    drop(peer);
    assert_eq!(closed(&mut connection).await.1, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_cut_only_what_may_be_sent_again_is() {
    let policy = Policy { confirm: Confirm::Answer, ..replaying() };
    let (mut connection, mut server, mut peer) = connected(policy).await;
    for message in ["init", "get a", "once"] {
        connection.send(message.into()).await.unwrap();
        assert_eq!(peer.text().await.unwrap(), message);
    }
    drop(peer);
    let event = until(&mut connection, |event| matches!(event, Event::Reconnecting { .. })).await;
    let Event::Reconnecting { unsent, .. } = event else { panic!("{event:?}") };
    assert_eq!(unsent, ["once"]);
    let mut peer = server.accept().await.unwrap();
    assert_eq!((peer.text().await.unwrap(), peer.text().await.unwrap()), ("init".into(), "get a".into()));
}

#[tokio::test(start_paused = true)]
async fn rates_hold_the_client_back() {
    let rates = vec![Rate { messages: 2, per: SECOND }, Rate { messages: 3, per: 10 * SECOND }];
    let (connection, _server, mut peer) = connected(Policy { rates, ..Policy::default() }).await;
    let begun = Instant::now();
    let mut times = Vec::new();
    for message in ["a", "b", "c", "d"] {
        connection.send(message.into()).await.unwrap();
    }
    while times.len() < 4 {
        peer.text().await.unwrap();
        times.push(begun.elapsed().as_secs());
    }
    assert_eq!(times, [0, 0, 1, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_blocks_loses_or_ends_as_declared() {
    for (when_full, expected) in [
        (InboundFull::Block, vec!["a=1", "b=1", "a=2", "b=2"]),
        (InboundFull::DropOldest, vec!["a=2", "b=2"]),
        (InboundFull::Coalesce, vec!["a=2", "b=2"]),
    ] {
        let mut policy = Policy::default();
        policy.inbound.messages = 2;
        policy.inbound.when_full = when_full;
        let (mut connection, _server, peer) = connected(policy).await;
        ["a=1", "b=1", "a=2", "b=2"].into_iter().for_each(|message| peer.say(message));
        tokio::time::sleep(SECOND).await;
        for message in expected {
            assert_eq!(heard(&mut connection).await, message, "{when_full:?}");
        }
        assert_eq!(connection.state(), State::Open);
    }
    let mut policy = replaying();
    policy.inbound.messages = 2;
    policy.inbound.when_full = InboundFull::Fail;
    let (mut connection, _server, peer) = connected(policy).await;
    ["1", "2", "3"].into_iter().for_each(|message| peer.say(message));
    assert_eq!(kind(&closed(&mut connection).await.0), Some(ErrorKind::Full));
}

#[tokio::test(start_paused = true)]
async fn replies_find_their_requests_by_integer_and_string() {
    let (mut connection, _server, mut peer) = connected(Policy::default()).await;
    let sender = connection.sender().clone();
    let number = sender.request("ask 1".into(), Expect::id(1)).await.unwrap();
    let stream = Expect { count: Count::Until(Box::new(|m: &String| m.ends_with("end"))), ..Expect::id("1") };
    let mut stream = sender.request("ask one".into(), stream).await.unwrap();
    assert_eq!((peer.text().await.unwrap(), peer.text().await.unwrap()), ("ask 1".into(), "ask one".into()));
    ["re \"1\" a", "re 1 x", "news", "re \"1\" end"].into_iter().for_each(|message| peer.say(message));
    assert_eq!(heard(&mut connection).await, "news");
    assert_eq!(number.one().await.unwrap(), "re 1 x");
    assert_eq!(stream.next().await, Some(Ok("re \"1\" a".into())));
    assert_eq!(stream.next().await, Some(Ok("re \"1\" end".into())));
    assert_eq!(stream.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_request_fails_in_time_and_with_its_link() {
    let (mut connection, _server, peer) = connected(Policy::default()).await;
    let sender = connection.sender().clone();
    let begun = Instant::now();
    let late = sender.request("ask".into(), Expect::id(1)).await.unwrap().one().await;
    assert_eq!((late.unwrap_err().kind, begun.elapsed().as_secs()), (ErrorKind::Timeout, 30));
    let lost = sender.request("ask".into(), Expect::id(2)).await.unwrap();
    drop(peer);
    closed(&mut connection).await;
    assert!(matches!(lost.one().await.unwrap_err().kind, ErrorKind::Disconnected | ErrorKind::Closed));
    let refused = sender.send("more".into()).await.unwrap_err();
    assert_eq!(refused.error.kind, ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_asker_has_gone_is_not_sent() {
    let rates = vec![Rate { messages: 1, per: SECOND }];
    let (connection, _server, mut peer) = connected(Policy { rates, ..Policy::default() }).await;
    connection.send("first".into()).await.unwrap();
    drop(connection.sender().request("ask".into(), Expect::id(1)).await.unwrap());
    connection.send("last".into()).await.unwrap();
    assert_eq!((peer.text().await.unwrap(), peer.text().await.unwrap()), ("first".into(), "last".into()));
}
