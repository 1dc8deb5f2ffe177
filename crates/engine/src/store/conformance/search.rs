//! Search by words, by nearness, by both.

use serde_json::{Value, json};

use super::super::{Operation, Store};
use super::{body, code, commit, insert, write};
use crate::error::Code;
use crate::query::{Filter, Hit, Projection, Search, TextSearch, VectorSearch};
use crate::schema::Metric;

fn loose(text: &str) -> TextSearch {
    TextSearch { prefix: false, ..TextSearch::typed(text) }
}

fn by_words(text: TextSearch) -> Search {
    Search { text: Some(text), ..Search::words("c", "", 10) }
}

fn near(vector: &[f32], metric: Metric) -> VectorSearch {
    let vector = vector.to_vec();
    VectorSearch {
        field: "embedding".into(),
        vector,
        metric: Some(metric),
        k: 10,
        threshold: None,
        weight: 1.0,
    }
}

fn by_vector(vector: VectorSearch) -> Search {
    Search { text: None, vector: Some(vector), ..Search::words("c", "", 10) }
}

async fn hits(store: &impl Store, search: &Search) -> Vec<Hit> {
    let hits = store.search(search).await.unwrap();
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score), "best first");
    hits
}

async fn ids(store: &impl Store, search: &Search) -> Vec<String> {
    hits(store, search).await.into_iter().map(|hit| hit.record.id.0).collect()
}

async fn shelf(store: &impl Store) {
    for (id, value) in [
        (
            "a",
            json!({"title": "Database Design", "text": "Tables, keys and how they hang together", "year": 1999}),
        ),
        (
            "b",
            json!({"title": "Programming in Rust", "text": "Ownership. A database of crates", "year": 2018}),
        ),
        (
            "c",
            json!({"title": "Tea", "text": "Nothing about programs", "author": {"name": "Ann Program"}, "year": 2020}),
        ),
    ] {
        insert(store, "c", id, value).await;
    }
}

pub(super) async fn words_are_weighed(store: &impl Store) {
    shelf(store).await;
    assert_eq!(
        ids(store, &by_words(loose("database tea"))).await,
        ["c", "a", "b"],
        "the rarer word tells more"
    );
    let only = |field: &str| by_words(TextSearch { fields: vec![(field.into(), 1.0)], ..loose("database") });
    assert_eq!(ids(store, &only("title")).await, ["a"]);
    assert_eq!(ids(store, &only("text")).await, ["b"]);
    assert!(ids(store, &only("nowhere")).await.is_empty());
    let nested = TextSearch { fields: vec![("author.name".into(), 1.0)], ..loose("ann") };
    assert_eq!(ids(store, &by_words(nested)).await, ["c"]);

    let weighed = |title: f64, text: f64| {
        let fields = vec![("title".into(), title), ("text".into(), text)];
        by_words(TextSearch { fields, ..loose("database") })
    };
    assert_eq!(ids(store, &weighed(5.0, 1.0)).await, ["a", "b"]);
    assert_eq!(ids(store, &weighed(1.0, 5.0)).await, ["b", "a"]);
    let found = hits(store, &weighed(1.0, 1.0)).await;
    assert_eq!(found.iter().map(|hit| hit.matched_fields.clone()).collect::<Vec<_>>(), [["title"], ["text"]]);
    let wrong = weighed(-1.0, 1.0);
    assert_eq!(code(store.search(&wrong).await), Some(Code::Invalid));
}

pub(super) async fn words_are_meant(store: &impl Store) {
    shelf(store).await;
    let stemmed = |text: &str| by_words(TextSearch { stemming: true, ..loose(text) });
    assert_eq!(ids(store, &stemmed("databases")).await, ["a", "b"]);
    assert!(ids(store, &by_words(loose("databases"))).await.is_empty());
    let typed = |text: &str, max_edits| by_words(TextSearch { max_edits, ..loose(text) });
    assert_eq!(ids(store, &typed("progamming", 2)).await, ["b"]);
    assert!(ids(store, &typed("progamming", 0)).await.is_empty());
    assert_eq!(ids(store, &typed("tea", 1)).await, ["c"], "the word itself is there");
    assert_eq!(code(store.search(&typed("x", 6)).await), Some(Code::Invalid));

    let exactly = |text: &str| by_words(TextSearch { case_sensitive: true, ..loose(text) });
    assert_eq!(ids(store, &exactly("Database")).await, ["a"]);
    assert_eq!(ids(store, &exactly("database")).await, ["b"]);
    let phrase = |boost_exact| by_words(TextSearch { boost_exact, ..loose("keys tables") });
    let (plain, boosted) = (hits(store, &phrase(false)).await, hits(store, &phrase(true)).await);
    assert_eq!(plain[0].score, boosted[0].score, "the words are there, the phrase is not");
    let phrase = |boost_exact| by_words(TextSearch { boost_exact, ..loose("tables keys") });
    let (plain, boosted) = (hits(store, &phrase(false)).await, hits(store, &phrase(true)).await);
    assert!(boosted[0].score > plain[0].score);
}

pub(super) async fn a_search_is_restricted(store: &impl Store) {
    shelf(store).await;
    let search = by_words(loose("database tea programs"));
    let filtered = Search { filter: Some(Filter::eq("year", 2018)), ..search.clone() };
    assert_eq!(ids(store, &filtered).await, ["b"]);
    let best = hits(store, &search).await[0].score;
    assert_eq!(ids(store, &Search { min_score: Some(best), ..search.clone() }).await.len(), 1);
    assert_eq!(ids(store, &Search { limit: 2, ..search.clone() }).await.len(), 2);
    let projected =
        Search { projection: Projection::Only(vec!["year".into(), "author.name".into()]), ..search };
    let tea = hits(store, &projected).await.into_iter().find(|hit| hit.record.id.0 == "c").unwrap();
    assert_eq!(Value::Object(tea.record.body), json!({"year": 2020, "author": {"name": "Ann Program"}}));
}

pub(super) async fn the_nearest_are_found(store: &impl Store) {
    assert!(ids(store, &by_vector(near(&[1.0, 0.0], Metric::Cosine))).await.is_empty(), "no such collection");
    for (id, value) in [
        ("east", json!({"embedding": [2, 0]})),
        ("north", json!({"embedding": {"type": "Vector", "value": [0.0, 1.0]}})),
        ("west", json!({"embedding": [-1.0, 0.0]})),
        ("long", json!({"embedding": [1.0, 2.0, 3.0]})),
        ("none", json!({"embedding": "text"})),
    ] {
        insert(store, "c", id, value).await;
    }
    let east = |metric| by_vector(near(&[1.0, 0.1], metric));
    assert_eq!(ids(store, &east(Metric::Cosine)).await, ["east", "north", "west"]);
    assert_eq!(ids(store, &east(Metric::DotProduct)).await, ["east", "north", "west"]);
    let euclid = hits(store, &east(Metric::Euclidean)).await;
    assert_eq!(euclid[0].record.id.0, "east");
    assert!((euclid[0].score - 1.0 / (1.0 + 1.01_f64.sqrt())).abs() < 1e-6, "{}", euclid[0].score);
    assert_eq!(euclid[0].matched_fields, ["embedding"]);

    let above = VectorSearch { threshold: Some(0.5), ..near(&[1.0, 0.0], Metric::Cosine) };
    assert_eq!(ids(store, &by_vector(above)).await, ["east"]);
    assert_eq!(code(store.search(&by_vector(near(&[1.0], Metric::Cosine))).await), Some(Code::Invalid));
    assert_eq!(
        code(store.search(&by_vector(near(&[f32::NAN, 0.0], Metric::Cosine))).await),
        Some(Code::Invalid)
    );

    insert(store, "c", "new", json!({"embedding": [1.0, 0.1]})).await;
    let moved = write("c", "east", Operation::Merge(body(&json!({"embedding": [-2.0, 0.0]}))));
    commit(store, vec![moved, write("c", "west", Operation::Delete)]).await.unwrap();
    assert_eq!(ids(store, &east(Metric::Cosine)).await, ["new", "north", "east"]);
    let without = write("c", "new", Operation::Merge(body(&json!({"embedding": null}))));
    commit(store, vec![without]).await.unwrap();
    assert_eq!(ids(store, &east(Metric::Cosine)).await, ["north", "east"]);
}

pub(super) async fn rankings_are_fused(store: &impl Store) {
    for (id, text, vector) in [
        ("both", "green tea", [1.0, 0.0]),
        ("words", "green tea tea", [0.0, 1.0]),
        ("near", "coffee", [0.9, 0.1]),
    ] {
        insert(store, "c", id, json!({"text": text, "embedding": vector})).await;
    }
    let vector = VectorSearch { weight: 0.5, ..near(&[1.0, 0.0], Metric::Cosine) };
    let text = TextSearch { weight: 0.5, ..loose("tea") };
    let search = Search { text: Some(text), vector: Some(vector), ..Search::words("c", "", 10) };
    let found = hits(store, &search).await;
    assert_eq!(found[0].record.id.0, "both");
    assert_eq!(found[0].matched_fields, ["text", "embedding"]);
    assert_eq!(found.len(), 3);
    assert!(found[0].score <= 1.0 && found[0].score > 0.98, "{}", found[0].score);
    let filtered = Search { filter: Some(Filter::eq("id", "near")), ..search };
    assert_eq!(ids(store, &filtered).await, ["near"]);
}
