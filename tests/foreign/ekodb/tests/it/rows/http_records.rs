//! Records over HTTP: MessagePack in and out where the crate likes it best.

use serde_json::{Value, json};

use super::ekodb::options::{InsertOptions, UpdateOptions, UpsertOptions};
use super::ekodb::{BatchBuilder, FieldType, JoinConfig, QueryBuilder, Record};
use super::seat::{raw, record};
use super::{Refused, Seat, refused};
use crate::rig::{column, condition, typed};
use crate::table::rows;

rows! { Client {
    insert => ["API error (409)"],
    find => ["API error (400)"],
    find_by_id => ["Record not found"],
    update => ["Record not found"],
    update_with_action => ["API error (400)"],
    update_with_action_sequence => ["API error (400)"],
    delete => ["Record not found"],
    batch_insert => ["API error (400)"],
    batch_update => ["API error (400)"],
    batch_delete => ["API error (400)"],
    upsert => ["API error (400)"],
    find_one => ["API error (400)"],
    exists => ["API error (400)"],
    paginate => ["API error (400)"],
    find_all => ["API error (400)"],
    count_documents => ["API error (400)"],
    distinct_values => ["API error (400)"],
}}

fn raws(records: &[Record]) -> Vec<Value> {
    records.iter().map(raw).collect()
}

/// Every kind of value goes in; what comes back is its type and its value, and a record with a time to live ends.
async fn insert(seat: Seat) -> Refused {
    let ada = Record::new()
        .field("id", "a")
        .field("name", FieldType::string("Ada"))
        .field("age", FieldType::integer(36))
        .field("height", FieldType::float(1.65))
        .field("poet", FieldType::boolean(false))
        .field("letters", FieldType::array(vec![FieldType::string("B"), FieldType::null()]));
    let reply = seat.client.insert("people", ada, None).await.unwrap();
    assert_eq!(raw(&reply)["id"], "a");
    let found = seat.client.find_by_id("people", "a", None).await.unwrap();
    assert_eq!((found.get_string("name"), found.get_bool("poet")), (Some("Ada"), Some(false)));
    let found = raw(&found);
    assert_eq!((&found["age"], &found["height"]), (&typed(36), &typed(1.65)));
    assert_eq!(found["letters"], typed(json!(["B", null])));

    let options = InsertOptions::new().ttl("1s").bypass_ripple(true).bypass_cache(true);
    let guest = record(json!({"id": "guest", "name": "Guest"}));
    seat.client.insert("people", guest, Some(options)).await.unwrap();
    let ttl = seat.person("guest").await["ttl"].clone();
    assert!(ttl.as_str().is_some_and(|instant| instant.contains('T')), "{ttl}");
    let mut gone = false;
    while !gone {
        gone = !seat.client.exists("people", "guest").await.unwrap();
    }
    refused(seat.client.insert("people", record(json!({"id": "a"})), None).await)
}

/// All operators, order, pages, projections and a join.
async fn find(seat: Seat) -> Refused {
    seat.people().await;
    seat.socket
        .insert("towns", json!({"id": "t1", "title": "London", "river": "Thames"}), None)
        .await
        .unwrap();
    let person = QueryBuilder::new;
    let cases = [
        (person().eq("name", "Ada"), json!(["Ada"])),
        (person().ne("name", "Ada"), json!(["Bob", "Eve"])),
        (person().gt("age", 28), json!(["Ada"])),
        (person().gte("age", 28).lt("age", 36), json!(["Eve"])),
        (person().lte("age", 20), json!(["Bob"])),
        (person().in_array("id", vec![json!("b"), json!("e")]), json!(["Bob", "Eve"])),
        (person().nin("id", vec![json!("b")]), json!(["Ada", "Eve"])),
        (person().contains("town", "ond"), json!(["Ada", "Eve"])),
        (person().starts_with("town", "Par"), json!(["Bob"])),
        (person().ends_with("town", "don"), json!(["Ada", "Eve"])),
        (
            person().and(vec![condition("age", "GreaterThan", 1), condition("id", "Equals", "a")]),
            json!(["Ada"]),
        ),
        (person().or(vec![condition("id", "Eq", "a"), condition("id", "Eq", "b")]), json!(["Ada", "Bob"])),
        (person().not(condition("town", "Eq", "London")), json!(["Bob"])),
        (person().raw_filter(condition("age", "LessThan", 21)), json!(["Bob"])),
    ];
    for (query, names) in cases {
        let query = query.sort_asc("name").bypass_cache(true).bypass_ripple(true).build();
        let said = serde_json::to_string(&query).unwrap();
        let found = raws(&seat.client.find("people", query, Some(true)).await.unwrap());
        assert_eq!(json!(column(&found, "name")), names, "{said}");
    }
    let page = person().sort_desc("age").page(1, 1).build();
    let found = raws(&seat.client.find("people", page, None).await.unwrap());
    assert_eq!(column(&found, "name"), [json!("Eve")]);
    let part = person().eq("id", "a").select_fields(vec!["age".into()]).limit(5).skip(0).build();
    let found = raws(&seat.client.find("people", part, None).await.unwrap());
    assert_eq!(found, [json!({"id": "a", "age": typed(36)})]);
    let part = person().eq("id", "a").exclude_fields(vec!["age".into(), "town".into()]).build();
    let found = raws(&seat.client.find("people", part, None).await.unwrap());
    assert_eq!(found, [json!({"id": "a", "name": typed("Ada")})]);

    let join = serde_json::to_value(JoinConfig::single("towns", "town", "title", "place")).unwrap();
    let joined = person().eq("id", "a").join(join).build();
    let found = raws(&seat.client.find("people", joined, None).await.unwrap());
    let place = found[0]["place"].get("value").unwrap_or(&found[0]["place"])[0].clone();
    assert_eq!(
        (&place["id"], column(std::slice::from_ref(&place), "river")),
        (&json!("t1"), vec![json!("Thames")])
    );
    refused(seat.client.find("people", person().raw_filter(json!({"type": "Nothing"})).build(), None).await)
}

async fn find_by_id(seat: Seat) -> Refused {
    seat.people().await;
    let found = seat.client.find_by_id("people", "b", Some(true)).await.unwrap();
    assert_eq!(raw(&found), seat.person("b").await);
    refused(seat.client.find_by_id("people", "nobody", None).await)
}

async fn update(seat: Seat) -> Refused {
    seat.people().await;
    let options = UpdateOptions::new().bypass_ripple(true).bypass_cache(true);
    let change = record(json!({"age": 37}));
    let changed = seat.client.update("people", "a", change.clone(), Some(options)).await.unwrap();
    assert_eq!(raw(&changed)["age"], typed(37));
    assert_eq!(raw(&changed), seat.person("a").await);
    refused(seat.client.update("people", "nobody", change, None).await)
}

async fn update_with_action(seat: Seat) -> Refused {
    seat.people().await;
    let step = FieldType::integer(2);
    let changed =
        seat.client.update_with_action("people", "a", "increment", "age", step.clone()).await.unwrap();
    assert_eq!((&raw(&changed)["age"], &raw(&changed)["name"]), (&typed(38), &typed("Ada")));
    let changed =
        seat.client.update_with_action("people", "a", "clear", "name", FieldType::null()).await.unwrap();
    assert_eq!(raw(&changed)["name"], typed(""));
    refused(seat.client.update_with_action("people", "a", "juggle", "age", step).await)
}

/// All steps or none.
async fn update_with_action_sequence(seat: Seat) -> Refused {
    seat.people().await;
    let step = |action: &str, field: &str, value| (action.to_owned(), field.to_owned(), value);
    let good = vec![
        step("increment", "age", FieldType::integer(4)),
        step("divide", "age", FieldType::integer(4)),
        step("append", "name", FieldType::string("!")),
    ];
    let changed = raw(&seat.client.update_with_action_sequence("people", "a", good).await.unwrap());
    assert_eq!((&changed["age"], &changed["name"]), (&typed(10), &typed("Ada!")));
    let bad =
        vec![step("increment", "age", FieldType::integer(1)), step("divide", "age", FieldType::integer(0))];
    let outcome = seat.client.update_with_action_sequence("people", "a", bad).await;
    assert_eq!(seat.person("a").await["age"], typed(10));
    refused(outcome)
}

async fn delete(seat: Seat) -> Refused {
    seat.people().await;
    seat.client.delete("people", "a", None).await.unwrap();
    assert!(!seat.client.exists("people", "a").await.unwrap());
    refused(seat.client.delete("people", "a", Some(true)).await)
}

/// The crate drops what is said about records that were refused, so the others are counted.
async fn batch_insert(seat: Seat) -> Refused {
    let batch =
        BatchBuilder::new().add(record(json!({"id": "x", "n": 1}))).add(record(json!({"id": "y", "n": 2})));
    let reply = seat.client.batch_insert("numbers", batch.build(), Some(true)).await.unwrap();
    assert_eq!(column(&raws(&reply), "id"), [json!("x"), json!("y")]);
    let again = vec![record(json!({"id": "x", "n": 3})), record(json!({"id": "z", "n": 4}))];
    let reply = seat.client.batch_insert("numbers", again, None).await.unwrap();
    assert_eq!(column(&raws(&reply), "id"), [json!("z")]);
    assert_eq!(seat.client.count_documents("numbers").await.unwrap(), 3);
    refused(seat.client.batch_insert("_secret", vec![record(json!({"n": 1}))], None).await)
}

async fn batch_update(seat: Seat) -> Refused {
    seat.people().await;
    let change = |id: &str, age: i64| (id.to_owned(), record(json!({"age": age})));
    let updates = vec![change("a", 1), change("nobody", 2), change("b", 3)];
    let reply = seat.client.batch_update("people", updates, None).await.unwrap();
    assert_eq!(column(&raws(&reply), "id"), [json!("a"), json!("b")]);
    assert_eq!(
        (seat.person("a").await["age"].clone(), seat.person("b").await["age"].clone()),
        (typed(1), typed(3))
    );
    refused(seat.client.batch_update("_secret", vec![change("a", 1)], None).await)
}

async fn batch_delete(seat: Seat) -> Refused {
    seat.people().await;
    let ids = || ["a", "nobody", "b"].map(str::to_owned).to_vec();
    assert_eq!(seat.client.batch_delete("people", ids(), None).await.unwrap(), 2);
    assert_eq!(seat.client.count_documents("people").await.unwrap(), 1);
    refused(seat.client.batch_delete("_secret", ids(), None).await)
}

async fn upsert(seat: Seat) -> Refused {
    seat.people().await;
    let options = UpsertOptions::new().bypass_ripple(true);
    let change = record(json!({"age": 99}));
    seat.client.upsert("people", "a", change.clone(), Some(options)).await.unwrap();
    assert_eq!(
        (seat.person("a").await["age"].clone(), seat.person("a").await["name"].clone()),
        (typed(99), typed("Ada"))
    );
    seat.client.upsert("people", "new", change.clone(), None).await.unwrap();
    assert_eq!(seat.client.count_documents("people").await.unwrap(), 4);
    refused(seat.client.upsert("_secret", "a", change, None).await)
}

async fn find_one(seat: Seat) -> Refused {
    seat.people().await;
    let found = seat.client.find_one("people", "name", "Bob").await.unwrap().unwrap();
    assert_eq!(raw(&found)["id"], "b");
    assert!(seat.client.find_one("people", "name", "Nobody").await.unwrap().is_none());
    refused(seat.client.find_one("_secret", "name", "Bob").await)
}

async fn exists(seat: Seat) -> Refused {
    seat.people().await;
    assert!(seat.client.exists("people", "a").await.unwrap());
    assert!(!seat.client.exists("people", "nobody").await.unwrap());
    refused(seat.client.exists("_secret", "a").await)
}

/// Pages follow each other without gaps, in the order of ids.
async fn paginate(seat: Seat) -> Refused {
    seat.people().await;
    let first = raws(&seat.client.paginate("people", 1, 2).await.unwrap());
    let second = raws(&seat.client.paginate("people", 2, 2).await.unwrap());
    assert_eq!(column(&first, "id"), [json!("a"), json!("b")]);
    assert_eq!(column(&second, "id"), [json!("e")]);
    assert!(seat.client.paginate("people", 3, 2).await.unwrap().is_empty());
    refused(seat.client.paginate("_secret", 1, 2).await)
}

async fn find_all(seat: Seat) -> Refused {
    assert!(seat.client.find_all("people", 10).await.unwrap().is_empty());
    seat.people().await;
    let found = raws(&seat.client.find_all("people", 2).await.unwrap());
    assert_eq!(column(&found, "name"), [json!("Ada"), json!("Bob")]);
    refused(seat.client.find_all("_secret", 10).await)
}

/// No limit that was not asked for.
async fn count_documents(seat: Seat) -> Refused {
    let records: Vec<Value> = (0..5000).map(|n| json!({"n": n})).collect();
    seat.socket.batch_insert("numbers", records, None).await.unwrap();
    assert_eq!(seat.client.count_documents("numbers").await.unwrap(), 5000);
    refused(seat.client.count_documents("_secret").await)
}

async fn distinct_values(seat: Seat) -> Refused {
    use super::ekodb::DistinctValuesQuery;
    seat.people().await;
    let reply = seat.client.distinct_values("people", "town", DistinctValuesQuery::new()).await.unwrap();
    assert_eq!((reply.collection.as_str(), reply.field.as_str(), reply.count), ("people", "town", 2));
    assert_eq!(reply.values, [json!("London"), json!("Paris")]);
    let young =
        DistinctValuesQuery::new().filter(condition("age", "Lt", 25)).bypass_ripple(true).bypass_cache(true);
    let reply = seat.client.distinct_values("people", "town", young).await.unwrap();
    assert_eq!(reply.values, [json!("Paris")]);
    let wrong = DistinctValuesQuery::new().filter(json!({"type": "Nothing"}));
    refused(seat.client.distinct_values("people", "town", wrong).await)
}
