//! What those who run a server look at: the figures, and the dashboard over them.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use serde_json::Value;

use crate::house::House;

const DASHBOARD: &str = include_str!("../../../../deploy/grafana.json");

async fn figures(house: &House) -> String {
    reqwest::get(house.url("/metrics")).await.unwrap().text().await.unwrap()
}

fn value(figures: &str, name: &str) -> f64 {
    let line = figures.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// The names of all figures, each of which has its words.
fn names(figures: &str) -> BTreeSet<&str> {
    let of = |prefix: &str| -> BTreeSet<&str> {
        let lines = figures.lines().filter_map(|line| line.strip_prefix(prefix));
        lines.filter_map(|line| line.split(' ').next()).collect()
    };
    assert_eq!(of("# TYPE "), of("# HELP "), "a figure has no words");
    of("# TYPE ")
}

/// The words of an expression that can be names of figures.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    expression.split(apart).filter(|word| word.starts_with("tidewire_") || word.starts_with("process_"))
}

#[tokio::test]
async fn the_dashboard_shows_every_figure_and_none_that_there_is_not() {
    let house = House::open().await;
    let mut client = house.client("a").await;
    client.ask("2 tokens").await;
    client.until("agent").await;
    let figures = figures(&house).await;
    let there = names(&figures);
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let shown: BTreeSet<&str> = expressions.iter().flat_map(|expression| words(expression)).collect();
    let missing: Vec<_> =
        there.iter().filter(|name| name.starts_with("tidewire_") && !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
    let unknown: Vec<_> = shown.difference(&there).collect();
    assert!(unknown.is_empty(), "on the dashboard and not in /metrics: {unknown:?}");
}

#[tokio::test]
async fn what_is_too_large_is_counted_by_its_close_code() {
    let house = House::with(|plan| plan.config.limits.message_bytes = 2000).await;
    assert_eq!(value(&figures(&house).await, "tidewire_sockets_closed_total{code=\"1009\"}"), 0.0);
    let mut client = house.client("a").await;
    client.ask(&"x".repeat(3000)).await;
    while client.socket.next().await.is_some_and(|frame| frame.is_ok()) {}
    assert_eq!(value(&figures(&house).await, "tidewire_sockets_closed_total{code=\"1009\"}"), 1.0);
}

#[tokio::test]
async fn the_process_and_the_files_are_among_the_figures() {
    let house = House::open().await;
    let figures = figures(&house).await;
    assert!(value(&figures, "process_resident_memory_bytes") > 1e6);
    assert!(value(&figures, "tidewire_store_file_bytes{file=\"records\"}") >= 4096.0);
    assert!(value(&figures, "tidewire_store_log_bytes{file=\"records\"}") > 4096.0);
    let limit = value(&figures, "tidewire_store_writes_limit{file=\"chats\"}");
    assert_eq!(limit, 1024.0);
    // A server that was just opened may still be writing.
    assert!(value(&figures, "tidewire_store_writes_waiting{file=\"chats\"}") < limit);
}
