//! Keys and tokens, over real sockets and with the real command.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client as Http;
use serde_json::{Value, json};
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tokio::runtime::Builder;
use tokio_tungstenite::tungstenite::Error;

use crate::binary::{Server, free_address};
use crate::client::Client;
use crate::house::{House, KEY, Plan};

async fn keyed() -> House {
    House::with(|plan| plan.config.api_keys = vec![KEY.into()]).await
}

/// A request with a bearer: its status and its JSON.
async fn ask(house: &House, method: &str, path: &str, bearer: Option<&str>, body: Value) -> (u16, Value) {
    let mut request = Http::new().request(method.parse().unwrap(), house.url(path));
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

async fn token(house: &House, body: Value) -> (u16, Value) {
    ask(house, "POST", "/api/auth/token", None, body).await
}

async fn register(house: &House, body: Value) -> (String, String) {
    let (status, made) = ask(house, "POST", "/api/auth/register", Some(KEY), body).await;
    assert_eq!(status, 200, "{made}");
    (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
}

async fn socket(house: &House, bearer: &str) -> Result<Client, u16> {
    session_of(house, bearer, "a").await
}

async fn session_of(house: &House, bearer: &str, session: &str) -> Result<Client, u16> {
    let (path, bearer) = (format!("/ws/{session}"), format!("Bearer {bearer}"));
    let opened = Client::connect_with(house.address, &path, &[("authorization", &bearer)]).await;
    opened.map_err(|error| match error {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn a_key_is_traded_for_a_token_that_opens_everything_that_the_key_opens() {
    let house = keyed().await;
    let (status, answer) = token(&house, json!({"api_key": KEY})).await;
    assert_eq!(
        (status, &answer["expires_in"], &answer["token_type"]),
        (200, &json!(86400), &json!("Bearer"))
    );
    let token = answer["token"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert_eq!(ask(&house, "GET", "/api/chats", Some(token), Value::Null).await.0, 200);
    let mut client = socket(&house, token).await.unwrap();
    client.ask("2 tokens").await;
    client.until("agent").await;
    let (status, ticket) = ask(&house, "POST", "/api/tickets", Some(token), Value::Null).await;
    assert_eq!(status, 200);
    let path = format!("/ws/b?ticket={}", ticket["ticket"].as_str().unwrap());
    Client::connect(house.address, &path).await.ask("2 tokens").await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_shape_that_clients_read() {
    let house = keyed().await;
    let (status, answer) = token(&house, json!({"api_key": "nonsense"})).await;
    assert_eq!((status, &answer["code"]), (401, &json!(401)));
    assert_eq!(answer["message"], answer["error"]);
    assert!(answer["message"].as_str().unwrap().contains("not known"), "{answer}");
    for body in [json!({}), json!({"api_key": 1}), json!({"api_key": KEY, "grant": []}), json!([])] {
        assert_eq!(token(&house, body).await.0, 400);
    }
    // {"alg":"none","typ":"JWT"} and {"sub":"admin"}
    let forged = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZG1pbiJ9.";
    assert_eq!(ask(&house, "GET", "/api/chats", Some(forged), Value::Null).await.0, 401);
    assert_eq!(socket(&house, forged).await.err(), Some(401));
}

#[tokio::test]
async fn without_keys_any_key_gets_a_token() {
    let house = House::open().await;
    let (status, answer) = token(&house, json!({"api_key": "whatever"})).await;
    assert_eq!(status, 200);
    assert!(socket(&house, answer["token"].as_str().unwrap()).await.is_ok());
}

#[tokio::test]
async fn an_admin_mints_tokens_for_others_with_less() {
    let house = keyed().await;
    let grants = json!([{"collection": "orders", "write": true}, {"collection": "prices"}]);
    let asked = json!({"api_key": KEY, "subject": "ann", "grants": grants, "expires_in": 600});
    let (status, answer) = token(&house, asked).await;
    assert_eq!((status, &answer["expires_in"]), (200, &json!(600)));
    let ann = answer["token"].as_str().unwrap();
    let (_, may) = ask(&house, "GET", "/api/auth/keys/me/permissions", Some(ann), Value::Null).await;
    assert_eq!(may["admin"], false);
    assert_eq!(may["collections"]["orders"]["write"], true);
    assert_eq!(may["collections"]["prices"]["write"], false);
    for path in ["/api/auth/keys", "/api/auth/keys/0198/permissions"] {
        assert_eq!(ask(&house, "GET", path, Some(ann), Value::Null).await.0, 403);
    }
    let (reader, _) = register(&house, json!({"collection_permissions": {"orders": ["read"]}})).await;
    for more in [json!({"subject": "bob"}), json!({"grants": [{"collection": "salaries"}]})] {
        let mut body = json!({"api_key": reader});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(token(&house, body).await.0, 403);
    }
    for expires_in in [0, 59, 86_401] {
        assert_eq!(token(&house, json!({"api_key": KEY, "expires_in": expires_in})).await.0, 400);
    }
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_its_sockets_are_closed() {
    let house = keyed().await;
    let (key, id) = register(&house, json!({"label": "reports", "subject": "ann"})).await;
    let (_, answer) = token(&house, json!({"api_key": key})).await;
    let token = answer["token"].as_str().unwrap();
    let (_, ticket) = ask(&house, "POST", "/api/tickets", Some(&key), Value::Null).await;
    let mut by_key = socket(&house, &key).await.unwrap();
    let mut by_token = socket(&house, token).await.unwrap();
    by_key.ask("2 tokens").await;
    by_key.until("agent").await;
    let mut admin = socket(&house, KEY).await.unwrap();

    let since = Instant::now();
    let (status, revoked) =
        ask(&house, "DELETE", &format!("/api/auth/keys/{id}"), Some(KEY), Value::Null).await;
    assert_eq!((status, revoked["revoked_at"].is_string()), (200, true), "{revoked}");
    let (code, reason) = by_key.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "the key was revoked; ask for another"));
    assert_eq!(by_token.closed().await.0, 1008);
    assert!(since.elapsed() < Duration::from_secs(1));

    for bearer in [key.as_str(), token] {
        assert_eq!(ask(&house, "GET", "/api/chats", Some(bearer), Value::Null).await.0, 401);
        assert_eq!(socket(&house, bearer).await.err(), Some(401));
    }
    let path = format!("/ws/b?ticket={}", ticket["ticket"].as_str().unwrap());
    assert!(Client::connect_with(house.address, &path, &[]).await.is_err());
    admin.ask("2 tokens").await;
    admin.until("agent").await;
}

#[tokio::test]
async fn grants_are_given_and_taken_away_one_by_one() {
    let house = keyed().await;
    let (key, id) = register(&house, json!({"subject": "ann"})).await;
    let at = |name: &str| format!("/api/auth/keys/{id}/permissions/{name}");
    let orders = at("collections/orders");
    let (status, _) = ask(&house, "POST", "/api/insert/orders", Some(KEY), json!({"id": "a"})).await;
    assert_eq!(status, 200);
    let find = || ask(&house, "GET", "/api/find/orders/a", Some(&key), Value::Null);
    assert_eq!(find().await.0, 403);

    let shown = |write: bool| json!({"read": true, "write": write, "select_fields": null, "exclude_fields": null, "writable_fields": null});
    let (_, given) = ask(&house, "PUT", &orders, Some(KEY), json!({"read": true, "write": false})).await;
    assert_eq!(given, json!({"before": null, "after": shown(false)}));
    assert_eq!(find().await.0, 200);
    let (_, more) = ask(&house, "PATCH", &orders, Some(KEY), json!({"write": true})).await;
    assert_eq!(more, json!({"before": shown(false), "after": shown(true)}));
    let mine = "/api/auth/keys/me/permissions/collections";
    assert_eq!(ask(&house, "GET", mine, Some(&key), Value::Null).await.1, json!({"orders": shown(true)}));
    assert_eq!(ask(&house, "GET", &orders, Some(KEY), Value::Null).await.1, shown(true));

    let mut open = socket(&house, &key).await.unwrap();
    let (_, taken) = ask(&house, "DELETE", &orders, Some(KEY), Value::Null).await;
    assert_eq!(taken, json!({"before": shown(true), "after": null}));
    assert_eq!(open.closed().await, (1008, "what the key may do was changed; come again".into()));
    assert_eq!(find().await.0, 403);
    assert!(socket(&house, &key).await.is_ok(), "the key itself is good");
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(&house, method, &orders, Some(KEY), Value::Null).await.0, 404);
    }

    let (kv, read) = (at("kv/*"), json!({"read": true, "write": false}));
    let all = json!({"prefix": "*", "read": true, "write": false});
    assert_eq!(ask(&house, "PUT", &kv, Some(KEY), read.clone()).await.1["after"], all);
    assert_eq!(ask(&house, "GET", &kv, Some(KEY), Value::Null).await.1, all);
    for (query, expected) in [("", json!([all])), ("?prefix=*", json!([all])), ("?prefix=tea:", json!([]))] {
        let list = at(&format!("kv{query}"));
        assert_eq!(ask(&house, "GET", &list, Some(KEY), Value::Null).await.1, expected);
    }
}

#[tokio::test]
async fn a_grant_that_means_nothing_is_refused() {
    let house = keyed().await;
    let (key, id) = register(&house, json!({})).await;
    let read = json!({"read": true, "write": false});
    let collection = "collections/orders";
    for (status, method, key, path, body) in [
        (400, "PUT", &*id, collection, json!({"read": true})),
        (400, "PUT", &id, collection, json!({"read": false, "write": true})),
        (400, "PUT", &id, collection, json!({"read": true, "write": true, "reed": true})),
        (400, "PATCH", &id, "collections/_keys", read.clone()),
        (501, "PATCH", &id, collection, json!({"select_fields": ["name"]})),
        (501, "PUT", &id, "kv/tea:", read.clone()),
        (404, "PUT", &id, "rooms/orders", read.clone()),
        (404, "PUT", "00000000000000000000000000000000", collection, read.clone()),
        (403, "PUT", "me", collection, read.clone()),
    ] {
        let path = format!("/api/auth/keys/{key}/permissions/{path}");
        let (refused, said) = ask(&house, method, &path, Some(KEY), body.clone()).await;
        assert_eq!((refused, said["code"].as_u64()), (status, Some(status.into())), "{path} {body}: {said}");
    }
    let path = format!("/api/auth/keys/{id}/permissions/collections/orders");
    assert_eq!(ask(&house, "PUT", &path, Some(&key), read).await.0, 403, "nobody grants to himself");
    assert_eq!(ask(&house, "GET", &path, Some(&key), Value::Null).await.0, 403);
}

#[tokio::test]
async fn the_first_key_closes_the_door_behind_those_who_came_without() {
    let house = House::open().await;
    let mut local = house.client("a").await;
    local.ask("2 tokens").await;
    local.until("agent").await;
    let (status, made) = ask(&house, "POST", "/api/auth/register", None, json!({"is_admin": true})).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(local.closed().await.0, 1008);
    assert_eq!(ask(&house, "GET", "/api/chats", None, Value::Null).await.0, 401);
    let key = made["key"].as_str().unwrap();
    assert_eq!(ask(&house, "GET", "/api/chats", Some(key), Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_new_secret_voids_every_token() {
    let house = keyed().await;
    let (_, answer) = token(&house, json!({"api_key": KEY})).await;
    let old = answer["token"].as_str().unwrap();
    assert_eq!(ask(&house, "POST", "/api/auth/rotate", Some(old), Value::Null).await.0, 200);
    assert_eq!(ask(&house, "POST", "/api/auth/rotate", Some(old), Value::Null).await.0, 401);
    assert_eq!(ask(&house, "GET", "/api/chats", Some(KEY), Value::Null).await.0, 200);
}

#[tokio::test]
async fn who_is_wrong_too_often_waits_and_is_told_how_long() {
    let house = House::with(|plan| {
        plan.config.api_keys = vec![KEY.into()];
        plan.config.behind_proxy = true;
    })
    .await;
    let get = async |sender: &str, key: &str| {
        let request = Http::new().get(house.url("/api/chats")).bearer_auth(key);
        request.header("x-forwarded-for", sender).send().await.unwrap()
    };
    let mut statuses = Vec::new();
    // On a busy machine another attempt may have become free before all of them are used up.
    while statuses.last() != Some(&429) && statuses.len() < 200 {
        statuses.push(get("192.0.2.1", "wrong").await.status().as_u16());
    }
    assert!(statuses[..20].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let right = get("192.0.2.1", KEY).await;
    assert_eq!(right.status(), 429);
    assert!(right.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 3);
    assert_eq!(get("192.0.2.2", KEY).await.status(), 200);
    assert_eq!(ask(&house, "GET", "/api/chats", Some(KEY), Value::Null).await.0, 200);
}

#[tokio::test]
async fn keys_are_listed_and_never_shown() {
    let house = keyed().await;
    let (key, id) = register(&house, json!({"api_key": KEY, "description": "reports"})).await;
    let (status, list) = ask(&house, "GET", "/api/auth/keys", Some(KEY), Value::Null).await;
    assert_eq!((status, &list[0]["id"], &list[0]["label"]), (200, &json!(id), &json!("reports")));
    assert!(!list.to_string().contains(&key) && !list.to_string().contains("sha256"), "{list}");
    let by_itself = ask(&house, "DELETE", &format!("/api/auth/keys/{key}"), Some(KEY), Value::Null).await;
    assert_eq!((by_itself.0, &by_itself.1["id"]), (200, &json!(id)));
    let unknown = ask(&house, "DELETE", "/api/auth/keys/nothing", Some(KEY), Value::Null).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!(404)));
    let refused = ask(&house, "POST", "/api/auth/register", Some(&key), json!({"is_admin": true})).await;
    assert_eq!(refused.0, 401);
}

fn keys(data: &Path, key: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.env_clear(); // no setting of this machine
    command.arg("keys").args(arguments).arg("--data").arg(data);
    if let Some(key) = key {
        command.env("TIDEWIRE_API_KEY", key);
    }
    command.output().unwrap()
}

/// A house that knows a key, with this model.
fn answering(script: Script) -> impl FnOnce(&mut Plan) {
    |plan| {
        plan.config.api_keys = vec![KEY.into()];
        plan.model = ScriptedModel::new().otherwise(script);
    }
}

/// How an answer ended that is followed from its beginning.
async fn ending(house: &House, key: &str, session: &str) -> Value {
    let mut client = session_of(house, key, session).await.unwrap();
    client.send(json!({"after_seq": 0, "partials": "delta"})).await;
    client.until("agent").await["status"].clone()
}

#[test]
fn a_run_whose_key_was_revoked_is_not_continued_after_a_restart() {
    let life = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let first = life();
    let (house, (kept, _), (_, revoked)) = first.block_on(async {
        let house = House::with(answering(Script::new().gate(Arc::default()).text("too late"))).await;
        let ours = register(&house, json!({"is_admin": true, "subject": "ann"})).await;
        let theirs = register(&house, json!({"is_admin": true, "subject": "ann"})).await;
        for (session, (key, _)) in [("kept", &ours), ("revoked", &theirs)] {
            let mut client = session_of(&house, key, session).await.unwrap();
            client.send(json!({"content": "hello", "agent": "assistant"})).await;
            client.until("user").await;
        }
        house.model.running().wait_for(|answers| *answers == 2).await.unwrap();
        (house, ours, theirs)
    });
    drop(first);
    life().block_on(async {
        let folder = house.killed().await;
        said(&keys(&folder.path().join("data"), None, &["revoke", &revoked]));
        let house = House::on(folder, answering(Script::new().words("Hello."))).await;
        assert_eq!(ending(&house, &kept, "kept").await, "finished");
        assert_eq!(ending(&house, &kept, "revoked").await, "interrupted");
    });
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

/// The id in the row of the list that shows this label.
fn id_of(list: &str, label: &str) -> String {
    let row = list.lines().find(|line| line.contains(label)).unwrap_or_else(|| panic!("{list}"));
    row.split(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_works_on_the_folder_and_through_the_server_that_owns_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let admin = said(&keys(data, None, &["add", "--admin", "--label", "ops"]));
    assert!(admin.starts_with("tw_") && admin.len() == 67, "{admin}");

    let server = Server::start(data, free_address(), None).await;
    let url = format!("http://{}/api/chats", server.address);
    let status = async |key: &str| Http::new().get(&url).bearer_auth(key).send().await.unwrap().status();
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 401);
    assert_eq!(status(&admin).await, 200);

    let without = keys(data, None, &["list"]);
    assert!(!without.status.success());
    assert!(String::from_utf8_lossy(&without.stderr).contains("TIDEWIRE_API_KEY"), "{without:?}");
    let add =
        ["add", "--grant", "orders:write", "--grant", "prices:read", "--subject", "ann", "--label", "shop"];
    let shop = said(&keys(data, Some(&admin), &add));
    assert_eq!(status(&shop).await, 200);
    let list = said(&keys(data, Some(&admin), &["list"]));
    assert!(list.contains("orders:write prices:read") && list.contains("ann"), "{list}");
    assert!(!list.contains(&shop[3..]) && !list.contains(&admin[3..]), "{list}");
    assert!(!keys(data, Some(&shop), &["list"]).status.success());

    let id = id_of(&list, "shop");
    assert_eq!(said(&keys(data, Some(&admin), &["revoke", &id])), format!("the key {id} is revoked"));
    assert_eq!(status(&shop).await, 401);
    said(&keys(data, Some(&admin), &["rotate"]));
    server.kill();

    let list = said(&keys(data, None, &["list"]));
    let shown = list.lines().find(|line| line.contains("shop")).unwrap().to_owned();
    assert!(!shown.ends_with('-'), "it is still revoked: {shown}");
    let id = id_of(&list, "ops");
    said(&keys(data, None, &["revoke", &id]));
    let unknown = keys(data, None, &["revoke", "nothing"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no key with this id"), "{unknown:?}");
    for wrong in
        [["add", "--grant", "orders"], ["add", "--grant", "orders:all"], ["add", "--grant", "_keys:read"]]
    {
        assert!(!keys(data, None, &wrong).status.success());
    }
}
