//! What the explorer answers about the demo catalogue, and what it shows beside it.

use super::*;
use crate::agent::explorer::{self, catalog};
use crate::agent::retrieval::DOCUMENTS;
use crate::event::{CanvasTrigger, CanvasView};
use crate::identity::{Grant, Grants};
use crate::model::NameKind;

/// One call of a tool, and its result.
async fn ask(tool: &str, arguments: Value) -> Value {
    let explorer = explorer(ScriptedModel::new().then(call(tool, arguments)).then(say("Done.")));
    let events = events(&explorer, turn("go")).await;
    results(&events, tool).remove(0)
}

fn names<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[member].as_str().unwrap()).collect()
}

fn canvas(events: &[AgentEvent]) -> (CanvasView, f64) {
    let CanvasTrigger { view, confidence, .. } = end(events).0.canvas.clone().unwrap();
    (view.unwrap(), confidence)
}

#[tokio::test(start_paused = true)]
async fn how_purchase_orders_are_related_to_suppliers() {
    let arguments = json!({"table_name": "purchase orders"});
    let model =
        ScriptedModel::new().then(call("find_relationships", arguments)).then(say("By `supplier_key`."));
    let events = events(&explorer(model), turn("How are purchase orders related to suppliers?")).await;
    let lines: Vec<_> = events.iter().map(|event| line(event).chars().take(33).collect::<String>()).collect();
    let expected = [
        "started",
        r#"call find_relationships {"table_n"#,
        r#"result find_relationships {"table"#,
        "diagram",
        r#"text "By `supplier_key`.""#,
        r#"finished "By `supplier_key`.""#,
    ];
    assert_eq!(lines, expected);
    let (answer, _) = end(&events);
    let diagram = answer.diagram.as_deref().unwrap();
    assert!(
        diagram.starts_with("erDiagram\n    factv_purchase_order ||--o{ dimv_supplier : references\n"),
        "{diagram}"
    );
    assert!(
        diagram.contains("varchar order_number PK") && diagram.contains("bigint supplier_key FK"),
        "{diagram}"
    );
    assert_eq!(diagram.matches(" {\n").count(), 2, "only the two that were asked for: {diagram}");
    assert_eq!(canvas(&events), (CanvasView::ErDiagram, 0.85));
    let trigger = answer.canvas.as_ref().unwrap();
    assert_eq!(trigger.entity_name.as_deref(), Some("purchasing.factv_purchase_order"));
    assert_eq!(trigger.query.as_deref(), Some("How are purchase orders related to suppliers?"));
}

#[tokio::test(start_paused = true)]
async fn all_tables_are_listed_with_figures() {
    let model = ScriptedModel::new().then(call("list_tables", json!({}))).then(say("Here they are."));
    let events = events(&explorer(model), turn("Show me all tables")).await;
    let result = &results(&events, "list_tables")[0];
    assert_eq!((result["total"].as_u64(), result["tables"].as_array().unwrap().len()), (Some(92), 92));
    assert!(result.get("left_out").is_none(), "all of them fit");
    let members: Vec<_> = result["tables"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["name", "full_name", "table_type", "schema", "description", "column_count"]);
    assert_eq!(canvas(&events), (CanvasView::TableList, 0.75));
    let metrics = end(&events).0.metrics.clone().unwrap();
    assert_eq!((metrics.total_tables, metrics.facts_count, metrics.dimensions_count), (92, 30, 50));
    assert!(metrics.total_columns > 1_900 && metrics.relationships_count > Some(250));
    assert_eq!((metrics.quality_score, metrics.schema_name), (Some(1.0), None));
    assert!(metrics.as_of.is_some());
}

#[tokio::test(start_paused = true)]
async fn one_schema_is_listed_with_its_own_figures() {
    let arguments = json!({"schema": "MASTER_DATA"});
    let model = ScriptedModel::new().then(call("list_tables", arguments)).then(say("Here they are."));
    let events = events(&explorer(model), turn("Show me the tables of master data")).await;
    let metrics = end(&events).0.metrics.clone().unwrap();
    assert_eq!((metrics.schema_name.as_deref(), metrics.facts_count), (Some("MASTER_DATA"), 0));
    assert!(
        metrics.total_tables < 92 && metrics.total_columns < 1_000 && metrics.relationships_count < Some(100)
    );
    let unknown = ask("list_tables", json!({"schema": "sales"})).await;
    assert_eq!(unknown["near_matches"], json!(["master_data", "purchasing"]));
}

#[tokio::test(start_paused = true)]
async fn a_table_is_found_by_any_of_its_names() {
    for name in ["purchasing.factv_delivery", "FACTV_DELIVERY", "deliveries", "Delivery", "`factv_delivery`"]
    {
        let details = ask("get_table_details", json!({"table_name": name})).await;
        assert_eq!(details["full_name"], "purchasing.factv_delivery", "{name}");
    }
    let details = ask("get_table_details", json!({"table_name": "deliveries"})).await;
    assert_eq!(details["business_key"], json!(["delivery_number", "delivery_item"]));
    assert!(details["grain"].as_str().unwrap().contains("inbound delivery"));
    let has = |member: &str, name: &str| details[member].as_array().unwrap().contains(&json!(name));
    assert!(
        has("measures", "delay_days")
            && has("date_columns", "promised_date")
            && has("attributes", "is_on_time")
    );
    let columns = details["columns"].as_array().unwrap();
    assert_eq!(columns.len() as u64, details["column_count"].as_u64().unwrap());
    let members: Vec<_> = columns[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["name", "type", "description", "is_measure", "is_foreign_key"]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_table_is_no_error_and_names_what_is_near() {
    for tool in ["get_table_details", "find_relationships", "get_lineage"] {
        let result = ask(tool, json!({"table_name": "factv_purchse_order"})).await;
        assert_eq!(result["unknown_table"], "factv_purchse_order");
        assert_eq!(result["near_matches"][0], "purchasing.factv_purchase_order");
        let message = result["message"].as_str().unwrap();
        assert!(
            message.starts_with("There is no table named \"factv_purchse_order\". Did you mean"),
            "{message}"
        );
    }
    let result = ask("get_lineage", json!({"table_name": "💥"})).await;
    assert_eq!(result["near_matches"], json!([]));
    assert!(result["message"].as_str().unwrap().contains("None of the 92 tables"));
}

#[tokio::test(start_paused = true)]
async fn columns_are_searched_and_lineage_is_told() {
    let result = ask("search_columns", json!({"pattern": "supplier"})).await;
    assert_eq!(result["columns"].as_array().unwrap().len(), 50);
    assert!(result["total"].as_u64().unwrap() > 60);
    let result = ask("search_columns", json!({"pattern": "delay_*"})).await;
    assert!(names(&result["columns"], "table").contains(&"purchasing.factv_delivery"), "{result}");
    assert_eq!(ask("search_columns", json!({"pattern": "zzz"})).await["total"], 0);
    let lineage = ask("get_lineage", json!({"table_name": "deliveries"})).await;
    assert_eq!(lineage["upstream"], json!(["scm.inbound_deliveries", "portal.ship_notices"]));
    assert!(lineage["downstream"].as_array().unwrap().contains(&json!("purchasing.repv_late_deliveries")));
    assert_eq!(lineage["refresh_frequency"], "hourly");
}

/// Imported orders, described in the catalogue, beside the demo.
fn with_orders() -> Memory {
    let memory = Memory::of(demo::entries());
    for n in 0..30 {
        let body = json!({"amount": n, "status": if n % 3 == 0 { "late" } else { "done" }});
        memory.put("orders", &format!("o{n:02}"), body.as_object().unwrap().clone());
    }
    let columns = [("amount".to_owned(), "integer".to_owned()), ("status".to_owned(), "text".to_owned())];
    for entry in catalog::describe_collection("orders", "Imported from orders.csv", &columns) {
        memory.put(entry.collection, &entry.id, entry.body);
    }
    memory
}

async fn ask_orders(arguments: Value) -> Value {
    let model = ScriptedModel::new().then(call("query_collection", arguments)).then(say("Done."));
    let explorer = Explorer::new(Arc::new(model), Arc::new(with_orders()));
    results(&events(&explorer, turn("go")).await, "query_collection").remove(0)
}

#[tokio::test(start_paused = true)]
async fn records_are_counted_filtered_and_sorted() {
    assert_eq!(
        ask_orders(json!({"collection": "orders", "count": true})).await,
        json!({"collection": "orders", "count": 30})
    );
    let late = json!({"status": "late", "amount": {"gte": 20}});
    let result =
        ask_orders(json!({"collection": "Orders", "filter": late, "sort": "-amount", "limit": 2})).await;
    let expected = json!([
        {"id": "o27", "amount": 27, "status": "late"},
        {"id": "o24", "amount": 24, "status": "late"},
    ]);
    assert_eq!((&result["records"], result["total"].as_u64()), (&expected, Some(3)));
    let result = ask_orders(json!({"collection": "collections.orders"})).await;
    assert_eq!(result["records"].as_array().unwrap().len(), 20);
    let wrong = ask_orders(json!({"collection": "orders", "filter": {"amount": {"about": 3}}})).await;
    assert!(wrong["error"].as_str().unwrap().starts_with("there is no operator \"about\""));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_collection_is_no_error_either() {
    let result = ask_orders(json!({"collection": "oders"})).await;
    assert_eq!(
        (&result["unknown_collection"], &result["near_matches"]),
        (&json!("oders"), &json!(["orders"]))
    );
    let result = ask_orders(json!({"collection": "factv_delivery"})).await;
    assert!(result["message"].as_str().unwrap().contains("its rows are kept elsewhere"), "{result}");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_neither_told_nor_named() {
    let granted = |collection: &str| Grant { collection: collection.into(), write: false };
    let reader = Identity { grants: Grants::Collections(vec![granted("orders")]), ..Identity::local() };
    let memory = Arc::new(with_orders());
    let calls =
        call("list_tables", json!({})).call("query_collection", json!({"collection": "catalog_tables"}));
    let model = Arc::new(ScriptedModel::new().then(calls).then(say("I may not.")));
    let explorer = Explorer::new(model.clone(), memory.clone());
    let events = events(&explorer, Turn { identity: reader.clone(), ..turn("Show me all tables") }).await;
    assert!(results(&events, "list_tables")[0]["error"].as_str().unwrap().contains("no access"));
    assert_eq!(results(&events, "query_collection")[0]["unknown_collection"], "catalog_tables");
    assert_eq!(end(&events).0.metrics, None);
    assert!(!model.requests()[0].system.contains("factv_"));
}

#[tokio::test(start_paused = true)]
async fn the_model_is_told_what_may_be_spoken_of() {
    let model = Arc::new(ScriptedModel::new().then(say("Hello")));
    let explorer = Explorer::new(model.clone(), Arc::new(with_orders()));
    events(&explorer, turn("hello")).await;
    let request = model.requests().remove(0);
    assert!(request.system.contains("purchasing.factv_purchase_order"));
    let find = |kind, name: &str| {
        request.names.iter().find(|known| known.kind == kind && known.name == name).unwrap()
    };
    let order = find(NameKind::Table, "purchasing.factv_purchase_order");
    assert_eq!(order.words[..2], ["purchase orders", "purchase order"]);
    assert_eq!(find(NameKind::Collection, "orders").words, ["orders", "order"]);
    assert_eq!(find(NameKind::Schema, "master_data").words[0], "master data");
    assert!(
        !request
            .names
            .iter()
            .any(|known| known.kind == NameKind::Collection && known.name.starts_with("catalog_"))
    );
    let tools: Vec<_> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        tools,
        [
            "list_tables",
            "get_table_details",
            "find_relationships",
            "search_columns",
            "get_lineage",
            "query_collection"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn suggestions_are_questions_about_what_is_loaded() {
    let local = Identity::local();
    let demo = Memory::of(demo::entries());
    let expected = [
        "Show me all tables",
        "How are purchase orders related to suppliers?",
        "Which columns do deliveries have?",
    ];
    assert_eq!(explorer::suggestions(&demo, &local).await.unwrap(), expected);
    assert_eq!(explorer::suggestions(&with_orders(), &local).await.unwrap()[2], "How many orders are there?");
    let documented = Memory::of(demo::entries());
    documented.put(DOCUMENTS, "a.md-00000", json!({"text": "A passage."}).as_object().unwrap().clone());
    let suggested = explorer::suggestions(&documented, &local).await.unwrap();
    assert_eq!(suggested, expected, "passages are not counted");
    assert!(explorer::suggestions(&Memory::default(), &local).await.unwrap().is_empty());
    let summary = explorer::summary(&demo, &local).await.unwrap();
    assert_eq!((summary.tables.len(), summary.metrics.total_tables), (92, 92));
}

#[tokio::test(start_paused = true)]
async fn details_bring_a_diagram_of_the_neighbours_that_is_bounded() {
    let arguments = json!({"table_name": "purchase orders"});
    let text = "A fact with many dimensions.";
    let model = ScriptedModel::new().then(call("get_table_details", arguments)).then(say(text));
    let events = events(&explorer(model), turn("What do we know about purchase orders?")).await;
    let diagram = end(&events).0.diagram.clone().unwrap();
    assert!(diagram.contains("more tables\"]"), "{diagram}");
    assert_eq!(diagram.matches(" {\n").count(), 12);
    assert!(diagram.contains("        decimal net_price_doc\n"), "measures are shown: {diagram}");
    assert_eq!(canvas(&events), (CanvasView::ErDiagram, 0.65));
}

#[tokio::test(start_paused = true)]
async fn several_lookups_make_one_diagram() {
    let calls = call("find_relationships", json!({"table_name": "deliveries"}))
        .call("find_relationships", json!({"table_name": "carriers"}));
    let model = ScriptedModel::new().then(calls).then(say("By the carrier."));
    let events = events(&explorer(model), turn("Connect deliveries and carriers")).await;
    let shown: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Diagram { mermaid } => Some(mermaid.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(shown.last(), end(&events).0.diagram.as_ref());
    assert!(shown.last().unwrap().contains("factv_delivery ||--o{ dimv_carrier : references"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_memory_is_drawn_from_the_names_in_it() {
    let text = "`factv_delivery` leads to `dimv_carrier`.";
    let events = events(&explorer(ScriptedModel::new().then(say(text))), turn("And as a diagram?")).await;
    assert_lines(&events[..2], &["started", &format!("text {text:?}")]);
    assert!(end(&events).0.diagram.as_deref().unwrap().contains("factv_delivery ||--o{ dimv_carrier"));
    assert_eq!(canvas(&events), (CanvasView::ErDiagram, 0.85));
}

#[tokio::test(start_paused = true)]
async fn small_talk_shows_nothing_beside_it() {
    let events = events(&explorer(ScriptedModel::new().then(say("Hello!"))), turn("hello")).await;
    assert_eq!(*end(&events).0, Answer { text: "Hello!".into(), ..Answer::default() });
}
