//! Records and collections over the socket.

use serde_json::{Value, json};

use super::seat::raw;
use super::{Refused, Seat, refused};
use crate::rig::{column, condition, typed};
use crate::table::rows;

rows! { WebSocketClient {
    find_all => ["API error (400)", "collection"],
    find_by_id => ["API error (404)"],
    query => ["API error (400)"],
    insert => ["API error (409)"],
    update => ["API error (404)"],
    delete => ["API error (404)"],
    batch_insert => ["API error (400)"],
    batch_update => ["API error (400)"],
    batch_delete => ["API error (400)"],
    text_search => ["API error (400)"],
    distinct_values => ["API error (400)"],
    update_with_action => ["API error (400)"],
    create_collection => ["API error (409)"],
    list_collections => ["WebSocket error"],
    delete_collection => ["API error (404)"],
    send_crud => ["API error (400)", "Juggle"],
}}

async fn find_all(seat: Seat) -> Refused {
    assert_eq!(seat.socket.find_all("people").await.unwrap().len(), 0);
    seat.people().await;
    let found: Vec<Value> = seat.socket.find_all("people").await.unwrap().iter().map(raw).collect();
    assert_eq!(column(&found, "id"), [json!("a"), json!("b"), json!("e")]);
    assert_eq!(found[0], json!({"id": "a", "name": typed("Ada"), "age": typed(36), "town": typed("London")}));
    refused(seat.socket.find_all("_secret").await)
}

async fn find_by_id(seat: Seat) -> Refused {
    seat.people().await;
    let found = seat.socket.find_by_id("people", "b").await.unwrap();
    assert_eq!(found, json!({"id": "b", "name": typed("Bob"), "age": typed(20), "town": typed("Paris")}));
    refused(seat.socket.find_by_id("people", "nobody").await)
}

async fn query(seat: Seat) -> Refused {
    seat.people().await;
    let filter = condition("age", "Gte", 25);
    let youngest = json!([{"field": "age", "ascending": true}]);
    let found = seat.socket.query("people", Some(filter), Some(youngest.clone()), None, None).await.unwrap();
    assert_eq!(column(&found, "name"), [json!("Eve"), json!("Ada")]);
    let second = seat.socket.query("people", None, Some(youngest), Some(1), Some(1)).await.unwrap();
    assert_eq!(column(&second, "name"), [json!("Eve")]);
    refused(seat.socket.query("people", Some(condition("age", "Sounds", 1)), None, None, None).await)
}

async fn insert(seat: Seat) -> Refused {
    let named = seat.socket.insert("people", json!({"id": "a", "name": "Ada"}), Some(true)).await.unwrap();
    assert_eq!(named["id"], "a");
    let unnamed = seat.socket.insert("people", json!({"name": "Bob"}), None).await.unwrap();
    let id = unnamed["id"].as_str().unwrap();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{id}");
    assert_eq!(seat.person(id).await["name"], typed("Bob"));
    refused(seat.socket.insert("people", json!({"id": "a", "name": "Another"}), None).await)
}

async fn update(seat: Seat) -> Refused {
    seat.people().await;
    let change = json!({"age": 37, "born": {"year": 1815}});
    let changed = seat.socket.update("people", "a", change, None).await.unwrap();
    assert_eq!((&changed["name"], &changed["age"]), (&typed("Ada"), &typed(37)));
    assert_eq!(changed["born"], typed(json!({"year": 1815})));
    assert_eq!(changed, seat.person("a").await);
    refused(seat.socket.update("people", "nobody", json!({"age": 1}), None).await)
}

async fn delete(seat: Seat) -> Refused {
    seat.people().await;
    seat.socket.delete("people", "a", None).await.unwrap();
    let left = seat.socket.query("people", None, None, None, None).await.unwrap();
    assert_eq!(column(&left, "id"), [json!("b"), json!("e")]);
    refused(seat.socket.delete("people", "a", Some(false)).await)
}

async fn batch_insert(seat: Seat) -> Refused {
    seat.people().await;
    let records = vec![json!({"id": "z", "name": "Zoe"}), json!({"id": "a", "name": "Taken"})];
    let reply = seat.socket.batch_insert("people", records, None).await.unwrap();
    assert_eq!(reply["successful"], json!(["z"]));
    assert_eq!((reply["failed"].as_array().unwrap().len(), &reply["failed"][0]["id"]), (1, &json!("a")));
    assert!(reply["failed"][0]["error"].as_str().unwrap().contains(' '), "{reply}");
    assert_eq!(seat.person("a").await["name"], typed("Ada"));
    refused(seat.socket.batch_insert("people", vec![json!("no record")], None).await)
}

async fn batch_update(seat: Seat) -> Refused {
    seat.people().await;
    let updates = vec![("a".to_owned(), json!({"age": 1})), ("nobody".to_owned(), json!({"age": 2}))];
    let reply = seat.socket.batch_update("people", updates, None).await.unwrap();
    assert_eq!((&reply["successful"], &reply["failed"][0]["id"]), (&json!(["a"]), &json!("nobody")));
    assert_eq!(seat.person("a").await["age"], typed(1));
    refused(seat.socket.batch_update("people", vec![("a".to_owned(), json!(7))], None).await)
}

async fn batch_delete(seat: Seat) -> Refused {
    seat.people().await;
    let ids = ["a", "nobody", "e"].map(str::to_owned).to_vec();
    seat.socket.batch_delete("people", ids, None).await.unwrap();
    let left = seat.socket.query("people", None, None, None, None).await.unwrap();
    assert_eq!(column(&left, "id"), [json!("b")]);
    refused(seat.socket.batch_delete("_secret", vec!["a".to_owned()], None).await)
}

async fn text_search(seat: Seat) -> Refused {
    seat.people().await;
    let fields = Some(vec!["town".to_owned()]);
    let found = seat.socket.text_search("people", "london", fields.clone(), None).await.unwrap();
    let mut names: Vec<_> =
        found.iter().map(|hit| hit["record"]["name"]["value"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Ada", "Eve"]);
    assert_eq!(found[0]["matched_fields"], json!(["town"]));
    assert!(found[0]["score"].as_f64().unwrap() > 0.0, "{found:?}");
    let one = seat.socket.text_search("people", "london", fields, Some(1)).await.unwrap();
    assert_eq!(one.len(), 1);
    refused(seat.socket.text_search("_secret", "london", None, None).await)
}

async fn distinct_values(seat: Seat) -> Refused {
    seat.people().await;
    let reply = seat.socket.distinct_values("people", "town", None).await.unwrap();
    assert_eq!(reply["values"], json!(["London", "Paris"]));
    assert_eq!((&reply["field"], &reply["count"]), (&json!("town"), &json!(2)));
    let old = Some(condition("age", "Gt", 30));
    let reply = seat.socket.distinct_values("people", "town", old).await.unwrap();
    assert_eq!(reply["values"], json!(["London"]));
    refused(seat.socket.distinct_values("people", "town", Some(json!({"type": "Nothing"}))).await)
}

async fn update_with_action(seat: Seat) -> Refused {
    let (socket, list) = (&seat.socket, json!(["x"]));
    let start = json!({"id": "a", "number": 10, "list": list, "text": "tea"});
    socket.insert("people", start, None).await.unwrap();
    let cases = [
        ("increment", "number", Some(json!(5)), typed(15)),
        ("decrement", "number", Some(json!(3)), typed(12)),
        ("multiply", "number", Some(json!(3)), typed(36)),
        ("divide", "number", Some(json!(4)), typed(9)),
        ("modulo", "number", Some(json!(5)), typed(4)),
        ("push", "list", Some(json!("y")), typed(json!(["x", "y"]))),
        ("unshift", "list", Some(json!("w")), typed(json!(["w", "x", "y"]))),
        ("pop", "list", None, typed(json!(["w", "x"]))),
        ("shift", "list", None, typed(json!(["x"]))),
        ("remove", "list", Some(json!("x")), typed(json!([]))),
        ("append", "text", Some(json!("pot")), typed("teapot")),
        ("clear", "text", None, typed("")),
    ];
    for (action, field, value, expected) in cases {
        let changed = socket.update_with_action("people", "a", action, field, value).await.unwrap();
        assert_eq!(changed[field], expected, "{action}: {changed}");
    }
    refused(socket.update_with_action("people", "a", "increment", "text", Some(json!(1))).await)
}

async fn create_collection(seat: Seat) -> Refused {
    seat.socket.create_collection("empty", None).await.unwrap();
    let schema = json!({"fields": {"name": {"field_type": "String", "required": true}}});
    seat.socket.create_collection("strict", Some(schema)).await.unwrap();
    assert_eq!(seat.socket.list_collections().await.unwrap(), ["empty", "strict"]);
    let error = seat.socket.insert("strict", json!({"age": 1}), None).await.unwrap_err().to_string();
    assert!(error.contains("API error (400)") && error.contains("name"), "{error}");
    refused(seat.socket.create_collection("strict", None).await)
}

async fn list_collections(seat: Seat) -> Refused {
    assert_eq!(seat.socket.list_collections().await.unwrap(), Vec::<String>::new());
    seat.people().await;
    assert_eq!(seat.socket.list_collections().await.unwrap(), ["people"]);
    let stranger = super::ekodb::WebSocketClient::new(seat.rig.ws(), "no token").unwrap();
    refused(stranger.list_collections().await)
}

async fn delete_collection(seat: Seat) -> Refused {
    seat.people().await;
    seat.socket.delete_collection("people").await.unwrap();
    assert_eq!(seat.socket.find_all("people").await.unwrap().len(), 0);
    assert_eq!(seat.socket.list_collections().await.unwrap(), Vec::<String>::new());
    refused(seat.socket.delete_collection("people").await)
}

/// Any type can be sent: here one with the members that the crate's own methods leave out.
async fn send_crud(seat: Seat) -> Refused {
    seat.people().await;
    let wanted = json!({"collection": "people", "id": "a", "select_fields": ["age"]});
    let found = seat.socket.send_crud("FindById", wanted).await.unwrap();
    assert_eq!(found, json!({"id": "a", "age": typed(36)}));
    refused(seat.socket.send_crud("Juggle", json!({"balls": 3})).await)
}
