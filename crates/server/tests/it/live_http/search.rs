//! Search by words, by nearness, and by both.

use serde_json::{Value, json};

use super::Api;
use crate::house::House;

async fn library() -> House {
    let house = House::open().await;
    let api = Api::of(&house);
    let schema = json!({"fields": {
        "title": {"field_type": "String", "index": {"type": "text"}},
        "embedding": {"field_type": "Vector", "index": {"type": "vector", "metric": "cosine", "dimension": 2}},
    }});
    api.done("POST", "/api/collections/books", schema).await;
    for (id, title, vector) in [
        ("a", "Database design", json!([1.0, 0.0])),
        ("b", "Programming by hand", json!([0.0, 1.0])),
        ("c", "The sea", json!([0.7, 0.7])),
    ] {
        let book = json!({"id": id, "title": title, "embedding": vector, "year": 2000});
        api.done("POST", "/api/insert/books", book).await;
    }
    house
}

fn ids(reply: &Value) -> Vec<&str> {
    reply["results"].as_array().unwrap().iter().map(|hit| hit["record"]["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn words_are_found_stemmed_and_mistyped() {
    let house = library().await;
    let api = Api::of(&house);
    let search = json!({"query": "databases", "enable_stemming": true, "bypass_ripple": null, "bypass_cache": null, "limit": null});
    let reply = api.done("POST", "/api/search/books", search).await;
    assert_eq!((ids(&reply), &reply["total"]), (vec!["a"], &json!(1)));
    assert!(reply["execution_time_ms"].is_u64());
    let hit = &reply["results"][0];
    assert!(hit["score"].as_f64().unwrap() > 0.0);
    assert_eq!(hit["matched_fields"], json!(["title"]));
    assert_eq!(hit["record"]["title"], json!({"type": "String", "value": "Database design"}));

    let mistyped = |fuzzy: bool| json!({"query": "progamming", "fuzzy": fuzzy, "max_edit_distance": 2, "fields": "title", "weights": "title:2.0"});
    assert_eq!(ids(&api.done("POST", "/api/search/books", mistyped(true)).await), ["b"]);
    assert!(ids(&api.done("POST", "/api/search/books", mistyped(false)).await).is_empty());
}

#[tokio::test]
async fn nearness_alone_and_with_words() {
    let house = library().await;
    let api = Api::of(&house);
    let near = json!({"query": "", "vector": [1, 0.1], "vector_k": 2, "limit": 2, "select_fields": ["year"]});
    let reply = api.done("POST", "/api/search/books", near).await;
    assert_eq!(ids(&reply), ["a", "c"]);
    assert!(reply["results"][0]["record"].get("title").is_none(), "{reply}");
    let both = json!({"query": "sea", "vector": [0, 1], "text_weight": 0.5, "vector_weight": 0.5});
    let reply = api.done("POST", "/api/search/books", both).await;
    assert_eq!(ids(&reply).len(), 3, "{reply}");
}

#[tokio::test]
async fn a_search_for_nothing_or_among_nothing_is_refused_or_empty() {
    let house = library().await;
    let api = Api::of(&house);
    let sentence = api.refused(400, "POST", "/api/search/books", json!({"query": ""})).await;
    assert!(sentence.contains("words in query, or numbers in vector"), "{sentence}");
    api.refused(400, "POST", "/api/search/books", json!({"query": "x", "max_edit_distance": 9})).await;
    let none = json!({"type": "Condition", "content": {"field": "year", "operator": "Gt", "value": 2001}});
    let reply = api.done("POST", "/api/search/books", json!({"query": "sea", "filters": none})).await;
    assert_eq!((&reply["results"], &reply["total"]), (&json!([]), &json!(0)));
}
