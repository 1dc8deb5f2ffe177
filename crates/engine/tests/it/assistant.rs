//! The assistant behind the explorer over the real store: questions in, answers out, and no model file.

use std::sync::Arc;

use tidewire_engine::agent::explorer::{Explorer, suggestions};
use tidewire_engine::agent::{Agent, SharedRecords, Turn, events};
use tidewire_engine::model::Message;
use tidewire_engine::model::assistant::Assistant;
use tidewire_engine::{AgentEvent, Identity};

use crate::explorer::records;

/// The tools that were called, and the answer's text.
async fn ask(records: &SharedRecords, question: &str) -> (Vec<String>, String) {
    let explorer = Explorer::new(Arc::new(Assistant::new()), Arc::clone(records));
    let turn = Turn::alone(Identity::local(), vec![Message::User(question.to_owned())]);
    let (sender, mut receiver) = events::queue(4096);
    explorer.run(turn, sender).await;
    let (mut tools, mut text) = (Vec::new(), None);
    while let Some(event) = receiver.next().await {
        match event {
            AgentEvent::ToolCall { name, .. } => tools.push(name),
            AgentEvent::RunFinished { answer, .. } => text = Some(answer.text),
            AgentEvent::RunFailed { error, .. } => panic!("{question}: {error}"),
            _ => {}
        }
    }
    let text = text.expect("the run finished");
    (tools, text)
}

#[tokio::test]
async fn questions_are_answered_with_what_the_store_has() {
    let records = records().await;
    for (question, tool, part) in [
        ("Show me all tables", "list_tables", "There are 93 tables"),
        ("How are purchase orders related to suppliers?", "find_relationships", "dimv_supplier"),
        ("Describe the purchase orders table", "get_table_details", "factv_purchase_order"),
        ("Find columns with price", "search_columns", "price"),
        ("Where do purchase orders come from?", "get_lineage", "is loaded from"),
        ("How many web orders are there?", "query_collection", "There are 30 web orders."),
        (
            "Top 3 web orders by amount",
            "query_collection",
            "3 of 30 web orders:\n\n| id | amount |\n| --- | --- |\n| o29 | 29 |",
        ),
    ] {
        let (tools, text) = ask(&records, question).await;
        assert_eq!(tools, [tool], "{question}");
        assert!(text.contains(part), "{question}: {text}");
    }
}

#[tokio::test]
async fn what_the_page_suggests_is_understood() {
    let records = records().await;
    for question in suggestions(&*records, &Identity::local()).await.unwrap() {
        let (tools, _) = ask(&records, &question).await;
        assert!(!tools.is_empty(), "{question}");
    }
}

#[tokio::test]
async fn small_talk_calls_nothing() {
    let (tools, text) = ask(&records().await, "hello").await;
    assert!(tools.is_empty() && text.starts_with("Hello!"), "{tools:?} {text}");
}
