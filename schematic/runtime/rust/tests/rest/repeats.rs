//! What is repeated, and after which wait.

use std::sync::Arc;
use std::time::Duration;

use schematic_runtime::rest::{Call, Error, Method, NoFault, Options, Reply};
use schematic_runtime::{Credential, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client;
use crate::server::{Server, Waits, json, with};

type Sent = Result<Reply, Error<NoFault>>;

/// Sends one call to a server with these answers, and gives the waits.
async fn send(method: Method, answers: Vec<axum::response::Response>) -> (Sent, Server, Vec<f64>) {
    let server = Server::start(answers).await;
    let waits = Waits::default();
    let client = client(Options { clock: Arc::new(waits.clone()), ..server.options() });
    let sent = client.send(Call::new(method, "/x")).await;
    (sent, server, waits.seconds())
}

#[tokio::test]
async fn an_idempotent_call_is_repeated_after_growing_waits() {
    let (sent, server, waits) = send(Method::GET, vec![json(503, ""), json(502, ""), json(504, "")]).await;
    assert_eq!(sent.unwrap().status(), 200);
    assert_eq!((server.seen().len(), waits), (4, vec![0.5, 1.0, 2.0]));
}

#[tokio::test]
async fn it_is_given_up_after_the_last_repetition() {
    let answers = (0..9).map(|_| json(429, "slow down")).collect();
    let (sent, server, waits) = send(Method::DELETE, answers).await;
    assert_eq!(sent.unwrap_err(), Error::Unexpected { status: 429, body: "slow down".into() });
    assert_eq!((server.seen().len(), waits.len()), (4, 3));
}

#[tokio::test]
async fn the_server_may_say_how_long_to_wait() {
    let later = |when: &str| with(429, &[("retry-after", when)], "");
    // The clock stands at 08:49:37. The last wait is longer than is allowed.
    let answers = vec![later("7"), later("Sun, 06 Nov 1994 08:49:40 GMT"), later("86400")];
    let (sent, _, waits) = send(Method::PUT, answers).await;
    assert_eq!((sent.unwrap().status(), waits), (200, vec![7.0, 3.0, 60.0]));
    let (_, _, waits) = send(Method::GET, vec![later("Sun, 06 Nov 1994 08:00:00 GMT"), later("soon")]).await;
    assert_eq!(waits, [0.0, 1.0]);
}

#[tokio::test]
async fn what_is_not_idempotent_is_sent_once() {
    for method in [Method::POST, Method::PATCH] {
        let (sent, server, waits) = send(method, vec![with(503, &[("retry-after", "1")], "")]).await;
        assert!(matches!(sent, Err(Error::Unexpected { status: 503, .. })));
        assert_eq!((server.seen().len(), waits), (1, vec![]));
    }
}

#[tokio::test]
async fn other_errors_are_not_repeated() {
    for status in [400, 404, 500, 501] {
        let (sent, server, _) = send(Method::GET, vec![json(status, "")]).await;
        assert_eq!(sent.unwrap_err(), Error::Unexpected { status, body: String::new() });
        assert_eq!(server.seen().len(), 1);
    }
}

/// Serves raw bytes, one connection each, and counts the connections.
async fn raw(answers: Vec<&'static str>) -> (Options, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    let served = tokio::spawn(async move {
        let count = answers.len();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            if !answer.is_empty() {
                let mut asked = [0; 4096];
                let _ = socket.read(&mut asked).await.unwrap();
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        count
    });
    let credential = Some(Credential::new("k3y"));
    let options = Options { base_url, credential, clock: Arc::new(Waits::default()), ..Options::default() };
    (options, served)
}

#[tokio::test]
async fn lost_connections_are_repeated_also_in_the_middle_of_a_body() {
    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
    let (options, served) = raw(vec!["", half, whole]).await;
    let reply = client(options).send::<NoFault>(Call::new(Method::GET, "/x")).await.unwrap();
    assert_eq!((reply.bytes(), served.await.unwrap()), (b"{}".to_vec(), 3));
    let (options, _) = raw(vec![""]).await;
    let lost = client(options).send::<NoFault>(Call::new(Method::POST, "/x")).await.unwrap_err();
    assert!(matches!(lost, Error::Call(error) if error.kind == ErrorKind::Disconnected));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let waits = Waits::default();
    let options = Options {
        base_url: Some(url.clone()),
        credential: Some(Credential::new("k3y")),
        clock: Arc::new(waits.clone()),
        ..Options::default()
    };
    let call = Call::new(Method::GET, "/x").query("token", Some("k3y"));
    let Error::Call(error) = client(options).send::<NoFault>(call).await.unwrap_err() else { panic!() };
    assert_eq!((error.kind, waits.seconds().len()), (ErrorKind::Connect, 3));
    assert!(error.message.starts_with("GET /x: ") && !error.message.contains("k3y"), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        base_url: Some(format!("http://{}", listener.local_addr().unwrap())),
        anonymous: true,
        timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let sent = client(options).send::<NoFault>(Call::new(Method::GET, "/x")).await;
    assert!(matches!(sent, Err(Error::Call(error)) if error.kind == ErrorKind::Timeout));
}
