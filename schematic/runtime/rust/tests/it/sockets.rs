//! Over real sockets: a server that cuts at a chosen message, breaks the protocol, or looks at the upgrade.

use futures_util::{SinkExt, StreamExt};
use schematic_runtime::{
    AuthWay, Confirm, Connection, Credential, ErrorKind, Event, Policy, Target, WebSocketTransport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::support::{Words, closed, kind, replaying, until};

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn connect(url: String, policy: Policy) -> Connection<Words> {
    Connection::open(Words { url, ..Words::default() }, WebSocketTransport, policy)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    accept_async(listener.accept().await.unwrap().0).await.unwrap()
}

/// Acknowledges messages and cuts the link, without a goodbye, after `count` of them.
fn cutting(listener: TcpListener, count: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut socket = accept(&listener).await;
        for _ in 0..count {
            let text = socket.next().await.unwrap().unwrap();
            socket.send(Message::text(format!("ack {text}"))).await.unwrap();
        }
    })
}

#[tokio::test]
async fn each_message_is_acknowledged_or_handed_back_in_order() {
    for cut in [0, 1, 100, 199] {
        let (listener, url) = listen().await;
        let server = cutting(listener, cut);
        let mut connection = connect(url, Policy { confirm: Confirm::Answer, ..Policy::default() });
        let all: Vec<_> = (0..200).map(|n| format!("chunk {n}")).collect();
        for message in &all {
            connection.sender().try_send(message.clone()).unwrap();
        }
        let mut seen = Vec::new();
        let unsent = loop {
            match connection.next().await.unwrap() {
                Event::Message(message) => seen.push(message.replace("ack ", "")),
                Event::Closed { unsent, .. } => break unsent,
                _ => {}
            }
        };
        server.await.unwrap();
        assert!(seen.len() <= cut, "{cut}");
        seen.extend(unsent);
        assert_eq!(seen, all, "{cut}");
    }
}

#[tokio::test]
async fn a_reset_is_a_cut_from_which_a_session_comes_back() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let socket = accept(&listener).await;
        // Something unread makes the system reset the link when it is dropped.
        socket.get_ref().readable().await.unwrap();
        drop(socket);
        accept(&listener).await.next().await
    });
    let mut connection = connect(url, replaying());
    connection.send("init".into()).await.unwrap();
    let lost = until(&mut connection, |event| matches!(event, Event::Reconnecting { .. })).await;
    let Event::Reconnecting { cause, .. } = lost else { panic!("{lost:?}") };
    assert_eq!(kind(&cause), Some(ErrorKind::Disconnected), "{cause}");
    assert_eq!(server.await.unwrap().unwrap().unwrap(), Message::text("init"));
}

#[tokio::test]
async fn a_cut_before_the_upgrade_hands_everything_back() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let mut connection = connect(url, Policy::default());
    connection.send("a".into()).await.unwrap();
    let (ending, unsent) = closed(&mut connection).await;
    server.await.unwrap();
    assert_eq!((kind(&ending), unsent), (Some(ErrorKind::Connect), vec!["a".to_owned()]));
}

#[tokio::test]
async fn after_a_goodbye_what_comes_too_late_is_refused() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let mut socket = accept(&listener).await;
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let mut connection = connect(url, Policy::default());
    assert_eq!(closed(&mut connection).await.0.code, 1005);
    server.await.unwrap();
    let refused = connection.send("late".into()).await.unwrap_err();
    assert_eq!((refused.message.as_str(), refused.error.kind), ("late", ErrorKind::Closed));
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_ends_the_connection_with_a_typed_error() {
    let frames: [(&[u8], ErrorKind); 3] = [
        (&[0x81, 0x02, 0xff, 0xfe], ErrorKind::Shape),
        (&[0x81, 0x7e, 0x10, 0x00], ErrorKind::Shape),
        (&[0xf1, 0x00], ErrorKind::Protocol),
    ];
    for (bytes, expected) in frames {
        let (listener, url) = listen().await;
        let server = tokio::spawn(async move {
            let mut socket = accept(&listener).await;
            socket.get_mut().write_all(bytes).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        });
        let mut policy = crate::support::replaying();
        policy.inbound.message_bytes = 1024;
        let mut connection = connect(url, policy);
        assert_eq!(kind(&closed(&mut connection).await.0), Some(expected), "{bytes:?}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_message_is_told_bounded_and_ends_nothing() {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        let mut socket = accept(&listener).await;
        socket.send(Message::text(format!("{{bad{}", "x".repeat(5000)))).await.unwrap();
        socket.send(Message::binary(vec![0; 5000])).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let mut connection = connect(url, Policy::default());
    for _ in 0..2 {
        let event = until(&mut connection, |event| matches!(event, Event::Error(_))).await;
        let Event::Error(error) = event else { panic!("{event:?}") };
        assert_eq!((error.kind, error.received.map(|frame| frame.len())), (ErrorKind::Shape, Some(1024)));
    }
    assert_eq!(connection.state(), schematic_runtime::State::Open);
}

/// Answers the upgrade with this and gives what was asked.
async fn upgrade(target: impl Fn(Target) -> Target, answer: &'static str) -> (String, Option<ErrorKind>) {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(socket.read_u8().await.unwrap());
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    let session = Words { target: Some(target(Target::new(url))), ..Words::default() };
    let mut connection = Connection::open(session, WebSocketTransport, Policy::default());
    let (ending, _) = closed(&mut connection).await;
    assert!(!format!("{ending:?}").contains("s3cret"), "{ending:?}");
    (server.await.unwrap(), kind(&ending))
}

#[tokio::test]
async fn credentials_reach_the_upgrade_and_no_redirect() {
    let header = AuthWay::Header { name: "Authorization".into(), prefix: "Bearer ".into() };
    let query = AuthWay::Query { name: "token".into(), prefix: String::new() };
    let cookie = AuthWay::Cookie { name: "sid".into() };
    let protocol = AuthWay::Subprotocol { prefix: "key.".into(), beside: vec!["realtime".into()] };
    let cases = [
        (header, "authorization: bearer s3cret\r\n"),
        (query, "get /?token=s3cret "),
        (cookie, "cookie: sid=s3cret\r\n"),
        (protocol, "sec-websocket-protocol: realtime, key.s3cret\r\n"),
    ];
    let moved = "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/?token=s3cret\r\nContent-Length: 0\r\n\r\n";
    for (way, expected) in cases {
        let (asked, kind) = upgrade(|target| target.auth(&way, &Credential::new("s3cret")), moved).await;
        assert!(asked.to_lowercase().contains(expected), "{asked}");
        assert_eq!(kind, Some(ErrorKind::Connect));
    }
    let denied = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(upgrade(|target| target, denied).await.1, Some(ErrorKind::Auth));
}

#[tokio::test]
async fn a_subprotocol_has_to_be_chosen() {
    let (listener, url) = listen().await;
    tokio::spawn(async move { drop(accept(&listener).await) });
    let target = Some(Target::new(url).protocol("graphql-transport-ws"));
    let session = Words { target, ..Words::default() };
    let mut connection = Connection::open(session, WebSocketTransport, Policy::default());
    assert_eq!(kind(&closed(&mut connection).await.0), Some(ErrorKind::Protocol));
}
