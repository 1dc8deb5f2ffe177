//! Collections, schemas and searching over HTTP.

use serde_json::{Value, json};

use super::ekodb::schema::IndexConfig;
use super::ekodb::{FieldType, FieldTypeSchema, Schema, SearchQuery};
use super::http_door::stranger;
use super::seat::{raw, record};
use super::{Refused, Seat, refused};
use crate::rig::{column, typed};
use crate::table::rows;

rows! { Client {
    list_collections => ["Authentication error", "401"],
    list_user_collections => ["Authentication error", "401"],
    collection_exists => ["Authentication error", "401"],
    create_collection => ["API error (409)"],
    delete_collection => ["Record not found"],
    get_collection => ["Record not found"],
    get_schema => ["Record not found"],
    search => ["API error (400)"],
    text_search => ["API error (400)"],
    hybrid_search => ["API error (400)"],
}}

/// A schema with every kind of constraint.
fn books() -> Schema {
    let index = |said: Value| serde_json::from_value::<IndexConfig>(said).unwrap();
    let languages = vec![FieldType::string("en"), FieldType::string("de")];
    let pages = (Some(FieldType::integer(1)), Some(FieldType::integer(5000)));
    let vector =
        json!({"type": "vector", "algorithm": "flat", "metric": "cosine", "m": 16, "ef_construction": 200});
    Schema::new()
        .add_field(
            "title",
            FieldTypeSchema::new("string")
                .required()
                .with_index(index(json!({"type": "text", "language": "english"}))),
        )
        .add_field("isbn", FieldTypeSchema::new("string").unique().pattern("^[0-9]+$"))
        .add_field(
            "language",
            FieldTypeSchema::new("string").enums(languages).default_value(FieldType::string("en")),
        )
        .add_field(
            "pages",
            FieldTypeSchema::new("integer")
                .range(pages.0, pages.1)
                .with_index(index(json!({"type": "btree"}))),
        )
        .add_field("embedding", FieldTypeSchema::new("vector").with_index(index(vector)))
        .bypass_ripple(true)
}

async fn shelf(seat: &Seat) {
    seat.client.create_collection("books", books()).await.unwrap();
    let books = vec![
        json!({"id": "1", "title": "Brewing black tea", "isbn": "1", "pages": 90, "embedding": [1.0, 0.0]}),
        json!({"id": "2", "title": "Teas of the world", "isbn": "2", "pages": 300, "embedding": [0.7, 0.7]}),
        json!({"id": "3", "title": "Coffee", "isbn": "3", "pages": 200, "language": "de", "embedding": [0.0, 1.0]}),
    ];
    let reply = seat.socket.batch_insert("books", books, None).await.unwrap();
    assert_eq!(reply["failed"], json!([]), "{reply}");
}

async fn list_collections(seat: Seat) -> Refused {
    seat.people().await;
    seat.client.kv_set("k", json!(1), None).await.unwrap();
    assert!(seat.client.list_collections().await.unwrap().contains(&"people".to_owned()));
    refused(stranger(&seat).list_collections().await)
}

async fn list_user_collections(seat: Seat) -> Refused {
    seat.people().await;
    seat.client.kv_set("k", json!(1), None).await.unwrap();
    assert_eq!(seat.client.list_user_collections().await.unwrap(), ["people"]);
    refused(stranger(&seat).list_user_collections().await)
}

async fn collection_exists(seat: Seat) -> Refused {
    seat.people().await;
    assert!(seat.client.collection_exists("people").await.unwrap());
    assert!(!seat.client.collection_exists("dragons").await.unwrap());
    refused(stranger(&seat).collection_exists("people").await)
}

/// Every constraint is kept.
async fn create_collection(seat: Seat) -> Refused {
    shelf(&seat).await;
    let wrong = [
        (json!({"isbn": "9"}), "title"),
        (json!({"title": "T", "isbn": "1"}), "isbn"),
        (json!({"title": "T", "isbn": "x"}), "isbn"),
        (json!({"title": "T", "isbn": "8", "language": "xx"}), "language"),
        (json!({"title": "T", "isbn": "7", "pages": 5001}), "pages"),
        (json!({"title": 7, "isbn": "6"}), "title"),
    ];
    for (book, field) in wrong {
        let said = seat.client.insert("books", record(book.clone()), None).await.unwrap_err().to_string();
        assert!(said.contains(field), "{book}: {said}");
    }
    let first = raw(&seat.client.find_by_id("books", "1", None).await.unwrap());
    assert_eq!(first["language"], typed("en"));
    refused(seat.client.create_collection("books", books()).await)
}

async fn delete_collection(seat: Seat) -> Refused {
    seat.people().await;
    seat.client.delete_collection("people").await.unwrap();
    assert!(!seat.client.collection_exists("people").await.unwrap());
    refused(seat.client.delete_collection("people").await)
}

async fn get_collection(seat: Seat) -> Refused {
    shelf(&seat).await;
    let report = seat.client.get_collection("books").await.unwrap();
    assert!(report.collection.fields["title"].required);
    assert!(report.analytics.is_object(), "{}", report.analytics);
    refused(seat.client.get_collection("dragons").await)
}

/// What was declared comes back, and versions only grow, also over a drop.
async fn get_schema(seat: Seat) -> Refused {
    shelf(&seat).await;
    let schema = seat.client.get_schema("books").await.unwrap();
    let said = serde_json::to_value(&schema.fields).unwrap();
    assert_eq!((&said["title"]["required"], &said["isbn"]["unique"]), (&json!(true), &json!(true)));
    assert_eq!(
        (&said["isbn"]["regex"], &said["language"]["enums"]),
        (&json!("^[0-9]+$"), &json!(["en", "de"]))
    );
    assert_eq!((&said["language"]["default"], &said["pages"]["max"]), (&json!("en"), &json!(5000)));
    assert_eq!(
        (&said["title"]["index"]["type"], &said["pages"]["index"]["type"]),
        (&json!("text"), &json!("btree"))
    );
    assert_eq!(said["embedding"]["index"]["metric"], json!("cosine"));
    seat.client.delete_collection("books").await.unwrap();
    seat.client.create_collection("books", books()).await.unwrap();
    assert!(seat.client.get_schema("books").await.unwrap().version > schema.version);
    refused(seat.client.get_schema("dragons").await)
}

async fn ids(seat: &Seat, query: SearchQuery) -> Vec<Value> {
    let reply = seat.client.search("books", query).await.unwrap();
    assert_eq!(reply.total, reply.results.len());
    let scores: Vec<_> = reply.results.iter().map(|hit| hit.score).collect();
    assert!(scores.is_sorted_by(|left, right| left >= right), "{scores:?}");
    reply.results.iter().map(|hit| hit.record["id"].clone()).collect()
}

/// Everything that can be said to a search.
async fn search(seat: Seat) -> Refused {
    shelf(&seat).await;
    let said = SearchQuery::new;
    let reply = seat.client.search("books", said("coffee")).await.unwrap();
    assert_eq!((reply.total, &reply.results[0].matched_fields[..]), (1, &["title".to_owned()][..]));
    assert_eq!(reply.results[0].record["title"], typed("Coffee"));
    let stems = said("tea").enable_stemming(true).language("english").fields("title").weights("title:2.0");
    let mut found = ids(&seat, stems.boost_exact(true)).await;
    found.sort_by_key(Value::to_string);
    assert_eq!(found, [json!("1"), json!("2")]);
    assert_eq!(ids(&seat, said("cofee").fuzzy(true).max_edit_distance(1)).await, [json!("3")]);
    assert!(ids(&seat, said("cofee").fuzzy(false)).await.is_empty());
    assert!(ids(&seat, said("coffee").case_sensitive(true)).await.is_empty());
    assert!(ids(&seat, said("coffee").min_score(1e9)).await.is_empty());
    let near = |metric: &str| said("").vector(vec![1.0, 0.1]).vector_field("embedding").vector_metric(metric);
    for metric in ["cosine", "euclidean", "dotproduct"] {
        assert_eq!(ids(&seat, near(metric).vector_k(2)).await[0], json!("1"), "{metric}");
    }
    assert_eq!(ids(&seat, near("cosine").limit(1)).await, [json!("1")]);
    assert_eq!(ids(&seat, near("cosine").vector_threshold(0.95)).await, [json!("1")]);
    let both =
        said("coffee").vector(vec![1.0, 0.1]).vector_field("embedding").text_weight(0.9).vector_weight(0.1);
    assert_eq!(ids(&seat, both.bypass_ripple(true).bypass_cache(true)).await[0], json!("3"));
    let part = said("coffee").select_fields(vec!["pages".into()]);
    let reply = seat.client.search("books", part).await.unwrap();
    assert_eq!(reply.results[0].record, json!({"id": "3", "pages": typed(200)}));
    let part = said("coffee").exclude_fields(vec!["embedding".into(), "title".into()]);
    let reply = seat.client.search("books", part).await.unwrap();
    assert!(
        reply.results[0].record.get("embedding").is_none() && reply.results[0].record.get("pages").is_some()
    );
    refused(seat.client.search("books", said("").vector(vec![1.0, 2.0, 3.0]).vector_field("embedding")).await)
}

async fn text_search(seat: Seat) -> Refused {
    shelf(&seat).await;
    let found: Vec<_> =
        seat.client.text_search("books", "coffee", 5).await.unwrap().iter().map(raw).collect();
    assert_eq!(column(&found, "id"), [json!("3")]);
    assert_eq!(found[0]["title"], typed("Coffee"));
    refused(seat.client.text_search("_secret", "coffee", 5).await)
}

async fn hybrid_search(seat: Seat) -> Refused {
    shelf(&seat).await;
    let found = seat.client.hybrid_search("books", "brewing", vec![1.0, 0.0], 2).await.unwrap();
    let found: Vec<_> = found.iter().map(raw).collect();
    assert_eq!((found.len(), &found[0]["id"]), (2, &json!("1")));
    refused(seat.client.hybrid_search("books", "brewing", vec![1.0], 2).await)
}
