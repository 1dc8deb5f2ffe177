//! The matrix over HTTP and at the sockets' doors: every credential × every address.
//!
//! The dialect's addresses come from its own list of routes, the server's own from the text of the routers; an address
//! without a row fails. What an identity may is said here in one small table, [`may`], without a look at the checks.

use futures_util::StreamExt;
use futures_util::stream;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidewire_engine::identity::{Grant, Grants, Identity};
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{Clock, RecordId};
use tidewire_protocols::live_data::http::{Method, ROUTES, Route};
use tokio_tungstenite::tungstenite::Error;

use crate::client::Client;
use crate::house::{House, KEY};

/// What an address needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nothing.
    Open,
    /// To be let in.
    LetIn,
    /// To read `orders`.
    Read,
    /// To write `orders`.
    Write,
    /// To read the key-value store.
    ReadKv,
    /// To write it.
    WriteKv,
    /// To own the chat.
    Chat,
    /// To be an admin.
    Admin,
    /// To show a key itself; a token is none.
    Key,
    /// To show an admin's key itself.
    AdminKey,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    WrongKey,
    /// A token that another server has signed.
    ForeignToken,
    ExpiredToken,
    /// A token of a reader's key in somebody else's name.
    BorrowedToken,
    RevokedKey,
    RevokedToken,
    AdminKey,
    AdminToken,
    /// The token that an admin's key made for somebody who owns the chat and reads `orders`.
    NarrowedToken,
    /// Reads `orders`, and owns the chat.
    ReaderKey,
    ReaderToken,
    WriterKey,
    KvReaderKey,
    KvWriterKey,
    /// Has no grant and no chat.
    StrangerKey,
    StrangerToken,
}

const EVERYBODY: [Who; 17] = [
    Who::Nobody,
    Who::WrongKey,
    Who::ForeignToken,
    Who::ExpiredToken,
    Who::BorrowedToken,
    Who::RevokedKey,
    Who::RevokedToken,
    Who::AdminKey,
    Who::AdminToken,
    Who::NarrowedToken,
    Who::ReaderKey,
    Who::ReaderToken,
    Who::WriterKey,
    Who::KvReaderKey,
    Who::KvWriterKey,
    Who::StrangerKey,
    Who::StrangerToken,
];

/// The policy: whether it is known who asks, and then what each may.
fn may(who: Who, rule: Rule) -> bool {
    let rules: &[Rule] = match who {
        Who::Nobody
        | Who::WrongKey
        | Who::ForeignToken
        | Who::ExpiredToken
        | Who::BorrowedToken
        | Who::RevokedKey
        | Who::RevokedToken => return rule == Rule::Open,
        Who::AdminKey => return true,
        Who::AdminToken => return !matches!(rule, Rule::Key | Rule::AdminKey),
        Who::NarrowedToken | Who::ReaderToken => &[Rule::Read, Rule::Chat],
        Who::ReaderKey => &[Rule::Read, Rule::Chat, Rule::Key],
        Who::WriterKey => &[Rule::Read, Rule::Write, Rule::Key],
        Who::KvReaderKey => &[Rule::ReadKv, Rule::Key],
        Who::KvWriterKey => &[Rule::ReadKv, Rule::WriteKv, Rule::Key],
        Who::StrangerKey => &[Rule::Key],
        Who::StrangerToken => &[],
    };
    matches!(rule, Rule::Open | Rule::LetIn) || rules.contains(&rule)
}

/// Whether it is known who asks.
fn is_known(who: Who) -> bool {
    may(who, Rule::LetIn)
}

/// What is asked.
struct Ask {
    method: &'static str,
    path: String,
    body: Value,
    rule: Rule,
}

/// The rule and the body of each address of the dialect. One that is not built needs no more than to be let in.
fn of_route(route: &Route, chat: &str) -> (Rule, Value) {
    let none = Value::Null;
    match route.id {
        "GetConfig" | "ListCollections" | "ListModels" | "ListModelsOf" | "ListTools" | "ListChats" => {
            (Rule::LetIn, none)
        }
        "SetConfig" => (Rule::Admin, json!({"use_typed_values": true})),
        "InsertRecord" => (Rule::Write, json!({"n": 1})),
        "UpdateRecord" => (Rule::Write, json!({"n": 2})),
        "ActOnRecord" => (Rule::Write, json!({"field": "n", "value": 1})),
        "ActOnRecordInSequence" => (Rule::Write, json!([["increment", "n", 1]])),
        "DeleteRecord" => (Rule::Write, none),
        "BatchInsertRecords" => (Rule::Write, json!({"inserts": [{"data": {"n": 1}}]})),
        "BatchUpdateRecords" => (Rule::Write, json!({"updates": [{"id": "r1", "data": {"n": 1}}]})),
        "BatchDeleteRecords" => (Rule::Write, json!({"deletes": [{"id": "r1"}]})),
        "FindRecords" | "ListDistinct" => (Rule::Read, json!({})),
        "SearchRecords" => (Rule::Read, json!({"query": "tea"})),
        "FindRecord" | "GetCollection" | "GetSchema" | "SubscribeToRecords" => (Rule::Read, none),
        "MakeCollection" => (Rule::Admin, json!({"fields": {}})),
        "ChangeSchema" => (Rule::Admin, json!({"constraints": {"n": {"required": false}}})),
        "DropCollection" => (Rule::Admin, none),
        "KvGet" => (Rule::ReadKv, none),
        "KvBatchGet" => (Rule::ReadKv, json!({"keys": ["k"]})),
        "KvFind" => (Rule::ReadKv, json!({})),
        "KvSet" => (Rule::WriteKv, json!({"value": 1})),
        "KvBatchSet" => (Rule::WriteKv, json!({"keys": ["k"], "values": [1]})),
        "KvBatchDelete" => (Rule::WriteKv, json!({"keys": ["k"]})),
        "KvDelete" | "KvClear" => (Rule::WriteKv, none),
        "Complete" | "StreamCompletion" => {
            (Rule::LetIn, json!({"system_prompt": "s", "message": "2 tokens"}))
        }
        "Embed" => (Rule::LetIn, json!({"text": "tea"})),
        "ExecuteTool" => (Rule::LetIn, json!({"tool": "nothing", "params": {}})),
        "CreateChat" | "CreateChatSession" => (Rule::LetIn, json!({"collections": [], "llm_provider": ""})),
        "BranchChat" => (Rule::Chat, json!({"collections": [], "llm_provider": "", "parent_id": chat})),
        "MergeChats" => {
            let merge =
                json!({"source_chat_ids": [chat], "target_chat_id": chat, "merge_strategy": "LatestOnly"});
            (Rule::Chat, merge)
        }
        "GetChat"
        | "DeleteChat"
        | "ListChatMessages"
        | "GetChatMessage"
        | "DeleteChatMessage"
        | "RegenerateChatMessage" => (Rule::Chat, none),
        "UpdateChat" => (Rule::Chat, json!({"title": "t"})),
        "CompactChat" => (Rule::Chat, json!({})),
        "SendChatMessage" | "StreamChatMessage" => (Rule::Chat, json!({"message": "2 tokens"})),
        "AnswerTool" => (Rule::Chat, json!({"call_id": "c", "success": true, "result": {}})),
        "EditChatMessage" => (Rule::Chat, json!({"content": "other"})),
        "ForgetChatMessage" => (Rule::Chat, json!({"forgotten": true})),
        other => {
            assert!(route.check_built().is_err(), "{other} has no row");
            (Rule::LetIn, none)
        }
    }
}

fn written(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

fn asked(route: &Route, chat: &str) -> Ask {
    let (rule, body) = of_route(route, chat);
    let named = [
        ("{collection}", "orders"),
        ("{chat_id}", chat),
        ("{message_id}", "1"),
        ("{action}", "increment"),
        ("{field}", "n"),
        ("{id}", "r1"),
        ("{key}", "k"),
    ];
    let path = named.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value));
    Ask { method: written(route.method), path: path.replace(['{', '}'], ""), body, rule }
}

const NAMED_GRANT: &str = "\"/api/auth/keys/{key}/permissions/{facet}/{name}\"";
const ORDERS_OF_NOBODY: &str = "/api/auth/keys/nothing/permissions/collections/orders";

/// The server's own addresses, as the routers write them, with what is asked there.
fn own(credential: &str) -> Vec<(&'static str, Ask)> {
    let ask = |method, path: &str, body, rule| Ask { method, path: path.into(), body, rule };
    let none = Value::Null;
    let grants = json!([{"collection": "orders"}]);
    vec![
        ("\"/metrics\"", ask("GET", "/metrics", none.clone(), Rule::LetIn)),
        ("HEALTH", ask("GET", "/api/health", none.clone(), Rule::Open)),
        // It reads the collections of the catalogue, which nobody here was granted.
        ("\"/api/catalog\"", ask("GET", "/api/catalog", none.clone(), Rule::Admin)),
        ("\"/api/chats\"", ask("GET", "/api/chats", none.clone(), Rule::LetIn)),
        ("\"/api/tickets\"", ask("POST", "/api/tickets", none.clone(), Rule::LetIn)),
        ("\"/api/tickets\"", ask("POST", "/api/tickets", json!({"subject": "bob"}), Rule::Admin)),
        ("\"/api/tickets\"", ask("POST", "/api/tickets", json!({"grants": grants}), Rule::Admin)),
        ("backup::PATH", ask("POST", "/api/backup", none.clone(), Rule::Admin)),
        (
            "import::PATH",
            ask("POST", "/api/import", json!({"collection": "orders", "fingerprint": "f"}), Rule::Write),
        ),
        (
            "ingest::PATH",
            ask(
                "POST",
                "/api/ingest",
                json!({"missing": {"collection": "orders", "hashes": []}}),
                Rule::Write,
            ),
        ),
        ("\"/api/auth/token\"", ask("POST", "/api/auth/token", json!({"api_key": credential}), Rule::Key)),
        (
            "\"/api/auth/token\"",
            ask("POST", "/api/auth/token", json!({"api_key": credential, "subject": "bob"}), Rule::AdminKey),
        ),
        ("\"/api/auth/rotate\"", ask("POST", "/api/auth/rotate", none.clone(), Rule::Admin)),
        ("\"/api/auth/register\"", ask("POST", "/api/auth/register", json!({"label": "l"}), Rule::Admin)),
        (
            "\"/api/auth/register\"",
            ask("POST", "/api/auth/register", json!({"api_key": credential, "label": "l"}), Rule::Admin),
        ),
        ("\"/api/auth/keys\"", ask("GET", "/api/auth/keys", none.clone(), Rule::Admin)),
        ("\"/api/auth/keys/{key}\"", ask("DELETE", "/api/auth/keys/nothing", none.clone(), Rule::Admin)),
        (
            "\"/api/auth/keys/{key}/permissions\"",
            ask("GET", "/api/auth/keys/me/permissions", none.clone(), Rule::LetIn),
        ),
        (
            "\"/api/auth/keys/{key}/permissions\"",
            ask("GET", "/api/auth/keys/nothing/permissions", none.clone(), Rule::Admin),
        ),
        (
            "\"/api/auth/keys/{key}/permissions/{facet}\"",
            ask("GET", "/api/auth/keys/me/permissions/kv", none.clone(), Rule::LetIn),
        ),
        (
            "\"/api/auth/keys/{key}/permissions/{facet}\"",
            ask("GET", "/api/auth/keys/nothing/permissions/collections", none.clone(), Rule::Admin),
        ),
        (NAMED_GRANT, ask("GET", "/api/auth/keys/nothing/permissions/kv/*", none.clone(), Rule::Admin)),
        (NAMED_GRANT, ask("PUT", ORDERS_OF_NOBODY, json!({"read": true, "write": true}), Rule::Admin)),
        (NAMED_GRANT, ask("PATCH", ORDERS_OF_NOBODY, json!({"read": true}), Rule::Admin)),
        (NAMED_GRANT, ask("DELETE", ORDERS_OF_NOBODY, none.clone(), Rule::Admin)),
        ("\"/api/openapi.json\"", ask("GET", "/api/openapi.json", none.clone(), Rule::Open)),
        ("\"/api/{*rest}\"", ask("GET", "/api/nothing", none, Rule::Open)),
    ]
}

/// A token with this secret, in this name and for this key, that ends in so many seconds.
fn signed(secret: &[u8], subject: &str, key: &str, seconds: i64) -> String {
    let now = tidewire_engine::id::SystemClock.now().0 / 1_000_000;
    let claims =
        json!({"sub": subject, "key": key, "iat": now - 60, "exp": now + seconds, "iss": "tidewire"});
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A server with keys of all kinds, some of which are good no more.
struct Stage {
    house: House,
    http: reqwest::Client,
    credentials: Vec<Option<String>>,
}

impl Stage {
    async fn open() -> Self {
        let house = House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await;
        let mut stage = Self { house, http: reqwest::Client::new(), credentials: Vec::new() };
        for who in EVERYBODY {
            let credential = stage.credential(who).await;
            stage.credentials.push(credential);
        }
        stage
    }

    async fn credential(&self, who: Who) -> Option<String> {
        let grant = |name: &str, rights: &[&str]| json!({"collection_permissions": {name: rights}});
        let reader = || {
            let mut reader = grant("orders", &["read"]);
            reader["subject"] = json!("ann");
            reader
        };
        let made = match who {
            Who::Nobody => return None,
            Who::WrongKey => "tw_0123456789abcdef".into(),
            Who::ForeignToken => self.forged(b"another secret, just as long as ours, or longer", 600).await,
            Who::ExpiredToken => self.forged(&self.secret(), -1).await,
            Who::BorrowedToken => signed(&self.secret(), "bob", &self.key(reader()).await.1, 600),
            Who::RevokedKey => self.revoked().await.0,
            Who::RevokedToken => self.revoked().await.1,
            Who::AdminKey => KEY.into(),
            Who::AdminToken => self.token(json!({"api_key": KEY})).await,
            Who::NarrowedToken => {
                let grants = json!([{"collection": "orders"}]);
                self.token(json!({"api_key": KEY, "subject": "ann", "grants": grants})).await
            }
            Who::ReaderKey => self.key(reader()).await.0,
            Who::ReaderToken => self.token(json!({"api_key": self.key(reader()).await.0})).await,
            Who::WriterKey => self.key(grant("orders", &["read", "write"])).await.0,
            Who::KvReaderKey => self.key(grant("_kv", &["read"])).await.0,
            Who::KvWriterKey => self.key(grant("_kv", &["read", "write"])).await.0,
            Who::StrangerKey => self.key(json!({})).await.0,
            Who::StrangerToken => self.token(json!({"api_key": self.key(json!({})).await.0})).await,
        };
        Some(made)
    }

    async fn posted(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(self.house.url(path)).bearer_auth(KEY).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path} {body}");
        response.json().await.unwrap()
    }

    /// A new key and its id.
    async fn key(&self, body: Value) -> (String, String) {
        let made = self.posted("/api/auth/register", body).await;
        (made["key"].as_str().unwrap().into(), made["id"].as_str().unwrap().into())
    }

    async fn token(&self, body: Value) -> String {
        self.posted("/api/auth/token", body).await["token"].as_str().unwrap().into()
    }

    /// An admin's key that was revoked, and a token of its.
    async fn revoked(&self) -> (String, String) {
        let (key, id) = self.key(json!({"is_admin": true})).await;
        let token = self.token(json!({"api_key": key})).await;
        let delete = self.http.delete(self.house.url(&format!("/api/auth/keys/{id}"))).bearer_auth(KEY);
        assert_eq!(delete.send().await.unwrap().status(), 200);
        (key, token)
    }

    fn secret(&self) -> Vec<u8> {
        let text = std::fs::read_to_string(self.house.data().join("token.key")).unwrap();
        let digits = text.trim().as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// An admin's token with this secret, that ends in so many seconds.
    async fn forged(&self, secret: &[u8], seconds: i64) -> String {
        let (_, id) = self.key(json!({"is_admin": true})).await;
        signed(secret, "admin", &id, seconds)
    }

    fn of(&self, who: Who) -> Option<&str> {
        let place = EVERYBODY.iter().position(|known| *known == who).unwrap();
        self.credentials[place].as_deref()
    }

    /// A chat of ann's, and a record, for an address that needs them.
    async fn scene(&self, rule: Rule) -> String {
        if matches!(rule, Rule::Read | Rule::Write | Rule::Admin) {
            let body = [(String::from("n"), json!(1))].into_iter().collect();
            let write = Write::new("orders", RecordId::from("r1"), Operation::Put(body));
            let now = tidewire_engine::id::SystemClock.now();
            self.house.store.commit(&"admin".into(), now, vec![write]).await.unwrap();
        }
        if rule != Rule::Chat {
            return "0".repeat(32);
        }
        let body = json!({"collections": [], "llm_provider": ""});
        let request = self.http.post(self.house.url("/api/chat")).json(&body);
        let made = request.bearer_auth(self.of(Who::ReaderKey).unwrap()).send().await.unwrap();
        made.json::<Value>().await.unwrap()["chat_id"].as_str().unwrap().to_owned()
    }

    async fn send(&self, who: Who, ask: &Ask) -> (StatusCode, String) {
        let mut request = self.http.request(ask.method.parse().unwrap(), self.house.url(&ask.path));
        if let Some(credential) = self.of(who) {
            request = request.bearer_auth(credential);
        }
        if !ask.body.is_null() {
            request = request.json(&ask.body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        // A stream that was let in does not end.
        let text = if status.is_success() { String::new() } else { response.text().await.unwrap() };
        (status, text)
    }

    /// What is wrong about the answer, if anything.
    async fn judge(&self, who: Who, ask: &Ask) -> Option<String> {
        let (status, text) = self.send(who, ask).await;
        let no_chat = status == 404 && text.contains("there is no such chat");
        let refused = matches!(status.as_u16(), 401 | 403) || no_chat;
        let right = if may(who, ask.rule) {
            !refused
        } else if !is_known(who) || matches!(ask.rule, Rule::Key) {
            status == 401
        } else if ask.rule == Rule::AdminKey {
            refused
        } else if ask.rule == Rule::Chat {
            no_chat
        } else {
            status == 403
        };
        (!right)
            .then(|| format!("{who:?}: {} {} needs {:?}: {status} {text}", ask.method, ask.path, ask.rule))
    }
}

#[tokio::test]
async fn the_policy_holds_for_every_address_of_the_dialect() {
    let stage = Stage::open().await;
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for route in ROUTES {
        for who in EVERYBODY {
            let chat = stage.scene(of_route(route, "").0).await;
            wrong.extend(stage.judge(who, &asked(route, &chat)).await);
            cells += 1;
        }
    }
    eprintln!("{cells} cells: {} addresses of live_data, {} credentials", ROUTES.len(), EVERYBODY.len());
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(cells, ROUTES.len() * EVERYBODY.len());
}

#[tokio::test]
async fn the_policy_holds_for_the_servers_own_addresses() {
    let stage = Stage::open().await;
    let (mut wrong, mut cells) = (Vec::new(), 0);
    for who in EVERYBODY {
        for (_, ask) in own(stage.of(who).unwrap_or_default()) {
            // It voids every token, so who may do it does it last.
            if ask.path.ends_with("/rotate") && may(who, ask.rule) {
                continue;
            }
            wrong.extend(stage.judge(who, &ask).await);
            cells += 1;
        }
    }
    for (who, status) in [(Who::AdminToken, 200), (Who::AdminToken, 401), (Who::AdminKey, 200)] {
        let rotate =
            Ask { method: "POST", path: "/api/auth/rotate".into(), body: Value::Null, rule: Rule::Admin };
        assert_eq!(stage.send(who, &rotate).await.0, status, "{who:?}");
        cells += 1;
    }
    eprintln!("{cells} cells: the server's own addresses");
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(cells, own("").len() * EVERYBODY.len() + 1);
}

/// What the routers' text says: nobody adds an address without a row here.
#[test]
fn every_address_is_asked() {
    let sources = [
        include_str!("../../src/http.rs"),
        include_str!("../../src/auth/http.rs"),
        include_str!("../../src/calls.rs"),
    ];
    let routed = sources.iter().flat_map(|source| source.split(".route(").skip(1));
    let routed = routed.map(|text| text.split([',', ')']).next().unwrap().trim());
    // What is routed in a loop: the dialect's addresses, and its sockets.
    let mut routed: Vec<_> = routed.filter(|name| !matches!(*name, "route.path" | "path")).collect();
    let mut known: Vec<_> = own("").into_iter().map(|(name, _)| name).collect();
    routed.sort_unstable();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known, routed);
}

async fn knock(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> u16 {
    match Client::connect_with(stage.house.address, path, headers).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
    }
}

/// Sockets are opened by a bearer or by a ticket, under each name, and only where a page may.
#[tokio::test]
async fn the_policy_holds_at_every_socket() {
    let stage = Stage::open().await;
    let protocols = tidewire_protocols::ALL.iter();
    let paths: Vec<String> = protocols
        .flat_map(|protocol| std::iter::once(&protocol.path).chain(protocol.also))
        .map(|path| path.replace("{session_id}", "s").replace(['{', '}'], ""))
        .collect();
    let mut cells = 0;
    for who in EVERYBODY {
        let bearer = format!("Bearer {}", stage.of(who).unwrap_or_default());
        let mut headers: Vec<(&str, &str)> =
            stage.of(who).map(|_| ("authorization", bearer.as_str())).into_iter().collect();
        let ticket =
            Ask { method: "POST", path: "/api/tickets".into(), body: Value::Null, rule: Rule::LetIn };
        for path in &paths {
            let expected = if is_known(who) { 101 } else { 401 };
            assert_eq!(knock(&stage, path, &headers).await, expected, "{who:?} at {path}");
            assert_eq!(stage.judge(who, &ticket).await, None);
            cells += 2;
        }
        headers.push(("host", "rebound.example"));
        for path in &paths {
            assert_eq!(knock(&stage, path, &headers).await, 403, "{who:?} at {path} under another name");
            cells += 1;
        }
        headers.pop();
        headers.push(("origin", "https://evil.example"));
        for path in &paths {
            let opened = Client::connect_with(stage.house.address, path, &headers).await;
            let refused = match opened {
                Ok(mut client) => client.closed().await.0 >= 1008,
                Err(_) => !is_known(who),
            };
            assert!(refused, "{who:?} at {path} from a foreign page");
            cells += 1;
        }
    }
    eprintln!("{cells} cells at the sockets' doors");
    assert_eq!(cells, EVERYBODY.len() * paths.len() * 4);
}

/// Pages of other origins, and names that are rebound to our address, whoever's credential the browser sends.
#[tokio::test]
async fn foreign_pages_and_foreign_names_are_refused_whoever_they_use() {
    let stage = Stage::open().await;
    let paths =
        ["/api/tickets", "/api/insert/orders", "/api/auth/token", "/api/chat", "/api/import", "/api/nothing"];
    let cases = stream::iter(EVERYBODY).flat_map(|who| stream::iter(paths).map(move |path| (who, path)));
    let cells: Vec<_> = cases.collect().await;
    for (who, path) in cells {
        let request = || {
            let request = stage.http.post(stage.house.url(path));
            stage
                .of(who)
                .map(|credential| request.try_clone().unwrap().bearer_auth(credential))
                .unwrap_or(request)
        };
        for (header, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("host", "rebound.example")]
        {
            let status = request().header(header, value).send().await.unwrap().status();
            assert_eq!(status, 403, "{who:?} {path} with {header} {value}");
        }
    }
}

/// A token that says less than its key stays what it is, whatever it is shown to.
#[tokio::test]
async fn a_narrowed_token_gains_nothing() {
    let stage = Stage::open().await;
    let narrowed = stage.of(Who::NarrowedToken).unwrap();
    let trade = stage.http.post(stage.house.url("/api/auth/token")).json(&json!({"api_key": narrowed}));
    let refused = trade.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let answer: Value = refused.json().await.unwrap();
    assert_eq!(answer["message"], "a token gets no other token; send the key itself");
    let ticket = stage.http.post(stage.house.url("/api/tickets")).bearer_auth(KEY);
    let ticket = ticket.json(&json!({"grants": [{"collection": "orders"}]})).send().await.unwrap();
    let ticket: Value = ticket.json().await.unwrap();
    let path = format!("/api/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut client = Client::connect(stage.house.address, &path).await;
    client.send(json!({"type": "Insert", "payload": {"collection": "orders", "record": {"n": 1}}})).await;
    let answer = client.next().await;
    assert!(answer.to_string().contains("no access to the collection"), "{answer}");
}

/// What the engine is handed is what the table says: nobody's grants grow on the way.
#[tokio::test]
async fn permissions_are_what_was_granted() {
    let stage = Stage::open().await;
    let reader = Identity {
        key: None,
        subject: "ann".into(),
        grants: Grants::Collections(vec![Grant { collection: "orders".into(), write: false }]),
    };
    for who in [Who::ReaderKey, Who::ReaderToken, Who::NarrowedToken] {
        let request = stage.http.get(stage.house.url("/api/auth/keys/me/permissions"));
        let shown: Value =
            request.bearer_auth(stage.of(who).unwrap()).send().await.unwrap().json().await.unwrap();
        assert_eq!(shown["admin"], reader.is_admin());
        let collections = shown["collections"].as_object().unwrap();
        assert_eq!(collections.keys().collect::<Vec<_>>(), ["orders"], "{who:?}");
        assert_eq!(collections["orders"]["write"], reader.check_write("orders").is_ok(), "{who:?}");
    }
}
