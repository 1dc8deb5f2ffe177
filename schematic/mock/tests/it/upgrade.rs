//! What is refused before anything is said.

use schematic_mock::{Happened, Mock};

use crate::client::{Client, mock};

async fn refused(mock: &Mock, path: &str, headers: &[(&'static str, &str)]) -> (u16, String) {
    match Client::try_open(mock, path, headers).await {
        Ok(_) => panic!("{path} was accepted"),
        Err(refusal) => refusal,
    }
}

const TOKEN: [(&str, &str); 1] = [("authorization", "Token key")];

#[tokio::test]
async fn paths_and_their_parameters_are_checked() {
    let mock = mock("elevenlabs", "").await;
    for path in
        ["/", "/v1/text-to-speech/stream-input", "/v1/text-to-speech//stream-input", "/v1/text-to-speech/v"]
    {
        assert_eq!(refused(&mock, path, &[]).await.0, 404, "{path}");
    }
    Client::open(&mock, "/v1/text-to-speech/a%20voice/stream-input", &[]).await;
    let opened = Happened::Opened { endpoint: "StreamTextToSpeech".into() };
    assert_eq!(mock.log().last().unwrap().what, opened);
}

#[tokio::test]
async fn query_parameters_are_checked() {
    let mock = mock("deepgram", "").await;
    let (status, reason) = refused(&mock, "/v1/listen", &TOKEN).await;
    assert_eq!((status, reason.trim()), (400, "the query parameter `model` is missing"));
    let (status, reason) = refused(&mock, "/v1/listen?model=m&channels=two", &TOKEN).await;
    assert_eq!((status, reason.trim()), (400, "the query parameter `channels` is no whole number"));
    let (status, reason) = refused(&mock, "/v1/listen?model=m&mock=fall", &TOKEN).await;
    assert_eq!(status, 400);
    assert!(reason.starts_with("`fall` is no misbehaviour"), "{reason}");
}

#[tokio::test]
async fn credentials_are_checked_and_never_said_back() {
    let mock = mock("deepgram", "").await;
    let path = "/v1/listen?model=m";
    let (status, reason) = refused(&mock, path, &[]).await;
    assert_eq!(status, 401);
    assert!(reason.contains("in the header `Authorization` or as a subprotocol"), "{reason}");
    assert_eq!(refused(&mock, path, &[("authorization", "Bearer key")]).await.0, 401);
    let offer = [("sec-websocket-protocol", "token, key")];
    let (_client, chosen) = Client::try_open(&mock, path, &offer).await.unwrap();
    assert_eq!(chosen.as_deref(), Some("token"));
}

#[tokio::test]
async fn a_subprotocol_has_to_be_offered() {
    let mock = mock("graphql_transport_ws", "").await;
    let (status, reason) = refused(&mock, "/graphql", &[]).await;
    assert_eq!((status, reason.trim()), (400, "offer one of these subprotocols: graphql-transport-ws"));
}
