//! A session of Discord's gateway that is lost in the middle of events and taken up: nothing missed, nothing twice.

use std::time::Duration;

use schematic_mock::Mock;
use schematic_runtime::{Credential, Handled, MemoryServer, Open, Options, Peer, memory};

use crate::discord_gateway::client::{GatewayClient, GatewayParams};
use crate::discord_gateway::wire::{ClientMessage, ConnectionProperties, Identify, Identity, ServerMessage};
use crate::support::{mock, options, patiently, received};

/// An opening without a token, which the client fills in.
fn identify() -> Identify {
    let properties =
        ConnectionProperties { os: "linux".into(), browser: "test".into(), device: "test".into() };
    Identify { d: Identity { intents: 513, properties, ..Identity::default() } }
}

/// The sequence number of an event.
fn number(message: &ServerMessage) -> Option<i64> {
    match message {
        ServerMessage::Ready(event) => Some(event.s),
        ServerMessage::Resumed(event) => Some(event.s),
        ServerMessage::MessageCreate(event) => Some(event.s),
        ServerMessage::Dispatch(event) => Some(event.s),
        _ => None,
    }
}

async fn open(mock: &Mock) -> GatewayClient<Open> {
    let client = GatewayClient::connect_with(GatewayParams::default(), options(mock)).await.unwrap();
    client.identify(identify()).await.unwrap()
}

/// Reads events up to this number.
async fn numbers(client: &mut GatewayClient<Open>, last: i64) -> Vec<i64> {
    let mut numbers = Vec::new();
    while numbers.last().is_none_or(|number| *number < last) {
        let message = client.next().await.expect("the session goes on").unwrap();
        numbers.extend(number(&message));
    }
    numbers
}

#[tokio::test]
async fn an_unbroken_session_has_every_event() {
    let mock = mock("discord", "events=20").await;
    let mut client = open(&mock).await;
    assert_eq!(patiently(numbers(&mut client, 21)).await, (1..=21).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_missed_comes_once_and_in_order() {
    // Each of the first two links is lost after seven messages: Hello, and six events.
    let mock = mock("discord", "events=20,drop:7:sent,connections=2").await;
    let mut client = open(&mock).await;
    assert_eq!(patiently(numbers(&mut client, 22)).await, (1..=22).collect::<Vec<_>>());
    let opened: Vec<String> = received(&mock).into_iter().filter(|message| message != "Heartbeat").collect();
    assert_eq!(opened, ["Identify", "Resume", "Resume"]);
}

#[tokio::test]
async fn cuts_in_any_place_lose_nothing() {
    for sent in 3..=12 {
        let mock = mock("discord", &format!("events=20,drop:{sent}:sent,connections=1")).await;
        let mut client = open(&mock).await;
        let numbers = patiently(numbers(&mut client, 22)).await;
        assert_eq!(numbers, (1..=22).collect::<Vec<_>>(), "after {sent}");
    }
}

#[tokio::test]
async fn callbacks_go_on_through_a_restored_session() {
    let mock = mock("discord", "events=20,drop:7:sent,connections=1").await;
    let (heard, mut numbers) = tokio::sync::mpsc::unbounded_channel();
    let [ready, event, created, resumed] = [(); 4].map(|()| heard.clone());
    let client: GatewayClient<_, Handled<ClientMessage>> = GatewayClient::builder(GatewayParams::default())
        .options(options(&mock))
        .on_ready(move |event| ready.send(event.s).unwrap())
        .on_dispatch(move |message| event.send(message.s).unwrap())
        .on_message_create(move |message| created.send(message.s).unwrap())
        .on_resumed(move |event| resumed.send(event.s).unwrap())
        .connect()
        .await
        .unwrap();
    let client = client.identify(identify()).await.unwrap();
    let mut all = Vec::new();
    patiently(async {
        while all.last() != Some(&22) {
            all.push(numbers.recv().await.unwrap());
        }
    })
    .await;
    assert_eq!(all, (1..=22).collect::<Vec<i64>>());
    client.disconnect();
    client.finished().await.unwrap();
}

#[tokio::test]
async fn split_halves_share_the_restored_session() {
    let mock = mock("discord", "events=20,drop:7:sent,connections=1").await;
    let (sink, mut incoming) = open(&mock).await.split();
    let mut all = Vec::new();
    patiently(async {
        while all.last() != Some(&22) {
            all.extend(number(&incoming.next().await.unwrap().unwrap()));
        }
    })
    .await;
    assert_eq!(all, (1..=22).collect::<Vec<i64>>());
    sink.presence_update(Default::default()).await.unwrap();
    patiently(sink.flushed()).await;
    assert_eq!(received(&mock).last().map(String::as_str), Some("PresenceUpdate"));
}

const HELLO: &str = r#"{"op":10,"d":{"heartbeat_interval":45000}}"#;
const READY: &str = r#"{"op":0,"t":"READY","s":1,"d":{"v":10,"user":{},"guilds":[],"session_id":"session",
    "resume_gateway_url":"wss://resume.example.com","application":{}}}"#;

/// Accepts a link, greets, and gives what the client says first.
async fn greet(server: &mut MemoryServer) -> (String, Peer, String) {
    let dial = server.dial().await.unwrap();
    let url = dial.request.url.clone();
    let mut peer = dial.accept();
    peer.say(HELLO);
    let first = peer.text().await.unwrap();
    (url, peer, first)
}

#[tokio::test]
async fn a_session_that_cannot_be_taken_up_is_opened_anew() {
    let (transport, mut server) = memory();
    let options = Options::new()
        .credential(Credential::new("key"))
        .policy(|policy| policy.backoff.initial = Duration::from_millis(1));
    let played = tokio::spawn(async move {
        let (_, peer, first) = greet(&mut server).await;
        assert!(first.contains(r#""op":2"#), "{first}");
        peer.say(READY);
        drop(peer);
        let (url, peer, first) = greet(&mut server).await;
        assert_eq!(url, "wss://resume.example.com/");
        assert_eq!(first, r#"{"op":6,"d":{"token":"key","session_id":"session","seq":1}}"#);
        peer.say(r#"{"op":9,"d":false}"#);
        drop(peer);
        let (url, peer, first) = greet(&mut server).await;
        assert_eq!(url, "wss://gateway.discord.gg/");
        assert!(first.contains(r#""op":2"#) && first.contains(r#""token":"key""#), "{first}");
        peer.say(READY.replace(r#""s":1"#, r#""s":7"#));
        (server, peer)
    });
    let client = GatewayClient::connect_over(GatewayParams::default(), options, transport).await.unwrap();
    let mut client = client.identify(identify()).await.unwrap();
    assert_eq!(patiently(numbers(&mut client, 7)).await, [1, 7]);
    patiently(played).await.unwrap();
}
