//! The explorer over the real store: every tool, the summary, and what an import adds.

use std::sync::Arc;

use serde_json::{Value, json};
use tidewire_engine::agent::explorer::{Explorer, Vocabulary, catalog, demo, suggestions, summary};
use tidewire_engine::agent::{Agent, SharedRecords, Turn, events};
use tidewire_engine::collections::Desk;
use tidewire_engine::id::ManualClock;
use tidewire_engine::identity::Subject;
use tidewire_engine::model::Message;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{AgentEvent, Answer, Identity, RecordId, Timestamp};

/// The demo catalogue in a store, behind the data desk.
pub(crate) async fn records() -> SharedRecords {
    let store = Sqlite::in_memory().unwrap();
    let orders = [("amount".to_owned(), "decimal".to_owned())];
    let described = catalog::describe_collection("web_orders", "Imported from web_orders.csv", &orders);
    let entries = demo::entries().into_iter().chain(described);
    let mut batch: Vec<_> =
        entries.map(|entry| write(entry.collection, &entry.id, entry.body.into())).collect();
    batch.extend((0..30).map(|n| write("web_orders", &format!("o{n:02}"), json!({"amount": n}))));
    store.commit(&Subject::SYSTEM.into(), Timestamp(1_000_000), batch).await.unwrap();
    Arc::new(Desk::new(Arc::new(store), Arc::new(ManualClock::new(Timestamp(2_000_000)))))
}

fn write(collection: &str, id: &str, body: Value) -> Write {
    let body = body.as_object().unwrap().clone();
    Write::new(collection, RecordId::from(id), Operation::InsertIfAbsent(body))
}

/// One question that is answered by one call; its result and the answer.
async fn ask(records: &SharedRecords, question: &str, tool: &str, arguments: Value) -> (Value, Answer) {
    let model =
        ScriptedModel::new().then(Script::new().call(tool, arguments)).then(Script::new().text("Done."));
    let explorer = Explorer::new(Arc::new(model), Arc::clone(records));
    let turn = Turn::alone(Identity::local(), vec![Message::User(question.to_owned())]);
    let (sender, mut receiver) = events::queue(64);
    explorer.run(turn, sender).await;
    let (mut result, mut end) = (None, None);
    while let Some(event) = receiver.next().await {
        match event {
            AgentEvent::ToolResult { content, error: None, .. } => {
                result = serde_json::from_str(&content).ok()
            }
            AgentEvent::RunFinished { answer, .. } => end = Some(answer),
            _ => {}
        }
    }
    (result.expect("the tool answered"), end.expect("the run finished"))
}

#[tokio::test]
async fn every_tool_reads_the_real_store() {
    let records = records().await;
    let ask = |question, tool, arguments| ask(&records, question, tool, arguments);
    let (tables, answer) = ask("Show me all tables", "list_tables", json!({})).await;
    assert_eq!(tables["total"], 93);
    let metrics = answer.metrics.unwrap();
    assert_eq!(
        (metrics.total_tables, metrics.facts_count, metrics.as_of),
        (93, 30, Some(Timestamp(1_000_000)))
    );
    assert!(metrics.quality_score < Some(1.0), "the imported column is not described");

    let details = ask("", "get_table_details", json!({"table_name": "Purchase orders"})).await.0;
    let columns = details["columns"].as_array().unwrap();
    assert_eq!(columns.len() as u64, details["column_count"].as_u64().unwrap());
    assert_eq!(columns[0]["name"], "order_number", "columns are in their order");

    let arguments = json!({"table_name": "factv_purchase_order"});
    let (related, answer) =
        ask("How are purchase orders related to suppliers?", "find_relationships", arguments).await;
    assert!(related["relationships"].as_array().unwrap().len() >= 15);
    let diagram = answer.diagram.unwrap();
    assert!(diagram.contains("factv_purchase_order ||--o{ dimv_supplier : references"), "{diagram}");

    let found = ask("", "search_columns", json!({"pattern": "*_EUR"})).await.0;
    assert_eq!(found["columns"].as_array().unwrap().len(), 50);
    let lineage = ask("", "get_lineage", json!({"table_name": "deliveries"})).await.0;
    assert_eq!(lineage["refresh_frequency"], "hourly");
}

#[tokio::test]
async fn what_may_be_spoken_of_is_what_there_is_now() {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let clock = Arc::new(ManualClock::new(Timestamp(2_000_000)));
    let desk = Desk::new(Arc::clone(&store) as _, clock);
    let vocabulary = Vocabulary::new(Arc::new(desk));
    let commit = async |batch| store.commit(&Subject::SYSTEM.into(), Timestamp(1), batch).await.unwrap();
    let names = async |identity: &Identity| {
        let names = vocabulary.of(identity).await.unwrap();
        names.iter().map(|name| name.name.clone()).collect::<Vec<_>>()
    };
    let everybody = Identity::local();
    assert!(names(&everybody).await.is_empty());
    let table = |name: &str| write(catalog::TABLES, name, json!({"name": name, "schema": "s"}));
    commit(vec![table("a"), write("orders", "1", json!({}))]).await;
    assert_eq!(names(&everybody).await, ["s.a", "s", "orders"]);
    assert_eq!(names(&everybody).await, ["s.a", "s", "orders"]);
    commit(vec![table("b")]).await;
    assert_eq!(names(&everybody).await, ["s.a", "s.b", "s", "orders"]);
    let narrow = everybody.narrowed(&[catalog::TABLES.to_owned()]);
    assert_eq!(names(&narrow).await, ["s.a", "s.b", "s"], "another asker, who may read less");
    assert_eq!(names(&everybody).await, ["s.a", "s.b", "s", "orders"]);
    let remove = Write::new(catalog::TABLES, RecordId::from("a"), Operation::Delete);
    commit(vec![remove, write("more", "1", json!({}))]).await;
    assert_eq!(names(&everybody).await, ["s.b", "s", "more", "orders"]);
}

#[tokio::test]
async fn imported_records_are_counted_and_asked_for() {
    let records = records().await;
    let query = |arguments| ask(&records, "", "query_collection", arguments);
    let counted = query(json!({"collection": "web orders", "count": true})).await.0;
    assert_eq!(counted, json!({"collection": "web_orders", "count": 30}));
    let largest =
        json!({"collection": "web_orders", "sort": "-amount", "limit": 1, "filter": {"amount": {"lt": 20}}});
    assert_eq!(query(largest).await.0["records"], json!([{"id": "o19", "amount": 19}]));
    let suggestions = suggestions(&*records, &Identity::local()).await.unwrap();
    let expected = [
        "Show me all tables",
        "How are purchase orders related to suppliers?",
        "How many web orders are there?",
    ];
    assert_eq!(suggestions, expected);
    assert_eq!(summary(&*records, &Identity::local()).await.unwrap().tables.len(), 93);
}
