//! Members are read back as what their schema says that they are: a vector is no array, a UUID no text.

use proptest::collection::{hash_map, hash_set, vec};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::Api;
use crate::client::Client;
use crate::house::House;

/// Every type that a member may be of.
const TYPES: [&str; 15] = [
    "String", "Integer", "Float", "Number", "Boolean", "Object", "Array", "Set", "Vector", "DateTime",
    "UUID", "Decimal", "Duration", "Binary", "Bytes",
];

fn typed(kind: &str, value: impl Into<Value>) -> Value {
    json!({"type": kind, "value": value.into()})
}

fn schema(types: &[&str]) -> Value {
    let field = |kind: &&str| (kind.to_lowercase(), json!({"field_type": kind}));
    json!({"fields": types.iter().map(field).collect::<Map<_, _>>()})
}

const UUID: &str = "00010203-0405-0607-0809-0a0b0c0d0e0f";

#[tokio::test]
async fn what_a_schema_says_is_read_everywhere() {
    let house = House::open().await;
    let api = Api::of(&house);
    let mut fields = schema(&["Vector", "UUID", "String"]);
    fields["fields"]["string"]["index"] = json!({"type": "text"});
    api.done("POST", "/api/collections/things", fields).await;
    let mut socket = Client::connect(house.address, "/api/ws").await;
    socket.send(json!({"type": "Subscribe", "messageId": "1", "payload": {"collection": "things"}})).await;
    socket.until("Success").await;

    let moment = "2026-01-02T03:04:05Z";
    let written = json!({
        "id": "a", "vector": typed("Vector", json!([1.0, 0.5])), "uuid": UUID, "string": moment, "other": moment,
    });
    api.done("POST", "/api/insert/things", written).await;
    let read = json!({
        "id": "a", "vector": typed("Vector", json!([1.0, 0.5])), "uuid": typed("UUID", UUID),
        "string": typed("String", moment), "other": typed("DateTime", moment),
    });
    assert_eq!(api.done("GET", "/api/find/things/a", Value::Null).await, read);
    assert_eq!(api.done("POST", "/api/find/things", json!({})).await, json!([read]));
    assert_eq!(api.done("PUT", "/api/update/things/a", json!({"uuid": UUID})).await, read);
    let found = api.done("POST", "/api/search/things", json!({"query": "2026"})).await;
    assert_eq!(found["results"][0]["record"], read);
    assert_eq!(socket.until("MutationNotification").await["payload"]["records"], read);
    socket
        .send(json!({"type": "FindById", "messageId": "2", "payload": {"collection": "things", "id": "a"}}))
        .await;
    assert_eq!(socket.until("Success").await["payload"]["data"], read);

    api.done("PUT", "/api/config", json!({"use_typed_values": false})).await;
    let plain = api.done("GET", "/api/find/things/a", Value::Null).await;
    assert_eq!((&plain["vector"], &plain["uuid"]), (&json!([1.0, 0.5]), &json!(UUID)));
}

#[tokio::test]
async fn a_schema_that_changes_or_goes_is_followed() {
    let house = House::open().await;
    let api = Api::of(&house);
    api.done("POST", "/api/insert/things", json!({"id": "a", "uuid": UUID})).await;
    let uuid = || async { api.done("GET", "/api/find/things/a", Value::Null).await["uuid"]["type"].take() };
    assert_eq!(uuid().await, "String");
    api.done("PUT", "/api/schemas/things", json!({"constraints": {"uuid": {"field_type": "UUID"}}})).await;
    api.done("POST", "/api/insert/things", json!({"id": "b"})).await; // written after the schema
    assert_eq!(uuid().await, "UUID");
    api.done("DELETE", "/api/collections/things", Value::Null).await;
    api.done("POST", "/api/insert/things", json!({"id": "a", "uuid": UUID})).await;
    assert_eq!(uuid().await, "String");
}

#[test]
fn what_a_schema_says_is_known_after_a_restart() {
    let first = Runtime::new().unwrap();
    let house = first.block_on(async {
        let house = House::open().await;
        let api = Api::of(&house);
        api.done("POST", "/api/collections/things", schema(&["Decimal", "Set"])).await;
        api.done("POST", "/api/insert/things", json!({"id": "a", "decimal": "12.50", "set": [1, 2]})).await;
        house
    });
    drop(first);
    Runtime::new().unwrap().block_on(async {
        let house = House::on(house.killed().await, |_| ()).await;
        let read = Api::of(&house).done("GET", "/api/find/things/a", Value::Null).await;
        let expected =
            json!({"id": "a", "decimal": typed("Decimal", "12.50"), "set": typed("Set", json!([1, 2]))});
        assert_eq!(read, expected);
    });
}

/// A value of a type.
fn value(kind: &str) -> BoxedStrategy<Value> {
    let whole = any::<i64>().prop_map(Value::from);
    let fraction = any::<i32>().prop_map(|eighths| json!(f64::from(eighths) / 8.0));
    match kind {
        "String" => {
            prop_oneof!["\\PC{0,12}", Just("2026-01-02T03:04:05Z".into())].prop_map(Value::from).boxed()
        }
        "Integer" => whole.boxed(),
        "Float" => fraction.boxed(),
        "Number" => prop_oneof![whole, fraction].boxed(),
        "Boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "Object" => hash_map("[a-z]{1,4}", whole, 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
            .boxed(),
        "Array" => vec(prop_oneof![whole, Just(json!("x"))], 0..4).prop_map(Value::from).boxed(),
        "Set" => hash_set(any::<u8>(), 0..5).prop_map(|set| json!(set)).boxed(),
        "Vector" => vec(fraction, 3).prop_map(Value::from).boxed(),
        "DateTime" => {
            "20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:[0-5][0-9]:00(Z|\\+02:00)".prop_map(Value::from).boxed()
        }
        "UUID" => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".prop_map(Value::from).boxed(),
        "Decimal" => "-?[0-9]{1,20}\\.[0-9]{1,8}".prop_map(Value::from).boxed(),
        "Duration" => (any::<u32>(), 0..1_000_000_000_u32)
            .prop_map(|(secs, nanos)| json!({"secs": secs, "nanos": nanos}))
            .boxed(),
        "Binary" => vec(any::<u8>(), 0..6).prop_map(|bytes| json!(bytes)).boxed(),
        _ => Just(json!("AAEC")).boxed(),
    }
}

/// A record with some members of all types, each written plain or in its wrapper, and how it is read.
fn record() -> impl Strategy<Value = (Value, Value)> {
    let member = |kind: &'static str| (Just(kind), value(kind), any::<bool>(), any::<bool>());
    TYPES.map(member).to_vec().prop_map(|members| {
        let (mut written, mut read) = (Map::new(), Map::new());
        for (kind, value, is_wrapped, _) in members.into_iter().filter(|(.., is_there)| *is_there) {
            let wrapped = typed(kind, value.clone());
            written.insert(kind.to_lowercase(), if is_wrapped { wrapped.clone() } else { value });
            read.insert(kind.to_lowercase(), wrapped);
        }
        (written.into(), read.into())
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_as_a_type_is_read_as_that_type(records in vec(record(), 1..12), packed in any::<bool>()) {
        Runtime::new().unwrap().block_on(async {
            let house = House::open().await;
            let api = Api::of(&house);
            api.done("POST", "/api/collections/things", schema(&TYPES)).await;
            for (number, (mut written, mut read)) in records.into_iter().enumerate() {
                (written["id"], read["id"]) = (json!(number.to_string()), json!(number.to_string()));
                let path = format!("/api/find/things/{number}");
                let (status, found) = if packed {
                    let (status, answer) = api.packed("POST", "/api/insert/things", &written).await;
                    prop_assert_eq!(status, 200, "{}: {}", written, answer);
                    api.packed("GET", &path, &Value::Null).await
                } else {
                    api.done("POST", "/api/insert/things", written).await;
                    api.ask("GET", &path, Value::Null).await
                };
                prop_assert_eq!((status, found), (200, read));
            }
            Ok(())
        })?;
    }
}
