//! Coming, going and coming back.

use std::time::Duration;

use schematic_runtime::{
    AuthWay, CloseAction, Connection, Credential, ErrorKind, Event, Frame, Packet, Policy, Reconnect, State,
    Target, memory,
};
use tokio::time::Instant;

use crate::support::{Words, closed, connected, heard, kind, opened, replaying, until};

fn text(event: Event<String, String>) -> String {
    match event {
        Event::Connecting { attempt } => format!("connecting {attempt}"),
        Event::Open { .. } => "open".to_owned(),
        Event::Message(message) => message,
        Event::Reconnecting { attempt, .. } => format!("reconnecting {attempt}"),
        Event::Reconnected { attempts, .. } => format!("reconnected {attempts}"),
        Event::Error(error) => error.message,
        Event::Closing(ending) => format!("closing {}", ending.code),
        Event::Closed { ending, .. } => format!("closed {}", ending.code),
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_is_told_in_order() {
    let (transport, mut server) = memory();
    let mut connection = Connection::open(Words::default(), transport, replaying());
    let first = server.accept().await.unwrap();
    first.say("hello");
    first.close(1001, "restart");
    let second = server.accept().await.unwrap();
    second.say("again");
    let mut told = Vec::new();
    while told.len() < 7 {
        told.push(text(connection.next().await.unwrap()));
    }
    assert_eq!(connection.state(), State::Open);
    let expected =
        ["connecting 1", "open", "hello", "reconnecting 1", "connecting 2", "reconnected 2", "again"];
    assert_eq!(told, expected);
    second.close(1000, "done");
    assert_eq!(text(connection.next().await.unwrap()), "closed 1000");
    assert!(connection.next().await.is_none());
    assert_eq!(connection.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn opening_and_live_subscriptions_are_said_again_before_what_waits() {
    let (mut connection, mut server, mut peer) = connected(replaying()).await;
    for message in ["init", "sub a", "sub b", "unsub a", "other"] {
        connection.send(message.into()).await.unwrap();
        assert_eq!(peer.text().await.unwrap(), message);
    }
    connection.sender().flushed().await;
    drop(peer);
    until(&mut connection, |event| matches!(event, Event::Reconnecting { .. })).await;
    connection.send("waits".into()).await.unwrap();
    let mut peer = server.accept().await.unwrap();
    for expected in ["init", "sub b", "waits"] {
        assert_eq!(peer.text().await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_resumes_where_the_close_code_allows_it() {
    let mut policy = Policy { reconnect: Reconnect::Token, ..replaying() };
    policy.close_codes.insert(4000, CloseAction::Resume);
    policy.close_codes.insert(4007, CloseAction::Retry);
    let (mut connection, mut server, mut peer) = connected(policy).await;
    connection.send("init".into()).await.unwrap();
    assert_eq!(peer.text().await.unwrap(), "init");
    peer.say("token abc");
    assert_eq!(heard(&mut connection).await, "token abc");
    peer.close(4000, "");
    // An attempt that fails in between changes nothing.
    drop(server.dial().await.unwrap());
    let mut peer = server.accept().await.unwrap();
    assert_eq!(peer.text().await.unwrap(), "resume \"abc\"");
    peer.close(4007, "");
    assert_eq!(server.accept().await.unwrap().text().await.unwrap(), "init");
}

#[tokio::test(start_paused = true)]
async fn fatal_codes_and_never_end_at_once() {
    let (mut connection, _server, peer) = connected(replaying()).await;
    peer.close(1008, "policy");
    let (ending, _) = closed(&mut connection).await;
    assert_eq!((ending.code, ending.reason.as_str(), ending.error), (1008, "policy", None));
    let (mut connection, _server, peer) = connected(Policy::default()).await;
    drop(peer);
    let (ending, _) = closed(&mut connection).await;
    assert_eq!((ending.code, kind(&ending)), (1006, Some(ErrorKind::Disconnected)));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_anew_only_after_a_minimum_uptime() {
    let mut policy = replaying();
    policy.backoff.max_attempts = 2;
    let (mut connection, mut server, peer) = connected(policy.clone()).await;
    tokio::time::sleep(policy.backoff.min_uptime).await;
    drop(peer);
    for expected in [1, 2] {
        let event = until(&mut connection, |event| matches!(event, Event::Reconnecting { .. })).await;
        assert_eq!(text(event), format!("reconnecting {expected}"));
        drop(server.accept().await.unwrap());
    }
    assert_eq!(closed(&mut connection).await.0.code, 1006);
}

#[tokio::test(start_paused = true)]
async fn delays_grow_and_lie_within_their_jitter() {
    let (transport, mut server) = memory();
    let mut policy = replaying();
    policy.backoff.initial = Duration::from_secs(1);
    let mut connection = Connection::open(Words::default(), transport, policy);
    for attempt in 0..5 {
        drop(server.dial().await.unwrap());
        let begun = Instant::now();
        until(&mut connection, |event| matches!(event, Event::Reconnecting { .. })).await;
        until(&mut connection, |event| matches!(event, Event::Connecting { .. })).await;
        let full = Duration::from_secs(1 << attempt);
        assert!((full / 2..=full + Duration::from_millis(2)).contains(&begun.elapsed()), "{attempt}");
    }
    drop(server.dial().await.unwrap());
    assert_eq!(kind(&closed(&mut connection).await.0), Some(ErrorKind::Connect));
}

#[tokio::test(start_paused = true)]
async fn connecting_and_the_acknowledgement_have_their_time() {
    let (transport, mut server) = memory();
    let mut connection = Connection::open(Words::default(), transport, Policy::default());
    let held = server.dial().await.unwrap();
    assert_eq!(kind(&closed(&mut connection).await.0), Some(ErrorKind::Timeout));
    drop(held);
    for (answer, expected) in [(None, ErrorKind::Timeout), (Some("denied"), ErrorKind::Auth)] {
        let (transport, mut server) = memory();
        let session = Words { awaits_ack: true, ..Words::default() };
        let mut connection = Connection::open(session, transport, Policy::default());
        let peer = server.accept().await.unwrap();
        answer.into_iter().for_each(|answer| peer.say(answer));
        assert_eq!(kind(&closed(&mut connection).await.0), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_before_the_acknowledgement() {
    let (transport, mut server) = memory();
    let session = Words { awaits_ack: true, ..Words::default() };
    let mut connection = Connection::open(session, transport, Policy::default());
    connection.send("early".into()).await.unwrap();
    let mut peer = server.accept().await.unwrap();
    let silent = tokio::time::timeout(Duration::from_secs(1), peer.text()).await;
    assert!(silent.is_err() && connection.state() == State::Connecting);
    peer.say("welcome");
    opened(&mut connection).await;
    assert_eq!(heard(&mut connection).await, "welcome");
    assert_eq!(peer.text().await.unwrap(), "early");
}

#[tokio::test(start_paused = true)]
async fn the_owner_closes_in_every_state() {
    let (connection, _server, mut peer) = connected(replaying()).await;
    let close = tokio::spawn(connection.close());
    assert_eq!(peer.next().await, Some(Packet::Close { code: 1000, reason: String::new() }));
    drop(peer);
    assert_eq!(close.await.unwrap().0.code, 1000);
    let (transport, mut server) = memory();
    let connection = Connection::open(Words::default(), transport, replaying());
    let dial = server.dial().await.unwrap();
    connection.send("kept".into()).await.unwrap();
    assert_eq!(connection.close().await.1, ["kept"]);
    drop(dial);
    let (mut connection, _server, peer) = connected(replaying()).await;
    drop(peer);
    until(&mut connection, |event| matches!(event, Event::Reconnecting { .. })).await;
    assert_eq!(connection.close().await.0.code, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_owner_says_goodbye() {
    let (connection, mut server, mut peer) = connected(replaying()).await;
    drop(connection);
    assert_eq!(peer.next().await, Some(Packet::Close { code: 1000, reason: String::new() }));
    drop(peer);
    assert!(server.dial().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_old_link_is_replaced() {
    let policy = Policy { max_age: Some(Duration::from_secs(60)), ..replaying() };
    let (mut connection, mut server, mut peer) = connected(policy).await;
    assert!(matches!(peer.next().await, Some(Packet::Close { code: 1001, .. })));
    let _second = server.accept().await.unwrap();
    opened(&mut connection).await;
    assert_eq!(connection.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_the_credential_does_not_get_it_printed() {
    let (transport, mut server) = memory();
    let way = AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() };
    let target = Target::new("wss://memory").auth(&way, &Credential::new("s3cret"));
    let session = Words { target: Some(target), ..Words::default() };
    let mut connection = Connection::open(session, transport, Policy::default());
    let peer = server.accept().await.unwrap();
    peer.say("{bad s3cret");
    peer.close(1008, "no access with s3cret");
    let event = until(&mut connection, |event| matches!(event, Event::Error(_))).await;
    let Event::Error(error) = event else { panic!("{event:?}") };
    assert_eq!(error.received, Some(Frame::Text("{bad ***".into())));
    assert_eq!(closed(&mut connection).await.0.reason, "no access with ***");
}
