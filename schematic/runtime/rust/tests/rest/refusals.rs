//! Where credentials may go, and what bad requests and bad replies become.

use futures_util::StreamExt;
use schematic_runtime::rest::{Api, Auth, Call, Client, Error, Items, Method, NoFault, Options, Pages, Turn};
use schematic_runtime::{Credential, ErrorKind, Frame, RECEIVED_LIMIT};
use serde_json::Value;

use crate::server::{Server, json, with};
use crate::{API, client};

fn get() -> Call {
    Call::new(Method::GET, "/x/{id}").path("id", "1")
}

/// The error that is not about a status.
fn call_error<T: std::fmt::Debug>(sent: Result<T, Error<NoFault>>) -> schematic_runtime::Error {
    match sent.unwrap_err() {
        Error::Call(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_place_of_the_credential() {
    let server = Server::start([]).await;
    for auth in [Auth::Query { name: "key" }, Auth::Cookie { name: "sid" }, Auth::Basic, Auth::None] {
        let client = Client::new(&Api { auth, ..API }, server.options()).unwrap();
        client.send::<NoFault>(get().query("q", Some("a b&c")).cookie("c", Some("1;2"))).await.unwrap();
    }
    let [query, cookie, basic, none] = &server.seen()[..] else { panic!() };
    assert_eq!(query.path, "/x/1?q=a%20b%26c&key=s3cr%2Ft");
    assert_eq!(cookie.header("cookie"), "c=1%3B2; sid=s3cr/t");
    assert_eq!(basic.header("authorization"), "Basic YW5uOnMzY3IvdA==");
    assert_eq!((none.path.as_str(), none.header("authorization")), ("/x/1?q=a%20b%26c", ""));
}

#[tokio::test]
async fn redirects_are_followed_with_the_credential_at_home_and_without_it_elsewhere() {
    let away = Server::start([]).await;
    let to = |url: String| with(307, &[("location", &url)], "");
    let home = Server::start([to("/y?a=1".into()), to(format!("{}/z", away.url))]).await;
    let call = get().header("X-Tenant", Some("t")).header("Accept", Some("a/b")).cookie("c", Some(1));
    client(home.options()).send::<NoFault>(call).await.unwrap();
    let seen = home.seen();
    assert_eq!(
        (seen[1].path.as_str(), seen[1].header("x-key"), seen[1].header("cookie")),
        ("/y?a=1", "s3cr/t", "c=1")
    );
    let stranger = away.only();
    let names = ["x-key", "x-tenant", "cookie", "accept"].map(|name| stranger.header(name).to_owned());
    assert_eq!(names, ["", "", "", "a/b"]);
}

#[tokio::test]
async fn a_redirect_reads_anew_or_repeats_the_body_but_carries_neither_body_nor_key_away() {
    let post = || Call::new(Method::POST, "/x").json(&1);
    let to_y = |status| with(status, &[("location", "/y")], "");
    let home = Server::start([to_y(303), json(200, ""), to_y(307)]).await;
    client(home.options()).send::<NoFault>(post()).await.unwrap();
    client(home.options()).send::<NoFault>(post()).await.unwrap();
    let asked: Vec<_> =
        home.seen().into_iter().map(|seen| (seen.method.clone(), seen.text().to_owned())).collect();
    let expected =
        [("POST", "1"), ("GET", ""), ("POST", "1"), ("POST", "1")].map(|(m, b)| (m.to_owned(), b.to_owned()));
    assert_eq!(asked, expected);
    for (call, location) in [(post(), "http://127.0.0.1:9/"), (get(), "http://127.0.0.1:9/?k=s3cr%2Ft")] {
        let home = Server::start([with(308, &[("location", location)], "")]).await;
        let error = call_error(client(home.options()).send(call).await);
        assert_eq!(error.kind, ErrorKind::Insecure);
        assert!(!error.message.contains("s3cr"), "{error}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let circle = || with(302, &[("location", "/x")], "");
    let home = Server::start((0..20).map(|_| circle())).await;
    assert_eq!(call_error(client(home.options()).send(get()).await).kind, ErrorKind::Protocol);
    assert_eq!(home.seen().len(), 11);
}

#[test]
fn clients_that_would_give_the_credential_away_are_not_made() {
    let made = |url: &str, credential: Option<&str>| {
        let credential = credential.map(Credential::new);
        let options = Options { base_url: Some(url.into()), credential, ..Options::default() };
        Client::new(&API, options).map(drop).map_err(|error| (error.kind, error.message))
    };
    for url in ["http://example.com", "http://127.0.0.1.example.com"] {
        assert_eq!(made(url, Some("k")).unwrap_err().0, ErrorKind::Insecure, "{url}");
    }
    for url in ["http://localhost:1", "http://[::1]:1", "https://example.com/base"] {
        assert_eq!(made(url, Some("k")), Ok(()), "{url}");
    }
    for url in ["", "ftp://h", "https://user:secret@h", "https://h/?key=secret"] {
        let (kind, message) = made(url, Some("k")).unwrap_err();
        assert!(kind == ErrorKind::Connect && !message.contains("secret"), "{message}");
    }
    let (kind, message) = made("https://h", None).unwrap_err();
    assert!(kind == ErrorKind::Auth && message.contains("SCHEMATIC_REST_TEST_KEY"), "{message}");
}

#[tokio::test]
async fn secrets_do_not_travel_unencrypted_in_parameters_either() {
    let options =
        Options { base_url: Some("http://example.com".into()), anonymous: true, ..Options::default() };
    let call = get().header("X-Session-Token", Some("abc"));
    let error = call_error(client(options).send(call).await);
    assert!(error.kind == ErrorKind::Insecure && !error.message.contains("abc"), "{error}");
}

#[tokio::test]
async fn nothing_that_prints_shows_the_credential() {
    let server = Server::start([json(500, "no s3cr/t here")]).await;
    let client = client(server.options());
    let error = client.send::<NoFault>(get()).await.unwrap_err();
    assert_eq!(error, Error::Unexpected { status: 500, body: "no *** here".into() });
    let reply = client.send::<NoFault>(get()).await.unwrap();
    let opened = client.open::<NoFault>(get()).await.unwrap();
    let call = get().header("X-Key", Some("s3cr/t")).cookie("sid", Some("s3cr/t"));
    let printed = format!("{client:?} {:?} {reply:?} {opened:?} {call:?}", server.options());
    assert!(printed.contains("127.0.0.1") && !printed.contains("s3cr/t"), "{printed}");
}

#[tokio::test]
async fn values_that_would_lead_elsewhere_are_refused_before_anything_is_sent() {
    let server = Server::start([]).await;
    let path = |value: &str| Call::new(Method::GET, "/x/{id}").path("id", value);
    let calls = [
        path(""),
        path("."),
        path(".."),
        get().header("X-A", Some("1\r\nX-B: 2")),
        get().header("X-A", Some("ä")),
    ];
    for call in calls {
        assert_eq!(call_error(client(server.options()).send(call).await).kind, ErrorKind::Shape);
    }
    assert!(server.seen().is_empty());
    for hostile in ["a/b ä?#", "../..", "%2e%2e", "{id}"] {
        client(server.options()).send::<NoFault>(path(hostile)).await.unwrap();
    }
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/x/a%2Fb%20%C3%A4%3F%23", "/x/..%2F..", "/x/%252e%252e", "/x/%7Bid%7D"]);
}

#[tokio::test]
async fn a_body_that_is_not_as_declared_is_an_error_that_carries_its_beginning() {
    let long = format!("\"{}\"", "ä".repeat(RECEIVED_LIMIT));
    let server = Server::start([json(200, "{\"a\": s3cr/t"), json(200, &long)]).await;
    let broken = client(server.options()).send::<NoFault>(get()).await.unwrap().json::<Value>().unwrap_err();
    assert_eq!((broken.kind, broken.received), (ErrorKind::Shape, Some(Frame::Text("{\"a\": ***".into()))));
    let wrong = client(server.options()).send::<NoFault>(get()).await.unwrap().json::<u8>().unwrap_err();
    assert!(wrong.message.starts_with("GET /x/{id}: the body with status 200 is not as declared"), "{wrong}");
    let Some(Frame::Text(kept)) = wrong.received else { panic!() };
    assert_eq!(kept.len(), RECEIVED_LIMIT - 1);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read_to_its_end() {
    let server = Server::start([json(200, &"x".repeat(5000)), json(500, &"y".repeat(5000))]).await;
    let options = Options { body_bytes: 2000, ..server.options() };
    let error = call_error(client(options.clone()).send(get()).await);
    assert!(error.message.contains("longer than 2000 bytes"), "{error}");
    assert!(matches!(error.received, Some(Frame::Text(text)) if text.len() == RECEIVED_LIMIT));
    let Error::Unexpected { status: 500, body } = client(options).send::<NoFault>(get()).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!(body, "y".repeat(RECEIVED_LIMIT));
}

#[tokio::test]
async fn a_streamed_value_that_is_not_as_declared_ends_the_stream() {
    let server = Server::start([with(200, &[], "1\n2\nx\n4\n"), with(200, &[], &"1".repeat(3000))]).await;
    let options = Options { body_bytes: 2000, ..server.options() };
    let open = async || client(options.clone()).open::<NoFault>(get()).await.unwrap();
    let items: Vec<Result<u8, _>> = open().await.lines().collect().await;
    assert_eq!(items.len(), 3);
    assert_eq!((items[0].clone(), items[1].clone()), (Ok(1), Ok(2)));
    assert_eq!(items[2].as_ref().unwrap_err().received, Some(Frame::Text("x".into())));
    let long: Vec<Result<Value, _>> = open().await.events().collect().await;
    assert!(matches!(&long[..], [Err(error)] if error.message.contains("longer than 2000 bytes")));
}

fn pages(server: &Server, turn: Turn) -> Items<u8, Error<NoFault>> {
    client(server.options()).pages(get(), Pages { turn, items: &["list"] })
}

#[tokio::test]
async fn a_list_that_would_never_end_is_an_error() {
    let server = Server::start((0..9).map(|_| json(200, r#"{"list": [1], "next": "a"}"#))).await;
    let items: Vec<_> = pages(&server, Turn::Cursor { param: "after", next: &["next"] }).collect().await;
    assert_eq!(items.len(), 2);
    assert!(matches!(&items[1], Err(Error::Call(error)) if error.kind == ErrorKind::Protocol), "{items:?}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_page_without_its_list_is_an_error() {
    for body in ["{}", "[]", "no", r#"{"list": [300]}"#] {
        let server = Server::start([json(200, body)]).await;
        let items: Vec<_> = pages(&server, Turn::Link).collect().await;
        assert!(
            matches!(&items[..], [Err(Error::Call(error))] if error.kind == ErrorKind::Shape),
            "{items:?}"
        );
    }
}
