//! Attacks on the server's own program: each is refused in a sentence, the server lives on, and others are served
//! meanwhile. Who may what is `matrix`, foreign pages are `door` and `matrix`, damaged lines are `disconnects`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidewire_protocols::live_data::pack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::binary::{Server, free_address};
use crate::client::{Client, PATIENCE};
use crate::house::KEY;

/// While an attack goes on, an honest client gets its answer within this.
const SOON: Duration = Duration::from_secs(5);

/// A program that is attacked.
struct Target {
    server: Server,
    address: SocketAddr,
    _folder: TempDir,
}

impl Target {
    /// With these settings, as environment variables without their prefix.
    async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let server = Server::with_settings(folder.path(), address, settings).await;
        Self { server, address, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An honest client is answered.
    async fn serves(&self) {
        let begun = Instant::now();
        let mut client = Client::connect(self.address, "/ws/honest").await;
        client.ask("2 tokens").await;
        assert_eq!(client.until("agent").await["content"], "token token ");
        assert!(begun.elapsed() < SOON, "an honest client waited {:?}", begun.elapsed());
    }

    /// The value of a figure.
    async fn figure(&self, name: &str) -> f64 {
        let text = reqwest::get(self.url("/metrics")).await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// How often somebody ran into this limit.
    async fn limited(&self, limit: &str) -> f64 {
        self.figure(&format!("tidewire_limited_total{{limit=\"{limit}\"}}")).await
    }

    /// Bytes of memory that the program has touched.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A socket after its handshake, to write whatever one likes.
    async fn raw_socket(&self, path: &str) -> TcpStream {
        let mut raw = self.raw().await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        raw.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(raw.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "compression was not agreed to: {head}");
        raw
    }
}

/// Everything until the other side closes, which it does soon.
async fn rest(raw: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, raw.read_to_end(&mut rest)).await;
    // A reset is an end, too.
    let _ = read.expect("the server ends the connection");
    rest
}

/// A masked frame with the mask 0.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// The code and the reason in what a server has sent last.
fn close(bytes: &[u8]) -> (u16, String) {
    let place = bytes.iter().rposition(|byte| *byte == 0x88).expect("a close frame");
    let length = usize::from(bytes[place + 1]);
    let body = &bytes[place + 2..place + 2 + length];
    (u16::from_be_bytes([body[0], body[1]]), String::from_utf8(body[2..].to_vec()).unwrap())
}

/// Packed values that nest too deep, or say that they are far longer than they are.
fn lying() -> Vec<Vec<u8>> {
    vec![
        [vec![0x91; 200_000], vec![0xc0]].concat(),
        [[0x81, 0xa1, b'a'].repeat(100_000), vec![0xc0]].concat(),
        vec![0xdd, 0xff, 0xff, 0xff, 0xff],
        vec![0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, b'a'],
        vec![0xdb, 0xff, 0xff, 0xff, 0xff, b'x'],
        vec![0xc6, 0xff, 0xff, 0xff, 0xff, 1],
        vec![0xc9, 0xff, 0xff, 0xff, 0xff, 1, 1],
        vec![0xc1],
        Vec::new(),
    ]
}

#[tokio::test]
async fn messages_that_nest_deep_or_lie_about_their_length_are_refused_in_a_sentence() {
    let target = Target::with(&[]).await;
    target.serves().await;
    let before = target.memory();
    let mut client = Client::connect(target.address, "/api/ws").await;
    for packed in lying() {
        client.socket.send(Message::binary(packed.clone())).await.unwrap();
        let refused = client.next().await;
        let head = &packed[..packed.len().min(8)];
        assert_eq!(refused["type"], "Error", "{head:?}: {refused}");
        assert!(
            refused["message"].as_str().is_some_and(|sentence| sentence.len() > 10),
            "{head:?}: {refused}"
        );
        assert!(refused.to_string().len() < 1000, "{head:?}");
    }
    for (open, shut) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [129, 10_000, 200_000] {
            let record = format!("{}1{}", open.repeat(depth), shut.repeat(depth));
            let insert =
                format!(r#"{{"type":"Insert","payload":{{"collection":"c","record":{{"x":{record}}}}}}}"#);
            client.send_text(&insert).await;
            let refused = client.next().await;
            assert_eq!(refused["type"], "Error", "{depth}: {refused}");
        }
    }
    let mut session = Client::connect(target.address, "/ws/deep").await;
    session.send_text(&format!("{{\"content\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))).await;
    assert_eq!(session.next().await["code"], "VALIDATION_ERROR");
    session.ask("2 tokens").await;
    session.until("agent").await;
    client.send(json!({"type": "Insert", "payload": {"collection": "c", "record": {"id": "a"}}})).await;
    assert_eq!(client.next().await["type"], "Success");
    let grown = target.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes were kept");
    target.serves().await;
}

/// So many MiB of spaces are as many kB of gzip.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..mebibytes {
        packed.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    packed.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies_are_refused_and_never_unpacked() {
    let target = Target::with(&[]).await;
    target.serves().await;
    let (before, small, large) = (target.memory(), bomb(4), bomb(256));
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    for path in ["/api/insert/c", "/api/import", "/api/ingest", "/api/auth/token", "/api/tickets"] {
        for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
            let request = || http.post(target.url(path)).header("content-encoding", encoding);
            // Who still sends when it is refused may find the connection closed instead of an answer.
            if let Ok(response) = request().body(large.clone()).send().await {
                assert_eq!(response.status(), 400, "{path} {encoding}");
            }
            let response = request().body(small.clone()).send().await.unwrap();
            assert_eq!(response.status(), 400, "{path} {encoding}");
            let text = response.text().await.unwrap();
            assert!(text.contains("compressed bodies are not taken"), "{path} {encoding}: {text}");
        }
    }
    // A frame that says that it is compressed, although nobody agreed to that.
    let mut raw = target.raw_socket("/ws/bomb").await;
    raw.write_all(&frame(0xc1, b"{}")).await.unwrap();
    assert_eq!(close(&rest(&mut raw).await), (1002, "the frame breaks RFC 6455".into()));
    let grown = target.memory().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes were kept");
    target.serves().await;
}

#[tokio::test]
async fn too_many_headers_or_too_long_ones_end_the_request() {
    let target = Target::with(&[]).await;
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(64 << 10));
    for headers in [many, long] {
        let mut raw = target.raw().await;
        let request = format!("GET /api/health HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", target.address);
        // It may close before it has taken all of it.
        let _ = raw.write_all(request.as_bytes()).await;
        let answer = rest(&mut raw).await;
        // What was sent behind the refusal may make the system throw the answer away.
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let mut endless = target.raw().await;
    endless.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    let (mut sent, piece) = (0usize, vec![b'a'; 4096]);
    while sent < 4 << 20 && endless.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    assert!(sent < 4 << 20, "a header without an end was taken");
    target.serves().await;
}

/// Writes the same again and again, and reads what comes, until the server closes. What came last.
async fn flood(mut raw: TcpStream, piece: Vec<u8>, times: usize) -> Vec<u8> {
    let (mut reader, mut writer) = raw.split();
    let mut last = Vec::new();
    let reading = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(Ok(read @ 1..)) = tokio::time::timeout(PATIENCE, reader.read(&mut buffer)).await {
            last.extend_from_slice(&buffer[..read]);
            last.drain(..last.len().saturating_sub(200));
        }
    };
    let writing = async {
        for _ in 0..times {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
    };
    tokio::join!(reading, writing);
    last
}

#[tokio::test]
async fn a_flood_of_pings_is_cut_off_and_counted() {
    let target = Target::with(&[("LIMITS_CONTROL_FRAMES", "50")]).await;
    for opcode in [0x89, 0x8a] {
        let flooded = flood(target.raw_socket("/ws/flood").await, frame(opcode, b"x"), 100_000).await;
        assert_eq!(close(&flooded), (1008, "too many pings; send one now and then".into()));
    }
    assert_eq!(target.limited("control_frames").await, 2.0);
    let mut calm = Client::connect(target.address, "/ws/calm").await;
    for _ in 0..40 {
        calm.socket.send(Message::Ping(Vec::new().into())).await.unwrap();
    }
    calm.ask("2 tokens").await;
    calm.until("agent").await;
    target.serves().await;
}

/// Each kind fills a connection of its own while an honest client asks.
#[tokio::test]
async fn floods_of_empty_fragments_and_tiny_frames_hold_nobody_up() {
    let target = Target::with(&[]).await;
    let begun = frame(0x01, b"{");
    let kinds = [
        ("empty fragments", frame(0x00, b"").repeat(1000)),
        ("tiny frames", frame(0x81, b"1").repeat(1000)),
        ("empty frames", frame(0x81, b"").repeat(1000)),
        ("unknown commands", frame(0x81, b"{\"type\":\"Nothing\"}").repeat(100)),
    ];
    let before = target.memory();
    let mut floods = JoinSet::new();
    for (kind, piece) in kinds {
        for path in ["/ws/flood", "/api/ws", "/chat/ws"] {
            let mut raw = target.raw_socket(path).await;
            if kind == "empty fragments" {
                raw.write_all(&begun).await.unwrap();
            }
            floods.spawn(flood(raw, piece.clone(), 300));
        }
    }
    for _ in 0..5 {
        target.serves().await;
    }
    floods.join_all().await;
    let grown = target.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes were kept");
    target.serves().await;
}

#[tokio::test]
async fn who_is_slow_to_send_a_head_is_cut_off() {
    let target = Target::with(&[("LIMITS_HANDSHAKE_SECONDS", "1")]).await;
    let begun = Instant::now();
    let mut slow = JoinSet::new();
    for number in 0..60 {
        let mut raw = target.raw().await;
        slow.spawn(async move {
            let head: &[u8] = if number % 2 == 0 { b"" } else { b"GET /ws/slow HTTP/1.1\r\nHost: x" };
            let _ = raw.write_all(head).await;
            let (mut reader, mut writer) = raw.split();
            let mut answer = Vec::new();
            let dribble = async {
                while number % 2 == 1 && writer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = dribble => {}
                ended = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)) => {
                    let _ = ended.expect("it is cut off");
                }
            }
        });
    }
    target.serves().await;
    slow.join_all().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    target.serves().await;
}

#[tokio::test]
async fn who_is_slow_to_send_a_body_is_told_so_and_counted() {
    let target = Target::with(&[("LIMITS_BODY_SECONDS", "1")]).await;
    for path in ["/api/insert/c", "/api/import"] {
        let mut raw = target.raw().await;
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n{{", target.address);
        raw.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = raw.split();
        let dribble = async {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        tokio::select! {
            () = dribble => {}
            ended = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)) => drop(ended.expect("it is cut off")),
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 504"), "{path}: {answer}");
        assert!(answer.contains("the body was not whole after 1 s; send less at once"), "{path}: {answer}");
    }
    assert_eq!(target.limited("body_seconds").await, 2.0);
    target.serves().await;
}

/// Why a socket is not served, if it is not.
async fn refusal(client: &mut Client) -> Option<(u16, String)> {
    client.send(json!({"content": ""})).await;
    match client.message().await {
        Some(Message::Close(Some(frame))) => Some((frame.code.into(), frame.reason.to_string())),
        Some(Message::Text(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_address_holds_so_many_connections_and_others_as_many() {
    let target = Target::with(&[("LIMITS_CONNECTIONS_PER_ADDRESS", "3"), ("BEHIND_PROXY", "true")]).await;
    let connect = async |sender: &str| {
        Client::connect_with(target.address, "/ws/s", &[("x-forwarded-for", sender)]).await.unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = connect("203.0.113.9").await;
        assert_eq!(refusal(&mut client).await, None);
        held.push(client);
    }
    // What the client says of others before the proxy is not believed.
    let full = refusal(&mut connect("192.0.2.1, 203.0.113.9").await).await;
    let sentence = "too many connections come from this address; close some of them";
    assert_eq!(full, Some((1013, sentence.into())));
    let stream = reqwest::Client::new().get(target.url("/api/subscribe/c"));
    let stream = stream.header("x-forwarded-for", "203.0.113.9").send().await.unwrap();
    assert_eq!((stream.status().as_u16(), &stream.headers()["retry-after"]), (429, &"10".parse().unwrap()));
    assert!(stream.text().await.unwrap().contains(sentence));
    assert_eq!(refusal(&mut connect("203.0.113.10").await).await, None);
    assert_eq!(refusal(&mut connect("2001:db8::1").await).await, None);
    assert_eq!(target.limited("connections_per_address").await, 2.0);
    held.pop();
    comes_back(async || refusal(&mut connect("203.0.113.9").await).await.is_none()).await;
    target.serves().await;
}

/// A place is given back when the server has noticed that somebody went.
async fn comes_back(served: impl AsyncFn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !served().await {
        assert!(Instant::now() < until, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_key_holds_so_many_connections_in_one_name() {
    let target = Target::with(&[("LIMITS_CONNECTIONS_PER_IDENTITY", "2"), ("API_KEYS", KEY)]).await;
    let bearer = format!("Bearer {KEY}");
    let connect =
        async || Client::connect_with(target.address, "/ws/s", &[("authorization", &bearer)]).await.unwrap();
    let (mut first, mut second) = (connect().await, connect().await);
    assert_eq!((refusal(&mut first).await, refusal(&mut second).await), (None, None));
    let sentence = "too many connections are open with this key; close some of them";
    assert_eq!(refusal(&mut connect().await).await, Some((1013, sentence.into())));
    let http = reqwest::Client::new();
    let ticket = http.post(target.url("/api/tickets")).bearer_auth(KEY).json(&json!({"subject": "ann"}));
    let ticket: Value = ticket.send().await.unwrap().json().await.unwrap();
    let path = format!("/ws/s?ticket={}", ticket["ticket"].as_str().unwrap());
    assert_eq!(refusal(&mut Client::connect(target.address, &path).await).await, None, "another name");
    drop(first);
    comes_back(async || refusal(&mut connect().await).await.is_none()).await;
}

#[tokio::test]
async fn one_connection_has_so_many_watches_and_follows_and_each_filter_an_end() {
    let target = Target::with(&[("LIMITS_WATCHES", "4"), ("LIMITS_FOLLOWS", "4")]).await;
    let mut client = Client::connect(target.address, "/api/ws").await;
    let mut refused = Vec::new();
    for number in 0..6 {
        let payload = json!({"collection": format!("c{number}")});
        client.send(json!({"type": "Subscribe", "messageId": "1", "payload": payload})).await;
        refused.extend(sentence(client.next().await));
        let payload = json!({"chat_id": format!("chat{number}")});
        client.send(json!({"type": "ChatFollow", "messageId": "1", "payload": payload})).await;
        refused.extend(sentence(client.next().await));
    }
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert!(refused[0].contains("at most 4"), "{refused:?}");
    let one = json!({"type": "Condition", "content": {"field": "a", "operator": "Eq", "value": 1}});
    let wide =
        json!({"type": "Logical", "content": {"operator": "Or", "expressions": vec![one.clone(); 20_000]}});
    let mut deep = one;
    for _ in 0..40 {
        deep = json!({"type": "Logical", "content": {"operator": "And", "expressions": [deep]}});
    }
    for filter in [wide, deep] {
        let payload = json!({"collection": "c0", "filter": filter});
        client.send(json!({"type": "Subscribe", "messageId": "2", "payload": payload})).await;
        let told = sentence(client.next().await).expect("it is refused");
        assert!(told.contains("a filter") || told.contains("nests deeper"), "{told}");
    }
    target.serves().await;
}

/// What an error says, if it is one.
fn sentence(frame: Value) -> Option<String> {
    (frame["type"] == "Error").then(|| frame["message"].as_str().unwrap().to_owned())
}

/// What a packed frame looks like is not made up here: a good one is understood.
#[tokio::test]
async fn a_good_packed_frame_is_served() {
    let target = Target::with(&[]).await;
    let mut client = Client::connect(target.address, "/api/ws").await;
    let insert = json!({"type": "Insert", "payload": {"collection": "c", "record": {"id": "a"}}});
    let packed = pack::from_json(insert.to_string().as_bytes()).unwrap();
    client.socket.send(Message::binary(packed)).await.unwrap();
    assert_eq!(client.next().await["type"], "Success");
}
