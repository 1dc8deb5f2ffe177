//! Handshakes by message, requests and their replies, restored subscriptions, binary frames, contexts.

use schematic_mock::{Faults, Happened, Mock};
use schematic_runtime::{Failure, Open, Replies};
use serde_json::json;

use crate::deepgram::client::{ListenClient, ListenParams};
use crate::deepgram::wire as deepgram;
use crate::eleven_labs::client::{
    MultiContextTextToSpeechClient, MultiContextTextToSpeechParams, MultiContextTextToSpeechSession,
};
use crate::eleven_labs::wire as speech;
use crate::graphql::client::GraphqlClient;
use crate::graphql::wire as graphql;
use crate::home::client::{HomeClient, HomeSession};
use crate::home::wire::{Auth, GetStates, Ping, ServerMessage, SubscribeEvents};
use crate::support::{mock, options, patiently, received};

async fn home(mock: &Mock) -> HomeClient<Open> {
    let client = HomeClient::connect_with(options(mock)).await.unwrap();
    client.auth(Auth::default()).await.unwrap()
}

#[tokio::test]
async fn replies_find_their_requests_by_id() {
    let mock = mock("home_assistant", "").await;
    let client = home(&mock).await;
    let token =
        Happened::Received { message: "Auth".into(), frame: json!({"type": "auth", "access_token": "key"}) };
    assert!(mock.log().iter().any(|entry| entry.what == token), "the credential is filled in");
    let states = GetStates { id: client.next_id() };
    let ping = Ping { id: client.next_id() };
    let (states, pong) = tokio::join!(client.get_states_reply(states), client.ping_reply(ping));
    let (states, pong) = (states.unwrap(), pong.unwrap());
    assert!(matches!(&states, ServerMessage::CommandResult(result) if result.id == 1), "{states:?}");
    assert!(matches!(&pong, ServerMessage::Pong(pong) if pong.id == 2), "{pong:?}");
}

/// The next reply of a subscription: `result` or `event`.
async fn kind(replies: &mut Replies<HomeSession>) -> &'static str {
    match patiently(replies.next()).await.expect("the subscription goes on").unwrap() {
        ServerMessage::CommandResult(_) => "result",
        ServerMessage::Event(_) => "event",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_subscription_outlives_its_link() {
    let mock = mock("home_assistant", "drop:3,connections=1").await;
    let client = home(&mock).await;
    let subscribe = SubscribeEvents { id: client.next_id(), ..SubscribeEvents::default() };
    let mut replies = client.subscribe_events_replies(subscribe).await.unwrap();
    assert_eq!([kind(&mut replies).await, kind(&mut replies).await], ["result", "event"]);
    client.ping(Ping { id: client.next_id() }).await.unwrap();
    assert_eq!([kind(&mut replies).await, kind(&mut replies).await], ["result", "event"]);
    let said: Vec<String> = received(&mock).into_iter().filter(|message| message != "Ping").collect();
    assert_eq!(said, ["Auth", "SubscribeEvents", "Auth", "SubscribeEvents"]);
}

#[tokio::test]
async fn a_refused_opening_is_an_error_that_brings_the_client_back() {
    let mut all = schematic_definitions::all().into_iter();
    let (_, definition) = all.find(|(name, _)| *name == "home_assistant").unwrap();
    let right = schematic_mock::Options {
        credential: Some("right".into()),
        faults: Faults::none(),
        ..schematic_mock::Options::default()
    };
    let mock = Mock::start_with(definition, right).await.unwrap();
    let client = HomeClient::connect_with(options(&mock)).await.unwrap();
    let interrupted = patiently(client.auth(Auth::default())).await.unwrap_err();
    let Failure::Disconnected { ending, .. } = &interrupted.failure else { panic!("{interrupted:?}") };
    assert_eq!((ending.code, ending.reason.as_str()), (1008, "the credential in Auth is not the right one"));
    let mut client = interrupted.client;
    let first = client.next().await.unwrap().unwrap();
    assert!(matches!(first, ServerMessage::AuthRequired(_)), "{first:?}");
}

#[tokio::test]
async fn a_stream_of_replies_ends_with_its_last() {
    let mock = mock("graphql_transport_ws", "").await;
    let client = GraphqlClient::connect_with(options(&mock)).await.unwrap();
    let client = client.connection_init(graphql::ConnectionInit::default()).await.unwrap();
    let payload = graphql::Request { query: "subscription { x }".into(), ..graphql::Request::default() };
    let mut replies = client.subscribe_replies(graphql::Subscribe { id: "a".into(), payload }).await.unwrap();
    let next = patiently(replies.next()).await.unwrap().unwrap();
    assert!(matches!(&next, graphql::ServerMessage::Next(next) if next.id == "a"), "{next:?}");
    let last = patiently(replies.next()).await.unwrap().unwrap();
    assert!(matches!(last, graphql::ServerMessage::Complete(_)), "{last:?}");
    assert!(patiently(replies.next()).await.is_none());
}

#[tokio::test]
async fn audio_goes_out_in_binary_frames() {
    let mock = mock("deepgram", "").await;
    let params = ListenParams { model: "nova-3".into(), ..ListenParams::default() };
    let client = ListenClient::connect_with(params, options(&mock)).await.unwrap();
    client.audio(deepgram::Bytes(vec![0, 1, 2])).await.unwrap();
    let mut client = client.close_stream(Default::default()).await.unwrap();
    let mut heard = Vec::new();
    while let Some(message) = patiently(client.next()).await {
        heard.push(message.unwrap());
    }
    assert!(matches!(heard[..], [deepgram::ServerMessage::Results(_), deepgram::ServerMessage::Metadata(_)]));
    let audio = Happened::Received { message: "Audio".into(), frame: json!("AAEC") };
    assert!(mock.log().iter().any(|entry| entry.what == audio));
}

#[tokio::test]
async fn contexts_are_told_apart() {
    let mock = mock("elevenlabs", "").await;
    let params = MultiContextTextToSpeechParams { voice_id: "v".into(), ..Default::default() };
    let client = MultiContextTextToSpeechClient::connect_with(params, options(&mock)).await.unwrap();
    let first = speech::InitializeConnectionMultiMessage {
        context_id: Some("one".into()),
        ..speech::InitializeConnectionMultiMessage::default()
    };
    let client = client.initialize_connection_multi(first).await.unwrap();
    for context in ["one", "two"] {
        let text = speech::SendTextMultiMessage {
            text: "Hello ".into(),
            context_id: Some(context.into()),
            ..speech::SendTextMultiMessage::default()
        };
        client.send_text_multi(text).await.unwrap();
    }
    let mut client = client.close_socket(Default::default()).await.unwrap();
    let mut contexts = Vec::new();
    while let Some(message) = patiently(client.next()).await {
        contexts.extend(MultiContextTextToSpeechSession::context(&message.unwrap()));
    }
    assert_eq!(contexts, ["one", "two", "one", "two"]);
}
