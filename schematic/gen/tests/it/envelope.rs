//! Tag and id are read before the body, bodies in every declared layout.

use schematic_runtime::{MemoryTransport, Options, Peer, memory};
use serde_json::value::RawValue;

use crate::clients::envelope::client::TalkClient;
use crate::written::envelope::{ClientMessage, DecodeError, Failure, Find, Raw, ServerMessage, Success};

#[track_caller]
fn check(frame: &str, id: Option<&str>, expected: ClientMessage) {
    let enveloped = ClientMessage::decode(frame).unwrap();
    assert_eq!(enveloped.id.as_deref().map(RawValue::get), id, "{frame}");
    assert_eq!(enveloped.message.unwrap(), expected, "{frame}");
}

#[test]
fn bodies_lie_where_a_layout_says() {
    let find = || ClientMessage::Find(Find { collection: "c".into() });
    check(r#"{"type":"Find","messageId":"7","payload":{"collection":"c"}}"#, Some("\"7\""), find());
    check(r#"{"payload":{"collection":"c","messageId":7},"type":"Find"}"#, Some("7"), find());
    check(r#"{"type":"Find","id":8,"payload":{"collection":"c"}}"#, Some("8"), find());
    let raw = || ClientMessage::Raw(Raw { message: "hi".into() });
    check(r#"{"type":"Raw","message":"hi"}"#, None, raw());
    check(r#"{"type":"Raw","messageId":{"a":1},"payload":{"message":"hi"}}"#, Some(r#"{"a":1}"#), raw());
}

#[test]
fn a_bad_body_still_has_its_id() {
    for frame in [r#"{"type":"Find","messageId":7}"#, r#"{"type":"Find","messageId":7,"collection":"c"}"#] {
        let enveloped = ClientMessage::decode(frame).unwrap();
        assert_eq!(enveloped.id.as_deref().map(RawValue::get), Some("7"));
        assert!(matches!(enveloped.message, Err(DecodeError::Body { message: "Find", .. })), "{frame}");
    }
}

#[test]
fn an_unknown_type_still_has_its_id() {
    let frame = r#"{"type":"Fly","messageId":7,"payload":{}}"#;
    check(frame, Some("7"), ClientMessage::Unknown { tag: Some("Fly".into()), raw: frame.into() });
}

#[test]
fn the_first_layout_is_written() {
    let id: Box<RawValue> = serde_json::from_str("\"7\"").unwrap();
    let success = ServerMessage::Success(Success { data: vec![1].into() });
    assert_eq!(success.encode(Some(&id)), r#"{"type":"Success","messageId":"7","payload":{"data":[1]}}"#);
    assert_eq!(success.encode(None), r#"{"type":"Success","payload":{"data":[1]}}"#);
    let failure = ServerMessage::Failure(Failure { code: 404 });
    assert_eq!(failure.encode(Some(&id)), r#"{"type":"Error","messageId":"7","code":404}"#);
    assert_eq!(failure.encode(None), r#"{"type":"Error","code":404}"#);
}

async fn connected() -> (TalkClient, Peer) {
    let (transport, mut server): (MemoryTransport, _) = memory();
    let (client, peer) = tokio::join!(TalkClient::connect_over(Options::new(), transport), server.accept());
    (client.unwrap(), peer.unwrap())
}

#[tokio::test]
async fn a_request_has_an_id_and_finds_its_reply_among_others() {
    let (mut client, mut peer) = connected().await;
    let answer = async {
        let asked = peer.text().await.unwrap();
        assert_eq!(asked, r#"{"type":"Find","messageId":1,"payload":{"collection":"c"}}"#);
        peer.say(r#"{"type":"Success","messageId":2,"payload":{"data":"another's"}}"#);
        peer.say(r#"{"type":"Error","messageId":1,"code":404}"#);
    };
    let (reply, ()) = tokio::join!(client.find_reply(Find { collection: "c".into() }), answer);
    assert_eq!(reply.unwrap().message, ServerMessage::Failure(Failure { code: 404 }));
    let other = client.next().await.unwrap().unwrap();
    assert_eq!(
        (other.id, other.message),
        (Some(2.into()), ServerMessage::Success(Success { data: "another's".into() }))
    );
}
