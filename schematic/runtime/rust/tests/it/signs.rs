//! Signs of life.

use std::time::Duration;

use schematic_runtime::{Beat, ErrorKind, Packet, Policy};
use tokio::time::Instant;

use crate::support::{closed, connected, heard, kind, replaying};

fn beat(interval_ms: Option<u64>) -> Option<Beat> {
    Some(Beat {
        interval: interval_ms.map(Duration::from_millis),
        timeout: Some(Duration::from_millis(500)),
        jitter_first: false,
    })
}

#[tokio::test(start_paused = true)]
async fn ping_frames_go_out_and_a_missing_pong_ends_the_link() {
    let (mut connection, _server, mut peer) =
        connected(Policy { ping: beat(Some(1000)), ..Policy::default() }).await;
    let begun = Instant::now();
    for _ in 0..3 {
        let Some(Packet::Ping(payload)) = peer.next().await else { panic!("a ping") };
        peer.send(Packet::Pong(payload));
    }
    assert_eq!(begun.elapsed().as_secs(), 3);
    let (ending, _) = closed(&mut connection).await;
    assert_eq!((kind(&ending), begun.elapsed().as_millis() / 100), (Some(ErrorKind::Timeout), 45));
}

#[tokio::test(start_paused = true)]
async fn beats_are_answered_and_never_seen_by_the_consumer() {
    let (mut connection, _server, mut peer) = connected(Policy::default()).await;
    peer.say("beat 7");
    assert_eq!(peer.text().await.unwrap(), "alive 7");
    peer.say("news");
    assert_eq!(heard(&mut connection).await, "news");
}

#[tokio::test(start_paused = true)]
async fn the_server_sets_the_interval_and_has_to_answer() {
    let (mut connection, _server, mut peer) =
        connected(Policy { heartbeat: beat(None), ..Policy::default() }).await;
    let begun = Instant::now();
    peer.say("interval 2000");
    for expected in [2, 4] {
        assert_eq!(peer.text().await.unwrap(), "ping");
        assert_eq!(begun.elapsed().as_secs(), expected);
        peer.say("pong");
    }
    assert_eq!(peer.text().await.unwrap(), "ping");
    assert_eq!(kind(&closed(&mut connection).await.0), Some(ErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_does_not_read_is_no_reason_to_give_up() {
    let mut policy = Policy { ping: beat(Some(1000)), idle: Some(Duration::from_secs(3)), ..replaying() };
    policy.inbound.messages = 1;
    let (mut connection, _server, mut peer) = connected(policy).await;
    ["1", "2", "3"].into_iter().for_each(|message| peer.say(message));
    for _ in 0..10 {
        assert!(matches!(peer.next().await, Some(Packet::Ping(_))));
    }
    for expected in ["1", "2", "3"] {
        assert_eq!(heard(&mut connection).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let policy = Policy { idle: Some(Duration::from_secs(5)), ..Policy::default() };
    let (mut connection, _server, peer) = connected(policy).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    peer.send(Packet::Ping(Vec::new().into()));
    let begun = Instant::now();
    assert_eq!(kind(&closed(&mut connection).await.0), Some(ErrorKind::Timeout));
    assert_eq!(begun.elapsed().as_secs(), 5);
}
