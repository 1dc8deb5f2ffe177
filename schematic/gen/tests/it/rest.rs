//! Generated clients of REST APIs against a server over a real socket.

use futures_util::{StreamExt, TryStreamExt};
use schematic_gen::{Provenance, rust};
use schematic_runtime::rest::{Error, Options, Upload};
use schematic_runtime::{ErrorKind, Frame};

use crate::samples;
use elevenlabs_rest::rest::{
    EditVoiceForm, ElevenLabsVoices, ElevenLabsVoicesError, GetVoiceParams, ListVoicesParams,
    SearchVoicesParams,
};
use elevenlabs_rest::wire as voices;
use rest_kinds::rest::{
    FormForm, JsonParams, NumberedParams, RestKinds, RestKindsError, SeveralAnswer, SkippedParams,
    UrlencodedForm,
};
use rest_kinds::wire::{Item, Pair};
use rest_names::rest::{DeleteForm, DeleteParams, String2 as Names};
use server::{Server, json, with};

#[allow(dead_code)]
#[path = "../../../runtime/rust/tests/rest/server.rs"]
mod server;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/rest_kinds"]
mod rest_kinds {
    pub(crate) use crate::written::rest_kinds as wire;
    pub(crate) mod rest;
}

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/rest_names"]
mod rest_names {
    pub(crate) mod rest;
}

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/elevenlabs_rest"]
mod elevenlabs_rest {
    pub(crate) use crate::written::elevenlabs_rest as wire;
    pub(crate) mod rest;
}

fn kinds(server: &Server) -> RestKinds {
    RestKinds::new(server.options()).unwrap()
}

fn eleven(server: &Server) -> ElevenLabsVoices {
    ElevenLabsVoices::new(server.options()).unwrap()
}

fn item(x: i64) -> Item {
    Item { pair: Pair { x, y: "a".into() } }
}

#[tokio::test]
async fn each_place_of_a_parameter() {
    let server = Server::start([]).await;
    let all = JsonParams { a: Some(1), x_a: Some(2), a_2: Some(3) };
    kinds(&server).json(-7, &all, &item(1)).await.unwrap();
    let asked = server.only();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("PUT", "/json/-7?a=1"));
    assert_eq!((asked.header("x-a"), asked.header("cookie")), ("2", "a=3"));
    assert_eq!((asked.header("x-b"), asked.header("accept")), ("mine", "text/csv"));
    assert_eq!(asked.header("authorization"), "Basic YW5uOnMzY3IvdA==");
    assert_eq!((asked.header("content-type"), asked.text()), ("application/json", r#"{"pair":[1,"a"]}"#));
    let server = Server::start([]).await;
    kinds(&server).json(0, &JsonParams::default(), &item(1)).await.unwrap();
    assert_eq!((server.only().path.as_str(), server.only().header("cookie")), ("/json/0", ""));
}

#[tokio::test]
async fn hostile_ids_stay_in_their_segment() {
    let server =
        Server::start((0..2).map(|_| json(200, r#"{"voice_id": "v", "name": "n", "category": "cloned"}"#)))
            .await;
    let voice =
        eleven(&server).get_voice("a/b ä?#", &GetVoiceParams { with_settings: Some(false) }).await.unwrap();
    assert_eq!(voice.category, voices::VoiceCategory::Cloned);
    let asked = server.only();
    assert_eq!(asked.path, "/v1/voices/a%2Fb%20%C3%A4%3F%23?with_settings=false");
    assert_eq!(asked.header("xi-api-key"), "s3cr/t");
}

#[tokio::test]
async fn each_kind_of_body() {
    let server = Server::start([]).await;
    let client = kinds(&server);
    client.urlencoded("x", &UrlencodedForm { word: "a b&ä".into() }).await.unwrap();
    client.text("x", "a,b".into()).await.unwrap();
    client.binary("x", vec![0, 255]).await.unwrap();
    let seen = server.seen();
    let sent: Vec<_> = seen.iter().map(|seen| (seen.header("content-type"), &seen.body[..])).collect();
    let form = ("application/x-www-form-urlencoded", &b"word=a%20b%26%C3%A4"[..]);
    assert_eq!(sent, [form, ("text/csv", b"a,b"), ("audio/mpeg", &[0, 255])]);
}

#[tokio::test]
async fn a_form_with_files() {
    let server = Server::start([]).await;
    let many = vec![
        Upload::new("1\"\r\nX: y", "one"),
        Upload { content_type: "audio/wav".into(), ..Upload::new("ä", "two") },
    ];
    let form = FormForm { one: Upload::new("o", vec![1]), many, data: item(2) };
    kinds(&server).form("x", &form).await.unwrap();
    let asked = server.only();
    let boundary = asked.header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = [
        "--B\r\nContent-Disposition: form-data; name=\"one\"; filename=\"o\"\r\nContent-Type: application/octet-stream\r\n\r\n\u{1}\r\n",
        "--B\r\nContent-Disposition: form-data; name=\"many\"; filename=\"1%22%0D%0AX: y\"\r\nContent-Type: application/octet-stream\r\n\r\none\r\n",
        "--B\r\nContent-Disposition: form-data; name=\"many\"; filename=\"ä\"\r\nContent-Type: audio/wav\r\n\r\ntwo\r\n",
        "--B\r\nContent-Disposition: form-data; name=\"data\"\r\nContent-Type: application/json\r\n\r\n{\"pair\":[2,\"a\"]}\r\n",
        "--B--\r\n",
    ];
    assert_eq!(asked.text().replace(boundary, "B"), expected.concat());
}

#[tokio::test]
async fn fields_that_are_absent_are_not_written() {
    let server = Server::start([json(200, r#"{"status": "ok"}"#)]).await;
    let form = EditVoiceForm {
        name: "n".into(),
        files: vec![],
        remove_background_noise: None,
        description: None,
        labels: None,
    };
    assert_eq!(eleven(&server).edit_voice("v", &form).await.unwrap().status, "ok");
    assert_eq!(server.only().text().matches("Content-Disposition").count(), 1);
}

#[tokio::test]
async fn each_kind_of_answer() {
    let events = "data: {\"pair\":\ndata: [1,\"a\"]}\n\n: hm\ndata: {\"pair\":[2,\"a\"]}\n\ndata: [DONE]\n\n";
    let lines = "{\"pair\":[3,\"a\"]}\n\n{\"pair\":[4,\"a\"]}";
    let answers = ["häh", "\u{0}", events, lines, ""].map(|body| with(200, &[], body));
    let server = Server::start(answers).await;
    let client = kinds(&server);
    assert_eq!(client.plain().await.unwrap(), "häh");
    assert_eq!(client.bytes().await.unwrap(), [0]);
    let said: Vec<Item> = client.events().await.unwrap().try_collect().await.unwrap();
    assert_eq!(said, [item(1), item(2)]);
    let said: Vec<Item> = client.lines().await.unwrap().try_collect().await.unwrap();
    assert_eq!(said, [item(3), item(4)]);
    client.peek().await.unwrap();
    let accepted: Vec<String> = server.seen().iter().map(|seen| seen.header("accept").to_owned()).collect();
    assert_eq!(accepted, ["text/plain", "*/*", "text/event-stream", "application/x-ndjson", "*/*"]);
}

#[tokio::test]
async fn each_declared_status_has_its_type() {
    let body = "{\"pair\":[1,\"a\"]}";
    let answers = [200, 202, 204, 404, 409, 410, 418, 201]
        .map(|status| with(status, &[], if status == 204 { "" } else { body }));
    let server = Server::start(answers).await;
    let client = kinds(&server);
    assert!(matches!(client.several().await, Ok(SeveralAnswer::Status200(got)) if got == item(1)));
    let Ok(SeveralAnswer::Status202(items)) = client.several().await else { panic!() };
    assert_eq!(items.try_collect::<Vec<_>>().await.unwrap(), [item(1)]);
    assert!(matches!(client.several().await, Ok(SeveralAnswer::Status204)));
    let mut faults = Vec::new();
    for _ in 404..=407 {
        faults.push(client.several().await.unwrap_err());
    }
    let expected = [
        RestKindsError::Status404(body.into()),
        RestKindsError::Status409(item(1)),
        RestKindsError::Status410,
        RestKindsError::Status418(body.into()),
    ];
    assert_eq!(faults, expected.map(Error::Status));
    let other = client.several().await.unwrap_err();
    assert_eq!(other, Error::Unexpected { status: 201, body: body.into() });
}

#[tokio::test]
async fn errors_of_a_public_api_are_typed() {
    let reason = r#"{"detail": {"status": "voice_not_found", "message": "s3cr/t may not"}}"#;
    let server = Server::start([json(404, reason), json(422, "[]"), json(500, "oh")]).await;
    let list = async || eleven(&server).list_voices(&ListVoicesParams::default()).await.unwrap_err();
    let Error::Status(ElevenLabsVoicesError::Status404(failure)) = list().await else { panic!() };
    let voices::FailureDetail::Reason(reason) = failure.detail else { panic!("{failure:?}") };
    assert_eq!((reason.status.as_str(), reason.message.as_str()), ("voice_not_found", "*** may not"));
    let Error::Call(error) = list().await else { panic!() };
    assert_eq!((error.kind, error.received), (ErrorKind::Shape, Some(Frame::Text("[]".into()))));
    assert_eq!(list().await, Error::Unexpected { status: 500, body: "oh".into() });
}

#[tokio::test]
async fn pages_by_cursor() {
    let page = |ids: &[&str], next: &str| {
        let list: Vec<String> =
            ids.iter().map(|id| format!(r#"{{"voice_id":"{id}","name":"","category":"x"}}"#)).collect();
        json(200, &format!(r#"{{"voices":[{}],"has_more":true,"next_page_token":{next}}}"#, list.join(",")))
    };
    let server = Server::start([page(&["a", "b"], "\"2/\""), page(&[], "\"3\""), page(&["c"], "null")]).await;
    let params = SearchVoicesParams { search: Some("x y".into()), ..SearchVoicesParams::default() };
    let items: Vec<voices::Voice> = eleven(&server).search_voices_all(&params).try_collect().await.unwrap();
    assert_eq!(items.iter().map(|voice| voice.voice_id.as_str()).collect::<String>(), "abc");
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    let expected = ["", "&next_page_token=2%2F", "&next_page_token=3"];
    assert_eq!(asked, expected.map(|more| format!("/v2/voices?search=x%20y{more}")));
}

#[tokio::test]
async fn pages_that_are_counted() {
    let page = |from: i64, count: i64| {
        let items: Vec<String> = (from..from + count).map(|x| format!("{{\"pair\":[{x},\"a\"]}}")).collect();
        format!("[{}]", items.join(","))
    };
    let listed = |from, count| json(200, &format!("{{\"items\":{}}}", page(from, count)));
    let asked = |server: &Server| server.seen().into_iter().map(|seen| seen.path).collect::<Vec<_>>();
    let all: Vec<Item> = (1..=5).map(item).collect();

    let server = Server::start([listed(1, 2), listed(3, 3), listed(0, 0)]).await;
    let items = kinds(&server).numbered_all(&NumberedParams { page: None, limit: 3 });
    assert_eq!(items.try_collect::<Vec<_>>().await.unwrap(), all);
    assert_eq!(asked(&server), ["/numbered?limit=3", "/numbered?limit=3&page=2", "/numbered?limit=3&page=3"]);

    let server = Server::start([listed(1, 2), listed(3, 3), listed(0, 0)]).await;
    let items = kinds(&server).skipped_all(&SkippedParams { page: Some(10), limit: 3 });
    assert_eq!(items.try_collect::<Vec<_>>().await.unwrap(), all);
    assert_eq!(asked(&server)[1..], ["/skipped?limit=3&page=12", "/skipped?limit=3&page=15"]);

    let linked = |from, count, link: &str| with(200, &[("link", link)], &page(from, count));
    let answers = [
        linked(1, 2, "</b?c=1>; rel=\"next\""),
        linked(3, 2, "<d>; rel=next"),
        linked(5, 1, "</>; rel=prev"),
    ];
    let server = Server::start(answers).await;
    assert_eq!(kinds(&server).linked_all().try_collect::<Vec<_>>().await.unwrap(), all);
    assert_eq!(asked(&server), ["/linked", "/b?c=1", "/d"]);
}

#[tokio::test]
async fn a_page_that_fails_ends_the_list_with_its_error() {
    let server = Server::start([json(200, r#"{"items":[{"pair":[1,"a"]}]}"#), json(500, "")]).await;
    let items: Vec<_> = kinds(&server).numbered_all(&NumberedParams { page: None, limit: 1 }).collect().await;
    assert_eq!(items, [Ok(item(1)), Err(Error::Unexpected { status: 500, body: String::new() })]);
}

#[tokio::test]
async fn names_that_no_language_takes_arrive_as_they_are() {
    let server = Server::start([]).await;
    let client = Names::new(server.options()).unwrap();
    let params = DeleteParams { r#type: Some(1), field: Some(2), ..DeleteParams::default() };
    let form = DeleteForm { self_: Some("x".into()), ..DeleteForm::default() };
    client.delete("1", "2", "3", "4", &params, &form).await.unwrap();
    let asked = server.only();
    assert_eq!(asked.path, "/delete/1/2/3/4?type=1&%22=2");
    assert_eq!(asked.text(), "self=x");
}

#[test]
fn without_a_rest_api_there_is_no_client() {
    let problems = rust::rest_client(&samples::kinds(), &Provenance::new("x", "y")).unwrap_err();
    assert_eq!((problems.len(), problems[0].place.as_str()), (1, "rest"));
}

#[test]
fn without_a_credential_there_is_no_client_either() {
    let error = RestKinds::new(Options::default()).unwrap_err();
    assert!(error.kind == ErrorKind::Auth && error.message.contains("REST_KINDS_PASSWORD"), "{error}");
    assert!(RestKinds::new(Options { anonymous: true, ..Options::default() }).is_ok());
}
